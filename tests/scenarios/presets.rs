//! What degrades on each wire, and what Holdfast does about it: each line of the tables in docs/presets/ is a test here, run
//! through the engine against a server that says what it is told to say.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use holdfast::engine::{Config, Engine, Entity, WriteRequest};
use holdfast::memory::MemoryStore;
use holdfast::memory::contract::block_on;
use holdfast::model::{
    Choice, Code, CollectionRules, Conflict, Cursor, EntityKey, FieldRule, Millis, OpId, OpState,
    Parked, Policies, Rules, Scope, Strategy,
};
use holdfast::plan::write::Action;
use holdfast::port::{Fetch, FetchError, HttpRequest, HttpResponse, Method};
use holdfast::protocol::Protocol;
use holdfast::protocol::preset::{
    ARX_OS, AURA_CONNECT, AURA_CONNECT_MOBILE, PAY_TRACK, PRESETS, Preset, TRACK_VAULT,
};
use holdfast::query::read_query;

use crate::desk::{Clockwork, Desk, wire};
use crate::till::doc;
use crate::world::Lots;

/// What the server says to one request.
enum Line {
    Says(u16, String),
    /// It did it; the answer is lost.
    Lost,
}

/// A server that reads from a script where a request is in it, and else has nothing new.
#[derive(Clone, Default)]
struct Scripted {
    script: Rc<RefCell<VecDeque<(&'static str, Line)>>>,
    asked: Rc<RefCell<Vec<HttpRequest>>>,
}

/// Nothing new, in the words of every wire at once: what a wire does not know it passes over.
const NOTHING: &str = r#"{"success":true,"results":[],"changes":{},"next_cursor":"c0","has_more":false,"hasMore":false,
    "timestamp":"2025-11-20T15:00:00.000Z","delta":{"version":7,"changes":[],"has_more":false},"data":[],
    "meta":{"current_page":1,"last_page":1},"id":"b-42","updated_at":"2025-11-20T15:00:00Z","equipment":[],"anchors":[],
    "updates":[],"deletes":[],"last_sync":"2025-11-20T15:00:00Z"}"#;

impl Scripted {
    /// The next request whose address ends so, or whose body has it, gets this answer.
    fn says(&self, to: &'static str, status: u16, body: &str) {
        self.script.borrow_mut().push_back((to, Line::Says(status, body.to_owned())));
    }

    fn loses(&self, to: &'static str) {
        self.script.borrow_mut().push_back((to, Line::Lost));
    }

    /// The bodies of requests to an address, in order.
    fn bodies(&self, to: &str) -> Vec<String> {
        let asked = self.asked.borrow();
        let ours = asked.iter().filter(|it| it.url.ends_with(to));
        ours.map(|it| it.body.clone().unwrap_or_default()).collect()
    }

    fn urls(&self) -> Vec<String> {
        self.asked.borrow().iter().map(|it| it.url.clone()).collect()
    }

    fn is_over(&self) -> bool {
        self.script.borrow().is_empty()
    }
}

impl Fetch for Scripted {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        self.asked.borrow_mut().push(request.clone());
        let body = request.body.clone().unwrap_or_default();
        let mut script = self.script.borrow_mut();
        let place = script.iter().position(|(to, _)| {
            request.url.ends_with(to) || request.url.contains(to) || body.contains(to)
        });
        let line = place.and_then(|at| script.remove(at));
        let (status, body) = match line {
            Some((_, Line::Says(status, body))) => (status, body),
            Some((_, Line::Lost)) => return Err(FetchError::Unreachable),
            None if request.url.ends_with("/sync/pull?limit=100")
                || request.url.contains("cursor=") =>
            {
                (200, NOTHING.replace("\"changes\":{}", "\"changes\":[]"))
            }
            None => (200, NOTHING.to_owned()),
        };
        let content_type = "application/json".to_owned();
        let etag = Some(format!("\"{}\"", body.len()));
        Ok(HttpResponse { status, content_type, retry_after: None, body, up: 0, etag })
    }

    fn forget_token(&self) {}
}

/// One device at one of the five backends.
struct Shop {
    engine: Rc<Engine<Desk<Scripted>>>,
    cycles: Pin<Box<dyn Future<Output = ()>>>,
    server: Scripted,
    clock: Clockwork,
}

impl Shop {
    fn new(preset: &Preset, collections: &[&str], strategy: Strategy) -> Self {
        let rules =
            CollectionRules { policies: Policies::all(strategy), ..CollectionRules::default() };
        Self::ruled(preset, collections, &rules)
    }

    fn ruled(preset: &Preset, collections: &[&str], rules: &CollectionRules) -> Self {
        let collections = collections.iter().map(|name| ((*name).to_owned(), rules.clone()));
        let mut rules = Rules { collections: collections.collect(), ..Rules::default() };
        let wire = wire(preset);
        wire.profile().rule(&mut rules);
        let (server, clock) = (Scripted::default(), Clockwork::default());
        let desk = Desk::new(MemoryStore::default(), wire, server.clone(), &clock, Lots::default());
        let engine = block_on(Engine::open(desk, Config { rules, ..Config::default() })).unwrap();
        let cycles = Box::pin(Rc::clone(&engine).run());
        Self { engine, cycles, server, clock }
    }

    /// Runs until a future is ready; at most a day of the shop's time.
    fn until<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut cx = Context::from_waker(Waker::noop());
        let idle = Cell::new(0_usize);
        while self.clock.0.now.get() < 86_400_000 {
            if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return value;
            }
            let _ = self.cycles.as_mut().poll(&mut cx);
            idle.set(idle.get() + 1);
            if idle.get().is_multiple_of(8) {
                let next = self.clock.0.alarms.borrow_mut().pop_first();
                let next = next.expect("P8: everybody waits, nobody for a time");
                self.clock.0.now.set(self.clock.0.now.get().max(next));
            }
        }
        panic!("P8: not in a day");
    }

    fn syncs(&mut self) {
        let engine = Rc::clone(&self.engine);
        let _ = self.until(engine.sync_now());
    }

    /// Until everything has its verdict; the script has been said then.
    fn drains(&mut self) {
        let engine = Rc::clone(&self.engine);
        self.until(engine.drain()).unwrap();
        assert!(self.server.is_over(), "the server was not asked all");
    }

    fn write(&self, collection: &str, id: &str, action: Action) -> Result<OpId, Code> {
        let (collection, id) = (collection.to_owned(), Some(id.to_owned()));
        let request = WriteRequest { collection, id, action, priority: None };
        block_on(self.engine.write(request)).map(|it| it.op).map_err(|error| error.code)
    }

    fn creates(&self, collection: &str, id: &str, text: &str) -> OpId {
        self.write(collection, id, Action::Create(doc(text))).unwrap()
    }

    fn patches(&self, collection: &str, id: &str, text: &str) -> OpId {
        self.write(collection, id, Action::Patch(doc(text))).unwrap()
    }

    fn get(&self, collection: &str, id: &str) -> Option<Entity> {
        block_on(self.engine.get(&EntityKey::new(collection, id))).unwrap()
    }

    fn count(&self, collection: &str) -> usize {
        let all = read_query("{}").unwrap();
        block_on(self.engine.list(collection, all)).unwrap().items.len()
    }

    fn shows(&self, collection: &str, id: &str) -> String {
        self.get(collection, id).map_or("nothing".to_owned(), |it| it.document.text().to_owned())
    }

    fn conflicts(&self) -> Vec<Conflict> {
        block_on(self.engine.conflicts()).unwrap()
    }

    /// The code of the operation that is parked.
    fn parked(&self) -> Vec<String> {
        let entries = block_on(self.engine.outbox()).unwrap();
        let code = |state: &OpState| {
            let OpState::Parked(Parked::Rejected { code, .. }) = state else { return None };
            Some(code.clone())
        };
        entries.iter().filter_map(|it| code(&it.op.state)).collect()
    }

    /// A record comes by a pull.
    fn pulls(&mut self, to: &'static str, body: &str) {
        self.server.says(to, 200, body);
        self.syncs();
    }
}

const AT: &str = "2025-11-20T15:00:00.000Z";

// PayTrack

fn pay(strategy: Strategy) -> Shop {
    Shop::new(&PAY_TRACK, &["suppliers", "payments"], strategy)
}

fn pay_page(version: u64, data: &str) -> String {
    format!(
        r#"{{"success":true,"changes":[{{"entity_type":"suppliers","entity_uuid":"s1","version":{version},"deleted":false,"updated_at":"{AT}","data":{data}}}],"next_cursor":"c1","has_more":false}}"#
    )
}

fn pay_says(results: &str) -> String {
    format!(r#"{{"success":true,"results":[{results}]}}"#)
}

const PAY_CONFLICT: &str = r#"{"id":1,"entity_uuid":"s1","status":"conflict","conflict":true,"clientVersion":3,"serverVersion":5,"serverDeleted":false,"serverData":{"name":"A","phone":"9"}}"#;

/// P5, rule R.
#[test]
fn paytrack_resends_the_same_words() {
    let mut shop = pay(Strategy::ServerWins);
    shop.creates("suppliers", "s1", r#"{"name":"A"}"#);
    shop.server.loses("/sync/push");
    shop.server.says(
        "/sync/push",
        200,
        &pay_says(r#"{"id":1,"entity_uuid":"s1","status":"success","version":1,"duplicate":true}"#),
    );
    shop.drains();
    let sent = shop.server.bodies("/sync/push");
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    assert_eq!(shop.get("suppliers", "s1").unwrap().version.as_deref(), Some("1"));
}

#[test]
fn paytrack_tells_null_as_absent() {
    let mut shop = pay(Strategy::ServerWins);
    shop.pulls("/sync/pull", &pay_page(3, r#"{"name":"A","phone":"1"}"#));
    let whole = doc(r#"{"name":"A","phone":null}"#);
    shop.write("suppliers", "s1", Action::Replace(whole)).unwrap();
    shop.server.says(
        "/sync/push",
        200,
        &pay_says(r#"{"id":1,"entity_uuid":"s1","status":"success","version":4}"#),
    );
    shop.drains();
    assert!(shop.server.bodies("/sync/push")[0].contains(r#""payload":{"phone":null}"#));
    shop.pulls("/sync/pull", &pay_page(5, r#"{"name":"A"}"#));
    assert_eq!(shop.shows("suppliers", "s1"), r#"{"name":"A"}"#);
}

#[test]
fn paytrack_makes_no_aliases() {
    let mut shop = pay(Strategy::ServerWins);
    shop.creates("suppliers", "s1", r#"{"name":"A"}"#);
    shop.server.says(
        "/sync/push",
        200,
        &pay_says(r#"{"id":1,"entity_uuid":"s1","status":"success","version":1}"#),
    );
    shop.drains();
    assert_eq!(shop.get("suppliers", "s1").unwrap().server_id, None);
}

/// R4.
#[test]
fn paytrack_merges_by_what_the_edit_found() {
    let mut shop = pay(Strategy::Merge);
    shop.pulls("/sync/pull", &pay_page(3, r#"{"name":"A","phone":"1"}"#));
    shop.patches("suppliers", "s1", r#"{"name":"B"}"#);
    shop.server.says("/sync/push", 200, &pay_says(PAY_CONFLICT));
    shop.server.says(
        r#""version":5,"payload":{"name":"B"}"#,
        200,
        &pay_says(r#"{"id":1,"entity_uuid":"s1","status":"success","version":6}"#),
    );
    shop.drains();
    assert_eq!(shop.shows("suppliers", "s1"), r#"{"name":"B","phone":"9"}"#);
}

/// P18.
#[test]
fn paytrack_yields_and_keeps_the_loser() {
    let mut shop = pay(Strategy::ServerWins);
    shop.pulls("/sync/pull", &pay_page(3, r#"{"name":"A","phone":"1"}"#));
    shop.patches("suppliers", "s1", r#"{"phone":"2"}"#);
    shop.server.says("/sync/push", 200, &pay_says(PAY_CONFLICT));
    shop.drains();
    assert_eq!(shop.shows("suppliers", "s1"), r#"{"name":"A","phone":"9"}"#);
    let conflicts = shop.conflicts();
    let mine = conflicts[0].mine.document().unwrap().text();
    assert!(conflicts[0].resolved.is_some() && mine.contains(r#""phone":"2""#), "{mine}");
}

#[test]
fn paytrack_reports_no_decision() {
    let mut shop = pay(Strategy::Manual);
    shop.pulls("/sync/pull", &pay_page(3, r#"{"name":"A","phone":"1"}"#));
    shop.patches("suppliers", "s1", r#"{"phone":"2"}"#);
    shop.server.says("/sync/push", 200, &pay_says(PAY_CONFLICT));
    shop.drains();
    let conflict = shop.conflicts()[0].id;
    block_on(shop.engine.resolve(conflict, Choice::Theirs)).unwrap();
    shop.drains();
    assert_eq!(shop.server.bodies("/sync/push").len(), 1);
}

/// R20.
#[test]
fn wires_without_times_say_so() {
    let times = PRESETS.iter().map(|preset| (preset.name, wire(preset).capabilities().times));
    let with: Vec<&str> = times.filter(|(_, times)| *times).map(|(name, _)| name).collect();
    assert_eq!(with, ["auraConnect", "trackVault", "arxOs"]);
}

// AuraConnect

fn aura(rules: &CollectionRules) -> Shop {
    Shop::ruled(&AURA_CONNECT, &["customers", "orders"], rules)
}

fn manual() -> CollectionRules {
    CollectionRules { policies: Policies::all(Strategy::Manual), ..CollectionRules::default() }
}

fn aura_says(collection: &str, results: &str) -> String {
    format!(r#"{{"results":{{"{collection}":[{results}]}},"timestamp":"{AT}"}}"#)
}

fn aura_page(collection: &str, row: &str) -> String {
    format!(r#"{{"changes":{{"{collection}":[{row}]}},"timestamp":"{AT}","hasMore":false}}"#)
}

const ORDER: &str = r#"{"localId":null,"serverId":"o-1","lastModified":"2025-11-20T14:00:00.000Z","syncStatus":"synced","isDeleted":false,"notes":"a","table":7}"#;

/// R15: the later edit waits for the version that the earlier one's verdict brings.
#[test]
fn auraconnect_tells_a_record_once() {
    let mut shop = aura(&CollectionRules { coalesce: false, ..manual() });
    shop.pulls("/pull", &aura_page("orders", ORDER));
    shop.patches("orders", "o-1", r#"{"notes":"b"}"#);
    shop.patches("orders", "o-1", r#"{"notes":"c"}"#);
    let success = |at: &str| {
        aura_says(
            "orders",
            &format!(
                r#"{{"localId":"o-1","serverId":"o-1","status":"success","lastModified":"{at}"}}"#
            ),
        )
    };
    shop.server.says(r#""notes":"b""#, 200, &success("2025-11-20T15:00:00.001Z"));
    shop.server.says(
        r#""serverModified":"2025-11-20T15:00:00.001Z""#,
        200,
        &success("2025-11-20T15:00:00.002Z"),
    );
    shop.drains();
    let sent = shop.server.bodies("/api/sync/push");
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|it| it.matches("localId").count() == 1), "{sent:?}");
    assert!(sent[1].contains(r#""notes":"c","table":7"#), "the whole record: {sent:?}");
}

/// R16: one record, by its own id, before any verdict came.
#[test]
fn auraconnect_knows_its_own_create_in_a_pull() {
    let mut shop = aura(&manual());
    shop.syncs();
    shop.creates("customers", "c-own", r#"{"name":"Ada"}"#);
    shop.server.loses("/push");
    shop.syncs();
    shop.server.says("/pull", 200, &aura_page("customers", r#"{"localId":"c-own","serverId":"cus_1","lastModified":"2025-11-20T15:00:00.001Z","syncStatus":"synced","isDeleted":false,"name":"Ada"}"#));
    shop.server.says(r#""serverId":null"#, 200, &aura_says("customers", r#"{"localId":"c-own","serverId":"cus_1","status":"success","lastModified":"2025-11-20T15:00:00.001Z","duplicate":true}"#));
    shop.syncs();
    shop.drains();
    assert_eq!(shop.count("customers"), 1);
    assert_eq!(shop.get("customers", "cus_1").unwrap().id, "c-own");
    assert_eq!(shop.get("customers", "c-own").unwrap().server_id.as_deref(), Some("cus_1"));
}

/// R20.
#[test]
fn auraconnect_decides_the_last_write_itself() {
    for (theirs, wins) in [("2025-01-01T00:00:00.000Z", true), ("2025-11-20T15:00:30.000Z", false)]
    {
        let mut rules = manual();
        rules.fields.insert("notes".to_owned(), FieldRule::LastWriteWins);
        let mut shop = aura(&rules);
        shop.pulls("/pull", &aura_page("orders", &ORDER.replace("2025-11-20T14", "2024-11-20T14")));
        shop.patches("orders", "o-1", r#"{"notes":"mine"}"#);
        let record = format!(
            r#"{{"localId":null,"serverId":"o-1","lastModified":"{theirs}","isDeleted":false,"notes":"theirs","table":7}}"#
        );
        shop.server.says(r#""notes":"mine""#, 200, &aura_says("orders", &format!(r#"{{"localId":"o-1","serverId":"o-1","status":"conflict","conflictType":"update-update","serverRecord":{record}}}"#)));
        if wins {
            shop.server.says(r#""serverModified":"2025-01-01T00:00:00.000Z""#, 200, &aura_says("orders", r#"{"localId":"o-1","serverId":"o-1","status":"success","lastModified":"2025-11-20T15:00:00.001Z"}"#));
        }
        shop.drains();
        let said = if wins { "mine" } else { "theirs" };
        assert!(shop.shows("orders", "o-1").contains(said), "{theirs}");
    }
}

/// R12, R16.
#[test]
fn auraconnect_orders_wait_for_their_customer() {
    let mut shop = aura(&manual());
    shop.creates("customers", "c-own", r#"{"name":"Ada"}"#);
    shop.creates("orders", "o-own", r#"{"customerId":"c-own"}"#);
    shop.server.says(r#""customers""#, 200, &aura_says("customers", r#"{"localId":"c-own","serverId":"cus_1","status":"success","lastModified":"2025-11-20T15:00:00.001Z"}"#));
    shop.server.says(r#""customerId":"cus_1""#, 200, &aura_says("orders", r#"{"localId":"o-own","serverId":"o-1","status":"success","lastModified":"2025-11-20T15:00:00.002Z"}"#));
    shop.drains();
    assert_eq!(shop.server.bodies("/api/sync/push").len(), 2);
    assert!(
        shop.shows("orders", "o-own").contains(r#""customerId":"c-own""#),
        "shown by its own id"
    );
}

#[test]
fn auraconnect_begins_a_cycle_five_seconds_early() {
    let mut shop = aura(&manual());
    shop.pulls("/pull?limit=500", &aura_page("orders", ORDER));
    shop.pulls("since=2025-11-20T14:59:55.000Z", &aura_page("orders", ORDER));
    assert_eq!(shop.shows("orders", "o-1"), r#"{"notes":"a","table":7}"#);
    assert!(shop.server.is_over());
}

// AuraConnect mobile

fn mobile(strategy: Strategy) -> Shop {
    Shop::new(&AURA_CONNECT_MOBILE, &["shifts", "menu", "orders"], strategy)
}

fn mobile_says(results: &str, version: u64, changes: &str) -> String {
    format!(
        r#"{{"results":[{results}],"delta":{{"version":{version},"changes":[{changes}],"has_more":false}}}}"#
    )
}

const PAID: &str = r#"{"id":501,"client_id":"501","version":3,"deleted":false,"updated_at":"2025-11-20T14:00:00.000Z","source":"pos","data":{"status":"open","notes":"n"}}"#;
const MOBILE_CONFLICT: &str = r#"{"client_id":"501","id":501,"status":"conflict","conflict_id":"cf_1","conflict_type":"update-update","client_version":3,"server_version":5,"server_deleted":false,"server_data":{"status":"void","notes":"n"}}"#;

#[test]
fn mobile_resends_the_same_words() {
    let mut shop = mobile(Strategy::Manual);
    shop.syncs();
    shop.creates("orders", "o-own", r#"{"status":"open"}"#);
    shop.server.loses("o-own");
    shop.server.says(
        "o-own",
        200,
        &mobile_says(
            r#"{"client_id":"o-own","id":7,"status":"confirmed","version":1,"duplicate":true}"#,
            7,
            "",
        ),
    );
    shop.drains();
    let sent = shop.server.bodies("/sync/orders");
    let sent: Vec<&String> = sent.iter().filter(|it| it.contains("o-own")).collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
}

#[test]
fn mobile_tells_null_as_absent() {
    let mut shop = mobile(Strategy::Manual);
    shop.pulls("/sync/orders", &mobile_says("", 8, PAID));
    shop.write("orders", "501", Action::Replace(doc(r#"{"status":"open","notes":null}"#))).unwrap();
    shop.server.says(
        r#""data":{"notes":null}"#,
        200,
        &mobile_says(r#"{"client_id":"501","id":501,"status":"confirmed","version":4}"#, 8, ""),
    );
    shop.drains();
}

/// R12: the order's shift has its verdict first, and is told by the number that it got.
#[test]
fn mobile_sends_shifts_first() {
    let mut shop = mobile(Strategy::Manual);
    shop.syncs();
    shop.creates("shifts", "s-own", r#"{"staff_id":4}"#);
    shop.creates("orders", "o-own", r#"{"shift_id":"s-own"}"#);
    shop.server.says(
        "s-own",
        200,
        &mobile_says(r#"{"client_id":"s-own","id":31,"status":"confirmed","version":1}"#, 7, ""),
    );
    shop.server.says(
        r#""shift_id":31"#,
        200,
        &mobile_says(r#"{"client_id":"o-own","id":7,"status":"confirmed","version":1}"#, 7, ""),
    );
    shop.drains();
    assert_eq!(shop.shows("orders", "o-own"), r#"{"shift_id":"s-own"}"#);
}

#[test]
fn mobile_pulls_by_an_empty_post() {
    let mut shop = mobile(Strategy::Manual);
    shop.syncs();
    let urls = shop.server.urls();
    assert_eq!(
        urls[..3],
        ["https://x/sync/shifts", "https://x/sync/menu", "https://x/sync/orders"]
    );
    let asked = shop.server.asked.borrow();
    assert!(asked.iter().all(|it| it.method == Method::Post), "{asked:?}");
    assert!(
        asked.iter().all(|it| !it.body.as_deref().unwrap_or_default().contains("0000-0000")),
        "the device is told"
    );
    assert!(asked[0].body.as_deref().unwrap_or_default().ends_with(r#""shifts":[]}"#));
}

#[test]
fn mobile_asks_again_for_a_lost_delta() {
    let mut shop = mobile(Strategy::Manual);
    shop.syncs();
    shop.creates("orders", "o-own", r#"{"status":"open"}"#);
    shop.server.loses("o-own");
    shop.server.says(
        "o-own",
        200,
        &mobile_says(r#"{"client_id":"o-own","id":502,"status":"confirmed","version":1}"#, 9, PAID),
    );
    shop.drains();
    let sent = shop.server.bodies("/sync/orders");
    let sent: Vec<&String> = sent.iter().filter(|it| it.contains("o-own")).collect();
    assert!(sent.iter().all(|it| it.contains(r#""since_version":7"#)), "{sent:?}");
    assert_eq!(shop.shows("orders", "501"), r#"{"status":"open","notes":"n"}"#);
}

/// P13: the changes that come with a refusal count, and the position with them.
#[test]
fn mobile_stores_verdicts_and_changes_together() {
    let mut shop = mobile(Strategy::Manual);
    shop.syncs();
    shop.creates("orders", "o-own", r#"{"status":"open"}"#);
    shop.server.says("o-own", 200, &mobile_says(r#"{"client_id":"o-own","id":null,"status":"rejected","code":"validation_failed","message":"no"}"#, 9, PAID));
    shop.drains();
    assert_eq!(shop.parked(), ["validation_failed"]);
    assert_eq!(shop.shows("orders", "501"), r#"{"status":"open","notes":"n"}"#);
    shop.syncs();
    let last = shop.server.bodies("/sync/orders").pop().unwrap();
    assert!(
        last.contains(r#""since_version":9"#) || last.contains(r#""since_version":7"#),
        "{last}"
    );
    let asked = shop.server.bodies("/sync/orders");
    assert!(asked.iter().any(|it| it.contains(r#""since_version":9"#)), "{asked:?}");
}

/// Others go on; nothing is parked and nothing is lost.
#[test]
fn mobile_pauses_one_endpoint() {
    let mut shop = mobile(Strategy::Manual);
    shop.syncs();
    shop.creates("menu", "m-own", r#"{"name":"Taco"}"#);
    shop.creates("orders", "o-own", r#"{"status":"open"}"#);
    shop.server.says("m-own", 403, r#"{"error":"forbidden","message":"admin only"}"#);
    shop.server.says(
        "o-own",
        200,
        &mobile_says(r#"{"client_id":"o-own","id":7,"status":"confirmed","version":1}"#, 7, ""),
    );
    shop.syncs();
    assert!(shop.get("orders", "o-own").unwrap().version.is_some(), "the order went on");
    assert!(shop.parked().is_empty());
    let menu = |shop: &Shop| {
        shop.server.bodies("/sync/menu").iter().filter(|it| it.contains("m-own")).count()
    };
    shop.syncs();
    assert_eq!(menu(&shop), 1, "it waits");
    shop.server.says(
        "m-own",
        200,
        &mobile_says(r#"{"client_id":"m-own","id":8,"status":"confirmed","version":1}"#, 7, ""),
    );
    shop.drains();
    assert_eq!(menu(&shop), 2);
}

/// A decision is an operation: told to the server's own endpoint; an ordinary update where that does not know the conflict.
#[test]
fn mobile_tells_a_decision() {
    for known in [true, false] {
        let mut shop = mobile(Strategy::Manual);
        shop.pulls("/sync/orders", &mobile_says("", 8, PAID));
        shop.patches("orders", "501", r#"{"status":"paid"}"#);
        shop.server.says(r#""base_version":3"#, 200, &mobile_says(MOBILE_CONFLICT, 8, ""));
        shop.drains();
        let conflict = shop.conflicts()[0].id;
        block_on(shop.engine.resolve(conflict, Choice::Mine)).unwrap();
        if known {
            shop.server.says("/conflict/resolve", 200, r#"{"conflict_id":"cf_1","id":501,"status":"resolved","version":6,"data":{"status":"paid","notes":"n"}}"#);
        } else {
            shop.server.says(
                "/conflict/resolve",
                404,
                r#"{"error":"conflict_not_found","message":"unknown conflict"}"#,
            );
            shop.server.says(
                r#""base_version":5"#,
                200,
                &mobile_says(
                    r#"{"client_id":"501","id":501,"status":"confirmed","version":6}"#,
                    8,
                    "",
                ),
            );
        }
        shop.drains();
        let told = shop.server.bodies("/sync/conflict/resolve");
        assert!(
            told[0].contains(r#""conflict_id":"cf_1""#)
                && told[0].ends_with(r#""base_version":5,"data":{"status":"paid"}}"#),
            "{told:?}"
        );
        assert_eq!(shop.get("orders", "501").unwrap().version.as_deref(), Some("6"), "{known}");
    }
}

/// Where the record moved on the conflict is open again, with the new sides.
#[test]
fn mobile_opens_a_conflict_again() {
    let mut shop = mobile(Strategy::Manual);
    shop.pulls("/sync/orders", &mobile_says("", 8, PAID));
    shop.patches("orders", "501", r#"{"status":"paid"}"#);
    shop.server.says(r#""base_version":3"#, 200, &mobile_says(MOBILE_CONFLICT, 8, ""));
    shop.drains();
    let conflict = shop.conflicts()[0].id;
    block_on(shop.engine.resolve(conflict, Choice::Mine)).unwrap();
    shop.server.says("/conflict/resolve", 409, r#"{"error":"conflict_moved","message":"record changed","conflict":{"conflict_id":"cf_2","id":501,"client_version":5,"server_version":6,"server_deleted":false,"server_data":{"status":"void","notes":"x"}}}"#);
    shop.drains();
    let open: Vec<Conflict> =
        shop.conflicts().into_iter().filter(|it| it.resolved.is_none()).collect();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].token.as_deref(), Some("cf_2"));
    assert_eq!(open[0].theirs.document().unwrap().text(), r#"{"status":"void","notes":"x"}"#);
}

// TrackVault

fn vault(strategy: Strategy) -> Shop {
    Shop::new(
        &TRACK_VAULT,
        &["supplier", "product", "product_rate", "collection", "payment"],
        strategy,
    )
}

fn row(id: u64, at: &str, version: u64) -> String {
    format!(
        r#"{{"id":{id},"code":"S{id}","version":{version},"created_at":"{at}","updated_at":"{at}","deleted_at":null}}"#
    )
}

fn vault_page(rows: &[String], page: u64, pages: u64) -> String {
    format!(
        r#"{{"data":[{}],"meta":{{"current_page":{page},"last_page":{pages}}}}}"#,
        rows.join(",")
    )
}

const EARLY: &str = "2025-11-20T14:00:00.000000Z";
const LATE: &str = "2025-11-20T14:00:09.000000Z";

/// A row that moves to the end while the list is read is not skipped, and neither is what it moved up.
#[test]
fn trackvault_reads_a_list_that_moves() {
    let mut shop = vault(Strategy::ServerWins);
    shop.server.says(
        "/api/suppliers?with_trashed=1&page=1",
        200,
        &vault_page(&[row(1, EARLY, 1), row(2, LATE, 1)], 1, 2),
    );
    // Row 1 moved meanwhile; page 2 of the old question would begin behind row 3.
    shop.server.says(
        "updated_since=2025-11-20T14:00:09Z&with_trashed=1&page=1",
        200,
        &vault_page(&[row(2, LATE, 1), row(3, LATE, 1)], 1, 2),
    );
    // A whole page of one second: now the next page.
    shop.server.says(
        "updated_since=2025-11-20T14:00:09Z&with_trashed=1&page=2",
        200,
        &vault_page(&[row(1, "2025-11-20T14:00:10.000000Z", 2)], 2, 2),
    );
    shop.syncs();
    assert!(shop.server.is_over(), "{:?}", shop.server.urls());
    assert_eq!(shop.count("supplier"), 3);
    assert_eq!(shop.get("supplier", "1").unwrap().version.as_deref(), Some("2"));
}

#[test]
fn trackvault_repeats_the_border_second() {
    let mut shop = vault(Strategy::ServerWins);
    shop.pulls("/api/suppliers", &vault_page(&[row(1, LATE, 1)], 1, 1));
    // A change in the same second differs by its version alone.
    shop.pulls(
        "/api/suppliers?updated_since=2025-11-20T14:00:04Z",
        &vault_page(&[row(1, LATE, 2)], 1, 1),
    );
    assert!(shop.server.is_over());
    assert_eq!(shop.get("supplier", "1").unwrap().version.as_deref(), Some("2"));
}

#[test]
fn trackvault_takes_the_entity_for_the_base() {
    let mut shop = vault(Strategy::ServerWins);
    let op = shop.creates("supplier", "own", r#"{"code":"S9","mood":"good"}"#);
    let said = format!(
        r#"{{"results":[{{"local_id":"{op}","entity_type":"supplier","operation_type":"create","entity_id":9,"status":"success","version":1,"entity":{}}}]}}"#,
        row(9, LATE, 1)
    );
    shop.server.says("/api/sync", 200, &said);
    shop.drains();
    assert_eq!(shop.shows("supplier", "own"), r#"{"code":"S9"}"#);
    assert_eq!(shop.get("supplier", "9").unwrap().id, "own");
}

/// R12, R16.
#[test]
fn trackvault_waits_for_the_id_it_refers_to() {
    let mut shop = vault(Strategy::ServerWins);
    let first = shop.creates("supplier", "own", r#"{"code":"S9"}"#);
    let second = shop.creates("product", "tea", r#"{"supplier_id":"own"}"#);
    shop.server.says(r#""entity_type":"supplier""#, 200, &format!(r#"{{"results":[{{"local_id":"{first}","entity_id":9,"status":"success","version":1,"entity":{}}}]}}"#, row(9, LATE, 1)));
    shop.server.says(r#""supplier_id":9"#, 200, &format!(r#"{{"results":[{{"local_id":"{second}","entity_id":4,"status":"success","version":1,"entity":{{"id":4,"supplier_id":9,"version":1,"updated_at":"{LATE}","deleted_at":null}}}}]}}"#));
    shop.drains();
    assert_eq!(shop.shows("product", "tea"), r#"{"supplier_id":"own"}"#);
}

/// P29: the same device always has the same name, and nothing needs to be stored for it.
#[test]
fn trackvault_names_the_device_by_its_id() {
    let mut shop = vault(Strategy::ServerWins);
    shop.creates("supplier", "own", r#"{"code":"S9"}"#);
    shop.server.loses("/api/sync");
    shop.syncs();
    let sent = shop.server.bodies("/api/sync").remove(0);
    let name = sent.split('"').nth(3).unwrap().to_owned();
    let parts: Vec<&str> = name.split('_').collect();
    let digits = parts[1].bytes().all(|it| it.is_ascii_digit());
    let letters = parts[2].bytes().all(|it| it.is_ascii_digit() || it.is_ascii_lowercase());
    assert!(
        parts[0] == "device" && parts[1].len() == 13 && digits && parts[2].len() == 8 && letters,
        "{name}"
    );
}

#[test]
fn trackvault_sends_ten_at_a_time() {
    let mut shop = vault(Strategy::ServerWins);
    let ops: Vec<OpId> =
        (0..11).map(|n| shop.creates("supplier", &format!("own-{n}"), "{}")).collect();
    let results = |ops: &[OpId], from: u64| {
        let results = ops.iter().zip(from..).map(|(op, n)| format!(r#"{{"local_id":"{op}","entity_id":{n},"status":"success","version":1,"entity":null}}"#));
        format!(r#"{{"results":[{}]}}"#, results.collect::<Vec<_>>().join(","))
    };
    shop.server.says("/api/sync", 200, &results(&ops[..10], 1));
    shop.server.says("/api/sync", 200, &results(&ops[10..], 11));
    shop.drains();
    assert_eq!(shop.server.bodies("/api/sync").len(), 2);
}

#[test]
fn trackvault_parks_a_reused_id() {
    let mut shop = vault(Strategy::ServerWins);
    let op = shop.creates("supplier", "own", "{}");
    shop.server.says("/api/sync", 200, &format!(r#"{{"results":[{{"local_id":"{op}","status":"failed","error_code":"local_id_reused","error_message":"used before"}}]}}"#));
    shop.drains();
    assert_eq!(shop.parked(), ["local_id_reused"]);
    let again = block_on(shop.engine.retry(op, None)).unwrap();
    assert_ne!(again, op);
    shop.server.says("/api/sync", 200, &format!(r#"{{"results":[{{"local_id":"{again}","entity_id":9,"status":"success","version":1,"entity":null}}]}}"#));
    shop.drains();
}

// ArxOS

fn arx(strategy: Strategy) -> Shop {
    Shop::new(&ARX_OS, &["building", "equipment", "anchor"], strategy)
}

fn machine(id: &str, version: u64, name: &str) -> String {
    format!(
        r#"{{"id":"{id}","name":"{name}","version":{version},"updated_at":"2025-11-20T14:00:00Z"}}"#
    )
}

fn machines(rows: &[String]) -> String {
    format!(r#"{{"equipment":[{}],"last_sync":"2025-11-20T15:00:00.5Z"}}"#, rows.join(","))
}

const BATCH: &str = "/sync/batch";

/// R15: a verdict names an id, and not whose.
#[test]
fn arxos_puts_no_id_twice_into_a_batch() {
    let mut shop = arx(Strategy::Manual);
    for n in 0..10 {
        shop.creates("equipment", &format!("e{n}"), r#"{"name":"x"}"#);
    }
    shop.creates("anchor", "e0", r#"{"confidence":1}"#);
    let all = r#"{"success":["e0","e1","e2","e3","e4","e5","e6","e7","e8","e9"],"conflicts":[],"errors":[]}"#;
    shop.server.says(r#""entity_id":"e9""#, 200, all);
    shop.server.says(
        r#""entity_type":"anchor""#,
        200,
        r#"{"success":["e0"],"conflicts":null,"errors":null}"#,
    );
    shop.drains();
    assert_eq!(shop.server.bodies(BATCH).len(), 2);
}

/// WIRES 4 (2): our write may have been applied before somebody else's.
#[test]
fn arxos_yields_when_a_repeat_meets_a_conflict() {
    for repeated in [true, false] {
        let mut shop = arx(Strategy::ClientWins);
        shop.pulls("/equipment/building/b-42", &machines(&[machine("e1", 4, "a")]));
        shop.patches("equipment", "e1", r#"{"name":"mine"}"#);
        if repeated {
            shop.server.loses(r#""name":"mine""#);
        }
        let theirs = machine("e1", 6, "theirs");
        shop.server.says(
            r#""version":4"#,
            409,
            &format!(
                r#"{{"error":"version conflict","code":"conflict","server_version":{theirs}}}"#
            ),
        );
        if !repeated {
            shop.server.says(r#""version":6"#, 200, &machine("e1", 7, "mine"));
        }
        shop.drains();
        let stands = if repeated { "theirs" } else { "mine" };
        assert!(shop.shows("equipment", "e1").contains(stands), "{repeated}");
        assert_eq!(shop.conflicts().len(), 1, "what lost is kept");
    }
}

/// WIRES 4 (2): it was made, and somebody removed it before we heard so. A create that leaves for the first time makes it anew.
#[test]
fn arxos_leaves_removed_what_a_repeated_create_made() {
    for repeated in [true, false] {
        let mut shop = arx(Strategy::ClientWins);
        shop.creates("equipment", "e1", r#"{"name":"mine"}"#);
        if repeated {
            shop.server.loses(r#""name":"mine""#);
        }
        let gone = r#"{"error":"deleted","code":"conflict","server_version":null}"#;
        shop.server.says(r#""name":"mine""#, 409, gone);
        if !repeated {
            shop.server.says(r#""force":true"#, 200, &machine("e1", 3, "mine"));
        }
        shop.drains();
        assert_eq!(shop.get("equipment", "e1").is_none(), repeated);
        assert_eq!(shop.conflicts().len(), usize::from(repeated), "P18: what lost is kept");
    }
}

/// WIRES 4 (3).
#[test]
fn arxos_wins_by_the_version_and_not_by_force() {
    let mut shop = arx(Strategy::ClientWins);
    shop.pulls("/equipment/building/b-42", &machines(&[machine("e1", 4, "a")]));
    shop.patches("equipment", "e1", r#"{"name":"mine"}"#);
    shop.server.says(
        r#""version":4"#,
        409,
        &format!(
            r#"{{"error":"version conflict","code":"conflict","server_version":{}}}"#,
            machine("e1", 6, "theirs")
        ),
    );
    shop.server.says(r#""version":6"#, 200, &machine("e1", 7, "mine"));
    shop.drains();
    assert!(shop.server.bodies("/equipment/e1").iter().all(|it| !it.contains("force")));
    shop.patches("equipment", "e1", r#"{"name":"again"}"#);
    shop.server.says(
        r#""version":7"#,
        409,
        r#"{"error":"deleted","code":"conflict","server_version":null}"#,
    );
    shop.server.says(r#""force":true"#, 200, &machine("e1", 9, "again"));
    shop.drains();
    assert_eq!(
        shop.get("equipment", "e1").unwrap().version.as_deref(),
        Some("9"),
        "a tombstone has no version"
    );
}

/// WIRES 4 (4): a guess, which a pulled row of the same version replaces.
#[test]
fn arxos_guesses_the_next_version() {
    let mut shop = arx(Strategy::Manual);
    shop.pulls(
        "/equipment/building/b-42",
        &machines(&[machine("e1", 4, "a"), machine("e2", 2, "b")]),
    );
    shop.patches("equipment", "e1", r#"{"name":"mine"}"#);
    shop.write("equipment", "e2", Action::Remove).unwrap();
    shop.server.says(BATCH, 200, r#"{"success":["e1","e2"],"conflicts":[],"errors":[]}"#);
    shop.drains();
    assert_eq!(shop.get("equipment", "e1").unwrap().version.as_deref(), Some("5"));
    shop.pulls("updates?since", &format!(r#"{{"updates":[{{"equipment":{},"updated_at":"{AT}"}}],"deletes":[],"last_sync":"{AT}"}}"#, machine("e1", 5, "Mine")));
    assert!(shop.shows("equipment", "e1").contains("Mine"), "the server's own words");
}

/// WIRES 4 (5).
#[test]
fn arxos_deletes_in_a_batch() {
    let mut shop = arx(Strategy::Manual);
    shop.pulls("/equipment/building/b-42", &machines(&[machine("e1", 4, "a")]));
    shop.write("equipment", "e1", Action::Remove).unwrap();
    shop.server.says(
        r#""operation":"delete","payload":{"version":4}"#,
        200,
        r#"{"success":["e1"],"conflicts":[],"errors":[]}"#,
    );
    shop.drains();
    assert_eq!(shop.shows("equipment", "e1"), "nothing");
    let asked = shop.server.asked.borrow();
    assert!(asked.iter().all(|it| it.method != Method::Delete));
}

/// WIRES 4 (6): also one that has an unsent edit here, which is a conflict then.
#[test]
fn arxos_knows_what_left_the_list() {
    let mut shop = arx(Strategy::Manual);
    let anchors = |ids: &[&str]| {
        let rows: Vec<String> = ids.iter().map(|id| machine(id, 1, "x")).collect();
        format!(r#"{{"anchors":[{}],"last_sync":"{AT}"}}"#, rows.join(","))
    };
    shop.pulls("/anchors/building/b-42", &anchors(&["a1", "a2"]));
    shop.creates("anchor", "a3", r#"{"name":"new"}"#);
    // Its answer is lost, so that the next cycle begins with a pull.
    shop.server.loses("/mobile/anchors");
    shop.syncs();
    shop.pulls("/anchors/building/b-42", &anchors(&["a2"]));
    assert_eq!(shop.shows("anchor", "a1"), "nothing");
    assert_ne!(shop.shows("anchor", "a2"), "nothing");
    assert_ne!(shop.shows("anchor", "a3"), "nothing", "what was never there did not leave");
}

/// WIRES 4 (6): a record of our own may be removed elsewhere before a list names it.
#[test]
fn arxos_knows_what_never_came_into_the_list() {
    let mut shop = arx(Strategy::Manual);
    shop.syncs();
    shop.creates("anchor", "a1", r#"{"name":"new"}"#);
    shop.server.says("/mobile/anchors", 201, &machine("a1", 1, "new"));
    shop.drains();
    assert!(shop.server.is_over());
    shop.syncs();
    assert_eq!(shop.shows("anchor", "a1"), "nothing");
}

/// WIRES 4: `ETag` and `If-None-Match` of the list that is read whole.
#[test]
fn arxos_asks_for_changed_anchors_only() {
    let list = format!(r#"{{"anchors":[{}],"last_sync":"{AT}"}}"#, machine("a1", 1, "x"));
    let mut shop = arx(Strategy::Manual);
    shop.pulls("/anchors/building/b-42", &list);
    // It is as it was: there is no body to read, and nothing went.
    shop.server.says("/anchors/building/b-42", 304, "");
    shop.syncs();
    assert!(shop.server.is_over());
    assert_ne!(shop.shows("anchor", "a1"), "nothing");
    // What was made here changed the list. It is asked for whole, even if it were the same again.
    shop.creates("anchor", "a2", r#"{"name":"new"}"#);
    shop.server.says("/mobile/anchors", 201, &machine("a2", 1, "new"));
    shop.drains();
    shop.pulls("/anchors/building/b-42", &list);
    assert_ne!(shop.shows("anchor", "a1"), "nothing");
    assert_eq!(shop.shows("anchor", "a2"), "nothing");
    let tag = format!("\"{}\"", list.len());
    let asked = shop.server.asked.borrow();
    let lists = asked.iter().filter(|it| it.url.ends_with("/anchors/building/b-42"));
    let mut told: Vec<Option<&str>> = lists.map(|it| it.if_none_match.as_deref()).collect();
    told.dedup();
    assert_eq!(told.get(..3), Some(&[None, Some(&*tag), None][..]));
}

/// WIRES 5: the seed's retry delays end at 16 s.
#[test]
fn paytrack_waits_sixteen_seconds_at_most() {
    for preset in PRESETS {
        let mut rules = Rules::default();
        wire(preset).profile().rule(&mut rules);
        let most = if *preset == PAY_TRACK { 16_000 } else { 60_000 };
        assert_eq!(rules.backoff.delay(9, most), Millis(most), "{}", preset.name);
        assert_eq!(rules.backoff.delay(9, most + 1), Millis(0), "{}", preset.name);
    }
}

/// WIRES 4 (7).
#[test]
fn arxos_asks_about_a_deletion() {
    let mut shop = arx(Strategy::Manual);
    shop.pulls("/equipment/building/b-42", &machines(&[machine("e1", 4, "a")]));
    // The connection is lost, so that the next cycle begins with a pull.
    shop.server.loses("updates?since");
    shop.syncs();
    shop.patches("equipment", "e1", r#"{"name":"mine"}"#);
    shop.pulls(
        "updates?since",
        &format!(r#"{{"updates":[],"deletes":["e1"],"last_sync":"{AT}"}}"#),
    );
    let open: Vec<Conflict> =
        shop.conflicts().into_iter().filter(|it| it.resolved.is_none()).collect();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].theirs.document(), None);
}

#[test]
fn arxos_begins_a_cycle_five_seconds_early() {
    let mut shop = arx(Strategy::Manual);
    shop.syncs();
    shop.pulls(
        "updates?since=1763650795",
        &format!(r#"{{"updates":null,"deletes":null,"last_sync":"{AT}"}}"#),
    );
    assert!(shop.server.is_over(), "{:?}", shop.server.urls());
}

#[test]
fn arxos_reads_large_lists() {
    let request = wire(&ARX_OS)
        .encode_pull(&Scope("building:b-7".to_owned()), Some(&Cursor(r#"{"at":1}"#.to_owned())));
    assert_eq!(request.max_bytes, 64 << 20);
    assert!(request.url.ends_with("/equipment/building/b-7"));
}

/// Nobody writes what the backend keeps to itself.
#[test]
fn arxos_buildings_are_read_only() {
    let shop = arx(Strategy::Manual);
    let tried = shop.write("building", "b-42", Action::Create(doc("{}")));
    assert_eq!(tried, Err(Code::ReadOnly));
}

/// The tables of the pages name these tests.
#[test]
fn every_line_of_what_degrades_has_a_test() {
    let here = include_str!("presets.rs");
    for preset in PRESETS {
        let path = format!("{}/docs/presets/{}.md", env!("CARGO_MANIFEST_DIR"), preset.page);
        let page = std::fs::read_to_string(&path).unwrap();
        let (_, table) = page.split_once("## What degrades").unwrap();
        let lines: Vec<&str> = table.lines().filter(|it| it.starts_with("| ")).skip(1).collect();
        assert!(lines.len() >= 5, "{path}");
        for line in lines {
            let name = line.rsplit('`').nth(1).unwrap_or_else(|| panic!("{path}: {line}"));
            assert!(here.contains(&format!("fn {name}()")), "{path}: no test {name}");
        }
    }
}

/// The package hands over the same profiles.
#[test]
fn the_package_has_the_same_profiles() {
    let path = format!("{}/pkg-template/src/profiles.ts", env!("CARGO_MANIFEST_DIR"));
    assert_eq!(std::fs::read_to_string(path).unwrap(), profiles(), "run the ignored test below");
}

#[test]
#[ignore = "writes a file: run it after a preset was changed"]
fn write_the_profiles_of_the_package() {
    let path = format!("{}/pkg-template/src/profiles.ts", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(path, profiles()).unwrap();
}

fn profiles() -> String {
    let mut text = "// Printed from src/protocol/preset/*.json by `cargo test --test scenarios write_the_profiles -- --ignored`.\nimport type { RestProfile } from \"./types.js\";\n".to_owned();
    for preset in PRESETS {
        text.push_str(&format!(
            "\nexport const {}: RestProfile = {};\n",
            preset.name,
            preset.profile.trim_end()
        ));
    }
    text
}
