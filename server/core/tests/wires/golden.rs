//! `tests/fixtures/<wire>/*.json`, from the server's side: where a file says what the server has
//! (`given`), its request gets its answer; where it is an error, the wire says it in that shape.

use std::collections::BTreeSet;
use std::path::PathBuf;

use holdfast_server_core::{Given, Method, Problem, ProblemKind, Role, Wire, give};
use serde::Deserialize;
use serde_json::Value;

use super::common::Backend;

#[derive(Deserialize)]
struct Golden {
    given: Option<State>,
    request: Request,
    answer: Answer,
}

#[derive(Deserialize)]
struct State {
    now: String,
    #[serde(default)]
    records: Vec<Value>,
    #[serde(default)]
    earlier: Vec<Request>,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    path: String,
    #[serde(default)]
    body: Value,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    #[serde(default)]
    body: Value,
}

fn method(word: &str) -> Method {
    match word {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        other => panic!("{other}"),
    }
}

/// Milliseconds of an instant with three digits of a fraction, by way of the wire that lists by it.
fn millis(text: &str) -> u64 {
    let (date, clock) = text.trim_end_matches('Z').split_once('T').unwrap();
    let number = |text: &str| text.parse::<u64>().unwrap();
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next().unwrap(), date.next().unwrap(), date.next().unwrap());
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.split(':').map(number);
    let seconds =
        clock.next().unwrap() * 3_600 + clock.next().unwrap() * 60 + clock.next().unwrap();
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let years: u64 = (1970..year).map(|y| if leap(y) { 366 } else { 365 }).sum();
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: u64 = lengths.iter().take(usize::try_from(month).unwrap() - 1).sum();
    let millis: u64 = format!("{fraction:0<3}").parse().unwrap();
    (years + months + day - 1) * 86_400_000 + seconds * 1_000 + millis
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn send(backend: &mut Backend, request: &Request) -> (u16, Value) {
    // PayTrack's paths follow `/api`.
    let base = if backend.wire == Wire::PayTrack { "/api" } else { "" };
    let path = format!("{base}{}", request.path.replace("%3A", ":"));
    let mut body = request.body.clone();
    if let Some(since) = body.get_mut("since_version") {
        *since = 1.into();
    }
    backend.any(method(&request.method), &path, &body)
}

/// Members that the server makes as it goes: told apart by being there, not by their value.
const MADE: [&str; 11] = [
    "timestamp",
    "server_time",
    "last_sync",
    "lastModified",
    "updated_at",
    "created_at",
    "next_cursor",
    "conflict_id",
    "links",
    "user_id",
    "attempted_at",
];
/// Members that an answer may have beside those of the file.
const MORE: [&str; 3] = ["created_at", "device_id", "sync_metadata"];

fn compare(expected: &Value, found: &Value, known: &BTreeSet<String>, at: &str) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for name in found.keys() {
                let wanted = expected.contains_key(name) || MORE.contains(&name.as_str());
                assert!(wanted, "{at}.{name} is not in the file");
            }
            for (name, value) in expected {
                let at = format!("{at}.{name}");
                let found = found.get(name).unwrap_or_else(|| panic!("{at} is missing"));
                let id = ["serverId", "id", "entity_id"].contains(&name.as_str());
                let new = id && !value.is_null() && !known.contains(&text(value));
                // A new record gets the next id, and the delta's version counts what was before.
                let version = at == ".delta.version";
                if MADE.contains(&name.as_str()) || new || version {
                    assert_eq!(value.is_null(), found.is_null(), "{at}");
                } else {
                    compare(value, found, known, &at);
                }
            }
        }
        // A delta has what was made since, which the file does not list.
        (Value::Array(expected), Value::Array(found)) if at == ".delta.changes" => {
            for row in expected {
                let same = found.iter().find(|other| other["id"] == row["id"]);
                compare(row, same.unwrap(), known, at);
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            assert_eq!(expected.len(), found.len(), "{at}: {expected:?} {found:?}");
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(expected, found, known, &format!("{at}[{index}]"));
            }
        }
        // 100 and 100.0 are one number.
        (Value::Number(expected), Value::Number(found)) => {
            assert_eq!(expected.as_f64(), found.as_f64(), "{at}");
        }
        _ => assert_eq!(expected, found, "{at}"),
    }
}

/// What the files refer to and leave out.
const REFERRED: [(Wire, &str, &str, &str); 2] = [
    (Wire::AuraConnect, "customers", "cus_88", r#"{"name":"Grace"}"#),
    (Wire::PayTrack, "suppliers", "0191a1b2-0000-7000-8000-000000000001", r#"{"name":"Wanjiru"}"#),
];

fn check(wire: Wire, golden: &Golden, state: &State) {
    let mut backend = Backend::new(wire);
    backend.role = Role::Member;
    let mut known = BTreeSet::new();
    // A change that a cursor of the files can stand behind.
    let first = Given {
        collection: "menu",
        id: "1",
        local_id: None,
        version: 1,
        stored_at: 1,
        document: Some("{}"),
    };
    give(&mut backend.store, Wire::AuraConnectMobile, &first).unwrap();
    for record in &state.records {
        let stamp = record.get("updatedAt").or_else(|| record.get("version")).unwrap();
        let (id, document) = (text(&record["id"]), record["document"].to_string());
        known.insert(id.clone());
        let given = Given {
            collection: record["collection"].as_str().unwrap(),
            id: &id,
            local_id: record["localId"].as_str(),
            version: record["version"].as_u64().unwrap_or(1),
            stored_at: millis(stamp.as_str().unwrap()),
            document: Some(document.as_str()).filter(|text| *text != "null"),
        };
        give(&mut backend.store, wire, &given).unwrap();
    }
    let answer = golden.answer.body.to_string();
    let unknown = ["not_found", "unknown_reference", "foreign_key"];
    for (of, collection, id, document) in REFERRED {
        let lacks = unknown.iter().any(|code| answer.contains(code)) || known.contains(id);
        if of == wire && !lacks && golden.request.method == "POST" {
            let referred = Given { collection, id, document: Some(document), ..first.clone() };
            give(&mut backend.store, wire, &referred).unwrap();
        }
    }
    backend.now = millis(&state.now) - 1;
    for request in &state.earlier {
        let (status, body) = send(&mut backend, request);
        assert_eq!(status, 200, "{body}");
    }
    let (status, body) = send(&mut backend, &golden.request);
    assert_eq!(status, golden.answer.status, "{body}");
    compare(&golden.answer.body, &body, &known, "");
}

/// The file's error, said by the wire.
fn check_error(wire: Wire, golden: &Golden) {
    let kind = ProblemKind::ALL.into_iter().find(|kind| kind.status() == golden.answer.status);
    let digest = golden.answer.body.to_string().contains("digest_mismatch");
    let kind = if digest { ProblemKind::DigestMismatch } else { kind.unwrap() };
    let said = wire.refusal(&Problem::new(kind, "words"));
    let body: Value = serde_json::from_str(&said.body).unwrap();
    assert_eq!(said.status, golden.answer.status);
    let shape = |value: &Value| -> Vec<(String, Value)> {
        let mut flat = Vec::new();
        flatten(value, "", &mut flat);
        flat.retain(|(name, _)| !name.ends_with("message") && *name != ".error");
        flat
    };
    let expected = shape(&golden.answer.body);
    for (name, value) in &expected {
        let found = shape(&body).into_iter().find(|(n, _)| n == name);
        // 422 names the field, which words alone do not.
        if !name.starts_with(".errors") {
            assert_eq!(found.map(|(_, value)| value).as_ref(), Some(value), "{name}");
        }
    }
}

fn flatten(value: &Value, at: &str, flat: &mut Vec<(String, Value)>) {
    if let Value::Object(members) = value {
        for (name, value) in members {
            flatten(value, &format!("{at}.{name}"), flat);
        }
    } else {
        flat.push((at.to_owned(), value.clone()));
    }
}

#[test]
fn every_golden_exchange_is_kept_by_the_server() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    for wire in Wire::ALL {
        let (mut checked, mut errors) = (0, 0);
        let mut files: Vec<_> = std::fs::read_dir(root.join(wire.name()))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for path in files {
            let name = path.display().to_string();
            println!("{name}");
            let golden: Golden = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            if let Some(state) = &golden.given {
                check(wire, &golden, state);
                checked += 1;
            } else if path.file_name().unwrap().to_str().unwrap().starts_with("error-") {
                check_error(wire, &golden);
                errors += 1;
            }
        }
        assert!(checked >= 2 && errors >= 4, "{wire:?}: only {checked} and {errors} files");
    }
}
