//! What waits for a person, and what waits behind it (R1, R11, R12).

use super::*;

impl Draft<'_> {
    /// Parks an operation as rejected (R8); what stands behind it leaves the view with it (R1).
    pub(in crate::plan) fn park_rejected(&mut self, seq: Seq, code: String, message: String) {
        let Some(op) = self.ops.get(&seq) else { return };
        let (id, key) = (op.id, op.key.clone());
        let snapshot = match self.seen(&key) {
            Some(Presence::Live(document)) => Some(document.clone()),
            Some(Presence::Deleted) | None => match &op.intent {
                Intent::Create(document) | Intent::Replace(document) => Some(document.clone()),
                Intent::Change(_) | Intent::Delete | Intent::Resolve(_) => None,
            },
        };
        self.notice.parked.push(id);
        if let Some(op) = self.op_mut(seq) {
            op.state = OpState::Parked(Parked::Rejected { code, message, snapshot });
        }
        self.block_followers(seq, id, false);
    }

    /// Blocks what depends on a parked or blocked operation. A sealed one is never blocked: its verdict is awaited.
    pub(super) fn block_followers(&mut self, seq: Seq, by: OpId, visible: bool) {
        let Some(op) = self.ops.get(&seq) else { return };
        let key = op.key.clone();
        let mut followers: Vec<Seq> =
            self.queue(&key).into_iter().filter(|later| *later > seq).listed();
        if op.is_create() {
            followers.extend(self.referrers(&key).into_iter().filter(|referrer| {
                self.unsettled_create(&key, *referrer).is_some_and(|create| create.seq == seq)
            }));
        }
        // A transaction is one thing: what did not leave yet stays with the one that is kept (R14).
        followers.extend(self.mates(op).map(|mate| mate.seq));
        for follower in followers {
            let Some(op) = self.ops.get(&follower) else { continue };
            let blocks = match &op.state {
                OpState::Queued { .. } => !op.is_sealed() || planted::has(Bug::SealedBlocked),
                OpState::Blocked { visible: was, .. } => *was && !visible,
                OpState::InFlight { .. } | OpState::Acked { .. } | OpState::Parked(_) => false,
            };
            if blocks {
                if let Some(op) = self.op_mut(follower) {
                    op.state = OpState::Blocked { by, visible };
                }
                self.block_followers(follower, by, visible);
            }
        }
    }

    /// Why an operation cannot be free: the cause, and whether every cause is a conflict.
    pub(in crate::plan) fn cause(&self, op: &Operation) -> Option<(OpId, bool)> {
        let of = |other: &Operation| match &other.state {
            OpState::Parked(Parked::Conflicted(_)) => Some((other.id, true)),
            OpState::Parked(Parked::Rejected { .. } | Parked::HandedOver) => {
                Some((other.id, false))
            }
            OpState::Blocked { by, visible } => Some((*by, *visible)),
            OpState::Queued { .. } | OpState::InFlight { .. } | OpState::Acked { .. } => None,
        };
        let conflicted =
            self.of(&op.key).find(|other| other.seq < op.seq && other.conflict().is_some());
        let after = match op.assumed {
            Assumed::After(id) => self.of(&op.key).find(|other| other.id == id),
            Assumed::Nothing | Assumed::At(_) | Assumed::Unknown => None,
        };
        let creates = op.refs.iter().filter_map(|key| self.unsettled_create(key, op.seq));
        let mates = self.mates(op);
        let causes: Vec<_> =
            conflicted.into_iter().chain(after).chain(creates).chain(mates).filter_map(of).listed();
        causes.iter().find(|(_, visible)| !visible).or(causes.first()).copied()
    }

    /// Frees what an operation that is parked no longer holds; what has another cause stays blocked by that.
    pub(in crate::plan) fn release(&mut self, by: OpId) {
        let blocked: Vec<Seq> = self
            .ops
            .values()
            .filter(|op| matches!(op.state, OpState::Blocked { by: cause, .. } if cause == by))
            .map(|op| op.seq)
            .listed();
        for seq in &blocked {
            if let Some(op) = self.op_mut(*seq) {
                op.state = OpState::queued();
            }
        }
        self.block_again(&blocked);
        self.moved.extend(blocked);
    }

    /// Blocks those that have a cause. A retried create stands behind what names it, so one walk in the order of places is not
    /// enough: it is repeated until nothing changes, at most once for each of them.
    pub(in crate::plan) fn block_again(&mut self, seqs: &[Seq]) {
        loop {
            let mut changed = false;
            for seq in seqs {
                let Some(op) = self.ops.get(seq).filter(|op| op.is_fresh()) else { continue };
                let Some((by, visible)) = self.cause(op) else { continue };
                if let Some(op) = self.op_mut(*seq) {
                    op.state = OpState::Blocked { by, visible };
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }
}
