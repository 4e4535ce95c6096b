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

/// The application gave no token: it threw, or what it gave is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoToken;

/// A token that is on its way; none sends a request without one.
pub type TokenFuture = Pin<Box<dyn Future<Output = Result<Option<String>, NoToken>>>>;

/// Asks the application for a token. The signal is aborted when the answer is no longer wanted.
pub type GetToken = Rc<dyn Fn(TokenReason, AbortSignal) -> TokenFuture>;

/// HTTP as a page or a worker has it.
///
/// ```no_run
/// use holdfast::browser::BrowserFetch;
/// use holdfast::model::Millis;
/// use holdfast::port::{Fetch, HttpRequest, Method};
/// # async fn example() {
/// let fetch = BrowserFetch::new(None, BrowserFetch::CONNECT_LIMIT);
/// let request = HttpRequest {
///     method: Method::Get,
///     url: "/api/pull".to_owned(),
///     body: None,
///     timeout: Millis(30_000),
///     max_bytes: 8 << 20,
/// };
/// let answer = fetch.send(request).await;
/// # }
/// ```
#[derive(Clone)]
pub struct BrowserFetch(Rc<Inner>);

struct Inner {
    get_token: Option<GetToken>,
    connect_limit: Millis,
    refused: Cell<bool>,
    closed: Cell<bool>,
    /// Of the requests under way, by number.
    controllers: RefCell<Vec<(u64, AbortController)>>,
    next: Cell<u64>,
}

impl BrowserFetch {
    /// How long an answer may take to begin. A page cannot see a connection being made, so this includes sending the request and
    /// what the server does before it answers.
    pub const CONNECT_LIMIT: Millis = Millis(20_000);

    /// Sends with the application's tokens, or without any.
    #[must_use]
    pub fn new(get_token: Option<GetToken>, connect_limit: Millis) -> Self {
        Self(Rc::new(Inner {
            get_token,
            connect_limit,
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
        within(request.timeout, exchange).await.unwrap_or(Err(FetchError::Unreachable))
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
    let mut token = None;
    if let Some(get_token) = &inner.get_token {
        let reason = if inner.refused.get() { TokenReason::Refused } else { TokenReason::Initial };
        token = get_token(reason, signal.clone()).await.map_err(|NoToken| FetchError::NoToken)?;
        inner.refused.set(false);
    }
    let message = message(request, token, signal)?;
    let answer = async {
        let promise = fetch(&message.into()).ok()?;
        JsFuture::from(promise).await.ok()?.dyn_into::<web_sys::Response>().ok()
    };
    let answer = within(inner.connect_limit, answer).await.flatten();
    let response = Response::from(answer.ok_or(FetchError::Unreachable)?);
    let header = |name: &str| response.headers().get(name);
    Ok(HttpResponse {
        status: response.status(),
        content_type: header("content-type").unwrap_or_default(),
        retry_after: header("retry-after"),
        body: read_body(response.body(), request.max_bytes).await?,
    })
}

fn message(
    request: &HttpRequest,
    token: Option<String>,
    signal: &AbortSignal,
) -> Result<HttpMessage, FetchError> {
    let method = match request.method {
        Method::Get => HttpMethod::GET,
        Method::Post => HttpMethod::POST,
    };
    let mut builder = RequestBuilder::new(&request.url)
        .method(method)
        .cache(RequestCache::NoStore)
        .credentials(RequestCredentials::Omit)
        .redirect(RequestRedirect::Error)
        .abort_signal(Some(signal))
        .header("Accept", "application/json");
    if let Some(token) = token {
        // Anything else cannot be a header, and gloo-net would stop the module.
        if token.is_empty() || !token.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
            return Err(FetchError::NoToken);
        }
        let mut bearer = String::from("Bearer ");
        bearer.push_str(&token);
        builder = builder.header("Authorization", &bearer);
    }
    let message = match &request.body {
        Some(body) => builder.header("Content-Type", "application/json").body(&**body),
        None => builder.build(),
    };
    message.map_err(|_| FetchError::Unreachable)
}

/// Reads a body to its end, counting decoded bytes; one byte too many ends it.
///
/// # Errors
/// [`FetchError::Unreadable`] beyond the limit and for what is not UTF-8, [`FetchError::Unreachable`] when it breaks off.
pub async fn read_body(
    body: Option<ReadableStream>,
    max_bytes: usize,
) -> Result<String, FetchError> {
    let Some(stream) = body else { return Ok(String::new()) };
    let reader = Reader::new(&stream)?;
    let mut bytes = Vec::new();
    loop {
        let chunk = JsFuture::from(reader.0.read()).await.map_err(|_| FetchError::Unreachable)?;
        let member = |name: &str| Reflect::get(&chunk, &name.into());
        if member("done").is_ok_and(|done| done.is_truthy()) {
            break;
        }
        let value = member("value").ok().and_then(|value| value.dyn_into::<Uint8Array>().ok());
        let value = value.ok_or(FetchError::Unreachable)?;
        if bytes.len() + value.length() as usize > max_bytes {
            return Err(FetchError::Unreadable);
        }
        bytes.extend(value.to_vec());
    }
    String::from_utf8(bytes).map_err(|_| FetchError::Unreadable)
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
