//! Operations: what the user did that the server has not confirmed (SEMANTICS 3, 4).

use serde::{Deserialize, Serialize};

use super::edit::{self, Edit, Path};
use super::entity::{EntityKey, Presence, Version};
use super::field::FieldRule;
use super::ids::{ConflictId, DeviceId, Epoch, GroupId, OpId, Seq, Term};
use super::json::{Document, Json};
use super::map::Listed;
use super::rules::CollectionRules;
use super::time::{Stamp, Wall};

/// One stored change on its way to the server. It never leaves the outbox but through a [`Fate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its place in the device's order.
    pub seq: Seq,
    /// Its name for ever; the server's idempotency key.
    pub id: OpId,
    /// The record it changes.
    pub key: EntityKey,
    /// What it does.
    pub intent: Intent,
    /// What it found at the paths it touches: the ancestor of every merge (R4).
    pub before: Before,
    /// What it was made on.
    pub assumed: Assumed,
    /// When the newest write in it was made (R20).
    pub stamp: Stamp,
    /// How urgent it is; never overtakes within a record (R15).
    pub priority: Priority,
    /// The transaction it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// Records whose creates it waits for (R12).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refs: Vec<EntityKey>,
    /// Whose it is.
    pub owner: Owner,
    /// The application's schema number at acceptance.
    pub schema: u32,
    /// Later writes inside this operation: they make a repeat idempotent and balance the audit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folded: Vec<OpId>,
    /// The operation whose place it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<OpId>,
    /// What may have left the device. Once written (sealed) the operation never changes again (P5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
    /// How often it left.
    #[serde(default)]
    pub sends: u32,
    /// How often the server itself refused it (R8).
    #[serde(default)]
    pub refusals: u32,
    /// Where it stands.
    pub state: OpState,
    /// Whether it could leave now, time aside: the ready index (R11).
    #[serde(default)]
    pub ready: bool,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    /// Makes a record.
    Create(Document),
    /// Changes members.
    Change(Vec<Edit>),
    /// Puts a whole document in the place of another.
    Replace(Document),
    /// Takes the record away.
    Delete,
    /// Reports a person's decision, on wires that have a word for it.
    Resolve(Resolve),
}

/// A person's decision as a backend with a resolve endpoint wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolve {
    /// What the server called the conflict.
    pub token: Option<String>,
    /// What was chosen.
    pub chosen: Presence,
}

/// The values an operation found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Before {
    /// There was no record.
    Nothing,
    /// At each path it touches.
    Paths(Vec<(Path, Slot)>),
    /// The whole record: deletions and replacements touch all of it.
    Whole(Option<Document>),
}

/// A place that may be empty. Absent is not `null` (R4), so on disk it is a list of none or one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Json>", into = "Vec<Json>")]
pub struct Slot(pub Option<Json>);

impl From<Vec<Json>> for Slot {
    fn from(list: Vec<Json>) -> Self {
        Self(list.into_iter().next())
    }
}

impl From<Slot> for Vec<Json> {
    fn from(slot: Slot) -> Self {
        slot.0.into_iter().collect()
    }
}

/// What an operation was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Assumed {
    /// No record.
    Nothing,
    /// A version of the server.
    At(Version),
    /// An earlier operation on the same record whose verdict is not known yet.
    After(OpId),
    /// A record whose version the wire does not tell.
    Unknown,
}

/// Which operations leave first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Priority {
    /// Before all others.
    High,
    /// In their order.
    #[default]
    Normal,
    /// After all others.
    Low,
}

impl Priority {
    /// Its rank in the ready index: the lower leaves first.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }
}

/// Whose data it is (P31).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Owner {
    /// The tenant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tenant: String,
    /// The user.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
}

/// What left the device, in the words of the wire. Resent unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The record's id as the server knows it.
    pub id: String,
    /// The device that sent it first.
    pub device: DeviceId,
    /// The version it was made on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed: Option<Version>,
    /// What it says, where translated ids make it differ from the intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Intent>,
    /// When it was made.
    pub stamp: Stamp,
}

/// Where an operation stands (SEMANTICS 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpState {
    /// Waits to leave.
    Queued {
        /// Not before this time, after a failure.
        not_before: Option<Wall>,
        /// The term of the leader that planned so. A later one does not wait for it (R19).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        under: Option<Term>,
    },
    /// With the server, sent under this term.
    InFlight {
        /// The leader's term.
        term: Term,
    },
    /// Applied, not yet seen in a pull (wires whose versions do not compare).
    Acked {
        /// Gone when more pulls than this were completed.
        pull_after: Epoch,
    },
    /// Waits behind a parked operation.
    Blocked {
        /// One of its causes.
        by: OpId,
        /// Whether every cause is a conflict, so that it stays in the view (R1).
        visible: bool,
    },
    /// Needs a person.
    Parked(Parked),
}

/// Why an operation needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parked {
    /// Both sides changed the record.
    Conflicted(ConflictId),
    /// The server refused it.
    Rejected {
        /// The server's code.
        code: String,
        /// The server's words.
        message: String,
        /// The document as the user last saw it (P21).
        snapshot: Option<Document>,
    },
    /// It lives on another device now.
    HandedOver,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// The server has it.
    Applied,
    /// It went into an older operation.
    Folded(OpId),
    /// A create and its removal, neither ever sent.
    Annihilated,
    /// The server's side was taken; the conflict keeps ours.
    Yielded(ConflictId),
    /// Another operation took its place.
    Superseded(OpId),
    /// A person gave it up.
    Discarded,
    /// It was given to another device.
    HandedOver,
}

impl Operation {
    /// Whether it may have left the device.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sent.is_some()
    }

    /// Whether it waits to leave and never did.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        !self.is_sealed() && matches!(self.state, OpState::Queued { .. })
    }

    /// Whether the view contains it (R1); a conflicted one is shown through its conflict.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        match &self.state {
            OpState::Queued { .. }
            | OpState::InFlight { .. }
            | OpState::Acked { .. }
            | OpState::Parked(Parked::Conflicted(_)) => true,
            OpState::Blocked { visible, .. } => *visible,
            OpState::Parked(Parked::Rejected { .. } | Parked::HandedOver) => false,
        }
    }

    /// Whether it may be with the server, its verdict not known.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match &self.state {
            OpState::Queued { .. } => self.is_sealed(),
            OpState::InFlight { .. } => true,
            OpState::Acked { .. } | OpState::Blocked { .. } | OpState::Parked(_) => false,
        }
    }

    /// Whether later operations of its record wait for it.
    #[must_use]
    pub fn holds_the_record(&self) -> bool {
        match &self.state {
            OpState::Queued { .. }
            | OpState::InFlight { .. }
            | OpState::Parked(Parked::Conflicted(_)) => true,
            OpState::Acked { .. }
            | OpState::Blocked { .. }
            | OpState::Parked(Parked::Rejected { .. } | Parked::HandedOver) => false,
        }
    }

    /// The conflict it waits in.
    #[must_use]
    pub fn conflict(&self) -> Option<ConflictId> {
        match &self.state {
            OpState::Parked(Parked::Conflicted(id)) => Some(*id),
            OpState::Queued { .. }
            | OpState::InFlight { .. }
            | OpState::Acked { .. }
            | OpState::Blocked { .. }
            | OpState::Parked(Parked::Rejected { .. } | Parked::HandedOver) => None,
        }
    }

    /// Whether what it was made on is what stands there.
    #[must_use]
    pub fn found(&self, document: Option<&Document>) -> bool {
        match &self.before {
            Before::Paths(paths) => paths
                .iter()
                .all(|(path, slot)| slot.0 == document.and_then(|document| document.get(&path.0))),
            Before::Whole(found) => found.as_ref() == document,
            Before::Nothing => document.is_none(),
        }
    }

    /// Whether it makes its record, so that others may have to wait for it.
    #[must_use]
    pub fn is_create(&self) -> bool {
        matches!(self.intent, Intent::Create(_))
    }

    /// The bytes of user data it keeps, for the limits of the outbox.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.intent.bytes()
    }

    /// What it does to a record: one step of the view, by the rule of each member (R1). What an acked operation left is not
    /// calculated again, and a sealed one that finds what it left is not applied again: the server has it.
    #[must_use]
    pub fn replay(&self, on: Option<&Presence>, rules: &CollectionRules) -> Option<Presence> {
        match on {
            Some(Presence::Live(there)) if !matches!(self.state, OpState::Acked { .. }) => {
                let meets = |path: &Path| there.get(&path.0);
                let met = |path: &Path, mine: &Json| {
                    self.is_sealed() && meets(path).as_ref() == Some(mine)
                };
                self.intent
                    .calculated(rules, &|rule, path, mine| {
                        let was = self.before.at(path);
                        let new = || rule.over(was.as_ref(), Some(mine), meets(path).as_ref());
                        if met(path, mine) { None } else { new() }
                    })
                    .replay(on)
            }
            Some(_) | None => self.intent.replay(on),
        }
    }

    /// What it does, for somebody who finds other values: members with a rule that calculates keep what was done to them.
    #[must_use]
    pub fn over(&self, found: &dyn Fn(&Path) -> Option<Json>, rules: &CollectionRules) -> Intent {
        self.intent.calculated(rules, &|rule, path, mine| {
            rule.over(self.before.at(path).as_ref(), Some(mine), found(path).as_ref())
        })
    }

    /// Takes new coordinates: it is as if it had found other values (R4, R6).
    pub fn stand_on(&mut self, found: Before, rules: &CollectionRules) {
        self.intent = self.over(&|path| found.at(path), rules);
        self.before = found;
    }
}

impl Before {
    /// What was found at a path.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<Json> {
        match self {
            Self::Nothing => None,
            Self::Whole(document) => document.as_ref().and_then(|document| document.get(&path.0)),
            Self::Paths(paths) => {
                paths.iter().find(|(at, _)| at == path).and_then(|(_, Slot(value))| value.clone())
            }
        }
    }
}

impl Before {
    /// Whether it is known that this, or nothing, was found at a path.
    #[must_use]
    pub fn found(&self, path: &Path, there: Option<&Json>) -> bool {
        match self {
            Self::Nothing | Self::Whole(_) => self.at(path).as_ref() == there,
            Self::Paths(paths) => {
                paths.iter().filter(|(at, _)| at.covers(path)).any(|(at, slot)| {
                    let below = path.0.get(at.0.len()..).unwrap_or_default();
                    let document = || slot.0.clone().and_then(|it| Document::from_json(it).ok());
                    let found = match below {
                        [] => slot.0.clone(),
                        below => document().and_then(|document| document.get(below)),
                    };
                    found.as_ref() == there
                })
            }
        }
    }
}

/// A value in the place of one that was written at a path under a rule; nothing where that stays.
type Calculate<'a> = &'a dyn Fn(&FieldRule, &Path, &Json) -> Option<Json>;

impl Intent {
    /// With other values in the members whose rule calculates.
    #[must_use]
    pub fn calculated(&self, rules: &CollectionRules, value: Calculate<'_>) -> Self {
        if rules.fields.is_empty() {
            return self.clone();
        }
        let again = |edit: &Edit| {
            let (path, mine) = (edit.path(), edit.value()?);
            let value = value(rules.calculating(path)?, path, mine)?;
            Some(Edit::Set { path: path.clone(), value })
        };
        let whole = |document: &Document| {
            let edits: Vec<Edit> = sets(document).iter().filter_map(again).listed();
            edit::apply(document, &edits)
        };
        match self {
            Self::Create(document) => Self::Create(whole(document)),
            Self::Replace(document) => Self::Replace(whole(document)),
            Self::Change(edits) => {
                let edits = edits.iter().map(|edit| again(edit).unwrap_or_else(|| edit.clone()));
                Self::Change(edits.collect())
            }
            Self::Delete | Self::Resolve(_) => self.clone(),
        }
    }

    /// What it does to a record as it stands written, and so on a server. A change of a record that is gone changes nothing: its
    /// conflict will be judged.
    #[must_use]
    pub fn replay(&self, on: Option<&Presence>) -> Option<Presence> {
        match (self, on) {
            (Self::Create(document), Some(Presence::Live(base))) => {
                let edits: Vec<Edit> = sets(document);
                Some(Presence::Live(edit::apply(base, &edits)))
            }
            (Self::Create(document), None | Some(Presence::Deleted))
            | (Self::Replace(document), Some(Presence::Live(_))) => {
                Some(Presence::Live(document.clone()))
            }
            (Self::Change(edits), Some(Presence::Live(base))) => {
                Some(Presence::Live(edit::apply(base, edits)))
            }
            (Self::Change(_) | Self::Replace(_), None | Some(Presence::Deleted)) => on.cloned(),
            (Self::Delete, _) => Some(Presence::Deleted),
            (Self::Resolve(resolve), _) => Some(resolve.chosen.clone()),
        }
    }

    /// The bytes of user data in it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Create(document) | Self::Replace(document) => document.text().len(),
            Self::Change(edits) => edits
                .iter()
                .map(|edit| {
                    let names: usize = edit.path().0.iter().map(String::len).sum();
                    names + edit.value().map_or(0, |value| value.text().len())
                })
                .sum(),
            Self::Delete => 0,
            Self::Resolve(resolve) => {
                resolve.chosen.document().map_or(0, |document| document.text().len())
            }
        };
        bytes as u64
    }
}

/// A document as the edits that write each of its members.
#[must_use]
pub fn sets(document: &Document) -> Vec<Edit> {
    document
        .fields()
        .into_iter()
        .map(|(name, value)| Edit::Set { path: Path::field(name), value })
        .collect()
}

impl OpState {
    /// The ordinary state of a new operation.
    #[must_use]
    pub fn queued() -> Self {
        Self::Queued { not_before: None, under: None }
    }
}
