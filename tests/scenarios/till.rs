//! The language of the scenarios.

use holdfast::memory::Disk;
use holdfast::model::{
    Answer, Base, Batch, Choice, Code, CollectionRules, Conflict, ConflictId, Ctx, Cursor,
    Document, EntityKey, Fate, Halt, IdSeed, Millis, Need, OpId, OpState, Operation, Outcome,
    Owner, Parked, Path, Policies, Presence, Priority, PullPage, PushReply, RemoteChange, Root,
    Rules, Scope, Settled, Snapshot, Strategy, SyncError, Term, Theirs, Version, Wall,
};
use holdfast::plan;
use holdfast::plan::asks::Answered;
use holdfast::plan::pull::Part;
use holdfast::plan::push::{Claimed, Room};
use holdfast::plan::resolve::{Dependents, Discarded, Resolution, Ruling};
use holdfast::plan::write::{Action, Write};

use crate::laws::Laws;

pub(crate) fn doc(text: &str) -> Document {
    Document::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn order(id: &str) -> EntityKey {
    EntityKey::new("orders", id)
}

pub(crate) fn version(number: u64) -> Version {
    Version::Number(number)
}

/// What the server says of one operation.
pub(crate) fn applied(number: u64) -> Outcome {
    Outcome::Applied {
        version: Some(version(number)),
        presence: None,
        stamp: None,
        assigned_id: None,
    }
}

pub(crate) fn applied_as(number: u64, text: &str) -> Outcome {
    Outcome::Applied {
        version: Some(version(number)),
        presence: Some(Presence::Live(doc(text))),
        stamp: None,
        assigned_id: None,
    }
}

pub(crate) fn conflict(number: u64, text: &str) -> Outcome {
    let theirs = Theirs::Live { document: doc(text), version: Some(version(number)), stamp: None };
    Outcome::Conflict { theirs, other: None, token: None }
}

pub(crate) fn deleted(number: u64) -> Outcome {
    let theirs = Theirs::Deleted { version: Some(version(number)), stamp: None };
    Outcome::Conflict { theirs, other: None, token: None }
}

pub(crate) fn rejected(code: &str) -> Outcome {
    Outcome::Rejected { code: code.into(), message: "no".into(), last: true }
}

pub(crate) fn refused() -> Outcome {
    Outcome::Rejected { code: "busy".into(), message: "not now".into(), last: false }
}

pub(crate) const RETRY: Outcome = Outcome::Retry { after: None };

/// A change of the server's.
pub(crate) fn live(id: &str, number: u64, text: &str) -> RemoteChange {
    RemoteChange {
        key: order(id),
        presence: Presence::Live(doc(text)),
        version: Some(version(number)),
        stamp: None,
        op: None,
        own: None,
    }
}

pub(crate) fn tombstone(id: &str, number: u64) -> RemoteChange {
    RemoteChange { presence: Presence::Deleted, ..live(id, number, "{}") }
}

pub(crate) fn by(op: OpId, change: RemoteChange) -> RemoteChange {
    RemoteChange { op: Some(op), ..change }
}

/// One device, its disk, and what it has on the wire.
pub(crate) struct Till {
    pub(crate) disk: Disk,
    pub(crate) rules: Rules,
    pub(crate) now: u64,
    pub(crate) term: Term,
    pub(crate) flight: Batch,
    pub(crate) laws: Laws,
    pub(crate) owner: Owner,
    pub(crate) schema: u32,
    /// Which device it is: two of them make no ids twice.
    pub(crate) device: u8,
    calls: u64,
    pages: u64,
}

const START: u64 = 1_763_650_000_000;

/// Orders name a customer; stock movements never fold.
pub(crate) fn rules(strategy: Strategy) -> Rules {
    let orders = CollectionRules {
        policies: Policies::all(strategy),
        references: [(Path::field("customer"), "customers".to_owned())].into(),
        ..CollectionRules::default()
    };
    let customers =
        CollectionRules { policies: Policies::all(strategy), ..CollectionRules::default() };
    let stock = CollectionRules {
        policies: Policies::all(strategy),
        coalesce: false,
        ..CollectionRules::default()
    };
    let collections = [("orders", orders), ("customers", customers), ("stock", stock)];
    Rules {
        collections: collections.map(|(name, rules)| (name.to_owned(), rules)).into(),
        resolver: strategy == Strategy::Callback,
        ..Rules::default()
    }
}

impl Till {
    /// Conflicts go to a person.
    pub(crate) fn new() -> Self {
        Self::with(Strategy::Manual)
    }

    pub(crate) fn with(strategy: Strategy) -> Self {
        Self::of(7, strategy)
    }

    /// A till of its own name.
    pub(crate) fn of(device: u8, strategy: Strategy) -> Self {
        let mut till = Self {
            disk: Disk::default(),
            rules: rules(strategy),
            now: START,
            term: Term(0),
            flight: Batch::default(),
            laws: Laws::default(),
            owner: Owner::default(),
            schema: 1,
            device,
            calls: 0,
            pages: 0,
        };
        till.reopens();
        till
    }

    /// The wire takes transactions all or none.
    pub(crate) fn with_groups(strategy: Strategy) -> Self {
        let mut till = Self::with(strategy);
        till.rules.wire.groups = true;
        till.laws.groups = true;
        till
    }

    pub(crate) fn ctx(&mut self) -> Ctx {
        self.now += 1;
        self.calls += 1;
        let [.., a, b, c, d] = self.calls.to_be_bytes();
        let ids = IdSeed { at: Wall(self.now), random: [7, self.device, a, b, c, d, 0, 0, 0, 0] };
        Ctx { now: Wall(self.now), term: Some(self.term), ids, jitter: 500 }
    }

    pub(crate) fn commits(&mut self, changes: &holdfast::model::Changeset) {
        self.disk.write(changes).unwrap();
        self.laws.check(&self.disk, &self.rules);
    }

    // Writing.

    pub(crate) fn write(&mut self, key: EntityKey, action: Action) -> Result<OpId, SyncError> {
        self.write_as(key, action, None)
    }

    pub(crate) fn write_as(
        &mut self,
        key: EntityKey,
        action: Action,
        priority: Option<Priority>,
    ) -> Result<OpId, SyncError> {
        let ctx = self.ctx();
        let request = self.request(ctx.ids.op(0), key, action, priority);
        self.accept(&request, &ctx)
    }

    pub(crate) fn request(
        &self,
        id: OpId,
        key: EntityKey,
        action: Action,
        priority: Option<Priority>,
    ) -> Write {
        let declared = &self.rules.of(&key.collection).references;
        let refs = match &action {
            Action::Create(document) | Action::Patch(document) | Action::Replace(document) => {
                // A customer may name another, though that is not declared of all.
                let named = document.get(&["customer".to_owned()]);
                let id = named.and_then(|json| holdfast::model::json::unquote(json.text()));
                let mut refs = holdfast::model::references::named(document, declared);
                refs.extend(id.map(|id| EntityKey::new("customers", id)));
                refs.dedup();
                refs
            }
            Action::Restore { .. } | Action::Remove => Vec::new(),
        };
        let (owner, schema) = (self.owner.clone(), self.schema);
        Write { id, key, action, priority, refs, owner, schema }
    }

    pub(crate) fn accept(&mut self, request: &Write, ctx: &Ctx) -> Result<OpId, SyncError> {
        let mut roots = vec![Root::Record(request.key.clone()), Root::Op(request.id)];
        roots.extend(request.refs.iter().cloned().map(Root::Target));
        let s = self.disk.snapshot(Need::of(roots));
        let decision = plan::write::write(&s, request, &self.rules, ctx);
        if decision.output.is_err() {
            assert!(decision.changes.is_empty(), "R22: a refused write changes nothing");
        } else {
            self.laws.accepted(request.id);
        }
        self.commits(&decision.changes);
        decision.output.map(|written| written.op)
    }

    /// Writes all or none; the operations that carry them.
    pub(crate) fn transacts(
        &mut self,
        actions: &[(EntityKey, Action)],
    ) -> Result<Vec<OpId>, SyncError> {
        let ctx = self.ctx();
        let mut writes = Vec::new();
        for (n, (key, action)) in (1_000..).zip(actions) {
            writes.push(self.request(ctx.ids.op(n), key.clone(), action.clone(), None));
        }
        self.accept_all(&writes, &ctx)
    }

    pub(crate) fn accept_all(
        &mut self,
        writes: &[Write],
        ctx: &Ctx,
    ) -> Result<Vec<OpId>, SyncError> {
        let mut roots = Vec::new();
        for write in writes {
            roots.extend([Root::Record(write.key.clone()), Root::Op(write.id)]);
            roots.extend(write.refs.iter().cloned().map(Root::Record));
        }
        let s = self.disk.snapshot(Need::of(roots));
        let group = ctx.ids.group(999);
        let decision = plan::write::transaction(&s, writes, group, &self.rules, ctx);
        if decision.output.is_err() {
            assert!(decision.changes.is_empty(), "P2: a refused transaction changes nothing");
        } else {
            writes.iter().for_each(|write| self.laws.accepted(write.id));
        }
        self.commits(&decision.changes);
        decision.output.map(|written| written.writes.into_iter().map(|(_, op)| op).collect())
    }

    pub(crate) fn creates(&mut self, id: &str, text: &str) -> OpId {
        self.write(order(id), Action::Create(doc(text))).unwrap()
    }

    pub(crate) fn patches(&mut self, id: &str, text: &str) -> OpId {
        self.write(order(id), Action::Patch(doc(text))).unwrap()
    }

    pub(crate) fn replaces(&mut self, id: &str, text: &str) -> OpId {
        self.write(order(id), Action::Replace(doc(text))).unwrap()
    }

    pub(crate) fn removes(&mut self, id: &str) -> OpId {
        self.write(order(id), Action::Remove).unwrap()
    }

    pub(crate) fn customer(&mut self, id: &str) -> OpId {
        self.write(EntityKey::new("customers", id), Action::Create(doc(r#"{"n":1}"#))).unwrap()
    }

    pub(crate) fn refuses(&mut self, id: &str, action: Action) -> Code {
        self.write(order(id), action).unwrap_err().code
    }

    // Sending.

    pub(crate) fn claim(&mut self) -> Result<Claimed, plan::Deposed> {
        self.claim_up_to(Room { operations: 100, bytes: 1 << 20 })
    }

    pub(crate) fn claim_up_to(&mut self, room: Room) -> Result<Claimed, plan::Deposed> {
        let ctx = self.ctx();
        let horizon = Millis(3_600_000);
        let groups = self.rules.wire.groups;
        let ready = Root::Ready { limit: room.operations, now: ctx.now, horizon, groups };
        let mut roots = vec![Root::Flights, ready];
        roots.extend(plan::identity::at_departure(&self.rules));
        let s = self.disk.snapshot(Need::only(roots));
        let decision = plan::push::claim(&s, room, &self.rules, &ctx);
        self.commits(&decision.changes);
        decision.output
    }

    /// What may leave leaves; which operations that are.
    pub(crate) fn sends(&mut self) -> Vec<OpId> {
        self.flight = self.claim().unwrap().batch;
        let mut records: Vec<_> =
            self.flight.operations.iter().map(|it| (&it.collection, &it.id)).collect();
        let departures = records.len();
        records.sort();
        records.dedup();
        assert_eq!(records.len(), departures, "R15: one record at most once in a request");
        self.flight.operations.iter().map(|departure| departure.op).collect()
    }

    /// The answer to the last request.
    pub(crate) fn hears(&mut self, outcomes: &[(OpId, Outcome)]) -> plan::push::Settled {
        self.settles(&PushReply { outcomes: outcomes.to_vec(), ..PushReply::default() }).unwrap()
    }

    pub(crate) fn hears_halt(&mut self, halt: Halt) -> plan::push::Settled {
        self.settles(&PushReply::halted(halt)).unwrap()
    }

    pub(crate) fn settles(
        &mut self,
        reply: &PushReply,
    ) -> Result<plan::push::Settled, plan::Deposed> {
        let ctx = self.ctx();
        let batch = self.flight.clone();
        let mut roots = vec![Root::Cursors];
        roots.extend(batch.operations.iter().map(|departure| Root::Op(departure.op)));
        roots.extend(plan::identity::in_reply(&batch, reply, &self.rules));
        let s = self.disk.snapshot(Need::of(roots));
        let decision = plan::push::settle(&s, &batch, reply, &self.rules, &ctx);
        self.commits(&decision.changes);
        decision.output
    }

    /// Sends the one operation that may leave and hears this.
    pub(crate) fn pushes(&mut self, outcome: Outcome) -> OpId {
        let sent = self.sends();
        assert_eq!(sent.len(), 1, "one operation was to leave: {sent:?}");
        self.hears(&[(sent[0], outcome)]);
        sent[0]
    }

    /// Another tab leads, or this one after a crash.
    pub(crate) fn reopens(&mut self) {
        let ctx = self.ctx();
        let decision = plan::lead::lead(&self.disk.snapshot(Need::default()), &ctx);
        self.commits(&decision.changes);
        self.term = decision.output;
    }

    /// Time passes: whatever waits for its time is due.
    pub(crate) fn waits(&mut self) {
        self.now += 3_600_001;
    }

    // Pulling.

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        let s = self.disk.snapshot(Need::only(vec![Root::Cursors]));
        s.cursors.get(&Scope::all()).and_then(|row| row.cursor.clone())
    }

    /// The last page of a pull.
    pub(crate) fn pulls(&mut self, changes: &[RemoteChange]) {
        let page = self.page(changes, false);
        let pulled = self.applies(self.cursor().as_ref(), &page);
        assert!(matches!(pulled, Ok(plan::pull::Pulled::Applied { .. })), "{pulled:?}");
    }

    pub(crate) fn page(&mut self, changes: &[RemoteChange], more: bool) -> PullPage {
        self.pages += 1;
        let next = Cursor(format!("c{}", self.pages));
        PullPage {
            changes: changes.to_vec(),
            unreadable: Vec::new(),
            next,
            more,
            time: None,
            bytes: 0,
        }
    }

    pub(crate) fn applies(
        &mut self,
        from: Option<&Cursor>,
        page: &PullPage,
    ) -> Result<plan::pull::Pulled, plan::Deposed> {
        let ctx = self.ctx();
        let rows = self.disk.snapshot(Need::only(vec![Root::Cursors])).cursors;
        let mut roots = vec![Root::Cursors];
        // What the engine reads for the end of a pull (`at_the_end`).
        if !page.more {
            roots.push(Root::Outbox);
            roots.extend(rows.values().any(|row| row.rebuilding).then_some(Root::Records));
        }
        roots.extend(page.changes.iter().map(|change| Root::Pulled(change.key.clone())));
        roots.extend(plan::identity::in_page(page, &self.rules));
        let places = plan::pull::places(&Scope::all(), page);
        roots.extend(places.into_iter().map(Root::Quarantine));
        let s = self.disk.snapshot(Need::of(roots));
        let decision =
            plan::pull::apply(&s, (&Scope::all(), Part::Last), from, page, &self.rules, &ctx);
        self.commits(&decision.changes);
        decision.output
    }

    pub(crate) fn cursor_expires(&mut self) {
        let ctx = self.ctx();
        let s = self.disk.snapshot(Need::only(vec![Root::Cursors]));
        let decision = plan::pull::restart(&s, &Scope::all(), &ctx);
        self.commits(&decision.changes);
        decision.output.unwrap();
    }

    // Deciding.

    pub(crate) fn resolves(&mut self, choice: &Choice) -> Result<Resolution, SyncError> {
        let id = self.open_conflict().id;
        let ctx = self.ctx();
        self.resolves_as(id, choice, ctx.ids.op(0))
    }

    pub(crate) fn resolves_as(
        &mut self,
        id: ConflictId,
        choice: &Choice,
        call: OpId,
    ) -> Result<Resolution, SyncError> {
        self.rules_on(&Ruling { id, choice: choice.clone(), seen: None, call })
    }

    pub(crate) fn rules_on(&mut self, ruling: &Ruling) -> Result<Resolution, SyncError> {
        let ctx = self.ctx();
        let mut roots = vec![Root::Conflict(ruling.id)];
        if let Choice::Merged(Presence::Live(document)) = &ruling.choice {
            roots.extend(plan::identity::in_content(document, &self.rules));
        }
        let s = self.disk.snapshot(Need::of(roots));
        let decision = plan::resolve::resolve(&s, ruling, &self.rules, &ctx);
        self.commits(&decision.changes);
        decision.output
    }

    /// The resolver was shown a conflict and says this.
    pub(crate) fn answers(
        &mut self,
        shown: &Conflict,
        answer: &Answer,
    ) -> Result<Answered, plan::Deposed> {
        let ctx = self.ctx();
        let call = ctx.ids.op(0);
        let s = self.disk.snapshot(Need::of(vec![Root::Conflict(shown.id)]));
        let decision = plan::asks::answer(&s, shown, answer, call, &self.rules, &ctx);
        self.commits(&decision.changes);
        decision.output
    }

    pub(crate) fn restores(&mut self, id: ConflictId) -> Result<OpId, SyncError> {
        let conflict = self.conflict(id);
        let action = plan::restore::restore(&conflict)?;
        self.write(conflict.key, action)
    }

    pub(crate) fn retries(&mut self, op: OpId, patch: Option<&str>) -> Result<OpId, SyncError> {
        let call = self.ctx().ids.op(0);
        self.retries_as(op, patch, call).map(|_| call)
    }

    pub(crate) fn retries_as(
        &mut self,
        op: OpId,
        patch: Option<&str>,
        call: OpId,
    ) -> Result<Resolution, SyncError> {
        let ctx = self.ctx();
        let patch = patch.map(doc);
        let mut roots = vec![Root::Op(op)];
        roots.extend(patch.iter().flat_map(|it| plan::identity::in_content(it, &self.rules)));
        let s = self.disk.snapshot(Need::of(roots));
        let decision = plan::resolve::retry(&s, op, patch.as_ref(), call, &self.rules, &ctx);
        self.commits(&decision.changes);
        decision.output
    }

    pub(crate) fn discards(&mut self, op: OpId) -> Result<Discarded, SyncError> {
        let call = self.ctx().ids.op(0);
        self.discards_as(op, call)
    }

    pub(crate) fn discards_as(&mut self, op: OpId, call: OpId) -> Result<Discarded, SyncError> {
        self.discards_with(op, Dependents::Discard, call)
    }

    pub(crate) fn discards_with(
        &mut self,
        op: OpId,
        dependents: Dependents,
        call: OpId,
    ) -> Result<Discarded, SyncError> {
        let ctx = self.ctx();
        let s = self.disk.snapshot(Need::of(vec![Root::Op(op)]));
        let decision = plan::resolve::discard(&s, op, dependents, call, &self.rules, &ctx);
        self.commits(&decision.changes);
        decision.output
    }

    // Looking.

    pub(crate) fn all(&self) -> Snapshot {
        let roots = vec![
            Root::Records,
            Root::Outbox,
            Root::Conflicts,
            Root::Settled { limit: 100_000 },
            Root::Journal { limit: 100_000 },
        ];
        self.disk.snapshot(Need::only(roots))
    }

    pub(crate) fn op(&self, id: OpId) -> Operation {
        self.all().op(id).cloned().unwrap_or_else(|| panic!("{id} is not in the outbox"))
    }

    /// The operations of an order, in order.
    pub(crate) fn queue(&self, id: &str) -> Vec<Operation> {
        self.all().queue(&order(id)).cloned().collect()
    }

    /// The only operation of an order.
    pub(crate) fn only(&self, id: &str) -> Operation {
        let mut queue = self.queue(id);
        assert_eq!(queue.len(), 1, "{queue:#?}");
        queue.remove(0)
    }

    pub(crate) fn base(&self, id: &str) -> Option<Base> {
        self.all().records.get(&order(id)).and_then(|record| record.base.clone())
    }

    #[track_caller]
    pub(crate) fn sees(&self, id: &str, text: &str) {
        let all = self.all();
        let view = all.records.get(&order(id)).and_then(|record| record.view.clone());
        assert_eq!(view, Some(Presence::Live(doc(text))), "the view of {id}");
    }

    #[track_caller]
    pub(crate) fn sees_nothing(&self, id: &str) {
        let all = self.all();
        let view = all.records.get(&order(id)).and_then(|record| record.view.clone());
        assert!(!matches!(view, Some(Presence::Live(_))), "{id} is there: {view:?}");
    }

    pub(crate) fn settled(&self, id: OpId) -> Option<Settled> {
        self.all().settled.get(&id).cloned()
    }

    pub(crate) fn fate(&self, id: OpId) -> Option<Fate> {
        self.settled(id).map(|row| row.fate)
    }

    pub(crate) fn conflict(&self, id: ConflictId) -> Conflict {
        self.all().conflicts.get(&id).cloned().unwrap_or_else(|| panic!("{id} is not kept"))
    }

    pub(crate) fn open_conflict(&self) -> Conflict {
        let mut open: Vec<_> =
            self.all().conflicts.into_values().filter(|it| it.resolved.is_none()).collect();
        assert_eq!(open.len(), 1, "{open:#?}");
        open.remove(0)
    }

    pub(crate) fn open_conflicts(&self) -> usize {
        self.all().conflicts.values().filter(|it| it.resolved.is_none()).count()
    }

    pub(crate) fn counts(&self) -> holdfast::model::Counts {
        self.all().meta.counts
    }
}

pub(crate) fn is_rejected(op: &Operation) -> bool {
    matches!(op.state, OpState::Parked(Parked::Rejected { .. }))
}

pub(crate) fn is_blocked_by(op: &Operation, cause: OpId) -> bool {
    matches!(op.state, OpState::Blocked { by, .. } if by == cause)
}

pub(crate) fn is_queued(op: &Operation) -> bool {
    matches!(op.state, OpState::Queued { .. })
}

pub(crate) fn is_flying(op: &Operation) -> bool {
    matches!(op.state, OpState::InFlight { .. })
}
