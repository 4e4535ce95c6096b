//! The client's side of the golden files, hostile answers, and whole exchanges with the model server.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use holdfast_server_core as server;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::status::{Ask, check, is_marked};
use super::{HttpRemote, Protocol, Push, Standard};
use crate::model::{
    Batch, Cursor, Departure, DeviceId, Document, Edit, EntityKey, GroupId, Halt, Intent, Json,
    Millis, Mono, OpId, Outcome, Path, Presence, PullPage, Scope, Seq, Stamp, Theirs, Version,
    Wall,
};
use crate::port::{Clock, Fetch, FetchError, HttpRequest, HttpResponse, Method, Remote};

const NOW: Wall = Wall(1_763_650_000_000);

#[derive(Deserialize)]
struct Golden {
    request: GoldenRequest,
    response: GoldenResponse,
}

#[derive(Deserialize)]
struct GoldenRequest {
    method: String,
    path: String,
    body: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct GoldenResponse {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Box<RawValue>,
}

fn golden_files() -> BTreeMap<String, Golden> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/standard");
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        files.insert(name, serde_json::from_str(&text).unwrap());
    }
    files
}

/// The text without white space between tokens.
fn compact(text: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        if quoted || !c.is_whitespace() {
            out.push(c);
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    out
}

#[derive(Deserialize)]
struct WirePush {
    device: DeviceId,
    operations: Vec<WireOperation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireOperation {
    op_id: OpId,
    collection: String,
    id: String,
    kind: String,
    assumed: Option<u64>,
    document: Option<Document>,
    edits: Option<Vec<WireEdit>>,
    at: u64,
    group: Option<WireGroup>,
}

#[derive(Deserialize)]
struct WireEdit {
    set: Option<Vec<String>>,
    remove: Option<Vec<String>>,
    value: Option<Json>,
}

#[derive(Deserialize)]
struct WireGroup {
    id: GroupId,
    size: u32,
}

/// What the core would have handed over to make this request.
fn batch_of(body: &str) -> Batch {
    let wire: WirePush = serde_json::from_str(body).unwrap();
    let device = wire.device;
    let operations = wire.operations.into_iter().map(|op| Departure {
        op: op.op_id,
        seq: Seq(0),
        collection: op.collection,
        own: op.id.clone(),
        id: op.id,
        intent: match op.kind.as_str() {
            "create" => Intent::Create(op.document.unwrap()),
            "replace" => Intent::Replace(op.document.unwrap()),
            "delete" => Intent::Delete,
            _ => Intent::Change(
                op.edits
                    .unwrap()
                    .into_iter()
                    .map(|edit| match (edit.set, edit.remove) {
                        (Some(path), None) => {
                            Edit::Set { path: Path(path), value: edit.value.unwrap() }
                        }
                        (_, path) => Edit::Remove { path: Path(path.unwrap()) },
                    })
                    .collect(),
            ),
        },
        decides: None,
        assumed: op.assumed.map(Version::Number),
        stamp: Stamp { millis: op.at, counter: 3, device },
        device,
        group: op.group.map(|group| (group.id, group.size)),
        sends: 1,
    });
    Batch { operations: operations.collect(), ..Batch::default() }
}

fn answer(golden: &GoldenResponse) -> HttpResponse {
    HttpResponse {
        status: golden.status,
        content_type: golden.headers["content-type"].clone(),
        retry_after: golden.headers.get("retry-after").cloned(),
        body: golden.body.get().to_owned(),
        up: 0,
        etag: None,
    }
}

fn ok(body: &str) -> HttpResponse {
    HttpResponse {
        status: 200,
        content_type: "application/json".to_owned(),
        retry_after: None,
        body: body.to_owned(),
        up: 0,
        etag: None,
    }
}

fn version(version: Option<&Version>) -> String {
    version.map_or("-".to_owned(), Version::text)
}

/// An outcome in one line.
fn line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied { version: v, presence, assigned_id, .. } => {
            let document = match presence {
                None => String::new(),
                Some(Presence::Deleted) => " gone".to_owned(),
                Some(Presence::Live(document)) => format!(" {}", compact(document.text())),
            };
            let id = assigned_id.as_ref().map_or(String::new(), |id| format!(" id={id}"));
            format!("applied {}{document}{id}", version(v.as_ref()))
        }
        Outcome::Conflict { theirs, other, .. } => {
            let other = other.as_ref().map_or(String::new(), |id| format!(" other={id}"));
            match theirs {
                Theirs::Live { document, version: v, stamp } => {
                    let at = stamp.unwrap().millis;
                    let text = compact(document.text());
                    format!("conflict {} at {at} {text}{other}", version(v.as_ref()))
                }
                Theirs::Deleted { version: v, stamp } => {
                    format!("deleted {} at {}{other}", version(v.as_ref()), stamp.unwrap().millis)
                }
                Theirs::Unknown => "unknown".to_owned(),
            }
        }
        Outcome::Rejected { code, message, last } => format!("rejected {code} {last}: {message}"),
        Outcome::Retry { after } => format!("retry {:?}", after.map(|ms| ms.0)),
    }
}

/// A3, A14: every verdict of the specification, as it is written there.
#[test]
fn golden_pushes() {
    let order = r#"{"table":7,"lines":[{"item":"Burrito","count":1,"cents":899}],"total":899,"status":"void"}"#;
    let conflict = format!("conflict 2 at 1763649942000 {order}");
    let expected: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        ("push-create-applied", vec!["applied 1"]),
        ("push-change-applied", vec!["applied 2"]),
        ("push-replace-and-delete", vec!["applied 2", "applied 2"]),
        ("push-conflict-live", vec![conflict.as_str()]),
        ("push-conflict-deleted", vec!["deleted 2 at 1763649942000"]),
        (
            "push-rejected",
            vec!["rejected validation true: the total is not the sum of the lines", "applied 1"],
        ),
        ("push-duplicate", vec!["applied 1"]),
        (
            "push-id-reused",
            vec![
                "rejected operation-id-reused true: this operation id was used for another operation",
            ],
        ),
        ("push-record-chain", vec![conflict.as_str(), "retry None"]),
        (
            "push-not-found",
            vec!["rejected not-found true: this record was never created", "applied - gone"],
        ),
        ("push-group-applied", vec!["applied 1", "applied 2"]),
        ("push-group-refused", vec!["retry None", r#"conflict 2 at 1763649942000 {"left":3}"#]),
        ("push-nothing", vec![]),
        (
            "push-other-servers",
            vec![
                r#"applied 1 {"total":899,"number":"2025-0117"}"#,
                "applied 1 id=88213",
                r#"conflict 4 at 1763646400000 {"mail":"a@b.example","name":"Ann"} other=customer-17"#,
                "retry Some(2500)",
                "rejected busy false: the day is being closed",
            ],
        ),
    ]);
    let protocol = Standard::new("/api");
    let mut checked = 0;
    for (name, golden) in golden_files() {
        if !name.starts_with("push-") {
            continue;
        }
        let body = golden.request.body.unwrap();
        let batch = batch_of(body.get());
        // A client has no reason to send nothing, and then knows no device to name.
        if !batch.is_empty() {
            let request = protocol.ask(&Push::new(&batch)).unwrap();
            assert_eq!(compact(&request.body.unwrap()), compact(body.get()), "{name}");
            assert_eq!(request.url, format!("/api{}", golden.request.path), "{name}");
            assert_eq!((request.method, golden.request.method.as_str()), (Method::Post, "POST"));
        }
        let reply = protocol.reply(&batch, &answer(&golden.response), NOW);
        assert_eq!(reply.halt, None, "{name}");
        let lines: Vec<String> = reply.outcomes.iter().map(|(_, outcome)| line(outcome)).collect();
        assert_eq!(lines, expected[name.as_str()], "{name}");
        let ids: Vec<OpId> = reply.outcomes.iter().map(|(op, _)| *op).collect();
        assert_eq!(ids, batch.operations.iter().map(|d| d.op).collect::<Vec<_>>(), "{name}");
        checked += 1;
    }
    assert_eq!(checked, expected.len());
}

#[test]
fn an_applied_operation_keeps_its_own_time() {
    let golden = &golden_files()["push-create-applied"];
    let batch = batch_of(golden.request.body.as_ref().unwrap().get());
    let reply = Standard::new("/api").reply(&batch, &answer(&golden.response), NOW);
    let (_, Outcome::Applied { stamp, .. }) = &reply.outcomes[0] else { panic!("{reply:?}") };
    assert_eq!(*stamp, Some(batch.operations[0].stamp));
}

/// A15, P13: pages, and a cursor that is too old.
#[test]
fn golden_pulls() {
    let files = golden_files();
    let read = |name: &str, limit: usize, cursor: Option<&str>| {
        let golden = &files[name];
        let protocol = Standard { page: limit, ..Standard::new("https://shop.example/api/") };
        let cursor = cursor.map(|text| Cursor(text.to_owned()));
        let request = protocol.encode_pull(&Scope::all(), cursor.as_ref());
        assert_eq!(request.url, format!("https://shop.example/api{}", golden.request.path));
        assert_eq!((request.method, request.body), (Method::Get, None));
        protocol.decode_pull(cursor.as_ref(), &answer(&golden.response), NOW)
    };
    let rows = |page: &PullPage| {
        let row = |c: &crate::model::RemoteChange| {
            let content = c.presence.document().map_or("gone".to_owned(), |d| compact(d.text()));
            let op = c.op.unwrap().to_string();
            let last = op.chars().last().unwrap();
            let at = c.stamp.unwrap().millis;
            format!(
                "{}/{} {} {content} {last} {at}",
                c.key.collection,
                c.key.id,
                version(c.version.as_ref())
            )
        };
        page.changes.iter().map(row).collect::<Vec<_>>()
    };
    let first = read("pull-first", 2, None).unwrap();
    assert_eq!(
        rows(&first),
        [
            r#"menu/nachos 1 {"name":"nachos","price":399} 3 1763649943000"#,
            r#"menu/burrito 2 {"name":"burrito","price":949} 4 1763649944000"#
        ]
    );
    assert!(first.more && first.unreadable.is_empty());
    let next = read("pull-next", 2, Some(&first.next.0)).unwrap();
    assert_eq!(rows(&next), ["menu/taco 2 gone 5 1763649945000"]);
    let last = read("pull-nothing-new", 1_000, Some(&next.next.0)).unwrap();
    assert_eq!((last.next, last.more, last.changes.len()), (next.next, false, 0));
    assert_eq!(read("pull-cursor-expired", 1_000, Some("77aa01.912")), Err(Halt::Expired));
    let url = Standard::new("/api")
        .encode_pull(&Scope("building:4 2".into()), Some(&Cursor("a&b".into())))
        .url;
    assert_eq!(url, "/api/pull?limit=1000&cursor=a%26b&scope=building%3A4%202");
}

/// A8, A9, A11, A12: refusals of whole requests, as they are written in the specification.
#[test]
fn golden_problems() {
    for (name, halt) in [
        ("problem-malformed", Halt::BatchRefused),
        ("problem-group", Halt::BatchRefused),
        ("problem-media-type", Halt::BatchRefused),
        ("problem-unauthorized", Halt::Auth),
        ("problem-not-found", Halt::Misconfigured),
        ("problem-method", Halt::Misconfigured),
        ("problem-unavailable", Halt::Later(Some(Millis(5_000)))),
    ] {
        let golden = &golden_files()[name];
        assert_eq!(
            check(&answer(&golden.response), Ask::Push, &is_marked, NOW),
            Err(halt),
            "{name}"
        );
    }
}

fn op(n: u8) -> OpId {
    OpId::from_bytes([n; 16])
}

fn departure(n: u8, id: &str, intent: Intent) -> Departure {
    let device = DeviceId::from_bytes([9; 16]);
    Departure {
        op: op(n),
        seq: Seq(0),
        collection: "orders".to_owned(),
        own: id.to_owned(),
        id: id.to_owned(),
        intent,
        decides: None,
        assumed: None,
        stamp: Stamp { millis: 500, counter: 0, device },
        device,
        group: None,
        sends: 1,
    }
}

fn create(n: u8, id: &str) -> Departure {
    departure(n, id, Intent::Create(Document::parse(r#"{"total":5}"#).unwrap()))
}

fn one() -> Batch {
    Batch { operations: vec![create(1, "o")], ..Batch::default() }
}

fn verdicts_of(outcomes: &str) -> Result<Vec<String>, Halt> {
    let body = format!(r#"{{"holdfast":1,"outcomes":{outcomes},"end":true}}"#);
    let reply = Standard::new("/api").reply(&one(), &ok(&body), NOW);
    match reply.halt {
        Some(halt) => Err(halt),
        None => Ok(reply.outcomes.iter().map(|(_, outcome)| line(outcome)).collect()),
    }
}

/// A3 to A7, P36, R7: what is not understood is never taken as success.
#[test]
fn what_a_hostile_server_says_about_operations() {
    let mine = op(1);
    let other = op(7);
    let applied = format!(r#"{{"opId":"{mine}","kind":"applied","version":1}}"#);
    let with = |members: &str| format!(r#"[{{"opId":"{mine}",{members}}}]"#);
    let protocol = Err(Halt::Protocol);
    let long = "x".repeat(200);
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(64), "]".repeat(64));
    for (name, outcomes, expected) in [
        ("missing is retry", "[]".to_owned(), Ok(vec![])),
        (
            "unknown operation",
            format!(r#"[{{"opId":"{other}","kind":"applied","version":1}}]"#),
            Ok(vec![]),
        ),
        (
            "an unknown operation's nonsense",
            format!(r#"[{{"opId":"x","kind":"what"}},{applied}]"#),
            Ok(vec!["applied 1"]),
        ),
        ("twice, equal", format!("[{applied},{applied}]"), Ok(vec!["applied 1"])),
        (
            "twice, contradicting",
            format!(r#"[{applied},{{"opId":"{mine}","kind":"retry"}}]"#),
            protocol.clone(),
        ),
        (
            "other members",
            with(r#""kind":"applied","version":1,"because":null,"x":{}"#),
            Ok(vec!["applied 1"]),
        ),
        ("not a list", "{}".into(), protocol.clone()),
        ("null", "null".into(), protocol.clone()),
        ("a list of numbers", "[1]".into(), protocol.clone()),
        ("no operation id", r#"[{"kind":"applied","version":1}]"#.into(), protocol.clone()),
        ("no kind", with(r#""version":1"#), protocol.clone()),
        ("an unknown kind", with(r#""kind":"accepted","version":1"#), protocol.clone()),
        ("kind of a wrong type", with(r#""kind":true,"version":1"#), protocol.clone()),
        ("applied without a version", with(r#""kind":"applied""#), protocol.clone()),
        ("applied at version 0", with(r#""kind":"applied","version":0"#), protocol.clone()),
        ("a version below zero", with(r#""kind":"applied","version":-1"#), protocol.clone()),
        ("a version with a fraction", with(r#""kind":"applied","version":1.5"#), protocol.clone()),
        ("a version as text", with(r#""kind":"applied","version":"1""#), protocol.clone()),
        ("a version beyond reason", with(r#""kind":"applied","version":1e40"#), protocol.clone()),
        (
            "a document that is a list",
            with(r#""kind":"applied","version":1,"document":[]"#),
            protocol.clone(),
        ),
        (
            "a document that is deep",
            with(&format!(r#""kind":"applied","version":1,"document":{deep}"#)),
            protocol.clone(),
        ),
        (
            "an empty assigned id",
            with(r#""kind":"applied","version":1,"serverId":"""#),
            protocol.clone(),
        ),
        (
            "a long assigned id",
            with(&format!(r#""kind":"applied","version":1,"serverId":"{long}""#)),
            protocol.clone(),
        ),
        (
            "conflict without a version",
            with(r#""kind":"conflict","document":null"#),
            protocol.clone(),
        ),
        ("conflict without a document", with(r#""kind":"conflict","version":2"#), protocol.clone()),
        (
            "conflict with a number",
            with(r#""kind":"conflict","version":2,"document":3"#),
            protocol.clone(),
        ),
        ("rejected without a code", with(r#""kind":"rejected","message":"no""#), protocol.clone()),
        ("rejected with an empty code", with(r#""kind":"rejected","code":"""#), protocol.clone()),
        (
            "rejected with a long code",
            with(&format!(r#""kind":"rejected","code":"{long}""#)),
            protocol.clone(),
        ),
        (
            "rejected, and no more",
            with(r#""kind":"rejected","code":"busy""#),
            Ok(vec!["rejected busy false: "]),
        ),
        (
            "final of a wrong type",
            with(r#""kind":"rejected","code":"busy","final":1"#),
            protocol.clone(),
        ),
        ("retry after nothing", with(r#""kind":"retry","after":-1"#), protocol.clone()),
        ("retry after text", with(r#""kind":"retry","after":"1""#), protocol.clone()),
        (
            "retry after years",
            with(r#""kind":"retry","after":1e300"#),
            Ok(vec!["retry Some(3600000)"]),
        ),
        ("one bad among good", format!(r#"[{applied},{{"opId":"{other}"}}]"#), protocol.clone()),
    ] {
        let expected =
            expected.map(|lines: Vec<&str>| lines.into_iter().map(str::to_owned).collect());
        assert_eq!(verdicts_of(&outcomes), expected, "{name}");
    }
    let message = "m".repeat(5_000);
    let rejected = with(&format!(r#""kind":"rejected","code":"c","message":"{message}""#));
    assert!(verdicts_of(&rejected).unwrap()[0].len() < 1_100, "a message does not grow for ever");
    assert_eq!(
        Standard::new("/api").reply(&one(), &ok(r#"{"holdfast":1,"end":true}"#), NOW).halt,
        Some(Halt::Protocol)
    );
}

fn page_of(body: &str, from: Option<&str>) -> Result<PullPage, Halt> {
    let body = format!(r#"{{"holdfast":1,{body},"end":true}}"#);
    let from = from.map(|text| Cursor(text.to_owned()));
    Standard::new("/api").decode_pull(from.as_ref(), &ok(&body), NOW)
}

/// A17, R2, P36: a page is whole or nothing; a change that cannot be read is kept aside.
#[test]
fn what_a_hostile_server_says_about_changes() {
    let protocol = Err(Halt::Protocol);
    for (name, body, from) in [
        ("no changes", r#""cursor":"a","more":false"#.to_owned(), None),
        ("no cursor", r#""changes":[],"more":false"#.into(), None),
        ("an empty cursor", r#""changes":[],"cursor":"","more":false"#.into(), None),
        ("a cursor of a wrong type", r#""changes":[],"cursor":7,"more":false"#.into(), None),
        (
            "a cursor beyond reason",
            format!(r#""changes":[],"cursor":"{}","more":false"#, "c".repeat(5_000)),
            None,
        ),
        ("no more", r#""changes":[],"cursor":"a""#.into(), None),
        ("more of a wrong type", r#""changes":[],"cursor":"a","more":1"#.into(), None),
        ("more, and no progress", r#""changes":[],"cursor":"a","more":true"#.into(), Some("a")),
    ] {
        assert_eq!(page_of(&body, from), protocol, "{name}");
    }
    let good = r#"{"collection":"c","id":"i","version":2,"document":{"a":1}}"#;
    for (name, bad) in [
        ("a number", "7"),
        ("no document", r#"{"collection":"c","id":"j","version":1}"#),
        ("no version", r#"{"collection":"c","id":"j","document":null}"#),
        ("version 0", r#"{"collection":"c","id":"j","version":0,"document":null}"#),
        ("an empty id", r#"{"collection":"c","id":"","version":1,"document":null}"#),
        ("an id of a wrong type", r#"{"collection":"c","id":7,"version":1,"document":null}"#),
        ("no collection", r#"{"id":"j","version":1,"document":null}"#),
        (
            "a document of a wrong type",
            r#"{"collection":"c","id":"j","version":1,"document":false}"#,
        ),
    ] {
        let page = page_of(&format!(r#""changes":[{bad},{good}],"cursor":"a","more":false"#), None)
            .unwrap();
        assert_eq!(page.unreadable, [bad], "{name}: kept aside with its text");
        assert_eq!(page.changes.len(), 1, "{name}: the rest goes on");
        assert_eq!(page.changes[0].key, EntityKey::new("c", "i"), "{name}");
    }
    let twice =
        r#"{"collection":"c","id":"i","version":3,"document":null,"opId":"not-a-uuid","at":4}"#;
    let page =
        page_of(&format!(r#""changes":[{good},{twice}],"cursor":"a","more":false"#), None).unwrap();
    assert_eq!(page.changes.len(), 1);
    assert_eq!(
        (page.changes[0].version.clone(), page.changes[0].op),
        (Some(Version::Number(3)), None)
    );
}

/// Drives a future that never has to wait.
fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

struct Fixed;

impl Clock for Fixed {
    fn wall(&self) -> Wall {
        NOW
    }
    fn mono(&self) -> Mono {
        Mono(0)
    }
    async fn sleep_until(&self, _: Mono) {}
}

/// The model server behind plain data, and what it was asked.
struct Loopback {
    store: RefCell<server::Memory>,
    asked: RefCell<Vec<HttpRequest>>,
    forgotten: Cell<u32>,
    /// Answers given instead of the server's, first to last.
    instead: RefCell<Vec<Result<HttpResponse, FetchError>>>,
}

impl Loopback {
    fn new() -> Self {
        Self {
            store: RefCell::new(server::Memory::new("e1")),
            asked: RefCell::default(),
            forgotten: Cell::new(0),
            instead: RefCell::default(),
        }
    }

    fn answer(&self, request: &HttpRequest) -> Result<String, server::Problem> {
        let limits = server::Limits::default();
        let store = &mut *self.store.borrow_mut();
        match &request.body {
            Some(body) => {
                let push = server::PushRequest::parse(body.as_bytes(), &limits)?;
                Ok(server::push(store, &push, &server::AcceptAll, &limits, NOW.0)?.to_json())
            }
            None => {
                let cursor = request.url.split_once("&cursor=").map(|(_, c)| c.to_owned());
                let pull = server::PullRequest { cursor, limit: None, scope: None };
                Ok(server::pull(store, &pull, &limits, NOW.0)?.to_json())
            }
        }
    }
}

impl Fetch for &Loopback {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        self.asked.borrow_mut().push(request.clone());
        let mut instead = self.instead.borrow_mut();
        if !instead.is_empty() {
            return instead.remove(0);
        }
        Ok(match self.answer(&request) {
            Ok(body) => HttpResponse {
                up: request.body.as_ref().map_or(0, String::len) as u64,
                ..ok(&body)
            },
            Err(problem) => HttpResponse {
                status: problem.kind.status(),
                content_type: "application/problem+json".to_owned(),
                ..ok(&problem.to_json())
            },
        })
    }

    fn forget_token(&self) {
        self.forgotten.set(self.forgotten.get() + 1);
    }
}

fn status(status: u16) -> Result<HttpResponse, FetchError> {
    Ok(HttpResponse { status, ..ok("") })
}

/// A3, A15, P6: against the model server.
#[test]
fn a_sale_goes_out_and_comes_back() {
    let loopback = Loopback::new();
    let remote = HttpRemote::new(Standard::new("/api"), &loopback, Fixed);
    let first = now_or_never(remote.push(&one()));
    let again = now_or_never(remote.push(&one()));
    assert_eq!(first.outcomes, again.outcomes, "a repeat has the same verdict");
    assert_eq!(first.halt, None);
    assert!(first.bytes > 200, "{}", first.bytes);
    assert_eq!(loopback.store.borrow().effects(&op(1).to_string()), 1);
    let page = now_or_never(remote.pull(&Scope::all(), None)).unwrap();
    assert_eq!(page.changes[0].op, Some(op(1)), "the echo names the operation");
    assert_eq!(page.changes[0].presence.document().unwrap().text(), r#"{"total":5}"#);
    let next = now_or_never(remote.pull(&Scope::all(), Some(&page.next))).unwrap();
    assert_eq!((next.changes.len(), next.next), (0, page.next));
    loopback.store.borrow_mut().set_epoch("e2");
    let cursor = Cursor("e1.1".to_owned());
    assert_eq!(now_or_never(remote.pull(&Scope::all(), Some(&cursor))), Err(Halt::Expired));
}

/// P5, P35.
#[test]
fn the_same_batch_gives_the_same_bytes() {
    let edits = vec![
        Edit::Set {
            path: Path(vec!["a\"b".into(), "c".into()]),
            value: Json::parse("1.10").unwrap(),
        },
        Edit::Remove { path: Path::field("d") },
    ];
    let mut change = departure(2, "o\"\u{1F32F}", Intent::Change(edits));
    change.assumed = Some(Version::Number(7));
    let operations = vec![create(1, "o"), change, departure(3, "p", Intent::Delete)];
    let batch = Batch { operations, ..Batch::default() };
    let protocol = Standard::new("/api");
    let text = protocol.ask(&Push::new(&batch)).unwrap().body.unwrap();
    assert_eq!(Some(&text), protocol.ask(&Push::new(&batch)).unwrap().body.as_ref());
    assert!(text.contains(r#"{"set":["a\"b","c"],"value":1.10}"#), "{text}");
    let request = server::PushRequest::parse(text.as_bytes(), &server::Limits::default()).unwrap();
    assert!(request.operations.iter().all(|submitted| submitted.operation.is_ok()), "{text}");
}

/// A9, P32.
#[test]
fn a_refused_token_is_renewed_once() {
    let loopback = Loopback::new();
    let remote = HttpRemote::new(Standard::new("/api"), &loopback, Fixed);
    loopback.instead.replace(vec![status(401)]);
    assert_eq!(now_or_never(remote.push(&one())).halt, None);
    assert_eq!(loopback.forgotten.get(), 1);
    {
        let asked = loopback.asked.borrow();
        assert_eq!((asked.len(), &asked[0]), (2, &asked[1]), "the same bytes again");
    }
    loopback.instead.replace(vec![status(401), status(401)]);
    assert_eq!(now_or_never(remote.push(&one())).halt, Some(Halt::Auth));
    assert_eq!(loopback.asked.borrow().len(), 4, "and not a third time");
    loopback.instead.replace(vec![Err(FetchError::NoToken)]);
    assert_eq!(now_or_never(remote.pull(&Scope::all(), None)), Err(Halt::Auth));
}

/// A1, A2, P36.
#[test]
fn no_answer_and_foreign_answers_end_nothing() {
    let loopback = Loopback::new();
    let remote = HttpRemote::new(Standard::new("/api"), &loopback, Fixed);
    let portal = HttpResponse { content_type: "text/html".to_owned(), ..ok("<html>") };
    for (instead, halt) in [
        (Err(FetchError::Unreachable), Halt::Unreachable),
        (Err(FetchError::Unreadable), Halt::Foreign),
        (Ok(portal), Halt::Foreign),
        (Ok(ok("")), Halt::Foreign),
        (Ok(ok(r#"{"holdfast":1,"outcomes":["#)), Halt::Foreign),
        (status(503), Halt::Foreign),
        (status(413), Halt::TooLarge),
        (status(400), Halt::Foreign),
    ] {
        loopback.instead.replace(vec![instead.clone()]);
        let reply = now_or_never(remote.push(&one()));
        assert_eq!((reply.halt, reply.outcomes), (Some(halt), vec![]), "{instead:?}");
    }
    assert_eq!(now_or_never(remote.push(&one())).outcomes.len(), 1);
}

mod same_edits {
    use proptest::prelude::*;

    use super::*;
    use crate::model::edit;

    fn name() -> impl Strategy<Value = String> {
        prop_oneof!["[ab]", Just("a\"\u{e9}".to_owned())]
    }

    /// JSON texts with the same names again and again, so that paths meet something.
    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("1.10".to_owned()),
            Just("\"x\"".to_owned()),
            Just("[{\"a\":1}]".to_owned()),
        ];
        leaf.prop_recursive(3, 12, 3, object)
    }

    fn object(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        proptest::collection::btree_map(name(), inner, 0..3).prop_map(|members| {
            let members: Vec<String> = members
                .into_iter()
                .map(|(name, value)| format!("{}:{value}", crate::model::json::quote(&name)))
                .collect();
            format!("{{{}}}", members.join(","))
        })
    }

    fn edits() -> impl Strategy<Value = Vec<(Vec<String>, Option<String>)>> {
        let path = proptest::collection::vec(name(), 1..4);
        proptest::collection::vec((path, proptest::option::of(value())), 0..5)
    }

    proptest! {
        /// R3: where a server says "applied" without a document, the device calculates it: both sides must mean the same.
        #[test]
        fn device_and_server_make_the_same_document(start in object(value()), edits in edits()) {
            let ours: Vec<Edit> = edits
                .iter()
                .map(|(path, value)| {
                    let value = value.as_ref().map(|text| Json::parse(text).unwrap());
                    Edit::to(Path(path.clone()), value)
                })
                .collect();
            let ours = edit::apply(&Document::parse(&start).unwrap(), &ours);
            let mut theirs = server::Document::parse(&start).unwrap();
            for (path, value) in edits {
                let edit = match value {
                    Some(text) => server::Edit::Set { path, value: serde_json::from_str(&text).unwrap() },
                    None => server::Edit::Remove { path },
                };
                theirs = theirs.apply(&[edit]);
            }
            prop_assert_eq!(ours.text(), theirs.as_str());
        }
    }
}
