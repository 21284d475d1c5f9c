//! What was measured, for people and machines: `/metrics`, `/v1/stats`, `/v1/sla` and `/v1/alerts`, of this isolate or of all whose windows
//! were merged.
//!
//! There are no ids, no values and no secrets in any of it, and a label has few values: paths, priorities, tiers, and a bounded number
//! of views. Invariant: a number is written for Prometheus and as JSON from one table.

use model::time::Instant;
use telemetry::cost::{self, Account, Operations, Prices, Savings};
use telemetry::histogram::{Count, Kind, SLOTS, Series, Summary, Totals, Windows};
use telemetry::json::Json;
use telemetry::prometheus::Source::{self, Given};
use telemetry::prometheus::Unit::{Gauge as Level, MicroDollars, Micros, Millis, Share, Total};
use telemetry::prometheus::{Column, Row, Table, write_feast};
use telemetry::record::Tier;
use telemetry::sla::{self, BURNS, share};
use telemetry::snapshot::{GaugeSnapshot, PrefetchGauges, Share as MemoryShare, TierGauges};

use crate::{Place, Watch};

/// The media type of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What latencies cover, which is said wherever they are.
const CLOCK: &str = "whole milliseconds of the host's clock; in a deployed Worker it stands still between I/O, so that what memory answers reads as 0";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// All figures, in Prometheus' text format.
    Metrics,
    /// All figures, as JSON.
    Stats,
    /// Whether the promise is kept.
    Sla,
    /// What is wrong, and what was.
    Alerts,
}

impl Report {
    /// The report that this path asks for.
    #[must_use]
    pub fn at(path: &str) -> Option<Report> {
        match path {
            "/metrics" => Some(Report::Metrics),
            "/v1/stats" => Some(Report::Stats),
            "/v1/sla" => Some(Report::Sla),
            "/v1/alerts" => Some(Report::Alerts),
            _ => None,
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Report::Metrics => PROMETHEUS,
            _ => "application/json",
        }
    }
}

/// Of whom a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The isolate that answers.
    Isolate,
    /// All isolates whose windows were merged.
    Deployment,
}

impl Scope {
    /// The scope that a query asks for, that of the isolate where it says nothing; `None` where there is no such scope.
    #[must_use]
    pub fn of(query: &str) -> Option<Scope> {
        match query.split('&').find_map(|part| part.strip_prefix("scope=")) {
            None | Some("isolate") => Some(Scope::Isolate),
            Some("deployment") => Some(Scope::Deployment),
            Some(_) => None,
        }
    }
}

const REQUESTS: &[Column] = &[
    Column::new("requests", Total, Source::Total(Count::Requests), "Requests."),
    Column::new("errors", Total, Source::Total(Count::Errors), "Requests that failed or lacked a value."),
    Column::new("unavailable", Total, Source::Total(Count::Unavailable), "Requests that were not answered."),
    Column::new("slow", Total, Source::Total(Count::Slow), "Requests slower than the promised 99th percentile."),
    Column::new("latency_p50", Millis, Source::P50, "Median latency in the window."),
    Column::new("latency_p95", Millis, Source::P95, "95th percentile of latency in the window."),
    Column::new("latency_p99", Millis, Source::P99, "99th percentile of latency in the window."),
];

const SIZES: &[Column] = &[
    Column::new("entities", Total, Source::Total(Count::Entities), "Entities asked for."),
    Column::new("features", Total, Source::Total(Count::Features), "Features asked for, each as often as it is named."),
];

const QUALITY: &[Column] = &[
    Column::new("values_requested", Total, Source::Total(Count::Requested), "Values asked for."),
    Column::new("values_served", Total, Source::Total(Count::Served), "Values served, of a permitted age."),
    Column::new("values_failed", Total, Source::Total(Count::Failed), "Values that could not be had."),
    Column::new("completeness", Share, Source::Share(Count::Served, Count::Requested), "Served of requested values."),
    Column::new("freshness", Share, Source::Mean(Count::Freshness, Count::Served), "1 is new, 0 as old as permitted."),
    Column::new("value_errors", Share, Source::Share(Count::Failed, Count::Requested), "Failed of requested values."),
];

/// What a tier was asked for and had.
#[derive(Clone, Copy, Debug, Default)]
struct TierFigures {
    hits: u64,
    misses: u64,
    /// In the window, in millionths.
    hit: u64,
    gauges: TierGauges,
}

const TIERS: &[Column<TierFigures>] = &[
    Column::new("hits", Total, Given(|it| it.hits), "Rows that the tier completed."),
    Column::new("misses", Total, Given(|it| it.misses), "Rows that it was asked for and did not complete."),
    Column::new("hit", Share, Given(|it| it.hit), "Hits of the rows asked for in the window."),
    Column::new("operations", Total, Source::Total(Count::Requests), "Bulk reads, or calls."),
    Column::new("operation_errors", Total, Source::Total(Count::Errors), "Operations that failed."),
    Column::new("latency_p50", Millis, Source::P50, "Median latency of operations in the window."),
    Column::new("latency_p95", Millis, Source::P95, "95th percentile of their latency."),
    Column::new("latency_p99", Millis, Source::P99, "99th percentile of their latency."),
    Column::new("breaker_open", Level, Given(|it| it.gauges.is_open.into()), "1 while the tier is left alone."),
    Column::new("breaker_opened", Total, Given(|it| it.gauges.opened), "How often that has begun."),
];

const LATENCY: &[Column<Savings>] = &[
    Column::new("network", Micros, Source::Mean(Count::NetworkMillis, Count::Requests), "L_network, mean."),
    Column::new("cache", Micros, Source::Mean(Count::CacheMillis, Count::Requests), "L_cache, mean."),
    Column::new("computation", Micros, Source::Mean(Count::ComputeMillis, Count::Requests), "L_computation, mean."),
    Column::new(
        "serialization",
        Micros,
        Source::Mean(Count::SerializationMillis, Count::Requests),
        "L_serialization, mean.",
    ),
    Column::new("hit", Micros, Given(|it| it.hit_micros), "L_hit: mean of requests that needed no origin."),
    Column::new("miss", Micros, Given(|it| it.miss_micros), "L_miss: mean of the others."),
    Column::new("tiers_hit", Share, Given(|it| it.hit_ratio), "H: hits of all tiers, of rows asked for."),
    Column::new("saved", Micros, Given(|it| it.saved_micros), "H * (L_miss - L_hit) * rate, in each second."),
];

const COST: &[Column<(Operations, Account)>] = &[
    Column::new("l2_reads", Total, Given(|(done, _)| done.reads), "Keys read from L2."),
    Column::new("l2_reads_saved", Total, Given(|(done, _)| done.reads_saved), "Keys not read, since L1 had them."),
    Column::new("l2_writes", Total, Given(|(done, _)| done.writes), "Keys written to L2."),
    Column::new(
        "l2_writes_saved",
        Total,
        Given(|(done, _)| done.writes_saved),
        "Keys not written: unchanged, or coalesced.",
    ),
    Column::new("origin_calls", Total, Given(|(done, _)| done.origin_calls), "Calls to the origin."),
    Column::new(
        "origin_calls_saved",
        Total,
        Given(|(done, _)| done.origin_calls_saved),
        "Requests answered without one.",
    ),
    Column::new("spent", MicroDollars, Given(|(_, account)| account.spent), "What the operations cost."),
    Column::new("saved", MicroDollars, Given(|(_, account)| account.saved), "What the others would have cost."),
];

const STORES: &[Column<TierGauges>] = &[
    Column::new("keys_read", Total, Given(|it| it.gets), "Keys asked for."),
    Column::new("keys_written", Total, Given(|it| it.puts), "Rows written."),
    Column::new("unchanged", Total, Given(|it| it.unchanged), "Rows not written, since the store has the same."),
    Column::new("coalesced", Total, Given(|it| it.coalesced), "Writes given up for a later one."),
    Column::new(
        "over_budget",
        Total,
        Given(|it| it.over_budget),
        "Rows not written, since a budget or quota is spent.",
    ),
    Column::new(
        "rate_limited",
        Total,
        Given(|it| it.rate_limited),
        "Rows refused, since their keys are written too often.",
    ),
    Column::new("halved", Total, Given(|it| it.halved), "Bulk reads made again by halves, since they were too large."),
    Column::new("left_out", Total, Given(|it| it.left_out), "Operations left out while the breaker was open."),
    Column::new("unusable", Total, Given(|it| it.unusable), "Stored values that could not be used."),
    Column::new(
        "shed",
        Total,
        Given(|it| it.shed),
        "Rows not written, since their request may write no more, or too many wait.",
    ),
    Column::new(
        "unmerged",
        Total,
        Given(|it| it.unmerged),
        "Rows not written, since what else the store holds of them could not be read.",
    ),
    Column::new(
        "writes_stopped",
        Level,
        Given(|it| it.are_writes_open.into()),
        "1 while the breaker of writes is open.",
    ),
];

/// What the isolate says of itself and of its alerts.
#[derive(Clone, Copy, Debug, Default)]
struct Isolate {
    gauges: GaugeSnapshot,
    alerts_open: u64,
    alerts_opened: u64,
    alerts_delivered: u64,
    alerts_given_up: u64,
    windows_given_up: u64,
    records_lost: u64,
}

const ISOLATE: &[Column<Isolate>] = &[
    Column::new("l1_rows", Level, Given(|it| it.gauges.l1.rows), "Rows in memory."),
    Column::new("l1_bytes", Level, Given(|it| it.gauges.l1.bytes), "Bytes that they take."),
    Column::new(
        "waiting",
        Level,
        Given(|it| it.gauges.waiting),
        "Requests under way, or going on behind their answers.",
    ),
    Column::new("refused", Total, Given(|it| it.gauges.refused), "Requests refused since too many waited."),
    Column::new("hedged", Total, Given(|it| it.gauges.hedged), "Calls to the origin made since a store was slow."),
    Column::new("origin_calls_under_way", Level, Given(|it| it.gauges.origin_under_way), "Calls to the origin now."),
    Column::new("origin_calls_limit", Level, Given(|it| it.gauges.origin_limit), "Calls that it may have."),
    Column::new("alerts_open", Level, Given(|it| it.alerts_open), "Open alerts."),
    Column::new("alerts_opened", Total, Given(|it| it.alerts_opened), "Alerts opened."),
    Column::new("alerts_delivered", Total, Given(|it| it.alerts_delivered), "Messages that the webhook took."),
    Column::new("alerts_given_up", Total, Given(|it| it.alerts_given_up), "Messages that it did not take."),
    Column::new("windows_given_up", Total, Given(|it| it.windows_given_up), "Windows that were not merged."),
    Column::new(
        "records_lost",
        Total,
        Given(|it| it.records_lost),
        "Records of requests that were not counted, since there was no room for them.",
    ),
    Column::new("l1_max_rows", Level, Given(|it| it.gauges.l1.max_rows), "Rows that memory may hold."),
    Column::new("l1_max_bytes", Level, Given(|it| it.gauges.l1.max_bytes), "Bytes that they may take."),
    Column::new("l1_evictions", Total, Given(|it| it.gauges.l1.evictions), "Rows that made room for others."),
];

const PREFETCH: &[Column<PrefetchGauges>] = &[
    Column::new("issued", Total, Given(|it| it.issued), "Rows fetched ahead."),
    Column::new(
        "probes",
        Total,
        Given(|it| it.probes),
        "Of these, rows to see whether a rule that rests has become better.",
    ),
    Column::new("used", Total, Given(|it| it.used), "Rows that came before they were asked for, and were then."),
    Column::new("late", Total, Given(|it| it.late), "Rows that were asked for while they were fetched."),
    Column::new(
        "wasted",
        Total,
        Given(|it| it.wasted),
        "Rows that were evicted or expired before they were asked for.",
    ),
    Column::new("failed", Total, Given(|it| it.failed), "Rows that did not come, or that others fetched meanwhile."),
    Column::new(
        "over_budget",
        Total,
        Given(|it| it.over_budget),
        "Rows not fetched, since the second's budget was spent.",
    ),
    Column::new("declined", Total, Given(|it| it.declined), "Rows not fetched, since all in memory is warmer."),
    Column::new("displaced", Total, Given(|it| it.displaced), "Rows that made room for those fetched ahead."),
    Column::new("missed", Total, Given(|it| it.missed), "Of these, rows that were then asked for: pollution."),
    Column::new("l2_reads", Total, Given(|it| it.reads), "Keys read to fetch ahead."),
    Column::new("origin_rows", Total, Given(|it| it.calls), "Rows asked of the origin to fetch ahead."),
    Column::new("l2_writes", Total, Given(|it| it.writes), "Rows written that were fetched ahead."),
    Column::new("spent", MicroDollars, Given(|it| it.spent), "What these cost."),
    Column::new("saved", MicroDollars, Given(|it| it.saved), "What the used rows would have cost when asked for."),
    Column::new("precision", Share, Given(|it| it.precision * 1_000), "Used in time, of those whose fate is known."),
    Column::new(
        "coverage",
        Share,
        Given(|it| it.coverage * 1_000),
        "Misses gone, compared with sessions that are held out.",
    ),
    Column::new("timeliness", Share, Given(|it| it.timeliness * 1_000), "In time, of those asked for after all."),
    Column::new("models", Total, Given(|it| it.models), "Models of other isolates taken over."),
    Column::new("models_ignored", Total, Given(|it| it.models_ignored), "Models that could not be."),
];

const MEMORY: &[Column<MemoryShare>] = &[
    Column::new("bytes", Level, Given(|it| it.used as u64), "Bytes that a share of the memory takes."),
    Column::new("max_bytes", Level, Given(|it| it.allowed as u64), "Bytes that it may take."),
    Column::new(
        "evicted",
        Total,
        Given(|it| it.evicted),
        "What had to make room in it, or was refused for want of it.",
    ),
];

/// Whether the promise is kept.
#[derive(Clone, Copy, Debug, Default)]
struct Compliance {
    is_violated: bool,
    budget_left: u64,
}

const SLA: &[Column<Compliance>] = &[
    Column::new("compliant", Level, Given(|sla| u64::from(!sla.is_violated)), "1 while all targets are met."),
    Column::new("error_budget_left", Share, Given(|sla| sla.budget_left), "What is left of the error budget."),
];

const BURN: &[Column<u64>] = &[Column::new(
    "burn_rate_thousandths",
    Level,
    Given(|rate| *rate),
    "How fast the budget burns; 1000 just uses it up.",
)];

/// The route that promises nothing.
const WRITES: &str = "writes";

/// The long windows of the burn rates.
const BURN_WINDOWS: [&str; BURNS.len()] = ["1h", "6h", "3d"];

/// The keys of the kinds, in JSON and behind the prefix, and their labels.
fn names(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::All => ("overall", "", ""),
        Kind::Route => ("routes", "route_", "route"),
        Kind::Priority => ("priorities", "priority_", "priority"),
        Kind::View => ("views", "view_", "view"),
        Kind::Tier => ("tiers", "tier_", "tier"),
    }
}

const REQUEST_KINDS: [Kind; 4] = [Kind::All, Kind::Route, Kind::Priority, Kind::View];

fn row<T: Default>(label: &str, given: T) -> Row<'_, T> {
    Row { label, given, ..Row::default() }
}

/// The rows of all series of a kind.
fn rows(windows: &Windows, kind: Kind) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for series in windows.series().iter().filter(|series| series.kind == kind) {
        rows.push(Row { totals: series.totals(windows), window: series.summary(), ..row(&series.name, ()) });
    }
    rows
}

/// The tables of a report; what the core itself says among them where that is asked for.
fn tables<'a>(windows: &'a Windows, watch: Option<&'a Watch>) -> Vec<Table<'a>> {
    let mut tables = Vec::new();
    let all = rows(windows, Kind::All);
    for kind in REQUEST_KINDS {
        let (key, prefix, label) = names(kind);
        tables.push(Table::new(prefix, key, label, REQUESTS, &rows(windows, kind)));
    }
    tables.push(Table::new("request_", "sizes", "", SIZES, &all));
    tables.push(Table::new("", "quality", "", QUALITY, &all));
    tables.push(Table::new("view_", "view_quality", "view", QUALITY, &rows(windows, Kind::View)));
    let Some(Row { label, totals, window, .. }) = all.into_iter().next() else { return tables };
    let tiers = tier_rows(windows, &totals, &window, watch.map(|watch| &watch.gauges));
    let origin_operations = tiers.last().map_or(0, |origin| origin.totals.of(Count::Requests));
    tables.push(Table::new("tier_", "tiers", "tier", TIERS, &tiers));
    let given = cost::savings(&window, windows.slot_millis() * SLOTS as u64);
    let calls_saved = totals.of(Count::CallsSaved);
    let l1_hits = totals.of(Count::L1Hits);
    tables.push(Table::new("latency_", "latency_model", "", LATENCY, &[Row { label, totals, window, given }]));
    let Some(Watch { gauges, config, outboxes, monitor, lost, .. }) = watch else { return tables };

    let stores: Vec<_> = [("l2", gauges.l2), ("l3", gauges.l3)]
        .into_iter()
        .filter_map(|(name, store)| Some(row(name, store?)))
        .collect();
    tables.push(Table::new("store_", "stores", "tier", STORES, &stores));
    let l2 = gauges.l2.unwrap_or_default();
    let done = Operations {
        reads: l2.gets,
        reads_saved: if gauges.l2.is_some() { l1_hits } else { 0 },
        writes: l2.puts,
        writes_saved: l2.unchanged + l2.coalesced,
        // Those made behind answers are among them.
        origin_calls: origin_operations,
        origin_calls_saved: calls_saved,
    };
    let prices = Prices {
        read_cents: config.costs.l2_read_cents,
        write_cents: config.costs.l2_write_cents,
        origin_cents: config.costs.origin_call_cents,
    };
    tables.push(Table::new("cost_", "cost", "", COST, &[row("", (done, cost::account(&prices, &done)))]));
    tables.push(Table::new("prefetch_", "prefetch", "", PREFETCH, &[row("", gauges.prefetch)]));
    let memory = &gauges.memory;
    let shares = [
        row("all", memory.all),
        row("rows", memory.rows),
        row("plans", memory.plans),
        row("learned", memory.learned),
        row("marks", memory.marks),
        row("records", memory.records),
        row("waiting", memory.waiting),
    ];
    tables.push(Table::new("memory_", "memory", "share", MEMORY, &shares));
    let told = |place: Place| outboxes.get(place as usize).map_or((0, 0), |outbox| (outbox.delivered, outbox.given_up));
    let (alerts_delivered, alerts_given_up) = told(Place::Webhook);
    let isolate = Isolate {
        gauges: *gauges,
        alerts_open: monitor.open().count() as u64,
        alerts_opened: monitor.opened(),
        alerts_delivered,
        alerts_given_up,
        windows_given_up: told(Place::Windows).1,
        records_lost: *lost,
    };
    tables.push(Table::new("", "isolate", "", ISOLATE, &[row("", isolate)]));
    tables
}

/// What each tier was asked for and had, of all requests. The origin is asked for what no tier has.
fn tier_rows<'a>(
    windows: &'a Windows,
    totals: &Totals,
    window: &Summary,
    gauges: Option<&GaugeSnapshot>,
) -> Vec<Row<'a, TierFigures>> {
    use Count::{L1Hits, L1Misses, L2Hits, L2Misses, L3Hits, L3Misses};
    let mut measured = rows(windows, Kind::Tier);
    let mut tiers = Vec::new();
    for (name, tier, hits, misses) in [
        ("l1", None, L1Hits, L1Misses),
        ("l2", Some(Tier::L2), L2Hits, L2Misses),
        ("l3", Some(Tier::L3), L3Hits, L3Misses),
        ("origin", Some(Tier::Origin), L1Misses, Count::RowsMissing),
    ] {
        let counted = |of: &dyn Fn(Count) -> u64| {
            let (mut had, lacked) = (of(hits), of(misses));
            if tier == Some(Tier::Origin) {
                had = had.saturating_sub(of(L2Hits) + of(L3Hits) + lacked);
            }
            (had, lacked)
        };
        let (hits, misses) = counted(&|count| totals.of(count));
        let (had_now, lacked_now) = counted(&|count| window.of(count));
        let gauges = gauges.zip(tier).and_then(|(gauges, tier)| gauges.tier(tier)).copied().unwrap_or_default();
        let given = TierFigures { hits, misses, hit: share(had_now, had_now + lacked_now), gauges };
        let place = measured.iter().position(|row| row.label == name);
        let Row { totals, window, .. } = place.map(|place| measured.swap_remove(place)).unwrap_or_default();
        tiers.push(Row { label: name, totals, window, given });
    }
    tiers
}

/// What Analytics Engine is told of a window: a point for each series.
pub(crate) fn points(windows: &Windows) -> Vec<u8> {
    let mut json = Json::default();
    json.list("");
    for kind in REQUEST_KINDS.into_iter().chain([Kind::Tier]) {
        let (key, _, _) = names(kind);
        for row in rows(windows, kind) {
            let window = &row.window;
            if window.of(Count::Requests) == 0 {
                continue;
            }
            json.open("");
            json.list("blobs");
            json.text("", key);
            json.text("", row.label);
            json.close();
            json.list("doubles");
            let counts =
                [Count::Requests, Count::Errors, Count::Unavailable, Count::Slow].map(|count| window.of(count));
            for number in counts.into_iter().chain([window.p50, window.p95, window.p99]) {
                json.number("", number);
            }
            json.close();
            json.list("indexes");
            json.text("", key);
            json.close();
            json.close();
        }
    }
    json.into_vec()
}

impl Watch {
    /// A report: of this isolate, or of all whose windows are `merged`. Alerts are this isolate's in any case.
    #[must_use]
    pub fn report(&self, report: Report, merged: Option<&[u8]>, now: Instant) -> Vec<u8> {
        let merged = merged.filter(|_| report != Report::Alerts).map(|merged| self.windows_of(&[merged], now));
        let windows = merged.as_ref().unwrap_or(&self.windows);
        let isolate = Some(self).filter(|_| merged.is_none());
        if report == Report::Metrics {
            let mut out = Vec::with_capacity(16_384);
            for table in tables(windows, isolate).into_iter().chain(self.sla_tables(windows, now)) {
                table.write_prometheus(&mut out);
            }
            // What became of a write that was passed on is not known here.
            let mut endpoints = rows(windows, Kind::Route);
            endpoints.retain(|row| row.label != WRITES);
            write_feast(&mut out, &endpoints, windows.all().map(|all| all.totals(windows)).as_ref());
            return out;
        }
        let mut json = Json::default();
        json.open("");
        json.text("scope", if merged.is_some() { "deployment" } else { "isolate" });
        json.text("project", &self.config.project);
        json.time("at", now);
        if report == Report::Alerts {
            json.list("open");
            self.monitor.open().for_each(|alert| alert.write(&mut json, ""));
            json.close();
            json.list("resolved");
            self.monitor.resolved().iter().rev().for_each(|alert| alert.write(&mut json, ""));
            return json.into_vec();
        }
        json.number("window_seconds", self.config.sla.window_seconds);
        json.text("latencies_are", CLOCK);
        if report == Report::Sla {
            self.write_sla(&mut json, windows, now);
            return json.into_vec();
        }
        for table in tables(windows, isolate) {
            table.write_json(&mut json);
        }
        if isolate.is_some() {
            self.write_optimizer(&mut json);
        }
        json.into_vec()
    }

    /// What is decided by what was measured, and why.
    fn write_optimizer(&self, json: &mut Json) {
        let gauges = &self.gauges;
        json.open("optimizer");
        if let Some(choice) = gauges.l2_choice {
            json.open("l2");
            json.text("order", choice.order);
            json.text("reason", choice.reason);
            json.close();
        }
        json.open("timeouts");
        for (name, tier) in [("l2", gauges.l2), ("l3", gauges.l3), ("origin", gauges.origin)] {
            let Some(TierGauges { timeout_millis, max_timeout_millis, .. }) = tier else { continue };
            let reason = if timeout_millis < max_timeout_millis {
                "four times the 99th percentile, or the least that a tier is given"
            } else {
                "the configured one: too little was measured, or the tier is as slow"
            };
            json.open(name);
            json.number("timeout_ms", timeout_millis);
            json.text("reason", reason);
            json.close();
        }
        json.close();
        if let Some(hedge) = gauges.hedge_millis {
            json.open("hedge");
            json.number("after_ms", hedge);
            json.text("reason", "the store's 95th percentile");
            json.close();
        }
        let reason = if gauges.is_origin_limit_adaptive {
            "as many as the origin answers without making them wait"
        } else {
            "`load.max_origin_calls`, since `load.adaptive_concurrency` is off"
        };
        json.open("concurrency");
        json.number("origin_calls", gauges.origin_limit);
        json.text("reason", reason);
        json.close();
        json.close();
    }

    fn sla_tables<'a>(&self, windows: &Windows, now: Instant) -> [Table<'a>; 2] {
        let targets = &self.targets;
        let window = windows.all().map(Series::summary).unwrap_or_default();
        let is_violated = sla::check(targets, &window).0 == sla::Status::Violation;
        let compliance = Compliance { is_violated, budget_left: sla::budget_left(targets, windows, now) };
        let mut rates = Vec::new();
        for (name, burn) in BURN_WINDOWS.into_iter().zip(BURNS) {
            rates.push(row(name, sla::burn_rate(targets, windows, burn, now)));
        }
        [Table::new("sla_", "sla", "", SLA, &[row("", compliance)]), Table::new("sla_", "burn", "window", BURN, &rates)]
    }

    fn write_sla(&self, json: &mut Json, windows: &Windows, now: Instant) {
        let targets = &self.targets;
        for kind in REQUEST_KINDS {
            let (key, _, label) = names(kind);
            let is_many = !label.is_empty();
            if is_many {
                json.open(key);
            }
            for row in rows(windows, kind).into_iter().filter(|row| row.label != WRITES) {
                if is_many {
                    json.open(row.label);
                }
                let (status, checks) = sla::check(targets, &row.window);
                json.text("status", status.name());
                json.number("requests", row.window.of(Count::Requests));
                json.open("details");
                for check in checks {
                    let decimals = if check.is_share { 6 } else { 0 };
                    json.boolean(&[check.name, "_compliant"].concat(), check.is_met);
                    json.decimal(&["current_", check.name].concat(), check.current, decimals);
                    json.decimal(&["target_", check.name].concat(), check.target, decimals);
                }
                json.close();
                if is_many {
                    json.close();
                }
            }
            if is_many {
                json.close();
            }
        }
        json.decimal("error_budget_left", sla::budget_left(targets, windows, now), 6);
        json.list("burn_rates");
        let minute = self.config.sla.burn_hour_seconds;
        for burn in BURNS {
            let rate = sla::burn_rate(targets, windows, burn, now);
            json.open("");
            json.number("long_window_seconds", burn.long * minute / 60);
            json.number("short_window_seconds", burn.short * minute / 60);
            json.decimal("rate", rate, 3);
            json.decimal("alerts_at", burn.rate, 3);
            json.boolean("is_burning", rate >= burn.rate);
            json.close();
        }
        json.close();
    }
}
