//! The messages to and from the objects, for whoever calls them: the bytes of a request, and what the bytes of an answer say. What is sealed
//! is sealed in between, in JavaScript, so the parts of a message that are can be had, and be replaced.

use invalidation_log::{Append, Appended};
use js_sys::{Array, Uint8Array};
use serde_bytes::Bytes;
use storage_shard::{Read, Values, Write, Written};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

/// The `Read` of these keys.
#[wasm_bindgen]
pub fn encode_read(keys: &Array) -> Vec<u8> {
    let keys = texts(keys);
    storage_shard::to_bytes(&Read { keys: keys.iter().map(String::as_str).collect() })
}

/// The bytes of each of the `Values`, or `undefined`; nothing where the answer cannot be read.
#[wasm_bindgen]
pub fn decode_values(answer: &[u8]) -> Option<Array> {
    let Values { values } = storage_shard::read(answer)?;
    Some(values.into_iter().map(|value| value.map_or(JsValue::UNDEFINED, bytes_to_js)).collect())
}

/// The `Write` of keys and values.
#[wasm_bindgen]
pub fn encode_write(keys: &Array, values: &Array, ttl_seconds: f64, max_bytes: f64) -> Vec<u8> {
    let (keys, values) = (texts(keys), all_bytes(values));
    let entries = keys.iter().zip(&values).map(|(key, value)| (key.as_str(), Bytes::new(value))).collect();
    storage_shard::to_bytes(&Write { entries, ttl_millis: (ttl_seconds * 1_000.0) as u64, max_bytes: max_bytes as u64 })
}

/// How many entries of a write failed, as the `Written` says; nothing where the answer cannot be read.
#[wasm_bindgen]
pub fn decode_written(answer: &[u8]) -> Option<f64> {
    storage_shard::read(answer).map(|Written { failed }| failed as f64)
}

/// The marks of an `Append`.
#[wasm_bindgen]
pub fn marks_of_append(request: &[u8]) -> Option<Vec<u8>> {
    Append::read(request).map(|append| append.marks.to_vec())
}

/// An `Append` with other marks.
#[wasm_bindgen]
pub fn append_with_marks(request: &[u8], marks: &[u8]) -> Option<Vec<u8>> {
    Append::read(request).map(|append| Append { marks, ..append }.to_bytes())
}

/// The marks of an `Appended`.
#[wasm_bindgen]
pub fn marks_of_appended(answer: &[u8]) -> Option<Array> {
    Appended::read(answer).map(|appended| appended.marks.iter().map(|(_, mark)| bytes_to_js(mark)).collect())
}

/// An `Appended` with other marks in the place of its own.
#[wasm_bindgen]
pub fn appended_with_marks(answer: &[u8], marks: &Array) -> Option<Vec<u8>> {
    let marks = all_bytes(marks);
    let appended = Appended::read(answer)?;
    let marks = appended.marks.iter().zip(&marks).map(|((at, _), mark)| (*at, Bytes::new(mark))).collect();
    Some(Appended { marks, ..appended }.to_bytes())
}

fn texts(array: &Array) -> Vec<String> {
    array.iter().filter_map(|text| text.as_string()).collect()
}

fn all_bytes(array: &Array) -> Vec<Vec<u8>> {
    array.iter().map(|bytes| Uint8Array::new(&bytes).to_vec()).collect()
}

fn bytes_to_js(bytes: &Bytes) -> JsValue {
    Uint8Array::from(&**bytes).into()
}
