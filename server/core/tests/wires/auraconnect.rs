//! AuraConnect (WIRES 1).

use holdfast_server_core::{Method, Role, Wire};
use serde_json::{Value, json};

use super::common::Backend;

const PUSH: &str = "/api/sync/push";
const PULL: &str = "/api/sync/pull";

fn record(local: &str, server: Option<&str>, base: Option<&str>, document: Value) -> Value {
    let mut record = json!({"localId": local, "serverId": server, "serverModified": base,
        "lastModified": "2026-11-20T10:15:30.123Z", "syncStatus": "pending", "isDeleted": false});
    for (name, value) in document.as_object().unwrap() {
        record[name] = value.clone();
    }
    record
}

fn order(number: &str) -> Value {
    json!({"orderNumber": number, "items": [], "status": "pending", "totalAmount": 1.50, "tags": [],
        "createdAt": "2026-11-20T09:11:59.000Z", "updatedAt": "2026-11-20T09:12:03.000Z"})
}

fn push_as(backend: &mut Backend, device: &str, changes: Value) -> Value {
    backend.post(PUSH, &json!({"deviceId": device, "changes": changes}))["results"].clone()
}

fn one(backend: &mut Backend, kind: &str, record: Value) -> Value {
    push_as(backend, "d1", json!({kind: [record]}))[kind][0].clone()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// WIRES 0.6, P6.
#[test]
fn a_repeat_gets_the_stored_verdict_and_has_no_effect() {
    let mut backend = Backend::new(Wire::AuraConnect);
    let create = record("l1", None, None, order("A-1"));
    let made = one(&mut backend, "orders", create.clone());
    assert_eq!(made["status"], "success");
    let (id, stamp) = (text(&made["serverId"]), text(&made["lastModified"]));
    let mut ready = order("A-1");
    ready["status"] = "ready".into();
    let update = record("l1", Some(&id), Some(&stamp), ready);
    let updated = one(&mut backend, "orders", update.clone());
    let stamp = text(&updated["lastModified"]);
    let mut delete = record("l1", Some(&id), Some(&stamp), json!({}));
    delete["isDeleted"] = true.into();
    let deleted = one(&mut backend, "orders", delete.clone());
    for (request, first) in [(create, made), (update, updated), (delete, deleted)] {
        for _ in 0..3 {
            // The device's own time is no part of the content.
            let mut again = request.clone();
            again["lastModified"] = "2026-11-20T11:00:00.000Z".into();
            let repeat = one(&mut backend, "orders", again);
            let mut expected = first.clone();
            expected["duplicate"] = true.into();
            assert_eq!(repeat, expected);
        }
    }
    assert_eq!((backend.most_effects(), backend.store.ledger().effects), (1, 3));
}

#[test]
fn each_conflict_has_its_kind_and_is_won_by_its_stamp() {
    let mut backend = Backend::new(Wire::AuraConnect);
    let made = one(&mut backend, "orders", record("l1", None, None, order("A-1")));
    let (id, first) = (text(&made["serverId"]), text(&made["lastModified"]));
    let edit = |base: &str, total: f64| {
        let mut document = order("A-1");
        document["totalAmount"] = total.into();
        record("l1", Some(&id), Some(base), document)
    };
    let updated = one(&mut backend, "orders", edit(&first, 2.0));
    let second = text(&updated["lastModified"]);
    let lost = one(&mut backend, "orders", edit(&first, 3.0));
    assert_eq!(
        (&lost["status"], &lost["conflictType"]),
        (&json!("conflict"), &json!("update-update"))
    );
    let theirs = &lost["serverRecord"];
    assert_eq!((&theirs["totalAmount"], &theirs["lastModified"]), (&json!(2.0), &json!(second)));
    assert_eq!((&theirs["syncStatus"], &theirs["isDeleted"]), (&json!("synced"), &json!(false)));
    let mut delete = record("l1", Some(&id), Some(&first), json!({}));
    delete["isDeleted"] = true.into();
    assert_eq!(one(&mut backend, "orders", delete.clone())["conflictType"], "delete-update");
    delete["serverModified"] = second.into();
    let gone = text(&one(&mut backend, "orders", delete.clone())["lastModified"]);
    let late = push_as(&mut backend, "d2", json!({"orders": [edit(&first, 4.0)]}));
    let late = &late["orders"][0];
    assert_eq!(late["conflictType"], "update-delete");
    assert_eq!(
        (&late["serverRecord"]["isDeleted"], &late["serverRecord"]["lastModified"]),
        (&json!(true), &json!(gone))
    );
    // To win, the same record with the stamp that the conflict told: it is brought back.
    assert_eq!(one(&mut backend, "orders", edit(&gone, 5.0))["status"], "success");
    assert_eq!(
        one(&mut backend, "orders", edit("2026-11-20T10:00:00.000Z", 6.0))["status"],
        "conflict"
    );
}

/// R17: the number of an order, and the phone of a customer, are held by one live record.
#[test]
fn the_same_thing_made_twice_is_told_with_the_other_record() {
    let mut backend = Backend::new(Wire::AuraConnect);
    let first = one(&mut backend, "orders", record("l1", None, None, order("A-1")));
    let other =
        push_as(&mut backend, "d2", json!({"orders": [record("l2", None, None, order("A-1"))]}));
    let other = &other["orders"][0];
    assert_eq!(
        (&other["conflictType"], &other["serverId"]),
        (&json!("create-create"), &first["serverId"])
    );
    assert_eq!(other["serverRecord"]["localId"], "l1");
    assert_eq!(other["localId"], "l2");
    // Its edit goes on as an update of that record.
    let id = text(&first["serverId"]);
    let stamp = text(&other["serverRecord"]["lastModified"]);
    let goes_on = record("l2", Some(&id), Some(&stamp), order("A-1"));
    assert_eq!(one(&mut backend, "orders", goes_on)["serverId"], first["serverId"]);
    let ada = |local: &str| {
        record(
            local,
            None,
            None,
            json!({"name": "Ada", "phone": "1", "preferences": {}, "tags": []}),
        )
    };
    one(&mut backend, "customers", ada("c1"));
    assert_eq!(one(&mut backend, "customers", ada("c2"))["conflictType"], "create-create");
    // No phone, no claim; a deleted record holds nothing.
    let none = json!({"name": "B", "phone": null});
    for local in ["c3", "c4"] {
        assert_eq!(
            one(&mut backend, "customers", record(local, None, None, none.clone()))["status"],
            "success"
        );
    }
    let second = one(&mut backend, "orders", record("l3", None, None, order("A-2")));
    let mut gone = record(
        "l3",
        Some(&text(&second["serverId"])),
        Some(&text(&second["lastModified"])),
        json!({}),
    );
    gone["isDeleted"] = true.into();
    one(&mut backend, "orders", gone);
    assert_eq!(
        one(&mut backend, "orders", record("l4", None, None, order("A-2")))["status"],
        "success"
    );
    // A copied device makes the same record with other content.
    let clone = one(&mut backend, "orders", record("l4", None, None, order("A-3")));
    assert_eq!(
        (&clone["status"], &clone["conflictType"]),
        (&json!("conflict"), &json!("create-create"))
    );
}

#[test]
fn types_are_handled_in_their_order_and_references_become_server_ids() {
    let mut backend = Backend::new(Wire::AuraConnect);
    let mut sale = order("A-1");
    sale["customerId"] = "c1".into();
    // The order stands first in the request.
    let results = push_as(
        &mut backend,
        "d1",
        json!({
            "orders": [record("l1", None, None, sale.clone())],
            "customers": [record("c1", None, None, json!({"name": "Ada"}))],
        }),
    );
    assert_eq!(results["orders"][0]["status"], "success", "{results}");
    let page = backend.get(PULL);
    let customer = &page["changes"]["customers"][0]["serverId"];
    assert_eq!(&page["changes"]["orders"][0]["customerId"], customer);
    let mut unknown = order("A-2");
    unknown["customerId"] = "nobody".into();
    let refused = one(&mut backend, "orders", record("l2", None, None, unknown));
    assert_eq!(
        refused["error"],
        json!({"code": "unknown_reference", "message": "customerId names no customer", "field": "customerId", "retryable": false})
    );
    assert_eq!(refused["serverId"], Value::Null);
}

#[test]
fn deletions_of_what_is_not_there() {
    let mut backend = Backend::new(Wire::AuraConnect);
    let delete = |server: Option<&str>, base: Option<&str>| {
        let mut record = record("l9", server, base, json!({}));
        record["isDeleted"] = true.into();
        record
    };
    let never = one(&mut backend, "orders", delete(None, None));
    assert_eq!((&never["status"], &never["serverId"]), (&json!("success"), &Value::Null));
    let unknown =
        one(&mut backend, "orders", delete(Some("ord_9"), Some("2026-11-20T10:00:00.000Z")));
    assert_eq!(unknown["error"]["code"], "not_found");
    let update = record("l9", Some("ord_9"), Some("2026-11-20T10:00:00.000Z"), order("A-1"));
    assert_eq!(one(&mut backend, "orders", update)["error"]["code"], "not_found");
    let made = one(&mut backend, "orders", record("l1", None, None, order("A-1")));
    let (id, stamp) = (text(&made["serverId"]), text(&made["lastModified"]));
    let mut own = delete(Some(&id), Some(&stamp));
    let first = one(&mut backend, "orders", own.clone());
    own["serverModified"] = "2026-11-20T10:00:00.000Z".into();
    let twice = push_as(&mut backend, "d2", json!({"orders": [own]}))["orders"][0].clone();
    assert_eq!(
        (&twice["status"], &twice["lastModified"]),
        (&json!("success"), &first["lastModified"])
    );
}

#[test]
fn a_bad_record_fails_alone_and_a_bad_envelope_fails_all() {
    let mut backend = Backend::new(Wire::AuraConnect);
    let mut list: Vec<Value> =
        (0..10).map(|n| record(&format!("l{n}"), None, None, order(&format!("A-{n}")))).collect();
    list[4]["totalAmount"] = json!(-1);
    list[5]["items"] = json!([{"menuItemId": "itm_1", "name": "x", "quantity": 1}]);
    list[6]["localId"] = "not an id".into();
    list[7]["serverModified"] = "yesterday".into();
    let results = push_as(
        &mut backend,
        "d1",
        json!({"orders": list, "boats": [record("b", None, None, json!({}))]}),
    );
    let fields: Vec<_> =
        results["orders"].as_array().unwrap().iter().map(|r| r["error"]["field"].clone()).collect();
    assert_eq!(
        fields[4..8],
        [
            json!("totalAmount"),
            json!("items[0].unitPrice"),
            json!("localId"),
            json!("serverModified")
        ]
    );
    assert_eq!(results["orders"][4]["error"]["message"], "totalAmount must not be negative");
    assert!(fields.iter().enumerate().all(|(n, field)| field.is_null() != (4..8).contains(&n)));
    assert_eq!(results["boats"][0]["error"]["code"], "validation_failed");
    let effects = backend.store.ledger().effects;
    for (body, says) in [
        (json!({"changes": {}}), "deviceId is missing"),
        (json!({"deviceId": "d1"}), "changes is missing"),
        (json!({"deviceId": "d1", "changes": []}), "changes is missing"),
        (json!({"deviceId": "d1", "changes": {"orders": {}}}), "changes must hold lists"),
        (
            json!({"deviceId": "d1", "changes": {"orders": [{"serverId": "x"}]}}),
            "localId is missing",
        ),
    ] {
        let (status, answer) = backend.any(Method::Post, PUSH, &body);
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("bad_request")));
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{answer}");
    }
    assert_eq!(backend.any(Method::Post, PUSH, &json!([])).0, 400);
    let many: Vec<Value> =
        (0..101).map(|n| record(&format!("m{n}"), None, None, json!({}))).collect();
    let (status, answer) = backend.any(
        Method::Post,
        PUSH,
        &json!({"deviceId": "d1", "changes": {"staff": many[..60], "orders": many[60..]}}),
    );
    assert_eq!((status, &answer["error"]["code"]), (413, &json!("too_large")));
    assert_eq!(backend.store.ledger().effects, effects);
}

/// WIRES 6, 7: rows of one stamp are never parted; pages end; a change between two pages is met again.
#[test]
fn pages_follow_the_stamps() {
    let mut backend = Backend::new(Wire::AuraConnect);
    // One request, one clock reading: all of them have the same stamp.
    let list: Vec<Value> =
        (0..5).map(|n| record(&format!("l{n}"), None, None, order(&format!("A-{n}")))).collect();
    push_as(&mut backend, "d1", json!({"orders": list}));
    for n in 5..8 {
        one(
            &mut backend,
            "staff",
            record(
                &format!("l{n}"),
                None,
                None,
                json!({"name": "x", "role": "cook", "clockedIn": true}),
            ),
        );
    }
    let first = backend.get(&format!("{PULL}?limit=2"));
    assert_eq!(first["changes"]["orders"].as_array().unwrap().len(), 5, "a page is extended");
    assert_eq!(first["hasMore"], true);
    assert_eq!(first["timestamp"], first["changes"]["orders"][4]["lastModified"]);
    let mut late = order("A-0");
    late["notes"] = "late".into();
    let row = &first["changes"]["orders"][0];
    one(
        &mut backend,
        "orders",
        record("l0", row["serverId"].as_str(), row["lastModified"].as_str(), late),
    );
    let mut since = text(&first["timestamp"]);
    let mut seen = Vec::new();
    loop {
        let page = backend.get(&format!("{PULL}?limit=1&since={since}"));
        for rows in page["changes"].as_object().unwrap().values() {
            seen.extend(rows.as_array().unwrap().iter().map(|row| text(&row["localId"])));
        }
        since = text(&page["timestamp"]);
        if page["hasMore"] == false {
            break;
        }
    }
    assert_eq!(seen, ["l5", "l6", "l7", "l0"]);
    let empty = backend.get(&format!("{PULL}?since={since}"));
    assert_eq!((&empty["changes"], &empty["hasMore"]), (&json!({}), &json!(false)));
    for query in ["since=yesterday", "limit=0", "limit=1001"] {
        assert_eq!(
            backend.any(Method::Get, &format!("{PULL}?{query}"), &Value::Null).0,
            400,
            "{query}"
        );
    }
}

#[test]
fn deletions_are_pulled_until_they_are_forgotten() {
    let mut backend = Backend::new(Wire::AuraConnect);
    let mut begin = String::new();
    for n in 0..3 {
        let made = one(
            &mut backend,
            "orders",
            record(&format!("l{n}"), None, None, order(&format!("A-{n}"))),
        );
        if n == 1 {
            begin = text(&made["lastModified"]);
            let mut delete = record("l1", made["serverId"].as_str(), Some(&begin), json!({}));
            delete["isDeleted"] = true.into();
            one(&mut backend, "orders", delete);
        }
    }
    let rows = backend.get(&format!("{PULL}?since={begin}"))["changes"]["orders"].clone();
    let gone = rows.as_array().unwrap().iter().find(|row| row["isDeleted"] == true).unwrap();
    assert_eq!(gone.as_object().unwrap().len(), 5, "the metadata alone: {gone}");
    let rows = backend.get(PULL)["changes"]["orders"].clone();
    assert!(
        rows.as_array().unwrap().iter().all(|row| row["isDeleted"] == false),
        "a first pull has no deletions"
    );
    backend.prune();
    let (status, answer) = backend.any(Method::Get, &format!("{PULL}?since={begin}"), &Value::Null);
    assert_eq!((status, &answer["error"]["code"]), (410, &json!("resync_required")));
    // A first pull in pages of one gets past what was forgotten.
    let mut address = format!("{PULL}?limit=1");
    let mut count = 0;
    loop {
        let page = backend.get(&address);
        count += page["changes"]["orders"].as_array().map_or(0, Vec::len);
        address = format!("{PULL}?limit=1&since={}", text(&page["timestamp"]));
        if page["hasMore"] == false {
            break;
        }
    }
    assert_eq!(count, 2);
}

#[test]
fn a_reader_may_pull_and_not_push() {
    let mut backend = Backend::new(Wire::AuraConnect);
    backend.role = Role::Reader;
    assert_eq!(backend.any(Method::Get, PULL, &Value::Null).0, 200);
    let (status, answer) =
        backend.any(Method::Post, PUSH, &json!({"deviceId": "d1", "changes": {}}));
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("forbidden")));
}
