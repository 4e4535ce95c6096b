//! A JSON object whose members keep their order and their spelling.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::document::Document;

pub(crate) fn is_object(raw: &RawValue) -> bool {
    raw.get().trim_start().starts_with('{')
}

pub(crate) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The members of an object in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object(pub(crate) Vec<(String, Box<RawValue>)>);

impl Object {
    /// The members of a value; none for what is not an object.
    pub(crate) fn of(raw: &RawValue) -> Self {
        if is_object(raw) {
            serde_json::from_str(raw.get()).unwrap_or_default()
        } else {
            Self::default()
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| &**value)
    }

    /// A member of a type; `None` if it is absent, `null` or something else.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str::<Option<T>>(self.get(name)?.get()).ok().flatten()
    }

    /// Whether a member is there and is not `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !is_null(value))
    }

    /// Adds a member at the end; its name is not there yet.
    pub(crate) fn with(mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Self {
        // What is written here has string keys and finite numbers: this cannot fail.
        let value = serde_json::value::to_raw_value(value).unwrap_or_default();
        self.0.push((name.to_owned(), value));
        self
    }

    /// Writes a member where it stands, or at the end.
    pub(crate) fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Adds the members of another object at the end.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Keeps the members whose names are wanted.
    pub(crate) fn keep(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|(name, _)| wanted(name));
        self
    }

    pub(crate) fn into_document(self) -> Document {
        Document::of(self.into_raw())
    }

    pub(crate) fn into_raw(self) -> Box<RawValue> {
        // Member names and values that were just read: writing them again cannot fail.
        serde_json::value::to_raw_value(&self).unwrap_or_default()
    }
}

/// A JSON merge patch (RFC 7396): what it makes of a value, `None` where there was none.
pub(crate) fn merge(target: Option<&RawValue>, patch: &RawValue) -> Box<RawValue> {
    if !is_object(patch) {
        return patch.to_owned();
    }
    let mut merged = target.map(Object::of).unwrap_or_default();
    for (name, value) in Object::of(patch).0 {
        if is_null(&value) {
            merged.0.retain(|(n, _)| *n != name);
        } else {
            let value = merge(merged.get(&name), &value);
            merged.set(&name, value);
        }
    }
    merged.into_raw()
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    members.push(entry);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_merge_patch_does_what_rfc_7396_says() {
        for (target, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (r#"{"price":1.10,"n":1}"#, r#"{"n":2.50}"#, r#"{"price":1.10,"n":2.50}"#),
        ] {
            assert_eq!(merge(Some(&raw(target)), &raw(patch)).get(), expected, "{target} {patch}");
        }
        assert_eq!(merge(None, &raw(r#"{"a":null,"b":1}"#)).get(), r#"{"b":1}"#);
    }

    #[test]
    fn members_are_read_by_type() {
        let object = Object::of(&raw(r#"{"a":1,"b":null,"c":"x"}"#));
        assert_eq!((object.read::<u64>("a"), object.read::<u64>("c")), (Some(1), None));
        assert!(object.has("a") && !object.has("b") && !object.has("d"));
        let rest = object.keep(|name| name != "a").with("e", &true).into_raw();
        assert_eq!(rest.get(), r#"{"b":null,"c":"x","e":true}"#);
    }
}
