//! What is answered: for each row that was asked for, what was found and where.

use std::rc::Rc;

use crate::row::Row;
use crate::time::Instant;

/// Where a row came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The memory of this isolate or process.
    L1,
    /// The distributed key-value store.
    L2,
    /// The storage tier.
    L3,
    /// The origin, which computes.
    Origin,
}

impl Tier {
    /// The seed's name of the cache level.
    #[must_use]
    pub const fn level(self) -> &'static str {
        match self {
            Tier::L1 => "l1_memory",
            Tier::L2 => "l2_distributed",
            Tier::L3 => "l3_storage",
            Tier::Origin => "l4_compute",
        }
    }
}

/// What was found for one place of a request.
#[derive(Clone, Debug)]
pub struct Found {
    /// The row, reduced to what may be served; `None` where nothing may.
    pub row: Option<Rc<Row>>,
    /// Where it came from.
    pub tier: Tier,
    /// Whether some of it is past its time to live.
    pub is_stale: bool,
    /// What is still to be done for it.
    pub need: Need,
}

/// What is still to be done for a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it is complete and fresh.
    #[default]
    Nothing,
    /// It is served as it is, and to be fetched anew behind the answer.
    Refresh,
    /// Some of it is missing or too old, and the answer waits for it.
    Completion,
}

/// How many rows each tier was asked for and had. An entity that a request repeats counts each time, so that hits and
/// misses of a tier add up to what it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that L1 had, complete and fresh.
    pub l1_hits: u32,
    /// Rows that L1 lacked, or had only in part or too old.
    pub l1_misses: u32,
    /// Of these, rows that L2 completed.
    pub l2_hits: u32,
    /// Of these, rows that L2 did not complete.
    pub l2_misses: u32,
    /// Rows that L3 completed.
    pub l3_hits: u32,
    /// Rows that L3 was asked for and did not complete.
    pub l3_misses: u32,
    /// Calls to the origin.
    pub compute_requests: u32,
    /// Rows, or parts of rows, that nothing could supply.
    pub missing: u32,
    /// Rows of which some is past its time to live, and served all the same.
    pub stale: u32,
}

/// Why the origin gave no answer that could be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginFailure {
    /// It did not answer in time.
    TimedOut,
    /// It could not be reached.
    Unreachable,
    /// It failed so often of late that it is left alone for a while.
    LeftAlone {
        /// When it is tried again, in milliseconds from now.
        retry_millis: u64,
    },
    /// It answered with an error, which is the caller's to see.
    Refused {
        /// Its HTTP status.
        status: u16,
        /// Its content type.
        content_type: Option<String>,
        /// Its body.
        body: Vec<u8>,
    },
    /// It answered with something that is no answer to what was asked.
    Unintelligible(String),
}

impl OriginFailure {
    /// Whether the origin is to blame and not what it was asked, so that others may expect the same of it.
    ///
    /// A status of 500 blames nobody: Feast answers it to a null for a key, and a caller who sends those must not make
    /// the origin look ill to all others.
    #[must_use]
    pub fn is_origins_fault(&self) -> bool {
        match self {
            OriginFailure::TimedOut | OriginFailure::Unreachable | OriginFailure::Unintelligible(_) => true,
            OriginFailure::Refused { status, .. } => matches!(status, 429 | 502..=504),
            OriginFailure::LeftAlone { .. } => false,
        }
    }
}

/// The answer to an [`Ask`](crate::request::Ask).
#[derive(Debug, Default)]
pub struct Answer {
    /// One for each place: view by view, and within a view row by row.
    pub found: Vec<Found>,
    /// Where the rows came from.
    pub tally: Tally,
    /// Why the origin could not help, where it was asked and could not.
    pub failure: Option<OriginFailure>,
}

impl Answer {
    /// When the oldest of its values was fetched.
    #[must_use]
    #[inline(never)]
    pub fn oldest(&self) -> Option<Instant> {
        let rows = self.found.iter().filter_map(|found| found.row.as_ref());
        rows.filter_map(|row| match row.uniform_cell() {
            Some(cell) => Some(cell.fetched_at.instant()),
            None => row
                .schema()
                .feature_slots()
                .filter_map(|slot| row.cell(slot))
                .map(|cell| cell.fetched_at.instant())
                .min(),
        })
        .min()
    }
}
