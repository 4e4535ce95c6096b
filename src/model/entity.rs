//! Records: what the server last told us (base), and what the application sees (view).

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::json::Document;
use super::remote::Scope;
use super::time::Stamp;

/// Names a record: its collection, and the first id it had on this device, which is its key for ever (R16).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntityKey {
    /// A collection declared at `open`.
    pub collection: String,
    /// The record's own id.
    pub id: String,
}

impl EntityKey {
    /// A key from its two parts.
    pub fn new(collection: impl Into<String>, id: impl Into<String>) -> Self {
        Self { collection: collection.into(), id: id.into() }
    }
}

/// Whether a record is there. A deletion is a state that is kept, never a missing row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// The record and its content.
    Live(Document),
    /// A tombstone.
    Deleted,
}

impl Presence {
    /// The content, unless deleted.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        match self {
            Self::Live(document) => Some(document),
            Self::Deleted => None,
        }
    }
}

/// A server's version of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// Grows by each change.
    Number(u64),
    /// A time in a text that sorts by time.
    Stamp(String),
    /// Can only be told equal or different.
    Opaque(String),
}

impl Version {
    /// Whether this version comes after `other`; nothing where the two cannot be compared.
    #[must_use]
    pub fn newer_than(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Some(a.cmp(b) == Ordering::Greater),
            (Self::Stamp(a), Self::Stamp(b)) => Some(a.cmp(b) == Ordering::Greater),
            (Self::Opaque(a), Self::Opaque(b)) if a == b => Some(false),
            (Self::Number(_) | Self::Stamp(_) | Self::Opaque(_), _) => None,
        }
    }

    /// As an application sees it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Stamp(text) | Self::Opaque(text) => text.clone(),
        }
    }
}

/// What the server last told us of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Its content.
    pub presence: Presence,
    /// The server's version, where the wire has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The server's time of the record, where the wire has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
    /// The server gave a version without the content, which we calculated. A pulled row of the same version replaces it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guessed: bool,
}

impl Base {
    /// Whether `self` may take the place of `known`: never an older version, never a guess over what the server said.
    #[must_use]
    pub fn replaces(&self, known: Option<&Self>) -> bool {
        let Some(known) = known else { return true };
        let (Some(ours), Some(theirs)) = (&self.version, &known.version) else { return true };
        if ours == theirs {
            return known.guessed && !self.guessed;
        }
        ours.newer_than(theirs).unwrap_or(true)
    }
}

/// A base of the next generation, kept beside the one that is shown (R25).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// The full pull it belongs to; one of another means nothing any more.
    pub generation: u32,
    /// What the server said in it.
    pub base: Base,
}

/// One record of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub key: EntityKey,
    /// What the server last told us; nothing for a create that was not settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// What the application sees: `replay(base, operations in the view)` (R1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Presence>,
    /// The scope that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Further scopes that brought it: parts of the server's data may overlap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Scope>,
    /// The id by which the server knows it, where that is another (R16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<String>,
    /// The full pull that last confirmed it (R25).
    #[serde(default)]
    pub generation: u32,
    /// What the full pull that is under way brought of it: nobody sees that before its last page (R25).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
    /// Milliseconds since 1970 of the last change of the view.
    #[serde(default)]
    pub modified: u64,
}

impl Record {
    /// A record that nobody has written yet.
    #[must_use]
    pub fn new(key: EntityKey) -> Self {
        Self {
            key,
            base: None,
            view: None,
            scope: None,
            also: Vec::new(),
            server_id: None,
            generation: 0,
            shadow: None,
            modified: 0,
        }
    }

    /// The scopes that brought it.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scope.iter().chain(&self.also)
    }

    /// Whether a scope brought it.
    #[must_use]
    pub fn is_in(&self, scope: &Scope) -> bool {
        self.scopes().any(|known| known == scope)
    }

    /// A scope brought it.
    pub fn join(&mut self, scope: &Scope) {
        if self.is_in(scope) {
            return;
        }
        match self.scope {
            Some(_) => self.also.push(scope.clone()),
            None => self.scope = Some(scope.clone()),
        }
    }

    /// A scope does not have it any more.
    pub fn leave(&mut self, scope: &Scope) {
        self.also.retain(|known| known != scope);
        if self.scope.as_ref() == Some(scope) {
            self.scope = (!self.also.is_empty()).then(|| self.also.remove(0));
        }
    }

    /// Its base in a generation that is being built.
    #[must_use]
    pub fn base_in(&self, generation: u32) -> Option<&Base> {
        let shadow = self.shadow.as_ref().filter(|shadow| shadow.generation == generation);
        shadow.map(|shadow| &shadow.base)
    }

    /// The version of the base.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        self.base.as_ref().and_then(|base| base.version.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(version: u64, guessed: bool) -> Base {
        Base {
            presence: Presence::Deleted,
            version: Some(Version::Number(version)),
            stamp: None,
            guessed,
        }
    }

    /// P12.
    #[test]
    fn base_never_moves_backwards() {
        for (new, known, replaces) in [
            (base(2, false), base(1, false), true),
            (base(1, false), base(2, false), false),
            (base(1, false), base(1, false), false),
            (base(1, false), base(1, true), true),
            (base(1, true), base(1, false), false),
            (base(1, true), base(1, true), false),
        ] {
            assert_eq!(new.replaces(Some(&known)), replaces, "{new:?} over {known:?}");
        }
    }
}
