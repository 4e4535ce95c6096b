//! Keys and rows, from and to JavaScript. A row is `{ text, <index>: key... }` under a key of its own.

use js_sys::{Array, JSON, Object, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::IdbKeyRange;

use crate::layout::{Key, Part, Row, STORES};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = Object)]
    type RowObject;
    #[wasm_bindgen(method, setter)]
    fn set_text(this: &RowObject, text: &str);
    #[wasm_bindgen(method, getter)]
    fn text(this: &RowObject) -> JsValue;
    #[wasm_bindgen(method, setter)]
    fn set_key(this: &RowObject, key: &Array);
    #[wasm_bindgen(method, getter)]
    fn key(this: &RowObject) -> JsValue;
}

pub(super) fn key(key: &[Part]) -> Array {
    let array = Array::new();
    for part in key {
        array.push(&match part {
            Part::Number(number) => JsValue::from_f64(*number as f64),
            Part::Text(text) => JsValue::from_str(text),
        });
    }
    array
}

/// The keys that begin with `prefix`, after `after`: a list sorts after every text and number, so it ends the range.
pub(super) fn range(prefix: &Key, after: Option<&JsValue>) -> Result<JsValue, JsValue> {
    if prefix.is_empty() && after.is_none() {
        return Ok(JsValue::NULL);
    }
    let upper = key(prefix);
    upper.push(&Array::new());
    let prefix: JsValue = key(prefix).into();
    let lower = after.unwrap_or(&prefix);
    IdbKeyRange::bound_with_lower_open_and_upper_open(lower, &upper, after.is_some(), true)
        .map(JsValue::from)
}

/// The keys of a store after one of them.
pub(super) fn after(after: Option<&Key>) -> Result<JsValue, JsValue> {
    match after {
        None => Ok(JsValue::NULL),
        Some(after) => IdbKeyRange::lower_bound_with_open(&key(after), true).map(JsValue::from),
    }
}

/// The keys from one to another, both of them included.
pub(super) fn between(from: &Key, to: &Key) -> Result<JsValue, JsValue> {
    IdbKeyRange::bound(&key(from), &key(to)).map(JsValue::from)
}

/// A row as it is stored. One that indexes lead to says its own key: whoever finds it so asks for one thing, not for two.
pub(super) fn row(store: &str, at: &Array, row: &Row) -> Result<JsValue, JsValue> {
    let object: RowObject = Object::new().unchecked_into();
    object.set_text(&row.text);
    if !row.indexes.is_empty() {
        object.set_key(at);
    }
    for (name, keys) in &row.indexes {
        let spec = STORES.iter().find(|spec| spec.name == store);
        let many = spec
            .and_then(|spec| spec.indexes.iter().find(|index| index.name == *name))
            .is_some_and(|index| index.many);
        let mut keys = keys.iter().map(|entry| key(entry));
        let member = if many { Some(keys.collect::<Array>()) } else { keys.next() };
        if let Some(member) = member {
            Reflect::set(&object, &JsValue::from_str(name), &member)?;
        }
    }
    Ok(object.into())
}

/// What was stored. A row without a text is handed on as it is, in words that no reader takes for a row of ours: it is reported.
pub(super) fn text(value: &JsValue) -> String {
    let text = if value.is_object() {
        value.unchecked_ref::<RowObject>().text().as_string()
    } else {
        None
    };
    text.unwrap_or_else(|| {
        let json = JSON::stringify(value).ok().and_then(|json| json.as_string());
        let mut kept = String::from("no text in ");
        kept.push_str(json.as_deref().unwrap_or("?"));
        kept
    })
}

/// The key that a row says it has.
pub(super) fn own_key(value: &JsValue) -> JsValue {
    if value.is_object() { value.unchecked_ref::<RowObject>().key() } else { JsValue::UNDEFINED }
}

/// A key for people.
pub(super) fn printable(key: &JsValue) -> String {
    if Array::is_array(key) {
        return key.unchecked_ref::<Array>().join("/").into();
    }
    key.as_string().unwrap_or_else(|| String::from("?"))
}
