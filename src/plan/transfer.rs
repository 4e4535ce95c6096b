//! Outbox files (tx `resolve`): operations that are written down, handed over to another device, or brought from one (R18).
//!
//! An operation that is handed over lives on the other device, under the same id and with what may have left before, so that a
//! server which remembers ids sees one effect whoever sends it (P6). A file without a hand-over is a backup: nothing in it is
//! ever sent without a person's word.

use super::draft::{Draft, HANDED_OVER, Notice};
use super::identity::server_id;
use crate::model::map::{Listed, sort};
use crate::model::own_key;
use crate::model::references::rename_file;
use crate::model::{
    Assumed, Before, Carried, Code, Conflict, Ctx, Decider, Decision, Document, EntityKey, Fate,
    Intent, Map, OpId, OpState, Operation, OutboxFile, Owner, Parked, Path, Presence, Resolved,
    Rules, Selection, Seq, Set, Snapshot, SyncError, json,
};

/// The most operations in a file: one transaction brings all of them.
pub const MAX_OPERATIONS: usize = 10_000;

/// The code under which an operation waits that was brought by a backup.
pub const IMPORTED: &str = "imported";

/// Departures and refusals beyond this are nothing that ever was.
const MAX_COUNT: u32 = 1_000_000;

/// A name in a file that is longer is none of ours: records are named by 128 characters at the most.
const MAX_ID_BYTES: usize = 512;

/// A file, and what making it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The file.
    pub file: OutboxFile,
    /// What changed: nothing without a hand-over.
    pub notice: Notice,
}

/// Writes operations down. With `hand_over` they are parked here, out of the view, with everything that depends on them and
/// everything that they depend on: half of a record's queue cannot leave from here and half from there (P7).
///
/// `before` names what an earlier attempt of the same call handed over: a repeat after a lost answer makes the same file (R22).
pub fn export(
    s: &Snapshot,
    wanted: &Selection,
    hand_over: bool,
    before: &[OpId],
    owner: &Owner,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Exported, SyncError>> {
    let mut chosen = match chosen(s, wanted, before) {
        Ok(chosen) => chosen,
        Err(error) => return Decision::nothing(Err(error)),
    };
    if hand_over {
        with_dependents(s, &mut chosen);
    }
    if chosen.len() > MAX_OPERATIONS {
        let message = "an outbox file has at most 10,000 operations: choose some of them";
        let error = SyncError::new(Code::TooLarge, message).at("operations");
        return Decision::nothing(Err(error));
    }
    let carried = |op: &Operation| Carried {
        server_id: s.records.get(&op.key).and_then(|record| record.server_id.clone()),
        snapshot: snapshot_of(s, op, rules),
        op: op.clone(),
    };
    let operations: Vec<Carried> =
        chosen.iter().filter_map(|seq| s.ops.get(seq)).map(carried).listed();
    let conflicts =
        operations.iter().filter_map(|it| s.conflicts.get(&it.op.conflict()?)).cloned().listed();
    let file = OutboxFile {
        at: ctx.now,
        device: s.meta.device,
        owner: owner.clone(),
        schema: operations.iter().map(|it| it.op.schema).max().unwrap_or_default(),
        hand_over,
        operations,
        conflicts,
    };
    // Another device knows what is named by the server's ids, where there are such (R16).
    let file = rename_file(file, rules, &|key| {
        let id = server_id(s, key);
        (id != key.id).then_some(id)
    });
    let mut draft = Draft::new(s, rules, ctx);
    if hand_over {
        for it in &file.operations {
            if let Some(conflict) = it.op.conflict().and_then(|id| draft.conflicts.get_mut(&id)) {
                let (by, choice) = (Decider::Person, HANDED_OVER.to_owned());
                conflict.resolved = Some(Resolved { by, choice, at: ctx.now, call: None });
            }
            if let Some(op) = draft.op_mut(it.op.seq) {
                op.state = OpState::Parked(Parked::HandedOver);
            }
        }
    }
    draft.finish(|notice| Ok(Exported { file, notice }))
}

/// An acked operation is the server's already: nobody needs to send it again.
fn is_here(op: &Operation) -> bool {
    match &op.state {
        OpState::Queued { .. }
        | OpState::InFlight { .. }
        | OpState::Blocked { .. }
        | OpState::Parked(Parked::Conflicted(_) | Parked::Rejected { .. }) => true,
        OpState::Acked { .. } | OpState::Parked(Parked::HandedOver) => false,
    }
}

fn is_handed_over(op: &Operation) -> bool {
    op.state == OpState::Parked(Parked::HandedOver)
}

fn needs_a_person(op: &Operation) -> bool {
    is_here(op) && matches!(op.state, OpState::Blocked { .. } | OpState::Parked(_))
}

fn chosen(s: &Snapshot, wanted: &Selection, before: &[OpId]) -> Result<Set<Seq>, SyncError> {
    let mut chosen = Set::new();
    let mut choose = |op: &Operation| chosen.insert(op.seq);
    for op in s.ops.values() {
        let named = match wanted {
            Selection::All => is_here(op),
            Selection::Parked => needs_a_person(op),
            Selection::HandedOver => is_handed_over(op),
            Selection::Ids(_) => false,
        };
        if named || is_handed_over(op) && before.contains(&op.id) {
            choose(op);
        }
    }
    if let Selection::Ids(ids) = wanted {
        for id in ids {
            let op = s.op(*id).filter(|op| is_here(op) || is_handed_over(op)).ok_or_else(|| {
                SyncError::new(Code::NotFound, "there is no such operation in the outbox").of(*id)
            })?;
            choose(op);
        }
    }
    Ok(chosen)
}

/// Operations are tied by their records, by the creates that they name and by their groups: whoever takes one end takes all.
fn with_dependents(s: &Snapshot, chosen: &mut Set<Seq>) {
    let (mut keys, mut groups) = (Set::new(), Set::new());
    loop {
        let known = (keys.len(), groups.len());
        for op in s.ops.values() {
            if !is_here(op) && !chosen.contains(&op.seq) {
                continue;
            }
            let tied = chosen.contains(&op.seq)
                || keys.contains(&op.key)
                || op.refs.iter().any(|key| keys.contains(key))
                || op.group.is_some_and(|group| groups.contains(&group));
            if tied {
                chosen.insert(op.seq);
                keys.insert(op.key.clone());
                for key in &op.refs {
                    keys.insert(key.clone());
                }
                if let Some(group) = op.group {
                    groups.insert(group);
                }
            }
        }
        if known == (keys.len(), groups.len()) {
            return;
        }
    }
}

/// The document as the user last saw it with this operation in it.
fn snapshot_of(s: &Snapshot, op: &Operation, rules: &Rules) -> Option<Document> {
    let record = s.records.get(&op.key);
    if let OpState::Parked(Parked::Rejected { snapshot, .. }) = &op.state {
        return snapshot.clone();
    }
    let seen = if op.is_visible() {
        record.and_then(|record| record.view.clone())
    } else {
        let base = record.and_then(|record| record.base.as_ref());
        let base = base.map(|base| base.presence.clone());
        let law = rules.of(&op.key.collection);
        s.queue(&op.key).fold(base, |view, op| op.replay(view.as_ref(), law))
    };
    seen.as_ref().and_then(Presence::document).cloned()
}

/// What a file brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Operations that are in the outbox now.
    pub imported: u32,
    /// Operations that were known here: waiting, or ended.
    pub known: u32,
    /// What changed.
    pub notice: Notice,
}

/// Brings the operations of a file into the outbox, all or none. Those of a hand-over are live under their old ids; those of a
/// backup wait for a person. What is known here is left as it is, except what was handed over from here: that comes back.
///
/// # Errors
/// `invalid-value` and `too-large` with the place, `unknown-collection`, `outbox-full`. Nothing is changed then.
pub fn import(
    s: &Snapshot,
    file: &OutboxFile,
    owner: &Owner,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Imported, SyncError>> {
    if let Err(error) = check(file, owner, rules) {
        return Decision::nothing(Err(error));
    }
    let fresh: Vec<&Carried> = file.operations.iter().filter(|it| !is_known(s, &it.op)).listed();
    let mut draft = Draft::new(s, rules, ctx);
    let limits = &rules.limits;
    let counts = &draft.meta.counts;
    let bytes: u64 = fresh.iter().map(|it| it.op.bytes()).sum();
    if counts.in_outbox() + fresh.len() as u64 > limits.outbox_operations
        || counts.bytes.saturating_add(bytes) > limits.outbox_bytes
    {
        let message = "the outbox cannot hold the operations of the file";
        return Decision::nothing(Err(SyncError::new(Code::OutboxFull, message)));
    }
    let keys = own_keys(s, &mut draft, &fresh);
    let aliases = draft.aliases.clone();
    let file = &rename_file(file.clone(), rules, &|key| {
        let own = own_key(&aliases, key);
        (own != *key).then_some(own.id)
    });
    let brought: Vec<(Seq, &Carried)> = file
        .operations
        .iter()
        .filter(|it| fresh.iter().any(|known| known.op.id == it.op.id))
        .map(|it| (bring(s, &mut draft, it, file, &keys), it))
        .listed();
    // What one waits for may stand behind it, or come back with it: nobody is judged before all are there, and each time something
    // is blocked it may be the cause of another.
    let mut moves = true;
    while moves {
        moves = false;
        for (seq, it) in &brought {
            moves |= block_or_park(&mut draft, *seq, it, file);
        }
    }
    for (seq, _) in &brought {
        announce(&mut draft, *seq);
    }
    for conflict in draft.notice.conflicts.clone() {
        draft.catch_up(conflict);
    }
    let imported = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
    let known = u32::try_from(file.operations.len() - fresh.len()).unwrap_or(u32::MAX);
    draft.finish(|notice| Ok(Imported { imported, known, notice }))
}

/// Whether an operation is here or has ended here. One that was handed over from here may come back.
fn is_known(s: &Snapshot, op: &Operation) -> bool {
    match (s.op(op.id), s.settled.get(&op.id)) {
        (Some(here), _) => here.id != op.id || !is_handed_over(here),
        (None, Some(row)) => row.fate != Fate::HandedOver,
        (None, None) => false,
    }
}

type Keys = Map<EntityKey, EntityKey>;

/// The names that the records of a file have here. The server's id of a record is the one that both devices know.
fn own_keys(s: &Snapshot, draft: &mut Draft<'_>, carried: &[&Carried]) -> Keys {
    let mut keys = Keys::new();
    for it in carried {
        let there = &it.op.key;
        let known = s.own_key(there);
        let Some(server_id) = &it.server_id else {
            keys.or_insert_with(there.clone(), || known);
            continue;
        };
        let named = EntityKey::new(&*there.collection, &**server_id);
        let own = s.own_key(&named);
        let key = if own != named || draft.records.contains_key(&named) { own } else { known };
        if keys.insert(there.clone(), key.clone()).is_none() {
            draft.also_named(there, &key, server_id);
        }
    }
    keys
}

/// Puts one operation where it belongs, and says where that is.
fn bring(s: &Snapshot, draft: &mut Draft<'_>, it: &Carried, file: &OutboxFile, keys: &Keys) -> Seq {
    let here = |key: &EntityKey| keys.get(key).cloned().unwrap_or_else(|| s.own_key(key));
    let mut op = it.op.clone();
    op.key = here(&op.key);
    op.refs = op.refs.iter().map(here).filter(|key| *key != op.key).listed();
    sort(&mut op.refs);
    op.refs.dedup();
    if let Assumed::After(on) = op.assumed
        && (on == op.id || draft.find(on).is_none())
    {
        op.assumed = Assumed::Unknown;
    }
    let back = draft.find(op.id).map(|known| known.seq);
    if let Some(known) = back.and_then(|seq| draft.op(seq)) {
        // It comes back to its place. What may have left from here never changes (P5), and a file from before the last edits here
        // takes nothing back of them (P3).
        let state = op.state.clone();
        let older = known.folded.iter().any(|write| !op.folded.contains(write));
        let keeps = known.is_sealed() || older;
        op = if keeps { known.clone() } else { Operation { seq: known.seq, ..op } };
        op.state = state;
    } else {
        op.seq = draft.next_seq();
        draft.meta.counts.imported += 1;
        // The writes in it wait again: what was kept of their end is not true any more.
        let mut ids = vec![op.id];
        ids.append(&mut op.folded);
        for id in ids {
            let row = s.settled.get(&id);
            let ended_so = row
                .is_some_and(|row| row.fate == Fate::HandedOver || row.fate == Fate::Folded(op.id));
            if ended_so {
                draft.out.drop_settled.push(id);
            }
            if id != op.id && draft.find_write(id).is_none() && (row.is_none() || ended_so) {
                op.folded.push(id);
                // A write inside is one more that came in, and is folded here as it was there.
                let writes = u64::from(row.is_none());
                draft.meta.counts.imported += writes;
                draft.meta.counts.folded += writes;
            }
        }
    }
    let (seq, id) = (op.seq, op.id);
    op.state = match op.state {
        OpState::Parked(Parked::Rejected { code, message, snapshot }) if file.hand_over => {
            OpState::Parked(Parked::Rejected { code, message, snapshot })
        }
        OpState::Parked(Parked::Conflicted(of)) if file.hand_over => {
            let conflict = file.conflicts.iter().find(|conflict| conflict.id == of);
            match conflict.filter(|it| it.op == id && draft.may_open(it, &op.key)) {
                Some(conflict) => {
                    let key = op.key.clone();
                    let open = Conflict { key, resolved: None, ..conflict.clone() };
                    draft.conflicts.insert(of, open);
                    OpState::Parked(Parked::Conflicted(of))
                }
                None => waits(it, "both sides changed the record on another device"),
            }
        }
        OpState::Queued { .. }
        | OpState::InFlight { .. }
        | OpState::Acked { .. }
        | OpState::Blocked { .. }
        | OpState::Parked(_) => OpState::queued(),
    };
    if !op.is_sealed() {
        // One from the future would win every comparison for ever.
        op.stamp.millis = op.stamp.millis.min(draft.ctx.now.0);
    }
    draft.add(op);
    seq
}

/// An operation that waits for a person.
fn waits(it: &Carried, message: &str) -> OpState {
    let (code, message) = (IMPORTED.to_owned(), message.to_owned());
    OpState::Parked(Parked::Rejected { code, message, snapshot: it.snapshot.clone() })
}

/// Blocks one that has a cause, and parks one that only a person may send. Says whether it did.
fn block_or_park(draft: &mut Draft<'_>, seq: Seq, it: &Carried, file: &OutboxFile) -> bool {
    let queued = |op: &&Operation| matches!(op.state, OpState::Queued { .. });
    let Some(op) = draft.op(seq).filter(queued).cloned() else { return false };
    let cause = draft.cause(&op).filter(|_| !op.is_sealed());
    let state = match cause {
        Some((by, visible)) if file.hand_over || !visible => OpState::Blocked { by, visible },
        Some(_) | None if file.hand_over => return false,
        Some(_) | None => waits(it, "brought by a backup of another device"),
    };
    // Behind a conflict of this device it is part of our side: whoever decides it decides on both.
    let met_here = |of: &Conflict| !file.conflicts.iter().any(|it| it.id == of.id);
    if matches!(state, OpState::Blocked { visible: true, .. })
        && draft.open_conflict(&op.key).is_some_and(met_here)
    {
        draft.show_in_conflict(&op);
    }
    if let Some(op) = draft.op_mut(seq) {
        op.state = state;
    }
    true
}

/// Says what waits for a person now.
fn announce(draft: &mut Draft<'_>, seq: Seq) {
    let Some(op) = draft.op(seq) else { return };
    let (id, conflict) = (op.id, op.conflict());
    if matches!(op.state, OpState::Parked(Parked::Rejected { .. })) {
        draft.notice.parked.push(id);
    }
    draft.notice.conflicts.extend(conflict);
}

/// Whether a file can be what it says it is, and whether it is ours. Everything in it may have been made up.
fn check(file: &OutboxFile, owner: &Owner, rules: &Rules) -> Result<(), SyncError> {
    if file.owner != *owner {
        return Err(wrong("owner", "the file is of another user or tenant"));
    }
    if file.operations.len() > MAX_OPERATIONS {
        let message = "an outbox file has at most 10,000 operations";
        return Err(SyncError::new(Code::TooLarge, message).at("operations"));
    }
    let mut ids: Vec<OpId> = Vec::new();
    for (index, it) in file.operations.iter().enumerate() {
        let at = |member: &str| ["operations.", &index.to_string(), ".", member].concat();
        let op = &it.op;
        if op.owner != *owner {
            return Err(wrong(at("operation.owner"), "an operation of another user or tenant"));
        }
        if !rules.collections.contains_key(&op.key.collection) {
            let message = ["no collection `", &op.key.collection, "` was declared"].concat();
            return Err(SyncError::new(Code::UnknownCollection, message).at(at("operation.key")));
        }
        let named = |id: &str| !id.is_empty() && id.len() <= MAX_ID_BYTES;
        let names = op.refs.iter().chain([&op.key]).map(|key| &key.id).chain(&it.server_id);
        if !names.chain(op.sent.as_ref().map(|sent| &sent.id)).all(|id| named(id)) {
            return Err(wrong(at("operation.key"), "no name of a record"));
        }
        if op.sends > MAX_COUNT || op.refusals > MAX_COUNT {
            return Err(wrong(at("operation.sends"), "more than can be"));
        }
        let sent = op.sent.as_ref().and_then(|sent| sent.action.as_ref());
        let parked = match &op.state {
            OpState::Parked(Parked::Rejected { snapshot, .. }) => snapshot.as_ref(),
            OpState::Parked(Parked::Conflicted(_) | Parked::HandedOver)
            | OpState::Queued { .. }
            | OpState::InFlight { .. }
            | OpState::Acked { .. }
            | OpState::Blocked { .. } => None,
        };
        let snapshot = it.snapshot.iter().chain(parked);
        if !snapshot.into_iter().all(is_document) {
            return Err(too_large(at("snapshot")));
        }
        if ![Some(&op.intent), sent].into_iter().flatten().all(is_intent) {
            return Err(too_large(at("operation.intent")));
        }
        if !is_before(&op.before) {
            return Err(too_large(at("operation.before")));
        }
        ids.push(op.id);
        ids.extend(&op.folded);
    }
    let all = ids.len();
    sort(&mut ids);
    ids.dedup();
    if ids.len() < all {
        return Err(wrong("operations", "an operation is in it twice"));
    }
    for (index, conflict) in file.conflicts.iter().enumerate() {
        let side = |side: &Presence| side.document().is_none_or(is_document);
        let base = conflict.base.as_ref().is_none_or(is_document);
        if !(base
            && side(&conflict.mine)
            && side(&conflict.theirs)
            && conflict.fields.iter().all(is_path))
        {
            return Err(too_large(["conflicts.", &index.to_string()].concat()));
        }
    }
    Ok(())
}

fn wrong(path: impl Into<String>, message: &'static str) -> SyncError {
    SyncError::new(Code::InvalidValue, message).at(path)
}

fn too_large(path: String) -> SyncError {
    SyncError::new(Code::TooLarge, "larger, deeper or longer than any document may be").at(path)
}

/// What is deeper than any document may be is walked by nobody. How large it may be, the limit of the file says.
fn is_document(document: &Document) -> bool {
    json::depth(document.text()) <= json::MAX_DEPTH
}

fn is_value(text: &str) -> bool {
    json::depth(text) < json::MAX_DEPTH
}

/// A path is walked by recursion, and names a member.
fn is_path(path: &Path) -> bool {
    (1..=json::MAX_DEPTH).contains(&path.0.len())
}

fn is_intent(intent: &Intent) -> bool {
    match intent {
        Intent::Create(document) | Intent::Replace(document) => is_document(document),
        Intent::Change(edits) => edits.iter().all(|edit| {
            is_path(edit.path()) && edit.value().is_none_or(|value| is_value(value.text()))
        }),
        Intent::Delete => true,
        Intent::Resolve(resolve) => resolve.chosen.document().is_none_or(is_document),
    }
}

fn is_before(before: &Before) -> bool {
    match before {
        Before::Nothing => true,
        Before::Whole(document) => document.as_ref().is_none_or(is_document),
        Before::Paths(paths) => paths.iter().all(|(path, slot)| {
            is_path(path) && slot.0.as_ref().is_none_or(|value| is_value(value.text()))
        }),
    }
}
