//! Two generations of a record's base: the one that is shown, and the one that a full pull is building (R25). Versions of the two
//! are never compared: the server may have been set back.

use super::*;
use crate::model::{Scope, Shadow};

/// A full pull that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plan) struct Building {
    /// Of which scope.
    pub(in crate::plan) scope: Scope,
    /// What it is building.
    pub(in crate::plan) generation: u32,
}

impl Draft<'_> {
    /// The generation that is being built of a record, where the full pull that is under way concerns it.
    pub(in crate::plan) fn generation_of(&self, key: &EntityKey) -> Option<u32> {
        let building = self.building.as_ref()?;
        let concerned = self.records.get(key).is_none_or(|it| covers(&building.scope, it));
        concerned.then_some(building.generation)
    }

    /// Keeps what the server says of a record for the generation that is being built, unless more is known there already.
    pub(in crate::plan) fn shade(&mut self, key: &EntityKey, base: &Base) -> bool {
        let Some(generation) = self.generation_of(key) else { return false };
        let known = self.records.get(key).and_then(|record| record.base_in(generation));
        let moves = base.replaces(known) || planted::has(Bug::StalePullWins);
        if moves {
            let base = self.in_our_time(base.clone());
            self.record_mut(key).shadow = Some(Shadow { generation, base });
        }
        moves
    }

    /// What is known of a record in the generation that is being built.
    pub(super) fn shadow(&self, key: &EntityKey) -> Option<&Base> {
        self.records.get(key)?.base_in(self.generation_of(key)?)
    }

    /// What the server made of an operation, for the generation that is being built: a guess is made on what is known there.
    pub(super) fn shade_result(&mut self, op: &Operation, said: &Base) {
        let on = self.shadow(&op.key).filter(|_| said.guessed);
        let guess = on.and_then(|on| op.intent.replay(Some(&on.presence)));
        let base =
            Base { presence: guess.unwrap_or_else(|| said.presence.clone()), ..said.clone() };
        self.shade(&op.key, &base);
    }

    /// The server has no such record: in the generation that is being built, at no version, unless that knows of a later one than
    /// was to be removed.
    pub(in crate::plan) fn shade_removal(&mut self, key: &EntityKey, removed: Option<&Version>) {
        let known = self.shadow(key).and_then(|base| base.version.as_ref());
        if known.is_none() || known == removed {
            self.shade(key, &TOMBSTONE);
        }
    }

    /// The newest version that the server is known to have of a record.
    pub(super) fn newest_version(&self, key: &EntityKey) -> Option<Version> {
        self.shadow(key).or(self.base(key)).and_then(|base| base.version.clone())
    }

    /// Whether a verdict is behind what is shown while everything is pulled anew. The verdict may be an old one, or the server was
    /// set back: nobody can tell before the last page, and until then neither may the version that is shown fall nor the
    /// operation leave the view (P12).
    pub(super) fn is_behind(&self, key: &EntityKey, said: &Base) -> bool {
        let known = self.base(key).and_then(|base| base.version.as_ref());
        let older = known
            .zip(said.version.as_ref())
            .is_some_and(|(known, said)| known.newer_than(said) == Some(true));
        older && self.generation_of(key).is_some()
    }

    /// The last page of a full pull: from now on the generation that it built is shown. What it did not bring is gone. Where
    /// something of that is in the outbox it is a deletion, and the first operation that never left is judged; a create
    /// that the server never had is not concerned. Where a change could not be read, what was not brought is spared.
    pub(in crate::plan) fn move_generation(&mut self, scope: &Scope, spares: bool) {
        let Some(building) = self.building.take_if(|it| it.scope == *scope) else { return };
        let generation = building.generation;
        let keys: Vec<EntityKey> = self.records.keys().cloned().collect();
        for key in keys {
            let Some(record) = self.records.get(&key) else { continue };
            let brought = record.base_in(generation).cloned();
            // What another scope alone brings is as that says: a verdict went to both generations.
            let base = match (&brought, &record.base) {
                (_, known) if !covers(scope, record) => known.clone(),
                (Some(brought), _) => Some(brought.clone()),
                (None, known) if spares || record.scopes().any(|it| it != scope) => known.clone(),
                (None, Some(_)) if self.of(&key).next().is_some() => Some(TOMBSTONE),
                (None, _) => None,
            };
            let (covered, swept) = (covers(scope, record), brought.is_none() && !spares);
            let moved = base != record.base;
            if !moved && record.shadow.is_none() && !(swept && record.is_in(scope)) {
                continue;
            }
            if base.as_ref().is_some_and(|base| base.presence == Presence::Deleted) {
                self.keep_ground(&key);
            }
            let record = self.record_mut(&key);
            record.base.clone_from(&base);
            record.shadow = None;
            if covered {
                record.generation = generation;
                if swept {
                    record.leave(scope);
                } else {
                    record.join(scope);
                }
            }
            if let (true, Some(base)) = (moved, base) {
                self.judge_anew(&key);
                if let Some(id) = self.open_conflict(&key).map(|conflict| conflict.id) {
                    self.move_theirs(id, &base);
                }
            }
        }
    }

    /// A scope does not bring a record any more; tells whether no other does, so that nothing is left of it.
    pub(in crate::plan) fn take_out_of(&mut self, key: &EntityKey, scope: &Scope) -> bool {
        let record = self.record_mut(key);
        record.leave(scope);
        let gone = record.scope.is_none();
        if gone {
            record.base = None;
            record.shadow = None;
        }
        gone
    }

    /// What was made on a version of the generation that is gone stands on nothing: the same number may mean another state now.
    /// What may have left is not judged before its verdict; what was made on it is, if it is given up.
    fn judge_anew(&mut self, key: &EntityKey) {
        for seq in self.queue(key) {
            if let Some(op) = self.op_mut(seq)
                && matches!(op.assumed, Assumed::At(_) | Assumed::Unknown)
            {
                op.assumed = Assumed::Nothing;
            }
        }
    }
}

/// The server does not have it (any more), at no version of its own.
const TOMBSTONE: Base =
    Base { presence: Presence::Deleted, version: None, stamp: None, guessed: false };

/// Whether a full pull of a scope brings a record if the server has it. A record that our own push made has no scope yet.
fn covers(scope: &Scope, record: &Record) -> bool {
    record.is_in(scope) || record.scope.is_none() && *scope == Scope::all()
}
