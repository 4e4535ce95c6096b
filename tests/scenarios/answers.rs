//! What an answer means, row by row of the table in section 10 of the semantics: bytes come in at one end, and the status, the
//! outbox and the next request are looked at. Behind the line stands the model server; between them, whoever spoils it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use holdfast::engine::{Config, Engine, Event, StatusKind, WriteRequest};
use holdfast::memory::MemoryStore;
use holdfast::model::{EntityKey, Mono, OpId, OpState, Strategy, Wall};
use holdfast::plan::write::Action;
use holdfast::port::{
    Clock, Fetch, FetchError, Host, HttpRequest, HttpResponse, Method, NoResolver,
};
use holdfast::protocol::{HttpRemote, Standard};
use holdfast_server_core as server;
use serde_json::{Value, json};

use crate::till::{doc, rules};
use crate::world::{Lead, Lots};

const START: u64 = 1_763_650_000_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

type Answer = Result<HttpResponse, FetchError>;

/// Whoever stands between: makes an answer of its own, or lets the server's through.
type Spoil = Box<dyn Fn(&Line, &HttpRequest) -> Option<Answer>>;

struct Line {
    store: RefCell<server::Memory>,
    spoil: RefCell<Option<Rc<Spoil>>>,
    asked: RefCell<Vec<(u64, HttpRequest)>>,
    time: Rc<Ticks>,
    forgotten: Cell<u32>,
    /// The feed does not say whose a change is: verdicts come by answers alone.
    silent: Cell<bool>,
}

impl Line {
    /// What the server itself says.
    fn honest(&self, request: &HttpRequest) -> HttpResponse {
        let limits = server::Limits::default();
        let store = &mut *self.store.borrow_mut();
        let now = START + self.time.now.get();
        let said = match &request.body {
            Some(body) => server::PushRequest::parse(body.as_bytes(), &limits)
                .and_then(|push| server::push(store, &push, &server::AcceptAll, &limits, now))
                .map(|answer| answer.to_json()),
            None => {
                let cursor = request.url.split_once("&cursor=").map(|(_, it)| it.to_owned());
                let pull = server::PullRequest { cursor, limit: None, scope: None };
                server::pull(store, &pull, &limits, now).map(|answer| answer.to_json())
            }
        };
        match said {
            Ok(body) if self.silent.get() && request.method == Method::Get => {
                whole(200, "application/json", &body.replace(r#""opId":"#, r#""of":"#))
            }
            Ok(body) => whole(200, "application/json", &body),
            Err(problem) => {
                let status = problem.kind.status();
                whole(status, "application/problem+json", &problem.to_json())
            }
        }
    }

    /// The same, its verdicts changed on the way.
    fn changed(&self, request: &HttpRequest, change: impl Fn(&mut Vec<Value>)) -> HttpResponse {
        let mut answer = self.honest(request);
        let mut body: Value = serde_json::from_str(&answer.body).unwrap();
        change(body["outcomes"].as_array_mut().unwrap());
        answer.body = body.to_string();
        answer
    }

    fn pushes(&self) -> Vec<(u64, Vec<Value>)> {
        let asked = self.asked.borrow();
        let pushes = asked.iter().filter(|(_, request)| request.method == Method::Post);
        let operations = |request: &HttpRequest| {
            let body: Value = serde_json::from_str(request.body.as_ref().unwrap()).unwrap();
            body["operations"].as_array().unwrap().clone()
        };
        pushes.map(|(at, request)| (*at, operations(request))).collect()
    }
}

fn whole(status: u16, media: &str, body: &str) -> HttpResponse {
    let (content_type, body) = (media.to_owned(), body.to_owned());
    HttpResponse { status, content_type, retry_after: None, body, up: 0, etag: None }
}

/// A refusal of the whole request, in our server's words.
fn problem(status: u16) -> HttpResponse {
    let body = json!({"holdfast": 1, "type": "about:blank", "status": status, "end": true});
    whole(status, "application/problem+json", &body.to_string())
}

fn portal(status: u16) -> HttpResponse {
    whole(status, "text/html", "<html>Please sign in</html>")
}

struct Phone(Rc<Line>);

impl Fetch for Phone {
    async fn send(&self, request: HttpRequest) -> Answer {
        self.0.asked.borrow_mut().push((self.0.time.now.get(), request.clone()));
        let spoil = self.0.spoil.borrow().clone();
        let spoilt = spoil.and_then(|spoil| spoil(&self.0, &request));
        spoilt.unwrap_or_else(|| Ok(self.0.honest(&request)))
    }

    fn forget_token(&self) {
        self.0.forgotten.set(self.0.forgotten.get() + 1);
    }
}

#[derive(Default)]
struct Ticks {
    now: Cell<u64>,
    alarms: RefCell<BTreeSet<u64>>,
}

#[derive(Clone)]
struct Watch(Rc<Ticks>);

impl Clock for Watch {
    fn wall(&self) -> Wall {
        Wall(START + self.0.now.get())
    }

    fn mono(&self) -> Mono {
        Mono(self.0.now.get())
    }

    fn sleep_until(&self, at: Mono) -> impl Future<Output = ()> {
        poll_fn(move |_| {
            if self.0.now.get() >= at.0 {
                return Poll::Ready(());
            }
            self.0.alarms.borrow_mut().insert(at.0);
            Poll::Pending
        })
    }
}

struct Tab {
    store: MemoryStore,
    remote: HttpRemote<Standard, Phone, Watch>,
    clock: Watch,
    lots: Lots,
    lead: Lead,
}

impl Host for Tab {
    type Store = MemoryStore;
    type Remote = HttpRemote<Standard, Phone, Watch>;
    type Clock = Watch;
    type Rng = Lots;
    type Leadership = Lead;
    type Resolver = NoResolver;

    fn store(&self) -> &MemoryStore {
        &self.store
    }
    fn remote(&self) -> &Self::Remote {
        &self.remote
    }
    fn clock(&self) -> &Watch {
        &self.clock
    }
    fn rng(&self) -> &Lots {
        &self.lots
    }
    fn leadership(&self) -> &Lead {
        &self.lead
    }
    fn resolver(&self) -> &NoResolver {
        &NoResolver
    }
}

struct Shop {
    engine: Rc<Engine<Tab>>,
    cycles: Pin<Box<dyn Future<Output = ()>>>,
    line: Rc<Line>,
    time: Rc<Ticks>,
    events: Rc<RefCell<Vec<Event>>>,
}

impl Shop {
    /// Connected, and all that it has is synced.
    fn new() -> Self {
        let time = Rc::new(Ticks::default());
        let line = Rc::new(Line {
            store: RefCell::new(server::Memory::new("e1")),
            spoil: RefCell::default(),
            asked: RefCell::default(),
            time: Rc::clone(&time),
            forgotten: Cell::default(),
            silent: Cell::default(),
        });
        let clock = Watch(Rc::clone(&time));
        let remote = HttpRemote::new(Standard::new("/api"), Phone(Rc::clone(&line)), clock.clone());
        let (store, lots, lead) = (MemoryStore::default(), Lots::default(), Lead::default());
        let tab = Tab { store, remote, clock, lots, lead };
        let config = Config { rules: rules(Strategy::Manual), ..Config::default() };
        let engine = holdfast::memory::contract::block_on(Engine::open(tab, config)).unwrap();
        let events = Rc::new(RefCell::new(Vec::new()));
        let heard = Rc::clone(&events);
        engine.subscribe(move |event| heard.borrow_mut().push(event.clone()));
        let cycles = Box::pin(Rc::clone(&engine).run());
        let mut shop = Self { engine, cycles, line, time, events };
        shop.sells("o0");
        shop.runs_for(MINUTE);
        assert_eq!(shop.engine.status().kind, StatusKind::Synced);
        shop.line.asked.borrow_mut().clear();
        shop
    }

    fn sells(&self, id: &str) -> OpId {
        let request = WriteRequest {
            collection: "orders".into(),
            id: Some(id.into()),
            action: Action::Create(doc(r#"{"n":1}"#)),
            priority: None,
        };
        holdfast::memory::contract::block_on(self.engine.write(request)).unwrap().op
    }

    /// From now on every answer is this, where it is one.
    fn spoils(&self, spoil: impl Fn(&Line, &HttpRequest) -> Option<Answer> + 'static) {
        self.line.spoil.replace(Some(Rc::new(Box::new(spoil))));
    }

    /// The line is as it was; nobody says so.
    fn heals(&self) {
        self.line.spoil.replace(None);
    }

    fn runs_for(&mut self, millis: u64) {
        let until = self.time.now.get() + millis;
        let mut cx = Context::from_waker(Waker::noop());
        let mut idle = 0;
        while self.time.now.get() < until {
            let _ = self.cycles.as_mut().poll(&mut cx);
            idle += 1;
            if idle % 8 == 0 {
                let next = self.time.alarms.borrow_mut().pop_first();
                let next = next.expect("P8: everybody waits, nobody for a time");
                self.time.now.set(self.time.now.get().max(next));
            }
        }
    }

    fn outbox(&self) -> Vec<holdfast::model::Operation> {
        let listed = holdfast::memory::contract::block_on(self.engine.outbox()).unwrap();
        listed.into_iter().map(|entry| entry.op).collect()
    }

    fn now<T>(&self, future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn is_shown(&self, id: &str) -> bool {
        self.now(self.engine.get(&EntityKey::new("orders", id))).unwrap().is_some()
    }

    /// P5: whatever left more than once left the same each time.
    fn resent_unchanged(&self) {
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        for operation in self.line.pushes().into_iter().flat_map(|(_, operations)| operations) {
            let id = operation["opId"].to_string();
            let first = known.entry(id).or_insert_with(|| operation.clone());
            assert_eq!(*first, operation, "P5");
        }
    }

    /// P8 and P6: without a word from anybody all of it is at the server, once.
    fn drains_by_itself(&mut self) {
        self.heals();
        self.runs_for(HOUR + 10 * MINUTE);
        assert_eq!(self.outbox(), [], "P8");
        let audit = self.now(self.engine.audit()).unwrap();
        assert!(audit.balances());
        assert_eq!(self.engine.status().kind, StatusKind::Synced);
        for stored in self.line.store.borrow().verdicts() {
            assert_eq!(self.line.store.borrow().effects(&stored.outcome.op_id), 1, "P6");
        }
        self.resent_unchanged();
    }
}

/// Every answer is this for half an hour: two sales stay what they are, in the view and in the outbox, and the line is not
/// flooded. Then it heals, and they leave.
fn meanwhile(
    answer: impl Fn(&Line, &HttpRequest) -> Option<Answer> + 'static,
    kind: StatusKind,
    reason: Option<&str>,
    connection: &str,
) -> Shop {
    let mut shop = Shop::new();
    shop.line.silent.set(true);
    let sold = [shop.sells("o1"), shop.sells("o2")];
    shop.spoils(answer);
    shop.runs_for(30 * MINUTE);
    let waits: Vec<OpId> = shop.outbox().iter().map(|op| op.id).collect();
    assert_eq!(waits, sold, "P3: both, and no other");
    for op in shop.outbox() {
        assert!(matches!(op.state, OpState::Queued { .. }) && op.is_sealed(), "{op:?}");
        assert_eq!(op.refusals, 0, "R8: {op:?}");
    }
    assert!(shop.is_shown("o1") && shop.is_shown("o2"), "P11");
    let status = shop.engine.status();
    assert_eq!((status.kind, status.reason), (kind, reason));
    assert_eq!(status.connection.kind, connection, "P37: connected means that our server answered");
    let requests = shop.line.asked.borrow().len();
    assert!((2..=300).contains(&requests), "P9: {requests} requests in half an hour");
    shop.drains_by_itself();
    assert_eq!(shop.now(shop.engine.audit()).unwrap().applied, 3);
    shop
}

fn always(answer: Answer) -> impl Fn(&Line, &HttpRequest) -> Option<Answer> {
    move |_, _| Some(answer.clone())
}

/// As a push is answered; pulls are the server's own.
fn pushes(
    answer: impl Fn(&Line, &HttpRequest) -> HttpResponse,
) -> impl Fn(&Line, &HttpRequest) -> Option<Answer> {
    move |line, request| (request.method == Method::Post).then(|| Ok(answer(line, request)))
}

/// A1: no answer, a time-out, a body that breaks off: all the same, and the same bytes again.
#[test]
fn no_answer_is_asked_for_again() {
    let gone = always(Err(FetchError::Unreachable));
    meanwhile(gone, StatusKind::Offline, Some("unreachable"), "disconnected");
    // The server did it all, and only its word got lost.
    let lost = |line: &Line, request: &HttpRequest| {
        line.honest(request);
        Some(Err(FetchError::Unreachable))
    };
    meanwhile(lost, StatusKind::Offline, Some("unreachable"), "disconnected");
}

/// A2: what is not ours is no answer, and not being online.
#[test]
fn an_answer_that_is_not_ours_is_none() {
    let cut = |line: &Line, request: &HttpRequest| {
        let mut answer = line.honest(request);
        answer.body.truncate(answer.body.len() - 2);
        Some(Ok(answer))
    };
    let foreign = Some("foreign-response");
    meanwhile(cut, StatusKind::Offline, foreign, "disconnected");
    for answer in [
        portal(200),
        whole(204, "", ""),
        whole(200, "application/json", ""),
        whole(200, "application/json", r#"{"ok":true}"#),
        whole(200, "application/json", r#"{"holdfast":1,"outcomes":[]}"#),
        portal(502),
    ] {
        meanwhile(always(Ok(answer)), StatusKind::Offline, foreign, "disconnected");
    }
}

/// A3: each operation by its own verdict.
#[test]
fn verdicts_go_to_their_operations() {
    let mut shop = Shop::new();
    let sold = [shop.sells("o1"), shop.sells("o2"), shop.sells("o3")];
    let refused = json!({"opId": sold[1].to_string(), "kind": "rejected", "code": "validation",
        "message": "no", "final": true});
    shop.spoils(pushes(move |line, request| {
        line.changed(request, |outcomes| {
            if let Some(slot) = outcomes.iter_mut().find(|it| it["opId"] == refused["opId"]) {
                *slot = refused.clone();
            }
        })
    }));
    shop.runs_for(MINUTE);
    let outbox = shop.outbox();
    assert_eq!(outbox.iter().map(|op| op.id).collect::<Vec<_>>(), [sold[1]]);
    assert!(matches!(outbox[0].state, OpState::Parked(_)));
    assert_eq!(shop.now(shop.engine.audit()).unwrap().applied, 3, "with the first sale");
}

/// A4: what is missing from an answer is asked again, and the rest goes on.
#[test]
fn what_is_missing_is_asked_again() {
    let mut shop = Shop::new();
    shop.line.silent.set(true);
    let sold = [shop.sells("o1"), shop.sells("o2")];
    let missing = sold[0].to_string();
    shop.spoils(pushes(move |line, request| {
        line.changed(request, |outcomes| outcomes.retain(|it| it["opId"] != missing.as_str()))
    }));
    shop.runs_for(5 * MINUTE);
    assert_eq!(shop.outbox().iter().map(|op| op.id).collect::<Vec<_>>(), [sold[0]]);
    assert!(shop.outbox()[0].sends > 1 && shop.outbox()[0].refusals == 0);
    shop.drains_by_itself();
}

/// A5: verdicts on what nobody sent are noise, and their order says nothing.
#[test]
fn noise_in_an_answer_is_passed_over() {
    let mut shop = Shop::new();
    shop.sells("o1");
    shop.sells("o2");
    shop.spoils(pushes(|line, request| {
        line.changed(request, |outcomes| {
            outcomes.reverse();
            outcomes.insert(0, json!({"opId": "nobody's", "kind": "what"}));
            outcomes.push(json!({"opId": "00000000-0000-7000-8000-000000000000", "kind": "retry"}));
        })
    }));
    shop.runs_for(MINUTE);
    assert_eq!(shop.outbox(), []);
    assert_eq!(shop.line.pushes().len(), 1);
}

/// A6: the same verdict twice is one verdict.
#[test]
fn a_verdict_that_comes_twice_counts_once() {
    let mut shop = Shop::new();
    shop.sells("o1");
    shop.spoils(pushes(|line, request| {
        line.changed(request, |outcomes| outcomes.extend(outcomes.clone()))
    }));
    shop.runs_for(MINUTE);
    assert_eq!(shop.outbox(), []);
    assert_eq!(shop.now(shop.engine.audit()).unwrap().applied, 2, "R10");
}

/// A7: an answer that contradicts itself, has wrong types or an unknown word is worth nothing, for all that it speaks of.
#[test]
fn nonsense_is_a_protocol_error_of_the_whole_answer() {
    let twice = |outcomes: &mut Vec<Value>| {
        let mut other = outcomes[0].clone();
        other["version"] = json!(7);
        outcomes.push(other);
    };
    let typed = |outcomes: &mut Vec<Value>| outcomes[0]["version"] = json!("1");
    let word = |outcomes: &mut Vec<Value>| outcomes[0]["kind"] = json!("accepted");
    for nonsense in [twice as fn(&mut Vec<Value>), typed, word] {
        let spoil = pushes(move |line, request| line.changed(request, nonsense));
        let shop = meanwhile(spoil, StatusKind::Pending, Some("protocol-error"), "limited");
        let sizes: Vec<usize> = shop.line.pushes().iter().map(|(_, all)| all.len()).collect();
        assert_eq!(sizes[..2], [2, 1], "smaller requests: the poison stands alone in the end");
    }
}

/// A7, P10: one operation that makes the server talk nonsense holds up no other.
#[test]
fn nonsense_about_one_operation_holds_up_no_other() {
    let mut shop = Shop::new();
    shop.line.silent.set(true);
    let sold = [shop.sells("o1"), shop.sells("o2"), shop.sells("o3")];
    let poison = sold[1].to_string();
    shop.spoils(pushes(move |line, request| {
        line.changed(request, |outcomes| {
            for outcome in outcomes.iter_mut().filter(|it| it["opId"] == poison.as_str()) {
                outcome["kind"] = json!("accepted");
            }
        })
    }));
    shop.runs_for(30 * MINUTE);
    assert_eq!(shop.outbox().iter().map(|op| op.id).collect::<Vec<_>>(), [sold[1]]);
    shop.drains_by_itself();
}

/// A8, P10: a refused request is halved until the operation that it is about stands alone; then it is that one's refusal.
#[test]
fn a_refused_request_is_halved() {
    for status in [400, 415, 422] {
        let mut shop = Shop::new();
        let sold: Vec<OpId> = (1..=5).map(|n| shop.sells(&format!("o{n}"))).collect();
        let poison = sold[3].to_string();
        shop.spoils(move |_, request| {
            let has = request.body.as_ref().is_some_and(|body| body.contains(&poison));
            has.then(|| Ok(problem(status)))
        });
        shop.runs_for(30 * MINUTE);
        let outbox = shop.outbox();
        assert_eq!(outbox.iter().map(|op| op.id).collect::<Vec<_>>(), [sold[3]], "{status}");
        assert!(matches!(outbox[0].state, OpState::Parked(_)), "{status}: {outbox:?}");
        assert_eq!(shop.now(shop.engine.audit()).unwrap().applied, 5, "{status}");
        shop.resent_unchanged();
    }
}

/// A9, P32: a refused token is renewed once for each request, and costs no operation; the application is told.
#[test]
fn a_refused_token_costs_nothing() {
    let refused = always(Ok(problem(401)));
    let shop = meanwhile(refused, StatusKind::AuthRequired, None, "limited");
    assert!(shop.line.forgotten.get() >= 1);
    assert!(shop.events.borrow().contains(&Event::AuthRequired));
}

/// A10: a gateway's 403 is never taken for the refusal of a queue; it is asked slowly.
#[test]
fn a_forbidden_request_is_a_state_and_no_verdict() {
    for answer in [problem(403), portal(403), portal(402)] {
        let forbidden = always(Ok(answer));
        meanwhile(forbidden, StatusKind::BlockedByServer, Some("forbidden"), "limited");
    }
}

/// A11: an address where nothing is.
#[test]
fn a_wrong_address_is_a_state_and_no_verdict() {
    for status in [404, 405, 501] {
        let nothing = always(Ok(portal(status)));
        meanwhile(nothing, StatusKind::BlockedByServer, Some("misconfigured"), "limited");
    }
}

/// A12: later, in our server's words or with a time.
#[test]
fn later_is_asked_later() {
    for status in [408, 425, 429, 500, 502, 503, 504, 507] {
        let later = always(Ok(problem(status)));
        meanwhile(later, StatusKind::Pending, Some("rate-limited"), "limited");
    }
}

/// A12, P9: a wish of the server, or of the gateway before it, is a lower bound.
#[test]
fn a_wish_to_wait_is_respected() {
    for mut answer in [problem(429), portal(503)] {
        let mut shop = Shop::new();
        answer.retry_after = Some("600".to_owned());
        shop.sells("o1");
        shop.spoils(always(Ok(answer)));
        shop.runs_for(HOUR);
        let asked: Vec<u64> = shop.line.asked.borrow().iter().map(|(at, _)| *at).collect();
        assert!(asked.len() >= 4, "{asked:?}");
        let waits = asked.windows(2).all(|pair| pair[1] - pair[0] >= 10 * MINUTE);
        assert!(waits, "{asked:?}");
        shop.drains_by_itself();
    }
}

/// A13: a 409 for the whole request is a first copy that still runs; the same is sent again.
#[test]
fn a_request_that_still_runs_is_repeated_unchanged() {
    let running = pushes(|_, _| problem(409));
    meanwhile(running, StatusKind::Pending, Some("rate-limited"), "limited");
}

/// A14: a conflict is its operation's own; the others go on.
#[test]
fn a_conflict_in_an_answer_is_one_operations() {
    let mut shop = Shop::new();
    let sold = [shop.sells("o1"), shop.sells("o2")];
    let conflict = json!({"opId": sold[0].to_string(), "kind": "conflict", "version": 3,
        "document": {"n": 7}, "at": START});
    shop.spoils(pushes(move |line, request| {
        line.changed(request, |outcomes| {
            for outcome in outcomes.iter_mut().filter(|it| it["opId"] == conflict["opId"]) {
                *outcome = conflict.clone();
            }
        })
    }));
    shop.runs_for(MINUTE);
    assert_eq!(shop.outbox().iter().map(|op| op.id).collect::<Vec<_>>(), [sold[0]]);
    assert_eq!(shop.now(shop.engine.conflicts()).unwrap().len(), 1);
}

/// A15, P3: a cursor that is too old, in the middle of work: everything is pulled anew, and the outbox is as it was.
#[test]
fn a_cursor_that_is_too_old_costs_no_work() {
    let mut shop = Shop::new();
    let sold = shop.sells("o1");
    shop.spoils(|_, request| match request.method {
        Method::Post => Some(Err(FetchError::Unreachable)),
        Method::Get | Method::Put | Method::Delete => None,
    });
    shop.line.store.borrow_mut().set_epoch("e2");
    shop.runs_for(10 * MINUTE);
    assert_eq!(shop.outbox().iter().map(|op| op.id).collect::<Vec<_>>(), [sold]);
    assert!(shop.is_shown("o0") && shop.is_shown("o1"));
    let asked = shop.line.asked.borrow().clone();
    let anew =
        asked.iter().filter(|(_, it)| it.method == Method::Get && !it.url.contains("cursor"));
    assert_eq!(anew.count(), 1, "one full pull");
    shop.drains_by_itself();
}

/// A16: what is too large is halved and the limit remembered; alone it is that operation's refusal.
#[test]
fn a_request_that_is_too_large_is_halved_for_good() {
    let mut shop = Shop::new();
    for n in 1..=6 {
        shop.sells(&format!("o{n}"));
    }
    let too_large = |_: &Line, request: &HttpRequest| {
        let operations = request.body.as_ref().map_or(0, |it| it.matches("opId").count());
        (operations > 3).then(|| Ok(portal(413)))
    };
    shop.spoils(too_large);
    shop.runs_for(MINUTE);
    assert_eq!(shop.outbox(), []);
    let sizes = |shop: &Shop| -> Vec<usize> {
        shop.line.pushes().iter().map(|(_, all)| all.len()).collect()
    };
    assert_eq!(sizes(&shop), [6, 3, 3]);
    for n in 7..=12 {
        shop.sells(&format!("o{n}"));
    }
    shop.runs_for(MINUTE);
    assert_eq!(sizes(&shop), [6, 3, 3, 3, 3], "remembered");
    shop.spoils(always(Ok(portal(413))));
    shop.sells("o13");
    shop.runs_for(MINUTE);
    let parked = shop.outbox();
    assert_eq!(parked.len(), 1);
    assert!(matches!(parked[0].state, OpState::Parked(_)), "{parked:?}");
}

/// A17: a pull that comes to where it began, and says there is more, is not asked for round and round.
#[test]
fn a_pull_without_progress_stops() {
    let mut shop = Shop::new();
    shop.sells("o1");
    let stuck = |line: &Line, request: &HttpRequest| {
        let cursor = request.url.split_once("&cursor=").map(|(_, it)| it.to_owned());
        let mut answer = line.honest(request);
        let mut body: Value = serde_json::from_str(&answer.body).unwrap();
        if request.method == Method::Get {
            body["more"] = json!(true);
            if let Some(cursor) = cursor {
                body["cursor"] = json!(cursor);
            }
        }
        answer.body = body.to_string();
        Some(Ok(answer))
    };
    shop.spoils(stuck);
    shop.runs_for(30 * MINUTE);
    let requests = shop.line.asked.borrow().len();
    assert!((2..=120).contains(&requests), "P9: {requests} requests in half an hour");
    let status = shop.engine.status();
    assert_eq!((status.kind, status.reason), (StatusKind::Pending, Some("protocol-error")));
    shop.drains_by_itself();
}
