//! Runs a scenario once: schedules its requests, and measures their responses.
//!
//! In a closed loop a latency begins when the request is sent. In an open loop it begins when the request was due, so that a slow response
//! does not hide the delay of the next requests (coordinated omission). Failures count neither as latency nor as throughput. Invariant:
//! every request ends exactly once, and its slot is reused only then.

use core::fmt::Write as _;

use serde::Serialize;

use crate::popularity::EntitySampler;
use crate::report::Repeat;
use crate::response::{self, ServedResponse};
use crate::scenario::{BenchmarkError, Scenario};
use crate::timeline::{Timeline, TimelinePoint};

/// A point in time, in microseconds on the host's monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub u64);

/// The slot of a request in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSlot(pub u32);

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
    began_at: Option<Micros>,
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
            began_at: None,
            measured_from: None,
            last_end: Micros(0),
            repeat: Repeat::default(),
            timeline: Timeline::default(),
            scenario,
        })
    }

    /// What to do next, at `now`.
    pub fn next(&mut self, now: Micros) -> Next {
        let began_at = *self.began_at.get_or_insert(now);
        let due = self.intended(self.next, began_at);
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
        let is_open = self.scenario.rate_per_second.is_some();
        let Some(in_flight) = self.in_flight.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
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
            Err(kind) => self.failed(slot, &kind, now),
        }
    }

    /// Reports the failure of a request, and its kind.
    pub fn failed(&mut self, slot: RequestSlot, kind: &str, now: Micros) {
        if let Some((_, at)) = self.end(slot, now) {
            self.repeat.fail(kind, 1);
            self.timeline.failed(at);
        }
    }

    /// The progress at `now`.
    #[must_use]
    pub fn progress(&self, now: Micros) -> Progress {
        let elapsed = |since: Option<Micros>| since.map_or(0, |since| now.0.saturating_sub(since.0)) as f64;
        let ended = self.next - (self.in_flight.len() - self.free.len()) as u64;
        let by_count =
            self.scenario.request_count.map(|count| ended as f64 / (count + self.scenario.warm_up_requests) as f64);
        let by_time = self.scenario.duration_ms.map(|millis| elapsed(self.measured_from) / (millis as f64 * 1_000.0));
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
        self.repeat
    }

    fn elapsed(&self, now: Micros) -> u64 {
        self.measured_from.map_or(0, |from| now.0.saturating_sub(from.0))
    }

    /// When a request is due in an open loop.
    fn intended(&self, number: u64, began_at: Micros) -> Option<Micros> {
        let rate = self.scenario.rate_per_second?;
        Some(Micros(began_at.0.saturating_add((number as f64 * 1_000_000.0 / rate) as u64)))
    }

    fn is_over(&self, due: Option<Micros>, now: Micros) -> bool {
        let is_counted_out = self
            .scenario
            .request_count
            .is_some_and(|count| self.next >= count.saturating_add(self.scenario.warm_up_requests));
        // An open loop begins all requests that were due by the end, however late.
        let at = due.unwrap_or(now);
        let is_timed_out = self.scenario.duration_ms.is_some_and(|millis| self.elapsed(at) >= millis * 1_000);
        is_counted_out || (is_timed_out && self.measured_from.is_some())
    }

    /// Ends a request. Returns its latency and its end in microseconds, if it is measured.
    fn end(&mut self, slot: RequestSlot, now: Micros) -> Option<(u64, u64)> {
        let in_flight = self.in_flight.get_mut(slot.0 as usize)?.take()?;
        self.free.push(slot.0);
        if in_flight.number < self.scenario.warm_up_requests {
            return None;
        }
        self.last_end = self.last_end.max(now);
        Some((now.0.saturating_sub(in_flight.started.0), self.elapsed(now)))
    }

    fn served(&mut self, slot: RequestSlot, served: &ServedResponse, now: Micros) {
        let Some((micros, at)) = self.end(slot, now) else { return };
        let tier = served.tier();
        self.repeat.add(micros, served, tier);
        self.timeline.served(at, micros, tier);
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
        let _ = write!(self.body, "],\"feature_names\":[{}],\"priority\":\"{priority}\"}}", self.feature_names);
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
        let expected = r#"{"request_id":"benchmark_request_1","entity_ids":["entity_2","entity_3"],"feature_names":["feature_0","feature_1"],"priority":"normal"}"#;
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
        runner.failed(second, "timeout", Micros(900_000));
        let third = begin(&mut runner, 900_000);
        runner.answered(third, 503, "", b"urn:featheredge:problem:overloaded\"", Micros(901_000));
        assert_eq!(runner.progress(Micros(901_000)).failed, 2);
        let repeat = runner.finish();
        assert_eq!((repeat.latencies.count(), repeat.latencies.max_ms()), (1, 1.0));
        let kinds: Vec<_> = repeat.failures.iter().map(|failures| (failures.kind.as_str(), failures.count)).collect();
        assert_eq!(kinds, [("timeout", 1), ("overloaded", 1)]);
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
        runner.failed(first, "timeout", Micros(3_000));
        let second = begin(&mut runner, 3_000);
        answer(&mut runner, second, 4_000);
        let repeat = runner.finish();
        assert_eq!((repeat.latencies.count(), repeat.failed()), (2, 0));
    }
}
