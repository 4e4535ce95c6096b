//! A store in memory: for tests, for the simulation, and, where an application allows it, for a browser without storage.
//! It keeps the same rows as IndexedDB does, as text, so that whatever is proven here is proven of the rows.

pub mod contract;

use crate::model::Map;
use std::cell::RefCell;
use std::ops::Bound;
use std::rc::Rc;

use crate::layout::{self, Gather, Key, Query, Row, RowChange, RowText};
use crate::model::{Changeset, Need, Snapshot, StoreError, Verb};
use crate::port::RawStore;

/// An index: its keys, each with the key of the row.
type Entries = Map<(Key, Key), ()>;

/// Rows by store and key. May be shared by several "tabs", and copied to look at a power cut.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    stores: Map<&'static str, Map<Key, Row>>,
    indexes: Map<(&'static str, &'static str), Entries>,
    full: bool,
}

impl Disk {
    /// Answers a query.
    #[must_use]
    pub fn query(&self, query: &Query) -> Vec<RowText> {
        match query {
            Query::Get { store, key } => {
                let row = self.stores.get(store).and_then(|rows| rows.get(key));
                row.map(|row| row_text(key, row)).into_iter().collect()
            }
            Query::Scan { store, index: None, prefix, after, limit } => {
                let Some(rows) = self.stores.get(store) else { return Vec::new() };
                let from = after.clone().map_or(Bound::Included(prefix.clone()), Bound::Excluded);
                rows.range((from, Bound::Unbounded))
                    .take_while(|(key, _)| key.starts_with(prefix))
                    .take(limit.unwrap_or(usize::MAX))
                    .map(|(key, row)| row_text(key, row))
                    .collect()
            }
            Query::Scan { store, index: Some(index), prefix, after, limit } => {
                let (Some(rows), Some(entries)) =
                    (self.stores.get(store), self.indexes.get(&(*store, *index)))
                else {
                    return Vec::new();
                };
                let from = after.clone().unwrap_or_else(|| prefix.clone());
                entries
                    .range((Bound::Included((from, Key::new())), Bound::Unbounded))
                    .map(|((entry, key), ())| (entry, key))
                    .filter(|(entry, _)| after.as_ref() != Some(entry))
                    .take_while(|(entry, _)| entry.starts_with(prefix))
                    .take(limit.unwrap_or(usize::MAX))
                    .filter_map(|(_, key)| rows.get(key).map(|row| row_text(key, row)))
                    .collect()
            }
        }
    }

    /// Applies one step of a transaction.
    pub fn change(&mut self, change: RowChange) {
        match change {
            RowChange::Put { store, key, row } => {
                self.remove(store, &key);
                for (index, entries) in &row.indexes {
                    let index = self.indexes.or_default((store, index));
                    index.extend(entries.iter().map(|entry| ((entry.clone(), key.clone()), ())));
                }
                self.stores.or_default(store).insert(key, row);
            }
            RowChange::Delete { store, key } => self.remove(store, &key),
        }
    }

    /// Lets nothing be stored any more, or again. Deletions commit all the same, as in a browser whose quota is reached.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Writes a changeset, all of it.
    ///
    /// # Errors
    /// [`StoreError::Full`], with nothing changed.
    pub fn write(&mut self, changes: &Changeset) -> Result<(), StoreError> {
        let steps = layout::changes(changes);
        if self.full && steps.iter().any(|step| matches!(step, RowChange::Put { .. })) {
            return Err(StoreError::Full);
        }
        for step in steps {
            self.change(step);
        }
        Ok(())
    }

    /// Reads what a need asks for.
    #[must_use]
    pub fn snapshot(&self, need: Need) -> Snapshot {
        let mut gather = Gather::new(need);
        loop {
            let queries = gather.queries();
            if queries.is_empty() {
                return gather.into_snapshot();
            }
            for query in queries {
                gather.feed(&query, self.query(&query));
            }
        }
    }

    /// The records of a collection and the operations on them.
    #[must_use]
    pub fn list(&self, collection: &str) -> Snapshot {
        layout::list(layout::listing(collection).map(|query| self.query(&query)))
    }

    /// Every row of a store, for tests.
    #[must_use]
    pub fn rows(&self, store: &str) -> Vec<RowText> {
        let rows = self.stores.iter().find(|(name, _)| **name == store).map(|(_, rows)| rows);
        rows.into_iter().flatten().map(|(key, row)| row_text(key, row)).collect()
    }

    fn remove(&mut self, store: &'static str, key: &Key) {
        let Some(old) = self.stores.get_mut(store).and_then(|rows| rows.remove(key)) else {
            return;
        };
        for (index, entries) in old.indexes {
            if let Some(index) = self.indexes.get_mut(&(store, index)) {
                for entry in entries {
                    index.remove(&(entry, key.clone()));
                }
            }
        }
    }
}

fn row_text(key: &Key, row: &Row) -> RowText {
    let parts: Vec<String> = key
        .iter()
        .map(|part| match part {
            layout::Part::Number(number) => number.to_string(),
            layout::Part::Text(text) => text.clone(),
        })
        .collect();
    RowText { key: parts.join("/"), text: row.text.clone() }
}

/// A store over a disk in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    disk: Rc<RefCell<Disk>>,
}

impl MemoryStore {
    /// A store on a disk that others may share.
    #[must_use]
    pub fn on(disk: Rc<RefCell<Disk>>) -> Self {
        Self { disk }
    }

    /// The disk.
    #[must_use]
    pub fn disk(&self) -> Rc<RefCell<Disk>> {
        Rc::clone(&self.disk)
    }
}

impl RawStore for MemoryStore {
    async fn run(
        &self,
        _verb: &Verb,
        need: Need,
        decide: &mut dyn FnMut(&Snapshot) -> Changeset,
    ) -> Result<(), StoreError> {
        let snapshot = self.disk.borrow().snapshot(need);
        let changes = decide(&snapshot);
        self.disk.borrow_mut().write(&changes)
    }

    async fn read(&self, need: Need) -> Result<Snapshot, StoreError> {
        Ok(self.disk.borrow().snapshot(need))
    }

    async fn list(&self, collection: &str) -> Result<Snapshot, StoreError> {
        Ok(self.disk.borrow().list(collection))
    }
}
