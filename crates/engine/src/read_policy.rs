//! The read policy of L2, from measurements: before the origin, in parallel with it, or never.
//!
//! It knows latencies and hits, and no requests. Invariant: a decision has its reason, and a share of
//! requests reads L2 first in any case, so that a change is noticed.

use crate::latency::Latency;

/// How L2 is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPolicy {
    /// Before the origin, which is called for what L2 lacks.
    First,
    /// In parallel with the origin; the first response wins.
    Parallel,
    /// Never.
    Never,
}

impl ReadPolicy {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ReadPolicy::First => "first",
            ReadPolicy::Parallel => "parallel",
            ReadPolicy::Never => "never",
        }
    }
}

/// What was decided, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How L2 is read.
    pub policy: ReadPolicy,
    /// Why.
    pub reason: Reason,
}

/// Why something was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `l2.read_policy` says so.
    Pinned,
    /// Too little was measured.
    Unmeasured,
    /// L2 is as fast as the origin, or fast enough.
    FastEnough,
    /// L2 is slower than the origin, and has few of the rows.
    FewRows,
    /// L2's median is slower than the origin's 95th percentile.
    Slower,
}

impl Reason {
    /// The reason as text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Reason::Pinned => "`l2.read_policy` says so",
            Reason::Unmeasured => "too few measurements",
            Reason::FastEnough => "L2 is as fast as the origin, or fast enough",
            Reason::FewRows => "L2 is slower than the origin, and has few of the rows",
            Reason::Slower => "L2's median is slower than the origin's 95th percentile",
        }
    }
}

/// The recent reads of a store and their hits, halved together as they grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecentKeys {
    keys: u32,
    hits: u32,
}

impl RecentKeys {
    /// Records the read of a key.
    pub fn record(&mut self, is_hit: bool) {
        self.keys += 1;
        self.hits += u32::from(is_hit);
        if self.keys >= FADE_AT {
            self.keys /= 2;
            self.hits /= 2;
        }
    }
}

/// When the recent keys are halved.
const FADE_AT: u32 = 2_048;

/// With fewer keys than this a store's hits say nothing.
const MIN_KEYS: u32 = 50;

/// A store that is faster than this is read first whatever the origin does, in milliseconds, because a
/// parallel read costs the origin work.
const FAST_MILLIS: u64 = 10;

/// A store whose hit ratio is below one in so many is not worth a read.
const ONE_IN: u32 = 20;

/// One request in so many reads L2 first whatever was decided; a faster origin would hide how L2 did.
pub const PROBE_EVERY: u64 = 16;

/// Decides the read policy from L2's latency and recent hits and the origin's latency; `pinned` is the
/// configured one.
#[must_use]
pub fn decide(pinned: Option<ReadPolicy>, store: &Latency, recent: RecentKeys, origin: &Latency) -> Decision {
    let decision = |policy, reason| Decision { policy, reason };
    if let Some(policy) = pinned {
        return decision(policy, Reason::Pinned);
    }
    let (Some(usual), Some(origins_slow)) = (store.quantile(500), origin.quantile(950)) else {
        return decision(ReadPolicy::First, Reason::Unmeasured);
    };
    if usual < FAST_MILLIS || usual <= origins_slow {
        return decision(ReadPolicy::First, Reason::FastEnough);
    }
    if recent.keys >= MIN_KEYS && recent.hits * ONE_IN < recent.keys {
        return decision(ReadPolicy::Never, Reason::FewRows);
    }
    decision(ReadPolicy::Parallel, Reason::Slower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(millis: u64) -> Latency {
        let mut latency = Latency::default();
        (0..100).for_each(|_| latency.record(millis));
        latency
    }

    fn recent(hits: u32, keys: u32) -> RecentKeys {
        let mut recent = RecentKeys::default();
        (0..keys).for_each(|key| recent.record(key < hits));
        recent
    }

    #[test]
    fn l2_is_asked_first_unless_it_is_slower_than_the_origin() {
        let order = |store, origin| decide(None, &latency(store), recent(90, 100), &latency(origin)).policy;
        assert_eq!(order(3, 20), ReadPolicy::First);
        assert_eq!(order(6, 2), ReadPolicy::First, "fast enough");
        assert_eq!(order(40, 15), ReadPolicy::Parallel);
        assert_eq!(decide(None, &Latency::default(), RecentKeys::default(), &latency(1)).policy, ReadPolicy::First);
    }

    #[test]
    fn a_slow_store_with_few_hits_is_left_out_and_a_decision_can_be_pinned() {
        let order = |pinned, hits| decide(pinned, &latency(40), recent(hits, 1_000), &latency(15)).policy;
        assert_eq!(order(None, 20), ReadPolicy::Never);
        assert_eq!(order(None, 80), ReadPolicy::Parallel);
        assert_eq!(order(Some(ReadPolicy::First), 20), ReadPolicy::First);
    }
}
