//! All ports at once.

use super::{Clock, Leadership, Remote, Resolver, Rng, Store};

/// One type parameter instead of six.
pub trait Host: 'static {
    /// Storage.
    type Store: Store;
    /// The server.
    type Remote: Remote;
    /// Time.
    type Clock: Clock;
    /// Chance.
    type Rng: Rng;
    /// Who leads.
    type Leadership: Leadership;
    /// The application, where it decides conflicts.
    type Resolver: Resolver;

    /// Storage.
    fn store(&self) -> &Self::Store;
    /// The server.
    fn remote(&self) -> &Self::Remote;
    /// Time.
    fn clock(&self) -> &Self::Clock;
    /// Chance.
    fn rng(&self) -> &Self::Rng;
    /// Who leads.
    fn leadership(&self) -> &Self::Leadership;
    /// The application, where it decides conflicts.
    fn resolver(&self) -> &Self::Resolver;
}
