//! Where both sides changed a record: the verdict, put into effect; and what later operations stand on (R4, R6).

use super::*;

impl Draft<'_> {
    /// Takes what the server says of a record, unless more is known already, into the generation that is being built too (R25).
    /// Returns whether the base moved.
    pub(in crate::plan) fn take_base(&mut self, key: &EntityKey, base: Base) -> bool {
        self.shade(key, &base);
        self.show_base(key, base)
    }

    /// The same for the generation that is shown, alone.
    pub(super) fn show_base(&mut self, key: &EntityKey, base: Base) -> bool {
        let base = self.in_our_time(base);
        let moves = base.replaces(self.base(key)) || planted::has(Bug::StalePullWins);
        if moves {
            if base.presence == Presence::Deleted {
                self.keep_ground(key);
            }
            self.record_mut(key).base = Some(base.clone());
            if let Some(id) = self.open_conflict(key).map(|conflict| conflict.id) {
                self.move_theirs(id, &base);
            }
        }
        moves
    }

    /// The record is about to go from the base: changes that wait keep whole what they were made on, those that are out of sight too.
    /// Whoever is asked about one of them later is shown what its user saw, and one that stands makes that anew (P19).
    pub(super) fn keep_ground(&mut self, key: &EntityKey) {
        let mut view = self.base_presence(key).cloned();
        for seq in self.queue(key) {
            let Some(op) = self.ops.get(&seq) else { continue };
            let next = op.is_visible().then(|| self.step(op, view.as_ref()));
            if let (Intent::Change(_), Before::Paths(found), Some(Presence::Live(document))) =
                (&op.intent, found_by(op), &view)
            {
                let ground = edit::apply(document, &undo(&found));
                if let Some(op) = self.op_mut(seq) {
                    op.before = Before::Whole(Some(ground));
                }
            }
            if let Some(next) = next {
                view = next;
            }
        }
    }

    /// What an operation and those behind it make of what they were made on, where that was kept.
    fn on_kept_ground<'b>(&self, ops: impl IntoIterator<Item = &'b Operation>) -> Option<Presence> {
        let mut ops = ops.into_iter().peekable();
        let Before::Whole(Some(ground)) = &ops.peek()?.before else { return None };
        let ground = Some(Presence::Live(ground.clone()));
        ops.fold(ground, |view, op| self.step(op, view.as_ref()))
    }

    /// What the server says of a record, with a time that is not from the future (R20).
    pub(super) fn in_our_time(&self, base: Base) -> Base {
        let now = self.server_now();
        Base { stamp: base.stamp.map(|stamp| stamp.bounded(now)), ..base }
    }

    /// An operation that the server has: the base is what it made of it, and the next operation stands on that (R6).
    pub(in crate::plan) fn applied(&mut self, seq: Seq, said: Base, server_id: Option<String>) {
        let Some(op) = self.ops.get(&seq) else { return };
        let key = op.key.clone();
        let op = op.clone();
        if !planted::has(Bug::OneGeneration) {
            self.shade_result(&op, &said);
        }
        if self.is_behind(&key, &said) {
            return self.acked_at(seq, &said, self.meta.pulls);
        }
        let wrote = op.intent.replay(self.base_presence(&key));
        self.show_base(&key, said.clone());
        let Some(op) = self.finish_op(seq, Fate::Applied) else { return };
        self.with_verdict(said.version.clone(), server_id);
        if planted::has(Bug::SettleClearsNewer) {
            for later in self.queue(&key) {
                self.finish_op(later, Fate::Applied);
            }
        }
        // A server that was set back may give one version to two histories: what is shown is of the other one then.
        let is_said = |base: &&Base| {
            base.version == said.version && (said.guessed || base.presence == said.presence)
        };
        match self.base(&key).filter(is_said).cloned() {
            Some(base) => self.stand_on(&op, wrote.as_ref(), &base),
            None => self.carry_over(&op, &said),
        }
    }

    /// The server has an operation, and nobody can tell yet whether the base has it too: it stays in the view until a pull has
    /// come to its end (3.3).
    pub(in crate::plan) fn acked_at(&mut self, seq: Seq, said: &Base, pull_after: Epoch) {
        let Some(op) = self.ops.get(&seq).cloned() else { return };
        self.carry_over(&op, said);
        if let Some(op) = self.op_mut(seq) {
            op.state = OpState::Acked { pull_after };
        }
    }

    /// The same where a pull has moved the base since the operation was made. The server took it on the version that it was made
    /// on, so what was pulled came after it, and has it.
    pub(in crate::plan) fn overtaken(&mut self, seq: Seq, said: &Base, server_id: Option<String>) {
        let Some(op) = self.finish_op(seq, Fate::Applied) else { return };
        self.with_verdict(said.version.clone(), server_id);
        self.carry_over(&op, said);
    }

    /// The server's side is of later than our base, and that had what is acked.
    pub(in crate::plan) fn has_acked(&mut self, key: &EntityKey) {
        for seq in self.queue(key) {
            if self.ops.get(&seq).is_some_and(|op| matches!(op.state, OpState::Acked { .. })) {
                self.finish_op(seq, Fate::Applied);
            }
        }
    }

    /// The same on a wire whose versions do not compare, where the verdict is the newest that is known of the record: the base is
    /// what the server made of the operation already.
    pub(in crate::plan) fn acked_as(&mut self, seq: Seq, said: Base, pull_after: Epoch) {
        let Some(op) = self.op_mut(seq) else { return };
        op.state = OpState::Acked { pull_after };
        let op = op.clone();
        let wrote = op.intent.replay(self.base_presence(&op.key));
        self.take_base(&op.key, said.clone());
        self.stand_on(&op, wrote.as_ref(), &said);
    }

    /// Later operations that never left were made on what an applied one wrote. Where our verdict is the newest that is known
    /// of the record they stand on it, and there is nothing to judge (R6). Where the applied one had been brought over a foreign
    /// change that a later one's user never saw, what was found there stays, and the later one is judged.
    pub(super) fn stand_on(&mut self, settled: &Operation, wrote: Option<&Presence>, base: &Base) {
        let document = base.presence.document();
        let rules = self.rules.of(&settled.key.collection);
        if let (Some(wrote), Some(made)) = (wrote.and_then(Presence::document), document) {
            self.carry_corrections(settled, wrote, made);
        }
        for seq in self.stands_after(settled) {
            let Some(op) = self.op_mut(seq) else { continue };
            let made_again = op.before == Before::Nothing && is_made_again(settled, op);
            let all_seen = made_again || op.found(document);
            if all_seen {
                op.assumed = base.version.clone().map_or(Assumed::Unknown, Assumed::At);
                if let (true, Some(document)) = (op.is_create(), document) {
                    let there = |path: &Path| document.get(&path.0);
                    if let Intent::Create(again) = op.over(&there, rules) {
                        let edits = operation::sets(&again);
                        op.before = before_of(Some(document), &edits);
                        op.intent = Intent::Change(edits);
                    }
                }
            }
        }
    }

    /// What the server made of our write in the place of what we wrote is no foreign change: later operations are taken to have
    /// found that, as far as none between wrote there.
    pub(super) fn carry_corrections(
        &mut self,
        settled: &Operation,
        wrote: &Document,
        made: &Document,
    ) {
        let rules = self.rules.of(&settled.key.collection);
        let mut between: Vec<Operation> = Vec::new();
        for seq in self.queue(&settled.key).into_iter().filter(|seq| *seq > settled.seq) {
            let Some(op) = self.op_mut(seq).filter(|op| !op.is_sealed()) else { continue };
            let free = |path: &Path| !between.iter().any(|other| touches(other, path));
            let mut found = op.before.clone();
            match &mut found {
                Before::Paths(paths) => {
                    for (path, slot) in paths.iter_mut().filter(|(path, _)| free(path)) {
                        if slot.0 == wrote.get(&path.0) {
                            *slot = Slot(made.get(&path.0));
                        }
                    }
                }
                Before::Whole(Some(found)) => {
                    let edits: Vec<Edit> = edit::diff(wrote, made)
                        .into_iter()
                        .filter(|edit| free(edit.path()))
                        .filter(|edit| found.get(&edit.path().0) == wrote.get(&edit.path().0))
                        .listed();
                    *found = edit::apply(found, &edits);
                }
                Before::Whole(None) | Before::Nothing => {}
            }
            op.stand_on(found, rules);
            between.push(op.clone());
        }
    }

    /// Where more than our verdict is known of the record, or is still to come, later operations will be judged. What the server
    /// made of what we wrote is no foreign change: there they stand on that (R6).
    pub(in crate::plan) fn carry_over(&mut self, settled: &Operation, said: &Base) {
        let (Some(made), false) = (said.presence.document(), said.guessed) else { return };
        let wrote = settled.intent.replay(self.base_presence(&settled.key));
        let Some(wrote) = wrote.as_ref().and_then(Presence::document) else { return };
        let at = |document: &Document, path: &Path| document.get(&path.0);
        let corrections: Vec<Edit> = written(&settled.intent)
            .into_iter()
            .filter(|path| at(wrote, path) != at(made, path))
            .map(|path| Edit::to(path.clone(), at(made, &path)))
            .collect();
        let corrected = edit::apply(wrote, &corrections);
        let rules = self.rules.of(&settled.key.collection);
        for seq in self.stands_after(settled) {
            let Some(op) = self.op_mut(seq) else { continue };
            let mut found = op.before.clone();
            match &mut found {
                Before::Paths(paths) => {
                    for (path, slot) in paths {
                        if slot.0 == at(wrote, path) {
                            *slot = Slot(at(&corrected, path));
                        }
                    }
                }
                Before::Whole(Some(found)) => {
                    let edits: Vec<Edit> = corrections
                        .iter()
                        .filter(|edit| at(found, edit.path()) == at(wrote, edit.path()))
                        .cloned()
                        .listed();
                    *found = edit::apply(found, &edits);
                }
                Before::Whole(None) | Before::Nothing => {}
            }
            op.stand_on(found, rules);
        }
    }

    /// Later operations on the record that never left, and stand on one that ended or on nothing that is still on its way.
    pub(super) fn stands_after(&self, settled: &Operation) -> Vec<Seq> {
        let free = |op: &&Operation| match op.assumed {
            Assumed::After(id) => {
                id == settled.id || !self.of(&settled.key).any(|other| other.id == id)
            }
            Assumed::Nothing | Assumed::At(_) | Assumed::Unknown => true,
        };
        self.of(&settled.key)
            .filter(|op| op.seq > settled.seq && !op.is_sealed())
            .filter(free)
            .map(|op| op.seq)
            .listed()
    }

    /// Judges an operation against its record's base and puts the verdict into effect. A sealed one is replaced by a new
    /// operation, because the server has refused the old one for good; a fresh one is rewritten in place.
    pub(in crate::plan) fn decide(&mut self, seq: Seq, sealed: bool) {
        let Some(op) = self.ops.get(&seq) else { return };
        let key = op.key.clone();
        let Some(base) = self.base(&key).cloned() else {
            return self.decide_without_base(seq);
        };
        let rules = self.rules.of(&key.collection);
        // A create that may have been applied before, and found a tombstone, was removed since: it is no new record.
        let made_before = self.repeated && op.is_create() && base.presence == Presence::Deleted;
        let verdict = if made_before || self.is_given_up(op, &base) {
            Verdict::TakeTheirs
        } else {
            let moved =
                planted::has(Bug::MovedAncestor).then(|| match (&op.intent, &base.presence) {
                    (Intent::Change(edits), Presence::Live(theirs)) => {
                        Operation { before: before_of(Some(theirs), edits), ..op.clone() }
                    }
                    _ => op.clone(),
                });
            let cautious = rules.with_policies(Strategy::ServerWins);
            // It may have been applied before, and what was written over it since would be lost.
            let rules = if self.repeated { &cautious } else { rules };
            strategy::judge(moved.as_ref().unwrap_or(op), &base, rules)
        };
        let assumed = base.version.clone().map_or(Assumed::Unknown, Assumed::At);
        let asks = matches!(verdict, Verdict::AskCallback | Verdict::AskPerson);
        // Changed under one of its ids and removed under the other (R16): there is nothing that anybody could choose (P17).
        let gone = |side: &Presence| *side == Presence::Deleted;
        let verdict =
            match asks && gone(&base.presence) && gone(&self.mine(&key, seq, &base.presence)) {
                true => Verdict::TakeTheirs,
                false => verdict,
            };
        match verdict {
            Verdict::Same => {
                self.finish_op(seq, Fate::Applied);
                self.with_verdict(base.version, None);
            }
            Verdict::Rebase(edits) => self.rebase(seq, sealed, edits, &base, assumed),
            Verdict::Settle(edits, won) => {
                match won {
                    Won::Mine => self.keep_record(seq, &base, "mine", &[]),
                    Won::Both => self.keep_record(seq, &base, "fields", &edits),
                };
                self.rebase(seq, sealed, edits, &base, assumed);
            }
            Verdict::KeepMine | Verdict::Prevail => {
                if verdict == Verdict::Prevail {
                    self.keep_record(seq, &base, "mine", &[]);
                }
                let (intent, before) = self.kept(seq, &base);
                self.rewrite(seq, sealed, intent, before, assumed);
            }
            Verdict::TakeTheirs => {
                let id = self.keep_record(seq, &base, "theirs", &[]);
                self.finish_op(seq, Fate::Yielded(id));
            }
            Verdict::AskCallback if self.rules.resolver => {
                self.park_conflicted(seq, &base, Asks::Callback);
            }
            Verdict::AskCallback => self.park_conflicted(seq, &base, Asks::Person),
            Verdict::AskPerson => self.park_conflicted(seq, &base, Asks::Person),
        }
    }

    /// Keeps both sides of a conflict that a rule or a policy has settled: nobody loses without a trace (P18).
    ///
    /// What was added up is no loss, nor is what goes on: such members are not named, and bringing the loser back leaves them.
    fn keep_record(&mut self, seq: Seq, base: &Base, choice: &str, goes_on: &[Edit]) -> ConflictId {
        let mut conflict = self.open(seq, base, Asks::Person);
        let id = conflict.id;
        let rules = self.rules.of(&conflict.key.collection);
        let before = self.ops.get(&seq).map_or(Before::Nothing, |op| op.before.clone());
        let at = |side: &Presence, path: &Path| side.document().and_then(|it| it.get(&path.0));
        let (mine, theirs) = (&conflict.mine, &conflict.theirs);
        conflict.fields.retain(|path| {
            let added_up = rules.calculating(path).is_some_and(|rule| {
                let (mine, there) = (at(mine, path), at(theirs, path));
                rule.over(before.at(path).as_ref(), mine.as_ref(), there.as_ref()).is_some()
            });
            !added_up && !goes_on.iter().any(|edit| edit.path() == path)
        });
        let resolved = Resolved {
            by: Decider::Policy,
            choice: choice.to_owned(),
            at: self.ctx.now,
            call: None,
        };
        self.conflicts.insert(id, Conflict { resolved: Some(resolved), ..conflict });
        id
    }

    /// Gives an operation new coordinates (R4).
    fn rebase(&mut self, seq: Seq, sealed: bool, edits: Vec<Edit>, base: &Base, on: Assumed) {
        let mut before = before_of(base.presence.document(), &edits);
        if let Some(op) = self.ops.get(&seq).filter(|_| planted::has(Bug::OldBefore)) {
            before = op.before.clone();
        }
        self.rewrite(seq, sealed, Intent::Change(edits), before, on);
    }

    /// The server removed the record, and so did the user since, or made it anew: nobody stands by this change of it.
    pub(super) fn is_given_up(&self, op: &Operation, base: &Base) -> bool {
        let anew = |later: &Operation| matches!(later.intent, Intent::Delete | Intent::Create(_));
        matches!(op.intent, Intent::Change(_) | Intent::Replace(_))
            && base.presence == Presence::Deleted
            && self.of(&op.key).any(|later| later.seq > op.seq && later.is_visible() && anew(later))
    }

    /// The server knows of no such record and gave us none: nothing to merge with.
    pub(super) fn decide_without_base(&mut self, seq: Seq) {
        let (code, message) = ("not-found", "the server does not know the record");
        self.park_rejected(seq, code.to_owned(), message.to_owned());
    }

    pub(super) fn rewrite(
        &mut self,
        seq: Seq,
        sealed: bool,
        intent: Intent,
        before: Before,
        assumed: Assumed,
    ) {
        if sealed {
            self.supersede(seq, intent, before, assumed);
        } else if let Some(op) = self.op_mut(seq) {
            op.intent = intent;
            op.before = before;
            op.assumed = assumed;
        }
    }

    /// An operation that wins as a whole, in coordinates of the server's side.
    pub(super) fn kept(&self, seq: Seq, base: &Base) -> (Intent, Before) {
        let Some(op) = self.ops.get(&seq) else { return (Intent::Delete, Before::Nothing) };
        match (&op.intent, base.presence.document()) {
            (Intent::Change(edits), Some(theirs)) => {
                (Intent::Change(edits.clone()), before_of(Some(theirs), edits))
            }
            (Intent::Create(document) | Intent::Replace(document), Some(theirs)) => {
                (Intent::Replace(document.clone()), Before::Whole(Some(theirs.clone())))
            }
            (Intent::Create(document) | Intent::Replace(document), None) => {
                (Intent::Create(document.clone()), Before::Nothing)
            }
            (Intent::Change(_), None) => {
                let seen = self.seen(&op.key).and_then(Presence::document).cloned();
                let kept = || self.on_kept_ground([op])?.document().cloned();
                match seen.or_else(kept) {
                    Some(document) => (Intent::Create(document), Before::Nothing),
                    None => (op.intent.clone(), op.before.clone()),
                }
            }
            (Intent::Delete | Intent::Resolve(_), theirs) => {
                (op.intent.clone(), Before::Whole(theirs.cloned()))
            }
        }
    }

    /// A conflict record about an operation and the base it met.
    pub(super) fn open(&mut self, seq: Seq, base: &Base, asks: Asks) -> Conflict {
        let id = self.next_conflict_id();
        // What the resolver is asked about is told when it is known who decides.
        if asks == Asks::Person {
            self.notice.conflicts.push(id);
        }
        let op = self.ops.get(&seq);
        let key = op.map_or_else(|| EntityKey::new("", ""), |op| op.key.clone());
        let mine = self.mine(&key, seq, &base.presence);
        let (kind, ancestor) = match op {
            Some(op) => (kind_of(&op.intent, &base.presence), ancestor(op, &base.presence)),
            None => (ConflictKind::UpdateUpdate, None),
        };
        self.notice.kinds.push(kind);
        Conflict {
            id,
            op: op.map_or_else(|| self.ctx.ids.op(0), |op| op.id),
            kind,
            base: ancestor,
            fields: differing(&mine, &base.presence),
            mine,
            theirs: base.presence.clone(),
            version: base.version.clone(),
            stamp: base.stamp,
            at: self.ctx.now,
            token: self.token.clone(),
            asks,
            resolved: None,
            key,
        }
    }

    /// Our side of a conflict: the server's side with all that we did since; where the server's is gone, what was seen last.
    pub(super) fn mine(&self, key: &EntityKey, first: Seq, theirs: &Presence) -> Presence {
        let ours = |on: &Presence| {
            self.of(key)
                .filter(|op| op.seq >= first && op.is_visible())
                .try_fold(on.clone(), |view, op| self.step(op, Some(&view)))
                .unwrap_or(Presence::Deleted)
        };
        match theirs {
            Presence::Live(_) => ours(theirs),
            Presence::Deleted => {
                let seen = self.seen(key).filter(|seen| seen.document().is_some()).cloned();
                let behind = self.of(key).filter(|op| op.seq >= first && op.is_visible());
                seen.or_else(|| self.on_kept_ground(behind))
                    .or_else(|| self.seen(key).cloned())
                    .unwrap_or_else(|| ours(theirs))
            }
        }
    }

    pub(super) fn park_conflicted(&mut self, seq: Seq, base: &Base, asks: Asks) {
        let conflict = self.open(seq, base, asks);
        let (id, by) = (conflict.id, conflict.op);
        self.conflicts.insert(id, conflict);
        if let Some(op) = self.op_mut(seq) {
            op.state = OpState::Parked(Parked::Conflicted(id));
        }
        self.block_followers(seq, by, true);
    }

    /// An edit that is made while a conflict is open is part of our side.
    pub(in crate::plan) fn show_in_conflict(&mut self, op: &Operation) {
        let Some(conflict) = self.open_conflict(&op.key).cloned() else { return };
        let mine = self.step(op, Some(&conflict.mine)).unwrap_or(Presence::Deleted);
        let fields = differing(&mine, &conflict.theirs);
        self.conflicts.insert(conflict.id, Conflict { mine, fields, ..conflict });
    }

    /// An edit that was made while a conflict was open is given up: our side is what is left without it.
    pub(in crate::plan) fn without(&mut self, gone: &Operation) {
        let shown = self.open_conflict(&gone.key).filter(|_| gone.is_visible());
        let Some(mut conflict) = shown.cloned() else { return };
        let Some(first) = self.find(conflict.op).map(|op| op.seq) else { return };
        conflict.mine = match (&conflict.theirs, &gone.before) {
            (Presence::Live(_), _) => self.mine(&gone.key, first, &conflict.theirs),
            // There is nothing to replay on: it is undone, and what came after it is done again.
            (Presence::Deleted, before) => {
                let was = match (before, &conflict.mine) {
                    (Before::Whole(Some(document)), _) => Presence::Live(document.clone()),
                    (Before::Paths(paths), Presence::Live(mine)) => {
                        Presence::Live(edit::apply(mine, &undo(paths)))
                    }
                    (Before::Nothing | Before::Whole(None), _) => Presence::Deleted,
                    (Before::Paths(_), Presence::Deleted) => conflict.mine.clone(),
                };
                self.of(&gone.key)
                    .filter(|op| op.seq > gone.seq && op.is_visible())
                    .try_fold(was, |view, op| self.step(op, Some(&view)))
                    .unwrap_or(Presence::Deleted)
            }
        };
        conflict.fields = differing(&conflict.mine, &conflict.theirs);
        self.conflicts.insert(conflict.id, conflict);
    }

    /// A conflict's other side moved: both sides are shown as they are now (P19).
    pub(in crate::plan) fn move_theirs(&mut self, id: ConflictId, base: &Base) {
        let Some(mut conflict) = self.conflicts.get(&id).cloned() else { return };
        let Some(first) = self.find(conflict.op).map(|op| op.seq) else { return };
        if base.presence.document().is_some() {
            conflict.mine = self.mine(&conflict.key, first, &base.presence);
        }
        conflict.fields = differing(&conflict.mine, &base.presence);
        conflict.theirs = base.presence.clone();
        conflict.version.clone_from(&base.version);
        conflict.stamp = base.stamp;
        self.touch(&conflict.key);
        self.conflicts.insert(id, conflict);
    }

    /// The operation of a record whose turn it is: one that is away before all others, wherever it stands. What was blocked when
    /// it left, and is free by now, waits for its verdict (R15).
    pub(super) fn first(&self, key: &EntityKey) -> Option<&Operation> {
        let away = self.of(key).find(|op| op.is_away());
        away.or_else(|| self.of(key).find(|op| op.holds_the_record()))
    }

    /// Judges the first operation of a record each time it became first or its base moved (R6).
    pub(super) fn promote(&mut self, key: &EntityKey) {
        // Each round ends an operation, parks one or stops: at most one round for each operation of the record.
        for _ in 0..=self.ops.len() {
            let Some(op) = self.first(key) else { return };
            if planted::has(Bug::EncodedAnew) && matches!(op.state, OpState::Queued { .. }) {
                let (seq, known) = (op.seq, self.base(key).and_then(|base| base.version.clone()));
                if let (Some(op), Some(known)) = (self.op_mut(seq), known) {
                    op.assumed = Assumed::At(known);
                }
            }
            let Some(op) = self.first(key) else { return };
            if !op.is_fresh() {
                return;
            }
            let (seq, base) = (op.seq, self.base(key));
            if planted::has(Bug::NotJudgedWhenFirst) && base.is_some() {
                let assumed = base.and_then(|base| base.version.clone());
                if let Some(op) = self.op_mut(seq) {
                    op.assumed = assumed.map_or(Assumed::Unknown, Assumed::At);
                }
                return;
            }
            let current = match (&op.assumed, base) {
                (Assumed::At(version), Some(base)) => base.version.as_ref() == Some(version),
                (Assumed::Nothing, None) | (Assumed::At(_) | Assumed::Unknown, None) => true,
                (Assumed::Unknown, Some(base)) => base.version.is_none(),
                (Assumed::Nothing, Some(_)) => false,
                (Assumed::After(before), base) => {
                    // Where the base may not have what is acked in it there is nothing to judge against: the next may leave (R6).
                    let told = base.is_some_and(|base| {
                        let built = self.shadow(key).is_none_or(|it| it.version == base.version);
                        base.version.is_some() && built
                    });
                    if !told && self.waits_for_ack(*before) {
                        let version = self.newest_version(key);
                        let assumed = version.map_or(Assumed::Unknown, Assumed::At);
                        if let Some(op) = self.op_mut(seq) {
                            op.assumed = assumed;
                        }
                        return;
                    }
                    match base {
                        Some(_) => false,
                        None => {
                            if let Some(op) = self.op_mut(seq) {
                                op.assumed = Assumed::Nothing;
                            }
                            true
                        }
                    }
                }
            };
            if current {
                return;
            }
            let id = op_id(self.ops.get(&seq));
            self.decide(seq, false);
            let unchanged = self.ops.get(&seq).is_some_and(|op| op.is_fresh() && op.id == id);
            if unchanged {
                return;
            }
        }
    }

    pub(super) fn waits_for_ack(&self, id: OpId) -> bool {
        self.find(id).is_some_and(|op| matches!(op.state, OpState::Acked { .. }))
    }

    /// Whether an operation could leave now, time aside (R11).
    pub(in crate::plan) fn is_ready(&self, op: &Operation) -> bool {
        if planted::has(Bug::BlockedInTheWay) && matches!(op.state, OpState::Blocked { .. }) {
            return true;
        }
        self.is_free(op) && (op.group.is_none() || self.is_ready_with_mates(op))
    }

    /// Whether an operation could leave now as far as its record and what it names are concerned.
    pub(super) fn is_free(&self, op: &Operation) -> bool {
        let waits_for = |key| {
            let create = self.unsettled_create(key, op.seq);
            create.is_some_and(|create| !self.goes_with(op, create))
        };
        matches!(op.state, OpState::Queued { .. })
            && !matches!(op.assumed, Assumed::After(_) if !op.is_sealed())
            && self.first(&op.key).is_some_and(|first| first.seq == op.seq)
            && (op.is_sealed()
                || planted::has(Bug::ReferenceFirst)
                || !op.refs.iter().any(waits_for))
    }
}
