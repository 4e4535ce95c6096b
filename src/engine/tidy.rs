//! Cleaning up history, in bounded steps, by the leader, after a cycle that had nothing else to do.

use super::Engine;
use crate::model::{Durability, Need, Root, SyncError, Verb};
use crate::plan::tidy::{Retention, tidy};
use crate::port::Host;

const TIDY: Verb = Verb { name: "tidy", durability: Durability::Relaxed };

impl<H: Host> Engine<H> {
    /// One step; tells how many rows were forgotten.
    pub async fn tidy(&self) -> Result<u32, SyncError> {
        let (ctx, keep) = (self.ctx(None), Retention::default());
        let need = Need::only(vec![
            Root::Settled { limit: keep.step },
            Root::Journal { limit: keep.step },
            Root::Conflicts,
        ]);
        self.commit(&TIDY, need, |s| tidy(s, &keep, &ctx)).await
    }
}
