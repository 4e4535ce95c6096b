//! Who may sync in this browser.

use std::future::Future;

/// At most one tab of a device leads. Being told so is not enough to change anything: the term decides (R21).
pub trait Leadership {
    /// Resolves when this tab leads; until [`Leadership::release`] no other does.
    fn acquire(&self) -> impl Future<Output = ()>;
    /// Resolves when the lead was taken away.
    fn lost(&self) -> impl Future<Output = ()>;
    /// Gives it up.
    fn release(&self);
}
