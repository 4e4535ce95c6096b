//! Random walks of two devices over each of the five wires: engine, codec, bytes, and the reference server's own functions for the
//! wire, with answers that get lost, come twice or are nobody's. At the end everybody has what the server has, and every write took
//! effect at most once or can be found: what the profiles say is tried together with what the servers do.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use holdfast::engine::{Config, Engine, Entity, OutboxState, Verdict, WriteRequest};
use holdfast::memory::MemoryStore;
use holdfast::memory::contract::block_on;
use holdfast::model::{
    Changeset, Choice, CollectionRules, EntityKey, Mono, Need, OpId, OpState, Parked, Policies,
    Presence, Root, Rules, Snapshot, StoreError, Strategy, Verb,
};
use holdfast::plan::resolve::Dependents;
use holdfast::plan::write::Action;
use holdfast::port::{Clock, Fetch, FetchError, HttpRequest, HttpResponse, Method, RawStore};
use holdfast::protocol::Protocol;
use holdfast::protocol::preset::{
    ARX_OS, AURA_CONNECT, AURA_CONNECT_MOBILE, PAY_TRACK, Preset, TRACK_VAULT,
};
use holdfast::query::read_query;
use holdfast_server_core as server;
use holdfast_server_core::{Key, Memory, Problem, ProblemKind, Terms, Tx, User, Wire};
use serde_json::Value;

use crate::desk::{Clockwork, Desk, wire};
use crate::laws::Laws;
use crate::till::doc;
use crate::walks::{Dice, seeds};
use crate::world::Lots;

/// A collection of a wire, and what a walk writes to it.
struct Table {
    name: &'static str,
    /// Members whose values name the write that set them.
    told: [&'static str; 2],
    /// The nth document of a device, without these members and the reference. What must be unique is so on one device.
    makes: fn(usize) -> String,
    /// A member that names a record, its collection, and a record that is always there.
    refers: Option<(&'static str, &'static str, Option<&'static str>)>,
    /// A change that the server refuses.
    bad: &'static str,
}

pub(crate) struct Backend {
    pub(crate) preset: Preset,
    wire: Wire,
    tables: [Table; 2],
}

pub(crate) const BACKENDS: &[Backend] = &[
    Backend {
        preset: AURA_CONNECT,
        wire: Wire::AuraConnect,
        tables: [
            Table {
                name: "customers",
                told: ["name", "email"],
                makes: |n| format!(r#""phone":"+1{n}","preferences":{{}},"tags":[]"#),
                refers: None,
                bad: r#"{"name":""}"#,
            },
            Table {
                name: "orders",
                told: ["notes", "remark"],
                makes: |n| {
                    format!(
                        r#""orderNumber":"A-{n}","items":[],"status":"pending","totalAmount":1,"tags":[],"createdAt":"2025-11-20T09:11:59.000Z","updatedAt":"2025-11-20T09:11:59.000Z""#
                    )
                },
                refers: Some(("customerId", "customers", None)),
                bad: r#"{"totalAmount":-1}"#,
            },
        ],
    },
    Backend {
        preset: AURA_CONNECT_MOBILE,
        wire: Wire::AuraConnectMobile,
        tables: [
            Table {
                name: "shifts",
                told: ["note", "remark"],
                makes: |_| {
                    r#""staff_id":4,"clock_in":"2025-11-20T08:00:00.000Z","break_minutes":0"#
                        .to_owned()
                },
                refers: None,
                bad: r#"{"break_minutes":"long"}"#,
            },
            Table {
                name: "orders",
                told: ["notes", "remark"],
                makes: |n| {
                    format!(
                        r#""order_number":"T-{n}","table_no":7,"items":[],"status":"open","total_cents":1,"opened_at":"2025-11-20T08:30:00.000Z""#
                    )
                },
                refers: Some(("shift_id", "shifts", None)),
                bad: r#"{"total_cents":-1}"#,
            },
        ],
    },
    Backend {
        preset: TRACK_VAULT,
        wire: Wire::TrackVault,
        tables: [
            Table {
                name: "supplier",
                told: ["name", "region"],
                makes: |n| format!(r#""code":"S-{n}""#),
                refers: None,
                bad: r#"{"name":""}"#,
            },
            Table {
                name: "product",
                told: ["name", "unit"],
                makes: |_| r#""x":1"#.to_owned(),
                refers: Some(("supplier_id", "supplier", Some("1"))),
                bad: r#"{"name":""}"#,
            },
        ],
    },
    Backend {
        preset: ARX_OS,
        wire: Wire::ArxOs,
        tables: [
            Table {
                name: "equipment",
                told: ["name", "status"],
                makes: |_| r#""building_id":"b-42","type":"pump","metadata":{}"#.to_owned(),
                refers: None,
                bad: r#"{"name":""}"#,
            },
            Table {
                name: "anchor",
                told: ["anchor_type", "remark"],
                makes: |_| {
                    r#""building_id":"b-42","position_x":1,"position_y":2,"position_z":0.5"#
                        .to_owned()
                },
                refers: Some(("equipment_id", "equipment", None)),
                bad: r#"{"position_x":"far"}"#,
            },
        ],
    },
    Backend {
        preset: PAY_TRACK,
        wire: Wire::PayTrack,
        tables: [
            Table {
                name: "suppliers",
                told: ["name", "village"],
                makes: |_| r#""phone":"1""#.to_owned(),
                refers: None,
                bad: r#"{"name":""}"#,
            },
            Table {
                name: "payments",
                told: ["note", "remark"],
                makes: |_| {
                    r#""amount_cents":5,"method":"cash","paid_at":"2025-11-20T10:00:00.000Z""#
                        .to_owned()
                },
                refers: Some((
                    "supplier_uuid",
                    "suppliers",
                    Some("0191a1a0-0000-7000-8000-000000000001"),
                )),
                bad: r#"{"amount_cents":-5}"#,
            },
        ],
    },
];

/// The server of a wire, and what it has seen.
pub(crate) struct Server {
    wire: Wire,
    store: Memory,
    terms: Terms,
    clock: Clockwork,
    /// How often each value came into each member of a record.
    came: BTreeMap<(Key, &'static str, String), u32>,
    tables: &'static [Table; 2],
}

impl Server {
    /// With the wire's seed data in it.
    pub(crate) fn new(backend: &'static Backend, clock: &Clockwork) -> Self {
        let mut store = Memory::new("e1");
        backend.wire.seed(&mut store, clock.wall().0 - 60_000).unwrap();
        Self {
            wire: backend.wire,
            store,
            terms: Terms::default(),
            clock: clock.clone(),
            came: BTreeMap::new(),
            tables: &backend.tables,
        }
    }

    pub(crate) fn answer(&mut self, request: &HttpRequest) -> HttpResponse {
        let said = self.handle(request).unwrap_or_else(|problem| self.wire.refusal(&problem));
        let content_type = "application/json".to_owned();
        HttpResponse {
            status: said.status,
            content_type,
            retry_after: None,
            etag: said.etag,
            body: said.body,
            up: 0,
        }
    }

    fn handle(&mut self, request: &HttpRequest) -> Result<server::Answer, Problem> {
        let path = request.url.strip_prefix("https://x").unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = match self.wire {
            Wire::PayTrack => format!("/api{path}"),
            Wire::AuraConnect | Wire::AuraConnectMobile | Wire::TrackVault | Wire::ArxOs => {
                path.to_owned()
            }
        };
        let query: Vec<(String, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let method = match request.method {
            Method::Get => server::Method::Get,
            Method::Post => server::Method::Post,
            Method::Put => server::Method::Put,
            Method::Delete => server::Method::Delete,
        };
        let body = request.body.clone().unwrap_or_default();
        let user = User { id: 1, role: server::Role::Admin };
        let call = server::Call {
            query: &query,
            body: body.as_bytes(),
            if_none_match: request.if_none_match.as_deref(),
            ..server::Call::new(method, &path, user)
        };
        let read = self.wire.read(&call, &self.terms)?;
        let before = self.store.clone();
        let told = read.answer(&mut self.store, &self.terms, self.clock.wall().0);
        match &told {
            Ok(_) => self.look(&before),
            Err(_) => self.store = before,
        }
        told
    }

    /// Notes what came into the records.
    fn look(&mut self, before: &Memory) {
        let mut came = Vec::new();
        for (key, record) in self.store.records() {
            let Some(table) = self.tables.iter().find(|it| it.name == key.collection) else {
                continue;
            };
            let was = before.record(key).unwrap().and_then(|it| it.document);
            for member in table.told {
                let text = |document: &server::Document| member_of(document.as_str(), member);
                let now = record.document.as_ref().and_then(text);
                if let Some(now) =
                    now.filter(|now| was.as_ref().and_then(text).as_ref() != Some(now))
                {
                    came.push((key.clone(), member, now));
                }
            }
        }
        for arrival in came {
            *self.came.entry(arrival).or_default() += 1;
        }
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex: String = rest.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&hex, 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn member_of(document: &str, member: &str) -> Option<String> {
    let value: Value = serde_json::from_str(document).unwrap();
    value.get(member).and_then(Value::as_str).map(str::to_owned)
}

/// The way to the server.
#[derive(Clone)]
struct Road {
    server: Rc<RefCell<Server>>,
    clock: Clockwork,
    dice: Rc<RefCell<Dice>>,
    rough: Rc<Cell<bool>>,
    trace: Rc<RefCell<Vec<String>>>,
}

impl Road {
    fn roll(&self, sides: u64) -> u64 {
        self.dice.borrow_mut().roll(sides)
    }

    /// Meanwhile the device writes.
    async fn wait(&self) {
        let until = self.clock.mono().0 + self.roll(400);
        self.clock.sleep_until(Mono(until)).await;
    }
}

impl Fetch for Road {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        self.wait().await;
        let fate = if self.rough.get() { self.roll(12) } else { 11 };
        let answer = |road: &Self| {
            let told = road.server.borrow_mut().answer(&request);
            let HttpRequest { method, url, body, .. } = &request;
            let line =
                format!("  {} {method:?} {url} {body:?} {} {}", fate, told.status, told.body);
            road.trace.borrow_mut().push(line);
            told
        };
        let told = match fate {
            0 => Err(FetchError::Unreachable),
            1 | 2 => {
                answer(self);
                Err(FetchError::Unreachable)
            }
            // A box on the way asks again.
            3 => {
                answer(self);
                Ok(answer(self))
            }
            4 => {
                let server = self.server.borrow();
                let busy = server.wire.refusal(&Problem::new(ProblemKind::Unavailable, "busy"));
                let content_type = "application/json".to_owned();
                Ok(HttpResponse {
                    status: busy.status,
                    content_type,
                    retry_after: None,
                    body: busy.body,
                    up: 0,
                    etag: None,
                })
            }
            5 => {
                let (content_type, body) =
                    ("text/html".to_owned(), "<html>sign in</html>".to_owned());
                Ok(HttpResponse {
                    status: 200,
                    content_type,
                    retry_after: None,
                    body,
                    up: 0,
                    etag: None,
                })
            }
            6 => {
                let mut cut = answer(self);
                cut.body.truncate(cut.body.len() / 2);
                Ok(cut)
            }
            _ => Ok(answer(self)),
        };
        self.wait().await;
        told
    }

    fn forget_token(&self) {}
}

/// A write that a device accepted.
struct Said {
    device: usize,
    table: &'static Table,
    /// The device's own name of the record.
    id: String,
    op: OpId,
    /// What it set, by member.
    set: Vec<(&'static str, String)>,
    /// It replaced or removed all that was there.
    whole: bool,
    /// It made the record.
    makes: bool,
}

/// A store whose laws are checked after every transaction, for as long as the database is there.
#[derive(Clone)]
struct Judged {
    store: MemoryStore,
    laws: Rc<RefCell<Laws>>,
    rules: Rc<Rules>,
}

impl RawStore for Judged {
    async fn run(
        &self,
        verb: &Verb,
        need: Need,
        decide: &mut dyn FnMut(&Snapshot) -> Changeset,
    ) -> Result<(), StoreError> {
        self.store.run(verb, need, decide).await?;
        self.laws.borrow_mut().check(&self.store.disk().borrow(), &self.rules);
        Ok(())
    }

    async fn read(&self, need: Need) -> Result<Snapshot, StoreError> {
        self.store.read(need).await
    }

    async fn list(&self, collection: &str) -> Result<Snapshot, StoreError> {
        self.store.list(collection).await
    }
}

type Loop = Pin<Box<dyn Future<Output = ()>>>;

struct Device {
    store: Judged,
    engine: Rc<Engine<Desk<Road, Judged>>>,
    cycles: Loop,
}

struct Walk {
    backend: &'static Backend,
    rules: Rc<Rules>,
    road: Road,
    clock: Clockwork,
    dice: Dice,
    devices: Vec<Device>,
    /// How many engines there were: each has its own numbers.
    opened: u32,
    said: Vec<Said>,
    number: u64,
    /// Records of which a person or a policy chose a whole side again: a value may come twice to them.
    decided: BTreeSet<EntityKey>,
    /// What was given up by a person.
    given_up: String,
    trace: Rc<RefCell<Vec<String>>>,
}

/// A walk that breaks a promise says how it came there.
impl Drop for Walk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:#?}", self.trace.borrow());
        }
    }
}

impl Walk {
    fn new(seed: u64, backend: &'static Backend, strategy: Strategy) -> Self {
        let clock = Clockwork::default();
        let server = Server::new(backend, &clock);
        let begun = format!("{}, {strategy:?}, seed {seed}", backend.preset.name);
        let trace = Rc::new(RefCell::new(vec![begun]));
        let road = Road {
            trace: Rc::clone(&trace),
            server: Rc::new(RefCell::new(server)),
            clock: clock.clone(),
            dice: Rc::new(RefCell::new(Dice(seed ^ 0x5eed))),
            rough: Rc::new(Cell::new(true)),
        };
        let rule =
            CollectionRules { policies: Policies::all(strategy), ..CollectionRules::default() };
        let collections = backend.tables.iter().map(|it| (it.name.to_owned(), rule.clone()));
        let mut rules = Rules { collections: collections.collect(), ..Rules::default() };
        let codec = wire(&backend.preset);
        codec.profile().rule(&mut rules);
        rules.wire = codec.capabilities();
        let mut walk = Self {
            backend,
            rules: Rc::new(rules),
            road,
            clock,
            dice: Dice(seed),
            devices: Vec::new(),
            opened: 0,
            said: Vec::new(),
            number: 0,
            decided: BTreeSet::new(),
            given_up: String::new(),
            trace,
        };
        for _ in 0..2 {
            let store = walk.disk();
            let device = walk.open(store);
            walk.devices.push(device);
        }
        walk
    }

    fn disk(&self) -> Judged {
        let (store, laws) = (MemoryStore::default(), Rc::default());
        Judged { store, laws, rules: Rc::clone(&self.rules) }
    }

    fn open(&mut self, store: Judged) -> Device {
        self.opened += 1;
        let codec = wire(&self.backend.preset);
        let lots = Lots::of(self.opened);
        let desk = Desk::new(store.clone(), codec, self.road.clone(), &self.clock, lots);
        let config = Config { rules: (*self.rules).clone(), ..Config::default() };
        let engine = block_on(Engine::open(desk, config)).unwrap();
        let cycles = Box::pin(Rc::clone(&engine).run());
        Device { store, engine, cycles }
    }

    /// Everybody does what can be done now.
    fn polls(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..8 {
            for device in &mut self.devices {
                let _ = device.cycles.as_mut().poll(&mut cx);
            }
        }
    }

    /// To the next alarm, or to a time if that is earlier.
    fn waits(&mut self, until: u64) {
        let time = &self.clock.0;
        let next = time.alarms.borrow_mut().pop_first();
        if let Some(later) = next.filter(|at| *at > until) {
            time.alarms.borrow_mut().insert(later);
        }
        let next = next.unwrap_or(until).min(until);
        time.now.set(time.now.get().max(next));
    }

    fn passes(&mut self, millis: u64) {
        let until = self.clock.mono().0 + millis;
        while self.clock.mono().0 < until {
            self.polls();
            self.waits(until);
        }
        self.polls();
    }

    /// Runs until a future is ready; at most a day.
    fn until<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut cx = Context::from_waker(Waker::noop());
        let end = self.clock.mono().0 + 86_400_000;
        while self.clock.mono().0 < end {
            for _ in 0..4 {
                if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                    return value;
                }
                self.polls();
            }
            self.waits(end);
        }
        panic!("P8: not in a day");
    }

    fn list(&self, device: usize, table: &Table) -> Vec<Entity> {
        let all = read_query("{}").unwrap();
        block_on(self.devices[device].engine.list(table.name, all)).unwrap().items
    }

    fn step(&mut self) {
        let device = usize::try_from(self.dice.roll(2)).unwrap();
        match self.dice.roll(16) {
            0..=6 => self.writes(device),
            7 => self.decides(device),
            8 => self.retries(device),
            9 if self.dice.one_in(2) => self.dies(device),
            _ => {
                let most = [300, 2_000, 20_000][usize::try_from(self.dice.roll(3)).unwrap()];
                let millis = self.dice.roll(most);
                self.passes(millis);
            }
        }
    }

    fn writes(&mut self, device: usize) {
        let table = &self.backend.tables[usize::try_from(self.dice.roll(2)).unwrap()];
        let known = self.list(device, table);
        self.number += 1;
        let number = self.number;
        let at = usize::try_from(self.dice.roll(known.len() as u64 + 2)).unwrap();
        let mut set = Vec::new();
        for member in table.told {
            if set.is_empty() || self.dice.one_in(2) {
                set.push((member, format!("{member} {number}")));
            }
        }
        let members: Vec<String> =
            set.iter().map(|(name, text)| format!(r#""{name}":"{text}""#)).collect();
        let (id, action, set) = match known.get(at) {
            None => {
                let made = self.said.iter().filter(|it| it.device == device && it.makes).count();
                let text = format!(
                    "{{{},{}{}}}",
                    (table.makes)(made),
                    members.join(","),
                    self.refers(device, table)
                );
                (format!("r{device}-{number}"), Action::Create(doc(&text)), set)
            }
            Some(entity) => match self.dice.roll(10) {
                0 => (entity.id.clone(), Action::Remove, Vec::new()),
                1 => {
                    let member = table.told.into_iter().find(|it| table.bad.contains(it));
                    let set = member.map(|it| (it, String::new())).into_iter().collect();
                    (entity.id.clone(), Action::Patch(doc(table.bad)), set)
                }
                2 => {
                    let mut value: Value = serde_json::from_str(entity.document.text()).unwrap();
                    for (name, text) in &set {
                        value[*name] = Value::String(text.clone());
                    }
                    (entity.id.clone(), Action::Replace(doc(&value.to_string())), set)
                }
                _ => (
                    entity.id.clone(),
                    Action::Patch(doc(&format!("{{{}}}", members.join(",")))),
                    set,
                ),
            },
        };
        self.trace.borrow_mut().push(format!(
            "{}: {device} writes {} {id}: {action:?}",
            self.clock.mono().0,
            table.name
        ));
        let request = WriteRequest {
            collection: table.name.to_owned(),
            id: Some(id.clone()),
            action: action.clone(),
            priority: None,
        };
        let Ok(written) = block_on(self.devices[device].engine.write(request)) else { return };
        let device_laws = &self.devices[device].store.laws;
        device_laws.borrow_mut().accepted(written.op);
        let whole = matches!(action, Action::Remove | Action::Replace(_));
        let makes = matches!(action, Action::Create(_));
        if whole || !set.is_empty() {
            self.said.push(Said {
                device,
                table,
                id: written.key.id,
                op: written.op,
                set,
                whole,
                makes,
            });
        }
    }

    fn refers(&mut self, device: usize, table: &Table) -> String {
        let Some((member, collection, always)) = table.refers else { return String::new() };
        let target = self.backend.tables.iter().find(|it| it.name == collection).unwrap();
        let known = self.list(device, target);
        let at = usize::try_from(self.dice.roll(known.len() as u64 + 1)).unwrap();
        let id = known.get(at).map(|it| it.id.clone()).or(always.map(str::to_owned));
        id.map_or_else(String::new, |id| format!(r#","{member}":"{id}""#))
    }

    /// A person looks at the oldest open conflict.
    fn decides(&mut self, device: usize) {
        let engine = Rc::clone(&self.devices[device].engine);
        let open =
            block_on(engine.conflicts()).unwrap().into_iter().find(|it| it.resolved.is_none());
        let Some(conflict) = open else { return };
        let choice = match self.dice.roll(4) {
            0 => Choice::Theirs,
            1 => match &conflict.mine {
                Presence::Live(document) => {
                    let mut value: Value = serde_json::from_str(document.text()).unwrap();
                    value["merged"] = Value::Bool(true);
                    Choice::Merged(Presence::Live(doc(&value.to_string())))
                }
                Presence::Deleted => Choice::Merged(Presence::Deleted),
            },
            _ => Choice::Mine,
        };
        self.trace.borrow_mut().push(format!("{device} decides {conflict:?}: {choice:?}"));
        self.decided.insert(conflict.key.clone());
        let _ = block_on(engine.resolve(conflict.id, choice));
    }

    fn parked(&self, device: usize) -> Vec<OpId> {
        let entries = block_on(self.devices[device].engine.outbox()).unwrap();
        let is_refused =
            |state: &OpState| matches!(state, OpState::Parked(Parked::Rejected { .. }));
        entries.into_iter().filter(|it| is_refused(&it.op.state)).map(|it| it.op.id).collect()
    }

    /// A person sends what was refused again, or gives it up.
    fn retries(&mut self, device: usize) {
        let Some(op) = self.parked(device).first().copied() else { return };
        self.trace.borrow_mut().push(format!("{device} looks at {op}"));
        let engine = Rc::clone(&self.devices[device].engine);
        if self.dice.one_in(2) {
            let _ = block_on(engine.retry(op, None));
        } else {
            let given = block_on(engine.discard(op, Dependents::Discard));
            self.given_up.push_str(&format!("{given:?}"));
        }
    }

    /// The tab is closed in the middle of whatever it did, and opened again.
    fn dies(&mut self, device: usize) {
        self.trace.borrow_mut().push(format!("{device} is opened again"));
        let store = self.devices.remove(device).store;
        let device_again = self.open(store);
        self.devices.insert(device, device_again);
    }

    /// The faults end, people look at what waits for them, and everybody syncs.
    fn comes_to_rest(&mut self) {
        self.road.rough.set(false);
        self.trace.borrow_mut().push(format!("{}: rest", self.clock.mono().0));
        for _ in 0..40 {
            for device in 0..2 {
                let engine = Rc::clone(&self.devices[device].engine);
                self.until(engine.drain()).unwrap();
            }
            self.passes(6_000);
            for device in 0..2 {
                let engine = Rc::clone(&self.devices[device].engine);
                self.until(engine.sync_now()).unwrap();
            }
            if (0..2).all(|device| !self.has_work(device)) {
                return;
            }
        }
        panic!(
            "P8: no rest: {:?}",
            (0..2).map(|it| block_on(self.devices[it].engine.outbox())).collect::<Vec<_>>()
        );
    }

    /// Ends what a person has to end; whether there was anything.
    fn has_work(&mut self, device: usize) -> bool {
        let engine = Rc::clone(&self.devices[device].engine);
        for conflict in block_on(engine.conflicts()).unwrap() {
            if conflict.resolved.is_none() {
                self.trace.borrow_mut().push(format!("{device} yields {conflict:?}"));
                self.decided.insert(conflict.key.clone());
                block_on(engine.resolve(conflict.id, Choice::Theirs)).unwrap();
                return true;
            }
        }
        if let Some(op) = self.parked(device).first() {
            self.trace.borrow_mut().push(format!("{device} gives {op} up"));
            let given = block_on(engine.discard(*op, Dependents::Discard)).unwrap();
            self.given_up.push_str(&format!("{given:?}"));
            return true;
        }
        let entries = block_on(engine.outbox()).unwrap();
        entries.iter().any(|it| {
            it.state != OutboxState::Pending || matches!(it.op.state, OpState::Queued { .. })
        })
    }

    /// P14: each device shows what one that begins anew is given, and that is what the server has.
    fn converged(&mut self) {
        let store = self.disk();
        let fresh = self.open(store);
        self.devices.push(fresh);
        let engine = Rc::clone(&self.devices[2].engine);
        self.until(engine.sync_now()).unwrap();
        let tables = &self.backend.tables;
        for table in tables {
            let all = self.views(2, table);
            let live = {
                let server = self.road.server.borrow();
                let part = |part: &str| part.is_empty() || part == "b-42";
                server
                    .store
                    .records()
                    .filter(|(key, it)| {
                        key.collection == table.name && it.document.is_some() && part(&it.part)
                    })
                    .count()
            };
            assert_eq!(
                all.len(),
                live,
                "P14: {} of a device that begins anew: {all:#?}",
                table.name
            );
            for device in 0..2 {
                let views = self.views(device, table);
                let named: BTreeSet<&String> = views.keys().chain(all.keys()).collect();
                for name in named {
                    let (shown, there) = (views.get(name), all.get(name));
                    let same = shown.zip(there).is_some_and(|(a, b)| is_same(table, a, b));
                    let told = format!("{name}: {shown:#?} is {there:#?}");
                    assert!(same, "P14: {} of device {device}: {told}", table.name);
                }
            }
        }
    }

    /// What a device shows, by the server's names.
    fn views(&self, device: usize, table: &'static Table) -> BTreeMap<String, Value> {
        let named = |entity: Entity| {
            let mut value: Value = serde_json::from_str(entity.document.text()).unwrap();
            if let (Some((member, collection, _)), Some(object)) =
                (table.refers, value.as_object_mut())
            {
                // A reference may be by the device's own name of the record.
                if let Some(Value::String(id)) = object.get(member) {
                    let key = EntityKey::new(collection, &**id);
                    let target = block_on(self.devices[device].engine.get(&key)).unwrap();
                    // What is gone has no other name.
                    let name = target.map(|it| it.server_id.unwrap_or(it.id)).unwrap_or_default();
                    object.insert(member.to_owned(), Value::String(name));
                }
                object.retain(|_, value| !value.is_null());
            }
            (entity.server_id.unwrap_or(entity.id), value)
        };
        self.list(device, table).into_iter().map(named).collect()
    }

    /// P5: no value came twice into a record, other than by somebody's decision.
    fn no_effect_came_twice(&self, strategy: Strategy) {
        let server = self.road.server.borrow();
        assert!(server.store.ledger().most_effects <= 1 || self.backend.wire == Wire::ArxOs, "P5");
        if !matches!(strategy, Strategy::ServerWins | Strategy::Merge) {
            return;
        }
        for ((key, member, value), times) in &server.came {
            let is_decided = self.decided.iter().any(|it| it.collection == key.collection);
            assert!(*times == 1 || is_decided, "P5: {key:?} {member} {value} came {times} times");
        }
    }

    /// Whether two writes were of what is one record by now: two creates of one thing become one (R17).
    fn is_one(&self, one: &Said, other: &Said) -> bool {
        let now = |said: &Said| {
            let key = EntityKey::new(said.table.name, &*said.id);
            let disk = self.devices[said.device].store.store.disk();
            let snapshot = disk.borrow().snapshot(Need::of(vec![Root::Record(key.clone())]));
            snapshot.own_key(&key)
        };
        now(one) == now(other)
    }

    /// P3, P18: what was accepted came to the server, was overtaken by a later write of the same person, or can be found.
    fn nothing_is_lost(&self) {
        let server = self.road.server.borrow();
        for (at, said) in self.said.iter().enumerate() {
            let engine = &self.devices[said.device].engine;
            let fate = block_on(engine.outcome(said.op)).unwrap();
            let later = |member: Option<&str>| {
                self.said.iter().enumerate().any(|(place, it)| {
                    let same = (it.device, it.table.name) == (said.device, said.table.name)
                        && self.is_one(it, said)
                        // Of two records that became one, nobody says which write was the later.
                        && (place > at || it.id != said.id);
                    same && (it.whole || it.set.iter().any(|(name, _)| Some(*name) == member))
                })
            };
            for (member, value) in said.set.iter().filter(|it| !it.1.is_empty()) {
                let came = server.came.keys().any(|(key, name, text)| {
                    key.collection == said.table.name && (name, text) == (member, value)
                });
                let kept = match fate {
                    Verdict::Applied { .. } | Verdict::Annihilated => false,
                    Verdict::Yielded(id) | Verdict::Conflict(id) => {
                        let conflict = block_on(engine.conflict(id)).unwrap();
                        conflict.is_some_and(|it| format!("{:?}", it.mine).contains(value.as_str()))
                    }
                    Verdict::Rejected { .. } => true,
                    Verdict::Discarded => self.given_up.contains(value.as_str()),
                    Verdict::HandedOver | Verdict::Unknown => false,
                };
                let found = came || kept || later(Some(*member));
                assert!(
                    found,
                    "P3: {value} of {} {} is lost: {fate:?}, {:?}, {:#?}",
                    said.table.name,
                    said.id,
                    block_on(engine.get(&EntityKey::new(said.table.name, &*said.id))),
                    block_on(engine.conflicts())
                );
            }
        }
    }
}

/// Whether two devices show the same. A reference to what is gone has no name, or, where its device made the record anew, the new one's.
fn is_same(table: &Table, one: &Value, other: &Value) -> bool {
    let without = |value: &Value| {
        let mut value = value.clone();
        if let (Some((member, ..)), Some(object)) = (table.refers, value.as_object_mut()) {
            object.remove(member);
        }
        value
    };
    let named = |value: &Value| {
        let member = table.refers.and_then(|(member, ..)| value.get(member));
        member.and_then(Value::as_str).is_some_and(|name| !name.is_empty())
    };
    one == other || (!named(one) || !named(other)) && without(one) == without(other)
}

fn walks(backend: &'static Backend) {
    // Each has two devices, and their laws are checked after every transaction: a few go a long way.
    for seed in 0..seeds().div_ceil(4) {
        let times = wire(&backend.preset).capabilities().times;
        let strategy = match seed % 4 {
            0 => Strategy::ServerWins,
            1 => Strategy::Merge,
            2 => Strategy::Manual,
            _ if times => Strategy::LastWriteWins,
            _ => Strategy::ClientWins,
        };
        let mut walk = Walk::new(seed, backend, strategy);
        for _ in 0..60 {
            walk.step();
        }
        walk.comes_to_rest();
        walk.converged();
        walk.no_effect_came_twice(strategy);
        walk.nothing_is_lost();
    }
}

#[test]
fn auraconnect_walks() {
    walks(&BACKENDS[0]);
}

#[test]
fn mobile_walks() {
    walks(&BACKENDS[1]);
}

#[test]
fn trackvault_walks() {
    walks(&BACKENDS[2]);
}

#[test]
fn arxos_walks() {
    walks(&BACKENDS[3]);
}

#[test]
fn paytrack_walks() {
    walks(&BACKENDS[4]);
}
