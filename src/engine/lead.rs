//! Taking the lead: the next term, strict, before anything is done under it.

use super::Engine;
use crate::model::{Code, Durability, Need, SyncError, Term, Verb};
use crate::plan::lead::{lead, lead_at_full_quota};
use crate::port::Host;

const LEAD: Verb = Verb { name: "lead", durability: Durability::Strict };
const DRAIN_LEAD: Verb = Verb { name: "drain.lead", durability: Durability::Strict };

impl<H: Host> Engine<H> {
    pub(super) async fn lead(&self) -> Result<Term, SyncError> {
        let ctx = self.ctx(None);
        let led = self.commit_draining(&LEAD, Need::default(), |s| lead(s, &ctx)).await;
        match led {
            Err(error) if error.code == Code::StorageFull => self.lead_at_full_quota(error).await,
            led => led,
        }
    }

    /// A spare term seals the outbox: it is taken only for a server that is there (R24, R27).
    async fn lead_at_full_quota(&self, full: SyncError) -> Result<Term, SyncError> {
        self.look_again().await?;
        if self.meta.borrow().counts.pending == 0 || self.probe().await?.is_some() {
            return Err(full);
        }
        let term = self.commit_draining(&DRAIN_LEAD, Need::default(), lead_at_full_quota).await?;
        term.ok_or(full)
    }
}
