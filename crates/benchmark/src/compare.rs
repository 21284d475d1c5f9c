//! Compares two runs, and tests whether their differences are statistically significant.
//!
//! The test is a bootstrap: repetitions are resampled with replacement, and the interval has 95 % of the resamples' differences. As there are
//! few repetitions, the interval is widened by Student's t. Source: Hesterberg, "What Teachers
//! Should Know About the Bootstrap", The American Statistician 69 (4), 2015, section 4.4 ("expanded percentile interval").

use serde::Serialize;

use crate::distribution::Distribution;
use crate::random::Random;
use crate::repeat::Repeat;
use crate::report::{Caches, Environment, Run, ScenarioResult, ServedBy};

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

/// The significance of several differences together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overall {
    /// Some are better, and none is worse.
    Better,
    /// Some are worse, and none is better.
    Worse,
    /// Some are better, and some are worse.
    Mixed,
    /// None exceeds the noise.
    Noise,
    /// There are too few repetitions.
    Unknown,
}

impl Overall {
    fn of(all: impl Iterator<Item = Overall>) -> Overall {
        all.fold(Overall::Unknown, |sum, verdict| match (sum, verdict) {
            (Overall::Unknown, other) | (other, Overall::Unknown) => other,
            (Overall::Noise, other) | (other, Overall::Noise) => other,
            (sum, verdict) if sum == verdict => sum,
            _ => Overall::Mixed,
        })
    }
}

impl From<Significance> for Overall {
    fn from(significance: Significance) -> Overall {
        match significance {
            Significance::Better => Overall::Better,
            Significance::Worse => Overall::Worse,
            Significance::Noise => Overall::Noise,
            Significance::Unknown => Overall::Unknown,
        }
    }
}

/// A statistic of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Of the baseline, if it was measured.
    pub baseline: Option<f64>,
    /// Of the run.
    pub current: Option<f64>,
    /// The run's less the baseline's.
    pub difference: Option<f64>,
    /// That as a share of the baseline's.
    pub change: Option<f64>,
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
    /// The caches at the beginning.
    pub caches: Caches,
    /// What responded.
    pub served_by: ServedBy,
    /// Whether both runs had exactly the same scenario.
    pub is_same_scenario: bool,
    /// The statistics.
    pub metrics: Vec<Metric>,
    /// That of its latencies, throughput, failures and hits together.
    pub verdict: Overall,
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedSetting {
    /// Its name.
    pub name: String,
    /// Its value in the baseline, if it had one.
    pub baseline: Option<String>,
    /// Its value in the run.
    pub current: Option<String>,
}

/// Two runs compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The scenarios that both have.
    pub scenarios: Vec<Compared>,
    /// What else differs, and may be the cause.
    pub settings: Vec<ChangedSetting>,
    /// That of all scenarios together.
    pub verdict: Overall,
}

/// The statistics: name, whether more is better, and function.
type Statistic = (&'static str, bool, fn(&Repeat) -> Option<f64>);
const STATISTICS: [Statistic; 8] = [
    ("mean_ms", false, |all| latency(all, Distribution::mean_ms)),
    ("median_ms", false, |all| latency(all, |latencies| latencies.percentile_ms(0.5))),
    ("p95_ms", false, |all| latency(all, |latencies| latencies.percentile_ms(0.95))),
    ("p99_ms", false, |all| latency(all, |latencies| latencies.percentile_ms(0.99))),
    ("p999_ms", false, |all| latency(all, |latencies| latencies.percentile_ms(0.999))),
    ("throughput", true, Repeat::throughput),
    ("error_rate", false, Repeat::error_rate),
    ("hit_ratio", true, Repeat::hit_ratio),
];

fn latency(all: &Repeat, of: impl Fn(&Distribution) -> f64) -> Option<f64> {
    (all.latencies.count() > 0).then(|| of(&all.latencies))
}

/// Compares a run with a baseline, in the scenarios that both have; `seed` determines the resamples.
#[must_use]
pub fn compare(baseline: &Run, run: &Run, seed: u64) -> Comparison {
    let identity = |measured: &ScenarioResult| (measured.scenario.name.clone(), measured.caches, measured.served_by);
    let both = run.scenarios.iter().filter_map(|current| {
        let before = baseline.scenarios.iter().find(|before| identity(before) == identity(current))?;
        Some((before, current))
    });
    let scenarios: Vec<Compared> = both
        .map(|(before, current)| {
            let metrics = metrics(before, current, &mut Random::new(seed));
            Compared {
                name: current.scenario.name.clone(),
                caches: current.caches,
                served_by: current.served_by,
                is_same_scenario: before.scenario == current.scenario,
                verdict: Overall::of(metrics.iter().map(|metric| metric.verdict.into())),
                metrics,
            }
        })
        .collect();
    // The origin alone says nothing of Featheredge.
    let own = scenarios.iter().filter(|compared| compared.served_by == ServedBy::Featheredge);
    Comparison {
        verdict: Overall::of(own.map(|compared| compared.verdict)),
        settings: changed_settings(baseline, run),
        scenarios,
    }
}

fn changed_settings(baseline: &Run, run: &Run) -> Vec<ChangedSetting> {
    let [before, now] = [baseline, run].map(|run| {
        let Environment { host, machine, cores, target, settings } = &run.environment;
        let cores = cores.to_string();
        let own = [
            ("version", &run.product_version),
            ("host", host),
            ("machine", machine),
            ("cores", &cores),
            ("target", target),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value.clone()));
        let more = settings.iter().map(|setting| (setting.name.clone(), setting.value.clone()));
        own.chain(more).collect::<Vec<_>>()
    });
    let value = |settings: &[(String, String)], name: &str| {
        settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let mut changed: Vec<ChangedSetting> = Vec::new();
    for (name, _) in before.iter().chain(&now) {
        let (baseline, current) = (value(&before, name), value(&now, name));
        if baseline != current && changed.iter().all(|known| known.name != *name) {
            changed.push(ChangedSetting { name: name.clone(), baseline, current });
        }
    }
    changed
}

fn metrics(before: &ScenarioResult, current: &ScenarioResult, random: &mut Random) -> Vec<Metric> {
    let fewest = before.repeats.len().min(current.repeats.len());
    let is_enough = fewest >= MIN_REPEATS;
    let draws: Vec<[Option<f64>; STATISTICS.len()]> = (0..if is_enough { DRAWS } else { 0 })
        .map(|_| difference(&resampled(&before.repeats, random), &resampled(&current.repeats, random)))
        .collect();
    let (first, second) = (Repeat::merged(&before.repeats), Repeat::merged(&current.repeats));
    let by_statistic = STATISTICS.iter().enumerate().map(|(number, &(name, more_is_better, statistic))| {
        let (baseline, current) = (statistic(&first), statistic(&second));
        let difference = baseline.zip(current).map(|(baseline, current)| current - baseline);
        let of_statistic = draws.iter().filter_map(|draw| draw.get(number).copied().flatten());
        let interval = (is_enough && difference.is_some()).then(|| interval(of_statistic, fewest));
        let verdict = match interval {
            None => Significance::Unknown,
            Some((low, high)) if low <= 0.0 && high >= 0.0 => Significance::Noise,
            Some((low, _)) if (low > 0.0) == more_is_better => Significance::Better,
            Some(_) => Significance::Worse,
        };
        let change = difference.zip(baseline.filter(|value| *value != 0.0)).map(|(by, baseline)| by / baseline);
        Metric { name, baseline, current, difference, change, interval, verdict }
    });
    by_statistic.collect()
}

/// As many repetitions as there are, drawn with replacement and merged.
fn resampled(repeats: &[Repeat], random: &mut Random) -> Repeat {
    let count = repeats.len() as u64;
    Repeat::merged((0..count).filter_map(|_| repeats.get(random.below(count) as usize)))
}

fn difference(before: &Repeat, current: &Repeat) -> [Option<f64>; STATISTICS.len()] {
    STATISTICS.map(|(_, _, statistic)| Some(statistic(current)? - statistic(before)?))
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
    use crate::repeat::tests::repeat;
    use crate::report::tests::run;

    /// Repetitions of noisy latencies around `micros`.
    fn repeats(count: u64, micros: u64, seed: u64) -> Vec<Repeat> {
        let mut random = Random::new(seed);
        let mut one = || {
            let level = micros + random.below(micros / 20);
            repeat(&(0..200).map(|_| level + random.below(micros / 10)).collect::<Vec<_>>())
        };
        (0..count).map(|_| one()).collect()
    }

    fn verdict(compared: &Comparison, name: &str) -> Significance {
        compared.scenarios[0].metrics.iter().find(|metric| metric.name == name).unwrap().verdict
    }

    #[test]
    fn a_difference_beyond_the_noise_has_a_direction() {
        let compared = compare(&run(repeats(5, 10_000, 1)), &run(repeats(5, 13_000, 2)), 1);
        assert!(compared.scenarios[0].is_same_scenario);
        assert_eq!((compared.scenarios[0].verdict, compared.verdict), (Overall::Worse, Overall::Worse));
        assert_eq!(verdict(&compared, "mean_ms"), Significance::Worse);
        assert_eq!(verdict(&compared, "p95_ms"), Significance::Worse);
        assert_eq!(verdict(&compared, "throughput"), Significance::Worse);
        assert_eq!(verdict(&compared, "error_rate"), Significance::Noise);
        let mean = &compared.scenarios[0].metrics[0];
        let (low, high) = mean.interval.unwrap();
        let difference = mean.difference.unwrap();
        assert!(low < difference && difference < high);
        assert!((mean.change.unwrap() - difference / mean.baseline.unwrap()).abs() < 1e-12);
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
        assert_eq!(compared.scenarios[0].metrics[0].interval, None);
        assert_eq!(compared.verdict, Overall::Unknown);
    }

    #[test]
    fn scenarios_that_only_one_run_has_are_left_out() {
        let mut other = run(repeats(3, 10_000, 1));
        other.scenarios[0].scenario.name = "x".to_owned();
        assert!(compare(&run(repeats(3, 10_000, 1)), &other, 1).scenarios.is_empty());
    }

    #[test]
    fn cold_caches_are_not_compared_with_warm_ones() {
        let mut warm = run(repeats(3, 10_000, 1));
        warm.scenarios[0].caches = Caches::Warm;
        assert!(compare(&run(repeats(3, 10_000, 1)), &warm, 1).scenarios.is_empty());
    }

    #[test]
    fn what_else_differs_is_listed() {
        let before = run(repeats(3, 10_000, 1));
        let mut now = before.clone();
        now.environment.host = "Node v24".to_owned();
        now.environment.settings = vec![crate::report::RunSetting { name: "l2".to_owned(), value: "none".to_owned() }];
        let names: Vec<_> = compare(&before, &now, 1).settings.into_iter().map(|setting| setting.name).collect();
        assert_eq!(names, ["host", "l2"]);
    }
}
