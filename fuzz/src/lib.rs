//! Fuzzing of everything that reads hostile bytes, guided by coverage on the stable toolchain.
//!
//! `cargo-fuzz` and its kin need a nightly compiler for their counters. `-C instrument-coverage` is stable, and its counters lie in
//! memory as theirs do, so the search in `main.rs` reads those. A [`Target`] knows how to run one input and what must hold of it; it
//! knows nothing of the search. Its invariant: the same input runs the same way every time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what must hold and does not is to stop the run"
)]

pub mod mutate;
mod targets;

/// Something that reads hostile bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called on the command line, and in `fuzz/corpus`.
    pub name: &'static str,
    /// Runs one input, and panics where something does not hold of it.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Whether inputs are JSON, so that changing them by the token goes further.
    pub is_json: bool,
    /// Whose coverage is told: paths as they stand in mangled names.
    pub modules: &'static [&'static str],
}

/// All of them.
pub const TARGETS: [Target; 5] = [
    targets::request::TARGET,
    targets::origin::TARGET,
    targets::envelope::TARGET,
    targets::config::TARGET,
    targets::session::TARGET,
];

/// The largest input, in bytes: what is longer finds nothing that this does not, and slows the search.
pub const MAX_INPUT: usize = 4_096;
