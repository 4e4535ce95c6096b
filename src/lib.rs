//! Holdfast: an offline-first sync client for web and hybrid apps.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub mod browser;
pub mod engine;
pub mod layout;
pub mod memory;
pub mod model;
pub mod plan;
pub mod planted;
pub mod port;
pub mod schedule;
