//! The answer to a query: for each lookup its row and the tier that it came from; and why the origin failed, where it did.

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
    /// The name of the cache spec_name in the original specification.
    #[must_use]
    pub const fn spec_name(self) -> &'static str {
        match self {
            Tier::L1 => "l1_memory",
            Tier::L2 => "l2_distributed",
            Tier::L3 => "l3_storage",
            Tier::Origin => "l4_compute",
        }
    }
}

/// The result for one row of one view in a query.
#[derive(Clone, Debug)]
pub struct LookupResult {
    /// The row, with what may be served of it; `None` where nothing may.
    pub row: Option<Rc<Row>>,
    /// Where it came from.
    pub tier: Tier,
    /// Whether a value of it is past its TTL.
    pub is_stale: bool,
    /// What is still required for it.
    pub action: Action,
}

impl LookupResult {
    /// Whether it has any value that `view` asks for. A row may have values of other columns.
    #[must_use]
    pub fn has_any_of(&self, view: Option<&ViewQuery>) -> bool {
        let Some((row, view)) = self.row.as_ref().zip(view) else { return false };
        view.slots(row.schema()).as_slice().iter().any(Option::is_some)
    }

    /// Whether it lacks a value that `view` asks for. Of a feature service, whose members only its rows name, it lacks all or nothing.
    #[must_use]
    pub fn lacks_any_of(&self, view: Option<&ViewQuery>) -> bool {
        let Some((row, view)) = self.row.as_ref().zip(view) else { return true };
        view.slots(row.schema()).as_slice().iter().any(|slot| slot.and_then(|slot| row.cell(slot)).is_none())
    }
}

/// What is still required for a row.
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

/// Hits and misses of each tier. An entity that a request repeats counts each time, so hits and misses of a tier add up to the rows
/// that it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierCounts {
    /// Rows that L1 had, complete and fresh.
    pub l1_hits: u32,
    /// Rows that L1 lacked, or had only in part, or too old.
    pub l1_misses: u32,
    /// Of these, rows that L2 completed.
    pub l2_hits: u32,
    /// Of these, rows that L2 did not complete.
    pub l2_misses: u32,
    /// Rows that L3 completed.
    pub l3_hits: u32,
    /// Rows that L3 did not complete.
    pub l3_misses: u32,
    /// Calls to the origin.
    pub compute_requests: u32,
    /// Rows, or parts of rows, that nothing could supply.
    pub missing: u32,
    /// Rows that were served stale.
    pub stale: u32,
}

/// The limit that ended the wait for the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// That of one call, by the configuration.
    Call,
    /// That of one call, by the origin's recent latency.
    AdaptiveCall,
    /// The deadline that the request says.
    RequestDeadline,
    /// The configuration's deadline of real-time requests.
    RealTimeDeadline,
    /// The configuration's deadline of all requests.
    DefaultDeadline,
}

/// Why an origin call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginFailure {
    /// No response in time.
    TimedOut {
        /// Which limit was hit.
        limit: TimeLimit,
        /// How long that was, in milliseconds.
        millis: u64,
    },
    /// The origin is a function, which threw. Its text is for the operator alone.
    Threw {
        /// The host's number of what was thrown.
        exception: u32,
    },
    /// No connection.
    Unreachable,
    /// The origin's circuit breaker is open.
    CircuitOpen {
        /// When the next probe may be sent, in milliseconds from now.
        retry_millis: u64,
    },
    /// An error response, which is passed to the caller.
    ErrorResponse {
        /// Its HTTP status.
        status: u16,
        /// Its content type.
        content_type: Option<String>,
        /// Its body, shared by all requests that joined the flight.
        body: Rc<[u8]>,
    },
    /// A status that is neither success nor error, such as a redirect.
    UnexpectedStatus {
        /// Its HTTP status.
        status: u16,
    },
    /// A response without any column, as Feast sends where it knows none of the features.
    Empty,
    /// A response that does not fit the request.
    InvalidResponse(String),
    /// The response did not fit in the memory for pending requests.
    OutOfMemory,
}

/// What a failure tells about the origin's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The origin is unhealthy: other requests may fail likewise.
    Origin,
    /// The request may be the cause: an invalid key, an unknown feature, one caller's quota.
    Request,
    /// Either: Feast answers most mistakes of its clients with 500, and so does a Feast whose store is down.
    Either,
}

impl OriginFailure {
    /// The cause, as far as the failure alone tells.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            OriginFailure::TimedOut { .. }
            | OriginFailure::Threw { .. }
            | OriginFailure::Unreachable
            | OriginFailure::CircuitOpen { .. } => Cause::Origin,
            OriginFailure::ErrorResponse { status: 500, .. }
            | OriginFailure::Empty
            | OriginFailure::InvalidResponse(_) => Cause::Either,
            OriginFailure::ErrorResponse { status: 501.., .. } => Cause::Origin,
            OriginFailure::ErrorResponse { .. }
            | OriginFailure::UnexpectedStatus { .. }
            | OriginFailure::OutOfMemory => Cause::Request,
        }
    }

    /// Whether a retry may succeed soon, so that available rows are served without the others.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            OriginFailure::ErrorResponse { status, .. } => matches!(status, 429 | 502..=504),
            _ => true,
        }
    }
}

/// The answer to a [`RowQuery`](crate::request::RowQuery).
#[derive(Debug, Default)]
pub struct Answer {
    /// One for each lookup: view by view, and within a view row by row.
    pub found: Vec<LookupResult>,
    /// Where the rows came from.
    pub tier_counts: TierCounts,
    /// Why the origin failed, where it was called and did.
    pub failure: Option<OriginFailure>,
}

impl Answer {
    /// Whether any requested value is available: `rows` of each of `views`.
    #[must_use]
    pub fn has_any_of(&self, views: &[ViewQuery], rows: usize) -> bool {
        self.found.iter().enumerate().any(|(index, found)| {
            let view = index.checked_div(rows).and_then(|view| views.get(view));
            found.has_any_of(view)
        })
    }

    /// Whether any requested value is unavailable: `rows` of each of `views`. A row that nobody could refresh may still be served stale.
    #[must_use]
    pub fn lacks_any_of(&self, views: &[ViewQuery], rows: usize) -> bool {
        self.found.iter().enumerate().any(|(index, found)| {
            let view = index.checked_div(rows).and_then(|view| views.get(view));
            found.lacks_any_of(view)
        })
    }

    /// When the oldest of the requested values was fetched: `rows` of each of `views`.
    #[must_use]
    #[inline(never)]
    pub fn oldest(&self, views: &[ViewQuery], rows: usize) -> Option<Timestamp> {
        let mut oldest: Option<Timestamp> = None;
        for (number, view) in views.iter().enumerate() {
            let found = self.found.get(number * rows..(number + 1) * rows).unwrap_or_default();
            for row in found.iter().filter_map(|found| found.row.as_ref()) {
                let fetched_at = match row.uniform_cell() {
                    Some(cell) => Some(cell.fetched_at.timestamp()),
                    // A row may have columns that only other requests asked for.
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
