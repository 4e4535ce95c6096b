//! Scopes: which parts of the server's data are here, and what is known of each.

use super::{Commit, Engine, Stop};
use crate::model::{
    Code, CursorRow, Durability, Halt, Map, Need, Presence, Record, Root, Scope, Snapshot,
    SyncError, Verb, Wall,
};
use crate::plan::scopes::{Evicted, NOTE_EVERY, add, evict, note, unused};
use crate::port::{Clock, Host};
use crate::schedule::Signal;

const ADD: Verb = Verb { name: "scope.add", durability: Durability::Strict };
const NOTE: Verb = Verb { name: "scope.use", durability: Durability::Relaxed };
const EVICT: Verb = Verb { name: "scope.evict", durability: Durability::Strict };

/// What an application sees of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeState {
    /// Its name.
    pub scope: Scope,
    /// All of it was here once, and nothing of that was taken away.
    pub complete: bool,
    /// Changes that its full pull has brought so far.
    pub brought: u64,
    /// Records that it brought, and bytes of their documents.
    pub records: u64,
    /// Bytes of these records' documents.
    pub bytes: u64,
    /// When it was last used.
    pub used: Option<Wall>,
    /// When a pull of it last came to its end.
    pub pulled: Option<Wall>,
    /// It was evicted, but for records with unsent work.
    pub leaving: bool,
    /// Why the server gave nothing of it when it was last asked; known in the tab that sends.
    pub halted: Option<Halt>,
}

impl<H: Host> Engine<H> {
    /// Whether the application says what shall be here; else everything is.
    pub(super) fn is_selective(&self) -> bool {
        self.config.scopes.is_some()
    }

    /// Where the pulls of all scopes stand.
    pub(super) async fn cursors(&self) -> Result<Map<Scope, CursorRow>, SyncError> {
        Ok(self.snapshot(Need::only(vec![Root::Cursors])).await?.cursors)
    }

    /// Wants a scope from now on; it is pulled with every cycle.
    ///
    /// # Errors
    /// `invalid-options` where the manager was not opened with scopes.
    pub async fn add_scope(&self, scope: &Scope) -> Result<(), SyncError> {
        self.check_scopes()?;
        let ctx = self.ctx(None);
        let need = Need::only(vec![Root::Cursors]);
        if self.commit(&ADD, need, |s| add(s, scope, &ctx)).await? {
            self.scopes_changed();
        }
        Ok(())
    }

    /// Adds a scope and runs cycles until all of it is here.
    ///
    /// # Errors
    /// Those of [`Engine::add_scope`]; what a cycle or the server's answer about the scope came to.
    pub async fn warm_scope(&self, scope: &Scope) -> Result<ScopeState, SyncError> {
        self.add_scope(scope).await?;
        self.sync_now().await?;
        let state = self.scopes().await?.into_iter().find(|state| state.scope == *scope);
        match state {
            Some(state) if state.complete && state.halted.is_none() => Ok(state),
            Some(ScopeState { halted: Some(halt), .. }) => Err(super::run::scope_error(&halt)),
            Some(_) => {
                Err(SyncError::new(Code::Unreachable, "the server did not give all of the scope"))
            }
            None => Err(SyncError::new(Code::NotFound, "the scope was evicted meanwhile")),
        }
    }

    /// Forgets what only this scope brought, but never unsent work: see [`evict`].
    ///
    /// # Errors
    /// Those of [`Engine::add_scope`]; `not-found` for a scope that is not here.
    pub async fn evict_scope(&self, scope: &Scope) -> Result<Evicted, SyncError> {
        self.check_scopes()?;
        if !self.cursors().await?.contains_key(scope) {
            let error = SyncError::new(Code::NotFound, "there is no such scope here");
            return Err(error.at("scope"));
        }
        self.take_out(scope).await
    }

    async fn take_out(&self, scope: &Scope) -> Result<Evicted, SyncError> {
        let ctx = self.ctx(None);
        let need = Need::only(vec![Root::Cursors, Root::Records, Root::Outbox]);
        let rules = &self.config.rules;
        let evicted = self.commit(&EVICT, need, |s| evict(s, scope, rules, &ctx)).await?;
        self.phase.borrow_mut().scopes.remove(scope);
        self.publish(evicted.notice.clone());
        Ok(evicted)
    }

    /// What is known of each scope. Counts records by reading them.
    pub async fn scopes(&self) -> Result<Vec<ScopeState>, SyncError> {
        self.check_open()?;
        let s = self.snapshot(Need::only(vec![Root::Cursors, Root::Records])).await?;
        let halts = self.phase.borrow().scopes.clone();
        Ok(s.cursors.values().map(|row| state(row, &s, halts.get(&row.scope))).collect())
    }

    /// Whether all is here that was asked for: of one scope, or of all.
    pub async fn is_complete(&self, scope: Option<&Scope>) -> Result<bool, SyncError> {
        Ok(self.is_all_here(&self.cursors().await?, scope))
    }

    pub(super) fn is_all_here(&self, rows: &Map<Scope, CursorRow>, scope: Option<&Scope>) -> bool {
        let all = Scope::all();
        let wanted = scope.or((!self.is_selective()).then_some(&all));
        match wanted {
            Some(scope) => rows.get(scope).is_some_and(|row| row.complete),
            None => {
                let mut rows = rows.values().filter(|row| !row.leaving).peekable();
                rows.peek().is_some() && rows.all(|row| row.complete)
            }
        }
    }

    /// Notes that records of scopes were read, now and then.
    pub(super) async fn use_of(&self, scopes: impl Iterator<Item = &Scope>) {
        if !self.is_selective() {
            return;
        }
        let now = self.host.clock().mono();
        let stale: Vec<&Scope> = {
            let noted = self.noted.borrow();
            let is_stale =
                |scope: &&Scope| noted.get(*scope).is_none_or(|last| last.until(now) >= NOTE_EVERY);
            scopes.filter(is_stale).collect()
        };
        if stale.is_empty() {
            return;
        }
        self.noted.borrow_mut().extend(stale.iter().map(|scope| ((*scope).clone(), now)));
        let (ctx, need) = (self.ctx(None), Need::only(vec![Root::Cursors]));
        // A note that cannot be stored is none: nobody's read fails for it.
        let _ = self.commit(&NOTE, need, |s| note(s, &stale, &ctx)).await;
        self.publish(Commit::default());
    }

    /// Adds what the application opened with.
    pub(super) async fn add_declared(&self) -> Result<(), SyncError> {
        let Some(declared) = &self.config.scopes else { return Ok(()) };
        let (ctx, rows) = (self.ctx(None), self.cursors().await?);
        for scope in declared {
            if rows.get(scope).is_none_or(|row| row.leaving) {
                let need = Need::only(vec![Root::Cursors]);
                match self.commit(&ADD, need, |s| add(s, scope, &ctx)).await {
                    // Without space nothing is pulled anyway; what is here is wanted all the same (P27).
                    Err(error) if error.code == Code::StorageFull => {}
                    added => drop(added?),
                }
            }
        }
        Ok(())
    }

    /// Evicts what nobody has used for as long as the application allows, and what could not leave before.
    pub(super) async fn evict_unused(&self) -> Result<(), Stop> {
        if !self.is_selective() {
            return Ok(());
        }
        let (rows, now) = (self.cursors().await?, self.host.clock().wall());
        for scope in unused(&rows, self.config.evict_after, now) {
            self.take_out(&scope).await?;
        }
        Ok(())
    }

    fn check_scopes(&self) -> Result<(), SyncError> {
        self.check_open()?;
        if self.is_selective() {
            return Ok(());
        }
        let message = "the manager was opened without scopes: everything is here";
        Err(SyncError::new(Code::InvalidOptions, message).at("scopes"))
    }

    /// Whichever tab leads has something to pull.
    fn scopes_changed(&self) {
        self.publish(Commit { wrote: true, ..Commit::default() });
        self.signal(Signal::Poke);
    }
}

fn state(row: &CursorRow, s: &Snapshot, halted: Option<&Halt>) -> ScopeState {
    let (mut records, mut bytes) = (0, 0);
    for record in s.records.values().filter(|record| record.is_in(&row.scope)) {
        if let Some(size) = size(record) {
            records += 1;
            bytes += size;
        }
    }
    ScopeState {
        scope: row.scope.clone(),
        complete: row.complete,
        brought: row.brought,
        records,
        bytes,
        used: row.used,
        pulled: row.pulled,
        leaving: row.leaving,
        halted: halted.cloned(),
    }
}

/// Of what the application sees, else of what the server has.
fn size(record: &Record) -> Option<u64> {
    let shown = record.view.as_ref().and_then(Presence::document);
    shown.map(|document| document.text().len() as u64)
}
