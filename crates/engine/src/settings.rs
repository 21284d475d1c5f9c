//! What the engine is told once, when it is made.

use ::prefetch::{patterns, prefetch};
use cache::hold::JobSettings;
use cache::memory::Budget;
use cache::policy::Eviction;

use crate::breaker::BreakerSettings;
use crate::limiter::LimiterSettings;
use crate::read_policy;
use crate::serving_pattern::PatternSettings;
use crate::store::StoreSettings;

/// What the engine is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most that L1 may hold.
    pub l1: Budget,
    /// Which of its rows make room.
    pub eviction: Eviction,
    /// The stores in the order in which they are asked, [`MAX_STORES`](crate::MAX_STORES) at most.
    pub stores: Vec<StoreSettings>,
    /// How long a call to the origin may take at the most, in milliseconds.
    pub origin_timeout_millis: u64,
    /// How requests are told apart.
    pub serving_patterns: PatternSettings,
    /// When a store or the origin is left alone.
    pub breaker: BreakerSettings,
    /// How many calls the origin gets at one time.
    pub limiter: LimiterSettings,
    /// Whether timeouts follow what was measured; if not, they are as set.
    pub has_adaptive_timeouts: bool,
    /// How L2 is asked; `None` where that follows what was measured.
    pub l2_read_policy: Option<read_policy::ReadPolicy>,
    /// Whether a row that one request looks for is waited for by the others.
    pub is_singleflight: bool,
    /// XFetch's β in thousandths: how eagerly rows are fetched before their time to live ends. 0 switches it off.
    pub early_beta_permille: u32,
    /// What is learned from requests.
    pub learning: patterns::Settings,
    /// What is fetched ahead of them.
    pub prefetch: prefetch::Settings,
    /// How writes are taken into account that go on after they were acknowledged.
    pub jobs: JobSettings,
    /// By how much the clocks of those who share a store may differ, in milliseconds.
    pub max_clock_skew_millis: u64,
    /// How many requests may wait at one time before some are refused.
    pub max_sessions: usize,
    /// How much memory those that wait may take before some are refused, in bytes.
    pub pending_bytes: usize,
    /// Makes the engine's chances hard to foresee from outside.
    pub seed: u64,
}
