//! AuraConnect mobile (WIRES 2): three endpoints that take records and give the delta since a version, and one for
//! decisions about conflicts.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::book::{Book, Draft, Known, Replay, is_id};
use super::shape::{Entity, Kind, may, must};
use super::{
    Access, Answer, Call, Method, Role, code, device, envelope, expired, list, malformed, page,
    status, time,
};
use crate::document::Document;
use crate::object::{Object, is_object, merge};
use crate::problem::{Problem, ProblemKind};
use crate::store::{Feed, Record, Scan, StorageError, Tx};
use crate::verdict::internal;
use crate::wire::{Key, Outcome};

const RECORDS: usize = 50;
/// Who made a record here.
const SOURCE: &str = "mobile_offline";
const STATES: &[&str] = &["open", "sent", "paid", "void"];
const CENTS: Kind = Kind::WholeFrom(0.0, "must be 0 or more");

/// The kinds of note: a conflict by its id, and the open one of a record and a device.
const CONFLICT: &str = "conflict";
const OPEN: &str = "open";

pub(super) const ENTITIES: &[Entity] = &[
    Entity {
        name: "orders",
        fields: &[
            must("order_number", Kind::Name),
            must("table_no", Kind::Whole),
            must(
                "items",
                Kind::Items(&[
                    must("menu_id", Kind::Link),
                    must("qty", Kind::Number),
                    must("unit_price_cents", Kind::Whole),
                ]),
            ),
            must("status", Kind::Choice(STATES)),
            must("total_cents", CENTS),
            may("notes", Kind::Text),
            must("opened_at", Kind::Instant),
            may("shift_id", Kind::Link),
        ],
        unique: &["order_number"],
        links: &[("shift_id", "shifts")],
    },
    Entity {
        name: "shifts",
        fields: &[
            must("staff_id", Kind::Link),
            must("clock_in", Kind::Instant),
            may("clock_out", Kind::Instant),
            must("break_minutes", Kind::Number),
            may("note", Kind::Text),
        ],
        unique: &[],
        links: &[],
    },
    Entity {
        name: "menu",
        fields: &[
            must("name", Kind::Name),
            must("price_cents", CENTS),
            must("available", Kind::Flag),
            must("category", Kind::Text),
        ],
        unique: &[],
        links: &[],
    },
];

#[derive(Debug)]
pub(super) enum Request {
    Sync(Box<Sync>),
    Resolve(Box<Resolve>),
}

pub(super) struct Sync {
    entity: &'static Entity,
    device: String,
    since: u64,
    limit: usize,
    records: Vec<Object>,
}

impl std::fmt::Debug for Sync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.records.len(), self.entity.name)
    }
}

fn entity(path: &str) -> Option<&'static Entity> {
    let name = path.strip_prefix("/sync/")?;
    ENTITIES.iter().find(|entity| entity.name == name)
}

pub(super) fn methods(path: &str) -> Option<&'static [Method]> {
    (path == "/sync/conflict/resolve" || entity(path).is_some()).then_some(&[Method::Post])
}

pub(super) fn read(call: &Call<'_>) -> Result<Request, Problem> {
    let body = envelope(call.body)?;
    let Some(entity) = entity(call.path) else {
        return Ok(Request::Resolve(Box::new(resolve(call, &body)?)));
    };
    let device = device(&body, "device_id")?;
    let records = list(&body, entity.name)?;
    let since = match body.get("since_version") {
        None => 0,
        Some(_) => body
            .read("since_version")
            .ok_or_else(|| malformed("since_version must be a whole number"))?,
    };
    let limit = match body.get("limit") {
        None => 200,
        Some(_) => body
            .read("limit")
            .filter(|limit| (1..=500).contains(limit))
            .ok_or_else(|| malformed("limit must be 1 to 500"))?,
    };
    if records.len() > RECORDS {
        return Err(Problem::new(ProblemKind::TooLarge, format!("At most {RECORDS} records")));
    }
    let records: Vec<Object> = records.iter().map(|raw| Object::of(raw)).collect();
    // Without an id a record could not be answered.
    if records.iter().any(|record| record.read::<String>("client_id").is_none()) {
        return Err(malformed("client_id is missing in a record"));
    }
    if !records.is_empty() {
        may_write(entity, call)?;
    }
    Ok(Request::Sync(Box::new(Sync { entity, device, since, limit, records })))
}

fn may_write(entity: &Entity, call: &Call<'_>) -> Result<(), Problem> {
    if entity.name == "menu" && call.user.role != Role::Admin {
        return Err(Problem::new(ProblemKind::Forbidden, "admin only"));
    }
    Ok(())
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conflict: Option<Sides>,
}

pub(super) fn refusal(problem: &Problem) -> Answer {
    let body = Refusal { error: code(problem.kind), message: &problem.detail, conflict: None };
    Answer::json(status(problem.kind), &body)
}

#[derive(Serialize)]
struct Entry {
    client_id: String,
    id: Option<u64>,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Verdict {
    Confirmed {
        status: &'static str,
        version: u64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        duplicate: bool,
    },
    Conflict {
        status: &'static str,
        conflict_id: String,
        conflict_type: &'static str,
        client_version: Option<u64>,
        server_version: u64,
        server_deleted: bool,
        server_data: Option<Document>,
    },
    Rejected {
        status: &'static str,
        code: &'static str,
        message: String,
    },
}

fn confirmed(version: u64, duplicate: bool) -> Verdict {
    Verdict::Confirmed { status: "confirmed", version, duplicate }
}

fn rejected(code: &'static str, message: impl Into<String>) -> Verdict {
    Verdict::Rejected { status: "rejected", code, message: message.into() }
}

/// The two sides of a conflict, where it is told again.
#[derive(Serialize)]
struct Sides {
    conflict_id: String,
    id: u64,
    client_version: u64,
    server_version: u64,
    server_deleted: bool,
    server_data: Option<Document>,
}

impl Request {
    pub(super) fn access(&self) -> Access {
        match self {
            Self::Sync(sync) if sync.records.is_empty() => Access::Read,
            Self::Sync(_) | Self::Resolve(_) => Access::Write,
        }
    }

    pub(super) fn answer<T: Tx>(&self, book: &mut Book<'_, T>) -> Result<Answer, Problem> {
        match self {
            Self::Sync(sync) => {
                let mut results = Vec::with_capacity(sync.records.len());
                for record in &sync.records {
                    results.push(judge(book, sync, record).map_err(internal)?);
                }
                let delta = delta(book, sync)?;
                Ok(Answer::json(
                    200,
                    &Object::default().with("results", &results).with("delta", &delta),
                ))
            }
            Self::Resolve(resolve) => resolve.answer(book).map_err(internal),
        }
    }
}

/// A pushed record, its metadata read.
struct Pushed<'a> {
    entity: &'static Entity,
    client_id: String,
    id: Option<u64>,
    base: Option<u64>,
    data: &'a RawValue,
}

impl Pushed<'_> {
    fn entry(&self, id: Option<&str>, verdict: Verdict) -> Entry {
        let id = id.and_then(|id| id.parse().ok()).or(self.id);
        Entry { client_id: self.client_id.clone(), id, verdict }
    }
}

fn judge<T: Tx>(
    book: &mut Book<'_, T>,
    sync: &Sync,
    record: &Object,
) -> Result<Entry, StorageError> {
    let action = record.read::<String>("action").unwrap_or_default();
    let data = record.get("data").filter(|data| is_object(data));
    let pushed = Pushed {
        entity: sync.entity,
        client_id: record.read("client_id").unwrap_or_default(),
        id: record.read("id"),
        base: record.read("base_version"),
        data: data.unwrap_or(RawValue::NULL),
    };
    let wrong = |says| Ok(pushed.entry(None, rejected("validation_failed", says)));
    if !is_id(&pushed.client_id) {
        return wrong("client_id is not acceptable");
    }
    match (action.as_str(), data) {
        ("create" | "update", Some(_)) | ("delete", _) => {}
        ("create" | "update", None) => return wrong("data is required"),
        _ => return wrong("action is not create, update or delete"),
    }
    let payload = match (action.as_str(), book.canonical(pushed.data)) {
        ("delete", _) => String::new(),
        (_, Ok(payload)) => payload,
        (_, Err(_)) => return wrong("data is not sound JSON"),
    };
    let record = pushed.id.map_or_else(|| format!("~{}", pushed.client_id), |id| id.to_string());
    let base = pushed.base.map(|base| base.to_string()).unwrap_or_default();
    let parts = [pushed.entity.name, record.as_str(), &sync.device, &action, &base];
    let replay = Replay::new(parts, &payload);
    if let Known::Before(outcome) = book.known(&replay)? {
        let verdict = confirmed(outcome.version.unwrap_or(0), true);
        return Ok(pushed.entry(outcome.server_id.as_deref(), verdict));
    }
    let id = match pushed.id {
        Some(id) => Some(id.to_string()),
        None => book.by_own_id(pushed.entity.name, &pushed.client_id)?,
    };
    let key = id.map(|id| Key::new(pushed.entity.name, &id));
    let current = match &key {
        Some(key) => book.tx.record(key)?.map(|record| (key.clone(), record)),
        None => None,
    };
    match current {
        Some((key, record)) => meet(book, sync, &pushed, &action, &replay, key, &record),
        None if action == "create" && pushed.id.is_none() => create(book, sync, &pushed, &replay),
        None => Ok(pushed.entry(None, rejected("not_found", "no such record"))),
    }
}

/// The record is known: its version decides.
fn meet<T: Tx>(
    book: &mut Book<'_, T>,
    sync: &Sync,
    pushed: &Pushed<'_>,
    action: &str,
    replay: &Replay,
    key: Key,
    record: &Record,
) -> Result<Entry, StorageError> {
    let agreed = pushed.base == Some(record.version);
    let live = record.document.as_ref();
    let conflict_type = match (action, live) {
        ("delete", None) => {
            return Ok(pushed.entry(Some(&key.id), confirmed(record.version, false)));
        }
        ("delete", Some(_)) if agreed => {
            return store(book, pushed, replay, None, key, Some(record));
        }
        ("delete", Some(_)) => "delete-update",
        // What is made on the version of the tombstone brings the record back.
        ("create" | "update", None) | ("update", Some(_)) if agreed => {
            let document = Document::of(merge(live.map(Document::raw), pushed.data));
            return match accept(book, sync, pushed, Some(&key.id), document)? {
                Ok(document) => store(book, pushed, replay, Some(document), key, Some(record)),
                Err(entry) => Ok(entry),
            };
        }
        (_, None) => "update-delete",
        ("create", Some(_)) => "create-create",
        (_, Some(_)) => "update-update",
    };
    conflict(book, sync, pushed, &key, record, conflict_type)
}

fn create<T: Tx>(
    book: &mut Book<'_, T>,
    sync: &Sync,
    pushed: &Pushed<'_>,
    replay: &Replay,
) -> Result<Entry, StorageError> {
    let document = Document::of(merge(None, pushed.data));
    let document = match accept(book, sync, pushed, None, document)? {
        Ok(document) => document,
        Err(entry) => return Ok(entry),
    };
    let number = book.next(pushed.entity.name)?;
    let key = Key::new(pushed.entity.name, &number.to_string());
    book.keep_own_id(&key, &pushed.client_id)?;
    store(book, pushed, replay, Some(document), key, None)
}

/// The document as it is to be stored, or the entry that says why it is not.
fn accept<T: Tx>(
    book: &mut Book<'_, T>,
    sync: &Sync,
    pushed: &Pushed<'_>,
    own: Option<&str>,
    document: Document,
) -> Result<Result<Document, Entry>, StorageError> {
    match settle(book, pushed.entity, own, document)? {
        Ok(document) => Ok(Ok(document)),
        Err(Refused::Held(key)) => match book.tx.record(&key)? {
            Some(record) => {
                let entry = conflict(book, sync, pushed, &key, &record, "create-create")?;
                Ok(Err(entry))
            }
            None => Err(StorageError("a unique value is held by nobody".to_owned())),
        },
        Err(Refused::Says(code, message)) => Ok(Err(pushed.entry(None, rejected(code, message)))),
    }
}

enum Refused {
    /// Another record has the same unique value.
    Held(Key),
    Says(&'static str, String),
}

/// Turns references into ids, and checks fields and unique values.
fn settle<T: Tx>(
    book: &Book<'_, T>,
    entity: &'static Entity,
    own: Option<&str>,
    document: Document,
) -> Result<Result<Document, Refused>, StorageError> {
    let mut members = document.object();
    for (field, collection) in entity.links {
        if !members.has(field) {
            continue;
        }
        let named = members.read::<u64>(field).map(|id| id.to_string());
        let named = named.or_else(|| members.read::<String>(field)).unwrap_or_default();
        let id = match book.by_own_id(collection, &named)? {
            Some(id) => id,
            None if book.is_known(collection, &named)? => named,
            None => {
                let message = format!("{field} names no {}", collection.trim_end_matches('s'));
                return Ok(Err(Refused::Says("unknown_reference", message)));
            }
        };
        let id = id.parse::<u64>().unwrap_or_default();
        members.set(field, serde_json::value::to_raw_value(&id).unwrap_or_default());
    }
    if let Some((_, id)) = book.holder(entity, own, &members)? {
        return Ok(Err(Refused::Held(Key::new(entity.name, &id))));
    }
    let document = members.into_document();
    match book.check(entity, &document) {
        Ok(()) => Ok(Ok(document)),
        Err(wrong) => Ok(Err(Refused::Says("validation_failed", wrong.sentence()))),
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
    let own = Some(pushed.client_id.as_str()).filter(|_| current.is_none());
    let record = write(book, pushed.entity, &key, current, document, &replay.name, own)?;
    let outcome = Outcome {
        server_id: Some(key.id.clone()),
        ..Outcome::applied(&replay.name, record.version)
    };
    book.keep(replay, outcome)?;
    Ok(pushed.entry(Some(&key.id), confirmed(record.version, false)))
}

/// Writes a new state of a record, which closes every open conflict about it.
fn write<T: Tx>(
    book: &mut Book<'_, T>,
    entity: &Entity,
    key: &Key,
    current: Option<&Record>,
    document: Option<Document>,
    op_id: &str,
    own: Option<&str>,
) -> Result<Record, StorageError> {
    let old = current.and_then(|record| record.document.as_ref());
    book.hold(entity, &key.id, old, document.as_ref())?;
    for (name, _) in book.tx.notes(OPEN, &format!("{}|{}|", key.collection, key.id))? {
        book.tx.put_note(OPEN, &name, None)?;
    }
    let stamp = book.stamp(current)?;
    let made_by = match (own, current) {
        (Some(own), _) => Some(own.to_owned()),
        (None, current) => current.and_then(own_id),
    };
    let meta = Object::default().with("client_id", &made_by).with("source", SOURCE).into_document();
    let version = current.map_or(0, |record| record.version) + 1;
    book.put(Draft { key, version, document, op_id, stamp, part: String::new(), meta: Some(meta) })
}

/// The id that the device that made a record gave it.
fn own_id(record: &Record) -> Option<String> {
    record.meta.as_ref().and_then(|meta| meta.object().read("client_id"))
}

/// What the server keeps of a conflict until it is resolved.
#[derive(Serialize, Deserialize)]
struct Case {
    entity: String,
    id: String,
    device: String,
    /// The version that the resolution made; `None` while it is open.
    resolved: Option<u64>,
}

/// Opens a conflict; the one that this device has open about the record is told again.
fn open<T: Tx>(book: &mut Book<'_, T>, key: &Key, device: &str) -> Result<String, StorageError> {
    let name = format!("{}|{}|{device}", key.collection, key.id);
    if let Some(id) = book.tx.note(OPEN, &name)? {
        return Ok(id);
    }
    let id = format!("cf_{}", book.next(CONFLICT)?);
    let case = Case {
        entity: key.collection.clone(),
        id: key.id.clone(),
        device: device.to_owned(),
        resolved: None,
    };
    put_case(book, &id, &case)?;
    book.tx.put_note(OPEN, &name, Some(&id))?;
    Ok(id)
}

fn put_case<T: Tx>(book: &mut Book<'_, T>, id: &str, case: &Case) -> Result<(), StorageError> {
    let text = serde_json::to_string(case).map_err(|e| StorageError(e.to_string()))?;
    book.tx.put_note(CONFLICT, id, Some(&text))
}

fn conflict<T: Tx>(
    book: &mut Book<'_, T>,
    sync: &Sync,
    pushed: &Pushed<'_>,
    key: &Key,
    record: &Record,
    conflict_type: &'static str,
) -> Result<Entry, StorageError> {
    let verdict = Verdict::Conflict {
        status: "conflict",
        conflict_id: open(book, key, &sync.device)?,
        conflict_type,
        client_version: pushed.base,
        server_version: record.version,
        server_deleted: record.document.is_none(),
        server_data: record.document.clone(),
    };
    Ok(pushed.entry(Some(&key.id), verdict))
}

#[derive(Serialize)]
struct Delta {
    version: u64,
    changes: Vec<Change>,
    has_more: bool,
}

#[derive(Serialize)]
struct Change {
    id: u64,
    client_id: String,
    version: u64,
    deleted: bool,
    updated_at: String,
    source: String,
    data: Option<Document>,
}

/// Versions from here on are those of a first pull that is not yet past the tombstones which were
/// forgotten: as plain numbers they would be older than what is kept.
const FIRST: u64 = 1 << 52;

fn place(since: u64, feed: &Feed) -> Option<u64> {
    let (after, first) = if since >= FIRST { (since - FIRST, true) } else { (since, since == 0) };
    (after <= feed.last && (first || after >= feed.horizon)).then_some(after)
}

fn delta<T: Tx>(book: &Book<'_, T>, sync: &Sync) -> Result<Delta, Problem> {
    let feed = book.tx.feed().map_err(internal)?;
    let after = place(sync.since, &feed).ok_or_else(|| expired("since_version is too old"))?;
    let scan = Scan {
        collection: Some(sync.entity.name),
        after,
        live_until: if sync.since == 0 { feed.last } else { 0 },
        limit: sync.limit + 1,
        ..Scan::all()
    };
    let rows = book.tx.scan(&scan).map_err(internal)?;
    let (rows, has_more) = page(rows, sync.limit, book.limits());
    let last = rows.last().map_or(after, |row| row.0);
    let version = match has_more {
        false => feed.last,
        true if last < feed.horizon => FIRST + last,
        true => last,
    };
    let changes = rows.into_iter().map(|(_, key, record)| Change {
        id: key.id.parse().unwrap_or_default(),
        client_id: own_id(&record).unwrap_or(key.id),
        version: record.version,
        deleted: record.document.is_none(),
        updated_at: time::iso(record.stored_at),
        source: record
            .meta
            .as_ref()
            .and_then(|meta| meta.object().read("source"))
            .unwrap_or_else(|| "pos".to_owned()),
        data: record.document,
    });
    Ok(Delta { version, changes: changes.collect(), has_more })
}

/// A decision about a conflict.
#[derive(Debug)]
pub(super) struct Resolve {
    conflict_id: String,
    device: String,
    entity: String,
    id: u64,
    base: u64,
    /// The merge patch on the server's record; `None` takes the server's side.
    data: Option<Box<RawValue>>,
}

fn resolve(call: &Call<'_>, body: &Object) -> Result<Resolve, Problem> {
    let text = |name: &str| {
        body.read::<String>(name).ok_or_else(|| malformed(format!("{name} is missing")))
    };
    let number =
        |name: &str| body.read::<u64>(name).ok_or_else(|| malformed(format!("{name} is missing")));
    let name = text("entity")?;
    let entity = ENTITIES.iter().find(|entity| entity.name == name);
    let entity = entity.ok_or_else(|| malformed("entity is not one of the known"))?;
    may_write(entity, call)?;
    let rules = ["server_wins", "client_wins", "last_write_wins", "merge"];
    match text("mode")?.as_str() {
        "manual" => {}
        "rule" if rules.contains(&text("rule")?.as_str()) => {}
        "rule" => return Err(malformed("rule is not one of the known")),
        _ => return Err(malformed("mode is not manual or rule")),
    }
    let data = body.get("data").filter(|data| is_object(data)).map(RawValue::to_owned);
    let data = match (text("choice")?.as_str(), data) {
        ("server", _) => None,
        ("client" | "merged", Some(data)) => Some(data),
        ("client" | "merged", None) => return Err(malformed("data is missing")),
        _ => return Err(malformed("choice is not server, client or merged")),
    };
    Ok(Resolve {
        conflict_id: text("conflict_id")?,
        device: device(body, "device_id")?,
        entity: name,
        id: number("id")?,
        base: number("base_version")?,
        data,
    })
}

#[derive(Serialize)]
struct Resolved<'a> {
    conflict_id: &'a str,
    id: u64,
    status: &'static str,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Option<Document>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

impl Resolve {
    fn done(&self, version: u64, data: Option<Option<Document>>) -> Answer {
        let duplicate = data.is_none();
        let conflict_id = self.conflict_id.as_str();
        let body =
            Resolved { conflict_id, id: self.id, status: "resolved", version, data, duplicate };
        Answer::json(200, &body)
    }

    fn unknown() -> Answer {
        let body =
            Refusal { error: "conflict_not_found", message: "unknown conflict", conflict: None };
        Answer::json(404, &body)
    }

    fn answer<T: Tx>(&self, book: &mut Book<'_, T>) -> Result<Answer, StorageError> {
        let key = Key::new(&self.entity, &self.id.to_string());
        let case = book.tx.note(CONFLICT, &self.conflict_id)?;
        let case = case.and_then(|text| serde_json::from_str::<Case>(&text).ok()).filter(|case| {
            case.entity == self.entity && case.id == key.id && case.device == self.device
        });
        let (Some(case), Some(record)) = (case, book.tx.record(&key)?) else {
            return Ok(Self::unknown());
        };
        if let Some(version) = case.resolved {
            return Ok(self.done(version, None));
        }
        if record.version != self.base {
            return self.moved(book, &key, record);
        }
        let open = format!("{}|{}|{}", key.collection, key.id, self.device);
        if book.tx.note(OPEN, &open)?.as_deref() != Some(&self.conflict_id) {
            return Ok(Self::unknown());
        }
        let Some(data) = &self.data else {
            book.tx.put_note(OPEN, &open, None)?;
            self.close(book, case, record.version)?;
            return Ok(self.done(record.version, Some(record.document)));
        };
        self.change(book, case, &key, &record, data)
    }

    /// The record has moved on: the conflict is open again, with the new sides.
    fn moved<T: Tx>(
        &self,
        book: &mut Book<'_, T>,
        key: &Key,
        record: Record,
    ) -> Result<Answer, StorageError> {
        let sides = Sides {
            conflict_id: open(book, key, &self.device)?,
            id: self.id,
            client_version: self.base,
            server_version: record.version,
            server_deleted: record.document.is_none(),
            server_data: record.document,
        };
        let body =
            Refusal { error: "conflict_moved", message: "record changed", conflict: Some(sides) };
        Ok(Answer::json(409, &body))
    }

    fn change<T: Tx>(
        &self,
        book: &mut Book<'_, T>,
        case: Case,
        key: &Key,
        record: &Record,
        data: &RawValue,
    ) -> Result<Answer, StorageError> {
        let Some(entity) = ENTITIES.iter().find(|entity| entity.name == self.entity) else {
            return Ok(Self::unknown());
        };
        let refuse = |error: &str, message: &str| {
            Answer::json(400, &Refusal { error, message, conflict: None })
        };
        if let Err(wrong) = book.canonical(data) {
            return Ok(refuse("validation_failed", &wrong.sentence()));
        }
        let document = Document::of(merge(record.document.as_ref().map(Document::raw), data));
        let document = match settle(book, entity, Some(&key.id), document)? {
            Ok(document) => document,
            Err(Refused::Held(_)) => {
                return Ok(refuse("duplicate_key", "another record has this number"));
            }
            Err(Refused::Says(code, message)) => return Ok(refuse(code, &message)),
        };
        let op_id = format!("resolve|{}", self.conflict_id);
        let shown = document.clone();
        let written = write(book, entity, key, Some(record), Some(document), &op_id, None)?;
        self.close(book, case, written.version)?;
        Ok(self.done(written.version, Some(Some(shown))))
    }

    fn close<T: Tx>(
        &self,
        book: &mut Book<'_, T>,
        case: Case,
        version: u64,
    ) -> Result<(), StorageError> {
        put_case(book, &self.conflict_id, &Case { resolved: Some(version), ..case })
    }
}
