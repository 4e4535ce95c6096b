//! The web's side of the ports, in a real browser. One file, so that a run starts one browser.
//! Run it with `cargo xtask test --full`, or by hand as CONTRIBUTING says.
#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]

use holdfast::browser::{IdbSettings, IdbStore};
use holdfast::layout::{Part, RowChange};
use holdfast::memory::contract::Bench;
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test_configure;
use web_sys::{IdbDatabase, IdbFactory, IdbOpenDbRequest, IdbTransactionMode};

wasm_bindgen_test_configure!(run_in_browser);

/// IndexedDB under the laws of every store.
struct InBrowser;

impl Bench for InBrowser {
    type Store = IdbStore;

    async fn open(&self, name: &str) -> IdbStore {
        IdbStore::open(name, IdbSettings::default()).await.expect("opened")
    }

    async fn close(&self, store: IdbStore) {
        store.close();
    }

    async fn change(&self, name: &str, _: &IdbStore, change: RowChange) {
        let database = raw_open(name, 1).await.expect("opened");
        match change {
            RowChange::Put { store, key, row } => {
                let value = Object::new();
                set(&value, "text", &row.text.into());
                for (index, entries) in row.indexes {
                    let entry = entries.first().map(|entry| raw_key(entry)).expect("an entry");
                    set(&value, index, &entry);
                }
                raw_put(&database, store, &value, &raw_key(&key)).await;
            }
            RowChange::Delete { .. } => panic!("no law deletes behind the back"),
        }
        database.close();
    }
}

holdfast::store_contract!(browser InBrowser);

fn set(object: &JsValue, member: &str, value: &JsValue) {
    Reflect::set(object, &member.into(), value).expect("set");
}

fn get(object: &JsValue, member: &str) -> JsValue {
    Reflect::get(object, &member.into()).expect("got")
}

fn raw_key(key: &[Part]) -> JsValue {
    let parts = key.iter().map(|part| match part {
        Part::Number(number) => JsValue::from_f64(*number as f64),
        Part::Text(text) => JsValue::from_str(text),
    });
    parts.collect::<Array>().into()
}

fn factory() -> IdbFactory {
    get(&js_sys::global(), "indexedDB").unchecked_into()
}

/// Waits for the first of these events; its type.
async fn first_event(target: &JsValue, types: &[&'static str]) -> String {
    let promise = js_sys::Promise::new(&mut |resolve, _| {
        for &name in types {
            let resolve = resolve.clone();
            let callback = Closure::once_into_js(move || {
                let _ = resolve.call1(&JsValue::UNDEFINED, &JsValue::from_str(name));
            });
            set(target, &format!("on{name}"), &callback);
        }
    });
    JsFuture::from(promise).await.expect("an event").as_string().expect("a type")
}

/// A database as somebody else opens it.
async fn raw_open(name: &str, version: u32) -> Result<IdbDatabase, String> {
    let request: IdbOpenDbRequest = factory().open_with_u32(name, version).expect("asked");
    match first_event(&request, &["success", "error"]).await.as_str() {
        "success" => Ok(request.result().expect("a database").unchecked_into()),
        _ => Err(request.error().expect("ended").expect("an error").name()),
    }
}

async fn raw_put(database: &IdbDatabase, store: &str, value: &JsValue, key: &JsValue) {
    let mode = IdbTransactionMode::Readwrite;
    let transaction = database.transaction_with_str_and_mode(store, mode).expect("begun");
    let rows = transaction.object_store(store).expect("a store");
    rows.put_with_key(value, key).expect("put");
    assert_eq!(first_event(&transaction, &["complete", "abort"]).await, "complete");
}
