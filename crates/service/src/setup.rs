//! Translates the configuration into the settings of the engine and the planner. It decides nothing.

use ::prefetch::governor::{self as prefetch_governor, NanodollarPrices};
use ::prefetch::patterns;
use cache::job_window::JobSettings;
use cache::memory::Budget;
use cache::policy::Eviction;
use config::{Breaker, Config, EvictionPolicy, L2ReadPolicy, SortedMap, View};
use engine::breaker::BreakerSettings;
use engine::limiter::LimiterSettings;
use engine::read_policy::ReadPolicy;
use engine::serving_pattern::PatternSettings;
use engine::{Settings, StoreSettings};
use model::answer::Tier;
use model::key::Namespace;
use model::request::{Lifetimes, Priority};
use model::row::RowLimits;
use origin::planner::{Project, ViewMetadata};
use protocol::native::Options;

/// KV's limit of keys in one bulk read.
const KV_KEYS_PER_READ: usize = 100;

/// One call to a shard must stay within Cloudflare's 32 MiB: rows of 32 KB.
const SHARD_KEYS_PER_READ: usize = 1_000;

/// What one operation costs where a million cost a cent.
const NANODOLLARS: u64 = 10;

/// A row keeps as many features as so many requests may name.
const ROW_REQUESTS: usize = 2;

/// A row that collects features takes no more than this part of L1: a mebibyte by default.
const ROW_PART: usize = 64;

/// The engine's settings.
pub(super) fn engine_settings(config: &Config, has_invalidation_log: bool, seed: u64) -> Settings {
    let l2 = StoreSettings {
        tier: Tier::L2,
        key_prefix: config.l2.key_prefix.clone(),
        shards: 1,
        keys_per_read: KV_KEYS_PER_READ,
        ttl_seconds: config.l2.ttl_seconds,
        timeout_millis: config.l2.timeout_ms,
        write_interval_millis: config.l2.write_interval_ms,
        max_writes_per_day: config.l2.max_writes_per_day,
        max_writes_per_request: config.l2.max_writes_per_request,
    };
    let l3 = StoreSettings {
        tier: Tier::L3,
        key_prefix: config.l3.key_prefix.clone(),
        shards: config.l3.shards,
        keys_per_read: SHARD_KEYS_PER_READ,
        ttl_seconds: config.l3.ttl_seconds,
        timeout_millis: config.l3.timeout_ms,
        write_interval_millis: 0,
        max_writes_per_day: None,
        max_writes_per_request: None,
    };
    let stores = [(l2, config.l2.enabled), (l3, config.l3.enabled)];
    let Config { routing, deadlines, breaker, load, prefetch, costs, .. } = config;
    Settings {
        l1: Budget {
            entries: config.l1.max_entries,
            bytes: config.l1.max_bytes,
            row: RowLimits {
                features: config.limits.features.saturating_mul(ROW_REQUESTS),
                bytes: config.l1.max_bytes / ROW_PART,
            },
        },
        eviction: match config.l1.policy {
            EvictionPolicy::Lru => Eviction::Lru,
            EvictionPolicy::S3Fifo => Eviction::S3Fifo,
        },
        stores: stores.into_iter().filter_map(|(store, is_enabled)| is_enabled.then_some(store)).collect(),
        origin_timeout_millis: config.origin.timeout_ms,
        serving_patterns: PatternSettings {
            is_enabled: routing.enabled,
            real_time_max_entities: routing.real_time_max_entities,
            real_time_max_features: routing.real_time_max_features,
            real_time_deadline_millis: routing.real_time_deadline_ms,
            batch_min_entities: routing.batch_min_entities,
            batch_min_features: routing.batch_min_features,
            chunk_rows: routing.chunk_rows,
            max_concurrent_chunks: routing.max_concurrent_chunks,
            deadline_millis: deadlines.default_ms,
            soft_percent: deadlines.soft_percent,
            does_hedge: deadlines.hedging,
        },
        breaker: breaker_settings(breaker),
        limiter: LimiterSettings { is_adaptive: load.adaptive_concurrency, max: load.max_origin_calls },
        has_adaptive_timeouts: deadlines.adaptive_timeouts,
        l2_read_policy: match config.l2.read_policy {
            L2ReadPolicy::Auto => None,
            L2ReadPolicy::First => Some(ReadPolicy::First),
            L2ReadPolicy::Parallel => Some(ReadPolicy::Parallel),
            L2ReadPolicy::Never => Some(ReadPolicy::Never),
        },
        is_singleflight: config.singleflight.enabled,
        early_beta_permille: permille(config.freshness.early_refresh_percent),
        learning: patterns::TrainingSettings {
            memory_bytes: prefetch.memory_bytes,
            half_life_millis: prefetch.half_life_seconds * 1_000,
            predictions: prefetch.max_predictions,
            related: prefetch.max_related_predictions,
        },
        prefetch: prefetch_governor::GovernorSettings {
            max_rows_per_second: prefetch.max_rows_per_second,
            min_precision_permille: prefetch.min_precision_percent * 10,
            holdout_permille: prefetch.holdout_percent * 10,
            cooldown_millis: prefetch.cooldown_seconds * 1_000,
            prices: NanodollarPrices {
                read: costs.l2_read_cents_per_million * NANODOLLARS,
                write: costs.l2_write_cents_per_million * NANODOLLARS,
                call: costs.origin_call_cents_per_million * NANODOLLARS,
                millisecond: prefetch.latency_value_nanodollars_per_ms,
            },
        },
        jobs: JobSettings {
            longest_millis: config.writes.job_seconds * 1_000,
            staleness_millis: config.writes.visible_within_ms,
        },
        // The invalidation log sets the clocks of all isolates that use it.
        max_clock_skew_millis: if has_invalidation_log { 0 } else { config.writes.max_clock_skew_ms },
        max_sessions: load.max_pending_requests,
        pending_bytes: config.memory.pending_bytes,
        seed,
    }
}

pub(super) fn breaker_settings(breaker: &Breaker) -> BreakerSettings {
    BreakerSettings {
        is_enabled: breaker.enabled,
        window_operations: breaker.window_operations,
        failure_percent: breaker.failure_percent,
        open_millis: breaker.open_ms,
        half_open_probes: breaker.half_open_probes,
    }
}

/// The greatest age at which a value of any view may be served, in milliseconds.
pub(super) fn max_servable_age(config: &Config) -> u64 {
    let freshness = &config.freshness;
    let views = config.views.iter().filter_map(|(_, view)| view.ttl_seconds);
    let ttl = views.max().unwrap_or_default().max(freshness.ttl_seconds);
    (ttl + freshness.stale_if_error_seconds.max(freshness.stale_while_revalidate_seconds)).saturating_mul(1_000)
}

/// The planner's settings.
pub(super) fn project(config: &Config, seed: u64) -> Project {
    let freshness = &config.freshness;
    let millis = |seconds: u64| seconds.saturating_mul(1_000);
    let lifetimes = |view: Option<&View>| Lifetimes {
        ttl: millis(view.and_then(|view| view.ttl_seconds).unwrap_or(freshness.ttl_seconds)),
        jitter_permille: permille(freshness.ttl_jitter_percent),
        stale_while_revalidate: millis(freshness.stale_while_revalidate_seconds),
        max_event_age: view.and_then(|view| view.max_event_age_seconds).or(freshness.max_event_age_seconds).map(millis),
        stale_if_error: millis(freshness.stale_if_error_seconds),
        negative_ttl: millis(freshness.negative_ttl_seconds),
    };
    let metadata = |join_keys: &[String], view: Option<&View>| ViewMetadata {
        key_columns: join_keys.to_vec(),
        lifetimes: lifetimes(view),
        sources: view.and_then(|view| view.sources.clone()),
        stream_source: None,
    };
    let (mut views, mut services) = (SortedMap::default(), SortedMap::default());
    for (name, view) in config.views.iter() {
        views.insert(name.to_owned(), metadata(&view.join_keys, Some(view)));
    }
    for (name, service) in config.feature_services.iter() {
        services.insert(name.to_owned(), metadata(&service.join_keys, None));
    }
    Project {
        namespace: Namespace::project(&config.project),
        views,
        services,
        lifetimes: lifetimes(None),
        push_sources: config.push_sources.clone(),
        membership_ttl: config.services.membership_ttl_seconds.saturating_mul(1_000),
        default_view: config.native.default_view.clone(),
        registry_ttl: config.registry.as_ref().map(|registry| registry.ttl_seconds.saturating_mul(1_000)),
        plan_bytes: config.memory.plan_bytes,
        seed,
    }
}

fn permille(percent: u64) -> u32 {
    u32::try_from(percent.saturating_mul(10)).unwrap_or(u32::MAX)
}

/// A path under a base URL, which may end with a slash and have a path of its own.
pub(super) fn join_url(base: &str, path: &str) -> String {
    format!("{}{path}", base.trim_end_matches('/'))
}

/// The latency target of a request, in milliseconds: the quantile of the SLO that its priority belongs to,
/// or its own deadline if that is sooner.
pub(super) fn latency_target(config: &Config, options: &Options) -> u64 {
    let sla = &config.sla;
    let target = match options.priority {
        Priority::Critical => sla.p50_ms,
        Priority::High => sla.p95_ms,
        Priority::Normal | Priority::Low => sla.p99_ms,
    };
    options.deadline_millis.map_or(target, |deadline| target.min(deadline))
}
