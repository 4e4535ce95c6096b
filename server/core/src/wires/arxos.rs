//! ArxOS (WIRES 4): single calls with 409, a batch of verdicts by record id, and what changed in a building.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::book::{Book, Draft, is_id, same};
use super::digest::{Padding, base64};
use super::shape::{Entity, Kind, may, must};
use super::{Access, Answer, Call, Method, code, envelope, expired, list, malformed, status, time};
use crate::document::Document;
use crate::object::{Object, is_object};
use crate::problem::{Problem, ProblemKind};
use crate::store::{Record, Scan, StorageError, Tx};
use crate::verdict::internal;
use crate::wire::Key;

const OPERATIONS: usize = 50;
/// Deletions stay in the list of a building for 90 days.
const KEPT_MS: u64 = 90 * 24 * 60 * 60 * 1_000;
/// What is not part of a record's content.
const STAMPS: &[&str] = &["version", "created_at", "updated_at", "force"];

const EQUIPMENT: Entity = Entity {
    name: "equipment",
    fields: &[
        must("id", Kind::Text),
        must("building_id", Kind::Name),
        must("name", Kind::Name),
        must("type", Kind::Text),
        may("status", Kind::Text),
        may("location_x", Kind::Number),
        may("location_y", Kind::Number),
        may("location_z", Kind::Number),
        may("metadata", Kind::Map),
    ],
    unique: &[],
    links: &[],
};

const ANCHORS: Entity = Entity {
    name: "anchor",
    fields: &[
        must("id", Kind::Text),
        must("building_id", Kind::Name),
        may("equipment_id", Kind::Link),
        must("position_x", Kind::Number),
        must("position_y", Kind::Number),
        must("position_z", Kind::Number),
        may("confidence", Kind::Number),
        may("anchor_type", Kind::Text),
    ],
    unique: &[],
    links: &[("equipment_id", "equipment")],
};

pub(super) const BUILDING: &str = "building";

#[derive(Debug)]
pub(super) enum Request {
    Building { id: String },
    List { kind: Listed, building: String, if_none_match: Option<String> },
    Updates { building: String, since: u64 },
    Create { operation: Operation },
    Update { operation: Operation },
    Delete { operation: Operation },
    Batch { operations: Vec<Object> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    Equipment,
    Anchors,
}

impl Listed {
    const fn entity(self) -> &'static Entity {
        match self {
            Self::Equipment => &EQUIPMENT,
            Self::Anchors => &ANCHORS,
        }
    }

    /// The word of the paths and of the lists' member.
    const fn plural(self) -> &'static str {
        match self {
            Self::Equipment => "equipment",
            Self::Anchors => "anchors",
        }
    }
}

/// One change that a client asks for, alone or in a batch.
#[derive(Debug)]
pub(super) struct Operation {
    kind: Listed,
    id: String,
    payload: Object,
}

enum Path<'a> {
    Building(&'a str),
    Updates(&'a str),
    List(Listed, &'a str),
    All(Listed),
    One(Listed, &'a str),
    Batch,
}

fn path(path: &str) -> Option<Path<'_>> {
    let rest = path.strip_prefix("/api/v1/mobile/")?;
    let parts: Vec<&str> = rest.split('/').collect();
    let kind = match parts.first().copied() {
        Some("equipment") => Some(Listed::Equipment),
        Some("anchors") => Some(Listed::Anchors),
        Some(_) | None => None,
    };
    match (kind, parts.as_slice()) {
        (None, ["sync", "batch"]) => Some(Path::Batch),
        (None, ["buildings", id]) => Some(Path::Building(id)),
        (Some(Listed::Equipment), [_, "building", id, "updates"]) => Some(Path::Updates(id)),
        (Some(kind), [_, "building", id]) => Some(Path::List(kind, id)),
        (Some(kind), [_]) => Some(Path::All(kind)),
        (Some(kind), [_, id]) => Some(Path::One(kind, id)),
        _ => None,
    }
}

pub(super) fn methods(text: &str) -> Option<&'static [Method]> {
    Some(match path(text)? {
        Path::Building(_) | Path::Updates(_) | Path::List(..) => &[Method::Get],
        Path::All(_) | Path::Batch => &[Method::Post],
        Path::One(..) => &[Method::Put, Method::Delete],
    })
}

pub(super) fn read(call: &Call<'_>) -> Result<Request, Problem> {
    let missing = || Problem::new(ProblemKind::NotFound, "not found");
    Ok(match path(call.path).ok_or_else(missing)? {
        Path::Building(id) => Request::Building { id: id.to_owned() },
        Path::Updates(id) => Request::Updates { building: id.to_owned(), since: since(call)? },
        Path::List(kind, id) => {
            let if_none_match = call.if_none_match.map(str::to_owned);
            Request::List { kind, building: id.to_owned(), if_none_match }
        }
        Path::All(kind) => {
            let payload = envelope(call.body)?;
            let id = payload.read("id").ok_or_else(|| malformed("id is missing"))?;
            Request::Create { operation: Operation { kind, id, payload } }
        }
        Path::One(kind, id) if call.method == Method::Delete => {
            let operation = Operation { kind, id: id.to_owned(), payload: Object::default() };
            Request::Delete { operation }
        }
        Path::One(kind, id) => {
            let (id, payload) = (id.to_owned(), envelope(call.body)?);
            Request::Update { operation: Operation { kind, id, payload } }
        }
        Path::Batch => {
            let operations = list(&envelope(call.body)?, "operations")?;
            if operations.len() > OPERATIONS {
                let detail = format!("at most {OPERATIONS} operations");
                return Err(Problem::new(ProblemKind::TooLarge, detail));
            }
            Request::Batch { operations: operations.iter().map(|raw| Object::of(raw)).collect() }
        }
    })
}

/// Whole Unix seconds, here in ms; 0 is everything.
fn since(call: &Call<'_>) -> Result<u64, Problem> {
    let Some(text) = call.parameter("since") else { return Ok(0) };
    let seconds = text.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1_000));
    seconds.ok_or_else(|| malformed("since must be whole seconds"))
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'a str,
    code: &'a str,
}

pub(super) fn refusal(problem: &Problem) -> Answer {
    let body = Refusal { error: &problem.detail, code: code(problem.kind) };
    Answer::json(status(problem.kind), &body)
}

/// When a record was made, which is kept beside its document.
fn created_at(record: &Record) -> u64 {
    let meta = record.meta.as_ref().and_then(|meta| meta.object().read("created_at"));
    meta.unwrap_or(record.stored_at)
}

/// A live record as the wire shows it.
fn row(record: &Record) -> Option<Object> {
    let document = record.document.as_ref()?.object();
    Some(
        document
            .with("version", &record.version)
            .with("created_at", &time::go(created_at(record)))
            .with("updated_at", &time::go(record.stored_at)),
    )
}

/// What became of one change.
enum Verdict {
    /// The record as it is now; `None` if it is gone.
    Done(Option<Object>),
    /// The server's record; `None` if it is deleted there.
    Conflict(Option<Object>),
    Refused(&'static str, String),
}

impl Request {
    pub(super) fn access(&self) -> Access {
        match self {
            Self::Building { .. } | Self::List { .. } | Self::Updates { .. } => Access::Read,
            Self::Create { .. }
            | Self::Update { .. }
            | Self::Delete { .. }
            | Self::Batch { .. } => Access::Write,
        }
    }

    pub(super) fn answer<T: Tx>(&self, book: &mut Book<'_, T>) -> Result<Answer, Problem> {
        match self {
            Self::Building { id } => building(book, id).map_err(internal),
            Self::List { kind, building, if_none_match } => {
                listed(book, *kind, building, if_none_match.as_deref()).map_err(internal)
            }
            Self::Updates { building, since } => updates(book, building, *since),
            Self::Create { operation } => {
                let verdict = operation.create(book).map_err(internal)?;
                Ok(single(201, verdict))
            }
            Self::Update { operation } => {
                let verdict = operation.update(book).map_err(internal)?;
                Ok(single(200, verdict))
            }
            Self::Delete { operation } => {
                let verdict = operation.delete(book, None).map_err(internal)?;
                Ok(single(204, verdict))
            }
            Self::Batch { operations } => batch(book, operations).map_err(internal),
        }
    }
}

fn single(done: u16, verdict: Verdict) -> Answer {
    match verdict {
        Verdict::Done(Some(row)) => Answer::json(done, &row),
        Verdict::Done(None) => Answer { status: done, ..Answer::default() },
        Verdict::Conflict(theirs) => {
            let error = if theirs.is_some() { "version conflict" } else { "deleted" };
            let body = Object::default()
                .with("error", error)
                .with("code", "conflict")
                .with("server_version", &theirs);
            Answer::json(409, &body)
        }
        Verdict::Refused(code, error) => {
            let status = if code == "not_found" { 404 } else { 400 };
            Answer::json(status, &Refusal { error: &error, code })
        }
    }
}

fn not_found() -> Verdict {
    Verdict::Refused("not_found", "not found".to_owned())
}

impl Operation {
    fn key(&self) -> Key {
        Key::new(self.kind.entity().name, &self.id)
    }

    fn forced(&self) -> bool {
        self.payload.read("force").unwrap_or(false)
    }

    fn content(&self) -> Object {
        self.payload.clone().keep(|name| !STAMPS.contains(&name))
    }

    fn same_as(&self, record: &Record) -> bool {
        let stored = record.document.as_ref().map(Document::object);
        stored.is_some_and(|stored| same(&stored, &self.content()))
    }

    fn create<T: Tx>(&self, book: &mut Book<'_, T>) -> Result<Verdict, StorageError> {
        let current = book.tx.record(&self.key())?;
        match &current {
            // The same create again, after its answer was lost.
            Some(record) if self.same_as(record) => Ok(Verdict::Done(row(record))),
            Some(record) if !self.forced() => Ok(Verdict::Conflict(row(record))),
            Some(_) | None => self.store(book, current.as_ref()),
        }
    }

    fn update<T: Tx>(&self, book: &mut Book<'_, T>) -> Result<Verdict, StorageError> {
        let Some(record) = book.tx.record(&self.key())? else { return Ok(not_found()) };
        let version = self.payload.read::<u64>("version");
        if self.forced() {
            return self.store(book, Some(&record));
        }
        match version {
            None => Ok(Verdict::Refused("validation_failed", "version is required".to_owned())),
            Some(_) if record.document.is_none() => Ok(Verdict::Conflict(None)),
            Some(version) if version == record.version => self.store(book, Some(&record)),
            // The same update again, after its answer was lost.
            Some(version) if version + 1 == record.version && self.same_as(&record) => {
                Ok(Verdict::Done(row(&record)))
            }
            Some(_) => Ok(Verdict::Conflict(row(&record))),
        }
    }

    fn delete<T: Tx>(
        &self,
        book: &mut Book<'_, T>,
        version: Option<u64>,
    ) -> Result<Verdict, StorageError> {
        let record = book.tx.record(&self.key())?.filter(|record| record.document.is_some());
        let Some(record) = record else { return Ok(not_found()) };
        if version.is_some_and(|version| version != record.version) && !self.forced() {
            return Ok(Verdict::Conflict(row(&record)));
        }
        self.write(book, Some(&record), None)?;
        Ok(Verdict::Done(None))
    }

    fn store<T: Tx>(
        &self,
        book: &mut Book<'_, T>,
        current: Option<&Record>,
    ) -> Result<Verdict, StorageError> {
        let refuse = |says: &str| Ok(Verdict::Refused("validation_failed", says.to_owned()));
        let entity = self.kind.entity();
        if !is_id(&self.id) {
            return refuse("id is not acceptable");
        }
        let mut content = self.content();
        match content.read::<String>("id") {
            None => {
                content.set("id", serde_json::value::to_raw_value(&self.id).unwrap_or_default())
            }
            Some(id) if id == self.id => {}
            Some(_) => return refuse("id is that of another record"),
        }
        let building: String = content.read("building_id").unwrap_or_default();
        let stands = |record: &Record| record.document.is_some() && record.part != building;
        if current.is_some_and(stands) {
            return refuse("building_id cannot change");
        }
        let document = content.into_document();
        if let Err(wrong) = book.check(entity, &document) {
            return refuse(&wrong.sentence());
        }
        for (field, collection) in entity.links {
            let Some(id) = document.object().read::<String>(field) else { continue };
            if !book.is_known(collection, &id)? {
                return refuse(&format!("{field} names no {collection}"));
            }
        }
        Ok(Verdict::Done(row(&self.write(book, current, Some(document))?)))
    }

    fn write<T: Tx>(
        &self,
        book: &mut Book<'_, T>,
        current: Option<&Record>,
        document: Option<Document>,
    ) -> Result<Record, StorageError> {
        let key = self.key();
        let stamp = book.stamp(current)?;
        let created = current.map_or(stamp, created_at);
        let building = document.as_ref().and_then(|d| d.object().read("building_id"));
        let part = building.or(current.map(|record| record.part.clone())).unwrap_or_default();
        let version = current.map_or(0, |record| record.version) + 1;
        // There is no operation id: the version that it made is what an audit can count.
        let op_id = format!("{}|{}|{version}", key.collection, key.id);
        let meta = Object::default().with("created_at", &created).into_document();
        let meta = Some(meta);
        book.put(Draft { key: &key, version, document, op_id: &op_id, stamp, part, meta })
    }
}

#[derive(Serialize)]
struct Conflict {
    entity_type: String,
    entity_id: String,
    local_version: Object,
    server_version: Option<Object>,
}

#[derive(Serialize)]
struct Failure {
    entity_type: String,
    entity_id: String,
    operation: String,
    code: &'static str,
    message: String,
    retryable: bool,
}

fn batch<T: Tx>(book: &mut Book<'_, T>, operations: &[Object]) -> Result<Answer, StorageError> {
    let (mut success, mut conflicts, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for members in operations {
        let text = |name| members.read::<String>(name).unwrap_or_default();
        let (entity_type, entity_id) = (text("entity_type"), text("entity_id"));
        match member(book, members, &entity_type, &entity_id)? {
            Verdict::Done(_) => success.push(entity_id),
            Verdict::Conflict(server_version) => {
                let payload = members.get("payload").map(Object::of).unwrap_or_default();
                let stamp = payload.get("updated_at").or_else(|| members.get("local_time"));
                let local_version = Object::default()
                    .with("version", &payload.get("version"))
                    .with("updated_at", &stamp);
                let conflict = Conflict { entity_type, entity_id, local_version, server_version };
                conflicts.push(conflict);
            }
            Verdict::Refused(code, message) => {
                let operation = text("operation");
                let retryable = false;
                let failure =
                    Failure { entity_type, entity_id, operation, code, message, retryable };
                errors.push(failure);
            }
        }
    }
    let body = Object::default()
        .with("success", &success)
        .with("conflicts", &conflicts)
        .with("errors", &errors);
    Ok(Answer::json(200, &body))
}

fn member<T: Tx>(
    book: &mut Book<'_, T>,
    members: &Object,
    entity_type: &str,
    entity_id: &str,
) -> Result<Verdict, StorageError> {
    let refuse = |code, says: &str| Ok(Verdict::Refused(code, says.to_owned()));
    let kind = match entity_type {
        "equipment" => Listed::Equipment,
        "anchor" => Listed::Anchors,
        BUILDING => return refuse("read_only", "buildings are read only"),
        _ => return refuse("validation_failed", "entity_type is not one of the known"),
    };
    if !is_id(entity_id) {
        return refuse("validation_failed", "entity_id is not acceptable");
    }
    let payload = members.get("payload").filter(|payload| is_object(payload));
    let payload = payload.map(Object::of);
    let word = members.read::<String>("operation").unwrap_or_default();
    let operation = |payload| Operation { kind, id: entity_id.to_owned(), payload };
    match (word.as_str(), payload) {
        ("create", Some(payload)) => operation(payload).create(book),
        ("update", Some(payload)) => operation(payload).update(book),
        ("delete", payload) => {
            let payload = payload.unwrap_or_default();
            let version = payload.read("version");
            operation(payload).delete(book, version)
        }
        ("create" | "update", None) => refuse("validation_failed", "payload is required"),
        _ => refuse("validation_failed", "operation is not create, update or delete"),
    }
}

fn building<T: Tx>(book: &Book<'_, T>, id: &str) -> Result<Answer, StorageError> {
    let record = book.tx.record(&Key::new(BUILDING, id))?;
    Ok(match record.as_ref().and_then(|record| row(record).zip(Some(record))) {
        // A building has no version on this wire.
        Some((row, _)) => Answer::json(200, &row.keep(|name| name != "version")),
        None => single(404, not_found()),
    })
}

/// The time up to which an answer is complete.
fn last_sync<T: Tx>(book: &Book<'_, T>) -> Result<String, StorageError> {
    Ok(time::go(book.now_ms.max(book.tx.feed()?.stamp)))
}

fn listed<T: Tx>(
    book: &Book<'_, T>,
    kind: Listed,
    building: &str,
    if_none_match: Option<&str>,
) -> Result<Answer, StorageError> {
    let scan = Scan {
        collection: Some(kind.entity().name),
        part: Some(building),
        live_until: u64::MAX,
        ..Scan::all()
    };
    let rows = book.tx.scan(&scan)?;
    let rows: Vec<Object> = rows.iter().filter_map(|(_, _, record)| row(record)).collect();
    let text = serde_json::value::to_raw_value(&rows).unwrap_or_default();
    let etag = format!("\"{}\"", base64(&Sha256::digest(text.get()), Padding::None));
    if if_none_match.is_some_and(|wanted| matches(wanted, &etag)) {
        return Ok(Answer { status: 304, body: String::new(), etag: Some(etag) });
    }
    let body = Object::default().with(kind.plural(), &text).with("last_sync", &last_sync(book)?);
    Ok(Answer { etag: Some(etag), ..Answer::json(200, &body) })
}

/// `If-None-Match` compares weakly, and may list several.
fn matches(wanted: &str, etag: &str) -> bool {
    let mut tags = wanted.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|tag| tag == etag || tag == "*")
}

#[derive(Serialize)]
struct Update {
    equipment: Object,
    updated_at: String,
}

#[derive(Serialize)]
struct Updates {
    updates: Vec<Update>,
    deletes: Vec<String>,
    last_sync: String,
}

fn updates<T: Tx>(book: &Book<'_, T>, building: &str, since: u64) -> Result<Answer, Problem> {
    if since > 0 && since < book.now_ms.saturating_sub(KEPT_MS) {
        return Err(expired("since is older than the deletions that are kept"));
    }
    let after = book.tx.change_at(since).map_err(internal)?.saturating_sub(1);
    let scan =
        Scan { collection: Some(EQUIPMENT.name), part: Some(building), after, ..Scan::all() };
    let (mut updates, mut deletes) = (Vec::new(), Vec::new());
    for (_, key, record) in book.tx.scan(&scan).map_err(internal)? {
        match row(&record) {
            Some(equipment) => {
                updates.push(Update { equipment, updated_at: time::go(record.stored_at) });
            }
            None => deletes.push(key.id),
        }
    }
    let last_sync = last_sync(book).map_err(internal)?;
    Ok(Answer::json(200, &Updates { updates, deletes, last_sync }))
}
