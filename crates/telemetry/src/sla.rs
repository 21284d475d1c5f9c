//! The SLO: latency, availability and errors of a window against their targets, the error budget, and its burn rates.
//!
//! Burn rates over two windows each are those of the SRE workbook: the long window shows that the loss matters, the short one that it
//! goes on. Source: Beyer et al., "The Site Reliability Workbook", 2018, chapter 5, table 5-8.

use model::time::Timestamp;
use serde::{Serialize, Serializer};

use crate::figures::{Decimal, QuantileMillis, Ratio};
use crate::histogram::{Count, Summary, Windows};

/// The whole, in millionths.
pub const MILLION: u64 = 1_000_000;

/// The objectives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// The median, in milliseconds.
    pub p50_millis: u64,
    /// The 95th percentile.
    pub p95_millis: u64,
    /// The 99th percentile.
    pub p99_millis: u64,
    /// The least share of requests that are answered, in millionths.
    pub availability: u64,
    /// The largest share of requests that fail or lack a value, in millionths.
    pub error_rate: u64,
    /// With fewer requests in its long window, a burn rate is 0.
    pub burn_rate_min_requests: u64,
}

/// The share of requests that may be slower than the 99th percentile's target, in millionths.
const SLOW_BUDGET: u64 = MILLION / 100;

/// The SLO of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// There were no requests.
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

/// Each target: whether it is met, the measured value and the objective, under the original specification's names. Percentiles
/// are in milliseconds, the others are ratios.
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
    pub current_availability: Ratio,
    pub target_availability: Ratio,
    pub error_rate_compliant: bool,
    pub current_error_rate: Ratio,
    pub target_error_rate: Ratio,
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

/// Checks the window of one series.
#[must_use]
pub fn check(targets: &Targets, window: &Summary) -> (Status, Checks) {
    let requests = window.of(Count::Requests);
    let availability = MILLION - per_million(window.of(Count::Unavailable), requests);
    let error_rate = per_million(window.of(Count::Errors), requests);
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
pub fn per_million(part: u64, whole: u64) -> u64 {
    part.saturating_mul(MILLION).checked_div(whole).unwrap_or_default()
}

/// A pair of windows and the rate at which it alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurnWindow {
    /// The long window, in minutes where the shortest long window is an hour.
    pub long: u64,
    /// The short window.
    pub short: u64,
    /// The burn rate, in thousandths.
    pub rate: u64,
}

/// The pairs, the fastest first.
pub const BURN_WINDOWS: [BurnWindow; 3] = [
    BurnWindow { long: 60, short: 5, rate: 14_400 },
    BurnWindow { long: 360, short: 30, rate: 6_000 },
    BurnWindow { long: 4_320, short: 360, rate: 1_000 },
];

/// The burn rate of a pair of windows, in thousandths: 1,000 uses the budget up exactly. It is the lower rate of the two windows, and of
/// latency and errors the higher. 0 with too few requests.
#[must_use]
pub fn burn_rate(targets: &Targets, windows: &Windows, burn: BurnWindow, now: Timestamp) -> u64 {
    let rates = |sixtieths| {
        let slo_counts = windows.slo_counts(sixtieths, now);
        let rate = |bad, budget: u64| per_million(bad, slo_counts.requests).saturating_mul(1_000) / budget.max(1);
        (slo_counts.requests, rate(slo_counts.slow, SLOW_BUDGET), rate(slo_counts.errors, targets.error_rate))
    };
    let ((requests, slow, errors), (_, slow_now, errors_now)) = (rates(burn.long), rates(burn.short));
    if requests < targets.burn_rate_min_requests { 0 } else { slow.min(slow_now).max(errors.min(errors_now)) }
}

/// The remaining error budget of the longest window, in millionths: the smaller of those for slow and for failed requests.
#[must_use]
pub fn error_budget_remaining(targets: &Targets, windows: &Windows, now: Timestamp) -> u64 {
    let slo_counts = windows.slo_counts(BURN_WINDOWS.iter().map(|burn| burn.long).max().unwrap_or_default(), now);
    let left = |bad: u64, budget: u64| {
        MILLION.saturating_sub(per_million(per_million(bad, slo_counts.requests), budget.max(1)))
    };
    left(slo_counts.slow, SLOW_BUDGET).min(left(slo_counts.errors, targets.error_rate))
}
