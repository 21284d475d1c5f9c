//! Fresh, stale but usable, or expired: decided for each value from when it was fetched.

use model::request::{Consistency, Lifetimes};
use model::time::Timestamp;
use model::value::{Cell, Status};

/// Whether a value may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// It may be served as it is.
    Fresh,
    /// It may be served at once, and is to be fetched anew behind the answer.
    StaleWhileRevalidate,
    /// It may be served while nothing fresher can be had.
    StaleIfError,
    /// It may not be served.
    Expired,
}

impl Freshness {
    /// Whether nobody needs to wait for a fresher value.
    #[must_use]
    pub fn is_usable_at_once(self) -> bool {
        self <= Freshness::StaleWhileRevalidate
    }
}

/// What one request allows of one view's values.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    lifetimes: Lifetimes,
    /// The most by which jitter shortens the time to live.
    jitter: u64,
    max_staleness: u64,
    is_bound_hard: bool,
    /// How long before its time to live ends a value counts as due.
    early: u64,
    /// What was fetched then or earlier was written past the caches since.
    floor: Timestamp,
    now: Timestamp,
}

impl Rules {
    /// The rules at `now` for a view with `lifetimes`, in a request that allows `max_staleness` milliseconds, if it says.
    #[must_use]
    pub fn new(lifetimes: Lifetimes, max_staleness: Option<u64>, consistency: Consistency, now: Timestamp) -> Rules {
        Rules {
            jitter: lifetimes.ttl / 1_000 * u64::from(lifetimes.jitter_permille),
            lifetimes,
            max_staleness: max_staleness.unwrap_or(u64::MAX),
            is_bound_hard: max_staleness.is_some() && consistency != Consistency::Eventual,
            early: 0,
            floor: Timestamp::default(),
            now,
        }
    }

    /// The same rules, by which a value is due `millis` before its time to live ends.
    #[must_use]
    pub fn early_by(self, millis: u64) -> Rules {
        Rules { early: millis, ..self }
    }

    /// The same rules for a row that was written at `floor`: what was fetched then or earlier is not to be served.
    #[inline]
    #[must_use]
    pub fn since(self, floor: Timestamp) -> Rules {
        Rules { floor, ..self }
    }

    /// Whether a value with `cell` of the row with `hash` may be served.
    #[inline]
    #[must_use]
    pub fn judge(&self, cell: &Cell, hash: u64) -> Freshness {
        let fetched_at = cell.fetched_at.timestamp();
        // What the origin itself calls invalid is told to whoever asked for it, and never kept for anyone else.
        if cell.status == Status::Invalid || (fetched_at <= self.floor && self.floor != Timestamp::default()) {
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

    /// When a value that may be served now becomes [`Freshness::Expired`], should no write come before.
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
        // The same row has the same time to live everywhere: its hash says which part of the jitter it gets.
        let ttl = ttl - ((self.jitter * (hash >> 40)) >> 24);
        let ttl = if cell.is_negative { ttl.min(negative_ttl) } else { ttl };
        // An entity that the origin now knows is not to be missed for longer than was said, and what has no time to live is
        // not wanted without asking.
        (ttl, if cell.is_negative || ttl == 0 { 0 } else { stale_while_revalidate })
    }
}

/// How long before its time to live ends a value is fetched anew, by chance: XFetch, so that of many readers of a popular
/// row one fetches it a little early, and not all of them when it has expired.
///
/// `fetch_millis × β × −ln(u)` with `u` uniform in (0, 1]. Source: Vattani, Chierichetti and Lowenstein, "Optimal
/// Probabilistic Cache Stampede Prevention", PVLDB 8(8), 2015. `random` is any 64 random bits.
#[must_use]
pub fn early_millis(fetch_millis: u64, beta_permille: u32, random: u64) -> u64 {
    // −log₂(u) for u with these bits: the leading zeros, and for the rest of the octave a straight line, whose error
    // of 0.09 at the most does not matter for a random number.
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
    fn a_value_is_fresh_then_due_then_late_then_expired() {
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
    fn an_unknown_entity_is_asked_for_again_sooner() {
        assert_eq!(judge(30, Status::NotFound, None, Consistency::Eventual), Freshness::Fresh);
        assert_eq!(judge(31, Status::NotFound, None, Consistency::Eventual), Freshness::StaleIfError);
        assert_eq!(judge(31, Status::NullValue, None, Consistency::Eventual), Freshness::Fresh);
    }

    #[test]
    fn without_a_time_to_live_a_value_is_late_as_soon_as_it_ages() {
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
    fn a_value_expires_at_the_first_moment_at_which_it_is_judged_so() {
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
    fn jitter_shortens_each_rows_time_to_live_by_its_own_part() {
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
    fn a_value_is_fetched_early_by_a_chance_that_grows_towards_its_end() {
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
    fn what_is_due_early_is_still_usable_at_once() {
        let cell = Cell {
            status: Status::Present,
            is_negative: false,
            event_time: EventTime::ZERO,
            fetched_at: PackedTimestamp::ZERO,
        };
        let rules = Rules::new(LIFETIMES, None, Consistency::Eventual, Timestamp(250));
        assert_eq!(rules.judge(&cell, HASH), Freshness::Fresh);
        assert_eq!(rules.early_by(51).judge(&cell, HASH), Freshness::StaleWhileRevalidate);
        assert!(rules.early_by(51).judge(&cell, HASH).is_usable_at_once());
    }
}
