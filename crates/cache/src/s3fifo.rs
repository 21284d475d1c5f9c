//! S3-FIFO: a small queue on trial, a main queue for what was used again, and the names of those that failed the trial.
//!
//! A row that comes by once, as in a scan, leaves after a fifth of the way and displaces nothing that is used. Source: Yang, Zhang,
//! Qiu, Yue and Vinayak, "FIFO queues are all you need for cache eviction", SOSP 2023. The trial is a fifth of the rows and not a
//! tenth: of the shares from a twentieth to a third it keeps most on ARC's OLTP trace at every size (`tests/eviction.rs`).

use std::rc::Rc;

use model::row::Row;

use crate::policy::Policy;
use crate::table::Table;

/// How often a row must have been used on trial to stay.
const STAYS_AT: u8 = 2;

/// How many uses count: as many times a row of the main queue is passed over.
const MAX_USES: u8 = 3;

/// One row of so many is on trial.
const TRIAL_SHARE: usize = 5;

/// The policy. Its queues are tables whose order nothing but admission changes: first in, first out.
#[derive(Debug, Default)]
pub(crate) struct S3Fifo {
    trial: Table<Entry>,
    main: Table<Entry>,
    /// Rows that are not kept any more, and stay at once when they come again.
    failed: Table<()>,
}

/// A row, and how often it was used, as far as that counts.
#[derive(Debug)]
struct Entry {
    row: Rc<Row>,
    uses: u8,
}

impl S3Fifo {
    fn entry_mut(&mut self, hash: u64) -> Option<&mut Entry> {
        self.main.peek_mut(hash).or_else(|| self.trial.peek_mut(hash))
    }
}

impl Policy for S3Fifo {
    fn get(&mut self, hash: u64) -> Option<&Rc<Row>> {
        let entry = self.entry_mut(hash)?;
        entry.uses = (entry.uses + 1).min(MAX_USES);
        Some(&entry.row)
    }

    fn peek(&self, hash: u64) -> Option<&Rc<Row>> {
        self.main.peek(hash).or_else(|| self.trial.peek(hash)).map(|entry| &entry.row)
    }

    fn peek_mut(&mut self, hash: u64) -> Option<&mut Rc<Row>> {
        self.entry_mut(hash).map(|entry| &mut entry.row)
    }

    fn admit(&mut self, hash: u64, row: Rc<Row>) {
        let queue = if self.failed.pop(hash).is_some() { &mut self.main } else { &mut self.trial };
        queue.push(hash, Entry { row, uses: 0 });
    }

    fn remove(&mut self, hash: u64) -> Option<Rc<Row>> {
        self.failed.pop(hash);
        self.main.pop(hash).or_else(|| self.trial.pop(hash)).map(|entry| entry.row)
    }

    fn evict(&mut self) -> Option<(u64, Rc<Row>)> {
        loop {
            let is_trial_full = self.trial.len() > (self.len() / TRIAL_SHARE).max(1);
            if is_trial_full || self.main.is_empty() {
                let (hash, entry) = self.trial.pop_lru()?;
                if entry.uses < STAYS_AT {
                    self.failed.push(hash, ());
                    // As many as the main queue is meant to hold.
                    while self.failed.len() > self.len() - self.len() / TRIAL_SHARE {
                        self.failed.pop_lru();
                    }
                    return Some((hash, entry.row));
                }
                self.main.push(hash, Entry { uses: 0, ..entry });
            } else {
                let (hash, entry) = self.main.pop_lru()?;
                match entry.uses.checked_sub(1) {
                    None => return Some((hash, entry.row)),
                    Some(uses) => self.main.push(hash, Entry { uses, ..entry }),
                }
            }
        }
    }

    fn len(&self) -> usize {
        self.trial.len() + self.main.len()
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Rc<Row>)) {
        self.trial.values().chain(self.main.values()).for_each(|entry| visit(&entry.row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::tests::row;

    #[test]
    fn what_it_remembers_of_evicted_rows_is_bounded() {
        let mut policy = S3Fifo::default();
        for hash in 0..10_000 {
            policy.admit(hash, row(b"1", b"1"));
            while policy.len() > 50 {
                policy.evict();
            }
            assert!(policy.failed.len() <= 50);
        }
    }
}
