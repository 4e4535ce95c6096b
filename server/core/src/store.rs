//! What the verdicts need of a store, and a store in memory.

use std::collections::BTreeMap;
use std::fmt;

use crate::document::Document;
use crate::wire::{Key, Outcome};

/// A store could not read or write. The transaction is to be rolled back by whoever opened it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageError(pub String);

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StorageError {}

/// A record, live or a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Starts at 1 and grows by 1 with every accepted change, deletion included.
    pub version: u64,
    /// `None` is a tombstone.
    pub document: Option<Document>,
    /// The operation that made this version.
    pub op_id: String,
    /// When that operation's edit was made, never later than its arrival; ms since the epoch.
    pub at: u64,
    /// The server's clock when it was stored; decides when a tombstone may be pruned.
    pub stored_at: u64,
    /// The part of its collection that it belongs to, for wires that read one part at a time (a
    /// building's equipment); empty elsewhere.
    pub part: String,
    /// What a wire keeps beside the document: the device's own id of the record, when it was made.
    pub meta: Option<Document>,
}

/// A verdict kept for repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Digest of the canonical operation that got it.
    pub digest: [u8; 32],
    /// The verdict, word for word.
    pub outcome: Outcome,
}

/// The state of the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Changes when the store was restored from a backup. Of `[A-Za-z0-9-]`.
    pub epoch: String,
    /// The number of the last change; 0 before the first.
    pub last: u64,
    /// Cursors before this number are expired, because tombstones up to it were pruned.
    pub horizon: u64,
    /// The greatest [`Record::stored_at`] of a tombstone that was pruned; 0 before the first.
    pub pruned_to: u64,
    /// The greatest [`Record::stored_at`] so far. Who stamps no change below it keeps the order of
    /// times that of changes.
    pub stamp: u64,
}

/// Which records [`Tx::scan`] gives: those whose last change number is greater than `after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan<'a> {
    /// Only this collection.
    pub collection: Option<&'a str>,
    /// Only this part of it.
    pub part: Option<&'a str>,
    /// The change number before the first that is wanted.
    pub after: u64,
    /// Tombstones up to this change number are left out: a first pull has no use for them.
    pub live_until: u64,
    /// The most records wanted.
    pub limit: usize,
}

impl Scan<'_> {
    /// Every record, from the first change on.
    #[must_use]
    pub const fn all() -> Self {
        Self { collection: None, part: None, after: 0, live_until: 0, limit: usize::MAX }
    }
}

/// Which records [`Tx::list`] gives: a table as it is listed page by page, by time and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List<'a> {
    /// The collection.
    pub collection: &'a str,
    /// Records stored at or after this time, ms since the epoch.
    pub since: u64,
    /// Whether tombstones are in it.
    pub tombstones: bool,
    /// How many records of the list come before the first that is wanted.
    pub skip: usize,
    /// The most records wanted.
    pub limit: usize,
}

/// One open transaction on the records of one tenant: strict serializable, all or nothing.
///
/// The verdicts make every read and write of one request through one `Tx`; the caller commits it
/// when [`crate::push`] returns `Ok` and rolls it back otherwise.
pub trait Tx {
    /// The feed's state.
    ///
    /// # Errors
    /// [`StorageError`], as for every method.
    fn feed(&self) -> Result<Feed, StorageError>;

    /// A record, or `None` if it was never known.
    ///
    /// # Errors
    /// [`StorageError`]
    fn record(&self, key: &Key) -> Result<Option<Record>, StorageError>;

    /// Stores a record under the next change number, and counts one effect of its operation in
    /// the ledger, apart from the verdicts, so that an audit can find an effect that came twice.
    ///
    /// # Errors
    /// [`StorageError`]
    fn put_record(&mut self, key: &Key, record: Record) -> Result<(), StorageError>;

    /// The stored verdict of an operation.
    ///
    /// # Errors
    /// [`StorageError`]
    fn verdict(&self, op_id: &str) -> Result<Option<Stored>, StorageError>;

    /// Stores a verdict; the operation has none yet.
    ///
    /// # Errors
    /// [`StorageError`]
    fn put_verdict(&mut self, stored: Stored) -> Result<(), StorageError>;

    /// Counts one repeat of an operation that has a verdict.
    ///
    /// # Errors
    /// [`StorageError`]
    fn count_repeat(&mut self, op_id: &str) -> Result<(), StorageError>;

    /// The records of a scan, each with the number of its last change, ascending by it.
    ///
    /// # Errors
    /// [`StorageError`]
    fn scan(&self, scan: &Scan<'_>) -> Result<Vec<(u64, Key, Record)>, StorageError>;

    /// Records whose last change number is greater than `after`, with that number, ascending.
    ///
    /// # Errors
    /// [`StorageError`]
    fn changes_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Key, Record)>, StorageError> {
        self.scan(&Scan { after, limit, ..Scan::all() })
    }

    /// The number of the first change stored at or after a time (ms since the epoch), of those that
    /// a record still has as its last; one above the last change where there is none.
    ///
    /// # Errors
    /// [`StorageError`]
    fn change_at(&self, stored_from: u64) -> Result<u64, StorageError>;

    /// The records of a list: by time, then by id, shorter ids first.
    ///
    /// # Errors
    /// [`StorageError`]
    fn list(&self, list: &List<'_>) -> Result<Vec<(Key, Record)>, StorageError>;

    /// How many records a list has, whatever its `skip` and `limit`.
    ///
    /// # Errors
    /// [`StorageError`]
    fn count(&self, list: &List<'_>) -> Result<u64, StorageError>;

    /// A note: a small text that a wire keeps under a kind and a name, such as who holds an order
    /// number. `None` if there is none.
    ///
    /// # Errors
    /// [`StorageError`]
    fn note(&self, kind: &str, name: &str) -> Result<Option<String>, StorageError>;

    /// Writes a note, or takes it away (`None`).
    ///
    /// # Errors
    /// [`StorageError`]
    fn put_note(&mut self, kind: &str, name: &str, text: Option<&str>) -> Result<(), StorageError>;

    /// The notes of a kind whose names begin with a prefix, in the order of names: name and text.
    ///
    /// # Errors
    /// [`StorageError`]
    fn notes(&self, kind: &str, prefix: &str) -> Result<Vec<(String, String)>, StorageError>;

    /// Removes the tombstones stored before `stored_before` (ms since the epoch), and moves the
    /// horizon to the greatest change number removed. Returns how many went.
    ///
    /// # Errors
    /// [`StorageError`]
    fn prune(&mut self, stored_before: u64) -> Result<usize, StorageError>;

    /// Begins a part that can be undone. Parts do not nest.
    ///
    /// # Errors
    /// [`StorageError`]
    fn savepoint(&mut self) -> Result<(), StorageError>;

    /// Keeps what was written since [`Tx::savepoint`].
    ///
    /// # Errors
    /// [`StorageError`]
    fn release(&mut self) -> Result<(), StorageError>;

    /// Undoes what was written since [`Tx::savepoint`].
    ///
    /// # Errors
    /// [`StorageError`]
    fn rollback(&mut self) -> Result<(), StorageError>;
}

/// What an audit counts over the whole store of one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Operations with a stored verdict.
    pub operations: u64,
    /// Those of them that were applied.
    pub applied: u64,
    /// Repeats answered from a stored verdict.
    pub repeats: u64,
    /// Changes of records, over all operations.
    pub effects: u64,
    /// The greatest number of effects of one operation. More than 1 is a bug.
    pub most_effects: u64,
}

/// A store in memory: the model server of a simulation. Cloning it takes a backup.
///
/// ```
/// use holdfast_server_core::{AcceptAll, Limits, Memory, PushRequest, Tx, push};
/// let mut server = Memory::new("e1");
/// let request = PushRequest::parse(
///     br#"{"holdfast":1,"device":"d1","operations":[{"opId":"a","collection":"orders",
///         "id":"o1","kind":"create","assumed":null,"document":{},"at":5}]}"#,
///     &Limits::default(),
/// )?;
/// let answer = push(&mut server, &request, &AcceptAll, &Limits::default(), 10)?;
/// assert_eq!(answer.outcomes[0].version, Some(1));
/// assert_eq!(server.feed().unwrap().last, 1);
/// # Ok::<(), holdfast_server_core::Problem>(())
/// ```
#[derive(Debug, Clone)]
pub struct Memory {
    feed: Feed,
    records: BTreeMap<Key, (u64, Record)>,
    order: BTreeMap<u64, Key>,
    verdicts: BTreeMap<String, Stored>,
    effects: BTreeMap<String, u64>,
    notes: BTreeMap<(String, String), String>,
    repeats: u64,
    undo: Option<Vec<Undo>>,
}

#[derive(Debug, Clone)]
enum Undo {
    Record { key: Key, was: Option<(u64, Record)>, op_id: String },
    Verdict(String),
    Note { at: (String, String), was: Option<String> },
    Repeat,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new(epoch: &str) -> Self {
        Self {
            feed: Feed { epoch: epoch.to_owned(), last: 0, horizon: 0, pruned_to: 0, stamp: 0 },
            records: BTreeMap::new(),
            order: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            effects: BTreeMap::new(),
            notes: BTreeMap::new(),
            repeats: 0,
            undo: None,
        }
    }

    /// Gives a restored backup its new epoch.
    pub fn set_epoch(&mut self, epoch: &str) {
        epoch.clone_into(&mut self.feed.epoch);
    }

    /// Every record, tombstones included, in the order of keys.
    pub fn records(&self) -> impl Iterator<Item = (&Key, &Record)> {
        self.records.iter().map(|(key, (_, record))| (key, record))
    }

    /// Every stored verdict, in the order of operation ids.
    pub fn verdicts(&self) -> impl Iterator<Item = &Stored> {
        self.verdicts.values()
    }

    /// How many effects an operation had.
    #[must_use]
    pub fn effects(&self, op_id: &str) -> u64 {
        self.effects.get(op_id).copied().unwrap_or(0)
    }

    /// The counts of an audit.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let applied =
            self.verdicts.values().filter(|s| s.outcome.kind == crate::OutcomeKind::Applied);
        Ledger {
            operations: count(self.verdicts.len()),
            applied: count(applied.count()),
            repeats: self.repeats,
            effects: self.effects.values().sum(),
            most_effects: self.effects.values().copied().max().unwrap_or(0),
        }
    }

    fn remember(&mut self, undo: Undo) {
        if let Some(list) = &mut self.undo {
            list.push(undo);
        }
    }

    fn listed(&self, list: &List<'_>) -> Vec<(&Key, &Record)> {
        let wanted = |key: &Key, record: &Record| {
            key.collection == list.collection
                && record.stored_at >= list.since
                && (list.tombstones || record.document.is_some())
        };
        let mut rows: Vec<_> = self.records().filter(|(key, record)| wanted(key, record)).collect();
        rows.sort_by_key(|(key, record)| (record.stored_at, key.id.len(), &key.id));
        rows
    }
}

impl Tx for Memory {
    fn feed(&self) -> Result<Feed, StorageError> {
        Ok(self.feed.clone())
    }

    fn record(&self, key: &Key) -> Result<Option<Record>, StorageError> {
        Ok(self.records.get(key).map(|(_, record)| record.clone()))
    }

    fn put_record(&mut self, key: &Key, record: Record) -> Result<(), StorageError> {
        self.feed.last += 1;
        let number = self.feed.last;
        self.feed.stamp = self.feed.stamp.max(record.stored_at);
        let op_id = record.op_id.clone();
        *self.effects.entry(op_id.clone()).or_insert(0) += 1;
        let was = self.records.insert(key.clone(), (number, record));
        if let Some((old, _)) = &was {
            self.order.remove(old);
        }
        self.order.insert(number, key.clone());
        self.remember(Undo::Record { key: key.clone(), was, op_id });
        Ok(())
    }

    fn verdict(&self, op_id: &str) -> Result<Option<Stored>, StorageError> {
        Ok(self.verdicts.get(op_id).cloned())
    }

    fn put_verdict(&mut self, stored: Stored) -> Result<(), StorageError> {
        let op_id = stored.outcome.op_id.clone();
        if self.verdicts.contains_key(&op_id) {
            return Err(StorageError("the operation has a verdict already".to_owned()));
        }
        self.verdicts.insert(op_id.clone(), stored);
        self.remember(Undo::Verdict(op_id));
        Ok(())
    }

    fn count_repeat(&mut self, _op_id: &str) -> Result<(), StorageError> {
        self.repeats += 1;
        self.remember(Undo::Repeat);
        Ok(())
    }

    fn scan(&self, scan: &Scan<'_>) -> Result<Vec<(u64, Key, Record)>, StorageError> {
        let rows = self.order.range(scan.after.saturating_add(1)..).filter_map(|(number, key)| {
            let (_, record) = self.records.get(key)?;
            let wanted = scan.collection.is_none_or(|name| name == key.collection)
                && scan.part.is_none_or(|part| part == record.part)
                && (record.document.is_some() || *number > scan.live_until);
            wanted.then(|| (*number, key.clone(), record.clone()))
        });
        Ok(rows.take(scan.limit).collect())
    }

    fn change_at(&self, stored_from: u64) -> Result<u64, StorageError> {
        let first = self.order.iter().find(|(_, key)| {
            self.records.get(key).is_some_and(|(_, record)| record.stored_at >= stored_from)
        });
        Ok(first.map_or(self.feed.last + 1, |(number, _)| *number))
    }

    fn list(&self, list: &List<'_>) -> Result<Vec<(Key, Record)>, StorageError> {
        let rows = self.listed(list).into_iter().skip(list.skip).take(list.limit);
        Ok(rows.map(|(key, record)| (key.clone(), record.clone())).collect())
    }

    fn count(&self, list: &List<'_>) -> Result<u64, StorageError> {
        Ok(u64::try_from(self.listed(list).len()).unwrap_or(u64::MAX))
    }

    fn note(&self, kind: &str, name: &str) -> Result<Option<String>, StorageError> {
        Ok(self.notes.get(&(kind.to_owned(), name.to_owned())).cloned())
    }

    fn put_note(&mut self, kind: &str, name: &str, text: Option<&str>) -> Result<(), StorageError> {
        let at = (kind.to_owned(), name.to_owned());
        let was = match text {
            Some(text) => self.notes.insert(at.clone(), text.to_owned()),
            None => self.notes.remove(&at),
        };
        self.remember(Undo::Note { at, was });
        Ok(())
    }

    fn notes(&self, kind: &str, prefix: &str) -> Result<Vec<(String, String)>, StorageError> {
        let from = (kind.to_owned(), prefix.to_owned());
        let rows = self.notes.range(from..);
        let rows = rows.take_while(|((k, name), _)| k == kind && name.starts_with(prefix));
        Ok(rows.map(|((_, name), text)| (name.clone(), text.clone())).collect())
    }

    fn prune(&mut self, stored_before: u64) -> Result<usize, StorageError> {
        let gone: Vec<(Key, u64, u64)> = self
            .records
            .iter()
            .filter(|(_, (_, r))| r.document.is_none() && r.stored_at < stored_before)
            .map(|(key, (number, r))| (key.clone(), *number, r.stored_at))
            .collect();
        for (key, number, stored_at) in &gone {
            self.records.remove(key);
            self.order.remove(number);
            self.feed.horizon = self.feed.horizon.max(*number);
            self.feed.pruned_to = self.feed.pruned_to.max(*stored_at);
        }
        Ok(gone.len())
    }

    fn savepoint(&mut self) -> Result<(), StorageError> {
        self.undo = Some(Vec::new());
        Ok(())
    }

    fn release(&mut self) -> Result<(), StorageError> {
        self.undo = None;
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), StorageError> {
        for undo in self.undo.take().unwrap_or_default().into_iter().rev() {
            match undo {
                Undo::Record { key, was, op_id } => {
                    self.order.remove(&self.feed.last);
                    self.feed.last -= 1;
                    match was {
                        Some((number, record)) => {
                            self.order.insert(number, key.clone());
                            self.records.insert(key, (number, record));
                        }
                        None => {
                            self.records.remove(&key);
                        }
                    }
                    if let Some(count) = self.effects.get_mut(&op_id) {
                        *count -= 1;
                        if *count == 0 {
                            self.effects.remove(&op_id);
                        }
                    }
                }
                Undo::Verdict(op_id) => {
                    self.verdicts.remove(&op_id);
                }
                Undo::Note { at, was } => match was {
                    Some(text) => {
                        self.notes.insert(at, text);
                    }
                    None => {
                        self.notes.remove(&at);
                    }
                },
                Undo::Repeat => self.repeats -= 1,
            }
        }
        Ok(())
    }
}
