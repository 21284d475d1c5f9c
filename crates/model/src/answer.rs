//! What is answered: for each row that was asked for, what was found and where.

use std::rc::Rc;

use crate::request::ViewQuery;
use crate::row::Row;
use crate::time::Timestamp;

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
pub struct LookupResult {
    /// The row, reduced to what may be served; `None` where nothing may.
    pub row: Option<Rc<Row>>,
    /// Where it came from.
    pub tier: Tier,
    /// Whether some of it is past its time to live.
    pub is_stale: bool,
    /// What is still to be done for it.
    pub action: Action,
}

impl LookupResult {
    /// Whether any value is there that `view` asks for. A row may hold others, which help nobody here.
    #[must_use]
    pub fn has_any_of(&self, view: Option<&ViewQuery>) -> bool {
        let Some((row, view)) = self.row.as_ref().zip(view) else { return false };
        view.slots(row.schema()).as_slice().iter().any(Option::is_some)
    }
}

/// What is still to be done for a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Nothing: it is complete and fresh.
    #[default]
    None,
    /// It is served as it is, and revalidated in the background.
    Revalidate,
    /// Some of it is missing or too old, and the response waits for it.
    Fetch,
}

/// How many rows each tier was asked for and had. An entity that a request repeats counts each time, so that hits and
/// misses of a tier add up to what it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierCounts {
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
        /// Its body, which all who followed the call share.
        body: Rc<[u8]>,
    },
    /// It answered with a status that is neither a success with features nor an error, such as a redirect.
    Unexpected {
        /// Its HTTP status.
        status: u16,
    },
    /// It answered without a single column, which is how Feast says that it has nothing to say.
    Empty,
    /// It answered with something that is no answer to what was asked.
    InvalidResponse(String),
    /// There was no memory for its answer, beside what else waits.
    NoRoom,
}

/// What a failure says of the origin's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The origin is ill: others may expect the same of it.
    Origin,
    /// The request itself may have caused it: an odd key, a feature that does not exist, one caller's quota.
    Request,
    /// Either: Feast answers most mistakes of its clients with 500, and so does a Feast whose store is down.
    Either,
}

impl OriginFailure {
    /// Who caused it, as far as the failure alone can tell.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            OriginFailure::TimedOut | OriginFailure::Unreachable | OriginFailure::LeftAlone { .. } => Cause::Origin,
            OriginFailure::Refused { status: 500, .. } | OriginFailure::Empty | OriginFailure::InvalidResponse(_) => {
                Cause::Either
            }
            OriginFailure::Refused { status: 501.., .. } => Cause::Origin,
            OriginFailure::Refused { .. } | OriginFailure::Unexpected { .. } | OriginFailure::NoRoom => Cause::Request,
        }
    }

    /// Whether the same request may fare better a moment later, so that what is there is served without the rest.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            OriginFailure::Refused { status, .. } => matches!(status, 429 | 502..=504),
            _ => true,
        }
    }
}

/// The answer to an [`RowQuery`](crate::request::RowQuery).
#[derive(Debug, Default)]
pub struct Answer {
    /// One for each place: view by view, and within a view row by row.
    pub found: Vec<LookupResult>,
    /// Where the rows came from.
    pub tier_counts: TierCounts,
    /// Why the origin could not help, where it was asked and could not.
    pub failure: Option<OriginFailure>,
}

impl Answer {
    /// Whether any value is there that was asked for: `rows` of each of `views`.
    #[must_use]
    pub fn has_any_of(&self, views: &[ViewQuery], rows: usize) -> bool {
        self.found.iter().enumerate().any(|(place, found)| {
            let view = place.checked_div(rows).and_then(|view| views.get(view));
            found.has_any_of(view)
        })
    }

    /// When the oldest of its values was fetched, of those that were asked for: `rows` of each of `views`.
    #[must_use]
    #[inline(never)]
    pub fn oldest(&self, views: &[ViewQuery], rows: usize) -> Option<Timestamp> {
        let mut oldest: Option<Timestamp> = None;
        for (number, view) in views.iter().enumerate() {
            let found = self.found.get(number * rows..(number + 1) * rows).unwrap_or_default();
            for row in found.iter().filter_map(|found| found.row.as_ref()) {
                let fetched_at = match row.uniform_cell() {
                    Some(cell) => Some(cell.fetched_at.timestamp()),
                    // A row may have columns that others asked for.
                    None => {
                        let slots = view.slots(row.schema());
                        let cells = slots.as_slice().iter().filter_map(|slot| slot.and_then(|slot| row.cell(slot)));
                        cells.map(|cell| cell.fetched_at.timestamp()).min()
                    }
                };
                oldest = match (oldest, fetched_at) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
        }
        oldest
    }
}
