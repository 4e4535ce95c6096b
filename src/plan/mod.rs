//! The decisions: pure functions from a snapshot to a changeset. No async, no clock, no chance, no storage.

pub mod asks;
mod coalesce;
mod draft;
pub mod drain;
pub mod identity;
pub mod lead;
mod limits;
pub mod lost;
pub mod pace;
pub mod pull;
pub mod push;
pub mod resolve;
pub mod restore;
pub mod scopes;
mod shape;
pub mod strategy;
pub mod tidy;
pub mod transfer;
pub mod write;

pub use draft::Notice;

/// A later leader took over: this one changes nothing any more (P22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deposed;
