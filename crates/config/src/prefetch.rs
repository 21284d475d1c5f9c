//! `prefetch`: training, prediction and their bounds.

use serde::{Deserialize, Serialize};

use crate::validation::{Ranges, ranges};

/// `prefetch`: training, prediction and their bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prefetch {
    /// Whether requests train the model and rows are prefetched. It affects only requests with a session.
    pub enabled: bool,
    /// The memory of the model, in bytes.
    pub memory_bytes: usize,
    /// The half-life of an observation, in seconds.
    pub half_life_seconds: u64,
    /// The most predictions that are considered for one request.
    pub max_predictions: usize,
    /// The most of them that follow from features being requested together.
    pub max_related_predictions: usize,
    /// The most rows prefetched for one request.
    pub max_rows_per_request: usize,
    /// The most rows prefetched in a second.
    pub max_rows_per_second: u32,
    /// The precision below which a kind of prediction cools down, in percent.
    pub min_precision_percent: u32,
    /// How long it cools down before a probe, in seconds.
    pub cooldown_seconds: u64,
    /// The share of sessions without prefetch, as a control group, in percent.
    pub holdout_percent: u32,
    /// How often the model is stored in L2 for new isolates, in seconds; with 0 it is neither stored nor read.
    pub persist_interval_seconds: u64,
    /// The value of a millisecond less latency, in nanodollars.
    pub latency_value_nanodollars_per_ms: u64,
}

impl Default for Prefetch {
    fn default() -> Self {
        Prefetch {
            enabled: true,
            memory_bytes: 2 << 20,
            half_life_seconds: 3_600,
            // Those of the original specification.
            max_predictions: 5,
            max_related_predictions: 3,
            max_rows_per_request: 10,
            max_rows_per_second: 100,
            min_precision_percent: 50,
            cooldown_seconds: 60,
            holdout_percent: 5,
            persist_interval_seconds: 300,
            latency_value_nanodollars_per_ms: 1_000,
        }
    }
}

impl Prefetch {
    /// The numbers with their ranges.
    pub(super) fn ranges(&self) -> Ranges<11> {
        ranges![
            ("prefetch.memory_bytes", self.memory_bytes as u64, 256 << 10, 256 << 20),
            ("prefetch.half_life_seconds", self.half_life_seconds, 1, 31_536_000),
            ("prefetch.max_predictions", self.max_predictions as u64, 0, 16),
            ("prefetch.max_related_predictions", self.max_related_predictions as u64, 0, 8),
            ("prefetch.max_rows_per_request", self.max_rows_per_request as u64, 0, 100),
            ("prefetch.max_rows_per_second", u64::from(self.max_rows_per_second), 0, 100_000),
            ("prefetch.min_precision_percent", u64::from(self.min_precision_percent), 1, 100),
            ("prefetch.cooldown_seconds", self.cooldown_seconds, 1, 86_400),
            ("prefetch.holdout_percent", u64::from(self.holdout_percent), 0, 50),
            ("prefetch.persist_interval_seconds", self.persist_interval_seconds, 0, 86_400),
            ("prefetch.latency_value_nanodollars_per_ms", self.latency_value_nanodollars_per_ms, 0, MAX_PRICE),
        ]
    }
}

/// A dollar for one operation; a higher price is a mistake of units.
const MAX_PRICE: u64 = 1_000_000_000;
