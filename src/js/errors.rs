//! Errors on their way out: the JSON text of what the TypeScript makes a `HoldfastError` of.

use wasm_bindgen::JsValue;

use super::text::Object;
use crate::model::{Code, SyncError};

/// What an entry of the door throws or rejects with.
pub(super) fn thrown(error: &SyncError) -> JsValue {
    let object = Object::new().text("code", error.code.text()).text("message", &error.message);
    let object = object.maybe(error.path.as_deref(), |object, path| object.text("path", path));
    let object = object.maybe(error.op, |object, op| object.id("opId", &op));
    JsValue::from_str(&object.end())
}

/// An argument that is not what it should be.
pub(super) fn refused(code: Code, path: &str, why: &'static str) -> SyncError {
    SyncError::new(code, why).at(path)
}
