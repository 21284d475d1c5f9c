//! What an operator sets: one table, parsed once into one [`Config`], with a default for every key.
//!
//! It knows no file format and no host: any serde deserializer will do. Its invariant: a `Config` that [`Config::parse`]
//! returns has every number in its range and every name in its form, so nothing that uses it checks again.
//! `docs/reference/configuration.md` has the same table for people, and a test holds the two together.

mod auth;
mod check;
mod error;
mod l3;
mod memory;
mod monitor;
mod path;
mod prefetch;
mod renamed;
mod sections;
mod sorted_map;
mod value;

use serde::{Deserialize, Deserializer, Serialize};

use value::ConfigValue;

pub use auth::{Auth, AuthMode};
pub use error::{ConfigError, Known};
pub use l3::L3;
pub use memory::{Memory, OTHER_BYTES};
pub use monitor::{Alerts, Costs, Sla, Telemetry};
pub use prefetch::Prefetch;
pub use sections::{
    Breaker, Deadlines, EvictionPolicy, FeatureService, Freshness, L1, L2, L2ReadPolicy, Limits, Load, Native, Origin,
    OriginKind, Registry, Routing, Services, Singleflight, View, Writes,
};
pub use sorted_map::SortedMap;

/// The whole table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The scope of all keys: deployments of different projects share a store and never a row.
    pub project: String,
    /// Whether nothing that stores, logs, figures and errors show tells of an entity, to one who can guess ids either. The host sees to it.
    pub pseudonymize_keys: bool,
    /// Where features come from that no tier holds.
    pub origin: Origin,
    /// The rows in memory.
    pub l1: L1,
    /// The rows in the distributed store.
    pub l2: L2,
    /// The rows in the storage tier.
    pub l3: L3,
    /// How much memory all of it takes together.
    pub memory: Memory,
    /// How long a row may be served.
    pub freshness: Freshness,
    /// Which serving pattern a request gets.
    pub routing: Routing,
    /// How long a request may take, and what is done to keep to it.
    pub deadlines: Deadlines,
    /// Whether requests wait for what others are looking for.
    pub singleflight: Singleflight,
    /// When a store or the origin is left alone.
    pub breaker: Breaker,
    /// How much work is taken on at one time.
    pub load: Load,
    /// What is known of feature views, by name.
    pub views: SortedMap<View>,
    /// The views that push sources feed, by name.
    pub push_sources: SortedMap<Vec<String>>,
    /// What is known of feature services, by name.
    pub feature_services: SortedMap<FeatureService>,
    /// How feature services are treated in general.
    pub services: Services,
    /// Feast's registry server, which is asked for the join keys of views that `views` does not tell.
    pub registry: Option<Registry>,
    /// What becomes of what is cached when rows are written through this service.
    pub writes: Writes,
    /// Who may do what.
    pub auth: Auth,
    /// What is learned from requests, and what is fetched ahead of them.
    pub prefetch: Prefetch,
    /// What the native API leaves out of a request.
    pub native: Native,
    /// How large a request may be that is answered here.
    pub limits: Limits,
    /// What is promised.
    pub sla: Sla,
    /// When something is wrong, and who is told.
    pub alerts: Alerts,
    /// What operations cost.
    pub costs: Costs,
    /// Where what is measured goes.
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
    /// Reads the table and checks it.
    ///
    /// # Errors
    /// The first thing that is wrong: a key that is unknown or missing, a value of the wrong type or out of range.
    pub fn parse<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Config, ConfigError> {
        // By way of a value, since some deserializers show a struct only the keys that it knows.
        let value = ConfigValue::deserialize(deserializer);
        let value = value.map_err(|error| ConfigError::Unreadable(error.to_string()))?;
        let mut config = Config::default();
        Config::deserialize_in_place(&value, &mut config).map_err(|error| renamed::suggest(*error))?;
        config.validate()?;
        Ok(config)
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first value that is not allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check::config(self)
    }
}

#[cfg(test)]
mod tests;
