//! The life of an operation, row by row (SEMANTICS 4).

use holdfast::model::{
    Assumed, Base, Choice, Code, ConflictKind, Decider, Document, Fate, Halt, Intent, OpState,
    Outcome, Parked, Presence, Strategy, Theirs,
};
use holdfast::plan::write::Action;

use crate::till::{
    RETRY, Till, applied, applied_as, by, conflict, deleted, doc, is_flying, is_queued,
    is_rejected, live, refused, rejected, version,
};

/// R1, P11.
#[test]
fn a_write_is_queued_and_in_the_view() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"n":1}"#);
    assert_eq!(till.only("o1").id, op);
    assert!(is_queued(&till.only("o1")));
    assert_eq!(till.only("o1").assumed, Assumed::Nothing);
    till.sees("o1", r#"{"n":1}"#);
}

/// P5: what leaves is sealed first, and shown as before.
#[test]
fn a_claim_seals_and_the_view_stays() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"n":1}"#);
    assert_eq!(till.sends(), [op]);
    let sealed = till.only("o1");
    assert!(is_flying(&sealed) && sealed.is_sealed() && sealed.sends == 1, "{sealed:?}");
    till.sees("o1", r#"{"n":1}"#);
}

/// A3: the server's own record becomes the base.
#[test]
fn applied_with_a_document_makes_it_the_base() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"n":1}"#);
    till.pushes(applied_as(4, r#"{"n":1,"total":7}"#));
    assert_eq!(till.fate(op), Some(Fate::Applied));
    assert_eq!(till.settled(op).unwrap().version, Some(version(4)));
    till.sees("o1", r#"{"n":1,"total":7}"#);
    assert!(!till.base("o1").unwrap().guessed);
}

/// Without a document the base is what the operation makes of it, and a pulled row of the same version replaces the guess.
#[test]
fn applied_without_a_document_is_guessed_until_a_pull_says_it() {
    let mut till = Till::new();
    till.creates("o1", r#"{"n":1}"#);
    till.pushes(applied(1));
    assert!(till.base("o1").unwrap().guessed);
    till.sees("o1", r#"{"n":1}"#);
    till.pulls(&[live("o1", 1, r#"{"n":1,"no":"A-1"}"#)]);
    till.sees("o1", r#"{"n":1,"no":"A-1"}"#);
    assert!(!till.base("o1").unwrap().guessed);
}

/// O6, P17: the echo comes before the answer.
#[test]
fn a_guess_never_replaces_what_the_server_said() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"n":1}"#);
    till.sends();
    till.pulls(&[by(op, live("o1", 1, r#"{"n":1,"no":"A-1"}"#))]);
    assert_eq!(till.fate(op), Some(Fate::Applied), "3.3: echo before response");
    till.hears(&[(op, applied(1))]);
    till.sees("o1", r#"{"n":1,"no":"A-1"}"#);
    assert_eq!(till.counts().applied, 1, "the late answer is a duplicate");
}

/// A14, P17: what the server has already is no conflict.
#[test]
fn a_conflict_over_nothing_is_applied() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"n":1}"#)]);
    let op = till.patches("o1", r#"{"n":2}"#);
    till.pushes(conflict(2, r#"{"n":2,"by":"other"}"#));
    assert_eq!(till.fate(op), Some(Fate::Applied));
    assert_eq!(till.all().conflicts.len(), 0);
    till.sees("o1", r#"{"n":2,"by":"other"}"#);
}

/// O11, P17: a lost answer to a removal, asked again.
#[test]
fn a_removal_answered_not_found_or_gone_is_applied() {
    for outcome in [rejected("not-found"), rejected("gone"), deleted(2), applied(2)] {
        let mut till = Till::new();
        till.pulls(&[live("o1", 1, r#"{"n":1}"#)]);
        let op = till.removes("o1");
        till.sends();
        till.reopens();
        assert_eq!(till.sends(), [op]);
        till.hears(&[(op, outcome.clone())]);
        assert_eq!(till.fate(op), Some(Fate::Applied), "{outcome:?}");
        assert_eq!(till.all().conflicts.len(), 0, "{outcome:?}");
        till.sees_nothing("o1");
    }
}

/// O9: wires whose versions do not compare: the operation waits in the view for a pull.
#[test]
fn applied_without_a_comparable_version_waits_for_a_pull() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"n":1}"#);
    till.pushes(Outcome::Applied { version: None, presence: None, stamp: None, assigned_id: None });
    assert!(matches!(till.only("o1").state, OpState::Acked { .. }));
    till.sees("o1", r#"{"n":1}"#);
    let page = till.page(&[], true);
    till.applies(till.cursor().as_ref(), &page).unwrap();
    assert!(matches!(till.only("o1").state, OpState::Acked { .. }), "the pull goes on");
    till.pulls(&[]);
    assert_eq!(till.fate(op), Some(Fate::Applied));
}

#[test]
fn a_pulled_change_of_ours_is_the_verdict() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"n":1}"#)]);
    let op = till.patches("o1", r#"{"n":2}"#);
    till.sends();
    till.reopens();
    till.pulls(&[by(op, live("o1", 2, r#"{"n":2}"#))]);
    assert_eq!(till.fate(op), Some(Fate::Applied));
    assert_eq!(till.sends(), [], "nothing is sent again");
}

/// R4, R6: disjoint fields go on as a new operation in the server's coordinates, in the same place.
#[test]
fn a_rebased_operation_is_superseded_in_its_place() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let op = till.patches("o1", r#"{"a":2}"#);
    let seq = till.only("o1").seq;
    till.pushes(conflict(2, r#"{"a":1,"b":9}"#));
    let new = till.only("o1");
    assert_eq!(till.fate(op), Some(Fate::Superseded(new.id)));
    assert_eq!((new.seq, new.replaces), (seq, Some(op)));
    assert_eq!(new.assumed, Assumed::At(version(2)));
    assert!(!new.is_sealed(), "a new operation for the server");
    till.sees("o1", r#"{"a":2,"b":9}"#);
    assert_eq!(till.pushes(applied(3)), new.id);
    assert_eq!(till.fate(new.id), Some(Fate::Applied));
}

/// R6, R4: `After` is re-pointed to the successor.
#[test]
fn whoever_stood_on_a_superseded_operation_stands_on_its_successor() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let later = till.patches("o1", r#"{"a":3}"#);
    till.hears(&[(till.queue("o1")[0].id, conflict(2, r#"{"a":1,"b":9}"#))]);
    let new = till.queue("o1")[0].id;
    assert_eq!(till.op(later).assumed, Assumed::After(new));
    till.sees("o1", r#"{"a":3,"b":9}"#);
    till.pushes(applied(3));
    assert_eq!(till.pushes(applied(4)), later);
    till.sees("o1", r#"{"a":3,"b":9}"#);
}

/// Client-wins over a deletion makes the record anew, as the user saw it.
#[test]
fn keeping_ours_over_a_deletion_creates_the_full_view() {
    let mut till = Till::with(Strategy::ClientWins);
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    till.pushes(deleted(2));
    let new = till.only("o1");
    assert_eq!(new.intent, Intent::Create(doc(r#"{"a":2,"b":1}"#)));
    assert_eq!(new.assumed, Assumed::At(version(2)));
    till.sees("o1", r#"{"a":2,"b":1}"#);
}

/// P18: the loser is kept, with both values.
#[test]
fn server_wins_keeps_the_loser() {
    let mut till = Till::with(Strategy::ServerWins);
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.pushes(conflict(2, r#"{"a":3,"b":1}"#));
    let Some(Fate::Yielded(id)) = till.fate(op) else { panic!("{:?}", till.fate(op)) };
    let kept = till.all().conflicts.get(&id).unwrap().clone();
    assert_eq!(kept.mine, Presence::Live(doc(r#"{"a":2,"b":1}"#)));
    assert_eq!(kept.theirs, Presence::Live(doc(r#"{"a":3,"b":1}"#)));
    assert_eq!(kept.base, Some(doc(r#"{"a":1,"b":1}"#)));
    assert_eq!(kept.resolved.unwrap().by, Decider::Policy);
    till.sees("o1", r#"{"a":3,"b":1}"#);
    assert_eq!(till.counts().conflicts, 0);
}

/// R6.
#[test]
fn later_operations_are_judged_when_first_after_one_yielded() {
    let mut till = Till::with(Strategy::ServerWins);
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let first = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let later = till.patches("o1", r#"{"b":5}"#);
    till.hears(&[(first, conflict(2, r#"{"a":3,"b":1}"#))]);
    assert_eq!(till.op(later).assumed, Assumed::At(version(2)));
    till.sees("o1", r#"{"a":3,"b":5}"#);

    let mut till = Till::with(Strategy::ServerWins);
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let first = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let later = till.patches("o1", r#"{"a":4}"#);
    till.hears(&[(first, conflict(2, r#"{"a":3,"b":1}"#))]);
    assert!(matches!(till.fate(later), Some(Fate::Yielded(_))), "made on what yielded");
    till.sees("o1", r#"{"a":3,"b":1}"#);
}

/// O2, A14, P3: what came later is blocked, in the view.
#[test]
fn a_manual_conflict_parks_and_shows_ours() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let later = till.patches("o1", r#"{"b":7}"#);
    till.hears(&[(op, conflict(2, r#"{"a":3,"b":1}"#))]);
    let open = till.open_conflict();
    assert_eq!(till.op(op).state, OpState::Parked(Parked::Conflicted(open.id)));
    assert_eq!(till.op(later).state, OpState::Blocked { by: op, visible: true });
    assert_eq!(open.kind, ConflictKind::UpdateUpdate);
    till.sees("o1", r#"{"a":2,"b":7}"#);
    assert_eq!(till.sends(), []);
    assert_eq!(till.fate(op), None, "P3: it stays in the outbox");
}

/// O3, P21, R1, P14: a rejected operation and what was made on it leave the view; the entry keeps what the user saw.
#[test]
fn a_final_refusal_parks_and_shows_the_latest_base() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let later = till.patches("o1", r#"{"b":7}"#);
    till.hears(&[(op, rejected("validation"))]);
    let OpState::Parked(Parked::Rejected { code, snapshot, .. }) = till.op(op).state else {
        panic!("{:?}", till.op(op))
    };
    assert_eq!(code, "validation");
    assert_eq!(snapshot, Some(doc(r#"{"a":2,"b":7}"#)));
    assert_eq!(till.op(later).state, OpState::Blocked { by: op, visible: false });
    till.sees("o1", r#"{"a":1}"#);
    till.pulls(&[live("o1", 2, r#"{"a":5}"#)]);
    till.sees("o1", r#"{"a":5}"#);
    assert_eq!(till.counts().parked, 1);
    assert_eq!(till.counts().blocked, 1);
}

/// R1, P3, P21.
#[test]
fn a_rejected_create_leaves_no_record_but_stays_in_the_outbox() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"a":1}"#);
    till.pushes(rejected("validation"));
    till.sees_nothing("o1");
    assert!(!till.all().records.contains_key(&crate::till::order("o1")));
    assert!(is_rejected(&till.op(op)));
}

/// R8: other refusals are asked again with the same id, and parked at the third.
#[test]
fn the_third_refusal_parks() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"n":1}"#);
    for round in 1..=2 {
        till.pushes(refused());
        let waits = till.op(op);
        assert!(is_queued(&waits) && waits.refusals == round && waits.is_sealed(), "{waits:?}");
        assert_eq!(till.sends(), [], "not before its time");
        till.waits();
    }
    till.pushes(refused());
    assert!(is_rejected(&till.op(op)));
}

/// R8: network faults and answers to whole requests count nothing, however many.
#[test]
fn faults_of_the_network_end_nothing() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"n":1}"#);
    for halt in [
        Halt::Unreachable,
        Halt::Foreign,
        Halt::Auth,
        Halt::Forbidden,
        Halt::Misconfigured,
        Halt::Later(None),
        Halt::Protocol,
        Halt::Expired,
    ] {
        till.waits();
        assert_eq!(till.sends(), [op], "before {halt:?}");
        till.hears_halt(halt);
        let waits = till.op(op);
        assert!(is_queued(&waits) && waits.is_sealed() && waits.refusals == 0, "{waits:?}");
    }
    till.sees("o1", r#"{"n":1}"#);
}

/// A4, R7: an operation that is missing from the answer is asked again.
#[test]
fn retry_and_missing_wait_with_the_same_id() {
    let mut till = Till::new();
    let (one, two) = (till.creates("o1", r#"{"n":1}"#), till.creates("o2", r#"{"n":2}"#));
    till.sends();
    till.hears(&[(one, RETRY)]);
    for op in [one, two] {
        let waits = till.op(op);
        assert!(is_queued(&waits) && waits.is_sealed() && waits.refusals == 0, "{waits:?}");
    }
    till.waits();
    assert_eq!(till.sends(), [one, two]);
}

/// A8, A16, R7: what refuses a request that carried one operation refuses that operation; a larger request only goes back.
#[test]
fn a_refused_request_of_one_is_its_refusal() {
    for (halt, code) in [(Halt::TooLarge, "too-large"), (Halt::BatchRefused, "refused")] {
        let mut till = Till::new();
        let (one, two) = (till.creates("o1", r#"{"n":1}"#), till.creates("o2", r#"{"n":2}"#));
        till.sends();
        till.hears_halt(halt.clone());
        assert!(is_queued(&till.op(one)) && is_queued(&till.op(two)));
        let room = holdfast::plan::push::Room { operations: 1, bytes: 1 << 20 };
        till.flight = till.claim_up_to(room).unwrap().batch;
        till.hears_halt(halt);
        let OpState::Parked(Parked::Rejected { code: said, .. }) = till.op(one).state else {
            panic!("{:?}", till.op(one))
        };
        assert_eq!(said, code);
        assert_eq!(till.sends(), [two], "P10: it stops no other");
    }
}

/// P5, R22: a tab that died; the next leader sends the same again.
#[test]
fn what_was_in_flight_is_sent_again_unchanged() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"n":1}"#);
    till.sends();
    let first = till.flight.operations[0].clone();
    till.reopens();
    assert_eq!(till.sends(), [op]);
    let again = till.flight.operations[0].clone();
    assert_eq!((first.intent, first.id, first.assumed), (again.intent, again.id, again.assumed));
    assert_eq!((first.stamp, first.device, first.sends), (again.stamp, again.device, 1));
    assert_eq!(again.sends, 2);
}

/// C2, R9: both ids have their end.
#[test]
fn a_create_removed_before_it_left_never_was() {
    let mut till = Till::new();
    let create = till.creates("o1", r#"{"n":1}"#);
    let edit = till.write(crate::till::order("o1"), Action::Patch(doc(r#"{"n":2}"#))).unwrap();
    assert_eq!(edit, create, "the surviving operation's");
    let remove = till.removes("o1");
    assert_eq!(till.fate(create), Some(Fate::Annihilated));
    assert_eq!(till.fate(remove), Some(Fate::Annihilated), "R9: both ids");
    assert!(till.queue("o1").is_empty() && till.sends().is_empty(), "P16: no zombie");
    assert_eq!(till.refuses("o1", Action::Remove), Code::NotFound);
    till.creates("o1", r#"{"n":3}"#);
}

/// C11, P16, P5: once it may have left it is never annihilated.
#[test]
fn a_create_removed_after_it_left_is_removed_at_the_server() {
    let mut till = Till::new();
    let create = till.creates("o1", r#"{"n":1}"#);
    till.sends();
    till.reopens();
    let remove = till.removes("o1");
    till.sees_nothing("o1");
    assert_eq!(till.sends(), [create]);
    till.hears(&[(create, applied(1))]);
    assert_eq!(till.pushes(applied(2)), remove);
    till.sees_nothing("o1");
    assert!(matches!(till.base("o1"), Some(Base { presence: Presence::Deleted, .. })));
}

/// O5, R6: judged as soon as the base moves.
#[test]
fn a_first_operation_that_never_left_is_judged_at_the_pull() {
    let told = |strategy, theirs: &str| {
        let mut till = Till::with(strategy);
        till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
        let op = till.patches("o1", r#"{"a":2}"#);
        till.pulls(&[live("o1", 2, theirs)]);
        (till, op)
    };
    let (till, op) = told(Strategy::Manual, r#"{"a":2,"b":1}"#);
    assert_eq!(till.fate(op), Some(Fate::Applied), "same");
    let (till, op) = told(Strategy::Manual, r#"{"a":1,"b":8}"#);
    assert_eq!(till.op(op).assumed, Assumed::At(version(2)), "rebased in place, same id");
    till.sees("o1", r#"{"a":2,"b":8}"#);
    let (till, op) = told(Strategy::ClientWins, r#"{"a":9,"b":1}"#);
    assert_eq!(till.op(op).assumed, Assumed::At(version(2)), "kept in place");
    till.sees("o1", r#"{"a":2,"b":1}"#);
    let (till, op) = told(Strategy::ServerWins, r#"{"a":9,"b":1}"#);
    assert!(matches!(till.fate(op), Some(Fate::Yielded(_))));
    till.sees("o1", r#"{"a":9,"b":1}"#);
    let (till, op) = told(Strategy::Manual, r#"{"a":9,"b":1}"#);
    assert_eq!(till.op(op).conflict(), Some(till.open_conflict().id));
    till.sees("o1", r#"{"a":2,"b":1}"#);
}

/// O5, R6: what was sent is judged once, at its verdict.
#[test]
fn a_first_operation_that_may_have_left_waits_for_its_verdict() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    till.hears_halt(Halt::Unreachable);
    till.pulls(&[live("o1", 2, r#"{"a":9}"#)]);
    assert!(is_queued(&till.op(op)), "R6: judged at its verdict");
    till.sees("o1", r#"{"a":2}"#);
    till.pushes(conflict(2, r#"{"a":9}"#));
    assert_eq!(till.open_conflicts(), 1);
}

#[test]
fn a_conflict_whose_other_side_nobody_knows_is_judged_against_the_base() {
    let unknown = || Outcome::Conflict { theirs: Theirs::Unknown, other: None, token: None };
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    till.pulls(&[live("o1", 2, r#"{"a":9}"#)]);
    till.hears(&[(op, unknown())]);
    assert_eq!(till.open_conflict().theirs, Presence::Live(doc(r#"{"a":9}"#)));
}

/// O2, P19: the choices of a person on one conflict: everything that waited for it becomes one operation, or yields.
#[test]
fn resolving_leaves_one_operation_or_none() {
    let conflicted = || {
        let mut till = Till::new();
        till.pulls(&[live("o1", 1, r#"{"a":1,"b":1,"c":1}"#)]);
        let op = till.patches("o1", r#"{"a":2,"b":2}"#);
        till.sends();
        let later = till.patches("o1", r#"{"c":2}"#);
        let seq = till.op(op).seq;
        till.hears(&[(op, conflict(2, r#"{"a":3,"b":3,"c":1}"#))]);
        (till, op, later, seq)
    };
    let side = |name: &str, side| (holdfast::model::Path::field(name), side);
    use holdfast::model::Side::{Mine, Theirs};
    let merged = Presence::Live(doc(r#"{"a":5,"b":3,"c":2}"#));
    for (choice, seen) in [
        (Choice::Mine, r#"{"a":2,"b":2,"c":2}"#),
        (Choice::Merged(merged), r#"{"a":5,"b":3,"c":2}"#),
        (Choice::Fields(vec![side("a", Mine), side("b", Theirs)]), r#"{"a":2,"b":3,"c":1}"#),
    ] {
        let (mut till, op, later, seq) = conflicted();
        till.resolves(&choice).unwrap();
        let new = till.only("o1");
        assert_eq!(till.fate(op), Some(Fate::Superseded(new.id)), "{choice:?}");
        assert_eq!(till.fate(later), Some(Fate::Superseded(new.id)), "{choice:?}");
        assert_eq!((new.seq, &new.assumed), (seq, &Assumed::At(version(2))));
        till.sees("o1", seen);
        till.pushes(applied(3));
        till.sees("o1", seen);
        assert_eq!(till.counts().conflicts, 0);
    }
    let (mut till, op, later, _) = conflicted();
    till.resolves(&Choice::Theirs).unwrap();
    for op in [op, later] {
        assert!(matches!(till.fate(op), Some(Fate::Yielded(_))));
    }
    till.sees("o1", r#"{"a":3,"b":3,"c":1}"#);
    assert_eq!(till.sends(), []);
}

#[test]
fn a_merged_deletion_removes() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    till.pushes(conflict(2, r#"{"a":3}"#));
    till.resolves(&Choice::Merged(Presence::Deleted)).unwrap();
    assert_eq!(till.only("o1").intent, Intent::Delete);
    till.sees_nothing("o1");
    till.pushes(applied(3));
    till.sees_nothing("o1");
}

/// R5: the text stays as it was written.
#[test]
fn documents_are_kept_as_they_were_written() {
    let text = r#"{"price":1.10,"big":12345678901234567890,"__proto__":{"a":1},"":[]}"#;
    let mut till = Till::new();
    till.creates("o1", text);
    till.sends();
    let Intent::Create(document) = till.flight.operations[0].intent.clone() else { panic!() };
    assert_eq!(Document::text(&document), text, "P35");
}
