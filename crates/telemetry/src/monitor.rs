//! Alerts: opened once when something goes wrong, resolved once when it no longer does, and remembered.

use model::time::Timestamp;

use serde::Serialize;

use crate::json::Rfc3339;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Subject {
    /// A request was slow, in milliseconds.
    HighLatency,
    /// Too few rows came from the tiers, in millionths.
    LowHitRate,
    /// L2 is left alone since it kept failing; how often that has happened.
    L2Breaker,
    /// L3 is.
    L3Breaker,
    /// The origin is.
    OriginBreaker,
    /// Calls to the origin failed, in millionths of all.
    OriginErrors,
    /// Rows were not written to L2, since the day's budget is spent; how many.
    WriteBudget,
    /// The promise is not kept in the present window; how many targets are missed.
    Sla,
    /// The budget burns fast; how many times as fast as it may, in thousandths.
    FastBurn,
    /// It burns.
    MediumBurn,
    /// It burns slowly.
    SlowBurn,
}

/// The names, by subject.
const NAMES: [&str; SUBJECTS] = [
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

/// How many subjects there are.
pub const SUBJECTS: usize = Subject::SlowBurn as usize + 1;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// To be looked at.
    Medium,
    /// To be looked at now.
    High,
}

/// What is wrong now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was measured, in the subject's unit.
    pub value: u64,
    /// What it should not have passed.
    pub threshold: u64,
}

/// Something that went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "AlertReport")]
pub struct Alert {
    /// What it is about.
    pub subject: Subject,
    /// The worst that was found.
    pub worst: Finding,
    /// When it was first found.
    pub opened_at: Timestamp,
    /// When it was last found.
    pub seen_at: Timestamp,
    /// When it was no longer.
    pub resolved_at: Option<Timestamp>,
}

impl Alert {
    /// The name of what it is about.
    #[must_use]
    pub fn name(&self) -> &'static str {
        NAMES.get(self.subject as usize).copied().unwrap_or_default()
    }
}

/// An alert as reports and the webhook have it.
#[derive(Serialize)]
struct AlertReport {
    r#type: &'static str,
    status: &'static str,
    severity: Severity,
    value: f64,
    threshold: f64,
    opened_at: Rfc3339,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_at: Option<Rfc3339>,
}

impl From<Alert> for AlertReport {
    fn from(alert: Alert) -> AlertReport {
        let unit = match alert.subject {
            Subject::LowHitRate | Subject::OriginErrors => 1e6,
            Subject::FastBurn | Subject::MediumBurn | Subject::SlowBurn => 1e3,
            _ => 1.0,
        };
        AlertReport {
            r#type: alert.name(),
            status: if alert.resolved_at.is_some() { "resolved" } else { "open" },
            severity: alert.worst.severity,
            value: alert.worst.value as f64 / unit,
            threshold: alert.worst.threshold as f64 / unit,
            opened_at: Rfc3339(alert.opened_at),
            resolved_at: alert.resolved_at.map(Rfc3339),
        }
    }
}

/// The alerts of one isolate.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    open: [Option<Alert>; SUBJECTS],
    /// Those that were resolved, the latest last.
    resolved: Vec<Alert>,
    opened: u64,
}

/// How many alerts are remembered.
pub const MAX_ALERTS: usize = 100;

impl Monitor {
    /// Tells what is found of a subject now; the alert, where that opens, worsens or resolves it.
    ///
    /// It is resolved when nothing was found for `rest_millis`: what comes and goes is one alert.
    pub fn judge(
        &mut self,
        subject: Subject,
        finding: Option<Finding>,
        rest_millis: u64,
        now: Timestamp,
    ) -> Option<Alert> {
        let open = self.open.get_mut(subject as usize)?;
        match (open.as_mut(), finding) {
            (None, Some(worst)) => {
                self.opened += 1;
                *open = Some(Alert { subject, worst, opened_at: now, seen_at: now, resolved_at: None });
                *open
            }
            (Some(alert), Some(finding)) => {
                alert.seen_at = now;
                let is_worse = finding.severity > alert.worst.severity;
                let is_further =
                    finding.value.abs_diff(finding.threshold) > alert.worst.value.abs_diff(alert.worst.threshold);
                if is_worse || (finding.severity == alert.worst.severity && is_further) {
                    alert.worst = finding;
                }
                is_worse.then_some(*alert)
            }
            (Some(alert), None) if now.millis_since(alert.seen_at) >= rest_millis => {
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

    /// The alerts that are open.
    pub fn open(&self) -> impl Iterator<Item = &Alert> {
        self.open.iter().flatten()
    }

    /// The alerts that were resolved, the latest last.
    #[must_use]
    pub fn resolved(&self) -> &[Alert] {
        &self.resolved
    }

    /// How many were opened since the start.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened
    }
}
