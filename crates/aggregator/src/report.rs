//! The reports `/metrics`, `/v1/stats`, `/v1/sla` and `/v1/alerts`, of this isolate or of all isolates whose windows were merged. Each is
//! a struct, and its JSON is serde's.
//!
//! Invariant: no report has an entity's id, a value or a secret. A label has few values: routes, priorities, tiers, and a bounded number of
//! views.

use model::time::Timestamp;
use serde::Serialize;
use telemetry::histogram::{Series, SeriesKind, Summary, Totals, Windows};
use telemetry::json::{Rfc3339, to_json};
use telemetry::monitor::Alert;

use crate::Aggregator;

/// The media type of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What latencies are measured with; every report that has latencies says so.
pub(crate) const LATENCY_CLOCK: &str = "whole milliseconds of the host's clock; in a deployed Worker it stands still between I/O, so that what memory answers reads as 0";

/// A report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// All metrics, in Prometheus' text format.
    Metrics,
    /// All figures, as JSON.
    Stats,
    /// The state of the SLO.
    Sla,
    /// Open and resolved alerts.
    Alerts,
}

impl Report {
    /// The report at this path.
    #[must_use]
    pub fn at(path: &str) -> Option<Report> {
        match path {
            "/metrics" => Some(Report::Metrics),
            "/v1/stats" => Some(Report::Stats),
            "/v1/sla" => Some(Report::Sla),
            "/v1/alerts" => Some(Report::Alerts),
            _ => None,
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Report::Metrics => PROMETHEUS,
            _ => "application/json",
        }
    }
}

/// Which isolates a report covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportScope {
    /// The isolate that responds.
    Isolate,
    /// All isolates whose windows were merged.
    Deployment,
}

impl ReportScope {
    /// The scope in a query string, the isolate by default; `None` for an unknown one.
    #[must_use]
    pub fn of(query: &str) -> Option<ReportScope> {
        match query.split('&').find_map(|part| part.strip_prefix("scope=")) {
            None | Some("isolate") => Some(ReportScope::Isolate),
            Some("deployment") => Some(ReportScope::Deployment),
            Some(_) => None,
        }
    }
}

/// The body of `GET /v1/alerts`.
#[derive(Debug, Serialize)]
struct Alerts<'a> {
    scope: ReportScope,
    project: &'a str,
    at: Rfc3339,
    open: Vec<&'a Alert>,
    /// The latest first.
    resolved: Vec<&'a Alert>,
}

/// The kinds of series that requests for features have.
pub(crate) const REQUEST_KINDS: [SeriesKind; 4] =
    [SeriesKind::All, SeriesKind::Route, SeriesKind::Priority, SeriesKind::View];

/// The key of a kind in reports.
pub(crate) const fn report_key(kind: SeriesKind) -> &'static str {
    match kind {
        SeriesKind::All => "overall",
        SeriesKind::Route => "routes",
        SeriesKind::Priority => "priorities",
        SeriesKind::View => "views",
        SeriesKind::Tier => "tiers",
    }
}

/// A series: its name, its counts since the start, and its window.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesReport<'a> {
    pub(crate) name: &'a str,
    pub(crate) totals: Totals,
    pub(crate) window: Summary,
}

impl<'a> SeriesReport<'a> {
    fn new(series: &'a Series, windows: &Windows) -> SeriesReport<'a> {
        SeriesReport { name: &series.name, totals: series.totals(windows), window: series.summary() }
    }

    /// All series of a kind.
    pub(crate) fn of_kind(windows: &'a Windows, kind: SeriesKind) -> impl Iterator<Item = SeriesReport<'a>> {
        let series = windows.series().iter().filter(move |series| series.kind == kind);
        series.map(|series| SeriesReport::new(series, windows))
    }

    /// All requests.
    pub(crate) fn all(windows: &'a Windows) -> SeriesReport<'a> {
        windows.all().map(|all| SeriesReport::new(all, windows)).unwrap_or_default()
    }
}

impl Aggregator {
    /// Writes a report of this isolate, or of all isolates whose windows are `merged`. Alerts are always this isolate's.
    #[must_use]
    pub fn report(&self, report: Report, merged: Option<&[u8]>, now: Timestamp) -> Vec<u8> {
        let merged = merged.filter(|_| report != Report::Alerts).map(|merged| self.merge_windows(&[merged], now));
        match report {
            Report::Metrics => self.metrics(merged.as_ref(), now),
            Report::Stats => to_json(&self.stats(merged.as_ref(), now)),
            Report::Sla => to_json(&self.sla(merged.as_ref(), now)),
            Report::Alerts => to_json(&Alerts {
                scope: ReportScope::Isolate,
                project: &self.config.project,
                at: Rfc3339(now),
                open: self.monitor.open().collect(),
                resolved: self.monitor.resolved().iter().rev().collect(),
            }),
        }
    }

    /// The windows that a report covers, and their scope.
    pub(crate) fn scoped<'a>(&'a self, merged: Option<&'a Windows>) -> (&'a Windows, ReportScope) {
        merged.map_or((&self.windows, ReportScope::Isolate), |windows| (windows, ReportScope::Deployment))
    }
}
