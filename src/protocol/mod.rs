//! The wire: what goes to a server and what comes back, as bytes. Pure: a protocol makes requests and reads answers, and
//! [`HttpRemote`] carries them through a [`Fetch`](crate::port::Fetch).

mod http;
mod instant;
pub mod preset;
mod profile;
mod remote;
mod standard;
pub mod status;

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
mod tests;

use crate::model::{Batch, Capabilities, Cursor, DeviceId, Halt, PullPage, PushReply, Scope, Wall};
use crate::port::{HttpRequest, HttpResponse};

pub use profile::{Paging, Rest, RestProfile};
pub use remote::HttpRemote;
pub use standard::Standard;

/// A body below this is not worth compressing: it fills one packet as it is.
pub const GZIP_FROM: usize = 1_024;

/// A push under way: a batch, and what the server has said of it so far. A wire may need several requests for one batch.
#[derive(Debug)]
pub struct Push<'a> {
    /// What leaves.
    pub batch: &'a Batch,
    /// Requests that were answered.
    pub answered: usize,
    /// Operations of which an answer said that they have to be told in other words: by their place in the batch.
    pub otherwise: Vec<usize>,
    /// Verdicts so far. They stay when a later request of the same batch fails (R7).
    pub reply: PushReply,
}

impl<'a> Push<'a> {
    /// A push that has asked nothing yet.
    #[must_use]
    pub fn new(batch: &'a Batch) -> Self {
        Self { batch, answered: 0, otherwise: Vec::new(), reply: PushReply::default() }
    }
}

/// One backend's way to say push and pull. A failure of a whole request is a [`Halt`]; nothing here throws, and what is
/// not understood is never taken as success (P36).
pub trait Protocol {
    /// Whose pulls these are: some wires want to know.
    fn pulls_for(&self, device: DeviceId) {
        let _ = device;
    }

    /// What the backend can do.
    fn capabilities(&self) -> Capabilities;

    /// The request that comes next in a push; none when all has been asked. The same batch and answers give the same bytes (P5).
    fn ask(&self, push: &Push<'_>) -> Option<HttpRequest>;

    /// Takes the answer to the request that [`Protocol::ask`] made. `now` is for a `Retry-After` that is a date. A
    /// [`Halt`] in the reply ends the push.
    fn hear(&self, push: &mut Push<'_>, answer: &HttpResponse, now: Wall);

    /// What the answer to the first request of a push says.
    fn reply(&self, batch: &Batch, answer: &HttpResponse, now: Wall) -> PushReply {
        let mut push = Push::new(batch);
        self.hear(&mut push, answer, now);
        push.reply
    }

    /// The request for what changed after `cursor`.
    fn encode_pull(&self, scope: &Scope, cursor: Option<&Cursor>) -> HttpRequest;

    /// The page in an answer to a pull from `cursor`.
    ///
    /// # Errors
    /// The [`Halt`] that the answer is instead.
    fn decode_pull(
        &self,
        cursor: Option<&Cursor>,
        answer: &HttpResponse,
        now: Wall,
    ) -> Result<PullPage, Halt>;
}

impl Protocol for Box<dyn Protocol> {
    fn pulls_for(&self, device: DeviceId) {
        (**self).pulls_for(device);
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn ask(&self, push: &Push<'_>) -> Option<HttpRequest> {
        (**self).ask(push)
    }

    fn hear(&self, push: &mut Push<'_>, answer: &HttpResponse, now: Wall) {
        (**self).hear(push, answer, now);
    }

    fn encode_pull(&self, scope: &Scope, cursor: Option<&Cursor>) -> HttpRequest {
        (**self).encode_pull(scope, cursor)
    }

    fn decode_pull(
        &self,
        cursor: Option<&Cursor>,
        answer: &HttpResponse,
        now: Wall,
    ) -> Result<PullPage, Halt> {
        (**self).decode_pull(cursor, answer, now)
    }
}
