//! Whether the promise is kept: latency, availability and errors of a window against their targets, what is left of the error
//! budget, and how fast it burns.
//!
//! Burn rates over two windows each are those of the SRE workbook: the long window says that it matters, the short one that it goes
//! on. Source: Beyer et al., "The Site Reliability Workbook", 2018, chapter 5, table 5-8.

use model::time::Timestamp;
use serde::{Serialize, Serializer};

use crate::figures::{Decimal, QuantileMillis, Share};
use crate::histogram::{Count, Summary, Windows};

/// All of something, in millionths.
pub const WHOLE: u64 = 1_000_000;

/// What is promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// The median, in milliseconds.
    pub p50_millis: u64,
    /// The 95th percentile.
    pub p95_millis: u64,
    /// The 99th percentile.
    pub p99_millis: u64,
    /// The share of requests that are answered, in millionths.
    pub availability: u64,
    /// The share of requests that may fail, or be answered without some value, in millionths.
    pub error_rate: u64,
    /// With fewer requests in its long window a burn rate says nothing.
    pub burn_rate_min_requests: u64,
}

/// The share of requests that may be slower than the 99th percentile's target, in millionths.
const SLOW_BUDGET: u64 = WHOLE / 100;

/// How a window stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing was asked.
    #[default]
    NoData,
    /// All targets are met.
    Compliant,
    /// One is not.
    Violation,
}

impl Status {
    /// The original specification's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Status::NoData => "no_data",
            Status::Compliant => "compliant",
            Status::Violation => "violation",
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Each target: whether it is met, what was measured, and what was promised, under the original specification's names. Percentiles
/// are in milliseconds, the others shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it, three by three")]
pub struct Checks {
    pub p50_compliant: bool,
    pub current_p50: QuantileMillis,
    pub target_p50: QuantileMillis,
    pub p95_compliant: bool,
    pub current_p95: QuantileMillis,
    pub target_p95: QuantileMillis,
    pub p99_compliant: bool,
    pub current_p99: QuantileMillis,
    pub target_p99: QuantileMillis,
    pub availability_compliant: bool,
    pub current_availability: Share,
    pub target_availability: Share,
    pub error_rate_compliant: bool,
    pub current_error_rate: Share,
    pub target_error_rate: Share,
}

impl Checks {
    /// How many targets are missed.
    #[must_use]
    pub fn missed(&self) -> usize {
        let met = [
            self.p50_compliant,
            self.p95_compliant,
            self.p99_compliant,
            self.availability_compliant,
            self.error_rate_compliant,
        ];
        met.iter().filter(|is_met| !**is_met).count()
    }
}

/// How the window of one series stands.
#[must_use]
pub fn check(targets: &Targets, window: &Summary) -> (Status, Checks) {
    let requests = window.of(Count::Requests);
    let availability = WHOLE - share(window.of(Count::Unavailable), requests);
    let error_rate = share(window.of(Count::Errors), requests);
    let checks = Checks {
        p50_compliant: window.p50 <= targets.p50_millis,
        current_p50: window.p50,
        target_p50: targets.p50_millis,
        p95_compliant: window.p95 <= targets.p95_millis,
        current_p95: window.p95,
        target_p95: targets.p95_millis,
        p99_compliant: window.p99 <= targets.p99_millis,
        current_p99: window.p99,
        target_p99: targets.p99_millis,
        availability_compliant: availability >= targets.availability,
        current_availability: Decimal(availability),
        target_availability: Decimal(targets.availability),
        error_rate_compliant: error_rate <= targets.error_rate,
        current_error_rate: Decimal(error_rate),
        target_error_rate: Decimal(targets.error_rate),
    };
    let status = match (requests, checks.missed()) {
        (0, _) => Status::NoData,
        (_, 0) => Status::Compliant,
        _ => Status::Violation,
    };
    (status, checks)
}

/// `part` of `whole` in millionths; 0 of nothing.
#[must_use]
pub fn share(part: u64, whole: u64) -> u64 {
    part.saturating_mul(WHOLE).checked_div(whole).unwrap_or_default()
}

/// A pair of windows and the rate at which it alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burn {
    /// The long window, in minutes where the shortest long window is an hour.
    pub long: u64,
    /// The short window.
    pub short: u64,
    /// How many times as fast as the budget allows, in thousandths.
    pub rate: u64,
}

/// The pairs, the fastest first.
pub const BURNS: [Burn; 3] = [
    Burn { long: 60, short: 5, rate: 14_400 },
    Burn { long: 360, short: 30, rate: 6_000 },
    Burn { long: 4_320, short: 360, rate: 1_000 },
];

/// How fast the budget burns in a pair of windows, in thousandths of the rate that just uses it up: the slower of the two windows,
/// and of latency and errors the faster. 0 where too little was asked.
#[must_use]
pub fn burn_rate(targets: &Targets, windows: &Windows, burn: Burn, now: Timestamp) -> u64 {
    let rates = |sixtieths| {
        let kept = windows.kept(sixtieths, now);
        let rate = |bad, budget: u64| share(bad, kept.requests).saturating_mul(1_000) / budget.max(1);
        (kept.requests, rate(kept.slow, SLOW_BUDGET), rate(kept.errors, targets.error_rate))
    };
    let ((requests, slow, errors), (_, slow_now, errors_now)) = (rates(burn.long), rates(burn.short));
    if requests < targets.burn_rate_min_requests { 0 } else { slow.min(slow_now).max(errors.min(errors_now)) }
}

/// What is left of the error budget of the longest window, in millionths: of the slow requests' and the failed requests' the less.
#[must_use]
pub fn budget_left(targets: &Targets, windows: &Windows, now: Timestamp) -> u64 {
    let kept = windows.kept(BURNS.iter().map(|burn| burn.long).max().unwrap_or_default(), now);
    let left = |bad: u64, budget: u64| WHOLE.saturating_sub(share(share(bad, kept.requests), budget.max(1)));
    left(kept.slow, SLOW_BUDGET).min(left(kept.errors, targets.error_rate))
}
