//! HTTP through gloo-net: with time-outs, without cookies, caches or redirects, and never more of a body than was asked for.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use gloo_net::http::{Method as HttpMethod, Request as HttpMessage, RequestBuilder, Response};
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    AbortController, AbortSignal, ReadableStream, ReadableStreamDefaultReader, RequestCache,
    RequestCredentials, RequestRedirect,
};

use super::wait::within;
use crate::model::Millis;
use crate::port::{Fetch, FetchError, HttpRequest, HttpResponse, Method};

#[wasm_bindgen]
extern "C" {
    // Not gloo-net's own call: it stops the whole module when a page's wrapper around `fetch` rejects with something that is
    // not an `Error`.
    #[wasm_bindgen(catch, js_name = fetch)]
    fn fetch(request: &web_sys::Request) -> Result<Promise, JsValue>;
}

/// Why a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenReason {
    /// For an ordinary request.
    Initial,
    /// The server refused the last one.
    Refused,
}

impl TokenReason {
    /// As the application sees it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Refused => "refused",
        }
    }
}

/// The application gave no token or signature: it threw, or what it gave is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoToken;

/// What a request takes along beside its address.
#[derive(Debug, Clone, Default)]
pub struct Luggage {
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body as it is sent.
    pub body: Option<Uint8Array>,
}

/// Luggage that is on its way.
pub type PackFuture = Pin<Box<dyn Future<Output = Result<Luggage, NoToken>>>>;

/// What stands between a request and the wire, outside of this module: the application's token and signature, compression and
/// digests.
pub trait Porter: 'static {
    /// Headers and body for a request. The signal is aborted when they are no longer wanted.
    fn pack(&self, request: &HttpRequest, reason: TokenReason, signal: AbortSignal) -> PackFuture;

    /// Whether bytes are those of a `Content-Digest`. What cannot be told is.
    fn is_intact(&self, digest: &str, bytes: &Uint8Array) -> Pin<Box<dyn Future<Output = bool>>>;
}

/// HTTP as a page or a worker has it.
///
/// ```no_run
/// use holdfast::browser::{BrowserFetch, Porter};
/// use holdfast::port::{Fetch, HttpRequest, Method};
/// # async fn example(porter: impl Porter) {
/// let fetch = BrowserFetch::new(porter);
/// let answer = fetch.send(HttpRequest::new(Method::Get, "/api/pull")).await;
/// # }
/// ```
#[derive(Clone)]
pub struct BrowserFetch(Rc<Inner>);

struct Inner {
    porter: Box<dyn Porter>,
    refused: Cell<bool>,
    closed: Cell<bool>,
    /// Of the requests under way, by number.
    controllers: RefCell<Vec<(u64, AbortController)>>,
    next: Cell<u64>,
}

impl BrowserFetch {
    /// Sends with what the porter packs.
    #[must_use]
    pub fn new(porter: impl Porter) -> Self {
        Self(Rc::new(Inner {
            porter: Box::new(porter),
            refused: Cell::new(false),
            closed: Cell::new(false),
            controllers: RefCell::default(),
            next: Cell::new(0),
        }))
    }

    /// Aborts what is under way and sends nothing more.
    pub fn close(&self) {
        self.0.closed.set(true);
        for (_, controller) in self.0.controllers.take() {
            controller.abort();
        }
    }
}

/// A request under way. Dropped before its end, it is aborted.
struct Flight<'a> {
    inner: &'a Inner,
    number: u64,
    controller: AbortController,
}

impl<'a> Flight<'a> {
    fn new(inner: &'a Inner) -> Result<Self, FetchError> {
        if inner.closed.get() {
            return Err(FetchError::Unreachable);
        }
        let controller = AbortController::new().map_err(|_| FetchError::Unreachable)?;
        let number = inner.next.get();
        inner.next.set(number + 1);
        inner.controllers.borrow_mut().push((number, controller.clone()));
        Ok(Self { inner, number, controller })
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.inner.controllers.borrow_mut().retain(|(number, _)| *number != self.number);
        self.controller.abort();
    }
}

impl Fetch for BrowserFetch {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let flight = Flight::new(&self.0)?;
        let signal = flight.controller.signal();
        let exchange = exchange(&self.0, &request, &signal);
        within(request.timeouts.whole, exchange).await.unwrap_or(Err(FetchError::Unreachable))
    }

    fn forget_token(&self) {
        self.0.refused.set(true);
    }
}

async fn exchange(
    inner: &Inner,
    request: &HttpRequest,
    signal: &AbortSignal,
) -> Result<HttpResponse, FetchError> {
    let reason = if inner.refused.get() { TokenReason::Refused } else { TokenReason::Initial };
    let packed = inner.porter.pack(request, reason, signal.clone()).await;
    let luggage = packed.map_err(|NoToken| FetchError::NoToken)?;
    inner.refused.set(false);
    let up = luggage.body.as_ref().map_or(0, |body| body.length().into());
    let message = message(request, luggage, signal)?;
    let answer = async {
        let promise = fetch(&message.into()).ok()?;
        JsFuture::from(promise).await.ok()?.dyn_into::<web_sys::Response>().ok()
    };
    let answer = within(request.timeouts.begin, answer).await.flatten();
    let response = Response::from(answer.ok_or(FetchError::Unreachable)?);
    let header = |name: &str| response.headers().get(name);
    let bytes = read_body(response.body(), request.max_bytes, request.timeouts.idle).await?;
    // The digest is over coded bytes, which a page never sees: where the platform decoded them, nobody can tell.
    let digest =
        header("content-digest").filter(|_| request.digest && header("content-encoding").is_none());
    if let Some(digest) = digest
        && !inner.porter.is_intact(&digest, &Uint8Array::from(&*bytes)).await
    {
        return Err(FetchError::Unreadable);
    }
    Ok(HttpResponse {
        status: response.status(),
        content_type: header("content-type").unwrap_or_default(),
        retry_after: header("retry-after"),
        etag: header("etag"),
        body: String::from_utf8(bytes).map_err(|_| FetchError::Unreadable)?,
        up,
    })
}

fn message(
    request: &HttpRequest,
    luggage: Luggage,
    signal: &AbortSignal,
) -> Result<HttpMessage, FetchError> {
    let method = match request.method {
        Method::Get => HttpMethod::GET,
        Method::Post => HttpMethod::POST,
        Method::Put => HttpMethod::PUT,
        Method::Delete => HttpMethod::DELETE,
    };
    let mut builder = RequestBuilder::new(&request.url)
        .method(method)
        .cache(RequestCache::NoStore)
        .credentials(RequestCredentials::Omit)
        .redirect(RequestRedirect::Error)
        .abort_signal(Some(signal));
    for (name, value) in &luggage.headers {
        builder = builder.header(name, value);
    }
    let message = match luggage.body {
        Some(body) => builder.body(body),
        None => builder.build(),
    };
    message.map_err(|_| FetchError::Unreachable)
}

/// Reads a body to its end, counting decoded bytes; one byte too many ends it, and so does a silence of this length.
///
/// # Errors
/// [`FetchError::Unreadable`] beyond the limit, [`FetchError::Unreachable`] when it breaks off.
pub async fn read_body(
    body: Option<ReadableStream>,
    max_bytes: usize,
    idle: Millis,
) -> Result<Vec<u8>, FetchError> {
    let Some(stream) = body else { return Ok(Vec::new()) };
    let reader = Reader::new(&stream)?;
    let mut bytes = Vec::new();
    loop {
        let chunk = within(idle, JsFuture::from(reader.0.read())).await;
        let chunk = chunk.and_then(Result::ok).ok_or(FetchError::Unreachable)?;
        let member = |name: &str| Reflect::get(&chunk, &name.into());
        if member("done").is_ok_and(|done| done.is_truthy()) {
            return Ok(bytes);
        }
        let value = member("value").ok().and_then(|value| value.dyn_into::<Uint8Array>().ok());
        let value = value.ok_or(FetchError::Unreachable)?;
        if bytes.len() + value.length() as usize > max_bytes {
            return Err(FetchError::Unreadable);
        }
        bytes.extend(value.to_vec());
    }
}

/// Reads a body; what is left of it when this is dropped is not transferred any more.
struct Reader(ReadableStreamDefaultReader);

impl Reader {
    fn new(stream: &ReadableStream) -> Result<Self, FetchError> {
        let reader = ReadableStreamDefaultReader::new(stream);
        reader.map(Self).map_err(|_| FetchError::Unreachable)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // A stream that broke off rejects: nobody is interested.
        let cancelled = JsFuture::from(self.0.cancel());
        spawn_local(async move {
            let _ = cancelled.await;
        });
    }
}
