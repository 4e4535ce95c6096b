//! Two clocks that are never mixed up, and the stamp of last-write-wins (SEMANTICS R19, R20).

use serde::{Deserialize, Serialize};

use super::ids::DeviceId;
use super::map::sort;

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
    /// Milliseconds since 1970, by the device's clock as the server's answers correct it.
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

    /// A stamp of somebody else's: one from further in the future than clocks are apart counts as now, so that a clock that is
    /// wrong by a year does not win for a year.
    #[must_use]
    pub fn bounded(self, now: Wall) -> Self {
        if self.millis > now.plus(Self::SKEW).0 {
            Self { millis: now.0, counter: 0, ..self }
        } else {
            self
        }
    }

    /// What clocks of one fleet may be apart.
    const SKEW: Millis = Millis(5 * 60 * 1_000);
}

/// How far the server's clock was ahead of ours, in milliseconds, by its last answers. Negative where it was behind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ahead(pub Vec<i64>);

impl Ahead {
    /// Answers that are kept. One that was long on its way does not move the median of so many.
    const KEPT: usize = 8;
    /// The end of the year 9999. What is later is no time.
    const LATEST: u64 = 253_402_300_799_999;

    /// Whether no answer told.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the server's time in an answer that came now.
    pub fn learn(&mut self, server: Wall, now: Wall) {
        if server.0 > Self::LATEST || now.0 > Self::LATEST {
            return;
        }
        self.0.push(server.0.cast_signed() - now.0.cast_signed());
        if self.0.len() > Self::KEPT {
            self.0.remove(0);
        }
    }

    /// Our clock, corrected by the median of the last answers.
    #[must_use]
    pub fn correct(&self, now: Wall) -> Wall {
        let mut sorted = self.0.clone();
        sort(&mut sorted);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        Wall(now.0.saturating_add_signed(median))
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

    /// R20: the corrected time is the server's, whatever our clock says; single answers that were slow or wrong do not count.
    #[test]
    fn a_clock_is_corrected_by_the_median_of_eight_answers() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.correct(Wall(70)), Wall(70), "nothing known");
        for server in [1_090, 1_100, 9_999_999, 1_110, 0, 1_100, 1_095, 1_105] {
            ahead.learn(Wall(server), Wall(100));
        }
        assert_eq!(ahead.correct(Wall(200)), Wall(1_200));
        // The device's clock is set forward by an hour: after five of eight answers it is the server's time again.
        for _ in 0..5 {
            ahead.learn(Wall(1_200), Wall(3_600_200));
        }
        assert_eq!(ahead.0.len(), 8);
        assert_eq!(ahead.correct(Wall(3_600_200)), Wall(1_200));
        ahead.learn(Wall(u64::MAX), Wall(100));
        assert_eq!(ahead.correct(Wall(3_600_200)), Wall(1_200), "no time at all");
        assert_eq!(Ahead(vec![-500]).correct(Wall(100)), Wall(0));
    }

    /// R20: more than five minutes ahead counts as now.
    #[test]
    fn a_stamp_from_the_future_counts_as_now() {
        let device = DeviceId::from_bytes([7; 16]);
        let now = Wall(1_000_000);
        for (millis, counts_as) in
            [(999_000, 999_000), (1_300_000, 1_300_000), (1_300_001, 1_000_000)]
        {
            let stamp = Stamp { millis, counter: 3, device };
            assert_eq!(stamp.bounded(now).millis, counts_as);
            assert_eq!(stamp.bounded(now).device, device);
        }
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

            /// R20, P34: whatever the clock and the server do, the stamps of a device grow, and stay at the clock where they can.
            #[test]
            fn stamps_of_a_device_grow(steps in prop::collection::vec((any::<u32>(), prop::option::of(any::<u32>())), 1..50)) {
                let device = DeviceId::from_bytes([1; 16]);
                let (mut ahead, mut last) = (Ahead::default(), None);
                for (now, server) in steps {
                    let now = Wall(now.into());
                    if let Some(server) = server {
                        ahead.learn(Wall(server.into()), now);
                    }
                    let stamp = Stamp::next(last, ahead.correct(now), device);
                    prop_assert!(last.is_none_or(|last| stamp > last));
                    prop_assert!(stamp.millis == ahead.correct(now).0 || last.is_some_and(|it: Stamp| it.millis == stamp.millis));
                    last = Some(stamp);
                }
            }
        }
    }
}
