//! The Durable Object of a project's invalidation log, in SQLite. It is read once, and then held in memory, which its bounds allow.

use invalidation_log::{Append, Change, Dropped, LogEntry, Stored};
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{SqlStorage, SqlStorageValue, State, worker_sys::DurableObjectState};

use super::{Failure, blob, now, number, query, read_number, unreadable};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill_with_random(bytes: &mut [u8]);
}

/// The log.
#[wasm_bindgen]
#[derive(Debug)]
pub struct InvalidationLog {
    sql: SqlStorage,
    log: invalidation_log::InvalidationLog,
}

#[wasm_bindgen]
impl InvalidationLog {
    /// The log that an object stores.
    ///
    /// # Errors
    /// What the storage fails with.
    #[wasm_bindgen(constructor)]
    pub fn new(ctx: DurableObjectState) -> Result<InvalidationLog, Failure> {
        let sql = State::from(ctx).storage().sql();
        let tables =
            "CREATE TABLE IF NOT EXISTS invalidations (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, entry BLOB NOT NULL);
            CREATE TABLE IF NOT EXISTS dropped (number INTEGER NOT NULL, at INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS epoch (epoch INTEGER NOT NULL)";
        query(&sql, tables, Vec::new())?;
        let (log, begin) = invalidation_log::InvalidationLog::restore(stored(&sql)?, new_epoch(), now());
        let log = InvalidationLog { sql, log };
        begin.map_or(Ok(()), |begin| log.store(begin))?;
        Ok(log)
    }

    /// Replies to an `Append` with an `Appended`.
    ///
    /// # Errors
    /// What the storage fails with. Memory is then ahead of storage, so the caller must recreate the object.
    pub fn append(&mut self, request: &[u8]) -> Result<Vec<u8>, Failure> {
        let append = Append::read(request).ok_or_else(unreadable)?;
        for change in self.log.append(&append, now(), new_epoch) {
            self.store(change)?;
        }
        Ok(self.log.reply(&append).to_bytes())
    }
}

impl InvalidationLog {
    /// Stores a change. Its statements may be stored in part, from the first on: see [`Change`].
    fn store(&self, change: Change) -> Result<(), Failure> {
        let run = |statement, bindings| query(&self.sql, statement, bindings).map(|_| ());
        match change {
            Change::Begin { epoch, dropped: Dropped { number: last, at } } => {
                run("DELETE FROM epoch; DELETE FROM dropped; DELETE FROM invalidations", Vec::new())?;
                run("INSERT INTO dropped VALUES (?, ?)", vec![number(last), number(at)])?;
                run("INSERT INTO epoch VALUES (?)", vec![number(epoch)])
            }
            Change::Insert(LogEntry { number: entry, at, bytes }) => {
                run("INSERT INTO invalidations VALUES (?, ?, ?)", vec![number(entry), number(at), blob(&bytes)])
            }
            Change::Expire { at, number: last } => {
                run("DELETE FROM invalidations WHERE at < ? AND number < ?", vec![number(at), number(last)])
            }
            Change::Drop(Dropped { number: last, at }) => {
                run("UPDATE dropped SET number = ?, at = ?", vec![number(last), number(at)])?;
                run("DELETE FROM invalidations WHERE number <= ?", vec![number(last)])
            }
        }
    }
}

/// The stored log; `None` where none has begun.
fn stored(sql: &SqlStorage) -> Result<Option<Stored>, Failure> {
    let numbers = |statement| -> Result<Option<Vec<u64>>, Failure> {
        Ok(query(sql, statement, Vec::new())?.first().and_then(|row| row.iter().map(read_number).collect()))
    };
    let epoch = numbers("SELECT epoch FROM epoch")?;
    let dropped = numbers("SELECT number, at FROM dropped")?;
    let (Some([epoch]), Some([number, at])) = (epoch.as_deref(), dropped.as_deref()) else { return Ok(None) };
    let dropped = Dropped { number: *number, at: *at };
    let rows = query(sql, "SELECT number, at, entry FROM invalidations ORDER BY number", Vec::new())?;
    let entry = |row: Vec<SqlStorageValue>| match <[SqlStorageValue; 3]>::try_from(row) {
        Ok([number, at, SqlStorageValue::Blob(bytes)]) => {
            Some(LogEntry { number: read_number(&number)?, at: read_number(&at)?, bytes })
        }
        _ => None,
    };
    // A log with an unreadable entry counts as none.
    let entries = rows.into_iter().map(entry).collect::<Option<_>>();
    Ok(entries.map(|entries| Stored { epoch: *epoch, dropped, entries }))
}

/// A random number that JavaScript represents exactly; never 0.
fn new_epoch() -> u64 {
    let mut bytes = [0; 8];
    fill_with_random(&mut bytes);
    (u64::from_le_bytes(bytes) >> 11).max(1)
}
