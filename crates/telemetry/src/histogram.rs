//! Latencies and counts over a sliding window, as a ring of slots for each series.
//!
//! The error of a percentile is at most [`MAX_ERROR_PERMILLE`] thousandths. Recording finds the bucket by a few shifts, and allocates only at
//! a series' first record. Slots are numbered by absolute time and have the same buckets everywhere, so the windows of many isolates
//! merge exactly. Source of the buckets: the crate `histogram` (H2 histogram, <https://h2histogram.org>).

use ::histogram::{Config, Histogram32};

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Slots of a window, which slides by a tenth of its length.
pub const SLOTS: usize = 10;

/// The largest error of a percentile, in thousandths: half of a bucket, whose width is 1/64 of its lower bound.
pub const MAX_ERROR_PERMILLE: u64 = 8;

/// One bucket for each number up to 127, then 64 in each octave, up to 2¹⁸: more than four minutes in milliseconds.
const BUCKETS: Config = match Config::new(6, 18) {
    Ok(buckets) => buckets,
    // Evaluated by the compiler.
    Err(_) => panic!(),
};

/// The largest value that has a bucket; larger ones count as this.
const MAX_VALUE: u64 = (1 << 18) - 1;

/// The bounds of exported histograms of latency, in milliseconds: those of Feast's server.
pub const BOUNDS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/// The bounds of the histogram of entities in a request: those of Feast's server.
pub const ENTITY_BOUNDS: [u64; 9] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000];

/// The bucket of a request for so many entities: the index of its bound, or one past the last.
#[must_use]
pub fn entity_bucket(entities: u64) -> usize {
    ENTITY_BOUNDS.iter().position(|&bound| entities <= bound).unwrap_or(ENTITY_BOUNDS.len())
}

/// What is counted besides latencies. Not every series has every count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Requests, or operations of a tier.
    Requests,
    /// Requests that failed or lacked a value, for the error rate.
    Errors,
    /// Requests that were not answered, for the availability.
    Unavailable,
    /// Requests slower than the objective of the 99th percentile.
    Slow,
    /// Milliseconds of all requests together.
    Millis,
    /// Rows that L1 had.
    L1Hits,
    /// Rows that L1 did not have.
    L1Misses,
    /// Rows that L2 completed.
    L2Hits,
    /// Rows that L2 was read for and did not complete.
    L2Misses,
    /// Rows that L3 completed.
    L3Hits,
    /// Rows that L3 was read for and did not complete.
    L3Misses,
    /// Rows that no tier could complete.
    RowsMissing,
    /// Rows that were served past their time to live.
    RowsStale,
    /// Values requested.
    Requested,
    /// Values served: present or known to be null, and of a permitted age.
    Served,
    /// Values that failed.
    Failed,
    /// The freshness of the served values, in thousandths each.
    Freshness,
    /// Requests with an origin call.
    MissRequests,
    /// Their milliseconds.
    MissMillis,
    /// Milliseconds in which requests waited for stores.
    CacheMillis,
    /// Milliseconds in which requests waited for the origin to compute.
    ComputeMillis,
    /// Milliseconds in which requests waited for neither: in queues, and between host and core.
    NetworkMillis,
    /// Milliseconds of serialization.
    SerializationMillis,
    /// Requests that were answered without an origin call.
    CallsSaved,
    /// Entities of all requests together.
    Entities,
    /// Features of all requests together; a repeated name counts each time.
    Features,
    /// Requests by their number of entities: the first [bucket](entity_bucket), which the others follow.
    EntityBuckets,
}

/// How many counts there are.
pub const COUNTS: usize = Count::EntityBuckets as usize + ENTITY_BOUNDS.len() + 1;

/// What a series measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeriesKind {
    /// All requests for features.
    All,
    /// Requests of one route.
    Route,
    /// Requests of one priority.
    Priority,
    /// Requests that name one view.
    View,
    /// Operations of one tier.
    Tier,
}

/// The name of the series for all views without their own.
pub const OTHER: &str = "other";

/// The most series of all kinds.
pub const MAX_SERIES: usize = 48;

/// One time span of a series.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) latencies: Histogram32,
    pub(crate) counts: [u64; COUNTS],
}

impl Slot {
    pub(crate) fn new() -> Slot {
        Slot { latencies: Histogram32::with_config(&BUCKETS), counts: [0; COUNTS] }
    }

    pub(crate) fn of(&self, count: Count) -> u64 {
        self.counts.get(count as usize).copied().unwrap_or_default()
    }

    #[inline]
    fn add(&mut self, count: Count, more: u64) {
        if let Some(count) = self.counts.get_mut(count as usize) {
            *count += more;
        }
    }

    fn is_empty(&self) -> bool {
        self.of(Count::Requests) == 0
    }
}

/// What was counted since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// By [`Count`].
    pub counts: [u64; COUNTS],
    /// How many requests took no longer than each of [`BOUNDS`], and longer than the one before.
    pub bounds: [u64; BOUNDS.len()],
}

impl Default for Totals {
    fn default() -> Self {
        Totals { counts: [0; COUNTS], bounds: [0; BOUNDS.len()] }
    }
}

impl Totals {
    /// One of the counts.
    #[must_use]
    pub fn of(&self, count: Count) -> u64 {
        self.counts.get(count as usize).copied().unwrap_or_default()
    }

    /// How many requests were in each [bucket](entity_bucket) of entities.
    #[must_use]
    pub fn entity_buckets(&self) -> &[u64] {
        self.counts.get(Count::EntityBuckets as usize..).unwrap_or_default()
    }

    fn add(&mut self, slot: &Slot) {
        add_all(&mut self.counts, &slot.counts);
        for bucket in slot.latencies.iter().filter(|bucket| bucket.count() > 0) {
            let index = BOUNDS.iter().position(|&bound| bucket.start() <= bound);
            if let Some(total) = index.and_then(|index| self.bounds.get_mut(index)) {
                *total = total.saturating_add(bucket.count());
            }
        }
    }
}

/// Requests, or operations, that are measured together.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it measures.
    pub kind: SeriesKind,
    /// The route, priority, view or tier.
    pub name: Box<str>,
    /// The ring; empty before the first record.
    slots: Vec<Slot>,
    pub(crate) totals: Totals,
}

/// The present window of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// By [`Count`].
    pub counts: [u64; COUNTS],
    /// The median, in milliseconds.
    pub p50: u64,
    /// The 95th percentile.
    pub p95: u64,
    /// The 99th percentile.
    pub p99: u64,
}

impl Default for Summary {
    fn default() -> Self {
        Summary { counts: [0; COUNTS], p50: 0, p95: 0, p99: 0 }
    }
}

impl Summary {
    /// One of the counts.
    #[must_use]
    pub fn of(&self, count: Count) -> u64 {
        self.counts.get(count as usize).copied().unwrap_or_default()
    }
}

impl Series {
    /// Summarizes the window.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for slot in &self.slots {
            add_all(&mut summary.counts, &slot.counts);
        }
        [summary.p50, summary.p95, summary.p99] = self.percentiles([500, 950, 990]);
        summary
    }

    /// The quantiles at these thousandths, which ascend; 0 for an empty window.
    fn percentiles<const N: usize>(&self, permilles: [u64; N]) -> [u64; N] {
        let total: u64 =
            self.slots.iter().flat_map(|slot| slot.latencies.as_slice()).map(|&count| u64::from(count)).sum();
        let mut found = [0; N];
        let (mut below, mut next) = (0, 0);
        let Some(first) = self.slots.first() else { return found };
        for (index, bucket) in first.latencies.iter().enumerate() {
            below += self
                .slots
                .iter()
                .filter_map(|slot| slot.latencies.as_slice().get(index))
                .map(|&count| u64::from(count))
                .sum::<u64>();
            while let (Some(&permille), Some(index)) = (permilles.get(next), found.get_mut(next)) {
                if below * 1_000 < total * permille {
                    break;
                }
                *index = (bucket.start() + bucket.end()).div_ceil(2);
                next += 1;
            }
        }
        found
    }

    /// What was counted since the start.
    #[must_use]
    pub fn totals(&self, windows: &Windows) -> Totals {
        let mut totals = self.totals.clone();
        if !windows.is_merged
            && let Some(slot) = self.slots.get(windows.slot_index(windows.current))
        {
            totals.add(slot);
        }
        totals
    }
}

/// Requests of one time span, counted against the SLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SloCounts {
    /// All of them.
    pub requests: u64,
    /// Slow requests.
    pub slow: u64,
    /// Failed requests.
    pub errors: u64,
}

impl SloCounts {
    fn add(&mut self, other: SloCounts) {
        self.requests = self.requests.saturating_add(other.requests);
        self.slow = self.slow.saturating_add(other.slow);
        self.errors = self.errors.saturating_add(other.errors);
    }
}

/// A ring over a long time, with few numbers for each span.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ring {
    pub(crate) span_millis: u64,
    pub(crate) spans: Vec<(u64, SloCounts)>,
}

impl Ring {
    fn new(span_millis: u64, spans: usize) -> Ring {
        Ring { span_millis: span_millis.max(1), spans: vec![(0, SloCounts::default()); spans] }
    }

    pub(crate) fn add(&mut self, at: u64, slo_counts: SloCounts) {
        let number = at / self.span_millis;
        let length = self.spans.len() as u64;
        let Some(span) = self.spans.get_mut((number % length.max(1)) as usize) else { return };
        if span.0 < number {
            *span = (number, SloCounts::default());
        }
        if span.0 == number {
            span.1.add(slo_counts);
        }
    }

    fn sum_of_last(&self, spans: u64, now: Timestamp) -> SloCounts {
        let number = now.0 / self.span_millis;
        let mut sum = SloCounts::default();
        for (_, slo_counts) in self.spans.iter().filter(|(at, _)| *at <= number && at + spans > number) {
            sum.add(*slo_counts);
        }
        sum
    }
}

/// All series of one isolate, or of many whose windows were merged.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    slot_millis: u64,
    pub(crate) series: Vec<Series>,
    /// The number of the present slot, and when it ends.
    current: u64,
    ends_at: Timestamp,
    /// The slots before this one were sent to be merged.
    sent: u64,
    /// Sixty spans of a minute, and 144 of half an hour; in units of the shortest alerting window where that is set otherwise.
    pub(crate) minutes: Ring,
    pub(crate) half_hours: Ring,
    /// Whether it consists of other isolates' windows.
    is_merged: bool,
}

/// The number of the series of all requests.
pub const ALL: usize = 0;

impl Windows {
    /// Windows of `window_millis`; the shortest of the long windows for burn rates is `hour_millis` long.
    #[must_use]
    pub fn new(window_millis: u64, hour_millis: u64) -> Windows {
        let mut windows = Windows {
            slot_millis: (window_millis / SLOTS as u64).max(1),
            series: Vec::new(),
            current: 0,
            ends_at: Timestamp(0),
            sent: 0,
            minutes: Ring::new(hour_millis / 60, 60),
            half_hours: Ring::new(hour_millis / 2, 144),
            is_merged: false,
        };
        windows.series_of(SeriesKind::All, "");
        windows
    }

    /// Windows to merge those of other isolates into.
    #[must_use]
    pub fn merged(window_millis: u64, hour_millis: u64) -> Windows {
        Windows { is_merged: true, ..Windows::new(window_millis, hour_millis) }
    }

    /// The index of a series, which is added if it is new. Past [`MAX_SERIES`] the index is of no series, and its records are dropped.
    pub fn series_of(&mut self, kind: SeriesKind, name: &str) -> usize {
        let known = self.series.iter().position(|series| series.kind == kind && *series.name == *name);
        known.unwrap_or_else(|| {
            if kind == SeriesKind::View && name != OTHER && self.series.len() >= MAX_SERIES - 1 {
                // The last series is for all views without their own.
                return self.series_of(SeriesKind::View, OTHER);
            }
            if self.series.len() >= MAX_SERIES {
                return usize::MAX;
            }
            self.series.push(Series { kind, name: name.into(), slots: Vec::new(), totals: Totals::default() });
            self.series.len() - 1
        })
    }

    /// All series.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// All requests.
    #[must_use]
    pub fn all(&self) -> Option<&Series> {
        self.series.first()
    }

    /// How long a slot is, in milliseconds.
    #[must_use]
    pub fn slot_millis(&self) -> u64 {
        self.slot_millis
    }

    /// Advances to `now` and empties slots that have left the window. Call it before recording and before reading.
    #[inline]
    pub fn advance(&mut self, now: Timestamp) {
        if now >= self.ends_at {
            self.close(now);
        }
    }

    #[cold]
    fn close(&mut self, now: Timestamp) {
        let next = now.0 / self.slot_millis;
        let slo_counts = self.current_slo_counts();
        if !self.is_merged {
            self.minutes.add(self.current * self.slot_millis, slo_counts);
            self.half_hours.add(self.current * self.slot_millis, slo_counts);
        }
        let (closed, emptied) = (self.slot_index(self.current), (next - self.current).min(SLOTS as u64));
        for series in &mut self.series {
            if !self.is_merged
                && let Some(slot) = series.slots.get(closed).filter(|slot| !slot.is_empty())
            {
                series.totals.add(slot);
            }
            for number in next + 1 - emptied..=next {
                if let Some(slot) =
                    series.slots.get_mut((number % SLOTS as u64) as usize).filter(|slot| !slot.is_empty())
                {
                    slot.latencies.reset();
                    slot.counts = [0; COUNTS];
                }
            }
        }
        self.current = next;
        self.ends_at = Timestamp((next + 1) * self.slot_millis);
    }

    fn slot_index(&self, number: u64) -> usize {
        (number % SLOTS as u64) as usize
    }

    /// Records the latency of a request, or of an operation.
    #[inline]
    pub fn record(&mut self, series: usize, millis: u64) {
        self.record_many(series, millis, 1);
    }

    /// Records `times` requests of equal latency.
    pub fn record_many(&mut self, series: usize, millis: u64, times: u64) {
        let index = self.slot_index(self.current);
        let Some(series) = self.series.get_mut(series) else { return };
        if series.slots.is_empty() {
            series.slots = vec![Slot::new(); SLOTS];
        }
        let Some(slot) = series.slots.get_mut(index) else { return };
        // Every value up to the maximum has a bucket.
        let _ = slot.latencies.add(millis.min(MAX_VALUE), u32::try_from(times).unwrap_or(u32::MAX));
        slot.add(Count::Requests, times);
        slot.add(Count::Millis, millis.saturating_mul(times));
    }

    /// Adds to counts of a series that has been recorded in.
    #[inline]
    pub fn add(&mut self, series: usize, counts: &[(Count, u64)]) {
        let index = self.slot_index(self.current);
        let Some(slot) = self.series.get_mut(series).and_then(|series| series.slots.get_mut(index)) else { return };
        for &(count, more) in counts {
            slot.add(count, more);
        }
    }

    /// Adds the sizes of `times` requests to a series that has been recorded in: their sums of entities and features. The requests share a
    /// [bucket](entity_bucket) of entities.
    pub fn add_sizes(&mut self, series: usize, entities: u64, features: u64, times: u64) {
        let index = self.slot_index(self.current);
        let Some(slot) = self.series.get_mut(series).and_then(|series| series.slots.get_mut(index)) else { return };
        slot.add(Count::Entities, entities);
        slot.add(Count::Features, features);
        // They share a bucket, so their mean is in it too.
        let bucket = entity_bucket(entities.checked_div(times).unwrap_or_default());
        if let Some(count) = slot.counts.get_mut(Count::EntityBuckets as usize + bucket) {
            *count += times;
        }
    }

    fn current_slo_counts(&self) -> SloCounts {
        let slot = self.all().and_then(|series| series.slots.get(self.slot_index(self.current)));
        slot.map_or(SloCounts::default(), slo_counts)
    }

    /// Counts against the SLO of the last sixtieths of the shortest long window; past sixty of them, in whole halves of it.
    #[must_use]
    pub fn slo_counts(&self, sixtieths: u64, now: Timestamp) -> SloCounts {
        let mut sum = if sixtieths <= 60 {
            self.minutes.sum_of_last(sixtieths, now)
        } else {
            self.half_hours.sum_of_last(sixtieths / 30, now)
        };
        if !self.is_merged {
            sum.add(self.current_slo_counts());
        }
        sum
    }

    /// The numbers of the closed slots that were not sent and still exist; they count as sent from now on.
    pub(crate) fn take_unsent(&mut self) -> core::ops::Range<u64> {
        let from = self.sent.max((self.current + 1).saturating_sub(SLOTS as u64));
        self.sent = self.current;
        from..self.current
    }

    /// Whether a closed slot was not sent.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.sent < self.current
    }

    /// When the present slot ends, unless it is empty.
    #[must_use]
    pub fn open_until(&self) -> Option<Timestamp> {
        self.slots_at(self.current).next().map(|_| self.ends_at)
    }

    /// The slots of that number that are not empty.
    pub(crate) fn slots_at(&self, number: u64) -> impl Iterator<Item = (&Series, &Slot)> {
        let index = self.slot_index(number);
        self.series
            .iter()
            .filter_map(move |series| Some((series, series.slots.get(index)?)))
            .filter(|(_, slot)| !slot.is_empty())
    }

    /// The numbers of the window's slots.
    pub(crate) fn slot_numbers(&self) -> core::ops::RangeInclusive<u64> {
        (self.current + 1).saturating_sub(SLOTS as u64)..=self.current
    }

    /// Merges another isolate's slot. One that has left the window still counts in totals and burn rates.
    pub(crate) fn merge_slot(&mut self, series: usize, number: u64, slot: &Slot, is_new: bool) {
        let (index, is_in_window) = (self.slot_index(number), self.slot_numbers().contains(&number));
        let at = number * self.slot_millis;
        if series == ALL && is_new {
            self.minutes.add(at, slo_counts(slot));
            self.half_hours.add(at, slo_counts(slot));
        }
        let Some(series) = self.series.get_mut(series) else { return };
        if is_new {
            series.totals.add(slot);
        }
        if !is_in_window {
            return;
        }
        if series.slots.is_empty() {
            series.slots = vec![Slot::new(); SLOTS];
        }
        let Some(own) = series.slots.get_mut(index) else { return };
        add_all(&mut own.counts, &slot.counts);
        for (own, &other) in own.latencies.as_mut_slice().iter_mut().zip(slot.latencies.as_slice()) {
            *own = own.saturating_add(other);
        }
    }

    pub(crate) fn merge_totals(&mut self, series: usize, totals: &Totals) {
        let Some(own) = self.series.get_mut(series).map(|series| &mut series.totals) else { return };
        add_all(&mut own.counts, &totals.counts);
        add_all(&mut own.bounds, &totals.bounds);
    }
}

/// Adds counts. Those of another isolate may be any number, so the sums saturate.
fn add_all(own: &mut [u64], other: &[u64]) {
    own.iter_mut().zip(other).for_each(|(own, other)| *own = own.saturating_add(*other));
}

fn slo_counts(slot: &Slot) -> SloCounts {
    SloCounts { requests: slot.of(Count::Requests), slow: slot.of(Count::Slow), errors: slot.of(Count::Errors) }
}
