//! Rows that wait to be written to a store: each key once, with all that is known of it, in the order in which keys may be written.
//!
//! A key rests after it was written, since KV takes one write per key and second. Knows nothing of health, shards or requests.
//! Invariants: a key stands in the queue once, an older fetch never replaces a newer one there, its bytes are bounded, and adding or
//! taking a row costs the logarithm of what waits.

use std::collections::BTreeMap;
use std::rc::Rc;

use hashbrown::HashMap;

use crate::model::key::StoreKey;
use crate::model::row::{Row, RowLimits};
use crate::model::time::Instant;

/// The most that the waiting rows take, in bytes: some ten thousand rows of common size.
pub(super) const MAX_BYTES: usize = 8 << 20;

/// Past this many remembered writes, those whose interval is over are forgotten.
const MAX_REMEMBERED: usize = 10_000;

const DAY_MILLIS: u64 = 86_400_000;

/// What became of a row that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It waits.
    Queued,
    /// Its key waited already; both rows are written as one.
    Coalesced,
    /// There is no room for it.
    Full,
}

/// The rows that wait to be written to one store.
#[derive(Debug)]
pub(super) struct WriteQueue {
    /// How long a key rests between two writes, in milliseconds.
    interval_millis: u64,
    /// The most rows written in a day (UTC); `None` without a bound.
    writes_per_day: Option<u64>,
    /// What a row may collect.
    row_limits: RowLimits,
    waiting: HashMap<StoreKey, Rc<Row>, foldhash::fast::FixedState>,
    /// By when a key may be written, and then as they came.
    order: BTreeMap<(Instant, u64), StoreKey>,
    added: u64,
    bytes: usize,
    /// When each key was last written, for as long as its interval lasts.
    written: HashMap<StoreKey, Instant, foldhash::fast::FixedState>,
    day: u64,
    written_today: u64,
}

impl WriteQueue {
    pub(super) fn new(interval_millis: u64, writes_per_day: Option<u64>, row_limits: RowLimits) -> WriteQueue {
        WriteQueue {
            interval_millis,
            writes_per_day,
            row_limits,
            waiting: HashMap::default(),
            order: BTreeMap::new(),
            added: 0,
            bytes: 0,
            written: HashMap::default(),
            day: 0,
            written_today: 0,
        }
    }

    /// How much the waiting rows take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets a row wait until its key may be written, with what waits of the same key: of each feature, the later fetch stays.
    pub(super) fn push(&mut self, key: StoreKey, row: Rc<Row>, now: Instant) -> Added {
        if let Some(waiting) = self.waiting.get_mut(&key) {
            self.bytes = self.bytes.saturating_sub(waiting.size());
            let merged = waiting.merge(&row);
            *waiting = Rc::new(merged.bounded(self.row_limits).unwrap_or(merged));
            self.bytes += waiting.size();
            return Added::Coalesced;
        }
        if self.bytes + row.size() > MAX_BYTES {
            return Added::Full;
        }
        let rested_at = self.written.get(&key).map_or(now, |at| at.plus(self.interval_millis).max(now));
        self.added += 1;
        self.bytes += row.size();
        self.order.insert((rested_at, self.added), key.clone());
        self.waiting.insert(key, row);
        Added::Queued
    }

    /// Whether a key waits here, or rests since it was written.
    pub(super) fn must_wait(&self, key: &StoreKey, now: Instant) -> bool {
        self.waiting.contains_key(key) || self.written.get(key).is_some_and(|at| at.plus(self.interval_millis) > now)
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.order.clear();
        self.bytes = 0;
    }

    /// When the first of the waiting rows may be written.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.order.first_key_value().map(|(&(at, _), _)| at)
    }

    /// The next row that may be written now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(StoreKey, Rc<Row>)> {
        let entry = self.order.first_entry().filter(|entry| entry.key().0 <= now)?;
        let key = entry.remove();
        let row = self.waiting.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(row.size());
        Some((key, row))
    }

    /// Counts a write of `key` against the day's budget, and lets the key rest; `false` where the budget is spent.
    pub(super) fn spend(&mut self, key: &StoreKey, now: Instant) -> bool {
        let day = now.0 / DAY_MILLIS;
        if day != self.day {
            self.day = day;
            self.written_today = 0;
        }
        if self.writes_per_day.is_some_and(|most| self.written_today >= most) {
            return false;
        }
        self.written_today += 1;
        if self.interval_millis > 0 {
            if self.written.len() >= MAX_REMEMBERED {
                let interval = self.interval_millis;
                self.written.retain(|_, &mut at| now.millis_since(at) < interval);
            }
            self.written.insert(key.clone(), now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::{Names, Scope, Space, Subject};
    use crate::model::row::{RowBuilder, Schema};
    use crate::model::time::EventTime;
    use crate::model::value::{Cell, Status};

    const LIMITS: RowLimits = RowLimits { features: 1_000, bytes: MAX_BYTES };

    fn key(entity: u8) -> StoreKey {
        let space = Space::new(&Scope::project("p"), Subject::View("v"), Names::Short, &["id"]);
        StoreKey::new("f", &space, &[entity])
    }

    fn row(features: &[(&str, &str, u64)]) -> Rc<Row> {
        let space = Rc::new(Space::new(&Scope::project("p"), Subject::View("v"), Names::Short, &["id"]));
        let names = features.iter().map(|&(name, ..)| name.into()).collect();
        let mut builder = RowBuilder::new(Rc::new(Schema::new(space, Box::new([]), names).unwrap()), b"1");
        for &(_, value, fetched_at) in features {
            let fetched_at = Instant(fetched_at).into();
            let cell = Cell { status: Status::Present, is_negative: false, event_time: EventTime::ZERO, fetched_at };
            builder.push_feature(value.as_bytes(), cell);
        }
        Rc::new(builder.finish())
    }

    fn value(row: &Row, name: &str) -> String {
        String::from_utf8(row.value(row.schema().feature_slot(name).unwrap()).to_vec()).unwrap()
    }

    /// Takes what may be written now, and lets it rest.
    fn take(queue: &mut WriteQueue, now: u64) -> Vec<Rc<Row>> {
        let mut taken = Vec::new();
        while let Some((key, row)) = queue.pop(Instant(now)) {
            if queue.spend(&key, Instant(now)) {
                taken.push(row);
            }
        }
        taken
    }

    #[test]
    fn a_key_is_written_once_in_its_interval_and_then_with_all_that_came_meanwhile() {
        let mut queue = WriteQueue::new(1_000, None, LIMITS);
        assert_eq!(queue.push(key(1), row(&[("a", "1", 1)]), Instant(0)), Added::Queued);
        assert_eq!(take(&mut queue, 0).len(), 1);
        assert_eq!(queue.push(key(1), row(&[("a", "2", 300)]), Instant(300)), Added::Queued);
        assert_eq!(queue.push(key(1), row(&[("b", "3", 600)]), Instant(600)), Added::Coalesced);
        assert_eq!(queue.push(key(2), row(&[("a", "5", 600)]), Instant(600)), Added::Queued);
        assert_eq!(queue.next_at(), Some(Instant(600)), "the other key has not rested");
        assert_eq!(take(&mut queue, 999).len(), 1);
        assert_eq!(queue.next_at(), Some(Instant(1_000)));
        let taken = take(&mut queue, 1_000);
        assert_eq!(taken.len(), 1);
        assert_eq!((value(&taken[0], "a"), value(&taken[0], "b")), ("2".to_owned(), "3".to_owned()));
        assert_eq!((queue.next_at(), queue.bytes()), (None, 0));
    }

    #[test]
    fn an_older_fetch_that_comes_later_replaces_nothing() {
        let mut queue = WriteQueue::new(1_000, None, LIMITS);
        queue.push(key(1), row(&[("a", "new", 500)]), Instant(500));
        queue.push(key(1), row(&[("a", "old", 100), ("b", "2", 100)]), Instant(600));
        let taken = take(&mut queue, 600);
        assert_eq!((value(&taken[0], "a"), value(&taken[0], "b")), ("new".to_owned(), "2".to_owned()));
    }

    #[test]
    fn a_days_budget_is_not_passed_and_is_new_the_next_day() {
        let mut queue = WriteQueue::new(1_000, Some(3), LIMITS);
        let fill = |queue: &mut WriteQueue, from: u8, now: u64| {
            (from..from + 5).for_each(|entity| _ = queue.push(key(entity), row(&[("a", "1", 1)]), Instant(now)));
            take(queue, now).len()
        };
        assert_eq!(fill(&mut queue, 0, 0), 3);
        assert_eq!(fill(&mut queue, 10, DAY_MILLIS - 1), 0);
        assert_eq!(fill(&mut queue, 20, DAY_MILLIS), 3);
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let mut queue = WriteQueue::new(1_000, None, LIMITS);
        let long = "1".repeat(MAX_BYTES / 8);
        let results: Vec<Added> =
            (0..20).map(|entity| queue.push(key(entity), row(&[("a", &long, 1)]), Instant(0))).collect();
        assert!(results.contains(&Added::Full) && results[0] == Added::Queued, "{results:?}");
        assert!(queue.bytes() <= MAX_BYTES);
        take(&mut queue, 0);
        assert_eq!(queue.push(key(99), row(&[("a", &long, 1)]), Instant(0)), Added::Queued, "there is room again");
    }
}
