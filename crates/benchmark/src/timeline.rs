//! A run over time, in slices that widen during the run, so that memory is bounded.

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;

/// The most slices. After the first moments there are always at least half as many, which is enough for a chart.
const SLICES: usize = 64;

/// The first width of a slice, in microseconds.
const FIRST_WIDTH: u64 = 25_000;

/// One slice, for a chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimelinePoint {
    /// When it ends, in milliseconds since the measured requests began.
    pub at_ms: f64,
    /// The median latency of its responses, in milliseconds.
    pub p50_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// Responses a second.
    pub throughput: f64,
    /// Responses by the furthest tier that served them.
    pub tiers: [u64; 4],
    /// How many requests failed.
    pub failed: u64,
}

#[derive(Clone, Debug, Default)]
struct Slice {
    latencies: Distribution,
    tiers: [u64; 4],
    failed: u64,
}

impl Slice {
    fn merge(&mut self, other: &Slice) {
        self.latencies.merge(&other.latencies);
        self.failed += other.failed;
        for (count, more) in self.tiers.iter_mut().zip(other.tiers) {
            *count += more;
        }
    }
}

/// The slices.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    width: u64,
    slices: Vec<Slice>,
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline { width: FIRST_WIDTH, slices: Vec::new() }
    }
}

impl Timeline {
    /// Records a response at `at` microseconds, whose furthest tier has that index.
    pub(crate) fn served(&mut self, at: u64, micros: u64, tier: usize) {
        let Some(slice) = self.slice(at) else { return };
        slice.latencies.record(micros);
        if let Some(count) = slice.tiers.get_mut(tier) {
            *count += 1;
        }
    }

    /// Records a failure.
    pub(crate) fn failed(&mut self, at: u64) {
        if let Some(slice) = self.slice(at) {
            slice.failed += 1;
        }
    }

    fn slice(&mut self, at: u64) -> Option<&mut Slice> {
        while at / self.width >= SLICES as u64 {
            self.widen();
        }
        let number = usize::try_from(at / self.width).ok()?;
        if number >= self.slices.len() {
            self.slices.resize_with(number + 1, Slice::default);
        }
        self.slices.get_mut(number)
    }

    /// Merges each two slices into one.
    fn widen(&mut self) {
        self.width *= 2;
        let mut slices = core::mem::take(&mut self.slices).into_iter();
        while let Some(mut slice) = slices.next() {
            if let Some(next) = slices.next() {
                slice.merge(&next);
            }
            self.slices.push(slice);
        }
    }

    /// The slices of the first `elapsed` microseconds. A last one of less than half the width is merged into the one before: a rate over
    /// some microseconds would be none.
    pub(crate) fn points(&self, elapsed: u64) -> Vec<TimelinePoint> {
        let mut slices = self.slices.clone();
        let begins = slices.len().saturating_sub(1) as u64 * self.width;
        if slices.len() > 1
            && elapsed < begins + self.width / 2
            && let Some(last) = slices.pop()
            && let Some(before) = slices.last_mut()
        {
            before.merge(&last);
        }
        let count = slices.len() as u64;
        let point = |(number, slice): (u64, &Slice)| {
            let begins = number * self.width;
            let ends = if number + 1 == count { elapsed.max(begins + 1) } else { begins + self.width };
            TimelinePoint {
                at_ms: ends as f64 / 1_000.0,
                p50_ms: slice.latencies.percentile_ms(0.5),
                p95_ms: slice.latencies.percentile_ms(0.95),
                p99_ms: slice.latencies.percentile_ms(0.99),
                throughput: slice.latencies.count() as f64 * 1_000_000.0 / (ends - begins) as f64,
                tiers: slice.tiers,
                failed: slice.failed,
            }
        };
        (0..).zip(&slices).map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_all_counts_in_few_slices() {
        let mut timeline = Timeline::default();
        for second in 0..600 {
            timeline.served(second * 1_000_000, 1_000, 3);
            timeline.failed(second * 1_000_000);
        }
        let points = timeline.points(600_000_000);
        assert!(points.len() <= SLICES && points.len() > SLICES / 4, "{}", points.len());
        assert_eq!(points.iter().map(|point| point.tiers[3]).sum::<u64>(), 600);
        assert_eq!(points.iter().map(|point| point.failed).sum::<u64>(), 600);
        assert!((points[5].throughput - 1.0).abs() < 0.2);
        assert!(points.is_sorted_by(|left, right| left.at_ms < right.at_ms));
    }

    #[test]
    fn a_last_slice_of_microseconds_is_merged_into_the_one_before() {
        let mut timeline = Timeline::default();
        for number in 0..100 {
            timeline.served(number * 500, 10, 0);
        }
        // The last of them, 21 µs into a slice: 47,619 a second by itself.
        timeline.served(50_021, 10, 0);
        let points = timeline.points(50_021);
        assert_eq!(points.len(), 2);
        let last = points.last().unwrap();
        assert_eq!((last.at_ms, last.tiers[0]), (50.021, 51));
        assert!((last.throughput - 2_038.0).abs() < 1.0, "{}", last.throughput);
    }
}
