//! The loop: lead, then run a cycle whenever the scheduler says so. A cycle pushes until nothing can leave and pulls until the
//! server has no more.

use std::rc::Rc;

use serde::Serialize;

use super::metrics::{KINDS, place};
use super::pull::Paged;
use super::push::Pushed;
use super::wake::{First, race};
use super::watch::{Event, Progress};
use super::{Engine, Stop};
use crate::model::{
    Code, Halt, Meta, Millis, Need, OpState, Operation, Root, Scope, SyncError, Term, Wall,
};
use crate::plan::Notice;
use crate::plan::pull::Part;
use crate::plan::push::Settled;
use crate::plan::scopes::{Turn, TurnState, is_last, next, turns};
use crate::port::{Clock, Host, Leadership, RawStore, Remote, Rng};
use crate::schedule::{CycleEnd, Next, Signal};

/// Batches and pages of one cycle: a server that never comes to an end does not keep us from ever ending.
const ROUNDS: usize = 10_000;

/// Between two clean-ups of history.
const TIDY_EVERY: Millis = Millis(3_600_000);

/// What a cycle did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CycleReport {
    /// Operations that the server has now.
    pub applied: u64,
    /// Operations that met a change of the server's.
    pub conflicts: u64,
    /// Operations that were parked.
    pub parked: u64,
    /// Records that were pulled.
    pub pulled: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Of these, bytes that left.
    pub up: u64,
    /// Operations that leave again later.
    pub retried: u64,
    /// Conflicts by kind: see `metrics::KINDS`.
    pub kinds: [u64; KINDS.len()],
    /// Why it broke off; nothing if it came to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halted: Option<&'static str>,
    /// When the eldest in the outbox was written; nothing if it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Wall>,
}

/// What is left when nothing more can leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drained {
    /// Operations that ended as applied since the database was made.
    pub applied: u64,
    /// Operations that still wait.
    pub pending: u64,
    /// Operations that need a person, or wait for one that does.
    pub parked: u64,
}

impl CycleReport {
    /// What one batch did.
    fn add(&mut self, settled: &Settled, bytes: u64, up: u64) {
        self.applied += u64::from(settled.applied);
        self.conflicts += u64::from(settled.conflicts);
        self.parked += u64::from(settled.parked);
        self.retried += u64::from(settled.retried);
        self.bytes += bytes;
        self.up += up;
        count(&mut self.kinds, &settled.notice);
    }
}

impl<H: Host> Engine<H> {
    /// Leads when it may and syncs while it leads, until [`Engine::close`].
    pub async fn run(self: Rc<Self>) {
        let mut failures = 0;
        while !self.closed.get() {
            let closing = self.until_closed();
            if let First::Right(()) = race(self.host.leadership().acquire(), closing).await {
                break;
            }
            let led = self.lead().await;
            self.phase.borrow_mut().stuck = led.as_ref().err().map(|error| error.code.text());
            if let Ok(term) = led {
                failures = 0;
                self.phase.borrow_mut().leader = true;
                self.signal(Signal::Leading(term));
                self.show_status();
                self.sync_while_leading(term).await;
                {
                    // The lead may have been taken away in the middle of a cycle.
                    let mut phase = self.phase.borrow_mut();
                    phase.leader = false;
                    phase.syncing = false;
                    phase.cramped = false;
                }
                // Another leader may have asked, and written, what this one knows.
                self.drain.take();
                self.signal(Signal::Deposed);
                self.show_status();
            } else {
                self.show_status();
                failures += 1;
                let clock = self.host.clock();
                let backoff = self.config.timing.backoff;
                let wait = backoff.delay(failures, self.host.rng().next()).max(backoff.base);
                let later = clock.sleep_until(clock.mono().plus(wait));
                race(later, self.until_closed()).await;
            }
            self.host.leadership().release();
        }
        // Nobody listens to the resolver any more.
        self.question.take();
    }

    async fn until_closed(&self) {
        while !self.closed.get() {
            self.signals.rung().await;
        }
    }

    async fn sync_while_leading(&self, term: Term) {
        let lost = std::pin::pin!(self.host.leadership().lost());
        let cycles = std::pin::pin!(self.cycles_of(term));
        let asks = std::pin::pin!(self.asks_of(term));
        race(race(cycles, asks), lost).await;
    }

    async fn cycles_of(&self, term: Term) {
        while !self.closed.get() {
            let rung = self.signals.rung();
            let clock = self.host.clock();
            let next = self.scheduler.borrow().poll(clock.mono());
            match next {
                Next::Run(_) => {
                    self.scheduler.borrow_mut().begin();
                    let end = match self.cycle(term).await {
                        Ok(end) => end,
                        Err(Stop::Deposed) => return,
                        // The storage is in trouble: what was claimed is taken back by the next claim.
                        Err(Stop::Failed(_)) => {
                            CycleEnd { halt: Some(Halt::Later(None)), next_due: None }
                        }
                    };
                    let (now, jitter) = (clock.mono(), self.host.rng().next());
                    self.scheduler.borrow_mut().handle_cycle(&end, now, jitter);
                }
                Next::Wait(wait) => {
                    race(clock.sleep_until(clock.mono().plus(wait)), rung).await;
                }
                Next::Idle => rung.await,
            }
        }
    }

    async fn cycle(&self, term: Term) -> Result<CycleEnd, Stop> {
        let began = self.host.clock().mono();
        let span = self.begin("cycle");
        let mut report = CycleReport::default();
        self.phase.borrow_mut().syncing = true;
        self.show_status();
        let result = self.rounds_or_drain(term, &mut report).await;
        self.phase.borrow_mut().syncing = false;
        report.millis = began.until(self.host.clock().mono()).0;
        let end = match &result {
            Ok(end) => end.halt.as_ref().map(halt_name),
            Err(Stop::Deposed) => Some(DEPOSED),
            Err(Stop::Failed(error)) => Some(error.code.text()),
        };
        report.halted = end;
        report.oldest = self.eldest().await;
        {
            let mut phase = self.phase.borrow_mut();
            phase.stuck = stuck(report.halted);
            // A storage that fails may not say it; what was known of what waits is still so, and does not begin anew.
            phase.oldest = report.oldest.or(phase.oldest);
        }
        self.show_status();
        if matches!(&result, Ok(CycleEnd { halt: Some(Halt::Auth), .. })) {
            self.watch.tell(&Event::AuthRequired);
        }
        self.phase.borrow_mut().last_cycle = Some(report.clone());
        self.metrics.borrow_mut().cycle(&report);
        self.end(span);
        self.watch.tell(&Event::Cycle(report));
        self.cycles.ring();
        if matches!(&result, Ok(CycleEnd { halt: None, .. })) {
            self.tidy_at_times().await?;
        }
        result
    }

    async fn tidy_at_times(&self) -> Result<(), Stop> {
        let now = self.host.clock().mono();
        if self.tidied.get().is_none_or(|last| last.until(now) > TIDY_EVERY) {
            self.tidied.set(Some(now));
            while self.tidy().await? > 0 {}
            self.evict_unused().await?;
        }
        Ok(())
    }

    /// Where there is no space, only the outbox gets on (R27).
    async fn rounds_or_drain(
        &self,
        term: Term,
        report: &mut CycleReport,
    ) -> Result<CycleEnd, Stop> {
        let draining = self.phase.borrow().draining;
        if !draining {
            match self.rounds(term, report).await {
                Err(Stop::Failed(error)) if error.code == Code::StorageFull => {}
                ended => return ended,
            }
        }
        self.drain_cycle(term, report).await
    }

    /// Push, then pull; again while pulling made something ready. After silence it pulls first: nothing is sealed for a server
    /// that may not be there, so edits go on folding (R24).
    async fn rounds(&self, term: Term, report: &mut CycleReport) -> Result<CycleEnd, Stop> {
        let halted = |halt| Ok(CycleEnd { halt: Some(halt), next_due: None });
        let probe = self.phase.borrow().connected != Some(true)
            || self.host.remote().capabilities().pull_first;
        self.phase.borrow_mut().pushed = None;
        if probe && let Some(halt) = self.pull(term, report).await? {
            return halted(halt);
        }
        for round in 0.. {
            let pushed = self.push(term, report).await?;
            let next_due = match pushed {
                Ok(next_due) => next_due,
                Err(halt) => return halted(halt),
            };
            // A push that sent nothing after a pull that came to its end: all is done.
            let sent = self.phase.borrow().pushed != Some(false);
            let quiet = !sent && (probe || round > 0);
            if quiet || round > ROUNDS {
                let now = self.host.clock().wall();
                let next_due = next_due.map(|at: Wall| now.until(at));
                return Ok(CycleEnd { halt: None, next_due });
            }
            if let Some(halt) = self.pull(term, report).await? {
                return halted(halt);
            }
        }
        Ok(CycleEnd::default())
    }

    /// Pushes until nothing can leave.
    async fn push(
        &self,
        term: Term,
        report: &mut CycleReport,
    ) -> Result<Result<Option<Wall>, Halt>, Stop> {
        self.phase.borrow_mut().pushed = Some(false);
        let already = report.applied + report.conflicts + report.parked;
        let total = already + self.meta.borrow().counts.pending;
        for _ in 0..ROUNDS {
            match self.push_once(term).await? {
                Pushed::Nothing { next_due } => {
                    self.uncut();
                    return Ok(Ok(next_due));
                }
                Pushed::Answered { settled, bytes, up, halt } => {
                    let verdicts = settled.applied + settled.conflicts + settled.parked;
                    // What was said before a request failed counts; a failure alone is no round.
                    if halt.is_none() || verdicts > 0 {
                        self.phase.borrow_mut().pushed = Some(true);
                        report.add(&settled, bytes, up);
                        let done = report.applied + report.conflicts + report.parked;
                        let progress = progress("push", done, report);
                        let total = Some(total.max(done));
                        self.watch.tell(&Event::Progress(Progress { total, ..progress }));
                    }
                    match halt {
                        None if verdicts == 0 && settled.retried > 0 => {
                            return Ok(Err(Halt::Later(None)));
                        }
                        None | Some(Halt::TooLarge | Halt::BatchRefused) => {}
                        Some(halt) => return Ok(Err(halt)),
                    }
                }
            }
        }
        Ok(Ok(None))
    }

    /// Pulls until the server has no more, of all that the application wants here, or until what is pulled would take the room of
    /// what the user does (P27). What the server says of one scope alone does not stop the others.
    async fn pull(&self, term: Term, report: &mut CycleReport) -> Result<Option<Halt>, Stop> {
        let mut turns = self.turns().await?;
        self.phase.borrow_mut().unscoped = turns.is_empty();
        let mut refusal = None;
        for _ in 0..ROUNDS {
            let space = self.host.store().space().await;
            let cramped = space.is_some_and(|space| !space.has_room_to_pull());
            self.phase.borrow_mut().cramped = cramped;
            if cramped {
                let connected = self.phase.borrow().connected == Some(true);
                return Ok(if connected { refusal } else { self.probe().await? });
            }
            let Some(at) = next(&turns) else { return Ok(refusal) };
            let part = if is_last(&turns, at) { Part::Last } else { Part::OneOfMany };
            let Some(turn) = turns.get_mut(at) else { return Ok(refusal) };
            turn.pages += 1;
            match self.pull_once(term, &turn.scope, part).await? {
                Paged::Halted(halt) if self.is_of_scope(&halt) => {
                    turn.state = TurnState::Failed;
                    self.phase.borrow_mut().scopes.insert(turn.scope.clone(), halt.clone());
                    let all = turns.iter().all(|turn| turn.state == TurnState::Failed);
                    refusal = all.then_some(halt);
                }
                Paged::Halted(halt) => return Ok(Some(halt)),
                Paged::Restarted => turn.rebuilding = true,
                Paged::Gone => turn.state = TurnState::Done,
                Paged::Stored { more, records, bytes, kinds } => {
                    report.kinds.iter_mut().zip(kinds).for_each(|(sum, more)| *sum += more);
                    report.pulled += u64::from(records);
                    report.bytes += bytes;
                    let scope = self.is_selective().then(|| turn.scope.clone());
                    if !more {
                        turn.state = TurnState::Done;
                        self.phase.borrow_mut().scopes.remove(&turn.scope);
                    }
                    let progress = progress("pull", report.pulled, report);
                    self.watch.tell(&Event::Progress(Progress { scope, ..progress }));
                }
            }
        }
        Ok(Some(Halt::Protocol))
    }

    /// The scopes that a pull is made of.
    pub(super) async fn turns(&self) -> Result<Vec<Turn>, SyncError> {
        if self.is_selective() {
            return Ok(turns(&self.cursors().await?));
        }
        Ok(vec![Turn::new(Scope::all(), false)])
    }

    /// Runs one cycle now, by this tab if it leads; the other tabs are asked by the caller's `poke`. Resolves when a cycle ended
    /// that began after the call.
    ///
    /// # Errors
    /// `closed`; `unreachable`, `auth-required` or `protocol-error` where the cycle broke off.
    pub async fn sync_now(&self) -> Result<CycleReport, SyncError> {
        self.check_open()?;
        // A cycle that is running may be past what the caller wants to see done: two ends are awaited then.
        let running = self.phase.borrow().syncing;
        let mut ended = self.cycles.rung();
        self.ask();
        if running {
            ended.await;
            self.check_open()?;
            ended = self.cycles.rung();
            self.ask();
        }
        ended.await;
        self.check_open()?;
        let report = self.phase.borrow().last_cycle.clone().unwrap_or_default();
        match report.halted {
            None => Ok(report),
            Some(name) => Err(halt_error(name)),
        }
    }

    /// Wants a cycle now, of whichever tab leads.
    pub(super) fn ask(&self) {
        self.signal(Signal::SyncNow);
        if !self.phase.borrow().leader {
            self.watch.tell(&Event::Asked);
        }
    }

    /// The leader's cycle, told by its tab.
    pub fn heard_cycle(&self, report: CycleReport) {
        {
            let mut phase = self.phase.borrow_mut();
            let halt = report.halted.and_then(halt_named);
            phase.connected = Some(halt.as_ref().is_none_or(Halt::is_answer));
            phase.halt = halt;
            phase.stuck = stuck(report.halted);
            phase.oldest = report.oldest.or(phase.oldest);
            phase.last_cycle = Some(report.clone());
            phase.syncing = false;
        }
        self.metrics.borrow_mut().cycle(&report);
        self.watch.tell(&Event::Cycle(report));
        self.cycles.ring();
        self.show_status();
    }

    /// When the eldest in the outbox was written: one row is read, and none where it is empty.
    pub(super) async fn eldest(&self) -> Option<Wall> {
        if self.meta.borrow().counts.in_outbox() == 0 {
            return None;
        }
        let s = self.snapshot(Need::only(vec![Root::Eldest])).await.ok()?;
        s.ops.values().next().map(|op| Wall(op.stamp.millis))
    }

    /// Resolves when nothing more can leave: every operation has its verdict or needs a person.
    ///
    /// # Errors
    /// `closed`.
    pub async fn drain(&self) -> Result<Drained, SyncError> {
        self.ask();
        loop {
            self.check_open()?;
            let rung = self.commits.rung();
            // One look: between two, what is on its way may be settled, and the count of before would be told.
            let (may_leave, meta) = self.may_leave().await?;
            let counts = meta.counts;
            self.remember(meta);
            // What the resolver decides may leave.
            if counts.asking == 0 && !may_leave {
                let parked = counts.parked + counts.blocked;
                return Ok(Drained { applied: counts.applied, pending: counts.pending, parked });
            }
            rung.await;
        }
    }
}

impl<H: Host> Engine<H> {
    /// Whether anything is on its way, now or at a later time, and the database's own state. What waits for a parked create is not.
    async fn may_leave(&self) -> Result<(bool, Meta), SyncError> {
        let now = self.host.clock().wall();
        let ready = self.ready(1, now);
        let roots = if self.host.remote().capabilities().versions {
            vec![Root::Balance, Root::Flights, ready]
        } else {
            vec![Root::Balance, Root::Flights, ready, Root::Outbox]
        };
        let s = self.snapshot(Need::only(roots)).await?;
        let on_its_way = |op: &Operation| match op.state {
            OpState::InFlight { .. } | OpState::Acked { .. } => true,
            OpState::Queued { .. } => op.ready,
            OpState::Blocked { .. } | OpState::Parked(_) => false,
        };
        let any = s.next_due.is_some() || s.ops.values().any(on_its_way);
        Ok((any, s.meta))
    }
}

pub(super) fn progress(phase: &'static str, done: u64, report: &CycleReport) -> Progress {
    let CycleReport { conflicts, parked, bytes, .. } = *report;
    Progress { phase, scope: None, done, total: None, conflicts, parked, bytes }
}

/// Counts the conflicts of a commit by kind.
pub(super) fn count(kinds: &mut [u64; KINDS.len()], notice: &Notice) {
    for kind in &notice.kinds {
        if let Some(count) = kinds.get_mut(place(*kind)) {
            *count += 1;
        }
    }
}

/// Another tab leads by now.
const DEPOSED: &str = "deposed";

const HALTS: &[(Halt, &str)] = &[
    (Halt::Unreachable, "unreachable"),
    (Halt::Foreign, "foreign-response"),
    (Halt::Auth, "auth-required"),
    (Halt::Forbidden, "forbidden"),
    (Halt::Misconfigured, "misconfigured"),
    (Halt::Later(None), "rate-limited"),
    (Halt::TooLarge, "too-large"),
    (Halt::BatchRefused, "refused"),
    (Halt::Expired, "expired"),
    (Halt::Protocol, "protocol-error"),
    (Halt::Unreadable, "unreadable"),
];

/// What an answer to a whole request is called.
#[must_use]
pub fn halt_name(halt: &Halt) -> &'static str {
    let same = |known: &Halt| std::mem::discriminant(known) == std::mem::discriminant(halt);
    HALTS.iter().find(|(known, _)| same(known)).map_or("protocol-error", |(_, name)| name)
}

fn halt_named(name: &str) -> Option<Halt> {
    HALTS.iter().find(|(_, known)| *known == name).map(|(halt, _)| halt.clone())
}

/// The report of another tab, as text.
#[must_use]
pub fn halted_as(name: &str) -> Option<&'static str> {
    let codes = || Code::ALL.iter().map(|code| code.text());
    let halts = HALTS.iter().map(|(_, known)| *known).chain([DEPOSED]);
    halts.chain(codes()).find(|known| *known == name)
}

/// Why a cycle came to nothing on this device, where it was neither the server nor another leader.
fn stuck(halted: Option<&'static str>) -> Option<&'static str> {
    halted.filter(|name| *name != DEPOSED && halt_named(name).is_none())
}

/// What an answer about one scope comes to.
pub(super) fn scope_error(halt: &Halt) -> SyncError {
    let code = halt_error(halt_name(halt)).code;
    SyncError::new(code, "the server gave nothing of the scope").at("scope")
}

fn halt_error(name: &str) -> SyncError {
    let code = match name {
        "foreign-response" | "rate-limited" => Code::Unreachable,
        _ => Code::ALL
            .iter()
            .copied()
            .find(|code| code.text() == name)
            .unwrap_or(Code::ProtocolError),
    };
    SyncError::new(code, ["the cycle broke off: ", name].concat())
}
