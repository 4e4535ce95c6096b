//! Edits: what a write does to a document (SEMANTICS R3). A merge patch is only how an application writes one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::json::{Document, Json, Node};

/// Member names from the root to a value. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Path(pub Vec<String>);

impl Path {
    /// A path of one name.
    pub fn field(name: impl Into<String>) -> Self {
        Self(vec![name.into()])
    }

    /// Whether `other` is this path or lies below it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The name of the top-level member.
    #[must_use]
    pub fn root(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// The first place above this path where a document has no object to hold it, and what is there instead.
    #[must_use]
    pub fn obstacle(&self, document: &Document) -> Option<(Self, Option<Json>)> {
        (1..self.0.len()).find_map(|length| {
            let above = self.0.get(..length)?;
            let there = document.get(above);
            (!there.as_ref().is_some_and(Json::is_object)).then(|| (Self(above.to_vec()), there))
        })
    }

    fn child(&self, name: &str) -> Self {
        let mut names = self.0.clone();
        names.push(name.to_owned());
        Self(names)
    }
}

/// As conflicts show it: names joined by dots; a dot or backslash within a name is escaped by a backslash.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&name.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

/// One change of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    /// Writes a value, making objects on the way.
    Set {
        /// Where.
        path: Path,
        /// What.
        value: Json,
    },
    /// Takes a member out, where it is.
    Remove {
        /// Where.
        path: Path,
    },
}

impl Edit {
    /// What the edit touches.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Set { path, .. } | Self::Remove { path } => path,
        }
    }

    /// The value that stands at the path afterwards.
    #[must_use]
    pub fn value(&self) -> Option<&Json> {
        match self {
            Self::Set { value, .. } => Some(value),
            Self::Remove { .. } => None,
        }
    }

    /// The edit that makes a path hold `value`, or nothing.
    #[must_use]
    pub fn to(path: Path, value: Option<Json>) -> Self {
        match value {
            Some(value) => Self::Set { path, value },
            None => Self::Remove { path },
        }
    }
}

/// The document after the edits, in their order.
#[must_use]
pub fn apply(document: &Document, edits: &[Edit]) -> Document {
    let mut node = Node::new(document);
    for edit in edits {
        match edit {
            Edit::Set { path, value } => node.set(&path.0, value),
            Edit::Remove { path } => node.remove(&path.0),
        }
    }
    node.into_document()
}

/// Two lists of edits as one: `apply(apply(d, first), second) == apply(d, fold(first, second))` for every `d` (R3).
#[must_use]
pub fn fold(first: &[Edit], second: &[Edit]) -> Vec<Edit> {
    // The first list is put in order too: `absorb` counts on no value standing behind a removal above it.
    first.iter().chain(second).fold(Vec::new(), absorb)
}

fn absorb(mut edits: Vec<Edit>, new: &Edit) -> Vec<Edit> {
    let path = new.path();
    // The last edit at or above the new one's parent decides what the new one meets.
    let host = edits.iter().rposition(|old| old.path() != path && old.path().covers(path));
    if let Some(Edit::Set { path: above, value }) = host.and_then(|at| edits.get_mut(at)) {
        let below = path.0.get(above.0.len()..).unwrap_or_default();
        let mut node = Node::Raw(value.clone());
        match new {
            Edit::Set { value, .. } => node.set(below, value),
            Edit::Remove { .. } => node.remove(below),
        }
        *value = node.into_json();
        return edits;
    }
    if let Some(above) = host.and_then(|at| edits.get(at)).map(|old| old.path().clone()) {
        // Removed above: a removal below finds nothing, a value below makes the object anew.
        if let Edit::Set { value, .. } = new {
            let below = path.0.get(above.0.len()..).unwrap_or_default();
            let mut node = Node::empty();
            node.set(below, value);
            edits.retain(|old| !above.covers(old.path()));
            edits.push(Edit::Set { path: above, value: node.into_json() });
        }
        return edits;
    }
    // A value makes objects on its way, and they stay when it is removed again. A `null` in its place makes the same objects:
    // what was removed is not kept. At the root there is always an object already.
    let leaves_objects = matches!(new, Edit::Remove { .. })
        && path.0.len() > 1
        && edits.iter().any(|old| path.covers(old.path()) && old.value().is_some());
    edits.retain(|old| !path.covers(old.path()));
    if leaves_objects {
        edits.push(Edit::Set { path: path.clone(), value: Json::null() });
    }
    edits.push(new.clone());
    edits
}

/// The edits that an RFC 7396 merge patch means for a document.
///
/// A `null` removes, an object goes into an object, anything else is written. Values that do not differ are written too:
/// the user said them.
#[must_use]
pub fn from_merge_patch(view: &Document, patch: &Document) -> Vec<Edit> {
    fn walk(view: Option<&Json>, patch: &Json, at: Option<&Path>, edits: &mut Vec<Edit>) {
        let known = view.and_then(|json| Document::from_json(json.clone()).ok());
        let Ok(patch) = Document::from_json(patch.clone()) else { return };
        for (name, value) in patch.fields() {
            let path = at.map_or_else(|| Path::field(&*name), |at| at.child(&name));
            let old = known.as_ref().and_then(|known| known.get(std::slice::from_ref(&name)));
            if value.text() == "null" {
                edits.push(Edit::Remove { path });
            } else if !value.is_object() {
                edits.push(Edit::Set { path, value });
            } else if old.as_ref().is_some_and(Json::is_object) {
                walk(old.as_ref(), &value, Some(&path), edits);
            } else {
                edits.push(Edit::Set { path, value: without_nulls(&value) });
            }
        }
    }
    let mut edits = Vec::new();
    walk(Some(view.as_json()), patch.as_json(), None, &mut edits);
    edits
}

/// A merge patch applied to nothing.
fn without_nulls(patch: &Json) -> Json {
    let Ok(document) = Document::from_json(patch.clone()) else { return patch.clone() };
    let mut node = Node::empty();
    for (name, value) in document.fields() {
        if value.text() != "null" {
            node.set(&[name], &without_nulls(&value));
        }
    }
    node.into_json()
}

/// The fewest edits that lead from one document to another, member by member.
#[must_use]
pub fn diff(from: &Document, to: &Document) -> Vec<Edit> {
    fn walk(from: &Document, to: &Document, at: Option<&Path>, edits: &mut Vec<Edit>) {
        let (old, new) = (from.fields(), to.fields());
        let path = |name: &str| at.map_or_else(|| Path::field(name), |at| at.child(name));
        for (name, _) in &old {
            if !new.iter().any(|(known, _)| known == name) {
                edits.push(Edit::Remove { path: path(name) });
            }
        }
        for (name, value) in new {
            let known = old.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
            if known == Some(&value) {
                continue;
            }
            let objects = known
                .and_then(|known| Document::from_json(known.clone()).ok())
                .zip(Document::from_json(value.clone()).ok());
            match objects {
                Some((known, value)) => walk(&known, &value, Some(&path(&name)), edits),
                None => edits.push(Edit::Set { path: path(&name), value }),
            }
        }
    }
    let mut edits = Vec::new();
    walk(from, to, None, &mut edits);
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("1".to_owned()),
            Just("\"x\"".to_owned()),
            Just("[1,{\"a\":2}]".to_owned())
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            })
        })
    }

    fn object() -> impl Strategy<Value = Document> {
        prop::collection::btree_map("[abc]", value(), 0..4).prop_map(|members| {
            let members: Vec<_> =
                members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            document(&format!("{{{}}}", members.join(",")))
        })
    }

    fn edits() -> impl Strategy<Value = Vec<Edit>> {
        let path = prop::collection::vec("[abc]", 1..4).prop_map(Path);
        let edit = (path, prop::option::of(value())).prop_map(|(path, value)| {
            Edit::to(path, value.map(|text| Json::parse(&text).unwrap()))
        });
        prop::collection::vec(edit, 0..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        /// R3.
        #[test]
        fn folding_is_applying_one_after_the_other(d in object(), p in edits(), q in edits()) {
            prop_assert_eq!(apply(&apply(&d, &p), &q), apply(&d, &fold(&p, &q)));
        }

        #[test]
        fn a_folded_list_stays_small(p in edits()) {
            let once = fold(&[], &p);
            let mut many = once.clone();
            for _ in 0..5 {
                many = fold(&many, &p);
            }
            let mut paths: Vec<_> = p.iter().map(Edit::path).collect();
            paths.sort();
            paths.dedup();
            prop_assert!(many.len() <= 2 * paths.len(), "{} then {}", once.len(), many.len());
        }

        /// R3.
        #[test]
        fn a_difference_leads_from_one_to_the_other(a in object(), b in object()) {
            prop_assert_eq!(apply(&a, &diff(&a, &b)), b.clone());
            prop_assert!(diff(&b, &b).is_empty());
        }
    }

    /// R3.
    #[test]
    fn merge_patches_follow_the_examples_of_rfc_7396() {
        // Appendix A, those whose target and patch are objects.
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let (target, patch) = (document(target), document(patch));
            let edits = from_merge_patch(&target, &patch);
            assert_eq!(apply(&target, &edits), document(result), "{target:?} {patch:?}");
        }
    }

    #[test]
    fn a_path_shows_its_names_and_escapes_dots() {
        let path = Path(vec!["a.b".into(), "c\\d".into(), "e".into()]);
        assert_eq!(path.to_string(), "a\\.b.c\\\\d.e");
    }
}
