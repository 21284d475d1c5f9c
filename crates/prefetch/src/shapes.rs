//! Which shape of request follows which, and which features are asked for together.
//!
//! A deployment asks in tens of shapes, so each is known in full: how often it was asked in, what was asked next, and
//! whether that was of the same entity. Which features go together follows from how often the shapes are asked in that have
//! them both, so that a request costs one count, however many features it has.

use serde::{Deserialize, Serialize};

use model::shape::RequestShape;

/// The most shapes that are kept.
const MAX_SHAPES: usize = 128;

/// Steps that are kept of a shape.
pub(crate) const STEPS: usize = 6;

/// Related shapes that are kept of one; the most that can be asked for.
pub(crate) const RELATED: usize = 8;

/// A step's weight at which all of a shape are halved.
const FULL: u16 = 4_096;

/// How many requests pass before what is related is found out again.
const RELATED_EVERY: u32 = 1_024;

/// From one shape to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) to: u32,
    pub(crate) weight: u16,
    /// Whether the same entity was asked for.
    pub(crate) is_same: bool,
}

/// A shape that has features which go with those of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Related {
    pub(crate) shape: u32,
    pub(crate) permille: u32,
}

/// What is known of a shape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The name of its entity columns.
    pub(crate) columns: u32,
    features: Vec<u32>,
    pub(crate) count: u32,
    pub(crate) total: u16,
    pub(crate) steps: [Step; STEPS],
    related: [Related; RELATED],
    related_at: u32,
    stamp: u8,
}

impl Known {
    /// The steps from here, with their probabilities in thousandths.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (u32, bool, u32)> {
        let total = u32::from(self.total).max(1);
        self.steps.iter().map(move |step| (step.to, step.is_same, u32::from(step.weight) * 1_000 / total))
    }

    fn age(&mut self, stamp: u8) {
        let halvings = u32::from(stamp.wrapping_sub(self.stamp)).min(15);
        self.stamp = stamp;
        if halvings > 0 {
            self.count >>= halvings;
            self.related_at >>= halvings;
            self.halve(halvings);
        }
    }

    fn halve(&mut self, times: u32) {
        self.total >>= times;
        self.steps.iter_mut().for_each(|step| step.weight >>= times);
    }

    fn step(&mut self, to: u32, is_same: bool) {
        if self.total >= FULL {
            self.halve(1);
        }
        self.total += 1;
        let mut lightest = &mut Step { weight: u16::MAX, ..Step::default() };
        for step in &mut self.steps {
            if step.weight > 0 && step.to == to && step.is_same == is_same {
                step.weight += 1;
                return;
            }
            if step.weight < lightest.weight {
                lightest = step;
            }
        }
        if lightest.weight <= 1 {
            *lightest = Step { to, weight: 1, is_same };
        } else {
            lightest.weight -= 1;
        }
    }
}

/// The shapes that requests come in.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    names: Vec<u32>,
    known: Vec<Known>,
}

impl Shapes {
    /// Counts a request, and notes what it came after: a shape, and whether for the same entity.
    #[inline]
    pub(crate) fn count(&mut self, name: u32, shape: &RequestShape, after: Option<(u32, bool)>, stamp: u8) {
        match self.position(name).and_then(|at| self.known.get_mut(at)) {
            Some(known) => {
                if known.stamp != stamp {
                    known.age(stamp);
                }
                known.count = known.count.saturating_add(1);
                if known.columns == 0 {
                    // Another isolate told of it.
                    (known.columns, known.features) = (shape.columns, shape.features.clone());
                }
            }
            None => self.enter(
                name,
                Known { columns: shape.columns, features: shape.features.clone(), count: 1, stamp, ..Known::default() },
            ),
        }
        if let Some((before, is_same)) = after
            && let Some(known) = self.position(before).and_then(|at| self.known.get_mut(at))
        {
            known.step(name, is_same);
        }
    }

    #[inline]
    fn position(&self, name: u32) -> Option<usize> {
        self.names.iter().position(|&known| known == name)
    }

    pub(crate) fn get(&self, name: u32) -> Option<&Known> {
        self.known.get(self.position(name)?)
    }

    /// Keeps a new shape, in the place of the one that is asked in least where all places are taken.
    #[cold]
    fn enter(&mut self, name: u32, known: Known) {
        if self.names.len() < MAX_SHAPES {
            self.names.push(name);
            self.known.push(known);
            return;
        }
        let mut least = u32::MAX;
        let mut rarest = None;
        for place in self.names.iter_mut().zip(&mut self.known) {
            if place.1.count < least {
                least = place.1.count;
                rarest = Some(place);
            }
        }
        if let Some(place) = rarest {
            (*place.0, *place.1) = (name, known);
        }
    }

    /// The shapes whose other features are asked for most where those of `name` are, `most` at the most.
    pub(crate) fn related(&mut self, name: u32, most: usize) -> &[Related] {
        let Some(at) = self.position(name) else { return &[] };
        let is_due = self.known.get(at).is_some_and(|known| {
            known.related_at == 0
                || known.count >= known.related_at + RELATED_EVERY
                || known.count >= 2 * known.related_at
        });
        if is_due {
            let found = self.relate(at);
            if let Some(known) = self.known.get_mut(at) {
                (known.related, known.related_at) = (found, known.count.max(1));
            }
        }
        let related = self.known.get(at).map_or(&[][..], |known| &known.related);
        let count = related.iter().take(most).take_while(|related| related.permille > 0).count();
        related.get(..count).unwrap_or_default()
    }

    /// For each feature that `at` lacks: of the requests that share a feature with it, the share that has this one. The
    /// strongest features count, each by the shape that is asked in most among those that have it.
    fn relate(&self, at: usize) -> [Related; RELATED] {
        let mut found = [Related::default(); RELATED];
        let Some(own) = self.known.get(at) else { return found };
        let is_kin = |known: &Known| {
            known.columns == own.columns && own.features.iter().any(|feature| known.features.contains(feature))
        };
        let mut all = 0;
        for known in &self.known {
            all += if is_kin(known) { known.count } else { 0 };
        }
        for (&name, kin) in self.names.iter().zip(&self.known) {
            if !is_kin(kin) {
                continue;
            }
            for feature in &kin.features {
                if own.features.contains(feature) {
                    continue;
                }
                let (mut count, mut is_foremost) = (0, true);
                for known in &self.known {
                    if known.features.contains(feature) && is_kin(known) {
                        count += known.count;
                        is_foremost &= known.count <= kin.count;
                    }
                }
                if is_foremost {
                    let permille = (u64::from(count) * 1_000 / u64::from(all.max(1))) as u32;
                    insert(&mut found, Related { shape: name, permille });
                }
            }
        }
        found
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Known)> {
        self.names.iter().copied().zip(&self.known)
    }

    /// Takes over what another isolate knows of a shape, unless something is known of it here.
    ///
    /// Whatever it says, counts stay where adding them up stays a number.
    pub(crate) fn adopt(&mut self, name: u32, count: u32, total: u16, mut steps: [Step; STEPS], stamp: u8) {
        let (count, total) = (count.min(u32::MAX / 2 / MAX_SHAPES as u32), total.min(FULL));
        steps.iter_mut().for_each(|step| step.weight = step.weight.min(total));
        match self.position(name).and_then(|at| self.known.get_mut(at)) {
            Some(known) if known.total == 0 => (known.total, known.steps) = (total, steps),
            Some(_) => {}
            None => self.enter(name, Known { count, total, steps, stamp, ..Known::default() }),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let features: usize = self.known.iter().map(|known| known.features.capacity() * size_of::<u32>()).sum();
        self.known.capacity() * size_of::<Known>() + self.names.capacity() * size_of::<u32>() + features
    }
}

/// Puts a relation at its place among the strongest, one for each shape.
fn insert(found: &mut [Related; RELATED], mut new: Related) {
    if let Some(at) = found.iter().position(|known| known.shape == new.shape) {
        if found.get(at).is_some_and(|known| known.permille >= new.permille) {
            return;
        }
        found.copy_within(at + 1.., at);
        if let Some(last) = found.last_mut() {
            *last = Related::default();
        }
    }
    for known in found.iter_mut() {
        if known.permille < new.permille {
            core::mem::swap(known, &mut new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(name: u32, features: &[u32]) -> RequestShape {
        RequestShape { name, columns: 1, features: features.to_vec(), key_views: vec![0] }
    }

    #[test]
    fn steps_are_told_by_whether_the_entity_stays() {
        let mut shapes = Shapes::default();
        let (a, b) = (shape(1, &[1]), shape(2, &[2]));
        for _ in 0..30 {
            shapes.count(1, &a, Some((2, false)), 0);
            shapes.count(2, &b, Some((1, true)), 0);
        }
        assert_eq!(shapes.get(1).unwrap().steps().next(), Some((2, true, 1_000)));
        assert!(matches!(shapes.get(2).unwrap().steps().next(), Some((1, false, 900..))));
    }

    #[test]
    fn features_that_are_asked_for_together_are_related_by_how_often() {
        let mut shapes = Shapes::default();
        let count = |shapes: &mut Shapes, shape: &RequestShape, times: u32| {
            (0..times).for_each(|_| shapes.count(shape.name, shape, None, 0));
        };
        count(&mut shapes, &shape(1, &[1]), 10);
        count(&mut shapes, &shape(2, &[1, 2]), 60);
        count(&mut shapes, &shape(3, &[1, 3]), 30);
        count(&mut shapes, &shape(4, &[4]), 1_000);
        let related = shapes.related(1, 3).to_vec();
        assert_eq!(related, [Related { shape: 2, permille: 600 }, Related { shape: 3, permille: 300 }]);
        assert_eq!(shapes.related(1, 1).len(), 1);
        assert!(shapes.related(4, 3).is_empty());
        assert!(shapes.related(2, 3).iter().all(|related| related.shape == 3), "it lacks nothing of shape 1");
    }

    #[test]
    fn shapes_without_end_take_the_place_of_the_rarest() {
        let mut shapes = Shapes::default();
        let usual = shape(1, &[1]);
        (0..100).for_each(|_| shapes.count(1, &usual, None, 0));
        (2..10_000).for_each(|name| shapes.count(name, &shape(name, &[name]), None, 0));
        assert!(shapes.get(1).is_some() && shapes.names.len() == MAX_SHAPES);
        assert!(shapes.bytes() < 64 << 10);
    }
}
