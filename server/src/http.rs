//! HTTP: who asks, where it goes, what may go wrong on purpose. What is asked is in `standard` and `wires`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use holdfast_server_core::{
    AcceptAll, PosRules, Problem, ProblemKind, Role, Rules, Terms, User, Wire,
};
use sha2::{Digest, Sha256};

use crate::db::Db;
use crate::fault::{Fault, FaultKind, Route};
use crate::files;
use crate::flaw::Flaw;
use crate::rate::Limiter;

/// Which of the application's rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuleSet {
    /// Everything is accepted.
    #[default]
    None,
    /// The till's rules: [`PosRules`].
    Pos,
}

impl RuleSet {
    pub(crate) fn rules(self) -> &'static dyn Rules {
        match self {
            Self::None => &AcceptAll,
            Self::Pos => &PosRules,
        }
    }
}

/// The tenant of those who have no token of their own.
pub(crate) const MAIN: &str = "main";

/// Tells the connection to close without an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HangUp;

/// Whose token it is.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) tenant: String,
    pub(crate) user: User,
}

/// What every request needs.
pub(crate) struct State {
    pub(crate) db: Db,
    /// Digest of a token, and whose it is: a look-up by digest takes no time that tells a token.
    pub(crate) tokens: BTreeMap<[u8; 32], Who>,
    pub(crate) open: bool,
    /// Prefix and directory, the longest prefix first.
    pub(crate) www: Vec<(String, PathBuf)>,
    pub(crate) cors: Option<HeaderValue>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) flaws: Vec<Flaw>,
    pub(crate) limiter: Option<Limiter>,
    pub(crate) rules: RuleSet,
    pub(crate) terms: Terms,
    pub(crate) log: bool,
}

/// The language that a path is answered in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tongue {
    Standard,
    Wire(Wire),
}

impl Tongue {
    /// Whose path it is, and what is below it.
    fn of(path: &str) -> Option<(Self, &str)> {
        if path == "/api" || path.starts_with("/api/") {
            return Some((Self::Standard, path));
        }
        let (name, _) = path.strip_prefix('/')?.split_once('/')?;
        let wire = Wire::named(name)?;
        Some((Self::Wire(wire), path.get(name.len() + 1..)?))
    }

    /// An error, in its words.
    pub(crate) fn refuse(self, problem: &Problem) -> Response<Body> {
        let mut response = match self {
            Self::Standard => refuse(problem),
            Self::Wire(wire) => crate::wires::response(wire, wire.refusal(problem)),
        };
        if let Some(seconds) = problem.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// One line per request. Never a body, a token, an address's query.
fn log(line: &str) {
    // A closed stderr is no reason to stop serving.
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub(crate) fn json(status: StatusCode, media: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

pub(crate) fn refuse(problem: &Problem) -> Response<Body> {
    let status =
        StatusCode::from_u16(problem.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, "application/problem+json", problem.to_json());
    if let Some(seconds) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    if problem.kind == ProblemKind::Unauthorized {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

/// An answer as a proxy gives it: HTML, no markers.
fn page(status: StatusCode) -> Response<Body> {
    let text = "<!doctype html><title>Network</title><h1>Please sign in to this network</h1>";
    json(status, "text/html; charset=utf-8", text.to_owned())
}

fn hang_up() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(HangUp);
    response
}

fn status_fault(tongue: Tongue, status: u16) -> Response<Body> {
    let known = ProblemKind::ALL.iter().find(|kind| kind.status() == status);
    match known {
        Some(kind) => {
            let mut problem = Problem::new(*kind, "a fault was asked for");
            if matches!(kind, ProblemKind::RateLimited | ProblemKind::Unavailable) {
                problem = problem.after(1);
            }
            tongue.refuse(&problem)
        }
        None => page(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)),
    }
}

impl State {
    /// Handles one request.
    pub(crate) async fn handle(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let origin = request.headers().get(header::ORIGIN).cloned();
        let mut notes = String::new();
        let tongue = Tongue::of(&path);
        let mut response = match tongue {
            Some((Tongue::Standard, _)) => self.standard(request, &path, &mut notes).await,
            Some((Tongue::Wire(wire), below)) => self.wire(wire, request, below, &mut notes).await,
            None => self.page(&method, &path).await,
        };
        if let Some((tongue, _)) = tongue {
            self.spoil(&mut response);
            self.cors(tongue, origin, response.headers_mut());
        }
        if self.log {
            let status = response.status().as_u16();
            let gone = response.extensions().get::<HangUp>().map_or("", |HangUp| " (no answer)");
            log(&format!("{method} {path} {status}{gone}{notes}"));
        }
        response
    }

    fn cors(&self, tongue: Tongue, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        let any = HeaderValue::from_static("*");
        let (allowed, exposed) = match tongue {
            Tongue::Standard => (any, "retry-after"),
            Tongue::Wire(_) => (origin.unwrap_or(any), "retry-after, content-digest, etag, date"),
        };
        let allowed = self.cors.clone().unwrap_or(allowed);
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }

    pub(crate) fn breaks(&self, flaw: Flaw) -> bool {
        self.flaws.contains(&flaw)
    }

    /// Breaks what promises about answers it is told to.
    fn spoil(&self, response: &mut Response<Body>) {
        if self.breaks(Flaw::RetryAfter) {
            response.headers_mut().remove(header::RETRY_AFTER);
        }
        if self.breaks(Flaw::Markers) && response.status() != StatusCode::NO_CONTENT {
            *response = page(response.status());
        }
        if self.breaks(Flaw::Expiry) && response.status() == StatusCode::GONE {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
    }

    /// What is to go wrong with a request: an answer at once, or something after it was handled.
    pub(crate) async fn strike(
        &self,
        tongue: Tongue,
        route: Route,
        notes: &mut String,
    ) -> Result<Option<FaultKind>, Response<Body>> {
        let mut after = None;
        for kind in self.faults.iter().filter_map(|fault| fault.strike(route)) {
            let _ = write!(notes, " fault={kind}");
            match kind {
                FaultKind::Delay(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                FaultKind::Drop => return Err(hang_up()),
                FaultKind::Status(status) => return Err(status_fault(tongue, status)),
                FaultKind::Html => return Err(page(StatusCode::OK)),
                FaultKind::AnyServerError => return Err(status_fault(tongue, 500)),
                FaultKind::ApplyThenDrop | FaultKind::Half | FaultKind::Cut | FaultKind::Empty => {
                    after = Some(kind);
                }
            }
        }
        Ok(after)
    }

    /// Who asks, if he may ask now.
    pub(crate) fn who(&self, headers: &HeaderMap) -> Result<Who, Problem> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let mut who = match token.and_then(|token| self.tokens.get(&digest(token))) {
            Some(who) => who.clone(),
            None if self.open => {
                Who { tenant: MAIN.to_owned(), user: User { id: 0, role: Role::Member } }
            }
            None => {
                let detail = "the token is missing or not known";
                return Err(Problem::new(ProblemKind::Unauthorized, detail));
            }
        };
        if self.breaks(Flaw::Tenants) {
            MAIN.clone_into(&mut who.tenant);
        }
        if let Some(limiter) = &self.limiter {
            limiter.admit(who.user.id, now_ms()).map_err(|seconds| {
                Problem::new(ProblemKind::RateLimited, "too many requests").after(seconds)
            })?;
        }
        Ok(who)
    }

    async fn page(&self, method: &Method, path: &str) -> Response<Body> {
        if *method != Method::GET && *method != Method::HEAD {
            return not_allowed("GET, HEAD", "files take GET and HEAD");
        }
        for (prefix, directory) in &self.www {
            let Some(rest) = path.strip_prefix(prefix.as_str()) else { continue };
            if !rest.is_empty() && !rest.starts_with('/') {
                continue;
            }
            if let Ok(response) = files::file(directory, rest).await {
                return response;
            }
        }
        refuse(&Problem::new(ProblemKind::NotFound, "no such file"))
    }
}

pub(crate) fn not_allowed(allow: &'static str, detail: &str) -> Response<Body> {
    let mut response = refuse(&Problem::new(ProblemKind::MethodNotAllowed, detail));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

/// The answer to a browser that asks what it may send.
pub(crate) fn preflight(methods: &'static str, allowed: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, allowed),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// How the body is coded, if it is declared as JSON.
pub(crate) fn coding(headers: &HeaderMap) -> Result<String, Problem> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let media = text(header::CONTENT_TYPE).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let detail = "the content type is not application/json";
        return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
    }
    Ok(text(header::CONTENT_ENCODING).unwrap_or("identity").to_ascii_lowercase())
}

pub(crate) async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Problem> {
    let too_large =
        || Problem::new(ProblemKind::TooLarge, format!("a request has at most {limit} bytes"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    if announced.and_then(|v| v.parse::<usize>().ok()).is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let wait = Duration::from_secs(30);
    match tokio::time::timeout(wait, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            // axum names no type for its limit; the limit's own error is the innermost cause.
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                if error.to_string().contains("length limit exceeded") {
                    return Err(too_large());
                }
                cause = error.source();
            }
            Err(Problem::new(ProblemKind::Malformed, "the body broke off"))
        }
        Err(_) => Err(Problem::new(ProblemKind::Malformed, "the body took too long")),
    }
}

/// The answer, or what a fault leaves of it.
pub(crate) fn broken(
    answer: Response<Body>,
    body: String,
    fault: Option<FaultKind>,
) -> Response<Body> {
    let with = |body: Body| {
        let (head, _) = answer.into_parts();
        Response::from_parts(head, body)
    };
    let half = |mut body: String| {
        let mut at = body.len() / 2;
        while !body.is_char_boundary(at) {
            at -= 1;
        }
        body.truncate(at);
        body
    };
    match fault {
        Some(FaultKind::ApplyThenDrop) => hang_up(),
        Some(FaultKind::Half) => with(Body::from(half(body))),
        Some(FaultKind::Cut) => {
            let length = body.len();
            let mut response = with(Body::new(Broken(Some(Bytes::from(half(body))))));
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            response
        }
        Some(FaultKind::Empty) => with(Body::empty()),
        Some(
            FaultKind::Drop
            | FaultKind::Delay(_)
            | FaultKind::Status(_)
            | FaultKind::AnyServerError
            | FaultKind::Html,
        )
        | None => with(Body::from(body)),
    }
}

/// A body that gives its bytes, and then fails.
struct Broken(Option<Bytes>);

impl hyper::body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(Some(match self.0.take() {
            Some(bytes) => Ok(hyper::body::Frame::data(bytes)),
            None => Err(std::io::Error::other("a fault was asked for")),
        }))
    }
}

/// The router: one service for every path, so that every answer, 404 and 405 included, is ours.
pub(crate) fn router(state: Arc<State>) -> axum::Router {
    axum::Router::new().fallback_service(tower::service_fn(move |request: Request<Body>| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(state.handle(request).await) }
    }))
}
