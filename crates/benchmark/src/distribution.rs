//! A distribution of latencies, in microseconds.
//!
//! Distributions merge exactly: percentiles of several are percentiles of all their latencies, never means of percentiles. The error of a
//! percentile is at most [`MAX_ERROR_PERMILLE`]; count, mean, standard deviation, minimum and maximum are exact.

use histogram::{Config, Histogram32};
use serde::{Deserialize, Serialize};

use crate::bounded::vec;
use crate::scenario::BenchmarkError;

/// The largest error of a percentile, in thousandths: half of a bucket, whose width is 1/128 of its lower bound.
pub const MAX_ERROR_PERMILLE: u64 = 4;

/// One bucket for each number up to 255 µs, then 128 in each octave, up to 2³² µs, 71 minutes. Source: <https://h2histogram.org>.
const BUCKETS: Config = match Config::new(7, 32) {
    Ok(buckets) => buckets,
    Err(_) => panic!(),
};

const MAX_MICROS: u64 = u32::MAX as u64;

/// How many buckets that has, rounded up.
const MAX_BUCKETS: usize = 4_096;

/// Latencies of many requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EncodedDistribution", into = "EncodedDistribution")]
pub struct Distribution {
    buckets: Histogram32,
    count: u64,
    sum: u64,
    /// The sum of their squares.
    squares: f64,
    min: u64,
    max: u64,
}

/// The serialized form of a distribution, with the buckets that are not empty.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodedDistribution {
    sum_us: u64,
    sum_of_squares: f64,
    min_us: u64,
    max_us: u64,
    /// The buckets' numbers, ascending, in an H2 histogram of grouping power 7.
    #[serde(deserialize_with = "vec::<_, _, MAX_BUCKETS>")]
    bucket: Vec<u32>,
    /// How many latencies each has.
    #[serde(deserialize_with = "vec::<_, _, MAX_BUCKETS>")]
    count: Vec<u32>,
}

impl Default for Distribution {
    fn default() -> Self {
        Distribution {
            buckets: Histogram32::with_config(&BUCKETS),
            count: 0,
            sum: 0,
            squares: 0.0,
            min: u64::MAX,
            max: 0,
        }
    }
}

impl From<Distribution> for EncodedDistribution {
    fn from(from: Distribution) -> EncodedDistribution {
        let (bucket, count) = from.sparse().unzip();
        let min_us = if from.count == 0 { 0 } else { from.min };
        EncodedDistribution { sum_us: from.sum, sum_of_squares: from.squares, min_us, max_us: from.max, bucket, count }
    }
}

impl TryFrom<EncodedDistribution> for Distribution {
    type Error = BenchmarkError;

    fn try_from(encoded: EncodedDistribution) -> Result<Distribution, BenchmarkError> {
        let mut read = Distribution {
            sum: encoded.sum_us,
            squares: encoded.sum_of_squares,
            max: encoded.max_us,
            ..Self::default()
        };
        let error = || {
            BenchmarkError("a distribution's buckets are not those of an H2 histogram of grouping power 7".to_owned())
        };
        if encoded.bucket.len() != encoded.count.len() {
            return Err(error());
        }
        for (bucket, count) in encoded.bucket.into_iter().zip(encoded.count) {
            let own =
                read.buckets.as_mut_slice().get_mut(bucket as usize).filter(|own| **own == 0).ok_or_else(error)?;
            *own = count;
            read.count += u64::from(count);
        }
        if read.count > 0 {
            read.min = encoded.min_us;
        }
        Ok(read)
    }
}

impl Distribution {
    /// Adds a latency.
    pub fn record(&mut self, micros: u64) {
        self.record_many(micros, 1);
    }

    /// Adds a latency `times` times.
    pub fn record_many(&mut self, micros: u64, times: u32) {
        let micros = micros.min(MAX_MICROS);
        // Every value up to the maximum has a bucket.
        let _ = self.buckets.add(micros, times);
        self.count += u64::from(times);
        self.sum += micros * u64::from(times);
        self.squares += micros as f64 * micros as f64 * f64::from(times);
        self.min = self.min.min(micros);
        self.max = self.max.max(micros);
    }

    /// Adds all latencies of another.
    pub fn merge(&mut self, other: &Distribution) {
        for (own, count) in self.buckets.as_mut_slice().iter_mut().zip(other.buckets.as_slice()) {
            *own = own.saturating_add(*count);
        }
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// All latencies of several.
    pub fn merged<'d>(distributions: impl IntoIterator<Item = &'d Distribution>) -> Distribution {
        let mut all = Distribution::default();
        for distribution in distributions {
            all.merge(distribution);
        }
        all
    }

    /// Checks what an export says of them besides the buckets.
    pub(crate) fn check(&self) -> Result<(), BenchmarkError> {
        let is_sum = self.sum <= self.count.saturating_mul(MAX_MICROS);
        let is_square = self.squares.is_finite() && self.squares >= 0.0;
        let is_range = self.count == 0 || (self.min <= self.max && self.max <= MAX_MICROS);
        if is_sum && is_square && is_range {
            return Ok(());
        }
        Err(BenchmarkError("the sums of a distribution contradict its buckets".to_owned()))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean, in milliseconds; 0 of none.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 / 1_000.0 }
    }

    /// Their standard deviation, in milliseconds: of the population, as in the original specification, not of a sample.
    #[must_use]
    pub fn std_ms(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let count = self.count as f64;
        let mean = self.sum as f64 / count;
        (self.squares / count - mean * mean).max(0.0).sqrt() / 1_000.0
    }

    /// The minimum, in milliseconds.
    #[must_use]
    pub fn min_ms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.min as f64 / 1_000.0 }
    }

    /// The maximum, in milliseconds.
    #[must_use]
    pub fn max_ms(&self) -> f64 {
        self.max as f64 / 1_000.0
    }

    /// The quantile at `share`, in milliseconds; 0 of none.
    #[must_use]
    pub fn percentile_ms(&self, share: f64) -> f64 {
        let rank = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut below = 0;
        for bucket in &self.buckets {
            below += bucket.count();
            if below >= rank {
                let middle = (bucket.start() + bucket.end()) as f64 / 2.0;
                return middle.clamp(self.min as f64, self.max as f64) / 1_000.0;
            }
        }
        0.0
    }

    /// The indices and counts of the buckets that are not empty.
    pub fn sparse(&self) -> impl Iterator<Item = (u32, u32)> {
        (0..).zip(self.buckets.as_slice().iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// The latencies for a chart: the middle of each bucket that is not empty, in milliseconds, and its count.
    #[must_use]
    pub fn bars(&self) -> Vec<(f64, u64)> {
        let filled = self.buckets.iter().filter(|bucket| bucket.count() > 0);
        filled.map(|bucket| ((bucket.start() + bucket.end()) as f64 / 2_000.0, bucket.count())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn of(micros: &[u64]) -> Distribution {
        let mut distribution = Distribution::default();
        for &value in micros {
            distribution.record(value);
        }
        distribution
    }

    #[test]
    fn a_percentile_is_off_by_less_than_half_a_percent() {
        let mut random = Random::new(3);
        let mut values: Vec<u64> = (0..10_000).map(|_| 10 + (random.unit() * 16.0).exp2() as u64 * 30).collect();
        let distribution = of(&values);
        values.sort_unstable();
        for (share, rank) in [(0.5, 5_000), (0.95, 9_500), (0.99, 9_900), (0.999, 9_990), (1.0, 10_000)] {
            let exact = values[rank - 1] as f64 / 1_000.0;
            let error = (distribution.percentile_ms(share) - exact).abs() / exact;
            assert!(error * 1_000.0 <= MAX_ERROR_PERMILLE as f64, "{share}: {error}");
        }
    }

    #[test]
    fn merged_distributions_are_the_distribution_of_all() {
        let (left, right) = (of(&[100, 200, 90_000]), of(&[5, 1_000_000]));
        assert_eq!(Distribution::merged([&left, &right]), of(&[100, 200, 90_000, 5, 1_000_000]));
    }

    #[test]
    fn moments_and_ends_are_exact() {
        let distribution = of(&[1_001, 2_003, 3_005, 4_007]);
        assert_eq!(distribution.mean_ms(), 2.504);
        assert!((distribution.std_ms() - 1.120_270_1).abs() < 1e-6);
        assert_eq!((distribution.min_ms(), distribution.max_ms()), (1.001, 4.007));
        assert_eq!(distribution.percentile_ms(1.0), 4.007);
    }

    #[test]
    fn an_empty_distribution_is_zero() {
        let none = Distribution::default();
        assert_eq!(
            (none.mean_ms(), none.std_ms(), none.min_ms(), none.max_ms(), none.percentile_ms(0.99)),
            (0.0, 0.0, 0.0, 0.0, 0.0)
        );
        let text = serde_json::to_string(&none).unwrap();
        assert_eq!(serde_json::from_str::<Distribution>(&text).unwrap(), none);
    }

    #[test]
    fn an_encoded_distribution_is_decoded_and_an_invalid_one_is_refused() {
        let distribution = of(&[7, 7, 3_000, 250_000]);
        let text = serde_json::to_string(&distribution).unwrap();
        assert_eq!(serde_json::from_str::<Distribution>(&text).unwrap(), distribution);
        for (from, to) in [("[7,", "[99999,"), ("[2,", "[2,2,")] {
            assert!(serde_json::from_str::<Distribution>(&text.replace(from, to)).is_err(), "{from}");
        }
    }
}
