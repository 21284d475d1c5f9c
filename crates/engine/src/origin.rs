//! The origin as the engine sees it: how long it takes, how many calls it gets, and whether it is left alone.

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
    /// Rows of the calls that failed last, by their hashes.
    pub(super) failed_rows: VecDeque<u64>,
}

/// How many rows of failed calls are remembered: some times as many as the outcomes that a breaker looks at.
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

    /// Notes the rows of a call that failed; whether any of them was not among those of the calls that failed last.
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
