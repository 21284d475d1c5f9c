//! The gauges of telemetry, from the engine's state. It changes nothing.

use ::prefetch::governor::PrefetchStats;
use config::Config;
use engine::Engine;
use engine::breaker::{Breaker, BreakerState};
use engine::latency::{MIN_ORIGIN_MILLIS, MIN_STORE_MILLIS};
use engine::store::Store;
use model::answer::Tier;
use telemetry::figures::Decimal;
use telemetry::snapshot::{GaugeSnapshot, L1Gauges, L2Choice, MemoryUse, PrefetchFigures, StoreFigures, TierGauges};

/// A snapshot of the gauges.
pub(super) fn gauges(engine: &Engine, config: &Config, memory: MemoryUse) -> GaugeSnapshot {
    let (l1, limiter) = (engine.memory(), engine.origin_limiter());
    let hedge = engine.stores().first().and_then(|store| store.latency().quantile(950));
    let most = config.origin.timeout_ms;
    let timeout = engine.timeout_of(engine.origin_latency(), MIN_ORIGIN_MILLIS, most);
    let mut gauges = GaugeSnapshot {
        l1: L1Gauges {
            rows: l1.len() as u64,
            bytes: l1.bytes() as u64,
            max_rows: config.l1.max_entries as u64,
            max_bytes: config.l1.max_bytes as u64,
            evictions: l1.evictions(),
        },
        pending_requests: engine.sessions() as u64,
        shed: engine.shed_requests(),
        hedged: engine.hedged(),
        hedge_millis: hedge.filter(|_| config.deadlines.hedging).map(|millis| millis + 1),
        origin_under_way: limiter.under_way() as u64,
        origin_limit: limiter.limit().into(),
        is_origin_limit_adaptive: config.load.adaptive_concurrency,
        l2_choice: engine
            .l2_decision()
            .map(|decision| L2Choice { policy: decision.policy.name(), reason: decision.reason.text() }),
        l2: None,
        l3: None,
        origin: Some(tier_gauges(engine.origin_breaker(), None, timeout, most)),
        prefetch: prefetch_figures(engine.governor().stats()),
        memory,
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

fn prefetch_figures(stats: &PrefetchStats) -> PrefetchFigures {
    let share = |permille: Option<u64>| Decimal(permille.unwrap_or_default() * 1_000);
    PrefetchFigures {
        issued: stats.issued,
        probes: stats.probes,
        used: stats.used,
        late: stats.late,
        wasted: stats.wasted,
        failed: stats.failed,
        over_budget: stats.over_budget,
        admission_rejected: stats.admission_rejected,
        evictions: stats.evictions,
        polluting_evictions: stats.polluting_evictions,
        l2_reads: stats.reads,
        origin_rows: stats.calls,
        l2_writes: stats.writes,
        // Billionths of a dollar are reported in millionths.
        spent_usd: Decimal(stats.spent / 1_000),
        saved_usd: Decimal(stats.saved / 1_000),
        precision: share(stats.precision_permille()),
        coverage: share(stats.coverage_permille()),
        timeliness: share(stats.timeliness_permille()),
        models_merged: stats.models_merged,
        models_ignored: stats.models_ignored,
    }
}

fn tier_gauges(breaker: &Breaker, store: Option<&Store>, timeout: u64, most: u64) -> TierGauges {
    let is_open = |breaker: &Breaker| breaker.state() != BreakerState::Closed;
    let counts = store.map(|store| *store.counts()).unwrap_or_default();
    TierGauges {
        is_open: is_open(breaker),
        opened: breaker.times_opened(),
        store: StoreFigures {
            keys_read: counts.gets,
            keys_written: counts.puts,
            unchanged: counts.unchanged,
            coalesced: counts.coalesced,
            over_budget: counts.over_budget,
            rate_limited: counts.rate_limited,
            split_reads: counts.split_reads,
            skipped_breaker_open: counts.skipped_breaker_open,
            unusable: counts.foreign + counts.other_version + counts.damaged + counts.other_key,
            shed: counts.shed,
            unmerged: counts.unmerged,
            write_breaker_open: store.is_some_and(|store| is_open(store.write_breaker())).into(),
        },
        timeout_millis: timeout,
        max_timeout_millis: most,
    }
}
