//! PayTrack (WIRES 5).

use holdfast_server_core::{Method, Wire};
use serde_json::{Value, json};

use super::common::Backend;

const PUSH: &str = "/api/sync/push";
const PULL: &str = "/api/sync/pull";

fn op(id: u64, kind: &str, uuid: &str, operation: &str, version: u64, payload: Value) -> Value {
    json!({"id": id, "entity_type": kind, "entity_uuid": uuid, "operation": operation, "version": version,
        "payload": payload, "created_at": "2026-11-20T10:15:30.123Z"})
}

fn push_as(backend: &mut Backend, device: &str, operations: Vec<Value>) -> Vec<Value> {
    let body = json!({"device_id": device, "operations": operations});
    backend.post(PUSH, &body)["results"].as_array().unwrap().clone()
}

fn push(backend: &mut Backend, operations: Vec<Value>) -> Vec<Value> {
    push_as(backend, "d1", operations)
}

fn one(backend: &mut Backend, operation: Value) -> Value {
    push(backend, vec![operation]).remove(0)
}

fn supplier(id: u64, uuid: &str, name: &str) -> Value {
    op(id, "suppliers", uuid, "create", 0, json!({"name": name}))
}

/// WIRES 0.6, P6: resent once and three times, the answer of a create, an update and a delete lost.
#[test]
fn a_repeat_gets_the_stored_verdict_and_has_no_effect() {
    let mut backend = Backend::new(Wire::PayTrack);
    for (operation, version) in [
        (supplier(1, "s1", "Ada"), 1),
        (op(2, "suppliers", "s1", "update", 1, json!({"phone": "1"})), 2),
        (op(3, "suppliers", "s1", "delete", 2, json!({})), 3),
    ] {
        let first = one(&mut backend, operation.clone());
        assert_eq!((&first["status"], &first["version"]), (&json!("success"), &json!(version)));
        for id in 7..10 {
            let mut again = operation.clone();
            again["id"] = id.into();
            let repeat = one(&mut backend, again);
            assert_eq!(repeat["duplicate"], true, "{repeat}");
            assert_eq!(repeat["id"], id);
            assert_eq!(repeat["updated_at"], first["updated_at"]);
            assert_eq!(repeat["version"], version);
        }
    }
    assert_eq!(backend.most_effects(), 1);
    assert_eq!(backend.store.ledger().effects, 3);
}

/// WIRES 6, 4: two clones of one device, and two devices, write different edits on one base.
#[test]
fn another_payload_or_device_on_the_same_base_is_a_conflict() {
    let mut backend = Backend::new(Wire::PayTrack);
    push(&mut backend, vec![supplier(1, "s1", "Ada")]);
    let update = |phone: &str| op(2, "suppliers", "s1", "update", 1, json!({"phone": phone}));
    assert_eq!(one(&mut backend, update("1"))["status"], "success");
    let clone = one(&mut backend, update("2"));
    assert_eq!(clone["status"], "conflict");
    assert_eq!(clone["conflict"], true);
    assert_eq!((&clone["clientVersion"], &clone["serverVersion"]), (&json!(1), &json!(2)));
    assert_eq!(clone["serverData"], json!({"name": "Ada", "phone": "1"}));
    assert_eq!(clone["serverDeleted"], false);
    let other = push_as(&mut backend, "d2", vec![update("1")]).remove(0);
    assert_eq!(other["status"], "conflict", "the same edit of another device is no repeat");
    let create = push_as(&mut backend, "d2", vec![supplier(9, "s1", "Ada")]).remove(0);
    assert_eq!((&create["status"], &create["clientVersion"]), (&json!("conflict"), &json!(0)));
    // A conflict is not stored: after it was won, the same request is judged afresh.
    let won = op(3, "suppliers", "s1", "update", 2, json!({"phone": "2"}));
    assert_eq!(one(&mut backend, won)["version"], 3);
}

#[test]
fn a_deletion_and_what_comes_after_it() {
    let mut backend = Backend::new(Wire::PayTrack);
    push(&mut backend, vec![supplier(1, "s1", "Ada")]);
    let stale = push_as(&mut backend, "d2", vec![op(1, "suppliers", "s1", "delete", 9, json!({}))]);
    assert_eq!(stale[0]["status"], "conflict");
    assert_eq!(one(&mut backend, op(1, "suppliers", "s1", "delete", 1, json!({})))["version"], 2);
    let twice = push_as(&mut backend, "d2", vec![op(1, "suppliers", "s1", "delete", 1, json!({}))]);
    assert_eq!((&twice[0]["status"], &twice[0]["version"]), (&json!("success"), &json!(2)));
    let update = one(&mut backend, op(2, "suppliers", "s1", "update", 1, json!({"name": "B"})));
    assert_eq!(update["serverDeleted"], true);
    assert_eq!((&update["serverData"], &update["serverVersion"]), (&Value::Null, &json!(2)));
    let create = op(3, "suppliers", "s1", "create", 0, json!({"name": "C"}));
    assert_eq!(one(&mut backend, create)["serverDeleted"], true);
    // To win: a new operation with the version that the conflict told.
    let back = one(&mut backend, op(4, "suppliers", "s1", "create", 2, json!({"name": "C"})));
    assert_eq!((&back["status"], &back["version"]), (&json!("success"), &json!(3)));
    for operation in ["update", "delete"] {
        let unknown = one(&mut backend, op(5, "suppliers", "none", operation, 1, json!({})));
        assert_eq!(unknown["error_code"], "not_found");
        assert_eq!(unknown["retryable"], false);
    }
}

#[test]
fn an_update_is_a_merge_patch_and_a_create_has_no_nulls() {
    let mut backend = Backend::unchecked(Wire::PayTrack);
    let document = json!({"name": "A", "x": {"a": 1, "b": 2}, "none": null, "list": [1, 2]});
    one(&mut backend, op(1, "suppliers", "s1", "create", 0, document));
    let patch = json!({"x": {"a": null, "c": 3}, "list": [9], "name": null});
    one(&mut backend, op(2, "suppliers", "s1", "update", 1, patch));
    let page = backend.get(PULL);
    assert_eq!(page["changes"][0]["data"], json!({"x": {"b": 2, "c": 3}, "list": [9]}));
}

#[test]
fn numbers_keep_their_text() {
    let mut backend = Backend::unchecked(Wire::PayTrack);
    let body = r#"{"device_id":"d1","operations":[{"id":1,"entity_type":"suppliers","entity_uuid":"s1",
        "operation":"create","version":0,"payload":{"price":1.10,"big":12345678901234567890.0}}]}"#;
    backend.call(Method::Post, PUSH, body).unwrap();
    let page = backend.call(Method::Get, PULL, "").unwrap();
    assert!(page.body.contains(r#""price":1.10,"big":12345678901234567890.0"#), "{}", page.body);
}

/// WIRES 6, 5: one bad operation among ten, all ten bad, the envelope bad.
#[test]
fn a_bad_operation_fails_alone_and_a_bad_envelope_fails_all() {
    let mut backend = Backend::new(Wire::PayTrack);
    let good = |n: u64| supplier(n, &format!("s{n}"), "Ada");
    let bad = |n: u64| op(n, "suppliers", &format!("s{n}"), "create", 0, json!({"name": ""}));
    let mixed: Vec<Value> = (0..10).map(|n| if n == 4 { bad(n) } else { good(n) }).collect();
    let results = push(&mut backend, mixed);
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result["id"], n);
        assert_eq!(result["status"] == "success", n != 4, "{result}");
    }
    assert_eq!(results[4]["error_message"], "name is required");
    let all = push(&mut backend, (20..30).map(bad).collect());
    assert!(all.iter().all(|result| result["error_code"] == "validation_failed"));
    let before = backend.store.ledger();
    for (body, says) in [
        (json!({"operations": []}), "device_id is missing"),
        (json!({"device_id": "a b", "operations": []}), "device_id is not acceptable"),
        (json!({"device_id": "d"}), "operations is missing"),
        (json!({"device_id": "d", "operations": {}}), "operations is not a list"),
        (json!({"device_id": "d", "operations": [{}]}), "id must be a number"),
        (json!({"device_id": "d", "operations": [good(1), good(1)]}), "id must be a number"),
    ] {
        let (status, answer) = backend.any(Method::Post, PUSH, &body);
        assert_eq!(status, 400, "{answer}");
        assert_eq!(
            (&answer["success"], &answer["error"]["code"]),
            (&json!(false), &json!("bad_request"))
        );
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{answer}");
    }
    assert_eq!(backend.store.ledger(), before);
}

#[test]
fn every_field_of_every_entity_is_checked() {
    let mut backend = Backend::new(Wire::PayTrack);
    let sound = [
        ("suppliers", "s1", json!({"name": "Ada", "phone": "1", "village": "K"})),
        ("products", "p1", json!({"name": "Milk", "unit": "litre"})),
        (
            "rates",
            "r1",
            json!({"product_uuid": "p1", "price_cents": 10, "valid_from": "2026-11-01"}),
        ),
        (
            "collections",
            "c1",
            json!({"supplier_uuid": "s1", "product_uuid": "p1", "quantity_milli": 5,
            "collected_at": "2026-11-20T10:00:00Z", "mood": "kept"}),
        ),
        (
            "payments",
            "m1",
            json!({"supplier_uuid": "s1", "amount_cents": 5, "method": "bank",
            "paid_at": "2026-11-20T10:00:00Z", "note": "x"}),
        ),
    ];
    for (n, (kind, uuid, document)) in sound.iter().enumerate() {
        let n = u64::try_from(n).unwrap();
        let result = one(&mut backend, op(n, kind, uuid, "create", 0, document.clone()));
        assert_eq!(result["status"], "success", "{result}");
        for field in document.as_object().unwrap().keys() {
            let mut wrong = document.clone();
            wrong[field] = json!([]);
            let result = one(&mut backend, op(n, kind, "x", "create", 0, wrong));
            let kept = field == "mood";
            assert_eq!(result["status"] == "success", kept, "{kind}.{field} {result}");
        }
    }
    for (kind, document, field) in [
        (
            "payments",
            json!({"supplier_uuid": "none", "amount_cents": 5, "method": "bank",
            "paid_at": "2026-11-20T10:00:00Z"}),
            "supplier_uuid",
        ),
        (
            "rates",
            json!({"product_uuid": "s1", "price_cents": 1, "valid_from": "2026-11-01"}),
            "product_uuid",
        ),
    ] {
        let result = one(&mut backend, op(1, kind, "y", "create", 0, document));
        assert_eq!(result["error_code"], "foreign_key", "{result}");
        assert!(result["error_message"].as_str().unwrap().starts_with(field));
    }
    for (operation, says) in [
        (op(1, "ships", "y", "create", 0, json!({})), "entity_type"),
        (op(1, "suppliers", "y z", "create", 0, json!({})), "entity_uuid"),
        (op(1, "suppliers", "y", "upsert", 0, json!({})), "operation"),
        (op(1, "suppliers", "y", "create", 0, json!([])), "payload"),
        (
            json!({"id": 1, "entity_type": "suppliers", "entity_uuid": "y", "operation": "update",
            "payload": {}}),
            "version",
        ),
    ] {
        let result = one(&mut backend, operation);
        assert_eq!(result["error_code"], "validation_failed");
        assert!(result["error_message"].as_str().unwrap().starts_with(says), "{result}");
    }
}

/// WIRES 6, 10: a reference to a record of the same request; its create refused.
#[test]
fn a_reference_may_point_at_what_came_before_in_the_request() {
    let mut backend = Backend::new(Wire::PayTrack);
    let pay = |n: u64, to: &str| {
        op(
            n,
            "payments",
            &format!("m{n}"),
            "create",
            0,
            json!({"supplier_uuid": to, "amount_cents": 1,
            "method": "cash", "paid_at": "2026-11-20T10:00:00Z"}),
        )
    };
    let bad = op(3, "suppliers", "s2", "create", 0, json!({}));
    let list = vec![supplier(1, "s1", "Ada"), pay(2, "s1"), bad, pay(4, "s2")];
    let results = push(&mut backend, list);
    let statuses: Vec<_> = results.iter().map(|r| r["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["success", "success", "error", "error"]);
    // A reference to what was deleted since holds: the row is still there.
    one(&mut backend, op(5, "suppliers", "s1", "delete", 1, json!({})));
    assert_eq!(one(&mut backend, pay(6, "s1"))["status"], "success");
}

/// WIRES 6, 7: pages of one, an empty one, a deletion on the border, a change between two pages (P13).
#[test]
fn pages_follow_commit_order_and_miss_nothing() {
    let mut backend = Backend::new(Wire::PayTrack);
    push(&mut backend, (0..5).map(|n| supplier(n, &format!("s{n}"), "Ada")).collect());
    one(&mut backend, op(9, "suppliers", "s1", "delete", 1, json!({})));
    let (mut address, mut seen) = (format!("{PULL}?limit=1"), Vec::new());
    for round in 0..9 {
        let page = backend.get(&address);
        let changes = page["changes"].as_array().unwrap();
        assert!(changes.len() <= 1);
        seen.extend(changes.iter().map(|c| (c["entity_uuid"].clone(), c["deleted"].clone())));
        if round == 1 {
            // It moves behind everything; the first pull meets it again, with its new state.
            one(&mut backend, op(9, "suppliers", "s0", "update", 1, json!({"phone": "1"})));
            one(&mut backend, op(9, "suppliers", "s4", "delete", 1, json!({})));
        }
        let before = address.clone();
        address = format!("{PULL}?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
        if page["has_more"] == false {
            break;
        }
        assert_ne!(address, before, "more to come, and the same cursor");
    }
    let names: Vec<_> =
        seen.iter().map(|(id, gone)| (id.as_str().unwrap(), gone == true)).collect();
    // s1 was gone before the first pull began, and is left out; s4 went while it was under way.
    let expected = [("s0", false), ("s2", false), ("s3", false), ("s0", false), ("s4", true)];
    assert_eq!(names, expected);
    let empty = backend.get(&address);
    assert_eq!((&empty["changes"], &empty["has_more"]), (&json!([]), &json!(false)));
    let cursor = empty["next_cursor"].as_str().unwrap();
    assert!(address.ends_with(cursor), "nothing new: the cursor stays");
    one(&mut backend, op(9, "suppliers", "s2", "delete", 1, json!({})));
    let next = backend.get(&address);
    assert_eq!(next["changes"][0]["data"], Value::Null);
    assert_eq!(next["changes"][0]["version"], 2);
}

#[test]
fn a_cursor_that_cannot_be_honoured_is_gone() {
    let mut backend = Backend::new(Wire::PayTrack);
    push(&mut backend, (0..3).map(|n| supplier(n, &format!("s{n}"), "Ada")).collect());
    let old = backend.get(PULL)["next_cursor"].as_str().unwrap().to_owned();
    let under_way =
        backend.get(&format!("{PULL}?limit=1"))["next_cursor"].as_str().unwrap().to_owned();
    one(&mut backend, op(9, "suppliers", "s1", "delete", 1, json!({})));
    assert_eq!(backend.any(Method::Get, &format!("{PULL}?cursor={old}"), &Value::Null).0, 200);
    backend.prune();
    for cursor in [old.as_str(), under_way.as_str(), "x", "djE6MTA0NA", ""] {
        let (status, body) =
            backend.any(Method::Get, &format!("{PULL}?cursor={cursor}"), &Value::Null);
        assert_eq!((status, &body["error"]["code"]), (410, &json!("resync_required")), "{cursor}");
    }
    // A first pull that begins now is not troubled by what was forgotten before it.
    let mut address = format!("{PULL}?limit=1");
    for _ in 0..2 {
        let page = backend.get(&address);
        address = format!("{PULL}?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    }
    backend.store.set_epoch("e2");
    assert_eq!(backend.any(Method::Get, &address, &Value::Null).0, 410, "a restored backup");
    for limit in ["0", "501", "x"] {
        let address = format!("{PULL}?limit={limit}");
        assert_eq!(backend.any(Method::Get, &address, &Value::Null).0, 400, "{limit}");
    }
}

#[test]
fn limits_hold() {
    let mut backend = Backend::new(Wire::PayTrack);
    let many = |n: u64| (0..n).map(|n| supplier(n, &format!("s{n}"), "Ada")).collect::<Vec<_>>();
    assert_eq!(push(&mut backend, many(100)).len(), 100);
    let body = json!({"device_id": "d1", "operations": many(101)});
    let (status, answer) = backend.any(Method::Post, PUSH, &body);
    assert_eq!((status, &answer["error"]["code"]), (413, &json!("too_large")));
    let big = op(1, "suppliers", "big", "create", 0, json!({"name": "x".repeat(256 << 10)}));
    assert_eq!(one(&mut backend, big)["error_message"], "the record is too large");
    // Deep nesting is refused before anything walks it.
    let deep = format!(
        r#"{{"device_id":"d1","operations":[{{"id":1,"entity_type":"suppliers","entity_uuid":"d",
        "operation":"create","version":0,"payload":{}1{}}}]}}"#,
        r#"{"a":"#.repeat(100_000),
        "}".repeat(100_000)
    );
    let answer = backend.call(Method::Post, PUSH, &deep).unwrap();
    assert!(answer.body.contains("validation_failed"), "{}", answer.body);
    let page = backend.get(&format!("{PULL}?limit=500"));
    assert_eq!(page["changes"].as_array().unwrap().len(), 100);
}
