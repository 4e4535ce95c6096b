//! Every rule of docs/protocol.md as a table: a prior state, a request, the verdicts, the effects.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use holdfast_server_core::{
    AcceptAll, Document, Edit, Group, Intent, Key, Limits, Memory, Operation, Outcome, OutcomeKind,
    PosRules, ProblemKind, PullRequest, PushRequest, Rejection, Rules, Submitted, Tx, pull, push,
};

const NOW: u64 = 1_000_000;

fn doc(text: &str) -> Document {
    Document::parse(text).unwrap()
}

fn op(op_id: &str, id: &str, assumed: Option<u64>, intent: Intent) -> Operation {
    Operation { op_id: op_id.into(), key: Key::new("orders", id), intent, assumed, at: 500 }
}

fn create(op_id: &str, id: &str) -> Operation {
    op(op_id, id, None, Intent::Create(doc(r#"{"a":1}"#)))
}

fn change(op_id: &str, id: &str, assumed: Option<u64>) -> Operation {
    op(op_id, id, assumed, Intent::Change(vec![Edit::set(["b"], "2").unwrap()]))
}

fn delete(op_id: &str, id: &str, assumed: Option<u64>) -> Operation {
    op(op_id, id, assumed, Intent::Delete)
}

fn submit(server: &mut Memory, operations: Vec<Operation>) -> Vec<Outcome> {
    submit_with(server, operations, &AcceptAll)
}

fn submit_with(server: &mut Memory, ops: Vec<Operation>, rules: &dyn Rules) -> Vec<Outcome> {
    push(server, &PushRequest::new("d1", ops), rules, &Limits::default(), NOW).unwrap().outcomes
}

fn grouped(operations: Vec<Operation>, group: &str) -> Vec<Submitted> {
    let size = operations.len();
    let group = Some(Group { id: group.into(), size });
    operations
        .into_iter()
        .map(|o| Submitted { group: group.clone(), ..Submitted::from(o) })
        .collect()
}

fn submit_all(server: &mut Memory, operations: Vec<Submitted>) -> Vec<Outcome> {
    let request = PushRequest { device: "d1".into(), operations };
    push(server, &request, &AcceptAll, &Limits::default(), NOW).unwrap().outcomes
}

/// `live` at version 2 with `{"a":1,"b":2}`, `gone` deleted at version 2, nothing else.
fn world() -> Memory {
    let mut server = Memory::new("e1");
    let ops = vec![create("w1", "live"), change("w2", "live", Some(1)), create("w3", "gone")];
    submit(&mut server, ops);
    let last = submit(&mut server, vec![delete("w4", "gone", Some(1))]);
    assert_eq!(last, [Outcome::applied("w4", 2)]);
    server
}

fn document(server: &Memory, id: &str) -> Option<String> {
    let record = server.record(&Key::new("orders", id)).unwrap()?;
    Some(record.document.map_or("deleted".into(), |d| d.as_str().into()))
}

#[test]
fn the_table_of_verdicts() {
    let live = || doc(r#"{"a":1,"b":2}"#);
    let theirs = |v, d| Outcome::conflict("x", v, d, 500);
    let unknown =
        || Outcome::rejected("x", Rejection::last("not-found", "this record was never created"));
    let replace = |id, v| op("x", id, v, Intent::Replace(doc(r#"{"c":3}"#)));
    let create_at = |id, v| Operation { assumed: v, ..create("x", id) };
    let (kept, gone) = (Some(r#"{"a":1,"b":2}"#), Some("deleted"));
    let table: Vec<(&str, Operation, Outcome, Option<&str>)> = vec![
        ("create over nothing", create("x", "new"), Outcome::applied("x", 1), Some(r#"{"a":1}"#)),
        ("create over a live record", create("x", "live"), theirs(2, Some(live())), kept),
        ("create over it, knowing it", create_at("live", Some(2)), theirs(2, Some(live())), kept),
        ("create over a tombstone", create("x", "gone"), theirs(2, None), gone),
        (
            "create, tombstone known",
            create_at("gone", Some(2)),
            Outcome::applied("x", 3),
            Some(r#"{"a":1}"#),
        ),
        ("change, right version", change("x", "live", Some(2)), Outcome::applied("x", 3), kept),
        ("change, older version", change("x", "live", Some(1)), theirs(2, Some(live())), kept),
        ("change, newer version", change("x", "live", Some(9)), theirs(2, Some(live())), kept),
        ("change, no version", change("x", "live", None), theirs(2, Some(live())), kept),
        ("change on a tombstone", change("x", "gone", Some(2)), theirs(2, None), gone),
        ("change, never known", change("x", "new", Some(1)), unknown(), None),
        (
            "replace, right version",
            replace("live", Some(2)),
            Outcome::applied("x", 3),
            Some(r#"{"c":3}"#),
        ),
        ("replace, older version", replace("live", Some(1)), theirs(2, Some(live())), kept),
        ("replace on a tombstone", replace("gone", Some(1)), theirs(2, None), gone),
        ("replace, never known", replace("new", None), unknown(), None),
        ("delete, right version", delete("x", "live", Some(2)), Outcome::applied("x", 3), gone),
        ("delete, older version", delete("x", "live", Some(1)), theirs(2, Some(live())), kept),
        ("delete, no version", delete("x", "live", None), theirs(2, Some(live())), kept),
        ("delete, already deleted", delete("x", "gone", Some(1)), Outcome::applied("x", 2), gone),
        ("delete, never known", delete("x", "new", Some(4)), Outcome::applied("x", 0), None),
    ];
    for (name, operation, expected, after) in table {
        let mut server = world();
        let before = server.feed().unwrap().last;
        let key = operation.key.clone();
        let effect = expected.kind == OutcomeKind::Applied
            && expected.version != Some(0)
            && name != "delete, already deleted";
        assert_eq!(submit(&mut server, vec![operation]), [expected], "{name}");
        assert_eq!(document(&server, &key.id).as_deref(), after, "{name}");
        assert_eq!(server.effects("x"), u64::from(effect), "{name}");
        assert_eq!(server.feed().unwrap().last - before, u64::from(effect), "{name}");
    }
}

#[test]
fn a_repeat_gets_the_stored_verdict_and_has_no_effect() {
    let mut server = world();
    let all = || {
        vec![
            change("applied", "live", Some(2)),
            create("conflict", "gone"),
            change("refused", "no", None),
        ]
    };
    let first = submit(&mut server, all());
    // What the verdicts were about moves on; the repeats do not see it.
    submit(&mut server, vec![change("later", "live", Some(3)), create("now-known", "no")]);
    let again = submit(&mut server, all());
    assert_eq!(again[0], Outcome { duplicate: true, ..first[0].clone() });
    assert_eq!(again[1..], first[1..]);
    assert_eq!(server.effects("applied"), 1);
    let ledger = server.ledger();
    assert_eq!((ledger.repeats, ledger.most_effects), (3, 1));
}

#[test]
fn an_operation_id_is_never_reused() {
    let base = || change("x", "live", Some(2));
    let others = [
        ("another record", change("x", "gone", Some(2))),
        ("another version", change("x", "live", Some(3))),
        ("another edit", op("x", "live", Some(2), Intent::Change(vec![Edit::remove(["b"])]))),
        ("another time", Operation { at: 501, ..base() }),
        ("another kind", delete("x", "live", Some(2))),
    ];
    for (name, other) in others {
        let mut server = world();
        submit(&mut server, vec![base()]);
        let before = server.feed().unwrap();
        let answer = &submit(&mut server, vec![other])[0];
        assert_eq!(answer.code.as_deref(), Some("operation-id-reused"), "{name}");
        assert_eq!(answer.last, Some(true), "{name}");
        assert_eq!(server.feed().unwrap(), before, "{name}");
        assert!(submit(&mut server, vec![base()])[0].duplicate, "{name}: the first one stays");
    }
}

#[test]
fn spelling_does_not_make_another_operation() {
    let text = |document: &str| {
        let body = format!(
            r#"{{"holdfast":1,"device":"d","later":true,"operations":[{{"id":"o","opId":"x",
            "collection":"orders","kind":"create","document":{document},"at":1}}]}}"#
        );
        PushRequest::parse(body.as_bytes(), &Limits::default()).unwrap()
    };
    let mut server = Memory::new("e1");
    for document in [r#"{"a":"A","b":1}"#, r#"{ "b" : 1.0, "a":"\u0041" }"#] {
        push(&mut server, &text(document), &AcceptAll, &Limits::default(), NOW).unwrap();
    }
    assert_eq!((server.effects("x"), server.ledger().repeats), (1, 1));
    assert_eq!(document(&server, "o").as_deref(), Some(r#"{"a":"A","b":1}"#));
}

#[test]
fn nothing_is_tried_behind_an_operation_that_was_not_applied() {
    let mut server = world();
    let ops = || {
        vec![
            change("c1", "live", Some(1)),
            change("c2", "live", Some(2)),
            create("free", "other"),
            delete("c3", "live", Some(2)),
        ]
    };
    let outcomes = submit(&mut server, ops());
    assert_eq!(outcomes[0].kind, OutcomeKind::Conflict);
    assert_eq!(outcomes[1], Outcome::retry("c2", Some("c1")));
    assert_eq!(outcomes[2], Outcome::applied("free", 1));
    assert_eq!(outcomes[3], Outcome::retry("c3", Some("c1")));
    // A repeated conflict stops the record as the first one did; a retry was not stored.
    assert_eq!(submit(&mut server, ops())[1], Outcome::retry("c2", Some("c1")));
    assert_eq!(
        submit(&mut server, vec![change("c2", "live", Some(2))]),
        [Outcome::applied("c2", 3)]
    );
}

#[test]
fn a_bad_operation_stops_its_record_and_no_other() {
    let body = br#"{"holdfast":1,"device":"d","operations":[
        {"opId":"bad","collection":"orders","id":"o","kind":"upsert","assumed":null,"at":1},
        {"opId":"behind","collection":"orders","id":"o","kind":"create","assumed":null,"document":{},"at":1},
        {"opId":"free","collection":"orders","id":"p","kind":"create","assumed":null,"document":{},"at":1}]}"#;
    let request = PushRequest::parse(body, &Limits::default()).unwrap();
    let mut server = Memory::new("e1");
    let answer = push(&mut server, &request, &AcceptAll, &Limits::default(), NOW).unwrap();
    assert_eq!(answer.outcomes[0].code.as_deref(), Some("invalid"));
    assert_eq!(answer.outcomes[1], Outcome::retry("behind", Some("bad")));
    assert_eq!(answer.outcomes[2], Outcome::applied("free", 1));
}

#[test]
fn a_group_is_applied_all_or_none() {
    let mut server = world();
    let ok = grouped(vec![create("g1", "a"), change("g2", "live", Some(2))], "g");
    let outcomes = submit_all(&mut server, ok.clone());
    assert_eq!(outcomes, [Outcome::applied("g1", 1), Outcome::applied("g2", 3)]);
    assert!(submit_all(&mut server, ok).iter().all(|o| o.duplicate), "a whole group repeats");

    let before = server.feed().unwrap();
    let members = vec![create("h1", "b"), change("h2", "live", Some(2)), create("h3", "c")];
    let failing = grouped(members, "h");
    let mut request = failing.clone();
    request.push(Submitted::from(create("behind", "b")));
    request.push(Submitted::from(create("free", "d")));
    let outcomes = submit_all(&mut server, request);
    assert_eq!(outcomes[0], Outcome::retry("h1", Some("h2")));
    assert_eq!((outcomes[1].kind, outcomes[1].version), (OutcomeKind::Conflict, Some(3)));
    assert_eq!(outcomes[2], Outcome::retry("h3", Some("h2")));
    assert_eq!(outcomes[3], Outcome::retry("behind", Some("h2")), "the record waits for its group");
    assert_eq!(outcomes[4], Outcome::applied("free", 1));
    assert_eq!(server.feed().unwrap().last, before.last + 1, "only `free` left a trace");
    assert_eq!((document(&server, "b"), server.effects("h1")), (None, 0));

    // The failing member's verdict is stored, the others' are not: with a new operation in its
    // place the group goes through.
    assert_eq!(submit_all(&mut server, failing)[1], outcomes[1]);
    let members = vec![create("h1", "b"), change("h4", "live", Some(3)), create("h3", "c")];
    let outcomes = submit_all(&mut server, grouped(members, "h"));
    assert!(outcomes.iter().all(|o| o.kind == OutcomeKind::Applied && !o.duplicate));
    assert_eq!(server.ledger().most_effects, 1);
}

#[test]
fn a_member_with_a_stored_verdict_keeps_it_when_its_group_fails() {
    let mut server = world();
    submit(&mut server, vec![create("g1", "a")]);
    let group = grouped(vec![create("g1", "a"), create("g2", "live")], "g");
    let outcomes = submit_all(&mut server, group);
    assert_eq!(outcomes[0], Outcome { duplicate: true, ..Outcome::applied("g1", 1) });
    assert_eq!(outcomes[1].kind, OutcomeKind::Conflict);
    assert_eq!(document(&server, "a").as_deref(), Some(r#"{"a":1}"#));
}

#[test]
fn a_rollback_restores_everything() {
    let mut server = world();
    let before = format!("{server:?}");
    server.savepoint().unwrap();
    let ops = vec![change("r1", "live", Some(2)), delete("r2", "live", Some(3)), create("r3", "n")];
    submit(&mut server, ops);
    server.count_repeat("r1").unwrap();
    assert_ne!(format!("{server:?}"), before);
    server.rollback().unwrap();
    assert_eq!(format!("{server:?}"), before);
}

#[test]
fn rules_refuse_and_amend() {
    struct Stamping;
    impl Rules for Stamping {
        fn amend(&self, _: &Operation, result: &Document) -> Option<Document> {
            Some(result.apply(&[Edit::set(["number"], "7")?]))
        }
    }
    let mut server = Memory::new("e1");
    let answer = submit_with(&mut server, vec![create("x", "o")], &Stamping);
    assert_eq!(answer[0].document, Some(Some(doc(r#"{"a":1,"number":7}"#))));
    assert_eq!(document(&server, "o").as_deref(), Some(r#"{"a":1,"number":7}"#));

    struct Busy;
    impl Rules for Busy {
        fn check(
            &self,
            _: &Operation,
            _: Option<&holdfast_server_core::Record>,
            _: Option<&Document>,
        ) -> Option<Rejection> {
            Some(Rejection { code: "busy".into(), message: "later".into(), last: false })
        }
    }
    let refused = submit_with(&mut server, vec![create("y", "p")], &Busy);
    assert_eq!((refused[0].kind, refused[0].last), (OutcomeKind::Rejected, Some(false)));
    let later = submit(&mut server, vec![create("y", "p")]);
    assert_eq!(later, [Outcome::applied("y", 1)], "a refusal that is not final is not stored");
}

#[test]
fn the_rules_of_the_till() {
    let order = |text: &str| vec![op("x", "o", None, Intent::Create(doc(text)))];
    for (text, accepted) in [
        (r#"{"lines":[{"cents":250},{"cents":150}],"total":400}"#, true),
        (r#"{"lines":[],"total":0}"#, true),
        (r#"{"lines":[{"cents":250}],"total":400}"#, false),
        (r#"{"lines":[{"cents":-5}],"total":-5}"#, false),
        (r#"{"lines":[{"cents":2.5}],"total":2.5}"#, false),
        (r#"{"lines":{},"total":0}"#, false),
        (r#"{"lines":[{"cents":9223372036854775807},{"cents":1}],"total":0}"#, false),
        (r#"{"total":0}"#, false),
    ] {
        let outcome = submit_with(&mut Memory::new("e1"), order(text), &PosRules).remove(0);
        assert_eq!(outcome.kind == OutcomeKind::Applied, accepted, "{text}");
        assert!(accepted || outcome.code.as_deref() == Some("validation"), "{text}");
    }
    let mut server = Memory::new("e1");
    submit_with(&mut server, order(r#"{"lines":[{"cents":5}],"total":5}"#), &PosRules);
    let edit = Intent::Change(vec![Edit::set(["total"], "6").unwrap()]);
    let outcome = submit_with(&mut server, vec![op("y", "o", Some(1), edit)], &PosRules);
    assert_eq!(
        outcome[0].code.as_deref(),
        Some("validation"),
        "the result is checked, not the edit"
    );
    let other = Operation { key: Key::new("menu", "m"), ..create("z", "m") };
    assert_eq!(submit_with(&mut server, vec![other], &PosRules)[0].kind, OutcomeKind::Applied);
    let gone = submit_with(&mut server, vec![delete("w", "o", Some(1))], &PosRules);
    assert_eq!(gone[0].kind, OutcomeKind::Applied);
}

#[test]
fn what_is_wrong_with_a_request() {
    let limits = Limits { operations: 3, request_bytes: 2_000, group: 2, ..Limits::default() };
    let entry = |op_id: &str, id: &str, more: &str| {
        format!(
            r#"{{"opId":"{op_id}","collection":"c","id":"{id}","kind":"delete","assumed":1,"at":1{more}}}"#
        )
    };
    let body = |ops: &[String]| {
        format!(r#"{{"holdfast":1,"device":"d","operations":[{}]}}"#, ops.join(","))
    };
    let g = |id: &str, size: usize| format!(r#","group":{{"id":"{id}","size":{size}}}"#);
    let (a, b, c) = ("a", "b", "c");
    let many: Vec<_> = (0..4).map(|n| entry(&format!("o{n}"), "r", "")).collect();
    for (name, text, kind) in [
        ("not JSON", "hello".into(), ProblemKind::Malformed),
        (
            "cut short",
            r#"{"holdfast":1,"device":"d","operations":["#.into(),
            ProblemKind::Malformed,
        ),
        ("no operations", r#"{"holdfast":1,"device":"d"}"#.into(), ProblemKind::Malformed),
        (
            "another version",
            r#"{"holdfast":2,"device":"d","operations":[]}"#.into(),
            ProblemKind::Invalid,
        ),
        ("no device", r#"{"holdfast":1,"device":"","operations":[]}"#.into(), ProblemKind::Invalid),
        ("too many operations", body(&many), ProblemKind::TooLarge),
        ("too many bytes", body(&[entry(a, &"r".repeat(2_000), "")]), ProblemKind::TooLarge),
        ("no operation id", body(&[r#"{"kind":"delete"}"#.into()]), ProblemKind::Malformed),
        ("one id twice", body(&[entry(a, a, ""), entry(a, b, "")]), ProblemKind::Invalid),
        ("half a group", body(&[entry(a, a, &g("g", 2))]), ProblemKind::Malformed),
        (
            "a group in pieces",
            body(&[entry(a, a, &g("g", 2)), entry(b, b, ""), entry(c, c, &g("g", 2))]),
            ProblemKind::Malformed,
        ),
        (
            "a group that disagrees",
            body(&[entry(a, a, &g("g", 2)), entry(b, b, &g("g", 3))]),
            ProblemKind::Malformed,
        ),
        (
            "two groups of one name",
            body(&[entry(a, a, &g("g", 1)), entry(b, b, ""), entry(c, c, &g("g", 1))]),
            ProblemKind::Malformed,
        ),
        (
            "a group too big",
            body(&[entry(a, a, &g("g", 3)), entry(b, b, &g("g", 3)), entry(c, c, &g("g", 3))]),
            ProblemKind::Invalid,
        ),
        ("an empty group", body(&[entry(a, a, &g("g", 0))]), ProblemKind::Invalid),
        (
            "a record twice in a group",
            body(&[entry(a, a, &g("g", 2)), entry(b, a, &g("g", 2))]),
            ProblemKind::Invalid,
        ),
    ] {
        let problem = PushRequest::parse(text.as_bytes(), &limits).map(drop).unwrap_err();
        assert_eq!(problem.kind, kind, "{name}: {problem}");
    }
    assert_eq!(PushRequest::parse(&[0xff], &limits).unwrap_err().kind, ProblemKind::Malformed);
}

#[test]
fn what_is_wrong_with_an_operation() {
    let limits =
        Limits { document_bytes: 40, id_chars: 5, collection_chars: 5, ..Limits::default() };
    let long = "1".repeat(41);
    for (name, members, code) in [
        ("unknown kind", r#""collection":"c","id":"i","kind":"merge","at":1"#.to_owned(), "invalid"),
        ("no time", r#""collection":"c","id":"i","kind":"delete""#.into(), "invalid"),
        ("a version below zero", r#""collection":"c","id":"i","kind":"delete","assumed":-1,"at":1"#.into(), "invalid"),
        ("collection", r#""collection":"c d","id":"i","kind":"delete","at":1"#.into(), "invalid"),
        ("long collection", r#""collection":"cccccc","id":"i","kind":"delete","at":1"#.into(), "invalid"),
        ("empty id", r#""collection":"c","id":"","kind":"delete","at":1"#.into(), "invalid"),
        ("long id", r#""collection":"c","id":"iiiiii","kind":"delete","at":1"#.into(), "invalid"),
        ("control in id", r#""collection":"c","id":"\u0000","kind":"delete","at":1"#.into(), "invalid"),
        ("create without document", r#""collection":"c","id":"i","kind":"create","at":1"#.into(), "invalid"),
        ("document is a list", r#""collection":"c","id":"i","kind":"create","document":[],"at":1"#.into(), "invalid"),
        ("document and edits", r#""collection":"c","id":"i","kind":"change","edits":[],"document":{},"at":1"#.into(), "invalid"),
        ("delete with a document", r#""collection":"c","id":"i","kind":"delete","document":{},"at":1"#.into(), "invalid"),
        ("big document", format!(r#""collection":"c","id":"i","kind":"create","document":{{"a":"{}"}},"at":1"#, "x".repeat(40)), "too-large"),
        ("a name twice", r#""collection":"c","id":"i","kind":"create","document":{"a":1,"a":2},"at":1"#.into(), "invalid"),
        ("a long value", format!(r#""collection":"c","id":"i","kind":"change","edits":[{{"set":["a"],"value":{long}}}],"at":1"#), "too-large"),
        ("empty path", r#""collection":"c","id":"i","kind":"change","edits":[{"remove":[]}],"at":1"#.into(), "invalid"),
        ("set without value", r#""collection":"c","id":"i","kind":"change","edits":[{"set":["a"]}],"at":1"#.into(), "invalid"),
        ("set and remove", r#""collection":"c","id":"i","kind":"change","edits":[{"set":["a"],"remove":["a"],"value":1}],"at":1"#.into(), "invalid"),
    ] {
        let body = format!(r#"{{"holdfast":1,"device":"d","operations":[{{"opId":"x",{members}}}]}}"#);
        let request = PushRequest::parse(body.as_bytes(), &limits).unwrap();
        let mut server = Memory::new("e1");
        let answer = push(&mut server, &request, &AcceptAll, &limits, NOW).unwrap();
        assert_eq!(answer.outcomes[0].code.as_deref(), Some(code), "{name}");
        assert_eq!(answer.outcomes[0].last, Some(true), "{name}");
        let again = push(&mut server, &request, &AcceptAll, &limits, NOW).unwrap();
        assert_eq!(again.outcomes, answer.outcomes, "{name}: repeated word for word");
        assert_eq!(server.feed().unwrap().last, 0, "{name}");
    }
}

#[test]
fn edits_that_make_a_document_too_large_are_refused() {
    let limits = Limits { document_bytes: 20, ..Limits::default() };
    let mut server = Memory::new("e1");
    let mut send = |operation| {
        let request = PushRequest::new("d", vec![operation]);
        push(&mut server, &request, &AcceptAll, &limits, NOW).unwrap().outcomes.remove(0)
    };
    send(create("a", "o"));
    let edit = Edit::set(["name"], r#""fourteen long""#).unwrap();
    let outcome = send(op("b", "o", Some(1), Intent::Change(vec![edit])));
    assert_eq!(outcome.code.as_deref(), Some("too-large"));
}

#[test]
fn a_full_answer_puts_the_rest_off() {
    let limits = Limits { answer_bytes: 10_000, document_bytes: 4_000, ..Limits::default() };
    let mut server = Memory::new("e1");
    let big = format!(r#"{{"a":"{}"}}"#, "x".repeat(3_900));
    let ids = ["1", "2", "3", "4"];
    let make = |p: &str, id: &str| op(&format!("{p}{id}"), id, None, Intent::Create(doc(&big)));
    submit(&mut server, ids.map(|id| make("a", id)).to_vec());
    let mut ops = ids.map(|id| make("b", id)).to_vec();
    ops.push(create("b5", "5"));
    let request = PushRequest::new("d", ops);
    let answer = push(&mut server, &request, &AcceptAll, &limits, NOW).unwrap();
    let kinds: Vec<_> = answer.outcomes.iter().map(|o| o.kind).collect();
    let (conflict, retry) = (OutcomeKind::Conflict, OutcomeKind::Retry);
    assert_eq!(kinds, [conflict, conflict, retry, retry, retry]);
    assert!(answer.to_json().len() <= limits.answer_bytes);
    assert_eq!(document(&server, "5"), None);
}

#[test]
fn a_stamp_from_the_future_counts_as_now() {
    let mut server = Memory::new("e1");
    submit(&mut server, vec![Operation { at: NOW + 5, ..create("x", "o") }, create("y", "p")]);
    let at = |id| server.record(&Key::new("orders", id)).unwrap().unwrap().at;
    assert_eq!((at("o"), at("p")), (NOW, 500));
}

fn page(server: &Memory, cursor: Option<&str>, limit: usize) -> (Vec<String>, String, bool) {
    let request = PullRequest { cursor: cursor.map(Into::into), limit: Some(limit), scope: None };
    let answer = pull(server, &request, &Limits::default(), NOW).unwrap();
    let changes = answer.changes.iter().map(|c| format!("{}@{}", c.id, c.version)).collect();
    (changes, answer.cursor, answer.more)
}

#[test]
fn the_feed_is_in_commit_order_each_record_once() {
    let mut server = Memory::new("e1");
    assert_eq!(page(&server, None, 10), (vec![], "e1.0".into(), false));
    for id in ["a", "b", "c", "d"] {
        submit(&mut server, vec![create(&format!("c{id}"), id)]);
    }
    submit(&mut server, vec![change("x", "a", Some(1)), delete("y", "c", Some(1))]);
    let (changes, cursor, more) = page(&server, None, 2);
    assert_eq!((changes, more), (vec!["b@1".to_owned(), "d@1".into()], true));
    // `b` moves behind the cursor while the pages are read: it comes once more, at the end.
    submit(&mut server, vec![change("z", "b", Some(1))]);
    let (changes, cursor, more) = page(&server, Some(&cursor), 2);
    assert_eq!((changes, more), (vec!["a@2".to_owned(), "c@2".into()], true));
    let (changes, cursor, more) = page(&server, Some(&cursor), 2);
    assert_eq!((changes, more), (vec!["b@2".to_owned()], false));
    assert_eq!(page(&server, Some(&cursor), 2), (vec![], cursor, false));
}

#[test]
fn a_cursor_that_means_nothing_is_expired() {
    let mut server = world();
    let try_cursor = |server: &Memory, cursor: &str| {
        let request = PullRequest { cursor: Some(cursor.into()), ..PullRequest::default() };
        pull(server, &request, &Limits::default(), NOW).map(drop).map_err(|p| p.kind)
    };
    assert_eq!(try_cursor(&server, "e1.4"), Ok(()));
    for cursor in ["", "e1", "e1.5", "e2.4", "e1.x", "e1.-1", "e1.1.9", "e1.1.2.3", "4"] {
        assert_eq!(try_cursor(&server, cursor), Err(ProblemKind::CursorExpired), "{cursor}");
    }
    server.set_epoch("e2");
    assert_eq!(try_cursor(&server, "e1.4"), Err(ProblemKind::CursorExpired));
    for (request, kind) in [
        (PullRequest { limit: Some(0), ..PullRequest::default() }, ProblemKind::Invalid),
        (PullRequest { scope: Some("x".into()), ..PullRequest::default() }, ProblemKind::NotFound),
    ] {
        assert_eq!(pull(&server, &request, &Limits::default(), NOW).unwrap_err().kind, kind);
    }
}

#[test]
fn pruned_tombstones_expire_older_cursors_but_no_first_pull_under_way() {
    let mut server = world();
    submit(&mut server, vec![create("n1", "n"), create("m1", "m")]);
    let (_, under_way, more) = page(&server, None, 1);
    assert!(more);
    assert_eq!(server.prune(NOW).unwrap(), 0, "not old enough");
    assert_eq!(server.prune(NOW + 1).unwrap(), 1);
    let (changes, cursor, more) = page(&server, Some(&under_way), 10);
    assert_eq!((changes, more), (vec!["n@1".to_owned(), "m@1".into()], false));
    assert_eq!(cursor, "e1.6");
    let old = PullRequest { cursor: Some("e1.3".into()), ..PullRequest::default() };
    let problem = pull(&server, &old, &Limits::default(), NOW).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::CursorExpired);
    let known = PullRequest { cursor: Some("e1.4".into()), ..PullRequest::default() };
    assert!(pull(&server, &known, &Limits::default(), NOW).is_ok());
}

/// A device that holds the old tombstone must be able to tell that the record was made anew after it.
#[test]
fn a_record_made_anew_after_its_tombstone_was_pruned_goes_on_above_it() {
    let mut server = world();
    let pruned = server.records().filter(|(_, it)| it.document.is_none()).map(|(_, it)| it.version);
    let pruned = pruned.max().unwrap();
    assert_eq!(server.prune(NOW + 1).unwrap(), 1);
    submit(&mut server, vec![create("again", "gone")]);
    let anew = server.records().find(|(key, _)| key.id == "gone").map(|(_, it)| it.version);
    assert!(anew > Some(pruned), "{anew:?} after {pruned}");
}

#[test]
fn a_page_stays_below_the_limit_of_bytes_and_always_moves() {
    let mut server = Memory::new("e1");
    let big = doc(&format!(r#"{{"a":"{}"}}"#, "x".repeat(5_000)));
    for id in ["a", "b", "c"] {
        submit(&mut server, vec![op(id, id, None, Intent::Create(big.clone()))]);
    }
    for (answer_bytes, expected) in [(1, 1), (15_000, 2), (100_000, 3)] {
        let limits = Limits { answer_bytes, ..Limits::default() };
        let answer = pull(&server, &PullRequest::default(), &limits, NOW).unwrap();
        assert_eq!((answer.changes.len(), answer.more), (expected, expected < 3));
    }
}

/// A part of the data has the records that say so, every deletion, and cursors that pass over the rest.
#[test]
fn a_scope_is_a_part_of_the_feed() {
    let mut server = Memory::new("e1");
    let order = |op_id: &str, id: &str, text: &str| op(op_id, id, None, Intent::Create(doc(text)));
    submit(
        &mut server,
        vec![
            order("w1", "a", r#"{"building":41}"#),
            order("w2", "b", r#"{"building":42}"#),
            order("w3", "c", r#"{"building":"42"}"#),
            order("w4", "d", r#"{"floor":42}"#),
            order("w5", "e", r#"{"building":42}"#),
        ],
    );
    let limits = Limits { page: 2, ..Limits::default() };
    let (mut cursor, mut seen, mut pages) = (None, Vec::new(), 0);
    loop {
        let scope = Some("building:42".to_owned());
        let request = PullRequest { cursor, limit: None, scope };
        let answer = pull(&server, &request, &limits, NOW).unwrap();
        seen.extend(answer.changes.into_iter().map(|change| change.id));
        (cursor, pages) = (Some(answer.cursor), pages + 1);
        if !answer.more {
            break;
        }
    }
    assert_eq!((seen, pages), (vec!["b".to_owned(), "c".to_owned(), "e".to_owned()], 3));
    submit(&mut server, vec![delete("w6", "a", Some(1)), delete("w7", "b", Some(1))]);
    let scope = Some("building:42".to_owned());
    let rest = PullRequest { cursor, limit: None, scope };
    let rest = pull(&server, &rest, &Limits::default(), NOW).unwrap();
    let gone: Vec<_> = rest.changes.iter().map(|it| (&*it.id, it.document.is_none())).collect();
    assert_eq!(gone, [("a", true), ("b", true)]);
    for scope in ["building", ":42", ""] {
        let request = PullRequest { scope: Some(scope.to_owned()), ..PullRequest::default() };
        let refused = pull(&server, &request, &Limits::default(), NOW).unwrap_err();
        assert_eq!(refused.kind, ProblemKind::NotFound, "{scope}");
    }
}
