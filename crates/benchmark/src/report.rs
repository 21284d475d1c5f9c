//! The results of a repetition, of a scenario and of a run, their export, and their summaries.
//!
//! An export has counts, so that runs can be merged and compared later. Summaries are computed from these on each import. The format has a
//! version, and an unknown one is refused.

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::response::{RowCounts, ServedResponse};
use crate::scenario::{BenchmarkError, Scenario};
use crate::timeline::TimelinePoint;

/// The schema of an export.
pub const SCHEMA: &str = "featheredge-benchmark";

/// The version of its format.
pub const VERSION: u32 = 1;

/// How many runs are kept, as in the original specification.
pub const MAX_RUNS: usize = 100;

/// Failed requests of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// The kind: a problem's type, a status, or another reason.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// The parts of latency of all requests together, by `Server-Timing`, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LatencyParts {
    /// In the network and in queues: the client's latency beyond the server's.
    pub network_ms: f64,
    /// Waiting for stores.
    pub cache_ms: f64,
    /// Waiting for the origin.
    pub computation_ms: f64,
    /// Serialization, and all else in the server.
    pub serialization_ms: f64,
}

/// The results of one repetition of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Repeat {
    /// From the begin of the first measured request to the end of the last, in microseconds.
    pub elapsed_us: u64,
    /// The latencies of successful requests.
    pub latencies: Distribution,
    /// Failures by kind.
    pub failures: Vec<Failures>,
    /// Rows by tier: L1, L2, L3, origin.
    pub rows: [RowCounts; 4],
    /// Origin calls.
    pub origin_calls: u64,
    /// Responses by the furthest tier that served them.
    pub answers: [u64; 4],
    /// The sums of their latencies, in microseconds.
    pub answer_us: [u64; 4],
    /// The parts of latency.
    pub parts: LatencyParts,
    /// The results over time.
    pub timeline: Vec<TimelinePoint>,
}

impl Repeat {
    /// How many requests failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.iter().map(|failures| failures.count).sum()
    }

    pub(crate) fn fail(&mut self, kind: &str, count: u64) {
        match self.failures.iter_mut().find(|failures| failures.kind == kind) {
            Some(failures) => failures.count += count,
            None => self.failures.push(Failures { kind: kind.to_owned(), count }),
        }
    }

    pub(crate) fn add(&mut self, micros: u64, served: &ServedResponse, tier: usize) {
        self.latencies.record(micros);
        for (rows, more) in self.rows.iter_mut().zip(served.rows) {
            rows.hits += more.hits;
            rows.misses += more.misses;
        }
        self.origin_calls += served.origin_calls;
        if let (Some(answers), Some(sum)) = (self.answers.get_mut(tier), self.answer_us.get_mut(tier)) {
            *answers += 1;
            *sum += micros;
        }
        // The server reports whole milliseconds, so its sum may exceed the measured latency.
        let took = micros as f64 / 1_000.0;
        let timing = served.timing;
        let cache = timing.cache.min(took);
        let computation = timing.computation.min(took - cache);
        let serialization = (timing.total.min(took) - cache - computation).max(0.0);
        self.parts.cache_ms += cache;
        self.parts.computation_ms += computation;
        self.parts.serialization_ms += serialization;
        self.parts.network_ms += took - cache - computation - serialization;
    }

    fn merge(&mut self, other: &Repeat) {
        self.elapsed_us += other.elapsed_us;
        self.latencies.merge(&other.latencies);
        for Failures { kind, count } in &other.failures {
            self.fail(kind, *count);
        }
        for (rows, more) in self.rows.iter_mut().zip(other.rows) {
            rows.hits += more.hits;
            rows.misses += more.misses;
        }
        self.origin_calls += other.origin_calls;
        for (sum, more) in self.answers.iter_mut().zip(other.answers) {
            *sum += more;
        }
        for (sum, more) in self.answer_us.iter_mut().zip(other.answer_us) {
            *sum += more;
        }
        self.parts.network_ms += other.parts.network_ms;
        self.parts.cache_ms += other.parts.cache_ms;
        self.parts.computation_ms += other.parts.computation_ms;
        self.parts.serialization_ms += other.parts.serialization_ms;
    }

    /// Merges repetitions, without their timelines.
    pub(crate) fn merged<'r>(repeats: impl IntoIterator<Item = &'r Repeat>) -> Repeat {
        let mut all = Repeat::default();
        for repeat in repeats {
            all.merge(repeat);
        }
        all
    }

    /// The share of rows that did not come from the origin; 0 without rows.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        let [l1, _, _, origin] = self.rows;
        share(l1.hits + l1.misses - origin.hits.min(l1.misses), l1.hits + l1.misses)
    }

    /// The share of requests that failed.
    #[must_use]
    pub fn error_rate(&self) -> f64 {
        share(self.failed(), self.failed() + self.latencies.count())
    }

    /// Responses a second, without failures.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        if self.elapsed_us == 0 { 0.0 } else { self.latencies.count() as f64 * 1_000_000.0 / self.elapsed_us as f64 }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The objectives; those of the original specification by default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Targets {
    /// The objective of the median, in milliseconds.
    pub p50_ms: f64,
    /// The objective of the 95th percentile.
    pub p95_ms: f64,
    /// The objective of the 99th percentile.
    pub p99_ms: f64,
    /// The least share of requests that are answered.
    pub availability: f64,
    /// The largest share of requests that fail.
    pub error_rate: f64,
}

impl Default for Targets {
    fn default() -> Self {
        Targets { p50_ms: 20.0, p95_ms: 50.0, p99_ms: 100.0, availability: 0.999, error_rate: 0.001 }
    }
}

/// One objective, and whether it was met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SloCheck {
    /// Its name.
    pub name: &'static str,
    /// The objective.
    pub target: f64,
    /// The measured value.
    pub actual: f64,
    /// Whether it was met.
    pub is_met: bool,
}

/// The latency model of the original specification: the parts of latency, and what caching saves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LatencyModel {
    /// Means of a request.
    pub parts: LatencyParts,
    /// H: the share of rows that the caches had.
    pub hit_ratio: f64,
    /// The mean latency of responses without the origin, in milliseconds, if there were any.
    pub hit_ms: Option<f64>,
    /// The mean latency of responses with the origin.
    pub miss_ms: Option<f64>,
    /// H × (miss − hit): the mean latency that caching saves, if both are known.
    pub saved_ms: Option<f64>,
    /// Milliseconds saved in each second: that times the rate.
    pub saved_ms_per_second: Option<f64>,
}

/// The cost of a million such requests in Workers KV, in US dollars, and the load on the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Reads of L2; misses and each key of a bulk read are billed.
    pub store_reads_usd: f64,
    /// Writes of rows from the origin.
    pub store_writes_usd: f64,
    /// Origin calls for each thousand requests.
    pub origin_calls_per_thousand: f64,
}

/// Prices of Workers KV, in US dollars for each operation. Source: <https://developers.cloudflare.com/kv/platform/pricing/>.
const READ_USD: f64 = 0.5e-6;
const WRITE_USD: f64 = 5e-6;

/// The summary of a scenario's repetitions, or of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Requests that succeeded.
    pub succeeded: u64,
    /// Requests that failed.
    pub failed: u64,
    /// The mean latency, in milliseconds, as are all that follow.
    pub mean_ms: f64,
    /// The median.
    pub median_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The 99.9th percentile.
    pub p999_ms: f64,
    /// The minimum.
    pub min_ms: f64,
    /// The maximum.
    pub max_ms: f64,
    /// The standard deviation.
    pub std_ms: f64,
    /// Answers a second.
    pub throughput: f64,
    /// The share of requests that failed.
    pub error_rate: f64,
    /// Failures by kind.
    pub failures: Vec<Failures>,
    /// Rows by tier: L1, L2, L3, origin.
    pub rows: [RowCounts; 4],
    /// Responses by the furthest tier that served them.
    pub answers: [u64; 4],
    /// The objectives.
    pub verdicts: Vec<SloCheck>,
    /// The parts of latency.
    pub model: LatencyModel,
    /// The cost.
    pub cost: Cost,
    /// The latencies: the middle of each bucket in milliseconds, and its count.
    pub latencies: Vec<(f64, u64)>,
}

impl Summary {
    fn of(all: &Repeat, targets: &Targets) -> Summary {
        let latencies = &all.latencies;
        let requests = latencies.count() + all.failed();
        let per = |sum: f64, count: u64| if count == 0 { 0.0 } else { sum / count as f64 };
        let mean_of = |sum: u64, count: u64| (count > 0).then(|| per(sum as f64 / 1_000.0, count));
        let count = latencies.count();
        let LatencyParts { network_ms, cache_ms, computation_ms, serialization_ms } = all.parts;
        let [l1, l2, l3, origin] = all.answers;
        let [l1_us, l2_us, l3_us, origin_us] = all.answer_us;
        let hit_ms = mean_of(l1_us + l2_us + l3_us, l1 + l2 + l3);
        let miss_ms = mean_of(origin_us, origin);
        let saved_ms = hit_ms.zip(miss_ms).map(|(hit, miss)| all.hit_ratio() * (miss - hit));
        let [_, stored, _, computed] = all.rows;
        let million = |operations: u64, usd: f64| per(operations as f64 * usd * 1e6, requests);
        let [median_ms, p95_ms, p99_ms, p999_ms] = [0.5, 0.95, 0.99, 0.999].map(|share| latencies.percentile_ms(share));
        let availability = if requests == 0 { 0.0 } else { 1.0 - all.error_rate() };
        let at_most = |name, target, actual| SloCheck { name, target, actual, is_met: count > 0 && actual <= target };
        Summary {
            succeeded: count,
            failed: all.failed(),
            mean_ms: latencies.mean_ms(),
            median_ms,
            p95_ms,
            p99_ms,
            p999_ms,
            min_ms: latencies.min_ms(),
            max_ms: latencies.max_ms(),
            std_ms: latencies.std_ms(),
            throughput: all.throughput(),
            error_rate: all.error_rate(),
            failures: all.failures.clone(),
            rows: all.rows,
            answers: all.answers,
            verdicts: vec![
                at_most("p50_ms", targets.p50_ms, median_ms),
                at_most("p95_ms", targets.p95_ms, p95_ms),
                at_most("p99_ms", targets.p99_ms, p99_ms),
                SloCheck {
                    name: "availability",
                    target: targets.availability,
                    actual: availability,
                    is_met: availability >= targets.availability,
                },
                at_most("error_rate", targets.error_rate, all.error_rate()),
            ],
            model: LatencyModel {
                parts: LatencyParts {
                    network_ms: per(network_ms, count),
                    cache_ms: per(cache_ms, count),
                    computation_ms: per(computation_ms, count),
                    serialization_ms: per(serialization_ms, count),
                },
                hit_ratio: all.hit_ratio(),
                hit_ms,
                miss_ms,
                saved_ms,
                saved_ms_per_second: saved_ms.map(|saved| saved * all.throughput()),
            },
            cost: Cost {
                store_reads_usd: million(stored.hits + stored.misses, READ_USD),
                // Rows are written only if there is a store.
                store_writes_usd: million(computed.hits.min(stored.misses), WRITE_USD),
                origin_calls_per_thousand: per(all.origin_calls as f64 * 1_000.0, requests),
            },
            latencies: latencies.bars(),
        }
    }
}

/// A scenario and its repetitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioResult {
    /// The scenario.
    pub scenario: Scenario,
    /// The results of each repetition, which begins with empty caches.
    pub repeats: Vec<Repeat>,
    /// Their summary; an export has it, and an import computes it again.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

/// The environment of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The browser or runtime, with its version.
    pub host: String,
    /// The machine, as far as the host knows.
    pub machine: String,
    /// The number of processors; 0 if unknown.
    pub cores: u32,
    /// The target: this engine, or a URL.
    pub target: String,
    /// Further settings.
    #[serde(default)]
    pub settings: Vec<RunSetting>,
}

/// A setting of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSetting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A run of several scenarios.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`SCHEMA`].
    pub schema: String,
    /// [`VERSION`].
    pub version: u32,
    /// Its identifier.
    pub id: String,
    /// When it began, by RFC 3339.
    pub started_at: String,
    /// The version of Featheredge.
    pub product_version: String,
    /// Its environment.
    pub environment: Environment,
    /// The objectives.
    #[serde(default)]
    pub targets: Targets,
    /// The scenarios with their results.
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
        if self.version != VERSION {
            return Err(BenchmarkError(format!("`version` is {}, and {VERSION} can be read", self.version)));
        }
        for measured in &mut self.scenarios {
            measured.scenario.check()?;
            measured.summary = Some(Summary::of(&Repeat::merged(&measured.repeats), &self.targets));
        }
        let all = self.scenarios.iter().flat_map(|measured| &measured.repeats);
        self.overall = Some(Summary::of(&Repeat::merged(all), &self.targets));
        Ok(self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::response::ServerTiming;

    /// A repetition whose answers took so many microseconds, each from the origin.
    pub(crate) fn repeat(micros: &[u64]) -> Repeat {
        let mut repeat = Repeat { elapsed_us: micros.iter().sum(), ..Repeat::default() };
        for &micros in micros {
            let rows = [
                RowCounts { hits: 0, misses: 2 },
                RowCounts { hits: 0, misses: 2 },
                RowCounts::default(),
                RowCounts { hits: 2, misses: 0 },
            ];
            let timing = ServerTiming { total: 8.0, cache: 1.0, computation: 6.0 };
            repeat.add(micros, &ServedResponse { rows, origin_calls: 1, timing }, 3);
        }
        repeat
    }

    pub(crate) fn run(repeats: Vec<Repeat>) -> Run {
        let [scenario, ..] = Scenario::defaults();
        Run {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            id: "a".to_owned(),
            started_at: "2026-11-24T08:00:00Z".to_owned(),
            product_version: "0.1.0".to_owned(),
            environment: Environment::default(),
            targets: Targets::default(),
            scenarios: vec![ScenarioResult { scenario, repeats, summary: None }],
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
        assert!((summary.median_ms - 10.0).abs() < 0.05, "{}", summary.median_ms);
        assert_eq!(summary.max_ms, 500.0);
        assert_eq!(summarized.overall.as_ref().unwrap().succeeded, 100);
    }

    #[test]
    fn each_objective_is_checked() {
        let mut slow = repeat(&[30_000; 100]);
        slow.fail("timeout", 1);
        let summarized = run(vec![slow]).summarized().unwrap();
        let verdicts = &summarized.overall.unwrap().verdicts;
        let met: Vec<(&str, bool)> = verdicts.iter().map(|verdict| (verdict.name, verdict.is_met)).collect();
        assert_eq!(
            met,
            [("p50_ms", false), ("p95_ms", true), ("p99_ms", true), ("availability", false), ("error_rate", false)]
        );
    }

    #[test]
    fn without_responses_no_objective_is_met() {
        let mut failed = Repeat::default();
        failed.fail("unreachable", 10);
        let summary = run(vec![failed]).summarized().unwrap().overall.unwrap();
        assert!(summary.verdicts.iter().all(|verdict| !verdict.is_met));
        assert_eq!((summary.throughput, summary.error_rate), (0.0, 1.0));
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
            (0.5, Some(1.0), Some(10.0))
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
    fn an_export_of_another_version_is_refused() {
        let mut other = run(vec![]);
        other.version = 2;
        assert_eq!(other.summarized().unwrap_err().to_string(), "`version` is 2, and 1 can be read");
        let mut other = run(vec![]);
        other.schema = "x".to_owned();
        assert!(other.summarized().unwrap_err().to_string().contains("`schema`"));
    }
}
