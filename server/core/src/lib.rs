//! The verdicts of Holdfast's standard protocol, as a library without I/O.
//!
//! `docs/protocol.md` is the specification. This crate reads requests ([`PushRequest::parse`]),
//! decides ([`push`], [`pull`]) over a small storage trait ([`Tx`]), and writes answers
//! (`to_json`). Time is an argument; there is no clock, no randomness and no hash map, so the same
//! requests on the same store give the same answers: the reference server runs it over SQLite, and
//! the client's simulation over [`Memory`].
//!
//! ```
//! use holdfast_server_core::{
//!     AcceptAll, Document, Intent, Key, Limits, Memory, Operation, PullRequest, PushRequest, pull,
//!     push,
//! };
//! let (mut server, limits) = (Memory::new("e1"), Limits::default());
//! let sale = Operation {
//!     op_id: "op-1".into(),
//!     key: Key::new("orders", "order-1"),
//!     intent: Intent::Create(Document::parse(r#"{"total":250}"#).unwrap()),
//!     assumed: None,
//!     at: 1_000,
//! };
//! let request = PushRequest::new("till-7", vec![sale]);
//! let first = push(&mut server, &request, &AcceptAll, &limits, 2_000)?;
//! let again = push(&mut server, &request, &AcceptAll, &limits, 3_000)?;
//! assert!(!first.outcomes[0].duplicate && again.outcomes[0].duplicate);
//! assert_eq!(server.effects("op-1"), 1);
//! let page = pull(&server, &PullRequest::default(), &limits, 4_000)?;
//! assert_eq!((page.changes.len(), page.cursor.as_str()), (1, "e1.1"));
//! # Ok::<(), holdfast_server_core::Problem>(())
//! ```

mod canonical;
mod document;
mod feed;
mod limits;
mod object;
mod problem;
mod rules;
mod store;
mod verdict;
mod wire;
mod wires;

pub use document::{Document, Edit};
pub use feed::{PullRequest, pull};
pub use limits::Limits;
pub use problem::{Problem, ProblemKind};
pub use rules::{AcceptAll, PosRules, Rules};
pub use store::{Feed, Ledger, List, Memory, Record, Scan, StorageError, Stored, Tx};
pub use verdict::push;
pub use wire::{
    Change, Group, Intent, Key, Operation, Outcome, OutcomeKind, PullAnswer, PushAnswer,
    PushRequest, Rejection, Submitted,
};
pub use wires::{
    Access, Answer, Call, Checks, Given, Method, Request, Role, Terms, User, Wire, content_digest,
    give,
};

/// The version of the protocol: the value of the marker `holdfast` in every body.
pub const PROTOCOL: u32 = 1;
