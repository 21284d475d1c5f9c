//! The host's clock as far as it never runs back.
//!
//! A host's clock is set: by NTP, by hand, with a virtual machine. Ages, deadlines and the times of writes are differences of its
//! readings, so a clock that was set back would show a value as younger than it is, and one that was fetched before a write as fetched
//! after it. Invariants: no reading is earlier than one before it, and between two readings no less time passes than by the host's
//! clock. So it stays ahead of a clock that was set back, for the process's life: to slow it until the host has caught up would show
//! ages too short meanwhile.

use crate::model::time::Instant;

/// A clock that follows the host's, and goes on from where it was when that is set back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    host: Instant,
    /// How far it is ahead of the host's, in milliseconds.
    ahead_millis: u64,
}

impl Clock {
    /// What it shows when the host's clock shows `host`.
    pub(super) fn advance(&mut self, host: Instant) -> Instant {
        self.ahead_millis += self.host.millis_since(host);
        self.host = host;
        host.plus(self.ahead_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_what_the_host_shows_while_that_goes_on() {
        let mut clock = Clock::default();
        for millis in [5, 5, 1_000, 90_000] {
            assert_eq!(clock.advance(Instant(millis)), Instant(millis));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_where_it_was() {
        let mut clock = Clock::default();
        clock.advance(Instant(100_000));
        for (host, expected) in [(70_000, 100_000), (70_800, 100_800), (60_800, 100_800), (200_000, 240_000)] {
            assert_eq!(clock.advance(Instant(host)), Instant(expected), "{host}");
        }
    }
}
