//! Fresh, stale but usable, or expired: decided for each value from when it was fetched.

use crate::model::request::{Consistency, Lifetimes};
use crate::model::time::Instant;
use crate::model::value::{Cell, Status};

/// Whether a value may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// It may be served as it is.
    Fresh,
    /// It may be served while nothing fresher can be had.
    Stale,
    /// It may not be served.
    Expired,
}

/// What one request allows of one view's values.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    lifetimes: Lifetimes,
    max_staleness: u64,
    is_bound_hard: bool,
    now: Instant,
}

impl Rules {
    /// The rules at `now` for a view with `lifetimes`, in a request that allows `max_staleness` milliseconds, if it says.
    #[must_use]
    pub fn new(lifetimes: Lifetimes, max_staleness: Option<u64>, consistency: Consistency, now: Instant) -> Rules {
        Rules {
            lifetimes,
            max_staleness: max_staleness.unwrap_or(u64::MAX),
            is_bound_hard: max_staleness.is_some() && consistency != Consistency::Eventual,
            now,
        }
    }

    /// Whether a value with `cell` may be served.
    #[inline]
    #[must_use]
    pub fn judge(&self, cell: &Cell) -> Freshness {
        // What the origin itself calls invalid is told to whoever asked for it, and never kept for anyone else.
        if cell.status == Status::Invalid {
            return Freshness::Expired;
        }
        let age = self.now.millis_since(cell.fetched_at);
        let Lifetimes { ttl, grace, negative_ttl } = self.lifetimes;
        let ttl = if cell.is_negative { ttl.min(negative_ttl) } else { ttl };
        if age <= ttl.min(self.max_staleness) {
            Freshness::Fresh
        } else if age <= ttl.saturating_add(grace) && !(self.is_bound_hard && age > self.max_staleness) {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::EventTime;

    const LIFETIMES: Lifetimes = Lifetimes { ttl: 300, grace: 1_000, negative_ttl: 30 };

    fn judge(age: u64, status: Status, max_staleness: Option<u64>, consistency: Consistency) -> Freshness {
        let cell = Cell {
            status,
            is_negative: status == Status::NotFound,
            event_time: EventTime::ZERO,
            fetched_at: Instant(10_000),
        };
        Rules::new(LIFETIMES, max_staleness, consistency, Instant(10_000 + age)).judge(&cell)
    }

    #[test]
    fn a_value_is_fresh_then_stale_then_expired() {
        for (age, expected) in [
            (0, Freshness::Fresh),
            (300, Freshness::Fresh),
            (301, Freshness::Stale),
            (1_300, Freshness::Stale),
            (1_301, Freshness::Expired),
        ] {
            assert_eq!(judge(age, Status::Present, None, Consistency::Eventual), expected, "{age}");
        }
    }

    #[test]
    fn an_unknown_entity_is_asked_for_again_sooner() {
        assert_eq!(judge(30, Status::NotFound, None, Consistency::Eventual), Freshness::Fresh);
        assert_eq!(judge(31, Status::NotFound, None, Consistency::Eventual), Freshness::Stale);
        assert_eq!(judge(31, Status::NullValue, None, Consistency::Eventual), Freshness::Fresh);
    }

    #[test]
    fn the_callers_bound_is_soft_when_eventual_and_hard_when_bounded() {
        assert_eq!(judge(101, Status::Present, Some(100), Consistency::Eventual), Freshness::Stale);
        assert_eq!(judge(101, Status::Present, Some(100), Consistency::Bounded), Freshness::Expired);
        assert_eq!(judge(100, Status::Present, Some(100), Consistency::Bounded), Freshness::Fresh);
        assert_eq!(judge(0, Status::Present, Some(0), Consistency::Bounded), Freshness::Fresh);
        assert_eq!(judge(1, Status::Present, Some(0), Consistency::Bounded), Freshness::Expired);
        assert_eq!(judge(400, Status::Present, Some(500), Consistency::Bounded), Freshness::Stale);
    }

    #[test]
    fn a_clock_that_goes_backwards_makes_nothing_expire() {
        let cell = Cell {
            status: Status::Present,
            is_negative: false,
            event_time: EventTime::ZERO,
            fetched_at: Instant(10_000),
        };
        let rules = Rules::new(LIFETIMES, None, Consistency::Eventual, Instant(0));
        assert_eq!(rules.judge(&cell), Freshness::Fresh);
    }
}
