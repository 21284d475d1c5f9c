//! Which request shape follows which, and which features are requested together.
//!
//! A deployment has tens of request shapes, so each has complete statistics: how often it was requested, which shape came next, and whether
//! for the same entity. Related features follow from the counts of the shapes that have both, so a request costs one count, whatever
//! its number of features.

use serde::{Deserialize, Serialize};

use model::shape::RequestShape;

/// The most shapes.
const MAX_SHAPES: usize = 128;

/// Next shapes of a shape.
pub(crate) const NEXT_SHAPES: usize = 6;

/// The most related shapes of a shape.
pub(crate) const RELATED: usize = 8;

/// The total at which all weights of a shape are halved.
const HALVE_AT: u16 = 4_096;

/// How many requests pass before related shapes are computed again.
const RELATED_INTERVAL: u32 = 1_024;

/// A shape that follows another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NextShape {
    pub(crate) to: u32,
    pub(crate) weight: u16,
    /// Whether it was for the same entity.
    pub(crate) is_same: bool,
}

/// A shape with features that are requested together with those of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RelatedShape {
    pub(crate) shape: u32,
    pub(crate) permille: u32,
}

/// The statistics of a shape.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShapeStats {
    /// The name of its entity columns.
    pub(crate) columns: u32,
    features: Vec<u32>,
    pub(crate) count: u32,
    pub(crate) total: u16,
    pub(crate) next_shapes: [NextShape; NEXT_SHAPES],
    related: [RelatedShape; RELATED],
    related_at: u32,
    stamp: u8,
}

impl ShapeStats {
    /// The next shapes, with their probabilities in thousandths.
    pub(crate) fn next_shapes(&self) -> impl Iterator<Item = (u32, bool, u32)> {
        let total = u32::from(self.total).max(1);
        self.next_shapes.iter().map(move |next| (next.to, next.is_same, u32::from(next.weight) * 1_000 / total))
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
        self.next_shapes.iter_mut().for_each(|next| next.weight >>= times);
    }

    fn record_next(&mut self, to: u32, is_same: bool) {
        if self.total >= HALVE_AT {
            self.halve(1);
        }
        self.total += 1;
        let mut lightest = &mut NextShape { weight: u16::MAX, ..NextShape::default() };
        for next in &mut self.next_shapes {
            if next.weight > 0 && next.to == to && next.is_same == is_same {
                next.weight += 1;
                return;
            }
            if next.weight < lightest.weight {
                lightest = next;
            }
        }
        if lightest.weight <= 1 {
            *lightest = NextShape { to, weight: 1, is_same };
        } else {
            lightest.weight -= 1;
        }
    }
}

/// The request shapes.
#[derive(Debug, Default)]
pub(crate) struct RequestShapes {
    names: Vec<u32>,
    stats: Vec<ShapeStats>,
}

impl RequestShapes {
    /// Records a request and the one before it: its shape, and whether it was for the same entity.
    #[inline]
    pub(crate) fn record(&mut self, name: u32, shape: &RequestShape, after: Option<(u32, bool)>, stamp: u8) {
        match self.position(name).and_then(|at| self.stats.get_mut(at)) {
            Some(stats) => {
                if stats.stamp != stamp {
                    stats.age(stamp);
                }
                stats.count = stats.count.saturating_add(1);
                if stats.columns == 0 {
                    // It came with another isolate's model.
                    (stats.columns, stats.features) = (shape.columns, shape.features.clone());
                }
            }
            None => self.insert_shape(
                name,
                ShapeStats {
                    columns: shape.columns,
                    features: shape.features.clone(),
                    count: 1,
                    stamp,
                    ..ShapeStats::default()
                },
            ),
        }
        if let Some((before, is_same)) = after
            && let Some(stats) = self.position(before).and_then(|at| self.stats.get_mut(at))
        {
            stats.record_next(name, is_same);
        }
    }

    #[inline]
    fn position(&self, name: u32) -> Option<usize> {
        self.names.iter().position(|&stats| stats == name)
    }

    pub(crate) fn get(&self, name: u32) -> Option<&ShapeStats> {
        self.stats.get(self.position(name)?)
    }

    /// Inserts a new shape; if there is no room, it replaces the rarest.
    #[cold]
    fn insert_shape(&mut self, name: u32, stats: ShapeStats) {
        if self.names.len() < MAX_SHAPES {
            self.names.push(name);
            self.stats.push(stats);
            return;
        }
        let mut least = u32::MAX;
        let mut rarest = None;
        for entry in self.names.iter_mut().zip(&mut self.stats) {
            if entry.1.count < least {
                least = entry.1.count;
                rarest = Some(entry);
            }
        }
        if let Some(entry) = rarest {
            (*entry.0, *entry.1) = (name, stats);
        }
    }

    /// The shapes whose other features are most often requested together with those of `name`; at most `max`.
    pub(crate) fn related(&mut self, name: u32, max: usize) -> &[RelatedShape] {
        let Some(at) = self.position(name) else { return &[] };
        let is_due = self.stats.get(at).is_some_and(|stats| {
            stats.related_at == 0
                || stats.count >= stats.related_at + RELATED_INTERVAL
                || stats.count >= 2 * stats.related_at
        });
        if is_due {
            let found = self.find_related(at);
            if let Some(stats) = self.stats.get_mut(at) {
                (stats.related, stats.related_at) = (found, stats.count.max(1));
            }
        }
        let related = self.stats.get(at).map_or(&[][..], |stats| &stats.related);
        let count = related.iter().take(max).take_while(|related| related.permille > 0).count();
        related.get(..count).unwrap_or_default()
    }

    /// For each feature that shape `at` lacks: of the requests that share a feature with it, the share that has this one. The strongest
    /// features count, each for the most frequent shape that has it.
    fn find_related(&self, at: usize) -> [RelatedShape; RELATED] {
        let mut found = [RelatedShape::default(); RELATED];
        let Some(own) = self.stats.get(at) else { return found };
        let is_similar = |stats: &ShapeStats| {
            stats.columns == own.columns && own.features.iter().any(|feature| stats.features.contains(feature))
        };
        let mut all = 0;
        for stats in &self.stats {
            all += if is_similar(stats) { stats.count } else { 0 };
        }
        for (&name, similar) in self.names.iter().zip(&self.stats) {
            if !is_similar(similar) {
                continue;
            }
            for feature in &similar.features {
                if own.features.contains(feature) {
                    continue;
                }
                let (mut count, mut is_most_frequent) = (0, true);
                for stats in &self.stats {
                    if stats.features.contains(feature) && is_similar(stats) {
                        count += stats.count;
                        is_most_frequent &= stats.count <= similar.count;
                    }
                }
                if is_most_frequent {
                    let permille = (u64::from(count) * 1_000 / u64::from(all.max(1))) as u32;
                    insert(&mut found, RelatedShape { shape: name, permille });
                }
            }
        }
        found
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &ShapeStats)> {
        self.names.iter().copied().zip(&self.stats)
    }

    /// Merges a shape of another isolate's model, unless it has next shapes here.
    ///
    /// Counts are clamped, so that their sums do not overflow.
    pub(crate) fn merge(
        &mut self,
        name: u32,
        count: u32,
        total: u16,
        mut next_shapes: [NextShape; NEXT_SHAPES],
        stamp: u8,
    ) {
        let (count, total) = (count.min(u32::MAX / 2 / MAX_SHAPES as u32), total.min(HALVE_AT));
        next_shapes.iter_mut().for_each(|next| next.weight = next.weight.min(total));
        match self.position(name).and_then(|at| self.stats.get_mut(at)) {
            Some(stats) if stats.total == 0 => (stats.total, stats.next_shapes) = (total, next_shapes),
            Some(_) => {}
            None => self.insert_shape(name, ShapeStats { count, total, next_shapes, stamp, ..ShapeStats::default() }),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let features: usize = self.stats.iter().map(|stats| stats.features.capacity() * size_of::<u32>()).sum();
        self.stats.capacity() * size_of::<ShapeStats>() + self.names.capacity() * size_of::<u32>() + features
    }
}

/// Inserts a related shape among the strongest; each shape is in there once.
fn insert(found: &mut [RelatedShape; RELATED], mut new: RelatedShape) {
    if let Some(at) = found.iter().position(|stats| stats.shape == new.shape) {
        if found.get(at).is_some_and(|stats| stats.permille >= new.permille) {
            return;
        }
        found.copy_within(at + 1.., at);
        if let Some(last) = found.last_mut() {
            *last = RelatedShape::default();
        }
    }
    for stats in found.iter_mut() {
        if stats.permille < new.permille {
            core::mem::swap(stats, &mut new);
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
    fn next_shapes_differ_by_whether_the_entity_stays() {
        let mut shapes = RequestShapes::default();
        let (a, b) = (shape(1, &[1]), shape(2, &[2]));
        for _ in 0..30 {
            shapes.record(1, &a, Some((2, false)), 0);
            shapes.record(2, &b, Some((1, true)), 0);
        }
        assert_eq!(shapes.get(1).unwrap().next_shapes().next(), Some((2, true, 1_000)));
        assert!(matches!(shapes.get(2).unwrap().next_shapes().next(), Some((1, false, 900..))));
    }

    #[test]
    fn features_requested_together_are_related_by_frequency() {
        let mut shapes = RequestShapes::default();
        let count = |shapes: &mut RequestShapes, shape: &RequestShape, times: u32| {
            (0..times).for_each(|_| shapes.record(shape.name, shape, None, 0));
        };
        count(&mut shapes, &shape(1, &[1]), 10);
        count(&mut shapes, &shape(2, &[1, 2]), 60);
        count(&mut shapes, &shape(3, &[1, 3]), 30);
        count(&mut shapes, &shape(4, &[4]), 1_000);
        let related = shapes.related(1, 3).to_vec();
        assert_eq!(related, [RelatedShape { shape: 2, permille: 600 }, RelatedShape { shape: 3, permille: 300 }]);
        assert_eq!(shapes.related(1, 1).len(), 1);
        assert!(shapes.related(4, 3).is_empty());
        assert!(shapes.related(2, 3).iter().all(|related| related.shape == 3), "it lacks nothing of shape 1");
    }

    #[test]
    fn new_shapes_replace_the_rarest() {
        let mut shapes = RequestShapes::default();
        let usual = shape(1, &[1]);
        (0..100).for_each(|_| shapes.record(1, &usual, None, 0));
        (2..10_000).for_each(|name| shapes.record(name, &shape(name, &[name]), None, 0));
        assert!(shapes.get(1).is_some() && shapes.names.len() == MAX_SHAPES);
        assert!(shapes.bytes() < 64 << 10);
    }
}
