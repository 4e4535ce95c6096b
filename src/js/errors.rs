//! Errors on their way out: the JSON text of what the TypeScript makes a `HoldfastError` of.

use wasm_bindgen::JsValue;

use super::text::Object;
use crate::model::{Code, StoreError, SyncError};

/// What an entry of the door throws or rejects with.
pub(super) fn thrown(error: &SyncError) -> JsValue {
    let object = Object::new().text("code", error.code.text()).text("message", &error.message);
    let object = object.maybe(error.path.as_deref(), |object, path| object.text("path", path));
    let object = object.maybe(error.op, |object, op| object.id("opId", &op));
    JsValue::from_str(&object.end())
}

/// The same for the storage's own.
pub(super) fn store(error: StoreError) -> JsValue {
    thrown(&error.into())
}

/// An argument that is not what it should be.
pub(super) fn refused(code: Code, path: &str, why: &str) -> JsValue {
    thrown(&SyncError::new(code, why).at(path))
}
