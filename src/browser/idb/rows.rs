//! Queries, answered inside one transaction: rexie's for reading, a raw one before writing.

use std::collections::BTreeMap;

use js_sys::Array;
use rexie::KeyRange;
use wasm_bindgen::prelude::*;
use web_sys::IdbKeyRange;

use super::strict::Running;
use super::{Failure, codec};
use crate::browser::wait::{Boxed, in_order};
use crate::layout::{self, Gather, Key, Query, RowText};
use crate::model::{Need, Snapshot};

/// One page of a long scan: platforms limit what one answer may hold, and a page of the first size fits with the largest documents.
const FIRST_PAGE: u32 = 256;
const LARGEST_PAGE: u32 = 8_192;
/// Characters that a page should hold.
const PAGE_TEXT: usize = 8 * 1024 * 1024;

/// From so many on, the queues of records are looked up all at once.
const MANY: usize = 16;

/// A transaction to read in.
pub(super) enum Rows<'a> {
    Reading(&'a rexie::Transaction),
    Writing(&'a Running),
}

struct Scan<'a> {
    store: &'static str,
    index: Option<&'static str>,
    prefix: &'a Key,
    after: Option<&'a Key>,
    limit: Option<usize>,
}

impl Rows<'_> {
    /// Follows a need to its end.
    pub(super) async fn gather(&self, need: Need) -> Result<Snapshot, Failure> {
        let mut gather = Gather::new(need);
        loop {
            let queries = gather.queries();
            if queries.is_empty() {
                return Ok(gather.into_snapshot());
            }
            let answers = self.round(&queries).await?;
            for (query, rows) in queries.iter().zip(answers) {
                gather.feed(query, rows);
            }
        }
    }

    pub(super) async fn list(&self, collection: &str) -> Result<Snapshot, Failure> {
        let queries = layout::listing(collection);
        let mut answers = self.round(&queries).await?.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        Ok(layout::list([next(), next()]))
    }

    async fn round(&self, queries: &[Query]) -> Result<Vec<Vec<RowText>>, Failure> {
        let queues = self.queues(queries).await?;
        let answers = queries
            .iter()
            .map(|query| -> Boxed<'_, Result<Vec<RowText>, Failure>> {
                match (&queues, queue(query)) {
                    (Some(queues), Some(key)) => {
                        let rows = queues.get(key).cloned().unwrap_or_default();
                        Box::pin(std::future::ready(Ok(rows)))
                    }
                    (Some(_) | None, _) => Box::pin(self.query(query)),
                }
            })
            .collect();
        in_order(answers).await.into_iter().collect()
    }

    /// A pulled page asks for the queue of each of its records. Where the outbox is shorter than that list, one scan of it is
    /// cheaper than a lookup per record.
    async fn queues(&self, queries: &[Query]) -> Result<Option<Queues>, Failure> {
        let asked = queries.iter().filter_map(queue).count();
        if asked < MANY || self.count("outbox").await? > asked {
            return Ok(None);
        }
        let prefix = Key::new();
        let scan = Scan {
            store: "outbox",
            index: Some("entity"),
            prefix: &prefix,
            after: None,
            limit: None,
        };
        let mut queues = Queues::new();
        self.scan(&scan, |value, _| {
            if let Some(key) = codec::record_key(&value) {
                queues.entry(key).or_default().push(codec::outbox_row(&value));
            }
        })
        .await?;
        Ok(Some(queues))
    }

    async fn query(&self, query: &Query) -> Result<Vec<RowText>, Failure> {
        let mut rows = Vec::new();
        match query {
            Query::Get { store, key } => {
                let value = self.get(store, key).await?;
                if !value.is_undefined() {
                    let key = codec::printable_key(key);
                    rows.push(RowText { key, text: codec::text(&value) });
                }
            }
            Query::Scan { store, index, prefix, after, limit } => {
                let scan =
                    Scan { store, index: *index, prefix, after: after.as_ref(), limit: *limit };
                self.scan(&scan, |value, key| {
                    rows.push(match key {
                        Some(key) => {
                            RowText { key: codec::printable(&key), text: codec::text(&value) }
                        }
                        None => codec::outbox_row(&value),
                    });
                })
                .await?;
            }
        }
        Ok(rows)
    }

    /// Reads page by page where it is known how to go on: after a store's own key, or after an entry of the index by entity, which
    /// every operation's row carries as a member. The other indexes lead to few rows, or are asked with a limit.
    async fn scan(
        &self,
        scan: &Scan<'_>,
        mut take: impl FnMut(JsValue, Option<JsValue>),
    ) -> Result<(), Failure> {
        let by_entity = scan.index == Some("entity");
        let in_pages = by_entity || scan.index.is_none();
        let mut after = scan.after.map(|key| JsValue::from(codec::key(key)));
        let mut left = scan.limit.unwrap_or(usize::MAX);
        let mut page = FIRST_PAGE;
        while left > 0 {
            let wanted = u32::try_from(left).unwrap_or(u32::MAX);
            let count = if in_pages { page.min(wanted) } else { wanted };
            let range = codec::range(scan.prefix, after.as_ref())?;
            // Both are issued before either is awaited.
            let mut answers = vec![];
            let values: Boxed<'_, _> =
                Box::pin(self.all(scan.store, scan.index, range.clone(), count));
            answers.push(values);
            if !by_entity {
                answers.push(Box::pin(self.keys(scan.store, scan.index, range, count)));
            }
            let mut answers = in_order(answers).await.into_iter();
            let values = answers.next().unwrap_or_else(|| Ok(Vec::new()))?;
            let keys = answers.next().transpose()?;
            let full = in_pages && values.len() >= count as usize;
            left = left.saturating_sub(values.len());
            let last = match &keys {
                Some(keys) => keys.last().cloned(),
                None => values.last().and_then(codec::entity).map(JsValue::from),
            };
            page = next_page(page, &values);
            let mut keys = keys.map(Vec::into_iter);
            for value in values {
                take(value, keys.as_mut().and_then(Iterator::next));
            }
            match last {
                Some(last) if full => after = Some(last),
                Some(_) | None => break,
            }
        }
        Ok(())
    }

    async fn get(&self, store: &'static str, key: &Key) -> Result<JsValue, Failure> {
        let key = codec::key(key);
        match self {
            Self::Reading(transaction) => {
                let found = transaction.store(store)?.get(key.into()).await?;
                Ok(found.unwrap_or(JsValue::UNDEFINED))
            }
            Self::Writing(running) => running.answer(running.store(store)?.get(&key)?).await,
        }
    }

    async fn all(
        &self,
        store: &'static str,
        index: Option<&'static str>,
        range: Option<IdbKeyRange>,
        count: u32,
    ) -> Result<Vec<JsValue>, Failure> {
        match self {
            Self::Reading(transaction) => {
                let (range, store) = (range.map(KeyRange::from), transaction.store(store)?);
                Ok(match index {
                    Some(index) => store.index(index)?.get_all(range, Some(count)).await?,
                    None => store.get_all(range, Some(count)).await?,
                })
            }
            Self::Writing(running) => {
                let (range, store) = (JsValue::from(range), running.store(store)?);
                let request = match index {
                    Some(index) => store.index(index)?.get_all_with_key_and_limit(&range, count),
                    None => store.get_all_with_key_and_limit(&range, count),
                }?;
                Ok(running.answer(request).await?.unchecked_into::<Array>().to_vec())
            }
        }
    }

    async fn keys(
        &self,
        store: &'static str,
        index: Option<&'static str>,
        range: Option<IdbKeyRange>,
        count: u32,
    ) -> Result<Vec<JsValue>, Failure> {
        match self {
            Self::Reading(transaction) => {
                let (range, store) = (range.map(KeyRange::from), transaction.store(store)?);
                Ok(match index {
                    Some(index) => store.index(index)?.get_all_keys(range, Some(count)).await?,
                    None => store.get_all_keys(range, Some(count)).await?,
                })
            }
            Self::Writing(running) => {
                let (range, store) = (JsValue::from(range), running.store(store)?);
                let request = match index {
                    Some(index) => {
                        store.index(index)?.get_all_keys_with_key_and_limit(&range, count)
                    }
                    None => store.get_all_keys_with_key_and_limit(&range, count),
                }?;
                Ok(running.answer(request).await?.unchecked_into::<Array>().to_vec())
            }
        }
    }

    async fn count(&self, store: &'static str) -> Result<usize, Failure> {
        match self {
            Self::Reading(transaction) => Ok(transaction.store(store)?.count(None).await? as usize),
            Self::Writing(running) => {
                let count = running.answer(running.store(store)?.count()?).await?;
                Ok(count.as_f64().unwrap_or(f64::MAX) as usize)
            }
        }
    }
}

/// Operations by record.
type Queues = BTreeMap<Key, Vec<RowText>>;

/// Whose operations a query asks for.
fn queue(query: &Query) -> Option<&Key> {
    match query {
        Query::Scan {
            store: "outbox",
            index: Some("entity"),
            prefix,
            after: None,
            limit: None,
        } if prefix.len() == 2 => Some(prefix),
        Query::Scan { .. } | Query::Get { .. } => None,
    }
}

fn next_page(page: u32, values: &[JsValue]) -> u32 {
    let text: usize = values.iter().map(codec::length).sum();
    let each = (text / values.len().max(1)).max(1);
    let fits = u32::try_from(PAGE_TEXT / each).unwrap_or(LARGEST_PAGE);
    fits.clamp(FIRST_PAGE.min(page), LARGEST_PAGE)
}
