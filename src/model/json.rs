//! JSON as text. A document is stored, sent and shown as the text it came in; only the members that a plan touches are
//! ever split out of it (SEMANTICS R5), so numbers keep their digits and a page of a thousand records costs no trees.

use std::fmt;
use std::rc::Rc;

use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::number::Double;
use super::scan::{Reader, quote_to, unescaped};

/// Deepest nesting of a document, counted in brackets. Deeper input is refused before acceptance.
pub const MAX_DEPTH: usize = 64;

/// One JSON value, as its text. Two values are equal when their RFC 8785 texts are equal: member order, white space and
/// the spelling of numbers do not matter.
///
/// ```
/// use holdfast::model::Json;
/// assert_eq!(Json::parse(r#"{"a":1,"b":2.0}"#).unwrap(), Json::parse(r#"{ "b": 2, "a": 1 }"#).unwrap());
/// ```
#[derive(Clone)]
pub struct Json(Rc<str>);

/// Why a text is not a value or a document that we accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonError {
    /// The text is not JSON.
    Syntax,
    /// The text is JSON, but not an object.
    NotAnObject,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "not JSON",
            Self::NotAnObject => "not a JSON object",
            Self::TooDeep => "nested too deeply",
        })
    }
}

impl Json {
    /// Checks and keeps a text.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let mut reader = Reader::new(text);
        let value = reader.raw().filter(|_| reader.end()).ok_or(JsonError::Syntax)?;
        if reader.deepest > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        Ok(Self(value.into()))
    }

    /// The next value of a text, however deep it is.
    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        from.raw().map(|text| Self(text.into()))
    }

    /// A text that was put together from values.
    pub(crate) fn from_text(text: String) -> Self {
        Self(text.into())
    }

    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// The text of the value.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether the value is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.text().starts_with('{')
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(self.text()) {
            Ok(raw) => raw.serialize(to),
            Err(_) => to.serialize_unit(),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text: Box<str> = Box::<RawValue>::deserialize(from)?.into();
        Ok(Self(text.into()))
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0) || same(self.text(), other.text(), 2 * MAX_DEPTH)
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Numbers are compared as the doubles that RFC 8785 prints, so `1`, `1.0` and `1e0` are one value. What is no number there, or
/// deeper than any document, is equal by spelling alone.
fn same(a: &str, b: &str, depth: usize) -> bool {
    if a == b {
        return true;
    }
    let Some(depth) = depth.checked_sub(1) else { return false };
    match (a.as_bytes().first(), b.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => {
            let (Some(x), Some(y)) = (split(a), split(b)) else { return false };
            let other = |name: &str| y.iter().find(|(known, _)| known == name);
            x.len() == y.len()
                && x.iter().all(|(name, value)| {
                    other(name).is_some_and(|(_, other)| same(value, other, depth))
                })
        }
        (Some(b'['), Some(b'[')) => {
            let (x, y) = (parts(a), parts(b));
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y, depth))
        }
        (Some(b'"'), Some(b'"')) => unquote(a).is_some_and(|text| unquote(b) == Some(text)),
        _ => Double::parse(a).is_some_and(|number| Double::parse(b) == Some(number)),
    }
}

/// The JSON text of one object: what an application stores under an id.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Document(Json);

impl Document {
    /// Checks and keeps the text of an object.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        Self::from_json(Json::parse(text)?)
    }

    /// An object without members.
    #[must_use]
    pub fn empty() -> Self {
        Self(Json("{}".into()))
    }

    /// Takes a value that is an object.
    pub fn from_json(json: Json) -> Result<Self, JsonError> {
        if !json.is_object() {
            Err(JsonError::NotAnObject)
        } else if !is_well_formed(json.text()) {
            Err(JsonError::Syntax)
        } else {
            Ok(Self(json))
        }
    }

    /// The text of the object.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// The whole object as a value.
    #[must_use]
    pub fn as_json(&self) -> &Json {
        &self.0
    }

    /// The members, in their order; of a doubled name the last value counts, as in `JSON.parse`.
    #[must_use]
    pub fn fields(&self) -> Vec<(String, Json)> {
        fields(self.text())
    }

    /// The next value of a text, if it is an object.
    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Self::from_json(Json::read(from)?).ok()
    }

    /// The value at a path of member names.
    #[must_use]
    pub fn get(&self, path: &[String]) -> Option<Json> {
        let found = path.iter().try_fold(self.text(), |at, name| {
            let members = at.starts_with('{').then(|| split(at))??;
            members.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
        });
        found.map(|text| Json(text.into()))
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_json(Json::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// The members of an object's text; of a doubled name the last value counts.
fn split(text: &str) -> Option<Vec<(String, &str)>> {
    let mut members: Vec<(String, &str)> = Vec::new();
    Reader::whole(text, |reader| {
        reader.members(&mut |reader, name| {
            let (name, value) = (unescaped(name)?, reader.raw()?);
            match members.iter_mut().find(|(known, _)| *known == name) {
                Some(slot) => slot.1 = value,
                None => members.push((name, value)),
            }
            Some(())
        })
    })?;
    Some(members)
}

/// The members of a text that somebody else wrote; nothing if it is no object.
pub(crate) fn members(text: &str) -> Option<Vec<(String, Json)>> {
    let members = split(text)?;
    Some(members.into_iter().map(|(name, value)| (name, Json(value.into()))).collect())
}

fn fields(text: &str) -> Vec<(String, Json)> {
    members(text).unwrap_or_default()
}

/// The elements of a list.
pub(crate) fn elements(list: &Json) -> Vec<Json> {
    parts(list.text()).into_iter().map(|text| Json(text.into())).collect()
}

/// The elements of a list's text.
fn parts(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let all = Reader::new(text).list(&mut |reader| {
        found.push(reader.raw()?);
        Some(())
    });
    all.map(|()| found).unwrap_or_default()
}

/// A document while edits are applied to it: only the objects on the way of an edit are split.
pub(crate) enum Node {
    Raw(Json),
    Object(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn new(document: &Document) -> Self {
        Self::Raw(document.0.clone())
    }

    pub(crate) fn empty() -> Self {
        Self::Object(Vec::new())
    }

    /// The members, if this is an object.
    fn members(&mut self) -> Option<&mut Vec<(String, Self)>> {
        if let Self::Raw(json) = self {
            if !json.is_object() {
                return None;
            }
            let members = fields(json.text());
            *self = Self::Object(members.into_iter().map(|(k, v)| (k, Self::Raw(v))).collect());
        }
        match self {
            Self::Object(members) => Some(members),
            Self::Raw(_) => None,
        }
    }

    /// Writes a value at a path; what stands in the way and is not an object becomes one.
    pub(crate) fn set(&mut self, path: &[String], value: &Json) {
        let Some((name, rest)) = path.split_first() else {
            *self = Self::Raw(value.clone());
            return;
        };
        if self.members().is_none() {
            *self = Self::empty();
        }
        let Some(members) = self.members() else { return };
        if let Some((_, child)) = members.iter_mut().find(|(key, _)| key == name) {
            child.set(rest, value);
        } else {
            let mut child = Self::empty();
            child.set(rest, value);
            members.push((name.clone(), child));
        }
    }

    /// Takes a member out; nothing happens where it is not.
    pub(crate) fn remove(&mut self, path: &[String]) {
        let (Some((name, rest)), Some(members)) = (path.split_first(), self.members()) else {
            return;
        };
        if rest.is_empty() {
            members.retain(|(key, _)| key != name);
        } else if let Some((_, child)) = members.iter_mut().find(|(key, _)| key == name) {
            child.remove(rest);
        }
    }

    pub(crate) fn into_json(self) -> Json {
        match self {
            Self::Raw(json) => json,
            Self::Object(_) => {
                let mut text = String::new();
                self.print(&mut text);
                Json(text.into())
            }
        }
    }

    pub(crate) fn into_document(self) -> Document {
        Document(self.into_json())
    }

    fn print(&self, out: &mut String) {
        match self {
            Self::Raw(json) => out.push_str(json.text()),
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote_to(out, key);
                    out.push(':');
                    value.print(out);
                }
                out.push('}');
            }
        }
    }
}

/// How deep a value is nested, in brackets; a text that is no value is deeper than any.
#[must_use]
pub fn depth(text: &str) -> usize {
    let mut reader = Reader::new(text);
    if reader.raw().is_some() && reader.end() { reader.deepest } else { usize::MAX }
}

/// The bytes of the longest member's name in a value, wherever it stands, if that is longer than any should be: else nothing.
#[must_use]
pub fn longest_name(text: &str) -> usize {
    let mut reader = Reader::new(text);
    reader.raw().map_or(0, |_| reader.longest)
}

/// A text as a JSON string.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote_to(&mut out, text);
    out
}

/// The text that a JSON string stands for; nothing for any other value.
#[must_use]
pub fn unquote(json: &str) -> Option<String> {
    Reader::whole(json, Reader::string)
}

/// Whether every escaped surrogate has its other half. RFC 8259 allows a lone one, but it stands for no text: a member of that
/// name could not be named in an edit, and would be lost by it (P35).
fn is_well_formed(json: &str) -> bool {
    let mut rest = json;
    while let Some((_, after)) = rest.split_once('\\') {
        let unit = |text: &str| {
            let digits = text.strip_prefix('u')?.get(..4)?;
            u32::from_str_radix(digits, 16).ok()
        };
        rest = after.get(1..).unwrap_or_default();
        match unit(after) {
            Some(0xD800..=0xDBFF) => {
                let low = after.get(5..).and_then(|after| after.strip_prefix('\\'));
                match low.and_then(unit) {
                    Some(0xDC00..=0xDFFF) => rest = after.get(11..).unwrap_or_default(),
                    Some(_) | None => return false,
                }
            }
            Some(0xDC00..=0xDFFF) => return false,
            Some(_) | None => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R5: RFC 8785, without printing it.
    #[test]
    fn values_are_equal_by_meaning_not_by_spelling() {
        for (a, b, equal) in [
            (r#"{"a":1,"b":[true,null]}"#, r#"{ "b":[true,null], "a":1.0 }"#, true),
            ("-0", "0", true),
            ("\"\\u0061\"", "\"a\"", true),
            ("9007199254740993", "9007199254740992", true), // beyond 2^53 a double cannot tell them apart
            ("[1,2]", "[2,1]", false),
            ("null", "false", false),
            (r#"{"a":null}"#, "{}", false),
        ] {
            assert_eq!(Json::parse(a).unwrap() == Json::parse(b).unwrap(), equal, "{a} {b}");
        }
    }

    /// P35: refused before it is accepted.
    #[test]
    fn what_is_not_an_object_is_refused() {
        assert_eq!(Document::parse("[1]").unwrap_err(), JsonError::NotAnObject);
        assert_eq!(Document::parse("{\"a\":").unwrap_err(), JsonError::Syntax);
        assert_eq!(Document::parse("").unwrap_err(), JsonError::Syntax);
        assert!(
            Document::parse(&format!("{{\"a\":{}{}}}", "[".repeat(63), "]".repeat(63))).is_ok()
        );
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
        assert_eq!(Document::parse(&deep).unwrap_err(), JsonError::TooDeep);
        assert!(
            Document::parse(
                r#"{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}"#
            )
            .is_ok()
        );
    }

    /// P35: refused before it is accepted.
    #[test]
    fn half_a_surrogate_pair_is_refused_wherever_it_stands() {
        for (text, accepted) in [
            (r#"{"\ud83d\ude00":1}"#, true),
            (r#"{"a":"\\ud83d"}"#, true),
            (r#"{"a":"\u00e9\n\"\\"}"#, true),
            (r#"{"\ud83d":1}"#, false),
            (r#"{"a":{"b":["\uDE00"]}}"#, false),
            (r#"{"a":"\ud83d\u0041"}"#, false),
            (r#"{"a":"\ud83dx"}"#, false),
        ] {
            assert_eq!(Document::parse(text).is_ok(), accepted, "{text}");
        }
    }

    /// R5, P35.
    #[test]
    fn text_survives_as_it_was_written() {
        let text = r#"{"price":1.10,"big":1e400000,"__proto__":{"x":1},"":0}"#;
        let mut node = Node::new(&Document::parse(text).unwrap());
        node.set(&["__proto__".into(), "x".into()], &Json::parse("2").unwrap());
        assert_eq!(
            node.into_document().text(),
            r#"{"price":1.10,"big":1e400000,"__proto__":{"x":2},"":0}"#
        );
    }

    #[test]
    fn of_a_doubled_name_the_last_value_counts() {
        let document = Document::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(document.fields().len(), 2);
        assert_eq!(document.get(&["a".into()]).unwrap().text(), "3");
    }
}
