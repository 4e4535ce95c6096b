//! Opening: our own connection, if the database is there. If it is not, or is older, rexie makes or upgrades the stores first.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::IdbFactory;

use super::strict::{Connection, Taken, Unready};
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

/// The connection, and what was found in its place before rexie's work.
pub(super) async fn open(
    name: &str,
    version: u32,
    limit: Millis,
    on_taken: impl Fn(Taken) + Clone + 'static,
) -> Result<(Connection, Option<Unready>), StoreError> {
    // Some platforms throw where others have nothing.
    if !matches!(factory(), Ok(Some(_))) {
        return Err(StoreError::Missing);
    }
    let opened = async {
        let unready = match Connection::open(name, version, on_taken.clone()).await? {
            Ok(connection) => return Ok((connection, None)),
            Err(unready) => unready,
        };
        prepare(name, version).await?;
        // Whoever deleted it since: this attempt has failed, and the next one begins from the start.
        let made = Connection::open(name, version, on_taken).await?;
        made.map(|made| (made, Some(unready))).map_err(|_| Failure::ended())
    };
    match within_awake(limit, opened).await {
        Some(Ok(opened)) => Ok(opened),
        Some(Err(failure)) => Err(failure.into()),
        None if holds_older(name, version).await => Err(StoreError::Blocked),
        None => Err(StoreError::Timeout),
    }
}

/// Has rexie make or upgrade the stores. It does so in a task of its own, which closes rexie's connection even when nobody waits
/// any more: one that nobody holds would keep every other tab from upgrading.
async fn prepare(name: &str, version: u32) -> Result<(), Failure> {
    #[derive(Default)]
    struct Prepared {
        end: RefCell<Option<Result<(), Failure>>>,
        wakers: Wakers,
    }
    let prepared = Rc::new(Prepared::default());
    let (shared, builder) = (Rc::clone(&prepared), schema::builder(name, version));
    spawn_local(async move {
        let end = builder.build().await.map(rexie::Rexie::close).map_err(Failure::from);
        *shared.end.borrow_mut() = Some(end);
        shared.wakers.wake();
    });
    prepared.wakers.until(|| prepared.end.take()).await
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
