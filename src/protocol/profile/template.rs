//! What a request says: JSON in which some texts stand for values of an operation or of a batch.

use super::text::{Object, Parts};
use crate::model::json::unquote;

/// A value that a template can name, as `$name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// The operation's id, a UUID.
    Op,
    /// The operation's number in the device's queue.
    Seq,
    /// The record's id on this device.
    Own,
    /// The record's id at the server; this device's, where the server takes it.
    Id,
    /// The record's id at the server; none while it has given none.
    ServerId,
    /// The collection's name.
    Collection,
    /// The collection's name in addresses.
    Path,
    /// The word for create, update or delete.
    Action,
    /// The version that the operation was made on; none where it makes the record.
    Version,
    /// The document, or the changed fields as a merge patch; none where the record is removed.
    Content,
    /// Whether the record is removed.
    Deleted,
    /// When the operation was made.
    At,
    /// `true` where the record is written whatever its version is; else none.
    Force,
    /// What the server calls the conflict that is decided.
    Token,
    /// `client` where this device's side was chosen as it was, else `merged`.
    Choice,
    /// The device.
    Device,
    /// The operations of a request, as a list.
    Operations,
    /// The same, as an object with a list for each collection.
    ByCollection,
    /// How far was pulled; none at first.
    Position,
    /// The page's number.
    Page,
    /// The scope's name, behind the colon.
    Scope,
}

/// The names, for the reader of profiles and its messages.
pub(super) const SLOTS: &[(&str, Slot)] = &[
    ("op", Slot::Op),
    ("seq", Slot::Seq),
    ("own", Slot::Own),
    ("id", Slot::Id),
    ("serverId", Slot::ServerId),
    ("collection", Slot::Collection),
    ("path", Slot::Path),
    ("action", Slot::Action),
    ("version", Slot::Version),
    ("content", Slot::Content),
    ("deleted", Slot::Deleted),
    ("at", Slot::At),
    ("force", Slot::Force),
    ("token", Slot::Token),
    ("choice", Slot::Choice),
    ("device", Slot::Device),
    ("operations", Slot::Operations),
    ("byCollection", Slot::ByCollection),
    ("position", Slot::Position),
    ("page", Slot::Page),
    ("scope", Slot::Scope),
];

/// The values that a template is filled with, each as JSON.
pub(super) type Values<'a> = &'a dyn Fn(Slot) -> Option<String>;

/// A piece of JSON with places to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Template {
    /// Is written as it stands.
    Literal(String),
    /// A value. `"$name"` is `null` where there is none, `"$name?"` is left out, `"$name:0"` is the JSON behind the colon.
    Value(Slot, Otherwise),
    /// An object.
    Object(Vec<(Name, Template)>),
}

/// What stands in the place of a value that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// Nothing: the member is left out.
    Absent,
    /// This.
    Json(String),
}

/// The name of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// As it stands.
    Plain(String),
    /// A value that is a text.
    Value(Slot),
    /// `"..."`: the members of the value themselves.
    Members,
}

/// What is wrong with a template: where, and what is needed there.
pub(super) type Wrong = (String, String);

fn slot(name: &str) -> Option<Slot> {
    SLOTS.iter().find(|(known, _)| *known == name).map(|(_, slot)| *slot)
}

fn unknown(at: &str, name: &str) -> Wrong {
    let names: Vec<String> = SLOTS.iter().map(|(name, _)| ["$", name].concat()).collect();
    (at.to_owned(), ["there is no ", name, "; there are ", &names.join(" ")].concat())
}

impl Template {
    /// Reads a template; `at` is its own path, for messages.
    pub(super) fn read(json: &str, at: &str) -> Result<Self, Wrong> {
        if json.starts_with('{') {
            let parts = Parts::read(json)
                .ok_or_else(|| (at.to_owned(), "a name stands twice".to_owned()))?;
            let mut members = Vec::new();
            for (spelled, value) in parts.iter() {
                let name = unquote(&["\"", spelled, "\""].concat()).unwrap_or_default();
                let at = [at, ".", &name].concat();
                let value = Self::read(value, &at)?;
                members.push((Name::read(name, &at)?, value));
            }
            return Ok(Self::Object(members));
        }
        let Some(text) = unquote(json).filter(|it| it.starts_with('$')) else {
            return Ok(Self::Literal(json.to_owned()));
        };
        let (name, otherwise) = match (text.strip_suffix('?'), text.split_once(':')) {
            (Some(name), _) => (name, Otherwise::Absent),
            (None, Some((name, json))) => (name, Otherwise::Json(json.to_owned())),
            (None, None) => (&*text, Otherwise::Json("null".to_owned())),
        };
        let found = name.strip_prefix('$').and_then(slot).ok_or_else(|| unknown(at, name))?;
        Ok(Self::Value(found, otherwise))
    }

    /// The JSON that it says with these values; nothing where it is to be left out.
    pub(super) fn fill(&self, values: Values<'_>) -> Option<String> {
        match self {
            Self::Literal(json) => Some(json.clone()),
            Self::Value(slot, otherwise) => values(*slot).or_else(|| match otherwise {
                Otherwise::Absent => None,
                Otherwise::Json(json) => Some(json.clone()),
            }),
            Self::Object(members) => {
                let mut object = Object::new();
                for (name, value) in members {
                    let Some(value) = value.fill(values) else { continue };
                    match name {
                        Name::Plain(name) => object.member(name, &value),
                        Name::Value(slot) => {
                            if let Some(name) = values(*slot).and_then(|it| unquote(&it)) {
                                object.member(&name, &value);
                            }
                        }
                        Name::Members => {
                            for (name, value) in Parts::read(&value).iter().flat_map(Parts::iter) {
                                object.spelled(name, value);
                            }
                        }
                    }
                }
                Some(object.end())
            }
        }
    }

    /// As the parameters of an address, each at its place.
    pub(super) fn query(&self, values: Values<'_>) -> String {
        let Self::Object(members) = self else { return String::new() };
        let mut out = String::new();
        for (name, value) in members {
            let (Name::Plain(name), Some(value)) = (name, value.fill(values)) else { continue };
            out.push(if out.is_empty() { '?' } else { '&' });
            out.push_str(&escaped(name));
            out.push('=');
            out.push_str(&escaped(&unquote(&value).unwrap_or(value)));
        }
        out
    }
}

impl Name {
    fn read(name: String, at: &str) -> Result<Self, Wrong> {
        match name.strip_prefix('$') {
            _ if name == "..." => Ok(Self::Members),
            None => Ok(Self::Plain(name)),
            Some(value) => slot(value).map(Self::Value).ok_or_else(|| unknown(at, &name)),
        }
    }
}

/// A path below the base address, with values in it: `/api/$path/$id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Slot),
}

impl Address {
    pub(super) fn read(text: &str, at: &str) -> Result<Self, Wrong> {
        let mut pieces = Vec::new();
        for (index, part) in text.split('$').enumerate() {
            if index == 0 {
                pieces.push(Piece::Text(part.to_owned()));
                continue;
            }
            let end = part.find(|it: char| !it.is_ascii_alphanumeric()).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            pieces
                .push(Piece::Value(slot(name).ok_or_else(|| unknown(at, &["$", name].concat()))?));
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    pub(super) fn fill(&self, values: Values<'_>) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value(slot) => {
                    let value = values(*slot).unwrap_or_default();
                    out.push_str(&escaped(&unquote(&value).unwrap_or(value)));
                }
            }
        }
        out
    }
}

/// As a value may stand in a path or a parameter. A colon may, and instants are easier to read with theirs.
fn escaped(text: &str) -> String {
    crate::protocol::http::escape(text).replace("%3A", ":")
}
