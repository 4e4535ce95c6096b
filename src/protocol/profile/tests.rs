//! The client's side of the golden files, of hostile answers, and of profiles that are wrong.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::text::{at, elements};

use crate::model::{
    Batch, Cursor, Departure, DeviceId, Document, Edit, Halt, Intent, Json, Millis, OpId, Outcome,
    Path, PullPage, Scope, Seq, Stamp, Theirs, Version, Wall,
};
use crate::port::{HttpRequest, HttpResponse, Method};
use crate::protocol::preset::{self, PRESETS, Preset};
use crate::protocol::{Protocol, Push, Rest, RestProfile};

const NOW: Wall = Wall(1_795_169_760_000);

fn rest(preset: &Preset) -> Rest {
    Rest::new(RestProfile::parse(preset.profile).unwrap(), "https://api.example.com")
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

/// A file: as a tree to look into, and as the text that it is.
struct Golden {
    tree: Value,
    text: String,
}

impl Golden {
    fn text(&self, path: &str) -> Option<&str> {
        at(&self.text, path)
    }
}

fn golden_files(preset: &Preset) -> BTreeMap<String, Golden> {
    let directory = format!("{}/tests/fixtures/{}", env!("CARGO_MANIFEST_DIR"), preset.page);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = compact(&std::fs::read_to_string(&path).unwrap());
        let golden = Golden { tree: serde_json::from_str(&text).unwrap(), text };
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert_eq!(golden.tree["name"], name.as_str());
        files.insert(name, golden);
    }
    files
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn document(operation: &str) -> Document {
    Document::parse(at(operation, "document").unwrap()).unwrap()
}

fn version(value: &Value) -> Option<Version> {
    match value {
        Value::Number(number) => Some(Version::Number(number.as_u64().unwrap())),
        Value::String(text) => Some(Version::Stamp(text.clone())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn edits(value: &Value) -> Vec<Edit> {
    let path = |value: &Value| Path(value.as_array().unwrap().iter().map(text).collect());
    let edits = value.as_array().unwrap().iter();
    let edit = |it: &Value| match it.get("set") {
        Some(set) => {
            Edit::Set { path: path(set), value: Json::parse(&it["value"].to_string()).unwrap() }
        }
        None => Edit::Remove { path: path(&it["remove"]) },
    };
    edits.map(edit).collect()
}

/// What the core hands over to make the request of a file.
fn batch(golden: &Golden) -> Batch {
    let client = &golden.tree["client"];
    let device = DeviceId::parse(&text(&client["device"])).unwrap();
    let texts = elements(golden.text("client.batch").unwrap()).unwrap();
    let operations = client["batch"].as_array().unwrap().iter().zip(texts);
    let operations = operations.map(|(it, raw)| Departure {
        op: OpId::parse(&text(&it["op"])).unwrap(),
        seq: Seq(it["seq"].as_u64().unwrap()),
        collection: text(&it["collection"]),
        own: text(&it["own"]),
        id: text(&it["id"]),
        intent: match &*text(&it["kind"]) {
            "create" => Intent::Create(document(raw)),
            "replace" => Intent::Replace(document(raw)),
            "delete" => Intent::Delete,
            _ => Intent::Change(edits(&it["edits"])),
        },
        decides: it["token"].as_str().map(str::to_owned),
        assumed: version(&it["assumed"]),
        stamp: Stamp { millis: it["at"].as_u64().unwrap(), counter: 3, device },
        device,
        group: None,
        sends: u32::try_from(it["sends"].as_u64().unwrap()).unwrap(),
    });
    Batch { operations: operations.collect(), cursor: cursor(client) }
}

fn cursor(client: &Value) -> Option<Cursor> {
    client["cursor"].as_str().map(|it| Cursor(it.to_owned()))
}

fn answer(golden: &Golden) -> HttpResponse {
    let said = &golden.tree["answer"];
    let header = |name: &str| said["headers"][name].as_str().map(str::to_owned);
    HttpResponse {
        status: u16::try_from(said["status"].as_u64().unwrap()).unwrap(),
        content_type: header("content-type").unwrap_or_default(),
        retry_after: header("retry-after"),
        body: golden.text("answer.body").unwrap_or_default().to_owned(),
        up: 0,
        etag: header("etag"),
    }
}

/// The request as a file states it. Order of members and spelling of numbers count.
fn assert_asks(name: &str, request: &HttpRequest, golden: &str) {
    let word = |path: &str| crate::model::json::unquote(at(golden, path).unwrap()).unwrap();
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
    };
    assert_eq!(word("method"), method, "{name}");
    let url = format!("https://api.example.com{}", word("path"));
    assert_eq!(request.url, url, "{name}");
    let tag = at(golden, "headers.if-none-match").and_then(crate::model::json::unquote);
    assert_eq!(request.if_none_match, tag, "{name}");
    assert_eq!(request.body.as_deref(), at(golden, "body"), "{name}");
}

fn said_version(version: Option<&Version>) -> Value {
    match version {
        Some(Version::Number(number)) => json!(number),
        Some(Version::Stamp(text) | Version::Opaque(text)) => json!(text),
        None => Value::Null,
    }
}

fn said_document(presence: Option<&Document>) -> Value {
    presence.map_or(Value::Null, |it| serde_json::from_str(it.text()).unwrap())
}

/// An outcome in the words of the files; members that are not there are left out.
fn said(op: OpId, outcome: &Outcome) -> Value {
    let mut said = match outcome {
        Outcome::Applied { version, presence, stamp, assigned_id } => {
            let mut said = json!({"kind": "applied", "version": said_version(version.as_ref())});
            if let Some(presence) = presence {
                said["document"] = said_document(presence.document());
            }
            if let Some(stamp) = stamp {
                said["at"] = json!(stamp.millis);
            }
            if let Some(id) = assigned_id {
                said["assignedId"] = json!(id);
            }
            said
        }
        Outcome::Conflict { theirs, other, token } => {
            let (document, version, stamp) = match theirs {
                Theirs::Live { document, version, stamp } => (Some(document), version, stamp),
                Theirs::Deleted { version, stamp } => (None, version, stamp),
                Theirs::Unknown => panic!("the server's side is known"),
            };
            let mut said = json!({
                "kind": "conflict",
                "version": said_version(version.as_ref()),
                "document": said_document(document),
            });
            if let Some(stamp) = stamp {
                said["at"] = json!(stamp.millis);
            }
            if let Some(other) = other {
                said["other"] = json!(other);
            }
            if let Some(token) = token {
                said["token"] = json!(token);
            }
            said
        }
        Outcome::Rejected { code, message, last } => {
            json!({"kind": "rejected", "code": code, "message": message, "final": last})
        }
        Outcome::Retry { after: None } => json!({"kind": "retry"}),
        Outcome::Retry { after: Some(after) } => json!({"kind": "retry", "after": after.0}),
    };
    said["op"] = json!(op.to_string());
    said
}

fn said_changes(page: &PullPage) -> Value {
    let changes = page.changes.iter().map(|it| {
        let mut said = json!({
            "collection": it.key.collection,
            "id": it.key.id,
            "version": said_version(it.version.as_ref()),
            "document": said_document(it.presence.document()),
        });
        if let Some(stamp) = it.stamp {
            said["at"] = json!(stamp.millis);
        }
        if let Some(own) = &it.own {
            said["own"] = json!(own);
        }
        if let Some(op) = it.op {
            said["op"] = json!(op.to_string());
        }
        said
    });
    changes.collect()
}

fn assert_halts(name: &str, halt: Option<&Halt>, means: &Value) {
    let halt = halt.unwrap_or_else(|| panic!("{name}: an answer that is no failure"));
    let (word, after) = match halt {
        Halt::Unreachable => ("unreachable", None),
        Halt::Foreign => ("foreign", None),
        Halt::Auth => ("auth", None),
        Halt::Forbidden => ("forbidden", None),
        Halt::Misconfigured => ("misconfigured", None),
        Halt::Later(after) => ("later", after.as_ref()),
        Halt::TooLarge => ("too-large", None),
        Halt::BatchRefused => ("batch-refused", None),
        Halt::Expired => ("expired", None),
        Halt::Protocol => ("protocol", None),
        Halt::Unreadable => ("unreadable", None),
    };
    assert_eq!(means["halt"], word, "{name}");
    assert_eq!(means["after"].as_u64(), after.map(|Millis(wait)| *wait), "{name}");
}

fn check_push(name: &str, wire: &Rest, golden: &Golden) {
    let (means, batch) = (&golden.tree["means"], batch(golden));
    let mut push = Push::new(&batch);
    assert_asks(name, &wire.ask(&push).unwrap(), golden.text("request").unwrap());
    assert_eq!(wire.ask(&push), wire.ask(&Push::new(&batch)), "{name}: P5");
    wire.hear(&mut push, &answer(golden), NOW);
    if let Some(next) = golden.text("means.then") {
        assert_asks(name, &wire.ask(&push).unwrap(), next);
        return;
    }
    if means.get("halt").is_some() {
        assert_halts(name, push.reply.halt.as_ref(), means);
        assert!(push.reply.outcomes.is_empty(), "{name}");
        return;
    }
    assert_eq!(push.reply.halt, None, "{name}");
    assert_eq!(wire.ask(&push), None, "{name}: one request is all");
    let mut outcomes: Vec<Value> =
        push.reply.outcomes.iter().map(|(op, it)| said(*op, it)).collect();
    let mut expected = means["outcomes"].as_array().unwrap().clone();
    let by_op = |it: &Value| text(&it["op"]);
    outcomes.sort_by_key(by_op);
    expected.sort_by_key(by_op);
    assert_eq!(outcomes, expected, "{name}");
    assert_eq!(push.reply.time.map(|it| it.0), means["time"].as_u64(), "{name}");
    if let Some(delta) = means.get("delta") {
        let page = push.reply.page.as_ref().unwrap_or_else(|| panic!("{name}: no delta"));
        assert_eq!(said_changes(page), delta["changes"], "{name}");
        assert!(page.next.0.contains(&delta["version"].to_string()), "{name}: {:?}", page.next);
    }
}

fn check_pull(name: &str, wire: &Rest, golden: &Golden) {
    let (means, client) = (&golden.tree["means"], &golden.tree["client"]);
    if let Some(device) = client["device"].as_str() {
        wire.pulls_for(DeviceId::parse(device).unwrap());
    }
    let scope = client["scope"].as_str().map_or_else(Scope::all, |it| Scope(it.to_owned()));
    let cursor = cursor(client);
    let request = wire.encode_pull(&scope, cursor.as_ref());
    assert_asks(name, &request, golden.text("request").unwrap());
    match wire.decode_pull(cursor.as_ref(), &answer(golden), NOW) {
        Err(halt) => assert_halts(name, Some(&halt), means),
        Ok(page) => {
            assert_eq!(said_changes(&page), means["changes"], "{name}");
            assert_eq!(means["next"], page.next.0.as_str(), "{name}");
            assert_eq!(means["more"], page.more, "{name}");
            assert_eq!(page.time.map(|it| it.0), means["time"].as_u64(), "{name}");
            assert_eq!(page.unreadable, Vec::<String>::new(), "{name}");
        }
    }
}

/// WIRES, P5, P36, R7: each exchange of each wire, byte for byte.
#[test]
fn golden_files_are_spoken_and_understood() {
    for preset in PRESETS {
        let mut checked = 0;
        for (name, golden) in golden_files(preset) {
            let name = format!("{}/{name}", preset.page);
            let wire = rest(preset);
            let pushes = golden.tree["client"].get("batch").is_some();
            match &*text(&golden.tree["kind"]) {
                "push" | "single" | "resolve" => check_push(&name, &wire, &golden),
                "pull" => check_pull(&name, &wire, &golden),
                "error" if pushes => check_push(&name, &wire, &golden),
                "error" => check_pull(&name, &wire, &golden),
                "pending" => {}
                kind => panic!("{name}: {kind}"),
            }
            checked += 1;
        }
        assert!(checked > 20, "{}: {checked}", preset.page);
    }
}

/// An exchange, made ready to be answered in other words.
struct Exchange {
    golden: Golden,
    batch: Option<Batch>,
    cursor: Option<Cursor>,
}

impl Exchange {
    fn new(golden: Golden) -> Self {
        let pushes = golden.tree["client"].get("batch").is_some();
        let batch = pushes.then(|| batch(&golden));
        let cursor = cursor(&golden.tree["client"]);
        Self { golden, batch, cursor }
    }
}

/// The exchanges of a preset that push or pull, and are answered by words.
fn exchanges(preset: &Preset) -> Vec<Exchange> {
    let files = golden_files(preset).into_values();
    let spoken = |it: &Golden| it.text("answer.body").is_some() && it.tree["kind"] != "pending";
    files.filter(spoken).map(Exchange::new).collect()
}

/// Reads an answer as what was asked; what holds of every answer, whatever it says, is asserted (R7, P36).
fn hears(wire: &Rest, exchange: &Exchange, body: &str, status: Option<u16>) -> bool {
    let mut said = answer(&exchange.golden);
    said.body = body.to_owned();
    said.status = status.unwrap_or(said.status);
    let Some(batch) = &exchange.batch else {
        let from = exchange.cursor.as_ref();
        let Ok(page) = wire.decode_pull(from, &said, NOW) else { return false };
        assert!(!page.next.0.is_empty());
        assert!(!(page.more && Some(&page.next) == from), "P8: progress");
        let keys: std::collections::BTreeSet<_> =
            page.changes.iter().map(|it| it.key.clone()).collect();
        assert_eq!(keys.len(), page.changes.len(), "a record once");
        return true;
    };
    let mut push = Push::new(batch);
    wire.hear(&mut push, &said, NOW);
    let mut seen = Vec::new();
    for (op, _) in &push.reply.outcomes {
        assert!(batch.operations.iter().any(|it| it.op == *op), "one of ours");
        assert!(!seen.contains(op), "one verdict for each");
        seen.push(*op);
    }
    push.reply.halt.is_none()
}

/// P36: an answer that breaks off anywhere is none.
#[test]
fn a_body_cut_anywhere_says_nothing() {
    for preset in PRESETS {
        let wire = rest(preset);
        for exchange in exchanges(preset) {
            let golden = &exchange.golden;
            if !matches!(golden.tree["answer"]["status"].as_u64(), Some(200 | 201)) {
                continue;
            }
            let body = golden.text("answer.body").unwrap();
            for at in (0..body.len()).filter(|at| body.is_char_boundary(*at)) {
                let name = &golden.tree["name"];
                assert!(!hears(&wire, &exchange, &body[..at], None), "{name} cut at {at}");
            }
        }
    }
}

/// P36: a login page, an empty answer, another program's JSON are no answers, with whatever status they come.
#[test]
fn what_is_not_ours_ends_nothing() {
    for preset in PRESETS {
        let wire = rest(preset);
        for exchange in exchanges(preset) {
            for body in
                ["", "null", "[]", "{}", "<html></html>", r#"{"ok":true}"#, r#"{"results":7}"#]
            {
                for status in [200, 201, 302, 400, 422, 500, 502] {
                    let name = &exchange.golden.tree["name"];
                    let said = hears(&wire, &exchange, body, Some(status));
                    assert!(!said, "{name}: {status} {body}");
                }
            }
        }
    }
}

/// R7: two verdicts on one operation that differ make the whole answer worthless.
#[test]
fn a_contradiction_makes_an_answer_worthless() {
    for (preset, list) in [(&preset::PAY_TRACK, "results"), (&preset::TRACK_VAULT, "results")] {
        let golden = golden_files(preset).remove("push-verdicts").unwrap();
        let mut tree: Value = golden.tree["answer"]["body"].clone();
        let mut again = tree[list][0].clone();
        again["version"] = json!(9);
        tree[list].as_array_mut().unwrap().push(again);
        let exchange = Exchange::new(golden);
        assert!(!hears(&rest(preset), &exchange, &tree.to_string(), None), "{}", preset.name);
    }
}

/// Every place of a tree, by pointer.
fn places(tree: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match tree {
        Value::Object(members) => {
            for (name, value) in members {
                places(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// P36: a value of another type, anywhere, makes nothing panic, and nothing is taken for a verdict that is not one of ours.
#[test]
fn wrong_types_anywhere_are_survived() {
    let wrong = [json!(null), json!(-1.5), json!("x"), json!([]), json!({"a": 1}), json!(true)];
    for preset in PRESETS {
        let wire = rest(preset);
        for exchange in exchanges(preset) {
            let body = &exchange.golden.tree["answer"]["body"];
            let mut all = Vec::new();
            places(body, "", &mut all);
            for place in all {
                for value in &wrong {
                    let mut changed = body.clone();
                    *changed.pointer_mut(&place).unwrap() = value.clone();
                    hears(&wire, &exchange, &changed.to_string(), None);
                }
            }
        }
    }
}

/// R2: a row that cannot be read is kept aside with its text; the others count.
#[test]
fn a_row_that_cannot_be_read_is_kept_aside() {
    let golden = golden_files(&preset::PAY_TRACK).remove("pull-next").unwrap();
    let wire = rest(&preset::PAY_TRACK);
    let mut said = answer(&golden);
    said.body = said.body.replacen("\"version\":5", "\"version\":\"five\"", 1);
    let page = wire.decode_pull(None, &said, NOW).unwrap();
    assert_eq!((page.changes.len(), page.unreadable.len()), (1, 1));
    assert!(page.unreadable[0].contains("five"));
}

/// A cursor of another profile, or none of ours at all, begins anew.
#[test]
fn a_cursor_of_somebody_elses_begins_anew() {
    for preset in [&preset::TRACK_VAULT, &preset::ARX_OS, &preset::AURA_CONNECT_MOBILE] {
        let wire = rest(preset);
        let first = wire.encode_pull(&Scope::all(), None);
        for text in ["", "c1", "[]", "{", r#"{"at":99}"#, r#"{"at":-1,"page":"x"}"#] {
            let cursor = Cursor(text.to_owned());
            assert_eq!(wire.encode_pull(&Scope::all(), Some(&cursor)), first, "{text}");
        }
    }
}

/// P5, R7: few calls of one record each; a refusal of one leaves the others alone, and a failure keeps what was said before it.
#[test]
fn single_calls_go_on_until_one_fails() {
    let golden = golden_files(&preset::ARX_OS).remove("single-update").unwrap();
    let wire = rest(&preset::ARX_OS);
    let mut batch = batch(&golden);
    for n in 2..5 {
        let mut other = batch.operations[0].clone();
        other.op = OpId::from_bytes([n; 16]);
        other.id = format!("e-{n}");
        batch.operations.push(other);
    }
    let mut push = Push::new(&batch);
    let say =
        |status, body: &str| HttpResponse { status, body: body.to_owned(), ..answer(&golden) };
    wire.hear(&mut push, &answer(&golden), NOW);
    assert!(wire.ask(&push).unwrap().url.ends_with("/e-2"));
    wire.hear(
        &mut push,
        &say(400, r#"{"error":"name is required","code":"validation_failed"}"#),
        NOW,
    );
    wire.hear(&mut push, &say(413, "{}"), NOW);
    assert_eq!(push.reply.halt, None);
    wire.hear(&mut push, &say(401, "{}"), NOW);
    assert_eq!(push.reply.halt, Some(Halt::Auth));
    let codes: Vec<Value> =
        push.reply.outcomes.iter().map(|(op, it)| said(*op, it)["kind"].clone()).collect();
    assert_eq!(codes, ["applied", "rejected", "rejected"]);
    // The record of another request is not the one that was asked about.
    let mut push = Push::new(&batch);
    wire.hear(&mut push, &say(200, r#"{"id":"e-9","version":5}"#), NOW);
    assert_eq!(push.reply.halt, Some(Halt::Protocol));
}

/// The most that a request takes, devices and endpoints: a batch is as many requests as the wire needs.
#[test]
fn a_batch_is_as_many_requests_as_the_wire_needs() {
    let golden = golden_files(&preset::AURA_CONNECT_MOBILE).remove("push-verdicts").unwrap();
    let wire = rest(&preset::AURA_CONNECT_MOBILE);
    let first = batch(&golden).operations.remove(0);
    let of = |n: u8, collection: &str, device: u8| Departure {
        op: OpId::from_bytes([n; 16]),
        own: format!("own-{n}"),
        id: format!("own-{n}"),
        collection: collection.to_owned(),
        device: DeviceId::from_bytes([device; 16]),
        ..first.clone()
    };
    let operations =
        vec![of(1, "orders", 1), of(2, "shifts", 1), of(3, "orders", 2), of(4, "menu", 1)];
    let batch = Batch { operations, ..Batch::default() };
    let mut push = Push::new(&batch);
    let mut urls = Vec::new();
    while let Some(request) = wire.ask(&push) {
        urls.push(request.url.rsplit('/').next().unwrap().to_owned());
        push.answered += 1;
    }
    assert_eq!(urls, ["shifts", "menu", "orders", "orders"], "in the profile's order");
}

/// A profile that is wrong says where, whatever is wrong.
#[test]
fn a_wrong_profile_says_where() {
    let good: Value = serde_json::from_str(preset::PAY_TRACK.profile).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut profile = good.clone();
        let (above, name) = pointer.rsplit_once('/').unwrap();
        match profile.pointer_mut(above).unwrap() {
            Value::Object(members) => drop(members.insert(name.to_owned(), value)),
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                panic!("{pointer}")
            }
        }
        RestProfile::parse(&profile.to_string())
    };
    for (pointer, value, path) in [
        ("/name", json!(7), "name"),
        ("/nmae", json!("x"), "nmae"),
        ("/ids", json!("serial"), "ids"),
        ("/collections", json!({}), "collections"),
        ("/collections/rates/references", json!({"a": 1}), "collections.rates.references.a"),
        ("/collections/rates/refs", json!({}), "collections.rates.refs"),
        ("/limits/operations", json!(-1), "limits.operations"),
        ("/push/path", json!("/sync/$nobody"), "push.path"),
        ("/push/body/x", json!("$nothing"), "push.body.x"),
        ("/push/operation/version", json!("$versoin:0"), "push.operation.version"),
        ("/push/operation/payload", json!({"a": {"b": "$c"}}), "push.operation.payload.a.b"),
        ("/push/ours", json!({}), "push.ours"),
        ("/push/ours/results", json!("array"), "push.ours.results"),
        ("/push/verdicts/words/success", json!("fine"), "push.verdicts.words.success"),
        ("/push/verdicts/key", json!({"id": "$nr"}), "push.verdicts.key.id"),
        ("/push/verdicts/conflict", json!(null), "push.verdicts.conflict"),
        ("/push/verdicts/rejected/final", json!("x"), "push.verdicts.rejected.final"),
        ("/pull", json!([]), "pull"),
        ("/pull/0/paging", json!("offset"), "pull.0.paging"),
        ("/pull/0/next", json!(""), "pull.0.next"),
        ("/pull/0/collection", json!("nobody"), "pull.0.collection"),
        ("/pull/0/row/docment", json!("x"), "pull.0.row.docment"),
        ("/errors/ours", json!({}), "errors.ours"),
    ] {
        let error = with(pointer, value).expect_err(pointer);
        assert_eq!(error.path.as_deref(), Some(path), "{error}");
        assert_eq!(error.code.text(), "invalid-options");
    }
    for text in ["", "[]", "{", "{}"] {
        assert!(RestProfile::parse(text).is_err(), "{text}");
    }
    assert_eq!(RestProfile::parse(preset::PAY_TRACK.profile).unwrap().name(), "PayTrack");
}

/// The three worked examples of docs/backends.md are profiles. Their TypeScript is compiled with the package.
#[test]
fn the_worked_examples_are_profiles() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/backends.md")).unwrap();
    let blocks: Vec<&str> = text.split(": RestProfile = ").skip(1).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        let (literal, _) = block.split_once("};\n").unwrap();
        let profile = quoted(&format!("{literal}}}"));
        RestProfile::parse(&profile).unwrap_or_else(|error| panic!("{error}\n{profile}"));
    }
}

/// A literal of JavaScript that is JSON but for quotes around names and commas behind the last.
fn quoted(literal: &str) -> String {
    let (mut out, mut word, mut in_string) = (String::new(), String::new(), false);
    for c in literal.chars() {
        if c == '"' {
            in_string = !in_string;
        }
        if !in_string && (c.is_alphanumeric() || c == '_') {
            word.push(c);
            continue;
        }
        let name = c == ':' && !word.is_empty() && word.parse::<u64>().is_err();
        out.push_str(&if name { format!("\"{word}\"") } else { std::mem::take(&mut word) });
        word.clear();
        if !in_string && c.is_whitespace() {
            continue;
        }
        if matches!(c, '}' | ']') && out.ends_with(',') {
            out.pop();
        }
        out.push(c);
    }
    out
}

/// A server that answers with the name that another device gave a record means the record all the same.
#[test]
fn any_name_of_a_record_tells_which_it_is() {
    let golden = golden_files(&preset::AURA_CONNECT).remove("push-pulled-record").unwrap();
    let mut tree = golden.tree["answer"]["body"].clone();
    tree["results"]["orders"][0]["localId"] = json!("6f1f2c7e");
    let batch = batch(&golden);
    let mut push = Push::new(&batch);
    let said = HttpResponse { body: tree.to_string(), ..answer(&golden) };
    rest(&preset::AURA_CONNECT).hear(&mut push, &said, NOW);
    assert_eq!(push.reply.outcomes.len(), 1);
    assert_eq!(push.reply.outcomes[0].0, batch.operations[0].op);
}
