//! Writes: one transaction, strict. The promise resolves when it is stored; sending is somebody else's business.

use super::{Commit, Engine};
use crate::model::references::named;
use crate::model::{
    CollectionRules, Durability, EntityKey, Need, Presence, Priority, Root, SyncError, Verb,
};
use crate::plan::write::{Action, Write, Written, write};
use crate::port::Host;
use crate::schedule::Signal;

const WRITE: Verb = Verb { name: "write", durability: Durability::Strict };

/// What an application asks for.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The collection.
    pub collection: String,
    /// The record; a create may leave the name to us.
    pub id: Option<String>,
    /// What is done to it.
    pub action: Action,
    /// Instead of the collection's priority.
    pub priority: Option<Priority>,
}

impl<H: Host> Engine<H> {
    /// Stores a write.
    ///
    /// # Errors
    /// `unknown-collection`, `exists`, `not-found`, `gone`, `referenced`, `outbox-full`, `closed` and those of the storage. Nothing
    /// is changed then.
    pub async fn write(&self, request: WriteRequest) -> Result<Written, SyncError> {
        self.check_open()?;
        let ctx = self.ctx(None);
        let id = request.id.unwrap_or_else(|| ctx.ids.entity(1));
        let key = EntityKey::new(request.collection, id);
        let rules = self.config.rules.of(&key.collection);
        let refs = references(&request.action, rules);
        let request = Write {
            id: ctx.ids.op(0),
            key,
            action: request.action,
            priority: request.priority,
            refs,
            owner: self.config.owner.clone(),
            schema: self.config.schema,
        };
        let mut roots = vec![Root::Record(request.key.clone()), Root::Op(request.id)];
        roots.extend(request.refs.iter().cloned().map(Root::Target));
        let written = self
            .commit(&WRITE, Need::of(roots), |s| write(s, &request, &self.config.rules, &ctx))
            .await??;
        self.publish(Commit::written(written.notice.clone()));
        self.signal(Signal::LocalWrite);
        Ok(written)
    }
}

/// The records that new content names, by the collection's declaration.
fn references(action: &Action, rules: &CollectionRules) -> Vec<EntityKey> {
    match action {
        Action::Create(document)
        | Action::Patch(document)
        | Action::Replace(document)
        | Action::Restore { side: Presence::Live(document), .. } => {
            named(document, &rules.references)
        }
        Action::Remove | Action::Restore { side: Presence::Deleted, .. } => Vec::new(),
    }
}
