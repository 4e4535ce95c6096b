//! Waiting inside one thread: a bell that anybody may ring, and racing a few futures. Small enough to own; a crate for it would
//! be the larger part of what it does.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker};

/// A bell: [`Bell::rung`] resolves at the next ring after it was called.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rings: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Bell {
    /// Wakes everybody who waits.
    pub(super) fn ring(&self) {
        self.rings.set(self.rings.get().wrapping_add(1));
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        for waker in waiting {
            waker.wake();
        }
    }

    /// Resolves at the next ring. Ask for it before looking at what the ring tells of, so that none is missed.
    pub(super) fn rung(&self) -> impl Future<Output = ()> + use<'_> {
        let heard = self.rings.get();
        poll_fn(move |cx| {
            if self.rings.get() != heard {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
    }
}

/// Which of two came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First<A, B> {
    /// The first one.
    Left(A),
    /// The second one.
    Right(B),
}

/// Resolves with the first of two futures; the other is dropped.
pub(super) async fn race<A, B>(
    a: impl Future<Output = A>,
    b: impl Future<Output = B>,
) -> First<A, B> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|cx| {
        if let Poll::Ready(done) = a.as_mut().poll(cx) {
            return Poll::Ready(First::Left(done));
        }
        match b.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(First::Right(done)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
