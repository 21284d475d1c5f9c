//! What was measured, for people and machines: `/metrics`, `/v1/stats`, `/v1/sla` and `/v1/alerts`, of this isolate or of all whose
//! windows were merged. Each is a struct, and its JSON is serde's.
//!
//! There are no ids, no values and no secrets in any of it, and a label has few values: paths, priorities, tiers, and a bounded number
//! of views.

use model::time::Timestamp;
use serde::Serialize;
use telemetry::histogram::{Kind, Series, Summary, Totals, Windows};
use telemetry::json::{Rfc3339, to_json};
use telemetry::monitor::Alert;

use crate::Aggregator;

/// The media type of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What latencies cover, which is said wherever they are.
pub(crate) const CLOCK: &str = "whole milliseconds of the host's clock; in a deployed Worker it stands still between I/O, so that what memory answers reads as 0";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// All figures, in Prometheus' text format.
    Metrics,
    /// All figures, as JSON.
    Stats,
    /// Whether the promise is kept.
    Sla,
    /// What is wrong, and what was.
    Alerts,
}

impl Report {
    /// The report that this path asks for.
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

/// Of whom a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The isolate that answers.
    Isolate,
    /// All isolates whose windows were merged.
    Deployment,
}

impl Scope {
    /// The scope that a query asks for, that of the isolate where it says nothing; `None` where there is no such scope.
    #[must_use]
    pub fn of(query: &str) -> Option<Scope> {
        match query.split('&').find_map(|part| part.strip_prefix("scope=")) {
            None | Some("isolate") => Some(Scope::Isolate),
            Some("deployment") => Some(Scope::Deployment),
            Some(_) => None,
        }
    }
}

/// The body of `GET /v1/alerts`.
#[derive(Debug, Serialize)]
struct Alerts<'a> {
    scope: Scope,
    project: &'a str,
    at: Rfc3339,
    open: Vec<&'a Alert>,
    /// The latest first.
    resolved: Vec<&'a Alert>,
}

/// The kinds of series that requests for features have.
pub(crate) const REQUEST_KINDS: [Kind; 4] = [Kind::All, Kind::Route, Kind::Priority, Kind::View];

/// The key of a kind in reports.
pub(crate) const fn key_of(kind: Kind) -> &'static str {
    match kind {
        Kind::All => "overall",
        Kind::Route => "routes",
        Kind::Priority => "priorities",
        Kind::View => "views",
        Kind::Tier => "tiers",
    }
}

/// What a series says: its name, its counts since the start, and its window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured<'a> {
    pub(crate) name: &'a str,
    pub(crate) totals: Totals,
    pub(crate) window: Summary,
}

impl<'a> Measured<'a> {
    fn new(series: &'a Series, windows: &Windows) -> Measured<'a> {
        Measured { name: &series.name, totals: series.totals(windows), window: series.summary() }
    }

    /// All series of a kind.
    pub(crate) fn of_kind(windows: &'a Windows, kind: Kind) -> impl Iterator<Item = Measured<'a>> {
        let series = windows.series().iter().filter(move |series| series.kind == kind);
        series.map(|series| Measured::new(series, windows))
    }

    /// All requests.
    pub(crate) fn all(windows: &'a Windows) -> Measured<'a> {
        windows.all().map(|all| Measured::new(all, windows)).unwrap_or_default()
    }
}

impl Aggregator {
    /// A report: of this isolate, or of all whose windows are `merged`. Alerts are this isolate's in any case.
    #[must_use]
    pub fn report(&self, report: Report, merged: Option<&[u8]>, now: Timestamp) -> Vec<u8> {
        let merged = merged.filter(|_| report != Report::Alerts).map(|merged| self.windows_of(&[merged], now));
        match report {
            Report::Metrics => self.metrics(merged.as_ref(), now),
            Report::Stats => to_json(&self.stats(merged.as_ref(), now)),
            Report::Sla => to_json(&self.sla(merged.as_ref(), now)),
            Report::Alerts => to_json(&Alerts {
                scope: Scope::Isolate,
                project: &self.config.project,
                at: Rfc3339(now),
                open: self.monitor.open().collect(),
                resolved: self.monitor.resolved().iter().rev().collect(),
            }),
        }
    }

    /// The windows that a report is of, and whose they are.
    pub(crate) fn scoped<'a>(&'a self, merged: Option<&'a Windows>) -> (&'a Windows, Scope) {
        merged.map_or((&self.windows, Scope::Isolate), |windows| (windows, Scope::Deployment))
    }
}
