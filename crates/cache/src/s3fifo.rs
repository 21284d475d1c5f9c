//! S3-FIFO: a small queue for new rows, a main queue for rows that were used again, and a ghost queue of evicted hashes.
//!
//! A row that is used once, as in a scan, leaves the small queue early and evicts no row of the main queue. Source: Yang, Zhang,
//! Qiu, Yue and Vinayak, "FIFO queues are all you need for cache eviction", SOSP 2023. The small queue has a fifth of the rows and
//! not a tenth: of the shares from a twentieth to a third, a fifth has the best hit ratio on ARC's OLTP trace at every size
//! (`tests/eviction.rs`).

use std::rc::Rc;

use model::row::Row;

use crate::lru_table::LruTable;
use crate::policy::Policy;

/// How often a row must have been used in the small queue to be promoted to the main queue.
const PROMOTE_AT: u8 = 2;

/// The most uses that count: so often a row of the main queue is reinserted instead of evicted.
const MAX_FREQUENCY: u8 = 3;

/// One row of so many is in the small queue.
const SMALL_SHARE: usize = 5;

/// The policy. Only insertion changes the order of its queues: first in, first out.
#[derive(Debug, Default)]
pub(crate) struct S3Fifo {
    small: LruTable<Entry>,
    main: LruTable<Entry>,
    /// Evicted hashes: a row that is inserted again goes to the main queue at once.
    ghost: LruTable<()>,
}

/// A row, and how often it was used, up to [`MAX_FREQUENCY`].
#[derive(Debug)]
struct Entry {
    row: Rc<Row>,
    frequency: u8,
}

impl S3Fifo {
    fn entry_mut(&mut self, hash: u64) -> Option<&mut Entry> {
        self.main.peek_mut(hash).or_else(|| self.small.peek_mut(hash))
    }
}

impl Policy for S3Fifo {
    fn get(&mut self, hash: u64) -> Option<&Rc<Row>> {
        let entry = self.entry_mut(hash)?;
        entry.frequency = (entry.frequency + 1).min(MAX_FREQUENCY);
        Some(&entry.row)
    }

    fn peek(&self, hash: u64) -> Option<&Rc<Row>> {
        self.main.peek(hash).or_else(|| self.small.peek(hash)).map(|entry| &entry.row)
    }

    fn peek_mut(&mut self, hash: u64) -> Option<&mut Rc<Row>> {
        self.entry_mut(hash).map(|entry| &mut entry.row)
    }

    fn admit(&mut self, hash: u64, row: Rc<Row>) {
        let queue = if self.ghost.pop(hash).is_some() { &mut self.main } else { &mut self.small };
        queue.push(hash, Entry { row, frequency: 0 });
    }

    fn remove(&mut self, hash: u64) -> Option<Rc<Row>> {
        self.ghost.pop(hash);
        self.main.pop(hash).or_else(|| self.small.pop(hash)).map(|entry| entry.row)
    }

    fn evict(&mut self) -> Option<(u64, Rc<Row>)> {
        loop {
            let is_small_full = self.small.len() > (self.len() / SMALL_SHARE).max(1);
            if is_small_full || self.main.is_empty() {
                let (hash, entry) = self.small.pop_lru()?;
                if entry.frequency < PROMOTE_AT {
                    self.ghost.push(hash, ());
                    // As many as the main queue should hold.
                    while self.ghost.len() > self.len() - self.len() / SMALL_SHARE {
                        self.ghost.pop_lru();
                    }
                    return Some((hash, entry.row));
                }
                self.main.push(hash, Entry { frequency: 0, ..entry });
            } else {
                let (hash, entry) = self.main.pop_lru()?;
                match entry.frequency.checked_sub(1) {
                    None => return Some((hash, entry.row)),
                    Some(frequency) => self.main.push(hash, Entry { frequency, ..entry }),
                }
            }
        }
    }

    fn len(&self) -> usize {
        self.small.len() + self.main.len()
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Rc<Row>)) {
        self.small.values().chain(self.main.values()).for_each(|entry| visit(&entry.row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::tests::row;

    #[test]
    fn the_ghost_queue_is_bounded() {
        let mut policy = S3Fifo::default();
        for hash in 0..10_000 {
            policy.admit(hash, row(b"1", b"1"));
            while policy.len() > 50 {
                policy.evict();
            }
            assert!(policy.ghost.len() <= 50);
        }
    }
}
