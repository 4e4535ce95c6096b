//! The text of each row, read by hand. A member that nobody knows is passed over, one that may be absent is as it is by default,
//! and a row that is anything else than what was ever written is nothing: it is reported, never guessed at (R2).

use crate::model::scan::Reader;
use crate::model::{
    Asks, Assumed, Base, Before, Conflict, ConflictId, ConflictKind, Counts, Cursor, CursorRow,
    Decider, DeviceId, Document, Edit, EntityKey, Epoch, Fate, GroupId, Intent, JournalLine, Json,
    Meta, OpId, OpState, Operation, Owner, Parked, Path, Presence, Priority, Quarantine, Record,
    Resolve, Resolved, Scope, Sent, Seq, Settled, Shadow, Slot, Stamp, Term, Version, Wall,
};

/// Reads a value from where a text was read to.
pub(super) type Read<T> = fn(&mut Reader<'_>) -> Option<T>;

// Members that must be there are read over a value that stands for none of them, so that one list of their names is enough.
const NO_ID: [u8; 16] = [0; 16];

fn no_stamp() -> Stamp {
    Stamp { millis: 0, counter: 0, device: DeviceId::from_bytes(NO_ID) }
}

fn no_key() -> EntityKey {
    EntityKey { collection: String::new(), id: String::new() }
}

fn op_id(from: &mut Reader<'_>) -> Option<OpId> {
    OpId::parse(&from.string()?)
}

fn conflict_id(from: &mut Reader<'_>) -> Option<ConflictId> {
    ConflictId::parse(&from.string()?)
}

pub(super) fn device_id(from: &mut Reader<'_>) -> Option<DeviceId> {
    DeviceId::parse(&from.string()?)
}

fn group_id(from: &mut Reader<'_>) -> Option<GroupId> {
    GroupId::parse(&from.string()?)
}

fn term(from: &mut Reader<'_>) -> Option<Term> {
    from.number().map(Term)
}

fn wall(from: &mut Reader<'_>) -> Option<Wall> {
    from.number().map(Wall)
}

pub(super) fn string(from: &mut Reader<'_>) -> Option<String> {
    from.string()
}

fn items<T>(from: &mut Reader<'_>, read: Read<T>) -> Option<Vec<T>> {
    let mut items = Vec::new();
    from.list(&mut |from| {
        items.push(read(from)?);
        Some(())
    })?;
    Some(items)
}

fn key(from: &mut Reader<'_>) -> Option<EntityKey> {
    let mut key = no_key();
    from.object(&["collection", "id"], &mut |from, name| {
        match name {
            "collection" => key.collection = from.string()?,
            "id" => key.id = from.string()?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(key)
}

fn stamp(from: &mut Reader<'_>) -> Option<Stamp> {
    let mut stamp = no_stamp();
    from.object(&["millis", "counter", "device"], &mut |from, name| {
        match name {
            "millis" => stamp.millis = from.number()?,
            "counter" => stamp.counter = from.small()?,
            "device" => stamp.device = device_id(from)?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(stamp)
}

fn version(from: &mut Reader<'_>) -> Option<Version> {
    let version = match from.variant()? {
        ("Number", true) => Version::Number(from.number()?),
        ("Stamp", true) => Version::Stamp(from.string()?),
        ("Opaque", true) => Version::Opaque(from.string()?),
        _ => return None,
    };
    from.end_variant(version)
}

fn presence(from: &mut Reader<'_>) -> Option<Presence> {
    match from.variant()? {
        ("Deleted", false) => Some(Presence::Deleted),
        ("Live", true) => {
            let document = Document::read(from)?;
            from.end_variant(Presence::Live(document))
        }
        _ => None,
    }
}

fn base(from: &mut Reader<'_>) -> Option<Base> {
    let mut base = Base { presence: Presence::Deleted, version: None, stamp: None, guessed: false };
    from.object(&["presence"], &mut |from, name| {
        match name {
            "presence" => base.presence = presence(from)?,
            "version" => base.version = from.maybe(version)?,
            "stamp" => base.stamp = from.maybe(stamp)?,
            "guessed" => base.guessed = from.flag()?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(base)
}

fn shadow(from: &mut Reader<'_>) -> Option<Shadow> {
    let (mut generation, mut known) = (0, None);
    from.object(&["generation", "base"], &mut |from, name| {
        match name {
            "generation" => generation = from.small()?,
            "base" => known = Some(base(from)?),
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(Shadow { generation, base: known? })
}

pub(super) fn record(from: &mut Reader<'_>) -> Option<Record> {
    let mut record = Record::new(no_key());
    from.object(&["key"], &mut |from, name| {
        match name {
            "key" => record.key = key(from)?,
            "base" => record.base = from.maybe(base)?,
            "view" => record.view = from.maybe(presence)?,
            "scope" => record.scope = from.maybe(string)?.map(Scope),
            "also" => record.also = items(from, |from| from.string().map(Scope))?,
            "server_id" => record.server_id = from.maybe(string)?,
            "generation" => record.generation = from.small()?,
            "shadow" => record.shadow = from.maybe(shadow)?,
            "modified" => record.modified = from.number()?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(record)
}

fn path(from: &mut Reader<'_>) -> Option<Path> {
    items(from, string).map(Path)
}

fn edit(from: &mut Reader<'_>) -> Option<Edit> {
    let (kind, true) = from.variant()? else { return None };
    let (mut at, mut value) = (Path(Vec::new()), None);
    let needed: &[&str] = match kind {
        "Set" => &["path", "value"],
        "Remove" => &["path"],
        _ => return None,
    };
    from.object(needed, &mut |from, name| {
        match name {
            "path" => at = path(from)?,
            "value" if kind == "Set" => value = Some(Json::read(from)?),
            _ => from.skip()?,
        }
        Some(())
    })?;
    from.end_variant(Edit::to(at, value))
}

fn resolve(from: &mut Reader<'_>) -> Option<Resolve> {
    let mut resolve = Resolve { token: None, chosen: Presence::Deleted };
    from.object(&["chosen"], &mut |from, name| {
        match name {
            "token" => resolve.token = from.maybe(string)?,
            "chosen" => resolve.chosen = presence(from)?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(resolve)
}

fn intent(from: &mut Reader<'_>) -> Option<Intent> {
    let intent = match from.variant()? {
        ("Delete", false) => return Some(Intent::Delete),
        ("Create", true) => Intent::Create(Document::read(from)?),
        ("Change", true) => Intent::Change(items(from, edit)?),
        ("Replace", true) => Intent::Replace(Document::read(from)?),
        ("Resolve", true) => Intent::Resolve(resolve(from)?),
        _ => return None,
    };
    from.end_variant(intent)
}

/// A path and what was found there: a list of two.
fn found(from: &mut Reader<'_>) -> Option<(Path, Slot)> {
    let (mut at, mut slot) = (None, None);
    from.list(&mut |from| {
        if at.is_none() {
            at = Some(path(from)?);
        } else if slot.is_none() {
            slot = Some(Slot(items(from, Json::read)?.into_iter().next()));
        } else {
            return None;
        }
        Some(())
    })?;
    Some((at?, slot?))
}

fn before(from: &mut Reader<'_>) -> Option<Before> {
    let before = match from.variant()? {
        ("Nothing", false) => return Some(Before::Nothing),
        ("Paths", true) => Before::Paths(items(from, found)?),
        ("Whole", true) => Before::Whole(from.maybe(Document::read)?),
        _ => return None,
    };
    from.end_variant(before)
}

fn assumed(from: &mut Reader<'_>) -> Option<Assumed> {
    let assumed = match from.variant()? {
        ("Nothing", false) => return Some(Assumed::Nothing),
        ("Unknown", false) => return Some(Assumed::Unknown),
        ("At", true) => Assumed::At(version(from)?),
        ("After", true) => Assumed::After(op_id(from)?),
        _ => return None,
    };
    from.end_variant(assumed)
}

/// A variant that never has a content.
fn unit<'a>(from: &mut Reader<'a>) -> Option<&'a str> {
    let (name, false) = from.variant()? else { return None };
    Some(name)
}

fn priority(from: &mut Reader<'_>) -> Option<Priority> {
    match unit(from)? {
        "High" => Some(Priority::High),
        "Normal" => Some(Priority::Normal),
        "Low" => Some(Priority::Low),
        _ => None,
    }
}

pub(super) fn owner(from: &mut Reader<'_>) -> Option<Owner> {
    let mut owner = Owner::default();
    from.object(&[], &mut |from, name| {
        match name {
            "tenant" => owner.tenant = from.string()?,
            "user" => owner.user = from.string()?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(owner)
}

fn sent(from: &mut Reader<'_>) -> Option<Sent> {
    let mut sent = Sent {
        id: String::new(),
        device: DeviceId::from_bytes(NO_ID),
        assumed: None,
        action: None,
        stamp: no_stamp(),
    };
    from.object(&["id", "device", "stamp"], &mut |from, name| {
        match name {
            "id" => sent.id = from.string()?,
            "device" => sent.device = device_id(from)?,
            "assumed" => sent.assumed = from.maybe(version)?,
            "action" => sent.action = from.maybe(intent)?,
            "stamp" => sent.stamp = stamp(from)?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(sent)
}

fn parked(from: &mut Reader<'_>) -> Option<Parked> {
    let parked = match from.variant()? {
        ("HandedOver", false) => return Some(Parked::HandedOver),
        ("Conflicted", true) => Parked::Conflicted(conflict_id(from)?),
        ("Rejected", true) => {
            let (mut code, mut message, mut snapshot) = (String::new(), String::new(), None);
            from.object(&["code", "message"], &mut |from, name| {
                match name {
                    "code" => code = from.string()?,
                    "message" => message = from.string()?,
                    "snapshot" => snapshot = from.maybe(Document::read)?,
                    _ => from.skip()?,
                }
                Some(())
            })?;
            Parked::Rejected { code, message, snapshot }
        }
        _ => return None,
    };
    from.end_variant(parked)
}

fn state(from: &mut Reader<'_>) -> Option<OpState> {
    let (kind, true) = from.variant()? else { return None };
    if kind == "Parked" {
        let state = OpState::Parked(parked(from)?);
        return from.end_variant(state);
    }
    let needed: &[&str] = match kind {
        "Queued" => &[],
        "InFlight" => &["term"],
        "Acked" => &["pull_after"],
        "Blocked" => &["by", "visible"],
        _ => return None,
    };
    let (mut count, mut at, mut under) = (0, None, None);
    let (mut by, mut visible) = (OpId::from_bytes(NO_ID), false);
    from.object(needed, &mut |from, name| {
        match (kind, name) {
            ("Queued", "not_before") => at = from.maybe(wall)?,
            ("Queued", "under") => under = from.maybe(term)?,
            ("InFlight", "term") | ("Acked", "pull_after") => count = from.number()?,
            ("Blocked", "by") => by = op_id(from)?,
            ("Blocked", "visible") => visible = from.flag()?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    from.end_variant(match kind {
        "Queued" => OpState::Queued { not_before: at, under },
        "InFlight" => OpState::InFlight { term: Term(count) },
        "Acked" => OpState::Acked { pull_after: Epoch(count) },
        _ => OpState::Blocked { by, visible },
    })
}

pub(super) fn operation(from: &mut Reader<'_>) -> Option<Operation> {
    let mut op = Operation {
        seq: Seq(0),
        id: OpId::from_bytes(NO_ID),
        key: no_key(),
        intent: Intent::Delete,
        before: Before::Nothing,
        assumed: Assumed::Nothing,
        stamp: no_stamp(),
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
        ready: false,
    };
    const NEEDED: &[&str] = &[
        "seq", "id", "key", "intent", "before", "assumed", "stamp", "priority", "owner", "schema",
        "state",
    ];
    from.object(NEEDED, &mut |from, name| {
        match name {
            "seq" => op.seq = Seq(from.number()?),
            "id" => op.id = op_id(from)?,
            "key" => op.key = key(from)?,
            "intent" => op.intent = intent(from)?,
            "before" => op.before = before(from)?,
            "assumed" => op.assumed = assumed(from)?,
            "stamp" => op.stamp = stamp(from)?,
            "priority" => op.priority = priority(from)?,
            "group" => op.group = from.maybe(group_id)?,
            "refs" => op.refs = items(from, key)?,
            "owner" => op.owner = owner(from)?,
            "schema" => op.schema = from.small()?,
            "folded" => op.folded = items(from, op_id)?,
            "replaces" => op.replaces = from.maybe(op_id)?,
            "sent" => op.sent = from.maybe(sent)?,
            "sends" => op.sends = from.small()?,
            "refusals" => op.refusals = from.small()?,
            "state" => op.state = state(from)?,
            "ready" => op.ready = from.flag()?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(op)
}

fn resolved(from: &mut Reader<'_>) -> Option<Resolved> {
    let mut resolved =
        Resolved { by: Decider::Person, choice: String::new(), at: Wall(0), call: None };
    from.object(&["by", "choice", "at"], &mut |from, name| {
        match name {
            "by" => {
                resolved.by = match unit(from)? {
                    "Policy" => Decider::Policy,
                    "Callback" => Decider::Callback,
                    "Person" => Decider::Person,
                    _ => return None,
                }
            }
            "choice" => resolved.choice = from.string()?,
            "at" => resolved.at = wall(from)?,
            "call" => resolved.call = from.maybe(op_id)?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(resolved)
}

fn kind(from: &mut Reader<'_>) -> Option<ConflictKind> {
    match unit(from)? {
        "UpdateUpdate" => Some(ConflictKind::UpdateUpdate),
        "UpdateDelete" => Some(ConflictKind::UpdateDelete),
        "DeleteUpdate" => Some(ConflictKind::DeleteUpdate),
        "CreateCreate" => Some(ConflictKind::CreateCreate),
        _ => None,
    }
}

fn asks(from: &mut Reader<'_>) -> Option<Asks> {
    match unit(from)? {
        "Callback" => Some(Asks::Callback),
        "Person" => Some(Asks::Person),
        _ => None,
    }
}

pub(super) fn conflict(from: &mut Reader<'_>) -> Option<Conflict> {
    let mut row = Conflict {
        id: ConflictId::from_bytes(NO_ID),
        key: no_key(),
        op: OpId::from_bytes(NO_ID),
        kind: ConflictKind::UpdateUpdate,
        base: None,
        mine: Presence::Deleted,
        theirs: Presence::Deleted,
        version: None,
        stamp: None,
        fields: Vec::new(),
        at: Wall(0),
        token: None,
        asks: Asks::Person,
        resolved: None,
    };
    const NEEDED: &[&str] = &["id", "key", "op", "kind", "mine", "theirs", "fields", "at", "asks"];
    from.object(NEEDED, &mut |from, name| {
        match name {
            "id" => row.id = conflict_id(from)?,
            "key" => row.key = key(from)?,
            "op" => row.op = op_id(from)?,
            "kind" => row.kind = kind(from)?,
            "base" => row.base = from.maybe(Document::read)?,
            "mine" => row.mine = presence(from)?,
            "theirs" => row.theirs = presence(from)?,
            "version" => row.version = from.maybe(version)?,
            "stamp" => row.stamp = from.maybe(stamp)?,
            "fields" => row.fields = items(from, path)?,
            "at" => row.at = wall(from)?,
            "token" => row.token = from.maybe(Reader::string)?,
            "asks" => row.asks = asks(from)?,
            "resolved" => row.resolved = from.maybe(resolved)?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(row)
}

fn counts(from: &mut Reader<'_>) -> Option<Counts> {
    let mut counts = Counts::default();
    from.object(&[], &mut |from, name| {
        let count = match name {
            "accepted" => &mut counts.accepted,
            "derived" => &mut counts.derived,
            "imported" => &mut counts.imported,
            "applied" => &mut counts.applied,
            "folded" => &mut counts.folded,
            "annihilated" => &mut counts.annihilated,
            "yielded" => &mut counts.yielded,
            "superseded" => &mut counts.superseded,
            "discarded" => &mut counts.discarded,
            "handedOver" => &mut counts.handed_over,
            "pending" => &mut counts.pending,
            "inFlight" => &mut counts.in_flight,
            "blocked" => &mut counts.blocked,
            "parked" => &mut counts.parked,
            "conflicts" => &mut counts.conflicts,
            "asking" => &mut counts.asking,
            "bytes" => &mut counts.bytes,
            _ => return from.skip(),
        };
        *count = from.number()?;
        Some(())
    })?;
    Some(counts)
}

fn quarantine(from: &mut Reader<'_>) -> Option<Quarantine> {
    let mut quarantine = Quarantine::default();
    from.object(&["rows", "bytes"], &mut |from, name| {
        match name {
            "rows" => quarantine.rows = from.number()?,
            "bytes" => quarantine.bytes = from.number()?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(quarantine)
}

pub(super) fn meta(from: &mut Reader<'_>) -> Option<Meta> {
    let mut meta = Meta::default();
    from.object(&["format"], &mut |from, name| {
        match name {
            "format" => meta.format = from.small()?,
            "device" => meta.device = from.maybe(device_id)?,
            "commits" => meta.commits = from.number()?,
            "term" => meta.term = Term(from.number()?),
            "floor" => meta.floor = Seq(from.number()?),
            "clock" => meta.clock = from.maybe(stamp)?,
            "ahead" => from.list(&mut |from| {
                meta.ahead.0.push(from.raw()?.parse().ok()?);
                Some(())
            })?,
            "pulls" => meta.pulls = Epoch(from.number()?),
            "last_push" => meta.last_push = from.maybe(wall)?,
            "last_pull" => meta.last_pull = from.maybe(wall)?,
            "pull_due" => meta.pull_due = from.flag()?,
            "lost" => meta.lost = from.maybe(wall)?,
            "journal" => meta.journal = from.number()?,
            "aliases" => meta.aliases = from.number()?,
            "settled" => meta.settled = from.number()?,
            "quarantine" => meta.quarantine = quarantine(from)?,
            "reserve" => meta.reserve = from.number()?,
            "counts" => meta.counts = counts(from)?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(meta)
}

fn fate(from: &mut Reader<'_>) -> Option<Fate> {
    let fate = match from.variant()? {
        ("Applied", false) => return Some(Fate::Applied),
        ("Annihilated", false) => return Some(Fate::Annihilated),
        ("Discarded", false) => return Some(Fate::Discarded),
        ("HandedOver", false) => return Some(Fate::HandedOver),
        ("Folded", true) => Fate::Folded(op_id(from)?),
        ("Yielded", true) => Fate::Yielded(conflict_id(from)?),
        ("Superseded", true) => Fate::Superseded(op_id(from)?),
        _ => return None,
    };
    from.end_variant(fate)
}

pub(super) fn settled(from: &mut Reader<'_>) -> Option<Settled> {
    let mut row = Settled::new(OpId::from_bytes(NO_ID), Fate::Applied, Wall(0));
    from.object(&["op", "fate", "at"], &mut |from, name| {
        match name {
            "op" => row.op = op_id(from)?,
            "fate" => row.fate = fate(from)?,
            "at" => row.at = wall(from)?,
            "version" => row.version = from.maybe(version)?,
            "server_id" => row.server_id = from.maybe(string)?,
            "call" => row.call = from.maybe(op_id)?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(row)
}

pub(super) fn cursor(from: &mut Reader<'_>) -> Option<CursorRow> {
    let mut row = CursorRow::new(Scope(String::new()));
    from.object(&["scope", "generation"], &mut |from, name| {
        match name {
            "scope" => row.scope = Scope(from.string()?),
            "cursor" => row.cursor = from.maybe(string)?.map(Cursor),
            "generation" => row.generation = from.small()?,
            "rebuilding" => row.rebuilding = from.flag()?,
            "complete" => row.complete = from.flag()?,
            "spares" => row.spares = from.flag()?,
            "brought" => row.brought = from.number()?,
            "pulled" => row.pulled = from.maybe(wall)?,
            "used" => row.used = from.maybe(wall)?,
            "leaving" => row.leaving = from.flag()?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(row)
}

pub(super) fn journal(from: &mut Reader<'_>) -> Option<JournalLine> {
    let mut row = JournalLine {
        line: 0,
        at: Wall(0),
        op: OpId::from_bytes(NO_ID),
        key: no_key(),
        fate: Fate::Applied,
    };
    from.object(&["line", "at", "op", "key", "fate"], &mut |from, name| {
        match name {
            "line" => row.line = from.number()?,
            "at" => row.at = wall(from)?,
            "op" => row.op = op_id(from)?,
            "key" => row.key = key(from)?,
            "fate" => row.fate = fate(from)?,
            _ => from.skip()?,
        }
        Some(())
    })?;
    Some(row)
}
