//! What is wrong: alerts that are opened and resolved by what the windows and the core's state say.

use model::time::Timestamp;
use serde::Serialize;
use telemetry::histogram::{Count, Series, Summary};
use telemetry::json::to_json;
use telemetry::monitor::{Alert, Finding, Severity, Subject};
use telemetry::record::Tier;
use telemetry::sla::{self, BURNS, share};

use crate::{Aggregator, Place, Scope};

/// With fewer calls than this the origin's errors say nothing.
const MIN_ORIGIN_CALLS: u64 = 10;

/// What the webhook is told.
#[derive(Serialize)]
struct Notice<'a> {
    service: &'static str,
    project: &'a str,
    scope: Scope,
    /// Many isolates may say the same: whoever receives it tells by this.
    key: String,
    alert: Alert,
}

impl Aggregator {
    /// Looks at what was measured, and opens and resolves alerts.
    pub(crate) fn look(&mut self, now: Timestamp) {
        self.windows.advance(now);
        let alerts = &self.config.alerts;
        let rest_millis = alerts.keep_firing_seconds * 1_000;
        let (least_requests, latency_high, latency_medium) =
            (alerts.min_requests, alerts.latency_high_ms, alerts.latency_medium_ms);
        let least = alerts.min_hit_rate_percent * sla::WHOLE / 100;
        let most_errors = alerts.max_origin_error_percent * sla::WHOLE / 100;
        let found = |is: bool, severity, value, threshold| is.then_some(Finding { severity, value, threshold });

        let slowest = core::mem::take(&mut self.slowest);
        let (severity, threshold) =
            if slowest > latency_high { (Severity::High, latency_high) } else { (Severity::Medium, latency_medium) };
        self.judge(Subject::HighLatency, found(slowest > threshold, severity, slowest, threshold), rest_millis, now);

        let window = self.windows.all().map(Series::summary).unwrap_or_default();
        let is_enough = window.of(Count::Requests) >= least_requests;
        let rows = window.of(Count::L1Hits) + window.of(Count::L1Misses);
        let had = window.of(Count::L1Hits) + window.of(Count::L2Hits) + window.of(Count::L3Hits);
        let rate = share(had, rows);
        let finding = found(is_enough && rows > 0 && rate < least, Severity::Medium, rate, least);
        self.judge(Subject::LowHitRate, finding, 0, now);

        for (subject, tier) in
            [(Subject::L2Breaker, Tier::L2), (Subject::L3Breaker, Tier::L3), (Subject::OriginBreaker, Tier::Origin)]
        {
            let tier = self.gauges.tier(tier).copied().unwrap_or_default();
            self.judge(subject, found(tier.is_open, Severity::High, tier.opened, 0), 0, now);
        }

        let origin = self.tier_summary(Tier::Origin);
        let (calls, errors) = (origin.of(Count::Requests), share(origin.of(Count::Errors), origin.of(Count::Requests)));
        let is_failing = calls >= MIN_ORIGIN_CALLS && errors >= most_errors;
        self.judge(Subject::OriginErrors, found(is_failing, Severity::High, errors, most_errors), 0, now);

        let over_budget: u64 =
            [self.gauges.l2, self.gauges.l3].iter().flatten().map(|tier| tier.store.over_budget).sum();
        // Less than before is another instance's.
        let more = over_budget.saturating_sub(core::mem::replace(&mut self.over_budget, over_budget));
        self.judge(Subject::WriteBudget, found(more > 0, Severity::Medium, over_budget, 0), rest_millis, now);

        let (status, checks) = sla::check(&self.targets, &window);
        self.status = status;
        let missed = checks.missed() as u64;
        let is_violated = is_enough && status == sla::Status::Violation;
        self.judge(Subject::Sla, found(is_violated, Severity::High, missed, 0), 0, now);
        for (subject, burn) in [Subject::FastBurn, Subject::MediumBurn, Subject::SlowBurn].into_iter().zip(BURNS) {
            let rate = sla::burn_rate(&self.targets, &self.windows, burn, now);
            let severity = if subject == Subject::SlowBurn { Severity::Medium } else { Severity::High };
            self.judge(subject, found(rate >= burn.rate, severity, rate, burn.rate), 0, now);
        }
    }

    fn tier_summary(&self, tier: Tier) -> Summary {
        let series = self.tiers.get(tier as usize).and_then(|&series| self.windows.series().get(series));
        series.map(Series::summary).unwrap_or_default()
    }

    fn judge(&mut self, subject: Subject, finding: Option<Finding>, rest_millis: u64, now: Timestamp) {
        let Some(alert) = self.monitor.judge(subject, finding, rest_millis, now) else { return };
        if self.config.alerts.webhook_url.is_some() {
            let project = self.config.project.as_str();
            let notice = Notice {
                service: "featheredge",
                project,
                scope: Scope::Isolate,
                key: [project, "/", alert.name()].concat(),
                alert,
            };
            let body = to_json(&notice);
            self.put(Place::Webhook, body, now);
        }
    }
}
