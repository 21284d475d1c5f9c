//! What was measured, for people and machines: `/metrics`, `/v1/stats`, `/v1/sla` and `/v1/alerts`, of this isolate or of all whose windows
//! were merged.
//!
//! There are no ids, no values and no secrets in any of it, and a label has few values: paths, priorities, tiers, and a bounded number
//! of views. Invariant: a number is written for Prometheus and as JSON from one table.

use config::Config;
use model::time::Instant;
use telemetry::cost::{self, Operations, Prices};
use telemetry::histogram::{Count, Kind, SLOTS, Series, Windows};
use telemetry::json::Json;
use telemetry::prometheus::Source::{self, Given};
use telemetry::prometheus::Unit::{Gauge as Level, MicroDollars, Micros, Millis, Share, Total};
use telemetry::prometheus::{Column, Row, Table, write_feast};
use telemetry::record::Tier;
use telemetry::sla::{self, BURNS, share};
use telemetry::state::{Gauge, MEMORY_SHARES, State};

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

const TIERS: &[Column] = &[
    Column::new("hits", Total, Given(0), "Rows that the tier completed."),
    Column::new("misses", Total, Given(1), "Rows that it was asked for and did not complete."),
    Column::new("hit", Share, Given(2), "Hits of the rows asked for in the window."),
    Column::new("operations", Total, Source::Total(Count::Requests), "Bulk reads, or calls."),
    Column::new("operation_errors", Total, Source::Total(Count::Errors), "Operations that failed."),
    Column::new("latency_p50", Millis, Source::P50, "Median latency of operations in the window."),
    Column::new("latency_p95", Millis, Source::P95, "95th percentile of their latency."),
    Column::new("latency_p99", Millis, Source::P99, "99th percentile of their latency."),
    Column::new("breaker_open", Level, Given(3), "1 while the tier is left alone."),
    Column::new("breaker_opened", Total, Given(4), "How often that has begun."),
];

const LATENCY: &[Column] = &[
    Column::new("network", Micros, Source::Mean(Count::NetworkMillis, Count::Requests), "L_network, mean."),
    Column::new("cache", Micros, Source::Mean(Count::CacheMillis, Count::Requests), "L_cache, mean."),
    Column::new("computation", Micros, Source::Mean(Count::ComputeMillis, Count::Requests), "L_computation, mean."),
    Column::new(
        "serialization",
        Micros,
        Source::Mean(Count::SerializationMillis, Count::Requests),
        "L_serialization, mean.",
    ),
    Column::new("hit", Micros, Given(0), "L_hit: mean of requests that needed no origin."),
    Column::new("miss", Micros, Given(1), "L_miss: mean of the others."),
    Column::new("tiers_hit", Share, Given(2), "H: hits of all tiers, of rows asked for."),
    Column::new("saved", Micros, Given(3), "H * (L_miss - L_hit) * rate, in each second."),
];

const COST: &[Column] = &[
    Column::new("l2_reads", Total, Given(0), "Keys read from L2."),
    Column::new("l2_reads_saved", Total, Given(1), "Keys not read, since L1 had them."),
    Column::new("l2_writes", Total, Given(2), "Keys written to L2."),
    Column::new("l2_writes_saved", Total, Given(3), "Keys not written: unchanged, or coalesced."),
    Column::new("origin_calls", Total, Given(4), "Calls to the origin."),
    Column::new("origin_calls_saved", Total, Given(5), "Requests answered without one."),
    Column::new("spent", MicroDollars, Given(6), "What the operations cost."),
    Column::new("saved", MicroDollars, Given(7), "What the others would have cost."),
];

const STORES: &[Column] = &[
    Column::new("keys_read", Total, Given(0), "Keys asked for."),
    Column::new("keys_written", Total, Given(1), "Rows written."),
    Column::new("unchanged", Total, Given(2), "Rows not written, since the store has the same."),
    Column::new("coalesced", Total, Given(3), "Writes given up for a later one."),
    Column::new("over_budget", Total, Given(4), "Rows not written, since the budget is spent."),
    Column::new("left_out", Total, Given(5), "Operations left out while the breaker was open."),
    Column::new("unusable", Total, Given(6), "Stored values that could not be used."),
    Column::new("shed", Total, Given(7), "Rows not written, since their request may write no more, or too many wait."),
    Column::new(
        "unmerged",
        Total,
        Given(8),
        "Rows not written, since what else the store holds of them could not be read.",
    ),
    Column::new("writes_stopped", Level, Given(9), "1 while the breaker of writes is open."),
];

const ISOLATE: &[Column] = &[
    Column::new("l1_rows", Level, Given(0), "Rows in memory."),
    Column::new("l1_bytes", Level, Given(1), "Bytes that they take."),
    Column::new("waiting", Level, Given(2), "Requests under way, or going on behind their answers."),
    Column::new("refused", Total, Given(3), "Requests refused since too many waited."),
    Column::new("hedged", Total, Given(4), "Calls to the origin made since a store was slow."),
    Column::new("origin_calls_under_way", Level, Given(5), "Calls to the origin now."),
    Column::new("origin_calls_limit", Level, Given(6), "Calls that it may have."),
    Column::new("alerts_open", Level, Given(7), "Open alerts."),
    Column::new("alerts_opened", Total, Given(8), "Alerts opened."),
    Column::new("alerts_delivered", Total, Given(9), "Messages that the webhook took."),
    Column::new("alerts_given_up", Total, Given(10), "Messages that it did not take."),
    Column::new("windows_given_up", Total, Given(11), "Windows that were not merged."),
    Column::new(
        "records_lost",
        Total,
        Given(12),
        "Records of requests that were not counted, since there was no room for them.",
    ),
    Column::new("l1_max_rows", Level, Given(13), "Rows that memory may hold."),
    Column::new("l1_max_bytes", Level, Given(14), "Bytes that they may take."),
    Column::new("l1_evictions", Total, Given(15), "Rows that made room for others."),
];

const PREFETCH: &[Column] = &[
    Column::new("issued", Total, Given(0), "Rows fetched ahead."),
    Column::new("probes", Total, Given(1), "Of these, rows to see whether a rule that rests has become better."),
    Column::new("used", Total, Given(2), "Rows that came before they were asked for, and were then."),
    Column::new("late", Total, Given(3), "Rows that were asked for while they were fetched."),
    Column::new("wasted", Total, Given(4), "Rows that were evicted or expired before they were asked for."),
    Column::new("failed", Total, Given(5), "Rows that did not come, or that others fetched meanwhile."),
    Column::new("over_budget", Total, Given(6), "Rows not fetched, since the second's budget was spent."),
    Column::new("declined", Total, Given(7), "Rows not fetched, since all in memory is warmer."),
    Column::new("displaced", Total, Given(8), "Rows that made room for those fetched ahead."),
    Column::new("missed", Total, Given(9), "Of these, rows that were then asked for: pollution."),
    Column::new("l2_reads", Total, Given(10), "Keys read to fetch ahead."),
    Column::new("origin_rows", Total, Given(11), "Rows asked of the origin to fetch ahead."),
    Column::new("l2_writes", Total, Given(12), "Rows written that were fetched ahead."),
    Column::new("spent", MicroDollars, Given(13), "What these cost."),
    Column::new("saved", MicroDollars, Given(14), "What the used rows would have cost when asked for."),
    Column::new("precision", Share, Given(15), "Used in time, of those whose fate is known."),
    Column::new("coverage", Share, Given(16), "Misses gone, compared with sessions that are held out."),
    Column::new("timeliness", Share, Given(17), "In time, of those asked for after all."),
    Column::new("models", Total, Given(18), "Models of other isolates taken over."),
    Column::new("models_ignored", Total, Given(19), "Models that could not be."),
];

const MEMORY: &[Column] = &[
    Column::new("bytes", Level, Given(0), "Bytes that a share of the memory takes."),
    Column::new("max_bytes", Level, Given(1), "Bytes that it may take."),
    Column::new("evicted", Total, Given(2), "What had to make room in it, or was refused for want of it."),
];

const SLA: &[Column] = &[
    Column::new("compliant", Level, Given(0), "1 while all targets are met."),
    Column::new("error_budget_left", Share, Given(1), "What is left of the error budget."),
];

const BURN: &[Column] =
    &[Column::new("burn_rate_thousandths", Level, Given(0), "How fast the budget burns; 1000 just uses it up.")];

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

fn row<'a>(label: &'a str, given: &[u64]) -> Row<'a> {
    let mut row = Row { label, ..Row::default() };
    row.given.iter_mut().zip(given).for_each(|(place, &number)| *place = number);
    row
}

/// The rows of all series of a kind.
fn rows(windows: &Windows, kind: Kind) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for series in windows.series().iter().filter(|series| series.kind == kind) {
        rows.push(Row { totals: series.totals(windows), window: series.summary(), ..row(&series.name, &[]) });
    }
    rows
}

/// The tables of a report; what the core itself says among them where that is asked for.
fn tables<'a>(windows: &'a Windows, watch: Option<&'a Watch>) -> Vec<Table<'a>> {
    let mut tables = Vec::new();
    let mut push = |prefix, key, label, columns, rows| tables.push(Table { prefix, key, label, columns, rows });
    for kind in REQUEST_KINDS {
        let (key, prefix, label) = names(kind);
        push(prefix, key, label, REQUESTS, rows(windows, kind));
    }
    push("request_", "sizes", "", SIZES, rows(windows, Kind::All));
    push("", "quality", "", QUALITY, rows(windows, Kind::All));
    push("view_", "view_quality", "view", QUALITY, rows(windows, Kind::View));
    let mut all = rows(windows, Kind::All);
    let Some(first) = all.first_mut() else { return tables };
    let totals = first.totals.clone();
    let tiers = tier_rows(windows, first, watch.map(|watch| &watch.state));
    let origin_operations = tiers.last().map_or(0, |origin| origin.totals.of(Count::Requests));
    push("tier_", "tiers", "tier", TIERS, tiers);
    let savings = cost::savings(&first.window, windows.slot_millis() * SLOTS as u64);
    first.given = row("", &[savings.hit_micros, savings.miss_micros, savings.hit_ratio, savings.saved_micros]).given;
    push("latency_", "latency_model", "", LATENCY, all);
    let Some(Watch { state, config, .. }) = watch else { return tables };

    let mut stores = Vec::new();
    for (name, tier) in [("l2", Tier::L2), ("l3", Tier::L3)] {
        if state.of_tier(Gauge::TierIsThere, tier) > 0 {
            stores.push(row(name, &STORE_GAUGES.map(|gauge| state.of_tier(gauge, tier))));
        }
    }
    push("store_", "stores", "tier", STORES, stores);
    let l2 = |gauge| state.of_tier(gauge, Tier::L2);
    let done = Operations {
        reads: l2(Gauge::TierGets),
        reads_saved: if l2(Gauge::TierIsThere) > 0 { totals.of(Count::L1Hits) } else { 0 },
        writes: l2(Gauge::TierPuts),
        writes_saved: l2(Gauge::TierUnchanged) + l2(Gauge::TierCoalesced),
        // Those made behind answers are among them.
        origin_calls: origin_operations,
        origin_calls_saved: totals.of(Count::CallsSaved),
    };
    push("cost_", "cost", "", COST, vec![row("", &cost_numbers(config, &done))]);
    push("prefetch_", "prefetch", "", PREFETCH, vec![row("", &prefetch_numbers(state))]);
    let shares = MEMORY_SHARES.iter().enumerate();
    push(
        "memory_",
        "memory",
        "share",
        MEMORY,
        shares.map(|(place, name)| row(name, &state.of_memory(place))).collect(),
    );
    let of_place = |place: Place| watch.and_then(|watch| watch.outboxes.get(place as usize));
    let told = |place| of_place(place).map_or((0, 0), |outbox| (outbox.delivered, outbox.given_up));
    let alerts = watch.map(|watch| &watch.monitor);
    let (delivered, given_up) = told(Place::Webhook);
    let [rows, bytes, waiting, refused, hedged, under_way, limit] = ISOLATE_GAUGES.map(|gauge| state.of(gauge));
    let given = [
        rows,
        bytes,
        waiting,
        refused,
        hedged,
        under_way,
        limit,
        alerts.map_or(0, |alerts| alerts.open().count() as u64),
        alerts.map_or(0, telemetry::monitor::Monitor::opened),
        delivered,
        given_up,
        told(Place::Windows).1,
        watch.map_or(0, |watch| watch.lost),
        state.of(Gauge::L1MaxRows),
        state.of(Gauge::L1MaxBytes),
        state.of(Gauge::L1Evictions),
    ];
    push("", "isolate", "", ISOLATE, vec![row("", &given)]);
    tables
}

const STORE_GAUGES: [Gauge; STORES.len()] = [
    Gauge::TierGets,
    Gauge::TierPuts,
    Gauge::TierUnchanged,
    Gauge::TierCoalesced,
    Gauge::TierOverBudget,
    Gauge::TierLeftOut,
    Gauge::TierUnusable,
    Gauge::TierShed,
    Gauge::TierUnmerged,
    Gauge::TierWritesAreOpen,
];

const ISOLATE_GAUGES: [Gauge; 7] = [
    Gauge::L1Rows,
    Gauge::L1Bytes,
    Gauge::Waiting,
    Gauge::Refused,
    Gauge::Hedged,
    Gauge::OriginUnderWay,
    Gauge::OriginLimit,
];

fn cost_numbers(config: &Config, done: &Operations) -> [u64; COST.len()] {
    let costs = &config.costs;
    let prices = Prices {
        read_cents: costs.l2_read_cents,
        write_cents: costs.l2_write_cents,
        origin_cents: costs.origin_call_cents,
    };
    let account = cost::account(&prices, done);
    let Operations { reads, reads_saved, writes, writes_saved, origin_calls, origin_calls_saved } = *done;
    [reads, reads_saved, writes, writes_saved, origin_calls, origin_calls_saved, account.spent, account.saved]
}

fn prefetch_numbers(state: &State) -> [u64; PREFETCH.len()] {
    let mut numbers = [0; PREFETCH.len()];
    for (place, number) in numbers.iter_mut().enumerate() {
        *number = state.of_prefetch(place);
    }
    numbers
}

/// What each tier was asked for and had. The origin is asked for what no tier has.
fn tier_rows<'a>(windows: &'a Windows, all: &Row<'_>, state: Option<&State>) -> Vec<Row<'a>> {
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
        let (had, lacked) = counted(&|count| all.totals.of(count));
        let (had_now, lacked_now) = counted(&|count| all.window.of(count));
        let of_state = |gauge| state.zip(tier).map_or(0, |(state, tier)| state.of_tier(gauge, tier));
        let given = [
            had,
            lacked,
            share(had_now, had_now + lacked_now),
            of_state(Gauge::TierIsOpen),
            of_state(Gauge::TierOpened),
        ];
        let place = measured.iter().position(|row| row.label == name);
        let measured = place.map(|place| measured.swap_remove(place)).unwrap_or_default();
        tiers.push(Row { totals: measured.totals, window: measured.window, ..row(name, &given) });
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

/// The orders in which L2 is asked, and why, by the numbers that the core has for them.
const L2_ORDERS: [&str; 3] = ["first", "together", "never"];
const L2_REASONS: [&str; 5] = [
    "`optimizer.l2` says so",
    "too little was measured",
    "L2 is as fast as the origin, or fast enough",
    "L2 is slower than the origin, and has few of the rows",
    "L2's median is slower than the origin's 95th percentile",
];

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
        let state = &self.state;
        json.open("optimizer");
        if let Some(order) = state.of(Gauge::L2Order).checked_sub(1) {
            let text = |texts: &[&'static str], number| texts.get(number as usize).copied().unwrap_or_default();
            json.open("l2");
            json.text("order", text(&L2_ORDERS, order));
            json.text("reason", text(&L2_REASONS, state.of(Gauge::L2Reason)));
            json.close();
        }
        json.open("timeouts");
        for (name, tier) in [("l2", Tier::L2), ("l3", Tier::L3), ("origin", Tier::Origin)] {
            if state.of_tier(Gauge::TierIsThere, tier) == 0 {
                continue;
            }
            let [now, most] = [Gauge::TierTimeout, Gauge::TierMostTimeout].map(|gauge| state.of_tier(gauge, tier));
            let reason = if now < most {
                "four times the 99th percentile, or the least that a tier is given"
            } else {
                "the configured one: too little was measured, or the tier is as slow"
            };
            json.open(name);
            json.number("timeout_ms", now);
            json.text("reason", reason);
            json.close();
        }
        json.close();
        let hedge = state.of(Gauge::HedgeMillis);
        if hedge > 0 {
            json.open("hedge");
            json.number("after_ms", hedge);
            json.text("reason", "the store's 95th percentile");
            json.close();
        }
        let reason = if state.of(Gauge::OriginLimitIsAdaptive) > 0 {
            "as many as the origin answers without making them wait"
        } else {
            "`load.max_origin_calls`, since `load.adaptive_concurrency` is off"
        };
        json.open("concurrency");
        json.number("origin_calls", state.of(Gauge::OriginLimit));
        json.text("reason", reason);
        json.close();
        json.close();
    }

    fn sla_tables<'a>(&self, windows: &Windows, now: Instant) -> [Table<'a>; 2] {
        let targets = &self.targets;
        let window = windows.all().map(Series::summary).unwrap_or_default();
        let is_violated = sla::check(targets, &window).0 == sla::Status::Violation;
        let compliance = [u64::from(!is_violated), sla::budget_left(targets, windows, now)];
        let mut rates = Vec::new();
        for (name, burn) in BURN_WINDOWS.into_iter().zip(BURNS) {
            rates.push(row(name, &[sla::burn_rate(targets, windows, burn, now)]));
        }
        [
            Table { prefix: "sla_", key: "sla", label: "", columns: SLA, rows: vec![row("", &compliance)] },
            Table { prefix: "sla_", key: "burn", label: "window", columns: BURN, rows: rates },
        ]
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
