//! The Durable Object of one shard of the storage tier (L3): entries with a TTL, in SQLite.

use js_sys::{Array, JSON, Promise};
use serde_bytes::Bytes;
use storage_shard::{Read, Values, Write, Written};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use worker::{SqlStorage, SqlStorageValue, State, Storage, worker_sys::DurableObjectState};

use super::{Failure, blob, now, number, query, read_number, set_alarm, unreadable};

/// A shard.
#[wasm_bindgen]
#[derive(Debug)]
pub struct StorageShard {
    storage: Storage,
    sql: SqlStorage,
    alarm: Option<Promise>,
}

#[wasm_bindgen]
impl StorageShard {
    /// The shard of an object.
    ///
    /// # Errors
    /// What the storage fails with.
    #[wasm_bindgen(constructor)]
    pub fn new(ctx: DurableObjectState) -> Result<StorageShard, Failure> {
        let storage = State::from(ctx).storage();
        let sql = storage.sql();
        // Without rowid and further index, an entry costs one row written. `expires_at` precedes the value, so that a scan for expired
        // entries skips the pages of long values.
        let entries = "CREATE TABLE IF NOT EXISTS entries \
            (key TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID";
        query(&sql, entries, Vec::new())?;
        Ok(StorageShard { storage, sql, alarm: None })
    }

    /// Replies to a `Read` with `Values`.
    ///
    /// # Errors
    /// What the storage fails with.
    pub fn read(&self, request: &[u8]) -> Result<Vec<u8>, Failure> {
        let Read { keys } = storage_shard::read(request).ok_or_else(unreadable)?;
        let names: Array = keys.iter().copied().map(JsValue::from).collect();
        let names = JSON::stringify(&names).map(JsValue::from).unwrap_or_default();
        // A cross join looks up each key, and never scans all entries.
        let statement = "SELECT requested.key, entries.value FROM json_each(?) AS requested CROSS JOIN entries \
            ON entries.key = requested.value WHERE expires_at > ?";
        let rows = query(&self.sql, statement, vec![names, number(now())])?;
        let mut values = vec![None; keys.len()];
        for row in &rows {
            if let [index, SqlStorageValue::Blob(value)] = &row[..]
                && let Some(index) = read_number(index).and_then(|index| values.get_mut(index as usize))
            {
                *index = Some(Bytes::new(value));
            }
        }
        Ok(storage_shard::to_bytes(&Values { values }))
    }

    /// Replies to a `Write` with `Written`; the write is one transaction. Where no alarm was set, there is one to
    /// [take](StorageShard::take_alarm).
    ///
    /// # Errors
    /// What the storage fails with.
    pub fn write(&mut self, request: &[u8], has_alarm: bool) -> Result<Vec<u8>, Failure> {
        let write: Write<'_> = storage_shard::read(request).ok_or_else(unreadable)?;
        let now = now();
        let mut failed = 0;
        for (key, value) in &write.entries {
            let entry = vec![JsValue::from_str(key), number(write.expires_at(now)), blob(value)];
            // SQLite rejects values past 2 MB here. The other entries are stored all the same.
            failed += u64::from(query(&self.sql, "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", entry).is_err());
        }
        let size = self.sql.database_size() as u64;
        if write.is_full(size) {
            let entries = self.number("SELECT count(*) FROM entries")?.unwrap_or_default();
            let statement = "DELETE FROM entries WHERE key IN (SELECT key FROM entries ORDER BY expires_at LIMIT ?)";
            query(&self.sql, statement, vec![number(write.evicted(entries, size))])?;
        }
        if !has_alarm {
            self.alarm = Some(set_alarm(&self.storage, write.sweep_at(now))?);
        }
        Ok(storage_shard::to_bytes(&Written { failed }))
    }

    /// Removes expired entries. Where some are left, there is an alarm to [take](StorageShard::take_alarm).
    ///
    /// # Errors
    /// What the storage fails with.
    pub fn sweep(&mut self) -> Result<(), Failure> {
        let now = now();
        query(&self.sql, "DELETE FROM entries WHERE expires_at <= ?", vec![number(now)])?;
        if let Some(next) = self.number("SELECT min(expires_at) FROM entries")? {
            self.alarm = Some(set_alarm(&self.storage, storage_shard::next_sweep_at(next, now))?);
        }
        Ok(())
    }

    /// The promise of setting an alarm, to be awaited.
    pub fn take_alarm(&mut self) -> Option<Promise> {
        self.alarm.take()
    }
}

impl StorageShard {
    /// The number that a statement returns.
    fn number(&self, statement: &str) -> Result<Option<u64>, Failure> {
        let rows = query(&self.sql, statement, Vec::new())?;
        Ok(rows.first().and_then(|row| row.first()).and_then(read_number))
    }
}
