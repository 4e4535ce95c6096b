//! HTTP as plain data.

use std::future::Future;

use crate::model::Millis;

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Writes.
    Post,
    /// Stores what is at an address.
    Put,
    /// Takes away what is at an address.
    Delete,
}

impl Method {
    /// As it is on the wire.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// A request: what a protocol wants sent, and how. Never holds a token: the adapter adds it, and it is in no log.
///
/// ```
/// use holdfast::port::{HttpRequest, Method};
/// let body = Some("{}".to_owned());
/// let push = HttpRequest { body, gzip_from: Some(1_024), ..HttpRequest::new(Method::Post, "/api/push") };
/// assert!(!push.digest);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// JSON.
    pub body: Option<String>,
    /// How long the exchange may take.
    pub timeouts: Timeouts,
    /// The most bytes that an answer may have, decoded.
    pub max_bytes: usize,
    /// A body of so many bytes or more leaves compressed, where the platform can do it: only for a server that is known to take
    /// `Content-Encoding: gzip`.
    pub gzip_from: Option<usize>,
    /// `Content-Digest` (RFC 9530) goes along over the bytes as they are sent, and one that comes back is checked: an answer
    /// with another digest than its bytes have is not our server's ([`FetchError::Unreadable`]).
    pub digest: bool,
    /// Sent as `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// Sent as `If-None-Match`: an answer with this `ETag` need not come again, and is a 304 without a body then.
    pub if_none_match: Option<String>,
}

impl HttpRequest {
    /// A request of which nothing is known but where it goes.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            body: None,
            timeouts: Timeouts::default(),
            max_bytes: 9 << 20,
            gzip_from: None,
            digest: false,
            idempotency_key: None,
            if_none_match: None,
        }
    }
}

/// How long an exchange may take. A page sees neither a connection being made nor a body leaving: connecting, sending and the
/// server's own work are one wait to it, which ends with the head of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the answer begins.
    pub begin: Millis,
    /// Between two pieces of the answer.
    pub idle: Millis,
    /// For everything, the application's token included.
    pub whole: Millis,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { begin: Millis(20_000), idle: Millis(20_000), whole: Millis(30_000) }
    }
}

impl Timeouts {
    /// For everything at the most; no part may take longer than that.
    #[must_use]
    pub fn within(whole: Millis) -> Self {
        let Self { begin, idle, .. } = Self::default();
        Self { begin: begin.min(whole), idle: idle.min(whole), whole }
    }
}

/// An answer, whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: String,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The `ETag` header.
    pub etag: Option<String>,
    /// The body, decoded.
    pub body: String,
    /// Bytes of the request's body as they left: fewer than it has where it was compressed.
    pub up: u64,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchError {
    /// No connection, a time-out, a redirect, an abort, a body that broke off.
    Unreachable,
    /// A body beyond the limit, not text, or of another digest than the answer says.
    Unreadable,
    /// The application gave no token, or no signature.
    NoToken,
}

/// Sends a request with the application's token.
pub trait Fetch {
    /// One exchange.
    fn send(&self, request: HttpRequest) -> impl Future<Output = Result<HttpResponse, FetchError>>;

    /// The server did not accept the token: the next exchange asks the application for a new one.
    fn forget_token(&self);
}
