//! One SQLite file: a connection that writes and one that reads, so that a pull never waits for a push.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql, TransactionBehavior};

use super::sql::{Cell, FORMAT, FROM_1, Row, SCHEMA, SINCE_2, Sql, SqlError, Trouble, Value};
use super::{DbError, new_epoch};

#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        let trouble = match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Trouble::Busy
            }
            Some(rusqlite::ErrorCode::DiskFull) => Trouble::Full,
            _ => Trouble::Broken,
        };
        Self { trouble, says: error.to_string() }
    }
}

fn connect(file: &Path, create: bool) -> Result<Connection, SqlError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // FULL: a verdict that was given survives a power cut.
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A panic in the middle rolled its transaction back when it was dropped.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sqlite {
    pub(crate) fn open(file: &Path) -> Result<Self, DbError> {
        let mut writer = connect(file, true)?;
        let tx = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(SqlError::from)?;
        prepare(&tx)?;
        tx.commit().map_err(SqlError::from)?;
        let reader = connect(file, false)?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader) })
    }

    /// One writing transaction: kept if `run` gives `Ok`.
    pub(crate) fn write<R, E: From<SqlError>>(
        &self,
        run: impl FnOnce(&dyn Sql) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut connection = lock(&self.writer);
        let tx = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(SqlError::from)?;
        let result = run(&*tx)?;
        tx.commit().map_err(SqlError::from)?;
        Ok(result)
    }

    /// One view of the database.
    pub(crate) fn read<R, E: From<SqlError>>(
        &self,
        run: impl FnOnce(&dyn Sql) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut connection = lock(&self.reader);
        let tx = connection.transaction().map_err(SqlError::from)?;
        run(&*tx)
    }
}

/// Makes the tables, or brings those of an older format up to this one.
fn prepare(tx: &Connection) -> Result<(), DbError> {
    let number = |sql: &str| tx.query_row(sql, [], |row| row.get::<_, i64>(0));
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(SqlError::from)?;
    let format = number("PRAGMA user_version").map_err(SqlError::from)?;
    let make = |sql: &str| tx.execute_batch(sql).map_err(SqlError::from);
    match (tables, format) {
        (0, 0) => {
            make(SCHEMA)?;
            make(SINCE_2)?;
            let sql = "INSERT INTO store VALUES ('epoch', ?1)";
            tx.execute(sql, [new_epoch()]).map_err(SqlError::from)?;
        }
        (_, FORMAT) => return Ok(()),
        (_, 1) => {
            make(FROM_1)?;
            make(SINCE_2)?;
        }
        (_, other) => return Err(DbError::Format(other)),
    }
    tx.pragma_update(None, "user_version", FORMAT).map_err(SqlError::from)?;
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Sql for Connection {
    fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, SqlError> {
        let count = self.prepare_cached(sql)?.execute(rusqlite::params_from_iter(values))?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    fn query(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        let mut statement = self.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let cells = (0..columns).map(|at| row.get_ref(at).map(cell));
            found.push(Row(cells.collect::<Result<_, _>>()?));
        }
        Ok(found)
    }
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Int(number),
        // There is no column of fractions; one would be of the wrong type to every reader.
        ValueRef::Real(_) => Cell::Null,
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
    }
}
