//! The rules of views and writes once more, over plain values: written apart from the core, to judge it.

use std::collections::BTreeSet;

use holdfast::model::{
    Before, Document, Edit, EntityKey, Intent, OpState, Operation, Path, Presence, Slot,
};
use holdfast::plan::write::Action;
use serde_json::{Map, Value};

pub(crate) type Doc = Option<Map<String, Value>>;

pub(crate) fn parse(document: &Document) -> Map<String, Value> {
    serde_json::from_str(document.text()).expect("a document is an object")
}

pub(crate) fn of_presence(presence: Option<&Presence>) -> Doc {
    presence.and_then(Presence::document).map(parse)
}

pub(crate) fn of_text(text: Option<&str>) -> Doc {
    text.map(|text| serde_json::from_str(text).expect("a document is an object"))
}

/// The member that counts: two who change it at once have both changed it by so much.
pub(crate) const COUNTER: &str = "left";

/// Whether members of a record count.
pub(crate) fn counts(key: &EntityKey) -> bool {
    key.collection == "counts"
}

fn count(value: Option<&Value>) -> i64 {
    value.and_then(Value::as_i64).unwrap_or_default()
}

/// What an operation adds to a record that counts.
fn difference(op: &Operation) -> i64 {
    let was = match &op.before {
        Before::Paths(paths) => paths.iter().find_map(|(path, Slot(value))| {
            let value = (*path == Path::field(COUNTER)).then_some(value.as_ref()?)?;
            serde_json::from_str(value.text()).ok()
        }),
        Before::Whole(document) => {
            document.as_ref().and_then(|document| parse(document).remove(COUNTER))
        }
        Before::Nothing => None,
    };
    let now = match &op.intent {
        Intent::Create(new) | Intent::Replace(new) => parse(new).remove(COUNTER),
        Intent::Change(edits) => edits
            .iter()
            .find_map(|edit| (*edit.path() == Path::field(COUNTER)).then_some(edit.value()?))
            .and_then(|value| serde_json::from_str(value.text()).ok()),
        Intent::Delete | Intent::Resolve(_) => None,
    };
    count(now.as_ref()) - count(was.as_ref())
}

/// What an operation does to a record, by the rule of replay (R1). The second value tells a tombstone from nothing.
pub(crate) fn replay(doc: Doc, op: &Operation) -> Doc {
    let before = doc.as_ref().filter(|_| counts(&op.key)).map(|doc| count(doc.get(COUNTER)));
    let done = plain(doc, op);
    match (before, done) {
        (Some(before), Some(mut done)) if !matches!(op.state, OpState::Acked { .. }) => {
            let after = count(done.get(COUNTER));
            let known = op.is_sealed() && before == after;
            let sum = if known { before } else { before + difference(op) };
            done.insert(COUNTER.to_owned(), sum.into());
            Some(done)
        }
        (_, done) => done,
    }
}

fn plain(doc: Doc, op: &Operation) -> Doc {
    match (&op.intent, doc) {
        (Intent::Create(new), Some(mut old)) => {
            old.extend(parse(new));
            Some(old)
        }
        (Intent::Create(new), None) => Some(parse(new)),
        (Intent::Replace(new), Some(_)) => Some(parse(new)),
        (Intent::Replace(_) | Intent::Change(_), None) => None,
        (Intent::Change(edits), Some(mut old)) => {
            for edit in edits {
                match edit {
                    Edit::Set { path, value } => {
                        set(&mut old, &path.0, serde_json::from_str(value.text()).expect("JSON"));
                    }
                    Edit::Remove { path } => remove(&mut old, &path.0),
                }
            }
            Some(old)
        }
        (Intent::Delete, _) => None,
        (Intent::Resolve(resolve), _) => resolve.chosen.document().map(parse),
    }
}

fn set(object: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            object.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let child = object.entry(name.clone()).or_insert(Value::Null);
            if !child.is_object() {
                *child = Value::Object(Map::new());
            }
            if let Value::Object(child) = child {
                set(child, rest, value);
            }
        }
    }
}

fn remove(object: &mut Map<String, Value>, path: &[String]) {
    match path {
        [] => {}
        [name] => {
            object.remove(name);
        }
        [name, rest @ ..] => {
            if let Some(Value::Object(child)) = object.get_mut(name) {
                remove(child, rest);
            }
        }
    }
}

/// What a user means by a write: the fold of these is what the server must end with (P16).
pub(crate) fn act(doc: Doc, action: &Action) -> Doc {
    match (action, doc) {
        (Action::Create(new), None)
        | (Action::Replace(new), Some(_))
        | (Action::Restore { side: Presence::Live(new), .. }, None) => Some(parse(new)),
        (Action::Restore { side: Presence::Live(new), fields }, Some(mut old)) => {
            for path in fields {
                match new.get(&path.0) {
                    Some(value) => {
                        let value = serde_json::from_str(value.text()).expect("JSON");
                        set(&mut old, &path.0, value);
                    }
                    None => remove(&mut old, &path.0),
                }
            }
            Some(old)
        }
        // Made again by a person over what is there by now: it sets its members (R1).
        (Action::Create(new), Some(mut old)) => {
            old.extend(parse(new));
            Some(old)
        }
        (Action::Replace(_) | Action::Patch(_), None)
        | (Action::Remove | Action::Restore { side: Presence::Deleted, .. }, _) => None,
        (Action::Patch(patch), Some(mut old)) => {
            merge(&mut old, parse(patch));
            Some(old)
        }
    }
}

/// RFC 7396.
fn merge(old: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                old.remove(&name);
            }
            Value::Object(patch) => {
                let child = old.entry(name).or_insert(Value::Null);
                if !child.is_object() {
                    *child = Value::Object(Map::new());
                }
                if let Value::Object(child) = child {
                    merge(child, patch);
                }
            }
            other => {
                old.insert(name, other);
            }
        }
    }
}

/// Whether a record already says what an operation would make of it, wherever the operation wanted a change at all.
pub(crate) fn says(doc: &Doc, op: &Operation) -> bool {
    let Some(doc) = doc else { return matches!(op.intent, Intent::Delete) };
    let at = |doc: &Map<String, Value>, path: &[String]| {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(doc.get(first)?.clone(), |value, name| value.get(name).cloned())
    };
    let whole = match &op.before {
        Before::Whole(Some(document)) => Some(parse(document)),
        Before::Whole(None) | Before::Nothing | Before::Paths(_) => None,
    };
    match &op.intent {
        Intent::Delete => false,
        Intent::Create(new) | Intent::Replace(new) => {
            let (new, was) = (parse(new), whole.unwrap_or_default());
            let names: BTreeSet<&String> = new.keys().chain(was.keys()).collect();
            let nothing = counts(&op.key) && difference(op) == 0;
            names
                .into_iter()
                .filter(|name| !(nothing && *name == COUNTER))
                .all(|name| new.get(name) == was.get(name) || new.get(name) == doc.get(name))
        }
        Intent::Change(edits) => edits.iter().all(|edit| {
            let path = &edit.path().0;
            let mine = edit.value().map(|value| serde_json::from_str(value.text()).expect("JSON"));
            let was = match &op.before {
                Before::Paths(paths) => paths
                    .iter()
                    .find(|(known, _)| known == edit.path())
                    .and_then(|(_, slot)| slot.0.as_ref())
                    .map(|value| serde_json::from_str(value.text()).expect("JSON")),
                Before::Whole(_) | Before::Nothing => whole.as_ref().and_then(|was| at(was, path)),
            };
            mine == was || mine == at(doc, path)
        }),
        Intent::Resolve(resolve) => resolve.chosen.document().map(parse).as_ref() == Some(doc),
    }
}
