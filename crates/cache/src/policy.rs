//! Eviction policies: which row makes room for another. One file for each policy.
//!
//! To add a policy: write a file, add a variant to [`Eviction`] with its line in [`Memory::new`](crate::memory::Memory::new), and its
//! name to the configuration.
//!
//! | policy | evicts by | file |
//! |---|---|---|
//! | `lru` | the time of the last use | [`crate::lru`] |
//! | `s3-fifo` | whether a row was used again soon after it was inserted | [`crate::s3fifo`] |

use core::fmt;
use std::rc::Rc;

use model::row::Row;

/// The policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// The least recently used row is evicted.
    #[default]
    Lru,
    /// Rows that were not used again soon after they were inserted are evicted first.
    S3Fifo,
}

/// Stores rows by their hashes, and decides which of them is evicted.
pub(crate) trait Policy {
    /// The row with that hash, which counts as used.
    fn get(&mut self, hash: u64) -> Option<&Rc<Row>>;

    /// The row with that hash; it does not count as used.
    fn peek(&self, hash: u64) -> Option<&Rc<Row>>;

    /// The same, to be replaced.
    fn peek_mut(&mut self, hash: u64) -> Option<&mut Rc<Row>>;

    /// Inserts a row whose hash no other has.
    fn admit(&mut self, hash: u64, row: Rc<Row>);

    /// Removes the row, and forgets its history.
    fn remove(&mut self, hash: u64) -> Option<Rc<Row>>;

    /// Removes the row that makes room for another.
    fn evict(&mut self) -> Option<(u64, Rc<Row>)>;

    /// How many rows there are.
    fn len(&self) -> usize;

    /// Visits each row.
    fn for_each(&self, visit: &mut dyn FnMut(&Rc<Row>));
}

impl fmt::Debug for dyn Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Policy").field("rows", &self.len()).finish()
    }
}
