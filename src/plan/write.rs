//! A local write: from what the user did to one operation, or into one that waits (tx `write`).

use super::coalesce::{self, Folding};
use super::draft::{Draft, Notice, before_of};
use super::identity::written;
use super::limits;
use crate::model::References;
use crate::model::edit;
use crate::model::map::{Listed, sort};
use crate::model::{
    Assumed, Before, Code, Ctx, Decision, Document, Edit, EntityKey, Fate, GroupId, Intent, OpId,
    OpState, Operation, Owner, Path, Presence, Priority, Rules, Seq, Snapshot, Stamp, SyncError,
};
use crate::planted::{self, Bug};

/// What the user did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The write's name: a repeat of it changes nothing (R22).
    pub id: OpId,
    /// The record.
    pub key: EntityKey,
    /// What is done to it.
    pub action: Action,
    /// Instead of the collection's priority.
    pub priority: Option<Priority>,
    /// Records that the new content names.
    pub refs: Vec<EntityKey>,
    /// Whose it is.
    pub owner: Owner,
    /// The application's schema number.
    pub schema: u32,
}

/// What is done to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Made.
    Create(Document),
    /// Changed by an RFC 7396 merge patch.
    Patch(Document),
    /// Given a new document.
    Replace(Document),
    /// Taken away.
    Remove,
    /// Brought back to the losing side of a conflict (P18).
    Restore {
        /// The losing side.
        side: Presence,
        /// Where it was another than the winning one. What else the record is by now, stays.
        fields: Vec<Path>,
    },
}

/// An accepted write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The record.
    pub key: EntityKey,
    /// The operation that carries the write: its own, or the one it was folded into.
    pub op: OpId,
    /// What changed.
    pub notice: Notice,
}

/// Accepts a write or refuses it with nothing changed (P1, P4).
pub fn write(
    s: &Snapshot,
    write: &Write,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Written, SyncError>> {
    if let Some(op) = accepted_before(s, write.id) {
        let key = write.key.clone();
        return Decision::nothing(Ok(Written { key, op, notice: Notice::default() }));
    }
    let mut draft = Draft::new(s, rules, ctx);
    let done = accept(&mut draft, s, write, Place::default())
        .and_then(|done| limits::room(&draft).map(|()| done));
    match done {
        Ok((key, op)) => draft.finish(|notice| Ok(Written { key, op, notice })),
        Err(error) => Decision::nothing(Err(error)),
    }
}

/// The members of a transaction at the most: what the standard protocol takes in one piece.
pub const MEMBERS: usize = 50;

/// What a transaction became: its writes in order, and what changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenTogether {
    /// For each write its record and the operation that carries it.
    pub writes: Vec<(EntityKey, OpId)>,
    /// What changed.
    pub notice: Notice,
}

/// Accepts writes all or none (P2, R14): each on what those before it made. Two of one record become one member; a member never
/// goes into an operation outside. One write alone is a write.
pub fn transaction(
    s: &Snapshot,
    writes: &[Write],
    group: GroupId,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<WrittenTogether, SyncError>> {
    let refuse = |error| Decision::nothing(Err(error));
    if writes.len() > MEMBERS {
        let message = "a transaction has at most 50 members";
        return refuse(SyncError::new(Code::TooLarge, message).at("members"));
    }
    let known = |write: &Write| Some((write.key.clone(), accepted_before(s, write.id)?));
    if let Some(writes) = writes.iter().map(known).collect::<Option<Vec<_>>>() {
        let notice = Notice::default();
        return Decision::nothing(Ok(WrittenTogether { writes, notice }));
    }
    let mut draft = Draft::new(s, rules, ctx);
    let urgency = |write: &Write| match write.priority {
        Some(priority) => priority,
        None => rules.of(&write.key.collection).priority,
    };
    let place = Place {
        group: Some(group).filter(|_| writes.len() > 1),
        // What leaves together is as urgent as the most urgent of it.
        priority: writes.iter().map(urgency).min(),
    };
    let mut written = Vec::with_capacity(writes.len());
    for (index, write) in writes.iter().enumerate() {
        let done = accept(&mut draft, s, write, place)
            .and_then(|done| limits::room(&draft).map(|()| done));
        match done {
            Ok(done) => written.push(done),
            Err(error) => {
                let within = error.path.as_deref().map_or(String::new(), |it| format!("/{it}"));
                return refuse(error.at(format!("members/{index}{within}")));
            }
        }
    }
    draft.block_with_mates(group);
    draft.finish(|notice| Ok(WrittenTogether { writes: written, notice }))
}

/// Where a write stands among those that are accepted with it.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Their transaction.
    group: Option<GroupId>,
    /// Of all of them.
    priority: Option<Priority>,
}

/// Accepts one write into a draft; the record and the operation that carries it. After an error the draft is of no use.
fn accept(
    draft: &mut Draft<'_>,
    s: &Snapshot,
    write: &Write,
    place: Place,
) -> Result<(EntityKey, OpId), SyncError> {
    let Some(collection) = draft.rules.collections.get(&write.key.collection) else {
        let message = format!("no collection `{}` was declared", write.key.collection);
        return Err(SyncError::new(Code::UnknownCollection, message));
    };
    if collection.read_only {
        let message = ["the backend takes no writes of `", &*write.key.collection, "`"].concat();
        return Err(SyncError::new(Code::ReadOnly, message));
    }
    let key = s.own_key(&write.key);
    let view = draft.view(&key);
    let action = in_own_ids(s, &write.action, &collection.references)?;
    let intent = match intent_of(&action, view.as_ref()) {
        Ok(intent) => intent,
        Err(Refused::RemovedAlready) => {
            return match draft.last_visible(&key) {
                Some(op) if matches!(op.intent, Intent::Delete) && op.group == place.group => {
                    let op = op.id;
                    Ok(repeated_remove(draft, op, write, key))
                }
                _ => Err(gone()),
            };
        }
        Err(Refused::Because(error)) => return Err(error),
    };
    limits::content(&write.action, &intent, view.as_ref(), &draft.rules.limits)?;

    let stamp = next_stamp(draft);
    let waits: Vec<(EntityKey, Seq)> = write
        .refs
        .iter()
        .map(|named| s.own_key(named))
        .filter(|target| *target != key)
        .filter_map(|target| {
            draft.unsettled_create(&target, Seq(u64::MAX)).map(|op| op.seq).map(|it| (target, it))
        })
        .listed();
    let priority = place.priority.or(write.priority).unwrap_or(collection.priority);
    draft.meta.counts.accepted += 1;

    // What a fresh member names is not newer than the member itself: only a transaction's own later create is.
    let tangled = |draft: &Draft<'_>, older: &Operation| {
        waits.iter().any(|(_, it)| {
            *it > older.seq || older.group.is_none() && draft.waits_for(*it, older.seq)
        })
    };
    if collection.coalesce
        && let Some(older) = host(draft, &key, write, place)
        && (planted::has(Bug::FoldedInFront) || !tangled(draft, &older))
    {
        let beneath = || draft.view_without(&key, older.seq);
        let folding = match coalesce::fold(&older, &intent, view.as_ref(), &beneath, collection) {
            // Somebody else made the record meanwhile: without our create it would still be there, and the user removed it.
            Folding::Annihilate if matches!(beneath(), Some(Presence::Live(_))) => Folding::Apart,
            // So it would be if a transaction below it came to nothing.
            Folding::Annihilate if draft.stands_on_member(&older) => Folding::Apart,
            // Made anew while something else was out of sight that is shown again: in the create it could not say what goes (R1).
            Folding::Into(..)
                if older.is_create() && matches!(beneath(), Some(Presence::Live(_))) =>
            {
                Folding::Apart
            }
            folding @ (Folding::Into(..) | Folding::Annihilate | Folding::Apart) => folding,
        };
        match folding {
            Folding::Into(folded, before) => {
                let host = older.id;
                if place.group.is_some() {
                    draft.show_in_conflict(&Operation { intent, ..older.clone() });
                }
                let mut op = Operation { intent: folded, before, stamp, ..older };
                op.priority = op.priority.min(priority);
                op.folded.push(write.id);
                if !matches!(write.action, Action::Patch(_) | Action::Restore { .. }) {
                    // The older content is not sent, so what it named is not waited for.
                    op.refs.clear();
                }
                op.refs.extend(waits.into_iter().map(|(target, _)| target));
                sort(&mut op.refs);
                op.refs.dedup();
                draft.fold_write(write.id, &key, host);
                draft.add(op.clone());
                inherit(draft, &op);
                return Ok((key, host));
            }
            Folding::Annihilate => {
                if let Some(referrer) = draft.referrer(&key) {
                    let message = "an operation that waits to leave refers to the record";
                    return Err(SyncError::new(Code::Referenced, message).of(referrer));
                }
                draft.finish_op(older.seq, Fate::Annihilated);
                draft.annihilate_write(write.id, &key);
                return Ok((key, write.id));
            }
            Folding::Apart => {}
        }
    }
    let member = |op: &Operation| op.group.is_some() && op.group == place.group;
    if draft.last_visible(&key).is_some_and(member) {
        let message = "a transaction changes a record once: this does not go into the earlier one";
        return Err(SyncError::new(Code::InvalidValue, message));
    }

    let (assumed, state) = stand(draft, &key);
    let before = match &intent {
        Intent::Create(_) => Before::Nothing,
        Intent::Change(edits) => before_of(view.as_ref().and_then(Presence::document), edits),
        Intent::Replace(_) | Intent::Delete | Intent::Resolve(_) => {
            Before::Whole(view.as_ref().and_then(Presence::document).cloned())
        }
    };
    let refs: Vec<EntityKey> = waits.into_iter().map(|(target, _)| target).collect();
    let op = Operation {
        seq: draft.next_seq(),
        id: write.id,
        key: key.clone(),
        intent,
        before,
        assumed,
        stamp,
        priority,
        group: place.group,
        refs,
        owner: write.owner.clone(),
        schema: write.schema,
        folded: Vec::new(),
        replaces: None,
        sent: None,
        sends: 0,
        refusals: 0,
        state,
        ready: false,
    };
    draft.show_in_conflict(&op);
    draft.add(op.clone());
    inherit(draft, &op);
    Ok((key, write.id))
}

/// A remove of what waits to be removed is the same remove (PROMISES 3.2): it goes into it.
fn repeated_remove(
    draft: &mut Draft<'_>,
    host: OpId,
    write: &Write,
    key: EntityKey,
) -> (EntityKey, OpId) {
    let seq = draft.find(host).map(|op| op.seq);
    draft.meta.counts.accepted += 1;
    draft.fold_write(write.id, &key, host);
    if let Some(op) = seq.and_then(|seq| draft.op_mut(seq)) {
        // A sealed operation keeps what it says; that it answers for one more write changes nothing of it.
        op.folded.push(write.id);
    }
    (key, host)
}

fn in_own_ids(s: &Snapshot, action: &Action, references: &References) -> Result<Action, SyncError> {
    Ok(match action {
        Action::Create(document) => Action::Create(written(s, document, references)?),
        Action::Patch(patch) => Action::Patch(written(s, patch, references)?),
        Action::Replace(document) => Action::Replace(written(s, document, references)?),
        Action::Remove | Action::Restore { .. } => action.clone(),
    })
}

enum Refused {
    RemovedAlready,
    Because(SyncError),
}

fn gone() -> SyncError {
    SyncError::new(Code::Gone, "the record was removed")
}

fn intent_of(action: &Action, view: Option<&Presence>) -> Result<Intent, Refused> {
    let missing = || SyncError::new(Code::NotFound, "there is no such record");
    match (action, view) {
        (Action::Create(_), Some(Presence::Live(_))) => {
            let message = "a record of this id is there already";
            Err(Refused::Because(SyncError::new(Code::Exists, message)))
        }
        (Action::Create(document), None | Some(Presence::Deleted)) => {
            Ok(Intent::Create(document.clone()))
        }
        (Action::Patch(patch), Some(Presence::Live(view))) => {
            Ok(Intent::Change(edit::from_merge_patch(view, patch)))
        }
        (Action::Replace(document), Some(Presence::Live(_))) => {
            Ok(Intent::Replace(document.clone()))
        }
        (Action::Restore { side: Presence::Live(side), fields }, Some(Presence::Live(_))) => {
            let to = |path: &Path| Edit::to(path.clone(), side.get(&path.0));
            Ok(Intent::Change(fields.iter().map(to).collect()))
        }
        (Action::Restore { side: Presence::Live(side), .. }, None | Some(Presence::Deleted)) => {
            Ok(Intent::Create(side.clone()))
        }
        (
            Action::Remove | Action::Restore { side: Presence::Deleted, .. },
            Some(Presence::Live(_)),
        ) => Ok(Intent::Delete),
        (
            Action::Remove | Action::Restore { side: Presence::Deleted, .. },
            Some(Presence::Deleted),
        ) => Err(Refused::RemovedAlready),
        (Action::Patch(_) | Action::Replace(_), Some(Presence::Deleted)) => {
            Err(Refused::Because(gone()))
        }
        (
            Action::Patch(_)
            | Action::Replace(_)
            | Action::Remove
            | Action::Restore { side: Presence::Deleted, .. },
            None,
        ) => Err(Refused::Because(missing())),
    }
}

/// The operation that a write was accepted as before, however that ended.
fn accepted_before(s: &Snapshot, id: OpId) -> Option<OpId> {
    if let Some(op) = s.op(id) {
        return Some(op.id);
    }
    s.settled.get(&id).map(|settled| match settled.fate {
        Fate::Folded(host) => host,
        Fate::Applied
        | Fate::Annihilated
        | Fate::Yielded(_)
        | Fate::Superseded(_)
        | Fate::Discarded
        | Fate::HandedOver => id,
    })
}

fn next_stamp(draft: &mut Draft<'_>) -> Stamp {
    let device = *draft.meta.device.get_or_insert_with(|| draft.ctx.ids.device(1));
    let stamp = Stamp::next(draft.meta.clock, draft.server_now(), device);
    draft.meta.clock = Some(stamp);
    stamp
}

/// The operation that a write may be folded into (R13). One with another behind it, seen or not, is no host: the newer write
/// would leave before the older one.
fn host(draft: &Draft<'_>, key: &EntityKey, write: &Write, place: Place) -> Option<Operation> {
    let older = draft.last_visible(key)?;
    if draft.queue(key).last() != Some(&older.seq) {
        return None;
    }
    let unsent = match place.group {
        None => older.is_fresh(),
        // Accepted in this very moment, even if what it stands on waits for a person.
        Some(_) => !older.is_sealed(),
    };
    let folds = unsent
        && older.group == place.group
        && older.owner == write.owner
        && older.schema == write.schema;
    folds.then(|| older.clone())
}

/// What a new operation stands on: the last operation in its view, or the base (R1).
fn stand(draft: &Draft<'_>, key: &EntityKey) -> (Assumed, OpState) {
    let on_base = || match draft.base(key) {
        None => Assumed::Nothing,
        Some(base) => base.version.clone().map_or(Assumed::Unknown, Assumed::At),
    };
    let Some(last) = draft.last_visible(key) else { return (on_base(), OpState::queued()) };
    match &last.state {
        OpState::Acked { .. } => (on_base(), OpState::queued()),
        OpState::Queued { .. } | OpState::InFlight { .. } => {
            (Assumed::After(last.id), OpState::queued())
        }
        OpState::Blocked { by, visible } => {
            (Assumed::After(last.id), OpState::Blocked { by: *by, visible: *visible })
        }
        OpState::Parked(_) => {
            (Assumed::After(last.id), OpState::Blocked { by: last.id, visible: true })
        }
    }
}

/// What an urgent operation waits for is as urgent as it is: what is before it on its record, the creates that it names, and
/// what those wait for (R12).
fn inherit(draft: &mut Draft<'_>, op: &Operation) {
    let priority = op.priority;
    let mut waiting = vec![op.clone()];
    while let Some(op) = waiting.pop() {
        let mut before = draft.queue(&op.key);
        before.retain(|seq| *seq < op.seq);
        before.extend(
            op.refs.iter().filter_map(|it| draft.unsettled_create(it, op.seq)).map(|it| it.seq),
        );
        before.extend(draft.mates(&op).map(|mate| mate.seq));
        for seq in before {
            if draft.op(seq).is_some_and(|op| op.priority > priority)
                && let Some(op) = draft.op_mut(seq)
            {
                op.priority = priority;
                waiting.push(op.clone());
            }
        }
    }
}
