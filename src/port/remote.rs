//! The server, as the engine knows it.

use std::future::Future;

use crate::model::{Batch, Cursor, DeviceId, Halt, PullPage, PushReply, Scope};

/// A server. A failure is data: nothing here throws.
pub trait Remote {
    /// Sends sealed operations and waits for the verdicts.
    fn push(&self, batch: &Batch) -> impl Future<Output = PushReply>;

    /// Asks for what changed after `cursor`; from the beginning without one.
    fn pull(
        &self,
        scope: &Scope,
        cursor: Option<&Cursor>,
    ) -> impl Future<Output = Result<PullPage, Halt>>;

    /// Whose pulls these are: some wires want to know.
    fn pulls_for(&self, device: DeviceId) {
        let _ = device;
    }

    /// What the backend can do.
    fn capabilities(&self) -> crate::model::Capabilities;
}
