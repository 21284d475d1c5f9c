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
        /// Keys asked for.
        keys_read: Total,
        /// Rows written.
        keys_written: Total,
        /// Rows not written, since the store has the same.
        unchanged: Total,
        /// Writes given up for a later one.
        coalesced: Total,
        /// Rows not written, since the budget is spent.
        over_budget: Total,
        /// Rows refused, since their keys are written too often.
        rate_limited: Total,
        /// Bulk reads made again by halves, since they were too large.
        split_reads: Total,
        /// Operations left out while the breaker was open.
        skipped_breaker_open: Total,
        /// Stored values that could not be used.
        unusable: Total,
        /// Rows not written, since their request may write no more, or too many wait.
        shed: Total,
        /// Rows not written, since what else the store holds of them could not be read.
        unmerged: Total,
        /// 1 while the breaker of writes is open.
        write_breaker_open: Gauge,
    }

    /// What prefetch did.
    PrefetchFigures {
        /// Rows fetched ahead.
        issued: Total,
        /// Of these, rows to see whether a rule that rests has become better.
        probes: Total,
        /// Rows that came before they were asked for, and were then.
        used: Total,
        /// Rows that were asked for while they were fetched.
        late: Total,
        /// Rows that were evicted or expired before they were asked for.
        wasted: Total,
        /// Rows that did not come, or that others fetched meanwhile.
        failed: Total,
        /// Rows not fetched, since the second's budget was spent.
        over_budget: Total,
        /// Rows not fetched, since all in memory is warmer.
        admission_rejected: Total,
        /// Rows that made room for those fetched ahead.
        evictions: Total,
        /// Of these, rows that were then asked for: pollution.
        polluting_evictions: Total,
        /// Keys read to fetch ahead.
        l2_reads: Total,
        /// Rows asked of the origin to fetch ahead.
        origin_rows: Total,
        /// Rows written that were fetched ahead.
        l2_writes: Total,
        /// What these cost.
        spent_usd: MicroDollars,
        /// What the used rows would have cost when asked for.
        saved_usd: MicroDollars,
        /// Used in time, of those whose fate is known.
        precision: Share,
        /// Misses gone, compared with sessions that are held out.
        coverage: Share,
        /// In time, of those asked for after all.
        timeliness: Share,
        /// Models of other isolates taken over.
        models_merged: Total,
        /// Models that could not be.
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
