//! L1: the rows in this isolate's or process's memory, least recently used out first, within a budget of bytes.
//!
//! A row is found by one 64-bit hash, and its full key is compared before it is handed out: two keys with one hash
//! displace, and never answer for, one another.

use core::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use lru::LruCache;

use model::key::Space;
use model::row::Row;

/// The most that L1 may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Rows.
    pub entries: usize,
    /// Bytes, the rows' overhead included.
    pub bytes: usize,
}

/// The rows held in memory.
#[derive(Debug)]
pub struct Memory {
    rows: LruCache<u64, Rc<Row>, BuildHasherDefault<Identity>>,
    budget: Budget,
    bytes: usize,
    evictions: u64,
}

impl Memory {
    /// An empty cache.
    #[must_use]
    pub fn new(budget: Budget) -> Memory {
        Memory { rows: LruCache::unbounded_with_hasher(BuildHasherDefault::default()), budget, bytes: 0, evictions: 0 }
    }

    /// The row of `entity` in `space`, whose hash is `hash`; it becomes the most recently used.
    #[inline]
    pub fn get(&mut self, hash: u64, space: &Rc<Space>, entity: &[u8]) -> Option<&Rc<Row>> {
        self.rows.get(&hash).filter(|row| row.is_of(space, entity))
    }

    /// Keeps `row`, in the place of an older one of its key, and lets go of the rows that were not used for longest.
    ///
    /// A row that is larger than the whole budget is not kept.
    pub fn put(&mut self, hash: u64, row: Rc<Row>) {
        let size = row.size();
        if size > self.budget.bytes || self.budget.entries == 0 {
            self.remove(hash);
            return;
        }
        self.bytes += size;
        if let Some(displaced) = self.rows.put(hash, row) {
            self.bytes = self.bytes.saturating_sub(displaced.size());
        }
        while self.bytes > self.budget.bytes || self.rows.len() > self.budget.entries {
            let Some((_, evicted)) = self.rows.pop_lru() else { break };
            self.bytes = self.bytes.saturating_sub(evicted.size());
            self.evictions += 1;
        }
    }

    /// Lets go of the row with that hash.
    pub fn remove(&mut self, hash: u64) {
        if let Some(removed) = self.rows.pop(&hash) {
            self.bytes = self.bytes.saturating_sub(removed.size());
        }
    }

    /// How many rows are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many bytes the rows hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many rows had to make room since the start.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }
}

/// Takes the keys for what they are: hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u64` is called for keys of type `u64`; this keeps the type honest for any other.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::key::{Names, Scope, Subject};
    use model::row::{RowBuilder, Schema};
    use model::time::{EventTime, Instant};
    use model::value::{Cell, Status};

    fn space() -> Rc<Space> {
        Rc::new(Space::new(&Scope::project("p"), Subject::View("v"), Names::Short, &["id"]))
    }

    fn row(entity: &[u8], value: &[u8]) -> Rc<Row> {
        let schema = Rc::new(Schema::new(space(), Box::new([]), Box::new(["a".into()])).unwrap());
        let mut builder = RowBuilder::new(schema, entity);
        builder.push_feature(
            value,
            Cell { status: Status::Present, is_negative: false, event_time: EventTime::ZERO, fetched_at: Instant(0) },
        );
        Rc::new(builder.finish())
    }

    fn memory(entries: usize, bytes: usize) -> Memory {
        Memory::new(Budget { entries, bytes })
    }

    #[test]
    fn the_least_recently_used_row_makes_room() {
        let mut memory = memory(2, 10_000);
        memory.put(1, row(b"1", b"1"));
        memory.put(2, row(b"2", b"2"));
        assert!(memory.get(1, &space(), b"1").is_some());
        memory.put(3, row(b"3", b"3"));
        assert!(memory.get(2, &space(), b"2").is_none());
        assert!(memory.get(1, &space(), b"1").is_some());
        assert_eq!((memory.len(), memory.evictions()), (2, 1));
    }

    #[test]
    fn the_budget_of_bytes_holds_whatever_is_put() {
        let mut memory = memory(1_000, 4_096);
        for round in 0_u64..5_000 {
            let value = vec![b'1'; (round * 37 % 900) as usize];
            memory.put(round % 40, row(&[round as u8], &value));
            assert!(memory.bytes() <= 4_096);
        }
        let held: usize = (0..40).filter_map(|hash| memory.rows.peek(&hash)).map(|row| row.size()).sum();
        assert_eq!(held, memory.bytes());
    }

    #[test]
    fn a_row_that_no_budget_can_hold_is_not_kept_and_displaces_only_itself() {
        let mut memory = memory(10, 1_000);
        memory.put(1, row(b"1", b"1"));
        memory.put(2, row(b"2", b"1"));
        memory.put(1, row(b"1", &[b'1'; 2_000]));
        assert!(memory.get(1, &space(), b"1").is_none());
        assert!(memory.get(2, &space(), b"2").is_some());
    }

    #[test]
    fn two_keys_with_one_hash_never_answer_for_one_another() {
        let mut memory = memory(10, 10_000);
        memory.put(1, row(b"1", b"1"));
        assert!(memory.get(1, &space(), b"other").is_none());
        let other = Rc::new(Space::new(&Scope::project("q"), Subject::View("v"), Names::Short, &["id"]));
        assert!(memory.get(1, &other, b"1").is_none());
        assert!(memory.get(1, &space(), b"1").is_some());
    }
}
