//! A monotonic clock over the host's wall clock.
//!
//! NTP, an operator or a virtual machine may set a host's clock. Ages, deadlines and write times are
//! differences of its readings. After a step back, a value would look younger than it is, and one from
//! before a write would look newer than the write. It knows no requests. Invariants: no reading is earlier
//! than one before it, and between two readings no less time passes than by the host's clock, except for
//! jitter. After a step back the clock stays ahead for the life of the process: slowing it until the host
//! has caught up would show ages too short.

use model::time::Timestamp;

/// How far a reading may be before the one before it without a clock step, in milliseconds: requests of
/// one isolate may see the clock advance at different moments. Such jitter is waited out, or it would add
/// up.
const JITTER_MILLIS: u64 = 20;

/// A clock that follows the host's, and continues from where it was when that is set back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MonotonicClock {
    /// The latest reading of the host's clock since it was last set.
    host: Timestamp,
    /// How far it is ahead of the host's, in milliseconds.
    ahead_millis: u64,
}

impl MonotonicClock {
    /// What it shows when the host's clock shows `host`.
    pub(super) fn advance(&mut self, host: Timestamp) -> Timestamp {
        let back_millis = self.host.millis_since(host);
        if back_millis > JITTER_MILLIS {
            self.ahead_millis += back_millis;
            self.host = host;
        }
        self.host = self.host.max(host);
        self.host.plus(self.ahead_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_what_the_host_shows_while_that_goes_on() {
        let mut clock = MonotonicClock::default();
        for millis in [5, 5, 1_000, 90_000] {
            assert_eq!(clock.advance(Timestamp(millis)), Timestamp(millis));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_where_it_was() {
        let mut clock = MonotonicClock::default();
        clock.advance(Timestamp(100_000));
        for (host, expected) in [(70_000, 100_000), (70_800, 100_800), (60_800, 100_800), (200_000, 240_000)] {
            assert_eq!(clock.advance(Timestamp(host)), Timestamp(expected), "{host}");
        }
    }

    #[test]
    fn a_step_back_of_twenty_milliseconds_is_waited_out() {
        let mut clock = MonotonicClock::default();
        for (host, expected) in [(1_000, 1_000), (980, 1_000), (1_010, 1_010), (989, 1_010), (1_010, 1_031)] {
            assert_eq!(clock.advance(Timestamp(host)), Timestamp(expected), "{host}");
        }
    }

    #[test]
    fn jitter_does_not_add_up() {
        let mut clock = MonotonicClock::default();
        let mut last = Timestamp(0);
        for millis in 0..10_000 {
            let shown = clock.advance(Timestamp(1_000 + millis - millis % 2 * 7));
            assert!(shown >= last);
            last = shown;
        }
        assert_eq!(clock.advance(Timestamp(20_000)), Timestamp(20_000));
    }
}
