//! What is promised, when to alert, what operations cost, and where what is measured goes.

use serde::{Deserialize, Serialize};

use crate::Config;
use crate::check::{Ranges, ranges};

/// `sla`: what is promised, and the windows in which it is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sla {
    /// How long the window is, in seconds.
    pub window_seconds: u64,
    /// The median latency, in milliseconds.
    pub p50_ms: u64,
    /// The 95th percentile.
    pub p95_ms: u64,
    /// The 99th percentile.
    pub p99_ms: u64,
    /// How many of a million requests are answered.
    pub availability_per_million: u64,
    /// How many of a million requests may fail, or be answered without some value.
    pub errors_per_million: u64,
    /// How long the hour of the burn rates is, in seconds: all their windows are multiples and parts of it.
    pub burn_rate_hour_seconds: u64,
    /// With fewer requests in its long window a burn rate says nothing.
    pub burn_rate_min_requests: u64,
}

/// `alerts`: when something is wrong, and who is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// From what latency of one request there is an alert, in milliseconds.
    pub latency_medium_ms: u64,
    /// From what latency it is a severe one.
    pub latency_high_ms: u64,
    /// Below what share of rows from the tiers there is one, in percent.
    pub min_hit_rate_percent: u64,
    /// From what share of failed calls to the origin there is one, in percent.
    pub max_origin_error_percent: u64,
    /// With fewer requests in the window, shares say nothing.
    pub min_requests: u64,
    /// How long after it was last seen what comes and goes is resolved, in seconds.
    pub keep_firing_seconds: u64,
    /// Where alerts are posted, if anywhere.
    pub webhook_url: Option<String>,
    /// How often one is posted at the most, until it is taken.
    pub webhook_attempts: u32,
    /// How long that may take, in milliseconds.
    pub webhook_timeout_ms: u64,
}

/// `costs`: what a million operations cost, in US cents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Costs {
    /// Keys read from L2.
    pub l2_read_cents_per_million: u64,
    /// Keys written to L2.
    pub l2_write_cents_per_million: u64,
    /// Calls to the origin.
    pub origin_call_cents_per_million: u64,
}

/// `telemetry`: where what is measured goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Whether anything is measured at all.
    pub enabled: bool,
    /// How many views are measured by their names; all others together are `other`.
    pub max_views: usize,
    /// Whether the windows of all isolates are merged.
    pub aggregate: bool,
    /// The name under which the host has the object that merges them.
    pub binding: String,
    /// The name under which the host has a data set of Analytics Engine, where what is measured is to be written to one.
    pub analytics_binding: Option<String>,
    /// Where spans are posted, if anywhere: the whole URL of an OTLP/HTTP receiver for traces.
    pub traces_url: Option<String>,
    /// Of requests without a trace of their own, how many begin one, in percent.
    pub trace_sampling_percent: u64,
}

impl Default for Sla {
    fn default() -> Self {
        // The seed's targets and window; the burn rates' hour is the SRE workbook's.
        Sla {
            window_seconds: 300,
            p50_ms: 20,
            p95_ms: 50,
            p99_ms: 100,
            availability_per_million: 999_000,
            errors_per_million: 1_000,
            burn_rate_hour_seconds: 3_600,
            burn_rate_min_requests: 100,
        }
    }
}

impl Default for Alerts {
    fn default() -> Self {
        // The first three are the seed's.
        Alerts {
            latency_medium_ms: 200,
            latency_high_ms: 500,
            min_hit_rate_percent: 80,
            max_origin_error_percent: 10,
            min_requests: 100,
            keep_firing_seconds: 60,
            webhook_url: None,
            webhook_attempts: 6,
            webhook_timeout_ms: 5_000,
        }
    }
}

impl Default for Costs {
    fn default() -> Self {
        // Workers KV's prices of 2026. A call of the origin is put at a Worker's request.
        Costs { l2_read_cents_per_million: 50, l2_write_cents_per_million: 500, origin_call_cents_per_million: 30 }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry {
            enabled: true,
            max_views: 16,
            aggregate: false,
            binding: "WINDOWS".to_owned(),
            analytics_binding: None,
            traces_url: None,
            trace_sampling_percent: 100,
        }
    }
}

/// The prices, each with its path and its range.
pub(crate) fn prices(costs: &Costs) -> Ranges<3> {
    ranges![
        ("costs.l2_read_cents_per_million", costs.l2_read_cents_per_million, 0, MILLION),
        ("costs.l2_write_cents_per_million", costs.l2_write_cents_per_million, 0, MILLION),
        ("costs.origin_call_cents_per_million", costs.origin_call_cents_per_million, 0, 1_000 * MILLION),
    ]
}

/// Nine days: past it the windows of a deployment that is asked little say nothing new.
const MAX_WINDOW_SECONDS: u64 = 777_600;
/// Five minutes, past which no request takes.
const MAX_LATENCY_MILLIS: u64 = 300_000;
const MILLION: u64 = 1_000_000;

/// Each number with its path and its range.
pub(crate) fn ranges(config: &Config) -> Ranges<18> {
    let Config { sla, alerts, telemetry, .. } = config;
    ranges![
        ("sla.window_seconds", sla.window_seconds, 1, MAX_WINDOW_SECONDS),
        ("sla.p50_ms", sla.p50_ms, 1, MAX_LATENCY_MILLIS),
        ("sla.p95_ms", sla.p95_ms, 1, MAX_LATENCY_MILLIS),
        ("sla.p99_ms", sla.p99_ms, 1, MAX_LATENCY_MILLIS),
        ("sla.availability_per_million", sla.availability_per_million, 0, MILLION),
        ("sla.errors_per_million", sla.errors_per_million, 0, MILLION),
        ("sla.burn_rate_hour_seconds", sla.burn_rate_hour_seconds, 1, MAX_WINDOW_SECONDS),
        ("sla.burn_rate_min_requests", sla.burn_rate_min_requests, 1, MILLION),
        ("alerts.latency_medium_ms", alerts.latency_medium_ms, 1, MAX_LATENCY_MILLIS),
        ("alerts.latency_high_ms", alerts.latency_high_ms, 1, MAX_LATENCY_MILLIS),
        ("alerts.min_hit_rate_percent", alerts.min_hit_rate_percent, 0, 100),
        ("alerts.max_origin_error_percent", alerts.max_origin_error_percent, 1, 100),
        ("alerts.min_requests", alerts.min_requests, 1, MILLION),
        ("alerts.keep_firing_seconds", alerts.keep_firing_seconds, 0, 86_400),
        ("alerts.webhook_attempts", u64::from(alerts.webhook_attempts), 1, 20),
        ("alerts.webhook_timeout_ms", alerts.webhook_timeout_ms, 1, 30_000),
        // Each takes 35 KB where it is asked for.
        ("telemetry.max_views", telemetry.max_views as u64, 0, 24),
        ("telemetry.trace_sampling_percent", telemetry.trace_sampling_percent, 0, 100),
    ]
}
