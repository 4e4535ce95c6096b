//! The ports as `open` chose them: IndexedDB or memory, the standard protocol or the application's own remote.

use super::callbacks::Callbacks;
use super::convert;
use super::remote::JsRemote;
use crate::browser::{BrowserClock, BrowserFetch, BrowserHost, IdbStore};
use crate::memory::MemoryStore;
use crate::model::{
    Answer, Batch, Capabilities, Changeset, Conflict, Cursor, Durability, Halt, Need, PullPage,
    PushReply, Scope, Snapshot, StoreError, Verb,
};
use crate::port::{Asking, RawStore, Remote, Resolver};
use crate::protocol::{HttpRemote, Standard};

pub(super) type DoorHost = BrowserHost<DoorRemote, DoorStore, DoorResolver>;

/// The application's `onConflict`, where it has one.
pub(super) struct DoorResolver(pub(super) Option<Callbacks>);

impl Resolver for DoorResolver {
    fn ask(&self, conflict: &Conflict) -> Asking {
        let asked = self.0.as_ref().map(|it| it.conflict(&convert::conflict(conflict)));
        Box::pin(async move {
            let Some(asked) = asked else { return Answer::Person };
            let choice = asked.await.and_then(|text| convert::choice(&text).ok());
            choice.map_or(Answer::Person, Answer::Choice)
        })
    }
}

/// Where the data is.
pub(super) enum Place {
    Idb(IdbStore),
    /// Only where the application allows it.
    Memory(MemoryStore),
}

pub(super) struct DoorStore {
    pub(super) place: Place,
    /// The application does not want to wait for the disk.
    pub(super) relaxed: bool,
}

impl RawStore for DoorStore {
    async fn run(
        &self,
        verb: &Verb,
        need: Need,
        decide: &mut dyn FnMut(&Snapshot) -> Changeset,
    ) -> Result<(), StoreError> {
        let durability = if self.relaxed { Durability::Relaxed } else { verb.durability };
        let verb = Verb { durability, ..*verb };
        match &self.place {
            Place::Idb(store) => store.run(&verb, need, decide).await,
            Place::Memory(store) => store.run(&verb, need, decide).await,
        }
    }

    async fn read(&self, need: Need) -> Result<Snapshot, StoreError> {
        match &self.place {
            Place::Idb(store) => store.read(need).await,
            Place::Memory(store) => store.read(need).await,
        }
    }

    async fn list(&self, collection: &str) -> Result<Snapshot, StoreError> {
        match &self.place {
            Place::Idb(store) => store.list(collection).await,
            Place::Memory(store) => store.list(collection).await,
        }
    }
}

pub(super) enum DoorRemote {
    Standard(HttpRemote<Standard, BrowserFetch, BrowserClock>),
    Custom(JsRemote),
}

impl Remote for DoorRemote {
    async fn push(&self, batch: &Batch) -> PushReply {
        match self {
            Self::Standard(remote) => remote.push(batch).await,
            Self::Custom(remote) => remote.push(batch).await,
        }
    }

    async fn pull(&self, scope: &Scope, cursor: Option<&Cursor>) -> Result<PullPage, Halt> {
        match self {
            Self::Standard(remote) => remote.pull(scope, cursor).await,
            Self::Custom(remote) => remote.pull(scope, cursor).await,
        }
    }

    fn capabilities(&self) -> Capabilities {
        match self {
            Self::Standard(remote) => remote.capabilities(),
            Self::Custom(remote) => remote.capabilities(),
        }
    }
}
