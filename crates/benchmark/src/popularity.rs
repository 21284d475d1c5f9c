//! The popularity of entities: which ones a request names.

use serde::{Deserialize, Serialize};

use crate::bounded::vec;
use crate::random::Random;

/// How often each entity is requested.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Popularity {
    /// Each entity once, in order, as in the original specification: no request can be answered from a cache.
    #[default]
    Sequential,
    /// All entities of `population` with equal probability.
    Uniform {
        /// How many entities there are.
        population: u64,
    },
    /// The entity of rank k with a probability proportional to k to the power of −`exponent`.
    Zipf {
        /// How many entities there are.
        population: u64,
        /// The skew: 0.99 is YCSB's, and above 1 few entities get most requests.
        exponent: f64,
    },
    /// A recording, replayed from its start after its end.
    Recorded {
        /// The entities' ids.
        #[serde(deserialize_with = "vec::<_, _, MAX_RECORDED>")]
        entities: Vec<String>,
    },
}

/// The most entities of a recording.
const MAX_RECORDED: usize = 1_000_000;

/// The largest exponent: above it, nearly every request would be for the first entity.
pub const MAX_EXPONENT: u8 = 10;

/// Samples entities by their popularity.
#[derive(Clone, Debug)]
pub struct EntitySampler {
    popularity: Popularity,
    zipf: Option<Zipf>,
    random: Random,
    next: u64,
}

impl EntitySampler {
    /// A sampler that begins with `seed`.
    #[must_use]
    pub fn new(popularity: Popularity, seed: u64) -> EntitySampler {
        let zipf = match popularity {
            Popularity::Zipf { population, exponent } => Some(Zipf::new(population, exponent)),
            _ => None,
        };
        EntitySampler { popularity, zipf, random: Random::new(seed), next: 0 }
    }

    /// Puts the numbers of `count` different entities into `sampled`; fewer if there are not so many.
    pub fn sample(&mut self, count: u64, sampled: &mut Vec<u64>) {
        sampled.clear();
        match &self.popularity {
            Popularity::Sequential => {
                sampled.extend(self.next..self.next + count);
                self.next += count;
            }
            Popularity::Recorded { entities } => {
                let length = (entities.len() as u64).max(1);
                sampled.extend((self.next..self.next + count.min(length)).map(|number| number % length));
                self.next = (self.next + count) % length;
            }
            Popularity::Uniform { population } | Popularity::Zipf { population, .. } => {
                let population = *population;
                for _ in 0..count.min(population) {
                    let mut number = self.draw(population);
                    // A request names an entity once: a repeated one is replaced by the next.
                    while sampled.contains(&number) {
                        number = (number + 1) % population;
                    }
                    sampled.push(number);
                }
            }
        }
    }

    /// The recorded id of an entity, if there is a recording.
    #[must_use]
    pub fn recorded(&self, number: u64) -> Option<&str> {
        match &self.popularity {
            Popularity::Recorded { entities } => entities.get(usize::try_from(number).ok()?).map(String::as_str),
            _ => None,
        }
    }

    fn draw(&mut self, population: u64) -> u64 {
        match &self.zipf {
            Some(zipf) => zipf.draw(&mut self.random),
            None => self.random.below(population),
        }
    }
}

/// Zipf's distribution by rejection-inversion, in constant time and memory for any population and exponent.
///
/// Source: Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", ACM TOMACS 6 (3), 1996.
#[derive(Clone, Copy, Debug)]
struct Zipf {
    population: f64,
    exponent: f64,
    integral_first: f64,
    integral_last: f64,
    shortcut: f64,
}

impl Zipf {
    fn new(population: u64, exponent: f64) -> Zipf {
        let population = population as f64;
        Zipf {
            population,
            exponent,
            integral_first: integral(1.5, exponent) - 1.0,
            integral_last: integral(population + 0.5, exponent),
            shortcut: 2.0 - inverse(integral(2.5, exponent) - density(2.0, exponent), exponent),
        }
    }

    /// An entity's number, from 0.
    fn draw(&self, random: &mut Random) -> u64 {
        loop {
            let at = self.integral_last + random.unit() * (self.integral_first - self.integral_last);
            let x = inverse(at, self.exponent);
            let rank = (x + 0.5).floor().clamp(1.0, self.population);
            if rank - x <= self.shortcut || at >= integral(rank + 0.5, self.exponent) - density(rank, self.exponent) {
                return rank as u64 - 1;
            }
        }
    }
}

fn density(x: f64, exponent: f64) -> f64 {
    (-exponent * x.ln()).exp()
}

/// The integral of the density up to `x`, but for a constant.
fn integral(x: f64, exponent: f64) -> f64 {
    let log = x.ln();
    near_one((1.0 - exponent) * log, f64::exp_m1) * log
}

fn inverse(value: f64, exponent: f64) -> f64 {
    // Rounding may push the argument below −1, outside of the logarithm's domain.
    let part = (value * (1.0 - exponent)).max(-1.0);
    (near_one(part, f64::ln_1p) * value).exp()
}

/// `of(x) / x`, which is 1 at 0.
fn near_one(x: f64, of: fn(f64) -> f64) -> f64 {
    if x.abs() > 1e-8 { of(x) / x } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(popularity: Popularity, count: u64, times: usize) -> Vec<Vec<u64>> {
        let mut sampler = EntitySampler::new(popularity, 7);
        let mut sampled = Vec::new();
        (0..times)
            .map(|_| {
                sampler.sample(count, &mut sampled);
                sampled.clone()
            })
            .collect()
    }

    #[test]
    fn sequential_entities_never_repeat() {
        assert_eq!(picks(Popularity::Sequential, 2, 3), [[0, 1], [2, 3], [4, 5]]);
    }

    #[test]
    fn a_recording_is_replayed_from_its_start() {
        let entities = ["a", "b", "c"].map(String::from).to_vec();
        assert_eq!(picks(Popularity::Recorded { entities: entities.clone() }, 2, 3), [[0, 1], [2, 0], [1, 2]]);
        assert_eq!(EntitySampler::new(Popularity::Recorded { entities }, 1).recorded(2), Some("c"));
    }

    #[test]
    fn a_request_names_no_entity_twice() {
        let zipf = Popularity::Zipf { population: 12, exponent: 1.5 };
        for mut sampled in
            picks(zipf, 10, 100).into_iter().chain(picks(Popularity::Uniform { population: 10 }, 10, 100))
        {
            assert_eq!(sampled.len(), 10);
            sampled.sort_unstable();
            sampled.dedup();
            assert_eq!(sampled.len(), 10);
        }
        assert_eq!(picks(Popularity::Uniform { population: 3 }, 10, 1)[0].len(), 3);
    }

    #[test]
    fn the_same_seed_samples_the_same_entities() {
        let zipf = Popularity::Zipf { population: 1_000, exponent: 0.99 };
        assert_eq!(picks(zipf.clone(), 5, 20), picks(zipf, 5, 20));
    }

    #[test]
    fn zipf_draws_each_rank_as_often_as_its_formula_says() {
        for exponent in [0.5, 0.99, 1.0, 1.2, 2.0] {
            let (population, draws) = (100_u64, 200_000);
            let zipf = Zipf::new(population, exponent);
            let mut random = Random::new(11);
            let mut counts = vec![0_u32; population as usize];
            for _ in 0..draws {
                counts[zipf.draw(&mut random) as usize] += 1;
            }
            let total: f64 = (1..=population).map(|rank| density(rank as f64, exponent)).sum();
            for rank in [1_u64, 2, 3, 10, 50] {
                let expected = density(rank as f64, exponent) / total * f64::from(draws);
                let found = f64::from(counts[rank as usize - 1]);
                // Five standard deviations of a count.
                assert!(
                    (found - expected).abs() < 5.0 * expected.sqrt(),
                    "{exponent} {rank}: {found} and not {expected}"
                );
            }
        }
    }
}
