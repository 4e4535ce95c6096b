//! What must be on a disk, kept beside it by applying every changeset, so that checking costs no reading.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::memory::Disk;
use holdfast::model::{
    Changeset, Conflict, ConflictId, Counts, CursorRow, EntityKey, Meta, OpId, OpState, Operation,
    Parked, Record, Reserve, Scope, Seq, Settled, Term,
};

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Mirror {
    pub(crate) meta: Meta,
    pub(crate) records: BTreeMap<EntityKey, Record>,
    pub(crate) ops: BTreeMap<Seq, Operation>,
    pub(crate) conflicts: BTreeMap<ConflictId, Conflict>,
    pub(crate) settled: BTreeMap<OpId, Settled>,
    pub(crate) cursors: BTreeMap<Scope, CursorRow>,
    /// Spare terms that were taken, while the outbox drains by deletions alone (R27).
    pub(crate) drawn: Option<u64>,
    /// What was taken out so, and of which nothing is written yet.
    pub(crate) drained: BTreeMap<Seq, Operation>,
    /// The ids of what was taken out so, and of which nobody could write anything in the end; and whether each was folded.
    pub(crate) untold: BTreeMap<OpId, bool>,
}

impl Mirror {
    /// Reads all of a disk: after a power cut, and at rest to see that disk and mirror agree.
    pub(crate) fn read(disk: &Disk) -> Self {
        let rows = |store: &str| disk.rows(store).into_iter().map(|row| row.text);
        fn from<T: serde::de::DeserializeOwned>(text: String) -> T {
            serde_json::from_str(&text).expect("our own rows can be read")
        }
        let state = disk.rows("meta").into_iter().find(|row| row.key == "state");
        let meta: Meta = state.map(|row| from(row.text)).unwrap_or_default();
        let reserve: Vec<String> = disk.rows("meta").into_iter().map(|row| row.key).collect();
        let drains = meta.reserve > 0 && !reserve.contains(&"unsealed".to_owned());
        let left = reserve.iter().filter(|key| key.starts_with("term/")).count() as u64;
        Self {
            drawn: drains.then(|| meta.reserve - left),
            drained: BTreeMap::new(),
            untold: BTreeMap::new(),
            meta,
            records: rows("records").map(from).map(|it: Record| (it.key.clone(), it)).collect(),
            ops: rows("outbox").map(from).map(|it: Operation| (it.seq, it)).collect(),
            conflicts: rows("conflicts").map(from).map(|it: Conflict| (it.id, it)).collect(),
            settled: rows("settled").map(from).map(|it: Settled| (it.op, it)).collect(),
            cursors: rows("cursors")
                .map(from)
                .map(|it: CursorRow| (it.scope.clone(), it))
                .collect(),
        }
    }

    /// A copy to compare with, without the rows of settled operations, which only grow.
    pub(crate) fn sketch(&self) -> Self {
        Self {
            meta: self.meta.clone(),
            records: self.records.clone(),
            ops: self.ops.clone(),
            conflicts: self.conflicts.clone(),
            settled: BTreeMap::new(),
            cursors: self.cursors.clone(),
            drawn: self.drawn,
            drained: self.drained.clone(),
            untold: BTreeMap::new(),
        }
    }

    /// The newest term: written, or taken out of the reserve.
    pub(crate) fn term(&self) -> Term {
        Term(self.meta.term.0 + self.drawn.unwrap_or_default())
    }

    /// Whether the server has an operation of this id, and no row says so.
    pub(crate) fn drained(&self, id: OpId) -> bool {
        self.untold.contains_key(&id)
            || self.drained.values().any(|op| op.id == id || op.folded.contains(&id))
    }

    /// What becomes of the reserve, and of what could not be written.
    fn draw(&mut self, set: &Changeset) {
        match set.reserve {
            None => {}
            Some(Reserve::Draw) => self.drawn = self.drawn.or(Some(0)),
            Some(Reserve::DrawTerm(_)) => self.drawn = Some(self.drawn.unwrap_or_default() + 1),
            Some(Reserve::Fill) => {
                self.drawn = None;
                for op in std::mem::take(&mut self.drained).into_values() {
                    let told = set.settled.iter().any(|row| row.op == op.id);
                    if !told && !set.ops.contains_key(&op.seq) {
                        self.untold.insert(op.id, false);
                        self.untold.extend(op.folded.iter().map(|id| (*id, true)));
                    }
                }
            }
        }
    }

    pub(crate) fn apply(&mut self, set: &Changeset) {
        if let Some(meta) = &set.meta {
            self.meta = meta.clone();
        }
        for seq in set.finished() {
            let taken = self.ops.remove(&seq);
            let untold = |op: &Operation| !set.settled.iter().any(|row| row.op == op.id);
            self.drained.extend(taken.filter(untold).map(|op| (seq, op)));
        }
        self.draw(set);
        for key in &set.drop_records {
            self.records.remove(key);
        }
        for id in &set.drop_conflicts {
            self.conflicts.remove(id);
        }
        for id in &set.drop_settled {
            self.settled.remove(id);
        }
        self.records.extend(set.records.iter().map(|(key, it)| (key.clone(), it.clone())));
        self.ops.extend(set.ops.iter().map(|(seq, it)| (*seq, it.clone())));
        self.conflicts.extend(set.conflicts.iter().map(|(id, it)| (*id, it.clone())));
        self.settled.extend(set.settled.iter().map(|it| (it.op, it.clone())));
        self.cursors.extend(set.cursors.iter().map(|it| (it.scope.clone(), it.clone())));
    }

    /// The key of a record, by it or by what the server calls it.
    pub(crate) fn own(&self, key: &EntityKey) -> EntityKey {
        let named = |it: &&Record| {
            it.key.collection == key.collection && it.server_id.as_ref() == Some(&key.id)
        };
        match self.records.get(key).or_else(|| self.records.values().find(named)) {
            Some(record) => record.key.clone(),
            None => key.clone(),
        }
    }

    pub(crate) fn queue<'a>(&'a self, key: &'a EntityKey) -> impl Iterator<Item = &'a Operation> {
        self.ops.values().filter(move |op| op.key == *key)
    }

    /// The operation of this id, or the one that carries it.
    pub(crate) fn op(&self, id: OpId) -> Option<&Operation> {
        self.ops.values().find(|op| op.id == id || op.folded.contains(&id))
    }

    /// The create that an operation at this place waits for when it names a record: the newest older one, or one that took the place
    /// of such; not one that was refused once the server has a record of that name.
    pub(crate) fn unsettled_create(&self, key: &EntityKey, place: Seq) -> Option<&Operation> {
        let base = self.records.get(key).and_then(|record| record.base.as_ref());
        let live = base.is_some_and(|base| base.presence.document().is_some());
        self.ops.values().rev().find(|op| {
            let waits = !matches!(op.state, OpState::Acked { .. }) && (op.is_visible() || !live);
            let older = op.seq < place || op.replaces.is_some();
            op.key == *key && op.is_create() && older && waits
        })
    }

    /// The rows of the outbox, counted again.
    pub(crate) fn count(&self) -> Counts {
        let mut counts = Counts::default();
        for op in self.ops.values() {
            // What another device has takes up no room of this one's outbox.
            if op.state != OpState::Parked(Parked::HandedOver) {
                counts.bytes += op.bytes();
            }
            match &op.state {
                OpState::Queued { .. } | OpState::Acked { .. } => counts.pending += 1,
                OpState::InFlight { .. } => {
                    counts.pending += 1;
                    counts.in_flight += 1;
                }
                OpState::Blocked { .. } => counts.blocked += 1,
                OpState::Parked(Parked::HandedOver) => counts.handed_over += 1,
                OpState::Parked(Parked::Conflicted(_) | Parked::Rejected { .. }) => {
                    counts.parked += 1;
                }
            }
        }
        counts.conflicts =
            self.conflicts.values().filter(|it| it.resolved.is_none()).count() as u64;
        counts.asking = self.conflicts.values().filter(|it| it.asks_resolver()).count() as u64;
        counts
    }

    /// The other members of an operation's transaction.
    pub(crate) fn mates<'a>(&'a self, op: &'a Operation) -> impl Iterator<Item = &'a Operation> {
        let mate = move |it: &&Operation| it.group == op.group && it.seq != op.seq;
        self.ops.values().filter(move |it| op.group.is_some() && mate(it))
    }

    /// Whether an operation may rest in the outbox: it needs a person, or waits for one that does. `groups`: the wire takes
    /// transactions all or none, so that one that left before waits for its mates again. `by_file`: what came with a file stands behind
    /// what was here, whether it may have left elsewhere or not.
    pub(crate) fn may_rest(&self, op: &Operation, groups: bool, by_file: &BTreeSet<OpId>) -> bool {
        let (mut known, mut next) = (BTreeSet::new(), vec![op]);
        while let Some(op) = next.pop() {
            if !known.insert(op.seq) {
                continue;
            }
            match &op.state {
                OpState::Parked(_) => return true,
                // What left is owed a verdict: it never waits for anybody else's.
                OpState::Blocked { by, .. } if !op.is_sealed() => {
                    next.extend(self.ops.values().filter(|it| it.id == *by));
                }
                OpState::Queued { .. } => {
                    if groups || !op.is_sealed() {
                        next.extend(self.mates(op));
                    }
                    // What never left waits for what did, wherever that stands: a file brings it in behind.
                    let away = |it: &Operation| it.is_away() && !op.is_sealed();
                    let before = |it: &&Operation| {
                        it.seq < op.seq && it.holds_the_record() || it.seq != op.seq && away(it)
                    };
                    if !op.is_sealed() || by_file.contains(&op.id) {
                        next.extend(self.queue(&op.key).filter(before));
                    }
                    if !op.is_sealed() {
                        let named = |key| self.unsettled_create(key, op.seq);
                        next.extend(op.refs.iter().filter_map(named));
                    }
                }
                OpState::Blocked { .. } | OpState::InFlight { .. } | OpState::Acked { .. } => {}
            }
        }
        false
    }
}
