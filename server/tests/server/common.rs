//! A server in this process, and the plainest client: one request per connection.
//!
//! Every test runs on a fresh SQLite file, or, where `HOLDFAST_TEST_POSTGRES` names a PostgreSQL
//! (`postgres://user@host:port`), on a fresh database of it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use holdfast_server::{Audit, Config, Database, Db, Handle, Token, serve};
use tokio::runtime::Runtime;

pub(crate) const TOKEN: &str = "till-7-secret";

/// An empty directory for a test, under the build directory.
pub(crate) fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// The PostgreSQL under test, if there is one.
pub(crate) fn postgres() -> Option<String> {
    std::env::var("HOLDFAST_TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

/// An empty database for a test.
pub(crate) fn database(name: &str) -> Database {
    let Some(url) = postgres() else { return directory(name).join("db.sqlite").into() };
    let mut client =
        postgres::Client::connect(&format!("{url}/postgres"), postgres::NoTls).unwrap();
    client.batch_execute(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).unwrap();
    client.batch_execute(&format!("CREATE DATABASE \"{name}\" TEMPLATE template0")).unwrap();
    Database::Postgres(format!("{url}/{name}"))
}

/// A database as the command line names it.
pub(crate) fn argument(database: &Database) -> String {
    match database {
        Database::File(path) => path.to_str().unwrap().to_owned(),
        Database::Postgres(url) => url.clone(),
    }
}

pub(crate) struct Server {
    runtime: Runtime,
    handle: Option<Handle>,
    pub(crate) addr: SocketAddr,
    pub(crate) database: Database,
}

impl Server {
    pub(crate) fn start(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let database = config.database.clone();
        let handle = runtime.block_on(serve(config)).unwrap();
        Self { addr: handle.addr(), runtime, handle: Some(handle), database }
    }

    /// On an empty file, with one token.
    pub(crate) fn fresh(name: &str, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            database: database(name),
            tokens: vec![Token::new(TOKEN, "shop")],
            ..Config::default()
        };
        change(&mut config);
        Self::start(config)
    }

    pub(crate) fn with_faults(name: &str, faults: &[&str]) -> Self {
        Self::fresh(name, |c| c.faults = faults.iter().map(|f| f.parse().unwrap()).collect())
    }

    pub(crate) fn audit(&self) -> Audit {
        Db::open(&self.database).unwrap().audit(None).unwrap()
    }

    pub(crate) fn stop(mut self) -> Database {
        self.runtime.block_on(self.handle.take().unwrap().shutdown());
        self.database
    }

    pub(crate) fn push(&self, body: &str) -> Option<Answer> {
        exchange(self.addr, "POST", "/api/push", &json(), body.as_bytes())
    }

    pub(crate) fn pull(&self, query: &str) -> Option<Answer> {
        exchange(self.addr, "GET", &format!("/api/pull{query}"), &json(), b"")
    }
}

pub(crate) fn bearer(token: &str) -> Vec<(String, String)> {
    vec![
        ("authorization".into(), format!("Bearer {token}")),
        ("content-type".into(), "application/json".into()),
    ]
}

pub(crate) fn json() -> Vec<(String, String)> {
    bearer(TOKEN)
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// Whether the body came to the announced length.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn is_ours(&self) -> bool {
        self.whole
            && self.body.starts_with(r#"{"holdfast":1,"#)
            && self.body.ends_with(r#","end":true}"#)
    }
}

/// `None`: the connection was closed without an answer.
pub(crate) fn exchange(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Option<Answer> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.iter().any(|(name, _)| name == "transfer-encoding") {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    let mut stream = TcpStream::connect(addr).ok()?;
    // The server may answer, and close, before it has read everything.
    let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.write_all(body));
    let mut bytes = Vec::new();
    let mut part = [0; 65_536];
    while let Ok(n @ 1..) = stream.read(&mut part) {
        bytes.extend_from_slice(part.get(..n).unwrap());
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let announced = headers.get("content-length").map(|l| l.parse::<usize>().unwrap());
    let whole = announced.is_none_or(|length| length == body.len());
    Some(Answer { status, headers, body: body.to_owned(), whole })
}

pub(crate) fn create(op_id: &str, id: &str, cents: u64) -> String {
    format!(
        r#"{{"opId":"{op_id}","collection":"orders","id":"{id}","kind":"create","assumed":null,"document":{{"lines":[{{"cents":{cents}}}],"total":{cents}}},"at":1}}"#
    )
}

pub(crate) fn body(operations: &[String]) -> String {
    format!(r#"{{"holdfast":1,"device":"till-7","operations":[{}]}}"#, operations.join(","))
}
