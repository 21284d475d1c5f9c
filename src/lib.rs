//! Featheredge serves machine-learning features from the edge: from memory, from a distributed key-value store, or,
//! failing both, from the origin, with a known staleness and a measured service level.
//!
//! The house has floors, and a file uses files of its own folder and of lower floors alone:
//!
//! | floor | what | knows |
//! |---|---|---|
//! | 6 | `host` | Cloudflare or JavaScript; moves bytes and decides nothing |
//! | 5 | [`service`] | bytes in, I/O orders out, bytes in, a reply out |
//! | 4 | [`engine`]; beside it `aggregator`, in a module of its own | the decisions; who watches |
//! | 3 | [`protocol`] and above it [`origin`] and [`columnar`], [`cache`], [`telemetry`] | JSON; what keeps rows; what is measured |
//! | 2 | [`model`] | keys, values, rows |
//! | 1 | [`config`] | what is set |

pub mod engine;
pub mod service;

#[cfg(any(feature = "worker", feature = "npm", feature = "watch"))]
pub mod host;
