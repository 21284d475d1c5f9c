//! Featheredge serves machine-learning features from the edge: from memory, from a distributed key-value store, or,
//! failing both, from the origin, with a known staleness and a measured service level.
//!
//! This crate is what becomes wasm: the hosts, which move bytes between Cloudflare or JavaScript and the core, and decide nothing. The
//! core is the crates under `crates/`; ARCHITECTURE.md says on which floor each stands.

#[cfg(any(feature = "worker", feature = "npm", feature = "watch"))]
pub mod host;
