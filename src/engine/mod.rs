//! The verbs: short async functions that call a plan inside a transaction. For every verb there is a pair, `plan/x.rs` decides and
//! `engine/x.rs` does.

mod asks;
mod drain;
mod inspect;
mod lead;
mod lost;
pub mod metrics;
mod pull;
mod push;
mod resolve;
mod run;
mod scopes;
mod status;
mod tables;
mod tidy;
mod transfer;
mod wake;
mod watch;
mod write;

use crate::model::{Map, Set};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

pub use inspect::{Entity, EntityState, OutboxEntry, OutboxState, Page, Verdict};
pub use metrics::Metrics;
pub use run::{CycleReport, Drained, halt_name, halted_as};
pub use scopes::ScopeState;
pub use status::{Connection, Phase, Status, StatusKind};
pub use watch::{Commit, Event, Progress, Spell};
pub use write::WriteRequest;

use crate::model::{
    Changeset, Code, Conflict, ConflictId, Ctx, Decision, EntityKey, Halt, IdSeed, Meta, Millis,
    Mono, Need, Owner, Path, Reserve, Root, Rules, Scope, Snapshot, StoreError, SyncError, Term,
    Verb,
};
use crate::plan::Deposed;
use crate::plan::drain::Drain;
use crate::plan::push::Room;
use crate::planted::{self, Bug};
use crate::port::{Clock, Host, Remote, Rng, Store};
use crate::schedule::{Scheduler, Signal, Timing};
use tables::Tables;
use wake::Bell;
use watch::Watch;

/// What an application decides at `open`.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Collections, limits, waiting times.
    pub rules: Rules,
    /// Of the loop.
    pub timing: Timing,
    /// The scopes that the application begins with; it says what shall be here. None: everything is.
    pub scopes: Option<Vec<Scope>>,
    /// How long a scope stays that nobody uses; for ever if none.
    pub evict_after: Option<Millis>,
    /// Whose data it is.
    pub owner: Owner,
    /// The application's schema number.
    pub schema: u32,
    /// The members that questions are asked about most, by collection.
    pub indexes: Map<String, Vec<Path>>,
}

/// One manager: everything that happens in one tab to one database.
pub struct Engine<H: Host> {
    host: H,
    config: Config,
    scheduler: RefCell<Scheduler>,
    watch: Watch,
    /// The database's own state after the last commit that this tab heard of.
    meta: RefCell<Meta>,
    phase: RefCell<Phase>,
    /// Rung by every signal: the loop looks again.
    signals: Bell,
    /// Rung by every commit of any tab.
    commits: Bell,
    /// Rung when a cycle of this tab ended.
    cycles: Bell,
    closed: Cell<bool>,
    /// What the server told us of the size of requests, what the link did, and how far a refused batch was cut.
    room: Cell<Room>,
    pace: Cell<Room>,
    cut: Cell<usize>,
    /// When the use of a scope was last noted.
    noted: RefCell<Map<Scope, Mono>>,
    /// Open conflicts as this tab was shown them.
    looked_at: RefCell<Map<ConflictId, Conflict>>,
    /// Rung when there is something to ask the resolver.
    questions: Bell,
    /// What it is being asked.
    question: RefCell<Option<asks::Question>>,
    metrics: RefCell<Metrics>,
    /// Spells that were begun.
    spells: Cell<u64>,
    /// When history was last cleaned up.
    tidied: Cell<Option<Mono>>,
    /// Collections that are asked about.
    tables: RefCell<Tables>,
    /// Commits of this tab that nobody was told of: their numbers, and the records.
    untold: RefCell<(Vec<u64>, Set<EntityKey>)>,
    /// What this tab knows of an outbox that drains while nothing can be written (R27).
    drain: RefCell<Option<Drain>>,
}

impl<H: Host> Engine<H> {
    /// Reads where the database stands. Nothing is sent before [`Engine::run`].
    pub async fn open(host: H, mut config: Config) -> Result<Rc<Self>, SyncError> {
        config.rules.wire = host.remote().capabilities();
        let snapshot = {
            use crate::port::RawStore;
            host.store().read(Need::only(vec![Root::Balance])).await?
        };
        let limits = config.rules.limits;
        let room = Room { operations: limits.batch_operations, bytes: limits.batch_bytes };
        let phase = Phase { draining: snapshot.is_draining(), ..Phase::default() };
        let engine = Rc::new(Self {
            scheduler: RefCell::new(Scheduler::new(config.timing)),
            watch: Watch::default(),
            meta: RefCell::new(snapshot.meta),
            phase: RefCell::new(phase),
            signals: Bell::default(),
            commits: Bell::default(),
            cycles: Bell::default(),
            closed: Cell::new(false),
            room: Cell::new(room),
            pace: Cell::new(room),
            noted: RefCell::default(),
            cut: Cell::new(usize::MAX),
            metrics: RefCell::new(Metrics::new(host.clock().wall())),
            spells: Cell::new(0),
            tidied: Cell::new(None),
            questions: Bell::default(),
            question: RefCell::default(),
            looked_at: RefCell::new(Map::new()),
            tables: RefCell::default(),
            untold: RefCell::default(),
            drain: RefCell::default(),
            config,
            host,
        });
        engine.add_declared().await?;
        let oldest = engine.eldest().await;
        engine.phase.borrow_mut().oldest = oldest;
        Ok(engine)
    }

    /// The world.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// Tells the loop of something that happened.
    pub fn signal(&self, signal: Signal) {
        let (now, jitter) = (self.host.clock().mono(), self.host.rng().next());
        self.scheduler.borrow_mut().handle_signal(signal, now, jitter);
        match signal {
            // What the server said before is not known to be true any more: the next cycle asks first (R24).
            Signal::Online | Signal::Offline => {
                let mut phase = self.phase.borrow_mut();
                phase.offline = signal == Signal::Offline;
                phase.connected = None;
            }
            Signal::Visible
            | Signal::Hidden
            | Signal::LocalWrite
            | Signal::Poke
            | Signal::Pause
            | Signal::Resume
            | Signal::Authenticated
            | Signal::SyncNow
            | Signal::Leading(_)
            | Signal::Deposed => {}
        }
        self.show_status();
        self.signals.ring();
    }

    /// Ends the loop and refuses every later call. What is stored stays.
    pub fn close(&self) {
        use crate::port::Leadership;
        self.closed.set(true);
        self.host.leadership().release();
        self.signals.ring();
        self.commits.ring();
        self.cycles.ring();
    }

    fn check_open(&self) -> Result<(), SyncError> {
        if self.closed.get() {
            return Err(SyncError::new(Code::Closed, "the manager was closed"));
        }
        Ok(())
    }

    fn ctx(&self, term: Option<Term>) -> Ctx {
        let (a, b) = (self.host.rng().next().to_be_bytes(), self.host.rng().next().to_be_bytes());
        let [a0, a1, a2, a3, a4, a5, a6, a7] = a;
        let [b0, b1, ..] = b;
        let random = [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1];
        let now = self.host.clock().wall();
        Ctx { now, term, ids: IdSeed { at: now, random }, jitter: self.host.rng().next() }
    }

    /// One transaction with an output. While the outbox drains there is no space for it, whether there would be some or not: what
    /// counts as sealed may not change (R27).
    fn commit<T>(
        &self,
        verb: &Verb,
        need: Need,
        decide: impl FnMut(&Snapshot) -> Decision<T>,
    ) -> impl Future<Output = Result<T, SyncError>> {
        self.commit_with(verb, need, false, decide)
    }

    /// The same for the verbs of an outbox that drains.
    fn commit_draining<T>(
        &self,
        verb: &Verb,
        need: Need,
        decide: impl FnMut(&Snapshot) -> Decision<T>,
    ) -> impl Future<Output = Result<T, SyncError>> {
        self.commit_with(verb, need, true, decide)
    }

    async fn commit_with<T>(
        &self,
        verb: &Verb,
        need: Need,
        drains: bool,
        mut decide: impl FnMut(&Snapshot) -> Decision<T>,
    ) -> Result<T, SyncError> {
        let mut output = None;
        let mut decide = |snapshot: &Snapshot| {
            let decision = decide(snapshot);
            output = Some(decision.output);
            decision.changes
        };
        self.transact(verb, need, drains, &mut decide).await?;
        output.ok_or_else(|| StoreError::Lost.into())
    }

    /// One transaction; remembers the database's own state and the store's troubles. Boxed, and without the type of the output, so
    /// that it is in the module once and not once for each verb.
    fn transact<'a>(
        &'a self,
        verb: &'a Verb,
        need: Need,
        drains: bool,
        decide: &'a mut dyn FnMut(&Snapshot) -> Changeset,
    ) -> Pin<Box<dyn Future<Output = Result<(), SyncError>> + 'a>> {
        Box::pin(self.transaction_of(verb, need, drains, decide))
    }

    async fn transaction_of(
        &self,
        verb: &Verb,
        need: Need,
        drains: bool,
        decide: &mut dyn FnMut(&Snapshot) -> Changeset,
    ) -> Result<(), SyncError> {
        let began = self.host.clock().mono();
        // What a user waits for is worth a place in the profile.
        let spell = (verb.name == "write").then(|| self.begin("commit"));
        let (mut stored, mut draining, mut full) = (None, false, false);
        let result = self
            .host
            .store()
            .commit(verb, need, |snapshot| {
                let mut changes = decide(snapshot);
                let folds = planted::has(Bug::FoldsWhileDraining) && verb.name == "write";
                full = !drains && snapshot.is_draining() && !changes.is_empty() && !folds;
                if full {
                    changes = Changeset::nothing();
                }
                draining = match changes.reserve {
                    Some(Reserve::Fill) => false,
                    Some(Reserve::Draw | Reserve::DrawTerm(_)) => true,
                    None => snapshot.is_draining(),
                };
                // Every commit is counted, so that nobody misses one; but for those that cannot write (R27).
                if changes.meta.is_none() && !changes.is_empty() && !draining {
                    let commits = snapshot.meta.commits + 1;
                    changes.meta = Some(Meta { commits, ..snapshot.meta.clone() });
                }
                let touched: Set<EntityKey> = changes.touched(snapshot).cloned().collect();
                let meta = changes.meta.as_ref().unwrap_or(&snapshot.meta).clone();
                stored = Some((meta, touched, !changes.is_empty()));
                Decision { changes, output: () }
            })
            .await;
        self.heard_of_the_store(result.as_ref().err());
        if let Some(spell) = spell {
            self.end(spell);
            let took = began.until(self.host.clock().mono());
            self.metrics.borrow_mut().write(took, result.is_ok());
        }
        result?;
        if let Some((meta, touched, wrote)) = stored {
            self.heard_of_the_reserve(draining);
            if draining {
                // The balance in the row is that of the time before.
                return if full { Err(StoreError::Full.into()) } else { Ok(()) };
            }
            if wrote {
                self.tables.borrow_mut().note(&[meta.commits], touched.iter());
                let (numbers, keys) = &mut *self.untold.borrow_mut();
                numbers.push(meta.commits);
                keys.extend(touched.iter().cloned());
            }
            self.remember(meta);
        }
        Ok(())
    }

    async fn snapshot(&self, need: Need) -> Result<Snapshot, SyncError> {
        use crate::port::RawStore;
        let result = self.host.store().read(need).await;
        self.heard_of_the_store(result.as_ref().err());
        let snapshot = result?;
        self.heard_of_the_reserve(snapshot.is_draining());
        Ok(snapshot)
    }

    /// Looks where the database stands.
    async fn look_again(&self) -> Result<(), SyncError> {
        let meta = self.snapshot(Need::only(vec![Root::Balance])).await?.meta;
        self.remember(meta);
        Ok(())
    }

    /// Deletions are not counted: where the outbox drains, what was asked about is read again.
    fn drained_from_tables<'a>(&self, changed: impl IntoIterator<Item = &'a EntityKey>) {
        if self.phase.borrow().draining {
            let mut tables = self.tables.borrow_mut();
            changed.into_iter().for_each(|key| tables.forget(&key.collection));
        }
    }

    fn heard_of_the_reserve(&self, draining: bool) {
        self.phase.borrow_mut().draining = draining;
    }

    /// Two readings may be heard of in another order than they were made.
    fn remember(&self, meta: Meta) {
        let (newer, asking) = {
            let mut known = self.meta.borrow_mut();
            let newer = meta.commits > known.commits;
            if meta.commits >= known.commits {
                *known = meta;
            }
            (newer, known.counts.asking > 0)
        };
        self.note_the_eldest();
        if newer {
            // Somebody wrote since: there is space.
            let mut phase = self.phase.borrow_mut();
            phase.storage = phase.storage.filter(|it| *it != StatusKind::StorageFull);
        }
        if newer && asking {
            self.questions.ring();
        }
    }

    /// What is written into an empty outbox is the eldest in it.
    fn note_the_eldest(&self) {
        let waits = self.meta.borrow().counts.in_outbox() > 0;
        let mut phase = self.phase.borrow_mut();
        phase.oldest = waits.then(|| phase.oldest.unwrap_or_else(|| self.host.clock().wall()));
    }

    fn heard_of_the_store(&self, error: Option<&StoreError>) {
        let trouble = match error {
            Some(StoreError::Full) => Some(StatusKind::StorageFull),
            Some(StoreError::Lost) => Some(StatusKind::StorageLost),
            Some(StoreError::Superseded) => Some(StatusKind::Superseded),
            Some(
                StoreError::Timeout
                | StoreError::Closed
                | StoreError::TooNew
                | StoreError::Blocked
                | StoreError::Missing
                | StoreError::Failed(_),
            ) => return,
            // That something could be read, or deleted, tells nothing of space.
            None if self.phase.borrow().storage == Some(StatusKind::StorageFull) => return,
            None => None,
        };
        self.phase.borrow_mut().storage = trouble;
    }

    fn heard_of_the_server(&self, halt: Option<&Halt>) {
        let mut phase = self.phase.borrow_mut();
        let answered = halt.is_none_or(Halt::is_answer);
        phase.connected = Some(answered);
        // An answer is worth more than the browser's hint (P37).
        phase.offline &= !answered;
        phase.halt = halt.cloned();
    }

    /// After a commit: tells this tab's listeners and, through them, the other tabs (R28).
    fn publish(&self, commit: impl Into<Commit>) {
        let mut commit = commit.into();
        let (numbers, touched) = self.untold.take();
        commit.numbers = numbers;
        let told = |key: &EntityKey| commit.changed.contains(key);
        commit.touched = touched.iter().filter(|key| !told(key)).cloned().collect();
        self.watch.commit(commit);
        self.commits.ring();
        self.show_status();
    }

    /// What was counted since this tab was opened.
    pub fn metrics(&self) -> Metrics {
        let held = self.tables.borrow().size();
        let mut metrics = self.metrics.borrow().until(self.host.clock().mono());
        metrics.held = held;
        metrics
    }

    fn begin(&self, name: &'static str) -> Spell {
        let spell = Spell { name, number: self.spells.get() };
        self.spells.set(spell.number + 1);
        self.watch.tell(&Event::Began(spell));
        spell
    }

    fn end(&self, spell: Spell) {
        self.watch.tell(&Event::Ended(spell));
    }

    fn show_status(&self) {
        let status = self.status();
        {
            let connection = &status.connection;
            // Before the first answer nobody knows.
            let offline = connection.kind == "disconnected" && connection.reason != "not-asked";
            let (clock, counts) = (self.host.clock(), self.meta.borrow().counts);
            self.metrics.borrow_mut().look(offline, &counts, clock.mono(), clock.wall());
        }
        self.watch.status(status);
    }
}

/// What ends a verb of the leader.
enum Stop {
    /// A later leader took over.
    Deposed,
    /// The store failed.
    Failed(SyncError),
}

impl From<Deposed> for Stop {
    fn from(Deposed: Deposed) -> Self {
        Self::Deposed
    }
}

impl From<SyncError> for Stop {
    fn from(error: SyncError) -> Self {
        Self::Failed(error)
    }
}
