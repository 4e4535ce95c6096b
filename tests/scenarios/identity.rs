//! Names of records: the device's, the server's, and two records that are one (R16, R17; PROMISES 3.3 "Server-assigned id").

use holdfast::model::{
    Choice, Code, CollectionRules, EntityKey, Fate, Halt, Intent, OpId, Outcome, Path, Presence,
    RemoteChange, Strategy, Theirs,
};
use holdfast::plan::write::Action;

use crate::till::{RETRY, Till, applied, by, conflict, doc, live, order, rejected, version};

/// The server has the record now, under its own id.
fn named(number: u64, id: &str) -> Outcome {
    Outcome::Applied {
        version: Some(version(number)),
        presence: None,
        stamp: None,
        assigned_id: Some(id.to_owned()),
    }
}

/// The server has such a record already, under this id.
fn another(number: u64, id: &str, text: &str) -> Outcome {
    let theirs = Theirs::Live { document: doc(text), version: Some(version(number)), stamp: None };
    Outcome::Conflict { theirs, other: Some(id.to_owned()), token: None }
}

fn customer(id: &str) -> EntityKey {
    EntityKey::new("customers", id)
}

fn customer_is(id: &str, number: u64, text: &str) -> RemoteChange {
    RemoteChange { key: customer(id), ..live("", number, text) }
}

/// What the operation says on the wire.
fn says(till: &Till, op: OpId) -> (String, Intent) {
    let departure = till.flight.operations.iter().find(|it| it.op == op).unwrap();
    (departure.id.clone(), departure.intent.clone())
}

fn creates(text: &str) -> Intent {
    Intent::Create(doc(text))
}

/// What the application sees of a customer, by either id.
#[track_caller]
fn sees_customer(till: &Till, id: &str, text: &str) {
    let s = till
        .disk
        .snapshot(holdfast::model::Need::only(vec![holdfast::model::Root::Record(customer(id))]));
    let record = s.records.get(&s.own_key(&customer(id))).unwrap_or_else(|| panic!("no {id}"));
    assert_eq!(record.view, Some(Presence::Live(doc(text))), "{id}");
}

fn own_ids(till: &Till, collection: &str) -> Vec<String> {
    let live = |view: &Option<Presence>| matches!(view, Some(Presence::Live(_)));
    let records = till.all().records;
    let keys = records.values().filter(|it| live(&it.view)).map(|it| it.key.clone());
    keys.filter(|key| key.collection == collection).map(|key| key.id).collect()
}

/// R16, O10: a customer is made offline and an order names it; the order leaves with the server's id and is kept with our own.
#[test]
fn a_reference_leaves_in_the_servers_words() {
    let mut till = Till::new();
    till.customer("c1");
    let sale = till.creates("o1", r#"{"n":1.10,"customer":"c1"}"#);
    till.pushes(named(1, "S-1"));
    assert_eq!(till.sends(), [sale]);
    let (id, intent) = says(&till, sale);
    assert_eq!((id.as_str(), intent), ("o1", creates(r#"{"n":1.10,"customer":"S-1"}"#)));
    assert_eq!(till.op(sale).intent, creates(r#"{"n":1.10,"customer":"c1"}"#));
    till.hears(&[(sale, named(1, "O-1"))]);
    till.sees("o1", r#"{"n":1.10,"customer":"c1"}"#);
}

/// R16: edits at the reference, a removal of it, and a whole new document.
#[test]
fn changes_of_a_reference_leave_in_the_servers_words() {
    let mut till = Till::new();
    till.customer("c1");
    till.pushes(named(1, "S-1"));
    till.creates("o1", "{}");
    till.pushes(applied(1));
    let edits = |text: &str| {
        Intent::Change(holdfast::model::edit::from_merge_patch(&doc("{}"), &doc(text)))
    };
    for (at, write, said) in [
        (2, Action::Patch(doc(r#"{"customer":"c1","n":1}"#)), edits(r#"{"customer":"S-1","n":1}"#)),
        (3, Action::Patch(doc(r#"{"n":2}"#)), edits(r#"{"n":2}"#)),
        (4, Action::Patch(doc(r#"{"customer":null}"#)), edits(r#"{"customer":null}"#)),
        (
            5,
            Action::Replace(doc(r#"{"customer":"c1"}"#)),
            Intent::Replace(doc(r#"{"customer":"S-1"}"#)),
        ),
        (
            6,
            Action::Replace(doc(r#"{"customer":"elsewhere"}"#)),
            Intent::Replace(doc(r#"{"customer":"elsewhere"}"#)),
        ),
    ] {
        let op = till.write(order("o1"), write).unwrap();
        till.sends();
        assert_eq!(says(&till, op).1, said);
        till.hears(&[(op, applied(at))]);
    }
}

/// P5: what left once leaves again as it was, whatever the server called its target since.
#[test]
fn a_resend_says_what_was_said() {
    let mut till = Till::new();
    till.customer("c1");
    till.pushes(named(1, "S-1"));
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    till.sends();
    let first = says(&till, sale);
    till.reopens();
    till.sends();
    assert_eq!(says(&till, sale), first);
    assert_eq!(till.op(sale).sent.unwrap().action, Some(creates(r#"{"customer":"S-1"}"#)));
}

/// R16: what comes is kept in own ids: pulled, in a verdict, in a conflict.
#[test]
fn what_comes_is_kept_in_own_ids() {
    let mut till = Till::new();
    till.customer("c1");
    till.pushes(named(1, "S-1"));
    till.pulls(&[live("o1", 1, r#"{"x":1.10,"customer":"S-1","y":"S-1"}"#)]);
    till.sees("o1", r#"{"x":1.10,"customer":"c1","y":"S-1"}"#);
    let op = till.patches("o1", r#"{"x":2}"#);
    till.sends();
    till.hears(&[(op, crate::till::applied_as(2, r#"{"x":2,"customer":"S-1"}"#))]);
    till.sees("o1", r#"{"x":2,"customer":"c1"}"#);
    let op = till.patches("o1", r#"{"x":3}"#);
    till.sends();
    till.hears(&[(op, conflict(3, r#"{"x":4,"customer":"S-1"}"#))]);
    let open = till.open_conflict();
    assert_eq!(open.theirs, Presence::Live(doc(r#"{"x":4,"customer":"c1"}"#)));
    assert_eq!(open.mine, Presence::Live(doc(r#"{"x":3,"customer":"c1"}"#)));
    assert_eq!(open.fields, [Path::field("x")], "P17: the reference did not change");
    till.pulls(&[live("o1", 4, r#"{"x":5,"customer":"S-1"}"#)]);
    assert_eq!(till.open_conflict().theirs, Presence::Live(doc(r#"{"x":5,"customer":"c1"}"#)));
    till.resolves(&Choice::Theirs).unwrap();
    till.sees("o1", r#"{"x":5,"customer":"c1"}"#);
}

/// P17: our own reference, back from the server in its words, is what we wrote.
#[test]
fn the_round_trip_of_a_reference_is_no_change() {
    for strategy in [Strategy::Manual, Strategy::ServerWins] {
        let mut till = Till::with(strategy);
        till.customer("c1");
        till.pushes(named(1, "S-1"));
        let sale = till.creates("o1", r#"{"customer":"c1"}"#);
        till.sends();
        till.patches("o1", r#"{"customer":"c2"}"#);
        till.pulls(&[by(sale, live("o1", 1, r#"{"customer":"S-1"}"#))]);
        till.sees("o1", r#"{"customer":"c2"}"#);
        till.pushes(applied(2));
        assert_eq!(till.all().conflicts.len(), 0);
        assert_eq!(till.base("o1").unwrap().presence, Presence::Live(doc(r#"{"customer":"c2"}"#)));
    }
}

/// R16: whoever writes may use either id, of the record and in its references.
#[test]
fn a_user_may_use_either_id() {
    let mut till = Till::new();
    till.customer("c1");
    till.pushes(named(1, "S-1"));
    till.pulls(&[live("o1", 1, "{}")]);
    till.patches("o1", r#"{"customer":"S-1"}"#);
    till.sees("o1", r#"{"customer":"c1"}"#);
    till.creates("o2", r#"{"customer":"S-1"}"#);
    till.sees("o2", r#"{"customer":"c1"}"#);
    till.replaces("o2", r#"{"customer":"S-1","n":1}"#);
    till.sees("o2", r#"{"customer":"c1","n":1}"#);
    till.write(customer("S-1"), Action::Patch(doc(r#"{"n":2}"#))).unwrap();
    sees_customer(&till, "c1", r#"{"n":2}"#);
    sees_customer(&till, "S-1", r#"{"n":2}"#);
    till.write(customer("S-1"), Action::Replace(doc(r#"{"n":3}"#))).unwrap();
    sees_customer(&till, "c1", r#"{"n":3}"#);
    let error = till.write(customer("S-1"), Action::Create(doc("{}"))).unwrap_err();
    assert_eq!(error.code, Code::Exists);
    till.write(customer("S-1"), Action::Remove).unwrap();
    assert!(own_ids(&till, "customers").is_empty());
    assert_eq!(till.queue("o2").len(), 1);
}

/// R16: a pulled row that carries our create's id under another id is our record, before the verdict and without it.
#[test]
fn an_echo_under_another_id_makes_the_name() {
    let mut till = Till::new();
    let create = till.customer("c1");
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    till.sends();
    till.write(customer("c1"), Action::Patch(doc(r#"{"m":1}"#))).unwrap();
    // The order that another device made of it comes in the same page, in front of it.
    till.pulls(&[
        live("o2", 1, r#"{"customer":"S-1"}"#),
        by(create, customer_is("S-1", 1, r#"{"n":1}"#)),
    ]);
    till.sees("o2", r#"{"customer":"c1"}"#);
    assert_eq!(till.fate(create), Some(Fate::Applied));
    assert_eq!(own_ids(&till, "customers"), ["c1"]);
    sees_customer(&till, "S-1", r#"{"n":1,"m":1}"#);
    till.hears(&[(create, named(1, "S-1"))]);
    till.sends();
    assert_eq!(says(&till, sale).1, creates(r#"{"customer":"S-1"}"#));
    assert!(till.flight.operations.iter().any(|it| it.id == "S-1"), "the edit of c1");
    till.pulls(&[customer_is("S-1", 2, r#"{"n":5}"#)]);
    sees_customer(&till, "c1", r#"{"n":5,"m":1}"#);
    assert_eq!(till.all().conflicts.len(), 0);
}

/// R16 (sim): the record came without the word that it is ours, and was named by the server's id; then the word comes.
#[test]
fn an_echo_that_comes_late_renames_what_was_named_meanwhile() {
    let mut till = Till::new();
    let create = till.customer("c1");
    till.sends();
    till.hears_halt(Halt::Unreachable);
    till.pulls(&[
        customer_is("S-1", 1, r#"{"n":1}"#),
        live("o7", 1, r#"{"customer":"S-1"}"#),
        live("o8", 1, r#"{"customer":"S-2"}"#),
    ]);
    till.sees("o7", r#"{"customer":"S-1"}"#);
    till.pulls(&[by(create, customer_is("S-1", 1, r#"{"n":1}"#))]);
    assert_eq!(own_ids(&till, "customers"), ["c1"]);
    till.sees("o7", r#"{"customer":"c1"}"#);
    till.sees("o8", r#"{"customer":"S-2"}"#);
}

/// R16: the page that brings our record under the server's id is repeated, and a later leader hears it again.
#[test]
fn a_repeated_page_makes_one_name() {
    let mut till = Till::new();
    let create = till.customer("c1");
    till.sends();
    let page = till.page(&[by(create, customer_is("S-1", 1, r#"{"n":1}"#))], false);
    till.applies(None, &page).unwrap();
    till.applies(None, &page).unwrap();
    till.reopens();
    till.pulls(&[by(create, customer_is("S-1", 1, r#"{"n":1}"#))]);
    assert_eq!(till.disk.rows("aliases").len(), 1);
    assert_eq!(own_ids(&till, "customers"), ["c1"]);
    assert_eq!(till.sends(), []);
}

/// R16: an answer is lost, on the wire or on the way to the disk; the next one, to another leader, says the same.
#[test]
fn a_lost_answer_loses_no_name() {
    let mut till = Till::new();
    let create = till.customer("c1");
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    till.sends();
    till.hears_halt(Halt::Unreachable);
    assert_eq!(till.sends(), [create]);
    let disk = till.disk.clone();
    till.hears(&[(create, named(1, "S-1"))]);
    // The power went: what was written of the answer is not there.
    till.disk = disk;
    till.laws = crate::laws::Laws::default();
    till.reopens();
    assert_eq!(till.sends(), [create]);
    assert_eq!(says(&till, create).0, "c1", "P5");
    till.hears(&[(create, named(1, "S-1"))]);
    assert_eq!(till.sends(), [sale]);
    assert_eq!(says(&till, sale).1, creates(r#"{"customer":"S-1"}"#));
}

/// R16 (sim): the record was pulled under the server's id before the verdict, and somebody changed it since.
#[test]
fn a_record_that_was_pulled_before_the_verdict_goes_into_ours() {
    let mut till = Till::new();
    let create = till.customer("c1");
    till.sends();
    till.write(customer("c1"), Action::Patch(doc(r#"{"m":1}"#))).unwrap();
    till.hears_halt(Halt::Unreachable);
    till.pulls(&[
        customer_is("S-1", 2, r#"{"n":1,"x":1}"#),
        live("o7", 1, r#"{"customer":"S-1"}"#),
    ]);
    assert_eq!(own_ids(&till, "customers"), ["S-1", "c1"], "nobody can know yet");
    let late = till.write(customer("S-1"), Action::Patch(doc(r#"{"y":1}"#))).unwrap();
    let sale = till.creates("o1", r#"{"customer":"S-1"}"#);
    let flying = till.sends();
    assert!(flying.contains(&create) && flying.contains(&late) && flying.contains(&sale));
    till.hears(&[(create, named(1, "S-1")), (late, applied(3)), (sale, RETRY)]);
    assert_eq!(own_ids(&till, "customers"), ["c1"]);
    for id in ["c1", "S-1"] {
        sees_customer(&till, id, r#"{"n":1,"x":1,"y":1,"m":1}"#);
    }
    till.sees("o7", r#"{"customer":"c1"}"#);
    assert_eq!(till.all().conflicts.len(), 0, "P17");
    till.waits();
    till.sends();
    assert_eq!(says(&till, sale).1, creates(r#"{"customer":"S-1"}"#), "P5: as it left");
    till.hears(&[(sale, applied(1))]);
    till.sees("o1", r#"{"customer":"c1"}"#);
    let edit = till.flight.operations.iter().find(|it| it.collection == "customers").unwrap();
    assert_eq!((edit.id.as_str(), edit.assumed.clone()), ("S-1", Some(version(3))));
}

/// R16 (sim): operations on both that never left: those of the pulled record come last, and find what the others wrote.
#[test]
fn what_waits_on_both_records_goes_in_one_order() {
    let mut till = Till::new();
    let create = till.customer("c1");
    till.sends();
    till.hears_halt(Halt::Unreachable);
    till.pulls(&[customer_is("S-1", 1, r#"{"n":1}"#)]);
    let theirs = till.write(customer("S-1"), Action::Patch(doc(r#"{"n":3,"y":3}"#))).unwrap();
    let ours = till.write(customer("c1"), Action::Patch(doc(r#"{"n":2}"#))).unwrap();
    let sale = till.creates("o1", r#"{"customer":"S-1"}"#);
    // Only the create leaves.
    till.flight = till
        .claim_up_to(holdfast::plan::push::Room { operations: 1, bytes: 1 << 20 })
        .unwrap()
        .batch;
    assert_eq!(till.flight.operations[0].op, create);
    till.hears(&[(create, named(1, "S-1"))]);
    assert_eq!(own_ids(&till, "customers"), ["c1"]);
    sees_customer(&till, "S-1", r#"{"n":3,"y":3}"#);
    assert!(matches!(till.fate(theirs), Some(Fate::Superseded(_))));
    till.sees("o1", r#"{"customer":"c1"}"#);
    let sent = till.sends();
    assert!(sent.contains(&ours) && sent.contains(&sale), "{sent:?}");
    assert_eq!(says(&till, sale).1, creates(r#"{"customer":"S-1"}"#));
    till.hears(&[(ours, applied(2)), (sale, applied(1))]);
    let last = till.sends();
    assert_eq!(last.len(), 1);
    till.hears(&[(last[0], applied(3))]);
    sees_customer(&till, "c1", r#"{"n":3,"y":3}"#);
    assert_eq!(till.all().conflicts.len(), 0, "P17: nobody else wrote there");
    assert_eq!(till.counts().in_outbox(), 0);
}

/// R16 (sim), P19: an open conflict of the pulled record is one of ours, and our later edits are part of our side.
#[test]
fn an_open_conflict_of_the_pulled_record_is_ours() {
    let mut till = Till::new();
    let create = till.customer("c1");
    till.sends();
    till.hears_halt(Halt::Unreachable);
    till.write(customer("c1"), Action::Patch(doc(r#"{"m":1}"#))).unwrap();
    till.pulls(&[customer_is("S-1", 1, r#"{"n":1,"x":1}"#)]);
    till.write(customer("S-1"), Action::Patch(doc(r#"{"x":2}"#))).unwrap();
    till.pulls(&[customer_is("S-1", 2, r#"{"n":1,"x":3}"#)]);
    assert_eq!(till.open_conflicts(), 1);
    till.pushes(named(1, "S-1"));
    assert_eq!(till.fate(create), Some(Fate::Applied));
    let open = till.open_conflict();
    assert_eq!(open.key, customer("c1"));
    assert_eq!(open.mine, Presence::Live(doc(r#"{"n":1,"x":2,"m":1}"#)));
    sees_customer(&till, "S-1", r#"{"n":1,"x":2,"m":1}"#);
    till.resolves(&Choice::Mine).unwrap();
    let op = till.pushes(applied(3));
    assert_eq!(says(&till, op).0, "S-1");
    sees_customer(&till, "c1", r#"{"n":1,"x":2,"m":1}"#);
}

/// R16 (sim), P21: what was refused on the pulled record stays parked, on ours.
#[test]
fn what_was_refused_on_the_pulled_record_stays_parked() {
    let mut till = Till::new();
    let create = till.customer("c1");
    till.sends();
    till.hears_halt(Halt::Unreachable);
    till.pulls(&[customer_is("S-1", 1, r#"{"n":1}"#)]);
    let bad = till.write(customer("S-1"), Action::Patch(doc(r#"{"n":-1}"#))).unwrap();
    till.sends();
    till.hears(&[(create, RETRY), (bad, rejected("validation"))]);
    till.waits();
    till.pushes(named(1, "S-1"));
    assert_eq!(till.op(bad).key, customer("c1"));
    sees_customer(&till, "S-1", r#"{"n":1}"#);
    till.retries(bad, Some(r#"{"n":2}"#)).unwrap();
    let op = till.pushes(applied(2));
    assert_eq!(says(&till, op).0, "S-1");
    sees_customer(&till, "c1", r#"{"n":2}"#);
}

/// R17: two creates of one thing, the other never seen here: one record under our id, judged by the policy.
#[test]
fn a_create_of_what_the_server_has_becomes_a_change_of_it() {
    let mut till = Till::with(Strategy::Merge);
    let create = till.customer("c1");
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    till.sends();
    till.write(customer("c1"), Action::Patch(doc(r#"{"m":1}"#))).unwrap();
    till.hears(&[(create, another(7, "S-1", r#"{"x":1}"#))]);
    assert!(matches!(till.fate(create), Some(Fate::Superseded(_))));
    for id in ["c1", "S-1"] {
        sees_customer(&till, id, r#"{"x":1,"n":1,"m":1}"#);
    }
    till.sends();
    let (id, intent) = says(&till, sale);
    assert_eq!((id.as_str(), intent), ("o1", creates(r#"{"customer":"S-1"}"#)));
    let change = till.flight.operations.iter().find(|it| it.collection == "customers").unwrap();
    assert_eq!((change.id.as_str(), change.assumed.clone()), ("S-1", Some(version(7))));
    assert!(matches!(change.intent, Intent::Change(_)));
}

/// R17: where policy and person disagree, both sides are kept until somebody decides.
#[test]
fn a_create_of_what_the_server_has_may_be_for_a_person() {
    let mut till = Till::with(Strategy::Merge);
    let create = till.customer("c1");
    till.sends();
    till.hears(&[(create, another(7, "S-1", r#"{"n":9}"#))]);
    let open = till.open_conflict();
    assert_eq!(
        (open.key.clone(), open.kind),
        (customer("c1"), holdfast::model::ConflictKind::CreateCreate)
    );
    sees_customer(&till, "S-1", r#"{"n":1}"#);
    till.pulls(&[customer_is("S-1", 8, r#"{"n":10}"#)]);
    assert_eq!(till.open_conflict().theirs, Presence::Live(doc(r#"{"n":10}"#)));
    till.resolves(&Choice::Mine).unwrap();
    let op = till.pushes(applied(9));
    assert_eq!(says(&till, op).0, "S-1");
    let mut till = Till::with(Strategy::ServerWins);
    let create = till.customer("c1");
    till.sends();
    till.hears(&[(create, another(7, "S-1", r#"{"n":9}"#))]);
    assert!(matches!(till.fate(create), Some(Fate::Yielded(_))));
    sees_customer(&till, "c1", r#"{"n":9}"#);
    sees_customer(&till, "S-1", r#"{"n":9}"#);
}

/// R17: the server's record is here already, with edits: ours goes into it, and what names ours names it.
#[test]
fn a_create_goes_into_the_record_that_is_here() {
    let mut till = Till::with(Strategy::Merge);
    till.pulls(&[customer_is("S-1", 7, r#"{"x":1}"#)]);
    let create = till.customer("c1");
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    let edit = till.write(customer("S-1"), Action::Patch(doc(r#"{"y":1}"#))).unwrap();
    till.write(customer("c1"), Action::Patch(doc(r#"{"m":1}"#))).unwrap();
    till.sends();
    till.hears(&[(create, another(7, "S-1", r#"{"x":1}"#)), (edit, applied(8))]);
    assert_eq!(own_ids(&till, "customers"), ["S-1"]);
    for id in ["c1", "S-1"] {
        sees_customer(&till, id, r#"{"x":1,"y":1,"n":1,"m":1}"#);
    }
    till.sees("o1", r#"{"customer":"S-1"}"#);
    let sent = till.sends();
    assert!(sent.contains(&sale), "the create that it waited for is settled");
    assert_eq!(says(&till, sale).1, creates(r#"{"customer":"S-1"}"#));
    till.pulls(&[live("o2", 1, r#"{"customer":"S-1"}"#)]);
    till.sees("o2", r#"{"customer":"S-1"}"#);
    assert_eq!(till.all().conflicts.len(), 0);
}

/// R17, P11: edits of the server's record that were made before our create go behind it, so that nothing of them is out of sight.
#[test]
fn a_conflict_between_two_creates_shows_the_edits_of_both() {
    let mut till = Till::with(Strategy::Merge);
    till.pulls(&[customer_is("S-1", 7, r#"{"n":5}"#)]);
    till.write(customer("S-1"), Action::Patch(doc(r#"{"y":1}"#))).unwrap();
    let create = till.customer("c1");
    // A person decides late what the edit of S-1 may do: only the create leaves.
    let sent = till.sends();
    let edit = sent[0];
    till.hears(&[(edit, RETRY), (create, another(7, "S-1", r#"{"n":5}"#))]);
    assert_eq!(till.open_conflicts(), 1);
    assert_eq!(till.open_conflict().key, customer("S-1"));
    assert_eq!(till.op(edit).key, customer("S-1"));
    till.waits();
    assert_eq!(
        till.pushes(applied(8)),
        edit,
        "R11: what may have left waits for its verdict alone"
    );
    sees_customer(&till, "c1", r#"{"n":1,"y":1}"#);
    till.resolves(&Choice::Mine).unwrap();
    till.pushes(applied(9));
    sees_customer(&till, "c1", r#"{"n":1,"y":1}"#);
}

/// R17: somebody is asked about the server's record already: what our create says is a later edit of our side.
#[test]
fn a_create_joins_an_open_conflict() {
    let mut till = Till::with(Strategy::Manual);
    till.pulls(&[customer_is("S-1", 1, r#"{"x":1}"#)]);
    till.write(customer("S-1"), Action::Patch(doc(r#"{"x":2}"#))).unwrap();
    till.pulls(&[customer_is("S-1", 2, r#"{"x":3}"#)]);
    assert_eq!(till.open_conflicts(), 1);
    let create = till.customer("c1");
    till.pushes(another(2, "S-1", r#"{"x":3}"#));
    assert!(matches!(till.fate(create), Some(Fate::Superseded(_))));
    assert_eq!(till.open_conflicts(), 1);
    sees_customer(&till, "c1", r#"{"x":2,"n":1}"#);
    till.pulls(&[customer_is("S-1", 3, r#"{"x":3,"z":1}"#)]);
    sees_customer(&till, "c1", r#"{"x":2,"z":1,"n":1}"#);
    till.resolves(&Choice::Mine).unwrap();
    till.pushes(applied(4));
    sees_customer(&till, "S-1", r#"{"x":2,"z":1,"n":1}"#);
    assert_eq!(till.counts().in_outbox(), 0);
}

/// R16, R17: the server takes two of our creates for one: both ids read the one record, and names lead on.
#[test]
fn two_of_our_creates_are_one_record() {
    let mut till = Till::with(Strategy::Merge);
    let first = till.customer("c1");
    let second = till.customer("c2");
    let sale = till.creates("o1", r#"{"customer":"c2"}"#);
    assert_eq!(till.sends(), [first, second]);
    till.hears(&[(first, named(1, "S-1")), (second, named(1, "S-1"))]);
    assert_eq!(own_ids(&till, "customers"), ["c1"]);
    for id in ["c1", "c2", "S-1"] {
        sees_customer(&till, id, r#"{"n":1}"#);
    }
    till.sees("o1", r#"{"customer":"c1"}"#);
    till.sends();
    assert_eq!(says(&till, sale).1, creates(r#"{"customer":"S-1"}"#));
    // Its name leads on even where it is a server's id of the record that went.
    till.pulls(&[customer_is("S-1", 2, r#"{"n":2}"#)]);
    sees_customer(&till, "c2", r#"{"n":2}"#);
}

/// P36: a name is for ever. A later answer that calls the record something else changes nothing.
#[test]
fn a_name_never_leads_elsewhere() {
    let mut till = Till::new();
    let first = till.customer("c1");
    till.pushes(named(1, "S-1"));
    till.write(customer("c1"), Action::Patch(doc(r#"{"n":2}"#))).unwrap();
    till.pushes(named(2, "S-2"));
    assert_eq!(till.disk.rows("aliases").len(), 1);
    till.hears(&[(first, named(1, "S-3"))]);
    till.customer("c9");
    till.pushes(named(1, "S-9"));
    till.write(customer("c9"), Action::Patch(doc(r#"{"n":9}"#))).unwrap();
    till.pushes(named(2, "S-1"));
    sees_customer(&till, "S-1", r#"{"n":2}"#);
    sees_customer(&till, "S-9", r#"{"n":9}"#);
    assert_eq!(till.disk.rows("aliases").len(), 2);
    till.write(customer("c1"), Action::Patch(doc(r#"{"n":3}"#))).unwrap();
    let op = till.pushes(applied(3));
    assert_eq!(says(&till, op).0, "S-1");
}

/// R16: a record that is made anew gets a new name; what is told under the old one is of another time.
#[test]
fn a_record_made_anew_has_a_new_name() {
    let mut till = Till::new();
    till.customer("c1");
    till.pushes(named(1, "S-1"));
    till.write(customer("c1"), Action::Patch(doc(r#"{"n":2}"#))).unwrap();
    till.pushes(applied(2));
    till.write(customer("c1"), Action::Remove).unwrap();
    till.pushes(applied(3));
    till.customer("c1");
    till.pushes(named(1, "S-2"));
    sees_customer(&till, "c1", r#"{"n":1}"#);
    let gone = RemoteChange { presence: Presence::Deleted, ..customer_is("S-1", 3, "{}") };
    till.pulls(&[gone, customer_is("S-2", 2, r#"{"n":5}"#)]);
    for id in ["c1", "S-1", "S-2"] {
        sees_customer(&till, id, r#"{"n":5}"#);
    }
    till.write(customer("S-1"), Action::Patch(doc(r#"{"n":6}"#))).unwrap();
    let op = till.pushes(applied(3));
    assert_eq!(says(&till, op).0, "S-2");
}

/// R16, R25: what a full pull has brought so far is not shown, and is the same record when the verdict names it.
#[test]
fn a_record_that_a_full_pull_brought_before_the_verdict_goes_into_ours() {
    let mut till = Till::new();
    till.pulls(&[]);
    let create = till.customer("c1");
    till.sends();
    till.cursor_expires();
    let page = till.page(&[customer_is("S-1", 1, "{}")], true);
    till.applies(None, &page).unwrap();
    till.hears(&[(create, named(1, "S-1"))]);
    till.pulls(&[RemoteChange {
        presence: Presence::Live(doc(r#"{"customer":"S-1"}"#)),
        ..live("o1", 1, "{}")
    }]);
    assert_eq!(own_ids(&till, "customers"), ["c1"]);
    till.sees("o1", r#"{"customer":"c1"}"#);
}

/// R16, R25: a full pull that does not bring a record forgets it, not what the server called it.
#[test]
fn a_name_outlives_its_record() {
    let mut till = Till::new();
    till.customer("c1");
    till.pushes(named(1, "S-1"));
    till.cursor_expires();
    till.pulls(&[]);
    assert!(own_ids(&till, "customers").is_empty());
    till.pulls(&[customer_is("S-1", 4, r#"{"n":4}"#)]);
    assert_eq!(own_ids(&till, "customers"), ["c1"]);
    till.creates("o1", r#"{"customer":"c1"}"#);
    let op = till.pushes(applied(1));
    assert_eq!(says(&till, op).1, creates(r#"{"customer":"S-1"}"#));
}

/// R12: a reference is checked before it is accepted, and only by its form: what it names may not be here yet.
#[test]
fn a_reference_is_an_id_or_null() {
    let mut till = Till::new();
    till.creates("o1", r#"{"customer":"who knows"}"#);
    till.patches("o1", r#"{"customer":null}"#);
    till.replaces("o1", r#"{"customer":null}"#);
    let long = format!("\"{}\"", "x".repeat(129));
    for value in ["1", "true", "{}", "[\"c1\"]", "\"\"", &long] {
        let document = doc(&format!(r#"{{"n":1,"customer":{value}}}"#));
        let new = till.write(order("o2"), Action::Create(document.clone())).unwrap_err();
        assert_eq!((new.code, new.path.as_deref()), (Code::InvalidValue, Some("customer")));
        assert_eq!(till.refuses("o1", Action::Patch(document.clone())), Code::InvalidValue);
        assert_eq!(till.refuses("o1", Action::Replace(document)), Code::InvalidValue);
    }
    till.sees("o1", r#"{"customer":null}"#);
    // What is not declared is anybody's.
    till.write(customer("c1"), Action::Create(doc(r#"{"customer":1}"#))).unwrap();
}

/// A reference below the top, and one to the own collection.
#[test]
fn references_may_be_deep_and_to_the_own_collection() {
    let mut till = Till::new();
    let path = |names: [&str; 2]| Path(names.map(str::to_owned).to_vec());
    let references = [
        (path(["host", "id"]), "customers".to_owned()),
        (Path::field("after"), "orders".to_owned()),
    ];
    let rules = CollectionRules { references: references.into(), ..CollectionRules::default() };
    till.rules.collections.insert("orders".to_owned(), rules);
    till.customer("c1");
    till.pushes(named(1, "S-1"));
    till.creates("o1", r#"{"host":{"id":"c1","x":1}}"#);
    let first = till.pushes(named(1, "O-1"));
    assert_eq!(says(&till, first).1, creates(r#"{"host":{"id":"S-1","x":1}}"#));
    let second = till.creates("o2", r#"{"after":"o1","host":{}}"#);
    till.sends();
    assert_eq!(says(&till, second).1, creates(r#"{"after":"O-1","host":{}}"#));
    till.hears(&[(second, named(1, "O-2"))]);
    till.patches("o2", r#"{"host":{"id":"S-1"}}"#);
    let op = till.pushes(applied(2));
    assert!(matches!(says(&till, op).1, Intent::Change(edits)
        if edits.iter().any(|edit| edit.value().is_some_and(|it| it.text() == "\"S-1\""))));
    till.sees("o2", r#"{"after":"o1","host":{"id":"c1"}}"#);
    assert_eq!(till.refuses("o2", Action::Patch(doc(r#"{"host":{"id":1}}"#))), Code::InvalidValue);
}

/// R12, R16: a person who decides names records as a writer does: checked, by either id, and waiting for what is not there yet.
#[test]
fn what_a_person_decides_names_records_as_a_write_does() {
    let mut till = Till::new();
    till.customer("c1");
    till.pushes(named(1, "S-1"));
    let bad = till.creates("o1", r#"{"customer":"c1","n":-1}"#);
    till.pushes(rejected("validation"));
    let wrong = till.retries(bad, Some(r#"{"customer":1}"#)).unwrap_err();
    assert_eq!((wrong.code, wrong.path.as_deref()), (Code::InvalidValue, Some("customer")));
    let late = till.customer("c2");
    let again = till.retries(bad, Some(r#"{"customer":"c2"}"#)).unwrap();
    assert_eq!(till.pushes(named(1, "S-2")), late, "P7: the order waits for its new customer");
    till.pushes(applied(1));
    assert_eq!(says(&till, again).1, creates(r#"{"customer":"S-2","n":-1}"#));
    let edit = till.patches("o1", r#"{"n":1}"#);
    till.sends();
    till.hears(&[(edit, conflict(2, r#"{"customer":"S-2","n":2}"#))]);
    let merged = |text: &str| Choice::Merged(Presence::Live(doc(text)));
    let wrong = till.resolves(&merged(r#"{"customer":true}"#)).unwrap_err();
    assert_eq!((wrong.code, wrong.path.as_deref()), (Code::InvalidValue, Some("customer")));
    let late = till.customer("c3");
    till.resolves(&merged(r#"{"customer":"c3","n":3,"other":"S-1"}"#)).unwrap();
    assert_eq!(till.pushes(named(1, "S-3")), late, "P7");
    till.pushes(applied(3));
    till.sees("o1", r#"{"customer":"c3","n":3,"other":"S-1"}"#);
    let edit = till.patches("o1", r#"{"n":4}"#);
    till.sends();
    till.hears(&[(edit, conflict(4, r#"{"n":5}"#))]);
    till.resolves(&merged(r#"{"customer":"S-1"}"#)).unwrap();
    till.sees("o1", r#"{"customer":"c1"}"#);
}

/// R16 (sim), P17: what may have left of the pulled record is found by what waits on ours, which goes behind it: a user does not
/// conflict with themselves.
#[test]
fn what_waits_finds_what_may_have_left_of_the_pulled_record() {
    let mut till = Till::new();
    let create = till.customer("c1");
    till.sends();
    let edit = till.write(customer("c1"), Action::Patch(doc(r#"{"n":2,"m":2}"#))).unwrap();
    till.hears_halt(Halt::Unreachable);
    till.pulls(&[customer_is("S-1", 1, r#"{"n":1}"#)]);
    let replaced = till.write(customer("S-1"), Action::Replace(doc(r#"{"x":1}"#))).unwrap();
    let flying = till.sends();
    assert!(flying.contains(&create) && flying.contains(&replaced));
    till.hears(&[(create, named(1, "S-1")), (replaced, applied(2))]);
    assert_eq!(till.all().conflicts.len(), 0);
    sees_customer(&till, "c1", r#"{"x":1,"n":2,"m":2}"#);
    let sent = till.pushes(applied(3));
    assert_eq!(till.fate(edit), Some(holdfast::model::Fate::Superseded(sent)));
    assert_eq!(till.flight.operations[0].assumed, Some(version(2)));
}

/// R16 (sim), P18: removed under one id and changed under the other, both by the same user: a person says which was meant.
#[test]
fn a_removal_under_one_id_does_not_undo_what_was_written_under_the_other() {
    let mut till = Till::new();
    let create = till.customer("c1");
    till.sends();
    till.write(customer("c1"), Action::Remove).unwrap();
    till.hears_halt(Halt::Unreachable);
    till.pulls(&[customer_is("S-1", 1, r#"{"n":1}"#)]);
    let changed = till.write(customer("S-1"), Action::Patch(doc(r#"{"x":1}"#))).unwrap();
    till.sends();
    till.hears(&[(create, named(1, "S-1")), (changed, applied(2))]);
    let conflict = till.open_conflict();
    assert_eq!(conflict.kind, holdfast::model::ConflictKind::DeleteUpdate);
    assert_eq!(conflict.theirs, Presence::Live(doc(r#"{"n":1,"x":1}"#)));
}

/// R16 (sim), P17: what waits on both records stands on what is before it, in one row: each finds what the one in front of it wrote.
#[test]
fn what_goes_behind_finds_what_went_behind_before_it() {
    let mut till = Till::new();
    till.customer("c1");
    till.sends();
    till.hears_halt(Halt::Unreachable);
    till.pulls(&[customer_is("S-1", 1, r#"{"n":1}"#)]);
    let change = |till: &mut Till, id: &str, n: u8| {
        till.write(customer(id), Action::Patch(doc(&format!(r#"{{"n":{n}}}"#)))).unwrap()
    };
    let first = change(&mut till, "S-1", 3);
    till.schema = 2;
    let second = change(&mut till, "S-1", 4);
    change(&mut till, "c1", 2);
    // Only the create leaves.
    let one = holdfast::plan::push::Room { operations: 1, bytes: 1 << 20 };
    till.flight = till.claim_up_to(one).unwrap().batch;
    let create = till.flight.operations[0].op;
    till.hears(&[(create, named(1, "S-1"))]);
    let behind = [first, second].map(|op| match till.fate(op) {
        Some(Fate::Superseded(by)) => till.op(by),
        other => panic!("{other:?}"),
    });
    let found = behind.map(|op| op.before.at(&Path::field("n")).unwrap().text().to_owned());
    assert_eq!(found, ["2", "3"]);
    for number in 2..5 {
        till.pushes(applied(number));
    }
    sees_customer(&till, "c1", r#"{"n":4}"#);
    assert_eq!(till.all().conflicts.len(), 0, "nobody else wrote there");
}

/// R12, R17: what named both of two records that turn out to be one names that one, once; and a record does not wait for itself.
#[test]
fn two_references_that_become_one_are_one() {
    let acked = || Outcome::Applied {
        version: None,
        presence: None,
        stamp: None,
        assigned_id: Some("S-1".into()),
    };
    let mut till = Till::new();
    let creates = [till.customer("c1"), till.customer("c2")];
    let sale = till.creates("o1", r#"{"customer":"c1"}"#);
    till.patches("o1", r#"{"customer":"c2"}"#);
    assert_eq!(till.sends(), creates);
    till.write(customer("c2"), Action::Patch(doc(r#"{"customer":"c1"}"#))).unwrap();
    till.hears(&creates.map(|op| (op, acked())));
    assert_eq!(till.op(sale).refs, [customer("c1")]);
    let changes = till.all().ops.into_values().filter(|op| op.key == customer("c1"));
    assert!(changes.into_iter().all(|op| op.refs.is_empty()));
    assert_eq!(till.sends().len(), 2, "the change and the sale");
}

/// R25, R17: of two records that are one the newer confirmation counts.
#[test]
fn a_record_that_takes_another_in_is_as_confirmed() {
    let mut till = Till::new();
    till.customer("c1");
    till.sends();
    till.hears_halt(Halt::Unreachable);
    till.pulls(&[customer_is("S-1", 1, r#"{"n":1}"#)]);
    let generation = |till: &Till, id| till.all().records.get(&customer(id)).unwrap().generation;
    let confirmed = generation(&till, "S-1");
    assert!(confirmed > generation(&till, "c1"));
    till.pushes(named(1, "S-1"));
    assert_eq!(generation(&till, "c1"), confirmed);
}
