//! JSON of others as text: members are found by their names, nothing is made into trees.

use crate::model::json::{quote, unquote};
use crate::model::scan::{Reader, unescaped};

/// The members of an object, each as its text. An object that says a name twice is none: which of the two is meant, nobody
/// knows.
pub(super) struct Parts<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parts<'a> {
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut parts: Vec<(&str, &str)> = Vec::new();
        Reader::whole(text, |from| {
            from.members(&mut |from, name| {
                let value = from.raw()?;
                let doubled = parts.iter().any(|(known, _)| same(known, name));
                (!doubled).then(|| parts.push((name, value)))
            })
        })?;
        Some(Self(parts))
    }

    /// The names as they are spelled, and the values.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(&'a str, &'a str)> {
        self.0.iter()
    }

    /// The value at a path of names joined by dots. `null` is a value.
    pub(super) fn at(&self, path: &str) -> Option<&'a str> {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let (_, value) = self.0.iter().find(|(known, _)| same(known, name))?;
        if rest.is_empty() { Some(*value) } else { Self::read(value)?.at(rest) }
    }
}

/// Whether two spelled names mean the same.
fn same(spelled: &str, name: &str) -> bool {
    spelled == name
        || (spelled.contains('\\') || name.contains('\\')) && unescaped(spelled) == unescaped(name)
}

/// The value at a path in a text; the whole text at none. `null` counts as missing.
pub(super) fn at<'a>(text: &'a str, path: &str) -> Option<&'a str> {
    let found = if path.is_empty() { Some(text) } else { Parts::read(text)?.at(path) };
    found.filter(|it| *it != "null")
}

/// A value that names something: a text, or a whole number that is taken for its digits.
pub(super) fn word(raw: &str) -> Option<String> {
    unquote(raw).or_else(|| is_whole(raw).then(|| raw.to_owned()))
}

/// Whether a text is a whole number as JSON spells it: no sign, no leading zero, and small enough for every reader.
pub(super) fn is_whole(text: &str) -> bool {
    let digits = text.bytes().all(|it| it.is_ascii_digit());
    let led = text.len() > 1 && text.starts_with('0');
    !text.is_empty() && text.len() < 16 && digits && !led
}

/// The elements of a list; `null` is an empty one, as some servers write it.
pub(super) fn elements(raw: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    if raw != "null" {
        Reader::whole(raw, |from| {
            from.list(&mut |from| {
                found.push(from.raw()?);
                Some(())
            })
        })?;
    }
    Some(found)
}

/// An object while it is put together from values that are JSON.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// A member whose name is spelled as JSON already.
    pub(super) fn spelled(&mut self, name: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(value);
    }

    pub(super) fn member(&mut self, name: &str, value: &str) {
        let quoted = quote(name);
        let spelled = quoted.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        self.spelled(spelled.unwrap_or_default(), value);
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A list of values that are JSON.
pub(super) fn list(items: &[String]) -> String {
    let mut out = "[".to_owned();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(item);
    }
    out.push(']');
    out
}
