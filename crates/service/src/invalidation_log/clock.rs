//! The offset of the log's clock from the host's: its lower and upper bound.
//!
//! Each reply bounds the offset, since the clock showed its value between the call and the reply
//! (Cristian, "Probabilistic clock synchronization", Distributed Computing 3, 1989). The bounds of several
//! replies intersect (Marzullo and Owicki, "Maintaining the time in a distributed system", PODC 1983). It
//! knows no entries. Invariant: while the host's clock runs evenly, the log's time is never before
//! [`ClockOffset::earliest`] nor after [`ClockOffset::latest`], not even by the fraction of a millisecond
//! that clocks of whole milliseconds omit. Drift widens the earliest time, the bound that no stale value
//! may depend on.

use model::time::Timestamp;

/// The assumed skew of the two clocks before the first reply, in milliseconds. Clocks under NTP differ by
/// far less.
const INITIAL_SKEW_MILLIS: u32 = 1_000;

/// Two clocks drift apart by a millisecond in no less than this time, in milliseconds: 500 ppm, where NTP
/// stops steering a clock (RFC 5905, section 11.3).
const DRIFT_MILLIS: u64 = 2_000;

/// The resolution of the clocks.
const RESOLUTION_MILLIS: i64 = 1;

/// The offset of the log's clock from the host's.
#[derive(Debug)]
pub(super) struct ClockOffset {
    /// The most that the log's clock is ahead of the host's, in milliseconds.
    most: i64,
    /// The width of the bounds: how much less the offset may be.
    spread: u64,
    /// Until when drift is included, by the host's clock; `None` before the first reply.
    drifted_at: Option<Timestamp>,
}

/// A reading of the log's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// What the log's clock showed.
    pub(super) clock: Timestamp,
    /// When the call began and when its reply came, by the host's clock.
    pub(super) made_at: Timestamp,
    pub(super) received_at: Timestamp,
    /// The longest time that a call can have taken. If it took longer by the host's clock, that clock
    /// was set or stood still.
    pub(super) max_call_millis: u64,
}

/// What a reading has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Correction {
    /// By how many milliseconds the time was set back.
    pub(super) back_millis: u64,
    /// Whether the time was wrong, so that its timestamps may look newer than they are.
    pub(super) was_ahead: bool,
}

impl ClockOffset {
    pub(super) fn new() -> ClockOffset {
        ClockOffset { most: INITIAL_SKEW_MILLIS.into(), spread: 2 * u64::from(INITIAL_SKEW_MILLIS), drifted_at: None }
    }

    /// The latest that the log's clock can show when the host's shows `host`.
    pub(super) fn latest(&self, host: Timestamp) -> Timestamp {
        Timestamp(host.0.saturating_add_signed(self.most))
    }

    /// The earliest that the log's clock can have shown at [`latest`](ClockOffset::latest).
    pub(super) fn earliest(&self, latest: Timestamp) -> Timestamp {
        Timestamp(latest.0.saturating_sub(self.spread))
    }

    /// What the host's clock showed at [`latest`](ClockOffset::latest).
    pub(super) fn host(&self, latest: Timestamp) -> Timestamp {
        Timestamp(latest.0.saturating_add_signed(self.most.saturating_neg()))
    }

    pub(super) fn spread(&self) -> u64 {
        self.spread
    }

    /// Applies a reading. The time is set back only if it is wrong or `is_idle`, since deadlines run
    /// by it.
    ///
    /// `is_replacement`: another clock than the one read before.
    pub(super) fn apply(&mut self, reading: Reading, is_replacement: bool, is_idle: bool) -> Correction {
        let Reading { clock, made_at, received_at, max_call_millis } = reading;
        let ahead_of = |host: Timestamp| clock.0.wrapping_sub(host.0).cast_signed();
        let least = ahead_of(received_at).saturating_sub(RESOLUTION_MILLIS);
        let slowest = least.saturating_add_unsigned(max_call_millis);
        let most = if made_at > received_at { slowest } else { ahead_of(made_at).min(slowest) };
        let most = most.saturating_add(RESOLUTION_MILLIS);
        let is_first = self.drifted_at.is_none() || is_replacement;
        let drifted_at = self.drifted_at.filter(|at| !is_first && *at <= received_at).unwrap_or(received_at);
        let drift = received_at.millis_since(drifted_at) / DRIFT_MILLIS;
        self.drifted_at = Some(drifted_at.plus(drift * DRIFT_MILLIS));
        let known_least = self.most.saturating_sub_unsigned(self.spread).saturating_sub_unsigned(drift);
        let was_ahead = most < known_least;
        let (least, most) = if was_ahead || least > self.most || is_first {
            (least, most)
        } else {
            (least.max(known_least), if is_idle { most.min(self.most) } else { self.most })
        };
        let back_millis = u64::try_from(self.most.saturating_sub(most)).unwrap_or_default();
        self.most = most;
        self.spread = most.saturating_sub(least).cast_unsigned();
        Correction { back_millis, was_ahead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_CALL_MILLIS: u64 = 600;

    fn reading(clock: u64, made_at: u64, received_at: u64) -> Reading {
        let [clock, made_at, received_at] = [clock, made_at, received_at].map(Timestamp);
        Reading { clock, made_at, received_at, max_call_millis: MAX_CALL_MILLIS }
    }

    fn bounds(clock: &ClockOffset) -> (i64, i64) {
        (clock.most - clock.spread as i64, clock.most)
    }

    /// SplitMix64.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    #[test]
    fn before_the_first_answer_the_time_may_be_a_second_off() {
        let clock = ClockOffset::new();
        assert_eq!(clock.latest(Timestamp(10_000)), Timestamp(11_000));
        assert_eq!(
            (clock.earliest(Timestamp(11_000)), clock.host(Timestamp(11_000))),
            (Timestamp(9_000), Timestamp(10_000))
        );
    }

    #[test]
    fn an_answer_bounds_the_offset_by_what_the_call_took() {
        let mut clock = ClockOffset::new();
        let correction = clock.apply(reading(10_500, 10_000, 10_040), true, false);
        assert_eq!(bounds(&clock), (459, 501));
        assert_eq!(correction, Correction { back_millis: 499, was_ahead: false });
    }

    #[test]
    fn answers_narrow_the_bounds_and_the_time_goes_back_only_when_idle() {
        let mut clock = ClockOffset::new();
        clock.apply(reading(10_500, 10_000, 10_040), true, false);
        let correction = clock.apply(reading(11_490, 11_000, 11_010), false, false);
        assert_eq!((bounds(&clock), correction), ((479, 501), Correction::default()));
        let correction = clock.apply(reading(11_490, 11_000, 11_010), false, true);
        assert_eq!((bounds(&clock), correction.back_millis, correction.was_ahead), ((479, 491), 10, false));
        // A slow answer takes nothing back.
        clock.apply(reading(11_600, 11_000, 11_300), false, true);
        assert_eq!(bounds(&clock), (479, 491));
    }

    #[test]
    fn a_clock_that_was_set_is_found_ahead_or_behind() {
        for (set, was_ahead, back_millis) in [(5_000, true, 5_000), (-5_000, false, 0)] {
            let mut clock = ClockOffset::new();
            clock.apply(reading(10_000, 10_000, 10_010), true, false);
            let host = 11_000_u64.checked_add_signed(set).unwrap();
            let correction = clock.apply(reading(11_000, host, host + 10), false, false);
            assert_eq!(bounds(&clock), (-11 - set, 1 - set));
            assert_eq!(correction, Correction { back_millis, was_ahead });
        }
        // By a millisecond more than is known, and by just as much as is.
        for (ahead, was_ahead) in [(13, true), (12, false)] {
            let mut clock = ClockOffset::new();
            clock.apply(reading(10_000, 10_000, 10_010), true, false);
            let correction = clock.apply(reading(10_500 - ahead, 10_500, 10_500), false, false);
            assert_eq!(correction.was_ahead, was_ahead, "{ahead} ms");
        }
    }

    #[test]
    fn a_call_that_seems_to_take_longer_than_any_tells_how_far_the_clock_was_set() {
        let mut clock = ClockOffset::new();
        clock.apply(reading(10_000, 10_000, 10_010), true, false);
        let correction = clock.apply(reading(11_005, 11_000, 3_611_010), false, false);
        assert!(correction.was_ahead, "it was set by an hour while the call was under way");
        assert_eq!(bounds(&clock), (-3_600_006, -3_600_006 + MAX_CALL_MILLIS as i64 + 1));
        // It was set back.
        clock.apply(reading(12_005, 3_612_000, 12_010), false, false);
        assert_eq!(bounds(&clock), (-6, -6 + MAX_CALL_MILLIS as i64 + 1));
    }

    #[test]
    fn clocks_that_drift_apart_slowly_are_not_taken_for_set() {
        let mut clock = ClockOffset::new();
        clock.apply(reading(10_000, 10_000, 10_000), true, true);
        for second in 1..10_000 {
            let host = 10_000 + second * 1_000;
            let correction = clock.apply(reading(host - second / 3, host, host), false, true);
            assert!(!correction.was_ahead, "after {second} s");
            assert!(clock.spread <= 4, "{} ms", clock.spread);
        }
        // It is counted in once.
        let mut clock = ClockOffset::new();
        clock.apply(reading(10_000, 10_000, 10_000), true, true);
        for host in [12_000, 12_400, 12_800, 14_100] {
            clock.apply(reading(host + 100, host, host + 200), false, true);
        }
        assert_eq!(bounds(&clock), (-3, 1));
    }

    #[test]
    fn the_clock_of_a_replacement_log_is_read_from_scratch() {
        let mut clock = ClockOffset::new();
        clock.apply(reading(10_000, 10_000, 10_002), true, true);
        clock.apply(reading(11_000, 11_000, 11_100), true, true);
        assert_eq!(bounds(&clock), (-101, 1));
    }

    #[test]
    fn the_time_is_within_its_bounds_to_the_fraction_of_a_millisecond() {
        let mut state = 1;
        for _ in 0..2_000 {
            // In microseconds, as the clocks run; whole milliseconds, as they show.
            let offset = next(&mut state) % 2_000_000;
            let mut host = 1_000_000_000 + next(&mut state) % 1_000;
            let log = |host: u64| host + offset - 1_000_000;
            let mut clock = ClockOffset::new();
            for round in 0..8 {
                let made = host + next(&mut state) % 3_000;
                let read = made + next(&mut state) % 3_000;
                let received = read + next(&mut state) % 3_000;
                let is_idle = next(&mut state).is_multiple_of(2);
                let correction =
                    clock.apply(reading(log(read) / 1_000, made / 1_000, received / 1_000), round == 0, is_idle);
                assert!(!correction.was_ahead);
                host = received + next(&mut state) % 3_000;
                let latest = clock.latest(Timestamp(host / 1_000));
                let shown = Timestamp(log(host) / 1_000);
                assert!(clock.earliest(latest) <= shown && shown <= latest, "{clock:?}");
            }
        }
    }
}
