//! What a transaction reads, and what it writes. A plan turns one into the other; nothing else changes a database.

use super::map::{Map, Set};

use serde::{Deserialize, Serialize};

use super::conflict::Conflict;
use super::entity::{EntityKey, Record, Version};
use super::ids::{ConflictId, DeviceId, Epoch, IdSeed, OpId, Seq, Term};
use super::operation::{Fate, OpState, Operation, Parked};
use super::references::References;
use super::remote::{Cursor, Scope};
use super::time::{Ahead, Millis, Stamp, Wall};

/// The format of rows that this release writes.
pub const FORMAT: u32 = 1;

/// How many spare terms a reserve has: tabs that can take the lead, one after another, while nothing can be written (R27).
pub const SPARE_TERMS: u64 = 128;

/// What a transaction reads: roots, and the edges to follow inside the transaction (R23).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Need {
    /// Where to start.
    pub roots: Vec<Root>,
    /// Whether to follow an operation to its record's queue and conflict, to the records it refers to, to the other members of
    /// its transaction, and, from a create, to the operations that refer to its record.
    pub edges: bool,
}

/// A place to start reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// A record and its queue; by the server's id where no record has the own id.
    Record(EntityKey),
    /// A record that new content names, and its queue: what else names it stays as it is, however much that is.
    Target(EntityKey),
    /// The record of a pulled change, by the server's id, and its queue.
    Pulled(EntityKey),
    /// An operation in the outbox, or what is kept of a settled one.
    Op(OpId),
    /// What may leave now, most urgent first.
    Ready {
        /// How many operations at the most.
        limit: usize,
        /// The time.
        now: Wall,
        /// A `not_before` further away than this counts as now (R19).
        horizon: Millis,
        /// Whether transactions are brought whole, beyond the limit too (R14).
        groups: bool,
    },
    /// What is in flight.
    Flights,
    /// A conflict, its operation and its record.
    Conflict(ConflictId),
    /// All conflicts.
    Conflicts,
    /// The cursors of all scopes.
    Cursors,
    /// The whole outbox.
    Outbox,
    /// What came into the outbox first of all that is in it.
    Eldest,
    /// All records.
    Records,
    /// Settled rows, oldest first.
    Settled {
        /// How many at the most.
        limit: usize,
    },
    /// Journal lines, oldest first.
    Journal {
        /// How many at the most.
        limit: usize,
    },
    /// What a server's id stands for here, without the record.
    Name(EntityKey),
    /// The operation that a pulled change may be the echo of. Where that is a create of which no verdict is known, and the server
    /// has another name for its record, the change is the first that is heard of the name (R16).
    Echo {
        /// The operation that the server says made it.
        op: OpId,
        /// The record as the server names it.
        named: EntityKey,
        /// Collections whose records may name it: they are read with the outbox where the name is news.
        within: Vec<String>,
    },
    /// An id that the server gave or named (R16, R17): what it stands for, with the record and its queue.
    Assigned {
        /// The record as the server names it.
        named: EntityKey,
        /// Collections whose records may name it: they are read with the outbox where that id has been seen.
        within: Vec<String>,
        /// It may have been seen without its record.
        seen: bool,
    },
    /// Whether what could not be read at a place is in quarantine already.
    Quarantine(String),
    /// With [`Root::Ready`]: the records that leaving operations name, by collection and declaration.
    Named(Map<String, References>),
    /// With [`Root::Ready`]: the records of what leaves.
    Bases,
    /// The balance as it is now. While nothing can be written (R27) the rows of the outbox are counted for it.
    Balance,
}

impl Need {
    /// These roots with all edges.
    #[must_use]
    pub fn of(roots: Vec<Root>) -> Self {
        Self { roots, edges: true }
    }

    /// These roots and nothing further.
    #[must_use]
    pub fn only(roots: Vec<Root>) -> Self {
        Self { roots, edges: false }
    }
}

/// What was read. Every lookup is by an ordered key: nothing here depends on a hash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The database's own state.
    pub meta: Meta,
    /// Records by key.
    pub records: Map<EntityKey, Record>,
    /// Operations by place.
    pub ops: Map<Seq, Operation>,
    /// Conflicts by id.
    pub conflicts: Map<ConflictId, Conflict>,
    /// What is kept of settled operations.
    pub settled: Map<OpId, Settled>,
    /// Cursors by scope.
    pub cursors: Map<Scope, CursorRow>,
    /// From a collection and a server's id to the own id.
    pub aliases: Map<EntityKey, String>,
    /// Journal lines by place.
    pub journal: Map<u64, JournalLine>,
    /// The earliest operation that only waits for its time.
    pub next_due: Option<Wall>,
    /// Rows that could not be read (R2).
    pub unreadable: Vec<Unreadable>,
    /// The places of what is in quarantine, of those that were looked for.
    pub kept_aside: Set<String>,
    /// While the reserve is drawn on (R27), the spare terms that are left of it. Every operation that may leave counts as sealed
    /// then, with the content that is stored.
    pub spares: Option<u64>,
}

impl Snapshot {
    /// Whether the outbox drains by deletions alone: nothing else may be written then (R27).
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.spares.is_some()
    }

    /// Whether the database's own state was read, or is not there yet.
    #[must_use]
    pub fn has_state(&self) -> bool {
        !self.unreadable.iter().any(|row| row.place.starts_with("meta/"))
    }

    /// The balance with the outbox as its rows are, all of which were read. Where some were taken out without being counted, while
    /// nothing could be written (R27), the server has them: nothing else is taken out so.
    #[must_use]
    pub fn recounted(&self) -> Counts {
        let mut rows = Counts::default();
        self.ops.values().for_each(|op| rows.weigh(op, 1));
        // What cannot be read is there.
        let broken = self.unreadable.iter().filter(|row| row.place.starts_with("outbox/")).count();
        let Counts { in_flight, bytes, .. } = rows;
        let counts = self.meta.counts;
        let pending = rows.pending + broken as u64;
        let applied = counts.applied + counts.pending.saturating_sub(pending);
        let pending = counts.pending.min(pending);
        Counts { applied, pending, in_flight, bytes, ..counts }
    }

    /// The operation of this id, or the one that it was folded into.
    #[must_use]
    pub fn op(&self, id: OpId) -> Option<&Operation> {
        self.ops.values().find(|op| op.id == id || op.folded.contains(&id))
    }

    /// The operations on a record, in order.
    pub fn queue<'a>(&'a self, key: &'a EntityKey) -> impl Iterator<Item = &'a Operation> {
        self.ops.values().filter(move |op| op.key == *key)
    }

    /// The own key of a record that the server named.
    #[must_use]
    pub fn own_key(&self, named: &EntityKey) -> EntityKey {
        own_key(&self.aliases, named)
    }
}

/// The own key of a record by its names. One that became one with another (R17) leads on to that, never back.
#[must_use]
pub fn own_key(aliases: &Map<EntityKey, String>, named: &EntityKey) -> EntityKey {
    let mut key = named.clone();
    for _ in 0..aliases.len() {
        let Some(id) = aliases.get(&key) else { break };
        key.id.clone_from(id);
    }
    key
}

/// A row that could not be read. It is kept as it is, and reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// Where it was found: a store and a key, or `pull`.
    pub place: String,
    /// Its bytes.
    pub text: String,
}

/// The database's own state, in one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Of the rows.
    pub format: u32,
    /// The database's name for servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Commits that wrote this row: which of two readings is the later one.
    #[serde(default)]
    pub commits: u64,
    /// Of the newest leader.
    #[serde(default)]
    pub term: Term,
    /// The greatest place ever given to an operation.
    #[serde(default)]
    pub floor: Seq,
    /// The newest stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Stamp>,
    /// The server's clock, as far as its answers told.
    #[serde(default, skip_serializing_if = "Ahead::is_unknown")]
    pub ahead: Ahead,
    /// Completed pulls.
    #[serde(default)]
    pub pulls: Epoch,
    /// The last push that emptied what could leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_push: Option<Wall>,
    /// The last completed pull.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_pull: Option<Wall>,
    /// Whether something was applied since the last completed pull began: not yet `synced` (P37).
    #[serde(default)]
    pub pull_due: bool,
    /// When it was found that the browser had lost what was here before, until a pull is complete (P29).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Wall>,
    /// Journal lines ever written.
    #[serde(default)]
    pub journal: u64,
    /// Aliases ever made.
    #[serde(default)]
    pub aliases: u64,
    /// Settled rows that are kept.
    #[serde(default)]
    pub settled: u64,
    /// What could not be read.
    #[serde(default, skip_serializing_if = "Quarantine::is_empty")]
    pub quarantine: Quarantine,
    /// The spare terms that were written ahead; none in a database that nobody has led yet (R27).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reserve: u64,
    /// Both sides of the balance (R10).
    #[serde(default)]
    pub counts: Counts,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            format: FORMAT,
            device: None,
            commits: 0,
            term: Term(0),
            floor: Seq(0),
            clock: None,
            ahead: Ahead::default(),
            pulls: Epoch(0),
            last_push: None,
            last_pull: None,
            pull_due: false,
            lost: None,
            journal: 0,
            aliases: 0,
            settled: 0,
            quarantine: Quarantine::default(),
            reserve: 0,
            counts: Counts::default(),
        }
    }
}

/// How much could not be read and is kept aside with its bytes (R2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quarantine {
    /// Rows.
    pub rows: u64,
    /// Bytes of their places and texts: a server chooses both.
    pub bytes: u64,
}

impl Quarantine {
    /// Whether everything could be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// With one row more.
    #[must_use]
    pub fn with(self, row: &Unreadable) -> Self {
        let bytes = (row.place.len() + row.text.len()) as u64;
        Self { rows: self.rows + 1, bytes: self.bytes.saturating_add(bytes) }
    }
}

/// The balance of R10: every write that came in is somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Counts {
    /// Writes accepted.
    pub accepted: u64,
    /// Operations made in the place of others.
    pub derived: u64,
    /// Operations brought from another device.
    pub imported: u64,
    /// Ended: the server has them.
    pub applied: u64,
    /// Ended: inside an older operation.
    pub folded: u64,
    /// Ended: made and removed before they left.
    pub annihilated: u64,
    /// Ended: the server's side was taken.
    pub yielded: u64,
    /// Ended: another took their place.
    pub superseded: u64,
    /// Ended: given up by a person.
    pub discarded: u64,
    /// Given to another device.
    pub handed_over: u64,
    /// In the outbox: queued, in flight or acked.
    pub pending: u64,
    /// Of these, in flight.
    pub in_flight: u64,
    /// In the outbox: behind a parked one.
    pub blocked: u64,
    /// In the outbox: conflicted or rejected.
    pub parked: u64,
    /// Open conflicts.
    pub conflicts: u64,
    /// Bytes of user data in the outbox.
    pub bytes: u64,
    /// Open conflicts that the application's resolver is asked about (R26).
    #[serde(skip_serializing_if = "is_zero")]
    pub asking: u64,
}

#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// Whether the balance holds (R10).
    #[must_use]
    pub fn balances(&self) -> bool {
        self.accepted + self.derived + self.imported
            == self.applied
                + self.folded
                + self.annihilated
                + self.yielded
                + self.superseded
                + self.discarded
                + self.handed_over
                + self.pending
                + self.blocked
                + self.parked
    }

    /// Whether there may be rows in the outbox: those that were handed over are none that wait.
    #[must_use]
    pub fn has_rows(&self) -> bool {
        self.in_outbox() > 0 || self.handed_over > 0
    }

    /// Operations that did not end.
    #[must_use]
    pub fn in_outbox(&self) -> u64 {
        self.pending + self.blocked + self.parked
    }

    /// Counts an operation in, or out.
    pub fn weigh(&mut self, op: &Operation, sign: i64) {
        let slot = match &op.state {
            OpState::Queued { .. } | OpState::Acked { .. } => &mut self.pending,
            OpState::InFlight { .. } => {
                self.in_flight = self.in_flight.saturating_add_signed(sign);
                &mut self.pending
            }
            OpState::Blocked { .. } => &mut self.blocked,
            OpState::Parked(Parked::Conflicted(_) | Parked::Rejected { .. }) => &mut self.parked,
            OpState::Parked(Parked::HandedOver) => &mut self.handed_over,
        };
        *slot = slot.saturating_add_signed(sign);
        if op.state != OpState::Parked(Parked::HandedOver) {
            let bytes = i64::try_from(op.bytes()).unwrap_or(i64::MAX);
            self.bytes = self.bytes.saturating_add_signed(sign * bytes);
        }
    }
}

/// What is kept of an operation that ended (R9), so that its outcome is known in any tab at any later time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The operation.
    pub op: OpId,
    /// How it ended; names the successor, if there is one.
    pub fate: Fate,
    /// When.
    pub at: Wall,
    /// The record's version afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The id that the server gave the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<String>,
    /// The person's call that ended it: makes a repeat of it recognisable (R22).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<OpId>,
}

impl Settled {
    /// The end of an operation of which nothing more is known yet.
    #[must_use]
    pub fn new(op: OpId, fate: Fate, at: Wall) -> Self {
        Self { op, fate, at, version: None, server_id: None, call: None }
    }
}

/// Where the pull of one scope stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorRow {
    /// The scope.
    pub scope: Scope,
    /// Where to go on; nothing before the first page.
    pub cursor: Option<Cursor>,
    /// Counts full pulls (R25).
    pub generation: u32,
    /// A full pull is under way whose end sweeps what it did not bring.
    #[serde(default)]
    pub rebuilding: bool,
    /// All of the scope was here once.
    #[serde(default)]
    pub complete: bool,
    /// The full pull brought a change that could not be read, of whichever record: nothing that it did not bring is swept (R2).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spares: bool,
    /// Changes that the present, or the last, full pull brought.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub brought: u64,
    /// When a pull of it last came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulled: Option<Wall>,
    /// When the application last used it, to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Wall>,
    /// It was evicted, but for records with anything in the outbox: it is not pulled any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
}

impl CursorRow {
    /// A scope of which nothing is here yet.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            cursor: None,
            generation: 1,
            rebuilding: false,
            complete: false,
            spares: false,
            brought: 0,
            pulled: None,
            used: None,
            leaving: false,
        }
    }
}

/// One line of the trail for support: what happened to an operation. Holds no field values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    /// Its place.
    pub line: u64,
    /// When.
    pub at: Wall,
    /// The operation.
    pub op: OpId,
    /// Its record.
    pub key: EntityKey,
    /// How it ended.
    pub fate: Fate,
}

/// What becomes of the reserve: rows that are written ahead, so that deleting them says something when nothing can be written
/// (R27). The marker says that what never left is not sealed; each spare term is worth one change of the lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserve {
    /// The marker and all spare terms are stored.
    Fill,
    /// The marker is deleted.
    Draw,
    /// The marker is deleted, and this spare term: whoever does it leads.
    DrawTerm(u64),
}

/// What a transaction writes: completely or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changeset {
    /// The database's own state.
    pub meta: Option<Meta>,
    /// Records to store.
    pub records: Map<EntityKey, Record>,
    /// Records to take out: neither base nor operations are left.
    pub drop_records: Vec<EntityKey>,
    /// Operations to store.
    pub ops: Map<Seq, Operation>,
    /// Conflicts to store.
    pub conflicts: Map<ConflictId, Conflict>,
    /// Conflicts to forget.
    pub drop_conflicts: Vec<ConflictId>,
    /// Cursors to store.
    pub cursors: Vec<CursorRow>,
    /// Scopes to forget.
    pub drop_cursors: Vec<Scope>,
    /// Aliases to store: never deleted.
    pub aliases: Vec<(EntityKey, String)>,
    /// Settled rows to store.
    pub settled: Vec<Settled>,
    /// Settled rows to forget.
    pub drop_settled: Vec<OpId>,
    /// Journal lines to store.
    pub journal: Vec<JournalLine>,
    /// Journal lines to forget.
    pub drop_journal: Vec<u64>,
    /// What could not be read.
    pub quarantine: Vec<Unreadable>,
    /// What becomes of the reserve.
    pub reserve: Option<Reserve>,
    /// Operations that ended. Private: only [`Changeset::finish_op`] and [`Changeset::drain_op`] fill it.
    finished: Vec<Seq>,
}

impl Changeset {
    /// Writes nothing. Apart, because so many members made anew wherever a plan refuses weigh more than the call.
    #[inline(never)]
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Writes the database's own state, if it is not what was read.
    pub fn keep_meta(&mut self, was: &Meta, meta: Meta) {
        if meta != *was {
            self.meta = Some(Meta { commits: was.commits + 1, ..meta });
        }
    }

    /// The records of which something is written: what is shown of another record is as it was.
    pub fn touched<'a>(&'a self, s: &'a Snapshot) -> impl Iterator<Item = &'a EntityKey> {
        let finished = self.finished.iter().filter_map(|seq| s.ops.get(seq));
        let ops = self.ops.values().chain(finished).map(|op| &op.key);
        self.records.keys().chain(&self.drop_records).chain(ops)
    }

    /// Takes an operation out of the outbox: the only way to do it (R9). Writes the journal line and the settled row, and
    /// those of the writes folded into it.
    pub fn finish_op(&mut self, op: &Operation, fate: Fate, at: Wall, line: u64) {
        self.ops.remove(&op.seq);
        self.finished.push(op.seq);
        self.journal.push(JournalLine {
            line,
            at,
            op: op.id,
            key: op.key.clone(),
            fate: fate.clone(),
        });
        let folded = match &fate {
            Fate::Annihilated => Fate::Annihilated,
            Fate::Applied
            | Fate::Folded(_)
            | Fate::Yielded(_)
            | Fate::Superseded(_)
            | Fate::Discarded
            | Fate::HandedOver => Fate::Folded(op.id),
        };
        self.settled.extend(op.folded.iter().map(|id| Settled::new(*id, folded.clone(), at)));
        self.settled.push(Settled::new(op.id, fate, at));
    }

    /// Takes an operation that the server has out of the outbox while nothing can be written (R27). Its journal line and its
    /// settled row follow with the first transaction that has space: whoever drains keeps the operation until then.
    pub fn drain_op(&mut self, seq: Seq) {
        self.finished.push(seq);
    }

    /// The operations that ended, by place. A place that was given to a successor is stored, not deleted.
    pub fn finished(&self) -> impl Iterator<Item = Seq> {
        self.finished.iter().copied().filter(|seq| !self.ops.contains_key(seq))
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // By its members: to compare them would bring the comparison of everything that can be stored into the module.
        let Self {
            meta,
            records,
            drop_records,
            ops,
            conflicts,
            drop_conflicts,
            cursors,
            drop_cursors,
            aliases,
            settled,
            drop_settled,
            journal,
            drop_journal,
            quarantine,
            reserve,
            finished,
        } = self;
        let rows = [
            records.len(),
            drop_records.len(),
            ops.len(),
            conflicts.len(),
            drop_conflicts.len(),
            cursors.len(),
            drop_cursors.len(),
            aliases.len(),
            settled.len(),
            drop_settled.len(),
            journal.len(),
            drop_journal.len(),
            quarantine.len(),
            finished.len(),
        ];
        meta.is_none() && reserve.is_none() && rows.iter().all(|count| *count == 0)
    }
}

/// What a plan decides: what to write, and what to tell the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<T> {
    /// What to write. Empty for a refusal.
    pub changes: Changeset,
    /// What to tell.
    pub output: T,
}

impl<T> Decision<T> {
    /// Writes nothing.
    pub fn nothing(output: T) -> Self {
        Self { changes: Changeset::nothing(), output }
    }
}

/// What a platform says of the space of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes in use.
    pub usage: u64,
    /// Bytes that may be used.
    pub quota: u64,
}

/// How much of the space may be in use, in percent, before pulls stop (P27).
const PULL_LIMIT: u64 = 70;

impl Space {
    /// Whether there is room for what can be pulled again. The rest is kept for what the user does, and for what the server says of
    /// that.
    ///
    /// ```
    /// use holdfast::model::Space;
    /// assert!(Space { usage: 70, quota: 100 }.has_room_to_pull());
    /// assert!(!Space { usage: 71, quota: 100 }.has_room_to_pull());
    /// ```
    #[must_use]
    pub fn has_room_to_pull(self) -> bool {
        self.usage.saturating_mul(100) <= self.quota.saturating_mul(PULL_LIMIT)
    }
}

/// A named transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verb {
    /// Appears in logs, errors and traces.
    pub name: &'static str,
    /// When it counts as stored.
    pub durability: Durability,
}

/// When a transaction counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When it survives a power cut.
    Strict,
    /// When the operating system has it: for what can be had again.
    Relaxed,
}

/// The arguments that every plan gets: time and chance are no plan's own business.
#[derive(Debug, Clone, Copy)]
pub struct Ctx {
    /// The time.
    pub now: Wall,
    /// The caller's term, where the verb is the leader's.
    pub term: Option<Term>,
    /// Where new ids come from.
    pub ids: IdSeed,
    /// A random number, for waiting times.
    pub jitter: u64,
}
