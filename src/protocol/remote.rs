//! The remote made of a protocol and a fetch.

use super::status::of_error;
use super::{Protocol, Push};
use crate::model::{Batch, Capabilities, Cursor, DeviceId, Halt, PullPage, PushReply, Scope};
use crate::port::{Clock, Fetch, HttpRequest, HttpResponse, Remote};

/// A server behind HTTP.
#[derive(Debug)]
pub struct HttpRemote<P, F, C> {
    protocol: P,
    fetch: F,
    clock: C,
}

impl<P: Protocol, F: Fetch, C: Clock> HttpRemote<P, F, C> {
    /// Puts the parts together. The clock is asked for the time of day alone, for a `Retry-After` that is a date.
    pub fn new(protocol: P, fetch: F, clock: C) -> Self {
        Self { protocol, fetch, clock }
    }

    /// One exchange. After a 401 it is tried once more with a new token (P32): the request had no effect.
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, Halt> {
        let answer = self.fetch.send(request.clone()).await.map_err(of_error)?;
        if answer.status != 401 {
            return Ok(answer);
        }
        self.fetch.forget_token();
        let answer = self.fetch.send(request).await.map_err(of_error)?;
        if answer.status == 401 {
            self.fetch.forget_token();
        }
        Ok(answer)
    }
}

/// Bytes that went over the wire for one exchange, headers aside.
fn bytes(request: &HttpRequest, answer: &HttpResponse) -> u64 {
    sent(request, answer) + answer.body.len() as u64
}

/// Of these, bytes that left.
fn sent(request: &HttpRequest, answer: &HttpResponse) -> u64 {
    request.url.len() as u64 + answer.up
}

impl<P: Protocol, F: Fetch, C: Clock> Remote for HttpRemote<P, F, C> {
    async fn push(&self, batch: &Batch) -> PushReply {
        let mut push = Push::new(batch);
        let (mut both, mut up) = (0, 0);
        while push.reply.halt.is_none()
            && let Some(request) = self.protocol.ask(&push)
        {
            match self.exchange(request.clone()).await {
                Ok(answer) => {
                    self.protocol.hear(&mut push, &answer, self.clock.wall());
                    both += bytes(&request, &answer);
                    up += sent(&request, &answer);
                }
                Err(halt) => push.reply.halt = Some(halt),
            }
        }
        PushReply { bytes: both, up, ..push.reply }
    }

    async fn pull(&self, scope: &Scope, cursor: Option<&Cursor>) -> Result<PullPage, Halt> {
        let request = self.protocol.encode_pull(scope, cursor);
        let answer = self.exchange(request.clone()).await?;
        let mut page = self.protocol.decode_pull(cursor, &answer, self.clock.wall())?;
        page.bytes = bytes(&request, &answer);
        Ok(page)
    }

    fn pulls_for(&self, device: DeviceId) {
        self.protocol.pulls_for(device);
    }

    fn capabilities(&self) -> Capabilities {
        self.protocol.capabilities()
    }
}
