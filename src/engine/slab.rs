//! Sessions under way, by numbers that are never given twice, so that a late outcome finds its own session or none.

use hashbrown::HashMap;

/// A table of what was put into it, by number.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: HashMap<u64, T, foldhash::fast::FixedState>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { entries: HashMap::default() }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, number: u64, entry: T) {
        self.entries.insert(number, entry);
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        self.entries.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.entries.get_mut(&number)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.values_mut()
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        self.entries.remove(&number)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
