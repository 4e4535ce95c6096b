//! The change feed: pages in commit order behind an opaque cursor.

use crate::document::Document;
use crate::limits::Limits;
use crate::problem::{Problem, ProblemKind};
use crate::store::{Feed, Tx};
use crate::verdict::internal;
use crate::wire::{Change, PullAnswer};

/// What one change may weigh in a page beside its document: names, id and stamps.
const CHANGE_BYTES: usize = 1_024;

/// A pull: `GET {base}/pull?cursor=..&limit=..&scope=..`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullRequest {
    /// Where the last page ended; `None` for everything.
    pub cursor: Option<String>,
    /// The most changes wanted; the server may give fewer.
    pub limit: Option<usize>,
    /// Which part of the data: `all`, which is the default, or `<member>:<value>` for the records whose document has that
    /// text or number in that member (`building:42`), which must not change while the record lives.
    pub scope: Option<String>,
}

/// The records of a scope.
struct Part<'a> {
    member: &'a str,
    value: &'a str,
}

impl<'a> Part<'a> {
    /// Nothing for all of the data.
    fn parse(scope: Option<&'a str>) -> Result<Option<Self>, Problem> {
        let scope = match scope {
            None | Some("all") => return Ok(None),
            Some(scope) => scope,
        };
        match scope.split_once(':') {
            Some((member, value)) if !member.is_empty() => Ok(Some(Self { member, value })),
            Some(_) | None => {
                Err(Problem::new(ProblemKind::NotFound, "this server has no such scope"))
            }
        }
    }

    /// A deletion is told to everybody: nobody knows any more what it was of.
    fn has(&self, document: Option<&Document>) -> bool {
        let Some(document) = document else { return true };
        let is_text =
            |json: &str| serde_json::from_str::<String>(json).is_ok_and(|text| text == self.value);
        document.member(self.member).is_some_and(|json| json == self.value || is_text(&json))
    }
}

/// A position in the feed, printed as `<epoch>.<change>`, and `<epoch>.<change>.<start>` while a
/// first pull that began at change `start` has not yet reached it: tombstones older than its
/// start may be pruned under it without loss.
struct Position {
    change: u64,
    start: u64,
}

impl Position {
    fn parse(text: &str, feed: &Feed) -> Option<Self> {
        let mut parts = text.split('.');
        let epoch = parts.next()?;
        let change: u64 = parts.next()?.parse().ok()?;
        let start = match parts.next() {
            Some(start) => start.parse().ok()?,
            None => change,
        };
        let sound = parts.next().is_none()
            && epoch == feed.epoch
            && change.max(start) <= feed.last
            && change.max(start) >= feed.horizon;
        sound.then_some(Self { change, start })
    }

    fn print(&self, feed: &Feed) -> String {
        if self.change >= self.start {
            format!("{}.{}", feed.epoch, self.change)
        } else {
            format!("{}.{}.{}", feed.epoch, self.change, self.start)
        }
    }
}

/// Gives one page of the change feed.
///
/// Each record appears at most once, at its latest state, in the order of its last change
/// (commit order). With nothing new the cursor stays equal and `more` is false. `now_ms` is the
/// server's clock in ms since the epoch.
///
/// # Errors
/// `cursor-expired` for a cursor of another epoch, beyond the feed, unreadable, or older than the
/// tombstones kept; `invalid` for a limit of 0; `not-found` for what cannot be a scope; `internal` if
/// the store fails.
pub fn pull<T: Tx>(
    tx: &T,
    request: &PullRequest,
    limits: &Limits,
    now_ms: u64,
) -> Result<PullAnswer, Problem> {
    if request.limit == Some(0) {
        return Err(Problem::new(ProblemKind::Invalid, "the limit must be at least 1"));
    }
    let part = Part::parse(request.scope.as_deref())?;
    let feed = tx.feed().map_err(internal)?;
    let mut position = match &request.cursor {
        None => Position { change: 0, start: feed.last },
        Some(cursor) => Position::parse(cursor, &feed).ok_or_else(|| {
            Problem::new(ProblemKind::CursorExpired, "pull again without a cursor")
        })?,
    };
    let limit = request.limit.unwrap_or(limits.page).min(limits.page);
    let rows = tx.changes_after(position.change, limit + 1).map_err(internal)?;
    let mut more = rows.len() > limit;
    let mut changes = Vec::new();
    let mut bytes = CHANGE_BYTES;
    for (number, key, record) in rows.into_iter().take(limit) {
        if part.as_ref().is_some_and(|part| !part.has(record.document.as_ref())) {
            position.change = number;
            continue;
        }
        bytes += CHANGE_BYTES + record.document.as_ref().map_or(0, |d| d.as_str().len());
        if bytes > limits.answer_bytes && !changes.is_empty() {
            more = true;
            break;
        }
        position.change = number;
        changes.push(Change {
            collection: key.collection,
            id: key.id,
            version: record.version,
            document: record.document,
            op_id: record.op_id,
            at: record.at,
        });
    }
    if !more {
        position.change = feed.last;
    }
    let cursor = position.print(&feed);
    Ok(PullAnswer::new(changes, cursor, more, feed.epoch, now_ms))
}
