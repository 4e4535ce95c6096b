//! The connection that reads and commits: it asks for durability, it knows why a transaction ended, and a request that is dropped
//! leaves nothing behind. Rexie can do none of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, Function, Object, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{Event, IdbDatabase, IdbObjectStore, IdbOpenDbRequest, IdbRequest, IdbTransaction};

use super::open::factory;
use super::{Failure, codec};
use crate::browser::wait::Wakers;
use crate::layout::{RowChange, STORES};
use crate::model::Durability;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = IdbDatabase)]
    type Database;
    #[wasm_bindgen(method, catch, js_name = transaction)]
    fn begin(
        this: &Database,
        stores: &Array,
        mode: &str,
        options: &Object,
    ) -> Result<IdbTransaction, JsValue>;

    #[wasm_bindgen(extends = IdbTransaction)]
    #[derive(Clone)]
    type Transaction;
    #[wasm_bindgen(method, getter, js_name = commit)]
    fn commit_function(this: &Transaction) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = error)]
    fn cause(this: &Transaction) -> JsValue;

    #[wasm_bindgen(extends = Event)]
    type VersionChange;
    #[wasm_bindgen(method, getter, js_name = newVersion)]
    fn new_version(this: &VersionChange) -> JsValue;
}

/// What happened to a connection from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Another tab upgrades the database.
    Upgraded,
    /// Another tab deletes the database.
    Deleted,
    /// The browser closed it.
    Closed,
}

/// There is no database of this name and version yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unready {
    /// The browser says that there was one, and that it deleted it: Chromium does so with what it finds corrupt.
    pub(super) deleted: bool,
}

/// An open connection.
pub(super) struct Connection {
    database: Database,
    _taken: Closure<dyn FnMut(Event)>,
}

impl Connection {
    /// Opens what is there. A database that is missing or older is left as it is, and said to be.
    pub(super) async fn open(
        name: &str,
        version: u32,
        on_taken: impl Fn(Taken) + 'static,
    ) -> Result<Result<Self, Unready>, Failure> {
        let factory = factory()?.ok_or_else(Failure::missing)?;
        let request = factory.open_with_u32(name, version)?;
        let database: Database = match opened(request).await? {
            Ok(database) => database.unchecked_into(),
            Err(unready) => return Ok(Err(unready)),
        };
        let shared = database.clone();
        let taken = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            let taken = if event.type_() != "versionchange" {
                Taken::Closed
            } else if event.unchecked_ref::<VersionChange>().new_version().is_null() {
                Taken::Deleted
            } else {
                Taken::Upgraded
            };
            // Closing lets running transactions end, and lets the other tab go on.
            shared.close();
            on_taken(taken);
        });
        let callback = taken.as_ref().unchecked_ref::<Function>();
        database.set_onversionchange(Some(callback));
        database.set_onclose(Some(callback));
        Ok(Ok(Self { database, _taken: taken }))
    }

    /// Begins a transaction over all stores: which of them a verb touches is known when it has read. Without a durability it
    /// only reads.
    pub(super) fn begin(&self, durability: Option<Durability>) -> Result<Running, Failure> {
        let (mode, durability) = match durability {
            None => ("readonly", "default"),
            Some(Durability::Strict) => ("readwrite", "strict"),
            Some(Durability::Relaxed) => ("readwrite", "relaxed"),
        };
        let options = Object::new();
        Reflect::set(&options, &"durability".into(), &durability.into())?;
        let stores: Array = STORES.iter().map(|spec| JsValue::from_str(spec.name)).collect();
        Ok(Running::new(self.database.begin(&stores, mode, &options)?))
    }

    pub(super) fn close(&self) {
        self.database.set_onversionchange(None);
        self.database.set_onclose(None);
        self.database.close();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// The end of an open request.
#[derive(Default)]
struct Opening {
    end: RefCell<Option<Result<IdbDatabase, Failure>>>,
    unready: Cell<Option<Unready>>,
    gone: Cell<bool>,
    wakers: Wakers,
}

/// Whoever waits for an open. When nobody does any more, what was opened is closed: a connection that nobody holds would keep
/// every other tab from upgrading.
struct Waiter(Rc<Opening>);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.gone.set(true);
        if let Some(Ok(database)) = self.0.end.take() {
            database.close();
        }
    }
}

async fn opened(request: IdbOpenDbRequest) -> Result<Result<IdbDatabase, Unready>, Failure> {
    let waiter = Waiter(Rc::default());
    let (opening, asked) = (Rc::clone(&waiter.0), request.clone());
    let callback = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
        if event.type_() == "upgradeneeded" {
            // An empty database is not ours to make: rexie makes the stores.
            let said = Reflect::get(&event, &"dataLoss".into()).ok().and_then(|it| it.as_string());
            let deleted = said.is_some_and(|said| said != "none");
            opening.unready.set(Some(Unready { deleted }));
            if let Some(transaction) = asked.transaction() {
                let _ = transaction.abort();
            }
            return;
        }
        let end = match asked.error() {
            Ok(Some(error)) => Err(Failure::of(&error)),
            Ok(None) | Err(_) => asked.result().map_err(|error| Failure::of(&error)),
        };
        let end = end.map(JsValue::unchecked_into::<IdbDatabase>);
        match end {
            Ok(database) if opening.gone.get() => database.close(),
            Ok(_) | Err(_) => *opening.end.borrow_mut() = Some(end),
        }
        opening.wakers.wake();
    });
    // The callback must outlive this future, which may be dropped before the request ends: JavaScript owns it.
    let function: Function = callback.into_js_value().unchecked_into();
    request.set_onsuccess(Some(&function));
    request.set_onerror(Some(&function));
    request.set_onupgradeneeded(Some(&function));
    let end = waiter.0.wakers.until(|| waiter.0.end.take()).await;
    match (waiter.0.unready.take(), end) {
        (Some(unready), Err(_)) => Ok(Err(unready)),
        (_, end) => end.map(Ok),
    }
}

/// A transaction under way. Dropped before its writes were issued it is aborted; after that it ends by itself, wholly.
pub(super) struct Running {
    transaction: Transaction,
    stores: RefCell<Vec<(&'static str, IdbObjectStore)>>,
    newest: RefCell<Option<IdbRequest>>,
    state: Rc<State>,
    callback: Closure<dyn FnMut(Event)>,
}

#[derive(Default)]
struct State {
    answered: Cell<bool>,
    written: Cell<bool>,
    end: RefCell<Option<Result<(), Failure>>>,
    wakers: Wakers,
}

impl Running {
    /// The handlers are there before the first request: the end of a transaction is never missed.
    fn new(transaction: IdbTransaction) -> Self {
        let transaction: Transaction = transaction.unchecked_into();
        let state = Rc::new(State::default());
        let (shared, ended) = (Rc::clone(&state), transaction.clone());
        let callback = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            match event.type_().as_str() {
                "complete" => *shared.end.borrow_mut() = Some(Ok(())),
                // The cause is the transaction's own error: full storage fails no request (ARCHITECTURE, fact 10).
                "abort" => *shared.end.borrow_mut() = Some(Err(Failure::of(&ended.cause()))),
                _ => shared.answered.set(true),
            }
            shared.wakers.wake();
        });
        let function = callback.as_ref().unchecked_ref::<Function>();
        transaction.set_oncomplete(Some(function));
        transaction.set_onabort(Some(function));
        Self {
            transaction,
            stores: RefCell::default(),
            newest: RefCell::default(),
            state,
            callback,
        }
    }

    pub(super) fn store(&self, name: &'static str) -> Result<IdbObjectStore, Failure> {
        let mut stores = self.stores.borrow_mut();
        if let Some((_, store)) = stores.iter().find(|(known, _)| *known == name) {
            return Ok(store.clone());
        }
        let store = self.transaction.object_store(name)?;
        stores.push((name, store.clone()));
        Ok(store)
    }

    /// A request that was issued.
    pub(super) fn ask(&self, request: Result<IdbRequest, JsValue>) -> Result<IdbRequest, Failure> {
        let request = request?;
        self.newest.replace(Some(request.clone()));
        Ok(request)
    }

    /// Waits until all requests are answered. Requests of one transaction are answered in the order in which they were issued, so
    /// one handler, on the newest of them, speaks for all. It runs while the transaction is active, and so does the task that it
    /// wakes: a wake-up is a microtask.
    pub(super) async fn answered(&self) -> Result<(), Failure> {
        let state = &self.state;
        state.answered.set(false);
        if let Some(newest) = &*self.newest.borrow() {
            newest.set_onsuccess(Some(self.callback.as_ref().unchecked_ref::<Function>()));
        }
        let answered = state.wakers.until(|| {
            if state.answered.get() {
                return Some(Ok(()));
            }
            let end = state.end.borrow();
            end.as_ref().map(|end| Err(end.clone().err().unwrap_or_else(Failure::ended)))
        });
        answered.await
    }

    /// Issues every write, in one go, and asks for the commit.
    pub(super) fn write(&self, changes: &[RowChange]) -> Result<(), Failure> {
        let written = changes.iter().try_for_each(|change| self.change(change));
        if written.is_err() {
            let _ = self.transaction.abort();
        }
        self.state.written.set(true);
        written?;
        self.commit();
        Ok(())
    }

    fn change(&self, change: &RowChange) -> Result<(), Failure> {
        match change {
            RowChange::Put { store, key, row } => {
                let key = codec::key(key);
                let value = codec::row(store, &key, row)?;
                self.store(store)?.put_with_key(&value, &key)?;
            }
            RowChange::Delete { store, key } => {
                self.store(store)?.delete(&codec::key(key))?;
            }
            RowChange::Clear { store, from, to } => {
                self.store(store)?.delete(&codec::between(from, to)?)?;
            }
        }
        Ok(())
    }

    /// Without it the transaction commits all the same, once its requests are answered.
    fn commit(&self) {
        let commit = self.transaction.commit_function();
        if let Some(commit) = commit.dyn_ref::<Function>() {
            let _ = commit.call0(&self.transaction);
        }
    }

    /// Nothing is written: lets others go on.
    pub(super) fn release(&self) {
        self.state.written.set(true);
        self.commit();
    }

    /// Resolves when the platform says that all is stored, or that nothing is.
    pub(super) async fn end(&self) -> Result<(), Failure> {
        self.state.wakers.until(|| self.state.end.borrow().clone()).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.transaction.set_oncomplete(None);
        self.transaction.set_onabort(None);
        if let Some(newest) = self.newest.take() {
            newest.set_onsuccess(None);
        }
        if !self.state.written.get() && self.state.end.borrow().is_none() {
            let _ = self.transaction.abort();
        }
    }
}
