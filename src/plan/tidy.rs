//! Cleaning up (tx `tidy`): history that settled long ago. Never unsent work (P3).

use crate::model::map::{Listed, sort_by};
use crate::model::{Changeset, Conflict, Ctx, Decision, Meta, Millis, Settled, Snapshot};

/// How long and how much history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Age of settled rows and of resolved conflicts.
    pub age: Millis,
    /// Settled rows.
    pub settled: u64,
    /// Journal lines.
    pub journal: u64,
    /// Rows looked at in one step.
    pub step: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Millis(30 * 86_400_000), settled: 100_000, journal: 10_000, step: 500 }
    }
}

/// Forgets the oldest rows of one step; tells how many. The snapshot holds the oldest settled rows, the oldest journal lines
/// and the conflicts.
pub fn tidy(s: &Snapshot, keep: &Retention, ctx: &Ctx) -> Decision<u32> {
    let old = |at: crate::model::Wall| at.until(ctx.now) > keep.age;
    let ever = s.meta.journal;
    // The oldest go first, and not one more than there are too many of.
    let mut rows: Vec<&Settled> = s.settled.values().collect();
    sort_by(&mut rows, |a, b| (a.at, a.op) < (b.at, b.op));
    let mut excess = s.meta.settled.saturating_sub(keep.settled);
    let mut drop_settled = Vec::new();
    for row in rows {
        if old(row.at) || excess > 0 && old_enough(row.at, ctx) {
            excess = excess.saturating_sub(1);
            drop_settled.push(row.op);
        }
    }
    let drop_journal: Vec<_> =
        s.journal.keys().filter(|line| **line + keep.journal <= ever).copied().listed();
    let resolved =
        |conflict: &&Conflict| conflict.resolved.as_ref().is_some_and(|resolved| old(resolved.at));
    let drop_conflicts: Vec<_> = s.conflicts.values().filter(resolved).map(|it| it.id).listed();
    let dropped = drop_settled.len() + drop_journal.len() + drop_conflicts.len();
    let mut changes = Changeset::nothing();
    let settled = s.meta.settled.saturating_sub(drop_settled.len() as u64);
    changes.keep_meta(&s.meta, Meta { settled, ..s.meta.clone() });
    changes.drop_settled = drop_settled;
    changes.drop_journal = drop_journal;
    changes.drop_conflicts = drop_conflicts;
    Decision { changes, output: u32::try_from(dropped).unwrap_or(u32::MAX) }
}

/// Beyond the number that is kept, an outcome is still known for a day.
fn old_enough(at: crate::model::Wall, ctx: &Ctx) -> bool {
    at.until(ctx.now) > Millis(86_400_000)
}
