//! Conflicts: both sides changed a record. Both are kept until somebody decides, and after that until `tidy` (P19).

use serde::{Deserialize, Serialize};

use super::edit::Path;
use super::entity::{EntityKey, Presence, Version};
use super::ids::{ConflictId, OpId};
use super::json::Document;
use super::time::{Stamp, Wall};

/// What the two sides did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConflictKind {
    /// Both changed it.
    UpdateUpdate,
    /// We changed it, the server deleted it.
    UpdateDelete,
    /// We deleted it, the server changed it.
    DeleteUpdate,
    /// Both made it.
    CreateCreate,
}

/// A conflict record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Its name.
    pub id: ConflictId,
    /// The record.
    pub key: EntityKey,
    /// The operation that met the server's change.
    pub op: OpId,
    /// What the two sides did.
    pub kind: ConflictKind,
    /// The ancestor, as far as it is known: at least at the paths that the operation touches.
    pub base: Option<Document>,
    /// Our side, with all later edits.
    pub mine: Presence,
    /// The server's side.
    pub theirs: Presence,
    /// The server's version.
    pub version: Option<Version>,
    /// The server's time.
    pub stamp: Option<Stamp>,
    /// Where the two sides differ.
    pub fields: Vec<Path>,
    /// When it was found.
    pub at: Wall,
    /// What the server calls it, where it wants to be told the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Who is asked.
    pub asks: Asks,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolved>,
}

impl Conflict {
    /// Whether it is open and the application's resolver is to be asked, or is being asked.
    #[must_use]
    pub fn asks_resolver(&self) -> bool {
        self.resolved.is_none() && self.asks == Asks::Callback
    }

    /// Whether a side is no longer the one that somebody was shown. An edit that they never saw is not given up by what they
    /// decide, nor is a change of the server's overwritten (P19).
    #[must_use]
    pub fn has_moved(&self, shown: &Self) -> bool {
        (&self.mine, &self.theirs, &self.version) != (&shown.mine, &shown.theirs, &shown.version)
    }
}

/// Who is asked to decide (R26).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asks {
    /// The application's resolver.
    Callback,
    /// A person.
    Person,
}

/// How a conflict ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Who decided.
    pub by: Decider,
    /// What: `mine`, `theirs`, `merged` or `fields`.
    pub choice: String,
    /// When.
    pub at: Wall,
    /// The call that decided: makes a repeat of it recognisable (R22).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<OpId>,
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decider {
    /// The declared strategy.
    Policy,
    /// The application's resolver.
    Callback,
    /// A person.
    Person,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Our side, over theirs.
    Mine,
    /// The server's side.
    Theirs,
    /// A document that somebody made of both, or a deletion.
    Merged(Presence),
    /// A side for each path; paths that are not named take the server's.
    Fields(Vec<(Path, Side)>),
}

/// What the application's resolver said of a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It decides so.
    Choice(Choice),
    /// A person shall decide: it wants that, or it failed, or nothing that it said makes sense (P20).
    Person,
}

impl Choice {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mine => "mine",
            Self::Theirs => "theirs",
            Self::Merged(_) => "merged",
            Self::Fields(_) => "fields",
        }
    }
}

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The device's.
    Mine,
    /// The server's.
    Theirs,
}
