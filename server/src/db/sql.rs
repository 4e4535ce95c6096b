//! What the store asks of a database, in the words that SQLite and PostgreSQL share.
//!
//! Statements are written once, with SQLite's numbered parameters (`?1`); PostgreSQL reads them with
//! `$1`. Nothing is used that only one of the two has.

use std::fmt;

use holdfast_server_core::StorageError;

/// A value for a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<u64> for Value<'_> {
    /// Databases count in i64; versions, numbers and times stay far below.
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Row(pub(crate) Vec<Cell>);

impl Row {
    fn wrong(column: usize) -> SqlError {
        SqlError { trouble: Trouble::Broken, says: format!("column {column} has another type") }
    }

    pub(crate) fn int(&self, column: usize) -> Result<i64, SqlError> {
        match self.0.get(column) {
            Some(Cell::Int(number)) => Ok(*number),
            Some(Cell::Null | Cell::Text(_) | Cell::Bytes(_)) | None => Err(Self::wrong(column)),
        }
    }

    pub(crate) fn number(&self, column: usize) -> Result<u64, SqlError> {
        Ok(u64::try_from(self.int(column)?).unwrap_or(0))
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, SqlError> {
        self.maybe_text(column)?.ok_or_else(|| Self::wrong(column))
    }

    pub(crate) fn maybe_text(&self, column: usize) -> Result<Option<String>, SqlError> {
        match self.0.get(column) {
            Some(Cell::Text(text)) => Ok(Some(text.clone())),
            Some(Cell::Null) => Ok(None),
            Some(Cell::Int(_) | Cell::Bytes(_)) | None => Err(Self::wrong(column)),
        }
    }

    pub(crate) fn digest(&self, column: usize) -> Result<[u8; 32], SqlError> {
        match self.0.get(column) {
            Some(Cell::Bytes(bytes)) => {
                bytes.as_slice().try_into().map_err(|_| Self::wrong(column))
            }
            Some(Cell::Null | Cell::Int(_) | Cell::Text(_)) | None => Err(Self::wrong(column)),
        }
    }
}

/// What kind of trouble a database is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Somebody else is in the way: the same again may do.
    Busy,
    /// Its disk is full.
    Full,
    /// Anything else.
    Broken,
}

/// A statement failed.
#[derive(Debug, Clone)]
pub struct SqlError {
    pub(crate) trouble: Trouble,
    pub(crate) says: String,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.says)
    }
}

impl std::error::Error for SqlError {}

impl From<SqlError> for StorageError {
    fn from(error: SqlError) -> Self {
        Self(error.says)
    }
}

/// One open transaction.
pub(crate) trait Sql {
    /// Runs a statement; gives how many rows it changed.
    fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, SqlError>;
    /// Runs a statement that gives rows.
    fn query(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, SqlError>;

    /// The one row of a statement that always gives one.
    fn one(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Row, SqlError> {
        self.query(sql, values)?.into_iter().next().ok_or_else(|| SqlError {
            trouble: Trouble::Broken,
            says: "a row is missing".to_owned(),
        })
    }
}

/// The number of this format. A database of another number is migrated where that is known, or
/// refused, never guessed at.
pub(crate) const FORMAT: i64 = 2;

/// The tables of [`FORMAT`]. A *tenant* here is a space: the tenant itself for the standard
/// protocol, `<wire>/<tenant>` for each wire.
pub(crate) const SCHEMA: &str = "
CREATE TABLE store (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE tenants (
    tenant TEXT PRIMARY KEY, last INTEGER NOT NULL, horizon INTEGER NOT NULL, repeats INTEGER NOT NULL,
    pruned_to INTEGER NOT NULL DEFAULT 0, stamp INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE records (
    tenant TEXT NOT NULL, collection TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
    document TEXT, op_id TEXT NOT NULL, at INTEGER NOT NULL, stored_at INTEGER NOT NULL,
    change INTEGER NOT NULL, part TEXT NOT NULL DEFAULT '', meta TEXT,
    PRIMARY KEY (tenant, collection, id), UNIQUE (tenant, change)
) STRICT;
CREATE TABLE verdicts (
    tenant TEXT NOT NULL, op_id TEXT NOT NULL, digest BLOB NOT NULL, kind TEXT NOT NULL,
    outcome TEXT NOT NULL, PRIMARY KEY (tenant, op_id)
) STRICT;
CREATE TABLE effects (
    tenant TEXT NOT NULL, op_id TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (tenant, op_id)
) STRICT;
";

/// What [`FORMAT`] 2 has that 1 had not.
pub(crate) const SINCE_2: &str = "
CREATE TABLE notes (
    tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, name)
) STRICT;
CREATE INDEX records_by_part ON records (tenant, collection, part, change);
CREATE INDEX records_by_time ON records (tenant, stored_at, change);
CREATE INDEX records_by_table ON records (tenant, collection, stored_at);
";

/// From format 1, which only SQLite files have.
pub(crate) const FROM_1: &str = "
ALTER TABLE tenants ADD COLUMN pruned_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
ALTER TABLE records ADD COLUMN part TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN meta TEXT;
UPDATE tenants SET stamp = coalesce(
    (SELECT max(stored_at) FROM records WHERE records.tenant = tenants.tenant), 0);
";
