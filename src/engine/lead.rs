//! Taking the lead: the next term, strict, before anything is done under it.

use super::Engine;
use crate::model::{Durability, Need, SyncError, Term, Verb};
use crate::plan::lead::lead;
use crate::port::Host;

const LEAD: Verb = Verb { name: "lead", durability: Durability::Strict };

impl<H: Host> Engine<H> {
    pub(super) async fn lead(&self) -> Result<Term, SyncError> {
        let ctx = self.ctx(None);
        self.commit(&LEAD, Need::default(), |s| lead(s, &ctx)).await
    }
}
