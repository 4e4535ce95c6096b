//! Nothing can be written: the outbox drains by deletions alone (R27, P27), and pulls stop before it comes to that.

use std::cell::RefCell;
use std::rc::Rc;

use holdfast::engine::{StatusKind, Verdict, WriteRequest};
use holdfast::memory::Disk;
use holdfast::memory::contract::block_on;
use holdfast::model::{
    Code, Counts, EntityKey, Halt, Need, OpId, Root, SPARE_TERMS, Snapshot, Space, Strategy,
};
use holdfast::plan::write::Action;

use crate::till::{doc, order};
use crate::world::{Fault, World};

/// A till that has synced once: it has led, so its reserve is filled.
fn synced() -> World {
    let mut world = World::new(Strategy::Manual);
    world.creates("o0");
    world.drains();
    world.runs_for(1_000);
    assert_eq!(world.engine.status().kind, StatusKind::Synced);
    world
}

fn fills(world: &World) {
    world.disk().borrow_mut().set_full(true);
}

fn frees(world: &World) {
    world.disk().borrow_mut().set_full(false);
}

/// The till is closed and opened again: what was in memory is gone.
fn reopens(world: World) -> World {
    let server = std::mem::take(&mut *world.server());
    let disk = world.disk();
    drop(world);
    World::over(disk, Strategy::Manual, server)
}

fn outbox(disk: &Rc<RefCell<Disk>>) -> usize {
    disk.borrow().rows("outbox").len()
}

fn counts(world: &World) -> Counts {
    block_on(world.engine.audit()).unwrap()
}

fn state(world: &World) -> Snapshot {
    world.disk().borrow().snapshot(Need::only(vec![Root::Balance]))
}

/// Counts in a collection whose edits stay apart: the later stands on the earlier.
fn counts_stock(world: &World, action: Action) -> OpId {
    let request =
        WriteRequest { collection: "stock".into(), id: Some("s1".into()), action, priority: None };
    block_on(world.engine.write(request)).unwrap().op
}

fn stock() -> EntityKey {
    EntityKey::new("stock", "s1")
}

/// R27, P27, P4: every operation has its effect once, the queue empties, writes are refused loudly; with space again all is as if
/// there had always been some.
#[test]
fn at_full_quota_the_outbox_drains_and_recovers() {
    let mut world = synced();
    let changed = world.patches("o0", r#"{"n":2}"#);
    let folded = world.patches("o0", r#"{"m":1}"#);
    let made = world.creates("o1");
    fills(&world);
    world.runs_for(10_000);
    assert_eq!(outbox(&world.disk()), 0, "nothing waits");
    assert_eq!(world.server().has("o0").as_deref(), Some(r#"{"n":2,"m":1}"#));
    assert_eq!(world.server().has("o1").as_deref(), Some(r#"{"n":1}"#));
    world.effects_are_single();
    assert!(state(&world).is_draining());
    assert_eq!(world.engine.status().kind, StatusKind::StorageFull);
    let refused = world.tries("o2", Action::Create(doc("{}"))).unwrap_err();
    assert_eq!((refused.code, refused.code.retryable()), (Code::StorageFull, true), "P4");

    // What is known is told, and shown.
    let engine = Rc::clone(&world.engine);
    for op in [changed, folded, made] {
        let verdict = world.until(engine.outcome(op)).unwrap();
        assert!(matches!(verdict, Verdict::Applied { .. }), "{verdict:?}");
    }
    let shown = block_on(engine.get(&order("o0"))).unwrap().unwrap();
    assert_eq!(shown.document.text(), r#"{"n":2,"m":1}"#, "P12");
    assert_eq!((counts(&world).pending, counts(&world).applied), (0, 3), "P37");
    assert!(counts(&world).balances(), "R10");
    assert_eq!(world.drains().pending, 0, "drain() ends too");

    frees(&world);
    world.runs_for(120_000);
    assert_eq!(world.engine.status().kind, StatusKind::Synced);
    let s = state(&world);
    assert_eq!((s.spares, s.meta.reserve), (None, SPARE_TERMS));
    let counts = counts(&world);
    assert_eq!((counts.pending, counts.applied, counts.folded), (0, 3, 1));
    assert!(counts.balances(), "R10");
    assert_eq!(world.disk().borrow().rows("settled").len(), 4, "R9");
    world.creates("o2");
    let mut world = reopens(world);
    world.drains();
    let engine = Rc::clone(&world.engine);
    for op in [changed, folded, made] {
        assert!(matches!(world.until(engine.outcome(op)), Ok(Verdict::Applied { .. })), "R9");
    }
    world.effects_are_single();
}

/// R27: what was in flight when the last byte was used is asked for again, and the server repeats its verdict.
#[test]
fn what_was_in_flight_when_it_became_full_drains_too() {
    let mut world = synced();
    world.creates("o1");
    world.fault(Fault::AnswerLost);
    // The claim is written; the answer finds no space, if there is one.
    world.runs_for(40);
    fills(&world);
    world.runs_for(120_000);
    assert_eq!(outbox(&world.disk()), 0);
    world.effects_are_single();
}

/// R27: after a restart nothing is known of what drained but that it did; the balance is exact all the same.
#[test]
fn a_drain_survives_a_restart_in_its_middle() {
    let mut world = synced();
    for n in 1..6 {
        world.creates(&format!("o{n}"));
    }
    // Two get through, then the network is gone, and the page is closed.
    world.server().room = Some(2);
    world.server().closes_after = Some(3);
    fills(&world);
    world.runs_for(10_000);
    assert_eq!((world.server().effects.len(), outbox(&world.disk())), (3, 3));
    let mut world = reopens(world);
    world.server().closes_after = None;
    world.runs_for(120_000);
    assert_eq!(outbox(&world.disk()), 0);
    world.effects_are_single();
    assert_eq!(world.server().effects.len(), 6);
    let full = counts(&world);
    assert_eq!((full.pending, full.applied), (0, 6));

    // Another restart, and nobody knows anything any more.
    let mut world = reopens(world);
    world.runs_for(10_000);
    frees(&world);
    world.runs_for(120_000);
    let counts = counts(&world);
    assert_eq!((counts.pending, counts.applied), (0, 6), "R10");
    assert!(counts.balances());
    assert_eq!(world.engine.status().kind, StatusKind::Synced);
    for n in 0..6 {
        let shown = block_on(world.engine.get(&order(&format!("o{n}")))).unwrap();
        assert!(shown.is_some(), "o{n} was pulled");
    }
}

/// R27, P5, P6: what an operation says depends on the verdict before it. That row stays until nobody needs it, so a later leader
/// asks for the verdict again and says the same.
#[test]
fn operations_of_one_record_drain_in_their_order_over_a_restart() {
    let mut world = synced();
    let first = counts_stock(&world, Action::Create(doc(r#"{"n":1}"#)));
    let second = counts_stock(&world, Action::Patch(doc(r#"{"n":2}"#)));
    let third = counts_stock(&world, Action::Patch(doc(r#"{"m":3}"#)));
    world.server().closes_after = Some(3);
    fills(&world);
    world.runs_for(10_000);
    assert!(world.server().effects.contains_key(&second));
    assert_eq!(outbox(&world.disk()), 3, "the first stays while the others need it");
    let mut world = reopens(world);
    world.server().closes_after = None;
    world.runs_for(120_000);
    assert_eq!(outbox(&world.disk()), 0);
    world.effects_are_single();
    let sent: Vec<OpId> = world.server().batches.concat();
    let place = |op| sent.iter().position(|it| *it == op).unwrap();
    assert!(place(first) < place(second) && place(second) < place(third), "P7");
    assert_eq!(
        world.server().record(&stock()).and_then(|it| it.document()).unwrap().text(),
        r#"{"n":2,"m":3}"#
    );
    frees(&world);
    world.runs_for(120_000);
    assert_eq!(world.engine.status().kind, StatusKind::Synced);
    assert!(counts(&world).balances());
    assert_eq!(block_on(world.engine.conflicts()).unwrap(), Vec::new(), "P17");
}

/// R27: where an earlier leader may have sent what stands on a verdict that only it had, space alone is not enough: the server must
/// answer once. Until then nothing may be folded.
#[test]
fn without_the_server_a_drain_that_was_cut_does_not_end() {
    let mut world = synced();
    counts_stock(&world, Action::Create(doc(r#"{"n":1}"#)));
    let second = counts_stock(&world, Action::Patch(doc(r#"{"n":2}"#)));
    let third = counts_stock(&world, Action::Patch(doc(r#"{"n":3}"#)));
    world.server().closes_after = Some(3);
    fills(&world);
    world.runs_for(10_000);
    assert!(world.server().effects.contains_key(&second));
    let mut world = reopens(world);
    frees(&world);
    world.runs_for(20_000);
    assert!(state(&world).is_draining());
    assert_eq!(world.tries("o2", Action::Create(doc("{}"))).unwrap_err().code, Code::StorageFull);
    world.server().closes_after = None;
    world.runs_for(120_000);
    assert!(!state(&world).is_draining());
    assert!(world.server().effects.contains_key(&third));
    world.effects_are_single();
    assert!(counts(&world).balances());
    world.creates("o2");
}

/// R27: a conflict and a refusal need a row: the operations stay, are asked again, and are parked once there is space.
#[test]
fn conflicts_and_refusals_wait_for_space() {
    let mut world = synced();
    world.patches("o0", r#"{"n":2}"#);
    world.server().writes("o0", r#"{"n":3}"#);
    world.server().refuses.insert("o1".into());
    let refused = world.creates("o1");
    world.creates("o2");
    fills(&world);
    world.runs_for(120_000);
    assert_eq!(outbox(&world.disk()), 2, "the free one is gone");
    let asked = world.server().batches.iter().filter(|batch| batch.contains(&refused)).count();
    assert!(asked > 1, "asked again, {asked} times");
    assert_eq!((counts(&world).parked, counts(&world).conflicts), (0, 0));
    frees(&world);
    world.runs_for(120_000);
    assert_eq!((counts(&world).parked, counts(&world).conflicts), (2, 1));
    assert!(counts(&world).balances());
    world.effects_are_single();
}

/// R27, P5: what may have left is sealed when there is space again; what cannot have left is not, and folds.
#[test]
fn only_what_may_have_left_is_sealed_afterwards() {
    let mut world = synced();
    world.server().refuses.insert("o1".into());
    let refused = world.creates("o1");
    fills(&world);
    world.runs_for(5_000);
    assert_eq!(outbox(&world.disk()), 1);
    frees(&world);
    for _ in 0..40 {
        world.fault(Fault::Halt(Halt::Unreachable));
    }
    world.runs_for(70_000);
    let op = block_on(world.engine.operation(refused)).unwrap().unwrap().op;
    assert!(op.is_sealed(), "it left: {op:?}");
    assert!(op.sends > 0);
}

/// R21, R27, P22: at full quota a term is a spare one; the tab that led before writes nothing any more.
#[test]
fn a_later_leader_at_full_quota_fences_the_earlier_one() {
    let mut world = synced();
    world.creates("o1");
    world.server().refuses.insert("o1".into());
    fills(&world);
    world.runs_for(5_000);
    let before = state(&world);
    assert_eq!(before.spares, Some(SPARE_TERMS), "it led already");
    let mut other =
        World::over(world.disk(), Strategy::Manual, std::mem::take(&mut *world.server()));
    other.runs_for(5_000);
    let after = state(&other);
    assert_eq!(after.spares, Some(SPARE_TERMS - 1));
    assert_eq!(after.meta.term.0, before.meta.term.0 + 1);
    frees(&world);
    other.runs_for(120_000);
    let end = state(&other);
    assert_eq!((end.spares, end.meta.term), (None, after.meta.term), "terms never fall");
}

/// R24, R27: nothing is sealed for a server that does not answer, however full it is.
#[test]
fn an_offline_till_seals_nothing_at_full_quota() {
    let world = synced();
    world.creates("o1");
    let mut world = reopens(world);
    for _ in 0..400 {
        world.fault(Fault::Halt(Halt::Unreachable));
    }
    fills(&world);
    world.runs_for(60_000);
    assert!(!state(&world).is_draining());
    assert_eq!(outbox(&world.disk()), 1);
    assert_eq!(world.engine.status().kind, StatusKind::StorageFull);
    frees(&world);
    let host = world.patches("o1", r#"{"m":1}"#);
    assert_eq!(
        block_on(world.engine.operation(host)).unwrap().unwrap().op.folded.len(),
        1,
        "it folds"
    );
    world.server().faults.clear();
    world.drains();
    world.effects_are_single();
}

/// R27: a database that nobody has led yet has no reserve. Nothing is lost, and nothing leaves until there is space.
#[test]
fn without_a_reserve_the_outbox_waits_for_space() {
    let mut world = World::new(Strategy::Manual);
    world.creates("o1");
    fills(&world);
    world.runs_for(60_000);
    assert_eq!((outbox(&world.disk()), world.server().effects.len()), (1, 0));
    assert_eq!(world.engine.status().kind, StatusKind::StorageFull);
    frees(&world);
    world.drains();
    world.effects_are_single();
}

/// R22: a commit that was aborted, or whose result was lost, at every step of a drain.
#[test]
fn aborted_and_lost_commits_of_a_drain_change_nothing() {
    let verbs = ["drain.begin", "drain.settle", "drain.end"];
    for (verb, lost) in verbs.into_iter().flat_map(|verb| [(verb, true), (verb, false)]) {
        let mut world = synced();
        world.creates("o1");
        counts_stock(&world, Action::Create(doc(r#"{"n":1}"#)));
        counts_stock(&world, Action::Patch(doc(r#"{"n":2}"#)));
        let shelf = &world.engine.host().shelf;
        let faults = if lost { &shelf.loses } else { &shelf.aborts };
        faults.borrow_mut().push_back(verb);
        fills(&world);
        world.runs_for(120_000);
        assert_eq!(outbox(&world.disk()), 0, "{verb}, lost: {lost}");
        frees(&world);
        world.runs_for(240_000);
        assert_eq!(world.engine.status().kind, StatusKind::Synced, "{verb}, lost: {lost}");
        assert_eq!(counts(&world).applied, 4, "{verb}");
        assert!(counts(&world).balances(), "{verb}");
        world.effects_are_single();
    }
}

/// P27: pulls stop well before the quota; what the user does goes on.
#[test]
fn pulls_stop_before_the_space_of_the_outbox_is_used() {
    let mut world = synced();
    let space = |usage| Some(Space { usage, quota: 100 });
    world.engine.host().shelf.space.set(space(71));
    world.server().writes("theirs", r#"{"n":1}"#);
    let engine = Rc::clone(&world.engine);
    world.until(engine.sync_now()).unwrap();
    let pulls = world.server().pulls;
    world.creates("o1");
    world.drains();
    world.runs_for(120_000);
    assert_eq!(world.server().pulls, pulls, "no page was asked for");
    assert_eq!(world.server().has("o1").as_deref(), Some(r#"{"n":1}"#));
    assert_eq!(world.engine.status().kind, StatusKind::StorageFull);
    assert!(!state(&world).is_draining());
    world.engine.host().shelf.space.set(space(70));
    world.runs_for(120_000);
    assert_eq!(world.engine.status().kind, StatusKind::Synced);
    assert!(block_on(world.engine.get(&order("theirs"))).unwrap().is_some());
}
