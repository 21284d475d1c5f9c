//! Which entities are simulated, and how many each stands for.
//!
//! Caches do with one entity's row nearly the same whatever the others are, but for the room in memory. So where more requests come
//! than can be simulated, every location and isolate is, for a part of the entities: each gets all of its requests, and all that is
//! counted of it counts as often as it stands for others; an isolate has room for the same part of its rows. Source: Waldspurger et al.,
//! "Efficient MRC Construction with SHARDS", FAST 2015. SHARDS draws the entities by a hash, and then a few popular ones decide what
//! comes out. Here, one stands for a block of neighbours by rank, and is asked for as often as these are on the average. The blocks of
//! the most popular are smaller; what an isolate misses of an entity that is asked for all the time hardly depends on how often it is, so that
//! their average tells of them too. Invariant: the entities' numbers, each as often as it stands for others, add up to the population, and
//! so do their rates to the whole rate.

use benchmark::random::Random;

/// Of the largest block, the part that the first one has.
const FIRST_BLOCK: usize = 4;

/// An entity that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its rank by popularity, from 0: that of the first in its block.
    pub entity: u32,
    /// How many it stands for.
    pub weight: u32,
}

/// The entities that are simulated.
#[derive(Clone, Debug)]
pub struct Sample {
    keys: Vec<Key>,
    chances: Chances,
    /// Of all requests, the share that is simulated.
    pub share: f64,
    block: usize,
}

impl Sample {
    /// The largest sample of which at most `simulated` of `rate` requests a second are.
    #[must_use]
    pub fn within(population: u32, exponent: f64, rate: f64, simulated: f64) -> Sample {
        let mut block = (rate / simulated).ceil().max(1.0) as usize;
        loop {
            let sample = Sample::new(population, exponent, block);
            if sample.share * rate <= simulated || sample.keys.len() == 1 {
                return sample;
            }
            block += block.div_ceil(8);
        }
    }

    /// A sample in which one of the less popular entities stands for `block`.
    #[must_use]
    pub fn new(population: u32, exponent: f64, block: usize) -> Sample {
        let (mut keys, mut rates) = (Vec::new(), Vec::new());
        let (mut all, mut simulated) = (0.0, 0.0);
        let mut first = 0;
        while first < population {
            let grown = (first as usize * 2).max(block / FIRST_BLOCK).min(block);
            let weight = u32::try_from(grown).unwrap_or(u32::MAX).clamp(1, population - first);
            let rate: f64 = (first..first + weight).map(|rank| f64::from(rank + 1).powf(-exponent)).sum();
            keys.push(Key { entity: first, weight });
            rates.push(rate / f64::from(weight));
            all += rate;
            simulated += rate / f64::from(weight);
            first += weight;
        }
        Sample { keys, chances: Chances::new(rates), share: simulated / all, block }
    }

    /// The number of an entity, by its chance.
    pub fn draw(&self, random: &mut Random) -> usize {
        self.chances.draw(random)
    }

    /// The entity of that number.
    #[must_use]
    pub fn key(&self, number: usize) -> Key {
        self.keys.get(number).copied().unwrap_or(Key { entity: 0, weight: 0 })
    }

    /// All entities.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// For how many of these an isolate has room that has room for so many of all. The most popular are there in any case.
    #[must_use]
    pub fn room(&self, of_all: usize) -> usize {
        let popular = self.keys.iter().take_while(|key| (key.weight as usize) < self.block);
        let (simulated, stood_for) = popular.fold((0, 0), |(n, all), key| (n + 1, all + key.weight as usize));
        (simulated + of_all.saturating_sub(stood_for) / self.block.max(1)).max(1)
    }
}

/// Draws numbers by their chances.
#[derive(Clone, Debug)]
pub struct Chances(Vec<f64>);

impl Chances {
    /// Of as many numbers as there are weights.
    #[must_use]
    pub fn new(mut weights: Vec<f64>) -> Chances {
        let mut sum = 0.0;
        for weight in &mut weights {
            sum += *weight;
            *weight = sum;
        }
        Chances(weights)
    }

    /// A number.
    pub fn draw(&self, random: &mut Random) -> usize {
        let at = random.unit() * self.0.last().copied().unwrap_or_default();
        self.0.partition_point(|sum| *sum <= at).min(self.0.len().saturating_sub(1))
    }

    /// The chance of a number.
    #[must_use]
    pub fn of(&self, number: usize) -> f64 {
        let sum = |at: usize| self.0.get(at).copied().unwrap_or_default();
        let before = if number == 0 { 0.0 } else { sum(number - 1) };
        (sum(number) - before) / self.0.last().copied().unwrap_or(1.0)
    }
}
