//! The store of the verdicts and of the wires, in rows.

use holdfast_server_core::{Document, Feed, Key, List, Record, Scan, StorageError, Stored, Tx};

use super::sql::{Row, Sql, SqlError, Trouble, Value};

/// One space of a database, in one transaction.
pub(crate) struct Rows<'a> {
    pub(crate) sql: &'a dyn Sql,
    pub(crate) space: &'a str,
}

type Found = Result<Vec<(u64, Key, Record)>, StorageError>;

fn limit(limit: usize) -> Value<'static> {
    Value::Int(i64::try_from(limit).unwrap_or(i64::MAX))
}

fn document(text: Option<String>) -> Result<Option<Document>, SqlError> {
    let read = |text: String| Document::parse(&text);
    text.map(read).transpose().map_err(|says| SqlError { trouble: Trouble::Broken, says })
}

/// Columns `version, document, op_id, at, stored_at, part, meta` from column `first` on.
fn record(row: &Row, first: usize) -> Result<Record, SqlError> {
    Ok(Record {
        version: row.number(first)?,
        document: document(row.maybe_text(first + 1)?)?,
        op_id: row.text(first + 2)?,
        at: row.number(first + 3)?,
        stored_at: row.number(first + 4)?,
        part: row.text(first + 5)?,
        meta: document(row.maybe_text(first + 6)?)?,
    })
}

/// Columns `collection, id` and those of [`record`], from column `first` on.
fn keyed(row: &Row, first: usize) -> Result<(Key, Record), SqlError> {
    let key = Key { collection: row.text(first)?, id: row.text(first + 1)? };
    Ok((key, record(row, first + 2)?))
}

impl Rows<'_> {
    /// Makes the space's row and, where several may write at once, locks it until the end.
    pub(crate) fn claim(&self) -> Result<(), SqlError> {
        let sql = "INSERT INTO tenants (tenant, last, horizon, repeats) VALUES (?1, 0, 0, 0)
            ON CONFLICT (tenant) DO NOTHING";
        self.sql.execute(sql, &[self.space.into()])?;
        // Every later statement sees what was committed before this one; nobody commits behind it.
        let sql = "UPDATE tenants SET last = last WHERE tenant = ?1";
        self.sql.execute(sql, &[self.space.into()])?;
        Ok(())
    }
}

impl Tx for Rows<'_> {
    fn feed(&self) -> Result<Feed, StorageError> {
        let sql = "SELECT value, coalesce(last, 0), coalesce(horizon, 0), coalesce(pruned_to, 0),
            coalesce(stamp, 0)
            FROM store LEFT JOIN tenants ON tenant = ?1 WHERE name = 'epoch'";
        let row = self.sql.one(sql, &[self.space.into()])?;
        Ok(Feed {
            epoch: row.text(0)?,
            last: row.number(1)?,
            horizon: row.number(2)?,
            pruned_to: row.number(3)?,
            stamp: row.number(4)?,
        })
    }

    fn record(&self, key: &Key) -> Result<Option<Record>, StorageError> {
        let sql = "SELECT version, document, op_id, at, stored_at, part, meta FROM records
            WHERE tenant = ?1 AND collection = ?2 AND id = ?3";
        let values = [self.space.into(), (&key.collection).into(), (&key.id).into()];
        let rows = self.sql.query(sql, &values)?;
        Ok(rows.first().map(|row| record(row, 0)).transpose()?)
    }

    fn put_record(&mut self, key: &Key, record: Record) -> Result<(), StorageError> {
        let sql = "UPDATE tenants SET last = last + 1,
            stamp = CASE WHEN stamp < ?2 THEN ?2 ELSE stamp END WHERE tenant = ?1 RETURNING last";
        let change = self.sql.one(sql, &[self.space.into(), record.stored_at.into()])?.int(0)?;
        let sql =
            "INSERT INTO records (tenant, collection, id, version, document, op_id, at, stored_at,
            change, part, meta) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
            ON CONFLICT (tenant, collection, id) DO UPDATE SET version = excluded.version,
            document = excluded.document, op_id = excluded.op_id, at = excluded.at,
            stored_at = excluded.stored_at, change = excluded.change, part = excluded.part,
            meta = excluded.meta";
        let values = [
            self.space.into(),
            (&key.collection).into(),
            (&key.id).into(),
            record.version.into(),
            record.document.as_ref().map(Document::as_str).into(),
            (&record.op_id).into(),
            record.at.into(),
            record.stored_at.into(),
            Value::Int(change),
            (&record.part).into(),
            record.meta.as_ref().map(Document::as_str).into(),
        ];
        self.sql.execute(sql, &values)?;
        let sql = "INSERT INTO effects (tenant, op_id, count) VALUES (?1, ?2, 1)
            ON CONFLICT (tenant, op_id) DO UPDATE SET count = effects.count + 1";
        self.sql.execute(sql, &[self.space.into(), (&record.op_id).into()])?;
        Ok(())
    }

    fn verdict(&self, op_id: &str) -> Result<Option<Stored>, StorageError> {
        let sql = "SELECT digest, outcome FROM verdicts WHERE tenant = ?1 AND op_id = ?2";
        let rows = self.sql.query(sql, &[self.space.into(), op_id.into()])?;
        let Some(row) = rows.first() else { return Ok(None) };
        let outcome =
            serde_json::from_str(&row.text(1)?).map_err(|e| StorageError(e.to_string()))?;
        Ok(Some(Stored { digest: row.digest(0)?, outcome }))
    }

    fn put_verdict(&mut self, stored: Stored) -> Result<(), StorageError> {
        let text =
            serde_json::to_string(&stored.outcome).map_err(|e| StorageError(e.to_string()))?;
        let sql = "INSERT INTO verdicts (tenant, op_id, digest, kind, outcome)
            VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = [
            self.space.into(),
            (&stored.outcome.op_id).into(),
            Value::Bytes(&stored.digest),
            stored.outcome.kind.as_str().into(),
            (&text).into(),
        ];
        self.sql.execute(sql, &values)?;
        Ok(())
    }

    fn count_repeat(&mut self, _op_id: &str) -> Result<(), StorageError> {
        let sql = "UPDATE tenants SET repeats = repeats + 1 WHERE tenant = ?1";
        self.sql.execute(sql, &[self.space.into()])?;
        Ok(())
    }

    fn scan(&self, scan: &Scan<'_>) -> Found {
        let (space, after, live_until) =
            (self.space.into(), scan.after.into(), scan.live_until.into());
        let most = limit(scan.limit);
        let rows = match (scan.collection, scan.part) {
            (None, _) => self.sql.query(
                "SELECT change, collection, id, version, document, op_id, at, stored_at, part, meta
                FROM records WHERE tenant = ?1 AND change > ?2
                AND (document IS NOT NULL OR change > ?3) ORDER BY change LIMIT ?4",
                &[space, after, live_until, most],
            ),
            (Some(collection), None) => self.sql.query(
                "SELECT change, collection, id, version, document, op_id, at, stored_at, part, meta
                FROM records WHERE tenant = ?1 AND change > ?2
                AND (document IS NOT NULL OR change > ?3) AND collection = ?5
                ORDER BY change LIMIT ?4",
                &[space, after, live_until, most, collection.into()],
            ),
            (Some(collection), Some(part)) => self.sql.query(
                "SELECT change, collection, id, version, document, op_id, at, stored_at, part, meta
                FROM records WHERE tenant = ?1 AND change > ?2
                AND (document IS NOT NULL OR change > ?3) AND collection = ?5 AND part = ?6
                ORDER BY change LIMIT ?4",
                &[space, after, live_until, most, collection.into(), part.into()],
            ),
        }?;
        let found = rows.iter().map(|row| {
            let (key, record) = keyed(row, 1)?;
            Ok((row.number(0)?, key, record))
        });
        found.collect()
    }

    fn change_at(&self, stored_from: u64) -> Result<u64, StorageError> {
        let sql =
            "SELECT coalesce(min(change), 0) FROM records WHERE tenant = ?1 AND stored_at >= ?2";
        match self.sql.one(sql, &[self.space.into(), stored_from.into()])?.number(0)? {
            0 => Ok(self.feed()?.last + 1),
            first => Ok(first),
        }
    }

    fn list(&self, list: &List<'_>) -> Result<Vec<(Key, Record)>, StorageError> {
        let sql = "SELECT collection, id, version, document, op_id, at, stored_at, part, meta
            FROM records WHERE tenant = ?1 AND collection = ?2 AND stored_at >= ?3
            AND (document IS NOT NULL OR CAST(?4 AS BIGINT) = 1) ORDER BY stored_at, length(id), id
            LIMIT ?5 OFFSET ?6";
        let values = [
            self.space.into(),
            list.collection.into(),
            list.since.into(),
            Value::Int(i64::from(list.tombstones)),
            limit(list.limit),
            limit(list.skip),
        ];
        let rows = self.sql.query(sql, &values)?;
        Ok(rows.iter().map(|row| keyed(row, 0)).collect::<Result<_, _>>()?)
    }

    fn count(&self, list: &List<'_>) -> Result<u64, StorageError> {
        let sql = "SELECT count(*) FROM records WHERE tenant = ?1 AND collection = ?2
            AND stored_at >= ?3 AND (document IS NOT NULL OR CAST(?4 AS BIGINT) = 1)";
        let values = [
            self.space.into(),
            list.collection.into(),
            list.since.into(),
            Value::Int(i64::from(list.tombstones)),
        ];
        Ok(self.sql.one(sql, &values)?.number(0)?)
    }

    fn note(&self, kind: &str, name: &str) -> Result<Option<String>, StorageError> {
        let sql = "SELECT text FROM notes WHERE tenant = ?1 AND kind = ?2 AND name = ?3";
        let rows = self.sql.query(sql, &[self.space.into(), kind.into(), name.into()])?;
        Ok(rows.first().map(|row| row.text(0)).transpose()?)
    }

    fn put_note(&mut self, kind: &str, name: &str, text: Option<&str>) -> Result<(), StorageError> {
        match text {
            Some(text) => {
                let sql = "INSERT INTO notes (tenant, kind, name, text) VALUES (?1, ?2, ?3, ?4)
                    ON CONFLICT (tenant, kind, name) DO UPDATE SET text = excluded.text";
                let values = [self.space.into(), kind.into(), name.into(), text.into()];
                self.sql.execute(sql, &values)?;
            }
            None => {
                let sql = "DELETE FROM notes WHERE tenant = ?1 AND kind = ?2 AND name = ?3";
                self.sql.execute(sql, &[self.space.into(), kind.into(), name.into()])?;
            }
        }
        Ok(())
    }

    fn notes(&self, kind: &str, prefix: &str) -> Result<Vec<(String, String)>, StorageError> {
        // The greatest character of all comes behind every name that begins so.
        let end = format!("{prefix}\u{10ffff}");
        let sql = "SELECT name, text FROM notes WHERE tenant = ?1 AND kind = ?2
            AND name >= ?3 AND name < ?4 ORDER BY name";
        let values = [self.space.into(), kind.into(), prefix.into(), (&end).into()];
        let rows = self.sql.query(sql, &values)?;
        Ok(rows.iter().map(|r| Ok((r.text(0)?, r.text(1)?))).collect::<Result<_, SqlError>>()?)
    }

    fn prune(&mut self, stored_before: u64) -> Result<usize, StorageError> {
        let old = [self.space.into(), stored_before.into()];
        let sql = "SELECT coalesce(max(change), 0), coalesce(max(stored_at), 0) FROM records
            WHERE tenant = ?1 AND document IS NULL AND stored_at < ?2";
        let row = self.sql.one(sql, &old)?;
        let sql = "UPDATE tenants SET
            horizon = CASE WHEN horizon < ?2 THEN ?2 ELSE horizon END,
            pruned_to = CASE WHEN pruned_to < ?3 THEN ?3 ELSE pruned_to END WHERE tenant = ?1";
        let values = [self.space.into(), Value::Int(row.int(0)?), Value::Int(row.int(1)?)];
        self.sql.execute(sql, &values)?;
        let sql = "DELETE FROM records WHERE tenant = ?1 AND document IS NULL AND stored_at < ?2";
        Ok(usize::try_from(self.sql.execute(sql, &old)?).unwrap_or(usize::MAX))
    }

    fn savepoint(&mut self) -> Result<(), StorageError> {
        self.sql.execute("SAVEPOINT part", &[])?;
        Ok(())
    }

    fn release(&mut self) -> Result<(), StorageError> {
        self.sql.execute("RELEASE SAVEPOINT part", &[])?;
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), StorageError> {
        self.sql.execute("ROLLBACK TO SAVEPOINT part", &[])?;
        self.release()
    }
}
