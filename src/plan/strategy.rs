//! What to do where both sides changed a record: a pure function of before, after, theirs and the declared rules (R4, P18).

use crate::model::{
    Base, Before, CollectionRules, ConflictKind, Document, Edit, FieldRule, Intent, Json,
    Operation, Path, Presence, Strategy,
};
use crate::model::{edit, operation};

/// What becomes of an operation that met a change of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server has it already.
    Same,
    /// These edits say the same over the server's side.
    Rebase(Vec<Edit>),
    /// These edits are what is left of ours over the server's side, where a rule or a policy took sides. A conflict record keeps
    /// what lost.
    Settle(Vec<Edit>, Won),
    /// The server's side stands; ours is kept in the conflict record.
    TakeTheirs,
    /// Ours stands as a whole, and nobody said anything else.
    KeepMine,
    /// Ours stands as a whole; the server's side is kept in the conflict record.
    Prevail,
    /// The application's resolver decides; a person where there is none (R26).
    AskCallback,
    /// A person decides.
    AskPerson,
}

/// Who won where sides were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Won {
    /// The device, at every path.
    Mine,
    /// One here, the other there.
    Both,
}

/// What the two sides did.
#[must_use]
pub fn kind_of(intent: &Intent, theirs: &Presence) -> ConflictKind {
    match (intent, theirs) {
        (Intent::Delete, _) => ConflictKind::DeleteUpdate,
        (_, Presence::Deleted) => ConflictKind::UpdateDelete,
        (Intent::Create(_), Presence::Live(_)) => ConflictKind::CreateCreate,
        (Intent::Change(_) | Intent::Replace(_) | Intent::Resolve(_), Presence::Live(_)) => {
            ConflictKind::UpdateUpdate
        }
    }
}

/// Judges the first operation of a record against what the server has. Never looks at the version: two sides conflict only
/// where both changed a value, and to different values (P17).
#[must_use]
pub fn judge(op: &Operation, theirs: &Base, rules: &CollectionRules) -> Verdict {
    let judge = Judge {
        before: &op.before,
        rules,
        policy: rules.policies.of(kind_of(&op.intent, &theirs.presence)),
        mine_is_newer: theirs.stamp.is_none_or(|stamp| op.stamp > stamp),
    };
    match (&op.intent, &theirs.presence) {
        (Intent::Delete, Presence::Deleted) => Verdict::Same,
        (Intent::Resolve(resolve), presence) => {
            if resolve.chosen == *presence {
                Verdict::Same
            } else {
                Verdict::AskPerson
            }
        }
        (Intent::Delete, Presence::Live(theirs)) => {
            if unchanged(&op.before, theirs) {
                Verdict::KeepMine
            } else {
                judge.whole()
            }
        }
        // Somebody made and removed a record of this id before: ours is a new one.
        (Intent::Create(_), Presence::Deleted) => Verdict::KeepMine,
        (Intent::Change(_) | Intent::Replace(_), Presence::Deleted) => judge.whole(),
        (Intent::Create(document), Presence::Live(theirs)) => {
            judge.members(&operation::sets(document), theirs)
        }
        (Intent::Change(edits), Presence::Live(theirs)) => judge.members(edits, theirs),
        (Intent::Replace(document), Presence::Live(theirs)) => match &op.before {
            Before::Whole(Some(before)) => judge.members(&edit::diff(before, document), theirs),
            Before::Whole(None) | Before::Nothing | Before::Paths(_) => {
                judge.members(&operation::sets(document), theirs)
            }
        },
    }
}

fn unchanged(before: &Before, theirs: &Document) -> bool {
    matches!(before, Before::Whole(Some(before)) if before == theirs)
}

struct Judge<'a> {
    before: &'a Before,
    rules: &'a CollectionRules,
    policy: Strategy,
    mine_is_newer: bool,
}

/// What becomes of one path.
enum Step {
    /// There is nothing to say: they have it, or we said nothing.
    Nothing,
    /// Only we said something, or the member's rule keeps or calculates it.
    Keep(Edit),
    /// Both did: ours, by the member's rule.
    Mine(Edit),
    /// Both did: theirs, by the member's rule.
    Theirs,
    /// Both did, and no rule settles it.
    Contested(Edit),
    /// Both did, and the rule wants a person.
    Person,
}

impl Judge<'_> {
    /// A conflict about the whole record: no rule of a member settles it.
    fn whole(&self) -> Verdict {
        match self.policy {
            Strategy::ServerWins => Verdict::TakeTheirs,
            Strategy::ClientWins => Verdict::Prevail,
            Strategy::LastWriteWins if self.mine_is_newer => Verdict::Prevail,
            Strategy::LastWriteWins => Verdict::TakeTheirs,
            Strategy::Manual => Verdict::AskPerson,
            Strategy::Merge | Strategy::Callback => Verdict::AskCallback,
        }
    }

    /// Path by path: what only we changed is kept, what only they changed is theirs. What both changed goes by the member's rule,
    /// and what has none by the policy. A policy decides over all of our paths without a rule as one: half an edit may say
    /// something that nobody meant.
    fn members(&self, edits: &[Edit], theirs: &Document) -> Verdict {
        let (mut ruled, mut all) = (Vec::new(), Vec::new());
        let (mut mine_won, mut theirs_won, mut contested) = (false, false, false);
        for (path, mine) in &after(edits) {
            let edit = match self.step(path, mine.as_ref(), theirs) {
                Step::Nothing => continue,
                Step::Theirs => {
                    theirs_won = true;
                    continue;
                }
                Step::Person => return Verdict::AskPerson,
                Step::Keep(edit) => edit,
                Step::Mine(edit) => {
                    mine_won = true;
                    edit
                }
                Step::Contested(edit) => {
                    contested = true;
                    all.push(edit);
                    continue;
                }
            };
            if self.rules.field(path).is_some() {
                ruled.push(edit.clone());
            }
            all.push(edit);
        }
        let kept = if contested {
            match self.policy {
                Strategy::LastWriteWins | Strategy::ClientWins
                    if self.mine_is_newer || self.policy == Strategy::ClientWins =>
                {
                    mine_won = true;
                    all
                }
                Strategy::ServerWins | Strategy::LastWriteWins | Strategy::ClientWins => {
                    theirs_won = true;
                    ruled
                }
                Strategy::Manual => return Verdict::AskPerson,
                Strategy::Merge | Strategy::Callback => return Verdict::AskCallback,
            }
        } else {
            all
        };
        match (mine_won, theirs_won, kept.is_empty()) {
            (false, false, true) => Verdict::Same,
            (false, false, false) => Verdict::Rebase(kept),
            (_, true, true) => Verdict::TakeTheirs,
            (_, true, false) => Verdict::Settle(kept, Won::Both),
            (true, false, _) => Verdict::Settle(kept, Won::Mine),
        }
    }

    fn step(&self, path: &Path, mine: Option<&Json>, theirs: &Document) -> Step {
        let there = theirs.get(&path.0);
        let there = there.as_ref();
        let was = self.before.at(path);
        let was = was.as_ref();
        if mine == was {
            return Step::Nothing;
        }
        let calculated = self.rules.calculating(path).and_then(|rule| rule.over(was, mine, there));
        let edit = |value: Option<&Json>| Edit::to(path.clone(), value.cloned());
        if calculated.is_some() {
            let kept = calculated.as_ref() != there;
            return if kept { Step::Keep(edit(calculated.as_ref())) } else { Step::Nothing };
        }
        if mine == there {
            return Step::Nothing;
        }
        if was == there && !self.displaces(path, theirs) {
            return Step::Keep(edit(mine));
        }
        match self.rules.field(path) {
            Some(FieldRule::Server) => Step::Theirs,
            Some(FieldRule::Client) => Step::Mine(edit(mine)),
            Some(FieldRule::LastWriteWins) if self.mine_is_newer => Step::Mine(edit(mine)),
            Some(FieldRule::LastWriteWins) => Step::Theirs,
            Some(FieldRule::Manual) => Step::Person,
            // A value that the rule cannot calculate with.
            Some(
                FieldRule::Set
                | FieldRule::Counter
                | FieldRule::Max
                | FieldRule::Min
                | FieldRule::Monotonic(_)
                | FieldRule::Append,
            )
            | None => Step::Contested(edit(mine)),
        }
    }
}

impl Judge<'_> {
    /// Whether a value at a path would make an object where they put something else, or took the object away: that nothing is at
    /// the path on either side does not say that they left it alone.
    fn displaces(&self, path: &Path, theirs: &Document) -> bool {
        path.obstacle(theirs)
            .is_some_and(|(above, there)| !self.before.found(&above, there.as_ref()))
    }
}

/// What stands at each path after the edits.
fn after(edits: &[Edit]) -> Vec<(Path, Option<Json>)> {
    let mut after: Vec<(Path, Option<Json>)> = Vec::new();
    for edit in edits {
        let value = edit.value().cloned();
        match after.iter_mut().find(|(path, _)| path == edit.path()) {
            Some(slot) => slot.1 = value,
            None => after.push((edit.path().clone(), value)),
        }
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Assumed, DeviceId, EntityKey, IdSeed, OpState, Owner, Policies, Priority, Seq, Stamp, Wall,
    };

    fn document(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    fn op(intent: Intent, before: Before) -> Operation {
        let device = DeviceId::from_bytes([1; 16]);
        Operation {
            seq: Seq(1),
            id: IdSeed { at: Wall(1), random: [0; 10] }.op(0),
            key: EntityKey::new("orders", "1"),
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

    fn change(before: &str, patch: &str) -> Operation {
        let before = document(before);
        let edits = edit::from_merge_patch(&before, &document(patch));
        let found = super::super::draft::before_of(Some(&before), &edits);
        op(Intent::Change(edits), found)
    }

    fn theirs(text: &str) -> Base {
        let presence =
            if text.is_empty() { Presence::Deleted } else { Presence::Live(document(text)) };
        Base { presence, version: None, stamp: None, guessed: false }
    }

    fn edits(patch: &str) -> Vec<Edit> {
        edit::from_merge_patch(&document("{}"), &document(patch))
    }

    fn kept(patch: &str) -> Verdict {
        Verdict::Rebase(edits(patch))
    }

    fn settled(patch: &str, won: Won) -> Verdict {
        Verdict::Settle(edits(patch), won)
    }

    /// P17, P18: the table of 3.2 and R4: `case | operation | theirs | server-wins | merge and manual`.
    #[test]
    fn conflicts_are_judged_by_the_table() {
        let whole = |text: &str| Before::Whole(Some(document(text)));
        let base = r#"{"a":1,"b":1}"#;
        let cases = [
            ("nobody else", change(base, r#"{"a":2}"#), base, kept(r#"{"a":2}"#), None),
            ("disjoint", change(base, r#"{"a":2}"#), r#"{"a":1,"b":9}"#, kept(r#"{"a":2}"#), None),
            ("equal", change(base, r#"{"a":2}"#), r#"{"a":2,"b":1}"#, Verdict::Same, None),
            (
                "both",
                change(base, r#"{"a":2}"#),
                r#"{"a":3,"b":1}"#,
                Verdict::TakeTheirs,
                Some(Verdict::AskPerson),
            ),
            (
                "both and one",
                change(base, r#"{"a":2,"b":2}"#),
                r#"{"a":3,"b":1}"#,
                Verdict::TakeTheirs,
                Some(Verdict::AskPerson),
            ),
            (
                "one equal",
                change(base, r#"{"a":2,"b":2}"#),
                r#"{"a":2,"b":1}"#,
                kept(r#"{"b":2}"#),
                None,
            ),
            (
                "absent is not null",
                change("{}", r#"{"a":2}"#),
                r#"{"a":null}"#,
                Verdict::TakeTheirs,
                Some(Verdict::AskPerson),
            ),
            (
                "set to what it was",
                change(base, r#"{"a":1}"#),
                r#"{"a":3,"b":1}"#,
                Verdict::Same,
                None,
            ),
            (
                "they deleted",
                change(base, r#"{"a":2}"#),
                "",
                Verdict::TakeTheirs,
                Some(Verdict::AskPerson),
            ),
            (
                "we deleted",
                op(Intent::Delete, whole(base)),
                r#"{"a":3,"b":1}"#,
                Verdict::TakeTheirs,
                Some(Verdict::AskPerson),
            ),
            (
                "we deleted, they did nothing",
                op(Intent::Delete, whole(base)),
                base,
                Verdict::KeepMine,
                None,
            ),
            ("both deleted", op(Intent::Delete, whole(base)), "", Verdict::Same, None),
            (
                "both made the same",
                op(Intent::Create(document(base)), Before::Nothing),
                base,
                Verdict::Same,
                None,
            ),
            (
                "both made parts",
                op(Intent::Create(document(r#"{"a":1}"#)), Before::Nothing),
                r#"{"b":1}"#,
                kept(r#"{"a":1}"#),
                None,
            ),
            (
                "both made",
                op(Intent::Create(document(base)), Before::Nothing),
                r#"{"a":7}"#,
                Verdict::TakeTheirs,
                Some(Verdict::AskPerson),
            ),
            (
                "made over a tombstone",
                op(Intent::Create(document(base)), Before::Nothing),
                "",
                Verdict::KeepMine,
                None,
            ),
            (
                "replaced, disjoint",
                op(Intent::Replace(document(r#"{"a":2,"b":1}"#)), whole(base)),
                r#"{"a":1,"b":9}"#,
                kept(r#"{"a":2}"#),
                None,
            ),
            (
                "replaced, both",
                op(Intent::Replace(document(r#"{"b":1}"#)), whole(base)),
                r#"{"a":5,"b":1}"#,
                Verdict::TakeTheirs,
                Some(Verdict::AskPerson),
            ),
        ];
        for (case, op, server, server_wins, asking) in cases {
            let rules = |strategy| CollectionRules {
                policies: Policies::all(strategy),
                ..CollectionRules::default()
            };
            let judge = |strategy| judge(&op, &theirs(server), &rules(strategy));
            assert_eq!(judge(Strategy::ServerWins), server_wins, "{case}, server-wins");
            let asking = asking.unwrap_or(server_wins);
            assert_eq!(judge(Strategy::Manual), asking, "{case}, manual");
            let asks = if asking == Verdict::AskPerson { Verdict::AskCallback } else { asking };
            assert_eq!(judge(Strategy::Merge), asks, "{case}, merge");
            assert_eq!(judge(Strategy::Callback), asks, "{case}, callback");
        }
    }

    /// P18, R20.
    #[test]
    fn the_newer_stamp_wins_where_that_is_the_rule() {
        let op = change(r#"{"a":1}"#, r#"{"a":2}"#);
        let rules = CollectionRules {
            policies: Policies::all(Strategy::LastWriteWins),
            ..CollectionRules::default()
        };
        for (millis, verdict) in [(5, settled(r#"{"a":2}"#, Won::Mine)), (15, Verdict::TakeTheirs)]
        {
            let stamp = Stamp { millis, ..op.stamp };
            let theirs = Base { stamp: Some(stamp), ..theirs(r#"{"a":3}"#) };
            assert_eq!(judge(&op, &theirs, &rules), verdict);
        }
    }

    /// P18, R4.
    #[test]
    fn a_rebased_operation_judged_again_says_the_same() {
        let op = change(r#"{"a":1,"b":1}"#, r#"{"a":2}"#);
        let (rules, server) = (CollectionRules::default(), theirs(r#"{"a":1,"b":5}"#));
        let Verdict::Rebase(edits) = judge(&op, &server, &rules) else { panic!("not rebased") };
        let before = super::super::draft::before_of(server.presence.document(), &edits);
        let again = Operation { intent: Intent::Change(edits.clone()), before, ..op };
        assert_eq!(judge(&again, &server, &rules), Verdict::Rebase(edits));
    }

    const STRATEGIES: [Strategy; 6] = [
        Strategy::ServerWins,
        Strategy::ClientWins,
        Strategy::LastWriteWins,
        Strategy::Merge,
        Strategy::Manual,
        Strategy::Callback,
    ];

    fn steps() -> FieldRule {
        FieldRule::Monotonic(["open", "paid", "served"].map(str::to_owned).into())
    }

    fn ruled(strategy: Strategy, fields: &[(&str, FieldRule)]) -> CollectionRules {
        let fields = fields.iter().map(|(name, rule)| ((*name).to_owned(), rule.clone()));
        CollectionRules {
            policies: Policies::all(strategy),
            fields: fields.collect(),
            ..CollectionRules::default()
        }
    }

    /// Theirs, an instant before (`older`) or after ours.
    fn told(text: &str, older: bool) -> Base {
        let stamp = Stamp {
            millis: if older { 5 } else { 15 },
            counter: 0,
            device: DeviceId::from_bytes([2; 16]),
        };
        Base { stamp: Some(stamp), ..theirs(text) }
    }

    /// R4, P18: every rule against every way to change a member on both sides, `rule | was | mine | theirs | verdict`. A rule holds
    /// whatever the policy says, where both changed the record and where both made it (then nothing was there before).
    #[test]
    fn the_rule_of_a_member_holds_whatever_the_policy_says() {
        use FieldRule::{Append, Client, Counter, LastWriteWins, Manual, Max, Min, Server, Set};
        let mine = |value: &str| settled(&format!(r#"{{"f":{value}}}"#), Won::Mine);
        let keeps = |value: &str| kept(&format!(r#"{{"f":{value}}}"#));
        let cases = [
            (Server, "1", "2", "3", Verdict::TakeTheirs),
            (Server, "1", "2", "1", keeps("2")),
            (Server, "-", "2", "3", Verdict::TakeTheirs),
            (Client, "1", "2", "3", mine("2")),
            (Client, "-", "2", "3", mine("2")),
            (Client, "1", "2", "2", Verdict::Same),
            (LastWriteWins, "1", "2", "3", mine("2")),
            (LastWriteWins, "-", "2", "3", mine("2")),
            (Manual, "1", "2", "3", Verdict::AskPerson),
            (Manual, "-", "2", "3", Verdict::AskPerson),
            (Manual, "1", "2", "1", keeps("2")),
            (Counter, "5", "4", "9", keeps("8")),
            (Counter, "5", "4", "4", keeps("3")),
            (Counter, "5", "5", "9", Verdict::Same),
            (Counter, "-", "4", "9", keeps("13")),
            (Set, "[1,2]", "[2,3]", "[2,1,4]", keeps("[2,4,3]")),
            (Set, "[1]", "[1,2]", "[2,1]", Verdict::Same),
            (Set, "-", "[1]", "[2]", keeps("[2,1]")),
            (Max, "1", "5", "3", keeps("5")),
            (Max, "1", "3", "5", Verdict::Same),
            (Max, "-", "5", "3", keeps("5")),
            (Min, "9", "3", "5", keeps("3")),
            (Min, "9", "5", "3", Verdict::Same),
            (Min, "-", "3", "5", keeps("3")),
            (Append, "[1]", "[1,2]", "[1,3]", keeps("[1,3,2]")),
            (Append, "-", "[1]", "[2]", keeps("[2,1]")),
            (steps(), r#""open""#, r#""served""#, r#""paid""#, keeps(r#""served""#)),
            (steps(), r#""open""#, r#""paid""#, r#""served""#, Verdict::Same),
            (steps(), "-", r#""paid""#, r#""open""#, keeps(r#""paid""#)),
        ];
        for (rule, was, mine, there, verdict) in cases {
            let one = |value: &str| format!(r#"{{"f":{value}}}"#);
            let op = match was {
                "-" => op(Intent::Create(document(&one(mine))), Before::Nothing),
                was => change(&one(was), &one(mine)),
            };
            for strategy in STRATEGIES {
                let rules = ruled(strategy, &[("f", rule.clone())]);
                let said = judge(&op, &told(&one(there), true), &rules);
                assert_eq!(said, verdict, "{rule:?} {was} {mine} {there} {strategy:?}");
                if rule == LastWriteWins {
                    let said = judge(&op, &told(&one(there), false), &rules);
                    assert_eq!(said, Verdict::TakeTheirs, "{was} {mine} {there} {strategy:?}");
                }
            }
        }
    }

    /// R4, P18: what a rule cannot calculate with is settled by the policy, like a member without a rule: nothing is guessed.
    #[test]
    fn values_of_another_type_go_by_the_policy() {
        use FieldRule::{Append, Counter, Max, Set};
        for (rule, was, mine, there) in [
            (Counter, r#""5""#, "4", "9"),
            (Counter, "5", "4", "null"),
            (Counter, "5", r#""4""#, "9"),
            (Set, "[1]", "[2]", "{}"),
            (Append, "[1]", "[2]", "[1,3]"),
            (Max, "1", "[]", "2"),
            (steps(), r#""open""#, r#""void""#, r#""paid""#),
        ] {
            let one = |value: &str| format!(r#"{{"f":{value}}}"#);
            let op = change(&one(was), &one(mine));
            for (strategy, verdict) in [
                (Strategy::ServerWins, Verdict::TakeTheirs),
                (Strategy::ClientWins, settled(&one(mine), Won::Mine)),
                (Strategy::Merge, Verdict::AskCallback),
                (Strategy::Callback, Verdict::AskCallback),
            ] {
                let said =
                    judge(&op, &theirs(&one(there)), &ruled(strategy, &[("f", rule.clone())]));
                assert_eq!(said, verdict, "{rule:?} {was} {mine} {there} {strategy:?}");
            }
        }
        let removed = change(r#"{"f":5}"#, r#"{"f":null}"#);
        let rules = ruled(Strategy::Merge, &[("f", Counter)]);
        assert_eq!(judge(&removed, &theirs(r#"{"f":9}"#), &rules), Verdict::AskCallback);
        let rules = ruled(Strategy::Merge, &[("f", Counter)]);
        let op = change(r#"{"f":5}"#, r#"{"f":4}"#);
        assert_eq!(judge(&op, &theirs("{}"), &rules), Verdict::AskCallback, "they took it out");
    }

    /// P17, P18: one edit of a member that is counted, one that both changed, and one that only we changed. A policy decides over
    /// all that has no rule as one, and what the rule says is kept whoever wins.
    #[test]
    fn a_policy_decides_what_no_rule_settles() {
        let (before, ours) = (r#"{"left":5,"note":"a","by":1}"#, r#"{"left":4,"note":"b","by":2}"#);
        let server = r#"{"left":9,"note":"c","by":1}"#;
        let (all, counted) = (r#"{"left":8,"note":"b","by":2}"#, r#"{"left":8}"#);
        for (strategy, older, verdict) in [
            (Strategy::ServerWins, true, settled(counted, Won::Both)),
            (Strategy::ClientWins, false, settled(all, Won::Mine)),
            (Strategy::LastWriteWins, true, settled(all, Won::Mine)),
            (Strategy::LastWriteWins, false, settled(counted, Won::Both)),
            (Strategy::Merge, true, Verdict::AskCallback),
            (Strategy::Manual, true, Verdict::AskPerson),
            (Strategy::Callback, true, Verdict::AskCallback),
        ] {
            let rules = ruled(strategy, &[("left", FieldRule::Counter)]);
            let op = change(before, ours);
            assert_eq!(judge(&op, &told(server, older), &rules), verdict, "{strategy:?} {older}");
        }
        // Both sides won something.
        let rules =
            ruled(Strategy::Merge, &[("note", FieldRule::Server), ("by", FieldRule::Client)]);
        let said = judge(
            &change(before, r#"{"note":"b","by":2}"#),
            &theirs(r#"{"left":5,"note":"c","by":3}"#),
            &rules,
        );
        assert_eq!(said, settled(r#"{"by":2}"#, Won::Both));
        // A person is asked about the whole, whatever else is settled.
        let rules = ruled(Strategy::Callback, &[("by", FieldRule::Manual)]);
        let said = judge(&change(before, ours), &theirs(r#"{"left":5,"note":"c","by":3}"#), &rules);
        assert_eq!(said, Verdict::AskPerson);
        // The rule of a member is that of everything in it.
        let rules = ruled(Strategy::Manual, &[("by", FieldRule::Client)]);
        let op = change(r#"{"by":{"a":1,"b":1}}"#, r#"{"by":{"a":2}}"#);
        let said = judge(&op, &theirs(r#"{"by":{"a":3,"b":1}}"#), &rules);
        assert_eq!(said, settled_at(r#"{"by":{"a":1}}"#, r#"{"by":{"a":2}}"#));
    }

    fn settled_at(view: &str, patch: &str) -> Verdict {
        let edits = edit::from_merge_patch(&document(view), &document(patch));
        Verdict::Settle(edits, Won::Mine)
    }

    /// P18: each kind of conflict by its own policy, `policy | update-delete | delete-update | create-create`.
    #[test]
    fn every_kind_of_conflict_has_its_policy() {
        let base = r#"{"a":1}"#;
        let (ask, resolver) = (|| Verdict::AskPerson, || Verdict::AskCallback);
        for (strategy, older, gone, unwanted, made) in [
            (
                Strategy::ServerWins,
                true,
                Verdict::TakeTheirs,
                Verdict::TakeTheirs,
                Verdict::TakeTheirs,
            ),
            (
                Strategy::ClientWins,
                false,
                Verdict::Prevail,
                Verdict::Prevail,
                settled(r#"{"a":2}"#, Won::Mine),
            ),
            (
                Strategy::LastWriteWins,
                true,
                Verdict::Prevail,
                Verdict::Prevail,
                settled(r#"{"a":2}"#, Won::Mine),
            ),
            (
                Strategy::LastWriteWins,
                false,
                Verdict::TakeTheirs,
                Verdict::TakeTheirs,
                Verdict::TakeTheirs,
            ),
            (Strategy::Merge, true, resolver(), resolver(), resolver()),
            (Strategy::Manual, true, ask(), ask(), ask()),
            (
                Strategy::Callback,
                true,
                Verdict::AskCallback,
                Verdict::AskCallback,
                Verdict::AskCallback,
            ),
        ] {
            let whole = Before::Whole(Some(document(base)));
            let cases = [
                (ConflictKind::UpdateDelete, change(base, r#"{"a":2}"#), "", gone),
                (ConflictKind::DeleteUpdate, op(Intent::Delete, whole), r#"{"a":3}"#, unwanted),
                (
                    ConflictKind::CreateCreate,
                    op(Intent::Create(document(r#"{"a":2}"#)), Before::Nothing),
                    r#"{"a":3}"#,
                    made,
                ),
            ];
            for (kind, op, server, verdict) in cases {
                // The other kinds have another policy, and a rule of a member does not save a record that is gone.
                let other = if strategy == Strategy::Manual {
                    Strategy::ServerWins
                } else {
                    Strategy::Manual
                };
                let mut policies = Policies::all(other);
                match kind {
                    ConflictKind::UpdateUpdate => policies.update_update = strategy,
                    ConflictKind::UpdateDelete => policies.update_delete = strategy,
                    ConflictKind::DeleteUpdate => policies.delete_update = strategy,
                    ConflictKind::CreateCreate => policies.create_create = strategy,
                }
                let rules = CollectionRules { policies, ..CollectionRules::default() };
                assert_eq!(kind_of(&op.intent, &theirs(server).presence), kind);
                assert_eq!(
                    judge(&op, &told(server, older), &rules),
                    verdict,
                    "{kind:?} {strategy:?}"
                );
            }
        }
    }

    /// P18, R20: at the same time the greater device id wins, and a time that nobody knows loses.
    #[test]
    fn a_tie_goes_to_the_greater_device() {
        let op = change(r#"{"a":1}"#, r#"{"a":2}"#);
        let rules = ruled(Strategy::LastWriteWins, &[]);
        for (device, wins) in [([0; 16], true), ([2; 16], false)] {
            let stamp = Stamp { device: DeviceId::from_bytes(device), ..op.stamp };
            let said = judge(&op, &Base { stamp: Some(stamp), ..theirs(r#"{"a":3}"#) }, &rules);
            assert_eq!(said != Verdict::TakeTheirs, wins, "{device:?}");
        }
        let said = judge(&op, &theirs(r#"{"a":3}"#), &rules);
        assert_eq!(said, settled(r#"{"a":2}"#, Won::Mine));
    }

    mod properties {
        use super::*;
        use crate::model::Strategy as Policy;
        use proptest::prelude::*;
        use proptest::strategy::Strategy;

        /// A member of each kind of rule, each with a value of its type or of none.
        fn state() -> impl Strategy<Value = String> {
            let list = || prop::collection::vec(0..4u8, 0..4);
            let step = prop::sample::select(vec!["open", "paid", "served", "void"]);
            (-9..9i8, list(), -9..9i8, list(), step, 0..4u8).prop_map(|(left, mut tags, top, log, status, note)| {
                tags.sort_unstable();
                tags.dedup();
                format!(r#"{{"left":{left},"tags":{tags:?},"top":{top},"log":{log:?},"status":"{status}","note":{note}}}"#)
            })
        }

        fn all_rules(strategy: Policy) -> CollectionRules {
            let fields = [
                ("left", FieldRule::Counter),
                ("tags", FieldRule::Set),
                ("top", FieldRule::Max),
                ("log", FieldRule::Append),
                ("status", steps()),
            ];
            ruled(strategy, &fields)
        }

        fn update(from: &str, to: &str) -> Operation {
            let edits = edit::diff(&document(from), &document(to));
            let before = super::super::super::draft::before_of(Some(&document(from)), &edits);
            op(Intent::Change(edits), before)
        }

        /// The server's record after an operation that met it was brought over it.
        fn after(op: &Operation, server: &str, rules: &CollectionRules) -> Document {
            let server = document(server);
            match judge(
                op,
                &Base { presence: Presence::Live(server.clone()), ..theirs("{}") },
                rules,
            ) {
                Verdict::Rebase(edits) | Verdict::Settle(edits, _) => edit::apply(&server, &edits),
                Verdict::Same
                | Verdict::TakeTheirs
                | Verdict::KeepMine
                | Verdict::Prevail
                | Verdict::AskCallback
                | Verdict::AskPerson => server,
            }
        }

        proptest! {
            #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

            /// P18: the same question has the same answer, and what was brought over the server's side stays there.
            #[test]
            fn judging_twice_says_the_same(was in state(), mine in state(), server in state(), which in 0..6usize) {
                let rules = all_rules(STRATEGIES[which]);
                let (op, base) = (update(&was, &mine), theirs(&server));
                let verdict = judge(&op, &base, &rules);
                prop_assert_eq!(&verdict, &judge(&op, &base, &rules));
                if let Verdict::Rebase(edits) | Verdict::Settle(edits, _) = verdict {
                    let before = super::super::super::draft::before_of(base.presence.document(), &edits);
                    let again = Operation { intent: Intent::Change(edits.clone()), before, ..op };
                    prop_assert_eq!(judge(&again, &base, &rules), Verdict::Rebase(edits));
                }
            }

            /// P18: who comes first does not matter for members that only one of two devices changed, nor for those that are
            /// added up.
            #[test]
            fn disjoint_and_calculated_edits_commute(
                was in state(), a in state(), b in state(), mask in any::<[bool; 2]>()
            ) {
                let rules = all_rules(Policy::Manual);
                let (was, mut x, mut y) = (document(&was), document(&a), document(&b));
                // One of the two changes what has no rule that commutes: lists are in the order in which things came.
                for (name, ours) in [("note", mask[0]), ("status", mask[1]), ("log", mask[0]), ("tags", mask[1])] {
                    let path = Path::field(name);
                    let keep = Edit::to(path.clone(), was.get(&path.0));
                    if ours { y = edit::apply(&y, &[keep]) } else { x = edit::apply(&x, &[keep]) }
                }
                // The greatest value commutes among those that were raised.
                for side in [&mut x, &mut y] {
                    let top = side.get(&Path::field("top").0).and_then(|it| it.text().parse::<i8>().ok());
                    let least = was.get(&Path::field("top").0).and_then(|it| it.text().parse::<i8>().ok());
                    if top < least {
                        *side = edit::apply(side, &[Edit::to(Path::field("top"), was.get(&Path::field("top").0))]);
                    }
                }
                let (first, second) = (update(was.text(), x.text()), update(was.text(), y.text()));
                let xy = after(&second, x.text(), &rules);
                let yx = after(&first, y.text(), &rules);
                prop_assert_eq!(xy, yx);
            }
        }
    }
}
