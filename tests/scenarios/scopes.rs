//! Selective sync: scopes are pulled, interrupted, evicted and wanted again (R24, R25; P3, P8, P12, P13, P37).

use std::cell::RefCell;
use std::rc::Rc;

use holdfast::engine::{Config, Event, ScopeState, StatusKind};
use holdfast::memory::Disk;
use holdfast::model::{Code, EntityKey, Halt, Millis, Scope, Strategy};

use holdfast::query::{Query, read_query};

use crate::till::rules;
use crate::world::{Fault, Server, World};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

fn scope(name: &str) -> Scope {
    Scope(name.to_owned())
}

fn config(scopes: &[&str]) -> Config {
    let scopes = Some(scopes.iter().map(|name| scope(name)).collect());
    Config { rules: rules(Strategy::Manual), scopes, ..Config::default() }
}

/// Two buildings with three records each, and one record in both.
fn server() -> Server {
    let mut server = Server::default();
    for (id, scopes) in [
        ("a1", vec!["a"]),
        ("b1", vec!["b"]),
        ("a2", vec!["a"]),
        ("ab", vec!["a", "b"]),
        ("b2", vec!["b"]),
        ("a3", vec!["a"]),
        ("b3", vec!["b"]),
        ("x", vec![]),
    ] {
        server.scopes.insert(id.to_owned(), scopes);
        server.writes(id, r#"{"n":1}"#);
    }
    server.page = Some(2);
    server
}

fn world(scopes: &[&str]) -> World {
    World::with(Rc::default(), config(scopes), server())
}

impl World {
    fn has_here(&mut self, scope: Option<&Scope>) -> Vec<String> {
        let engine = Rc::clone(&self.engine);
        let query = Query { scope: scope.cloned(), ..read_query("{}").unwrap() };
        let page = self.until(engine.list("orders", query)).unwrap();
        assert_eq!(page.complete, self.is_complete(scope));
        page.items.into_iter().map(|entity| entity.id).collect()
    }

    fn state_of(&mut self, name: &str) -> Option<ScopeState> {
        let engine = Rc::clone(&self.engine);
        let states = self.until(engine.scopes()).unwrap();
        states.into_iter().find(|state| state.scope == scope(name))
    }

    fn is_complete(&mut self, scope: Option<&Scope>) -> bool {
        let engine = Rc::clone(&self.engine);
        self.until(engine.is_complete(scope)).unwrap()
    }

    fn syncs(&mut self) {
        let engine = Rc::clone(&self.engine);
        self.until(engine.sync_now()).unwrap();
    }

    fn evicts(&mut self, name: &str) -> (u32, u32) {
        let engine = Rc::clone(&self.engine);
        let evicted = self.until(engine.evict_scope(&scope(name))).unwrap();
        (evicted.gone, evicted.kept)
    }

    fn adds(&mut self, name: &str) {
        let engine = Rc::clone(&self.engine);
        self.until(engine.add_scope(&scope(name))).unwrap();
    }

    /// The tab is closed, whatever it was doing; another one opens the same data.
    fn reopened(self, scopes: &[&str]) -> World {
        let disk: Rc<RefCell<Disk>> = self.disk();
        let server = std::mem::take(&mut *self.server());
        drop(self);
        World::with(disk, config(scopes), server)
    }
}

#[test]
fn only_what_was_asked_for_is_here() {
    let mut world = world(&["a"]);
    assert!(!world.is_complete(None), "nothing is here yet");
    world.syncs();
    assert_eq!(world.has_here(None), ["a1", "a2", "a3", "ab"]);
    assert!(world.is_complete(None) && world.is_complete(Some(&scope("a"))));
    assert!(!world.is_complete(Some(&scope("b"))), "it is not here");
    assert_eq!(world.engine.status().kind, StatusKind::Synced, "P37");
    let state = world.state_of("a").unwrap();
    assert_eq!((state.records, state.brought, state.bytes), (4, 4, 4 * 7));
    assert!(state.complete && state.used.is_some() && state.pulled.is_some() && !state.leaving);

    world.adds("b");
    assert!(!world.is_complete(None), "the second one is not here yet");
    assert!(world.is_complete(Some(&scope("a"))));
    world.syncs();
    assert_eq!(world.has_here(None), ["a1", "a2", "a3", "ab", "b1", "b2", "b3"]);
    assert_eq!(world.has_here(Some(&scope("b"))), ["ab", "b1", "b2", "b3"]);
}

#[test]
fn with_nothing_asked_for_nothing_is_here_and_work_leaves_all_the_same() {
    let mut world = world(&[]);
    world.syncs();
    assert_eq!(world.has_here(None), [""; 0]);
    assert!(!world.is_complete(None));
    for id in ["n1", "n2", "n3"] {
        world.creates(id);
    }
    world.drains();
    assert_eq!(world.server().asked, [], "there is nothing to pull");
    let first = world.server().batches.first().map(Vec::len);
    assert_eq!(first, Some(1), "R24: one asks whether the server is there");
    world.effects_are_single();
}

#[test]
fn without_scopes_there_are_none() {
    let mut world = World::new(Strategy::Manual);
    let engine = Rc::clone(&world.engine);
    let refused = world.until(engine.add_scope(&scope("a"))).unwrap_err();
    assert_eq!(refused.code, Code::InvalidOptions);
    let refused = world.until(engine.evict_scope(&Scope::all())).unwrap_err();
    assert_eq!(refused.code, Code::InvalidOptions);
    world.runs_for(1_000);
    assert!(world.is_complete(None));
}

/// P8: a page for each in turn.
#[test]
fn scopes_take_turns() {
    let mut world = world(&["a", "b"]);
    world.syncs();
    let asked: Vec<String> = world.server().asked.iter().map(|scope| scope.0.clone()).collect();
    assert_eq!(asked[..4], ["a", "b", "a", "b"]);
    let events = world.events.borrow();
    let told = events.iter().filter_map(|event| {
        let Event::Progress(progress) = event else { return None };
        progress.scope.clone()
    });
    let told: Vec<Scope> = told.collect();
    assert!(told.contains(&scope("a")) && told.contains(&scope("b")), "{told:?}");
}

/// P13: an interrupted download goes on where it was.
#[test]
fn a_killed_download_goes_on() {
    let mut world = world(&["a"]);
    // The first page comes, then the line is dead.
    world.server().page = Some(1);
    world.server().faults.extend([Fault::Pass, Fault::Halt(Halt::Unreachable)]);
    let engine = Rc::clone(&world.engine);
    assert!(world.until(engine.sync_now()).is_err());
    let state = world.state_of("a").unwrap();
    assert_eq!((state.brought, state.complete), (1, false));
    assert_eq!(world.has_here(None).len(), 1, "what is here is shown");
    let mut world = world.reopened(&["a"]);
    world.syncs();
    let state = world.state_of("a").unwrap();
    assert_eq!((state.brought, state.complete), (4, true), "nothing came twice");
    assert_eq!(world.has_here(None), ["a1", "a2", "a3", "ab"]);
}

/// P3, R25: what is not sent is never touched, and goes with the rest when it is settled.
#[test]
fn an_eviction_spares_unsent_work() {
    let mut world = world(&["a", "b"]);
    world.syncs();
    let edit = world.patches("a2", r#"{"n":2}"#);
    world.server().refuses.insert("a3".to_owned());
    world.patches("a3", r#"{"n":3}"#);
    world.drains();
    world.fault(Fault::Halt(Halt::Unreachable));
    world.patches("a1", r#"{"n":4}"#);
    assert_eq!(world.evicts("a"), (1, 2), "a2 is settled; a1 waits, a3 is parked");
    assert_eq!(world.has_here(None), ["a1", "a3", "ab", "b1", "b2", "b3"]);
    assert!(world.state_of("a").unwrap().leaving);
    assert!(world.is_complete(None), "b is here");
    let engine = Rc::clone(&world.engine);
    assert_eq!(world.until(engine.outbox()).unwrap().len(), 2, "P3");

    world.server().asked.clear();
    world.drains();
    assert_eq!(world.server().has("a1").as_deref(), Some(r#"{"n":4}"#));
    assert_eq!(world.evicts("a"), (1, 1), "a1 is settled now");
    assert!(!world.server().asked.contains(&scope("a")), "it is not pulled any more");
    let parked = world.until(engine.outbox()).unwrap();
    let [parked] = &*parked else { panic!("{parked:?}") };
    world.until(engine.discard(parked.op.id, holdfast::plan::resolve::Dependents::Refuse)).unwrap();
    world.runs_for(2 * HOUR);
    assert!(world.state_of("a").is_none(), "the rest goes by itself");
    assert_eq!(world.has_here(None), ["ab", "b1", "b2", "b3"]);
    assert!(world.until(engine.outcome(edit)).is_ok());
    assert!(world.until(engine.audit()).unwrap().balances());
    world.effects_are_single();
}

/// What two scopes have is here as long as one of them is.
#[test]
fn scopes_may_overlap() {
    let mut world = world(&["a", "b"]);
    world.syncs();
    assert_eq!(world.evicts("a"), (3, 0));
    assert_eq!(world.has_here(None), ["ab", "b1", "b2", "b3"]);
    assert!(world.state_of("a").is_none());
    world.server().writes("ab", r#"{"n":2}"#);
    world.syncs();
    let engine = Rc::clone(&world.engine);
    let entity = world.until(engine.get(&EntityKey::new("orders", "ab"))).unwrap().unwrap();
    assert_eq!(entity.document.text(), r#"{"n":2}"#);
    assert_eq!(world.evicts("b"), (4, 0));
    assert_eq!(world.has_here(None), [""; 0]);
    let gone = world.until(engine.evict_scope(&scope("b"))).unwrap_err();
    assert_eq!(gone.code, Code::NotFound);
}

/// R25: what comes back finds out what the server has lost meanwhile.
#[test]
fn an_evicted_scope_comes_back_whole() {
    let mut world = world(&["a"]);
    world.syncs();
    world.server().refuses.insert("a3".to_owned());
    world.patches("a3", r#"{"n":3}"#);
    world.drains();
    assert_eq!(world.evicts("a"), (3, 1));
    world.server().removes(&crate::till::order("a1"));
    world.server().writes("a2", r#"{"n":7}"#);
    world.adds("a");
    world.syncs();
    assert_eq!(world.has_here(None), ["a2", "a3", "ab"]);
    let state = world.state_of("a").unwrap();
    assert!(state.complete && !state.leaving);

    let mut again = world.reopened(&["a"]);
    assert_eq!(again.evicts("a"), (3, 1));
    let mut back = again.reopened(&["a"]);
    back.syncs();
    assert_eq!(back.has_here(None), ["a2", "a3", "ab"], "what is named at open comes back");
}

/// P8: what the server says of one scope does not stop the others, and is told.
#[test]
fn a_forbidden_scope_stops_nobody() {
    let mut world = world(&["a", "b"]);
    world.server().forbids.insert("a");
    world.creates("n1");
    world.syncs();
    world.drains();
    assert_eq!(world.server().has("n1").as_deref(), Some(r#"{"n":1}"#));
    assert!(world.is_complete(Some(&scope("b"))) && !world.is_complete(None));
    assert_eq!(world.state_of("a").unwrap().halted, Some(Halt::Forbidden));
    let status = world.engine.status();
    assert_eq!((status.kind, status.reason), (StatusKind::Pending, Some("scope-refused")), "P37");
    let engine = Rc::clone(&world.engine);
    let refused = world.until(engine.warm_scope(&scope("a"))).unwrap_err();
    assert_eq!(refused.path.as_deref(), Some("scope"));

    world.server().forbids.clear();
    world.syncs();
    assert!(world.is_complete(None));
    assert_eq!(world.engine.status().kind, StatusKind::Synced);

    world.server().forbids.extend(["a", "b"]);
    assert!(world.until(engine.sync_now()).is_err(), "with all of them, the cycle breaks off");
}

#[test]
fn a_scope_is_fetched_by_hand() {
    let mut world = world(&[]);
    let engine = Rc::clone(&world.engine);
    let state = world.until(engine.warm_scope(&scope("b"))).unwrap();
    assert_eq!((state.complete, state.records), (true, 4));
    world.fault(Fault::Halt(Halt::Unreachable));
    let failed = world.until(engine.warm_scope(&scope("a"))).unwrap_err();
    assert_eq!(failed.code, Code::Unreachable);
    world.syncs();
    assert!(world.is_complete(Some(&scope("a"))), "it stays added");
}

/// ArxOS: a building that nobody has opened for 30 days goes; reading is using.
#[test]
fn what_nobody_uses_goes_by_itself() {
    let mut config = config(&["a", "b"]);
    config.evict_after = Some(Millis(4 * HOUR));
    config.timing.pull_every = Millis(HOUR / 2);
    let mut world = World::with(Rc::default(), config, server());
    world.syncs();
    let engine = Rc::clone(&world.engine);
    for _ in 0..7 {
        world.runs_for(HOUR);
        world.until(engine.get(&EntityKey::new("orders", "b1"))).unwrap();
    }
    assert!(world.now() < DAY);
    assert_eq!(world.has_here(None), ["ab", "b1", "b2", "b3"]);
    assert!(world.state_of("a").is_none() && world.state_of("b").is_some());
}

/// Reads do not write each time.
#[test]
fn use_is_noted_now_and_then() {
    let mut world = world(&["a"]);
    world.syncs();
    let engine = Rc::clone(&world.engine);
    let key = EntityKey::new("orders", "a1");
    world.until(engine.get(&key)).unwrap();
    let runs = engine.host().shelf.runs.get();
    for _ in 0..100 {
        world.until(engine.get(&key)).unwrap();
    }
    assert_eq!(engine.host().shelf.runs.get(), runs);
}

/// R25, P12: every scope has a full pull of its own when the server was set back; what is shown never mixes two of its states.
#[test]
fn a_server_that_was_set_back_is_pulled_anew_scope_by_scope() {
    let mut world = world(&["a", "b"]);
    world.syncs();
    world.patches("b1", r#"{"n":5}"#);
    {
        let mut server = world.server();
        server.history += 1;
        server.removes(&crate::till::order("a2"));
        server.writes("ab", r#"{"n":9}"#);
    }
    world.drains();
    world.syncs();
    assert_eq!(world.has_here(None), ["a1", "a3", "ab", "b1", "b2", "b3"]);
    let engine = Rc::clone(&world.engine);
    let entity = world.until(engine.get(&EntityKey::new("orders", "ab"))).unwrap().unwrap();
    assert_eq!(entity.document.text(), r#"{"n":9}"#);
    assert_eq!(world.server().has("b1").as_deref(), Some(r#"{"n":5}"#));
    assert!(world.is_complete(None));
    // Both still have it.
    world.evicts("a");
    assert!(world.has_here(None).contains(&"ab".to_owned()));
    world.effects_are_single();
}
