//! What the five wires do alike with the store: stamps, numbers, unique keys, replays.

use std::borrow::Cow;

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::shape::{Entity, Wrong};
use super::{Checks, Terms};
use crate::canonical::canonical;
use crate::document::{Document, Refused};
use crate::limits::Limits;
use crate::object::{Object, is_null};
use crate::store::{Record, StorageError, Stored, Tx};
use crate::wire::{Key, Outcome};

/// The kind of note that says who holds a value of a unique field, or a device's own id.
const HOLDER: &str = "holder";
/// The kind of note that counts.
const COUNTER: &str = "counter";

const LARGE: Wrong = Wrong { field: Cow::Borrowed("the record"), says: "is too large" };
const BROKEN: Wrong = Wrong { field: Cow::Borrowed("the record"), says: "is not sound JSON" };

/// One request's view of the store.
pub(crate) struct Book<'a, T: Tx> {
    pub(crate) tx: &'a mut T,
    pub(crate) terms: &'a Terms,
    pub(crate) now_ms: u64,
}

/// What a new state of a record is made of.
pub(crate) struct Draft<'a> {
    pub(crate) key: &'a Key,
    pub(crate) version: u64,
    pub(crate) document: Option<Document>,
    /// The operation's name in the ledger.
    pub(crate) op_id: &'a str,
    pub(crate) stamp: u64,
    pub(crate) part: String,
    pub(crate) meta: Option<Document>,
}

/// The six values of replay rule R (WIRES 0.6), in one name.
pub(crate) struct Replay {
    pub(crate) name: String,
    digest: [u8; 32],
}

impl Replay {
    /// `parts` are record, device, action and base version; `payload` is the canonical text.
    pub(crate) fn new(parts: [&str; 5], payload: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(payload).into();
        let mut name = parts.join("|");
        name.push('|');
        for byte in digest.iter().take(16) {
            name.push_str(&format!("{byte:02x}"));
        }
        Self { name, digest }
    }

    /// A name of the client's own (WIRES 3), whose content is compared apart from it.
    pub(crate) fn named(name: String, content: &str) -> Self {
        Self { name, digest: Sha256::digest(content).into() }
    }
}

/// What the store says of a replay.
pub(crate) enum Known {
    /// It had its effect; the verdict as it was stored.
    Before(Box<Outcome>),
    /// The name was given to something else.
    Other,
    Never,
}

/// The canonical text of a value that was checked before.
pub(crate) fn plain_text(raw: &RawValue) -> String {
    let open = Limits { depth: 120, key_bytes: usize::MAX, ..Limits::default() };
    canonical(raw.get(), &open).unwrap_or_else(|_| raw.get().to_owned())
}

/// Whether two documents have the same content; a member that is `null` counts as absent.
pub(crate) fn same(left: &Object, right: &Object) -> bool {
    let text = |object: &Object| {
        let there = object.clone().0.into_iter().filter(|(_, value)| !is_null(value)).collect();
        plain_text(&Object(there).into_raw())
    };
    text(left) == text(right)
}

/// An id of WIRES 0.9: 1 to 64 characters of `[A-Za-z0-9._:-]`.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
}

impl<T: Tx> Book<'_, T> {
    pub(crate) fn limits(&self) -> &Limits {
        &self.terms.limits
    }

    /// A stamp for a change made now: never below that of an earlier change of this store, and
    /// above that of the record's last one, so that times keep the order of changes.
    pub(crate) fn stamp(&self, record: Option<&Record>) -> Result<u64, StorageError> {
        let after = record.map_or(0, |record| record.stored_at + 1);
        Ok(self.now_ms.max(self.tx.feed()?.stamp).max(after))
    }

    pub(crate) fn put(&mut self, draft: Draft<'_>) -> Result<Record, StorageError> {
        let record = Record {
            version: draft.version,
            document: draft.document,
            op_id: draft.op_id.to_owned(),
            at: self.now_ms,
            stored_at: draft.stamp,
            part: draft.part,
            meta: draft.meta,
        };
        self.tx.put_record(draft.key, record.clone())?;
        Ok(record)
    }

    /// The next number of a counter; the first is 1.
    pub(crate) fn next(&mut self, counter: &str) -> Result<u64, StorageError> {
        let last = self.tx.note(COUNTER, counter)?.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        self.tx.put_note(COUNTER, counter, Some(&(last + 1).to_string()))?;
        Ok(last + 1)
    }

    /// Lets a counter go on above a number that was given elsewhere.
    pub(crate) fn pass(&mut self, counter: &str, number: u64) -> Result<(), StorageError> {
        let last = self.tx.note(COUNTER, counter)?.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        if number > last {
            self.tx.put_note(COUNTER, counter, Some(&number.to_string()))?;
        }
        Ok(())
    }

    /// The record that a device calls by its own id.
    pub(crate) fn by_own_id(
        &self,
        collection: &str,
        own: &str,
    ) -> Result<Option<String>, StorageError> {
        self.tx.note(HOLDER, &format!("{collection}|id|{own}"))
    }

    pub(crate) fn keep_own_id(&mut self, key: &Key, own: &str) -> Result<(), StorageError> {
        self.tx.put_note(HOLDER, &format!("{}|id|{own}", key.collection), Some(&key.id))
    }

    /// The id of another record that holds a unique value of this document.
    pub(crate) fn holder(
        &self,
        entity: &Entity,
        own: Option<&str>,
        document: &Object,
    ) -> Result<Option<(&'static str, String)>, StorageError> {
        for field in entity.unique {
            let Some(name) = held(entity, field, document) else { continue };
            if let Some(id) = self.tx.note(HOLDER, &name)?.filter(|id| own != Some(id)) {
                return Ok(Some((field, id)));
            }
        }
        Ok(None)
    }

    /// Moves the unique values that a record holds from its old document to its new one.
    pub(crate) fn hold(
        &mut self,
        entity: &Entity,
        id: &str,
        old: Option<&Document>,
        new: Option<&Document>,
    ) -> Result<(), StorageError> {
        for field in entity.unique {
            let name = |document: Option<&Document>| held(entity, field, &document?.object());
            let (old, new) = (name(old), name(new));
            if old == new {
                continue;
            }
            if let Some(old) = old {
                self.tx.put_note(HOLDER, &old, None)?;
            }
            if let Some(new) = new {
                self.tx.put_note(HOLDER, &new, Some(id))?;
            }
        }
        Ok(())
    }

    /// Whether a record is known, be it as a tombstone: a sale stays a sale when its customer has
    /// been deleted since.
    pub(crate) fn is_known(&self, collection: &str, id: &str) -> Result<bool, StorageError> {
        Ok(self.tx.record(&Key::new(collection, id))?.is_some())
    }

    pub(crate) fn known(&mut self, replay: &Replay) -> Result<Known, StorageError> {
        let Some(stored) = self.tx.verdict(&replay.name)? else { return Ok(Known::Never) };
        if stored.digest != replay.digest {
            return Ok(Known::Other);
        }
        self.tx.count_repeat(&replay.name)?;
        Ok(Known::Before(Box::new(stored.outcome)))
    }

    pub(crate) fn keep(&mut self, replay: &Replay, outcome: Outcome) -> Result<(), StorageError> {
        self.tx.put_verdict(Stored { digest: replay.digest, outcome })
    }

    /// The canonical text of what a client sent, which is so known to be within the limits: what
    /// nests deeper is not to be walked.
    pub(crate) fn canonical(&self, raw: &RawValue) -> Result<String, Wrong> {
        canonical(raw.get(), self.limits()).map_err(|_| BROKEN)
    }

    /// Checks a document against the limits and its entity's fields.
    pub(crate) fn check(&self, entity: &Entity, document: &Document) -> Result<(), Wrong> {
        document.check(self.limits()).map_err(|refused| match refused {
            Refused::TooLarge => LARGE,
            Refused::Invalid(_) => BROKEN,
        })?;
        match self.terms.checks {
            Checks::Fields => entity.check(document.raw()),
            Checks::Nothing => Ok(()),
        }
    }
}

/// The name of the note that says who holds this value; `None` where the field is empty.
fn held(entity: &Entity, field: &str, document: &Object) -> Option<String> {
    let value = document.get(field).filter(|value| !is_null(value))?;
    Some(format!("{}|{field}|{}", entity.name, plain_text(value)))
}
