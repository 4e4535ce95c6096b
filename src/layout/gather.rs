//! From a need to rows: a machine that says which rows to read next and follows the edges of what it is fed. It does no I/O, so
//! every backend reads the same rows, and a round of queries can run in parallel inside one transaction.

use crate::model::Set;

use super::read::{self, Read};
use super::{Key, Part, entity, reserve, text};
use crate::model::references::named_by;
use crate::model::scan::Reader;
use crate::model::{EntityKey, Need, OpState, Operation, Parked, Root, Snapshot, Unreadable, Wall};

/// Rows to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    /// The row under a key, if there is one.
    Get {
        /// Where.
        store: &'static str,
        /// Under which key.
        key: Key,
    },
    /// Rows in the order of their keys, or of an index.
    Scan {
        /// Where.
        store: &'static str,
        /// By which index; by the store's own key if none.
        index: Option<&'static str>,
        /// Keys that begin so.
        prefix: Key,
        /// Only those after this key.
        after: Option<Key>,
        /// How many at the most.
        limit: Option<usize>,
    },
}

/// A row that was read: its primary key, for reports, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowText {
    /// Printable primary key.
    pub key: String,
    /// JSON.
    pub text: String,
}

/// Collects a snapshot.
///
/// ```
/// use holdfast::layout::Gather;
/// use holdfast::model::{Need, Root};
/// let mut gather = Gather::new(Need::only(vec![Root::Outbox]));
/// let queries = gather.queries(); // first the database's own state, and whether its reserve is drawn on
/// assert_eq!(queries.len(), 2);
/// for query in queries {
///     gather.feed(&query, Vec::new());
/// }
/// ```
#[derive(Debug)]
pub struct Gather {
    need: Need,
    snapshot: Snapshot,
    asked: Set<Query>,
    next: Vec<Query>,
    /// Names of which the record is wanted too.
    followed: Set<EntityKey>,
    /// Records that may change: it matters who names them.
    touched: Set<EntityKey>,
    began: bool,
}

/// How many ready operations are looked at in a round: those whose time has not come are skipped.
const READY_ROUND: usize = 256;

impl Gather {
    /// Begins to collect.
    #[must_use]
    pub fn new(need: Need) -> Self {
        let mut gather = Self {
            need,
            snapshot: Snapshot::default(),
            asked: Set::new(),
            next: Vec::new(),
            followed: Set::new(),
            touched: Set::new(),
            began: false,
        };
        gather.get("meta", reserve::state());
        gather.get("meta", reserve::marker());
        gather
    }

    /// The next round of queries; none when all is read.
    pub fn queries(&mut self) -> Vec<Query> {
        std::mem::take(&mut self.next)
    }

    /// Takes the answer to a query.
    pub fn feed(&mut self, query: &Query, rows: Vec<RowText>) {
        match query {
            Query::Get { store, key } => self.got(store, key, rows.into_iter().next()),
            Query::Scan { store, index, after, limit, .. } => {
                let full = limit.is_some_and(|limit| rows.len() >= limit);
                let ready = *index == Some("ready");
                let member = *index == Some("group");
                let mut last = after.clone();
                for row in rows {
                    if *store == "outbox" {
                        let Some(op) = self.read(store, &row, read::operation) else { continue };
                        if ready {
                            let rank = u64::from(op.priority.rank());
                            last = Some(vec![Part::Number(rank), Part::Number(op.seq.0)]);
                        }
                        // A queue may be that of a record that is only named.
                        if *index != Some("entity") {
                            self.touch(&op.key);
                        }
                        self.found(op, ready, member);
                    } else {
                        self.scanned(store, &row);
                    }
                }
                if ready && full && !self.has_enough() {
                    self.scan_ready(last);
                }
            }
        }
    }

    /// What was collected.
    #[must_use]
    pub fn into_snapshot(mut self) -> Snapshot {
        if let Some(left) = self.snapshot.spares {
            // Every spare term that is gone was taken by somebody.
            let meta = &mut self.snapshot.meta;
            meta.term.0 += meta.reserve.saturating_sub(left);
            if self.need.roots.contains(&Root::Balance) {
                self.snapshot.meta.counts = self.snapshot.recounted();
            }
        }
        self.snapshot
    }

    fn get(&mut self, store: &'static str, key: Key) {
        self.ask(Query::Get { store, key });
    }

    fn scan(&mut self, store: &'static str, index: Option<&'static str>, prefix: Key) {
        self.ask(Query::Scan { store, index, prefix, after: None, limit: None });
    }

    fn ask(&mut self, query: Query) {
        if self.asked.insert(query.clone()) {
            self.next.push(query);
        }
    }

    fn read<T>(&mut self, store: &str, row: &RowText, read: Read<T>) -> Option<T> {
        let value = Reader::whole(&row.text, read);
        if value.is_none() {
            self.broken(store, row);
        }
        value
    }

    fn broken(&mut self, store: &str, row: &RowText) {
        let place = [store, "/", &row.key].concat();
        self.get("quarantine", vec![text(&*place)]);
        self.snapshot.unreadable.push(Unreadable { place, text: row.text.clone() });
    }

    fn got(&mut self, store: &'static str, key: &Key, row: Option<RowText>) {
        let Some(row) = row else {
            self.missing(store, key);
            return;
        };
        match store {
            "meta" if *key == reserve::state() => {
                self.snapshot.meta = self.read(store, &row, read::meta).unwrap_or_default();
                self.begin();
            }
            "records" => {
                if let Some(record) = self.read(store, &row, read::record) {
                    self.seen(&record.key);
                    self.snapshot.records.insert(record.key.clone(), record);
                }
            }
            "conflicts" => self.scanned(store, &row),
            "settled" => self.scanned(store, &row),
            "quarantine" => {
                self.snapshot.kept_aside.insert(row.key);
            }
            "aliases" => {
                let (Some(own), [Part::Text(collection), Part::Text(named)]) =
                    (self.read(store, &row, read::string), key.as_slice())
                else {
                    return;
                };
                let named = EntityKey::new(&**collection, &**named);
                let key = EntityKey::new(&*named.collection, &*own);
                if self.touched.contains(&named) {
                    self.touch(&key);
                }
                if self.followed.contains(&named) {
                    self.record(&key);
                }
                // A record may have become one with another since (R17).
                self.name(&key);
                self.snapshot.aliases.insert(named, own);
            }
            _ => {}
        }
    }

    fn missing(&mut self, store: &'static str, key: &Key) {
        match (store, key.as_slice()) {
            ("meta", _) if *key == reserve::state() => self.begin(),
            // The state was fed before.
            ("meta", _) if self.snapshot.meta.reserve > 0 => {
                self.snapshot.spares = Some(0);
                self.scan(store, None, reserve::spares());
                if self.need.roots.contains(&Root::Balance) {
                    self.scan("outbox", None, Vec::new());
                }
            }
            ("records", [Part::Text(collection), Part::Text(id)]) => {
                self.alias(&EntityKey::new(&**collection, &**id));
            }
            _ => {}
        }
    }

    /// What a name stands for, with the record.
    fn alias(&mut self, named: &EntityKey) {
        self.followed.insert(named.clone());
        match self.snapshot.aliases.get(named).cloned() {
            Some(own) => {
                let key = EntityKey::new(&*named.collection, own);
                if self.touched.contains(named) {
                    self.touch(&key);
                }
                self.record(&key);
            }
            None => self.name(named),
        }
    }

    fn name(&mut self, named: &EntityKey) {
        if self.snapshot.meta.aliases > 0 {
            self.get("aliases", entity(named));
        }
    }

    /// A record lives under an id that the server gave another: whatever names it is read.
    fn seen(&mut self, key: &EntityKey) {
        for root in self.need.roots.clone() {
            if let Root::Assigned { named, within, .. } = root
                && named == *key
            {
                self.all_within(within);
            }
        }
    }

    /// A create comes back under a name that was not known: it may be named by it already, by whoever saw the record without the
    /// word that it is ours.
    fn echoed(&mut self, create: &Operation) {
        let news = self.need.roots.iter().find_map(|root| {
            let Root::Echo { op, named, within } = root else { return None };
            let is_news = *op == create.id && *named != create.key;
            is_news.then(|| (named.clone(), within.clone()))
        });
        if let Some((named, within)) = news {
            self.alias(&named);
            self.all_within(within);
        }
    }

    fn all_within(&mut self, collections: Vec<String>) {
        for collection in collections {
            self.scan("records", None, vec![text(collection)]);
        }
        self.scan("outbox", None, Vec::new());
        self.scan("conflicts", None, Vec::new());
    }

    /// With the database's own state known: what is empty need not be looked through.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.began, true) {
            return;
        }
        for root in self.need.roots.clone() {
            match root {
                Root::Record(key) => {
                    self.touch(&key);
                    self.record(&key);
                }
                Root::Target(key) => self.record(&key),
                Root::Pulled(key) => {
                    self.touch(&key);
                    self.alias(&key);
                    self.record(&key);
                }
                Root::Name(named) => self.name(&named),
                Root::Echo { op, .. } => {
                    if self.snapshot.meta.counts.in_outbox() > 0 {
                        self.scan("outbox", Some("ids"), vec![text(op.to_string())]);
                    }
                }
                Root::Assigned { named, within, seen } => {
                    self.touch(&named);
                    self.alias(&named);
                    self.record(&named);
                    if seen {
                        self.all_within(within);
                    }
                }
                Root::Quarantine(place) => self.get("quarantine", vec![text(place)]),
                Root::Named(_) | Root::Bases | Root::Balance => {}
                Root::Op(id) => {
                    self.scan("outbox", Some("ids"), vec![text(id.to_string())]);
                    self.get("settled", vec![text(id.to_string())]);
                }
                Root::Ready { .. } => self.scan_ready(None),
                Root::Flights => self.scan("outbox", Some("flight"), Vec::new()),
                Root::Conflict(id) => self.get("conflicts", vec![text(id.to_string())]),
                Root::Conflicts => self.scan("conflicts", None, Vec::new()),
                Root::Cursors => self.scan("cursors", None, Vec::new()),
                Root::Outbox => self.scan("outbox", None, Vec::new()),
                Root::Eldest => self.ask(Query::Scan {
                    store: "outbox",
                    index: None,
                    prefix: Vec::new(),
                    after: None,
                    limit: Some(1),
                }),
                Root::Records => self.scan("records", None, Vec::new()),
                Root::Settled { limit } => self.ask(Query::Scan {
                    store: "settled",
                    index: Some("at"),
                    prefix: Vec::new(),
                    after: None,
                    limit: Some(limit),
                }),
                Root::Journal { limit } => self.ask(Query::Scan {
                    store: "journal",
                    index: None,
                    prefix: Vec::new(),
                    after: None,
                    limit: Some(limit),
                }),
            }
        }
    }

    fn record(&mut self, key: &EntityKey) {
        self.get("records", entity(key));
        if self.snapshot.meta.counts.has_rows() {
            self.scan("outbox", Some("entity"), entity(key));
        }
    }

    /// What happens to a record may free or block whatever names it. A record that is only named is not touched by that: thousands
    /// of sales may name one customer, and the next one must cost no more than the first.
    fn touch(&mut self, key: &EntityKey) {
        if self.touched.insert(key.clone())
            && self.need.edges
            && self.snapshot.queue(key).any(Operation::is_create)
        {
            self.scan("outbox", Some("refs"), entity(key));
        }
    }

    fn scan_ready(&mut self, after: Option<Key>) {
        self.ask(Query::Scan {
            store: "outbox",
            index: Some("ready"),
            prefix: Vec::new(),
            after,
            limit: Some(READY_ROUND),
        });
    }

    fn ready_root(&self) -> Option<(usize, Wall, Wall, bool)> {
        self.need.roots.iter().find_map(|root| {
            let Root::Ready { limit, now, horizon, groups } = root else { return None };
            Some((*limit, *now, now.plus(*horizon), *groups))
        })
    }

    fn has_enough(&self) -> bool {
        let ready = self.snapshot.ops.values().filter(|op| op.ready).count();
        self.ready_root().is_none_or(|(limit, ..)| ready >= limit)
    }

    fn found(&mut self, op: Operation, by_ready: bool, as_member: bool) {
        if by_ready {
            let Some((limit, now, horizon, groups)) = self.ready_root() else { return };
            // A time planned in an earlier session counts as now (R19).
            if let OpState::Queued { not_before: Some(at), under } = op.state
                && under.is_none_or(|term| term == self.snapshot.meta.term)
                && at > now
                && at <= horizon
            {
                let earliest = self.snapshot.next_due.map_or(at, |due| due.min(at));
                self.snapshot.next_due = Some(earliest);
                return;
            }
            if self.snapshot.ops.values().filter(|known| known.ready).count() >= limit {
                return;
            }
            if let Some(group) = op.group.filter(|_| groups) {
                self.scan("outbox", Some("group"), vec![text(group.to_string())]);
            }
        }
        if by_ready || as_member || self.reads_all() {
            let aliases = self.snapshot.meta.aliases > 0;
            if aliases || self.need.roots.contains(&Root::Bases) {
                self.get("records", entity(&op.key));
            }
            if aliases {
                self.named_records(&op);
            }
        }
        if self.need.edges {
            self.follow(&op);
        }
        if op.is_create() && !matches!(op.state, OpState::Acked { .. }) {
            self.echoed(&op);
        }
        self.snapshot.ops.insert(op.seq, op);
    }

    fn reads_all(&self) -> bool {
        self.need.roots.contains(&Root::Outbox)
    }

    /// The records that an operation names when it leaves: the server may know them by other names.
    fn named_records(&mut self, op: &Operation) {
        let mut keys = Vec::new();
        for root in &self.need.roots {
            // What left before leaves again as it was; a file says all of it.
            if let (Root::Named(declared), false) = (root, op.is_sealed() && !self.reads_all())
                && let Some(references) = declared.get(&op.key.collection)
            {
                keys = named_by(&op.intent, references);
            }
        }
        for key in keys {
            self.get("records", entity(&key));
        }
    }

    fn follow(&mut self, op: &Operation) {
        self.record(&op.key);
        if let OpState::Parked(Parked::Conflicted(id)) = &op.state {
            self.get("conflicts", vec![text(id.to_string())]);
        }
        for target in &op.refs {
            self.record(target);
        }
        if let Some(group) = op.group {
            self.scan("outbox", Some("group"), vec![text(group.to_string())]);
        }
        if op.is_create() && self.touched.contains(&op.key) {
            self.scan("outbox", Some("refs"), entity(&op.key));
        }
    }

    fn scanned(&mut self, store: &'static str, row: &RowText) {
        match store {
            "conflicts" => {
                let Some(conflict) = self.read(store, row, read::conflict) else { return };
                if self.need.edges {
                    self.touch(&conflict.key);
                    self.record(&conflict.key);
                }
                self.snapshot.conflicts.insert(conflict.id, conflict);
            }
            "cursors" => {
                let Some(cursor) = self.read(store, row, read::cursor) else { return };
                self.snapshot.cursors.insert(cursor.scope.clone(), cursor);
            }
            "settled" => {
                let Some(settled) = self.read(store, row, read::settled) else { return };
                self.snapshot.settled.insert(settled.op, settled);
            }
            "records" => {
                let Some(record) = self.read(store, row, read::record) else { return };
                self.snapshot.records.insert(record.key.clone(), record);
            }
            "meta" => self.snapshot.spares = self.snapshot.spares.map(|left| left + 1),
            "journal" => {
                let Some(line) = self.read(store, row, read::journal) else { return };
                self.snapshot.journal.insert(line.line, line);
            }
            _ => {}
        }
    }
}

/// The database's own state, and the rows of one collection and of its operations: what a listing reads.
#[must_use]
pub fn listing(collection: &str) -> [Query; 3] {
    let scan = |store, index| Query::Scan {
        store,
        index,
        prefix: vec![text(collection)],
        after: None,
        limit: None,
    };
    let state = Query::Get { store: "meta", key: vec![text("state")] };
    [state, scan("records", None), scan("outbox", Some("entity"))]
}

/// What a listing read.
#[must_use]
pub fn list(answers: [Vec<RowText>; 3]) -> Snapshot {
    let mut gather = Gather::new(Need::default());
    let [state, records, ops] = answers;
    gather.got("meta", &vec![text("state")], state.into_iter().next());
    for row in records {
        gather.scanned("records", &row);
    }
    for row in ops {
        if let Some(op) = gather.read("outbox", &row, read::operation) {
            gather.snapshot.ops.insert(op.seq, op);
        }
    }
    gather.into_snapshot()
}
