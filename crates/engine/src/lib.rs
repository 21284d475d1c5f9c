//! The decisions: what L1 answers, what the stores are asked, what the origin must compute, and what is written back.
//!
//! Sees rows, keys and times; knows neither JSON nor any protocol, does no I/O and reads no clock. Invariants: every
//! session that begins gives exactly one answer, by its deadline at the latest if its timers are run; and no session
//! waits for another without a timer of its own that runs.

mod advance;
pub mod breaker;
mod engine;
mod eviction_rate;
mod flight;
mod io;
mod l1;
pub mod latency;
pub mod limiter;
mod merge;
mod origin;
mod prefetch;
mod read_batch;
pub mod read_policy;
pub mod serving_pattern;
mod session;
mod settings;
pub mod slab;
pub mod store;
mod store_results;
mod write_allowance;
mod write_queue;
mod writes;

pub use engine::{BeginOutcome, Engine, RECYCLED_BYTES};
pub use io::{EngineEffect, MAX_STORES, Progress, SessionId, StreamedEntities};
pub use serving_pattern::{PatternLimits, ServingPattern};
pub use settings::Settings;
pub use store::StoreSettings;
pub use store_results::{ReadFailure, WriteOutcome};
pub use write_allowance::WriteAllowance;
