//! What keeps rows: L1 in memory, the rules of fresh, stale and expired, and the marks of
//! what was written since.
//!
//! Knows neither requests nor protocols. Its invariant: what it hands out is the row of exactly the key asked for.

pub mod freshness;
pub mod hold;
pub mod lookup;
mod lru;
pub mod marks;
pub mod memory;
pub mod policy;
mod s3fifo;
mod table;
