//! The class behind `SyncManager`: one method per verb, each a line or two over the engine's.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use js_sys::{Function, Promise, Reflect};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

use super::callbacks::Callbacks;
use super::convert;
use super::errors::{refused, thrown};
use super::host::{Checked, DoorHost, DoorRemote, DoorResolver, DoorStore, Place};
use super::options::Options;
use super::porter::DoorPorter;
use super::text::{Members, Object, list};
use crate::browser::{
    self, BrowserClock, BrowserFetch, BrowserHost, BrowserRng, Channel, IdbSettings, IdbStore,
    Lifecycle, Signals,
};
use crate::engine::{Commit, Config, Engine, Event, Status, StatusKind, Verdict, WriteRequest};
use crate::layout::{file_text, read_file};
use crate::memory::MemoryStore;
use crate::model::{
    Code, ConflictId, Document, EntityKey, IdSeed, Millis, OpId, Scope, StoreError, SyncError,
};
use crate::plan::lost::is_lost;
use crate::plan::resolve::Dependents;
use crate::plan::write::Action;
use crate::port::{Clock, Host, Remote, Rng, Timeouts};
use crate::protocol::{GZIP_FROM, HttpRemote, Protocol, Standard};
use crate::query::{read_aggregate, read_query};
use crate::schedule::{Signal, Timing};
#[cfg(feature = "any-backend")]
use {
    super::options::flag,
    super::remote::JsRemote,
    crate::model::Capabilities,
    crate::protocol::{Rest, RestProfile},
};

/// Between two looks at how much space there is.
const LOOK_EVERY: Millis = Millis(60_000);

thread_local!(static ON_PANIC: RefCell<Option<Function>> = const { RefCell::new(None) });

/// The number of the interface between this module and the TypeScript around it.
#[wasm_bindgen]
#[must_use]
pub fn holdfast_door() -> u32 {
    1
}

/// By this export the TypeScript knows the module that has all backends.
#[cfg(feature = "any-backend")]
#[wasm_bindgen]
pub fn holdfast_any() {}

/// Sets what is told when the module is about to stop because of a bug in it: nothing in it can be called afterwards.
#[wasm_bindgen]
pub fn on_panic(callback: Function) {
    ON_PANIC.set(Some(callback));
    std::panic::set_hook(Box::new(|info| {
        let callback = ON_PANIC.take();
        if let Some(callback) = callback {
            let _ = callback.call1(&JsValue::UNDEFINED, &info.to_string().into());
        }
        console_error_panic_hook::hook(info);
    }));
}

/// An open database, as the TypeScript holds it.
#[wasm_bindgen]
pub struct Door(Rc<Inner>);

struct Inner {
    engine: Rc<Engine<DoorHost>>,
    callbacks: Callbacks,
    fetch: Option<BrowserFetch>,
    channel: RefCell<Option<Channel>>,
    signals: RefCell<Option<Signals>>,
    storage: RefCell<Storage>,
    looked: Cell<Option<crate::model::Mono>>,
    /// What was last said about the storage's troubles.
    trouble: Cell<Option<StatusKind>>,
    /// Another tab's news is being told: it does not go back to the other tabs.
    hearing: Cell<bool>,
    /// The application had its chance to listen: before that no news of the storage is told.
    listening: Cell<bool>,
    /// The database's name, until its mark stands beside it; none where there is no database.
    unmarked: Cell<Option<String>>,
}

/// How safe the data is.
#[derive(Clone, PartialEq, Serialize)]
struct Storage {
    durability: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    persisted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<f64>,
}

#[wasm_bindgen]
impl Door {
    /// Opens a database and starts to sync it.
    pub async fn open(options: String, callbacks: JsValue) -> Result<Door, JsValue> {
        let wrong = || refused(Code::InvalidOptions, "options", "not what the door expects");
        let options = Options::read(&options).ok_or_else(|| thrown(&wrong()))?;
        let callbacks = Callbacks::new(&callbacks).ok_or_else(|| thrown(&wrong()))?;
        Self::start(options, callbacks).await.map_err(|error| thrown(&error))
    }

    /// A fresh id for a record whose document carries its id.
    #[must_use]
    pub fn new_id(&self) -> String {
        let mut random = [0; 10];
        let chance = BrowserRng.next().to_le_bytes().into_iter().cycle();
        random.iter_mut().zip(chance).for_each(|(byte, chance)| *byte = chance);
        IdSeed { at: BrowserClock.wall(), random }.entity(0)
    }

    /// Stores a new record. This and all others that return a promise give text, and reject with the text of an error.
    pub fn create(
        &self,
        collection: String,
        id: Option<String>,
        document: &str,
        priority: Option<String>,
    ) -> Promise {
        let action = convert::document(document).map(Action::Create);
        self.write(collection, id, action, priority)
    }

    /// Changes members of a record.
    pub fn patch(
        &self,
        collection: String,
        id: String,
        patch: &str,
        priority: Option<String>,
    ) -> Promise {
        let action = convert::document(patch).map(Action::Patch);
        self.write(collection, Some(id), action, priority)
    }

    /// Gives a record a new document.
    pub fn replace(
        &self,
        collection: String,
        id: String,
        document: &str,
        priority: Option<String>,
    ) -> Promise {
        let action = convert::document(document).map(Action::Replace);
        self.write(collection, Some(id), action, priority)
    }

    /// Takes a record away.
    pub fn remove(&self, collection: String, id: String, priority: Option<String>) -> Promise {
        self.write(collection, Some(id), Ok(Action::Remove), priority)
    }

    /// Stores writes all or none.
    pub fn transaction(&self, members: &str) -> Promise {
        let (engine, members) = (self.engine(), convert::members(members));
        promise(async move {
            let written = engine.transaction(members?).await?;
            Ok(Some(convert::written_together(&written)))
        })
    }

    /// A record.
    pub fn get(&self, collection: String, id: String) -> Promise {
        let engine = self.engine();
        promise(async move {
            let entity = engine.get(&EntityKey::new(collection, id)).await?;
            Ok(entity.map(|entity| convert::entity(&entity)))
        })
    }

    /// The records of a collection that a query is about.
    pub fn list(&self, collection: String, query: String) -> Promise {
        let engine = self.engine();
        promise(async move {
            let page = engine.list(&collection, read_query(&query)?).await?;
            Ok(Some(convert::page(&page)))
        })
    }

    /// What the records of a collection add up to.
    pub fn aggregate(&self, collection: String, query: String) -> Promise {
        let engine = self.engine();
        promise(async move {
            let asked = read_aggregate(&query)?;
            let (totals, complete) = engine.aggregate(&collection, asked.clone()).await?;
            Ok(Some(convert::totals(&asked, &totals, complete)))
        })
    }

    /// Wants a part of the server's data from now on.
    pub fn add_scope(&self, scope: String) -> Promise {
        let engine = self.engine();
        promise(async move { engine.add_scope(&Scope(scope)).await.map(|()| None) })
    }

    /// The same, and waits until all of it is here.
    pub fn warm_scope(&self, scope: String) -> Promise {
        let engine = self.engine();
        promise(async move {
            let state = engine.warm_scope(&Scope(scope)).await?;
            Ok(Some(convert::scope(&state)))
        })
    }

    /// Forgets it, but never unsent work.
    pub fn evict_scope(&self, scope: String) -> Promise {
        let engine = self.engine();
        promise(async move {
            let evicted = engine.evict_scope(&Scope(scope)).await?;
            Ok(Some(convert::evicted(&evicted)))
        })
    }

    /// What is known of each scope.
    pub fn scopes(&self) -> Promise {
        let engine = self.engine();
        promise(async move { Ok(Some(list(engine.scopes().await?.iter().map(convert::scope)))) })
    }

    /// One cycle now.
    pub fn sync(&self) -> Promise {
        let engine = self.engine();
        promise(async move { Ok(Some(convert::cycle(&engine.sync_now().await?))) })
    }

    /// Cycles until nothing more can leave.
    pub fn drain(&self) -> Promise {
        let engine = self.engine();
        promise(async move { Ok(Some(convert::drained(&engine.drain().await?))) })
    }

    /// How an operation ended.
    pub fn outcome(&self, op: &str) -> Promise {
        let (engine, op) = (self.engine(), OpId::parse(op));
        promise(async move {
            let verdict = match op {
                Some(op) => engine.outcome(op).await?,
                None => Verdict::Unknown,
            };
            Ok(Some(convert::outcome(&verdict)))
        })
    }

    /// Sends nothing for a while.
    pub fn pause(&self) {
        self.0.engine.signal(Signal::Pause);
    }

    /// Sends again.
    pub fn resume(&self) {
        self.0.engine.signal(Signal::Resume);
    }

    /// There is a new token.
    pub fn authenticated(&self) {
        self.0.engine.signal(Signal::Authenticated);
        self.0.post("authenticated", "null");
    }

    /// The server may have news.
    pub fn poke(&self) {
        self.0.engine.signal(Signal::Poke);
        self.0.post("poke", "null");
    }

    /// The status now.
    #[must_use]
    pub fn status(&self) -> JsValue {
        self.0.status(&self.0.engine.status())
    }

    /// Both sides of the balance.
    pub fn audit(&self) -> Promise {
        let engine = self.engine();
        promise(async move { Ok(Some(convert::audit(&engine.audit().await?))) })
    }

    /// What was counted since the manager was opened.
    #[must_use]
    pub fn metrics(&self) -> String {
        convert::metrics(&self.0.engine.metrics())
    }

    /// What is in the outbox.
    pub fn outbox(&self, state: Option<String>, limit: Option<u32>) -> Promise {
        let engine = self.engine();
        promise(async move {
            let entries = engine.outbox().await?;
            let wanted = entries
                .iter()
                .filter(|entry| state.as_deref().is_none_or(|it| convert::state(&entry.op) == it))
                .take(limit.unwrap_or(1_000) as usize);
            Ok(Some(list(wanted.map(|entry| convert::operation(&entry.op)))))
        })
    }

    /// Sends a rejected operation again.
    pub fn retry(&self, op: &str) -> Promise {
        self.again(op, None)
    }

    /// Sends a rejected operation again, corrected.
    pub fn edit(&self, op: &str, patch: &str) -> Promise {
        self.again(op, Some(convert::document(patch)))
    }

    /// Gives a parked operation up.
    pub fn discard(&self, op: &str, dependents: bool) -> Promise {
        let (engine, op) = (self.engine(), known(OpId::parse(op), "opId"));
        let dependents = if dependents { Dependents::Discard } else { Dependents::Refuse };
        promise(async move {
            let discarded = engine.discard(op?, dependents).await?;
            Ok(Some(list(discarded.iter().map(convert::operation))))
        })
    }

    /// Operations as a file. `wanted` is `all`, `parked`, `handed-over` or the text of a list of ids.
    pub fn export_file(&self, wanted: &str, hand_over: bool) -> Promise {
        let (engine, wanted) = (self.engine(), convert::selection(wanted));
        promise(async move { Ok(Some(file_text(&engine.export(&wanted?, hand_over).await?)?)) })
    }

    /// Brings the operations of a file.
    pub fn import_file(&self, text: &str) -> Promise {
        let (engine, file) = (self.engine(), read_file(text));
        promise(async move { Ok(Some(convert::imported(&engine.import(&file?).await?))) })
    }

    /// Conflicts, oldest first.
    pub fn conflicts(&self, resolved: bool) -> Promise {
        let engine = self.engine();
        promise(async move {
            let conflicts = engine.conflicts().await?;
            let wanted = conflicts.iter().filter(|it| resolved || it.resolved.is_none());
            Ok(Some(list(wanted.map(convert::conflict))))
        })
    }

    /// Settles a conflict.
    pub fn resolve(&self, id: &str, resolution: &str) -> Promise {
        let (engine, id) = (self.engine(), known(ConflictId::parse(id), "id"));
        let choice = convert::choice(resolution);
        promise(async move {
            let moved = engine.resolve(id?, choice?).await?;
            Ok(Some(match moved {
                None => Object::new().text("kind", "resolved").end(),
                Some(conflict) => Object::new()
                    .text("kind", "moved")
                    .raw("conflict", &convert::conflict(&conflict))
                    .end(),
            }))
        })
    }

    /// Brings back the side of a conflict that lost.
    pub fn restore(&self, id: &str) -> Promise {
        let (engine, id) = (self.engine(), known(ConflictId::parse(id), "id"));
        promise(async move {
            let written = engine.restore(id?).await?;
            Ok(Some(convert::written(&written.key.id, written.op)))
        })
    }

    /// Stops syncing and closes the database.
    pub fn close(&self) {
        self.0.signals.take();
        self.0.channel.take();
        self.0.engine.close();
        if let Some(fetch) = &self.0.fetch {
            fetch.close();
        }
        if let Place::Idb(store) = &self.0.engine.host().store().place {
            store.close();
        }
    }
}

impl Door {
    async fn start(mut options: Options, callbacks: Callbacks) -> Result<Self, SyncError> {
        let (remote, fetch) = remote(&mut options, &callbacks)?;
        if let Some(path) = options.rules.compares_times().filter(|_| !remote.capabilities().times)
        {
            let message = "the remote tells no times of records: the last write cannot win";
            return Err(refused(Code::InvalidOptions, &path, message));
        }
        let name = options.database();
        let idb = match IdbStore::open(&name, IdbSettings::default()).await {
            Ok(store) => Some(store),
            Err(StoreError::Missing) if options.allow_memory => None,
            Err(error) => return Err(error.into()),
        };
        let durability = match &idb {
            None => "memory",
            Some(_) if options.is_relaxed() => "relaxed",
            Some(_) => "strict",
        };
        let place = idb.clone().map_or_else(|| Place::Memory(MemoryStore::default()), Place::Idb);
        let host = DoorStore { place, relaxed: options.is_relaxed() };
        let resolver = DoorResolver(options.resolver.then(|| callbacks.clone()));
        let owner = options.owner();
        let remote = Checked { remote, callbacks: callbacks.clone(), collections: options.checked };
        let host = BrowserHost::new(&name, host, remote).with_resolver(resolver);
        let mut timing = Timing { backoff: options.rules.backoff, ..Timing::default() };
        if let Some(every) = options.sync_every {
            timing.pull_every = every;
        }
        let (scopes, evict_after) = (options.scopes, options.evict_after);
        let (rules, indexes) = (options.rules, options.indexes);
        let config =
            Config { rules, indexes, timing, scopes, evict_after, owner, ..Config::default() };
        let engine = Engine::open(host, config).await?;
        if let Some(idb) = &idb
            && is_lost(engine.device(), browser::marker(&name).as_deref(), idb.was_deleted())
        {
            engine.lost().await?;
        }
        let storage = Storage { durability, persisted: None, usage: None, quota: None };
        let inner = Rc::new(Inner {
            engine,
            callbacks,
            fetch,
            channel: RefCell::default(),
            signals: RefCell::default(),
            storage: RefCell::new(storage),
            looked: Cell::default(),
            trouble: Cell::default(),
            hearing: Cell::default(),
            listening: Cell::default(),
            unmarked: Cell::new(idb.is_some().then(|| name.clone())),
        });
        inner.mark();
        inner.listen(&name, idb.as_ref());
        spawn_local(Rc::clone(&inner.engine).run());
        Ok(Self(inner))
    }

    fn engine(&self) -> Rc<Engine<DoorHost>> {
        Rc::clone(&self.0.engine)
    }

    fn write(
        &self,
        collection: String,
        id: Option<String>,
        action: Result<Action, SyncError>,
        urgency: Option<String>,
    ) -> Promise {
        let engine = self.engine();
        promise(async move {
            let urgency = convert::urgency(urgency.as_deref())?;
            let request = WriteRequest { collection, id, action: action?, priority: urgency };
            let written = engine.write(request).await?;
            Ok(Some(convert::written(&written.key.id, written.op)))
        })
    }

    fn again(&self, op: &str, patch: Option<Result<Document, SyncError>>) -> Promise {
        let (engine, op) = (self.engine(), known(OpId::parse(op), "opId"));
        promise(async move {
            let patch = patch.transpose()?;
            let again = engine.retry(op?, patch.as_ref()).await?;
            let entry = engine.operation(again).await?;
            Ok(Some(convert::written(entry.as_ref().map_or("", |entry| &entry.op.key.id), again)))
        })
    }
}

/// What a method of the door does. Boxed, so that the way to a promise exists once in the module and not once for each.
type Work = Pin<Box<dyn Future<Output = Result<Option<String>, SyncError>>>>;

fn promise(work: impl Future<Output = Result<Option<String>, SyncError>> + 'static) -> Promise {
    fn boxed(work: Work) -> Promise {
        future_to_promise(async move {
            match work.await {
                Ok(text) => Ok(text.map_or(JsValue::UNDEFINED, JsValue::from)),
                Err(error) => Err(thrown(&error)),
            }
        })
    }
    boxed(Box::pin(work))
}

/// An id that cannot be one names nothing.
fn known<T>(id: Option<T>, path: &str) -> Result<T, SyncError> {
    id.ok_or_else(|| refused(Code::NotFound, path, "there is nothing of this id"))
}

/// The remote that the options describe, and what it sends with.
fn remote(
    options: &mut Options,
    callbacks: &Callbacks,
) -> Result<(DoorRemote, Option<BrowserFetch>), SyncError> {
    let Some(base_url) = options.remote.base_url.take() else {
        return Ok((custom(options, callbacks)?, None));
    };
    let protocol = match options.remote.profile.take() {
        None => standard(options, base_url),
        Some(profile) => described(options, base_url, &profile)?,
    };
    let fetch = BrowserFetch::new(DoorPorter(callbacks.clone()));
    Ok((DoorRemote::Http(HttpRemote::new(protocol, fetch.clone(), BrowserClock)), Some(fetch)))
}

fn standard(options: &Options, base_url: String) -> Box<dyn Protocol> {
    let mut standard = Standard::new(base_url);
    if let Some(timeout) = options.remote.timeout {
        standard.timeouts = Timeouts::within(timeout);
    }
    standard.gzip_from = options.remote.gzip.then_some(GZIP_FROM);
    standard.digest = options.remote.digest;
    Box::new(standard)
}

#[cfg(feature = "any-backend")]
fn custom(options: &Options, callbacks: &Callbacks) -> Result<DoorRemote, SyncError> {
    let given = |name| flag(&options.remote.given, name);
    let capabilities = Capabilities {
        groups: given("groups"),
        whole_record: given("wholeRecord"),
        pull_first: false,
        versions: given("versions"),
        times: given("times"),
        ..Capabilities::default()
    };
    Ok(DoorRemote::Custom(JsRemote::new(callbacks.clone(), capabilities)))
}

#[cfg(feature = "any-backend")]
fn described(
    options: &mut Options,
    base_url: String,
    profile: &str,
) -> Result<Box<dyn Protocol>, SyncError> {
    let within = |error: SyncError| {
        let path = error.path.clone().unwrap_or_default();
        error.at(["remote.profile.", &*path].concat())
    };
    let profile = RestProfile::parse(profile).map_err(within)?;
    profile.rule(&mut options.rules);
    let scope = options.remote.given.text("scope").unwrap_or_default();
    let rest = Rest::new(profile, base_url).scoped(scope);
    Ok(Box::new(match options.remote.timeout {
        Some(timeout) => rest.within(timeout),
        None => rest,
    }))
}

/// The TypeScript loads the module with all backends for these: this is said where an application mixed the files of two releases.
#[cfg(not(feature = "any-backend"))]
fn not_here() -> SyncError {
    refused(Code::InvalidOptions, "remote", "this wasm file speaks the standard protocol alone")
}

#[cfg(not(feature = "any-backend"))]
fn custom(_: &Options, _: &Callbacks) -> Result<DoorRemote, SyncError> {
    Err(not_here())
}

#[cfg(not(feature = "any-backend"))]
fn described(_: &mut Options, _: String, _: &str) -> Result<Box<dyn Protocol>, SyncError> {
    Err(not_here())
}

impl Inner {
    fn listen(self: &Rc<Self>, name: &str, idb: Option<&IdbStore>) {
        let told = self.weakly(|inner, event: &Event| inner.told(event));
        self.engine.subscribe(told);
        let heard = self.weakly(|inner, message: &String| inner.heard(message));
        let channel = Channel::open(name, move |message| heard(&message));
        *self.channel.borrow_mut() = Some(channel);
        let happened = self.weakly(|inner, what: &Lifecycle| {
            inner.engine.signal(match what {
                Lifecycle::Online => Signal::Online,
                Lifecycle::Offline => Signal::Offline,
                Lifecycle::Visible => Signal::Visible,
                Lifecycle::Hidden => Signal::Hidden,
            });
        });
        *self.signals.borrow_mut() = Some(Signals::listen(move |what| happened(&what)));
        if let Some(idb) = idb {
            let ended = self.weakly(|inner, _: &StoreError| inner.look_again());
            idb.on_end(move |error| ended(&error));
        }
        self.look_at_space();
        let inner = Rc::clone(self);
        spawn_local(async move {
            // A timer lets the application's own next steps go first.
            BrowserClock.sleep_until(BrowserClock.mono().plus(Millis(1))).await;
            inner.listening.set(true);
            inner.tell_trouble(inner.engine.status().kind);
        });
    }

    /// A callback that does not keep the manager alive.
    fn weakly<T>(self: &Rc<Self>, then: impl Fn(&Rc<Self>, &T) + 'static) -> impl Fn(&T) + 'static {
        let weak = Rc::downgrade(self);
        move |what| {
            if let Some(inner) = weak.upgrade() {
                then(&inner, what);
            }
        }
    }

    /// The database was taken away: the next read finds out what happened and the status says it.
    fn look_again(self: &Rc<Self>) {
        let inner = Rc::clone(self);
        spawn_local(async move {
            if inner.engine.audit().await.is_err() {
                inner.engine.signal(Signal::Poke);
            }
        });
    }

    /// Sets the mark beside the database as soon as something is stored in it.
    fn mark(&self) {
        let Some(name) = self.unmarked.take() else { return };
        match self.engine.device() {
            Some(device) => browser::mark(&name, &device.to_string()),
            None => self.unmarked.set(Some(name)),
        }
    }

    fn told(self: &Rc<Self>, event: &Event) {
        self.mark();
        match event {
            Event::Commit(commit) => {
                self.post("commit", &convert::commit(commit));
                self.changed(commit);
            }
            Event::Remote(commit) => self.changed(commit),
            Event::Progress(progress) => self.say("progress", &convert::progress(progress)),
            Event::Cycle(report) => {
                self.say("cycle", &convert::cycle(report));
                self.look_at_space();
            }
            Event::Status(status) => self.show(status),
            Event::AuthRequired => self.say("auth-required", "{\"reason\":\"refused\"}"),
            Event::Asked => self.post("asked", "null"),
            Event::Began(spell) => self.callbacks.emit("began", &convert::spell(*spell).into()),
            Event::Ended(spell) => self.callbacks.emit("ended", &convert::spell(*spell).into()),
        }
    }

    /// Tells the application here, and the other tabs unless it comes from one.
    fn say(&self, kind: &str, text: &str) {
        self.callbacks.emit(kind, &text.into());
        if !self.hearing.get() {
            self.post(kind, text);
        }
    }

    fn post(&self, kind: &str, body: &str) {
        if let Some(channel) = &*self.channel.borrow() {
            channel.post(&Object::new().text("kind", kind).raw("body", body).end());
        }
    }

    /// Another tab has news. What cannot be read is of another release and means nothing to this one.
    fn heard(self: &Rc<Self>, message: &str) {
        let Some(message) = Members::read(message) else { return };
        let (Some(kind), Some(body)) = (message.text("kind"), message.raw("body")) else { return };
        self.hearing.set(true);
        match &*kind {
            "commit" => {
                if let Some(commit) = convert::heard_commit(body) {
                    let engine = Rc::clone(&self.engine);
                    spawn_local(async move {
                        // Fails when the storage does, which the status says.
                        let _ = engine.heard_commit(commit).await;
                    });
                }
            }
            "cycle" => {
                if let Some(report) = convert::heard_cycle(body) {
                    self.engine.heard_cycle(report);
                }
            }
            "progress" | "auth-required" => self.say(&kind, body),
            "asked" => self.engine.signal(Signal::SyncNow),
            "poke" => self.engine.signal(Signal::Poke),
            "authenticated" => self.engine.signal(Signal::Authenticated),
            _ => {}
        }
        self.hearing.set(false);
    }

    fn changed(self: &Rc<Self>, commit: &Commit) {
        if !commit.changed.is_empty() {
            self.callbacks.emit("change", &convert::changes(commit).into());
        }
        if commit.parked.is_empty() && commit.conflicts.is_empty() {
            return;
        }
        let (inner, commit) = (Rc::clone(self), commit.clone());
        spawn_local(async move {
            for op in commit.parked {
                if let Ok(Some(entry)) = inner.engine.operation(op).await {
                    inner.callbacks.emit("parked", &convert::operation(&entry.op).into());
                }
            }
            for id in commit.conflicts {
                if let Ok(Some(conflict)) = inner.engine.conflict(id).await {
                    inner.callbacks.emit("conflict", &convert::conflict(&conflict).into());
                }
            }
        });
    }

    fn show(&self, status: &Status) {
        self.callbacks.emit("status", &self.status(status));
        if self.listening.get() {
            self.tell_trouble(status.kind);
        }
    }

    fn tell_trouble(&self, kind: StatusKind) {
        let trouble = match kind {
            StatusKind::StorageFull | StatusKind::StorageLost | StatusKind::Superseded => {
                Some(kind)
            }
            StatusKind::Synced
            | StatusKind::Pending
            | StatusKind::Syncing
            | StatusKind::Offline
            | StatusKind::Paused
            | StatusKind::AuthRequired
            | StatusKind::BlockedByServer
            | StatusKind::Stalled => None,
        };
        if self.trouble.replace(trouble) != trouble {
            let kind = match trouble {
                Some(StatusKind::StorageFull) => "full",
                Some(StatusKind::StorageLost) => "lost",
                Some(_) => "superseded",
                None => "restored",
            };
            self.callbacks.emit("storage", &Object::new().text("kind", kind).end().into());
        }
    }

    fn status(&self, status: &Status) -> JsValue {
        let object = serde_wasm_bindgen::to_value(status).unwrap_or(JsValue::NULL);
        let storage = serde_wasm_bindgen::to_value(&*self.storage.borrow());
        let _ = Reflect::set(&object, &"storage".into(), &storage.unwrap_or(JsValue::NULL));
        object
    }

    /// Asks the browser about space, now and then.
    fn look_at_space(self: &Rc<Self>) {
        let now = BrowserClock.mono();
        if self.looked.get().is_some_and(|last| last.until(now) < LOOK_EVERY) {
            return;
        }
        self.looked.set(Some(now));
        let weak = Rc::downgrade(self);
        spawn_local(async move {
            let (persisted, estimate) = (browser::persisted().await, browser::estimate().await);
            let Some(inner) = weak.upgrade() else { return };
            let storage = Storage {
                durability: inner.storage.borrow().durability,
                persisted,
                usage: estimate.map(|estimate| estimate.usage as f64),
                quota: estimate.map(|estimate| estimate.quota as f64),
            };
            if inner.storage.replace(storage.clone()) != storage {
                inner.show(&inner.engine.status());
            }
        });
    }
}
