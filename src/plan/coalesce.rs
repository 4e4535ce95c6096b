//! Which write goes into an operation that waits already, and what the two become (PROMISES 3.2, R13).

use super::draft::{before_of, found_by, undo};
use crate::model::edit;
use crate::model::{Before, CollectionRules, Document, Intent, Operation, Presence};
use crate::planted::{self, Bug};

/// What becomes of an older operation and a newer write on the same record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folding {
    /// One operation that does both, with the place and the id of the older.
    Into(Intent, Before),
    /// Neither ever happened.
    Annihilate,
    /// They stay two.
    Apart,
}

/// The table. The caller has made sure that the older was never sent and is of the same owner, schema and group. `view` is what
/// the newer was written over, `beneath` the same without the older.
pub(super) fn fold(
    older: &Operation,
    newer: &Intent,
    view: Option<&Presence>,
    beneath: &dyn Fn() -> Option<Presence>,
    rules: &CollectionRules,
) -> Folding {
    let folding = compose(older, newer, view.and_then(Presence::document), rules);
    let Folding::Into(intent, before) = &folding else { return folding };
    if rules.fields.is_empty() {
        return folding;
    }
    // A rule may be one that cannot say both in one: a greatest value that was lowered. Then they stay two.
    let both = Operation { intent: intent.clone(), before: before.clone(), ..older.clone() };
    let (shown, said) = (both.replay(beneath().as_ref(), rules), newer.replay(view));
    let at = |presence: &Option<Presence>, name: &String| {
        let document = presence.as_ref().and_then(Presence::document)?;
        document.get(std::slice::from_ref(name))
    };
    if planted::has(Bug::NewestFolded) {
        return folding;
    }
    let says_both = rules.fields.keys().all(|name| at(&shown, name) == at(&said, name));
    if says_both { folding } else { Folding::Apart }
}

fn compose(
    older: &Operation,
    newer: &Intent,
    view: Option<&Document>,
    rules: &CollectionRules,
) -> Folding {
    // The view that the newer was written over is what counts, not what an earlier state of the record was.
    let grounded;
    let older = match (&older.intent, &older.before) {
        (Intent::Change(_), Before::Whole(_)) => {
            grounded = Operation { before: found_by(older), ..older.clone() };
            &grounded
        }
        (_, _) => older,
    };
    let newest = planted::has(Bug::NewestFolded).then(|| newer.clone());
    let newer = &newest.unwrap_or_else(|| translated(&older.intent, newer, view, rules));
    match (&older.intent, newer) {
        (Intent::Create(document), Intent::Change(edits)) => {
            Folding::Into(Intent::Create(edit::apply(document, edits)), older.before.clone())
        }
        (Intent::Create(_), Intent::Replace(document)) => {
            Folding::Into(Intent::Create(document.clone()), older.before.clone())
        }
        (Intent::Create(_), Intent::Delete) => Folding::Annihilate,
        (Intent::Change(old), Intent::Change(new)) => {
            let edits = edit::fold(old, new);
            let before = match (&older.before, view) {
                (Before::Paths(paths), Some(view)) => {
                    let first = edit::apply(view, &undo(paths));
                    keep_known(&older.before, before_of(Some(&first), &edits))
                }
                (before, _) => before.clone(),
            };
            Folding::Into(Intent::Change(edits), before)
        }
        (Intent::Change(_), Intent::Replace(document)) => {
            Folding::Into(Intent::Replace(document.clone()), whole_before(older, view))
        }
        (Intent::Change(_) | Intent::Replace(_), Intent::Delete) => {
            Folding::Into(Intent::Delete, whole_before(older, view))
        }
        (Intent::Replace(document), Intent::Change(edits)) => {
            Folding::Into(Intent::Replace(edit::apply(document, edits)), older.before.clone())
        }
        (Intent::Replace(_), Intent::Replace(document)) => {
            Folding::Into(Intent::Replace(document.clone()), older.before.clone())
        }
        (Intent::Delete | Intent::Resolve(_), _) | (_, Intent::Create(_) | Intent::Resolve(_)) => {
            Folding::Apart
        }
    }
}

/// The newer edit in coordinates of the older one. It was written over the view, where a rule may have calculated with what others
/// did: what it did to a value there, it does to the value that the older one leaves (R13).
fn translated(
    older: &Intent,
    newer: &Intent,
    view: Option<&Document>,
    rules: &CollectionRules,
) -> Intent {
    newer.calculated(rules, &|rule, path, mine| {
        let left = match older {
            Intent::Create(document) | Intent::Replace(document) => document.get(&path.0),
            Intent::Change(edits) => {
                edits.iter().rfind(|edit| edit.path() == path)?.value().cloned()
            }
            Intent::Delete | Intent::Resolve(_) => None,
        };
        let was = view.and_then(|view| view.get(&path.0));
        rule.over(was.as_ref(), Some(mine), left.as_ref())
    })
}

/// What the whole record was before the older operation: the view with its edits undone (R4).
fn whole_before(older: &Operation, view: Option<&Document>) -> Before {
    match (&older.before, view) {
        (Before::Paths(paths), Some(view)) => Before::Whole(Some(edit::apply(view, &undo(paths)))),
        (before, _) => before.clone(),
    }
}

/// What was found first stays found: undoing leaves empty objects behind where a path made its parents.
fn keep_known(known: &Before, fresh: Before) -> Before {
    let (Before::Paths(known), Before::Paths(mut fresh)) = (known, fresh) else {
        return known.clone();
    };
    for (path, slot) in &mut fresh {
        if let Some((_, first)) = known.iter().find(|(at, _)| at == path) {
            slot.clone_from(first);
        }
    }
    Before::Paths(fresh)
}

/// An operation that waits for a person, with a patch of what they were shown: what `edit` on a parked entry does.
pub(super) fn amend(
    op: &Operation,
    patch: &Document,
    shown: Option<&Document>,
    rules: &CollectionRules,
) -> Option<(Intent, Before)> {
    let patched =
        |document: &Document| edit::apply(document, &edit::from_merge_patch(document, patch));
    match &op.intent {
        Intent::Create(document) => Some((Intent::Create(patched(document)), op.before.clone())),
        Intent::Replace(document) => Some((Intent::Replace(patched(document)), op.before.clone())),
        Intent::Change(_) => {
            let shown = shown.cloned().or_else(|| Document::parse("{}").ok())?;
            let over = Intent::Change(edit::from_merge_patch(&shown, patch));
            match compose(op, &over, Some(&shown), rules) {
                Folding::Into(intent, before) => Some((intent, before)),
                Folding::Annihilate | Folding::Apart => None,
            }
        }
        Intent::Delete | Intent::Resolve(_) => None,
    }
}
