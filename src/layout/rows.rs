//! From a changeset to rows.

use super::write::{self, Write, text_of};
use super::{Key, Part, entity, reserve, text};
use crate::model::{Changeset, OpState, Operation};

/// A row to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What is stored: JSON.
    pub text: String,
    /// Members that indexes are over: one key, or a list of keys for an index with many entries. Absent means not indexed.
    pub indexes: Vec<(&'static str, Vec<Key>)>,
}

/// One step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// Stores a row.
    Put {
        /// Where.
        store: &'static str,
        /// Under which key.
        key: Key,
        /// What.
        row: Row,
    },
    /// Takes a row out.
    Delete {
        /// Where.
        store: &'static str,
        /// Under which key.
        key: Key,
    },
}

fn put<T>(store: &'static str, key: Key, value: &T, write: Write<T>) -> RowChange {
    stored(store, key, text_of(value, write), Vec::new())
}

fn stored(
    store: &'static str,
    key: Key,
    text: String,
    indexes: Vec<(&'static str, Vec<Key>)>,
) -> RowChange {
    RowChange::Put { store, key, row: Row { text, indexes } }
}

fn operation(op: &Operation) -> RowChange {
    let mut by_entity = entity(&op.key);
    by_entity.push(Part::Number(op.seq.0));
    let mut ids: Vec<Key> = vec![vec![text(op.id.to_string())]];
    ids.extend(op.folded.iter().map(|id| vec![text(id.to_string())]));
    let mut indexes = vec![("entity", vec![by_entity]), ("ids", ids)];
    if op.ready {
        let rank = u64::from(op.priority.rank());
        indexes.push(("ready", vec![vec![Part::Number(rank), Part::Number(op.seq.0)]]));
    }
    if !op.refs.is_empty() {
        indexes.push(("refs", op.refs.iter().map(entity).collect()));
    }
    if let OpState::InFlight { term } = op.state {
        indexes.push(("flight", vec![vec![Part::Number(term.0), Part::Number(op.seq.0)]]));
    }
    if let Some(group) = op.group {
        indexes.push(("group", vec![vec![text(group.to_string()), Part::Number(op.seq.0)]]));
    }
    stored("outbox", vec![Part::Number(op.seq.0)], text_of(op, write::operation), indexes)
}

/// The rows that a changeset becomes, all in one transaction.
#[must_use]
pub fn changes(set: &Changeset) -> Vec<RowChange> {
    let mut rows = Vec::new();
    let delete = |store, key| RowChange::Delete { store, key };
    rows.extend(set.meta.iter().map(|meta| put("meta", reserve::state(), meta, write::meta)));
    rows.extend(set.reserve.into_iter().flat_map(reserve::changes));
    rows.extend(set.finished().map(|seq| delete("outbox", vec![Part::Number(seq.0)])));
    rows.extend(set.drop_records.iter().map(|key| delete("records", entity(key))));
    rows.extend(
        set.records.values().map(|row| put("records", entity(&row.key), row, write::record)),
    );
    rows.extend(set.ops.values().map(operation));
    let id = |id: String| vec![text(id)];
    rows.extend(set.drop_conflicts.iter().map(|it| delete("conflicts", id(it.to_string()))));
    rows.extend(
        set.conflicts
            .values()
            .map(|it| put("conflicts", id(it.id.to_string()), it, write::conflict)),
    );
    rows.extend(set.drop_cursors.iter().map(|it| delete("cursors", id(it.0.clone()))));
    rows.extend(
        set.cursors.iter().map(|it| put("cursors", id(it.scope.0.clone()), it, write::cursor)),
    );
    rows.extend(
        set.aliases.iter().map(|(named, own)| put("aliases", entity(named), own, write::string)),
    );
    rows.extend(set.drop_settled.iter().map(|it| delete("settled", id(it.to_string()))));
    rows.extend(set.settled.iter().map(|it| {
        let at = vec![("at", vec![vec![Part::Number(it.at.0)]])];
        stored("settled", id(it.op.to_string()), text_of(it, write::settled), at)
    }));
    rows.extend(set.drop_journal.iter().map(|line| delete("journal", vec![Part::Number(*line)])));
    rows.extend(
        set.journal
            .iter()
            .map(|it| put("journal", vec![Part::Number(it.line)], it, write::journal)),
    );
    rows.extend(
        set.quarantine
            .iter()
            .map(|it| put("quarantine", id(it.place.clone()), it, write::unreadable)),
    );
    rows
}

/// A row of each kind, as it is stored. A snapshot that changes is a change of format: it needs a migration step and a line in
/// the changelog. `docs/formats.md` is printed from the same rows.
#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::super::read::{self, Read};
    use super::super::{file_text, read_file};
    use super::*;
    use crate::model::edit;
    use crate::model::scan::Reader;
    use crate::model::{
        Ahead, Asks, Assumed, Base, Before, Carried, Conflict, ConflictKind, Cursor, CursorRow,
        Decider, DeviceId, Document, Edit, EntityKey, Epoch, Fate, IdSeed, Intent, Json, Meta,
        OpId, OutboxFile, Owner, Parked, Path, Presence, Priority, Quarantine, Record, Resolve,
        Resolved, Scope, Sent, Seq, Settled, Shadow, Slot, Stamp, Term, Unreadable, Version, Wall,
    };
    use crate::model::{JournalLine, Reserve};

    const NOW: u64 = 1_763_650_000_000;
    const SEED: IdSeed = IdSeed { at: Wall(NOW), random: [1, 2, 3, 4, 5, 6, 0, 0, 0, 0] };

    fn id(n: u32) -> OpId {
        SEED.op(n)
    }

    fn document(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    fn stamp() -> Stamp {
        Stamp { millis: NOW, counter: 0, device: device() }
    }

    fn device() -> DeviceId {
        SEED.device(100)
    }

    fn order() -> EntityKey {
        EntityKey::new("orders", "order-1")
    }

    fn live(text: &str) -> Presence {
        Presence::Live(document(text))
    }

    fn base(version: u64, text: &str) -> Base {
        Base {
            presence: live(text),
            version: Some(Version::Number(version)),
            stamp: Some(stamp()),
            guessed: false,
        }
    }

    fn op(seq: u64, state: OpState) -> Operation {
        Operation {
            seq: Seq(seq),
            id: id(1),
            key: order(),
            intent: Intent::Create(document(r#"{"table":7,"customer":"c1"}"#)),
            before: Before::Nothing,
            assumed: Assumed::Nothing,
            stamp: stamp(),
            priority: Priority::Normal,
            group: None,
            refs: Vec::new(),
            owner: Owner { tenant: "north".into(), user: "ada".into() },
            schema: 3,
            folded: Vec::new(),
            replaces: None,
            sent: None,
            sends: 0,
            refusals: 0,
            state,
            ready: false,
        }
    }

    fn sent() -> Option<Sent> {
        Some(Sent {
            id: "order-1".into(),
            device: device(),
            assumed: Some(Version::Number(7)),
            action: None,
            stamp: stamp(),
        })
    }

    fn change() -> (Intent, Before) {
        let edits = vec![
            Edit::Set {
                path: Path(vec!["address".into(), "city".into()]),
                value: Json::parse("\"Turin\"").unwrap(),
            },
            Edit::Remove { path: Path::field("note") },
        ];
        let before = document(r#"{"note":null}"#);
        let slots = edits.iter().map(|edit| {
            let found = before.get(&edit.path().0);
            (edit.path().clone(), Slot(found))
        });
        let slots = slots.collect();
        assert_eq!(edit::apply(&before, &edits), document(r#"{"address":{"city":"Turin"}}"#));
        (Intent::Change(edits), Before::Paths(slots))
    }

    fn operations() -> Vec<(&'static str, Operation)> {
        let (intent, before) = change();
        let customer = EntityKey::new("customers", "c1");
        vec![
            (
                "queued: a create that waits for another",
                Operation { refs: vec![customer], ..op(1, OpState::queued()) },
            ),
            (
                "queued: a change with another folded into it, ready to leave",
                Operation {
                    intent: intent.clone(),
                    before: before.clone(),
                    assumed: Assumed::At(Version::Number(7)),
                    folded: vec![id(2)],
                    priority: Priority::High,
                    ready: true,
                    ..op(2, OpState::queued())
                },
            ),
            (
                "queued: asked again later, sealed",
                Operation {
                    intent: Intent::Replace(document(r#"{"table":8}"#)),
                    before: Before::Whole(Some(document(r#"{"table":7}"#))),
                    assumed: Assumed::At(Version::Stamp("2026-01-01T00:00:00Z".into())),
                    sent: sent(),
                    sends: 2,
                    refusals: 1,
                    ready: true,
                    ..op(
                        3,
                        OpState::Queued {
                            not_before: Some(Wall(NOW + 2_000)),
                            under: Some(Term(6)),
                        },
                    )
                },
            ),
            (
                "in flight",
                Operation {
                    intent: Intent::Delete,
                    before: Before::Whole(Some(document(r#"{"table":7}"#))),
                    assumed: Assumed::At(Version::Opaque("W/\"a1\"".into())),
                    sent: sent(),
                    sends: 1,
                    ..op(4, OpState::InFlight { term: Term(6) })
                },
            ),
            (
                "a member of a transaction",
                Operation {
                    intent: intent.clone(),
                    before: before.clone(),
                    assumed: Assumed::At(Version::Number(7)),
                    group: crate::model::GroupId::parse(&id(6).to_string()),
                    ready: true,
                    ..op(10, OpState::queued())
                },
            ),
            (
                "acked",
                Operation {
                    sent: sent(),
                    sends: 1,
                    ..op(5, OpState::Acked { pull_after: Epoch(12) })
                },
            ),
            (
                "blocked",
                Operation {
                    intent,
                    before,
                    assumed: Assumed::After(id(3)),
                    ..op(6, OpState::Blocked { by: id(3), visible: true })
                },
            ),
            ("parked: conflicted", op(7, OpState::Parked(Parked::Conflicted(SEED.conflict(4))))),
            (
                "parked: rejected",
                Operation {
                    sent: sent(),
                    sends: 1,
                    refusals: 1,
                    ..op(
                        8,
                        OpState::Parked(Parked::Rejected {
                            code: "validation".into(),
                            message: "table 7 is closed".into(),
                            snapshot: Some(document(r#"{"table":7}"#)),
                        }),
                    )
                },
            ),
            (
                "parked: handed over, a resolution in the place of another operation",
                Operation {
                    intent: Intent::Resolve(Resolve {
                        token: Some("t-1".into()),
                        chosen: Presence::Deleted,
                    }),
                    before: Before::Whole(None),
                    assumed: Assumed::Unknown,
                    replaces: Some(id(9)),
                    ..op(9, OpState::Parked(Parked::HandedOver))
                },
            ),
        ]
    }

    fn conflict(resolved: Option<Resolved>) -> Conflict {
        Conflict {
            id: SEED.conflict(4),
            key: order(),
            op: id(1),
            kind: ConflictKind::UpdateUpdate,
            base: Some(document(r#"{"table":7}"#)),
            mine: live(r#"{"table":8}"#),
            theirs: live(r#"{"table":9}"#),
            version: Some(Version::Number(8)),
            stamp: Some(stamp()),
            fields: vec![Path::field("table")],
            at: Wall(NOW),
            token: None,
            asks: Asks::Person,
            resolved,
        }
    }

    fn meta() -> Meta {
        let mut meta = Meta {
            device: Some(device()),
            commits: 40,
            term: Term(6),
            floor: Seq(9),
            clock: Some(stamp()),
            ahead: Ahead(vec![-12, 40]),
            pulls: Epoch(12),
            last_push: Some(Wall(NOW)),
            last_pull: Some(Wall(NOW)),
            pull_due: true,
            lost: Some(Wall(NOW)),
            journal: 20,
            aliases: 1,
            quarantine: Quarantine { rows: 1, bytes: 6 },
            reserve: 128,
            ..Meta::default()
        };
        meta.counts.accepted = 1;
        meta.counts.pending = 1;
        meta
    }

    /// Title and rows of each store, in the order of the table.
    fn examples() -> Vec<(&'static str, Vec<(&'static str, RowChange)>)> {
        let mut set = Changeset::default();
        set.meta = Some(meta());
        let record = Record {
            base: Some(base(7, r#"{"table":7}"#)),
            view: Some(live(r#"{"table":8}"#)),
            scope: Some(Scope::all()),
            server_id: Some("S-17".into()),
            generation: 1,
            modified: NOW,
            ..Record::new(order())
        };
        set.records.insert(order(), record);
        let next = Shadow { generation: 2, base: base(3, r#"{"table":6}"#) };
        let own = Record { view: Some(live(r#"{"table":1}"#)), ..Record::new(order()) };
        let by = Resolved {
            by: Decider::Person,
            choice: "mine".into(),
            at: Wall(NOW),
            call: Some(id(5)),
        };
        let settled = |fate| Settled::new(id(1), fate, Wall(NOW));
        set.cursors.push(CursorRow {
            cursor: Some(Cursor("c-812".into())),
            generation: 2,
            rebuilding: true,
            complete: true,
            spares: true,
            brought: 812,
            pulled: Some(Wall(NOW)),
            used: Some(Wall(NOW)),
            ..CursorRow::new(Scope::all())
        });
        let leaving = CursorRow::new(Scope("building:42".into()));
        set.cursors.push(CursorRow { generation: 3, leaving: true, ..leaving });
        set.aliases.push((EntityKey::new("orders", "S-17"), "order-1".into()));
        set.quarantine
            .push(Unreadable { place: "pull/all/c-812/0".into(), text: "{\"id\":".into() });
        set.settled.push(Settled {
            version: Some(Version::Number(8)),
            server_id: Some("S-17".into()),
            ..settled(Fate::Applied)
        });
        set.settled.push(settled(Fate::Superseded(id(6))));
        set.settled.push(Settled { call: Some(id(5)), ..settled(Fate::Discarded) });
        set.finish_op(&op(1, OpState::queued()), Fate::Yielded(SEED.conflict(4)), Wall(NOW), 20);
        let all = changes(&set);
        let of = |wanted: &'static str| -> Vec<RowChange> {
            let puts = all.iter().filter(
                |change| matches!(change, RowChange::Put { store, .. } if *store == wanted),
            );
            puts.cloned().collect()
        };
        let named = |names: &[&'static str], store| {
            let rows = of(store);
            assert_eq!(rows.len(), names.len(), "{store}");
            names.iter().copied().zip(rows).collect::<Vec<_>>()
        };
        let conflicts = |resolved| {
            put(
                "conflicts",
                vec![text(SEED.conflict(4).to_string())],
                &conflict(resolved),
                write::conflict,
            )
        };
        let mut records = named(&["base and view"], "records");
        records.push((
            "made here, not settled",
            put("records", entity(&order()), &own, write::record),
        ));
        let brought = Record { shadow: Some(next), ..Record::new(order()) };
        records.push((
            "brought by a full pull that is under way",
            put("records", entity(&order()), &brought, write::record),
        ));
        vec![
            ("records", records),
            ("outbox", operations().into_iter().map(|(name, op)| (name, operation(&op))).collect()),
            ("conflicts", vec![("open", conflicts(None)), ("resolved", conflicts(Some(by)))]),
            (
                "cursors",
                named(
                    &["while everything is pulled anew", "evicted, but for unsent work"],
                    "cursors",
                ),
            ),
            ("meta", {
                let mut rows = named(&["the database's own state"], "meta");
                let names = ["the marker: what never left is not sealed", "a spare term"];
                rows.extend(names.into_iter().zip(reserve::changes(Reserve::Fill)));
                rows
            }),
            ("journal", named(&["one line"], "journal")),
            ("quarantine", named(&["a change that could not be read"], "quarantine")),
            ("aliases", named(&["from the server's id to the own"], "aliases")),
            ("settled", named(&["applied", "superseded", "discarded", "yielded"], "settled")),
        ]
    }

    fn shown_key(key: &Key) -> String {
        let parts: Vec<String> = key
            .iter()
            .map(|part| match part {
                Part::Number(number) => number.to_string(),
                Part::Text(text) => format!("{text:?}"),
            })
            .collect();
        format!("[{}]", parts.join(", "))
    }

    /// Key, index entries and the text itself, a member to a line in the order in which it is stored.
    fn shown(change: &RowChange) -> String {
        let RowChange::Put { key, row, .. } = change else { panic!("a deletion") };
        let mut out = format!("key {}\n", shown_key(key));
        for (index, entries) in &row.indexes {
            let entries: Vec<String> = entries.iter().map(shown_key).collect();
            out.push_str(&format!("index {index}: {}\n", entries.join(" ")));
        }
        match Document::parse(&row.text) {
            Ok(document) => {
                let members: Vec<String> = document
                    .fields()
                    .iter()
                    .map(|(name, value)| format!("  {name:?}: {}", value.text()))
                    .collect();
                out.push_str(&format!("{{\n{}\n}}", members.join(",\n")));
            }
            Err(_) => out.push_str(&row.text),
        }
        out
    }

    #[test]
    fn every_row_is_stored_as_it_was() {
        for (store, rows) in examples() {
            let shown: Vec<String> =
                rows.iter().map(|(name, row)| format!("# {name}\n{}", shown(row))).collect();
            insta::assert_snapshot!(store, shown.join("\n\n"));
        }
    }

    /// Texts that differ from a row's in one place: without a member, with one that nobody knows, with another value.
    fn mutants(value: &Value) -> Vec<Value> {
        let mut found = vec![
            Value::Null,
            Value::from(5),
            Value::from("5"),
            Value::from(true),
            serde_json::json!({}),
            serde_json::json!({"Nothing": {}}),
            serde_json::json!([5]),
        ];
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let mut without = members.clone();
                    without.remove(name);
                    found.push(without.into());
                    for mutant in mutants(value) {
                        let mut other = members.clone();
                        other.insert(name.clone(), mutant);
                        found.push(other.into());
                    }
                }
                let mut more = members.clone();
                more.insert("of tomorrow".to_owned(), serde_json::json!({"a": [1, {}]}));
                found.push(more.into());
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    for mutant in mutants(item) {
                        let mut other = items.clone();
                        other[at] = mutant;
                        found.push(other.into());
                    }
                }
                found.push(items.iter().chain(items).cloned().collect());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        found
    }

    /// The derived writer and reader are the judges. What they let pass beyond what was ever written (a list for a struct, a
    /// variant without a content with one) may be refused.
    fn agrees<T>(value: &T, write: Write<T>, read: Read<T>)
    where
        T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let text = text_of(value, write);
        assert_eq!(text, serde_json::to_string(value).unwrap());
        assert_eq!(Reader::whole(&text, read).as_ref(), Some(value), "{text}");
        for end in 0..text.len() {
            let cut = text.get(..end).unwrap_or_default();
            assert_eq!(Reader::whole(cut, read), None, "{cut}");
        }
        for mutant in mutants(&serde_json::from_str(&text).unwrap()) {
            let text = mutant.to_string();
            let judged = serde_json::from_str::<T>(&text).ok();
            let ours = Reader::whole(&text, read);
            let lenient = text.contains("[5]") || text.contains(r#"{"Nothing":{}}"#);
            assert!(ours == judged || lenient && ours.is_none(), "{text}\n{ours:?}\n{judged:?}");
        }
        let doubled = text.replacen('{', &format!("{{{},", &text[1..text.len() - 1]), 1);
        assert_eq!(Reader::whole(&doubled, read), None, "{doubled}");
    }

    /// R2, P30: a row is read as it was written, or it is nothing.
    #[test]
    fn every_row_is_written_and_read_as_serde_does() {
        let mut ops: Vec<Operation> = operations().into_iter().map(|(_, op)| op).collect();
        let resolve = Resolve { token: None, chosen: live("{}") };
        let planned = OpState::Queued { not_before: Some(Wall(1)), under: Some(Term(2)) };
        ops.push(Operation {
            intent: Intent::Resolve(resolve.clone()),
            priority: Priority::Low,
            group: crate::model::GroupId::parse(&id(9).to_string()),
            owner: Owner::default(),
            sent: Some(Sent { action: Some(Intent::Resolve(resolve)), ..sent().unwrap() }),
            before: Before::Paths(vec![
                (Path(vec![]), Slot(None)),
                (Path(vec!["\"\\\u{1}ä".into(), "b".into()]), Slot(Some(Json::null()))),
            ]),
            ..op(u64::MAX, planned)
        });
        for op in ops {
            agrees(&op, write::operation, read::operation);
        }
        for presence in [Presence::Deleted, live("{}")] {
            let base = Base { presence, version: None, stamp: None, guessed: true };
            let record = Record { base: Some(base), ..Record::new(order()) };
            agrees(&record, write::record, read::record);
        }
        let whole = Record {
            base: Some(base(7, r#"{"table":7}"#)),
            view: Some(Presence::Deleted),
            scope: Some(Scope::all()),
            also: vec![Scope("building:42".into())],
            server_id: Some("S-17".into()),
            generation: 1,
            shadow: Some(Shadow { generation: 2, base: base(3, "{}") }),
            modified: NOW,
            key: order(),
        };
        agrees(&whole, write::record, read::record);
        let kinds = [
            ConflictKind::UpdateUpdate,
            ConflictKind::UpdateDelete,
            ConflictKind::DeleteUpdate,
            ConflictKind::CreateCreate,
        ];
        let deciders = [Decider::Policy, Decider::Callback, Decider::Person, Decider::Person];
        for (kind, by) in kinds.into_iter().zip(deciders) {
            let resolved = Resolved { by, choice: "mine".into(), at: Wall(NOW), call: Some(id(5)) };
            let token = Some("cf_91".to_owned());
            let whole = Conflict { kind, token, ..conflict(Some(resolved)) };
            agrees(&whole, write::conflict, read::conflict);
            let bare = Conflict {
                base: None,
                version: None,
                stamp: None,
                asks: Asks::Callback,
                ..conflict(None)
            };
            agrees(&bare, write::conflict, read::conflict);
        }
        let mut asking = meta();
        asking.counts.asking = 3;
        for meta in [meta(), asking, Meta::default()] {
            agrees(&meta, write::meta, read::meta);
        }
        for fate in [
            Fate::Applied,
            Fate::Folded(id(2)),
            Fate::Annihilated,
            Fate::Yielded(SEED.conflict(4)),
            Fate::Superseded(id(3)),
            Fate::Discarded,
            Fate::HandedOver,
        ] {
            let line =
                JournalLine { line: 3, at: Wall(4), op: id(1), key: order(), fate: fate.clone() };
            agrees(&line, write::journal, read::journal);
            let row = Settled {
                version: Some(Version::Opaque("\u{2028}".into())),
                server_id: Some("S-17".into()),
                call: Some(id(5)),
                ..Settled::new(id(1), fate.clone(), Wall(NOW))
            };
            agrees(&row, write::settled, read::settled);
            agrees(&Settled::new(id(1), fate, Wall(NOW)), write::settled, read::settled);
        }
        for cursor in [None, Some(Cursor("c-812".into()))] {
            let row = CursorRow {
                cursor,
                generation: 2,
                rebuilding: true,
                ..CursorRow::new(Scope::all())
            };
            agrees(&row, write::cursor, read::cursor);
            let (pulled, used) = (Some(Wall(NOW)), Some(Wall(NOW + 1)));
            let row = CursorRow { brought: 7, pulled, used, leaving: true, ..row };
            agrees(&row, write::cursor, read::cursor);
        }
    }

    #[test]
    fn every_store_is_shown_or_empty() {
        let mut shown: Vec<&str> = examples().iter().map(|(store, _)| *store).collect();
        shown.push("flights");
        let declared: Vec<&str> = crate::layout::STORES.iter().map(|store| store.name).collect();
        assert_eq!(shown, declared);
    }

    const PREFACE: &str = "\
# Formats

What is stored, row by row. Printed from the rows that the tests of `src/layout` store and read: a test fails when this page
differs from them (`INSTA_UPDATE=always cargo test -p holdfast --lib formats` prints it anew). A change here is a change of
format: it needs a migration step and a line in the changelog.

Every row is `{ text, <index>: key … }` under a key. `text` is the JSON below, in one line; the page shows a member to a line.
Keys are lists of texts and numbers, in the order of IndexedDB. The rows of one transaction are written together or not at all.
The store `flights` is declared and empty: it is for claims that seal many operations in one row (R29).
";

    const FILES: &str = "
## Outbox files

What `outbox.export` makes and `outbox.import` takes (R18): one object, version 1. Operations and conflicts are as in their rows,
in order; `serverId` is there where the server names the record otherwise, `snapshot` is the document as the user last saw it.
At most 10,000 operations and 64 MiB. A member that nobody knows is passed over; another version is refused.
";

    fn file() -> String {
        let named = |wanted: &str| {
            let found = operations().into_iter().find(|(name, _)| *name == wanted);
            found.map(|(_, op)| op).unwrap()
        };
        let (sealed, rejected) =
            (named("queued: asked again later, sealed"), named("parked: rejected"));
        let carried = |op, server_id, snapshot| Carried { op, server_id, snapshot };
        let shown = Some(document(r#"{"table":8}"#));
        let conflicted = op(7, OpState::Parked(Parked::Conflicted(SEED.conflict(4))));
        file_text(&OutboxFile {
            at: Wall(NOW),
            device: Some(device()),
            owner: Owner { tenant: "north".into(), user: "ada".into() },
            schema: 3,
            hand_over: true,
            operations: vec![
                carried(sealed, Some("S-17".into()), shown.clone()),
                carried(conflicted, None, shown),
                carried(rejected, None, None),
            ],
            conflicts: vec![conflict(None)],
        })
        .unwrap()
    }

    /// The members of an object, one to a line, and what is in a list.
    fn members_of(text: &str) -> String {
        let members = Document::parse(text).unwrap().fields().into_iter().map(|(name, value)| {
            let value = value.text().replace("},{\"operation\"", "},\n    {\"operation\"");
            format!("  {name:?}: {value}")
        });
        format!("{{\n{}\n}}", members.collect::<Vec<_>>().join(",\n"))
    }

    #[test]
    fn an_outbox_file_is_written_as_it_was() {
        insta::assert_snapshot!("file", members_of(&file()));
        let read = read_file(&file()).unwrap();
        assert_eq!(file_text(&read).unwrap(), file());
    }

    const ABOUT: &[(&str, &str)] = &[
        (
            "records",
            "Base and view of a record in one row, by collection and own id. `shadow` is its base in the generation that a full pull is building (R25).",
        ),
        (
            "outbox",
            "Operations that did not end, by place. Parked ones stay here. Indexes: `entity` (the queue of a record), `ready` \
             (only what may leave now: priority, place), `refs` (whose creates it waits for), `ids` (its own and those folded \
             into it), `flight` (term, place), `group` (transaction, place; from version 2 of the table of stores).",
        ),
        ("conflicts", "Open conflicts, and resolved ones until they are tidied up, by id."),
        (
            "cursors",
            "Where the pull of a scope stands. Written together with a page, and when a scope is added, used or evicted.",
        ),
        (
            "meta",
            "The database's own state in one row; `counts` are both sides of the balance (R10). Beside it the reserve, which is \
             written with the first term: a marker and `reserve` spare terms, numbered from 1 (R27). Where `reserve` says that they \
             were written and the marker is not there, the outbox drains by deletions alone: the term is that of the row and one \
             for each spare term that is gone, the balance is that of the rows of the outbox, `commits` stands still, and what is \
             queued counts as sealed.",
        ),
        ("journal", "How operations ended, for support, by line. Holds no field values."),
        ("quarantine", "What could not be read, as it was, by place."),
        ("aliases", "From collection and server's id to the own id. Never deleted."),
        (
            "settled",
            "How an operation ended, by its id; index `at` (when). Kept 30 days or 100,000 rows.",
        ),
    ];

    #[test]
    fn formats_are_documented_as_they_are() {
        let mut page = PREFACE.to_owned();
        for (store, rows) in examples() {
            let about = ABOUT.iter().find(|(name, _)| *name == store).map_or("", |(_, it)| it);
            page.push_str(&format!("\n## {store}\n\n{about}\n"));
            for (name, row) in rows {
                page.push_str(&format!("\n{name}:\n\n```\n{}\n```\n", shown(&row)));
            }
        }
        page.push_str(FILES);
        page.push_str(&format!("\n```\n{}\n```\n", members_of(&file())));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/formats.md");
        if std::env::var("INSTA_UPDATE").is_ok_and(|it| it == "always") {
            std::fs::write(path, &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), page);
    }
}
