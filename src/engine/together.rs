//! Group commit (R22): writes that come while a transaction is under way share the next one, and so do those of one task. A
//! transaction costs about as much as fifty writes in it; a lone write waits for nobody.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::write::needed;
use super::{Commit, Engine, Stored};
use crate::model::{
    Changeset, Ctx, Durability, GroupId, Need, Snapshot, StoreError, SyncError, Verb,
};
use crate::plan::Notice;
use crate::plan::write::{Write, WrittenTogether, transaction, write};
use crate::port::{Clock, Host, RawStore};
use crate::schedule::Signal;

const WRITE: Verb = Verb { name: "write", durability: Durability::Strict };

/// Writes in one transaction at the most: deciding on them must not hold up the page for longer than a frame.
const AT_ONCE: usize = 256;

type Outcome = Result<WrittenTogether, SyncError>;

/// A write that was asked for.
struct Entry {
    writes: Vec<Write>,
    /// The transaction that they are, if the application asked for one.
    group: Option<GroupId>,
    ctx: Ctx,
    outcome: RefCell<Option<Outcome>>,
    waker: RefCell<Option<Waker>>,
}

impl Entry {
    fn need(&self) -> Need {
        needed(&self.writes)
    }

    fn end(&self, outcome: Outcome) {
        self.outcome.replace(Some(outcome));
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Writes that wait for their transaction.
#[derive(Default)]
pub(super) struct Gathered {
    waiting: RefCell<VecDeque<Rc<Entry>>>,
    under_way: Cell<bool>,
}

impl Gathered {
    /// Those who share the next transaction.
    fn next(&self) -> Vec<Rc<Entry>> {
        let mut waiting = self.waiting.borrow_mut();
        let count = waiting.len().min(AT_ONCE);
        waiting.drain(..count).collect()
    }

    /// Lets one of those who wait begin the next transaction.
    fn hand_on(&self) {
        self.under_way.set(false);
        if let Some(next) = self.waiting.borrow().front() {
            next.wake();
        }
    }
}

/// Whoever waits for a write. A caller that is gone before its transaction began wants nothing any more.
struct Waiter<'a> {
    gathered: &'a Gathered,
    entry: &'a Rc<Entry>,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.gathered.waiting.borrow_mut();
        waiting.retain(|entry| !Rc::ptr_eq(entry, self.entry));
        drop(waiting);
        if !self.gathered.under_way.get() {
            self.gathered.hand_on();
        }
    }
}

/// A transaction under way for these. Dropped midway, with the caller that ran it, it leaves the others to the next: a write
/// that was stored all the same is known by its id then.
struct Turn<'a> {
    gathered: &'a Gathered,
    entries: Vec<Rc<Entry>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let unanswered =
            |entry: &Rc<Entry>| entry.outcome.borrow().is_none() && entry.waker.borrow().is_some();
        let mut waiting = self.gathered.waiting.borrow_mut();
        for entry in self.entries.drain(..).rev().filter(unanswered) {
            waiting.push_front(entry);
        }
        drop(waiting);
        self.gathered.hand_on();
    }
}

impl<H: Host> Engine<H> {
    /// Stores writes, in a transaction that others may share.
    pub(super) async fn store_writes(
        &self,
        writes: Vec<Write>,
        group: Option<GroupId>,
        ctx: Ctx,
    ) -> Outcome {
        let entry = Rc::new(Entry {
            writes,
            group,
            ctx,
            outcome: RefCell::default(),
            waker: RefCell::default(),
        });
        let gathered = &self.gathered;
        gathered.waiting.borrow_mut().push_back(Rc::clone(&entry));
        let _waiter = Waiter { gathered, entry: &entry };
        loop {
            let settled = poll_fn(|cx| {
                if let Some(outcome) = entry.outcome.take() {
                    return Poll::Ready(Some(outcome));
                }
                if !gathered.under_way.get() {
                    return Poll::Ready(None);
                }
                entry.waker.replace(Some(cx.waker().clone()));
                Poll::Pending
            });
            if let Some(outcome) = settled.await {
                return outcome;
            }
            gathered.under_way.set(true);
            let mut turn = Turn { gathered, entries: Vec::new() };
            end_of_task().await;
            turn.entries = gathered.next();
            let notices = self.store_together(&turn.entries).await;
            // Whoever is told may write at once.
            drop(turn);
            for notice in notices {
                self.publish(Commit::written(notice));
                self.signal(Signal::LocalWrite);
            }
        }
    }

    /// One transaction, or one for each where there is no space for all; each entry gets its outcome. What each commit did.
    async fn store_together(&self, entries: &[Rc<Entry>]) -> Vec<Notice> {
        let began = self.host.clock().mono();
        // What a user waits for is worth a place in the profile.
        let spell = self.begin("commit");
        let stored = self.decide_together(entries).await;
        self.heard_of_the_store(stored.as_ref().err());
        self.end(spell);
        let took = began.until(self.host.clock().mono());
        for _ in entries {
            self.metrics.borrow_mut().write(took, stored.is_ok());
        }
        match stored {
            Ok((stored, outcomes)) => {
                stored.into_iter().for_each(|stored| self.note_stored(stored));
                let notices = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok());
                let notice = Notice::of_all(notices.map(|written| &written.notice));
                let accepted = outcomes.iter().any(Result::is_ok);
                for (entry, outcome) in entries.iter().zip(outcomes) {
                    entry.end(outcome);
                }
                if accepted { vec![notice] } else { Vec::new() }
            }
            // Perhaps there is room for some of them.
            Err(StoreError::Full) if entries.len() > 1 => {
                let mut notices = Vec::new();
                for entry in entries {
                    let one = std::slice::from_ref(entry);
                    notices.extend(Box::pin(self.store_together(one)).await);
                }
                notices
            }
            Err(error) => {
                for entry in entries {
                    entry.end(Err(error.clone().into()));
                }
                Vec::new()
            }
        }
    }

    async fn decide_together(
        &self,
        entries: &[Rc<Entry>],
    ) -> Result<(Vec<Stored>, Vec<Outcome>), StoreError> {
        let needs = entries.iter().map(|entry| entry.need()).collect();
        let (mut stored, mut outcomes) = (Vec::new(), Vec::new());
        let mut decide = |turn: usize, s: &Snapshot| {
            // Without the database's own state nothing may be decided (P30).
            let Some(entry) = entries.get(turn).filter(|_| s.has_state()) else {
                return Changeset::default();
            };
            // A repeat of the transaction decides anew (R22).
            outcomes.truncate(turn);
            stored.truncate(turn);
            let (mut changes, outcome) = self.decide_one(entry, s);
            stored.push(Stored::of(s, &mut changes));
            outcomes.push(outcome);
            changes
        };
        self.host.store().run_together(&WRITE, needs, &mut decide).await?;
        if outcomes.len() < entries.len() {
            return Err(StoreError::Lost);
        }
        Ok((stored, outcomes))
    }

    fn decide_one(&self, entry: &Entry, s: &Snapshot) -> (Changeset, Outcome) {
        let (rules, ctx) = (&self.config.rules, &entry.ctx);
        match (entry.group, entry.writes.as_slice()) {
            (None, [one]) => {
                let decision = write(s, one, rules, ctx);
                let outcome = decision.output.map(|written| WrittenTogether {
                    writes: vec![(written.key, written.op)],
                    notice: written.notice,
                });
                (decision.changes, outcome)
            }
            (group, writes) => {
                let group = group.unwrap_or_else(|| ctx.ids.group(0));
                let decision = transaction(s, writes, group, rules, ctx);
                (decision.changes, decision.output)
            }
        }
    }
}

/// Lets the rest of the task run: what it writes too comes along.
async fn end_of_task() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
