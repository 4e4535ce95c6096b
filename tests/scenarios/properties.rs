//! Laws that hold for every input, tried on drawn ones: merge, coalescing, rebase, hybrid time, and the way of a document from the
//! application to the server and back.

use holdfast::model::{
    Assumed, Base, Before, CollectionRules, DeviceId, Document, Edit, Fate, IdSeed, Intent,
    OpState, Operation, Owner, Policies, Presence, Priority, Seq, Slot, Stamp, Strategy, Wall,
    edit,
};
use holdfast::plan::strategy::{Verdict, Won, judge};
use holdfast::plan::write::Action;
use holdfast::port::HttpResponse;
use holdfast::protocol::{Protocol, Push, Standard};
use holdfast_server_core as server;
use proptest::prelude::{Just, ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_oneof};
use proptest::strategy::Strategy as Draw;
use serde_json::Value;

use crate::till::{Till, applied, doc, live, order};

/// So many draws of each; `HOLDFAST_DRAWS=n` for n times as many.
fn cases(number: u32) -> ProptestConfig {
    let times = std::env::var("HOLDFAST_DRAWS").ok().and_then(|it| it.parse().ok()).unwrap_or(1);
    let cases = number.saturating_mul(times);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn value() -> impl Draw<Value = String> {
    let leaf = prop_oneof![
        (0..3u8).prop_map(|number| number.to_string()),
        Just("null".to_owned()),
        Just("\"x\"".to_owned()),
        Just("[1,{\"a\":2}]".to_owned()),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop::collection::btree_map("[xy]", inner, 0..3).prop_map(|members| object_text(&members))
    })
}

fn object_text(members: &std::collections::BTreeMap<String, String>) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A document with fields of these names.
fn document(names: &'static str) -> impl Draw<Value = Document> {
    prop::collection::btree_map(names, value(), 0..4)
        .prop_map(|members| doc(&object_text(&members)))
}

/// Merge patches of fields of these names, and below them.
fn patches(names: &'static str) -> impl Draw<Value = Vec<Document>> {
    prop::collection::vec(document(names), 0..3)
}

/// The edits that writing these patches comes to, one after the other, as an operation holds them.
fn edits(base: &Document, patches: &[Document]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for patch in patches {
        let view = edit::apply(base, &edits);
        edits = edit::fold(&edits, &edit::from_merge_patch(&view, patch));
    }
    edits
}

/// A change of a document, as a write makes it: it says what it found.
fn change(base: &Document, edits: &[Edit]) -> Operation {
    let before = edits.iter().map(|edit| (edit.path().clone(), Slot(base.get(&edit.path().0))));
    operation(Intent::Change(edits.to_vec()), Before::Paths(before.collect()))
}

fn operation(intent: Intent, before: Before) -> Operation {
    let device = DeviceId::from_bytes([1; 16]);
    Operation {
        seq: Seq(1),
        id: IdSeed { at: Wall(1), random: [0; 10] }.op(0),
        key: order("o1"),
        intent,
        before,
        assumed: Assumed::Nothing,
        stamp: Stamp { millis: 10, counter: 0, device },
        priority: Priority::Normal,
        group: None,
        refs: Vec::new(),
        owner: Owner::default(),
        schema: 0,
        folded: Vec::new(),
        replaces: None,
        sent: None,
        sends: 0,
        refusals: 0,
        state: OpState::queued(),
        ready: false,
    }
}

fn theirs(document: &Document) -> Base {
    let presence = Presence::Live(document.clone());
    Base { presence, version: None, stamp: None, guessed: false }
}

fn judged(op: &Operation, server: &Document, strategy: Strategy) -> Verdict {
    let rules = CollectionRules { policies: Policies::all(strategy), ..CollectionRules::default() };
    judge(op, &theirs(server), &rules)
}

/// What both sides have after a merge that needs nobody.
fn merged(verdict: &Verdict, server: &Document) -> Option<Document> {
    match verdict {
        Verdict::Same => Some(server.clone()),
        Verdict::Rebase(edits) => Some(edit::apply(server, edits)),
        Verdict::Settle(..)
        | Verdict::TakeTheirs
        | Verdict::KeepMine
        | Verdict::Prevail
        | Verdict::AskCallback
        | Verdict::AskPerson => None,
    }
}

const STRATEGIES: [Strategy; 6] = [
    Strategy::ServerWins,
    Strategy::ClientWins,
    Strategy::LastWriteWins,
    Strategy::Merge,
    Strategy::Manual,
    Strategy::Callback,
];

proptest::proptest! {
    #![proptest_config(cases(500))]

    /// P18, R4: disjoint edits survive a merge, whoever is the server, and no policy is asked.
    #[test]
    fn disjoint_edits_both_survive(
        base in document("[abcd]"),
        ours in patches("[ab]"),
        others in patches("[cd]"),
    ) {
        let ours = edits(&base, &ours);
        let others = edits(&base, &others);
        let (mine, yours) = (edit::apply(&base, &ours), edit::apply(&base, &others));
        let both = edit::apply(&mine, &others);
        for strategy in STRATEGIES {
            let here = merged(&judged(&change(&base, &ours), &yours, strategy), &yours);
            let there = merged(&judged(&change(&base, &others), &mine, strategy), &mine);
            // An edit that changes nothing may make the object that it changes nothing in.
            prop_assert_eq!(here.as_ref().map(whole), Some(whole(&both)), "{:?}", strategy);
            prop_assert_eq!(there.as_ref().map(whole), Some(whole(&both)), "{:?}", strategy);
        }
    }

    /// P17: without anybody else there is no conflict, and the same change on both sides is none.
    #[test]
    fn only_another_change_is_a_conflict(base in document("[ab]"), ours in patches("[ab]")) {
        let ours = edits(&base, &ours);
        let mine = edit::apply(&base, &ours);
        for strategy in STRATEGIES {
            let alone = merged(&judged(&change(&base, &ours), &base, strategy), &base);
            prop_assert_eq!(alone.as_ref().map(whole), Some(whole(&mine)));
            let same = merged(&judged(&change(&base, &ours), &mine, strategy), &mine);
            prop_assert_eq!(same.as_ref().map(whole), Some(whole(&mine)));
        }
    }

    /// P17, R4: what was merged without asking anybody holds every change of either side, at whatever depth.
    #[test]
    fn a_merge_overwrites_nothing(
        base in document("[ab]"),
        ours in patches("[ab]"),
        others in patches("[ab]"),
    ) {
        let ours = edits(&base, &ours);
        let others = edits(&base, &others);
        let (mine, yours) = (edit::apply(&base, &ours), edit::apply(&base, &others));
        let verdict = judged(&change(&base, &ours), &yours, Strategy::Manual);
        if let Some(both) = merged(&verdict, &yours) {
            for side in [&mine, &yours] {
                for edit in edit::diff(&base, side) {
                    let stands = both.get(&edit.path().0);
                    prop_assert_eq!(stands.as_ref(), edit.value(), "{:?} in {:?}", edit, both);
                }
            }
        }
    }

    /// P18: a policy decides conflicts, and nothing else; and each decides them all.
    #[test]
    fn a_policy_decides_only_conflicts(
        base in document("[ab]"),
        ours in patches("[ab]"),
        others in patches("[ab]"),
    ) {
        let ours = edits(&base, &ours);
        let others = edits(&base, &others);
        let (op, yours) = (change(&base, &ours), edit::apply(&base, &others));
        let asked = judged(&op, &yours, Strategy::Manual);
        for strategy in STRATEGIES {
            let verdict = judged(&op, &yours, strategy);
            if asked != Verdict::AskPerson {
                prop_assert_eq!(&verdict, &asked);
                continue;
            }
            let expected = match strategy {
                Strategy::ServerWins => Verdict::TakeTheirs,
                Strategy::ClientWins | Strategy::LastWriteWins => {
                    prop_assert!(matches!(verdict, Verdict::Settle(_, Won::Mine)), "{:?}", verdict);
                    continue;
                }
                Strategy::Manual => Verdict::AskPerson,
                Strategy::Merge | Strategy::Callback => Verdict::AskCallback,
            };
            prop_assert_eq!(verdict, expected);
        }
    }

    /// P18, R4: judged again in its new coordinates an operation says the same, and once the server has it, nothing.
    #[test]
    fn a_rebased_operation_says_the_same(
        base in document("[abc]"),
        ours in patches("[abc]"),
        others in patches("[abc]"),
    ) {
        let ours = edits(&base, &ours);
        let others = edits(&base, &others);
        let yours = edit::apply(&base, &others);
        let verdict = judged(&change(&base, &ours), &yours, Strategy::Manual);
        if let Verdict::Rebase(kept) = &verdict {
            let both = edit::apply(&yours, kept);
            let again = change(&yours, kept);
            prop_assert_eq!(merged(&judged(&again, &yours, Strategy::Manual), &yours), Some(both.clone()));
            let done = judged(&again, &both, Strategy::Manual);
            prop_assert_eq!(merged(&done, &both), Some(both));
        }
    }

    /// P17: a removal of what nobody changed stands; of what somebody changed the policy decides.
    #[test]
    fn a_removal_stands_over_what_it_saw(base in document("[ab]"), other in document("[ab]")) {
        let op = operation(Intent::Delete, Before::Whole(Some(base.clone())));
        prop_assert_eq!(judged(&op, &base, Strategy::Manual), Verdict::KeepMine);
        let expected = if base == other { Verdict::KeepMine } else { Verdict::AskPerson };
        prop_assert_eq!(judged(&op, &other, Strategy::Manual), expected);
    }

    /// R20, P34: stamps grow whatever the clock does, and follow it as soon as it is ahead.
    #[test]
    fn stamps_grow_under_any_clock(
        start in any::<(u32, u32)>(),
        clock in prop::collection::vec(prop_oneof![any::<u64>(), 0..50u64, (u64::MAX - 3)..], 1..40),
    ) {
        let device = DeviceId::from_bytes([1; 16]);
        // Whatever was stored, also a count that somebody drove to its end.
        let mut last = Stamp { millis: u64::from(start.0), counter: start.1 | 0xffff_fff0, device };
        for now in clock {
            let next = Stamp::next(Some(last), Wall(now), device);
            prop_assert!(next > last || last.millis == u64::MAX, "{:?} after {:?}", next, last);
            if now > last.millis {
                prop_assert_eq!((next.millis, next.counter), (now, 0));
            }
            last = next;
        }
    }
}

/// A document without the objects that hold nothing: `{"a":{}}` and `{}` say the same of what was set.
fn whole(document: &Document) -> Value {
    fn prune(value: Value) -> Option<Value> {
        match value {
            Value::Object(members) => {
                let kept = members.into_iter().filter_map(|(name, it)| Some((name, prune(it)?)));
                let kept: serde_json::Map<String, Value> = kept.collect();
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Some(value),
        }
    }
    prune(serde_json::from_str(document.text()).unwrap()).unwrap_or_default()
}

/// What a user does to a record, one after the other.
#[derive(Debug, Clone)]
enum Did {
    Patch(Document),
    Replace(Document),
    Remove,
    Create(Document),
}

fn did() -> impl Draw<Value = Vec<Did>> {
    let one = prop_oneof![
        4 => document("[abc]").prop_map(Did::Patch),
        1 => document("[abc]").prop_map(Did::Replace),
        1 => Just(Did::Remove),
        1 => document("[abc]").prop_map(Did::Create),
    ];
    prop::collection::vec(one, 1..7)
}

/// RFC 7396, in the words of the RFC.
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

fn parsed(document: &Document) -> Value {
    serde_json::from_str(document.text()).unwrap()
}

/// Does it all; what the record is then, by the words of the user alone.
fn does(till: &mut Till, all: &[Did], mut is: Option<Value>) -> Option<Value> {
    for one in all {
        let (action, then) = match (one, &is) {
            (Did::Patch(patch), Some(it)) => {
                (Action::Patch(patch.clone()), Some(merge(it, &parsed(patch))))
            }
            (Did::Replace(document), Some(_)) => {
                (Action::Replace(document.clone()), Some(parsed(document)))
            }
            (Did::Remove, Some(_)) => (Action::Remove, None),
            (Did::Create(document), None) => {
                (Action::Create(document.clone()), Some(parsed(document)))
            }
            (Did::Create(_), Some(_)) | (_, None) => continue,
        };
        till.write(order("o1"), action).unwrap();
        is = then;
    }
    is
}

fn shown(till: &Till) -> Option<Value> {
    let all = till.all();
    let view = all.records.get(&order("o1")).and_then(|record| record.view.clone());
    view.and_then(|it| it.document().map(parsed))
}

proptest::proptest! {
    #![proptest_config(cases(150))]

    /// R13, C1 to C9: however writes fold, the view is what the user did, the outbox holds as few operations as the table says,
    /// each says what it found, and the server ends with the same.
    #[test]
    fn folding_loses_nothing(base in prop::option::of(document("[abc]")), all in did()) {
        let mut till = Till::new();
        if let Some(base) = &base {
            till.pulls(&[live("o1", 1, base.text())]);
        }
        let is = does(&mut till, &all, base.as_ref().map(parsed));
        prop_assert_eq!(shown(&till), is.clone());
        let queue = till.queue("o1");
        prop_assert!(queue.len() <= 2, "a removal and a new record at the most: {:?}", queue);
        if let (Some(first), Some(base)) = (queue.first(), &base) {
            match &first.before {
                Before::Paths(found) => {
                    for (path, slot) in found {
                        prop_assert_eq!(&slot.0, &base.get(&path.0), "R4: {:?}", path);
                    }
                }
                // Undoing an edit that made its parent leaves the parent behind: an accepted limit.
                Before::Whole(found) => {
                    let found = found.as_ref().map(whole);
                    prop_assert_eq!(found, Some(whole(base)), "R4");
                }
                Before::Nothing => prop_assert!(false, "there was a record"),
            }
        }
        for number in 2..4 {
            if let [op] = till.sends()[..] {
                till.hears(&[(op, applied(number))]);
            }
        }
        prop_assert!(till.queue("o1").is_empty());
        prop_assert_eq!(shown(&till), is);
    }

    /// O5, P14, R6: somebody else's change of other fields moves the base under whatever was folded, and neither side is lost,
    /// whether the operation left before or not; the same page again changes nothing (P13).
    #[test]
    fn a_pull_under_edits_keeps_both(
        base in document("[abc]"),
        ours in prop::collection::vec(document("[ab]"), 1..4),
        others in patches("[c]"),
        leaves in any::<bool>(),
    ) {
        let others = edits(&base, &others);
        let mut till = Till::new();
        till.pulls(&[live("o1", 1, base.text())]);
        let all: Vec<Did> = ours.into_iter().map(Did::Patch).collect();
        let mine = does(&mut till, &all, Some(parsed(&base)));
        if leaves {
            till.sends();
        }
        let yours = edit::apply(&base, &others);
        let both = edit::apply(&doc(&mine.unwrap().to_string()), &others);
        for _ in 0..2 {
            till.pulls(&[live("o1", 2, yours.text())]);
            let view = doc(&shown(&till).unwrap().to_string());
            prop_assert_eq!(whole(&view), whole(&both));
        }
        prop_assert_eq!(till.all().conflicts.len(), 0, "P17");
        if leaves {
            let op = till.flight.operations[0].op;
            till.hears(&[(op, crate::till::conflict(2, yours.text()))]);
            prop_assert!(matches!(till.fate(op), Some(Fate::Superseded(_) | Fate::Applied)));
        }
        if let [op] = till.sends()[..] {
            till.hears(&[(op, applied(3))]);
        }
        prop_assert!(till.queue("o1").is_empty());
        let view = doc(&shown(&till).unwrap().to_string());
        prop_assert_eq!(whole(&view), whole(&both));
    }
}

/// Whatever JSON can say: names that mean something to a programming language, the edges of doubles, every character as itself or
/// escaped.
fn any_json() -> impl Draw<Value = String> {
    let leaf = prop_oneof![
        string(),
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0",
            "1.10",
            "1e2",
            "9007199254740991",
            "9007199254740992",
            "9007199254740993",
            "-9007199254740993",
            "12345678901234567890",
            "1.7976931348623157e308",
            "5e-324",
            "\"\"",
            "[]",
            "{}",
        ])
        .prop_map(str::to_owned),
        any::<f64>()
            .prop_filter("JSON has no such number", |it| it.is_finite())
            .prop_map(|it| it.to_string()),
        any::<i64>().prop_map(|it| it.to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|all| format!("[{}]", all.join(" ,"))),
            members(inner),
        ]
    })
}

fn members(inner: impl Draw<Value = String>) -> impl Draw<Value = String> {
    prop::collection::vec((name(), inner), 0..4).prop_map(|members| {
        let mut known: Vec<String> = Vec::new();
        let mut shown: Vec<String> = Vec::new();
        for (name, value) in members {
            let said: String = serde_json::from_str(&name).unwrap();
            if !known.contains(&said) {
                shown.push(format!("{name}: {value}"));
                known.push(said);
            }
        }
        format!("{{{}}}", shown.join(", "))
    })
}

fn name() -> impl Draw<Value = String> {
    let named = [
        "\"\"",
        "\"__proto__\"",
        "\"constructor\"",
        "\"a.b\"",
        "\"a\"",
        "\"\\u0061b\"",
        "\"holdfast\"",
        "\"end\"",
    ];
    prop_oneof![prop::sample::select(named.to_vec()).prop_map(str::to_owned), string()]
}

/// A text as a JSON string, some of its characters escaped.
fn string() -> impl Draw<Value = String> {
    prop::collection::vec((any::<char>(), any::<bool>()), 0..6).prop_map(|letters| {
        let mut out = "\"".to_owned();
        for (letter, escaped) in letters {
            if escaped || letter < ' ' || letter == '"' || letter == '\\' {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                out.push(letter);
            }
        }
        out + "\""
    })
}

/// What a server answers with, once for a push and once for a pull.
fn answered(body: String) -> HttpResponse {
    let content_type = "application/json".to_owned();
    HttpResponse { status: 200, content_type, retry_after: None, body, up: 0, etag: None }
}

proptest::proptest! {
    #![proptest_config(cases(150))]

    /// P35, R5: from the application to a row, to the wire, to the server, to another device's row: the same text.
    #[test]
    fn a_document_comes_round_as_it_was(text in members(any_json())) {
        let document = Document::parse(&text).unwrap();
        let mut till = Till::new();
        till.write(order("o1"), Action::Create(document.clone())).unwrap();
        let kept = till.queue("o1").remove(0).intent;
        prop_assert_eq!(&kept, &Intent::Create(document.clone()));
        till.sends();
        let wire = Standard::new("/api");
        let body = wire.ask(&Push::new(&till.flight)).unwrap().body.unwrap();
        let mut store = server::Memory::new("e1");
        let limits = server::Limits::default();
        let push = server::PushRequest::parse(body.as_bytes(), &limits).unwrap();
        let answer = server::push(&mut store, &push, &server::AcceptAll, &limits, 1).unwrap();
        let reply = wire.reply(&till.flight, &answered(answer.to_json()), Wall(1));
        prop_assert_eq!(reply.halt.as_ref(), None);
        till.settles(&reply).unwrap();
        prop_assert!(till.queue("o1").is_empty());
        let pull = server::pull(&store, &server::PullRequest::default(), &limits, 1).unwrap();
        let page = wire.decode_pull(None, &answered(pull.to_json()), Wall(1)).unwrap();
        prop_assert!(page.unreadable.is_empty());
        let mut other = Till::new();
        other.applies(None, &page).unwrap();
        for till in [&till, &other] {
            let all = till.all();
            let view = all.records.get(&order("o1")).unwrap().view.clone();
            let came = view.as_ref().and_then(Presence::document).unwrap();
            prop_assert_eq!(came, &document);
            prop_assert_eq!(came.text(), document.text(), "digit by digit");
        }
    }

    /// P35: whatever is deeper than a document may be, or holds half a character, is refused before it is accepted, in every place.
    #[test]
    fn what_cannot_be_represented_is_refused(
        depth in 60..70usize,
        half in prop::sample::select(vec!["\\ud83d", "\\ude00", "\\ud83d\\ud83d", "\\ud83dx"]),
        within in any::<bool>(),
    ) {
        let deep = format!("{}{}", "{\"a\":".repeat(depth - 1) + "{}", "}".repeat(depth - 1));
        prop_assert_eq!(Document::parse(&deep).is_ok(), depth <= 64, "{}", depth);
        let broken = if within {
            format!(r#"{{"a":[{{"b":"x{half}"}}]}}"#)
        } else {
            format!(r#"{{"a":{{"{half}":1}}}}"#)
        };
        prop_assert!(Document::parse(&broken).is_err());
    }
}
