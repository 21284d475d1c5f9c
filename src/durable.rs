//! The Durable Objects under the Worker, in its build alone: the shards of the storage tier, the invalidation log, the merged windows. What
//! they decide, the crates `storage-shard`, `invalidation-log` and `aggregator` do; here it is carried out on the storage that the `worker`
//! crate gives.
//!
//! Thin classes of JavaScript stand around them (`npm/src/worker/durable.js`), since an object outlives the instance that its Rust is in.
//! Invariants: every call is synchronous, so that nothing of one object's I/O context waits in another's; a promise of the platform goes
//! back to JavaScript, which awaits it. What an object here holds it can read again from its storage; what it cannot is passed to each call.

use js_sys::{Date, Promise, Uint8Array};
use wasm_bindgen::JsValue;
use worker::{Error, SqlStorage, SqlStorageValue, Storage};

pub mod invalidation_log;
pub mod merged_windows;
pub mod messages;
pub mod storage_shard;

/// Why a call has failed, as a text. Whatever else is thrown has passed through the module's frames, and left them half-finished.
type Failure = String;

/// The failure of a call whose message is cut off or of another version.
fn unreadable() -> Failure {
    "the message cannot be read".to_owned()
}

/// Carries out a statement, and gives the rows that it finds.
fn query(sql: &SqlStorage, statement: &str, bindings: Vec<JsValue>) -> Result<Vec<Vec<SqlStorageValue>>, Failure> {
    let mut rows = Vec::new();
    for row in sql.exec_raw(statement, bindings).map_err(failure)?.raw() {
        rows.push(row.map_err(failure)?);
    }
    Ok(rows)
}

/// What the storage has to say. The texts of all that the crate can fail with would be the longest part of the objects.
fn failure(error: Error) -> Failure {
    match error {
        Error::UnknownJsError { message, .. } => message,
        Error::JsError(text) | Error::InternalError(text) | Error::RustError(text) => text,
        _ => "the storage failed".to_owned(),
    }
}

/// A number as SQLite takes it. None that matters is past 2⁵³.
fn number(number: u64) -> JsValue {
    JsValue::from_f64(number as f64)
}

/// Bytes as SQLite takes them.
fn blob(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// The number that SQLite gives; `None` where it gives nothing.
fn read_number(value: &SqlStorageValue) -> Option<u64> {
    match value {
        SqlStorageValue::Integer(number) => u64::try_from(*number).ok(),
        SqlStorageValue::Float(number) => Some(*number as u64),
        _ => None,
    }
}

/// The time, in milliseconds.
fn now() -> u64 {
    Date::now() as u64
}

/// Sets the object's alarm. The crate's own function is a future, which would go on in whatever I/O context runs the module's tasks next.
fn set_alarm(storage: &Storage, at: u64) -> Result<Promise, Failure> {
    let at = Date::new(&number(at));
    storage.as_raw().set_alarm(at, JsValue::NULL.into()).map_err(|_| "no alarm can be set".to_owned())
}
