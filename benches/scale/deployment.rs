//! The assumptions on the platform and on the traffic. docs/internals/scale.md has the sources.

use config::{Config, L2ReadPolicy, OriginKind, View};
use serde::{Deserialize, Serialize};

/// The requested view, its join key, and the features of a request.
pub const VIEW: &str = "driver_stats";
/// See [`VIEW`].
pub const COLUMN: &str = "driver_id";
/// See [`VIEW`].
pub const FEATURES: [&str; 5] = ["conv_rate", "acc_rate", "avg_daily_trips", "rating", "vehicles"];

/// A deployment and its traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deployment {
    /// How many locations it runs in. The k-th busiest gets a share of the requests in proportion to 1/k.
    pub locations: u16,
    /// How many requests a second one isolate takes; where a location gets more, it has more isolates, among which requests are spread evenly.
    pub isolate_rate: f64,
    /// How long an isolate lives on the average, in seconds; the ends of their lives are independent of each other.
    pub isolate_life_seconds: f64,
    /// After how long without a request an isolate ends, in seconds.
    pub isolate_idle_seconds: f64,
    /// How many entities there are.
    pub population: u32,
    /// Zipf's exponent: how uneven it is for which of them requests come.
    pub exponent: f64,
    /// How long a location keeps what it read from KV, and that there was nothing, in seconds.
    pub kv_cache_seconds: f64,
    /// After how long at the most a write is seen by other locations that have nothing in their cache, in seconds.
    pub kv_delay_seconds: f64,
    /// How long a location's round trip to KV's central stores takes at the most, in milliseconds.
    pub kv_millis: u64,
    /// How long one to the origin takes at the most, in milliseconds.
    pub origin_millis: u64,
    /// How long the origin itself takes, in milliseconds.
    pub origin_works_millis: u64,
    /// How long a row is fresh, in seconds.
    pub ttl_seconds: u64,
    /// How many requests a second are simulated at the most, about; where more come, [a sample](crate::sample) is.
    pub sampled_rate: f64,
    /// For how long nothing is counted, in seconds: caches fill. Longer than `ttl_seconds`, within which entities begin to be asked for.
    pub warm_seconds: f64,
    /// For how long what happens is counted then at the least, in seconds.
    pub measured_seconds: f64,
    /// Of how many requests at the least, simulated ones.
    pub measured_requests: f64,
}

impl Default for Deployment {
    fn default() -> Deployment {
        Deployment {
            locations: 300,
            isolate_rate: 500.0,
            isolate_life_seconds: 3_600.0,
            isolate_idle_seconds: 60.0,
            population: 1_000_000,
            exponent: 0.99,
            kv_cache_seconds: 60.0,
            kv_delay_seconds: 60.0,
            kv_millis: 80,
            origin_millis: 150,
            origin_works_millis: 10,
            ttl_seconds: 300,
            sampled_rate: 5_000.0,
            warm_seconds: 450.0,
            measured_seconds: 300.0,
            measured_requests: 300_000.0,
        }
    }
}

/// The tiers between the clients and the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentKind {
    /// Nothing: each request is a call to the origin.
    Direct,
    /// Isolates with L1 only.
    L1Alone,
    /// Isolates with L1, and Workers KV as L2.
    Tiers,
}

impl DeploymentKind {
    /// All of them.
    pub const ALL: [DeploymentKind; 3] = [DeploymentKind::Direct, DeploymentKind::L1Alone, DeploymentKind::Tiers];
}

impl Deployment {
    /// Checks that there is something to simulate.
    ///
    /// # Errors
    /// The name of what must be more than 0 and is not.
    pub fn check(&self) -> Result<(), &'static str> {
        let all = [
            ("locations", f64::from(self.locations)),
            ("isolate_rate", self.isolate_rate),
            ("isolate_life_seconds", self.isolate_life_seconds),
            ("population", f64::from(self.population)),
            ("sampled_rate", self.sampled_rate),
            ("measured_seconds", self.measured_seconds),
        ];
        all.into_iter().find(|(_, value)| *value <= 0.0).map_or(Ok(()), |(name, _)| Err(name))
    }

    /// The configuration of an isolate with `room` for rows in L1: the default but for the settings below.
    #[must_use]
    pub fn config(&self, kind: DeploymentKind, room: usize) -> Config {
        let mut config = Config::default();
        config.origin.kind = OriginKind::Http;
        config.origin.url = Some("http://origin.example".to_owned());
        config.l1.max_entries = room;
        config.l2.enabled = kind == DeploymentKind::Tiers;
        config.freshness.ttl_seconds = self.ttl_seconds;
        let view = View { join_keys: vec![COLUMN.to_owned()], ..View::default() };
        config.views.insert(VIEW.to_owned(), view);
        // The automatic read policy depends on the number of requests, which is too small in a sample.
        config.l2.read_policy = L2ReadPolicy::First;
        // There are no reports here.
        config.telemetry.enabled = false;
        config
    }
}
