//! The origin as the engine sees it: its latency, its limiter, its breaker.

use std::collections::VecDeque;

use crate::breaker::{Breaker, BreakerSettings};
use crate::latency::Latency;
use crate::limiter::{Limiter, LimiterSettings};

/// The origin as the engine sees it.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) breaker: Breaker,
    pub(super) latency: Latency,
    pub(super) limiter: Limiter,
    /// Hashes of the rows in the latest failed calls.
    pub(super) failed_rows: VecDeque<u64>,
}

/// How many rows of failed calls are remembered: several times the outcomes that a breaker counts.
pub(super) const MAX_FAILED_ROWS: usize = 256;

impl Origin {
    pub(super) fn new(breaker: BreakerSettings, limiter: LimiterSettings) -> Origin {
        Origin {
            breaker: Breaker::new(breaker),
            latency: Latency::default(),
            limiter: Limiter::new(limiter),
            failed_rows: VecDeque::new(),
        }
    }

    /// Records the rows of a failed call. Returns whether any was not in the latest failed calls.
    pub(super) fn note_failure(&mut self, rows: impl Iterator<Item = u64>) -> bool {
        let mut has_new = false;
        for row in rows.take(MAX_FAILED_ROWS) {
            if !self.failed_rows.contains(&row) {
                has_new = true;
                if self.failed_rows.len() >= MAX_FAILED_ROWS {
                    self.failed_rows.pop_front();
                }
                self.failed_rows.push_back(row);
            }
        }
        has_new
    }
}
