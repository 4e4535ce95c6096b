//! The door for JavaScript (wasm only): a thin class over the engine. Documents cross as JSON text, once each way, and so do
//! options; the status is a plain object. Nothing about sync is decided here.

mod callbacks;
mod convert;
mod errors;
mod host;
mod manager;
mod options;
mod porter;
mod remote;
mod text;

pub use manager::{Door, holdfast_door, on_panic};
