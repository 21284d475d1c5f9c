//! The eviction rate of L1.

use model::time::Timestamp;

/// How many rows L1 had evicted when the rate was last taken, and when that was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EvictionRate {
    pub(super) since: Timestamp,
    pub(super) evictions: u64,
}
