//! Named orderings, in a small language: a till writes, sends, loses answers, is closed and opened again. Every step is a plan
//! in a transaction on a disk in memory, and after every step the laws of `laws.rs` are checked on the rows.
#![cfg(not(target_arch = "wasm32"))]

#[cfg(test)]
mod answers;
#[cfg(test)]
mod asks;
#[cfg(test)]
mod coalescing;
#[cfg(test)]
mod conflicts;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod draining;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod life;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod order;
#[cfg(test)]
mod overlaps;
#[cfg(test)]
mod parked;
#[cfg(test)]
mod presets;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod pulls;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod tidying;
#[cfg(test)]
mod till;
#[cfg(test)]
mod traffic;
#[cfg(test)]
mod transfer;
#[cfg(test)]
mod walks;
#[cfg(test)]
mod wires;
#[cfg(test)]
mod world;
