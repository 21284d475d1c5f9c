//! Alerts: each opens once, resolves once, and is kept for reports.

use model::time::Timestamp;

use serde::Serialize;

use crate::json::Rfc3339;

/// The kind of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum AlertKind {
    /// A request was slow, in milliseconds.
    HighLatency,
    /// Too few rows came from the tiers, in millionths.
    LowHitRate,
    /// The circuit breaker of L2 is open; how often it has opened.
    L2Breaker,
    /// The circuit breaker of L3 is open.
    L3Breaker,
    /// The circuit breaker of the origin is open.
    OriginBreaker,
    /// Origin calls failed, in millionths of all.
    OriginErrors,
    /// Rows were not written to L2, because the day's write budget is spent; how many.
    WriteBudget,
    /// The SLO is violated in the present window; how many targets are missed.
    Sla,
    /// The error budget burns fast; the burn rate in thousandths.
    BurnRate1h,
    /// The burn rate of the medium window.
    BurnRate6h,
    /// The burn rate of the longest window.
    BurnRate3d,
}

/// The names, by kind.
const NAMES: [&str; ALERT_KINDS] = [
    "high_latency",
    "low_cache_hit_rate",
    "l2_breaker_open",
    "l3_breaker_open",
    "origin_breaker_open",
    "origin_errors",
    "l2_write_budget",
    "sla_violation",
    "sla_burn_1h",
    "sla_burn_6h",
    "sla_burn_3d",
];

/// How many kinds there are.
pub const ALERT_KINDS: usize = AlertKind::BurnRate3d as usize + 1;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look.
    Medium,
    /// Urgent.
    High,
}

/// Where a value is, beside the threshold at which its alert opens and the one at which it resolves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It opens no alert, and lets an open one resolve.
    Normal,
    /// It opens no alert, and keeps an open one open: a value that wavers at the threshold is one alert.
    NearThreshold,
    /// It is past the threshold.
    Exceeded(Severity),
}

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// The value, in the kind's unit.
    pub value: u64,
    /// The threshold at which the alert opens.
    pub threshold: u64,
    /// Where the value is.
    pub level: Level,
}

/// An alert, open or resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "AlertReport")]
pub struct Alert {
    /// Its kind.
    pub kind: AlertKind,
    /// The highest severity so far.
    pub severity: Severity,
    /// The threshold of that severity.
    pub threshold: u64,
    /// The value that was measured last, in the kind's unit.
    pub value: u64,
    /// The value of that severity that was the farthest from the threshold.
    pub worst_value: u64,
    /// When it was measured.
    pub worst_at: Timestamp,
    /// When the value passed the threshold.
    pub opened_at: Timestamp,
    /// When the value was last past the threshold, or near it.
    pub last_exceeded_at: Timestamp,
    /// When it resolved.
    pub resolved_at: Option<Timestamp>,
}

impl Alert {
    /// The name of its kind.
    #[must_use]
    pub fn name(&self) -> &'static str {
        NAMES.get(self.kind as usize).copied().unwrap_or_default()
    }

    fn is_worse(&self, severity: Severity, value: u64) -> bool {
        let distance = |value: u64| value.abs_diff(self.threshold);
        severity > self.severity || (severity == self.severity && distance(value) > distance(self.worst_value))
    }
}

/// The JSON of an alert, in reports and for the webhook.
#[derive(Serialize)]
struct AlertReport {
    r#type: &'static str,
    status: &'static str,
    severity: Severity,
    value: f64,
    threshold: f64,
    worst_value: f64,
    worst_at: Rfc3339,
    opened_at: Rfc3339,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_at: Option<Rfc3339>,
}

impl From<Alert> for AlertReport {
    fn from(alert: Alert) -> AlertReport {
        let unit = match alert.kind {
            AlertKind::LowHitRate | AlertKind::OriginErrors => 1e6,
            AlertKind::BurnRate1h | AlertKind::BurnRate6h | AlertKind::BurnRate3d => 1e3,
            _ => 1.0,
        };
        AlertReport {
            r#type: alert.name(),
            status: if alert.resolved_at.is_some() { "resolved" } else { "open" },
            severity: alert.severity,
            value: alert.value as f64 / unit,
            threshold: alert.threshold as f64 / unit,
            worst_value: alert.worst_value as f64 / unit,
            worst_at: Rfc3339(alert.worst_at),
            opened_at: Rfc3339(alert.opened_at),
            resolved_at: alert.resolved_at.map(Rfc3339),
        }
    }
}

/// The alerts of one isolate.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    open: [Option<Alert>; ALERT_KINDS],
    /// Resolved alerts, the latest last.
    resolved: Vec<Alert>,
    opened: u64,
}

/// How many resolved alerts are kept.
pub const MAX_ALERTS: usize = 100;

impl Monitor {
    /// Evaluates an alert; returns it if the measurement opens it, raises its severity or resolves it. `None`: nothing was measured.
    ///
    /// It resolves after `keep_firing_millis` at a [normal](Level::Normal) level, so that a flapping condition is one alert.
    pub fn evaluate(
        &mut self,
        kind: AlertKind,
        measurement: Option<Measurement>,
        keep_firing_millis: u64,
        now: Timestamp,
    ) -> Option<Alert> {
        let open = self.open.get_mut(kind as usize)?;
        if let (Some(alert), Some(Measurement { value, .. })) = (open.as_mut(), measurement) {
            alert.value = value;
        }
        let level = measurement.map_or(Level::Normal, |measurement| measurement.level);
        match (open.as_mut(), measurement, level) {
            (None, Some(Measurement { value, threshold, .. }), Level::Exceeded(severity)) => {
                self.opened += 1;
                *open = Some(Alert {
                    kind,
                    severity,
                    threshold,
                    value,
                    worst_value: value,
                    worst_at: now,
                    opened_at: now,
                    last_exceeded_at: now,
                    resolved_at: None,
                });
                *open
            }
            (Some(alert), Some(Measurement { value, threshold, .. }), Level::Exceeded(severity)) => {
                alert.last_exceeded_at = now;
                let is_raised = severity > alert.severity;
                if alert.is_worse(severity, value) {
                    *alert = Alert { severity, threshold, worst_value: value, worst_at: now, ..*alert };
                }
                is_raised.then_some(*alert)
            }
            (Some(alert), _, Level::NearThreshold) => {
                alert.last_exceeded_at = now;
                None
            }
            (Some(alert), _, Level::Normal) if now.millis_since(alert.last_exceeded_at) >= keep_firing_millis => {
                let resolved = Alert { resolved_at: Some(now), ..*alert };
                *open = None;
                self.resolved.push(resolved);
                if self.resolved.len() > MAX_ALERTS {
                    self.resolved.remove(0);
                }
                Some(resolved)
            }
            _ => None,
        }
    }

    /// The open alerts.
    pub fn open(&self) -> impl Iterator<Item = &Alert> {
        self.open.iter().flatten()
    }

    /// The resolved alerts, the latest last.
    #[must_use]
    pub fn resolved(&self) -> &[Alert] {
        &self.resolved
    }

    /// How many have opened since the start.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened
    }
}
