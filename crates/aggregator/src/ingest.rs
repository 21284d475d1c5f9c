//! From records to windows. A request counts in the series of all requests, of its route, of its priority and of its views.

use model::time::Timestamp;
use telemetry::histogram::{ALL, Count, OTHER, SeriesKind};
use telemetry::quality::Quality;
use telemetry::record::{Batch, ROUTES, Record, Request, SpanName};
use telemetry::trace::{Span, TraceExport};

use crate::{Aggregator, EVALUATION_INTERVAL_MILLIS};

/// The most spans that wait for an export. Further ones are dropped.
const MAX_SPANS: usize = 2_000;

/// The names of the tiers' spans.
const TIER_SPANS: [&str; 3] = ["l2 read", "l3 read", "origin"];

/// What a request, whose views are being read, counts against the SLO.
type SloOutcome = [(Count, u64); 3];

impl Aggregator {
    pub(crate) fn ingest_records(&mut self, batch: &Batch) {
        self.gauges = batch.gauges;
        self.records_dropped += batch.dropped;
        let views = &batch.views;
        let mut series = vec![None; views.len() + 1];
        let mut at = Timestamp::default();
        let mut seen = Vec::new();
        let (mut millis, mut times, mut outcome): (u64, u64, Option<SloOutcome>) = (0, 1, None);
        for record in batch.records() {
            match record {
                Record::At(time) => {
                    at = time;
                    // A record that arrives late counts from when it arrives.
                    self.windows.advance(at);
                }
                Record::Request(request, count) => {
                    (millis, times) = (request.millis, count);
                    seen.clear();
                    outcome = self.outcome(&request, times);
                    self.request(&request, times, outcome.as_ref());
                }
                Record::View { number, quality } => {
                    let number = usize::from(number);
                    let Some(known) = series.get_mut(number) else { continue };
                    let name = number.checked_sub(1).and_then(|number| views.get(number)).map_or(OTHER, |name| name);
                    let series = *known.get_or_insert_with(|| self.windows.series_of(SeriesKind::View, name));
                    // Two views of one request may share the series of the other views.
                    if !seen.contains(&series) {
                        seen.push(series);
                        self.windows.record_many(series, millis, times);
                        self.windows.add(series, outcome.as_ref().map_or(&[], |outcome| outcome.as_slice()));
                    }
                    let counts = counts(&quality);
                    self.windows.add(series, &counts);
                    self.windows.add(ALL, &counts);
                }
                Record::Operation { tier, has_failed, millis } => {
                    let series = self.tiers.get(tier as usize).copied().unwrap_or_default();
                    self.windows.record(series, millis);
                    self.windows.add(series, &[(Count::Errors, u64::from(has_failed))]);
                }
                Record::Span { context, name, began, millis, status } => {
                    let (name, is_request) = match name {
                        SpanName::Request(route) => (ROUTES.get(route as usize), true),
                        SpanName::Tier(tier) => (TIER_SPANS.get(tier as usize), false),
                    };
                    let name = name.copied().unwrap_or_default();
                    let status = (status > 0).then_some(status);
                    let span = Span { name, began, ended: began.plus(millis), status };
                    if let Some(spans) = self.spans_from(at) {
                        spans.add(&context, span, is_request);
                    }
                }
            }
        }
    }

    /// The spans of the next export, which is due some time after `at`, when its first span arrived. `None` if it is full.
    fn spans_from(&mut self, at: Timestamp) -> Option<&mut TraceExport> {
        let (project, spans_at) = (&self.config.project, &mut self.spans_at);
        let spans = self.spans.get_or_insert_with(|| {
            *spans_at = at.plus(EVALUATION_INTERVAL_MILLIS);
            TraceExport::new(project)
        });
        (spans.len() < MAX_SPANS).then_some(spans)
    }

    fn outcome(&self, request: &Request, times: u64) -> Option<SloOutcome> {
        let is_unavailable = request.status >= 500 || request.status == 429;
        let is_slow = request.millis > self.targets.p99_millis;
        let is_error = is_unavailable || request.is_incomplete;
        let outcome = [
            (Count::Errors, u64::from(is_error) * times),
            (Count::Unavailable, u64::from(is_unavailable) * times),
            (Count::Slow, u64::from(is_slow) * times),
        ];
        (is_error || is_slow).then_some(outcome)
    }

    fn request(&mut self, request: &Request, times: u64, outcome: Option<&SloOutcome>) {
        let Request { route, priority, millis, rows, .. } = *request;
        let windows = &mut self.windows;
        let of_route = self.routes.get(route as usize).copied().unwrap_or_default();
        if route == telemetry::record::Route::Writes {
            // A write is no request for features: it has its own latency and no SLO.
            windows.record_many(of_route, millis, times);
            return;
        }
        self.slowest_millis = self.slowest_millis.max(Some(millis));
        let priority = self.priorities.get(usize::from(priority)).copied().unwrap_or_default();
        for series in [ALL, of_route, priority] {
            windows.record_many(series, millis, times);
            if let Some(outcome) = outcome {
                windows.add(series, outcome);
            }
        }
        windows.add_sizes(ALL, request.entities, request.features, times);
        let is_answered = request.status < 500 && request.status != 429;
        let saved = if is_answered && rows.origin_calls == 0 { times } else { 0 };
        let hits = [(Count::L1Hits, rows.l1_hits), (Count::RowsStale, rows.stale), (Count::CallsSaved, saved)];
        windows.add(ALL, &hits);
        if rows.l1_misses == 0 {
            return;
        }
        let is_miss = rows.origin_calls > 0;
        let waited = (request.cache_millis + request.origin_millis).min(millis);
        windows.add(
            ALL,
            &[
                (Count::L1Misses, rows.l1_misses),
                (Count::L2Hits, rows.l2_hits),
                (Count::L2Misses, rows.l2_misses),
                (Count::L3Hits, rows.l3_hits),
                (Count::L3Misses, rows.l3_misses),
                (Count::RowsMissing, rows.missing),
                (Count::MissRequests, u64::from(is_miss)),
                (Count::MissMillis, if is_miss { millis } else { 0 }),
                (Count::NetworkMillis, millis - waited),
                (Count::CacheMillis, request.cache_millis),
                (Count::ComputeMillis, request.origin_millis),
            ],
        );
    }
}

fn counts(quality: &Quality) -> [(Count, u64); 4] {
    [
        (Count::Requested, quality.requested),
        (Count::Served, quality.served),
        (Count::Failed, quality.failed),
        (Count::Freshness, quality.freshness),
    ]
}
