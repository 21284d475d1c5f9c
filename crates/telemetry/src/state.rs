//! How the core stands when it tells: numbers that go up and down, or that it counts for itself.

use crate::record::Tier;

/// How the core stands: numbers by their [`Gauge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(pub(crate) [u64; GAUGES]);

impl Default for State {
    fn default() -> Self {
        State([0; GAUGES])
    }
}

impl State {
    /// One of the numbers.
    #[must_use]
    pub fn of(&self, gauge: Gauge) -> u64 {
        self.0.get(gauge as usize).copied().unwrap_or_default()
    }

    /// Numbers of a tier: `gauge` is of L2, and those of the others follow at a distance of [`TIER_GAUGES`].
    #[must_use]
    pub fn of_tier(&self, gauge: Gauge, tier: Tier) -> u64 {
        self.0.get(gauge as usize + tier as usize * TIER_GAUGES).copied().unwrap_or_default()
    }

    /// A number of prefetch, by its place.
    #[must_use]
    pub fn of_prefetch(&self, place: usize) -> u64 {
        self.0.get(Gauge::Prefetch as usize + place).copied().unwrap_or_default()
    }

    /// Sets some numbers of prefetch, from this place on.
    pub fn set_prefetch(&mut self, place: usize, numbers: &[u64]) {
        let first = Gauge::Prefetch as usize + place;
        self.0.iter_mut().skip(first).zip(numbers).for_each(|(place, &number)| *place = number);
    }

    /// The numbers of a share of memory, by its place among [`MEMORY_SHARES`].
    #[must_use]
    pub fn of_memory(&self, share: usize) -> [u64; 3] {
        let first = Gauge::Memory as usize + 3 * share;
        self.0.get(first..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
    }

    /// Sets some of the numbers: the first is `gauge`'s, and the others follow it.
    pub fn set(&mut self, gauge: Gauge, numbers: &[u64]) {
        self.0.iter_mut().skip(gauge as usize).zip(numbers).for_each(|(place, &number)| *place = number);
    }

    /// Sets those of a tier.
    pub fn set_tier(&mut self, tier: Tier, numbers: &[u64; TIER_GAUGES]) {
        let first = Gauge::TierIsThere as usize + tier as usize * TIER_GAUGES;
        self.0.iter_mut().skip(first).zip(numbers).for_each(|(place, &number)| *place = number);
    }
}

/// How many numbers a tier has.
pub const TIER_GAUGES: usize = 15;

/// How many numbers prefetch has.
pub const PREFETCH_GAUGES: usize = 20;

/// What the numbers of a [`State`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Gauge {
    /// Rows in L1.
    L1Rows,
    /// Bytes that they take.
    L1Bytes,
    /// The most rows that L1 may hold.
    L1MaxRows,
    /// The most bytes that they may take.
    L1MaxBytes,
    /// Rows that made room for others since the start.
    L1Evictions,
    /// Requests under way.
    Waiting,
    /// Requests refused since the start, since too many waited.
    Refused,
    /// Calls to the origin since the start that were made since a store was slow.
    Hedged,
    /// Calls to the origin that are under way.
    OriginUnderWay,
    /// Calls that it may have.
    OriginLimit,
    /// Whether that limit follows what is measured.
    OriginLimitIsAdaptive,
    /// How L2 is asked: 0 where there is none, else 1 more than the order's number.
    L2Order,
    /// The number of the reason.
    L2Reason,
    /// Milliseconds after which a slow store's reading is hedged; 0 where it is not.
    HedgeMillis,
    /// Whether there is such a tier; the first number of L2's.
    TierIsThere,
    /// Whether it is left alone.
    TierIsOpen,
    /// How often that has begun.
    TierOpened,
    /// Keys asked for.
    TierGets,
    /// Rows written.
    TierPuts,
    /// Rows not written, since it has them.
    TierUnchanged,
    /// Writes given up for a later one.
    TierCoalesced,
    /// Rows not written, since the budget is spent.
    TierOverBudget,
    /// Operations left out while it was left alone.
    TierLeftOut,
    /// Stored values that could not be used.
    TierUnusable,
    /// What it is given now, in milliseconds.
    TierTimeout,
    /// The most that it is given.
    TierMostTimeout,
    /// Rows not written, since their request had written as many as it may, or too many waited.
    TierShed,
    /// Rows not written, since it could not be read what else it holds of them.
    TierUnmerged,
    /// Whether it is not written to, since too many writes failed.
    TierWritesAreOpen,
    /// The first of what prefetch says, of [`PREFETCH_GAUGES`].
    Prefetch = Gauge::TierIsThere as usize + 3 * TIER_GAUGES,
    /// The first of what memory says, of [`MEMORY_GAUGES`].
    Memory = Gauge::Prefetch as usize + PREFETCH_GAUGES,
}

/// The shares of memory; of each are told the bytes that it takes, those that it may, and what had to make room or was refused.
pub const MEMORY_SHARES: [&str; 7] = ["all", "rows", "plans", "learned", "marks", "records", "waiting"];

/// How many numbers memory has.
pub const MEMORY_GAUGES: usize = 3 * MEMORY_SHARES.len();

/// How many numbers there are.
pub(crate) const GAUGES: usize = Gauge::Memory as usize + MEMORY_GAUGES;
const _: () = assert!(Gauge::TierWritesAreOpen as usize == Gauge::TierIsThere as usize + TIER_GAUGES - 1);
