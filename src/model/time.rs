//! Two clocks that are never mixed up, and the stamp of last-write-wins (SEMANTICS R19, R20).

use serde::{Deserialize, Serialize};

use super::ids::DeviceId;

/// Milliseconds since 1970 by the device's clock, which may jump. Decides nothing vital (P34).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub u64);

/// Milliseconds since some start, never backwards. Timers and backoff live here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mono(pub u64);

/// A span in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Wall {
    /// The instant `span` later.
    #[must_use]
    pub fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long until `later`, or nothing when it has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Millis {
        Millis(later.0.saturating_sub(self.0))
    }
}

impl Mono {
    /// The instant `span` later.
    #[must_use]
    pub fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long until `later`, or nothing when it has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Millis {
        Millis(later.0.saturating_sub(self.0))
    }
}

/// A hybrid logical time: ordered by time, then by count, then by device (R20).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since 1970, by the device's clock.
    pub millis: u64,
    /// Orders writes of one millisecond, and of a clock that was set back.
    pub counter: u32,
    /// Breaks ties: the greater device id wins.
    pub device: DeviceId,
}

impl Stamp {
    /// The next stamp of a device: never behind the last one, whatever the clock says.
    #[must_use]
    pub fn next(last: Option<Self>, now: Wall, device: DeviceId) -> Self {
        match last {
            Some(last) if last.millis >= now.0 => match last.counter.checked_add(1) {
                Some(counter) => Self { millis: last.millis, counter, device },
                // So many writes of one millisecond there are not: somebody drove the count to its end.
                None => Self { millis: last.millis.saturating_add(1), counter: 0, device },
            },
            _ => Self { millis: now.0, counter: 0, device },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R20, P34.
    #[test]
    fn a_clock_set_back_does_not_set_stamps_back() {
        let device = DeviceId::from_bytes([1; 16]);
        let first = Stamp::next(None, Wall(100), device);
        let second = Stamp::next(Some(first), Wall(40), device);
        let third = Stamp::next(Some(second), Wall(101), device);
        assert!(first < second && second < third, "{first:?} {second:?} {third:?}");
    }
}
