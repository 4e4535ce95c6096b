//! Writes: one transaction, strict. The promise resolves when it is stored; sending is somebody else's business.

use super::{Commit, Engine};
use crate::model::references::named;
use crate::model::{
    Code, CollectionRules, Durability, EntityKey, Need, OpId, Presence, Priority, Root, SyncError,
    Verb,
};
use crate::plan::write::{Action, Write, Written, transaction, write};
use crate::port::Host;
use crate::schedule::Signal;

const WRITE: Verb = Verb { name: "write", durability: Durability::Strict };

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
        let written = self
            .commit(&WRITE, needed(&[&request]), |s| write(s, &request, &self.config.rules, &ctx))
            .await;
        let written = self.with_space(written)??;
        self.publish(Commit::written(written.notice.clone()));
        self.signal(Signal::LocalWrite);
        Ok(written)
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
        let need = needed(&writes.iter().collect::<Vec<_>>());
        let written = self
            .commit(&WRITE, need, |s| transaction(s, &writes, group, &self.config.rules, &ctx))
            .await;
        let written = self.with_space(written)??;
        self.publish(Commit::written(written.notice));
        self.signal(Signal::LocalWrite);
        Ok(written.writes)
    }

    /// A user who tries again may have made space: the leader looks at once, so that the next write is taken (R27).
    fn with_space<T>(&self, written: Result<T, SyncError>) -> Result<T, SyncError> {
        let full = written.as_ref().is_err_and(|error| error.code == Code::StorageFull);
        if full && self.phase.borrow().draining {
            self.ask();
        }
        written
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
fn needed(writes: &[&Write]) -> Need {
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
