//! Holdfast
