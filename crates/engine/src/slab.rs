//! A table of pending work by number, with the memory that it takes. Numbers are never reused, so a late
//! result finds its own entry or none.
//!
//! It knows no entry's meaning. Invariant: the sum of bytes is that of all entries, each as it was
//! measured on insertion.

use hashbrown::HashMap;

/// Something that takes memory while it is pending.
pub trait Footprint {
    /// The memory that it alone takes, in bytes.
    fn footprint(&self) -> usize;

    /// Acquires what it shares with others. Returns the memory of what it is the first to use, in
    /// bytes.
    fn acquire_shared(&self) -> usize {
        0
    }

    /// Releases what it shares with others. Returns the memory of what it was the last to use.
    fn release_shared(&self) -> usize {
        0
    }
}

/// A table of entries by number.
#[derive(Debug)]
pub struct Slab<T> {
    /// Each with the memory that it alone takes.
    entries: HashMap<u64, (usize, T), foldhash::fast::FixedState>,
    bytes: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { entries: HashMap::default(), bytes: 0 }
    }
}

impl<T: Footprint> Slab<T> {
    /// Inserts an entry, measured as it is now, in place of any other of that number.
    pub fn insert(&mut self, number: u64, entry: T) {
        let bytes = entry.footprint();
        self.bytes += bytes + entry.acquire_shared();
        if let Some(before) = self.entries.insert(number, (bytes, entry)) {
            self.forget(&before);
        }
    }

    /// The entry of a number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&T> {
        self.entries.get(&number).map(|(_, entry)| entry)
    }

    /// The same, to change.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.entries.get_mut(&number).map(|(_, entry)| entry)
    }

    /// All entries, to change.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.values_mut().map(|(_, entry)| entry)
    }

    /// Takes the entry of a number out.
    pub fn remove(&mut self, number: u64) -> Option<T> {
        let before = self.entries.remove(&number)?;
        self.forget(&before);
        Some(before.1)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.entries.iter().map(|(&number, (_, entry))| (number, entry))
    }

    /// The memory that all take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Measures all entries again: they may now be the only users of what they shared.
    pub fn measure(&mut self) {
        for (bytes, entry) in self.entries.values_mut() {
            let now = entry.footprint();
            self.bytes = (self.bytes + now).saturating_sub(core::mem::replace(bytes, now));
        }
    }

    fn forget(&mut self, (bytes, entry): &(usize, T)) {
        self.bytes = self.bytes.saturating_sub(bytes + entry.release_shared());
    }
}
