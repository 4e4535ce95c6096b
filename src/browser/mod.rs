//! The web: what the ports need, as a page or a worker has it.

mod clock;
mod idb;
mod rng;
mod storage;
mod wait;

pub use clock::BrowserClock;
pub use idb::{IdbSettings, IdbStore};
pub use rng::BrowserRng;
pub use storage::{Estimate, estimate, persist, persisted};

use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// A member of `navigator`, in windows and workers, unless it is missing.
fn navigator(member: &str) -> Option<JsValue> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    let found = Reflect::get(&navigator, &member.into()).ok()?;
    found.is_object().then_some(found)
}
