//! A store in memory: for tests, for the simulation, and, where an application allows it, for a browser without storage.
//! It keeps the same rows as IndexedDB does, as text, so that whatever is proven here is proven of the rows.

pub mod contract;

use crate::model::Map;
use std::cell::RefCell;
use std::ops::Bound;
use std::rc::Rc;

use crate::layout::{
    Ask, Index, Key, Query, Row, RowChange, RowText, Step, Transaction, damaged, inside, printable,
};
use crate::model::{Changeset, Need, Snapshot, StoreError, Verb};
use crate::port::RawStore;

/// An index: its keys, each with the key of the row.
type Entries = Map<(Key, Key), ()>;

/// What decides, for the ask of each number.
pub type Decide<'a> = dyn FnMut(usize, &Snapshot) -> Changeset + 'a;

/// Rows by store and key. May be shared by several "tabs", and copied to look at a power cut.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    stores: Map<&'static str, Map<Key, Row>>,
    indexes: Map<(&'static str, &'static str), Entries>,
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
            Query::Count { store, index, from, to } => {
                let within = |key: &Key| from <= key && key <= to;
                let count = match index {
                    None => self
                        .stores
                        .get(store)
                        .map_or(0, |rows| rows.keys().filter(|key| within(key)).count()),
                    Some(index) => self
                        .indexes
                        .get(&(*store, *index))
                        .map_or(0, |entries| entries.keys().filter(|(key, _)| within(key)).count()),
                };
                vec![RowText { key: count.to_string(), text: String::new() }]
            }
            Query::Keys { store, after } => self.keys(store, after.as_ref()),
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

    fn keys(&self, store: &str, after: Option<&Key>) -> Vec<RowText> {
        let rows = self.stores.iter().find(|(name, _)| **name == store).map(|(_, rows)| rows);
        let Some(rows) = rows else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        rows.range((from, Bound::Unbounded))
            .map(|(key, _)| RowText { key: printable(key), text: String::new() })
            .collect()
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
            RowChange::Clear { store, from, to } => {
                let rows = self.stores.get(store);
                let gone: Vec<Key> = rows
                    .map(|rows| {
                        let range = rows.range((Bound::Included(from), Bound::Included(to)));
                        range.map(|(key, _)| key.clone()).collect()
                    })
                    .unwrap_or_default();
                for key in gone {
                    self.remove(store, &key);
                }
            }
        }
    }

    /// One transaction of a tab that knows the log as `index` says: the rows that it writes, which are not written yet.
    pub fn transact(
        &self,
        index: &mut Index,
        asks: Vec<Ask>,
        decide: &mut Decide<'_>,
    ) -> Vec<RowChange> {
        let mut transaction = Transaction::new(asks.clone());
        loop {
            match transaction.step(index) {
                Step::Read(queries) => {
                    let answers = queries.iter().map(|query| self.query(query)).collect();
                    transaction.read(index, answers);
                }
                Step::Decide(turn, snapshot) => {
                    let set = decide(turn, &snapshot);
                    transaction.decided(index, &set);
                }
                Step::Write(changes) => return changes,
                Step::Again => transaction = Transaction::new(asks.clone()),
            }
        }
    }

    /// Writes a changeset, all of it.
    pub fn write(&mut self, changes: &Changeset) {
        let asks = vec![Ask::Need(Need::default())];
        let steps = self.transact(&mut Index::default(), asks, &mut |_, _| changes.clone());
        for step in steps {
            self.change(step);
        }
    }

    /// What an ask finds.
    fn look(&self, index: &mut Index, ask: Ask) -> Snapshot {
        let mut seen = Snapshot::default();
        self.transact(index, vec![ask], &mut |_, snapshot| {
            seen.clone_from(snapshot);
            Changeset::default()
        });
        seen
    }

    /// Reads what a need asks for.
    #[must_use]
    pub fn snapshot(&self, need: Need) -> Snapshot {
        self.look(&mut Index::default(), Ask::Need(need))
    }

    /// The records of a collection and the operations on them.
    #[must_use]
    pub fn list(&self, collection: &str) -> Snapshot {
        self.look(&mut Index::default(), Ask::List(collection.to_owned()))
    }

    /// Every row of a store as if it had one of its own, for tests.
    #[must_use]
    pub fn rows(&self, store: &str) -> Vec<RowText> {
        let own = |store: &str| -> Vec<RowText> {
            let rows = self.stores.iter().find(|(name, _)| **name == store).map(|(_, rows)| rows);
            rows.into_iter().flatten().map(|(key, row)| row_text(key, row)).collect()
        };
        let mut index = Index::default();
        self.look(&mut index, Ask::Need(Need::default()));
        let mut all = inside(store, own);
        for newer in [own(store), index.rows(store)] {
            all.retain(|row| newer.iter().all(|newer| newer.key != row.key));
            all.extend(newer);
        }
        all
    }

    /// Puts a text in the place of a row's behind everybody's back, for tests.
    pub fn damage(&mut self, change: RowChange) {
        for change in damaged(&self.rows("log"), change) {
            self.change(change);
        }
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
    RowText { key: printable(key), text: row.text.clone() }
}

/// A store over a disk in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    disk: Rc<RefCell<Disk>>,
    index: Rc<RefCell<Index>>,
}

impl MemoryStore {
    /// A store on a disk that others may share.
    #[must_use]
    pub fn on(disk: Rc<RefCell<Disk>>) -> Self {
        Self { disk, index: Rc::default() }
    }

    /// The disk.
    #[must_use]
    pub fn disk(&self) -> Rc<RefCell<Disk>> {
        Rc::clone(&self.disk)
    }
}

impl RawStore for MemoryStore {
    async fn run_together(
        &self,
        _verb: &Verb,
        needs: Vec<Need>,
        decide: &mut dyn FnMut(usize, &Snapshot) -> Changeset,
    ) -> Result<(), StoreError> {
        let asks = needs.into_iter().map(Ask::Need).collect();
        let steps = self.disk.borrow().transact(&mut self.index.borrow_mut(), asks, decide);
        for step in steps {
            self.disk.borrow_mut().change(step);
        }
        Ok(())
    }

    async fn read(&self, need: Need) -> Result<Snapshot, StoreError> {
        Ok(self.disk.borrow().look(&mut self.index.borrow_mut(), Ask::Need(need)))
    }

    async fn list(&self, collection: &str) -> Result<Snapshot, StoreError> {
        let ask = Ask::List(collection.to_owned());
        Ok(self.disk.borrow().look(&mut self.index.borrow_mut(), ask))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::contract::block_on;
    use super::*;
    use crate::layout::{self, Part};
    use crate::model::{
        ConflictId, Durability, EntityKey, Fate, OpId, OpState, Root, Scope, Seq, Wall,
    };

    const STRICT: Verb = Verb { name: "test", durability: Durability::Strict };

    /// A database as version 2 of the table of stores had it, with operations in every state.
    const VERSION_2: &str = include_str!("../../tests/fixtures/layout/version-2.json");

    fn key(parts: &Value) -> Key {
        let part = |part: &Value| match part {
            Value::String(text) => Part::Text(text.clone()),
            other => Part::Number(other.as_u64().unwrap()),
        };
        parts.as_array().unwrap().iter().map(part).collect()
    }

    fn version_2() -> Rc<RefCell<Disk>> {
        let rows: Value = serde_json::from_str(VERSION_2).unwrap();
        let mut disk = Disk::default();
        for row in rows.as_array().unwrap() {
            let name = row["store"].as_str().unwrap();
            let spec = layout::STORES.iter().find(|spec| spec.name == name).unwrap();
            let known = |index: &&layout::IndexSpec| row["indexes"].get(index.name).is_some();
            let keys = |index: &layout::IndexSpec| {
                let keys = row["indexes"][index.name].as_array().unwrap();
                (index.name, keys.iter().map(key).collect())
            };
            let indexes = spec.indexes.iter().filter(known).map(keys).collect();
            let text = row["text"].as_str().unwrap().to_owned();
            let key = key(&row["key"]);
            disk.change(RowChange::Put { store: spec.name, key, row: Row { text, indexes } });
        }
        Rc::new(RefCell::new(disk))
    }

    fn all() -> Need {
        Need::only(vec![
            Root::Records,
            Root::Outbox,
            Root::Conflicts,
            Root::Cursor(Scope::all()),
            Root::Name(EntityKey::new("orders", "S-17")),
            Root::Settled { limit: 100 },
            Root::Journal { limit: 100 },
        ])
    }

    fn op_id(place: u64) -> OpId {
        OpId::parse(&format!("019aa1bb-5480-7102-8304-0506000000{}", 20 + place)).unwrap()
    }

    /// P25: what version 2 stored is read as it was, by every way that it is looked for.
    #[test]
    fn a_database_of_version_2_keeps_everything() {
        let store = MemoryStore::on(version_2());
        let seen = block_on(store.read(all())).unwrap();
        assert_eq!(seen.unreadable, Vec::new());
        assert_eq!(
            seen.ops.keys().map(|seq| seq.0).collect::<Vec<_>>(),
            (1..=10).collect::<Vec<_>>()
        );
        assert!(seen.ops.get(&Seq(3)).unwrap().is_sealed());
        assert!(matches!(seen.ops.get(&Seq(4)).unwrap().state, OpState::InFlight { .. }));
        assert_eq!((seen.records.len(), seen.conflicts.len()), (3, 2));
        assert_eq!((seen.settled.len(), seen.journal.len(), seen.cursors.len()), (4, 1, 1));
        assert_eq!((seen.aliases.len(), seen.meta.floor, seen.meta.commits), (1, Seq(10), 40));
        let group = seen.ops.get(&Seq(10)).unwrap().group;
        assert!(group.is_some());
        for (root, found) in [
            (Root::Op(op_id(3)), vec![3]),
            (Root::Flights, vec![4]),
            (
                Root::Ready {
                    limit: 9,
                    now: Wall(u64::MAX),
                    horizon: crate::model::Millis(0),
                    groups: true,
                },
                vec![2, 3, 10],
            ),
            (Root::Record(EntityKey::new("orders", "order-1")), (1..=10).collect()),
            (Root::Target(EntityKey::new("customers", "c1")), vec![]),
        ] {
            let seen = block_on(store.read(Need::only(vec![root.clone()]))).unwrap();
            assert_eq!(seen.ops.keys().map(|seq| seq.0).collect::<Vec<_>>(), found, "{root:?}");
        }
        let listed = block_on(store.list("orders")).unwrap();
        assert_eq!((listed.records.len(), listed.ops.len()), (3, 10));
    }

    /// P25, R9: its operations go on from where they stood; what is stored again is stored as it is now, once.
    #[test]
    fn a_database_of_version_2_goes_on() {
        let disk = version_2();
        let store = MemoryStore::on(Rc::clone(&disk));
        let before = block_on(store.read(all())).unwrap();
        let decide = &mut |s: &Snapshot| {
            let mut set = Changeset::default();
            let mut op = s.ops.get(&Seq(3)).unwrap().clone();
            op.sends += 1;
            set.ops.insert(op.seq, op);
            set.finish_op(s.ops.get(&Seq(4)).unwrap(), Fate::Applied, Wall(1), 21);
            let key = EntityKey::new("orders", "order-1");
            let mut record = s.records.get(&key).unwrap().clone();
            record.modified += 1;
            set.records.insert(key, record);
            set.meta = Some(crate::model::Meta { commits: 41, ..s.meta.clone() });
            set
        };
        block_on(store.run(&STRICT, all(), decide)).unwrap();
        for store in [store, MemoryStore::on(Rc::clone(&disk))] {
            let after = block_on(store.read(all())).unwrap();
            assert_eq!(after.meta.commits, 41);
            let places: Vec<u64> = after.ops.keys().map(|seq| seq.0).collect();
            assert_eq!(places, [1, 2, 3, 5, 6, 7, 8, 9, 10]);
            assert_eq!(after.ops.get(&Seq(3)).unwrap().sends, 3);
            let id = ConflictId::parse("019aa1bb-5480-7102-8304-050600000004").unwrap();
            assert_eq!(after.conflicts.get(&id), before.conflicts.get(&id));
            let key = EntityKey::new("orders", "order-1");
            let modified = |s: &Snapshot| s.records.get(&key).unwrap().modified;
            assert_eq!(modified(&after), modified(&before) + 1);
        }
        let own: Vec<String> =
            disk.borrow().stores.get("outbox").unwrap().keys().map(|key| printable(key)).collect();
        assert_eq!(own, ["1", "2", "5", "6", "7", "8", "9", "10"], "rows that changed moved");
    }

    /// R27: with deletions alone an operation leaves, though others share its row; the tab knows which. With space again the
    /// row is written anew.
    #[test]
    fn deletions_alone_take_operations_out_of_a_shared_row() {
        let disk: Rc<RefCell<Disk>> = Rc::default();
        let store = MemoryStore::on(Rc::clone(&disk));
        let seen = block_on(MemoryStore::on(version_2()).read(all())).unwrap();
        let of = |places: &[u64]| {
            let mut set = Changeset::default();
            set.ops = places
                .iter()
                .map(|it| seen.ops.get(&Seq(*it)).unwrap().clone())
                .map(|op| (op.seq, op))
                .collect();
            set.meta = Some(seen.meta.clone());
            set
        };
        let runs = |set: &Changeset| {
            block_on(store.run(&STRICT, Need::default(), &mut |_| set.clone())).unwrap();
        };
        let places = || -> Vec<u64> {
            let seen = block_on(store.read(Need::only(vec![Root::Outbox]))).unwrap();
            seen.ops.keys().map(|seq| seq.0).collect()
        };
        runs(&of(&[1, 2, 3]));
        runs(&of(&[8]));
        let mut out = Changeset::default();
        out.finish_op(seen.ops.get(&Seq(2)).unwrap(), Fate::Applied, Wall(1), 1);
        (out.journal, out.settled) = (Vec::new(), Vec::new());
        let rows = disk.borrow().stores.get("log").unwrap().len();
        runs(&out);
        assert_eq!(disk.borrow().stores.get("log").unwrap().len(), rows, "nothing is put");
        assert_eq!(places(), [1, 3, 8]);
        store.index.borrow_mut().doubt();
        assert_eq!(places(), [1, 3, 8], "not to be sent again by this tab");
        runs(&of(&[9]));
        let later = MemoryStore::on(Rc::clone(&disk));
        let seen = block_on(later.read(Need::only(vec![Root::Outbox]))).unwrap();
        assert_eq!(seen.ops.keys().map(|seq| seq.0).collect::<Vec<_>>(), [1, 3, 8, 9]);
    }

    /// R27: the document of an operation whose row was deleted is shown until the tab closes.
    #[test]
    fn a_record_is_shown_when_its_row_was_deleted_alone() {
        let disk: Rc<RefCell<Disk>> = Rc::default();
        let store = MemoryStore::on(Rc::clone(&disk));
        let known = block_on(MemoryStore::on(version_2()).read(all())).unwrap();
        let key = EntityKey::new("orders", "order-1");
        let runs = |set: &Changeset| {
            block_on(store.run(&STRICT, Need::default(), &mut |_| set.clone())).unwrap();
        };
        let mut set = Changeset::default();
        let op = known.ops.get(&Seq(8)).unwrap();
        set.ops.insert(op.seq, op.clone());
        set.records.insert(key.clone(), known.records.get(&key).unwrap().clone());
        runs(&set);
        let mut other = Changeset::default();
        other.meta = Some(known.meta.clone());
        runs(&other);
        let mut out = Changeset::default();
        out.finish_op(op, Fate::Applied, Wall(1), 1);
        (out.journal, out.settled) = (Vec::new(), Vec::new());
        runs(&out);
        store.index.borrow_mut().doubt();
        for (tab, shown) in [(store, 1), (MemoryStore::on(disk), 0)] {
            let need = Need::only(vec![Root::Record(key.clone())]);
            let seen = block_on(tab.read(need)).unwrap();
            assert_eq!((seen.records.len(), seen.ops.len()), (shown, 0));
            assert_eq!(block_on(tab.list("orders")).unwrap().records.len(), shown);
        }
    }

    /// P24, R22: a tab's transactions overlap. One that began to look before another ended decides on what that one wrote.
    #[test]
    fn a_transaction_decides_on_what_another_of_its_tab_wrote_meanwhile() {
        let known = block_on(MemoryStore::on(version_2()).read(all())).unwrap();
        let (mut disk, mut index) = (Disk::default(), Index::default());
        let writes = |disk: &mut Disk, index: &mut Index, place: u64| {
            let mut set = Changeset::default();
            set.ops.insert(Seq(place), known.ops.get(&Seq(place)).unwrap().clone());
            set.meta = Some(known.meta.clone());
            let asks = vec![Ask::Need(Need::default())];
            for step in disk.transact(index, asks, &mut |_, _| set.clone()) {
                disk.change(step);
            }
        };
        writes(&mut disk, &mut index, 1);
        let mut slow = Transaction::new(vec![Ask::Need(Need::only(vec![Root::Outbox]))]);
        let Step::Read(queries) = slow.step(&mut index) else { panic!("it looks at the log") };
        writes(&mut disk, &mut index, 2);
        let mut answers: Vec<_> = queries.iter().map(|query| disk.query(query)).collect();
        let seen = loop {
            slow.read(&mut index, std::mem::take(&mut answers));
            match slow.step(&mut index) {
                Step::Read(queries) => {
                    answers = queries.iter().map(|query| disk.query(query)).collect();
                }
                Step::Decide(_, snapshot) => break snapshot,
                Step::Write(_) | Step::Again => panic!("nothing was decided"),
            }
        };
        assert_eq!(seen.ops.keys().map(|seq| seq.0).collect::<Vec<_>>(), [1, 2]);
    }
}
