//! The reference server: Holdfast's standard protocol (`docs/protocol.md`) below `/api`, and the five wires of
//! `holdfast-server-core` each below its name, over HTTP, on one SQLite file or a PostgreSQL database.
//!
//! The verdicts are `holdfast-server-core`'s; this crate adds the database, the connection and the faults
//! that tests ask for. It runs as a program (`holdfast-server --help`) or inside another one:
//!
//! ```no_run
//! # async fn run() -> Result<(), holdfast_server::ServeError> {
//! let config = holdfast_server::Config {
//!     database: "till.sqlite".into(),
//!     tokens: vec![holdfast_server::Token::new("secret", "shop-1")],
//!     ..holdfast_server::Config::default()
//! };
//! let server = holdfast_server::serve(config).await?;
//! println!("listening on http://{}", server.addr());
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod args;
mod audit;
mod db;
mod fault;
mod files;
mod flaw;
mod http;
mod rate;
mod standard;
mod wires;

use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response};
use holdfast_server_core::{Checks, Problem, ProblemKind, Terms, User};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tower::ServiceExt as _;

pub use args::{Command, HELP, parse};
pub use audit::{Audit, Count, Orders};
pub use db::{Database, Db, DbError};
pub use fault::{Fault, FaultKind, Route};
pub use flaw::Flaw;
pub use holdfast_server_core::{Limits, Role, Wire};
pub use http::RuleSet;
pub use rate::Rate;

/// How long tombstones are kept: 90 days.
const TOMBSTONES_MS: u64 = 90 * 24 * 60 * 60 * 1_000;

/// A bearer token, and whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The secret itself.
    pub token: String,
    /// Whose data it reaches.
    pub tenant: String,
    /// What it may do.
    pub role: Role,
}

impl Token {
    /// A token that may read and write.
    #[must_use]
    pub fn new(token: &str, tenant: &str) -> Self {
        Self { token: token.to_owned(), tenant: tenant.to_owned(), role: Role::Member }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token of {} ({:?})", self.tenant, self.role)
    }
}

/// What a server needs to know.
#[derive(Debug)]
pub struct Config {
    /// The SQLite file, which is made if it is missing, or the PostgreSQL database.
    pub database: Database,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Tokens. A user of the wires is known by the place of his token, the first being 1.
    pub tokens: Vec<Token>,
    /// Whether requests without a known token are those of the tenant `main`.
    pub open: bool,
    /// Directories of files: a path prefix (empty for the top, else `/name`) and its directory.
    pub www: Vec<(String, PathBuf)>,
    /// The one origin that may read answers; any if `None`.
    pub cors_origin: Option<String>,
    /// Faults, each counting for itself.
    pub faults: Vec<Fault>,
    /// Promises that are broken on purpose.
    pub flaws: Vec<Flaw>,
    /// How many requests a user may make; any number if `None`.
    pub rate: Option<Rate>,
    /// Whether the wires' data begin with a few records.
    pub seed: Seed,
    /// The application's rules, on the standard protocol.
    pub rules: RuleSet,
    /// The protocol's limits.
    pub limits: Limits,
    /// Whether to write one line per request to stderr.
    pub log: bool,
}

/// What the wires' data begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seed {
    /// Nothing.
    #[default]
    Nothing,
    /// A few records per wire and tenant, where there are none yet.
    Samples,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: Database::File(PathBuf::from("holdfast.sqlite")),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tokens: Vec::new(),
            open: false,
            www: Vec::new(),
            cors_origin: None,
            faults: Vec::new(),
            flaws: Vec::new(),
            rate: None,
            seed: Seed::Nothing,
            rules: RuleSet::None,
            limits: Limits::default(),
            log: false,
        }
    }
}

/// Why a server does not start.
#[derive(Debug)]
pub enum ServeError {
    /// The database cannot be used.
    Db(DbError),
    /// The address cannot be listened on.
    Listen(SocketAddr, std::io::Error),
    /// The configuration makes no sense.
    Config(String),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Db(error) => error.fmt(f),
            Self::Listen(addr, error) => write!(f, "cannot listen on {addr}: {error}"),
            Self::Config(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for ServeError {}

impl From<DbError> for ServeError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

/// A server that runs until it is told to stop.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Handle {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no new connections, lets the present requests end (5 s at most), and closes the file.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

/// Starts a server. It needs a multi-threaded tokio runtime.
///
/// # Errors
/// [`ServeError`]
pub async fn serve(config: Config) -> Result<Handle, ServeError> {
    if config.tokens.is_empty() && !config.open {
        let reason = "a server without tokens needs to be told that it is open";
        return Err(ServeError::Config(reason.to_owned()));
    }
    let cors = config.cors_origin.as_deref().map(HeaderValue::from_str).transpose();
    let cors = cors.map_err(|_| ServeError::Config("the CORS origin is no origin".to_owned()))?;
    check_tenants(&config.tokens)?;
    let mut www = config.www;
    www.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    let mut limits = config.limits;
    if config.flaws.contains(&Flaw::Limits) {
        limits.request_bytes = usize::MAX / 2;
    }
    let tenants = tenants(&config.tokens, config.open);
    let open = || -> Result<Db, DbError> {
        let db = Db::open(config.database)?.with_flaws(&config.flaws);
        let now = http::now_ms();
        db.prune(now.saturating_sub(TOMBSTONES_MS))?;
        match config.seed {
            Seed::Nothing => {}
            Seed::Samples => {
                for (tenant, wire) in tenants.iter().flat_map(|t| Wire::ALL.map(|wire| (t, wire))) {
                    db.seed(wire, tenant, now)?;
                }
            }
        }
        Ok(db)
    };
    // The database blocks, and its client may not do so on a thread that runs tasks.
    let db = tokio::task::block_in_place(open)?;
    let state = Arc::new(http::State {
        db,
        tokens: users(&config.tokens),
        open: config.open,
        www,
        cors,
        faults: config.faults,
        flaws: config.flaws,
        limiter: config.rate.map(rate::Limiter::new),
        rules: config.rules,
        terms: Terms { limits, checks: Checks::Fields },
        log: config.log,
    });
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| ServeError::Listen(config.listen, error))?;
    let addr = listener.local_addr().map_err(|e| ServeError::Listen(config.listen, e))?;
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(accept(listener, http::router(state), stopped));
    Ok(Handle { addr, stop, task })
}

/// A tenant's name is part of the name of its data on each wire.
fn check_tenants(tokens: &[Token]) -> Result<(), ServeError> {
    let sound = |tenant: &str| {
        !tenant.is_empty()
            && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
    };
    match tokens.iter().find(|token| !sound(&token.tenant)) {
        None => Ok(()),
        Some(token) => {
            let reason = format!("the tenant {:?} is not of [A-Za-z0-9._:-]", token.tenant);
            Err(ServeError::Config(reason))
        }
    }
}

fn tenants(tokens: &[Token], open: bool) -> Vec<String> {
    let mut tenants: Vec<String> = tokens.iter().map(|token| token.tenant.clone()).collect();
    if open {
        tenants.push(http::MAIN.to_owned());
    }
    tenants.sort();
    tenants.dedup();
    tenants
}

fn users(tokens: &[Token]) -> std::collections::BTreeMap<[u8; 32], http::Who> {
    let users = (1..).zip(tokens).map(|(id, token)| {
        let user = User { id, role: token.role };
        (http::digest(&token.token), http::Who { tenant: token.tenant.clone(), user })
    });
    users.collect()
}

/// Why a connection is closed without an answer.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault was asked for")
    }
}

impl std::error::Error for Closed {}

/// The answer of a request's task, which may have panicked.
fn outcome(task: Result<Result<Response<Body>, Infallible>, JoinError>) -> Response<Body> {
    match task {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => http::refuse(&Problem::new(ProblemKind::Internal, "the server failed")),
    }
}

/// Our own loop instead of `axum::serve`: a fault has to be able to close a connection unanswered.
async fn accept(listener: TcpListener, router: axum::Router, mut stopped: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of file descriptors, most likely: the next try would fail at once too.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = stopped.changed() => break,
        };
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let router = router.clone();
            async move {
                // In a task of its own, a panic becomes an answer.
                let response = outcome(tokio::spawn(router.oneshot(request.map(Body::new))).await);
                match response.extensions().get::<http::HangUp>() {
                    Some(_) => Err(Closed),
                    None => Ok(response),
                }
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(hyper_util::rt::TokioTimer::new())
            .header_read_timeout(Duration::from_secs(30))
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A peer that went away is everyday life here.
            let _ = connection.await;
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(Duration::from_secs(5), graceful.shutdown()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_problem() {
        let task = tokio::spawn(async { panic!("planned") }).await;
        let response = outcome(task);
        assert_eq!(response.status(), 500);
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        assert!(body.starts_with(br#"{"holdfast":1,"#) && body.ends_with(br#","end":true}"#));
    }
}
