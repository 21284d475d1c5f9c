//! `memory`: one account of all that the core keeps, and of what waits in it.

use serde::{Deserialize, Serialize};

use crate::check::{Ranges, ranges};
use crate::{Config, ConfigError};

/// How much memory the core takes in all, and some of its shares; others are [`L1::max_bytes`](crate::L1::max_bytes) and
/// [`Prefetch::memory_bytes`](crate::Prefetch::memory_bytes).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// The most memory that all tables take together with what waits, in bytes.
    pub max_bytes: usize,
    /// Of it, for plans of requests, with the lists of features and what the registry said, in bytes.
    pub plan_bytes: usize,
    /// Of it, for requests that wait: their bodies, what was found for them and what of their answers is not taken yet, in bytes.
    pub pending_bytes: usize,
}

/// What is kept beside the shares that are set, in bytes: marks of writes, records of requests, and memory of requests that ended for the
/// next.
pub const OTHER_BYTES: usize = 6 << 20;

impl Default for Memory {
    fn default() -> Self {
        // Of the 128 MB that a Worker has, the module and its JavaScript take some 20.
        Memory { max_bytes: 96 << 20, plan_bytes: 6 << 20, pending_bytes: 18 << 20 }
    }
}

impl Memory {
    /// The numbers that have a range: each with its key, its value, the least and the most.
    pub(super) fn ranges(&self) -> Ranges<3> {
        ranges![
            ("memory.max_bytes", self.max_bytes as u64, 8 << 20, 4_000_000_000),
            ("memory.plan_bytes", self.plan_bytes as u64, 1 << 20, 1 << 30),
            ("memory.pending_bytes", self.pending_bytes as u64, 1 << 20, 1 << 30),
        ]
    }
}

/// Checks that the shares fit into the whole.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let Config { memory, l1, prefetch, .. } = config;
    let learned = if prefetch.enabled { prefetch.memory_bytes } else { 0 };
    let shares = [l1.max_bytes, memory.plan_bytes, memory.pending_bytes, learned, OTHER_BYTES];
    let sum = shares.into_iter().map(|share| share as u64).sum::<u64>();
    if sum <= memory.max_bytes as u64 {
        return Ok(());
    }
    let allowed = format!(
        "at least {sum}, the sum of `l1.max_bytes`, `memory.plan_bytes`, `memory.pending_bytes`, `prefetch.memory_bytes` and {OTHER_BYTES} for all else"
    );
    Err(ConfigError::not_allowed("memory.max_bytes", memory.max_bytes.to_string(), allowed))
}
