//! The server: the verdicts of `holdfast-server-core` over its store in memory, in the engine's words, with an eye on effects.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use holdfast::model::{
    Batch, Cursor, Departure, DeviceId, Document, Edit, EntityKey, Halt, Intent, Millis, OpId,
    Outcome, Path, Presence, PullPage, PushReply, References, RemoteChange, Seq, Stamp, Theirs,
    Version, references,
};
use holdfast_server_core as core;

use crate::mirror::Mirror;
use crate::oracle::{Ledger, Oracle, is_private};
use crate::replay::{self, Doc};

/// The server's clock at the start of a run.
pub(crate) const EPOCH_MS: u64 = 1_763_650_000_000;

/// The member that the server adds.
pub(crate) const AMENDED: &str = "srv";

/// Where an operation came from, noted when it left its device.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Which, and its how many-eth database.
    pub(crate) device: (usize, usize),
    pub(crate) seq: Seq,
    /// The server's history that its device knew when it left; none while that was pulling anew.
    pub(crate) history: Option<String>,
}

/// A moment to go back to.
#[derive(Debug)]
struct Backup {
    memory: core::Memory,
    last: BTreeMap<((usize, usize), core::Key), Seq>,
}

/// What the server's application refuses: documents marked `bad` for good, and, while faults are on, anything at a whim.
#[derive(Debug, Default)]
struct SimRules {
    whim: Cell<bool>,
}

impl core::Rules for SimRules {
    fn check(
        &self,
        _operation: &core::Operation,
        _current: Option<&core::Record>,
        result: Option<&core::Document>,
    ) -> Option<core::Rejection> {
        if result.is_some_and(|document| document.member("bad").as_deref() == Some("true")) {
            return Some(core::Rejection::last("validation", "it is bad"));
        }
        self.whim.replace(false).then(|| core::Rejection {
            code: "busy".to_owned(),
            message: "not now".to_owned(),
            last: false,
        })
    }

    /// The server completes what it takes into the log.
    fn amend(
        &self,
        operation: &core::Operation,
        result: &core::Document,
    ) -> Option<core::Document> {
        let wants = operation.key.collection == "log" && result.member(AMENDED).is_none();
        let edit = core::Edit::set([AMENDED], "1").filter(|_| wants)?;
        Some(result.apply(&[edit]))
    }
}

/// By which ids the server knows customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By those of their devices.
    Kept,
    /// By its own, which it gives a create (R16). A pulled row says whose operation made it, or does not.
    Given { echo: bool },
}

/// How an id that the server gave begins.
pub(crate) const GIVEN: &str = "srv-";

/// What kind of server it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nature {
    /// Whether a request with a `poison` document is refused as a whole.
    pub(crate) picky: bool,
    /// Its versions can only be told equal or different.
    pub(crate) opaque: bool,
    /// A full pull shows what was there when it began.
    pub(crate) frozen: bool,
    pub(crate) naming: Naming,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) memory: core::Memory,
    rules: SimRules,
    limits: core::Limits,
    /// More operations than this in a request are too many for it.
    pub(crate) most: usize,
    /// Whether a request with a `poison` document is refused as a whole.
    pub(crate) picky: bool,
    /// Its versions can only be told equal or different.
    pub(crate) opaque: bool,
    /// A full pull shows what was there when it began; what changed meanwhile comes with the next pull.
    frozen: Option<Vec<core::Memory>>,
    naming: Naming,
    /// From the ids of customers on their devices, which the store is kept by, to those that are told.
    given: BTreeMap<String, String>,
    /// Operations that left together with the create of what they name, in words of their device.
    together: BTreeSet<OpId>,
    origins: BTreeMap<OpId, Origin>,
    last: BTreeMap<((usize, usize), core::Key), Seq>,
    backup: Option<Backup>,
    restores: u32,
    /// Verdicts that it gave and does not remember.
    forgotten: BTreeMap<OpId, Vec<core::Outcome>>,
    /// Records that it had otherwise.
    set_back: BTreeSet<EntityKey>,
}

impl Server {
    pub(crate) fn new(page: usize, most: usize, nature: Nature) -> Self {
        let Nature { picky, opaque, frozen, naming } = nature;
        Self {
            memory: core::Memory::new("e1"),
            rules: SimRules::default(),
            limits: core::Limits { page, ..core::Limits::default() },
            most,
            picky,
            opaque,
            frozen: frozen.then(Vec::new),
            naming,
            given: BTreeMap::new(),
            together: BTreeSet::new(),
            origins: BTreeMap::new(),
            last: BTreeMap::new(),
            backup: None,
            restores: 0,
            forgotten: BTreeMap::new(),
            set_back: BTreeSet::new(),
        }
    }

    pub(crate) fn note_origin(&mut self, op: OpId, origin: Origin) {
        self.origins.entry(op).or_insert(origin);
    }

    pub(crate) fn has_backup(&self) -> bool {
        self.backup.is_some()
    }

    pub(crate) fn back_up(&mut self) {
        self.backup = Some(Backup { memory: self.memory.clone(), last: self.last.clone() });
    }

    /// The disk is gone and the last backup is put in its place: another history begins. What was done since is lost, and nobody
    /// may blame the devices for that, only for what they do about it.
    pub(crate) fn restore(&mut self) -> usize {
        let Some(backup) = self.backup.take() else { return 0 };
        let lost = std::mem::replace(&mut self.memory, backup.memory);
        self.last = backup.last;
        self.restores += 1;
        self.memory.set_epoch(&format!("e{}", self.restores + 1));
        for stored in lost.verdicts() {
            let id = OpId::parse(&stored.outcome.op_id).expect("our own ids");
            self.forgotten.entry(id).or_default().push(stored.outcome.clone());
        }
        let mut names: BTreeSet<core::Key> = lost.records().map(|(key, _)| key.clone()).collect();
        names.extend(self.memory.records().map(|(key, _)| key.clone()));
        let record = |memory: &core::Memory, key: &core::Key| {
            core::Tx::record(memory, key).expect("memory does not fail")
        };
        names.retain(|key| record(&lost, key) != record(&self.memory, key));
        let names = names.iter().map(|key| EntityKey::new(&*key.collection, &*key.id));
        let before = self.set_back.len();
        self.set_back.extend(names);
        self.set_back.len() - before
    }

    /// Whether a restored backup had an older state of a record.
    pub(crate) fn was_set_back(&self, key: &EntityKey) -> bool {
        self.set_back.contains(&self.stored_key(key))
    }

    /// The present history.
    pub(crate) fn history(&self) -> String {
        core::Tx::feed(&self.memory).expect("memory does not fail").epoch
    }

    pub(crate) fn tombstones(&self) -> Vec<EntityKey> {
        let gone = self.memory.records().filter(|(_, record)| record.document.is_none());
        let gone = gone.map(|(key, _)| EntityKey::new(&*key.collection, &*key.id));
        gone.flat_map(|key| {
            let told = self.told(&key.id).filter(|_| key.collection == "customers");
            let told = told.map(|id| EntityKey::new("customers", &**id));
            told.into_iter().chain([key])
        })
        .collect()
    }

    /// Forgets all tombstones: older cursors are answered by 410 from now on.
    pub(crate) fn prune(&mut self) -> usize {
        core::Tx::prune(&mut self.memory, u64::MAX).expect("memory does not fail")
    }

    /// The number of the last change.
    pub(crate) fn last_change(&self) -> u64 {
        core::Tx::feed(&self.memory).expect("memory does not fail").last
    }

    /// A record, by the server's id or by the one on the device that made it.
    pub(crate) fn record(&self, key: &EntityKey) -> Option<core::Record> {
        let key = self.stored_key(key);
        let key = core::Key::new(&key.collection, &key.id);
        core::Tx::record(&self.memory, &key).expect("memory does not fail")
    }

    /// The key that the store has a record under.
    pub(crate) fn stored_key(&self, key: &EntityKey) -> EntityKey {
        match &*key.collection {
            "customers" => EntityKey::new("customers", self.stored(&key.id)),
            _ => key.clone(),
        }
    }

    /// The id that the store knows a customer by.
    pub(crate) fn stored<'a>(&'a self, id: &'a str) -> &'a str {
        self.given.iter().find(|(_, given)| *given == id).map_or(id, |(own, _)| own)
    }

    /// The id that a customer is told by.
    pub(crate) fn told(&self, id: &str) -> Option<&String> {
        self.given.get(id)
    }

    /// The key that a device keeps a record of the store under: what it was told, unless it knows that by a name of its own.
    pub(crate) fn on_device(&self, mirror: &Mirror, key: &EntityKey) -> EntityKey {
        match self.told(&key.id).filter(|_| key.collection == "customers") {
            Some(told) => mirror.own(&EntityKey::new("customers", &**told)),
            None => key.clone(),
        }
    }

    /// What a document says on a device.
    pub(crate) fn doc_on_device(&self, mirror: &Mirror, doc: Doc) -> Doc {
        let mut doc = doc?;
        if let Some(serde_json::Value::String(id)) = doc.get_mut("customer") {
            *id = self.on_device(mirror, &EntityKey::new("customers", &**id)).id;
        }
        Some(doc)
    }

    /// What a request says in the names of the store. A device that was told a name says that and no other (R16).
    fn received(&mut self, batch: &Batch, see: &Oracle) -> Batch {
        let mut batch = batch.clone();
        if self.naming == Naming::Kept {
            return batch;
        }
        let makes = |it: &&Departure| {
            it.collection == "customers" && matches!(it.intent, Intent::Create(_))
        };
        let made = batch.operations.iter().filter(makes);
        let made: Vec<_> = made.map(|it| (it.group, it.id.clone())).collect();
        for it in &mut batch.operations {
            if it.collection == "customers" {
                if matches!(it.intent, Intent::Create(_)) && !it.id.starts_with(GIVEN) {
                    let next = format!("{GIVEN}{}", self.given.len());
                    self.given.entry(it.id.clone()).or_insert(next);
                } else if self.given.contains_key(&it.id) && !see.is_twice(&it.id) {
                    see.fail("R16 names", format!("{} says {} of its own", it.op, it.id));
                }
                it.id = self.stored(&it.id).to_owned();
            }
            if it.collection == "orders" {
                for named in references::named_by(&it.intent, &customer()) {
                    // Whoever leaves together with what it names cannot know what that will be called (R14).
                    if it.group.is_some() && made.contains(&(it.group, named.id.clone())) {
                        self.together.insert(it.op);
                    }
                    let dangles = see.ledger.borrow().dangling.contains(&named)
                        || self.together.contains(&it.op)
                        || see.is_twice(&named.id);
                    if self.given.contains_key(&named.id) && !dangles {
                        see.fail("R16 names", format!("{} names {} of its own", it.op, named.id));
                    }
                }
                let stored = |key: &EntityKey| Some(self.stored(&key.id).to_owned());
                if let Some(intent) = references::rename_intent(&it.intent, &customer(), &stored) {
                    it.intent = intent;
                }
            }
        }
        batch
    }

    fn in_told_names(&self, collection: &str, presence: Presence) -> Presence {
        if collection != "orders" {
            return presence;
        }
        let told = |key: &EntityKey| self.told(&key.id).cloned();
        references::rename_presence(&presence, &customer(), &told).unwrap_or(presence)
    }

    fn told_outcome(&self, departure: &Departure, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Applied { version, presence, stamp, assigned_id } => {
                let makes = matches!(departure.intent, Intent::Create(_));
                let given = self
                    .told(&departure.id)
                    .filter(|_| makes && version.is_some() && departure.collection == "customers");
                Outcome::Applied {
                    version,
                    presence: presence.map(|it| self.in_told_names(&departure.collection, it)),
                    stamp,
                    assigned_id: given.cloned().or(assigned_id),
                }
            }
            Outcome::Conflict {
                theirs: Theirs::Live { document, version, stamp },
                other,
                token,
            } => {
                let presence = self.in_told_names(&departure.collection, Presence::Live(document));
                let document = presence.document().cloned().expect("it is live");
                Outcome::Conflict {
                    theirs: Theirs::Live { document, version, stamp },
                    other,
                    token,
                }
            }
            other @ (Outcome::Conflict { .. }
            | Outcome::Rejected { .. }
            | Outcome::Retry { .. }) => other,
        }
    }

    /// Every verdict on an operation that is stored, or was in a history that is lost.
    fn verdicts(&self, op: OpId) -> impl Iterator<Item = core::Outcome> {
        let stored = core::Tx::verdict(&self.memory, &op.to_string());
        let stored = stored.expect("memory does not fail").map(|stored| stored.outcome);
        stored.into_iter().chain(self.forgotten.get(&op).into_iter().flatten().cloned())
    }

    /// Whether the server has refused an operation with this code.
    pub(crate) fn has_refused(&self, op: OpId, code: &str) -> bool {
        self.verdicts(op).any(|it| it.code.as_deref() == Some(code))
    }

    /// Whether the server has said, or would say, that it has the operation.
    pub(crate) fn has_applied(&self, op: OpId) -> bool {
        self.verdicts(op).any(|it| it.kind == core::OutcomeKind::Applied)
    }

    /// Whether what the server says of an operation cannot be put into effect without writing a row. It leaves together with so many
    /// others.
    pub(crate) fn needs_a_row(&self, op: &holdfast::model::Operation, others: usize) -> bool {
        let named =
            matches!(self.naming, Naming::Given { .. }) && &*op.key.collection == "customers";
        let poison = self.picky && is_poison(&op.intent);
        let refused = |it: core::Outcome| it.kind != core::OutcomeKind::Applied;
        let large = others >= self.most;
        poison || large || named && op.is_create() || self.verdicts(op.id).any(refused)
    }

    /// Handles a push. `whim` refuses its first new operation, for this time.
    pub(crate) fn push(&mut self, batch: &Batch, now: u64, whim: bool, see: &Oracle) -> PushReply {
        if batch.operations.len() > self.most {
            return PushReply::halted(Halt::TooLarge);
        }
        if self.picky && batch.operations.iter().any(|it| is_poison(&it.intent)) {
            return PushReply::halted(Halt::BatchRefused);
        }
        let batch = &self.received(batch, see);
        let device = batch.operations.first().map_or_else(String::new, |it| it.device.to_string());
        let operations: Vec<core::Operation> = batch.operations.iter().map(operation).collect();
        let mut request = core::PushRequest::new(&device, operations.clone());
        for (submitted, departure) in request.operations.iter_mut().zip(&batch.operations) {
            submitted.group = departure
                .group
                .map(|(id, size)| core::Group { id: id.to_string(), size: size as usize });
        }
        let had: Vec<u64> = operations.iter().map(|op| self.memory.effects(&op.op_id)).collect();
        let text = |record: Option<core::Record>| {
            let document = record.and_then(|record| record.document);
            replay::of_text(document.as_ref().map(core::Document::as_str))
        };
        let keys = batch.operations.iter().map(|it| EntityKey::new(&*it.collection, &*it.id));
        let keys: Vec<EntityKey> = keys.collect();
        let before: Vec<Doc> = keys.iter().map(|key| text(self.record(key))).collect();
        // What a person freed late, or brought back, was out of sight when the same user went on without it.
        let freed = |(key, it): (&EntityKey, &Departure)| {
            let ledger = see.ledger.borrow();
            let device = |op: &OpId| ledger.writes.get(op).map(|write| write.device);
            let by = self.record(key).and_then(|record| OpId::parse(&record.op_id));
            by.is_some_and(|op| {
                let late = ledger.by_person.contains(&op) || ledger.travelled.contains(&op);
                late && (is_private(key) || device(&op) == device(&it.op))
            })
        };
        let freed: Vec<bool> = keys.iter().zip(&batch.operations).map(freed).collect();
        self.rules.whim.set(whim);
        let answer =
            core::push(&mut self.memory, &request, &self.rules, &self.limits, EPOCH_MS + now);
        self.rules.whim.set(false);
        let Ok(answer) = answer else {
            see.fail("protocol", format!("the server refused the request: {answer:?}"));
            return PushReply::halted(Halt::BatchRefused);
        };
        let pieces = batch.operations.chunk_by(|a, b| a.group.is_some() && a.group == b.group);
        let mut verdicts = answer.outcomes.iter().map(|it| it.kind == core::OutcomeKind::Applied);
        let mut effects =
            operations.iter().zip(&had).map(|(op, had)| self.memory.effects(&op.op_id) > *had);
        for piece in pieces {
            let applied: Vec<bool> = verdicts.by_ref().take(piece.len()).collect();
            let effects: Vec<bool> = effects.by_ref().take(piece.len()).collect();
            let none = !applied.contains(&true) && !effects.contains(&true);
            let copied = piece.iter().any(|it| see.is_copied(it.op));
            if !none && applied.contains(&false) && !copied {
                see.fail("R14 together", format!("{piece:?}: {applied:?}, effects {effects:?}"));
            }
            if piece.len() > 1 {
                see.note(if none { "transactions refused" } else { "transactions applied" });
            }
        }
        let mut had_effect = Vec::with_capacity(operations.len());
        for ((departure, op), had) in batch.operations.iter().zip(&operations).zip(had) {
            let has = self.memory.effects(&op.op_id);
            had_effect.push(has > had);
            if has > 1 {
                see.fail("P6 exactly once", format!("{} had {has} effects", op.op_id));
            }
            if has > had {
                self.effect(departure.op, op, see);
            }
        }
        for (at, (((op, key), before), freed)) in
            batch.operations.iter().zip(&keys).zip(&before).zip(freed).enumerate()
        {
            let after = text(self.record(key));
            // What left with versions of a lost history may meet the same numbers.
            let knew = self.origins.get(&op.op).and_then(|origin| origin.history.clone());
            let blind = self.was_set_back(key) && knew != Some(self.history());
            // Two ids of one customer may be in one request: what changes is the doing of the last that was done now.
            let done = |(other, it): (&EntityKey, &bool)| other == key && *it;
            let last = keys.iter().zip(&had_effect).rposition(done) == Some(at);
            if *before != after && !blind && !freed && last {
                see.overwrites(op.op, key, (before, &after), &self.given);
            }
        }
        let outcomes = answer
            .outcomes
            .iter()
            .zip(&batch.operations)
            .map(|(it, departure)| {
                let outcome = self.outcome(it, departure, see);
                (departure.op, self.told_outcome(departure, outcome))
            })
            .collect();
        PushReply { outcomes, bytes: 100, up: 50, ..PushReply::default() }
    }

    /// P7: per record and device in order; what is named is known.
    fn effect(&mut self, id: OpId, op: &core::Operation, see: &Oracle) {
        let Some(origin) = self.origins.get(&id) else {
            see.fail("P5 sealed", format!("{id} has an effect and never left"));
            return;
        };
        let slot = self.last.entry((origin.device, op.key.clone())).or_default();
        // What a person freed late, or handed over, may stand behind what was made without it.
        let elsewhere =
            |ledger: &Ledger| ledger.by_person.contains(&id) || ledger.travelled.contains(&id);
        if origin.seq <= *slot && !elsewhere(&see.ledger.borrow()) {
            let text = format!("{id} seq {} after {} on {:?}", origin.seq.0, slot.0, op.key);
            see.fail("P7 order", text);
        }
        *slot = origin.seq.max(*slot);
        let named = match &op.intent {
            core::Intent::Create(document) | core::Intent::Replace(document) => {
                document.member("customer")
            }
            core::Intent::Change(_) | core::Intent::Delete => None,
        };
        if let Some(customer) = named.and_then(|text| holdfast::model::json::unquote(&text))
            && self.record(&EntityKey::new("customers", &*customer)).is_none()
            && core::Tx::feed(&self.memory).expect("memory does not fail").horizon == 0
            && !see.ledger.borrow().dangling.contains(&EntityKey::new("customers", &*customer))
            && !self.was_set_back(&EntityKey::new("customers", &*customer))
            && !self.told(&customer).is_some_and(|told| {
                see.ledger.borrow().dangling.contains(&EntityKey::new("customers", &**told))
            })
        {
            see.fail("P7 references", format!("{:?} names {customer}, which is unknown", op.key));
        }
    }

    pub(crate) fn pull(&mut self, cursor: Option<&Cursor>, now: u64) -> Result<PullPage, Halt> {
        let mut cursor = cursor.map(|cursor| cursor.0.clone());
        // The picture that a full pull goes on with: a page of it says which in front of its cursor.
        let mut picture = cursor.as_deref().and_then(|it| it.split_once(':')?.0.parse().ok());
        if cursor.is_none()
            && let Some(pictures) = &mut self.frozen
        {
            picture = Some(pictures.len());
            pictures.push(self.memory.clone());
        }
        if let Some((_, rest)) = cursor.as_deref().and_then(|it| it.split_once(':')) {
            cursor = Some(rest.to_owned());
        }
        let current = core::Tx::feed(&self.memory).expect("memory does not fail").epoch;
        let shown = picture.and_then(|at: usize| self.frozen.as_ref()?.get(at));
        let shown = shown.unwrap_or(&self.memory);
        if core::Tx::feed(shown).expect("memory does not fail").epoch != current {
            return Err(Halt::Expired);
        }
        let request = core::PullRequest { cursor, limit: None, scope: Some("all".to_owned()) };
        let answer = core::pull(shown, &request, &self.limits, EPOCH_MS + now);
        let page = answer.map_err(|problem| match problem.kind {
            core::ProblemKind::CursorExpired => Halt::Expired,
            _ => Halt::Protocol,
        })?;
        let changes = page.changes.iter().map(|it| {
            let told = self.told(&it.id).filter(|_| it.collection == "customers");
            let silent = told.is_some() && self.naming == Naming::Given { echo: false };
            RemoteChange {
                key: EntityKey::new(&*it.collection, &**told.unwrap_or(&it.id)),
                presence: self.in_told_names(&it.collection, presence(it.document.as_ref())),
                version: Some(self.version(it.version)),
                stamp: Some(stamp(it.at)),
                op: OpId::parse(&it.op_id).filter(|_| !silent),
                own: None,
            }
        });
        Ok(PullPage {
            changes: changes.collect(),
            unreadable: Vec::new(),
            next: Cursor(match picture.filter(|_| page.more) {
                Some(picture) => format!("{picture}:{}", page.cursor),
                None => page.cursor.clone(),
            }),
            more: page.more,
            time: None,
            bytes: 100,
        })
    }

    /// A version as this server tells it.
    fn version(&self, number: u64) -> Version {
        if self.opaque { Version::Opaque(number.to_string()) } else { Version::Number(number) }
    }

    fn outcome(
        &self,
        it: &core::Outcome,
        departure: &holdfast::model::Departure,
        see: &Oracle,
    ) -> Outcome {
        let version = it.version.map(|number| self.version(number));
        match it.kind {
            core::OutcomeKind::Applied if it.version == Some(0) => Outcome::Applied {
                version: None,
                presence: Some(Presence::Deleted),
                stamp: None,
                assigned_id: None,
            },
            core::OutcomeKind::Applied => Outcome::Applied {
                version,
                presence: it.document.as_ref().map(|document| presence(document.as_ref())),
                stamp: Some(departure.stamp),
                assigned_id: it.server_id.clone(),
            },
            core::OutcomeKind::Conflict => {
                let theirs = match it.document.as_ref().map(|document| presence(document.as_ref()))
                {
                    Some(Presence::Live(document)) => {
                        Theirs::Live { document, version, stamp: it.at.map(stamp) }
                    }
                    Some(Presence::Deleted) | None => {
                        Theirs::Deleted { version, stamp: it.at.map(stamp) }
                    }
                };
                Outcome::Conflict { theirs, other: None, token: None }
            }
            core::OutcomeKind::Rejected => {
                let code = it.code.clone().unwrap_or_default();
                // A copy from a backup is another device's too, which may have gone on with it.
                let copied = OpId::parse(&it.op_id).is_some_and(|id| see.is_copied(id));
                if !copied && (code == "operation-id-reused" || code == "invalid") {
                    see.fail("P5 sealed", format!("{} left twice with two contents", it.op_id));
                }
                Outcome::Rejected {
                    code,
                    message: it.message.clone().unwrap_or_default(),
                    last: it.last.unwrap_or_default(),
                }
            }
            core::OutcomeKind::Retry => Outcome::Retry { after: it.after.map(Millis) },
        }
    }
}

/// The server's time of a record.
fn stamp(at: u64) -> Stamp {
    Stamp { millis: at, counter: 0, device: DeviceId::from_bytes([0; 16]) }
}

/// The number in a version, whatever the device may know of it.
pub(crate) fn number(version: &Version) -> Option<u64> {
    match version {
        Version::Number(number) => Some(*number),
        Version::Opaque(text) => text.parse().ok(),
        Version::Stamp(_) => None,
    }
}

/// What orders declare.
fn customer() -> References {
    [(Path::field("customer"), "customers".to_owned())].into()
}

fn is_poison(intent: &Intent) -> bool {
    match intent {
        Intent::Create(document) | Intent::Replace(document) => {
            document.get(&["poison".to_owned()]).is_some()
        }
        Intent::Change(edits) => {
            edits.iter().any(|edit| edit.path().root() == "poison" && edit.value().is_some())
        }
        Intent::Delete | Intent::Resolve(_) => false,
    }
}

fn text(document: &Document) -> core::Document {
    core::Document::parse(document.text()).expect("a document is an object")
}

fn operation(departure: &holdfast::model::Departure) -> core::Operation {
    let intent = match &departure.intent {
        Intent::Create(document) => core::Intent::Create(text(document)),
        Intent::Replace(document) => core::Intent::Replace(text(document)),
        Intent::Delete | Intent::Resolve(_) => core::Intent::Delete,
        Intent::Change(edits) => core::Intent::Change(
            edits
                .iter()
                .map(|edit| match edit {
                    Edit::Set { path, value } => core::Edit::Set {
                        path: path.0.clone(),
                        value: serde_json::value::RawValue::from_string(value.text().to_owned())
                            .expect("a value is JSON"),
                    },
                    Edit::Remove { path } => core::Edit::Remove { path: path.0.clone() },
                })
                .collect(),
        ),
    };
    core::Operation {
        op_id: departure.op.to_string(),
        key: core::Key::new(&departure.collection, &departure.id),
        intent,
        assumed: departure.assumed.as_ref().and_then(number),
        at: departure.stamp.millis,
    }
}

fn presence(document: Option<&core::Document>) -> Presence {
    match document {
        Some(document) => {
            Presence::Live(Document::parse(document.as_str()).expect("a document is an object"))
        }
        None => Presence::Deleted,
    }
}
