//! Rejected operations: what waits for them, and what a person may do (P10, P21, R1, R9, R12).

use holdfast::model::{
    Assumed, Before, Code, EntityKey, Fate, Intent, OpState, Path, Presence, Strategy,
};
use holdfast::plan::resolve::Resolution;
use holdfast::plan::write::Action;

use crate::till::{
    RETRY, Till, applied, doc, is_blocked_by, is_queued, is_rejected, live, order, rejected,
    tombstone, version,
};

/// A change was refused; two more were made on it before that.
fn refused_change() -> (Till, [holdfast::model::OpId; 3]) {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let first = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let second = till.patches("o1", r#"{"b":2}"#);
    till.schema = 2;
    let third = till.patches("o1", r#"{"a":3,"c":2}"#);
    till.hears(&[(first, rejected("validation"))]);
    (till, [first, second, third])
}

/// O3, R1, P10: blocked with it, and out of the view.
#[test]
fn what_stood_on_a_rejected_change_is_blocked_with_it() {
    let (till, [first, second, third]) = refused_change();
    assert!(is_rejected(&till.op(first)));
    assert!(is_blocked_by(&till.op(second), first) && is_blocked_by(&till.op(third), first));
    till.sees("o1", r#"{"a":1}"#);
}

/// The general law of R1: a new write is made over the base, and waits for nothing.
#[test]
fn a_new_write_beside_a_rejected_one_leaves() {
    let (mut till, _) = refused_change();
    let new = till.patches("o1", r#"{"a":5}"#);
    assert_eq!(till.op(new).assumed, Assumed::At(version(1)));
    till.sees("o1", r#"{"a":5}"#);
    assert_eq!(till.pushes(applied(2)), new);
    till.sees("o1", r#"{"a":5}"#);
}

/// P21: new operations, over the present record, in order.
#[test]
fn retrying_sends_all_of_it_again_over_what_the_record_is_now() {
    let (mut till, [first, second, third]) = refused_change();
    till.pulls(&[live("o1", 4, r#"{"a":1,"z":1}"#)]);
    let new = till.patches("o1", r#"{"y":1}"#);
    let again = till.retries(first, None).unwrap();
    assert_eq!(till.fate(first), Some(Fate::Superseded(again)));
    let queue = till.queue("o1");
    assert_eq!(queue.len(), 4);
    assert_eq!(queue[0].id, new, "new places at the end");
    assert_eq!(queue[1].id, again);
    assert_eq!(queue[1].assumed, Assumed::After(new));
    assert_eq!(till.fate(second), Some(Fate::Superseded(queue[2].id)));
    assert_eq!(till.fate(third), Some(Fate::Superseded(queue[3].id)));
    till.sees("o1", r#"{"a":3,"z":1,"y":1,"b":2,"c":2}"#);
    for number in 5..9 {
        till.pushes(applied(number));
    }
    till.sees("o1", r#"{"a":3,"z":1,"y":1,"b":2,"c":2}"#);
    assert_eq!(till.all().conflicts.len(), 0);
}

#[test]
fn editing_changes_the_first_of_them() {
    let (mut till, [first, ..]) = refused_change();
    till.retries(first, Some(r#"{"a":7,"d":1}"#)).unwrap();
    till.sees("o1", r#"{"a":3,"b":2,"c":2,"d":1}"#);
    let Intent::Change(edits) = &till.queue("o1")[0].intent else { panic!() };
    assert_eq!(edits.len(), 2);
}

/// R22: a repeat is recognised; another call hears that it is decided.
#[test]
fn a_repeated_retry_is_the_same_one() {
    let (mut till, [first, ..]) = refused_change();
    let call = till.ctx().ids.op(0);
    assert!(matches!(till.retries_as(first, None, call), Ok(Resolution::Done { .. })));
    let before = till.all();
    assert_eq!(till.retries_as(first, None, call), Ok(Resolution::Repeated));
    assert_eq!(till.all(), before);
    assert_eq!(till.retries(first, None).unwrap_err().code, Code::AlreadyResolved);
    assert_eq!(till.discards(first).unwrap_err().code, Code::AlreadyResolved);
}

#[test]
fn only_what_is_parked_can_be_decided() {
    let mut till = Till::new();
    let op = till.creates("o1", "{}");
    assert_eq!(till.retries(op, None).unwrap_err().code, Code::InvalidValue);
    assert_eq!(till.discards(op).unwrap_err().code, Code::InvalidValue);
    let nobody = till.ctx().ids.op(9);
    assert_eq!(till.retries(nobody, None).unwrap_err().code, Code::NotFound);
}

/// P21: it stays where it is.
#[test]
fn a_change_of_what_is_gone_cannot_be_retried() {
    let (mut till, [first, ..]) = refused_change();
    till.pulls(&[crate::till::tombstone("o1", 2)]);
    assert_eq!(till.retries(first, None).unwrap_err().code, Code::Gone);
    assert!(is_rejected(&till.op(first)), "and stays");
}

/// P3, R4: composed out of its followers: at its paths they stand on what it stood on.
#[test]
fn discarding_a_change_leaves_its_followers() {
    let (mut till, [first, second, third]) = refused_change();
    let discarded = till.discards(first).unwrap();
    assert_eq!(discarded.operations.len(), 1);
    assert_eq!(discarded.operations[0].id, first);
    assert_eq!(till.fate(first), Some(Fate::Discarded));
    assert!(is_queued(&till.op(second)) && is_queued(&till.op(third)));
    assert_eq!(till.op(second).assumed, Assumed::At(version(1)));
    assert_eq!(till.op(third).assumed, Assumed::After(second));
    till.sees("o1", r#"{"a":3,"b":2,"c":2}"#);
    till.pushes(applied(2));
    till.pushes(applied(3));
    till.sees("o1", r#"{"a":3,"b":2,"c":2}"#);
    assert_eq!(till.all().conflicts.len(), 0, "the value of the discarded one is nobody's change");
}

/// The follower changed a part of what the discarded one wrote as a whole, and the other way round.
#[test]
fn discarding_composes_paths_above_and_below() {
    for (first, second) in
        [(r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"x":5}}"#), (r#"{"a":{"x":1}}"#, r#"{"a":null}"#)]
    {
        let mut till = Till::with(Strategy::Manual);
        let base = if second.contains("null") { r#"{"a":{"x":0}}"# } else { r#"{"a":0}"# };
        till.pulls(&[live("o1", 1, base)]);
        let gone = till.patches("o1", first);
        till.sends();
        let kept = till.patches("o1", second);
        till.hears(&[(gone, rejected("validation"))]);
        till.discards(gone).unwrap();
        till.pulls(&[live(
            "o1",
            2,
            &base.replace('}', r#","z":1}"#).replace(r#","z":1},"z":1}"#, r#"},"z":1}"#),
        )]);
        assert!(is_queued(&till.op(kept)), "{first} {second}: {:?}", till.op(kept));
        assert_eq!(till.open_conflicts(), 0, "{first} {second}: nobody else touched it");
    }
}

#[test]
fn discarding_in_the_middle_leaves_the_rest_blocked() {
    let (mut till, [first, second, third]) = refused_change();
    till.discards(second).unwrap();
    assert_eq!(till.op(third).assumed, Assumed::After(first));
    assert!(is_blocked_by(&till.op(third), first));
    till.sees("o1", r#"{"a":1}"#);
}

/// R11: a cause that reached an operation only through the discarded one is none any more.
#[test]
fn discarding_what_was_blocked_frees_what_was_blocked_through_it() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let customer = till.customer("c1");
    let names = till.patches("o1", r#"{"customer":"c1"}"#);
    till.sends();
    till.schema = 2;
    let later = till.patches("o1", r#"{"a":2}"#);
    till.hears(&[(customer, rejected("validation"))]);
    assert!(is_blocked_by(&till.op(names), customer) && is_blocked_by(&till.op(later), customer));
    till.discards(names).unwrap();
    assert!(is_queued(&till.op(later)));
    assert_eq!(till.pushes(applied(2)), later);
}

/// R22: whoever repeats a discard that won hears that it won.
#[test]
fn a_repeated_discard_is_the_same_one() {
    let (mut till, [first, ..]) = refused_change();
    let call = till.ctx().ids.op(0);
    till.discards_as(first, call).unwrap();
    let before = till.all();
    assert!(till.discards_as(first, call).is_ok());
    assert_eq!(till.all(), before);
    assert_eq!(till.discards(first).unwrap_err().code, Code::AlreadyResolved);
}

/// A customer was refused; sales name it, and others name those.
fn refused_create() -> (Till, [holdfast::model::OpId; 3]) {
    let mut till = Till::new();
    let customer = till.customer("c1");
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    let other = till.creates("o2", "{}");
    till.sends();
    till.hears(&[(customer, rejected("validation")), (other, applied(1))]);
    (till, [customer, sale, other])
}

/// R12, P10.
#[test]
fn a_rejected_create_blocks_what_names_it_and_nothing_else() {
    let (mut till, [customer, sale, other]) = refused_create();
    assert_eq!(till.op(sale).state, OpState::Blocked { by: customer, visible: false });
    till.sees_nothing("o1");
    assert_eq!(till.fate(other), Some(Fate::Applied), "P10");
    let free = till.creates("o3", "{}");
    assert_eq!(till.pushes(applied(1)), free);
}

/// R1: a new write that names a parked create waits, queued and visible.
#[test]
fn a_new_write_that_names_a_parked_create_waits_in_view() {
    let (mut till, [customer, ..]) = refused_create();
    let late = till.creates("o4", r#"{"customer":"c1"}"#);
    assert!(is_queued(&till.op(late)) && !till.op(late).ready);
    till.sees("o4", r#"{"customer":"c1"}"#);
    let again = till.retries(customer, Some(r#"{"n":2}"#)).unwrap();
    assert_eq!(till.pushes(applied(1)), again);
    assert!(till.op(late).ready);
}

/// R12, P21.
#[test]
fn retrying_a_create_frees_what_names_it_when_it_is_settled() {
    let (mut till, [customer, sale, _]) = refused_create();
    let again = till.retries(customer, None).unwrap();
    assert!(is_queued(&till.op(sale)) && !till.op(sale).ready);
    till.sees("o1", r#"{"customer":"c1"}"#);
    assert_eq!(till.pushes(applied(1)), again);
    assert_eq!(till.pushes(applied(1)), sale);
}

/// R11: blocking is transitive, and one may have several causes.
#[test]
fn an_operation_with_two_causes_is_freed_by_the_last() {
    let mut till = Till::new();
    let one = till.customer("c1");
    let two = till.customer("c2");
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    assert_eq!(till.patches("o1", r#"{"customer":"c2"}"#), sale);
    assert_eq!(till.op(sale).refs.len(), 2);
    till.sends();
    till.hears(&[(one, rejected("validation")), (two, rejected("validation"))]);
    let OpState::Blocked { by, .. } = till.op(sale).state else { panic!() };
    let other = if by == one { two } else { one };
    till.retries(by, None).unwrap();
    assert!(is_blocked_by(&till.op(sale), other));
    till.retries(other, None).unwrap();
    assert!(is_queued(&till.op(sale)));
}

/// R11, R12: blocking is transitive, and so is being freed.
#[test]
fn a_chain_of_creates_is_blocked_and_freed_as_a_whole() {
    let mut till = Till::new();
    let parent = EntityKey::new("customers", "c1");
    let customer = till.customer("c1");
    let mut chain = vec![customer];
    // Orders may name other orders' customers only; a chain is made of records named like customers.
    for step in 2..5 {
        let ctx = till.ctx();
        let key = EntityKey::new("customers", format!("c{step}"));
        let mut request = till.request(ctx.ids.op(0), key, Action::Create(doc("{}")), None);
        request.refs = vec![EntityKey::new("customers", format!("c{}", step - 1))];
        chain.push(till.accept(&request, &ctx).unwrap());
    }
    assert_eq!(till.pushes(rejected("validation")), customer);
    for op in &chain[1..] {
        assert!(is_blocked_by(&till.op(*op), customer));
    }
    let again = till.retries(customer, None).unwrap();
    assert_eq!(till.all().ops.values().filter(|op| is_queued(op)).count(), 4);
    assert_eq!(till.pushes(applied(1)), again);
    for op in &chain[1..] {
        assert_eq!(till.pushes(applied(1)), *op);
    }
    assert!(till.all().records.contains_key(&parent));
}

/// P3: a discard says what it gave up.
#[test]
fn discarding_a_create_discards_all_that_names_it() {
    let (mut till, [customer, sale, _]) = refused_create();
    let late = till.creates("o4", r#"{"customer":"c1"}"#);
    let edit = {
        till.schema = 2;
        till.patches("o4", r#"{"n":1}"#)
    };
    let discarded = till.discards(customer).unwrap();
    let ids: Vec<_> = discarded.operations.iter().map(|op| op.id).collect();
    assert_eq!(ids, [customer, sale, late, edit], "in order, and returned");
    assert_eq!(till.all().ops.len(), 0);
    for op in ids {
        assert_eq!(till.fate(op), Some(Fate::Discarded));
    }
    till.sees_nothing("o4");
}

#[test]
fn a_discard_may_be_refused_with_what_depends_on_it() {
    use holdfast::plan::resolve::Dependents;
    let (mut till, [customer, sale, _]) = refused_create();
    let call = till.ctx().ids.op(0);
    let error = till.discards_with(customer, Dependents::Refuse, call).unwrap_err();
    assert_eq!((error.code, error.op), (Code::Referenced, Some(sale)));
    till.discards_with(sale, Dependents::Refuse, call).unwrap();
    let call = till.ctx().ids.op(0);
    till.discards_with(customer, Dependents::Refuse, call).unwrap();
    assert!(till.all().ops.is_empty());
}

/// What was made anew under the same id does not stand on the refused create.
#[test]
fn a_record_made_anew_outlives_the_refused_one() {
    let (mut till, [customer, sale, _]) = refused_create();
    let anew = till.customer("c1");
    assert_ne!(anew, customer);
    let late = till.creates("o4", r#"{"customer":"c1"}"#);
    assert_eq!(till.pushes(applied(1)), anew);
    assert!(till.op(late).ready, "the customer is there");
    let discarded = till.discards(customer).unwrap();
    assert_eq!(discarded.operations.len(), 1, "{discarded:?}");
    assert!(is_queued(&till.op(sale)), "the customer that it names is there");
    assert_eq!(till.sends(), [sale, late]);
}

/// R1: a create over a record that is live by now sets its fields and takes none away.
#[test]
fn a_retried_create_over_a_live_record_is_a_change() {
    let mut till = Till::new();
    let op = till.creates("o1", r#"{"a":1,"b":2}"#);
    till.pushes(rejected("validation"));
    till.pulls(&[live("o1", 1, r#"{"a":1,"z":1}"#)]);
    let again = till.retries(op, None).unwrap();
    let Intent::Change(edits) = till.op(again).intent else { panic!("{:?}", till.op(again)) };
    assert_eq!(edits.len(), 1, "{edits:?}");
    till.sees("o1", r#"{"a":1,"b":2,"z":1}"#);
    till.pushes(applied(2));
    till.sees("o1", r#"{"a":1,"b":2,"z":1}"#);
}

/// R12: what named a refused create waits for the one that was made anew meanwhile, once the refused one is sent again over it.
#[test]
fn what_names_a_retried_create_waits_for_the_one_made_anew() {
    let (mut till, [customer, sale, _]) = refused_create();
    let anew = till.customer("c1");
    till.retries(customer, Some(r#"{"n":2}"#)).unwrap();
    assert!(!till.op(sale).ready, "the customer that it names is not there yet");
    assert_eq!(till.sends(), [anew]);
    till.hears(&[(anew, applied(1))]);
    assert!(till.op(sale).ready, "the customer is there");
}

/// A refused change of a record blocks that record's later edits, not what names the record (R12).
#[test]
fn a_rejected_change_blocks_no_reference() {
    let mut till = Till::new();
    let customer = till.customer("c1");
    till.pushes(applied(1));
    let key = EntityKey::new("customers", "c1");
    let change = till.write(key, Action::Patch(doc(r#"{"n":2}"#))).unwrap();
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    assert!(till.op(sale).refs.is_empty(), "{customer} is settled");
    till.sends();
    till.hears(&[(change, rejected("validation")), (sale, applied(1))]);
    assert_eq!(till.fate(sale), Some(Fate::Applied));
}

/// R11: while something that depends on it may have reached the server nothing is given up.
#[test]
fn a_sealed_operation_is_never_blocked() {
    let mut till = Till::new();
    let first = till.creates("o1", r#"{"a":1}"#);
    till.sends();
    till.hears_halt(holdfast::model::Halt::Unreachable);
    assert!(till.op(first).is_sealed());
    till.customer("c1");
    till.sends();
    let customer = till.flight.operations[1].op;
    till.hears(&[(customer, rejected("validation"))]);
    assert!(is_queued(&till.op(first)));
    let _ = order("o1");
}

/// A retried operation is behind everything it stood behind, and in front of what stands on it, also of what waits for
/// something else.
#[test]
fn a_follower_with_another_cause_moves_with_a_retried_operation() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let customer = till.customer("c1");
    let first = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let second = till.patches("o1", r#"{"customer":"c1"}"#);
    till.hears(&[(customer, rejected("validation")), (first, rejected("validation"))]);
    let again = till.retries(first, None).unwrap();
    let queue = till.queue("o1");
    assert_eq!(queue.len(), 2);
    assert_eq!(queue[0].id, again);
    assert_eq!(queue[1].assumed, Assumed::After(again));
    assert!(is_blocked_by(&queue[1], customer), "{:?}", queue[1]);
    assert_eq!(till.fate(second), Some(Fate::Superseded(queue[1].id)));
    till.pushes(applied(2));
    till.retries(customer, None).unwrap();
    till.pushes(applied(1));
    till.pushes(applied(3));
    till.sees("o1", r#"{"a":2,"customer":"c1"}"#);
}

/// A record made again while its first create is out of sight, and the first is freed after all (found by the simulation, seed
/// 6696). Nobody else has a part in it: the later create says what was meant, and there is no conflict (R1, P17).
#[test]
fn a_record_made_twice_by_its_user_is_no_conflict() {
    let mut till = Till::new();
    let customer = till.customer("c1");
    let first = till.creates("o1", r#"{"a":1,"customer":"c1"}"#);
    till.sends();
    till.hears(&[(customer, rejected("validation"))]);
    assert!(is_blocked_by(&till.op(first), customer));
    till.sees_nothing("o1");
    let again = till.creates("o1", r#"{"a":2}"#);
    till.retries(customer, None).unwrap();
    for op in till.sends() {
        till.hears(&[(op, applied(1))]);
    }
    assert_eq!(till.pushes(applied(1)), first);
    till.sees("o1", r#"{"a":2,"customer":"c1"}"#);
    assert_eq!(till.open_conflicts(), 0);
    assert!(matches!(till.op(again).intent, Intent::Change(_)));
    assert_eq!(till.pushes(applied(2)), again);
    till.sees("o1", r#"{"a":2,"customer":"c1"}"#);
}

/// P19 (sim): what was out of sight when the server removed its record is shown whole to whoever is asked about it.
#[test]
fn what_was_blocked_when_its_record_went_keeps_what_it_was_made_on() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let bad = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let behind = till.patches("o1", r#"{"b":2}"#);
    till.hears(&[(bad, rejected("validation"))]);
    assert!(is_blocked_by(&till.op(behind), bad));
    till.pulls(&[tombstone("o1", 2)]);
    till.discards(bad).unwrap();
    let conflict = till.open_conflict();
    assert_eq!(conflict.op, behind);
    assert_eq!(conflict.theirs, Presence::Deleted);
    assert_ne!(conflict.mine, Presence::Deleted, "{conflict:?}");
}

/// R4: what a follower wrote as a whole is what those behind it found there, whatever is taken out in front of it.
#[test]
fn discarding_takes_nothing_out_of_what_a_follower_wrote_above() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":0}"#)]);
    let gone = till.patches("o1", r#"{"a":1}"#);
    till.sends();
    let second = till.patches("o1", r#"{"a":{"x":1}}"#);
    till.schema = 2;
    let third = till.patches("o1", r#"{"a":{"x":2}}"#);
    till.hears(&[(gone, rejected("validation"))]);
    till.discards(gone).unwrap();
    assert_eq!(till.pushes(applied(2)), second);
    assert_eq!(till.op(third).assumed, Assumed::At(version(2)));
    assert_eq!(till.pushes(applied(3)), third);
    till.sees("o1", r#"{"a":{"x":2}}"#);
    assert_eq!(till.all().conflicts.len(), 0, "P17");
}

/// R4, P3: a whole document that stood on a discarded change stands on the record without it, and says what it said.
#[test]
fn discarding_a_change_leaves_the_replacement_behind_it() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1,"b":1}"#)]);
    let gone = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let kept = till.replaces("o1", r#"{"a":2,"b":2}"#);
    till.hears(&[(gone, rejected("validation"))]);
    till.discards(gone).unwrap();
    assert_eq!(till.op(kept).before, Before::Whole(Some(doc(r#"{"a":1,"b":1}"#))));
    till.pulls(&[live("o1", 2, r#"{"a":1,"b":1,"c":1}"#)]);
    till.sees("o1", r#"{"a":2,"b":2,"c":1}"#);
    assert_eq!(till.all().conflicts.len(), 0, "P17");
}

/// R4, P17: a change of a member within an object that a discarded replacement put there finds what was in its place before.
#[test]
fn discarding_a_replacement_leaves_what_was_in_the_place_of_its_objects() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":0}"#)]);
    let gone = till.replaces("o1", r#"{"a":{}}"#);
    till.sends();
    let kept = till.patches("o1", r#"{"a":{"x":1}}"#);
    till.hears(&[(gone, rejected("validation"))]);
    till.discards(gone).unwrap();
    till.pulls(&[live("o1", 2, r#"{"a":0,"z":1}"#)]);
    assert!(is_queued(&till.op(kept)), "nobody else touched it: {:?}", till.op(kept));
    till.sees("o1", r#"{"a":{"x":1},"z":1}"#);
}

/// R9, R12: a create that was sent again keeps the word whose place it took when it takes another's too.
#[test]
fn a_create_that_stands_in_twice_keeps_whose_place_it_took() {
    let (mut till, [customer, sale, _]) = refused_create();
    let anew = till.customer("c1");
    assert_eq!(till.pushes(rejected("validation")), anew);
    let again = till.retries(anew, None).unwrap();
    till.discards(customer).unwrap();
    assert_eq!(till.op(again).replaces, Some(anew));
    assert_eq!(till.pushes(applied(1)), again);
    assert_eq!(till.pushes(applied(1)), sale);
}

/// Customers that name the order they came with.
fn till_with_first_orders() -> Till {
    let mut till = Till::new();
    let customers = till.rules.collections.get_mut("customers").unwrap();
    customers.references = [(Path::field("first"), "orders".to_owned())].into();
    till
}

/// R12, P8: a correction that names what waits for the create it corrects, through another, does not wait for that: they would wait
/// for each other.
#[test]
fn a_corrected_create_that_names_what_waits_for_it_leaves() {
    let mut till = till_with_first_orders();
    let customer = |till: &mut Till, id: &str, text: &str| {
        till.write(EntityKey::new("customers", id), Action::Create(doc(text))).unwrap()
    };
    let sale = till.creates("o1", r#"{"n":1}"#);
    let first = customer(&mut till, "c1", r#"{"first":"o1"}"#);
    let second = customer(&mut till, "c2", r#"{"customer":"c1"}"#);
    assert_eq!(till.pushes(rejected("validation")), sale);
    assert!(is_blocked_by(&till.op(first), sale) && is_blocked_by(&till.op(second), sale));
    let again = till.retries(sale, Some(r#"{"customer":"c2"}"#)).unwrap();
    for op in [again, first, second] {
        assert_eq!(till.pushes(applied(1)), op);
    }
}

/// R12, P7: an edit of what it names waits for it; the create does not, and is waited for.
#[test]
fn a_corrected_create_waits_for_what_only_later_edits_of_wait_for_it() {
    let mut till = till_with_first_orders();
    let key = EntityKey::new("customers", "c1");
    let sale = till.creates("o1", r#"{"n":1}"#);
    let customer = till.customer("c1");
    till.sends();
    let later = till.write(key, Action::Patch(doc(r#"{"first":"o1"}"#))).unwrap();
    till.hears(&[(sale, rejected("validation")), (customer, RETRY)]);
    let again = till.retries(sale, Some(r#"{"customer":"c1"}"#)).unwrap();
    till.waits();
    for (op, number) in [(customer, 1), (again, 1), (later, 2)] {
        assert_eq!(till.pushes(applied(number)), op);
    }
}
