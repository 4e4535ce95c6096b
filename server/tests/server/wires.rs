//! The five wires over connections: WIRES 0.1 to 0.3 and 0.10, users and tenants, faults.

use std::io::Write as _;

use holdfast_server::{Config, Db, Flaw, Rate, Role, Seed, Token, Wire};
use holdfast_server_core::content_digest;
use serde_json::{Value, json};

use super::common::{Answer, Server, TOKEN, bearer, exchange};

/// A request that writes one record, its path, and one that reads.
fn sample(wire: Wire, id: &str) -> (String, Value, String) {
    let base = format!("/{}", wire.name());
    match wire {
        Wire::AuraConnect => {
            let record = json!({"localId": id, "serverId": null, "serverModified": null, "isDeleted": false, "name": "Ada"});
            let body = json!({"deviceId": "d1", "changes": {"customers": [record]}});
            (format!("{base}/api/sync/push"), body, format!("{base}/api/sync/pull"))
        }
        Wire::AuraConnectMobile => {
            let data =
                json!({"staff_id": 1, "clock_in": "2026-11-20T08:00:00.000Z", "break_minutes": 0});
            let record = json!({"client_id": id, "id": null, "action": "create", "base_version": null, "data": data});
            let body = json!({"device_id": "d1", "since_version": 0, "shifts": [record]});
            (format!("{base}/sync/shifts"), body, String::new())
        }
        Wire::TrackVault => {
            let payload = json!({"code": id, "name": "Ada"});
            let operation = json!({"local_id": id, "entity_type": "supplier", "entity_id": null, "operation_type": "create", "payload": payload});
            let body = json!({"device_id": "device_1_aaaaaaaa", "operations": [operation]});
            (format!("{base}/api/sync"), body, format!("{base}/api/suppliers"))
        }
        Wire::ArxOs => {
            let payload =
                json!({"id": id, "building_id": "b1", "name": "Ada", "type": "pump", "version": 1});
            let operation = json!({"entity_type": "equipment", "entity_id": id, "operation": "create", "payload": payload});
            let body = json!({"operations": [operation]});
            (
                format!("{base}/api/v1/mobile/sync/batch"),
                body,
                format!("{base}/api/v1/mobile/equipment/building/b1"),
            )
        }
        Wire::PayTrack => {
            let operation = json!({"id": 1, "entity_type": "suppliers", "entity_uuid": id, "operation": "create", "version": 0, "payload": {"name": "Ada"}});
            let body = json!({"device_id": "d1", "operations": [operation]});
            (format!("{base}/api/sync/push"), body, format!("{base}/api/sync/pull"))
        }
    }
}

fn write(server: &Server, wire: Wire, token: &str, id: &str) -> Option<Answer> {
    let (path, body, _) = sample(wire, id);
    exchange(server.addr, "POST", &path, &bearer(token), body.to_string().as_bytes())
}

fn read(server: &Server, wire: Wire, token: &str) -> Answer {
    let (path, mut body, list) = sample(wire, "x");
    let answer = if list.is_empty() {
        body["shifts"] = json!([]);
        exchange(server.addr, "POST", &path, &bearer(token), body.to_string().as_bytes())
    } else {
        exchange(server.addr, "GET", &list, &bearer(token), b"")
    };
    answer.unwrap()
}

fn applied(answer: &Answer) -> bool {
    let words = [r#""status":"success""#, r#""status":"confirmed""#, r#""success":[""#];
    answer.status == 200 && words.iter().any(|word| answer.body.contains(word))
}

/// The code of an error, in the shape of each wire.
fn code(wire: Wire, answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let code = match wire {
        Wire::AuraConnect => &body["error"]["code"],
        Wire::AuraConnectMobile => &body["error"],
        Wire::TrackVault => &body["message"],
        Wire::ArxOs => &body["code"],
        Wire::PayTrack => {
            assert_eq!(body["success"], false);
            &body["error"]["code"]
        }
    };
    code.as_str().unwrap().to_owned()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    coder.write_all(text.as_bytes()).unwrap();
    coder.finish().unwrap()
}

fn header(name: &str, value: &str) -> Vec<(String, String)> {
    let mut headers = bearer(TOKEN);
    headers.retain(|(n, _)| n != name);
    headers.push((name.to_owned(), value.to_owned()));
    headers
}

#[test]
fn browsers_of_any_origin_may_call() {
    let server = Server::fresh("wire-cors", |_| {});
    for wire in Wire::ALL {
        let (path, _, _) = sample(wire, "a");
        let origin = vec![("origin".to_owned(), "https://till.example".to_owned())];
        let answer = exchange(server.addr, "OPTIONS", &path, &origin, b"").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        for (name, value) in [
            ("access-control-allow-origin", "https://till.example"),
            ("vary", "origin"),
            ("access-control-allow-methods", "GET, POST, PUT, DELETE"),
            ("access-control-max-age", "600"),
            (
                "access-control-allow-headers",
                "authorization, content-type, content-encoding, content-digest, want-content-digest, idempotency-key, if-none-match",
            ),
        ] {
            assert_eq!(answer.headers[name], value, "{wire:?} {name}");
        }
        let refused = exchange(server.addr, "POST", &path, &origin, b"").unwrap();
        assert_eq!(refused.status, 401, "{wire:?}");
        assert_eq!(refused.headers["access-control-allow-origin"], "https://till.example");
        assert_eq!(
            refused.headers["access-control-expose-headers"],
            "retry-after, content-digest, etag, date"
        );
        assert!(
            refused.headers.contains_key("date")
                && refused.headers.contains_key("www-authenticate")
        );
    }
}

#[test]
fn every_error_is_said_in_the_words_of_its_wire() {
    let server = Server::fresh("wire-errors", |_| {});
    let big = " ".repeat((1 << 20) + 1);
    for wire in Wire::ALL {
        let (path, body, _) = sample(wire, "a");
        let text = body.to_string();
        let other = format!("/{}/nothing", wire.name());
        let laravel = wire == Wire::TrackVault;
        for (name, method, path, headers, body, status, expected) in [
            (
                "no token",
                "POST",
                &path,
                vec![],
                text.as_str(),
                401,
                if laravel { "Unauthenticated." } else { "unauthorized" },
            ),
            (
                "another token",
                "POST",
                &path,
                bearer("x"),
                &text,
                401,
                if laravel { "Unauthenticated." } else { "unauthorized" },
            ),
            (
                "no such path",
                "GET",
                &other,
                bearer(TOKEN),
                "",
                404,
                if laravel { "No such path" } else { "not_found" },
            ),
            (
                "another method",
                "PATCH",
                &path,
                bearer(TOKEN),
                &text,
                405,
                if laravel { "This path does not take this method" } else { "method_not_allowed" },
            ),
            (
                "too many bytes",
                "POST",
                &path,
                bearer(TOKEN),
                &big,
                413,
                if laravel { "" } else { "too_large" },
            ),
            (
                "another media type",
                "POST",
                &path,
                header("content-type", "text/plain"),
                &text,
                415,
                if laravel { "" } else { "unsupported" },
            ),
            (
                "another coding",
                "POST",
                &path,
                header("content-encoding", "br"),
                &text,
                415,
                if laravel { "" } else { "unsupported" },
            ),
            (
                "not JSON",
                "POST",
                &path,
                bearer(TOKEN),
                "hello",
                400,
                if laravel { "" } else { "bad_request" },
            ),
        ] {
            let answer = exchange(server.addr, method, path, &headers, body.as_bytes()).unwrap();
            assert_eq!(answer.status, status, "{wire:?} {name}: {}", answer.body);
            assert_eq!(answer.headers["content-type"], "application/json", "{wire:?} {name}");
            let said = code(wire, &answer);
            assert!(expected.is_empty() || said == expected, "{wire:?} {name}: {said}");
            assert_eq!(status == 405, answer.headers.contains_key("allow"), "{wire:?} {name}");
        }
        let audit = server.audit();
        assert_eq!(audit.effects, 0, "{wire:?}: nothing was done");
    }
}

#[test]
fn gzip_and_digests_where_the_wire_has_them() {
    let server = Server::fresh("wire-gzip", |_| {});
    for wire in Wire::ALL {
        let (path, body, _) = sample(wire, "zip");
        let sent = gzip(&body.to_string());
        let post = |headers: &[(String, String)], body: &[u8]| {
            exchange(server.addr, "POST", &path, headers, body).unwrap()
        };
        let coded = header("content-encoding", "gzip");
        let answer = post(&coded, &sent);
        assert_eq!(applied(&answer), wire.takes_gzip(), "{wire:?}: {}", answer.body);
        assert_eq!(answer.status, if wire.takes_gzip() { 200 } else { 415 });
        if wire.takes_gzip() {
            assert_eq!(post(&coded, b"not gzip").status, 400, "{wire:?}");
            let bomb = gzip(&" ".repeat(8 << 20));
            assert!(bomb.len() < 1 << 20);
            assert_eq!(post(&coded, &bomb).status, 413, "{wire:?}: decoded bytes count");
        }
        // The digest is that of the bytes as they are sent.
        let (_, body, _) = sample(wire, "digest");
        let text = body.to_string();
        let wrong = post(&header("content-digest", &content_digest(b"another")), text.as_bytes());
        assert_eq!(wrong.status, if wire.verifies_digest() { 400 } else { 200 }, "{wire:?}");
        if wire.verifies_digest() {
            assert_eq!(code(wire, &wrong), "digest_mismatch");
            let sent = gzip(&text);
            let mut headers =
                header("content-digest", &format!("sha-512=:eA==:, {}", content_digest(&sent)));
            headers.push(("content-encoding".into(), "gzip".into()));
            assert!(applied(&post(&headers, &sent)), "{wire:?}");
            let other = post(&header("content-digest", "sha-512=:eA==:"), text.as_bytes());
            assert_eq!(other.status, 200, "a digest that is not known is passed over");
        }
        let page = read(&server, wire, TOKEN);
        let digest = page.headers.get("content-digest");
        assert_eq!(digest.is_some(), wire.sends_digest(), "{wire:?}");
        if let Some(digest) = digest {
            assert_eq!(*digest, content_digest(page.body.as_bytes()));
            let error = exchange(server.addr, "POST", &path, &[], b"").unwrap();
            assert_eq!(error.headers["content-digest"], content_digest(error.body.as_bytes()));
        }
    }
}

/// Each wire tries to read, and to write to, what is another tenant's.
#[test]
fn tenants_do_not_see_each_other() {
    let server = Server::fresh("wire-tenants", |c| c.tokens.push(Token::new("other", "cafe")));
    for wire in Wire::ALL {
        assert!(applied(&write(&server, wire, TOKEN, "mine").unwrap()), "{wire:?}");
        assert!(read(&server, wire, TOKEN).body.contains("mine"), "{wire:?}");
        let theirs = read(&server, wire, "other");
        assert!(theirs.status == 200 && !theirs.body.contains("mine"), "{wire:?}: {}", theirs.body);
        // The same operation of another tenant is no repeat, and makes a record of his own.
        let same = write(&server, wire, "other", "mine").unwrap();
        assert!(applied(&same) && !same.body.contains("duplicate"), "{wire:?}: {}", same.body);
    }
    for (method, path) in [
        ("PUT", "/arxos/api/v1/mobile/equipment/secret"),
        ("DELETE", "/arxos/api/v1/mobile/equipment/secret"),
    ] {
        write(&server, Wire::ArxOs, TOKEN, "secret");
        let body = json!({"id": "secret", "building_id": "b1", "name": "x", "type": "pump", "version": 1, "force": true});
        let answer =
            exchange(server.addr, method, path, &bearer("other"), body.to_string().as_bytes())
                .unwrap();
        assert_eq!(answer.status, 404, "{method}");
    }
    // Nor does a wire see what another has.
    let db = Db::open(&server.database).unwrap();
    for wire in Wire::ALL {
        let count = db.audit(Some(&format!("{}/cafe", wire.name()))).unwrap().effects;
        assert_eq!(count, 1, "{wire:?}");
    }
    assert_eq!(db.audit(Some("shop")).unwrap().effects, 0);
}

#[test]
fn a_tenant_that_looks_like_another_ones_data_is_refused() {
    let database = super::common::directory("wire-names").join("db.sqlite");
    for tenant in ["paytrack/shop", "", "a b"] {
        let tokens = vec![Token::new("t", tenant)];
        let config = Config { database: database.clone().into(), tokens, ..Config::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        assert!(runtime.block_on(holdfast_server::serve(config)).is_err(), "{tenant:?}");
    }
}

#[test]
fn roles_say_who_may_write() {
    let server = Server::fresh("wire-roles", |c| {
        c.tokens.push(Token { role: Role::Reader, ..Token::new("reader", "shop") });
        c.tokens.push(Token { role: Role::Admin, ..Token::new("admin", "shop") });
    });
    for wire in Wire::ALL {
        assert_eq!(write(&server, wire, "reader", "r").unwrap().status, 403, "{wire:?}");
        assert_eq!(read(&server, wire, "reader").status, 200, "{wire:?}");
        assert!(applied(&write(&server, wire, "admin", "a").unwrap()), "{wire:?}");
    }
    let sale = super::common::body(&[super::common::create("a", "o", 5)]);
    let push = |token: &str| {
        exchange(server.addr, "POST", "/api/push", &bearer(token), sale.as_bytes()).unwrap()
    };
    assert_eq!(push("reader").status, 403);
    assert_eq!(push("admin").status, 200);
    let item = json!({"client_id": "m1", "id": null, "action": "create", "base_version": null,
        "data": {"name": "Chips", "price_cents": 239, "available": true, "category": "sides"}});
    let body = json!({"device_id": "d1", "menu": [item]}).to_string();
    let menu = |token: &str| {
        exchange(
            server.addr,
            "POST",
            "/auraconnect-mobile/sync/menu",
            &bearer(token),
            body.as_bytes(),
        )
        .unwrap()
        .status
    };
    assert_eq!((menu(TOKEN), menu("admin")), (403, 200));
}

#[test]
fn one_request_too_many_is_429_and_says_when_to_come_back() {
    let server = Server::fresh("wire-rate", |c| {
        c.rate = Some(Rate { per_second: 1, burst: 3 });
        c.tokens.push(Token::new("other", "shop"));
    });
    let mut statuses = Vec::new();
    for wire in Wire::ALL {
        let answer = read(&server, wire, TOKEN);
        if answer.status == 429 {
            let wait: u64 = answer.headers["retry-after"].parse().unwrap();
            assert!((1..=60).contains(&wait));
            let expected =
                if wire == Wire::TrackVault { "Too Many Attempts." } else { "rate_limited" };
            assert_eq!(code(wire, &answer), expected);
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses.get(..3), Some(&[200; 3][..]));
    let standard = (0..3).map(|_| server.pull("").unwrap()).find(|answer| answer.status == 429);
    assert!(standard.is_some_and(|answer| answer.headers.contains_key("retry-after")));
    assert_eq!(read(&server, Wire::PayTrack, "other").status, 200, "each user has his own");
}

#[test]
fn samples_to_begin_with() {
    let server = Server::fresh("wire-seed", |c| c.seed = Seed::Samples);
    for wire in Wire::ALL {
        let page = match wire {
            Wire::ArxOs => exchange(
                server.addr,
                "GET",
                "/arxos/api/v1/mobile/equipment/building/b-42",
                &bearer(TOKEN),
                b"",
            )
            .unwrap(),
            Wire::AuraConnect | Wire::AuraConnectMobile | Wire::TrackVault | Wire::PayTrack => {
                read(&server, wire, TOKEN)
            }
        };
        assert!(
            page.body.matches(r#""version":1"#).count() + page.body.matches("lastModified").count()
                >= 1,
            "{wire:?}: {}",
            page.body
        );
        // New ids go on behind those of the samples.
        assert!(applied(&write(&server, wire, TOKEN, "new").unwrap()), "{wire:?}");
    }
    let building =
        exchange(server.addr, "GET", "/arxos/api/v1/mobile/buildings/b-42", &bearer(TOKEN), b"")
            .unwrap();
    assert!(building.body.contains("Harbour House"));
    let before = server.audit().effects;
    let database = server.stop();
    let tokens = vec![Token::new(TOKEN, "shop")];
    let server =
        Server::start(Config { database, tokens, seed: Seed::Samples, ..Config::default() });
    assert_eq!(server.audit().effects, before, "once");
}

#[test]
fn a_list_that_did_not_change_is_304() {
    let server = Server::fresh("wire-etag", |_| {});
    write(&server, Wire::ArxOs, TOKEN, "e1");
    let first = read(&server, Wire::ArxOs, TOKEN);
    let again = header("if-none-match", &first.headers["etag"]);
    let path = "/arxos/api/v1/mobile/equipment/building/b1";
    let same = exchange(server.addr, "GET", path, &again, b"").unwrap();
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    write(&server, Wire::ArxOs, TOKEN, "e2");
    assert_eq!(exchange(server.addr, "GET", path, &again, b"").unwrap().status, 200);
}

#[test]
fn every_fault_shows_itself_and_loses_nothing() {
    for (fault, handled) in [
        ("drop:2@push", false),
        ("apply-then-drop:2@push", true),
        ("html:2@push", false),
        ("half:2@push", true),
        ("cut:2@push", true),
        ("empty:2@push", true),
        ("401:2@push", false),
        ("410:2@push", false),
        ("413:2@push", false),
        ("429:2@push", false),
        ("503:2@push", false),
        ("502:2@push", false),
        ("delay:1@push", true),
    ] {
        let name = format!("wire-{}", fault.replace([':', '@'], "-"));
        let server = Server::with_faults(&name, &[fault]);
        let db = Db::open(&server.database).unwrap();
        for wire in Wire::ALL {
            let effects = || {
                let audit = db.audit(Some(&format!("{}/shop", wire.name()))).unwrap();
                (audit.effects, audit.max_effects)
            };
            let sound = |answer: &Answer| {
                answer.whole
                    && serde_json::from_str::<Value>(&answer.body).is_ok()
                    && applied(answer)
            };
            assert!(
                write(&server, wire, TOKEN, "a").is_some_and(|a| sound(&a)),
                "{wire:?} {fault}"
            );
            let struck = write(&server, wire, TOKEN, "b");
            let whole = struck.as_ref().is_some_and(sound);
            assert_eq!(whole, fault.starts_with("delay"), "{wire:?} {fault}: {struck:?}");
            if let Some(answer) = struck.filter(|a| [429, 503].contains(&a.status)) {
                assert_eq!(answer.headers["retry-after"], "1", "{wire:?} {fault}");
                code(wire, &answer);
            }
            assert_eq!(effects(), (if handled { 2 } else { 1 }, 1), "{wire:?} {fault}");
            let again = write(&server, wire, TOKEN, "b").unwrap();
            assert!(sound(&again), "{wire:?} {fault}: {}", again.body);
            // ArxOS tells a repeat by its content, and says nothing of it.
            let repeat = handled && wire != Wire::ArxOs;
            assert_eq!(again.body.contains("duplicate"), repeat, "{wire:?} {fault}");
            assert_eq!(
                read(&server, wire, TOKEN).status,
                200,
                "{wire:?}: pulls are not its business"
            );
            // The fourth is struck again, so that the next wire begins where this one did.
            write(&server, wire, TOKEN, "a");
            assert_eq!(effects(), (2, 1), "{wire:?} {fault}");
        }
    }
}

#[test]
fn promises_are_broken_as_asked() {
    let with = |name: &str, flaw: Flaw| {
        Server::fresh(&format!("wire-flaw-{name}"), |c| c.flaws.push(flaw))
    };
    let replay = with("replay", Flaw::Replay);
    assert!(applied(&write(&replay, Wire::PayTrack, TOKEN, "a").unwrap()));
    assert!(!write(&replay, Wire::PayTrack, TOKEN, "a").unwrap().body.contains("duplicate"));
    let feed = with("feed", Flaw::Feed);
    for id in ["a", "b", "c"] {
        write(&feed, Wire::PayTrack, TOKEN, id);
    }
    assert_eq!(read(&feed, Wire::PayTrack, TOKEN).body.matches("entity_uuid").count(), 2);
    let markers = with("markers", Flaw::Markers);
    assert!(
        markers
            .pull("")
            .is_some_and(|answer| answer.headers["content-type"].starts_with("text/html"))
    );
    let tenants = Server::fresh("wire-flaw-tenants", |c| {
        c.flaws.push(Flaw::Tenants);
        c.tokens.push(Token::new("other", "cafe"));
    });
    write(&tenants, Wire::PayTrack, TOKEN, "a");
    assert!(read(&tenants, Wire::PayTrack, "other").body.contains("entity_uuid"));
    let limits = with("limits", Flaw::Limits);
    let big = body_of(2 << 20);
    assert_eq!(limits.push(&big).map(|answer| answer.status), Some(200));
}

fn body_of(bytes: usize) -> String {
    format!("{}{}", super::common::body(&[]), " ".repeat(bytes))
}

#[test]
fn replays_survive_a_restart() {
    let server = Server::fresh("wire-restart", |_| {});
    let first: Vec<_> =
        Wire::ALL.iter().map(|wire| write(&server, *wire, TOKEN, "a").unwrap()).collect();
    let tokens = vec![Token::new(TOKEN, "shop")];
    let server = Server::start(Config { database: server.stop(), tokens, ..Config::default() });
    for (wire, first) in Wire::ALL.into_iter().zip(first) {
        let again = write(&server, wire, TOKEN, "a").unwrap();
        assert!(applied(&first) && applied(&again), "{wire:?}");
        assert_eq!(again.body.contains("duplicate"), wire != Wire::ArxOs, "{wire:?}");
    }
    let audit = server.audit();
    assert_eq!((audit.effects, audit.max_effects), (5, 1));
}
