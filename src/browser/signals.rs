//! What happens to a page: the network comes and goes, and so does the person in front of it.

use js_sys::{Function, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{Event, EventTarget};

/// What happened. Hints all: `navigator.onLine` is true behind a captive portal, and a page may die without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// There may be a network.
    Online,
    /// There is none.
    Offline,
    /// The page is looked at, or came back from the browser's page cache.
    Visible,
    /// The page is not looked at, and may never be again.
    Hidden,
}

/// Listens until it is dropped.
///
/// ```no_run
/// use holdfast::browser::{Lifecycle, Signals};
/// let signals = Signals::listen(|what| assert_ne!(what, Lifecycle::Hidden));
/// drop(signals);
/// ```
pub struct Signals {
    listeners: Vec<(EventTarget, &'static str)>,
    callback: Closure<dyn FnMut(Event)>,
}

impl Signals {
    /// Calls back for everything that happens from now on, and once for being offline or hidden already.
    #[must_use]
    pub fn listen(on_signal: impl Fn(Lifecycle) + 'static) -> Self {
        if is_offline() {
            on_signal(Lifecycle::Offline);
        }
        if document().is_some_and(|document| is_hidden(&document)) {
            on_signal(Lifecycle::Hidden);
        }
        let callback = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            if let Some(what) = signal(&event.type_()) {
                on_signal(what);
            }
        });
        let mut listeners = Vec::new();
        let mut add = |target: &EventTarget, names: &[&'static str]| {
            for &name in names {
                let function = callback.as_ref().unchecked_ref::<Function>();
                if target.add_event_listener_with_callback(name, function).is_ok() {
                    listeners.push((target.clone(), name));
                }
            }
        };
        let global = js_sys::global().unchecked_into::<EventTarget>();
        add(&global, &["online", "offline", "pagehide", "pageshow"]);
        if let Some(document) = document() {
            add(&document, &["visibilitychange", "freeze", "resume"]);
        }
        Self { listeners, callback }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let function = self.callback.as_ref().unchecked_ref::<Function>();
        for (target, name) in &self.listeners {
            let _ = target.remove_event_listener_with_callback(name, function);
        }
    }
}

fn signal(name: &str) -> Option<Lifecycle> {
    match name {
        "online" => Some(Lifecycle::Online),
        "offline" => Some(Lifecycle::Offline),
        "pagehide" | "freeze" => Some(Lifecycle::Hidden),
        "visibilitychange" | "pageshow" | "resume" => {
            let hidden = document().is_some_and(|document| is_hidden(&document));
            Some(if hidden { Lifecycle::Hidden } else { Lifecycle::Visible })
        }
        _ => None,
    }
}

/// A worker has none.
fn document() -> Option<EventTarget> {
    let document = Reflect::get(&js_sys::global(), &"document".into()).ok()?;
    document.is_object().then(|| document.unchecked_into())
}

fn is_hidden(document: &EventTarget) -> bool {
    let state = Reflect::get(document, &"visibilityState".into()).ok();
    state.and_then(|state| state.as_string()).is_some_and(|state| state == "hidden")
}

fn is_offline() -> bool {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into());
    let online = navigator.and_then(|navigator| Reflect::get(&navigator, &"onLine".into()));
    online.is_ok_and(|online| online.as_bool() == Some(false))
}
