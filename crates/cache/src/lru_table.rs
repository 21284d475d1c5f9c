//! Values by 64-bit hashes, in the order of their use: the `lru` crate's map.

use core::hash::{BuildHasherDefault, Hash, Hasher};

use lru::LruCache;

/// A table without a bound of its own: [`crate::memory`] keeps to a budget of bytes.
#[derive(Debug)]
pub(crate) struct LruTable<V>(LruCache<Key, V, BuildHasherDefault<Identity>>);

/// A hash in two halves. With this alignment, an entry with a pointer takes 24 bytes on wasm32 with the allocator's overhead, instead of 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key([u32; 2]);

impl Key {
    fn of(hash: u64) -> Key {
        Key([(hash >> 32) as u32, hash as u32])
    }

    fn hash(self) -> u64 {
        let Key([high, low]) = self;
        u64::from(high) << 32 | u64::from(low)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(Key::hash(*self));
    }
}

/// Uses a hash as it is: it is seeded and mixed already.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<V> Default for LruTable<V> {
    fn default() -> Self {
        LruTable(LruCache::unbounded_with_hasher(BuildHasherDefault::default()))
    }
}

impl<V> LruTable<V> {
    /// The value, which counts as used.
    #[inline]
    pub(crate) fn get(&mut self, hash: u64) -> Option<&V> {
        self.0.get(&Key::of(hash))
    }

    /// The value, which does not count as used.
    #[inline]
    pub(crate) fn peek(&self, hash: u64) -> Option<&V> {
        self.0.peek(&Key::of(hash))
    }

    /// The same, mutable.
    #[inline]
    pub(crate) fn peek_mut(&mut self, hash: u64) -> Option<&mut V> {
        self.0.peek_mut(&Key::of(hash))
    }

    /// Inserts a value as the most recently used.
    pub(crate) fn push(&mut self, hash: u64, value: V) {
        self.0.push(Key::of(hash), value);
    }

    /// Removes a value.
    pub(crate) fn pop(&mut self, hash: u64) -> Option<V> {
        self.0.pop(&Key::of(hash))
    }

    /// Removes the least recently used value, with its hash.
    pub(crate) fn pop_lru(&mut self) -> Option<(u64, V)> {
        self.0.pop_lru().map(|(key, value)| (key.hash(), value))
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }
}
