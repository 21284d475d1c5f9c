//! Scenarios: requests, their rate and their concurrency.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::arrivals::{Arrivals, Stage};
use crate::bounded::{text, vec};
use crate::popularity::{MAX_EXPONENT, Popularity};

/// The priority of requests, as in the native API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Shed first.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Shed last.
    High,
    /// Never shed.
    Critical,
}

impl Priority {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
            Priority::Critical => "critical",
        }
    }
}

/// A load on a feature server. The names are the original specification's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Its purpose.
    #[serde(default, deserialize_with = "text")]
    pub description: String,
    /// How many requests are measured; without it, as many as fit in `duration_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_count: Option<u64>,
    /// How long requests are begun and measured, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The entities of a request.
    pub entities_per_request: u64,
    /// The features of a request.
    pub features_per_request: u64,
    /// The most concurrent requests.
    pub concurrency: u32,
    /// Requests a second, begun whether or not others have ended (open loop). Without it, a request begins when another ends (closed
    /// loop).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<f64>,
    /// An open loop with ramps, in place of `request_count` and `duration_ms`: in each stage the rate changes linearly from the one
    /// before, which is `rate_per_second` or 0 at first.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "vec::<_, _, MAX_STAGES>")]
    pub stages: Vec<Stage>,
    /// How long a response is waited for, in milliseconds, before it counts as a failure. It is sent as the request's deadline, so that
    /// the server's own, much shorter for real-time requests, fails no request that is measured.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Their priority.
    #[serde(default)]
    pub priority: Priority,
    /// The popularity of entities.
    #[serde(default)]
    pub popularity: Popularity,
    /// Requests of the warm-up, which are not measured.
    #[serde(default)]
    pub warm_up_requests: u64,
    /// The seed of all randomness.
    #[serde(default)]
    pub seed: u64,
}

/// The server's own deadline of a request by default, which a caller's may not exceed.
fn default_timeout_ms() -> u64 {
    5_000
}

/// Why a scenario or an import is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchmarkError(pub String);

impl fmt::Display for BenchmarkError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl core::error::Error for BenchmarkError {}

/// The most requests of a scenario: more are a load test of hours, which this is not.
const MAX_REQUESTS: u64 = 10_000_000;
/// The longest duration, an hour: latencies above 71 minutes have one bucket.
const MAX_DURATION_MS: u64 = 3_600_000;
/// The most concurrent requests: each has a slot, which is allocated at once.
const MAX_CONCURRENCY: u32 = 100_000;
/// The most stages.
const MAX_STAGES: usize = 100;
/// The most features of a request.
const MAX_FEATURES: u64 = 100_000;

impl Scenario {
    fn new(name: &str, description: &str, count: u64, entities: u64, features: u64, concurrency: u32) -> Scenario {
        Scenario {
            name: name.to_owned(),
            description: description.to_owned(),
            request_count: Some(count),
            duration_ms: None,
            entities_per_request: entities,
            features_per_request: features,
            concurrency,
            rate_per_second: None,
            stages: Vec::new(),
            timeout_ms: default_timeout_ms(),
            priority: Priority::Normal,
            popularity: Popularity::Sequential,
            warm_up_requests: 0,
            seed: 0,
        }
    }

    /// The four scenarios of the original specification.
    #[must_use]
    pub fn defaults() -> [Scenario; 4] {
        let low_latency = "Single entity, few features, optimized for latency";
        let batch = "Many entities, many features, optimized for throughput";
        [
            Scenario {
                priority: Priority::High,
                ..Scenario::new("low_latency_individual", low_latency, 1_000, 1, 5, 50)
            },
            Scenario::new("batch_processing", batch, 100, 100, 50, 5),
            Scenario::new("mixed_workload", "Mixed entity and feature counts", 500, 10, 20, 20),
            Scenario::new("stress_test", "High concurrency stress test", 2_000, 5, 15, 100),
        ]
    }

    /// The load that caches are for: most requests are for few entities, and the caches are warm.
    ///
    /// The warm-up requests most of the entities, and not all, so that a few rows are missing.
    #[must_use]
    pub fn popular_load() -> Scenario {
        Scenario {
            request_count: None,
            duration_ms: Some(1_500),
            popularity: Popularity::Zipf { population: 2_000, exponent: 1.1 },
            warm_up_requests: 4_000,
            seed: 1,
            ..Scenario::new("popular_load", "Few entities get most requests, and the caches are warm", 0, 5, 10, 20)
        }
    }

    /// The built-in scenarios: the popular load, and the four of the original specification.
    #[must_use]
    pub fn built_in() -> [Scenario; 5] {
        let [first, second, third, fourth] = Scenario::defaults();
        [Scenario::popular_load(), first, second, third, fourth]
    }

    /// The scenario with `share` of its requests and duration, but at least one request for each concurrent one, and its whole warm-up: with
    /// less of that it would be another load. It is for a quick check: fewer requests mean more noise in the tail.
    #[must_use]
    pub fn scaled(mut self, share: f64) -> Scenario {
        let scaled = |number: u64| (number as f64 * share).ceil() as u64;
        let min = u64::from(self.concurrency);
        self.request_count = self.request_count.map(|count| scaled(count).max(min.min(count)));
        self.duration_ms = self.duration_ms.map(|millis| scaled(millis).max(1));
        for stage in &mut self.stages {
            stage.duration_ms = scaled(stage.duration_ms);
        }
        self
    }

    /// Checks it.
    ///
    /// # Errors
    /// Which field is invalid, and why.
    pub fn check(&self) -> Result<(), BenchmarkError> {
        let positive = [
            ("entities_per_request", self.entities_per_request),
            ("features_per_request", self.features_per_request),
            ("concurrency", u64::from(self.concurrency)),
            ("request_count", self.request_count.unwrap_or(1)),
            ("duration_ms", self.duration_ms.unwrap_or(1)),
            ("timeout_ms", self.timeout_ms),
        ];
        let error = |text: String| Err(BenchmarkError(text));
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return error(format!("`{name}` is 0"));
        }
        let bounded = [
            ("entities_per_request", self.entities_per_request, MAX_REQUESTS),
            ("features_per_request", self.features_per_request, MAX_FEATURES),
            ("concurrency", u64::from(self.concurrency), u64::from(MAX_CONCURRENCY)),
            ("duration_ms", self.duration_ms.unwrap_or_default(), MAX_DURATION_MS),
            ("timeout_ms", self.timeout_ms, MAX_DURATION_MS),
            ("warm_up_requests", self.warm_up_requests, MAX_REQUESTS),
        ];
        if let Some((name, _, most)) = bounded.iter().find(|(_, value, most)| value > most) {
            return error(format!("`{name}` is more than {most}"));
        }
        if self.name.is_empty() {
            return error("`name` is empty".to_owned());
        }
        if self.rate_per_second.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return error("`rate_per_second` is not positive".to_owned());
        }
        if self.stages.is_empty() {
            if self.request_count.is_none() && self.duration_ms.is_none() {
                return error("neither `request_count` nor `duration_ms` is given".to_owned());
            }
        } else {
            self.check_stages()?;
        }
        let by_rate = match (self.rate_per_second, self.duration_ms) {
            (Some(rate), Some(millis)) => rate * millis as f64 / 1_000.0,
            _ => 0.0,
        };
        if by_rate.max(self.request_count.unwrap_or(0) as f64) > MAX_REQUESTS as f64 {
            return error(format!("there are more than {MAX_REQUESTS} requests"));
        }
        match &self.popularity {
            Popularity::Uniform { population } | Popularity::Zipf { population, .. }
                if *population < self.entities_per_request =>
            {
                Err(BenchmarkError(format!(
                    "`population` is less than the {} entities of a request",
                    self.entities_per_request
                )))
            }
            Popularity::Zipf { exponent, .. } if !(*exponent > 0.0 && *exponent <= f64::from(MAX_EXPONENT)) => {
                Err(BenchmarkError(format!("`exponent` is not between 0 and {MAX_EXPONENT}")))
            }
            Popularity::Recorded { entities } if (entities.len() as u64) < self.entities_per_request => {
                Err(BenchmarkError(format!("the recording has {} entities, fewer than a request", entities.len())))
            }
            _ => Ok(()),
        }
    }

    fn check_stages(&self) -> Result<(), BenchmarkError> {
        let error = |text: String| Err(BenchmarkError(text));
        if self.request_count.or(self.duration_ms).is_some() {
            return error("`stages` have their own durations: leave `request_count` and `duration_ms` out".to_owned());
        }
        let is_rate = |stage: &Stage| stage.rate_per_second.is_finite() && stage.rate_per_second >= 0.0;
        if let Some(index) = self.stages.iter().position(|stage| !is_rate(stage)) {
            return error(format!("`stages[{index}].rate_per_second` is negative"));
        }
        if self.stages.iter().map(|stage| stage.duration_ms).fold(0, u64::saturating_add) > MAX_DURATION_MS {
            return error(format!("the stages last longer than {MAX_DURATION_MS} ms"));
        }
        match Arrivals::of(self.rate_per_second, &self.stages).and_then(|arrivals| arrivals.count()).unwrap_or_default()
        {
            0 => error("the stages have no requests: their rates or durations are 0".to_owned()),
            1..=MAX_REQUESTS => Ok(()),
            _ => error(format!("there are more than {MAX_REQUESTS} requests")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_original_specification() {
        let rows = Scenario::defaults().map(|scenario| {
            scenario.check().unwrap();
            let Scenario {
                name, request_count, entities_per_request, features_per_request, concurrency, priority, ..
            } = scenario;
            (name, request_count.unwrap(), entities_per_request, features_per_request, concurrency, priority)
        });
        let named = |row: (&str, u64, u64, u64, u32, Priority)| (row.0.to_owned(), row.1, row.2, row.3, row.4, row.5);
        assert_eq!(
            rows,
            [
                ("low_latency_individual", 1_000, 1, 5, 50, Priority::High),
                ("batch_processing", 100, 100, 50, 5, Priority::Normal),
                ("mixed_workload", 500, 10, 20, 20, Priority::Normal),
                ("stress_test", 2_000, 5, 15, 100, Priority::Normal),
            ]
            .map(named)
        );
    }

    #[test]
    fn a_scenario_is_serialized_with_the_original_names_and_read_again() {
        let [first, ..] = Scenario::defaults();
        let text = serde_json::to_string(&first).unwrap();
        assert!(
            text.contains(r#""request_count":1000,"entities_per_request":1,"features_per_request":5,"concurrency":50"#)
        );
        assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap(), first);
        let short = r#"{"name":"x","request_count":9,"entities_per_request":1,"features_per_request":1,"concurrency":1,
            "popularity":{"zipf":{"population":100,"exponent":1.1}}}"#;
        let read: Scenario = serde_json::from_str(short).unwrap();
        assert_eq!(read.popularity, Popularity::Zipf { population: 100, exponent: 1.1 });
        assert!(serde_json::from_str::<Scenario>(&short.replace("\"concurrency", "\"concurency")).is_err());
    }

    #[test]
    fn an_invalid_field_is_named() {
        let change = |change: fn(&mut Scenario)| {
            let [mut scenario, ..] = Scenario::defaults();
            change(&mut scenario);
            scenario.check().unwrap_err().to_string()
        };
        assert_eq!(change(|scenario| scenario.concurrency = 0), "`concurrency` is 0");
        assert_eq!(
            change(|scenario| scenario.request_count = None),
            "neither `request_count` nor `duration_ms` is given"
        );
        assert_eq!(change(|scenario| scenario.rate_per_second = Some(f64::NAN)), "`rate_per_second` is not positive");
        assert_eq!(
            change(|scenario| scenario.popularity = Popularity::Zipf { population: 10, exponent: 0.0 }),
            "`exponent` is not between 0 and 10"
        );
        assert!(
            change(|scenario| scenario.popularity = Popularity::Uniform { population: 0 }).contains("`population`")
        );
        assert!(
            change(|scenario| scenario.popularity = Popularity::Recorded { entities: vec![] }).contains("recording")
        );
    }

    #[test]
    fn a_scaled_scenario_still_fills_its_concurrency() {
        let [first, ..] = Scenario::defaults();
        assert_eq!(first.clone().scaled(0.1).request_count, Some(100));
        assert_eq!(first.scaled(0.001).request_count, Some(50));
    }
}
