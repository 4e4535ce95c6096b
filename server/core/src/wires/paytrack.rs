//! PayTrack (WIRES 5): a batch of operations by uuid and version, then a pull behind an opaque cursor.

use serde::Serialize;
use serde_json::value::RawValue;

use super::book::{Book, Draft, Known, Replay, is_id};
use super::digest::{Padding, base64, from_base64};
use super::shape::{Entity, Kind, may, must};
use super::{
    Access, Answer, Call, Method, code, device, envelope, expired, list, malformed, status, time,
};
use crate::document::Document;
use crate::object::{Object, merge};
use crate::problem::{Problem, ProblemKind};
use crate::store::{Feed, Record, Scan, StorageError, Tx};
use crate::verdict::internal;
use crate::wire::{Key, Outcome};

const OPERATIONS: usize = 100;
const POSITIVE: Kind = Kind::WholeFrom(1.0, "must be greater than 0");
const METHODS: &[&str] = &["cash", "bank", "mobile"];

const ENTITIES: &[Entity] = &[
    Entity {
        name: "suppliers",
        fields: &[must("name", Kind::Name), may("phone", Kind::Text), may("village", Kind::Text)],
        unique: &[],
        links: &[],
    },
    Entity {
        name: "products",
        fields: &[must("name", Kind::Name), must("unit", Kind::Text)],
        unique: &[],
        links: &[],
    },
    Entity {
        name: "rates",
        fields: &[
            must("product_uuid", Kind::Link),
            must("price_cents", Kind::Whole),
            must("valid_from", Kind::Date),
        ],
        unique: &[],
        links: &[("product_uuid", "products")],
    },
    Entity {
        name: "collections",
        fields: &[
            must("supplier_uuid", Kind::Link),
            must("product_uuid", Kind::Link),
            must("quantity_milli", POSITIVE),
            must("collected_at", Kind::Instant),
        ],
        unique: &[],
        links: &[("supplier_uuid", "suppliers"), ("product_uuid", "products")],
    },
    Entity {
        name: "payments",
        fields: &[
            must("supplier_uuid", Kind::Link),
            must("amount_cents", POSITIVE),
            must("method", Kind::Choice(METHODS)),
            must("paid_at", Kind::Instant),
            may("note", Kind::Text),
        ],
        unique: &[],
        links: &[("supplier_uuid", "suppliers")],
    },
];

#[derive(Debug)]
pub(super) enum Request {
    Push { device: String, operations: Vec<Operation> },
    Pull { cursor: Option<String>, limit: usize },
}

/// One entry of a push: its number, and the rest, which may be wrong.
#[derive(Debug)]
pub(super) struct Operation {
    id: i64,
    members: Object,
}

pub(super) fn methods(path: &str) -> Option<&'static [Method]> {
    match path {
        "/api/sync/push" => Some(&[Method::Post]),
        "/api/sync/pull" => Some(&[Method::Get]),
        _ => None,
    }
}

pub(super) fn read(call: &Call<'_>) -> Result<Request, Problem> {
    if call.method == Method::Get {
        let limit = call.number("limit", 1, 500)?.unwrap_or(100);
        return Ok(Request::Pull { cursor: call.parameter("cursor").map(str::to_owned), limit });
    }
    let body = envelope(call.body)?;
    let device = device(&body, "device_id")?;
    let list = list(&body, "operations")?;
    if list.len() > OPERATIONS {
        let detail = format!("At most {OPERATIONS} operations");
        return Err(Problem::new(ProblemKind::TooLarge, detail));
    }
    let mut operations: Vec<Operation> = Vec::with_capacity(list.len());
    for raw in list {
        let members = Object::of(&raw);
        // Without its number an operation could not be answered.
        let id = members.read::<i64>("id").filter(|id| operations.iter().all(|o| o.id != *id));
        let id = id.ok_or_else(|| malformed("id must be a number of its own in each operation"))?;
        operations.push(Operation { id, members });
    }
    Ok(Request::Push { device, operations })
}

pub(super) fn refusal(problem: &Problem) -> Answer {
    #[derive(Serialize)]
    struct Body<'a> {
        success: bool,
        error: Error<'a>,
    }
    #[derive(Serialize)]
    struct Error<'a> {
        code: &'a str,
        message: &'a str,
    }
    let error = Error { code: code(problem.kind), message: &problem.detail };
    Answer::json(status(problem.kind), &Body { success: false, error })
}

#[derive(Serialize)]
struct Pushed {
    success: bool,
    results: Vec<Entry>,
    server_time: String,
}

/// One verdict. Members that its status does not have are left out.
#[derive(Serialize)]
struct Entry {
    id: i64,
    entity_uuid: Option<String>,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Verdict {
    Success {
        status: &'static str,
        version: u64,
        updated_at: String,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        duplicate: bool,
    },
    #[serde(rename_all = "camelCase")]
    Conflict {
        status: &'static str,
        conflict: bool,
        client_version: u64,
        server_version: u64,
        server_deleted: bool,
        server_data: Option<Document>,
    },
    Error {
        status: &'static str,
        error_code: &'static str,
        error_message: String,
        retryable: bool,
    },
}

fn success(version: u64, stamp: u64, duplicate: bool) -> Verdict {
    let updated_at = time::iso(stamp);
    Verdict::Success { status: "success", version, updated_at, duplicate }
}

fn error(error_code: &'static str, message: impl Into<String>) -> Verdict {
    Verdict::Error { status: "error", error_code, error_message: message.into(), retryable: false }
}

/// An operation whose parts have the right types.
struct Sound<'a> {
    entity: &'static Entity,
    key: Key,
    action: Action,
    version: u64,
    payload: &'a RawValue,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Update,
    Delete,
}

impl Action {
    fn of(word: &str) -> Option<Self> {
        match word {
            "create" => Some(Self::Create),
            "update" => Some(Self::Update),
            "delete" => Some(Self::Delete),
            _ => None,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl Operation {
    fn sound(&self) -> Result<Sound<'_>, Verdict> {
        let wrong = |says: &str| error("validation_failed", says);
        let kind = self.members.read::<String>("entity_type").unwrap_or_default();
        let entity = ENTITIES.iter().find(|entity| entity.name == kind);
        let entity = entity.ok_or_else(|| wrong("entity_type is not one of the known"))?;
        let uuid = self.members.read::<String>("entity_uuid").filter(|uuid| is_id(uuid));
        let uuid = uuid.ok_or_else(|| wrong("entity_uuid is not acceptable"))?;
        let action = self.members.read::<String>("operation").and_then(|w| Action::of(&w));
        let action = action.ok_or_else(|| wrong("operation is not create, update or delete"))?;
        let version = self.members.read("version");
        let version = version.ok_or_else(|| wrong("version must be a whole number"))?;
        let payload = self.members.get("payload").filter(|p| crate::object::is_object(p));
        let payload = match (action, payload) {
            (Action::Create | Action::Update, None) => return Err(wrong("payload is required")),
            (Action::Delete, _) => RawValue::NULL,
            (Action::Create | Action::Update, Some(payload)) => payload,
        };
        Ok(Sound { entity, key: Key::new(entity.name, &uuid), action, version, payload })
    }
}

impl Request {
    pub(super) fn access(&self) -> Access {
        match self {
            Self::Push { .. } => Access::Write,
            Self::Pull { .. } => Access::Read,
        }
    }

    pub(super) fn answer<T: Tx>(&self, book: &mut Book<'_, T>) -> Result<Answer, Problem> {
        match self {
            Self::Push { device, operations } => push(book, device, operations).map_err(internal),
            Self::Pull { cursor, limit } => pull(book, cursor.as_deref(), *limit),
        }
    }
}

fn push<T: Tx>(
    book: &mut Book<'_, T>,
    device: &str,
    operations: &[Operation],
) -> Result<Answer, StorageError> {
    let mut results = Vec::with_capacity(operations.len());
    for operation in operations {
        let verdict = match operation.sound() {
            Ok(sound) => judge(book, device, &sound)?,
            Err(verdict) => verdict,
        };
        let entity_uuid = operation.members.read("entity_uuid");
        results.push(Entry { id: operation.id, entity_uuid, verdict });
    }
    let server_time = time::iso(book.now_ms);
    Ok(Answer::json(200, &Pushed { success: true, results, server_time }))
}

fn judge<T: Tx>(
    book: &mut Book<'_, T>,
    device: &str,
    operation: &Sound<'_>,
) -> Result<Verdict, StorageError> {
    let Key { collection, id } = &operation.key;
    let base = operation.version.to_string();
    let parts = [collection.as_str(), id, device, operation.action.word(), &base];
    let text = match book.canonical(operation.payload) {
        Ok(text) => text,
        Err(wrong) => return Ok(error("validation_failed", wrong.sentence())),
    };
    let replay = Replay::new(parts, &text);
    if let Known::Before(outcome) = book.known(&replay)? {
        return Ok(success(outcome.version.unwrap_or(0), outcome.at.unwrap_or(0), true));
    }
    let current = book.tx.record(&operation.key)?;
    let live = current.as_ref().and_then(|record| record.document.as_ref());
    let document = match (operation.action, &current) {
        (Action::Create, None) => Some(merge(None, operation.payload)),
        (Action::Update | Action::Delete, None) => return Ok(error("not_found", "unknown entity")),
        (Action::Delete, Some(record)) if live.is_none() => {
            return Ok(success(record.version, record.stored_at, false));
        }
        (_, Some(record)) if record.version != operation.version => {
            return Ok(conflict(operation, record));
        }
        (Action::Delete, Some(_)) => None,
        // What was deleted on the very version that is named is brought back: that is how a conflict is won.
        (Action::Create | Action::Update, Some(_)) => {
            let before = match operation.action {
                Action::Update => live.map(Document::raw),
                Action::Create | Action::Delete => None,
            };
            Some(merge(before, operation.payload))
        }
    };
    let document = document.map(Document::of);
    if let Some(document) = &document
        && let Some(refusal) = refused(book, operation.entity, document)?
    {
        return Ok(refusal);
    }
    let stamp = book.stamp(current.as_ref())?;
    let version = current.as_ref().map_or(0, |record| record.version) + 1;
    book.put(Draft {
        key: &operation.key,
        version,
        document,
        op_id: &replay.name,
        stamp,
        part: String::new(),
        meta: None,
    })?;
    let outcome = Outcome { at: Some(stamp), ..Outcome::applied(&replay.name, version) };
    book.keep(&replay, outcome)?;
    Ok(success(version, stamp, false))
}

fn conflict(operation: &Sound<'_>, record: &Record) -> Verdict {
    Verdict::Conflict {
        status: "conflict",
        conflict: true,
        client_version: operation.version,
        server_version: record.version,
        server_deleted: record.document.is_none(),
        server_data: record.document.clone(),
    }
}

fn refused<T: Tx>(
    book: &Book<'_, T>,
    entity: &'static Entity,
    document: &Document,
) -> Result<Option<Verdict>, StorageError> {
    if let Err(wrong) = book.check(entity, document) {
        return Ok(Some(error("validation_failed", wrong.sentence())));
    }
    for (field, collection) in entity.links {
        let Some(uuid) = document.object().read::<String>(field) else { continue };
        if !book.is_known(collection, &uuid)? {
            return Ok(Some(error(
                "foreign_key",
                format!("{field} names nothing in {collection}"),
            )));
        }
    }
    Ok(None)
}

#[derive(Serialize)]
struct Pulled {
    success: bool,
    changes: Vec<Change>,
    next_cursor: String,
    has_more: bool,
    server_time: String,
}

#[derive(Serialize)]
struct Change {
    entity_type: String,
    entity_uuid: String,
    version: u64,
    deleted: bool,
    updated_at: String,
    data: Option<Document>,
}

/// A place in the feed: after which change, and of which first pull, which leaves out the records
/// that were deleted before it began. `v1:1044`, or `v1:1044:2000`, with `:<epoch>` behind it.
struct Place {
    after: u64,
    first_until: u64,
}

impl Place {
    fn parse(text: &str, feed: &Feed) -> Option<Self> {
        let bytes = from_base64(&text.replace('-', "+").replace('_', "/"))?;
        let text = String::from_utf8(bytes).ok()?;
        let (place, epoch) = text.strip_prefix("v1:")?.split_once('@')?;
        let (after, first_until) = place.split_once(':').unwrap_or((place, "0"));
        let place = Self { after: after.parse().ok()?, first_until: first_until.parse().ok()? };
        let reach = place.after.max(place.first_until);
        (epoch == feed.epoch && reach <= feed.last && reach >= feed.horizon).then_some(place)
    }

    fn print(&self, feed: &Feed) -> String {
        let text = if self.first_until > self.after {
            format!("v1:{}:{}@{}", self.after, self.first_until, feed.epoch)
        } else {
            format!("v1:{}@{}", self.after, feed.epoch)
        };
        base64(text.as_bytes(), Padding::None).replace('+', "-").replace('/', "_")
    }
}

fn pull<T: Tx>(book: &Book<'_, T>, cursor: Option<&str>, limit: usize) -> Result<Answer, Problem> {
    let feed = book.tx.feed().map_err(internal)?;
    let mut place = match cursor {
        None => Place { after: 0, first_until: feed.last },
        Some(text) => {
            Place::parse(text, &feed).ok_or_else(|| expired("Pull again without a cursor"))?
        }
    };
    let live_until = place.first_until;
    let scan = Scan { after: place.after, live_until, limit: limit + 1, ..Scan::all() };
    let rows = book.tx.scan(&scan).map_err(internal)?;
    let (rows, has_more) = super::page(rows, limit, book.limits());
    place.after = if has_more { rows.last().map_or(place.after, |row| row.0) } else { feed.last };
    let changes = rows.into_iter().map(|(_, key, record)| Change {
        entity_type: key.collection,
        entity_uuid: key.id,
        version: record.version,
        deleted: record.document.is_none(),
        updated_at: time::iso(record.stored_at),
        data: record.document,
    });
    let pulled = Pulled {
        success: true,
        changes: changes.collect(),
        next_cursor: place.print(&feed),
        has_more,
        server_time: time::iso(book.now_ms),
    };
    Ok(Answer::json(200, &pulled))
}
