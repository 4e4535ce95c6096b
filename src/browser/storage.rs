//! What the browser says about its storage. `navigator.storage` is missing in some engines; nothing depends on it.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::model::Space;

/// Bytes used and allowed, where the browser tells.
pub async fn estimate() -> Option<Space> {
    let answer = call("estimate").await?;
    let bytes = |member: &str| Some(Reflect::get(&answer, &member.into()).ok()?.as_f64()? as u64);
    Some(Space { usage: bytes("usage")?, quota: bytes("quota")? })
}

/// Whether the browser keeps the data when space runs short, where it tells.
pub async fn persisted() -> Option<bool> {
    call("persisted").await?.as_bool()
}

/// Asks the browser to keep the data when space runs short. It may ask the user, or say no.
pub async fn persist() -> Option<bool> {
    call("persist").await?.as_bool()
}

async fn call(method: &str) -> Option<JsValue> {
    let storage = super::navigator("storage")?;
    let function = Reflect::get(&storage, &method.into()).ok()?.dyn_into::<Function>().ok()?;
    let promise = function.call0(&storage).ok()?.dyn_into::<Promise>().ok()?;
    JsFuture::from(promise).await.ok()
}
