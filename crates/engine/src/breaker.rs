//! A circuit breaker: it stops the operations of a tier that keeps failing, then tries it with a few
//! probes.
//!
//! Closed, it admits every operation and records the outcomes. Past the failure threshold it opens and
//! admits none. After a while it is half-open and admits a few probes, whose outcomes close it or open it
//! again. It knows no tier. Invariant: a probe whose outcome is never reported does not keep it open for
//! longer than one more period. Source: Michael Nygard, "Release It!", 2nd edition, 2018, chapter 5.

use model::time::Timestamp;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Whether there is one.
    pub is_enabled: bool,
    /// How many of the last outcomes count, 64 at most.
    pub window_operations: u32,
    /// How many per cent of these must have failed for the breaker to open.
    pub failure_percent: u32,
    /// How long it stays open, in milliseconds.
    pub open_millis: u64,
    /// How many probes must succeed for it to close.
    pub half_open_probes: u32,
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// A few probes.
    HalfOpen,
}

/// The breaker of one tier.
#[derive(Clone, Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    /// The last outcomes, the latest in the lowest bit; a failure is a one.
    outcomes: u64,
    recorded: u32,
    state: BreakerState,
    /// When an open breaker becomes half open, or when the probes of a half-open one count as lost.
    until: Timestamp,
    probes_under_way: u32,
    probes_passed: u32,
    opened: u64,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Breaker {
        Breaker {
            settings,
            outcomes: 0,
            recorded: 0,
            state: BreakerState::Closed,
            until: Timestamp(0),
            probes_under_way: 0,
            probes_passed: 0,
            opened: 0,
        }
    }

    /// Whether an operation may start at `now`. Where it may, the caller must start it.
    pub fn admits(&mut self, now: Timestamp) -> bool {
        if !self.settings.is_enabled {
            return true;
        }
        if self.state != BreakerState::Closed && now >= self.until {
            // Probes without an outcome are lost with their host.
            self.state = BreakerState::HalfOpen;
            self.until = now.plus(self.settings.open_millis);
            self.probes_under_way = 0;
            self.probes_passed = 0;
        }
        match self.state {
            BreakerState::Closed => true,
            BreakerState::Open => false,
            BreakerState::HalfOpen => {
                let is_probe = self.probes_under_way < self.settings.half_open_probes;
                self.probes_under_way += u32::from(is_probe);
                is_probe
            }
        }
    }

    /// Shifts its times back by so many milliseconds, after a clock that was ahead.
    pub fn set_clock_back(&mut self, millis: u64) {
        self.until = self.until.minus(millis);
    }

    /// Whether an operation would be let through, should one be tried.
    #[must_use]
    pub fn would_admit(&self, now: Timestamp) -> bool {
        !self.settings.is_enabled || self.state != BreakerState::Open || now >= self.until
    }

    /// Records the outcome of an operation.
    pub fn record(&mut self, has_succeeded: bool, now: Timestamp) {
        if !self.settings.is_enabled {
            return;
        }
        match self.state {
            BreakerState::Closed => {
                self.outcomes = self.outcomes << 1 | u64::from(!has_succeeded);
                self.recorded = (self.recorded + 1).min(self.settings.window_operations);
                let failures = (self.outcomes & window_mask(self.settings.window_operations)).count_ones();
                let is_enough = self.recorded >= self.settings.window_operations.min(MIN_OUTCOMES);
                if !has_succeeded && is_enough && failures * 100 >= self.settings.failure_percent * self.recorded {
                    self.open(now);
                }
            }
            BreakerState::HalfOpen if has_succeeded => {
                self.probes_passed += 1;
                if self.probes_passed >= self.settings.half_open_probes {
                    *self = Breaker { opened: self.opened, ..Breaker::new(self.settings) };
                }
            }
            BreakerState::HalfOpen => self.open(now),
            // An operation from before it opened: nothing new.
            BreakerState::Open => {}
        }
    }

    /// What it lets through now.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// How long an open breaker stays open from `now`, in milliseconds.
    #[must_use]
    pub fn half_open_in_millis(&self, now: Timestamp) -> u64 {
        if self.state == BreakerState::Closed { 0 } else { self.until.millis_since(now) }
    }

    /// How often it has opened.
    #[must_use]
    pub fn times_opened(&self) -> u64 {
        self.opened
    }

    fn open(&mut self, now: Timestamp) {
        self.state = BreakerState::Open;
        self.until = now.plus(self.settings.open_millis);
        self.opened += 1;
    }
}

/// With fewer outcomes than this a breaker never opens, however small its share of failures may be set.
const MIN_OUTCOMES: u32 = 10;

const fn window_mask(window_operations: u32) -> u64 {
    if window_operations >= u64::BITS { u64::MAX } else { (1 << window_operations) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        is_enabled: true,
        window_operations: 20,
        failure_percent: 50,
        open_millis: 5_000,
        half_open_probes: 3,
    };

    fn opened_at(now: u64) -> Breaker {
        let mut breaker = Breaker::new(SETTINGS);
        for _ in 0..10 {
            assert!(breaker.admits(Timestamp(now)));
            breaker.record(false, Timestamp(now));
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn it_opens_when_half_of_the_last_outcomes_failed_and_not_before() {
        let mut breaker = Breaker::new(SETTINGS);
        for round in 0..200 {
            breaker.record(round % 5 < 3, Timestamp(0));
            assert_eq!(breaker.state(), BreakerState::Closed, "two of five failed");
        }
        for _ in 0..4 {
            breaker.record(false, Timestamp(0));
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(!breaker.admits(Timestamp(4_999)));
        assert_eq!(breaker.half_open_in_millis(Timestamp(1_000)), 4_000);
    }

    #[test]
    fn a_few_probes_close_it_again() {
        let mut breaker = opened_at(0);
        let admitted = (0..10).filter(|_| breaker.admits(Timestamp(5_000))).count();
        assert_eq!(admitted, 3);
        breaker.record(true, Timestamp(5_001));
        breaker.record(true, Timestamp(5_001));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.record(true, Timestamp(5_001));
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!((0..100).all(|_| breaker.admits(Timestamp(5_002))));
    }

    #[test]
    fn one_failed_probe_opens_it_again() {
        let mut breaker = opened_at(0);
        assert!(breaker.admits(Timestamp(6_000)));
        breaker.record(false, Timestamp(6_010));
        assert!(!breaker.admits(Timestamp(11_009)));
        assert!(breaker.admits(Timestamp(11_010)));
        assert_eq!(breaker.times_opened(), 2);
    }

    #[test]
    fn probes_without_an_outcome_do_not_keep_it_open() {
        let mut breaker = opened_at(0);
        assert_eq!((0..10).filter(|_| breaker.admits(Timestamp(5_000))).count(), 3);
        assert!(!breaker.admits(Timestamp(9_999)));
        assert!(breaker.admits(Timestamp(10_000)));
    }

    #[test]
    fn switched_off_it_lets_everything_through() {
        let mut breaker = Breaker::new(BreakerSettings { is_enabled: false, ..SETTINGS });
        (0..100).for_each(|_| breaker.record(false, Timestamp(0)));
        assert!(breaker.admits(Timestamp(0)));
    }
}
