//! What leaves now (tx `push.claim`), and what the answer means (tx `push.settle`).

use super::Deposed;
use super::draft::{Draft, Notice};
use super::identity::{outward, server_id};
use super::pull::take_page;
use super::shape::shaped;
use crate::model::map::{Listed, sort_by};
use crate::model::{
    Assumed, Base, Batch, Changeset, Ctx, Cursor, Decision, Departure, DeviceId, Epoch, Fate,
    GroupId, Halt, Intent, Map, Millis, OpState, Operation, Outcome, Presence, PushReply, Rules,
    Scope, Sent, Seq, Set, Snapshot, Term, Theirs, Version, Wall,
};
use crate::planted::{self, Bug};

/// The server's own refusals of one operation before it is parked (R8).
pub const REFUSALS: u32 = 3;

/// What leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Sealed operations.
    pub batch: Batch,
    /// How much that is: of user data, without what the wire puts around it.
    pub size: Room,
    /// When the next one may leave that only waits for its time.
    pub next_due: Option<Wall>,
}

/// How large a request may be now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Operations.
    pub operations: usize,
    /// Bytes of user data.
    pub bytes: u64,
}

/// Picks and seals what leaves now: what is in flight for nobody, then the ready index in its order.
///
/// Nothing is being sent while this runs, so every operation in flight is one whose answer was lost: with an earlier leader,
/// or with a commit of this one whose result we never saw (R22).
pub fn claim(
    s: &Snapshot,
    room: Room,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Claimed, Deposed>> {
    let term = match fence(s, ctx) {
        Ok(term) => term,
        Err(deposed) => return Decision::nothing(Err(deposed)),
    };
    let strands = |op: &Operation| {
        planted::has(Bug::ClaimStrands) && op.state == (OpState::InFlight { term })
    };
    let lost = s.ops.values().filter(|op| matches!(op.state, OpState::InFlight { .. }));
    let lost = lost.filter(|op| !strands(op));
    let stops = planted::has(Bug::ParkedBlocksAll) && s.meta.counts.parked > 0;
    let mut ready: Vec<&Operation> = s.ops.values().filter(|op| op.ready && !stops).listed();
    sort_by(&mut ready, |a, b| (a.priority, a.seq) < (b.priority, b.seq));
    let candidates: Vec<&Operation> = lost.chain(ready).listed();
    let whole = rules.wire.groups && !planted::has(Bug::GroupTorn);
    let mut chosen = pick(&candidates, room, whole);
    if planted::has(Bug::BlockedInTheWay) {
        chosen.retain(|op| !matches!(op.state, OpState::Blocked { .. }));
    }
    let mut changes = Changeset::nothing();
    let mut meta = s.meta.clone();
    let device = *meta.device.get_or_insert_with(|| ctx.ids.device(1));
    let mut operations = Vec::new();
    let sizes = sizes(&chosen, whole);
    let bytes = chosen.iter().map(|op| op.bytes()).sum();
    for op in chosen {
        let mut op = op.clone();
        let sealed = op.sent.clone().filter(|_| !planted::has(Bug::EncodedAnew));
        let sent = sealed.unwrap_or_else(|| sent(s, &op, device, rules));
        if !matches!(op.state, OpState::InFlight { .. }) {
            meta.counts.in_flight += 1;
        }
        op.state = OpState::InFlight { term };
        op.ready = false;
        op.sends += 1;
        operations.push(departure(&op, &sent, &sizes));
        if !planted::has(Bug::SealedInMemory) {
            op.sent = Some(sent);
        }
        changes.ops.insert(op.seq, op);
    }
    changes.keep_meta(&s.meta, meta);
    let size = Room { operations: operations.len(), bytes };
    let batch = Batch { operations, cursor: cursor(s) };
    Decision { changes, output: Ok(Claimed { batch, size, next_due: s.next_due }) }
}

/// What a wire is told where that is not the intent: in its own shape, and by the server's names.
fn as_sent(s: &Snapshot, op: &Operation, rules: &Rules) -> Option<Intent> {
    let record = s.records.get(&op.key);
    let base = record.and_then(|record| record.base.as_ref()).map(|base| &base.presence);
    let shaped = shaped(op, base, rules);
    outward(s, &op.key, shaped.as_ref().unwrap_or(&op.intent), rules).or(shaped)
}

/// What the server calls the conflict that an operation decides.
fn decides(intent: &Intent) -> Option<String> {
    match intent {
        Intent::Resolve(resolve) => resolve.token.clone(),
        Intent::Create(_) | Intent::Change(_) | Intent::Replace(_) | Intent::Delete => None,
    }
}

/// How far was pulled, for answers that go on from there. What is being pulled anew goes its own way (R25).
pub(super) fn cursor(s: &Snapshot) -> Option<Cursor> {
    let row = s.cursors.get(&Scope::all()).filter(|row| !row.rebuilding)?;
    row.cursor.clone()
}

/// As many operations as a request has room for, in their order; what is left of a transaction in one piece where `whole`.
pub(super) fn pick<'a>(
    candidates: &[&'a Operation],
    room: Room,
    whole: bool,
) -> Vec<&'a Operation> {
    let mut chosen: Vec<&Operation> = Vec::new();
    let mut bytes = 0;
    for op in candidates {
        let piece = match op.group.filter(|_| whole) {
            Some(_) if chosen.iter().any(|known| known.seq == op.seq) => continue,
            Some(group) => in_one_piece(candidates, group),
            None => vec![*op],
        };
        let more: u64 = piece.iter().map(|op| op.bytes()).sum();
        let fits = chosen.len() + piece.len() <= room.operations && bytes + more <= room.bytes;
        if chosen.is_empty() || fits {
            bytes += more;
            chosen.extend(piece);
        }
    }
    chosen
}

/// How many of each transaction leave together, where the wire takes them `whole`.
pub(super) fn sizes(chosen: &[&Operation], whole: bool) -> Map<GroupId, u32> {
    let mut sizes = Map::new();
    for group in chosen.iter().filter_map(|op| op.group.filter(|_| whole)) {
        *sizes.or_default(group) += 1;
    }
    sizes
}

/// What leaves of an operation that never left: nothing but its row and its record's names decide it.
pub(super) fn sent(s: &Snapshot, op: &Operation, device: DeviceId, rules: &Rules) -> Sent {
    Sent {
        id: server_id(s, &op.key),
        device,
        assumed: match &op.assumed {
            Assumed::At(version) => Some(version.clone()),
            Assumed::Nothing | Assumed::After(_) | Assumed::Unknown => None,
        },
        action: as_sent(s, op, rules),
        stamp: op.stamp,
    }
}

/// An operation as it leaves.
pub(super) fn departure(op: &Operation, sent: &Sent, sizes: &Map<GroupId, u32>) -> Departure {
    Departure {
        op: op.id,
        seq: op.seq,
        collection: op.key.collection.clone(),
        own: op.key.id.clone(),
        id: sent.id.clone(),
        intent: sent.action.clone().unwrap_or_else(|| op.intent.clone()),
        decides: decides(&op.intent),
        assumed: sent.assumed.clone(),
        stamp: sent.stamp,
        device: sent.device,
        group: op.group.and_then(|group| Some((group, *sizes.get(&group)?))),
        sends: op.sends,
    }
}

/// What is left of a transaction, which leaves in one piece (R14): in order, but a create before what names its record, wherever
/// a person's decision has put it.
fn in_one_piece<'a>(candidates: &[&'a Operation], group: GroupId) -> Vec<&'a Operation> {
    let mut rest: Vec<&Operation> =
        candidates.iter().copied().filter(|op| op.group == Some(group)).listed();
    sort_by(&mut rest, |a, b| a.seq < b.seq);
    let mut piece = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let waits = |op: &Operation| {
            let awaited = |other: &&Operation| other.is_create() && op.refs.contains(&other.key);
            rest.iter().any(|other| other.seq != op.seq && awaited(other))
        };
        let next = rest.iter().position(|op| !waits(op)).unwrap_or(0);
        piece.push(rest.remove(next));
    }
    piece
}

/// A leader whose term is not the newest changes nothing (P22).
pub(super) fn fence(s: &Snapshot, ctx: &Ctx) -> Result<Term, Deposed> {
    match ctx.term {
        Some(term) if term == s.meta.term || planted::has(Bug::MissingFence) => Ok(term),
        Some(_) | None => Err(Deposed),
    }
}

/// What an answer did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// Operations that the server has.
    pub applied: u32,
    /// Operations that met a change of the server's.
    pub conflicts: u32,
    /// Operations that were parked as rejected.
    pub parked: u32,
    /// Operations that leave again later.
    pub retried: u32,
    /// When the earliest of these may leave.
    pub next_due: Option<Wall>,
    /// What changed.
    pub notice: Notice,
}

/// Whether losing the answer would lose more than a repeat brings back: then it is stored strictly (R21).
#[must_use]
pub fn must_keep(reply: &PushReply) -> bool {
    reply.outcomes.iter().any(|(_, outcome)| match outcome {
        Outcome::Applied { assigned_id, .. } => assigned_id.is_some(),
        Outcome::Conflict { .. } | Outcome::Rejected { .. } => true,
        Outcome::Retry { .. } => false,
    })
}

/// Puts the answer to a batch into effect, all of it in one changeset. An operation that is no longer in flight under this
/// term and departure is left alone: an echo settled it, or a later leader has it.
pub fn settle(
    s: &Snapshot,
    batch: &Batch,
    reply: &PushReply,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Settled, Deposed>> {
    let term = match fence(s, ctx) {
        Ok(term) => term,
        Err(deposed) => return Decision::nothing(Err(deposed)),
    };
    let mut draft = Draft::new(s, rules, ctx);
    let mut settled = Settled::default();
    draft.learn_time(reply.time);
    let alone = batch.is_indivisible();
    // Transactions of which a member had its verdict: the others were not tried, and are no fault of anybody.
    let failed: Set<GroupId> = batch
        .operations
        .iter()
        .filter(|departure| {
            reply.outcomes.iter().any(|(id, outcome)| {
                *id == departure.op
                    && matches!(outcome, Outcome::Conflict { .. } | Outcome::Rejected { .. })
            })
        })
        .filter_map(|departure| departure.group.map(|(group, _)| group))
        .collect();
    let verdict_on = |op| reply.outcomes.iter().find(|(id, _)| *id == op);
    // Names come before all else: what is said of one record may name another.
    for departure in &batch.operations {
        if let Some(seq) = flying(&draft, departure, term)
            && let Some((_, outcome)) = verdict_on(departure.op)
        {
            name(&mut draft, seq, outcome);
        }
    }
    for departure in &batch.operations {
        let Some(seq) = flying(&draft, departure, term) else { continue };
        let verdict = verdict_on(departure.op);
        match (verdict.map(|(_, outcome)| outcome), &reply.halt) {
            (Some(Outcome::Retry { after: None }), _)
                if departure.group.is_some_and(|(group, _)| failed.contains(&group)) =>
            {
                // Together with what takes the failing one's place, at once; a server that never has enough is asked ever later.
                let again = departure.sends.checked_sub(REFUSALS).filter(|times| *times > 0);
                let wait = again.map(|times| rules.backoff.delay(times, ctx.jitter));
                requeue(&mut draft, seq, wait, &mut settled);
            }
            (Some(outcome), _) => settle_one(&mut draft, seq, outcome, &mut settled),
            (None, Some(Halt::Unreachable))
                if planted::has(Bug::AttemptsLimit) && departure.sends >= REFUSALS =>
            {
                refuse(&mut draft, seq, ("unreachable", "no network"), true, &mut settled);
            }
            (None, Some(halt)) => match refusal(halt).filter(|_| alone) {
                Some(outcome) => settle_one(&mut draft, seq, &outcome, &mut settled),
                None => {
                    // One that makes the server talk nonsense is set aside for a while, so that others pass it (P10).
                    let poison = alone && *halt == Halt::Protocol;
                    let wait = poison.then(|| rules.backoff.delay(departure.sends, ctx.jitter));
                    requeue(&mut draft, seq, wait, &mut settled);
                }
            },
            (None, None) => {
                let wait = rules.backoff.delay(departure.sends, ctx.jitter);
                requeue(&mut draft, seq, Some(wait), &mut settled);
            }
        }
    }
    draft.meta.pull_due |= settled.applied > 0;
    if reply.halt.is_none() {
        draft.meta.last_push = Some(ctx.now);
    }
    if let Some(page) = &reply.page {
        take_page(&mut draft, s, batch.cursor.as_ref(), page);
    }
    draft.finish(|notice| Ok(Settled { notice, ..settled }))
}

/// Where an operation stands that left so and has no verdict yet.
fn flying(draft: &Draft<'_>, departure: &Departure, term: Term) -> Option<Seq> {
    let op = draft.find(departure.op)?;
    let flies = op.state == (OpState::InFlight { term }) && op.sends == departure.sends;
    flies.then_some(op.seq)
}

/// Keeps what the server calls the record of an operation (R16, R17). A record that has a name gets another only where it is made
/// anew: an answer to anything else cannot lead the name elsewhere.
fn name(draft: &mut Draft<'_>, seq: Seq, outcome: &Outcome) {
    let Some(op) = draft.op(seq) else { return };
    let (key, makes) = (op.key.clone(), op.is_create());
    let unnamed = draft.records.get(&key).is_none_or(|record| record.server_id.is_none());
    match outcome {
        Outcome::Applied { assigned_id: Some(assigned), .. } if makes || unnamed => {
            draft.name(&key, assigned);
        }
        Outcome::Conflict { other: Some(other), .. } if makes => {
            draft.name_other(&key, other);
        }
        Outcome::Applied { .. }
        | Outcome::Conflict { .. }
        | Outcome::Rejected { .. }
        | Outcome::Retry { .. } => {}
    }
}

/// What a refusal of a whole request means to its only operation (R7).
pub(super) fn refusal(halt: &Halt) -> Option<Outcome> {
    let rejected = |code: &str, message: &str| {
        let (code, message) = (code.to_owned(), message.to_owned());
        Some(Outcome::Rejected { code, message, last: true })
    };
    match halt {
        Halt::TooLarge => rejected("too-large", "the server takes no request of this size"),
        Halt::BatchRefused => rejected("refused", "the server refused the request"),
        Halt::Unreachable
        | Halt::Foreign
        | Halt::Auth
        | Halt::Forbidden
        | Halt::Misconfigured
        | Halt::Later(_)
        | Halt::Expired
        | Halt::Protocol
        | Halt::Unreadable => None,
    }
}

fn requeue(draft: &mut Draft<'_>, seq: Seq, wait: Option<Millis>, settled: &mut Settled) {
    let (not_before, term) = (wait.map(|wait| draft.ctx.now.plus(wait)), draft.ctx.term);
    if let Some(op) = draft.op_mut(seq) {
        op.state = OpState::Queued { not_before, under: not_before.and(term) };
    }
    settled.retried += 1;
    if let Some(at) = not_before {
        settled.next_due = Some(settled.next_due.map_or(at, |due| due.min(at)));
    }
}

pub(super) fn settle_one(
    draft: &mut Draft<'_>,
    seq: Seq,
    outcome: &Outcome,
    settled: &mut Settled,
) {
    let Some(op) = draft.op(seq).cloned() else { return };
    let (key, is_delete) = (op.key.clone(), matches!(op.intent, Intent::Delete));
    match outcome {
        Outcome::Applied { version, presence, stamp, assigned_id } => {
            settled.applied += 1;
            let never_known = version.is_none() && *presence == Some(Presence::Deleted);
            if never_known {
                return finish_removal(draft, &op);
            }
            // What left before a name was known may say another than ours.
            let result = presence.clone().or_else(|| op_result(draft, seq));
            let known = result.is_some();
            let base = Base {
                presence: result.map_or(Presence::Deleted, |it| draft.inward(&key.collection, &it)),
                version: version.clone(),
                stamp: *stamp,
                guessed: presence.is_none(),
            };
            // A pull that is under way may be past the record.
            let pull_after = Epoch(draft.meta.pulls.0 + u64::from(draft.is_filling()));
            if !known {
                // The row that the change was made on cannot be read (any more). A pull tells what there is (R2).
                return draft.acked_at(seq, &base, pull_after);
            }
            if !comparable(draft.base(&key), version.as_ref()) {
                if follows(draft, &op) {
                    return draft.acked_as(seq, base, pull_after);
                }
                if base.version.is_some() {
                    return draft.overtaken(seq, &base, assigned_id.clone());
                }
                return draft.acked_at(seq, &base, pull_after);
            }
            draft.applied(seq, base, assigned_id.clone());
        }
        Outcome::Conflict { theirs, other: None, .. }
            if draft.generation_of(&key).is_some() && is_older(draft, &op, theirs) =>
        {
            // The server was set back, or this is a very old answer: told when everything has been pulled anew (R25).
            let wait = draft.rules.backoff.delay(op.sends, draft.ctx.jitter);
            requeue(draft, seq, Some(wait), settled);
        }
        Outcome::Conflict { theirs, other: None, .. }
            if draft.meta.pull_due
                && is_older(draft, &op, theirs)
                && contradicts(draft, &op, theirs) =>
        {
            // Until a pull has come to its end nobody can know that the server was set back.
            let wait = draft.rules.backoff.delay(op.sends, draft.ctx.jitter);
            requeue(draft, seq, Some(wait), settled);
        }
        Outcome::Conflict { theirs, other: None, .. } if contradicts(draft, &op, theirs) => {
            draft.meta.pull_due |= is_older(draft, &op, theirs);
            let message = "a conflict with the version that the operation was made on";
            refuse(draft, seq, ("protocol-error", message), false, settled);
        }
        Outcome::Conflict { theirs, token, .. } => {
            settled.conflicts += 1;
            let base = match theirs {
                Theirs::Live { document, version, stamp } => Some(Base {
                    presence: draft.inward(&key.collection, &Presence::Live(document.clone())),
                    version: version.clone(),
                    stamp: *stamp,
                    guessed: false,
                }),
                Theirs::Deleted { version, stamp } => Some(Base {
                    presence: Presence::Deleted,
                    version: version.clone(),
                    stamp: *stamp,
                    guessed: false,
                }),
                Theirs::Unknown => None,
            };
            if let Some(base) = base {
                let known = draft.base(&key);
                if comparable(known, base.version.as_ref()) {
                    draft.take_base(&key, base);
                } else if follows(draft, &op) {
                    draft.has_acked(&key);
                    draft.take_base(&key, base);
                }
            }
            draft.token.clone_from(token);
            draft.repeated = draft.rules.wire.weak_replay && op.sends > 1;
            match draft.open_conflict(&key).filter(|_| op.is_create()).cloned() {
                Some(conflict) => draft.join_conflict(seq, &conflict),
                None => draft.decide(seq, true),
            }
            (draft.token, draft.repeated) = (None, false);
        }
        Outcome::Rejected { code, .. } if is_delete && (code == "not-found" || code == "gone") => {
            settled.applied += 1;
            finish_removal(draft, &op);
        }
        Outcome::Rejected { code, message, last } => {
            refuse(draft, seq, (code, message), *last, settled);
        }
        Outcome::Retry { after } => {
            let backoff = draft.rules.backoff;
            let wait = match after {
                Some(wish) => backoff.respect(*wish),
                None => backoff.delay(op.sends, draft.ctx.jitter),
            };
            requeue(draft, seq, Some(wait), settled);
        }
    }
}

/// The server's own refusal of one operation: parked if it is for good or the third, else asked again (R8).
fn refuse(
    draft: &mut Draft<'_>,
    seq: Seq,
    (code, message): (&str, &str),
    last: bool,
    settled: &mut Settled,
) {
    let Some(op) = draft.op_mut(seq) else { return };
    op.refusals += 1;
    let (refusals, sends) = (op.refusals, op.sends);
    if last || refusals >= REFUSALS {
        settled.parked += 1;
        draft.park_rejected(seq, code.to_owned(), message.to_owned());
    } else {
        let wait = draft.rules.backoff.delay(sends, draft.ctx.jitter);
        requeue(draft, seq, Some(wait), settled);
    }
}

/// Whether the server calls a conflict what we said we knew, or something older: a stored answer is old, but never older than
/// what we had seen when we asked, unless the server was set back since, as a full pull has told. Judged, it would be sent
/// again at once, and so for ever.
fn contradicts(draft: &Draft<'_>, op: &Operation, theirs: &Theirs) -> bool {
    let known = op.sent.as_ref().and_then(|sent| sent.assumed.as_ref());
    let base = draft.base(&op.key).and_then(|base| base.version.as_ref());
    let set_back = known.is_some_and(|known| base.is_none_or(|base| is_after(known, base)));
    known.is_some() && known == said(draft, op, theirs) || is_older(draft, op, theirs) && !set_back
}

/// Whether an answer names a version that is older than the one that the operation was made on.
fn is_older(draft: &Draft<'_>, op: &Operation, theirs: &Theirs) -> bool {
    let known = op.sent.as_ref().and_then(|sent| sent.assumed.as_ref());
    known.zip(said(draft, op, theirs)).is_some_and(|(known, said)| is_after(known, said))
}

fn is_after(version: &Version, other: &Version) -> bool {
    version.newer_than(other) == Some(true)
}

/// The version that a conflict is about.
fn said<'a>(draft: &'a Draft<'_>, op: &Operation, theirs: &'a Theirs) -> Option<&'a Version> {
    match theirs {
        Theirs::Live { version, .. } | Theirs::Deleted { version, .. } => version.as_ref(),
        Theirs::Unknown => draft.base(&op.key).and_then(|base| base.version.as_ref()),
    }
}

/// The server has no such record, so that it is removed is already true, at no version of its own.
///
/// The answer may be one that the server gave long ago. Where the base is no longer the version that was to be removed, or is of
/// another generation than that (R25), it is of a later time than the answer and stays.
fn finish_removal(draft: &mut Draft<'_>, op: &Operation) {
    let version = draft.base(&op.key).and_then(|base| base.version.clone());
    let assumed = op.sent.as_ref().and_then(|sent| sent.assumed.clone());
    let comparable = matches!(op.assumed, Assumed::At(_));
    if version.is_some() && (version != assumed || !comparable) {
        draft.finish_op(op.seq, Fate::Applied);
        return;
    }
    let base = Base { presence: Presence::Deleted, version, stamp: None, guessed: false };
    draft.record_mut(&op.key).base = Some(base.clone());
    draft.applied(op.seq, base, None);
    draft.shade_removal(&op.key, assumed.as_ref());
}

/// The record after an operation, as far as we can tell.
fn op_result(draft: &Draft<'_>, seq: Seq) -> Option<Presence> {
    let op = draft.op(seq)?;
    op.intent.replay(draft.base(&op.key).map(|base| &base.presence))
}

/// Whether what the server says of an operation is newer than our base, on a wire whose versions do not tell: nothing was
/// pulled since the operation was made. Else the answer may be one that the server gave long ago.
fn follows(draft: &Draft<'_>, op: &Operation) -> bool {
    let assumed = op.sent.as_ref().and_then(|sent| sent.assumed.as_ref());
    draft.base(&op.key).is_none_or(|base| base.version.as_ref() == assumed)
}

/// Whether the verdict's version can be compared with later ones; else the operation waits for a pull (3.3).
fn comparable(base: Option<&Base>, version: Option<&Version>) -> bool {
    match (version, base.and_then(|base| base.version.as_ref())) {
        (Some(Version::Opaque(_)) | None, _) => false,
        (Some(_), None) => true,
        (Some(new), Some(known)) => new.newer_than(known).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OpId;

    /// R21.
    #[test]
    fn only_what_a_repeat_would_not_bring_back_is_kept_strictly() {
        let applied = |assigned_id| Outcome::Applied {
            version: None,
            presence: None,
            stamp: None,
            assigned_id,
        };
        let id = OpId::from_bytes([1; 16]);
        for (outcome, keep) in [
            (applied(None), false),
            (applied(Some("9".to_owned())), true),
            (Outcome::Retry { after: None }, false),
            (Outcome::Conflict { theirs: Theirs::Unknown, other: None, token: None }, true),
            (Outcome::Rejected { code: String::new(), message: String::new(), last: false }, true),
        ] {
            let reply = PushReply { outcomes: vec![(id, outcome)], ..PushReply::default() };
            assert_eq!(must_keep(&reply), keep, "{reply:?}");
        }
    }
}
