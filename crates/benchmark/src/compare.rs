//! Compares two runs, and tests whether their differences are statistically significant.
//!
//! The test is a bootstrap: repetitions are resampled with replacement, and the interval has 95 % of the resamples' differences. As there are
//! few repetitions, the interval is widened by Student's t. Source: Hesterberg, "What Teachers
//! Should Know About the Bootstrap", The American Statistician 69 (4), 2015, section 4.4 ("expanded percentile interval").

use serde::Serialize;

use crate::random::Random;
use crate::report::{Repeat, Run, ScenarioResult};

/// The fewest repetitions for a test of significance.
pub const MIN_REPEATS: usize = 3;

/// Resamples. A thousand determine the interval well enough for so few repetitions.
const DRAWS: usize = 1_000;

/// The significance and direction of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Significance {
    /// The difference exceeds the noise, for the better.
    Better,
    /// The difference exceeds the noise, for the worse.
    Worse,
    /// The difference does not exceed the noise.
    Noise,
    /// There are too few repetitions.
    Unknown,
}

/// A statistic of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Of the first run.
    pub left: f64,
    /// Of the second.
    pub right: f64,
    /// The second less the first.
    pub difference: f64,
    /// The 95 % confidence interval of the difference, if there are enough repetitions.
    pub interval: Option<(f64, f64)>,
    /// Whether the difference exceeds the noise.
    pub verdict: Significance,
}

/// A scenario in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// Whether both runs had exactly the same scenario.
    pub is_same_scenario: bool,
    /// The statistics.
    pub metrics: Vec<Metric>,
}

/// The statistics: name, whether more is better, and function.
type Statistic = (&'static str, bool, fn(&Repeat) -> f64);
const STATISTICS: [Statistic; 8] = [
    ("mean_ms", false, |all| all.latencies.mean_ms()),
    ("median_ms", false, |all| all.latencies.percentile_ms(0.5)),
    ("p95_ms", false, |all| all.latencies.percentile_ms(0.95)),
    ("p99_ms", false, |all| all.latencies.percentile_ms(0.99)),
    ("p999_ms", false, |all| all.latencies.percentile_ms(0.999)),
    ("throughput", true, Repeat::throughput),
    ("error_rate", false, Repeat::error_rate),
    ("hit_ratio", true, Repeat::hit_ratio),
];

/// Compares the scenarios that both runs have; `seed` determines the resamples.
#[must_use]
pub fn compare(left: &Run, right: &Run, seed: u64) -> Vec<Compared> {
    let both = left.scenarios.iter().filter_map(|first| {
        let second = right.scenarios.iter().find(|second| second.scenario.name == first.scenario.name)?;
        Some((first, second))
    });
    both.map(|(first, second)| Compared {
        name: first.scenario.name.clone(),
        is_same_scenario: first.scenario == second.scenario,
        metrics: metrics(first, second, &mut Random::new(seed)),
    })
    .collect()
}

fn metrics(left: &ScenarioResult, right: &ScenarioResult, random: &mut Random) -> Vec<Metric> {
    let fewest = left.repeats.len().min(right.repeats.len());
    let is_enough = fewest >= MIN_REPEATS;
    let draws: Vec<[f64; STATISTICS.len()]> = (0..if is_enough { DRAWS } else { 0 })
        .map(|_| difference(&resampled(&left.repeats, random), &resampled(&right.repeats, random)))
        .collect();
    let (first, second) = (Repeat::merged(&left.repeats), Repeat::merged(&right.repeats));
    let by_statistic = STATISTICS.iter().enumerate().map(|(number, &(name, more_is_better, statistic))| {
        let of_statistic = draws.iter().filter_map(|draw| draw.get(number).copied());
        let interval = is_enough.then(|| interval(of_statistic, fewest));
        let verdict = match interval {
            None => Significance::Unknown,
            Some((low, high)) if low <= 0.0 && high >= 0.0 => Significance::Noise,
            Some((low, _)) if (low > 0.0) == more_is_better => Significance::Better,
            Some(_) => Significance::Worse,
        };
        let (left, right) = (statistic(&first), statistic(&second));
        Metric { name, left, right, difference: right - left, interval, verdict }
    });
    by_statistic.collect()
}

/// As many repetitions as there are, drawn with replacement and merged.
fn resampled(repeats: &[Repeat], random: &mut Random) -> Repeat {
    let count = repeats.len() as u64;
    Repeat::merged((0..count).filter_map(|_| repeats.get(random.below(count) as usize)))
}

fn difference(left: &Repeat, right: &Repeat) -> [f64; STATISTICS.len()] {
    STATISTICS.map(|(_, _, statistic)| statistic(right) - statistic(left))
}

fn interval(differences: impl Iterator<Item = f64>, repeats: usize) -> (f64, f64) {
    let mut sorted: Vec<f64> = differences.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let cut = (sorted.len() as f64 * tail(repeats)) as usize;
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    (at(cut), at(sorted.len().saturating_sub(cut + 1)))
}

/// The share of resamples beyond either end of the interval: Φ(−√(n/(n−1)) · t) with Student's t of n − 1 degrees of freedom at 97.5 %.
fn tail(repeats: usize) -> f64 {
    match repeats {
        0..=3 => 0.0,
        4 => 0.000_12,
        5 => 0.000_95,
        6 => 0.002_4,
        7 => 0.004_1,
        8 => 0.005_7,
        9 => 0.007_2,
        10..=14 => 0.008_6,
        15..=24 => 0.013_3,
        25..=49 => 0.017_8,
        _ => 0.021_3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{repeat, run};

    /// Repetitions of noisy latencies around `micros`.
    fn repeats(count: u64, micros: u64, seed: u64) -> Vec<Repeat> {
        let mut random = Random::new(seed);
        let mut one = || {
            let level = micros + random.below(micros / 20);
            repeat(&(0..200).map(|_| level + random.below(micros / 10)).collect::<Vec<_>>())
        };
        (0..count).map(|_| one()).collect()
    }

    fn verdict(compared: &[Compared], name: &str) -> Significance {
        compared[0].metrics.iter().find(|metric| metric.name == name).unwrap().verdict
    }

    #[test]
    fn a_difference_beyond_the_noise_has_a_direction() {
        let compared = compare(&run(repeats(5, 10_000, 1)), &run(repeats(5, 13_000, 2)), 1);
        assert!(compared[0].is_same_scenario);
        assert_eq!(verdict(&compared, "mean_ms"), Significance::Worse);
        assert_eq!(verdict(&compared, "p95_ms"), Significance::Worse);
        assert_eq!(verdict(&compared, "throughput"), Significance::Worse);
        assert_eq!(verdict(&compared, "error_rate"), Significance::Noise);
        let mean = &compared[0].metrics[0];
        let (low, high) = mean.interval.unwrap();
        assert!(low < mean.difference && mean.difference < high);
        let back = compare(&run(repeats(5, 13_000, 2)), &run(repeats(5, 10_000, 1)), 1);
        assert_eq!(verdict(&back, "throughput"), Significance::Better);
    }

    #[test]
    fn a_random_difference_is_noise() {
        let different = (0..40)
            .filter(|seed| {
                let compared =
                    compare(&run(repeats(5, 10_000, seed * 2)), &run(repeats(5, 10_000, seed * 2 + 1)), *seed);
                verdict(&compared, "mean_ms") != Significance::Noise
            })
            .count();
        // 95 % allow one in twenty; five of forty exceeds that by less than two standard deviations.
        assert!(different <= 5, "{different} of 40");
    }

    #[test]
    fn two_repetitions_are_too_few_for_significance() {
        let compared = compare(&run(repeats(2, 10_000, 1)), &run(repeats(5, 90_000, 2)), 1);
        assert_eq!(verdict(&compared, "mean_ms"), Significance::Unknown);
        assert_eq!(compared[0].metrics[0].interval, None);
    }

    #[test]
    fn scenarios_that_only_one_run_has_are_left_out() {
        let mut other = run(repeats(3, 10_000, 1));
        other.scenarios[0].scenario.name = "x".to_owned();
        assert!(compare(&run(repeats(3, 10_000, 1)), &other, 1).is_empty());
    }
}
