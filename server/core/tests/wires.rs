//! The five wires: their golden exchanges, and each rule and verdict of their pages.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests"
)]

#[path = "wires/arxos.rs"]
mod arxos;
#[path = "wires/auraconnect.rs"]
mod auraconnect;
#[path = "wires/auraconnect_mobile.rs"]
mod auraconnect_mobile;
#[path = "wires/common.rs"]
mod common;
#[path = "wires/golden.rs"]
mod golden;
#[path = "wires/paytrack.rs"]
mod paytrack;
#[path = "wires/trackvault.rs"]
mod trackvault;
