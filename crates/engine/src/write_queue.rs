//! Rows that wait to be written to a store: each key once, with its merged row, by the time when the key
//! may be written.
//!
//! A write interval separates two writes of a key, since KV takes one write per key and second. The queue
//! knows nothing of health, shards or requests. Invariants: a key is queued once, an older fetch never
//! replaces a newer one, the bytes are bounded, and adding or taking a row costs the logarithm of the
//! queue's length.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use hashbrown::HashMap;

use crate::merge::merge;
use model::key::StoreKey;
use model::row::{Row, RowLimits};
use model::time::Timestamp;

/// How many keys' last writes are remembered: some 5 MB. Past it the oldest may be written too early,
/// which costs that key a refusal.
const MAX_REMEMBERED: usize = 50_000;

const DAY_MILLIS: u64 = 86_400_000;

/// A row to be written to a store.
#[derive(Clone, Debug)]
pub(super) struct RowWrite {
    pub(super) row: Rc<Row>,
    /// Whether it is fetched as a whole, as a feature service is.
    pub(super) is_whole: bool,
}

/// The result of adding a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PushResult {
    /// It is queued.
    Queued,
    /// Its key was queued already; both rows are written as one.
    Coalesced,
    /// There is no room for it.
    Full,
}

/// What a queue may hold, and how fast it may be emptied.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueLimits {
    /// The least time between two writes of a key, in milliseconds.
    pub(super) interval_millis: u64,
    /// The most rows written in a day (UTC); `None` without a bound.
    pub(super) max_writes_per_day: Option<u64>,
    /// The most that the waiting rows take, in bytes.
    pub(super) bytes: usize,
    /// What a row may collect.
    pub(super) row: RowLimits,
}

/// The rows that wait to be written to one store.
#[derive(Debug)]
pub(super) struct WriteQueue {
    limits: QueueLimits,
    waiting: HashMap<StoreKey, (Rc<Row>, usize), foldhash::fast::FixedState>,
    /// Queued keys by the time when each may be written, then by arrival.
    schedule: BTreeMap<(Timestamp, u64), StoreKey>,
    added: u64,
    bytes: usize,
    /// When each key was last written, until its interval ends; and these keys in order.
    written: HashMap<StoreKey, Timestamp, foldhash::fast::FixedState>,
    recently_written: VecDeque<(Timestamp, StoreKey)>,
    day: u64,
    written_today: u64,
    /// Until when the store's own quota is spent.
    blocked_until: Timestamp,
}

impl WriteQueue {
    pub(super) fn new(limits: QueueLimits) -> WriteQueue {
        WriteQueue {
            limits,
            waiting: HashMap::default(),
            schedule: BTreeMap::new(),
            added: 0,
            bytes: 0,
            written: HashMap::default(),
            recently_written: VecDeque::new(),
            day: 0,
            written_today: 0,
            blocked_until: Timestamp::default(),
        }
    }

    /// How much the waiting rows take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many rows wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Queues a row until its key may be written, merged with a queued row of the same key.
    pub(super) fn push(&mut self, key: StoreKey, write: RowWrite, now: Timestamp) -> PushResult {
        let RowWrite { row, is_whole } = write;
        if let Some(waiting) = self.waiting.get_mut(&key) {
            let (held, before) = &*waiting;
            let before = *before;
            let merged = merge(held, &row, is_whole).within(self.limits.row);
            let after = Row::share_of(&merged);
            if self.bytes.saturating_sub(before) + after > self.limits.bytes {
                return PushResult::Full;
            }
            self.bytes = self.bytes.saturating_sub(before) + after;
            *waiting = (merged, after);
            return PushResult::Coalesced;
        }
        let size = Row::share_of(&row);
        if self.bytes + size > self.limits.bytes {
            return PushResult::Full;
        }
        let interval = self.limits.interval_millis;
        let writable_at = self.written.get(&key).map_or(now, |at| at.plus(interval).max(now));
        self.added += 1;
        self.bytes += size;
        self.schedule.insert((writable_at, self.added), key.clone());
        self.waiting.insert(key, (row, size));
        PushResult::Queued
    }

    /// Whether a key is queued here, or was written within its interval.
    pub(super) fn must_wait(&self, key: &StoreKey, now: Timestamp) -> bool {
        self.waiting.contains_key(key)
            || self.written.get(key).is_some_and(|at| at.plus(self.limits.interval_millis) > now)
    }

    /// Clears the queue.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.schedule.clear();
        self.bytes = 0;
    }

    /// Ends all write intervals: the host is about to stop.
    pub(super) fn ignore_intervals(&mut self) {
        self.limits.interval_millis = 0;
        let schedule = core::mem::take(&mut self.schedule);
        self.schedule = schedule.into_iter().map(|((_, number), key)| ((Timestamp::default(), number), key)).collect();
    }

    /// Shifts its times back by so many milliseconds, after a clock that was ahead.
    pub(super) fn set_clock_back(&mut self, millis: u64) {
        let schedule = core::mem::take(&mut self.schedule);
        self.schedule = schedule.into_iter().map(|((at, number), key)| ((at.minus(millis), number), key)).collect();
        let recently_written = self.recently_written.iter_mut().map(|(at, _)| at);
        self.written
            .values_mut()
            .chain(recently_written)
            .chain([&mut self.blocked_until])
            .for_each(|at| *at = at.minus(millis));
    }

    /// When the first of the waiting rows may be written.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.schedule.first_key_value().map(|(&(at, _), _)| at)
    }

    /// The next row that may be written now.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<(StoreKey, Rc<Row>)> {
        let entry = self.schedule.first_entry().filter(|entry| entry.key().0 <= now)?;
        let key = entry.remove();
        let (row, size) = self.waiting.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(size);
        Some((key, row))
    }

    /// Whether the day's budget, or the store's own quota, is spent.
    pub(super) fn is_spent(&self, now: Timestamp) -> bool {
        let is_budget_spent = self
            .limits
            .max_writes_per_day
            .is_some_and(|most| now.0 / DAY_MILLIS == self.day && self.written_today >= most);
        is_budget_spent || now < self.blocked_until
    }

    /// Blocks writes until `at`, for a day at the most, since the store's clock is another.
    pub(super) fn block_until(&mut self, at: Timestamp, now: Timestamp) {
        self.blocked_until = self.blocked_until.max(at.min(now.plus(DAY_MILLIS)));
    }

    /// Counts a write of `key` against the day's budget and starts the key's interval; `false` where
    /// that budget or the store's quota is spent.
    pub(super) fn spend(&mut self, key: &StoreKey, now: Timestamp) -> bool {
        if now < self.blocked_until {
            return false;
        }
        let day = now.0 / DAY_MILLIS;
        if day != self.day {
            self.day = day;
            self.written_today = 0;
        }
        if self.limits.max_writes_per_day.is_some_and(|most| self.written_today >= most) {
            return false;
        }
        self.written_today += 1;
        let interval = self.limits.interval_millis;
        if interval > 0 {
            while let Some((at, _)) = self.recently_written.front()
                && (now.millis_since(*at) >= interval || self.recently_written.len() >= MAX_REMEMBERED)
                && let Some((at, recent)) = self.recently_written.pop_front()
            {
                // It may have been written again since.
                if self.written.get(&recent) == Some(&at) {
                    self.written.remove(&recent);
                }
            }
            self.written.insert(key.clone(), now);
            self.recently_written.push_back((now, key.clone()));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::key::{FeatureSource, KeySpace, NameStyle, Namespace};
    use model::row::{RowBuilder, Schema};
    use model::time::EventTime;
    use model::value::{Cell, Status};

    const MAX_BYTES: usize = 1 << 20;
    const LIMITS: QueueLimits = QueueLimits {
        interval_millis: 1_000,
        max_writes_per_day: None,
        bytes: MAX_BYTES,
        row: RowLimits { features: 1_000, bytes: MAX_BYTES },
    };

    fn key(entity: u8) -> StoreKey {
        let space = KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]);
        StoreKey::new("f", &space, &[entity])
    }

    fn row(features: &[(&str, &str, u64)]) -> RowWrite {
        let space =
            Rc::new(KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]));
        let names = features.iter().map(|&(name, ..)| name.into()).collect();
        let mut builder = RowBuilder::new(Rc::new(Schema::new(space, Box::new([]), names).unwrap()), b"1");
        for &(_, value, fetched_at) in features {
            let fetched_at = Timestamp(fetched_at).into();
            let cell = Cell { status: Status::Present, is_negative: false, event_time: EventTime::ZERO, fetched_at };
            builder.push_feature(value.as_bytes(), cell);
        }
        RowWrite { row: Rc::new(builder.finish()), is_whole: false }
    }

    fn value(row: &Row, name: &str) -> String {
        String::from_utf8(row.value(row.schema().feature_slot(name).unwrap()).to_vec()).unwrap()
    }

    /// Takes what may be written now, and lets it rest.
    fn take(queue: &mut WriteQueue, now: u64) -> Vec<Rc<Row>> {
        let mut taken = Vec::new();
        while let Some((key, row)) = queue.pop(Timestamp(now)) {
            if queue.spend(&key, Timestamp(now)) {
                taken.push(row);
            }
        }
        taken
    }

    #[test]
    fn a_key_is_written_once_in_its_interval_and_then_with_all_that_came_meanwhile() {
        let mut queue = WriteQueue::new(LIMITS);
        assert_eq!(queue.push(key(1), row(&[("a", "1", 1)]), Timestamp(0)), PushResult::Queued);
        assert_eq!(take(&mut queue, 0).len(), 1);
        assert_eq!(queue.push(key(1), row(&[("a", "2", 300)]), Timestamp(300)), PushResult::Queued);
        assert_eq!(queue.push(key(1), row(&[("b", "3", 600)]), Timestamp(600)), PushResult::Coalesced);
        assert_eq!(queue.push(key(2), row(&[("a", "5", 600)]), Timestamp(600)), PushResult::Queued);
        assert_eq!(queue.next_at(), Some(Timestamp(600)), "the other key was not written recently");
        assert_eq!(take(&mut queue, 999).len(), 1);
        assert_eq!(queue.next_at(), Some(Timestamp(1_000)));
        let taken = take(&mut queue, 1_000);
        assert_eq!(taken.len(), 1);
        assert_eq!((value(&taken[0], "a"), value(&taken[0], "b")), ("2".to_owned(), "3".to_owned()));
        assert_eq!((queue.next_at(), queue.bytes()), (None, 0));
    }

    #[test]
    fn an_older_fetch_that_comes_later_replaces_nothing() {
        let mut queue = WriteQueue::new(LIMITS);
        queue.push(key(1), row(&[("a", "new", 500)]), Timestamp(500));
        queue.push(key(1), row(&[("a", "old", 100), ("b", "2", 100)]), Timestamp(600));
        let held = queue.bytes();
        let taken = take(&mut queue, 600);
        assert_eq!((held, queue.bytes()), (Row::share_of(&taken[0]), 0));
        assert_eq!((value(&taken[0], "a"), value(&taken[0], "b")), ("new".to_owned(), "2".to_owned()));
    }

    #[test]
    fn a_key_waits_out_its_interval_to_the_millisecond_and_is_then_forgotten() {
        let mut queue = WriteQueue::new(LIMITS);
        assert!(!queue.must_wait(&key(1), Timestamp(0)));
        queue.push(key(1), row(&[("a", "1", 1)]), Timestamp(0));
        assert!(queue.must_wait(&key(1), Timestamp(0)), "it is queued");
        take(&mut queue, 0);
        assert!(queue.must_wait(&key(1), Timestamp(999)));
        assert!(!queue.must_wait(&key(1), Timestamp(1_000)) && !queue.must_wait(&key(2), Timestamp(999)));
        queue.push(key(2), row(&[("a", "1", 1)]), Timestamp(5));
        queue.clear();
        assert_eq!((queue.next_at(), queue.bytes(), queue.must_wait(&key(2), Timestamp(5))), (None, 0, false));
    }

    #[test]
    fn times_of_a_clock_that_was_ahead_are_set_back() {
        let mut queue = WriteQueue::new(LIMITS);
        queue.push(key(1), row(&[("a", "1", 1)]), Timestamp(3_600_000));
        queue.push(key(3), row(&[("a", "1", 1)]), Timestamp(3_600_000));
        take(&mut queue, 3_600_000);
        queue.push(key(1), row(&[("a", "2", 2)]), Timestamp(3_600_500));
        queue.push(key(2), row(&[("a", "2", 2)]), Timestamp(3_600_500));
        queue.set_clock_back(3_600_000);
        assert!(queue.must_wait(&key(3), Timestamp(999)) && !queue.must_wait(&key(3), Timestamp(1_000)));
        assert_eq!(queue.next_at(), Some(Timestamp(500)));
        assert_eq!(take(&mut queue, 500).len(), 1);
        assert_eq!(take(&mut queue, 999).len(), 0);
        assert_eq!(take(&mut queue, 1_000).len(), 1);
        assert!(queue.must_wait(&key(2), Timestamp(1_499)) && !queue.must_wait(&key(2), Timestamp(1_500)));
    }

    #[test]
    fn a_closing_host_ignores_write_intervals() {
        let mut queue = WriteQueue::new(LIMITS);
        for entity in [1, 2, 1] {
            queue.push(key(entity), row(&[("a", "1", 1)]), Timestamp(500));
            take(&mut queue, 500 + u64::from(entity));
        }
        queue.push(key(2), row(&[("a", "2", 600)]), Timestamp(600));
        queue.ignore_intervals();
        assert_eq!(take(&mut queue, 601).len(), 2);
        queue.push(key(2), row(&[("a", "3", 602)]), Timestamp(602));
        assert_eq!(take(&mut queue, 602).len(), 1);
        let mut queue = WriteQueue::new(QueueLimits { interval_millis: 0, ..LIMITS });
        queue.spend(&key(1), Timestamp(0));
        assert!(queue.written.is_empty() && queue.recently_written.is_empty(), "nor is any remembered");
    }

    #[test]
    fn keys_past_their_interval_are_forgotten() {
        let mut queue = WriteQueue::new(LIMITS);
        for number in 0..=MAX_REMEMBERED as u64 {
            let space = KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]);
            let now = if number == 0 { 500 } else { number % 500 };
            queue.spend(&StoreKey::new("f", &space, &number.to_le_bytes()), Timestamp(now));
        }
        assert_eq!(
            (queue.written.len(), queue.recently_written.len()),
            (MAX_REMEMBERED, MAX_REMEMBERED),
            "nor of too many"
        );
        queue.spend(&key(1), Timestamp(1_500));
        assert_eq!(queue.written.len(), 1, "intervals that end now have ended");
        queue.spend(&key(2), Timestamp(2_500));
        assert_eq!(queue.written.len(), 1, "to the millisecond");
    }

    #[test]
    fn a_days_budget_is_not_passed_and_is_new_the_next_day() {
        let mut queue = WriteQueue::new(QueueLimits { max_writes_per_day: Some(3), ..LIMITS });
        let fill = |queue: &mut WriteQueue, from: u8, now: u64| {
            (from..from + 5).for_each(|entity| _ = queue.push(key(entity), row(&[("a", "1", 1)]), Timestamp(now)));
            take(queue, now).len()
        };
        assert_eq!(fill(&mut queue, 0, 0), 3);
        assert_eq!(fill(&mut queue, 10, DAY_MILLIS - 1), 0);
        assert!(!queue.is_spent(Timestamp(DAY_MILLIS)), "of the new day");
        assert_eq!(fill(&mut queue, 20, DAY_MILLIS), 3);
        assert!(queue.is_spent(Timestamp(DAY_MILLIS)) && queue.is_spent(Timestamp(2 * DAY_MILLIS - 1)));
        let mut queue = WriteQueue::new(QueueLimits { max_writes_per_day: Some(6), ..LIMITS });
        assert_eq!((fill(&mut queue, 0, 0), queue.is_spent(Timestamp(0))), (5, false));
    }

    #[test]
    fn the_queue_is_bounded_in_bytes() {
        let mut queue = WriteQueue::new(LIMITS);
        let long = "1".repeat(MAX_BYTES / 8);
        let results: Vec<PushResult> =
            (0..20).map(|entity| queue.push(key(entity), row(&[("a", &long, 1)]), Timestamp(0))).collect();
        assert!(results.contains(&PushResult::Full) && results[0] == PushResult::Queued, "{results:?}");
        assert!(queue.bytes() <= MAX_BYTES);
        take(&mut queue, 0);
        assert_eq!(
            queue.push(key(99), row(&[("a", &long, 1)]), Timestamp(0)),
            PushResult::Queued,
            "there is room again"
        );
    }

    #[test]
    fn what_just_fits_is_queued_and_a_byte_more_is_not() {
        let fill = |bytes: usize, writes: &[&[(&str, &str, u64)]]| {
            let mut queue = WriteQueue::new(QueueLimits { bytes, ..LIMITS });
            let added = writes.iter().map(|features| queue.push(key(1), row(features), Timestamp(0))).last();
            (queue.bytes(), added)
        };
        let long = "2".repeat(1_000);
        let (small, wide) = ([("a", "1", 1)], [("a", "1", 2), ("b", &*long, 2)]);
        for (writes, added) in [(&[&small[..]][..], PushResult::Queued), (&[&small, &wide], PushResult::Coalesced)] {
            let (bytes, _) = fill(MAX_BYTES, writes);
            assert_eq!(fill(bytes, writes).1, Some(added));
            assert_eq!(fill(bytes - 1, writes).1, Some(PushResult::Full));
        }
    }
}
