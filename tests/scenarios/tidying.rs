//! Cleaning up takes history, never work (P3, P18, R9).

use holdfast::model::{Millis, Need, Root};
use holdfast::plan::tidy::{Retention, tidy};

use crate::till::{Till, applied, conflict, is_queued, is_rejected, live, rejected};

const YEAR: u64 = 365 * 86_400_000;

impl Till {
    fn tidies(&mut self, keep: &Retention) -> u32 {
        let ctx = self.ctx();
        let s = self.disk.snapshot(Need::only(vec![
            Root::Settled { limit: keep.step },
            Root::Journal { limit: keep.step },
            Root::Conflicts,
        ]));
        let decision = tidy(&s, keep, &ctx);
        // The laws count what ended by its rows: those are what is forgotten here.
        self.disk.write(&decision.changes).unwrap();
        decision.output
    }
}

/// One of each: applied, in conflict, decided by policy or by a person, rejected, waiting.
fn till() -> Till {
    let mut till = Till::new();
    till.pulls(&[live("open", 1, r#"{"a":1}"#), live("done", 1, r#"{"a":1}"#)]);
    for id in ["open", "done"] {
        till.patches(id, r#"{"a":2}"#);
        till.pushes(conflict(2, r#"{"a":3}"#));
        if id == "done" {
            continue;
        }
        till.resolves(&holdfast::model::Choice::Theirs).unwrap();
        till.patches(id, r#"{"a":4}"#);
        till.pushes(conflict(3, r#"{"a":5}"#));
        till.resolves(&holdfast::model::Choice::Mine).unwrap();
        till.pushes(conflict(4, r#"{"a":6}"#));
        till.resolves(&holdfast::model::Choice::Theirs).unwrap();
    }
    till.creates("refused", "{}");
    till.pushes(rejected("validation"));
    till.creates("sold", "{}");
    till.pushes(applied(1));
    till
}

/// P3, R9: what is not sent is never tidied up.
#[test]
fn a_year_later_history_is_gone_and_work_is_not() {
    let mut till = till();
    let waiting = till.creates("waiting", "{}");
    let before = till.all();
    assert_eq!(till.tidies(&Retention::default()), 0, "nothing is old yet");
    till.now += YEAR;
    let mut steps = 0;
    while till.tidies(&Retention { journal: 1, step: 3, ..Retention::default() }) > 0 {
        steps += 1;
        assert!(steps < 100, "it comes to an end");
    }
    assert!(steps > 1, "in bounded steps");
    let after = till.all();
    assert_eq!(after.ops, before.ops, "P3");
    assert_eq!(after.records, before.records);
    assert_eq!(till.open_conflicts(), 1, "P19: an open conflict is work");
    assert_eq!(after.conflicts.len(), 1);
    assert_eq!(after.settled.len(), 0);
    assert_eq!(after.journal.len(), 1);
    assert_eq!(after.meta.counts, before.meta.counts, "R10");
    assert!(is_queued(&till.op(waiting)) && is_rejected(&till.queue("refused")[0]));
}

/// R9: for 30 days.
#[test]
fn what_ended_lately_is_kept() {
    let mut till = till();
    till.now += YEAR;
    let late = till.creates("late", "{}");
    till.flight = till.claim().unwrap().batch;
    till.hears(&[(late, applied(1))]);
    till.now += 86_400_000;
    while till.tidies(&Retention { age: Millis(2 * 86_400_000), ..Retention::default() }) > 0 {}
    assert!(till.settled(late).is_some(), "R9: its outcome is known");
    assert_eq!(till.all().settled.len(), 1);
}

/// R9: beyond the number that is kept the oldest go, and exactly as many as there are too many of. Rows that are gone already
/// do not count.
#[test]
fn as_many_rows_are_kept_as_may_be() {
    let mut till = Till::new();
    for n in 0..30 {
        till.creates(&format!("o{n}"), "{}");
        till.pushes(applied(1));
    }
    till.now += 2 * 86_400_000;
    let keep = Retention { settled: 20, step: 7, ..Retention::default() };
    let mut forgotten = 0;
    loop {
        let step = till.tidies(&keep);
        if step == 0 {
            break;
        }
        forgotten += step;
    }
    assert_eq!(forgotten, 10);
    let all = till.all();
    assert_eq!((all.settled.len(), all.meta.settled), (20, 20));
    let keep = Retention { settled: 15, step: 100, ..keep };
    assert_eq!(till.tidies(&keep), 5, "of a hundred that were looked at");
    assert_eq!(till.tidies(&keep), 0);
}

/// R9: of one step too, the oldest go; and whatever ended within a day is known, however many there are.
#[test]
fn the_oldest_go_first_and_nothing_of_today() {
    let mut till = Till::new();
    let mut ended = Vec::new();
    let mut sell = |till: &mut Till, n: usize| {
        ended.push(till.creates(&format!("o{n}"), "{}"));
        till.pushes(applied(1));
    };
    (0..4).for_each(|n| sell(&mut till, n));
    till.now += 2 * 86_400_000;
    (4..8).for_each(|n| sell(&mut till, n));
    let keep = |settled| Retention { settled, step: 100, ..Retention::default() };
    assert_eq!(till.tidies(&keep(6)), 2);
    let known = |till: &Till| ended.iter().filter(|op| till.fate(**op).is_some()).count();
    assert_eq!(known(&till), 6);
    assert!(ended[..2].iter().all(|op| till.fate(*op).is_none()), "the oldest");
    assert_eq!(till.tidies(&keep(1)), 2, "those of today are kept");
    assert_eq!(known(&till), 4);
}
