//! Many rows in one value: records that came or settled together (segments), and how operations ended (history). What a platform
//! charges for is values, not bytes. The rows inside are what rows of their own would be, and a row of its own is newer than any
//! of them: what changes alone gets one, over what stands in a segment.

use super::gather::{Query, RowText};
use super::index::Index;
use super::pack::{each, pack, unpack};
use super::read;
use super::rows::{Row, RowChange};
use super::transaction::printable;
use super::{Key, Part};
use crate::model::map::sort_by;
use crate::model::scan::Reader;
use crate::model::{Map, Set};

/// From so many on, rows that are stored together are stored as one.
const MANY: usize = 16;
/// Records in a segment: more make reading one of them dear, fewer make storing many of them dear (docs/adr/0036).
const SEGMENT_RECORDS: usize = 32;
/// Bytes in a value, beyond which no further row goes into it.
const VALUE_BYTES: usize = 256 * 1024;

/// Where a row is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On no disk.
    Nowhere,
    /// Somewhere: it may be in a segment, and have a row of its own besides.
    Stored,
}

/// What a transaction saw of rows and of values with many rows.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Values that were read, by store and printable key.
    values: Map<(&'static str, String), String>,
    places: Map<Key, Place>,
    /// Ranges of keys in which a store has nothing.
    empty: Vec<(&'static str, Key, Key)>,
    /// Collections whose ranges were counted.
    counted: Set<String>,
}

/// The store of values that may have rows of this one.
fn values_of(store: &str) -> Option<&'static str> {
    match store {
        "records" => Some("segments"),
        "settled" | "journal" => Some("history"),
        _ => None,
    }
}

impl Seen {
    /// What to ask the disk for a query: stores that have nothing are not asked.
    pub(super) fn physical(&self, query: &Query, index: &Index) -> Vec<Query> {
        let mut queries = self.everywhere(query);
        queries.retain(|query| match query {
            Query::Get { store, .. } | Query::Scan { store, .. } => !index.is_hollow(store),
            Query::Keys { .. } | Query::Count { .. } => true,
        });
        queries
    }

    fn everywhere(&self, query: &Query) -> Vec<Query> {
        let mut queries = vec![query.clone()];
        match query {
            Query::Get { store, key } => {
                queries.retain(|_| !self.is_empty(store, key));
                if let Some(values) = values_of(store)
                    && !self.is_empty(values, key)
                {
                    queries.push(Query::Scan {
                        store: values,
                        index: Some("ids"),
                        prefix: key.clone(),
                        after: None,
                        limit: None,
                    });
                }
            }
            Query::Scan { store, prefix, limit, .. } => {
                if let Some(values) = values_of(store) {
                    let prefix = if *store == "records" { prefix.clone() } else { Key::new() };
                    // Each has many, unless most of it was forgotten.
                    let limit = limit.map(|limit| limit.div_ceil(MANY));
                    queries.push(Query::Scan {
                        store: values,
                        index: None,
                        prefix,
                        after: None,
                        limit,
                    });
                }
            }
            Query::Keys { .. } | Query::Count { .. } => {}
        }
        queries
    }

    fn is_empty(&self, store: &str, key: &Key) -> bool {
        let inside =
            |(empty, from, to): &(&str, Key, Key)| *empty == store && from <= key && key <= to;
        self.empty.iter().any(inside)
    }

    /// What to count before so many records are looked up one by one: mostly none of a pulled page is there yet.
    pub(super) fn counts(&mut self, wanted: &[&Key]) -> Vec<Query> {
        let mut ranges: Map<&String, (usize, &Key, &Key)> = Map::new();
        for key in wanted {
            let [Part::Text(collection), Part::Text(id)] = key.as_slice() else { continue };
            // Above these a platform's order is another than ours.
            if self.counted.contains(collection) || id.chars().any(|char| char > '\u{d7ff}') {
                continue;
            }
            let (count, from, to) = ranges.or_insert_with(collection, || (0, key, key));
            *count += 1;
            (*from, *to) = ((*from).min(key), (*to).max(key));
        }
        let mut queries = Vec::new();
        let mut counted = Vec::new();
        for (collection, (count, from, to)) in ranges.iter() {
            if *count < MANY {
                continue;
            }
            counted.push((*collection).clone());
            for (store, index) in [("records", None), ("segments", Some("ids"))] {
                let (from, to) = ((*from).clone(), (*to).clone());
                queries.push(Query::Count { store, index, from, to });
            }
        }
        self.counted.extend(counted);
        queries
    }

    /// Takes the answer to a count.
    pub(super) fn count(&mut self, query: &Query, rows: &[RowText]) {
        if let Query::Count { store, from, to, .. } = query
            && rows.first().is_some_and(|row| row.key == "0")
        {
            self.empty.push((*store, from.clone(), to.clone()));
        }
    }

    /// The rows that a query finds, of what the disk answered.
    pub(super) fn unite(
        &mut self,
        query: &Query,
        answers: Vec<(Query, Vec<RowText>)>,
    ) -> Vec<RowText> {
        let (mut own, mut inside) = (Vec::new(), Vec::new());
        for (asked, rows) in answers {
            match asked {
                Query::Scan { store: store @ ("segments" | "history"), .. } => {
                    for row in rows {
                        inside.push((store, row));
                    }
                }
                Query::Get { .. }
                | Query::Scan { .. }
                | Query::Keys { .. }
                | Query::Count { .. } => {
                    own.extend(rows);
                }
            }
        }
        match query {
            Query::Get { store, key } => {
                for (values, row) in inside {
                    if own.is_empty() {
                        own.extend(found(store, key, values, &row));
                    }
                    self.values.insert((values, row.key), row.text);
                }
                if *store == "records" {
                    let place = if own.is_empty() { Place::Nowhere } else { Place::Stored };
                    self.places.insert(key.clone(), place);
                }
                own
            }
            Query::Scan { store, limit, .. } => {
                let mut rows = Vec::new();
                for (values, row) in inside {
                    rows.extend(all(store, values, &row));
                    self.values.insert((values, row.key), row.text);
                }
                // Rows of their own come last: they are newer.
                rows.extend(own);
                if let Some(limit) = limit {
                    oldest(store, &mut rows, *limit);
                }
                rows
            }
            Query::Keys { .. } | Query::Count { .. } => own,
        }
    }

    /// It is known that nothing is stored of a record outside of the log, or that something may be.
    pub(super) fn note(&mut self, key: &Key, place: Place) {
        self.places.insert(key.clone(), place);
    }

    /// Whether a record is nowhere outside of the log.
    pub(super) fn is_nowhere(&self, key: &Key) -> bool {
        self.places.get(key) == Some(&Place::Nowhere)
    }

    /// What to look up before rows are deleted of which it is not known whether a value has them.
    pub(super) fn lookups(&self, changes: &[RowChange]) -> Vec<Query> {
        let mut queries = Vec::new();
        for change in changes {
            let RowChange::Delete { store: store @ ("records" | "settled"), key } = change else {
                continue;
            };
            let known = *store == "records" && self.places.contains_key(key);
            if let Some(values) = values_of(store).filter(|_| !known) {
                let (index, prefix) = (Some("ids"), key.clone());
                queries.push(Query::Scan {
                    store: values,
                    index,
                    prefix,
                    after: None,
                    limit: None,
                });
            }
        }
        queries
    }

    /// Takes the answer to a lookup.
    pub(super) fn looked_up(&mut self, query: &Query, rows: Vec<RowText>) {
        if let Query::Scan { store, .. } = query {
            for row in rows {
                self.values.insert((*store, row.key), row.text);
            }
        }
    }

    /// Puts rows that are stored together into values, and takes rows out of the values that have them.
    pub(super) fn bundle(&self, changes: Vec<RowChange>, number: u64) -> Vec<RowChange> {
        let deleted: Set<(&'static str, Key)> = changes
            .iter()
            .filter_map(|change| match change {
                RowChange::Delete { store, key } => Some((*store, key.clone())),
                RowChange::Put { .. } | RowChange::Clear { .. } => None,
            })
            .collect();
        let (mut bundles, mut rest): (Map<&'static str, Bundle>, Vec<RowChange>) =
            (Map::new(), Vec::new());
        for change in changes {
            match change {
                RowChange::Put { store, key, row } => {
                    let apart = store != "records" || self.is_nowhere(&key);
                    let place = (store, key);
                    match values_of(store).filter(|_| apart && !deleted.contains(&place)) {
                        // What is stored twice is stored as it was last.
                        Some(values) => {
                            bundles.or_default(values).insert(place, row);
                        }
                        None => rest.push(RowChange::Put { store, key: place.1, row }),
                    }
                }
                other @ (RowChange::Delete { .. } | RowChange::Clear { .. }) => rest.push(other),
            }
        }
        rest.extend(self.without(&deleted));
        for (values, bundle) in bundles {
            if bundle.len() < MANY {
                let alone = |((store, key), row)| RowChange::Put { store, key, row };
                rest.extend(bundle.into_iter().map(alone));
            } else {
                rest.extend(in_values(values, &bundle, number));
            }
        }
        rest
    }

    /// The values that were read, without what is deleted.
    fn without(&self, deleted: &Set<(&'static str, Key)>) -> Vec<RowChange> {
        let mut changes = Vec::new();
        if deleted.is_empty() {
            return changes;
        }
        for ((store, name), text) in self.values.iter() {
            let (Some(key), Some(mut members)) = (key_of(name), unpack(text)) else { continue };
            let count = members.len();
            members.retain(|member| !deleted.contains(&(member.store, member.key.clone())));
            if members.is_empty() {
                changes.push(RowChange::Delete { store, key });
            } else if members.len() < count {
                let rows = members.iter().map(|it| (it.store, &it.key, &*it.text));
                changes.push(value(store, key, rows));
            }
        }
        changes
    }
}

/// Rows by store and key.
type Bundle = Map<(&'static str, Key), Row>;

fn in_values(values: &'static str, bundle: &Bundle, number: u64) -> Vec<RowChange> {
    let mut changes = Vec::new();
    let mut rows: Vec<(&'static str, &Key, &str)> = Vec::new();
    let mut bytes = 0;
    let mut nth = 0;
    let mut store = |rows: &mut Vec<(&'static str, &Key, &str)>| {
        if let Some((_, first, _)) = rows.first() {
            let mut key = Key::new();
            if let ("segments", Some(collection)) = (values, first.first()) {
                key.push(collection.clone());
            }
            key.extend([Part::Number(number), Part::Number(nth)]);
            nth += 1;
            changes.push(value(values, key, rows.iter().copied()));
            rows.clear();
        }
    };
    for ((of, key), row) in bundle.iter() {
        let other = rows.first().is_some_and(|(_, first, _)| first.first() != key.first());
        let full = rows.len() >= SEGMENT_RECORDS || other;
        if bytes >= VALUE_BYTES || values == "segments" && full {
            store(&mut rows);
            bytes = 0;
        }
        bytes += row.text.len();
        rows.push((of, key, &row.text));
    }
    store(&mut rows);
    changes
}

/// A value, found by the keys of the rows in it.
pub(super) fn value<'a>(
    store: &'static str,
    key: Key,
    rows: impl Iterator<Item = (&'static str, &'a Key, &'a str)> + Clone,
) -> RowChange {
    let named = rows.clone().filter(|(of, ..)| *of != "journal");
    let ids = named.map(|(_, key, _)| key.clone()).collect();
    let text = pack(rows.map(|(of, key, text)| (of, key.clone(), text)));
    RowChange::Put { store, key, row: Row { text, indexes: vec![("ids", ids)] } }
}

/// The key of a value by what is printed of it: a collection may be called anything, numbers may not.
fn key_of(printed: &str) -> Option<Key> {
    let mut parts = printed.rsplitn(3, '/');
    let nth = Part::Number(parts.next()?.parse().ok()?);
    let number = Part::Number(parts.next()?.parse().ok()?);
    let collection = parts.next().map(|name| Part::Text(name.to_owned()));
    Some(collection.into_iter().chain([number, nth]).collect())
}

fn found(store: &str, key: &Key, values: &str, row: &RowText) -> Option<RowText> {
    let mut found = None;
    let read = each(&row.text, &mut |of, at, text| {
        if of == store && at == *key {
            found = Some(RowText { key: printable(key), text: text.to_owned() });
        }
    });
    if read.is_none() {
        return Some(unread(values, row));
    }
    found
}

/// The rows of a store that stand in values.
#[must_use]
pub fn inside(store: &str, read: impl Fn(&'static str) -> Vec<RowText>) -> Vec<RowText> {
    let values = values_of(store).into_iter();
    values
        .flat_map(|values| {
            read(values).into_iter().flat_map(|row| all(store, values, &row)).collect::<Vec<_>>()
        })
        .collect()
}

fn all(store: &str, values: &str, row: &RowText) -> Vec<RowText> {
    let mut rows = Vec::new();
    let read = each(&row.text, &mut |of, key, text| {
        if of == store {
            rows.push(RowText { key: printable(&key), text: text.to_owned() });
        }
    });
    if read.is_none() {
        rows.push(unread(values, row));
    }
    rows
}

/// A value whose head cannot be read is reported whole (R2).
fn unread(values: &str, row: &RowText) -> RowText {
    let mut key = String::from(values);
    key.push('/');
    key.push_str(&row.key);
    RowText { key, text: row.text.clone() }
}

/// The oldest so many of rows that are kept by their age.
fn oldest(store: &str, rows: &mut Vec<RowText>, limit: usize) {
    let age = |row: &RowText| match store {
        "settled" => Reader::whole(&row.text, read::settled).map(|row| row.at.0),
        "journal" => Reader::whole(&row.text, read::journal).map(|row| row.line),
        _ => None,
    };
    let mut aged: Vec<(u64, RowText)> =
        rows.drain(..).map(|row| (age(&row).unwrap_or(0), row)).collect();
    sort_by(&mut aged, |(a, x), (b, y)| (a, &x.key) < (b, &y.key));
    aged.truncate(limit);
    rows.extend(aged.into_iter().map(|(_, row)| row));
}
