//! Writes: one transaction, strict. The promise resolves when it is stored; sending is somebody else's business.

use super::Engine;
use crate::model::references::named;
use crate::model::{CollectionRules, EntityKey, Need, OpId, Presence, Priority, Root, SyncError};
use crate::plan::write::{Action, Write, Written};
use crate::port::Host;

/// The ids of a transaction and its members begin here, above those that a plan makes.
const MEMBER_IDS: u32 = 1 << 20;

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
        let request = self.prepare(request, ctx.ids.op(0), || ctx.ids.entity(1));
        let (named, id) = (request.key.clone(), request.id);
        let written = self.store_writes(vec![request], None, ctx).await?;
        let (key, op) = written.writes.into_iter().next().unwrap_or((named, id));
        Ok(Written { key, op, notice: written.notice })
    }

    /// Stores writes all or none, in one transaction; for each its record and the operation that carries it (R14).
    ///
    /// # Errors
    /// Those of a write, with the number of the member in the path; `too-large` for more than fifty; `invalid-value` where a
    /// record is changed twice and the two cannot become one. Nothing is changed then.
    pub async fn transaction(
        &self,
        requests: Vec<WriteRequest>,
    ) -> Result<Vec<(EntityKey, OpId)>, SyncError> {
        self.check_open()?;
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let ctx = self.ctx(None);
        let mut next = MEMBER_IDS;
        let mut writes = Vec::with_capacity(requests.len());
        for request in requests {
            next += 2;
            writes.push(self.prepare(request, ctx.ids.op(next), || ctx.ids.entity(next + 1)));
        }
        let group = ctx.ids.group(MEMBER_IDS);
        Ok(self.store_writes(writes, Some(group), ctx).await?.writes)
    }

    fn prepare(&self, request: WriteRequest, id: OpId, name: impl FnOnce() -> String) -> Write {
        let key = EntityKey::new(request.collection, request.id.unwrap_or_else(name));
        let rules = self.config.rules.of(&key.collection);
        let refs = references(&request.action, rules);
        Write {
            id,
            key,
            action: request.action,
            priority: request.priority,
            refs,
            owner: self.config.owner.clone(),
            schema: self.config.schema,
        }
    }
}

/// What writes are decided on: their records, what they name, and whether they were stored before.
pub(super) fn needed(writes: &[Write]) -> Need {
    let mut roots = Vec::new();
    for write in writes {
        roots.extend([Root::Record(write.key.clone()), Root::Op(write.id)]);
        roots.extend(write.refs.iter().cloned().map(Root::Target));
    }
    Need::of(roots)
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
