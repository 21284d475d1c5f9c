//! L1, the freshness of values, and the invalidations of rows that were written.
//!
//! Knows neither requests nor protocols. Invariant: a lookup returns the row of exactly the requested key, or none.
//!
//! | question | module |
//! |---|---|
//! | May a value be served, and is it revalidated? | [`freshness`] |
//! | When was a row last written? | [`invalidations`], [`job_window`] |
//! | Which rows does L1 hold, and which is evicted? | [`memory`], [`policy`] |
//! | What does L1 have of a query? | [`lookup`] |
//!
//! A value is fresh until its TTL ends or its row is invalidated:
//!
//! ```
//! use featheredge_cache::{freshness::{Freshness, Rules}, invalidations::Invalidations};
//! use model::request::{Consistency, Lifetimes, WriteDependencies};
//! use model::time::{EventTime, Timestamp};
//! use model::value::{Cell, Status};
//!
//! let lifetimes = Lifetimes {
//!     ttl: 300,
//!     jitter_permille: 0,
//!     stale_while_revalidate: 50,
//!     stale_if_error: 1_000,
//!     negative_ttl: 30,
//!     max_event_age: None,
//! };
//! let fetched_at = Timestamp(10_000).into();
//! let cell = Cell { status: Status::Present, is_negative: false, event_time: EventTime::ZERO, fetched_at };
//! let at = |now| Rules::new(lifetimes, None, Consistency::Eventual, Timestamp(now));
//! assert_eq!(at(10_300).judge(&cell, 0), Freshness::Fresh);
//! assert_eq!(at(10_301).judge(&cell, 0), Freshness::StaleWhileRevalidate);
//!
//! let mut invalidations = Invalidations::default();
//! invalidations.invalidate_view("driver_stats", Timestamp(10_100));
//! let writes = WriteDependencies::Views { views: ["driver_stats".into()].into(), is_by_row: true };
//! let invalidated_at = invalidations.affecting(&writes).invalidated_at(b"n\x041001");
//! assert_eq!(at(10_200).invalidated_at(invalidated_at).judge(&cell, 0), Freshness::Expired);
//! ```

pub mod freshness;
pub mod invalidations;
pub mod job_window;
pub mod lookup;
mod lru;
mod lru_table;
pub mod memory;
pub mod policy;
mod s3fifo;
