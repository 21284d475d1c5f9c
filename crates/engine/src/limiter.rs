//! The concurrency limit of origin calls: as many as the origin answers without queueing them.
//!
//! The limit follows TCP Vegas. From the fastest recent answer and the fastest of the present round it
//! estimates how many calls queue at the origin. It grows while that queue is short, shrinks when it is
//! long, and doubles until it first sees one. A call that fails or times out cuts it. As in Linux
//! (`tcp_vegas.c`) the fastest of a round counts, since one slow answer may be slow by itself, but a queue
//! delays all. Sources: Brakmo and Peterson, "TCP Vegas", IEEE JSAC 13(8), 1995; Netflix, "Performance
//! Under Load", 2018. It knows no request. Invariant: a call without an outcome releases its permit after
//! its timeout.

use model::time::Timestamp;

/// The bounds of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterSettings {
    /// Whether the limit adapts; if not, it stays at `max`.
    pub is_adaptive: bool,
    /// The most calls at one time.
    pub max: u32,
}

/// Calls that may wait at the origin before the limit stops growing, and before it shrinks.
const SHORT_QUEUE: u64 = 3;
const LONG_QUEUE: u64 = 6;
/// Where an adaptive limit begins.
const INITIAL: u32 = 16;
/// After so many answers the baseline is out of date: the origin may have become slower for good. Under
/// load every answer has queued, so the baseline is measured again at half the limit, in the second round,
/// when the queue has drained.
const BASELINE_ANSWERS: u32 = 2_000;
const PROBE_ROUNDS: u32 = 2;

/// The calls to one origin.
#[derive(Debug)]
pub struct Limiter {
    settings: LimiterSettings,
    limit: u32,
    /// The calls in progress, and when each counts as lost.
    calls: Vec<(u64, Timestamp)>,
    next: u64,
    /// The fastest answer of late, in milliseconds, at least 1, and how many answers it has counted for.
    baseline: u64,
    answers: u32,
    /// While the baseline is measured again: the limit to return to, and the remaining rounds.
    probe: Option<(u32, u32)>,
    /// Answers since the limit last changed, and the fastest of them: it moves once for each round of calls.
    in_round: u32,
    fastest: u64,
    /// Whether no queue has been seen yet, and no call has failed.
    is_starting: bool,
    /// The peak of concurrent calls since then: an unused limit says nothing of the origin.
    peak_calls: usize,
}

/// The permit of a call, to be given back by [`Limiter::release`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit(u64);

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// It was answered, in so many milliseconds.
    Answered(u64),
    /// It failed in a way that overload explains.
    Failed,
    /// It failed because of its own content, which says nothing of the origin's capacity.
    Rejected,
}

impl Limiter {
    /// A limiter without calls.
    #[must_use]
    pub fn new(settings: LimiterSettings) -> Limiter {
        let limit = if settings.is_adaptive { INITIAL.min(settings.max) } else { settings.max };
        Limiter {
            settings,
            limit,
            calls: Vec::new(),
            next: 0,
            baseline: u64::MAX,
            answers: 0,
            probe: None,
            in_round: 0,
            fastest: u64::MAX,
            is_starting: true,
            peak_calls: 0,
        }
    }

    /// A permit for one more call at `now`, which counts as lost after `millis`, while `queued_before`
    /// calls go first; `None` at the limit.
    pub fn acquire(&mut self, now: Timestamp, millis: u64, queued_before: usize) -> Option<Permit> {
        if self.calls.len() + queued_before >= self.limit as usize {
            self.calls.retain(|&(_, lost_at)| lost_at > now);
        }
        if self.calls.len() + queued_before >= self.limit as usize {
            return None;
        }
        self.next += 1;
        self.calls.push((self.next, now.plus(millis)));
        self.peak_calls = self.peak_calls.max(self.calls.len());
        Some(Permit(self.next))
    }

    /// Gives a permit back.
    pub fn release(&mut self, permit: Permit, outcome: CallOutcome) {
        self.calls.retain(|&(number, _)| number != permit.0);
        if !self.settings.is_adaptive {
            return;
        }
        match outcome {
            CallOutcome::Answered(millis) => self.record(millis.max(1)),
            CallOutcome::Rejected => {}
            CallOutcome::Failed => {
                self.limit = (self.limit * 7 / 10).max(1);
                self.in_round = 0;
                self.is_starting = false;
                self.probe = None;
            }
        }
    }

    /// Shifts its times back by so many milliseconds, after a clock that was ahead.
    pub fn set_clock_back(&mut self, millis: u64) {
        self.calls.iter_mut().for_each(|(_, lost_at)| *lost_at = lost_at.minus(millis));
    }

    /// The present limit.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// How many calls are in progress.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.calls.len()
    }

    fn record(&mut self, millis: u64) {
        self.answers += 1;
        self.in_round += 1;
        self.baseline = self.baseline.min(millis);
        self.fastest = self.fastest.min(millis);
        if self.in_round < self.limit {
            return;
        }
        self.in_round = 0;
        let fastest = core::mem::replace(&mut self.fastest, u64::MAX);
        let peak_calls = core::mem::take(&mut self.peak_calls);
        match self.probe {
            Some((limit, 0)) => {
                self.limit = limit;
                self.probe = None;
                self.answers = 0;
            }
            Some((limit, rounds)) => {
                self.probe = Some((limit, rounds - 1));
                self.baseline = u64::MAX;
            }
            None if self.answers >= BASELINE_ANSWERS => {
                self.probe = Some((self.limit, PROBE_ROUNDS - 1));
                self.limit = (self.limit / 2).max(1);
            }
            None => self.adjust(fastest, peak_calls),
        }
    }

    fn adjust(&mut self, millis: u64, peak_calls: usize) {
        // Little's law: of `limit` calls, this share waits and is not being answered.
        let queued = u64::from(self.limit) * millis.saturating_sub(self.baseline) / millis;
        self.is_starting &= queued < SHORT_QUEUE;
        if queued > LONG_QUEUE {
            self.limit = (self.limit - 1).max(1);
        } else if queued < SHORT_QUEUE && peak_calls * 2 >= self.limit as usize {
            let more = if self.is_starting { self.limit } else { 1 };
            self.limit = self.limit.saturating_add(more).min(self.settings.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(max: u32) -> Limiter {
        Limiter::new(LimiterSettings { is_adaptive: true, max })
    }

    /// Runs rounds of as many calls as may be, each answered in the time that `millis` gives for their number.
    fn run(limiter: &mut Limiter, rounds: usize, millis: impl Fn(u64) -> u64) {
        for _ in 0..rounds {
            let permits: Vec<Permit> = core::iter::from_fn(|| limiter.acquire(Timestamp(0), 1_000, 0)).collect();
            let took = millis(permits.len() as u64);
            permits.into_iter().for_each(|permit| limiter.release(permit, CallOutcome::Answered(took)));
        }
    }

    #[test]
    fn the_limit_is_never_passed() {
        let mut limiter = limiter(1_000);
        assert_eq!(core::iter::from_fn(|| limiter.acquire(Timestamp(0), 1_000, 0)).count(), 16);
        assert_eq!(limiter.under_way(), 16);
    }

    #[test]
    fn it_grows_where_the_origin_keeps_up_and_stops_where_calls_begin_to_wait() {
        let mut unbounded = limiter(100);
        run(&mut unbounded, 500, |_| 10);
        assert_eq!(unbounded.limit(), 100);
        // Twenty at a time in 10 ms each; more than that wait.
        let mut bounded = limiter(1_000);
        let wait = |calls: u64| 10 * calls.max(20) / 20;
        run(&mut bounded, 2_000, wait);
        while bounded.probe.is_some() {
            run(&mut bounded, 1, wait);
        }
        assert!((20..=40).contains(&bounded.limit()), "{}", bounded.limit());
    }

    /// Runs answers of which each in turn takes the next of these times, as many at one time as may be.
    fn run_unevenly(limiter: &mut Limiter, answers: usize, millis: &[u64]) {
        let mut permits = std::collections::VecDeque::new();
        for (_, &took) in (0..answers).zip(millis.iter().cycle()) {
            permits.extend(core::iter::from_fn(|| limiter.acquire(Timestamp(0), 1_000, 0)));
            limiter.release(permits.pop_front().unwrap(), CallOutcome::Answered(took));
        }
        permits.into_iter().for_each(|permit| limiter.release(permit, CallOutcome::Answered(millis[0])));
    }

    #[test]
    fn answers_that_take_longer_than_others_for_their_own_sake_do_not_shrink_it() {
        let uneven = [9, 2, 4, 11, 3, 30, 5, 2, 7, 3, 4];
        let mut calm = limiter(64);
        run_unevenly(&mut calm, 50_000, &uneven);
        assert_eq!(calm.limit(), 64);
        let mut busy = limiter(64);
        run_unevenly(&mut busy, 200, &uneven);
        assert_eq!(busy.limit(), 64);
        run_unevenly(&mut busy, 1_500, &[45, 38, 42, 90, 37, 51, 39]);
        assert!(busy.limit() < 50, "where they wait, all do: {}", busy.limit());
    }

    #[test]
    fn at_first_it_doubles_while_the_origin_keeps_up() {
        let mut limiter = limiter(1_000);
        run(&mut limiter, 3, |_| 10);
        assert_eq!(limiter.limit(), 128);
        run(&mut limiter, 1, |_| 20);
        run(&mut limiter, 1, |_| 10);
        assert_eq!(limiter.limit(), 128, "one less, and then one more");
    }

    #[test]
    fn failures_cut_it_at_once_and_never_to_nothing() {
        let mut limiter = limiter(100);
        for _ in 0..50 {
            let permit = limiter.acquire(Timestamp(0), 1_000, 0).unwrap();
            limiter.release(permit, CallOutcome::Failed);
        }
        assert_eq!(limiter.limit(), 1);
        run(&mut limiter, 300, |_| 10);
        assert!(limiter.limit() > 50, "it recovers: {}", limiter.limit());
    }

    #[test]
    fn a_call_that_was_lost_frees_its_place() {
        let mut limiter = Limiter::new(LimiterSettings { is_adaptive: false, max: 2 });
        assert!(limiter.acquire(Timestamp(0), 100, 0).is_some());
        assert!(limiter.acquire(Timestamp(0), 100, 0).is_some());
        assert!(limiter.acquire(Timestamp(99), 100, 0).is_none());
        assert!(limiter.acquire(Timestamp(100), 100, 0).is_some());
    }
    #[test]
    fn a_call_that_is_lost_by_a_clock_that_was_ahead_frees_its_place_in_time() {
        let mut limiter = Limiter::new(LimiterSettings { is_adaptive: false, max: 1 });
        assert!(limiter.acquire(Timestamp(3_600_000), 100, 0).is_some());
        limiter.set_clock_back(3_600_000);
        assert!(limiter.acquire(Timestamp(99), 100, 0).is_none());
        assert!(limiter.acquire(Timestamp(100), 100, 0).is_some());
    }
}
