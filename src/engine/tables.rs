//! Collections in memory, for questions: every record with the values of the members that are asked for. Read whole once, then kept by
//! what commits of any tab say that they touched. A table knows which commit it shows; where a commit since then is not accounted for,
//! because a message did not come, all of it is read again. So an answer is never older than what was stored when it was asked for.

use super::inspect::{Entity, EntityState};
use crate::model::{EntityKey, Map, Path, Scope, Set};
use crate::query::{STATE, Value, elements, values};

/// Members beyond the declared ones that are kept as columns, because somebody asked for them.
const COLUMNS: usize = 24;
/// What all tables may hold, in bytes of documents. Beyond it a collection is read anew for each question.
const BYTES: usize = 64 << 20;
/// Changed records, and commits, that are remembered until somebody asks. Beyond it everything is read again.
const BEHIND: usize = 20_000;

/// The collections that somebody asked about.
#[derive(Default)]
pub(super) struct Tables {
    tables: Map<String, Table>,
    /// Commits that are accounted for: their records are in `dirty`, where there is a table.
    heard: Set<u64>,
    /// Records that were touched, by the greatest number of a commit that did.
    dirty: Map<EntityKey, u64>,
}

/// One collection.
pub(super) struct Table {
    /// The commit that it shows.
    at: u64,
    rows: Vec<Row>,
    columns: Vec<Path>,
    /// How many of them the application declared: these are never given up.
    declared: usize,
    bytes: usize,
}

/// One record.
pub(super) struct Row {
    pub(super) entity: Entity,
    /// By column of the table.
    pub(super) values: Vec<Value>,
}

impl Tables {
    /// Commits of this tab or of another one touched these records.
    pub(super) fn note<'a>(
        &mut self,
        numbers: &[u64],
        touched: impl Iterator<Item = &'a EntityKey>,
    ) {
        if self.tables.is_empty() {
            return;
        }
        let last = numbers.iter().copied().max().unwrap_or_default();
        self.heard.extend(numbers.iter().copied());
        for key in touched {
            if self.tables.contains_key(&key.collection) {
                let known = self.dirty.get(key).copied().unwrap_or_default();
                self.dirty.insert(key.clone(), known.max(last));
            }
        }
        if self.heard.len() > BEHIND || self.dirty.len() > BEHIND {
            *self = Self::default();
        }
    }

    /// The records of a collection that its table shows as they were.
    pub(super) fn dirty(&self, collection: &str) -> Option<Vec<EntityKey>> {
        let table = self.tables.get(collection)?;
        let dirty =
            self.dirty.iter().filter(|(key, at)| key.collection == collection && **at > table.at);
        let away = table.rows.iter().filter(|row| row.entity.state == EntityState::Syncing);
        let mut keys: Vec<EntityKey> = dirty.map(|(key, _)| key.clone()).collect();
        // What is away is so under a term: the next leader's makes it wait again.
        keys.extend(away.map(|row| EntityKey::new(collection, &*row.entity.id)));
        Some(keys)
    }

    /// Takes what was read anew at a commit. Nothing where commits are missing in between.
    pub(super) fn refresh(
        &mut self,
        collection: &str,
        at: u64,
        read: Vec<(EntityKey, Option<Entity>)>,
    ) -> Option<()> {
        let table = self.tables.get_mut(collection)?;
        // A question that was asked later may have been answered first.
        if at < table.at {
            return Some(());
        }
        (table.at + 1..=at).all(|number| self.heard.contains(&number)).then_some(())?;
        table.at = at;
        for (key, entity) in read {
            table.take(&key.id, entity);
        }
        let oldest = self.tables.values().map(|table| table.at).min().unwrap_or_default();
        let ahead = std::mem::take(&mut self.heard).into_iter().filter(|number| *number > oldest);
        self.heard = ahead.collect();
        self.dirty.retain(|key, number| {
            self.tables.get(&key.collection).is_some_and(|table| *number > table.at)
        });
        Some(())
    }

    /// A collection that was read whole.
    pub(super) fn load(&mut self, collection: &str, table: Table) {
        self.tables.insert(collection.to_owned(), table);
        while self.bytes() > BYTES && self.tables.len() > 1 {
            let other = self.tables.keys().find(|name| **name != *collection).cloned();
            other.into_iter().for_each(|name| drop(self.tables.remove(&name)));
        }
    }

    /// A table with at least these columns.
    pub(super) fn with_columns(&mut self, collection: &str, columns: &[Path]) -> Option<&Table> {
        let table = self.tables.get_mut(collection)?;
        table.add(columns);
        Some(table)
    }

    /// Forgets what is too much to keep.
    pub(super) fn shed(&mut self, collection: &str) {
        if self.bytes() > BYTES {
            self.tables.remove(&collection.to_owned());
        }
    }

    /// Forgets a collection: it is read again.
    pub(super) fn forget(&mut self, collection: &str) {
        self.tables.remove(&collection.to_owned());
    }

    /// Bytes of documents that are held, and records.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.bytes(), self.tables.values().map(|table| table.rows.len()).sum())
    }

    fn bytes(&self) -> usize {
        self.tables.values().map(|table| table.bytes).sum()
    }
}

impl Row {
    fn new(entity: Entity, columns: &[Path]) -> Self {
        Self { values: values_of(&entity, columns), entity }
    }
}

/// The values of a record: those of its document, and where it stands.
fn values_of(entity: &Entity, columns: &[Path]) -> Vec<Value> {
    let mut row = values(&entity.document, columns);
    set_state(&mut row, entity, columns);
    row
}

/// The rows that a list in a record's document is.
pub(super) fn elements_of(entity: &Entity, each: &Path, columns: &[Path]) -> Vec<Vec<Value>> {
    let mut rows = elements(&entity.document, each, columns);
    rows.iter_mut().for_each(|row| set_state(row, entity, columns));
    rows
}

fn set_state(row: &mut [Value], entity: &Entity, columns: &[Path]) {
    for (value, column) in row.iter_mut().zip(columns) {
        if matches!(column.0.as_slice(), [name] if name == STATE) {
            *value = Value::Text(entity.state.text().into());
        }
    }
}

impl Table {
    /// All records of a collection, in order of id, as they were at a commit.
    pub(super) fn new(at: u64, entities: impl Iterator<Item = Entity>, declared: &[Path]) -> Self {
        let rows: Vec<Row> = entities.map(|entity| Row::new(entity, declared)).collect();
        let bytes = rows.iter().map(|row| row.entity.document.text().len()).sum();
        Self { at, rows, columns: declared.to_vec(), declared: declared.len(), bytes }
    }

    pub(super) fn rows_in(&self, scope: Option<&Scope>) -> impl Iterator<Item = &Row> {
        let within = move |row: &&Row| scope.is_none_or(|scope| row.entity.scopes.contains(scope));
        self.rows.iter().filter(within)
    }

    /// Where members stand in the values of a row.
    pub(super) fn places(&self, columns: &[Path]) -> Vec<usize> {
        columns.iter().map(|column| self.place(column).unwrap_or(usize::MAX)).collect()
    }

    fn place(&self, column: &Path) -> Option<usize> {
        self.columns.iter().position(|known| known == column)
    }

    fn take(&mut self, id: &str, entity: Option<Entity>) {
        let found = self.rows.binary_search_by(|row| (*row.entity.id).cmp(id));
        let length = |row: &Row| row.entity.document.text().len();
        let was = found.ok().and_then(|at| self.rows.get(at)).map_or(0, length);
        let row = entity.map(|entity| Row::new(entity, &self.columns));
        self.bytes = self.bytes - was + row.as_ref().map_or(0, length);
        match (found, row) {
            (Ok(at), Some(row)) => {
                if let Some(slot) = self.rows.get_mut(at) {
                    *slot = row;
                }
            }
            (Ok(at), None) => drop(self.rows.remove(at)),
            (Err(at), Some(row)) => self.rows.insert(at, row),
            (Err(_), None) => {}
        }
    }

    fn add(&mut self, columns: &[Path]) {
        let new: Vec<Path> =
            columns.iter().filter(|column| self.place(column).is_none()).cloned().collect();
        if new.is_empty() {
            return;
        }
        if self.columns.len() + new.len() > self.declared + COLUMNS {
            self.columns.truncate(self.declared);
            self.rows.iter_mut().for_each(|row| row.values.truncate(self.declared));
            // At most once: what is asked for now fits, or is all there is.
            let asked = columns.iter().filter(|column| self.place(column).is_none());
            return self.extend(asked.cloned().collect());
        }
        self.extend(new);
    }

    fn extend(&mut self, new: Vec<Path>) {
        for row in &mut self.rows {
            row.values.extend(values_of(&row.entity, &new));
        }
        self.columns.extend(new);
    }
}
