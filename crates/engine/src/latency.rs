//! The latency of a tier over its recent operations, from which its timeout and its hedge delay follow.
//!
//! A histogram with buckets of a quarter octave: a quantile is at most 25 % too high and never too low,
//! and recording is one addition. It knows no tier, and is no metric: those are in
//! `telemetry::histogram`. Invariant: counts are halved as they grow, so a tier
//! that has become slow is detected.

/// Milliseconds below this have a bucket each.
const EXACT: u64 = 8;
/// Buckets of an octave above that.
const PER_OCTAVE: u64 = 4;
/// Up to 2^18 ms, past every timeout that can be set.
const BUCKETS: usize = 68;
/// When all counts are halved.
const FADE_AT: u32 = 1_024;
/// Fewer outcomes yield no quantile.
const MIN_OUTCOMES: u32 = 20;

/// The recent outcomes of one tier.
#[derive(Clone, Debug)]
pub struct Latency {
    counts: [u32; BUCKETS],
    total: u32,
}

impl Default for Latency {
    fn default() -> Self {
        Latency { counts: [0; BUCKETS], total: 0 }
    }
}

impl Latency {
    /// Records the latency of an operation; one that timed out counts with its timeout.
    pub fn record(&mut self, millis: u64) {
        if let Some(count) = self.counts.get_mut(bucket(millis)) {
            *count += 1;
            self.total += 1;
        }
        if self.total >= FADE_AT {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
    }

    /// The quantile at `permille` thousandths, in milliseconds; `None` until there are enough
    /// outcomes.
    #[must_use]
    pub fn quantile(&self, permille: u32) -> Option<u64> {
        if self.total < MIN_OUTCOMES {
            return None;
        }
        let rank = u64::from(self.total) * u64::from(permille);
        let mut below = 0_u64;
        for (bucket, &count) in self.counts.iter().enumerate() {
            below += u64::from(count);
            if below * 1_000 >= rank {
                return Some(upper_bound(bucket));
            }
        }
        None
    }

    /// The timeout of an operation, in milliseconds: a few times the 99th percentile, at least
    /// `min_millis` and at most `max_millis`.
    #[must_use]
    pub fn timeout(&self, min_millis: u64, max_millis: u64) -> u64 {
        let usual = self.quantile(990).unwrap_or(u64::MAX);
        usual.saturating_mul(TIMEOUT_FACTOR).max(min_millis).min(max_millis)
    }
}

/// How many times the 99th percentile an operation may take before it counts as lost.
const TIMEOUT_FACTOR: u64 = 4;

/// The minimum timeout of a store: even a fast one may pause for garbage collection or a connection.
pub const MIN_STORE_MILLIS: u64 = 50;

/// The minimum timeout of the origin. There is no other source, so an early timeout gains only the permit
/// of a call that hangs. A feature server may well pause for a second while it collects garbage, reloads
/// its registry or is replaced.
pub const MIN_ORIGIN_MILLIS: u64 = 2_000;

fn bucket(millis: u64) -> usize {
    if millis < EXACT {
        return millis as usize;
    }
    let octave = u64::from(millis.ilog2());
    let quarter = (millis >> (octave - 2)) & 3;
    ((EXACT + (octave - 3) * PER_OCTAVE + quarter) as usize).min(BUCKETS - 1)
}

/// The largest number of milliseconds in a bucket.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let (octave, quarter) = ((bucket - EXACT) / PER_OCTAVE + 3, (bucket - EXACT) % PER_OCTAVE);
    ((PER_OCTAVE + quarter + 1) << (octave - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket() {
        let mut last = 0;
        for millis in 0..300_000_u64 {
            let bound = upper_bound(bucket(millis));
            assert!(bucket(millis) >= last);
            last = bucket(millis);
            if bucket(millis) < BUCKETS - 1 {
                assert!(bound >= millis && bound * 4 <= millis * 5 + 4, "{millis} in a bucket up to {bound}");
            }
        }
    }

    #[test]
    fn quantiles_are_close_and_never_too_low() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(500), None);
        (1..=1_000).for_each(|millis| latency.record(millis));
        for (permille, exact) in [(500, 500), (950, 950), (990, 990)] {
            let found = latency.quantile(permille).unwrap();
            assert!((exact..=exact * 5 / 4).contains(&found), "{permille}: {found}");
        }
    }

    #[test]
    fn a_tier_that_has_become_slow_gets_more_time_and_never_more_than_its_ceiling() {
        let mut latency = Latency::default();
        assert_eq!(latency.timeout(50, 500), 500);
        (0..1_000).for_each(|_| latency.record(2));
        assert_eq!(latency.timeout(50, 500), 50);
        (0..1_000).for_each(|_| latency.record(100));
        assert!((400..=500).contains(&latency.timeout(50, 500)));
        assert_eq!(latency.timeout(50, 60), 60);
    }
}
