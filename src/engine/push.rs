//! Pushing: claim, send, settle. Two transactions and a request between them, none of which holds another open.

use super::{Commit, Engine, Stop};
use crate::model::{
    Batch, Durability, Halt, Millis, Mono, Need, PushReply, Root, Scope, SyncError, Term, Verb,
    Wall,
};
use crate::plan::identity::{at_departure, in_reply};
use crate::plan::pace::{Sent, halved, pace, smaller};
use crate::plan::pull::places;
use crate::plan::push::{Room, Settled, claim, must_keep, settle};
use crate::planted::{self, Bug};
use crate::port::{Clock, Host, Remote};

const CLAIM: Verb = Verb { name: "push.claim", durability: Durability::Strict };
const SETTLE: Verb = Verb { name: "push.settle", durability: Durability::Relaxed };
const SETTLE_KEEP: Verb = Verb { name: "push.settle.keep", durability: Durability::Strict };

/// What one request did.
pub(super) enum Pushed {
    /// Nothing could leave.
    Nothing {
        /// When something may.
        next_due: Option<Wall>,
    },
    /// The server gave verdicts.
    Answered {
        /// On these terms.
        settled: Settled,
        /// Bytes on the wire.
        bytes: u64,
        /// Of these, bytes that left.
        up: u64,
        /// Why what is left of the batch has no verdict: a request failed as a whole.
        halt: Option<Halt>,
    },
}

impl<H: Host> Engine<H> {
    pub(super) async fn push_once(&self, term: Term) -> Result<Pushed, Stop> {
        let ctx = self.ctx(Some(term));
        let room = self.room();
        let rules = &self.config.rules;
        let mut roots = vec![Root::Flights, self.ready(room.operations, ctx.now), Root::Cursors];
        roots.extend(at_departure(rules));
        if rules.wire.whole_record || rules.wire.patches {
            roots.push(Root::Bases);
        }
        let need = Need::only(roots);
        let claimed = self.commit(&CLAIM, need, |s| claim(s, room, rules, &ctx)).await??;
        if claimed.batch.is_empty() {
            return Ok(Pushed::Nothing { next_due: claimed.next_due });
        }
        self.publish(Commit::default());
        let span = self.begin("push");
        let began = self.host.clock().mono();
        let reply = self.host.remote().push(&claimed.batch).await;
        self.end(span);
        self.measure(claimed.size, began, reply.halt.as_ref());
        self.heard_of_the_server(reply.halt.as_ref());
        let settled = self.settle(term, &claimed.batch, &reply).await?;
        self.publish(settled.notice.clone());
        // What cannot be made smaller teaches nothing about size: this was its refusal.
        if let Some(halt) = reply.halt.as_ref().filter(|_| !claimed.batch.is_indivisible()) {
            self.learn(halt, claimed.size);
        }
        let PushReply { bytes, up, halt, .. } = reply;
        Ok(Pushed::Answered { settled, bytes, up, halt })
    }

    async fn settle(&self, term: Term, batch: &Batch, reply: &PushReply) -> Result<Settled, Stop> {
        let ctx = self.ctx(Some(term));
        let verb = if must_keep(reply) { &SETTLE_KEEP } else { &SETTLE };
        let mut roots = vec![Root::Cursors];
        roots.extend(batch.operations.iter().map(|departure| Root::Op(departure.op)));
        roots.extend(in_reply(batch, reply, &self.config.rules));
        let aside = reply.page.iter().flat_map(|page| places(&Scope::all(), page));
        roots.extend(aside.map(Root::Quarantine));
        let settled: Result<_, SyncError> = self
            .commit(verb, Need::of(roots), |s| settle(s, batch, reply, &self.config.rules, &ctx))
            .await;
        Ok(settled??)
    }

    /// How large the next request may be. Where nothing can be pulled, one operation asks whether the server is there (R24).
    pub(super) fn room(&self) -> Room {
        let room = smaller(self.room.get(), self.pace.get());
        let phase = self.phase.borrow();
        let asks = phase.connected != Some(true) && phase.unscoped;
        let most = if asks { 1 } else { self.cut.get() };
        Room { operations: room.operations.min(most).max(1), ..room }
    }

    /// Learns from a push how much the link carries.
    fn measure(&self, size: Room, began: Mono, halt: Option<&Halt>) {
        let took = began.until(self.host.clock().mono());
        let sent = Sent { size, took, answered: halt.is_none_or(Halt::is_answer) };
        self.pace.set(pace(self.pace.get(), self.room.get(), sent));
    }

    /// What may leave now.
    pub(super) fn ready(&self, limit: usize, now: Wall) -> Root {
        let groups = self.config.rules.wire.groups;
        Root::Ready { limit, now, horizon: self.horizon(), groups }
    }

    /// A `not_before` further away than the longest wait that we ever plan is a clock that jumped (R19).
    pub(super) fn horizon(&self) -> Millis {
        if planted::has(Bug::ClockStopsQueue) {
            return Millis(u64::MAX);
        }
        let backoff = self.config.rules.backoff;
        backoff.patience.max(backoff.max)
    }

    /// A request that was too large is halved, and the limit remembered; a refused or senseless one is cut down until the
    /// operation that it is about stands alone (PROMISES 3.1).
    pub(super) fn learn(&self, halt: &Halt, size: Room) {
        let half = halved(size);
        match halt {
            Halt::TooLarge if size.operations > 1 => {
                self.room.set(smaller(self.room.get(), half));
            }
            Halt::BatchRefused | Halt::Protocol if size.operations > 1 => {
                self.cut.set(half.operations);
            }
            Halt::TooLarge
            | Halt::BatchRefused
            | Halt::Protocol
            | Halt::Unreachable
            | Halt::Foreign
            | Halt::Auth
            | Halt::Forbidden
            | Halt::Misconfigured
            | Halt::Later(_)
            | Halt::Expired
            | Halt::Unreadable => {}
        }
    }

    /// All that was cut out has its verdict: back to whole batches.
    pub(super) fn uncut(&self) {
        self.cut.set(usize::MAX);
    }
}
