//! Conflicts: what is one, who wins, and what a person may do while it is open (P17-P19, R4, R6).

use holdfast::model::{
    Asks, Assumed, Before, Choice, Code, ConflictKind, EntityKey, Fate, Halt, Intent, OpState,
    Path, Presence, Priority, Side, Strategy,
};
use holdfast::plan::resolve::{Resolution, Ruling};
use holdfast::plan::write::Action;

use crate::till::{
    Till, applied, by, conflict, deleted, doc, is_queued, live, order, tombstone, version,
};

/// Both sides changed `a`.
fn open() -> Till {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    till.pushes(conflict(2, r#"{"a":3,"b":1}"#));
    till
}

/// O12, A14, P18: `kind | strategy | what the app sees`, each once at the verdict and once at the pull.
#[test]
fn every_kind_meets_every_strategy() {
    enum Mine {
        Update,
        Delete,
        Create,
    }
    use ConflictKind::{CreateCreate, DeleteUpdate, UpdateDelete, UpdateUpdate};
    let theirs = r#"{"a":3,"b":1}"#;
    let cases = [
        (UpdateUpdate, Mine::Update, Some(theirs), Some(r#"{"a":2,"b":1}"#)),
        (UpdateDelete, Mine::Update, None, Some(r#"{"a":2,"b":1}"#)),
        (DeleteUpdate, Mine::Delete, Some(theirs), None),
        (CreateCreate, Mine::Create, Some(theirs), Some(r#"{"a":2,"b":1}"#)),
    ];
    for strategy in [
        Strategy::ServerWins,
        Strategy::ClientWins,
        Strategy::Merge,
        Strategy::Manual,
        Strategy::Callback,
    ] {
        for (kind, mine, theirs, ours) in &cases {
            for sent in [true, false] {
                let mut till = Till::with(strategy);
                let op = match mine {
                    Mine::Create => till.creates("o1", r#"{"a":2,"b":1}"#),
                    Mine::Update => {
                        till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
                        till.patches("o1", r#"{"a":2}"#)
                    }
                    Mine::Delete => {
                        till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
                        till.removes("o1")
                    }
                };
                if sent {
                    let outcome = theirs.map_or(deleted(2), |theirs| conflict(2, theirs));
                    till.pushes(outcome);
                } else {
                    let change = theirs.map_or(tombstone("o1", 2), |it| live("o1", 2, it));
                    till.pulls(&[change]);
                }
                let case = format!("{kind:?} {strategy:?} sent: {sent}");
                let shown = match strategy {
                    Strategy::ServerWins => theirs,
                    Strategy::ClientWins
                    | Strategy::LastWriteWins
                    | Strategy::Merge
                    | Strategy::Manual
                    | Strategy::Callback => ours,
                };
                match shown {
                    Some(text) => till.sees("o1", text),
                    None => till.sees_nothing("o1"),
                }
                let asks = match strategy {
                    Strategy::Merge | Strategy::Manual => Some(Asks::Person),
                    Strategy::Callback => Some(Asks::Callback),
                    Strategy::ServerWins | Strategy::ClientWins | Strategy::LastWriteWins => None,
                };
                assert_eq!(till.open_conflicts() == 1, asks.is_some(), "{case}");
                if let Some(asks) = asks {
                    let conflict = till.open_conflict();
                    assert_eq!((conflict.kind, conflict.asks), (*kind, asks), "{case}");
                    assert_eq!(conflict.op, op, "{case}");
                    assert_eq!(till.sends(), [], "{case}");
                } else if strategy == Strategy::ServerWins {
                    assert!(matches!(till.fate(op), Some(Fate::Yielded(_))), "{case}");
                    assert_eq!(till.sends(), [], "{case}");
                } else {
                    till.pushes(applied(3));
                    match ours {
                        Some(text) => till.sees("o1", text),
                        None => till.sees_nothing("o1"),
                    }
                }
            }
        }
    }
}

/// P17: the server removed what we changed; meanwhile the user removed it too, or made it anew. Nothing is left to ask.
#[test]
fn a_change_that_its_user_gave_up_is_no_conflict() {
    for strategy in [Strategy::Manual, Strategy::ClientWins, Strategy::ServerWins] {
        for text in [r#"{"a":2}"#, ""] {
            let mut till = Till::with(strategy);
            till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
            let change = till.patches("o1", r#"{"a":2}"#);
            till.sends();
            let removal = till.removes("o1");
            if !text.is_empty() {
                till.creates("o1", text);
            }
            till.hears(&[(change, deleted(2))]);
            assert!(matches!(till.fate(change), Some(Fate::Yielded(_))));
            assert_eq!(till.fate(removal), Some(Fate::Applied));
            assert_eq!(till.open_conflicts(), 0, "{strategy:?}");
            if text.is_empty() {
                assert_eq!(till.sends(), []);
                till.sees_nothing("o1");
            } else {
                till.sees("o1", text);
                till.pushes(applied(3));
                till.sees("o1", text);
            }
        }
    }
}

/// P19, R4: base, mine and theirs.
#[test]
fn a_conflict_shows_what_both_began_with() {
    let till = open();
    let open = till.open_conflict();
    assert_eq!(open.base, Some(doc(r#"{"a":1,"b":1}"#)));
    assert_eq!(open.mine, Presence::Live(doc(r#"{"a":2,"b":1}"#)));
    assert_eq!(open.theirs, Presence::Live(doc(r#"{"a":3,"b":1}"#)));
    assert_eq!(open.fields, [Path::field("a")]);
    assert_eq!(open.version, Some(version(2)));
}

/// P19: our side takes later edits in, their side later changes; both are shown as they are now.
#[test]
fn both_sides_move_while_it_is_open() {
    let mut till = open();
    let later = till.patches("o1", r#"{"c":1}"#);
    let first = till.open_conflict().op;
    assert_eq!(till.op(later).state, OpState::Blocked { by: first, visible: true });
    assert_eq!(till.op(later).assumed, Assumed::After(first));
    till.pulls(&[live("o1", 4, r#"{"a":3,"b":8}"#)]);
    let open = till.open_conflict();
    assert_eq!(open.mine, Presence::Live(doc(r#"{"a":2,"b":8,"c":1}"#)));
    assert_eq!(open.theirs, Presence::Live(doc(r#"{"a":3,"b":8}"#)));
    assert_eq!(open.version, Some(version(4)));
    assert_eq!(open.fields, [Path::field("a"), Path::field("c")]);
    till.sees("o1", r#"{"a":2,"b":8,"c":1}"#);
    till.resolves(&Choice::Mine).unwrap();
    let new = till.only("o1");
    assert_eq!(new.assumed, Assumed::At(version(4)));
    till.pushes(applied(5));
    till.sees("o1", r#"{"a":2,"b":8,"c":1}"#);
}

/// P19: their side moves as far as a deletion and back.
#[test]
fn their_side_is_deleted_and_made_again_while_it_is_open() {
    let mut till = open();
    till.pulls(&[tombstone("o1", 4)]);
    let open = till.open_conflict();
    assert_eq!(open.theirs, Presence::Deleted);
    till.sees("o1", r#"{"a":2,"b":1}"#);
    let fields = Choice::Fields(vec![(Path::field("a"), Side::Mine)]);
    assert_eq!(till.resolves(&fields).unwrap_err().code, Code::InvalidValue);
    till.pulls(&[live("o1", 5, r#"{"z":1}"#)]);
    till.sees("o1", r#"{"z":1,"a":2}"#);
    till.pulls(&[tombstone("o1", 6)]);
    till.resolves(&Choice::Mine).unwrap();
    assert_eq!(till.only("o1").intent, Intent::Create(doc(r#"{"z":1,"a":2}"#)));
    till.pushes(applied(7));
    till.sees("o1", r#"{"z":1,"a":2}"#);
}

#[test]
fn ours_is_removed_while_it_is_open() {
    let mut till = open();
    till.removes("o1");
    till.sees_nothing("o1");
    assert_eq!(till.open_conflict().mine, Presence::Deleted);
    till.resolves(&Choice::Mine).unwrap();
    assert_eq!(till.only("o1").intent, Intent::Delete);
    assert_eq!(till.only("o1").before, Before::Whole(Some(doc(r#"{"a":3,"b":1}"#))));
    till.pushes(applied(3));
    till.sees_nothing("o1");
}

/// Two people, two tabs: the second hears that it is decided; a repeat of the first hears that it is done (R22).
#[test]
fn the_second_resolver_hears_that_it_is_decided() {
    let mut till = open();
    let id = till.open_conflict().id;
    let (one, two) = (till.ctx().ids.op(0), till.ctx().ids.op(0));
    let first = till.resolves_as(id, &Choice::Mine, one).unwrap();
    assert!(matches!(first, Resolution::Done { .. }));
    let before = till.all();
    let error = till.resolves_as(id, &Choice::Theirs, two).unwrap_err();
    assert_eq!(error.code, Code::AlreadyResolved);
    assert_eq!(till.resolves_as(id, &Choice::Mine, one).unwrap(), Resolution::Repeated);
    assert_eq!(till.all(), before);
}

/// P19, API: whoever decided on a side that has moved since, by a pull or by a later edit of the user's own, is shown it again, and
/// nothing is decided.
#[test]
fn a_decision_on_what_has_moved_decides_nothing() {
    let moves: [fn(&mut Till); 2] = [
        |till| till.pulls(&[live("o1", 3, r#"{"a":9,"b":1}"#)]),
        |till| {
            till.patches("o1", r#"{"b":7}"#);
        },
    ];
    for (moves, seen_last) in moves.into_iter().zip([r#"{"a":9,"b":1}"#, r#"{"a":3,"b":1}"#]) {
        let mut till = open();
        let conflict = till.open_conflict();
        moves(&mut till);
        let (id, call) = (conflict.id, till.ctx().ids.op(0));
        let ruling = Ruling { id, choice: Choice::Theirs, seen: Some(conflict), call };
        let before = till.all();
        assert_eq!(till.rules_on(&ruling), Ok(Resolution::Moved));
        assert_eq!(till.all(), before);
        let seen = Some(till.open_conflict());
        assert!(matches!(till.rules_on(&Ruling { seen, ..ruling }), Ok(Resolution::Done { .. })));
        till.sees("o1", seen_last);
    }
}

/// P19: the decision is an operation like any other.
#[test]
fn a_resolution_may_meet_the_next_conflict() {
    let mut till = open();
    till.resolves(&Choice::Mine).unwrap();
    let first = till.only("o1").id;
    till.pushes(conflict(3, r#"{"a":9,"b":1}"#));
    let again = till.open_conflict();
    assert_eq!(again.op, first);
    assert_eq!(again.base, Some(doc(r#"{"a":3,"b":1}"#)), "R4: new coordinates");
    till.resolves(&Choice::Theirs).unwrap();
    till.sees("o1", r#"{"a":9,"b":1}"#);
    assert_eq!(till.all().conflicts.len(), 2, "both are kept");
}

/// What a person decided is in the place of what was parked; what came after it waits for nothing.
#[test]
fn a_resolution_that_never_left_is_judged_like_any_other() {
    let mut till = open();
    till.resolves(&Choice::Mine).unwrap();
    till.pulls(&[live("o1", 3, r#"{"a":3,"b":7}"#)]);
    till.sees("o1", r#"{"a":2,"b":7}"#);
    till.patches("o1", r#"{"a":5}"#);
    assert_eq!(till.queue("o1").len(), 1, "and takes later edits in");
    till.pulls(&[live("o1", 4, r#"{"a":4,"b":7}"#)]);
    assert_eq!(till.open_conflict().mine, Presence::Live(doc(r#"{"a":5,"b":7}"#)));
}

/// R12: a conflict of a create holds what refers to it, in the view; its resolution frees it.
#[test]
fn what_refers_to_a_conflicted_create_waits_for_the_person() {
    for choice in [Choice::Mine, Choice::Theirs] {
        let mut till = Till::new();
        let customer = till.customer("c1");
        let sale = till.creates("o1", r#"{"customer":"c1"}"#);
        till.pushes(conflict(3, r#"{"n":9}"#));
        assert_eq!(till.op(sale).state, OpState::Blocked { by: customer, visible: true });
        till.sees("o1", r#"{"customer":"c1"}"#);
        let late = till.creates("o2", r#"{"customer":"c1"}"#);
        till.resolves(&choice).unwrap();
        assert!(is_queued(&till.op(sale)) && till.op(sale).ready, "{choice:?}");
        assert!(is_queued(&till.op(late)) && till.op(late).ready, "{choice:?}");
    }
}

/// P17: somebody else made the same change.
#[test]
fn equal_sides_are_no_conflict() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let op = till.patches("o1", r#"{"a":2,"b":{"c":1.0}}"#);
    till.pushes(conflict(2, r#"{"b":{"c":1},"a":2}"#));
    assert_eq!(till.fate(op), Some(Fate::Applied));
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"a":2}"#);
    till.pulls(&[live("o1", 1, r#"{"a":2}"#)]);
    assert_eq!(till.fate(op), Some(Fate::Applied));
}

/// A create that is judged to be a change of what somebody else made: what named the record may leave now.
#[test]
fn a_create_that_becomes_a_change_frees_what_refers_to_it() {
    let mut till = Till::new();
    let customer = till.customer("c1");
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    let mut change = live("c1", 1, r#"{"other":1}"#);
    change.key.collection = "customers".into();
    till.pulls(&[change]);
    assert!(matches!(till.op(customer).intent, Intent::Change(_)));
    assert!(till.op(sale).ready);
    assert_eq!(till.sends(), [customer, sale]);
}

/// R4: a second meeting with the server's record is judged from where the first left the operation.
#[test]
fn a_rebased_operation_has_new_coordinates() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    till.pushes(conflict(2, r#"{"a":1,"b":2}"#));
    till.pushes(conflict(3, r#"{"a":1,"b":3}"#));
    till.sees("o1", r#"{"a":2,"b":3}"#);
    assert_eq!(till.all().conflicts.len(), 0);
    till.pushes(conflict(4, r#"{"a":4,"b":3}"#));
    assert_eq!(till.open_conflict().base, Some(doc(r#"{"a":1,"b":3}"#)));
}

/// P36: a server that calls the very version a conflict that we named is asked again like one that refuses, not for ever.
#[test]
fn a_conflict_with_the_version_that_we_named_is_a_refusal() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let op = till.patches("o1", r#"{"a":2}"#);
    till.pushes(conflict(1, r#"{"a":1}"#));
    assert_eq!(till.sends(), [], "not at once");
    for _ in 0..2 {
        till.waits();
        till.pushes(conflict(1, r#"{"a":1}"#));
    }
    assert!(crate::till::is_rejected(&till.op(op)), "{:?}", till.queue("o1"));
}

#[test]
fn discarding_a_conflicted_change_takes_theirs_and_keeps_what_came_after() {
    let mut till = open();
    let op = till.open_conflict().op;
    let later = till.patches("o1", r#"{"b":5}"#);
    let discarded = till.discards(op).unwrap();
    assert_eq!(discarded.operations[0].id, op);
    assert_eq!(till.open_conflicts(), 0);
    assert!(is_queued(&till.op(later)));
    till.sees("o1", r#"{"a":3,"b":5}"#);
    till.pushes(applied(3));
}

/// A later edit is given up while the conflict is open: our side is what is left of it.
#[test]
fn discarding_a_later_edit_takes_it_out_of_our_side() {
    let mut till = open();
    let later = till.patches("o1", r#"{"c":1}"#);
    till.discards(later).unwrap();
    assert_eq!(till.open_conflict().mine, Presence::Live(doc(r#"{"a":2,"b":1}"#)));
    till.sees("o1", r#"{"a":2,"b":1}"#);

    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    till.patches("o1", r#"{"a":2}"#);
    till.pushes(deleted(2));
    let later = till.patches("o1", r#"{"b":3}"#);
    let last = till.write(order("o1"), Action::Patch(doc(r#"{"c":1}"#))).unwrap();
    till.discards(later).unwrap();
    till.sees("o1", r#"{"a":2,"b":1,"c":1}"#);
    let removal = till.removes("o1");
    till.sees_nothing("o1");
    till.discards(removal).unwrap();
    till.sees("o1", r#"{"a":2,"b":1,"c":1}"#);
    till.discards(last).unwrap();
    till.sees("o1", r#"{"a":2,"b":1}"#);
}

/// An echo of an operation whose verdict was a conflict is a contradiction; nothing is lost by it.
#[test]
fn an_echo_of_a_conflicted_operation_only_moves_their_side() {
    let mut till = open();
    let op = till.open_conflict().op;
    till.pulls(&[by(op, live("o1", 3, r#"{"a":2,"b":1}"#))]);
    assert_eq!(till.open_conflicts(), 1);
    assert_eq!(till.open_conflict().theirs, Presence::Live(doc(r#"{"a":2,"b":1}"#)));
}

/// P17, R4: a member within an object that they turned into something else, or took away, is theirs too: nothing is at its path on
/// either side, and it would overwrite what is above it.
#[test]
fn a_member_of_what_they_replaced_is_a_conflict() {
    for theirs in [r#"{"a":0}"#, r#"{"a":null}"#, r#"{"a":[{}]}"#, "{}"] {
        for leaves in [false, true] {
            let mut till = Till::with(Strategy::Manual);
            till.pulls(&[live("o1", 1, r#"{"a":{}}"#)]);
            till.patches("o1", r#"{"a":{"x":1}}"#);
            if leaves {
                till.pushes(conflict(2, theirs));
            } else {
                till.pulls(&[live("o1", 2, theirs)]);
            }
            let open = till.open_conflict();
            assert_eq!(open.theirs, Presence::Live(doc(theirs)), "left: {leaves}");
            assert_eq!(open.fields, [Path::field("a")], "{theirs}");
        }
    }
    let mut till = Till::with(Strategy::ServerWins);
    till.pulls(&[live("o1", 1, r#"{"a":{}}"#)]);
    till.patches("o1", r#"{"a":{"x":1}}"#);
    till.pulls(&[live("o1", 2, r#"{"a":0}"#)]);
    till.sees("o1", r#"{"a":0}"#);
}

/// The other way round, and below each other: they changed a part of what we replaced.
#[test]
fn a_part_of_what_we_replaced_is_a_conflict() {
    for theirs in [r#"{"a":{"x":1,"y":1}}"#, r#"{"a":{}}"#, "{}"] {
        let mut till = Till::with(Strategy::Manual);
        till.pulls(&[live("o1", 1, r#"{"a":{"x":1}}"#)]);
        till.patches("o1", r#"{"a":0}"#);
        till.pulls(&[live("o1", 2, theirs)]);
        assert_eq!(till.open_conflict().theirs, Presence::Live(doc(theirs)));
    }
}

/// R4: ours won above their value once; where they leave it at that, there is nothing new to decide.
#[test]
fn what_won_above_their_value_stands_on_it() {
    let mut till = Till::with(Strategy::ClientWins);
    till.pulls(&[live("o1", 1, r#"{"a":{}}"#)]);
    till.patches("o1", r#"{"a":{"x":1}}"#);
    till.pulls(&[live("o1", 2, r#"{"a":0}"#)]);
    assert_eq!(till.all().conflicts.len(), 1);
    till.pulls(&[live("o1", 3, r#"{"a":0,"b":1}"#)]);
    assert_eq!(till.all().conflicts.len(), 1, "it was decided already");
    till.sees("o1", r#"{"a":{"x":1},"b":1}"#);
}

/// P19, P18 (sim): a pull brings the removal before the verdict on a change that is away. What the user saw is in the conflict, and
/// where ours wins it is made anew; nothing else would be left of it.
#[test]
fn a_removal_that_is_pulled_before_the_verdict_leaves_our_side_whole() {
    let seen = r#"{"a":2,"b":1}"#;
    for replaced in [false, true] {
        for strategy in [Strategy::Manual, Strategy::ClientWins] {
            let mut till = Till::with(strategy);
            till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
            if replaced {
                till.replaces("o1", seen);
            } else {
                till.patches("o1", r#"{"a":2}"#);
            }
            let sent = till.sends();
            till.pulls(&[tombstone("o1", 2)]);
            till.hears(&[(sent[0], deleted(2))]);
            till.sees("o1", seen);
            let conflict = till.all().conflicts.into_values().next().unwrap();
            assert_eq!(conflict.mine, Presence::Live(doc(seen)));
            assert_eq!(conflict.base, Some(doc(r#"{"a":1,"b":1}"#)));
            if strategy == Strategy::Manual {
                till.resolves(&Choice::Mine).unwrap();
            }
            assert_eq!(till.only("o1").intent, Intent::Create(doc(seen)));
            till.pushes(applied(3));
            till.sees("o1", seen);
        }
    }
}

/// P19, R25 (sim): the same where a full pull does not bring the record, and of two changes the later one is judged.
#[test]
fn what_a_full_pull_does_not_bring_leaves_our_side_whole() {
    let mut till = open();
    till.resolves(&Choice::Mine).unwrap();
    let sent = till.sends();
    till.patches("o1", r#"{"b":5}"#);
    till.cursor_expires();
    till.pulls(&[]);
    till.hears(&[(sent[0], deleted(1))]);
    assert_eq!(till.open_conflict().mine, Presence::Live(doc(r#"{"a":2,"b":5}"#)));
}

/// R4, P17: a change that was made before its record went, and came back, wrote what it wrote: what is taken out in front of it is not
/// what those behind it found.
#[test]
fn discarding_in_front_of_what_outlived_its_record_is_no_conflict() {
    let mut till = Till::new();
    let base = r#"{"a":0,"b":0}"#;
    till.pulls(&[live("o1", 1, base)]);
    let first = till.patches("o1", r#"{"a":1}"#);
    till.sends();
    let second = till.patches("o1", r#"{"a":2}"#);
    till.hears(&[(first, conflict(2, r#"{"a":9,"b":0}"#))]);
    till.pulls(&[tombstone("o1", 3)]);
    till.pulls(&[live("o1", 4, base)]);
    till.schema = 2;
    let third = till.patches("o1", r#"{"a":3}"#);
    till.discards(first).unwrap();
    assert_eq!(till.pushes(applied(5)), second);
    assert_eq!(till.open_conflicts(), 0, "nobody else wrote there");
    assert_eq!(till.pushes(applied(6)), third);
    till.sees("o1", r#"{"a":3,"b":0}"#);
}

/// R12: what a person decides is as urgent as the most urgent of what it takes the place of.
#[test]
fn a_resolution_is_as_urgent_as_what_it_replaces() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let urgent = Action::Patch(doc(r#"{"a":2}"#));
    let first = till.write_as(order("o1"), urgent, Some(Priority::High)).unwrap();
    till.sends();
    let later = till.patches("o1", r#"{"b":2}"#);
    assert_eq!(till.op(later).priority, Priority::Normal);
    till.hears(&[(first, conflict(2, r#"{"a":3,"b":1}"#))]);
    till.resolves(&Choice::Mine).unwrap();
    assert_eq!(till.only("o1").priority, Priority::High);
}

/// WIRES 4 (2), P17: a create that may have been applied before and meets the very record that it makes is no conflict.
#[test]
fn a_repeated_create_that_finds_itself_is_applied() {
    let mut till = Till::with(Strategy::ClientWins);
    till.rules.wire.weak_replay = true;
    let create = till.creates("o1", r#"{"a":1}"#);
    till.sends();
    till.hears_halt(Halt::Unreachable);
    assert_eq!(till.pushes(conflict(1, r#"{"a":1}"#)), create);
    assert_eq!(till.fate(create), Some(Fate::Applied));
    assert_eq!(till.all().conflicts.len(), 0);
}

/// R12, P7, P8: what a person chose names what waits for the create that is in conflict: it does not wait for that, unless the record
/// is there already.
#[test]
fn a_resolution_that_names_what_waits_for_it_leaves() {
    for is_gone in [true, false] {
        let mut till = Till::new();
        let customers = till.rules.collections.get_mut("customers").unwrap();
        customers.references = [(Path::field("first"), "orders".to_owned())].into();
        let sale = till.creates("o1", r#"{"n":1}"#);
        let key = EntityKey::new("customers", "c1");
        let customer = till.write(key, Action::Create(doc(r#"{"first":"o1"}"#))).unwrap();
        assert_eq!(till.pushes(conflict(2, r#"{"n":9}"#)), sale);
        if is_gone {
            till.pulls(&[tombstone("o1", 3)]);
        }
        let chosen = Presence::Live(doc(r#"{"n":1,"customer":"c1"}"#));
        till.resolves(&Choice::Merged(chosen)).unwrap();
        let again = till.only("o1");
        assert_eq!((again.is_create(), again.replaces), (is_gone, Some(sale)));
        let order = if is_gone { [again.id, customer] } else { [customer, again.id] };
        for op in order {
            assert_eq!(till.pushes(applied(4)), op);
        }
    }
}

/// R12, P7: a person may choose a side that names what was made since: it leaves behind that.
#[test]
fn a_resolution_waits_for_the_create_that_it_names() {
    for made_before in [true, false] {
        let mut till = Till::new();
        till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
        let mut customer = made_before.then(|| till.customer("c1"));
        till.patches("o1", r#"{"a":2}"#);
        let sent = till.sends();
        let change = sent.iter().copied().find(|op| Some(*op) != customer).unwrap();
        till.hears(&[(change, conflict(2, r#"{"a":3}"#))]);
        let made = *customer.get_or_insert_with(|| till.customer("c1"));
        let chosen = Presence::Live(doc(r#"{"a":2,"customer":"c1"}"#));
        till.resolves(&Choice::Merged(chosen)).unwrap();
        let resolution = till.only("o1");
        assert_eq!(resolution.refs, [EntityKey::new("customers", "c1")]);
        assert!(!resolution.ready);
        till.waits();
        assert_eq!(till.pushes(applied(1)), made);
        assert_eq!(till.pushes(applied(3)), resolution.id);
    }
}
