//! What goes to the server and what comes back, in our words. The bytes are `protocol`'s.

use serde::{Deserialize, Serialize};

use super::entity::{EntityKey, Presence, Version};
use super::ids::{DeviceId, GroupId, OpId, Seq};
use super::json::{Document, quote};
use super::operation::Intent;
use super::time::{Millis, Stamp, Wall};

/// A part of the server's data with a cursor of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(pub String);

impl Scope {
    /// The scope of an application that declares none.
    #[must_use]
    pub fn all() -> Self {
        Self("all".to_owned())
    }
}

/// A position in the server's change stream. Opaque: only the server reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// What a backend can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Groups are applied all or none.
    pub groups: bool,
    /// Changes leave as whole records.
    pub whole_record: bool,
    /// Changes leave as merge patches.
    pub patches: bool,
    /// The backend keeps no memory of what it applied: a repeat that meets a conflict may have been applied before.
    pub weak_replay: bool,
    /// The backend wants a pull before a push.
    pub pull_first: bool,
    /// Records have versions that can be compared.
    pub versions: bool,
    /// Every change and every conflict says when the record was last written.
    pub times: bool,
}

/// Operations that leave together, each sealed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// In the order in which they are to be applied.
    pub operations: Vec<Departure>,
    /// How far was pulled, on wires whose answers to a push go on from there.
    pub cursor: Option<Cursor>,
}

impl Batch {
    /// Whether nothing leaves.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Whether it cannot be made smaller: one operation, or one transaction that leaves whole (R14).
    #[must_use]
    pub fn is_indivisible(&self) -> bool {
        let mut groups = self.operations.iter().map(|departure| &departure.group);
        match groups.next() {
            Some(Some((first, _))) => groups.all(|it| it.as_ref().is_some_and(|it| it.0 == *first)),
            Some(None) => groups.next().is_none(),
            None => false,
        }
    }
}

/// One operation as it leaves: what was sealed, never the operation's present state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The operation.
    pub op: OpId,
    /// Its place in the device's order.
    pub seq: Seq,
    /// The record's collection.
    pub collection: String,
    /// The record's id on this device, which wires that know two ids want too.
    pub own: String,
    /// The record's id as the server knows it.
    pub id: String,
    /// What it does.
    pub intent: Intent,
    /// What the server calls the conflict that it decides.
    pub decides: Option<String>,
    /// The version it was made on.
    pub assumed: Option<Version>,
    /// When it was made.
    pub stamp: Stamp,
    /// The device that first sent it.
    pub device: DeviceId,
    /// Its transaction and how many members that has.
    pub group: Option<(GroupId, u32)>,
    /// How often it has left, this time included.
    pub sends: u32,
}

/// The server's verdict on one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done, now or at an earlier time.
    Applied {
        /// The record's version afterwards, where the wire tells it.
        version: Option<Version>,
        /// The record afterwards, where the wire tells it.
        presence: Option<Presence>,
        /// The server's time of the record.
        stamp: Option<Stamp>,
        /// The id that the server gave a new record.
        assigned_id: Option<String>,
    },
    /// Somebody else changed the record since the assumed version.
    Conflict {
        /// The server's side.
        theirs: Theirs,
        /// Another record that stands for the same thing (R17).
        other: Option<String>,
        /// What the server calls the conflict.
        token: Option<String>,
    },
    /// The server will not have it.
    Rejected {
        /// The server's code.
        code: String,
        /// The server's words.
        message: String,
        /// Asking again is of no use (R8).
        last: bool,
    },
    /// Not now.
    Retry {
        /// Not before this long.
        after: Option<Millis>,
    },
}

/// The server's side of a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Theirs {
    /// The record as the server has it.
    Live {
        /// Its content.
        document: Document,
        /// Its version.
        version: Option<Version>,
        /// The server's time of it.
        stamp: Option<Stamp>,
    },
    /// The server has a tombstone.
    Deleted {
        /// Its version.
        version: Option<Version>,
        /// The server's time of it.
        stamp: Option<Stamp>,
    },
    /// The wire does not say.
    Unknown,
}

/// An answer that concerns a whole request. It ends no operation's life (R7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// No answer.
    Unreachable,
    /// An answer, but not our server's: a captive portal, a proxy.
    Foreign,
    /// The token was not accepted.
    Auth,
    /// The token may not do this.
    Forbidden,
    /// The endpoint is not there.
    Misconfigured,
    /// Ask again, not before this long where the server says so.
    Later(Option<Millis>),
    /// The request was too large.
    TooLarge,
    /// The request as a whole was refused.
    BatchRefused,
    /// The cursor is too old, or of another history: pull everything anew.
    Expired,
    /// Our server, but words that we do not understand.
    Protocol,
    /// A page with more changes that cannot be read than are kept aside (R2).
    Unreadable,
}

impl Halt {
    /// Whether our server answered, so that we are connected (P37).
    #[must_use]
    pub fn is_answer(&self) -> bool {
        match self {
            Self::Unreachable | Self::Foreign => false,
            Self::Auth
            | Self::Forbidden
            | Self::Misconfigured
            | Self::Later(_)
            | Self::TooLarge
            | Self::BatchRefused
            | Self::Expired
            | Self::Protocol
            | Self::Unreadable => true,
        }
    }
}

/// The answer to a batch. An operation that is not in it counts as [`Outcome::Retry`] (R7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PushReply {
    /// Verdicts, in any order.
    pub outcomes: Vec<(OpId, Outcome)>,
    /// Changes that came with the answer, on wires that push and pull at once.
    pub page: Option<PullPage>,
    /// Why the request as a whole failed.
    pub halt: Option<Halt>,
    /// The server's clock, where the wire tells it.
    pub time: Option<Wall>,
    /// Bytes that went over the wire, both ways.
    pub bytes: u64,
    /// Of these, bytes that left.
    pub up: u64,
}

impl PushReply {
    /// A request that failed as a whole.
    #[must_use]
    pub fn halted(halt: Halt) -> Self {
        Self { halt: Some(halt), ..Self::default() }
    }
}

/// A part of the server's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullPage {
    /// Records as they are now.
    pub changes: Vec<RemoteChange>,
    /// Changes that could not be read, with their text (R2).
    pub unreadable: Vec<String>,
    /// Where to go on.
    pub next: Cursor,
    /// Whether there is more.
    pub more: bool,
    /// The server's clock, where the wire tells it.
    pub time: Option<Wall>,
    /// Bytes that went over the wire.
    pub bytes: u64,
}

impl PullPage {
    /// Takes out what the application's validators refuse, by place, and keeps its text like that of a change that cannot be read
    /// (R2).
    pub fn set_aside(&mut self, refused: &[usize]) {
        let changes = std::mem::take(&mut self.changes);
        for (place, change) in changes.into_iter().enumerate() {
            if refused.contains(&place) {
                self.unreadable.push(change.to_text());
            } else {
                self.changes.push(change);
            }
        }
    }
}

/// One record as the server has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteChange {
    /// The record, by the server's id.
    pub key: EntityKey,
    /// Its content, or its tombstone.
    pub presence: Presence,
    /// Its version.
    pub version: Option<Version>,
    /// The server's time of it.
    pub stamp: Option<Stamp>,
    /// The operation that made this version.
    pub op: Option<OpId>,
    /// The id that the device which made the record gave it, on wires that say so.
    pub own: Option<String>,
}

impl RemoteChange {
    /// As it is kept for a person to look at.
    fn to_text(&self) -> String {
        let mut out = "{\"collection\":".to_owned();
        out.push_str(&quote(&self.key.collection));
        out.push_str(",\"id\":");
        out.push_str(&quote(&self.key.id));
        match &self.version {
            Some(Version::Number(number)) => {
                out.push_str(",\"version\":");
                out.push_str(&number.to_string());
            }
            Some(Version::Stamp(text) | Version::Opaque(text)) => {
                out.push_str(",\"version\":");
                out.push_str(&quote(text));
            }
            None => {}
        }
        out.push_str(",\"document\":");
        out.push_str(self.presence.document().map_or("null", Document::text));
        out.push('}');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R2, R5: with the server's own text of the document.
    #[test]
    fn what_a_validator_refuses_is_kept_aside_with_its_text() {
        let change = |id: &str, version, text: &str| RemoteChange {
            key: EntityKey::new("orders", id),
            presence: Presence::Live(Document::parse(text).unwrap()),
            version,
            stamp: None,
            op: None,
            own: None,
        };
        let changes = vec![
            change("a", Some(Version::Number(7)), r#"{"n": 1.0}"#),
            change("b", None, "{}"),
            change("\"", Some(Version::Opaque("x\"".to_owned())), "{}"),
        ];
        let mut page = PullPage {
            changes: changes.clone(),
            unreadable: vec!["?".to_owned()],
            next: Cursor("1".to_owned()),
            more: false,
            time: None,
            bytes: 0,
        };
        page.set_aside(&[]);
        assert_eq!(page.changes, changes);
        page.set_aside(&[0, 2]);
        assert_eq!(page.changes, [changes[1].clone()]);
        assert_eq!(
            page.unreadable,
            [
                "?",
                r#"{"collection":"orders","id":"a","version":7,"document":{"n": 1.0}}"#,
                r#"{"collection":"orders","id":"\"","version":"x\"","document":{}}"#,
            ]
        );
    }
}
