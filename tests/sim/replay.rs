//! The rules of views and writes once more, over plain values: written apart from the core, to judge it.

use std::collections::BTreeSet;

use holdfast::model::{Before, Document, Edit, Intent, Operation, Presence};
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

/// What an operation does to a record, by the rule of replay (R1). The second value tells a tombstone from nothing.
pub(crate) fn replay(doc: Doc, op: &Operation) -> Doc {
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
            names
                .into_iter()
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
