//! The results of a repetition, of a scenario and of a run, their export, and their summaries.
//!
//! An export has counts, so that runs can be merged and compared later. Summaries are computed from these on each import. The format has a
//! version, and an unknown one is refused. Lists and texts are bounded while they are read.

use serde::{Deserialize, Serialize};

use crate::bounded::{some_text, text, vec};
use crate::distribution::Distribution;
use crate::response::{RowCounts, ServedResponse, TIERS};
use crate::scenario::{BenchmarkError, Scenario};
use crate::summary::{Prices, Summary, Targets, share};
use crate::timeline::TimelinePoint;

/// The schema of an export.
pub const SCHEMA: &str = "featheredge-benchmark";

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
const MAX_POINTS: usize = 256;
const MAX_KINDS: usize = 64;
const MAX_SETTINGS: usize = 64;

/// A request that takes longer is slow, as in the original specification.
pub const SLOW_MS: f64 = 100.0;
/// How many slow requests are named.
const MAX_SLOWEST: usize = 10;

/// The largest count of an export: sums of thousands of these do not overflow.
const MAX_COUNT: u64 = 1 << 50;

/// The largest time of an export, in milliseconds: sums over the requests of an hour are less.
const MAX_MS: f64 = 1e15;

/// How much of an error's text is kept, in characters.
const MAX_CAUSE: usize = 200;

/// How many runs are kept, as in the original specification.
pub const MAX_RUNS: usize = 100;

/// Failed requests of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failures {
    /// The kind: a problem's type, a status, or another reason.
    #[serde(deserialize_with = "text")]
    pub kind: String,
    /// How many.
    pub count: u64,
    /// The text of the first of them.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_text")]
    pub cause: Option<String>,
}

/// A request that took longer than [`SLOW_MS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowRequest {
    /// Its number among the measured requests.
    pub number: u64,
    /// When it ended, in milliseconds since the measured requests began.
    pub at_ms: f64,
    /// Its latency.
    pub latency_ms: f64,
    /// The furthest tier that served it.
    #[serde(deserialize_with = "text")]
    pub tier: String,
}

/// The requests that took longer than [`SLOW_MS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slow {
    /// [`SLOW_MS`].
    pub over_ms: f64,
    /// How many.
    pub count: u64,
    /// The slowest of them, slowest first.
    #[serde(deserialize_with = "vec::<_, _, MAX_SLOWEST>")]
    pub slowest: Vec<SlowRequest>,
}

impl Default for Slow {
    fn default() -> Slow {
        Slow { over_ms: SLOW_MS, count: 0, slowest: Vec::new() }
    }
}

impl Slow {
    /// Records a request that ended at `at` and took so many microseconds.
    pub(crate) fn record(&mut self, number: u64, at: u64, took: u64, tier: usize) {
        let latency_ms = took as f64 / 1_000.0;
        if latency_ms <= self.over_ms {
            return;
        }
        self.count += 1;
        let tier = TIERS.get(tier).copied().unwrap_or_default().to_owned();
        self.insert(SlowRequest { number, at_ms: at as f64 / 1_000.0, latency_ms, tier });
    }

    fn insert(&mut self, request: SlowRequest) {
        let at = self.slowest.partition_point(|other| other.latency_ms >= request.latency_ms);
        self.slowest.insert(at, request);
        self.slowest.truncate(MAX_SLOWEST);
    }

    fn merge(&mut self, other: &Slow) {
        self.count += other.count;
        for request in &other.slowest {
            self.insert(request.clone());
        }
    }
}

/// L1 of the target after a repetition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct L1Usage {
    /// Rows in memory.
    pub rows: u64,
    /// The most rows.
    pub max_rows: u64,
    /// Bytes of these rows.
    pub bytes: u64,
    /// The most bytes.
    pub max_bytes: u64,
    /// Rows evicted during the repetition.
    pub evictions: u64,
}

/// Why a repetition ended before its last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// The first requests all failed.
    AllFailed,
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
    #[serde(deserialize_with = "vec::<_, _, MAX_KINDS>")]
    pub failures: Vec<Failures>,
    /// Requests that took long.
    pub slow: Slow,
    /// L1 at the end, if the target reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1: Option<L1Usage>,
    /// Why it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
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
    #[serde(deserialize_with = "vec::<_, _, MAX_POINTS>")]
    pub timeline: Vec<TimelinePoint>,
}

impl Repeat {
    /// How many requests failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.iter().map(|failures| failures.count).sum()
    }

    /// Checks what an export says: sums of it must not overflow, and times are times.
    fn check(&self) -> Result<(), BenchmarkError> {
        let rows = self.rows.iter().flat_map(|rows| [rows.hits, rows.misses]);
        let l1 = self.l1.unwrap_or_default();
        let counts = rows
            .chain(self.answers)
            .chain(self.answer_us)
            .chain(self.failures.iter().map(|failures| failures.count))
            .chain(self.timeline.iter().flat_map(|point| point.tiers.into_iter().chain([point.failed])))
            .chain([self.elapsed_us, self.origin_calls, self.slow.count, l1.rows, l1.bytes, l1.evictions]);
        if let Some(most) = counts.max().filter(|count| *count > MAX_COUNT) {
            return Err(BenchmarkError(format!("{most} is more than can be counted")));
        }
        let LatencyParts { network_ms, cache_ms, computation_ms, serialization_ms } = self.parts;
        let times = self.timeline.iter().flat_map(|point| {
            [Some(point.at_ms), point.p50_ms, point.p95_ms, point.p99_ms, Some(point.throughput)].into_iter().flatten()
        });
        let slow = self.slow.slowest.iter().flat_map(|slow| [slow.at_ms, slow.latency_ms]);
        let all = times.chain(slow).chain([network_ms, cache_ms, computation_ms, serialization_ms, self.slow.over_ms]);
        if let Some(value) = all.into_iter().find(|value| !(0.0..=MAX_MS).contains(value)) {
            return Err(BenchmarkError(format!("{value} is no time")));
        }
        if self.answers.into_iter().sum::<u64>() != self.latencies.count() {
            return Err(BenchmarkError("`answers` are not as many as the latencies".to_owned()));
        }
        self.latencies.check()
    }

    /// Counts failures of a kind, of which the first has that cause. More kinds than are kept count as `other`.
    pub(crate) fn fail(&mut self, kind: &str, cause: Option<&str>, count: u64) {
        let kind = if self.failures.len() + 1 < MAX_KINDS || self.failures.iter().any(|known| known.kind == kind) {
            kind
        } else {
            "other"
        };
        match self.failures.iter_mut().find(|failures| failures.kind == kind) {
            Some(failures) => failures.count += count,
            None => {
                // A server's words may have control characters, which a terminal would obey.
                let plain = |text: &str| text.chars().filter(|letter| !letter.is_control()).take(MAX_CAUSE).collect();
                self.failures.push(Failures { kind: plain(kind), count, cause: cause.map(plain) });
            }
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
        for Failures { kind, count, cause } in &other.failures {
            self.fail(kind, cause.as_deref(), *count);
        }
        self.slow.merge(&other.slow);
        self.stopped = self.stopped.or(other.stopped);
        self.l1 = match (self.l1, other.l1) {
            (Some(own), Some(other)) => Some(L1Usage { evictions: own.evictions + other.evictions, ..other }),
            (own, other) => other.or(own),
        };
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

    /// The share of rows that did not come from the origin, if the target reports tiers.
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        let [l1, _, _, origin] = self.rows;
        let rows = l1.hits + l1.misses;
        (rows > 0).then(|| share(rows - origin.hits.min(l1.misses), rows))
    }

    /// The share of requests that failed, if there were any.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        let requests = self.failed() + self.latencies.count();
        (requests > 0).then(|| share(self.failed(), requests))
    }

    /// Responses a second, without failures, if there were any.
    #[must_use]
    pub fn throughput(&self) -> Option<f64> {
        let count = self.latencies.count();
        (count > 0 && self.elapsed_us > 0).then(|| count as f64 * 1_000_000.0 / self.elapsed_us as f64)
    }
}

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
        let prices = Prices::of(&self.environment.settings);
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
    fn the_slowest_requests_are_named() {
        let mut slow = Slow::default();
        for number in 0..30 {
            slow.record(number, number * 1_000, number * 10_000, 3);
        }
        assert_eq!((slow.count, slow.slowest.len()), (19, MAX_SLOWEST));
        let slowest = &slow.slowest[0];
        assert_eq!((slowest.number, slowest.latency_ms, slowest.tier.as_str()), (29, 290.0, "origin"));
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
