//! What may be served while a job writes rows: a write that was acknowledged before it was done.
//!
//! Nobody tells when such a job writes which row. So until it must have ended, a mark follows the time at a distance: what was fetched
//! before that may be older than what the job has written, and the rest is older by no more than the distance. Invariant: from its end on,
//! nothing that was fetched before is served.

use model::time::Timestamp;

/// How jobs are taken into account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobSettings {
    /// How long a job may go on after it was acknowledged, in milliseconds; 0 where none does.
    pub longest_millis: u64,
    /// How old what is served may be meanwhile, in milliseconds.
    pub staleness_millis: u64,
}

/// Until when jobs may write some rows; the first of all times where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hold {
    until: Timestamp,
}

impl Hold {
    /// Another job may write until then.
    pub(crate) fn extend(&mut self, until: Timestamp) {
        self.until = self.until.max(until);
    }

    /// Puts the end back to `latest`, if it is later: it was told by a clock that was ahead.
    pub(crate) fn limit(&mut self, latest: Timestamp) {
        self.until = self.until.min(latest);
    }

    /// Whether it still marks what is fetched after `at`.
    pub(crate) fn is_beyond(self, at: Timestamp) -> bool {
        self.until > at
    }

    /// The mark at `now`: what was fetched then or earlier is not to be served.
    pub(crate) fn mark(self, staleness_millis: u64, now: Timestamp) -> Timestamp {
        self.until.min(now.minus(staleness_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_follows_the_time_to_the_end_of_the_job() {
        let mut hold = Hold::default();
        assert_eq!(hold.mark(100, Timestamp(5_000)), Timestamp(0), "there is no job");
        hold.extend(Timestamp(9_000));
        hold.extend(Timestamp(8_000));
        assert_eq!(hold.mark(100, Timestamp(5_000)), Timestamp(4_900));
        assert_eq!(hold.mark(0, Timestamp(5_000)), Timestamp(5_000), "nothing is kept");
        assert_eq!([9_000, 9_100, 20_000].map(|now| hold.mark(100, Timestamp(now)).0), [8_900, 9_000, 9_000]);
        hold.limit(Timestamp(6_000));
        assert_eq!(hold.mark(100, Timestamp(20_000)), Timestamp(6_000));
    }
}
