//! What leaves when: order, references, priority, time, and repeats of calls (R11, R12, R15, R19, R22; P4, P7).

use holdfast::model::{Code, EntityKey, Halt, OpState, Priority, Wall};
use holdfast::plan::push::Room;
use holdfast::plan::write::Action;

use crate::till::{RETRY, Till, applied, doc, live, order};

/// P7, R15.
#[test]
fn operations_of_one_record_leave_one_after_the_other() {
    let mut till = Till::new();
    let stock = EntityKey::new("stock", "s1");
    let mut ops = vec![till.write(stock.clone(), Action::Create(doc("{}"))).unwrap()];
    for n in 0..4 {
        let patch = Action::Patch(doc(&format!(r#"{{"n":{n}}}"#)));
        // R15: urgency never overtakes within a record.
        ops.push(till.write_as(stock.clone(), patch, Some(Priority::High)).unwrap());
    }
    for (index, op) in ops.into_iter().enumerate() {
        assert_eq!(till.sends(), [op], "P7");
        till.hears(&[(op, applied(index as u64 + 1))]);
    }
}

/// R15: what was blocked when a later operation of its record left waits for that one's verdict.
#[test]
fn what_is_freed_in_front_of_one_that_is_away_waits_for_it() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let customer = till.customer("c1");
    let named = till.patches("o1", r#"{"customer":"c1"}"#);
    till.pushes(crate::till::rejected("validation"));
    let later = till.patches("o1", r#"{"a":2}"#);
    assert_eq!(till.sends(), [later]);
    let anew = till.retries(customer, None).unwrap();
    assert!(!till.op(named).ready);
    till.reopens();
    assert_eq!(till.sends(), [later, anew], "one of each record");
    till.hears(&[(anew, applied(1))]);
    till.waits();
    assert_eq!(till.pushes(applied(2)), later);
    assert_eq!(till.pushes(applied(3)), named);
    till.sees("o1", r#"{"a":2,"customer":"c1"}"#);
}

/// R11: the ready index is by priority, then place.
#[test]
fn urgent_operations_leave_first_in_their_order() {
    let mut till = Till::new();
    let with = |till: &mut Till, id: &str, priority| {
        till.write_as(order(id), Action::Create(doc("{}")), Some(priority)).unwrap()
    };
    let low = with(&mut till, "o1", Priority::Low);
    let first = with(&mut till, "o2", Priority::Normal);
    let second = with(&mut till, "o3", Priority::Normal);
    let high = with(&mut till, "o4", Priority::High);
    let room = Room { operations: 2, bytes: 1 << 20 };
    let claimed = till.claim_up_to(room).unwrap();
    assert_eq!(claimed.batch.operations.iter().map(|it| it.op).collect::<Vec<_>>(), [high, first]);
    till.flight = claimed.batch;
    till.hears(&[(high, applied(1)), (first, applied(1))]);
    assert_eq!(till.sends(), [second, low]);
}

/// R12: what an urgent operation waits for is as urgent as it is, however far away.
#[test]
fn urgency_is_inherited_by_all_that_is_waited_for() {
    let mut till = Till::new();
    let early = till.creates("o0", "{}");
    let ctx = till.ctx();
    let grand = till.customer("c0");
    let key = EntityKey::new("customers", "c1");
    let mut request = till.request(ctx.ids.op(0), key, Action::Create(doc("{}")), None);
    request.refs = vec![EntityKey::new("customers", "c0")];
    let parent = till.accept(&request, &ctx).unwrap();
    till.write_as(order("o1"), Action::Create(doc("{}")), Some(Priority::Low)).unwrap();
    till.schema = 2;
    let patch = Action::Patch(doc(r#"{"customer":"c1"}"#));
    let urgent = till.write_as(order("o1"), patch, Some(Priority::High)).unwrap();
    let create = till.queue("o1")[0].id;
    for op in [grand, parent, create, urgent] {
        assert_eq!(till.op(op).priority, Priority::High, "{:?}", till.op(op));
    }
    assert_eq!(till.op(early).priority, Priority::Normal);
    assert_eq!(till.sends(), [grand, create, early]);
}

/// R12, P7.
#[test]
fn a_reference_waits_for_the_create_only() {
    let mut till = Till::new();
    let customer = till.customer("c1");
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    let free = till.creates("o2", r#"{"customer":"elsewhere"}"#);
    assert_eq!(till.sends(), [customer, free], "P7");
    let key = EntityKey::new("customers", "c1");
    till.write(key, Action::Patch(doc(r#"{"n":9}"#))).unwrap();
    till.hears(&[(customer, applied(1)), (free, applied(1))]);
    assert!(till.op(sale).ready, "not for later edits of its target");
}

/// R6: an acked create satisfies references.
#[test]
fn an_acked_create_satisfies_references() {
    let mut till = Till::new();
    till.customer("c1");
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    till.pushes(holdfast::model::Outcome::Applied {
        version: None,
        presence: None,
        stamp: None,
        assigned_id: None,
    });
    assert_eq!(till.sends(), [sale]);
}

/// R12, R16: the target may be named by the server's id for it.
#[test]
fn a_reference_by_the_servers_id_is_one_to_the_own_record() {
    let mut till = Till::new();
    till.customer("c1");
    till.pushes(holdfast::model::Outcome::Applied {
        version: Some(crate::till::version(1)),
        presence: None,
        stamp: None,
        assigned_id: Some("S-1".into()),
    });
    let remove = till.write(EntityKey::new("customers", "S-1"), Action::Remove).unwrap();
    let create = till.write(EntityKey::new("customers", "S-1"), Action::Create(doc("{}"))).unwrap();
    let sale = till.creates("o1", r#"{"customer":"S-1"}"#);
    assert!(!till.op(sale).ready, "the record is made anew first");
    assert_eq!(till.pushes(applied(2)), remove);
    assert_eq!(till.pushes(applied(3)), create);
    assert_eq!(till.sends(), [sale]);
}

/// O13, R19, P34: a time further away than we ever wait is a clock that jumped.
#[test]
fn a_time_that_is_too_far_away_counts_as_now() {
    let mut till = Till::new();
    let op = till.creates("o1", "{}");
    till.sends();
    till.hears(&[(op, RETRY)]);
    assert_eq!(till.claim().unwrap().batch.operations.len(), 0);
    let OpState::Queued { not_before: Some(at), .. } = till.op(op).state else { panic!() };
    assert_eq!(till.claim().unwrap().next_due, Some(at));
    till.now -= 86_400_000;
    assert_eq!(till.sends(), [op], "the clock was set back a day");
}

/// O13, R19: what an earlier session planned is not waited for.
#[test]
fn a_time_of_an_earlier_session_counts_as_now() {
    let mut till = Till::new();
    let op = till.creates("o1", "{}");
    till.sends();
    till.hears(&[(op, RETRY)]);
    assert_eq!(till.sends(), []);
    till.reopens();
    assert_eq!(till.sends(), [op]);
}

/// P9, A12: a lower bound, and no longer than an hour.
#[test]
fn a_wish_of_the_server_is_kept_up_to_an_hour() {
    use holdfast::model::{Millis, Outcome};
    for (wish, kept) in [(90_000, 90_000), (86_400_000, 3_600_000)] {
        let mut till = Till::new();
        let op = till.creates("o1", "{}");
        till.sends();
        till.hears(&[(op, Outcome::Retry { after: Some(Millis(wish)) })]);
        let now = till.now;
        let state = till.op(op).state;
        let (not_before, under) = (Some(Wall(now + kept)), Some(till.term));
        assert_eq!(state, OpState::Queued { not_before, under });
    }
}

/// P10: what makes the server talk nonsense is set aside for a while, so that others pass.
#[test]
fn one_that_is_answered_with_nonsense_lets_others_pass() {
    let mut till = Till::new();
    let poison = till.creates("o1", "{}");
    let other = till.creates("o2", "{}");
    let room = Room { operations: 1, bytes: 1 << 20 };
    till.flight = till.claim_up_to(room).unwrap().batch;
    assert_eq!(till.flight.operations[0].op, poison);
    till.hears_halt(Halt::Protocol);
    till.flight = till.claim_up_to(room).unwrap().batch;
    assert_eq!(till.flight.operations[0].op, other);
}

/// R22: a repeat of a write changes nothing, wherever the first one is by now.
#[test]
fn a_repeated_write_is_the_same_write() {
    let mut till = Till::new();
    till.pulls(&[live("o1", 1, "{}")]);
    let ctx = till.ctx();
    let patch = Action::Patch(doc(r#"{"a":1}"#));
    let request = till.request(ctx.ids.op(0), order("o1"), patch.clone(), None);
    let op = till.accept(&request, &ctx).unwrap();
    let again = |till: &mut Till, request, op| {
        let before = till.all();
        let ctx = till.ctx();
        assert_eq!(till.accept(request, &ctx).unwrap(), op);
        assert_eq!(till.all(), before);
    };
    again(&mut till, &request, op);
    let ctx = till.ctx();
    let folded = till.request(ctx.ids.op(0), order("o1"), patch, None);
    assert_eq!(till.accept(&folded, &ctx).unwrap(), op);
    again(&mut till, &folded, op);
    till.pushes(applied(2));
    again(&mut till, &request, op);
    again(&mut till, &folded, op);
    let ctx = till.ctx();
    let create = till.request(ctx.ids.op(0), order("o9"), Action::Create(doc("{}")), None);
    till.accept(&create, &ctx).unwrap();
    let ctx = till.ctx();
    let remove = till.request(ctx.ids.op(0), order("o9"), Action::Remove, None);
    let removed = till.accept(&remove, &ctx).unwrap();
    again(&mut till, &remove, removed);
    again(&mut till, &create, create.id);
}

/// P4: full is loud, and nothing is evicted.
#[test]
fn a_full_outbox_refuses() {
    let mut till = Till::new();
    till.rules.limits.outbox_operations = 2;
    till.creates("o1", "{}");
    till.creates("o2", "{}");
    assert_eq!(till.refuses("o3", Action::Create(doc("{}"))), Code::OutboxFull);
    assert_eq!(till.all().ops.len(), 2);
    till.rules.limits.outbox_operations = 100;
    till.rules.limits.outbox_bytes = 20;
    let large = Action::Create(doc(r#"{"text":"more than twenty bytes"}"#));
    assert_eq!(till.refuses("o3", large), Code::OutboxFull);
}

#[test]
fn what_cannot_be_written_is_refused_with_its_reason() {
    let mut till = Till::new();
    let unknown = till.write(EntityKey::new("nothing", "1"), Action::Create(doc("{}")));
    assert_eq!(unknown.unwrap_err().code, Code::UnknownCollection);
    for action in [Action::Patch(doc("{}")), Action::Replace(doc("{}")), Action::Remove] {
        assert_eq!(till.refuses("o1", action), Code::NotFound);
    }
    till.pulls(&[crate::till::tombstone("o1", 3)]);
    for action in [Action::Patch(doc("{}")), Action::Replace(doc("{}")), Action::Remove] {
        assert_eq!(till.refuses("o1", action), Code::Gone);
    }
    till.creates("o1", "{}");
}

/// R11: five thousand blocked operations never delay one free one.
#[test]
fn a_claim_does_not_look_at_what_is_blocked() {
    let mut till = Till::new();
    let customer = till.customer("c1");
    // The laws are checked once at the end: they read everything.
    let mut laws = std::mem::take(&mut till.laws);
    for n in 0..300 {
        let ctx = till.ctx();
        let action = Action::Create(doc(r#"{"customer":"c1"}"#));
        let request = till.request(ctx.ids.op(0), order(&format!("b{n}")), action, None);
        let s = till.disk.snapshot(holdfast::model::Need::of(vec![holdfast::model::Root::Record(
            request.key.clone(),
        )]));
        let mut s = s;
        s.ops.extend(till.all().ops.into_iter().filter(|(_, op)| op.id == customer));
        let decision = holdfast::plan::write::write(&s, &request, &till.rules, &ctx);
        till.disk.write(&decision.changes).unwrap();
    }
    laws.check(&till.disk, &till.rules);
    till.laws = laws;
    till.pushes(crate::till::rejected("validation"));
    let free = till.creates("free", "{}");
    let horizon = holdfast::model::Millis(1);
    let ready = holdfast::model::Root::Ready {
        limit: 100,
        now: Wall(till.now),
        horizon,
        groups: till.rules.wire.groups,
    };
    let s = till.disk.snapshot(holdfast::model::Need::only(vec![ready]));
    assert_eq!(s.ops.len(), 1);
    assert_eq!(till.sends(), [free]);
}

/// P4: a full outbox takes what does not make it fuller: an edit of what waits, a removal of it.
#[test]
fn a_full_outbox_takes_what_goes_into_it() {
    let mut till = Till::new();
    let sale = till.creates("o1", r#"{"n":1,"note":"0123456789"}"#);
    let bytes = till.counts().bytes;
    till.rules.limits.outbox_operations = 1;
    till.rules.limits.outbox_bytes = bytes;
    assert_eq!(till.refuses("o2", Action::Create(doc("{}"))), Code::OutboxFull);
    assert_eq!(till.patches("o1", r#"{"n":2}"#), sale, "as many bytes as before");
    let grows = Action::Patch(doc(r#"{"note":"0123456789+"}"#));
    assert_eq!(till.refuses("o1", grows.clone()), Code::OutboxFull, "one byte more");
    assert_eq!(till.counts().bytes, bytes);
    till.rules.limits.outbox_bytes = bytes + 1;
    till.write(order("o1"), grows).unwrap();
    till.rules.limits.outbox_bytes = 3;
    assert_eq!(till.patches("o1", r#"{"note":null}"#), sale, "fewer, if still too many");
    till.removes("o1");
    assert_eq!((till.counts().in_outbox(), till.counts().bytes), (0, 0));
    till.creates("o2", "{}");
}

/// P4: so does one that was allowed to hold more when they were written.
#[test]
fn an_outbox_above_its_limit_takes_what_goes_into_it() {
    let mut till = Till::new();
    let sale = till.creates("o1", r#"{"n":1}"#);
    till.creates("o2", "{}");
    till.creates("o3", "{}");
    till.rules.limits.outbox_operations = 1;
    assert_eq!(till.patches("o1", r#"{"n":2}"#), sale);
    till.removes("o3");
    assert_eq!(till.refuses("o4", Action::Create(doc("{}"))), Code::OutboxFull);
    assert_eq!(till.counts().in_outbox(), 2);
}

/// P4: what is with the server takes no more edits: the next one is an operation of its own.
#[test]
fn behind_a_sealed_operation_there_is_no_room_left() {
    let mut till = Till::new();
    till.creates("o1", r#"{"n":1}"#);
    till.sends();
    till.rules.limits.outbox_operations = 1;
    let patch = Action::Patch(doc(r#"{"n":2}"#));
    assert_eq!(till.refuses("o1", patch.clone()), Code::OutboxFull);
    till.rules.limits.outbox_operations = 2;
    till.write(order("o1"), patch).unwrap();
}

/// P35: 256 KiB for a document and 256 bytes for a name, by the core too; an edit counts with what it makes of the record.
#[test]
fn what_is_too_large_is_refused_with_its_place() {
    let mut till = Till::new();
    let of =
        |bytes: usize| doc(&format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - r#"{"a":""}"#.len())));
    let limit = 256 * 1024;
    let refusal = |till: &mut Till, id: &str, action: Action| {
        let error = till.write(order(id), action).unwrap_err();
        assert_eq!(error.code, Code::TooLarge);
        error.path.clone().unwrap_or_default()
    };
    assert_eq!(refusal(&mut till, "o1", Action::Create(of(limit + 1))), "document");
    till.write(order("o1"), Action::Create(of(limit))).unwrap();
    assert_eq!(refusal(&mut till, "o1", Action::Patch(doc(r#"{"b":1}"#))), "document");
    assert_eq!(refusal(&mut till, "o1", Action::Replace(of(limit + 1))), "document");
    till.patches("o1", r#"{"a":"short"}"#);
    // What came from the server larger than that may shrink.
    let large = of(limit + 100);
    till.pulls(&[crate::till::live("o2", 1, large.text())]);
    assert_eq!(refusal(&mut till, "o2", Action::Patch(doc(r#"{"b":1}"#))), "document");
    till.write(order("o2"), Action::Patch(doc(r#"{"a":"x"}"#))).unwrap();
    let named = |name: &str| doc(&format!(r#"{{"b":[{{"{name}":1}}]}}"#));
    till.write(order("o3"), Action::Create(named(&"\\u00e9".repeat(128)))).unwrap();
    assert_eq!(refusal(&mut till, "o4", Action::Create(named(&"é".repeat(129)))), "document");
    assert_eq!(refusal(&mut till, "o3", Action::Patch(named(&"n".repeat(257)))), "patch");
    till.write(order("o3"), Action::Patch(named(&"n".repeat(256)))).unwrap();
}
