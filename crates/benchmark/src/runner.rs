//! Runs a scenario once: schedules its requests, and measures their responses.
//!
//! In a closed loop a latency begins when the request is sent. In an open loop it begins when the request was due, so that a slow response
//! does not hide the delay of the next requests (coordinated omission). Failures count neither as latency nor as throughput. Invariant:
//! every request ends exactly once, and its slot is reused only then.

use core::cmp::Ordering;
use core::fmt::Write as _;

use serde::Serialize;

use crate::arrivals::Arrivals;
use crate::popularity::EntitySampler;
use crate::repeat::{L1Usage, Repeat, Stopped};
use crate::response::{self, ServedResponse};
use crate::scenario::{BenchmarkError, Scenario};
use crate::timeline::{Timeline, TimelinePoint};

/// A point in time, in microseconds on the host's monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub u64);

/// The slot of a request in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSlot(pub u32);

/// So many requests, or as many as are in flight at once, must fail before any has succeeded for a run to stop: more of them would tell
/// nothing.
const MIN_FAILURES: u64 = 20;

/// The most requests of a warm-up in flight, unless it has a rate.
const WARM_UP_CONCURRENCY: usize = 100;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Begin the request with the body [`Runner::body`], and report it by [`Runner::begun`].
    Begin(RequestSlot),
    /// Wait until that time; without one, until a request ends.
    Wait(Option<Micros>),
    /// All requests have ended.
    Done,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    number: u64,
    started: Micros,
}

/// A measured request that has ended: its number, its latency and its end in microseconds.
struct Ended {
    number: u64,
    took: u64,
    at: u64,
}

/// The progress of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// From 0 to 1.
    pub share: f64,
    /// The estimated remaining milliseconds; unknown at first.
    pub left_ms: Option<f64>,
    /// Measured requests that succeeded.
    pub succeeded: u64,
    /// Measured requests that failed.
    pub failed: u64,
}

/// The results so far.
#[derive(Clone, Debug, Serialize)]
pub struct Live {
    /// The progress.
    pub progress: Progress,
    /// Percentiles, tiers and throughput over time.
    pub timeline: Vec<TimelinePoint>,
    /// The latencies: the middle of each bucket in milliseconds, and its count.
    pub latencies: Vec<(f64, u64)>,
    /// Responses by the furthest tier that served them.
    pub tiers: [u64; 4],
}

/// One run of a scenario.
#[derive(Debug)]
pub struct Runner {
    scenario: Scenario,
    namespace: String,
    sampler: EntitySampler,
    entities: Vec<u64>,
    feature_names: String,
    body: String,
    in_flight: Vec<Option<InFlight>>,
    free: Vec<u32>,
    /// The number of the next request, warm-up included.
    next: u64,
    arrivals: Option<Arrivals>,
    began_at: Option<Micros>,
    /// When the first stage began: after the warm-up, which is a closed loop.
    staged_from: Option<Micros>,
    /// Whether any request has succeeded, of the warm-up too, and the failures before.
    has_succeeded: bool,
    early: Repeat,
    measured_from: Option<Micros>,
    last_end: Micros,
    repeat: Repeat,
    timeline: Timeline,
}

impl Runner {
    /// A run of `scenario`. Entities' ids begin with `namespace`, so that runs do not share entities in caches that cannot be emptied.
    /// `repeat` is the number of the repetition: each draws differently from the scenario's seed.
    ///
    /// # Errors
    /// Why the scenario is invalid.
    pub fn new(scenario: Scenario, namespace: &str, repeat: u64) -> Result<Runner, BenchmarkError> {
        scenario.check()?;
        let feature_names: Vec<String> =
            (0..scenario.features_per_request).map(|number| format!("\"feature_{number}\"")).collect();
        Ok(Runner {
            namespace: namespace.to_owned(),
            sampler: EntitySampler::new(scenario.popularity.clone(), scenario.seed.wrapping_add(repeat)),
            entities: Vec::new(),
            feature_names: feature_names.join(","),
            body: String::new(),
            in_flight: vec![None; scenario.concurrency as usize],
            free: (0..scenario.concurrency).rev().collect(),
            next: 0,
            arrivals: Arrivals::of(scenario.rate_per_second, &scenario.stages),
            began_at: None,
            staged_from: None,
            has_succeeded: false,
            early: Repeat::default(),
            measured_from: None,
            last_end: Micros(0),
            repeat: Repeat::default(),
            timeline: Timeline::default(),
            scenario,
        })
    }

    /// What to do next, at `now`.
    pub fn next(&mut self, now: Micros) -> Next {
        // Before the first stage, whose time begins when its first request may.
        if !self.may_begin() {
            return Next::Wait(None);
        }
        let due = self.due(now);
        if self.is_over(due, now) {
            return if self.free.len() == self.in_flight.len() { Next::Done } else { Next::Wait(None) };
        }
        if let Some(due) = due.filter(|due| *due > now) {
            return Next::Wait(Some(due));
        }
        let Some(slot) = self.free.pop() else { return Next::Wait(None) };
        if let Some(in_flight) = self.in_flight.get_mut(slot as usize) {
            *in_flight = Some(InFlight { number: self.next, started: due.unwrap_or(now) });
        }
        self.write_body();
        self.next += 1;
        Next::Begin(RequestSlot(slot))
    }

    /// The body of the request to begin, for `POST /v1/features`.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.as_bytes()
    }

    /// Reports that a request has begun.
    pub fn begun(&mut self, slot: RequestSlot, now: Micros) {
        let Some(in_flight) = self.in_flight.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let is_warm_up = in_flight.number < self.scenario.warm_up_requests;
        let is_open = match self.arrivals {
            None => false,
            Some(Arrivals::Constant(_)) => true,
            Some(Arrivals::Staged(_)) => !is_warm_up,
        };
        if !is_open {
            in_flight.started = now;
        }
        if in_flight.number == self.scenario.warm_up_requests {
            self.measured_from = Some(in_flight.started);
        }
    }

    /// Reports the response of a request. The first and last [`response::TAIL`] bytes of the body suffice.
    pub fn answered(&mut self, slot: RequestSlot, status: u16, server_timing: &str, body: &[u8], now: Micros) {
        match response::parse(status, server_timing, body) {
            Ok(served) => self.served(slot, &served, now),
            Err(failure) => self.failed(slot, &failure.kind, failure.cause.as_deref(), now),
        }
    }

    /// Reports a response of a target that knows no tiers: the origin computed its `rows`, in so many calls.
    pub fn computed(&mut self, slot: RequestSlot, rows: u64, calls: u64, now: Micros) {
        self.served(slot, &ServedResponse::computed(rows, calls), now);
    }

    /// Reports the failure of a request, its kind, and the text of the error.
    pub fn failed(&mut self, slot: RequestSlot, kind: &str, cause: Option<&str>, now: Micros) {
        if !self.has_succeeded {
            self.early.fail(kind, cause, 1);
        }
        if let Some(ended) = self.end(slot, now) {
            self.repeat.fail(kind, cause, 1);
            self.timeline.failed(ended.at);
        }
    }

    /// Reports L1 of the target after the last request.
    pub fn set_l1(&mut self, usage: L1Usage) {
        self.repeat.l1 = Some(usage);
    }

    /// The progress at `now`.
    #[must_use]
    pub fn progress(&self, now: Micros) -> Progress {
        let elapsed = |since: Option<Micros>| since.map_or(0, |since| now.0.saturating_sub(since.0)) as f64;
        let ended = self.next - (self.in_flight.len() - self.free.len()) as u64;
        let by_count = self.count().map(|count| ended as f64 / (count + self.scenario.warm_up_requests) as f64);
        let by_time = self.duration_ms().map(|millis| elapsed(self.measured_from) / (millis as f64 * 1_000.0));
        let share = by_count.unwrap_or_default().max(by_time.unwrap_or_default()).min(1.0);
        // The first hundredth is too little for an estimate.
        let left_ms = (share > 0.01).then(|| elapsed(self.began_at) * (1.0 - share) / share / 1_000.0);
        Progress { share, left_ms, succeeded: self.repeat.latencies.count(), failed: self.repeat.failed() }
    }

    /// The results at `now`.
    #[must_use]
    pub fn live(&self, now: Micros) -> Live {
        Live {
            progress: self.progress(now),
            timeline: self.timeline.points(self.elapsed(now)),
            latencies: self.repeat.latencies.bars(),
            tiers: self.repeat.answers,
        }
    }

    /// The results of the repetition.
    #[must_use]
    pub fn finish(mut self) -> Repeat {
        let elapsed = self.elapsed(self.last_end);
        self.repeat.elapsed_us = elapsed;
        self.repeat.timeline = self.timeline.points(elapsed);
        let is_cut = self.count().is_none_or(|count| self.next < count + self.scenario.warm_up_requests);
        if is_cut && self.is_failing() {
            self.repeat.stopped = Some(Stopped::AllFailed);
            // The failures of a warm-up are all that a run has that stopped in it.
            if self.repeat.failures.is_empty() {
                self.repeat.failures = self.early.failures;
            }
        }
        self.repeat
    }

    fn elapsed(&self, now: Micros) -> u64 {
        self.measured_from.map_or(0, |from| now.0.saturating_sub(from.0))
    }

    /// The count of measured requests, if it is known.
    fn count(&self) -> Option<u64> {
        self.scenario.request_count.or_else(|| self.arrivals.as_ref()?.count())
    }

    fn duration_ms(&self) -> Option<u64> {
        self.scenario.duration_ms.or_else(|| self.arrivals.as_ref()?.duration_ms())
    }

    /// When the next request is due in an open loop.
    fn due(&mut self, now: Micros) -> Option<Micros> {
        let began_at = *self.began_at.get_or_insert(now);
        let (from, number) = match self.arrivals.as_ref()? {
            Arrivals::Constant(_) => (began_at, self.next),
            Arrivals::Staged(_) => {
                let number = self.next.checked_sub(self.scenario.warm_up_requests)?;
                (*self.staged_from.get_or_insert(now), number)
            }
        };
        Some(Micros(from.0.saturating_add(self.arrivals.as_ref()?.at(number)?)))
    }

    /// Whether the warm-up lets the next request begin: it is no burst where an open loop allows many in flight, and the measured requests
    /// begin after the last of its own.
    fn may_begin(&self) -> bool {
        let in_flight = self.in_flight.len() - self.free.len();
        match self.next.cmp(&self.scenario.warm_up_requests) {
            Ordering::Less => in_flight < WARM_UP_CONCURRENCY || matches!(self.arrivals, Some(Arrivals::Constant(_))),
            Ordering::Equal => in_flight == 0 || matches!(self.arrivals, Some(Arrivals::Constant(_))),
            Ordering::Greater => true,
        }
    }

    /// Whether nothing but failures is to be expected.
    fn is_failing(&self) -> bool {
        !self.has_succeeded && self.early.failed() >= MIN_FAILURES.max(u64::from(self.scenario.concurrency))
    }

    fn is_over(&self, due: Option<Micros>, now: Micros) -> bool {
        let is_counted_out =
            self.count().is_some_and(|count| self.next >= count.saturating_add(self.scenario.warm_up_requests));
        // An open loop begins all requests that were due by the end, however late.
        let at = due.unwrap_or(now);
        let is_timed_out = self.scenario.duration_ms.is_some_and(|millis| self.elapsed(at) >= millis * 1_000);
        is_counted_out || (is_timed_out && self.measured_from.is_some()) || self.is_failing()
    }

    /// Ends a request, and returns it if it is measured.
    fn end(&mut self, slot: RequestSlot, now: Micros) -> Option<Ended> {
        let in_flight = self.in_flight.get_mut(slot.0 as usize)?.take()?;
        self.free.push(slot.0);
        let number = in_flight.number.checked_sub(self.scenario.warm_up_requests)?;
        self.last_end = self.last_end.max(now);
        Some(Ended { number, took: now.0.saturating_sub(in_flight.started.0), at: self.elapsed(now) })
    }

    fn served(&mut self, slot: RequestSlot, served: &ServedResponse, now: Micros) {
        self.has_succeeded = true;
        let Some(Ended { number, took, at }) = self.end(slot, now) else { return };
        let tier = served.tier();
        self.repeat.add(took, served, tier);
        self.repeat.slow.record(number, at, took, tier);
        self.timeline.served(at, took, tier);
    }

    fn write_body(&mut self) {
        self.sampler.sample(self.scenario.entities_per_request, &mut self.entities);
        self.body.clear();
        let number = self.next;
        // Writing to a string does not fail.
        let _ = write!(self.body, "{{\"request_id\":\"benchmark_request_{number}\",\"entity_ids\":[");
        for (index, &entity) in self.entities.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = match self.sampler.recorded(entity) {
                Some(id) => write!(self.body, "{comma}\"{}{}\"", self.namespace, Escaped(id)),
                None => write!(self.body, "{comma}\"{}entity_{entity}\"", self.namespace),
            };
        }
        let priority = self.scenario.priority.name();
        let Scenario { timeout_ms, .. } = self.scenario;
        let _ = write!(
            self.body,
            "],\"feature_names\":[{}],\"priority\":\"{priority}\",\"deadline_ms\":{timeout_ms}}}",
            self.feature_names
        );
    }
}

/// A text escaped for a JSON string.
struct Escaped<'t>(&'t str);

impl core::fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '"' | '\\' => write!(formatter, "\\{letter}")?,
                '\0'..='\x1f' => write!(formatter, "\\u{:04x}", u32::from(letter))?,
                _ => formatter.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::popularity::Popularity;

    const ANSWER: &str = r#"{"cache_stats":{"l1_hits":1,"l1_misses":0,"l2_hits":0,"l2_misses":0,"l3_hits":0,"l3_misses":0,"compute_requests":0},"quality_metrics":{"error_rate":0}}"#;

    fn scenario(count: u64, concurrency: u32) -> Scenario {
        let [scenario, ..] = Scenario::defaults();
        Scenario { request_count: Some(count), concurrency, ..scenario }
    }

    fn begin(runner: &mut Runner, now: u64) -> RequestSlot {
        let Next::Begin(slot) = runner.next(Micros(now)) else { panic!("nothing to begin at {now}") };
        runner.begun(slot, Micros(now));
        slot
    }

    fn answer(runner: &mut Runner, slot: RequestSlot, now: u64) {
        runner.answered(slot, 200, "total;dur=1", ANSWER.as_bytes(), Micros(now));
    }

    #[test]
    fn the_bodies_are_requests_of_the_original_specification() {
        let [_, _, mixed, _] = Scenario::defaults();
        let mut runner =
            Runner::new(Scenario { entities_per_request: 2, features_per_request: 2, ..mixed }, "", 0).unwrap();
        begin(&mut runner, 0);
        begin(&mut runner, 0);
        let expected = r#"{"request_id":"benchmark_request_1","entity_ids":["entity_2","entity_3"],"feature_names":["feature_0","feature_1"],"priority":"normal","deadline_ms":5000}"#;
        assert_eq!(core::str::from_utf8(runner.body()).unwrap(), expected);
    }

    #[test]
    fn recorded_ids_are_escaped() {
        let popularity = Popularity::Recorded { entities: vec!["a\"\n\\é".to_owned()] };
        let mut runner = Runner::new(Scenario { popularity, ..scenario(1, 1) }, "n_", 0).unwrap();
        begin(&mut runner, 0);
        let body: serde_json::Value = serde_json::from_slice(runner.body()).unwrap();
        assert_eq!(body["entity_ids"][0], "n_a\"\n\\é");
    }

    #[test]
    fn a_closed_loop_begins_the_next_when_one_ends() {
        let mut runner = Runner::new(scenario(3, 2), "", 0).unwrap();
        let first = begin(&mut runner, 0);
        let second = begin(&mut runner, 0);
        assert_eq!(runner.next(Micros(5)), Next::Wait(None));
        answer(&mut runner, first, 1_000);
        let third = begin(&mut runner, 1_000);
        answer(&mut runner, second, 2_000);
        assert_eq!(runner.next(Micros(2_000)), Next::Wait(None));
        answer(&mut runner, third, 4_000);
        assert_eq!(runner.next(Micros(4_000)), Next::Done);
        let repeat = runner.finish();
        assert_eq!((repeat.elapsed_us, repeat.latencies.count(), repeat.latencies.max_ms()), (4_000, 3, 3.0));
    }

    #[test]
    fn an_open_loop_counts_the_delay_by_a_slow_response() {
        let mut runner = Runner::new(Scenario { rate_per_second: Some(1_000.0), ..scenario(3, 1) }, "", 0).unwrap();
        let first = begin(&mut runner, 0);
        assert_eq!(runner.next(Micros(500)), Next::Wait(Some(Micros(1_000))));
        answer(&mut runner, first, 10_000);
        // The second was due at 1 ms and the third at 2 ms.
        let second = begin(&mut runner, 10_000);
        answer(&mut runner, second, 11_000);
        let third = begin(&mut runner, 11_000);
        answer(&mut runner, third, 12_000);
        let repeat = runner.finish();
        assert_eq!(repeat.latencies.min_ms(), 10.0);
        assert_eq!(repeat.latencies.mean_ms(), 10.0);
    }

    #[test]
    fn after_the_duration_requests_in_flight_still_end() {
        let scenario = Scenario { request_count: None, duration_ms: Some(10), ..scenario(1, 1) };
        let mut runner = Runner::new(scenario, "", 0).unwrap();
        for now in [0, 4_000, 8_000] {
            let slot = begin(&mut runner, now);
            answer(&mut runner, slot, now + 4_000);
        }
        assert_eq!(runner.next(Micros(12_000)), Next::Done);
        assert_eq!(runner.finish().latencies.count(), 3);
    }

    #[test]
    fn the_warm_up_is_not_measured() {
        let mut runner = Runner::new(Scenario { warm_up_requests: 2, ..scenario(1, 1) }, "", 0).unwrap();
        for (now, took) in [(0, 50_000), (50_000, 50_000), (100_000, 1_000)] {
            let slot = begin(&mut runner, now);
            answer(&mut runner, slot, now + took);
        }
        assert_eq!(runner.next(Micros(101_000)), Next::Done);
        let repeat = runner.finish();
        assert_eq!((repeat.latencies.count(), repeat.latencies.max_ms(), repeat.elapsed_us), (1, 1.0, 1_000));
    }

    #[test]
    fn failures_are_counted_by_kind_and_are_neither_latency_nor_throughput() {
        let mut runner = Runner::new(scenario(3, 1), "", 0).unwrap();
        let first = begin(&mut runner, 0);
        answer(&mut runner, first, 1_000);
        let second = begin(&mut runner, 1_000);
        runner.failed(second, "timeout", Some("no response"), Micros(900_000));
        let third = begin(&mut runner, 900_000);
        runner.answered(third, 503, "", b"urn:featheredge:problem:overloaded\"", Micros(901_000));
        assert_eq!(runner.progress(Micros(901_000)).failed, 2);
        let repeat = runner.finish();
        assert_eq!((repeat.latencies.count(), repeat.latencies.max_ms()), (1, 1.0));
        let kinds: Vec<_> = repeat
            .failures
            .iter()
            .map(|failures| (failures.kind.as_str(), failures.count, failures.cause.as_deref()))
            .collect();
        assert_eq!(kinds, [("timeout", 1, Some("no response")), ("overloaded", 1, None)]);
    }

    #[test]
    fn a_run_of_which_all_fails_stops_and_says_why() {
        let mut runner = Runner::new(Scenario { warm_up_requests: 1_000, ..scenario(1_000, 4) }, "", 0).unwrap();
        let mut begun = 0;
        loop {
            match runner.next(Micros(begun)) {
                Next::Begin(slot) => {
                    runner.begun(slot, Micros(begun));
                    runner.failed(slot, "unauthorized", Some("status 401"), Micros(begun));
                    begun += 1;
                }
                other => break assert_eq!(other, Next::Done),
            }
        }
        assert_eq!(begun, MIN_FAILURES);
        let repeat = runner.finish();
        assert_eq!(repeat.stopped, Some(Stopped::AllFailed));
        assert_eq!((repeat.failed(), repeat.failures[0].cause.as_deref()), (20, Some("status 401")));
    }

    #[test]
    fn one_success_is_enough_to_go_on() {
        let mut runner = Runner::new(scenario(100, 1), "", 0).unwrap();
        let first = begin(&mut runner, 0);
        answer(&mut runner, first, 1);
        for now in 1..100 {
            let slot = begin(&mut runner, now);
            runner.failed(slot, "timeout", None, Micros(now));
        }
        assert_eq!(runner.next(Micros(100)), Next::Done);
        assert_eq!(runner.finish().stopped, None);
    }

    #[test]
    fn stages_begin_after_the_warm_up() {
        let stages = vec![crate::arrivals::Stage { duration_ms: 1_000, rate_per_second: 4.0 }];
        let load = Scenario { request_count: None, stages, warm_up_requests: 1, ..scenario(1, 2) };
        let mut runner = Runner::new(load, "", 0).unwrap();
        let warm_up = begin(&mut runner, 0);
        answer(&mut runner, warm_up, 500_000);
        let first = begin(&mut runner, 600_000);
        answer(&mut runner, first, 700_000);
        // The rate grows from 0 to 4 in a second: t² × 2 = 1.
        let due = 600_000 + (0.5_f64.sqrt() * 1e6) as u64;
        assert_eq!(runner.next(Micros(700_000)), Next::Wait(Some(Micros(due))));
        let second = begin(&mut runner, due);
        answer(&mut runner, second, due + 200_000);
        assert_eq!(runner.next(Micros(due + 200_000)), Next::Done);
        let repeat = runner.finish();
        assert_eq!((repeat.latencies.count(), repeat.latencies.max_ms()), (2, 200.0));
        assert_eq!((repeat.slow.count, repeat.slow.slowest[0].number), (1, 1));
    }

    #[test]
    fn progress_estimates_the_remaining_time() {
        let mut runner = Runner::new(scenario(4, 1), "", 0).unwrap();
        assert_eq!(runner.progress(Micros(0)).left_ms, None);
        let first = begin(&mut runner, 0);
        answer(&mut runner, first, 1_000);
        let progress = runner.progress(Micros(1_000));
        assert_eq!((progress.share, progress.left_ms), (0.25, Some(3.0)));
    }

    #[test]
    fn a_request_ends_once() {
        let mut runner = Runner::new(scenario(2, 1), "", 0).unwrap();
        let first = begin(&mut runner, 0);
        answer(&mut runner, first, 1_000);
        answer(&mut runner, first, 2_000);
        runner.failed(first, "timeout", None, Micros(3_000));
        let second = begin(&mut runner, 3_000);
        answer(&mut runner, second, 4_000);
        let repeat = runner.finish();
        assert_eq!((repeat.latencies.count(), repeat.failed()), (2, 0));
    }
}
