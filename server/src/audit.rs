//! What a database holds, counted: the figures that a test compares with the devices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::db::{Db, DbError, Sql, Value};

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
    /// Counts, in one consistent view of the database, what one tenant has, or all of them. What a
    /// tenant has on a wire counts for `<wire>/<tenant>`.
    ///
    /// # Errors
    /// [`DbError`]
    pub fn audit(&self, tenant: Option<&str>) -> Result<Audit, DbError> {
        self.read(|sql| audit(sql, tenant))
    }
}

fn audit(sql: &dyn Sql, tenant: Option<&str>) -> Result<Audit, DbError> {
    let mut audit = Audit::default();
    let of: Value<'_> = tenant.into();
    let records = sql.query(
        "SELECT collection, count(document), count(*) - count(document) FROM records
        WHERE coalesce(?1, tenant) = tenant GROUP BY collection",
        &[of],
    )?;
    for row in records {
        let count = Count { live: row.number(1)?, deleted: row.number(2)? };
        audit.records.insert(row.text(0)?, count);
    }
    let of_kind = |kind: Option<&str>| {
        sql.one(
            "SELECT count(*) FROM verdicts
            WHERE coalesce(?1, tenant) = tenant AND coalesce(?2, kind) = kind",
            &[of, kind.into()],
        )?
        .number(0)
    };
    audit.operations = of_kind(None)?;
    audit.applied = of_kind(Some("applied"))?;
    audit.conflicts = of_kind(Some("conflict"))?;
    audit.rejected = of_kind(Some("rejected"))?;
    let duplicates = sql.one(
        "SELECT CAST(coalesce(sum(repeats), 0) AS BIGINT) FROM tenants
        WHERE coalesce(?1, tenant) = tenant",
        &[of],
    )?;
    audit.duplicates = duplicates.number(0)?;
    let effects = sql.one(
        "SELECT CAST(coalesce(sum(count), 0) AS BIGINT), coalesce(max(count), 0) FROM effects
        WHERE coalesce(?1, tenant) = tenant",
        &[of],
    )?;
    (audit.effects, audit.max_effects) = (effects.number(0)?, effects.number(1)?);
    let orders = sql.query(
        "SELECT document FROM records WHERE collection = 'orders' AND document IS NOT NULL
        AND coalesce(?1, tenant) = tenant",
        &[of],
    )?;
    for row in orders {
        audit.orders.live += 1;
        // A document of another shape counts as a record and adds nothing.
        if let Ok(order) = serde_json::from_str::<Order>(&row.text(0)?) {
            audit.orders.lines += u64::try_from(order.lines.len()).unwrap_or(0);
            audit.orders.cents += order.total;
        }
    }
    Ok(audit)
}
