//! Queries, answered inside one transaction, a round at a time: all requests of a round are issued before any is awaited.

use js_sys::Array;
use wasm_bindgen::prelude::*;
use web_sys::IdbRequest;

use super::strict::Running;
use super::{Failure, codec};
use crate::layout::{self, Gather, Key, Query, RowText};
use crate::model::{Map, Need, Snapshot};

/// One page of a long scan: platforms limit what one answer may hold. A page of the first size fits with the largest documents.
const FIRST_PAGE: u32 = 256;
const LARGEST_PAGE: u32 = 8_192;
/// Characters that a page should hold.
const PAGE_TEXT: usize = 8 * 1024 * 1024;

/// From so many on, the queues of records are looked up all at once.
const MANY: usize = 16;

/// Follows a need to its end.
pub(super) async fn gather(running: &Running, need: Need) -> Result<Snapshot, Failure> {
    let mut gather = Gather::new(need);
    loop {
        let queries = gather.queries();
        if queries.is_empty() {
            return Ok(gather.into_snapshot());
        }
        let answers = round(running, &queries).await?;
        for (query, rows) in queries.iter().zip(answers) {
            gather.feed(query, rows);
        }
    }
}

pub(super) async fn list(running: &Running, collection: &str) -> Result<Snapshot, Failure> {
    let queries = layout::listing(collection);
    let mut answers = round(running, &queries).await?.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    Ok(layout::list([next(), next(), next()]))
}

async fn round(running: &Running, queries: &[Query]) -> Result<Vec<Vec<RowText>>, Failure> {
    // A pulled page asks for the queue of each of its records. Where the outbox is shorter than that list, one scan of it is
    // cheaper than a lookup per record.
    let asked = queries.iter().filter(|query| queue(query).is_some()).count();
    let mut at_once = false;
    if asked >= MANY {
        let count = running.ask(running.store("outbox")?.count())?;
        running.answered().await?;
        at_once = count.result()?.as_f64().is_some_and(|count| count <= asked as f64);
    }
    let mut round = Round::begin(running, queries, at_once)?;
    while !round.pages.is_empty() {
        running.answered().await?;
        round.take()?;
    }
    Ok(round.end())
}

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

/// Every operation, by record.
const QUEUES: &Query = &Query::Scan {
    store: "outbox",
    index: Some("entity"),
    prefix: Key::new(),
    after: None,
    limit: None,
};

struct Round<'a> {
    running: &'a Running,
    queries: &'a [Query],
    answers: Vec<Vec<RowText>>,
    /// Operations by record, where they are read all at once.
    queues: Option<Map<Key, Vec<RowText>>>,
    pages: Vec<Page<'a>>,
}

/// Requests on their way.
struct Page<'a> {
    /// Which answer they are a part of; none for the queues.
    at: Option<usize>,
    query: &'a Query,
    values: IdbRequest,
    keys: Option<IdbRequest>,
    count: u32,
    left: usize,
}

impl<'a> Round<'a> {
    fn begin(running: &'a Running, queries: &'a [Query], at_once: bool) -> Result<Self, Failure> {
        let mut round = Self {
            running,
            queries,
            answers: queries.iter().map(|_| Vec::new()).collect(),
            queues: at_once.then(Map::default),
            pages: Vec::new(),
        };
        if at_once {
            round.first(None, QUEUES)?;
        }
        for (at, query) in queries.iter().enumerate() {
            if !at_once || queue(query).is_none() {
                round.first(Some(at), query)?;
            }
        }
        Ok(round)
    }

    fn first(&mut self, at: Option<usize>, query: &'a Query) -> Result<(), Failure> {
        match query {
            Query::Get { store, key } => {
                let values = self.running.ask(self.running.store(store)?.get(&codec::key(key)))?;
                self.pages.push(Page { at, query, values, keys: None, count: 0, left: 0 });
                Ok(())
            }
            Query::Scan { after, limit, .. } => {
                let after = after.as_ref().map(|key| JsValue::from(codec::key(key)));
                self.page(at, query, after, FIRST_PAGE, limit.unwrap_or(usize::MAX))
            }
        }
    }

    /// Reads page by page where it is known how to go on: after a store's own key, or after an entry of the index by entity,
    /// which every operation's row carries as a member. The other indexes lead to few rows, or are asked with a limit.
    fn page(
        &mut self,
        at: Option<usize>,
        query: &'a Query,
        after: Option<JsValue>,
        page: u32,
        left: usize,
    ) -> Result<(), Failure> {
        let Query::Scan { store, index, prefix, .. } = query else { return Ok(()) };
        if left == 0 {
            return Ok(());
        }
        let wanted = u32::try_from(left).unwrap_or(u32::MAX);
        let count = if in_pages(*index) { page.min(wanted) } else { wanted };
        let range = codec::range(prefix, after.as_ref())?;
        let store = self.running.store(store)?;
        let index = index.map(|index| store.index(index).map(|it| (it, index == "entity")));
        let (values, keys) = match index.transpose()? {
            Some((index, true)) => (index.get_all_with_key_and_limit(&range, count), None),
            Some((index, false)) => (
                index.get_all_with_key_and_limit(&range, count),
                Some(index.get_all_keys_with_key_and_limit(&range, count)),
            ),
            None => (
                store.get_all_with_key_and_limit(&range, count),
                Some(store.get_all_keys_with_key_and_limit(&range, count)),
            ),
        };
        let values = self.running.ask(values)?;
        let keys = keys.map(|keys| self.running.ask(keys)).transpose()?;
        self.pages.push(Page { at, query, values, keys, count, left });
        Ok(())
    }

    /// Takes the answers of all requests, and issues those for the pages that follow.
    fn take(&mut self) -> Result<(), Failure> {
        for page in std::mem::take(&mut self.pages) {
            let value = page.values.result()?;
            match page.query {
                Query::Get { key, .. } => {
                    if !value.is_undefined() {
                        let key = codec::printable(&codec::key(key));
                        self.add(page.at, RowText { key, text: codec::text(&value) });
                    }
                }
                Query::Scan { index, .. } => {
                    let values: Array = value.unchecked_into();
                    let keys = page.keys.map(|keys| keys.result()).transpose()?;
                    let keys = keys.map(JsValue::unchecked_into::<Array>);
                    let (last, text) = self.rows(page.at, &values, keys.as_ref());
                    if in_pages(*index) && values.length() >= page.count {
                        let left = page.left.saturating_sub(values.length() as usize);
                        self.page(page.at, page.query, last, next_page(text, page.count), left)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the rows of a page; the last key of it, and how much text there was.
    fn rows(
        &mut self,
        at: Option<usize>,
        values: &Array,
        keys: Option<&Array>,
    ) -> (Option<JsValue>, usize) {
        let (mut last, mut text) = (None, 0);
        for (nth, value) in values.iter().enumerate() {
            let key = keys.map(|keys| keys.get(u32::try_from(nth).unwrap_or(u32::MAX)));
            let row = match &key {
                Some(key) => RowText { key: codec::printable(key), text: codec::text(&value) },
                None => codec::outbox_row(&value),
            };
            text += row.text.len();
            match at {
                Some(_) => self.add(at, row),
                None => self.add_to_queue(&value, row),
            }
            last = key.or_else(|| codec::entity(&value).map(JsValue::from));
        }
        (last, text)
    }

    fn add(&mut self, at: Option<usize>, row: RowText) {
        if let Some(answer) = at.and_then(|at| self.answers.get_mut(at)) {
            answer.push(row);
        }
    }

    fn add_to_queue(&mut self, value: &JsValue, row: RowText) {
        if let (Some(key), Some(queues)) = (codec::record_key(value), &mut self.queues) {
            queues.or_default(key).push(row);
        }
    }

    fn end(mut self) -> Vec<Vec<RowText>> {
        if let Some(queues) = &mut self.queues {
            for (query, answer) in self.queries.iter().zip(&mut self.answers) {
                if let Some(rows) = queue(query).and_then(|key| queues.get(key)) {
                    answer.clone_from(rows);
                }
            }
        }
        self.answers
    }
}

fn in_pages(index: Option<&str>) -> bool {
    index.is_none_or(|index| index == "entity")
}

fn next_page(text: usize, count: u32) -> u32 {
    let each = (text / (count as usize).max(1)).max(1);
    let fits = u32::try_from(PAGE_TEXT / each).unwrap_or(LARGEST_PAGE);
    fits.clamp(1, LARGEST_PAGE)
}
