//! The door for JavaScript (wasm only): a thin class over the engine. Documents cross as JSON text, once each way, and so do
//! options; the status is a plain object. Nothing about sync is decided here.

mod callbacks;
mod convert;
mod errors;
mod host;
mod manager;
mod options;
mod porter;
#[cfg(feature = "any-backend")]
mod remote;
mod text;

#[cfg(feature = "any-backend")]
pub use manager::holdfast_any;
pub use manager::{Door, holdfast_door, on_panic};
