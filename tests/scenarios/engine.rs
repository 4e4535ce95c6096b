//! The verbs, run: cycles, faults, waiting, and commits whose answer is lost (R7-R9, R22, R24, R25; P6, P8, P10, P37).

use std::rc::Rc;

use holdfast::engine::{CycleReport, Event, StatusKind, Verdict, halted_as};
use holdfast::model::{Choice, Code, EntityKey, Halt, Millis, Strategy};
use holdfast::plan::resolve::Dependents;
use holdfast::plan::write::Action;

use crate::till::doc;
use crate::world::{Fault, World};
use holdfast::query::read_query;

fn world() -> World {
    World::new(Strategy::Manual)
}

#[test]
fn a_sale_reaches_the_server_and_the_status_says_so() {
    let mut world = world();
    assert_eq!(world.engine.status().kind, StatusKind::Pending);
    let sale = world.creates("o1");
    let drained = world.drains();
    assert_eq!((drained.applied, drained.pending, drained.parked), (1, 0, 0));
    let engine = Rc::clone(&world.engine);
    let verdict = world.until(engine.outcome(sale)).unwrap();
    assert_eq!(verdict, Verdict::Applied { version: Some("1".into()), server_id: None });
    world.runs_for(1_000);
    assert_eq!(world.engine.status().kind, StatusKind::Synced, "P37");
    assert_eq!(world.server().has("o1").as_deref(), Some(r#"{"n":1}"#));
    world.effects_are_single();
}

/// P8, P37: a device whose storage fails says so, and says how old the eldest is; it tries again by itself, and then says nothing.
#[test]
fn what_this_device_cannot_send_is_stalled() {
    let mut world = world();
    world.drains();
    world.runs_for(1_000);
    assert_eq!(world.engine.status().outbox.oldest, None);
    world.engine.host().shelf.aborts.borrow_mut().extend(["push.claim"; 1_000]);
    world.creates("o1");
    let entries = holdfast::memory::contract::block_on(world.engine.outbox()).unwrap();
    let written = entries[0].op.stamp.millis;
    assert_eq!(world.engine.status().outbox.oldest, Some(written));
    world.runs_for(60_000);
    let status = world.engine.status();
    assert_eq!((status.kind, status.reason), (StatusKind::Stalled, Some("storage-timeout")));
    assert_eq!(status.outbox.oldest, Some(written));
    let disk = world.disk();
    let again = World::on(disk, Strategy::Manual);
    assert_eq!(again.engine.status().outbox.oldest, Some(written), "after a restart");
    // Another tab hears the leader's report; one that could not tell the eldest takes nothing back.
    let halted = halted_as("storage-timeout");
    again.engine.heard_cycle(CycleReport { halted, ..CycleReport::default() });
    let status = again.engine.status();
    assert_eq!((status.kind, status.reason), (StatusKind::Stalled, halted));
    assert_eq!(status.outbox.oldest, Some(written));
    again
        .engine
        .heard_cycle(CycleReport { halted: halted_as("deposed"), ..CycleReport::default() });
    assert_ne!(again.engine.status().kind, StatusKind::Stalled, "another leads by now");
    assert_eq!(halted_as("nonsense"), None);
    world.engine.host().shelf.aborts.borrow_mut().clear();
    world.drains();
    world.runs_for(1_000);
    let status = world.engine.status();
    assert_eq!((status.kind, status.outbox.oldest), (StatusKind::Synced, None));
}

/// R9: it waits while it is on its way, and follows the operations that took its place.
#[test]
fn an_outcome_follows_successors() {
    let mut world = world();
    world.server().writes("o1", r#"{"a":1,"b":1}"#);
    let engine = Rc::clone(&world.engine);
    world.until(engine.sync_now()).unwrap();
    let first = world.patches("o1", r#"{"a":2}"#);
    let folded = world.patches("o1", r#"{"c":2}"#);
    assert_eq!(first, folded);
    world.server().writes("o1", r#"{"a":1,"b":5}"#);
    let verdict = world.until(engine.outcome(first)).unwrap();
    assert_eq!(verdict, Verdict::Applied { version: Some("3".into()), server_id: None });
    assert_eq!(world.server().has("o1").as_deref(), Some(r#"{"a":2,"b":5,"c":2}"#));
}

/// R9: in any tab, at any time.
#[test]
fn an_outcome_is_known_after_a_restart() {
    let disk = Rc::default();
    let mut world = World::on(Rc::clone(&disk), Strategy::Manual);
    let sale = world.creates("o1");
    world.drains();
    let mut again = World::on(disk, Strategy::Manual);
    let engine = Rc::clone(&again.engine);
    assert!(matches!(again.until(engine.outcome(sale)), Ok(Verdict::Applied { .. })));
    let nobody = holdfast::model::OpId::from_bytes([9; 16]);
    assert_eq!(again.until(engine.outcome(nobody)), Ok(Verdict::Unknown));
}

/// R9: an outcome may change while a person decides.
#[test]
fn outcomes_of_what_needs_a_person() {
    let mut world = world();
    world.server().refuses.insert("o1".into());
    let refused = world.creates("o1");
    let engine = Rc::clone(&world.engine);
    let verdict = world.until(engine.outcome(refused)).unwrap();
    assert!(matches!(verdict, Verdict::Rejected { code, .. } if code == "validation"));
    world.until(engine.discard(refused, Dependents::Discard)).unwrap();
    assert_eq!(world.until(engine.outcome(refused)), Ok(Verdict::Discarded));
    world.server().writes("o2", r#"{"a":1}"#);
    world.until(engine.sync_now()).unwrap();
    let sale = world.patches("o2", r#"{"a":2}"#);
    world.server().writes("o2", r#"{"a":3}"#);
    let Ok(Verdict::Conflict(id)) = world.until(engine.outcome(sale)) else { panic!() };
    world.until(engine.resolve(id, Choice::Mine)).unwrap();
    assert!(matches!(world.until(engine.outcome(sale)), Ok(Verdict::Applied { .. })));
    assert_eq!(world.server().has("o2").as_deref(), Some(r#"{"a":2}"#));
    let gone = {
        let create = world.creates("o3");
        world.writes("o3", Action::Remove);
        create
    };
    assert_eq!(world.until(engine.outcome(gone)), Ok(Verdict::Annihilated));
}

/// API: until nothing more can leave. What waits for a person is not waited for.
#[test]
fn drain_ends_where_nothing_can_leave() {
    let mut world = world();
    world.server().refuses.insert("c1".into());
    let customers = |action| holdfast::engine::WriteRequest {
        collection: "customers".into(),
        id: Some("c1".into()),
        action,
        priority: None,
    };
    let engine = Rc::clone(&world.engine);
    world.until(engine.write(customers(Action::Create(doc("{}"))))).unwrap();
    world.drains();
    world.writes("o1", Action::Create(doc(r#"{"customer":"c1"}"#)));
    let drained = world.drains();
    assert_eq!((drained.pending, drained.parked), (1, 1));
    assert!(world.server().has("o1").is_none());
}

#[test]
fn sync_now_reports_a_cycle_or_why_there_was_none() {
    let mut world = world();
    world.server().writes("o9", "{}");
    world.creates("o1");
    let engine = Rc::clone(&world.engine);
    let report = world.until(engine.sync_now()).unwrap();
    assert_eq!((report.applied, report.pulled >= 1, report.halted), (1, true, None));
    for (halt, code) in [
        (Halt::Unreachable, Code::Unreachable),
        (Halt::Foreign, Code::Unreachable),
        (Halt::Auth, Code::AuthRequired),
        (Halt::Protocol, Code::ProtocolError),
    ] {
        world.creates(&format!("{halt:?}"));
        world.fault(Fault::Halt(halt.clone()));
        let error = world.until(engine.sync_now()).unwrap_err();
        assert_eq!(error.code, code, "{halt:?}");
        world.until(engine.sync_now()).unwrap();
    }
    assert!(world.events.borrow().contains(&Event::AuthRequired), "P32");
}

/// P8: one failure of each kind, and then silence.
#[test]
fn after_any_failure_the_outbox_drains_by_itself() {
    for halt in [
        Halt::Unreachable,
        Halt::Foreign,
        Halt::Auth,
        Halt::Forbidden,
        Halt::Misconfigured,
        Halt::Later(None),
        Halt::Later(Some(Millis(5_000))),
        Halt::TooLarge,
        Halt::BatchRefused,
        Halt::Expired,
        Halt::Protocol,
    ] {
        for before in 0..3 {
            let mut world = world();
            for n in 0..5 {
                world.creates(&format!("o{n}"));
            }
            let engine = Rc::clone(&world.engine);
            if before > 0 {
                world.until(engine.sync_now()).unwrap();
                world.creates("late");
            }
            world.fault(Fault::Halt(halt.clone()));
            let fault = if before == 2 { Fault::AnswerLost } else { Fault::Halt(halt.clone()) };
            world.fault(fault);
            world.runs_for(7_200_000);
            let audit = world.until(engine.audit()).unwrap();
            // A server that refuses a request of one operation refuses that operation (R7).
            assert_eq!(audit.pending, 0, "{halt:?} {before}: {audit:?}");
            assert!(audit.balances());
            assert!(audit.parked <= 1, "{halt:?} {before}: {audit:?}");
            world.effects_are_single();
        }
    }
}

/// A16: a request that is too large is halved, and the limit remembered.
#[test]
fn requests_that_are_too_large_are_halved() {
    let mut world = world();
    world.server().room = Some(3);
    for n in 0..10 {
        world.creates(&format!("o{n}"));
    }
    world.drains();
    let sizes: Vec<usize> = world.server().batches.iter().map(Vec::len).collect();
    assert_eq!(sizes, [10, 5, 2, 2, 2, 2, 2]);
    world.effects_are_single();
    for n in 10..14 {
        world.creates(&format!("o{n}"));
    }
    world.drains();
    assert!(world.server().batches.iter().skip(7).all(|batch| batch.len() <= 2), "remembered");
}

/// A8, P10: a refused request is cut down until the operation that it is about stands alone.
#[test]
fn a_refused_batch_is_bisected() {
    for poisoned in 0..8 {
        let mut world = world();
        world.server().poison.insert(format!("o{poisoned}"));
        for n in 0..8 {
            world.creates(&format!("o{n}"));
        }
        let drained = world.drains();
        assert_eq!((drained.applied, drained.parked), (7, 1), "{poisoned}");
        let engine = Rc::clone(&world.engine);
        let outbox = world.until(engine.outbox()).unwrap();
        assert_eq!(outbox[0].op.key.id, format!("o{poisoned}"));
        world.effects_are_single();
    }
}

/// A1, P6: apply-then-drop on every request for a while.
#[test]
fn lost_answers_have_one_effect() {
    let mut world = world();
    for n in 0..5 {
        world.creates(&format!("o{n}"));
        world.patches(&format!("o{n}"), r#"{"n":2}"#);
    }
    let engine = Rc::clone(&world.engine);
    world.until(engine.sync_now()).unwrap();
    for _ in 0..6 {
        world.patches("o1", r#"{"m":1}"#);
        world.fault(Fault::AnswerLost);
        world.runs_for(200_000);
    }
    world.drains();
    world.effects_are_single();
    assert_eq!(world.until(engine.conflicts()).unwrap(), []);
}

/// R24: while the server does not answer nothing is sealed, and edits go on folding.
#[test]
fn offline_attempts_seal_nothing() {
    let mut world = world();
    let engine = Rc::clone(&world.engine);
    world.until(engine.sync_now()).unwrap();
    let sale = world.creates("o1");
    for _ in 0..40 {
        world.fault(Fault::Halt(Halt::Unreachable));
    }
    world.runs_for(30_000);
    let first = world.until(engine.operation(sale)).unwrap().unwrap().op;
    assert!(first.sends <= 1, "the attempt that found out");
    let later = world.creates("o2");
    world.runs_for(30_000);
    world.patches("o2", r#"{"m":2}"#);
    let waits = world.until(engine.operation(later)).unwrap().unwrap().op;
    assert!(!waits.is_sealed() && waits.folded.len() == 1, "{waits:?}");
    assert_eq!(world.engine.status().kind, StatusKind::Offline);
    world.server().faults.clear();
    world.drains();
    world.effects_are_single();
}

/// P28, R22: the answer to a commit was lost, in each of the verbs: everything happens once.
#[test]
fn a_commit_whose_answer_is_lost_is_made_up_for() {
    for verb in ["push.claim", "push.settle", "push.settle.keep", "pull.apply", "lead"] {
        let mut world = world();
        world.server().refuses.insert("bad".into());
        for _ in 0..3 {
            world.engine.host().shelf.loses.borrow_mut().push_back(verb);
        }
        for n in 0..4 {
            world.creates(&format!("o{n}"));
        }
        world.creates("bad");
        world.runs_for(600_000);
        world.server().writes("o9", "{}");
        for n in 0..4 {
            world.patches(&format!("o{n}"), r#"{"m":1}"#);
        }
        world.runs_for(600_000);
        let engine = Rc::clone(&world.engine);
        let audit = world.until(engine.audit()).unwrap();
        assert_eq!((audit.pending, audit.parked), (0, 1), "{verb}: {audit:?}");
        assert!(audit.balances(), "{verb}");
        world.effects_are_single();
        let left = world.engine.host().shelf.loses.borrow().len();
        assert!(left < 3, "{verb} never ran");
        let key = EntityKey::new("orders", "o9");
        assert!(world.until(engine.get(&key)).unwrap().is_some(), "{verb}");
    }
}

/// R22, P3: a write whose commit was not heard of is an error for its caller and an operation for us: it is sent, once.
#[test]
fn a_write_whose_answer_is_lost_is_sent_once() {
    let mut world = world();
    world.engine.host().shelf.loses.borrow_mut().push_back("write");
    assert!(world.tries("o1", Action::Create(doc("{}"))).unwrap_err().code.retryable());
    assert_eq!(world.tries("o1", Action::Create(doc("{}"))).unwrap_err().code, Code::Exists);
    world.drains();
    assert!(world.server().has("o1").is_some());
    world.effects_are_single();
}

/// R25: the server no longer knows the cursor.
#[test]
fn an_expired_cursor_pulls_everything_anew() {
    let mut world = world();
    world.server().writes("o1", "{}");
    let engine = Rc::clone(&world.engine);
    world.until(engine.sync_now()).unwrap();
    world.creates("o2");
    world.server().history += 1;
    world.until(engine.sync_now()).unwrap();
    world.drains();
    assert_eq!(
        world.until(engine.list("orders", read_query("{}").unwrap())).unwrap().items.len(),
        2
    );
    let audit = world.until(engine.audit()).unwrap();
    assert_eq!((audit.applied, audit.pending), (1, 0));
}

#[test]
fn after_close_every_call_says_so() {
    let mut world = world();
    world.creates("o1");
    let engine = Rc::clone(&world.engine);
    world.until(engine.sync_now()).unwrap();
    engine.close();
    let key = EntityKey::new("orders", "o1");
    assert_eq!(world.until(engine.get(&key)).unwrap_err().code, Code::Closed);
    assert_eq!(world.until(engine.sync_now()).unwrap_err().code, Code::Closed);
    assert_eq!(world.until(engine.drain()).unwrap_err().code, Code::Closed);
    assert_eq!(world.tries("o2", Action::Create(doc("{}"))).unwrap_err().code, Code::Closed);
}

/// P26: every call is legal inside every callback.
#[test]
fn a_listener_may_write() {
    let mut world = world();
    let engine = Rc::clone(&world.engine);
    let inner = Rc::clone(&engine);
    let wrote = std::cell::Cell::new(false);
    engine.subscribe(move |event| {
        if matches!(event, Event::Commit(_)) && !wrote.replace(true) {
            let request = holdfast::engine::WriteRequest {
                collection: "orders".into(),
                id: Some("from-a-listener".into()),
                action: Action::Create(doc("{}")),
                priority: None,
            };
            holdfast::memory::contract::block_on(inner.write(request)).unwrap();
        }
    });
    world.creates("o1");
    let drained = world.drains();
    assert_eq!(drained.applied, 2);
}

/// R28: at most one notice a commit; P37: what is shown is what is stored.
#[test]
fn the_status_shows_what_is_stored() {
    let mut world = world();
    world.server().refuses.insert("bad".into());
    world.creates("bad");
    world.creates("o1");
    assert_eq!(world.engine.status().outbox.pending, 2);
    world.drains();
    world.runs_for(1_000);
    let status = world.engine.status();
    assert_eq!((status.outbox.pending, status.outbox.parked), (0, 1));
    assert_eq!(status.connection.kind, "connected");
    let commits = world.events.borrow().iter().filter(|it| matches!(it, Event::Commit(_))).count();
    assert!(commits >= 3, "two writes and a verdict: {commits}");
}

/// P30: a database whose own state cannot be read is left as it is, and says so.
#[test]
fn without_the_databases_own_state_nothing_is_decided() {
    let disk: Rc<std::cell::RefCell<holdfast::memory::Disk>> = Rc::default();
    let world = World::on(Rc::clone(&disk), Strategy::Manual);
    world.creates("o1");
    let key = vec![holdfast::layout::Part::Text("state".into())];
    let row =
        holdfast::layout::Row { text: "{\"format\":1,\"floor\":".into(), indexes: Vec::new() };
    disk.borrow_mut().change(holdfast::layout::RowChange::Put { store: "meta", key, row });
    let before = disk.borrow().rows("outbox");
    let refused = world.tries("o2", Action::Create(doc("{}")));
    assert_eq!(refused.map_err(|error| error.code), Err(Code::StorageLost));
    assert_eq!(disk.borrow().rows("outbox"), before, "nothing was written over");
    assert_eq!(world.engine.status().kind, StatusKind::StorageLost);
}
