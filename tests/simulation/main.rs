//! The serving core in a simulated world: a clock that only the test moves, a store and an origin that do as they are
//! told. The same core that runs in a Worker runs here, since it does no I/O of its own.

#![allow(missing_docs, reason = "tests are named for what they show")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may stop"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test may print")]

mod chaos;
mod random;
mod warm;
mod world;

mod bounds;
mod callers;
mod clocks;
mod compat;
mod conformance;
mod endpoints;
mod failures;
mod feast;
mod flights;
mod health;
mod histories;
mod input;
mod isolates;
mod large_reads;
mod memory;
mod merging;
mod metrics;
mod monitoring;
mod native;
mod openapi;
mod origin_bodies;
mod patterns;
mod prefetch;
mod queue;
mod registry;
mod rows;
mod storage;
mod store_writes;
mod streaming;
mod switches;
mod tiers;
mod writes;
