//! The functions of the TypeScript that the core calls. They are written so that they never throw: what an application's callback
//! throws is reported there and arrives here as a word. Whatever throws all the same changes nothing.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal};

use crate::browser::{BrowserClock, GetToken, NoToken, TokenReason};
use crate::model::Millis;
use crate::port::Clock;

/// How long an application's push or pull may take.
const LIMIT: Millis = Millis(60_000);

/// The TypeScript's side of the door.
#[derive(Clone)]
pub(super) struct Callbacks(Rc<Functions>);

struct Functions {
    emit: Function,
    token: Function,
    push: Function,
    pull: Function,
    conflict: Function,
}

/// Which of the remote's two functions.
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
            token: function("token")?,
            push: function("push")?,
            pull: function("pull")?,
            conflict: function("conflict")?,
        })))
    }

    /// A notice of one kind.
    pub(super) fn emit(&self, kind: &str, payload: &JsValue) {
        let _ = self.0.emit.call2(&JsValue::UNDEFINED, &kind.into(), payload);
    }

    /// Asks for tokens, as the HTTP adapter wants it.
    pub(super) fn get_token(&self) -> GetToken {
        let functions = Rc::clone(&self.0);
        Rc::new(move |reason, signal| {
            let answer = functions.token.call2(&JsValue::UNDEFINED, &reason.text().into(), &signal);
            Box::pin(async move {
                let answer = answer.map_err(|_| NoToken)?;
                let token = JsFuture::from(Promise::resolve(&answer)).await.map_err(|_| NoToken)?;
                if token.is_undefined() {
                    return Ok(None);
                }
                token.as_string().map(Some).ok_or(NoToken)
            })
        })
    }

    /// One call of the application's remote with the token of this moment: the text of an answer, or nothing when its time was
    /// over or no token was given.
    pub(super) async fn remote(
        &self,
        ask: Ask,
        text: &str,
        reason: TokenReason,
    ) -> Result<Option<String>, NoToken> {
        let Ok(flight) = AbortController::new().map(Flight) else { return Ok(None) };
        let signal = flight.0.signal();
        let exchange = async {
            let token = self.get_token()(reason, signal.clone()).await?;
            Ok(self.call(ask, text, token, &signal).await)
        };
        within(LIMIT, exchange).await.unwrap_or(Ok(None))
    }

    /// Asks the application's resolver: the text of a resolution, or nothing where it does not decide. Dropped, it is told that
    /// nobody listens any more.
    pub(super) fn conflict(&self, text: &str) -> impl Future<Output = Option<String>> + use<> {
        let flight = AbortController::new().map(Flight).ok();
        let asked = flight.as_ref().and_then(|flight| {
            let function = &self.0.conflict;
            function.call2(&JsValue::UNDEFINED, &text.into(), &flight.0.signal()).ok()
        });
        async move {
            let answer = JsFuture::from(Promise::resolve(&asked?)).await.ok()?.as_string();
            drop(flight);
            answer
        }
    }

    async fn call(
        &self,
        ask: Ask,
        text: &str,
        token: Option<String>,
        signal: &AbortSignal,
    ) -> Option<String> {
        let function = match ask {
            Ask::Push => &self.0.push,
            Ask::Pull => &self.0.pull,
        };
        let token = token.map_or(JsValue::UNDEFINED, JsValue::from);
        let answer = function.call3(&JsValue::UNDEFINED, &text.into(), &token, signal).ok()?;
        JsFuture::from(Promise::resolve(&answer)).await.ok()?.as_string()
    }
}

/// A call under way. Dropped before or after its end, its signal is aborted.
struct Flight(AbortController);

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
