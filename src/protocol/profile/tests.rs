//! The client's side of the golden files, of hostile answers, and of profiles that are wrong.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::text::{at, elements};

use crate::model::{
    Batch, Cursor, Departure, DeviceId, Document, Edit, Halt, Intent, Json, Millis, OpId, Outcome,
    Path, PullPage, Scope, Seq, Stamp, Theirs, Version, Wall,
};
use crate::port::{HttpRequest, HttpResponse, Method};
use crate::protocol::preset::{PRESETS, Preset};
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
        _ => None,
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
