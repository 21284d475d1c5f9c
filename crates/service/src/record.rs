//! Records requests and operations as they end, for the aggregator.
//!
//! It knows no windows, SLOs or alerts, and keeps only what has not been taken. Invariant: no reply waits
//! for it. A request is recorded by one call that allocates nothing, and the records are taken in the
//! background within a second.

use crate::request::RequestContext;
use crate::timings::Timings;
use config::Config;
use model::answer::{Answer, Tier};
use model::request::ViewQuery;
use model::time::Timestamp;
use protocol::feature_request::FeatureRequest;
use protocol::plan::Plan;
use telemetry::quality::quality_of;
use telemetry::record::{self, Batch, RecordBuffer, Request, Route, RowCounts, SpanName};
use telemetry::snapshot::GaugeSnapshot;
use telemetry::trace::TraceContext;

/// The interval at which records are taken, in milliseconds.
const FLUSH_INTERVAL_MILLIS: u64 = 1_000;

/// How long past its time a scheduled flush counts as lost with its request, in milliseconds.
const FLUSH_LOST_AFTER_MILLIS: u64 = 30_000;

/// The records that were not taken yet, and the settings.
#[derive(Debug)]
pub(super) struct Recorder {
    records: RecordBuffer,
    is_enabled: bool,
    max_views: usize,
    /// The share of requests without a trace that begin one, in percent; `None` where no collector is
    /// configured.
    trace_sampling_percent: Option<u64>,
    /// When the records were last taken.
    taken_at: Timestamp,
    /// Until when a flush is expected, and whether it is urgent.
    flush_expected_until: Timestamp,
    is_flush_urgent: bool,
}

impl Recorder {
    pub(super) fn new(config: &Config) -> Recorder {
        let telemetry = &config.telemetry;
        Recorder {
            records: RecordBuffer::default(),
            is_enabled: telemetry.enabled,
            max_views: telemetry.max_views,
            trace_sampling_percent: telemetry.traces_url.as_ref().map(|_| telemetry.trace_sampling_percent),
            taken_at: Timestamp::default(),
            flush_expected_until: Timestamp::default(),
            is_flush_urgent: false,
        }
    }

    /// The memory that it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.records.size()
    }

    /// Shifts its times back by so many milliseconds, after a clock that was ahead.
    pub(super) fn set_clock_back(&mut self, millis: u64) {
        self.taken_at = self.taken_at.minus(millis);
        self.flush_expected_until = self.flush_expected_until.minus(millis);
    }

    /// In how many milliseconds the records are to be taken, where no flush is scheduled yet.
    #[inline]
    pub(super) fn due(&mut self, now: Timestamp) -> Option<u64> {
        if self.records.is_empty() {
            return None;
        }
        let is_flush_due = self.records.is_flush_due();
        if now < self.flush_expected_until && (self.is_flush_urgent || !is_flush_due) {
            return None;
        }
        self.is_flush_urgent = is_flush_due;
        let delay =
            if is_flush_due { 0 } else { FLUSH_INTERVAL_MILLIS.saturating_sub(now.millis_since(self.taken_at)) };
        self.flush_expected_until = now.plus(delay + FLUSH_LOST_AFTER_MILLIS);
        Some(delay)
    }

    /// The trace context of a request with this header; `None` where it belongs to no trace.
    pub(super) fn trace(&self, traceparent: &str, mut random: impl FnMut() -> u64) -> Option<TraceContext> {
        if !self.is_enabled || (traceparent.is_empty() && self.trace_sampling_percent.is_none()) {
            return None;
        }
        let within = TraceContext::from_traceparent(traceparent, random());
        within.or_else(|| {
            let is_sampled = random() % 100 < self.trace_sampling_percent?;
            is_sampled.then(|| TraceContext::new([random(), random(), random()], is_sampled))
        })
    }

    /// Records an operation of a tier.
    pub(super) fn operation(&mut self, tier: Tier, began: Timestamp, has_failed: bool, now: Timestamp) {
        if let Some(tier) = recorded_tier(tier).filter(|_| self.is_enabled) {
            self.records.operation(tier, has_failed, now.millis_since(began), now);
        }
    }

    /// Records a passed-through write.
    pub(super) fn write(&mut self, began: Timestamp, now: Timestamp) {
        if self.is_enabled {
            let millis = now.millis_since(began);
            let request = Request { route: Route::Writes, status: 200, millis, ..Request::default() };
            self.records.request(&request, &[], now);
        }
    }

    /// Takes the records since the last call, with the gauges: a batch for the aggregator.
    pub(super) fn take(&mut self, gauges: GaugeSnapshot, now: Timestamp) -> Batch {
        self.taken_at = now;
        (self.flush_expected_until, self.is_flush_urgent) = (Timestamp::default(), false);
        self.records.take(gauges, now)
    }

    /// Records a request that ends now.
    pub(super) fn request(&mut self, ended: &CompletedRequest<'_>, now: Timestamp) {
        if !self.is_enabled {
            return;
        }
        let route = if ended.context.protocol.is_feast() { Route::Feast } else { Route::Native };
        self.record_request(route, ended, now);
        if let Some(trace) = &ended.context.trace {
            self.spans(trace, route, ended, now);
        }
    }

    #[inline]
    fn record_request(&mut self, route: Route, ended: &CompletedRequest<'_>, now: Timestamp) {
        let CompletedRequest { context, status, timings, size, .. } = *ended;
        let (began, max_staleness) = (context.began, context.protocol.options().map(|options| options.max_staleness));
        let millis = now.millis_since(began);
        let mut request = Request {
            route,
            priority: context.priority() as u8,
            status,
            millis,
            entities: size.entities as u64,
            features: size.features as u64,
            ..Request::default()
        };
        let Some((plan, answer)) = ended.answered else {
            return self.records.request(&request, &[], now);
        };
        if plan.service.is_some() {
            // The rows name its members.
            let row = answer.found.iter().find_map(|found| found.row.as_ref());
            request.features = row.map_or(0, |row| row.schema().features().len() as u64);
        }
        let tier_counts = &answer.tier_counts;
        request.is_incomplete = tier_counts.missing > 0 && answer.failure.is_some();
        request.rows =
            RowCounts { l1_hits: tier_counts.l1_hits.into(), stale: tier_counts.stale.into(), ..RowCounts::default() };
        if tier_counts.l1_misses > 0 {
            let parts = timings.parts(millis);
            (request.cache_millis, request.origin_millis) = (parts.cache, parts.computation);
            request.rows = RowCounts {
                l1_misses: tier_counts.l1_misses.into(),
                l2_hits: tier_counts.l2_hits.into(),
                l2_misses: tier_counts.l2_misses.into(),
                l3_hits: tier_counts.l3_hits.into(),
                l3_misses: tier_counts.l3_misses.into(),
                origin_calls: tier_counts.compute_requests.into(),
                missing: tier_counts.missing.into(),
                ..request.rows
            };
        }
        let records = &mut self.records;
        // A view name that no origin has confirmed is the caller's own, and no label.
        let is_known = plan.view_numbers.get().is_some() || (status == 200 && !request.is_incomplete);
        let others: Vec<u8>;
        let numbers = if is_known {
            let number = |view: &ViewQuery| records.view_number(view.space().name(), self.max_views);
            plan.view_numbers.get_or_init(|| plan.views.iter().map(number).collect())
        } else {
            others = vec![0; plan.views.len()];
            others.as_slice()
        };
        records.request(&request, numbers, now);
        for (slot, (view, &number)) in plan.views.iter().zip(numbers).enumerate() {
            let found = answer.found.get(slot * size.entities..(slot + 1) * size.entities).unwrap_or_default();
            records.view(number, &quality_of(view, found, max_staleness, began));
        }
    }

    /// Records the spans of a request that ends now.
    fn spans(&mut self, trace: &TraceContext, route: Route, ended: &CompletedRequest<'_>, now: Timestamp) {
        if self.trace_sampling_percent.is_none() || !trace.is_sampled() {
            return;
        }
        let CompletedRequest { context, status, timings, .. } = *ended;
        let began = context.began;
        let millis = now.millis_since(began);
        self.records.span(trace, SpanName::Request(route), began, millis, status, now);
        for (tier, began, millis, status) in timings.spans() {
            self.records.span(trace, SpanName::Tier(tier), began, millis, status, now);
        }
    }
}

/// The size of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestSize {
    entities: usize,
    /// Each as often as it is named; 0 of a feature service, whose members the origin names.
    features: usize,
}

impl RequestSize {
    pub(super) fn of(call: &FeatureRequest) -> RequestSize {
        RequestSize { entities: call.rows, features: call.feature_count }
    }
}

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct CompletedRequest<'a> {
    pub(super) context: &'a RequestContext<'a>,
    pub(super) size: RequestSize,
    pub(super) answered: Option<(&'a Plan, &'a Answer)>,
    pub(super) status: u16,
    pub(super) timings: &'a Timings,
}

fn recorded_tier(tier: Tier) -> Option<record::RemoteTier> {
    match tier {
        Tier::L1 => None,
        Tier::L2 => Some(record::RemoteTier::L2),
        Tier::L3 => Some(record::RemoteTier::L3),
        Tier::Origin => Some(record::RemoteTier::Origin),
    }
}
