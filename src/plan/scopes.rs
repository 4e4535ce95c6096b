//! Scopes: the parts of the server's data that an application wants here. Adding, noting their use, evicting (never unsent work),
//! and whose turn it is in a pull.

use super::draft::{Draft, Notice};
use crate::model::map::sort_by;
use crate::model::{
    Changeset, Ctx, CursorRow, Decision, EntityKey, Map, Millis, Rules, Scope, Snapshot, Wall,
};

/// Between two notes that a scope was used: reads are many, and a note is a commit.
pub const NOTE_EVERY: Millis = Millis(3_600_000);

/// The generation of the next full pull. No two scopes have one in common: a base that waits for the end of its full pull says by its
/// generation alone whose it is (R25).
#[must_use]
pub(super) fn next_generation(s: &Snapshot) -> u32 {
    s.cursors.values().map(|row| row.generation).max().unwrap_or(0) + 1
}

/// Wants a scope from now on (tx `scope.add`); tells whether it was not there before. One that is still leaving comes back with
/// what is left of it: what the server has no more goes at the end of the pull.
pub fn add(s: &Snapshot, scope: &Scope, ctx: &Ctx) -> Decision<bool> {
    let row = match s.cursors.get(scope) {
        Some(row) if !row.leaving => {
            return Decision { changes: note(s, &[scope], ctx).changes, output: false };
        }
        Some(row) => CursorRow { leaving: false, rebuilding: true, ..begun_anew(row, s) },
        None => CursorRow { generation: next_generation(s), ..CursorRow::new(scope.clone()) },
    };
    let mut changes = Changeset::default();
    changes.cursors.push(CursorRow { used: Some(ctx.now), ..row });
    Decision { changes, output: true }
}

fn begun_anew(row: &CursorRow, s: &Snapshot) -> CursorRow {
    CursorRow { generation: next_generation(s), ..CursorRow::new(row.scope.clone()) }
}

/// Notes that scopes were used (tx `scope.use`), unless that was noted a short while ago.
pub fn note(s: &Snapshot, scopes: &[&Scope], ctx: &Ctx) -> Decision<()> {
    let stale = |row: &&CursorRow| {
        !row.leaving && row.used.is_none_or(|used| used.until(ctx.now) >= NOTE_EVERY)
    };
    let mut changes = Changeset::default();
    let rows = scopes.iter().filter_map(|scope| s.cursors.get(scope)).filter(stale);
    changes.cursors = rows.map(|row| CursorRow { used: Some(ctx.now), ..row.clone() }).collect();
    Decision { changes, output: () }
}

/// What an eviction did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evicted {
    /// Records that are not here any more.
    pub gone: u32,
    /// Records that stay, because something on them has not been settled with the server.
    pub kept: u32,
    /// What changed.
    pub notice: Notice,
}

/// Forgets what only this scope brought (tx `scope.evict`). A record with anything in the outbox stays, with its base, until that is
/// settled (P3, R25): the scope is leaving meanwhile, and a later eviction takes the rest. It is not pulled any more.
pub fn evict(s: &Snapshot, scope: &Scope, rules: &Rules, ctx: &Ctx) -> Decision<Evicted> {
    let Some(row) = s.cursors.get(scope) else { return Decision::nothing(Evicted::default()) };
    let mut draft = Draft::new(s, rules, ctx);
    let keys: Vec<EntityKey> =
        s.records.values().filter(|it| it.is_in(scope)).map(|it| it.key.clone()).collect();
    let (mut gone, mut kept) = (0, 0);
    for key in keys {
        if draft.queue(&key).is_empty() {
            gone += u32::from(draft.take_out_of(&key, scope));
        } else {
            kept += 1;
        }
    }
    if kept == 0 {
        draft.out.drop_cursors.push(scope.clone());
    } else {
        let used = row.used;
        draft.out.cursors.push(CursorRow { leaving: true, used, ..begun_anew(row, s) });
    }
    draft.finish(|notice| Evicted { gone, kept, notice })
}

/// Scopes that nobody has used for so long, and those that are leaving still.
#[must_use]
pub fn unused(rows: &Map<Scope, CursorRow>, age: Option<Millis>, now: Wall) -> Vec<Scope> {
    let old = |row: &CursorRow| row.used.zip(age).is_some_and(|(used, age)| used.until(now) > age);
    let rows = rows.values().filter(|row| row.leaving || old(row));
    rows.map(|row| row.scope.clone()).collect()
}

/// A scope's part in a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The scope.
    pub scope: Scope,
    /// Pages that it had.
    pub pages: usize,
    /// It is in the middle of a full pull that replaces what is shown.
    pub rebuilding: bool,
    /// Whether it has more.
    pub state: TurnState,
}

/// How far a scope's part has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnState {
    /// There may be more.
    Open,
    /// All is here.
    Done,
    /// The server gave nothing.
    Failed,
}

/// The scopes of a pull, in order: one that is in the middle of a full pull, then whichever was complete longest ago; what never was
/// comes first of these.
#[must_use]
pub fn turns(rows: &Map<Scope, CursorRow>) -> Vec<Turn> {
    let mut rows: Vec<&CursorRow> = rows.values().filter(|row| !row.leaving).collect();
    let is_midway = |row: &CursorRow| row.rebuilding && row.cursor.is_some();
    sort_by(&mut rows, |a, b| {
        (!is_midway(a), a.pulled, &a.scope) < (!is_midway(b), b.pulled, &b.scope)
    });
    rows.into_iter().map(|row| Turn::new(row.scope.clone(), row.rebuilding)).collect()
}

impl Turn {
    /// A part that has not begun.
    #[must_use]
    pub fn new(scope: Scope, rebuilding: bool) -> Self {
        Self { scope, pages: 0, rebuilding, state: TurnState::Open }
    }
}

/// Whose turn it is: a page for each, so that a large scope does not keep the others waiting. A full pull that replaces what is shown
/// is not mixed with others: it goes on to its end.
#[must_use]
pub fn next(turns: &[Turn]) -> Option<usize> {
    let open = || turns.iter().enumerate().filter(|(_, turn)| turn.state == TurnState::Open);
    let midway = open().find(|(_, turn)| turn.rebuilding && turn.pages > 0);
    let fewest = open().min_by_key(|(_, turn)| turn.pages);
    midway.or(fewest).map(|(at, _)| at)
}

/// Whether the end of this one is the end of the pull: the others are done, and none has failed.
#[must_use]
pub fn is_last(turns: &[Turn], at: usize) -> bool {
    turns.iter().enumerate().all(|(other, turn)| other == at || turn.state == TurnState::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Cursor;

    fn turn(name: &str, pages: usize, state: TurnState) -> Turn {
        Turn { pages, state, ..Turn::new(Scope(name.to_owned()), false) }
    }

    fn row(name: &str, pulled: Option<u64>) -> CursorRow {
        CursorRow { pulled: pulled.map(Wall), ..CursorRow::new(Scope(name.to_owned())) }
    }

    fn rows(rows: Vec<CursorRow>) -> Map<Scope, CursorRow> {
        rows.into_iter().map(|row| (row.scope.clone(), row)).collect()
    }

    /// P8: no scope waits for another to come to its end, and none is asked after it did.
    #[test]
    fn every_scope_has_its_turn() {
        use TurnState::{Done, Failed, Open};
        for (turns, whose, last) in [
            (vec![], None, false),
            (vec![turn("a", 0, Open)], Some(0), true),
            (vec![turn("a", 0, Open), turn("b", 0, Open)], Some(0), false),
            (vec![turn("a", 1, Open), turn("b", 0, Open)], Some(1), false),
            (vec![turn("a", 3, Open), turn("b", 3, Done)], Some(0), true),
            (vec![turn("a", 3, Open), turn("b", 0, Failed)], Some(0), false),
            (vec![turn("a", 3, Done), turn("b", 1, Failed)], None, false),
            // In the middle of a full pull that replaces what is shown.
            (
                vec![turn("a", 0, Open), Turn { rebuilding: true, ..turn("b", 2, Open) }],
                Some(1),
                false,
            ),
            (
                vec![turn("a", 0, Open), Turn { rebuilding: true, ..turn("b", 0, Open) }],
                Some(0),
                false,
            ),
        ] {
            assert_eq!(next(&turns), whose, "{turns:?}");
            assert_eq!(whose.is_some_and(|at| is_last(&turns, at)), last, "{turns:?}");
        }
    }

    #[test]
    fn a_pull_begins_with_what_is_behind() {
        let midway = CursorRow {
            rebuilding: true,
            cursor: Some(Cursor("7".to_owned())),
            ..row("midway", Some(9))
        };
        let leaving = CursorRow { leaving: true, ..row("leaving", None) };
        let all = rows(vec![
            row("new", None),
            row("old", Some(3)),
            row("older", Some(2)),
            midway,
            leaving,
        ]);
        let order: Vec<String> = turns(&all).into_iter().map(|turn| turn.scope.0).collect();
        assert_eq!(order, ["midway", "new", "older", "old"]);
    }

    /// Nothing is evicted without an age, nor before it; what is leaving goes on leaving.
    #[test]
    fn what_nobody_uses_goes() {
        let used = |name, at| CursorRow { used: Some(Wall(at)), ..row(name, None) };
        let leaving = CursorRow { leaving: true, ..row("leaving", None) };
        let all = rows(vec![used("old", 10), used("new", 90), row("never", None), leaving]);
        let names = |age| -> Vec<String> {
            unused(&all, age, Wall(100)).into_iter().map(|scope| scope.0).collect()
        };
        assert_eq!(names(Some(Millis(50))), ["leaving", "old"]);
        assert_eq!(names(Some(Millis(90))), ["leaving"]);
        assert_eq!(names(None), ["leaving"]);
    }

    fn ctx(now: u64) -> Ctx {
        let ids = crate::model::IdSeed { at: Wall(now), random: [0; 10] };
        Ctx { now: Wall(now), term: None, ids, jitter: 0 }
    }

    /// R25: generations are the scopes' own; what is leaving comes back by a pull that sweeps.
    #[test]
    fn a_scope_is_added_once() {
        let scope = Scope("b".to_owned());
        let cursors = rows(vec![CursorRow { generation: 4, ..row("a", Some(1)) }]);
        let mut s = Snapshot { cursors, ..Snapshot::default() };
        let added = add(&s, &scope, &ctx(7));
        let [new] = &*added.changes.cursors else { panic!("{added:?}") };
        assert!(added.output && !new.rebuilding && !new.complete);
        assert_eq!((new.generation, new.used), (5, Some(Wall(7))));

        s.cursors.insert(scope.clone(), new.clone());
        let again = add(&s, &scope, &ctx(8));
        assert!(!again.output && again.changes.is_empty(), "{again:?}");
        let later = add(&s, &scope, &ctx(7 + NOTE_EVERY.0));
        assert_eq!(later.changes.cursors.len(), 1, "its use is noted");

        s.cursors.insert(scope.clone(), CursorRow { leaving: true, ..new.clone() });
        let back = add(&s, &scope, &ctx(9));
        let [row] = &*back.changes.cursors else { panic!("{back:?}") };
        assert!(back.output && row.rebuilding && !row.leaving);
        assert_eq!(row.generation, 6);
    }
}
