//! What 1,000 operations cost on each of the five wires: requests and bytes, counted between a device's own engine and codec and the
//! reference server's functions for the wire. `cargo xtask traffic` prints the table of docs/backends.md.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::future::Future;
use std::io::Write as _;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use flate2::Compression;
use flate2::write::GzEncoder;
use holdfast::engine::{Config, Engine, WriteRequest};
use holdfast::memory::MemoryStore;
use holdfast::memory::contract::block_on;
use holdfast::model::{CollectionRules, Rules};
use holdfast::plan::write::Action;
use holdfast::port::{Fetch, FetchError, HttpRequest, HttpResponse, Method};
use holdfast::protocol::{GZIP_FROM, Protocol, Rest, RestProfile};

use crate::desk::{Clockwork, Desk};
use crate::till::doc;
use crate::wires::{BACKENDS, Backend, Server};
use crate::world::Lots;

const OPERATIONS: usize = 1_000;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/backends.md");
const BEGIN: &str = "<!-- printed by `cargo xtask traffic --write` -->\n";
const END: &str = "<!-- until here -->\n";

/// What one kind of record looks like, and what a user changes of it.
struct Work {
    collection: &'static str,
    document: fn(usize) -> String,
    change: &'static str,
}

/// In the order of the backends.
const WORKS: [Work; 5] = [
    Work {
        collection: "orders",
        document: |n| {
            format!(
                r#"{{"orderNumber":"N-{n}","items":[{{"menuItemId":"itm_1","name":"Chicken Bowl","quantity":2,"unitPrice":8.75}},{{"menuItemId":"itm_2","name":"Chips","quantity":1,"unitPrice":2.5}}],"status":"pending","totalAmount":20,"notes":"no onions","tags":["window"],"createdAt":"2026-11-20T10:15:30.000Z","updatedAt":"2026-11-20T10:15:30.000Z"}}"#
            )
        },
        change: r#"{"status":"ready"}"#,
    },
    Work {
        collection: "orders",
        document: |n| {
            format!(
                r#"{{"order_number":"N-{n}","table_no":7,"items":[{{"menu_id":1,"qty":2,"unit_price_cents":875}},{{"menu_id":2,"qty":1,"unit_price_cents":250}}],"status":"open","total_cents":2000,"notes":"no onions","opened_at":"2026-11-20T10:15:30.000Z"}}"#
            )
        },
        change: r#"{"status":"paid"}"#,
    },
    Work {
        collection: "payment",
        document: |n| {
            format!(
                r#"{{"supplier_id":"1","amount":"{n}.50","type":"partial","paid_at":"2026-11-20T10:15:30Z","reference":"R-{n}"}}"#
            )
        },
        change: r#"{"type":"final"}"#,
    },
    Work {
        collection: "equipment",
        document: |n| {
            format!(
                r#"{{"building_id":"b-42","name":"AHU-{n}","type":"air_handler","status":"ok","location_x":12.5,"location_y":3,"location_z":8.25,"metadata":{{"floor":{}}}}}"#,
                n % 9
            )
        },
        change: r#"{"status":"fault"}"#,
    },
    Work {
        collection: "payments",
        document: |n| {
            format!(
                r#"{{"supplier_uuid":"0191a1a0-0000-7000-8000-000000000001","amount_cents":{n}50,"method":"cash","paid_at":"2026-11-20T10:15:30.123Z","note":"week 47"}}"#
            )
        },
        change: r#"{"method":"bank"}"#,
    },
];

/// What went over the wire, headers aside.
#[derive(Default, Clone, Copy)]
struct Traffic {
    pushes: usize,
    pulls: usize,
    /// Addresses and bodies.
    sent: usize,
    /// The same with every body of [`GZIP_FROM`] bytes or more in gzip.
    zipped: usize,
    received: usize,
    /// The backend takes gzip.
    gzip: bool,
}

impl Traffic {
    fn count(&mut self, request: &HttpRequest, answer: &HttpResponse) {
        let body = request.body.as_deref().unwrap_or_default();
        // One wire pulls by a push of nothing.
        if request.method == Method::Get || body.ends_with(":[]}") {
            self.pulls += 1;
        } else {
            self.pushes += 1;
        }
        self.gzip = request.gzip_from.is_some();
        let plain = body.len();
        self.sent += request.url.len() + plain;
        self.zipped += request.url.len() + if plain < GZIP_FROM { plain } else { zipped(body) };
        self.received += answer.body.len();
    }
}

/// As `CompressionStream` of a browser does it, which has no level to choose.
fn zipped(body: &str) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap().len()
}

/// A way to the server on which everything is counted and nothing is lost.
#[derive(Clone)]
struct Meter {
    server: Rc<RefCell<Server>>,
    seen: Rc<RefCell<Traffic>>,
}

impl Fetch for Meter {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let answer = self.server.borrow_mut().answer(&request);
        assert!(matches!(answer.status, 200 | 304), "{} {}", request.url, answer.body);
        self.seen.borrow_mut().count(&request, &answer);
        Ok(answer)
    }

    fn forget_token(&self) {}
}

/// A device that was offline.
struct Device {
    engine: Rc<Engine<Desk<Meter>>>,
    meter: Meter,
    clock: Clockwork,
}

impl Device {
    fn new(backend: &'static Backend, work: &Work, codec: Rest) -> Self {
        let clock = Clockwork::default();
        let server = Rc::new(RefCell::new(Server::new(backend, &clock)));
        let meter = Meter { server, seen: Rc::default() };
        let mut rules = Rules::default();
        rules.collections.insert(work.collection.to_owned(), CollectionRules::default());
        codec.profile().rule(&mut rules);
        rules.wire = codec.capabilities();
        let desk = Desk::new(MemoryStore::default(), codec, meter.clone(), &clock, Lots::of(1));
        let engine = block_on(Engine::open(desk, Config { rules, ..Config::default() })).unwrap();
        Self { engine, meter, clock }
    }

    fn writes(&self, collection: &str, id: Option<String>, action: Action) -> String {
        let collection = collection.to_owned();
        let request = WriteRequest { collection, id, action, priority: None };
        block_on(self.engine.write(request)).unwrap().key.id
    }

    /// Comes online, until both sides have everything.
    fn syncs(&self) -> Traffic {
        let mut cycles = pin!(Rc::clone(&self.engine).run());
        let mut work = pin!(async {
            self.engine.drain().await.unwrap();
            self.engine.sync_now().await.unwrap();
        });
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..100_000 {
            let _ = cycles.as_mut().poll(&mut cx);
            if let Poll::Ready(()) = work.as_mut().poll(&mut cx) {
                return self.meter.seen.take();
            }
            let time = &self.clock.0;
            let next = time.alarms.borrow_mut().pop_first();
            time.now.set(time.now.get().max(next.unwrap_or_default()));
        }
        panic!("P8: no end");
    }

    fn audits(&self, applied: u64) {
        assert_eq!(block_on(self.engine.outbox()).unwrap().len(), 0);
        assert_eq!(block_on(self.engine.audit()).unwrap().applied, applied);
    }
}

/// A line of the table.
struct Line {
    backend: &'static Backend,
    work: &'static str,
    traffic: Traffic,
}

fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for (backend, work) in BACKENDS.iter().zip(&WORKS) {
        let profile = backend.preset.profile;
        let (created, changed) = measured(backend, work, profile, OPERATIONS);
        let patches = profile.contains(r#""updates": "patch""#);
        lines.push(Line { backend, work: "new records", traffic: created });
        let told = if patches { "a field each, sent alone" } else { "a field each, whole records" };
        lines.push(Line { backend, work: told, traffic: changed });
        if patches {
            let whole = profile.replace(r#""updates": "patch""#, r#""updates": "whole""#);
            let (_, traffic) = measured(backend, work, &whole, OPERATIONS);
            lines.push(Line { backend, work: "a field each, whole records", traffic });
        }
    }
    lines
}

/// The cost of so many new records, and of a change in each of them.
fn measured(
    backend: &'static Backend,
    work: &Work,
    profile: &str,
    operations: usize,
) -> (Traffic, Traffic) {
    let codec = Rest::new(RestProfile::parse(profile).unwrap(), "https://x").scoped("b-42");
    let device = Device::new(backend, work, codec);
    device.syncs();
    let make = |n| device.writes(work.collection, None, Action::Create(doc(&(work.document)(n))));
    let ids: Vec<String> = (1..=operations).map(make).collect();
    let created = device.syncs();
    device.audits(operations as u64);
    for id in ids {
        device.writes(work.collection, Some(id), Action::Patch(doc(work.change)));
    }
    let changed = device.syncs();
    device.audits(2 * operations as u64);
    (created, changed)
}

fn table() -> String {
    let mut text = "| preset | 1,000 operations | pushes | pulls | sent | sent in gzip | received |\n|---|---|---|---|---|---|---|\n".to_owned();
    for Line { backend, work, traffic } in lines() {
        let profile = RestProfile::parse(backend.preset.profile).unwrap();
        let Traffic { pushes, pulls, sent, zipped, received, gzip } = traffic;
        let zipped = kilobytes(zipped);
        let gzip = if gzip { zipped } else { format!("({zipped})") };
        let (name, sent, received) = (profile.name(), kilobytes(sent), kilobytes(received));
        writeln!(text, "| {name} | {work} | {pushes} | {pulls} | {sent} | {gzip} | {received} |")
            .unwrap();
    }
    text
}

fn kilobytes(bytes: usize) -> String {
    format!("{} kB", (bytes + 500) / 1_000)
}

/// The page before the table, the table, and what comes after it.
fn page() -> [String; 3] {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    [before, table, after].map(str::to_owned)
}

/// P10: what waited offline leaves in as few requests as the backend's limit allows.
#[test]
fn requests_leave_full() {
    for (backend, work) in BACKENDS.iter().zip(&WORKS) {
        let profile = backend.preset.profile;
        let mut rules = Rules::default();
        RestProfile::parse(profile).unwrap().rule(&mut rules);
        let (created, changed) = measured(backend, work, profile, 61);
        let least = 61_usize.div_ceil(rules.limits.batch_operations);
        assert_eq!([created.pushes, changed.pushes], [least; 2], "P10: {}", backend.preset.name);
    }
}

#[test]
#[ignore = "prints: `cargo xtask traffic`"]
fn print_the_traffic() {
    print!("{}", table());
}

#[test]
#[ignore = "writes a file: `cargo xtask traffic --write`"]
fn write_the_traffic() {
    let [before, _, after] = page();
    std::fs::write(PAGE, [&before, BEGIN, &table(), END, &after].concat()).unwrap();
}
