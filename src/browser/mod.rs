//! The web: what the ports need, as a page or a worker has it.

mod channel;
mod clock;
mod fetch;
mod idb;
mod locks;
mod marker;
mod rng;
mod signals;
mod storage;
mod wait;

pub use channel::Channel;
pub use clock::BrowserClock;
pub use fetch::{BrowserFetch, Luggage, NoToken, PackFuture, Porter, TokenReason, read_body};
pub use idb::{IdbSettings, IdbStore};
pub use locks::BrowserLeadership;
pub use marker::{mark, marker};
pub use rng::BrowserRng;
pub use signals::{Lifecycle, Signals};
pub use storage::{estimate, persist, persisted};

use js_sys::Reflect;
use wasm_bindgen::JsValue;

use crate::port::{Host, NoResolver, Remote, Resolver, Store};

/// All ports of a page: storage, server and resolver are given, the rest is the platform's.
///
/// ```no_run
/// use holdfast::browser::{BrowserHost, IdbSettings, IdbStore};
/// use holdfast::port::Remote;
/// # async fn example(remote: impl Remote + 'static) -> Result<(), holdfast::model::StoreError> {
/// let name = "holdfast:till-7";
/// let store = IdbStore::open(name, IdbSettings::default()).await?;
/// let host = BrowserHost::new(name, store, remote);
/// # Ok(()) }
/// ```
pub struct BrowserHost<R, S = IdbStore, Q = NoResolver> {
    store: S,
    remote: R,
    leadership: BrowserLeadership,
    resolver: Q,
}

impl<R: Remote, S: Store> BrowserHost<R, S> {
    /// A host over the database of this name: its tabs share one leader. Nobody but a person resolves conflicts.
    #[must_use]
    pub fn new(name: &str, store: S, remote: R) -> Self {
        Self { store, remote, leadership: BrowserLeadership::new(name), resolver: NoResolver }
    }

    /// With the application's resolver.
    #[must_use]
    pub fn with_resolver<Q: Resolver>(self, resolver: Q) -> BrowserHost<R, S, Q> {
        let Self { store, remote, leadership, .. } = self;
        BrowserHost { store, remote, leadership, resolver }
    }
}

impl<R, S, Q> Host for BrowserHost<R, S, Q>
where
    R: Remote + 'static,
    S: Store + 'static,
    Q: Resolver + 'static,
{
    type Store = S;
    type Remote = R;
    type Clock = BrowserClock;
    type Rng = BrowserRng;
    type Leadership = BrowserLeadership;
    type Resolver = Q;

    fn store(&self) -> &S {
        &self.store
    }

    fn remote(&self) -> &R {
        &self.remote
    }

    fn clock(&self) -> &BrowserClock {
        &BrowserClock
    }

    fn rng(&self) -> &BrowserRng {
        &BrowserRng
    }

    fn leadership(&self) -> &BrowserLeadership {
        &self.leadership
    }

    fn resolver(&self) -> &Q {
        &self.resolver
    }
}

/// A member of `navigator`, in windows and workers, unless it is missing.
fn navigator(member: &str) -> Option<JsValue> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    let found = Reflect::get(&navigator, &member.into()).ok()?;
    found.is_object().then_some(found)
}
