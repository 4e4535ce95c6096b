//! Time.

use std::future::Future;

use crate::model::{Mono, Wall};

/// The device's two clocks (R19).
pub trait Clock {
    /// The time of day. It may jump.
    fn wall(&self) -> Wall;
    /// The time since some start. It never goes back.
    fn mono(&self) -> Mono;
    /// Resolves at or after an instant.
    fn sleep_until(&self, at: Mono) -> impl Future<Output = ()>;
}
