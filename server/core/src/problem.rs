//! Errors of a whole request: RFC 9457 problem details.

use serde::Serialize;

/// Why a whole request was refused. None of its operations had an effect.
///
/// [`Problem::to_json`] is the body, media type `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem; decides status, stable code and title.
    pub kind: ProblemKind,
    /// A sentence for a person. Never a field value, never a token.
    pub detail: String,
    /// Seconds for the `Retry-After` header.
    pub retry_after: Option<u64>,
}

/// The kinds of problem, each with its HTTP status and its stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// 400 `malformed`: not JSON, not the envelope, or a group without all its members.
    Malformed,
    /// 400 `digest-mismatch`: the body is not the one that its `Content-Digest` is of.
    DigestMismatch,
    /// 401 `unauthorized`: no token, or one that is not known.
    Unauthorized,
    /// 403 `forbidden`: the token may not do this.
    Forbidden,
    /// 404 `not-found`: no such path or scope.
    NotFound,
    /// 405 `method-not-allowed`.
    MethodNotAllowed,
    /// 410 `cursor-expired`: pull again without a cursor.
    CursorExpired,
    /// 413 `too-large`: the body, or the number of operations.
    TooLarge,
    /// 415 `unsupported-media-type`: media type or coding of the body.
    UnsupportedMediaType,
    /// 422 `invalid`: the envelope is readable and breaks a rule.
    Invalid,
    /// 429 `rate-limited`, with `Retry-After`.
    RateLimited,
    /// 500 `internal`: the outcome is unknown; send the same again.
    Internal,
    /// 503 `unavailable`, with `Retry-After`.
    Unavailable,
}

impl ProblemKind {
    /// Every kind, in the order of its status.
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::DigestMismatch,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::CursorExpired,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Invalid,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
    ];

    const fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Malformed => (400, "malformed", "The request cannot be read"),
            Self::DigestMismatch => {
                (400, "digest-mismatch", "The body does not have its announced digest")
            }
            Self::Unauthorized => (401, "unauthorized", "A valid bearer token is needed"),
            Self::Forbidden => (403, "forbidden", "This token may not do this"),
            Self::NotFound => (404, "not-found", "There is nothing here"),
            Self::MethodNotAllowed => {
                (405, "method-not-allowed", "This path does not take this method")
            }
            Self::CursorExpired => (410, "cursor-expired", "The cursor is no longer valid"),
            Self::TooLarge => (413, "too-large", "The request is too large"),
            Self::UnsupportedMediaType => {
                (415, "unsupported-media-type", "The body must be application/json")
            }
            Self::Invalid => (422, "invalid", "The request breaks a rule of the protocol"),
            Self::RateLimited => (429, "rate-limited", "Too many requests"),
            Self::Internal => (500, "internal", "The server failed"),
            Self::Unavailable => (503, "unavailable", "The server is not available now"),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.parts().0
    }

    /// The stable code, the `code` member of the body.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.parts().1
    }

    /// The `title` member of the body.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.parts().2
    }
}

#[derive(Serialize)]
struct Body<'a> {
    holdfast: u32,
    r#type: &'a str,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    end: bool,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), retry_after: None }
    }

    /// The same problem, asking the client to come back after so many seconds.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The body of the answer, with both markers.
    #[must_use]
    pub fn to_json(&self) -> String {
        let (status, code, title) = self.kind.parts();
        let body = Body {
            holdfast: crate::PROTOCOL,
            r#type: "about:blank",
            title,
            status,
            code,
            detail: &self.detail,
            end: true,
        };
        // Strings and integers alone: serialising them cannot fail, and an empty body is never ours.
        serde_json::to_string(&body).unwrap_or_default()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.kind.status(), self.kind.code(), self.detail)
    }
}

impl std::error::Error for Problem {}
