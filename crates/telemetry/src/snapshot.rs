//! The gauges and counters of the core that come with each batch of records.

use serde::Serialize;

use crate::figures;
use crate::record::RemoteTier;

/// A snapshot of the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GaugeSnapshot {
    /// The rows in memory.
    pub l1: L1Gauges,
    /// Requests in progress.
    pub pending_requests: u64,
    /// Requests shed since the start.
    pub shed: u64,
    /// Hedged origin calls since the start.
    pub hedged: u64,
    /// Milliseconds after which a slow read of a store is hedged, if hedging is on.
    pub hedge_millis: Option<u64>,
    /// Origin calls in progress.
    pub origin_under_way: u64,
    /// The limit of concurrent origin calls.
    pub origin_limit: u64,
    /// Whether that limit adapts to measurements.
    pub is_origin_limit_adaptive: bool,
    /// How L2 is read, if there is one.
    pub l2_choice: Option<L2Choice>,
    /// The distributed store, if there is one.
    pub l2: Option<TierGauges>,
    /// The storage tier, if there is one.
    pub l3: Option<TierGauges>,
    /// The origin.
    pub origin: Option<TierGauges>,
    /// Prefetch.
    pub prefetch: PrefetchFigures,
    /// Memory by its shares.
    pub memory: MemoryUse,
}

impl GaugeSnapshot {
    /// The gauges of a tier, if there is one.
    #[must_use]
    pub fn tier(&self, tier: RemoteTier) -> Option<&TierGauges> {
        match tier {
            RemoteTier::L2 => self.l2.as_ref(),
            RemoteTier::L3 => self.l3.as_ref(),
            RemoteTier::Origin => self.origin.as_ref(),
        }
    }
}

/// The gauges of L1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L1Gauges {
    /// Rows in it.
    pub rows: u64,
    /// Bytes of these rows.
    pub bytes: u64,
    /// The maximum of rows.
    pub max_rows: u64,
    /// The maximum of bytes.
    pub max_bytes: u64,
    /// Rows evicted since the start.
    pub evictions: u64,
}

/// How L2 is read, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct L2Choice {
    /// The read policy: before the origin, parallel to it, or never.
    pub policy: &'static str,
    /// Why, for people.
    pub reason: &'static str,
}

/// The gauges of a tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierGauges {
    /// Whether its circuit breaker is open.
    pub is_open: bool,
    /// How often the breaker has opened.
    pub opened: u64,
    /// The figures of a store; the origin has none.
    pub store: StoreFigures,
    /// Its present timeout, in milliseconds.
    pub timeout_millis: u64,
    /// The longest timeout.
    pub max_timeout_millis: u64,
}

figures! {
    /// The figures of a store.
    StoreFigures {
        /// Keys read.
        keys_read: Total,
        /// Rows written.
        keys_written: Total,
        /// Rows not written, because the store has the same.
        unchanged: Total,
        /// Writes replaced by a later one of the same key.
        coalesced: Total,
        /// Rows not written, because the write budget is spent.
        over_budget: Total,
        /// Rows that the store refused, because their keys are written too often.
        rate_limited: Total,
        /// Bulk reads repeated in halves, because they were too large.
        split_reads: Total,
        /// Operations skipped while the circuit breaker was open.
        skipped_breaker_open: Total,
        /// Stored values that could not be used: foreign, damaged or of another version.
        unusable: Total,
        /// Rows not written, because of the write limit of their request or a full queue.
        shed: Total,
        /// Rows not written, because their stored columns could not be read.
        unmerged: Total,
        /// 1 while the circuit breaker of writes is open or half-open.
        write_breaker_open: Gauge,
    }

    /// The figures of prefetch.
    PrefetchFigures {
        /// Rows prefetched.
        issued: Total,
        /// Rows prefetched to probe a kind of prediction that cools down.
        probes: Total,
        /// Prefetched rows that arrived before a request for them.
        used: Total,
        /// Prefetched rows that were requested before they arrived.
        late: Total,
        /// Prefetched rows that were evicted or expired before a request.
        wasted: Total,
        /// Prefetched rows that did not arrive, or that a request fetched meanwhile.
        failed: Total,
        /// Rows not prefetched, because the budget of the second was spent.
        over_budget: Total,
        /// Rows not prefetched, because all rows in memory are used more.
        admission_rejected: Total,
        /// Rows evicted for prefetched ones.
        evictions: Total,
        /// Rows evicted for prefetched ones and requested afterwards.
        polluting_evictions: Total,
        /// Keys read from L2 by prefetch.
        l2_reads: Total,
        /// Rows fetched from the origin by prefetch.
        origin_rows: Total,
        /// Prefetched rows written to L2.
        l2_writes: Total,
        /// Cost of prefetch, in US dollars.
        spent_usd: MicroDollars,
        /// Cost that the used rows would have had on request, in US dollars.
        saved_usd: MicroDollars,
        /// Share of the prefetched rows with a known outcome that were used in time.
        precision: Ratio,
        /// Share of misses avoided, in comparison with holdout sessions.
        coverage: Ratio,
        /// Share of the requested prefetched rows that arrived in time.
        timeliness: Ratio,
        /// Models of other isolates merged.
        models_merged: Total,
        /// Models of other isolates that could not be merged.
        models_ignored: Total,
    }
}

/// A share of the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryShare {
    /// Bytes in use.
    pub used: usize,
    /// The maximum of bytes.
    pub allowed: usize,
    /// Entries evicted since the start, or refused for lack of room.
    pub evicted: u64,
}

/// All shares of the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// The total.
    pub all: MemoryShare,
    /// Rows, their schemas and their vectors.
    pub rows: MemoryShare,
    /// Plans, feature lists and registry metadata.
    pub plans: MemoryShare,
    /// Prefetch models.
    pub prefetch: MemoryShare,
    /// Invalidations.
    pub invalidations: MemoryShare,
    /// Records that were not ingested yet.
    pub records: MemoryShare,
    /// Pending requests. `evicted` counts those that were shed for lack of room.
    pub pending: MemoryShare,
}
