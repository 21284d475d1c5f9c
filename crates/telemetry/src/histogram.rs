//! Latencies and counts over a sliding window, as a ring of slots for each series.
//!
//! A percentile is wrong by at most [`MAX_ERROR_PERMILLE`] thousandths. Recording finds a bucket by a few shifts, adds, and allocates
//! nothing after a series' first time. Slots are numbered by absolute time and have the same buckets everywhere, so the windows of
//! many isolates merge exactly. Source of the buckets: the crate `histogram` (H2 histogram, <https://h2histogram.org>).

use ::histogram::{Config, Histogram32};

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Slots of a window: it slides by a tenth of its length.
pub const SLOTS: usize = 10;

/// How wrong a percentile may be, in thousandths: half of a bucket, whose width is 1/64 of where it begins.
pub const MAX_ERROR_PERMILLE: u64 = 8;

/// Up to 127 one bucket a number, above that 64 in an octave, up to 2¹⁸: in milliseconds, past four minutes.
const BUCKETS: Config = match Config::new(6, 18) {
    Ok(buckets) => buckets,
    // Evaluated by the compiler.
    Err(_) => panic!(),
};

/// The largest number that is told from larger ones.
const MAX_VALUE: u64 = (1 << 18) - 1;

/// The bounds of the histogram that is exported, in milliseconds: those of Feast's server.
pub const BOUNDS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/// The bounds of the histogram of entities in a request: those of Feast's server.
pub const ENTITY_BOUNDS: [u64; 9] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000];

/// The bucket of a request for so many entities: the place of its bound, or one past the last.
#[must_use]
pub fn entity_bucket(entities: u64) -> usize {
    ENTITY_BOUNDS.iter().position(|&bound| entities <= bound).unwrap_or(ENTITY_BOUNDS.len())
}

/// What is counted beside latencies. Not every series counts all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Requests, or operations of a tier.
    Requests,
    /// Requests that failed, or were answered without some value that exists: the error rate's.
    Errors,
    /// Requests that were not answered: the availability's.
    Unavailable,
    /// Requests that took longer than the 99th percentile may.
    Slow,
    /// Milliseconds of all requests together.
    Millis,
    /// Rows that L1 had.
    L1Hits,
    /// Rows that it had not.
    L1Misses,
    /// Rows that L2 completed.
    L2Hits,
    /// Rows that it was asked for and did not complete.
    L2Misses,
    /// Rows that L3 completed.
    L3Hits,
    /// Rows that it was asked for and did not complete.
    L3Misses,
    /// Rows, or parts of rows, that nothing could supply.
    RowsMissing,
    /// Rows that were served past their time to live.
    RowsStale,
    /// Values that were asked for.
    Requested,
    /// Values that were served: present, or known to be null, and of a permitted age.
    Served,
    /// Values that could not be had.
    Failed,
    /// The freshness of the served values, in thousandths each.
    Freshness,
    /// Requests for which the origin was called.
    MissRequests,
    /// Their milliseconds.
    MissMillis,
    /// Milliseconds in which requests waited for stores.
    CacheMillis,
    /// Milliseconds in which requests waited for the origin to compute.
    ComputeMillis,
    /// Milliseconds in which requests waited for neither: on their way, or in a queue.
    NetworkMillis,
    /// Milliseconds in which answers were read and written.
    SerializationMillis,
    /// Requests that were answered without a call to the origin.
    CallsSaved,
    /// Entities of all requests together.
    Entities,
    /// Features of all requests together, each as often as it is named.
    Features,
    /// Requests by how many entities they are for: the first [bucket](entity_bucket); the others follow it.
    EntityBuckets,
}

/// How many counts there are.
pub const COUNTS: usize = Count::EntityBuckets as usize + ENTITY_BOUNDS.len() + 1;

/// Which requests, or operations, a series is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// All requests for features.
    All,
    /// Requests to one path.
    Route,
    /// Requests of one priority.
    Priority,
    /// Requests that ask for one view.
    View,
    /// Operations of one tier.
    Tier,
}

/// The name of the series that takes what there is no series for.
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
            let place = BOUNDS.iter().position(|&bound| bucket.start() <= bound);
            if let Some(total) = place.and_then(|place| self.bounds.get_mut(place)) {
                *total = total.saturating_add(bucket.count());
            }
        }
    }
}

/// Requests, or operations, that are measured together.
#[derive(Clone, Debug)]
pub struct Series {
    /// Which they are.
    pub kind: Kind,
    /// The path, priority, view or tier.
    pub name: Box<str>,
    /// The ring; none before the first is recorded.
    slots: Vec<Slot>,
    pub(crate) totals: Totals,
}

/// What a series says of the present window.
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
    /// What the window says.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for slot in &self.slots {
            add_all(&mut summary.counts, &slot.counts);
        }
        [summary.p50, summary.p95, summary.p99] = self.percentiles([500, 950, 990]);
        summary
    }

    /// The values that these thousandths of all recorded ones do not pass, ascending; 0 where there are none.
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
            while let (Some(&permille), Some(place)) = (permilles.get(next), found.get_mut(next)) {
                if below * 1_000 < total * permille {
                    break;
                }
                *place = (bucket.start() + bucket.end()).div_ceil(2);
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
            && let Some(slot) = self.slots.get(windows.place(windows.current))
        {
            totals.add(slot);
        }
        totals
    }
}

/// Requests of one time span, as far as promises go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// All of them.
    pub requests: u64,
    /// Those that were slower than promised.
    pub slow: u64,
    /// Those that failed.
    pub errors: u64,
}

impl Kept {
    fn add(&mut self, other: Kept) {
        self.requests = self.requests.saturating_add(other.requests);
        self.slow = self.slow.saturating_add(other.slow);
        self.errors = self.errors.saturating_add(other.errors);
    }
}

/// A ring over a long time, of which only few numbers are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ring {
    pub(crate) span_millis: u64,
    pub(crate) spans: Vec<(u64, Kept)>,
}

impl Ring {
    fn new(span_millis: u64, spans: usize) -> Ring {
        Ring { span_millis: span_millis.max(1), spans: vec![(0, Kept::default()); spans] }
    }

    pub(crate) fn add(&mut self, at: u64, kept: Kept) {
        let number = at / self.span_millis;
        let length = self.spans.len() as u64;
        let Some(span) = self.spans.get_mut((number % length.max(1)) as usize) else { return };
        if span.0 < number {
            *span = (number, Kept::default());
        }
        if span.0 == number {
            span.1.add(kept);
        }
    }

    fn last(&self, spans: u64, now: Timestamp) -> Kept {
        let number = now.0 / self.span_millis;
        let mut sum = Kept::default();
        for (_, kept) in self.spans.iter().filter(|(at, _)| *at <= number && at + spans > number) {
            sum.add(*kept);
        }
        sum
    }
}

/// All series of one isolate, or of many whose windows were merged.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    slot_millis: u64,
    pub(crate) series: Vec<Series>,
    /// The number of the slot that is recorded in, and when it ends.
    current: u64,
    ends_at: Timestamp,
    /// The slots before this one were sent to where windows are merged.
    sent: u64,
    /// Sixty spans of a minute, and 144 of half an hour; in units of the shortest alerting window where that is set otherwise.
    pub(crate) minutes: Ring,
    pub(crate) half_hours: Ring,
    /// Whether it is fed by others' windows and not by requests.
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
        windows.series_of(Kind::All, "");
        windows
    }

    /// Windows that others' are merged into.
    #[must_use]
    pub fn merged(window_millis: u64, hour_millis: u64) -> Windows {
        Windows { is_merged: true, ..Windows::new(window_millis, hour_millis) }
    }

    /// The number of a series, which is made at the first time. Past [`MAX_SERIES`] it is one that no series has, and what is recorded
    /// under it is dropped.
    pub fn series_of(&mut self, kind: Kind, name: &str) -> usize {
        let known = self.series.iter().position(|series| series.kind == kind && *series.name == *name);
        known.unwrap_or_else(|| {
            if kind == Kind::View && name != OTHER && self.series.len() >= MAX_SERIES - 1 {
                // The last place is theirs whom there is none for.
                return self.series_of(Kind::View, OTHER);
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

    /// Goes on to `now`: slots that are past the window are emptied. To be called before recording and before reading.
    #[inline]
    pub fn advance(&mut self, now: Timestamp) {
        if now >= self.ends_at {
            self.close(now);
        }
    }

    #[cold]
    fn close(&mut self, now: Timestamp) {
        let next = now.0 / self.slot_millis;
        let kept = self.kept_now();
        if !self.is_merged {
            self.minutes.add(self.current * self.slot_millis, kept);
            self.half_hours.add(self.current * self.slot_millis, kept);
        }
        let (closed, emptied) = (self.place(self.current), (next - self.current).min(SLOTS as u64));
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

    fn place(&self, number: u64) -> usize {
        (number % SLOTS as u64) as usize
    }

    /// Records a request, or an operation, that took so long.
    #[inline]
    pub fn record(&mut self, series: usize, millis: u64) {
        self.record_many(series, millis, 1);
    }

    /// Records so many of them.
    pub fn record_many(&mut self, series: usize, millis: u64, times: u64) {
        let place = self.place(self.current);
        let Some(series) = self.series.get_mut(series) else { return };
        if series.slots.is_empty() {
            series.slots = vec![Slot::new(); SLOTS];
        }
        let Some(slot) = series.slots.get_mut(place) else { return };
        // Within the bounds there is a bucket for every value.
        let _ = slot.latencies.add(millis.min(MAX_VALUE), u32::try_from(times).unwrap_or(u32::MAX));
        slot.add(Count::Requests, times);
        slot.add(Count::Millis, millis.saturating_mul(times));
    }

    /// Adds to counts of a series that has been recorded in.
    #[inline]
    pub fn add(&mut self, series: usize, counts: &[(Count, u64)]) {
        let place = self.place(self.current);
        let Some(slot) = self.series.get_mut(series).and_then(|series| series.slots.get_mut(place)) else { return };
        for &(count, more) in counts {
            slot.add(count, more);
        }
    }

    /// Adds so many requests for `entities` and `features` in all, whose entities are all in one [bucket](entity_bucket), to a series
    /// that has been recorded in.
    pub fn add_sizes(&mut self, series: usize, entities: u64, features: u64, times: u64) {
        let place = self.place(self.current);
        let Some(slot) = self.series.get_mut(series).and_then(|series| series.slots.get_mut(place)) else { return };
        slot.add(Count::Entities, entities);
        slot.add(Count::Features, features);
        // Their mean is in the bucket that each of them is in.
        let bucket = entity_bucket(entities.checked_div(times).unwrap_or_default());
        if let Some(count) = slot.counts.get_mut(Count::EntityBuckets as usize + bucket) {
            *count += times;
        }
    }

    fn kept_now(&self) -> Kept {
        let slot = self.all().and_then(|series| series.slots.get(self.place(self.current)));
        slot.map_or(Kept::default(), kept)
    }

    /// How promises were kept in the last so many sixtieths of the shortest long window; past sixty of them, in whole halves of it.
    #[must_use]
    pub fn kept(&self, sixtieths: u64, now: Timestamp) -> Kept {
        let mut sum =
            if sixtieths <= 60 { self.minutes.last(sixtieths, now) } else { self.half_hours.last(sixtieths / 30, now) };
        if !self.is_merged {
            sum.add(self.kept_now());
        }
        sum
    }

    /// The numbers of the slots that have ended and were not sent, as far as they are there still; they count as sent.
    pub(crate) fn take_unsent(&mut self) -> core::ops::Range<u64> {
        let from = self.sent.max((self.current + 1).saturating_sub(SLOTS as u64));
        self.sent = self.current;
        from..self.current
    }

    /// Whether a slot has ended that was not sent.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.sent < self.current
    }

    /// When the present slot ends, if it has something in it.
    #[must_use]
    pub fn open_until(&self) -> Option<Timestamp> {
        self.slots_at(self.current).next().map(|_| self.ends_at)
    }

    /// The slots of that number that have something in them.
    pub(crate) fn slots_at(&self, number: u64) -> impl Iterator<Item = (&Series, &Slot)> {
        let place = self.place(number);
        self.series
            .iter()
            .filter_map(move |series| Some((series, series.slots.get(place)?)))
            .filter(|(_, slot)| !slot.is_empty())
    }

    /// The numbers of the window's slots.
    pub(crate) fn numbers(&self) -> core::ops::RangeInclusive<u64> {
        (self.current + 1).saturating_sub(SLOTS as u64)..=self.current
    }

    /// Adds another's slot; one that is past the window still counts for what is kept longer.
    pub(crate) fn absorb(&mut self, series: usize, number: u64, slot: &Slot, is_new: bool) {
        let (place, is_in_window) = (self.place(number), self.numbers().contains(&number));
        let at = number * self.slot_millis;
        if series == ALL && is_new {
            self.minutes.add(at, kept(slot));
            self.half_hours.add(at, kept(slot));
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
        let Some(own) = series.slots.get_mut(place) else { return };
        add_all(&mut own.counts, &slot.counts);
        for (own, &other) in own.latencies.as_mut_slice().iter_mut().zip(slot.latencies.as_slice()) {
            *own = own.saturating_add(other);
        }
    }

    pub(crate) fn absorb_totals(&mut self, series: usize, totals: &Totals) {
        let Some(own) = self.series.get_mut(series).map(|series| &mut series.totals) else { return };
        add_all(&mut own.counts, &totals.counts);
        add_all(&mut own.bounds, &totals.bounds);
    }
}

/// Adds counts to others. What another isolate sent may be any number.
fn add_all(own: &mut [u64], other: &[u64]) {
    own.iter_mut().zip(other).for_each(|(own, other)| *own = own.saturating_add(*other));
}

fn kept(slot: &Slot) -> Kept {
    Kept { requests: slot.of(Count::Requests), slow: slot.of(Count::Slow), errors: slot.of(Count::Errors) }
}
