//! Which writes become one operation (PROMISES 3.2, R13).

use holdfast::model::{Before, Code, EntityKey, Fate, Intent, Owner, Path, Priority, Slot};
use holdfast::plan::write::Action;

use crate::till::{Till, applied, doc, is_queued, live, order, rejected};

fn known(text: &str) -> Till {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, text)]);
    till
}

/// C1, R13: one create, at the older place and with the older id.
#[test]
fn a_create_takes_changes_in() {
    let mut till = Till::new();
    let create = till.creates("o1", r#"{"a":1}"#);
    let seq = till.only("o1").seq;
    till.patches("o1", r#"{"a":null,"b":2}"#);
    till.replaces("o1", r#"{"c":3}"#);
    till.patches("o1", r#"{"d":4}"#);
    let op = till.only("o1");
    assert_eq!((op.id, op.seq), (create, seq), "older id, older place");
    assert_eq!(op.intent, Intent::Create(doc(r#"{"c":3,"d":4}"#)));
    assert_eq!(op.folded.len(), 3);
    assert_eq!(till.counts().folded, 3);
    till.sees("o1", r#"{"c":3,"d":4}"#);
}

/// C2, P3: both are annihilated, and all four ids are accounted for.
#[test]
fn a_create_and_its_removal_are_nothing_unless_something_names_it() {
    let mut till = Till::new();
    let customer = till.customer("c1");
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    let remove = |till: &mut Till| till.write(EntityKey::new("customers", "c1"), Action::Remove);
    let error = remove(&mut till).unwrap_err();
    assert_eq!((error.code, error.op), (Code::Referenced, Some(sale)));
    till.removes("o1");
    remove(&mut till).unwrap();
    assert_eq!(till.fate(customer), Some(Fate::Annihilated));
    assert_eq!(till.counts().annihilated, 4);
}

/// C3, C6.
#[test]
fn a_create_over_a_live_record_is_refused() {
    let mut till = Till::new();
    till.creates("o1", "{}");
    assert_eq!(till.refuses("o1", Action::Create(doc("{}"))), Code::Exists);
    let mut till = known("{}");
    assert_eq!(till.refuses("o1", Action::Create(doc("{}"))), Code::Exists);
    till.patches("o1", r#"{"a":1}"#);
    assert_eq!(till.refuses("o1", Action::Create(doc("{}"))), Code::Exists);
}

/// C4, R4: the newer values, and what was found before the first of them: the newer base would make a stale edit a blind overwrite.
#[test]
fn changes_fold_and_keep_what_they_found_first() {
    let mut till = known(r#"{"a":1,"b":1}"#);
    let first = till.patches("o1", r#"{"a":2}"#);
    till.patches("o1", r#"{"a":3,"b":3,"c":3}"#);
    let op = till.only("o1");
    assert_eq!(op.id, first);
    let Before::Paths(mut before) = op.before else { panic!("{:?}", op.before) };
    before.sort_by(|a, b| a.0.cmp(&b.0));
    let one = holdfast::model::Json::parse("1").unwrap();
    assert_eq!(
        before,
        [
            (Path::field("a"), Slot(Some(one.clone()))),
            (Path::field("b"), Slot(Some(one))),
            (Path::field("c"), Slot(None)),
        ],
        "R4: absent is not null"
    );
    till.sees("o1", r#"{"a":3,"b":3,"c":3}"#);
}

/// C5, R4: `before` is rebuilt by undoing the folded edits.
#[test]
fn a_change_and_a_removal_are_a_removal_of_what_was_there_first() {
    let mut till = known(r#"{"a":1,"b":1}"#);
    let first = till.patches("o1", r#"{"a":2,"c":{"d":1}}"#);
    till.removes("o1");
    let op = till.only("o1");
    assert_eq!((op.id, &op.intent), (first, &Intent::Delete));
    assert_eq!(op.before, Before::Whole(Some(doc(r#"{"a":1,"b":1}"#))), "R4: rebuilt by undoing");
    till.sees_nothing("o1");
}

/// C4, C5: a replacement is an update that carries the whole document as `before`.
#[test]
fn a_change_and_a_replacement_fold() {
    let mut till = known(r#"{"a":1,"b":1}"#);
    till.patches("o1", r#"{"a":2}"#);
    till.replaces("o1", r#"{"z":1}"#);
    till.patches("o1", r#"{"y":1}"#);
    let op = till.only("o1");
    assert_eq!(op.intent, Intent::Replace(doc(r#"{"z":1,"y":1}"#)));
    assert_eq!(op.before, Before::Whole(Some(doc(r#"{"a":1,"b":1}"#))));
    till.removes("o1");
    assert_eq!(till.only("o1").intent, Intent::Delete);
    assert_eq!(till.only("o1").before, Before::Whole(Some(doc(r#"{"a":1,"b":1}"#))));
}

/// C7.
#[test]
fn nothing_is_changed_behind_a_removal() {
    let mut till = known("{}");
    till.removes("o1");
    for action in [Action::Patch(doc("{}")), Action::Replace(doc("{}"))] {
        assert_eq!(till.refuses("o1", action), Code::Gone);
    }
}

/// C8; the removal that left already is the same one (P5).
#[test]
fn a_second_removal_is_the_first_one() {
    let mut till = known("{}");
    let first = till.removes("o1");
    assert_eq!(till.removes("o1"), first);
    assert_eq!(till.counts().accepted, 2);
    till.sends();
    assert_eq!(till.removes("o1"), first, "P5: its content does not change");
    till.hears(&[(first, applied(2))]);
    assert_eq!(till.refuses("o1", Action::Remove), Code::Gone);
}

/// C9, R13: it is never merged into an update.
#[test]
fn a_create_behind_a_removal_stays_an_operation_of_its_own() {
    let mut till = known(r#"{"a":1}"#);
    let remove = till.removes("o1");
    let create = till.creates("o1", r#"{"b":1}"#);
    assert_eq!(till.queue("o1").len(), 2);
    till.sees("o1", r#"{"b":1}"#);
    assert_eq!(till.pushes(applied(2)), remove);
    assert_eq!(till.pushes(applied(3)), create);
    till.sees("o1", r#"{"b":1}"#);
}

/// C10, C11, P5: behind anything that may have left there is a new operation.
#[test]
fn nothing_folds_into_what_may_have_left() {
    for action in
        [Action::Patch(doc(r#"{"n":2}"#)), Action::Replace(doc(r#"{"n":2}"#)), Action::Remove]
    {
        let mut till = Till::new();
        let create = till.creates("o1", r#"{"n":1}"#);
        till.sends();
        let later = till.write(order("o1"), action.clone()).unwrap();
        assert_ne!(later, create);
        till.hears_halt(holdfast::model::Halt::Unreachable);
        let last = till.write(order("o1"), Action::Patch(doc(r#"{"n":3}"#)));
        assert_eq!(last.is_err(), action == Action::Remove);
        assert_eq!(till.queue("o1").len(), 2, "but into the one behind it");
        assert_eq!(till.queue("o1")[0].intent, Intent::Create(doc(r#"{"n":1}"#)));
        assert_eq!(till.pushes(applied(1)), create);
        assert_eq!(till.pushes(applied(2)), later);
    }
}

/// C12: behind a removal that may have left a record is made anew; behind anything else it is there already.
#[test]
fn a_create_behind_what_may_have_left_follows_a_removal_only() {
    for wrote in [Action::Patch(doc(r#"{"n":2}"#)), Action::Replace(doc(r#"{"n":2}"#))] {
        let mut till = known(r#"{"n":1}"#);
        till.write(order("o1"), wrote).unwrap();
        till.sends();
        assert_eq!(till.refuses("o1", Action::Create(doc("{}"))), Code::Exists);
    }
    let mut till = Till::new();
    till.creates("o1", r#"{"n":1}"#);
    till.sends();
    assert_eq!(till.refuses("o1", Action::Create(doc("{}"))), Code::Exists);
    let mut till = known(r#"{"n":1}"#);
    let removal = till.removes("o1");
    till.sends();
    let anew = till.creates("o1", r#"{"n":2}"#);
    assert_ne!(anew, removal);
    till.sees("o1", r#"{"n":2}"#);
    till.hears(&[(removal, applied(2))]);
    assert_eq!(till.pushes(applied(3)), anew);
    till.sees("o1", r#"{"n":2}"#);
}

/// R13: not across owners and schema numbers, and not where a collection says so.
#[test]
fn what_may_not_fold_stays_apart() {
    let mut till = known("{}");
    till.patches("o1", r#"{"a":1}"#);
    till.schema = 2;
    till.patches("o1", r#"{"a":2}"#);
    till.owner = Owner { tenant: "t".into(), user: "u".into() };
    till.patches("o1", r#"{"a":3}"#);
    assert_eq!(till.queue("o1").len(), 3, "owner and schema");
    till.sees("o1", r#"{"a":3}"#);

    let stock = EntityKey::new("stock", "s1");
    let mut till = Till::new();
    till.write(stock.clone(), Action::Create(doc("{}"))).unwrap();
    for _ in 0..3 {
        till.write(stock.clone(), Action::Patch(doc(r#"{"moved":1}"#))).unwrap();
    }
    assert_eq!(till.all().ops.len(), 4, "coalesce: false");
}

/// R13: it would wait for something behind itself, for ever.
#[test]
fn a_write_that_names_a_later_create_does_not_fold() {
    let mut till = Till::new();
    let sale = till.creates("o1", r#"{"n":1}"#);
    let customer = till.customer("c1");
    let names = till.patches("o1", r#"{"customer":"c1"}"#);
    assert_ne!(names, sale);
    let sent = till.sends();
    assert_eq!(sent, [sale, customer]);
    till.hears(&[(sale, applied(1)), (customer, applied(1))]);
    assert_eq!(till.pushes(applied(2)), names);
}

/// R13, P8: a retried create stands behind what waits for it; places alone do not tell who waits for whom.
#[test]
fn a_write_that_names_what_waits_for_it_does_not_fold() {
    let mut till = Till::new();
    let parent = till.customer("c1");
    let child = EntityKey::new("customers", "c2");
    let child = till.write(child, Action::Create(doc(r#"{"customer":"c1"}"#))).unwrap();
    assert_eq!(till.pushes(rejected("validation")), parent);
    let again = till.retries(parent, None).unwrap();
    let key = EntityKey::new("customers", "c1");
    let names = till.write(key, Action::Patch(doc(r#"{"customer":"c2"}"#))).unwrap();
    assert_ne!(names, again);
    assert_eq!(till.pushes(applied(1)), again);
    assert_eq!(till.pushes(applied(1)), child);
    assert_eq!(till.pushes(applied(2)), names);
}

/// R12, R13, P7: it leaves after the create that it names.
#[test]
fn a_write_that_names_an_earlier_create_folds_and_waits() {
    let mut till = Till::new();
    let customer = till.customer("c1");
    let sale = till.creates("o1", r#"{"n":1}"#);
    assert_eq!(till.patches("o1", r#"{"customer":"c1"}"#), sale);
    assert_eq!(till.pushes(applied(1)), customer);
    assert_eq!(till.pushes(applied(1)), sale);
}

#[test]
fn a_fold_takes_the_greater_urgency() {
    let mut till = Till::new();
    till.creates("o1", "{}");
    let second = till.creates("o2", "{}");
    till.write_as(order("o2"), Action::Patch(doc(r#"{"a":1}"#)), Some(Priority::High)).unwrap();
    assert_eq!(till.sends()[0], second);
}

/// R12: and lends it to what the operation waits for.
#[test]
fn a_fold_lends_its_urgency_to_what_is_waited_for() {
    let mut till = Till::new();
    let free = till.creates("o1", "{}");
    let customer = till.customer("c1");
    let sale = till.creates("o2", r#"{"customer":"c1"}"#);
    let urgent = Action::Patch(doc(r#"{"a":1}"#));
    assert_eq!(till.write_as(order("o2"), urgent, Some(Priority::High)).unwrap(), sale);
    assert_eq!(till.op(customer).priority, Priority::High);
    assert_eq!(till.sends(), [customer, free]);
}

/// R20: an operation carries the time of the newest write in it.
#[test]
fn a_fold_takes_the_newer_time() {
    let mut till = known("{}");
    let first = till.patches("o1", r#"{"a":1}"#);
    let before = till.op(first).stamp;
    assert_eq!(till.patches("o1", r#"{"a":2}"#), first);
    assert!(till.op(first).stamp > before);
    assert_eq!(till.all().meta.clock, Some(till.op(first).stamp));
}

/// A write that no longer names a record does not wait for it.
#[test]
fn a_folded_removal_or_replacement_forgets_the_references_it_took_away() {
    let mut till = known("{}");
    let customer = till.customer("c1");
    let sale = till.patches("o1", r#"{"customer":"c1"}"#);
    assert!(!till.op(sale).ready);
    till.replaces("o1", r#"{"customer":null}"#);
    assert!(till.op(sale).ready && till.op(sale).refs.is_empty());
    till.patches("o1", r#"{"customer":"c1"}"#);
    till.removes("o1");
    assert!(till.op(sale).ready);
    till.sends();
    till.hears(&[(customer, rejected("validation")), (sale, applied(2))]);
    till.sees_nothing("o1");
}

/// What cannot be sent now is not folded into past its place: the later write stays the later one.
#[test]
fn a_write_does_not_fold_past_an_operation_that_waits_behind() {
    let mut till = known(r#"{"a":1}"#);
    let customer = till.customer("c1");
    let first = till.patches("o1", r#"{"a":2}"#);
    till.schema = 2;
    let named = till.patches("o1", r#"{"customer":"c1","a":3}"#);
    till.schema = 1;
    let room = holdfast::plan::push::Room { operations: 1, bytes: 1 << 20 };
    till.flight = till.claim_up_to(room).unwrap().batch;
    till.hears(&[(customer, rejected("validation"))]);
    assert!(crate::till::is_blocked_by(&till.op(named), customer));
    till.sees("o1", r#"{"a":2}"#);
    let later = till.patches("o1", r#"{"a":4}"#);
    assert_ne!(later, first);
    assert!(is_queued(&till.op(later)) && till.op(later).seq > till.op(named).seq);
    till.sees("o1", r#"{"a":4}"#);
}
