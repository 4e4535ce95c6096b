//! The store in one SQLite file, or in a PostgreSQL database.

mod postgres;
mod rows;
mod sql;
mod sqlite;

use std::fmt;
use std::path::{Path, PathBuf};

use holdfast_server_core::{
    Access, Answer, Limits, Problem, ProblemKind, PullAnswer, PullRequest, PushAnswer, PushRequest,
    Request, Rules, StorageError, Terms, Tx, Wire, pull, push,
};
use sha2::{Digest as _, Sha256};

use self::rows::Rows;
pub(crate) use self::sql::{Sql, Value};
use self::sql::{SqlError, Trouble};
use crate::flaw::{Flaw, Flawed};

/// Where a store is.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file; made if it is missing.
    File(PathBuf),
    /// A PostgreSQL address, `postgres://user@host/database`. Several servers may share it.
    Postgres(String),
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            // The address may hold a password.
            Self::Postgres(_) => f.write_str("PostgreSQL"),
        }
    }
}

impl From<&str> for Database {
    fn from(text: &str) -> Self {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Self::Postgres(text.to_owned())
        } else {
            Self::File(text.into())
        }
    }
}

impl From<&Database> for Database {
    fn from(database: &Database) -> Self {
        database.clone()
    }
}

impl From<PathBuf> for Database {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Path> for Database {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

/// Why a database cannot be used.
#[derive(Debug)]
pub enum DbError {
    /// The database says no.
    Sql(SqlError),
    /// A step of the store failed.
    Store(StorageError),
    /// It has another format number, or is another program's.
    Format(i64),
    /// The address cannot be used.
    Address(String),
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(error) => write!(f, "database: {error}"),
            Self::Store(error) => write!(f, "database: {error}"),
            Self::Format(n) => {
                let own = sql::FORMAT;
                write!(f, "the database has format {n}, this server reads format {own}")
            }
            Self::Address(says) => write!(f, "database: {says}"),
        }
    }
}

impl std::error::Error for DbError {}

impl From<SqlError> for DbError {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl From<StorageError> for DbError {
    fn from(error: StorageError) -> Self {
        Self::Store(error)
    }
}

/// What a request answers when the database cannot.
#[derive(Debug)]
struct Refused(Problem);

impl From<SqlError> for Refused {
    fn from(error: SqlError) -> Self {
        let later = |detail, seconds| Problem::new(ProblemKind::Unavailable, detail).after(seconds);
        Self(match error.trouble {
            Trouble::Busy => later("the database is busy", 1),
            Trouble::Full => later("the disk is full", 60),
            Trouble::Broken => Problem::new(ProblemKind::Internal, "the store failed"),
        })
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

/// A name for a history of the store that no other has.
fn new_epoch() -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    // The address of a fresh allocation and the hasher's seed tell apart what starts at one instant.
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), now);
    let digest = Sha256::digest(format!("{now} {seed} {}", std::process::id()));
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug)]
enum Backend {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

/// One database.
#[derive(Debug)]
pub struct Db {
    backend: Backend,
    flaws: Vec<Flaw>,
}

/// The space of a wire's tenant: each wire has its own data.
fn space(wire: Wire, tenant: &str) -> String {
    format!("{}/{tenant}", wire.name())
}

impl Db {
    /// Opens a database; makes file and tables if they are missing.
    ///
    /// # Errors
    /// [`DbError`]
    pub fn open(database: impl Into<Database>) -> Result<Self, DbError> {
        let backend = match database.into() {
            Database::File(path) => Backend::Sqlite(sqlite::Sqlite::open(&path)?),
            Database::Postgres(url) => Backend::Postgres(postgres::Postgres::open(&url)?),
        };
        Ok(Self { backend, flaws: Vec::new() })
    }

    /// The same database, as a server sees it that breaks promises.
    pub(crate) fn with_flaws(mut self, flaws: &[Flaw]) -> Self {
        self.flaws = flaws.to_vec();
        self
    }

    fn write<R, E: From<SqlError>>(
        &self,
        mut run: impl FnMut(&dyn Sql) -> Result<R, E>,
    ) -> Result<R, E> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(run),
            Backend::Postgres(postgres) => postgres.write(&mut run),
        }
    }

    /// One consistent view of the database.
    pub(crate) fn read<R, E: From<SqlError>>(
        &self,
        mut run: impl FnMut(&dyn Sql) -> Result<R, E>,
    ) -> Result<R, E> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.read(run),
            Backend::Postgres(postgres) => postgres.read(&mut run),
        }
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
        let answer = self.write(|sql| -> Result<_, Refused> {
            let rows = Rows { sql, space: tenant };
            rows.claim()?;
            let mut rows = Flawed { inner: rows, flaws: &self.flaws };
            Ok(push(&mut rows, request, rules, limits, now_ms)?)
        });
        answer.map_err(|Refused(problem)| problem)
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
        let answer = self.read(|sql| -> Result<_, Refused> {
            let rows = Flawed { inner: Rows { sql, space: tenant }, flaws: &self.flaws };
            Ok(pull(&rows, request, limits, now_ms)?)
        });
        answer.map_err(|Refused(problem)| problem)
    }

    /// Answers a request of a wire for a tenant, in one transaction.
    ///
    /// # Errors
    /// [`Problem`]
    pub fn answer(
        &self,
        wire: Wire,
        tenant: &str,
        request: &Request,
        terms: &Terms,
        now_ms: u64,
    ) -> Result<Answer, Problem> {
        let space = space(wire, tenant);
        let run = |sql: &dyn Sql, access: Access| -> Result<_, Refused> {
            let rows = Rows { sql, space: &space };
            match access {
                Access::Write => rows.claim()?,
                Access::Read => {}
            }
            let mut rows = Flawed { inner: rows, flaws: &self.flaws };
            Ok(request.answer(&mut rows, terms, now_ms)?)
        };
        let answer = match request.access() {
            Access::Read => self.read(|sql| run(sql, Access::Read)),
            Access::Write => self.write(|sql| run(sql, Access::Write)),
        };
        answer.map_err(|Refused(problem)| problem)
    }

    /// Fills a wire's data of a tenant with a few records, where there are none.
    ///
    /// # Errors
    /// [`DbError`]
    pub fn seed(&self, wire: Wire, tenant: &str, now_ms: u64) -> Result<(), DbError> {
        let space = space(wire, tenant);
        self.write(|sql| {
            let mut rows = Rows { sql, space: &space };
            rows.claim()?;
            Ok(wire.seed(&mut rows, now_ms)?)
        })
    }

    /// Removes tombstones stored before a time (ms since the epoch), of all tenants.
    ///
    /// `TrackVault`'s stay: its lists have no cursor that could be told to be too old, and a row that is
    /// deleted softly is kept by such a backend.
    ///
    /// # Errors
    /// [`DbError`]
    pub fn prune(&self, stored_before: u64) -> Result<usize, DbError> {
        let spaces: Vec<String> = self.read(|sql| -> Result<_, DbError> {
            let rows = sql.query("SELECT tenant FROM tenants ORDER BY tenant", &[])?;
            Ok(rows.iter().map(|row| row.text(0)).collect::<Result<_, SqlError>>()?)
        })?;
        let kept = format!("{}/", Wire::TrackVault.name());
        let mut gone = 0;
        for space in spaces.iter().filter(|space| !space.starts_with(&kept)) {
            gone += self.write(|sql| -> Result<_, DbError> {
                let mut rows = Rows { sql, space };
                rows.claim()?;
                Ok(rows.prune(stored_before)?)
            })?;
        }
        Ok(gone)
    }

    /// Gives the database a new epoch: to be done after a backup was restored.
    ///
    /// # Errors
    /// [`DbError`]
    pub fn new_epoch(&self) -> Result<String, DbError> {
        let epoch = new_epoch();
        self.write(|sql| -> Result<_, DbError> {
            let statement = "UPDATE store SET value = ?1 WHERE name = 'epoch'";
            sql.execute(statement, &[(&epoch).into()])?;
            Ok(())
        })?;
        Ok(epoch)
    }
}
