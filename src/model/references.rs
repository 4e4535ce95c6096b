//! Declared references: members that hold the id of a record in another collection. Ids cross the wire as the server's and are
//! kept as the device's own (R16), so they are looked for, and written anew, wherever content is.

use super::conflict::Conflict;
use super::edit::{self, Edit, Path};
use super::entity::{EntityKey, Presence};
use super::json::{Document, Json, quote, unquote};
use super::map::Map;
use super::operation::{Before, Intent, OpState, Parked, Resolve, Slot};
use super::rules::Rules;
use super::transfer::{Carried, OutboxFile};

/// What a collection declares: the path of a member, and the collection of the records that it names.
pub type References = Map<Path, String>;

/// The other name of a record that a reference names, where it is to have another.
pub type Rename<'a> = &'a dyn Fn(&EntityKey) -> Option<String>;

/// A value that stands at a path, with what it names renamed; nothing where that leaves it as it is.
fn value(at: &[String], value: &Json, references: &References, to: Rename<'_>) -> Option<Json> {
    let mut renamed: Option<Json> = None;
    for (path, collection) in references {
        let Some(below) = path.0.strip_prefix(at) else { continue };
        let now = renamed.as_ref().unwrap_or(value);
        let whole = Document::from_json(now.clone());
        let found = match (&whole, below) {
            (_, []) => Some(now.clone()),
            (Ok(document), below) => document.get(below),
            (Err(_), _) => None,
        };
        let Some(id) = found.and_then(|found| unquote(found.text())) else { continue };
        let Some(id) = to(&EntityKey::new(&**collection, id)) else { continue };
        let Ok(id) = Json::parse(&quote(&id)) else { continue };
        renamed = Some(match whole {
            Ok(document) if !below.is_empty() => {
                let path = Path(below.to_vec());
                edit::apply(&document, &[Edit::Set { path, value: id }]).as_json().clone()
            }
            Ok(_) | Err(_) => id,
        });
    }
    renamed
}

/// The records that a document names.
#[must_use]
pub fn named(document: &Document, references: &References) -> Vec<EntityKey> {
    noted(|to| drop(rename(document, references, to)))
}

/// The records that an operation's content names.
#[must_use]
pub fn named_by(intent: &Intent, references: &References) -> Vec<EntityKey> {
    noted(|to| drop(rename_intent(intent, references, to)))
}

/// The records that a file names.
#[must_use]
pub fn named_in_file(file: &OutboxFile, rules: &Rules) -> Vec<EntityKey> {
    noted(|to| drop(rename_file(file.clone(), rules, to)))
}

/// A file with what it names renamed.
#[must_use]
pub fn rename_file(mut file: OutboxFile, rules: &Rules, to: Rename<'_>) -> OutboxFile {
    for it in &mut file.operations {
        if let Some(rules) = rules.collections.get(&it.op.key.collection) {
            rename_carried(it, &rules.references, to);
        }
    }
    for conflict in &mut file.conflicts {
        if let Some(rules) = rules.collections.get(&conflict.key.collection) {
            rename_conflict(conflict, &rules.references, to);
        }
    }
    file
}

fn noted(walk: impl FnOnce(Rename<'_>)) -> Vec<EntityKey> {
    let found = std::cell::RefCell::new(Vec::new());
    walk(&|key| {
        found.borrow_mut().push(key.clone());
        None
    });
    found.into_inner()
}

/// A document with what it names renamed; nothing where that leaves it as it is.
#[must_use]
pub fn rename(document: &Document, references: &References, to: Rename<'_>) -> Option<Document> {
    Document::from_json(value(&[], document.as_json(), references, to)?).ok()
}

/// The same of a record's content or tombstone.
#[must_use]
pub fn rename_presence(
    presence: &Presence,
    references: &References,
    to: Rename<'_>,
) -> Option<Presence> {
    rename(presence.document()?, references, to).map(Presence::Live)
}

/// The same of what an operation does.
#[must_use]
pub fn rename_intent(intent: &Intent, references: &References, to: Rename<'_>) -> Option<Intent> {
    match intent {
        Intent::Create(document) => rename(document, references, to).map(Intent::Create),
        Intent::Replace(document) => rename(document, references, to).map(Intent::Replace),
        Intent::Change(edits) => {
            let mut edits = edits.clone();
            let mut differs = false;
            for edit in &mut edits {
                if let Edit::Set { path, value: set } = edit
                    && let Some(renamed) = value(&path.0, set, references, to)
                {
                    *set = renamed;
                    differs = true;
                }
            }
            differs.then_some(Intent::Change(edits))
        }
        Intent::Delete => None,
        Intent::Resolve(resolve) => {
            let chosen = rename_presence(&resolve.chosen, references, to)?;
            Some(Intent::Resolve(Resolve { chosen, ..resolve.clone() }))
        }
    }
}

/// The same of both sides of a conflict, and of what they began with.
pub fn rename_conflict(conflict: &mut Conflict, references: &References, to: Rename<'_>) {
    for side in [&mut conflict.mine, &mut conflict.theirs] {
        if let Some(renamed) = rename_presence(side, references, to) {
            *side = renamed;
        }
    }
    if let Some(base) = &mut conflict.base
        && let Some(renamed) = rename(base, references, to)
    {
        *base = renamed;
    }
}

/// The same of an operation in a file: what it does and found, and what its user saw. What may have left keeps its words beside it.
fn rename_carried(it: &mut Carried, references: &References, to: Rename<'_>) {
    if let Some(renamed) = rename_intent(&it.op.intent, references, to) {
        it.op.intent = renamed;
    }
    if let Some(renamed) = rename_before(&it.op.before, references, to) {
        it.op.before = renamed;
    }
    let parked = match &mut it.op.state {
        OpState::Parked(Parked::Rejected { snapshot, .. }) => snapshot.as_mut(),
        OpState::Parked(Parked::Conflicted(_) | Parked::HandedOver)
        | OpState::Queued { .. }
        | OpState::InFlight { .. }
        | OpState::Acked { .. }
        | OpState::Blocked { .. } => None,
    };
    for snapshot in parked.into_iter().chain(&mut it.snapshot) {
        if let Some(renamed) = rename(snapshot, references, to) {
            *snapshot = renamed;
        }
    }
}

/// The same of what an operation found.
#[must_use]
pub fn rename_before(before: &Before, references: &References, to: Rename<'_>) -> Option<Before> {
    match before {
        Before::Nothing | Before::Whole(None) => None,
        Before::Whole(Some(found)) => {
            rename(found, references, to).map(|found| Before::Whole(Some(found)))
        }
        Before::Paths(slots) => {
            let mut slots = slots.clone();
            let mut differs = false;
            for (path, Slot(found)) in &mut slots {
                let renamed = found.as_ref().and_then(|it| value(&path.0, it, references, to));
                if renamed.is_some() {
                    *found = renamed;
                    differs = true;
                }
            }
            differs.then_some(Before::Paths(slots))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> References {
        let deep = Path(vec!["host".to_owned(), "id".to_owned()]);
        [(Path::field("guest"), "guests".to_owned()), (deep, "staff".to_owned())].into()
    }

    fn document(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    /// Only `guests/g1` and `staff/s1` have another name.
    fn to(key: &EntityKey) -> Option<String> {
        match (&*key.collection, &*key.id) {
            ("guests", "g1") => Some("G \"1\"".to_owned()),
            ("staff", "s1") => Some("S1".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn only_what_is_declared_is_renamed_and_all_else_keeps_its_spelling() {
        for (text, renamed) in [
            (
                r#"{ "n":1.10, "guest":"g1","host":{"x":null,"id":"s1"},"g":"g1"}"#,
                Some(r#"{"n":1.10,"guest":"G \"1\"","host":{"x":null,"id":"S1"},"g":"g1"}"#),
            ),
            (r#"{"guest":"s1","host":{"id":"g1"}}"#, None),
            (r#"{"guest":null,"host":"s1"}"#, None),
            (r#"{"guest":1,"host":{"id":["s1"]}}"#, None),
            ("{}", None),
        ] {
            let found = rename(&document(text), &declared(), &to);
            assert_eq!(found.as_ref().map(Document::text), renamed, "{text}");
        }
    }

    #[test]
    fn edits_at_and_above_a_reference_name_what_it_names() {
        let set = |names: &[&str], text: &str| Edit::Set {
            path: Path(names.iter().map(|name| (*name).to_owned()).collect()),
            value: Json::parse(text).unwrap(),
        };
        let change = |edits: &[Edit]| Intent::Change(edits.to_vec());
        let remove = Edit::Remove { path: Path::field("guest") };
        for (from, into) in [
            (set(&["guest"], "\"g1\""), Some(set(&["guest"], r#""G \"1\"""#))),
            (set(&["host", "id"], "\"s1\""), Some(set(&["host", "id"], "\"S1\""))),
            (set(&["host"], r#"{"id":"s1"}"#), Some(set(&["host"], r#"{"id":"S1"}"#))),
            (set(&["host", "id", "x"], "\"s1\""), None),
            (set(&["host", "x"], "\"s1\""), None),
            (remove, None),
        ] {
            let found = rename_intent(&change(std::slice::from_ref(&from)), &declared(), &to);
            assert_eq!(found, into.map(|it| change(&[it])), "{from:?}");
        }
    }
}
