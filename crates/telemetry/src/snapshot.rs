//! How the core stands when it tells: figures that go up and down, or that it counts for itself, each by its name.

use serde::Serialize;

use crate::figures;
use crate::record::Tier;

/// How the core stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GaugeSnapshot {
    /// The rows in memory.
    pub l1: L1Gauges,
    /// Requests in progress.
    pub pending_requests: u64,
    /// Requests refused since the start, since too many waited.
    pub shed: u64,
    /// Calls to the origin since the start that were made since a store was slow.
    pub hedged: u64,
    /// Milliseconds after which a slow store's reading is hedged, where it is.
    pub hedge_millis: Option<u64>,
    /// Calls to the origin that are under way.
    pub origin_under_way: u64,
    /// Calls that it may have.
    pub origin_limit: u64,
    /// Whether that limit follows what is measured.
    pub is_origin_limit_adaptive: bool,
    /// How L2 is asked, where there is one.
    pub l2_choice: Option<L2Choice>,
    /// The distributed store, where there is one.
    pub l2: Option<TierGauges>,
    /// The storage tier, where there is one.
    pub l3: Option<TierGauges>,
    /// The origin.
    pub origin: Option<TierGauges>,
    /// What was fetched ahead.
    pub prefetch: PrefetchFigures,
    /// What the memory is taken by.
    pub memory: MemoryUse,
}

impl GaugeSnapshot {
    /// What is said of a tier, where there is such a one.
    #[must_use]
    pub fn tier(&self, tier: Tier) -> Option<&TierGauges> {
        match tier {
            Tier::L2 => self.l2.as_ref(),
            Tier::L3 => self.l3.as_ref(),
            Tier::Origin => self.origin.as_ref(),
        }
    }
}

/// What L1 says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L1Gauges {
    /// Rows in it.
    pub rows: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// The most rows that it may hold.
    pub max_rows: u64,
    /// The most bytes that they may take.
    pub max_bytes: u64,
    /// Rows that made room for others since the start.
    pub evictions: u64,
}

/// How L2 is asked, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct L2Choice {
    /// Before the origin, together with it, or not at all.
    pub read_policy: &'static str,
    /// Why, for people.
    pub reason: &'static str,
}

/// What a tier says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierGauges {
    /// Whether it is left alone.
    pub is_open: bool,
    /// How often that has begun.
    pub opened: u64,
    /// What a store did; the origin has none of it.
    pub store: StoreFigures,
    /// What it is given now, in milliseconds.
    pub timeout_millis: u64,
    /// The most that it is given.
    pub max_timeout_millis: u64,
}

figures! {
    /// What a store did.
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

    /// What prefetch did.
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
        precision: Share,
        /// Share of misses avoided, in comparison with holdout sessions.
        coverage: Share,
        /// Share of the requested prefetched rows that arrived in time.
        timeliness: Share,
        /// Models of other isolates merged.
        models_merged: Total,
        /// Models of other isolates that could not be merged.
        models_ignored: Total,
    }
}

/// What a share of the memory takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Bytes that it takes.
    pub used: usize,
    /// Bytes that it may take.
    pub allowed: usize,
    /// How many of its things had to make room since the start, or were refused for want of it.
    pub evicted: u64,
}

/// What all shares of the memory take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// All of it.
    pub all: Share,
    /// Rows, their schemas and their vectors.
    pub rows: Share,
    /// Plans, lists of features, and what the registry said.
    pub plans: Share,
    /// What was learned from requests.
    pub prefetch: Share,
    /// Marks of writes.
    pub invalidations: Share,
    /// Records of requests that nobody has taken yet.
    pub records: Share,
    /// What waits; refused are requests for which there was no room.
    pub pending: Share,
}
