//! The results of a simulated deployment.

use benchmark::distribution::Distribution;
use config::Costs;
use serde::Serialize;
use telemetry::cost::{Cost, Prices};

use crate::deployment::DeploymentKind;

/// Which tier served a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedBy {
    /// The isolate's memory.
    L1,
    /// Workers KV.
    L2,
    /// A concurrent request of the isolate, whose read or origin call was shared.
    Shared,
    /// The origin.
    Origin,
    /// None: there is no response, or it lacks its values.
    None,
}

/// Counts. Each simulated entity counts with its weight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Requests.
    pub requests: u64,
    /// Requests that were simulated.
    pub simulated: u64,
    /// The measured time, in milliseconds.
    pub millis: u64,
    /// Requests by the tier that served them, indexed by [`ServedBy`].
    pub served_by: [u64; 5],
    /// Requests that were served a stale row.
    pub stale: u64,
    /// Keys read from KV.
    pub reads: u64,
    /// Those that were in the location's cache.
    pub hot_reads: u64,
    /// Keys written to KV, including rejected ones.
    pub writes: u64,
    /// Writes that KV rejected, because their keys were written just before.
    pub rejected_writes: u64,
    /// Origin calls, including those in the background.
    pub calls: u64,
    /// Isolates that began.
    pub started: u64,
    /// How many isolates there were at the end.
    pub isolates: u64,
    /// The age of served values, in microseconds.
    pub age: Distribution,
    /// The latency of requests, in microseconds, without what takes less than a millisecond.
    pub latency: Distribution,
}

impl Figures {
    /// How many requests a tier served.
    #[must_use]
    pub fn of(&self, by: ServedBy) -> u64 {
        self.served_by.get(by as usize).copied().unwrap_or_default()
    }

    /// Records the end of a request: the tier that served it, the age of its values, and its latency in milliseconds.
    pub fn end(&mut self, by: ServedBy, age: Option<u64>, took: u64, weight: u32) {
        if let Some(count) = self.served_by.get_mut(by as usize) {
            *count += u64::from(weight);
        }
        if let Some(age) = age {
            self.age.record_many(age * 1_000, weight);
        }
        self.latency.record_many(took * 1_000, weight);
    }
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Requests a second.
    pub rate: f64,
    /// The tiers between them and the origin.
    pub kind: DeploymentKind,
    /// How many isolates there were at the end.
    pub isolates: u64,
    /// How many began in an hour.
    pub isolates_started_per_hour: f64,
    /// How many requests were simulated.
    pub simulated: u64,
    /// How many those stand for.
    pub requests: u64,
    /// Of the requests, the share that L1 answered.
    pub l1: f64,
    /// The share that L2 answered.
    pub l2: f64,
    /// The share that another request's read or call answered.
    pub shared: f64,
    /// The share that the origin answered.
    pub origin: f64,
    /// The share without a complete response.
    pub unanswered: f64,
    /// The share that was served a stale row, while that was revalidated.
    pub stale: f64,
    /// Of the requests that read L2, the share that it served.
    pub l2_hit_ratio: f64,
    /// The share of requests without an origin call, which includes calls in the background.
    pub offload: f64,
    /// Keys read from KV for each million of requests.
    pub reads_per_million: f64,
    /// Of those, the share that was in the location's cache.
    pub hot_reads: f64,
    /// Keys written to KV for each million of requests.
    pub writes_per_million: f64,
    /// Of those, the share that it rejected.
    pub refused_writes: f64,
    /// Origin calls for each million of requests.
    pub calls_per_million: f64,
    /// What a million requests cost, in US dollars.
    pub dollars_per_million: f64,
    /// The price of a million origin calls, in US dollars, at which this costs as much as direct calls; none if there is no such price.
    pub worth_it_from_dollars: Option<f64>,
    /// The median age of served values, in seconds.
    pub age_p50: f64,
    /// At the 99th percentile.
    pub age_p99: f64,
    /// The maximum.
    pub age_max: f64,
    /// The median latency, in milliseconds.
    pub latency_p50: f64,
    /// At the 99th percentile.
    pub latency_p99: f64,
}

impl Row {
    /// The row of these figures.
    #[must_use]
    pub fn new(rate: f64, kind: DeploymentKind, figures: &Figures, costs: &Costs) -> Row {
        let requests = figures.requests.max(1) as f64;
        let share = |count: u64, of: u64| if of == 0 { 0.0 } else { count as f64 / of as f64 };
        let of_all = |count: u64| count as f64 / requests;
        let (l2, origin) = (figures.of(ServedBy::L2), figures.of(ServedBy::Origin));
        let prices = Prices {
            read_cents: costs.l2_read_cents_per_million,
            write_cents: costs.l2_write_cents_per_million,
            origin_cents: costs.origin_call_cents_per_million,
        };
        let operations =
            Cost { l2_reads: figures.reads, l2_writes: figures.writes, origin_calls: figures.calls, ..Cost::default() };
        let dollars = |prices: &Prices| operations.priced(prices).spent_usd.0 as f64 / requests;
        let store_dollars = dollars(&Prices { origin_cents: 0, ..prices });
        let offload = 1.0 - of_all(figures.calls);
        Row {
            rate,
            kind,
            isolates: figures.isolates,
            isolates_started_per_hour: figures.started as f64 * 3_600_000.0 / figures.millis.max(1) as f64,
            simulated: figures.simulated,
            requests: figures.requests,
            l1: of_all(figures.of(ServedBy::L1)),
            l2: of_all(l2),
            shared: of_all(figures.of(ServedBy::Shared)),
            origin: of_all(origin),
            unanswered: of_all(figures.of(ServedBy::None)),
            stale: of_all(figures.stale),
            l2_hit_ratio: share(l2, l2 + origin),
            offload,
            reads_per_million: of_all(figures.reads) * 1e6,
            hot_reads: share(figures.hot_reads, figures.reads),
            writes_per_million: of_all(figures.writes) * 1e6,
            refused_writes: share(figures.rejected_writes, figures.writes),
            calls_per_million: of_all(figures.calls) * 1e6,
            dollars_per_million: dollars(&prices),
            worth_it_from_dollars: (offload > 0.0).then(|| store_dollars / offload),
            age_p50: figures.age.percentile_ms(0.5) / 1_000.0,
            age_p99: figures.age.percentile_ms(0.99) / 1_000.0,
            age_max: figures.age.max_ms() / 1_000.0,
            latency_p50: figures.latency.percentile_ms(0.5),
            latency_p99: figures.latency.percentile_ms(0.99),
        }
    }
}
