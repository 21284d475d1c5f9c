//! L1: the rows in the memory of this isolate or process, within a budget of rows and bytes. An eviction policy decides which row
//! makes room.
//!
//! A row is found by one 64-bit hash, and its full key is compared before it is returned. Two keys with one hash may evict one
//! another. Invariant: neither is returned for the other.

use std::rc::Rc;

use crate::lru::Lru;
use crate::lru_table::LruTable;
use crate::policy::{Eviction, Policy};
use crate::s3fifo::S3Fifo;
use model::key::KeySpace;
use model::row::{Row, RowLimits};

/// The most that L1 may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Rows.
    pub entries: usize,
    /// Bytes, the rows' overhead and their schemas included.
    pub bytes: usize,
    /// How much one row keeps of what it collects.
    pub row: RowLimits,
}

/// The rows held in memory.
#[derive(Debug)]
pub struct Memory {
    policy: Box<dyn Policy>,
    /// Rows that were not requested yet, the oldest first: they are evicted before all others.
    unrequested: LruTable<Rc<Row>>,
    budget: Budget,
    /// The bytes of the rows, and of each of their schemas once.
    bytes: usize,
    /// The bytes that rows take outside of L1.
    reserved: usize,
    /// The bytes of removed rows that were still in use elsewhere.
    removed_while_shared: u64,
    evictions: u64,
    last_evicted: u64,
}

/// Rows of so many bytes stay in the CPU's caches by themselves: half of a common second-level cache.
const CPU_CACHE_BYTES: usize = 512 << 10;

impl Memory {
    /// An empty cache.
    #[must_use]
    pub fn new(budget: Budget, eviction: Eviction) -> Memory {
        Memory {
            policy: match eviction {
                Eviction::Lru => Box::new(Lru::default()),
                Eviction::S3Fifo => Box::new(S3Fifo::default()),
            },
            unrequested: LruTable::default(),
            budget,
            bytes: 0,
            reserved: 0,
            removed_while_shared: 0,
            evictions: 0,
            last_evicted: 0,
        }
    }

    /// Loads what is about to be read of these rows into the CPU's caches, all at once: in a large memory each read would else wait
    /// for main memory by itself.
    pub fn warm_cpu_cache(&self, hashes: &[u64]) {
        if hashes.len() < 2 || self.bytes < CPU_CACHE_BYTES {
            return;
        }
        let rows = hashes.iter().filter_map(|&hash| self.policy.peek(hash).or_else(|| self.unrequested.peek(hash)));
        core::hint::black_box(rows.fold(0, |seen, row| seen ^ row.touch()));
    }

    /// The row of `entity` in `space`, whose hash is `hash`; it counts as used.
    #[inline]
    pub fn get(&mut self, hash: u64, space: &Rc<KeySpace>, entity: &[u8]) -> Option<&Rc<Row>> {
        if self.unrequested.peek(hash).is_some_and(|row| row.is_of(space, entity))
            && let Some(row) = self.unrequested.pop(hash)
        {
            self.policy.admit(hash, row);
        }
        self.policy.get(hash).filter(|row| row.is_of(space, entity))
    }

    /// The row of `entity` in `space`, whose hash is `hash`; it does not count as used.
    #[must_use]
    pub fn peek(&self, hash: u64, space: &Rc<KeySpace>, entity: &[u8]) -> Option<&Rc<Row>> {
        let row = self.policy.peek(hash).or_else(|| self.unrequested.peek(hash));
        row.filter(|row| row.is_of(space, entity))
    }

    /// Inserts `row`, replacing an older one of its key, and evicts others where they exceed the budget.
    ///
    /// A row that is larger than the whole budget is not inserted.
    #[inline]
    pub fn put(&mut self, hash: u64, row: Rc<Row>) {
        let row = row.within(self.budget.row);
        if !self.fits(&row) {
            self.remove(hash);
            return;
        }
        if let Err(row) = self.replace(hash, row) {
            self.policy.admit(hash, row);
        }
        self.evict_over_budget();
    }

    /// Sets how many bytes rows take outside of L1, such as their vectors: they count towards the budget.
    pub fn reserve(&mut self, bytes: usize) {
        self.reserved = bytes;
        self.evict_over_budget();
    }

    fn evict_over_budget(&mut self) {
        while self.exceeds_budget() {
            let Some(evicted) = self.unrequested.pop_lru().or_else(|| self.policy.evict()) else { break };
            self.count_eviction(evicted);
        }
    }

    /// Inserts `row`, which was not requested yet, as far as there is room beside requested rows; of its kind, the oldest are
    /// evicted. It replaces an older one of its key.
    pub fn put_unrequested(&mut self, hash: u64, row: Rc<Row>) {
        let row = row.within(self.budget.row);
        if !self.fits(&row) {
            return;
        }
        if let Err(row) = self.replace(hash, row) {
            // What the policy remembers of it does not predict whether it will be requested now.
            self.policy.remove(hash);
            self.unrequested.push(hash, row);
        }
        while self.exceeds_budget() {
            let Some(evicted) = self.unrequested.pop_lru() else { break };
            self.count_eviction(evicted);
        }
    }

    /// Whether inserting a row of average size would evict another.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.budget.entries || self.bytes() + self.bytes / self.len().max(1) > self.budget.bytes
    }

    /// The hash of the row that was evicted last.
    #[must_use]
    pub fn last_evicted(&self) -> u64 {
        self.last_evicted
    }

    /// Removes the row with that hash.
    pub fn remove(&mut self, hash: u64) {
        if let Some(row) = self.policy.remove(hash).or_else(|| self.unrequested.pop(hash)) {
            self.uncount(&row);
        }
    }

    /// How many rows are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.policy.len() + self.unrequested.len()
    }

    /// Whether no row is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of the rows, with their schemas and what they take outside of L1.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.reserved
    }

    /// The bytes that rows take outside of L1.
    #[must_use]
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// The bytes of removed rows that were still in use elsewhere, since the start.
    #[must_use]
    pub fn removed_while_shared(&self) -> u64 {
        self.removed_while_shared
    }

    /// How many rows were evicted since the start.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    fn fits(&self, row: &Row) -> bool {
        row.size() + row.schema().size() <= self.budget.bytes && self.budget.entries > 0
    }

    fn exceeds_budget(&self) -> bool {
        self.bytes() > self.budget.bytes || self.len() > self.budget.entries
    }

    /// Counts `row`, and puts it in the place of the one with that hash; returns it where there is none.
    fn replace(&mut self, hash: u64, row: Rc<Row>) -> Result<(), Rc<Row>> {
        self.bytes += row.size();
        // Before the older row is uncounted, so that a schema of both is not counted twice.
        if row.schema().enter_l1() {
            self.bytes += row.schema().size();
        }
        let Some(held) = self.policy.peek_mut(hash).or_else(|| self.unrequested.peek_mut(hash)) else {
            return Err(row);
        };
        let older = core::mem::replace(held, row);
        self.uncount(&older);
        Ok(())
    }

    /// Uncounts a removed row.
    fn uncount(&mut self, row: &Rc<Row>) {
        let size = row.size();
        let schema_size = if row.schema().leave_l1() { row.schema().size() } else { 0 };
        self.bytes = self.bytes.saturating_sub(size + schema_size);
        let left = |is_left: bool, size: usize| if is_left { size as u64 } else { 0 };
        self.removed_while_shared += left(Rc::strong_count(row) > 1, size);
        self.removed_while_shared += left(Rc::strong_count(row.schema()) > 1, schema_size);
    }

    fn count_eviction(&mut self, (hash, row): (u64, Rc<Row>)) {
        self.uncount(&row);
        self.evictions += 1;
        self.last_evicted = hash;
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Rc<Row>)) {
        self.policy.for_each(visit);
        self.unrequested.values().for_each(visit);
    }
}

impl Drop for Memory {
    /// Schemas may outlive it in rows that are used elsewhere, and enter another L1.
    fn drop(&mut self) {
        self.for_each(&mut |row| _ = row.schema().leave_l1());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use model::key::{FeatureSource, NameStyle, Namespace};
    use model::row::{RowBuilder, Schema};
    use model::time::{EventTime, PackedTimestamp};
    use model::value::{Cell, Status};

    fn space() -> Rc<KeySpace> {
        Rc::new(KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]))
    }

    pub(crate) fn row(entity: &[u8], value: &[u8]) -> Rc<Row> {
        let schema = Rc::new(Schema::new(space(), Box::new([]), Box::new(["a".into()])).unwrap());
        let mut builder = RowBuilder::new(schema, entity);
        builder.push_feature(
            value,
            Cell {
                status: Status::Present,
                is_negative: false,
                event_time: EventTime::ZERO,
                fetched_at: PackedTimestamp::ZERO,
            },
        );
        Rc::new(builder.finish())
    }

    fn memory(entries: usize, bytes: usize) -> Memory {
        Memory::new(Budget { entries, bytes, row: UNBOUNDED }, Eviction::Lru)
    }

    const UNBOUNDED: RowLimits = RowLimits { features: usize::MAX, bytes: usize::MAX };

    /// How many rows are there, and how many bytes they hold, with each schema once.
    fn held(memory: &Memory) -> (usize, usize) {
        let (mut count, mut bytes, mut schemas) = (0, 0, std::collections::HashMap::new());
        memory.for_each(&mut |row| {
            count += 1;
            bytes += row.size();
            schemas.insert(Rc::as_ptr(row.schema()), row.schema().size());
        });
        (count, bytes + schemas.values().sum::<usize>())
    }

    #[test]
    fn the_least_recently_used_row_is_evicted() {
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
    fn warming_the_cpu_cache_does_not_count_as_use() {
        let mut memory = memory(3, 10_000_000);
        for number in 1..=3 {
            memory.put(number, row(&[number as u8], &vec![b'1'; CPU_CACHE_BYTES / 2]));
        }
        memory.warm_cpu_cache(&[1, 2, 99]);
        memory.put(4, row(b"4", b"4"));
        assert!(memory.get(1, &space(), &[1]).is_none(), "the least recently used row was evicted all the same");
    }

    #[test]
    fn the_budget_of_bytes_holds_whatever_is_put() {
        let mut memory = memory(1_000, 4_096);
        for round in 0_u64..5_000 {
            let value = vec![b'1'; (round * 37 % 900) as usize];
            memory.put(round % 40, row(&[round as u8], &value));
            assert!(memory.bytes() <= 4_096);
        }
        assert_eq!(held(&memory), (memory.len(), memory.bytes()));
    }

    #[test]
    fn every_count_is_right_after_any_operations_by_any_policy() {
        for eviction in [Eviction::Lru, Eviction::S3Fifo] {
            let mut memory = Memory::new(Budget { entries: 50, bytes: 12_000, row: UNBOUNDED }, eviction);
            let mut random = 7_u64;
            for _ in 0..200_000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (hash, entity) = (random >> 33 & 127, [(random >> 33 & 127) as u8]);
                match random >> 60 {
                    0..6 => _ = memory.get(hash, &space(), &entity),
                    6..13 => memory.put(hash, row(&entity, &vec![b'1'; (random >> 40 & 255) as usize])),
                    13..15 => memory.put_unrequested(hash, row(&entity, b"1")),
                    _ => memory.remove(hash),
                }
                assert!(memory.len() <= 50 && memory.bytes() <= 12_000);
            }
            assert_eq!(held(&memory), (memory.len(), memory.bytes()), "{eviction:?}");
        }
    }

    #[test]
    fn an_unrequested_row_evicts_no_requested_one() {
        for eviction in [Eviction::Lru, Eviction::S3Fifo] {
            let mut memory = Memory::new(Budget { entries: 3, bytes: 10_000, row: UNBOUNDED }, eviction);
            memory.put(1, row(b"1", b"1"));
            memory.put_unrequested(2, row(b"2", b"1"));
            memory.put_unrequested(3, row(b"3", b"1"));
            memory.put_unrequested(4, row(b"4", b"1"));
            assert!(memory.get(2, &space(), b"2").is_none(), "the oldest of its kind was evicted");
            assert!(memory.get(3, &space(), b"3").is_some());
            memory.put(5, row(b"5", b"1"));
            assert!(memory.get(4, &space(), b"4").is_none(), "it was not requested");
            memory.put_unrequested(6, row(b"6", b"1"));
            let kept = [1, 3, 5, 6].map(|id: u8| memory.get(u64::from(id), &space(), &[b'0' + id]).is_some());
            assert_eq!((kept, memory.len()), ([true, true, true, false], 3), "{eviction:?}");
        }
    }

    #[test]
    fn an_unrequested_row_starts_in_the_small_queue_whatever_became_of_it_before() {
        let mut memory = Memory::new(Budget { entries: 2, bytes: 10_000, row: UNBOUNDED }, Eviction::S3Fifo);
        (1..=3).for_each(|id: u8| memory.put(u64::from(id), row(&[b'0' + id], b"1")));
        assert!(memory.peek(1, &space(), b"1").is_none(), "it is in the ghost queue");
        memory.remove(3);
        memory.put_unrequested(1, row(b"1", b"1"));
        assert!(memory.get(1, &space(), b"1").is_some());
        memory.put(4, row(b"4", b"1"));
        memory.put(5, row(b"5", b"1"));
        assert!(memory.peek(1, &space(), b"1").is_none(), "it is not in the main queue");
    }

    #[test]
    fn a_row_larger_than_the_budget_is_not_inserted_and_evicts_only_itself() {
        let mut memory = memory(10, 1_000);
        memory.put(1, row(b"1", b"1"));
        memory.put(2, row(b"2", b"1"));
        memory.put(1, row(b"1", &[b'1'; 2_000]));
        assert!(memory.get(1, &space(), b"1").is_none());
        assert!(memory.get(2, &space(), b"2").is_some());
    }

    #[test]
    fn a_schema_is_counted_with_its_first_row_and_uncounted_with_its_last() {
        let schema = Rc::new(Schema::new(space(), Box::new([]), Box::new(["x".repeat(1_000).into()])).unwrap());
        let row = |entity: &[u8]| Rc::new(RowBuilder::new(Rc::clone(&schema), entity).finish());
        let mut one = memory(10, 100_000);
        for entity in [b"1", b"2"] {
            one.put(u64::from(entity[0]), row(entity));
        }
        let rows = 2 * row(b"1").size();
        assert_eq!(one.bytes(), rows + schema.size());
        assert!(schema.size() > 1_500, "what lies free is counted too");
        // In the place of a row of the same schema.
        one.put(u64::from(b'1'), row(b"1"));
        assert_eq!(one.bytes(), rows + schema.size());
        one.remove(u64::from(b'1'));
        one.remove(u64::from(b'2'));
        assert_eq!(one.bytes(), 0);
        one.put(1, row(b"1"));
        drop(one);
        let mut other = memory(10, 100_000);
        other.put(1, row(b"1"));
        assert_eq!(other.bytes(), rows / 2 + schema.size(), "the one before it has it no more");
        let mut small = memory(10, 1_400);
        small.put(1, Rc::clone(&row(b"1")));
        assert!(small.is_empty(), "a row of so long names fits nowhere");
    }

    #[test]
    fn rows_are_evicted_for_what_they_take_outside_of_l1() {
        let mut memory = memory(1_000, 10_000);
        for entity in 0..20_u8 {
            memory.put(u64::from(entity), row(&[entity], &[b'1'; 100]));
        }
        let before = memory.len();
        memory.reserve(5_000);
        assert!(memory.len() < before && memory.bytes() <= 10_000);
        assert_eq!(held(&memory), (memory.len(), memory.bytes() - 5_000));
    }

    #[test]
    fn the_features_that_a_row_collects_are_bounded() {
        let budget = Budget { entries: 10, bytes: 1 << 20, row: RowLimits { features: 50, bytes: 1 << 20 } };
        let mut memory = Memory::new(budget, Eviction::Lru);
        for name in 0..1_000_u64 {
            let schema = Schema::new(space(), Box::new([]), Box::new([name.to_string().into()])).unwrap();
            let fetched_at = model::time::Timestamp(name).into();
            let cell = Cell { status: Status::Present, is_negative: false, event_time: EventTime::ZERO, fetched_at };
            let mut builder = RowBuilder::new(Rc::new(schema), b"1");
            builder.push_feature(b"1", cell);
            let fetched = builder.finish();
            let merged = memory.get(1, &space(), b"1").map(|known| known.merge(&fetched));
            memory.put(1, Rc::new(merged.unwrap_or(fetched)));
            let kept = memory.get(1, &space(), b"1").unwrap();
            assert!(kept.schema().features().len() <= 50 && kept.schema().feature_slot(&name.to_string()).is_some());
        }
    }

    #[test]
    fn two_keys_with_one_hash_are_never_returned_for_one_another() {
        let mut memory = memory(10, 10_000);
        memory.put(1, row(b"1", b"1"));
        assert!(memory.get(1, &space(), b"other").is_none());
        let other =
            Rc::new(KeySpace::new(&Namespace::project("q"), FeatureSource::View("v"), NameStyle::Short, &["id"]));
        assert!(memory.get(1, &other, b"1").is_none());
        assert!(memory.get(1, &space(), b"1").is_some());
    }
}
