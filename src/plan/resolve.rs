//! What a person decides (tx `resolve`): a side of a conflict, or what becomes of a parked operation. Each decision carries a
//! call id, so that a repeat of it is not taken for somebody else's (R22).

use super::coalesce;
use super::draft::{Draft, Notice, before_of, obstacle, touches, undo};
use super::identity::written;
use crate::model::edit;
use crate::model::map::{Listed, sort};
use crate::model::operation::sets;
use crate::model::references::named_by;
use crate::model::{
    Assumed, Before, Choice, Code, CollectionRules, Conflict, ConflictId, Ctx, Decider, Decision,
    Document, Edit, EntityKey, Fate, Intent, OpId, OpState, Operation, Parked, Path, Presence,
    Priority, Resolve, Resolved, Rules, Seq, Side, Slot, Snapshot, SyncError,
};

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// It is stored.
    Done {
        /// What changed.
        notice: Notice,
    },
    /// It was stored before, by the same call.
    Repeated,
    /// A side is no longer the one that was looked at: look again.
    Moved,
}

/// A decision on a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The conflict.
    pub id: ConflictId,
    /// What was chosen.
    pub choice: Choice,
    /// The conflict as it was looked at, where the caller knows that.
    pub seen: Option<Conflict>,
    /// The call.
    pub call: OpId,
}

/// What becomes of operations that cannot be applied without a discarded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependents {
    /// They are discarded too.
    Discard,
    /// Nothing is discarded then.
    Refuse,
}

fn refuse<T>(code: Code, message: &'static str) -> Decision<Result<T, SyncError>> {
    Decision::nothing(Err(SyncError::new(code, message)))
}

/// Settles an open conflict. Everything on the record that waited for it becomes one operation, or yields (SEMANTICS 4).
pub fn resolve(
    s: &Snapshot,
    ruling: &Ruling,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Resolution, SyncError>> {
    let Ruling { id, choice, seen, call } = ruling;
    let (id, call) = (*id, *call);
    let Some(conflict) = s.conflicts.get(&id) else {
        return refuse(Code::NotFound, "there is no such conflict");
    };
    match &conflict.resolved {
        Some(resolved) if resolved.call == Some(call) => {
            return Decision::nothing(Ok(Resolution::Repeated));
        }
        Some(_) => return refuse(Code::AlreadyResolved, "the conflict was resolved already"),
        None => {}
    }
    if seen.as_ref().is_some_and(|seen| conflict.has_moved(seen)) {
        return Decision::nothing(Ok(Resolution::Moved));
    }
    let choice = &match choice {
        Choice::Merged(Presence::Live(document)) => {
            match written(s, document, &rules.of(&conflict.key.collection).references) {
                Ok(document) => Choice::Merged(Presence::Live(document)),
                Err(error) => return Decision::nothing(Err(error)),
            }
        }
        Choice::Mine | Choice::Theirs | Choice::Merged(_) | Choice::Fields(_) => choice.clone(),
    };
    let Some(chosen) = chosen(choice, &conflict.mine, &conflict.theirs) else {
        return refuse(Code::InvalidValue, "a side for each field needs a document on both sides");
    };
    let mut draft = Draft::new(s, rules, ctx);
    let choice = choice.name().to_owned();
    let resolved = Resolved { by: Decider::Person, choice, at: ctx.now, call: Some(call) };
    settle(&mut draft, conflict, &chosen, resolved);
    draft.finish(|notice| Ok(Resolution::Done { notice }))
}

/// Closes an open conflict: what waited for it is one operation that leads from the server's side to the chosen one, or yields.
pub(super) fn settle(
    draft: &mut Draft<'_>,
    conflict: &Conflict,
    chosen: &Presence,
    resolved: Resolved,
) {
    let closed = Conflict { resolved: Some(resolved), ..conflict.clone() };
    draft.conflicts.insert(conflict.id, closed);
    let waiting = waiting(draft, conflict);
    match between(&conflict.theirs, chosen) {
        None => {
            for seq in &waiting {
                draft.finish_op(*seq, Fate::Yielded(conflict.id));
            }
        }
        Some((intent, before)) => {
            let version = draft.base(&conflict.key).and_then(|base| base.version.clone());
            let assumed = version.map_or(Assumed::Unknown, Assumed::At);
            let (intent, before) = told(conflict, chosen).unwrap_or((intent, before));
            let derived = replace_all(draft, &waiting, intent, before, assumed);
            draft.moved.extend(&waiting);
            if let Some(derived) = derived {
                draft.repoint(conflict.op, derived);
                // What refers to a conflicted create on another record was blocked by it.
                draft.release(derived);
            }
        }
    }
    draft.release(conflict.op);
    // Another member of its transaction may wait for a person too.
    let members = waiting.iter().copied();
    let members: Vec<Seq> =
        members.filter(|seq| draft.op(*seq).is_some_and(|op| op.group.is_some())).listed();
    draft.block_again(&members);
}

/// The conflicted operation and what is blocked by it on its record.
fn waiting(draft: &Draft<'_>, conflict: &Conflict) -> Vec<Seq> {
    let behind = |op: &Operation| {
        op.id == conflict.op || matches!(op.state, OpState::Blocked { by, .. } if by == conflict.op)
    };
    let queue = draft.queue(&conflict.key);
    queue.into_iter().filter(|seq| draft.op(*seq).is_some_and(behind)).listed()
}

/// One operation in the place of several: at the place of the first, with a new id, waiting for all that they waited for.
fn replace_all(
    draft: &mut Draft<'_>,
    seqs: &[Seq],
    intent: Intent,
    before: Before,
    assumed: Assumed,
) -> Option<OpId> {
    let (first, rest) = seqs.split_first()?;
    let id = draft.next_id();
    let mut refs: Vec<EntityKey> = Vec::new();
    let mut stamp = None;
    let mut urgent = None;
    // What a person decides as one thing stays in the first transaction that a part of it was in.
    let mut group = draft.op(*first).and_then(|op| op.group);
    for seq in rest {
        if let Some(op) = draft.finish_op(*seq, Fate::Superseded(id)) {
            refs.extend(op.refs);
            group = group.or(op.group);
            urgent = Some(urgent.map_or(op.priority, |known: Priority| known.min(op.priority)));
            stamp = stamp.max(Some(op.stamp));
        }
    }
    let old = draft.finish_op(*first, Fate::Superseded(id))?;
    refs.extend(old.refs.iter().cloned());
    let mut seq = old.seq;
    for (target, create) in waits(draft, &old.key, &intent) {
        refs.push(target);
        // What is named now may have been made later: it goes behind that.
        if create > seq {
            seq = draft.next_seq();
        }
    }
    sort(&mut refs);
    refs.dedup();
    draft.meta.counts.derived += 1;
    draft.add(Operation {
        seq,
        id,
        intent,
        before,
        assumed,
        refs,
        group,
        // Of two records that became one, what stands first may have been written last.
        stamp: stamp.map_or(old.stamp, |stamp| stamp.max(old.stamp)),
        priority: urgent.map_or(old.priority, |urgent| urgent.min(old.priority)),
        folded: Vec::new(),
        replaces: Some(old.id),
        sent: None,
        sends: 0,
        refusals: 0,
        state: OpState::queued(),
        ..old
    });
    Some(id)
}

/// The records that content names whose creates are not settled, with the places of these (R12). What waits for the record that the
/// content makes is not waited for: the two would wait for each other.
fn waits(draft: &Draft<'_>, key: &EntityKey, intent: &Intent) -> Vec<(EntityKey, Seq)> {
    let declared = &draft.rules.of(&key.collection).references;
    let mut named = named_by(intent, declared);
    let makes = matches!(intent, Intent::Create(_));
    named.retain(|target| target != key && !(makes && leads_to(draft, target, key)));
    let create = |it: &EntityKey| draft.unsettled_create(it, Seq(u64::MAX)).map(|op| op.seq);
    named.into_iter().filter_map(|target| create(&target).map(|seq| (target, seq))).listed()
}

/// Whether the create of a record waits for another record, by what it names and what that names.
fn leads_to(draft: &Draft<'_>, from: &EntityKey, to: &EntityKey) -> bool {
    let mut keys = vec![from.clone()];
    let mut at = 0;
    while let Some(key) = keys.get(at).cloned() {
        at += 1;
        let Some(create) = draft.unsettled_create(&key, Seq(u64::MAX)) else { continue };
        let before = draft.queue(&key).into_iter().take_while(|seq| *seq <= create.seq);
        for named in before.filter_map(|seq| draft.op(seq)).flat_map(|op| &op.refs) {
            if named == to {
                return true;
            }
            if !keys.contains(named) {
                keys.push(named.clone());
            }
        }
    }
    false
}

/// What leads from the server's side to the chosen one; nothing where they are the same.
fn between(theirs: &Presence, chosen: &Presence) -> Option<(Intent, Before)> {
    match (theirs, chosen) {
        (Presence::Live(theirs), Presence::Live(chosen)) => {
            let edits = edit::diff(theirs, chosen);
            let before = before_of(Some(theirs), &edits);
            (!edits.is_empty()).then_some((Intent::Change(edits), before))
        }
        (Presence::Live(theirs), Presence::Deleted) => {
            Some((Intent::Delete, Before::Whole(Some(theirs.clone()))))
        }
        (Presence::Deleted, Presence::Live(chosen)) => {
            Some((Intent::Create(chosen.clone()), Before::Nothing))
        }
        (Presence::Deleted, Presence::Deleted) => None,
    }
}

/// The decision in words of its own, where the server knows the conflict by a name and has such words.
fn told(conflict: &Conflict, chosen: &Presence) -> Option<(Intent, Before)> {
    let token = conflict.token.clone()?;
    let (theirs, _) = conflict.theirs.document().zip(chosen.document())?;
    let resolve = Resolve { token: Some(token), chosen: chosen.clone() };
    Some((Intent::Resolve(resolve), Before::Whole(Some(theirs.clone()))))
}

/// A choice as what it stands for; nothing where it does not fit the conflict.
pub(super) fn chosen(choice: &Choice, mine: &Presence, theirs: &Presence) -> Option<Presence> {
    match choice {
        Choice::Mine => Some(mine.clone()),
        Choice::Theirs => Some(theirs.clone()),
        Choice::Merged(presence) => Some(presence.clone()),
        Choice::Fields(sides) => {
            let (mine, theirs) = (mine.document()?, theirs.document()?);
            let edits: Vec<Edit> = sides
                .iter()
                .filter(|(_, side)| *side == Side::Mine)
                .map(|(path, _)| Edit::to(path.clone(), mine.get(&path.0)))
                .listed();
            Some(Presence::Live(edit::apply(theirs, &edits)))
        }
    }
}

/// Sends a rejected operation again as a new one, with what was blocked behind it on its record, over what the record is now;
/// `patch` changes it first.
pub fn retry(
    s: &Snapshot,
    id: OpId,
    patch: Option<&Document>,
    call: OpId,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Resolution, SyncError>> {
    let op = match parked(s, id, call) {
        Ok(Some(op)) => op,
        Ok(None) => return Decision::nothing(Ok(Resolution::Repeated)),
        Err(error) => return Decision::nothing(Err(error)),
    };
    let OpState::Parked(Parked::Rejected { snapshot, .. }) = &op.state else {
        return refuse(
            Code::InvalidValue,
            "only a rejected operation can be sent again; a conflict is resolved",
        );
    };
    let patch = match patch.map(|it| written(s, it, &rules.of(&op.key.collection).references)) {
        Some(Ok(patch)) => Some(patch),
        Some(Err(error)) => return Decision::nothing(Err(error)),
        None => None,
    };
    let patch = patch.as_ref();
    let mut draft = Draft::new(s, rules, ctx);
    let mut made = Vec::new();
    let mut view = draft.view(&op.key);
    let mut after = draft.last_visible(&op.key).map(|last| last.id);
    for (index, seq) in draft.standing_on(op).into_iter().enumerate() {
        let Some(old) = draft.op(seq).cloned() else { continue };
        let law = rules.of(&old.key.collection);
        let said = match patch.filter(|_| index == 0) {
            None => Some((old.intent.clone(), old.before.clone())),
            Some(patch) => coalesce::amend(&old, patch, snapshot.as_ref(), law),
        };
        let Some((intent, before)) = said else {
            return refuse(Code::InvalidValue, "a removal has no content to edit");
        };
        let old = Operation { intent, before, ..old };
        let Some((intent, before)) = over(&old, view.as_ref(), law) else {
            return refuse(Code::Gone, "the record that the operation changes is gone");
        };
        // The first of the new operations is the call: that makes a repeat of it recognisable.
        let new = if index == 0 { call } else { draft.next_id() };
        draft.finish_op(seq, Fate::Superseded(new));
        draft.meta.counts.derived += 1;
        let assumed = match (after, draft.base(&old.key)) {
            (Some(before), _) => Assumed::After(before),
            (None, None) => Assumed::Nothing,
            (None, Some(base)) => base.version.clone().map_or(Assumed::Unknown, Assumed::At),
        };
        view = intent.replay(view.as_ref());
        draft.repoint(old.id, new);
        let mut refs = old.refs.clone();
        refs.extend(waits(&draft, &old.key, &intent).into_iter().map(|(target, _)| target));
        sort(&mut refs);
        refs.dedup();
        let fresh = Operation {
            seq: draft.next_seq(),
            id: new,
            refs,
            intent,
            before,
            assumed,
            folded: Vec::new(),
            replaces: Some(old.id),
            sent: None,
            sends: 0,
            refusals: 0,
            state: OpState::queued(),
            ..old
        };
        draft.show_in_conflict(&fresh);
        made.push(fresh.seq);
        let joined = index == 0 && op.is_create() && !fresh.is_create();
        draft.add(fresh);
        if joined {
            stand_in(&mut draft, op);
        }
        after = Some(new);
    }
    draft.moved.extend(&made);
    draft.release(call);
    // What else they wait for holds them as it did before.
    draft.block_again(&made);
    draft.finish(|notice| Ok(Resolution::Done { notice }))
}

/// An operation in coordinates of what the record is now; nothing where there is nothing to change.
fn over(
    op: &Operation,
    view: Option<&Presence>,
    rules: &CollectionRules,
) -> Option<(Intent, Before)> {
    let live = view.and_then(Presence::document);
    let intent = match live {
        Some(live) => op.over(&|path| live.get(&path.0), rules),
        None => op.intent.clone(),
    };
    match (&intent, live) {
        // It sets its fields, as its replay does (R1): what others put there stays.
        (Intent::Create(document), Some(live)) => {
            let mut edits = sets(document);
            edits.retain(|edit| live.get(&edit.path().0).as_ref() != edit.value());
            let before = before_of(Some(live), &edits);
            Some((Intent::Change(edits), before))
        }
        (Intent::Create(document), None) => {
            Some((Intent::Create(document.clone()), Before::Nothing))
        }
        (Intent::Change(edits), Some(live)) => {
            Some((Intent::Change(edits.clone()), before_of(Some(live), edits)))
        }
        (Intent::Replace(_) | Intent::Delete | Intent::Resolve(_), Some(live)) => {
            Some((intent.clone(), Before::Whole(Some(live.clone()))))
        }
        (Intent::Change(_) | Intent::Replace(_) | Intent::Delete | Intent::Resolve(_), None) => {
            None
        }
    }
}

/// A parked or blocked operation; nothing where this very call took it out.
fn parked(s: &Snapshot, id: OpId, call: OpId) -> Result<Option<&Operation>, SyncError> {
    if let Some(op) = s.ops.values().find(|op| op.id == id) {
        return match op.state {
            OpState::Parked(_) | OpState::Blocked { .. } => Ok(Some(op)),
            OpState::Queued { .. } | OpState::InFlight { .. } | OpState::Acked { .. } => {
                let message = "the operation is on its way; only a parked one can be decided";
                Err(SyncError::new(Code::InvalidValue, message).of(id))
            }
        };
    }
    match s.settled.get(&id) {
        Some(row) if row.fate == Fate::Superseded(call) || row.call == Some(call) => Ok(None),
        Some(_) => {
            Err(SyncError::new(Code::AlreadyResolved, "the operation was decided already").of(id))
        }
        None => Err(SyncError::new(Code::NotFound, "there is no such operation").of(id)),
    }
}

/// What was given up: the operations, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discarded {
    /// Returned, so that an application can show or keep them. Empty for a repeat of the call that discarded them.
    pub operations: Vec<Operation>,
    /// What changed.
    pub notice: Notice,
}

/// Gives a parked or blocked operation up, at a person's word. With a create goes everything on its record, and every operation
/// that names it: none of that can ever be applied.
pub fn discard(
    s: &Snapshot,
    id: OpId,
    dependents: Dependents,
    call: OpId,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Discarded, SyncError>> {
    let mut draft = Draft::new(s, rules, ctx);
    let held = draft.find(id).is_some_and(|op| draft.is_held(op));
    let found = match s.ops.values().find(|op| op.id == id) {
        Some(op) if held => Ok(Some(op)),
        Some(_) | None => parked(s, id, call),
    };
    let op = match found {
        Ok(Some(op)) => op,
        Ok(None) => {
            let (operations, notice) = (Vec::new(), Notice::default());
            return Decision::nothing(Ok(Discarded { operations, notice }));
        }
        Err(error) => return Decision::nothing(Err(error)),
    };
    let mut operations = Vec::new();
    let mut gone: Vec<Seq> = match &op.intent {
        Intent::Create(_) => with_referrers(&draft, op),
        Intent::Change(_) | Intent::Replace(_) | Intent::Delete | Intent::Resolve(_) => {
            vec![op.seq]
        }
    };
    // What lives on another device is not ours to give up: of that, only what was named leaves the list.
    gone.retain(|seq| *seq == op.seq || !draft.op(*seq).is_some_and(is_elsewhere));
    if dependents == Dependents::Refuse && gone.len() > 1 {
        let other = gone.iter().filter_map(|seq| draft.op(*seq)).find(|other| other.id != id);
        let message = "other operations cannot be applied without it";
        let error = SyncError::new(Code::Referenced, message);
        return Decision::nothing(Err(other.map_or(error.clone(), |other| error.of(other.id))));
    }
    if let Some(sealed) = gone.iter().filter_map(|seq| draft.op(*seq)).find(|op| {
        matches!(op.state, OpState::InFlight { .. })
            || op.is_sealed() && matches!(op.state, OpState::Queued { .. }) && !draft.is_held(op)
    }) {
        let message = "an operation that depends on it may have reached the server";
        return Decision::nothing(Err(SyncError::new(Code::PendingWork, message).of(sealed.id)));
    }
    for seq in gone {
        let Some(op) = draft.op(seq).cloned() else { continue };
        if let Some(conflict) = op.conflict() {
            close(&mut draft, conflict, call, ctx);
        }
        let elsewhere = is_elsewhere(&op);
        draft.finish_op(seq, if elsewhere { Fate::HandedOver } else { Fate::Discarded });
        draft.with_call(call);
        if elsewhere {
            operations.push(op);
            continue;
        }
        compose_out(&mut draft, &op);
        draft.without(&op);
        if op.is_create() {
            stand_in(&mut draft, &op);
        }
        operations.push(op);
    }
    // What was blocked by one of them, or through one of them by another, may have no cause any more.
    for op in &operations {
        draft.release(op.id);
        if let OpState::Blocked { by, .. } = op.state {
            draft.release(by);
        }
    }
    draft.finish(|notice| Ok(Discarded { operations, notice }))
}

/// Where another operation makes the record of a create anew that was discarded, or that was sent again over it, it takes its
/// place: whoever named the record waits for that one now (R12), unless it waits for them itself.
fn stand_in(draft: &mut Draft<'_>, gone: &Operation) {
    let create = |seq: &Seq| draft.op(*seq).filter(|op| op.is_create());
    let Some(anew) = draft.queue(&gone.key).iter().find_map(create).cloned() else { return };
    if anew.refs.iter().any(|named| leads_to(draft, named, &gone.key)) {
        return;
    }
    if let Some(op) = draft.op_mut(anew.seq).filter(|op| op.replaces.is_none()) {
        op.replaces = Some(gone.id);
        draft.moved.push(anew.seq);
    }
}

fn is_elsewhere(op: &Operation) -> bool {
    op.state == OpState::Parked(Parked::HandedOver)
}

fn close(draft: &mut Draft<'_>, id: ConflictId, call: OpId, ctx: &Ctx) {
    if let Some(conflict) = draft.conflicts.get_mut(&id) {
        conflict.resolved = Some(Resolved {
            by: Decider::Person,
            choice: "theirs".to_owned(),
            at: ctx.now,
            call: Some(call),
        });
    }
}

/// A create, everything on its record that was made on it, and transitively everything that names what they make, unless
/// something else makes a record of that name or the server has one.
fn with_referrers(draft: &Draft<'_>, create: &Operation) -> Vec<Seq> {
    let mut gone = Vec::new();
    let mut creates = vec![create.clone()];
    while let Some(create) = creates.pop() {
        let mut depend = draft.standing_on(&create);
        let live = draft.base(&create.key).is_some_and(|base| base.presence.document().is_some());
        let anew = draft
            .queue(&create.key)
            .into_iter()
            .any(|seq| !depend.contains(&seq) && draft.op(seq).is_some_and(Operation::is_create));
        if !live && !anew {
            depend.extend(draft.referrers(&create.key));
        }
        for seq in depend {
            if gone.contains(&seq) {
                continue;
            }
            gone.push(seq);
            if let Some(op) = draft.op(seq).filter(|op| op.is_create()) {
                creates.push(op.clone());
            }
        }
    }
    sort(&mut gone);
    gone
}

/// What stood behind a discarded change was made on it: at its paths they stand on what it stood on.
fn compose_out(draft: &mut Draft<'_>, gone: &Operation) {
    // Those that were made on it, directly or on one another, in order.
    let mut chain: Vec<Operation> = Vec::new();
    let rules = draft.rules.of(&gone.key.collection);
    for seq in draft.queue(&gone.key) {
        let Some(op) = draft.op(seq) else { continue };
        let Assumed::After(on) = op.assumed else { continue };
        let directly = on == gone.id;
        if !directly && !chain.iter().any(|other| other.id == on) {
            continue;
        }
        let Some(op) = draft.op_mut(seq) else { continue };
        if directly {
            op.assumed = gone.assumed.clone();
        }
        let free = |path: &Path| !chain.iter().any(|other| touches(other, path));
        let mut found = op.before.clone();
        match (&mut found, &gone.before) {
            (Before::Paths(paths), Before::Paths(known)) => {
                let mut above = Vec::new();
                for (path, slot) in paths.iter_mut().filter(|(path, _)| free(path)) {
                    let Some(was) = undone(path, slot, known) else { continue };
                    if known.iter().any(|(at, _)| at != path && at.covers(path)) {
                        above.extend(obstacle(path, &was));
                    }
                    *slot = Slot(was.get(&path.0));
                }
                paths.extend(above);
            }
            (Before::Paths(paths), Before::Whole(Some(document))) => {
                let mut above = Vec::new();
                for (path, slot) in paths.iter_mut().filter(|(path, _)| free(path)) {
                    above.extend(obstacle(path, document));
                    *slot = Slot(document.get(&path.0));
                }
                paths.extend(above);
            }
            (Before::Whole(Some(document)), Before::Paths(known)) => {
                let known: Vec<_> = known.iter().filter(|(path, _)| free(path)).cloned().listed();
                *document = edit::apply(document, &undo(&known));
            }
            (Before::Whole(before), Before::Whole(was)) => {
                let was = was.clone().map(Presence::Live);
                let was = chain.iter().fold(was, |was, op| op.replay(was.as_ref(), rules));
                *before = was.as_ref().and_then(Presence::document).cloned();
            }
            (Before::Nothing | Before::Whole(_) | Before::Paths(_), _) => {}
        }
        op.stand_on(found, rules);
        chain.push(op.clone());
    }
}

/// What an operation found at a path and above it, had another not been: paths may lie above and below each other.
fn undone(path: &Path, found: &Slot, known: &[(Path, Slot)]) -> Option<Document> {
    let nothing = Document::parse("{}").ok()?;
    let alone = edit::apply(&nothing, &[Edit::to(path.clone(), found.0.clone())]);
    let touching: Vec<(Path, Slot)> =
        known.iter().filter(|(at, _)| at.covers(path) || path.covers(at)).cloned().listed();
    Some(edit::apply(&alone, &undo(&touching)))
}
