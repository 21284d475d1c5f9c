//! The sample of entities that are simulated, with their weights.
//!
//! Except for the room in memory, a cache treats an entity's row the same whatever the other entities are. So if there are more requests than
//! can be simulated, all locations and isolates are simulated for a sample of the entities. A sampled entity gets all of its requests, and
//! its counts have its weight. An isolate has room for the same fraction of its rows. Source: Waldspurger et al.,
//! "Efficient MRC Construction with SHARDS", FAST 2015. SHARDS samples the entities by a hash, so that a few popular ones dominate
//! the result. Here, an entity stands for a block of neighbours by rank, and is requested at their mean rate. The blocks of the most popular
//! are smaller. The misses of an entity that is requested all the time hardly depend on its rate, so the mean represents them too.
//! Invariant: the weights add up to the population, and the weighted rates to the whole rate.

use benchmark::random::Random;

/// Of the largest block, the part that the first one has.
const FIRST_BLOCK: usize = 4;

/// An entity that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its rank by popularity, from 0: that of the first in its block.
    pub entity: u32,
    /// How many entities it stands for.
    pub weight: u32,
}

/// The entities that are simulated.
#[derive(Clone, Debug)]
pub struct Sample {
    keys: Vec<Key>,
    choice: WeightedChoice,
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
        Sample { keys, choice: WeightedChoice::new(rates), share: simulated / all, block }
    }

    /// Draws the index of an entity by its rate.
    pub fn draw(&self, random: &mut Random) -> usize {
        self.choice.draw(random)
    }

    /// The entity at that index.
    #[must_use]
    pub fn key(&self, number: usize) -> Key {
        self.keys.get(number).copied().unwrap_or(Key { entity: 0, weight: 0 })
    }

    /// All entities.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The room for sampled entities of an isolate with room for `of_all`. The most popular always fit.
    #[must_use]
    pub fn room(&self, of_all: usize) -> usize {
        let popular = self.keys.iter().take_while(|key| (key.weight as usize) < self.block);
        let (simulated, stood_for) = popular.fold((0, 0), |(n, all), key| (n + 1, all + key.weight as usize));
        (simulated + of_all.saturating_sub(stood_for) / self.block.max(1)).max(1)
    }
}

/// Draws indices by their weights.
#[derive(Clone, Debug)]
pub struct WeightedChoice(Vec<f64>);

impl WeightedChoice {
    /// With these weights.
    #[must_use]
    pub fn new(mut weights: Vec<f64>) -> WeightedChoice {
        let mut sum = 0.0;
        for weight in &mut weights {
            sum += *weight;
            *weight = sum;
        }
        WeightedChoice(weights)
    }

    /// Draws an index.
    pub fn draw(&self, random: &mut Random) -> usize {
        let at = random.unit() * self.0.last().copied().unwrap_or_default();
        self.0.partition_point(|sum| *sum <= at).min(self.0.len().saturating_sub(1))
    }

    /// The probability of an index.
    #[must_use]
    pub fn of(&self, number: usize) -> f64 {
        let sum = |at: usize| self.0.get(at).copied().unwrap_or_default();
        let before = if number == 0 { 0.0 } else { sum(number - 1) };
        (sum(number) - before) / self.0.last().copied().unwrap_or(1.0)
    }
}
