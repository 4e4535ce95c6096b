//! What the server calls a record (R16), and two records that turn out to be one (R17).

use super::*;
use crate::model::references::{rename_before, rename_conflict, rename_intent, rename_presence};
use crate::model::{own_key, references};

impl Draft<'_> {
    /// The own key of a record that the server named.
    pub(in crate::plan) fn own_key(&self, named: &EntityKey) -> EntityKey {
        own_key(&self.aliases, named)
    }

    /// What the server says of a record, in own ids.
    pub(in crate::plan) fn inward(&self, collection: &str, presence: &Presence) -> Presence {
        let declared = self.rules.collections.get(collection).map(|rules| &rules.references);
        let to = |key: &EntityKey| {
            let own = self.own_key(key);
            (own != *key).then_some(own.id)
        };
        let renamed = declared
            .filter(|_| !self.aliases.is_empty())
            .and_then(|declared| rename_presence(presence, declared, &to));
        renamed.unwrap_or_else(|| presence.clone())
    }

    /// Keeps the id that the server gave a record, for ever (R16). A record that was pulled under that id before the verdict came
    /// is the same one and goes into it. Returns the record's key: another only where that id is a third record's already.
    pub(in crate::plan) fn name(&mut self, key: &EntityKey, assigned: &str) -> EntityKey {
        let named = EntityKey::new(&*key.collection, assigned);
        let owner = self.own_key(&named);
        if owner != *key && owner != named {
            return self.become_one(key, &owner);
        }
        let record = self.record_mut(key);
        let name = record.server_id.as_ref().unwrap_or(&key.id);
        if name != assigned
            && record.base.as_ref().is_some_and(|base| base.presence == Presence::Deleted)
        {
            // A tombstone of another record of the server's: versions of two records are not compared.
            record.base = None;
            record.shadow = None;
        }
        if owner == *key {
            record.server_id = (named != owner).then(|| assigned.to_owned());
            return owner;
        }
        // What a full pull has brought so far is nobody's to see, and is the same record all the same (R25).
        if self.records.get(&named).is_some_and(|it| it.base.is_some() || it.shadow.is_some()) {
            self.fold_record(&named, key);
        }
        self.keep_alias(named.clone(), &key.id);
        self.record_mut(key).server_id = Some(assigned.to_owned());
        self.rename(&named, &key.id);
        key.clone()
    }

    /// Our create is of what the server has already (R17). Where that record is here, ours goes into it: nothing but what waits for
    /// the create can name ours. Else ours is its record here.
    pub(in crate::plan) fn name_other(&mut self, key: &EntityKey, other: &str) -> EntityKey {
        let owner = self.own_key(&EntityKey::new(&*key.collection, other));
        let here = self.records.get(&owner).is_some_and(|record| record.base.is_some());
        if here && owner != *key { self.become_one(key, &owner) } else { self.name(key, other) }
    }

    /// A record goes into another, and its id stays readable.
    fn become_one(&mut self, key: &EntityKey, owner: &EntityKey) -> EntityKey {
        self.fold_record(key, owner);
        self.keep_alias(key.clone(), &owner.id);
        self.rename(key, &owner.id);
        owner.clone()
    }

    pub(super) fn keep_alias(&mut self, named: EntityKey, own: &str) {
        self.meta.aliases += 1;
        self.aliases.insert(named.clone(), own.to_owned());
        self.out.aliases.push((named, own.to_owned()));
    }

    /// Two records are one: the newer base, and the operations of both. What never left goes behind what may have, first that of
    /// the record that stays, and finds what that wrote; what may have left keeps its place and its words.
    fn fold_record(&mut self, from: &EntityKey, into: &EntityKey) {
        let Some(old) = self.records.remove(from) else { return };
        self.out.drop_records.push(from.clone());
        self.notice.changed.insert(from.clone());
        let stays = self.unsent(into);
        let goes = self.unsent(from);
        let left: Vec<Seq> = self.of(from).filter(|op| op.is_sealed()).map(|op| op.seq).collect();
        for seq in self.queue(from) {
            self.move_record(seq, into);
        }
        for op in self.ops.values_mut() {
            if op.key == *into {
                op.refs.retain(|it| it != from && it != into);
            } else if op.refs.contains(from) {
                op.refs.retain(|it| it != from && it != into);
                op.refs.push(into.clone());
                sort(&mut op.refs);
            }
        }
        for conflict in self.conflicts.values_mut().filter(|it| it.key == *from) {
            conflict.key = into.clone();
        }
        let record = self.record_mut(into);
        record.generation = record.generation.max(old.generation);
        for scope in old.scope.iter().chain(&old.also) {
            record.join(scope);
        }
        if let Some(base) = old.base {
            self.show_base(into, base);
        }
        let generation = self.generation_of(into);
        if let Some(shadow) = old.shadow.filter(|shadow| Some(shadow.generation) == generation) {
            self.shade(into, &shadow.base);
        }
        // A removal says nothing about what was written under the other id: that is a person's to say.
        let removes = |seq: &Seq| self.op(*seq).is_some_and(|op| op.intent == Intent::Delete);
        let edits: Vec<Seq> = stays.iter().copied().filter(|seq| !removes(seq)).collect();
        self.find_anew(into, &left, &edits);
        self.find_anew(into, &stays, &goes);
        self.put_behind(into, &[stays, goes].concat());
        if let Some(conflict) = self.open_conflict(into).cloned()
            && let (Some(first), Some(base)) =
                (self.find(conflict.op).map(|op| op.seq), self.base(into).cloned())
        {
            self.block_followers(first, conflict.op, true);
            self.move_theirs(conflict.id, &base);
        }
    }

    /// The operations on a record that wait to leave and never did.
    fn unsent(&self, key: &EntityKey) -> Vec<Seq> {
        let waits = |op: &Operation| match op.state {
            OpState::Queued { .. } | OpState::Blocked { .. } => true,
            OpState::InFlight { .. } | OpState::Acked { .. } | OpState::Parked(_) => false,
        };
        let unsent = |op: &&Operation| !op.is_sealed() && waits(op);
        self.of(key).filter(unsent).map(|op| op.seq).listed()
    }

    fn move_record(&mut self, seq: Seq, into: &EntityKey) {
        let Some(mut op) = self.ops.remove(&seq) else { return };
        if let Ok(at) = self.places.binary_search(&(op.key.clone(), seq)) {
            self.places.remove(at);
        }
        op.key = into.clone();
        self.add(op);
    }

    /// What one record's operations wrote is what the other's find there, behind which they go: nobody else wrote it (P17).
    fn find_anew(&mut self, key: &EntityKey, stays: &[Seq], goes: &[Seq]) {
        let of = |draft: &Self, seqs: &[Seq]| -> Vec<Operation> {
            let found = seqs.iter().filter_map(|seq| draft.op(*seq));
            found.filter(|op| op.is_visible()).cloned().listed()
        };
        let (stays, goes) = (of(self, stays), of(self, goes));
        let Some(last) = stays.last().map(|op| op.id) else { return };
        let base = self.base(key).map(|base| base.presence.clone());
        let rules = self.rules.of(&key.collection);
        let shown = stays.iter().fold(base, |view, op| op.replay(view.as_ref(), rules));
        let Some(shown) = shown.as_ref().and_then(Presence::document).cloned() else { return };
        let mut between: Vec<&Operation> = Vec::new();
        for moved in &goes {
            let found = |path: &Path| {
                stays.iter().any(|op| touches(op, path))
                    && !between.iter().any(|op| touches(op, path))
            };
            let Some(op) = self.op_mut(moved.seq) else { continue };
            let mut before = op.before.clone();
            match &mut before {
                Before::Paths(paths) => {
                    for (path, slot) in paths.iter_mut().filter(|(path, _)| found(path)) {
                        *slot = Slot(shown.get(&path.0));
                    }
                }
                Before::Whole(Some(document)) => {
                    let mut edits = edit::diff(document, &shown);
                    edits.retain(|edit| found(edit.path()));
                    *document = edit::apply(document, &edits);
                }
                Before::Whole(None) | Before::Nothing => {}
            }
            op.stand_on(before, rules);
            if between.is_empty() {
                op.assumed = Assumed::After(last);
            }
            between.push(moved);
        }
    }

    /// Puts operations that never left behind everything else on their record, in this order. One that has to move is a new one:
    /// its place is taken for good.
    fn put_behind(&mut self, key: &EntityKey, seqs: &[Seq]) {
        let others = self.of(key).filter(|op| !seqs.contains(&op.seq) && op.is_visible());
        let mut last = others.map(|op| op.seq).max();
        let mut moves = false;
        for seq in seqs {
            moves |= last.is_some_and(|last| *seq < last);
            last = Some(*seq);
            if moves {
                self.move_to_end(*seq);
            }
        }
    }

    fn move_to_end(&mut self, seq: Seq) {
        let id = self.next_id();
        let Some(old) = self.finish_op(seq, Fate::Superseded(id)) else { return };
        self.meta.counts.derived += 1;
        let (seq, replaces) = (self.next_seq(), Some(old.id));
        let was = old.id;
        self.add(Operation { seq, id, folded: Vec::new(), replaces, ..old });
        self.moved.push(seq);
        self.repoint(was, id);
    }

    /// Our create is of a record that somebody is asked about: what it says is a later edit of our side.
    pub(in crate::plan) fn join_conflict(&mut self, seq: Seq, conflict: &Conflict) {
        let Some(Intent::Create(document)) = self.op(seq).map(|op| op.intent.clone()) else {
            return;
        };
        let edits = operation::sets(&document);
        let id = self.next_id();
        let Some(old) = self.finish_op(seq, Fate::Superseded(id)) else { return };
        self.meta.counts.derived += 1;
        let was = old.id;
        let derived = Operation {
            seq: self.next_seq(),
            id,
            before: before_of(conflict.mine.document(), &edits),
            intent: Intent::Change(edits),
            assumed: Assumed::After(conflict.op),
            folded: Vec::new(),
            replaces: Some(was),
            sent: None,
            sends: 0,
            refusals: 0,
            state: OpState::Blocked { by: conflict.op, visible: true },
            ..old
        };
        self.show_in_conflict(&derived);
        self.add(derived);
        self.repoint(was, id);
    }

    /// What was read and names a record by an id that is not its own names it by its own. What may have left keeps its words.
    fn rename(&mut self, named: &EntityKey, own: &str) {
        let to = |key: &EntityKey| (key == named).then(|| own.to_owned());
        let rules = self.rules;
        let declares = |key: &EntityKey| -> Option<&references::References> {
            let declared = &rules.collections.get(&key.collection)?.references;
            declared.iter().any(|(_, target)| *target == named.collection).then_some(declared)
        };
        for record in self.records.values_mut() {
            let Some(declared) = declares(&record.key) else { continue };
            let shadow = record.shadow.as_mut().map(|shadow| &mut shadow.base);
            for base in record.base.as_mut().into_iter().chain(shadow) {
                if let Some(renamed) = rename_presence(&base.presence, declared, &to) {
                    base.presence = renamed;
                    self.touched.insert(record.key.clone());
                }
            }
        }
        for op in self.ops.values_mut().filter(|op| !op.is_sealed()) {
            let Some(declared) = declares(&op.key) else { continue };
            let intent = rename_intent(&op.intent, declared, &to);
            let before = rename_before(&op.before, declared, &to);
            if intent.is_some() || before.is_some() {
                self.touched.insert(op.key.clone());
            }
            op.intent = intent.unwrap_or_else(|| op.intent.clone());
            op.before = before.unwrap_or_else(|| op.before.clone());
        }
        for conflict in self.conflicts.values_mut() {
            let Some(declared) = declares(&conflict.key) else { continue };
            rename_conflict(conflict, declared, &to);
        }
    }
}
