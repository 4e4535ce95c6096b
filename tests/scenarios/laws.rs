//! What holds after every transaction, whatever it was. Calculated from the rows alone: none of the core's own helpers for the
//! view, the ready index or the counts is asked.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::memory::Disk;
use holdfast::model::{
    Assumed, Counts, EntityKey, Fate, Intent, Need, OpId, OpState, Operation, Parked, Presence,
    Root, Rules, Sent, Snapshot, Version,
};

#[derive(Default)]
pub(crate) struct Laws {
    accepted: BTreeSet<OpId>,
    sealed: BTreeMap<OpId, (Intent, Sent)>,
    /// With what the server calls the record, and whether it is gone.
    versions: BTreeMap<EntityKey, (Version, Option<String>, bool)>,
    /// Whether everything was being pulled anew.
    rebuilding: bool,
    /// The outbox as it was.
    was: BTreeMap<OpId, Operation>,
    /// The wire takes transactions all or none (R14).
    pub(crate) groups: bool,
    /// Rows that the scenario spoiled itself.
    pub(crate) spoiled: usize,
}

impl Laws {
    pub(crate) fn accepted(&mut self, id: OpId) {
        self.accepted.insert(id);
    }

    #[track_caller]
    pub(crate) fn check(&mut self, disk: &Disk, rules: &Rules) {
        let s = disk.snapshot(Need::only(vec![
            Root::Records,
            Root::Outbox,
            Root::Conflicts,
            Root::Settled { limit: 1_000_000 },
            Root::Cursors,
        ]));
        assert_eq!(s.unreadable.len(), self.spoiled, "{:?}", s.unreadable);
        balance(&s);
        assert_eq!(s.meta.settled, s.settled.len() as u64, "R9: the rows that are kept");
        self.conservation(&s);
        self.sealed_stays(&s);
        self.versions_grow(&s);
        self.successors_are_new(&s);
        for record in s.records.values() {
            assert_eq!(
                record.view,
                view(&s, rules, &record.key),
                "R1: the view of {:?}",
                record.key
            );
        }
        for op in s.ops.values() {
            let shown = s.records.contains_key(&op.key) || view(&s, rules, &op.key).is_none();
            assert!(shown, "P11: {op:?} has no record");
            assert_eq!(
                op.ready,
                could_leave(&s, op, self.groups),
                "R11: {op:?} in\n{}",
                lines(s.ops.values())
            );
            if let OpState::Blocked { by, .. } = op.state {
                assert!(op.sent.is_none(), "R11: a sealed operation is blocked: {op:?}");
                let cause = s.ops.values().find(|other| other.id == by);
                let parked = cause.is_some_and(|cause| matches!(cause.state, OpState::Parked(_)));
                assert!(parked, "R11: {op:?} is blocked by what is not parked: {cause:?}");
            }
            let stuck = mates(&s, op).any(|it| matches!(it.state, OpState::Parked(_)));
            let waits = matches!(op.state, OpState::Queued { .. }) && op.sent.is_none();
            assert!(!(stuck && waits), "R14: {op:?} goes on without its parked mate");
            let twice = mates(&s, op).find(|it| it.key == op.key);
            assert!(twice.is_none(), "R14: one record twice in a transaction: {op:?} {twice:?}");
        }
    }

    /// P3, R9: a write that was accepted is in the outbox or has a row that says how it ended.
    fn conservation(&self, s: &Snapshot) {
        for id in &self.accepted {
            let waits = s.op(*id).is_some();
            let ended = s.settled.contains_key(id);
            assert!(waits != ended, "P3: {id} waits: {waits}, ended: {ended}");
        }
    }

    /// P5: what may have left never changes.
    fn sealed_stays(&mut self, s: &Snapshot) {
        for op in s.ops.values() {
            let known = self.sealed.get(&op.id);
            match (&op.sent, known) {
                (Some(sent), None) => {
                    self.sealed.insert(op.id, (op.intent.clone(), sent.clone()));
                }
                (Some(sent), Some(known)) => {
                    assert_eq!((&op.intent, sent), (&known.0, &known.1), "P5: {op:?}");
                }
                (None, Some(_)) => panic!("P5: unsealed: {op:?}"),
                (None, None) => {}
            }
        }
    }

    /// R4, R8, R9: what takes an operation's place is a new one that never left, counts nothing yet and holds no writes; whose it is
    /// and how urgent, stays.
    fn successors_are_new(&mut self, s: &Snapshot) {
        for op in s.ops.values().filter(|op| !self.was.contains_key(&op.id)) {
            let gave_way = |id: &OpId| {
                s.settled.get(id).map(|row| &row.fate) == Some(&Fate::Superseded(op.id))
            };
            let told = op.replaces.filter(gave_way).and_then(|id| self.was.get(&id));
            let Some(old) = told else {
                assert!(!self.was.keys().any(gave_way), "R9: whose place it took: {op:?}");
                continue;
            };
            assert!(op.sent.is_none() && op.sends == 0 && op.refusals == 0, "R8: {op:?}");
            assert!(op.folded.is_empty(), "R9: {op:?}");
            assert_eq!((&op.owner, op.schema), (&old.owner, old.schema), "P31: {op:?}");
            assert!(op.priority <= old.priority, "R12: {op:?} {old:?}");
            assert!(op.stamp >= old.stamp, "R20: {op:?} {old:?}");
        }
        self.was = s.ops.values().map(|op| (op.id, op.clone())).collect();
    }

    /// P12: no base moves back, but where the last page of a full pull shows the next generation (R25), and where a record that was
    /// gone is made anew as another of the server's (R16).
    fn versions_grow(&mut self, s: &Snapshot) {
        let rebuilding = s.cursors.values().any(|row| row.rebuilding);
        if std::mem::replace(&mut self.rebuilding, rebuilding) && !rebuilding {
            self.versions.clear();
        }
        for record in s.records.values() {
            let Some(base) = &record.base else { continue };
            let Some(version) = base.version.clone() else { continue };
            let (name, gone) = (record.server_id.clone(), base.presence == Presence::Deleted);
            if let Some((known, was, was_gone)) = self.versions.get(&record.key)
                && !(*was_gone && *was != name)
            {
                assert_ne!(known.newer_than(&version), Some(true), "P12: {record:?}");
            }
            self.versions.insert(record.key.clone(), (version, name, gone));
        }
    }
}

fn lines<'a>(ops: impl Iterator<Item = &'a Operation>) -> String {
    ops.map(|op| format!("{op:?}")).collect::<Vec<_>>().join("\n")
}

/// R1, in its own words.
fn view(s: &Snapshot, rules: &Rules, key: &EntityKey) -> Option<Presence> {
    let base = s.records.get(key).and_then(|record| record.base.as_ref());
    let mut view = base.map(|base| base.presence.clone());
    for op in s.queue(key) {
        match &op.state {
            OpState::Parked(Parked::Conflicted(id)) => {
                return Some(s.conflicts.get(id).unwrap().mine.clone());
            }
            OpState::Parked(Parked::Rejected { .. } | Parked::HandedOver)
            | OpState::Blocked { visible: false, .. } => {}
            OpState::Queued { .. }
            | OpState::InFlight { .. }
            | OpState::Acked { .. }
            | OpState::Blocked { visible: true, .. } => {
                view = op.replay(view.as_ref(), rules.of(&key.collection));
            }
        }
    }
    view
}

/// The other members of an operation's transaction.
fn mates<'a>(s: &'a Snapshot, op: &'a Operation) -> impl Iterator<Item = &'a Operation> {
    s.ops.values().filter(move |it| op.group.is_some() && it.group == op.group && it.seq != op.seq)
}

/// R11, R14: free by itself, and with its transaction: whole on a wire that takes it so, in order on another.
fn could_leave(s: &Snapshot, op: &Operation, groups: bool) -> bool {
    let mates_are = if groups {
        mates(s, op)
            .filter(|it| !matches!(it.state, OpState::Acked { .. }))
            .all(|it| is_free(s, it, groups))
    } else {
        op.sent.is_some()
            || mates(s, op)
                .filter(|it| it.seq < op.seq && it.sent.is_none())
                .all(|it| is_free(s, it, groups))
    };
    is_free(s, op, groups) && mates_are
}

/// R11, R12: first of its record, nothing that it refers to is unsettled.
fn is_free(s: &Snapshot, op: &Operation, groups: bool) -> bool {
    let waits = |other: &Operation| {
        matches!(
            other.state,
            OpState::Queued { .. }
                | OpState::InFlight { .. }
                | OpState::Parked(Parked::Conflicted(_))
        )
    };
    // One that may be with the server is first wherever it stands: what was blocked when it left waits for its verdict.
    let away =
        |other: &Operation| other.sent.is_some() && waits(other) && other.conflict().is_none();
    let first = match s.queue(&op.key).find(|other| away(other)) {
        Some(away) => away.id == op.id,
        None => !s.queue(&op.key).any(|other| other.seq < op.seq && waits(other)),
    };
    let targets = op.refs.iter().all(|target| exists(s, target, op, groups));
    let resolved = !matches!(op.assumed, Assumed::After(_)) || op.sent.is_some();
    let queued = matches!(op.state, OpState::Queued { .. });
    assert!(!(queued && first) || resolved, "R6: first, and still after another: {op:?}");
    queued && first && (targets || op.sent.is_some())
}

/// Whether the server has the record that an operation refers to, as far as its own creates tell.
fn exists(s: &Snapshot, key: &EntityKey, by: &Operation, groups: bool) -> bool {
    let create = |op: &&Operation| {
        let earlier = op.seq < by.seq || op.replaces.is_some();
        earlier && matches!(op.intent, Intent::Create(_))
    };
    let creates: Vec<&Operation> = s.queue(key).filter(create).collect();
    let settled = |op: &&Operation| matches!(op.state, OpState::Acked { .. });
    let given_up = |op: &&Operation| {
        matches!(
            op.state,
            OpState::Parked(Parked::Rejected { .. } | Parked::HandedOver)
                | OpState::Blocked { visible: false, .. }
        )
    };
    let live = s
        .records
        .get(key)
        .and_then(|record| record.base.as_ref())
        .is_some_and(|base| base.presence.document().is_some());
    // What leaves in one piece with it leaves before it.
    let together = |op: &&Operation| groups && op.group.is_some() && op.group == by.group;
    creates.iter().all(|op: &&Operation| settled(op) || (live && given_up(op)) || together(op))
}

/// R10 and P37, counted from the rows.
fn balance(s: &Snapshot) {
    let counts = s.meta.counts;
    assert!(counts.balances(), "R10: {counts:?}");
    let mut found = Counts::default();
    let elsewhere = |op: &&Operation| op.state == OpState::Parked(Parked::HandedOver);
    for op in s.ops.values().filter(|op| !elsewhere(op)) {
        found.bytes += op.bytes();
        match &op.state {
            OpState::Queued { .. } | OpState::Acked { .. } => found.pending += 1,
            OpState::InFlight { .. } => {
                found.pending += 1;
                found.in_flight += 1;
            }
            OpState::Blocked { .. } => found.blocked += 1,
            OpState::Parked(_) => found.parked += 1,
        }
    }
    found.conflicts = s.conflicts.values().filter(|it| it.resolved.is_none()).count() as u64;
    found.asking = s.conflicts.values().filter(|it| it.asks_resolver()).count() as u64;
    let says = Counts {
        bytes: counts.bytes,
        pending: counts.pending,
        in_flight: counts.in_flight,
        blocked: counts.blocked,
        parked: counts.parked,
        conflicts: counts.conflicts,
        asking: counts.asking,
        ..Counts::default()
    };
    assert_eq!(says, found, "P37: the counts and the rows");
    let fates = |wanted: fn(&Fate) -> bool| {
        s.settled.values().filter(|row| wanted(&row.fate)).count() as u64
    };
    assert_eq!(counts.applied, fates(|fate| *fate == Fate::Applied), "R10");
    assert_eq!(counts.annihilated, counts_annihilated(s), "R10");
    assert_eq!(counts.yielded, fates(|fate| matches!(fate, Fate::Yielded(_))), "R10");
    assert_eq!(counts.superseded, fates(|fate| matches!(fate, Fate::Superseded(_))), "R10");
    assert_eq!(counts.discarded, fates(|fate| *fate == Fate::Discarded), "R10");
    // One that came back after its row was given up is counted as handed over and as imported.
    let handed_over = s.ops.values().filter(elsewhere).count() as u64;
    assert!(counts.handed_over >= handed_over + fates(|fate| *fate == Fate::HandedOver), "R10");
}

/// A write folded into one that was annihilated is counted as folded.
fn counts_annihilated(s: &Snapshot) -> u64 {
    let rows = s.settled.values().filter(|row| row.fate == Fate::Annihilated).count() as u64;
    let folded =
        s.settled.values().filter(|row| matches!(row.fate, Fate::Folded(_))).count() as u64;
    let waiting: u64 = s.ops.values().map(|op| op.folded.len() as u64).sum();
    rows - (s.meta.counts.folded - folded - waiting)
}
