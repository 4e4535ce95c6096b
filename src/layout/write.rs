//! The text of each row, written by hand: what the derived writers of the model write, to the byte.

use std::fmt::Display;

use crate::model::scan::quote_to;
use crate::model::{
    Asks, Assumed, Base, Before, Conflict, ConflictKind, CursorRow, Decider, Edit, EntityKey, Fate,
    Intent, JournalLine, Meta, OpState, Operation, Owner, Parked, Path, Presence, Priority, Record,
    Resolved, Sent, Settled, Shadow, Stamp, Unreadable, Version, Wall,
};

/// Writes a value at the end of a text.
pub(super) type Write<T> = fn(&mut Out, &T);

/// A text while it is written.
pub(super) struct Out(pub(super) String);

/// The text of a row.
pub(super) fn text_of<T>(value: &T, write: Write<T>) -> String {
    let mut out = Out(String::with_capacity(512));
    write(&mut out, value);
    out.0
}

impl Out {
    /// What precedes an element: nothing if it is the first. No value ends as a list or an object begins.
    pub(super) fn next(&mut self) {
        if !self.0.ends_with(['{', '[']) {
            self.0.push(',');
        }
    }

    pub(super) fn name(&mut self, name: &str) {
        self.next();
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    pub(super) fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.0.push_str(json);
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        quote_to(&mut self.0, text);
    }

    pub(super) fn number(&mut self, name: &str, number: u64) {
        self.raw(name, &number.to_string());
    }

    pub(super) fn flag(&mut self, name: &str, flag: bool) {
        self.raw(name, if flag { "true" } else { "false" });
    }

    /// An id: hexadecimal digits and hyphens.
    fn bare(&mut self, id: &dyn Display) {
        self.0.push('"');
        self.0.push_str(&id.to_string());
        self.0.push('"');
    }

    pub(super) fn id(&mut self, name: &str, id: &dyn Display) {
        self.name(name);
        self.bare(id);
    }

    /// A member that is there only with a value.
    pub(super) fn some<T>(&mut self, name: &str, value: Option<&T>, write: Write<T>) {
        if let Some(value) = value {
            self.name(name);
            write(self, value);
        }
    }

    /// A member that is `null` without a value.
    fn maybe<T>(&mut self, name: &str, value: Option<&T>, write: Write<T>) {
        match value {
            Some(value) => self.some(name, Some(value), write),
            None => self.raw(name, "null"),
        }
    }

    pub(super) fn list<T>(&mut self, name: &str, items: &[T], write: Write<T>) {
        self.name(name);
        self.items(items, write);
    }

    fn items<T>(&mut self, items: &[T], write: Write<T>) {
        self.0.push('[');
        for item in items {
            self.next();
            write(self, item);
        }
        self.0.push(']');
    }

    pub(super) fn open(&mut self) {
        self.0.push('{');
    }

    pub(super) fn close(&mut self) {
        self.0.push('}');
    }

    /// A variant without a content.
    fn unit(&mut self, name: &str) {
        self.0.push('"');
        self.0.push_str(name);
        self.0.push('"');
    }

    /// Begins a variant whose content has members.
    fn open_variant(&mut self, name: &str) {
        self.open();
        self.name(name);
        self.open();
    }

    fn close_variant(&mut self) {
        self.close();
        self.close();
    }
}

#[expect(clippy::ptr_arg, reason = "a `Write` takes a reference to what a row holds")]
pub(super) fn string(out: &mut Out, text: &String) {
    quote_to(&mut out.0, text);
}

fn wall(out: &mut Out, at: &Wall) {
    out.0.push_str(&at.0.to_string());
}

fn id<T: Display>(out: &mut Out, id: &T) {
    out.bare(id);
}

pub(super) fn document(out: &mut Out, document: &crate::model::Document) {
    out.0.push_str(document.text());
}

fn key(out: &mut Out, key: &EntityKey) {
    out.open();
    out.text("collection", &key.collection);
    out.text("id", &key.id);
    out.close();
}

fn stamp(out: &mut Out, stamp: &Stamp) {
    out.open();
    out.number("millis", stamp.millis);
    out.number("counter", stamp.counter.into());
    out.id("device", &stamp.device);
    out.close();
}

fn version(out: &mut Out, version: &Version) {
    out.open();
    match version {
        Version::Number(number) => out.number("Number", *number),
        Version::Stamp(text) => out.text("Stamp", text),
        Version::Opaque(text) => out.text("Opaque", text),
    }
    out.close();
}

fn presence(out: &mut Out, presence: &Presence) {
    match presence {
        Presence::Live(document) => {
            out.open();
            out.raw("Live", document.text());
            out.close();
        }
        Presence::Deleted => out.unit("Deleted"),
    }
}

fn base(out: &mut Out, base: &Base) {
    out.open();
    out.name("presence");
    presence(out, &base.presence);
    out.some("version", base.version.as_ref(), version);
    out.some("stamp", base.stamp.as_ref(), stamp);
    if base.guessed {
        out.flag("guessed", true);
    }
    out.close();
}

fn shadow(out: &mut Out, shadow: &Shadow) {
    out.open();
    out.number("generation", shadow.generation.into());
    out.name("base");
    base(out, &shadow.base);
    out.close();
}

pub(super) fn record(out: &mut Out, record: &Record) {
    out.open();
    out.name("key");
    key(out, &record.key);
    out.some("base", record.base.as_ref(), base);
    out.some("view", record.view.as_ref(), presence);
    out.some("scope", record.scope.as_ref().map(|scope| &scope.0), string);
    if !record.also.is_empty() {
        out.list("also", &record.also, |out, scope| string(out, &scope.0));
    }
    out.some("server_id", record.server_id.as_ref(), string);
    out.number("generation", record.generation.into());
    out.some("shadow", record.shadow.as_ref(), shadow);
    out.number("modified", record.modified);
    out.close();
}

fn path(out: &mut Out, path: &Path) {
    out.items(&path.0, string);
}

fn edit(out: &mut Out, edit: &Edit) {
    let (name, value) = match edit {
        Edit::Set { value, .. } => ("Set", Some(value)),
        Edit::Remove { .. } => ("Remove", None),
    };
    out.open_variant(name);
    out.name("path");
    path(out, edit.path());
    if let Some(value) = value {
        out.raw("value", value.text());
    }
    out.close_variant();
}

fn intent(out: &mut Out, intent: &Intent) {
    if *intent == Intent::Delete {
        out.unit("Delete");
        return;
    }
    out.open();
    match intent {
        Intent::Create(document) => out.raw("Create", document.text()),
        Intent::Change(edits) => out.list("Change", edits, edit),
        Intent::Replace(document) => out.raw("Replace", document.text()),
        Intent::Delete => {}
        Intent::Resolve(resolve) => {
            out.name("Resolve");
            out.open();
            out.maybe("token", resolve.token.as_ref(), string);
            out.name("chosen");
            presence(out, &resolve.chosen);
            out.close();
        }
    }
    out.close();
}

fn before(out: &mut Out, before: &Before) {
    match before {
        Before::Nothing => out.unit("Nothing"),
        Before::Paths(slots) => {
            out.open();
            out.list("Paths", slots, |out, (at, slot)| {
                out.0.push('[');
                path(out, at);
                out.0.push_str(",[");
                out.0.push_str(slot.0.as_ref().map_or("", |value| value.text()));
                out.0.push_str("]]");
            });
            out.close();
        }
        Before::Whole(found) => {
            out.open();
            out.maybe("Whole", found.as_ref(), document);
            out.close();
        }
    }
}

fn assumed(out: &mut Out, assumed: &Assumed) {
    match assumed {
        Assumed::Nothing => out.unit("Nothing"),
        Assumed::Unknown => out.unit("Unknown"),
        Assumed::At(at) => {
            out.open();
            out.name("At");
            version(out, at);
            out.close();
        }
        Assumed::After(op) => {
            out.open();
            out.id("After", op);
            out.close();
        }
    }
}

pub(super) fn owner(out: &mut Out, owner: &Owner) {
    out.open();
    for (name, part) in [("tenant", &owner.tenant), ("user", &owner.user)] {
        if !part.is_empty() {
            out.text(name, part);
        }
    }
    out.close();
}

fn sent(out: &mut Out, sent: &Sent) {
    out.open();
    out.text("id", &sent.id);
    out.id("device", &sent.device);
    out.some("assumed", sent.assumed.as_ref(), version);
    out.some("action", sent.action.as_ref(), intent);
    out.name("stamp");
    stamp(out, &sent.stamp);
    out.close();
}

fn parked(out: &mut Out, parked: &Parked) {
    match parked {
        Parked::Conflicted(conflict) => {
            out.open();
            out.id("Conflicted", conflict);
            out.close();
        }
        Parked::Rejected { code, message, snapshot } => {
            out.open_variant("Rejected");
            out.text("code", code);
            out.text("message", message);
            out.maybe("snapshot", snapshot.as_ref(), document);
            out.close_variant();
        }
        Parked::HandedOver => out.unit("HandedOver"),
    }
}

fn state(out: &mut Out, state: &OpState) {
    let name = match state {
        OpState::Queued { .. } => "Queued",
        OpState::InFlight { .. } => "InFlight",
        OpState::Acked { .. } => "Acked",
        OpState::Blocked { .. } => "Blocked",
        OpState::Parked(why) => {
            out.open();
            out.name("Parked");
            parked(out, why);
            out.close();
            return;
        }
    };
    out.open_variant(name);
    match state {
        OpState::Queued { not_before, under } => {
            out.maybe("not_before", not_before.as_ref(), wall);
            if let Some(term) = under {
                out.number("under", term.0);
            }
        }
        OpState::InFlight { term } => out.number("term", term.0),
        OpState::Acked { pull_after } => out.number("pull_after", pull_after.0),
        OpState::Blocked { by, visible } => {
            out.id("by", by);
            out.flag("visible", *visible);
        }
        OpState::Parked(_) => {}
    }
    out.close_variant();
}

pub(super) fn operation(out: &mut Out, op: &Operation) {
    out.open();
    out.number("seq", op.seq.0);
    out.id("id", &op.id);
    out.name("key");
    key(out, &op.key);
    out.name("intent");
    intent(out, &op.intent);
    out.name("before");
    before(out, &op.before);
    out.name("assumed");
    assumed(out, &op.assumed);
    out.name("stamp");
    stamp(out, &op.stamp);
    out.name("priority");
    out.unit(match op.priority {
        Priority::High => "High",
        Priority::Normal => "Normal",
        Priority::Low => "Low",
    });
    out.some("group", op.group.as_ref(), id);
    if !op.refs.is_empty() {
        out.list("refs", &op.refs, key);
    }
    out.name("owner");
    owner(out, &op.owner);
    out.number("schema", op.schema.into());
    if !op.folded.is_empty() {
        out.list("folded", &op.folded, id);
    }
    out.some("replaces", op.replaces.as_ref(), id);
    out.some("sent", op.sent.as_ref(), sent);
    out.number("sends", op.sends.into());
    out.number("refusals", op.refusals.into());
    out.name("state");
    state(out, &op.state);
    out.flag("ready", op.ready);
    out.close();
}

fn resolved(out: &mut Out, resolved: &Resolved) {
    out.open();
    out.name("by");
    out.unit(match resolved.by {
        Decider::Policy => "Policy",
        Decider::Callback => "Callback",
        Decider::Person => "Person",
    });
    out.text("choice", &resolved.choice);
    out.number("at", resolved.at.0);
    out.some("call", resolved.call.as_ref(), id);
    out.close();
}

pub(super) fn conflict(out: &mut Out, conflict: &Conflict) {
    out.open();
    out.id("id", &conflict.id);
    out.name("key");
    key(out, &conflict.key);
    out.id("op", &conflict.op);
    out.name("kind");
    out.unit(match conflict.kind {
        ConflictKind::UpdateUpdate => "UpdateUpdate",
        ConflictKind::UpdateDelete => "UpdateDelete",
        ConflictKind::DeleteUpdate => "DeleteUpdate",
        ConflictKind::CreateCreate => "CreateCreate",
    });
    out.maybe("base", conflict.base.as_ref(), document);
    out.name("mine");
    presence(out, &conflict.mine);
    out.name("theirs");
    presence(out, &conflict.theirs);
    out.maybe("version", conflict.version.as_ref(), version);
    out.maybe("stamp", conflict.stamp.as_ref(), stamp);
    out.list("fields", &conflict.fields, path);
    out.number("at", conflict.at.0);
    out.some("token", conflict.token.as_ref(), string);
    out.name("asks");
    out.unit(match conflict.asks {
        Asks::Callback => "Callback",
        Asks::Person => "Person",
    });
    out.some("resolved", conflict.resolved.as_ref(), resolved);
    out.close();
}

pub(super) fn meta(out: &mut Out, meta: &Meta) {
    out.open();
    out.number("format", meta.format.into());
    out.some("device", meta.device.as_ref(), id);
    out.number("commits", meta.commits);
    out.number("term", meta.term.0);
    out.number("floor", meta.floor.0);
    out.some("clock", meta.clock.as_ref(), stamp);
    if !meta.ahead.is_unknown() {
        out.list("ahead", &meta.ahead.0, |out, millis| out.0.push_str(&millis.to_string()));
    }
    out.number("pulls", meta.pulls.0);
    out.some("last_push", meta.last_push.as_ref(), wall);
    out.some("last_pull", meta.last_pull.as_ref(), wall);
    out.flag("pull_due", meta.pull_due);
    out.some("lost", meta.lost.as_ref(), wall);
    out.number("journal", meta.journal);
    out.number("aliases", meta.aliases);
    out.number("settled", meta.settled);
    if !meta.quarantine.is_empty() {
        out.name("quarantine");
        out.open();
        out.number("rows", meta.quarantine.rows);
        out.number("bytes", meta.quarantine.bytes);
        out.close();
    }
    if meta.reserve > 0 {
        out.number("reserve", meta.reserve);
    }
    out.name("counts");
    out.open();
    let counts = &meta.counts;
    for (name, count) in [
        ("accepted", counts.accepted),
        ("derived", counts.derived),
        ("imported", counts.imported),
        ("applied", counts.applied),
        ("folded", counts.folded),
        ("annihilated", counts.annihilated),
        ("yielded", counts.yielded),
        ("superseded", counts.superseded),
        ("discarded", counts.discarded),
        ("handedOver", counts.handed_over),
        ("pending", counts.pending),
        ("inFlight", counts.in_flight),
        ("blocked", counts.blocked),
        ("parked", counts.parked),
        ("conflicts", counts.conflicts),
        ("bytes", counts.bytes),
    ] {
        out.number(name, count);
    }
    if counts.asking > 0 {
        out.number("asking", counts.asking);
    }
    out.close();
    out.close();
}

fn fate(out: &mut Out, fate: &Fate) {
    let (name, other): (_, Option<&dyn Display>) = match fate {
        Fate::Applied => ("Applied", None),
        Fate::Folded(op) => ("Folded", Some(op)),
        Fate::Annihilated => ("Annihilated", None),
        Fate::Yielded(conflict) => ("Yielded", Some(conflict)),
        Fate::Superseded(op) => ("Superseded", Some(op)),
        Fate::Discarded => ("Discarded", None),
        Fate::HandedOver => ("HandedOver", None),
    };
    match other {
        None => out.unit(name),
        Some(other) => {
            out.open();
            out.id(name, other);
            out.close();
        }
    }
}

pub(super) fn settled(out: &mut Out, row: &Settled) {
    out.open();
    out.id("op", &row.op);
    out.name("fate");
    fate(out, &row.fate);
    out.number("at", row.at.0);
    out.some("version", row.version.as_ref(), version);
    out.some("server_id", row.server_id.as_ref(), string);
    out.some("call", row.call.as_ref(), id);
    out.close();
}

pub(super) fn cursor(out: &mut Out, row: &CursorRow) {
    out.open();
    out.text("scope", &row.scope.0);
    out.maybe("cursor", row.cursor.as_ref().map(|cursor| &cursor.0), string);
    out.number("generation", row.generation.into());
    out.flag("rebuilding", row.rebuilding);
    out.flag("complete", row.complete);
    if row.spares {
        out.flag("spares", true);
    }
    if row.brought > 0 {
        out.number("brought", row.brought);
    }
    out.some("pulled", row.pulled.as_ref(), wall);
    out.some("used", row.used.as_ref(), wall);
    if row.leaving {
        out.flag("leaving", true);
    }
    out.close();
}

pub(super) fn journal(out: &mut Out, line: &JournalLine) {
    out.open();
    out.number("line", line.line);
    out.number("at", line.at.0);
    out.id("op", &line.op);
    out.name("key");
    key(out, &line.key);
    out.name("fate");
    fate(out, &line.fate);
    out.close();
}

pub(super) fn unreadable(out: &mut Out, row: &Unreadable) {
    out.open();
    out.text("place", &row.place);
    out.text("text", &row.text);
    out.close();
}
