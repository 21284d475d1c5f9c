//! A store tier as the engine sees it: settings, health, counts and write queue. It knows no store's API.
//! Invariant: one batch is written at a time.

use std::rc::Rc;

use crate::breaker::{Breaker, BreakerSettings};
use crate::latency::Latency;
use crate::read_batch::ReadBatch;
use crate::read_policy::RecentKeys;
use crate::store_results::{ReadFailure, WriteOutcome};
use crate::write_queue::{PushResult, QueueLimits, RowWrite, WriteQueue};
use model::answer::Tier;
use model::key::{ShardSecret, StoreKey};
use model::row::{Row, RowLimits};
use model::time::Timestamp;
use model::value::Cell;
use row_codec::Unusable;

/// The settings of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Which tier it is.
    pub tier: Tier,
    /// What every key begins with.
    pub key_prefix: String,
    /// How many shards its rows are spread over; each is read in one operation.
    pub shards: u32,
    /// The most keys of one read.
    pub keys_per_read: usize,
    /// The rows' time to live in the store, in seconds.
    pub ttl_seconds: u64,
    /// How long a read or write may take at the most, in milliseconds.
    pub timeout_millis: u64,
    /// The least time between two writes of a key, in milliseconds: KV takes one write per key and
    /// second.
    pub write_interval_millis: u64,
    /// The most rows written in a day (UTC) by this isolate; `None` without a bound.
    pub max_writes_per_day: Option<u64>,
    /// The most rows that one request writes; `None` without a bound.
    pub max_writes_per_request: Option<usize>,
}

/// A store's operations and their results, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Bulk reads.
    pub reads: u64,
    /// Keys read.
    pub gets: u64,
    /// Keys that were there and could be used.
    pub hits: u64,
    /// Keys that were not there.
    pub misses: u64,
    /// Rows written.
    pub puts: u64,
    /// Bulk reads and single writes that failed.
    pub errors: u64,
    /// Of these, bulk reads that were too large and were split in halves.
    pub split_reads: u64,
    /// Of these, writes of keys that are written too often.
    pub rate_limited: u64,
    /// Rows not written, because the store has the same.
    pub unchanged: u64,
    /// Rows replaced in the queue by a later one, within a key's interval.
    pub coalesced: u64,
    /// Rows not written, because the day's budget or the store's quota is spent.
    pub over_budget: u64,
    /// Rows not written, because their stored columns could not be read.
    pub unmerged: u64,
    /// Rows not written, because their request's limit was reached or the queue was full.
    pub shed: u64,
    /// Reads and writes skipped while the circuit breaker was open.
    pub skipped_breaker_open: u64,
    /// Stored values that are not ours.
    pub foreign: u64,
    /// Stored values of another version.
    pub other_version: u64,
    /// Stored values that are damaged.
    pub damaged: u64,
    /// Stored values of another key.
    pub other_key: u64,
}

impl StoreCounts {
    pub(super) fn count_unusable(&mut self, reason: Unusable) {
        let counter = match reason {
            Unusable::Foreign => &mut self.foreign,
            Unusable::Version => &mut self.other_version,
            Unusable::Damaged => &mut self.damaged,
            Unusable::OtherKey => &mut self.other_key,
        };
        *counter += 1;
    }
}

/// A store tier.
#[derive(Debug)]
pub struct Store {
    pub(super) settings: StoreSettings,
    /// The secret that shards are chosen by.
    pub(super) secret: Option<ShardSecret>,
    /// The breaker of reads. A store that refuses writes, full or over its quota, is still read.
    pub(super) breaker: Breaker,
    /// The breaker of writes.
    pub(super) write_breaker: Breaker,
    pub(super) latency: Latency,
    pub(super) counts: StoreCounts,
    /// Recent reads.
    pub(super) recent: RecentKeys,
    /// The batch size of bulk reads.
    pub(super) read_batch: ReadBatch,
    /// The write queue.
    pub(super) queue: WriteQueue,
    /// The batch that is being written.
    writing: Option<Batch>,
    batches: u64,
    /// How many rows scheduled flushes will write, and until when these are expected.
    pub(super) scheduled_rows: usize,
    pub(super) scheduled_until: Timestamp,
    /// Whether it is read at all; the read policy may be `Never`.
    pub(super) is_read: bool,
    /// How far its rows' times are trusted.
    pub(super) clock: StoreClock,
}

/// A batch of rows that is being written.
#[derive(Clone, Copy, Debug)]
struct Batch {
    number: u64,
    /// How many of its effects have not ended.
    effects: usize,
    /// When it counts as lost with its host.
    lost_at: Timestamp,
}

/// How far a store's times are trusted: other processes stamped them, by their own clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoreClock {
    /// The greatest age of a stored row, in milliseconds.
    pub(super) oldest_millis: u64,
    /// The maximum clock skew, in milliseconds; 0 where the invalidation log sets the clocks.
    pub(super) max_skew_millis: u64,
}

impl StoreClock {
    /// The trusted part of a row; `None` where nothing is left.
    ///
    /// A time after `now` counts as the oldest that the store allows. What another clock may have
    /// stamped before the write at `written_at` is dropped.
    pub(super) fn trust(&self, row: Row, written_at: Timestamp, now: Timestamp) -> Option<Row> {
        let is_before_write = |fetched_at: Timestamp| {
            written_at != Timestamp::default() && fetched_at <= written_at.plus(self.max_skew_millis)
        };
        let is_trusted = |cell: &Cell| {
            let fetched_at = cell.fetched_at.timestamp();
            fetched_at <= now && !is_before_write(fetched_at)
        };
        if row.all_cells(is_trusted) {
            return Some(row);
        }
        let oldest = Timestamp(now.0.saturating_sub(self.oldest_millis));
        let row = row.with_cells(|_, cell| {
            let fetched_at = cell.fetched_at.timestamp();
            let fetched_at = if fetched_at > now { oldest } else { fetched_at };
            (!is_before_write(fetched_at)).then(|| Cell { fetched_at: fetched_at.into(), ..*cell })
        });
        (!row.schema().features().is_empty()).then_some(row)
    }
}

impl Store {
    pub(super) fn new(
        settings: StoreSettings,
        breaker: BreakerSettings,
        max_clock_skew_millis: u64,
        (bytes, row): (usize, RowLimits),
    ) -> Store {
        let limits = QueueLimits {
            interval_millis: settings.write_interval_millis,
            max_writes_per_day: settings.max_writes_per_day,
            bytes,
            row,
        };
        Store {
            secret: None,
            breaker: Breaker::new(breaker),
            write_breaker: Breaker::new(breaker),
            latency: Latency::default(),
            counts: StoreCounts::default(),
            recent: RecentKeys::default(),
            read_batch: ReadBatch::new(settings.keys_per_read),
            queue: WriteQueue::new(limits),
            writing: None,
            batches: 0,
            scheduled_rows: 0,
            scheduled_until: Timestamp::default(),
            is_read: true,
            clock: StoreClock {
                oldest_millis: settings.ttl_seconds.saturating_mul(1_000),
                max_skew_millis: max_clock_skew_millis,
            },
            settings,
        }
    }

    /// Which tier it is.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.settings.tier
    }

    /// The store's operations and their results.
    #[must_use]
    pub fn counts(&self) -> &StoreCounts {
        &self.counts
    }

    /// The breaker of reads.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// The breaker of writes.
    #[must_use]
    pub fn write_breaker(&self) -> &Breaker {
        &self.write_breaker
    }

    /// The memory of queued writes, in bytes.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// How long the store takes to read.
    #[must_use]
    pub fn latency(&self) -> &Latency {
        &self.latency
    }

    pub(super) fn key_of(&self, row: &Row) -> StoreKey {
        StoreKey::new(&self.settings.key_prefix, row.schema().space(), row.entity())
    }

    /// Splits entries by shard.
    pub(super) fn by_shard<T>(&self, entries: Vec<(StoreKey, T)>) -> Vec<Vec<(StoreKey, T)>> {
        let shards = self.settings.shards;
        let mut parts: Vec<Vec<(StoreKey, T)>> = (0..shards).map(|_| Vec::new()).collect();
        for entry in entries {
            if let Some(part) = parts.get_mut(entry.0.shard(shards, self.secret.as_ref()) as usize) {
                part.push(entry);
            }
        }
        parts
    }

    /// Queues rows, `most` of them at the most; the rest is shed.
    pub(super) fn enqueue(&mut self, writes: Vec<RowWrite>, most: usize, now: Timestamp) {
        let mut queued = 0;
        for write in writes {
            if queued >= most {
                self.counts.shed += 1;
                continue;
            }
            let key = self.key_of(&write.row);
            match self.queue.push(key, write, now) {
                PushResult::Queued => queued += 1,
                PushResult::Coalesced => self.counts.coalesced += 1,
                PushResult::Full => self.counts.shed += 1,
            }
        }
    }

    /// Encodes the next batch of rows that may be written, `most` at the most. While a batch is being
    /// written there is no other, so that a store gets no more than it takes.
    pub(super) fn next_batch(&mut self, most: usize, now: Timestamp) -> Vec<(StoreKey, Vec<u8>)> {
        if self.is_writing(now) || most == 0 || self.queue.next_at().is_none_or(|at| at > now) {
            return Vec::new();
        }
        if !self.write_breaker.admits(now) {
            while self.queue.pop(now).is_some() {
                self.counts.skipped_breaker_open += 1;
            }
            return Vec::new();
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < most
            && bytes < MAX_BATCH_BYTES
            && let Some((key, row)) = self.queue.pop(now)
        {
            if self.queue.spend(&key, now) {
                let stored = row_codec::encode(&row);
                bytes += stored.len();
                batch.push((key, stored));
            } else {
                self.counts.over_budget += 1;
            }
        }
        self.counts.puts += batch.len() as u64;
        batch
    }

    /// Encodes rows that are written at once, because their caller waits for the store. Rows whose
    /// keys were written within their interval are queued.
    pub(super) fn encode_now(&mut self, writes: Vec<RowWrite>, now: Timestamp) -> Vec<(StoreKey, Vec<u8>)> {
        if writes.is_empty() || !self.write_breaker.admits(now) {
            self.counts.skipped_breaker_open += writes.len() as u64;
            return Vec::new();
        }
        let mut batch = Vec::with_capacity(writes.len());
        for write in writes {
            let key = self.key_of(&write.row);
            let row = Rc::clone(&write.row);
            if self.queue.must_wait(&key, now) {
                self.enqueue(vec![write], usize::MAX, now);
            } else if self.queue.spend(&key, now) {
                batch.push((key, row_codec::encode(&row)));
            } else {
                self.counts.over_budget += 1;
            }
        }
        self.counts.puts += batch.len() as u64;
        batch
    }

    /// Whether a batch is being written.
    pub(super) fn is_writing(&self, now: Timestamp) -> bool {
        self.writing.is_some_and(|batch| batch.lost_at > now)
    }

    /// The number of the next batch.
    pub(super) fn next_batch_number(&mut self) -> u64 {
        self.batches += 1;
        self.batches
    }

    /// Records that a batch is being written, by so many effects.
    pub(super) fn begin_writing(&mut self, number: u64, effects: usize, now: Timestamp) {
        let lost_at = now.plus(self.settings.timeout_millis + WRITE_LOST_AFTER_MILLIS);
        self.writing = (effects > 0).then_some(Batch { number, effects, lost_at });
    }

    /// Records that an effect of a batch has ended. One of a batch that was lost changes nothing.
    pub(super) fn end_writing(&mut self, number: u64) {
        if let Some(batch) = self.writing.filter(|batch| batch.number == number) {
            self.writing = (batch.effects > 1).then_some(Batch { effects: batch.effects - 1, ..batch });
        }
    }

    /// Shifts its times back by so many milliseconds, after a clock that was ahead.
    pub(super) fn set_clock_back(&mut self, millis: u64) {
        self.scheduled_until = self.scheduled_until.minus(millis);
        if let Some(batch) = &mut self.writing {
            batch.lost_at = batch.lost_at.minus(millis);
        }
        self.queue.set_clock_back(millis);
        self.breaker.set_clock_back(millis);
        self.write_breaker.set_clock_back(millis);
    }

    /// Records the result of a bulk read. One that was too large says nothing of the store's health.
    pub(super) fn note_read(
        &mut self,
        keys: usize,
        values: &Result<Vec<Option<Vec<u8>>>, ReadFailure>,
        now: Timestamp,
    ) {
        self.counts.errors += u64::from(values.is_err());
        match values {
            Ok(values) => {
                let sizes = values.iter().flatten().map(Vec::len);
                self.read_batch.note_read(keys, sizes.clone().count(), sizes.sum());
            }
            Err(ReadFailure::TooLarge) => {
                self.counts.split_reads += u64::from(keys > 1);
                self.read_batch.note_too_large(keys);
            }
            Err(ReadFailure::Failed) => {}
        }
        self.breaker.record(*values != Err(ReadFailure::Failed), now);
    }

    /// Whether it accepts writes now: its write breaker admits them and no quota is spent.
    pub(super) fn accepts_writes(&self, now: Timestamp) -> bool {
        self.write_breaker.would_admit(now) && !self.queue.is_spent(now)
    }

    /// How many of a session's rows are worth a merge read before they are written.
    pub(super) fn writable(&self, now: Timestamp) -> usize {
        let is_writable = self.is_read && self.accepts_writes(now);
        if is_writable { self.settings.max_writes_per_request.unwrap_or(usize::MAX) } else { 0 }
    }

    /// Records the result of a write of `rows` rows.
    ///
    /// A key's own limit, a quota, or a limit of the host does not mean that the store is unhealthy. A
    /// quota has a reset time, until which nothing is written.
    pub(super) fn record_write(&mut self, rows: usize, outcome: WriteOutcome, now: Timestamp) {
        let WriteOutcome { failed, rate_limited, quota_resets_at, is_request_spent } = outcome;
        self.counts.errors += failed as u64;
        self.counts.rate_limited += rate_limited as u64;
        if let Some(at) = quota_resets_at {
            self.queue.block_until(at, now);
        } else if !is_request_spent {
            self.write_breaker.record(failed.saturating_sub(rate_limited) * 2 <= rows, now);
        }
    }
}

/// How long past its timeout a write may take before it counts as lost with its host, in milliseconds. A
/// Worker continues nothing in the background for longer.
const WRITE_LOST_AFTER_MILLIS: u64 = 30_000;

/// The most bytes of a batch: 4 MiB, since it stays in memory until the store has taken it.
const MAX_BATCH_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::BreakerState;
    use model::key::{FeatureSource, KeySpace, NameStyle, Namespace};
    use model::row::{RowBuilder, Schema};
    use model::time::EventTime;
    use model::value::Status;

    fn row(entity: u8, features: &[(&str, u64)]) -> Row {
        row_of(entity, features, b"1")
    }

    fn row_of(entity: u8, features: &[(&str, u64)], value: &[u8]) -> Row {
        let space =
            Rc::new(KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]));
        let names = features.iter().map(|&(name, _)| name.into()).collect();
        let schema = Rc::new(Schema::new(space, Box::new([]), names).unwrap());
        let entity = [entity];
        let mut builder = RowBuilder::new(schema, &entity);
        for &(_, fetched_at) in features {
            let fetched_at = Timestamp(fetched_at).into();
            let cell = Cell { status: Status::Present, is_negative: false, event_time: EventTime::ZERO, fetched_at };
            builder.push_feature(value, cell);
        }
        builder.finish()
    }

    fn rows(count: u8) -> Vec<RowWrite> {
        (0..count).map(|entity| RowWrite { row: Rc::new(row(entity, &[("a", 1)])), is_whole: false }).collect()
    }

    fn store() -> Store {
        store_with(1 << 20, |_| {})
    }

    fn store_with(bytes: usize, write: impl FnOnce(&mut StoreSettings)) -> Store {
        let mut settings = StoreSettings {
            tier: Tier::L2,
            key_prefix: "f".to_owned(),
            shards: 1,
            keys_per_read: 100,
            ttl_seconds: 3_600,
            timeout_millis: 500,
            write_interval_millis: 1_000,
            max_writes_per_day: None,
            max_writes_per_request: None,
        };
        write(&mut settings);
        let breaker = BreakerSettings {
            is_enabled: true,
            window_operations: 20,
            failure_percent: 50,
            open_millis: 5_000,
            half_open_probes: 3,
        };
        Store::new(settings, breaker, 5_000, (bytes, RowLimits { features: 1_000, bytes: 1 << 20 }))
    }

    #[test]
    fn a_batch_is_begun_when_the_one_before_it_has_ended_or_is_lost() {
        let mut store = store();
        store.enqueue(rows(5), usize::MAX, Timestamp(0));
        assert_eq!(store.next_batch(2, Timestamp(0)).len(), 2);
        store.begin_writing(1, 2, Timestamp(0));
        assert!(store.next_batch(2, Timestamp(10)).is_empty());
        store.end_writing(1);
        assert!(store.next_batch(2, Timestamp(20)).is_empty(), "one of its effects is under way");
        store.end_writing(1);
        assert_eq!(store.next_batch(2, Timestamp(30)).len(), 2);
        store.begin_writing(2, 1, Timestamp(30));
        assert!(store.next_batch(2, Timestamp(30_529)).is_empty());
        assert_eq!(store.next_batch(2, Timestamp(30_530)).len(), 1, "its host has gone silent");
        store.begin_writing(3, 1, Timestamp(30_530));
        store.end_writing(2);
        assert!(store.is_writing(Timestamp(30_540)), "the end of a batch that was given up ends no other");
        store.begin_writing(4, 0, Timestamp(30_540));
        assert!(!store.is_writing(Timestamp(30_540)), "nothing of it is under way");
        assert_ne!(store.next_batch_number(), store.next_batch_number());
    }

    #[test]
    fn a_batch_ends_when_it_is_as_large_as_may_be_held_in_memory() {
        let mut store = store_with(64 << 20, |_| {});
        let long = "1".repeat(1 << 20);
        let large = |entity| RowWrite { row: Rc::new(row_of(entity, &[("a", 1)], long.as_bytes())), is_whole: false };
        store.enqueue((0..10).map(large).collect(), usize::MAX, Timestamp(0));
        assert_eq!(store.next_batch(100, Timestamp(0)).len(), 4);
        assert_eq!(store.next_batch(3, Timestamp(0)).len(), 3);
    }

    #[test]
    fn rows_past_the_queues_bound_are_shed() {
        let mut store = store_with(1, |_| {});
        store.enqueue(rows(3), usize::MAX, Timestamp(0));
        assert_eq!((store.pending_bytes(), store.counts.shed), (0, 3));
    }

    fn with_open_breaker(now: Timestamp) -> Store {
        let mut store = store();
        (0..20).for_each(|_| store.record_write(1, WriteOutcome::failed(1), now));
        assert_eq!(store.write_breaker.state(), BreakerState::Open);
        store
    }

    #[test]
    fn no_probe_is_used_where_nothing_can_be_written() {
        let mut store = with_open_breaker(Timestamp(0));
        for _ in 0..10 {
            assert!(store.next_batch(100, Timestamp(5_000)).is_empty());
            assert!(store.encode_now(Vec::new(), Timestamp(5_000)).is_empty());
        }
        store.enqueue(rows(2), usize::MAX, Timestamp(6_000));
        for _ in 0..10 {
            assert!(
                store.next_batch(0, Timestamp(6_000)).is_empty() && store.next_batch(9, Timestamp(5_999)).is_empty()
            );
        }
        assert_eq!(store.next_batch(100, Timestamp(6_000)).len(), 2);
    }

    #[test]
    fn an_immediate_write_respects_the_breaker_the_interval_and_the_budget() {
        let mut store = with_open_breaker(Timestamp(0));
        assert_eq!((store.encode_now(rows(2), Timestamp(10)).len(), store.counts.skipped_breaker_open), (0, 2));
        let mut store = store_with(1 << 20, |settings| settings.max_writes_per_day = Some(3));
        assert_eq!(store.encode_now(rows(2), Timestamp(0)).len(), 2);
        assert_eq!(
            (store.encode_now(rows(2), Timestamp(10)).len(), store.queue.len()),
            (0, 2),
            "their interval has not ended"
        );
        let others = rows(5).split_off(2);
        assert_eq!(store.encode_now(others, Timestamp(20)).len(), 1);
        assert_eq!((store.counts.puts, store.counts.over_budget), (3, 2));
    }

    #[test]
    fn rows_are_read_to_be_merged_as_far_as_they_may_be_written() {
        let bounded = |settings: &mut StoreSettings| {
            (settings.max_writes_per_day, settings.max_writes_per_request) = (Some(1), Some(7));
        };
        let mut store = store_with(1 << 20, bounded);
        assert_eq!((store.writable(Timestamp(0)), self::store().writable(Timestamp(0))), (7, usize::MAX));
        assert_eq!(store.encode_now(rows(1), Timestamp(0)).len(), 1);
        assert_eq!(
            (store.writable(Timestamp(10)), store.writable(Timestamp(86_400_000))),
            (0, 7),
            "its budget is spent"
        );
        let mut store = with_open_breaker(Timestamp(0));
        assert_eq!((store.writable(Timestamp(4_999)), store.writable(Timestamp(5_000))), (0, usize::MAX));
        store.is_read = false;
        assert_eq!(store.writable(Timestamp(5_000)), 0);
    }

    #[test]
    fn all_times_of_a_clock_that_was_ahead_are_set_back() {
        let ahead = 3_600_000;
        let mut store = with_open_breaker(Timestamp(ahead));
        (0..20).for_each(|_| store.breaker.record(false, Timestamp(ahead)));
        store.enqueue(rows(1), usize::MAX, Timestamp(ahead + 400));
        store.scheduled_until = Timestamp(ahead + 1_000);
        store.begin_writing(1, 1, Timestamp(ahead));
        store.set_clock_back(ahead);
        assert_eq!((store.queue.next_at(), store.scheduled_until), (Some(Timestamp(400)), Timestamp(1_000)));
        assert!(store.is_writing(Timestamp(30_499)) && !store.is_writing(Timestamp(30_500)));
        assert!(store.breaker.admits(Timestamp(5_000)) && store.write_breaker.admits(Timestamp(5_000)));
    }

    #[test]
    fn a_request_queues_as_many_rows_as_it_may_and_the_rest_is_shed() {
        let mut store = store();
        store.enqueue(rows(10), 4, Timestamp(0));
        assert_eq!((store.next_batch(100, Timestamp(0)).len(), store.counts.shed), (4, 6));
    }

    #[test]
    fn failing_writes_open_no_read_breaker_and_a_failing_key_opens_none() {
        let mut store = store();
        (0..100).for_each(|_| store.record_write(100, WriteOutcome::failed(1), Timestamp(0)));
        assert_eq!(store.write_breaker.state(), BreakerState::Closed, "one key of a hundred is that key's matter");
        (0..20).for_each(|_| store.record_write(100, WriteOutcome::failed(100), Timestamp(0)));
        assert_eq!((store.write_breaker.state(), store.breaker.state()), (BreakerState::Open, BreakerState::Closed));
        store.enqueue(rows(3), usize::MAX, Timestamp(0));
        assert_eq!((store.next_batch(100, Timestamp(0)).len(), store.counts.skipped_breaker_open), (0, 3));
        assert_eq!(store.counts.errors, 100 + 2_000);
        let mut half = self::store();
        (0..20).for_each(|_| half.record_write(2, WriteOutcome::failed(1), Timestamp(0)));
        assert_eq!(half.write_breaker.state(), BreakerState::Closed);
        let mut single = self::store();
        (0..20).for_each(|_| single.record_write(1, WriteOutcome::failed(1), Timestamp(0)));
        assert_eq!(single.write_breaker.state(), BreakerState::Open);
    }

    #[test]
    fn a_time_later_than_now_is_as_old_as_the_store_allows() {
        let clock = StoreClock { oldest_millis: 3_600_000, max_skew_millis: 5_000 };
        let now = Timestamp(10_000_000);
        let times = |row: &Row| {
            let slots = row.schema().feature_slots();
            slots.map(|slot| row.cell(slot).unwrap().fetched_at.timestamp().0).collect::<Vec<_>>()
        };
        let trusted = clock.trust(row(1, &[("a", 10_000_000), ("b", 10_000_001)]), Timestamp::default(), now).unwrap();
        assert_eq!(times(&trusted), [10_000_000, 6_400_000]);
        let early = clock.trust(row(1, &[("a", 3_000)]), Timestamp::default(), now).unwrap();
        assert_eq!(times(&early), [3_000], "nothing was written");
    }

    #[test]
    fn what_another_clock_may_have_stamped_before_a_write_is_dropped() {
        let clock = StoreClock { oldest_millis: 3_600_000, max_skew_millis: 5_000 };
        let (written_at, now) = (Timestamp(1_000_000), Timestamp(1_010_000));
        let features = [("before", 999_999), ("error", 1_005_000), ("after", 1_005_001), ("future", 1_010_001)];
        let trusted = clock.trust(row(1, &features), written_at, now).unwrap();
        let names: Vec<&str> = trusted.schema().features().iter().map(|name| &**name).collect();
        assert_eq!(names, ["after"]);
        assert!(clock.trust(row(1, &features[..2]), written_at, now).is_none());
        let exact = StoreClock { max_skew_millis: 0, ..clock };
        assert_eq!(exact.trust(row(1, &features), written_at, now).unwrap().schema().features().len(), 2);
    }
}
