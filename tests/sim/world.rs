//! One run: two devices with two tabs each, one server, and a tape that decides what happens next.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use holdfast::engine::{Config, Engine, Event, StatusKind, WriteRequest};
use holdfast::model::{
    Assumed, Backoff, Choice, CollectionRules, Document, EntityKey, Fate, FieldRule, Halt, Millis,
    OpId, OpState, Operation, Parked, Path, Policies, Presence, Priority, Rules, Side, Strategy,
};
use holdfast::plan::resolve::Dependents;
use holdfast::plan::restore::restore;
use holdfast::plan::transfer::IMPORTED;
use holdfast::plan::write::Action;
use holdfast::schedule::{Signal, Timing};

use crate::asks::{self, Question};
use crate::carry::{self, is_handed_over};
use crate::host::{Answer, Ask, Device, Luck, Message, Shared, SimHost, Slot, Telling, Word};
use crate::mirror::Mirror;
use crate::oracle::{Call, Chain, Oracle, Violation, follow, is_private, position};
use crate::replay::{self, COUNTER};
use crate::server::{AMENDED, GIVEN, Naming, Nature, Server};
use crate::tape::Tape;

pub(crate) const DEVICES: usize = 2;
const TABS: usize = 2;
const COLLECTIONS: [&str; 7] = ["notes", "stock", "tables", "log", "menus", "marks", "prices"];

/// After the world is healed everything must be done within this time (P8).
const BOUND_MS: u64 = 20 * 60_000;

/// How often each fault happens, of 256; drawn for each run, and some are never.
#[derive(Debug, Clone, Copy, Default)]
struct Swarm {
    act: u16,
    crash: u16,
    power: u16,
    steal: u16,
    wall: u16,
    abort: u16,
    lost_result: u16,
    repeat: u16,
    lose_request: u16,
    lose_answer: u16,
    late: u16,
    copy: u16,
    halt: u16,
    partial: u16,
    whim: u16,
    deaf: u16,
    bad: u16,
    poison: u16,
    freeze: u16,
    prune: u16,
    restore: u16,
    carry: u16,
    evict: u16,
    hurry: u16,
    fill: u16,
    counting: u16,
}

impl Swarm {
    fn draw(tape: &mut Tape) -> Self {
        let mut rate = |rates: [u16; 4]| rates[tape.pick(4)];
        Self {
            act: rate([24, 40, 64, 96]),
            crash: rate([0, 0, 2, 6]),
            power: rate([0, 0, 1, 3]),
            steal: rate([0, 0, 2, 6]),
            wall: rate([0, 0, 0, 4]),
            abort: rate([0, 0, 4, 16]),
            lost_result: rate([0, 0, 4, 16]),
            repeat: rate([0, 0, 4, 16]),
            lose_request: rate([0, 0, 16, 64]),
            lose_answer: rate([0, 16, 48, 96]),
            late: rate([0, 0, 16, 48]),
            copy: rate([0, 0, 16, 48]),
            halt: rate([0, 0, 8, 32]),
            partial: rate([0, 0, 16, 64]),
            whim: rate([0, 0, 0, 24]),
            deaf: rate([0, 0, 32, 128]),
            bad: rate([0, 0, 8, 24]),
            poison: rate([0, 0, 0, 8]),
            freeze: rate([0, 0, 4, 12]),
            prune: rate([0, 0, 0, 3]),
            restore: rate([0, 0, 0, 3]),
            carry: rate([0, 0, 6, 12]),
            evict: rate([0, 0, 0, 2]),
            hurry: rate([8, 24, 48, 96]),
            fill: rate([0, 0, 2, 6]),
            counting: rate([0, 0, 0, 256]),
        }
    }
}

/// Whether what an operation was made on is not what those before it make by now: one was brought over a foreign change, and to judge
/// it again takes a row.
fn stands_elsewhere(mirror: &Mirror, op: &Operation) -> bool {
    let base = mirror.records.get(&op.key).and_then(|record| record.base.as_ref());
    let on = mirror
        .queue(&op.key)
        .filter(|it| it.seq < op.seq)
        .fold(base.map(|base| base.presence.clone()), |on, it| it.intent.replay(on.as_ref()));
    let after = matches!(op.assumed, Assumed::After(_)) && !op.is_sealed();
    after && !op.found(on.as_ref().and_then(Presence::document))
}

/// What a run was.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) steps: u64,
    pub(crate) hash: u64,
    pub(crate) violation: Option<Violation>,
    pub(crate) tape: Vec<u8>,
    pub(crate) log: Vec<String>,
    pub(crate) notes: BTreeMap<&'static str, u64>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    tab: u32,
    name: &'static str,
    woken: Arc<Woken>,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

pub(crate) struct World {
    pub(crate) shared: Rc<Shared>,
    swarm: Swarm,
    chaos: bool,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    next_tab: u32,
    pub(crate) tabs: BTreeMap<u32, (usize, Rc<Engine<SimHost>>)>,
    /// Tabs whose tasks do not run.
    frozen: BTreeSet<u32>,
    /// Names that the server forgot, and that nobody writes to any more.
    pub(crate) banned: BTreeSet<EntityKey>,
    rules: Rules,
    pub(crate) steps: u64,
    /// New customers and orders get new names.
    names: u32,
    /// Unless names are few.
    few: bool,
}

/// Runs a tape to its end and judges.
pub(crate) fn run(tape: Tape, verbose: bool, behaviour_only: bool) -> Report {
    let mut world = World::new(tape, verbose, behaviour_only);
    world.live();
    let oracle = &world.shared.oracle;
    let report = Report {
        steps: world.steps,
        hash: oracle.hash(),
        violation: oracle.failed(),
        tape: world.shared.tape.borrow().used().to_vec(),
        log: oracle.log(),
        notes: oracle.notes.borrow().clone(),
    };
    // Tasks hold tabs and tabs hold the world: take the ring apart.
    world.tasks.clear();
    world.tabs.clear();
    world.shared.opened.borrow_mut().clear();
    report
}

fn document(text: &str) -> Document {
    Document::parse(text).expect("the world's own text")
}

fn rules() -> Rules {
    let of = |strategy| CollectionRules {
        policies: Policies::all(strategy),
        ..CollectionRules::default()
    };
    let mut orders = of(Strategy::Merge);
    orders.references.insert(Path::field("customer"), "customers".to_owned());
    let mut counts = of(Strategy::Merge);
    counts.fields.insert(COUNTER.to_owned(), FieldRule::Counter);
    let collections = [
        ("counts", counts),
        ("marks", of(Strategy::LastWriteWins)),
        ("prices", of(Strategy::ClientWins)),
        ("notes", of(Strategy::Merge)),
        ("stock", of(Strategy::ServerWins)),
        ("tables", of(Strategy::Manual)),
        ("menus", of(Strategy::Callback)),
        ("log", CollectionRules { coalesce: false, ..of(Strategy::Merge) }),
        ("customers", of(Strategy::Merge)),
        ("orders", orders),
    ];
    Rules {
        collections: collections.into_iter().map(|(name, it)| (name.to_owned(), it)).collect(),
        backoff: Backoff { patience: Millis(120_000), ..Backoff::default() },
        ..Rules::default()
    }
}

impl World {
    fn new(mut tape: Tape, verbose: bool, behaviour_only: bool) -> Self {
        let swarm = Swarm::draw(&mut tape);
        let page = [1000, 3, 1, 7][tape.pick(4)];
        let most = [1000, 1000, 1, 2][tape.pick(4)];
        let mut rules = rules();
        rules.limits.outbox_operations = [100_000, 100_000, 100_000, 6][tape.pick(4)];
        rules.limits.batch_operations = [100, 100, 1, 3][tape.pick(4)];
        rules.limits.batch_bytes = [100_000, 100_000, 100_000, 40][tape.pick(4)];
        let quick_reads = tape.pick(2) == 0;
        rules.resolver = tape.pick(4) != 3;
        let pull_first = tape.pick(4) == 3;
        let groups = tape.pick(4) != 3;
        let few = tape.pick(4) == 3;
        let opaque = tape.pick(4) == 3;
        let frozen = tape.pick(4) == 3;
        let given = |echo| Naming::Given { echo };
        let naming = [Naming::Kept, Naming::Kept, given(true), given(false)][tape.pick(4)];
        let nature = Nature { picky: swarm.poison > 0, opaque, frozen, naming };
        let shared = Shared {
            now: 0.into(),
            tape: tape.into(),
            gates: Vec::new().into(),
            timers: Vec::new().into(),
            net: Vec::new().into(),
            messages: 0.into(),
            bus: Vec::new().into(),
            questions: Vec::new().into(),
            resolver: rules.resolver,
            devices: (0..DEVICES).map(|_| Device::default().into()).collect(),
            server: Server::new(page, most, nature).into(),
            oracle: Oracle::new(verbose, behaviour_only, groups),
            task: 0.into(),
            calls: BTreeMap::new().into(),
            alive: Vec::new().into(),
            opened: Vec::new().into(),
            hearing: false.into(),
            quick_reads,
            pull_first,
        };
        shared.oracle.say(|| {
            format!("{swarm:?} page {page} most {most} few {few} {nature:?} groups {groups}")
        });
        Self {
            shared: Rc::new(shared),
            swarm,
            chaos: true,
            tasks: BTreeMap::new(),
            next_task: 1,
            next_tab: 1,
            tabs: BTreeMap::new(),
            frozen: BTreeSet::new(),
            banned: BTreeSet::new(),
            rules,
            steps: 0,
            names: 0,
            few,
        }
    }

    fn byte(&self) -> u8 {
        self.shared.tape.borrow_mut().byte()
    }

    pub(crate) fn pick(&self, n: usize) -> usize {
        self.shared.tape.borrow_mut().pick(n)
    }

    /// Whether a fault happens; never after the world was healed.
    fn fault(&self, of256: u16) -> bool {
        self.chaos && self.shared.tape.borrow_mut().chance(of256)
    }

    fn failed(&self) -> bool {
        self.shared.oracle.has_failed()
    }

    fn live(&mut self) {
        for device in 0..DEVICES {
            self.open(device);
        }
        let length = 150 + 2 * u64::from(self.byte());
        while self.steps < length && !self.failed() && !self.shared.tape.borrow().is_over() {
            self.step();
        }
        self.heal();
        if !self.failed() {
            self.judge_rest();
        }
        if !self.failed() {
            self.ask_outcomes();
        }
    }

    // Tasks.

    /// Says what a task wants.
    pub(crate) fn call(&self, task: u64, call: Call) {
        self.shared.calls.borrow_mut().insert(task, call);
    }

    /// Whether a task of one of these names did not end yet.
    pub(crate) fn is_running(&self, names: &[&str]) -> bool {
        self.tasks.values().any(|task| names.contains(&task.name))
    }

    pub(crate) fn spawn(
        &mut self,
        tab: u32,
        name: &'static str,
        future: impl Future<Output = ()> + 'static,
    ) -> u64 {
        let id = self.next_task;
        self.next_task += 1;
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.tasks.insert(id, Task { tab, name, woken, future: Box::pin(future) });
        id
    }

    /// Polls whatever was woken, until nothing is.
    fn run_tasks(&mut self) {
        for _ in 0..10_000 {
            let next = self.tasks.iter().find(|(_, it)| {
                it.woken.0.load(Ordering::Relaxed) && !self.frozen.contains(&it.tab)
            });
            let Some(id) = next.map(|(id, _)| *id) else {
                if self.shared.opened.borrow().is_empty() {
                    return;
                }
                self.came_up();
                continue;
            };
            let Some(mut task) = self.tasks.remove(&id) else { return };
            task.woken.0.store(false, Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(&task.woken));
            self.shared.task.set(id);
            match task.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => {
                    self.tasks.insert(id, task);
                }
                Poll::Ready(()) => {
                    self.shared.calls.borrow_mut().remove(&id);
                }
            }
            self.shared.task.set(0);
            if self.failed() {
                return;
            }
        }
        self.shared.oracle.fail("P8 liveness", "tasks wake each other for ever");
    }

    // Tabs.

    fn open(&mut self, device: usize) {
        let tab = self.next_tab;
        self.next_tab += 1;
        let seed = u64::from(self.byte()) << 32 | u64::from(tab) << 8;
        self.shared.oracle.say(|| format!("{} d{device} opens t{tab}", self.steps));
        self.shared.alive.borrow_mut().push((tab, device));
        let host = SimHost::new(&self.shared, device, tab, seed);
        let timing = Timing { backoff: self.rules.backoff, ..Timing::default() };
        let owner = carry::owner();
        let config = Config { rules: self.rules.clone(), timing, owner, ..Config::default() };
        let shared = Rc::clone(&self.shared);
        // The mark beside the database, or the browser's own word (P29).
        let lost = shared.devices[device].borrow().lost;
        self.spawn(tab, "open", async move {
            if let Ok(engine) = Engine::open(host, config).await
                && (!lost || engine.lost().await.is_ok())
            {
                shared.opened.borrow_mut().push((tab, engine));
            } else {
                shared.alive.borrow_mut().retain(|(it, _)| *it != tab);
            }
        });
    }

    fn came_up(&mut self) {
        let opened = std::mem::take(&mut *self.shared.opened.borrow_mut());
        for (tab, engine) in opened {
            let alive = self.shared.alive.borrow().iter().find(|(it, _)| *it == tab).copied();
            let Some((_, device)) = alive else { continue };
            let shared = Rc::clone(&self.shared);
            engine.subscribe(move |event| listen(&shared, device, tab, event));
            self.spawn(tab, "run", Rc::clone(&engine).run());
            self.tabs.insert(tab, (device, engine));
        }
    }

    /// A tab is gone: its futures are dropped where they stand.
    pub(crate) fn drop_tab(&mut self, tab: u32) {
        let device = self.shared.alive.borrow().iter().find(|(it, _)| *it == tab).map(|it| it.1);
        self.shared.alive.borrow_mut().retain(|(it, _)| *it != tab);
        let dead: Vec<u64> =
            self.tasks.iter().filter(|(_, it)| it.tab == tab).map(|(id, _)| *id).collect();
        for id in dead {
            self.tasks.remove(&id);
            self.shared.calls.borrow_mut().remove(&id);
        }
        self.tabs.remove(&tab);
        self.frozen.remove(&tab);
        self.shared.gates.borrow_mut().retain(|it| it.tab != tab);
        self.shared.bus.borrow_mut().retain(|it| it.to != tab);
        self.shared.timers.borrow_mut().retain(|it| it.slot.is_awaited());
        if let Some(device) = device {
            self.shared.devices[device].borrow_mut().lock.forget(tab);
        }
    }

    pub(crate) fn tabs_of(&self, device: usize) -> Vec<u32> {
        let alive = self.shared.alive.borrow();
        alive.iter().filter(|(_, it)| *it == device).map(|(tab, _)| *tab).collect()
    }

    // Steps.

    fn step(&mut self) {
        self.steps += 1;
        self.shared.oracle.trace(&[self.steps, self.shared.now.get()]);
        self.run_tasks();
        if self.failed() {
            return;
        }
        if self.chaos {
            let acts = self.shared.tape.borrow_mut().chance(self.swarm.act);
            if acts {
                return self.act();
            }
            if self.fault(self.swarm.crash) {
                let alive: Vec<u32> = self.shared.alive.borrow().iter().map(|it| it.0).collect();
                if !alive.is_empty() {
                    let tab = alive[self.pick(alive.len())];
                    self.shared.oracle.say(|| format!("{} t{tab} crashes", self.steps));
                    self.shared.oracle.note("crashes");
                    return self.drop_tab(tab);
                }
            }
            if self.fault(self.swarm.power) {
                return self.power_cut();
            }
            if self.fault(self.swarm.steal) {
                return self.steal();
            }
            if self.fault(self.swarm.freeze) {
                return self.freeze();
            }
            if self.fault(self.swarm.prune) {
                return self.prune();
            }
            if self.fault(self.swarm.restore) {
                return self.restore();
            }
            if self.fault(self.swarm.evict) {
                return self.evict();
            }
            if self.fault(self.swarm.carry) {
                return self.carry();
            }
            if self.fault(self.swarm.fill) {
                return self.fill();
            }
            if self.fault(self.swarm.wall) {
                let device = self.pick(DEVICES);
                let minutes = i64::from(self.byte()) - 128;
                self.shared.oracle.say(|| format!("{} d{device} clock {minutes}", self.steps));
                self.shared.devices[device].borrow_mut().skew += minutes * 60_000;
                return;
            }
        }
        self.schedule();
    }

    fn power_cut(&mut self) {
        let device = self.pick(DEVICES);
        for tab in self.tabs_of(device) {
            self.drop_tab(tab);
        }
        let lag = self.shared.devices[device].borrow().lagging();
        let kept = self.pick(lag + 1);
        self.shared
            .oracle
            .say(|| format!("{} d{device} power cut, keeps {kept} of {lag}", self.steps));
        self.shared.oracle.note("power cuts");
        self.shared.devices[device].borrow_mut().cut_power(kept);
        self.nothing_lost(device);
    }

    /// P1: what was accepted is there.
    fn nothing_lost(&self, device: usize) {
        let ledger = self.shared.oracle.ledger.borrow();
        for (id, write) in ledger.writes.iter().filter(|(_, it)| it.device == device) {
            if let (_, Chain::Lost(at)) = self.whereabouts(&ledger, *id) {
                let text = format!("{id} on {:?} is nowhere: {at}", write.key);
                self.shared.oracle.fail("P3 conservation", text);
            }
        }
    }

    /// The server forgets its tombstones, where nobody is about to write to them: a record made anew under a name that the
    /// server forgot begins at version 1 again, which no device could tell from the past.
    fn prune(&mut self) {
        let tombstones = self.shared.server.borrow().tombstones();
        let waits = self.shared.devices.iter().any(|device| {
            device.borrow().mirror.ops.values().any(|op| tombstones.contains(&op.key))
        });
        // What is in a file may be imported later.
        let waits = waits || !self.shared.oracle.ledger.borrow().files.is_empty();
        let calls =
            self.tasks.values().any(|task| !matches!(task.name, "run" | "sync" | "hear" | "drain"));
        let asked = !self.shared.net.borrow().is_empty();
        if waits || calls || asked {
            return;
        }
        let gone = self.shared.server.borrow_mut().prune();
        self.banned.extend(tombstones);
        self.shared.oracle.say(|| format!("{} {gone} tombstones pruned", self.steps));
        self.shared.oracle.note("prunings");
    }

    /// The server is backed up, or loses its disk and goes on from its backup. Devices that never came to the end of a pull would
    /// not notice, so it waits for them.
    fn restore(&mut self) {
        let pulled = self
            .shared
            .devices
            .iter()
            .all(|device| device.borrow().mirror.cursors.values().any(|row| row.complete));
        if !pulled {
            return;
        }
        let mut server = self.shared.server.borrow_mut();
        if !server.has_backup() || self.pick(4) == 3 {
            return server.back_up();
        }
        let lost = server.restore();
        self.shared.oracle.say(|| format!("{} restored, {lost} records set back", self.steps));
        self.shared.oracle.note("restores");
        // Whoever was asking is cut off: nothing of the lost history is done once more in the new one by a request that was late.
        self.shared.net.borrow_mut().retain(|it| {
            if it.answer.is_none()
                && let Some(slot) = &it.slot
            {
                slot.fill(it.ask.halted(Halt::Unreachable));
            }
            it.answer.is_some()
        });
    }

    /// A device has no space any more, or has some again.
    fn fill(&mut self) {
        let device = self.pick(DEVICES);
        let mut place = self.shared.devices[device].borrow_mut();
        place.full = !place.full;
        let full = place.full;
        self.shared.oracle.say(|| format!("{} d{device} full: {full}", self.steps));
        self.shared.oracle.note(if full { "quotas reached" } else { "quotas raised" });
    }

    /// A tab stands still, or all go on.
    fn freeze(&mut self) {
        if !self.frozen.is_empty() {
            self.shared.oracle.say(|| format!("{} thaw", self.steps));
            self.frozen.clear();
            return;
        }
        let alive: Vec<u32> = self.shared.alive.borrow().iter().map(|it| it.0).collect();
        if !alive.is_empty() {
            let tab = alive[self.pick(alive.len())];
            self.shared.oracle.say(|| format!("{} t{tab} freezes", self.steps));
            self.shared.oracle.note("freezes");
            self.frozen.insert(tab);
        }
    }

    /// Another tab is given the lead while the first still believes that it has it.
    fn steal(&mut self) {
        let device = self.pick(DEVICES);
        let mut place = self.shared.devices[device].borrow_mut();
        let lock = &mut place.lock;
        let (Some(holder), false) = (lock.holder, lock.queue.is_empty()) else { return };
        let (tab, slot) = lock.queue.remove(0);
        lock.holder = Some(tab);
        lock.robbed.push(holder);
        self.shared.oracle.say(|| format!("{} t{tab} steals the lead of t{holder}", self.steps));
        self.shared.oracle.note("steals");
        slot.fill(());
    }

    /// Lets one thing go on.
    fn schedule(&mut self) {
        let shared = Rc::clone(&self.shared);
        shared.net.borrow_mut().retain(|it| match (&it.slot, &it.answer) {
            (Some(slot), Some(_)) => slot.is_awaited(),
            (None, Some(_)) => false,
            (_, None) => true,
        });
        let gates = shared.gates.borrow().len();
        let messages = shared.net.borrow().len();
        let words = shared.bus.borrow().len();
        let asks = self.questions();
        let mut locks = Vec::new();
        for (index, device) in shared.devices.iter().enumerate() {
            let lock = &device.borrow().lock;
            if lock.holder.is_none() && !lock.queue.is_empty() {
                locks.push((index, None));
            }
            locks.extend(lock.robbed.iter().map(|tab| (index, Some(*tab))));
        }
        let all = gates + messages + words + asks.len() + locks.len();
        if all == 0 || self.fault(self.swarm.hurry / 4) {
            return self.pass_time(all > 0);
        }
        let mut at = self.pick(all.min(256));
        if at < gates {
            return self.open_gate(at);
        }
        at -= gates;
        if at < messages {
            return self.move_message(at);
        }
        at -= messages;
        if at < words {
            return self.tell(at);
        }
        at -= words;
        if at < asks.len() {
            return self.answer(asks[at]);
        }
        at -= asks.len();
        let (device, robbed) = locks[at];
        let mut place = shared.devices[device].borrow_mut();
        match robbed {
            Some(tab) => {
                place.lock.robbed.retain(|it| *it != tab);
                let lost = std::mem::take(&mut place.lock.lost);
                for (it, slot) in lost {
                    if it == tab {
                        slot.fill(());
                    } else {
                        place.lock.lost.push((it, slot));
                    }
                }
            }
            None => {
                let (tab, slot) = place.lock.queue.remove(0);
                place.lock.holder = Some(tab);
                shared.oracle.say(|| format!("{} t{tab} has the lock", self.steps));
                slot.fill(());
            }
        }
    }

    /// The places of the questions that may be answered.
    fn questions(&self) -> Vec<usize> {
        let mut questions = self.shared.questions.borrow_mut();
        questions.retain(|it| it.slot.is_awaited());
        questions.iter().enumerate().filter(|(_, it)| !it.silent).map(|(at, _)| at).collect()
    }

    /// A resolver says something, or falls silent.
    fn answer(&mut self, at: usize) {
        let mut questions = self.shared.questions.borrow_mut();
        let word = asks::word(&self.shared, &questions[at].shown);
        self.shared.oracle.say(|| {
            let Question { tab, shown, .. } = &questions[at];
            format!("{} the resolver of t{tab} on {}: {word:?}", self.steps, shown.id)
        });
        match word {
            Some(word) => {
                let question = questions.remove(at);
                self.shared.oracle.heard(&question.shown, &word);
                question.slot.fill(word);
            }
            None => questions[at].silent = true,
        }
    }

    fn open_gate(&mut self, at: usize) {
        let gate = self.shared.gates.borrow_mut().remove(at);
        let luck = if gate.written {
            if self.fault(self.swarm.lost_result) {
                Luck::Fails
            } else if self.fault(self.swarm.repeat) {
                Luck::Repeats
            } else {
                Luck::Good
            }
        } else if self.fault(self.swarm.abort) {
            if self.pick(4) == 3 { Luck::Full } else { Luck::Fails }
        } else {
            Luck::Good
        };
        if luck != Luck::Good {
            self.shared.oracle.note("store faults");
            self.shared.oracle.say(|| {
                format!(
                    "{} t{} {} {luck:?}, written {}",
                    self.steps, gate.tab, gate.verb, gate.written
                )
            });
        }
        self.shared.oracle.trace(&[1, u64::from(gate.tab), luck as u64, gate.device as u64]);
        gate.slot.fill(luck);
    }

    fn tell(&mut self, at: usize) {
        let Telling { to, word } = self.shared.bus.borrow_mut().remove(at);
        if self.fault(self.swarm.deaf) {
            return;
        }
        let Some((_, engine)) = self.tabs.get(&to) else { return };
        let engine = Rc::clone(engine);
        match word {
            Word::Commit(commit) => {
                self.spawn(to, "hear", async move {
                    // A store that does not answer now is asked again by the next word.
                    drop(engine.heard_commit(commit).await);
                });
            }
            Word::Cycle(report) => {
                // What is heard is not told again.
                self.shared.hearing.set(true);
                engine.heard_cycle(report);
                self.shared.hearing.set(false);
            }
            Word::Asked => engine.signal(Signal::SyncNow),
        }
    }

    fn move_message(&mut self, at: usize) {
        let shared = Rc::clone(&self.shared);
        let mut message = shared.net.borrow_mut().remove(at);
        shared.oracle.trace(&[2, message.id, u64::from(message.answer.is_some())]);
        let (id, tab, device) = (message.id, message.tab, message.device);
        if let Some(answer) = message.answer.take() {
            let Some(slot) = message.slot else { return };
            let answer = if self.fault(self.swarm.lose_answer) {
                shared.oracle.say(|| format!("{} answer {id} to t{tab} is lost", self.steps));
                shared.oracle.note("lost answers");
                message.ask.halted(Halt::Unreachable)
            } else {
                match answer {
                    Answer::Push(mut reply) if self.fault(self.swarm.partial) => {
                        if !reply.outcomes.is_empty() {
                            let at = self.pick(reply.outcomes.len().min(256));
                            reply.outcomes.remove(at);
                        }
                        reply.outcomes.reverse();
                        shared.oracle.note("partial answers");
                        Answer::Push(reply)
                    }
                    answer => answer,
                }
            };
            shared
                .oracle
                .say(|| format!("{} answer {id} to t{tab}: {}", self.steps, answer_text(&answer)));
            slot.fill(answer);
            return;
        }
        if self.fault(self.swarm.lose_request) {
            shared.oracle.say(|| format!("{} request {id} of t{tab} is lost", self.steps));
            shared.oracle.note("lost requests");
            if let Some(slot) = message.slot {
                slot.fill(message.ask.halted(Halt::Unreachable));
            }
            return;
        }
        if self.fault(self.swarm.late) && shared.net.borrow().len() < 8 {
            shared.oracle.say(|| format!("{} request {id} of t{tab} is late", self.steps));
            shared.oracle.note("late requests");
            if let Some(slot) = message.slot.take() {
                slot.fill(message.ask.halted(Halt::Unreachable));
            }
            shared.net.borrow_mut().push(message);
            return;
        }
        if self.fault(self.swarm.copy) && shared.net.borrow().len() < 8 {
            shared.oracle.note("copied requests");
            let copy = Message { ask: message.ask.clone(), answer: None, slot: None, ..message };
            shared.net.borrow_mut().push(copy);
        }
        if self.fault(self.swarm.halt) {
            let halts = [
                Halt::Later(None),
                Halt::Later(Some(Millis(7_000))),
                Halt::Foreign,
                Halt::Unreachable,
                Halt::Protocol,
                Halt::Auth,
                Halt::Forbidden,
                Halt::Misconfigured,
            ];
            let halt = halts[self.pick(halts.len())].clone();
            shared.oracle.note("halts");
            shared.oracle.say(|| format!("{} request {id} of t{tab}: {halt:?}", self.steps));
            if let Some(slot) = message.slot {
                slot.fill(message.ask.halted(halt));
            }
            return;
        }
        let now = shared.now.get();
        let answer = match &message.ask {
            Ask::Push(batch) => {
                let whim = self.fault(self.swarm.whim);
                let reply = shared.server.borrow_mut().push(batch, now, whim, &shared.oracle);
                Answer::Push(reply)
            }
            Ask::Pull(cursor) => {
                Answer::Pull(shared.server.borrow_mut().pull(cursor.as_ref(), now))
            }
        };
        shared.oracle.say(|| {
            let ask = match &message.ask {
                Ask::Push(batch) => batch
                    .operations
                    .iter()
                    .map(|it| format!(" {} {:?} on {:?}", it.op, it.intent, it.assumed))
                    .collect::<String>(),
                Ask::Pull(cursor) => format!(" pull {cursor:?}"),
            };
            format!(
                "{} d{device} t{tab} at the server:{ask} -> {}",
                self.steps,
                answer_text(&answer)
            )
        });
        if message.slot.as_ref().is_some_and(Slot::is_awaited) {
            message.answer = Some(answer);
            shared.net.borrow_mut().push(message);
        }
    }

    /// Goes on to the next timer, or only a little.
    fn pass_time(&mut self, a_little: bool) {
        let shared = &self.shared;
        let mut timers = shared.timers.borrow_mut();
        timers.retain(|it| it.slot.is_awaited());
        let Some(next) = timers.iter().map(|it| it.at).min() else { return };
        let now = shared.now.get();
        let at = if a_little { now + 10 * u64::from(self.byte()) } else { next.max(now) };
        shared.now.set(at);
        shared.oracle.trace(&[3, at]);
        for timer in timers.iter().filter(|it| it.at <= at) {
            timer.slot.fill(());
        }
        timers.retain(|it| it.at > at);
    }

    // What users do.

    fn act(&mut self) {
        let device = self.pick(DEVICES);
        let Some(tab) = self.any_tab(device) else {
            if self.tabs_of(device).is_empty() {
                self.open(device);
            }
            return;
        };
        match self.byte() {
            0..=149 => self.write(device, tab),
            150..=179 => self.transact(device, tab),
            180..=214 => self.decide(device, tab),
            215..=225 => {
                let engine = Rc::clone(&self.tabs[&tab].1);
                self.spawn(tab, "sync", async move { drop(engine.sync_now().await) });
            }
            226..=229 => {
                let engine = Rc::clone(&self.tabs[&tab].1);
                self.spawn(tab, "drain", async move { drop(engine.drain().await) });
            }
            230..=239 => {
                let signals = [Signal::Online, Signal::Offline, Signal::Visible, Signal::Hidden];
                let signal = signals[self.pick(signals.len())];
                self.tabs[&tab].1.signal(signal);
            }
            240..=247 => self.read(device, tab),
            248..=251 => {
                self.shared.oracle.say(|| format!("{} t{tab} closes", self.steps));
                self.tabs[&tab].1.close();
                self.run_tasks();
                self.drop_tab(tab);
            }
            252..=255 => {
                if self.tabs_of(device).len() < TABS {
                    self.open(device);
                }
            }
        }
    }

    /// A tab of a device that is up, if there is one.
    pub(crate) fn any_tab(&self, device: usize) -> Option<u32> {
        let mut tabs = self.tabs_of(device);
        tabs.retain(|tab| self.tabs.contains_key(tab));
        (!tabs.is_empty()).then(|| tabs[self.pick(tabs.len())])
    }

    /// A new name, or the newest; where names are few, one that may have been there before.
    fn name(&mut self) -> u32 {
        if self.few {
            return u32::from(self.byte() % 2);
        }
        if self.pick(2) == 0 {
            self.names += 1;
        }
        self.names
    }

    fn value(&self) -> usize {
        self.pick(8)
    }

    /// A customer, or what was pulled of it before anybody here knew that it is the same (R16).
    fn or_as_pulled(&self, device: usize, key: EntityKey) -> EntityKey {
        let server = self.shared.server.borrow();
        let pulled = server.told(&key.id).filter(|_| key.collection == "customers");
        let pulled = pulled.map(|id| EntityKey::new("customers", &**id));
        let place = self.shared.devices[device].borrow();
        let here = pulled.filter(|pulled| place.mirror.records.contains_key(pulled));
        match here {
            Some(pulled) if self.pick(2) == 0 => pulled,
            Some(_) | None => key,
        }
    }

    fn write(&mut self, device: usize, tab: u32) {
        let Some((key, request)) = self.draw(device, &[]) else { return };
        let action = request.action.clone();
        self.shared
            .oracle
            .say(|| format!("{} d{device} t{tab} writes {key:?} {action:?}", self.steps));
        let engine = Rc::clone(&self.tabs[&tab].1);
        let shared = Rc::clone(&self.shared);
        let task = self.spawn(tab, "write", async move {
            let written = engine.write(request).await.map(|written| vec![written.op]);
            judge_written(&shared, device, written);
        });
        self.call(task, Call::of(key, action));
    }

    /// Several writes at once, each on a record of its own; orders may name customers that are made with them.
    fn transact(&mut self, device: usize, tab: u32) {
        let mut drawn: Vec<(EntityKey, WriteRequest)> = Vec::new();
        for _ in 0..2 + self.pick(2) {
            let made = drawn.iter().filter(|(key, it)| {
                key.collection == "customers" && matches!(it.action, Action::Create(_))
            });
            let made: Vec<String> = made.map(|(key, _)| key.id.clone()).collect();
            let member = self.draw(device, &made);
            // Nor on one under two ids (R16).
            let server = self.shared.server.borrow();
            let other = |known: &EntityKey, key: &EntityKey| {
                server.stored_key(known) != server.stored_key(key)
            };
            drawn
                .extend(member.filter(|(key, _)| drawn.iter().all(|(known, _)| other(known, key))));
        }
        let mut members = drawn.iter().map(|(key, it)| (key.clone(), it.action.clone()));
        let Some((key, action)) = members.next() else { return };
        let others = members.collect();
        self.shared
            .oracle
            .say(|| format!("{} d{device} t{tab} writes together {drawn:?}", self.steps));
        let requests = drawn.into_iter().map(|(_, request)| request).collect();
        let engine = Rc::clone(&self.tabs[&tab].1);
        let shared = Rc::clone(&self.shared);
        let task = self.spawn(tab, "write", async move {
            let written = engine.transaction(requests).await;
            shared.oracle.note("transactions");
            let ops = written.map(|it| it.into_iter().map(|(_, op)| op).collect());
            judge_written(&shared, device, ops);
        });
        self.call(task, Call { others, ..Call::of(key, action) });
    }

    /// What a user may write; customers may be named though they are not there yet.
    fn draw(&mut self, device: usize, made: &[String]) -> Option<(EntityKey, WriteRequest)> {
        // Where users count most of the time, one count is changed again before it leaves and after another device's was pulled.
        let counting = self.fault(self.swarm.counting);
        let kind = if counting { self.byte() % 40 } else { self.byte() };
        let key = match kind {
            0..=15 => EntityKey::new("counts", format!("p{device}-{}", self.pick(2))),
            16..=31 => EntityKey::new("counts", format!("s-{}", self.pick(2))),
            32..=111 => {
                let collection = COLLECTIONS[self.pick(COLLECTIONS.len())];
                EntityKey::new(collection, format!("p{device}-{}", self.pick(3)))
            }
            112..=191 => {
                let collection = COLLECTIONS[self.pick(COLLECTIONS.len())];
                EntityKey::new(collection, format!("s-{}", self.pick(2)))
            }
            192..=223 => EntityKey::new("customers", format!("c{device}-{}", self.name())),
            224..=255 => EntityKey::new("orders", format!("o{device}-{}", self.name())),
        };
        let key = self.or_as_pulled(device, key);
        if self.banned.contains(&key) {
            return None;
        }
        let (live, mut customers) = {
            let place = self.shared.devices[device].borrow();
            let is_live = |key: &EntityKey| {
                let view = place.mirror.records.get(key).and_then(|record| record.view.as_ref());
                matches!(view, Some(Presence::Live(_)))
            };
            let customers: Vec<String> = place
                .mirror
                .records
                .keys()
                .filter(|key| key.collection == "customers" && is_live(key))
                .map(|key| key.id.clone())
                .collect();
            (is_live(&key), customers)
        };
        customers.extend_from_slice(made);
        let mut content = String::new();
        for name in ["a", "b", "c"] {
            if self.pick(2) == 0 {
                content += &format!(r#""{name}":{},"#, self.value());
            }
        }
        if !is_private(&key) && self.pick(4) == 3 {
            content += &format!(r#""n":{{"x":{},"y":[{}]}},"#, self.value(), self.value());
        }
        if self.fault(self.swarm.bad) {
            content += r#""bad":true,"#;
        }
        if self.fault(self.swarm.poison) {
            content += r#""poison":1,"#;
        }
        if key.collection == "orders" && !customers.is_empty() {
            let customer = &customers[self.pick(customers.len().min(256))];
            content += &format!(r#""customer":"{customer}","#);
        }
        let text = |content: &str| format!("{{{}}}", content.trim_end_matches(','));
        let action = match (self.byte(), live) {
            // What counts is counted: it is neither replaced nor taken away.
            (_, false) if replay::counts(&key) => {
                Action::Create(document(&format!(r#"{{"{COUNTER}":{}}}"#, self.value())))
            }
            (_, true) if replay::counts(&key) => {
                let shown = self.shown(device, &key).unwrap_or_default();
                let seen = shown.get(COUNTER).and_then(serde_json::Value::as_i64);
                let now = seen.unwrap_or_default() + i64::from(self.byte() % 9) - 4;
                Action::Patch(document(&format!(r#"{{"{COUNTER}":{now}}}"#)))
            }
            (0..=235, false) => Action::Create(document(&text(&content))),
            (0..=150, true) => {
                if self.pick(4) == 3 {
                    content += r#""d":null,"bad":null"#;
                } else if content.is_empty() {
                    content += &format!(r#""d":{}"#, self.value());
                }
                Action::Patch(document(&text(&content)))
            }
            (151..=190, true) | (236..=240, false) => Action::Replace(document(&text(&content))),
            (191..=240, true) | (241..=255, false) => Action::Remove,
            (241..=255, true) => Action::Create(document(&text(&content))),
        };
        let priorities =
            [None, None, None, None, None, Some(Priority::Low), None, Some(Priority::High)];
        let priority = priorities[self.pick(priorities.len())];
        let collection = key.collection.clone();
        let request = WriteRequest { collection, id: Some(key.id.clone()), action, priority };
        Some((key, request))
    }

    /// A person wants back what lost a conflict.
    fn bring_back(&mut self, device: usize, tab: u32) {
        let resolved: Vec<_> = {
            let place = self.shared.devices[device].borrow();
            let conflicts = place.mirror.conflicts.values();
            conflicts.filter(|it| it.resolved.is_some()).cloned().collect()
        };
        if resolved.is_empty() {
            return;
        }
        let conflict = resolved[self.pick(resolved.len().min(256))].clone();
        let Ok(action) = restore(&conflict) else { return };
        if self.banned.contains(&conflict.key) {
            return;
        }
        let (engine, id) = (Rc::clone(&self.tabs[&tab].1), conflict.id);
        self.shared.oracle.say(|| format!("{} d{device} t{tab} restores {id}", self.steps));
        self.shared.oracle.note("restorations");
        let task = self.spawn(tab, "restore", async move { drop(engine.restore(id).await) });
        self.call(task, Call::of(conflict.key, action));
    }

    /// What the users of a device see of a record.
    fn shown(&self, device: usize, key: &EntityKey) -> replay::Doc {
        let place = self.shared.devices[device].borrow();
        let record = place.mirror.records.get(key);
        replay::of_presence(record.and_then(|record| record.view.as_ref()))
    }

    /// A person decides something that waits for one.
    fn decide(&mut self, device: usize, tab: u32) {
        if self.pick(8) == 7 {
            return self.bring_back(device, tab);
        }
        let (conflicts, parked) = {
            let place = self.shared.devices[device].borrow();
            let conflicts: Vec<_> = place
                .mirror
                .conflicts
                .values()
                .filter(|it| it.resolved.is_none() && !replay::counts(&it.key))
                .map(|it| (it.id, it.mine.clone(), it.theirs.clone(), it.fields.clone()))
                .collect();
            let parked: Vec<_> = place
                .mirror
                .ops
                .values()
                .filter(|op| {
                    matches!(op.state, OpState::Parked(Parked::Rejected { .. }))
                        || matches!(op.state, OpState::Blocked { .. })
                })
                .map(|op| op.id)
                .collect();
            (conflicts, parked)
        };
        let all = conflicts.len() + parked.len();
        if all == 0 {
            return;
        }
        let at = self.pick(all.min(256));
        let engine = Rc::clone(&self.tabs[&tab].1);
        let shared = Rc::clone(&self.shared);
        let oracle = &self.shared.oracle;
        oracle.note("decisions");
        if let Some((id, mine, theirs, fields)) = conflicts.get(at).cloned() {
            let choice = match self.pick(5) {
                0 => Choice::Mine,
                1 => Choice::Theirs,
                2 => Choice::Merged(Presence::Live(document(&format!(
                    r#"{{"m":{}}}"#,
                    self.value()
                )))),
                3 if mine.document().is_some() && theirs.document().is_some() => Choice::Fields(
                    fields
                        .into_iter()
                        .map(|path| {
                            (path, if self.pick(2) == 0 { Side::Mine } else { Side::Theirs })
                        })
                        .collect(),
                ),
                3 => Choice::Mine,
                _ => Choice::Merged(Presence::Deleted),
            };
            oracle.say(|| format!("{} d{device} t{tab} resolves {id} {choice:?}", self.steps));
            self.spawn(tab, "resolve", async move {
                if matches!(engine.resolve(id, choice).await, Ok(None)) {
                    let mut ledger = shared.oracle.ledger.borrow_mut();
                    let told = ledger.decided.entry(id).or_default();
                    *told += 1;
                    if *told > 1 {
                        shared.oracle.fail("P19 one decision", format!("{id} was decided twice"));
                    }
                }
            });
            return;
        }
        let id = parked[at - conflicts.len()];
        match self.pick(3) {
            0 => {
                oracle.say(|| format!("{} d{device} t{tab} discards {id}", self.steps));
                let with = [Dependents::Discard, Dependents::Refuse][self.pick(2)];
                self.spawn(tab, "discard", async move { drop(engine.discard(id, with).await) });
            }
            1 => {
                oracle.say(|| format!("{} d{device} t{tab} retries {id}", self.steps));
                self.spawn(tab, "retry", async move { drop(engine.retry(id, None).await) });
            }
            _ => {
                oracle.say(|| format!("{} d{device} t{tab} edits {id}", self.steps));
                let patch = document(r#"{"bad":null,"poison":null}"#);
                let action = Action::Patch(patch.clone());
                let task = self.spawn(tab, "edit", async move {
                    drop(engine.retry(id, Some(&patch)).await);
                });
                self.call(task, Call { action, ..Call::default() });
            }
        }
    }

    /// P12: what the application reads is what the disk says.
    fn read(&mut self, device: usize, tab: u32) {
        let keys: Vec<EntityKey> =
            self.shared.devices[device].borrow().mirror.records.keys().cloned().collect();
        if keys.is_empty() {
            return;
        }
        let key = keys[self.pick(keys.len().min(256))].clone();
        let engine = Rc::clone(&self.tabs[&tab].1);
        let shared = Rc::clone(&self.shared);
        self.spawn(tab, "read", async move {
            let Ok(entity) = engine.get(&key).await else { return };
            let place = shared.devices[device].borrow();
            let own = place.mirror.own(&key);
            let view = place.mirror.records.get(&own).and_then(|record| record.view.as_ref());
            let read = entity.map(|entity| replay::parse(&entity.document));
            if read != replay::of_presence(view) {
                let text = format!("{key:?} reads {read:?}, is {view:?}");
                shared.oracle.fail("P11 read your writes", text);
            }
        });
    }

    // The end.

    /// No more faults and nobody does anything more: only time passes.
    fn heal(&mut self) {
        if self.failed() {
            return;
        }
        self.chaos = false;
        self.shared.oracle.say(|| format!("{} healed at {}", self.steps, self.shared.now.get()));
        self.frozen.clear();
        self.drain_full_devices();
        for device in &self.shared.devices {
            device.borrow_mut().full = false;
        }
        let until = self.shared.now.get() + BOUND_MS;
        let from = self.steps;
        while !self.failed() {
            // A tab whose first read failed in the storm is opened again, as by its user.
            for device in 0..DEVICES {
                if self.tabs_of(device).is_empty() {
                    self.open(device);
                }
            }
            self.run_tasks();
            let unrest = self.unrest();
            let Some(unrest) = unrest else { return };
            if self.shared.now.get() > until || self.steps - from > 30_000 {
                return self.shared.oracle.fail("P8 liveness", unrest);
            }
            self.step();
        }
    }

    /// P27: with a server that answers and not a byte of space every operation reaches the server and its row goes, but for those that
    /// wait for a row to be written.
    fn drain_full_devices(&mut self) {
        let until = self.shared.now.get() + BOUND_MS;
        let from = self.steps;
        while !self.failed() {
            let waiting: Vec<String> = (0..DEVICES).filter_map(|at| self.undrained(at)).collect();
            let Some(waiting) = waiting.into_iter().next() else { return };
            if self.shared.now.get() > until || self.steps - from > 20_000 {
                return self.shared.oracle.fail("P27 drains at full quota", waiting);
            }
            for device in 0..DEVICES {
                if self.tabs_of(device).is_empty() {
                    self.open(device);
                }
            }
            self.run_tasks();
            self.step();
        }
    }

    /// What a full device still has in its outbox and could be rid of.
    fn undrained(&self, index: usize) -> Option<String> {
        let place = self.shared.devices[index].borrow();
        let mirror = &place.mirror;
        // Who never led has no reserve.
        if !place.full || mirror.meta.reserve == 0 {
            return None;
        }
        let server = self.shared.server.borrow();
        let groups = self.shared.oracle.groups;
        let ledger = self.shared.oracle.ledger.borrow();
        let mut stays: BTreeSet<OpId> = BTreeSet::new();
        loop {
            let known = stays.len();
            let stuck = |it: &&Operation| stays.contains(&it.id);
            let more: Vec<OpId> = mirror
                .ops
                .values()
                .filter(|op| {
                    let others = if groups { mirror.mates(op).count() } else { 0 };
                    let needs_a_row = server.needs_a_row(op, others)
                        || mirror.may_rest(op, groups, &ledger.by_file);
                    let parked =
                        !matches!(op.state, OpState::Queued { .. } | OpState::InFlight { .. });
                    // What never left waits for what did, wherever that stands: a file brings it in behind.
                    let away = |it: &Operation| it.is_away() && !op.is_sealed();
                    let before = |it: &&Operation| (it.seq < op.seq || away(it)) && stuck(it);
                    let named = |key: &EntityKey| mirror.queue(key).find(stuck).is_some();
                    let on = |it: &&Operation| it.assumed == Assumed::After(op.id) && stuck(it);
                    parked
                        || needs_a_row
                        || stands_elsewhere(mirror, op)
                        || mirror.queue(&op.key).any(|it| before(&it) || on(&it))
                        || op.refs.iter().any(named)
                        || mirror.mates(op).any(|it| stuck(&it))
                })
                .map(|op| op.id)
                .collect();
            stays.extend(more);
            if stays.len() == known {
                let op = mirror.ops.values().find(|op| !stays.contains(&op.id));
                return op.map(|op| format!("d{index} still has {op:?}"));
            }
        }
    }

    /// What is not at rest yet.
    fn unrest(&self) -> Option<String> {
        let shared = &self.shared;
        if let Some(task) = self.tasks.values().find(|it| it.name != "run") {
            return Some(format!("`{}` of t{} never ends", task.name, task.tab));
        }
        let leads = |engine: &Engine<SimHost>| engine.status().leader;
        for device in 0..DEVICES {
            let Some((_, engine)) =
                self.tabs.values().find(|(it, tab)| *it == device && leads(tab))
            else {
                return Some(format!("nobody leads on d{device}"));
            };
            let status = engine.status();
            if status.connection.kind != "connected" || status.kind == StatusKind::Syncing {
                return Some(format!("d{device} says {status:?}"));
            }
        }
        let last = shared.server.borrow().last_change();
        let history = shared.server.borrow().history();
        let ledger = shared.oracle.ledger.borrow();
        for (index, device) in shared.devices.iter().enumerate() {
            let mirror = &device.borrow().mirror;
            if mirror.drawn.is_some() {
                return Some(format!("d{index} still drains"));
            }
            if let Some(conflict) = mirror.conflicts.values().find(|it| it.asks_resolver()) {
                return Some(format!("d{index} still asks the resolver about {conflict:?}"));
            }
            if let Some(op) = mirror
                .ops
                .values()
                .find(|op| !mirror.may_rest(op, shared.oracle.groups, &ledger.by_file))
            {
                return Some(format!("d{index} still has {op:?}"));
            }
            let Some(row) = mirror.cursors.values().next() else {
                return Some(format!("d{index} never pulled"));
            };
            let at = row.cursor.as_ref().and_then(|cursor| position(&cursor.0, &history));
            if at != Some(last) || row.rebuilding || !row.complete || mirror.meta.pull_due {
                return Some(format!("d{index} is at {row:?} of {last}"));
            }
        }
        if !shared.gates.borrow().is_empty() || !shared.net.borrow().is_empty() {
            return Some("something is on its way".to_owned());
        }
        if !self.questions().is_empty() {
            return Some("the resolver is thinking".to_owned());
        }
        if !shared.bus.borrow().is_empty() {
            return Some("tabs are telling each other".to_owned());
        }
        self.dishonest()
    }

    fn judge_rest(&mut self) {
        let shared = &self.shared;
        let oracle = &shared.oracle;
        for (index, device) in shared.devices.iter().enumerate() {
            self.nothing_lost(index);
            let place = device.borrow();
            let mirror = &place.mirror;
            if mirror.meta.lost.is_some() {
                oracle
                    .fail("P29 eviction", format!("d{index} pulled everything and is still lost"));
            }
            let untold = mirror.untold.clone();
            let read = crate::mirror::Mirror { untold, ..crate::mirror::Mirror::read(&place.disk) };
            if read != *mirror {
                oracle.fail("disk", format!("d{index}: the disk is not what was written"));
            }
            self.converged(index, mirror);
            for key in mirror.records.keys() {
                oracle.view(mirror, key, "at rest");
                oracle.ready(mirror, key, "at rest");
            }
            self.fates_balance(index, mirror);
        }
        self.intents();
        self.sums();
    }

    /// P18: what counts ends at the sum of what every device added to it, whatever came between.
    fn sums(&self) {
        let oracle = &self.shared.oracle;
        let ledger = oracle.ledger.borrow();
        let server = self.shared.server.borrow();
        for (key, order) in ledger.order.iter().filter(|(key, _)| replay::counts(key)) {
            if server.was_set_back(key) || ledger.vague.contains(key) {
                continue;
            }
            let applied = |id: &&OpId| {
                if !ledger.writes.contains_key(*id) {
                    return false;
                }
                match self.whereabouts(&ledger, **id).1 {
                    Chain::Ended(_, fate) => fate == Fate::Applied,
                    // It had left before its database was lost, or before it was handed over.
                    Chain::Outbox(op) => {
                        let away =
                            ledger.evicted.contains_key(*id) || ledger.travelled.contains(&op);
                        away && server.has_applied(op)
                    }
                    Chain::Lost(_) => false,
                }
            };
            let sum: i64 =
                order.iter().filter(applied).filter_map(|id| ledger.differences.get(id)).sum();
            let record = server.record(key).and_then(|record| record.document);
            let found = replay::of_text(record.as_ref().map(|it| it.as_str()));
            let found = found.and_then(|found| found.get(COUNTER)?.as_i64()).unwrap_or_default();
            if found != sum {
                let text = format!("{key:?} is {found}, the differences add up to {sum}");
                oracle.fail("P18 sums", text);
            }
        }
    }

    /// P15: the device has what the server has.
    fn converged(&self, index: usize, mirror: &crate::mirror::Mirror) {
        let oracle = &self.shared.oracle;
        let server = self.shared.server.borrow();
        for (key, record) in server.memory.records() {
            let key = EntityKey::new(&*key.collection, &*key.id);
            let key = server.on_device(mirror, &key);
            let theirs = replay::of_text(record.document.as_ref().map(|it| it.as_str()));
            // R16: what names a record names it as this device does.
            let theirs = server.doc_on_device(mirror, theirs);
            let known = mirror.records.get(&key);
            let base = known.and_then(|it| it.base.as_ref());
            let version = base.and_then(|base| base.version.as_ref()).map(|it| it.text());
            let held = replay::of_presence(base.map(|base| &base.presence));
            if held != theirs || version != Some(record.version.to_string()) {
                let text = format!(
                    "d{index} {key:?}: base {held:?} at {version:?}, server {theirs:?} at {}",
                    record.version
                );
                oracle.fail("P15 convergence", text);
            }
            let view = replay::of_presence(known.and_then(|it| it.view.as_ref()));
            if view != theirs && mirror.queue(&key).next().is_none() {
                let text = format!("d{index} {key:?} shows {view:?}, server has {theirs:?}");
                oracle.fail("P15 convergence", text);
            }
        }
        for (key, record) in &mirror.records {
            let live = record.base.as_ref().is_some_and(|it| it.presence.document().is_some());
            if live && server.record(key).is_none() {
                let text = format!("d{index} {key:?}: the server does not know it: {record:?}");
                oracle.fail("P15 convergence", text);
            }
            let empty = record.base.is_none() && record.server_id.is_none();
            if mirror.queue(key).next().is_none() && empty {
                let text = format!("d{index} {key:?}: neither base nor operations: {record:?}");
                oracle.fail("P15 convergence", text);
            }
        }
    }

    /// R10: the rows of settled operations say what the balance says.
    fn fates_balance(&self, index: usize, mirror: &crate::mirror::Mirror) {
        let counts = mirror.meta.counts;
        let rows = |wanted: fn(&Fate) -> bool| {
            mirror.settled.values().filter(|row| wanted(&row.fate)).count() as u64
        };
        let inside: u64 = mirror.ops.values().map(|op| op.folded.len() as u64).sum();
        let untold =
            |folded: bool| mirror.untold.values().filter(|it| **it == folded).count() as u64;
        let inside = inside + untold(true);
        let applied = rows(|fate| matches!(fate, Fate::Applied)) + untold(false);
        let gone = rows(|fate| matches!(fate, Fate::Folded(_) | Fate::Annihilated));
        let yielded = rows(|fate| matches!(fate, Fate::Yielded(_)));
        let superseded = rows(|fate| matches!(fate, Fate::Superseded(_)));
        let discarded = rows(|fate| matches!(fate, Fate::Discarded));
        let found = [applied, gone + inside, yielded, superseded, discarded];
        let said = [
            counts.applied,
            counts.folded + counts.annihilated,
            counts.yielded,
            counts.superseded,
            counts.discarded,
        ];
        if found != said {
            let text = format!("d{index}: rows {found:?}, balance {said:?}");
            self.shared.oracle.fail("R10 balance", text);
        }
    }

    /// P16: what only one device wrote is on the server as its user meant it.
    fn intents(&self) {
        let oracle = &self.shared.oracle;
        let ledger = oracle.ledger.borrow();
        let server = self.shared.server.borrow();
        // What was written to a customer under both its ids has no one order.
        let twice = |key: &EntityKey| {
            let told = server.told(&key.id).map(|id| EntityKey::new("customers", &**id));
            key.id.starts_with(GIVEN) || told.is_some_and(|told| ledger.order.contains_key(&told))
        };
        // What counts is added up, whatever of it was given up in between.
        let clear = |key: &EntityKey| {
            !replay::counts(key)
                && is_private(key)
                && !ledger.shared.contains(key)
                && !ledger.vague.contains(key)
                && !server.was_set_back(key)
                && !twice(key)
        };
        for (key, order) in ledger.order.iter().filter(|(key, _)| clear(key)) {
            let mut expected = None;
            let mut meant = Vec::new();
            for id in order {
                let (device, action) = match (ledger.writes.get(id), ledger.amendments.get(id)) {
                    (Some(write), _) => (write.device, &write.action),
                    (None, Some(action)) => {
                        let device = order.iter().find_map(|id| ledger.writes.get(id));
                        (device.map_or(0, |it| it.device), action)
                    }
                    (None, None) => continue,
                };
                let (_, chain) = self.whereabouts_from(&ledger, device, *id);
                if ledger.discarded.contains(id) || matches!(chain, Chain::Outbox(_)) {
                    continue;
                }
                // Made and removed again before it left is nothing, whatever was out of sight meanwhile and is seen again.
                if matches!(chain, Chain::Ended(_, Fate::Annihilated)) {
                    continue;
                }
                meant.push(format!("{action:?} {chain:?}"));
                expected = replay::act(expected, action);
            }
            let record = server.record(key);
            let found = record.as_ref().and_then(|it| it.document.as_ref());
            let mut found = replay::of_text(found.map(|it| it.as_str()));
            if let Some(found) = &mut found {
                found.remove(AMENDED);
            }
            if let Some(serde_json::Value::String(id)) =
                expected.as_mut().and_then(|it| it.get_mut("customer"))
            {
                *id = server.stored(id).to_owned();
            }
            if found != expected {
                let text = format!(
                    "{key:?}: {expected:?} was meant, the server has {found:?}: {meant:#?}"
                );
                oracle.fail("P16 intent", text);
            }
        }
    }

    /// P37: at rest the leader's status is the truth.
    fn dishonest(&self) -> Option<String> {
        self.tabs.values().find_map(|(device, engine)| {
            let status = engine.status();
            let place = self.shared.devices[*device].borrow();
            let counts = place.mirror.count();
            let synced = status.kind == StatusKind::Synced;
            let said = (status.outbox.pending, status.outbox.parked, status.conflicts);
            let is = (counts.pending, counts.parked + counts.blocked, counts.conflicts);
            // What another device has is none of what waits here.
            let empty = place.mirror.ops.values().all(is_handed_over);
            let honest = said == is && synced == empty;
            (status.leader && !honest).then(|| format!("d{device} says {status:?} of {counts:?}"))
        })
    }

    /// R9: the outcome of a write is known in any tab, at any time.
    fn ask_outcomes(&mut self) {
        let mut asked = Vec::new();
        let all: Vec<_> = {
            let ledger = self.shared.oracle.ledger.borrow();
            let known = ledger.writes.iter().filter(|(id, _)| !ledger.evicted.contains_key(id));
            known.map(|(id, it)| (*id, it.device)).collect()
        };
        let every = all.len() / 12 + 1;
        for (id, device) in all.into_iter().step_by(every) {
            let chain = follow(&self.shared.devices[device].borrow().mirror, id);
            let waits = {
                let place = self.shared.devices[device].borrow();
                let op = match &chain {
                    Chain::Outbox(op) => place.mirror.op(*op).cloned(),
                    Chain::Ended(..) | Chain::Lost(_) => None,
                };
                op.is_some_and(|op| !matches!(op.state, OpState::Parked(_)))
            };
            let tab = self.tabs.iter().find(|(_, (it, _))| *it == device).map(|(tab, _)| *tab);
            // Handed over before the database was lost: nobody knows of it there.
            let forgotten =
                matches!(chain, Chain::Lost(_)) && self.shared.devices[device].borrow().lives > 0;
            let (Some(tab), false) = (tab, waits || forgotten) else { continue };
            let engine = Rc::clone(&self.tabs[&tab].1);
            let shared = Rc::clone(&self.shared);
            asked.push(self.spawn(tab, "outcome", async move {
                let verdict = engine.outcome(id).await;
                judge_verdict(&shared, device, &chain, verdict);
            }));
        }
        for _ in 0..2_000 {
            self.run_tasks();
            if self.failed() || !asked.iter().any(|id| self.tasks.contains_key(id)) {
                return;
            }
            self.step();
        }
        self.shared.oracle.fail("R9 outcomes", "an outcome is never told");
    }
}

/// P1: what was accepted is stored.
fn judge_written(
    shared: &Shared,
    device: usize,
    written: Result<Vec<holdfast::model::OpId>, holdfast::model::SyncError>,
) {
    let ops = match written {
        Ok(ops) => ops,
        Err(error) => {
            shared.oracle.say(|| format!("    refused: {error}"));
            shared.oracle.note("writes refused");
            return;
        }
    };
    shared.oracle.note("writes accepted");
    let mut ledger = shared.oracle.ledger.borrow_mut();
    let ids = ledger.by_task.get(&shared.task.get()).cloned().unwrap_or_default();
    if ids.len() != ops.len() {
        let text = format!("{ops:?} were accepted, {ids:?} stored");
        shared.oracle.fail("P1 accepted is durable", text);
    }
    ledger.promised.extend(ids);
    drop(ledger);
    let place = shared.devices[device].borrow();
    for op in ops {
        if matches!(follow(&place.mirror, op), Chain::Lost(_)) {
            let text = format!("{op} was accepted and is nowhere");
            shared.oracle.fail("P1 accepted is durable", text);
        }
    }
}

fn judge_verdict(
    shared: &Shared,
    device: usize,
    chain: &Chain,
    verdict: Result<holdfast::engine::Verdict, holdfast::model::SyncError>,
) {
    use holdfast::engine::Verdict;

    let right = match (&verdict, chain) {
        (Ok(Verdict::Applied { .. }), Chain::Ended(_, Fate::Applied))
        | (Ok(Verdict::Annihilated), Chain::Ended(_, Fate::Annihilated))
        | (Ok(Verdict::Discarded), Chain::Ended(_, Fate::Discarded)) => true,
        (Ok(Verdict::HandedOver), Chain::Ended(_, Fate::HandedOver)) => true,
        (Ok(Verdict::HandedOver), Chain::Outbox(op)) => {
            let place = shared.devices[device].borrow();
            place.mirror.op(*op).is_some_and(is_handed_over)
        }
        // It drained, and the tab that knew is gone (R27).
        (Ok(Verdict::Unknown), Chain::Ended(op, Fate::Applied)) => {
            shared.devices[device].borrow().mirror.untold.contains_key(op)
        }
        (Ok(Verdict::Yielded(id)), Chain::Ended(_, Fate::Yielded(known))) => id == known,
        (Ok(Verdict::Conflict(id)), Chain::Outbox(_)) => {
            let place = shared.devices[device].borrow();
            place.mirror.conflicts.get(id).is_some_and(|it| it.resolved.is_none())
        }
        (Ok(Verdict::Rejected { code, .. }), Chain::Outbox(op)) => {
            let key = shared.devices[device].borrow().mirror.op(*op).map(|op| op.key.clone());
            // Of two histories the same version may be two.
            let set_back = key.is_some_and(|key| shared.server.borrow().was_set_back(&key));
            code == "protocol-error" && set_back
                || code == "busy"
                || code == IMPORTED
                || code == "refused"
                || code == "too-large"
                || shared.server.borrow().has_refused(*op, code)
        }
        _ => false,
    };
    if !right {
        shared.oracle.fail("R9 outcomes", format!("{verdict:?} is told of {chain:?}"));
    }
}

fn answer_text(answer: &Answer) -> String {
    match answer {
        Answer::Push(reply) => match &reply.halt {
            Some(halt) => format!("{halt:?}"),
            None => reply.outcomes.iter().map(|it| format!(" {it:?}")).collect(),
        },
        Answer::Pull(Ok(page)) => {
            let changes: String =
                page.changes.iter().map(|it| format!(" {:?}@{:?}", it.key, it.version)).collect();
            format!("page to {} more {}:{changes}", page.next.0, page.more)
        }
        Answer::Pull(Err(halt)) => format!("{halt:?}"),
    }
}

/// What a tab says, to its siblings and to the judges.
fn listen(shared: &Rc<Shared>, device: usize, tab: u32, event: &Event) {
    let word = match event {
        Event::Cycle(_) if shared.hearing.get() => return,
        Event::Commit(commit) => Word::Commit(commit.clone()),
        Event::Cycle(report) => Word::Cycle(report.clone()),
        Event::Asked => Word::Asked,
        Event::Status(status) => {
            if status.kind == StatusKind::Synced
                && let Ok(place) = shared.devices[device].try_borrow()
            {
                let ledger = shared.oracle.ledger.borrow();
                let own = ledger.promised.iter().filter(|id| ledger.writes[*id].tab == tab);
                for id in own {
                    if let Chain::Outbox(op) = follow(&place.mirror, *id)
                        && !place.mirror.op(op).is_some_and(is_handed_over)
                        && !ledger.arriving.contains(&op)
                    {
                        let text = format!("t{tab} says synced and {op} waits");
                        shared.oracle.fail("P37 honesty", text);
                    }
                }
            }
            return;
        }
        Event::Remote(_)
        | Event::Progress(_)
        | Event::AuthRequired
        | Event::Began(_)
        | Event::Ended(_) => return,
    };
    let alive = shared.alive.borrow();
    for (to, at) in alive.iter() {
        if *at == device && *to != tab {
            shared.bus.borrow_mut().push(Telling { to: *to, word: word.clone() });
        }
    }
}
