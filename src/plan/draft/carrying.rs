//! What operations from another device need of the working copy (R18).

use super::*;

/// How a conflict ended whose operation was handed over.
pub(in crate::plan) const HANDED_OVER: &str = "handed-over";

impl Draft<'_> {
    /// The operation that a write is, or is folded into.
    pub(in crate::plan) fn find_write(&self, id: OpId) -> Option<&Operation> {
        self.ops.values().find(|op| op.id == id || op.folded.contains(&id))
    }

    /// Keeps the server's id and another device's own id of a record.
    pub(in crate::plan) fn also_named(
        &mut self,
        there: &EntityKey,
        key: &EntityKey,
        server_id: &str,
    ) {
        let record = self.records.get(key);
        let is_named = key.id == server_id
            || record.is_some_and(|record| record.server_id.as_deref() == Some(server_id));
        let mut names = Vec::new();
        if !is_named && record.is_none_or(|record| record.server_id.is_none()) {
            self.record_mut(key).server_id = Some(server_id.to_owned());
            names.push(EntityKey::new(&*key.collection, server_id));
        }
        if there != key && !self.aliases.contains_key(there) {
            names.push(there.clone());
        }
        for name in names {
            self.keep_alias(name, &key.id);
        }
    }

    /// Whether a conflict of another device can be opened here as it is: nothing of our own is on the way in the record.
    pub(in crate::plan) fn may_open(&self, conflict: &Conflict, key: &EntityKey) -> bool {
        let handed_over = |known: &Conflict| {
            known.resolved.as_ref().is_some_and(|resolved| resolved.choice == HANDED_OVER)
        };
        self.conflicts.get(&conflict.id).is_none_or(handed_over)
            && !self.of(key).any(Operation::is_visible)
    }

    /// Brings a conflict of another device up to what is known here.
    pub(in crate::plan) fn catch_up(&mut self, id: ConflictId) {
        let Some(conflict) = self.conflicts.get(&id) else { return };
        let theirs = Base {
            presence: conflict.theirs.clone(),
            version: conflict.version.clone(),
            stamp: conflict.stamp,
            guessed: false,
        };
        let key = conflict.key.clone();
        if let Some(base) = self.base(&key).filter(|base| base.replaces(Some(&theirs))).cloned() {
            self.move_theirs(id, &base);
        }
    }

    /// What was parked turned out to be the server's: its echo is the verdict, whoever sent it.
    pub(in crate::plan) fn applied_elsewhere(&mut self, seq: Seq, version: Option<Version>) {
        let Some(op) = self.finish_op(seq, Fate::Applied) else { return };
        self.with_verdict(version, None);
        self.release(op.id);
    }
}
