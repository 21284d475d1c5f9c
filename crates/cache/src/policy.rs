//! Which row makes room for another: one question, and a file for each way to answer it.
//!
//! A new one is a file, a variant of [`Eviction`] with its line in [`Memory::new`](crate::memory::Memory::new), and its name in the
//! configuration.
//!
//! | policy | what it goes by | where |
//! |---|---|---|
//! | `lru` | when each row was used last | [`crate::lru`] |
//! | `s3-fifo` | whether a row was used again soon after it came | [`crate::s3fifo`] |

use core::fmt;
use std::rc::Rc;

use model::row::Row;

/// The policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// The least recently used row makes room.
    #[default]
    Lru,
    /// Rows that were not used again soon after they came make room first.
    S3Fifo,
}

/// Keeps rows by their hashes, and decides which of them makes room.
pub(crate) trait Policy {
    /// The row with that hash, which counts as used.
    fn get(&mut self, hash: u64) -> Option<&Rc<Row>>;

    /// The row with that hash; it does not count as used.
    fn peek(&self, hash: u64) -> Option<&Rc<Row>>;

    /// The same, to be replaced.
    fn peek_mut(&mut self, hash: u64) -> Option<&mut Rc<Row>>;

    /// Takes in a row whose hash no other has.
    fn admit(&mut self, hash: u64, row: Rc<Row>);

    /// Takes the row out, and forgets what is remembered of it.
    fn remove(&mut self, hash: u64) -> Option<Rc<Row>>;

    /// Takes out the row that makes room.
    fn evict(&mut self) -> Option<(u64, Rc<Row>)>;

    /// How many rows there are.
    fn len(&self) -> usize;

    /// Shows each row.
    fn for_each(&self, visit: &mut dyn FnMut(&Rc<Row>));
}

impl fmt::Debug for dyn Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Policy").field("rows", &self.len()).finish()
    }
}
