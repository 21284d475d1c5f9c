//! The messages to and from the Durable Objects, for their JavaScript callers: encodes requests, and decodes replies. JavaScript encrypts
//! entries in between, so an entry of a message can be read and replaced.

use invalidation_log::{Append, Appended};
use js_sys::{Array, Uint8Array};
use serde_bytes::Bytes;
use storage_shard::{Read, Values, Write, Written};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

/// The `Read` of these keys.
#[wasm_bindgen]
pub fn encode_read(keys: &Array) -> Vec<u8> {
    let keys = strings(keys);
    storage_shard::to_bytes(&Read { keys: keys.iter().map(String::as_str).collect() })
}

/// The bytes of each of the `Values`, or `undefined`; nothing where the reply cannot be read.
#[wasm_bindgen]
pub fn decode_values(reply: &[u8]) -> Option<Array> {
    let Values { values } = storage_shard::read(reply)?;
    Some(values.into_iter().map(|value| value.map_or(JsValue::UNDEFINED, bytes_to_js)).collect())
}

/// The `Write` of keys and values.
#[wasm_bindgen]
pub fn encode_write(keys: &Array, values: &Array, ttl_seconds: f64, max_bytes: f64) -> Vec<u8> {
    let (keys, values) = (strings(keys), all_bytes(values));
    let entries = keys.iter().zip(&values).map(|(key, value)| (key.as_str(), Bytes::new(value))).collect();
    storage_shard::to_bytes(&Write { entries, ttl_millis: (ttl_seconds * 1_000.0) as u64, max_bytes: max_bytes as u64 })
}

/// How many entries of a write failed, by the `Written`; nothing where the reply cannot be read.
#[wasm_bindgen]
pub fn decode_written(reply: &[u8]) -> Option<f64> {
    storage_shard::read(reply).map(|Written { failed }| failed as f64)
}

/// The entry of an `Append`.
#[wasm_bindgen]
pub fn entry_of_append(request: &[u8]) -> Option<Vec<u8>> {
    Append::read(request).map(|append| append.entry.to_vec())
}

/// An `Append` with another entry.
#[wasm_bindgen]
pub fn append_with_entry(request: &[u8], entry: &[u8]) -> Option<Vec<u8>> {
    Append::read(request).map(|append| Append { entry, ..append }.to_bytes())
}

/// The entries of an `Appended`.
#[wasm_bindgen]
pub fn entries_of_appended(reply: &[u8]) -> Option<Array> {
    Appended::read(reply).map(|appended| appended.entries.iter().map(|(_, entry)| bytes_to_js(entry)).collect())
}

/// An `Appended` with its entries replaced.
#[wasm_bindgen]
pub fn appended_with_entries(reply: &[u8], entries: &Array) -> Option<Vec<u8>> {
    let entries = all_bytes(entries);
    let appended = Appended::read(reply)?;
    let entries = appended.entries.iter().zip(&entries).map(|((at, _), entry)| (*at, Bytes::new(entry))).collect();
    Some(Appended { entries, ..appended }.to_bytes())
}

fn strings(array: &Array) -> Vec<String> {
    array.iter().filter_map(|text| text.as_string()).collect()
}

fn all_bytes(array: &Array) -> Vec<Vec<u8>> {
    array.iter().map(|bytes| Uint8Array::new(&bytes).to_vec()).collect()
}

fn bytes_to_js(bytes: &Bytes) -> JsValue {
    Uint8Array::from(&**bytes).into()
}
