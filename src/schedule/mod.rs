//! When to run a cycle: a machine fed with signals and time. It does no I/O and asks no clock.
//!
//! Its one promise is liveness (P8): while this tab leads and is not paused there is always a time at which it will run
//! again, whatever failed and whoever stays silent.

use crate::model::{Backoff, Halt, Millis, Mono, Term};
use crate::planted::{self, Bug};

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The browser says that there is a network. A hint.
    Online,
    /// The browser says that there is none. A hint.
    Offline,
    /// The page is shown.
    Visible,
    /// The page is hidden, or about to be frozen.
    Hidden,
    /// A write was stored in this tab.
    LocalWrite,
    /// A write was stored in another tab, or the server has news.
    Poke,
    /// The application wants nothing sent.
    Pause,
    /// It does again.
    Resume,
    /// There is a new token.
    Authenticated,
    /// Somebody pressed the button.
    SyncNow,
    /// This tab leads under this term.
    Leading(Term),
    /// It does not lead any more.
    Deposed,
}

/// Why a cycle runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is time.
    Due,
    /// Somebody asked for it.
    Asked,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Run a cycle.
    Run(Reason),
    /// Nothing before this long.
    Wait(Millis),
    /// Nothing until a signal.
    Idle,
}

/// How a cycle ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CycleEnd {
    /// Why it broke off.
    pub halt: Option<Halt>,
    /// How long until an operation may leave that only waits for its time.
    pub next_due: Option<Millis>,
}

/// Waiting times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// After failures.
    pub backoff: Backoff,
    /// Between the first write and the cycle that sends it, so that writes of one gesture leave together.
    pub debounce: Millis,
    /// The longest time without a pull.
    pub pull_every: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Self { backoff: Backoff::default(), debounce: Millis(30), pull_every: Millis(60_000) }
    }
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Scheduler {
    timing: Timing,
    leading: bool,
    paused: bool,
    online: bool,
    /// Somebody asked: failures do not delay this one.
    asked: bool,
    /// When there is something to do.
    due: Option<Mono>,
    /// Not before this, after a failure.
    not_before: Mono,
    failures: u32,
}

impl Scheduler {
    /// A machine that does not lead yet.
    #[must_use]
    pub fn new(timing: Timing) -> Self {
        Self {
            timing,
            leading: false,
            paused: false,
            online: true,
            asked: false,
            due: None,
            not_before: Mono(0),
            failures: 0,
        }
    }

    /// Whether the application paused it.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Takes a signal. `jitter` spreads the first attempts of a fleet that comes back at once (P9).
    pub fn handle_signal(&mut self, signal: Signal, now: Mono, jitter: u64) {
        let spread = Millis(jitter % self.timing.backoff.base.0.max(1));
        match signal {
            Signal::Leading(_) => {
                self.leading = true;
                self.failures = 0;
                self.not_before = now;
                self.want(now.plus(spread));
            }
            Signal::Deposed => self.leading = false,
            Signal::Online => {
                self.online = true;
                self.forgive(now);
                self.want(now.plus(spread));
            }
            Signal::Offline => self.online = false,
            Signal::Visible => self.want(now.plus(spread)),
            Signal::Hidden => {}
            Signal::LocalWrite | Signal::Poke => self.want(now.plus(self.timing.debounce)),
            Signal::Pause => self.paused = true,
            Signal::Resume => {
                self.paused = false;
                self.want(now);
            }
            Signal::Authenticated => {
                self.forgive(now);
                self.want(now);
            }
            Signal::SyncNow => {
                self.asked = true;
                self.forgive(now);
                self.want(now);
            }
        }
    }

    /// A cycle begins: it does what was wanted until now.
    pub fn begin(&mut self) {
        self.due = None;
        self.asked = false;
    }

    /// Takes the end of a cycle and plans the next one.
    pub fn handle_cycle(&mut self, end: &CycleEnd, now: Mono, jitter: u64) {
        let backoff = self.timing.backoff;
        let Some(halt) = &end.halt else {
            self.failures = 0;
            self.not_before = now;
            self.want(now.plus(self.timing.pull_every));
            if let Some(due) = end.next_due {
                self.want(now.plus(due));
            }
            return;
        };
        self.failures = self.failures.saturating_add(1);
        let jittered = backoff.delay(self.failures, jitter);
        let wait = match halt {
            // A server's wish is a lower bound; the jitter keeps a fleet from coming back in step.
            Halt::Later(Some(wish)) => Millis(backoff.respect(*wish).0 + jitter % 1_000),
            Halt::Unreachable if !self.online => backoff.max,
            Halt::Unreachable
            | Halt::Foreign
            | Halt::Later(None)
            | Halt::TooLarge
            | Halt::BatchRefused
            | Halt::Expired
            | Halt::Protocol => jittered,
            // Nothing that we do changes these; a person, an administrator or another release does.
            Halt::Auth | Halt::Forbidden | Halt::Misconfigured | Halt::Unreadable => backoff.max,
        };
        if planted::has(Bug::MissingWakeUp) {
            return;
        }
        self.not_before = now.plus(wait);
        self.want(self.not_before);
    }

    /// What to do at this time.
    #[must_use]
    pub fn poll(&self, now: Mono) -> Next {
        // A person who asks while the application paused it gets one cycle.
        if !self.leading || self.paused && !self.asked {
            return Next::Idle;
        }
        let Some(due) = self.due else { return Next::Idle };
        let at = due.max(self.not_before);
        if at > now {
            Next::Wait(now.until(at))
        } else if self.asked {
            Next::Run(Reason::Asked)
        } else {
            Next::Run(Reason::Due)
        }
    }

    fn want(&mut self, at: Mono) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn forgive(&mut self, now: Mono) {
        self.failures = 0;
        self.not_before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono(10_000);

    fn leading() -> Scheduler {
        let mut machine = Scheduler::new(Timing::default());
        machine.handle_signal(Signal::Leading(Term(1)), NOW, 0);
        machine
    }

    fn failed(halt: Halt) -> CycleEnd {
        CycleEnd { halt: Some(halt), next_due: None }
    }

    /// P22: one tab pushes.
    #[test]
    fn only_a_leader_that_is_not_paused_runs() {
        let mut machine = Scheduler::new(Timing::default());
        machine.handle_signal(Signal::LocalWrite, NOW, 0);
        assert_eq!(machine.poll(Mono(99_999)), Next::Idle);
        machine.handle_signal(Signal::Leading(Term(1)), NOW, 0);
        assert_eq!(machine.poll(NOW), Next::Run(Reason::Due));
        machine.handle_signal(Signal::Pause, NOW, 0);
        assert_eq!(machine.poll(NOW), Next::Idle);
        machine.handle_signal(Signal::SyncNow, NOW, 0);
        assert_eq!(machine.poll(NOW), Next::Run(Reason::Asked));
        machine.begin();
        assert_eq!(machine.poll(NOW), Next::Idle);
        machine.handle_signal(Signal::Resume, NOW, 0);
        machine.handle_signal(Signal::Deposed, NOW, 0);
        assert_eq!(machine.poll(NOW), Next::Idle);
    }

    /// P8: after a failure of every kind, with nobody saying anything more, there is a time to run again.
    #[test]
    fn every_failure_is_followed_by_another_attempt() {
        for halt in [
            Halt::Unreachable,
            Halt::Foreign,
            Halt::Auth,
            Halt::Forbidden,
            Halt::Misconfigured,
            Halt::Later(None),
            Halt::Later(Some(Millis(7_200_000))),
            Halt::TooLarge,
            Halt::BatchRefused,
            Halt::Expired,
            Halt::Protocol,
            Halt::Unreadable,
        ] {
            for online in [Signal::Online, Signal::Offline] {
                let mut machine = leading();
                machine.handle_signal(online, NOW, 0);
                for round in 0..70 {
                    machine.begin();
                    machine.handle_cycle(&failed(halt.clone()), NOW, u64::MAX - round);
                    let wait = match machine.poll(NOW) {
                        Next::Wait(wait) => wait,
                        Next::Run(_) => Millis(0),
                        Next::Idle => panic!("{halt:?} after {round} rounds: no wake-up"),
                    };
                    assert!(wait <= Millis(3_601_000), "{halt:?}: {wait:?}");
                }
            }
        }
    }

    /// A12, P9.
    #[test]
    fn a_wish_of_the_server_is_a_lower_bound() {
        let mut machine = leading();
        machine.begin();
        machine.handle_cycle(&failed(Halt::Later(Some(Millis(5_000)))), NOW, 0);
        machine.handle_signal(Signal::LocalWrite, NOW, 0);
        assert_eq!(machine.poll(NOW), Next::Wait(Millis(5_000)));
    }

    #[test]
    fn a_person_who_asks_does_not_wait() {
        let mut machine = leading();
        machine.begin();
        machine.handle_cycle(&failed(Halt::Unreachable), NOW, 999);
        assert_eq!(machine.poll(NOW), Next::Wait(Millis(999)));
        machine.handle_signal(Signal::SyncNow, NOW, 0);
        assert_eq!(machine.poll(NOW), Next::Run(Reason::Asked));
    }

    /// P8: no wake-up is lost.
    #[test]
    fn a_write_during_a_cycle_is_not_forgotten() {
        let mut machine = leading();
        machine.begin();
        machine.handle_signal(Signal::LocalWrite, NOW, 0);
        machine.handle_cycle(&CycleEnd::default(), NOW, 0);
        assert_eq!(machine.poll(NOW), Next::Wait(Millis(30)));
    }

    /// P8.
    #[test]
    fn an_operation_that_only_waits_for_its_time_wakes_the_loop() {
        let mut machine = leading();
        machine.begin();
        let end = CycleEnd { halt: None, next_due: Some(Millis(700)) };
        machine.handle_cycle(&end, NOW, 0);
        assert_eq!(machine.poll(NOW), Next::Wait(Millis(700)));
        machine.begin();
        machine.handle_cycle(&CycleEnd::default(), NOW, 0);
        assert_eq!(machine.poll(NOW), Next::Wait(Millis(60_000)));
    }
}
