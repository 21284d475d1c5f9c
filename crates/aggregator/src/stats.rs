//! `GET /v1/stats` and `GET /metrics`: the same structs as JSON and as metrics.

use model::time::Timestamp;
use serde::Serialize;
use telemetry::cost::{Cost, LatencyModel, Prices};
use telemetry::figures;
use telemetry::figures::{ByLabel, Decimal, Figures};
use telemetry::histogram::{Count, SLOTS, SeriesKind, Totals, Windows};
use telemetry::json::Rfc3339;
use telemetry::prometheus::{write_feast, write_figures, write_histogram};
use telemetry::record::RemoteTier;
use telemetry::sla::per_million;
use telemetry::snapshot::{GaugeSnapshot, L2Choice, MemoryShare, PrefetchFigures, StoreFigures, TierGauges};

use crate::report::{LATENCY_CLOCK, ReportScope, SeriesReport};
use crate::sla_report::has_slo;
use crate::{Aggregator, Sink};

figures! {
    /// Requests of one series.
    Requests {
        /// Requests for features.
        requests: Total,
        /// Requests that failed or lacked a value.
        errors: Total,
        /// Requests answered with 429 or a status from 500.
        unavailable: Total,
        /// Requests slower than the objective of the 99th percentile.
        slow: Total,
        /// Median latency in the window.
        latency_p50_ms: QuantileMillis,
        /// 95th percentile of latency in the window.
        latency_p95_ms: QuantileMillis,
        /// 99th percentile of latency in the window.
        latency_p99_ms: QuantileMillis,
    }

    /// The sizes of requests.
    Sizes {
        /// Entities in requests.
        entities: Total,
        /// Features in requests; a repeated name counts each time.
        features: Total,
    }

    /// The quality of served values.
    Quality {
        /// Values requested.
        values_requested: Total,
        /// Values served within their permitted age.
        values_served: Total,
        /// Values answered as `INVALID`.
        values_failed: Total,
        /// Share of the requested values that were served, in the window.
        completeness: Ratio,
        /// Freshness of served values in the window: 1 is new, 0 is as old as permitted.
        freshness: Ratio,
        /// Share of the requested values that failed, in the window.
        value_error_ratio: Ratio,
    }

    /// Hits, misses and operations of a tier.
    TierFigures {
        /// Rows that the tier had.
        hits: Total,
        /// Rows that were looked up in the tier and not found.
        misses: Total,
        /// Share of the rows looked up in the tier that were hits, in the window.
        hit_ratio: Ratio,
        /// Bulk reads of a store, or origin calls.
        operations: Total,
        /// Operations of the tier that failed.
        operation_errors: Total,
        /// Median latency of operations in the window.
        latency_p50_ms: QuantileMillis,
        /// 95th percentile of the latency of operations in the window.
        latency_p95_ms: QuantileMillis,
        /// 99th percentile of the latency of operations in the window.
        latency_p99_ms: QuantileMillis,
    }

    /// The circuit breaker of a tier.
    BreakerFigures {
        /// 1 while the circuit breaker of the tier is open or half-open.
        breaker_open: Gauge,
        /// Times that the circuit breaker opened.
        breaker_opened: Total,
    }

    /// A share of the memory.
    MemoryFigures {
        /// Bytes used by a share of the memory.
        bytes: Gauge,
        /// Maximum bytes of the share.
        max_bytes: Gauge,
        /// Entries of the share that were evicted, or refused for lack of room.
        evicted: Total,
    }

    /// Figures of the isolate and of its alerts.
    IsolateFigures {
        /// Rows in memory.
        l1_rows: Gauge,
        /// Bytes used by the rows in memory.
        l1_bytes: Gauge,
        /// Requests in progress, with those that continue in the background.
        pending_requests: Gauge,
        /// Requests shed.
        shed: Total,
        /// Hedged requests to the origin.
        hedged: Total,
        /// Origin calls in progress.
        origin_calls_under_way: Gauge,
        /// Limit of concurrent origin calls.
        origin_calls_limit: Gauge,
        /// Open alerts.
        alerts_open: Gauge,
        /// Alerts opened.
        alerts_opened: Total,
        /// Alert messages that the webhook accepted.
        alerts_delivered: Total,
        /// Alert messages dropped after their last attempt.
        alerts_dropped: Total,
        /// Windows dropped before they were merged into the deployment's.
        windows_dropped: Total,
        /// Requests not recorded, because the record buffer was full.
        records_dropped: Total,
        /// Maximum rows in memory.
        l1_max_rows: Gauge,
        /// Maximum bytes of the rows in memory.
        l1_max_bytes: Gauge,
        /// Rows evicted from memory.
        l1_evictions: Total,
    }
}

/// The body of `GET /v1/stats`.
#[derive(Debug, Serialize)]
pub(crate) struct Stats<'a> {
    scope: ReportScope,
    project: &'a str,
    at: Rfc3339,
    window_seconds: u64,
    latency_clock: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dashboard_url: Option<&'a str>,
    overall: Requests,
    routes: ByLabel<'a, Requests>,
    priorities: ByLabel<'a, Requests>,
    views: ByLabel<'a, Requests>,
    sizes: Sizes,
    quality: Quality,
    view_quality: ByLabel<'a, Quality>,
    tiers: ByLabel<'a, TierStats>,
    latency_model: LatencyModel,
    /// Only an isolate's own report has these.
    #[serde(flatten)]
    isolate: Option<IsolateStats>,
}

#[derive(Debug, Serialize)]
struct TierStats {
    #[serde(flatten)]
    figures: TierFigures,
    /// `None` for a tier without a breaker, or whose breaker this report does not know: each isolate has its own.
    #[serde(flatten)]
    breaker: Option<BreakerFigures>,
}

#[derive(Debug, Serialize)]
struct IsolateStats {
    /// The stores that are configured.
    stores: ByLabel<'static, StoreFigures>,
    cost: Cost,
    prefetch: PrefetchFigures,
    memory: ByLabel<'static, MemoryFigures>,
    isolate: IsolateFigures,
    optimizer: Optimizer,
}

/// Automatic decisions, and their reasons.
#[derive(Debug, Serialize)]
struct Optimizer {
    #[serde(skip_serializing_if = "Option::is_none")]
    l2_reads: Option<L2Choice>,
    timeouts: ByLabel<'static, Timeout>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hedge: Option<Hedge>,
    concurrency: Concurrency,
}

#[derive(Debug, Serialize)]
struct Timeout {
    timeout_ms: u64,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
struct Hedge {
    after_ms: u64,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
struct Concurrency {
    origin_calls: u64,
    reason: &'static str,
}

impl Requests {
    fn of(SeriesReport { totals, window, .. }: &SeriesReport<'_>) -> Requests {
        Requests {
            requests: totals.of(Count::Requests),
            errors: totals.of(Count::Errors),
            unavailable: totals.of(Count::Unavailable),
            slow: totals.of(Count::Slow),
            latency_p50_ms: window.p50,
            latency_p95_ms: window.p95,
            latency_p99_ms: window.p99,
        }
    }
}

impl Quality {
    fn of(SeriesReport { totals, window, .. }: &SeriesReport<'_>) -> Quality {
        let (requested, served) = (window.of(Count::Requested), window.of(Count::Served));
        Quality {
            values_requested: totals.of(Count::Requested),
            values_served: totals.of(Count::Served),
            values_failed: totals.of(Count::Failed),
            completeness: Decimal(per_million(served, requested)),
            // Counted in thousandths each.
            freshness: Decimal(per_million(window.of(Count::Freshness), served) / 1_000),
            value_error_ratio: Decimal(per_million(window.of(Count::Failed), requested)),
        }
    }
}

impl Aggregator {
    pub(crate) fn stats<'a>(&'a self, merged: Option<&'a Windows>, now: Timestamp) -> Stats<'a> {
        let (windows, scope) = self.scoped(merged);
        let rows =
            |kind| ByLabel(SeriesReport::of_kind(windows, kind).map(|it| (it.name, Requests::of(&it))).collect());
        let all = SeriesReport::all(windows);
        let gauges = merged.is_none().then_some(&self.gauges);
        let tiers = tiers(windows, &all, gauges);
        let origin_operations = tiers.0.last().map_or(0, |(_, origin)| origin.figures.operations);
        Stats {
            scope,
            project: &self.config.project,
            at: Rfc3339(now),
            window_seconds: self.config.sla.window_seconds,
            latency_clock: LATENCY_CLOCK,
            dashboard_url: self.config.telemetry.dashboard_url.as_deref(),
            overall: Requests::of(&all),
            routes: rows(SeriesKind::Route),
            priorities: rows(SeriesKind::Priority),
            views: rows(SeriesKind::View),
            sizes: Sizes { entities: all.totals.of(Count::Entities), features: all.totals.of(Count::Features) },
            quality: Quality::of(&all),
            view_quality: ByLabel(
                SeriesReport::of_kind(windows, SeriesKind::View).map(|it| (it.name, Quality::of(&it))).collect(),
            ),
            tiers,
            latency_model: LatencyModel::of(&all.window, windows.slot_millis() * SLOTS as u64),
            isolate: gauges.map(|gauges| self.isolate_stats(gauges, &all, origin_operations)),
        }
    }

    fn isolate_stats(&self, gauges: &GaugeSnapshot, all: &SeriesReport<'_>, origin_operations: u64) -> IsolateStats {
        let stores = [("l2", gauges.l2), ("l3", gauges.l3)].into_iter();
        let l2 = gauges.l2.unwrap_or_default().store;
        let cost = Cost {
            l2_reads: l2.keys_read,
            l2_reads_saved: if gauges.l2.is_some() { all.totals.of(Count::L1Hits) } else { 0 },
            l2_writes: l2.keys_written,
            l2_writes_saved: l2.unchanged + l2.coalesced,
            // Including those in the background.
            origin_calls: origin_operations,
            origin_calls_saved: all.totals.of(Count::CallsSaved),
            ..Cost::default()
        };
        let costs = &self.config.costs;
        let prices = Prices {
            read_cents: costs.l2_read_cents_per_million,
            write_cents: costs.l2_write_cents_per_million,
            origin_cents: costs.origin_call_cents_per_million,
        };
        let memory = &gauges.memory;
        let memory_of = |share: MemoryShare| MemoryFigures {
            bytes: share.used as u64,
            max_bytes: share.allowed as u64,
            evicted: share.evicted,
        };
        let shares = [
            ("all", memory.all),
            ("rows", memory.rows),
            ("plans", memory.plans),
            ("prefetch", memory.prefetch),
            ("invalidations", memory.invalidations),
            ("records", memory.records),
            ("pending", memory.pending),
        ];
        let deliveries =
            |sink: Sink| self.outboxes.get(sink as usize).map_or((0, 0), |outbox| (outbox.delivered, outbox.dropped));
        let (alerts_delivered, alerts_dropped) = deliveries(Sink::Webhook);
        IsolateStats {
            stores: ByLabel(stores.filter_map(|(name, tier)| Some((name, tier?.store))).collect()),
            cost: cost.priced(&prices),
            prefetch: gauges.prefetch,
            memory: ByLabel(shares.map(|(name, share)| (name, memory_of(share))).into()),
            isolate: IsolateFigures {
                l1_rows: gauges.l1.rows,
                l1_bytes: gauges.l1.bytes,
                pending_requests: gauges.pending_requests,
                shed: gauges.shed,
                hedged: gauges.hedged,
                origin_calls_under_way: gauges.origin_under_way,
                origin_calls_limit: gauges.origin_limit,
                alerts_open: self.monitor.open().count() as u64,
                alerts_opened: self.monitor.opened(),
                alerts_delivered,
                alerts_dropped,
                windows_dropped: deliveries(Sink::Windows).1,
                records_dropped: self.records_dropped,
                l1_max_rows: gauges.l1.max_rows,
                l1_max_bytes: gauges.l1.max_bytes,
                l1_evictions: gauges.l1.evictions,
            },
            optimizer: Optimizer::of(gauges),
        }
    }

    /// All metrics in Prometheus' text format.
    pub(crate) fn metrics(&self, merged: Option<&Windows>, now: Timestamp) -> Vec<u8> {
        let (windows, _) = self.scoped(merged);
        let mut out = Vec::with_capacity(65_536);
        self.stats(merged, now).write_metrics(&mut out);
        self.sla(merged, now).write_metrics(&mut out);
        for (name, kind, label, help) in HISTOGRAMS {
            write_histogram(&mut out, name, help, label, &totals_of(windows, kind));
        }
        let mut endpoints = totals_of(windows, SeriesKind::Route);
        endpoints.retain(|(route, _)| has_slo(route));
        write_feast(&mut out, &endpoints, &SeriesReport::all(windows).totals);
        out
    }
}

/// The histograms of latencies: each metric, the series that it has, the label that tells them apart, and its help.
const HISTOGRAMS: [(&str, SeriesKind, &str, &str); 5] = [
    ("featheredge_request_duration_seconds", SeriesKind::All, "", "Latency of requests for features."),
    ("featheredge_route_request_duration_seconds", SeriesKind::Route, "route", "Latency of requests by route."),
    (
        "featheredge_priority_request_duration_seconds",
        SeriesKind::Priority,
        "priority",
        "Latency of requests by priority.",
    ),
    (
        "featheredge_view_request_duration_seconds",
        SeriesKind::View,
        "view",
        "Latency of the requests that name a view.",
    ),
    (
        "featheredge_tier_operation_duration_seconds",
        SeriesKind::Tier,
        "tier",
        "Latency of bulk reads of a store, and of origin calls.",
    ),
];

/// The series of a kind, with what was counted since the start.
fn totals_of(windows: &Windows, kind: SeriesKind) -> Vec<(&str, Totals)> {
    let series = windows.series().iter().filter(|series| series.kind == kind);
    series.map(|series| (&*series.name, series.totals(windows))).collect()
}

impl Stats<'_> {
    fn write_metrics(&self, out: &mut Vec<u8>) {
        write_one(out, "", self.overall);
        write_figures(out, "route_", "route", &self.routes.0);
        write_figures(out, "priority_", "priority", &self.priorities.0);
        write_figures(out, "view_", "view", &self.views.0);
        write_one(out, "request_", self.sizes);
        write_one(out, "", self.quality);
        write_figures(out, "view_", "view", &self.view_quality.0);
        let tiers: Vec<_> = self.tiers.0.iter().map(|(name, tier)| (*name, tier.figures)).collect();
        write_figures(out, "tier_", "tier", &tiers);
        write_one(out, "latency_", self.latency_model);
        let Some(own) = &self.isolate else { return };
        let breakers = self.tiers.0.iter().filter_map(|(name, tier)| Some((*name, tier.breaker?)));
        write_figures(out, "tier_", "tier", &breakers.collect::<Vec<_>>());
        write_figures(out, "store_", "tier", &own.stores.0);
        write_one(out, "cost_", own.cost);
        write_one(out, "prefetch_", own.prefetch);
        write_figures(out, "memory_", "share", &own.memory.0);
        write_one(out, "", own.isolate);
    }
}

fn write_one<T: Figures>(out: &mut Vec<u8>, prefix: &str, figures: T) {
    write_figures(out, prefix, "", &[("", figures)]);
}

impl Optimizer {
    fn of(gauges: &GaugeSnapshot) -> Optimizer {
        let mut timeouts = Vec::new();
        for (name, tier) in [("l2", gauges.l2), ("l3", gauges.l3), ("origin", gauges.origin)] {
            let Some(TierGauges { timeout_millis, max_timeout_millis, .. }) = tier else { continue };
            let reason = if timeout_millis < max_timeout_millis {
                "four times the 99th percentile, or the minimum timeout"
            } else {
                "the configured timeout: too few measurements, or the tier is that slow"
            };
            timeouts.push((name, Timeout { timeout_ms: timeout_millis, reason }));
        }
        let reason = if gauges.is_origin_limit_adaptive {
            "adaptive: the most calls that do not queue at the origin"
        } else {
            "`load.max_origin_calls`, because `load.adaptive_concurrency` is off"
        };
        Optimizer {
            l2_reads: gauges.l2_choice,
            timeouts: ByLabel(timeouts),
            hedge: gauges.hedge_millis.map(|after_ms| Hedge { after_ms, reason: "the store's 95th percentile" }),
            concurrency: Concurrency { origin_calls: gauges.origin_limit, reason },
        }
    }
}

/// The hits and misses of each tier. The origin is asked for the rows that no tier has.
fn tiers<'a>(windows: &'a Windows, all: &SeriesReport<'_>, gauges: Option<&GaugeSnapshot>) -> ByLabel<'a, TierStats> {
    use Count::{L1Hits, L1Misses, L2Hits, L2Misses, L3Hits, L3Misses};
    let tiers = [
        ("l1", None, L1Hits, L1Misses),
        ("l2", Some(RemoteTier::L2), L2Hits, L2Misses),
        ("l3", Some(RemoteTier::L3), L3Hits, L3Misses),
        ("origin", Some(RemoteTier::Origin), L1Misses, Count::RowsMissing),
    ];
    let rows = tiers.map(|(name, tier, hits, misses)| {
        let hits_and_misses = |of: &dyn Fn(Count) -> u64| {
            let (mut found, missing) = (of(hits), of(misses));
            if tier == Some(RemoteTier::Origin) {
                found = found.saturating_sub(of(L2Hits) + of(L3Hits) + missing);
            }
            (found, missing)
        };
        let (hits, misses) = hits_and_misses(&|count| all.totals.of(count));
        let (window_hits, window_misses) = hits_and_misses(&|count| all.window.of(count));
        let breaker = gauges.zip(tier).and_then(|(gauges, tier)| gauges.tier(tier));
        let SeriesReport { totals, window, .. } =
            SeriesReport::of_kind(windows, SeriesKind::Tier).find(|it| it.name == name).unwrap_or_default();
        let figures = TierFigures {
            hits,
            misses,
            hit_ratio: Decimal(per_million(window_hits, window_hits + window_misses)),
            operations: totals.of(Count::Requests),
            operation_errors: totals.of(Count::Errors),
            latency_p50_ms: window.p50,
            latency_p95_ms: window.p95,
            latency_p99_ms: window.p99,
        };
        let breaker =
            breaker.map(|gauges| BreakerFigures { breaker_open: gauges.is_open.into(), breaker_opened: gauges.opened });
        (name, TierStats { figures, breaker })
    });
    ByLabel(rows.into())
}
