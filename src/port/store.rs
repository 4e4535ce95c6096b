//! The law of storage, then the trait.
//!
//! Strictly serializable: `decide` sees a consistent snapshot; its changeset is written completely or not at all; the future
//! resolves only when the platform says that it is stored, at the verb's durability. Implementations issue every write in a
//! single poll after `decide` returns: a future that is dropped midway must leave all of it or none.

use std::future::Future;

use crate::model::{Changeset, Decision, Need, Snapshot, Space, StoreError, Verb};

/// What a backend implements. `decide` is called once per attempt, on a fresh snapshot; an empty changeset writes nothing.
pub trait RawStore {
    /// One transaction: read, decide, write.
    fn run(
        &self,
        verb: &Verb,
        need: Need,
        decide: &mut dyn FnMut(&Snapshot) -> Changeset,
    ) -> impl Future<Output = Result<(), StoreError>>;

    /// A consistent snapshot.
    fn read(&self, need: Need) -> impl Future<Output = Result<Snapshot, StoreError>>;

    /// The records of a collection with the operations on them, in the order of their ids, and the database's own state.
    fn list(&self, collection: &str) -> impl Future<Output = Result<Snapshot, StoreError>>;

    /// How much of its space is in use, where the platform tells.
    fn space(&self) -> impl Future<Output = Option<Space>> {
        std::future::ready(None)
    }
}

/// What a verb uses: there is nowhere to put an `.await` between reading and writing.
pub trait Store: RawStore {
    /// One transaction with an output.
    fn commit<T>(
        &self,
        verb: &Verb,
        need: Need,
        mut decide: impl FnMut(&Snapshot) -> Decision<T>,
    ) -> impl Future<Output = Result<T, StoreError>> {
        async move {
            let mut output = None;
            self.run(verb, need, &mut |snapshot| {
                // Without the database's own state nothing may be decided: places would be given out a second time, over
                // operations that are there (P30).
                if !snapshot.has_state() {
                    return Changeset::nothing();
                }
                let decision = decide(snapshot);
                output = Some(decision.output);
                decision.changes
            })
            .await?;
            output.ok_or(StoreError::Lost)
        }
    }
}

impl<S: RawStore> Store for S {}
