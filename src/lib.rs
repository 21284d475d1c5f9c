//! Featheredge serves machine-learning features from the edge: from memory, from a distributed key-value store, or,
//! failing both, from the origin, with a known staleness and a measured service level.
//!
//! The house has floors, and a file uses files of its own folder and of lower floors alone:
//!
//! | floor | what | knows |
//! |---|---|---|
//! | 6 | `core` | JavaScript; moves bytes and decides nothing |
//! | 5 | [`service`] | bytes in, I/O orders out, bytes in, a reply out |
//! | 4 | [`engine`]; beside it `watch` | the decisions; who watches |
//! | 3 | [`protocol`] and above it [`upstream`] and [`columns`], [`cache`], [`observe`] | JSON; what keeps rows; what is measured |
//! | 2 | [`model`] | keys, values, rows |
//! | 1 | [`config`] | what is set |

pub use cache;
pub use columns;
pub use config;
pub use learn;
pub use model;
pub use observe;
pub use protocol;
pub use upstream;

pub mod engine;
pub mod service;

pub mod core;
mod panics;
mod wasm_memory;
