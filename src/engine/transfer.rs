//! Outbox files: one transaction each, strict. What a file says as text is not known here.

use std::cell::RefCell;

use super::{Commit, Engine};
use crate::model::{
    Durability, EntityKey, Need, OpId, OutboxFile, Root, Rules, Selection, SyncError, Verb,
};
use crate::plan::identity::{at_departure, in_file};
use crate::plan::transfer::{Exported, Imported, export, import};
use crate::port::Host;
use crate::schedule::Signal;

const TRANSFER: Verb = Verb { name: "resolve", durability: Durability::Strict };

impl<H: Host> Engine<H> {
    /// Writes operations down. With `hand_over` they are parked here and live where the file is imported.
    ///
    /// # Errors
    /// `not-found` for an id that is not in the outbox, `too-large` for more operations than a file has.
    pub async fn export(
        &self,
        wanted: &Selection,
        hand_over: bool,
    ) -> Result<OutboxFile, SyncError> {
        self.check_open()?;
        let ctx = self.ctx(None);
        let (rules, owner) = (&self.config.rules, &self.config.owner);
        // A store that repeats the transaction finds them handed over: what the first attempt took is in the file all the same.
        let taken: RefCell<Vec<OpId>> = RefCell::default();
        let mut roots = vec![Root::Outbox];
        roots.extend(at_departure(rules));
        let exported = self
            .commit(&TRANSFER, Need::of(roots), |s| {
                let decision = export(s, wanted, hand_over, &taken.borrow(), owner, rules, &ctx);
                if let Ok(Exported { file, .. }) = &decision.output {
                    *taken.borrow_mut() = file.operations.iter().map(|it| it.op.id).collect();
                }
                decision
            })
            .await??;
        if hand_over {
            self.publish(Commit::written(exported.notice));
            self.signal(Signal::LocalWrite);
        }
        Ok(exported.file)
    }

    /// Brings the operations of a file into the outbox, all or none.
    ///
    /// # Errors
    /// `invalid-value` and `too-large` with the place, `unknown-collection`, `outbox-full`.
    pub async fn import(&self, file: &OutboxFile) -> Result<Imported, SyncError> {
        self.check_open()?;
        let ctx = self.ctx(None);
        let (rules, owner) = (&self.config.rules, &self.config.owner);
        // A repeat finds them known: what the first attempt brought is what was brought.
        let first: RefCell<Option<Imported>> = RefCell::default();
        let last = self
            .commit(&TRANSFER, Need::of(roots(file, rules)), |s| {
                let decision = import(s, file, owner, rules, &ctx);
                let brought = decision.output.as_ref().ok().filter(|it| it.imported > 0);
                if let Some(brought) = brought {
                    *first.borrow_mut() = Some(brought.clone());
                }
                decision
            })
            .await??;
        let imported = first.into_inner().unwrap_or(last);
        self.publish(Commit::written(imported.notice.clone()));
        self.signal(Signal::LocalWrite);
        Ok(imported)
    }
}

/// What is known here of all that a file names.
fn roots(file: &OutboxFile, rules: &Rules) -> Vec<Root> {
    let mut roots = in_file(file, rules);
    for it in &file.operations {
        roots.push(Root::Record(it.op.key.clone()));
        roots.extend(it.op.refs.iter().cloned().map(Root::Record));
        roots.extend(it.op.folded.iter().chain([&it.op.id]).copied().map(Root::Op));
        let named = it.server_id.as_ref().map(|id| EntityKey::new(&*it.op.key.collection, &**id));
        roots.extend(named.map(Root::Record));
    }
    roots.extend(file.conflicts.iter().map(|conflict| Root::Conflict(conflict.id)));
    roots
}
