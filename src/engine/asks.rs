//! Asking the application's resolver (R26): one conflict after another, by the tab that leads, beside its cycles and outside of
//! transactions. Whatever the resolver does, the loop goes on and the conflict ends with a person at the latest (P20).

use std::future::{Future, poll_fn};
use std::task::Poll;

use super::resolve::RESOLVE;
use super::wake::{First, race};
use super::{Engine, Stop};
use crate::model::map::Listed;
use crate::model::{Answer, Conflict, ConflictId, Millis, Mono, Need, Root, SyncError, Term};
use crate::plan::asks::{Answered, answer};
use crate::port::{Asking, Clock, Host, Resolver};
use crate::schedule::Signal;

/// How long a resolver may think.
const PATIENCE: Millis = Millis(30_000);

/// How often it is asked again because one of the sides moved meanwhile, the first time included.
const ASKS: u32 = 3;

/// A conflict that the resolver was shown and did not decide yet. It is kept by the tab and not by the term: a resolver that is
/// still thinking when the tab leads again is not asked a second time.
pub(super) struct Question {
    shown: Conflict,
    until: Mono,
    answer: Asking,
}

impl<H: Host> Engine<H> {
    /// Asks whatever there is to ask, for as long as this tab leads.
    pub(super) async fn asks_of(&self, term: Term) {
        while !self.closed.get() {
            let rung = self.questions.rung();
            match self.ask_all(term).await {
                Ok(()) => rung.await,
                Err(Stop::Deposed) => return,
                Err(Stop::Failed(_)) => {
                    let clock = self.host.clock();
                    clock.sleep_until(clock.mono().plus(self.config.timing.backoff.base)).await;
                }
            }
        }
    }

    async fn ask_all(&self, term: Term) -> Result<(), Stop> {
        let asked = self.question.borrow().as_ref().map(|question| question.shown.id);
        if let Some(id) = asked {
            self.ask_about(term, id).await?;
        }
        while self.meta.borrow().counts.asking > 0 {
            let s = self.snapshot(Need::only(vec![Root::Conflicts])).await?;
            self.remember(s.meta);
            let open = s.conflicts.values().filter(|conflict| conflict.asks_resolver());
            let ids: Vec<ConflictId> = open.map(|conflict| conflict.id).listed();
            if ids.is_empty() {
                break;
            }
            for id in ids {
                self.ask_about(term, id).await?;
            }
        }
        Ok(())
    }

    /// Has one conflict decided, or given to a person.
    async fn ask_about(&self, term: Term, id: ConflictId) -> Result<(), Stop> {
        for _ in 0..ASKS {
            let Some(conflict) = self.waiting_for_an_answer(id).await? else {
                self.question.take();
                return Ok(());
            };
            let (shown, said) = self.answer_to(conflict).await;
            let answered = self.put_into_effect(term, &shown, &said).await?;
            // A resolver that did not answer in time is heard no more.
            self.question.take();
            if answered != Answered::Moved {
                return Ok(());
            }
        }
        if let Some(conflict) = self.waiting_for_an_answer(id).await? {
            self.put_into_effect(term, &conflict, &Answer::Person).await?;
        }
        Ok(())
    }

    async fn waiting_for_an_answer(&self, id: ConflictId) -> Result<Option<Conflict>, SyncError> {
        let mut s = self.snapshot(Need::only(vec![Root::Conflict(id)])).await?;
        Ok(s.conflicts.remove(&id).filter(Conflict::asks_resolver))
    }

    /// What the resolver says of a conflict, and of which state of it: it may have been asked under an earlier term.
    async fn answer_to(&self, conflict: Conflict) -> (Conflict, Answer) {
        let clock = self.host.clock();
        let same = |question: &Question| question.shown.id == conflict.id;
        let question = match self.question.take().filter(same) {
            Some(question) => question,
            None => Question {
                until: clock.mono().plus(PATIENCE),
                answer: self.host.resolver().ask(&conflict),
                shown: conflict.clone(),
            },
        };
        let until = question.until;
        self.question.replace(Some(question));
        match race(self.said(), clock.sleep_until(until)).await {
            First::Left(said) => said,
            First::Right(()) => (conflict, Answer::Person),
        }
    }

    /// Resolves when the resolver answers. While it is polled the question is in nobody's hands but its own: a resolver may call
    /// whatever it likes (P26).
    fn said(&self) -> impl Future<Output = (Conflict, Answer)> {
        poll_fn(|cx| {
            let Some(mut question) = self.question.take() else { return Poll::Pending };
            match question.answer.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready((question.shown, answer)),
                Poll::Pending => {
                    self.question.replace(Some(question));
                    Poll::Pending
                }
            }
        })
    }

    async fn put_into_effect(
        &self,
        term: Term,
        shown: &Conflict,
        said: &Answer,
    ) -> Result<Answered, Stop> {
        let ctx = self.ctx(Some(term));
        let call = ctx.ids.op(0);
        let need = Need::of(vec![Root::Conflict(shown.id)]);
        let answered = self
            .commit(&RESOLVE, need, |s| answer(s, shown, said, call, &self.config.rules, &ctx))
            .await??;
        if let Answered::Done { notice } = &answered {
            self.publish(notice.clone());
            self.signal(Signal::LocalWrite);
        }
        Ok(answered)
    }
}
