//! Queries, answered inside one transaction, a round at a time: all requests of a round are issued before any is awaited.

use js_sys::Array;
use wasm_bindgen::prelude::*;
use web_sys::IdbRequest;

use super::strict::Running;
use super::{Failure, codec};
use crate::layout::{Query, RowText, printable};

/// One page of a long scan: platforms limit what one answer may hold. A page of the first size fits with the largest documents.
const FIRST_PAGE: u32 = 256;
const LARGEST_PAGE: u32 = 8_192;
/// Characters that a page should hold.
const PAGE_TEXT: usize = 8 * 1024 * 1024;

/// The rows that queries find, in their order.
pub(super) async fn round(
    running: &Running,
    queries: &[Query],
) -> Result<Vec<Vec<RowText>>, Failure> {
    let mut round =
        Round { running, answers: queries.iter().map(|_| Vec::new()).collect(), pages: Vec::new() };
    for (at, query) in queries.iter().enumerate() {
        round.first(at, query)?;
    }
    while !round.pages.is_empty() {
        running.answered().await?;
        round.take()?;
    }
    Ok(round.answers)
}

struct Round<'a> {
    running: &'a Running,
    answers: Vec<Vec<RowText>>,
    pages: Vec<Page<'a>>,
}

/// Requests on their way.
struct Page<'a> {
    /// Which answer they are a part of.
    at: usize,
    query: &'a Query,
    values: Option<IdbRequest>,
    keys: Option<IdbRequest>,
    count: u32,
    left: usize,
}

impl<'a> Round<'a> {
    fn first(&mut self, at: usize, query: &'a Query) -> Result<(), Failure> {
        match query {
            Query::Get { store, key } => {
                let value = self.running.ask(self.running.store(store)?.get(&codec::key(key)))?;
                self.pages.push(Page {
                    at,
                    query,
                    values: Some(value),
                    keys: None,
                    count: 0,
                    left: 0,
                });
                Ok(())
            }
            Query::Count { store, index, from, to } => {
                let range = codec::between(from, to)?;
                let store = self.running.store(store)?;
                let count = match index {
                    Some(index) => store.index(index)?.count_with_key(&range),
                    None => store.count_with_key(&range),
                };
                let count = self.running.ask(count)?;
                self.pages.push(Page {
                    at,
                    query,
                    values: Some(count),
                    keys: None,
                    count: 0,
                    left: 0,
                });
                Ok(())
            }
            Query::Keys { store, after } => {
                let range = codec::after(after.as_ref())?;
                let store = self.running.store(store)?;
                let keys = self.running.ask(store.get_all_keys_with_key(&range))?;
                self.pages.push(Page {
                    at,
                    query,
                    values: None,
                    keys: Some(keys),
                    count: 0,
                    left: 0,
                });
                Ok(())
            }
            Query::Scan { after, limit, .. } => {
                let after = after.as_ref().map(|key| JsValue::from(codec::key(key)));
                self.page(at, query, after, FIRST_PAGE, limit.unwrap_or(usize::MAX))
            }
        }
    }

    /// Reads page by page where it is known how to go on: after a store's own key. Indexes are asked with a limit.
    fn page(
        &mut self,
        at: usize,
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
        let count = if index.is_none() { page.min(wanted) } else { wanted };
        let range = codec::range(prefix, after.as_ref())?;
        let store = self.running.store(store)?;
        let (values, keys) = match index {
            Some(index) => (store.index(index)?.get_all_with_key_and_limit(&range, count), None),
            None => (
                store.get_all_with_key_and_limit(&range, count),
                Some(store.get_all_keys_with_key_and_limit(&range, count)),
            ),
        };
        let values = Some(self.running.ask(values)?);
        let keys = keys.map(|keys| self.running.ask(keys)).transpose()?;
        self.pages.push(Page { at, query, values, keys, count, left });
        Ok(())
    }

    /// Takes the answers of all requests, and issues those for the pages that follow.
    fn take(&mut self) -> Result<(), Failure> {
        for page in std::mem::take(&mut self.pages) {
            let list = |request: Option<IdbRequest>| match request {
                Some(request) => request.result().map(JsValue::unchecked_into::<Array>),
                None => Ok(Array::new()),
            };
            match page.query {
                Query::Get { key, .. } => {
                    let value = page.values.map(|values| values.result()).transpose()?;
                    if let Some(value) = value.filter(|value| !value.is_undefined()) {
                        self.add(
                            page.at,
                            RowText { key: printable(key), text: codec::text(&value) },
                        );
                    }
                }
                Query::Count { .. } => {
                    let count = page.values.map(|values| values.result()).transpose()?;
                    let count = count.and_then(|count| count.as_f64()).unwrap_or(f64::MAX);
                    let key = (count as u64).to_string();
                    self.add(page.at, RowText { key, text: String::new() });
                }
                Query::Keys { .. } => {
                    for key in list(page.keys)?.iter() {
                        self.add(
                            page.at,
                            RowText { key: codec::printable(&key), text: String::new() },
                        );
                    }
                }
                Query::Scan { index, .. } => {
                    let values = list(page.values)?;
                    let keys = page.keys.map(|keys| list(Some(keys))).transpose()?;
                    let (mut text, mut last) = (0, None);
                    for (nth, value) in values.iter().enumerate() {
                        let key = match &keys {
                            Some(keys) => keys.get(u32::try_from(nth).unwrap_or(u32::MAX)),
                            None => codec::own_key(&value),
                        };
                        let row =
                            RowText { key: codec::printable(&key), text: codec::text(&value) };
                        text += row.text.len();
                        self.add(page.at, row);
                        last = Some(key);
                    }
                    let count = values.length();
                    if index.is_none() && count >= page.count {
                        let left = page.left.saturating_sub(count as usize);
                        self.page(page.at, page.query, last, next_page(text, page.count), left)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, at: usize, row: RowText) {
        if let Some(answer) = self.answers.get_mut(at) {
            answer.push(row);
        }
    }
}

fn next_page(text: usize, count: u32) -> u32 {
    let each = (text / (count as usize).max(1)).max(1);
    let fits = u32::try_from(PAGE_TEXT / each).unwrap_or(LARGEST_PAGE);
    fits.clamp(1, LARGEST_PAGE)
}
