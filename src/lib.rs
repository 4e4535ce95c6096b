//! Holdfast: an offline-first sync client for web and hybrid apps.

pub mod layout;
pub mod memory;
pub mod model;
pub mod plan;
pub mod planted;
pub mod port;
pub mod schedule;
