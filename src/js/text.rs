//! JSON text, written by hand: what crosses to JavaScript is small and flat, and a serializer for each shape would weigh
//! more than all of it. Documents are copied as the text that they are.

use std::fmt::Display;

use crate::model::json::quote;

/// An object while it is written.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// A member that is JSON already.
    pub(super) fn raw(mut self, name: &str, json: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(json);
        self
    }

    pub(super) fn text(self, name: &str, value: &str) -> Self {
        self.raw(name, &quote(value))
    }

    /// A member that prints as a number or a boolean, or as a string of plain characters (an id).
    pub(super) fn plain(self, name: &str, value: &dyn Display) -> Self {
        self.raw(name, &value.to_string())
    }

    pub(super) fn id(self, name: &str, value: &dyn Display) -> Self {
        self.text(name, &value.to_string())
    }

    pub(super) fn number(self, name: &str, value: u64) -> Self {
        self.plain(name, &value)
    }

    pub(super) fn flag(self, name: &str, value: bool) -> Self {
        self.raw(name, if value { "true" } else { "false" })
    }

    /// A member only where there is a value.
    pub(super) fn maybe<T>(self, value: Option<T>, write: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => write(self, value),
            None => self,
        }
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A list of what is JSON already.
pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    let mut out = "[".to_owned();
    for item in items {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&item);
    }
    out.push(']');
    out
}
