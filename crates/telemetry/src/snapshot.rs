//! How the core stands when it tells: figures that go up and down, or that it counts for itself, each by its name.

use crate::record::Tier;

/// How the core stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GaugeSnapshot {
    /// The rows in memory.
    pub l1: L1Gauges,
    /// Requests under way.
    pub waiting: u64,
    /// Requests refused since the start, since too many waited.
    pub refused: u64,
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
    pub prefetch: PrefetchGauges,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L2Choice {
    /// Before the origin, together with it, or not at all.
    pub order: &'static str,
    /// Why, for people.
    pub reason: &'static str,
}

/// What a tier says; the origin has no rows written and none unusable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierGauges {
    /// Whether it is left alone.
    pub is_open: bool,
    /// How often that has begun.
    pub opened: u64,
    /// Keys asked for.
    pub gets: u64,
    /// Rows written.
    pub puts: u64,
    /// Rows not written, since it has them.
    pub unchanged: u64,
    /// Writes given up for a later one.
    pub coalesced: u64,
    /// Rows not written, since the budget, or the store's own quota, is spent.
    pub over_budget: u64,
    /// Rows not taken, since their keys are written too often.
    pub rate_limited: u64,
    /// Bulk reads that were made again by halves, since their values were too large together.
    pub halved: u64,
    /// Operations left out while it was left alone.
    pub left_out: u64,
    /// Stored values that could not be used.
    pub unusable: u64,
    /// Rows not written, since their request had written as many as it may, or too many waited.
    pub shed: u64,
    /// Rows not written, since it could not be read what else it holds of them.
    pub unmerged: u64,
    /// Whether it is not written to, since too many writes failed.
    pub are_writes_open: bool,
    /// What it is given now, in milliseconds.
    pub timeout_millis: u64,
    /// The most that it is given.
    pub max_timeout_millis: u64,
}

/// What prefetch says, all of it since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefetchGauges {
    /// Rows fetched ahead.
    pub issued: u64,
    /// Of these, rows that probe a rule which rests.
    pub probes: u64,
    /// Rows that came before they were asked for, and were then.
    pub used: u64,
    /// Rows that were asked for while they were fetched.
    pub late: u64,
    /// Rows that were evicted or expired before they were asked for.
    pub wasted: u64,
    /// Rows that did not come.
    pub failed: u64,
    /// Rows not fetched, since the second's budget was spent.
    pub over_budget: u64,
    /// Rows not fetched, since all in memory is warmer.
    pub declined: u64,
    /// Rows that made room for those fetched ahead.
    pub displaced: u64,
    /// Of these, rows that were then asked for.
    pub missed: u64,
    /// Keys read from stores.
    pub reads: u64,
    /// Rows asked of the origin.
    pub calls: u64,
    /// Rows written.
    pub writes: u64,
    /// What these cost, in millionths of a dollar.
    pub spent: u64,
    /// What the used rows would have cost when asked for, in millionths of a dollar.
    pub saved: u64,
    /// Used in time, of those whose fate is known, in thousandths.
    pub precision: u64,
    /// Misses gone, compared with sessions that are held out, in thousandths.
    pub coverage: u64,
    /// In time, of those asked for after all, in thousandths.
    pub timeliness: u64,
    /// Models of other isolates taken over.
    pub models: u64,
    /// Models that could not be.
    pub models_ignored: u64,
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
    pub learned: Share,
    /// Marks of writes.
    pub marks: Share,
    /// Records of requests that nobody has taken yet.
    pub records: Share,
    /// What waits; refused are requests for which there was no room.
    pub waiting: Share,
}
