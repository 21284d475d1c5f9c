//! What came of a simulated deployment.

use benchmark::distribution::Distribution;
use config::Costs;
use serde::Serialize;
use telemetry::cost::{Cost, Prices};

use crate::deployment::Kind;

/// By whom a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The isolate's memory.
    L1,
    /// Workers KV.
    L2,
    /// Another request of the isolate, which was already looking for the row.
    Shared,
    /// The origin.
    Origin,
    /// Nobody: the answer lacks its values, or is none.
    Nobody,
}

/// What is counted. Each entity that was simulated counts as often as it stands for others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Requests.
    pub requests: u64,
    /// Requests that were simulated.
    pub simulated: u64,
    /// For how long it was counted, in milliseconds.
    pub millis: u64,
    /// By whom they were answered, as [`Answered`] has it.
    pub answered: [u64; 5],
    /// Requests that were answered with a row past its time.
    pub stale: u64,
    /// Keys read from KV.
    pub reads: u64,
    /// Those that were in the location's cache.
    pub hot_reads: u64,
    /// Keys written to KV, those that it refused included.
    pub writes: u64,
    /// Those that it refused, since they were written a moment before.
    pub refused: u64,
    /// Calls to the origin, behind answers too.
    pub calls: u64,
    /// Isolates that began.
    pub started: u64,
    /// How many isolates there were at the end.
    pub isolates: u64,
    /// How old the values were that were served, in microseconds.
    pub age: Distribution,
    /// How long requests took, in microseconds, but for what happens within a millisecond.
    pub latency: Distribution,
}

impl Figures {
    /// How many were answered so.
    #[must_use]
    pub fn of(&self, by: Answered) -> u64 {
        self.answered.get(by as usize).copied().unwrap_or_default()
    }

    /// A request's end: by whom it was answered, how old its values are, and how long it took, in milliseconds.
    pub fn end(&mut self, by: Answered, age: Option<u64>, took: u64, weight: u32) {
        if let Some(count) = self.answered.get_mut(by as usize) {
            *count += u64::from(weight);
        }
        if let Some(age) = age {
            self.age.record_many(age * 1_000, weight);
        }
        self.latency.record_many(took * 1_000, weight);
    }
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// How many requests come in a second.
    pub rate: f64,
    /// What stands between them and the origin.
    pub kind: Kind,
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
    /// The share that nobody answered.
    pub unanswered: f64,
    /// The share that was answered with a row past its time, while it was fetched anew.
    pub stale: f64,
    /// Of the requests that were L2's to answer, the share that it did.
    pub l2_hit_ratio: f64,
    /// The share of requests that cost no call to the origin, calls behind answers counted in.
    pub offload: f64,
    /// Keys read from KV for each million of requests.
    pub reads_per_million: f64,
    /// Of those, the share that was in the location's cache.
    pub hot_reads: f64,
    /// Keys written to KV for each million of requests.
    pub writes_per_million: f64,
    /// Of those, the share that it refused.
    pub refused_writes: f64,
    /// Calls to the origin for each million of requests.
    pub calls_per_million: f64,
    /// What a million requests cost, in US dollars.
    pub dollars_per_million: f64,
    /// What a million calls to the origin must cost, in US dollars, for this to be as dear as calling it directly; none where it never is.
    pub worth_it_from_dollars: Option<f64>,
    /// How old what was served was at the median, in seconds.
    pub age_p50: f64,
    /// At the 99th percentile.
    pub age_p99: f64,
    /// At the most.
    pub age_max: f64,
    /// How long requests took at the median, in milliseconds.
    pub latency_p50: f64,
    /// At the 99th percentile.
    pub latency_p99: f64,
}

impl Row {
    /// The line of some figures.
    #[must_use]
    pub fn new(rate: f64, kind: Kind, figures: &Figures, costs: &Costs) -> Row {
        let requests = figures.requests.max(1) as f64;
        let share = |count: u64, of: u64| if of == 0 { 0.0 } else { count as f64 / of as f64 };
        let of_all = |count: u64| count as f64 / requests;
        let (l2, origin) = (figures.of(Answered::L2), figures.of(Answered::Origin));
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
            l1: of_all(figures.of(Answered::L1)),
            l2: of_all(l2),
            shared: of_all(figures.of(Answered::Shared)),
            origin: of_all(origin),
            unanswered: of_all(figures.of(Answered::Nobody)),
            stale: of_all(figures.stale),
            l2_hit_ratio: share(l2, l2 + origin),
            offload,
            reads_per_million: of_all(figures.reads) * 1e6,
            hot_reads: share(figures.hot_reads, figures.reads),
            writes_per_million: of_all(figures.writes) * 1e6,
            refused_writes: share(figures.refused, figures.writes),
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
