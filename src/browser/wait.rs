//! What a callback sets and a future waits for.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker};

use super::clock::Timer;
use crate::model::Millis;

/// The tasks to be woken when something changed.
#[derive(Debug, Default)]
pub(crate) struct Wakers(RefCell<Vec<Waker>>);

impl Wakers {
    pub(crate) fn add(&self, waker: &Waker) {
        let mut all = self.0.borrow_mut();
        if !all.iter().any(|known| known.will_wake(waker)) {
            all.push(waker.clone());
        }
    }

    pub(crate) fn wake(&self) {
        for waker in self.0.take() {
            waker.wake();
        }
    }

    /// Asks now and after every wake-up, until there is an answer.
    pub(crate) async fn until<T>(&self, mut check: impl FnMut() -> Option<T>) -> T {
        poll_fn(|cx| match check() {
            Some(value) => Poll::Ready(value),
            None => {
                self.add(cx.waker());
                Poll::Pending
            }
        })
        .await
    }
}

/// Gives up on a future, and drops it, when its time is over.
pub(crate) async fn within<T>(limit: Millis, future: impl Future<Output = T>) -> Option<T> {
    let timer = Timer::new(limit);
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if timer.is_over(cx) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// A page that was frozen wakes up with its timers run out before the answers that wait for it are delivered: they may take
/// so long.
const AWAKENING: Millis = Millis(500);

/// As [`within`], for what goes on while a page sleeps.
pub(crate) async fn within_awake<T>(limit: Millis, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for limit in [limit, AWAKENING] {
        if let Some(value) = within(limit, future.as_mut()).await {
            return Some(value);
        }
    }
    None
}
