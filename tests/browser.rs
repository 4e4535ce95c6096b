//! The web's side of the ports, in a real browser. One file, so that a run starts one browser.
//! Run it with `cargo xtask test --full`, or by hand as CONTRIBUTING says.
#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]
#![expect(clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use holdfast::browser::{
    BrowserClock, BrowserFetch, BrowserLeadership, BrowserRng, Channel, IdbSettings, IdbStore,
    Lifecycle, Luggage, NoToken, PackFuture, Porter, Signals, TokenReason, estimate, mark, marker,
    persisted, read_body,
};
use holdfast::layout::{self, Part, RowChange};
use holdfast::memory::contract::{Bench, both, cut};
use holdfast::model::{
    Changeset, Durability, EntityKey, JournalLine, Meta, Millis, Need, OpId, Record, Root,
    Snapshot, StoreError, Verb,
};
use holdfast::port::{
    Clock, Fetch, FetchError, HttpRequest, HttpResponse, Leadership, Method, RawStore, Rng,
    Timeouts,
};
use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use rexie::{Index, ObjectStore, Rexie, TransactionMode};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{
    AbortSignal, Event, EventTarget, IdbDatabase, IdbFactory, IdbOpenDbRequest, IdbTransactionMode,
};

wasm_bindgen_test_configure!(run_in_browser);

/// IndexedDB under the laws of every store.
struct InBrowser;

impl Bench for InBrowser {
    type Store = IdbStore;

    async fn open(&self, name: &str) -> IdbStore {
        IdbStore::open(name, IdbSettings::default()).await.expect("opened")
    }

    async fn close(&self, store: IdbStore) {
        store.close();
    }

    async fn change(&self, name: &str, _: &IdbStore, change: RowChange) {
        let database = raw_open(name, layout::VERSION).await.expect("opened");
        match change {
            RowChange::Put { store, key, row } => {
                let value = Object::new();
                set(&value, "text", &row.text.into());
                for (index, entries) in row.indexes {
                    let entry = entries.first().map(|entry| raw_key(entry)).expect("an entry");
                    set(&value, index, &entry);
                }
                raw_put(&database, store, &value, &raw_key(&key)).await;
            }
            RowChange::Delete { .. } => panic!("no law deletes behind the back"),
        }
        database.close();
    }
}

holdfast::store_contract!(browser InBrowser);

fn set(object: &JsValue, member: &str, value: &JsValue) {
    Reflect::set(object, &member.into(), value).expect("set");
}

fn get(object: &JsValue, member: &str) -> JsValue {
    Reflect::get(object, &member.into()).expect("got")
}

fn raw_key(key: &[Part]) -> JsValue {
    let parts = key.iter().map(|part| match part {
        Part::Number(number) => JsValue::from_f64(*number as f64),
        Part::Text(text) => JsValue::from_str(text),
    });
    parts.collect::<Array>().into()
}

fn factory() -> IdbFactory {
    get(&js_sys::global(), "indexedDB").unchecked_into()
}

/// Waits for the first of these events; its type.
async fn first_event(target: &JsValue, types: &[&'static str]) -> String {
    let promise = Promise::new(&mut |resolve, _| {
        for &name in types {
            let resolve = resolve.clone();
            let callback = Closure::once_into_js(move || {
                let _ = resolve.call1(&JsValue::UNDEFINED, &JsValue::from_str(name));
            });
            set(target, &format!("on{name}"), &callback);
        }
    });
    JsFuture::from(promise).await.expect("an event").as_string().expect("a type")
}

/// A database as somebody else opens it.
async fn raw_open(name: &str, version: u32) -> Result<IdbDatabase, String> {
    let request: IdbOpenDbRequest = factory().open_with_u32(name, version).expect("asked");
    match first_event(&request, &["success", "error"]).await.as_str() {
        "success" => Ok(request.result().expect("a database").unchecked_into()),
        _ => Err(request.error().expect("ended").expect("an error").name()),
    }
}

async fn raw_put(database: &IdbDatabase, store: &str, value: &JsValue, key: &JsValue) {
    let mode = IdbTransactionMode::Readwrite;
    let transaction = database.transaction_with_str_and_mode(store, mode).expect("begun");
    let rows = transaction.object_store(store).expect("a store");
    rows.put_with_key(value, key).expect("put");
    assert_eq!(first_event(&transaction, &["complete", "abort"]).await, "complete");
}

const STRICT: Verb = Verb { name: "test", durability: Durability::Strict };

/// A statement of JavaScript, as a page would run it.
fn js(body: &str) -> JsValue {
    Function::new_no_args(body).call0(&JsValue::UNDEFINED).expect("ran")
}

async fn pause(millis: u64) {
    BrowserClock.sleep_until(BrowserClock.mono().plus(Millis(millis))).await;
}

/// Lets every other task run once.
async fn breathe() {
    JsFuture::from(Promise::resolve(&JsValue::UNDEFINED)).await.expect("resolved");
}

/// Begins to collect what goes wrong where nobody catches it: a page's error reporting would show it to the shop.
fn listen_for_trouble() {
    js("globalThis.troubles ??= (() => {
          const troubles = [];
          addEventListener('error', (event) => troubles.push(String(event.message)));
          addEventListener('unhandledrejection', (event) => troubles.push(String(event.reason)));
          return troubles })();
        globalThis.troubles.length = 0");
}

async fn assert_no_trouble() {
    pause(50).await;
    let troubles = js("return globalThis.troubles.join('; ')").as_string();
    assert_eq!(troubles.as_deref(), Some(""));
}

async fn open(name: &str) -> Result<IdbStore, StoreError> {
    IdbStore::open(name, IdbSettings::default()).await
}

/// Writes the next line of the journal, and a record beside it; how often it was decided.
async fn count(store: &IdbStore) -> Result<u32, StoreError> {
    let mut decided = 0;
    let mut decide = |snapshot: &Snapshot| {
        decided += 1;
        let mut meta = snapshot.meta.clone();
        meta.journal += 1;
        let mut set = Changeset::default();
        let key = EntityKey::new("orders", meta.journal.to_string());
        set.journal.push(JournalLine {
            line: meta.journal,
            at: BrowserClock.wall(),
            op: holdfast::model::OpId::from_bytes([0; 16]),
            key: key.clone(),
            fate: holdfast::model::Fate::Applied,
        });
        set.records.insert(key.clone(), Record::new(key));
        set.meta = Some(meta);
        set
    };
    store.run(&STRICT, Need::default(), &mut decide).await.map(|()| decided)
}

async fn counted(store: &IdbStore) -> Result<(u64, usize, usize), StoreError> {
    let need = Need::only(vec![Root::Records, Root::Journal { limit: 1_000 }]);
    let snapshot = store.read(need).await?;
    Ok((snapshot.meta.journal, snapshot.records.len(), snapshot.journal.len()))
}

// IndexedDB: opening.

#[wasm_bindgen_test]
async fn the_schema_is_the_layouts_table() {
    open("schema").await.expect("opened").close();
    let database = raw_open("schema", layout::VERSION).await.expect("opened");
    let names = get(&database, "objectStoreNames");
    assert_eq!(get(&names, "length").as_f64(), Some(layout::STORES.len() as f64));
    for spec in layout::STORES {
        let transaction = database.transaction_with_str(spec.name).expect("a store");
        let store = transaction.object_store(spec.name).expect("a store");
        assert!(store.key_path().expect("asked").is_null(), "keys are out of line");
        for index in spec.indexes {
            assert_eq!(store.index(index.name).expect("an index").multi_entry(), index.many);
        }
    }
    database.close();
}

/// P25.
#[wasm_bindgen_test]
async fn an_upgrade_keeps_every_row() {
    let store = open("upgrade").await.expect("opened");
    count(&store).await.expect("written");
    store.close();
    let settings = IdbSettings { version: layout::VERSION + 1, ..IdbSettings::default() };
    let store = IdbStore::open("upgrade", settings).await.expect("upgraded");
    assert_eq!(counted(&store).await, Ok((1, 1, 1)));
    store.close();
}

/// The table of stores as version 1 had it; an index with `true` takes many keys of a row.
const FIRST_STORES: &[(&str, &[(&str, bool)])] = &[
    ("records", &[]),
    (
        "outbox",
        &[("entity", false), ("ready", false), ("refs", true), ("ids", true), ("flight", false)],
    ),
    ("conflicts", &[]),
    ("cursors", &[]),
    ("meta", &[]),
    ("journal", &[]),
    ("quarantine", &[]),
    ("aliases", &[]),
    ("settled", &[("at", false)]),
    ("flights", &[]),
];

/// An operation as version 1 stored it.
const FIRST_ROW: &str = r#"{"seq":7,"id":"019aa1bb-5480-7102-8304-050600000001",
    "key":{"collection":"orders","id":"1"},"intent":{"Create":{"table":7}},
    "before":"Nothing","assumed":"Nothing",
    "stamp":{"millis":1763650000000,"counter":0,"device":"019aa1bb-5480-7102-8304-050600000064"},
    "priority":"Normal","owner":{},"schema":0,"sends":0,"refusals":0,
    "state":{"Queued":{"not_before":null}},"ready":true}"#;

/// P25: version 2 of the table added the index over transactions.
#[wasm_bindgen_test]
async fn a_database_of_version_1_keeps_everything() {
    let mut builder = Rexie::builder("from-1").version(1);
    for (name, indexes) in FIRST_STORES {
        let stores = indexes.iter().fold(ObjectStore::new(name), |store, (index, many)| {
            store.add_index(Index::new(index, index).unique(false).multi_entry(*many))
        });
        builder = builder.add_object_store(stores);
    }
    builder.build().await.expect("built").close();
    let settings = IdbSettings { version: 1, ..IdbSettings::default() };
    let store = IdbStore::open("from-1", settings).await.expect("opened");
    count(&store).await.expect("written");
    let mut counted_in = |snapshot: &Snapshot| {
        let mut meta = snapshot.meta.clone();
        (meta.counts.accepted, meta.counts.pending) = (1, 1);
        let mut set = Changeset::default();
        set.meta = Some(meta);
        set
    };
    store.run(&STRICT, Need::default(), &mut counted_in).await.expect("written");
    store.close();
    let database = raw_open("from-1", 1).await.expect("opened");
    let row = js("return { entity: ['orders', '1', 7], ready: [1, 7],
                    ids: [['019aa1bb-5480-7102-8304-050600000001']] }");
    set(&row, "text", &FIRST_ROW.into());
    raw_put(&database, "outbox", &row, &raw_key(&[Part::Number(7)])).await;
    database.close();

    let store = open("from-1").await.expect("upgraded");
    assert_eq!(counted(&store).await, Ok((1, 1, 1)));
    let op = OpId::parse("019aa1bb-5480-7102-8304-050600000001").expect("an id");
    let key = EntityKey::new("orders", "1");
    // By its place, by an id and by its record: the indexes that were there are whole.
    for root in [Root::Outbox, Root::Op(op), Root::Record(key)] {
        let seen = store.read(Need::only(vec![root.clone()])).await.expect("read");
        assert_eq!(seen.ops.values().map(|op| op.seq.0).collect::<Vec<_>>(), [7], "{root:?}");
        assert!(seen.unreadable.is_empty(), "{:?}", seen.unreadable);
    }
    store.close();
    let database = raw_open("from-1", layout::VERSION).await.expect("opened");
    let transaction = database.transaction_with_str("outbox").expect("begun");
    let names = transaction.object_store("outbox").expect("a store").index_names();
    assert!(names.contains("group"));
    database.close();
}

/// P25: an older release touches nothing.
#[wasm_bindgen_test]
async fn a_later_releases_database_is_left_alone() {
    raw_open("too-new", layout::VERSION + 1).await.expect("made").close();
    assert_eq!(open("too-new").await.err(), Some(StoreError::TooNew));
}

#[wasm_bindgen_test]
async fn without_indexed_db_there_is_no_store() {
    js("globalThis.realIndexedDb = Object.getOwnPropertyDescriptor(globalThis, 'indexedDB');
        Object.defineProperty(globalThis, 'indexedDB', { value: undefined, configurable: true })");
    let missing = open("missing").await.err();
    js("Object.defineProperty(globalThis, 'indexedDB', {
          configurable: true, get() { throw new DOMException('no', 'SecurityError') } })");
    let forbidden = open("missing").await.err();
    js("delete globalThis.indexedDB; const real = globalThis.realIndexedDb;
        if (real) Object.defineProperty(globalThis, 'indexedDB', real)");
    assert_eq!(missing, Some(StoreError::Missing));
    assert_eq!(forbidden, Some(StoreError::Missing));
    open("missing").await.expect("back again").close();
}

#[wasm_bindgen_test]
async fn a_tab_that_holds_an_older_version_blocks_the_upgrade_for_a_while() {
    open("blocked").await.expect("opened").close();
    let holder = raw_open("blocked", layout::VERSION).await.expect("opened");
    let settings = IdbSettings {
        version: layout::VERSION + 1,
        open_limit: Millis(300),
        ..IdbSettings::default()
    };
    assert_eq!(IdbStore::open("blocked", settings).await.err(), Some(StoreError::Blocked));
    holder.close();
    let store = IdbStore::open("blocked", IdbSettings { open_limit: Millis(10_000), ..settings });
    store.await.expect("opened").close();
    // The open that was given up has ended meanwhile, and nobody holds what it opened.
    raw_open("blocked", layout::VERSION + 2).await.expect("upgraded").close();
}

#[wasm_bindgen_test]
async fn a_dropped_open_holds_nothing() {
    listen_for_trouble();
    for polls in 1..=2 {
        let name = format!("dropped-open-{polls}");
        let ended = cut(open(&name), polls).await;
        assert!(!ended, "an open takes longer than {polls} polls");
        raw_open(&name, layout::VERSION + 1).await.expect("upgraded").close();
    }
    assert_no_trouble().await;
}

#[wasm_bindgen_test]
async fn dropped_reads_and_writes_leave_no_trouble() {
    listen_for_trouble();
    let store = open("no-trouble").await.expect("opened");
    count(&store).await.expect("written");
    let everything = || Need::of(vec![Root::Records, Root::Outbox, Root::Journal { limit: 9 }]);
    for polls in 1..6 {
        cut(store.read(everything()), polls).await;
        cut(store.list("orders"), polls).await;
        cut(store.run(&STRICT, everything(), &mut |_| Changeset::default()), polls).await;
        cut(count(&store), polls).await;
    }
    assert_no_trouble().await;
    let (journal, records, lines) = counted(&store).await.expect("read");
    assert_eq!((journal, journal as usize), (records as u64, lines));
    store.close();
}

// IndexedDB: what others do to it.

/// P25: the older tab closes, and says so.
#[wasm_bindgen_test]
async fn an_upgrade_by_another_tab_ends_the_store() {
    let store = open("superseded").await.expect("opened");
    count(&store).await.expect("written");
    let told = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&told);
    store.on_end(move |error| heard.borrow_mut().push(error));
    // Both connections make way, so this does not hang.
    let upgraded = raw_open("superseded", layout::VERSION + 1).await.expect("upgraded");
    assert_eq!(*told.borrow(), [StoreError::Superseded]);
    assert_eq!(count(&store).await, Err(StoreError::Superseded));
    assert_eq!(counted(&store).await, Err(StoreError::Superseded));
    upgraded.close();
}

/// P29: what was there and is empty is not taken for new.
#[wasm_bindgen_test]
async fn a_deleted_database_is_not_made_anew() {
    let store = open("deleted").await.expect("opened");
    count(&store).await.expect("written");
    let request = factory().delete_database("deleted").expect("asked");
    assert_eq!(first_event(&request, &["success", "error"]).await, "success");
    assert_eq!(count(&store).await, Err(StoreError::Lost));
    assert_eq!(store.read(Need::default()).await, Err(StoreError::Lost));
}

/// P29: the browser's own word, which Chromium gives with the event by which a database is made anew.
#[wasm_bindgen_test]
async fn a_database_that_the_browser_deleted_is_known() {
    let store = open("corrupt").await.expect("opened");
    assert!(!store.was_deleted(), "it is new");
    store.close();
    let store = open("corrupt").await.expect("opened");
    assert!(!store.was_deleted());
    store.close();
    let request = factory().delete_database("corrupt").expect("asked");
    assert_eq!(first_event(&request, &["success", "error"]).await, "success");
    js("const made = IDBVersionChangeEvent.prototype;
        globalThis.realDataLoss = Object.getOwnPropertyDescriptor(made, 'dataLoss');
        Object.defineProperty(made, 'dataLoss', { configurable: true, get: () => 'total' })");
    let store = open("corrupt").await;
    js("const made = IDBVersionChangeEvent.prototype; delete made.dataLoss;
        if (globalThis.realDataLoss) Object.defineProperty(made, 'dataLoss', globalThis.realDataLoss)");
    let store = store.expect("opened");
    assert!(store.was_deleted());
    assert_eq!(count(&store).await, Ok(1), "it is used all the same");
    store.close();
}

/// P29: the mark stands beside the database, and where there is no place for it nothing breaks.
#[wasm_bindgen_test]
async fn a_mark_outlives_its_database() {
    assert_eq!(marker("marked"), None);
    mark("marked", "one");
    mark("marked", "two");
    open("marked").await.expect("opened").close();
    let request = factory().delete_database("marked").expect("asked");
    assert_eq!(first_event(&request, &["success", "error"]).await, "success");
    assert_eq!(marker("marked").as_deref(), Some("two"));
    assert_eq!(marker("marked/"), None, "each database has its own");
    js("globalThis.realStorage = Object.getOwnPropertyDescriptor(globalThis, 'localStorage');
        Object.defineProperty(globalThis, 'localStorage', {
          configurable: true, get() { throw new DOMException('no', 'SecurityError') } })");
    mark("marked", "three");
    let hidden = marker("marked");
    js("delete globalThis.localStorage; const real = globalThis.realStorage;
        if (real) Object.defineProperty(globalThis, 'localStorage', real)");
    assert_eq!(hidden, None);
    assert_eq!(marker("marked").as_deref(), Some("two"));
}

#[wasm_bindgen_test]
async fn a_closed_store_says_so() {
    let store = open("closed").await.expect("opened");
    store.on_end(|_| panic!("closing is no news"));
    store.close();
    assert_eq!(count(&store).await, Err(StoreError::Closed));
    assert_eq!(store.list("orders").await, Err(StoreError::Closed));
}

/// P28.
#[wasm_bindgen_test]
async fn a_lost_connection_is_opened_again() {
    let store = open("lost-begin").await.expect("opened");
    count(&store).await.expect("written");
    // What WebKit does after a time in the background.
    js("const real = IDBDatabase.prototype.transaction; let left = 2;
        IDBDatabase.prototype.transaction = function (...words) {
          if (left-- > 0) throw new DOMException('Connection to Indexed Database server lost', 'UnknownError');
          IDBDatabase.prototype.transaction = real; return real.apply(this, words); }");
    let (first, second) = both(count(&store), count(&store)).await;
    assert_eq!((first, second), (Ok(1), Ok(1)));
    assert_eq!(counted(&store).await, Ok((3, 3, 3)));
    store.close();
}

/// P28: with an end.
#[wasm_bindgen_test]
async fn a_connection_that_stays_lost_is_reported() {
    let store = open("lost-for-good").await.expect("opened");
    js(
        "globalThis.realTransaction = IDBDatabase.prototype.transaction;
        IDBDatabase.prototype.transaction = () => { throw new DOMException('no', 'UnknownError') }",
    );
    let failed = count(&store).await;
    js("IDBDatabase.prototype.transaction = globalThis.realTransaction");
    assert_eq!(failed, Err(StoreError::Failed("UnknownError".to_owned())));
    assert_eq!(count(&store).await, Ok(1));
    store.close();
}

/// P28, R22.
#[wasm_bindgen_test]
async fn a_commit_that_broke_is_decided_again() {
    let store = open("lost-commit").await.expect("opened");
    js("const real = IDBTransaction.prototype.commit;
        IDBTransaction.prototype.commit = function () {
          IDBTransaction.prototype.commit = real; this.abort(); }");
    assert_eq!(count(&store).await, Ok(2), "decided again, on a fresh snapshot");
    assert_eq!(counted(&store).await, Ok((1, 1, 1)));
    store.close();
}

/// P4.
#[wasm_bindgen_test]
async fn full_storage_has_its_own_error() {
    let store = open("full").await.expect("opened");
    // A commit without space fails no request; only the transaction knows why.
    js("globalThis.realCommit = IDBTransaction.prototype.commit;
        IDBTransaction.prototype.commit = function () {
          Object.defineProperty(this, 'error', { value: new DOMException('no', 'QuotaExceededError') });
          this.abort(); }");
    let full = count(&store).await;
    js("IDBTransaction.prototype.commit = globalThis.realCommit");
    assert_eq!(full, Err(StoreError::Full));
    assert_eq!(counted(&store).await, Ok((0, 0, 0)));
    assert_eq!(count(&store).await, Ok(1), "space was made");
    store.close();
}

#[wasm_bindgen_test]
async fn without_an_explicit_commit_it_commits_all_the_same() {
    let store = open("no-commit").await.expect("opened");
    js("globalThis.realCommit = IDBTransaction.prototype.commit;
        delete IDBTransaction.prototype.commit");
    let written = count(&store).await;
    js("IDBTransaction.prototype.commit = globalThis.realCommit");
    assert_eq!(written, Ok(1));
    assert_eq!(counted(&store).await, Ok((1, 1, 1)));
    store.close();
}

/// P28.
#[wasm_bindgen_test]
async fn a_transaction_that_never_begins_is_given_up() {
    let limit = Millis(300);
    let settings = IdbSettings { transaction_limit: limit, ..IdbSettings::default() };
    let store = IdbStore::open("stuck", settings).await.expect("opened");
    count(&store).await.expect("written");
    let holder = raw_open("stuck", layout::VERSION).await.expect("opened");
    // Another tab's transaction that does not end, as of a page that was suspended in the middle of one.
    let mode = IdbTransactionMode::Readwrite;
    let transaction = holder.transaction_with_str_and_mode("meta", mode).expect("begun");
    let meta = transaction.object_store("meta").expect("a store");
    set(&js_sys::global(), "stuckStore", &meta);
    js("(function again() {
          if (globalThis.stuckStore) globalThis.stuckStore.get(['state']).onsuccess = again })()");
    let stuck = count(&store).await;
    set(&js_sys::global(), "stuckStore", &JsValue::NULL);
    assert_eq!(stuck, Err(StoreError::Timeout));
    assert_eq!(first_event(&transaction, &["complete", "abort"]).await, "complete");
    assert_eq!(counted(&store).await, Ok((1, 1, 1)), "nothing of it was written");
    assert_eq!(count(&store).await, Ok(1));
    holder.close();
    store.close();
}

#[wasm_bindgen_test]
async fn commits_stay_whole_while_other_tasks_spin() {
    let store = open("spinning").await.expect("opened");
    let running = Rc::new(Cell::new(true));
    for spin in 0..4 {
        let running = Rc::clone(&running);
        spawn_local(async move {
            while running.get() {
                breathe().await;
                pause(1 + spin).await;
            }
        });
    }
    for _ in 0..100 {
        assert_eq!(count(&store).await, Ok(1), "no transaction ended before its writes");
    }
    running.set(false);
    assert_eq!(counted(&store).await, Ok((100, 100, 100)));
    store.close();
}

/// P30, R2.
#[wasm_bindgen_test]
async fn a_row_that_is_none_of_ours_is_reported() {
    let store = open("foreign-rows").await.expect("opened");
    count(&store).await.expect("written");
    let database = raw_open("foreign-rows", layout::VERSION).await.expect("opened");
    let key = |id: &str| Array::of2(&"orders".into(), &id.into());
    for (id, value) in [("n", "return 7"), ("s", "return '{}'"), ("o", "return { txt: '{}' }")] {
        raw_put(&database, "records", &js(value), &key(id)).await;
    }
    let seen = store.read(Need::only(vec![Root::Records])).await.expect("read");
    assert_eq!(seen.records.len(), 1);
    let unreadable: Vec<_> =
        seen.unreadable.iter().map(|row| (row.place.as_str(), row.text.as_str())).collect();
    assert_eq!(
        unreadable,
        [
            ("records/orders/n", "no text in 7"),
            ("records/orders/o", r#"no text in {"txt":"{}"}"#),
            ("records/orders/s", r#"no text in "{}""#),
        ]
    );
    // An unreadable state is not an empty one.
    raw_put(&database, "meta", &js("return {}"), &Array::of1(&"state".into())).await;
    let seen = store.read(Need::default()).await.expect("read");
    assert_eq!((seen.meta, seen.unreadable.len()), (Meta::default(), 1));
    database.close();
    store.close();
}

// What rexie does, on which the design rests (ARCHITECTURE, facts 2 to 6): if a later one does otherwise, this fails.

async fn by_rexie(name: &str, version: u32, stores: &[&str]) -> Rexie {
    let mut builder = Rexie::builder(name).version(version);
    for store in stores {
        builder = builder.add_object_store(ObjectStore::new(store));
    }
    builder.build().await.expect("built")
}

async fn has(rexie: &Rexie, store: &str, key: f64) -> bool {
    let transaction = rexie.transaction(&[store], TransactionMode::ReadOnly).expect("begun");
    transaction.store(store).expect("a store").get(key.into()).await.expect("got").is_some()
}

#[wasm_bindgen_test]
async fn fact_2_a_timer_within_a_transaction_ends_it_and_stores_half() {
    let rexie = by_rexie("fact-2", 1, &["a"]).await;
    let transaction = rexie.transaction(&["a"], TransactionMode::ReadWrite).expect("begun");
    let store = transaction.store("a").expect("a store");
    store.put(&"half".into(), Some(&1.0.into())).await.expect("put");
    pause(20).await;
    assert!(store.put(&"other half".into(), Some(&2.0.into())).await.is_err());
    assert!(has(&rexie, "a", 1.0).await && !has(&rexie, "a", 2.0).await);
    rexie.close();
}

#[wasm_bindgen_test]
async fn fact_3_dropping_a_transaction_midway_stores_half() {
    let rexie = by_rexie("fact-3", 1, &["a"]).await;
    let (half, stored) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let reached = Rc::clone(&half);
    let halves = async {
        let transaction = rexie.transaction(&["a"], TransactionMode::ReadWrite).expect("begun");
        let store = transaction.store("a").expect("a store");
        store.put(&"half".into(), Some(&1.0.into())).await.expect("put");
        reached.set(true);
        std::future::pending::<()>().await;
        store.put(&"other half".into(), Some(&2.0.into())).await.expect("put");
        stored.set(true);
    };
    let dropped = async {
        let mut halves = Box::pin(halves);
        while !half.get() {
            cut(&mut halves, 1).await;
            pause(5).await;
        }
    };
    dropped.await;
    assert!(has(&rexie, "a", 1.0).await && !has(&rexie, "a", 2.0).await && !stored.get());
    rexie.close();
}

#[wasm_bindgen_test]
async fn fact_4_one_failing_row_aborts_all_and_hides_why() {
    let rexie = by_rexie("fact-4", 1, &["a"]).await;
    let transaction = rexie.transaction(&["a"], TransactionMode::ReadWrite).expect("begun");
    let store = transaction.store("a").expect("a store");
    let row = |key: f64| (JsValue::from_str("row"), Some(JsValue::from_f64(key)));
    let failed = store.add_all([row(1.0), row(1.0), row(2.0)].into_iter()).await;
    assert!(!format!("{failed:?}").contains("ConstraintError"), "the cause was told: {failed:?}");
    drop(transaction);
    assert!(!has(&rexie, "a", 1.0).await && !has(&rexie, "a", 2.0).await);
    rexie.close();
}

#[wasm_bindgen_test]
async fn a_dropped_request_of_rexies_throws_into_the_page() {
    listen_for_trouble();
    let rexie = by_rexie("rexie-drop", 1, &["a"]).await;
    cut(has(&rexie, "a", 1.0), 1).await;
    pause(50).await;
    // This is why our transactions are not rexie's.
    assert!(!js("return globalThis.troubles.join()").as_string().unwrap_or_default().is_empty());
    rexie.close();
}

#[wasm_bindgen_test]
async fn fact_5_an_upgrade_deletes_what_is_not_declared() {
    by_rexie("fact-5", 1, &["a", "b"]).await.close();
    let rexie = by_rexie("fact-5", 2, &["a"]).await;
    assert_eq!(rexie.store_names(), ["a"]);
    rexie.close();
}

#[wasm_bindgen_test]
async fn fact_6_an_upgrade_elsewhere_closes_the_handle_silently() {
    let old = by_rexie("fact-6", 1, &["a"]).await;
    let new = by_rexie("fact-6", 2, &["a"]).await;
    assert!(old.transaction(&["a"], TransactionMode::ReadOnly).is_err());
    new.close();
}

// Fetch.

/// Puts a function in the place of `fetch`; `globalThis.asked` has the last request.
fn fetch_is(body: &str) {
    js(&format!(
        "globalThis.realFetch ??= globalThis.fetch;
         globalThis.fetch = async (request) => {{ globalThis.asked = request; {body} }}"
    ));
}

fn fetch_is_real() {
    js("if (globalThis.realFetch) globalThis.fetch = globalThis.realFetch");
}

fn request(method: Method, body: Option<&str>) -> HttpRequest {
    HttpRequest {
        body: body.map(str::to_owned),
        timeouts: Timeouts::within(Millis(10_000)),
        max_bytes: 1_000,
        ..HttpRequest::new(method, "https://backend.example/api/push?a=1&b=%20")
    }
}

/// Packs the body as it is and what an application gives for a token; asks for nothing where there is no application.
struct Bearer(Option<Function>);

impl Porter for Bearer {
    fn pack(&self, request: &HttpRequest, reason: TokenReason, signal: AbortSignal) -> PackFuture {
        let body = request.body.as_ref().map(|body| Uint8Array::from(body.as_bytes()));
        let asked = self.0.as_ref().map(|function| {
            let request = Object::new();
            set(&request, "reason", &reason.text().into());
            set(&request, "signal", &signal);
            function.call1(&JsValue::UNDEFINED, &request)
        });
        Box::pin(async move {
            let mut luggage = Luggage { headers: Vec::new(), body };
            if let Some(asked) = asked {
                let token = JsFuture::from(Promise::resolve(&asked.map_err(|_| NoToken)?)).await;
                let token = token.ok().and_then(|token| token.as_string()).ok_or(NoToken)?;
                luggage.headers.push(("authorization".to_owned(), token));
            }
            Ok(luggage)
        })
    }

    fn is_intact(&self, digest: &str, bytes: &Uint8Array) -> Pin<Box<dyn Future<Output = bool>>> {
        let intact = digest == bytes.length().to_string();
        Box::pin(async move { intact })
    }
}

fn plain_fetch() -> BrowserFetch {
    BrowserFetch::new(Bearer(None))
}

async fn send(body: &str) -> Result<HttpResponse, FetchError> {
    fetch_is(body);
    let fetch = plain_fetch();
    let answer = fetch.send(request(Method::Get, None)).await;
    fetch_is_real();
    answer
}

fn asked(member: &str) -> JsValue {
    get(&get(&js_sys::global(), "asked"), member)
}

fn asked_header(name: &str) -> Option<String> {
    let headers = asked("headers");
    let function: Function = get(&headers, "get").unchecked_into();
    function.call1(&headers, &name.into()).expect("got").as_string()
}

#[wasm_bindgen_test]
async fn a_request_says_what_it_must_and_no_more() {
    fetch_is("return new Response('{}')");
    let fetch = plain_fetch();
    fetch.send(request(Method::Post, Some(r#"{"holdfast":1}"#))).await.expect("sent");
    let text: Function = get(&get(&js_sys::global(), "asked"), "text").unchecked_into();
    let text: Promise =
        text.call0(&get(&js_sys::global(), "asked")).expect("called").unchecked_into();
    let body = JsFuture::from(text).await.expect("read").as_string();
    assert_eq!(body.as_deref(), Some(r#"{"holdfast":1}"#));
    for (member, value) in [
        ("method", "POST"),
        ("url", "https://backend.example/api/push?a=1&b=%20"),
        ("cache", "no-store"),
        ("redirect", "error"),
        ("credentials", "omit"),
    ] {
        assert_eq!(asked(member).as_string().as_deref(), Some(value), "{member}");
    }
    assert_eq!(asked_header("authorization"), None);
    fetch.send(request(Method::Get, None)).await.expect("sent");
    assert_eq!(asked("method").as_string().as_deref(), Some("GET"));
    for (method, name) in [(Method::Put, "PUT"), (Method::Delete, "DELETE")] {
        fetch.send(request(method, None)).await.expect("sent");
        assert_eq!(asked("method").as_string().as_deref(), Some(name));
    }
    fetch_is_real();
}

/// A2: whatever it is, the core sees it whole.
#[wasm_bindgen_test]
async fn an_answer_comes_as_it_is_whoever_gave_it() {
    let answer = send(
        "return new Response('<p>Sign in</p>',
           { status: 503, headers: { 'content-type': 'text/html', 'retry-after': '7' } })",
    );
    let expected = HttpResponse {
        status: 503,
        content_type: "text/html".to_owned(),
        retry_after: Some("7".to_owned()),
        body: "<p>Sign in</p>".to_owned(),
        up: 0,
        etag: None,
    };
    assert_eq!(answer.await, Ok(expected));
    let answer = send("return new Response(null, { status: 204 })").await.expect("answered");
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
}

/// A1.
#[wasm_bindgen_test]
async fn without_an_answer_the_server_is_unreachable() {
    listen_for_trouble();
    for failure in [
        "throw new TypeError('Failed to fetch')",
        "throw 'a wrapper that throws texts'",
        "throw undefined",
        "return 'no response'",
        "return Response.error()",
        "return new Response(new ReadableStream({ start(c) {
           c.enqueue(new TextEncoder().encode('{\"half\":')); c.error(new TypeError('broke off')) } }))",
    ] {
        let answer = send(failure).await;
        let empty = answer.as_ref().is_ok_and(|answer| answer.status == 0);
        assert!(empty || answer == Err(FetchError::Unreachable), "{failure}: {answer:?}");
    }
    let fetch = plain_fetch();
    let nobody =
        HttpRequest { url: "http://127.0.0.1:9/".to_owned(), ..request(Method::Get, None) };
    assert_eq!(fetch.send(nobody).await, Err(FetchError::Unreachable));
    let nonsense = HttpRequest { url: "http://[".to_owned(), ..request(Method::Get, None) };
    assert_eq!(fetch.send(nonsense).await, Err(FetchError::Unreachable));
    assert_no_trouble().await;
}

/// A1, P36.
#[wasm_bindgen_test]
async fn an_answer_that_does_not_begin_or_end_is_given_up_and_aborted() {
    listen_for_trouble();
    let endless = "return new Response(new ReadableStream({
        start(c) { c.enqueue(new TextEncoder().encode('{')) } }))";
    let (long, short) = (Timeouts::within(Millis(10_000)), Millis(50));
    for (body, timeouts) in [
        ("return new Promise(() => {})", Timeouts { begin: short, ..long }),
        (endless, Timeouts { idle: short, ..long }),
        (endless, Timeouts { whole: short, ..long }),
    ] {
        fetch_is(body);
        let request = HttpRequest { timeouts, ..request(Method::Get, None) };
        assert_eq!(plain_fetch().send(request).await, Err(FetchError::Unreachable), "{body}");
        assert_eq!(get(&asked("signal"), "aborted"), JsValue::TRUE, "{body}");
    }
    fetch_is_real();
    assert_no_trouble().await;
}

#[wasm_bindgen_test]
async fn closing_aborts_what_is_under_way() {
    listen_for_trouble();
    fetch_is(
        "return new Promise((_, refuse) =>
           request.signal.addEventListener('abort', () => refuse(request.signal.reason)))",
    );
    let fetch = plain_fetch();
    let close = async {
        breathe().await;
        fetch.close();
    };
    let (answer, ()) = both(fetch.send(request(Method::Get, None)), close).await;
    assert_eq!(answer, Err(FetchError::Unreachable));
    assert_eq!(get(&asked("signal"), "aborted"), JsValue::TRUE);
    set(&js_sys::global(), "asked", &JsValue::NULL);
    assert_eq!(fetch.send(request(Method::Get, None)).await, Err(FetchError::Unreachable));
    assert!(get(&js_sys::global(), "asked").is_null(), "nothing is sent after closing");
    fetch_is_real();
    assert_no_trouble().await;
}

#[wasm_bindgen_test]
async fn a_dropped_request_is_aborted() {
    listen_for_trouble();
    fetch_is("return new Promise(() => {})");
    let fetch = plain_fetch();
    assert!(!cut(fetch.send(request(Method::Get, None)), 1).await);
    assert_eq!(get(&asked("signal"), "aborted"), JsValue::TRUE);
    fetch_is_real();
    assert_no_trouble().await;
}

/// P36: nothing grows without bound.
#[wasm_bindgen_test]
async fn a_body_beyond_the_limit_is_not_read_on() {
    listen_for_trouble();
    js("globalThis.pulled = 0; globalThis.cancelled = false");
    let endless = "return new Response(new ReadableStream({
        pull(c) { globalThis.pulled++; c.enqueue(new Uint8Array(300).fill(65)) },
        cancel() { globalThis.cancelled = true } }))";
    assert_eq!(send(endless).await, Err(FetchError::Unreadable));
    breathe().await;
    assert_eq!(get(&js_sys::global(), "cancelled"), JsValue::TRUE);
    assert!(get(&js_sys::global(), "pulled").as_f64().is_some_and(|pulled| pulled < 10.0));

    let exactly = "return new Response('x'.repeat(1_000))";
    assert_eq!(send(exactly).await.map(|answer| answer.body.len()), Ok(1_000));
    let one_more = "return new Response('x'.repeat(1_001))";
    assert_eq!(send(one_more).await, Err(FetchError::Unreadable));
    // Bytes count, not characters; and what is not UTF-8 is not guessed.
    let wide = "return new Response('€'.repeat(334))";
    assert_eq!(send(wide).await, Err(FetchError::Unreadable));
    let torn = "return new Response(new Uint8Array([123, 0xe2, 0x82]))";
    assert_eq!(send(torn).await, Err(FetchError::Unreadable));
    let split = "const all = new TextEncoder().encode('€😀');
        return new Response(new ReadableStream({ start(c) {
          for (const byte of all) c.enqueue(new Uint8Array([byte])); c.close() } }))";
    assert_eq!(send(split).await.map(|answer| answer.body), Ok("€😀".to_owned()));
    let response = web_sys::Response::new_with_opt_str(Some("whole")).expect("a response");
    assert_eq!(read_body(response.body(), 5, Millis(10_000)).await, Ok(b"whole".to_vec()));
    assert_eq!(read_body(None, 0, Millis(0)).await, Ok(Vec::new()));
    assert_no_trouble().await;
}

/// P36: what an answer says of its bytes is looked at where the protocol wants it.
#[wasm_bindgen_test]
async fn an_answer_that_is_not_what_it_says_is_none() {
    let with = |headers: &str| format!("return new Response('{{}}', {{ headers: {headers} }})");
    for (headers, digest, intact) in [
        ("{}", true, true),
        ("{ 'content-digest': '2' }", true, true),
        ("{ 'content-digest': '3' }", true, false),
        // Nobody asked for it; over coded bytes, which a page never sees.
        ("{ 'content-digest': '3' }", false, true),
        ("{ 'content-digest': '3', 'content-encoding': 'gzip' }", true, true),
    ] {
        fetch_is(&with(headers));
        let answer = plain_fetch().send(HttpRequest { digest, ..request(Method::Get, None) }).await;
        let expected = if intact { Ok("{}") } else { Err(FetchError::Unreadable) };
        assert_eq!(
            answer.as_ref().map(|it| &*it.body).map_err(|error| *error),
            expected,
            "{headers}"
        );
    }
    fetch_is_real();
}

fn application(body: &str) -> BrowserFetch {
    BrowserFetch::new(Bearer(Some(Function::new_with_args("request", body))))
}

async fn authorization(fetch: &BrowserFetch) -> Result<Option<String>, FetchError> {
    fetch.send(request(Method::Get, None)).await?;
    Ok(asked_header("authorization"))
}

/// P32.
#[wasm_bindgen_test]
async fn a_token_is_asked_for_each_request_and_never_kept() {
    fetch_is("return new Response('{}')");
    let fetch = application(
        "globalThis.tokens = (globalThis.tokens ?? 0) + 1;
         if (!(request.signal instanceof AbortSignal)) throw new Error('no signal');
         return Promise.resolve(`${request.reason}-${globalThis.tokens}`)",
    );
    let bearer = |token: &str| Ok(Some(token.to_owned()));
    assert_eq!(authorization(&fetch).await, bearer("initial-1"));
    assert_eq!(authorization(&fetch).await, bearer("initial-2"));
    fetch.forget_token();
    assert_eq!(authorization(&fetch).await, bearer("refused-3"));
    assert_eq!(authorization(&fetch).await, bearer("initial-4"));

    let fetch = application("throw new Error('signed out')");
    set(&js_sys::global(), "asked", &JsValue::NULL);
    assert_eq!(authorization(&fetch).await, Err(FetchError::NoToken));
    assert!(get(&js_sys::global(), "asked").is_null(), "nothing is sent without it");

    let never = "globalThis.tokenSignal = request.signal; return new Promise(() => {})";
    let timeouts = Timeouts::within(Millis(50));
    let hurried = HttpRequest { timeouts, ..request(Method::Get, None) };
    assert_eq!(application(never).send(hurried).await, Err(FetchError::Unreachable));
    let signal = get(&js_sys::global(), "tokenSignal");
    assert_eq!(get(&signal, "aborted"), JsValue::TRUE, "nobody waits for the token any more");
    fetch_is_real();
}

#[wasm_bindgen_test]
async fn a_real_fetch_reads_a_data_url() {
    let fetch = plain_fetch();
    let url = "data:application/json,%7B%22holdfast%22%3A1%7D".to_owned();
    let answer = fetch.send(HttpRequest { url, ..request(Method::Get, None) }).await.expect("read");
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"holdfast":1}"#));
    assert!(answer.content_type.starts_with("application/json"));
}

// Leadership.

/// Starts waiting; tells when it is over.
fn begin(future: impl Future<Output = ()> + 'static) -> Rc<Cell<bool>> {
    let done = Rc::new(Cell::new(false));
    let over = Rc::clone(&done);
    spawn_local(async move {
        future.await;
        over.set(true);
    });
    done
}

async fn leads_in_turn(first: BrowserLeadership, second: BrowserLeadership) {
    let (first, second) = (Rc::new(first), Rc::new(second));
    first.acquire().await;
    assert!(first.leads());
    let next = Rc::clone(&second);
    let granted = begin(async move { next.acquire().await });
    pause(100).await;
    assert!(!granted.get() && !second.leads());
    let one = Rc::clone(&first);
    let lost = begin(async move { one.lost().await });
    first.release();
    while !granted.get() {
        pause(10).await;
    }
    assert!(second.leads() && !first.leads() && lost.get());
    // A tab that goes away leaves the lead to others.
    drop(second);
    first.acquire().await;
    assert!(first.leads());
    first.release();
}

/// P22, P23: the next one leads when the first is gone.
#[wasm_bindgen_test]
async fn one_tab_leads_at_a_time() {
    let tab = || BrowserLeadership::new("holdfast:turns");
    leads_in_turn(tab(), tab()).await;
}

/// P22, P23: the same where there are no locks.
#[wasm_bindgen_test]
async fn one_tab_leads_at_a_time_by_lease() {
    let tab = || BrowserLeadership::by_lease("holdfast:lease-turns");
    leads_in_turn(tab(), tab()).await;
}

/// P23.
#[wasm_bindgen_test]
async fn a_lease_that_ran_out_or_makes_no_sense_is_free() {
    for value in ["'other 1'", "'other 99999999999999'", "'nonsense'", "''"] {
        js(&format!("localStorage.setItem('holdfast:old-lease:lease', {value})"));
        let tab = BrowserLeadership::by_lease("holdfast:old-lease");
        tab.acquire().await;
        assert!(tab.leads(), "{value}");
    }
    let left = js("return localStorage.getItem('holdfast:old-lease:lease')");
    assert!(left.is_null(), "a tab that goes away leaves no lease");
}

#[wasm_bindgen_test]
async fn a_withdrawn_wish_to_lead_keeps_nobody_waiting() {
    listen_for_trouble();
    let (first, second, third) = (
        BrowserLeadership::new("holdfast:withdrawn"),
        BrowserLeadership::new("holdfast:withdrawn"),
        BrowserLeadership::new("holdfast:withdrawn"),
    );
    first.acquire().await;
    assert!(!cut(second.acquire(), 1).await);
    first.release();
    third.acquire().await;
    assert!(third.leads() && !second.leads());
    third.release();
    second.acquire().await;
    assert!(second.leads());
    assert_no_trouble().await;
}

/// P22.
#[wasm_bindgen_test]
async fn a_stolen_lock_is_lost() {
    listen_for_trouble();
    let tab = BrowserLeadership::new("holdfast:stolen");
    tab.acquire().await;
    js("navigator.locks.request('holdfast:stolen', { steal: true }, async () => {})");
    tab.lost().await;
    assert!(!tab.leads());
    tab.acquire().await;
    assert!(tab.leads());
    assert_no_trouble().await;
}

// What happens to a page.

#[wasm_bindgen_test]
async fn a_page_tells_what_happens_to_it() {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&heard);
    let signals = Signals::listen(move |what| told.borrow_mut().push(what));
    heard.borrow_mut().clear();
    let window: EventTarget = js_sys::global().unchecked_into();
    let document: EventTarget = get(&window, "document").unchecked_into();
    let seen = if get(&document, "visibilityState") == JsValue::from_str("hidden") {
        Lifecycle::Hidden
    } else {
        Lifecycle::Visible
    };
    let fire = |target: &EventTarget, name: &str| {
        target.dispatch_event(&Event::new(name).expect("an event")).expect("dispatched");
    };
    for (target, name, expected) in [
        (&window, "offline", Lifecycle::Offline),
        (&window, "online", Lifecycle::Online),
        (&document, "visibilitychange", seen),
        (&window, "pagehide", Lifecycle::Hidden),
        (&window, "pageshow", seen),
        (&document, "freeze", Lifecycle::Hidden),
        (&document, "resume", seen),
    ] {
        fire(target, name);
        assert_eq!(heard.take(), [expected], "{name}");
    }
    drop(signals);
    fire(&window, "online");
    assert_eq!(heard.take(), []);
}

/// P24.
#[wasm_bindgen_test]
async fn tabs_hear_each_other_and_not_themselves() {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let listen = |name: &'static str, channel: &str| {
        let told = Rc::clone(&heard);
        Channel::open(channel, move |message| told.borrow_mut().push((name, message)))
    };
    let (first, second) = (listen("first", "holdfast:a"), listen("second", "holdfast:a"));
    let other = listen("other", "holdfast:b");
    first.post("changed");
    second.post("poke");
    while heard.borrow().len() < 2 {
        pause(5).await;
    }
    heard.borrow_mut().sort();
    assert_eq!(heard.take(), [("first", "poke".to_owned()), ("second", "changed".to_owned())]);
    second.close();
    second.post("after closing");
    drop(first);
    drop(other);
    js(
        "globalThis.realChannel = globalThis.BroadcastChannel; globalThis.BroadcastChannel = undefined",
    );
    let deaf = Channel::open("holdfast:a", |_| panic!("nobody is there"));
    js("globalThis.BroadcastChannel = globalThis.realChannel");
    deaf.post("nobody hears");
    deaf.close();
}

/// R19, P34.
#[wasm_bindgen_test]
async fn time_passes_and_never_goes_back() {
    let start = BrowserClock.mono();
    let at = start.plus(Millis(20));
    BrowserClock.sleep_until(at).await;
    assert!(BrowserClock.mono() >= at);
    BrowserClock.sleep_until(start).await;
    assert!(!cut(BrowserClock.sleep_until(at.plus(Millis(3_600_000))), 1).await);
    assert!(BrowserClock.wall().0 > 1_600_000_000_000);
}

#[wasm_bindgen_test]
async fn chance_does_not_repeat_itself() {
    let mut numbers: Vec<u64> = (0..200).map(|_| BrowserRng.next()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 200);
    assert!(numbers.iter().any(|number| *number > u64::from(u32::MAX)), "all 64 bits are used");
}

#[wasm_bindgen_test]
async fn what_the_browser_says_of_its_storage_may_be_nothing() {
    let known = js("return Boolean(navigator.storage?.estimate)").is_truthy();
    assert_eq!(estimate().await.is_some(), known);
    assert_eq!(persisted().await.is_some(), known);
    js("Object.defineProperty(navigator, 'storage', { value: undefined, configurable: true })");
    let missing = (estimate().await, persisted().await);
    js("delete navigator.storage");
    assert_eq!(missing, (None, None));
}
