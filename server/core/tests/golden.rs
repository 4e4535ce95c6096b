//! The golden files of the standard protocol: this library answers each stated request over each
//! stated state with exactly the stated answer, and the specification shows the same text.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use holdfast_server_core::{
    AcceptAll, Limits, Memory, PosRules, Problem, PullRequest, PushRequest, Rules, pull, push,
};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Golden {
    by: String,
    #[serde(default)]
    epoch: String,
    #[serde(default)]
    rules: String,
    #[serde(default)]
    now: u64,
    #[serde(default)]
    before: Vec<Box<RawValue>>,
    request: Request,
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    path: String,
    body: Option<Box<RawValue>>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Box<RawValue>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn golden_files() -> BTreeMap<String, Golden> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("tests/fixtures/standard")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let golden = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        files.insert(name, golden);
    }
    files
}

/// The text without white space between tokens: order of members and spelling of numbers count.
fn compact(text: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        if quoted || !c.is_whitespace() {
            out.push(c);
        }
        match c {
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    out
}

fn answer(golden: &Golden) -> Result<String, Problem> {
    let limits = Limits::default();
    let rules: &dyn Rules = if golden.rules == "pos" { &PosRules } else { &AcceptAll };
    let mut server = Memory::new(&golden.epoch);
    for body in &golden.before {
        let request = PushRequest::parse(body.get().as_bytes(), &limits)?;
        push(&mut server, &request, &AcceptAll, &limits, golden.now)?;
    }
    let (path, query) = golden.request.path.split_once('?').unwrap_or((&golden.request.path, ""));
    match (golden.request.method.as_str(), path) {
        ("POST", "/push") => {
            let text = match (&golden.request.body, &golden.request.text) {
                (Some(body), None) => body.get(),
                (None, Some(text)) => text,
                _ => panic!("a request has a body or a text"),
            };
            let request = PushRequest::parse(text.as_bytes(), &limits)?;
            assert_eq!(compact(&request.to_json()), compact(text), "written as it was read");
            Ok(push(&mut server, &request, rules, &limits, golden.now)?.to_json())
        }
        ("GET", "/pull") => {
            let mut request = PullRequest::default();
            for (name, value) in query.split('&').map(|p| p.split_once('=').unwrap()) {
                match name {
                    "limit" => request.limit = Some(value.parse().unwrap()),
                    "cursor" => request.cursor = Some(value.to_owned()),
                    _ => panic!("unknown parameter {name}"),
                }
            }
            Ok(pull(&server, &request, &limits, golden.now)?.to_json())
        }
        _ => panic!("no such request"),
    }
}

#[test]
fn every_golden_request_gets_its_golden_answer() {
    let mut checked = 0;
    for (name, golden) in golden_files() {
        match golden.by.as_str() {
            "core" => {}
            // Those of the HTTP layer are checked by the server, those of other servers by clients.
            "http" | "other" => continue,
            by => panic!("{name}: unknown origin {by}"),
        }
        let (status, media, body) = match answer(&golden) {
            Ok(body) => (200, "application/json", body),
            Err(p) => (p.kind.status(), "application/problem+json", p.to_json()),
        };
        let expected = golden.response.unwrap_or_else(|| panic!("{name}: no response:\n{body}"));
        assert_eq!(compact(&body), compact(expected.body.get()), "{name}");
        assert_eq!(status, expected.status, "{name}");
        assert_eq!(media, expected.headers["content-type"], "{name}");
        checked += 1;
    }
    assert!(checked >= 15, "only {checked} golden files");
}

/// In the specification every block of JSON that follows `<!-- golden: NAME request -->` or
/// `<!-- golden: NAME response -->` is the body in that file, and every file is shown.
#[test]
fn the_specification_shows_the_golden_files() {
    let text = std::fs::read_to_string(root().join("docs/protocol.md")).unwrap();
    let files = golden_files();
    let mut shown = BTreeSet::new();
    for part in text.split("<!-- golden: ").skip(1) {
        let (marker, rest) = part.split_once(" -->").unwrap();
        let (name, side) = marker.split_once(' ').unwrap();
        let golden = files.get(name).unwrap_or_else(|| panic!("no golden file {name}"));
        let block =
            rest.trim_start().strip_prefix("```json\n").unwrap_or_else(|| panic!("{marker}"));
        let (block, _) = block.split_once("\n```").unwrap();
        let body = match side {
            "request" => golden.request.body.as_ref().unwrap(),
            "response" => &golden.response.as_ref().unwrap().body,
            other => panic!("{name}: a side is request or response, not {other}"),
        };
        assert_eq!(compact(block), compact(body.get()), "{marker}");
        shown.insert(name);
    }
    let missing: Vec<_> = files.keys().filter(|n| !shown.contains(n.as_str())).collect();
    assert!(missing.is_empty(), "not in the specification: {missing:?}");
}
