//! The envelope of the standard protocol: what a push says, what the answers say.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::PROTOCOL;
use crate::canonical::{canonical, plain};
use crate::document::{Document, Edit, Refused};
use crate::limits::Limits;
use crate::problem::{Problem, ProblemKind};

/// Names one record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The collection.
    pub collection: String,
    /// The record's id, chosen by whoever created it.
    pub id: String,
}

impl Key {
    /// The key of `id` in `collection`.
    #[must_use]
    pub fn new(collection: &str, id: &str) -> Self {
        Self { collection: collection.to_owned(), id: id.to_owned() }
    }
}

/// One change that a device asks for.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The operation id: the same for every repeat, never used for anything else.
    pub op_id: String,
    /// The record.
    pub key: Key,
    /// What to do with it.
    pub intent: Intent,
    /// The version the edit was made on; `None`: the record did not exist, or it is not known.
    pub assumed: Option<u64>,
    /// When the edit was made, by the device's corrected clock, in ms since the epoch.
    pub at: u64,
}

/// What an operation does.
#[derive(Debug, Clone)]
pub enum Intent {
    /// Makes the record.
    Create(Document),
    /// Edits some of its members, in order.
    Change(Vec<Edit>),
    /// Replaces the whole document.
    Replace(Document),
    /// Deletes the record.
    Delete,
}

/// Membership in a group: operations that are applied all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Names the group within the request.
    pub id: String,
    /// How many members it has; all of them are in this request, one after the other.
    pub size: usize,
}

/// One entry of [`PushRequest::operations`].
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The operation id.
    pub op_id: String,
    /// The record it is about, if that much could be read.
    pub key: Option<Key>,
    /// The group it belongs to.
    pub group: Option<Group>,
    /// SHA-256 of the canonical operation, its group left out.
    pub digest: [u8; 32],
    /// The operation, or the final refusal it gets because it breaks a rule of the protocol. One
    /// bad operation never fails the others.
    pub operation: Result<Operation, Rejection>,
}

/// The refusal of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Stable code, for example `validation`.
    pub code: String,
    /// A sentence for a person.
    pub message: String,
    /// Whether asking again can never help. Only these are stored and repeated word for word.
    pub last: bool,
}

impl Rejection {
    /// A final refusal.
    #[must_use]
    pub fn last(code: &str, message: &str) -> Self {
        Self { code: code.to_owned(), message: message.to_owned(), last: true }
    }
}

/// A push: `POST {base}/push`.
#[derive(Debug, Clone)]
pub struct PushRequest {
    /// The device that sends; for logs and audits, never part of a verdict.
    pub device: String,
    /// The operations, in the order in which they are handled.
    pub operations: Vec<Submitted>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    holdfast: u32,
    device: String,
    #[serde(borrow)]
    operations: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    op_id: String,
    group: Option<Group>,
}

#[derive(Deserialize)]
struct Named {
    collection: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    collection: String,
    id: String,
    kind: String,
    assumed: Option<u64>,
    document: Option<Box<RawValue>>,
    edits: Option<Vec<WireEdit>>,
    at: u64,
}

/// `{"set":[path],"value":..}` or `{"remove":[path]}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEdit {
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    value: Option<Box<RawValue>>,
}

/// Tells `null` from absent.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Malformed, detail)
}

fn invalid(message: impl Into<String>) -> Rejection {
    Rejection { code: "invalid".to_owned(), message: message.into(), last: true }
}

fn is_token(text: &str, limits: &Limits) -> bool {
    (1..=limits.token_chars).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

impl PushRequest {
    /// A request made of operations without groups.
    #[must_use]
    pub fn new(device: &str, operations: Vec<Operation>) -> Self {
        Self {
            device: device.to_owned(),
            operations: operations.into_iter().map(Submitted::from).collect(),
        }
    }

    /// Reads and validates a request body.
    ///
    /// # Errors
    /// `malformed`, `invalid` or `too-large`: then no operation was looked at. A single bad
    /// operation is not an error; it becomes a [`Submitted`] with its refusal.
    pub fn parse(body: &[u8], limits: &Limits) -> Result<Self, Problem> {
        if body.len() > limits.request_bytes {
            let detail = format!("a request has at most {} bytes", limits.request_bytes);
            return Err(Problem::new(ProblemKind::TooLarge, detail));
        }
        let text = std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8"))?;
        let envelope: Envelope<'_> =
            serde_json::from_str(text).map_err(|e| malformed(describe(&e)))?;
        if envelope.holdfast != PROTOCOL {
            let detail = format!("this server speaks version {PROTOCOL} of the protocol");
            return Err(Problem::new(ProblemKind::Invalid, detail));
        }
        if !is_token(&envelope.device, limits) {
            return Err(Problem::new(ProblemKind::Invalid, "the device id is not acceptable"));
        }
        if envelope.operations.len() > limits.operations {
            let detail = format!("a request has at most {} operations", limits.operations);
            return Err(Problem::new(ProblemKind::TooLarge, detail));
        }
        let mut operations = Vec::with_capacity(envelope.operations.len());
        for (index, raw) in envelope.operations.into_iter().enumerate() {
            operations.push(read(index, raw, limits)?);
        }
        let request = Self { device: envelope.device, operations };
        request.check(limits)?;
        Ok(request)
    }

    /// The rules that concern several operations: ids once, groups whole and in one piece.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Problem> {
        let mut ids = BTreeSet::new();
        for submitted in &self.operations {
            if !ids.insert(submitted.op_id.as_str()) {
                let detail = "an operation id occurs twice in the request";
                return Err(Problem::new(ProblemKind::Invalid, detail));
            }
        }
        let mut seen = BTreeSet::new();
        for run in self.runs() {
            let Some(group) = run.first().and_then(|s| s.group.as_ref()) else { continue };
            if group.size == 0 || group.size > limits.group {
                let detail = format!("a group has 1 to {} members", limits.group);
                return Err(Problem::new(ProblemKind::Invalid, detail));
            }
            if run.len() != group.size || !seen.insert(group.id.as_str()) {
                return Err(malformed(
                    "the members of a group must all be in the request, one after the other",
                ));
            }
            // Else the second could be judged against a version that a rollback takes away.
            let mut keys = BTreeSet::new();
            if run.iter().filter_map(|s| s.key.as_ref()).any(|key| !keys.insert(key)) {
                let detail = "a group names a record twice";
                return Err(Problem::new(ProblemKind::Invalid, detail));
            }
        }
        Ok(())
    }

    /// The operations in pieces that share one fate: a group, or one operation alone.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &[Submitted]> {
        self.operations.chunk_by(|a, b| a.group.is_some() && a.group == b.group)
    }

    /// The request as JSON text, the inverse of [`PushRequest::parse`]. Operations that were
    /// refused while reading are left out.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Out<'a> {
            holdfast: u32,
            device: &'a str,
            operations: Vec<WireOperation<'a>>,
        }
        let operations = self
            .operations
            .iter()
            .filter_map(|s| Some(WireOperation::of(s.operation.as_ref().ok()?, s.group.as_ref())))
            .collect();
        let out = Out { holdfast: PROTOCOL, device: &self.device, operations };
        // Strings, integers and JSON text that was read before: this cannot fail.
        serde_json::to_string(&out).unwrap_or_default()
    }
}

/// An error in the envelope, with its place: the text is the client's own.
fn describe(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Io | Category::Syntax => "the body is not JSON",
        Category::Eof => "the body ends too early",
        Category::Data => "the body is not a push",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

fn read(index: usize, raw: &RawValue, limits: &Limits) -> Result<Submitted, Problem> {
    let head: Head = serde_json::from_str(raw.get())
        .map_err(|e| malformed(format!("operation {index}: {}", plain(&e))))?;
    if !is_token(&head.op_id, limits)
        || head.group.as_ref().is_some_and(|g| !is_token(&g.id, limits))
    {
        return Err(malformed(format!("operation {index}: an id is not acceptable")));
    }
    match operation(&head.op_id, raw, limits) {
        Ok(operation) => Ok(Submitted { group: head.group, ..Submitted::from(operation) }),
        Err(rejection) => {
            let text = canonical(raw.get(), limits).unwrap_or_else(|_| raw.get().to_owned());
            let key = serde_json::from_str::<Named>(raw.get()).ok();
            Ok(Submitted {
                op_id: head.op_id,
                key: key.map(|n| Key { collection: n.collection, id: n.id }),
                group: head.group,
                digest: Sha256::digest(text).into(),
                operation: Err(rejection),
            })
        }
    }
}

fn operation(op_id: &str, raw: &RawValue, limits: &Limits) -> Result<Operation, Rejection> {
    let body: Body = serde_json::from_str(raw.get()).map_err(|e| invalid(plain(&e)))?;
    let name_ok = (1..=limits.collection_chars).contains(&body.collection.len())
        && body.collection.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !name_ok {
        return Err(invalid("the collection name is not acceptable"));
    }
    let id_ok = (1..=limits.id_chars).contains(&body.id.chars().count())
        && !body.id.chars().any(char::is_control);
    if !id_ok {
        return Err(invalid("the record id is not acceptable"));
    }
    let intent = match (body.kind.as_str(), body.document, body.edits) {
        ("create", Some(document), None) => Intent::Create(accept(document, limits)?),
        ("replace", Some(document), None) => Intent::Replace(accept(document, limits)?),
        ("change", None, Some(edits)) => {
            Intent::Change(edits.into_iter().map(|e| edit(e, limits)).collect::<Result<_, _>>()?)
        }
        ("delete", None, None) => Intent::Delete,
        ("create" | "replace", _, _) => return Err(invalid("needs a document, and no edits")),
        ("change", _, _) => return Err(invalid("needs edits, and no document")),
        ("delete", _, _) => return Err(invalid("takes no document and no edits")),
        _ => return Err(invalid("the kind is not create, change, replace or delete")),
    };
    let key = Key { collection: body.collection, id: body.id };
    Ok(Operation { op_id: op_id.to_owned(), key, intent, assumed: body.assumed, at: body.at })
}

pub(crate) fn refuse(refused: Refused) -> Rejection {
    match refused {
        Refused::TooLarge => Rejection::last("too-large", "the document is too large"),
        Refused::Invalid(reason) => invalid(reason),
    }
}

fn accept(raw: Box<RawValue>, limits: &Limits) -> Result<Document, Rejection> {
    let document = Document::from_raw(raw).map_err(invalid)?;
    document.check(limits).map_err(refuse)?;
    Ok(document)
}

fn edit(wire: WireEdit, limits: &Limits) -> Result<Edit, Rejection> {
    let edit = match (wire.set, wire.remove, wire.value) {
        (Some(path), None, Some(value)) => {
            if value.get().len() > limits.document_bytes {
                return Err(refuse(Refused::TooLarge));
            }
            canonical(value.get(), limits).map_err(invalid)?;
            Edit::Set { path, value }
        }
        (None, Some(path), None) => Edit::Remove { path },
        _ => return Err(invalid("an edit is a set with a value, or a remove")),
    };
    let path = edit.path();
    if path.is_empty() || path.len() > limits.depth {
        return Err(invalid("the path of an edit is empty or too long"));
    }
    if path.iter().any(|name| name.len() > limits.key_bytes) {
        return Err(invalid("a member name is too long"));
    }
    Ok(edit)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireOperation<'a> {
    op_id: &'a str,
    collection: &'a str,
    id: &'a str,
    kind: &'a str,
    assumed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edits: Option<Vec<WireEdit>>,
    at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a Group>,
}

impl<'a> WireOperation<'a> {
    fn of(operation: &'a Operation, group: Option<&'a Group>) -> Self {
        let (kind, document, edits) = match &operation.intent {
            Intent::Create(document) => ("create", Some(document), None),
            Intent::Replace(document) => ("replace", Some(document), None),
            Intent::Change(edits) => ("change", None, Some(edits.iter().map(wire_edit).collect())),
            Intent::Delete => ("delete", None, None),
        };
        Self {
            op_id: &operation.op_id,
            collection: &operation.key.collection,
            id: &operation.key.id,
            kind,
            assumed: operation.assumed,
            document,
            edits,
            at: operation.at,
            group,
        }
    }
}

fn wire_edit(edit: &Edit) -> WireEdit {
    match edit {
        Edit::Set { path, value } => {
            WireEdit { set: Some(path.clone()), remove: None, value: Some(value.clone()) }
        }
        Edit::Remove { path } => WireEdit { set: None, remove: Some(path.clone()), value: None },
    }
}

impl From<Operation> for Submitted {
    fn from(operation: Operation) -> Self {
        let text = serde_json::to_string(&WireOperation::of(&operation, None)).unwrap_or_default();
        // Every part was checked alone; the whole is a few levels deeper than a document may be.
        let open = Limits { depth: 120, key_bytes: usize::MAX, ..Limits::default() };
        let digest = Sha256::digest(canonical(&text, &open).unwrap_or(text)).into();
        Self {
            op_id: operation.op_id.clone(),
            key: Some(operation.key.clone()),
            group: None,
            digest,
            operation: Ok(operation),
        }
    }
}

/// The verdict about one operation, as it stands in an answer and in the store.
///
/// Members that a kind does not have are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The operation it is about.
    pub op_id: String,
    /// Which of the four verdicts.
    pub kind: OutcomeKind,
    /// Applied: the version it made. Conflict: the version the server has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Applied: the server's document, only if it differs from what the operation made of the
    /// assumed version. Conflict: the server's document, `Some(None)` if it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub document: Option<Option<Document>>,
    /// Conflict: when the server's version was written, in ms since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// Applied: the id the server gave to the record, where it gives ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<String>,
    /// Conflict: the id of another record that is the same thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// Rejected: the stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Rejected: a sentence for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Rejected: whether asking again can never help.
    #[serde(default, rename = "final", skip_serializing_if = "Option::is_none")]
    pub last: Option<bool>,
    /// Retry: seconds to wait at least, in thousandths here.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub after: Option<u64>,
    /// Retry: the operation whose verdict is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Applied: this is a repeat of a verdict given before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub duplicate: bool,
}

/// The four verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// It had its effect, now or when it first came.
    Applied,
    /// The record has another version; no effect.
    Conflict,
    /// The server does not want it; no effect.
    Rejected,
    /// Not decided; send it again, unchanged.
    Retry,
}

impl OutcomeKind {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Conflict => "conflict",
            Self::Rejected => "rejected",
            Self::Retry => "retry",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Seconds on the wire, whole milliseconds inside.
mod seconds {
    use super::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the shape serde asks for")]
    pub(super) fn serialize<S: Serializer>(ms: &Option<u64>, s: S) -> Result<S::Ok, S::Error> {
        match ms {
            None => s.serialize_none(),
            Some(ms) if ms % 1_000 == 0 => s.serialize_u64(ms / 1_000),
            #[expect(clippy::cast_precision_loss, reason = "a waiting time is far below 2^53 ms")]
            Some(ms) => s.serialize_f64(*ms as f64 / 1_000.0),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float cast saturates, and a negative wait is no wait"
        )]
        let ms = Option::<f64>::deserialize(d)?.map(|s| (s * 1_000.0).round() as u64);
        Ok(ms)
    }
}

impl Outcome {
    fn empty(op_id: &str, kind: OutcomeKind) -> Self {
        Self {
            op_id: op_id.to_owned(),
            kind,
            version: None,
            document: None,
            at: None,
            server_id: None,
            other: None,
            code: None,
            message: None,
            last: None,
            after: None,
            because: None,
            duplicate: false,
        }
    }

    /// Applied at `version`.
    #[must_use]
    pub fn applied(op_id: &str, version: u64) -> Self {
        Self { version: Some(version), ..Self::empty(op_id, OutcomeKind::Applied) }
    }

    /// In conflict with `version`, whose document is `None` if the record is deleted.
    #[must_use]
    pub fn conflict(op_id: &str, version: u64, document: Option<Document>, at: u64) -> Self {
        Self {
            version: Some(version),
            document: Some(document),
            at: Some(at),
            ..Self::empty(op_id, OutcomeKind::Conflict)
        }
    }

    /// Refused.
    #[must_use]
    pub fn rejected(op_id: &str, rejection: Rejection) -> Self {
        Self {
            code: Some(rejection.code),
            message: Some(rejection.message),
            last: Some(rejection.last),
            ..Self::empty(op_id, OutcomeKind::Rejected)
        }
    }

    /// To be sent again, because of another operation where one is named.
    #[must_use]
    pub fn retry(op_id: &str, because: Option<&str>) -> Self {
        Self { because: because.map(str::to_owned), ..Self::empty(op_id, OutcomeKind::Retry) }
    }

    /// Whether a repeat must get this verdict word for word, for ever.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        match self.kind {
            OutcomeKind::Applied | OutcomeKind::Conflict => true,
            OutcomeKind::Rejected => self.last == Some(true),
            OutcomeKind::Retry => false,
        }
    }
}

/// The answer to a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushAnswer {
    holdfast: u32,
    /// One verdict per operation, in the order of the request.
    pub outcomes: Vec<Outcome>,
    /// Changes when the server was restored from a backup.
    pub epoch: String,
    /// The server's clock, in ms since the epoch.
    pub time: u64,
    end: bool,
}

impl PushAnswer {
    /// An answer with both markers.
    #[must_use]
    pub fn new(outcomes: Vec<Outcome>, epoch: String, time: u64) -> Self {
        Self { holdfast: PROTOCOL, outcomes, epoch, time, end: true }
    }

    /// The body.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// One row of a page: a record at its latest state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The record's collection.
    pub collection: String,
    /// The record's id.
    pub id: String,
    /// Its version.
    pub version: u64,
    /// Its document, `null` if it is deleted.
    pub document: Option<Document>,
    /// The operation that made this version.
    pub op_id: String,
    /// When that operation's edit was made, never later than the server's clock at its arrival.
    pub at: u64,
}

/// The answer to a pull.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullAnswer {
    holdfast: u32,
    /// Changed records in the order of their last change, each at most once.
    pub changes: Vec<Change>,
    /// Where to go on. Opaque to clients.
    pub cursor: String,
    /// Whether more is there now.
    pub more: bool,
    /// Changes when the server was restored from a backup.
    pub epoch: String,
    /// The server's clock, in ms since the epoch.
    pub time: u64,
    end: bool,
}

impl PullAnswer {
    pub(crate) fn new(
        changes: Vec<Change>,
        cursor: String,
        more: bool,
        epoch: String,
        time: u64,
    ) -> Self {
        Self { holdfast: PROTOCOL, changes, cursor, more, epoch, time, end: true }
    }

    /// The body.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
