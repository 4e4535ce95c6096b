//! A person's decisions: one transaction each, strict.

use super::{Commit, Engine, WriteRequest};
use crate::model::{
    Choice, Code, Conflict, ConflictId, Document, Durability, EntityKey, Need, OpId, Operation,
    Presence, Root, SyncError, Verb,
};
use crate::plan::identity::in_content;
use crate::plan::resolve::{Dependents, Resolution, Ruling, discard, resolve, retry};
use crate::plan::restore::restore;
use crate::plan::write::Written;
use crate::port::Host;
use crate::schedule::Signal;

pub(super) const RESOLVE: Verb = Verb { name: "resolve", durability: Durability::Strict };

impl<H: Host> Engine<H> {
    /// Settles an open conflict. Where a side moved since this tab looked at it, by a pull or by a later edit, nothing is decided and
    /// the conflict is returned as it is now.
    ///
    /// # Errors
    /// `not-found`, `already-resolved`, `invalid-value` for a choice by field where one side is deleted.
    pub async fn resolve(
        &self,
        id: ConflictId,
        choice: Choice,
    ) -> Result<Option<Conflict>, SyncError> {
        self.check_open()?;
        let ctx = self.ctx(None);
        let seen = self.looked_at.borrow().get(&id).cloned();
        let mut roots = vec![Root::Conflict(id)];
        if let Choice::Merged(Presence::Live(document)) = &choice {
            roots.extend(in_content(document, &self.config.rules));
        }
        let ruling = Ruling { id, choice, seen, call: ctx.ids.op(0) };
        let resolution = self
            .commit(&RESOLVE, Need::of(roots), |s| resolve(s, &ruling, &self.config.rules, &ctx))
            .await??;
        if resolution == Resolution::Moved {
            return self.conflict(id).await;
        }
        self.looked_at.borrow_mut().remove(&id);
        self.decided(resolution);
        Ok(None)
    }

    /// Brings back the side of a resolved conflict that lost: a new write on the record as it is by now.
    ///
    /// # Errors
    /// `not-found` for a conflict that is not, or no longer, kept, `pending-work` for one that is open, and those of a write.
    pub async fn restore(&self, id: ConflictId) -> Result<Written, SyncError> {
        self.check_open()?;
        let Some(conflict) = self.conflict(id).await? else {
            return Err(SyncError::new(Code::NotFound, "there is no such conflict"));
        };
        let EntityKey { collection, id } = conflict.key.clone();
        let action = restore(&conflict)?;
        self.write(WriteRequest { collection, id: Some(id), action, priority: None }).await
    }

    /// Sends a rejected operation again, as a new one; `patch` changes it first. Returns the new operation.
    ///
    /// # Errors
    /// `not-found`, `already-resolved`, `gone`, `invalid-value`.
    pub async fn retry(&self, id: OpId, patch: Option<&Document>) -> Result<OpId, SyncError> {
        self.check_open()?;
        let ctx = self.ctx(None);
        let call = ctx.ids.op(0);
        let mut roots = vec![Root::Op(id)];
        roots.extend(patch.into_iter().flat_map(|it| in_content(it, &self.config.rules)));
        let resolution = self
            .commit(&RESOLVE, Need::of(roots), |s| {
                retry(s, id, patch, call, &self.config.rules, &ctx)
            })
            .await??;
        self.decided(resolution);
        Ok(call)
    }

    /// Gives a parked operation up and returns what was given up with it.
    ///
    /// # Errors
    /// `not-found`, `already-resolved`, `referenced` where others depend on it and are to stay, `pending-work` where something that depends on it may have reached the server.
    pub async fn discard(
        &self,
        id: OpId,
        dependents: Dependents,
    ) -> Result<Vec<Operation>, SyncError> {
        self.check_open()?;
        let ctx = self.ctx(None);
        let call = ctx.ids.op(0);
        // A store that repeats the transaction finds them gone: what the first attempt read is what was given up.
        let mut first = None;
        let last = self
            .commit(&RESOLVE, Need::of(vec![Root::Op(id)]), |s| {
                let decision = discard(s, id, dependents, call, &self.config.rules, &ctx);
                let found = decision.output.as_ref().ok().filter(|it| !it.operations.is_empty());
                first = found.cloned().or_else(|| first.take());
                decision
            })
            .await??;
        let discarded = first.unwrap_or(last);
        self.publish(Commit::written(discarded.notice));
        self.signal(Signal::LocalWrite);
        Ok(discarded.operations)
    }

    fn decided(&self, resolution: Resolution) {
        match resolution {
            Resolution::Done { notice } => self.publish(Commit::written(notice)),
            Resolution::Repeated | Resolution::Moved => {}
        }
        self.signal(Signal::LocalWrite);
    }
}
