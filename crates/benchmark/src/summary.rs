//! The summary of repetitions: latencies, objectives with the reason of each that was missed, the latency model and the cost.
//!
//! What was not measured is none, never 0.

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;
use crate::reason::reason;
use crate::repeat::{Failures, L1Usage, LatencyParts, Repeat, Slow};
use crate::response::RowCounts;
use crate::scenario::Scenario;

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
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SloCheck {
    /// Its name.
    pub name: &'static str,
    /// The objective.
    pub target: f64,
    /// The measured value.
    pub actual: Option<f64>,
    /// Whether it was met; unknown if nothing was measured.
    pub is_met: Option<bool>,
    /// Why it was missed.
    pub reason: Option<String>,
}

/// The latency model of the original specification: the parts of latency, and what caching saves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LatencyModel {
    /// Means of a request.
    pub parts: LatencyParts,
    /// H: the share of rows that the caches had, if the target reports tiers.
    pub hit_ratio: Option<f64>,
    /// The mean latency of responses without the origin, in milliseconds, if there were any.
    pub hit_ms: Option<f64>,
    /// The mean latency of responses with the origin.
    pub miss_ms: Option<f64>,
    /// H × (miss − hit): the mean latency that caching saves, if both are known.
    pub saved_ms: Option<f64>,
    /// Milliseconds saved in each second: that times the rate.
    pub saved_ms_per_second: Option<f64>,
}

/// The cost of a million such requests in Workers KV and at the origin, in US dollars, and the load on the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Reads of L2; misses and each key of a bulk read are billed.
    pub store_reads_usd: f64,
    /// Writes of rows from the origin.
    pub store_writes_usd: f64,
    /// Origin calls.
    pub origin_calls_usd: f64,
    /// All of these.
    pub total_usd: f64,
    /// Origin calls for each thousand requests.
    pub origin_calls_per_thousand: f64,
}

/// Prices of Workers KV, in US dollars for each operation. Source: <https://developers.cloudflare.com/kv/platform/pricing/>.
const READ_USD: f64 = 0.5e-6;
const WRITE_USD: f64 = 5e-6;

/// The price of an origin call by default: `costs.origin_call_cents_per_million`.
const ORIGIN_CALL_USD: f64 = 0.3e-6;

/// What an operation costs that has no fixed price.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prices {
    origin_call_usd: f64,
}

impl Prices {
    /// The prices, with that of a million origin calls in US dollars, if it is known.
    pub(crate) fn new(origin_call_usd_per_million: Option<f64>) -> Prices {
        let price = origin_call_usd_per_million.filter(|price| price.is_finite() && *price >= 0.0);
        Prices { origin_call_usd: price.map_or(ORIGIN_CALL_USD, |million| million / 1e6) }
    }
}

/// The summary of a scenario's repetitions, or of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Requests that were measured.
    pub requests: u64,
    /// Requests that succeeded.
    pub succeeded: u64,
    /// Requests that failed.
    pub failed: u64,
    /// The mean latency, in milliseconds, as are all that follow.
    pub mean_ms: Option<f64>,
    /// The median.
    pub median_ms: Option<f64>,
    /// The 95th percentile.
    pub p95_ms: Option<f64>,
    /// The 99th percentile.
    pub p99_ms: Option<f64>,
    /// The 99.9th percentile.
    pub p999_ms: Option<f64>,
    /// The minimum.
    pub min_ms: Option<f64>,
    /// The maximum.
    pub max_ms: Option<f64>,
    /// The standard deviation.
    pub std_ms: Option<f64>,
    /// Responses a second.
    pub throughput: Option<f64>,
    /// The share of requests that failed.
    pub error_rate: Option<f64>,
    /// Failures by kind.
    pub failures: Vec<Failures>,
    /// Requests that took long.
    pub slow: Slow,
    /// L1 at the end, with the evictions of all repetitions.
    pub l1: Option<L1Usage>,
    /// Whether a repetition ended early.
    pub is_stopped: bool,
    /// Rows by tier: L1, L2, L3, origin.
    pub rows: [RowCounts; 4],
    /// Origin calls.
    pub origin_calls: u64,
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
    /// The percentile curve: percentiles, and their latencies in milliseconds.
    pub curve: Vec<(f64, f64)>,
}

impl Summary {
    /// Of repetitions of a scenario, or of several.
    pub(crate) fn of(all: &Repeat, scenario: Option<&Scenario>, targets: &Targets, prices: &Prices) -> Summary {
        let latencies = &all.latencies;
        let count = latencies.count();
        let measured = |value: f64| (count > 0).then_some(value);
        let percentile = |share| measured(latencies.percentile_ms(share));
        let model = model(all);
        let [median_ms, p95_ms, p99_ms, p999_ms] = [0.5, 0.95, 0.99, 0.999].map(percentile);
        let check = |name, target: f64, actual: Option<f64>, is_met: fn(f64, f64) -> bool| {
            let is_met = actual.map(|actual| is_met(actual, target));
            // Without a success no latency is known, and that is the reason.
            let is_missed = is_met == Some(false) || (is_met.is_none() && all.failed() > 0);
            let reason = is_missed.then(|| reason(name, all, scenario));
            SloCheck { name, target, actual, is_met, reason }
        };
        let at_most = |actual: f64, target: f64| actual <= target;
        let error_rate = all.error_rate();
        Summary {
            requests: count + all.failed(),
            succeeded: count,
            failed: all.failed(),
            mean_ms: measured(latencies.mean_ms()),
            median_ms,
            p95_ms,
            p99_ms,
            p999_ms,
            min_ms: measured(latencies.min_ms()),
            max_ms: measured(latencies.max_ms()),
            std_ms: measured(latencies.std_ms()),
            throughput: all.throughput(),
            error_rate,
            failures: all.failures.clone(),
            slow: all.slow.clone(),
            l1: all.l1,
            is_stopped: all.stopped.is_some(),
            rows: all.rows,
            origin_calls: all.origin_calls,
            answers: all.answers,
            verdicts: vec![
                check("p50_ms", targets.p50_ms, median_ms, at_most),
                check("p95_ms", targets.p95_ms, p95_ms, at_most),
                check("p99_ms", targets.p99_ms, p99_ms, at_most),
                check("availability", targets.availability, error_rate.map(|rate| 1.0 - rate), |actual, target| {
                    actual >= target
                }),
                check("error_rate", targets.error_rate, error_rate, at_most),
            ],
            model,
            cost: cost(all, prices),
            latencies: latencies.bars(),
            curve: curve(latencies),
        }
    }
}

fn model(all: &Repeat) -> LatencyModel {
    let count = all.latencies.count();
    let per = |sum: f64, count: u64| if count == 0 { 0.0 } else { sum / count as f64 };
    let mean_of = |sum: u64, count: u64| (count > 0).then(|| per(sum as f64 / 1_000.0, count));
    let LatencyParts { network_ms, cache_ms, computation_ms, serialization_ms } = all.parts;
    let [l1, l2, l3, origin] = all.answers;
    let [l1_us, l2_us, l3_us, origin_us] = all.answer_us;
    let hit_ratio = all.hit_ratio();
    let hit_ms = mean_of(l1_us + l2_us + l3_us, l1 + l2 + l3);
    let miss_ms = mean_of(origin_us, origin);
    let saved_ms = hit_ms.zip(miss_ms).zip(hit_ratio).map(|((hit, miss), ratio)| ratio * (miss - hit));
    LatencyModel {
        parts: LatencyParts {
            network_ms: per(network_ms, count),
            cache_ms: per(cache_ms, count),
            computation_ms: per(computation_ms, count),
            serialization_ms: per(serialization_ms, count),
        },
        hit_ratio,
        hit_ms,
        miss_ms,
        saved_ms,
        saved_ms_per_second: saved_ms.zip(all.throughput()).map(|(saved, rate)| saved * rate),
    }
}

fn cost(all: &Repeat, prices: &Prices) -> Cost {
    // A failure says nothing of what it cost.
    let requests = all.latencies.count();
    let per = |sum: f64| if requests == 0 { 0.0 } else { sum / requests as f64 };
    let million = |operations: u64, usd: f64| per(operations as f64 * usd * 1e6);
    let [_, stored, _, computed] = all.rows;
    let store_reads_usd = million(stored.hits + stored.misses, READ_USD);
    // Rows are written only if there is a store.
    let store_writes_usd = million(computed.hits.min(stored.misses), WRITE_USD);
    let origin_calls_usd = million(all.origin_calls, prices.origin_call_usd);
    Cost {
        store_reads_usd,
        store_writes_usd,
        origin_calls_usd,
        total_usd: store_reads_usd + store_writes_usd + origin_calls_usd,
        origin_calls_per_thousand: per(all.origin_calls as f64 * 1_000.0),
    }
}

/// Points of the percentile curve for each halving of the distance to 100 %, as HdrHistogram has them.
const POINTS_PER_HALF: u32 = 5;

/// The percentile curve, as far as there are requests to tell percentiles apart.
fn curve(latencies: &Distribution) -> Vec<(f64, f64)> {
    let count = latencies.count();
    if count == 0 {
        return Vec::new();
    }
    let mut points = Vec::new();
    let mut above = 1.0;
    while above * count as f64 >= 1.0 {
        for step in 0..POINTS_PER_HALF {
            let share = 1.0 - above * (1.0 - 0.5 * f64::from(step) / f64::from(POINTS_PER_HALF));
            points.push((share * 100.0, latencies.percentile_ms(share)));
        }
        above /= 2.0;
    }
    points.push((100.0, latencies.max_ms()));
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repeat::tests::repeat;

    fn summary(all: &Repeat) -> Summary {
        let [scenario, ..] = Scenario::defaults();
        Summary::of(all, Some(&scenario), &Targets::default(), &Prices::new(None))
    }

    #[test]
    fn nothing_measured_is_nothing_and_not_0() {
        let none = summary(&Repeat::default());
        assert_eq!((none.median_ms, none.p99_ms, none.throughput, none.error_rate), (None, None, None, None));
        assert_eq!(none.model.hit_ratio, None);
        assert!(none.verdicts.iter().all(|check| check.is_met.is_none() && check.reason.is_none()));
        assert!(none.curve.is_empty());
    }

    #[test]
    fn a_percentile_curve_ascends_to_the_maximum() {
        let latencies: Vec<u64> = (1..=1_000).map(|number| number * 100).collect();
        let curve = summary(&repeat(&latencies)).curve;
        assert!(curve.is_sorted_by(|left, right| left.0 < right.0 && left.1 <= right.1), "{curve:?}");
        assert_eq!(curve.last(), Some(&(100.0, 100.0)));
        assert!(curve.iter().filter(|(percentile, _)| *percentile > 99.0).count() > POINTS_PER_HALF as usize);
    }

    #[test]
    fn an_origin_call_has_the_price_of_the_settings() {
        let all = repeat(&[1_000; 10]);
        assert!((cost(&all, &Prices::new(None)).origin_calls_usd - 0.3).abs() < 1e-12);
        assert!((cost(&all, &Prices::new(Some(20.0))).origin_calls_usd - 20.0).abs() < 1e-9);
        assert!((cost(&all, &Prices::new(Some(f64::NAN))).origin_calls_usd - 0.3).abs() < 1e-12);
    }
}
