//! From a changeset to rows.

use serde::Serialize;

use super::{Key, Part, entity, text};
use crate::model::{Changeset, OpState, Operation};

/// A row to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What is stored: JSON.
    pub text: String,
    /// Members that indexes are over: one key, or a list of keys for an index with many entries. Absent means not indexed.
    pub indexes: Vec<(&'static str, Vec<Key>)>,
}

/// One step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// Stores a row.
    Put {
        /// Where.
        store: &'static str,
        /// Under which key.
        key: Key,
        /// What.
        row: Row,
    },
    /// Takes a row out.
    Delete {
        /// Where.
        store: &'static str,
        /// Under which key.
        key: Key,
    },
}

fn put(store: &'static str, key: Key, value: &impl Serialize) -> RowChange {
    put_indexed(store, key, value, Vec::new())
}

fn put_indexed(
    store: &'static str,
    key: Key,
    value: &impl Serialize,
    indexes: Vec<(&'static str, Vec<Key>)>,
) -> RowChange {
    // Every type of a row is made of structs, externally tagged enums and raw JSON: serialising cannot fail.
    let text = serde_json::to_string(value).unwrap_or_default();
    RowChange::Put { store, key, row: Row { text, indexes } }
}

fn operation(op: &Operation) -> RowChange {
    let mut by_entity = entity(&op.key);
    by_entity.push(Part::Number(op.seq.0));
    let mut ids: Vec<Key> = vec![vec![text(op.id.to_string())]];
    ids.extend(op.folded.iter().map(|id| vec![text(id.to_string())]));
    let mut indexes = vec![("entity", vec![by_entity]), ("ids", ids)];
    if op.ready {
        let rank = u64::from(op.priority.rank());
        indexes.push(("ready", vec![vec![Part::Number(rank), Part::Number(op.seq.0)]]));
    }
    if !op.refs.is_empty() {
        indexes.push(("refs", op.refs.iter().map(entity).collect()));
    }
    if let OpState::InFlight { term } = op.state {
        indexes.push(("flight", vec![vec![Part::Number(term.0), Part::Number(op.seq.0)]]));
    }
    put_indexed("outbox", vec![Part::Number(op.seq.0)], op, indexes)
}

/// The rows that a changeset becomes, all in one transaction.
#[must_use]
pub fn changes(set: &Changeset) -> Vec<RowChange> {
    let mut rows = Vec::new();
    let delete = |store, key| RowChange::Delete { store, key };
    rows.extend(set.meta.iter().map(|meta| put("meta", vec![text("state")], meta)));
    rows.extend(set.finished().map(|seq| delete("outbox", vec![Part::Number(seq.0)])));
    rows.extend(set.drop_records.iter().map(|key| delete("records", entity(key))));
    rows.extend(set.records.values().map(|row| put("records", entity(&row.key), row)));
    rows.extend(set.ops.values().map(operation));
    let id = |id: String| vec![text(id)];
    rows.extend(set.drop_conflicts.iter().map(|it| delete("conflicts", id(it.to_string()))));
    rows.extend(set.conflicts.values().map(|it| put("conflicts", id(it.id.to_string()), it)));
    rows.extend(set.cursors.iter().map(|it| put("cursors", id(it.scope.0.clone()), it)));
    rows.extend(set.aliases.iter().map(|(named, own)| put("aliases", entity(named), own)));
    rows.extend(set.drop_settled.iter().map(|it| delete("settled", id(it.to_string()))));
    rows.extend(set.settled.iter().map(|it| {
        let at = vec![("at", vec![vec![Part::Number(it.at.0)]])];
        put_indexed("settled", id(it.op.to_string()), it, at)
    }));
    rows.extend(set.drop_journal.iter().map(|line| delete("journal", vec![Part::Number(*line)])));
    rows.extend(set.journal.iter().map(|it| put("journal", vec![Part::Number(it.line)], it)));
    rows.extend(set.quarantine.iter().map(|it| put("quarantine", id(it.place.clone()), it)));
    rows
}
