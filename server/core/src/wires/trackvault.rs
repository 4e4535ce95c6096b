//! TrackVault (WIRES 3): ten operations a request under the client's own operation ids, and the ordinary paged list of each table.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::book::{Book, Draft, Known, Replay, is_id};
use super::shape::{Entity, Kind, Wrong, may, must};
use super::{Access, Answer, Call, Method, envelope, list, time};
use crate::document::Document;
use crate::object::{Object, is_object};
use crate::problem::{Problem, ProblemKind};
use crate::store::{List, Record, StorageError, Tx};
use crate::verdict::internal;
use crate::wire::{Key, Outcome};

const OPERATIONS: usize = 10;
const TYPES: &[&str] = &["advance", "partial", "final"];
const AMOUNT: Kind = Kind::Amount("must be greater than 0.");
/// The kind of note that is a row of `sync_operations` which waits.
const WAITING: &str = "sync_operation";

pub(super) const ENTITIES: &[Entity] = &[
    Entity {
        name: "supplier",
        fields: &[
            must("code", Kind::Name),
            must("name", Kind::Name),
            may("phone", Kind::Text),
            may("region", Kind::Text),
        ],
        unique: &["code"],
        links: &[],
    },
    Entity {
        name: "product",
        fields: &[
            must("supplier_id", Kind::Whole),
            must("name", Kind::Name),
            must("unit", Kind::Text),
        ],
        unique: &[],
        links: &[("supplier_id", "supplier")],
    },
    Entity {
        name: "product_rate",
        fields: &[
            must("product_id", Kind::Whole),
            must("rate", Kind::Decimal),
            must("effective_from", Kind::Date),
        ],
        unique: &[],
        links: &[("product_id", "product")],
    },
    Entity {
        name: "collection",
        fields: &[
            must("supplier_id", Kind::Whole),
            must("product_id", Kind::Whole),
            must("quantity", AMOUNT),
            must("collected_at", Kind::Instant),
        ],
        unique: &[],
        links: &[("supplier_id", "supplier"), ("product_id", "product")],
    },
    Entity {
        name: "payment",
        fields: &[
            must("supplier_id", Kind::Whole),
            must("amount", AMOUNT),
            must("type", Kind::Choice(TYPES)),
            must("paid_at", Kind::Instant),
            may("reference", Kind::Text),
        ],
        unique: &[],
        links: &[("supplier_id", "supplier")],
    },
];

const TABLES: &[(&str, &str)] = &[
    ("/api/suppliers", "supplier"),
    ("/api/products", "product"),
    ("/api/product-rates", "product_rate"),
    ("/api/collections", "collection"),
    ("/api/payments", "payment"),
];

#[derive(Debug)]
pub(super) enum Request {
    Sync { device: String, user: u64, operations: Vec<Operation> },
    Pending { device: String },
    Table(Table),
}

#[derive(Debug)]
pub(super) struct Operation {
    local_id: String,
    members: Object,
}

#[derive(Debug)]
pub(super) struct Table {
    path: String,
    collection: &'static str,
    since: Option<String>,
    trashed: bool,
    page: usize,
    per_page: usize,
}

pub(super) fn methods(path: &str) -> Option<&'static [Method]> {
    match path {
        "/api/sync" => Some(&[Method::Post]),
        "/api/sync/pending" => Some(&[Method::Get]),
        _ => TABLES.iter().any(|(table, _)| *table == path).then_some(&[Method::Get]),
    }
}

/// 422, as a Laravel validator says it: the field, and a sentence.
fn invalid(field: &str, says: &str) -> Problem {
    Problem::new(ProblemKind::Invalid, format!("{field}\n{says}"))
}

pub(super) fn read(call: &Call<'_>) -> Result<Request, Problem> {
    if call.path == "/api/sync" {
        return sync(call);
    }
    if call.path == "/api/sync/pending" {
        let device = call.parameter("device_id").unwrap_or_default().to_owned();
        return Ok(Request::Pending { device: device_id(device)? });
    }
    let found = TABLES.iter().find(|(table, _)| *table == call.path);
    let (_, collection) =
        found.ok_or_else(|| Problem::new(ProblemKind::NotFound, "No such path"))?;
    let number = |name: &'static str, most: usize, default: usize| match call.parameter(name) {
        None => Ok(default),
        Some(text) => match text.parse().ok().filter(|n| (1..=most).contains(n)) {
            Some(number) => Ok(number),
            None => Err(invalid(name, &format!("The {} field is not acceptable.", spoken(name)))),
        },
    };
    let since = call.parameter("updated_since").map(str::to_owned);
    if since.as_deref().is_some_and(|text| time::parse(text).is_none()) {
        return Err(invalid("updated_since", "The updated since field must be a valid date."));
    }
    Ok(Request::Table(Table {
        path: call.path.to_owned(),
        collection,
        since,
        trashed: call.parameter("with_trashed") == Some("1"),
        page: number("page", 1_000_000, 1)?,
        per_page: number("per_page", 100, 100)?,
    }))
}

fn device_id(device: String) -> Result<String, Problem> {
    if device.is_empty() {
        return Err(invalid("device_id", "The device id field is required."));
    }
    let sound = device.strip_prefix("device_").and_then(|rest| rest.split_once('_')).is_some_and(
        |(stamp, random)| {
            !stamp.is_empty()
                && stamp.bytes().all(|b| b.is_ascii_digit())
                && !random.is_empty()
                && random.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        },
    );
    if sound && is_id(&device) {
        Ok(device)
    } else {
        Err(invalid("device_id", "The device id field format is invalid."))
    }
}

fn sync(call: &Call<'_>) -> Result<Request, Problem> {
    let body = envelope(call.body)?;
    let device = device_id(body.read("device_id").unwrap_or_default())?;
    let Ok(list) = list(&body, "operations") else {
        return Err(invalid("operations", "The operations field is required."));
    };
    if list.len() > OPERATIONS {
        let says = "The operations field must not have more than 10 items.";
        return Err(invalid("operations", says));
    }
    let mut operations = Vec::with_capacity(list.len());
    for (index, raw) in list.into_iter().enumerate() {
        let members = Object::of(&raw);
        // Without its id an operation could not be answered.
        let Some(local_id) = members.read::<String>("local_id").filter(|id| is_id(id)) else {
            let field = format!("operations.{index}.local_id");
            return Err(invalid(&field, &format!("The {field} field is required.")));
        };
        operations.push(Operation { local_id, members });
    }
    Ok(Request::Sync { device, user: call.user.id, operations })
}

pub(super) fn refusal(problem: &Problem) -> Answer {
    if problem.kind == ProblemKind::Invalid
        && let Some((field, says)) = problem.detail.split_once('\n')
    {
        let errors = Object::default().with(field, &[says]);
        let body = Object::default().with("message", says).with("errors", &errors);
        return Answer::json(422, &body);
    }
    let message = match problem.kind {
        ProblemKind::Unauthorized => "Unauthenticated.",
        ProblemKind::RateLimited => "Too Many Attempts.",
        ProblemKind::Malformed
        | ProblemKind::DigestMismatch
        | ProblemKind::Forbidden
        | ProblemKind::NotFound
        | ProblemKind::MethodNotAllowed
        | ProblemKind::CursorExpired
        | ProblemKind::TooLarge
        | ProblemKind::UnsupportedMediaType
        | ProblemKind::Invalid
        | ProblemKind::Internal
        | ProblemKind::Unavailable => &problem.detail,
    };
    Answer::json(problem.kind.status(), &Object::default().with("message", message))
}

impl Request {
    pub(super) fn access(&self) -> Access {
        match self {
            Self::Sync { .. } => Access::Write,
            Self::Pending { .. } | Self::Table(_) => Access::Read,
        }
    }

    pub(super) fn answer<T: Tx>(&self, book: &mut Book<'_, T>) -> Result<Answer, Problem> {
        match self {
            Self::Sync { device, user, operations } => {
                let who = Who { device, user: *user };
                push(book, &who, operations).map_err(internal)
            }
            Self::Pending { device } => pending(book, device).map_err(internal),
            Self::Table(table) => table.answer(book).map_err(internal),
        }
    }
}

struct Who<'a> {
    device: &'a str,
    user: u64,
}

/// One entry of `results`. Members that its status does not have are left out.
#[derive(Serialize)]
struct Entry {
    local_id: String,
    entity_type: Option<String>,
    operation_type: Option<String>,
    entity_id: Option<u64>,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Verdict {
    Success {
        status: &'static str,
        version: u64,
        entity: Option<Object>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        duplicate: bool,
    },
    Conflict {
        status: &'static str,
        conflict_data: ConflictData,
    },
    Failed {
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_code: Option<&'static str>,
        error_message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        errors: Option<Object>,
    },
}

#[derive(Clone, Serialize, Deserialize)]
struct ConflictData {
    client_version: Option<u64>,
    server_version: u64,
    client_data: Box<RawValue>,
    server_data: Object,
}

fn failed(error_code: Option<&'static str>, message: &str) -> Verdict {
    let error_message = message.to_owned();
    Verdict::Failed { status: "failed", error_code, error_message, errors: None }
}

/// `collected_at` as a sentence of Laravel's has it.
fn spoken(field: &str) -> String {
    field.replace('_', " ")
}

/// A wrong field: the sentence, and the list of sentences by field.
fn wrong_field(field: &str, sentence: &str) -> Verdict {
    Verdict::Failed {
        status: "failed",
        error_code: None,
        error_message: sentence.to_owned(),
        errors: Some(Object::default().with(field, &[sentence])),
    }
}

fn wrong(wrong: &Wrong) -> Verdict {
    let name = spoken(&wrong.field);
    let sentence = match wrong.says {
        "is required" => format!("The {name} field is required."),
        says if says.ends_with('.') => format!("The {name} {says}"),
        says => format!("The {name} field {says}."),
    };
    wrong_field(&wrong.field, &sentence)
}

/// What a wire keeps beside the document of a record.
#[derive(Clone, Serialize, Deserialize)]
struct Meta {
    device: Option<String>,
    local_id: Option<String>,
    created_at: u64,
    /// What a deleted record was: its row keeps its columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Object>,
}

impl Meta {
    fn of(record: &Record) -> Self {
        let text = record.meta.as_ref().map(Document::as_str).unwrap_or_default();
        serde_json::from_str(text).unwrap_or(Self {
            device: None,
            local_id: None,
            created_at: record.stored_at,
            last: None,
        })
    }
}

/// A record as a row of its table.
fn row(key: &Key, record: &Record) -> Object {
    let meta = Meta::of(record);
    let stamp = time::laravel(record.stored_at);
    let sync = meta.local_id.map(|id| Object::default().with("local_id", &id));
    let id: u64 = key.id.parse().unwrap_or_default();
    let document = record.document.as_ref().map(Document::object).or(meta.last).unwrap_or_default();
    let deleted_at = record.document.is_none().then_some(&stamp);
    Object::default()
        .with("id", &id)
        .and(document)
        .with("device_id", &meta.device)
        .with("sync_metadata", &sync)
        .with("version", &record.version)
        .with("created_at", &time::laravel(meta.created_at))
        .with("updated_at", &stamp)
        .with("deleted_at", &deleted_at)
}

fn push<T: Tx>(
    book: &mut Book<'_, T>,
    who: &Who<'_>,
    operations: &[Operation],
) -> Result<Answer, StorageError> {
    let mut results = Vec::with_capacity(operations.len());
    let mut summary = [0_u32; 3];
    for operation in operations {
        let (entity_id, verdict) = operation.judge(book, who)?;
        let place = match &verdict {
            Verdict::Success { .. } => 0,
            Verdict::Conflict { .. } => 1,
            Verdict::Failed { .. } => 2,
        };
        if let Some(count) = summary.get_mut(place) {
            *count += 1;
        }
        results.push(Entry {
            local_id: operation.local_id.clone(),
            entity_type: operation.members.read("entity_type"),
            operation_type: operation.members.read("operation_type"),
            entity_id,
            verdict,
        });
    }
    let [success, conflict, failed] = summary;
    let summary = Object::default()
        .with("success", &success)
        .with("conflict", &conflict)
        .with("failed", &failed);
    let body = Object::default().with("results", &results).with("summary", &summary);
    Ok(Answer::json(200, &body))
}

/// A stamp of whole seconds: two changes of one second differ by their version alone.
fn second<T: Tx>(book: &Book<'_, T>) -> Result<u64, StorageError> {
    Ok(book.stamp(None)? / 1_000 * 1_000)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Create,
    Update,
    Delete,
}

type Judged = (Option<u64>, Verdict);

impl Operation {
    fn judge<T: Tx>(&self, book: &mut Book<'_, T>, who: &Who<'_>) -> Result<Judged, StorageError> {
        let id = self.members.read::<u64>("entity_id");
        let text = |name| self.members.read::<String>(name).unwrap_or_default();
        let kind = text("entity_type");
        let Some(entity) = ENTITIES.iter().find(|entity| entity.name == kind) else {
            let says = "The selected entity type is invalid.";
            return Ok((id, wrong_field("entity_type", says)));
        };
        let action = match text("operation_type").as_str() {
            "create" => Action::Create,
            "update" => Action::Update,
            "delete" => Action::Delete,
            _ => {
                let says = "The selected operation type is invalid.";
                return Ok((id, wrong_field("operation_type", says)));
            }
        };
        let Some(payload) = self.members.get("payload").filter(|payload| is_object(payload)) else {
            return Ok((id, wrong_field("payload", "The payload field is required.")));
        };
        let content = match book.canonical(payload) {
            Ok(text) => format!("{kind}|{}|{id:?}|{text}", text_of(action)),
            Err(_) => return Ok((id, wrong_field("payload", "The payload is not sound JSON."))),
        };
        let replay = Replay::named(format!("{}|{}", who.device, self.local_id), &content);
        match book.known(&replay)? {
            Known::Before(outcome) => return Ok(again(&outcome)),
            Known::Other => {
                let says = "This local id was used for another operation.";
                return Ok((id, failed(Some("local_id_reused"), says)));
            }
            Known::Never => {}
        }
        let payload = Object::of(payload);
        match (action, id) {
            (Action::Create, _) => self.create(book, who, entity, &replay, &payload),
            (Action::Update | Action::Delete, None) => {
                Ok((None, wrong_field("entity_id", "The entity id field is required.")))
            }
            (Action::Update | Action::Delete, Some(id)) => {
                let key = Key::new(entity.name, &id.to_string());
                match book.tx.record(&key)? {
                    Some(record) => {
                        let target = Target { key, record, action };
                        self.meet(book, who, entity, &replay, &payload, target)
                    }
                    None => Ok((Some(id), failed(Some("not_found"), "The record does not exist."))),
                }
            }
        }
    }

    fn create<T: Tx>(
        &self,
        book: &mut Book<'_, T>,
        who: &Who<'_>,
        entity: &'static Entity,
        replay: &Replay,
        payload: &Object,
    ) -> Result<Judged, StorageError> {
        let document = match accept(book, entity, None, payload)? {
            Ok(document) => document,
            Err(verdict) => return Ok((None, verdict)),
        };
        let number = book.next(entity.name)?;
        let key = Key::new(entity.name, &number.to_string());
        let stamp = second(book)?;
        let meta = Meta {
            device: Some(who.device.to_owned()),
            local_id: Some(self.local_id.clone()),
            created_at: stamp,
            last: None,
        };
        let written = Written { key: &key, current: None, document: Some(document), meta, stamp };
        self.store(book, who, entity, replay, written)
    }

    /// The record is known: its version decides.
    fn meet<T: Tx>(
        &self,
        book: &mut Book<'_, T>,
        who: &Who<'_>,
        entity: &'static Entity,
        replay: &Replay,
        payload: &Object,
        target: Target,
    ) -> Result<Judged, StorageError> {
        let Target { key, record, action } = target;
        let id = key.id.parse().ok();
        if action == Action::Delete && record.document.is_none() {
            let version = record.version;
            let verdict =
                Verdict::Success { status: "success", version, entity: None, duplicate: false };
            return Ok((id, verdict));
        }
        let Some(version) = payload.read::<u64>("version") else {
            return Ok((id, wrong_field("version", "The version field is required.")));
        };
        if version != record.version {
            return self.conflict(book, who, &key, &record, version);
        }
        let document = match action {
            Action::Delete => None,
            Action::Create | Action::Update => {
                match accept(book, entity, Some(&key.id), payload)? {
                    Ok(document) => Some(document),
                    Err(verdict) => return Ok((id, verdict)),
                }
            }
        };
        let stamp = second(book)?;
        let last = match action {
            Action::Delete => record.document.as_ref().map(Document::object),
            Action::Create | Action::Update => None,
        };
        let meta = Meta { last, ..Meta::of(&record) };
        let written = Written { key: &key, current: Some(&record), document, meta, stamp };
        self.store(book, who, entity, replay, written)
    }

    fn store<T: Tx>(
        &self,
        book: &mut Book<'_, T>,
        who: &Who<'_>,
        entity: &'static Entity,
        replay: &Replay,
        written: Written<'_>,
    ) -> Result<Judged, StorageError> {
        let Written { key, current, document, meta, stamp } = written;
        let old = current.and_then(|record| record.document.as_ref());
        book.hold(entity, &key.id, old, document.as_ref())?;
        let text = serde_json::to_string(&meta).map_err(|e| StorageError(e.to_string()))?;
        let draft = Draft {
            key,
            version: current.map_or(0, |record| record.version) + 1,
            document,
            op_id: &replay.name,
            stamp,
            part: String::new(),
            meta: Document::parse(&text).ok(),
        };
        let record = book.put(draft)?;
        let entity_row = record.document.is_some().then(|| row(key, &record));
        let outcome = Outcome {
            server_id: Some(key.id.clone()),
            document: Some(entity_row.clone().map(Object::into_document)),
            ..Outcome::applied(&replay.name, record.version)
        };
        book.keep(replay, outcome)?;
        self.settled(book, who, key)?;
        let version = record.version;
        let verdict =
            Verdict::Success { status: "success", version, entity: entity_row, duplicate: false };
        Ok((key.id.parse().ok(), verdict))
    }

    /// What this device had waiting about the record waits no longer.
    fn settled<T: Tx>(
        &self,
        book: &mut Book<'_, T>,
        who: &Who<'_>,
        key: &Key,
    ) -> Result<(), StorageError> {
        let id: Option<u64> = key.id.parse().ok();
        for (name, row) in waiting(book, who.device)? {
            let about = row.entity_type == key.collection && row.entity_id == id;
            if about || row.local_id == self.local_id {
                book.tx.put_note(WAITING, &name, None)?;
            }
        }
        Ok(())
    }

    fn conflict<T: Tx>(
        &self,
        book: &mut Book<'_, T>,
        who: &Who<'_>,
        key: &Key,
        record: &Record,
        version: u64,
    ) -> Result<Judged, StorageError> {
        let payload = self.members.get("payload").unwrap_or(RawValue::NULL).to_owned();
        let conflict_data = ConflictData {
            client_version: Some(version),
            server_version: record.version,
            client_data: payload.clone(),
            server_data: row(key, record),
        };
        let name = format!("{}|{}", who.device, self.local_id);
        let now = time::laravel(book.now_ms);
        let before = book.tx.note(WAITING, &name)?;
        let before = before.and_then(|text| serde_json::from_str::<Row>(&text).ok());
        let (id, created_at) = match before {
            Some(row) => (row.id, row.created_at),
            None => (book.next(WAITING)?, now.clone()),
        };
        let entity_id = key.id.parse().ok();
        let row = Row {
            id,
            device_id: who.device.to_owned(),
            user_id: who.user,
            entity_type: key.collection.clone(),
            entity_id,
            operation_type: self.members.read("operation_type").unwrap_or_default(),
            local_id: self.local_id.clone(),
            payload,
            status: "conflict".to_owned(),
            conflict_data: conflict_data.clone(),
            error_message: None,
            attempted_at: now.clone(),
            completed_at: None,
            created_at,
            updated_at: now,
        };
        let text = serde_json::to_string(&row).map_err(|e| StorageError(e.to_string()))?;
        book.tx.put_note(WAITING, &name, Some(&text))?;
        Ok((entity_id, Verdict::Conflict { status: "conflict", conflict_data }))
    }
}

/// A record that an operation is about.
struct Target {
    key: Key,
    record: Record,
    action: Action,
}

/// What an operation makes of a record.
struct Written<'a> {
    key: &'a Key,
    current: Option<&'a Record>,
    document: Option<Document>,
    meta: Meta,
    stamp: u64,
}

const fn text_of(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
    }
}

/// The stored entry of an operation that comes again.
fn again(outcome: &Outcome) -> Judged {
    let entity = outcome.document.as_ref().and_then(Option::as_ref).map(Document::object);
    let version = outcome.version.unwrap_or(0);
    let verdict = Verdict::Success { status: "success", version, entity, duplicate: true };
    (outcome.server_id.as_deref().and_then(|id| id.parse().ok()), verdict)
}

/// The document as it is to be stored, which has the known fields alone; or why it is not.
fn accept<T: Tx>(
    book: &Book<'_, T>,
    entity: &'static Entity,
    own: Option<&str>,
    payload: &Object,
) -> Result<Result<Document, Verdict>, StorageError> {
    let known = |name: &str| entity.fields.iter().any(|field| field.name == name);
    let members = payload.clone().keep(known);
    let document = members.clone().into_document();
    if let Err(says) = book.check(entity, &document) {
        return Ok(Err(wrong(&says)));
    }
    for (field, collection) in entity.links {
        let id = members.read::<u64>(field).map(|id| id.to_string()).unwrap_or_default();
        if members.has(field) && !book.is_known(collection, &id)? {
            let says = format!("The selected {} is invalid.", spoken(field));
            return Ok(Err(wrong_field(field, &says)));
        }
    }
    if let Some((field, _)) = book.holder(entity, own, &members)? {
        return Ok(Err(wrong_field(field, &format!("The {field} has already been taken."))));
    }
    Ok(Ok(document))
}

/// A row of `sync_operations`.
#[derive(Serialize, Deserialize)]
struct Row {
    id: u64,
    device_id: String,
    user_id: u64,
    entity_type: String,
    entity_id: Option<u64>,
    operation_type: String,
    local_id: String,
    payload: Box<RawValue>,
    status: String,
    conflict_data: ConflictData,
    error_message: Option<String>,
    attempted_at: String,
    completed_at: Option<String>,
    created_at: String,
    updated_at: String,
}

fn waiting<T: Tx>(book: &Book<'_, T>, device: &str) -> Result<Vec<(String, Row)>, StorageError> {
    let notes = book.tx.notes(WAITING, &format!("{device}|"))?;
    let rows = notes.into_iter().map(|(name, text)| {
        let row = serde_json::from_str(&text).map_err(|e| StorageError(e.to_string()))?;
        Ok((name, row))
    });
    rows.collect()
}

fn pending<T: Tx>(book: &Book<'_, T>, device: &str) -> Result<Answer, StorageError> {
    let mut rows: Vec<Row> = waiting(book, device)?.into_iter().map(|(_, row)| row).collect();
    rows.sort_by_key(|row| row.id);
    Ok(Answer::json(200, &Object::default().with("operations", &rows)))
}

impl Table {
    fn answer<T: Tx>(&self, book: &Book<'_, T>) -> Result<Answer, StorageError> {
        let list = List {
            collection: self.collection,
            since: self.since.as_deref().and_then(time::parse).unwrap_or(0),
            tombstones: self.trashed,
            skip: (self.page - 1) * self.per_page,
            limit: self.per_page,
        };
        let total = book.tx.count(&list)?;
        let rows = book.tx.list(&list)?;
        let data: Vec<Object> = rows.iter().map(|(key, record)| row(key, record)).collect();
        let pages = usize::try_from(total).unwrap_or(usize::MAX).div_ceil(self.per_page).max(1);
        let meta = Object::default()
            .with("current_page", &self.page)
            .with("last_page", &pages)
            .with("per_page", &self.per_page)
            .with("total", &total);
        let body = Object::default()
            .with("data", &data)
            .with("links", &self.links(total, pages))
            .with("meta", &meta);
        Ok(Answer::json(200, &body))
    }

    fn links(&self, total: u64, pages: usize) -> Object {
        if total == 0 {
            return Object::default();
        }
        let since = match &self.since {
            Some(since) => {
                format!("updated_since={}&", since.replace(':', "%3A").replace('+', "%2B"))
            }
            None => String::new(),
        };
        let trashed = if self.trashed { "with_trashed=1&" } else { "" };
        let link = |page: usize| {
            format!("{}?{since}{trashed}per_page={}&page={page}", self.path, self.per_page)
        };
        Object::default()
            .with("first", &link(1))
            .with("last", &link(pages))
            .with("prev", &(self.page > 1).then(|| link(self.page - 1)))
            .with("next", &(self.page < pages).then(|| link(self.page + 1)))
    }
}
