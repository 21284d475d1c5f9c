//! `GET /v1/sla`: the window against its targets, the error budget, and how fast it burns.

use model::time::Timestamp;
use serde::Serialize;
use telemetry::figures;
use telemetry::figures::{Decimal, Rows, Share};
use telemetry::histogram::{Count, Kind, Windows};
use telemetry::json::Rfc3339;
use telemetry::prometheus::write_figures;
use telemetry::record::{PATHS, Path};
use telemetry::sla::{self, BURNS, Checks, Status};

use crate::Aggregator;
use crate::report::{CLOCK, Measured, Scope};

/// The body of `GET /v1/sla`.
#[derive(Debug, Serialize)]
pub(crate) struct Sla<'a> {
    scope: Scope,
    project: &'a str,
    at: Rfc3339,
    window_seconds: u64,
    latency_clock: &'static str,
    status: Status,
    requests: u64,
    details: Checks,
    routes: Rows<'a, Standing>,
    priorities: Rows<'a, Standing>,
    views: Rows<'a, Standing>,
    error_budget_remaining: Share,
    burn_rates: [BurnRate; BURNS.len()],
}

/// How one series of requests stands.
#[derive(Clone, Copy, Debug, Serialize)]
struct Standing {
    status: Status,
    requests: u64,
    details: Checks,
}

/// How fast the error budget burns in a pair of windows: 1 just uses it up.
#[derive(Clone, Copy, Debug, Serialize)]
struct BurnRate {
    long_window_seconds: u64,
    short_window_seconds: u64,
    rate: Decimal<3>,
    alerts_at: Decimal<3>,
    is_burning: bool,
}

figures! {
    /// Whether the promise is kept, for Prometheus.
    Compliance {
        /// 1 while all objectives are met in the window.
        compliant: Gauge,
        /// Remaining share of the error budget.
        error_budget_remaining: Share,
    }

    /// How fast the error budget burns, for Prometheus.
    Burning {
        /// Burn rate of the error budget; 1 uses the budget up exactly.
        burn_rate: Rate,
    }
}

/// The long windows of the burn rates.
const BURN_WINDOWS: [&str; BURNS.len()] = ["1h", "6h", "3d"];

impl Aggregator {
    pub(crate) fn sla<'a>(&'a self, merged: Option<&'a Windows>, now: Timestamp) -> Sla<'a> {
        let (windows, scope) = self.scoped(merged);
        let standing = |series: &Measured<'_>| {
            let (status, details) = sla::check(&self.targets, &series.window);
            Standing { status, requests: series.window.of(Count::Requests), details }
        };
        let rows = |kind| {
            let series = Measured::of_kind(windows, kind).filter(|series| promises(series.name));
            Rows(series.map(|series| (series.name, standing(&series))).collect())
        };
        let Standing { status, requests, details } = standing(&Measured::all(windows));
        let minute = self.config.sla.burn_rate_hour_seconds;
        Sla {
            scope,
            project: &self.config.project,
            at: Rfc3339(now),
            window_seconds: self.config.sla.window_seconds,
            latency_clock: CLOCK,
            status,
            requests,
            details,
            routes: rows(Kind::Route),
            priorities: rows(Kind::Priority),
            views: rows(Kind::View),
            error_budget_remaining: Decimal(sla::budget_left(&self.targets, windows, now)),
            burn_rates: BURNS.map(|burn| {
                let rate = sla::burn_rate(&self.targets, windows, burn, now);
                BurnRate {
                    long_window_seconds: burn.long * minute / 60,
                    short_window_seconds: burn.short * minute / 60,
                    rate: Decimal(rate),
                    alerts_at: Decimal(burn.rate),
                    is_burning: rate >= burn.rate,
                }
            }),
        }
    }
}

impl Sla<'_> {
    /// Appends what Prometheus is told of it.
    pub(crate) fn write_metrics(&self, out: &mut Vec<u8>) {
        let compliant = (self.status != Status::Violation).into();
        write_figures(
            out,
            "sla_",
            "",
            &[("", Compliance { compliant, error_budget_remaining: self.error_budget_remaining })],
        );
        let mut rates = Vec::new();
        for (window, burn) in BURN_WINDOWS.into_iter().zip(&self.burn_rates) {
            rates.push((window, Burning { burn_rate: burn.rate }));
        }
        write_figures(out, "sla_", "window", &rates);
    }
}

/// Whether requests in this series have a promise: what becomes of a write that is passed on is not known here.
pub(crate) fn promises(series: &str) -> bool {
    PATHS.get(Path::Writes as usize) != Some(&series)
}
