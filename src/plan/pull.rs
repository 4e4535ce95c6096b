//! One page of the server's changes (tx `pull.apply`): the page and its cursor together, or neither (P13).

use super::Deposed;
use super::draft::{Draft, Notice};
use super::push::fence;
use super::transfer::IMPORTED;
use crate::model::{
    Base, Changeset, Ctx, Cursor, CursorRow, Decision, EntityKey, OpState, Parked, PullPage,
    Record, RemoteChange, Rules, Scope, Snapshot, Unreadable,
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
}

/// Applies a page that was asked for at `from`.
pub fn apply(
    s: &Snapshot,
    scope: &Scope,
    from: Option<&Cursor>,
    page: &PullPage,
    rules: &Rules,
    ctx: &Ctx,
) -> Decision<Result<Pulled, Deposed>> {
    if let Err(deposed) = fence(s, ctx) {
        return Decision::nothing(Err(deposed));
    }
    let row = s.cursors.get(scope).cloned().unwrap_or_else(|| first_row(scope));
    if row.cursor.as_ref() != from {
        let repeated = row.cursor.as_ref() == Some(&page.next);
        return Decision::nothing(Ok(if repeated { Pulled::Repeated } else { Pulled::Moved }));
    }
    let mut draft = Draft::new(s, rules, ctx);
    let (mut records, mut echoes) = (0, 0);
    for change in &page.changes {
        let key = s.own_key(&change.key);
        echoes += u32::from(echo(&mut draft, &key, change));
        if take(&mut draft, &key, change, scope, &row) {
            records += 1;
        }
    }
    for (index, text) in page.unreadable.iter().enumerate() {
        let place = format!("pull/{}/{}/{index}", scope.0, page.next.0);
        draft.out.quarantine.push(Unreadable { place, text: text.clone() });
    }
    let mut row = CursorRow { cursor: Some(page.next.clone()), ..row };
    if !page.more {
        end(&mut draft, s, &mut row);
    }
    draft.out.cursors.push(row);
    draft.finish(|notice| Ok(Pulled::Applied { records, echoes, notice }))
}

fn first_row(scope: &Scope) -> CursorRow {
    CursorRow {
        scope: scope.clone(),
        cursor: None,
        generation: 1,
        rebuilding: false,
        complete: false,
    }
}

/// A change that our own operation made: that is the verdict, whatever became of the answer (3.3).
fn echo(draft: &mut Draft<'_>, key: &EntityKey, change: &RemoteChange) -> bool {
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
    draft.applied(seq, base_of(change), None);
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

fn base_of(change: &RemoteChange) -> Base {
    Base {
        presence: change.presence.clone(),
        version: change.version.clone(),
        stamp: change.stamp,
        guessed: false,
    }
}

fn take(
    draft: &mut Draft<'_>,
    key: &EntityKey,
    change: &RemoteChange,
    scope: &Scope,
    row: &CursorRow,
) -> bool {
    // Versions of two generations are not compared: the server may have been set back (R25).
    let older = draft.records.get(key).is_some_and(|record| record.generation < row.generation);
    if row.rebuilding && older {
        draft.record_mut(key).base = None;
    }
    let moved = draft.take_base(key, base_of(change));
    if moved || older {
        let record = draft.record_mut(key);
        record.scope = Some(scope.clone());
        record.generation = row.generation;
    }
    moved
}

/// The last page: acked operations have been seen now, and what a full pull did not bring is gone.
fn end(draft: &mut Draft<'_>, s: &Snapshot, row: &mut CursorRow) {
    draft.meta.pulls.0 += 1;
    draft.meta.last_pull = Some(draft.ctx.now);
    draft.meta.pull_due = false;
    draft.meta.lost = None;
    row.complete = true;
    for op in s.ops.values() {
        if let OpState::Acked { pull_after } = op.state
            && pull_after < draft.meta.pulls
        {
            draft.finish_op(op.seq, crate::model::Fate::Applied);
        }
    }
    if std::mem::replace(&mut row.rebuilding, false) {
        for record in s.records.values() {
            let stale = draft
                .records
                .get(&record.key)
                .is_some_and(|now| now.generation < row.generation && covers(&row.scope, now));
            if stale {
                sweep(draft, &record.key, row.generation);
            }
        }
    }
}

/// Whether a full pull of a scope brings a record if the server has it. A record that our own push made has no scope yet.
fn covers(scope: &Scope, record: &Record) -> bool {
    match &record.scope {
        Some(known) => known == scope,
        None => record.base.is_some() && *scope == Scope::all(),
    }
}

fn sweep(draft: &mut Draft<'_>, key: &EntityKey, generation: u32) {
    let pending = !draft.queue(key).is_empty();
    let record = draft.record_mut(key);
    record.generation = generation;
    record.base = pending.then_some(Base {
        presence: crate::model::Presence::Deleted,
        version: None,
        stamp: None,
        guessed: false,
    });
}

/// Begins a full pull: the server no longer knows our cursor (tx `pull.restart`). The outbox is not touched.
pub fn restart(s: &Snapshot, scope: &Scope, ctx: &Ctx) -> Decision<Result<(), Deposed>> {
    if let Err(deposed) = fence(s, ctx) {
        return Decision::nothing(Err(deposed));
    }
    let row = s.cursors.get(scope).cloned().unwrap_or_else(|| first_row(scope));
    let row = CursorRow { cursor: None, generation: row.generation + 1, rebuilding: true, ..row };
    let mut changes = Changeset::default();
    changes.cursors.push(row);
    Decision { changes, output: Ok(()) }
}
