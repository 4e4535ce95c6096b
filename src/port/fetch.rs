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
}

/// A request. Never holds a token: the adapter adds it, and it is in no log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// JSON.
    pub body: Option<String>,
    /// For the whole exchange.
    pub timeout: Millis,
    /// The most bytes that an answer may have, decoded.
    pub max_bytes: usize,
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
    /// The body, decoded.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchError {
    /// No connection, a time-out, a redirect, an abort, a body that broke off.
    Unreachable,
    /// A body beyond the limit, or not text.
    Unreadable,
    /// The application gave no token.
    NoToken,
}

/// Sends a request with the application's token.
pub trait Fetch {
    /// One exchange.
    fn send(&self, request: HttpRequest) -> impl Future<Output = Result<HttpResponse, FetchError>>;

    /// The server did not accept the token: the next exchange asks the application for a new one.
    fn forget_token(&self);
}
