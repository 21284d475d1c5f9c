//! What the configuration means to the engine and the planner.

use std::collections::BTreeMap;

use crate::cache::memory::Budget;
use crate::config::Config;
use crate::engine::breaker::BreakerSettings;
use crate::engine::limiter::LimiterSettings;
use crate::engine::router::RouterSettings;
use crate::engine::{Settings, StoreSettings};
use crate::model::answer::Tier;
use crate::model::key::Scope;
use crate::model::request::Lifetimes;
use crate::protocol::plan::{Project, ViewFacts};

/// What the engine is told.
pub(super) fn engine_settings(config: &Config, seed: u64) -> Settings {
    let l2 = StoreSettings {
        tier: Tier::L2,
        key_prefix: config.l2.key_prefix.clone(),
        ttl_seconds: config.l2.ttl_seconds,
        timeout_millis: config.l2.timeout_ms,
        write_interval_millis: 1_000,
        writes_per_day: None,
    };
    Settings {
        l1: Budget { entries: config.l1.max_entries, bytes: config.l1.max_bytes },
        stores: Some(l2).filter(|_| config.l2.enabled).into_iter().collect(),
        origin_timeout_millis: config.origin.timeout_ms,
        router: RouterSettings {
            real_time_max_entities: 100,
            real_time_max_features: 50,
            real_time_deadline_millis: 100,
            batch_min_entities: 1_000,
            batch_min_features: 20,
            chunk_rows: 500,
            max_calls: 4,
            deadline_millis: 5_000,
            does_hedge: true,
        },
        breaker: BreakerSettings { is_enabled: true, window: 20, failure_percent: 50, open_millis: 5_000, probes: 3 },
        limiter: LimiterSettings { is_adaptive: true, max: 64 },
        has_adaptive_timeouts: true,
        is_singleflight: true,
        early_beta_permille: 1_000,
        max_sessions: 1_000,
        seed,
    }
}

/// What the planner is told.
pub(super) fn project(config: &Config, seed: u64) -> Project {
    let freshness = &config.freshness;
    let lifetimes = |ttl_seconds: Option<u64>| Lifetimes {
        ttl: ttl_seconds.unwrap_or(freshness.ttl_seconds).saturating_mul(1_000),
        jitter_permille: 0,
        revalidate: 60_000,
        max_age: None,
        grace: freshness.grace_seconds.saturating_mul(1_000),
        negative_ttl: freshness.negative_ttl_seconds.saturating_mul(1_000),
    };
    let facts = |join_keys: &[String], ttl_seconds| ViewFacts {
        key_columns: join_keys.to_vec(),
        lifetimes: lifetimes(ttl_seconds),
    };
    let (mut views, mut services) = (BTreeMap::new(), BTreeMap::new());
    for (name, view) in &config.views {
        views.insert(name.clone(), facts(&view.join_keys, view.ttl_seconds));
    }
    for (name, service) in &config.feature_services {
        services.insert(name.clone(), facts(&service.join_keys, None));
    }
    Project {
        scope: Scope::project(&config.project),
        views,
        services,
        lifetimes: lifetimes(None),
        membership_ttl: config.services.membership_ttl_seconds.saturating_mul(1_000),
        default_view: config.native.default_view.clone(),
        registry_ttl: config.registry.as_ref().map(|registry| registry.ttl_seconds.saturating_mul(1_000)),
        seed,
    }
}

/// A path under a base URL, which may end with a slash and have a path of its own.
pub(super) fn join_url(base: &str, path: &str) -> String {
    format!("{}{path}", base.trim_end_matches('/'))
}
