//! `prefetch`: what is learned from requests, and what is fetched ahead of them.

use serde::{Deserialize, Serialize};

use crate::check::{Ranges, ranges};

/// What may be learned, and what acting on it may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prefetch {
    /// Whether anything is learned and prefetched. It is for requests with a session alone; others are as without.
    pub enabled: bool,
    /// The memory that what is learned takes, in bytes.
    pub memory_bytes: usize,
    /// After how long an observation counts half, in seconds.
    pub half_life_seconds: u64,
    /// The most predictions that are considered for one request.
    pub predictions: usize,
    /// The most of them that rest on features being asked for together.
    pub related: usize,
    /// The most rows fetched ahead for one request.
    pub rows_per_request: usize,
    /// The most rows fetched ahead in a second.
    pub rows_per_second: u32,
    /// The precision below which a kind of prediction is no longer acted on, in percent.
    pub precision_floor_percent: u32,
    /// How long it rests then before it is tried again, in seconds.
    pub rest_seconds: u64,
    /// The share of sessions for which nothing is fetched ahead, to compare with, in percent.
    pub holdout_percent: u32,
    /// How often what is learned is stored in L2 for new isolates, in seconds; 0 for never, nor is it read.
    pub store_seconds: u64,
    /// What it is worth that a request waits a millisecond less, in nanodollars.
    pub millisecond_nanodollars: u64,
}

impl Default for Prefetch {
    fn default() -> Self {
        Prefetch {
            enabled: true,
            memory_bytes: 2 << 20,
            half_life_seconds: 3_600,
            // The seed's.
            predictions: 5,
            related: 3,
            rows_per_request: 10,
            rows_per_second: 100,
            precision_floor_percent: 50,
            rest_seconds: 60,
            holdout_percent: 5,
            store_seconds: 300,
            millisecond_nanodollars: 1_000,
        }
    }
}

impl Prefetch {
    /// The numbers that have a range: each with its key, its value, the least and the most.
    pub(super) fn ranges(&self) -> Ranges<11> {
        ranges![
            ("prefetch.memory_bytes", self.memory_bytes as u64, 256 << 10, 256 << 20),
            ("prefetch.half_life_seconds", self.half_life_seconds, 1, 31_536_000),
            ("prefetch.predictions", self.predictions as u64, 0, 16),
            ("prefetch.related", self.related as u64, 0, 8),
            ("prefetch.rows_per_request", self.rows_per_request as u64, 0, 100),
            ("prefetch.rows_per_second", u64::from(self.rows_per_second), 0, 100_000),
            ("prefetch.precision_floor_percent", u64::from(self.precision_floor_percent), 1, 100),
            ("prefetch.rest_seconds", self.rest_seconds, 1, 86_400),
            ("prefetch.holdout_percent", u64::from(self.holdout_percent), 0, 50),
            ("prefetch.store_seconds", self.store_seconds, 0, 86_400),
            ("prefetch.millisecond_nanodollars", self.millisecond_nanodollars, 0, MAX_PRICE),
        ]
    }
}

/// A dollar for one operation, past which a price is a slip of units.
const MAX_PRICE: u64 = 1_000_000_000;
