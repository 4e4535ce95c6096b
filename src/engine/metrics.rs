//! Numbers for whoever watches over a fleet: sums, a few bounded series, nothing that names a record or a user. Every tab counts
//! for itself from what it does and from what the leader tells of its cycles, since it was opened. Pure: time is an argument.

use std::collections::VecDeque;

use super::run::CycleReport;
use crate::model::{ConflictKind, Counts, Millis, Mono, Wall};

/// Upper bounds of the first classes of a [`Span`], in milliseconds; the last class has none.
pub const CLASSES: [u64; 8] = [3, 10, 30, 100, 300, 1_000, 3_000, 10_000];

/// The time that one sample of the outbox stands for.
const SLOT: Millis = Millis(15_000);

/// Samples that are kept: an hour in which something happened all the time.
const SAMPLES: usize = 240;

/// How often something was done, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Span {
    /// How often it came to its end.
    pub succeeded: u64,
    /// How often it did not.
    pub failed: u64,
    /// All of them, in milliseconds.
    pub total: u64,
    /// The longest.
    pub max: u64,
    /// How many by length.
    pub classes: [u64; CLASSES.len() + 1],
}

impl Span {
    fn add(&mut self, took: Millis, succeeded: bool) {
        self.succeeded += u64::from(succeeded);
        self.failed += u64::from(!succeeded);
        self.total += took.0;
        self.max = self.max.max(took.0);
        let class = CLASSES.iter().position(|bound| took.0 <= *bound).unwrap_or(CLASSES.len());
        if let Some(count) = self.classes.get_mut(class) {
            *count += 1;
        }
    }
}

/// The outbox at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Wall,
    /// Operations that waited or were with the server, when the sample ended.
    pub pending: u64,
    /// The most of them while it lasted.
    pub most: u64,
    /// Operations that needed a person, or waited behind one that did.
    pub parked: u64,
}

/// Everything that is counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// When the tab was opened.
    pub since: Wall,
    /// Cycles of the tab that leads.
    pub cycles: Span,
    /// Why cycles broke off.
    pub halts: Vec<(&'static str, u64)>,
    /// Writes and transactions of this tab, from the call to the disk.
    pub writes: Span,
    /// Operations that the server has.
    pub applied: u64,
    /// Operations that the server refused for good.
    pub parked: u64,
    /// Operations that were sent and are sent again.
    pub retried: u64,
    /// Conflicts by kind, in the order of [`KINDS`].
    pub conflicts: [u64; KINDS.len()],
    /// Records that were pulled.
    pub pulled: u64,
    /// Bytes that left, as far as they are known.
    pub up: u64,
    /// Bytes that came.
    pub down: u64,
    /// Milliseconds without the server.
    pub offline: u64,
    /// Bytes of documents, and records, that are in memory for queries.
    pub held: (usize, usize),
    /// The outbox over time, oldest first.
    pub samples: VecDeque<Sample>,
    gone: Option<Mono>,
}

/// The kinds of conflicts that are counted.
pub const KINDS: [ConflictKind; 4] = [
    ConflictKind::UpdateUpdate,
    ConflictKind::UpdateDelete,
    ConflictKind::DeleteUpdate,
    ConflictKind::CreateCreate,
];

/// The place of a kind in [`KINDS`].
pub(super) fn place(kind: ConflictKind) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap_or(0)
}

impl Metrics {
    /// Nothing yet.
    #[must_use]
    pub fn new(since: Wall) -> Self {
        Self { since, ..Self::default() }
    }

    /// A cycle ended, here or in the tab that leads.
    pub fn cycle(&mut self, report: &CycleReport) {
        self.cycles.add(Millis(report.millis), report.halted.is_none());
        if let Some(halt) = report.halted {
            match self.halts.iter_mut().find(|(known, _)| *known == halt) {
                Some((_, count)) => *count += 1,
                None => self.halts.push((halt, 1)),
            }
        }
        self.applied += report.applied;
        self.parked += report.parked;
        self.retried += report.retried;
        self.pulled += report.pulled;
        self.up += report.up;
        self.down += report.bytes.saturating_sub(report.up);
        for (sum, count) in self.conflicts.iter_mut().zip(report.kinds) {
            *sum += count;
        }
    }

    /// A write was stored or not.
    pub fn write(&mut self, took: Millis, stored: bool) {
        self.writes.add(took, stored);
    }

    /// How it stands with the server and the outbox now.
    pub fn look(&mut self, offline: bool, counts: &Counts, now: Mono, at: Wall) {
        match (offline, self.gone) {
            (true, None) => self.gone = Some(now),
            (false, Some(since)) => {
                self.offline += since.until(now).0;
                self.gone = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
        let (pending, parked) = (counts.pending, counts.parked + counts.blocked);
        match self.samples.back_mut() {
            Some(last) if last.at <= at && last.at.until(at) < SLOT => {
                last.most = last.most.max(pending);
                (last.pending, last.parked) = (pending, parked);
            }
            // An hour in which nothing changed is one sample.
            Some(last) if (last.pending, last.parked) == (pending, parked) => {}
            _ => {
                if self.samples.len() == SAMPLES {
                    self.samples.pop_front();
                }
                self.samples.push_back(Sample { at, pending, most: pending, parked });
            }
        }
    }

    /// With the time without the server up to now.
    #[must_use]
    pub fn until(&self, now: Mono) -> Self {
        let mut all = self.clone();
        if let Some(since) = self.gone {
            all.offline += since.until(now).0;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pending: u64) -> Counts {
        Counts { pending, blocked: 1, parked: 1, ..Counts::default() }
    }

    #[test]
    fn cycles_add_up() {
        let mut metrics = Metrics::new(Wall(5));
        let report = CycleReport {
            applied: 3,
            parked: 1,
            retried: 2,
            pulled: 7,
            bytes: 100,
            up: 30,
            millis: 45,
            kinds: [1, 0, 0, 2],
            ..CycleReport::default()
        };
        metrics.cycle(&report);
        metrics.cycle(&CycleReport {
            halted: Some("unreachable"),
            millis: 20_000,
            ..report.clone()
        });
        metrics.cycle(&CycleReport { halted: Some("unreachable"), ..CycleReport::default() });
        assert_eq!((metrics.cycles.succeeded, metrics.cycles.failed), (1, 2));
        assert_eq!((metrics.cycles.total, metrics.cycles.max), (20_045, 20_000));
        assert_eq!(metrics.cycles.classes, [1, 0, 0, 1, 0, 0, 0, 0, 1]);
        assert_eq!(metrics.halts, [("unreachable", 2)]);
        assert_eq!((metrics.applied, metrics.parked, metrics.retried), (6, 2, 4));
        assert_eq!((metrics.up, metrics.down, metrics.pulled), (60, 140, 14));
        assert_eq!(metrics.conflicts, [2, 0, 0, 4]);
    }

    #[test]
    fn time_without_the_server_is_counted_while_it_lasts() {
        let mut metrics = Metrics::default();
        let mut look = |offline, now| metrics.look(offline, &counts(0), Mono(now), Wall(now));
        look(false, 0);
        look(true, 100);
        look(true, 200);
        look(false, 350);
        look(true, 1_000);
        assert_eq!(metrics.offline, 250);
        assert_eq!(metrics.until(Mono(1_010)).offline, 260);
        assert_eq!(metrics.until(Mono(1_020)).offline, 270, "reading it changes nothing");
    }

    #[test]
    fn samples_are_few_and_bounded() {
        let mut metrics = Metrics::default();
        let mut look = |pending, at| metrics.look(false, &counts(pending), Mono(at), Wall(at));
        look(1, 0);
        look(9, 1_000);
        look(4, 14_999);
        look(4, 15_000);
        look(4, 900_000);
        look(5, 900_001);
        let shown: Vec<_> =
            metrics.samples.iter().map(|it| (it.at.0, it.pending, it.most)).collect();
        assert_eq!(shown, [(0, 4, 9), (900_001, 5, 5)]);
        assert_eq!(metrics.samples[0].parked, 2);
        // A clock that was set back begins a sample of its own.
        metrics.look(false, &counts(6), Mono(0), Wall(10));
        assert_eq!(metrics.samples.len(), 3);
        for n in 0..1_000 {
            metrics.look(false, &counts(n), Mono(n), Wall(1_000_000 + n * 15_000));
        }
        assert_eq!(metrics.samples.len(), SAMPLES);
        assert_eq!(metrics.samples.back().map(|it| it.pending), Some(999));
    }
}
