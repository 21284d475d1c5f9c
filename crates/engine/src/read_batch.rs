//! The batch size of a store's bulk reads: as many keys as the store allows, or fewer while their values
//! are too large together.
//!
//! It knows sizes, not keys or rows. Invariants: a read of several keys that was too large halves the
//! size; the size doubles only where twice as much is no larger than a read that has succeeded, so no read
//! fails again and again.

/// After how many small reads in a row it is doubled.
const GROW_AFTER: u32 = 8;

/// The batch size of the next bulk reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadBatch {
    most: usize,
    keys: usize,
    /// The largest read so far, in bytes.
    largest: usize,
    /// How many full reads in a row were so small that twice as much would have fitted.
    small: u32,
}

impl ReadBatch {
    /// As many keys as the store allows.
    pub(super) fn new(most: usize) -> ReadBatch {
        ReadBatch { most: most.max(1), keys: most.max(1), largest: 0, small: 0 }
    }

    /// How many keys one read has.
    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    /// Records that the values of so many keys were too large for one read.
    pub(super) fn note_too_large(&mut self, keys: usize) {
        // A single key that is too large says nothing of others: the size is restored.
        self.keys = if keys <= 1 { self.most } else { self.keys.min(keys / 2) };
        self.small = 0;
    }

    /// Records a read of so many keys that found `found` values of so many bytes in total.
    pub(super) fn note_read(&mut self, keys: usize, found: usize, bytes: usize) {
        self.largest = self.largest.max(bytes);
        // One that was not full, or found nothing, says little of what a full one gives.
        if self.keys == self.most || keys < self.keys || found == 0 {
            return;
        }
        let twice = (bytes / found).saturating_mul(keys).saturating_mul(2);
        self.small = if twice <= self.largest { self.small + 1 } else { 0 };
        if self.small >= GROW_AFTER {
            self.keys = (self.keys * 2).min(self.most);
            self.small = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_halved_down_to_one_key_whose_size_is_its_own() {
        let mut batch = ReadBatch::new(100);
        let mut keys = vec![batch.keys()];
        for _ in 0..7 {
            batch.note_too_large(batch.keys());
            keys.push(batch.keys());
        }
        assert_eq!(keys, [100, 50, 25, 12, 6, 3, 1, 100]);
    }

    #[test]
    fn reads_that_were_under_way_together_halve_it_once() {
        let mut batch = ReadBatch::new(100);
        (0..5).for_each(|_| batch.note_too_large(100));
        assert_eq!(batch.keys(), 50);
    }

    #[test]
    fn it_stays_as_it_is_while_the_values_are_as_large() {
        let mut batch = ReadBatch::new(100);
        batch.note_too_large(100);
        (0..1_000).for_each(|_| batch.note_read(50, 50, 13_000_000));
        assert_eq!(batch.keys(), 50);
    }

    #[test]
    fn it_is_doubled_once_twice_as_much_has_fitted_for_a_while() {
        let mut batch = ReadBatch::new(100);
        batch.note_too_large(100);
        batch.note_read(50, 50, 13_000_000);
        (1..GROW_AFTER).for_each(|_| batch.note_read(50, 25, 50_000));
        batch.note_read(10, 10, 1);
        batch.note_read(50, 0, 0);
        assert_eq!(batch.keys(), 50, "neither a short read nor an empty one counts");
        batch.note_read(50, 25, 50_000);
        assert_eq!(batch.keys(), 100);
    }

    #[test]
    fn a_large_read_among_small_ones_begins_the_count_anew() {
        let mut batch = ReadBatch::new(100);
        batch.note_too_large(100);
        for round in 0..100 {
            batch.note_read(50, 50, if round % 4 == 0 { 13_000_000 } else { 1_000 });
        }
        assert_eq!(batch.keys(), 50);
    }
}
