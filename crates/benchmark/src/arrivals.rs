//! When the requests of an open loop are due: at a constant rate, or by stages whose rate changes linearly.
//!
//! The n-th request is due when the integral of the rate reaches n, which has a closed form in each stage. Source of the model:
//! k6's `ramping-arrival-rate`, <https://grafana.com/docs/k6/latest/using-k6/scenarios/executors/ramping-arrival-rate/>.

use serde::{Deserialize, Serialize};

/// A part of an open loop, in which the rate changes linearly to this one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How long it lasts, in milliseconds.
    pub duration_ms: u64,
    /// The rate at its end, in requests a second.
    pub rate_per_second: f64,
}

/// The due times of requests.
#[derive(Clone, Debug)]
pub(crate) enum Arrivals {
    /// At a constant rate, in requests a second, without an end of its own.
    Constant(f64),
    /// By stages.
    Staged(Vec<Ramp>),
}

/// A stage with its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ramp {
    /// Requests before it.
    first: f64,
    /// When it begins and how long it lasts, in seconds.
    begins: f64,
    lasts: f64,
    from: f64,
    to: f64,
}

impl Ramp {
    fn requests(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.lasts
    }

    /// When the request is due that has `more` before it in this stage, in seconds: the solution of `from t + slope t²/2 = more`, in the
    /// form that also holds for a slope of 0.
    fn at(&self, more: f64) -> f64 {
        if more <= 0.0 {
            return self.begins;
        }
        let slope = (self.to - self.from) / self.lasts;
        let root = (self.from * self.from + 2.0 * slope * more).max(0.0).sqrt();
        self.begins + (2.0 * more / (self.from + root)).min(self.lasts)
    }
}

impl Arrivals {
    /// Those of an open loop of that rate, or of stages that begin at it.
    pub(crate) fn of(rate_per_second: Option<f64>, stages: &[Stage]) -> Option<Arrivals> {
        if stages.is_empty() {
            return rate_per_second.map(Arrivals::Constant);
        }
        let (mut first, mut begins, mut from) = (0.0, 0.0, rate_per_second.unwrap_or_default());
        let mut ramps = Vec::with_capacity(stages.len());
        for stage in stages {
            let ramp =
                Ramp { first, begins, lasts: stage.duration_ms as f64 / 1_000.0, from, to: stage.rate_per_second };
            (first, begins, from) = (first + ramp.requests(), begins + ramp.lasts, ramp.to);
            ramps.push(ramp);
        }
        Some(Arrivals::Staged(ramps))
    }

    /// When a request is due after the begin, in microseconds; none after the last stage.
    pub(crate) fn at(&self, number: u64) -> Option<u64> {
        let number = number as f64;
        let seconds = match self {
            Arrivals::Constant(rate) => number / rate,
            Arrivals::Staged(ramps) => {
                let ramp = ramps.iter().find(|ramp| number < ramp.first + ramp.requests())?;
                ramp.at(number - ramp.first)
            }
        };
        Some((seconds * 1_000_000.0) as u64)
    }

    /// How many requests the stages have.
    pub(crate) fn count(&self) -> Option<u64> {
        match self {
            Arrivals::Constant(_) => None,
            Arrivals::Staged(ramps) => Some(ramps.iter().map(Ramp::requests).sum::<f64>().ceil() as u64),
        }
    }

    /// How long the stages last, in milliseconds.
    pub(crate) fn duration_ms(&self) -> Option<u64> {
        match self {
            Arrivals::Constant(_) => None,
            Arrivals::Staged(ramps) => Some(ramps.iter().map(|ramp| ramp.lasts * 1_000.0).sum::<f64>() as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(from: Option<f64>, stages: &[(u64, f64)]) -> Arrivals {
        let stages: Vec<Stage> =
            stages.iter().map(|&(duration_ms, rate_per_second)| Stage { duration_ms, rate_per_second }).collect();
        Arrivals::of(from, &stages).unwrap()
    }

    #[test]
    fn a_constant_stage_has_equal_distances() {
        let arrivals = staged(Some(100.0), &[(1_000, 100.0)]);
        assert_eq!(arrivals.count(), Some(100));
        assert_eq!((arrivals.at(0), arrivals.at(1), arrivals.at(99)), (Some(0), Some(10_000), Some(990_000)));
        assert_eq!(arrivals.at(100), None);
    }

    #[test]
    fn a_ramp_has_half_its_requests_after_seven_tenths_of_its_time() {
        let arrivals = staged(None, &[(10_000, 200.0)]);
        assert_eq!(arrivals.count(), Some(1_000));
        // 500 = 10 t², t = √50.
        let half = arrivals.at(500).unwrap() as f64 / 1e6;
        assert!((half - 50.0_f64.sqrt()).abs() < 1e-3, "{half}");
    }

    #[test]
    fn due_times_never_decrease_and_stay_within_their_stages() {
        let arrivals = staged(None, &[(500, 1_000.0), (250, 0.0), (0, 300.0), (500, 300.0)]);
        let all: Vec<u64> = (0..arrivals.count().unwrap()).filter_map(|number| arrivals.at(number)).collect();
        assert_eq!(all.len() as u64, arrivals.count().unwrap());
        assert!(all.is_sorted() && *all.last().unwrap() <= 1_250_000);
    }
}
