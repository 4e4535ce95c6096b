//! IndexedDB. Rexie makes and upgrades the stores; transactions run on a connection of our own, because commits need the durability
//! and the cause of a failure that rexie does not tell (ARCHITECTURE, facts 4 and 7 to 10), and because a request of rexie's that is
//! dropped before its answer throws into the page. Only this room knows.

mod codec;
mod open;
mod rows;
mod schema;
mod store;
mod strict;

pub use store::{IdbSettings, IdbStore};

use js_sys::Reflect;
use wasm_bindgen::prelude::*;

use crate::model::StoreError;

/// The name of a platform's error: all that can be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(String);

impl Failure {
    fn of(error: &JsValue) -> Self {
        // An abort without a cause: somebody closed the connection.
        let name = if error.is_object() { Reflect::get(error, &"name".into()).ok() } else { None };
        Self(name.and_then(|name| name.as_string()).unwrap_or_else(|| String::from("AbortError")))
    }

    fn missing() -> Self {
        Self(String::from("NotFoundError"))
    }

    fn ended() -> Self {
        Self(String::from("InvalidStateError"))
    }

    /// The connection was lost, or something that a new one may cure. None of them is a reason to write half of anything, and
    /// none to delete anything.
    fn is_passing(&self) -> bool {
        matches!(
            self.0.as_str(),
            "InvalidStateError"
                | "UnknownError"
                | "AbortError"
                | "TransactionInactiveError"
                | "NotFoundError"
                | "TimeoutError"
        )
    }
}

impl From<JsValue> for Failure {
    fn from(error: JsValue) -> Self {
        Self::of(&error)
    }
}

/// Rexie's own words for an error leave its name out: it is dug out of the value inside.
impl From<rexie::Error> for Failure {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "another crate's long list: only these have a platform's error inside"
    )]
    fn from(error: rexie::Error) -> Self {
        let rexie::Error::IdbError(error) = error else {
            return Self::ended();
        };
        let value: JsValue = match error {
            idb::Error::DomException(error) => error.into(),
            idb::Error::IndexedDbOpenFailed(error)
            | idb::Error::IndexedDbNotFound(error)
            | idb::Error::RequestResultNotFound(error) => error,
            _ => return Self::ended(),
        };
        Self::of(&value)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure.0.as_str() {
            "QuotaExceededError" => Self::Full,
            "VersionError" => Self::TooNew,
            "SecurityError" => Self::Missing,
            _ => Self::Failed(failure.0),
        }
    }
}
