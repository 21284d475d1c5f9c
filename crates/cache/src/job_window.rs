//! What may be served while a job writes rows: an asynchronous write, which was accepted before it was done.
//!
//! Such a job does not report which row it writes when. So until it must have ended, an invalidation follows the time at a distance:
//! copies that were fetched before it may be older than what the job has written, and all others are older by no more than the
//! distance. Invariant: after the window ends, no copy that was fetched before its end is served.

use model::time::Timestamp;

/// The limits of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobSettings {
    /// How long a job may run after it was accepted, in milliseconds; 0 where there are no jobs.
    pub longest_millis: u64,
    /// The most staleness of what is served meanwhile, in milliseconds.
    pub staleness_millis: u64,
}

/// Until when jobs may write some rows; the zero timestamp where no job runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JobWindow {
    until: Timestamp,
}

impl JobWindow {
    /// Extends the window by a job that may write until `until`.
    pub(crate) fn extend(&mut self, until: Timestamp) {
        self.until = self.until.max(until);
    }

    /// Moves an end that is later than `latest` back to it: a clock that was ahead made it.
    pub(crate) fn clamp(&mut self, latest: Timestamp) {
        self.until = self.until.min(latest);
    }

    /// Whether the window may still invalidate copies that are fetched after `at`.
    pub(crate) fn ends_after(self, at: Timestamp) -> bool {
        self.until > at
    }

    /// At `now`, a copy that was fetched at this time or earlier is not served.
    pub(crate) fn invalidated_at(self, staleness_millis: u64, now: Timestamp) -> Timestamp {
        self.until.min(now.minus(staleness_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invalidation_follows_the_time_to_the_end_of_the_job() {
        let mut job = JobWindow::default();
        assert_eq!(job.invalidated_at(100, Timestamp(5_000)), Timestamp(0), "there is no job");
        job.extend(Timestamp(9_000));
        job.extend(Timestamp(8_000));
        assert_eq!(job.invalidated_at(100, Timestamp(5_000)), Timestamp(4_900));
        assert_eq!(job.invalidated_at(0, Timestamp(5_000)), Timestamp(5_000), "nothing is kept");
        assert_eq!([9_000, 9_100, 20_000].map(|now| job.invalidated_at(100, Timestamp(now)).0), [8_900, 9_000, 9_000]);
        job.clamp(Timestamp(6_000));
        assert_eq!(job.invalidated_at(100, Timestamp(20_000)), Timestamp(6_000));
    }
}
