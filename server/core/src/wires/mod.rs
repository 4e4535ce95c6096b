//! Five backends as their clients know them, over one store: what they read, decide and answer.
//!
//! Each wire is a pair of steps. [`Wire::read`] makes a [`Request`] of a call, without the store;
//! [`Request::answer`] runs it inside one transaction. The caller commits when it gives `Ok`, and
//! rolls back otherwise; [`Wire::refusal`] is the body of a [`Problem`] in the wire's own words.
//!
//! ```
//! use holdfast_server_core::{Memory, Call, Method, Terms, User, Wire};
//! let (mut store, terms) = (Memory::new("e1"), Terms::default());
//! let body = br#"{"device_id":"till-7","operations":[{"id":1,"entity_type":"suppliers",
//!     "entity_uuid":"s-1","operation":"create","version":0,"payload":{"name":"Wanjiru"},
//!     "created_at":"2026-11-20T10:15:30.123Z"}]}"#;
//! let call = Call { body, ..Call::new(Method::Post, "/api/sync/push", User::member(1)) };
//! let request = Wire::PayTrack.read(&call, &terms)?;
//! let answer = request.answer(&mut store, &terms, 1_795_169_760_001)?;
//! assert_eq!(answer.status, 200);
//! assert!(answer.body.contains(r#""status":"success","version":1"#), "{}", answer.body);
//! # Ok::<(), holdfast_server_core::Problem>(())
//! ```

mod arxos;
mod auraconnect;
mod auraconnect_mobile;
mod book;
mod digest;
mod paytrack;
mod seed;
mod shape;
mod time;
mod trackvault;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::limits::Limits;
use crate::object::Object;
use crate::problem::{Problem, ProblemKind};
use crate::store::{Record, Tx};
use crate::wire::Key;

pub use digest::content_digest;
pub use seed::{Given, give};

/// One of the five backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wire {
    /// AuraConnect: `GET /api/sync/pull`, `POST /api/sync/push`.
    AuraConnect,
    /// AuraConnect mobile: `POST /sync/orders`, `/sync/shifts`, `/sync/menu`, `/sync/conflict/resolve`.
    AuraConnectMobile,
    /// TrackVault: `POST /api/sync`, and the ordinary list of each table.
    TrackVault,
    /// ArxOS: single calls and a batch under `/api/v1/mobile`.
    ArxOs,
    /// PayTrack: `POST /api/sync/push`, `GET /api/sync/pull`.
    PayTrack,
}

/// A method that some wire takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Role {
    /// Read.
    Reader,
    /// Read and write.
    #[default]
    Member,
    /// Read and write, the menu of AuraConnect mobile too.
    Admin,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The number of the user.
    pub id: u64,
    /// What he may do.
    pub role: Role,
}

impl User {
    /// A user who may read and write.
    #[must_use]
    pub const fn member(id: u64) -> Self {
        Self { id, role: Role::Member }
    }
}

/// One call of a client: HTTP as data, its body decoded.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// The path, percent-decoded, below what the wire is mounted at.
    pub path: &'a str,
    /// The parameters of the query, decoded.
    pub query: &'a [(String, String)],
    /// The header `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
    /// Who asks.
    pub user: User,
}

impl<'a> Call<'a> {
    /// A call without a query, a condition and a body.
    #[must_use]
    pub const fn new(method: Method, path: &'a str, user: User) -> Self {
        Self { method, path, query: &[], if_none_match: None, body: b"", user }
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is a whole number within bounds.
    fn number(&self, name: &str, from: usize, to: usize) -> Result<Option<usize>, Problem> {
        let Some(text) = self.parameter(name) else { return Ok(None) };
        match text.parse().ok().filter(|number| (from..=to).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(malformed(format!("{name} must be {from} to {to}"))),
        }
    }
}

/// Whether a request only reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It has no effect.
    Read,
    /// It may have one.
    Write,
}

/// Whether the entity lists are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checks {
    /// Every field is checked.
    #[default]
    Fields,
    /// Any document will do; unique keys and references hold all the same.
    Nothing,
}

/// What holds for every request.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Bytes and depth.
    pub limits: Limits,
    /// Whether the entity lists are kept.
    pub checks: Checks,
}

/// An answer: HTTP as data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// JSON; empty for 204 and 304.
    pub body: String,
    /// The header `ETag`.
    pub etag: Option<String>,
}

impl Answer {
    fn json(status: u16, body: &impl Serialize) -> Self {
        // String keys and finite numbers alone: this cannot fail, and an empty body is no answer.
        let body = serde_json::to_string(body).unwrap_or_default();
        Self { status, body, etag: None }
    }
}

/// A request that was read and awaits its transaction.
#[derive(Debug)]
pub struct Request {
    access: Access,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    AuraConnect(auraconnect::Request),
    AuraConnectMobile(auraconnect_mobile::Request),
    TrackVault(trackvault::Request),
    ArxOs(arxos::Request),
    PayTrack(paytrack::Request),
}

impl Wire {
    /// Every wire.
    pub const ALL: [Self; 5] =
        [Self::AuraConnect, Self::AuraConnectMobile, Self::TrackVault, Self::ArxOs, Self::PayTrack];

    /// Its name, which is also the path that it is mounted at: `paytrack` at `/paytrack`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuraConnect => "auraconnect",
            Self::AuraConnectMobile => "auraconnect-mobile",
            Self::TrackVault => "trackvault",
            Self::ArxOs => "arxos",
            Self::PayTrack => "paytrack",
        }
    }

    /// The wire of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wire| wire.name() == name)
    }

    /// Whether a request's body may be compressed with gzip.
    #[must_use]
    pub const fn takes_gzip(self) -> bool {
        match self {
            Self::AuraConnect | Self::ArxOs | Self::PayTrack => true,
            Self::AuraConnectMobile | Self::TrackVault => false,
        }
    }

    /// Whether a `Content-Digest` of a request is verified.
    #[must_use]
    pub const fn verifies_digest(self) -> bool {
        match self {
            Self::AuraConnect | Self::PayTrack => true,
            Self::AuraConnectMobile | Self::TrackVault | Self::ArxOs => false,
        }
    }

    /// Whether answers carry a `Content-Digest`.
    #[must_use]
    pub const fn sends_digest(self) -> bool {
        match self {
            Self::PayTrack => true,
            Self::AuraConnect | Self::AuraConnectMobile | Self::TrackVault | Self::ArxOs => false,
        }
    }

    /// The methods that a path takes, `None` where there is no such path.
    #[must_use]
    pub fn methods(self, path: &str) -> Option<&'static [Method]> {
        match self {
            Self::AuraConnect => auraconnect::methods(path),
            Self::AuraConnectMobile => auraconnect_mobile::methods(path),
            Self::TrackVault => trackvault::methods(path),
            Self::ArxOs => arxos::methods(path),
            Self::PayTrack => paytrack::methods(path),
        }
    }

    /// Reads a call. The store is not looked at.
    ///
    /// # Errors
    /// `not-found` and `method-not-allowed` for a wrong path and method; `malformed`, `too-large`,
    /// `invalid` and `forbidden` as the wire says. A single bad operation is no error: it gets its
    /// own verdict.
    pub fn read(self, call: &Call<'_>, terms: &Terms) -> Result<Request, Problem> {
        let methods = self
            .methods(call.path)
            .ok_or_else(|| Problem::new(ProblemKind::NotFound, "No such path"))?;
        if !methods.contains(&call.method) {
            let detail = "This path does not take this method";
            return Err(Problem::new(ProblemKind::MethodNotAllowed, detail));
        }
        if call.body.len() > terms.limits.request_bytes {
            let detail = format!("At most {} bytes", terms.limits.request_bytes);
            return Err(Problem::new(ProblemKind::TooLarge, detail));
        }
        let (access, kind) = match self {
            Self::AuraConnect => {
                let request = auraconnect::read(call)?;
                (request.access(), Kind::AuraConnect(request))
            }
            Self::AuraConnectMobile => {
                let request = auraconnect_mobile::read(call)?;
                (request.access(), Kind::AuraConnectMobile(request))
            }
            Self::TrackVault => {
                let request = trackvault::read(call)?;
                (request.access(), Kind::TrackVault(request))
            }
            Self::ArxOs => {
                let request = arxos::read(call)?;
                (request.access(), Kind::ArxOs(request))
            }
            Self::PayTrack => {
                let request = paytrack::read(call)?;
                (request.access(), Kind::PayTrack(request))
            }
        };
        if access == Access::Write && call.user.role == Role::Reader {
            return Err(Problem::new(ProblemKind::Forbidden, "This token may only read"));
        }
        Ok(Request { access, kind })
    }

    /// The answer that says a problem in the wire's own words.
    #[must_use]
    pub fn refusal(self, problem: &Problem) -> Answer {
        match self {
            Self::AuraConnect => auraconnect::refusal(problem),
            Self::AuraConnectMobile => auraconnect_mobile::refusal(problem),
            Self::TrackVault => trackvault::refusal(problem),
            Self::ArxOs => arxos::refusal(problem),
            Self::PayTrack => paytrack::refusal(problem),
        }
    }
}

impl Request {
    /// Whether it only reads.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Runs it. Deterministic: the same store, request and time give the same answer. `now_ms` is
    /// the server's clock in ms since the epoch.
    ///
    /// # Errors
    /// `cursor-expired` for a cursor older than the tombstones kept; `malformed` where only the
    /// store shows that a request cannot be; `internal` if the store fails. Nothing is to be kept then.
    pub fn answer<T: Tx>(&self, tx: &mut T, terms: &Terms, now_ms: u64) -> Result<Answer, Problem> {
        let mut book = book::Book { tx, terms, now_ms };
        match &self.kind {
            Kind::AuraConnect(request) => request.answer(&mut book),
            Kind::AuraConnectMobile(request) => request.answer(&mut book),
            Kind::TrackVault(request) => request.answer(&mut book),
            Kind::ArxOs(request) => request.answer(&mut book),
            Kind::PayTrack(request) => request.answer(&mut book),
        }
    }
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Malformed, detail)
}

fn expired(detail: &str) -> Problem {
    Problem::new(ProblemKind::CursorExpired, detail)
}

/// The one object that a body must be.
fn envelope(body: &[u8]) -> Result<Object, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| malformed("The body is not UTF-8"))?;
    serde_json::from_str(text).map_err(|_| malformed("The body is not a JSON object"))
}

/// A member that must be a list.
fn list(object: &Object, name: &str) -> Result<Vec<Box<RawValue>>, Problem> {
    let missing = || malformed(format!("{name} is missing"));
    let value = object.get(name).ok_or_else(missing)?;
    serde_json::from_str(value.get()).map_err(|_| malformed(format!("{name} is not a list")))
}

/// A device id that must be there.
fn device(object: &Object, name: &str) -> Result<String, Problem> {
    match object.read::<String>(name) {
        Some(device) if book::is_id(&device) => Ok(device),
        Some(_) => Err(malformed(format!("{name} is not acceptable"))),
        None => Err(malformed(format!("{name} is missing"))),
    }
}

/// What one row may weigh in a page beside its document.
const ROW_BYTES: usize = 1_024;

/// The rows of a page, and whether more are there: at most `limit` of them, and no more bytes than
/// an answer may have, but at least one.
fn page(
    mut rows: Vec<(u64, Key, Record)>,
    limit: usize,
    limits: &Limits,
) -> (Vec<(u64, Key, Record)>, bool) {
    let mut bytes = 0;
    let fits = rows.iter().take(limit).enumerate().take_while(|(at, (_, _, record))| {
        bytes += ROW_BYTES + record.document.as_ref().map_or(0, |d| d.as_str().len());
        *at == 0 || bytes <= limits.answer_bytes
    });
    let count = fits.count();
    let more = rows.len() > count;
    rows.truncate(count);
    (rows, more)
}

/// The code of a problem in words with underscores, as three of the wires have it.
fn code(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Malformed | ProblemKind::Invalid => "bad_request",
        ProblemKind::DigestMismatch => "digest_mismatch",
        ProblemKind::Unauthorized => "unauthorized",
        ProblemKind::Forbidden => "forbidden",
        ProblemKind::NotFound => "not_found",
        ProblemKind::MethodNotAllowed => "method_not_allowed",
        ProblemKind::CursorExpired => "resync_required",
        ProblemKind::TooLarge => "too_large",
        ProblemKind::UnsupportedMediaType => "unsupported",
        ProblemKind::RateLimited => "rate_limited",
        ProblemKind::Internal => "internal",
        ProblemKind::Unavailable => "unavailable",
    }
}

/// The status of a problem; only one of the wires knows 422.
fn status(kind: ProblemKind) -> u16 {
    match kind {
        ProblemKind::Invalid => 400,
        ProblemKind::Malformed
        | ProblemKind::DigestMismatch
        | ProblemKind::Unauthorized
        | ProblemKind::Forbidden
        | ProblemKind::NotFound
        | ProblemKind::MethodNotAllowed
        | ProblemKind::CursorExpired
        | ProblemKind::TooLarge
        | ProblemKind::UnsupportedMediaType
        | ProblemKind::RateLimited
        | ProblemKind::Internal
        | ProblemKind::Unavailable => kind.status(),
    }
}
