//! The results of a scenario and of a run, their export, and their summaries.
//!
//! An export has counts, so that runs can be merged and compared later. Summaries are computed from these on each import. The format has a
//! version, and an unknown one is refused. Lists and texts are bounded while they are read.

use serde::{Deserialize, Serialize};

use crate::bounded::{text, vec};
use crate::repeat::Repeat;
use crate::scenario::{BenchmarkError, Scenario};
use crate::summary::{Prices, Summary, Targets};

/// The schema of an export.
pub const SCHEMA: &str = "featheredge-benchmark";

/// The setting of a run that has the price of a million origin calls, in US dollars.
const ORIGIN_CALL_SETTING: &str = "origin_call_usd_per_million";

/// The version of its format. Version 1 had cold caches and no loads straight at an origin, as the defaults of what it lacks say.
pub const VERSION: u32 = 2;

/// The oldest version that can be read.
const MIN_VERSION: u32 = 1;

/// The most scenarios of a run, repetitions of a scenario, and repetitions of a run: each takes some 13 KB.
pub const MAX_SCENARIOS: usize = 64;
/// The most repetitions of a scenario.
pub const MAX_REPEATS: usize = 100;
/// The most repetitions of all scenarios of a run.
pub const MAX_ALL_REPEATS: usize = 1_000;
const MAX_SETTINGS: usize = 64;

/// How many runs are kept, as in the original specification.
pub const MAX_RUNS: usize = 100;

/// The caches when the measured requests began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caches {
    /// Empty, but for the scenario's own warm-up.
    #[default]
    Cold,
    /// The same requests had been made once.
    Warm,
}

/// What responded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServedBy {
    /// Featheredge.
    #[default]
    Featheredge,
    /// The origin, without Featheredge.
    Origin,
}

/// A scenario and its repetitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioResult {
    /// The scenario.
    pub scenario: Scenario,
    /// The caches at the beginning.
    #[serde(default)]
    pub caches: Caches,
    /// What responded.
    #[serde(default)]
    pub served_by: ServedBy,
    /// The results of each repetition.
    #[serde(deserialize_with = "vec::<_, _, MAX_REPEATS>")]
    pub repeats: Vec<Repeat>,
    /// Their summary; an export has it, and an import computes it again.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

/// The environment of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The browser or runtime, with its version.
    #[serde(deserialize_with = "text")]
    pub host: String,
    /// The machine, as far as the host knows.
    #[serde(deserialize_with = "text")]
    pub machine: String,
    /// The number of processors; 0 if unknown.
    pub cores: u32,
    /// The target: this engine, or a URL.
    #[serde(deserialize_with = "text")]
    pub target: String,
    /// Further settings.
    #[serde(default, deserialize_with = "vec::<_, _, MAX_SETTINGS>")]
    pub settings: Vec<RunSetting>,
}

/// A setting of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSetting {
    /// Its name.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Its value.
    #[serde(deserialize_with = "text")]
    pub value: String,
}

/// A run of several scenarios.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`SCHEMA`].
    #[serde(deserialize_with = "text")]
    pub schema: String,
    /// [`VERSION`].
    pub version: u32,
    /// Its identifier.
    #[serde(deserialize_with = "text")]
    pub id: String,
    /// When it began, by RFC 3339.
    #[serde(deserialize_with = "text")]
    pub started_at: String,
    /// The version of Featheredge.
    #[serde(deserialize_with = "text")]
    pub product_version: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub name: String,
    /// What people noted about it.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "text")]
    pub notes: String,
    /// Its environment.
    pub environment: Environment,
    /// The objectives.
    #[serde(default)]
    pub targets: Targets,
    /// The scenarios with their results. One may stand several times, with other caches, or served by another.
    #[serde(deserialize_with = "vec::<_, _, MAX_SCENARIOS>")]
    pub scenarios: Vec<ScenarioResult>,
    /// The summary of all, from merged latencies.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub overall: Option<Summary>,
}

impl Run {
    /// Computes all summaries.
    ///
    /// # Errors
    /// Why it is not a valid export.
    pub fn summarized(mut self) -> Result<Run, BenchmarkError> {
        if self.schema != SCHEMA {
            return Err(BenchmarkError(format!("`schema` is `{}` and not `{SCHEMA}`", self.schema)));
        }
        if !(MIN_VERSION..=VERSION).contains(&self.version) {
            let text = format!("`version` is {}, and {MIN_VERSION} to {VERSION} can be read", self.version);
            return Err(BenchmarkError(text));
        }
        self.version = VERSION;
        if self.scenarios.iter().map(|measured| measured.repeats.len()).sum::<usize>() > MAX_ALL_REPEATS {
            return Err(BenchmarkError(format!("there are more than {MAX_ALL_REPEATS} repetitions")));
        }
        let price = self.environment.settings.iter().find(|setting| setting.name == ORIGIN_CALL_SETTING);
        let prices = Prices::new(price.and_then(|setting| setting.value.parse().ok()));
        let mut seen = Vec::new();
        for (index, measured) in self.scenarios.iter_mut().enumerate() {
            let place = |BenchmarkError(text)| BenchmarkError(format!("`scenarios[{index}]`: {text}"));
            measured.scenario.check().map_err(place)?;
            for repeat in &measured.repeats {
                repeat.check().map_err(place)?;
            }
            if seen.contains(&(measured.scenario.name.clone(), measured.caches, measured.served_by)) {
                return Err(place(BenchmarkError(format!("`{}` stands there twice", measured.scenario.name))));
            }
            seen.push((measured.scenario.name.clone(), measured.caches, measured.served_by));
            let all = Repeat::merged(&measured.repeats);
            measured.summary = Some(Summary::of(&all, Some(&measured.scenario), &self.targets, &prices));
        }
        // What the origin alone served is no result of Featheredge.
        let own = self.scenarios.iter().filter(|measured| measured.served_by == ServedBy::Featheredge);
        let all = Repeat::merged(own.flat_map(|measured| &measured.repeats));
        self.overall = Some(Summary::of(&all, None, &self.targets, &prices));
        Ok(self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::repeat::tests::repeat;
    use crate::response::{RowCounts, ServedResponse};

    pub(crate) fn run(repeats: Vec<Repeat>) -> Run {
        let [scenario, ..] = Scenario::defaults();
        Run {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            id: "a".to_owned(),
            started_at: "2026-11-24T08:00:00Z".to_owned(),
            product_version: "0.1.0".to_owned(),
            name: String::new(),
            notes: String::new(),
            environment: Environment::default(),
            targets: Targets::default(),
            scenarios: vec![ScenarioResult {
                scenario,
                caches: Caches::Cold,
                served_by: ServedBy::Featheredge,
                repeats,
                summary: None,
            }],
            overall: None,
        }
    }

    #[test]
    fn percentiles_of_repetitions_are_those_of_all_their_requests() {
        let fast: Vec<u64> = vec![10_000; 99];
        let summarized = run(vec![repeat(&fast), repeat(&[500_000])]).summarized().unwrap();
        let summary = summarized.scenarios[0].summary.as_ref().unwrap();
        assert_eq!(summary.succeeded, 100);
        // A mean of the repetitions' medians would be 255 ms.
        assert!((summary.median_ms.unwrap() - 10.0).abs() < 0.05, "{:?}", summary.median_ms);
        assert_eq!(summary.max_ms, Some(500.0));
        assert_eq!(summarized.overall.as_ref().unwrap().succeeded, 100);
    }

    #[test]
    fn each_objective_is_checked() {
        let mut slow = repeat(&[30_000; 100]);
        slow.fail("timeout", None, 1);
        let summarized = run(vec![slow]).summarized().unwrap();
        let verdicts = &summarized.overall.unwrap().verdicts;
        let met: Vec<(&str, bool)> = verdicts.iter().map(|verdict| (verdict.name, verdict.is_met.unwrap())).collect();
        assert_eq!(
            met,
            [("p50_ms", false), ("p95_ms", true), ("p99_ms", true), ("availability", false), ("error_rate", false)]
        );
    }

    #[test]
    fn without_responses_no_objective_is_met() {
        let mut failed = Repeat::default();
        failed.fail("unreachable", None, 10);
        let summary = run(vec![failed]).summarized().unwrap().overall.unwrap();
        assert!(summary.verdicts.iter().all(|verdict| verdict.is_met != Some(true)));
        assert_eq!((summary.throughput, summary.error_rate), (None, Some(1.0)));
    }

    #[test]
    fn the_latency_model_has_the_parts_and_the_savings() {
        let mut both = repeat(&[10_000; 10]);
        let hit = RowCounts { hits: 2, misses: 0 };
        for _ in 0..10 {
            let served = ServedResponse {
                rows: [hit, RowCounts::default(), RowCounts::default(), RowCounts::default()],
                ..ServedResponse::default()
            };
            both.add(1_000, &served, 0);
        }
        let summary = run(vec![both]).summarized().unwrap().overall.unwrap();
        let parts = summary.model.parts;
        assert_eq!((parts.cache_ms, parts.computation_ms, parts.serialization_ms), (0.5, 3.0, 0.5));
        assert!((parts.network_ms - 1.5).abs() < 1e-9);
        assert_eq!(
            (summary.model.hit_ratio, summary.model.hit_ms, summary.model.miss_ms),
            (Some(0.5), Some(1.0), Some(10.0))
        );
        assert_eq!(summary.model.saved_ms, Some(4.5));
        // 20 requests read 20 rows from L2, and wrote as many.
        assert_eq!((summary.cost.store_reads_usd, summary.cost.store_writes_usd), (0.5, 5.0));
        assert_eq!(summary.cost.origin_calls_per_thousand, 500.0);
    }

    #[test]
    fn an_import_computes_the_same_summary() {
        let summarized = run(vec![repeat(&[1_000, 2_000]), repeat(&[3_000])]).summarized().unwrap();
        let text = serde_json::to_string(&summarized).unwrap();
        let read = serde_json::from_str::<Run>(&text).unwrap().summarized().unwrap();
        assert_eq!(read, summarized);
    }

    #[test]
    fn what_the_origin_alone_served_is_no_part_of_the_whole() {
        let mut both = run(vec![repeat(&[1_000; 10])]);
        let mut alone = both.scenarios[0].clone();
        alone.served_by = ServedBy::Origin;
        alone.repeats = vec![repeat(&[90_000; 10])];
        both.scenarios.push(alone);
        assert_eq!(both.summarized().unwrap().overall.unwrap().max_ms, Some(1.0));
    }

    #[test]
    fn an_export_of_another_version_is_refused() {
        let mut other = run(vec![]);
        other.version = 3;
        assert_eq!(other.summarized().unwrap_err().to_string(), "`version` is 3, and 1 to 2 can be read");
        let mut other = run(vec![]);
        other.schema = "x".to_owned();
        assert!(other.summarized().unwrap_err().to_string().contains("`schema`"));
    }
}
