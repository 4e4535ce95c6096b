//! From the working copy to a changeset: promote, show, find ready, count (R1, R6, R10, R11).

use super::*;
use crate::model::Counts;

/// How much waits in the outbox.
#[derive(Clone, Copy)]
pub(in crate::plan) struct Load {
    pub(in crate::plan) operations: u64,
    pub(in crate::plan) bytes: u64,
}

impl Draft<'_> {
    /// Brings every touched record into order and turns the difference into a changeset.
    pub(in crate::plan) fn finish<T>(self, output: impl FnOnce(Notice) -> T) -> Decision<T> {
        let (changes, notice) = self.into_changes();
        Decision { changes, output: output(notice) }
    }

    /// Apart, so that it is in the module once and not once for each plan's output.
    #[inline(never)]
    fn into_changes(mut self) -> (Changeset, Notice) {
        self.one_for_each_record();
        self.untangle();
        let mut done = Set::new();
        loop {
            let touched = std::mem::take(&mut self.touched);
            if touched.is_empty() {
                break;
            }
            for key in touched {
                if !done.contains(&key) {
                    self.promote(&key);
                    done.insert(key);
                }
            }
        }
        for key in &done {
            self.show(key);
        }
        // Whatever happened to a record may be what an operation that names it waited for.
        let concerned =
            |op: &&Operation| done.contains(&op.key) || op.refs.iter().any(|it| done.contains(it));
        let mut groups = std::mem::take(&mut self.groups);
        groups.extend(self.ops.values().filter(concerned).filter_map(|op| op.group));
        let concerned =
            |op: &&Operation| concerned(op) || op.group.is_some_and(|it| groups.contains(&it));
        let waits = |op: &Operation| {
            let mut refs = op.refs.clone();
            refs.retain(|key| self.creates_before(key, op.seq).next().is_some());
            (op.seq, refs, self.is_ready(op))
        };
        let waits: Vec<_> = self.ops.values().filter(concerned).map(waits).listed();
        for (seq, refs, ready) in waits {
            if let Some(op) = self.ops.get_mut(&seq) {
                (op.refs, op.ready) = (refs, ready);
            }
        }
        if self.rules.wire.groups {
            for group in groups {
                self.leave_together(group);
            }
        }
        for (seq, op) in &self.ops {
            if self.was.ops.get(seq) != Some(op) {
                self.notice.changed.insert(op.key.clone());
                self.out.ops.insert(*seq, op.clone());
            }
        }
        for (id, conflict) in &self.conflicts {
            if self.was.conflicts.get(id) != Some(conflict) {
                self.notice.changed.insert(conflict.key.clone());
                self.out.conflicts.insert(*id, conflict.clone());
            }
        }
        self.count();
        let (more, less) = (self.out.settled.len() as u64, self.out.drop_settled.len() as u64);
        self.meta.settled = (self.meta.settled + more).saturating_sub(less);
        self.out.keep_meta(&self.was.meta, self.meta);
        (self.out, self.notice)
    }

    /// Stores what the application sees of a record, or takes out a record of which nothing is left.
    pub(super) fn show(&mut self, key: &EntityKey) {
        let view = self.view(key);
        let was = self.was.records.get(key);
        let Some(mut record) = self
            .records
            .get(key)
            .cloned()
            .or_else(|| view.is_some().then(|| Record::new(key.clone())))
        else {
            return;
        };
        if was.and_then(|was| was.view.as_ref()) != view.as_ref() {
            record.modified = self.ctx.now.0;
            self.notice.changed.insert(key.clone());
        }
        record.view = view;
        let nothing = record.base.is_none() && record.view.is_none() && record.shadow.is_none();
        // What the server calls a record is not forgotten with it (R16).
        if nothing && record.server_id.is_none() {
            if was.is_some() {
                self.out.drop_records.push(key.clone());
            }
        } else if was != Some(&record) {
            self.out.records.insert(key.clone(), record);
        }
    }

    /// What waited in the outbox when the transaction began, and what waits in it now.
    pub(in crate::plan) fn load(&self) -> (Load, Load) {
        let Counts { bytes, .. } = self.was.meta.counts;
        let was = Load { operations: self.was.meta.counts.in_outbox(), bytes };
        let seqs: Set<Seq> = self.was.ops.keys().chain(self.ops.keys()).copied().collect();
        let weight = |op: Option<&Operation>| match op {
            Some(op) if op.state != OpState::Parked(Parked::HandedOver) => (1, op.bytes()),
            Some(_) | None => (0, 0),
        };
        let mut is = was;
        for seq in seqs {
            let (old, new) = (weight(self.was.ops.get(&seq)), weight(self.ops.get(&seq)));
            is.operations = (is.operations + new.0).saturating_sub(old.0);
            is.bytes = (is.bytes + new.1).saturating_sub(old.1);
        }
        (was, is)
    }

    /// Moves the balance by the difference of what was read and what is left (R10).
    pub(super) fn count(&mut self) {
        let seqs: Set<Seq> = self.was.ops.keys().chain(self.ops.keys()).copied().collect();
        for seq in seqs {
            let (was, is) = (self.was.ops.get(&seq), self.ops.get(&seq));
            if was == is {
                continue;
            }
            for (op, sign) in [(was, -1), (is, 1)] {
                if let Some(op) = op {
                    self.meta.counts.weigh(op, sign);
                }
            }
        }
        let open = |conflict: &Conflict| conflict.resolved.is_none();
        let ids: Set<_> = self.was.conflicts.keys().chain(self.conflicts.keys()).collect();
        for id in ids {
            let (was, is) = (self.was.conflicts.get(id), self.conflicts.get(id));
            let counts = &mut self.meta.counts;
            let by = i64::from(is.is_some_and(open)) - i64::from(was.is_some_and(open));
            counts.conflicts = counts.conflicts.saturating_add_signed(by);
            let by = i64::from(is.is_some_and(Conflict::asks_resolver))
                - i64::from(was.is_some_and(Conflict::asks_resolver));
            counts.asking = counts.asking.saturating_add_signed(by);
        }
    }
}
