//! What a database holds, counted: the figures that a test compares with the devices.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::db::{Db, DbError};

/// The counts of one tenant, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// Per collection.
    pub records: BTreeMap<String, Count>,
    /// Operations with a stored verdict.
    pub operations: u64,
    /// Those that were applied.
    pub applied: u64,
    /// Those in conflict.
    pub conflicts: u64,
    /// Those refused for good.
    pub rejected: u64,
    /// Repeats answered from a stored verdict.
    pub duplicates: u64,
    /// Changes of records, over all operations.
    pub effects: u64,
    /// The greatest number of effects of one operation. More than 1 is a bug.
    pub max_effects: u64,
    /// The live documents of the collection `orders`.
    pub orders: Orders,
}

/// Records of one collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// With a document.
    pub live: u64,
    /// Tombstones.
    pub deleted: u64,
}

/// The sums over orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// How many.
    pub live: u64,
    /// Lines in them.
    pub lines: u64,
    /// The sum of their totals.
    pub cents: i64,
}

#[derive(Deserialize)]
struct Order {
    #[serde(default)]
    lines: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    total: i64,
}

impl Db {
    /// Counts, in one consistent view of the database, what one tenant has, or all of them.
    ///
    /// # Errors
    /// [`DbError`]
    pub fn audit(&self, tenant: Option<&str>) -> Result<Audit, DbError> {
        self.read(|connection| {
            let tx = connection.unchecked_transaction()?;
            Ok(audit(&tx, tenant)?)
        })
    }
}

fn audit(db: &Connection, tenant: Option<&str>) -> rusqlite::Result<Audit> {
    let mut audit = Audit::default();
    let mut records = db.prepare(
        "SELECT collection, count(document), count(*) - count(document) FROM records
        WHERE ?1 IS NULL OR tenant = ?1 GROUP BY collection",
    )?;
    let mut rows = records.query([tenant])?;
    while let Some(row) = rows.next()? {
        audit.records.insert(row.get(0)?, Count { live: row.get(1)?, deleted: row.get(2)? });
    }
    let of_kind = |kind: Option<&str>| {
        db.query_row(
            "SELECT count(*) FROM verdicts
            WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR kind = ?2)",
            params![tenant, kind],
            |r| r.get(0),
        )
    };
    audit.operations = of_kind(None)?;
    audit.applied = of_kind(Some("applied"))?;
    audit.conflicts = of_kind(Some("conflict"))?;
    audit.rejected = of_kind(Some("rejected"))?;
    audit.duplicates = db.query_row(
        "SELECT coalesce(sum(repeats), 0) FROM tenants WHERE ?1 IS NULL OR tenant = ?1",
        [tenant],
        |r| r.get(0),
    )?;
    (audit.effects, audit.max_effects) = db.query_row(
        "SELECT coalesce(sum(count), 0), coalesce(max(count), 0) FROM effects
        WHERE ?1 IS NULL OR tenant = ?1",
        [tenant],
        |r| Ok((r.get(0)?, r.get(1)?)),
    )?;
    let mut orders = db.prepare(
        "SELECT document FROM records WHERE collection = 'orders' AND document IS NOT NULL
        AND (?1 IS NULL OR tenant = ?1)",
    )?;
    let mut rows = orders.query([tenant])?;
    while let Some(row) = rows.next()? {
        audit.orders.live += 1;
        let text: String = row.get(0)?;
        // A document of another shape counts as a record and adds nothing.
        if let Ok(order) = serde_json::from_str::<Order>(&text) {
            audit.orders.lines += u64::try_from(order.lines.len()).unwrap_or(0);
            audit.orders.cents += order.total;
        }
    }
    Ok(audit)
}
