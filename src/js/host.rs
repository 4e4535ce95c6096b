//! The ports as `open` chose them: IndexedDB or memory, the standard protocol or the application's own remote.

use super::callbacks::Callbacks;
use super::convert;
#[cfg(feature = "any-backend")]
use super::remote::JsRemote;
use super::text::{Object, elements, list};
use crate::browser::{BrowserClock, BrowserFetch, BrowserHost, IdbStore};
use crate::memory::MemoryStore;
use crate::model::{
    Answer, Batch, Capabilities, Changeset, Conflict, Cursor, DeviceId, Durability, Halt, Need,
    Presence, PullPage, PushReply, Scope, Set, Snapshot, Space, StoreError, Verb,
};
use crate::port::{Asking, RawStore, Remote, Resolver};
use crate::protocol::{HttpRemote, Protocol};

pub(super) type DoorHost = BrowserHost<Checked, DoorStore, DoorResolver>;

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

    async fn space(&self) -> Option<Space> {
        match &self.place {
            Place::Idb(store) => store.space().await,
            Place::Memory(store) => store.space().await,
        }
    }
}

/// A backend: over HTTP in one of the protocols (the code around them is in the module once), or functions of the application,
/// which not every module has.
pub(super) enum DoorRemote {
    Http(HttpRemote<Box<dyn Protocol>, BrowserFetch, BrowserClock>),
    #[cfg(feature = "any-backend")]
    Custom(JsRemote),
}

impl Remote for DoorRemote {
    async fn push(&self, batch: &Batch) -> PushReply {
        match self {
            Self::Http(remote) => remote.push(batch).await,
            #[cfg(feature = "any-backend")]
            Self::Custom(remote) => remote.push(batch).await,
        }
    }

    async fn pull(&self, scope: &Scope, cursor: Option<&Cursor>) -> Result<PullPage, Halt> {
        match self {
            Self::Http(remote) => remote.pull(scope, cursor).await,
            #[cfg(feature = "any-backend")]
            Self::Custom(remote) => remote.pull(scope, cursor).await,
        }
    }

    fn pulls_for(&self, device: DeviceId) {
        match self {
            Self::Http(remote) => remote.pulls_for(device),
            #[cfg(feature = "any-backend")]
            Self::Custom(_) => {}
        }
    }

    fn capabilities(&self) -> Capabilities {
        match self {
            Self::Http(remote) => remote.capabilities(),
            #[cfg(feature = "any-backend")]
            Self::Custom(remote) => remote.capabilities(),
        }
    }
}

/// A backend whose records are shown to the application's validators before they are stored: what these refuse is kept aside like
/// what cannot be read (R2).
pub(super) struct Checked {
    pub(super) remote: DoorRemote,
    pub(super) callbacks: Callbacks,
    /// Collections with a validator.
    pub(super) collections: Set<String>,
}

impl Checked {
    /// A page without what is refused. Validators that do not come to an end hold up pulling: nothing is stored unseen.
    async fn check(&self, mut page: PullPage) -> Result<PullPage, Halt> {
        let (mut places, mut shown) = (Vec::new(), Vec::new());
        for (place, change) in page.changes.iter().enumerate() {
            let Presence::Live(document) = &change.presence else { continue };
            if self.collections.contains(&change.key.collection) {
                places.push(place);
                let object = Object::new().text("collection", &change.key.collection);
                shown
                    .push(object.text("id", &change.key.id).raw("document", document.text()).end());
            }
        }
        if !shown.is_empty() {
            let answer = self.callbacks.check(&list(shown)).await.ok_or(Halt::Protocol)?;
            let refused = elements(&answer).ok_or(Halt::Protocol)?;
            let refused =
                refused.iter().filter_map(|it| places.get(it.text().parse::<usize>().ok()?));
            page.set_aside(&refused.copied().collect::<Vec<_>>());
        }
        Ok(page)
    }
}

impl Remote for Checked {
    async fn push(&self, batch: &Batch) -> PushReply {
        let mut reply = self.remote.push(batch).await;
        if let Some(page) = reply.page.take() {
            // A page that nobody may judge comes again with the next pull: its cursor is not kept.
            reply.page = self.check(page).await.ok();
        }
        reply
    }

    async fn pull(&self, scope: &Scope, cursor: Option<&Cursor>) -> Result<PullPage, Halt> {
        self.check(self.remote.pull(scope, cursor).await?).await
    }

    fn pulls_for(&self, device: DeviceId) {
        self.remote.pulls_for(device);
    }

    fn capabilities(&self) -> Capabilities {
        self.remote.capabilities()
    }
}
