//! The smallest world in which an engine runs: a clock that is set forward when everybody waits, an honest server with faults on
//! order, a disk in memory whose commits may be cut off from their answer.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use holdfast::engine::{Config, Engine, Event, WriteRequest};
use holdfast::memory::{Disk, MemoryStore};
use holdfast::model::{
    Answer, Batch, Capabilities, Changeset, Conflict, Cursor, Departure, EntityKey, Halt, Intent,
    Mono, Need, OpId, Outcome, Presence, PullPage, PushReply, RemoteChange, Scope, Snapshot, Space,
    StoreError, Strategy, Theirs, Verb, Version, Wall,
};
use holdfast::plan::write::Action;
use holdfast::port::{Asking, Clock, Host, Leadership, RawStore, Remote, Resolver, Rng};

use crate::till::{doc, rules};

const START: u64 = 1_763_650_000_000;

/// What goes wrong with one request.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Nothing, this time.
    Pass,
    /// It never comes to the server.
    Halt(Halt),
    /// The server did it; the answer is lost.
    AnswerLost,
}

#[derive(Default)]
pub(crate) struct Server {
    records: BTreeMap<EntityKey, (u64, Presence, Option<OpId>)>,
    changed: Vec<EntityKey>,
    /// The place of every record's last change.
    places: BTreeMap<EntityKey, u64>,
    verdicts: BTreeMap<OpId, Outcome>,
    pub(crate) effects: BTreeMap<OpId, u32>,
    pub(crate) batches: Vec<Vec<OpId>>,
    pub(crate) pulls: u32,
    pub(crate) faults: VecDeque<Fault>,
    /// Requests with more operations are too large.
    pub(crate) room: Option<usize>,
    /// A request with one of these is refused as a whole.
    pub(crate) poison: BTreeSet<String>,
    /// An operation on one of these is refused.
    pub(crate) refuses: BTreeSet<String>,
    /// Cursors of earlier histories are too old.
    pub(crate) history: u32,
    /// Its versions can only be told equal or different.
    pub(crate) opaque: bool,
    /// Transactions are taken all or none.
    pub(crate) groups: bool,
    /// What it stores is not quite what was sent: it says so in its answers.
    pub(crate) corrects: bool,
    /// The scopes of records, by id.
    pub(crate) scopes: BTreeMap<String, Vec<&'static str>>,
    /// Scopes that this user may not see.
    pub(crate) forbids: BTreeSet<&'static str>,
    /// Changes in a page of a scope.
    pub(crate) page: Option<usize>,
    /// The scopes that were asked for, in order.
    pub(crate) asked: Vec<Scope>,
    /// After so many effects it answers nobody any more.
    pub(crate) closes_after: Option<usize>,
}

impl Server {
    fn is_closed(&self) -> bool {
        self.closes_after.is_some_and(|most| self.effects.len() >= most)
    }

    pub(crate) fn push(&mut self, batch: &Batch) -> PushReply {
        self.batches.push(batch.operations.iter().map(|it| it.op).collect());
        if self.room.is_some_and(|room| batch.operations.len() > room) {
            return PushReply::halted(Halt::TooLarge);
        }
        if batch.operations.iter().any(|it| self.poison.contains(&it.id)) {
            return PushReply::halted(Halt::BatchRefused);
        }
        let pieces = batch.operations.chunk_by(|a, b| a.group.is_some() && a.group == b.group);
        let outcomes = pieces.flat_map(|piece| self.piece(piece)).collect();
        PushReply { outcomes, ..PushReply::default() }
    }

    /// All or none: the first that is not applied has its verdict, the others are to come again (docs/protocol.md, 2.4).
    fn piece(&mut self, piece: &[Departure]) -> Vec<(OpId, Outcome)> {
        let [_, _, ..] = piece else {
            return piece.iter().map(|it| (it.op, self.verdict(it))).collect();
        };
        for it in piece {
            let said = it.group.map(|(_, size)| size as usize);
            assert_eq!(said, Some(piece.len()), "R14: a transaction that is not whole");
        }
        let (records, changed) = (self.records.clone(), self.changed.clone());
        let (verdicts, effects) = (self.verdicts.clone(), self.effects.clone());
        let mut outcomes = Vec::new();
        for it in piece {
            let verdict = self.verdict(it);
            if !matches!(verdict, Outcome::Applied { .. }) {
                (self.records, self.changed) = (records, changed);
                (self.verdicts, self.effects) = (verdicts, effects);
                self.verdicts.insert(it.op, verdict.clone());
                let other = |mate: &Departure| match self.verdicts.get(&mate.op) {
                    Some(known) => known.clone(),
                    None => crate::till::RETRY,
                };
                return piece.iter().map(|mate| (mate.op, other(mate))).collect();
            }
            outcomes.push((it.op, verdict));
        }
        outcomes
    }

    fn said(&self, version: u64) -> Version {
        if self.opaque { Version::Opaque(format!("v{version}")) } else { Version::Number(version) }
    }

    /// As this server says it.
    fn words(&self, outcome: Outcome) -> Outcome {
        let in_words = |version: Option<Version>| match version {
            Some(Version::Number(number)) => Some(self.said(number)),
            other => other,
        };
        match outcome {
            Outcome::Applied { version, presence, stamp, assigned_id } => {
                Outcome::Applied { version: in_words(version), presence, stamp, assigned_id }
            }
            Outcome::Conflict { theirs: Theirs::Deleted { version, stamp }, other, token } => {
                let theirs = Theirs::Deleted { version: in_words(version), stamp };
                Outcome::Conflict { theirs, other, token }
            }
            other @ (Outcome::Conflict { .. }
            | Outcome::Rejected { .. }
            | Outcome::Retry { .. }) => other,
        }
    }

    fn verdict(&mut self, it: &Departure) -> Outcome {
        if let Some(known) = self.verdicts.get(&it.op) {
            return known.clone();
        }
        let verdict = if self.refuses.contains(&it.id) {
            crate::till::rejected("validation")
        } else {
            let outcome = self.effect(it);
            self.words(outcome)
        };
        self.verdicts.insert(it.op, verdict.clone());
        verdict
    }

    fn effect(&mut self, it: &Departure) -> Outcome {
        let key = EntityKey::new(&*it.collection, &*it.id);
        let known = self.records.get(&key);
        let (version, presence) = known.map_or((0, None), |(at, is, _)| (*at, Some(is.clone())));
        let is_live = matches!(presence, Some(Presence::Live(_)));
        match (&it.intent, known.is_some()) {
            (Intent::Delete, _) if !is_live => return crate::till::applied(version),
            (Intent::Change(_) | Intent::Replace(_), false) => {
                return crate::till::rejected("not-found");
            }
            (Intent::Change(_) | Intent::Replace(_), true) if !is_live => {
                return crate::till::deleted(version);
            }
            (Intent::Create(_) | Intent::Resolve(_), _)
            | (Intent::Change(_) | Intent::Replace(_) | Intent::Delete, _) => {}
        }
        let assumed = it.assumed == known.map(|_| self.said(version));
        if !assumed {
            let version = Some(self.said(version));
            let theirs = match presence {
                Some(Presence::Live(document)) => Theirs::Live { document, version, stamp: None },
                Some(Presence::Deleted) | None => Theirs::Deleted { version, stamp: None },
            };
            return Outcome::Conflict { theirs, other: None, token: None };
        }
        let after = it.intent.replay(presence.as_ref()).unwrap_or(Presence::Deleted);
        *self.effects.entry(it.op).or_default() += 1;
        if let Presence::Live(document) = &after
            && self.corrects
        {
            let text = document.text().replace("1,", "1.5,").replace("2}", "2.5}");
            self.put(key, Presence::Live(doc(&text)), Some(it.op));
            return crate::till::applied_as(version + 1, &text);
        }
        crate::till::applied(self.put(key, after, Some(it.op)))
    }

    fn put(&mut self, key: EntityKey, presence: Presence, op: Option<OpId>) -> u64 {
        let version = self.records.get(&key).map_or(0, |(version, ..)| *version) + 1;
        self.changed.retain(|known| *known != key);
        self.changed.push(key.clone());
        let place = self.places.len() as u64 + self.places.values().max().unwrap_or(&0) + 1;
        self.places.insert(key.clone(), place);
        self.records.insert(key, (version, presence, op));
        version
    }

    /// What the record is, for comparison.
    pub(crate) fn record(&self, key: &EntityKey) -> Option<&Presence> {
        self.records.get(key).map(|(_, presence, _)| presence)
    }

    /// The operation that made what the record is.
    pub(crate) fn maker(&self, key: &EntityKey) -> Option<OpId> {
        self.records.get(key).and_then(|(_, _, op)| *op)
    }

    /// Another device writes.
    pub(crate) fn writes(&mut self, id: &str, text: &str) {
        self.put(crate::till::order(id), Presence::Live(doc(text)), None);
    }

    pub(crate) fn writes_to(&mut self, key: &EntityKey, text: &str) {
        self.put(key.clone(), Presence::Live(doc(text)), None);
    }

    pub(crate) fn removes(&mut self, key: &EntityKey) {
        if matches!(self.record(key), Some(Presence::Live(_))) {
            self.put(key.clone(), Presence::Deleted, None);
        }
    }

    pub(crate) fn has(&self, id: &str) -> Option<String> {
        match &self.records.get(&crate::till::order(id))?.1 {
            Presence::Live(document) => Some(document.text().to_owned()),
            Presence::Deleted => None,
        }
    }

    pub(crate) fn pull(&mut self, cursor: Option<&Cursor>) -> Result<PullPage, Halt> {
        self.pulls += 1;
        // Every page is the whole: small, and right by redelivery.
        let prefix = format!("h{}-", self.history);
        if cursor.is_some_and(|cursor| !cursor.0.starts_with(&prefix)) {
            return Err(Halt::Expired);
        }
        let changes = self.changed.iter().map(|key| self.change(key));
        let versions: u64 = self.records.values().map(|(version, ..)| version).sum();
        let next = Cursor(format!("{prefix}{versions}"));
        let changes = changes.collect();
        Ok(PullPage { changes, unreadable: Vec::new(), next, more: false, time: None, bytes: 0 })
    }

    fn change(&self, key: &EntityKey) -> RemoteChange {
        let (version, presence, op) = &self.records[key];
        RemoteChange {
            key: key.clone(),
            presence: presence.clone(),
            version: Some(self.said(*version)),
            stamp: None,
            op: *op,
            own: None,
        }
    }

    /// A page of what belongs to a scope.
    fn pull_scope(&mut self, scope: &Scope, cursor: Option<&Cursor>) -> Result<PullPage, Halt> {
        self.asked.push(scope.clone());
        if self.forbids.contains(&*scope.0) {
            return Err(Halt::Forbidden);
        }
        let prefix = format!("h{}-", self.history);
        let from: u64 = match cursor.map(|cursor| cursor.0.strip_prefix(&prefix)) {
            None => 0,
            Some(None) => return Err(Halt::Expired),
            Some(Some(place)) => place.parse().unwrap(),
        };
        let within = |key: &EntityKey| {
            self.scopes.get(&key.id).is_some_and(|scopes| scopes.contains(&&*scope.0))
        };
        let mut found: Vec<(&EntityKey, u64)> =
            self.places.iter().map(|(key, place)| (key, *place)).collect();
        found.retain(|(key, place)| *place > from && within(key));
        found.sort_by_key(|(_, place)| *place);
        let rest = found.split_off(found.len().min(self.page.unwrap_or(usize::MAX)));
        let last = found.last().map_or(from, |(_, place)| *place);
        let changes = found.into_iter().map(|(key, _)| self.change(key)).collect();
        let (next, more) = (Cursor(format!("{prefix}{last}")), !rest.is_empty());
        Ok(PullPage { changes, unreadable: Vec::new(), next, more, time: None, bytes: 0 })
    }
}

#[derive(Default)]
pub(crate) struct Time {
    pub(crate) now: Cell<u64>,
    pub(crate) alarms: RefCell<BTreeSet<u64>>,
}

impl Clock for Time {
    fn wall(&self) -> Wall {
        Wall(START + self.now.get())
    }

    fn mono(&self) -> Mono {
        Mono(self.now.get())
    }

    fn sleep_until(&self, at: Mono) -> impl Future<Output = ()> {
        poll_fn(move |_| {
            if self.now.get() >= at.0 {
                return Poll::Ready(());
            }
            self.alarms.borrow_mut().insert(at.0);
            Poll::Pending
        })
    }
}

/// Distinct numbers, the same in every run.
#[derive(Default)]
pub(crate) struct Lots(Cell<u64>);

impl Lots {
    /// Other numbers for each device.
    pub(crate) fn of(device: u32) -> Self {
        Self(Cell::new(u64::from(device) << 32))
    }
}

impl Rng for Lots {
    fn next(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        // A multiplicative hash: neighbouring counts give distant numbers.
        self.0.get().wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// The lead is there for the asking; it may be taken away.
#[derive(Default)]
pub(crate) struct Lead {
    pub(crate) taken: Cell<bool>,
}

impl Leadership for Lead {
    async fn acquire(&self) {}
    fn lost(&self) -> impl Future<Output = ()> {
        poll_fn(|_| if self.taken.take() { Poll::Ready(()) } else { Poll::Pending })
    }
    fn release(&self) {}
}

/// A store that may abort a named transaction, or lose its answer after it was written.
#[derive(Default)]
pub(crate) struct Shelf {
    inner: MemoryStore,
    pub(crate) loses: RefCell<VecDeque<&'static str>>,
    /// Named transactions that are aborted before they write.
    pub(crate) aborts: RefCell<VecDeque<&'static str>>,
    /// How often a collection was read whole.
    pub(crate) lists: Cell<u32>,
    /// Transactions that there were.
    pub(crate) runs: Cell<u32>,
    /// What the platform says of its space.
    pub(crate) space: Cell<Option<Space>>,
}

impl RawStore for Shelf {
    async fn run(
        &self,
        verb: &Verb,
        need: Need,
        decide: &mut dyn FnMut(&Snapshot) -> Changeset,
    ) -> Result<(), StoreError> {
        self.runs.set(self.runs.get() + 1);
        let aborted = self.aborts.borrow_mut().pop_front_if(|it| *it == verb.name);
        if aborted.is_some() {
            return Err(StoreError::Failed("aborted".into()));
        }
        self.inner.run(verb, need, decide).await?;
        let mut loses = self.loses.borrow_mut();
        if loses.front() == Some(&verb.name) {
            loses.pop_front();
            return Err(StoreError::Failed("the answer was lost".into()));
        }
        Ok(())
    }

    async fn read(&self, need: Need) -> Result<Snapshot, StoreError> {
        self.inner.read(need).await
    }

    async fn list(&self, collection: &str) -> Result<Snapshot, StoreError> {
        self.lists.set(self.lists.get() + 1);
        self.inner.list(collection).await
    }

    async fn space(&self) -> Option<Space> {
        self.space.get()
    }
}

#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) server: RefCell<Server>,
}

impl Remote for Wire {
    async fn push(&self, batch: &Batch) -> PushReply {
        if self.server.borrow().is_closed() {
            return PushReply::halted(Halt::Unreachable);
        }
        let fault = self.server.borrow_mut().faults.pop_front();
        match fault {
            Some(Fault::Halt(halt)) => PushReply::halted(halt),
            Some(Fault::AnswerLost) => {
                self.server.borrow_mut().push(batch);
                PushReply::halted(Halt::Unreachable)
            }
            Some(Fault::Pass) | None => self.server.borrow_mut().push(batch),
        }
    }

    async fn pull(&self, scope: &Scope, cursor: Option<&Cursor>) -> Result<PullPage, Halt> {
        if self.server.borrow().is_closed() {
            return Err(Halt::Unreachable);
        }
        let fault = self.server.borrow_mut().faults.pop_front();
        match fault {
            Some(Fault::Halt(halt)) => Err(halt),
            Some(Fault::AnswerLost) => Err(Halt::Unreachable),
            Some(Fault::Pass) | None if *scope == Scope::all() => {
                self.server.borrow_mut().pull(cursor)
            }
            Some(Fault::Pass) | None => self.server.borrow_mut().pull_scope(scope, cursor),
        }
    }

    fn capabilities(&self) -> Capabilities {
        let groups = self.server.borrow().groups;
        Capabilities { groups, versions: true, ..Capabilities::default() }
    }
}

/// A resolver that says what it was told to say, in order; with nothing left to say it never answers.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) says: Rc<RefCell<VecDeque<Line>>>,
    /// What it was shown.
    pub(crate) shown: RefCell<Vec<Conflict>>,
    /// How many of its answers are awaited.
    pub(crate) thinking: Rc<Cell<u32>>,
    pub(crate) at_once: Rc<Cell<u32>>,
}

/// What a resolver does with one question.
pub(crate) type Line = Box<dyn FnOnce(&Conflict) -> Asking>;

/// It says so.
pub(crate) fn says(answer: Answer) -> Line {
    Box::new(move |_| Box::pin(std::future::ready(answer)))
}

struct Thinking(Rc<Cell<u32>>);

impl Drop for Thinking {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Resolver for Script {
    fn ask(&self, conflict: &Conflict) -> Asking {
        self.shown.borrow_mut().push(conflict.clone());
        self.thinking.set(self.thinking.get() + 1);
        self.at_once.set(self.at_once.get().max(self.thinking.get()));
        let thinking = Thinking(Rc::clone(&self.thinking));
        let line = self.says.borrow_mut().pop_front();
        let asking = line.map_or_else(|| Box::pin(pending()) as Asking, |line| line(conflict));
        Box::pin(async move {
            let answer = asking.await;
            drop(thinking);
            answer
        })
    }
}

#[derive(Default)]
pub(crate) struct Tab {
    pub(crate) shelf: Shelf,
    pub(crate) wire: Wire,
    time: Time,
    lots: Lots,
    pub(crate) lead: Lead,
    pub(crate) script: Script,
}

impl Host for Tab {
    type Store = Shelf;
    type Remote = Wire;
    type Clock = Time;
    type Rng = Lots;
    type Leadership = Lead;
    type Resolver = Script;

    fn store(&self) -> &Shelf {
        &self.shelf
    }
    fn remote(&self) -> &Wire {
        &self.wire
    }
    fn clock(&self) -> &Time {
        &self.time
    }
    fn rng(&self) -> &Lots {
        &self.lots
    }
    fn leadership(&self) -> &Lead {
        &self.lead
    }
    fn resolver(&self) -> &Script {
        &self.script
    }
}

/// An engine, its loop, and the world around it.
pub(crate) struct World {
    pub(crate) engine: Rc<Engine<Tab>>,
    cycles: Pin<Box<dyn Future<Output = ()>>>,
    pub(crate) events: Rc<RefCell<Vec<Event>>>,
}

/// Polls without anything to do before the clock is set forward.
const PATIENCE: usize = 8;

impl World {
    pub(crate) fn new(strategy: Strategy) -> Self {
        Self::on(Rc::default(), strategy)
    }

    pub(crate) fn on(disk: Rc<RefCell<Disk>>, strategy: Strategy) -> Self {
        Self::over(disk, strategy, Server::default())
    }

    pub(crate) fn over(disk: Rc<RefCell<Disk>>, strategy: Strategy, server: Server) -> Self {
        let config = Config { rules: rules(strategy), ..Config::default() };
        Self::with(disk, config, server)
    }

    pub(crate) fn with(disk: Rc<RefCell<Disk>>, config: Config, server: Server) -> Self {
        let shelf = Shelf { inner: MemoryStore::on(disk), ..Shelf::default() };
        let wire = Wire { server: server.into() };
        let tab = Tab { shelf, wire, ..Tab::default() };
        let engine = holdfast::memory::contract::block_on(Engine::open(tab, config)).unwrap();
        let events = Rc::new(RefCell::new(Vec::new()));
        let heard = Rc::clone(&events);
        engine.subscribe(move |event| heard.borrow_mut().push(event.clone()));
        let cycles = Box::pin(Rc::clone(&engine).run());
        Self { engine, cycles, events }
    }

    pub(crate) fn server(&self) -> std::cell::RefMut<'_, Server> {
        self.engine.host().wire.server.borrow_mut()
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.server().faults.push_back(fault);
    }

    /// The next time somebody waits for.
    fn forward(&self) -> bool {
        let time = &self.engine.host().time;
        let next = time.alarms.borrow_mut().pop_first();
        match next {
            Some(at) => {
                time.now.set(time.now.get().max(at));
                true
            }
            None => false,
        }
    }

    /// Runs the world until a future is ready; at most a day of its time.
    pub(crate) fn until<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut cx = Context::from_waker(Waker::noop());
        let mut idle = 0;
        while self.engine.host().time.now.get() < 86_400_000 {
            if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return value;
            }
            let _ = self.cycles.as_mut().poll(&mut cx);
            idle += 1;
            if idle % PATIENCE == 0 {
                assert!(self.forward(), "P8: everybody waits, nobody for a time");
            }
        }
        panic!("P8: not in a day")
    }

    pub(crate) fn disk(&self) -> Rc<RefCell<Disk>> {
        self.engine.host().shelf.inner.disk()
    }

    /// The time, in milliseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        self.engine.host().time.now.get()
    }

    /// Runs the world for a while.
    pub(crate) fn runs_for(&mut self, millis: u64) {
        let engine = Rc::clone(&self.engine);
        let clock = &engine.host().time;
        let until = Mono(clock.now.get() + millis);
        self.until(clock.sleep_until(until));
    }

    /// Writes without letting the loop run.
    pub(crate) fn writes(&self, id: &str, action: Action) -> OpId {
        self.tries(id, action).unwrap()
    }

    pub(crate) fn tries(
        &self,
        id: &str,
        action: Action,
    ) -> Result<OpId, holdfast::model::SyncError> {
        let request = WriteRequest {
            collection: "orders".into(),
            id: Some(id.into()),
            action,
            priority: None,
        };
        let written = holdfast::memory::contract::block_on(self.engine.write(request));
        written.map(|written| written.op)
    }

    pub(crate) fn creates(&self, id: &str) -> OpId {
        self.writes(id, Action::Create(doc(r#"{"n":1}"#)))
    }

    pub(crate) fn patches(&self, id: &str, text: &str) -> OpId {
        self.writes(id, Action::Patch(doc(text)))
    }

    pub(crate) fn drains(&mut self) -> holdfast::engine::Drained {
        let engine = Rc::clone(&self.engine);
        self.until(engine.drain()).unwrap()
    }

    /// P6: nothing happened twice.
    pub(crate) fn effects_are_single(&self) {
        let server = self.server();
        assert!(server.effects.values().all(|count| *count == 1), "{:?}", server.effects);
    }
}
