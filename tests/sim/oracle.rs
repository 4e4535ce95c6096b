//! The judges. Most look at every commit: what was, what is written, and what the world knows and the core does not.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use holdfast::model::json::unquote;
use holdfast::model::{
    Assumed, Changeset, Conflict, ConflictId, ConflictKind, Counts, Decider, EntityKey, Fate,
    Intent, OpId, OpState, Operation, Presence, Resolved, Seq, Term,
};
use holdfast::plan::write::Action;
use serde_json::Value;

use crate::carry::{Carry, File};
use crate::mirror::Mirror;
use crate::replay::{self, COUNTER, Doc};
use crate::server::{AMENDED, Server, number};

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) oracle: &'static str,
    pub(crate) text: String,
}

/// A write that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) device: usize,
    pub(crate) tab: u32,
    pub(crate) key: EntityKey,
    pub(crate) action: Action,
}

/// Members and what was seen in them, oldest first.
pub(crate) type Seen = BTreeMap<String, Vec<Option<Value>>>;

/// What the world knows of writes: its own book, never the core's counters.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) writes: BTreeMap<OpId, Accepted>,
    /// Per record, in the order of acceptance; a retry moves its writes to the end.
    pub(crate) order: BTreeMap<EntityKey, Vec<OpId>>,
    /// The writes inside an operation.
    pub(crate) carries: BTreeMap<OpId, Vec<OpId>>,
    /// Records that were named when they were not there (any more): the application's own mistake.
    pub(crate) dangling: BTreeSet<EntityKey>,
    /// Records of which nobody can say what their user means.
    pub(crate) vague: BTreeSet<EntityKey>,
    /// What each task wrote, and whether its promise was kept.
    pub(crate) by_task: BTreeMap<u64, Vec<OpId>>,
    pub(crate) promised: BTreeSet<OpId>,
    /// What a person gave up.
    pub(crate) discarded: BTreeSet<OpId>,
    /// What the user saw in each member before each write in an operation that touched it.
    pub(crate) saw: BTreeMap<OpId, Seen>,
    /// Operations that a person's decision made or changed: what they overwrite was looked at.
    pub(crate) by_person: BTreeSet<OpId>,
    /// What a person changed while sending something again, by the new operation.
    pub(crate) amendments: BTreeMap<OpId, Action>,
    /// By how much a write changed what counts, as its user saw it.
    pub(crate) differences: BTreeMap<OpId, i64>,
    /// Conflicts that a call was told to have decided.
    pub(crate) decided: BTreeMap<ConflictId, u32>,
    /// What resolvers said, and of what.
    pub(crate) said: BTreeMap<ConflictId, Vec<(Conflict, &'static str)>>,
    /// Outbox files in users' hands.
    pub(crate) files: Vec<File>,
    /// Where an operation was brought that was handed over.
    pub(crate) carried: BTreeMap<OpId, usize>,
    /// Operations that a file brought to the device that has them.
    pub(crate) by_file: BTreeSet<OpId>,
    /// Of these, those whose import did not say yet that they are there.
    pub(crate) arriving: BTreeSet<OpId>,
    /// Whatever was ever handed over: its order on the first device is not that of the second.
    pub(crate) travelled: BTreeSet<OpId>,
    /// Records whose creates a file brought.
    pub(crate) brought: BTreeSet<EntityKey>,
    /// Records of which a file told another device.
    pub(crate) shared: BTreeSet<EntityKey>,
    /// What a backup brought: the same operation may live elsewhere, and is done twice if a person says so.
    pub(crate) copies: BTreeSet<(usize, OpId)>,
    /// Writes that went with a lost database: where they were, and what was known of them.
    pub(crate) evicted: BTreeMap<OpId, (usize, Chain)>,
    /// What a device had accepted when it lost its database.
    pub(crate) accepted_before: BTreeMap<usize, u64>,
}

/// What a call that is running wants, by the task that runs it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) key: EntityKey,
    pub(crate) action: Action,
    /// The other members of a transaction, on other records.
    pub(crate) others: Vec<(EntityKey, Action)>,
    /// It writes a file, or reads one.
    pub(crate) carry: Option<Carry>,
}

impl Call {
    pub(crate) fn of(key: EntityKey, action: Action) -> Self {
        Self { key, action, others: Vec::new(), carry: None }
    }
}

impl Default for Call {
    fn default() -> Self {
        Self::of(EntityKey::new("", ""), Action::Remove)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Oracle {
    failure: RefCell<Option<Violation>>,
    hash: Cell<u64>,
    log: Option<RefCell<Vec<String>>>,
    pub(crate) ledger: RefCell<Ledger>,
    /// Judge behaviour alone, not the looks of rows: a planted bug is to be found by what it does.
    pub(crate) behaviour_only: bool,
    pub(crate) notes: RefCell<BTreeMap<&'static str, u64>>,
    /// The wire takes transactions all or none.
    pub(crate) groups: bool,
}

/// A commit as it happens.
pub(crate) struct Commit<'a> {
    pub(crate) device: usize,
    pub(crate) tab: u32,
    pub(crate) verb: &'static str,
    pub(crate) was: &'a Mirror,
    pub(crate) is: &'a Mirror,
    pub(crate) set: &'a Changeset,
    pub(crate) call: Option<Call>,
    pub(crate) task: u64,
    /// Who took which term.
    pub(crate) terms: &'a BTreeMap<Term, u32>,
}

pub(crate) fn is_private(key: &EntityKey) -> bool {
    !key.id.starts_with("s-")
}

impl Oracle {
    pub(crate) fn new(verbose: bool, behaviour_only: bool, groups: bool) -> Self {
        let log = verbose.then(RefCell::default);
        Self { log, behaviour_only, groups, ..Self::default() }
    }

    pub(crate) fn fail(&self, oracle: &'static str, text: impl Into<String>) {
        let mut failure = self.failure.borrow_mut();
        if failure.is_none() {
            *failure = Some(Violation { oracle, text: text.into() });
        }
    }

    /// A rule about rows, not about behaviour.
    fn fail_rows(&self, oracle: &'static str, text: impl Into<String>) {
        if !self.behaviour_only {
            self.fail(oracle, text);
        }
    }

    pub(crate) fn failed(&self) -> Option<Violation> {
        self.failure.borrow().clone()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.get()
    }

    /// Part of the trace: two runs of one tape must say the same.
    pub(crate) fn trace(&self, words: &[u64]) {
        let mut hash = self.hash.get();
        for word in words {
            hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
        self.hash.set(hash);
    }

    /// A line for a person, made only when somebody reads.
    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            log.borrow_mut().push(line());
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.as_ref().map(|log| log.borrow().clone()).unwrap_or_default()
    }

    pub(crate) fn note(&self, what: &'static str) {
        *self.notes.borrow_mut().entry(what).or_default() += 1;
    }

    pub(crate) fn commit(&self, c: &Commit<'_>, server: &Server) {
        self.fence(c);
        self.book(c);
        self.fates(c, server);
        self.kept_by_policy(c);
        self.decisions(c);
        self.balance(c);
        self.sealed(c);
        self.records(c, server);
        self.cursor(c, server);
        self.names(c);
    }

    /// R16: a name leads to one record for ever, and nothing that is shown says a name that leads to another.
    fn names(&self, c: &Commit<'_>) {
        for (named, own) in &c.set.aliases {
            self.note("names given");
            if c.set.drop_records.contains(named) {
                self.note("records found to be one");
            }
            let key = EntityKey::new(&*named.collection, &**own);
            let known = c.was.own(named);
            if known != *named && known != key {
                self.fail("R16 names", format!("{named:?} led to {known:?}, now to {key:?}"));
            }
        }
        if c.set.aliases.is_empty() && c.set.records.is_empty() {
            return;
        }
        for record in c.is.records.values().filter(|it| it.key.collection == "orders") {
            let base = record.base.as_ref().and_then(|base| base.presence.document());
            let Some(named) = base.and_then(|base| named(&Action::Create(base.clone()))) else {
                continue;
            };
            let own = c.is.own(&named);
            if own != named {
                let text = format!("{}: {:?} names {named:?}, not {own:?}", c.verb, record.key);
                self.fail("R16 names", text);
            }
        }
    }

    /// P22: only the newest leader changes what leaders change.
    fn fence(&self, c: &Commit<'_>) {
        let leaders = matches!(
            c.verb,
            "push.claim"
                | "push.settle"
                | "push.settle.keep"
                | "pull.apply"
                | "pull.restart"
                | "drain.begin"
                | "drain.settle"
                | "drain.end"
        );
        if leaders && c.terms.get(&c.was.term()) != Some(&c.tab) {
            let text = format!("tab {} commits {} under a foreign term", c.tab, c.verb);
            self.fail("P22 one pusher", text);
        }
    }

    /// Keeps the world's own book of writes.
    fn book(&self, c: &Commit<'_>) {
        let mut ledger = self.ledger.borrow_mut();
        for (named, own) in c.set.aliases.iter().filter(|(it, _)| c.set.drop_records.contains(it)) {
            become_one(c.was, &mut ledger, named, &EntityKey::new(&*named.collection, &**own));
        }
        if c.verb == "write" {
            let known = |id: &OpId| c.was.op(*id).is_some() || ledger.writes.contains_key(id);
            let ops = c.set.ops.values();
            let new: BTreeSet<OpId> = ops
                .flat_map(|op| op.folded.iter().copied().chain([op.id]))
                .chain(c.set.settled.iter().map(|row| row.op))
                .filter(|id| !known(id))
                .collect();
            let Some(call) = &c.call else {
                self.fail("P3 conservation", "a write that nobody asked for");
                return;
            };
            let own = |(key, action)| (c.is.own(key), action);
            let members = std::iter::once((&call.key, &call.action))
                .chain(call.others.iter().map(|(key, action)| (key, action)));
            let members: Vec<(EntityKey, &Action)> = members.map(own).collect();
            if new.len() != members.len() {
                let text = format!("{} writes store {} ids", members.len(), new.len());
                self.fail("P2 all or none", text);
                return;
            }
            // A member is alone on its record: the record says whose id is whose.
            let on = |id: &OpId, key: &EntityKey| {
                let lines = c.set.journal.iter().find(|line| line.op == *id).map(|line| &line.key);
                c.is.op(*id).map(|op| &op.key).or(lines) == Some(key)
            };
            for (key, action) in members {
                let Some(id) = new.iter().find(|id| on(id, &key)) else {
                    self.fail("P2 all or none", format!("nothing is stored on {key:?}"));
                    return;
                };
                self.book_write(c, &mut ledger, *id, &key, action);
            }
        }
        let carry = c.call.as_ref().and_then(|call| call.carry.as_ref());
        if let Some(carry) = carry {
            self.carry(c, &mut ledger, carry);
        } else if c.verb == "resolve" {
            ledger.by_person.extend(c.set.ops.values().map(|op| op.id));
            // What somebody chose between two sides is neither a sum nor the fold of what was written.
            let chosen = c.set.conflicts.values().filter(|it| it.resolved.is_some());
            ledger.vague.extend(chosen.map(|it| it.key.clone()));
        }
        let mut amended = false;
        for seq in finished(c) {
            let Some(op) = c.was.ops.get(&seq) else { continue };
            let fate = c.set.settled.iter().find(|row| row.op == op.id).map(|row| &row.fate);
            match fate {
                Some(Fate::Superseded(next)) => {
                    let carried = ledger.carries.get(&op.id).cloned().unwrap_or_default();
                    let moved = c.is.op(*next).is_some_and(|it| it.seq > op.seq);
                    if ledger.copies.contains(&(c.device, op.id)) {
                        ledger.vague.insert(op.key.clone());
                    }
                    if moved {
                        // Made again over what is there by now: which members were meant is the person's to say.
                        if op.is_create() && c.was.records.contains_key(&op.key) {
                            ledger.vague.insert(op.key.clone());
                        }
                        let order = ledger.order.entry(op.key.clone()).or_default();
                        order.retain(|id| !carried.contains(id));
                        order.extend(&carried);
                    }
                    ledger.carries.entry(*next).or_default().extend(carried);
                    let saw = ledger.saw.get(&op.id).cloned().unwrap_or_default();
                    ledger.saw.insert(*next, saw);
                    if ledger.by_person.contains(&op.id) {
                        ledger.by_person.insert(*next);
                    }
                    if ledger.travelled.contains(&op.id) {
                        ledger.travelled.insert(*next);
                    }
                    // Sent again with a change: that is one more thing that the user did.
                    if let Some(call) = c.call.as_ref().filter(|_| moved && !amended) {
                        amended = true;
                        ledger.amendments.insert(*next, call.action.clone());
                        ledger.order.entry(op.key.clone()).or_default().push(*next);
                        ledger.carries.entry(*next).or_default().push(*next);
                    }
                }
                Some(Fate::Discarded) => {
                    let carried = ledger.carries.get(&op.id).cloned().unwrap_or_default();
                    ledger.discarded.extend(carried);
                    if c.verb != "resolve" {
                        self.fail("P3 conservation", format!("{} discarded by {}", op.id, c.verb));
                    }
                }
                Some(_) => {}
                None if c.verb == "drain.settle" => self.note("operations drained"),
                None => self.fail("P3 conservation", format!("{} left without a fate", op.id)),
            }
        }
    }

    fn book_write(
        &self,
        c: &Commit<'_>,
        ledger: &mut Ledger,
        id: OpId,
        key: &EntityKey,
        action: &Action,
    ) {
        let host = c.is.op(id).map_or(id, |op| op.id);
        ledger.carries.entry(host).or_default().push(id);
        ledger.order.entry(key.clone()).or_default().push(id);
        let accepted =
            Accepted { device: c.device, tab: c.tab, key: key.clone(), action: action.clone() };
        ledger.writes.insert(id, accepted);
        ledger.by_task.entry(c.task).or_default().push(id);
        let before = c.was.records.get(key).and_then(|record| record.view.as_ref());
        let before = replay::of_presence(before).unwrap_or_default();
        if replay::counts(key) {
            let after = replay::act(Some(before.clone()), action).unwrap_or_default();
            let count = |it: &serde_json::Map<String, Value>| {
                it.get(COUNTER).and_then(Value::as_i64).unwrap_or_default()
            };
            ledger.differences.insert(id, count(&after) - count(&before));
        }
        let saw = ledger.saw.entry(host).or_default();
        for name in touched(action, &before) {
            let value = before.get(&name).cloned();
            saw.entry(name).or_default().push(value);
        }
        if let Some(named) = named(action)
            && !matches!(
                c.is.records.get(&c.is.own(&named)).and_then(|record| record.view.as_ref()),
                Some(Presence::Live(_))
            )
        {
            ledger.dangling.insert(named);
        }
        self.read_your_write(c, key, action);
    }

    /// P11: the writer sees what it wrote.
    fn read_your_write(&self, c: &Commit<'_>, key: &EntityKey, action: &Action) {
        let view = |mirror: &Mirror| {
            replay::of_presence(mirror.records.get(key).and_then(|record| record.view.as_ref()))
        };
        let after = view(c.is);
        let mut expected = replay::act(view(c.was), action);
        // Whoever names a customer by the server's id names it by ours (R16).
        if let Some(Value::String(id)) = expected.as_mut().and_then(|it| it.get_mut("customer")) {
            *id = c.is.own(&EntityKey::new("customers", &**id)).id;
        }
        if after != expected {
            let text = format!("{key:?}: {after:?}, not {expected:?}");
            self.fail("P11 read your writes", text);
        }
    }

    /// Whether one side of a conflict is, or stands on, an operation that a person freed after it had been out of sight. What was
    /// written meanwhile was made without it, so the two may contradict each other, and only their user can say which was meant.
    fn was_freed(&self, conflict: &Conflict, server: &Server) -> bool {
        let ledger = self.ledger.borrow();
        let theirs = server.record(&conflict.key).and_then(|it| OpId::parse(&it.op_id));
        let of_record = |id: &OpId| {
            ledger.writes.get(id).is_some_and(|write| write.key == conflict.key)
                && server.has_applied(*id)
        };
        ledger.by_person.contains(&conflict.op)
            || theirs.is_some_and(|op| ledger.by_person.contains(&op))
            || ledger.by_person.iter().any(of_record)
    }

    /// Whether a customer was written to under both its ids.
    fn twice(&self, conflict: &Conflict, server: &Server) -> bool {
        let told = server.told(&conflict.key.id).filter(|_| conflict.key.collection == "customers");
        let told = told.map(|id| EntityKey::new("customers", &**id));
        told.is_some_and(|told| self.ledger.borrow().order.contains_key(&told))
    }

    /// P3: what ended as applied is on the server.
    fn fates(&self, c: &Commit<'_>, server: &Server) {
        for seq in finished(c) {
            let Some(op) = c.was.ops.get(&seq) else { continue };
            let row = c.set.settled.iter().find(|row| row.op == op.id);
            // What is removed and was never known is gone either way.
            let removed = matches!(op.intent, Intent::Delete);
            if row.is_none() && !removed && !server.has_applied(op.id) {
                self.fail("P3 conservation", format!("the server does not have {op:?}"));
            }
            let Some(row) = row else { continue };
            match &row.fate {
                Fate::Applied if !server.has_applied(op.id) => {
                    let record = c.is.records.get(&c.is.own(&op.key));
                    let base = record.and_then(|record| record.base.as_ref());
                    let base = replay::of_presence(base.map(|base| &base.presence));
                    // Rewritten while it was judged: what it wanted is what the newest row of it said.
                    if !replay::says(&base, op) {
                        let text = format!("{op:?} counts as applied, the server has {base:?}");
                        self.fail("P3 conservation", text);
                    }
                }
                Fate::Annihilated | Fate::Folded(_) if op.is_sealed() => {
                    self.fail("P5 sealed", format!("{op:?} may have left and is {:?}", row.fate));
                }
                Fate::Yielded(id) => match c.is.conflicts.get(id) {
                    Some(conflict) if conflict.resolved.is_some() => {}
                    _ => self.fail("P18 both sides kept", format!("{} without a conflict", op.id)),
                },
                _ => {}
            }
        }
        // What is met on one device is opened on another as it is.
        let brought = c.call.as_ref().is_some_and(|call| call.carry.is_some());
        for conflict in c.set.conflicts.values().filter(|_| !brought) {
            let new = !c.was.conflicts.contains_key(&conflict.id);
            let alone = self.is_alone(&conflict.key)
                && self.is_alone(&server.stored_key(&conflict.key))
                && !server.was_set_back(&conflict.key);
            // Removed under one of its ids and changed under the other, before anybody here could know that it is one (R16): that is
            // its user's to say, whichever of the two came to the server first.
            let removed =
                matches!(conflict.kind, ConflictKind::DeleteUpdate | ConflictKind::UpdateDelete);
            let torn = removed && self.twice(conflict, server);
            let unnamed = unnamed(c.is, conflict, server);
            if alone && new && !torn && !unnamed && !self.was_freed(conflict, server) {
                let text = format!("nobody else writes {:?}: {conflict:?}", conflict.key);
                self.fail("P17 real conflicts only", text);
            }
            if !c.was.conflicts.contains_key(&conflict.id) {
                let op = c.was.op(conflict.op).or_else(|| c.is.op(conflict.op));
                self.real(conflict, op);
                self.both_sides(c, conflict, op);
            }
        }
    }

    /// P19: what the user made of the record is in the conflict, unless they removed it since.
    fn both_sides(&self, c: &Commit<'_>, conflict: &Conflict, op: Option<&Operation>) {
        let Some(op) = op else { return };
        let removed = |later: &Operation| later.seq >= op.seq && later.intent == Intent::Delete;
        if conflict.mine == Presence::Deleted && !c.was.queue(&op.key).any(removed) {
            self.fail("P19 both sides", format!("nothing is left of {op:?} in {conflict:?}"));
        }
    }

    /// A policy that kept an operation over what somebody else did has looked at that: from then on it is what the operation is
    /// made on.
    fn kept_by_policy(&self, c: &Commit<'_>) {
        let mut ledger = self.ledger.borrow_mut();
        for conflict in c.set.conflicts.values() {
            let kept = |it: &Resolved| it.by == Decider::Policy && it.choice != "theirs";
            if !conflict.resolved.as_ref().is_some_and(kept) {
                continue;
            }
            let sides = [&conflict.mine, &conflict.theirs];
            let [mine, theirs] = sides.map(|it| replay::of_presence(Some(it)).unwrap_or_default());
            let next = c.set.settled.iter().find(|row| row.op == conflict.op);
            let next = next.and_then(|row| match row.fate {
                Fate::Superseded(next) => Some(next),
                _ => None,
            });
            for op in [conflict.op].into_iter().chain(next) {
                let saw = ledger.saw.entry(op).or_default();
                for name in mine.keys().chain(theirs.keys()) {
                    saw.entry(name.clone()).or_default().push(theirs.get(name).cloned());
                }
            }
        }
    }

    /// P17: somebody else changed what we changed since we saw it, and to something else.
    fn real(&self, conflict: &Conflict, op: Option<&Operation>) {
        let ledger = self.ledger.borrow();
        // What a file brought back may have been made again meanwhile, over members that its user did not look at (R6).
        if ledger.by_person.contains(&conflict.op) || ledger.brought.contains(&conflict.key) {
            return;
        }
        let Some(saw) = ledger.saw.get(&conflict.op) else {
            self.fail("P17 real conflicts only", format!("of nobody's write: {conflict:?}"));
            return;
        };
        let first = |values: &Vec<Option<Value>>| values.first().cloned().flatten();
        let on = saw.iter().filter_map(|(name, values)| Some((name.clone(), first(values)?)));
        let mine = op.and_then(|op| match op.is_create() {
            true => replay::replay(None, op),
            false => replay::replay(Some(on.collect()), op),
        });
        let real = match replay::of_presence(Some(&conflict.theirs)) {
            None => conflict.kind != ConflictKind::DeleteUpdate,
            Some(theirs) => {
                let names: BTreeSet<&String> = saw.keys().chain(theirs.keys()).collect();
                let removed = conflict.kind == ConflictKind::DeleteUpdate;
                names.into_iter().any(|name| {
                    let theirs = theirs.get(name);
                    let seen = saw.get(name);
                    let differs = theirs != mine.as_ref().and_then(|mine| mine.get(name));
                    match seen {
                        Some(seen) => {
                            let moved = seen.iter().any(|seen| seen.as_ref() != theirs);
                            moved && (differs || removed)
                        }
                        None => removed,
                    }
                })
            }
        };
        if !real {
            let text = format!("{conflict:?} and the user saw {saw:?}");
            self.fail("P17 real conflicts only", text);
        }
    }

    /// P18: an operation changes on the server only what its user changed, from what its user saw.
    pub(crate) fn overwrites(
        &self,
        op: OpId,
        key: &EntityKey,
        (before, after): (&Doc, &Doc),
        given: &BTreeMap<String, String>,
    ) {
        let ledger = self.ledger.borrow();
        // There the policy is that somebody's value goes over another's, which stays in the conflict record.
        if matches!(&*key.collection, "marks" | "prices") {
            return;
        }
        let (Some(before), false) = (before, ledger.by_person.contains(&op)) else { return };
        let none = Seen::new();
        let saw = ledger.saw.get(&op).unwrap_or(&none);
        let empty = serde_json::Map::new();
        let after = after.as_ref().unwrap_or(&empty);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let counts = replay::counts(key);
        for name in names.into_iter().filter(|it| *it != AMENDED && !(counts && *it == COUNTER)) {
            let (was, is) = (before.get(name), after.get(name));
            // Another device saw the customer under the id that the server gave.
            let told = was.and_then(Value::as_str).filter(|_| name == "customer");
            let told = told.and_then(|id| given.get(id)).map(|id| Value::from(&**id));
            let seen = |values: &Vec<Option<Value>>| {
                values.iter().any(|it| it.as_ref() == was || told.is_some() && *it == told)
            };
            // Within an object two may change different members.
            let inside = was.is_some_and(Value::is_object) && is.is_some_and(Value::is_object);
            if was != is && !inside && !saw.get(name).is_some_and(seen) {
                let text =
                    format!("{op} on {key:?} makes {name} {is:?} of {was:?}; its user saw {saw:?}");
                self.fail("P18 no blind overwrite", text);
            }
        }
    }

    /// R10, counted again from the rows.
    fn balance(&self, c: &Commit<'_>) {
        let (says, is) = (c.is.meta.counts, c.is.count());
        let of = |it: &Counts| {
            [it.pending, it.in_flight, it.blocked, it.parked, it.conflicts, it.asking, it.bytes]
        };
        let (rows, said) = (of(&is), of(&says));
        // While the outbox drains the row that says it cannot be written.
        if rows != said && c.is.drawn.is_none() {
            self.fail("R10 balance", format!("{} says {said:?}, rows say {rows:?}", c.verb));
        }
        if !says.balances() {
            self.fail("R10 balance", format!("{}: {says:?}", c.verb));
        }
        let ledger = self.ledger.borrow();
        let accepted = ledger.writes.values().filter(|it| it.device == c.device).count() as u64;
        let accepted =
            accepted - ledger.accepted_before.get(&c.device).copied().unwrap_or_default();
        if says.accepted != accepted {
            let text = format!("{} accepted, it says {}", accepted, says.accepted);
            self.fail("R10 balance", text);
        }
    }

    /// P5: what was sealed never changes again; R11: it is never blocked.
    fn sealed(&self, c: &Commit<'_>) {
        for op in c.set.ops.values() {
            let was = c.was.ops.get(&op.seq).filter(|was| was.id == op.id);
            if let Some(was) = was
                && was.is_sealed()
                && (was.sent != op.sent || was.intent != op.intent)
            {
                self.fail_rows("P5 sealed", format!("{was:?} became {op:?}"));
            }
            if op.is_sealed() && matches!(op.state, OpState::Blocked { .. }) {
                self.fail_rows("R11 ready", format!("sealed and blocked: {op:?}"));
            }
            let flies = matches!(op.state, OpState::InFlight { .. });
            let before = |it: &&Operation| it.seq < op.seq && it.holds_the_record();
            // What a drain sealed at its end may have left before.
            let left = was.is_some_and(Operation::is_sealed);
            let claimed = c.verb == "push.claim" && op.sends == 1 && !left;
            if flies && claimed && c.is.queue(&op.key).any(|it| before(&it)) {
                self.fail_rows("P7 order", format!("{op:?} overtakes on its record"));
            }
            if flies && !op.is_sealed() {
                self.fail_rows("P5 sealed", format!("in flight and not sealed: {op:?}"));
            }
        }
    }

    /// R1, P12 and R11 for every record that the commit touched.
    fn records(&self, c: &Commit<'_>, server: &Server) {
        let mut keys: BTreeSet<&EntityKey> = c.set.records.keys().collect();
        keys.extend(&c.set.drop_records);
        keys.extend(c.set.ops.values().map(|op| &op.key));
        keys.extend(c.set.ops.values().flat_map(|op| c.is.mates(op)).map(|op| &op.key));
        keys.extend(finished(c).filter_map(|seq| c.was.ops.get(&seq)).map(|op| &op.key));
        for key in keys {
            self.monotonic(c, key, server);
            if !self.behaviour_only {
                self.view(c.is, key, c.verb);
                // What may leave is not written then either.
                if c.is.drawn.is_none() {
                    self.ready(c.is, key, c.verb);
                }
            }
        }
    }

    /// P12: what is shown falls only where the server was set back, with the last page of a full pull (R25).
    fn monotonic(&self, c: &Commit<'_>, key: &EntityKey, server: &Server) {
        // Of a server that was set back, and whose versions only differ, nobody can tell an old answer from a new one.
        if server.opaque && server.was_set_back(key) {
            return;
        }
        // Nor in the picture of a full pull; what is acked stays in the view until the next one.
        let acked = |op: &Operation| matches!(op.state, OpState::Acked { .. });
        if server.opaque && c.verb == "pull.apply" && c.is.queue(key).any(acked) {
            return;
        }
        // One that was pulled before its name was known goes into our own (R16).
        let version = |mirror: &Mirror| number(mirror.records.get(&mirror.own(key))?.version()?);
        let rebuilding = |it: &Mirror| it.cursors.values().any(|row| row.rebuilding);
        let moves = rebuilding(c.was)
            && !rebuilding(c.is)
            && (server.was_set_back(key) || server.record(key).is_none());
        if let Some(was) = version(c.was)
            && !moves
            && version(c.is).is_none_or(|is| is < was)
        {
            let text = format!("{key:?} fell from {was} to {:?} in {}", version(c.is), c.verb);
            self.fail("P12 monotonic reads", text);
        }
    }

    /// What a record shows, made again from base and operations.
    pub(crate) fn view(&self, is: &Mirror, key: &EntityKey, verb: &str) {
        let record = is.records.get(key);
        let shown = replay::of_presence(record.and_then(|record| record.view.as_ref()));
        let base = record.and_then(|record| record.base.as_ref()).map(|base| &base.presence);
        let conflict = is.queue(key).find_map(Operation::conflict);
        let expected: Doc = match conflict.and_then(|id| is.conflicts.get(&id)) {
            Some(conflict) => replay::of_presence(Some(&conflict.mine)),
            None => with_drained(is, key)
                .filter(|op| match &op.state {
                    OpState::Queued { .. } | OpState::InFlight { .. } | OpState::Acked { .. } => {
                        true
                    }
                    OpState::Blocked { visible, .. } => *visible,
                    OpState::Parked(_) => false,
                })
                .fold(replay::of_presence(base), replay::replay),
        };
        if shown != expected {
            let ops: Vec<_> = is.queue(key).collect();
            let text =
                format!("{verb}: {key:?} shows {shown:?}, is {expected:?}: {base:?} {ops:#?}");
            self.fail("R1 view", text);
        }
    }

    /// The ready index, made again.
    pub(crate) fn ready(&self, is: &Mirror, key: &EntityKey, verb: &str) {
        for op in is.queue(key) {
            let mates = is.mates(op);
            let together = if self.groups {
                mates
                    .filter(|it| !matches!(it.state, OpState::Acked { .. }))
                    .all(|it| self.is_free(is, it))
            } else {
                let mut earlier = mates.filter(|it| it.seq < op.seq && !it.is_sealed());
                op.is_sealed() || earlier.all(|it| self.is_free(is, it))
            };
            if op.ready != (together && self.is_free(is, op)) {
                self.fail("R11 ready", format!("{verb}: ready is {}: {op:?}", op.ready));
            }
            if let OpState::Blocked { by, .. } = &op.state
                && is.op(*by).is_none()
            {
                self.fail("R11 ready", format!("{verb}: blocked by nothing: {op:?}"));
            }
            let parked = |it: &Operation| matches!(it.state, OpState::Parked(_));
            if !op.is_sealed() && op.ready && is.mates(op).any(parked) {
                self.fail("R14 together", format!("{verb}: goes on without a mate: {op:?}"));
            }
        }
    }

    /// Whether an operation could leave as far as its record and what it names are concerned.
    fn is_free(&self, is: &Mirror, op: &Operation) -> bool {
        // One that was freed late waits for what left meanwhile, which was made without it; what may have left waits for nobody else.
        let earlier = |it: &Operation| it.seq < op.seq;
        let holds = |it: &Operation| match op.is_sealed() {
            true => it.is_away() && earlier(it),
            false => it.is_away() || it.holds_the_record() && earlier(it),
        };
        let first = !is.queue(&op.key).any(holds);
        let awaits = |target| {
            let create = is.unsettled_create(target, op.seq);
            create.is_some_and(|it| !self.groups || op.group.is_none() || it.group != op.group)
        };
        let free = op.is_sealed()
            || !op.refs.iter().any(awaits) && !matches!(op.assumed, Assumed::After(_));
        matches!(op.state, OpState::Queued { .. }) && first && free
    }

    /// P13: whoever has the cursor has the data.
    fn cursor(&self, c: &Commit<'_>, server: &Server) {
        for row in &c.set.cursors {
            let cursor = row.cursor.as_ref();
            let at = cursor.and_then(|cursor| position(&cursor.0, &server.history()));
            let Some(at) = at else { continue };
            let changes = holdfast_server_core::Tx::changes_after(&server.memory, 0, usize::MAX);
            for (change, key, record) in changes.expect("memory does not fail") {
                if change > at {
                    break;
                }
                let key = EntityKey::new(&*key.collection, &*key.id);
                let key = server.on_device(c.is, &key);
                let held = c.is.records.get(&key).and_then(|it| match row.rebuilding {
                    true => it.base_in(row.generation),
                    false => it.base.as_ref(),
                });
                let known = held.and_then(|it| number(it.version.as_ref()?)).unwrap_or_default();
                if known < record.version {
                    let text = format!("cursor {at}, {key:?} at {known}, not {}", record.version);
                    self.fail("P13 page and cursor", text);
                }
            }
        }
    }
}

/// What a user wrote under either name of a record, both see: they are one now, and nobody else wrote it (R16).
fn become_one(was: &Mirror, ledger: &mut Ledger, named: &EntityKey, own: &EntityKey) {
    let mut wrote = Seen::new();
    for key in [named, own] {
        let base = was.records.get(key).and_then(|record| record.base.as_ref());
        let mut shown = replay::of_presence(base.map(|base| &base.presence));
        for op in was.queue(key).filter(|op| op.is_visible()) {
            shown = replay::replay(shown, op);
            for name in ledger.saw.get(&op.id).into_iter().flat_map(Seen::keys) {
                let value = shown.as_ref().and_then(|shown| shown.get(name)).cloned();
                wrote.entry(name.clone()).or_default().push(value);
            }
        }
    }
    for op in [named, own].into_iter().flat_map(|key| was.queue(key)) {
        let Some(saw) = ledger.saw.get_mut(&op.id) else { continue };
        for (name, values) in saw {
            values.extend(wrote.get(name).into_iter().flatten().cloned());
        }
    }
}

/// Whether the server's side names a customer of ours by an id that is not known here yet: its verdict was lost, and the row that
/// brought it does not say whose it is (R16).
fn unnamed(is: &Mirror, conflict: &Conflict, server: &Server) -> bool {
    let customer = |presence: &Presence| named(&Action::Create(presence.document()?.clone()));
    let theirs = customer(&conflict.theirs);
    theirs.is_some_and(|told| {
        is.own(&told) == told && is.records.keys().any(|key| server.told(&key.id) == Some(&told.id))
    })
}

/// The members that a write is about.
fn touched(action: &Action, view: &serde_json::Map<String, Value>) -> BTreeSet<String> {
    let names = |document| replay::parse(document).keys().cloned().collect::<BTreeSet<_>>();
    match action {
        Action::Create(document) | Action::Patch(document) => names(document),
        Action::Replace(document) => {
            names(document).into_iter().chain(view.keys().cloned()).collect()
        }
        Action::Restore { side: Presence::Live(document), fields } if view.is_empty() => {
            let first = |path: &holdfast::model::Path| path.0.first().cloned();
            names(document).into_iter().chain(fields.iter().filter_map(first)).collect()
        }
        Action::Restore { side: Presence::Live(_), fields } => {
            fields.iter().filter_map(|path| path.0.first().cloned()).collect()
        }
        Action::Remove | Action::Restore { side: Presence::Deleted, .. } => {
            view.keys().cloned().collect()
        }
    }
}

/// The customer that new content names.
fn named(action: &Action) -> Option<EntityKey> {
    let document = match action {
        Action::Create(document)
        | Action::Patch(document)
        | Action::Replace(document)
        | Action::Restore { side: Presence::Live(document), .. } => document,
        Action::Remove | Action::Restore { side: Presence::Deleted, .. } => return None,
    };
    let id = document.get(&["customer".to_owned()])?;
    Some(EntityKey::new("customers", unquote(id.text())?))
}

/// The operations that a changeset takes out, or puts another in the place of.
pub(crate) fn finished<'a>(c: &'a Commit<'_>) -> impl Iterator<Item = Seq> + use<'a> {
    let replaced = c
        .set
        .ops
        .values()
        .filter(|op| c.was.ops.get(&op.seq).is_some_and(|was| was.id != op.id))
        .map(|op| op.seq);
    c.set.finished().chain(replaced)
}

/// What is shown of a record: what waits, and what the server has without a row that says so (R27).
fn with_drained<'a>(
    is: &'a Mirror,
    key: &'a EntityKey,
) -> impl Iterator<Item = &'a Operation> + use<'a> {
    let drained = is.drained.values().filter(|op| op.key == *key);
    let mut ops: Vec<&Operation> = is.queue(key).chain(drained).collect();
    ops.sort_by_key(|op| op.seq);
    ops.into_iter()
}

/// The change number in a cursor of the model server; none in one of another history.
pub(crate) fn position(cursor: &str, history: &str) -> Option<u64> {
    let mut parts = cursor.split('.');
    let known = parts.next() == Some(history);
    parts.next().filter(|_| known)?.parse().ok()
}

/// What ends the chain of an accepted write.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Chain {
    Outbox(OpId),
    Ended(OpId, Fate),
    Lost(OpId),
}

pub(crate) fn follow(mirror: &Mirror, id: OpId) -> Chain {
    let mut id = id;
    for _ in 0..10_000 {
        if let Some(op) = mirror.op(id) {
            return Chain::Outbox(op.id);
        }
        match mirror.settled.get(&id).map(|row| row.fate.clone()) {
            Some(Fate::Folded(next) | Fate::Superseded(next)) => id = next,
            Some(fate) => return Chain::Ended(id, fate),
            None if mirror.drained(id) => return Chain::Ended(id, Fate::Applied),
            None => return Chain::Lost(id),
        }
    }
    Chain::Lost(id)
}
