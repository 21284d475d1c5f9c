//! `GET /v1/sla`: the window against its targets, the error budget, and how fast it burns.

use model::time::Timestamp;
use serde::Serialize;
use telemetry::figures;
use telemetry::figures::{ByLabel, Decimal, Ratio};
use telemetry::histogram::{Count, SeriesKind, Windows};
use telemetry::json::Rfc3339;
use telemetry::prometheus::write_figures;
use telemetry::record::{ROUTES, Route};
use telemetry::sla::{self, BURN_WINDOWS, Checks, Status};

use crate::Aggregator;
use crate::report::{LATENCY_CLOCK, ReportScope, SeriesReport};

/// The body of `GET /v1/sla`.
#[derive(Debug, Serialize)]
pub(crate) struct Sla<'a> {
    scope: ReportScope,
    project: &'a str,
    at: Rfc3339,
    window_seconds: u64,
    latency_clock: &'static str,
    status: Status,
    requests: u64,
    /// With fewer requests in the window, its status opens no alert.
    min_requests: u64,
    details: Checks,
    routes: ByLabel<'a, SeriesSla>,
    priorities: ByLabel<'a, SeriesSla>,
    views: ByLabel<'a, SeriesSla>,
    error_budget_remaining: Ratio,
    burn_rates: [BurnRate; BURN_WINDOWS.len()],
}

/// The SLO of one series of requests.
#[derive(Clone, Copy, Debug, Serialize)]
struct SeriesSla {
    status: Status,
    requests: u64,
    details: Checks,
}

/// The burn rate of the error budget in a pair of windows: 1 uses the budget up exactly.
#[derive(Clone, Copy, Debug, Serialize)]
struct BurnRate {
    long_window_seconds: u64,
    short_window_seconds: u64,
    rate: Decimal<3>,
    alerts_at: Decimal<3>,
    is_burning: bool,
}

figures! {
    /// The state of the SLO, for Prometheus.
    Compliance {
        /// 1 while all objectives are met in the window.
        compliant: Gauge,
        /// Remaining share of the error budget.
        error_budget_remaining: Ratio,
    }

    /// Burn rates, for Prometheus.
    BurnRateFigures {
        /// Burn rate of the error budget; 1 uses the budget up exactly.
        burn_rate: Rate,
    }
}

/// The long windows of the burn rates.
const BURN_WINDOW_NAMES: [&str; BURN_WINDOWS.len()] = ["1h", "6h", "3d"];

impl Aggregator {
    pub(crate) fn sla<'a>(&'a self, merged: Option<&'a Windows>, now: Timestamp) -> Sla<'a> {
        let (windows, scope) = self.scoped(merged);
        let sla_of = |series: &SeriesReport<'_>| {
            let (status, details) = sla::check(&self.targets, &series.window);
            SeriesSla { status, requests: series.window.of(Count::Requests), details }
        };
        let rows = |kind| {
            let series = SeriesReport::of_kind(windows, kind).filter(|series| has_slo(series.name));
            ByLabel(series.map(|series| (series.name, sla_of(&series))).collect())
        };
        let SeriesSla { status, requests, details } = sla_of(&SeriesReport::all(windows));
        let minute = self.config.sla.burn_rate_hour_seconds;
        Sla {
            scope,
            project: &self.config.project,
            at: Rfc3339(now),
            window_seconds: self.config.sla.window_seconds,
            latency_clock: LATENCY_CLOCK,
            status,
            requests,
            min_requests: self.config.alerts.min_requests,
            details,
            routes: rows(SeriesKind::Route),
            priorities: rows(SeriesKind::Priority),
            views: rows(SeriesKind::View),
            error_budget_remaining: Decimal(sla::error_budget_remaining(&self.targets, windows, now)),
            burn_rates: BURN_WINDOWS.map(|burn| {
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
    /// Appends its metrics.
    pub(crate) fn write_metrics(&self, out: &mut Vec<u8>) {
        let compliant = (self.status != Status::Violation).into();
        write_figures(
            out,
            "sla_",
            "",
            &[("", Compliance { compliant, error_budget_remaining: self.error_budget_remaining })],
        );
        let mut rates = Vec::new();
        for (window, burn) in BURN_WINDOW_NAMES.into_iter().zip(&self.burn_rates) {
            rates.push((window, BurnRateFigures { burn_rate: burn.rate }));
        }
        write_figures(out, "sla_", "window", &rates);
    }
}

/// Whether requests of this series have an SLO. A write that passes through has none, since its result is not known here.
pub(crate) fn has_slo(series: &str) -> bool {
    ROUTES.get(Route::Writes as usize) != Some(&series)
}
