//! Featheredge serves machine-learning features from the edge: from memory, from a distributed key-value store, or,
//! failing both, from the origin, with a known staleness and a measured service level.
//!
//! This crate is the component, what becomes wasm: it moves bytes between JavaScript and the core, and decides nothing. The core is the
//! crates under `crates/`; ARCHITECTURE.md says on which floor each stands.

pub mod core;
#[cfg(feature = "durable-objects")]
pub mod durable;
mod effects_under_way;
// The `worker` crate has every panic logged itself.
#[cfg(not(feature = "durable-objects"))]
mod panics;
mod wasm_memory;
