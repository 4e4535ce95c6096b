//! Bugs planted on purpose, so that the simulation can show that it finds them. Without the feature nothing is planted and
//! the questions below are constants that the compiler removes.

/// A classic mistake of sync clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// `sent` is kept in memory only, so a create that may have left is annihilated by its removal.
    SealedInMemory,
    /// The verdict on one operation clears later edits of the record too.
    SettleClearsNewer,
    /// The cursor is stored before the page that it follows.
    CursorBeforePage,
    /// After a failed push nothing wakes the loop.
    MissingWakeUp,
    /// A page older than what is known wins.
    StalePullWins,
}

impl Bug {
    /// Every bug, with the name that the simulation prints.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::SealedInMemory, "sealed only in memory"),
        (Self::SettleClearsNewer, "settle clears a newer edit"),
        (Self::CursorBeforePage, "cursor before page"),
        (Self::MissingWakeUp, "missing wake-up after a failed push"),
        (Self::StalePullWins, "stale pull wins"),
    ];
}

#[cfg(feature = "planted")]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local!(static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) });

    /// Plants a bug in this thread, or pulls it out.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether a bug is planted in this thread.
    #[must_use]
    pub fn has(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(not(feature = "planted"))]
mod switch {
    use super::Bug;

    /// Nothing is ever planted in a build without the feature.
    #[must_use]
    pub const fn has(_bug: Bug) -> bool {
        false
    }
}

pub use switch::*;
