//! What to do where both sides changed a record: a pure function of before, after, theirs and the declared rules (R4, P18).

use crate::model::{
    Base, Before, CollectionRules, Document, Edit, Intent, Json, Operation, Path, Presence, Slot,
    Strategy,
};
use crate::model::{edit, operation};

/// What becomes of an operation that met a change of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server has it already.
    Same,
    /// These edits say the same over the server's side.
    Rebase(Vec<Edit>),
    /// The server's side stands; ours is kept in the conflict record.
    TakeTheirs,
    /// Ours stands as a whole.
    KeepMine,
    /// The application's resolver decides.
    AskCallback,
    /// A person decides.
    AskPerson,
}

/// Judges the first operation of a record against what the server has. Never looks at the version: two sides conflict only
/// where both changed a value, and to different values (P17).
#[must_use]
pub fn judge(op: &Operation, theirs: &Base, rules: &CollectionRules) -> Verdict {
    let mine_is_newer = theirs.stamp.is_none_or(|stamp| op.stamp > stamp);
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
                settle(rules.strategy, mine_is_newer)
            }
        }
        // Somebody made and removed a record of this id before: ours is a new one.
        (Intent::Create(_), Presence::Deleted) => Verdict::KeepMine,
        (Intent::Change(_) | Intent::Replace(_), Presence::Deleted) => {
            settle(rules.strategy, mine_is_newer)
        }
        (Intent::Create(document), Presence::Live(theirs)) => {
            merge(&operation::sets(document), &Before::Nothing, theirs, rules, mine_is_newer)
        }
        (Intent::Change(edits), Presence::Live(theirs)) => {
            merge(edits, &op.before, theirs, rules, mine_is_newer)
        }
        (Intent::Replace(document), Presence::Live(theirs)) => match &op.before {
            Before::Whole(Some(before)) => {
                merge(&edit::diff(before, document), &op.before, theirs, rules, mine_is_newer)
            }
            Before::Whole(None) | Before::Nothing | Before::Paths(_) => {
                merge(&operation::sets(document), &op.before, theirs, rules, mine_is_newer)
            }
        },
    }
}

fn unchanged(before: &Before, theirs: &Document) -> bool {
    matches!(before, Before::Whole(Some(before)) if before == theirs)
}

/// A conflict that no field rule settles.
fn settle(strategy: Strategy, mine_is_newer: bool) -> Verdict {
    match strategy {
        Strategy::ServerWins => Verdict::TakeTheirs,
        Strategy::ClientWins => Verdict::KeepMine,
        Strategy::LastWriteWins if mine_is_newer => Verdict::KeepMine,
        Strategy::LastWriteWins => Verdict::TakeTheirs,
        Strategy::Merge | Strategy::Manual => Verdict::AskPerson,
        Strategy::Callback => Verdict::AskCallback,
    }
}

/// Path by path: what only we changed is kept, what only they changed is theirs, what both changed is a conflict.
fn merge(
    edits: &[Edit],
    before: &Before,
    theirs: &Document,
    rules: &CollectionRules,
    mine_is_newer: bool,
) -> Verdict {
    let mut kept: Vec<Edit> = Vec::new();
    let mut conflict = false;
    let after = after(edits);
    for (path, mine) in &after {
        let (was, theirs) = (found(before, path), theirs.get(&path.0));
        if theirs == *mine || was == *mine {
            continue;
        }
        conflict |= theirs != was;
        kept.push(Edit::to(path.clone(), mine.clone()));
    }
    match (conflict, kept.is_empty()) {
        (true, _) => settle(rules.strategy, mine_is_newer),
        (false, true) => Verdict::Same,
        (false, false) => Verdict::Rebase(kept),
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

/// What an operation found at a path.
fn found(before: &Before, path: &Path) -> Option<Json> {
    match before {
        Before::Nothing => None,
        Before::Whole(document) => document.as_ref().and_then(|document| document.get(&path.0)),
        Before::Paths(paths) => {
            paths.iter().find(|(at, _)| at == path).and_then(|(_, Slot(value))| value.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Assumed, DeviceId, EntityKey, IdSeed, OpState, Owner, Priority, Seq, Stamp, Wall,
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

    fn kept(patch: &str) -> Verdict {
        Verdict::Rebase(edit::from_merge_patch(&document("{}"), &document(patch)))
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
            let rules = |strategy| CollectionRules { strategy, ..CollectionRules::default() };
            let judge = |strategy| judge(&op, &theirs(server), &rules(strategy));
            assert_eq!(judge(Strategy::ServerWins), server_wins, "{case}, server-wins");
            let asking = asking.unwrap_or(server_wins);
            assert_eq!(judge(Strategy::Merge), asking, "{case}, merge");
            assert_eq!(judge(Strategy::Manual), asking, "{case}, manual");
        }
    }

    /// P18, R20.
    #[test]
    fn the_newer_stamp_wins_where_that_is_the_rule() {
        let op = change(r#"{"a":1}"#, r#"{"a":2}"#);
        let rules =
            CollectionRules { strategy: Strategy::LastWriteWins, ..CollectionRules::default() };
        for (millis, verdict) in [(5, Verdict::KeepMine), (15, Verdict::TakeTheirs)] {
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
