//! The timings of a request: when its reads and calls began and ended. It knows no clock. Invariant: the
//! parts sum to the total.

use model::answer::Tier;
use model::time::Timestamp;
use telemetry::record;

/// The timings of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timings {
    pub(super) reads: [Timing; 2],
    pub(super) fetch: Timing,
    pub(super) origin_status: Option<u16>,
}

/// When an operation began first, and for how long it was awaited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timing {
    began: Option<Timestamp>,
    millis: Option<u64>,
    /// How many operations have not ended.
    under_way: u32,
}

/// `L_total = L_network + L_cache + L_computation + L_serialization`, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The rest: between host and core, and in queues.
    pub(super) network: u64,
    /// Waiting for stores.
    pub(super) cache: u64,
    /// Waiting for the origin, network included: only the origin could tell the two apart.
    pub(super) computation: u64,
    /// Reading and writing. Both are done within one call of the core, which has no clock, so this is 0 here; the benchmark has it.
    pub(super) serialization: u64,
}

impl Timing {
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.began.get_or_insert(now);
        self.under_way += 1;
    }

    pub(super) fn end(&mut self, now: Timestamp) {
        self.millis = self.began.map(|began| now.millis_since(began));
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Ends what is still awaited, because the answer is sent without it.
    fn cut_off(&mut self, now: Timestamp) {
        if self.under_way > 0 {
            self.end(now);
        }
    }
}

impl Timings {
    /// How long each tier was awaited, in milliseconds, where it was.
    pub(super) fn by_tier(&self) -> [(&'static str, Option<u64>); 3] {
        let [l2, l3] = self.reads;
        [("l2", l2.millis), ("l3", l3.millis), ("origin", self.fetch.millis)]
    }

    /// The parts of a request's latency: the original specification's model.
    pub(super) fn parts(&self, total: u64) -> Parts {
        let cache = self.reads.iter().filter_map(|read| read.millis).sum::<u64>().min(total);
        let computation = self.fetch.millis.unwrap_or_default().min(total - cache);
        Parts { network: total - cache - computation, cache, computation, serialization: 0 }
    }

    /// The spans: tier, start, duration, and HTTP status.
    pub(super) fn spans(&self) -> impl Iterator<Item = (record::RemoteTier, Timestamp, u64, u16)> {
        let [l2, l3] = self.reads;
        let status = self.origin_status.unwrap_or_default();
        [
            (record::RemoteTier::L2, l2, 0),
            (record::RemoteTier::L3, l3, 0),
            (record::RemoteTier::Origin, self.fetch, status),
        ]
        .into_iter()
        .filter_map(|(tier, timing, status)| Some((tier, timing.began?, timing.millis?, status)))
    }

    /// Ends all that is still awaited: the answer is sent without it.
    pub(super) fn cut_off(&mut self, now: Timestamp) {
        let [l2, l3] = &mut self.reads;
        [l2, l3, &mut self.fetch].into_iter().for_each(|timing| timing.cut_off(now));
    }

    /// Of reads of a store.
    pub(super) fn of(&mut self, store: Tier) -> &mut Timing {
        let [l2, l3] = &mut self.reads;
        if store == Tier::L3 { l3 } else { l2 }
    }
}
