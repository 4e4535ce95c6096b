//! Looking: records, the outbox, conflicts, outcomes, the balance. Nothing here writes.

use serde::Serialize;

use super::tables::{Table, elements_of};
use super::watch::{Commit, Event};
use super::{Engine, watch};
use crate::model::{
    Conflict, ConflictId, Counts, Document, EntityKey, Fate, Millis, Need, OpId, OpState,
    Operation, Outcome, Parked, Path, Presence, Record, Root, Scope, Snapshot, SyncError, Term,
};
use crate::port::{Clock, Host, RawStore};
use crate::query::{Aggregate, Query, Totals, place_text, select};
use crate::schedule::Signal;

/// How often a question waits for a message that may be on its way, and how long each time.
const PATIENCE: u32 = 3;
const MOMENT: Millis = Millis(2);

/// A record as the application sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// Its own id.
    pub id: String,
    /// Its content.
    pub document: Document,
    /// Where it stands.
    pub state: EntityState,
    /// The server's version.
    pub version: Option<String>,
    /// The server's id, where that is another.
    pub server_id: Option<String>,
    /// Milliseconds since 1970.
    pub modified_at: u64,
    /// The scopes that brought it, where the application chose them.
    pub scopes: Vec<Scope>,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntityState {
    /// The server has all of it.
    Synced,
    /// Something waits.
    Pending,
    /// Something is with the server.
    Syncing,
    /// The server refused something.
    Rejected,
    /// Both sides changed it.
    Conflict,
}

impl EntityState {
    /// As the application sees it, and asks for it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Pending => "pending",
            Self::Syncing => "syncing",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
        }
    }
}

/// Records that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// In the order asked for.
    pub items: Vec<Entity>,
    /// Whether all that the server has is here.
    pub complete: bool,
    /// Where the next page begins; nothing on the last one.
    pub next: Option<String>,
}

/// An operation as the application sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The operation.
    pub op: Operation,
    /// Where it stands.
    pub state: OutboxState,
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutboxState {
    /// Waits to leave.
    Pending,
    /// With the server.
    InFlight,
    /// Waits behind a parked one.
    Blocked,
    /// Both sides changed the record.
    Conflicted,
    /// The server refused it.
    Rejected,
    /// Another device has it.
    HandedOver,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server has it.
    Applied {
        /// The record's version afterwards.
        version: Option<String>,
        /// The id that the server gave.
        server_id: Option<String>,
    },
    /// It waits for a person.
    Conflict(ConflictId),
    /// The server refused it.
    Rejected {
        /// The server's code.
        code: String,
        /// The server's words.
        message: String,
    },
    /// The server's side was taken.
    Yielded(ConflictId),
    /// Made and removed before it left.
    Annihilated,
    /// A person gave it up.
    Discarded,
    /// Another device has it.
    HandedOver,
    /// Nothing is known of it any more.
    Unknown,
}

impl<H: Host> Engine<H> {
    /// A record, by its own id or the server's; nothing where there is none or it was removed.
    pub async fn get(&self, key: &EntityKey) -> Result<Option<Entity>, SyncError> {
        self.check_open()?;
        let s = self.snapshot(Need::only(vec![Root::Record(key.clone())])).await?;
        let own = s.own_key(key);
        let record = s.records.get(&own);
        self.use_of(record.into_iter().flat_map(Record::scopes)).await;
        Ok(record.and_then(|record| entity(record, &s)))
    }

    /// The records of a collection that a question is about, in its order.
    pub async fn list(&self, collection: &str, query: Query) -> Result<Page, SyncError> {
        self.use_of(query.scope.iter()).await;
        let complete = self.look_up(collection, query.scope.as_ref()).await?;
        let columns = query.columns.clone();
        let page = self.with_table(collection, &columns, |table| {
            let query = query.renumbered(&table.places(&columns));
            let rows: Vec<_> = table.rows_in(query.scope.as_ref()).collect();
            let found =
                select(&query, rows.iter().map(|row| (&*row.entity.id, row.values.as_slice())));
            let taken = found.rows.iter().filter_map(|at| rows.get(*at));
            let items: Vec<Entity> = taken.map(|row| row.entity.clone()).collect();
            let last = items.last().map_or("", |last| &*last.id);
            let next = found.next.map(|values| place_text(&values, last));
            Page { items, complete, next }
        });
        Ok(page.unwrap_or_default())
    }

    /// What the records of a collection add up to, and whether all that the server has is here.
    pub async fn aggregate(
        &self,
        collection: &str,
        asked: Aggregate,
    ) -> Result<(Vec<Totals>, bool), SyncError> {
        self.use_of(asked.scope.iter()).await;
        let complete = self.look_up(collection, asked.scope.as_ref()).await?;
        let totals = match asked.each.clone() {
            Some(each) => self.with_table(collection, &[], |table| {
                let entities = table.rows_in(asked.scope.as_ref()).map(|row| &row.entity);
                let rows: Vec<_> =
                    entities.flat_map(|it| elements_of(it, &each, &asked.columns)).collect();
                asked.totals(rows.iter().map(Vec::as_slice))
            }),
            None => {
                let columns = asked.columns.clone();
                self.with_table(collection, &columns, |table| {
                    let asked = asked.renumbered(&table.places(&columns));
                    let rows = table.rows_in(asked.scope.as_ref());
                    asked.totals(rows.map(|row| row.values.as_slice()))
                })
            }
        };
        Ok((totals.unwrap_or_default(), complete))
    }

    /// Brings the table of a collection to what is stored by now; whether all that the server has is here.
    async fn look_up(&self, collection: &str, scope: Option<&Scope>) -> Result<bool, SyncError> {
        self.check_open()?;
        for attempt in 0.. {
            if self.tables.borrow().dirty(collection).is_none() {
                self.read_table(collection).await?;
            }
            let keys = self.tables.borrow().dirty(collection).unwrap_or_default();
            let mut roots = vec![Root::Cursors];
            roots.extend(keys.iter().cloned().map(Root::Record));
            let s = self.snapshot(Need::only(roots)).await?;
            let complete = self.is_all_here(&s.cursors, scope);
            let read = keys.into_iter().map(|key| {
                let entity = s.records.get(&key).and_then(|record| entity(record, &s));
                (key, entity)
            });
            let read = read.collect();
            if self.tables.borrow_mut().refresh(collection, s.meta.commits, read).is_some() {
                return Ok(complete);
            }
            match attempt {
                // Another tab's message is on its way behind its commit, a moment at the most.
                0..PATIENCE => {
                    let soon = self.host.clock().mono().plus(MOMENT);
                    self.host.clock().sleep_until(soon).await;
                }
                // Or whoever committed sends none, and does so all the time: what was just read is good enough to answer.
                PATIENCE => self.tables.borrow_mut().forget(collection),
                _ => {
                    self.read_table(collection).await?;
                    return Ok(complete);
                }
            }
        }
        Ok(false)
    }

    async fn read_table(&self, collection: &str) -> Result<(), SyncError> {
        let result = self.host.store().list(collection).await;
        self.heard_of_the_store(result.as_ref().err());
        let s = result?;
        let entities = s.records.values().filter_map(|record| entity(record, &s));
        let declared = self.config.indexes.get(collection).map_or(&[][..], Vec::as_slice);
        let table = Table::new(s.meta.commits, entities, declared);
        self.tables.borrow_mut().load(collection, table);
        Ok(())
    }

    fn with_table<T>(
        &self,
        collection: &str,
        columns: &[Path],
        answer: impl FnOnce(&Table) -> T,
    ) -> Option<T> {
        let mut tables = self.tables.borrow_mut();
        let found = tables.with_columns(collection, columns).map(answer);
        tables.shed(collection);
        found
    }

    /// What is in the outbox, in order.
    pub async fn outbox(&self) -> Result<Vec<OutboxEntry>, SyncError> {
        self.check_open()?;
        let s = self.snapshot(Need::only(vec![Root::Outbox])).await?;
        Ok(s.ops.into_values().map(|op| OutboxEntry { state: outbox_state(&op), op }).collect())
    }

    /// All conflicts that are kept, oldest first.
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, SyncError> {
        self.check_open()?;
        let s = self.snapshot(Need::only(vec![Root::Conflicts])).await?;
        let conflicts: Vec<Conflict> = s.conflicts.into_values().collect();
        self.look_at(&conflicts);
        Ok(conflicts)
    }

    /// One operation of the outbox.
    pub async fn operation(&self, id: OpId) -> Result<Option<OutboxEntry>, SyncError> {
        let s = self.snapshot(Need::only(vec![Root::Op(id)])).await?;
        Ok(s.op(id).map(|op| OutboxEntry { state: outbox_state(op), op: op.clone() }))
    }

    /// One conflict.
    pub async fn conflict(&self, id: ConflictId) -> Result<Option<Conflict>, SyncError> {
        let mut s = self.snapshot(Need::only(vec![Root::Conflict(id)])).await?;
        let conflict = s.conflicts.remove(&id);
        self.look_at(conflict.as_slice());
        Ok(conflict)
    }

    /// Remembers which sides were shown here, so that nobody decides on what they did not see.
    fn look_at(&self, conflicts: &[Conflict]) {
        let mut looked_at = self.looked_at.borrow_mut();
        for conflict in conflicts {
            match &conflict.resolved {
                None => looked_at.insert(conflict.id, conflict.clone()),
                Some(_) => looked_at.remove(&conflict.id),
            };
        }
    }

    /// Both sides of the balance (R10).
    pub async fn audit(&self) -> Result<Counts, SyncError> {
        self.check_open()?;
        Ok(self.snapshot(Need::only(vec![Root::Balance])).await?.meta.counts)
    }

    /// How an operation ended; waits while it is on its way, in any tab, after any restart (R9).
    pub async fn outcome(&self, id: OpId) -> Result<Verdict, SyncError> {
        let mut id = id;
        loop {
            self.check_open()?;
            let rung = self.commits.rung();
            if let Some(verdict) = self.drained(id) {
                return Ok(verdict);
            }
            let s = self.snapshot(Need::only(vec![Root::Op(id)])).await?;
            match verdict(&s, id) {
                // How it ended is known to the leader alone, until there is space to write it down (R27).
                Known::Ended(Verdict::Unknown) if s.is_draining() => rung.await,
                Known::Ended(Verdict::Conflict(conflict)) => {
                    // What the resolver is still asked about may yet be settled without a person.
                    let asked = self.snapshot(Need::only(vec![Root::Conflict(conflict)])).await?;
                    if !asked.conflicts.values().any(Conflict::asks_resolver) {
                        return Ok(Verdict::Conflict(conflict));
                    }
                    rung.await;
                }
                Known::Ended(verdict) => return Ok(verdict),
                Known::Became(next) => id = next,
                Known::OnItsWay => rung.await,
            }
        }
    }

    /// What this tab knows of an operation that drained (R27).
    fn drained(&self, id: OpId) -> Option<Verdict> {
        let drain = self.drain.borrow();
        let version = match drain.as_ref()?.applied(id)? {
            Outcome::Applied { version, .. } => version.as_ref().map(crate::model::Version::text),
            Outcome::Conflict { .. } | Outcome::Rejected { .. } | Outcome::Retry { .. } => None,
        };
        Some(Verdict::Applied { version, server_id: None })
    }

    /// Tells this tab of events. Returns what [`Engine::unsubscribe`] takes.
    pub fn subscribe(&self, listener: impl Fn(&Event) + 'static) -> u64 {
        self.watch.subscribe(std::rc::Rc::new(listener))
    }

    /// Tells it no more.
    pub fn unsubscribe(&self, id: u64) {
        self.watch.unsubscribe(id);
    }

    /// Another tab's commit: what waits here looks again, and the leader has something to send.
    pub async fn heard_commit(&self, commit: watch::Commit) -> Result<(), SyncError> {
        let touched = commit.changed.iter().chain(&commit.touched);
        self.tables.borrow_mut().note(&commit.numbers, touched);
        self.look_again().await?;
        self.drained_from_tables(&commit.changed);
        let Commit { wrote, .. } = commit;
        self.watch.tell(&Event::Remote(commit));
        self.commits.ring();
        self.show_status();
        if wrote {
            self.signal(Signal::Poke);
        }
        Ok(())
    }
}

fn entity(record: &Record, s: &Snapshot) -> Option<Entity> {
    let state = |op: &Operation| entity_state(op, s.meta.term);
    let Some(Presence::Live(document)) = &record.view else { return None };
    Some(Entity {
        id: record.key.id.clone(),
        document: document.clone(),
        state: s.queue(&record.key).map(state).max().unwrap_or(EntityState::Synced),
        version: record.version().map(crate::model::Version::text),
        server_id: record.server_id.clone(),
        modified_at: record.modified,
        scopes: record.scopes().filter(|scope| **scope != Scope::all()).cloned().collect(),
    })
}

fn entity_state(op: &Operation, leads: Term) -> EntityState {
    match &op.state {
        OpState::Queued { .. } | OpState::Blocked { .. } | OpState::Acked { .. } => {
            EntityState::Pending
        }
        OpState::InFlight { term } if *term == leads => EntityState::Syncing,
        // Sent by a tab that is gone: the next claim takes it back.
        OpState::InFlight { .. } => EntityState::Pending,
        OpState::Parked(Parked::Conflicted(_)) => EntityState::Conflict,
        OpState::Parked(Parked::Rejected { .. }) => EntityState::Rejected,
        // Another device has it: this record is as the server told it.
        OpState::Parked(Parked::HandedOver) => EntityState::Synced,
    }
}

fn outbox_state(op: &Operation) -> OutboxState {
    match &op.state {
        OpState::Queued { .. } | OpState::Acked { .. } => OutboxState::Pending,
        OpState::InFlight { .. } => OutboxState::InFlight,
        OpState::Blocked { .. } => OutboxState::Blocked,
        OpState::Parked(Parked::Conflicted(_)) => OutboxState::Conflicted,
        OpState::Parked(Parked::Rejected { .. }) => OutboxState::Rejected,
        OpState::Parked(Parked::HandedOver) => OutboxState::HandedOver,
    }
}

enum Known {
    Ended(Verdict),
    Became(OpId),
    OnItsWay,
}

fn verdict(s: &Snapshot, id: OpId) -> Known {
    if let Some(op) = s.op(id) {
        return match &op.state {
            OpState::Parked(Parked::Conflicted(conflict)) => {
                Known::Ended(Verdict::Conflict(*conflict))
            }
            OpState::Parked(Parked::Rejected { code, message, .. }) => {
                let (code, message) = (code.clone(), message.clone());
                Known::Ended(Verdict::Rejected { code, message })
            }
            OpState::Parked(Parked::HandedOver) => Known::Ended(Verdict::HandedOver),
            OpState::Queued { .. }
            | OpState::InFlight { .. }
            | OpState::Acked { .. }
            | OpState::Blocked { .. } => Known::OnItsWay,
        };
    }
    let Some(settled) = s.settled.get(&id) else { return Known::Ended(Verdict::Unknown) };
    Known::Ended(match &settled.fate {
        Fate::Folded(next) | Fate::Superseded(next) => return Known::Became(*next),
        Fate::Applied => Verdict::Applied {
            version: settled.version.as_ref().map(crate::model::Version::text),
            server_id: settled.server_id.clone(),
        },
        Fate::Annihilated => Verdict::Annihilated,
        Fate::Yielded(conflict) => Verdict::Yielded(*conflict),
        Fate::Discarded => Verdict::Discarded,
        Fate::HandedOver => Verdict::HandedOver,
    })
}
