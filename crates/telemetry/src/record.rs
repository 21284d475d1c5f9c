//! What the serving core tells of requests as they end, for the aggregator.
//!
//! The two are apart: the core writes a few bytes to a buffer of fixed size and goes on; the aggregator reads them behind answers, a
//! batch at a time, and has all the histograms. A record is a [`Record`] in postcard's wire format. Those that answers pay for are
//! written by hand, since postcard takes some five times as long. Requests that memory answered and that are alike are told together, as
//! one record with their number. Invariant: telling a request allocates nothing once the buffer has grown, and what the buffer cannot
//! take is lost and counted, never waited for. A batch says all that is needed to read it.

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::histogram::entity_bucket;
use crate::quality::Quality;
use crate::snapshot::GaugeSnapshot;
use crate::trace::Context;
use crate::wire::put;

/// The most bytes of records that wait to be taken.
const CAPACITY: usize = 64 * 1024;

/// The most memory that records take, in bytes, with what their buffer has free and the names of views.
pub const MAX_BYTES: usize = 2 * CAPACITY + MAX_VIEWS * (MAX_NAME + 64);

/// From how many bytes on they are to be taken at once.
const PRESSING: usize = CAPACITY / 2;

/// Views past this number are told together, as view 0.
pub const MAX_VIEWS: usize = 24;

/// The longest name of a view that is told, in bytes.
const MAX_NAME: usize = 128;

/// Which way a request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Path {
    /// `POST /get-online-features`.
    #[default]
    Feast,
    /// `POST /v1/features`.
    Native,
    /// A write that was passed on.
    Writes,
}

/// The names of the paths.
pub const PATHS: [&str; 3] = ["/get-online-features", "/v1/features", "writes"];

/// A tier that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
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
pub struct Rows {
    /// Rows that L1 had.
    pub l1_hits: u64,
    /// Rows that are served past their time to live.
    pub stale: u64,
    /// Rows that L1 had not; where there is none, what follows is 0.
    pub l1_misses: u64,
    /// Of these, rows that L2 completed.
    pub l2_hits: u64,
    /// Rows that it did not.
    pub l2_misses: u64,
    /// Rows that L3 completed.
    pub l3_hits: u64,
    /// Rows that it did not.
    pub l3_misses: u64,
    /// Calls to the origin.
    pub origin_calls: u64,
    /// Rows that nothing could supply.
    pub missing: u64,
}

/// A request that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The way it came.
    pub path: Path,
    /// Its priority, from 0, the lowest, to 3.
    pub priority: u8,
    /// Whether its answer lacks a value that exists.
    pub is_lacking: bool,
    /// The HTTP status of its answer.
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
    pub rows: Rows,
}

/// Something that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// When the records that follow were told.
    At(Timestamp),
    /// A request, or so many that are alike; then its rows, entities and features are those of all of them together.
    Request(Request, u64),
    /// What the request, or all of them, had of a view; follows it.
    View {
        /// The view's number among the [names](Batch::views), from 1; 0 is all others together.
        number: u8,
        /// What was had.
        quality: Quality,
    },
    /// An operation of a tier.
    Operation {
        /// The tier.
        tier: Tier,
        /// Whether it failed.
        has_failed: bool,
        /// How long it took.
        millis: u64,
    },
    /// A span of a trace.
    Span {
        /// Where in its trace the request stands.
        context: Context,
        /// What it is: the whole request, or a tier's part.
        name: SpanName,
        /// When it began.
        began: Timestamp,
        /// How long it took, in milliseconds.
        millis: u64,
        /// The HTTP status that it came to; 0 where it came to none.
        status: u16,
    },
}

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpanName {
    /// The request itself.
    Request(Path),
    /// Its reading from a store, or its waiting for the origin.
    Tier(Tier),
}

// What a record begins with in postcard's format: its place in `Record`.
const AT: u8 = 0;
const REQUEST: u8 = 1;
const VIEW: u8 = 2;
const OPERATION: u8 = 3;

/// Appends numbers as postcard has them: little-endian in base 128.
#[inline]
fn write_numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    for &number in numbers {
        let mut number = number;
        while number >= 0x80 {
            out.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }
}

/// How many kinds of requests are told together at one time, and of how many views each may be.
const RUNS: usize = 8;
const RUN_VIEWS: usize = 4;

/// Requests that are alike: memory answered all of each.
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
    fn is_of(&self, request: &Request, bucket: usize, views: &[u8]) -> bool {
        self.bucket == bucket
            && self.request.path == request.path
            && self.request.priority == request.priority
            && self.request.millis == request.millis
            && self.views.get(..self.view_count) == Some(views)
    }
}

/// What the views belong to that are told next.
#[derive(Clone, Copy, Debug, Default)]
enum Told {
    /// To a request there was no room for.
    #[default]
    Nothing,
    /// To the last record.
    Record,
    /// To a run, of which so many views have been told.
    Run(usize, usize),
}

/// What has been told and not yet taken.
#[derive(Clone, Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    /// The time of the last record.
    at: Timestamp,
    /// Records that there was no room for since the last were taken.
    lost: u64,
    views: Vec<Box<str>>,
    runs: [Run; RUNS],
    has_runs: bool,
    told: Told,
}

impl Records {
    /// Whether nothing was told.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.has_runs
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.capacity() + self.views.iter().map(|name| name.len() + 64).sum::<usize>()
    }

    /// Whether there is so much that it should be taken at once.
    #[must_use]
    #[inline]
    pub fn is_pressing(&self) -> bool {
        self.bytes.len() >= PRESSING
    }

    /// The number by which a view is told: that of `name`, and at most `max_views` of them. Who has no name, or a long one, is one
    /// of the others.
    pub fn number_of(&mut self, name: &str, max_views: usize) -> u8 {
        if name.is_empty() || name.len() > MAX_NAME {
            return 0;
        }
        let known = self.views.iter().position(|known| **known == *name);
        let place = known.or_else(|| {
            let has_room = self.views.len() < max_views.min(MAX_VIEWS);
            has_room.then(|| {
                self.views.push(name.into());
                self.views.len() - 1
            })
        });
        place.map_or(0, |place| place as u8 + 1)
    }

    /// Makes room for a record and notes the time; `false` where there is none.
    #[inline]
    fn begin(&mut self, records: u64, now: Timestamp) -> bool {
        if self.bytes.len() >= CAPACITY {
            self.lost += records;
            return false;
        }
        if now != self.at {
            self.bytes.push(AT);
            write_numbers(&mut self.bytes, &[now.0]);
            self.at = now;
        }
        true
    }

    /// Tells of a request for `views` that ends now; what it had of [each](Records::view) follows, in the same order.
    pub fn request(&mut self, request: &Request, views: &[u8], now: Timestamp) {
        let is_hit = request.rows.l1_misses == 0 && request.status == 200 && !request.is_lacking;
        let bucket = entity_bucket(request.entities);
        let kind = request.path as usize ^ views.first().map_or(0, |&view| usize::from(view) << 1);
        let place = (kind + bucket * 3) % RUNS;
        let Some(run) = self.runs.get_mut(place).filter(|_| is_hit && views.len() <= RUN_VIEWS) else {
            let has_room = self.write(request, 1, now);
            self.told = if has_room { Told::Record } else { Told::Nothing };
            return;
        };
        self.told = Told::Run(place, 0);
        self.has_runs = true;
        if run.times > 0 && run.is_of(request, bucket, views) {
            run.times += 1;
            run.request.rows.l1_hits += request.rows.l1_hits;
            run.request.rows.stale += request.rows.stale;
            run.request.entities += request.entities;
            run.request.features += request.features;
            return;
        }
        let mut next = Run { request: *request, times: 1, bucket, view_count: views.len(), ..Run::default() };
        next.views.iter_mut().zip(views).for_each(|(place, &view)| *place = view);
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

    /// Writes a request, or so many; whether there is room.
    fn write(&mut self, request: &Request, times: u64, now: Timestamp) -> bool {
        let has_room = self.begin(times, now);
        if has_room {
            let Request { path, priority, status, is_lacking, millis, cache_millis, origin_millis, .. } = *request;
            let Request { entities, features, rows, .. } = *request;
            let Rows { l1_hits, stale, l1_misses, l2_hits, l2_misses, l3_hits, l3_misses, origin_calls, missing } =
                rows;
            let out = &mut self.bytes;
            out.extend_from_slice(&[REQUEST, path as u8, priority, u8::from(is_lacking)]);
            write_numbers(out, &[status.into(), millis, cache_millis, origin_millis, entities, features]);
            write_numbers(out, &[l1_hits, stale, l1_misses, l2_hits, l2_misses, l3_hits, l3_misses]);
            write_numbers(out, &[origin_calls, missing, times]);
        }
        has_room
    }

    /// Tells what the request that was told last had of its next view.
    pub fn view(&mut self, number: u8, quality: &Quality) {
        match &mut self.told {
            Told::Nothing => {}
            Told::Record => self.write_view(number, quality),
            Told::Run(run, view) => {
                let place = self.runs.get_mut(*run).and_then(|run| run.qualities.get_mut(*view));
                place.into_iter().for_each(|place| place.add(quality));
                *view += 1;
            }
        }
    }

    fn write_view(&mut self, number: u8, quality: &Quality) {
        if self.bytes.len() >= CAPACITY {
            self.lost += 1;
            return;
        }
        let Quality { requested, served, failed, freshness } = *quality;
        self.bytes.extend_from_slice(&[VIEW, number]);
        write_numbers(&mut self.bytes, &[requested, served, failed, freshness]);
    }

    /// Tells of an operation of a tier that ends now.
    pub fn operation(&mut self, tier: Tier, has_failed: bool, millis: u64, now: Timestamp) {
        if self.begin(1, now) {
            self.bytes.extend_from_slice(&[OPERATION, tier as u8, u8::from(has_failed)]);
            write_numbers(&mut self.bytes, &[millis]);
        }
    }

    /// Tells of a span that ends now.
    pub fn span(
        &mut self,
        context: &Context,
        name: SpanName,
        began: Timestamp,
        millis: u64,
        status: u16,
        now: Timestamp,
    ) {
        if self.begin(1, now) {
            // Few requests are traced.
            put(&mut self.bytes, &Record::Span { context: *context, name, began, millis, status });
        }
    }

    /// Takes what has been told, as a batch, with how the core stands now.
    pub fn take(&mut self, gauges: GaugeSnapshot, now: Timestamp) -> Batch {
        if core::mem::take(&mut self.has_runs) {
            for run in core::mem::take(&mut self.runs) {
                self.write_run(&run, now);
            }
        }
        let batch = Batch {
            lost: core::mem::take(&mut self.lost),
            views: self.views.clone(),
            gauges,
            bytes: self.bytes.clone(),
        };
        self.bytes.clear();
        // Each batch says its times anew.
        self.at = Timestamp::default();
        batch
    }
}

/// A batch of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Records that were lost before it.
    pub lost: u64,
    /// The names of views, by the numbers of [`Record::View`] less 1.
    pub views: Vec<Box<str>>,
    /// How the core stood.
    pub gauges: GaugeSnapshot,
    /// The records, one behind the other.
    bytes: Vec<u8>,
}

impl Batch {
    /// The records.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let mut rest = self.bytes.as_slice();
        core::iter::from_fn(move || {
            let (record, behind) = postcard::take_from_bytes(rest).ok()?;
            rest = behind;
            Some(record)
        })
    }
}
