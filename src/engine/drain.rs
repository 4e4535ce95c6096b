//! A cycle that found no space (R27): what waits leaves all the same, and the server's verdicts are put into effect by deletions.

use super::run::{CycleReport, progress};
use super::{Engine, Event, Stop};
use crate::model::{
    Batch, Code, Durability, Halt, Millis, Need, PushReply, Root, StoreError, SyncError, Term, Verb,
};
use crate::plan::Notice;
use crate::plan::drain::{Drain, Ended, begin, end, settle};
use crate::plan::identity::{at_departure, in_reply};
use crate::plan::push::{Room, Settled};
use crate::port::{Host, Remote};
use crate::schedule::CycleEnd;

/// What follows from what is deleted may leave at once: all of it is strict.
const BEGIN: Verb = Verb { name: "drain.begin", durability: Durability::Strict };
const SETTLE: Verb = Verb { name: "drain.settle", durability: Durability::Strict };
const END: Verb = Verb { name: "drain.end", durability: Durability::Strict };

/// Requests of one cycle.
const ROUNDS: usize = 10_000;

impl<H: Host> Engine<H> {
    /// Drains as far as it goes, then tries to write again.
    pub(super) async fn drain_cycle(
        &self,
        term: Term,
        report: &mut CycleReport,
    ) -> Result<CycleEnd, Stop> {
        let full = || Stop::from(SyncError::from(StoreError::Full));
        if self.drain.borrow().is_none() && !self.begin_drain(term).await? {
            return Err(full());
        }
        let halt = self.drain_rounds(term, report).await?;
        let ended = self.end_drain(term).await;
        match (halt, ended) {
            (_, Err(Stop::Deposed)) => Err(Stop::Deposed),
            (Some(halt), _) => Ok(CycleEnd { halt: Some(halt), next_due: None }),
            // All that could not be stored is asked for once more.
            (None, Ok(true)) => Ok(CycleEnd { halt: None, next_due: Some(Millis(0)) }),
            (None, Ok(false)) => Err(full()),
            (None, Err(failed)) => Err(failed),
        }
    }

    /// Whether there is anything to drain.
    async fn begin_drain(&self, term: Term) -> Result<bool, Stop> {
        // Nothing is sealed for a server that may not be there (R24).
        let draining = self.phase.borrow().draining;
        if !draining && self.phase.borrow().connected != Some(true) {
            return Ok(false);
        }
        let ctx = self.ctx(Some(term));
        let mut roots = vec![Root::Outbox];
        roots.extend(at_departure(&self.config.rules));
        let need = Need::of(roots);
        let drain =
            self.commit_draining(&BEGIN, need, |s| begin(s, self.horizon(), &ctx)).await??;
        let began = drain.is_some();
        *self.drain.borrow_mut() = drain;
        self.show_status();
        Ok(began)
    }

    /// Sends until nothing can leave; why it broke off.
    async fn drain_rounds(
        &self,
        term: Term,
        report: &mut CycleReport,
    ) -> Result<Option<Halt>, Stop> {
        // What the storage did not take in the last cycle.
        self.delete_drained(term).await?;
        for _ in 0..ROUNDS {
            let Some(batch) = self.drain_claim(term).await? else { break };
            let span = self.begin("push");
            let reply = self.host.remote().push(&batch).await;
            self.end(span);
            self.heard_of_the_server(reply.halt.as_ref());
            let settled = self.drain_settle(term, &batch, &reply).await?;
            report.applied += u64::from(settled.applied);
            report.retried += u64::from(settled.retried);
            report.bytes += reply.bytes;
            report.up += reply.up;
            self.watch.tell(&Event::Progress(progress("push", report.applied, report)));
            if !batch.is_indivisible()
                && let Some(halt) = &reply.halt
            {
                self.learn(halt, size_of(&batch));
            }
            match reply.halt {
                None | Some(Halt::TooLarge | Halt::BatchRefused) => {}
                Some(halt) => return Ok(Some(halt)),
            }
        }
        self.uncut();
        Ok(None)
    }

    /// What leaves now: nothing if another tab leads, or if there has been space in the meantime.
    async fn drain_claim(&self, term: Term) -> Result<Option<Batch>, Stop> {
        let s = self.snapshot(Need::default()).await?;
        if s.meta.term != term {
            return Err(Stop::Deposed);
        }
        let ctx = self.ctx(Some(term));
        let mut drain = self.drain.borrow_mut();
        let batch = drain
            .as_mut()
            .filter(|_| s.is_draining())
            .map(|drain| drain.claim(self.room(), &self.config.rules, &ctx));
        Ok(batch.filter(|batch| !batch.is_empty()))
    }

    async fn drain_settle(
        &self,
        term: Term,
        batch: &Batch,
        reply: &PushReply,
    ) -> Result<Settled, Stop> {
        let ctx = self.ctx(Some(term));
        let settled = match self.drain.borrow_mut().as_mut() {
            Some(drain) => drain.hear(batch, reply, &self.config.rules, &ctx),
            None => return Ok(Settled::default()),
        };
        self.delete_drained(term).await?;
        self.look_again().await?;
        self.drained_from_tables(&settled.notice.changed);
        self.publish(settled.notice.clone());
        Ok(settled)
    }

    /// Deletes the rows that say nothing any more.
    async fn delete_drained(&self, term: Term) -> Result<(), Stop> {
        let gone = self.drain.borrow().as_ref().map(Drain::gone).unwrap_or_default();
        if !gone.is_empty() {
            let ctx = self.ctx(Some(term));
            self.commit_draining(&SETTLE, Need::default(), |s| settle(s, &gone, &ctx)).await??;
            if let Some(drain) = self.drain.borrow_mut().as_mut() {
                drain.forget(&gone);
            }
        }
        Ok(())
    }

    /// Whether there was space to write everything.
    async fn end_drain(&self, term: Term) -> Result<bool, Stop> {
        let ctx = self.ctx(Some(term));
        let rules = &self.config.rules;
        let mut roots = vec![Root::Outbox, Root::Cursors];
        let drain = match self.drain.borrow().as_ref() {
            Some(drain) => {
                let (batch, reply) = drain.exchange();
                roots.extend(in_reply(&batch, &reply, rules));
                roots.extend(drain.records().cloned().map(Root::Record));
                roots.extend(drain.is_taken_over().then_some(Root::Records));
                drain.clone()
            }
            None => return Ok(true),
        };
        let need = Need::of(roots);
        let ended = self.commit_draining(&END, need, |s| end(s, &drain, rules, &ctx)).await;
        let notice = match ended {
            Ok(ended) => match ended? {
                Ended::Done(notice) => notice,
                Ended::Repeated => Notice::default(),
                Ended::Unknown => return Ok(false),
            },
            Err(error) if error.code == Code::StorageFull => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        self.drain.take();
        self.look_again().await?;
        self.publish(notice);
        Ok(true)
    }

    /// Asks the server for something without an effect: whether it is there. What it answers is not stored. Where nothing is pulled
    /// at all, the operations themselves have to find out.
    pub(super) async fn probe(&self) -> Result<Option<Halt>, SyncError> {
        let Some(scope) = self.turns().await?.into_iter().next().map(|turn| turn.scope) else {
            return Ok(None);
        };
        let from = self.cursors().await?.remove(&scope).and_then(|row| row.cursor);
        let answer = self.host.remote().pull(&scope, from.as_ref()).await;
        let halt = answer.err().filter(|halt| *halt != Halt::Expired);
        self.heard_of_the_server(halt.as_ref());
        Ok(halt)
    }
}

fn size_of(batch: &Batch) -> Room {
    let bytes = batch.operations.iter().map(|departure| departure.intent.bytes()).sum();
    Room { operations: batch.operations.len(), bytes }
}
