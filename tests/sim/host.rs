//! The ports, simulated: every call is a place where the world may reorder, delay, fail, or end the tab.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use holdfast::engine::{Commit as Told, CycleReport, Engine};
use holdfast::layout::{RowChange, changes};
use holdfast::memory::Disk;
use holdfast::model::{
    Batch, Capabilities, Changeset, Cursor, Departure, Durability, Halt, Mono, Need, OpState,
    Operation, PullPage, PushReply, Scope, Snapshot, StoreError, Term, Verb, Wall,
};
use holdfast::port::{Clock, Host, Leadership, RawStore, Remote, Rng};

use crate::asks::{Question, SimResolver};
use crate::carry::owner;
use crate::mirror::Mirror;
use crate::oracle::{Call, Commit, Oracle};
use crate::server::{EPOCH_MS, Origin, Server};
use crate::tape::{Tape, splitmix};

/// More requests than this at one instant are a loop that does not wait.
const AT_ONCE: u32 = 600;

/// Where an answer is put. Whoever waits holds one end: a slot with one end has nobody waiting.
pub(crate) struct Slot<T>(Rc<RefCell<(Option<T>, Option<Waker>)>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self(Rc::new(RefCell::new((None, None))))
    }

    pub(crate) fn fill(&self, value: T) {
        let mut slot = self.0.borrow_mut();
        slot.0 = Some(value);
        if let Some(waker) = slot.1.take() {
            waker.wake();
        }
    }

    pub(crate) fn is_awaited(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }

    pub(crate) fn filled(self) -> impl Future<Output = T> {
        poll_fn(move |cx| {
            let mut slot = self.0.borrow_mut();
            match slot.0.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    slot.1 = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    }
}

/// What the store does with a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Luck {
    Good,
    /// There is no space: nothing is written.
    Full,
    /// Before it: nothing is written, the caller is told. After it: written, the caller is told that it failed.
    Fails,
    /// After it: the connection is lost and the store repeats the transaction, not knowing that it was written.
    Repeats,
}

pub(crate) struct Gate {
    pub(crate) device: usize,
    pub(crate) tab: u32,
    pub(crate) verb: &'static str,
    pub(crate) written: bool,
    pub(crate) slot: Slot<Luck>,
}

pub(crate) struct Timer {
    pub(crate) at: u64,
    pub(crate) slot: Slot<()>,
}

#[derive(Clone)]
pub(crate) enum Ask {
    Push(Batch),
    Pull(Option<Cursor>),
}

#[derive(Clone)]
pub(crate) enum Answer {
    Push(PushReply),
    Pull(Result<PullPage, Halt>),
}

impl Ask {
    pub(crate) fn halted(&self, halt: Halt) -> Answer {
        match self {
            Self::Push(_) => Answer::Push(PushReply::halted(halt)),
            Self::Pull(_) => Answer::Pull(Err(halt)),
        }
    }
}

pub(crate) struct Message {
    pub(crate) id: u64,
    pub(crate) device: usize,
    pub(crate) tab: u32,
    pub(crate) ask: Ask,
    /// Nothing while the request is on its way.
    pub(crate) answer: Option<Answer>,
    /// Nothing for a copy, or where the client gave up.
    pub(crate) slot: Option<Slot<Answer>>,
}

/// What tabs of a device tell each other.
#[derive(Clone)]
pub(crate) enum Word {
    Commit(Told),
    Cycle(CycleReport),
    Asked,
}

pub(crate) struct Telling {
    pub(crate) to: u32,
    pub(crate) word: Word,
}

#[derive(Default)]
pub(crate) struct Lock {
    pub(crate) holder: Option<u32>,
    pub(crate) queue: Vec<(u32, Slot<()>)>,
    pub(crate) lost: Vec<(u32, Slot<()>)>,
    /// Whom the lock was taken from without being told yet.
    pub(crate) robbed: Vec<u32>,
}

#[derive(Default)]
pub(crate) struct Device {
    pub(crate) disk: Disk,
    durable: Disk,
    /// Relaxed commits since the last strict one.
    lag: Vec<Vec<RowChange>>,
    pub(crate) mirror: Mirror,
    pub(crate) lock: Lock,
    pub(crate) terms: BTreeMap<Term, u32>,
    /// Of the wall clock, in milliseconds.
    pub(crate) skew: i64,
    /// Nothing can be written; deletions commit.
    pub(crate) full: bool,
    /// When it asked last, and how often at that instant.
    asked: (u64, u32),
    /// How many databases it lost.
    pub(crate) lives: usize,
    /// It lost one and nothing is stored in the next yet.
    pub(crate) lost: bool,
}

impl Device {
    /// The power goes: of the relaxed commits since the last strict one some are lost.
    pub(crate) fn cut_power(&mut self, kept: usize) {
        for step in self.lag.drain(..).take(kept).flatten() {
            self.durable.change(step);
        }
        self.disk = self.durable.clone();
        let (drained, untold) = (self.mirror.drained.clone(), self.mirror.untold.clone());
        // What was deleted is deleted: those transactions are strict.
        self.mirror = Mirror { drained, untold, ..Mirror::read(&self.disk) };
        self.lock = Lock::default();
    }

    /// Its database is gone, and the next is empty.
    pub(crate) fn lose(&mut self) {
        let (skew, lives) = (self.skew, self.lives + 1);
        *self = Self { skew, lives, lost: true, ..Self::default() };
    }

    pub(crate) fn lagging(&self) -> usize {
        self.lag.len()
    }
}

pub(crate) struct Shared {
    pub(crate) now: Cell<u64>,
    pub(crate) tape: RefCell<Tape>,
    pub(crate) gates: RefCell<Vec<Gate>>,
    pub(crate) timers: RefCell<Vec<Timer>>,
    pub(crate) net: RefCell<Vec<Message>>,
    pub(crate) messages: Cell<u64>,
    pub(crate) bus: RefCell<Vec<Telling>>,
    pub(crate) questions: RefCell<Vec<Question>>,
    /// Whether the application has a resolver.
    pub(crate) resolver: bool,
    pub(crate) devices: Vec<RefCell<Device>>,
    pub(crate) server: RefCell<Server>,
    pub(crate) oracle: Oracle,
    /// The task that is being polled, and what calls want.
    pub(crate) task: Cell<u64>,
    pub(crate) calls: RefCell<BTreeMap<u64, Call>>,
    /// Open tabs and their devices.
    pub(crate) alive: RefCell<Vec<(u32, usize)>>,
    /// A tab is being told of another's cycle.
    pub(crate) hearing: Cell<bool>,
    /// Tabs that came up.
    pub(crate) opened: RefCell<Vec<(u32, Rc<Engine<SimHost>>)>>,
    /// Reads come back at once.
    pub(crate) quick_reads: bool,
    pub(crate) pull_first: bool,
}

pub(crate) struct SimStore {
    shared: Rc<Shared>,
    device: usize,
    tab: u32,
}

impl SimStore {
    async fn gate(&self, verb: &'static str, written: bool) -> Luck {
        let slot = Slot::new();
        let gate = Gate { device: self.device, tab: self.tab, verb, written, slot: slot.clone() };
        self.shared.gates.borrow_mut().push(gate);
        slot.filled().await
    }

    fn transact(
        &self,
        verb: &Verb,
        need: Need,
        decide: &mut dyn FnMut(&Snapshot) -> Changeset,
    ) -> Result<(), StoreError> {
        let cell = &self.shared.devices[self.device];
        let snapshot = cell.borrow().disk.snapshot(need);
        let set = decide(&snapshot);
        let oracle = &self.shared.oracle;
        if set.is_empty() {
            oracle.trace(&[7, u64::from(self.tab)]);
            return Ok(());
        }
        let mut device = cell.borrow_mut();
        if !snapshot.unreadable.is_empty() {
            oracle.fail("P30 readable", format!("{:?}", snapshot.unreadable));
        }
        let steps = changes(&set);
        if device.full && steps.iter().any(|step| matches!(step, RowChange::Put { .. })) {
            oracle.trace(&[9, u64::from(self.tab)]);
            oracle.note("commits without space");
            oracle.say(|| format!("    d{} t{} {}: full", self.device, self.tab, verb.name));
            return Err(StoreError::Full);
        }
        oracle.trace(&[8, u64::from(self.tab), steps.len() as u64]);
        for step in &steps {
            if let RowChange::Put { row, .. } = step {
                oracle.trace(&[fnv(row.text.as_bytes())]);
            }
            device.disk.change(step.clone());
        }
        match verb.durability {
            Durability::Relaxed => device.lag.push(steps),
            Durability::Strict => {
                let lag = std::mem::take(&mut device.lag);
                for step in lag.into_iter().flatten().chain(steps) {
                    device.durable.change(step);
                }
            }
        }
        let was = device.mirror.sketch();
        device.mirror.apply(&set);
        device.lost &= verb.name != "lost";
        if device.lost {
            oracle.fail("P29 eviction", format!("{} comes before the loss is stored", verb.name));
        }
        if matches!(verb.name, "lead" | "drain.lead") {
            let term = device.mirror.term();
            device.terms.insert(term, self.tab);
        }
        let call = self.shared.calls.borrow().get(&self.shared.task.get()).cloned();
        oracle.say(|| format!("    d{} t{} {} {}", self.device, self.tab, verb.name, brief(&set)));
        let commit = Commit {
            device: self.device,
            tab: self.tab,
            verb: verb.name,
            was: &was,
            is: &device.mirror,
            set: &set,
            call,
            task: self.shared.task.get(),
            terms: &device.terms,
        };
        oracle.commit(&commit, &self.shared.server.borrow());
        Ok(())
    }
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A changeset in one line of the log.
fn brief(set: &Changeset) -> String {
    let mut out = String::new();
    for op in set.ops.values() {
        out += &format!(
            "\n        op {} {} {:?} assumed {:?} before {:?} refs {:?} {:?} ready {} sealed {} sends {} group {:?}",
            op.seq.0,
            op.id,
            op.intent,
            op.assumed,
            op.before,
            op.refs,
            op.state,
            op.ready,
            op.is_sealed(),
            op.sends,
            op.group
        );
    }
    for seq in set.finished() {
        out += &format!("\n        out {}", seq.0);
    }
    if let Some(reserve) = &set.reserve {
        out += &format!("\n        {reserve:?}");
    }
    for row in &set.settled {
        out += &format!("\n        end {} {:?}", row.op, row.fate);
    }
    for record in set.records.values() {
        out += &format!("\n        {:?} base {:?} view {:?}", record.key, record.base, record.view);
    }
    for conflict in set.conflicts.values() {
        out += &format!("\n        {conflict:?}");
    }
    for row in &set.cursors {
        out += &format!("\n        cursor {:?} rebuilding {}", row.cursor, row.rebuilding);
    }
    out
}

impl RawStore for SimStore {
    async fn run(
        &self,
        verb: &Verb,
        need: Need,
        decide: &mut dyn FnMut(&Snapshot) -> Changeset,
    ) -> Result<(), StoreError> {
        for _ in 0..3 {
            match self.gate(verb.name, false).await {
                Luck::Good | Luck::Repeats => {}
                Luck::Full => return Err(StoreError::Full),
                Luck::Fails => return Err(StoreError::Failed("abort".to_owned())),
            }
            self.transact(verb, need.clone(), decide)?;
            match self.gate(verb.name, true).await {
                Luck::Good => return Ok(()),
                Luck::Fails | Luck::Full => break,
                Luck::Repeats => {}
            }
        }
        Err(StoreError::Failed("lost".to_owned()))
    }

    async fn read(&self, need: Need) -> Result<Snapshot, StoreError> {
        if !self.shared.quick_reads && self.gate("read", false).await != Luck::Good {
            return Err(StoreError::Failed("abort".to_owned()));
        }
        Ok(self.shared.devices[self.device].borrow().disk.snapshot(need))
    }

    async fn list(&self, collection: &str) -> Result<Snapshot, StoreError> {
        Ok(self.shared.devices[self.device].borrow().disk.list(collection))
    }
}

pub(crate) struct SimRemote {
    shared: Rc<Shared>,
    device: usize,
    tab: u32,
}

impl SimRemote {
    async fn ask(&self, ask: Ask) -> Answer {
        let slot = Slot::new();
        let shared = &self.shared;
        let id = shared.messages.get();
        shared.messages.set(id + 1);
        let twice = shared
            .net
            .borrow()
            .iter()
            .any(|it| it.tab == self.tab && it.slot.as_ref().is_some_and(Slot::is_awaited));
        {
            let mut device = shared.devices[self.device].borrow_mut();
            let now = shared.now.get();
            let before = if device.asked.0 == now { device.asked.1 } else { 0 };
            device.asked = (now, before + 1);
            if before > AT_ONCE {
                shared.oracle.fail("P9 gentleness", format!("{before} requests at {now}"));
            }
        }
        if twice {
            shared.oracle.fail("P22 one pusher", "two requests of one tab at a time");
        }
        shared.net.borrow_mut().push(Message {
            id,
            device: self.device,
            tab: self.tab,
            ask,
            answer: None,
            slot: Some(slot.clone()),
        });
        slot.filled().await
    }

    /// P5, P7 and R15 of what leaves.
    fn look(&self, batch: &Batch) {
        let shared = &self.shared;
        let device = shared.devices[self.device].borrow();
        let mut keys = Vec::new();
        for departure in &batch.operations {
            let Some(op) = device.mirror.ops.values().find(|op| op.id == departure.op) else {
                // A later leader may have settled it since the claim; the server knows it then.
                continue;
            };
            let row = device.mirror.cursors.values().next().filter(|row| !row.rebuilding);
            let cursor = row.and_then(|row| row.cursor.as_ref());
            let history = cursor.and_then(|it| it.0.split('.').next()).map(str::to_owned);
            let origin = Origin { device: (self.device, device.lives), seq: op.seq, history };
            shared.server.borrow_mut().note_origin(op.id, origin);
            if keys.contains(&op.key) {
                shared.oracle.fail("P7 order", format!("{:?} twice in a request", op.key));
            }
            keys.push(op.key.clone());
            self.look_at_group(&device.mirror, batch, departure, op);
            if shared.oracle.behaviour_only {
                continue;
            }
            if op.owner != owner() {
                shared.oracle.fail("P31 ownership", format!("{op:?} leaves"));
            }
            // While the outbox drains everything counts as sealed, and no row says what the server has (R27).
            let drains = device.mirror.drawn.is_some();
            if !op.is_sealed() && !drains {
                shared.oracle.fail("P5 sealed", format!("{} leaves and is not sealed", op.id));
            }
            let before = device.mirror.queue(&op.key).find(|it| {
                // What was freed in front of it since it was claimed waits for it (R15).
                let sealed = it.is_sealed() || drains;
                let has = drains && shared.server.borrow().has_applied(it.id);
                // What came with a file, and may have left elsewhere, waits only for what is on its way.
                let by_file = shared.oracle.ledger.borrow().by_file.contains(&op.id);
                let holds = if by_file { it.is_away() } else { it.holds_the_record() };
                it.seq < op.seq && holds && sealed && !has
            });
            if let Some(before) = before {
                let text = format!("{} leaves before {before:?}", op.id);
                shared.oracle.fail("P7 order", text);
            }
        }
    }
}

impl SimRemote {
    /// R14: a transaction leaves whole, in one piece, or as single operations where the wire has no word for it.
    fn look_at_group(&self, mirror: &Mirror, batch: &Batch, departure: &Departure, op: &Operation) {
        let oracle = &self.shared.oracle;
        let group = op.group.filter(|_| oracle.groups);
        if departure.group.map(|(id, _)| id) != group {
            // A person's decision may have taken it out of its transaction, or put another in its place, since it was claimed.
            return;
        }
        let Some((id, size)) = departure.group else { return };
        let is_mate = |it: &&Departure| it.group.is_some_and(|(other, _)| other == id);
        let leaves = batch.operations.iter().filter(is_mate).count();
        let first = batch.operations.iter().position(|it| is_mate(&it)).unwrap_or_default();
        let piece = batch.operations.iter().skip(first).take_while(is_mate).count();
        if leaves != size as usize || piece != leaves {
            oracle.fail("R14 together", format!("{leaves} of {size} leave, {piece} in one piece"));
        }
        let flies = |it: &Operation| matches!(it.state, OpState::InFlight { .. });
        let here = |it: &Departure| mirror.op(it.op).is_some_and(flies);
        let mut members = batch.operations.iter().filter(is_mate);
        let absent = |it: &&Operation| {
            let has = mirror.drawn.is_some() && self.shared.server.borrow().has_applied(it.id);
            !has && !matches!(it.state, OpState::Acked { .. })
                && !batch.operations.iter().any(|other| other.op == it.id)
        };
        if members.all(here)
            && let Some(mate) = mirror.mates(op).find(absent)
        {
            oracle.fail("R14 together", format!("{op:?} leaves without {mate:?}"));
        }
        oracle.note("members sent");
    }
}

impl Remote for SimRemote {
    async fn push(&self, batch: &Batch) -> PushReply {
        self.look(batch);
        match self.ask(Ask::Push(batch.clone())).await {
            Answer::Push(reply) => reply,
            Answer::Pull(_) => PushReply::halted(Halt::Protocol),
        }
    }

    async fn pull(&self, _scope: &Scope, cursor: Option<&Cursor>) -> Result<PullPage, Halt> {
        match self.ask(Ask::Pull(cursor.cloned())).await {
            Answer::Pull(page) => page,
            Answer::Push(_) => Err(Halt::Protocol),
        }
    }

    fn capabilities(&self) -> Capabilities {
        let pull_first = self.shared.pull_first;
        let groups = self.shared.oracle.groups;
        let versions = !self.shared.server.borrow().opaque;
        Capabilities { groups, pull_first, versions, times: true, ..Capabilities::default() }
    }
}

pub(crate) struct SimClock {
    shared: Rc<Shared>,
    device: usize,
}

impl Clock for SimClock {
    fn wall(&self) -> Wall {
        let skew = self.shared.devices[self.device].try_borrow().map_or(0, |device| device.skew);
        Wall((EPOCH_MS + self.shared.now.get()).saturating_add_signed(skew))
    }

    fn mono(&self) -> Mono {
        Mono(self.shared.now.get())
    }

    async fn sleep_until(&self, at: Mono) {
        if at.0 <= self.shared.now.get() {
            return;
        }
        let slot = Slot::new();
        self.shared.timers.borrow_mut().push(Timer { at: at.0, slot: slot.clone() });
        slot.filled().await;
    }
}

pub(crate) struct SimRng {
    state: Cell<u64>,
    /// Names the tab in every id: two tabs never make the same one.
    tab: u32,
}

impl Rng for SimRng {
    fn next(&self) -> u64 {
        let mut state = self.state.get();
        let value = splitmix(&mut state);
        self.state.set(state);
        value ^ (u64::from(self.tab) << 40)
    }
}

pub(crate) struct SimLeadership {
    shared: Rc<Shared>,
    device: usize,
    tab: u32,
}

impl Leadership for SimLeadership {
    async fn acquire(&self) {
        let slot = Slot::new();
        {
            let mut device = self.shared.devices[self.device].borrow_mut();
            device.lock.queue.push((self.tab, slot.clone()));
        }
        slot.filled().await;
    }

    async fn lost(&self) {
        let slot = Slot::new();
        {
            let mut device = self.shared.devices[self.device].borrow_mut();
            device.lock.lost.push((self.tab, slot.clone()));
        }
        slot.filled().await;
    }

    fn release(&self) {
        let mut device = self.shared.devices[self.device].borrow_mut();
        device.lock.forget(self.tab);
    }
}

impl Lock {
    /// A tab gives it up, or is gone.
    pub(crate) fn forget(&mut self, tab: u32) {
        if self.holder == Some(tab) {
            self.holder = None;
        }
        self.queue.retain(|(it, _)| *it != tab);
        self.lost.retain(|(it, _)| *it != tab);
        self.robbed.retain(|it| *it != tab);
    }
}

pub(crate) struct SimHost {
    store: SimStore,
    remote: SimRemote,
    clock: SimClock,
    rng: SimRng,
    leadership: SimLeadership,
    resolver: SimResolver,
}

impl SimHost {
    pub(crate) fn new(shared: &Rc<Shared>, device: usize, tab: u32, seed: u64) -> Self {
        let shared = || Rc::clone(shared);
        Self {
            store: SimStore { shared: shared(), device, tab },
            remote: SimRemote { shared: shared(), device, tab },
            clock: SimClock { shared: shared(), device },
            rng: SimRng { state: Cell::new(seed), tab },
            leadership: SimLeadership { shared: shared(), device, tab },
            resolver: SimResolver { shared: shared(), tab },
        }
    }
}

impl Host for SimHost {
    type Store = SimStore;
    type Remote = SimRemote;
    type Clock = SimClock;
    type Rng = SimRng;
    type Leadership = SimLeadership;
    type Resolver = SimResolver;

    fn store(&self) -> &SimStore {
        &self.store
    }
    fn remote(&self) -> &SimRemote {
        &self.remote
    }
    fn clock(&self) -> &SimClock {
        &self.clock
    }
    fn rng(&self) -> &SimRng {
        &self.rng
    }
    fn leadership(&self) -> &SimLeadership {
        &self.leadership
    }
    fn resolver(&self) -> &SimResolver {
        &self.resolver
    }
}
