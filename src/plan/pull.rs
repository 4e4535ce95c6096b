//! One page of the server's changes (tx `pull.apply`): the page and its cursor together, or neither (P13).

use super::Deposed;
use super::draft::{Building, Draft, Notice};
use super::identity::is_retired;
use super::push::fence;
use super::scopes::next_generation;
use super::transfer::IMPORTED;
use crate::model::{
    Base, Changeset, Ctx, Cursor, CursorRow, Decision, EntityKey, Fate, OpState, Operation, Parked,
    PullPage, Quarantine, RemoteChange, Rules, Scope, Seq, Snapshot, Unreadable,
};

/// What a page did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulled {
    /// It is stored.
    Applied {
        /// Records that it moved.
        records: u32,
        /// Operations that it showed to be applied.
        echoes: u32,
        /// What changed.
        notice: Notice,
    },
    /// It was stored before: the answer to the commit was lost (R22).
    Repeated,
    /// The cursor is elsewhere: somebody else pulled. Nothing was written.
    Moved,
    /// More of it cannot be read than is kept aside. Nothing was written: a change is never skipped (R2), and a server that sends
    /// nothing but such changes does not fill the device (P36). A release that reads them goes on from here.
    Unreadable,
}

/// What the end of a scope means to the pull that it is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The pull goes on with another scope, or has missed one.
    OneOfMany,
    /// With it, all that the application wants has been pulled.
    Last,
}

/// Applies a page that was asked for at `from`.
pub fn apply(
    s: &Snapshot,
    (scope, part): (&Scope, Part),
    from: Option<&Cursor>,
    page: &PullPage,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Pulled, Deposed>> {
    if let Err(deposed) = fence(s, ctx) {
        return Decision::nothing(Err(deposed));
    }
    let known = s.cursors.get(scope).filter(|row| !row.leaving).cloned();
    // A scope that was evicted meanwhile does not come back with a page that was on its way.
    let first = || (*scope == Scope::all()).then(|| CursorRow::new(scope.clone()));
    let Some(mut row) = known.or_else(first) else {
        return Decision::nothing(Ok(Pulled::Moved));
    };
    if row.cursor.as_ref() != from {
        let repeated = row.cursor.as_ref() == Some(&page.next);
        return Decision::nothing(Ok(if repeated { Pulled::Repeated } else { Pulled::Moved }));
    }
    let Some(unread) = unread(s, scope, page, rules) else {
        return Decision::nothing(Ok(Pulled::Unreadable));
    };
    let mut draft = Draft::new(s, rules, ctx);
    if row.rebuilding && from.is_none() {
        // What verdicts said before its first page may be of a time that the server has lost again.
        row.generation = next_generation(s);
        draft.out.cursors = others_begin_anew(s, scope);
    }
    if row.rebuilding {
        let (scope, generation) = (scope.clone(), row.generation);
        draft.building = Some(Building { scope, generation });
    }
    draft.learn_time(page.time);
    let (records, echoes) = store(&mut draft, &mut row, page, unread);
    if !page.more {
        end(&mut draft, &mut row, part);
    }
    draft.out.cursors.push(row);
    draft.finish(|notice| Ok(Pulled::Applied { records, echoes, notice }))
}

/// What a page says, and how far it reaches: how many records it moved, and how many operations it showed to be applied.
fn store(
    draft: &mut Draft<'_>,
    row: &mut CursorRow,
    page: &PullPage,
    unread: Vec<Unreadable>,
) -> (u32, u32) {
    let (mut records, mut echoes) = (0, 0);
    // Names come before all else: what is said of one record may name another.
    for change in &page.changes {
        introduce(draft, change);
    }
    for change in &page.changes {
        let key = draft.own_key(&change.key);
        let name = draft.records.get(&key).and_then(|record| record.server_id.as_ref());
        if is_retired(name, &key, &change.key) {
            continue;
        }
        let base = base_of(draft, change);
        echoes += u32::from(echo(draft, &key, change, &base));
        if take(draft, &key, base, row) {
            records += 1;
        }
    }
    draft.meta.quarantine = unread.iter().fold(draft.meta.quarantine, Quarantine::with);
    draft.out.quarantine.extend(unread);
    // Which record such a change is of, nobody knows: that it was not brought is no deletion (R2).
    row.spares |= row.rebuilding && !page.unreadable.is_empty();
    row.cursor = Some(page.next.clone());
    if row.rebuilding || !row.complete {
        row.brought += page.changes.len() as u64;
    }
    (records, echoes)
}

/// Changes that came with the answer to a push, from `from` on. They end no pull. Where somebody has pulled since, or more of them
/// cannot be read than is kept aside, they are left: the next pull brings them again.
pub(super) fn take_page(
    draft: &mut Draft<'_>,
    s: &Snapshot,
    from: Option<&Cursor>,
    page: &PullPage,
) {
    let row = s.cursors.get(&Scope::all());
    let row = row.filter(|row| !row.rebuilding && row.cursor.as_ref() == from);
    if let Some(mut row) = row.cloned()
        && let Some(unread) = unread(s, &row.scope, page, draft.rules)
    {
        store(draft, &mut row, page, unread);
        draft.out.cursors.push(row);
    }
}

/// What of a page cannot be read and is not in quarantine yet; nothing where that is more than the quarantine takes.
fn unread(s: &Snapshot, scope: &Scope, page: &PullPage, rules: &Rules) -> Option<Vec<Unreadable>> {
    let places = places(scope, page).into_iter();
    let unread: Vec<Unreadable> = places
        .zip(&page.unreadable)
        .map(|(place, text)| Unreadable { place, text: text.clone() })
        .filter(|row| !s.kept_aside.contains(&row.place))
        .collect();
    let quarantine = unread.iter().fold(s.meta.quarantine, Quarantine::with);
    let limits = &rules.limits;
    let fits =
        quarantine.rows <= limits.quarantine_rows && quarantine.bytes <= limits.quarantine_bytes;
    (unread.is_empty() || fits).then_some(unread)
}

/// The places in quarantine of what of a page cannot be read.
#[must_use]
pub fn places(scope: &Scope, page: &PullPage) -> Vec<String> {
    let place = |index| ["pull", &*scope.0, &*page.next.0, &usize::to_string(&index)].join("/");
    (0..page.unreadable.len()).map(place).collect()
}

/// One full pull at a time waits for its end: bases of another that was in the middle are overwritten by this one's.
fn others_begin_anew(s: &Snapshot, scope: &Scope) -> Vec<CursorRow> {
    let midway = |row: &&CursorRow| row.rebuilding && row.cursor.is_some() && row.scope != *scope;
    let anew = |row: &CursorRow| CursorRow { cursor: None, spares: false, ..row.clone() };
    s.cursors.values().filter(midway).map(anew).collect()
}

/// A change that our own create made, under another id: that is what the server calls our record (R16).
fn introduce(draft: &mut Draft<'_>, change: &RemoteChange) {
    if let Some(own) = &change.own {
        return introduce_by_name(draft, change, own);
    }
    let Some(op) = change.op.and_then(|id| draft.find(id)) else { return };
    let (key, away) = (op.key.clone(), op.is_away());
    let acked = matches!(op.state, OpState::Acked { .. });
    let elsewhere = is_elsewhere(&op.state);
    let named = draft.records.get(&key).is_some_and(|record| record.server_id.is_some());
    let ours = op.is_create() && key.collection == change.key.collection;
    if ours && (away || !named && (acked || elsewhere)) {
        draft.name(&key, &change.key.id);
    }
}

/// A row that says what its maker calls the record. Only a record that was made here and has no other name yet can be the one.
fn introduce_by_name(draft: &mut Draft<'_>, change: &RemoteChange, own: &str) {
    let key = EntityKey::new(&*change.key.collection, own);
    let unnamed = draft.records.get(&key).is_some_and(|record| record.server_id.is_none());
    let made = |seq: &Seq| draft.op(*seq).is_some_and(Operation::is_create);
    if unnamed && draft.queue(&key).iter().any(made) {
        draft.name(&key, &change.key.id);
    }
}

/// A change that our own operation made: that is the verdict, whatever became of the answer (3.3).
fn echo(draft: &mut Draft<'_>, key: &EntityKey, change: &RemoteChange, base: &Base) -> bool {
    let Some(op) = change.op.and_then(|id| draft.find(id)) else { return false };
    let sent = op.is_sealed() && matches!(op.state, OpState::Queued { .. });
    let flying = matches!(op.state, OpState::InFlight { .. });
    let seq = op.seq;
    if op.key == *key && is_elsewhere(&op.state) {
        draft.applied_elsewhere(seq, change.version.clone());
        return true;
    }
    if op.key != *key || !(sent || flying) {
        return false;
    }
    let named = (change.key != *key).then(|| change.key.id.clone());
    draft.applied(seq, base.clone(), named);
    true
}

/// Whether another device may send it: it was handed over, or brought by a backup.
fn is_elsewhere(state: &OpState) -> bool {
    match state {
        OpState::Parked(Parked::HandedOver) => true,
        OpState::Parked(Parked::Rejected { code, .. }) => code == IMPORTED,
        OpState::Parked(Parked::Conflicted(_))
        | OpState::Queued { .. }
        | OpState::InFlight { .. }
        | OpState::Acked { .. }
        | OpState::Blocked { .. } => false,
    }
}

fn base_of(draft: &Draft<'_>, change: &RemoteChange) -> Base {
    Base {
        presence: draft.inward(&change.key.collection, &change.presence),
        version: change.version.clone(),
        stamp: change.stamp,
        guessed: false,
    }
}

/// Stores a change. While everything is pulled anew nobody sees it yet (R25).
fn take(draft: &mut Draft<'_>, key: &EntityKey, base: Base, row: &CursorRow) -> bool {
    if draft.records.get(key).is_none_or(|record| !record.is_in(&row.scope)) {
        draft.record_mut(key).join(&row.scope);
    }
    if row.rebuilding {
        return draft.shade(key, &base);
    }
    let moved = draft.take_base(key, base);
    let older = draft.records.get(key).is_some_and(|record| record.generation < row.generation);
    if moved || older {
        draft.record_mut(key).generation = row.generation;
    }
    moved
}

/// The last page of a scope: what a full pull built is shown. With the last scope, acked operations have been seen.
fn end(draft: &mut Draft<'_>, row: &mut CursorRow, part: Part) {
    row.complete = true;
    row.pulled = Some(draft.ctx.now);
    match part {
        Part::Last => {
            draft.meta.pulls.0 += 1;
            draft.meta.last_pull = Some(draft.ctx.now);
            draft.meta.pull_due = false;
            draft.meta.lost = None;
            for seq in draft.acked() {
                draft.finish_op(seq, Fate::Applied);
            }
        }
        Part::OneOfMany => {}
    }
    row.rebuilding = false;
    let spares = std::mem::take(&mut row.spares);
    draft.move_generation(&row.scope, spares);
}

/// Begins a full pull as the next generation: the server no longer knows our cursor (tx `pull.restart`). What is shown, the outbox
/// and the conflicts are not touched; what an earlier full pull brought that did not come to its end is forgotten.
pub fn restart(s: &Snapshot, scope: &Scope, ctx: &Ctx) -> Decision<Result<(), Deposed>> {
    if let Err(deposed) = fence(s, ctx) {
        return Decision::nothing(Err(deposed));
    }
    let row = s.cursors.get(scope).cloned().unwrap_or_else(|| CursorRow::new(scope.clone()));
    let mut changes = Changeset::nothing();
    changes.cursors = others_begin_anew(s, scope);
    changes.cursors.push(anew(s, row));
    Decision { changes, output: Ok(()) }
}

/// A scope that is pulled from the beginning.
pub(super) fn anew(s: &Snapshot, row: CursorRow) -> CursorRow {
    CursorRow {
        cursor: None,
        generation: next_generation(s).max(row.generation + 1),
        rebuilding: true,
        spares: false,
        brought: 0,
        ..row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{IdSeed, Map, Term, Wall};

    /// R25, P3: a full pull overwrites the bases that another has brought so far: what that had not brought when it goes on would be
    /// taken for gone, so it begins anew.
    #[test]
    fn a_full_pull_in_the_middle_begins_anew_behind_another() {
        let scope = |name: &str| Scope(name.to_owned());
        let row = |name: &str, rebuilding, cursor: Option<&str>| CursorRow {
            rebuilding,
            spares: rebuilding,
            cursor: cursor.map(|it| Cursor(it.to_owned())),
            ..CursorRow::new(scope(name))
        };
        let rows = [
            row("begun", true, Some("7")),
            row("not begun", true, None),
            row("through", false, Some("9")),
            row("this", true, Some("5")),
        ];
        let cursors: Map<Scope, CursorRow> =
            rows.into_iter().map(|row| (row.scope.clone(), row)).collect();
        let s = Snapshot { cursors, ..Snapshot::default() };
        let ids = IdSeed { at: Wall(1), random: [7; 10] };
        let ctx = Ctx { now: Wall(1), term: Some(Term(0)), ids, jitter: 0 };
        let cursors = restart(&s, &scope("this"), &ctx).changes.cursors;
        let told: Vec<_> =
            cursors.iter().map(|row| (&*row.scope.0, row.cursor.is_none(), row.spares)).collect();
        assert_eq!(told, [("begun", true, false), ("this", true, false)]);
    }
}
