//! What the tiers save, in time and money.

use crate::histogram::{Count, Summary};
use crate::sla::share;

/// What a million operations cost, in US cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Keys read from L2.
    pub read_cents: u64,
    /// Keys written to L2.
    pub write_cents: u64,
    /// Calls to the origin.
    pub origin_cents: u64,
}

/// What was done, and what need not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Keys read from L2.
    pub reads: u64,
    /// Keys that need not be read, since L1 had them.
    pub reads_saved: u64,
    /// Keys written to L2.
    pub writes: u64,
    /// Keys that need not be written.
    pub writes_saved: u64,
    /// Calls to the origin.
    pub origin_calls: u64,
    /// Requests that were answered without one.
    pub origin_calls_saved: u64,
}

/// Money, in millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What the operations cost.
    pub spent: u64,
    /// What the others would have cost.
    pub saved: u64,
}

/// What operations cost and save.
#[must_use]
pub fn account(prices: &Prices, done: &Operations) -> Account {
    // Cents a million are hundredths of a millionth of a dollar each.
    let money = |reads: u64, writes: u64, calls: u64| {
        (reads * prices.read_cents + writes * prices.write_cents + calls * prices.origin_cents) / 100
    };
    Account {
        spent: money(done.reads, done.writes, done.origin_calls),
        saved: money(done.reads_saved, done.writes_saved, done.origin_calls_saved),
    }
}

/// The seed's `Cost_Savings = H × (L_miss − L_hit) × rate` of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Savings {
    /// H: of the rows asked for, those that a tier had, in millionths.
    pub hit_ratio: u64,
    /// L_hit: how long requests took that needed no origin, on the average in microseconds.
    pub hit_micros: u64,
    /// L_miss: how long the others took.
    pub miss_micros: u64,
    /// How many requests came in a thousand seconds.
    pub per_thousand_seconds: u64,
    /// Microseconds of waiting that were saved in each second.
    pub saved_micros: u64,
}

/// What a window of so many milliseconds saved. It says nothing where either kind of request was not seen.
#[must_use]
pub fn savings(window: &Summary, window_millis: u64) -> Savings {
    let (requests, misses) = (window.of(Count::Requests), window.of(Count::MissRequests));
    let rows = window.of(Count::L1Hits) + window.of(Count::L1Misses);
    let had = window.of(Count::L1Hits) + window.of(Count::L2Hits) + window.of(Count::L3Hits);
    let mean = |millis: u64, requests: u64| (millis * 1_000).checked_div(requests);
    let hit_micros =
        mean(window.of(Count::Millis).saturating_sub(window.of(Count::MissMillis)), requests.saturating_sub(misses));
    let miss_micros = mean(window.of(Count::MissMillis), misses);
    let hit_ratio = share(had.min(rows), rows);
    let per_thousand_seconds = (requests * 1_000_000).checked_div(window_millis).unwrap_or_default();
    let gained = hit_micros.zip(miss_micros).map_or(0, |(hit, miss)| miss.saturating_sub(hit));
    Savings {
        hit_ratio,
        hit_micros: hit_micros.unwrap_or_default(),
        miss_micros: miss_micros.unwrap_or_default(),
        per_thousand_seconds,
        saved_micros: gained.saturating_mul(hit_ratio) / 1_000 * per_thousand_seconds / 1_000_000,
    }
}
