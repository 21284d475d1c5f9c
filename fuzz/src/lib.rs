//! Fuzzing of everything that reads hostile bytes, guided by coverage on the stable toolchain.
//!
//! `cargo-fuzz` and similar tools need a nightly compiler for their counters. `-C instrument-coverage` is stable, and its counters are in
//! memory too, so the search in `main.rs` reads those. A [`Target`] runs one input and checks its invariants; it knows nothing of the search.
//! Invariant: the same input runs the same way every time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a violated invariant stops the run"
)]

pub mod mutate;
mod targets;

/// A parser of hostile bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line, and in `fuzz/corpus`.
    pub name: &'static str,
    /// Runs one input, and panics at a violated invariant.
    pub run: fn(&[u8]),
    /// The initial inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Whether inputs are JSON, which are mutated by tokens.
    pub is_json: bool,
    /// The modules whose coverage is reported, as paths in mangled names.
    pub modules: &'static [&'static str],
}

/// All targets.
pub const TARGETS: [Target; 5] = [
    targets::request::TARGET,
    targets::origin::TARGET,
    targets::envelope::TARGET,
    targets::config::TARGET,
    targets::session::TARGET,
];

/// The largest input, in bytes: longer ones find nothing more, and slow the search.
pub const MAX_INPUT: usize = 4_096;
