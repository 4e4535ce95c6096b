//! The working copy of one transaction. A plan changes operations and conflicts on it; [`Draft::finish`] then brings every
//! record that was touched back into order (promote, view, ready) and turns the difference into a changeset.
//!
//! The laws kept here, once, for all plans: R1 (view), R6 (only the first operation of a record is judged), R9 (one way out),
//! R10 (the balance), R11 (ready), R12 (references).

mod blocking;
mod carrying;
mod ending;
mod generation;
mod grouping;
mod judging;
mod naming;

use crate::model::{Map, Set};

pub(super) use carrying::HANDED_OVER;
pub(super) use generation::Building;

use super::strategy::{self, Verdict, Won, kind_of};
use crate::model::Wall;
use crate::model::map::{Listed, sort};
use crate::model::{
    Asks, Assumed, Base, Before, Changeset, Conflict, ConflictId, ConflictKind, Ctx, CursorRow,
    Decider, Decision, Document, Edit, EntityKey, Epoch, Fate, GroupId, Intent, JournalLine, Meta,
    OpId, OpState, Operation, Parked, Path, Presence, Quarantine, Record, Resolved, Rules, Seq,
    Settled, Slot, Snapshot, Strategy, Unreadable, Version,
};
use crate::model::{edit, operation};
use crate::planted::{self, Bug};

/// What a transaction did that somebody may want to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notice {
    /// Records whose view or state changed.
    pub changed: Set<EntityKey>,
    /// Operations that were parked as rejected.
    pub parked: Vec<OpId>,
    /// Conflicts that were found, by a person to be decided or by policy already.
    pub conflicts: Vec<ConflictId>,
    /// What kind these are.
    pub kinds: Vec<ConflictKind>,
    /// Operations that ended.
    pub settled: Vec<OpId>,
}

pub(super) struct Draft<'a> {
    was: &'a Snapshot,
    pub(super) ctx: &'a Ctx,
    pub(super) rules: &'a Rules,
    pub(super) records: Map<EntityKey, Record>,
    ops: Map<Seq, Operation>,
    /// The places of every record, in order: a create may have thousands of operations behind it.
    places: Vec<(EntityKey, Seq)>,
    /// The places of every transaction's members, in order.
    grouped: Vec<(GroupId, Seq)>,
    pub(super) conflicts: Map<ConflictId, Conflict>,
    /// From the server's ids to own ones: those that were read, and those that this transaction makes.
    pub(super) aliases: Map<EntityKey, String>,
    pub(super) meta: Meta,
    pub(super) out: Changeset,
    pub(super) notice: Notice,
    /// The generation that a full pull is building (R25).
    pub(super) building: Option<Building>,
    touched: Set<EntityKey>,
    /// Transactions of which a member came, went or changed.
    groups: Set<GroupId>,
    /// Operations that a person's decision put elsewhere or set free.
    pub(super) moved: Vec<Seq>,
    ids: u32,
    /// What the server calls the conflict that is being judged.
    pub(super) token: Option<String>,
    /// The operation that is being judged left before, and the server cannot say whether it was applied then.
    pub(super) repeated: bool,
}

/// Ids below this are the caller's: the operation and the record of a write.
const FIRST_ID: u32 = 8;

impl<'a> Draft<'a> {
    pub(super) fn new(was: &'a Snapshot, rules: &'a Rules, ctx: &'a Ctx) -> Self {
        let mut out = Changeset::nothing();
        let new = |row: &&Unreadable| !was.kept_aside.contains(&row.place);
        out.quarantine.extend(was.unreadable.iter().filter(new).cloned());
        let quarantine = out.quarantine.iter().fold(was.meta.quarantine, Quarantine::with);
        let mut places: Vec<_> = was.ops.values().map(|op| (op.key.clone(), op.seq)).collect();
        sort(&mut places);
        let rebuilt = was.cursors.values().filter(|row| row.rebuilding);
        let mut grouped: Vec<_> =
            was.ops.values().filter_map(|op| op.group.map(|group| (group, op.seq))).listed();
        sort(&mut grouped);
        Self {
            was,
            ctx,
            rules,
            records: was.records.clone(),
            ops: was.ops.clone(),
            places,
            grouped,
            conflicts: was.conflicts.clone(),
            aliases: was.aliases.clone(),
            meta: Meta { quarantine, ..was.meta.clone() },
            out,
            notice: Notice::default(),
            building: rebuilt
                .max_by_key(|row| row.generation)
                .map(|row| Building { scope: row.scope.clone(), generation: row.generation }),
            touched: Set::new(),
            groups: Set::new(),
            moved: Vec::new(),
            ids: FIRST_ID,
            token: None,
            repeated: false,
        }
    }

    // Reading.

    pub(super) fn op(&self, seq: Seq) -> Option<&Operation> {
        self.ops.get(&seq)
    }

    pub(super) fn find(&self, id: OpId) -> Option<&Operation> {
        self.ops.values().find(|op| op.id == id)
    }

    /// Operations that a completed pull has shown, if it began after they were acked (3.3).
    pub(super) fn acked(&self) -> Vec<Seq> {
        let seen = |op: &&Operation| matches!(op.state, OpState::Acked { pull_after } if pull_after < self.meta.pulls);
        self.ops.values().filter(seen).map(|op| op.seq).listed()
    }

    /// Whether a pull of everything is under way: its rows may be older than an answer that comes between two pages.
    pub(super) fn is_filling(&self) -> bool {
        let filling = |row: &CursorRow| row.rebuilding || !row.complete;
        self.was.cursors.values().any(|row| !row.leaving && filling(row))
    }

    pub(super) fn queue(&self, key: &EntityKey) -> Vec<Seq> {
        self.of(key).map(|op| op.seq).listed()
    }

    /// The operations on a record, in order.
    fn of(&self, key: &EntityKey) -> impl DoubleEndedIterator<Item = &Operation> + use<'_, 'a> {
        let from = self.places.partition_point(|(known, _)| known < key);
        let rest = self.places.get(from..).unwrap_or_default();
        let until = rest.partition_point(|(known, _)| known == key);
        let places = rest.get(..until).unwrap_or_default();
        places.iter().filter_map(|(_, seq)| self.ops.get(seq))
    }

    pub(super) fn base(&self, key: &EntityKey) -> Option<&Base> {
        self.records.get(key).and_then(|record| record.base.as_ref())
    }

    fn base_presence(&self, key: &EntityKey) -> Option<&Presence> {
        self.base(key).map(|base| &base.presence)
    }

    /// What the application saw when the transaction began.
    pub(super) fn seen(&self, key: &EntityKey) -> Option<&Presence> {
        self.was.records.get(key).and_then(|record| record.view.as_ref())
    }

    /// What the application sees (R1).
    pub(super) fn view(&self, key: &EntityKey) -> Option<Presence> {
        if let Some(conflict) = self.open_conflict(key) {
            return Some(conflict.mine.clone());
        }
        let shown =
            |op: &&Operation| op.is_visible() || planted::has(Bug::RejectedShown) && op.is_create();
        self.of(key)
            .filter(shown)
            .fold(self.base_presence(key).cloned(), |view, op| self.step(op, view.as_ref()))
    }

    /// What an operation does to what stands there (R1).
    fn step(&self, op: &Operation, on: Option<&Presence>) -> Option<Presence> {
        op.replay(on, self.rules.of(&op.key.collection))
    }

    /// What the application would see without one operation.
    pub(super) fn view_without(&self, key: &EntityKey, seq: Seq) -> Option<Presence> {
        self.of(key)
            .filter(|op| op.seq != seq && op.is_visible())
            .fold(self.base_presence(key).cloned(), |view, op| self.step(op, view.as_ref()))
    }

    pub(super) fn open_conflict(&self, key: &EntityKey) -> Option<&Conflict> {
        let id = self.of(key).find_map(Operation::conflict)?;
        self.conflicts.get(&id)
    }

    /// The last operation that a new write on the record is made on.
    pub(super) fn last_visible(&self, key: &EntityKey) -> Option<&Operation> {
        self.of(key).rev().find(|op| op.is_visible())
    }

    /// The create that an operation at a place waits for if it names the record: the newest unsettled one before it, or one that
    /// took the place of such. A record that is removed and made anew later is no reason to wait: the two would wait for each
    /// other. An acked create satisfies references (R6), and one that was refused holds nobody once the server has a record of
    /// that name.
    pub(super) fn unsettled_create(&self, key: &EntityKey, place: Seq) -> Option<&Operation> {
        let live = self.base_presence(key).is_some_and(|base| base.document().is_some());
        self.creates_before(key, place)
            .rev()
            .find(|op| !matches!(op.state, OpState::Acked { .. }) && (op.is_visible() || !live))
    }

    fn creates_before(
        &self,
        key: &EntityKey,
        place: Seq,
    ) -> impl DoubleEndedIterator<Item = &Operation> {
        self.of(key).filter(move |op| op.is_create() && (op.seq < place || op.replaces.is_some()))
    }

    /// An operation that names the record.
    pub(super) fn referrer(&self, key: &EntityKey) -> Option<OpId> {
        self.ops.values().find(|op| op.refs.contains(key)).map(|op| op.id)
    }

    pub(super) fn referrers(&self, key: &EntityKey) -> Vec<Seq> {
        self.ops.values().filter(|op| op.refs.contains(key)).map(|op| op.seq).listed()
    }

    /// An operation and everything on its record that was made on it, in order.
    pub(super) fn standing_on(&self, op: &Operation) -> Vec<Seq> {
        let mut ids = vec![op.id];
        let mut seqs = vec![op.seq];
        for later in self.of(&op.key).filter(|it| it.seq > op.seq) {
            let on = matches!(later.assumed, Assumed::After(id) if ids.contains(&id));
            let behind = matches!(later.state, OpState::Blocked { by, .. } if ids.contains(&by));
            if on || behind {
                ids.push(later.id);
                seqs.push(later.seq);
            }
        }
        seqs
    }

    /// Whether an operation waits for another, by its record, by what it names, and by what those wait for.
    pub(super) fn waits_for(&self, seq: Seq, other: Seq) -> bool {
        let (mut known, mut next) = (Set::new(), vec![seq]);
        while let Some(op) = next.pop().and_then(|seq| self.ops.get(&seq)) {
            if op.seq == other {
                return true;
            }
            if known.insert(op.seq) {
                next.extend(self.of(&op.key).map(|before| before.seq).filter(|it| *it < op.seq));
                let named = op.refs.iter().filter_map(|it| self.unsettled_create(it, op.seq));
                next.extend(named.map(|create| create.seq));
                next.extend(self.mates(op).map(|mate| mate.seq));
            }
        }
        false
    }

    /// What the server's clock says now, as far as we know it (R20).
    pub(super) fn server_now(&self) -> Wall {
        self.meta.ahead.correct(self.ctx.now)
    }

    // Changing.

    /// Takes the server's time in an answer.
    pub(super) fn learn_time(&mut self, time: Option<Wall>) {
        if let Some(time) = time {
            self.meta.ahead.learn(time, self.ctx.now);
        }
    }

    pub(super) fn touch(&mut self, key: &EntityKey) {
        self.touched.insert(key.clone());
    }

    pub(super) fn record_mut(&mut self, key: &EntityKey) -> &mut Record {
        self.touched.insert(key.clone());
        self.records.or_insert_with(key.clone(), || Record::new(key.clone()))
    }

    pub(super) fn op_mut(&mut self, seq: Seq) -> Option<&mut Operation> {
        let op = self.ops.get_mut(&seq)?;
        self.touched.insert(op.key.clone());
        self.groups.extend(op.group);
        Some(op)
    }

    pub(super) fn next_id(&mut self) -> OpId {
        self.ids += 1;
        self.ctx.ids.op(self.ids)
    }

    fn next_conflict_id(&mut self) -> ConflictId {
        self.ids += 1;
        self.ctx.ids.conflict(self.ids)
    }

    pub(super) fn next_seq(&mut self) -> Seq {
        self.meta.floor.0 += 1;
        self.meta.floor
    }

    /// Puts an operation into the outbox.
    pub(super) fn add(&mut self, op: Operation) {
        self.touched.insert(op.key.clone());
        let place = (op.key.clone(), op.seq);
        if let Err(at) = self.places.binary_search(&place) {
            self.places.insert(at, place);
        }
        if let Some(group) = op.group {
            self.groups.insert(group);
            if let Err(at) = self.grouped.binary_search(&(group, op.seq)) {
                self.grouped.insert(at, (group, op.seq));
            }
        }
        self.ops.insert(op.seq, op);
    }

    /// Takes an operation out (R9).
    pub(super) fn finish_op(&mut self, seq: Seq, fate: Fate) -> Option<Operation> {
        let op = self.ops.remove(&seq)?;
        if let Ok(at) = self.places.binary_search(&(op.key.clone(), seq)) {
            self.places.remove(at);
        }
        if let Some(group) = op.group {
            self.groups.insert(group);
            self.grouped.retain(|place| *place != (group, seq));
        }
        self.touched.insert(op.key.clone());
        let counts = &mut self.meta.counts;
        match fate {
            Fate::Applied => counts.applied += 1,
            Fate::Folded(_) => counts.folded += 1,
            Fate::Annihilated => counts.annihilated += 1,
            Fate::Yielded(_) => counts.yielded += 1,
            Fate::Superseded(_) => counts.superseded += 1,
            Fate::Discarded => counts.discarded += 1,
            Fate::HandedOver => counts.handed_over += 1,
        }
        self.meta.journal += 1;
        self.notice.changed.insert(op.key.clone());
        self.notice.settled.push(op.id);
        self.notice.settled.extend(&op.folded);
        self.out.finish_op(&op, fate, self.ctx.now, self.meta.journal);
        Some(op)
    }

    /// Adds to what is kept of the operation that ended last.
    pub(super) fn with_verdict(&mut self, version: Option<Version>, server_id: Option<String>) {
        if let Some(row) = self.out.settled.last_mut() {
            row.version = version;
            row.server_id = server_id;
        }
    }

    /// Keeps the person's call that ended an operation.
    pub(super) fn with_call(&mut self, call: OpId) {
        if let Some(row) = self.out.settled.last_mut() {
            row.call = Some(call);
        }
    }

    /// A write that goes into an older operation. It ends with its host: until then `folded` answers for it (R9).
    pub(super) fn fold_write(&mut self, id: OpId, key: &EntityKey, host: OpId) {
        self.meta.counts.folded += 1;
        self.journal(id, key, Fate::Folded(host));
    }

    /// A removal of what never left.
    pub(super) fn annihilate_write(&mut self, id: OpId, key: &EntityKey) {
        self.meta.counts.annihilated += 1;
        self.journal(id, key, Fate::Annihilated);
        self.notice.settled.push(id);
        self.out.settled.push(Settled::new(id, Fate::Annihilated, self.ctx.now));
    }

    fn journal(&mut self, op: OpId, key: &EntityKey, fate: Fate) {
        self.meta.journal += 1;
        let (line, at, key) = (self.meta.journal, self.ctx.now, key.clone());
        self.out.journal.push(JournalLine { line, at, op, key, fate });
    }

    /// Puts a new operation, with a new id, in the place of another (same place in the order).
    pub(super) fn supersede(&mut self, seq: Seq, intent: Intent, before: Before, assumed: Assumed) {
        let id = self.next_id();
        let Some(old) = self.finish_op(seq, Fate::Superseded(id)) else { return };
        self.meta.counts.derived += 1;
        let (old_id, grouped) = (old.id, old.group.is_some());
        self.add(Operation {
            id,
            intent,
            before,
            assumed,
            folded: Vec::new(),
            replaces: Some(old_id),
            sent: None,
            sends: 0,
            refusals: 0,
            state: OpState::queued(),
            ..old
        });
        self.repoint(old_id, id);
        if grouped {
            // Nothing new goes on while a mate waits for a person (R14).
            self.block_again(&[seq]);
        }
    }

    /// Whoever named `old` names `new`.
    pub(super) fn repoint(&mut self, old: OpId, new: OpId) {
        for op in self.ops.values_mut() {
            if op.assumed == Assumed::After(old) {
                op.assumed = Assumed::After(new);
                self.touched.insert(op.key.clone());
            }
            if let OpState::Blocked { by, .. } = &mut op.state
                && *by == old
            {
                *by = new;
                self.touched.insert(op.key.clone());
            }
        }
    }
}

/// Whether a record was made twice by its user on one device: again while the first create was out of sight. Nobody else has a part in
/// it, so the later one says what was meant, as a create over a live record does (R1). One that came from another device with a file
/// was made without this one.
fn is_made_again(first: &Operation, again: &Operation) -> bool {
    let alone = first.owner == again.owner && first.stamp.device == again.stamp.device;
    first.is_create() && again.is_create() && alone
}

fn op_id(op: Option<&Operation>) -> OpId {
    op.map_or_else(|| OpId::from_bytes([0; 16]), |op| op.id)
}

/// Whether an operation may have changed what stands at a path.
pub(super) fn touches(op: &Operation, path: &Path) -> bool {
    let meets = |at: &Path| at.covers(path) || path.covers(at);
    match (&op.intent, &op.before) {
        (_, Before::Paths(paths)) => paths.iter().any(|(at, _)| meets(at)),
        (Intent::Change(edits), Before::Whole(_)) => edits.iter().any(|edit| meets(edit.path())),
        (
            Intent::Create(_) | Intent::Replace(_) | Intent::Delete | Intent::Resolve(_),
            Before::Whole(_),
        )
        | (_, Before::Nothing) => true,
    }
}

/// The paths that an operation gives a value of its own.
fn written(intent: &Intent) -> Vec<Path> {
    match intent {
        Intent::Create(document) | Intent::Replace(document) => {
            document.fields().into_iter().map(|(name, _)| Path::field(name)).collect()
        }
        Intent::Change(edits) => edits.iter().map(|edit| edit.path().clone()).collect(),
        Intent::Delete | Intent::Resolve(_) => Vec::new(),
    }
}

/// The values that edits find in a document (R4).
pub(super) fn before_of(document: Option<&Document>, edits: &[Edit]) -> Before {
    let mut paths: Vec<(Path, Slot)> = Vec::new();
    for edit in edits {
        if !paths.iter().any(|(path, _)| path == edit.path()) {
            let value = document.and_then(|document| document.get(&edit.path().0));
            paths.push((edit.path().clone(), Slot(value)));
            paths.extend(document.and_then(|document| obstacle(edit.path(), document)));
        }
    }
    Before::Paths(paths)
}

/// What an edit finds where the object should be that holds its path. It stands behind the path: `undo` begins at the end.
pub(super) fn obstacle(path: &Path, document: &Document) -> Option<(Path, Slot)> {
    path.obstacle(document).map(|(above, there)| (above, Slot(there)))
}

/// What a change found at its paths, where it keeps whole what it was made on.
pub(super) fn found_by(op: &Operation) -> Before {
    match (&op.intent, &op.before) {
        (Intent::Change(edits), Before::Whole(Some(ground))) => before_of(Some(ground), edits),
        (_, before) => before.clone(),
    }
}

/// The edits that bring back what an operation found.
pub(super) fn undo(before: &[(Path, Slot)]) -> Vec<Edit> {
    before.iter().rev().map(|(path, slot)| Edit::to(path.clone(), slot.0.clone())).collect()
}

/// What both sides began with, as far as it is known.
fn ancestor(op: &Operation, theirs: &Presence) -> Option<Document> {
    match &op.before {
        Before::Nothing => None,
        Before::Whole(document) => document.clone(),
        Before::Paths(paths) => {
            theirs.document().map(|document| edit::apply(document, &undo(paths)))
        }
    }
}

/// Where two sides of a conflict differ.
pub(super) fn differing(mine: &Presence, theirs: &Presence) -> Vec<Path> {
    match (mine, theirs) {
        (Presence::Live(mine), Presence::Live(theirs)) => {
            edit::diff(theirs, mine).iter().map(|edit| edit.path().clone()).collect()
        }
        (Presence::Live(document), Presence::Deleted)
        | (Presence::Deleted, Presence::Live(document)) => {
            document.fields().into_iter().map(|(name, _)| Path::field(name)).collect()
        }
        (Presence::Deleted, Presence::Deleted) => Vec::new(),
    }
}
