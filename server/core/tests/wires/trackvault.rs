//! TrackVault (WIRES 3).

use holdfast_server_core::{Method, Wire};
use serde_json::{Value, json};

use super::common::Backend;

const DEVICE: &str = "device_1795168800000_k3x9q2ab";

fn op(local: &str, kind: &str, word: &str, id: Option<u64>, payload: Value) -> Value {
    json!({"local_id": local, "entity_type": kind, "entity_id": id, "operation_type": word, "payload": payload})
}

fn supplier(local: &str, code: &str) -> Value {
    op(local, "supplier", "create", None, json!({"code": code, "name": "Hill Farm"}))
}

fn sync(backend: &mut Backend, operations: Vec<Value>) -> Value {
    backend.post("/api/sync", &json!({"device_id": DEVICE, "operations": operations}))
}

fn one(backend: &mut Backend, operation: Value) -> Value {
    sync(backend, vec![operation])["results"][0].clone()
}

#[test]
fn a_repeat_gets_the_stored_entry_and_has_no_effect() {
    let mut backend = Backend::new(Wire::TrackVault);
    for request in [
        supplier("o1", "SUP-1"),
        op(
            "o2",
            "supplier",
            "update",
            Some(1),
            json!({"code": "SUP-1", "name": "B", "version": 1}),
        ),
        op("o3", "supplier", "delete", Some(1), json!({"version": 2})),
    ] {
        let first = one(&mut backend, request.clone());
        assert_eq!(
            (&first["status"], &first["entity_id"]),
            (&json!("success"), &json!(1)),
            "{first}"
        );
        for _ in 0..3 {
            let mut expected = first.clone();
            expected["duplicate"] = true.into();
            assert_eq!(one(&mut backend, request.clone()), expected);
        }
    }
    assert_eq!((backend.most_effects(), backend.store.ledger().effects), (1, 3));
    // The same id with other content, or for another record, is an error and no silent success.
    for other in [
        supplier("o1", "SUP-2"),
        op("o1", "product", "create", None, json!({"code": "SUP-1", "name": "Hill Farm"})),
    ] {
        let reused = one(&mut backend, other);
        assert_eq!(
            (&reused["status"], &reused["error_code"]),
            (&json!("failed"), &json!("local_id_reused"))
        );
    }
    // Another device may have an operation of that name.
    let body = json!({"device_id": "device_1795168800000_zzzzzzzz", "operations": [supplier("o1", "SUP-9")]});
    assert_eq!(backend.post("/api/sync", &body)["results"][0]["entity_id"], 2);
}

#[test]
fn a_create_answers_with_the_whole_row() {
    let mut backend = Backend::new(Wire::TrackVault);
    let mut create = supplier("o1", "SUP-1");
    create["payload"]["unknown"] = "dropped".into();
    let made = one(&mut backend, create);
    assert_eq!(
        made["entity"],
        json!({"id": 1, "code": "SUP-1", "name": "Hill Farm", "device_id": DEVICE,
        "sync_metadata": {"local_id": "o1"}, "version": 1, "created_at": "2026-11-20T10:16:00.000000Z",
        "updated_at": "2026-11-20T10:16:00.000000Z", "deleted_at": null})
    );
    let deleted = one(&mut backend, op("o2", "supplier", "delete", Some(1), json!({"version": 1})));
    assert_eq!((&deleted["entity"], &deleted["version"]), (&Value::Null, &json!(2)));
}

#[test]
fn conflicts_carry_both_sides_and_wait_until_they_are_settled() {
    let mut backend = Backend::new(Wire::TrackVault);
    let mut other = Backend::new(Wire::TrackVault);
    one(&mut backend, supplier("o1", "SUP-1"));
    one(
        &mut backend,
        op(
            "o2",
            "supplier",
            "update",
            Some(1),
            json!({"code": "SUP-1", "name": "B", "version": 1}),
        ),
    );
    let mine = json!({"code": "SUP-1", "name": "C", "version": 1});
    let update = op("o3", "supplier", "update", Some(1), mine.clone());
    let lost = one(&mut backend, update.clone());
    assert_eq!((&lost["status"], &lost["entity_id"]), (&json!("conflict"), &json!(1)));
    let sides = &lost["conflict_data"];
    assert_eq!((&sides["client_version"], &sides["server_version"]), (&json!(1), &json!(2)));
    assert_eq!((&sides["client_data"], &sides["server_data"]["name"]), (&mine, &json!("B")));
    // It is judged afresh, and stays one row.
    one(&mut backend, update);
    one(&mut backend, supplier("o4", "SUP-2"));
    one(
        &mut backend,
        op(
            "o5",
            "supplier",
            "update",
            Some(2),
            json!({"code": "SUP-2", "name": "D", "version": 9}),
        ),
    );
    let pending = format!("/api/sync/pending?device_id={DEVICE}");
    let rows = backend.get(&pending)["operations"].clone();
    let names: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| row["local_id"].as_str().unwrap()).collect();
    assert_eq!(names, ["o3", "o5"], "oldest first");
    assert_eq!(
        (&rows[0]["status"], &rows[0]["user_id"], &rows[0]["payload"]),
        (&json!("conflict"), &json!(5), &mine)
    );
    assert_eq!((&rows[0]["completed_at"], &rows[0]["error_message"]), (&Value::Null, &Value::Null));
    // A forced update is a new operation with the version that the conflict told.
    let forced = json!({"code": "SUP-1", "name": "C", "version": 2});
    assert_eq!(one(&mut backend, op("o6", "supplier", "update", Some(1), forced))["version"], 3);
    let rows = backend.get(&pending)["operations"].clone();
    assert_eq!(rows.as_array().unwrap().len(), 1, "what was forced waits no longer");
    assert_eq!(other.get(&pending), json!({"operations": []}));
    assert_eq!(backend.any(Method::Get, "/api/sync/pending", &Value::Null).0, 422);
}

#[test]
fn what_was_deleted_and_what_never_was() {
    let mut backend = Backend::new(Wire::TrackVault);
    one(&mut backend, supplier("o1", "SUP-1"));
    one(&mut backend, op("o2", "supplier", "delete", Some(1), json!({"version": 1})));
    let update = one(
        &mut backend,
        op(
            "o3",
            "supplier",
            "update",
            Some(1),
            json!({"code": "SUP-1", "name": "B", "version": 1}),
        ),
    );
    assert_eq!(update["status"], "conflict");
    let theirs = &update["conflict_data"]["server_data"];
    assert!(theirs["deleted_at"].is_string());
    assert_eq!(theirs["name"], "Hill Farm", "a row that is deleted softly keeps its columns");
    let twice = one(&mut backend, op("o4", "supplier", "delete", Some(1), json!({"version": 1})));
    assert_eq!((&twice["status"], &twice["version"]), (&json!("success"), &json!(2)));
    let back = one(
        &mut backend,
        op(
            "o5",
            "supplier",
            "update",
            Some(1),
            json!({"code": "SUP-1", "name": "B", "version": 2}),
        ),
    );
    assert_eq!((&back["status"], &back["entity"]["deleted_at"]), (&json!("success"), &Value::Null));
    let stale = one(&mut backend, op("o6", "supplier", "delete", Some(1), json!({"version": 1})));
    assert_eq!(stale["status"], "conflict");
    for word in ["update", "delete"] {
        let unknown = one(
            &mut backend,
            op(&format!("x-{word}"), "supplier", word, Some(99), json!({"version": 1})),
        );
        assert_eq!(
            (&unknown["status"], &unknown["error_code"]),
            (&json!("failed"), &json!("not_found"))
        );
    }
}

#[test]
fn what_is_wrong_is_said_as_laravel_does() {
    let mut backend = Backend::new(Wire::TrackVault);
    let results = sync(
        &mut backend,
        vec![
            supplier("o1", "SUP-1"),
            supplier("o2", "SUP-1"),
            op(
                "o3",
                "collection",
                "create",
                None,
                json!({"supplier_id": 1, "product_id": 1, "quantity": "-4.000", "collected_at": "2026-11-20T10:00:00Z"}),
            ),
            op(
                "o4",
                "product",
                "create",
                None,
                json!({"supplier_id": 9, "name": "Tea", "unit": "kg"}),
            ),
            op(
                "o5",
                "payment",
                "create",
                None,
                json!({"supplier_id": 1, "amount": "5", "type": "gift", "paid_at": "2026-11-20T10:00:00Z"}),
            ),
            op("o6", "supplier", "create", None, json!({"code": "SUP-3"})),
            op("o7", "boat", "create", None, json!({})),
            op("o8", "supplier", "upsert", None, json!({})),
            op("o9", "supplier", "update", None, json!({"version": 1})),
            op("o0", "supplier", "update", Some(1), json!({"code": "SUP-1", "name": "B"})),
        ],
    );
    let said: Vec<_> = results["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["errors"].clone(), r["error_message"].as_str().unwrap_or("").to_owned()))
        .collect();
    for ((errors, message), (field, says)) in said.iter().zip([
        ("", ""),
        ("code", "The code has already been taken."),
        ("quantity", "The quantity must be greater than 0."),
        ("supplier_id", "The selected supplier id is invalid."),
        ("type", "The type field is not one of the words it may be."),
        ("name", "The name field is required."),
        ("entity_type", "The selected entity type is invalid."),
        ("operation_type", "The selected operation type is invalid."),
        ("entity_id", "The entity id field is required."),
        ("version", "The version field is required."),
    ]) {
        assert_eq!(message, says);
        if !field.is_empty() {
            assert_eq!(errors, &json!({field: [says]}));
        }
    }
    assert_eq!(results["summary"], json!({"success": 1, "conflict": 0, "failed": 9}));
}

#[test]
fn a_bad_envelope_fails_all_with_422() {
    let mut backend = Backend::new(Wire::TrackVault);
    let many: Vec<Value> = (0..11).map(|n| supplier(&format!("o{n}"), &format!("S{n}"))).collect();
    for (body, field, says) in [
        (
            json!({"device_id": DEVICE, "operations": many}),
            "operations",
            "The operations field must not have more than 10 items.",
        ),
        (json!({"device_id": DEVICE}), "operations", "The operations field is required."),
        (json!({"operations": []}), "device_id", "The device id field is required."),
        (
            json!({"device_id": "till", "operations": []}),
            "device_id",
            "The device id field format is invalid.",
        ),
        (
            json!({"device_id": DEVICE, "operations": [{}]}),
            "operations.0.local_id",
            "The operations.0.local_id field is required.",
        ),
    ] {
        let (status, answer) = backend.any(Method::Post, "/api/sync", &body);
        assert_eq!((status, &answer["message"]), (422, &json!(says)));
        assert_eq!(answer["errors"], json!({field: [says]}));
    }
    assert_eq!(backend.any(Method::Post, "/api/sync", &json!([])).0, 400);
    assert_eq!(backend.store.ledger().effects, 0);
}

/// WIRES 3: whole seconds, inclusive, by time and id; pages with Laravel's members.
#[test]
fn lists_are_paged_by_time_and_id() {
    let mut backend = Backend::new(Wire::TrackVault);
    let first: Vec<Value> = (0..9).map(|n| supplier(&format!("o{n}"), &format!("S{n}"))).collect();
    sync(&mut backend, first);
    sync(&mut backend, (9..12).map(|n| supplier(&format!("o{n}"), &format!("S{n}"))).collect());
    let ids = |page: &Value| -> Vec<u64> {
        page["data"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
    };
    // All of one second: by id, as numbers are ordered.
    let page = backend.get("/api/suppliers?per_page=5&page=1");
    assert_eq!(ids(&page), [1, 2, 3, 4, 5]);
    assert_eq!(
        page["meta"],
        json!({"current_page": 1, "last_page": 3, "per_page": 5, "total": 12})
    );
    assert_eq!(page["links"]["prev"], Value::Null);
    assert_eq!(page["links"]["next"], "/api/suppliers?per_page=5&page=2");
    assert_eq!(ids(&backend.get("/api/suppliers?per_page=5&page=3")), [11, 12]);
    assert_eq!(ids(&backend.get("/api/suppliers?per_page=5&page=4")), Vec::<u64>::new());
    backend.now += 5_000;
    one(
        &mut backend,
        op("u1", "supplier", "update", Some(3), json!({"code": "S2", "name": "B", "version": 1})),
    );
    one(&mut backend, op("d1", "supplier", "delete", Some(4), json!({"version": 1})));
    let since = "/api/suppliers?updated_since=2026-11-20T10:16:05Z";
    let page = backend.get(since);
    assert_eq!(ids(&page), [3], "without with_trashed=1 what is deleted is left out");
    assert_eq!(page["data"][0]["updated_at"], "2026-11-20T10:16:05.000000Z");
    let page = backend.get(&format!("{since}&with_trashed=1"));
    assert_eq!(ids(&page), [3, 4], "inclusive");
    assert_eq!(page["data"][1]["deleted_at"], "2026-11-20T10:16:05.000000Z");
    assert_eq!(page["data"][1]["created_at"], "2026-11-20T10:16:00.000000Z");
    let empty = backend.get("/api/payments?with_trashed=1&page=1&per_page=100");
    assert_eq!(
        empty,
        json!({"data": [], "links": {}, "meta": {"current_page": 1, "last_page": 1, "per_page": 100, "total": 0}})
    );
    for query in ["page=0", "per_page=101", "per_page=0", "updated_since=monday"] {
        let (status, answer) =
            backend.any(Method::Get, &format!("/api/suppliers?{query}"), &Value::Null);
        assert_eq!(status, 422, "{query}");
        assert!(answer["errors"].is_object());
    }
    for table in ["products", "product-rates", "collections", "payments"] {
        assert_eq!(backend.any(Method::Get, &format!("/api/{table}"), &Value::Null).0, 200);
    }
    assert_eq!(backend.any(Method::Get, "/api/boats", &Value::Null).0, 404);
    assert_eq!(backend.any(Method::Post, "/api/suppliers", &json!({})).0, 405);
}
