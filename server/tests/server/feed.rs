//! The feed while many write: no cursor passes a change that commits later, on one server and on
//! two that share a database (P13, PROMISES 8).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use holdfast_server::{Config, Token};
use serde_json::{Value, json};

use super::common::{Server, TOKEN, database, exchange, json as headers, postgres};

const WRITERS: usize = 4;
const EACH: usize = 25;

fn call(addr: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let answer = exchange(addr, method, path, &headers(), text.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// How a protocol writes one record and reads a page after a cursor: the ids in it, and the next one.
struct Reach {
    name: &'static str,
    write: fn(SocketAddr, usize, usize),
    read: fn(SocketAddr, &str) -> (Vec<String>, String),
}

fn id(writer: usize, n: usize) -> String {
    format!("w{writer}-{n}")
}

fn texts(rows: &Value, name: &str) -> Vec<String> {
    let rows = rows.as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
}

const ALL: [Reach; 4] = [
    Reach {
        name: "standard",
        write: |addr, writer, n| {
            let operation = json!({"opId": id(writer, n), "collection": "notes", "id": id(writer, n),
                "kind": "create", "assumed": null, "document": {}, "at": 1});
            let body = json!({"holdfast": 1, "device": "d", "operations": [operation]});
            call(addr, "POST", "/api/push", &body);
        },
        read: |addr, cursor| {
            let query = if cursor.is_empty() { String::new() } else { format!("?cursor={cursor}") };
            let page = call(addr, "GET", &format!("/api/pull{query}"), &Value::Null);
            (texts(&page["changes"], "id"), page["cursor"].as_str().unwrap().to_owned())
        },
    },
    Reach {
        name: "paytrack",
        write: |addr, writer, n| {
            let operation = json!({"id": 1, "entity_type": "suppliers", "entity_uuid": id(writer, n),
                "operation": "create", "version": 0, "payload": {"name": "x"}});
            let body = json!({"device_id": "d", "operations": [operation]});
            call(addr, "POST", "/paytrack/api/sync/push", &body);
        },
        read: |addr, cursor| {
            let query = if cursor.is_empty() { String::new() } else { format!("?cursor={cursor}") };
            let page = call(addr, "GET", &format!("/paytrack/api/sync/pull{query}"), &Value::Null);
            (
                texts(&page["changes"], "entity_uuid"),
                page["next_cursor"].as_str().unwrap().to_owned(),
            )
        },
    },
    Reach {
        name: "auraconnect-mobile",
        write: |addr, writer, n| {
            let record = json!({"client_id": id(writer, n), "id": null, "action": "create",
                "base_version": null, "data": {"staff_id": 1, "clock_in": "2026-11-20T08:00:00.000Z",
                "break_minutes": 0}});
            let body =
                json!({"device_id": "d", "since_version": 0, "limit": 1, "shifts": [record]});
            call(addr, "POST", "/auraconnect-mobile/sync/shifts", &body);
        },
        read: |addr, cursor| {
            let since: u64 = cursor.parse().unwrap_or(0);
            let body =
                json!({"device_id": "r", "since_version": since, "limit": 500, "shifts": []});
            let page =
                call(addr, "POST", "/auraconnect-mobile/sync/shifts", &body)["delta"].clone();
            (texts(&page["changes"], "client_id"), page["version"].to_string())
        },
    },
    Reach {
        name: "auraconnect",
        write: |addr, writer, n| {
            let record = json!({"localId": id(writer, n), "serverId": null, "serverModified": null,
                "isDeleted": false, "name": "x"});
            let body = json!({"deviceId": "d", "changes": {"customers": [record]}});
            call(addr, "POST", "/auraconnect/api/sync/push", &body);
        },
        read: |addr, cursor| {
            // The stamps of this wire are asked for with an overlap, which is its client's duty.
            let since = if cursor.is_empty() {
                String::new()
            } else {
                format!("&since={}", earlier(cursor))
            };
            let path = format!("/auraconnect/api/sync/pull?limit=1000{since}");
            let page = call(addr, "GET", &path, &Value::Null);
            let stamp = page["timestamp"].as_str().unwrap().to_owned();
            (texts(&page["changes"]["customers"], "localId"), stamp)
        },
    },
];

/// A minute earlier: more than the 5 s of the wire, so that no slow machine decides.
fn earlier(stamp: &str) -> String {
    let (date, clock) = stamp.split_once('T').unwrap();
    let mut parts: Vec<u64> =
        clock.get(..5).unwrap().split(':').map(|part| part.parse().unwrap()).collect();
    let minutes = parts.remove(0) * 60 + parts.remove(0);
    let minutes = minutes.saturating_sub(1);
    format!("{date}T{:02}:{:02}{}", minutes / 60, minutes % 60, clock.get(5..).unwrap())
}

/// Writers at some servers, a reader that polls them in turn: everything written is seen, and by
/// way of the cursors alone.
fn nothing_is_missed(reach: &Reach, addresses: &[SocketAddr]) {
    let address = |turn: usize| *addresses.get(turn % addresses.len()).unwrap();
    let done = AtomicUsize::new(0);
    let seen = std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (addr, done) = (address(writer), &done);
            scope.spawn(move || {
                for n in 0..EACH {
                    (reach.write)(addr, writer, n);
                }
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        let (mut cursor, mut seen) = (String::new(), BTreeSet::new());
        for turn in 0.. {
            // Asked before the page: what was written by then is in it, or in an earlier one.
            let last = done.load(Ordering::SeqCst) == WRITERS;
            let (ids, next) = (reach.read)(address(turn), &cursor);
            seen.extend(ids);
            cursor = next;
            if last {
                break;
            }
        }
        seen
    });
    let all: BTreeSet<String> =
        (0..WRITERS).flat_map(|writer| (0..EACH).map(move |n| id(writer, n))).collect();
    let missed: Vec<_> = all.difference(&seen).collect();
    assert!(missed.is_empty(), "{}: {missed:?}", reach.name);
}

#[test]
fn a_polling_reader_misses_nothing_while_many_write() {
    let server = Server::fresh("feed-one", |_| {});
    for reach in &ALL {
        nothing_is_missed(reach, &[server.addr]);
    }
    assert_eq!(server.audit().max_effects, 1);
}

#[test]
fn a_polling_reader_misses_nothing_on_two_servers_of_one_database() {
    // Two processes may also share a SQLite file, on one machine.
    let database = database("feed-two");
    let start = || {
        let tokens = vec![Token::new(TOKEN, "shop")];
        Server::start(Config { database: database.clone(), tokens, ..Config::default() })
    };
    let (first, second) = (start(), start());
    for reach in &ALL {
        nothing_is_missed(reach, &[first.addr, second.addr]);
    }
    let audit = second.audit();
    assert_eq!(audit.max_effects, 1);
    let effects = u64::try_from(ALL.len() * WRITERS * EACH).unwrap();
    assert_eq!(audit.effects, effects);
}

/// The same operations at two servers at once: one effect each, one verdict for both.
#[test]
fn repeats_at_two_servers_at_once_have_one_effect() {
    let database = database("feed-repeat");
    let start = || {
        let tokens = vec![Token::new(TOKEN, "shop")];
        Server::start(Config { database: database.clone(), tokens, ..Config::default() })
    };
    let servers = [start(), start()];
    std::thread::scope(|scope| {
        for server in &servers {
            for reach in &ALL {
                scope.spawn(move || (0..10).for_each(|n| (reach.write)(server.addr, 0, n)));
            }
        }
    });
    let audit = servers[0].audit();
    assert_eq!((audit.effects, audit.max_effects), (u64::try_from(ALL.len() * 10).unwrap(), 1));
}

/// What this suite ran on, for whoever reads its output.
#[test]
fn the_database_under_test_is_named() {
    println!("database: {}", if postgres().is_some() { "PostgreSQL" } else { "SQLite" });
}
