//! Transactions of the application: stored all or none, and on the wire as far as the backend goes along (R14; P2, P10, R22).

use holdfast::model::{
    Choice, Code, EntityKey, Fate, Halt, OpId, OpState, Outcome, Priority, Strategy,
};
use holdfast::plan::push::Room;
use holdfast::plan::write::Action;

use crate::till::{
    RETRY, Till, applied, doc, is_blocked_by, is_queued, is_rejected, live, order, refused as busy,
    rejected,
};

fn create(id: &str, text: &str) -> (EntityKey, Action) {
    (order(id), Action::Create(doc(text)))
}

fn patch(id: &str, text: &str) -> (EntityKey, Action) {
    (order(id), Action::Patch(doc(text)))
}

fn customer(id: &str) -> (EntityKey, Action) {
    (EntityKey::new("customers", id), Action::Create(doc("{}")))
}

/// Conflicts go to a person; the wire takes transactions all or none.
fn till() -> Till {
    Till::with_groups(Strategy::Manual)
}

fn pair(till: &mut Till) -> (OpId, OpId) {
    let ops = till.transacts(&[create("o1", r#"{"a":1}"#), create("o2", r#"{"a":2}"#)]).unwrap();
    (ops[0], ops[1])
}

fn sizes(till: &Till) -> Vec<Option<u32>> {
    till.flight.operations.iter().map(|it| it.group.map(|(_, size)| size)).collect()
}

// Storing.

/// P2: a refusal of one member refuses all, and says which it was.
#[test]
fn a_transaction_is_stored_all_or_none() {
    let mut till = till();
    till.creates("o2", "{}");
    let before = till.all();
    let error = till.transacts(&[create("o1", "{}"), create("o2", "{}")]).unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (Code::Exists, Some("members/1")));
    assert_eq!(till.all(), before);
    till.transacts(&[create("o1", "{}"), patch("o2", r#"{"a":1}"#)]).unwrap();
    till.sees("o1", "{}");
    till.sees("o2", r#"{"a":1}"#);
    assert_eq!(till.queue("o1")[0].group, till.queue("o2")[1].group);
}

#[test]
fn a_member_sees_what_those_before_it_did() {
    let mut till = till();
    let ops = till
        .transacts(&[create("o1", r#"{"a":1}"#), patch("o1", r#"{"b":2}"#), create("o2", "{}")])
        .unwrap();
    assert_eq!(ops[0], ops[1], "two writes of one record are one member");
    assert_eq!(till.only("o1").folded.len(), 1);
    till.sees("o1", r#"{"a":1,"b":2}"#);
    assert_eq!(till.sends(), [ops[0], ops[2]]);
    assert_eq!(sizes(&till), [Some(2), Some(2)]);
}

#[test]
fn a_record_made_and_removed_in_one_transaction_never_was() {
    let mut till = till();
    let remove = (order("o1"), Action::Remove);
    let ops = till.transacts(&[create("o1", "{}"), remove, create("o2", "{}")]).unwrap();
    assert_eq!(till.fate(ops[0]), Some(Fate::Annihilated));
    till.sees_nothing("o1");
    assert_eq!(till.sends(), [ops[2]]);
    assert_eq!(sizes(&till), [Some(1)]);
}

/// The wire wants a record once in a transaction: what cannot become one operation is refused.
#[test]
fn a_record_that_cannot_be_changed_once_is_refused() {
    let mut till = till();
    let stock = EntityKey::new("stock", "s1");
    let twice =
        [(stock.clone(), Action::Create(doc("{}"))), (stock, Action::Patch(doc(r#"{"n":1}"#)))];
    let error = till.transacts(&twice).unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (Code::InvalidValue, Some("members/1")));
    till.creates("o1", "{}");
    let anew = [create("o2", "{}"), (order("o1"), Action::Remove), create("o1", "{}")];
    let error = till.transacts(&anew).unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (Code::InvalidValue, Some("members/2")));
    let late = [create("o3", "{}"), customer("c1"), patch("o3", r#"{"customer":"c1"}"#)];
    assert_eq!(till.transacts(&late).unwrap_err().path.as_deref(), Some("members/2"));
    till.sees_nothing("o3");
}

#[test]
fn members_never_fold_with_operations_outside() {
    let mut till = till();
    let alone = till.creates("o1", r#"{"a":1}"#);
    let ops = till.transacts(&[patch("o1", r#"{"b":1}"#), create("o2", "{}")]).unwrap();
    assert_ne!(ops[0], alone);
    let later = till.patches("o2", r#"{"c":1}"#);
    assert_ne!(later, ops[1]);
    assert_eq!(till.sends(), [alone], "the whole waits for what is before one of it");
    till.hears(&[(alone, applied(1))]);
    assert_eq!(till.sends(), ops);
    till.hears(&[(ops[0], applied(2)), (ops[1], applied(1))]);
    assert_eq!(till.sends(), [later]);
    // A removal is no exception: the transaction's may be given up, or come to nothing.
    let mut till = self::till();
    till.pulls(&[live("o1", 1, "{}")]);
    till.transacts(&[(order("o1"), Action::Remove), create("o2", "{}")]).unwrap();
    assert_eq!(till.refuses("o1", Action::Remove), Code::Gone);
}

#[test]
fn one_write_alone_is_a_write_and_none_is_nothing() {
    let mut till = till();
    let create = till.creates("o1", "{}");
    assert_eq!(till.transacts(&[patch("o1", r#"{"a":1}"#)]), Ok(vec![create]));
    assert_eq!(till.transacts(&[]), Ok(vec![]));
}

#[test]
fn a_transaction_has_its_limits() {
    let mut till = till();
    let many: Vec<_> = (0..51).map(|n| create(&format!("o{n}"), "{}")).collect();
    let error = till.transacts(&many).unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (Code::TooLarge, Some("members")));
    // P4: the outbox has room for all of them, or takes none.
    till.rules.limits.outbox_operations = 3;
    let error = till.transacts(&many[..4]).unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (Code::OutboxFull, Some("members/3")));
    till.rules.limits.outbox_bytes = 10;
    let error = till.transacts(&[create("a", r#"{"n":1}"#), create("b", r#"{"n":1}"#)]);
    assert_eq!(error.unwrap_err().path.as_deref(), Some("members/1"));
    till.rules.limits.outbox_bytes = 100;
    till.transacts(&many[..3]).unwrap();
}

/// R22: the answer to the commit was lost, and the store calls again.
#[test]
fn a_repeated_transaction_is_recognised_by_its_ids() {
    let mut till = till();
    let ctx = till.ctx();
    let writes: Vec<_> = [create("o1", "{}"), patch("o1", r#"{"a":1}"#), create("o2", "{}")]
        .into_iter()
        .enumerate()
        .map(|(n, (key, action))| {
            till.request(ctx.ids.op(1_000 + u32::try_from(n).unwrap()), key, action, None)
        })
        .collect();
    let first = till.accept_all(&writes, &ctx).unwrap();
    let before = till.all();
    assert_eq!(till.accept_all(&writes, &ctx), Ok(first.clone()));
    assert_eq!(till.all(), before);
    let sent = till.sends();
    till.hears(&[(sent[0], applied(1)), (sent[1], applied(1))]);
    assert_eq!(till.accept_all(&writes, &ctx), Ok(first));
    assert_eq!(till.counts().accepted, 3);
}

// Leaving.

#[test]
fn a_transaction_leaves_whole_or_not_at_all() {
    let mut till = till();
    let first = till.creates("o0", "{}");
    let many: Vec<_> = (1..4).map(|n| create(&format!("o{n}"), "{}")).collect();
    let ops = till.transacts(&many).unwrap();
    // It does not fit behind the first.
    let room = Room { operations: 3, bytes: 1 << 20 };
    let sent = |till: &mut Till| {
        till.flight = till.claim_up_to(room).unwrap().batch;
        till.flight.operations.iter().map(|it| it.op).collect::<Vec<_>>()
    };
    assert_eq!(sent(&mut till), [first]);
    till.hears(&[(first, applied(1))]);
    let room = Room { operations: 2, bytes: 1 };
    till.flight = till.claim_up_to(room).unwrap().batch;
    assert_eq!(till.flight.operations.len(), 3, "alone it may exceed the room");
    assert_eq!(sizes(&till), [Some(3); 3]);
    till.reopens();
    assert_eq!(till.sends(), ops, "after a crash too");
    assert_eq!(sizes(&till), [Some(3); 3]);
}

/// P7, R11: what names a record that the same transaction makes waits for nothing, and stands behind it.
#[test]
fn a_reference_within_a_transaction_is_settled_by_order() {
    let mut till = till();
    let ops = till.transacts(&[customer("c1"), create("o1", r#"{"customer":"c1"}"#)]).unwrap();
    assert_eq!(till.sends(), ops);
    till.hears(&[(ops[0], rejected("validation")), (ops[1], RETRY)]);
    let call = till.retries(ops[0], None).unwrap();
    assert_eq!(till.sends(), [call, ops[1]], "wherever a decision has put it");
}

#[test]
fn the_whole_is_as_urgent_as_its_most_urgent_member() {
    let mut till = till();
    let early = till.creates("o0", "{}");
    let before = till.creates("o1", "{}");
    let ctx = till.ctx();
    let high = Some(Priority::High);
    let writes = vec![
        till.request(ctx.ids.op(1_000), order("o1"), Action::Patch(doc(r#"{"a":1}"#)), None),
        till.request(ctx.ids.op(1_001), order("o2"), Action::Create(doc("{}")), high),
    ];
    let ops = till.accept_all(&writes, &ctx).unwrap();
    assert_eq!(till.op(ops[0]).priority, Priority::High);
    assert_eq!(till.op(before).priority, Priority::High, "and so is what it waits for");
    assert_eq!(till.sends(), [before, early]);
}

/// R7: the answer was lost, or one verdict was missing. The same ids again, together.
#[test]
fn a_lost_answer_is_asked_for_again() {
    let mut till = till();
    let (a, b) = pair(&mut till);
    assert_eq!(till.sends(), [a, b]);
    till.hears_halt(Halt::Unreachable);
    assert_eq!(till.sends(), [a, b]);
    till.hears(&[(a, applied(1))]);
    assert_eq!(till.sends(), [], "the rest waits for its time");
    till.waits();
    assert_eq!(till.sends(), [b]);
    assert_eq!(sizes(&till), [Some(1)]);
    till.hears(&[(b, applied(1))]);
    assert_eq!(till.counts().applied, 2);
}

/// The others wait for no fault of theirs, but nobody is asked in a circle.
#[test]
fn a_server_that_never_takes_it_is_asked_ever_later() {
    let mut till = Till::with_groups(Strategy::ClientWins);
    till.pulls(&[live("o2", 1, "{}")]);
    let ops = till.transacts(&[create("o1", "{}"), patch("o2", r#"{"a":1}"#)]).unwrap();
    let mut asked = 0;
    let until = till.now + 60_000;
    let mut version = 1;
    while till.now < until {
        let sent = till.sends();
        if sent.is_empty() {
            till.now += 100;
            continue;
        }
        assert_eq!((sent.len(), sent[0]), (2, ops[0]), "together");
        asked += 1;
        version += 1;
        let theirs = crate::till::conflict(version, &format!(r#"{{"a":{version}}}"#));
        till.hears(&[(ops[0], RETRY), (sent[1], theirs)]);
    }
    // The till's dice always say half a second.
    assert!((5..150).contains(&asked), "{asked} requests in a minute");
    let mut till = self::till();
    let (a, b) = pair(&mut till);
    till.sends();
    till.hears(&[(a, RETRY), (b, RETRY)]);
    assert_eq!(till.sends(), [], "put off by the server: a wait");
}

// A member that is not applied.

/// The failing member is judged as always; what takes its place leaves with the others, under their ids.
#[test]
fn a_rebased_member_leaves_with_the_others_again() {
    let mut till = till();
    till.pulls(&[live("o2", 1, r#"{"a":1,"b":1}"#)]);
    let ops = till.transacts(&[create("o1", "{}"), patch("o2", r#"{"a":2}"#)]).unwrap();
    assert_eq!(till.sends(), ops);
    till.hears(&[(ops[0], RETRY), (ops[1], crate::till::conflict(2, r#"{"a":1,"b":9}"#))]);
    let sent = till.sends();
    assert_eq!(sent[0], ops[0]);
    assert_ne!(sent[1], ops[1]);
    assert_eq!(sizes(&till), [Some(2), Some(2)]);
    till.hears(&[(sent[0], applied(1)), (sent[1], applied(3))]);
    assert_eq!(till.counts().applied, 2);
    till.sees("o2", r#"{"a":2,"b":9}"#);
}

#[test]
fn a_conflict_of_one_member_keeps_the_others_until_it_is_resolved() {
    for choice in [Choice::Mine, Choice::Theirs] {
        let mut till = till();
        till.pulls(&[live("o2", 1, r#"{"a":1}"#)]);
        let ops = till.transacts(&[create("o1", "{}"), patch("o2", r#"{"a":2}"#)]).unwrap();
        assert_eq!(till.sends(), ops);
        till.hears(&[(ops[0], RETRY), (ops[1], crate::till::conflict(2, r#"{"a":9}"#))]);
        assert!(is_queued(&till.op(ops[0])), "R11: sealed, so never blocked");
        assert_eq!(till.sends(), []);
        till.waits();
        assert_eq!(till.sends(), [], "not at any time");
        till.resolves(&choice).unwrap();
        let sent = till.sends();
        assert_eq!(sent[0], ops[0]);
        assert_eq!(sent.len(), if choice == Choice::Mine { 2 } else { 1 });
    }
}

/// R6: a member that never left is judged when its base moves; then the others never left either, and are blocked.
#[test]
fn a_member_that_is_parked_before_it_left_blocks_the_others() {
    for mut till in [till(), Till::new()] {
        till.pulls(&[live("o2", 1, r#"{"a":1}"#)]);
        let ops = till.transacts(&[create("o1", "{}"), patch("o2", r#"{"a":2}"#)]).unwrap();
        let behind = till.patches("o1", r#"{"c":1}"#);
        till.pulls(&[live("o2", 2, r#"{"a":9}"#)]);
        assert!(is_blocked_by(&till.op(ops[0]), ops[1]));
        assert!(is_blocked_by(&till.op(behind), ops[1]), "transitively");
        till.sees("o1", r#"{"c":1}"#);
        assert_eq!(till.sends(), []);
        till.resolves(&Choice::Mine).unwrap();
        assert_eq!(till.sends().len(), 2);
    }
}

/// P10, P21: the whole waits for a person, other records do not.
#[test]
fn a_refused_member_keeps_the_others_until_it_is_sent_again() {
    let mut till = till();
    let (a, b) = pair(&mut till);
    let other = till.creates("o9", "{}");
    till.sends();
    till.hears(&[(a, RETRY), (b, rejected("validation")), (other, applied(1))]);
    assert!(is_rejected(&till.op(b)));
    till.waits();
    assert_eq!(till.sends(), []);
    let free = till.creates("o8", "{}");
    assert_eq!(till.sends(), [free]);
    till.hears(&[(free, applied(1))]);
    let again = till.retries(b, Some(r#"{"a":3}"#)).unwrap();
    assert_eq!(till.op(again).group, till.op(a).group);
    assert_eq!(till.sends(), [a, again]);
    assert_eq!(sizes(&till), [Some(2), Some(2)]);
}

/// R8: refused for now. It is asked again with the others, when its time has come.
#[test]
fn a_member_that_is_refused_for_now_is_waited_for() {
    let mut till = till();
    let (a, b) = pair(&mut till);
    for _ in 0..2 {
        assert_eq!(till.sends(), [a, b]);
        till.hears(&[(a, RETRY), (b, busy())]);
        assert_eq!(till.sends(), []);
        till.waits();
    }
    assert_eq!(till.sends(), [a, b]);
    till.hears(&[(a, RETRY), (b, busy())]);
    assert!(is_rejected(&till.op(b)), "the third time");
}

/// A person who gives one member up decides that the others may go.
#[test]
fn a_discarded_member_lets_the_others_go() {
    let mut till = till();
    let (a, b) = pair(&mut till);
    till.sends();
    till.hears(&[(a, RETRY), (b, rejected("validation"))]);
    till.discards(b).unwrap();
    assert_eq!(till.sends(), [a]);
    assert_eq!(sizes(&till), [Some(1)]);
}

/// All of it can be given up, though the others left once: the server said that it did none of it.
#[test]
fn a_whole_transaction_can_be_given_up() {
    let mut till = till();
    let ops = till.transacts(&[customer("c1"), create("o1", r#"{"customer":"c1"}"#)]).unwrap();
    till.sends();
    till.hears(&[(ops[0], rejected("validation")), (ops[1], RETRY)]);
    let gone = till.discards(ops[0]).unwrap();
    assert_eq!(gone.operations.len(), 2, "with a create goes what names it");
    let (a, b) = pair(&mut till);
    till.sends();
    till.hears(&[(a, rejected("validation")), (b, RETRY)]);
    till.discards(b).unwrap();
    till.discards(a).unwrap();
    assert!(till.all().ops.is_empty());
    // What is on its way, and not held, is not given up.
    let (a, _) = pair(&mut till);
    assert_eq!(till.discards(a).unwrap_err().code, Code::InvalidValue);
}

/// R7: nothing smaller can be asked for, so it is the refusal of all members.
#[test]
fn a_request_with_one_transaction_alone_that_is_refused_is_its_refusal() {
    for halt in [Halt::TooLarge, Halt::BatchRefused] {
        let mut till = till();
        let (a, b) = pair(&mut till);
        till.sends();
        till.hears_halt(halt);
        assert!(is_rejected(&till.op(a)) && is_rejected(&till.op(b)));
        till.sees_nothing("o1");
        let first = till.retries(a, None).unwrap();
        assert!(is_blocked_by(&till.op(first), b), "not without the other");
        let second = till.retries(b, None).unwrap();
        assert_eq!(till.sends(), [first, second]);
    }
}

/// A person's decision may put a member behind something that waits for its transaction: no order satisfies both.
#[test]
fn a_member_that_would_wait_for_its_own_transaction_leaves_it() {
    let mut till = till();
    till.pulls(&[live("o1", 1, "{}")]);
    let ops = till.transacts(&[customer("c1"), patch("o1", r#"{"a":1}"#)]).unwrap();
    till.sends();
    till.hears(&[(ops[0], RETRY), (ops[1], rejected("validation"))]);
    let between = till.patches("o1", r#"{"customer":"c1"}"#);
    let again = till.retries(ops[1], None).unwrap();
    assert_eq!(till.op(again).group, None);
    for op in [ops[0], between, again] {
        assert_eq!(till.pushes(applied(u64::from(op != ops[0]) * 2 + 1)), op);
    }
}

/// Somebody who decides about a record takes what waits on it together; that stays with a transaction that a part was in.
#[test]
fn a_resolution_stays_with_the_transaction() {
    let mut till = till();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let alone = till.patches("o1", r#"{"a":2}"#);
    assert_eq!(till.sends(), [alone]);
    let ops = till.transacts(&[patch("o1", r#"{"b":2}"#), create("o2", "{}")]).unwrap();
    till.hears(&[(alone, crate::till::conflict(2, r#"{"a":9}"#))]);
    assert!(is_blocked_by(&till.op(ops[1]), alone));
    till.resolves(&Choice::Mine).unwrap();
    assert_eq!(till.sends().len(), 2);
    assert_eq!(sizes(&till), [Some(2), Some(2)]);
}

/// R14, P16: what was made and removed again for nothing stays behind a member: that may come to nothing together with its mates.
#[test]
fn nothing_is_annihilated_behind_a_member() {
    let mut till = till();
    till.pulls(&[live("o1", 1, "{}")]);
    let ops = till.transacts(&[(order("o1"), Action::Remove), create("o2", "{}")]).unwrap();
    let made = till.creates("o1", r#"{"a":1}"#);
    let removed = till.removes("o1");
    assert_eq!(
        till.queue("o1").iter().map(|op| op.id).collect::<Vec<_>>(),
        [ops[0], made, removed]
    );
}

/// A transaction on a record that waits for a person waits with it.
#[test]
fn a_transaction_on_what_waits_for_a_person_is_blocked_whole() {
    let mut till = till();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let first = till.patches("o1", r#"{"a":2}"#);
    till.pulls(&[live("o1", 2, r#"{"a":9}"#)]);
    let ops = till
        .transacts(&[create("o2", "{}"), patch("o1", r#"{"b":1}"#), patch("o1", r#"{"c":1}"#)])
        .unwrap();
    assert_eq!(ops[1], ops[2], "they fold as anywhere");
    assert!(ops.iter().all(|op| is_blocked_by(&till.op(*op), first)));
    till.sees("o1", r#"{"a":2,"b":1,"c":1}"#);
    till.sees("o2", "{}");
}

// A wire without groups.

#[test]
fn without_groups_on_the_wire_members_go_in_order() {
    let mut till = Till::new();
    let before = till.creates("o2", "{}");
    let ops = till
        .transacts(&[create("o1", "{}"), patch("o2", r#"{"a":1}"#), create("o3", "{}")])
        .unwrap();
    assert_eq!(till.sends(), [before, ops[0]], "the third does not pass the second");
    assert_eq!(sizes(&till), [None, None]);
    till.hears(&[(before, applied(1)), (ops[0], applied(1))]);
    assert_eq!(till.sends(), [ops[1], ops[2]], "close together");
}

#[test]
fn without_groups_a_reference_waits_for_the_verdict() {
    let mut till = Till::new();
    let ops = till.transacts(&[customer("c1"), create("o1", r#"{"customer":"c1"}"#)]).unwrap();
    assert_eq!(till.sends(), [ops[0]], "P7");
    till.hears(&[(ops[0], applied(1))]);
    assert_eq!(till.sends(), [ops[1]]);
}

#[test]
fn without_groups_a_parked_member_blocks_what_did_not_leave_yet() {
    let mut till = Till::new();
    let many: Vec<_> = (1..4).map(|n| create(&format!("o{n}"), "{}")).collect();
    let ops = till.transacts(&many).unwrap();
    let room = Room { operations: 2, bytes: 1 << 20 };
    till.flight = till.claim_up_to(room).unwrap().batch;
    till.hears(&[(ops[0], rejected("validation")), (ops[1], RETRY)]);
    assert!(is_blocked_by(&till.op(ops[2]), ops[0]));
    till.sees_nothing("o3");
    till.waits();
    assert_eq!(till.sends(), [ops[1]], "R11: its verdict is awaited");
    till.hears(&[(ops[1], applied(1))]);
    let again = till.retries(ops[0], None).unwrap();
    assert_eq!(till.sends(), [ops[2], again]);
    assert!(matches!(till.op(again).state, OpState::InFlight { .. }));
}

#[test]
fn an_echo_of_one_member_is_its_verdict() {
    let mut till = till();
    let (a, b) = pair(&mut till);
    till.sends();
    till.pulls(&[crate::till::by(a, live("o1", 1, r#"{"a":1}"#))]);
    assert_eq!(till.fate(a), Some(Fate::Applied));
    till.reopens();
    assert_eq!(till.sends(), [b]);
    assert_eq!(sizes(&till), [Some(1)]);
    let outcome =
        Outcome::Applied { version: None, presence: None, stamp: None, assigned_id: None };
    till.hears(&[(b, outcome)]);
    assert!(matches!(till.op(b).state, OpState::Acked { .. }));
}

/// R14: in order only the later waits for the earlier: one that names what an earlier member makes stays, whatever was decided.
#[test]
fn without_groups_a_member_that_waits_for_an_earlier_one_stays() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let names = patch("o1", r#"{"a":2,"customer":"c1"}"#);
    let ops = till.transacts(&[customer("c1"), names]).unwrap();
    till.pulls(&[live("o1", 2, r#"{"a":3}"#)]);
    till.resolves(&Choice::Mine).unwrap();
    let chosen = till.only("o1");
    assert_eq!(chosen.group, till.op(ops[0]).group);
    assert_eq!(till.pushes(applied(1)), ops[0]);
    assert_eq!(till.pushes(applied(3)), chosen.id);
}

/// R14, P8: a create that is sent again stands at the end, behind the member that names it: that one leaves the transaction.
#[test]
fn without_groups_a_member_that_would_wait_for_a_later_one_leaves() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, "{}")]);
    let names = patch("o1", r#"{"customer":"c1"}"#);
    let ops = till.transacts(&[customer("c1"), names]).unwrap();
    assert_eq!(till.pushes(rejected("validation")), ops[0]);
    assert!(is_blocked_by(&till.op(ops[1]), ops[0]));
    let again = till.retries(ops[0], None).unwrap();
    assert_eq!(till.op(ops[1]).group, None);
    assert_eq!(till.pushes(applied(1)), again);
    assert_eq!(till.pushes(applied(2)), ops[1]);
}
