//! Fresh, stale but servable, or expired: decided for each value from when it was fetched.
//!
//! Knows neither rows nor tiers. Invariant: a value that was fetched when its row was invalidated, or earlier, is expired.

use model::request::{Consistency, Lifetimes};
use model::time::Timestamp;
use model::value::{Cell, Status};

/// Whether a value may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// It is served as it is.
    Fresh,
    /// It is served at once, and revalidated in the background (RFC 5861).
    StaleWhileRevalidate,
    /// It is served only where nothing fresher is available in time (RFC 5861).
    StaleIfError,
    /// It is never served.
    Expired,
}

impl Freshness {
    /// Whether it is served without waiting for a fresher value.
    #[must_use]
    pub fn is_servable_immediately(self) -> bool {
        self <= Freshness::StaleWhileRevalidate
    }
}

/// The freshness rules of one view in one request.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    lifetimes: Lifetimes,
    /// The most by which jitter shortens the TTL, in milliseconds.
    jitter: u64,
    max_staleness: u64,
    is_bound_hard: bool,
    /// How long before its TTL ends a value is revalidated, in milliseconds.
    early: u64,
    /// When the row was last invalidated: what was fetched then or earlier is expired.
    invalidated_at: Timestamp,
    now: Timestamp,
}

impl Rules {
    /// The rules at `now` for a view with `lifetimes`, in a request that may bound staleness to `max_staleness` milliseconds.
    #[must_use]
    pub fn new(lifetimes: Lifetimes, max_staleness: Option<u64>, consistency: Consistency, now: Timestamp) -> Rules {
        Rules {
            jitter: lifetimes.ttl / 1_000 * u64::from(lifetimes.jitter_permille),
            lifetimes,
            max_staleness: max_staleness.unwrap_or(u64::MAX),
            is_bound_hard: max_staleness.is_some() && consistency != Consistency::Eventual,
            early: 0,
            invalidated_at: Timestamp::default(),
            now,
        }
    }

    /// The same rules, by which a value is revalidated `millis` before its TTL ends.
    #[must_use]
    pub fn early_by(self, millis: u64) -> Rules {
        Rules { early: millis, ..self }
    }

    /// The same rules for a row that was last invalidated at this time: what was fetched then or earlier is expired.
    #[inline]
    #[must_use]
    pub fn invalidated_at(self, invalidated_at: Timestamp) -> Rules {
        Rules { invalidated_at, ..self }
    }

    /// Whether a value with `cell` of the row with `hash` may be served.
    #[inline]
    #[must_use]
    pub fn judge(&self, cell: &Cell, hash: u64) -> Freshness {
        let fetched_at = cell.fetched_at.timestamp();
        // An invalid value is returned to the request that fetched it, and never served from a cache.
        if cell.status == Status::Invalid
            || (fetched_at <= self.invalidated_at && self.invalidated_at != Timestamp::default())
        {
            return Freshness::Expired;
        }
        let age = self.now.millis_since(fetched_at);
        let (ttl, stale_while_revalidate) = self.ttl_and_revalidate(cell, hash);
        let stale_if_error = self.lifetimes.stale_if_error;
        if age <= ttl.min(self.max_staleness) {
            return if age.saturating_add(self.early) <= ttl {
                Freshness::Fresh
            } else {
                Freshness::StaleWhileRevalidate
            };
        }
        if age <= ttl.saturating_add(stale_while_revalidate).min(self.max_staleness) {
            Freshness::StaleWhileRevalidate
        } else if age <= ttl.saturating_add(stale_if_error) && !(self.is_bound_hard && age > self.max_staleness) {
            Freshness::StaleIfError
        } else {
            Freshness::Expired
        }
    }

    /// When a servable value becomes [`Freshness::Expired`], unless its row is invalidated before.
    #[must_use]
    pub fn expires_at(&self, cell: &Cell, hash: u64) -> Timestamp {
        let fetched_at = cell.fetched_at.timestamp();
        let (ttl, stale_while_revalidate) = self.ttl_and_revalidate(cell, hash);
        let at_once = ttl.saturating_add(stale_while_revalidate).min(self.max_staleness);
        let late = ttl.saturating_add(self.lifetimes.stale_if_error);
        let late = if self.is_bound_hard { late.min(self.max_staleness) } else { late };
        fetched_at.plus(at_once.max(late).saturating_add(1))
    }

    #[inline]
    fn ttl_and_revalidate(&self, cell: &Cell, hash: u64) -> (u64, u64) {
        let Lifetimes { ttl, stale_while_revalidate, negative_ttl, .. } = self.lifetimes;
        // A row's hash decides its share of the jitter, so its TTL is the same for every request.
        let ttl = ttl - ((self.jitter * (hash >> 40)) >> 24);
        let ttl = if cell.is_negative { ttl.min(negative_ttl) } else { ttl };
        // A negative entry is not served past its TTL, since the entity may exist by now. Without a TTL nothing is served unchecked.
        (ttl, if cell.is_negative || ttl == 0 { 0 } else { stale_while_revalidate })
    }
}

/// How long before its TTL ends a value is revalidated, at random (XFetch): of many readers of a popular row, one fetches it a
/// little early, instead of all of them when it expires.
///
/// `fetch_millis × β × −ln(u)` with `u` uniform in (0, 1]. Source: Vattani, Chierichetti and Lowenstein, "Optimal
/// Probabilistic Cache Stampede Prevention", PVLDB 8(8), 2015. `random` is any 64 random bits.
#[must_use]
pub fn early_millis(fetch_millis: u64, beta_permille: u32, random: u64) -> u64 {
    // −log₂(u): the leading zeros, and within the octave a straight line. Its error is 0.09 at most, which does not matter for a
    // random number.
    let zeros = random.leading_zeros();
    let fraction = random.checked_shl(zeros + 1).unwrap_or(0) >> 54;
    let log2_thousandths = u64::from(zeros) * 1_000 + (1_024 - fraction) * 1_000 / 1_024;
    let ln_thousandths = log2_thousandths * 693 / 1_000;
    fetch_millis.saturating_mul(u64::from(beta_permille)).saturating_mul(ln_thousandths) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::time::{EventTime, PackedTimestamp};

    const LIFETIMES: Lifetimes = Lifetimes {
        ttl: 300,
        jitter_permille: 0,
        stale_while_revalidate: 50,
        stale_if_error: 1_000,
        negative_ttl: 30,
        max_event_age: None,
    };

    /// The hash of a row that gets all of the jitter, to within a 16-millionth.
    const HASH: u64 = u64::MAX;

    fn judge(age: u64, status: Status, max_staleness: Option<u64>, consistency: Consistency) -> Freshness {
        let cell = Cell {
            status,
            is_negative: status == Status::NotFound,
            event_time: EventTime::ZERO,
            fetched_at: Timestamp(10_000).into(),
        };
        Rules::new(LIFETIMES, max_staleness, consistency, Timestamp(10_000 + age)).judge(&cell, HASH)
    }

    #[test]
    fn a_value_is_fresh_then_stale_while_revalidate_then_stale_if_error_then_expired() {
        for (age, expected) in [
            (0, Freshness::Fresh),
            (300, Freshness::Fresh),
            (301, Freshness::StaleWhileRevalidate),
            (350, Freshness::StaleWhileRevalidate),
            (351, Freshness::StaleIfError),
            (1_300, Freshness::StaleIfError),
            (1_301, Freshness::Expired),
        ] {
            assert_eq!(judge(age, Status::Present, None, Consistency::Eventual), expected, "{age}");
        }
    }

    #[test]
    fn a_negative_entry_has_its_own_shorter_ttl() {
        assert_eq!(judge(30, Status::NotFound, None, Consistency::Eventual), Freshness::Fresh);
        assert_eq!(judge(31, Status::NotFound, None, Consistency::Eventual), Freshness::StaleIfError);
        assert_eq!(judge(31, Status::NullValue, None, Consistency::Eventual), Freshness::Fresh);
    }

    #[test]
    fn without_a_ttl_a_value_is_stale_if_error_as_soon_as_it_ages() {
        let cell = Cell {
            status: Status::Present,
            is_negative: false,
            event_time: EventTime::ZERO,
            fetched_at: Timestamp(10_000).into(),
        };
        let lifetimes = Lifetimes { ttl: 0, ..LIFETIMES };
        let at = |now| Rules::new(lifetimes, None, Consistency::Eventual, Timestamp(now)).judge(&cell, HASH);
        assert_eq!((at(10_000), at(10_001)), (Freshness::Fresh, Freshness::StaleIfError));
    }

    #[test]
    fn the_callers_bound_is_soft_when_eventual_and_hard_when_bounded() {
        assert_eq!(judge(101, Status::Present, Some(100), Consistency::Eventual), Freshness::StaleIfError);
        assert_eq!(judge(101, Status::Present, Some(100), Consistency::Bounded), Freshness::Expired);
        assert_eq!(judge(100, Status::Present, Some(100), Consistency::Bounded), Freshness::Fresh);
        assert_eq!(judge(0, Status::Present, Some(0), Consistency::Bounded), Freshness::Fresh);
        assert_eq!(judge(1, Status::Present, Some(0), Consistency::Bounded), Freshness::Expired);
        assert_eq!(judge(400, Status::Present, Some(500), Consistency::Bounded), Freshness::StaleIfError);
    }

    #[test]
    fn expires_at_is_the_first_moment_at_which_a_value_is_expired() {
        for (lifetimes, max_staleness, consistency, status) in [
            (LIFETIMES, None, Consistency::Eventual, Status::Present),
            (LIFETIMES, None, Consistency::Eventual, Status::NotFound),
            (LIFETIMES, Some(100), Consistency::Eventual, Status::Present),
            (LIFETIMES, Some(100), Consistency::Bounded, Status::Present),
            (LIFETIMES, Some(0), Consistency::Bounded, Status::Present),
            (LIFETIMES, Some(10_000), Consistency::Bounded, Status::Present),
            (LIFETIMES, Some(500), Consistency::Bounded, Status::Present),
            (Lifetimes { stale_if_error: 0, ..LIFETIMES }, None, Consistency::Eventual, Status::Present),
            (Lifetimes { stale_if_error: 0, ..LIFETIMES }, Some(320), Consistency::Eventual, Status::Present),
            (Lifetimes { ttl: 0, ..LIFETIMES }, None, Consistency::Eventual, Status::Present),
        ] {
            let cell = Cell {
                status,
                is_negative: status == Status::NotFound,
                event_time: EventTime::ZERO,
                fetched_at: Timestamp(10_000).into(),
            };
            let at = |now: u64| Rules::new(lifetimes, max_staleness, consistency, Timestamp(now));
            let Timestamp(expires_at) = at(10_000).expires_at(&cell, HASH);
            assert_eq!(at(expires_at).judge(&cell, HASH), Freshness::Expired, "{lifetimes:?} {max_staleness:?}");
            assert_ne!(at(expires_at - 1).judge(&cell, HASH), Freshness::Expired, "{lifetimes:?} {max_staleness:?}");
        }
    }

    #[test]
    fn a_clock_that_goes_backwards_makes_nothing_expire() {
        let cell = Cell {
            status: Status::Present,
            is_negative: false,
            event_time: EventTime::ZERO,
            fetched_at: Timestamp(10_000).into(),
        };
        let rules = Rules::new(LIFETIMES, None, Consistency::Eventual, Timestamp(0));
        assert_eq!(rules.judge(&cell, HASH), Freshness::Fresh);
    }

    #[test]
    fn jitter_shortens_each_rows_ttl_by_its_own_share() {
        let lifetimes = Lifetimes { ttl: 10_000, jitter_permille: 100, stale_while_revalidate: 0, ..LIFETIMES };
        let fetched = Cell {
            status: Status::Present,
            is_negative: false,
            event_time: EventTime::ZERO,
            fetched_at: PackedTimestamp::ZERO,
        };
        let last_fresh = |hash: u64| {
            (0..20_000)
                .rev()
                .find(|&age| {
                    Rules::new(lifetimes, None, Consistency::Eventual, Timestamp(age)).judge(&fetched, hash)
                        == Freshness::Fresh
                })
                .unwrap()
        };
        assert_eq!((last_fresh(0), last_fresh(u64::MAX), last_fresh(1 << 63)), (10_000, 9_001, 9_500));
    }

    #[test]
    fn early_refresh_becomes_more_likely_towards_the_end_of_the_ttl() {
        let mut random = 1_u64;
        let samples: Vec<u64> = (0..100_000)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                early_millis(1_000, 1_000, random ^ random >> 31)
            })
            .collect();
        let mean = samples.iter().sum::<u64>() / samples.len() as u64;
        assert!((950..1_090).contains(&mean), "an exponential's mean is the fetch time: {mean}");
        let beyond = |millis| samples.iter().filter(|&&sample| sample > millis).count();
        assert!((34_000..40_000).contains(&beyond(1_000)), "{}", beyond(1_000));
        assert!((4_000..6_000).contains(&beyond(3_000)), "{}", beyond(3_000));
        assert_eq!(early_millis(0, 1_000, 5), 0);
        assert_eq!(early_millis(1_000, 0, 5), 0);
    }

    #[test]
    fn a_value_that_is_refreshed_early_is_served_at_once() {
        let cell = Cell {
            status: Status::Present,
            is_negative: false,
            event_time: EventTime::ZERO,
            fetched_at: PackedTimestamp::ZERO,
        };
        let rules = Rules::new(LIFETIMES, None, Consistency::Eventual, Timestamp(250));
        assert_eq!(rules.judge(&cell, HASH), Freshness::Fresh);
        assert_eq!(rules.early_by(51).judge(&cell, HASH), Freshness::StaleWhileRevalidate);
        assert!(rules.early_by(51).judge(&cell, HASH).is_servable_immediately());
    }
}
