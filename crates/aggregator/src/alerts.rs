//! Opens and resolves alerts, by the windows and by the core's gauges.

use model::time::Timestamp;
use serde::Serialize;
use telemetry::histogram::{Count, Series, Summary};
use telemetry::json::to_json;
use telemetry::monitor::{Alert, AlertKind, Finding, Severity};
use telemetry::record::RemoteTier;
use telemetry::sla::{self, BURN_WINDOWS, per_million};

use crate::{Aggregator, ReportScope, Sink};

/// With fewer origin calls in the window, their error rate is not evaluated.
const MIN_ORIGIN_CALLS: u64 = 10;

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
        let keep_firing_millis = alerts.keep_firing_seconds * 1_000;
        let (min_requests, latency_high, latency_medium) =
            (alerts.min_requests, alerts.latency_high_ms, alerts.latency_medium_ms);
        let min_hit_rate = alerts.min_hit_rate_percent * sla::MILLION / 100;
        let max_error_rate = alerts.max_origin_error_percent * sla::MILLION / 100;
        let found = |is: bool, severity, value, threshold| is.then_some(Finding { severity, value, threshold });

        let slowest_millis = core::mem::take(&mut self.slowest_millis);
        let (severity, threshold) = if slowest_millis > latency_high {
            (Severity::High, latency_high)
        } else {
            (Severity::Medium, latency_medium)
        };
        self.evaluate(
            AlertKind::HighLatency,
            found(slowest_millis > threshold, severity, slowest_millis, threshold),
            keep_firing_millis,
            now,
        );

        let window = self.windows.all().map(Series::summary).unwrap_or_default();
        let is_enough = window.of(Count::Requests) >= min_requests;
        let rows = window.of(Count::L1Hits) + window.of(Count::L1Misses);
        let hits = window.of(Count::L1Hits) + window.of(Count::L2Hits) + window.of(Count::L3Hits);
        let rate = per_million(hits, rows);
        let finding = found(is_enough && rows > 0 && rate < min_hit_rate, Severity::Medium, rate, min_hit_rate);
        self.evaluate(AlertKind::LowHitRate, finding, 0, now);

        for (kind, tier) in [
            (AlertKind::L2Breaker, RemoteTier::L2),
            (AlertKind::L3Breaker, RemoteTier::L3),
            (AlertKind::OriginBreaker, RemoteTier::Origin),
        ] {
            let tier = self.gauges.tier(tier).copied().unwrap_or_default();
            self.evaluate(kind, found(tier.is_open, Severity::High, tier.opened, 0), 0, now);
        }

        let origin = self.tier_summary(RemoteTier::Origin);
        let (calls, errors) =
            (origin.of(Count::Requests), per_million(origin.of(Count::Errors), origin.of(Count::Requests)));
        let is_failing = calls >= MIN_ORIGIN_CALLS && errors >= max_error_rate;
        self.evaluate(AlertKind::OriginErrors, found(is_failing, Severity::High, errors, max_error_rate), 0, now);

        let over_budget: u64 =
            [self.gauges.l2, self.gauges.l3].iter().flatten().map(|tier| tier.store.over_budget).sum();
        // A lower number is that of another instance of the core.
        let more = over_budget.saturating_sub(core::mem::replace(&mut self.over_budget, over_budget));
        self.evaluate(
            AlertKind::WriteBudget,
            found(more > 0, Severity::Medium, over_budget, 0),
            keep_firing_millis,
            now,
        );

        let (status, checks) = sla::check(&self.targets, &window);
        self.status = status;
        let missed = checks.missed() as u64;
        let is_violated = is_enough && status == sla::Status::Violation;
        self.evaluate(AlertKind::Sla, found(is_violated, Severity::High, missed, 0), 0, now);
        for (kind, burn) in
            [AlertKind::BurnRate1h, AlertKind::BurnRate6h, AlertKind::BurnRate3d].into_iter().zip(BURN_WINDOWS)
        {
            let rate = sla::burn_rate(&self.targets, &self.windows, burn, now);
            let severity = if kind == AlertKind::BurnRate3d { Severity::Medium } else { Severity::High };
            self.evaluate(kind, found(rate >= burn.rate, severity, rate, burn.rate), 0, now);
        }
    }

    fn tier_summary(&self, tier: RemoteTier) -> Summary {
        let series = self.tiers.get(tier as usize).and_then(|&series| self.windows.series().get(series));
        series.map(Series::summary).unwrap_or_default()
    }

    fn evaluate(&mut self, kind: AlertKind, finding: Option<Finding>, keep_firing_millis: u64, now: Timestamp) {
        let Some(alert) = self.monitor.evaluate(kind, finding, keep_firing_millis, now) else { return };
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
