//! The wire: what goes to a server and what comes back, as bytes. Pure: a protocol makes requests and reads answers, and
//! [`HttpRemote`] carries them through a [`Fetch`](crate::port::Fetch).

mod http;
mod remote;
mod standard;
pub mod status;

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
mod tests;

use crate::model::{Batch, Capabilities, Cursor, Halt, PullPage, PushReply, Scope, Wall};
use crate::port::{HttpRequest, HttpResponse};

pub use remote::HttpRemote;
pub use standard::Standard;

/// One backend's way to say push and pull. A failure of a whole request is a [`Halt`]; nothing here throws, and what is
/// not understood is never taken as success (P36).
pub trait Protocol {
    /// What the backend can do.
    fn capabilities(&self) -> Capabilities;

    /// The request that carries a batch. The same batch gives the same bytes (P5).
    fn encode_push(&self, batch: &Batch) -> HttpRequest;

    /// The verdicts in an answer to `batch`. `now` is for a `Retry-After` that is a date.
    fn decode_push(&self, batch: &Batch, answer: &HttpResponse, now: Wall) -> PushReply;

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
