//! The verdicts: what a push does to the records, operation by operation.

use std::collections::BTreeMap;

use crate::document::Document;
use crate::limits::Limits;
use crate::problem::{Problem, ProblemKind};
use crate::rules::Rules;
use crate::store::{Record, StorageError, Stored, Tx};
use crate::wire::{
    Intent, Key, Operation, Outcome, OutcomeKind, PushAnswer, PushRequest, Submitted, refuse,
};

/// What one verdict may weigh in an answer beside its document.
const VERDICT_BYTES: usize = 1_024;

/// Handles a push: one verdict per operation, in the order of the request.
///
/// Deterministic: the same store, request, rules and time give the same answer. `now_ms` is the
/// server's clock in ms since the epoch. The caller owns the transaction: commit on `Ok`, roll
/// back on `Err`.
///
/// Keeps: the effect and its verdict are written through the same `tx`; a repeat gets the stored
/// verdict and has no effect (P6); per record, nothing is tried behind an operation that was not
/// applied (P10); groups are applied all or none (R14).
///
/// # Errors
/// `malformed` or `invalid` for a request that breaks a rule concerning several operations;
/// `internal` if the store fails.
pub fn push<T: Tx>(
    tx: &mut T,
    request: &PushRequest,
    rules: &dyn Rules,
    limits: &Limits,
    now_ms: u64,
) -> Result<PushAnswer, Problem> {
    request.check(limits)?;
    let mut turn = Turn {
        tx,
        rules,
        limits,
        now_ms,
        stopped: BTreeMap::new(),
        outcomes: Vec::new(),
        bytes: 0,
    };
    for run in request.runs() {
        turn.run(run).map_err(internal)?;
    }
    let outcomes = turn.outcomes;
    let epoch = tx.feed().map_err(internal)?.epoch;
    Ok(PushAnswer::new(outcomes, epoch, now_ms))
}

pub(crate) fn internal(_: StorageError) -> Problem {
    Problem::new(ProblemKind::Internal, "the store failed")
}

struct Turn<'a, T: Tx> {
    tx: &'a mut T,
    rules: &'a dyn Rules,
    limits: &'a Limits,
    now_ms: u64,
    /// Records of which an operation of this request was not applied, and that operation.
    stopped: BTreeMap<Key, String>,
    outcomes: Vec<Outcome>,
    /// What the answer weighs so far, rounded up.
    bytes: usize,
}

/// A verdict, and what has to be written about it.
struct Judged {
    outcome: Outcome,
    note: Note,
}

enum Note {
    Store([u8; 32]),
    Repeat,
    Nothing,
}

impl<T: Tx> Turn<'_, T> {
    fn run(&mut self, run: &[Submitted]) -> Result<(), StorageError> {
        let room = run.len() * VERDICT_BYTES + self.limits.document_bytes;
        if self.bytes > 0 && self.bytes + room > self.limits.answer_bytes {
            for member in run {
                self.answer(Outcome::retry(&member.op_id, None));
            }
            // Nothing behind it may overtake: the answer stays full.
            self.bytes = self.limits.answer_bytes;
            return Ok(());
        }
        match run {
            [alone] if alone.group.is_none() => {
                let judged = self.judge(alone)?;
                self.keep(&judged)?;
                self.stop(alone, &judged.outcome, None);
                self.answer(judged.outcome);
                Ok(())
            }
            members => self.group(members),
        }
    }

    fn group(&mut self, members: &[Submitted]) -> Result<(), StorageError> {
        self.tx.savepoint()?;
        let mut applied = Vec::with_capacity(members.len());
        for member in members {
            let judged = self.judge(member)?;
            if judged.outcome.kind != OutcomeKind::Applied {
                self.tx.rollback()?;
                return self.fail(members, judged);
            }
            self.keep(&judged)?;
            applied.push(judged.outcome);
        }
        self.tx.release()?;
        for outcome in applied {
            self.answer(outcome);
        }
        Ok(())
    }

    /// A group that is not applied: the failing member gets its verdict, which alone is stored;
    /// the others are to be sent again.
    fn fail(&mut self, members: &[Submitted], failing: Judged) -> Result<(), StorageError> {
        self.keep(&failing)?;
        for member in members {
            let outcome = if member.op_id == failing.outcome.op_id {
                failing.outcome.clone()
            } else {
                match self.stored(member)? {
                    Some(repeat) => {
                        self.keep(&repeat)?;
                        repeat.outcome
                    }
                    None => Outcome::retry(&member.op_id, Some(&failing.outcome.op_id)),
                }
            };
            self.stop(member, &outcome, Some(&failing.outcome.op_id));
            self.answer(outcome);
        }
        Ok(())
    }

    fn stop(&mut self, submitted: &Submitted, outcome: &Outcome, because: Option<&str>) {
        if outcome.kind == OutcomeKind::Applied {
            return;
        }
        if let Some(key) = &submitted.key {
            let because = because.unwrap_or(&submitted.op_id);
            self.stopped.entry(key.clone()).or_insert_with(|| because.to_owned());
        }
    }

    fn answer(&mut self, outcome: Outcome) {
        let document = outcome.document.as_ref().and_then(Option::as_ref);
        self.bytes += VERDICT_BYTES + document.map_or(0, |d| d.as_str().len());
        self.outcomes.push(outcome);
    }

    fn keep(&mut self, judged: &Judged) -> Result<(), StorageError> {
        match judged.note {
            Note::Store(digest) => {
                self.tx.put_verdict(Stored { digest, outcome: judged.outcome.clone() })
            }
            Note::Repeat => self.tx.count_repeat(&judged.outcome.op_id),
            Note::Nothing => Ok(()),
        }
    }

    /// The verdict given before, or the refusal of an id that was given to something else.
    fn stored(&self, submitted: &Submitted) -> Result<Option<Judged>, StorageError> {
        let Some(stored) = self.tx.verdict(&submitted.op_id)? else { return Ok(None) };
        if stored.digest != submitted.digest {
            let rejection = crate::wire::Rejection::last(
                "operation-id-reused",
                "this operation id was used for another operation",
            );
            let outcome = Outcome::rejected(&submitted.op_id, rejection);
            return Ok(Some(Judged { outcome, note: Note::Nothing }));
        }
        let mut outcome = stored.outcome;
        outcome.duplicate = outcome.kind == OutcomeKind::Applied;
        Ok(Some(Judged { outcome, note: Note::Repeat }))
    }

    fn judge(&mut self, submitted: &Submitted) -> Result<Judged, StorageError> {
        if let Some(repeat) = self.stored(submitted)? {
            return Ok(repeat);
        }
        let outcome = match &submitted.operation {
            Err(rejection) => Outcome::rejected(&submitted.op_id, rejection.clone()),
            Ok(operation) => match self.stopped.get(&operation.key) {
                Some(because) => Outcome::retry(&submitted.op_id, Some(because)),
                None => self.decide(operation)?,
            },
        };
        let note = if outcome.is_stored() { Note::Store(submitted.digest) } else { Note::Nothing };
        Ok(Judged { outcome, note })
    }

    /// The table of docs/protocol.md, "Verdicts".
    fn decide(&mut self, operation: &Operation) -> Result<Outcome, StorageError> {
        let op_id = operation.op_id.as_str();
        let current = self.tx.record(&operation.key)?;
        let live = current.as_ref().and_then(|r| r.document.as_ref());
        let version = current.as_ref().map(|r| r.version);
        let assumed_right = version.is_some() && operation.assumed == version;
        let result = match (&operation.intent, version, live) {
            (Intent::Create(document), None, _) => Some(document.clone()),
            (Intent::Create(document), Some(_), None) if assumed_right => Some(document.clone()),
            (Intent::Change(_) | Intent::Replace(_), None, _) => {
                let rejection =
                    crate::wire::Rejection::last("not-found", "this record was never created");
                return Ok(Outcome::rejected(op_id, rejection));
            }
            (Intent::Change(edits), Some(_), Some(before)) if assumed_right => {
                let after = before.apply(edits);
                if let Err(refused) = after.check(self.limits) {
                    return Ok(Outcome::rejected(op_id, refuse(refused)));
                }
                Some(after)
            }
            (Intent::Replace(document), Some(_), Some(_)) if assumed_right => {
                Some(document.clone())
            }
            (Intent::Delete, _, None) => return Ok(Outcome::applied(op_id, version.unwrap_or(0))),
            (Intent::Delete, _, Some(_)) if assumed_right => None,
            (Intent::Create(_) | Intent::Change(_) | Intent::Replace(_) | Intent::Delete, _, _) => {
                let at = current.as_ref().map_or(0, |r| r.at);
                let outcome = Outcome::conflict(op_id, version.unwrap_or(0), live.cloned(), at);
                return Ok(outcome);
            }
        };
        if let Some(rejection) = self.rules.check(operation, current.as_ref(), result.as_ref()) {
            return Ok(Outcome::rejected(op_id, rejection));
        }
        self.store(operation, version, result)
    }

    fn store(
        &mut self,
        operation: &Operation,
        version: Option<u64>,
        result: Option<Document>,
    ) -> Result<Outcome, StorageError> {
        let amended = result.as_ref().and_then(|d| self.rules.amend(operation, d));
        let version = match version {
            Some(version) => version + 1,
            // A record that was forgotten with its tombstone may be made anew. Its versions go on above the old ones, which never
            // exceed the number of the last change that was pruned: else a device with the old tombstone would take it for the past.
            None => self.tx.feed()?.horizon + 1,
        };
        let mut outcome = Outcome::applied(&operation.op_id, version);
        outcome.document = amended.clone().map(Some);
        let record = Record {
            version,
            document: amended.or(result),
            op_id: operation.op_id.clone(),
            // A stamp from the future would win every comparison until then.
            at: operation.at.min(self.now_ms),
            stored_at: self.now_ms,
            part: String::new(),
            meta: None,
        };
        self.tx.put_record(&operation.key, record)?;
        Ok(outcome)
    }
}
