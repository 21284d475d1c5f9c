//! Featheredge serves machine-learning features from the edge: from memory, from a distributed key-value store, or from the origin, with
//! a known staleness and a measured service level.
//!
//! This crate is the wasm module. It moves bytes between JavaScript and the core, and decides nothing. The core is the crates under
//! `crates/`; ARCHITECTURE.md has their layers. `examples/` and `docs/guide/npm/` show it at work, since it needs a JavaScript host.

pub mod core;
#[cfg(feature = "durable-objects")]
pub mod durable;
mod pending_effects;
// The `worker` crate logs panics itself.
#[cfg(not(feature = "durable-objects"))]
mod panics;
mod wasm_memory;
