//! The engine's settings. They know no configuration file, and never change.

use ::prefetch::{governor, patterns};
use cache::job_window::JobSettings;
use cache::memory::Budget;
use cache::policy::Eviction;

use crate::breaker::BreakerSettings;
use crate::limiter::LimiterSettings;
use crate::read_policy;
use crate::serving_pattern::PatternSettings;
use crate::store::StoreSettings;

/// The engine's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most that L1 may hold.
    pub l1: Budget,
    /// Which of its rows make room.
    pub eviction: Eviction,
    /// The stores in read order, [`MAX_STORES`](crate::MAX_STORES) at most.
    pub stores: Vec<StoreSettings>,
    /// How long a call to the origin may take at the most, in milliseconds.
    pub origin_timeout_millis: u64,
    /// The thresholds and limits of the serving patterns.
    pub serving_patterns: PatternSettings,
    /// When the circuit breakers open.
    pub breaker: BreakerSettings,
    /// How many calls the origin gets at one time.
    pub limiter: LimiterSettings,
    /// Whether timeouts adapt to measured latencies.
    pub has_adaptive_timeouts: bool,
    /// The read policy of L2; `None` where it follows from measurements.
    pub l2_read_policy: Option<read_policy::ReadPolicy>,
    /// Whether concurrent requests share one fetch of a row.
    pub is_singleflight: bool,
    /// XFetch's β in thousandths: how eagerly rows are revalidated before their time to live ends. 0
    /// disables it.
    pub early_beta_permille: u32,
    /// What the prefetch patterns are trained on.
    pub learning: patterns::TrainingSettings,
    /// What is prefetched.
    pub prefetch: governor::GovernorSettings,
    /// How long jobs invalidate that continue after their acknowledgement.
    pub jobs: JobSettings,
    /// The maximum clock skew between the isolates that share a store, in milliseconds.
    pub max_clock_skew_millis: u64,
    /// How many requests may be pending before some are shed.
    pub max_sessions: usize,
    /// How much memory pending requests may take before some are shed, in bytes.
    pub pending_bytes: usize,
    /// Seeds the random numbers.
    pub seed: u64,
}
