//! What the tiers save, in time and money.

use crate::figures;
use crate::figures::Decimal;
use crate::histogram::{Count, Summary};
use crate::sla::per_million;

/// Prices of a million operations, in US cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Keys read from L2.
    pub read_cents: u64,
    /// Keys written to L2.
    pub write_cents: u64,
    /// Origin calls.
    pub origin_cents: u64,
}

figures! {
    /// Operations done and saved, and their cost.
    Cost {
        /// Keys read from L2.
        l2_reads: Total,
        /// Keys not read from L2, because L1 had their rows.
        l2_reads_saved: Total,
        /// Keys written to L2.
        l2_writes: Total,
        /// Keys not written to L2: unchanged or coalesced.
        l2_writes_saved: Total,
        /// Origin calls.
        origin_calls: Total,
        /// Requests answered without an origin call.
        origin_calls_saved: Total,
        /// Cost of the operations, in US dollars.
        spent_usd: MicroDollars,
        /// Cost of the saved operations, in US dollars.
        saved_usd: MicroDollars,
    }

    /// Where a window's time went, and the original specification's `Cost_Savings = H × (L_miss − L_hit) × rate`.
    LatencyModel {
        /// Mean time of a request in queues and between host and core, in the window.
        network_ms: Micros,
        /// Mean time of a request waiting for L2 and L3, in the window.
        cache_ms: Micros,
        /// Mean time of a request waiting for the origin, in the window.
        computation_ms: Micros,
        /// Mean time of serialization; 0, because the core has no clock.
        serialization_ms: Micros,
        /// Mean latency of requests without an origin call, in the window.
        hit_ms: Micros,
        /// Mean latency of requests with an origin call, in the window.
        miss_ms: Micros,
        /// Share of the requested rows that any tier had, in the window.
        hit_ratio: Ratio,
        /// Waiting time saved in each second: hit ratio x (miss latency - hit latency) x request rate.
        saved_ms: Micros,
    }
}

impl Cost {
    /// The same operations with their cost.
    #[must_use]
    pub fn priced(self, prices: &Prices) -> Cost {
        // Cents a million are hundredths of a millionth of a dollar each.
        let money = |reads: u64, writes: u64, calls: u64| {
            Decimal((reads * prices.read_cents + writes * prices.write_cents + calls * prices.origin_cents) / 100)
        };
        Cost {
            spent_usd: money(self.l2_reads, self.l2_writes, self.origin_calls),
            saved_usd: money(self.l2_reads_saved, self.l2_writes_saved, self.origin_calls_saved),
            ..self
        }
    }
}

impl LatencyModel {
    /// The model of a window of `window_millis`. Nothing is saved unless the window has both hits and misses.
    #[must_use]
    pub fn of(window: &Summary, window_millis: u64) -> LatencyModel {
        let mean = |millis: Count| Decimal(per_million(window.of(millis), window.of(Count::Requests)) / 1_000);
        let (requests, misses) = (window.of(Count::Requests), window.of(Count::MissRequests));
        let rows = window.of(Count::L1Hits) + window.of(Count::L1Misses);
        let hits = window.of(Count::L1Hits) + window.of(Count::L2Hits) + window.of(Count::L3Hits);
        let micros = |millis: u64, requests: u64| (millis * 1_000).checked_div(requests);
        let hit_millis = window.of(Count::Millis).saturating_sub(window.of(Count::MissMillis));
        let hit = micros(hit_millis, requests.saturating_sub(misses));
        let miss = micros(window.of(Count::MissMillis), misses);
        let hit_ratio = per_million(hits.min(rows), rows);
        let per_thousand_seconds = (requests * 1_000_000).checked_div(window_millis).unwrap_or_default();
        let gained = hit.zip(miss).map_or(0, |(hit, miss)| miss.saturating_sub(hit));
        LatencyModel {
            network_ms: mean(Count::NetworkMillis),
            cache_ms: mean(Count::CacheMillis),
            computation_ms: mean(Count::ComputeMillis),
            serialization_ms: mean(Count::SerializationMillis),
            hit_ms: Decimal(hit.unwrap_or_default()),
            miss_ms: Decimal(miss.unwrap_or_default()),
            hit_ratio: Decimal(hit_ratio),
            saved_ms: Decimal(gained.saturating_mul(hit_ratio) / 1_000 * per_thousand_seconds / 1_000_000),
        }
    }
}
