//! The results of one repetition of a scenario: counts, so that repetitions can be merged, and runs compared later.

use serde::{Deserialize, Serialize};

use crate::bounded::{some_text, text, vec};
use crate::distribution::Distribution;
use crate::response::{RowCounts, ServedResponse, TIERS};
use crate::scenario::BenchmarkError;
use crate::timeline::TimelinePoint;

const MAX_POINTS: usize = 256;
const MAX_KINDS: usize = 64;
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
    pub(crate) fn check(&self) -> Result<(), BenchmarkError> {
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

pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
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
}
