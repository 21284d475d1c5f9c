//! Outstanding rows: those prefetched and not yet requested, and those evicted for them.
//!
//! It is a table of fixed size, by the hashes that rows have in L1. A row that is replaced in the table counts as wasted, so the measured
//! precision is never too high.

use model::time::Timestamp;

const WAYS: usize = 4;
const SETS: usize = 1_024;

/// A tick is 16 ms, so that 32 bits last for two years.
const TICK_MILLIS: u64 = 16;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum EntryState {
    #[default]
    Free,
    /// The row is being fetched.
    InFlight,
    /// The row is in L1.
    Cached,
    /// The row was evicted from L1 for a prefetched one.
    Evicted,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    check: u32,
    ticks: u32,
    state: EntryState,
    /// The rule of its prediction.
    rule: u8,
    operations: Operations,
}

/// The operations of a prefetch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Whether a store was read.
    pub is_read: bool,
    /// Whether the origin was called.
    pub is_called: bool,
}

/// The outcome of a prefetched row, or of one evicted for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefetchOutcome {
    /// It was in L1 before a request for it.
    Used {
        /// The rule of its prediction.
        rule: u8,
        /// The operations of the prefetch.
        operations: Operations,
        /// How long it was in L1, in milliseconds.
        after_millis: u64,
    },
    /// It was requested while it was being fetched.
    Late {
        /// The rule of its prediction.
        rule: u8,
    },
    /// It was evicted or expired before a request, or never requested.
    Wasted {
        /// The rule of its prediction.
        rule: u8,
    },
    /// A request missed it in L1, because it was evicted for a prefetched row: cache pollution.
    Polluting,
}

/// The outstanding rows.
#[derive(Debug, Default)]
pub struct Outstanding {
    sets: Vec<[Entry; WAYS]>,
    count: usize,
}

impl Outstanding {
    /// Records that a row is being fetched; the outcome of the row that it replaces.
    pub fn record_issue(&mut self, hash: u64, rule: u8, now: Timestamp) -> Option<PrefetchOutcome> {
        self.insert(hash, Entry { rule, state: EntryState::InFlight, ..Entry::default() }, now)
    }

    /// Records that a row was evicted for a prefetched one; the outcome of the row that it replaces.
    pub fn record_eviction(&mut self, hash: u64, now: Timestamp) -> Option<PrefetchOutcome> {
        self.insert(hash, Entry { state: EntryState::Evicted, ..Entry::default() }, now)
    }

    /// Records that a row has arrived, and the operations for it.
    pub fn record_arrival(&mut self, hash: u64, operations: Operations) {
        if let Some(entry) = self.find(hash).filter(|entry| entry.state == EntryState::InFlight) {
            (entry.state, entry.operations) = (EntryState::Cached, operations);
        }
    }

    /// Records that a row will not arrive; returns the rule of its prediction.
    pub fn record_failure(&mut self, hash: u64) -> Option<u8> {
        let entry = self.find(hash).filter(|entry| entry.state == EntryState::InFlight)?;
        let rule = entry.rule;
        *entry = Entry::default();
        self.count -= 1;
        Some(rule)
    }

    /// Records that a row is requested, and whether L1 has it; the outcome if it is outstanding.
    #[inline]
    pub fn record_request(&mut self, hash: u64, is_cached: bool, now: Timestamp) -> Option<PrefetchOutcome> {
        if self.count == 0 {
            return None;
        }
        let entry = self.find(hash)?;
        let Entry { rule, operations, ticks, state, .. } = *entry;
        *entry = Entry::default();
        self.count -= 1;
        match (state, is_cached) {
            (EntryState::Cached, true) => {
                let after_millis = u64::from(tick(now).wrapping_sub(ticks)) * TICK_MILLIS;
                Some(PrefetchOutcome::Used { rule, operations, after_millis })
            }
            (EntryState::Cached, false) => Some(PrefetchOutcome::Wasted { rule }),
            (EntryState::InFlight, _) => Some(PrefetchOutcome::Late { rule }),
            (EntryState::Evicted, false) => Some(PrefetchOutcome::Polluting),
            (EntryState::Evicted, true) | (EntryState::Free, _) => None,
        }
    }

    /// The memory that it uses, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.sets.capacity() * size_of::<[Entry; WAYS]>()
    }

    /// How many rows are outstanding.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn find(&mut self, hash: u64) -> Option<&mut Entry> {
        let set = self.sets.get_mut(hash as usize % SETS)?;
        let check = (hash >> 32) as u32;
        set.iter_mut().find(|entry| entry.check == check && entry.state != EntryState::Free)
    }

    fn insert(&mut self, hash: u64, entry: Entry, now: Timestamp) -> Option<PrefetchOutcome> {
        if self.sets.is_empty() {
            self.sets = vec![Default::default(); SETS];
        }
        let check = (hash >> 32) as u32;
        let set = self.sets.get_mut(hash as usize % SETS)?;
        let mut oldest = None;
        let mut greatest = 0;
        for known in set {
            // The row itself, else a free entry, else the oldest.
            let age = match known.state {
                EntryState::Free => u64::MAX - 1,
                _ if known.check == check => u64::MAX,
                _ => u64::from(tick(now).wrapping_sub(known.ticks)) + 1,
            };
            if age > greatest {
                greatest = age;
                oldest = Some(known);
            }
        }
        let former = core::mem::replace(oldest?, Entry { check, ticks: tick(now), ..entry });
        self.count += usize::from(former.state == EntryState::Free);
        matches!(former.state, EntryState::InFlight | EntryState::Cached)
            .then_some(PrefetchOutcome::Wasted { rule: former.rule })
    }
}

fn tick(now: Timestamp) -> u32 {
    (now.0 / TICK_MILLIS) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Operations = Operations { is_read: true, is_called: false };

    #[test]
    fn a_row_is_used_once_and_is_then_like_any_other() {
        let mut outstanding = Outstanding::default();
        assert_eq!(outstanding.record_issue(7, 3, Timestamp(0)), None);
        outstanding.record_arrival(7, READ);
        let used = PrefetchOutcome::Used { rule: 3, operations: READ, after_millis: 1_600 };
        assert_eq!(outstanding.record_request(7, true, Timestamp(1_600)), Some(used));
        assert_eq!((outstanding.record_request(7, true, Timestamp(1_700)), outstanding.count()), (None, 0));
    }

    #[test]
    fn a_request_finds_the_row_late_wasted_or_polluting() {
        let mut outstanding = Outstanding::default();
        outstanding.record_issue(7, 3, Timestamp(0));
        assert_eq!(outstanding.record_request(7, false, Timestamp(5)), Some(PrefetchOutcome::Late { rule: 3 }));
        outstanding.record_issue(7, 3, Timestamp(0));
        outstanding.record_arrival(7, READ);
        assert_eq!(outstanding.record_request(7, false, Timestamp(5)), Some(PrefetchOutcome::Wasted { rule: 3 }));
        outstanding.record_eviction(8, Timestamp(0));
        assert_eq!(outstanding.record_request(8, false, Timestamp(5)), Some(PrefetchOutcome::Polluting));
        outstanding.record_issue(9, 1, Timestamp(0));
        assert_eq!(
            (outstanding.record_failure(9), outstanding.record_failure(9), outstanding.count()),
            (Some(1), None, 0)
        );
    }

    #[test]
    fn a_replaced_row_counts_as_wasted_and_memory_does_not_grow() {
        let mut outstanding = Outstanding::default();
        let wasted =
            (0..10_000).filter(|&hash| outstanding.record_issue(hash << 32, 0, Timestamp(hash)).is_some()).count();
        assert_eq!((wasted, outstanding.count()), (10_000 - WAYS, WAYS));
        assert!(outstanding.bytes() <= 128 << 10);
    }
}
