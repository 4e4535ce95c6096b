//! What an operation says on a wire that does not take edits: the whole record, or a merge patch (R3). Decided when it is sealed,
//! over what its record is then, and kept with it.

use crate::model::{Before, Document, Edit, Intent, Operation, Presence, Resolve, Rules, edit};

/// What leaves in the place of an operation's intent; nothing where that is what the wire takes.
pub(super) fn shaped(op: &Operation, base: Option<&Presence>, rules: &Rules) -> Option<Intent> {
    let wire = rules.wire;
    if !wire.whole_record && !wire.patches {
        return None;
    }
    match &op.intent {
        // Such a wire makes a record once; over a tombstone it is written.
        Intent::Create(document) if base == Some(&Presence::Deleted) => {
            Some(Intent::Replace(document.clone()))
        }
        Intent::Change(_) if wire.whole_record => {
            match op.replay(base, rules.of(&op.key.collection))? {
                Presence::Live(document) => Some(Intent::Replace(document)),
                Presence::Deleted => None,
            }
        }
        Intent::Change(edits) => {
            Some(Intent::Change(edits.iter().flat_map(|edit| member_by_member(op, edit)).collect()))
        }
        Intent::Replace(document)
        | Intent::Resolve(Resolve { chosen: Presence::Live(document), .. })
            if wire.patches =>
        {
            match &op.before {
                Before::Whole(Some(found)) => Some(Intent::Change(edit::diff(found, document))),
                Before::Whole(None) | Before::Nothing | Before::Paths(_) => None,
            }
        }
        Intent::Create(_) | Intent::Replace(_) | Intent::Delete | Intent::Resolve(_) => None,
    }
}

/// An object in the place of another is what was taken out of it and put into it: a merge patch merges objects.
fn member_by_member(op: &Operation, edit: &Edit) -> Vec<Edit> {
    let object = |json: crate::model::Json| Document::from_json(json).ok();
    let found = op.before.at(edit.path()).and_then(object);
    let put = edit.value().cloned().and_then(object);
    let (Some(found), Some(put)) = (found, put) else { return vec![edit.clone()] };
    let below = |inner: &Edit| {
        let mut path = edit.path().clone();
        path.0.extend(inner.path().0.iter().cloned());
        Edit::to(path, inner.value().cloned())
    };
    edit::diff(&found, &put).iter().map(below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Capabilities, DeviceId, Json, Path};

    fn document(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    fn operation(intent: Intent, before: Before) -> Operation {
        use crate::model::{Assumed, EntityKey, OpId, OpState, Owner, Priority, Seq, Stamp};
        Operation {
            seq: Seq(1),
            id: OpId::from_bytes([1; 16]),
            key: EntityKey::new("orders", "o1"),
            intent,
            before,
            assumed: Assumed::Unknown,
            stamp: Stamp { millis: 0, counter: 0, device: DeviceId::from_bytes([0; 16]) },
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
            ready: true,
        }
    }

    fn set(path: &[&str], value: &str) -> Edit {
        let path = Path(path.iter().map(|&it| it.to_owned()).collect());
        Edit::Set { path, value: Json::parse(value).unwrap() }
    }

    fn rules(whole_record: bool, patches: bool) -> Rules {
        let wire = Capabilities { whole_record, patches, ..Capabilities::default() };
        Rules { wire, ..Rules::default() }
    }

    /// R3.
    #[test]
    fn a_change_is_the_whole_record_where_the_wire_wants_that() {
        let before = Before::Paths(vec![(Path::field("a"), crate::model::Slot(None))]);
        let op = operation(Intent::Change(vec![set(&["a"], "2")]), before);
        let base = Presence::Live(document(r#"{"a":1,"b":3}"#));
        let whole = shaped(&op, Some(&base), &rules(true, false));
        assert_eq!(whole, Some(Intent::Replace(document(r#"{"a":2,"b":3}"#))));
        assert_eq!(shaped(&op, Some(&base), &rules(false, false)), None, "edits as they are");
        let gone = shaped(&op, Some(&Presence::Deleted), &rules(true, false));
        assert_eq!(gone, None, "there is no record to tell");
    }

    /// R3: a merge patch cannot put an object in the place of another.
    #[test]
    fn a_merge_patch_takes_out_what_is_gone() {
        let found = document(r#"{"p":{"x":1,"y":2},"q":1}"#);
        let slot = crate::model::Slot(found.get(&["p".to_owned()]));
        let before = Before::Paths(vec![(Path::field("p"), slot)]);
        let op = operation(Intent::Change(vec![set(&["p"], r#"{"y":2,"z":3}"#)]), before);
        let gone = Edit::Remove { path: Path(vec!["p".to_owned(), "x".to_owned()]) };
        let said = Intent::Change(vec![gone.clone(), set(&["p", "z"], "3")]);
        assert_eq!(shaped(&op, None, &rules(false, true)), Some(said.clone()));
        let whole = Intent::Replace(document(r#"{"p":{"y":2,"z":3},"q":1}"#));
        let op = operation(whole, Before::Whole(Some(found)));
        assert_eq!(shaped(&op, None, &rules(false, true)), Some(said));
    }

    /// WIRES: a record that is brought back is written over its tombstone.
    #[test]
    fn what_was_deleted_there_is_written_and_not_made() {
        let op = operation(Intent::Create(document("{}")), Before::Nothing);
        let there = |base: Option<&Presence>| shaped(&op, base, &rules(true, false));
        assert_eq!(there(Some(&Presence::Deleted)), Some(Intent::Replace(document("{}"))));
        assert_eq!(there(None), None);
    }
}
