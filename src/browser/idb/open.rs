//! Opening: rexie makes and upgrades the stores, then both connections are open.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, Function, Promise, Reflect};
use rexie::{Rexie, TransactionMode};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::IdbFactory;

use super::strict::{RawConnection, Taken};
use super::{Failure, schema};
use crate::browser::wait::{Wakers, within, within_awake};
use crate::model::{Millis, StoreError};

/// How long a diagnosis of a hanging open may take.
const DIAGNOSIS: Millis = Millis(1_000);

/// The platform's factory, if there is one.
pub(super) fn factory() -> Result<Option<IdbFactory>, JsValue> {
    let factory = Reflect::get(&js_sys::global(), &"indexedDB".into())?;
    Ok(factory.is_object().then(|| factory.unchecked_into()))
}

/// Both connections to one database.
pub(super) struct Connection {
    reads: RefCell<Option<Rexie>>,
    pub(super) raw: RawConnection,
}

impl Connection {
    pub(super) async fn open(
        name: &str,
        version: u32,
        limit: Millis,
        on_taken: impl Fn(Taken) + 'static,
    ) -> Result<Self, StoreError> {
        // Some platforms throw where others have nothing.
        if !matches!(factory(), Ok(Some(_))) {
            return Err(StoreError::Missing);
        }
        let both = async {
            let reads = Connected(Some(LateRexie::open(name, version).await?));
            let raw = RawConnection::open(name, version, on_taken).await?;
            Ok::<_, Failure>((reads, raw))
        };
        match within_awake(limit, both).await {
            Some(Ok((mut reads, raw))) => Ok(Self { reads: RefCell::new(reads.0.take()), raw }),
            Some(Err(failure)) => Err(failure.into()),
            None if holds_older(name, version).await => Err(StoreError::Blocked),
            None => Err(StoreError::Timeout),
        }
    }

    /// Begins a reading transaction over all stores.
    pub(super) fn begin_reading(&self) -> Result<rexie::Transaction, Failure> {
        let reads = self.reads.borrow();
        let rexie = reads.as_ref().ok_or_else(Failure::ended)?;
        Ok(rexie.transaction(&schema::names(), TransactionMode::ReadOnly)?)
    }

    pub(super) fn close(&self) {
        self.raw.close();
        if let Some(reads) = self.reads.take() {
            reads.close();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Closes what it holds when nobody took it.
struct Connected(Option<Rexie>);

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(rexie) = self.0.take() {
            rexie.close();
        }
    }
}

/// An open of rexie's that goes on when nobody waits for it any more, and then closes what it opened: a connection that nobody
/// holds would keep every other tab from upgrading.
#[derive(Default)]
struct LateRexie {
    end: RefCell<Option<Result<Connected, Failure>>>,
    gone: Cell<bool>,
    wakers: Wakers,
}

impl LateRexie {
    async fn open(name: &str, version: u32) -> Result<Rexie, Failure> {
        struct Waiter(Rc<LateRexie>);
        impl Drop for Waiter {
            fn drop(&mut self) {
                self.0.gone.set(true);
                self.0.end.take();
            }
        }
        let builder = schema::builder(name, version);
        let waiter = Waiter(Rc::default());
        let shared = Rc::clone(&waiter.0);
        spawn_local(async move {
            let end = builder.build().await.map(|rexie| Connected(Some(rexie)));
            if !shared.gone.get() {
                *shared.end.borrow_mut() = Some(end.map_err(Failure::from));
                shared.wakers.wake();
            }
        });
        let mut connected = waiter.0.wakers.until(|| waiter.0.end.take()).await?;
        connected.0.take().ok_or_else(Failure::ended)
    }
}

/// Why does an open hang? An older version is there, and somebody holds it; or the platform is stuck.
async fn holds_older(name: &str, version: u32) -> bool {
    let asked = async {
        let factory: JsValue = factory().ok()??.into();
        let databases = Reflect::get(&factory, &"databases".into()).ok()?;
        let promise = databases.dyn_ref::<Function>()?.call0(&factory).ok()?;
        let list = JsFuture::from(promise.dyn_into::<Promise>().ok()?).await.ok()?;
        list.dyn_into::<Array>().ok()?.iter().find_map(|entry| {
            let member = |member: &str| Reflect::get(&entry, &member.into()).ok();
            let found = member("version").and_then(|version| version.as_f64())?;
            (member("name")?.as_string()? == name).then_some(found)
        })
    };
    let found = within(DIAGNOSIS, asked).await.flatten();
    found.is_some_and(|found| found < f64::from(version))
}
