//! One text per JSON value, and the check of a value against the limits, in the same walk.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::limits::Limits;

/// The canonical text: members sorted, no white space, one spelling per number and string.
///
/// Integers keep all their digits, other numbers are compared as IEEE doubles. Refused: nesting
/// beyond [`Limits::depth`], a member name longer than [`Limits::key_bytes`], one name twice in
/// an object, a number outside the doubles, a lone surrogate.
pub(crate) fn canonical(text: &str, limits: &Limits) -> Result<String, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = Walk { left: limits.depth, key_bytes: limits.key_bytes };
    let out = seed.deserialize(&mut deserializer).map_err(|e| plain(&e))?;
    deserializer.end().map_err(|e| plain(&e))?;
    Ok(out)
}

/// The reason without the position, which is that inside a fragment and would only mislead.
pub(crate) fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text.get(..at).unwrap_or(&text).to_owned(),
        None => text,
    }
}

#[derive(Clone, Copy)]
struct Walk {
    left: usize,
    key_bytes: usize,
}

impl Walk {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { left, ..self })
    }
}

fn quoted<E: Error>(text: &str) -> Result<String, E> {
    serde_json::to_string(text).map_err(E::custom)
}

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
        // -0 is 0 (R5); Display gives the shortest digits that read back as the same double.
        Ok(if value == 0.0 { "0".to_owned() } else { value.to_string() })
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        quoted(value)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<String, A::Error> {
        let inner = self.deeper()?;
        let mut out = String::from("[");
        while let Some(item) = seq.next_element_seed(inner)? {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&item);
        }
        out.push(']');
        Ok(out)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let inner = self.deeper()?;
        let mut members = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name.len() > self.key_bytes {
                return Err(A::Error::custom("a member name is too long"));
            }
            let value = map.next_value_seed(inner)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member name occurs twice in one object"));
            }
        }
        let mut out = String::from("{");
        for (name, value) in &members {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&quoted::<A::Error>(name)?);
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_per_value() {
        let limits = Limits::default();
        for (text, expected) in [
            (r#" {"b":1, "a":[true,null]} "#, r#"{"a":[true,null],"b":1}"#),
            ("100.0", "100"),
            ("1e2", "100"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("9007199254740993", "9007199254740993"),
            (r#""\u0041\n""#, r#""A\n""#),
            ("1.10", "1.1"),
        ] {
            assert_eq!(canonical(text, &limits).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_single_meaning_is_refused() {
        let limits = Limits { depth: 2, key_bytes: 3, ..Limits::default() };
        for (text, reason) in [
            (r#"{"a":1,"a":1}"#, "a member name occurs twice in one object"),
            (r#"{"abcd":1}"#, "a member name is too long"),
            ("[[[]]]", "nested too deeply"),
            ("1e999", "number out of range"),
            ("1 2", "trailing characters"),
        ] {
            assert_eq!(canonical(text, &limits).unwrap_err(), reason, "{text}");
        }
        assert!(canonical("[[1]]", &limits).is_ok(), "the limit itself is allowed");
        assert!(canonical(r#""\ud800""#, &limits).is_err(), "a lone surrogate is not text");
    }
}
