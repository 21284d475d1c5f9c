//! The host's clock as far as it never runs back.
//!
//! A host's clock is set: by NTP, by hand, with a virtual machine. Ages, deadlines and the times of writes are differences of its
//! readings, so a clock that was set back would show a value as younger than it is, and one that was fetched before a write as fetched
//! after it. Invariant: no reading is earlier than one before it, and time goes on at all times.

use crate::model::time::Instant;

/// By how much a clock that is ahead of the host's is slowed, as a part of the time that passes: it is right again after so many
/// times what it is ahead, and no timeout is longer by more. Unix slews a clock likewise (`adjtime`).
const SLOWED_BY: u64 = 8;

/// A clock that follows the host's, and waits for it where that was set back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    host: Instant,
    /// How far it is ahead of the host's, in milliseconds, and what of the slowing is below a millisecond, in parts of it.
    ahead: u64,
    slowed: u64,
}

impl Clock {
    /// What it shows when the host's clock shows `host`.
    pub(super) fn advance(&mut self, host: Instant) -> Instant {
        if host < self.host {
            self.ahead += self.host.millis_since(host);
        } else if self.ahead > 0 {
            let slowed = self.slowed + host.millis_since(self.host);
            self.ahead = self.ahead.saturating_sub(slowed / SLOWED_BY);
            self.slowed = if self.ahead > 0 { slowed % SLOWED_BY } else { 0 };
        }
        self.host = host;
        host.plus(self.ahead)
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
    fn a_clock_that_is_set_back_goes_on_from_where_it_was_and_waits_for_the_host() {
        let mut clock = Clock::default();
        clock.advance(Instant(100_000));
        assert_eq!(clock.advance(Instant(70_000)), Instant(100_000));
        assert_eq!(clock.advance(Instant(70_800)), Instant(100_700), "slower by an eighth");
        assert_eq!(clock.advance(Instant(309_999)), Instant(310_000));
        assert_eq!(clock.advance(Instant(310_000)), Instant(310_000));
        assert_eq!(clock.advance(Instant(311_000)), Instant(311_000));
    }

    #[test]
    fn no_reading_is_earlier_than_one_before_it_however_the_host_jumps() {
        let mut clock = Clock::default();
        let (mut host, mut last, mut random) = (1_000_000_u64, Instant(0), 7_u64);
        for _ in 0..100_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            host = match random >> 60 {
                0 => host.saturating_sub(random >> 40 & 0xffff),
                1 => host + (random >> 40 & 0xffff),
                _ => host + (random >> 40 & 3),
            };
            let shown = clock.advance(Instant(host));
            assert!(shown >= last && shown >= Instant(host));
            last = shown;
        }
    }
}
