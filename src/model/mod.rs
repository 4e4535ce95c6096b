//! The nouns: plain data, no behaviour beyond constructors and small questions.

pub mod changeset;
pub mod conflict;
pub mod edit;
pub mod entity;
pub mod error;
pub mod field;
pub mod ids;
pub mod json;
pub mod map;
pub(crate) mod number;
pub mod operation;
pub mod references;
pub mod remote;
pub mod rules;
pub(crate) mod scan;
pub mod time;
pub mod transfer;

pub use changeset::{
    Changeset, Counts, Ctx, CursorRow, Decision, Durability, FORMAT, JournalLine, Meta, Need,
    Quarantine, Reserve, Root, SPARE_TERMS, Settled, Snapshot, Space, Unreadable, Verb, own_key,
};
pub use conflict::{Answer, Asks, Choice, Conflict, ConflictKind, Decider, Resolved, Side};
pub use edit::{Edit, Path};
pub use entity::{Base, EntityKey, Presence, Record, Shadow, Version};
pub use error::{Code, Failure, StoreError, SyncError};
pub use field::FieldRule;
pub use ids::{ConflictId, DeviceId, Epoch, GroupId, IdSeed, OpId, Seq, Term};
pub use json::{Document, Json, JsonError};
pub use map::{Map, Set};
pub use operation::{
    Assumed, Before, Fate, Intent, OpState, Operation, Owner, Parked, Priority, Resolve, Sent, Slot,
};
pub use references::References;
pub use remote::{
    Batch, Capabilities, Cursor, Departure, Halt, Outcome, PullPage, PushReply, RemoteChange,
    Scope, Theirs,
};
pub use rules::{Backoff, CollectionRules, Limits, Policies, Rules, Strategy};
pub use time::{Ahead, Millis, Mono, Stamp, Wall};
pub use transfer::{Carried, FILE_VERSION, OutboxFile, Selection};
