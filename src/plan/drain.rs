//! Draining while nothing can be written (R27, P27): only deletions commit, so every safe step forward is one.
//!
//! The marker is taken away (tx `drain.begin`), which seals what is in the outbox with the content that is stored. What leaves,
//! and what the server says, is known to the leader alone; the row of what the server has is deleted (tx `drain.settle`). With
//! the first transaction that has space (tx `drain.end`) everything is as if there had always been some.
//!
//! A later leader knows nothing of an earlier one's answers. It asks again, and the server repeats its verdicts (P6): so what an
//! operation says must follow from its row and from the verdicts before it, and a row stays until nothing needs its verdict.

use super::Deposed;
use super::draft::{Draft, Notice};
use super::pull;
use super::push::{self, Room, Settled, departure, fence, pick, settle_one};
use crate::model::map::{Listed, sort_by};
use crate::model::{
    Assumed, Base, Batch, Changeset, Ctx, Decision, Departure, EntityKey, Halt, Intent, Map, Meta,
    Millis, OpId, OpState, Operation, Outcome, Presence, PushReply, Reserve, Rules, SPARE_TERMS,
    Sent, Seq, Set, Snapshot, Term, Wall,
};

/// What a leader knows of an outbox that drains.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    /// Nothing left since the marker was taken away that is not known here.
    began: bool,
    /// A time further away than this is no time that was ever planned: a clock was set back (R19).
    horizon: Millis,
    /// What waits, as it stands now, and the records that it is about.
    queue: Snapshot,
    /// What the server has, by place.
    had: Map<Seq, Had>,
    /// Of these, rows that are still there.
    rows: Set<Seq>,
    /// Operations that say what they say only with the version that another made, after that one.
    stands: Vec<(OpId, Seq)>,
    /// Operations with a verdict of whatever kind.
    heard: Set<OpId>,
}

/// An operation that the server has.
#[derive(Debug, Clone)]
struct Had {
    op: Operation,
    departure: Departure,
    outcome: Outcome,
}

/// Takes the marker away, unless somebody did, and looks at all that waits. Nothing where there is nothing to drain, or no
/// reserve to draw on.
pub fn begin(s: &Snapshot, horizon: Millis, ctx: &Ctx) -> Decision<Result<Option<Drain>, Deposed>> {
    if let Err(deposed) = fence(s, ctx) {
        return Decision::nothing(Err(deposed));
    }
    let mut changes = Changeset::nothing();
    if !s.is_draining() {
        if s.meta.reserve == 0 || s.meta.counts.pending == 0 {
            return Decision::nothing(Ok(None));
        }
        changes.reserve = Some(Reserve::Draw);
    }
    Decision { changes, output: Ok(Some(Drain::of(s, horizon))) }
}

/// Deletes rows that nothing needs any more.
pub fn settle(s: &Snapshot, gone: &Set<Seq>, ctx: &Ctx) -> Decision<Result<(), Deposed>> {
    if let Err(deposed) = fence(s, ctx) {
        return Decision::nothing(Err(deposed));
    }
    let mut changes = Changeset::nothing();
    if s.is_draining() {
        gone.iter().for_each(|seq| changes.drain_op(*seq));
    }
    Decision { changes, output: Ok(()) }
}

/// What came of trying to write again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// There is space, and everything is written.
    Done(Notice),
    /// It was written before: the answer to the commit was lost (R22).
    Repeated,
    /// An earlier leader may have sent what cannot be told without an answer of the server: nothing was written.
    Unknown,
}

/// Writes what could not be written: verdicts, `sent` of what may have left, the balance, and the reserve.
pub fn end(
    s: &Snapshot,
    drain: &Drain,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Ended, Deposed>> {
    let term = match fence(s, ctx) {
        Ok(term) => term,
        Err(deposed) => return Decision::nothing(Err(deposed)),
    };
    if !s.is_draining() {
        return Decision::nothing(Ok(Ended::Repeated));
    }
    if drain.is_in_doubt(rules, ctx) {
        return Decision::nothing(Ok(Ended::Unknown));
    }
    let was = drain.with_rows_back(s, term);
    let mut draft = Draft::new(&was, rules, ctx);
    if !drain.began {
        let guessed = was.records.keys().filter(|key| keep_shown(&mut draft, key)).count();
        if guessed > 0 {
            // A base may have had what was deleted already, and then no pull from its cursor would ever bring it again.
            let there = s.cursors.values().filter(|row| !row.leaving);
            draft.out.cursors = there.map(|row| pull::anew(s, row.clone())).listed();
        }
    }
    for op in drain.left(rules, ctx) {
        let Some(row) = draft.op_mut(op.seq).filter(|row| row.id == op.id) else { continue };
        row.sends = op.sends;
        row.sent = Some(drain.sent(op, rules, ctx));
    }
    let mut settled = Settled::default();
    for (seq, had) in &drain.had {
        settle_one(&mut draft, *seq, &had.outcome, &mut settled);
    }
    // An operation that an earlier leader saw applied may have been the first of its record, or a create that others name.
    for op in was.ops.values() {
        draft.touch(&op.key);
    }
    if !drain.had.is_empty() {
        draft.meta.last_push = Some(ctx.now);
    }
    draft.meta.pull_due = true;
    draft.meta.reserve = SPARE_TERMS;
    let Decision { mut changes, output } = draft.finish(|notice| notice);
    changes.reserve = Some(Reserve::Fill);
    // The term is in no row but in what is left of the reserve.
    let meta = changes.meta.take().unwrap_or_else(|| was.meta.clone());
    changes.meta = Some(Meta { commits: s.meta.commits + 1, ..meta });
    Decision { changes, output: Ok(Ended::Done(output)) }
}

impl Drain {
    /// An outbox as its rows are.
    fn of(s: &Snapshot, horizon: Millis) -> Self {
        let mut queue = s.clone();
        let mut stands = Vec::new();
        for op in queue.ops.values_mut() {
            // Whose answer was lost, waits again; a time planned under an earlier term is not waited for (R19).
            let planned = match op.state {
                OpState::Queued { under, .. } => under.is_none_or(|term| term == s.meta.term),
                OpState::Acked { .. } | OpState::Blocked { .. } | OpState::Parked(_) => true,
                OpState::InFlight { .. } => false,
            };
            if !planned {
                op.state = OpState::queued();
            }
            if let (Assumed::After(other), false) = (&op.assumed, op.is_sealed()) {
                stands.push((*other, op.seq));
            }
        }
        Self { began: !s.is_draining(), horizon, queue, stands, ..Self::default() }
    }

    /// Picks what leaves now. Nothing is written: what is in the outbox counts as sealed.
    pub fn claim(&mut self, room: Room, rules: &Rules, ctx: &Ctx) -> Batch {
        let beyond = ctx.now.plus(self.horizon);
        let due = |op: &Operation| not_before(op).is_none_or(|at| at <= ctx.now || at > beyond);
        let whole = rules.wire.groups;
        let draft = Draft::new(&self.queue, rules, ctx);
        let mut ready: Vec<&Operation> = self
            .queue
            .ops
            .values()
            .filter(|op| draft.is_ready(op) && due(op) && (!whole || draft.mates(op).all(due)))
            .collect();
        sort_by(&mut ready, |a, b| (a.priority, a.seq) < (b.priority, b.seq));
        let chosen = pick(&ready, room, whole);
        let sizes = push::sizes(&chosen, whole);
        let leave = |op: &&Operation| {
            let op = Operation { sends: op.sends + 1, ..(*op).clone() };
            departure(&op, &self.sent(&op, rules, ctx), &sizes)
        };
        let operations: Vec<Departure> = chosen.iter().map(leave).collect();
        for departure in &operations {
            if let Some(op) = self.waiting(departure.op) {
                op.sends = departure.sends;
            }
        }
        Batch { operations, cursor: push::cursor(&self.queue) }
    }

    /// Takes an answer. What cannot be put into effect by a deletion waits, and is asked again.
    pub fn hear(&mut self, batch: &Batch, reply: &PushReply, rules: &Rules, ctx: &Ctx) -> Settled {
        let mut settled = Settled::default();
        let alone = batch.is_indivisible();
        for departure in &batch.operations {
            let Some(op) = self.waiting(departure.op).cloned() else { continue };
            // What this cycle cannot be rid of is for another.
            let backoff = rules.backoff.delay(departure.sends, ctx.jitter).max(rules.backoff.base);
            let said = reply.outcomes.iter().find(|(id, _)| *id == departure.op);
            let said = said.map(|(_, outcome)| outcome.clone());
            let refusal = || reply.halt.as_ref().filter(|_| alone).and_then(push::refusal);
            let wait = match (said.or_else(refusal), &reply.halt) {
                (Some(outcome), _) if is_done(&op, departure, &outcome) => {
                    settled.applied += 1;
                    settled.notice.changed.insert(op.key.clone());
                    settled.notice.settled.push(op.id);
                    settled.notice.settled.extend(&op.folded);
                    self.had(Had { op, departure: departure.clone(), outcome });
                    continue;
                }
                (Some(Outcome::Retry { after }), _) => {
                    after.map_or(backoff, |wish| rules.backoff.respect(wish))
                }
                (
                    Some(
                        Outcome::Applied { .. }
                        | Outcome::Conflict { .. }
                        | Outcome::Rejected { .. },
                    ),
                    _,
                ) => {
                    self.heard_of(&op, rules);
                    backoff
                }
                // One that makes the server talk nonsense is set aside for a while, so that others pass it (P10).
                (None, Some(Halt::Protocol)) if alone => backoff,
                (None, Some(_)) => Millis(0),
                (None, None) => backoff,
            };
            self.wait(&op, ctx.now.plus(wait), &mut settled);
        }
        settled
    }

    /// Rows that say nothing any more: the server has the operation, and nothing that waits needs its verdict.
    #[must_use]
    pub fn gone(&self) -> Set<Seq> {
        let mut stay: Set<Seq> = Set::new();
        loop {
            let known = stay.len();
            for (other, seq) in &self.stands {
                if self.queue.ops.contains_key(seq) || stay.contains(seq) {
                    stay.extend(
                        self.had.values().find(|it| it.op.id == *other).map(|it| it.op.seq),
                    );
                }
            }
            if stay.len() == known {
                return self.rows.iter().filter(|seq| !stay.contains(seq)).copied().collect();
            }
        }
    }

    /// These rows are deleted.
    pub fn forget(&mut self, gone: &Set<Seq>) {
        self.rows = self.rows.iter().filter(|seq| !gone.contains(seq)).copied().collect();
    }

    /// What the server said of an operation, or of the one that it was folded into, if it has it.
    #[must_use]
    pub fn applied(&self, id: OpId) -> Option<&Outcome> {
        let is = |it: &&Had| it.op.id == id || it.op.folded.contains(&id);
        self.had.values().find(is).map(|it| &it.outcome)
    }

    /// What the server has, as a request and its answer.
    #[must_use]
    pub fn exchange(&self) -> (Batch, PushReply) {
        let operations = self.had.values().map(|it| it.departure.clone()).collect();
        let outcomes = self.had.values().map(|it| (it.op.id, it.outcome.clone())).collect();
        (Batch { operations, cursor: None }, PushReply { outcomes, ..PushReply::default() })
    }

    /// Whether an earlier leader may have deleted what nobody knows any more: then every record has to be looked at.
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        !self.began
    }

    /// The records of what the server has.
    pub fn records(&self) -> impl Iterator<Item = &EntityKey> {
        self.had.values().map(|it| &it.op.key)
    }

    /// When the next one may leave that only waits for its time.
    #[must_use]
    pub fn next_due(&self) -> Option<Wall> {
        self.queue.ops.values().filter_map(not_before).min()
    }

    /// A verdict tells of the mates too, where the server has all of a group or none: one that waits for a refused mate may never
    /// get a verdict of its own (R14).
    fn heard_of(&mut self, op: &Operation, rules: &Rules) {
        self.heard.insert(op.id);
        if rules.wire.groups && op.group.is_some() {
            let mates = self.queue.ops.values().filter(|it| it.group == op.group);
            self.heard.extend(mates.map(|mate| mate.id).listed());
        }
    }

    fn waiting(&mut self, id: OpId) -> Option<&mut Operation> {
        self.queue.ops.values_mut().find(|op| op.id == id)
    }

    fn wait(&mut self, op: &Operation, at: Wall, settled: &mut Settled) {
        settled.retried += 1;
        settled.next_due = Some(settled.next_due.map_or(at, |due| due.min(at)));
        if let Some(op) = self.queue.ops.get_mut(&op.seq) {
            op.state = OpState::Queued { not_before: Some(at), under: None };
        }
    }

    /// The server has it: what stands on it says what it says now. What was made on something else than this one made, because
    /// this one had been brought over a foreign change, has to be judged, and that takes a row (R6).
    fn had(&mut self, had: Had) {
        let (id, seq) = (had.op.id, had.op.seq);
        let version = match &had.outcome {
            Outcome::Applied { version, .. } => version.clone(),
            Outcome::Conflict { .. } | Outcome::Rejected { .. } | Outcome::Retry { .. } => None,
        };
        self.queue.ops.remove(&seq);
        let record = self.queue.records.get_mut(&had.op.key);
        let on = record.as_ref().and_then(|record| record.base.as_ref()).map(|it| &it.presence);
        let made = had.op.intent.replay(on);
        for (_, follower) in self.stands.iter().filter(|(other, _)| *other == id) {
            let document = made.as_ref().and_then(Presence::document);
            if let Some(op) = self.queue.ops.get_mut(follower).filter(|op| op.found(document)) {
                op.assumed = version.clone().map_or(Assumed::Unknown, Assumed::At);
            }
        }
        // What a wire is told of the next one may be the whole record: with what this one made of it.
        if let Some(record) = record {
            record.base =
                made.map(|presence| Base { presence, version, stamp: None, guessed: true });
        }
        self.heard.insert(id);
        self.rows.insert(seq);
        self.had.insert(seq, had);
    }

    fn sent(&self, op: &Operation, rules: &Rules, ctx: &Ctx) -> Sent {
        let device = self.queue.meta.device.unwrap_or_else(|| ctx.ids.device(1));
        op.sent.clone().unwrap_or_else(|| push::sent(&self.queue, op, device, rules))
    }

    /// What may have left, under this term or before: whatever could leave by now, and whatever did.
    fn left<'a>(&'a self, rules: &'a Rules, ctx: &'a Ctx) -> impl Iterator<Item = &'a Operation> {
        let draft = Draft::new(&self.queue, rules, ctx);
        let waiting = self.queue.ops.values().filter(move |op| op.sends > 0 || draft.is_ready(op));
        self.had.values().map(|it| &it.op).chain(waiting)
    }

    /// Whether an earlier leader may have had a verdict that this one has not, and have sent what stands on it.
    fn is_in_doubt(&self, rules: &Rules, ctx: &Ctx) -> bool {
        let draft = Draft::new(&self.queue, rules, ctx);
        let unheard = |id: OpId| {
            let ready = |op: &Operation| op.id == id && draft.is_ready(op);
            self.queue.ops.values().any(ready) && !self.heard.contains(&id)
        };
        let waits = |seq: &Seq| self.queue.ops.contains_key(seq);
        !self.began && self.stands.iter().any(|(other, seq)| waits(seq) && unheard(*other))
    }

    /// The outbox as if nothing had been taken out of it that is known here.
    fn with_rows_back(&self, s: &Snapshot, term: Term) -> Snapshot {
        let mut was = s.clone();
        for had in self.had.values() {
            let state = OpState::InFlight { term };
            was.ops.insert(had.op.seq, Operation { state, ready: false, ..had.op.clone() });
        }
        was.meta.counts = was.recounted();
        was
    }
}

/// A record that shows more than its base and what is known of: an earlier leader deleted the rest, which the server has. It stands
/// as a guess until everything has been pulled, with what was acked in it, so that nothing goes out of sight and the next edit finds
/// what its user sees.
fn keep_shown(draft: &mut Draft<'_>, key: &EntityKey) -> bool {
    let waits = |op: &Operation| op.is_visible() && !matches!(op.state, OpState::Acked { .. });
    if draft.queue(key).into_iter().filter_map(|seq| draft.op(seq)).any(waits) {
        return false;
    }
    let Some(record) = draft.records.get(key) else { return false };
    let now = draft.view(key);
    let Some(view) = record.view.clone().filter(|shown| now.as_ref() != Some(shown)) else {
        return false;
    };
    let known = record.base.as_ref();
    let base = Base {
        presence: view,
        version: known.and_then(|base| base.version.clone()),
        stamp: known.and_then(|base| base.stamp),
        guessed: true,
    };
    draft.has_acked(key);
    draft.record_mut(key).base = Some(base);
    true
}

fn not_before(op: &Operation) -> Option<Wall> {
    match op.state {
        OpState::Queued { not_before, .. } => not_before,
        OpState::InFlight { .. }
        | OpState::Acked { .. }
        | OpState::Blocked { .. }
        | OpState::Parked(_) => None,
    }
}

/// Whether an answer can be put into effect by deleting the row. A name that the server gives cannot be kept: without the row
/// nobody would know that the record it will tell of is ours (R16).
fn is_done(op: &Operation, departure: &Departure, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Applied { assigned_id, .. } => {
            assigned_id.as_ref().is_none_or(|assigned| *assigned == departure.id)
        }
        Outcome::Rejected { code, .. } => {
            matches!(op.intent, Intent::Delete) && (code == "not-found" || code == "gone")
        }
        Outcome::Conflict { .. } | Outcome::Retry { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Backoff, Before, Capabilities, CursorRow, DeviceId, Document, Epoch, IdSeed, Owner, Parked,
        Priority, Record, Scope, Stamp, Version,
    };

    const SEED: IdSeed = IdSeed { at: Wall(1), random: [7; 10] };
    const HOUR: Millis = Millis(3_600_000);
    const ROOM: Room = Room { operations: 100, bytes: 1_000_000 };

    fn ctx(now: u64) -> Ctx {
        Ctx { now: Wall(now), term: Some(Term(0)), ids: SEED, jitter: 0 }
    }

    fn op(seq: u64, id: &str, assumed: Assumed) -> Operation {
        let document = Document::parse("{}").unwrap();
        let intent = match assumed {
            Assumed::Nothing => Intent::Create(document),
            Assumed::At(_) | Assumed::After(_) | Assumed::Unknown => Intent::Replace(document),
        };
        let before = match &intent {
            Intent::Replace(document) => Before::Whole(Some(document.clone())),
            Intent::Create(_) | Intent::Change(_) | Intent::Delete | Intent::Resolve(_) => {
                Before::Nothing
            }
        };
        Operation {
            seq: Seq(seq),
            id: SEED.op(u32::try_from(seq).unwrap()),
            key: EntityKey::new("orders", id),
            intent,
            before,
            assumed,
            stamp: Stamp { millis: 1, counter: 0, device: DeviceId::from_bytes([1; 16]) },
            priority: Priority::Normal,
            group: None,
            refs: Vec::new(),
            owner: Owner::default(),
            schema: 0,
            folded: Vec::new(),
            replaces: None,
            sent: None,
            sends: 0,
            refusals: 0,
            state: OpState::queued(),
            ready: false,
        }
    }

    /// Three of one record, the later ones made on the earlier, and one of another; the marker is gone.
    fn outbox() -> Snapshot {
        let after = |seq| Assumed::After(SEED.op(seq));
        let ops = [
            op(1, "a", Assumed::Nothing),
            op(2, "a", after(1)),
            op(3, "b", Assumed::Nothing),
            op(4, "a", after(2)),
        ];
        let records = ops.iter().map(|op| (op.key.clone(), Record::new(op.key.clone()))).collect();
        let ops: Map<Seq, Operation> = ops.into_iter().map(|op| (op.seq, op)).collect();
        let mut meta = Meta { reserve: SPARE_TERMS, ..Meta::default() };
        (meta.counts.accepted, meta.counts.pending) = (4, 4);
        Snapshot { ops, records, meta, spares: Some(SPARE_TERMS), ..Snapshot::default() }
    }

    fn version(number: u64) -> Option<Version> {
        Some(Version::Number(number))
    }

    fn applied(number: u64, assigned: Option<&str>) -> Outcome {
        let assigned_id = assigned.map(str::to_owned);
        Outcome::Applied { version: version(number), presence: None, stamp: None, assigned_id }
    }

    fn says(outcomes: Vec<(u32, Outcome)>) -> PushReply {
        let outcomes = outcomes.into_iter().map(|(n, it)| (SEED.op(n), it)).collect();
        PushReply { outcomes, ..PushReply::default() }
    }

    fn leaves(drain: &mut Drain, now: u64) -> Batch {
        drain.claim(ROOM, &Rules::default(), &ctx(now))
    }

    fn ids(batch: &Batch) -> Vec<OpId> {
        batch.operations.iter().map(|it| it.op).collect()
    }

    fn rows(seqs: &[u64]) -> Set<Seq> {
        seqs.iter().copied().map(Seq).collect()
    }

    /// R27, P5, P7: one of a record at a time, each on the version that the one before it made; rows stay while they are needed.
    #[test]
    fn a_later_operation_stands_on_what_the_earlier_one_made() {
        let rules = Rules::default();
        let mut drain = Drain::of(&outbox(), HOUR);
        let first = leaves(&mut drain, 0);
        assert_eq!(ids(&first), [SEED.op(1), SEED.op(3)]);
        let reply = says(vec![(1, applied(5, None)), (3, applied(1, None))]);
        assert_eq!(drain.hear(&first, &reply, &rules, &ctx(0)).applied, 2);
        assert_eq!(drain.gone(), rows(&[3]), "1 is asked for again after a restart");
        drain.forget(&rows(&[3]));
        let second = leaves(&mut drain, 0);
        assert_eq!(second.operations.first().unwrap().assumed, version(5));
        drain.hear(&second, &says(vec![(2, applied(6, None))]), &rules, &ctx(0));
        assert_eq!(drain.gone(), rows(&[]));
        let third = leaves(&mut drain, 0);
        assert_eq!(third.operations.first().unwrap().assumed, version(6));
        drain.hear(&third, &says(vec![(4, applied(7, None))]), &rules, &ctx(0));
        assert_eq!(drain.gone(), rows(&[1, 2, 4]), "all that was needed goes at once");

        // Another leader, after the first two had their verdicts: the server repeats them, and the third says the same.
        let mut later = Drain::of(&outbox(), HOUR);
        for (n, number) in [(1, 5), (2, 6)] {
            let batch = leaves(&mut later, 0);
            later.hear(&batch, &says(vec![(n, applied(number, None))]), &rules, &ctx(0));
            leaves(&mut later, 60_000);
        }
        assert_eq!(leaves(&mut later, 60_000).operations.last().unwrap().assumed, version(6));
    }

    /// R27, R16: what needs a row stays, and is asked again later; what stands on it waits.
    #[test]
    fn what_needs_a_row_stays() {
        let backoff = Backoff { base: Millis(500), ..Backoff::default() };
        let rules = Rules { backoff, ..Rules::default() };
        let rejected = |code: &str| Outcome::Rejected {
            code: code.into(),
            message: String::new(),
            last: true,
        };
        let conflict =
            Outcome::Conflict { theirs: crate::model::Theirs::Unknown, other: None, token: None };
        for outcome in [
            applied(5, Some("S-1")),
            rejected("validation"),
            rejected("not-found"),
            conflict,
            Outcome::Retry { after: Some(Millis(500)) },
        ] {
            let mut drain = Drain::of(&outbox(), HOUR);
            let first = leaves(&mut drain, 0);
            let reply = says(vec![(1, outcome.clone()), (3, applied(1, Some("b")))]);
            let late = Ctx { jitter: 500, ..ctx(0) };
            let settled = drain.hear(&first, &reply, &rules, &late);
            assert_eq!((settled.applied, settled.retried), (1, 1), "{outcome:?}");
            assert_eq!(drain.gone(), rows(&[3]), "its own name is no new one");
            assert_eq!(drain.next_due(), Some(Wall(500)), "{outcome:?}");
            assert!(leaves(&mut drain, 499).is_empty());
            assert_eq!(ids(&leaves(&mut drain, 500)), [SEED.op(1)], "asked again, {outcome:?}");
        }
    }

    /// R27: an answer that is missing is no answer; one that removes what was never there is as good as done.
    #[test]
    fn only_what_the_server_has_goes() {
        let rules = Rules::default();
        let mut s = outbox();
        s.ops.get_mut(&Seq(3)).unwrap().intent = Intent::Delete;
        let mut drain = Drain::of(&s, HOUR);
        let batch = leaves(&mut drain, 0);
        let gone = Outcome::Rejected { code: "gone".into(), message: String::new(), last: true };
        assert_eq!(drain.hear(&batch, &says(vec![(3, gone)]), &rules, &ctx(0)).applied, 1);
        assert_eq!(drain.gone(), rows(&[3]));
        let batch = leaves(&mut drain, 60_000);
        let halted = PushReply::halted(Halt::Unreachable);
        assert_eq!(drain.hear(&batch, &halted, &rules, &ctx(60_000)).applied, 0);
        assert_eq!(
            ids(&leaves(&mut drain, 60_000)),
            [SEED.op(1)],
            "at once, when somebody answers"
        );
    }

    /// R27: only a leader that did not see it from the beginning can be in doubt, and only where something stands on an operation
    /// that it has no verdict on.
    #[test]
    fn a_drain_that_was_cut_ends_only_with_an_answer() {
        let rules = Rules::default();
        let ended = |drain: &Drain| end(&outbox(), drain, &rules, &ctx(0)).output;
        let mut later = Drain::of(&outbox(), HOUR);
        assert_eq!(ended(&later), Ok(Ended::Unknown));
        let began = Drain::of(&Snapshot { spares: None, ..outbox() }, HOUR);
        assert!(matches!(ended(&began), Ok(Ended::Done(_))));
        let batch = leaves(&mut later, 0);
        later.hear(&batch, &says(vec![(1, applied(5, None))]), &rules, &ctx(0));
        assert_eq!(ended(&later), Ok(Ended::Unknown), "2 may have been applied, and 4 have left");
        let batch = leaves(&mut later, 0);
        later.hear(&batch, &says(vec![(2, applied(6, None))]), &rules, &ctx(0));
        assert!(matches!(ended(&later), Ok(Ended::Done(_))));
    }

    /// R27, R6: what was made on something else than the one before it makes, because that had been brought over a foreign change, is
    /// judged, and that takes a row: it stays, with the row that it stands on.
    #[test]
    fn what_has_to_be_judged_waits_for_a_row() {
        let rules = Rules::default();
        let mut s = outbox();
        s.ops.get_mut(&Seq(2)).unwrap().before =
            Before::Whole(Some(Document::parse(r#"{"n":1}"#).unwrap()));
        let mut drain = Drain::of(&s, HOUR);
        let first = leaves(&mut drain, 0);
        drain.hear(
            &first,
            &says(vec![(1, applied(5, None)), (3, applied(1, None))]),
            &rules,
            &ctx(0),
        );
        assert!(leaves(&mut drain, 60_000).is_empty());
        assert_eq!(drain.gone(), rows(&[3]));
    }

    /// R27, R14: where the server has all of a group or none, a refused mate is a verdict on all of them: what stands on one of
    /// these cannot have left, and the drain comes to its end.
    #[test]
    fn a_refused_mate_leaves_no_doubt() {
        let mut s = outbox();
        for seq in [1, 3] {
            s.ops.get_mut(&Seq(seq)).unwrap().group = Some(SEED.group(9));
        }
        for groups in [true, false] {
            let wire = Capabilities { groups, ..Capabilities::default() };
            let rules = Rules { wire, ..Rules::default() };
            let mut later = Drain::of(&s, HOUR);
            let batch = later.claim(ROOM, &rules, &ctx(0));
            let refused =
                Outcome::Rejected { code: "bad".into(), message: String::new(), last: true };
            let reply = says(vec![(3, refused), (1, Outcome::Retry { after: None })]);
            later.hear(&batch, &reply, &rules, &ctx(0));
            let ended = end(&s, &later, &rules, &ctx(0)).output;
            assert_eq!(ended != Ok(Ended::Unknown), groups);
        }
    }

    /// R19: a time that the present leader planned is waited for, one of an earlier leader is not.
    #[test]
    fn a_time_that_an_earlier_leader_planned_is_not_waited_for() {
        for (under, now, leaves_now) in
            [(None, 499, false), (Some(2), 499, false), (Some(2), 500, true), (Some(1), 0, true)]
        {
            let mut s = outbox();
            s.meta.term = Term(2);
            s.ops.get_mut(&Seq(1)).unwrap().state =
                OpState::Queued { not_before: Some(Wall(500)), under: under.map(Term) };
            let mut drain = Drain::of(&s, HOUR);
            let left = ids(&leaves(&mut drain, now)).contains(&SEED.op(1));
            assert_eq!(left, leaves_now, "{under:?} {now}");
        }
    }

    /// R9: an operation ends with the writes in it, and all of them are told.
    #[test]
    fn the_writes_in_an_operation_are_told_with_it() {
        let mut s = outbox();
        s.ops.get_mut(&Seq(3)).unwrap().folded = vec![SEED.op(8)];
        let mut drain = Drain::of(&s, HOUR);
        let batch = leaves(&mut drain, 0);
        let reply = says(vec![(3, applied(1, None))]);
        let settled = drain.hear(&batch, &reply, &Rules::default(), &ctx(0));
        assert_eq!(settled.notice.settled, [SEED.op(3), SEED.op(8)]);
    }

    /// R27, P5: what left is sealed, even if by now it could not leave any more: it names a record that was there, and whose refused
    /// create counts again since the record was removed.
    #[test]
    fn what_left_is_sealed_even_if_it_would_wait_now() {
        let rules = Rules::default();
        let mut s = outbox();
        let document = Document::parse("{}").unwrap();
        s.ops.retain(|seq, _| seq.0 < 4);
        let refused =
            Parked::Rejected { code: "bad".into(), message: String::new(), snapshot: None };
        s.ops.get_mut(&Seq(1)).unwrap().state = OpState::Parked(refused);
        let removal = s.ops.get_mut(&Seq(2)).unwrap();
        removal.intent = Intent::Delete;
        removal.assumed = Assumed::At(Version::Number(4));
        let names = s.ops.get_mut(&Seq(3)).unwrap();
        names.refs = vec![EntityKey::new("orders", "a")];
        let base = Base {
            presence: Presence::Live(document),
            version: version(4),
            stamp: None,
            guessed: false,
        };
        s.records.get_mut(&EntityKey::new("orders", "a")).unwrap().base = Some(base);
        let mut drain = Drain::of(&s, HOUR);
        let batch = leaves(&mut drain, 0);
        assert_eq!(ids(&batch), [SEED.op(2), SEED.op(3)]);
        let retry = Outcome::Retry { after: None };
        drain.hear(&batch, &says(vec![(2, applied(5, None)), (3, retry)]), &rules, &ctx(0));
        let changes = end(&s, &drain, &rules, &ctx(0)).changes;
        assert!(changes.ops.get(&Seq(3)).is_some_and(Operation::is_sealed));
    }

    /// P22, R22: a lower term writes nothing; a repeat changes nothing.
    #[test]
    fn a_lower_term_and_a_repeat_write_nothing() {
        let rules = Rules::default();
        let drain = Drain::of(&Snapshot { spares: None, ..outbox() }, HOUR);
        let s = Snapshot { meta: Meta { term: Term(9), ..outbox().meta }, ..outbox() };
        let old = ctx(0);
        assert_eq!(begin(&s, HOUR, &old).changes, Changeset::nothing());
        assert_eq!(settle(&s, &rows(&[1]), &old), Decision::nothing(Err(Deposed)));
        assert_eq!(end(&s, &drain, &rules, &old), Decision::nothing(Err(Deposed)));
        let whole = Snapshot { spares: None, ..outbox() };
        assert_eq!(settle(&whole, &rows(&[1]), &old), Decision::nothing(Ok(())));
        assert_eq!(end(&whole, &drain, &rules, &old), Decision::nothing(Ok(Ended::Repeated)));
    }

    /// R27, P12: what an earlier leader deleted stays in sight where its record still shows it, and the next edit finds it.
    #[test]
    fn what_a_record_shows_outlives_the_leader_that_drained_it() {
        let rules = Rules::default();
        let live = |text: &str| Presence::Live(Document::parse(text).unwrap());
        let key = EntityKey::new("orders", "c");
        let base =
            Base { presence: live(r#"{"n":1}"#), version: version(4), stamp: None, guessed: false };
        let view = Some(live(r#"{"n":2}"#));
        let shown = Record { base: Some(base), view, ..Record::new(key.clone()) };
        let mut s = outbox();
        s.ops = Map::new();
        s.records.insert(key.clone(), shown.clone());
        s.cursors.insert(Scope::all(), CursorRow::new(Scope::all()));
        let mut acked = op(1, "c", Assumed::Nothing);
        acked.state = OpState::Acked { pull_after: Epoch(0) };
        let mut with_acked = s.clone();
        with_acked.ops.insert(Seq(1), acked);
        for (s, drain, kept) in [
            (&s, Drain::of(&s, HOUR), true),
            (&with_acked, Drain::of(&with_acked, HOUR), true),
            (&s, Drain::of(&Snapshot { spares: None, ..s.clone() }, HOUR), false),
        ] {
            let changes = end(s, &drain, &rules, &ctx(0)).changes;
            let base = changes.records.get(&key).and_then(|record| record.base.clone());
            let guess =
                Base { presence: live(r#"{"n":2}"#), guessed: true, ..shown.base.clone().unwrap() };
            assert_eq!(base, kept.then_some(guess));
            assert_eq!(changes.cursors.iter().any(|row| row.rebuilding), kept, "what is guessed");
        }
    }

    /// R27, R10: the balance, the reserve and `sent` of what may have left; what cannot have left stays open to edits.
    #[test]
    fn the_end_writes_what_could_not_be_written() {
        let rules = Rules::default();
        let mut drain = Drain::of(&Snapshot { spares: None, ..outbox() }, HOUR);
        let batch = leaves(&mut drain, 0);
        drain.hear(&batch, &says(vec![(3, applied(1, None))]), &rules, &ctx(0));
        let mut s = outbox();
        s.ops.remove(&Seq(3));
        let Decision { changes, output } = end(&s, &drain, &rules, &ctx(0));
        assert!(matches!(output, Ok(Ended::Done(_))));
        let meta = changes.meta.as_ref().unwrap();
        assert_eq!((meta.counts.pending, meta.counts.applied), (3, 1));
        assert!(meta.counts.balances());
        assert_eq!((meta.reserve, changes.reserve), (SPARE_TERMS, Some(Reserve::Fill)));
        assert_eq!((meta.commits, meta.pull_due), (1, true));
        assert_eq!((changes.settled.len(), changes.journal.len()), (1, 1), "R9");
        assert!(changes.ops.get(&Seq(1)).unwrap().is_sealed(), "it left");
        let waits = |seq| changes.ops.get(&Seq(seq)).is_some_and(Operation::is_sealed);
        assert!(!waits(2) && !waits(4), "they cannot have left");
    }
}
