//! The store of the verdicts in one SQLite file.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast_server_core::{
    Document, Feed, Key, Limits, Problem, ProblemKind, PullAnswer, PullRequest, PushAnswer,
    PushRequest, Record, Rules, StorageError, Stored, Tx, pull, push,
};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

/// The number of this file format. A file of another number is refused, never guessed at.
const FORMAT: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE store (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE tenants (
    tenant TEXT PRIMARY KEY, last INTEGER NOT NULL, horizon INTEGER NOT NULL, repeats INTEGER NOT NULL
) STRICT;
CREATE TABLE records (
    tenant TEXT NOT NULL, collection TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
    document TEXT, op_id TEXT NOT NULL, at INTEGER NOT NULL, stored_at INTEGER NOT NULL,
    change INTEGER NOT NULL, PRIMARY KEY (tenant, collection, id), UNIQUE (tenant, change)
) STRICT;
CREATE TABLE verdicts (
    tenant TEXT NOT NULL, op_id TEXT NOT NULL, digest BLOB NOT NULL, kind TEXT NOT NULL,
    outcome TEXT NOT NULL, PRIMARY KEY (tenant, op_id)
) STRICT;
CREATE TABLE effects (
    tenant TEXT NOT NULL, op_id TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (tenant, op_id)
) STRICT;
INSERT INTO store VALUES ('epoch', lower(hex(randomblob(8))));
";

/// Why a database cannot be used.
#[derive(Debug)]
pub enum DbError {
    /// SQLite says no.
    Sqlite(rusqlite::Error),
    /// A step of the verdicts' store failed.
    Store(StorageError),
    /// The file has another format number, or is another program's.
    Format(i64),
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "database: {error}"),
            Self::Store(error) => write!(f, "database: {error}"),
            Self::Format(n) => {
                write!(f, "the database has format {n}, this server reads format {FORMAT}")
            }
        }
    }
}

impl std::error::Error for DbError {}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// One database: a connection that writes and one that reads, so that a pull never waits for a push.
#[derive(Debug)]
pub struct Db {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

fn connect(file: &Path, create: bool) -> Result<Connection, DbError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // FULL: a verdict that was given survives a power cut.
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A panic in the middle rolled its transaction back when it was dropped.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(error: &rusqlite::Error) -> Problem {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            Problem::new(ProblemKind::Unavailable, "the database is busy").after(1)
        }
        Some(rusqlite::ErrorCode::DiskFull) => {
            Problem::new(ProblemKind::Unavailable, "the disk is full").after(60)
        }
        _ => Problem::new(ProblemKind::Internal, "the store failed"),
    }
}

impl Db {
    /// Opens a database; makes the file if it is missing.
    ///
    /// # Errors
    /// [`DbError`]
    pub fn open(file: &Path) -> Result<Self, DbError> {
        let mut writer = connect(file, true)?;
        let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tables: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
        let format: i64 = tx.query_row("PRAGMA user_version", [], |r| r.get(0))?;
        if tables == 0 && format == 0 {
            tx.execute_batch(SCHEMA)?;
            tx.pragma_update(None, "user_version", FORMAT)?;
        } else if format != FORMAT {
            return Err(DbError::Format(format));
        }
        tx.commit()?;
        let reader = connect(file, false)?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader) })
    }

    /// Handles a push of a tenant in one transaction: effects and verdicts, or neither.
    ///
    /// # Errors
    /// [`Problem`]
    pub fn push(
        &self,
        tenant: &str,
        request: &PushRequest,
        rules: &dyn Rules,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<PushAnswer, Problem> {
        let mut connection = lock(&self.writer);
        let tx = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|e| unavailable(&e))?;
        tx.execute("INSERT OR IGNORE INTO tenants VALUES (?1, 0, 0, 0)", [tenant])
            .map_err(|e| unavailable(&e))?;
        let answer = push(&mut Rows { db: &tx, tenant }, request, rules, limits, now_ms)?;
        tx.commit().map_err(|e| unavailable(&e))?;
        Ok(answer)
    }

    /// Gives a page of a tenant's feed.
    ///
    /// # Errors
    /// [`Problem`]
    pub fn pull(
        &self,
        tenant: &str,
        request: &PullRequest,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<PullAnswer, Problem> {
        let mut connection = lock(&self.reader);
        let tx = connection.transaction().map_err(|e| unavailable(&e))?;
        pull(&Rows { db: &tx, tenant }, request, limits, now_ms)
    }

    /// Removes tombstones stored before a time (ms since the epoch), of all tenants.
    ///
    /// # Errors
    /// [`DbError`]
    pub fn prune(&self, stored_before: u64) -> Result<usize, DbError> {
        let mut connection = lock(&self.writer);
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tenants: Vec<String> = tx
            .prepare("SELECT tenant FROM tenants ORDER BY tenant")?
            .query_map([], |r| r.get(0))?
            .collect::<Result<_, _>>()?;
        let mut gone = 0;
        for tenant in &tenants {
            let mut rows = Rows { db: &tx, tenant };
            gone += rows.prune(stored_before).map_err(DbError::Store)?;
        }
        tx.commit()?;
        Ok(gone)
    }

    /// Gives the database a new epoch: to be done after a backup was restored.
    ///
    /// # Errors
    /// [`DbError`]
    pub fn new_epoch(&self) -> Result<String, DbError> {
        let sql = "UPDATE store SET value = lower(hex(randomblob(8))) WHERE name = 'epoch' RETURNING value";
        Ok(lock(&self.writer).query_row(sql, [], |r| r.get(0))?)
    }

    /// Lends the reading connection, for an audit.
    pub(crate) fn read<T>(&self, ask: impl FnOnce(&Connection) -> T) -> T {
        ask(&lock(&self.reader))
    }
}

struct Rows<'a> {
    db: &'a Connection,
    tenant: &'a str,
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err asks for")]
fn failed(error: rusqlite::Error) -> StorageError {
    StorageError(error.to_string())
}

/// SQLite counts in i64; versions, numbers and times stay far below.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Columns `version, document, op_id, at, stored_at` from column `first` on.
fn record(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Record> {
    let document: Option<String> = row.get(first + 1)?;
    let document = document.map(|text| Document::parse(&text)).transpose().map_err(|reason| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(first + 1, kind, reason.into())
    })?;
    Ok(Record {
        version: unsigned(row.get(first)?),
        document,
        op_id: row.get(first + 2)?,
        at: unsigned(row.get(first + 3)?),
        stored_at: unsigned(row.get(first + 4)?),
    })
}

impl Rows<'_> {
    fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, StorageError> {
        self.db.prepare_cached(sql).and_then(|mut s| s.execute(params)).map_err(failed)
    }
}

impl Tx for Rows<'_> {
    fn feed(&self) -> Result<Feed, StorageError> {
        let sql = "SELECT value, coalesce(last, 0), coalesce(horizon, 0)
            FROM store LEFT JOIN tenants ON tenant = ?1 WHERE name = 'epoch'";
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        statement
            .query_row([self.tenant], |r| {
                Ok(Feed {
                    epoch: r.get(0)?,
                    last: unsigned(r.get(1)?),
                    horizon: unsigned(r.get(2)?),
                })
            })
            .map_err(failed)
    }

    fn record(&self, key: &Key) -> Result<Option<Record>, StorageError> {
        let sql = "SELECT version, document, op_id, at, stored_at FROM records
            WHERE tenant = ?1 AND collection = ?2 AND id = ?3";
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        statement
            .query_row(params![self.tenant, key.collection, key.id], |r| record(r, 0))
            .optional()
            .map_err(failed)
    }

    fn put_record(&mut self, key: &Key, record: Record) -> Result<(), StorageError> {
        self.run("UPDATE tenants SET last = last + 1 WHERE tenant = ?1", [self.tenant])?;
        self.run(
            "INSERT INTO records SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, last FROM tenants WHERE tenant = ?1
            ON CONFLICT (tenant, collection, id) DO UPDATE SET version = excluded.version,
            document = excluded.document, op_id = excluded.op_id, at = excluded.at,
            stored_at = excluded.stored_at, change = excluded.change",
            params![
                self.tenant,
                key.collection,
                key.id,
                int(record.version),
                record.document.as_ref().map(Document::as_str),
                record.op_id,
                int(record.at),
                int(record.stored_at),
            ],
        )?;
        self.run(
            "INSERT INTO effects VALUES (?1, ?2, 1)
            ON CONFLICT (tenant, op_id) DO UPDATE SET count = count + 1",
            params![self.tenant, record.op_id],
        )?;
        Ok(())
    }

    fn verdict(&self, op_id: &str) -> Result<Option<Stored>, StorageError> {
        let sql = "SELECT digest, outcome FROM verdicts WHERE tenant = ?1 AND op_id = ?2";
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let row: Option<([u8; 32], String)> = statement
            .query_row([self.tenant, op_id], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()
            .map_err(failed)?;
        let Some((digest, text)) = row else { return Ok(None) };
        let outcome = serde_json::from_str(&text).map_err(|e| StorageError(e.to_string()))?;
        Ok(Some(Stored { digest, outcome }))
    }

    fn put_verdict(&mut self, stored: Stored) -> Result<(), StorageError> {
        let text =
            serde_json::to_string(&stored.outcome).map_err(|e| StorageError(e.to_string()))?;
        let kind = stored.outcome.kind.as_str();
        self.run(
            "INSERT INTO verdicts VALUES (?1, ?2, ?3, ?4, ?5)",
            params![self.tenant, stored.outcome.op_id, stored.digest, kind, text],
        )?;
        Ok(())
    }

    fn count_repeat(&mut self, _op_id: &str) -> Result<(), StorageError> {
        self.run("UPDATE tenants SET repeats = repeats + 1 WHERE tenant = ?1", [self.tenant])?;
        Ok(())
    }

    fn changes_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Key, Record)>, StorageError> {
        let sql = "SELECT change, collection, id, version, document, op_id, at, stored_at
            FROM records WHERE tenant = ?1 AND change > ?2 ORDER BY change LIMIT ?3";
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![self.tenant, int(after), limit], |r| {
            let key = Key { collection: r.get(1)?, id: r.get(2)? };
            Ok((unsigned(r.get(0)?), key, record(r, 3)?))
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }

    fn prune(&mut self, stored_before: u64) -> Result<usize, StorageError> {
        let old = params![self.tenant, int(stored_before)];
        self.run(
            "UPDATE tenants SET horizon = max(horizon, coalesce((SELECT max(change) FROM records
            WHERE tenant = ?1 AND document IS NULL AND stored_at < ?2), 0)) WHERE tenant = ?1",
            old,
        )?;
        self.run(
            "DELETE FROM records WHERE tenant = ?1 AND document IS NULL AND stored_at < ?2",
            old,
        )
    }

    fn savepoint(&mut self) -> Result<(), StorageError> {
        self.run("SAVEPOINT part", []).map(drop)
    }

    fn release(&mut self) -> Result<(), StorageError> {
        self.run("RELEASE part", []).map(drop)
    }

    fn rollback(&mut self) -> Result<(), StorageError> {
        self.run("ROLLBACK TO part", [])?;
        self.release()
    }
}
