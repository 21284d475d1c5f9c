//! Validates what the types of the configuration cannot express: ranges, names and URLs.

use core::fmt;

use super::auth::{Auth, AuthMode, SCOPES};
use super::{Config, ConfigError, OriginKind, View, memory, monitor, path};

/// Workers KV rejects a shorter expiration.
const MIN_STORE_TTL_SECONDS: u64 = 60;
/// A year; a longer TTL is a mistake of units.
const MAX_TTL_SECONDS: u64 = 31_536_000;
/// A century: slowly changing features have events of years ago.
const MAX_EVENT_AGE_SECONDS: u64 = 100 * MAX_TTL_SECONDS;
/// Five minutes; no client waits longer.
const MAX_TIMEOUT_MILLIS: u64 = 300_000;
/// 3 GiB: a wasm memory ends at 4 GiB.
const MAX_MEMORY_BYTES: u64 = 3 << 30;
/// 1 GiB: offsets in a body have 32 bits, and a body may be copied.
const MAX_BODY_BYTES: u64 = 1 << 30;
/// A response of Feast nests four deep, and lists of lists as values two more.
const MIN_DEPTH: u64 = 8;
/// The deepest that the JSON reader supports.
const MAX_DEPTH: u64 = 1_024;
/// The longest name of anything, in bytes. Names are part of every key.
const MAX_NAME_BYTES: usize = 256;
/// With the hash after it, a store key is well within KV's 512 bytes.
const MAX_KEY_PREFIX_BYTES: usize = 64;

/// A request calls each shard, and a Worker may make 1,000 calls for one request.
const MAX_SHARDS: u64 = 256;
/// 1 MiB: an empty SQLite database has some pages.
const MIN_SHARD_BYTES: u64 = 1 << 20;
/// Cloudflare's limit of 10 GB for one object.
const MAX_SHARD_BYTES: u64 = 10_000_000_000;

/// A day; no materialization takes longer.
const MAX_JOB_SECONDS: u64 = 86_400;

type Validation = Result<(), ConfigError>;

pub(super) fn config(config: &Config) -> Validation {
    number_ranges(config)?;
    name("project", &config.project)?;
    match (&config.origin.url, config.origin.kind) {
        (Some(text), OriginKind::Http) => url("origin.url", text)?,
        (Some(_), OriginKind::Synthetic) => {
            // Who sets a URL expects its features, and those of the synthetic origin look real.
            let allowed = "`http` where `origin.url` is set";
            return Err(ConfigError::not_allowed("origin.kind", "synthetic", allowed));
        }
        (None, OriginKind::Http) => return Err(ConfigError::MissingKey("origin.url".to_owned())),
        (None, OriginKind::Synthetic) => {}
    }
    for (path, prefix) in [("l2.key_prefix", &config.l2.key_prefix), ("l3.key_prefix", &config.l3.key_prefix)] {
        key_prefix(path, prefix)?;
    }
    for (path, name) in [
        ("l2.binding", &config.l2.binding),
        ("l3.binding", &config.l3.binding),
        ("l3.invalidation_log_binding", &config.l3.invalidation_log_binding),
    ] {
        binding(path, name)?;
    }
    telemetry(config)?;
    for (name, settings) in config.views.iter() {
        view(&path::join("views", name), name, settings)?;
    }
    for (source, views) in config.push_sources.iter() {
        let path = path::join("push_sources", source);
        name(&path, source)?;
        view_names(&path, views)?;
    }
    for (service, settings) in config.feature_services.iter() {
        let path = path::join("feature_services", service);
        name(&path, service)?;
        join_keys(&path, &settings.join_keys)?;
    }
    if let Some(registry) = &config.registry {
        if registry.url.is_empty() {
            return Err(ConfigError::MissingKey("registry.url".to_owned()));
        }
        url("registry.url", &registry.url)?;
        registry.project.as_ref().map_or(Ok(()), |project| name("registry.project", project))?;
    }
    auth(&config.auth)?;
    name("native.entity_column", &config.native.entity_column)?;
    view_name("native.default_view", &config.native.default_view)
}

/// A day: a revoked key must not be accepted longer.
const MAX_KEYS_TTL_SECONDS: u64 = 86_400;
/// Five minutes; a clock with more skew is wrong.
const MAX_SKEW_SECONDS: u64 = 300;

fn auth(auth: &Auth) -> Validation {
    for (path, scopes) in [
        ("auth.anonymous_scopes", auth.anonymous_scopes.as_deref().unwrap_or_default()),
        ("auth.default_scopes", &auth.default_scopes),
    ] {
        for scope in scopes {
            check(SCOPES.contains(&scope.as_str()), path, scope, "a list of `read`, `write` and `admin`")?;
        }
    }
    let settings = [
        ("auth.issuer", &auth.issuer),
        ("auth.audience", &auth.audience),
        ("auth.project_claim", &auth.project_claim),
        ("auth.jwks_url", &auth.jwks_url),
    ];
    for (path, setting) in settings {
        setting.as_deref().map_or(Ok(()), |setting| name(path, setting))?;
        if setting.is_none() && auth.mode == AuthMode::Oidc && matches!(path, "auth.issuer" | "auth.audience") {
            return Err(ConfigError::MissingKey(path.to_owned()));
        }
    }
    for (path, place) in [("auth.issuer", &auth.issuer), ("auth.jwks_url", &auth.jwks_url)] {
        place.as_deref().map_or(Ok(()), |place| url(path, place))?;
    }
    name("auth.scope_claim", &auth.scope_claim)?;
    auth.rate_limit_binding.as_deref().map_or(Ok(()), |name| binding("auth.rate_limit_binding", name))?;
    for site in &auth.cors_origins {
        let is_site = site == "*" || url("", site).is_ok() && site.split('/').count() == 3;
        check(is_site, "auth.cors_origins", site, "a list of `*` or of sites such as `https://app.example.com`")?;
    }
    Ok(())
}

/// Numbers, each with its path, minimum and maximum.
///
/// Paths and bounds are constant data. A list of all four would be built by code at run time.
pub(crate) type Ranges<const N: usize> = ([u64; N], &'static [(&'static str, u64, u64); N]);

/// Builds [`Ranges`] from lines of path, number, minimum and maximum.
macro_rules! ranges {
    [$(($path:expr, $value:expr, $least:expr, $most:expr)),* $(,)?] => {
        ([$($value),*], &[$(($path, $least, $most)),*])
    };
}
pub(crate) use ranges;

fn number_ranges(config: &Config) -> Validation {
    let Config {
        origin,
        l1,
        l2,
        l3,
        freshness,
        routing,
        deadlines,
        breaker,
        load,
        services,
        registry,
        writes,
        limits,
        auth,
        ..
    } = config;
    for (path, value) in [
        ("l2.max_writes_per_day", l2.max_writes_per_day),
        ("l2.max_writes_per_request", l2.max_writes_per_request.map(|most| most as u64)),
        ("freshness.max_event_age_seconds", freshness.max_event_age_seconds),
    ] {
        let most = if path.ends_with("seconds") { MAX_EVENT_AGE_SECONDS } else { 1_000_000_000 };
        value.map_or(Ok(()), |value| range(path, value, 0, most))?;
    }
    all_in_range(&ranges![
        ("origin.timeout_ms", origin.timeout_ms, 1, MAX_TIMEOUT_MILLIS),
        ("origin.delay_ms", origin.delay_ms, 0, MAX_TIMEOUT_MILLIS),
        ("l1.max_entries", l1.max_entries as u64, 1, 100_000_000),
        ("l1.max_bytes", l1.max_bytes as u64, 1, MAX_MEMORY_BYTES),
        ("l2.ttl_seconds", l2.ttl_seconds, MIN_STORE_TTL_SECONDS, MAX_TTL_SECONDS),
        ("l2.timeout_ms", l2.timeout_ms, 1, MAX_TIMEOUT_MILLIS),
        ("l3.shards", u64::from(l3.shards), 1, MAX_SHARDS),
        ("l3.ttl_seconds", l3.ttl_seconds, 1, MAX_TTL_SECONDS),
        ("l3.timeout_ms", l3.timeout_ms, 1, MAX_TIMEOUT_MILLIS),
        ("l3.max_shard_bytes", l3.max_shard_bytes, MIN_SHARD_BYTES, MAX_SHARD_BYTES),
        ("freshness.ttl_seconds", freshness.ttl_seconds, 0, MAX_TTL_SECONDS),
        ("freshness.stale_if_error_seconds", freshness.stale_if_error_seconds, 0, MAX_TTL_SECONDS),
        ("freshness.negative_ttl_seconds", freshness.negative_ttl_seconds, 0, MAX_TTL_SECONDS),
        ("l2.write_interval_ms", l2.write_interval_ms, 0, MAX_TIMEOUT_MILLIS),
        ("freshness.ttl_jitter_percent", freshness.ttl_jitter_percent, 0, 90),
        ("freshness.stale_while_revalidate_seconds", freshness.stale_while_revalidate_seconds, 0, MAX_TTL_SECONDS),
        ("freshness.early_refresh_percent", freshness.early_refresh_percent, 0, 1_000),
        ("routing.real_time_max_entities", routing.real_time_max_entities as u64, 0, 10_000_000),
        ("routing.real_time_max_features", routing.real_time_max_features as u64, 0, 1_000_000),
        ("routing.real_time_deadline_ms", routing.real_time_deadline_ms, 1, MAX_TIMEOUT_MILLIS),
        ("routing.batch_min_entities", routing.batch_min_entities as u64, 1, 10_000_000),
        ("routing.batch_min_features", routing.batch_min_features as u64, 1, 1_000_000),
        ("routing.chunk_rows", routing.chunk_rows as u64, 1, 10_000_000),
        ("routing.max_concurrent_chunks", routing.max_concurrent_chunks as u64, 1, 1_000),
        ("deadlines.default_ms", deadlines.default_ms, 1, MAX_TIMEOUT_MILLIS),
        ("deadlines.warm_ms", deadlines.warm_ms, 1, MAX_TIMEOUT_MILLIS),
        ("deadlines.soft_percent", deadlines.soft_percent, 1, 100),
        ("breaker.window_operations", u64::from(breaker.window_operations), 10, 64),
        ("breaker.failure_percent", u64::from(breaker.failure_percent), 1, 100),
        ("breaker.open_ms", breaker.open_ms, 1, MAX_TIMEOUT_MILLIS),
        ("breaker.half_open_probes", u64::from(breaker.half_open_probes), 1, 100),
        ("load.max_pending_requests", load.max_pending_requests as u64, 1, 1_000_000),
        ("load.max_origin_calls", u64::from(load.max_origin_calls), 1, 10_000),
        ("writes.visible_within_ms", writes.visible_within_ms, 0, MAX_TIMEOUT_MILLIS),
        ("writes.job_seconds", writes.job_seconds, 0, MAX_JOB_SECONDS),
        ("writes.max_clock_skew_ms", writes.max_clock_skew_ms, 0, MAX_TIMEOUT_MILLIS),
        ("services.membership_ttl_seconds", services.membership_ttl_seconds, 0, MAX_TTL_SECONDS),
        ("auth.jwks_ttl_seconds", auth.jwks_ttl_seconds, 1, MAX_KEYS_TTL_SECONDS),
        ("auth.clock_skew_seconds", auth.clock_skew_seconds, 0, MAX_SKEW_SECONDS),
        ("auth.retry_after_seconds", auth.retry_after_seconds, 1, 3_600),
        ("limits.body_bytes", limits.body_bytes as u64, 1, MAX_BODY_BYTES),
        ("limits.entities", limits.entities as u64, 1, 10_000_000),
        ("limits.features", limits.features as u64, 1, 1_000_000),
        ("limits.cells", limits.cells as u64, 1, 100_000_000),
        ("limits.key_bytes", limits.key_bytes as u64, 1, 1 << 20),
        ("limits.depth", u64::from(limits.depth), MIN_DEPTH, MAX_DEPTH),
        ("limits.origin_body_bytes", limits.origin_body_bytes as u64, 1, MAX_BODY_BYTES),
        ("limits.warm_rows", limits.warm_rows as u64, 1, 10_000_000),
        ("limits.write_body_bytes", limits.write_body_bytes as u64, 1, MAX_BODY_BYTES),
    ])?;
    all_in_range(&config.prefetch.ranges())?;
    all_in_range(&config.memory.ranges())?;
    memory::check(config)?;
    all_in_range(&monitor::prices(&config.costs))?;
    registry.as_ref().map_or(Ok(()), |registry| range("registry.ttl_seconds", registry.ttl_seconds, 1, MAX_TTL_SECONDS))
}

/// Validates the SLO, alerts and telemetry.
fn telemetry(config: &Config) -> Validation {
    let Config { alerts, telemetry, .. } = config;
    all_in_range(&monitor::ranges(config))?;
    binding("telemetry.binding", &telemetry.binding)?;
    telemetry.analytics_binding.as_ref().map_or(Ok(()), |name| binding("telemetry.analytics_binding", name))?;
    for (path, address) in [
        ("alerts.webhook_url", &alerts.webhook_url),
        ("telemetry.traces_url", &telemetry.traces_url),
        ("telemetry.dashboard_url", &telemetry.dashboard_url),
    ] {
        address.as_ref().map_or(Ok(()), |address| url(path, address))?;
    }
    Ok(())
}

fn all_in_range<const N: usize>((values, limits): &Ranges<N>) -> Validation {
    let mut lines = values.iter().zip(limits.iter());
    lines.try_for_each(|(&value, &(path, least, most))| range(path, value, least, most))
}

fn range(path: &str, value: u64, least: u64, most: u64) -> Validation {
    let is_allowed = (least..=most).contains(&value);
    check(is_allowed, path, value, format_args!("a whole number from {least} to {most}"))
}

fn name(path: &str, name: &str) -> Validation {
    let is_allowed = (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    let allowed = format_args!("a name of 1 to {MAX_NAME_BYTES} bytes without control characters");
    check(is_allowed, path, path::shown(name), allowed)
}

fn view_name(path: &str, view: &str) -> Validation {
    name(path, view)?;
    check(!view.contains(':'), path, view, "a view's name, which has no `:`")
}

fn view(path: &str, name: &str, view: &View) -> Validation {
    view_name(path, name)?;
    for (key, value, most) in [
        ("ttl_seconds", view.ttl_seconds, MAX_TTL_SECONDS),
        ("max_event_age_seconds", view.max_event_age_seconds, MAX_EVENT_AGE_SECONDS),
    ] {
        value.map_or(Ok(()), |value| range(&path::join(path, key), value, 0, most))?;
    }
    view_names(&path::join(path, "sources"), view.sources.as_deref().unwrap_or_default())?;
    let says_more = view.ttl_seconds.is_some() || view.max_event_age_seconds.is_some() || view.sources.is_some();
    if view.join_keys.is_empty() && says_more { Ok(()) } else { join_keys(path, &view.join_keys) }
}

fn view_names(path: &str, views: &[String]) -> Validation {
    views.iter().enumerate().try_for_each(|(index, view)| view_name(&format!("{path}[{index}]"), view))
}

fn join_keys(path: &str, columns: &[String]) -> Validation {
    let path = path::join(path, "join_keys");
    if columns.is_empty() {
        return Err(ConfigError::MissingKey(path));
    }
    for (index, column) in columns.iter().enumerate() {
        let path = format!("{path}[{index}]");
        name(&path, column)?;
        let is_new = columns.iter().take(index).all(|earlier| earlier != column);
        check(is_new, &path, column, "another column than those before it")?;
    }
    Ok(())
}

fn key_prefix(path: &str, prefix: &str) -> Validation {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
    let is_allowed = (1..=MAX_KEY_PREFIX_BYTES).contains(&prefix.len()) && prefix.bytes().all(is_plain);
    let allowed = format_args!("1 to {MAX_KEY_PREFIX_BYTES} letters, digits, `_`, `-`, `.`, `:` or `/`");
    check(is_allowed, path, path::shown(prefix), allowed)
}

/// A binding is a JavaScript identifier.
fn binding(path: &str, binding: &str) -> Validation {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins_well = binding.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    let is_allowed = begins_well && binding.len() <= MAX_NAME_BYTES && binding.bytes().all(is_plain);
    check(is_allowed, path, path::shown(binding), "letters, digits and `_`, not beginning with a digit")
}

/// Validates a base URL (RFC 3986): `http` or `https`, a host, optionally a port and a path; nothing that would be lost or
/// would leak when a path is appended. A parser of all URLs would add a third to the size of the Worker.
fn url(path: &str, url: &str) -> Validation {
    let check = |is_allowed, allowed: &str| check(is_allowed, path, path::shown(url), allowed);
    check(!url.contains('@'), "a URL without credentials, which belong in a secret")?;
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    check(rest.is_some(), "a URL that begins with `http://` or `https://`")?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\\\"<>^`{|}".contains(&byte);
    check(url.bytes().all(is_plain), "a URL without query, fragment and spaces")?;
    let authority = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => {
            address.contains(':') && address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
        }
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)),
    };
    let is_port = |port: &str| !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port > 0);
    check(is_host && port.is_none_or(is_port), "a URL with a host, and a port from 1 to 65535 if any")
}

fn check(is_allowed: bool, path: &str, found: impl fmt::Display, allowed: impl fmt::Display) -> Validation {
    if is_allowed { Ok(()) } else { Err(ConfigError::not_allowed(path, found.to_string(), allowed.to_string())) }
}
