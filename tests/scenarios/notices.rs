//! What a commit tells its listeners (R28), and when a record was last another one.

use holdfast::model::{ConflictKind, Halt, Millis, OpId, Outcome, Strategy, Wall};
use holdfast::plan::Notice;
use holdfast::plan::pull::Pulled;

use crate::till::{RETRY, Till, applied, by, conflict, live, order, rejected};

/// The last page of a pull, and what it told.
fn pulled(till: &mut Till, changes: &[holdfast::model::RemoteChange]) -> (u32, u32, Notice) {
    let page = till.page(changes, false);
    let Ok(Pulled::Applied { records, echoes, notice }) =
        till.applies(till.cursor().as_ref(), &page)
    else {
        panic!("the page is not stored")
    };
    (records, echoes, notice)
}

fn changed(notice: &Notice) -> Vec<String> {
    notice.changed.iter().map(|key| key.id.clone()).collect()
}

fn modified(till: &Till) -> u64 {
    till.all().records.get(&order("o1")).unwrap().modified
}

/// A till with an order that is away.
fn away() -> (Till, OpId) {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#), live("o2", 1, "{}")]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    (till, op)
}

/// R28, P37: a record whose operation goes back to waiting looks the same, and its state does not.
#[test]
fn a_state_that_changed_is_told_like_a_document() {
    let (mut till, op) = away();
    let settled = till.hears(&[(op, RETRY)]);
    assert_eq!(changed(&settled.notice), ["o1"]);
    assert_eq!(settled.notice.settled, []);
}

/// R28: what ended is told, with the writes that were folded into it.
#[test]
fn what_ended_is_told_with_all_that_is_in_it() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"a":1}"#);
    till.patches("o1", r#"{"a":2}"#);
    let folded = till.only("o1").folded;
    till.sends();
    let settled = till.hears(&[(op, applied(1))]);
    assert_eq!(changed(&settled.notice), ["o1"]);
    assert_eq!(settled.notice.settled, [vec![op], folded].concat());
    assert_eq!(settled.applied, 1);
}

/// P21, R28: what a person has to look at is named.
#[test]
fn what_needs_a_person_is_told() {
    let (mut till, op) = away();
    let settled = till.hears(&[(op, rejected("validation"))]);
    assert_eq!((settled.notice.parked, settled.parked), (vec![op], 1));
    let (mut till, op) = away();
    let settled = till.hears(&[(op, conflict(2, r#"{"a":3}"#))]);
    assert_eq!(settled.notice.conflicts, [till.open_conflict().id]);
    assert_eq!(settled.notice.kinds, [ConflictKind::UpdateUpdate]);
    let mut till = Till::with(Strategy::ServerWins);
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    let (records, echoes, notice) = pulled(&mut till, &[live("o1", 2, r#"{"a":3}"#)]);
    assert_eq!((records, echoes), (1, 0));
    assert_eq!(notice.conflicts.len(), 1, "P18: what a policy decided, too");
}

/// R28: a page that tells what is known already changes nothing, and says so.
#[test]
fn what_is_known_is_not_told_again() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let again = [live("o1", 1, r#"{"a":1}"#), live("o2", 1, "{}")];
    let (records, _, notice) = pulled(&mut till, &again);
    assert_eq!((records, changed(&notice)), (1, vec!["o2".to_owned()]));
}

/// `meta.modifiedAt`: when the application last saw another document, whoever changed it.
#[test]
fn a_record_was_modified_when_its_view_was() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let made = modified(&till);
    let op = till.patches("o1", r#"{"a":2}"#);
    let written = modified(&till);
    assert!(written > made);
    till.sends();
    till.hears(&[(op, applied(2))]);
    till.pulls(&[live("o1", 3, r#"{"a":2}"#)]);
    assert_eq!(modified(&till), written, "a verdict and a new version under the same view");
    till.pulls(&[live("o1", 4, r#"{"a":3}"#)]);
    assert!(modified(&till) > written);
}

/// O6, R28: a page tells how many operations of ours it showed to be done.
#[test]
fn an_echo_is_counted_and_told() {
    let (mut till, op) = away();
    let (records, echoes, notice) = pulled(&mut till, &[by(op, live("o1", 2, r#"{"a":2}"#))]);
    assert_eq!((records, echoes), (0, 1), "the verdict has moved the base already");
    assert_eq!(notice.settled, [op]);
}

/// P37: an answered push and a pull that came to its end are remembered with their times, and nothing else is.
#[test]
fn the_last_push_and_pull_are_those_that_were_answered() {
    let mut till = Till::new();
    let times = |till: &Till| (till.all().meta.last_push, till.all().meta.last_pull);
    let page = till.page(&[live("o1", 1, "{}")], true);
    till.applies(None, &page).unwrap();
    let op = till.patches("o1", r#"{"a":1}"#);
    till.sends();
    till.hears_halt(Halt::Unreachable);
    assert_eq!(times(&till), (None, None));
    till.waits();
    till.sends();
    till.hears(&[(op, applied(2))]);
    let pushed = Some(Wall(till.now));
    assert_eq!(times(&till), (pushed, None));
    till.pulls(&[]);
    assert_eq!(times(&till), (pushed, Some(Wall(till.now))));
}

/// R8, R19: what is asked again later says when the first of it may leave.
#[test]
fn the_next_departure_is_the_earliest() {
    let mut till = Till::new();
    let ops = [till.creates("o1", "{}"), till.creates("o2", "{}"), till.creates("o3", "{}")];
    assert_eq!(till.sends(), ops);
    let after = |seconds: u64| Outcome::Retry { after: Some(Millis(seconds * 1_000)) };
    let settled = till.hears(&[(ops[0], after(40)), (ops[1], after(20)), (ops[2], after(30))]);
    assert_eq!((settled.retried, settled.next_due), (3, Some(Wall(till.now + 20_000))));
    let claimed = till.claim().unwrap();
    assert!(claimed.batch.is_empty());
    assert_eq!(claimed.next_due, settled.next_due);
}

/// P29: a loss is told until everything was pulled again, to its last page.
#[test]
fn a_loss_is_over_when_a_pull_is_complete() {
    let mut till = Till::new();
    let ctx = till.ctx();
    let decision = holdfast::plan::lost::lost(&till.all(), &ctx);
    till.commits(&decision.changes);
    let page = till.page(&[live("o1", 1, "{}")], true);
    till.applies(None, &page).unwrap();
    assert_eq!(till.all().meta.lost, Some(ctx.now));
    till.pulls(&[]);
    assert_eq!(till.all().meta.lost, None);
}
