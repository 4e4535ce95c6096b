//! Pages and cursors, and pulling everything anew (P13, P30, R2, R22, R25).

use holdfast::model::{
    Assumed, Choice, Cursor, Fate, Halt, OpState, Presence, RemoteChange, Scope, Version,
};
use holdfast::plan::pull::Pulled;

use crate::till::{
    Till, applied, applied_as, by, conflict, doc, is_queued, live, order, rejected, tombstone,
    version,
};

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
    assert_eq!(till.all().meta.quarantine.rows, 2);
}

/// R2, P36: a server that sends nothing that can be read fills no device, and none of it is skipped: the page is not taken. What
/// is kept aside stays, and pages that can be read are taken as ever.
#[test]
fn a_full_quarantine_stops_pulling_and_skips_nothing() {
    let bad = || vec!["x".repeat(100), "y".repeat(100)];
    for (rows, bytes) in [(3, 1_000_000), (1_000_000, 300)] {
        let mut till = Till::new();
        till.rules.limits.quarantine_rows = rows;
        till.rules.limits.quarantine_bytes = bytes;
        let mut page = till.page(&[], true);
        page.unreadable = bad();
        till.applies(None, &page).unwrap();
        let mut more = till.page(&[live("o1", 1, "{}")], true);
        more.unreadable = bad();
        let (at, before) = (till.cursor(), till.all());
        assert_eq!(till.applies(at.as_ref(), &more), Ok(Pulled::Unreadable));
        assert_eq!((till.cursor(), till.all()), (at.clone(), before));
        assert_eq!(till.disk.rows("quarantine").len(), 2);
        more.unreadable.clear();
        till.applies(at.as_ref(), &more).unwrap();
        till.sees("o1", "{}");
    }
}

/// R2: what is pulled again after a full pull began anew is in quarantine once, and counted once.
#[test]
fn what_is_kept_aside_is_counted_once() {
    let mut till = Till::new();
    let mut page = till.page(&[], true);
    page.unreadable = vec!["x".into()];
    till.applies(None, &page).unwrap();
    till.cursor_expires();
    till.applies(None, &page).unwrap();
    let counted = till.all().meta.quarantine;
    let place = format!("pull/all/{}/0", page.next.0);
    assert_eq!((counted.rows, counted.bytes), (1, place.len() as u64 + 1));
    assert_eq!(till.disk.rows("quarantine").len(), 1);
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
    till.laws.spoiled = 1;
    for _ in 0..2 {
        // The end of a full pull looks at every row.
        till.cursor_expires();
        till.pulls(&[live("o2", 1, "{}")]);
        assert_eq!((till.disk.rows("quarantine").len(), till.all().meta.quarantine.rows), (1, 1));
    }
    assert!(all.records.contains_key(&crate::till::order("o2")));
}

/// R2, P30: a verdict on a change of a record that cannot be read is no word of its removal: what is not known is not guessed at.
#[test]
fn a_verdict_over_an_unreadable_row_is_no_removal() {
    use holdfast::layout::{Part, Row, RowChange};
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let changed = till.patches("o1", r#"{"a":2}"#);
    let key = vec![Part::Text("orders".into()), Part::Text("o1".into())];
    let row = Row { text: "{broken".into(), indexes: Vec::new() };
    till.disk.change(RowChange::Put { store: "records", key, row });
    till.laws.spoiled = 1;
    till.pushes(applied(2));
    assert_eq!(till.base("o1"), None);
    assert!(matches!(till.op(changed).state, OpState::Acked { .. }), "until a pull tells");
    till.laws.spoiled = 0;
    till.pulls(&[live("o1", 2, r#"{"a":2,"b":1}"#)]);
    till.sees("o1", r#"{"a":2,"b":1}"#);
    assert_eq!(till.fate(changed), Some(Fate::Applied));
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
    let page = till.page(&[live("kept", 2, r#"{"a":7}"#), live("new", 1, "{}")], true);
    till.applies(None, &page).unwrap();
    till.sees("gone", r#"{"a":1}"#);
    till.sees("kept", r#"{"a":1,"b":2}"#);
    till.sees_nothing("new");
    till.pulls(&[]);
    till.sees_nothing("gone");
    assert!(!till.all().records.contains_key(&order("gone")));
    till.sees("kept", r#"{"a":7,"b":2}"#);
    till.sees("new", "{}");
    till.sees("made", r#"{"a":2}"#);
    assert!(is_queued(&till.op(made)) && is_queued(&till.op(kept)));
    assert!(is_queued(&till.op(sent)), "its verdict is awaited");
    assert_eq!(till.base("sent").unwrap().presence, Presence::Deleted);
    assert_eq!(till.open_conflict().op, edited, "update-delete");
    till.sees("edited", r#"{"a":2}"#);
    let row = till.all();
    assert_eq!(row.ops.len(), 4);
    assert!(row.records.values().all(|record| record.shadow.is_none()), "{:#?}", row.records);
}

/// R25: versions of two generations are not compared; a server that was set back is believed.
#[test]
fn a_server_that_was_set_back_is_believed_after_a_full_pull() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 9, r#"{"a":9}"#)]);
    till.cursor_expires();
    till.pulls(&[live("o1", 3, r#"{"a":3}"#)]);
    till.sees("o1", r#"{"a":3}"#);
    till.patches("o1", r#"{"a":4}"#);
    till.pushes(applied(4));
    till.sees("o1", r#"{"a":4}"#);
}

/// A cursor expired and the first page of what comes next is stored; there is more.
fn rebuilding(till: &mut Till, changes: &[RemoteChange]) {
    till.cursor_expires();
    let page = till.page(changes, true);
    till.applies(None, &page).unwrap();
}

/// What the full pull that is under way knows of an order.
fn shadow(till: &Till, id: &str) -> Option<(Presence, Option<Version>)> {
    let record = till.all().records.get(&order(id)).cloned();
    let base = record.and_then(|record| record.shadow).map(|shadow| shadow.base);
    base.map(|base| (base.presence, base.version))
}

/// R25: an edit that waits is judged against the older state that a server shows which was restored from a backup; one that the
/// lost history had applied is not sent again.
#[test]
fn a_restored_server_is_what_queued_edits_are_judged_against() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 8, r#"{"a":8,"b":1}"#), live("o2", 4, r#"{"a":1}"#)]);
    till.patches("o1", r#"{"b":2}"#);
    let lost = till.pushes(applied(9));
    let same = till.patches("o1", r#"{"a":5}"#);
    let other = till.patches("o2", r#"{"b":1}"#);
    till.cursor_expires();
    till.pulls(&[live("o1", 3, r#"{"a":3,"b":1}"#), live("o2", 4, r#"{"a":7}"#)]);
    let conflict = till.open_conflict();
    assert_eq!((conflict.op, conflict.version), (same, Some(version(3))), "a moved under it");
    assert_eq!(conflict.theirs, Presence::Live(doc(r#"{"a":3,"b":1}"#)));
    assert_eq!(till.fate(lost), Some(Fate::Applied));
    assert_eq!(till.op(other).assumed, Assumed::At(version(4)), "judged: the number says nothing");
    till.sees("o2", r#"{"a":7,"b":1}"#);
    assert_eq!(till.sends(), [other], "what was settled is gone, and nobody sends it again");
}

/// R25: equal numbers of two histories are two versions.
#[test]
fn a_version_number_that_comes_again_is_judged() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 4, r#"{"a":1}"#)]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.cursor_expires();
    till.pulls(&[live("o1", 4, r#"{"a":9}"#)]);
    assert_eq!(till.open_conflict().op, op);
}

/// R25, P17: a version number that comes again is not the state that is shown: what an edit was made on stays what its user saw.
#[test]
fn an_echo_of_a_version_that_comes_again_brings_nothing_of_the_other_history() {
    let mut till = Till::new();
    let create = till.creates("o1", r#"{"a":1,"b":1}"#);
    till.sends();
    let edit = till.patches("o1", r#"{"a":2}"#);
    till.hears_halt(Halt::Unreachable);
    till.pulls(&[live("o1", 1, r#"{"a":9,"b":9}"#)]);
    till.cursor_expires();
    till.pulls(&[by(create, live("o1", 1, r#"{"a":1,"b":1}"#))]);
    assert_eq!(till.fate(create), Some(Fate::Applied));
    assert!(till.all().conflicts.is_empty(), "nobody else changed what it is about");
    assert_eq!(till.op(edit).assumed, Assumed::At(version(1)));
    till.sees("o1", r#"{"a":2,"b":1}"#);
}

/// R25: what a verdict brought while everything is pulled anew is in both generations.
#[test]
fn what_is_settled_during_a_full_pull_goes_to_both_generations() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, "{}"), live("o2", 1, "{}")]);
    rebuilding(&mut till, &[live("o1", 1, "{}"), live("o2", 1, "{}")]);
    till.creates("new", r#"{"n":1}"#);
    till.pushes(applied(1));
    till.patches("o1", r#"{"a":1}"#);
    till.pushes(applied_as(2, r#"{"a":1,"srv":1}"#));
    till.removes("o2");
    till.pushes(applied(2));
    for (id, text) in [("new", r#"{"n":1}"#), ("o1", r#"{"a":1,"srv":1}"#)] {
        till.sees(id, text);
        assert_eq!(till.base(id).unwrap().presence, Presence::Live(doc(text)), "{id}");
        assert_eq!(shadow(&till, id).unwrap().0, Presence::Live(doc(text)), "{id}");
    }
    till.pulls(&[]);
    till.sees("new", r#"{"n":1}"#);
    till.sees("o1", r#"{"a":1,"srv":1}"#);
    till.sees_nothing("o2");
}

/// R25: a verdict without the document is guessed in each generation on what is known there.
#[test]
fn a_guess_is_made_in_each_generation() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 4, r#"{"a":1,"b":1}"#)]);
    rebuilding(&mut till, &[live("o1", 5, r#"{"a":1,"b":9}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    till.pushes(applied(6));
    till.sees("o1", r#"{"a":2,"b":1}"#);
    till.pulls(&[]);
    till.sees("o1", r#"{"a":2,"b":9}"#);
}

/// R25, 3.3: an echo settles its operation in both generations.
#[test]
fn an_echo_during_a_full_pull_goes_to_both_generations() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    rebuilding(&mut till, &[by(op, live("o1", 2, r#"{"a":2}"#))]);
    assert_eq!(till.fate(op), Some(Fate::Applied));
    assert_eq!(till.base("o1").unwrap().version, Some(version(2)));
    assert_eq!(shadow(&till, "o1").unwrap().1, Some(version(2)));
    till.sees("o1", r#"{"a":2}"#);
    till.pulls(&[]);
    till.sees("o1", r#"{"a":2}"#);
}

/// R25, P12: a verdict of a server that was set back takes neither the version nor the write from what is shown.
#[test]
fn a_verdict_behind_what_is_shown_waits_for_the_last_page() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 9, r#"{"a":9,"b":9}"#)]);
    till.patches("o1", r#"{"b":1}"#);
    rebuilding(&mut till, &[live("o1", 3, r#"{"a":3,"b":9}"#)]);
    let op = till.pushes(applied_as(4, r#"{"a":3,"b":1}"#));
    assert!(matches!(till.op(op).state, OpState::Acked { .. }));
    till.sees("o1", r#"{"a":9,"b":1}"#);
    let next = till.patches("o1", r#"{"c":1}"#);
    till.sees("o1", r#"{"a":9,"b":1,"c":1}"#);
    till.pulls(&[]);
    assert_eq!(till.fate(op), Some(Fate::Applied));
    till.sees("o1", r#"{"a":3,"b":1,"c":1}"#);
    assert_eq!(till.op(next).assumed, Assumed::At(version(4)));
    till.pushes(applied(5));
    till.sees("o1", r#"{"a":3,"b":1,"c":1}"#);
}

/// The same by an echo, on the last page and before it.
#[test]
fn an_echo_behind_what_is_shown_waits_for_the_last_page() {
    for more in [true, false] {
        let mut till = Till::new();
        till.pulls(&[live("o1", 9, r#"{"a":9}"#)]);
        let op = till.patches("o1", r#"{"b":1}"#);
        till.sends();
        till.cursor_expires();
        let page = till.page(&[by(op, live("o1", 4, r#"{"a":3,"b":1}"#))], more);
        till.applies(None, &page).unwrap();
        if more {
            till.sees("o1", r#"{"a":9,"b":1}"#);
            till.pulls(&[]);
        }
        assert_eq!(till.fate(op), Some(Fate::Applied));
        till.sees("o1", r#"{"a":3,"b":1}"#);
    }
}

/// R25, R7: that a server which was set back does not know our version is no contradiction: it is asked again after the last page.
#[test]
fn a_conflict_with_an_older_version_waits_for_the_last_page() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 9, r#"{"a":9}"#)]);
    let op = till.patches("o1", r#"{"b":1}"#);
    rebuilding(&mut till, &[]);
    let theirs = conflict(3, r#"{"a":3}"#);
    for _ in 0..4 {
        till.pushes(theirs.clone());
        till.waits();
    }
    assert_eq!(till.op(op).refusals, 0);
    till.sees("o1", r#"{"a":9,"b":1}"#);
    till.pulls(&[live("o1", 3, r#"{"a":3}"#)]);
    till.sees("o1", r#"{"a":3,"b":1}"#);
    till.pushes(theirs);
    assert_eq!(till.only("o1").assumed, Assumed::At(version(3)));
    till.pushes(applied(4));
    till.sees("o1", r#"{"a":3,"b":1}"#);
}

/// R25, R7: nor before the device has heard of it: between two such answers that count lies a pull, which tells.
#[test]
fn a_conflict_with_an_older_version_counts_once_for_each_pull() {
    let theirs = conflict(3, r#"{"a":3}"#);
    let mut till = Till::new();
    till.pulls(&[live("o1", 9, r#"{"a":9}"#)]);
    let op = till.patches("o1", r#"{"b":1}"#);
    for _ in 0..4 {
        till.pushes(theirs.clone());
        till.waits();
    }
    assert_eq!(till.op(op).refusals, 1);
    rebuilding(&mut till, &[live("o1", 3, r#"{"a":3}"#)]);
    till.pulls(&[]);
    till.pushes(theirs.clone());
    assert_eq!(till.only("o1").assumed, Assumed::At(version(3)));
    till.pushes(applied(4));
    till.sees("o1", r#"{"a":3,"b":1}"#);

    // Whose pulls say nothing of the kind contradicts itself.
    let mut till = Till::new();
    till.pulls(&[live("o1", 9, r#"{"a":9}"#)]);
    let op = till.patches("o1", r#"{"b":1}"#);
    for refusals in 1..3 {
        till.pushes(theirs.clone());
        till.waits();
        assert_eq!(till.op(op).refusals, refusals);
        till.pulls(&[]);
    }
    till.pushes(theirs);
    assert!(matches!(till.op(op).state, OpState::Parked(_)));
}

/// R25, P11: a write while everything is pulled anew is made on what is shown, and judged when the next generation is.
#[test]
fn a_write_during_a_full_pull_is_judged_at_its_end() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#), live("o2", 1, r#"{"a":1}"#)]);
    rebuilding(&mut till, &[live("o1", 5, r#"{"a":5}"#), live("o2", 5, r#"{"a":1,"b":5}"#)]);
    let clash = till.patches("o1", r#"{"a":2}"#);
    let fits = till.patches("o2", r#"{"a":2}"#);
    let exists = till.creates("o3", r#"{"a":1}"#);
    till.sees("o1", r#"{"a":2}"#);
    till.sees("o2", r#"{"a":2}"#);
    assert_eq!(till.open_conflicts(), 0);
    till.pulls(&[live("o3", 2, r#"{"a":1}"#)]);
    assert_eq!(till.open_conflict().op, clash);
    till.sees("o2", r#"{"a":2,"b":5}"#);
    assert_eq!(till.op(fits).assumed, Assumed::At(version(5)));
    assert_eq!(till.fate(exists), Some(Fate::Applied), "the server has it already");
}

/// R25, P19: an open conflict shows the next generation's side when that is shown.
#[test]
fn an_open_conflict_moves_with_the_generation() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#), live("o2", 1, "{}")]);
    till.patches("o1", r#"{"a":2}"#);
    till.pulls(&[live("o1", 4, r#"{"a":4}"#)]);
    rebuilding(&mut till, &[live("o1", 3, r#"{"a":3,"b":3}"#)]);
    assert_eq!(till.open_conflict().version, Some(version(4)));
    till.sees("o1", r#"{"a":2}"#);
    till.pulls(&[]);
    let moved = till.open_conflict();
    assert_eq!(moved.version, Some(version(3)));
    assert_eq!(moved.theirs, Presence::Live(doc(r#"{"a":3,"b":3}"#)));
    till.sees("o1", r#"{"a":2,"b":3}"#);
    till.cursor_expires();
    till.pulls(&[]);
    assert_eq!(till.open_conflict().theirs, Presence::Deleted, "the server lost it");
    till.resolves(&Choice::Mine).unwrap();
    let anew = till.only("o1");
    assert_eq!((anew.is_create(), anew.assumed), (true, Assumed::Unknown));
    till.pushes(applied(1));
    till.sees("o1", r#"{"a":2,"b":3}"#);
}

/// P13: the tab ends between two pages; the next leader goes on where the cursor is.
#[test]
fn a_crash_between_pages_goes_on_where_it_was() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#), live("o2", 1, "{}")]);
    rebuilding(&mut till, &[live("o1", 4, r#"{"a":4}"#)]);
    let at = till.cursor();
    till.reopens();
    assert_eq!(till.cursor(), at);
    till.sees("o1", r#"{"a":1}"#);
    let page = till.page(&[live("o3", 1, r#"{"n":3}"#)], false);
    till.applies(at.as_ref(), &page).unwrap();
    assert_eq!(till.applies(at.as_ref(), &page), Ok(Pulled::Repeated));
    till.sees("o1", r#"{"a":4}"#);
    till.sees_nothing("o2");
    till.sees("o3", r#"{"n":3}"#);
}

/// R25: a second expiry forgets what the first full pull had brought, and what was shown stays.
#[test]
fn a_second_expiry_begins_again() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, "{}"), live("o2", 1, "{}")]);
    rebuilding(&mut till, &[live("o1", 9, r#"{"a":9}"#), live("o3", 1, "{}")]);
    rebuilding(&mut till, &[live("o2", 1, r#"{"b":1}"#)]);
    till.sees("o1", "{}");
    till.sees("o2", "{}");
    till.sees_nothing("o3");
    till.pulls(&[]);
    till.sees_nothing("o1");
    till.sees("o2", r#"{"b":1}"#);
    assert_eq!(till.all().records.len(), 1, "nothing is left of the others");
    let s = till.disk.snapshot(holdfast::model::Need::only(vec![holdfast::model::Root::Cursors]));
    let row = s.cursors.get(&Scope::all()).unwrap();
    assert!(!row.rebuilding && row.complete);
}

/// R2, R25: a change that could not be read may be of any record: that a record was not brought is no deletion then.
#[test]
fn a_full_pull_that_could_not_be_read_whole_sweeps_nothing() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, "{}"), live("o2", 1, r#"{"a":1}"#), live("o3", 1, "{}")]);
    let op = till.patches("o2", r#"{"a":2}"#);
    till.cursor_expires();
    let mut page = till.page(&[live("o1", 2, r#"{"b":1}"#)], true);
    page.unreadable = vec!["{\"id\":".into()];
    till.applies(None, &page).unwrap();
    till.reopens();
    till.pulls(&[]);
    till.sees("o1", r#"{"b":1}"#);
    till.sees("o2", r#"{"a":2}"#);
    till.sees("o3", "{}");
    assert_eq!((till.open_conflicts(), till.op(op).assumed), (0, Assumed::At(version(1))));
    // The next one can be read, and sweeps.
    till.cursor_expires();
    till.pulls(&[live("o1", 2, r#"{"b":1}"#)]);
    till.sees_nothing("o3");
}

/// R25: before the first page nobody knows whether a verdict is of a history that the server has lost meanwhile.
#[test]
fn a_verdict_before_the_first_page_is_not_held_against_it() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 5, r#"{"a":5}"#)]);
    till.cursor_expires();
    till.patches("o1", r#"{"a":6}"#);
    till.pushes(applied(6));
    till.creates("o2", "{}");
    till.pushes(applied(1));
    till.pulls(&[live("o1", 2, r#"{"a":2}"#)]);
    till.sees("o1", r#"{"a":2}"#);
    till.sees_nothing("o2");
}

/// R25: what the server no longer has is a deletion without a version, over which a create leaves as one of nothing.
#[test]
fn a_create_over_what_a_full_pull_did_not_bring_leaves() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 5, r#"{"a":5}"#)]);
    till.removes("o1");
    till.creates("o1", r#"{"a":6}"#);
    till.cursor_expires();
    till.pulls(&[]);
    let create = till.only("o1");
    assert_eq!((create.is_create(), create.assumed.clone()), (true, Assumed::Unknown));
    assert_eq!(till.base("o1").unwrap().version, None);
    till.sees("o1", r#"{"a":6}"#);
    assert_eq!(till.sends(), [create.id]);
    assert_eq!(till.flight.operations[0].assumed, None);
    till.hears(&[(create.id, applied(1))]);
    till.sees("o1", r#"{"a":6}"#);
    assert_eq!(till.base("o1").unwrap().version, Some(version(1)));
}

/// R25, P16: a removal of what the server no longer has is done; nothing is left of the record.
#[test]
fn a_removal_of_what_a_full_pull_did_not_bring_is_done() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 5, r#"{"a":5}"#)]);
    let op = till.removes("o1");
    till.cursor_expires();
    till.pulls(&[]);
    assert_eq!(till.fate(op), Some(Fate::Applied));
    till.sees_nothing("o1");
}

/// P12, P15: a first pull shows its pages as they come; what was made meanwhile stays.
#[test]
fn a_first_pull_that_breaks_off_goes_on() {
    let mut till = Till::new();
    let page = till.page(&[live("o1", 1, "{}")], true);
    till.applies(None, &page).unwrap();
    till.sees("o1", "{}");
    till.creates("new", r#"{"n":1}"#);
    till.pushes(applied(1));
    till.reopens();
    till.pulls(&[live("o2", 1, "{}")]);
    till.sees("new", r#"{"n":1}"#);
    // It expires before its end: what is there is shown until all of it has come again.
    let mut till = Till::new();
    till.applies(None, &page).unwrap();
    rebuilding(&mut till, &[live("o2", 1, "{}")]);
    till.sees("o1", "{}");
    till.sees_nothing("o2");
    till.pulls(&[]);
    till.sees_nothing("o1");
    till.sees("o2", "{}");
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

/// A foreign create and its removal between two pulls.
#[test]
fn a_tombstone_of_what_was_never_here_is_a_tombstone() {
    let mut till = Till::new();
    till.pulls(&[tombstone("o1", 2)]);
    till.sees_nothing("o1");
    till.creates("o1", r#"{"a":1}"#);
    assert_eq!(till.only("o1").assumed, Assumed::At(version(2)));
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

/// R25, P15 (sim): "there is no such record" may be what the server said of another time: what a full pull brought since under the
/// same number is another record, and stays.
#[test]
fn an_old_answer_to_a_removal_removes_nothing_of_the_next_generation() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"b":6}"#)]);
    let removed = till.removes("o1");
    till.sends();
    till.hears_halt(holdfast::model::Halt::Unreachable);
    till.cursor_expires();
    till.pulls(&[live("o1", 1, r#"{"c":0}"#)]);
    till.waits();
    assert_eq!(till.sends(), [removed]);
    till.hears(&[(removed, never_known())]);
    assert_eq!(till.fate(removed), Some(Fate::Applied));
    till.sees("o1", r#"{"c":0}"#);
    assert_eq!(till.base("o1").unwrap().version, Some(version(1)));
}

/// The server never knew such a record.
fn never_known() -> holdfast::model::Outcome {
    holdfast::model::Outcome::Applied {
        version: None,
        presence: Some(Presence::Deleted),
        stamp: None,
        assigned_id: None,
    }
}

/// R25, R6: what stands on an operation that is behind what is shown leaves with the version that this one made: what is shown may be
/// of a history that the server has lost, and is nothing to judge against.
#[test]
fn what_stands_on_a_verdict_behind_what_is_shown_leaves_with_its_version() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 9, r#"{"a":9,"b":9}"#)]);
    let op = till.patches("o1", r#"{"b":1}"#);
    till.sends();
    let next = till.patches("o1", r#"{"b":2}"#);
    rebuilding(&mut till, &[live("o1", 3, r#"{"a":3,"b":9}"#)]);
    till.hears(&[(op, applied_as(4, r#"{"a":3,"b":1}"#))]);
    assert!(matches!(till.op(op).state, OpState::Acked { .. }));
    assert_eq!(till.op(next).assumed, Assumed::At(version(4)));
    assert_eq!(till.pushes(applied(5)), next);
    till.pulls(&[]);
    till.sees("o1", r#"{"a":3,"b":2}"#);
    assert_eq!(till.all().conflicts.len(), 0, "P17");
}

/// R25, R6: what was made on an operation that is given up after a full pull stands on nothing of the generation before: it is judged.
#[test]
fn what_stood_on_what_is_given_up_after_a_full_pull_is_judged() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let first = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let second = till.patches("o1", r#"{"b":2}"#);
    till.cursor_expires();
    till.pulls(&[]);
    till.hears(&[(first, rejected("not-found"))]);
    till.discards(first).unwrap();
    let open = till.open_conflict();
    assert_eq!((open.op, open.theirs), (second, Presence::Deleted));
    assert_eq!(open.mine, Presence::Live(doc(r#"{"a":1,"b":2}"#)));
}

/// R25: a record tells which full pull last confirmed it. One that was spared was not confirmed; a page of later does that too.
#[test]
fn a_record_tells_which_full_pull_confirmed_it() {
    let mut till = Till::new();
    let generation = |till: &Till, id| till.all().records.get(&order(id)).unwrap().generation;
    till.pulls(&[live("o1", 1, "{}"), live("o2", 1, "{}")]);
    let first = generation(&till, "o1");
    till.cursor_expires();
    let mut page = till.page(&[live("o2", 1, "{}")], false);
    page.unreadable = vec!["{\"id\":".into()];
    till.applies(None, &page).unwrap();
    let second = generation(&till, "o2");
    assert!(second > first);
    assert_eq!(generation(&till, "o1"), first, "nobody has said that it is there");
    till.pulls(&[live("o1", 1, "{}")]);
    assert_eq!(generation(&till, "o1"), second, "unmoved, and confirmed");
}
