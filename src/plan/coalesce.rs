//! Which write goes into an operation that waits already, and what the two become (PROMISES 3.2, R13).

use super::draft::{before_of, undo};
use crate::model::edit;
use crate::model::{Before, Document, Edit, Intent, Operation, Presence};

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

/// The table. The caller has made sure that the older was never sent and is of the same owner, schema and group.
pub(super) fn fold(older: &Operation, newer: &Intent, view: Option<&Presence>) -> Folding {
    let view = view.and_then(Presence::document);
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

/// The edits of a patch of an operation that waits: what `edit` on a parked entry does.
pub(super) fn amend(intent: &Intent, patch: &Document, shown: Option<&Document>) -> Option<Intent> {
    let patched =
        |document: &Document| edit::apply(document, &edit::from_merge_patch(document, patch));
    match intent {
        Intent::Create(document) => Some(Intent::Create(patched(document))),
        Intent::Replace(document) => Some(Intent::Replace(patched(document))),
        Intent::Change(edits) => {
            let over: Vec<Edit> = match shown {
                Some(shown) => edit::from_merge_patch(shown, patch),
                None => edit::from_merge_patch(&Document::parse("{}").ok()?, patch),
            };
            Some(Intent::Change(edit::fold(edits, &over)))
        }
        Intent::Delete | Intent::Resolve(_) => None,
    }
}
