//! The engine: what L1 answers, what the stores and the origin are asked for, and what is written back.
//!
//! It knows rows, keys and times, and neither JSON nor any protocol. It does no I/O and reads no clock.
//! Invariants: every session that begins gives exactly one answer, by its deadline at the latest if its
//! timers are run; and no session waits for another without a timer of its own.
//!
//! [`Engine::begin`] answers from L1 or returns [`EngineEffect`]s, whose results advance the session. The
//! service's guide shows a whole request. Limiters and breakers protect the tiers, and work by themselves:
//!
//! ```
//! use featheredge_engine::limiter::{CallOutcome, Limiter, LimiterSettings};
//! use featheredge_engine::serving_pattern::ServingPattern;
//! use model::time::Timestamp;
//!
//! let mut limiter = Limiter::new(LimiterSettings { is_adaptive: false, max: 1 });
//! let permit = limiter.acquire(Timestamp(0), 100, 0).unwrap();
//! assert!(limiter.acquire(Timestamp(10), 100, 0).is_none(), "at the limit");
//! limiter.release(permit, CallOutcome::Answered(20));
//! assert!(limiter.acquire(Timestamp(20), 100, 0).is_some());
//! assert_eq!(ServingPattern::RealTime.name(), "real_time_serving");
//! ```

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
mod origin_calls;
mod prefetch;
mod read_batch;
pub mod read_policy;
pub mod serving_pattern;
mod session;
mod settings;
pub mod slab;
pub mod store;
mod store_reads;
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
