//! L1: the rows in this isolate's or process's memory, within a budget of rows and bytes; which of them make room is a policy's to
//! say.
//!
//! A row is found by one 64-bit hash, and its full key is compared before it is handed out: two keys with one hash
//! displace, and never answer for, one another.

use std::rc::Rc;

use crate::lru::Lru;
use crate::policy::{Eviction, Policy};
use crate::s3fifo::S3Fifo;
use crate::table::Table;
use model::key::Space;
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
    /// Rows that nobody has asked for yet, the oldest first: they make room before all others.
    cold: Table<Rc<Row>>,
    budget: Budget,
    /// What the rows take, and each schema once that any of them has.
    bytes: usize,
    /// What is kept of the rows elsewhere, in bytes.
    reserved: usize,
    /// What was let go of while others still had it, in bytes.
    left_to_others: u64,
    evictions: u64,
    last_evicted: u64,
}

/// What the processor has near by itself, in bytes of rows: the half of a common L2 cache.
const NEAR_BYTES: usize = 512 << 10;

impl Memory {
    /// An empty cache.
    #[must_use]
    pub fn new(budget: Budget, eviction: Eviction) -> Memory {
        Memory {
            policy: match eviction {
                Eviction::Lru => Box::new(Lru::default()),
                Eviction::S3Fifo => Box::new(S3Fifo::default()),
            },
            cold: Table::default(),
            budget,
            bytes: 0,
            reserved: 0,
            left_to_others: 0,
            evictions: 0,
            last_evicted: 0,
        }
    }

    /// Brings near what is about to be read of the rows with these hashes, all at a time: in a large memory each lies far away, and
    /// read one after the other each would be waited for by itself.
    pub fn approach(&self, hashes: &[u64]) {
        if hashes.len() < 2 || self.bytes < NEAR_BYTES {
            return;
        }
        let rows = hashes.iter().filter_map(|&hash| self.policy.peek(hash).or_else(|| self.cold.peek(hash)));
        core::hint::black_box(rows.fold(0, |seen, row| seen ^ row.glance()));
    }

    /// The row of `entity` in `space`, whose hash is `hash`; it counts as used.
    #[inline]
    pub fn get(&mut self, hash: u64, space: &Rc<Space>, entity: &[u8]) -> Option<&Rc<Row>> {
        if self.cold.peek(hash).is_some_and(|row| row.is_of(space, entity))
            && let Some(row) = self.cold.pop(hash)
        {
            self.policy.admit(hash, row);
        }
        self.policy.get(hash).filter(|row| row.is_of(space, entity))
    }

    /// The row of `entity` in `space`, whose hash is `hash`; it does not count as used.
    #[must_use]
    pub fn peek(&self, hash: u64, space: &Rc<Space>, entity: &[u8]) -> Option<&Rc<Row>> {
        let row = self.policy.peek(hash).or_else(|| self.cold.peek(hash));
        row.filter(|row| row.is_of(space, entity))
    }

    /// Keeps `row`, in the place of an older one of its key; others make room where they must.
    ///
    /// A row that is larger than the whole budget is not kept.
    #[inline]
    pub fn put(&mut self, hash: u64, row: Rc<Row>) {
        let row = row.within(self.budget.row);
        if !self.can_hold(&row) {
            self.remove(hash);
            return;
        }
        if let Err(row) = self.replace(hash, row) {
            self.policy.admit(hash, row);
        }
        self.make_room();
    }

    /// Notes how many bytes are kept of the rows elsewhere, such as their vectors: rows make room for it.
    pub fn reserve(&mut self, bytes: usize) {
        self.reserved = bytes;
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.is_over() {
            let Some(evicted) = self.cold.pop_lru().or_else(|| self.policy.evict()) else { break };
            self.note_eviction(evicted);
        }
    }

    /// Keeps `row`, which nobody has asked for yet, where there is room beside those that somebody has; of its kind, the oldest make
    /// room. It takes the place of an older one of its key.
    pub fn put_cold(&mut self, hash: u64, row: Rc<Row>) {
        let row = row.within(self.budget.row);
        if !self.can_hold(&row) {
            return;
        }
        if let Err(row) = self.replace(hash, row) {
            // What is remembered of it says nothing of whether it will be asked for now.
            self.policy.remove(hash);
            self.cold.push(hash, row);
        }
        while self.is_over() {
            let Some(evicted) = self.cold.pop_lru() else { break };
            self.note_eviction(evicted);
        }
    }

    /// Whether another row has to make room for the next, if that is as large as most.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.budget.entries || self.bytes() + self.bytes / self.len().max(1) > self.budget.bytes
    }

    /// The hash of the row that made room last.
    #[must_use]
    pub fn last_evicted(&self) -> u64 {
        self.last_evicted
    }

    /// Lets go of the row with that hash.
    pub fn remove(&mut self, hash: u64) {
        if let Some(row) = self.policy.remove(hash).or_else(|| self.cold.pop(hash)) {
            self.leave(&row);
        }
    }

    /// How many rows are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.policy.len() + self.cold.len()
    }

    /// Whether no row is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the rows hold, with their schemas and what is kept of them elsewhere.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.reserved
    }

    /// How many bytes are kept of the rows elsewhere.
    #[must_use]
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// How many bytes of rows were let go of since the start while others still had them.
    #[must_use]
    pub fn left_to_others(&self) -> u64 {
        self.left_to_others
    }

    /// How many rows had to make room since the start.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    fn can_hold(&self, row: &Row) -> bool {
        row.size() + row.schema().size() <= self.budget.bytes && self.budget.entries > 0
    }

    fn is_over(&self) -> bool {
        self.bytes() > self.budget.bytes || self.len() > self.budget.entries
    }

    /// Counts `row`, and puts it in the place of the one with that hash; gives it back where there is none.
    fn replace(&mut self, hash: u64, row: Rc<Row>) -> Result<(), Rc<Row>> {
        self.bytes += row.size();
        // Before the older row leaves, so that a schema which both have is not counted anew.
        if row.schema().enter_memory() {
            self.bytes += row.schema().size();
        }
        let Some(held) = self.policy.peek_mut(hash).or_else(|| self.cold.peek_mut(hash)) else { return Err(row) };
        let older = core::mem::replace(held, row);
        self.leave(&older);
        Ok(())
    }

    /// Counts a row no more.
    fn leave(&mut self, row: &Rc<Row>) {
        let size = row.size();
        let schema_size = if row.schema().leave_memory() { row.schema().size() } else { 0 };
        self.bytes = self.bytes.saturating_sub(size + schema_size);
        let left = |is_left: bool, size: usize| if is_left { size as u64 } else { 0 };
        self.left_to_others += left(Rc::strong_count(row) > 1, size);
        self.left_to_others += left(Rc::strong_count(row.schema()) > 1, schema_size);
    }

    fn note_eviction(&mut self, (hash, row): (u64, Rc<Row>)) {
        self.leave(&row);
        self.evictions += 1;
        self.last_evicted = hash;
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Rc<Row>)) {
        self.policy.for_each(visit);
        self.cold.values().for_each(visit);
    }
}

impl Drop for Memory {
    /// Schemas may outlive it, in rows that others have, and come into another.
    fn drop(&mut self) {
        self.for_each(&mut |row| _ = row.schema().leave_memory());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use model::key::{Names, Scope, Subject};
    use model::row::{RowBuilder, Schema};
    use model::time::{EventTime, PackedTimestamp};
    use model::value::{Cell, Status};

    fn space() -> Rc<Space> {
        Rc::new(Space::new(&Scope::project("p"), Subject::View("v"), Names::Short, &["id"]))
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
    fn to_approach_rows_is_not_to_use_them() {
        let mut memory = memory(3, 10_000_000);
        for number in 1..=3 {
            memory.put(number, row(&[number as u8], &vec![b'1'; NEAR_BYTES / 2]));
        }
        memory.approach(&[1, 2, 99]);
        memory.put(4, row(b"4", b"4"));
        assert!(memory.get(1, &space(), &[1]).is_none(), "the least recently used row made room all the same");
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
                    13..15 => memory.put_cold(hash, row(&entity, b"1")),
                    _ => memory.remove(hash),
                }
                assert!(memory.len() <= 50 && memory.bytes() <= 12_000);
            }
            assert_eq!(held(&memory), (memory.len(), memory.bytes()), "{eviction:?}");
        }
    }

    #[test]
    fn a_row_that_nobody_asked_for_displaces_none_that_somebody_did() {
        for eviction in [Eviction::Lru, Eviction::S3Fifo] {
            let mut memory = Memory::new(Budget { entries: 3, bytes: 10_000, row: UNBOUNDED }, eviction);
            memory.put(1, row(b"1", b"1"));
            memory.put_cold(2, row(b"2", b"1"));
            memory.put_cold(3, row(b"3", b"1"));
            memory.put_cold(4, row(b"4", b"1"));
            assert!(memory.get(2, &space(), b"2").is_none(), "the oldest of its kind made room");
            assert!(memory.get(3, &space(), b"3").is_some());
            memory.put(5, row(b"5", b"1"));
            assert!(memory.get(4, &space(), b"4").is_none(), "nobody asked for it");
            memory.put_cold(6, row(b"6", b"1"));
            let kept = [1, 3, 5, 6].map(|id: u8| memory.get(u64::from(id), &space(), &[b'0' + id]).is_some());
            assert_eq!((kept, memory.len()), ([true, true, true, false], 3), "{eviction:?}");
        }
    }

    #[test]
    fn a_row_fetched_ahead_is_on_trial_whatever_became_of_it_before() {
        let mut memory = Memory::new(Budget { entries: 2, bytes: 10_000, row: UNBOUNDED }, Eviction::S3Fifo);
        (1..=3).for_each(|id: u8| memory.put(u64::from(id), row(&[b'0' + id], b"1")));
        assert!(memory.peek(1, &space(), b"1").is_none(), "it failed its trial");
        memory.remove(3);
        memory.put_cold(1, row(b"1", b"1"));
        assert!(memory.get(1, &space(), b"1").is_some());
        memory.put(4, row(b"4", b"1"));
        memory.put(5, row(b"5", b"1"));
        assert!(memory.peek(1, &space(), b"1").is_none(), "it has no place among those that passed");
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
    fn a_schema_is_counted_with_the_first_row_that_has_it_and_given_back_with_the_last() {
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
    fn rows_make_room_for_what_is_kept_of_them_elsewhere() {
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
    fn what_a_row_collects_is_bounded() {
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
    fn two_keys_with_one_hash_never_answer_for_one_another() {
        let mut memory = memory(10, 10_000);
        memory.put(1, row(b"1", b"1"));
        assert!(memory.get(1, &space(), b"other").is_none());
        let other = Rc::new(Space::new(&Scope::project("q"), Subject::View("v"), Names::Short, &["id"]));
        assert!(memory.get(1, &other, b"1").is_none());
        assert!(memory.get(1, &space(), b"1").is_some());
    }
}
