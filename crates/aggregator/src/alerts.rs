//! Opens and resolves alerts, by the windows and by the core's gauges.

use model::time::Timestamp;
use serde::Serialize;
use telemetry::histogram::{Count, Series, Summary};
use telemetry::json::to_json;
use telemetry::monitor::{Alert, AlertKind, Level, Measurement, Severity};
use telemetry::record::RemoteTier;
use telemetry::sla::{self, BURN_WINDOWS, per_million};

use crate::{Aggregator, ReportScope, Sink};

/// With fewer origin calls in the window, their error rate is not evaluated.
const MIN_ORIGIN_CALLS: u64 = 10;

/// A share or a rate resolves its alert once it is better than the threshold by one in so many parts.
const RESOLVE_MARGIN: u64 = 10;

/// The JSON that the webhook receives.
#[derive(Serialize)]
struct WebhookAlert<'a> {
    service: &'static str,
    project: &'a str,
    scope: ReportScope,
    /// Equal for the same alert of all isolates, so that a receiver can deduplicate.
    key: String,
    alert: Alert,
}

impl Aggregator {
    /// Evaluates every alert on the present window and gauges.
    pub(crate) fn evaluate_alerts(&mut self, now: Timestamp) {
        self.windows.advance(now);
        let alerts = &self.config.alerts;
        let (min_requests, latency_high, latency_medium) =
            (alerts.min_requests, alerts.latency_high_ms, alerts.latency_medium_ms);
        let min_hit_rate = alerts.min_hit_rate_percent * sla::MILLION / 100;
        let max_error_rate = alerts.max_origin_error_percent * sla::MILLION / 100;

        let slowest = self.slowest_millis.take().map(|slowest| {
            let (severity, threshold) = if slowest > latency_high {
                (Severity::High, latency_high)
            } else {
                (Severity::Medium, latency_medium)
            };
            event(slowest > threshold, severity, slowest, threshold)
        });
        self.evaluate(AlertKind::HighLatency, slowest, now);

        let window = self.windows.all().map(Series::summary).unwrap_or_default();
        let is_enough = window.of(Count::Requests) >= min_requests;
        let rows = window.of(Count::L1Hits) + window.of(Count::L1Misses);
        let hits = window.of(Count::L1Hits) + window.of(Count::L2Hits) + window.of(Count::L3Hits);
        let hit_rate = (is_enough && rows > 0).then(|| minimum(per_million(hits, rows), min_hit_rate));
        self.evaluate(AlertKind::LowHitRate, hit_rate, now);

        for (kind, tier) in [
            (AlertKind::L2Breaker, RemoteTier::L2),
            (AlertKind::L3Breaker, RemoteTier::L3),
            (AlertKind::OriginBreaker, RemoteTier::Origin),
        ] {
            let tier = self.gauges.tier(tier).copied().unwrap_or_default();
            self.evaluate(kind, Some(event(tier.is_open, Severity::High, tier.opened, 0)), now);
        }

        let origin = self.tier_summary(RemoteTier::Origin);
        let (calls, errors) =
            (origin.of(Count::Requests), per_million(origin.of(Count::Errors), origin.of(Count::Requests)));
        let errors = (calls >= MIN_ORIGIN_CALLS).then(|| maximum(errors, max_error_rate, Severity::High));
        self.evaluate(AlertKind::OriginErrors, errors, now);

        let over_budget: u64 =
            [self.gauges.l2, self.gauges.l3].iter().flatten().map(|tier| tier.store.over_budget).sum();
        // A lower number is that of another instance of the core.
        let more = over_budget.saturating_sub(core::mem::replace(&mut self.over_budget, over_budget));
        self.evaluate(AlertKind::WriteBudget, Some(event(more > 0, Severity::Medium, over_budget, 0)), now);

        let (status, checks) = sla::check(&self.targets, &window);
        self.status = status;
        let missed = checks.missed() as u64;
        let violation = is_enough.then(|| event(status == sla::Status::Violation, Severity::High, missed, 0));
        self.evaluate(AlertKind::Sla, violation, now);
        for (kind, burn) in
            [AlertKind::BurnRate1h, AlertKind::BurnRate6h, AlertKind::BurnRate3d].into_iter().zip(BURN_WINDOWS)
        {
            let rate = sla::burn_rate(&self.targets, &self.windows, burn, now);
            let severity = if kind == AlertKind::BurnRate3d { Severity::Medium } else { Severity::High };
            self.evaluate(kind, Some(maximum(rate, burn.rate, severity)), now);
        }
    }

    fn tier_summary(&self, tier: RemoteTier) -> Summary {
        let series = self.tiers.get(tier as usize).and_then(|&series| self.windows.series().get(series));
        series.map(Series::summary).unwrap_or_default()
    }

    fn evaluate(&mut self, kind: AlertKind, measurement: Option<Measurement>, now: Timestamp) {
        let keep_firing_millis = self.config.alerts.keep_firing_seconds * 1_000;
        let Some(alert) = self.monitor.evaluate(kind, measurement, keep_firing_millis, now) else { return };
        if self.config.alerts.webhook_url.is_some() {
            let project = self.config.project.as_str();
            let webhook_alert = WebhookAlert {
                service: "featheredge",
                project,
                scope: ReportScope::Isolate,
                key: [project, "/", alert.name()].concat(),
                alert,
            };
            let body = to_json(&webhook_alert);
            self.enqueue(Sink::Webhook, body, now);
        }
    }
}

/// Something that happens or not: it has no level near its threshold.
fn event(has_happened: bool, severity: Severity, value: u64, threshold: u64) -> Measurement {
    let level = if has_happened { Level::Exceeded(severity) } else { Level::Normal };
    Measurement { value, threshold, level }
}

/// A rate that alerts from its threshold.
fn maximum(value: u64, threshold: u64, severity: Severity) -> Measurement {
    let level = match value {
        _ if value >= threshold => Level::Exceeded(severity),
        _ if value >= threshold - threshold / RESOLVE_MARGIN => Level::NearThreshold,
        _ => Level::Normal,
    };
    Measurement { value, threshold, level }
}

/// A share in millionths that alerts under its threshold.
fn minimum(value: u64, threshold: u64) -> Measurement {
    let level = match value {
        _ if value < threshold => Level::Exceeded(Severity::Medium),
        _ if value < threshold + (sla::MILLION - threshold) / RESOLVE_MARGIN => Level::NearThreshold,
        _ => Level::Normal,
    };
    Measurement { value, threshold, level }
}
