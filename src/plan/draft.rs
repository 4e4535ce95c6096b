//! The working copy of one transaction. A plan changes operations and conflicts on it; [`Draft::finish`] then brings every
//! record that was touched back into order (promote, view, ready) and turns the difference into a changeset.
//!
//! The laws kept here, once, for all plans: R1 (view), R6 (only the first operation of a record is judged), R9 (one way out),
//! R10 (the balance), R11 (ready), R12 (references).

use crate::model::{Map, Set};

use super::strategy::{self, Verdict};
use crate::model::map::sort;
use crate::model::{
    Asks, Assumed, Base, Before, Changeset, Conflict, ConflictId, ConflictKind, Ctx, Decider,
    Decision, Document, Edit, EntityKey, Fate, Intent, JournalLine, Meta, OpId, OpState, Operation,
    Parked, Path, Presence, Record, Resolved, Rules, Seq, Settled, Slot, Snapshot, Version,
};
use crate::model::{edit, operation};
use crate::planted::{self, Bug};

/// What a transaction did that somebody may want to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notice {
    /// Records whose view or state changed.
    pub changed: Set<EntityKey>,
    /// Operations that were parked as rejected.
    pub parked: Vec<OpId>,
    /// Conflicts that were found, by a person to be decided or by policy already.
    pub conflicts: Vec<ConflictId>,
    /// Operations that ended.
    pub settled: Vec<OpId>,
}

pub(super) struct Draft<'a> {
    was: &'a Snapshot,
    pub(super) ctx: &'a Ctx,
    pub(super) rules: &'a Rules,
    pub(super) records: Map<EntityKey, Record>,
    ops: Map<Seq, Operation>,
    /// The places of every record, in order: a create may have thousands of operations behind it.
    places: Vec<(EntityKey, Seq)>,
    pub(super) conflicts: Map<ConflictId, Conflict>,
    pub(super) meta: Meta,
    pub(super) out: Changeset,
    pub(super) notice: Notice,
    touched: Set<EntityKey>,
    ids: u32,
}

/// Ids below this are the caller's: the operation and the record of a write.
const FIRST_ID: u32 = 8;

impl<'a> Draft<'a> {
    pub(super) fn new(was: &'a Snapshot, rules: &'a Rules, ctx: &'a Ctx) -> Self {
        let mut out = Changeset::default();
        out.quarantine.extend(was.unreadable.iter().cloned());
        let mut places: Vec<_> = was.ops.values().map(|op| (op.key.clone(), op.seq)).collect();
        sort(&mut places);
        Self {
            was,
            ctx,
            rules,
            records: was.records.clone(),
            ops: was.ops.clone(),
            places,
            conflicts: was.conflicts.clone(),
            meta: was.meta.clone(),
            out,
            notice: Notice::default(),
            touched: Set::new(),
            ids: FIRST_ID,
        }
    }

    // Reading.

    pub(super) fn op(&self, seq: Seq) -> Option<&Operation> {
        self.ops.get(&seq)
    }

    pub(super) fn find(&self, id: OpId) -> Option<&Operation> {
        self.ops.values().find(|op| op.id == id)
    }

    pub(super) fn queue(&self, key: &EntityKey) -> Vec<Seq> {
        self.of(key).map(|op| op.seq).collect()
    }

    /// The operations on a record, in order.
    fn of(&self, key: &EntityKey) -> impl DoubleEndedIterator<Item = &Operation> + use<'_, 'a> {
        let from = self.places.partition_point(|(known, _)| known < key);
        let rest = self.places.get(from..).unwrap_or_default();
        let until = rest.partition_point(|(known, _)| known == key);
        let places = rest.get(..until).unwrap_or_default();
        places.iter().filter_map(|(_, seq)| self.ops.get(seq))
    }

    pub(super) fn base(&self, key: &EntityKey) -> Option<&Base> {
        self.records.get(key).and_then(|record| record.base.as_ref())
    }

    fn base_presence(&self, key: &EntityKey) -> Option<&Presence> {
        self.base(key).map(|base| &base.presence)
    }

    /// What the application saw when the transaction began.
    pub(super) fn seen(&self, key: &EntityKey) -> Option<&Presence> {
        self.was.records.get(key).and_then(|record| record.view.as_ref())
    }

    /// What the application sees (R1).
    pub(super) fn view(&self, key: &EntityKey) -> Option<Presence> {
        if let Some(conflict) = self.open_conflict(key) {
            return Some(conflict.mine.clone());
        }
        self.of(key)
            .filter(|op| op.is_visible())
            .fold(self.base_presence(key).cloned(), |view, op| op.replay(view.as_ref()))
    }

    pub(super) fn open_conflict(&self, key: &EntityKey) -> Option<&Conflict> {
        let id = self.of(key).find_map(Operation::conflict)?;
        self.conflicts.get(&id)
    }

    /// The last operation that a new write on the record is made on.
    pub(super) fn last_visible(&self, key: &EntityKey) -> Option<&Operation> {
        self.of(key).rev().find(|op| op.is_visible())
    }

    /// The create that an operation at a place waits for if it names the record: the newest unsettled one before it, or one that
    /// took the place of such. A record that is removed and made anew later is no reason to wait: the two would wait for each
    /// other. An acked create satisfies references (R6), and one that was refused holds nobody once the server has a record of
    /// that name.
    pub(super) fn unsettled_create(&self, key: &EntityKey, place: Seq) -> Option<&Operation> {
        let live = self.base_presence(key).is_some_and(|base| base.document().is_some());
        self.creates_before(key, place)
            .rev()
            .find(|op| !matches!(op.state, OpState::Acked { .. }) && (op.is_visible() || !live))
    }

    fn creates_before(
        &self,
        key: &EntityKey,
        place: Seq,
    ) -> impl DoubleEndedIterator<Item = &Operation> {
        self.of(key).filter(move |op| op.is_create() && (op.seq < place || op.replaces.is_some()))
    }

    /// An operation that names the record.
    pub(super) fn referrer(&self, key: &EntityKey) -> Option<OpId> {
        self.ops.values().find(|op| op.refs.contains(key)).map(|op| op.id)
    }

    pub(super) fn referrers(&self, key: &EntityKey) -> Vec<Seq> {
        self.ops.values().filter(|op| op.refs.contains(key)).map(|op| op.seq).collect()
    }

    /// An operation and everything on its record that was made on it, in order.
    pub(super) fn standing_on(&self, op: &Operation) -> Vec<Seq> {
        let mut ids = vec![op.id];
        let mut seqs = vec![op.seq];
        for later in self.of(&op.key).filter(|it| it.seq > op.seq) {
            let on = matches!(later.assumed, Assumed::After(id) if ids.contains(&id));
            let behind = matches!(later.state, OpState::Blocked { by, .. } if ids.contains(&by));
            if on || behind {
                ids.push(later.id);
                seqs.push(later.seq);
            }
        }
        seqs
    }

    /// Whether an operation waits for another, by its record, by what it names, and by what those wait for.
    pub(super) fn waits_for(&self, seq: Seq, other: Seq) -> bool {
        let (mut known, mut next) = (Set::new(), vec![seq]);
        while let Some(op) = next.pop().and_then(|seq| self.ops.get(&seq)) {
            if op.seq == other {
                return true;
            }
            if known.insert(op.seq) {
                next.extend(self.of(&op.key).map(|before| before.seq).filter(|it| *it < op.seq));
                let named = op.refs.iter().filter_map(|it| self.unsettled_create(it, op.seq));
                next.extend(named.map(|create| create.seq));
            }
        }
        false
    }

    // Changing.

    pub(super) fn touch(&mut self, key: &EntityKey) {
        self.touched.insert(key.clone());
    }

    pub(super) fn record_mut(&mut self, key: &EntityKey) -> &mut Record {
        self.touched.insert(key.clone());
        self.records.or_insert_with(key.clone(), || Record::new(key.clone()))
    }

    pub(super) fn op_mut(&mut self, seq: Seq) -> Option<&mut Operation> {
        let op = self.ops.get_mut(&seq)?;
        self.touched.insert(op.key.clone());
        Some(op)
    }

    pub(super) fn next_id(&mut self) -> OpId {
        self.ids += 1;
        self.ctx.ids.op(self.ids)
    }

    fn next_conflict_id(&mut self) -> ConflictId {
        self.ids += 1;
        self.ctx.ids.conflict(self.ids)
    }

    pub(super) fn next_seq(&mut self) -> Seq {
        self.meta.floor.0 += 1;
        self.meta.floor
    }

    /// Puts an operation into the outbox.
    pub(super) fn add(&mut self, op: Operation) {
        self.touched.insert(op.key.clone());
        let place = (op.key.clone(), op.seq);
        if let Err(at) = self.places.binary_search(&place) {
            self.places.insert(at, place);
        }
        self.ops.insert(op.seq, op);
    }

    /// Takes an operation out (R9).
    pub(super) fn finish_op(&mut self, seq: Seq, fate: Fate) -> Option<Operation> {
        let op = self.ops.remove(&seq)?;
        if let Ok(at) = self.places.binary_search(&(op.key.clone(), seq)) {
            self.places.remove(at);
        }
        self.touched.insert(op.key.clone());
        let counts = &mut self.meta.counts;
        match fate {
            Fate::Applied => counts.applied += 1,
            Fate::Folded(_) => counts.folded += 1,
            Fate::Annihilated => counts.annihilated += 1,
            Fate::Yielded(_) => counts.yielded += 1,
            Fate::Superseded(_) => counts.superseded += 1,
            Fate::Discarded => counts.discarded += 1,
            Fate::HandedOver => counts.handed_over += 1,
        }
        self.meta.journal += 1;
        self.notice.changed.insert(op.key.clone());
        self.notice.settled.push(op.id);
        self.notice.settled.extend(&op.folded);
        self.out.finish_op(&op, fate, self.ctx.now, self.meta.journal);
        Some(op)
    }

    /// Adds to what is kept of the operation that ended last.
    pub(super) fn with_verdict(&mut self, version: Option<Version>, server_id: Option<String>) {
        if let Some(row) = self.out.settled.last_mut() {
            row.version = version;
            row.server_id = server_id;
        }
    }

    /// Keeps the person's call that ended an operation.
    pub(super) fn with_call(&mut self, call: OpId) {
        if let Some(row) = self.out.settled.last_mut() {
            row.call = Some(call);
        }
    }

    /// A write that goes into an older operation. It ends with its host: until then `folded` answers for it (R9).
    pub(super) fn fold_write(&mut self, id: OpId, key: &EntityKey, host: OpId) {
        self.meta.counts.folded += 1;
        self.journal(id, key, Fate::Folded(host));
    }

    /// A removal of what never left.
    pub(super) fn annihilate_write(&mut self, id: OpId, key: &EntityKey) {
        self.meta.counts.annihilated += 1;
        self.journal(id, key, Fate::Annihilated);
        self.notice.settled.push(id);
        self.out.settled.push(Settled::new(id, Fate::Annihilated, self.ctx.now));
    }

    fn journal(&mut self, op: OpId, key: &EntityKey, fate: Fate) {
        self.meta.journal += 1;
        let (line, at, key) = (self.meta.journal, self.ctx.now, key.clone());
        self.out.journal.push(JournalLine { line, at, op, key, fate });
    }

    /// Puts a new operation, with a new id, in the place of another (same place in the order).
    pub(super) fn supersede(&mut self, seq: Seq, intent: Intent, before: Before, assumed: Assumed) {
        let id = self.next_id();
        let Some(old) = self.finish_op(seq, Fate::Superseded(id)) else { return };
        self.meta.counts.derived += 1;
        let old_id = old.id;
        self.add(Operation {
            id,
            intent,
            before,
            assumed,
            folded: Vec::new(),
            replaces: Some(old_id),
            sent: None,
            sends: 0,
            refusals: 0,
            state: OpState::queued(),
            ready: false,
            ..old
        });
        self.repoint(old_id, id);
    }

    /// Whoever named `old` names `new`.
    pub(super) fn repoint(&mut self, old: OpId, new: OpId) {
        for op in self.ops.values_mut() {
            if op.assumed == Assumed::After(old) {
                op.assumed = Assumed::After(new);
                self.touched.insert(op.key.clone());
            }
            if let OpState::Blocked { by, .. } = &mut op.state
                && *by == old
            {
                *by = new;
                self.touched.insert(op.key.clone());
            }
        }
    }

    // Parking, blocking, releasing.

    /// Parks an operation as rejected (R8); what stands behind it leaves the view with it (R1).
    pub(super) fn park_rejected(&mut self, seq: Seq, code: String, message: String) {
        let Some(op) = self.ops.get(&seq) else { return };
        let (id, key) = (op.id, op.key.clone());
        let snapshot = match self.seen(&key) {
            Some(Presence::Live(document)) => Some(document.clone()),
            Some(Presence::Deleted) | None => match &op.intent {
                Intent::Create(document) | Intent::Replace(document) => Some(document.clone()),
                Intent::Change(_) | Intent::Delete | Intent::Resolve(_) => None,
            },
        };
        self.notice.parked.push(id);
        if let Some(op) = self.op_mut(seq) {
            op.state = OpState::Parked(Parked::Rejected { code, message, snapshot });
        }
        self.block_followers(seq, id, false);
    }

    /// Blocks what depends on a parked or blocked operation. A sealed one is never blocked: its verdict is awaited.
    fn block_followers(&mut self, seq: Seq, by: OpId, visible: bool) {
        let Some(op) = self.ops.get(&seq) else { return };
        let key = op.key.clone();
        let mut followers: Vec<Seq> =
            self.queue(&key).into_iter().filter(|later| *later > seq).collect();
        if op.is_create() {
            followers.extend(self.referrers(&key).into_iter().filter(|referrer| {
                self.unsettled_create(&key, *referrer).is_some_and(|create| create.seq == seq)
            }));
        }
        for follower in followers {
            let Some(op) = self.ops.get(&follower) else { continue };
            let blocks = match &op.state {
                OpState::Queued { .. } => !op.is_sealed(),
                OpState::Blocked { visible: was, .. } => *was && !visible,
                OpState::InFlight { .. } | OpState::Acked { .. } | OpState::Parked(_) => false,
            };
            if blocks {
                if let Some(op) = self.op_mut(follower) {
                    op.state = OpState::Blocked { by, visible };
                }
                self.block_followers(follower, by, visible);
            }
        }
    }

    /// Why an operation cannot be free: the cause, and whether every cause is a conflict.
    fn cause(&self, op: &Operation) -> Option<(OpId, bool)> {
        let of = |other: &Operation| match &other.state {
            OpState::Parked(Parked::Conflicted(_)) => Some((other.id, true)),
            OpState::Parked(Parked::Rejected { .. } | Parked::HandedOver) => {
                Some((other.id, false))
            }
            OpState::Blocked { by, visible } => Some((*by, *visible)),
            OpState::Queued { .. } | OpState::InFlight { .. } | OpState::Acked { .. } => None,
        };
        let conflicted =
            self.of(&op.key).find(|other| other.seq < op.seq && other.conflict().is_some());
        let after = match op.assumed {
            Assumed::After(id) => self.of(&op.key).find(|other| other.id == id),
            Assumed::Nothing | Assumed::At(_) | Assumed::Unknown => None,
        };
        let creates = op.refs.iter().filter_map(|key| self.unsettled_create(key, op.seq));
        let causes: Vec<_> =
            conflicted.into_iter().chain(after).chain(creates).filter_map(of).collect();
        causes.iter().find(|(_, visible)| !visible).or(causes.first()).copied()
    }

    /// Frees what an operation that is parked no longer holds; what has another cause stays blocked by that.
    pub(super) fn release(&mut self, by: OpId) {
        let blocked: Vec<Seq> = self
            .ops
            .values()
            .filter(|op| matches!(op.state, OpState::Blocked { by: cause, .. } if cause == by))
            .map(|op| op.seq)
            .collect();
        for seq in &blocked {
            if let Some(op) = self.op_mut(*seq) {
                op.state = OpState::queued();
            }
        }
        self.block_again(&blocked);
    }

    /// Blocks those that have a cause. A retried create stands behind what names it, so one walk in the order of places is not
    /// enough: it is repeated until nothing changes, at most once for each of them.
    pub(super) fn block_again(&mut self, seqs: &[Seq]) {
        loop {
            let mut changed = false;
            for seq in seqs {
                let Some(op) = self.ops.get(seq).filter(|op| op.is_fresh()) else { continue };
                let Some((by, visible)) = self.cause(op) else { continue };
                if let Some(op) = self.op_mut(*seq) {
                    op.state = OpState::Blocked { by, visible };
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    // Judging.

    /// Takes what the server says of a record, unless more is known already. Returns whether the base moved.
    pub(super) fn take_base(&mut self, key: &EntityKey, base: Base) -> bool {
        let moves = base.replaces(self.base(key)) || planted::has(Bug::StalePullWins);
        if moves {
            let building = self.was.cursors.values().filter(|row| row.rebuilding);
            let generation = building.map(|row| row.generation).max();
            let record = self.record_mut(key);
            record.base = Some(base.clone());
            // While everything is pulled anew, what is learned of a record goes into the new generation too (R25).
            record.generation = generation.unwrap_or(record.generation);
            if let Some(id) = self.open_conflict(key).map(|conflict| conflict.id) {
                self.move_theirs(id, &base);
            }
        }
        moves
    }

    /// An operation that the server has: the base is what it made of it, and the next operation stands on that (R6).
    pub(super) fn applied(&mut self, seq: Seq, said: Base, server_id: Option<String>) {
        let Some(op) = self.ops.get(&seq) else { return };
        let key = op.key.clone();
        let wrote = op.replay(self.base_presence(&key));
        self.take_base(&key, said.clone());
        let Some(op) = self.finish_op(seq, Fate::Applied) else { return };
        self.with_verdict(said.version.clone(), server_id);
        if planted::has(Bug::SettleClearsNewer) {
            for later in self.queue(&key) {
                self.finish_op(later, Fate::Applied);
            }
        }
        match self.base(&key).filter(|base| base.version == said.version).cloned() {
            Some(base) => self.stand_on(&op, wrote.as_ref(), &base),
            None => self.carry_over(&op, &said),
        }
    }

    /// Later operations that never left were made on what an applied one wrote. Where our verdict is the newest that is known
    /// of the record they stand on it, and there is nothing to judge (R6). Where the applied one had been brought over a foreign
    /// change that a later one's user never saw, what was found there stays, and the later one is judged.
    fn stand_on(&mut self, settled: &Operation, wrote: Option<&Presence>, base: &Base) {
        let document = base.presence.document();
        if let (Some(wrote), Some(made)) = (wrote.and_then(Presence::document), document) {
            self.carry_corrections(settled, wrote, made);
        }
        for seq in self.stands_after(settled) {
            let Some(op) = self.op_mut(seq) else { continue };
            let all_seen = match &op.before {
                Before::Paths(paths) => paths.iter().all(|(path, slot)| {
                    slot.0 == document.and_then(|document| document.get(&path.0))
                }),
                Before::Whole(found) => found.as_ref() == document,
                Before::Nothing => document.is_none() || is_made_again(settled, op),
            };
            if all_seen {
                op.assumed = base.version.clone().map_or(Assumed::Unknown, Assumed::At);
                if let (Intent::Create(again), Some(document)) = (&op.intent, document) {
                    let edits = operation::sets(again);
                    op.before = before_of(Some(document), &edits);
                    op.intent = Intent::Change(edits);
                }
            }
        }
    }

    /// What the server made of our write in the place of what we wrote is no foreign change: later operations are taken to have
    /// found that, as far as none between wrote there.
    fn carry_corrections(&mut self, settled: &Operation, wrote: &Document, made: &Document) {
        let mut between: Vec<Operation> = Vec::new();
        for seq in self.queue(&settled.key).into_iter().filter(|seq| *seq > settled.seq) {
            let Some(op) = self.op_mut(seq).filter(|op| !op.is_sealed()) else { continue };
            let free = |path: &Path| !between.iter().any(|other| touches(other, path));
            match &mut op.before {
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
                        .collect();
                    *found = edit::apply(found, &edits);
                }
                Before::Whole(None) | Before::Nothing => {}
            }
            between.push(op.clone());
        }
    }

    /// Where more than our verdict is known of the record, or is still to come, later operations will be judged. What the server
    /// made of what we wrote is no foreign change: there they stand on that (R6).
    pub(super) fn carry_over(&mut self, settled: &Operation, said: &Base) {
        let (Some(made), false) = (said.presence.document(), said.guessed) else { return };
        let wrote = settled.replay(self.base_presence(&settled.key));
        let Some(wrote) = wrote.as_ref().and_then(Presence::document) else { return };
        let at = |document: &Document, path: &Path| document.get(&path.0);
        let corrections: Vec<Edit> = written(&settled.intent)
            .into_iter()
            .filter(|path| at(wrote, path) != at(made, path))
            .map(|path| Edit::to(path.clone(), at(made, &path)))
            .collect();
        let corrected = edit::apply(wrote, &corrections);
        for seq in self.stands_after(settled) {
            let Some(op) = self.op_mut(seq) else { continue };
            match &mut op.before {
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
                        .collect();
                    *found = edit::apply(found, &edits);
                }
                Before::Whole(None) | Before::Nothing => {}
            }
        }
    }

    /// Later operations on the record that never left, and stand on one that ended or on nothing that is still on its way.
    fn stands_after(&self, settled: &Operation) -> Vec<Seq> {
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
            .collect()
    }

    /// Judges an operation against its record's base and puts the verdict into effect. A sealed one is replaced by a new
    /// operation, because the server has refused the old one for good; a fresh one is rewritten in place.
    pub(super) fn decide(&mut self, seq: Seq, sealed: bool) {
        let Some(op) = self.ops.get(&seq) else { return };
        let key = op.key.clone();
        let Some(base) = self.base(&key).cloned() else {
            return self.decide_without_base(seq);
        };
        let rules = self.rules.of(&key.collection);
        let verdict = if self.is_given_up(op, &base) {
            Verdict::TakeTheirs
        } else {
            strategy::judge(op, &base, &rules)
        };
        let assumed = base.version.clone().map_or(Assumed::Unknown, Assumed::At);
        match verdict {
            Verdict::Same => {
                self.finish_op(seq, Fate::Applied);
                self.with_verdict(base.version, None);
            }
            Verdict::Rebase(edits) => {
                let before = before_of(base.presence.document(), &edits);
                self.rewrite(seq, sealed, Intent::Change(edits), before, assumed);
            }
            Verdict::KeepMine => {
                let (intent, before) = self.kept(seq, &base);
                self.rewrite(seq, sealed, intent, before, assumed);
            }
            Verdict::TakeTheirs => {
                let conflict = self.open(seq, &base, Asks::Person);
                let id = conflict.id;
                let resolved = Resolved {
                    by: Decider::Policy,
                    choice: "theirs".to_owned(),
                    at: self.ctx.now,
                    call: None,
                };
                self.conflicts.insert(id, Conflict { resolved: Some(resolved), ..conflict });
                self.finish_op(seq, Fate::Yielded(id));
            }
            Verdict::AskCallback => self.park_conflicted(seq, &base, Asks::Callback),
            Verdict::AskPerson => self.park_conflicted(seq, &base, Asks::Person),
        }
    }

    /// The server removed the record, and so did the user since, or made it anew: nobody stands by this change of it.
    fn is_given_up(&self, op: &Operation, base: &Base) -> bool {
        let anew = |later: &Operation| matches!(later.intent, Intent::Delete | Intent::Create(_));
        matches!(op.intent, Intent::Change(_) | Intent::Replace(_))
            && base.presence == Presence::Deleted
            && self.of(&op.key).any(|later| later.seq > op.seq && later.is_visible() && anew(later))
    }

    /// The server knows of no such record and gave us none: nothing to merge with.
    fn decide_without_base(&mut self, seq: Seq) {
        let (code, message) = ("not-found", "the server does not know the record");
        self.park_rejected(seq, code.to_owned(), message.to_owned());
    }

    fn rewrite(
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
    fn kept(&self, seq: Seq, base: &Base) -> (Intent, Before) {
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
            (Intent::Change(_), None) => match self.seen(&op.key).and_then(Presence::document) {
                Some(view) => (Intent::Create(view.clone()), Before::Nothing),
                None => (op.intent.clone(), op.before.clone()),
            },
            (Intent::Delete | Intent::Resolve(_), theirs) => {
                (op.intent.clone(), Before::Whole(theirs.cloned()))
            }
        }
    }

    /// A conflict record about an operation and the base it met.
    fn open(&mut self, seq: Seq, base: &Base, asks: Asks) -> Conflict {
        let id = self.next_conflict_id();
        self.notice.conflicts.push(id);
        let op = self.ops.get(&seq);
        let key = op.map_or_else(|| EntityKey::new("", ""), |op| op.key.clone());
        let mine = self.mine(&key, seq, &base.presence);
        let (kind, ancestor) = match op {
            Some(op) => (kind_of(&op.intent, &base.presence), ancestor(op, &base.presence)),
            None => (ConflictKind::UpdateUpdate, None),
        };
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
            asks,
            resolved: None,
            key,
        }
    }

    /// Our side of a conflict: the server's side with all that we did since; where the server's is gone, what was seen last.
    fn mine(&self, key: &EntityKey, first: Seq, theirs: &Presence) -> Presence {
        let ours = |on: &Presence| {
            self.of(key)
                .filter(|op| op.seq >= first && op.is_visible())
                .try_fold(on.clone(), |view, op| op.replay(Some(&view)))
                .unwrap_or(Presence::Deleted)
        };
        match theirs {
            Presence::Live(_) => ours(theirs),
            Presence::Deleted => self.seen(key).cloned().unwrap_or_else(|| ours(theirs)),
        }
    }

    fn park_conflicted(&mut self, seq: Seq, base: &Base, asks: Asks) {
        let conflict = self.open(seq, base, asks);
        let (id, by) = (conflict.id, conflict.op);
        self.conflicts.insert(id, conflict);
        if let Some(op) = self.op_mut(seq) {
            op.state = OpState::Parked(Parked::Conflicted(id));
        }
        self.block_followers(seq, by, true);
    }

    /// An edit that is made while a conflict is open is part of our side.
    pub(super) fn show_in_conflict(&mut self, op: &Operation) {
        let Some(conflict) = self.open_conflict(&op.key).cloned() else { return };
        let mine = op.replay(Some(&conflict.mine)).unwrap_or(Presence::Deleted);
        let fields = differing(&mine, &conflict.theirs);
        self.conflicts.insert(conflict.id, Conflict { mine, fields, ..conflict });
    }

    /// An edit that was made while a conflict was open is given up: our side is what is left without it.
    pub(super) fn without(&mut self, gone: &Operation) {
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
                    .try_fold(was, |view, op| op.replay(Some(&view)))
                    .unwrap_or(Presence::Deleted)
            }
        };
        conflict.fields = differing(&conflict.mine, &conflict.theirs);
        self.conflicts.insert(conflict.id, conflict);
    }

    /// A conflict's other side moved: both sides are shown as they are now (P19).
    pub(super) fn move_theirs(&mut self, id: ConflictId, base: &Base) {
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
    fn first(&self, key: &EntityKey) -> Option<&Operation> {
        let away = self.of(key).find(|op| op.is_away());
        away.or_else(|| self.of(key).find(|op| op.holds_the_record()))
    }

    /// Judges the first operation of a record each time it became first or its base moved (R6).
    fn promote(&mut self, key: &EntityKey) {
        // Each round ends an operation, parks one or stops: at most one round for each operation of the record.
        for _ in 0..=self.ops.len() {
            let Some(op) = self.first(key) else { return };
            if !op.is_fresh() {
                return;
            }
            let (seq, base) = (op.seq, self.base(key));
            let current = match (&op.assumed, base) {
                (Assumed::At(version), Some(base)) => base.version.as_ref() == Some(version),
                (Assumed::Nothing, None) | (Assumed::At(_) | Assumed::Unknown, None) => true,
                (Assumed::Unknown, Some(base)) => base.version.is_none(),
                (Assumed::Nothing, Some(_)) => false,
                (Assumed::After(before), base) => {
                    if self.waits_for_ack(*before) {
                        let assumed = base
                            .and_then(|base| base.version.clone())
                            .map_or(Assumed::Unknown, Assumed::At);
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

    fn waits_for_ack(&self, id: OpId) -> bool {
        self.find(id).is_some_and(|op| matches!(op.state, OpState::Acked { .. }))
    }

    /// Whether an operation could leave now, time aside (R11).
    fn is_ready(&self, op: &Operation) -> bool {
        matches!(op.state, OpState::Queued { .. })
            && !matches!(op.assumed, Assumed::After(_) if !op.is_sealed())
            && self.first(&op.key).is_some_and(|first| first.seq == op.seq)
            && (op.is_sealed()
                || op.refs.iter().all(|key| self.unsettled_create(key, op.seq).is_none()))
    }

    // Ending.

    /// Brings every touched record into order and turns the difference into a changeset.
    pub(super) fn finish<T>(mut self, output: impl FnOnce(Notice) -> T) -> Decision<T> {
        let mut done = Set::new();
        loop {
            let touched = std::mem::take(&mut self.touched);
            if touched.is_empty() {
                break;
            }
            for key in touched {
                if !done.contains(&key) {
                    self.promote(&key);
                    done.insert(key);
                }
            }
        }
        for key in &done {
            self.show(key);
        }
        // Whatever happened to a record may be what an operation that names it waited for.
        let concerned =
            |op: &&Operation| done.contains(&op.key) || op.refs.iter().any(|it| done.contains(it));
        let waits = |op: &Operation| {
            let mut refs = op.refs.clone();
            refs.retain(|key| self.creates_before(key, op.seq).next().is_some());
            (op.seq, refs, self.is_ready(op))
        };
        let waits: Vec<_> = self.ops.values().filter(concerned).map(waits).collect();
        for (seq, refs, ready) in waits {
            if let Some(op) = self.ops.get_mut(&seq) {
                (op.refs, op.ready) = (refs, ready);
            }
        }
        for (seq, op) in &self.ops {
            if self.was.ops.get(seq) != Some(op) {
                self.notice.changed.insert(op.key.clone());
                self.out.ops.insert(*seq, op.clone());
            }
        }
        for (id, conflict) in &self.conflicts {
            if self.was.conflicts.get(id) != Some(conflict) {
                self.notice.changed.insert(conflict.key.clone());
                self.out.conflicts.insert(*id, conflict.clone());
            }
        }
        self.count();
        self.out.keep_meta(&self.was.meta, self.meta);
        Decision { changes: self.out, output: output(self.notice) }
    }

    /// Stores what the application sees of a record, or takes out a record of which nothing is left.
    fn show(&mut self, key: &EntityKey) {
        let view = self.view(key);
        let was = self.was.records.get(key);
        let Some(mut record) = self
            .records
            .get(key)
            .cloned()
            .or_else(|| view.is_some().then(|| Record::new(key.clone())))
        else {
            return;
        };
        if was.and_then(|was| was.view.as_ref()) != view.as_ref() {
            record.modified = self.ctx.now.0;
            self.notice.changed.insert(key.clone());
        }
        record.view = view;
        if record.base.is_none() && record.view.is_none() {
            if was.is_some() {
                self.out.drop_records.push(key.clone());
            }
        } else if was != Some(&record) {
            self.out.records.insert(key.clone(), record);
        }
    }

    /// Moves the balance by the difference of what was read and what is left (R10).
    fn count(&mut self) {
        let seqs: Set<Seq> = self.was.ops.keys().chain(self.ops.keys()).copied().collect();
        for seq in seqs {
            let (was, is) = (self.was.ops.get(&seq), self.ops.get(&seq));
            if was == is {
                continue;
            }
            for (op, sign) in [(was, -1i64), (is, 1i64)] {
                let Some(op) = op else { continue };
                let counts = &mut self.meta.counts;
                let slot = match &op.state {
                    OpState::Queued { .. } | OpState::Acked { .. } => &mut counts.pending,
                    OpState::InFlight { .. } => {
                        counts.in_flight = counts.in_flight.saturating_add_signed(sign);
                        &mut counts.pending
                    }
                    OpState::Blocked { .. } => &mut counts.blocked,
                    OpState::Parked(Parked::Conflicted(_) | Parked::Rejected { .. }) => {
                        &mut counts.parked
                    }
                    OpState::Parked(Parked::HandedOver) => &mut counts.handed_over,
                };
                *slot = slot.saturating_add_signed(sign);
                let bytes = i64::try_from(op.bytes()).unwrap_or(i64::MAX);
                counts.bytes = counts.bytes.saturating_add_signed(sign * bytes);
            }
        }
        let open = |conflict: &Conflict| conflict.resolved.is_none();
        let ids: Set<_> = self.was.conflicts.keys().chain(self.conflicts.keys()).collect();
        for id in ids {
            let was = self.was.conflicts.get(id).is_some_and(open);
            let is = self.conflicts.get(id).is_some_and(open);
            let conflicts = &mut self.meta.counts.conflicts;
            *conflicts = conflicts.saturating_add_signed(i64::from(is) - i64::from(was));
        }
    }
}

/// Whether a record was made twice by its user: again while the first create was out of sight. Nobody else has a part in it, so
/// the later one says what was meant, as a create over a live record does (R1).
fn is_made_again(first: &Operation, again: &Operation) -> bool {
    first.is_create() && again.is_create() && first.owner == again.owner
}

fn op_id(op: Option<&Operation>) -> OpId {
    op.map_or_else(|| OpId::from_bytes([0; 16]), |op| op.id)
}

/// Whether an operation may have changed what stands at a path.
pub(super) fn touches(op: &Operation, path: &Path) -> bool {
    match &op.before {
        Before::Paths(paths) => paths.iter().any(|(at, _)| at.covers(path) || path.covers(at)),
        Before::Nothing | Before::Whole(_) => true,
    }
}

/// The paths that an operation gives a value of its own.
fn written(intent: &Intent) -> Vec<Path> {
    match intent {
        Intent::Create(document) | Intent::Replace(document) => {
            document.fields().into_iter().map(|(name, _)| Path::field(name)).collect()
        }
        Intent::Change(edits) => edits.iter().map(|edit| edit.path().clone()).collect(),
        Intent::Delete | Intent::Resolve(_) => Vec::new(),
    }
}

/// The values that edits find in a document (R4).
pub(super) fn before_of(document: Option<&Document>, edits: &[Edit]) -> Before {
    let mut paths: Vec<(Path, Slot)> = Vec::new();
    for edit in edits {
        if !paths.iter().any(|(path, _)| path == edit.path()) {
            let value = document.and_then(|document| document.get(&edit.path().0));
            paths.push((edit.path().clone(), Slot(value)));
        }
    }
    Before::Paths(paths)
}

/// The edits that bring back what an operation found.
pub(super) fn undo(before: &[(Path, Slot)]) -> Vec<Edit> {
    before.iter().rev().map(|(path, slot)| Edit::to(path.clone(), slot.0.clone())).collect()
}

fn kind_of(intent: &Intent, theirs: &Presence) -> ConflictKind {
    match (intent, theirs) {
        (Intent::Delete, _) => ConflictKind::DeleteUpdate,
        (_, Presence::Deleted) => ConflictKind::UpdateDelete,
        (Intent::Create(_), Presence::Live(_)) => ConflictKind::CreateCreate,
        (Intent::Change(_) | Intent::Replace(_) | Intent::Resolve(_), Presence::Live(_)) => {
            ConflictKind::UpdateUpdate
        }
    }
}

/// What both sides began with, as far as it is known.
fn ancestor(op: &Operation, theirs: &Presence) -> Option<Document> {
    match &op.before {
        Before::Nothing => None,
        Before::Whole(document) => document.clone(),
        Before::Paths(paths) => {
            theirs.document().map(|document| edit::apply(document, &undo(paths)))
        }
    }
}

/// Where two sides of a conflict differ.
pub(super) fn differing(mine: &Presence, theirs: &Presence) -> Vec<Path> {
    match (mine, theirs) {
        (Presence::Live(mine), Presence::Live(theirs)) => {
            edit::diff(theirs, mine).iter().map(|edit| edit.path().clone()).collect()
        }
        (Presence::Live(document), Presence::Deleted)
        | (Presence::Deleted, Presence::Live(document)) => {
            document.fields().into_iter().map(|(name, _)| Path::field(name)).collect()
        }
        (Presence::Deleted, Presence::Deleted) => Vec::new(),
    }
}
