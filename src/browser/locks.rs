//! Leadership: the holder of a Web Lock leads. The browser gives the lock to one tab at a time and takes it from a tab that dies,
//! so nobody has to guess from a clock who is alive. Being told so changes nothing by itself: the term decides (R21).
//!
//! Web Locks are missing on pages without a secure context (plain HTTP in a local network) and before Safari 15.4. There a lease
//! in `localStorage` takes turns instead; two tabs may believe for a moment that they lead, and the term keeps that harmless.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::AbortController;

use super::clock::sleep;
use super::rng::BrowserRng;
use super::wait::Wakers;
use crate::model::Millis;
use crate::port::{Leadership, Rng};

#[wasm_bindgen]
extern "C" {
    type LockManager;
    #[wasm_bindgen(method, catch)]
    fn request(
        this: &LockManager,
        name: &str,
        options: &Object,
        callback: &Function,
    ) -> Result<Promise, JsValue>;

    pub(super) type LocalStorage;
    #[wasm_bindgen(method, catch, js_name = getItem)]
    pub(super) fn get_item(this: &LocalStorage, key: &str) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(method, catch, js_name = setItem)]
    pub(super) fn set_item(this: &LocalStorage, key: &str, value: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = removeItem)]
    fn remove_item(this: &LocalStorage, key: &str) -> Result<(), JsValue>;
}

/// A lease lasts so long, and is renewed three times in between.
const LEASE: Millis = Millis(9_000);
const RENEWAL: Millis = Millis(3_000);

/// Who leads among the tabs of one database.
///
/// ```no_run
/// use holdfast::browser::BrowserLeadership;
/// use holdfast::port::Leadership;
/// # async fn example() {
/// let leadership = BrowserLeadership::new("holdfast:till-7");
/// leadership.acquire().await;
/// // This tab leads, and no other does.
/// leadership.release();
/// # }
/// ```
pub struct BrowserLeadership {
    name: String,
    manager: Option<LockManager>,
    lease: Lease,
    state: Rc<State>,
}

#[derive(Default)]
struct State {
    /// Raised at every release: what an older turn still does is of no effect.
    turn: Cell<u32>,
    held: Cell<bool>,
    /// Ends the promise that keeps the lock.
    give_up: RefCell<Option<Function>>,
    wakers: Wakers,
}

impl State {
    fn end(&self, turn: u32) {
        if self.turn.get() != turn {
            return;
        }
        self.turn.set(turn + 1);
        self.held.set(false);
        if let Some(give_up) = self.give_up.take() {
            let _ = give_up.call0(&JsValue::UNDEFINED);
        }
        self.wakers.wake();
    }
}

impl BrowserLeadership {
    /// Leadership of a database, by its name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::with(name, super::navigator("locks").map(JsValue::unchecked_into))
    }

    /// Leadership by a lease, as on a platform without Web Locks.
    #[must_use]
    pub fn by_lease(name: &str) -> Self {
        Self::with(name, None)
    }

    fn with(name: &str, manager: Option<LockManager>) -> Self {
        Self { name: name.to_owned(), manager, lease: Lease::new(name), state: Rc::default() }
    }

    /// Whether this tab leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.state.held.get()
    }

    /// Asks for the lock and waits until it is given.
    async fn acquire_lock(&self, manager: &LockManager) -> Result<(), JsValue> {
        let turn = self.state.turn.get();
        let controller = AbortController::new()?;
        let request = Request { state: &self.state, turn, controller, granted: Cell::new(false) };
        let options = Object::new();
        Reflect::set(&options, &"signal".into(), &request.controller.signal())?;
        let state = Rc::clone(&self.state);
        // The lock is ours while the promise that this returns is pending.
        let granted = Closure::once_into_js(move |_lock: JsValue| {
            if state.turn.get() != turn {
                return JsValue::UNDEFINED;
            }
            let promise = Promise::new(&mut |resolve, _| {
                *state.give_up.borrow_mut() = Some(resolve);
            });
            state.held.set(true);
            state.wakers.wake();
            promise.into()
        });
        let promise = manager.request(&self.name, &options, granted.unchecked_ref())?;
        let state = Rc::clone(&self.state);
        spawn_local(async move {
            // Ends when it was given up, when the request was aborted, and when somebody stole the lock.
            let _ = JsFuture::from(promise).await;
            state.end(turn);
        });
        let state = &self.state;
        state.wakers.until(|| (state.held.get() || state.turn.get() != turn).then_some(())).await;
        request.granted.set(true);
        if state.held.get() { Ok(()) } else { Err(JsValue::UNDEFINED) }
    }

    async fn acquire_lease(&self) {
        while !self.lease.take() {
            sleep(RENEWAL).await;
        }
        let (state, lease) = (Rc::clone(&self.state), self.lease.clone());
        let turn = state.turn.get();
        state.held.set(true);
        spawn_local(async move {
            while state.turn.get() == turn {
                sleep(RENEWAL).await;
                if state.turn.get() == turn && !lease.take() {
                    state.end(turn);
                }
            }
        });
    }
}

/// A request for the lock. Dropped before the lock was taken, it is withdrawn.
struct Request<'a> {
    state: &'a State,
    turn: u32,
    controller: AbortController,
    granted: Cell<bool>,
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if !self.granted.get() {
            self.state.end(self.turn);
            self.controller.abort();
        }
    }
}

/// An entry `owner until` in `localStorage`.
#[derive(Clone)]
struct Lease {
    key: String,
    owner: String,
}

impl Lease {
    fn new(name: &str) -> Self {
        let mut key = String::from(name);
        key.push_str(":lease");
        Self { key, owner: BrowserRng.next().to_string() }
    }

    /// Whether the lease is ours, anew or again. Where there is no `localStorage`, as in a worker, nobody can take turns: the
    /// caller leads, and the term decides.
    fn take(&self) -> bool {
        let Some(storage) = local_storage() else { return true };
        if !self.is_free(&storage) {
            return false;
        }
        let until = (js_sys::Date::now() as u64).saturating_add(LEASE.0);
        let mut value = self.owner.clone();
        value.push(' ');
        value.push_str(&until.to_string());
        // Full storage keeps no lease; it must not keep a till from syncing either.
        storage.set_item(&self.key, &value).is_err() || self.holder(&storage).is_some_and(is(self))
    }

    /// Free, ours, run out, or from a clock that was set back since.
    fn is_free(&self, storage: &LocalStorage) -> bool {
        let Some((owner, until)) = self.holder(storage) else { return true };
        let now = js_sys::Date::now() as u64;
        owner == self.owner || until <= now || until > now.saturating_add(LEASE.0)
    }

    fn holder(&self, storage: &LocalStorage) -> Option<(String, u64)> {
        let value = storage.get_item(&self.key).ok()??;
        let (owner, until) = value.split_once(' ')?;
        Some((owner.to_owned(), until.parse().ok()?))
    }

    fn give_back(&self) {
        let Some(storage) = local_storage() else { return };
        if self.holder(&storage).is_some_and(is(self)) {
            let _ = storage.remove_item(&self.key);
        }
    }
}

fn is(lease: &Lease) -> impl FnOnce((String, u64)) -> bool + '_ {
    |(owner, _)| owner == lease.owner
}

pub(super) fn local_storage() -> Option<LocalStorage> {
    let storage = Reflect::get(&js_sys::global(), &"localStorage".into()).ok()?;
    storage.is_object().then(|| storage.unchecked_into())
}

impl Leadership for BrowserLeadership {
    async fn acquire(&self) {
        while !self.state.held.get() {
            let Some(manager) = &self.manager else { return self.acquire_lease().await };
            if self.acquire_lock(manager).await.is_err() {
                // The platform refuses, as it does while a page is being torn down.
                sleep(RENEWAL).await;
            }
        }
    }

    async fn lost(&self) {
        self.state.wakers.until(|| (!self.state.held.get()).then_some(())).await;
    }

    fn release(&self) {
        if self.state.held.get() {
            self.state.end(self.state.turn.get());
        }
        if self.manager.is_none() {
            self.lease.give_back();
        }
    }
}

impl Drop for BrowserLeadership {
    fn drop(&mut self) {
        self.release();
    }
}
