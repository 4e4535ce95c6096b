//! Holdfast's own protocol; docs/protocol.md is its specification.

use super::http::{escape, join};
use super::status::{self, Ask, LONGEST_WAIT, is_marked};
use super::{Protocol, Push};
use crate::model::Map;
use crate::model::json::quote;
use crate::model::number::Number;
use crate::model::scan::Reader;
use crate::model::{
    Batch, Capabilities, Cursor, Departure, DeviceId, Document, Edit, EntityKey, Halt, Intent,
    Millis, OpId, Outcome, Presence, PullPage, PushReply, RemoteChange, Scope, Stamp, Theirs,
    Version, Wall,
};
use crate::port::{HttpRequest, HttpResponse, Method, Timeouts};

/// The longest cursor that is kept.
const CURSOR_BYTES: usize = 4_096;
/// The longest id, own or the server's, in characters.
const ID_CHARS: usize = 128;
/// The longest code of a refusal.
const CODE_CHARS: usize = 64;
/// What is kept of a refusal's message.
const MESSAGE_CHARS: usize = 1_000;

/// The standard protocol at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standard {
    /// What precedes `/push` and `/pull`.
    pub base_url: String,
    /// For one exchange.
    pub timeouts: Timeouts,
    /// Changes asked for in one page.
    pub page: usize,
    /// The most bytes taken of an answer, decoded. The specification lets a server send 8 MiB.
    pub max_bytes: usize,
    /// The server takes compressed bodies: those of so many bytes or more are.
    pub gzip_from: Option<usize>,
    /// Digests go along and are checked.
    pub digest: bool,
}

impl Standard {
    /// The protocol below a base address, with the limits of its specification.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            timeouts: Timeouts::default(),
            page: 1_000,
            max_bytes: 9 << 20,
            gzip_from: None,
            digest: false,
        }
    }

    fn request(&self, method: Method, url: String, body: Option<String>) -> HttpRequest {
        HttpRequest {
            body,
            timeouts: self.timeouts,
            max_bytes: self.max_bytes,
            gzip_from: self.gzip_from,
            digest: self.digest,
            ..HttpRequest::new(method, url)
        }
    }
}

impl Protocol for Standard {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            groups: true,
            whole_record: false,
            pull_first: false,
            versions: true,
            times: true,
            ..Capabilities::default()
        }
    }

    fn ask(&self, push: &Push<'_>) -> Option<HttpRequest> {
        let batch = push.batch;
        if push.answered > 0 {
            return None;
        }
        // Members of one batch may have been sealed by several devices (an import); the member is for logs alone.
        let device = batch.operations.first().map_or_else(nobody, |first| first.device);
        let mut body = format!(r#"{{"holdfast":1,"device":"{device}","operations":["#);
        for (index, departure) in batch.operations.iter().enumerate() {
            if index > 0 {
                body.push(',');
            }
            write(&mut body, departure);
        }
        body.push_str("]}");
        Some(self.request(Method::Post, join(&self.base_url, "push"), Some(body)))
    }

    fn hear(&self, push: &mut Push<'_>, answer: &HttpResponse, now: Wall) {
        push.answered += 1;
        let read = status::check(answer, Ask::Push, &is_marked, now)
            .and_then(|()| verdicts(push.batch, &answer.body));
        match read {
            Ok((outcomes, time)) => {
                push.reply = PushReply { outcomes, time, ..PushReply::default() };
            }
            Err(halt) => push.reply.halt = Some(halt),
        }
    }

    fn encode_pull(&self, scope: &Scope, cursor: Option<&Cursor>) -> HttpRequest {
        let mut url = join(&self.base_url, &format!("pull?limit={}", self.page));
        if let Some(cursor) = cursor {
            url.push_str("&cursor=");
            url.push_str(&escape(&cursor.0));
        }
        if *scope != Scope::all() {
            url.push_str("&scope=");
            url.push_str(&escape(&scope.0));
        }
        self.request(Method::Get, url, None)
    }

    fn decode_pull(
        &self,
        cursor: Option<&Cursor>,
        answer: &HttpResponse,
        now: Wall,
    ) -> Result<PullPage, Halt> {
        status::check(answer, Ask::Pull, &is_marked, now)?;
        page(cursor, &answer.body)
    }
}

/// A device that is not known: its id is smaller than every other, so that it loses ties (R20).
fn nobody() -> DeviceId {
    DeviceId::from_bytes([0; 16])
}

fn write(out: &mut String, departure: &Departure) {
    let (kind, content) = match &departure.intent {
        Intent::Create(document) => ("create", Some(document_member(document))),
        Intent::Replace(document) => ("replace", Some(document_member(document))),
        Intent::Change(edits) => ("change", Some(edits_member(edits))),
        Intent::Delete => ("delete", None),
        // The wire has no word for a resolution: it is the write that it amounts to.
        Intent::Resolve(resolve) => match &resolve.chosen {
            Presence::Live(document) => ("replace", Some(document_member(document))),
            Presence::Deleted => ("delete", None),
        },
    };
    let assumed = match &departure.assumed {
        Some(Version::Number(version)) => version.to_string(),
        Some(Version::Stamp(_) | Version::Opaque(_)) | None => "null".to_owned(),
    };
    let Departure { op, collection, id, stamp, .. } = departure;
    out.push_str(&format!(
        r#"{{"opId":"{op}","collection":{},"id":{},"kind":"{kind}","assumed":{assumed}"#,
        quote(collection),
        quote(id),
    ));
    if let Some(content) = content {
        out.push(',');
        out.push_str(&content);
    }
    out.push_str(&format!(r#","at":{}"#, stamp.millis));
    if let Some((group, size)) = &departure.group {
        out.push_str(&format!(r#","group":{{"id":"{group}","size":{size}}}"#));
    }
    out.push('}');
}

fn document_member(document: &Document) -> String {
    format!(r#""document":{}"#, document.text())
}

fn edits_member(edits: &[Edit]) -> String {
    let edits: Vec<String> = edits
        .iter()
        .map(|edit| {
            let path: Vec<String> = edit.path().0.iter().map(|name| quote(name)).collect();
            let path = path.join(",");
            match edit.value() {
                Some(value) => format!(r#"{{"set":[{path}],"value":{}}}"#, value.text()),
                None => format!(r#"{{"remove":[{path}]}}"#),
            }
        })
        .collect();
    format!(r#""edits":[{}]"#, edits.join(","))
}

/// A verdict as it is on the wire.
#[derive(Default)]
struct WireOutcome<'a> {
    op_id: String,
    kind: String,
    version: Option<u64>,
    /// Absent is not `null`.
    document: Option<&'a str>,
    at: Option<u64>,
    server_id: Option<String>,
    other: Option<String>,
    code: Option<String>,
    message: Option<String>,
    last: bool,
    after: Option<Number>,
}

fn outcome<'a>(from: &mut Reader<'a>) -> Option<WireOutcome<'a>> {
    let mut wire = WireOutcome::default();
    from.object(&["opId", "kind"], &mut |from, name| {
        match name {
            "opId" => wire.op_id = from.string()?,
            "kind" => wire.kind = from.string()?,
            "version" => wire.version = from.maybe(Reader::number)?,
            "document" => wire.document = Some(from.raw()?),
            "at" => wire.at = from.maybe(Reader::number)?,
            "serverId" => wire.server_id = from.maybe(Reader::string)?,
            "other" => wire.other = from.maybe(Reader::string)?,
            "code" => wire.code = from.maybe(Reader::string)?,
            "message" => wire.message = from.maybe(Reader::string)?,
            "final" => wire.last = from.flag()?,
            "after" => wire.after = from.maybe(Reader::decimal)?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(wire)
}

/// The content of a `document` member, `null` being a deletion.
fn presence(raw: &str) -> Option<Presence> {
    if raw == "null" {
        return Some(Presence::Deleted);
    }
    Document::parse(raw).ok().map(Presence::Live)
}

fn stamp(at: Option<u64>) -> Option<Stamp> {
    at.map(|millis| Stamp { millis, counter: 0, device: nobody() })
}

fn sound_id(id: &str) -> bool {
    (1..=ID_CHARS).contains(&id.chars().count())
}

/// The verdicts of an answer, and the server's clock.
type Verdicts = (Vec<(OpId, Outcome)>, Option<Wall>);

/// The verdicts of an answer, by operation. One that contradicts another, or that we do not understand, makes the whole
/// answer worthless (R7): a server that is wrong in one place may be wrong in all.
fn verdicts(batch: &Batch, body: &str) -> Result<Verdicts, Halt> {
    let (mut wires, mut time) = (Vec::new(), None);
    let read = Reader::whole(body, |from| {
        from.object(&["outcomes"], &mut |from, name| match name {
            "outcomes" => from.list(&mut |from| {
                wires.push(outcome(from)?);
                Some(())
            }),
            "time" => clock(from, &mut time),
            _ => from.skip(),
        })
    });
    read.ok_or(Halt::Protocol)?;
    let sent: Map<OpId, &Departure> = batch.operations.iter().map(|d| (d.op, d)).collect();
    let mut seen: Map<OpId, Outcome> = Map::new();
    let mut outcomes = Vec::new();
    for wire in wires {
        let departure = OpId::parse(&wire.op_id).and_then(|op| sent.get(&op));
        let Some(departure) = departure else { continue };
        let outcome = verdict(departure, wire).ok_or(Halt::Protocol)?;
        match seen.get(&departure.op) {
            Some(first) if *first == outcome => {}
            Some(_) => return Err(Halt::Protocol),
            None => {
                seen.insert(departure.op, outcome.clone());
                outcomes.push((departure.op, outcome));
            }
        }
    }
    Ok((outcomes, time))
}

/// The server's clock. What is no time of ours is none, and harms nobody.
fn clock(from: &mut Reader<'_>, time: &mut Option<Wall>) -> Option<()> {
    *time = from.raw()?.parse().ok().map(Wall);
    Some(())
}

fn verdict(departure: &Departure, wire: WireOutcome<'_>) -> Option<Outcome> {
    match &*wire.kind {
        "applied" => {
            let presence = match wire.document {
                Some(raw) => Some(presence(raw)?),
                None => None,
            };
            if wire.server_id.as_deref().is_some_and(|id| !sound_id(id)) {
                return None;
            }
            match wire.version? {
                // A deletion of what the server never knew: there is nothing, and no version of it.
                0 if departure.intent == Intent::Delete => Some(Outcome::Applied {
                    version: None,
                    presence: Some(Presence::Deleted),
                    stamp: None,
                    assigned_id: None,
                }),
                0 => None,
                version => Some(Outcome::Applied {
                    version: Some(Version::Number(version)),
                    presence,
                    // The server keeps the operation's own time with the version that it made.
                    stamp: Some(departure.stamp),
                    assigned_id: wire.server_id,
                }),
            }
        }
        "conflict" => {
            let version = Some(Version::Number(wire.version.filter(|v| *v > 0)?));
            let stamp = stamp(wire.at);
            let theirs = match presence(wire.document?)? {
                Presence::Live(document) => Theirs::Live { document, version, stamp },
                Presence::Deleted => Theirs::Deleted { version, stamp },
            };
            if wire.other.as_deref().is_some_and(|id| !sound_id(id)) {
                return None;
            }
            Some(Outcome::Conflict { theirs, other: wire.other, token: None })
        }
        "rejected" => {
            let code = wire.code.filter(|code| (1..=CODE_CHARS).contains(&code.chars().count()))?;
            let message = wire.message.unwrap_or_default().chars().take(MESSAGE_CHARS).collect();
            Some(Outcome::Rejected { code, message, last: wire.last })
        }
        "retry" => {
            let after = match wire.after {
                None => None,
                Some(seconds) => Some(Millis(seconds.millis()?).min(LONGEST_WAIT)),
            };
            Some(Outcome::Retry { after })
        }
        _ => None,
    }
}

/// A page. A change that cannot be read is kept aside with its text (R2); it is no deletion and does not hold up the rest.
fn page(from: Option<&Cursor>, body: &str) -> Result<PullPage, Halt> {
    let (mut wires, mut next, mut more) = (Vec::new(), Cursor(String::new()), false);
    let mut time = None;
    let read = Reader::whole(body, |from| {
        from.object(&["changes", "cursor", "more"], &mut |from, name| {
            match name {
                "changes" => from.list(&mut |from| {
                    wires.push(from.raw()?);
                    Some(())
                })?,
                "cursor" => next.0 = from.string()?,
                "more" => more = from.flag()?,
                "time" => clock(from, &mut time)?,
                _ => from.skip()?,
            }
            Some(())
        })
    });
    read.ok_or(Halt::Protocol)?;
    let stuck = more && from == Some(&next);
    if stuck || next.0.is_empty() || next.0.len() > CURSOR_BYTES {
        return Err(Halt::Protocol);
    }
    let mut changes: Vec<RemoteChange> = Vec::with_capacity(wires.len());
    let mut unreadable = Vec::new();
    let mut place: Map<EntityKey, usize> = Map::new();
    for raw in wires {
        let Some(change) = change(raw) else {
            unreadable.push(raw.to_owned());
            continue;
        };
        // The feed names a record once; of a server that names it twice, the later row is the newer.
        match place.get(&change.key).and_then(|at| changes.get_mut(*at)) {
            Some(earlier) => *earlier = change,
            None => {
                place.insert(change.key.clone(), changes.len());
                changes.push(change);
            }
        }
    }
    Ok(PullPage { changes, unreadable, next, more, time, bytes: 0 })
}

fn change(raw: &str) -> Option<RemoteChange> {
    let (mut key, mut document, mut number) = (EntityKey::new("", ""), "", 0);
    let (mut op, mut at) = (None, None);
    Reader::whole(raw, |from| {
        from.object(&["collection", "id", "version", "document"], &mut |from, name| {
            match name {
                "collection" => key.collection = from.string()?,
                "id" => key.id = from.string()?,
                "version" => number = from.number()?,
                "document" => document = from.raw()?,
                "opId" => op = from.maybe(Reader::string)?,
                "at" => at = from.maybe(Reader::number)?,
                _ => from.skip()?,
            }
            Some(())
        })
    })?;
    let sound = sound_id(&key.id) && !key.collection.is_empty() && number > 0;
    Some(RemoteChange {
        presence: presence(document).filter(|_| sound)?,
        key,
        version: Some(Version::Number(number)),
        stamp: stamp(at),
        // Another client's operation ids may be no UUIDs; they are none of ours either.
        op: op.and_then(|id| OpId::parse(&id)),
        own: None,
    })
}
