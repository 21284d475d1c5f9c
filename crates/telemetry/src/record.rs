//! What the serving core tells of requests as they end, as bytes for whoever watches.
//!
//! The two are apart: the core writes a few bytes to a buffer of fixed size and goes on; the watcher reads them behind answers, a
//! batch at a time, and has all the histograms. Requests that memory answered and that are alike are told together, as one record with
//! their number. Invariant: telling a request allocates nothing once the buffer has grown, and what the buffer cannot take is lost and
//! counted, never waited for. A batch says all that is needed to read it.

use model::time::Instant;

use crate::histogram::entity_bucket;
use crate::numbers::{Reader, write_number, write_numbers};
use crate::quality::Quality;
use crate::state::State;
use crate::trace::Context;

/// What a batch begins with; the last is the version.
const MAGIC: &[u8] = b"FR\x02";

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The way it came.
    pub path: Path,
    /// Its priority, from 0, the lowest, to 3.
    pub priority: u8,
    /// The HTTP status of its answer.
    pub status: u16,
    /// Whether its answer lacks a value that exists.
    pub is_lacking: bool,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
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
        began: Instant,
        /// How long it took, in milliseconds.
        millis: u64,
        /// The HTTP status that it came to; 0 where it came to none.
        status: u16,
    },
}

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanName {
    /// The request itself.
    Request(Path),
    /// Its reading from a store, or its waiting for the origin.
    Tier(Tier),
}

// The first byte of a record: its kind in the low three bits, more in the others.
const AT: u8 = 0;
const HIT: u8 = 1;
const REQUEST: u8 = 2;
const VIEW: u8 = 3;
const OPERATION: u8 = 4;
const SPAN: u8 = 5;

const KIND_BITS: u8 = 3;
const KIND_MASK: u8 = (1 << KIND_BITS) - 1;

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
    at: Instant,
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
    fn begin(&mut self, records: u64, now: Instant) -> bool {
        if self.bytes.len() >= CAPACITY {
            self.lost += records;
            return false;
        }
        if now != self.at {
            self.bytes.push(AT);
            write_number(&mut self.bytes, now.0);
            self.at = now;
        }
        true
    }

    /// Tells of a request for `views` that ends now; what it had of [each](Records::view) follows, in the same order.
    pub fn request(&mut self, request: &Request, views: &[u8], now: Instant) {
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

    fn write_run(&mut self, run: &Run, now: Instant) {
        if run.times > 0 && self.write(&run.request, run.times, now) {
            for (&view, quality) in run.views.iter().zip(&run.qualities).take(run.view_count) {
                self.write_view(view, quality);
            }
        }
    }

    /// Writes a request, or so many; whether there is room.
    fn write(&mut self, request: &Request, times: u64, now: Instant) -> bool {
        if !self.begin(times, now) {
            return false;
        }
        let Request { path, priority, status, is_lacking, millis, cache_millis, origin_millis, rows, .. } = *request;
        let is_hit = rows.l1_misses == 0 && status == 200 && !is_lacking;
        let kind = if is_hit { HIT } else { REQUEST };
        let out = &mut self.bytes;
        out.push(
            kind | (path as u8) << KIND_BITS | priority << (KIND_BITS + 2) | u8::from(is_lacking) << (KIND_BITS + 4),
        );
        write_numbers(out, &[millis, rows.l1_hits, rows.stale, request.entities, request.features]);
        if is_hit {
            write_number(out, times);
        } else {
            let Rows { l1_misses, l2_hits, l2_misses, l3_hits, l3_misses, origin_calls, missing, .. } = rows;
            write_numbers(out, &[u64::from(status), cache_millis, origin_millis, l1_misses, l2_hits, l2_misses]);
            write_numbers(out, &[l3_hits, l3_misses, origin_calls, missing]);
        }
        true
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
        let out = &mut self.bytes;
        out.push(VIEW | u8::from(failed > 0) << KIND_BITS);
        out.push(number);
        write_number(out, requested);
        write_number(out, served);
        write_number(out, freshness);
        if failed > 0 {
            write_number(out, failed);
        }
    }

    /// Tells of an operation of a tier that ends now.
    pub fn operation(&mut self, tier: Tier, has_failed: bool, millis: u64, now: Instant) {
        if self.begin(1, now) {
            self.bytes.push(OPERATION | (tier as u8) << KIND_BITS | u8::from(has_failed) << (KIND_BITS + 2));
            write_number(&mut self.bytes, millis);
        }
    }

    /// Tells of a span that ends now.
    pub fn span(&mut self, context: &Context, name: SpanName, began: Instant, millis: u64, status: u16, now: Instant) {
        if self.begin(1, now) {
            let (is_tier, which) = match name {
                SpanName::Request(path) => (0, path as u8),
                SpanName::Tier(tier) => (1, tier as u8),
            };
            self.bytes.push(SPAN | is_tier << KIND_BITS | which << (KIND_BITS + 1));
            context.write(&mut self.bytes);
            write_numbers(&mut self.bytes, &[began.0, millis, u64::from(status)]);
        }
    }

    /// Takes what has been told, as a batch, with how the core stands now.
    pub fn take(&mut self, state: &State, now: Instant) -> Vec<u8> {
        if core::mem::take(&mut self.has_runs) {
            for run in core::mem::take(&mut self.runs) {
                self.write_run(&run, now);
            }
        }
        let mut out = Vec::with_capacity(self.bytes.len() + 1_024);
        out.extend_from_slice(MAGIC);
        write_numbers(&mut out, &[now.0, core::mem::take(&mut self.lost), self.views.len() as u64]);
        for view in &self.views {
            write_number(&mut out, view.len() as u64);
            out.extend_from_slice(view.as_bytes());
        }
        write_numbers(&mut out, &state.0);
        out.append(&mut self.bytes);
        // Each batch says its times anew.
        self.at = Instant::default();
        out
    }
}

/// A batch of records.
pub struct Batch<'a> {
    /// When it was taken.
    pub at: Instant,
    /// Records that were lost before it.
    pub lost: u64,
    /// The names of views, by the numbers of [`Record::View`] less 1.
    pub views: Vec<&'a str>,
    /// How the core stood.
    pub state: State,
    reader: Reader<'a>,
    now: Instant,
}

impl core::fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Batch")
    }
}

impl<'a> Batch<'a> {
    /// Reads a batch's head; `None` where it is none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Batch<'a>> {
        let mut reader = Reader { bytes: bytes.strip_prefix(MAGIC)? };
        let (at, lost, count) = (Instant(reader.number()?), reader.number()?, reader.number()?);
        let mut views = Vec::new();
        for _ in 0..count.min(MAX_VIEWS as u64) {
            let length = reader.number()?;
            views.push(str::from_utf8(reader.take(length)?).ok()?);
        }
        let mut state = State::default();
        reader.numbers(&mut state.0)?;
        Some(Batch { at, lost, views, state, reader, now: at })
    }

    /// The next record, and when it was told; `None` behind the last, or where one cannot be read.
    pub fn next_record(&mut self) -> Option<(Instant, Record)> {
        loop {
            let reader = &mut self.reader;
            let head = reader.byte()?;
            let more = head >> KIND_BITS;
            let record = match head & KIND_MASK {
                AT => {
                    self.now = Instant(reader.number()?);
                    continue;
                }
                kind @ (HIT | REQUEST) => {
                    let (millis, l1_hits, stale) = (reader.number()?, reader.number()?, reader.number()?);
                    let (entities, features) = (reader.number()?, reader.number()?);
                    let mut rest = [200, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                    let mut times = 1;
                    if kind == REQUEST {
                        reader.numbers(&mut rest)?;
                    } else {
                        times = reader.number()?;
                    }
                    let [status, cache_millis, origin_millis, l1_misses, l2_hits, l2_misses, ..] = rest;
                    let [.., l3_hits, l3_misses, origin_calls, missing] = rest;
                    let status = u16::try_from(status).ok()?;
                    let rows = Rows {
                        l1_hits,
                        stale,
                        l1_misses,
                        l2_hits,
                        l2_misses,
                        l3_hits,
                        l3_misses,
                        origin_calls,
                        missing,
                    };
                    let request = Request {
                        path: path_of(more & 3)?,
                        priority: more >> 2 & 3,
                        status,
                        is_lacking: more >> 4 == 1,
                        millis,
                        cache_millis,
                        origin_millis,
                        entities,
                        features,
                        rows,
                    };
                    Record::Request(request, times)
                }
                VIEW => {
                    let number = reader.byte()?;
                    let (requested, served, freshness) = (reader.number()?, reader.number()?, reader.number()?);
                    let failed = if more & 1 == 1 { reader.number()? } else { 0 };
                    Record::View { number, quality: Quality { requested, served, failed, freshness } }
                }
                OPERATION => {
                    Record::Operation { tier: tier_of(more & 3)?, has_failed: more >> 2 == 1, millis: reader.number()? }
                }
                SPAN => {
                    let name = match more & 1 {
                        0 => SpanName::Request(path_of(more >> 1)?),
                        _ => SpanName::Tier(tier_of(more >> 1)?),
                    };
                    let context = Context::read(reader)?;
                    let (began, millis) = (Instant(reader.number()?), reader.number()?);
                    let status = u16::try_from(reader.number()?).ok()?;
                    Record::Span { context, name, began, millis, status }
                }
                _ => return None,
            };
            return Some((self.now, record));
        }
    }
}

fn path_of(number: u8) -> Option<Path> {
    [Path::Feast, Path::Native, Path::Writes].get(usize::from(number)).copied()
}

fn tier_of(number: u8) -> Option<Tier> {
    [Tier::L2, Tier::L3, Tier::Origin].get(usize::from(number)).copied()
}
