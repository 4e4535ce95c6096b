//! AuraConnect (WIRES 1): records by type, with the server's last stamp as their version.

use serde::Serialize;

use super::book::{Book, Draft, Known, Replay, is_id};
use super::shape::{Entity, Kind, Wrong, may, must};
use super::{
    Access, Answer, Call, Method, ROW_BYTES, code, device, envelope, expired, malformed, status,
    time,
};
use crate::document::Document;
use crate::object::{Object, is_object};
use crate::problem::{Problem, ProblemKind};
use crate::store::{Record, Scan, StorageError, Tx};
use crate::verdict::internal;
use crate::wire::{Key, Outcome};

const RECORDS: usize = 100;
const METADATA: &[&str] =
    &["localId", "serverId", "lastModified", "serverModified", "syncStatus", "isDeleted"];
const STATES: &[&str] = &["pending", "preparing", "ready", "completed", "cancelled"];
const NOT_NEGATIVE: Kind = Kind::NumberFrom(0.0, "must not be negative");

/// In the order in which they are handled: what is referred to comes before what refers to it.
pub(super) const ENTITIES: &[Entity] = &[
    Entity {
        name: "customers",
        fields: &[
            must("name", Kind::Name),
            may("phone", Kind::Text),
            may("email", Kind::Text),
            may("preferences", Kind::Map),
            may("tags", Kind::List),
        ],
        unique: &["phone"],
        links: &[],
    },
    Entity {
        name: "staff",
        fields: &[
            must("name", Kind::Name),
            must("role", Kind::Text),
            must("clockedIn", Kind::Flag),
            may("shifts", Kind::Items(&[must("start", Kind::Instant), may("end", Kind::Instant)])),
        ],
        unique: &[],
        links: &[],
    },
    Entity {
        name: "menuItems",
        fields: &[
            must("name", Kind::Name),
            must("price", Kind::Number),
            must("available", Kind::Flag),
            may("modifiers", Kind::List),
            may("categories", Kind::List),
        ],
        unique: &[],
        links: &[],
    },
    Entity {
        name: "inventory",
        fields: &[
            must("sku", Kind::Name),
            must("name", Kind::Name),
            must("stockLevel", Kind::Number),
            must("unit", Kind::Text),
        ],
        unique: &[],
        links: &[],
    },
    Entity {
        name: "orders",
        fields: &[
            must("orderNumber", Kind::Name),
            may("customerId", Kind::Link),
            must(
                "items",
                Kind::Items(&[
                    must("menuItemId", Kind::Link),
                    must("name", Kind::Text),
                    must("quantity", Kind::Number),
                    must("unitPrice", Kind::Number),
                ]),
            ),
            must("status", Kind::Choice(STATES)),
            must("totalAmount", NOT_NEGATIVE),
            may("notes", Kind::Text),
            may("tags", Kind::List),
            must("createdAt", Kind::Instant),
            must("updatedAt", Kind::Instant),
        ],
        unique: &["orderNumber"],
        links: &[("customerId", "customers")],
    },
];

/// What the ids of a type begin with.
const fn prefix(entity: &Entity) -> &'static str {
    match entity.name.as_bytes() {
        b"customers" => "cus_",
        b"staff" => "stf_",
        b"menuItems" => "itm_",
        b"inventory" => "inv_",
        _ => "ord_",
    }
}

#[derive(Debug)]
pub(super) enum Request {
    Push { device: String, types: Vec<(String, Vec<Object>)> },
    Pull { since: Option<u64>, limit: usize },
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
        let limit = call.number("limit", 1, 1_000)?.unwrap_or(500);
        let since = call
            .parameter("since")
            .map(|text| time::parse(text).ok_or_else(|| malformed("since is not an instant")));
        return Ok(Request::Pull { since: since.transpose()?, limit });
    }
    let body = envelope(call.body)?;
    let device = device(&body, "deviceId")?;
    let changes = body.get("changes").filter(|changes| is_object(changes));
    let changes = changes.ok_or_else(|| malformed("changes is missing"))?;
    let (mut types, mut count) = (Vec::new(), 0);
    for (name, list) in Object::of(changes).0 {
        let records: Vec<Object> = serde_json::from_str(list.get())
            .map_err(|_| malformed("changes must hold lists of records"))?;
        // Without an id a record could not be answered.
        if records.iter().any(|record| record.read::<String>("localId").is_none()) {
            return Err(malformed("localId is missing in a record"));
        }
        count += records.len();
        types.push((name, records));
    }
    if count > RECORDS {
        return Err(Problem::new(ProblemKind::TooLarge, format!("At most {RECORDS} records")));
    }
    Ok(Request::Push { device, types })
}

pub(super) fn refusal(problem: &Problem) -> Answer {
    #[derive(Serialize)]
    struct Body<'a> {
        error: Error<'a>,
    }
    #[derive(Serialize)]
    struct Error<'a> {
        code: &'a str,
        message: &'a str,
    }
    let error = Error { code: code(problem.kind), message: &problem.detail };
    Answer::json(status(problem.kind), &Body { error })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    local_id: String,
    server_id: Option<String>,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Verdict {
    Success {
        status: &'static str,
        last_modified: String,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        duplicate: bool,
    },
    Conflict {
        status: &'static str,
        conflict_type: &'static str,
        server_record: Object,
    },
    Failed {
        status: &'static str,
        error: Failure,
    },
}

#[derive(Serialize)]
struct Failure {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    retryable: bool,
}

fn success(stamp: u64, duplicate: bool) -> Verdict {
    Verdict::Success { status: "success", last_modified: time::iso(stamp), duplicate }
}

fn failed(code: &'static str, message: impl Into<String>, field: Option<String>) -> Verdict {
    let error = Failure { code, message: message.into(), field, retryable: false };
    Verdict::Failed { status: "failed", error }
}

fn invalid(wrong: &Wrong) -> Verdict {
    failed("validation_failed", wrong.sentence(), Some(wrong.field.clone().into_owned()))
}

/// A record as the wire shows it: its metadata, then its document.
fn row(key: &Key, record: &Record) -> Object {
    let local = record.meta.as_ref().and_then(|meta| meta.object().read::<String>("localId"));
    let metadata = Object::default()
        .with("localId", &local)
        .with("serverId", &key.id)
        .with("lastModified", &time::iso(record.stored_at))
        .with("syncStatus", "synced")
        .with("isDeleted", &record.document.is_none());
    metadata.and(record.document.as_ref().map(Document::object).unwrap_or_default())
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
            Self::Push { device, types } => push(book, device, types).map_err(internal),
            Self::Pull { since, limit } => pull(book, *since, *limit),
        }
    }
}

fn push<T: Tx>(
    book: &mut Book<'_, T>,
    device: &str,
    types: &[(String, Vec<Object>)],
) -> Result<Answer, StorageError> {
    let mut results = Object::default();
    for entity in ENTITIES {
        for (_, records) in types.iter().filter(|(name, _)| name == entity.name) {
            let mut entries = Vec::with_capacity(records.len());
            for record in records {
                entries.push(judge(book, device, &Pushed::of(entity, record))?);
            }
            results = results.with(entity.name, &entries);
        }
    }
    let unknown = types.iter().filter(|(name, _)| ENTITIES.iter().all(|e| e.name != name));
    for (name, records) in unknown {
        let entry = |record: &Object| Entry {
            local_id: record.read("localId").unwrap_or_default(),
            server_id: record.read("serverId"),
            verdict: failed("validation_failed", "this type is not known", None),
        };
        results = results.with(name, &records.iter().map(entry).collect::<Vec<_>>());
    }
    let body =
        Object::default().with("results", &results).with("timestamp", &time::iso(book.now_ms));
    Ok(Answer::json(200, &body))
}

/// A pushed record, its metadata read.
struct Pushed<'a> {
    entity: &'static Entity,
    members: &'a Object,
    local_id: String,
    server_id: Option<String>,
    base: Option<String>,
    deleted: bool,
}

impl<'a> Pushed<'a> {
    fn of(entity: &'static Entity, members: &'a Object) -> Self {
        Self {
            entity,
            members,
            local_id: members.read("localId").unwrap_or_default(),
            server_id: members.read("serverId"),
            base: members.read("serverModified"),
            deleted: members.read("isDeleted").unwrap_or(false),
        }
    }

    fn document(&self) -> Object {
        self.members.clone().keep(|name| !METADATA.contains(&name))
    }

    /// Another record, or another state of it, is in the way.
    fn conflict(&self, key: &Key, record: &Record, conflict_type: &'static str) -> Entry {
        let server_record = row(key, record);
        let verdict = Verdict::Conflict { status: "conflict", conflict_type, server_record };
        self.entry(Some(key.id.clone()), verdict)
    }

    fn entry(&self, server_id: Option<String>, verdict: Verdict) -> Entry {
        Entry { local_id: self.local_id.clone(), server_id, verdict }
    }

    /// The rule R of this wire: `serverModified` is the version.
    fn replay(&self, device: &str, payload: &str) -> Replay {
        let record = self.server_id.clone().unwrap_or_else(|| format!("~{}", self.local_id));
        let (action, payload) = match (self.deleted, &self.base) {
            (true, _) => ("delete", ""),
            (false, None) => ("create", payload),
            (false, Some(_)) => ("update", payload),
        };
        let base = self.base.as_deref().unwrap_or_default();
        Replay::new([self.entity.name, &record, device, action, base], payload)
    }
}

fn judge<T: Tx>(
    book: &mut Book<'_, T>,
    device: &str,
    pushed: &Pushed<'_>,
) -> Result<Entry, StorageError> {
    let own = pushed.server_id.clone();
    let ids = [Some(&pushed.local_id), pushed.server_id.as_ref()];
    if ids.into_iter().flatten().any(|id| !is_id(id)) {
        let field = Some("localId".to_owned());
        let verdict = failed("validation_failed", "the id is not acceptable", field);
        return Ok(pushed.entry(own, verdict));
    }
    if pushed.base.as_deref().is_some_and(|base| time::parse(base).is_none()) {
        let wrong = Wrong { field: "serverModified".into(), says: "must be an instant" };
        return Ok(pushed.entry(own, invalid(&wrong)));
    }
    let document = pushed.document();
    let payload = match book.canonical(&document.clone().into_raw()) {
        Ok(payload) => payload,
        Err(wrong) => return Ok(pushed.entry(own, invalid(&wrong))),
    };
    let replay = pushed.replay(device, &payload);
    if let Known::Before(outcome) = book.known(&replay)? {
        let verdict = success(outcome.at.unwrap_or(0), true);
        return Ok(pushed.entry(outcome.server_id, verdict));
    }
    let id = match &pushed.server_id {
        Some(id) => Some(id.clone()),
        None => book.by_own_id(pushed.entity.name, &pushed.local_id)?,
    };
    let key = id.map(|id| Key::new(pushed.entity.name, &id));
    let current = match &key {
        Some(key) => book.tx.record(key)?.map(|record| (key.clone(), record)),
        None => None,
    };
    match current {
        Some((key, record)) => meet(book, pushed, &replay, document, key, &record),
        None if pushed.deleted && pushed.server_id.is_none() => {
            Ok(pushed.entry(None, success(book.now_ms, false)))
        }
        None if pushed.server_id.is_some() || pushed.deleted || pushed.base.is_some() => {
            Ok(pushed.entry(own, failed("not_found", "no such record", None)))
        }
        None => create(book, pushed, &replay, document),
    }
}

/// The record is known: its stamp decides.
fn meet<T: Tx>(
    book: &mut Book<'_, T>,
    pushed: &Pushed<'_>,
    replay: &Replay,
    document: Object,
    key: Key,
    record: &Record,
) -> Result<Entry, StorageError> {
    let live = record.document.is_some();
    if pushed.deleted && !live {
        return Ok(pushed.entry(Some(key.id), success(record.stored_at, false)));
    }
    let base = pushed.base.as_deref().and_then(time::parse);
    if base != Some(record.stored_at) {
        let kind = match (pushed.deleted, live, base) {
            (true, _, _) => "delete-update",
            (false, false, _) => "update-delete",
            // Somebody else's create under the same id, as a copied device makes it.
            (false, true, None) => "create-create",
            (false, true, Some(_)) => "update-update",
        };
        return Ok(pushed.conflict(&key, record, kind));
    }
    if pushed.deleted {
        return store(book, pushed, replay, None, key, Some(record));
    }
    match accept(book, pushed, Some(&key.id), document)? {
        Ok(document) => store(book, pushed, replay, Some(document), key, Some(record)),
        Err(entry) => Ok(entry),
    }
}

fn create<T: Tx>(
    book: &mut Book<'_, T>,
    pushed: &Pushed<'_>,
    replay: &Replay,
    document: Object,
) -> Result<Entry, StorageError> {
    let document = match accept(book, pushed, None, document)? {
        Ok(document) => document,
        Err(entry) => return Ok(entry),
    };
    let number = book.next(pushed.entity.name)?;
    let key = Key::new(pushed.entity.name, &format!("{}{number}", prefix(pushed.entity)));
    book.keep_own_id(&key, &pushed.local_id)?;
    store(book, pushed, replay, Some(document), key, None)
}

/// The document as it is to be stored, or the entry that says why it is not.
fn accept<T: Tx>(
    book: &Book<'_, T>,
    pushed: &Pushed<'_>,
    own: Option<&str>,
    mut document: Object,
) -> Result<Result<Document, Entry>, StorageError> {
    let refuse = |verdict| Ok(Err(pushed.entry(pushed.server_id.clone(), verdict)));
    for (field, collection) in pushed.entity.links {
        let Some(named) = document.read::<String>(field) else { continue };
        let id = match book.by_own_id(collection, &named)? {
            Some(id) => id,
            None if book.is_known(collection, &named)? => named,
            None => {
                let message = format!("{field} names no {}", collection.trim_end_matches('s'));
                return refuse(failed("unknown_reference", message, Some((*field).to_owned())));
            }
        };
        document.set(field, serde_json::value::to_raw_value(&id).unwrap_or_default());
    }
    if let Some((_, id)) = book.holder(pushed.entity, own, &document)? {
        let key = Key::new(pushed.entity.name, &id);
        if let Some(record) = book.tx.record(&key)? {
            return Ok(Err(pushed.conflict(&key, &record, "create-create")));
        }
    }
    let document = document.into_document();
    match book.check(pushed.entity, &document) {
        Ok(()) => Ok(Ok(document)),
        Err(wrong) => refuse(invalid(&wrong)),
    }
}

fn store<T: Tx>(
    book: &mut Book<'_, T>,
    pushed: &Pushed<'_>,
    replay: &Replay,
    document: Option<Document>,
    key: Key,
    current: Option<&Record>,
) -> Result<Entry, StorageError> {
    let old = current.and_then(|record| record.document.as_ref());
    book.hold(pushed.entity, &key.id, old, document.as_ref())?;
    let stamp = book.stamp(current)?;
    let meta = match current {
        Some(record) => record.meta.clone(),
        None => Some(Object::default().with("localId", &pushed.local_id).into_document()),
    };
    let version = current.map_or(0, |record| record.version) + 1;
    let op_id = &replay.name;
    book.put(Draft { key: &key, version, document, op_id, stamp, part: String::new(), meta })?;
    let outcome = Outcome {
        at: Some(stamp),
        server_id: Some(key.id.clone()),
        ..Outcome::applied(&replay.name, version)
    };
    book.keep(replay, outcome)?;
    Ok(pushed.entry(Some(key.id), success(stamp, false)))
}

fn pull<T: Tx>(book: &Book<'_, T>, since: Option<u64>, limit: usize) -> Result<Answer, Problem> {
    let feed = book.tx.feed().map_err(internal)?;
    let after = match since {
        None => 0,
        Some(since) => book.tx.change_at(since + 1).map_err(internal)?.saturating_sub(1),
    };
    if since.is_some_and(|since| since < feed.pruned_to) {
        return Err(expired("since is older than the tombstones that are kept"));
    }
    let live_until = if since.is_none() { feed.last } else { 0 };
    let all = Scan { after, live_until, ..Scan::all() };
    let (rows, more) = rows(book, all, limit, feed.pruned_to)?;
    let last = rows.last().map(|(_, _, record)| record.stored_at);
    let timestamp = match last.filter(|_| more) {
        Some(stamp) => stamp,
        None => book.now_ms.max(last.unwrap_or(0)),
    };
    let mut changes = Object::default();
    for entity in ENTITIES {
        let of_type = rows.iter().filter(|(_, key, _)| key.collection == entity.name);
        let list: Vec<Object> = of_type.map(|(_, key, record)| row(key, record)).collect();
        if !list.is_empty() {
            changes = changes.with(entity.name, &list);
        }
    }
    let body = Object::default()
        .with("changes", &changes)
        .with("timestamp", &time::iso(timestamp))
        .with("hasMore", &more);
    Ok(Answer::json(200, &body))
}

type Rows = Vec<(u64, Key, Record)>;

/// A page of rows, and whether more are there. A page does not end between two rows of one stamp,
/// because the next would begin behind both; nor before the last tombstone that was forgotten, for
/// a first pull under way must not look like an old cursor.
fn rows<T: Tx>(
    book: &Book<'_, T>,
    scan: Scan<'_>,
    limit: usize,
    pruned_to: u64,
) -> Result<(Rows, bool), Problem> {
    let mut rows: Rows = Vec::new();
    let mut bytes = 0;
    let mut after = scan.after;
    loop {
        let part = book.tx.scan(&Scan { after, limit: limit + 1, ..scan }).map_err(internal)?;
        let whole = part.len() <= limit;
        for row in part {
            let full = rows.len() >= limit || bytes > book.limits().answer_bytes;
            let parted = rows
                .last()
                .map(|(_, _, last)| last.stored_at)
                .is_some_and(|last| last != row.2.stored_at && last >= pruned_to);
            if full && parted {
                return Ok((rows, true));
            }
            bytes += ROW_BYTES + row.2.document.as_ref().map_or(0, |d| d.as_str().len());
            after = row.0;
            rows.push(row);
        }
        if whole {
            return Ok((rows, false));
        }
    }
}
