//! One transaction, as a machine: it says which rows to read, asks for a decision when all that it needs is there, and says which
//! rows to write. It does no I/O, so every backend reads and writes the same rows.
//!
//! Several decisions may share one transaction (R22): each sees what those before it decided, and all is written together.

use super::bulk::{Place, Seen};
use super::gather::{Gather, Query, RowText};
use super::index::{Found, Index, Moves};
use super::pack::{Member, pack, unpack};
use super::rows::{self, Row, RowChange};
use super::{Key, Part};
use crate::model::{Changeset, Need, Snapshot};

/// What is looked at.
#[derive(Debug, Clone)]
pub enum Ask {
    /// What a need asks for.
    Need(Need),
    /// The records of a collection, with the operations on them.
    List(String),
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Read these rows inside the transaction, and hand the answers over in the same order.
    Read(Vec<Query>),
    /// Decide on what was read for the ask of this number.
    Decide(usize, Box<Snapshot>),
    /// Write this, all of it or nothing.
    Write(Vec<RowChange>),
    /// Begin anew, with another transaction: somebody else has read the log again since the first decision.
    Again,
}

/// What the rows that were asked for last are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    /// The whole log.
    Everything,
    /// Whether the log is as it is known, and then what the asks need.
    Newer,
    /// What came since.
    Since,
    /// What the asks need.
    Needed,
    /// Where rows are that are deleted.
    Places,
}

/// One transaction.
#[derive(Debug)]
pub struct Transaction {
    looks: Vec<Look>,
    /// The one that is decided on next.
    turn: usize,
    /// The index is as good as the log.
    checked: bool,
    /// Which version of the index was looked at.
    version: Option<u64>,
    asked: Asked,
    /// What was decided on other rows than those of the log, in order.
    rest: Vec<RowChange>,
    moves: Moves,
    seen: Seen,
    /// Counts, and lookups of what is deleted, that the disk was asked for.
    asides: Vec<Query>,
    looked_up: bool,
    wrote: bool,
    puts: bool,
}

/// One ask while it is answered.
#[derive(Debug)]
struct Look {
    ask: Ask,
    gather: Gather,
    /// Answers from the disk.
    known: Vec<(Query, Vec<RowText>)>,
    /// Queries that wait for the disk.
    waits: Vec<Query>,
    /// Those that it was asked for, each with what was asked.
    asked: Vec<(Query, Vec<Query>)>,
}

impl Transaction {
    /// Begins one.
    #[must_use]
    pub fn new(asks: Vec<Ask>) -> Self {
        Self {
            looks: asks.into_iter().map(Look::new).collect(),
            turn: 0,
            checked: false,
            version: None,
            asked: Asked::Nothing,
            rest: Vec::new(),
            moves: Moves::default(),
            seen: Seen::default(),
            asides: Vec::new(),
            looked_up: false,
            wrote: false,
            puts: false,
        }
    }

    /// What to do next.
    pub fn step(&mut self, index: &mut Index) -> Step {
        if self.version != Some(index.version()) {
            // Another transaction of this tab changed the index.
            if self.wrote {
                return Step::Again;
            }
            self.look_again(index);
        }
        if !index.is_known() {
            return self.ask(Asked::Everything, Index::everything());
        }
        if self.asked == Asked::Newer && !self.checked {
            return self.ask(Asked::Since, index.since());
        }
        let mut needed = self.needed(index);
        // What is known not to be there needs no disk.
        while needed.is_empty()
            && self.checked
            && self.looks.iter().any(|look| !look.asked.is_empty())
        {
            self.answered(index, std::iter::empty());
            needed = self.needed(index);
        }
        if !self.checked {
            needed.insert(0, index.newer());
            return self.ask(Asked::Newer, needed);
        }
        if !needed.is_empty() {
            return self.ask(Asked::Needed, needed);
        }
        if let Some(look) = self.looks.get_mut(self.turn) {
            let gather = std::mem::replace(&mut look.gather, Gather::new(Need::default()));
            return Step::Decide(self.turn, Box::new(gather.into_snapshot()));
        }
        if !std::mem::replace(&mut self.looked_up, true) {
            self.asides = self.seen.lookups(&self.rest);
            if !self.asides.is_empty() {
                return self.ask(Asked::Places, self.asides.clone());
            }
        }
        Step::Write(self.changes(index))
    }

    /// What the disk is to be asked for next. So many records are not looked up before it is known whether any may be there.
    fn needed(&mut self, index: &Index) -> Vec<Query> {
        for look in self.looks.iter_mut().skip(self.turn) {
            look.go_on(index, &self.rest);
        }
        let waits = self.looks.iter().skip(self.turn).flat_map(|look| &look.waits);
        let records = waits.filter_map(|query| match query {
            Query::Get { store: "records", key } => Some(key),
            Query::Get { .. } | Query::Scan { .. } | Query::Keys { .. } | Query::Count { .. } => {
                None
            }
        });
        self.asides = self.seen.counts(&records.collect::<Vec<_>>());
        let counts = !self.asides.is_empty();
        let mut needed = self.asides.clone();
        for look in self.looks.iter_mut().skip(self.turn) {
            let is_record =
                |query: &Query| counts && matches!(query, Query::Get { store: "records", .. });
            let waits = std::mem::take(&mut look.waits);
            let (later, now): (Vec<_>, Vec<_>) = waits.into_iter().partition(is_record);
            look.waits = later;
            for query in now {
                let queries = self.seen.physical(&query, index);
                needed.extend(queries.iter().cloned());
                look.asked.push((query, queries));
            }
        }
        needed
    }

    fn ask(&mut self, asked: Asked, queries: Vec<Query>) -> Step {
        self.asked = asked;
        Step::Read(queries)
    }

    /// Takes the rows that were asked for.
    pub fn read(&mut self, index: &mut Index, answers: Vec<Vec<RowText>>) {
        let mut answers = answers.into_iter();
        // Another transaction of this tab changed the index meanwhile: what was asked for followed from what it was.
        if self.asked != Asked::Everything && self.version != Some(index.version()) {
            if !self.wrote {
                self.look_again(index);
            }
            return;
        }
        match self.asked {
            Asked::Nothing => {}
            Asked::Everything => {
                index.load(answers.collect());
                self.is_checked(index);
            }
            Asked::Newer => match index.compare(&answers.next().unwrap_or_default()) {
                Found::Same => {
                    self.checked = true;
                    self.answered(index, answers);
                }
                Found::Newer => {}
                Found::Other => index.doubt(),
            },
            Asked::Since => {
                if index.follow(answers.collect()) {
                    self.is_checked(index);
                } else {
                    index.doubt();
                }
            }
            Asked::Needed => self.answered(index, answers),
            Asked::Places => {
                for (query, rows) in std::mem::take(&mut self.asides).iter().zip(answers) {
                    self.seen.looked_up(query, rows);
                }
            }
        }
    }

    /// The log was read inside this transaction: there is nothing newer.
    fn is_checked(&mut self, index: &Index) {
        self.look_again(index);
        self.checked = true;
    }

    fn look_again(&mut self, index: &Index) {
        self.version = Some(index.version());
        self.asked = Asked::Nothing;
        self.checked = false;
        self.seen = Seen::default();
        self.asides.clear();
        for look in self.looks.iter_mut().skip(self.turn) {
            look.known.clear();
            look.begin_again();
        }
    }

    /// Takes a decision.
    pub fn decided(&mut self, index: &mut Index, set: &Changeset) {
        let changes = rows::changes(set);
        self.turn += 1;
        if !changes.is_empty() {
            self.wrote = true;
            index.changes();
            self.version = Some(index.version());
            self.apply(index, changes);
            // What comes next is decided on what this one wrote.
            for look in self.looks.iter_mut().skip(self.turn) {
                look.begin_again();
            }
        }
    }

    fn apply(&mut self, index: &mut Index, changes: Vec<RowChange>) {
        let mut records: Vec<(Key, Row)> = Vec::new();
        for change in changes {
            // As draining does it (R27); whatever else is deleted may stand in a value with others.
            let only_leaves = matches!(change, RowChange::Delete { store: "outbox" | "meta", .. });
            self.puts |= !only_leaves;
            match change {
                RowChange::Put { store: "outbox", key, row } => {
                    if let [Part::Number(seq)] = *key {
                        index.put_operation(&mut self.moves, seq, &row);
                    }
                }
                RowChange::Delete { store: "outbox", key } => {
                    if let [Part::Number(seq)] = *key {
                        index.drop_operation(&mut self.moves, seq);
                    }
                }
                RowChange::Put { store: "meta", key, row } if is_state(&key) => {
                    index.set_state(&row.text);
                }
                RowChange::Put { store: "records", key, row } => records.push((key, row)),
                RowChange::Delete { store: "records", key } => {
                    if index.is_whole(&key) {
                        self.seen.note(&key, Place::Nowhere);
                    }
                    index.drop_record(&mut self.moves, &key);
                    self.rest.push(RowChange::Delete { store: "records", key });
                }
                other @ (RowChange::Put { .. }
                | RowChange::Delete { .. }
                | RowChange::Clear { .. }) => self.rest.push(other),
            }
        }
        for (key, row) in records {
            let whole = index.is_whole(&key) || self.seen.is_nowhere(&key);
            self.seen.note(&key, if whole { Place::Nowhere } else { Place::Stored });
            if !index.put_record(&mut self.moves, &key, &row.text, whole) {
                self.rest.push(RowChange::Put { store: "records", key, row });
            }
        }
    }

    fn changes(&mut self, index: &mut Index) -> Vec<RowChange> {
        if !self.wrote {
            return Vec::new();
        }
        let mut moves = std::mem::take(&mut self.moves);
        let mut changes = std::mem::take(&mut self.rest);
        if !self.puts {
            changes.extend(index.delete_only(moves));
            return changes;
        }
        for (key, text, whole) in index.released(&mut moves) {
            self.seen.note(&key, if whole { Place::Nowhere } else { Place::Stored });
            let row = Row { text, indexes: Vec::new() };
            changes.push(RowChange::Put { store: "records", key, row });
        }
        let mut changes = self.seen.bundle(changes, index.next());
        index.fill(&changes);
        changes.extend(index.store(moves));
        changes
    }

    fn answered(&mut self, index: &Index, mut answers: impl Iterator<Item = Vec<RowText>>) {
        for query in std::mem::take(&mut self.asides) {
            self.seen.count(&query, &answers.next().unwrap_or_default());
        }
        let rest = &self.rest;
        for look in self.looks.iter_mut().skip(self.turn) {
            for (query, queries) in std::mem::take(&mut look.asked) {
                let found = queries.into_iter().map(|it| (it, answers.next().unwrap_or_default()));
                let rows = self.seen.unite(&query, found.collect());
                look.gather.feed(&query, merged(index, rest, &query, &rows));
                look.known.push((query, rows));
            }
        }
    }
}

impl Look {
    fn new(ask: Ask) -> Self {
        let gather = begin(&ask);
        Self { ask, gather, known: Vec::new(), waits: Vec::new(), asked: Vec::new() }
    }

    fn begin_again(&mut self) {
        self.gather = begin(&self.ask);
        self.waits.clear();
        self.asked.clear();
    }

    /// Follows the need as far as it goes without the disk.
    fn go_on(&mut self, index: &Index, rest: &[RowChange]) {
        loop {
            let queries = self.gather.queries();
            if queries.is_empty() {
                return;
            }
            for query in queries {
                if let Some(rows) = without_the_disk(index, &query) {
                    self.gather.feed(&query, rows);
                } else if let Some((_, rows)) = self.known.iter().find(|(known, _)| *known == query)
                {
                    self.gather.feed(&query, merged(index, rest, &query, rows));
                } else {
                    self.waits.push(query);
                }
            }
        }
    }
}

fn is_state(key: &[Part]) -> bool {
    matches!(key, [Part::Text(name)] if name == "state")
}

fn begin(ask: &Ask) -> Gather {
    match ask {
        Ask::Need(need) => Gather::new(need.clone()),
        Ask::List(collection) => Gather::listing(collection),
    }
}

/// What the index knows alone.
fn without_the_disk(index: &Index, query: &Query) -> Option<Vec<RowText>> {
    match query {
        Query::Scan { store: "outbox", .. } => Some(index.outbox(query)),
        Query::Get { store: "meta", key } if is_state(key) => Some(index.state()),
        Query::Get { store: "records", key } => index.record(key).map(|row| vec![row]),
        Query::Get { .. } | Query::Scan { .. } | Query::Keys { .. } | Query::Count { .. } => None,
    }
}

/// What is on the disk, with what the log and the decisions before this one put in its place. A row that is found twice is read
/// twice, the newer one last.
fn merged(index: &Index, rest: &[RowChange], query: &Query, rows: &[RowText]) -> Vec<RowText> {
    let mut rows = rows.to_vec();
    match query {
        Query::Get { store, key } => {
            if *store == "records" && rows.is_empty() {
                rows.extend(index.adrift(key));
            }
            for change in rest {
                match change {
                    RowChange::Put { store: changed, key: at, row }
                        if changed == store && at == key =>
                    {
                        rows = vec![RowText { key: printable(key), text: row.text.clone() }];
                    }
                    RowChange::Delete { store: changed, key: at }
                        if changed == store && at == key =>
                    {
                        rows.clear();
                    }
                    RowChange::Put { .. } | RowChange::Delete { .. } | RowChange::Clear { .. } => {}
                }
            }
        }
        Query::Scan { store, prefix, .. } => {
            if *store == "records" {
                // What the disk has comes after it, and is newer.
                let adrift = index.all_adrift(prefix);
                rows.splice(0..0, adrift);
            }
            for change in rest {
                match change {
                    RowChange::Put { store: changed, key, row } if changed == store => {
                        rows.push(RowText { key: printable(key), text: row.text.clone() });
                    }
                    RowChange::Delete { store: changed, key } if changed == store => {
                        let gone = printable(key);
                        rows.retain(|row| row.key != gone);
                    }
                    RowChange::Put { .. } | RowChange::Delete { .. } | RowChange::Clear { .. } => {}
                }
            }
            if *store == "records" {
                rows.extend(index.records(prefix));
            }
        }
        Query::Keys { .. } | Query::Count { .. } => {}
    }
    rows
}

/// What a change of one row becomes where that row is inside another: the log rows are given. For tests, which damage rows.
#[must_use]
pub fn damaged(log: &[RowText], change: RowChange) -> Vec<RowChange> {
    let RowChange::Put { store, key, row } = &change else { return vec![change] };
    let newest = log.iter().filter_map(|row| row.key.parse::<u64>().ok()).max().unwrap_or(0);
    for log_row in log.iter().rev() {
        let (Ok(number), Some(mut members)) = (log_row.key.parse(), unpack(&log_row.text)) else {
            continue;
        };
        let is_it = |member: &Member| {
            let place = member.store == "outbox" && member.key.last() == key.last();
            member.store == *store && (place || member.key.starts_with(key))
        };
        let Some(found) = members.iter_mut().find(|member| is_it(member)) else { continue };
        found.text.clone_from(&row.text);
        // Tabs read what is new: an older state must not become so.
        members.retain(|member| member.store != "meta" || number == newest);
        let text = pack(members.iter().map(|it| (it.store, it.key.clone(), &*it.text)));
        return vec![
            RowChange::Delete { store: "log", key: vec![Part::Number(number)] },
            RowChange::Put {
                store: "log",
                key: vec![Part::Number(newest + 1)],
                row: Row { text, indexes: Vec::new() },
            },
        ];
    }
    vec![change]
}

/// A key for people.
#[must_use]
pub fn printable(key: &[Part]) -> String {
    let mut text = String::new();
    for (nth, part) in key.iter().enumerate() {
        if nth > 0 {
            text.push('/');
        }
        match part {
            Part::Number(number) => text.push_str(&number.to_string()),
            Part::Text(part) => text.push_str(part),
        }
    }
    text
}
