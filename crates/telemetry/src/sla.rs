//! Whether the promise is kept: latency, availability and errors of a window against their targets, what is left of the error
//! budget, and how fast it burns.
//!
//! Burn rates over two windows each are those of the SRE workbook: the long window says that it matters, the short one that it goes
//! on. Source: Beyer et al., "The Site Reliability Workbook", 2018, chapter 5, table 5-8.

use model::time::Instant;

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
    pub burn_min_requests: u64,
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

/// One target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// The seed's name, which `_compliant` and `current_` are added to.
    pub name: &'static str,
    /// What was measured: milliseconds, or millionths.
    pub current: u64,
    /// What was promised.
    pub target: u64,
    /// Whether it is kept.
    pub is_met: bool,
    /// Whether it is a share and not a time.
    pub is_share: bool,
}

/// How the window of one series stands.
#[must_use]
pub fn check(targets: &Targets, window: &Summary) -> (Status, [Check; 5]) {
    let requests = window.of(Count::Requests);
    let availability = WHOLE - share(window.of(Count::Unavailable), requests);
    let error_rate = share(window.of(Count::Errors), requests);
    let time = |name, current, target| Check { name, current, target, is_met: current <= target, is_share: false };
    let checks = [
        time("p50", window.p50, targets.p50_millis),
        time("p95", window.p95, targets.p95_millis),
        time("p99", window.p99, targets.p99_millis),
        Check {
            name: "availability",
            current: availability,
            target: targets.availability,
            is_met: availability >= targets.availability,
            is_share: true,
        },
        Check {
            name: "error_rate",
            current: error_rate,
            target: targets.error_rate,
            is_met: error_rate <= targets.error_rate,
            is_share: true,
        },
    ];
    let status = if requests == 0 {
        Status::NoData
    } else if checks.iter().all(|check| check.is_met) {
        Status::Compliant
    } else {
        Status::Violation
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
pub fn burn_rate(targets: &Targets, windows: &Windows, burn: Burn, now: Instant) -> u64 {
    let rates = |sixtieths| {
        let kept = windows.kept(sixtieths, now);
        let rate = |bad, budget: u64| share(bad, kept.requests).saturating_mul(1_000) / budget.max(1);
        (kept.requests, rate(kept.slow, SLOW_BUDGET), rate(kept.errors, targets.error_rate))
    };
    let ((requests, slow, errors), (_, slow_now, errors_now)) = (rates(burn.long), rates(burn.short));
    if requests < targets.burn_min_requests { 0 } else { slow.min(slow_now).max(errors.min(errors_now)) }
}

/// What is left of the error budget of the longest window, in millionths: of the slow requests' and the failed requests' the less.
#[must_use]
pub fn budget_left(targets: &Targets, windows: &Windows, now: Instant) -> u64 {
    let kept = windows.kept(BURNS.iter().map(|burn| burn.long).max().unwrap_or_default(), now);
    let left = |bad: u64, budget: u64| WHOLE.saturating_sub(share(share(bad, kept.requests), budget.max(1)));
    left(kept.slow, SLOW_BUDGET).min(left(kept.errors, targets.error_rate))
}
