//! The functions of the TypeScript that the core calls. They are written so that they never throw: what an application's callback
//! throws is reported there and arrives here as a word. Whatever throws all the same changes nothing.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use js_sys::{Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal};

use crate::browser::BrowserClock;
#[cfg(feature = "any-backend")]
use crate::browser::TokenReason;
use crate::model::Millis;
use crate::port::Clock;

/// How long an application's push or pull may take, and its validators over one page.
const LIMIT: Millis = Millis(60_000);

/// The TypeScript's side of the door.
#[derive(Clone)]
pub(super) struct Callbacks(Rc<Functions>);

struct Functions {
    emit: Function,
    pack: Function,
    intact: Function,
    #[cfg(feature = "any-backend")]
    push: Function,
    #[cfg(feature = "any-backend")]
    pull: Function,
    conflict: Function,
    check: Function,
}

/// Which of the remote's two functions.
#[cfg(feature = "any-backend")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Push,
    Pull,
}

impl Callbacks {
    pub(super) fn new(from: &JsValue) -> Option<Self> {
        let function = |name: &str| Reflect::get(from, &name.into()).ok()?.dyn_into().ok();
        Some(Self(Rc::new(Functions {
            emit: function("emit")?,
            pack: function("pack")?,
            intact: function("intact")?,
            #[cfg(feature = "any-backend")]
            push: function("push")?,
            #[cfg(feature = "any-backend")]
            pull: function("pull")?,
            conflict: function("conflict")?,
            check: function("check")?,
        })))
    }

    /// A notice of one kind.
    pub(super) fn emit(&self, kind: &str, payload: &JsValue) {
        let _ = self.0.emit.call2(&JsValue::UNDEFINED, &kind.into(), payload);
    }

    /// What an HTTP request takes along; see `porter.rs`.
    pub(super) fn pack(
        &self,
        head: &str,
        body: Option<&str>,
        signal: &AbortSignal,
    ) -> impl Future<Output = Option<JsValue>> + use<> {
        let body = body.map_or(JsValue::UNDEFINED, JsValue::from);
        settled(self.0.pack.call3(&JsValue::UNDEFINED, &head.into(), &body, signal))
    }

    /// Whether bytes are those of a digest.
    pub(super) fn is_intact(
        &self,
        digest: &str,
        bytes: &Uint8Array,
    ) -> impl Future<Output = Option<JsValue>> + use<> {
        settled(self.0.intact.call2(&JsValue::UNDEFINED, &digest.into(), bytes))
    }

    #[cfg(feature = "any-backend")]
    /// One call of the application's remote with the token of this moment: the text of an answer, or nothing when its time was
    /// over.
    pub(super) async fn remote(&self, ask: Ask, text: &str, reason: TokenReason) -> Option<String> {
        let flight = Flight::new()?;
        let function = match ask {
            Ask::Push => &self.0.push,
            Ask::Pull => &self.0.pull,
        };
        let reason = reason.text().into();
        let answer = function.call3(&JsValue::UNDEFINED, &text.into(), &reason, &flight.signal());
        within(LIMIT, settled(answer)).await.flatten()?.as_string()
    }

    /// Asks the application's resolver: the text of a resolution, or nothing where it does not decide. Dropped, it is told that
    /// nobody listens any more.
    pub(super) fn conflict(&self, text: &str) -> impl Future<Output = Option<String>> + use<> {
        let flight = Flight::new();
        let asked = flight.as_ref().map(|flight| {
            self.0.conflict.call2(&JsValue::UNDEFINED, &text.into(), &flight.signal())
        });
        async move {
            let answer = settled(asked?).await?.as_string();
            drop(flight);
            answer
        }
    }

    /// Shows the application's validators what was pulled: the text of the places of what they refuse, or nothing where they did
    /// not answer in time.
    pub(super) async fn check(&self, pulled: &str) -> Option<String> {
        let answer = self.0.check.call1(&JsValue::UNDEFINED, &pulled.into());
        within(LIMIT, settled(answer)).await.flatten()?.as_string()
    }
}

/// What a function's promise comes to; nothing for one that fails.
async fn settled(answer: Result<JsValue, JsValue>) -> Option<JsValue> {
    JsFuture::from(Promise::resolve(&answer.ok()?)).await.ok()
}

/// A call under way. Dropped before or after its end, its signal is aborted.
struct Flight(AbortController);

impl Flight {
    fn new() -> Option<Self> {
        AbortController::new().ok().map(Self)
    }

    fn signal(&self) -> AbortSignal {
        self.0.signal()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn within<T>(limit: Millis, future: impl Future<Output = T>) -> Option<T> {
    let mut over = pin!(BrowserClock.sleep_until(BrowserClock.mono().plus(limit)));
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => over.as_mut().poll(cx).map(|()| None),
    })
    .await
}
