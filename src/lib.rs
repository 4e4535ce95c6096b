//! # The ten-minute tour
//!
//! Holdfast keeps three copies of every record: **base** (what the server last told us), **view** (what the application sees)
//! and the **outbox** between them (what the user did that the server has not confirmed).
//! `view = base + what is still on its way`.
//!
//! There are six verbs: **write**, **push**, **pull**, **resolve**, **tidy**, **lead**. Each verb is one or two *named
//! transactions*. Each transaction reads what it needs, decides with a pure function, and writes the result, all at once.
//!
//! - [`model`] holds the nouns. [`plan`] holds the decisions: pure functions, no async, no traits.
//! - [`engine`] holds the verbs: short async functions that call a plan inside a transaction.
//! - [`schedule`] decides *when*: a small machine fed with signals and time.
//! - [`query`] answers questions about a collection.
//! - [`protocol`] turns a batch into HTTP and back.
//! - [`port`] says what we need from the world; `browser` provides it in a web page, [`memory`] in a test. Both keep the rows
//!   that [`layout`] describes.
//! - `js` is the door for JavaScript.
//!
//! For every verb there is a pair: `plan/push.rs` decides, `engine/push.rs` does. Read the pair and you know the verb.
//!
//! The rules behind it have numbers (R1...) that comments and tests cite: `docs/semantics.md` lists them.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub mod browser;
pub mod engine;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub mod js;
pub mod layout;
pub mod memory;
pub mod model;
pub mod plan;
pub mod planted;
pub mod port;
pub mod protocol;
pub mod query;
pub mod schedule;
