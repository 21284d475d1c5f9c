//! The configuration: one table, parsed once into one [`Config`], with a default for every key.
//!
//! It knows no file format and no host: any serde deserializer works. Invariant: in a `Config` that [`Config::parse`] returns,
//! every number is in its range and every name is valid, so that its users need no checks.
//! `docs/reference/configuration.md` documents every key, and a test compares the two.
//!
//! ```
//! use featheredge_config::Config;
//!
//! let table = serde_json::json!({ "freshness": { "ttl_seconds": 60 } });
//! let config = Config::parse(&table).expect("it is valid");
//! assert_eq!((config.freshness.ttl_seconds, config.project.as_str()), (60, "default"));
//!
//! let table = serde_json::json!({ "freshness": { "ttl": 60 } });
//! let error = Config::parse(&table).unwrap_err().to_string();
//! assert_eq!(error, "unknown key `freshness.ttl`; did you mean `ttl_seconds`?");
//! ```

mod auth;
mod error;
mod l3;
mod memory;
mod monitor;
mod path;
mod prefetch;
mod renamed;
mod sections;
mod sorted_map;
mod validation;
mod value;

use serde::{Deserialize, Deserializer, Serialize};

use value::ConfigValue;

pub use auth::{Auth, AuthMode};
pub use error::{ConfigError, Suggestion};
pub use l3::L3;
pub use memory::{Memory, OTHER_BYTES};
pub use monitor::{Alerts, Costs, Sla, Telemetry};
pub use prefetch::Prefetch;
pub use sections::{
    Breaker, Deadlines, EvictionPolicy, FeatureService, Freshness, L1, L2, L2ReadPolicy, Limits, Load, Native, Origin,
    OriginKind, Registry, Routing, Services, Singleflight, View, Writes,
};
pub use sorted_map::SortedMap;

/// The configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The project of all keys: projects share stores, and never rows.
    pub project: String,
    /// Whether stores, logs, metrics and errors contain no key of an entity, not even one that can be guessed. The host pseudonymizes them.
    pub pseudonymize_keys: bool,
    /// The origin of features.
    pub origin: Origin,
    /// Memory (L1).
    pub l1: L1,
    /// The distributed store (L2).
    pub l2: L2,
    /// The storage tier (L3).
    pub l3: L3,
    /// The memory budget.
    pub memory: Memory,
    /// Lifetimes of rows.
    pub freshness: Freshness,
    /// The serving pattern of a request.
    pub routing: Routing,
    /// Deadlines of requests.
    pub deadlines: Deadlines,
    /// Whether requests share fetches.
    pub singleflight: Singleflight,
    /// Circuit breakers.
    pub breaker: Breaker,
    /// Load shedding.
    pub load: Load,
    /// The metadata of feature views, by name.
    pub views: SortedMap<View>,
    /// The views that push sources feed, by name.
    pub push_sources: SortedMap<Vec<String>>,
    /// The metadata of feature services, by name.
    pub feature_services: SortedMap<FeatureService>,
    /// All feature services.
    pub services: Services,
    /// Feast's registry server, for the join keys of views that are not in `views`.
    pub registry: Option<Registry>,
    /// How writes invalidate cached rows.
    pub writes: Writes,
    /// Authentication and scopes.
    pub auth: Auth,
    /// Prefetch.
    pub prefetch: Prefetch,
    /// Defaults of the native API.
    pub native: Native,
    /// Limits of requests.
    pub limits: Limits,
    /// The SLO.
    pub sla: Sla,
    /// Alerts.
    pub alerts: Alerts,
    /// Prices of operations.
    pub costs: Costs,
    /// Telemetry.
    pub telemetry: Telemetry,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            project: "default".to_owned(),
            pseudonymize_keys: false,
            origin: Origin::default(),
            l1: L1::default(),
            l2: L2::default(),
            l3: L3::default(),
            memory: Memory::default(),
            freshness: Freshness::default(),
            routing: Routing::default(),
            deadlines: Deadlines::default(),
            singleflight: Singleflight::default(),
            breaker: Breaker::default(),
            load: Load::default(),
            views: SortedMap::default(),
            push_sources: SortedMap::default(),
            feature_services: SortedMap::default(),
            services: Services::default(),
            registry: None,
            writes: Writes::default(),
            auth: Auth::default(),
            prefetch: Prefetch::default(),
            native: Native::default(),
            limits: Limits::default(),
            sla: Sla::default(),
            alerts: Alerts::default(),
            costs: Costs::default(),
            telemetry: Telemetry::default(),
        }
    }
}

impl Config {
    /// Parses and validates a configuration.
    ///
    /// # Errors
    /// The first error: an unknown or missing key, a value of the wrong type or out of range.
    pub fn parse<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Config, ConfigError> {
        // By way of a value, since some deserializers hide unknown keys from a struct.
        let value = ConfigValue::deserialize(deserializer);
        let value = value.map_err(|error| ConfigError::Unreadable(error.to_string()))?;
        let mut config = Config::default();
        Config::deserialize_in_place(&value, &mut config).map_err(|error| renamed::suggest(*error))?;
        config.validate()?;
        Ok(config)
    }

    /// Checks what types cannot express.
    ///
    /// # Errors
    /// The first value that is not allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        validation::config(self)
    }
}

#[cfg(test)]
mod tests;
