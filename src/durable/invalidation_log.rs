//! The invalidation log of a project, in SQLite. It is read once, and kept in memory, which its bounds allow.

use invalidation_log::{Append, Change, Dropped, Mark, Stored};
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
            "CREATE TABLE IF NOT EXISTS marks (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, mark BLOB NOT NULL);
            CREATE TABLE IF NOT EXISTS dropped (number INTEGER NOT NULL, at INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS ledger (epoch INTEGER NOT NULL)";
        query(&sql, tables, Vec::new())?;
        let (log, begin) = invalidation_log::InvalidationLog::restore(stored(&sql)?, new_epoch(), now());
        let log = InvalidationLog { sql, log };
        begin.map_or(Ok(()), |begin| log.store(begin))?;
        Ok(log)
    }

    /// Answers an `Append` with an `Appended`.
    ///
    /// # Errors
    /// What the storage fails with. What is in memory is ahead of it then: the next call is another object's, made anew.
    pub fn append(&mut self, request: &[u8]) -> Result<Vec<u8>, Failure> {
        let call = Append::read(request).ok_or_else(unreadable)?;
        for change in self.log.append(&call, now(), new_epoch) {
            self.store(change)?;
        }
        Ok(self.log.answer(&call).to_bytes())
    }
}

impl InvalidationLog {
    /// Makes a change, in an order of which any beginning may be all that is stored: see [`Change`].
    fn store(&self, change: Change) -> Result<(), Failure> {
        let make = |statement, bindings| query(&self.sql, statement, bindings).map(|_| ());
        match change {
            Change::Begin { epoch, dropped: Dropped { number: last, at } } => {
                make("DELETE FROM ledger; DELETE FROM dropped; DELETE FROM marks", Vec::new())?;
                make("INSERT INTO dropped VALUES (?, ?)", vec![number(last), number(at)])?;
                make("INSERT INTO ledger VALUES (?)", vec![number(epoch)])
            }
            Change::Insert(Mark { number: place, at, bytes }) => {
                make("INSERT INTO marks VALUES (?, ?, ?)", vec![number(place), number(at), blob(&bytes)])
            }
            Change::Expire { at, number: last } => {
                make("DELETE FROM marks WHERE at < ? AND number < ?", vec![number(at), number(last)])
            }
            Change::Drop(Dropped { number: last, at }) => {
                make("UPDATE dropped SET number = ?, at = ?", vec![number(last), number(at)])?;
                make("DELETE FROM marks WHERE number <= ?", vec![number(last)])
            }
        }
    }
}

/// What is stored of a log; `None` where none has begun.
fn stored(sql: &SqlStorage) -> Result<Option<Stored>, Failure> {
    let numbers = |statement| -> Result<Option<Vec<u64>>, Failure> {
        Ok(query(sql, statement, Vec::new())?.first().and_then(|row| row.iter().map(read_number).collect()))
    };
    let epoch = numbers("SELECT epoch FROM ledger")?;
    let dropped = numbers("SELECT number, at FROM dropped")?;
    let (Some([epoch]), Some([number, at])) = (epoch.as_deref(), dropped.as_deref()) else { return Ok(None) };
    let dropped = Dropped { number: *number, at: *at };
    let rows = query(sql, "SELECT number, at, mark FROM marks ORDER BY number", Vec::new())?;
    let mark = |row: Vec<SqlStorageValue>| match <[SqlStorageValue; 3]>::try_from(row) {
        Ok([number, at, SqlStorageValue::Blob(bytes)]) => {
            Some(Mark { number: read_number(&number)?, at: read_number(&at)?, bytes })
        }
        _ => None,
    };
    // A log whose marks cannot be read is none.
    let marks = rows.into_iter().map(mark).collect::<Option<_>>();
    Ok(marks.map(|marks| Stored { epoch: *epoch, dropped, marks }))
}

/// A number that no other log has, and that JavaScript can tell from its neighbours; never 0.
fn new_epoch() -> u64 {
    let mut bytes = [0; 8];
    fill_with_random(&mut bytes);
    (u64::from_le_bytes(bytes) >> 11).max(1)
}
