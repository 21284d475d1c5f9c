//! Which row makes room for another: one question, and a file for each way to answer it.
//!
//! | policy | what it goes by | where |
//! |---|---|---|
//! | `lru` | when each row was used last | [`crate::lru`] |
//! | `s3-fifo` | whether a row was used again soon after it came | [`crate::s3fifo`] |

use core::fmt;

use crate::lru::Lru;
use crate::queue::{At, Places};
use crate::s3fifo::S3Fifo;

/// The policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// The least recently used row makes room.
    #[default]
    Lru,
    /// Rows that were not used again soon after they came make room first.
    S3Fifo,
}

impl Eviction {
    pub(crate) fn policy(self) -> Box<dyn Policy> {
        match self {
            Eviction::Lru => Box::new(Lru::default()),
            Eviction::S3Fifo => Box::new(S3Fifo::default()),
        }
    }
}

/// Decides which row makes room. Queues are its own; their numbers are 1 and more.
pub(crate) trait Policy {
    /// A row has come to `at`, which is in no queue, or is remembered from earlier.
    fn admit(&mut self, places: &mut Places, at: At);

    /// The row was used.
    fn touch(&mut self, places: &mut Places, at: At);

    /// Takes the row, or what is remembered of it, out of all queues.
    fn remove(&mut self, places: &mut Places, at: At);

    /// The row that makes room. It is in no queue then, or in one of those that are remembered.
    fn evict(&mut self, places: &mut Places) -> Option<At>;

    /// What need not be remembered any more, if there is such; it is in no queue then.
    fn forget(&mut self, _places: &mut Places) -> Option<At> {
        None
    }
}

// Not as one of the trait's: all policies' ways to be shown would be in the module then, where nobody shows one.
impl fmt::Debug for dyn Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Policy")
    }
}
