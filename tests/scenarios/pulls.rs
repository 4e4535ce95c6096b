//! Pages and cursors, and pulling everything anew (P13, P30, R2, R22, R25).

use holdfast::model::{Cursor, Presence, Scope};
use holdfast::plan::pull::Pulled;

use crate::till::{Till, applied, doc, is_queued, live, tombstone};

/// P13.
#[test]
fn a_page_and_its_cursor_are_stored_together() {
    let mut till = Till::new();
    let page = till.page(&[live("o1", 1, "{}"), live("o2", 1, "{}")], true);
    let pulled = till.applies(None, &page).unwrap();
    assert!(matches!(pulled, Pulled::Applied { records: 2, echoes: 0, .. }), "{pulled:?}");
    assert_eq!(till.cursor(), Some(page.next));
    assert_eq!(till.all().meta.last_pull, None, "there is more");
    till.pulls(&[]);
    assert!(till.all().meta.last_pull.is_some());
}

/// R22: the answer to the commit was lost.
#[test]
fn a_repeated_page_is_success() {
    let mut till = Till::new();
    let page = till.page(&[live("o1", 1, "{}")], false);
    till.applies(None, &page).unwrap();
    let before = till.all();
    assert_eq!(till.applies(None, &page), Ok(Pulled::Repeated));
    let elsewhere = till.page(&[live("o1", 9, "{}")], false);
    assert_eq!(till.applies(Some(&Cursor("old".into())), &elsewhere), Ok(Pulled::Moved));
    assert_eq!(till.all(), before);
}

/// P13: redelivery is harmless.
#[test]
fn a_page_that_comes_twice_changes_nothing() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, "{}"), tombstone("o2", 2)]);
    let before = till.all().records;
    till.pulls(&[live("o1", 1, "{}"), tombstone("o2", 2)]);
    assert_eq!(till.all().records, before);
}

/// R2: never a tombstone, never skipped silently.
#[test]
fn what_cannot_be_read_is_kept_aside() {
    let mut till = Till::new();
    let mut page = till.page(&[live("o1", 1, "{}")], false);
    page.unreadable = vec!["{\"id\":3".into(), "[]".into()];
    till.applies(None, &page).unwrap();
    let rows = till.disk.rows("quarantine");
    assert_eq!(rows.len(), 2);
    assert!(rows[0].text.contains("{\\\"id\\\":3"), "{rows:?}");
    till.sees("o1", "{}");
}

/// P30, R2: one row that cannot be read is reported; the rest works, and reading it again does not make the heap grow.
#[test]
fn an_unreadable_row_is_contained() {
    use holdfast::layout::{Part, Row, RowChange};
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#), live("o2", 1, "{}")]);
    let key = vec![Part::Text("orders".into()), Part::Text("o1".into())];
    let row = Row { text: "{broken".into(), indexes: Vec::new() };
    till.disk.change(RowChange::Put { store: "records", key, row });
    let all = till.all();
    assert_eq!(all.unreadable.len(), 1);
    assert_eq!(all.unreadable[0].text, "{broken");
    assert!(all.records.contains_key(&crate::till::order("o2")));
}

/// A15, R25, P3: everything is pulled anew; what was not brought is gone, and the outbox is not touched.
#[test]
fn an_expired_cursor_sweeps_and_keeps_the_outbox() {
    let mut till = Till::new();
    till.pulls(&[
        live("kept", 5, r#"{"a":1}"#),
        live("gone", 5, r#"{"a":1}"#),
        live("edited", 5, r#"{"a":1}"#),
        live("sent", 5, r#"{"a":1}"#),
    ]);
    let sent = till.patches("sent", r#"{"a":2}"#);
    till.sends();
    till.hears_halt(holdfast::model::Halt::Unreachable);
    let edited = till.patches("edited", r#"{"a":2}"#);
    let made = till.creates("made", r#"{"a":2}"#);
    let kept = till.patches("kept", r#"{"b":2}"#);
    till.cursor_expires();
    assert_eq!(till.cursor(), None);
    till.sees("gone", r#"{"a":1}"#);
    till.laws.rewound = true;
    let page = till.page(&[live("kept", 2, r#"{"a":7}"#)], true);
    till.applies(None, &page).unwrap();
    till.sees("gone", r#"{"a":1}"#);
    till.pulls(&[]);
    till.sees_nothing("gone");
    assert!(!till.all().records.contains_key(&crate::till::order("gone")));
    till.sees("kept", r#"{"a":7,"b":2}"#);
    till.sees("made", r#"{"a":2}"#);
    assert!(is_queued(&till.op(made)) && is_queued(&till.op(kept)));
    assert!(is_queued(&till.op(sent)), "its verdict is awaited");
    assert_eq!(till.base("sent").unwrap().presence, Presence::Deleted);
    assert_eq!(till.open_conflict().op, edited, "update-delete");
    till.sees("edited", r#"{"a":2}"#);
    let row = till.all();
    assert_eq!(row.ops.len(), 4);
}

/// R25: versions of two generations are not compared; a server that was set back is believed.
#[test]
fn a_server_that_was_set_back_is_believed_after_a_full_pull() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 9, r#"{"a":9}"#)]);
    till.cursor_expires();
    till.laws.rewound = true;
    till.pulls(&[live("o1", 3, r#"{"a":3}"#)]);
    till.sees("o1", r#"{"a":3}"#);
    till.patches("o1", r#"{"a":4}"#);
    till.pushes(applied(4));
    till.sees("o1", r#"{"a":4}"#);
}

/// R25: what a verdict or an echo brought while everything is pulled anew is not swept.
#[test]
fn what_is_settled_during_a_full_pull_stays() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, "{}")]);
    till.cursor_expires();
    let page = till.page(&[live("o1", 1, "{}")], true);
    till.applies(None, &page).unwrap();
    till.creates("new", r#"{"n":1}"#);
    till.pushes(applied(1));
    till.pulls(&[]);
    till.sees("new", r#"{"n":1}"#);
    till.sees("o1", "{}");
}

/// R25: a record that our own push made is swept like any other once a full pull does not bring it.
#[test]
fn what_the_server_lost_is_swept_even_if_we_made_it() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, "{}")]);
    till.creates("o2", r#"{"n":1}"#);
    till.pushes(applied(1));
    till.cursor_expires();
    till.pulls(&[live("o1", 1, "{}")]);
    till.sees_nothing("o2");
}

#[test]
fn a_second_expiry_begins_again() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, "{}"), live("o2", 1, "{}")]);
    till.cursor_expires();
    let page = till.page(&[live("o1", 1, "{}")], true);
    till.applies(None, &page).unwrap();
    till.cursor_expires();
    till.pulls(&[live("o2", 1, "{}")]);
    till.sees_nothing("o1");
    till.sees("o2", "{}");
    let s = till
        .disk
        .snapshot(holdfast::model::Need::only(vec![holdfast::model::Root::Cursor(Scope::all())]));
    let row = s.cursors.get(&Scope::all()).unwrap();
    assert!(!row.rebuilding && row.complete);
}

/// A foreign create and its removal between two pulls.
#[test]
fn a_tombstone_of_what_was_never_here_is_a_tombstone() {
    let mut till = Till::new();
    till.pulls(&[tombstone("o1", 2)]);
    till.sees_nothing("o1");
    till.creates("o1", r#"{"a":1}"#);
    assert_eq!(till.only("o1").assumed, holdfast::model::Assumed::At(crate::till::version(2)));
    till.pushes(applied(3));
    till.sees("o1", r#"{"a":1}"#);
    let _ = doc("{}");
}

/// P37: `synced` needs a pull after the last applied operation.
#[test]
fn a_pull_is_due_after_something_was_applied() {
    let mut till = Till::new();
    till.pulls(&[]);
    assert!(!till.all().meta.pull_due);
    till.creates("o1", "{}");
    till.pushes(applied(1));
    assert!(till.all().meta.pull_due);
    till.pulls(&[]);
    assert!(!till.all().meta.pull_due);
}
