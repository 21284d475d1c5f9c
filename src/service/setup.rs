//! What the configuration means to the engine and the planner.

use std::collections::BTreeMap;

use crate::cache::memory::Budget;
use crate::config::Config;
use crate::engine::{Settings, StoreSettings};
use crate::model::key::Scope;
use crate::model::request::Lifetimes;
use crate::protocol::plan::{Project, ViewFacts};

/// What the engine is told.
pub(super) fn engine_settings(config: &Config) -> Settings {
    let l2 = config
        .l2
        .enabled
        .then(|| StoreSettings { key_prefix: config.l2.key_prefix.clone(), ttl_seconds: config.l2.ttl_seconds });
    Settings { l1: Budget { entries: config.l1.max_entries, bytes: config.l1.max_bytes }, l2 }
}

/// What the planner is told.
pub(super) fn project(config: &Config, seed: u64) -> Project {
    let freshness = &config.freshness;
    let lifetimes = |ttl_seconds: Option<u64>| Lifetimes {
        ttl: ttl_seconds.unwrap_or(freshness.ttl_seconds).saturating_mul(1_000),
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
