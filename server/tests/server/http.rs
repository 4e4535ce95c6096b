//! The protocol over real connections.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::common::{Server, TOKEN, body, create, directory, exchange, json};
use holdfast_server::{Config, Db, DbError, RuleSet, Token};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Golden {
    by: String,
    #[serde(default)]
    rules: String,
    #[serde(default)]
    before: Vec<Value>,
    request: GoldenRequest,
    response: GoldenResponse,
}

#[derive(Deserialize)]
struct GoldenRequest {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct GoldenResponse {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// The answer with the epoch and the time of the golden file in place of the server's own.
fn normal(text: &str, epoch: &str) -> Value {
    let mut value: Value = serde_json::from_str(&text.replace(epoch, "5f0c2a")).unwrap();
    if let Some(time) = value.get_mut("time") {
        *time = 1_763_650_000_000_u64.into();
    }
    value
}

#[test]
fn every_golden_request_gets_its_golden_answer_over_http() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/standard");
    let mut checked = 0;
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let golden: Golden = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        if golden.by == "other" {
            continue;
        }
        let server = Server::fresh(&format!("golden-{name}"), |config| {
            if golden.rules == "pos" {
                config.rules = RuleSet::Pos;
            }
        });
        for request in &golden.before {
            let answer = server.push(&request.to_string()).unwrap();
            assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        }
        let first: Value = serde_json::from_str(&server.pull("").unwrap().body).unwrap();
        let epoch = first["epoch"].as_str().unwrap().to_owned();
        let request = golden.request;
        let text = request.text.or(request.body.map(|b| b.to_string())).unwrap_or_default();
        let path = format!("/api{}", request.path.replace("5f0c2a", &epoch));
        let headers: Vec<_> = request.headers.into_iter().collect();
        let answer =
            exchange(server.addr, &request.method, &path, &headers, text.as_bytes()).unwrap();
        assert!(answer.is_ours(), "{name}: {}", answer.body);
        assert_eq!(normal(&answer.body, &epoch), golden.response.body, "{name}");
        assert_eq!(answer.status, golden.response.status, "{name}");
        for (header, value) in golden.response.headers {
            assert_eq!(answer.headers.get(&header), Some(&value), "{name}: {header}");
        }
        checked += 1;
    }
    assert!(checked >= 20, "only {checked} golden files");
}

#[test]
fn every_error_is_a_problem_with_both_markers() {
    let server = Server::fresh("errors", |_| {});
    let with = |name: &str, value: &str| {
        let mut headers = json();
        headers.retain(|(n, _)| n != name);
        headers.push((name.into(), value.into()));
        headers
    };
    let empty = body(&[]);
    let big = body(&[create("a", "o", 1), " ".repeat(1 << 20)]);
    let chunked = format!("{:x}\r\n{big}\r\n0\r\n\r\n", big.len());
    let many = body(&(0..1_001).map(|n| create(&format!("o{n}"), "o", 1)).collect::<Vec<_>>());
    let push = ("POST", "/api/push");
    let charset = with("content-type", "application/json; charset=utf-8");
    for (name, (method, path), headers, text, status, code) in [
        ("no token", push, vec![], empty.as_str(), 401, "unauthorized"),
        ("another token", push, with("authorization", "Bearer x"), &empty, 401, "unauthorized"),
        (
            "another scheme",
            push,
            with("authorization", &format!("Basic {TOKEN}")),
            &empty,
            401,
            "unauthorized",
        ),
        ("no such path", ("GET", "/api/other"), json(), "", 404, "not-found"),
        ("no such file", ("GET", "/index.html"), json(), "", 404, "not-found"),
        ("files are read only", ("PUT", "/index.html"), json(), "", 405, "method-not-allowed"),
        ("GET push", ("GET", "/api/push"), json(), "", 405, "method-not-allowed"),
        ("POST pull", ("POST", "/api/pull"), json(), &empty, 405, "method-not-allowed"),
        ("too many bytes", push, json(), &big, 413, "too-large"),
        ("unannounced", push, with("transfer-encoding", "chunked"), &chunked, 413, "too-large"),
        ("too many operations", push, json(), &many, 413, "too-large"),
        (
            "a form",
            push,
            with("content-type", "application/x-www-form-urlencoded"),
            &empty,
            415,
            "unsupported-media-type",
        ),
        (
            "compressed",
            push,
            with("content-encoding", "gzip"),
            &empty,
            415,
            "unsupported-media-type",
        ),
        ("not JSON", push, charset, "hello", 400, "malformed"),
        ("nothing", push, json(), "", 400, "malformed"),
        ("a limit of 0", ("GET", "/api/pull?limit=0"), json(), "", 422, "invalid"),
        ("a limit of x", ("GET", "/api/pull?limit=x"), json(), "", 422, "invalid"),
        ("another scope", ("GET", "/api/pull?scope=x"), json(), "", 404, "not-found"),
        ("a cursor of nowhere", ("GET", "/api/pull?cursor=x"), json(), "", 410, "cursor-expired"),
    ] {
        let answer = exchange(server.addr, method, path, &headers, text.as_bytes()).unwrap();
        assert!(answer.is_ours(), "{name}: {answer:?}");
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, problem["code"].as_str()), (status, Some(code)), "{name}");
        assert_eq!(problem["status"], status, "{name}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{name}");
        assert_eq!(status == 405, answer.headers.contains_key("allow"), "{name}");
    }
    assert_eq!(server.audit(), holdfast_server::Audit::default(), "nothing was done");
}

#[test]
fn other_origins_may_call_without_credentials() {
    let server = Server::fresh("cors", |_| {});
    let headers = vec![
        ("origin".into(), "https://till.example".into()),
        ("access-control-request-method".into(), "POST".into()),
        ("access-control-request-headers".into(), "authorization,content-type".into()),
    ];
    let answer = exchange(server.addr, "OPTIONS", "/api/push", &headers, b"").unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.headers["access-control-allow-headers"], "authorization, content-type");
    let refused = exchange(server.addr, "POST", "/api/push", &headers, b"").unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(refused.headers["access-control-allow-origin"], "*", "errors can be read too");
    assert_eq!(refused.headers["access-control-expose-headers"], "retry-after");
    assert!(!refused.headers.contains_key("access-control-allow-credentials"));

    let one = Server::fresh("cors-one", |c| c.cors_origin = Some("https://a.example".into()));
    let answer = exchange(one.addr, "OPTIONS", "/api/pull", &headers, b"").unwrap();
    assert_eq!(answer.headers["access-control-allow-origin"], "https://a.example");
}

#[test]
fn files_for_the_page() {
    let www = directory("www");
    let secret = directory("outside").join("secret.txt");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::create_dir_all(www.join("app")).unwrap();
    for (name, text) in [
        ("index.html", "<p>till</p>"),
        ("sw.js", "//"),
        ("app/a.css", "p{}"),
        ("till.webmanifest", "{}"),
    ] {
        std::fs::write(www.join(name), text).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(&secret, www.join("link.txt")).unwrap();
    let pkg = directory("pkg");
    std::fs::write(pkg.join("holdfast_bg.wasm"), b"\0asm").unwrap();
    let server = Server::fresh("files", |c| {
        c.www = vec![(String::new(), www.clone()), ("/pkg".into(), pkg.clone())];
    });
    let get = |path: &str| exchange(server.addr, "GET", path, &[], b"").unwrap();
    for (path, media) in [
        ("/", "text/html; charset=utf-8"),
        ("/index.html?x=1", "text/html; charset=utf-8"),
        ("/sw.js", "text/javascript; charset=utf-8"),
        ("/app/a.css", "text/css; charset=utf-8"),
        ("/till.webmanifest", "application/manifest+json"),
        ("/pkg/holdfast_bg.wasm", "application/wasm"),
    ] {
        let answer = get(path);
        assert_eq!(
            (answer.status, answer.headers["content-type"].as_str()),
            (200, media),
            "{path}"
        );
        assert_eq!(answer.headers["cache-control"], "no-cache");
        assert_eq!(answer.headers["service-worker-allowed"], "/");
        let policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
            img-src 'self' data:; connect-src 'self'";
        assert_eq!(answer.headers["content-security-policy"], policy);
    }
    assert_eq!(get("/").body, "<p>till</p>");
    for path in [
        "/../outside/secret.txt",
        "/app/../../outside/secret.txt",
        "/%2e%2e/outside/secret.txt",
        "/..%2foutside%2fsecret.txt",
        "/link.txt",
        "/app",
        "/pkgs/holdfast_bg.wasm",
    ] {
        let answer = get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.is_ours() && !answer.body.contains("secret"), "{path}");
    }
    let head = exchange(server.addr, "HEAD", "/", &[], b"").unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn tenants_do_not_see_each_other() {
    let server = Server::fresh("tenants", |c| c.tokens.push(Token::new("other", "cafe")));
    let other = vec![
        ("authorization".into(), "Bearer other".into()),
        ("content-type".into(), "application/json".into()),
    ];
    let sale = body(&[create("a", "o", 5)]);
    let verdict = |answer: &super::common::Answer| {
        serde_json::from_str::<Value>(&answer.body).unwrap()["outcomes"][0].clone()
    };
    let first = verdict(&server.push(&sale).unwrap());
    let same = exchange(server.addr, "POST", "/api/push", &other, sale.as_bytes()).unwrap();
    assert_eq!(verdict(&same), first, "the same operation id of another tenant is no repeat");
    let changes = body(&[create("b", "p", 7)]);
    server.push(&changes).unwrap();
    let page = exchange(server.addr, "GET", "/api/pull", &other, b"").unwrap();
    let page: Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(page["changes"].as_array().unwrap().len(), 1);
    let db = Db::open(&server.database).unwrap();
    assert_eq!(db.audit(Some("cafe")).unwrap().orders.cents, 5);
    assert_eq!(db.audit(Some("shop")).unwrap().orders.cents, 12);
    assert_eq!(db.audit(None).unwrap().orders.cents, 17);
}

#[test]
fn verdicts_survive_a_restart() {
    let server = Server::fresh("restart", |_| {});
    let operations = body(&[
        create("a", "o", 5),
        r#"{"opId":"b","collection":"orders","id":"none","kind":"change","assumed":1,"edits":[],"at":1}"#
            .into(),
        create("c", "o", 6),
    ]);
    let first = server.push(&operations).unwrap();
    let page = server.pull("").unwrap();
    let database = server.stop();
    let tokens = vec![Token::new(TOKEN, "shop")];
    let server = Server::start(Config { database, tokens, ..Config::default() });
    let again = server.push(&operations).unwrap();
    let outcomes = |text: &str| serde_json::from_str::<Value>(text).unwrap()["outcomes"].clone();
    let mut expected = outcomes(&first.body);
    expected[0]["duplicate"] = true.into();
    assert_eq!(outcomes(&again.body), expected);
    let cursor = |text: &str| serde_json::from_str::<Value>(text).unwrap()["cursor"].clone();
    assert_eq!(cursor(&server.pull("").unwrap().body), cursor(&page.body));
    assert_eq!(server.audit().max_effects, 1);
}

#[test]
fn a_restored_backup_gets_a_new_epoch() {
    let server = Server::fresh("epoch", |_| {});
    server.push(&body(&[create("a", "o", 5)])).unwrap();
    let page: Value = serde_json::from_str(&server.pull("").unwrap().body).unwrap();
    let query = format!("?cursor={}", page["cursor"].as_str().unwrap());
    assert_eq!(server.pull(&query).unwrap().status, 200);
    Db::open(&server.database).unwrap().new_epoch().unwrap();
    assert_eq!(server.pull(&query).unwrap().status, 410);
}

#[test]
fn two_pushers_at_once_have_each_effect_once() {
    let server = Server::fresh("two", |_| {});
    let batches: Vec<String> = (0..20)
        .map(|n| {
            body(
                &(0..10)
                    .map(|m| create(&format!("x{n}-{m}"), &format!("o{n}-{m}"), 1))
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for batch in &batches {
                    let answer = server.push(batch).unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    assert_eq!(answer.body.matches(r#""kind":"applied""#).count(), 10);
                }
            });
        }
    });
    let audit = server.audit();
    assert_eq!(
        (audit.operations, audit.applied, audit.effects, audit.max_effects),
        (200, 200, 200, 1)
    );
    assert_eq!((audit.duplicates, audit.orders.live, audit.orders.cents), (200, 200, 200));
}

#[test]
fn a_file_of_another_format_is_refused_and_left_alone() {
    let file = directory("format").join("db.sqlite");
    drop(Db::open(file.as_path()).unwrap());
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(Db::open(file.as_path()), Err(DbError::Format(99))));
    let other = directory("other").join("notes.txt");
    std::fs::write(&other, "not a database, and long enough to be read as a header".repeat(9))
        .unwrap();
    assert!(matches!(Db::open(other.as_path()), Err(DbError::Sql(_))));
    assert!(std::fs::read_to_string(&other).unwrap().starts_with("not a database"));
}

/// What format 1 was, as the server of then made it.
const FORMAT_1: &str = "
CREATE TABLE store (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE tenants (
    tenant TEXT PRIMARY KEY, last INTEGER NOT NULL, horizon INTEGER NOT NULL, repeats INTEGER NOT NULL
) STRICT;
CREATE TABLE records (
    tenant TEXT NOT NULL, collection TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
    document TEXT, op_id TEXT NOT NULL, at INTEGER NOT NULL, stored_at INTEGER NOT NULL,
    change INTEGER NOT NULL, PRIMARY KEY (tenant, collection, id), UNIQUE (tenant, change)
) STRICT;
CREATE TABLE verdicts (
    tenant TEXT NOT NULL, op_id TEXT NOT NULL, digest BLOB NOT NULL, kind TEXT NOT NULL,
    outcome TEXT NOT NULL, PRIMARY KEY (tenant, op_id)
) STRICT;
CREATE TABLE effects (
    tenant TEXT NOT NULL, op_id TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (tenant, op_id)
) STRICT;
INSERT INTO store VALUES ('epoch', 'aa01');
INSERT INTO tenants VALUES ('shop', 1, 0, 3);
INSERT INTO records VALUES ('shop', 'orders', 'o', 1, '{\"lines\":[],\"total\":7}', 'a', 5, 6, 1);
PRAGMA user_version = 1;
";

#[test]
fn a_file_of_the_format_before_is_brought_up_to_this_one() {
    let file = directory("format-1").join("db.sqlite");
    rusqlite::Connection::open(&file).unwrap().execute_batch(FORMAT_1).unwrap();
    for _ in 0..2 {
        let tokens = vec![Token::new(TOKEN, "shop")];
        let config = Config { database: file.clone().into(), tokens, ..Config::default() };
        let server = Server::start(config);
        let page: Value = serde_json::from_str(&server.pull("").unwrap().body).unwrap();
        assert_eq!((&page["epoch"], &page["changes"][0]["id"]), (&"aa01".into(), &"o".into()));
        assert_eq!((server.audit().duplicates, server.audit().orders.cents), (3, 7));
        server.stop();
    }
}
