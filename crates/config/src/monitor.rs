//! The SLO, alerts, prices and telemetry.

use serde::{Deserialize, Serialize};

use crate::Config;
use crate::validation::{Ranges, ranges};

/// `sla`: the SLO, and the windows over which it is evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sla {
    /// The window, in seconds.
    pub window_seconds: u64,
    /// The target of the median latency, in milliseconds.
    pub p50_ms: u64,
    /// The target of the 95th percentile.
    pub p95_ms: u64,
    /// The target of the 99th percentile.
    pub p99_ms: u64,
    /// The availability: how many of a million requests are served.
    pub availability_per_million: u64,
    /// The error rate: how many of a million requests may fail, or lack a value.
    pub errors_per_million: u64,
    /// The hour of burn rates, in seconds: all their windows are multiples and fractions of it.
    pub burn_rate_hour_seconds: u64,
    /// A burn rate needs so many requests in its long window.
    pub burn_rate_min_requests: u64,
}

/// `alerts`: thresholds and the webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// The latency of one request from which there is an alert, in milliseconds.
    pub latency_medium_ms: u64,
    /// The latency from which it is severe.
    pub latency_high_ms: u64,
    /// The hit ratio of the tiers below which there is an alert, in percent.
    pub min_hit_rate_percent: u64,
    /// The share of failed origin calls from which there is an alert, in percent.
    pub max_origin_error_percent: u64,
    /// Shares need so many requests in the window.
    pub min_requests: u64,
    /// How long after its last occurrence an alert is resolved, in seconds.
    pub keep_firing_seconds: u64,
    /// The webhook that alerts are posted to, if any.
    pub webhook_url: Option<String>,
    /// The most attempts to post an alert.
    pub webhook_attempts: u32,
    /// The timeout of an attempt, in milliseconds.
    pub webhook_timeout_ms: u64,
}

/// `costs`: prices of a million operations, in US cents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Costs {
    /// Keys read from L2.
    pub l2_read_cents_per_million: u64,
    /// Keys written to L2.
    pub l2_write_cents_per_million: u64,
    /// Origin calls.
    pub origin_call_cents_per_million: u64,
}

/// `telemetry`: what is measured and where it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Whether telemetry is enabled.
    pub enabled: bool,
    /// How many views are measured by name; all others together are `other`.
    pub max_views: usize,
    /// Whether the windows of all isolates are merged.
    pub aggregate: bool,
    /// The host's binding of the object that merges them.
    pub binding: String,
    /// The host's binding of an Analytics Engine data set, if telemetry is written to one.
    pub analytics_binding: Option<String>,
    /// The URL that spans are posted to, if any: an OTLP/HTTP receiver for traces.
    pub traces_url: Option<String>,
    /// The share of requests without a trace context that begin a trace, in percent.
    pub trace_sampling_percent: u64,
    /// The URL of the deployment's Grafana dashboard, if any: the page links to it.
    pub dashboard_url: Option<String>,
}

impl Default for Sla {
    fn default() -> Self {
        // Targets and window of the original specification; the burn rates' hour of the SRE workbook.
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
        // The first three are those of the original specification.
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
        // Workers KV's prices of 2026. An origin call costs as much as a Worker's request.
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
            dashboard_url: None,
        }
    }
}

/// The prices with their ranges.
pub(crate) fn prices(costs: &Costs) -> Ranges<3> {
    ranges![
        ("costs.l2_read_cents_per_million", costs.l2_read_cents_per_million, 0, MILLION),
        ("costs.l2_write_cents_per_million", costs.l2_write_cents_per_million, 0, MILLION),
        ("costs.origin_call_cents_per_million", costs.origin_call_cents_per_million, 0, 1_000 * MILLION),
    ]
}

/// Nine days; a longer window adds nothing for a deployment with few requests.
const MAX_WINDOW_SECONDS: u64 = 777_600;
/// Five minutes; no request takes longer.
const MAX_LATENCY_MILLIS: u64 = 300_000;
const MILLION: u64 = 1_000_000;

/// The numbers with their ranges.
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
        // Each takes 35 KB once it is used.
        ("telemetry.max_views", telemetry.max_views as u64, 0, 24),
        ("telemetry.trace_sampling_percent", telemetry.trace_sampling_percent, 0, 100),
    ]
}
