//! What is told of requests as they end, for the aggregator.
//!
//! It knows no windows, no promises and no alerts, and keeps nothing but what has not been taken yet. Its invariant: no reply waits
//! for any of it. A request is told by one call that allocates nothing, and what was told goes out behind replies, a second later at
//! the most.

use crate::io::{Order, OrderId, Part, Step, Task};
use crate::rows::{Timings, Waiting};
use crate::{Protocol, Service, foldhash_mix};
use ::prefetch::prefetch::Measured;
use config::Config;
use engine::breaker::{Breaker, BreakerState};
use engine::latency::{MIN_ORIGIN_MILLIS, MIN_STORE_MILLIS};
use engine::store::Store;
use model::answer::{Answer, Tier};
use model::request::{Priority, ViewAsk};
use model::time::Instant;
use protocol::call::Call;
use protocol::native::Options;
use protocol::plan::Plan;
use telemetry::quality::quality_of;
use telemetry::record::{self, Batch, Path, Records, Request, Rows, SpanName};
use telemetry::sla;
use telemetry::snapshot::{GaugeSnapshot, L1Gauges, L2Choice, PrefetchGauges, TierGauges};
use telemetry::trace::Context;

/// How long what was told waits for more, in milliseconds.
const EVERY_MILLIS: u64 = 1_000;

/// How long after its time an order may be performed, in milliseconds, before it counts as lost with its request.
const PATIENCE_MILLIS: u64 = 30_000;

/// What was told and not taken yet, and what of requests is to be told.
#[derive(Debug)]
pub(super) struct Recorder {
    records: Records,
    is_enabled: bool,
    max_views: usize,
    /// Of requests without a trace of their own, how many begin one, in percent; none where nobody collects them.
    traces_percent: Option<u64>,
    /// When it was last taken.
    taken_at: Instant,
    /// Until when it is on its way to be taken; and whether that is because there was much.
    ordered_until: Instant,
    is_pressed: bool,
}

impl Recorder {
    pub(super) fn new(config: &Config) -> Recorder {
        let telemetry = &config.telemetry;
        Recorder {
            records: Records::default(),
            is_enabled: telemetry.enabled,
            max_views: telemetry.max_views,
            traces_percent: telemetry.traces_url.as_ref().map(|_| telemetry.traces_percent),
            taken_at: Instant::default(),
            ordered_until: Instant::default(),
            is_pressed: false,
        }
    }

    /// The memory that it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.records.size()
    }

    /// Puts its times back by so many milliseconds: the clock that they were taken by was ahead.
    pub(super) fn set_back(&mut self, millis: u64) {
        self.taken_at = self.taken_at.minus(millis);
        self.ordered_until = self.ordered_until.minus(millis);
    }

    /// In how many milliseconds what was told is to be taken, where that has not been ordered yet.
    #[inline]
    fn due(&mut self, now: Instant) -> Option<u64> {
        if self.records.is_empty() {
            return None;
        }
        let is_pressing = self.records.is_pressing();
        if now < self.ordered_until && (self.is_pressed || !is_pressing) {
            return None;
        }
        self.is_pressed = is_pressing;
        let delay = if is_pressing { 0 } else { EVERY_MILLIS.saturating_sub(now.millis_since(self.taken_at)) };
        self.ordered_until = now.plus(delay + PATIENCE_MILLIS);
        Some(delay)
    }

    /// Where in a trace a request stands that comes with this header, if with any; `None` where it is in none.
    fn context(&self, traceparent: &str, mut random: impl FnMut() -> u64) -> Option<Context> {
        if !self.is_enabled || (traceparent.is_empty() && self.traces_percent.is_none()) {
            return None;
        }
        let within = Context::within(traceparent, random());
        within.or_else(|| {
            let is_sampled = random() % 100 < self.traces_percent?;
            is_sampled.then(|| Context::new([random(), random(), random()], is_sampled))
        })
    }

    /// Tells of an operation of a tier that began then and ends now.
    pub(super) fn operation(&mut self, tier: Tier, began: Instant, has_failed: bool, now: Instant) {
        if let Some(tier) = told_tier(tier).filter(|_| self.is_enabled) {
            self.records.operation(tier, has_failed, now.millis_since(began), now);
        }
    }

    /// Tells of a write that has passed through since then.
    pub(super) fn write(&mut self, began: Instant, now: Instant) {
        if self.is_enabled {
            let millis = now.millis_since(began);
            let request = Request { path: Path::Writes, status: 200, millis, ..Request::default() };
            self.records.request(&request, &[], now);
        }
    }

    /// Tells of a request that ends now.
    #[inline]
    fn request(&mut self, ended: &Ended<'_>, now: Instant) {
        let Ended { path, priority, status, began, timings, asked, .. } = *ended;
        let millis = now.millis_since(began);
        let mut request = Request {
            path,
            priority: priority as u8,
            status,
            millis,
            entities: asked.entities as u64,
            features: asked.features as u64,
            ..Request::default()
        };
        let Some((plan, answer)) = ended.answered else {
            return self.records.request(&request, &[], now);
        };
        if plan.service.is_some() {
            // Its members stand in the rows.
            let row = answer.found.iter().find_map(|found| found.row.as_ref());
            request.features = row.map_or(0, |row| row.schema().features().len() as u64);
        }
        let tally = &answer.tally;
        request.is_lacking = tally.missing > 0 && answer.failure.is_some();
        request.rows = Rows { l1_hits: tally.l1_hits.into(), stale: tally.stale.into(), ..Rows::default() };
        if tally.l1_misses > 0 {
            let parts = timings.parts(millis);
            (request.cache_millis, request.origin_millis) = (parts.cache, parts.computation);
            request.rows = Rows {
                l1_misses: tally.l1_misses.into(),
                l2_hits: tally.l2_hits.into(),
                l2_misses: tally.l2_misses.into(),
                l3_hits: tally.l3_hits.into(),
                l3_misses: tally.l3_misses.into(),
                origin_calls: tally.compute_requests.into(),
                missing: tally.missing.into(),
                ..request.rows
            };
        }
        let records = &mut self.records;
        // A name that nobody has answered to is a caller's own, and no label.
        let is_known = plan.told.get().is_some() || (status == 200 && !request.is_lacking);
        let others: Vec<u8>;
        let numbers = if is_known {
            let number = |view: &ViewAsk| records.number_of(view.space().name(), self.max_views);
            plan.told.get_or_init(|| plan.views.iter().map(number).collect())
        } else {
            others = vec![0; plan.views.len()];
            others.as_slice()
        };
        records.request(&request, numbers, now);
        for (place, (view, &number)) in plan.views.iter().zip(numbers).enumerate() {
            let found = answer.found.get(place * asked.entities..(place + 1) * asked.entities).unwrap_or_default();
            records.view(number, &quality_of(view, found, ended.max_staleness, began));
        }
    }

    /// Tells of the spans of a request that ends now.
    fn spans(&mut self, context: &Context, ended: &Ended<'_>, now: Instant) {
        if self.traces_percent.is_none() || !context.is_sampled() {
            return;
        }
        let Ended { path, status, began, timings, .. } = *ended;
        let millis = now.millis_since(began);
        self.records.span(context, SpanName::Request(path), began, millis, status, now);
        for (tier, began, millis, status) in timings.spans() {
            self.records.span(context, SpanName::Tier(tier), began, millis, status, now);
        }
    }
}

/// How much a request asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    entities: usize,
    /// Each as often as it is named; none of a feature service, whose members the origin names.
    features: usize,
}

impl Asked {
    pub(super) fn of(call: &Call) -> Asked {
        Asked { entities: call.rows, features: call.feature_count }
    }
}

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
struct Ended<'a> {
    path: Path,
    priority: Priority,
    asked: Asked,
    answered: Option<(&'a Plan, &'a Answer)>,
    max_staleness: Option<u64>,
    status: u16,
    began: Instant,
    timings: &'a Timings,
}

fn told_tier(tier: Tier) -> Option<record::Tier> {
    match tier {
        Tier::L1 => None,
        Tier::L2 => Some(record::Tier::L2),
        Tier::L3 => Some(record::Tier::L3),
        Tier::Origin => Some(record::Tier::Origin),
    }
}

impl Service {
    /// Notes where in a trace a request stands that has just come.
    pub(super) fn begin_trace(&mut self, traceparent: &str) {
        let (seed, tickets) = (self.seed, &mut self.tickets);
        self.context = self.recorder.context(traceparent, || {
            *tickets += 1;
            foldhash_mix(seed, *tickets)
        });
    }

    /// The timings of a request that has just come.
    pub(super) fn timings(&mut self) -> Timings {
        Timings { context: self.context.take(), ..Timings::default() }
    }

    /// Ends a step: lets go of memory that few requests need, and orders, once in a while, that what was told is to be taken.
    #[inline]
    pub(super) fn end_step(&mut self, step: &mut Step, now: Instant) {
        self.trim();
        if let Some(delay) = self.recorder.due(now) {
            let id = OrderId { ticket: self.next_ticket(now), part: Part::Records };
            step.orders.push(Order { id, task: Task::Records, timeout_millis: delay });
        }
    }

    /// What was told since this was last called, and how the engine stands: a batch for the aggregator.
    pub fn take_records(&mut self, now: Instant) -> Batch {
        let now = self.now(now);
        let gauges = self.gauges();
        self.recorder.taken_at = now;
        (self.recorder.ordered_until, self.recorder.is_pressed) = (Instant::default(), false);
        self.recorder.records.take(gauges, now)
    }

    /// Keeps what the aggregator says of the isolate's service level, for the answers from now on.
    pub fn set_sla_status(&mut self, status: sla::Status) {
        self.sla_status = status;
    }

    /// Within how many milliseconds a request is to be answered: the more urgent it is, the faster the share of all requests whose
    /// target is its own. A caller's own deadline may be sooner.
    pub(super) fn latency_target(&self, options: &Options) -> u64 {
        let sla = &self.config.sla;
        let target = match options.priority {
            Priority::Critical => sla.p50_ms,
            Priority::High => sla.p95_ms,
            Priority::Normal | Priority::Low => sla.p99_ms,
        };
        options.deadline_millis.map_or(target, |deadline| target.min(deadline))
    }

    /// Tells of a request that ends now.
    #[expect(clippy::too_many_arguments, reason = "one place where all that is told of a request comes together")]
    pub(super) fn record(
        &mut self,
        protocol: Protocol,
        asked: Asked,
        answered: Option<(&Plan, &Answer)>,
        status: u16,
        began: Instant,
        timings: &Timings,
        now: Instant,
    ) {
        if !self.recorder.is_enabled {
            return;
        }
        let (path, priority, max_staleness) = match protocol {
            Protocol::Feast => (Path::Feast, Priority::Normal, None),
            Protocol::Native(options) => (Path::Native, options.priority, Some(options.max_staleness)),
        };
        let ended = Ended { path, priority, asked, answered, max_staleness, status, began, timings };
        self.recorder.request(&ended, now);
        if let Some(context) = &timings.context {
            self.recorder.spans(context, &ended, now);
        }
    }

    /// Tells of a request that waited and ends now. What the origin refuses (4xx) is its caller's fault and counts for nothing.
    pub(super) fn record_waiting(&mut self, waiting: &Waiting, answer: &Answer, status: u16, now: Instant) {
        if (400..500).contains(&status) {
            return;
        }
        let Waiting { protocol, call, plan, began, timings, .. } = waiting;
        self.record(*protocol, Asked::of(call), Some((plan, answer)), status, *began, timings, now);
    }

    /// How the engine stands.
    fn gauges(&self) -> GaugeSnapshot {
        let (engine, config) = (&self.engine, &self.config);
        let (memory, limiter) = (engine.memory(), engine.origin_limiter());
        let hedge = engine.stores().first().and_then(|store| store.latency().quantile(950));
        let most = config.origin.timeout_ms;
        let timeout = engine.timeout_of(engine.origin_latency(), MIN_ORIGIN_MILLIS, most);
        let mut gauges = GaugeSnapshot {
            l1: L1Gauges {
                rows: memory.len() as u64,
                bytes: memory.bytes() as u64,
                max_rows: config.l1.max_entries as u64,
                max_bytes: config.l1.max_bytes as u64,
                evictions: memory.evictions(),
            },
            waiting: engine.sessions() as u64,
            refused: engine.refused(),
            hedged: engine.hedged(),
            hedge_millis: hedge.filter(|_| config.deadlines.hedging).map(|millis| millis + 1),
            origin_under_way: limiter.under_way() as u64,
            origin_limit: limiter.limit().into(),
            is_origin_limit_adaptive: config.load.adaptive_concurrency,
            l2_choice: engine
                .l2_decision()
                .map(|decision| L2Choice { order: decision.order.name(), reason: decision.reason.text() }),
            l2: None,
            l3: None,
            origin: Some(tier_gauges(engine.origin_breaker(), None, timeout, most)),
            prefetch: prefetch_gauges(engine.governor().measured()),
            memory: self.memory(),
        };
        for store in engine.stores() {
            let (tier, most) = match store.tier() {
                Tier::L3 => (&mut gauges.l3, config.l3.timeout_ms),
                _ => (&mut gauges.l2, config.l2.timeout_ms),
            };
            let timeout = engine.timeout_of(store.latency(), MIN_STORE_MILLIS, most);
            *tier = Some(tier_gauges(store.breaker(), Some(store), timeout, most));
        }
        gauges
    }
}

fn prefetch_gauges(measured: &Measured) -> PrefetchGauges {
    PrefetchGauges {
        issued: measured.issued,
        probes: measured.probes,
        used: measured.used,
        late: measured.late,
        wasted: measured.wasted,
        failed: measured.failed,
        over_budget: measured.over_budget,
        declined: measured.declined,
        displaced: measured.displaced,
        missed: measured.missed,
        reads: measured.reads,
        calls: measured.calls,
        writes: measured.writes,
        // Money is told in millionths of a dollar.
        spent: measured.spent / 1_000,
        saved: measured.saved / 1_000,
        precision: measured.precision_permille().unwrap_or_default(),
        coverage: measured.coverage_permille().unwrap_or_default(),
        timeliness: measured.timeliness_permille().unwrap_or_default(),
        models: measured.models,
        models_ignored: measured.models_ignored,
    }
}

fn tier_gauges(breaker: &Breaker, store: Option<&Store>, timeout: u64, most: u64) -> TierGauges {
    let is_open = |breaker: &Breaker| breaker.state() != BreakerState::Closed;
    let counts = store.map(|store| *store.counts()).unwrap_or_default();
    TierGauges {
        is_open: is_open(breaker),
        opened: breaker.times_opened(),
        gets: counts.gets,
        puts: counts.puts,
        unchanged: counts.unchanged,
        coalesced: counts.coalesced,
        over_budget: counts.over_budget,
        left_out: counts.left_out,
        unusable: counts.foreign + counts.other_version + counts.damaged + counts.other_key,
        shed: counts.shed,
        unmerged: counts.unmerged,
        are_writes_open: store.is_some_and(|store| is_open(store.write_breaker())),
        timeout_millis: timeout,
        max_timeout_millis: most,
    }
}
