//! A device whose remote is a profile's codec over whatever answers its requests.

use std::future::Future;
use std::rc::Rc;

use holdfast::memory::MemoryStore;
use holdfast::model::{Mono, Wall};
use holdfast::port::{Clock, Fetch, Host, RawStore};
use holdfast::protocol::preset::Preset;
use holdfast::protocol::{HttpRemote, Rest, RestProfile};

use crate::world::{Lead, Lots, Script, Time};

/// The same clock for the engine and for the wire.
#[derive(Clone, Default)]
pub(crate) struct Clockwork(pub(crate) Rc<Time>);

impl Clock for Clockwork {
    fn wall(&self) -> Wall {
        self.0.wall()
    }
    fn mono(&self) -> Mono {
        self.0.mono()
    }
    fn sleep_until(&self, at: Mono) -> impl Future<Output = ()> {
        self.0.sleep_until(at)
    }
}

/// The codec of a preset.
pub(crate) fn wire(preset: &Preset) -> Rest {
    Rest::new(RestProfile::parse(preset.profile).unwrap(), "https://x").scoped("b-42")
}

pub(crate) struct Desk<F, S = MemoryStore> {
    store: S,
    remote: HttpRemote<Rest, F, Clockwork>,
    clock: Clockwork,
    lots: Lots,
    lead: Lead,
    script: Script,
}

impl<F: Fetch, S: RawStore> Desk<F, S> {
    pub(crate) fn new(store: S, wire: Rest, fetch: F, clock: &Clockwork, lots: Lots) -> Self {
        Self {
            store,
            remote: HttpRemote::new(wire, fetch, clock.clone()),
            clock: clock.clone(),
            lots,
            lead: Lead::default(),
            script: Script::default(),
        }
    }
}

impl<F: Fetch + 'static, S: RawStore + 'static> Host for Desk<F, S> {
    type Store = S;
    type Remote = HttpRemote<Rest, F, Clockwork>;
    type Clock = Clockwork;
    type Rng = Lots;
    type Leadership = Lead;
    type Resolver = Script;

    fn store(&self) -> &S {
        &self.store
    }
    fn remote(&self) -> &Self::Remote {
        &self.remote
    }
    fn clock(&self) -> &Clockwork {
        &self.clock
    }
    fn rng(&self) -> &Lots {
        &self.lots
    }
    fn leadership(&self) -> &Lead {
        &self.lead
    }
    fn resolver(&self) -> &Script {
        &self.script
    }
}
