//! What an answer says of each operation.

use super::codec::Rest;
use super::text::{Parts, at, elements, is_whole, list, word};
use super::{Collection, Ids, Kind, Ours, Row, Verdicts, Versions, Word};
use crate::model::json::{quote, unquote};
use crate::model::{
    Departure, DeviceId, Document, Halt, Intent, OpId, Outcome, Presence, Stamp, Theirs, Version,
    Wall,
};
use crate::protocol::instant;

/// The longest id, in characters.
const ID_CHARS: usize = 128;
/// The longest code of a refusal.
const CODE_CHARS: usize = 64;
/// The longest name of a conflict, in characters.
const TOKEN_CHARS: usize = 256;
/// What is kept of a refusal's message.
const MESSAGE_CHARS: usize = 1_000;

/// What a row says of a record.
pub(super) struct Told<'a> {
    /// Its collection, where the row says so.
    pub(super) collection: Option<String>,
    /// Its id at the server.
    pub(super) id: Option<String>,
    /// Its maker's own id for it.
    pub(super) own: Option<String>,
    /// The operation that made it.
    pub(super) op: Option<OpId>,
    pub(super) version: Option<Version>,
    pub(super) stamp: Option<Stamp>,
    pub(super) deleted: bool,
    /// The document's text, in the server's words.
    document: Option<Content<'a>>,
}

enum Content<'a> {
    Text(&'a str),
    Rest(Parts<'a>),
}

/// Whether a body has what an answer of our server's must have (PROMISES 2.6).
pub(super) fn is_ours(body: &str, ours: &Ours) -> bool {
    let Some(parts) = Parts::read(body) else { return false };
    ours.iter().all(|(path, kind)| parts.at(path).is_some_and(|raw| kind.is(raw)))
}

impl Kind {
    fn is(self, raw: &str) -> bool {
        match self {
            Self::Text => raw.starts_with('"'),
            Self::Integer => is_whole(raw),
            Self::Flag => matches!(raw, "true" | "false"),
            Self::True => raw == "true",
            Self::False => raw == "false",
            Self::List => raw.starts_with('['),
            Self::ListOrNull => raw.starts_with('[') || raw == "null",
            Self::Object => raw.starts_with('{'),
            Self::Lists => {
                Parts::read(raw).is_some_and(|it| it.iter().all(|(_, raw)| raw.starts_with('[')))
            }
        }
    }
}

/// A device that is not known: its id is smaller than every other, so that it loses ties (R20).
fn nobody() -> DeviceId {
    DeviceId::from_bytes([0; 16])
}

pub(super) fn stamp(at: Wall) -> Stamp {
    Stamp { millis: at.0, counter: 0, device: nobody() }
}

/// An instant as JSON.
pub(super) fn instant(raw: &str) -> Option<Wall> {
    instant::read(&unquote(raw)?)
}

pub(super) fn sound_id(id: &str) -> bool {
    (1..=ID_CHARS).contains(&id.chars().count())
}

impl Rest {
    fn version(&self, raw: &str) -> Option<Version> {
        match self.profile.versions {
            Versions::Number => raw.parse().ok().filter(|it| *it > 0).map(Version::Number),
            Versions::Stamp => {
                let text = unquote(raw)?;
                instant::read(&text).map(|_| Version::Stamp(text))
            }
            Versions::Opaque => word(raw).map(Version::Opaque),
        }
    }

    /// An id as we keep it.
    fn id(&self, raw: &str) -> Option<String> {
        match self.profile.ids {
            Ids::Client | Ids::Text => unquote(raw).filter(|it| sound_id(it)),
            Ids::Integer => is_whole(raw).then(|| raw.to_owned()),
        }
    }

    /// What a row says; nothing where a part of it is not what it must be. A part that is missing or `null` is none.
    pub(super) fn told<'a>(&self, row: &Row, text: &'a str) -> Option<Told<'a>> {
        let parts = Parts::read(text)?;
        let found = |path: &str| {
            if path.is_empty() { None } else { parts.at(path).filter(|raw| *raw != "null") }
        };
        let part = |path: &str, read: &dyn Fn(&str) -> Option<String>| match found(path) {
            Some(raw) => read(raw).map(Some),
            None => Some(None),
        };
        let id = part(&row.id, &|raw| self.id(raw))?;
        let own = part(&row.own, &|raw| unquote(raw).filter(|it| sound_id(it)))?;
        let version = match found(&row.version) {
            Some(raw) => Some(self.version(raw)?),
            None => None,
        };
        let stamp = match found(&row.at) {
            Some(raw) => Some(stamp(instant(raw)?)),
            None => None,
        };
        Some(Told {
            collection: part(&row.collection, &unquote)?,
            // The server's own number is what it calls records that no client made.
            own: own.filter(|own| id.as_ref() != Some(own)),
            id,
            op: part(&row.op, &unquote)?.and_then(|it| OpId::parse(&it)),
            version,
            stamp,
            deleted: match found(&row.deleted) {
                None | Some("false") => false,
                // `true`, or the instant of the deletion.
                Some(_) => true,
            },
            document: match &*row.document {
                "" => None,
                "*" => Some(Content::Rest(parts)),
                path => parts.at(path).filter(|raw| *raw != "null").map(Content::Text),
            },
        })
    }

    /// The document of a row, with ids in references as texts.
    pub(super) fn document(
        &self,
        row: &Row,
        told: &Told<'_>,
        collection: Option<&Collection>,
    ) -> Option<Document> {
        let none = Vec::new();
        let references = collection.map_or(&none, |it| &it.references);
        let numbers = self.profile.ids == Ids::Integer && !references.is_empty();
        let parts = match told.document.as_ref()? {
            Content::Text(raw) if !numbers => return Document::parse(raw).ok(),
            Content::Text(raw) => &Parts::read(raw)?,
            Content::Rest(parts) => parts,
        };
        let rest = matches!(told.document, Some(Content::Rest(_)));
        let mut object = super::text::Object::new();
        for (name, value) in parts.iter() {
            if rest && row.names(name) {
                continue;
            }
            let named = numbers && references.iter().any(|(it, _)| it == name) && is_whole(value);
            if named {
                object.spelled(name, &quote(value));
            } else {
                object.spelled(name, value);
            }
        }
        Document::parse(&object.end()).ok()
    }

    /// The verdicts in an answer about some operations of a batch: each by its place. One that contradicts another, or that we
    /// do not understand, makes the whole answer worthless (R7): a server that is wrong in one place may be wrong in all.
    pub(super) fn verdicts(
        &self,
        about: &[&Departure],
        body: &str,
    ) -> Result<Vec<(OpId, Outcome)>, Halt> {
        let wire = &self.profile.push.verdicts;
        let mut found: Vec<(OpId, Outcome)> = Vec::new();
        for (list, word) in &wire.lists {
            for (collection, entry) in entries(body, list).ok_or(Halt::Protocol)? {
                let departure = self.which(about, collection.as_deref(), entry)?;
                let Some(departure) = departure else { continue };
                let outcome = self.outcome(wire, *word, departure, entry).ok_or(Halt::Protocol)?;
                match found.iter().find(|(op, _)| *op == departure.op) {
                    Some((_, first)) if *first == outcome => {}
                    Some(_) => return Err(Halt::Protocol),
                    None => found.push((departure.op, outcome)),
                }
            }
        }
        Ok(found)
    }

    /// The operation that an entry is about; none for one that we did not send. A server may call a record by another name than we
    /// did, so any of the names that an entry has may tell.
    fn which<'a>(
        &self,
        about: &[&'a Departure],
        collection: Option<&str>,
        entry: &str,
    ) -> Result<Option<&'a Departure>, Halt> {
        let wire = &self.profile.push.verdicts;
        let mut named = false;
        for (path, slot) in &wire.key {
            let path = if entry.starts_with('{') { path } else { "" };
            let Some(said) = at(entry, path).and_then(word) else { continue };
            named = true;
            let ours = |departure: &&&'a Departure| {
                let own = self.value(departure, *slot).and_then(|it| word(&it));
                own.as_ref() == Some(&said)
                    && collection.is_none_or(|collection| departure.collection == collection)
            };
            if let Some(departure) = about.iter().find(ours) {
                return Ok(Some(*departure));
            }
        }
        if named { Ok(None) } else { Err(Halt::Protocol) }
    }

    fn outcome(
        &self,
        wire: &Verdicts,
        word: Option<Word>,
        departure: &Departure,
        entry: &str,
    ) -> Option<Outcome> {
        let status =
            || super::given::word(&unquote(at(entry, &wire.status)?)?, &borrowed(&wire.words));
        match word.or_else(status)? {
            Word::Applied => self.applied(wire, departure, entry),
            Word::Conflict => self.conflict(wire, departure, entry),
            Word::Rejected => self.rejected(wire, departure, entry),
            Word::Retry => Some(Outcome::Retry { after: None }),
        }
    }

    fn applied(&self, wire: &Verdicts, departure: &Departure, entry: &str) -> Option<Outcome> {
        let told = if entry.starts_with('{') { self.told(&wire.applied, entry) } else { None };
        let assigned = match at(entry, &wire.assigned).filter(|_| !wire.assigned.is_empty()) {
            Some(raw) => Some(self.id(raw)?),
            None => None,
        };
        let unknown = departure.assumed.is_none() && assigned.is_none();
        if departure.intent == Intent::Delete && unknown && !wire.assigned.is_empty() {
            return Some(never_there());
        }
        let (mut version, mut stamp) = match told {
            Some(told) => (told.version, told.stamp),
            None => (None, None),
        };
        if wire.next_version {
            version = next_version(departure);
        }
        let record = at(entry, &wire.record).filter(|_| !wire.record.is_empty());
        let mut presence = (departure.intent == Intent::Delete).then_some(Presence::Deleted);
        if let (Some(record), None) = (record, &presence) {
            let told = self.told(&wire.record_row, record)?;
            let (_, collection) = self.profile.collection(&departure.collection).unzip();
            presence = Some(Presence::Live(self.document(&wire.record_row, &told, collection)?));
            version = version.or(told.version.clone());
            stamp = stamp.or(told.stamp);
        }
        version.is_some().then_some(())?;
        Some(Outcome::Applied {
            version,
            presence,
            stamp,
            assigned_id: assigned.filter(|id| *id != departure.id),
        })
    }

    pub(super) fn conflict(
        &self,
        wire: &Verdicts,
        departure: &Departure,
        entry: &str,
    ) -> Option<Outcome> {
        let said = |path: &str| at(entry, path).filter(|_| !path.is_empty()).and_then(word);
        let row = at(entry, &wire.theirs);
        let told = match row {
            Some(row) => Some(self.told(&wire.conflict, row)?),
            None => None,
        };
        let same = said(&wire.kind).is_some_and(|kind| kind == wire.create_create);
        let other = told.as_ref().and_then(|told| told.id.clone()).filter(|_| same);
        let token = said(&wire.token);
        let short = token.as_ref().is_none_or(|token| token.chars().count() <= TOKEN_CHARS);
        short.then_some(())?;
        Some(Outcome::Conflict {
            theirs: self.theirs(&wire.conflict, told, departure)?,
            other: other.filter(|id| *id != departure.id),
            token,
        })
    }

    /// The server's side; a side that is `null` is a tombstone.
    pub(super) fn theirs(
        &self,
        row: &Row,
        told: Option<Told<'_>>,
        departure: &Departure,
    ) -> Option<Theirs> {
        let Some(told) = told else {
            return Some(Theirs::Deleted { version: None, stamp: None });
        };
        let (version, stamp) = (told.version.clone(), told.stamp);
        if told.deleted {
            return Some(Theirs::Deleted { version, stamp });
        }
        let (_, collection) = self.profile.collection(&departure.collection).unzip();
        let document = self.document(row, &told, collection)?;
        version.is_some().then_some(Theirs::Live { document, version, stamp })
    }

    fn rejected(&self, wire: &Verdicts, departure: &Departure, entry: &str) -> Option<Outcome> {
        let said = |path: &str| at(entry, path).filter(|_| !path.is_empty());
        if said(&wire.retryable) == Some("true") {
            return Some(Outcome::Retry { after: None });
        }
        let code = said(&wire.code).and_then(word);
        let message = said(&wire.message).and_then(unquote).unwrap_or_default();
        self.refusal(wire, departure, code, &message)
    }

    /// A refusal in the server's words.
    pub(super) fn refusal(
        &self,
        wire: &Verdicts,
        departure: &Departure,
        code: Option<String>,
        message: &str,
    ) -> Option<Outcome> {
        let code = code.unwrap_or_else(|| "failed".to_owned());
        (1..=CODE_CHARS).contains(&code.chars().count()).then_some(())?;
        if departure.intent == Intent::Delete && wire.gone.contains(&code) {
            return Some(never_there());
        }
        Some(Outcome::Rejected {
            last: wire.last.contains(&code),
            message: message.chars().take(MESSAGE_CHARS).collect(),
            code,
        })
    }
}

impl Row {
    /// Whether a member of the row is no part of the document.
    fn names(&self, member: &str) -> bool {
        let root = |path: &String| path.split('.').next() == Some(member);
        let Self { collection, id, own, op, version, at, deleted, document: _, without } = self;
        [collection, id, own, op, version, at, deleted].into_iter().any(root)
            || without.iter().any(root)
    }
}

fn borrowed(words: &[(String, Word)]) -> Vec<(&str, Word)> {
    words.iter().map(|(said, word)| (&**said, *word)).collect()
}

/// A deletion of what the server does not have: there is nothing, and no version of it.
pub(super) fn never_there() -> Outcome {
    Outcome::Applied {
        version: None,
        presence: Some(Presence::Deleted),
        stamp: None,
        assigned_id: None,
    }
}

/// The version that a success means where it does not say one: the check passed, so it is the one after the sent one.
fn next_version(departure: &Departure) -> Option<Version> {
    match &departure.assumed {
        Some(Version::Number(sent)) => sent.checked_add(1).map(Version::Number),
        Some(Version::Stamp(_) | Version::Opaque(_)) => None,
        None => Some(Version::Number(1)),
    }
}

/// The entries of a list, or of an object with a list for each collection.
pub(super) fn entries<'a>(body: &'a str, path: &str) -> Option<Vec<(Option<String>, &'a str)>> {
    let Some(raw) = at(body, path) else { return Some(Vec::new()) };
    if !raw.starts_with('{') {
        return Some(elements(raw)?.into_iter().map(|entry| (None, entry)).collect());
    }
    let mut found = Vec::new();
    for (name, raw) in Parts::read(raw)?.iter() {
        let name = unquote(&["\"", name, "\""].concat())?;
        found.extend(elements(raw)?.into_iter().map(|entry| (Some(name.clone()), entry)));
    }
    Some(found)
}

/// A list of texts as JSON.
pub(super) fn texts(items: &[String]) -> String {
    list(&items.iter().map(|it| quote(it)).collect::<Vec<_>>())
}
