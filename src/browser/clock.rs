//! The two clocks of a page, and timers in windows and workers alike.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Context;

use js_sys::Function;
use wasm_bindgen::prelude::*;

use super::wait::Wakers;
use crate::model::{Millis, Mono, Wall};
use crate::port::Clock;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, millis: i32) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: &JsValue);
    #[wasm_bindgen(thread_local_v2, js_name = performance)]
    static PERFORMANCE: Option<web_sys::Performance>;
}

/// The page's clocks: `Date.now()` and, where there is one, `performance.now()`.
///
/// ```no_run
/// use holdfast::browser::BrowserClock;
/// use holdfast::port::Clock;
/// assert!(BrowserClock.mono() <= BrowserClock.mono());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct BrowserClock;

impl Clock for BrowserClock {
    fn wall(&self) -> Wall {
        Wall(js_sys::Date::now() as u64)
    }

    fn mono(&self) -> Mono {
        let now = PERFORMANCE.with(|it| it.as_ref().map(web_sys::Performance::now));
        Mono(now.unwrap_or_else(js_sys::Date::now) as u64)
    }

    async fn sleep_until(&self, at: Mono) {
        // A timer may be early by a fraction of a millisecond, and cannot be set for more than 24 days.
        loop {
            let left = self.mono().until(at);
            if left == Millis(0) {
                return;
            }
            sleep(left).await;
        }
    }
}

/// Waits once; gives up its timer when dropped.
pub(crate) async fn sleep(span: Millis) {
    let timer = Timer::new(span);
    timer.state.wakers.until(|| timer.state.over.get().then_some(())).await;
}

/// A timer that is running.
pub(crate) struct Timer {
    id: JsValue,
    state: Rc<TimerState>,
    _callback: Closure<dyn FnMut()>,
}

#[derive(Default)]
struct TimerState {
    over: Cell<bool>,
    wakers: Wakers,
}

impl Timer {
    pub(crate) fn new(span: Millis) -> Self {
        let state = Rc::new(TimerState::default());
        let shared = Rc::clone(&state);
        let callback = Closure::<dyn FnMut()>::new(move || {
            shared.over.set(true);
            shared.wakers.wake();
        });
        let millis = i32::try_from(span.0).unwrap_or(i32::MAX);
        let id = set_timeout(callback.as_ref().unchecked_ref(), millis);
        Self { id, state, _callback: callback }
    }

    /// Whether it has run out; if not, the task is woken when it has.
    pub(crate) fn is_over(&self, cx: &Context<'_>) -> bool {
        self.state.wakers.add(cx.waker());
        self.state.over.get()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.id);
    }
}
