//! The nouns of feature serving: keys, values, rows, what is asked and what is answered.
//!
//! Knows neither JSON documents, nor stores, nor time beyond the numbers it is handed. Its invariant: a value is the
//! JSON text that its origin wrote, and never passes through a number type on its way to the caller.

pub mod answer;
pub mod block;
pub mod canonical_key_hash;
pub mod fetch_spec;
pub mod interner;
pub mod key;
pub mod refusal;
pub mod request;
pub mod row;
pub mod shape;
pub mod sort;
pub mod texts;
pub mod time;
pub mod value;
