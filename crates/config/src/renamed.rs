//! Keys that were renamed before the first release, so that the error for an old key suggests the new one.
//!
//! Invariant: an old key is an unknown key, and never read.

use crate::error::{ConfigError, Suggestion};

/// Old and new keys, with their tables.
const RENAMED: [(&str, &str); 36] = [
    ("private_keys", "pseudonymize_keys"),
    ("l2.writes_per_day", "l2.max_writes_per_day"),
    ("l3.ledger_binding", "l3.invalidation_log_binding"),
    ("l3.shard_bytes", "l3.max_shard_bytes"),
    ("memory.waiting_bytes", "memory.pending_bytes"),
    ("freshness.revalidate_seconds", "freshness.stale_while_revalidate_seconds"),
    ("freshness.grace_seconds", "freshness.stale_if_error_seconds"),
    ("freshness.max_age_seconds", "freshness.max_event_age_seconds"),
    ("routing.max_calls", "routing.max_concurrent_chunks"),
    ("breaker.window", "breaker.window_operations"),
    ("breaker.probes", "breaker.half_open_probes"),
    ("load.max_waiting", "load.max_pending_requests"),
    ("writes.ledger", "writes.invalidation_log"),
    ("writes.clock_error_ms", "writes.max_clock_skew_ms"),
    ("auth.open", "auth.anonymous_scopes"),
    ("auth.granted", "auth.default_scopes"),
    ("prefetch.predictions", "prefetch.max_predictions"),
    ("prefetch.related", "prefetch.max_related_predictions"),
    ("prefetch.rows_per_request", "prefetch.max_rows_per_request"),
    ("prefetch.rows_per_second", "prefetch.max_rows_per_second"),
    ("prefetch.precision_floor_percent", "prefetch.min_precision_percent"),
    ("prefetch.rest_seconds", "prefetch.cooldown_seconds"),
    ("prefetch.store_seconds", "prefetch.persist_interval_seconds"),
    ("prefetch.millisecond_nanodollars", "prefetch.latency_value_nanodollars_per_ms"),
    ("sla.answered_per_million", "sla.availability_per_million"),
    ("sla.burn_hour_seconds", "sla.burn_rate_hour_seconds"),
    ("sla.burn_min_requests", "sla.burn_rate_min_requests"),
    ("alerts.hit_rate_percent", "alerts.min_hit_rate_percent"),
    ("alerts.origin_errors_percent", "alerts.max_origin_error_percent"),
    ("alerts.rest_seconds", "alerts.keep_firing_seconds"),
    ("costs.l2_read_cents", "costs.l2_read_cents_per_million"),
    ("costs.l2_write_cents", "costs.l2_write_cents_per_million"),
    ("costs.origin_call_cents", "costs.origin_call_cents_per_million"),
    ("optimizer", "l2.read_policy"),
    ("telemetry.traces_percent", "telemetry.trace_sampling_percent"),
    ("views.NAME.max_age_seconds", "views.NAME.max_event_age_seconds"),
];

/// The same error, with the new key as its suggestion where `error` is about an old one.
pub(super) fn suggest(mut error: ConfigError) -> ConfigError {
    if let ConfigError::UnknownKey { path, known } = &mut error
        && let Some((_, new)) = RENAMED.iter().find(|(old, _)| is_same(old, path))
    {
        *known = Suggestion::Renamed(new);
    }
    error
}

/// Whether `path` is this key, in which the name of a view matches any.
fn is_same(old: &str, path: &str) -> bool {
    match old.split_once("NAME") {
        Some((before, after)) => path.starts_with(before) && path.ends_with(after),
        None => old == path,
    }
}
