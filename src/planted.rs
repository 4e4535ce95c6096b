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
    /// Three attempts without a network count as a refusal.
    AttemptsLimit,
    /// A page older than what is known wins.
    StalePullWins,
    /// A leader that was deposed goes on.
    MissingFence,
    /// An operation does not wait for the create that it names.
    ReferenceFirst,
    /// An edit that names a later create is folded into an operation in front of that.
    FoldedInFront,
    /// While one operation is parked nothing leaves.
    ParkedBlocksAll,
    /// Blocked operations take up the room of a request.
    BlockedInTheWay,
    /// Conflicts are judged against the base, which a pull has moved.
    MovedAncestor,
    /// What is sent again is made of what is known now, not of what was sealed.
    EncodedAnew,
    /// A create that was refused stays in the view.
    RejectedShown,
    /// A time planned before the clock was set back is waited for.
    ClockStopsQueue,
    /// A claim does not take back what an earlier one of its own left in flight.
    ClaimStrands,
    /// An operation that never left and becomes the first of its record leaves without being judged.
    NotJudgedWhenFirst,
    /// An operation that may have left is blocked behind a parked one.
    SealedBlocked,
    /// An operation that was brought over the server's side keeps what it found before.
    OldBefore,
    /// Of two folded edits the newer value is taken, where they should be added up.
    NewestFolded,
    /// The members of a transaction leave one by one.
    GroupTorn,
    /// What a verdict says during a full pull goes into the generation that is shown, alone.
    OneGeneration,
    /// A write goes into an operation while the outbox drains by deletions alone.
    FoldsWhileDraining,
}

impl Bug {
    /// Every bug, with the name that the simulation prints.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::SealedInMemory, "sealed only in memory"),
        (Self::SettleClearsNewer, "settle clears a newer edit"),
        (Self::CursorBeforePage, "cursor before page"),
        (Self::MissingWakeUp, "missing wake-up after a failed push"),
        (Self::AttemptsLimit, "attempts limit on network errors"),
        (Self::StalePullWins, "stale pull wins"),
        (Self::MissingFence, "missing fence check"),
        (Self::ReferenceFirst, "reference sent before its create"),
        (Self::FoldedInFront, "reference folded in front of its target"),
        (Self::ParkedBlocksAll, "a parked record blocks all"),
        (Self::BlockedInTheWay, "claim stuck behind blocked rows"),
        (Self::MovedAncestor, "ancestor taken from the moved base"),
        (Self::EncodedAnew, "resend encoded anew"),
        (Self::RejectedShown, "rejected create still shown"),
        (Self::ClockStopsQueue, "clock set back stops the queue"),
        (Self::ClaimStrands, "lost claim strands its operations"),
        (Self::NotJudgedWhenFirst, "not judged when it becomes first"),
        (Self::SealedBlocked, "a sealed operation is blocked"),
        (Self::OldBefore, "rebased operation keeps its old before"),
        (Self::NewestFolded, "counters folded by the newer value"),
        (Self::GroupTorn, "group torn"),
        (Self::OneGeneration, "settle in one generation only"),
        (Self::FoldsWhileDraining, "folded into while it drains"),
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
