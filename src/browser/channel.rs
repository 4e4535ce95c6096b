//! Messages to the other tabs of the same database. They are hints: nothing depends on one arriving.

use js_sys::Function;
use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, MessageEvent};

/// A channel to the other tabs. Where the platform has none, nobody hears and nobody is heard.
///
/// ```no_run
/// use holdfast::browser::Channel;
/// let channel = Channel::open("holdfast:till-7", |message| assert!(!message.is_empty()));
/// channel.post("changed");
/// channel.close();
/// ```
pub struct Channel(Option<Open>);

struct Open {
    channel: BroadcastChannel,
    _callback: Closure<dyn FnMut(MessageEvent)>,
}

impl Channel {
    /// Opens the channel of a name. The callback gets texts that other tabs, and other channels of this tab, posted.
    #[must_use]
    pub fn open(name: &str, on_message: impl Fn(String) + 'static) -> Self {
        // The constructor is missing in some engines: the call throws.
        let Ok(channel) = BroadcastChannel::new(name) else { return Self(None) };
        let callback = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(message) = event.data().as_string() {
                on_message(message);
            }
        });
        channel.set_onmessage(Some(callback.as_ref().unchecked_ref::<Function>()));
        Self(Some(Open { channel, _callback: callback }))
    }

    /// Tells the other tabs.
    pub fn post(&self, message: &str) {
        if let Some(Open { channel, .. }) = &self.0 {
            // Fails when it is closed: then nobody listens either.
            let _ = channel.post_message(&message.into());
        }
    }

    /// Hears and says nothing more.
    pub fn close(&self) {
        if let Some(Open { channel, .. }) = &self.0 {
            channel.set_onmessage(None);
            channel.close();
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.close();
    }
}
