//! What is under way, by numbers that are never given twice, so that a late outcome finds its own or none; and the memory that it takes.
//!
//! Invariant: the sum of bytes is that of all that is in the table, each as it was measured when it was put there.

use hashbrown::HashMap;

/// Something that takes memory for as long as it waits.
pub(crate) trait Held {
    /// The memory that it takes by itself, in bytes.
    fn held_bytes(&self) -> usize;

    /// Notes that it waits; the memory, in bytes, of what it shares with others and is the first to bring in.
    fn enter(&self) -> usize {
        0
    }

    /// Notes that it waits no longer; the memory of what it shares with others and is the last to have.
    fn leave(&self) -> usize {
        0
    }
}

/// A table of what was put into it, by number.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    /// With the memory that each takes by itself.
    entries: HashMap<u64, (usize, T), foldhash::fast::FixedState>,
    bytes: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { entries: HashMap::default(), bytes: 0 }
    }
}

impl<T: Held> Slab<T> {
    pub(crate) fn insert(&mut self, number: u64, entry: T) {
        let bytes = entry.held_bytes();
        self.bytes += bytes + entry.enter();
        if let Some(before) = self.entries.insert(number, (bytes, entry)) {
            self.forget(&before);
        }
    }

    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.entries.get(&number).map(|(_, entry)| entry)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.entries.get_mut(&number).map(|(_, entry)| entry)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.values_mut().map(|(_, entry)| entry)
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let before = self.entries.remove(&number)?;
        self.forget(&before);
        Some(before.1)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.entries.iter().map(|(&number, (_, entry))| (number, entry))
    }

    /// The memory that all take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Measures all anew: what they share with others may be theirs alone by now.
    pub(crate) fn measure(&mut self) {
        for (bytes, entry) in self.entries.values_mut() {
            let now = entry.held_bytes();
            self.bytes = (self.bytes + now).saturating_sub(core::mem::replace(bytes, now));
        }
    }

    fn forget(&mut self, (bytes, entry): &(usize, T)) {
        self.bytes = self.bytes.saturating_sub(bytes + entry.leave());
    }
}
