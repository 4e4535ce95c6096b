//! What a tab knows of the log: every operation that waits, with its record, by each of the ways that they are looked for. It is as
//! good as the log was when it was read: whoever uses it asks in the same transaction for what came since.
//!
//! A row of the log never changes. What is written anew, or ends, is moved out of its row together with what else is left there,
//! and the row is deleted: so whatever is found in the log is so, and nothing in it has to be weighed against anything else.

use std::collections::BTreeMap;

use super::gather::{Query, RowText};
use super::pack::{Member, pack, unpack};
use super::read;
use super::rows::{self, Row, RowChange};
use super::{Key, Part, text};
use crate::model::scan::Reader;

/// Operations in a row of the log at the most: as many as a request takes, so that an answer mostly ends whole rows.
const ROW_OPERATIONS: usize = 100;
/// Bytes in a row of the log, beyond which no further operation goes into it.
const ROW_BYTES: usize = 1024 * 1024;

/// Where something is on the shelf: a name that begins with its kind, and a place.
type Spot = (String, u64);

const BROKEN: &str = "b";
const OPERATION: &str = "o";
const RECORD: char = 'x';
const LOG: &str = "w";
const ENTITY: char = 'e';

/// Where something is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Home {
    /// Nowhere yet: the commit that is being made stores it.
    Fresh,
    /// In a row of the log.
    Log(u64),
    /// In a row of its own, as version 2 stored operations.
    Row(u64),
}

/// What the log is, compared with what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Same,
    /// Rows came since.
    Newer,
    /// What is known is not there.
    Other,
}

#[derive(Debug, Clone)]
enum Held {
    /// An operation, and the name of its record's queue.
    Operation { text: String, queue: String, home: Home },
    /// The record of an operation, and whether this is all that is stored of it.
    Record { text: String, home: Home, whole: bool },
    /// A way to find an operation.
    Entry,
    /// A row of the log: what is found there.
    Row(Vec<Spot>),
    /// A row that cannot be read. Nobody can tell whose operations were in it.
    Broken(RowText),
}

/// Stores that are often empty, and would be asked in vain by every write.
const MAYBE_HOLLOW: [&str; 4] = ["records", "segments", "settled", "history"];

/// The shelf of one tab.
#[derive(Debug, Clone, Default)]
pub struct Index {
    shelf: BTreeMap<Spot, Held>,
    /// The newest row of the log, read or written.
    newest: u64,
    /// The log was read, and nothing happened since that would make it doubtful.
    known: bool,
    /// Counts its changes: whoever looked at it before the last one looks again.
    version: u64,
    /// The text of the database's own state.
    state: Option<String>,
    /// Rows of the log to be deleted with the next commit: nothing is left in them, or not all of what stands there.
    stale: Vec<u64>,
    /// What still stands in rows of the log that could not be written anew, and has ended (R27). It outlives every doubt: rows do
    /// not change.
    ended: Vec<(u64, Spot)>,
    /// Records whose rows were deleted when nothing could be written (R27): shown where the disk has nothing, until this tab closes.
    adrift: BTreeMap<Spot, Held>,
    /// Stores that nothing was in when the log was read, and nothing has come into since.
    hollow: Vec<&'static str>,
    /// Bytes of text that are held.
    bytes: usize,
}

/// What a commit changes on the shelf, until it is stored.
#[derive(Debug, Default)]
pub(super) struct Moves {
    fresh: Vec<Spot>,
    /// What left which place.
    left: Vec<(Home, Spot)>,
    /// Records of which an operation ended.
    ended: Vec<String>,
}

impl Index {
    /// Whether it may be used, once nothing newer is found in the log.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// Forgets everything: a commit failed, or something is not as it should be.
    pub fn doubt(&mut self) {
        let (ended, adrift) = (std::mem::take(&mut self.ended), std::mem::take(&mut self.adrift));
        *self = Self { version: self.version + 1, ended, adrift, ..Self::default() };
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// It is about to change.
    pub(super) fn changes(&mut self) {
        self.version += 1;
    }

    /// Bytes of text that are held in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    // Reading the log.

    /// What to read before anything is known, in the order that [`Index::load`] takes.
    pub(super) fn everything() -> Vec<Query> {
        let mut queries =
            vec![Query::Get { store: "meta", key: vec![text("state")] }, all("outbox"), all("log")];
        queries.extend(firsts());
        queries
    }

    /// The newest row that is known, and those that came since.
    pub(super) fn newer(&self) -> Query {
        let after = self.newest.checked_sub(1).map(|before| vec![Part::Number(before)]);
        Query::Keys { store: "log", after }
    }

    /// What the answer to that says, which may have been asked for when less was known.
    pub(super) fn compare(&self, keys: &[RowText]) -> Found {
        let keys = || keys.iter().filter_map(|row| row.key.parse::<u64>().ok());
        if self.newest > 0 && keys().all(|number| number != self.newest) {
            Found::Other
        } else if keys().any(|number| number > self.newest) {
            Found::Newer
        } else {
            Found::Same
        }
    }

    /// What to read when there are, in the order that [`Index::follow`] takes.
    pub(super) fn since(&self) -> Vec<Query> {
        let rows = Query::Scan {
            store: "log",
            index: None,
            prefix: Key::new(),
            after: Some(vec![Part::Number(self.newest)]),
            limit: None,
        };
        let mut queries = vec![Query::Keys { store: "log", after: None }, rows];
        queries.extend(firsts());
        queries
    }

    pub(super) fn load(&mut self, mut answers: Vec<Vec<RowText>>) {
        self.doubt();
        self.look_into(&mut answers);
        let log = answers.pop().unwrap_or_default();
        let outbox = answers.pop().unwrap_or_default();
        let state = answers.pop().unwrap_or_default();
        self.state = state.into_iter().next().map(|row| row.text);
        for row in outbox {
            self.old_row(row);
        }
        for row in log {
            self.row(row);
        }
        self.known = true;
    }

    /// Takes in what came since; `false` if that cannot be told from the log alone.
    pub(super) fn follow(&mut self, mut answers: Vec<Vec<RowText>>) -> bool {
        self.changes();
        self.look_into(&mut answers);
        let rows = answers.pop().unwrap_or_default();
        let keys = answers.pop().unwrap_or_default();
        let mut kept: Vec<u64> = keys.iter().filter_map(|row| row.key.parse().ok()).collect();
        kept.sort_unstable();
        let from_before = |held: &Held| {
            matches!(held, Held::Operation { home: Home::Row(_), .. } | Held::Broken(_))
        };
        if self.shelf.values().any(from_before) {
            return false;
        }
        let known = self.spots(LOG, |name| name == LOG, 0).map(|(_, number)| *number);
        let gone: Vec<u64> = known.filter(|it| kept.binary_search(it).is_err()).collect();
        for number in gone {
            for spot in self.close(number) {
                self.take(&spot);
            }
        }
        for row in rows {
            self.row(row);
        }
        true
    }

    /// Takes the answers that say which stores have nothing in them.
    fn look_into(&mut self, answers: &mut Vec<Vec<RowText>>) {
        let firsts = answers.split_off(answers.len().saturating_sub(MAYBE_HOLLOW.len()));
        let stores = MAYBE_HOLLOW.into_iter().zip(firsts);
        self.hollow =
            stores.filter(|(_, first)| first.is_empty()).map(|(store, _)| store).collect();
    }

    /// Whether nothing is in a store.
    pub(super) fn is_hollow(&self, store: &str) -> bool {
        self.hollow.contains(&store)
    }

    /// Something comes into stores.
    pub(super) fn fill(&mut self, changes: &[RowChange]) {
        for change in changes {
            if let RowChange::Put { store, .. } = change {
                self.hollow.retain(|hollow| hollow != store);
            }
        }
    }

    /// An operation as version 2 stored it. One that cannot be read might be anybody's.
    fn old_row(&mut self, row: RowText) {
        let op = Reader::whole(&row.text, read::operation);
        match op {
            Some(op) => {
                let seq = op.seq.0;
                self.hold(seq, row.text, &rows::indexes(&op), Home::Row(seq));
            }
            None => {
                self.broken(row);
            }
        }
    }

    fn row(&mut self, row: RowText) {
        let Ok(number) = row.key.parse::<u64>() else { return };
        self.newest = self.newest.max(number);
        let Some(members) = unpack(&row.text) else {
            // It may have held the newest state, without which nothing may be decided (P30).
            self.state = Some(String::new());
            let mut key = String::from("log/");
            key.push_str(&row.key);
            let spot = self.broken(RowText { key, text: row.text });
            self.put(log(number), Held::Row(vec![spot]));
            return;
        };
        self.put(log(number), Held::Row(Vec::new()));
        for member in members {
            let home = Home::Log(number);
            if self.has_ended(number, &member) {
                self.stale.push(number);
                continue;
            }
            match (member.store, member.key.as_slice()) {
                ("meta", _) => self.state = Some(member.text),
                ("outbox", [Part::Text(collection), Part::Text(id), Part::Number(seq)]) => {
                    let indexes = match Reader::whole(&member.text, read::operation) {
                        Some(op) => rows::indexes(&op),
                        None => vec![("entity", vec![member.key.clone()])],
                    };
                    let queue = named(ENTITY, collection, id);
                    self.take(&operation(*seq));
                    self.hold_in(*seq, member.text, queue, &indexes, home);
                }
                ("records", [Part::Text(collection), Part::Text(id), whole @ ..]) => {
                    let spot = (named(RECORD, collection, id), 0);
                    self.hold_record(spot, member.text, home, !whole.is_empty());
                }
                _ => {}
            }
        }
        if matches!(self.shelf.get(&log(number)), Some(Held::Row(found)) if found.is_empty()) {
            self.stale.push(number);
        }
    }

    fn has_ended(&self, number: u64, member: &Member) -> bool {
        match (member.store, member.key.last()) {
            ("outbox", Some(Part::Number(seq))) => self.ended.contains(&(number, operation(*seq))),
            _ => false,
        }
    }

    fn broken(&mut self, row: RowText) -> Spot {
        let place = self.spots(BROKEN, |name| name == BROKEN, 0).count() as u64;
        let spot = (BROKEN.to_owned(), place);
        self.put(spot.clone(), Held::Broken(row));
        spot
    }

    // Looking something up.

    /// The rows that a query of the outbox finds.
    pub(super) fn outbox(&self, query: &Query) -> Vec<RowText> {
        let Query::Scan { index, prefix, after, limit, .. } = query else { return Vec::new() };
        let limit = limit.unwrap_or(usize::MAX);
        let mut found: Vec<RowText> = match (*index, prefix.as_slice()) {
            (None, _) => self
                .spots(OPERATION, |name| name == OPERATION, 0)
                .filter_map(|(_, seq)| self.operation(*seq))
                .collect(),
            (Some("entity"), [Part::Text(collection)]) => {
                let all = within(ENTITY, collection);
                self.found(&all, |name| name.starts_with(&all), 0, limit)
            }
            (Some("ready"), _) => match after.as_deref() {
                Some([Part::Number(rank), Part::Number(seq)]) => {
                    let from = ready(*rank);
                    self.found(&from, |name| name.starts_with('y'), seq + 1, limit)
                }
                _ => self.found("y", |name| name.starts_with('y'), 0, limit),
            },
            (Some(index), key) => match name_of(index, key) {
                Some(exact) => self.found(&exact, |name| name == exact, 0, limit),
                None => Vec::new(),
            },
        };
        if matches!(index, None | Some("entity")) {
            let broken = self.spots(BROKEN, |name| name == BROKEN, 0);
            found.extend(broken.filter_map(|spot| match self.shelf.get(spot)? {
                Held::Broken(row) => Some(row.clone()),
                Held::Operation { .. } | Held::Record { .. } | Held::Entry | Held::Row(_) => None,
            }));
        }
        found
    }

    /// The database's own state.
    pub(super) fn state(&self) -> Vec<RowText> {
        let row = |text: &String| RowText { key: String::from("state"), text: text.clone() };
        self.state.iter().map(row).collect()
    }

    /// The record of an operation.
    pub(super) fn record(&self, key: &[Part]) -> Option<RowText> {
        let [Part::Text(collection), Part::Text(id)] = key else { return None };
        self.record_at(&(named(RECORD, collection, id), 0))
    }

    /// Whether the log has all that is stored of a record.
    pub(super) fn is_whole(&self, key: &[Part]) -> bool {
        let [Part::Text(collection), Part::Text(id)] = key else { return false };
        let held = self.shelf.get(&(named(RECORD, collection, id), 0));
        matches!(held, Some(Held::Record { whole: true, .. }))
    }

    /// The number of the next row of the log.
    pub(super) fn next(&self) -> u64 {
        self.newest + 1
    }

    /// The records of operations whose keys begin so.
    pub(super) fn records(&self, prefix: &[Part]) -> Vec<RowText> {
        let from = match prefix {
            [Part::Text(collection)] => within(RECORD, collection),
            _ => String::from(RECORD),
        };
        let spots = self.spots(&from, |name| name.starts_with(&from), 0);
        spots.filter_map(|spot| self.record_at(spot)).collect()
    }

    /// The rows of a store that are found here, as if each were a row of its own.
    #[must_use]
    pub fn rows(&self, store: &str) -> Vec<RowText> {
        match store {
            "outbox" => self.outbox(&all("outbox")),
            "records" => self.records(&[]),
            "meta" => self.state(),
            _ => Vec::new(),
        }
    }

    /// A record that is nowhere but here.
    pub(super) fn adrift(&self, key: &[Part]) -> Option<RowText> {
        let [Part::Text(collection), Part::Text(id)] = key else { return None };
        let spot = (named(RECORD, collection, id), 0);
        row_of(&spot, self.adrift.get(&spot)?)
    }

    /// The records that are nowhere but here, and whose keys begin so.
    pub(super) fn all_adrift(&self, prefix: &[Part]) -> Vec<RowText> {
        let from = match prefix {
            [Part::Text(collection)] => within(RECORD, collection),
            _ => String::from(RECORD),
        };
        let ours = self.adrift.iter().filter(|((name, _), _)| name.starts_with(&from));
        ours.filter_map(|(spot, held)| row_of(spot, held)).collect()
    }

    fn record_at(&self, spot: &Spot) -> Option<RowText> {
        row_of(spot, self.shelf.get(spot)?)
    }

    fn operation(&self, seq: u64) -> Option<RowText> {
        let Held::Operation { text, .. } = self.shelf.get(&operation(seq))? else { return None };
        Some(RowText { key: seq.to_string(), text: text.clone() })
    }

    fn found(
        &self,
        from: &str,
        ours: impl Fn(&str) -> bool,
        place: u64,
        limit: usize,
    ) -> Vec<RowText> {
        let spots = self.spots(from, ours, place).take(limit);
        spots.filter_map(|(_, seq)| self.operation(*seq)).collect()
    }

    fn spots<'a>(
        &'a self,
        from: &str,
        ours: impl Fn(&str) -> bool + 'a,
        place: u64,
    ) -> impl Iterator<Item = &'a Spot> {
        let from = (from.to_owned(), place);
        self.shelf.range(from..).map(|(spot, _)| spot).take_while(move |(name, _)| ours(name))
    }

    // Changing it.

    /// Stores an operation.
    pub(super) fn put_operation(&mut self, moves: &mut Moves, seq: u64, row: &Row) {
        moves.left.extend(self.take(&operation(seq)));
        self.hold(seq, row.text.clone(), &row.indexes, Home::Fresh);
        moves.fresh.push(operation(seq));
    }

    /// Takes an operation out.
    pub(super) fn drop_operation(&mut self, moves: &mut Moves, seq: u64) {
        let spot = operation(seq);
        if let Some(Held::Operation { queue, .. }) = self.shelf.get(&spot) {
            moves.ended.push(queue.clone());
        }
        moves.left.extend(self.take(&spot));
    }

    /// Stores a record, if an operation on it waits; `false` if it belongs elsewhere.
    pub(super) fn put_record(
        &mut self,
        moves: &mut Moves,
        key: &[Part],
        text: &str,
        whole: bool,
    ) -> bool {
        let [Part::Text(collection), Part::Text(id)] = key else { return false };
        let spot = (named(RECORD, collection, id), 0);
        self.adrift.remove(&spot);
        moves.left.extend(self.take(&spot));
        if !self.waits(&named(ENTITY, collection, id)) {
            return false;
        }
        self.hold_record(spot.clone(), text.to_owned(), Home::Fresh, whole);
        moves.fresh.push(spot);
        true
    }

    /// Takes a record out.
    pub(super) fn drop_record(&mut self, moves: &mut Moves, key: &[Part]) {
        if let [Part::Text(collection), Part::Text(id)] = key {
            let spot = (named(RECORD, collection, id), 0);
            self.adrift.remove(&spot);
            moves.left.extend(self.take(&spot));
        }
    }

    pub(super) fn set_state(&mut self, text: &str) {
        self.state = Some(text.to_owned());
    }

    /// Records for which nothing waits any more, and that were not written since.
    pub(super) fn released(&mut self, moves: &mut Moves) -> Vec<(Key, String, bool)> {
        let mut released = Vec::new();
        for queue in std::mem::take(&mut moves.ended) {
            let Some((collection, id)) = parts(&queue) else { continue };
            let spot = (named(RECORD, collection, id), 0);
            if self.waits(&queue) {
                continue;
            }
            if let Some(Held::Record { text: record, whole, .. }) = self.shelf.get(&spot) {
                released.push((vec![text(collection), text(id)], record.clone(), *whole));
                moves.left.extend(self.take(&spot));
            }
        }
        released
    }

    /// New rows of the log, and the deletion of those that something has left: what remains in them moves.
    pub(super) fn store(&mut self, moves: Moves) -> Vec<RowChange> {
        let mut fresh = moves.fresh;
        let (mut changes, mut closed) = homes(&moves.left);
        closed.append(&mut self.stale);
        closed.sort_unstable();
        closed.dedup();
        closed.retain(|number| self.shelf.contains_key(&log(*number)));
        for number in &closed {
            fresh.extend(self.close(*number));
        }
        changes.extend(self.deletions(&closed));
        fresh.sort_unstable();
        fresh.dedup();
        fresh.retain(|spot| self.shelf.contains_key(spot));
        changes.extend(self.additions(&fresh));
        changes
    }

    /// Only deletes, as a full storage asks for (R27): a row goes when every operation in it has ended. Until then this tab
    /// remembers which have. The newest row has the database's own state in it, and stays.
    pub(super) fn delete_only(&mut self, moves: Moves) -> Vec<RowChange> {
        let (mut changes, mut left) = homes(&moves.left);
        left.append(&mut self.stale);
        left.sort_unstable();
        left.dedup();
        let (closed, stale): (Vec<u64>, Vec<u64>) = left
            .into_iter()
            .filter(|number| self.shelf.contains_key(&log(*number)))
            .partition(|number| *number != self.newest && !self.has_operations(*number));
        for number in &closed {
            for spot in self.close(*number) {
                let record = self.shelf.get(&spot).cloned();
                self.take(&spot);
                if let Some(record) = record.filter(|_| is_record(&spot)) {
                    self.adrift.insert(spot, record);
                }
            }
        }
        for (home, spot) in moves.left {
            if let Home::Log(number) = home
                && stale.contains(&number)
            {
                self.ended.push((number, spot));
            }
        }
        self.stale = stale;
        changes.extend(self.deletions(&closed));
        changes
    }

    fn has_operations(&self, number: u64) -> bool {
        let held = self.shelf.get(&log(number));
        matches!(held, Some(Held::Row(found)) if found.iter().any(|spot| !is_record(spot)))
    }

    /// New rows of the log for what has none, the newest with the database's own state.
    fn additions(&mut self, fresh: &[Spot]) -> Vec<RowChange> {
        let mut changes = Vec::new();
        let mut rows = self.in_rows(fresh).into_iter().peekable();
        loop {
            let row = rows.next().unwrap_or_default();
            self.newest += 1;
            let number = self.newest;
            let is_last = rows.peek().is_none();
            let text = self.packed(&row, is_last);
            for spot in &row {
                match self.shelf.get_mut(spot) {
                    Some(Held::Operation { home, .. } | Held::Record { home, .. }) => {
                        *home = Home::Log(number);
                    }
                    Some(Held::Entry | Held::Row(_) | Held::Broken(_)) | None => {}
                }
            }
            if row.is_empty() {
                self.stale.push(number);
            }
            self.put(log(number), Held::Row(row));
            changes.push(RowChange::Put {
                store: "log",
                key: vec![Part::Number(number)],
                row: Row { text, indexes: Vec::new() },
            });
            if is_last {
                return changes;
            }
        }
    }

    /// Operations with their records, so many to a row.
    fn in_rows(&self, fresh: &[Spot]) -> Vec<Vec<Spot>> {
        let mut placed = vec![false; fresh.len()];
        let mut rows: Vec<Vec<Spot>> = Vec::new();
        let (mut row, mut operations, mut bytes) = (Vec::new(), 0, 0);
        for spot in fresh.iter().filter(|(name, _)| name == OPERATION) {
            let Some(Held::Operation { queue, text, .. }) = self.shelf.get(spot) else { continue };
            if operations >= ROW_OPERATIONS || bytes >= ROW_BYTES {
                rows.push(std::mem::take(&mut row));
                (operations, bytes) = (0, 0);
            }
            operations += 1;
            bytes += text.len();
            row.push(spot.clone());
            let record = parts(queue).map(|(collection, id)| (named(RECORD, collection, id), 0));
            let at = record.and_then(|record| fresh.binary_search(&record).ok());
            if let Some((at, placed)) = at.and_then(|at| Some((at, placed.get_mut(at)?)))
                && !std::mem::replace(placed, true)
            {
                row.extend(fresh.get(at).cloned());
            }
        }
        let rest =
            fresh.iter().zip(placed).filter(|((name, _), placed)| !placed && name != OPERATION);
        row.extend(rest.map(|(spot, _)| spot.clone()));
        if !row.is_empty() {
            rows.push(row);
        }
        rows
    }

    fn packed(&self, row: &[Spot], with_state: bool) -> String {
        let state = self.state.as_deref().filter(|_| with_state);
        let state = state.map(|state| ("meta", vec![text("state")], state));
        let operations = row.iter().filter_map(|spot| match self.shelf.get(spot)? {
            Held::Operation { text: op, queue, .. } => {
                let (collection, id) = parts(queue)?;
                let key = vec![text(collection), text(id), Part::Number(spot.1)];
                Some(("outbox", key, &**op))
            }
            Held::Record { .. } | Held::Entry | Held::Row(_) | Held::Broken(_) => None,
        });
        let records = row.iter().filter_map(|spot| match self.shelf.get(spot)? {
            Held::Record { text: record, whole, .. } => {
                let (collection, id) = parts(&spot.0)?;
                let mut key = vec![text(collection), text(id)];
                key.extend(whole.then_some(Part::Number(0)));
                Some(("records", key, &**record))
            }
            Held::Operation { .. } | Held::Entry | Held::Row(_) | Held::Broken(_) => None,
        });
        pack(state.into_iter().chain(operations).chain(records))
    }

    /// Rows of the log to delete, together where nothing else is between them.
    fn deletions(&self, closed: &[u64]) -> Vec<RowChange> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for number in closed {
            match runs.last_mut() {
                Some((_, end)) if self.nothing_between(*end, *number) => *end = *number,
                Some(_) | None => runs.push((*number, *number)),
            }
        }
        let key = |number| vec![Part::Number(number)];
        let deletion = |(from, to)| {
            if from == to {
                RowChange::Delete { store: "log", key: key(from) }
            } else {
                RowChange::Clear { store: "log", from: key(from), to: key(to) }
            }
        };
        runs.into_iter().map(deletion).collect()
    }

    fn nothing_between(&self, from: u64, to: u64) -> bool {
        self.shelf.range(log(from + 1)..log(to)).next().is_none()
    }

    fn waits(&self, queue: &str) -> bool {
        self.spots(queue, |name| name == queue, 0).next().is_some()
    }

    fn hold(&mut self, seq: u64, op: String, indexes: &[(&str, Vec<Key>)], home: Home) {
        let queue = indexes.iter().find(|(index, _)| *index == "entity");
        let queue = queue.and_then(|(index, keys)| name_of(index, keys.first()?));
        self.take(&operation(seq));
        self.hold_in(seq, op, queue.unwrap_or_default(), indexes, home);
    }

    fn hold_in(
        &mut self,
        seq: u64,
        text: String,
        queue: String,
        indexes: &[(&str, Vec<Key>)],
        home: Home,
    ) {
        for (index, keys) in indexes {
            for name in keys.iter().filter_map(|key| name_of(index, key)) {
                self.put((name, seq), Held::Entry);
            }
        }
        self.enter(home, operation(seq));
        self.put(operation(seq), Held::Operation { text, queue, home });
    }

    fn hold_record(&mut self, spot: Spot, text: String, home: Home, whole: bool) {
        self.take(&spot);
        self.enter(home, spot.clone());
        self.put(spot, Held::Record { text, home, whole });
    }

    fn enter(&mut self, home: Home, spot: Spot) {
        if let Home::Log(number) = home
            && let Some(Held::Row(found)) = self.shelf.get_mut(&log(number))
        {
            found.push(spot);
        }
    }

    fn put(&mut self, spot: Spot, held: Held) {
        self.bytes += held.bytes();
        if let Some(was) = self.shelf.insert(spot, held) {
            self.bytes -= was.bytes();
        }
    }

    /// Takes something off the shelf, with every way to find it: where it was stored.
    fn take(&mut self, spot: &Spot) -> Option<(Home, Spot)> {
        let held = self.shelf.remove(spot)?;
        self.bytes -= held.bytes();
        let home = match held {
            Held::Operation { text, queue, home } => {
                let entries = match Reader::whole(&text, read::operation) {
                    Some(op) => rows::indexes(&op),
                    None => Vec::new(),
                };
                self.shelf.remove(&(queue, spot.1));
                for (index, keys) in &entries {
                    for name in keys.iter().filter_map(|key| name_of(index, key)) {
                        self.shelf.remove(&(name, spot.1));
                    }
                }
                home
            }
            Held::Record { home, .. } => home,
            Held::Entry | Held::Row(_) | Held::Broken(_) => return None,
        };
        if let Home::Log(number) = home
            && let Some(Held::Row(found)) = self.shelf.get_mut(&log(number))
        {
            found.retain(|known| known != spot);
        }
        Some((home, spot.clone()))
    }

    /// Forgets a row of the log; what was found in it.
    fn close(&mut self, number: u64) -> Vec<Spot> {
        self.ended.retain(|(row, _)| *row != number);
        match self.shelf.remove(&log(number)) {
            Some(Held::Row(found)) => found,
            Some(_) | None => Vec::new(),
        }
    }
}

impl Held {
    fn bytes(&self) -> usize {
        match self {
            Self::Operation { text, .. } | Self::Record { text, .. } => text.len(),
            Self::Broken(row) => row.text.len(),
            Self::Entry | Self::Row(_) => 0,
        }
    }
}

fn row_of(spot: &Spot, held: &Held) -> Option<RowText> {
    let Held::Record { text, .. } = held else { return None };
    let (collection, id) = parts(&spot.0)?;
    let mut key = String::from(collection);
    key.push('/');
    key.push_str(id);
    Some(RowText { key, text: text.clone() })
}

/// The rows of their own that something has left, as deletions, and the rows of the log.
fn homes(left: &[(Home, Spot)]) -> (Vec<RowChange>, Vec<u64>) {
    let mut left: Vec<Home> = left.iter().map(|(home, _)| *home).collect();
    left.sort_unstable();
    left.dedup();
    let (mut changes, mut rows) = (Vec::new(), Vec::new());
    for home in left {
        match home {
            Home::Fresh => {}
            Home::Row(seq) => {
                changes.push(RowChange::Delete { store: "outbox", key: vec![Part::Number(seq)] })
            }
            Home::Log(number) => rows.push(number),
        }
    }
    (changes, rows)
}

/// The first row of each store that may be empty.
fn firsts() -> impl Iterator<Item = Query> {
    MAYBE_HOLLOW.into_iter().map(|store| Query::Scan {
        store,
        index: None,
        prefix: Key::new(),
        after: None,
        limit: Some(1),
    })
}

fn all(store: &'static str) -> Query {
    Query::Scan { store, index: None, prefix: Key::new(), after: None, limit: None }
}

fn is_record((name, _): &Spot) -> bool {
    name.starts_with(RECORD)
}

fn operation(seq: u64) -> Spot {
    (OPERATION.to_owned(), seq)
}

fn log(number: u64) -> Spot {
    (LOG.to_owned(), number)
}

fn ready(rank: u64) -> String {
    let mut name = String::from("y");
    name.push_str(&rank.to_string());
    name
}

/// What names of a collection begin with. The length tells where the collection ends, whatever it is called.
fn within(kind: char, collection: &str) -> String {
    let mut name = String::from(kind);
    name.push_str(&collection.len().to_string());
    name.push(':');
    name.push_str(collection);
    name
}

fn named(kind: char, collection: &str, id: &str) -> String {
    let mut name = within(kind, collection);
    name.push_str(id);
    name
}

/// Collection and id of a name.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (length, rest) = name.get(1..)?.split_once(':')?;
    rest.split_at_checked(length.parse().ok()?)
}

/// The name of what an index's key stands for. Places are not a part of it.
fn name_of(index: &str, key: &[Part]) -> Option<String> {
    match (index, key) {
        ("entity", [Part::Text(collection), Part::Text(id), ..]) => {
            Some(named(ENTITY, collection, id))
        }
        ("refs", [Part::Text(collection), Part::Text(id)]) => Some(named('r', collection, id)),
        ("ids", [Part::Text(id)]) => Some(prefixed("i", id)),
        ("group", [Part::Text(group), ..]) => Some(prefixed("g", group)),
        ("flight", _) => Some(String::from("f")),
        ("ready", [Part::Number(rank), ..]) => Some(ready(*rank)),
        _ => None,
    }
}

fn prefixed(kind: &str, name: &str) -> String {
    let mut prefixed = String::from(kind);
    prefixed.push_str(name);
    prefixed
}
