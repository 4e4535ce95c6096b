//! How much leaves at once: never more than the server takes, and less over a slow link, so that a request is through long before its
//! time is over and a link that breaks off loses little (P8, P10). Time is measured by the engine.

use super::push::Room;
use crate::model::Millis;

/// How long a push should take. Its time-out is several times that: a link that gets slower is noticed before nothing gets
/// through any more.
pub const TARGET: Millis = Millis(5_000);

/// A request of this size is all waiting: a smaller one would be no faster.
pub const LEAST: Room = Room { operations: 8, bytes: 8 * 1_024 };

/// What one push told of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// What left.
    pub size: Room,
    /// How long it took until the answer was here, or was given up.
    pub took: Millis,
    /// An answer came.
    pub answered: bool,
}

/// How much the next push over the same link may carry, given how much this one might, and the most that any may.
#[must_use]
pub fn pace(room: Room, most: Room, sent: Sent) -> Room {
    let least = smaller(LEAST, most);
    let slow = sent.took.0 > TARGET.0;
    if slow && sent.answered {
        let fits = |size: u64| size.saturating_mul(TARGET.0) / sent.took.0.max(1);
        let operations = usize::try_from(fits(sent.size.operations as u64)).unwrap_or(usize::MAX);
        let fitting = Room { operations, bytes: fits(sent.size.bytes) };
        return larger(smaller(room, fitting), least);
    }
    if slow {
        return larger(smaller(room, halved(sent.size)), least);
    }
    // What was mostly empty tells nothing of a full one.
    let full = sent.size.operations * 2 >= room.operations || sent.size.bytes * 2 >= room.bytes;
    if sent.answered && full && sent.took.0 * 2 <= TARGET.0 {
        let twice = Room {
            operations: room.operations.saturating_mul(2),
            bytes: room.bytes.saturating_mul(2),
        };
        return smaller(twice, most);
    }
    smaller(room, most)
}

/// What a server may take that did not take this much: it does not say whether of operations or of bytes.
#[must_use]
pub fn halved(size: Room) -> Room {
    Room { operations: (size.operations / 2).max(1), bytes: (size.bytes / 2).max(1) }
}

/// What both allow.
#[must_use]
pub fn smaller(a: Room, b: Room) -> Room {
    Room { operations: a.operations.min(b.operations), bytes: a.bytes.min(b.bytes) }
}

fn larger(a: Room, b: Room) -> Room {
    Room { operations: a.operations.max(b.operations), bytes: a.bytes.max(b.bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Room = room(100, 768 * 1_024);

    const fn room(operations: usize, bytes: u64) -> Room {
        Room { operations, bytes }
    }

    fn sent(size: Room, took: u64) -> Sent {
        Sent { size, took: Millis(took), answered: true }
    }

    fn lost(size: Room, took: u64) -> Sent {
        Sent { answered: false, ..sent(size, took) }
    }

    /// P8, P10: what does not get through is made smaller until it does, and no smaller than helps.
    #[test]
    fn a_slow_link_carries_less_at_once() {
        let kib = |n: u64| n * 1_024;
        for (case, now, sent, next) in [
            (
                "fast and full",
                room(50, kib(300)),
                sent(room(50, kib(100)), 900),
                room(100, kib(600)),
            ),
            (
                "fast and large",
                room(50, kib(300)),
                sent(room(9, kib(200)), 900),
                room(100, kib(600)),
            ),
            (
                "fast, and half of the bytes",
                room(50, kib(300)),
                sent(room(2, kib(150)), 900),
                room(100, kib(600)),
            ),
            (
                "full, and just in time",
                room(50, kib(300)),
                sent(room(50, kib(300)), 4_000),
                room(50, kib(300)),
            ),
            (
                "fast, nearly empty",
                room(50, kib(300)),
                sent(room(2, kib(1)), 900),
                room(50, kib(300)),
            ),
            ("in time", MOST, sent(room(100, kib(500)), 4_000), MOST),
            ("twice too slow", MOST, sent(room(100, kib(500)), 10_000), room(50, kib(250))),
            ("far too slow", MOST, sent(room(100, kib(500)), 100_000), room(8, kib(25))),
            ("slow with little in it", MOST, sent(room(4, kib(4)), 10_000), LEAST),
            ("slow already", room(20, kib(40)), sent(room(20, kib(30)), 6_000), room(16, kib(25))),
            (
                "given up after its time",
                MOST,
                lost(room(100, kib(500)), 30_000),
                room(50, kib(250)),
            ),
            ("given up again", room(10, kib(9)), lost(room(10, kib(9)), 30_000), LEAST),
            ("refused at once: no link at all", MOST, lost(room(100, kib(500)), 40), MOST),
        ] {
            assert_eq!(pace(now, MOST, sent), next, "{case}");
        }
    }

    #[test]
    fn a_pace_never_leaves_its_bounds() {
        let few = room(3, 100);
        for took in [0, 1_000, 4_999, 6_000, 60_000, u64::MAX] {
            for answered in [true, false] {
                let sent = Sent { size: few, took: Millis(took), answered };
                let next = pace(few, few, sent);
                assert_eq!(next, few, "{took} {answered}");
            }
        }
        assert_eq!(halved(room(1, 1)), room(1, 1));
        assert_eq!(halved(room(9, 100)), room(4, 50));
    }

    /// A link that gets better is used again.
    #[test]
    fn a_pace_recovers() {
        let mut now = pace(MOST, MOST, sent(room(100, 700_000), 200_000));
        for _ in 0..8 {
            now = pace(now, MOST, sent(now, 100));
        }
        assert_eq!(now, MOST);
    }
}
