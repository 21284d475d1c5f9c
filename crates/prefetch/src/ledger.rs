//! Which rows were prefetched and not yet asked for, and which had to make room for them.
//!
//! A table of fixed size, by the hashes that rows have in memory. A row that is pushed out of it counts as never used, so
//! what is measured errs on the side of too little.

use model::time::Timestamp;

const WAYS: usize = 4;
const SETS: usize = 1_024;

/// A tick is 16 ms, so that 32 bits last for two years.
const TICK_MILLIS: u64 = 16;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Free,
    /// It is being fetched.
    Flying,
    /// It is in memory.
    Landed,
    /// It was in memory and made room for one that was prefetched.
    Displaced,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    check: u32,
    ticks: u32,
    state: State,
    /// By which rule it was prefetched.
    rule: u8,
    operations: Operations,
}

/// What was done to prefetch a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Whether a store was asked.
    pub is_read: bool,
    /// Whether the origin was.
    pub is_called: bool,
}

/// What became of a row that is asked for, or of one that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefetchOutcome {
    /// It was there in time.
    Used {
        /// By which rule it was prefetched.
        rule: u8,
        /// What it took.
        operations: Operations,
        /// How long it lay there, in milliseconds.
        after_millis: u64,
    },
    /// It is asked for while it is being fetched.
    Late {
        /// By which rule.
        rule: u8,
    },
    /// It was evicted or expired first, or never asked for.
    Wasted {
        /// By which rule.
        rule: u8,
    },
    /// It would be there if it had not made room for one that was prefetched.
    Missed,
}

/// The rows that were prefetched.
#[derive(Debug, Default)]
pub struct Ledger {
    sets: Vec<[Entry; WAYS]>,
    outstanding: usize,
}

impl Ledger {
    /// Notes that a row is being fetched; what becomes of one whose place it takes.
    pub fn issue(&mut self, hash: u64, rule: u8, now: Timestamp) -> Option<PrefetchOutcome> {
        self.enter(hash, Entry { rule, state: State::Flying, ..Entry::default() }, now)
    }

    /// Notes that a row made room for one that was prefetched.
    pub fn displace(&mut self, hash: u64, now: Timestamp) -> Option<PrefetchOutcome> {
        self.enter(hash, Entry { state: State::Displaced, ..Entry::default() }, now)
    }

    /// Notes that a row has come, and what that took.
    pub fn land(&mut self, hash: u64, operations: Operations) {
        if let Some(entry) = self.find(hash).filter(|entry| entry.state == State::Flying) {
            (entry.state, entry.operations) = (State::Landed, operations);
        }
    }

    /// Notes that a row will not come, and says by which rule it was to.
    pub fn fail(&mut self, hash: u64) -> Option<u8> {
        let entry = self.find(hash).filter(|entry| entry.state == State::Flying)?;
        let rule = entry.rule;
        *entry = Entry::default();
        self.outstanding -= 1;
        Some(rule)
    }

    /// Notes that a row is asked for, and whether memory has it; what that says of it, where it was prefetched or displaced.
    #[inline]
    pub fn settle(&mut self, hash: u64, is_there: bool, now: Timestamp) -> Option<PrefetchOutcome> {
        if self.outstanding == 0 {
            return None;
        }
        let entry = self.find(hash)?;
        let Entry { rule, operations, ticks, state, .. } = *entry;
        *entry = Entry::default();
        self.outstanding -= 1;
        match (state, is_there) {
            (State::Landed, true) => {
                let after_millis = u64::from(tick(now).wrapping_sub(ticks)) * TICK_MILLIS;
                Some(PrefetchOutcome::Used { rule, operations, after_millis })
            }
            (State::Landed, false) => Some(PrefetchOutcome::Wasted { rule }),
            (State::Flying, _) => Some(PrefetchOutcome::Late { rule }),
            (State::Displaced, false) => Some(PrefetchOutcome::Missed),
            (State::Displaced, true) | (State::Free, _) => None,
        }
    }

    /// How much memory it takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.sets.capacity() * size_of::<[Entry; WAYS]>()
    }

    /// How many rows are kept.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    #[inline]
    fn find(&mut self, hash: u64) -> Option<&mut Entry> {
        let set = self.sets.get_mut(hash as usize % SETS)?;
        let check = (hash >> 32) as u32;
        set.iter_mut().find(|entry| entry.check == check && entry.state != State::Free)
    }

    fn enter(&mut self, hash: u64, entry: Entry, now: Timestamp) -> Option<PrefetchOutcome> {
        if self.sets.is_empty() {
            self.sets = vec![Default::default(); SETS];
        }
        let check = (hash >> 32) as u32;
        let set = self.sets.get_mut(hash as usize % SETS)?;
        let mut place = None;
        let mut greatest = 0;
        for known in set {
            // The row itself, else a free place, else the one that has lain for longest.
            let age = match known.state {
                State::Free => u64::MAX - 1,
                _ if known.check == check => u64::MAX,
                _ => u64::from(tick(now).wrapping_sub(known.ticks)) + 1,
            };
            if age > greatest {
                greatest = age;
                place = Some(known);
            }
        }
        let former = core::mem::replace(place?, Entry { check, ticks: tick(now), ..entry });
        self.outstanding += usize::from(former.state == State::Free);
        matches!(former.state, State::Flying | State::Landed).then_some(PrefetchOutcome::Wasted { rule: former.rule })
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
    fn a_row_is_used_once_and_then_like_any_other() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.issue(7, 3, Timestamp(0)), None);
        ledger.land(7, READ);
        let used = PrefetchOutcome::Used { rule: 3, operations: READ, after_millis: 1_600 };
        assert_eq!(ledger.settle(7, true, Timestamp(1_600)), Some(used));
        assert_eq!((ledger.settle(7, true, Timestamp(1_700)), ledger.outstanding()), (None, 0));
    }

    #[test]
    fn what_is_asked_for_too_early_or_too_late_is_told_apart() {
        let mut ledger = Ledger::default();
        ledger.issue(7, 3, Timestamp(0));
        assert_eq!(ledger.settle(7, false, Timestamp(5)), Some(PrefetchOutcome::Late { rule: 3 }));
        ledger.issue(7, 3, Timestamp(0));
        ledger.land(7, READ);
        assert_eq!(ledger.settle(7, false, Timestamp(5)), Some(PrefetchOutcome::Wasted { rule: 3 }));
        ledger.displace(8, Timestamp(0));
        assert_eq!(ledger.settle(8, false, Timestamp(5)), Some(PrefetchOutcome::Missed));
        ledger.issue(9, 1, Timestamp(0));
        assert_eq!((ledger.fail(9), ledger.fail(9), ledger.outstanding()), (Some(1), None, 0));
    }

    #[test]
    fn what_is_pushed_out_counts_as_wasted_and_memory_does_not_grow() {
        let mut ledger = Ledger::default();
        let wasted = (0..10_000).filter(|&hash| ledger.issue(hash << 32, 0, Timestamp(hash)).is_some()).count();
        assert_eq!((wasted, ledger.outstanding()), (10_000 - WAYS, WAYS));
        assert!(ledger.bytes() <= 128 << 10);
    }
}
