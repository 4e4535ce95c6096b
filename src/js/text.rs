//! JSON text, written and read by hand: what crosses to JavaScript is small and flat, and generated code for each shape would
//! weigh more than all of this. Documents are copied as the text that they are.

use std::fmt::Display;

use crate::model::Json;
use crate::model::json::{members, quote, unquote};
use crate::model::scan::Reader;

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

/// The elements of a list.
pub(super) fn elements(text: &str) -> Option<Vec<Json>> {
    let mut found = Vec::new();
    Reader::whole(text, |from| {
        from.list(&mut |from| {
            found.push(Json::read(from)?);
            Some(())
        })
    })?;
    Some(found)
}

/// The members of an object that somebody else wrote. What is missing and what is of another type is nothing alike, except where
/// the difference matters.
pub(super) struct Members(Vec<(String, Json)>);

impl Members {
    /// An envelope may be deeper than a document by its own brackets: only what is in it is held to the limit.
    pub(super) fn read(text: &str) -> Option<Self> {
        members(text).map(Self)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(String, Json)> {
        self.0.iter()
    }

    /// A member as its text, `null` included.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.text())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        unquote(self.raw(name)?)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.raw(name)?.parse().ok()
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.raw(name)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    pub(super) fn list(&self, name: &str) -> Option<Vec<Json>> {
        elements(self.raw(name)?)
    }
}
