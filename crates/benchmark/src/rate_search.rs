//! The search for the highest rate that keeps the objectives.
//!
//! It doubles the rate until an objective is missed, bisects down to [`PRECISION`], and confirms the rate that it found: a single step may
//! have been lucky.

/// The width of the final bracket, as a share of the rate.
const PRECISION: f64 = 0.05;
/// The most steps. Doubling from 1 to 2³² takes 32, of which most searches need few.
const MAX_STEPS: u32 = 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Doubling,
    Bisecting,
    Confirming,
    Done,
}

/// A search.
#[derive(Clone, Debug)]
pub struct RateSearch {
    max: f64,
    /// The highest rate that kept the objectives, and the lowest that did not.
    met: Option<f64>,
    missed: Option<f64>,
    rate: f64,
    phase: Phase,
    steps: u32,
}

impl RateSearch {
    /// A search between two rates, in requests a second.
    #[must_use]
    pub fn new(min: f64, max: f64) -> RateSearch {
        let min = if min.is_finite() && min > 0.0 { min } else { 1.0 };
        let max = if max.is_finite() { max.max(min) } else { min };
        RateSearch { max, met: None, missed: None, rate: min, phase: Phase::Doubling, steps: 0 }
    }

    /// The rate to measure next; none at the end.
    #[must_use]
    pub fn next(&self) -> Option<f64> {
        (self.phase != Phase::Done).then_some(self.rate)
    }

    /// Reports whether the rate kept the objectives.
    pub fn report(&mut self, is_met: bool) {
        self.steps += 1;
        if is_met {
            self.met = Some(self.rate);
        } else {
            self.missed = Some(self.rate);
            self.met = self.met.filter(|met| *met < self.rate);
        }
        let (phase, rate) = match (self.phase, self.met, self.missed) {
            _ if self.steps >= MAX_STEPS => (Phase::Done, self.rate),
            (Phase::Confirming, ..) if is_met => (Phase::Done, self.rate),
            // What was found was luck: the rate itself misses them now.
            (Phase::Confirming, None, Some(missed)) => (Phase::Confirming, missed * (1.0 - 2.0 * PRECISION)),
            // Not even the least rate keeps them.
            (_, None, _) => (Phase::Done, self.rate),
            (_, Some(met), None) if met >= self.max => (Phase::Confirming, met),
            (_, Some(met), None) => (Phase::Doubling, (met * 2.0).min(self.max)),
            (_, Some(met), Some(missed)) if missed - met <= met * PRECISION => (Phase::Confirming, met),
            (_, Some(met), Some(missed)) => (Phase::Bisecting, f64::midpoint(met, missed)),
        };
        (self.phase, self.rate) = (phase, rate);
    }

    /// The highest rate that kept the objectives.
    #[must_use]
    pub fn result(&self) -> Option<f64> {
        self.met
    }

    /// Whether no rate missed them, so that the true one may be higher than the maximum.
    #[must_use]
    pub fn is_limited_by_max(&self) -> bool {
        self.missed.is_none() && self.met.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(mut search: RateSearch, is_met: impl Fn(f64) -> bool) -> (RateSearch, u32) {
        while let Some(rate) = search.next() {
            search.report(is_met(rate));
        }
        let steps = search.steps;
        (search, steps)
    }

    #[test]
    fn the_highest_rate_is_found_within_the_precision() {
        for limit in [1.5, 10.0, 777.0, 123_456.0] {
            let (found, steps) = search(RateSearch::new(1.0, 1e6), |rate| rate <= limit);
            let rate = found.result().unwrap();
            assert!(rate <= limit && rate >= limit * (1.0 - 1.5 * PRECISION), "{limit}: {rate}");
            assert!(!found.is_limited_by_max() && steps < 30, "{limit}: {steps}");
        }
    }

    #[test]
    fn a_search_ends_at_its_maximum_and_says_so() {
        let (found, _) = search(RateSearch::new(10.0, 300.0), |_| true);
        assert_eq!((found.result(), found.is_limited_by_max()), (Some(300.0), true));
    }

    #[test]
    fn not_even_the_least_rate_may_keep_them() {
        let (found, steps) = search(RateSearch::new(10.0, 300.0), |_| false);
        assert_eq!((found.result(), steps), (None, 1));
    }

    #[test]
    fn whatever_is_reported_a_search_ends() {
        for seed in 0..200 {
            let mut random = crate::random::Random::new(seed);
            let mut search = RateSearch::new(random.unit() * 100.0, random.unit() * 1e5);
            while search.next().is_some() {
                search.report(random.unit() < 0.5);
            }
            assert!(search.steps <= MAX_STEPS);
        }
    }
}
