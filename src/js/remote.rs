//! A backend behind two functions of the application (`defineRemote`), as a [`Remote`]. Batches and answers cross as JSON
//! text; the TypeScript has turned whatever the functions threw into a word.

use super::callbacks::{Ask, Callbacks};
use super::text::{Members, Object, list};
use crate::browser::TokenReason;
use crate::model::json::{quote, unquote};
use crate::model::number::Number;
use crate::model::{
    Batch, Capabilities, Cursor, Departure, DeviceId, Document, Edit, EntityKey, Halt, Intent,
    Millis, OpId, Outcome, Presence, PullPage, PushReply, RemoteChange, Scope, Stamp, Theirs,
    Version, Wall,
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

    /// One call, and the bytes of its answer. After "auth" it is made once more with a new token (P32).
    async fn ask(&self, ask: Ask, text: &str) -> Result<(Members, u64), Halt> {
        let mut reason = TokenReason::Initial;
        loop {
            let answer = self.callbacks.remote(ask, text, reason).await.ok_or(Halt::Unreachable)?;
            let members = Members::read(&answer).ok_or(Halt::Protocol)?;
            // The application has none: asking again would be of no use.
            if members.text("halt").as_deref() == Some("no-token") {
                return Err(Halt::Auth);
            }
            match failure(&members) {
                None => return Ok((members, (text.len() + answer.len()) as u64)),
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
            Ok((answer, bytes)) => match verdicts(batch, &answer) {
                Some(outcomes) => {
                    let up = text.len() as u64;
                    PushReply { outcomes, bytes, up, time: time(&answer), ..PushReply::default() }
                }
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
        let (answer, bytes) = self.ask(Ask::Pull, &text).await?;
        let page = page(cursor, &answer).ok_or(Halt::Protocol)?;
        Ok(PullPage { bytes, ..page })
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

/// What the functions said instead of an answer.
fn failure(answer: &Members) -> Option<Halt> {
    Some(match &*answer.text("halt")? {
        "unreachable" => Halt::Unreachable,
        "auth" => Halt::Auth,
        "forbidden" => Halt::Forbidden,
        "misconfigured" => Halt::Misconfigured,
        "later" => Halt::Later(wait(answer)),
        "too-large" => Halt::TooLarge,
        "cursor-expired" => Halt::Expired,
        _ => Halt::Protocol,
    })
}

/// The longest wait that is kept: a day.
const LONGEST: Millis = Millis(86_400_000);

fn wait(answer: &Members) -> Option<Millis> {
    let wait = Number::parse(answer.raw("after")?)?.millis()?;
    Some(Millis(wait).min(LONGEST))
}

/// A whole number counts; a text can only be told equal or different; anything else is none.
fn version(members: &Members) -> Result<Option<Version>, ()> {
    let Some(raw) = members.raw("version") else { return Ok(None) };
    let number = raw.parse().ok().map(Version::Number);
    number.or_else(|| unquote(raw).map(Version::Opaque)).map(Some).ok_or(())
}

/// The longest id, in characters.
const ID_CHARS: usize = 128;

/// A record's id. One that is no text, or none that can be an id, is not passed over: the record would lose its name (R7, R16).
fn named(members: &Members, name: &str) -> Result<Option<String>, ()> {
    let Some(raw) = members.raw(name).filter(|raw| *raw != "null") else { return Ok(None) };
    let id = unquote(raw).filter(|id| (1..=ID_CHARS).contains(&id.chars().count()));
    id.map(Some).ok_or(())
}

/// When the record was last written. By a device that is not known, which loses ties (R20).
fn stamp(members: &Members) -> Option<Stamp> {
    let millis = members.number("at")?;
    Some(Stamp { millis, counter: 0, device: DeviceId::from_bytes([0; 16]) })
}

/// The server's clock, where the application tells it.
fn time(answer: &Members) -> Option<Wall> {
    answer.number("time").map(Wall)
}

fn presence(raw: &str) -> Option<Presence> {
    if raw == "null" {
        return Some(Presence::Deleted);
    }
    Document::parse(raw).ok().map(Presence::Live)
}

/// The verdicts, by operation. One that is not understood, or contradicts another, makes the whole answer worthless (R7).
fn verdicts(batch: &Batch, answer: &Members) -> Option<Vec<(OpId, Outcome)>> {
    let mut outcomes: Vec<(OpId, Outcome)> = Vec::new();
    for raw in answer.list("outcomes")? {
        let wire = Members::read(raw.text())?;
        let op = OpId::parse(&wire.text("opId")?)?;
        if !batch.operations.iter().any(|departure| departure.op == op) {
            continue;
        }
        let sent = batch.operations.iter().find(|departure| departure.op == op).map(|it| it.stamp);
        let outcome = verdict(&wire, sent)?;
        match outcomes.iter().find(|(known, _)| *known == op) {
            Some((_, first)) if *first == outcome => {}
            Some(_) => return None,
            None => outcomes.push((op, outcome)),
        }
    }
    Some(outcomes)
}

fn verdict(wire: &Members, sent: Option<Stamp>) -> Option<Outcome> {
    let version = version(wire).ok()?;
    match &*wire.text("kind")? {
        "applied" => Some(Outcome::Applied {
            version,
            presence: match wire.raw("document") {
                Some(raw) => Some(presence(raw)?),
                None => None,
            },
            stamp: stamp(wire).or(sent),
            assigned_id: named(wire, "serverId").ok()?,
        }),
        "conflict" => {
            let theirs = match presence(wire.raw("document")?)? {
                Presence::Live(document) => Theirs::Live { document, version, stamp: stamp(wire) },
                Presence::Deleted => Theirs::Deleted { version, stamp: stamp(wire) },
            };
            Some(Outcome::Conflict { theirs, other: named(wire, "other").ok()?, token: None })
        }
        "rejected" => Some(Outcome::Rejected {
            code: wire.text("code")?,
            message: wire.text("message").unwrap_or_default(),
            last: wire.flag("final").unwrap_or(true),
        }),
        "retry" => Some(Outcome::Retry { after: wait(wire) }),
        _ => None,
    }
}

/// A page. A change that cannot be read is kept aside with its text (R2); it is no deletion and does not hold up the rest.
fn page(from: Option<&Cursor>, answer: &Members) -> Option<PullPage> {
    let next = Cursor(answer.raw("cursor")?.to_owned());
    let more = answer.flag("more")?;
    // A page that says "more" and stays where it is would be asked for without end.
    if more && from == Some(&next) {
        return None;
    }
    let mut page = PullPage {
        changes: Vec::new(),
        unreadable: Vec::new(),
        next,
        more,
        time: time(answer),
        bytes: 0,
    };
    for raw in answer.list("changes")? {
        match change(raw.text()) {
            Some(change) => page.changes.push(change),
            None => page.unreadable.push(raw.text().to_owned()),
        }
    }
    Some(page)
}

fn change(raw: &str) -> Option<RemoteChange> {
    let wire = Members::read(raw)?;
    let (collection, id) = (wire.text("collection")?, wire.text("id")?);
    if collection.is_empty() || id.is_empty() {
        return None;
    }
    Some(RemoteChange {
        presence: presence(wire.raw("document")?)?,
        key: EntityKey::new(collection, id),
        version: version(&wire).ok()?,
        stamp: stamp(&wire),
        op: wire.text("opId").and_then(|id| OpId::parse(&id)),
        own: None,
    })
}
