//! Outbox files: operations on their way to another device, or kept beside this one (R18).

use super::conflict::Conflict;
use super::ids::{DeviceId, OpId};
use super::json::Document;
use super::operation::{Operation, Owner};
use super::time::Wall;

/// The version of outbox files that this release writes, and the only one that it reads.
pub const FILE_VERSION: u32 = 1;

/// What an outbox file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxFile {
    /// When it was made.
    pub at: Wall,
    /// Where it was made.
    pub device: Option<DeviceId>,
    /// Whose data it is (P31).
    pub owner: Owner,
    /// The application's schema number.
    pub schema: u32,
    /// Whether the operations were handed over with it: they live where the file is imported.
    pub hand_over: bool,
    /// In their order.
    pub operations: Vec<Carried>,
    /// The open conflicts of these operations.
    pub conflicts: Vec<Conflict>,
}

/// An operation in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// As it stood in the outbox.
    pub op: Operation,
    /// The server's id of its record, where that is another.
    pub server_id: Option<String>,
    /// The document as the user last saw it (P21).
    pub snapshot: Option<Document>,
}

/// Which operations go into a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All that did not end and are not handed over.
    All,
    /// What needs a person, and what waits behind it.
    Parked,
    /// What was handed over before: the file was lost.
    HandedOver,
    /// These.
    Ids(Vec<OpId>),
}
