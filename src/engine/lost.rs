//! Remembering that the browser lost the database: strict, before anything is written to the one in its place (P29).

use super::Engine;
use crate::model::{DeviceId, Durability, Need, SyncError, Verb};
use crate::plan::lost::lost;
use crate::port::Host;

const LOST: Verb = Verb { name: "lost", durability: Durability::Strict };

impl<H: Host> Engine<H> {
    /// The database's name for servers, once it has one.
    pub fn device(&self) -> Option<DeviceId> {
        self.meta.borrow().device
    }

    /// What was here before is gone. The status says so until a pull is complete; writes go on.
    pub async fn lost(&self) -> Result<(), SyncError> {
        let ctx = self.ctx(None);
        self.commit(&LOST, Need::default(), |s| lost(s, &ctx)).await
    }
}
