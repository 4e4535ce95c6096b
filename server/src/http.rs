//! The protocol over HTTP: routes, tokens, problems, faults.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use holdfast_server_core::{
    AcceptAll, Limits, OutcomeKind, PosRules, Problem, ProblemKind, PullRequest, PushRequest, Rules,
};
use sha2::{Digest, Sha256};

use crate::db::Db;
use crate::fault::{Fault, FaultKind, Route};
use crate::files;

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
    fn rules(self) -> &'static dyn Rules {
        match self {
            Self::None => &AcceptAll,
            Self::Pos => &PosRules,
        }
    }
}

/// Tells the connection to close without an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HangUp;

/// What every request needs.
pub(crate) struct State {
    pub(crate) db: Db,
    /// Digest of a token, and its tenant: a look-up by digest takes no time that tells a token.
    pub(crate) tokens: BTreeMap<[u8; 32], String>,
    pub(crate) open: bool,
    /// Prefix and directory, the longest prefix first.
    pub(crate) www: Vec<(String, PathBuf)>,
    pub(crate) cors: Option<HeaderValue>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) rules: RuleSet,
    pub(crate) limits: Limits,
    pub(crate) log: bool,
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

fn json(status: StatusCode, media: &'static str, body: String) -> Response<Body> {
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

fn status_fault(status: u16) -> Response<Body> {
    let known = ProblemKind::ALL.iter().find(|kind| kind.status() == status);
    match known {
        Some(kind) => {
            let mut problem = Problem::new(*kind, "a fault was asked for");
            if matches!(kind, ProblemKind::RateLimited | ProblemKind::Unavailable) {
                problem = problem.after(1);
            }
            refuse(&problem)
        }
        None => page(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)),
    }
}

impl State {
    /// Handles one request.
    pub(crate) async fn handle(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let mut notes = String::new();
        let api = path == "/api" || path.starts_with("/api/");
        let mut response = if api {
            self.api(request, &path, &mut notes).await
        } else {
            self.page(&method, &path).await
        };
        if api {
            self.cors(response.headers_mut());
        }
        if self.log {
            let status = response.status().as_u16();
            let gone = response.extensions().get::<HangUp>().map_or("", |HangUp| " (no answer)");
            log(&format!("{method} {path} {status}{gone}{notes}"));
        }
        response
    }

    fn cors(&self, headers: &mut HeaderMap) {
        let origin = self.cors.clone().unwrap_or(HeaderValue::from_static("*"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static("retry-after");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
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

    async fn api(&self, request: Request<Body>, path: &str, notes: &mut String) -> Response<Body> {
        let (route, expected) = match path {
            "/api/push" => (Route::Push, Method::POST),
            "/api/pull" => (Route::Pull, Method::GET),
            _ => return refuse(&Problem::new(ProblemKind::NotFound, "no such path")),
        };
        if request.method() == Method::OPTIONS {
            return preflight();
        }
        if request.method() != expected {
            return match route {
                Route::Push => not_allowed("POST", "push takes POST"),
                Route::Pull => not_allowed("GET", "pull takes GET"),
            };
        }
        let mut after = None;
        for kind in self.faults.iter().filter_map(|fault| fault.strike(route)) {
            let _ = write!(notes, " fault={kind}");
            match kind {
                FaultKind::Delay(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                FaultKind::Drop => return hang_up(),
                FaultKind::Status(status) => return status_fault(status),
                FaultKind::Html => return page(StatusCode::OK),
                FaultKind::AnyServerError => return status_fault(500),
                FaultKind::ApplyThenDrop | FaultKind::Half | FaultKind::Cut | FaultKind::Empty => {
                    after = Some(kind);
                }
            }
        }
        match self.answer(route, request, notes).await {
            Ok(body) => broken(body, after),
            Err(problem) => refuse(&problem),
        }
    }

    async fn answer(
        &self,
        route: Route,
        request: Request<Body>,
        notes: &mut String,
    ) -> Result<String, Problem> {
        let tenant = self.tenant(request.headers())?;
        match route {
            Route::Push => self.push(&tenant, request, notes).await,
            Route::Pull => self.pull(&tenant, &request, notes),
        }
    }

    fn tenant(&self, headers: &HeaderMap) -> Result<String, Problem> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        match token.and_then(|token| self.tokens.get(&digest(token))) {
            Some(tenant) => Ok(tenant.clone()),
            None if self.open => Ok("main".to_owned()),
            None => {
                Err(Problem::new(ProblemKind::Unauthorized, "the token is missing or not known"))
            }
        }
    }

    async fn push(
        &self,
        tenant: &str,
        request: Request<Body>,
        notes: &mut String,
    ) -> Result<String, Problem> {
        let (head, body) = request.into_parts();
        check_media(&head.headers)?;
        let body = read(body, &head.headers, self.limits.request_bytes).await?;
        let push = PushRequest::parse(&body, &self.limits)?;
        let now = now_ms();
        let rules = self.rules.rules();
        // SQLite blocks: the worker thread is given up to other tasks meanwhile.
        let answer =
            tokio::task::block_in_place(|| self.db.push(tenant, &push, rules, &self.limits, now))?;
        let count = |kind| answer.outcomes.iter().filter(|o| o.kind == kind).count();
        let _ = write!(
            notes,
            " ops={} applied={} conflict={} rejected={} retry={} duplicate={}",
            answer.outcomes.len(),
            count(OutcomeKind::Applied),
            count(OutcomeKind::Conflict),
            count(OutcomeKind::Rejected),
            count(OutcomeKind::Retry),
            answer.outcomes.iter().filter(|o| o.duplicate).count(),
        );
        Ok(answer.to_json())
    }

    fn pull(
        &self,
        tenant: &str,
        request: &Request<Body>,
        notes: &mut String,
    ) -> Result<String, Problem> {
        let invalid = || Problem::new(ProblemKind::Invalid, "the parameters cannot be read");
        let Query(parameters) = Query::<BTreeMap<String, String>>::try_from_uri(request.uri())
            .map_err(|_| invalid())?;
        let limit = parameters
            .get("limit")
            .map(|limit| limit.parse().map_err(|_| invalid()))
            .transpose()?;
        let pull = PullRequest {
            cursor: parameters.get("cursor").cloned(),
            limit,
            scope: parameters.get("scope").cloned(),
        };
        let now = now_ms();
        let answer =
            tokio::task::block_in_place(|| self.db.pull(tenant, &pull, &self.limits, now))?;
        let _ = write!(notes, " changes={} more={}", answer.changes.len(), answer.more);
        Ok(answer.to_json())
    }
}

fn not_allowed(allow: &'static str, detail: &str) -> Response<Body> {
    let mut response = refuse(&Problem::new(ProblemKind::MethodNotAllowed, detail));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn check_media(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let media = text(header::CONTENT_TYPE).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let detail = "the content type is not application/json";
        return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
    }
    if !text(header::CONTENT_ENCODING).unwrap_or("identity").eq_ignore_ascii_case("identity") {
        let detail = "compressed requests are not taken";
        return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
    }
    Ok(())
}

async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Problem> {
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
fn broken(body: String, fault: Option<FaultKind>) -> Response<Body> {
    let media = "application/json";
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
        Some(FaultKind::Half) => json(StatusCode::OK, media, half(body)),
        Some(FaultKind::Cut) => {
            let length = body.len();
            let mut response = json(StatusCode::OK, media, String::new());
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            *response.body_mut() = Body::new(Broken(Some(Bytes::from(half(body)))));
            response
        }
        Some(FaultKind::Empty) => json(StatusCode::OK, media, String::new()),
        Some(
            FaultKind::Drop
            | FaultKind::Delay(_)
            | FaultKind::Status(_)
            | FaultKind::AnyServerError
            | FaultKind::Html,
        )
        | None => json(StatusCode::OK, media, body),
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
