//! AuraConnect mobile (WIRES 2).

use holdfast_server_core::{Method, Role, Wire};
use serde_json::{Value, json};

use super::common::Backend;

const RESOLVE: &str = "/sync/conflict/resolve";

fn record(client: &str, id: Option<u64>, action: &str, base: Option<u64>, data: Value) -> Value {
    json!({"source": "mobile_offline", "client_id": client, "id": id, "action": action, "base_version": base,
        "client_timestamp": "2026-11-20T10:15:30.123Z", "data": data})
}

fn order(number: &str) -> Value {
    json!({"order_number": number, "table_no": 7, "items": [{"menu_id": 3, "qty": 2, "unit_price_cents": 875}],
        "status": "open", "total_cents": 1750, "opened_at": "2026-11-20T10:15:29.000Z"})
}

fn sync(backend: &mut Backend, device: &str, kind: &str, since: u64, records: Vec<Value>) -> Value {
    let body = json!({"source": "mobile_offline", "device_id": device, "since_version": since, "limit": 200, kind: records});
    backend.post(&format!("/sync/{kind}"), &body)
}

fn one(backend: &mut Backend, kind: &str, record: Value) -> Value {
    sync(backend, "d1", kind, 0, vec![record])["results"][0].clone()
}

#[test]
fn a_repeat_gets_the_stored_verdict_and_has_no_effect() {
    let mut backend = Backend::new(Wire::AuraConnectMobile);
    for request in [
        record("c1", None, "create", None, order("T-1")),
        record("c1", Some(1), "update", Some(1), json!({"status": "paid"})),
        record("c1", Some(1), "delete", Some(2), Value::Null),
    ] {
        let first = one(&mut backend, "orders", request.clone());
        assert_eq!((&first["status"], &first["id"]), (&json!("confirmed"), &json!(1)), "{first}");
        for _ in 0..3 {
            let mut expected = first.clone();
            expected["duplicate"] = true.into();
            assert_eq!(one(&mut backend, "orders", request.clone()), expected);
        }
    }
    assert_eq!((backend.most_effects(), backend.store.ledger().effects), (1, 3));
}

#[test]
fn each_conflict_has_its_kind() {
    let mut backend = Backend::new(Wire::AuraConnectMobile);
    one(&mut backend, "orders", record("c1", None, "create", None, order("T-1")));
    one(
        &mut backend,
        "orders",
        record("c1", Some(1), "update", Some(1), json!({"status": "sent"})),
    );
    let lost = one(
        &mut backend,
        "orders",
        record("c1", Some(1), "update", Some(1), json!({"status": "void"})),
    );
    assert_eq!(lost["conflict_type"], "update-update");
    assert_eq!((&lost["client_version"], &lost["server_version"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&lost["server_deleted"], &lost["server_data"]["status"]),
        (&json!(false), &json!("sent"))
    );
    let stale = one(&mut backend, "orders", record("c1", Some(1), "delete", Some(1), Value::Null));
    assert_eq!(stale["conflict_type"], "delete-update");
    assert_eq!(
        stale["conflict_id"], lost["conflict_id"],
        "one open conflict per record and device"
    );
    let other = one(&mut backend, "orders", record("c2", None, "create", None, order("T-1")));
    assert_eq!(
        (&other["conflict_type"], &other["id"], &other["client_version"]),
        (&json!("create-create"), &json!(1), &Value::Null)
    );
    let clone = sync(
        &mut backend,
        "d2",
        "orders",
        0,
        vec![record("c1", None, "create", None, order("T-9"))],
    );
    assert_eq!(clone["results"][0]["conflict_type"], "create-create");
    one(&mut backend, "orders", record("c1", Some(1), "delete", Some(2), Value::Null));
    let late = one(
        &mut backend,
        "orders",
        record("c1", Some(1), "update", Some(2), json!({"status": "paid"})),
    );
    assert_eq!(
        (&late["conflict_type"], &late["server_deleted"], &late["server_data"]),
        (&json!("update-delete"), &json!(true), &Value::Null)
    );
    let twice = sync(
        &mut backend,
        "d2",
        "orders",
        0,
        vec![record("c1", Some(1), "delete", Some(1), Value::Null)],
    );
    assert_eq!(
        (&twice["results"][0]["status"], &twice["results"][0]["version"]),
        (&json!("confirmed"), &json!(3))
    );
    // A create on the version of the tombstone brings it back.
    let back = one(&mut backend, "orders", record("c1", Some(1), "create", Some(3), order("T-1")));
    assert_eq!((&back["status"], &back["version"]), (&json!("confirmed"), &json!(4)));
    for action in ["update", "delete"] {
        let unknown =
            one(&mut backend, "orders", record("zz", Some(99), action, Some(1), json!({})));
        assert_eq!(
            (&unknown["status"], &unknown["code"]),
            (&json!("rejected"), &json!("not_found"))
        );
    }
}

#[test]
fn the_menu_is_the_admins_and_everybody_reads_it() {
    let mut backend = Backend::new(Wire::AuraConnectMobile);
    let item = record(
        "m1",
        None,
        "create",
        None,
        json!({"name": "Chips", "price_cents": 239, "available": true, "category": "sides"}),
    );
    let body = json!({"device_id": "d1", "menu": [item.clone()]});
    let (status, answer) = backend.any(Method::Post, "/sync/menu", &body);
    assert_eq!((status, &answer["error"]), (403, &json!("forbidden")));
    backend.role = Role::Admin;
    assert_eq!(one(&mut backend, "menu", item)["status"], "confirmed");
    backend.role = Role::Reader;
    assert_eq!(
        sync(&mut backend, "d2", "menu", 0, vec![])["delta"]["changes"][0]["data"]["name"],
        "Chips"
    );
    let body =
        json!({"device_id": "d1", "orders": [record("c1", None, "create", None, order("T-1"))]});
    assert_eq!(backend.any(Method::Post, "/sync/orders", &body).0, 403, "a reader writes nothing");
}

#[test]
fn a_shift_is_named_by_its_id_or_by_its_client_id() {
    let mut backend = Backend::new(Wire::AuraConnectMobile);
    let shift = json!({"staff_id": 4, "clock_in": "2026-11-20T08:00:00.000Z", "break_minutes": 0});
    one(&mut backend, "shifts", record("s1", None, "create", None, shift));
    for (n, named) in [json!(1), json!("s1"), json!("1")].into_iter().enumerate() {
        let mut sale = order(&format!("T-{n}"));
        sale["shift_id"] = named;
        assert_eq!(
            one(&mut backend, "orders", record(&format!("c{n}"), None, "create", None, sale))["status"],
            "confirmed"
        );
    }
    let rows = sync(&mut backend, "d1", "orders", 0, vec![])["delta"]["changes"].clone();
    assert!(rows.as_array().unwrap().iter().all(|row| row["data"]["shift_id"] == 1), "{rows}");
    let mut sale = order("T-9");
    sale["shift_id"] = json!("nobody");
    let refused = one(&mut backend, "orders", record("c9", None, "create", None, sale));
    assert_eq!(
        (&refused["code"], &refused["message"], &refused["id"]),
        (&json!("unknown_reference"), &json!("shift_id names no shift"), &Value::Null)
    );
}

#[test]
fn an_update_is_a_merge_patch() {
    let mut backend = Backend::new(Wire::AuraConnectMobile);
    let mut sale = order("T-1");
    sale["notes"] = "x".into();
    sale["shift_id"] = Value::Null;
    one(&mut backend, "orders", record("c1", None, "create", None, sale));
    one(
        &mut backend,
        "orders",
        record("c1", Some(1), "update", Some(1), json!({"notes": null, "items": []})),
    );
    let row = sync(&mut backend, "d1", "orders", 0, vec![])["delta"]["changes"][0].clone();
    assert_eq!(
        (row["data"].get("notes"), row["data"].get("shift_id"), &row["data"]["items"]),
        (None, None, &json!([]))
    );
    let needed = one(
        &mut backend,
        "orders",
        record("c1", Some(1), "update", Some(2), json!({"status": null})),
    );
    assert_eq!(
        (&needed["code"], &needed["message"]),
        (&json!("validation_failed"), &json!("status is required"))
    );
}

/// WIRES 2: the delta, one counter per endpoint, pages, own writes, what the till itself made.
#[test]
fn every_answer_carries_the_delta_since_the_version() {
    let mut backend = Backend::new(Wire::AuraConnectMobile);
    let list = (0..3)
        .map(|n| record(&format!("c{n}"), None, "create", None, order(&format!("T-{n}"))))
        .collect();
    let answer = sync(&mut backend, "d1", "orders", 0, list);
    let rows = answer["delta"]["changes"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 3, "own writes are in it");
    assert_eq!(
        (&rows[0]["client_id"], &rows[0]["source"]),
        (&json!("c0"), &json!("mobile_offline"))
    );
    let version = answer["delta"]["version"].as_u64().unwrap();
    let nothing = sync(&mut backend, "d1", "orders", version, vec![]);
    assert_eq!(
        nothing,
        json!({"results": [], "delta": {"version": version, "changes": [], "has_more": false}})
    );
    one(&mut backend, "orders", record("c1", Some(2), "delete", Some(1), Value::Null));
    let shift = json!({"staff_id": 4, "clock_in": "2026-11-20T08:00:00.000Z", "break_minutes": 0});
    one(&mut backend, "shifts", record("s1", None, "create", None, shift));
    let more = sync(&mut backend, "d1", "orders", version, vec![]);
    assert_eq!(
        more["delta"]["changes"][0],
        json!({"id": 2, "client_id": "c1", "version": 2, "deleted": true,
        "updated_at": more["delta"]["changes"][0]["updated_at"], "source": "mobile_offline", "data": null})
    );
    assert_eq!(
        more["delta"]["changes"].as_array().unwrap().len(),
        1,
        "shifts have an endpoint of their own"
    );
    let first = sync(&mut backend, "d2", "orders", 0, vec![]);
    assert_eq!(
        first["delta"]["changes"].as_array().unwrap().len(),
        2,
        "a first pull has no deletions"
    );
    // In pages of one, and past what was forgotten.
    backend.prune();
    let (status, answer) = backend.any(
        Method::Post,
        "/sync/orders",
        &json!({"device_id": "d1", "since_version": version, "orders": []}),
    );
    assert_eq!((status, &answer["error"]), (410, &json!("resync_required")));
    let (mut since, mut seen) = (0, Vec::new());
    loop {
        let body = json!({"device_id": "d3", "since_version": since, "limit": 1, "orders": []});
        let page = backend.post("/sync/orders", &body)["delta"].clone();
        seen.extend(
            page["changes"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()),
        );
        since = page["version"].as_u64().unwrap();
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!((seen, since < 1 << 52), (vec![1, 3], true));
    assert_eq!(
        backend
            .any(
                Method::Post,
                "/sync/orders",
                &json!({"device_id": "d1", "since_version": 999, "orders": []})
            )
            .0,
        410
    );
}

#[test]
fn a_bad_record_is_rejected_alone_and_a_bad_envelope_fails_all() {
    let mut backend = Backend::new(Wire::AuraConnectMobile);
    let mut bad = order("T-2");
    bad["total_cents"] = json!(-5);
    let results = sync(
        &mut backend,
        "d1",
        "orders",
        0,
        vec![
            record("c1", None, "create", None, order("T-1")),
            record("c2", None, "create", None, bad),
            record("c 3", None, "create", None, order("T-3")),
            record("c4", None, "upsert", None, order("T-4")),
            record("c5", None, "create", None, Value::Null),
        ],
    )["results"]
        .clone();
    let words: Vec<_> =
        results.as_array().unwrap().iter().map(|r| r["message"].as_str().unwrap_or("")).collect();
    assert_eq!(
        words,
        [
            "",
            "total_cents must be 0 or more",
            "client_id is not acceptable",
            "action is not create, update or delete",
            "data is required"
        ]
    );
    for (body, says) in [
        (json!({"orders": []}), "device_id is missing"),
        (json!({"device_id": "d1"}), "orders is missing"),
        (json!({"device_id": "d1", "since_version": "x", "orders": []}), "since_version"),
        (json!({"device_id": "d1", "limit": 0, "orders": []}), "limit"),
        (json!({"device_id": "d1", "limit": 501, "orders": []}), "limit"),
        (json!({"device_id": "d1", "orders": [{}]}), "client_id is missing"),
    ] {
        let (status, answer) = backend.any(Method::Post, "/sync/orders", &body);
        assert_eq!((status, &answer["error"]), (400, &json!("bad_request")), "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(says), "{answer}");
    }
    let many: Vec<Value> =
        (0..51).map(|n| record(&format!("m{n}"), None, "create", None, json!({}))).collect();
    let (status, answer) =
        backend.any(Method::Post, "/sync/orders", &json!({"device_id": "d1", "orders": many}));
    assert_eq!((status, &answer["error"]), (413, &json!("too_large")));
}

/// A conflict of `d1` about order 1 at version 2, and what resolves it.
fn conflict(backend: &mut Backend) -> Value {
    one(backend, "orders", record("c1", None, "create", None, order("T-1")));
    one(backend, "orders", record("c1", Some(1), "update", Some(1), json!({"status": "void"})));
    let lost =
        one(backend, "orders", record("c1", Some(1), "update", Some(1), json!({"status": "paid"})));
    json!({"conflict_id": lost["conflict_id"], "source": "mobile_offline", "device_id": "d1", "entity": "orders",
        "id": 1, "mode": "manual", "choice": "merged", "base_version": 2, "data": {"status": "paid", "notes": "by mistake"}})
}

#[test]
fn a_conflict_is_resolved_once() {
    let mut backend = Backend::new(Wire::AuraConnectMobile);
    let request = conflict(&mut backend);
    let done = backend.post(RESOLVE, &request);
    assert_eq!((&done["status"], &done["version"]), (&json!("resolved"), &json!(3)));
    assert_eq!(
        (&done["data"]["status"], &done["data"]["notes"]),
        (&json!("paid"), &json!("by mistake"))
    );
    let again = backend.post(RESOLVE, &request);
    assert_eq!(
        again,
        json!({"conflict_id": request["conflict_id"], "id": 1, "status": "resolved", "version": 3, "duplicate": true})
    );
    let mut other = request.clone();
    other["device_id"] = "d2".into();
    assert_eq!(
        backend.any(Method::Post, RESOLVE, &other).0,
        404,
        "another device knows nothing of it"
    );
    assert_eq!(backend.most_effects(), 1);
}

#[test]
fn the_servers_side_changes_nothing_and_a_rule_resolves_like_a_person() {
    let mut backend = Backend::new(Wire::AuraConnectMobile);
    let mut request = conflict(&mut backend);
    request["choice"] = "server".into();
    let done = backend.post(RESOLVE, &request);
    assert_eq!((&done["version"], &done["data"]["status"]), (&json!(2), &json!("void")));
    let mut request = {
        let lost = one(
            &mut backend,
            "orders",
            record("c1", Some(1), "update", Some(1), json!({"status": "paid"})),
        );
        let mut request = request;
        request["conflict_id"] = lost["conflict_id"].clone();
        request
    };
    request["mode"] = "rule".into();
    request["rule"] = "client_wins".into();
    request["choice"] = "client".into();
    assert_eq!(backend.post(RESOLVE, &request)["version"], 3);
}

#[test]
fn a_conflict_that_moved_is_open_again_and_an_unknown_one_is_not_found() {
    let mut backend = Backend::new(Wire::AuraConnectMobile);
    let request = conflict(&mut backend);
    one(&mut backend, "orders", record("c1", Some(1), "update", Some(2), json!({"table_no": 9})));
    let (status, moved) = backend.any(Method::Post, RESOLVE, &request);
    assert_eq!((status, &moved["error"]), (409, &json!("conflict_moved")));
    let sides = &moved["conflict"];
    assert_ne!(sides["conflict_id"], request["conflict_id"]);
    assert_eq!(
        (&sides["client_version"], &sides["server_version"], &sides["server_data"]["table_no"]),
        (&json!(2), &json!(3), &json!(9))
    );
    let mut again = request.clone();
    again["conflict_id"] = sides["conflict_id"].clone();
    again["base_version"] = json!(3);
    assert_eq!(backend.post(RESOLVE, &again)["version"], 4);
    // The update closed the first one.
    let mut closed = request.clone();
    closed["base_version"] = json!(4);
    let (status, answer) = backend.any(Method::Post, RESOLVE, &closed);
    assert_eq!((status, &answer["error"]), (404, &json!("conflict_not_found")));
    let mut unknown = request.clone();
    unknown["conflict_id"] = "cf_99".into();
    assert_eq!(backend.any(Method::Post, RESOLVE, &unknown).0, 404);
}

#[test]
fn a_resolution_that_cannot_be_is_refused() {
    let mut backend = Backend::new(Wire::AuraConnectMobile);
    let request = conflict(&mut backend);
    for (name, value) in [
        ("mode", json!("both")),
        ("choice", json!("mine")),
        ("entity", json!("boats")),
        ("base_version", Value::Null),
        ("data", Value::Null),
        ("conflict_id", Value::Null),
        ("device_id", Value::Null),
    ] {
        let mut bad = request.clone();
        bad[name] = value;
        assert_eq!(backend.any(Method::Post, RESOLVE, &bad).0, 400, "{name}");
    }
    let mut rule = request.clone();
    rule["mode"] = "rule".into();
    rule["rule"] = "coin".into();
    assert_eq!(backend.any(Method::Post, RESOLVE, &rule).0, 400);
    let mut invalid = request.clone();
    invalid["data"] = json!({"total_cents": -1});
    let (status, answer) = backend.any(Method::Post, RESOLVE, &invalid);
    assert_eq!((status, &answer["error"]), (400, &json!("validation_failed")));
    assert_eq!(backend.post(RESOLVE, &request)["version"], 3, "it is still open");
}
