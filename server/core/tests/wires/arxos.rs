//! ArxOS (WIRES 4).

use holdfast_server_core::{Given, Method, Wire, give};
use serde_json::{Value, json};

use super::common::{Backend, NOW};

const ONE: &str = "/api/v1/mobile/equipment/e1";
const ALL: &str = "/api/v1/mobile/equipment";
const BATCH: &str = "/api/v1/mobile/sync/batch";

fn pump(version: u64, status: &str) -> Value {
    json!({"id": "e1", "building_id": "b1", "name": "Pump", "type": "pump", "status": status, "location_x": 12.50,
        "metadata": {"a": 1}, "version": version, "updated_at": "2026-11-20T10:15:30.123456789Z"})
}

fn seconds(n: u64) -> u64 {
    (NOW / 1_000) + n
}

fn updates(backend: &mut Backend, since: u64) -> Value {
    backend.get(&format!("/api/v1/mobile/equipment/building/b1/updates?since={since}"))
}

#[test]
fn single_calls_answer_with_the_record_or_with_the_servers() {
    let mut backend = Backend::new(Wire::ArxOs);
    let (status, made) = backend.any(Method::Post, ALL, &pump(1, "ok"));
    assert_eq!((status, &made["version"], &made["location_x"]), (201, &json!(1), &json!(12.5)));
    assert_eq!(made["created_at"], made["updated_at"]);
    let (status, changed) = backend.any(Method::Put, ONE, &pump(1, "fault"));
    assert_eq!(
        (status, &changed["version"], &changed["created_at"]),
        (200, &json!(2), &made["created_at"])
    );
    let (status, lost) = backend.any(Method::Put, ONE, &pump(1, "off"));
    assert_eq!(
        (status, &lost["error"], &lost["code"]),
        (409, &json!("version conflict"), &json!("conflict"))
    );
    assert_eq!(
        (&lost["server_version"]["version"], &lost["server_version"]["status"]),
        (&json!(2), &json!("fault"))
    );
    let (status, _) = backend.any(Method::Put, ONE, &pump(2, "off"));
    assert_eq!(status, 200, "the wish again, guarded by the version that the conflict told");
    let (status, other) = backend.any(Method::Post, ALL, &pump(1, "new"));
    assert_eq!((status, &other["server_version"]["status"]), (409, &json!("off")));
    let (status, body) = backend.any(Method::Delete, ONE, &Value::Null);
    assert_eq!((status, body), (204, Value::Null));
    assert_eq!(backend.any(Method::Delete, ONE, &Value::Null).0, 404);
    let gone = json!({"error": "deleted", "code": "conflict", "server_version": null});
    assert_eq!(backend.any(Method::Put, ONE, &pump(3, "ok")), (409, gone.clone()));
    assert_eq!(backend.any(Method::Post, ALL, &pump(1, "ok")), (409, gone));
    let missing = json!({"error": "not found", "code": "not_found"});
    assert_eq!(
        backend.any(Method::Put, "/api/v1/mobile/equipment/zz", &pump(1, "ok")).1["code"],
        "not_found"
    );
    assert_eq!(
        backend.any(Method::Delete, "/api/v1/mobile/anchors/e1", &Value::Null),
        (404, missing)
    );
}

/// The weak replay of WIRES 4: equal content, and only while nobody else wrote.
#[test]
fn a_repeat_of_equal_content_has_no_effect() {
    let mut backend = Backend::new(Wire::ArxOs);
    let (_, made) = backend.any(Method::Post, ALL, &pump(1, "ok"));
    // The device's own stamps are no part of the content.
    let mut again = pump(7, "ok");
    again["updated_at"] = "2026-11-20T11:00:00Z".into();
    assert_eq!(backend.any(Method::Post, ALL, &again), (201, made));
    let (_, changed) = backend.any(Method::Put, ONE, &pump(1, "fault"));
    for _ in 0..3 {
        assert_eq!(backend.any(Method::Put, ONE, &pump(1, "fault")), (200, changed.clone()));
    }
    assert_eq!(backend.store.ledger().effects, 2);
    backend.any(Method::Put, ONE, &pump(2, "off"));
    assert_eq!(
        backend.any(Method::Put, ONE, &pump(1, "fault")).0,
        409,
        "somebody else wrote since"
    );
}

#[test]
fn force_overwrites_whatever_is_there() {
    let mut backend = Backend::new(Wire::ArxOs);
    backend.any(Method::Post, ALL, &pump(1, "ok"));
    let mut forced = pump(9, "forced");
    forced["force"] = true.into();
    let (status, row) = backend.any(Method::Put, ONE, &forced);
    assert_eq!((status, &row["version"], row.get("force")), (200, &json!(2), None));
    backend.any(Method::Delete, ONE, &Value::Null);
    let (status, row) = backend.any(Method::Put, ONE, &forced);
    assert_eq!((status, &row["version"]), (200, &json!(4)), "a deleted record comes back");
    let missing = backend.any(Method::Put, "/api/v1/mobile/equipment/zz", &forced);
    assert_eq!(missing.0, 404);
    let operation = json!({"entity_type": "equipment", "entity_id": "e1", "operation": "update", "payload": forced});
    let body = backend.post(BATCH, &json!({"operations": [operation]}));
    assert_eq!(body["success"], json!(["e1"]));
}

#[test]
fn what_is_not_sound_is_refused() {
    let mut backend = Backend::new(Wire::ArxOs);
    backend.any(Method::Post, ALL, &pump(1, "ok"));
    for (name, value, says) in [
        ("name", json!(""), "name is required"),
        ("type", json!(5), "type must be a text"),
        ("location_x", json!("far"), "location_x must be a number"),
        ("metadata", json!([]), "metadata must be an object"),
        ("id", json!("other"), "id is that of another record"),
        ("building_id", json!("b2"), "building_id cannot change"),
        ("version", Value::Null, "version is required"),
    ] {
        let mut bad = pump(1, "x");
        bad[name] = value;
        let expected = json!({"error": says, "code": "validation_failed"});
        assert_eq!(backend.any(Method::Put, ONE, &bad), (400, expected), "{name}");
    }
    let anchor = |equipment: &str| {
        json!({"id": "a1", "building_id": "b1", "equipment_id": equipment, "position_x": 1,
        "position_y": 2, "position_z": 3, "confidence": 0.9, "anchor_type": "plane", "version": 1})
    };
    let (status, answer) = backend.any(Method::Post, "/api/v1/mobile/anchors", &anchor("none"));
    assert_eq!((status, &answer["code"]), (400, &json!("validation_failed")));
    assert_eq!(backend.any(Method::Post, "/api/v1/mobile/anchors", &anchor("e1")).0, 201);
    for body in [json!({}), json!([])] {
        assert_eq!(backend.any(Method::Post, ALL, &body).0, 400);
    }
}

#[test]
fn a_batch_has_verdicts_by_record() {
    let mut backend = Backend::new(Wire::ArxOs);
    backend.any(Method::Post, ALL, &pump(1, "ok"));
    backend.any(Method::Put, ONE, &pump(1, "fault"));
    let op = |kind: &str, id: &str, word: &str, payload: Value| json!({"entity_type": kind, "entity_id": id, "operation": word, "payload": payload, "local_time": "2026-11-20T10:15:30.123Z"});
    let mut second = pump(1, "ok");
    second["id"] = "e2".into();
    let mut nameless = second.clone();
    nameless["id"] = "e3".into();
    nameless["name"] = "".into();
    let body = backend.post(
        BATCH,
        &json!({"operations": [
            op("equipment", "e1", "update", pump(1, "off")),
            op("equipment", "e2", "create", second.clone()),
            op("equipment", "e3", "create", nameless),
            op("anchor", "a9", "delete", json!({"version": 2})),
            op("building", "b1", "update", json!({})),
            op("boat", "x", "update", json!({})),
            op("equipment", "e 4", "create", json!({})),
            op("equipment", "e5", "create", Value::Null),
            op("equipment", "e6", "upsert", json!({})),
        ]}),
    );
    assert_eq!(body["success"], json!(["e2"]));
    let conflict = &body["conflicts"][0];
    assert_eq!(
        (&conflict["entity_type"], &conflict["entity_id"]),
        (&json!("equipment"), &json!("e1"))
    );
    assert_eq!(
        conflict["local_version"],
        json!({"version": 1, "updated_at": "2026-11-20T10:15:30.123456789Z"})
    );
    assert_eq!(conflict["server_version"]["version"], 2);
    let errors: Vec<_> = body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            assert_eq!(e["retryable"], false);
            (e["entity_id"].as_str().unwrap(), e["code"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        errors,
        [
            ("e3", "validation_failed"),
            ("a9", "not_found"),
            ("b1", "read_only"),
            ("x", "validation_failed"),
            ("e 4", "validation_failed"),
            ("e5", "validation_failed"),
            ("e6", "validation_failed")
        ]
    );
    // A deletion is guarded by its version, where it names one.
    let delete = |payload| json!({"operations": [op("equipment", "e1", "delete", payload)]});
    let stale = backend.post(BATCH, &delete(json!({"version": 1})));
    assert_eq!(stale["conflicts"][0]["server_version"]["status"], "fault");
    assert_eq!(backend.post(BATCH, &delete(json!({"version": 2})))["success"], json!(["e1"]));
    let deleted = backend
        .post(BATCH, &json!({"operations": [op("equipment", "e1", "update", pump(2, "x"))]}));
    assert_eq!(deleted["conflicts"][0]["server_version"], Value::Null);
    assert_eq!(
        backend.post(BATCH, &json!({"operations": [op("equipment", "e2", "delete", Value::Null)]}))
            ["success"],
        json!(["e2"])
    );
    let many: Vec<Value> =
        (0..51).map(|_| op("equipment", "e2", "create", second.clone())).collect();
    let (status, answer) = backend.any(Method::Post, BATCH, &json!({"operations": many}));
    assert_eq!((status, &answer["code"]), (413, &json!("too_large")));
    let (status, answer) = backend.any(Method::Post, BATCH, &json!({}));
    assert_eq!(
        (status, answer),
        (400, json!({"error": "operations is missing", "code": "bad_request"}))
    );
}

/// WIRES 4: `since` is inclusive and of whole seconds, deletions are a list of ids, a building has its own.
#[test]
fn updates_of_a_building_by_seconds() {
    let mut backend = Backend::new(Wire::ArxOs);
    backend.any(Method::Post, ALL, &pump(1, "ok"));
    let mut other = pump(1, "ok");
    other["id"] = "e2".into();
    backend.any(Method::Post, ALL, &other);
    other["id"] = "e3".into();
    other["building_id"] = "b2".into();
    backend.any(Method::Post, ALL, &other);
    let all = updates(&mut backend, 0);
    let ids = |page: &Value| -> Vec<String> {
        let rows = page["updates"].as_array().unwrap();
        rows.iter().map(|row| row["equipment"]["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids(&all), &all["deletes"]), (vec!["e1".into(), "e2".into()], &json!([])));
    assert_eq!(all["updates"][0]["updated_at"], all["updates"][0]["equipment"]["updated_at"]);
    assert_eq!(
        ids(&updates(&mut backend, seconds(0))),
        ["e1", "e2"],
        "the border second comes twice"
    );
    backend.now += 2_000;
    backend.any(Method::Delete, ONE, &Value::Null);
    let later = updates(&mut backend, seconds(1));
    assert_eq!((ids(&later), &later["deletes"]), (vec![], &json!(["e1"])));
    let nothing = updates(&mut backend, seconds(60));
    assert_eq!((&nothing["updates"], &nothing["deletes"]), (&json!([]), &json!([])));
    let address =
        |since: &str| format!("/api/v1/mobile/equipment/building/b1/updates?since={since}");
    let day = 24 * 60 * 60;
    let old = (seconds(0) - 91 * day).to_string();
    let (status, answer) = backend.any(Method::Get, &address(&old), &Value::Null);
    assert_eq!((status, &answer["code"]), (410, &json!("resync_required")));
    let recent = (seconds(0) - 89 * day).to_string();
    assert_eq!(backend.any(Method::Get, &address(&recent), &Value::Null).0, 200);
    for text in ["x", "-1", "1.5"] {
        assert_eq!(backend.any(Method::Get, &address(text), &Value::Null).0, 400, "{text}");
    }
}

#[test]
fn whole_lists_have_a_tag() {
    let mut backend = Backend::new(Wire::ArxOs);
    let building = r#"{"id":"b1","name":"Tower","address":"1 Main St","status":"open"}"#;
    let given = Given {
        collection: "building",
        id: "b1",
        local_id: None,
        version: 1,
        stored_at: NOW,
        document: Some(building),
    };
    give(&mut backend.store, Wire::ArxOs, &given).unwrap();
    backend.any(Method::Post, ALL, &pump(1, "ok"));
    let anchor = json!({"id": "a1", "building_id": "b1", "position_x": 1, "position_y": 2, "position_z": 3, "version": 1});
    backend.any(Method::Post, "/api/v1/mobile/anchors", &anchor);
    let (status, row) = backend.any(Method::Get, "/api/v1/mobile/buildings/b1", &Value::Null);
    assert_eq!((status, &row["name"], row.get("version")), (200, &json!("Tower"), None));
    assert_eq!(backend.any(Method::Get, "/api/v1/mobile/buildings/b2", &Value::Null).0, 404);
    for (kind, member) in [("equipment", "equipment"), ("anchors", "anchors")] {
        let address = format!("/api/v1/mobile/{kind}/building/b1");
        let first = backend.call(Method::Get, &address, "").unwrap();
        let body: Value = serde_json::from_str(&first.body).unwrap();
        assert_eq!(body[member].as_array().unwrap().len(), 1);
        assert!(body["last_sync"].is_string());
        let tag = first.etag.unwrap();
        let same =
            backend.call_if(Method::Get, &address, "", Some(&format!("\"x\", W/{tag}"))).unwrap();
        assert_eq!((same.status, same.body.as_str(), same.etag.as_ref()), (304, "", Some(&tag)));
    }
    let tag =
        backend.call(Method::Get, "/api/v1/mobile/anchors/building/b1", "").unwrap().etag.unwrap();
    backend.any(Method::Delete, "/api/v1/mobile/anchors/a1", &Value::Null);
    let changed =
        backend.call_if(Method::Get, "/api/v1/mobile/anchors/building/b1", "", Some(&tag)).unwrap();
    assert_eq!(changed.status, 200);
    assert!(changed.body.starts_with(r#"{"anchors":[]"#));
    let (status, _) =
        backend.any(Method::Get, "/api/v1/mobile/equipment/building/b9", &Value::Null);
    assert_eq!(status, 200, "a building without equipment");
}
