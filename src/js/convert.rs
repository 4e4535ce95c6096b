//! What the application sees, as JSON text, and what it says, read from it. Documents are copied as the text that they are.

use std::fmt::Display;

use super::errors::refused;
use super::options::priority;
use super::text::{Members, Object, elements, list};
use crate::engine::metrics::{CLASSES, KINDS, Span};
use crate::engine::{
    Commit, CycleReport, Drained, Entity, Metrics, Page, Progress, ScopeState, Spell, Verdict,
    WriteRequest, halt_name, halted_as,
};
use crate::model::json::{quote, unquote};
use crate::model::map::{Listed, sort};
use crate::model::scan::quote_to;
use crate::model::{
    Choice, Code, Conflict, ConflictId, ConflictKind, Counts, Decider, Document, EntityKey, Intent,
    JsonError, OpId, OpState, Operation, Parked, Path, Presence, Priority, Selection, Side,
    SyncError, Wall,
};
use crate::plan::scopes::Evicted;
use crate::plan::transfer::Imported;
use crate::plan::write::Action;
use crate::query::{Aggregate, Fold, Totals, Value};

/// The text of a document. `json.ts` has checked it; only a caller that goes around it sees these errors.
pub(super) fn document(text: &str) -> Result<Document, SyncError> {
    Document::parse(text).map_err(|error| match error {
        JsonError::TooDeep => refused(Code::TooLarge, "document", "nested too deeply"),
        JsonError::Syntax => refused(Code::InvalidValue, "document", "not JSON"),
        JsonError::NotAnObject => refused(Code::InvalidValue, "document", "not an object"),
    })
}

pub(super) fn written(id: &str, op: OpId) -> String {
    Object::new().text("id", id).id("opId", &op).end()
}

pub(super) fn written_together(writes: &[(EntityKey, OpId)]) -> String {
    list(writes.iter().map(|(key, op)| written(&key.id, *op)))
}

/// The members of a transaction, as `transaction.ts` recorded them.
pub(super) fn members(text: &str) -> Result<Vec<WriteRequest>, SyncError> {
    let wrong = || refused(Code::InvalidValue, "members", "not what the door expects");
    let mut requests = Vec::new();
    for (index, member) in elements(text).ok_or_else(wrong)?.iter().enumerate() {
        let at = |error: SyncError| {
            let path = error.path.clone().unwrap_or_default();
            error.at(format!("members/{index}/{path}"))
        };
        let member = Members::read(member.text()).ok_or_else(wrong)?;
        let content = || document(member.raw("content").unwrap_or_default()).map_err(at);
        let action = match &*member.text("kind").ok_or_else(wrong)? {
            "create" => Action::Create(content()?),
            "patch" => Action::Patch(content()?),
            "replace" => Action::Replace(content()?),
            "remove" => Action::Remove,
            _ => return Err(wrong()),
        };
        let priority = urgency(member.text("priority").as_deref()).map_err(at)?;
        let collection = member.text("collection").ok_or_else(wrong)?;
        requests.push(WriteRequest { collection, id: member.text("id"), action, priority });
    }
    Ok(requests)
}

/// How urgent a write says that it is.
pub(super) fn urgency(name: Option<&str>) -> Result<Option<Priority>, SyncError> {
    match name.map(priority) {
        Some(None) => Err(refused(Code::InvalidValue, "priority", "high, normal or low")),
        Some(urgency) => Ok(urgency),
        None => Ok(None),
    }
}

pub(super) fn entity(entity: &Entity) -> String {
    let mut out = String::new();
    write_entity(&mut out, entity);
    out
}

/// A list of thousands is written once, into one text.
fn write_entity(out: &mut String, entity: &Entity) {
    out.push_str("{\"id\":");
    quote_to(out, &entity.id);
    out.push_str(",\"document\":");
    out.push_str(entity.document.text());
    out.push_str(",\"meta\":{\"state\":\"");
    out.push_str(entity.state.text());
    out.push_str("\",");
    let mut text = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            out.push_str(name);
            quote_to(out, value);
            out.push(',');
        }
    };
    text("\"version\":", entity.version.as_deref());
    text("\"serverId\":", entity.server_id.as_deref());
    out.push_str("\"modifiedAt\":");
    out.push_str(&entity.modified_at.to_string());
    out.push_str("}}");
}

/// Records that were asked for.
pub(super) fn page(page: &Page) -> String {
    let length: usize = page.items.iter().map(|it| it.document.text().len() + 160).sum();
    let mut out = String::with_capacity(length + 64);
    out.push_str("{\"items\":[");
    for (index, one) in page.items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_entity(&mut out, one);
    }
    out.push_str(if page.complete { "],\"complete\":true" } else { "],\"complete\":false" });
    if let Some(next) = &page.next {
        out.push_str(",\"next\":");
        quote_to(&mut out, next);
    }
    out.push('}');
    out
}

/// `{ groups: [{ key, count, sum, avg, min, max }], complete }`; what was not asked for is not there.
pub(super) fn totals(asked: &Aggregate, totals: &[Totals], complete: bool) -> String {
    let group = |totals: &Totals| {
        let names = asked.groups.iter().map(|group| &*group.name);
        let object = Object::new()
            .raw("key", &named(names.zip(&totals.key)))
            .number("count", totals.count as u64);
        let kinds = ["sum", "avg", "min", "max"];
        let object = kinds.into_iter().fold(object, |object, kind| {
            let folds = asked.folds.iter().zip(&totals.results);
            let mut of_kind = folds.filter(|(fold, _)| fold_kind(fold) == kind).peekable();
            if of_kind.peek().is_none() {
                return object;
            }
            object.raw(kind, &named(of_kind.map(|(fold, value)| (fold.over().0, value))))
        });
        object.end()
    };
    Object::new().raw("groups", &list(totals.iter().map(group))).flag("complete", complete).end()
}

fn fold_kind(fold: &Fold) -> &'static str {
    match fold {
        Fold::Sum(..) => "sum",
        Fold::Mean(..) => "avg",
        Fold::Min(..) => "min",
        Fold::Max(..) => "max",
    }
}

/// Values by names that an application chose.
fn named<'a>(values: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let members = values.map(|(name, value)| [&*quote(name), ":", &*value.json()].concat());
    ["{", &members.collect::<Vec<_>>().join(","), "}"].concat()
}

pub(super) fn outcome(verdict: &Verdict) -> String {
    let kind = |kind| Object::new().text("kind", kind);
    match verdict {
        Verdict::Applied { version, server_id } => kind("applied")
            .maybe(version.as_deref(), |object, version| object.text("version", version))
            .maybe(server_id.as_deref(), |object, id| object.text("serverId", id)),
        Verdict::Conflict(id) => kind("conflict").id("conflictId", id),
        Verdict::Rejected { code, message } => {
            kind("rejected").text("code", code).text("message", message)
        }
        Verdict::Yielded(id) => kind("yielded").id("conflictId", id),
        Verdict::Annihilated => kind("annihilated"),
        Verdict::Discarded => kind("discarded"),
        Verdict::HandedOver => kind("handed-over"),
        Verdict::Unknown => kind("unknown"),
    }
    .end()
}

/// The name of an operation's state, as the outbox is asked for it.
pub(super) fn state(op: &Operation) -> &'static str {
    match op.state {
        OpState::Queued { .. } => "queued",
        OpState::InFlight { .. } => "in-flight",
        OpState::Acked { .. } => "acked",
        OpState::Blocked { .. } => "blocked",
        OpState::Parked(_) => "parked",
    }
}

pub(super) fn operation(op: &Operation) -> String {
    let kind = match op.intent {
        Intent::Create(_) => "create",
        Intent::Change(_) => "change",
        Intent::Replace(_) => "replace",
        Intent::Delete => "delete",
        Intent::Resolve(_) => "resolve",
    };
    let priority = match op.priority {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    };
    let object = Object::new()
        .id("opId", &op.id)
        .text("collection", &op.key.collection)
        .text("entityId", &op.key.id)
        .text("kind", kind)
        .text("priority", priority)
        .number("at", op.stamp.millis)
        .number("sends", u64::from(op.sends))
        .number("refusals", u64::from(op.refusals))
        .text("state", state(op));
    match &op.state {
        OpState::Queued { not_before, .. } => {
            object.maybe(*not_before, |object, at| object.number("notBefore", at.0))
        }
        OpState::InFlight { .. } | OpState::Acked { .. } => object,
        OpState::Blocked { by, .. } => object.id("by", by),
        OpState::Parked(Parked::Conflicted(id)) => {
            object.text("why", "conflicted").id("conflictId", id)
        }
        OpState::Parked(Parked::Rejected { code, message, snapshot }) => object
            .text("why", "rejected")
            .text("code", code)
            .text("message", message)
            .raw("snapshot", snapshot.as_ref().map_or("null", Document::text)),
        OpState::Parked(Parked::HandedOver) => object.text("why", "handed-over"),
    }
    .end()
}

/// Which operations go into a file.
pub(super) fn selection(text: &str) -> Result<Selection, SyncError> {
    match text {
        "all" => return Ok(Selection::All),
        "parked" => return Ok(Selection::Parked),
        "handed-over" => return Ok(Selection::HandedOver),
        _ => {}
    }
    let ids = elements(text).and_then(|ids| {
        ids.iter().map(|id| OpId::parse(&unquote(id.text())?)).collect::<Option<Vec<_>>>()
    });
    let wrong = || refused(Code::NotFound, "operations", "there is nothing of this id");
    ids.map(Selection::Ids).ok_or_else(wrong)
}

pub(super) fn imported(imported: &Imported) -> String {
    Object::new()
        .number("imported", imported.imported.into())
        .number("known", imported.known.into())
        .end()
}

pub(super) fn conflict(conflict: &Conflict) -> String {
    let kind = match conflict.kind {
        ConflictKind::UpdateUpdate => "update-update",
        ConflictKind::UpdateDelete => "update-delete",
        ConflictKind::DeleteUpdate => "delete-update",
        ConflictKind::CreateCreate => "create-create",
    };
    let side = |side: Option<&Document>| side.map_or("null".to_owned(), |it| it.text().to_owned());
    Object::new()
        .id("id", &conflict.id)
        .text("collection", &conflict.key.collection)
        .text("entityId", &conflict.key.id)
        .text("kind", kind)
        .raw("base", &side(conflict.base.as_ref()))
        .raw("mine", &side(conflict.mine.document()))
        .raw("theirs", &side(conflict.theirs.document()))
        .raw("fields", &list(conflict.fields.iter().map(|path| quote(&path.to_string()))))
        .number("at", conflict.at.0)
        .maybe(conflict.resolved.as_ref(), |object, resolved| {
            let by = match resolved.by {
                Decider::Policy => "policy",
                Decider::Callback => "callback",
                Decider::Person => "person",
            };
            let resolved = Object::new()
                .text("by", by)
                .text("choice", &resolved.choice)
                .number("at", resolved.at.0)
                .end();
            object.raw("resolved", &resolved)
        })
        .end()
}

fn side(name: &str) -> Option<Side> {
    match name {
        "mine" => Some(Side::Mine),
        "theirs" => Some(Side::Theirs),
        _ => None,
    }
}

/// A person's decision.
pub(super) fn choice(text: &str) -> Result<Choice, SyncError> {
    let wrong = || refused(Code::InvalidValue, "resolution", "no such resolution");
    let resolution = Members::read(text).ok_or_else(wrong)?;
    if let Some(merged) = resolution.raw("merged") {
        return Ok(Choice::Merged(match merged {
            "null" => Presence::Deleted,
            _ => Presence::Live(document(merged)?),
        }));
    }
    if let Some(keep) = resolution.text("keep") {
        return match side(&keep).ok_or_else(wrong)? {
            Side::Mine => Ok(Choice::Mine),
            Side::Theirs => Ok(Choice::Theirs),
        };
    }
    let fields = resolution.raw("fields").and_then(Members::read).ok_or_else(wrong)?;
    let fields = fields.iter().map(|(path, it)| Some((names(path), side(&unquote(it.text())?)?)));
    fields.collect::<Option<Vec<_>>>().map(Choice::Fields).ok_or_else(wrong)
}

/// A path as conflicts show it: names joined by dots, with `\` before a dot or backslash within a name.
fn names(shown: &str) -> Path {
    let mut names = vec![String::new()];
    let mut letters = shown.chars();
    while let Some(letter) = letters.next() {
        let letter = match letter {
            '.' => {
                names.push(String::new());
                continue;
            }
            '\\' => letters.next().unwrap_or('\\'),
            letter => letter,
        };
        if let Some(name) = names.last_mut() {
            name.push(letter);
        }
    }
    Path(names)
}

pub(super) fn audit(counts: &Counts) -> String {
    Object::new()
        .number("accepted", counts.accepted)
        .number("derived", counts.derived)
        .number("imported", counts.imported)
        .number("applied", counts.applied)
        .number("folded", counts.folded)
        .number("annihilated", counts.annihilated)
        .number("yielded", counts.yielded)
        .number("superseded", counts.superseded)
        .number("discarded", counts.discarded)
        .number("handedOver", counts.handed_over)
        .number("pending", counts.pending)
        .number("blocked", counts.blocked)
        .number("parked", counts.parked)
        .flag("balanced", counts.balances())
        .end()
}

pub(super) fn drained(drained: &Drained) -> String {
    Object::new()
        .number("applied", drained.applied)
        .number("pending", drained.pending)
        .number("parked", drained.parked)
        .end()
}

pub(super) fn scope(state: &ScopeState) -> String {
    let object = Object::new()
        .text("scope", &state.scope.0)
        .flag("complete", state.complete)
        .number("done", state.brought)
        .number("records", state.records)
        .number("bytes", state.bytes)
        .flag("leaving", state.leaving)
        .maybe(state.used, |object, at| object.number("lastUse", at.0))
        .maybe(state.pulled, |object, at| object.number("lastPull", at.0));
    object
        .maybe(state.halted.as_ref(), |object, halt| object.text("refused", halt_name(halt)))
        .end()
}

pub(super) fn evicted(evicted: &Evicted) -> String {
    Object::new().number("gone", evicted.gone.into()).number("kept", evicted.kept.into()).end()
}

pub(super) fn progress(progress: &Progress) -> String {
    Object::new()
        .text("phase", progress.phase)
        .maybe(progress.scope.as_ref(), |object, scope| object.text("scope", &scope.0))
        .number("done", progress.done)
        .maybe(progress.total, |object, total| object.number("total", total))
        .number("conflicts", progress.conflicts)
        .number("parked", progress.parked)
        .number("bytes", progress.bytes)
        .end()
}

pub(super) fn cycle(report: &CycleReport) -> String {
    Object::new()
        .number("applied", report.applied)
        .number("conflicts", report.conflicts)
        .number("parked", report.parked)
        .number("pulled", report.pulled)
        .number("bytes", report.bytes)
        .number("millis", report.millis)
        .number("up", report.up)
        .number("retried", report.retried)
        .raw("conflictKinds", &kinds(&report.kinds))
        .maybe(report.halted, |object, halted| object.text("halted", halted))
        .maybe(report.oldest, |object, at| object.number("oldest", at.0))
        .end()
}

const KIND_NAMES: [&str; KINDS.len()] =
    ["update-update", "update-delete", "delete-update", "create-create"];

/// Conflicts by kind.
fn kinds(counts: &[u64; KINDS.len()]) -> String {
    let names = KIND_NAMES.iter().zip(counts);
    names.fold(Object::new(), |object, (name, count)| object.number(name, *count)).end()
}

fn heard_kinds(heard: &Members) -> Option<[u64; KINDS.len()]> {
    let heard = Members::read(heard.raw("conflictKinds")?)?;
    Some(KIND_NAMES.map(|name| heard.number(name).unwrap_or_default()))
}

/// A spell by its name, told apart from others of it.
pub(super) fn spell(spell: Spell) -> String {
    [spell.name, " ", &spell.number.to_string()].concat()
}

fn span(span: &Span) -> String {
    Object::new()
        .number("succeeded", span.succeeded)
        .number("failed", span.failed)
        .number("totalMs", span.total)
        .number("maxMs", span.max)
        .raw("classes", &list(span.classes.iter().map(u64::to_string)))
        .end()
}

pub(super) fn metrics(metrics: &Metrics) -> String {
    let halts = metrics.halts.iter();
    let halts = halts.fold(Object::new(), |object, (name, count)| object.number(name, *count));
    let samples = metrics.samples.iter().map(|it| {
        Object::new()
            .number("at", it.at.0)
            .number("pending", it.pending)
            .number("most", it.most)
            .number("parked", it.parked)
            .end()
    });
    Object::new()
        .number("since", metrics.since.0)
        .raw("cycles", &span(&metrics.cycles))
        .raw("halts", &halts.end())
        .raw("writes", &span(&metrics.writes))
        .raw("classesMs", &list(CLASSES.iter().map(u64::to_string)))
        .number("applied", metrics.applied)
        .number("parked", metrics.parked)
        .number("retried", metrics.retried)
        .raw("conflicts", &kinds(&metrics.conflicts))
        .number("pulled", metrics.pulled)
        .number("bytesUp", metrics.up)
        .number("bytesDown", metrics.down)
        .number("offlineMs", metrics.offline)
        .number("heldBytes", metrics.held.0 as u64)
        .number("heldRecords", metrics.held.1 as u64)
        .raw("outbox", &list(samples))
        .end()
}

/// The report of another tab's cycle.
pub(super) fn heard_cycle(text: &str) -> Option<CycleReport> {
    let heard = Members::read(text)?;
    let known = |name: String| halted_as(&name).unwrap_or("protocol-error");
    Some(CycleReport {
        applied: heard.number("applied")?,
        conflicts: heard.number("conflicts")?,
        parked: heard.number("parked")?,
        pulled: heard.number("pulled")?,
        bytes: heard.number("bytes")?,
        millis: heard.number("millis")?,
        up: heard.number("up").unwrap_or_default(),
        retried: heard.number("retried").unwrap_or_default(),
        kinds: heard_kinds(&heard).unwrap_or_default(),
        halted: heard.text("halted").map(known),
        oldest: heard.number("oldest").map(Wall),
    })
}

/// A commit, for the other tabs.
pub(super) fn commit(commit: &Commit) -> String {
    let ids = |id: &dyn Display| quote(&id.to_string());
    Object::new()
        .raw("changed", &changes(commit))
        .raw("parked", &list(commit.parked.iter().map(|id| ids(id))))
        .raw("conflicts", &list(commit.conflicts.iter().map(|id| ids(id))))
        .flag("wrote", commit.wrote)
        .raw("touched", &by_collection(&commit.touched))
        .raw("numbers", &list(commit.numbers.iter().map(u64::to_string)))
        .end()
}

fn heard_keys(heard: &Members, name: &str) -> Option<Vec<EntityKey>> {
    let mut keys = Vec::new();
    for change in heard.list(name)? {
        let change = Members::read(change.text())?;
        let collection = change.text("collection")?;
        for id in change.list("ids")? {
            keys.push(EntityKey::new(&*collection, unquote(id.text())?));
        }
    }
    Some(keys)
}

/// Another tab's commit.
pub(super) fn heard_commit(text: &str) -> Option<Commit> {
    let heard = Members::read(text)?;
    let texts = |name| Some(heard.list(name)?.into_iter().filter_map(|it| unquote(it.text())));
    let numbers = heard.list("numbers").unwrap_or_default();
    Some(Commit {
        changed: heard_keys(&heard, "changed")?,
        touched: heard_keys(&heard, "touched").unwrap_or_default(),
        numbers: numbers.iter().filter_map(|number| number.text().parse().ok()).listed(),
        parked: texts("parked")?.filter_map(|id| OpId::parse(&id)).listed(),
        conflicts: texts("conflicts")?.filter_map(|id| ConflictId::parse(&id)).listed(),
        wrote: heard.flag("wrote")?,
    })
}

/// Changed records by collection, in order.
pub(super) fn changes(commit: &Commit) -> String {
    by_collection(&commit.changed)
}

fn by_collection(keys: &[EntityKey]) -> String {
    let mut keys: Vec<&EntityKey> = keys.iter().collect();
    sort(&mut keys);
    list(keys.chunk_by(|a, b| a.collection == b.collection).map(|keys| {
        let collection = keys.first().map_or("", |key| &key.collection);
        let ids = list(keys.iter().map(|key| quote(&key.id)));
        Object::new().text("collection", collection).raw("ids", &ids).end()
    }))
}
