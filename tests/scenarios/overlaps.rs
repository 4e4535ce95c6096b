//! What happens at the same time (PROMISES 3.3).

use holdfast::model::{
    Assumed, Fate, OpState, Outcome, Presence, PushReply, RemoteChange, Strategy, Theirs, Version,
    Wall,
};

use crate::till::{
    RETRY, Till, applied, applied_as, by, conflict, doc, is_flying, is_queued, live, order,
    rejected, tombstone, version,
};

/// O1, O4: the verdict is no conflict for the write, and does not clear it.
#[test]
fn a_write_during_a_push_stands_on_the_verdict() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 4, r#"{"a":1}"#)]);
    let first = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let second = till.patches("o1", r#"{"a":3}"#);
    assert_eq!(till.op(second).assumed, Assumed::After(first));
    till.hears(&[(first, applied(5))]);
    assert_eq!(till.op(second).assumed, Assumed::At(version(5)), "R6: our own verdict");
    till.sees("o1", r#"{"a":3}"#);
    till.pushes(applied(6));
    assert_eq!(till.counts().applied, 2);
    assert_eq!(till.all().conflicts.len(), 0, "P17");
}

/// R6: `before` is taken from the base that our own verdict made, so the server's corrections are no conflict.
#[test]
fn a_corrected_verdict_is_no_conflict_for_what_stood_on_it() {
    for strategy in [Strategy::Manual, Strategy::ServerWins] {
        let mut till = Till::with(strategy);
        till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
        let first = till.patches("o1", r#"{"a":2}"#);
        till.sends();
        let second = till.patches("o1", r#"{"a":3}"#);
        till.hears(&[(first, applied_as(2, r#"{"a":2.5}"#))]);
        assert!(is_queued(&till.op(second)));
        till.sees("o1", r#"{"a":3}"#);
        till.pulls(&[live("o1", 3, r#"{"a":2.5,"b":1}"#)]);
        till.sees("o1", r#"{"a":3,"b":1}"#);
        assert_eq!(till.all().conflicts.len(), 0);
    }
}

/// R6, P17: a correction is what later operations find only as far as none between wrote there.
#[test]
fn a_correction_ends_where_somebody_wrote_since() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":0}"#)]);
    let first = till.patches("o1", r#"{"a":1}"#);
    till.sends();
    let second = till.replaces("o1", r#"{"a":1,"z":9}"#);
    till.schema = 2;
    let third = till.patches("o1", r#"{"a":7}"#);
    till.hears(&[(first, applied_as(2, r#"{"a":10}"#))]);
    assert_eq!(till.pushes(applied(3)), second);
    till.sees("o1", r#"{"a":7,"z":9}"#);
    assert_eq!(till.pushes(applied(4)), third);
    assert_eq!(till.all().conflicts.len(), 0, "nobody else wrote");
}

/// The same where a foreign change was pulled before the verdict came: what we wrote is carried over to what the server made
/// of it, then judged.
#[test]
fn a_corrected_verdict_behind_a_newer_base_is_no_conflict_either() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let first = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let second = till.patches("o1", r#"{"a":3}"#);
    till.pulls(&[live("o1", 3, r#"{"a":2.5,"b":1}"#)]);
    till.hears(&[(first, applied_as(2, r#"{"a":2.5}"#))]);
    assert_eq!(till.all().conflicts.len(), 0, "nobody else touched it");
    assert_eq!(till.op(second).assumed, Assumed::At(version(3)));
    till.sees("o1", r#"{"a":3,"b":1}"#);
}

/// R6: with a newer base the write behind the verdict is judged.
#[test]
fn a_foreign_change_of_what_we_wrote_is_a_conflict_for_what_stood_on_it() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let first = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    till.patches("o1", r#"{"a":3}"#);
    till.pulls(&[live("o1", 3, r#"{"a":9}"#)]);
    till.hears(&[(first, applied(2))]);
    assert_eq!(till.open_conflicts(), 1);
    till.sees("o1", r#"{"a":3}"#);
}

/// O5, P14: the base moves, the edits stay on top.
#[test]
fn a_pull_over_queued_edits_moves_the_base_only() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.pulls(&[live("o1", 2, r#"{"a":1,"b":2}"#)]);
    till.pulls(&[live("o1", 3, r#"{"a":1,"b":3,"c":null}"#)]);
    till.sees("o1", r#"{"a":2,"b":3,"c":null}"#);
    till.pushes(rejected("forbidden"));
    till.sees("o1", r#"{"a":1,"b":3,"c":null}"#);
    assert!(crate::till::is_rejected(&till.op(op)));
}

/// P14: rollback restores the latest base, byte for byte.
#[test]
fn two_foreign_changes_and_a_refusal() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let op = till.patches("o1", r#"{"a":2,"b":1}"#);
    till.sends();
    till.pulls(&[live("o1", 2, r#"{"a":1,"x":1}"#)]);
    till.pulls(&[live("o1", 3, r#"{"x":2}"#)]);
    till.hears(&[(op, rejected("validation"))]);
    till.sees("o1", r#"{"x":2}"#);
}

/// O6, R6: an echo is a verdict.
#[test]
fn an_echo_frees_what_stood_on_it() {
    let mut till = Till::new();
    let first = till.creates("o1", r#"{"a":1}"#);
    till.sends();
    let second = till.patches("o1", r#"{"a":2}"#);
    till.pulls(&[by(first, live("o1", 1, r#"{"a":1}"#))]);
    assert_eq!(till.op(second).assumed, Assumed::At(version(1)));
    till.hears(&[(first, applied(1))]);
    assert_eq!(till.pushes(applied(2)), second);
    assert_eq!(till.counts().applied, 2);
}

/// O7, P17: a pull brings what we wrote without saying whose it is, before the answer or instead of it. Equal sides are none.
#[test]
fn our_own_change_without_a_mark_is_no_conflict() {
    for (answered, found) in
        [(true, applied(2)), (false, applied(2)), (false, conflict(2, r#"{"a":2}"#))]
    {
        let mut till = Till::new();
        till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
        let op = till.patches("o1", r#"{"a":2}"#);
        till.sends();
        if !answered {
            till.hears_halt(holdfast::model::Halt::Unreachable);
        }
        till.pulls(&[live("o1", 2, r#"{"a":2}"#)]);
        assert!(till.fate(op).is_none(), "R6: a sealed operation waits for its verdict");
        if !answered {
            assert_eq!(till.sends(), [op], "the same again");
        }
        till.hears(&[(op, found)]);
        assert_eq!(till.fate(op), Some(Fate::Applied));
        assert_eq!((till.all().conflicts.len(), till.counts().applied), (0, 1));
        till.sees("o1", r#"{"a":2}"#);
    }
}

/// O8, P12: a page that was on its way while the push was answered.
#[test]
fn a_stale_pull_after_the_ack_changes_nothing() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 4, r#"{"a":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    till.pushes(applied(5));
    till.pulls(&[live("o1", 4, r#"{"a":1}"#)]);
    till.sees("o1", r#"{"a":2}"#);
    till.pulls(&[tombstone("o1", 3)]);
    till.sees("o1", r#"{"a":2}"#);
}

/// O8, P16: a tombstone is not undone by an older page.
#[test]
fn a_removal_is_not_undone_by_a_stale_page() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 4, r#"{"a":1}"#)]);
    till.removes("o1");
    till.pushes(applied(5));
    till.pulls(&[live("o1", 4, r#"{"a":1}"#)]);
    till.sees_nothing("o1");
}

/// P12: an old answer that there is no such record hides nothing that somebody made since.
#[test]
fn an_old_not_found_does_not_hide_what_was_made_since() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 4, r#"{"a":1}"#)]);
    let op = till.removes("o1");
    till.sends();
    till.reopens();
    till.pulls(&[live("o1", 9, r#"{"a":9}"#)]);
    till.sees_nothing("o1");
    till.sends();
    till.hears(&[(op, rejected("not-found"))]);
    assert_eq!(till.fate(op), Some(Fate::Applied));
    till.sees("o1", r#"{"a":9}"#);
}

/// R6: the answer to a resend is what the server said the first time; the base may be newer by now.
#[test]
fn an_old_stored_conflict_is_judged_against_the_newer_base() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let op = till.patches("o1", r#"{"b":2}"#);
    till.sends();
    till.reopens();
    till.pulls(&[live("o1", 5, r#"{"a":5}"#)]);
    till.sends();
    till.hears(&[(op, conflict(3, r#"{"a":3}"#))]);
    let new = till.only("o1");
    assert_eq!(new.assumed, Assumed::At(version(5)));
    till.sees("o1", r#"{"a":5,"b":2}"#);
}

#[test]
fn a_late_answer_to_an_earlier_departure_is_left_alone() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"a":1}"#);
    till.sends();
    let old = till.flight.clone();
    till.hears_halt(holdfast::model::Halt::Unreachable);
    till.sends();
    let new = std::mem::replace(&mut till.flight, old);
    till.hears(&[(op, rejected("validation"))]);
    assert!(is_flying(&till.op(op)), "{:?}", till.op(op));
    till.flight = new;
    till.hears(&[(op, applied(1))]);
    assert_eq!(till.fate(op), Some(Fate::Applied));
}

/// R22: with a claim whose commit was not heard of, the operations are in flight for nobody.
#[test]
fn a_claim_takes_back_what_is_in_flight_for_nobody() {
    let mut till = Till::new();
    let op = till.creates("o1", "{}");
    till.claim().unwrap();
    assert!(is_flying(&till.op(op)));
    assert_eq!(till.sends(), [op], "under the same term");
    till.hears(&[(op, applied(1))]);
    assert_eq!(till.counts().in_flight, 0);
}

/// P22, R21: a leader that was replaced changes nothing, whatever it has in its hands.
#[test]
fn a_deposed_leader_writes_nothing() {
    let mut till = Till::new();
    let op = till.creates("o1", "{}");
    till.sends();
    let old = till.term;
    till.reopens();
    let new = std::mem::replace(&mut till.term, old);
    let before = till.all();
    let reply = holdfast::model::PushReply {
        outcomes: vec![(op, applied(1))],
        ..holdfast::model::PushReply::default()
    };
    assert!(till.settles(&reply).is_err());
    assert!(till.claim().is_err());
    let page = till.page(&[live("o2", 1, "{}")], false);
    assert!(till.applies(None, &page).is_err());
    assert_eq!(till.all(), before);
    till.term = new;
    assert_eq!(till.sends(), [op]);
}

/// R21: what a repeat does not bring back is kept strictly.
#[test]
fn verdicts_that_cannot_be_had_again_are_kept() {
    use holdfast::model::PushReply;
    use holdfast::plan::push::must_keep;
    let id = holdfast::model::OpId::from_bytes([1; 16]);
    for (outcome, keep) in [
        (applied(1), false),
        (RETRY, false),
        (rejected("validation"), true),
        (conflict(1, "{}"), true),
    ] {
        let reply = PushReply { outcomes: vec![(id, outcome)], ..PushReply::default() };
        assert_eq!(must_keep(&reply), keep, "{reply:?}");
    }
}

/// R6: an acked operation is not the first of its record.
#[test]
fn an_operation_behind_an_acked_one_may_leave() {
    let mut till = Till::new();
    let first = till.creates("o1", r#"{"a":1}"#);
    till.sends();
    let second = till.patches("o1", r#"{"a":2}"#);
    let acked = holdfast::model::Outcome::Applied {
        version: None,
        presence: None,
        stamp: None,
        assigned_id: None,
    };
    till.hears(&[(first, acked)]);
    assert!(matches!(till.op(first).state, OpState::Acked { .. }));
    assert_eq!(till.sends(), [second], "R6: an acked operation is not first");
    till.sees("o1", r#"{"a":2}"#);
}

/// O10, R16: the own id is the record's key for ever; what leaves and comes back is translated.
#[test]
fn an_id_that_the_server_gives_is_another_name_of_the_record() {
    let mut till = Till::new();
    till.creates("o1", r#"{"a":1}"#);
    till.pushes(holdfast::model::Outcome::Applied {
        version: Some(version(1)),
        presence: None,
        stamp: None,
        assigned_id: Some("S-9".into()),
    });
    till.write(order("S-9"), holdfast::plan::write::Action::Patch(crate::till::doc(r#"{"a":2}"#)))
        .unwrap();
    till.sees("o1", r#"{"a":2}"#);
    till.sends();
    assert_eq!(till.flight.operations[0].id, "S-9");
    till.hears(&[(till.flight.operations[0].op, applied(2))]);
    till.pulls(&[live("S-9", 3, r#"{"a":3}"#)]);
    till.sees("o1", r#"{"a":3}"#);
    assert_eq!(till.all().records.len(), 1);
}

/// R6, on a wire whose versions only differ: a conflict that the server answered long ago does not take back what a pull
/// brought since.
#[test]
fn an_old_conflict_does_not_take_back_a_pull_where_versions_only_differ() {
    let mut till = Till::with(Strategy::ServerWins);
    let opaque = |text: &str| Some(Version::Opaque(text.to_owned()));
    till.pulls(&[RemoteChange { version: opaque("a"), ..live("o1", 0, r#"{"a":1}"#) }]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    till.pulls(&[RemoteChange { version: opaque("c"), ..live("o1", 0, r#"{"a":4}"#) }]);
    let theirs = Theirs::Live { document: doc(r#"{"a":3}"#), version: opaque("b"), stamp: None };
    till.hears(&[(op, Outcome::Conflict { theirs, other: None, token: None })]);
    till.sees("o1", r#"{"a":4}"#);
}

/// R6: what the server made of an acked operation is what the next write is made on.
#[test]
fn a_write_behind_an_acked_one_is_judged_against_the_verdict() {
    let mut till = Till::new();
    let first = till.creates("o1", r#"{"a":1}"#);
    till.sends();
    let acked = Outcome::Applied {
        version: Some(Version::Opaque("a".into())),
        presence: Some(Presence::Live(doc(r#"{"a":1,"made":1}"#))),
        stamp: None,
        assigned_id: None,
    };
    till.hears(&[(first, acked)]);
    assert!(matches!(till.op(first).state, OpState::Acked { .. }));
    till.sees("o1", r#"{"a":1,"made":1}"#);
    let second = till.removes("o1");
    assert_eq!(till.op(second).assumed, Assumed::At(Version::Opaque("a".into())));
    let change = live("o1", 0, r#"{"a":1,"made":1}"#);
    till.pulls(&[RemoteChange { version: Some(Version::Opaque("a".into())), ..change }]);
    assert!(is_queued(&till.op(second)), "P17: our own write is no conflict");
    assert_eq!(till.sends(), [second]);
}

/// R20: an answer to a push that tells the server's time is what later writes go by.
#[test]
fn an_answer_tells_the_time() {
    let mut till = Till::new();
    let op = till.creates("o1", "{}");
    till.sends();
    let there = Wall(till.now + 3_600_000);
    let reply =
        PushReply { outcomes: vec![(op, applied(1))], time: Some(there), ..PushReply::default() };
    till.settles(&reply).unwrap();
    let later = till.creates("o2", "{}");
    assert!(till.op(later).stamp.millis >= there.0);
}
