//! The Durable Objects, in the Worker's build only: the shards of the storage tier, the invalidation log and the merged windows. The crates
//! `storage-shard`, `invalidation-log` and `aggregator` decide; here their decisions are applied to the storage, by the `worker` crate.
//!
//! Thin JavaScript classes wrap them (`npm/src/worker/durable_objects.js`), since an object outlives the wasm instance of its Rust. Invariants:
//! every call is synchronous, so nothing waits in another object's I/O context; a promise of the platform is returned to JavaScript,
//! which awaits it. All state can be read again from storage, or is passed to each call.

use js_sys::{Date, Promise, Uint8Array};
use wasm_bindgen::JsValue;
use worker::{Error, SqlStorage, SqlStorageValue, Storage};

pub mod invalidation_log;
pub mod merged_windows;
pub mod messages;
pub mod storage_shard;

/// Why a call failed, as a text. Any other exception has unwound the module's frames, and left them inconsistent.
type Failure = String;

/// The failure of a message that is truncated or of another version.
fn unreadable() -> Failure {
    "the message cannot be read".to_owned()
}

/// Executes a statement and returns its rows.
fn query(sql: &SqlStorage, statement: &str, bindings: Vec<JsValue>) -> Result<Vec<Vec<SqlStorageValue>>, Failure> {
    let mut rows = Vec::new();
    for row in sql.exec_raw(statement, bindings).map_err(failure)?.raw() {
        rows.push(row.map_err(failure)?);
    }
    Ok(rows)
}

/// The storage's error. The texts of all errors of the crate would be the largest part of this code.
fn failure(error: Error) -> Failure {
    match error {
        Error::UnknownJsError { message, .. } => message,
        Error::JsError(text) | Error::InternalError(text) | Error::RustError(text) => text,
        _ => "the storage failed".to_owned(),
    }
}

/// A number for SQLite. No number here exceeds 2⁵³.
fn number(number: u64) -> JsValue {
    JsValue::from_f64(number as f64)
}

/// Bytes for SQLite.
fn blob(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// A number of SQLite; `None` for null.
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

/// Sets the object's alarm. The crate's own function is a future, which could resume in another object's I/O context.
fn set_alarm(storage: &Storage, at: u64) -> Result<Promise, Failure> {
    let at = Date::new(&number(at));
    storage.as_raw().set_alarm(at, JsValue::NULL.into()).map_err(|_| "no alarm can be set".to_owned())
}
