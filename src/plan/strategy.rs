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
            let edit = match self.step(path, mine.as_ref(), theirs.get(&path.0).as_ref()) {
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

    fn step(&self, path: &Path, mine: Option<&Json>, there: Option<&Json>) -> Step {
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
        if was == there {
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
}
