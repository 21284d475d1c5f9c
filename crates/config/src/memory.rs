//! `memory`: the budget of all tables and pending requests.

use serde::{Deserialize, Serialize};

use crate::validation::{Ranges, ranges};
use crate::{Config, ConfigError};

/// The memory of the core, and some of its shares; others are [`L1::max_bytes`](crate::L1::max_bytes) and
/// [`Prefetch::memory_bytes`](crate::Prefetch::memory_bytes).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// The most memory of all tables and pending requests, in bytes.
    pub max_bytes: usize,
    /// Its share for plans, with feature lists and the registry's metadata, in bytes.
    pub plan_bytes: usize,
    /// Its share for pending requests: their bodies, results and unread responses, in bytes.
    pub pending_bytes: usize,
}

/// The memory beside the configured shares, in bytes: invalidations, records of requests, and memory that is reused for the
/// next request.
pub const OTHER_BYTES: usize = 6 << 20;

impl Default for Memory {
    fn default() -> Self {
        // Of the 128 MB of a Worker, the module and its JavaScript take some 20.
        Memory { max_bytes: 96 << 20, plan_bytes: 6 << 20, pending_bytes: 18 << 20 }
    }
}

impl Memory {
    /// The numbers with their ranges.
    pub(super) fn ranges(&self) -> Ranges<3> {
        ranges![
            ("memory.max_bytes", self.max_bytes as u64, 8 << 20, 4_000_000_000),
            ("memory.plan_bytes", self.plan_bytes as u64, 1 << 20, 1 << 30),
            ("memory.pending_bytes", self.pending_bytes as u64, 1 << 20, 1 << 30),
        ]
    }
}

/// Checks that the shares fit into the budget.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let Config { memory, l1, prefetch, .. } = config;
    let prefetch_bytes = if prefetch.enabled { prefetch.memory_bytes } else { 0 };
    let shares = [l1.max_bytes, memory.plan_bytes, memory.pending_bytes, prefetch_bytes, OTHER_BYTES];
    let sum = shares.into_iter().map(|share| share as u64).sum::<u64>();
    if sum <= memory.max_bytes as u64 {
        return Ok(());
    }
    let allowed = format!(
        "at least {sum}, the sum of `l1.max_bytes`, `memory.plan_bytes`, `memory.pending_bytes`, `prefetch.memory_bytes` and {OTHER_BYTES} for all else"
    );
    Err(ConfigError::not_allowed("memory.max_bytes", memory.max_bytes.to_string(), allowed))
}
