//! Chance.

/// A source of random bytes.
pub trait Rng {
    /// Eight random bytes.
    fn next(&self) -> u64;
}
