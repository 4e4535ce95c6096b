//! The reference server of Holdfast's standard protocol: `docs/protocol.md` over HTTP, on one SQLite file.
//!
//! The verdicts are `holdfast-server-core`'s; this crate adds the file, the connection and the faults
//! that tests ask for. It runs as a program (`holdfast-server --help`) or inside another one:
//!
//! ```no_run
//! # async fn run() -> Result<(), holdfast_server::ServeError> {
//! let config = holdfast_server::Config {
//!     database: "till.sqlite".into(),
//!     tokens: vec![("secret".into(), "shop-1".into())],
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
mod http;

use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response};
use holdfast_server_core::{Problem, ProblemKind};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tower::ServiceExt as _;

pub use args::{Command, HELP, parse};
pub use audit::{Audit, Count, Orders};
pub use db::{Db, DbError};
pub use fault::{Fault, FaultKind, Route};
pub use holdfast_server_core::Limits;
pub use http::RuleSet;

/// How long tombstones are kept: 90 days.
const TOMBSTONES_MS: u64 = 90 * 24 * 60 * 60 * 1_000;

/// What a server needs to know.
#[derive(Debug)]
pub struct Config {
    /// The SQLite file; made if it is missing.
    pub database: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Tokens, each with its tenant.
    pub tokens: Vec<(String, String)>,
    /// Whether requests without a known token are those of the tenant `main`.
    pub open: bool,
    /// Directories of files: a path prefix (empty for the top, else `/name`) and its directory.
    pub www: Vec<(String, PathBuf)>,
    /// The one origin that may read answers; any if `None`.
    pub cors_origin: Option<String>,
    /// Faults, each counting for itself.
    pub faults: Vec<Fault>,
    /// The application's rules.
    pub rules: RuleSet,
    /// The protocol's limits.
    pub limits: Limits,
    /// Whether to write one line per request to stderr.
    pub log: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: PathBuf::from("holdfast.sqlite"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tokens: Vec::new(),
            open: false,
            www: Vec::new(),
            cors_origin: None,
            faults: Vec::new(),
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
    let db = Db::open(&config.database)?;
    db.prune(http::now_ms().saturating_sub(TOMBSTONES_MS))?;
    let mut www = config.www;
    www.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    let state = Arc::new(http::State {
        db,
        tokens: config.tokens.iter().map(|(t, who)| (http::digest(t), who.clone())).collect(),
        open: config.open,
        www,
        cors,
        faults: config.faults,
        rules: config.rules,
        limits: config.limits,
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
