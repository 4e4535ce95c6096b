//! Errors: what an application can tell apart (the codes of the public API).

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use super::ids::OpId;

/// A failed verb. Behind a pointer: what may fail hands it on through many steps, each of which would copy it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncError(Box<Failure>);

/// What a [`SyncError`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub code: Code,
    /// For a developer. Never holds a field's value.
    pub message: Cow<'static, str>,
    /// Where in the input.
    pub path: Option<String>,
    /// The operation concerned.
    pub op: Option<OpId>,
}

impl SyncError {
    /// An error with a message.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Failure { code, message: message.into(), path: None, op: None }))
    }

    /// With the place in the input.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    /// With the operation concerned.
    #[must_use]
    pub fn of(mut self, op: OpId) -> Self {
        self.0.op = Some(op);
        self
    }
}

impl Deref for SyncError {
    type Target = Failure;

    fn deref(&self) -> &Failure {
        &self.0
    }
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.text(), self.message)
    }
}

impl std::error::Error for SyncError {}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $retryable:literal;)*) => {
        /// Stable names of what can go wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As the application sees it.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether the same call may succeed later, unchanged.
            #[must_use]
            pub fn retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)* }
            }
        }
    };
}

codes! {
    /// Not JSON, too deep, a wrong type.
    InvalidValue = "invalid-value", false;
    /// Options of `open` that make no sense.
    InvalidOptions = "invalid-options", false;
    /// Not declared at `open`.
    UnknownCollection = "unknown-collection", false;
    /// The backend takes no writes of the collection.
    ReadOnly = "read-only", false;
    /// No such record, operation or conflict.
    NotFound = "not-found", false;
    /// The record was removed.
    Gone = "gone", false;
    /// A record of this id is there.
    Exists = "exists", false;
    /// Something that waits to leave refers to it.
    Referenced = "referenced", false;
    /// The outbox is full; nothing was evicted.
    OutboxFull = "outbox-full", true;
    /// Larger than a limit.
    TooLarge = "too-large", false;
    /// The device's storage is full.
    StorageFull = "storage-full", true;
    /// The storage did not answer in time.
    StorageTimeout = "storage-timeout", true;
    /// The storage lost its data.
    StorageLost = "storage-lost", false;
    /// There is no durable storage here.
    NoDurableStorage = "no-durable-storage", false;
    /// The database was written by a later release.
    DatabaseTooNew = "database-too-new", false;
    /// Another tab keeps the database from being upgraded.
    Blocked = "blocked", true;
    /// Another tab upgraded the database; this one must be reloaded.
    Superseded = "superseded", false;
    /// The manager was closed.
    Closed = "closed", false;
    /// The core stopped; open it again.
    Crashed = "crashed", false;
    /// The wasm file could not be loaded.
    WasmLoad = "wasm-load", true;
    /// The server wants a new token.
    AuthRequired = "auth-required", true;
    /// The server does not answer.
    Unreachable = "unreachable", true;
    /// The server says what we do not understand.
    ProtocolError = "protocol-error", true;
    /// Somebody else resolved it first.
    AlreadyResolved = "already-resolved", false;
    /// There is work that was not sent.
    PendingWork = "pending-work", false;
    /// The caller gave up.
    Aborted = "aborted", true;
}

/// What a store can fail with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// No space.
    Full,
    /// It did not answer.
    Timeout,
    /// It was there and came back empty.
    Lost,
    /// Another tab upgraded it.
    Superseded,
    /// It was closed, or not opened.
    Closed,
    /// A later release wrote it.
    TooNew,
    /// Another tab keeps it from being upgraded.
    Blocked,
    /// There is none.
    Missing,
    /// The transaction was not stored; the name of the platform's error. Repeating it may help.
    Failed(String),
}

impl From<StoreError> for SyncError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::new(Code::StorageFull, "the device's storage is full"),
            StoreError::Timeout => Self::new(Code::StorageTimeout, "the storage did not answer"),
            StoreError::Lost => Self::new(Code::StorageLost, "the storage lost its data"),
            StoreError::Superseded => {
                Self::new(Code::Superseded, "another tab upgraded the database")
            }
            StoreError::Closed => Self::new(Code::Closed, "the database is closed"),
            StoreError::TooNew => {
                Self::new(Code::DatabaseTooNew, "a later release wrote the database")
            }
            StoreError::Blocked => Self::new(Code::Blocked, "another tab holds the database"),
            StoreError::Missing => {
                Self::new(Code::NoDurableStorage, "there is no durable storage here")
            }
            StoreError::Failed(name) => {
                Self::new(Code::StorageTimeout, format!("the transaction failed: {name}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_name() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.text()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        insta::assert_snapshot!(names.join(" "));
    }
}
