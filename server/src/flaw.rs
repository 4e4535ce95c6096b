//! Promises broken on purpose, for tests of what has to notice.

use std::str::FromStr;

use holdfast_server_core::{Feed, Key, List, Record, Scan, StorageError, Stored, Tx};

/// A promise of a backend (`docs/backend-guide.md`) that this server is told to break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// A repeat of an operation has its effect anew.
    Replay,
    /// A record's version stays what it was.
    Versions,
    /// A cursor passes changes that were not given.
    Feed,
    /// Deletions are not in the feed.
    Tombstones,
    /// A cursor that is too old is an error like any other.
    Expiry,
    /// 429 and 503 do not say when to come back.
    RetryAfter,
    /// Answers are not to be told from a captive portal's.
    Markers,
    /// A request of any size is taken.
    Limits,
    /// One bad operation fails its whole request.
    Batch,
    /// Every token reaches the same data.
    Tenants,
}

const NAMES: [(Flaw, &str); 10] = [
    (Flaw::Replay, "replay"),
    (Flaw::Versions, "versions"),
    (Flaw::Feed, "feed"),
    (Flaw::Tombstones, "tombstones"),
    (Flaw::Expiry, "expiry"),
    (Flaw::RetryAfter, "retry-after"),
    (Flaw::Markers, "markers"),
    (Flaw::Limits, "limits"),
    (Flaw::Batch, "batch"),
    (Flaw::Tenants, "tenants"),
];

impl FromStr for Flaw {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = NAMES.iter().find(|(_, name)| *name == text).map(|(flaw, _)| *flaw);
        known.ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(_, name)| *name).collect();
            format!("--break {text}: expected one of {}", names.join(", "))
        })
    }
}

/// A store that breaks the promises it is told to.
pub(crate) struct Flawed<'a, T: Tx> {
    pub(crate) inner: T,
    pub(crate) flaws: &'a [Flaw],
}

impl<T: Tx> Flawed<'_, T> {
    fn breaks(&self, flaw: Flaw) -> bool {
        self.flaws.contains(&flaw)
    }
}

impl<T: Tx> Tx for Flawed<'_, T> {
    fn feed(&self) -> Result<Feed, StorageError> {
        self.inner.feed()
    }

    fn record(&self, key: &Key) -> Result<Option<Record>, StorageError> {
        self.inner.record(key)
    }

    fn put_record(&mut self, key: &Key, record: Record) -> Result<(), StorageError> {
        let version = match self.inner.record(key)?.filter(|_| self.breaks(Flaw::Versions)) {
            Some(before) => before.version,
            None => record.version,
        };
        self.inner.put_record(key, Record { version, ..record })
    }

    fn verdict(&self, op_id: &str) -> Result<Option<Stored>, StorageError> {
        if self.breaks(Flaw::Replay) { Ok(None) } else { self.inner.verdict(op_id) }
    }

    fn put_verdict(&mut self, stored: Stored) -> Result<(), StorageError> {
        if self.breaks(Flaw::Replay) { Ok(()) } else { self.inner.put_verdict(stored) }
    }

    fn count_repeat(&mut self, op_id: &str) -> Result<(), StorageError> {
        self.inner.count_repeat(op_id)
    }

    fn scan(&self, scan: &Scan<'_>) -> Result<Vec<(u64, Key, Record)>, StorageError> {
        let mut rows = self.inner.scan(scan)?;
        if self.breaks(Flaw::Feed) {
            rows.retain(|(number, _, _)| !number.is_multiple_of(3));
        }
        if self.breaks(Flaw::Tombstones) {
            rows.retain(|(_, _, record)| record.document.is_some());
        }
        Ok(rows)
    }

    fn change_at(&self, stored_from: u64) -> Result<u64, StorageError> {
        self.inner.change_at(stored_from)
    }

    fn list(&self, list: &List<'_>) -> Result<Vec<(Key, Record)>, StorageError> {
        let mut rows = self.inner.list(list)?;
        if self.breaks(Flaw::Feed) {
            let mut number = 0_u32;
            rows.retain(|_| {
                number += 1;
                !number.is_multiple_of(3)
            });
        }
        if self.breaks(Flaw::Tombstones) {
            rows.retain(|(_, record)| record.document.is_some());
        }
        Ok(rows)
    }

    fn count(&self, list: &List<'_>) -> Result<u64, StorageError> {
        self.inner.count(list)
    }

    fn note(&self, kind: &str, name: &str) -> Result<Option<String>, StorageError> {
        self.inner.note(kind, name)
    }

    fn put_note(&mut self, kind: &str, name: &str, text: Option<&str>) -> Result<(), StorageError> {
        self.inner.put_note(kind, name, text)
    }

    fn notes(&self, kind: &str, prefix: &str) -> Result<Vec<(String, String)>, StorageError> {
        self.inner.notes(kind, prefix)
    }

    fn prune(&mut self, stored_before: u64) -> Result<usize, StorageError> {
        self.inner.prune(stored_before)
    }

    fn savepoint(&mut self) -> Result<(), StorageError> {
        self.inner.savepoint()
    }

    fn release(&mut self) -> Result<(), StorageError> {
        self.inner.release()
    }

    fn rollback(&mut self) -> Result<(), StorageError> {
        self.inner.rollback()
    }
}
