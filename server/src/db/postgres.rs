//! A PostgreSQL database, which several servers may share.
//!
//! A writer locks its tenant's row before anything else and holds it until it commits. So the
//! numbers of a tenant's changes are given in the order in which they are committed, and a reader
//! that sees change n sees every change below it (`docs/adr/0028-*`).

use std::cell::{Cell as Slot, RefCell};
use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use postgres::error::SqlState;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, IsolationLevel, NoTls, Statement, Transaction};

use super::sql::{Cell, FORMAT, Row, SCHEMA, SINCE_2, Sql, SqlError, Trouble, Value};
use super::{DbError, new_epoch};

/// Connections at most; a request waits for one that is free.
const CONNECTIONS: usize = 8;
/// How long a request waits for a connection, and a statement for a lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a transaction begins again that others were in the way of.
const ATTEMPTS: u32 = 5;
/// A number of ours for the advisory lock under which the tables are made.
const MAKING: i64 = 0x484f_4c44;

pub(crate) struct Postgres {
    config: postgres::Config,
    pool: Mutex<Pool>,
    freed: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    open: usize,
}

struct Connection {
    client: Client,
    /// The statements that this connection knows, by their text.
    statements: RefCell<HashMap<&'static str, Statement>>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.write_str("Postgres")
    }
}

impl From<postgres::Error> for SqlError {
    fn from(error: postgres::Error) -> Self {
        let busy = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
        ];
        let trouble = match error.code() {
            Some(code) if busy.contains(code) => Trouble::Busy,
            Some(code) if *code == SqlState::DISK_FULL => Trouble::Full,
            Some(_) => Trouble::Broken,
            // No answer of the database: it is restarting, or out of reach.
            None if error.is_closed() || is_io(&error) => Trouble::Busy,
            None => Trouble::Broken,
        };
        // The database's own words; the values of a statement are not among them.
        let says = match error.as_db_error() {
            Some(db) => format!("{} ({})", db.message(), db.code().code()),
            None => error.to_string(),
        };
        Self { trouble, says }
    }
}

fn is_io(error: &postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

impl Postgres {
    pub(crate) fn open(url: &str) -> Result<Self, DbError> {
        let mut config: postgres::Config =
            url.parse().map_err(|_| DbError::Address("not a PostgreSQL address".to_owned()))?;
        if config.get_ssl_mode() == postgres::config::SslMode::Require {
            let says = "this server speaks to its database without TLS: use a socket, a private \
                network, or a proxy beside it";
            return Err(DbError::Address(says.to_owned()));
        }
        config.application_name("holdfast-server").connect_timeout(PATIENCE);
        let db = Self { config, pool: Mutex::default(), freed: Condvar::new() };
        db.with(|connection| connection.prepare())?;
        Ok(db)
    }

    /// One writing transaction: kept if `run` gives `Ok`. It runs again from the start when others
    /// were in the way, so it must have no effect but through `Sql`.
    pub(crate) fn write<R, E: From<SqlError>>(
        &self,
        mut run: impl FnMut(&dyn Sql) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut attempt = 1;
        loop {
            let result = self.with(|connection| {
                connection.transaction(IsolationLevel::ReadCommitted, false, &mut run)
            });
            match result {
                Err(Failed::Sql(error)) if error.trouble == Trouble::Busy && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                Err(Failed::Sql(error)) => return Err(error.into()),
                Err(Failed::Run(error)) => return Err(error),
                Ok(result) => return Ok(result),
            }
        }
    }

    /// One view of the database.
    pub(crate) fn read<R, E: From<SqlError>>(
        &self,
        mut run: impl FnMut(&dyn Sql) -> Result<R, E>,
    ) -> Result<R, E> {
        let result = self.with(|connection| {
            connection.transaction(IsolationLevel::RepeatableRead, true, &mut run)
        });
        result.map_err(|failed| match failed {
            Failed::Sql(error) => error.into(),
            Failed::Run(error) => error,
        })
    }

    /// Lends a connection. One that broke is not given back.
    fn with<R, E: From<SqlError>>(
        &self,
        run: impl FnOnce(&mut Connection) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut lent = Lent { pool: self, connection: self.take()? };
        let connection = match &mut lent.connection {
            Some(connection) => connection,
            empty @ None => {
                let mut client = self.config.connect(NoTls).map_err(SqlError::from)?;
                // A writer that holds a tenant's row for long is not waited for without end.
                let setting = format!("SET lock_timeout = {}", PATIENCE.as_millis());
                client.batch_execute(&setting).map_err(SqlError::from)?;
                empty.insert(Connection { client, statements: RefCell::default() })
            }
        };
        run(connection)
    }

    /// An idle connection, or the right to open one (`None`).
    fn take(&self) -> Result<Option<Connection>, SqlError> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            while let Some(connection) = pool.idle.pop() {
                if !connection.client.is_closed() {
                    return Ok(Some(connection));
                }
                pool.open -= 1;
            }
            if pool.open < CONNECTIONS {
                pool.open += 1;
                return Ok(None);
            }
            let waited = self.freed.wait_timeout(pool, PATIENCE);
            let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                let says = "every connection is in use".to_owned();
                return Err(SqlError { trouble: Trouble::Busy, says });
            }
            pool = again;
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pool = self.pool.get_mut().unwrap_or_else(PoisonError::into_inner);
        let idle = std::mem::take(&mut pool.idle);
        // The client says goodbye, which blocks: not to be done on a thread that runs tasks.
        let _ = std::thread::spawn(move || drop(idle)).join();
    }
}

/// A connection, or the right to one, that goes back to the pool whatever happens.
struct Lent<'a> {
    pool: &'a Postgres,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut pool = self.pool.pool.lock().unwrap_or_else(PoisonError::into_inner);
        match self.connection.take().filter(|connection| !connection.client.is_closed()) {
            Some(connection) => pool.idle.push(connection),
            None => pool.open -= 1,
        }
        drop(pool);
        self.pool.freed.notify_one();
    }
}

/// Why a transaction was not kept: the database, or what ran in it.
enum Failed<E> {
    Sql(SqlError),
    Run(E),
}

impl<E> From<SqlError> for Failed<E> {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl Connection {
    /// Makes the tables, if nobody has; several servers may begin at once.
    fn prepare(&mut self) -> Result<(), DbError> {
        let mut tx = self.client.transaction().map_err(SqlError::from)?;
        tx.execute("SELECT pg_advisory_xact_lock($1)", &[&MAKING]).map_err(SqlError::from)?;
        let sql = "SELECT to_regclass('store') IS NOT NULL";
        let there: bool = tx.query_one(sql, &[]).map_err(SqlError::from)?.get(0);
        if there {
            let sql = "SELECT value FROM store WHERE name = 'format'";
            let row = tx.query_opt(sql, &[]).map_err(SqlError::from)?;
            let format = row.and_then(|row| row.get::<_, String>(0).parse().ok()).unwrap_or(0);
            if format != FORMAT {
                return Err(DbError::Format(format));
            }
        } else {
            for sql in [SCHEMA, SINCE_2] {
                tx.batch_execute(&dialect(sql)).map_err(SqlError::from)?;
            }
            let sql = "INSERT INTO store VALUES ('format', $1), ('epoch', $2)";
            tx.execute(sql, &[&FORMAT.to_string(), &new_epoch()]).map_err(SqlError::from)?;
        }
        tx.commit().map_err(SqlError::from)?;
        Ok(())
    }

    fn transaction<R, E: From<SqlError>>(
        &mut self,
        isolation: IsolationLevel,
        read_only: bool,
        run: &mut impl FnMut(&dyn Sql) -> Result<R, E>,
    ) -> Result<R, Failed<E>> {
        let begin = self.client.build_transaction().isolation_level(isolation);
        let inner = begin.read_only(read_only).start().map_err(SqlError::from)?;
        let inner = RefCell::new(inner);
        let tx = Tx { inner, statements: &self.statements, trouble: Slot::new(None) };
        let result = run(&tx);
        // What ran in it may have wrapped the database's error; it is ours to try again all the same.
        if let (Err(_), Some(error)) = (&result, tx.trouble.take())
            && error.trouble == Trouble::Busy
        {
            return Err(Failed::Sql(error));
        }
        let result = result.map_err(Failed::Run)?;
        tx.inner.into_inner().commit().map_err(SqlError::from)?;
        Ok(result)
    }
}

/// The tables in PostgreSQL's words. Names are compared by their bytes, as SQLite does.
fn dialect(sql: &str) -> String {
    sql.replace(" STRICT", "")
        .replace("TEXT", "TEXT COLLATE \"C\"")
        .replace("INTEGER", "BIGINT")
        .replace("BLOB", "BYTEA")
}

struct Tx<'a> {
    inner: RefCell<Transaction<'a>>,
    statements: &'a RefCell<HashMap<&'static str, Statement>>,
    /// The first error of a statement: everything behind it only says that the transaction is over.
    trouble: Slot<Option<SqlError>>,
}

impl Tx<'_> {
    fn statement(&self, sql: &'static str) -> Result<Statement, SqlError> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.inner.borrow_mut().prepare(&sql.replace('?', "$"))?;
        self.statements.borrow_mut().insert(sql, statement.clone());
        Ok(statement)
    }

    fn noted<R>(&self, result: Result<R, SqlError>) -> Result<R, SqlError> {
        if let Err(error) = &result {
            let first = self.trouble.take().unwrap_or_else(|| error.clone());
            self.trouble.set(Some(first));
        }
        result
    }
}

fn params<'a>(values: &'a [Value<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl Sql for Tx<'_> {
    fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, SqlError> {
        self.noted(self.statement(sql).and_then(|statement| {
            Ok(self.inner.borrow_mut().execute(&statement, &params(values))?)
        }))
    }

    fn query(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        self.noted(self.statement(sql).and_then(|statement| {
            let rows = self.inner.borrow_mut().query(&statement, &params(values))?;
            rows.iter().map(row).collect()
        }))
    }
}

fn row(row: &postgres::Row) -> Result<Row, SqlError> {
    let cells = row.columns().iter().enumerate().map(|(at, column)| {
        Ok(match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(at)?.map_or(Cell::Null, Cell::Int),
            Type::INT4 => {
                row.try_get::<_, Option<i32>>(at)?.map_or(Cell::Null, |n| Cell::Int(n.into()))
            }
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at)?.map_or(Cell::Null, Cell::Bytes),
            _ => row.try_get::<_, Option<String>>(at)?.map_or(Cell::Null, Cell::Text),
        })
    });
    let cells: Result<_, postgres::Error> = cells.collect();
    Ok(Row(cells?))
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql(ty, out),
            Self::Text(text) => text.to_sql(ty, out),
            Self::Bytes(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_in_other_words() {
        assert_eq!(
            dialect("CREATE TABLE a (b TEXT, c INTEGER, d BLOB) STRICT;"),
            "CREATE TABLE a (b TEXT COLLATE \"C\", c BIGINT, d BYTEA);"
        );
    }

    #[test]
    fn an_address_that_asks_for_tls_is_refused_loudly() {
        for url in ["postgres://", "postgres://h/d?sslmode=require", "postgres://h:x/d"] {
            let error = Postgres::open(url).map(drop).unwrap_err();
            assert!(!error.to_string().is_empty(), "{url}");
        }
        let error = Postgres::open("postgres://u:secret@h/d?sslmode=require").unwrap_err();
        assert!(error.to_string().contains("TLS") && !error.to_string().contains("secret"));
    }
}
