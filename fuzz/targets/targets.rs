//! Every decoder of what others wrote: a server's answers and stored rows. Each target takes any bytes and panics where a law is
//! broken: nothing panics or grows without bound, what was read is written and read again as the same, and garbage is never taken
//! for success (P36, R2).
//!
//! The same functions run in two places: as fuzz targets (`cargo xtask fuzz`) and over mutated valid inputs in `tests/decoders.rs`.
//! Messages between tabs are read by JavaScript's own structured clone, and so only in a browser: no target is possible here.

use std::collections::BTreeSet;

use holdfast::layout::{self, Gather, Part, Query, RowChange, RowText};
use holdfast::model::{
    Batch, Changeset, Cursor, Departure, DeviceId, Document, Edit, EntityKey, Halt, Intent, Json,
    Need, OpId, Outcome, Path, Presence, PullPage, Root, Scope, Seq, Snapshot, Stamp, Theirs,
    Version, Wall, edit, json::quote,
};
use holdfast::port::HttpResponse;
use holdfast::protocol::preset::PRESETS;
use holdfast::protocol::status::{self, Ask};
use holdfast::protocol::{Protocol, Push, Rest, RestProfile, Standard};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A decoder and its laws.
pub type Target = fn(&str);

/// Every target, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("push_answer", push_answer),
    ("pull_answer", pull_answer),
    ("answer_status", answer_status),
    ("rest_auraconnect", |text| rest(0, text)),
    ("rest_auraconnect_mobile", |text| rest(1, text)),
    ("rest_trackvault", |text| rest(2, text)),
    ("rest_arxos", |text| rest(3, text)),
    ("rest_paytrack", |text| rest(4, text)),
    ("profile", profile),
    ("document", document),
    ("merge_patch", merge_patch),
    ("row_records", |text| row("records", text)),
    ("row_outbox", |text| row("outbox", text)),
    ("row_conflicts", |text| row("conflicts", text)),
    ("row_cursors", |text| row("cursors", text)),
    ("row_meta", |text| row("meta", text)),
    ("row_journal", |text| row("journal", text)),
    ("row_settled", |text| row("settled", text)),
    ("row_aliases", |text| row("aliases", text)),
];

/// Runs a target. Whatever is no text is refused before any of these is asked.
pub fn run(name: &str, data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("no target {name}")).1(text);
}

const NOW: Wall = Wall(1_763_650_000_000);

/// The operations that an answer is about, in the order of their last digits.
pub fn batch() -> Batch {
    let document = || Document::parse(r#"{"total":5}"#).unwrap();
    let edits = vec![
        Edit::Set { path: Path::field("total"), value: Json::parse("6").unwrap() },
        Edit::Remove { path: Path(vec!["a".into(), "b".into()]) },
    ];
    let intents = [
        Intent::Create(document()),
        Intent::Change(edits),
        Intent::Replace(document()),
        Intent::Delete,
    ];
    let device = DeviceId::from_bytes([9; 16]);
    let operations = intents.into_iter().zip(1..).map(|(intent, n)| Departure {
        op: op(n),
        seq: Seq(n.into()),
        collection: "orders".to_owned(),
        own: format!("o{n}"),
        id: format!("o{n}"),
        intent,
        decides: None,
        assumed: (n > 1).then_some(Version::Number(3)),
        stamp: Stamp { millis: 500, counter: 0, device },
        device,
        group: None,
        sends: 1,
    });
    Batch { operations: operations.collect(), ..Batch::default() }
}

fn op(n: u8) -> OpId {
    OpId::parse(&format!("019aa0b0-0000-7000-8000-{n:012x}")).unwrap()
}

fn answer(status: u16, body: &str) -> HttpResponse {
    let content_type = "application/json".to_owned();
    HttpResponse {
        status,
        content_type,
        retry_after: None,
        body: body.to_owned(),
        up: 0,
        etag: None,
    }
}

/// Our server's own words, by another reader than ours.
fn is_ours(body: &str) -> bool {
    #[derive(Deserialize)]
    struct Marked {
        holdfast: u32,
        end: bool,
    }
    let tame = tame(body);
    tame.starts_with(['{', ' ', '\n', '\r', '\t'])
        && serde_json::from_str::<Marked>(&tame).is_ok_and(|it| it.holdfast == 1 && it.end)
}

/// The same with a letter in the place of each escaped surrogate: RFC 8259 allows half a pair, the other reader does not.
fn tame(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let code = after.strip_prefix('u').and_then(|it| it.get(..4));
        let code = code.filter(|it| it.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let half =
            code.filter(|it| (0xd800..0xe000).contains(&u32::from_str_radix(it, 16).unwrap()));
        if half.is_some() {
            out.push_str("\\u0041");
            rest = &after[5..];
        } else {
            let taken = after.chars().next().map_or(0, char::len_utf8);
            out.push('\\');
            out.push_str(&after[..taken]);
            rest = &after[taken..];
        }
    }
    out + rest
}

/// The answer to a push: a body.
fn push_answer(body: &str) {
    let (wire, batch) = (Standard::new("/api"), batch());
    let reply = wire.reply(&batch, &answer(200, body), NOW);
    if reply.halt.is_some() {
        assert!(reply.outcomes.is_empty(), "a failed request has no verdicts");
        assert!(reply.page.is_none());
        return;
    }
    let mut seen = BTreeSet::new();
    for (op, outcome) in &reply.outcomes {
        let departure = batch.operations.iter().find(|it| it.op == *op).expect("one of ours");
        assert!(seen.insert(*op), "one verdict for each");
        bounded(outcome);
        if let Outcome::Applied { .. } = outcome {
            is_really_applied(departure, body);
        }
    }
    let said: Vec<String> = reply.outcomes.iter().map(|(op, it)| verdict(*op, it)).collect();
    let (said, time) = (said.join(","), time(reply.time));
    let said = format!(r#"{{"holdfast":1,"outcomes":[{said}]{time},"end":true}}"#);
    let again = wire.reply(&batch, &answer(200, &said), NOW);
    assert_eq!(again, reply, "{said}");
    // No other status makes a verdict of the same words.
    for other in [201, 204, 302, 400, 401, 403, 404, 409, 413, 500, 503] {
        let reply = wire.reply(&batch, &answer(other, body), NOW);
        assert!(reply.outcomes.is_empty() && reply.halt.is_some(), "{other}");
    }
}

fn bounded(outcome: &Outcome) {
    let short = |text: &str, most: usize| assert!(text.chars().count() <= most, "{text}");
    match outcome {
        Outcome::Applied { assigned_id, .. } => {
            assigned_id.iter().for_each(|id| short(id, 128));
        }
        Outcome::Conflict { other, token, .. } => {
            other.iter().for_each(|id| short(id, 128));
            token.iter().for_each(|token| short(token, 4_096));
        }
        Outcome::Rejected { code, message, .. } => {
            short(code, 64);
            short(message, 1_000);
        }
        Outcome::Retry { after } => assert!(after.is_none_or(|it| it <= status::LONGEST_WAIT)),
    }
}

/// Somebody who speaks our protocol said of this very operation that it is applied.
fn is_really_applied(departure: &Departure, body: &str) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Said {
        op_id: String,
        kind: String,
        version: Option<u64>,
    }
    #[derive(Deserialize)]
    struct All {
        outcomes: Vec<Said>,
    }
    assert!(is_ours(body), "{body}");
    let all: All = serde_json::from_str(&tame(body)).unwrap();
    let applied = |it: &Said| {
        let nothing = it.version == Some(0) && departure.intent == Intent::Delete;
        OpId::parse(&it.op_id) == Some(departure.op)
            && it.kind == "applied"
            && (it.version.is_some_and(|version| version > 0) || nothing)
    };
    assert!(all.outcomes.iter().any(applied), "{body}");
}

/// An outcome in the words of the wire.
fn verdict(op: OpId, outcome: &Outcome) -> String {
    let number = |version: &Option<Version>| match version {
        Some(Version::Number(number)) => *number,
        None => 0,
        Some(other) => panic!("the wire has numbers: {other:?}"),
    };
    let content = |document: Option<&Document>| document.map_or("null", Document::text).to_owned();
    let mut said = format!(r#"{{"opId":"{op}""#);
    match outcome {
        Outcome::Applied { version, presence, assigned_id, .. } => {
            said += &format!(r#","kind":"applied","version":{}"#, number(version));
            if let Some(presence) = presence.as_ref().filter(|_| version.is_some()) {
                said += &format!(r#","document":{}"#, content(presence.document()));
            }
            if let Some(id) = assigned_id {
                said += &format!(r#","serverId":{}"#, quote(id));
            }
        }
        Outcome::Conflict { theirs, other, .. } => {
            let (version, stamp, document) = match theirs {
                Theirs::Live { document, version, stamp } => (version, stamp, Some(document)),
                Theirs::Deleted { version, stamp } => (version, stamp, None),
                Theirs::Unknown => panic!("the wire says what it is"),
            };
            let (version, document) = (number(version), content(document));
            said += &format!(r#","kind":"conflict","version":{version},"document":{document}"#);
            if let Some(stamp) = stamp {
                said += &format!(r#","at":{}"#, stamp.millis);
            }
            if let Some(id) = other {
                said += &format!(r#","other":{}"#, quote(id));
            }
        }
        Outcome::Rejected { code, message, last } => {
            let (code, message) = (quote(code), quote(message));
            said +=
                &format!(r#","kind":"rejected","code":{code},"message":{message},"final":{last}"#);
        }
        Outcome::Retry { after } => {
            said += r#","kind":"retry""#;
            if let Some(wait) = after {
                // Half a millisecond less: it is rounded up.
                let wait = format!("{}e-4", (wait.0 * 10).saturating_sub(5));
                said += &format!(r#","after":{wait}"#);
            }
        }
    }
    said + "}"
}

/// The server's time in an answer.
fn time(at: Option<Wall>) -> String {
    at.map(|at| format!(r#","time":{}"#, at.0)).unwrap_or_default()
}

/// The answer to a pull: a body.
fn pull_answer(body: &str) {
    let wire = Standard::new("/api");
    for from in [None, Some(Cursor("a".to_owned()))] {
        let page = match wire.decode_pull(from.as_ref(), &answer(200, body), NOW) {
            Ok(page) => page,
            Err(halt) => {
                assert!(matches!(halt, Halt::Foreign | Halt::Protocol), "{halt:?}");
                continue;
            }
        };
        assert!(is_ours(body), "{body}");
        assert!((1..=4_096).contains(&page.next.0.len()), "a cursor is bounded");
        assert!(!(page.more && Some(&page.next) == from.as_ref()), "P8: progress");
        let mut keys = BTreeSet::new();
        for change in &page.changes {
            assert!(keys.insert(change.key.clone()), "a record once");
            assert!((1..=128).contains(&change.key.id.chars().count()));
            assert!(!change.key.collection.is_empty());
            assert!(matches!(change.version, Some(Version::Number(1..))), "{change:?}");
            if let Presence::Live(document) = &change.presence {
                assert!(body.contains(document.text()), "P35: as it came");
            }
        }
        for kept in &page.unreadable {
            assert!(body.contains(kept), "R2: with its bytes");
        }
        let said = said(&page);
        assert_eq!(wire.decode_pull(from.as_ref(), &answer(200, &said), NOW), Ok(page), "{said}");
        for other in [204, 206, 304, 400, 401, 410, 500] {
            assert!(wire.decode_pull(from.as_ref(), &answer(other, body), NOW).is_err(), "{other}");
        }
    }
}

/// A page in the words of the wire.
fn said(page: &PullPage) -> String {
    let mut changes: Vec<String> = Vec::new();
    for change in &page.changes {
        let (collection, id) = (quote(&change.key.collection), quote(&change.key.id));
        let Some(Version::Number(version)) = change.version else { panic!("{change:?}") };
        let document = change.presence.document().map_or("null", Document::text);
        let mut said = format!(
            r#"{{"collection":{collection},"id":{id},"version":{version},"document":{document}"#
        );
        if let Some(op) = change.op {
            said += &format!(r#","opId":"{op}""#);
        }
        if let Some(stamp) = change.stamp {
            said += &format!(r#","at":{}"#, stamp.millis);
        }
        changes.push(said + "}");
    }
    changes.extend(page.unreadable.iter().cloned());
    let (changes, next, more) = (changes.join(","), quote(&page.next.0), page.more);
    let time = time(page.time);
    format!(
        r#"{{"holdfast":1,"changes":[{changes}],"cursor":{next},"more":{more}{time},"end":true}}"#
    )
}

/// Status, media type, `Retry-After` and body, a line each: exactly one class, and only our own words pass.
fn answer_status(text: &str) {
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let status = line().parse::<u16>().unwrap_or_default();
    let content_type = line().to_owned();
    let retry_after = Some(line().to_owned()).filter(|it| !it.is_empty());
    let body = line().to_owned();
    let answer = HttpResponse { status, content_type, retry_after, body, up: 0, etag: None };
    // Ours is the stricter: a member that stands there twice is nobody's word.
    let ours = status::is_marked(&answer.body);
    assert!(is_ours(&answer.body) || !ours, "{answer:?}");
    for ask in [Ask::Push, Ask::Pull] {
        match status::check(&answer, ask, &status::is_marked, NOW) {
            Ok(()) => assert!(ours && status == 200 && answer.content_type.contains("json")),
            Err(Halt::BatchRefused) => {
                assert!(ours && ask == Ask::Push && matches!(status, 400 | 415 | 422));
            }
            Err(Halt::Expired) => assert!(ours && ask == Ask::Pull && status == 410),
            Err(Halt::Later(wait)) => {
                assert!(status >= 400);
                assert!(wait.is_none_or(|it| it <= status::LONGEST_WAIT), "{wait:?}");
            }
            Err(Halt::Auth) => assert_eq!(status, 401),
            Err(Halt::Forbidden) => assert!(matches!(status, 402 | 403)),
            Err(Halt::Misconfigured) => assert!(matches!(status, 404 | 405 | 501)),
            Err(Halt::TooLarge) => assert_eq!(status, 413),
            Err(Halt::Protocol) => assert!(ask == Ask::Pull && matches!(status, 400..=422)),
            Err(Halt::Foreign) => {}
            Err(Halt::Unreachable | Halt::Unreadable) => panic!("there is an answer"),
        }
    }
}

/// How deep the brackets of a text go.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The text of a document, beside another reader of JSON.
fn document(text: &str) {
    let read = Document::parse(text);
    let raw = serde_json::from_str::<&RawValue>(text).ok();
    let is_object = raw.is_some_and(|raw| raw.get().starts_with('{'));
    let value = serde_json::from_str::<Value>(text).ok();
    match &read {
        Ok(document) => {
            assert!(is_object && depth(text) <= 64, "{text}");
            assert_eq!(Some(document.text()), raw.map(RawValue::get), "as it came");
            assert_eq!(Document::parse(document.text()).as_ref(), Ok(document));
            for (name, value) in document.fields() {
                assert_eq!(document.get(std::slice::from_ref(&name)), Some(value), "{name}");
            }
            let whole = edit::diff(&Document::parse("{}").unwrap(), document);
            let built = edit::apply(&Document::parse("{}").unwrap(), &whole);
            assert_eq!(built, *document, "P35: member by member");
        }
        Err(_) => assert!(!(is_object && value.is_some() && depth(text) <= 64), "{text}"),
    }
    assert_eq!(Json::parse(text).is_ok(), raw.is_some() && depth(text) <= 64, "{text}");
}

/// A document, a merge patch and perhaps another, a line each: RFC 7396 in its own words, and folding (R3).
fn merge_patch(text: &str) {
    let mut lines = text.split('\n');
    let mut next = || {
        let text = lines.next()?;
        let value = serde_json::from_str::<Value>(text).ok()?;
        Some((Document::parse(text).ok()?, value))
    };
    let (Some((view, was)), Some((patch, said))) = (next(), next()) else { return };
    let edits = edit::from_merge_patch(&view, &patch);
    let after = edit::apply(&view, &edits);
    let expected = merge(&was, &said);
    assert_eq!(serde_json::from_str::<Value>(after.text()).unwrap(), expected);
    assert_eq!(edit::apply(&view, &edit::diff(&view, &after)), after);
    assert_eq!(edit::apply(&view, &edit::fold(&[], &edits)), after);
    let Some((patch, _)) = next() else { return };
    let more = edit::from_merge_patch(&after, &patch);
    let both = edit::apply(&view, &edit::fold(&edits, &more));
    assert_eq!(both, edit::apply(&after, &more), "R3");
}

fn merge(target: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut target = target.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            let under = target.get(name).cloned().unwrap_or_default();
            target.insert(name.clone(), merge(&under, value));
        }
    }
    Value::Object(target)
}

/// A row of a store: it is read, written and read again as the same, or it is kept aside with its text.
fn row(store: &'static str, text: &str) {
    let snapshot = read(store, text);
    if let Some(aside) = snapshot.unreadable.first() {
        assert_eq!(aside.text, text, "R2: with its bytes");
        let unread = Snapshot { unreadable: snapshot.unreadable.clone(), ..read(store, "") };
        assert_eq!(snapshot, unread, "R2: nothing is guessed at");
        return;
    }
    let puts: Vec<String> = layout::changes(&changeset(store, &snapshot))
        .into_iter()
        .filter_map(|change| match change {
            RowChange::Put { store: at, row, .. } if at == store => Some(row.text),
            RowChange::Put { .. } | RowChange::Delete { .. } => None,
        })
        .collect();
    let [again] = &puts[..] else { panic!("{store} has one row: {puts:?}") };
    assert!(again.len() <= 6 * text.len() + 2_048, "{} became {}", text.len(), again.len());
    assert_eq!(read(store, again), snapshot, "{again}");
}

/// Whether a row is read, and not kept aside.
pub fn is_read(store: &str, text: &str) -> bool {
    read(store, text).unreadable.is_empty()
}

/// Enough of the database's own state for aliases to be asked for.
const STATE: &str = r#"{"format":1,"aliases":1}"#;

fn named() -> EntityKey {
    EntityKey::new("orders", "S-1")
}

/// What a transaction reads of a database with one row.
fn read(store: &str, text: &str) -> Snapshot {
    let root = match store {
        "records" => Root::Records,
        "outbox" => Root::Outbox,
        "conflicts" => Root::Conflicts,
        "cursors" => Root::Cursors,
        "journal" => Root::Journal { limit: 10 },
        "settled" => Root::Settled { limit: 10 },
        "aliases" => Root::Record(named()),
        _ => Root::Flights,
    };
    let mut gather = Gather::new(Need::only(vec![root]));
    let mut row = Some(text);
    loop {
        let queries = gather.queries();
        if queries.is_empty() {
            return gather.into_snapshot();
        }
        for query in queries {
            let (Query::Get { store: at, key } | Query::Scan { store: at, prefix: key, .. }) =
                &query;
            let text = match *at {
                // The reserve is whole (R27).
                "meta" if *key == [Part::Text("unsealed".into())] => Some("1"),
                at if at == store => row.take(),
                "meta" if store == "aliases" => Some(STATE),
                _ => None,
            };
            let found = text.map(|text| RowText { key: "key".to_owned(), text: text.to_owned() });
            gather.feed(&query, found.into_iter().collect());
        }
    }
}

/// What writes a snapshot.
fn changeset(store: &str, s: &Snapshot) -> Changeset {
    let mut set = Changeset::default();
    if store == "meta" {
        set.meta = Some(s.meta.clone());
    }
    set.records = s.records.clone();
    set.ops = s.ops.clone();
    set.conflicts = s.conflicts.clone();
    set.cursors = s.cursors.values().cloned().collect();
    set.settled = s.settled.values().cloned().collect();
    set.journal = s.journal.values().cloned().collect();
    set.aliases = s.aliases.iter().map(|(named, own)| (named.clone(), own.clone())).collect();
    set
}

/// An answer to a push and to a pull, in the words of one of the five backends. The text may be any of its answers; a first line
/// that is a number is the status.
fn rest(preset: usize, text: &str) {
    WIRES.with(|wires| hears_anything(&wires[preset], text));
}

thread_local! {
    /// The five backends, read once.
    static WIRES: Vec<Rest> = PRESETS
        .iter()
        .map(|it| Rest::new(RestProfile::parse(it.profile).unwrap(), "https://x"))
        .collect();
}

fn hears_anything(wire: &Rest, text: &str) {
    let (status, body) = match text.split_once('\n') {
        Some((first, rest)) if first.parse::<u16>().is_ok() => (first.parse().unwrap(), rest),
        Some(_) | None => (200, text),
    };
    for operations in [1, 4] {
        let mut batch = batch();
        batch.operations.truncate(operations);
        let mut push = Push::new(&batch);
        for _ in 0..8 {
            if push.reply.halt.is_some() || wire.ask(&push).is_none() {
                break;
            }
            wire.hear(&mut push, &answer(status, body), NOW);
        }
        let mut seen = BTreeSet::new();
        for (op, outcome) in &push.reply.outcomes {
            assert!(batch.operations.iter().any(|it| it.op == *op), "one of ours");
            assert!(seen.insert(*op), "one verdict for each");
            bounded(outcome);
        }
    }
    for from in [None, Some(Cursor("a".to_owned())), Some(Cursor(body.to_owned()))] {
        let _ = wire.encode_pull(&Scope::all(), from.as_ref());
        let Ok(page) = wire.decode_pull(from.as_ref(), &answer(status, body), NOW) else {
            continue;
        };
        assert!(!page.next.0.is_empty());
        assert!(!(page.more && Some(&page.next) == from.as_ref()), "P8: progress");
        let keys: BTreeSet<_> = page.changes.iter().map(|it| it.key.clone()).collect();
        assert_eq!(keys.len(), page.changes.len(), "a record once");
    }
}

/// A profile that an application wrote: taken, or refused with the place.
fn profile(text: &str) {
    match RestProfile::parse(text) {
        Ok(profile) => {
            let wire = Rest::new(profile, "https://x");
            let _ = wire.ask(&Push::new(&batch()));
            let _ = wire.encode_pull(&Scope::all(), None);
        }
        Err(error) => assert!(error.path.is_some()),
    }
}
