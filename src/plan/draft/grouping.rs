//! Transactions of the application: who the other members are, when they leave, what no order of departure could satisfy (R14).

use super::*;
use crate::model::Wall;

impl Draft<'_> {
    /// The members of a transaction that are in the outbox, in order.
    pub(super) fn members(&self, group: GroupId) -> impl Iterator<Item = &Operation> {
        let from = self.grouped.partition_point(|(known, _)| *known < group);
        let rest = self.grouped.get(from..).unwrap_or_default();
        let until = rest.partition_point(|(known, _)| *known == group);
        let places = rest.get(..until).unwrap_or_default();
        places.iter().filter_map(|(_, seq)| self.ops.get(seq))
    }

    /// The other members of an operation's transaction.
    pub(in crate::plan) fn mates(&self, op: &Operation) -> impl Iterator<Item = &Operation> {
        let seq = op.seq;
        op.group
            .into_iter()
            .flat_map(|group| self.members(group))
            .filter(move |other| other.seq != seq)
    }

    /// Whether a member of a transaction comes before an operation on its record. What the member did may be taken back together
    /// with its mates.
    pub(in crate::plan) fn stands_on_member(&self, op: &Operation) -> bool {
        self.of(&op.key).any(|other| other.seq < op.seq && other.group.is_some())
    }

    /// A new transaction of which a member stands on something that waits for a person waits with it.
    pub(in crate::plan) fn block_with_mates(&mut self, group: GroupId) {
        let blocked = self.members(group).find_map(|op| {
            let OpState::Blocked { by, visible } = op.state else { return None };
            Some((op.seq, by, visible))
        });
        if let Some((seq, by, visible)) = blocked {
            self.block_followers(seq, by, visible);
        }
    }

    /// Whether a member could leave as far as the others are concerned (R11). Where the wire takes a transaction all or none, all
    /// that is left of it leaves at once; elsewhere the members go in their order.
    pub(super) fn is_ready_with_mates(&self, op: &Operation) -> bool {
        let acked = |other: &Operation| matches!(other.state, OpState::Acked { .. });
        if self.rules.wire.groups {
            return self.mates(op).all(|other| acked(other) || self.is_free(other));
        }
        let earlier = |other: &&Operation| other.seq < op.seq && !other.is_sealed();
        op.is_sealed() || self.mates(op).filter(earlier).all(|other| self.is_free(other))
    }

    /// Whether an operation leaves in one piece with a create that it names, which then goes before it.
    pub(super) fn goes_with(&self, op: &Operation, create: &Operation) -> bool {
        self.rules.wire.groups && op.group.is_some() && op.group == create.group
    }

    /// Whether a member that has left before is kept here by the others alone: the server did none of the transaction, and one
    /// member waits for a person.
    pub(in crate::plan) fn is_held(&self, op: &Operation) -> bool {
        let stuck =
            |other: &Operation| matches!(other.state, OpState::Parked(_) | OpState::Blocked { .. });
        self.rules.wire.groups
            && matches!(op.state, OpState::Queued { .. })
            && self.mates(op).any(stuck)
    }

    /// What leaves in one piece waits for the same time: the latest of those planned by the present leader.
    pub(super) fn leave_together(&mut self, group: GroupId) {
        let term = self.meta.term;
        let planned = |op: &Operation| {
            let OpState::Queued { not_before, under } = op.state else { return None };
            not_before.filter(|_| under.is_none_or(|it| it == term))
        };
        let latest: Option<Wall> = self.members(group).filter_map(planned).max();
        let Some(latest) = latest else { return };
        let early: Vec<Seq> = self
            .members(group)
            .filter(|op| op.ready && planned(op) != Some(latest))
            .map(|op| op.seq)
            .listed();
        for seq in early {
            if let Some(op) = self.ops.get_mut(&seq) {
                op.state = OpState::Queued { not_before: Some(latest), under: Some(term) };
            }
        }
    }

    /// A person's decision gave operations new places, or set them free: where a member of a transaction now waits for something
    /// that waits for the transaction, no order of departure satisfies both, and the member leaves it. The newest goes first.
    pub(super) fn untangle(&mut self) {
        let moved = std::mem::take(&mut self.moved);
        if self.grouped.is_empty() || moved.is_empty() {
            return;
        }
        let mut groups = Set::new();
        self.walk(moved, |op| {
            groups.extend(op.group);
            false
        });
        let mut members: Vec<(Seq, GroupId)> = groups
            .into_iter()
            .flat_map(|group| self.members(group).map(move |op| (op.seq, group)))
            .listed();
        sort(&mut members);
        for (seq, group) in members.into_iter().rev() {
            let Some(op) = self.ops.get(&seq).filter(|op| op.is_fresh()) else { continue };
            let whole = self.rules.wire.groups;
            let mate = |other: &Operation| other.group == Some(group);
            let mut before = self.waited_for(op);
            before.retain(|seq| !whole || self.ops.get(seq).is_some_and(|other| !mate(other)));
            // In one piece every member waits for every other; in order only the later for the earlier.
            if self.walk(before, |other| mate(other) && (whole || other.seq > seq)) {
                self.leave_group(seq);
            }
        }
    }

    /// Two members whose records turned out to be one (R17): the wire takes a record once in a transaction, so the later leaves it.
    pub(super) fn one_for_each_record(&mut self) {
        let mut again = Vec::new();
        for group in &self.groups {
            let mut keys = Set::new();
            let twice = self.members(*group).filter(|op| !keys.insert(op.key.clone()));
            again.extend(twice.map(|op| op.seq));
        }
        for seq in again {
            self.leave_group(seq);
        }
    }

    fn leave_group(&mut self, seq: Seq) {
        let Some(op) = self.op_mut(seq) else { return };
        let Some(group) = op.group.take() else { return };
        self.grouped.retain(|place| *place != (group, seq));
        self.groups.insert(group);
    }

    /// Walks over operations and all that they wait for, by record, by name and by transaction, until one is found.
    fn walk(&self, from: Vec<Seq>, mut found: impl FnMut(&Operation) -> bool) -> bool {
        let (mut known, mut next) = (Set::new(), from);
        while let Some(op) = next.pop().and_then(|seq| self.ops.get(&seq)) {
            if !known.insert(op.seq) {
                continue;
            }
            if found(op) {
                return true;
            }
            next.extend(self.waited_for(op));
            for other in self.mates(op) {
                if self.rules.wire.groups || other.seq < op.seq && !other.is_sealed() {
                    next.extend(self.waited_for(other));
                }
            }
        }
        false
    }

    /// What an operation itself waits for. A sealed one waits for nothing but its transaction.
    fn waited_for(&self, op: &Operation) -> Vec<Seq> {
        if op.is_sealed() {
            return Vec::new();
        }
        let away = self.of(&op.key).find(|other| other.is_away());
        // The one before it waits for those before that; one that is away may stand behind some that were freed late.
        let before = self
            .of(&op.key)
            .rev()
            .find(|other| other.seq < op.seq && other.holds_the_record() && !other.is_away());
        let creates = op.refs.iter().filter_map(|key| self.unsettled_create(key, op.seq));
        away.into_iter().chain(before).chain(creates).map(|other| other.seq).listed()
    }
}
