//! The server from outside: over connections, as a program, under faults.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests")]

mod common;
mod faults;
mod feed;
mod http;
mod process;
mod wires;
