//! A backend behind two functions of the application (`defineRemote`), as a [`Remote`]. Batches and answers cross as JSON
//! text; the TypeScript has turned whatever the functions threw into a word.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::callbacks::{Ask, Callbacks};
use super::text::{Object, list};
use crate::browser::{NoToken, TokenReason};
use crate::model::json::quote;
use crate::model::{
    Batch, Capabilities, Cursor, Departure, Document, Edit, EntityKey, Halt, Intent, Millis, OpId,
    Outcome, Presence, PullPage, PushReply, RemoteChange, Scope, Theirs, Version,
};
use crate::port::Remote;

/// Changes asked for in one page.
const PAGE: u64 = 1_000;

/// The application's own remote.
pub(super) struct JsRemote {
    callbacks: Callbacks,
    capabilities: Capabilities,
}

impl JsRemote {
    pub(super) fn new(callbacks: Callbacks, capabilities: Capabilities) -> Self {
        Self { callbacks, capabilities }
    }

    /// One call. After "auth" it is made once more with a new token (P32).
    async fn ask(&self, ask: Ask, text: &str) -> Result<String, Halt> {
        let mut reason = TokenReason::Initial;
        loop {
            let answer = self.callbacks.remote(ask, text, reason).await;
            let answer = answer.map_err(|NoToken| Halt::Auth)?.ok_or(Halt::Unreachable)?;
            match failure(&answer) {
                None => return Ok(answer),
                Some(Halt::Auth) if reason == TokenReason::Initial => reason = TokenReason::Refused,
                Some(halt) => return Err(halt),
            }
        }
    }
}

impl Remote for JsRemote {
    async fn push(&self, batch: &Batch) -> PushReply {
        let text = batch_text(batch, self.capabilities.whole_record);
        match self.ask(Ask::Push, &text).await {
            Ok(answer) => match verdicts(batch, &answer) {
                Some(outcomes) => PushReply {
                    outcomes,
                    bytes: (text.len() + answer.len()) as u64,
                    ..PushReply::default()
                },
                None => PushReply::halted(Halt::Protocol),
            },
            Err(halt) => PushReply::halted(halt),
        }
    }

    async fn pull(&self, scope: &Scope, cursor: Option<&Cursor>) -> Result<PullPage, Halt> {
        let text = Object::new()
            .text("scope", &scope.0)
            // A cursor is whatever JSON the application gave, kept as its text.
            .raw("cursor", cursor.map_or("null", |cursor| &cursor.0))
            .number("limit", PAGE)
            .end();
        let answer = self.ask(Ask::Pull, &text).await?;
        let mut page = page(cursor, &answer).ok_or(Halt::Protocol)?;
        page.bytes = (text.len() + answer.len()) as u64;
        Ok(page)
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
}

fn batch_text(batch: &Batch, whole: bool) -> String {
    let device = batch.operations.first().map(|first| first.device);
    Object::new()
        .maybe(device, |object, device| object.id("deviceId", &device))
        .raw("operations", &list(batch.operations.iter().map(|one| operation(one, whole))))
        .end()
}

fn operation(departure: &Departure, whole: bool) -> String {
    let Departure { op, collection, id, stamp, sends, .. } = departure;
    let object = Object::new().id("opId", op).text("collection", collection).text("id", id);
    let object = match &departure.intent {
        Intent::Create(document) => object.text("kind", "create").raw("document", document.text()),
        Intent::Replace(document) => {
            object.text("kind", "replace").raw("document", document.text())
        }
        Intent::Change(edits) if !whole => object
            .text("kind", "change")
            .raw("patch", &merge_patch(edits))
            .raw("edits", &list(edits.iter().map(edit))),
        // The engine seals whole records where the backend wants them; a change is then what is left of an older release.
        Intent::Change(edits) => object.text("kind", "change").raw("patch", &merge_patch(edits)),
        Intent::Delete => object.text("kind", "delete"),
        Intent::Resolve(resolve) => match &resolve.chosen {
            Presence::Live(document) => {
                object.text("kind", "replace").raw("document", document.text())
            }
            Presence::Deleted => object.text("kind", "delete"),
        },
    };
    let object = match &departure.assumed {
        Some(Version::Number(version)) => object.number("assumedVersion", *version),
        Some(Version::Stamp(text) | Version::Opaque(text)) => object.text("assumedVersion", text),
        None => object.raw("assumedVersion", "null"),
    };
    object
        .number("modifiedAt", stamp.millis)
        .number("sends", u64::from(*sends))
        .maybe(departure.group.as_ref(), |object, (group, size)| {
            let group = Object::new().id("id", group).number("size", u64::from(*size)).end();
            object.raw("group", &group)
        })
        .end()
}

fn edit(edit: &Edit) -> String {
    let path = list(edit.path().0.iter().map(|name| quote(name)));
    match edit.value() {
        Some(value) => Object::new().raw("set", &path).raw("value", value.text()).end(),
        None => Object::new().raw("remove", &path).end(),
    }
}

/// Edits as the merge patch that comes closest: it cannot set `null`, nor take members out by setting an object.
fn merge_patch(edits: &[Edit]) -> String {
    let none = Document::parse("{}").ok();
    let values: Vec<Edit> = edits
        .iter()
        .map(|edit| {
            let value = edit.value().cloned().or_else(|| crate::model::Json::parse("null").ok());
            Edit::to(edit.path().clone(), value)
        })
        .collect();
    none.map_or_else(String::new, |none| {
        crate::model::edit::apply(&none, &values).text().to_owned()
    })
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    halt: Cow<'a, str>,
    after: Option<f64>,
}

/// What the functions said instead of an answer.
fn failure(answer: &str) -> Option<Halt> {
    let failure: Failure<'_> = serde_json::from_str(answer).ok()?;
    Some(match failure.halt.as_ref() {
        "unreachable" => Halt::Unreachable,
        "auth" => Halt::Auth,
        "forbidden" => Halt::Forbidden,
        "misconfigured" => Halt::Misconfigured,
        "later" => Halt::Later(failure.after.and_then(millis)),
        "too-large" => Halt::TooLarge,
        "cursor-expired" => Halt::Expired,
        _ => Halt::Protocol,
    })
}

/// The longest wait that is kept: a day.
const LONGEST: f64 = 86_400_000.0;

fn millis(seconds: f64) -> Option<Millis> {
    let wait = (seconds * 1_000.0).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative and at most a day"
    )]
    (wait >= 0.0).then(|| Millis(wait.min(LONGEST) as u64))
}

#[derive(Deserialize)]
struct PushAnswer<'a> {
    #[serde(borrow)]
    outcomes: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireOutcome<'a> {
    #[serde(borrow)]
    op_id: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    document: Option<&'a RawValue>,
    server_id: Option<String>,
    other: Option<String>,
    code: Option<String>,
    message: Option<String>,
    r#final: Option<bool>,
    after: Option<f64>,
}

/// Tells `null` from absent.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// A whole number counts; every other text can only be told equal or different.
fn version(raw: Option<&RawValue>) -> Result<Option<Version>, ()> {
    let Some(raw) = raw else { return Ok(None) };
    if let Ok(number) = serde_json::from_str::<u64>(raw.get()) {
        return Ok(Some(Version::Number(number)));
    }
    serde_json::from_str::<String>(raw.get())
        .map(|text| Some(Version::Opaque(text)))
        .map_err(|_| ())
}

fn presence(raw: &RawValue) -> Option<Presence> {
    if raw.get() == "null" {
        return Some(Presence::Deleted);
    }
    Document::parse(raw.get()).ok().map(Presence::Live)
}

/// The verdicts, by operation. One that is not understood, or contradicts another, makes the whole answer worthless (R7).
fn verdicts(batch: &Batch, answer: &str) -> Option<Vec<(OpId, Outcome)>> {
    let answer: PushAnswer<'_> = serde_json::from_str(answer).ok()?;
    let mut outcomes: Vec<(OpId, Outcome)> = Vec::new();
    for raw in answer.outcomes {
        let wire: WireOutcome<'_> = serde_json::from_str(raw.get()).ok()?;
        let op = OpId::parse(&wire.op_id)?;
        if !batch.operations.iter().any(|departure| departure.op == op) {
            continue;
        }
        let outcome = verdict(wire)?;
        match outcomes.iter().find(|(known, _)| *known == op) {
            Some((_, first)) if *first == outcome => {}
            Some(_) => return None,
            None => outcomes.push((op, outcome)),
        }
    }
    Some(outcomes)
}

fn verdict(wire: WireOutcome<'_>) -> Option<Outcome> {
    let version = version(wire.version).ok()?;
    match wire.kind.as_ref() {
        "applied" => Some(Outcome::Applied {
            version,
            presence: match wire.document {
                Some(raw) => Some(presence(raw)?),
                None => None,
            },
            stamp: None,
            assigned_id: wire.server_id,
        }),
        "conflict" => {
            let theirs = match presence(wire.document?)? {
                Presence::Live(document) => Theirs::Live { document, version, stamp: None },
                Presence::Deleted => Theirs::Deleted { version, stamp: None },
            };
            Some(Outcome::Conflict { theirs, other: wire.other, token: None })
        }
        "rejected" => Some(Outcome::Rejected {
            code: wire.code?,
            message: wire.message.unwrap_or_default(),
            last: wire.r#final.unwrap_or(true),
        }),
        "retry" => Some(Outcome::Retry { after: wire.after.and_then(millis) }),
        _ => None,
    }
}

#[derive(Deserialize)]
struct PullAnswer<'a> {
    #[serde(borrow)]
    changes: Vec<&'a RawValue>,
    #[serde(borrow)]
    cursor: &'a RawValue,
    more: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireChange<'a> {
    collection: String,
    id: String,
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow)]
    document: &'a RawValue,
    #[serde(borrow)]
    op_id: Option<Cow<'a, str>>,
}

/// A page. A change that cannot be read is kept aside with its text (R2); it is no deletion and does not hold up the rest.
fn page(from: Option<&Cursor>, answer: &str) -> Option<PullPage> {
    let answer: PullAnswer<'_> = serde_json::from_str(answer).ok()?;
    let next = Cursor(answer.cursor.get().to_owned());
    // A page that says "more" and stays where it is would be asked for without end.
    if answer.more && from == Some(&next) {
        return None;
    }
    let mut page =
        PullPage { changes: Vec::new(), unreadable: Vec::new(), next, more: answer.more, bytes: 0 };
    for raw in answer.changes {
        match change(raw) {
            Some(change) => page.changes.push(change),
            None => page.unreadable.push(raw.get().to_owned()),
        }
    }
    Some(page)
}

fn change(raw: &RawValue) -> Option<RemoteChange> {
    let wire: WireChange<'_> = serde_json::from_str(raw.get()).ok()?;
    if wire.collection.is_empty() || wire.id.is_empty() {
        return None;
    }
    Some(RemoteChange {
        presence: presence(wire.document)?,
        key: EntityKey::new(wire.collection, wire.id),
        version: version(wire.version).ok()?,
        stamp: None,
        op: wire.op_id.and_then(|id| OpId::parse(&id)),
    })
}
