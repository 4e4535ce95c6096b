//! Rules of members and policies of kinds, through the life of an operation (R1, R4, R6, R13, R20, P17, P18).

use holdfast::model::{
    Asks, Choice, Conflict, ConflictKind, Decider, DeviceId, Fate, FieldRule, OpState, Operation,
    Outcome, Path, Presence, PullPage, PushReply, RemoteChange, Side, Stamp, Strategy, Theirs,
    Wall,
};

use crate::till::{
    Till, applied, applied_as, conflict, deleted, doc, live, order, rejected, tombstone, version,
};

/// A till whose orders have rules: `left` is counted, `tags` is a set, `top` the greatest, `log` grows, `status` goes forward.
fn till(strategy: Strategy) -> Till {
    let steps = ["open", "paid", "served"].map(str::to_owned);
    let fields = [
        ("left", FieldRule::Counter),
        ("tags", FieldRule::Set),
        ("top", FieldRule::Max),
        ("log", FieldRule::Append),
        ("status", FieldRule::Monotonic(steps.into())),
        ("theirs", FieldRule::Server),
        ("ours", FieldRule::Client),
        ("newest", FieldRule::LastWriteWins),
        ("asked", FieldRule::Manual),
    ];
    let mut till = Till::with(strategy);
    if let Some(orders) = till.rules.collections.get_mut("orders") {
        orders.fields = fields.map(|(name, rule)| (name.to_owned(), rule)).into();
    }
    till
}

/// What the only operation of the order says of a member, and what it found there.
fn says(op: &Operation, name: &str) -> (String, String) {
    let path = Path::field(name);
    let after = op.intent.replay(Some(&Presence::Live(doc("{}"))));
    let after = after.as_ref().and_then(Presence::document).and_then(|it| it.get(&path.0));
    let text =
        |json: Option<holdfast::model::Json>| json.map_or(String::new(), |it| it.text().to_owned());
    (text(op.before.at(&path)), text(after))
}

/// Conflicts that a rule or a policy settled, with what it chose.
fn settled_by_policy(till: &Till) -> Vec<(Conflict, String)> {
    let all = till.all().conflicts.into_values();
    all.filter_map(|it| {
        let resolved = it.resolved.clone().filter(|it| it.by == Decider::Policy)?;
        Some((it, resolved.choice))
    })
    .collect()
}

/// R1, R4, P17: what was done to a member is done over what others made of it, and nobody is asked, under any policy; the
/// operation takes the server's coordinates, so that a second foreign change finds them right.
#[test]
fn what_was_done_is_done_over_newer_values_twice() {
    let cases = [
        ("left", "5", "4", "9", "8", "20", "19"),
        (
            "tags",
            r#"["a"]"#,
            r#"["a","b"]"#,
            r#"["x","a"]"#,
            r#"["x","a","b"]"#,
            r#"["x"]"#,
            r#"["x","b"]"#,
        ),
        ("top", "1", "5", "3", "5", "4", "5"),
        ("log", "[1]", "[1,2]", "[1,3]", "[1,3,2]", "[1,3,4]", "[1,3,4,2]"),
        (
            "status",
            r#""open""#,
            r#""served""#,
            r#""paid""#,
            r#""served""#,
            r#""paid""#,
            r#""served""#,
        ),
    ];
    for (name, was, mine, first, over_first, second, over_second) in cases {
        for strategy in [Strategy::ServerWins, Strategy::Manual, Strategy::Callback] {
            for sent in [false, true] {
                let one = |value: &str| format!(r#"{{"{name}":{value},"n":1}}"#);
                let mut till = till(strategy);
                till.pulls(&[live("o1", 1, &one(was))]);
                let op = till.patches("o1", &format!(r#"{{"{name}":{mine}}}"#));
                if sent {
                    till.sends();
                }
                till.pulls(&[live("o1", 2, &one(first))]);
                till.sees("o1", &one(over_first));
                if sent {
                    till.hears(&[(op, conflict(2, &one(first)))]);
                    till.sees("o1", &one(over_first));
                }
                till.reopens();
                till.pulls(&[live("o1", 3, &one(second))]);
                till.sees("o1", &one(over_second));
                till.pushes(applied(4));
                till.sees("o1", &one(over_second));
                assert_eq!(till.all().conflicts.len(), 0, "{name} {strategy:?} {sent}");
            }
        }
    }
}

/// R1: a sealed operation that finds what it left was applied, most likely: it is not applied again. One that never left was not.
#[test]
fn a_sealed_counter_that_finds_what_it_left_counts_once() {
    for (sent, shown) in [(true, r#"{"left":4}"#), (false, r#"{"left":3}"#)] {
        let mut till = till(Strategy::Manual);
        till.pulls(&[live("o1", 1, r#"{"left":5}"#)]);
        let op = till.patches("o1", r#"{"left":4}"#);
        if sent {
            till.sends();
        }
        till.pulls(&[live("o1", 2, r#"{"left":4}"#)]);
        till.sees("o1", shown);
        if sent {
            till.hears(&[(op, applied(2))]);
            till.sees("o1", r#"{"left":4}"#);
        }
    }
}

/// R1: what an acked operation left is not calculated again: the page that has it may have it already.
#[test]
fn an_acked_operation_sets_what_it_left() {
    let mut till = till(Strategy::Manual);
    let unversioned = |text: &str| RemoteChange { version: None, ..live("o1", 1, text) };
    till.pulls(&[unversioned(r#"{"left":5}"#)]);
    till.patches("o1", r#"{"left":4}"#);
    till.pushes(Outcome::Applied { version: None, presence: None, stamp: None, assigned_id: None });
    assert!(matches!(till.only("o1").state, OpState::Acked { .. }));
    let page = till.page(&[unversioned(r#"{"left":4,"n":2}"#)], true);
    till.applies(till.cursor().as_ref(), &page).unwrap();
    till.sees("o1", r#"{"left":4,"n":2}"#);
    till.patches("o1", r#"{"left":3}"#);
    till.sees("o1", r#"{"left":3,"n":2}"#);
    till.pulls(&[]);
    till.sees("o1", r#"{"left":3,"n":2}"#);
}

/// R4, R6: each of two operations on one record keeps its own difference, through a conflict of the first.
#[test]
fn a_second_operation_keeps_its_difference_when_the_first_meets_a_conflict() {
    let mut till = till(Strategy::Manual);
    till.pulls(&[live("o1", 1, r#"{"left":5,"tags":["a"]}"#)]);
    let first = till.patches("o1", r#"{"left":4,"tags":["a","b"]}"#);
    till.sends();
    till.patches("o1", r#"{"left":2,"tags":["b","c"]}"#);
    till.hears(&[(first, conflict(2, r#"{"left":9,"tags":["z","a"]}"#))]);
    till.sees("o1", r#"{"left":6,"tags":["z","b","c"]}"#);
    till.reopens();
    till.pushes(applied(3));
    till.sees("o1", r#"{"left":6,"tags":["z","b","c"]}"#);
    assert_eq!(says(&till.only("o1"), "left"), ("8".into(), "6".into()));
    till.pushes(applied(4));
    till.sees("o1", r#"{"left":6,"tags":["z","b","c"]}"#);
}

/// R6: what the server made of our write in its place is no foreign change: later operations stand on that, and keep what they do.
#[test]
fn a_correction_of_the_server_keeps_later_differences() {
    for version_known in [true, false] {
        let mut till = till(Strategy::Manual);
        till.pulls(&[live("o1", 1, r#"{"left":5,"n":1}"#)]);
        let first = till.patches("o1", r#"{"left":4}"#);
        till.sends();
        till.patches("o1", r#"{"left":3}"#);
        if !version_known {
            // A page that is newer than the verdict came first.
            till.pulls(&[live("o1", 3, r#"{"left":10,"n":2}"#)]);
        }
        till.hears(&[(first, applied_as(2, r#"{"left":10,"n":1}"#))]);
        let n = if version_known { 1 } else { 2 };
        till.sees("o1", &format!(r#"{{"left":9,"n":{n}}}"#));
        assert_eq!(says(&till.only("o1"), "left"), ("10".into(), "9".into()));
        assert_eq!(till.all().conflicts.len(), 0);
        till.pushes(applied(4));
        till.sees("o1", &format!(r#"{{"left":9,"n":{n}}}"#));
    }
}

/// R13: the newer edit is in coordinates of the view, the folded operation in older ones: differences are added up.
#[test]
fn counters_fold_by_what_was_done_and_not_by_the_newer_value() {
    let mut till = till(Strategy::Manual);
    till.pulls(&[live("o1", 1, r#"{"left":5,"tags":["a"],"n":1}"#)]);
    let first = till.patches("o1", r#"{"n":2}"#);
    till.sends();
    let second = till.patches("o1", r#"{"left":4,"tags":["a","b"]}"#);
    till.pulls(&[live("o1", 2, r#"{"left":9,"tags":["a","z"],"n":1}"#)]);
    till.sees("o1", r#"{"left":8,"tags":["a","z","b"],"n":2}"#);
    assert_eq!(till.patches("o1", r#"{"left":7,"tags":["z","b","c"]}"#), second, "folded");
    till.sees("o1", r#"{"left":7,"tags":["z","b","c"],"n":2}"#);
    let folded = till.op(second);
    assert_eq!(says(&folded, "left"), ("5".into(), "3".into()));
    assert_eq!(says(&folded, "tags"), (r#"["a"]"#.into(), r#"["b","c"]"#.into()));
    till.hears(&[(first, conflict(2, r#"{"left":9,"tags":["a","z"],"n":1}"#))]);
    till.pushes(applied(3));
    till.sees("o1", r#"{"left":7,"tags":["z","b","c"],"n":2}"#);
    // So do a create that counts and a whole document.
    let create = till.creates("o2", r#"{"left":3}"#);
    assert_eq!(till.patches("o2", r#"{"left":2}"#), create);
    assert_eq!(till.replaces("o2", r#"{"left":1}"#), create);
    till.sees("o2", r#"{"left":1}"#);
}

/// R13, R4: a member that the older edit did not touch is calculated from what the newer one found there.
#[test]
fn a_counter_folds_into_an_edit_that_did_not_count() {
    let mut till = till(Strategy::Manual);
    till.pulls(&[live("o1", 1, r#"{"left":5,"n":1}"#)]);
    let first = till.patches("o1", r#"{"n":2}"#);
    assert_eq!(till.patches("o1", r#"{"left":4}"#), first, "folded");
    assert_eq!(says(&till.op(first), "left"), ("5".into(), "4".into()));
    till.pulls(&[live("o1", 2, r#"{"left":9,"n":1}"#)]);
    till.sees("o1", r#"{"left":8,"n":2}"#);
}

/// R13, P11: what one operation cannot say stays two: a greatest value that others raised, and the user then lowered.
#[test]
fn what_a_rule_cannot_say_in_one_stays_two() {
    let mut till = till(Strategy::Manual);
    till.pulls(&[live("o1", 1, r#"{"top":5,"n":1}"#)]);
    let first = till.patches("o1", r#"{"n":2}"#);
    till.sends();
    let second = till.patches("o1", r#"{"top":7}"#);
    till.pulls(&[live("o1", 2, r#"{"top":10,"n":1}"#)]);
    till.sees("o1", r#"{"top":10,"n":2}"#);
    let third = till.patches("o1", r#"{"top":8}"#);
    assert_ne!(third, second);
    till.sees("o1", r#"{"top":8,"n":2}"#);
    till.hears(&[(first, conflict(2, r#"{"top":10,"n":1}"#))]);
    till.sees("o1", r#"{"top":8,"n":2}"#);
    till.pushes(applied(3));
    till.pushes(applied(4));
    till.sees("o1", r#"{"top":8,"n":2}"#);
}

/// SEMANTICS 4, R6: a discarded change is composed out of what stood behind it, and that keeps its difference.
#[test]
fn a_discarded_difference_is_taken_out_of_what_follows() {
    let mut till = till(Strategy::Manual);
    till.pulls(&[live("o1", 1, r#"{"left":5,"log":[1]}"#)]);
    let first = till.patches("o1", r#"{"left":4,"log":[1,2]}"#);
    till.sends();
    till.patches("o1", r#"{"left":1,"log":[1,2,3]}"#);
    till.hears(&[(first, rejected("no"))]);
    till.sees("o1", r#"{"left":5,"log":[1]}"#);
    till.discards(first).unwrap();
    till.sees("o1", r#"{"left":2,"log":[1,3]}"#);
    till.pushes(applied(2));
    till.sees("o1", r#"{"left":2,"log":[1,3]}"#);
}

/// SEMANTICS 4: a rejected operation that is sent again does over the present record what it did, and its correction with it.
#[test]
fn a_retried_difference_is_over_the_present_record() {
    for (patch, shown) in
        [(None, r#"{"left":8,"n":2}"#), (Some(r#"{"left":2}"#), r#"{"left":6,"n":2}"#)]
    {
        let mut till = till(Strategy::Manual);
        till.pulls(&[live("o1", 1, r#"{"left":5,"n":1}"#)]);
        let op = till.patches("o1", r#"{"left":4}"#);
        till.pushes(rejected("no"));
        till.pulls(&[live("o1", 2, r#"{"left":9,"n":2}"#)]);
        till.sees("o1", r#"{"left":9,"n":2}"#);
        till.retries(op, patch).unwrap();
        till.sees("o1", shown);
        till.pushes(applied(3));
        till.sees("o1", shown);
    }
}

/// R1: a create over a record that somebody else made counts from nothing, under every policy.
#[test]
fn two_creates_are_added_up() {
    let mut till = till(Strategy::Manual);
    till.creates("o1", r#"{"left":3,"tags":["a"],"n":1}"#);
    till.sends();
    till.pulls(&[live("o1", 1, r#"{"left":4,"tags":["b"],"n":1}"#)]);
    till.sees("o1", r#"{"left":7,"tags":["b","a"],"n":1}"#);
    let op = till.only("o1").id;
    till.hears(&[(op, conflict(1, r#"{"left":4,"tags":["b"],"n":1}"#))]);
    till.sees("o1", r#"{"left":7,"tags":["b","a"],"n":1}"#);
    till.pushes(applied(2));
    till.sees("o1", r#"{"left":7,"tags":["b","a"],"n":1}"#);
}

/// R1, R4: a whole document over a newer record does to each member what its rule says.
#[test]
fn a_replacement_keeps_its_differences() {
    for sent in [true, false] {
        let mut till = till(Strategy::Manual);
        till.pulls(&[live("o1", 1, r#"{"left":5,"top":1,"n":1}"#)]);
        let op = till.replaces("o1", r#"{"left":4,"top":1,"n":2}"#);
        let theirs = r#"{"left":9,"top":0,"n":1}"#;
        if sent {
            till.sends();
            till.hears(&[(op, conflict(2, theirs))]);
        } else {
            till.pulls(&[live("o1", 2, theirs)]);
        }
        till.sees("o1", r#"{"left":8,"top":0,"n":2}"#);
        till.pushes(applied(3));
        till.sees("o1", r#"{"left":8,"top":0,"n":2}"#);
    }
}

/// P18: rules that take sides, `server | client | lww`, are final and keep what lost.
#[test]
fn a_side_that_loses_by_a_rule_is_kept() {
    let base = r#"{"theirs":1,"ours":1,"left":1}"#;
    let server = r#"{"theirs":3,"ours":3,"left":3}"#;
    for (patch, shown, choice) in [
        (r#"{"theirs":2}"#, server, "theirs"),
        (r#"{"ours":2}"#, r#"{"theirs":3,"ours":2,"left":3}"#, "mine"),
        (r#"{"theirs":2,"ours":2,"left":2}"#, r#"{"theirs":3,"ours":2,"left":4}"#, "fields"),
    ] {
        for sent in [true, false] {
            let mut till = till(Strategy::Manual);
            till.pulls(&[live("o1", 1, base)]);
            let op = till.patches("o1", patch);
            if sent {
                till.sends();
                till.hears(&[(op, conflict(2, server))]);
            } else {
                till.pulls(&[live("o1", 2, server)]);
            }
            till.sees("o1", shown);
            assert_eq!(till.open_conflicts(), 0);
            let [(kept, chose)] = &settled_by_policy(&till)[..] else { panic!("one record") };
            assert_eq!(chose, choice);
            assert_eq!(kept.theirs, Presence::Live(doc(server)));
            assert_eq!((kept.op, kept.kind), (op, ConflictKind::UpdateUpdate));
            for name in ["theirs", "ours"] {
                let path = [name.to_owned()];
                if let Some(value) = doc(patch).get(&path) {
                    let mine = kept.mine.document().unwrap();
                    assert_eq!(mine.get(&path), Some(value), "{name} of what lost");
                }
            }
            if choice != "theirs" {
                till.pushes(applied(3));
                till.sees("o1", shown);
            }
            assert_eq!(till.sends(), []);
        }
    }
}

/// P18: `client-wins` keeps what the server had, of every kind of conflict.
#[test]
fn client_wins_keeps_the_loser() {
    let base = r#"{"a":1,"b":1}"#;
    for (kind, theirs) in [
        (ConflictKind::UpdateUpdate, Some(r#"{"a":3,"b":1}"#)),
        (ConflictKind::UpdateDelete, None),
        (ConflictKind::DeleteUpdate, Some(r#"{"a":3,"b":1}"#)),
        (ConflictKind::CreateCreate, Some(r#"{"a":3,"c":1}"#)),
    ] {
        let mut till = till(Strategy::ClientWins);
        if kind != ConflictKind::CreateCreate {
            till.pulls(&[live("o1", 1, base)]);
        }
        let op = match kind {
            ConflictKind::CreateCreate => till.creates("o1", r#"{"a":2,"b":1}"#),
            ConflictKind::DeleteUpdate => till.removes("o1"),
            ConflictKind::UpdateUpdate | ConflictKind::UpdateDelete => {
                till.patches("o1", r#"{"a":2}"#)
            }
        };
        till.pushes(theirs.map_or(deleted(2), |theirs| conflict(2, theirs)));
        let [(kept, choice)] = &settled_by_policy(&till)[..] else {
            panic!("one record of {kind:?}")
        };
        let lost = theirs.map_or(Presence::Deleted, |text| Presence::Live(doc(text)));
        assert_eq!((&kept.theirs, kept.kind, kept.op, &**choice), (&lost, kind, op, "mine"));
        let next = till.pushes(applied(3));
        assert_ne!(next, op, "R4: a new operation in new coordinates");
        match kind {
            ConflictKind::UpdateUpdate | ConflictKind::UpdateDelete => {
                till.sees("o1", r#"{"a":2,"b":1}"#)
            }
            ConflictKind::DeleteUpdate => till.sees_nothing("o1"),
            // What only they wrote stays: nobody said anything else.
            ConflictKind::CreateCreate => till.sees("o1", r#"{"a":2,"b":1,"c":1}"#),
        }
    }
}

/// P17, P18: `server-wins` gives up what no rule settles, as one, and keeps what a rule does: a sale is not lost with a note.
#[test]
fn server_wins_gives_up_the_note_and_keeps_the_sale() {
    let mut till = till(Strategy::ServerWins);
    till.pulls(&[live("o1", 1, r#"{"left":5,"note":"a","by":1}"#)]);
    let op = till.patches("o1", r#"{"left":4,"note":"b","by":2}"#);
    till.pushes(conflict(2, r#"{"left":9,"note":"c","by":1}"#));
    till.sees("o1", r#"{"left":8,"note":"c","by":1}"#);
    let [(kept, choice)] = &settled_by_policy(&till)[..] else { panic!("one record") };
    assert_eq!((kept.op, &**choice), (op, "fields"));
    assert_eq!(kept.mine, Presence::Live(doc(r#"{"left":8,"note":"b","by":2}"#)));
    till.pushes(applied(3));
    till.sees("o1", r#"{"left":8,"note":"c","by":1}"#);
}

/// P18, P19: a member for a person stops the record whatever the policy; both sides move on by the rules meanwhile.
#[test]
fn a_person_is_asked_about_one_member_and_the_rest_is_calculated() {
    let mut till = till(Strategy::ServerWins);
    till.pulls(&[live("o1", 1, r#"{"asked":1,"left":5}"#)]);
    till.patches("o1", r#"{"asked":2,"left":4}"#);
    till.pushes(conflict(2, r#"{"asked":3,"left":9}"#));
    till.sees("o1", r#"{"asked":2,"left":8}"#);
    assert_eq!(till.open_conflict().asks, Asks::Person);
    till.patches("o1", r#"{"left":7}"#);
    till.sees("o1", r#"{"asked":2,"left":7}"#);
    till.reopens();
    till.pulls(&[live("o1", 3, r#"{"asked":4,"left":20}"#)]);
    till.sees("o1", r#"{"asked":2,"left":18}"#);
    let path = Path::field("asked");
    let sides = vec![(path, Side::Mine), (Path::field("left"), Side::Mine)];
    till.resolves(&Choice::Fields(sides)).unwrap();
    till.sees("o1", r#"{"asked":2,"left":18}"#);
    let only = till.only("o1");
    assert_eq!(says(&only, "left"), ("20".into(), "18".into()));
    till.pushes(conflict(4, r#"{"asked":4,"left":21}"#));
    till.sees("o1", r#"{"asked":2,"left":19}"#);
}

/// The server of two tills: one record, a version that grows, whoever is late hears of a conflict.
struct Shelf {
    version: u64,
    text: String,
}

impl Shelf {
    fn takes(&mut self, till: &mut Till) {
        while let [op] = till.sends()[..] {
            let departure = till.flight.operations.first().cloned();
            let known = departure.filter(|it| it.assumed == Some(version(self.version)));
            let said = match known {
                Some(it) => {
                    let after = it.intent.replay(Some(&Presence::Live(doc(&self.text))));
                    let after = after.as_ref().and_then(Presence::document);
                    self.text = after.map_or(String::new(), |it| it.text().to_owned());
                    self.version += 1;
                    applied(self.version)
                }
                None => conflict(self.version, &self.text),
            };
            till.hears(&[(op, said)]);
        }
    }

    fn tells(&self, till: &mut Till) {
        till.pulls(&[live("o1", self.version, &self.text)]);
    }
}

/// P15, P18: two tills, four sales, a tag each, a status that went ahead: in whichever order they come, both end with all of it.
#[test]
fn two_tills_end_with_what_both_did() {
    for first in [0, 1] {
        let mut shelf = Shelf {
            version: 1,
            text: r#"{"left":10,"tags":["w"],"status":"open","top":3}"#.to_owned(),
        };
        let mut tills = [till(Strategy::Manual), till(Strategy::ServerWins)];
        tills[1].device = 9;
        for till in &mut tills {
            shelf.tells(till);
        }
        tills[0].patches("o1", r#"{"left":9,"tags":["w","a"],"status":"served","top":4}"#);
        tills[0].patches("o1", r#"{"left":7}"#);
        tills[1].patches("o1", r#"{"left":9,"tags":["b"],"status":"paid","top":7}"#);
        for turn in [first, 1 - first] {
            tills[turn].reopens();
            shelf.takes(&mut tills[turn]);
            tills[turn].patches("o1", r#"{"tags":["b","c"]}"#);
            shelf.takes(&mut tills[turn]);
        }
        let end = doc(&shelf.text);
        for (name, value) in [("left", "6"), ("status", r#""served""#), ("top", "7")] {
            assert_eq!(end.get(&[name.to_owned()]).unwrap().text(), value, "{name} {first}");
        }
        for till in &mut tills {
            shelf.tells(till);
            till.sees("o1", &shelf.text);
            assert_eq!((till.queue("o1").len(), till.all().conflicts.len()), (0, 0));
        }
    }
}

fn at(millis: u64) -> Option<Stamp> {
    Some(Stamp { millis, counter: 0, device: DeviceId::from_bytes([0; 16]) })
}

fn told_at(millis: u64, number: u64, text: &str) -> Outcome {
    let theirs =
        Theirs::Live { document: doc(text), version: Some(version(number)), stamp: at(millis) };
    Outcome::Conflict { theirs, other: None, token: None }
}

/// P18, R20: the newer edit wins, of a member and of a record; what lost is kept.
#[test]
fn the_newer_write_wins() {
    for (name, strategy) in [("newest", Strategy::Manual), ("plain", Strategy::LastWriteWins)] {
        for mine_wins in [true, false] {
            let one = |value: u8| format!(r#"{{"{name}":{value}}}"#);
            let mut till = till(strategy);
            till.pulls(&[live("o1", 1, &one(1))]);
            till.patches("o1", &one(2));
            let millis = if mine_wins { till.now - 60_000 } else { till.now + 60_000 };
            till.pushes(told_at(millis, 2, &one(3)));
            till.sees("o1", &one(if mine_wins { 2 } else { 3 }));
            let [(kept, choice)] = &settled_by_policy(&till)[..] else { panic!("one record") };
            assert_eq!(&**choice, if mine_wins { "mine" } else { "theirs" });
            assert_eq!(kept.theirs, Presence::Live(doc(&one(3))));
        }
    }
}

/// R20: a time from the future counts as the moment in which we heard of it. It wins over what was written before, and not over
/// what comes after.
#[test]
fn a_write_from_the_future_does_not_win_for_ever() {
    let mut till = till(Strategy::LastWriteWins);
    till.pulls(&[live("o1", 1, r#"{"a":1}"#)]);
    let first = till.patches("o1", r#"{"a":2}"#);
    till.sends();
    let hours = till.now + 36_000_000;
    till.pulls(&[RemoteChange { stamp: at(hours), ..live("o1", 2, r#"{"a":9}"#) }]);
    let stamp = till.base("o1").unwrap().stamp.unwrap();
    assert!(stamp.millis <= till.now, "{stamp:?}");
    till.now += 600_000;
    let second = till.patches("o1", r#"{"a":3}"#);
    till.hears(&[(first, told_at(hours, 2, r#"{"a":9}"#))]);
    assert!(matches!(till.fate(first), Some(Fate::Yielded(_))));
    till.reopens();
    till.sees("o1", r#"{"a":3}"#);
    assert_eq!(till.sends(), [second]);
}

/// R20: stamps are the server's time, whatever the device's clock says, and do not go back with it; the correction survives a
/// restart and is the median of what the answers said.
#[test]
fn stamps_follow_the_clock_of_the_server() {
    let mut till = till(Strategy::LastWriteWins);
    let hour = 3_600_000;
    let server = till.now + hour;
    for _ in 0..3 {
        let page = PullPage { time: Some(Wall(till.now + hour)), ..till.page(&[], false) };
        till.applies(till.cursor().as_ref(), &page).unwrap();
    }
    till.reopens();
    let op = till.creates("o1", r#"{"n":1}"#);
    let stamp = till.op(op).stamp;
    assert!(stamp.millis.abs_diff(server) < 1_000, "{stamp:?} for {server}");
    // One answer that is wrong by a year changes nothing; the device's clock set back by a day does not set stamps back.
    till.sends();
    let reply = PushReply {
        outcomes: vec![(op, applied(1))],
        time: Some(Wall(till.now + 8_760 * hour)),
        ..PushReply::default()
    };
    till.settles(&reply).unwrap();
    till.now -= 24 * hour;
    let next = till.patches("o1", r#"{"n":2}"#);
    assert!(till.op(next).stamp > stamp);
    assert!(till.op(next).stamp.millis.abs_diff(server) < 1_000);
}

/// R4: a deletion and a change meet by the policy of their kind, and a record that is gone has no members to count.
#[test]
fn each_kind_of_conflict_goes_by_its_own_policy() {
    let mut till = till(Strategy::Manual);
    let orders = till.rules.collections.get_mut("orders").unwrap();
    orders.policies.update_delete = Strategy::ServerWins;
    orders.policies.delete_update = Strategy::ClientWins;
    till.pulls(&[
        live("o1", 1, r#"{"left":5}"#),
        live("o2", 1, r#"{"left":5}"#),
        live("o3", 1, r#"{"n":5}"#),
    ]);
    till.patches("o1", r#"{"left":4}"#);
    till.removes("o2");
    till.patches("o3", r#"{"n":4}"#);
    till.pulls(&[tombstone("o1", 2), live("o2", 2, r#"{"left":9}"#), live("o3", 2, r#"{"n":9}"#)]);
    till.sees_nothing("o1");
    till.sees_nothing("o2");
    assert_eq!(till.open_conflict().key, order("o3"));
    assert_eq!(settled_by_policy(&till).len(), 2);
    till.pushes(applied(3));
    till.sees_nothing("o2");
}

/// P18: what was added up is no loss: a conflict record does not name it, and bringing the loser back leaves it.
#[test]
fn what_was_added_up_is_not_among_what_lost() {
    let mut till = till(Strategy::Manual);
    till.pulls(&[live("o1", 1, r#"{"ours":1,"left":5}"#)]);
    till.patches("o1", r#"{"ours":2,"left":4}"#);
    till.pushes(conflict(2, r#"{"ours":3,"left":9}"#));
    let [(kept, choice)] = &settled_by_policy(&till)[..] else { panic!("one record") };
    assert_eq!((choice.as_str(), &kept.fields[..]), ("mine", &[Path::field("ours")][..]));
    till.pushes(applied(3));
    till.restores(kept.id).unwrap();
    till.sees("o1", r#"{"ours":3,"left":8}"#);
}
