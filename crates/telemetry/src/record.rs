//! Records of ended requests, from the serving core to the aggregator.
//!
//! The core appends a few bytes to a buffer of fixed size. The aggregator, which has the histograms, reads them in batches in the background.
//! A record is a [`Record`] in postcard's wire format. Those on the request path are encoded by hand, since postcard takes some five times
//! as long. Similar requests that L1 answered are run-length encoded: one record with their number. A batch is self-describing.
//! Invariant: recording allocates nothing once the buffer has grown. Records for which the buffer has no room are dropped and counted.

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::histogram::entity_bucket;
use crate::quality::Quality;
use crate::snapshot::GaugeSnapshot;
use crate::trace::TraceContext;
use crate::windows_codec::append_postcard;

/// The most bytes of records in the buffer.
const CAPACITY: usize = 64 * 1024;

/// The most memory of the buffer, in bytes, with its free capacity and the names of views.
pub const MAX_BYTES: usize = 2 * CAPACITY + MAX_VIEWS * (MAX_NAME + 64);

/// From this many bytes on the buffer is to be flushed at once.
const FLUSH_BYTES: usize = CAPACITY / 2;

/// The most views with their own number; further ones are view 0.
pub const MAX_VIEWS: usize = 24;

/// The longest name of a view with its own number, in bytes.
const MAX_NAME: usize = 128;

/// The route of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Route {
    /// `POST /get-online-features`.
    #[default]
    Feast,
    /// `POST /v1/features`.
    Native,
    /// A write that passed through.
    Writes,
}

/// The names of the routes.
pub const ROUTES: [&str; 3] = ["/get-online-features", "/v1/features", "writes"];

/// A tier outside the core's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemoteTier {
    /// The distributed store.
    L2,
    /// The storage tier.
    L3,
    /// The origin.
    Origin,
}

/// The names of the tiers.
pub const TIERS: [&str; 3] = ["l2", "l3", "origin"];

/// Where the rows of a request came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Rows that L1 had.
    pub l1_hits: u64,
    /// Rows that were served past their time to live.
    pub stale: u64,
    /// Rows that L1 did not have. If there are none, the fields below are 0.
    pub l1_misses: u64,
    /// Of these, rows that L2 completed.
    pub l2_hits: u64,
    /// Rows that L2 did not complete.
    pub l2_misses: u64,
    /// Rows that L3 completed.
    pub l3_hits: u64,
    /// Rows that L3 did not complete.
    pub l3_misses: u64,
    /// Origin calls.
    pub origin_calls: u64,
    /// Rows that no tier could complete.
    pub missing: u64,
}

/// A request that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its route.
    pub route: Route,
    /// Its priority, from 0, the lowest, to 3.
    pub priority: u8,
    /// Whether its response lacks a value that exists.
    pub is_incomplete: bool,
    /// The HTTP status of its response.
    pub status: u16,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Of these, how long it waited for stores, and for the origin.
    pub cache_millis: u64,
    /// See `cache_millis`.
    pub origin_millis: u64,
    /// How many entities it is for.
    pub entities: u64,
    /// How many features it names.
    pub features: u64,
    /// Where its rows came from.
    pub rows: RowCounts,
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The time of the records that follow.
    At(Timestamp),
    /// A request, or so many similar ones; then its rows, entities and features are the sums of all.
    Request(Request, u64),
    /// The quality of a view of the last request, or of all of them.
    View {
        /// The view's number among the [names](Batch::views), from 1; 0 is all others.
        number: u8,
        /// The quality.
        quality: Quality,
    },
    /// An operation of a tier.
    Operation {
        /// The tier.
        tier: RemoteTier,
        /// Whether it failed.
        has_failed: bool,
        /// How long it took.
        millis: u64,
    },
    /// A span of a trace.
    Span {
        /// The request's trace context.
        context: TraceContext,
        /// Its name: the request, or an operation of a tier.
        name: SpanName,
        /// When it began.
        began: Timestamp,
        /// How long it took, in milliseconds.
        millis: u64,
        /// The HTTP status; 0 if there is none.
        status: u16,
    },
}

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpanName {
    /// The request itself.
    Request(Route),
    /// A read of a store, or the wait for the origin.
    Tier(RemoteTier),
}

// The tags of records in postcard's format: their indices in `Record`.
const AT: u8 = 0;
const REQUEST: u8 = 1;
const VIEW: u8 = 2;
const OPERATION: u8 = 3;

/// Appends numbers in postcard's varint encoding: little-endian, base 128.
#[inline]
fn write_varints(out: &mut Vec<u8>, numbers: &[u64]) {
    for &number in numbers {
        let mut number = number;
        while number >= 0x80 {
            out.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }
}

/// How many runs are open at a time, and the most views of a run's requests.
const RUNS: usize = 8;
const RUN_VIEWS: usize = 4;

/// A run of similar requests, all answered by L1.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    request: Request,
    views: [u8; RUN_VIEWS],
    view_count: usize,
    /// How many they are.
    times: u64,
    /// The bucket of their entities.
    bucket: usize,
    qualities: [Quality; RUN_VIEWS],
}

impl Run {
    fn matches(&self, request: &Request, bucket: usize, views: &[u8]) -> bool {
        self.bucket == bucket
            && self.request.route == request.route
            && self.request.priority == request.priority
            && self.request.millis == request.millis
            && self.views.get(..self.view_count) == Some(views)
    }
}

/// Where the qualities of the last request's views go.
#[derive(Clone, Copy, Debug, Default)]
enum ViewTarget {
    /// Nowhere: the request was dropped.
    #[default]
    Dropped,
    /// After the request's own record.
    Record,
    /// To a run; and the index of the next view.
    Run(usize, usize),
}

/// The records that were not taken yet.
#[derive(Clone, Debug, Default)]
pub struct RecordBuffer {
    bytes: Vec<u8>,
    /// The time of the last record.
    at: Timestamp,
    /// Records dropped since the last batch.
    dropped: u64,
    views: Vec<Box<str>>,
    runs: [Run; RUNS],
    has_runs: bool,
    view_target: ViewTarget,
}

impl RecordBuffer {
    /// Whether there are no records.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.has_runs
    }

    /// The memory that it uses, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.capacity() + self.views.iter().map(|name| name.len() + 64).sum::<usize>()
    }

    /// Whether a batch should be taken at once.
    #[must_use]
    #[inline]
    pub fn is_flush_due(&self) -> bool {
        self.bytes.len() >= FLUSH_BYTES
    }

    /// The number of a view; `max_views` names have their own. Empty and long names have none.
    pub fn view_number(&mut self, name: &str, max_views: usize) -> u8 {
        if name.is_empty() || name.len() > MAX_NAME {
            return 0;
        }
        let known = self.views.iter().position(|known| **known == *name);
        let index = known.or_else(|| {
            let has_room = self.views.len() < max_views.min(MAX_VIEWS);
            has_room.then(|| {
                self.views.push(name.into());
                self.views.len() - 1
            })
        });
        index.map_or(0, |index| index as u8 + 1)
    }

    /// Records the time if it has changed; `false` if the buffer is full.
    #[inline]
    fn begin(&mut self, records: u64, now: Timestamp) -> bool {
        if self.bytes.len() >= CAPACITY {
            self.dropped += records;
            return false;
        }
        if now != self.at {
            self.bytes.push(AT);
            write_varints(&mut self.bytes, &[now.0]);
            self.at = now;
        }
        true
    }

    /// Records a request for `views` that ends now. The quality of [each](RecordBuffer::view) follows, in the same order.
    pub fn request(&mut self, request: &Request, views: &[u8], now: Timestamp) {
        let is_hit = request.rows.l1_misses == 0 && request.status == 200 && !request.is_incomplete;
        let bucket = entity_bucket(request.entities);
        let kind = request.route as usize ^ views.first().map_or(0, |&view| usize::from(view) << 1);
        let index = (kind + bucket * 3) % RUNS;
        let Some(run) = self.runs.get_mut(index).filter(|_| is_hit && views.len() <= RUN_VIEWS) else {
            let has_room = self.write(request, 1, now);
            self.view_target = if has_room { ViewTarget::Record } else { ViewTarget::Dropped };
            return;
        };
        self.view_target = ViewTarget::Run(index, 0);
        self.has_runs = true;
        if run.times > 0 && run.matches(request, bucket, views) {
            run.times += 1;
            run.request.rows.l1_hits += request.rows.l1_hits;
            run.request.rows.stale += request.rows.stale;
            run.request.entities += request.entities;
            run.request.features += request.features;
            return;
        }
        let mut next = Run { request: *request, times: 1, bucket, view_count: views.len(), ..Run::default() };
        next.views.iter_mut().zip(views).for_each(|(own, &view)| *own = view);
        let ended = core::mem::replace(run, next);
        self.write_run(&ended, now);
    }

    fn write_run(&mut self, run: &Run, now: Timestamp) {
        if run.times > 0 && self.write(&run.request, run.times, now) {
            for (&view, quality) in run.views.iter().zip(&run.qualities).take(run.view_count) {
                self.write_view(view, quality);
            }
        }
    }

    /// Writes a request, or so many; whether there was room.
    fn write(&mut self, request: &Request, times: u64, now: Timestamp) -> bool {
        let has_room = self.begin(times, now);
        if has_room {
            let Request { route, priority, status, is_incomplete, millis, cache_millis, origin_millis, .. } = *request;
            let Request { entities, features, rows, .. } = *request;
            let RowCounts { l1_hits, stale, l1_misses, l2_hits, l2_misses, l3_hits, l3_misses, origin_calls, missing } =
                rows;
            let out = &mut self.bytes;
            out.extend_from_slice(&[REQUEST, route as u8, priority, u8::from(is_incomplete)]);
            write_varints(out, &[status.into(), millis, cache_millis, origin_millis, entities, features]);
            write_varints(out, &[l1_hits, stale, l1_misses, l2_hits, l2_misses, l3_hits, l3_misses]);
            write_varints(out, &[origin_calls, missing, times]);
        }
        has_room
    }

    /// Records the quality of the next view of the last request.
    pub fn view(&mut self, number: u8, quality: &Quality) {
        match &mut self.view_target {
            ViewTarget::Dropped => {}
            ViewTarget::Record => self.write_view(number, quality),
            ViewTarget::Run(run, view) => {
                let sum = self.runs.get_mut(*run).and_then(|run| run.qualities.get_mut(*view));
                sum.into_iter().for_each(|sum| sum.add(quality));
                *view += 1;
            }
        }
    }

    fn write_view(&mut self, number: u8, quality: &Quality) {
        if self.bytes.len() >= CAPACITY {
            self.dropped += 1;
            return;
        }
        let Quality { requested, served, failed, freshness } = *quality;
        self.bytes.extend_from_slice(&[VIEW, number]);
        write_varints(&mut self.bytes, &[requested, served, failed, freshness]);
    }

    /// Records an operation of a tier that ends now.
    pub fn operation(&mut self, tier: RemoteTier, has_failed: bool, millis: u64, now: Timestamp) {
        if self.begin(1, now) {
            self.bytes.extend_from_slice(&[OPERATION, tier as u8, u8::from(has_failed)]);
            write_varints(&mut self.bytes, &[millis]);
        }
    }

    /// Records a span that ends now.
    pub fn span(
        &mut self,
        context: &TraceContext,
        name: SpanName,
        began: Timestamp,
        millis: u64,
        status: u16,
        now: Timestamp,
    ) {
        if self.begin(1, now) {
            // Traced requests are few, so postcard's speed does.
            append_postcard(&mut self.bytes, &Record::Span { context: *context, name, began, millis, status });
        }
    }

    /// Takes all records as a batch, with the core's gauges.
    pub fn take(&mut self, gauges: GaugeSnapshot, now: Timestamp) -> Batch {
        if core::mem::take(&mut self.has_runs) {
            for run in core::mem::take(&mut self.runs) {
                self.write_run(&run, now);
            }
        }
        let batch = Batch {
            dropped: core::mem::take(&mut self.dropped),
            views: self.views.clone(),
            gauges,
            bytes: self.bytes.clone(),
        };
        self.bytes.clear();
        // Each batch begins with its own time.
        self.at = Timestamp::default();
        batch
    }
}

/// A batch of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Records dropped before it.
    pub dropped: u64,
    /// The names of views, by the numbers of [`Record::View`] less 1.
    pub views: Vec<Box<str>>,
    /// The core's gauges.
    pub gauges: GaugeSnapshot,
    /// The encoded records.
    bytes: Vec<u8>,
}

impl Batch {
    /// The records.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let mut rest = self.bytes.as_slice();
        core::iter::from_fn(move || {
            let (record, tail) = postcard::take_from_bytes(rest).ok()?;
            rest = tail;
            Some(record)
        })
    }
}
