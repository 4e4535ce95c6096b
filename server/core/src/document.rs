//! A record's content: the JSON text of one object. Values keep the spelling they were sent with.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::canonical::{canonical, plain};
use crate::limits::Limits;
use crate::object::{Object, is_object};

/// The JSON text of one object.
///
/// ```
/// use holdfast_server_core::{Document, Edit};
/// let document = Document::parse(r#"{"total":1.50}"#).unwrap();
/// let edits = [Edit::set(["address", "city"], r#""Hue""#).unwrap(), Edit::remove(["note"])];
/// assert_eq!(document.apply(&edits).as_str(), r#"{"total":1.50,"address":{"city":"Hue"}}"#);
/// ```
#[derive(Clone)]
pub struct Document(Box<RawValue>);

impl Document {
    /// Takes the JSON text of one object.
    ///
    /// # Errors
    /// A sentence saying why the text is not one JSON object.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw: Box<RawValue> = serde_json::from_str(text).map_err(|e| plain(&e))?;
        Self::from_raw(raw)
    }

    /// Takes what is known to be one object.
    pub(crate) fn of(object: Box<RawValue>) -> Self {
        Self(object)
    }

    pub(crate) fn from_raw(raw: Box<RawValue>) -> Result<Self, String> {
        if is_object(&raw) { Ok(Self(raw)) } else { Err("not a JSON object".to_owned()) }
    }

    pub(crate) fn raw(&self) -> &RawValue {
        &self.0
    }

    pub(crate) fn object(&self) -> Object {
        Object::of(&self.0)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The text of one member's value.
    ///
    /// ```
    /// # use holdfast_server_core::Document;
    /// let document = Document::parse(r#"{"status":"paid"}"#).unwrap();
    /// assert_eq!(document.member("status").as_deref(), Some(r#""paid""#));
    /// assert_eq!(document.member("note"), None);
    /// ```
    #[must_use]
    pub fn member(&self, name: &str) -> Option<String> {
        Object::of(&self.0).get(name).map(|value| value.get().to_owned())
    }

    /// The document after the edits, in order (the rules of `set` and `remove` are in
    /// [`Edit`]). Untouched values keep their text and their place.
    #[must_use]
    pub fn apply(&self, edits: &[Edit]) -> Self {
        let mut raw = self.0.clone();
        for edit in edits {
            match edit {
                Edit::Set { path, value } => raw = set(Some(&raw), path, value),
                Edit::Remove { path } => {
                    if let Some(changed) = remove(&raw, path) {
                        raw = changed;
                    }
                }
            }
        }
        Self(raw)
    }

    /// Checks the text against the limits of documents.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), Refused> {
        if self.as_str().len() > limits.document_bytes {
            return Err(Refused::TooLarge);
        }
        canonical(self.as_str(), limits).map(drop).map_err(Refused::Invalid)
    }
}

/// Why a document is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    TooLarge,
    Invalid(String),
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}
impl Eq for Document {}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_raw(Box::<RawValue>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// One edit of a document, by a path of member names.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Writes a value at the path. Objects are created on the way; a value on the way that is
    /// not an object is replaced by one.
    Set {
        /// Names from the top; at least one.
        path: Vec<String>,
        /// The JSON text of the value.
        value: Box<RawValue>,
    },
    /// Removes the member at the path; nothing happens if it, or an object on the way, is absent.
    Remove {
        /// Names from the top; at least one.
        path: Vec<String>,
    },
}

impl Edit {
    /// A `set`; `None` if `value` is not JSON.
    #[must_use]
    pub fn set<const N: usize>(path: [&str; N], value: &str) -> Option<Self> {
        let value = serde_json::from_str(value).ok()?;
        Some(Self::Set { path: path.map(str::to_owned).to_vec(), value })
    }

    /// A `remove`.
    #[must_use]
    pub fn remove<const N: usize>(path: [&str; N]) -> Self {
        Self::Remove { path: path.map(str::to_owned).to_vec() }
    }

    /// The path of either kind.
    #[must_use]
    pub fn path(&self) -> &[String] {
        match self {
            Self::Set { path, .. } | Self::Remove { path } => path,
        }
    }
}

fn set(target: Option<&RawValue>, path: &[String], value: &RawValue) -> Box<RawValue> {
    let Some((name, rest)) = path.split_first() else { return value.to_owned() };
    let mut members = target.map_or(Object(Vec::new()), Object::of);
    match members.0.iter_mut().find(|(n, _)| n == name) {
        Some((_, old)) => *old = set(Some(old), rest, value),
        None => members.0.push((name.clone(), set(None, rest, value))),
    }
    members.into_raw()
}

fn remove(target: &RawValue, path: &[String]) -> Option<Box<RawValue>> {
    let (name, rest) = path.split_first()?;
    let mut members = Object::of(target);
    let at = members.0.iter().position(|(n, _)| n == name)?;
    if rest.is_empty() {
        members.0.remove(at);
    } else {
        let (_, old) = members.0.get_mut(at)?;
        *old = remove(old, rest)?;
    }
    Some(members.into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    #[test]
    fn edits_apply_in_order() {
        let start = r#"{"a":1.50,"b":{"c":[1],"d":null},"e":"x"}"#;
        let set = |p: &[&str], v: &str| Edit::Set {
            path: p.iter().map(|s| (*s).to_owned()).collect(),
            value: serde_json::from_str(v).unwrap(),
        };
        for (name, edits, expected) in [
            (
                "set keeps the place",
                vec![set(&["a"], "2")],
                r#"{"a":2,"b":{"c":[1],"d":null},"e":"x"}"#,
            ),
            (
                "set nested",
                vec![set(&["b", "d"], "{}")],
                r#"{"a":1.50,"b":{"c":[1],"d":{}},"e":"x"}"#,
            ),
            (
                "set creates objects",
                vec![set(&["f", "g"], "1")],
                r#"{"a":1.50,"b":{"c":[1],"d":null},"e":"x","f":{"g":1}}"#,
            ),
            (
                "set replaces what is no object",
                vec![set(&["b", "c", "h"], "1")],
                r#"{"a":1.50,"b":{"c":{"h":1},"d":null},"e":"x"}"#,
            ),
            ("remove", vec![Edit::remove(["e"])], r#"{"a":1.50,"b":{"c":[1],"d":null}}"#),
            (
                "remove nested",
                vec![Edit::remove(["b", "d"])],
                r#"{"a":1.50,"b":{"c":[1]},"e":"x"}"#,
            ),
            ("remove absent", vec![Edit::remove(["z"]), Edit::remove(["a", "z"])], start),
            (
                "last one wins",
                vec![set(&["a"], "2"), Edit::remove(["a"]), set(&["e"], "3")],
                r#"{"b":{"c":[1],"d":null},"e":3}"#,
            ),
        ] {
            assert_eq!(doc(start).apply(&edits).as_str(), expected, "{name}");
        }
    }

    #[test]
    fn only_an_object_is_a_document() {
        for text in ["[]", "1", "null", "\"{}\"", "{", ""] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
        assert_eq!(Document::parse(" {} ").unwrap().as_str(), "{}");
    }

    #[test]
    fn limits_hold_for_documents() {
        let limits = Limits { document_bytes: 10, ..Limits::default() };
        assert_eq!(doc(r#"{"a":12345}"#).check(&limits), Err(Refused::TooLarge));
        assert_eq!(doc(r#"{"a":1234}"#).check(&limits), Ok(()));
        assert!(matches!(
            doc(r#"{"a":1,"a":2}"#).check(&Limits::default()),
            Err(Refused::Invalid(_))
        ));
    }
}
