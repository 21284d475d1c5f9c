//! The configuration, from an object of JavaScript's.

use js_sys::{Array, Object};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

use config::{Config, ConfigError, Tree};

/// The integers that a double holds apart from their neighbours end at 2⁵³.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = String)]
    fn in_words(number: &JsValue) -> String;
}

/// The configuration that the object says; the default one where it is `undefined`.
///
/// Not through `serde-wasm-bindgen`: it shows numbers in its errors, and what shows floats weighs more than all of the
/// configuration's own code.
#[cfg(any(feature = "worker", feature = "npm"))]
pub(super) fn config(table: &JsValue) -> Result<Config, ConfigError> {
    if table.is_undefined() { Ok(Config::default()) } else { Config::from_tree(&tree(table, 0)?) }
}

/// As far as whoever watches needs it.
#[cfg(feature = "watch")]
pub(super) fn watching(table: &JsValue) -> Result<Config, ConfigError> {
    if table.is_undefined() { Ok(Config::default()) } else { Config::watching_from_tree(&tree(table, 0)?) }
}

fn tree(value: &JsValue, depth: u8) -> Result<Tree, ConfigError> {
    let unreadable = |reason: &str| Err(ConfigError::Unreadable(reason.to_owned()));
    if value.is_null() || value.is_undefined() {
        Ok(Tree::Null)
    } else if let Some(value) = value.as_bool() {
        Ok(Tree::Boolean(value))
    } else if let Some(number) = value.as_f64() {
        let is_whole = number.trunc() == number && number.abs() <= MAX_SAFE_INTEGER;
        Ok(if is_whole { Tree::Integer(number as i64) } else { Tree::Other(in_words(value)) })
    } else if value.is_bigint() {
        Ok(in_words(value).parse().map_or_else(|_| Tree::Other(in_words(value)), Tree::Integer))
    } else if let Some(text) = value.as_string() {
        Ok(Tree::Text(text))
    } else if !value.is_object() {
        unreadable("it has a value that is neither a text, a number, a boolean, a list nor a table")
    } else if depth == Tree::MAX_DEPTH {
        unreadable("it nests too deep")
    } else if let Some(list) = value.dyn_ref::<Array>() {
        list.iter().map(|value| tree(&value, depth + 1)).collect::<Result<_, _>>().map(Tree::List)
    } else {
        let entry = |entry: JsValue| {
            let entry: Array = entry.unchecked_into();
            Ok((entry.get(0).as_string().unwrap_or_default(), tree(&entry.get(1), depth + 1)?))
        };
        Object::entries(value.unchecked_ref()).iter().map(entry).collect::<Result<_, _>>().map(Tree::Table)
    }
}
