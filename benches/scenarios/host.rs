//! A native host of the core on the real clock: one thread, a store in memory, and the built-in origin.
//!
//! It performs the core's effects and decides nothing; the framework schedules the requests. Invariant: every effect gets a result.

use std::collections::{BTreeMap, HashMap};
use std::thread;
use std::time::{Duration, Instant as Clock, SystemTime, UNIX_EPOCH};

use aggregator::Aggregator;
use benchmark::repeat::Repeat;
use benchmark::runner::{self, Micros, Next, Runner};
use benchmark::scenario::{BenchmarkError, Scenario};
use config::Config;
use model::time::Timestamp;
use service::{
    EffectId, FetchFailure, Incoming, IoRequest, IoResult, RequestHandle, Response, Service, Transition, WriteOutcome,
};

/// Operating systems wake a thread late by about so much, so the end of a wait spins.
const WAKE_UP_DELAY: Duration = Duration::from_micros(150);

/// A scheduled event.
enum Event {
    /// An effect completes.
    Completes(EffectId, IoResult),
    /// The built-in origin responds.
    OriginResponds(EffectId, Vec<u8>),
    /// The aggregator ingests records.
    IngestsRecords(EffectId),
    /// A request continues after another one woke it.
    Woken(RequestHandle),
}

/// The host of one repetition.
pub(crate) struct Host {
    service: Service,
    aggregator: Aggregator,
    began: Clock,
    /// The time at which it began, in milliseconds since 1970.
    epoch: u64,
    store: HashMap<String, Vec<u8>>,
    /// By their times in microseconds since the start, and by their sequence numbers.
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    /// The framework's slots of pending requests.
    requests: HashMap<RequestHandle, runner::RequestSlot>,
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Runs one repetition of a scenario, on empty caches.
///
/// # Errors
/// Why the scenario cannot be run.
pub(crate) fn measure(scenario: &Scenario, repeat: u64, has_store: bool) -> Result<Repeat, BenchmarkError> {
    let mut config = Config::default();
    config.l2.enabled = has_store;
    let mut runner = Runner::new(scenario.clone(), "", repeat)?;
    let mut host = Host {
        aggregator: Aggregator::new(config.clone()),
        service: Service::new(config, repeat),
        began: Clock::now(),
        epoch: now(),
        store: HashMap::new(),
        events: BTreeMap::new(),
        next_event: 0,
        requests: HashMap::new(),
    };
    loop {
        let due = match runner.next(host.clock()) {
            Next::Begin(request) => {
                host.begin(&mut runner, request);
                // New requests do not delay due events.
                host.run_due_events(&mut runner);
                continue;
            }
            Next::Wait(due) => due,
            Next::Done => return Ok(runner.finish()),
        };
        let next = host.events.keys().next().map(|(at, _)| *at);
        host.sleep_until(due.map(|due| due.0).into_iter().chain(next).min());
        host.run_due_events(&mut runner);
    }
}

impl Host {
    fn clock(&self) -> Micros {
        Micros(self.began.elapsed().as_micros() as u64)
    }

    /// The same time on the core's clock.
    fn now(&self) -> Timestamp {
        Timestamp(self.epoch + self.clock().0 / 1_000)
    }

    fn sleep_until(&self, at: Option<u64>) {
        let Some(until) = at.map(Duration::from_micros) else { return };
        let left = until.saturating_sub(self.began.elapsed());
        if left > WAKE_UP_DELAY {
            thread::sleep(left - WAKE_UP_DELAY);
        }
        while self.began.elapsed() < until {
            std::hint::spin_loop();
        }
    }

    fn begin(&mut self, runner: &mut Runner, request: runner::RequestSlot) {
        runner.begun(request, self.clock());
        let incoming = Incoming { method: "POST", path: "/v1/features", body: runner.body(), ..Incoming::default() };
        let transition = self.service.begin(incoming, self.now());
        if let Some(handle) = transition.handle {
            self.requests.insert(handle, request);
        }
        self.take(runner, Some(request), transition);
    }

    /// Runs all due events.
    fn run_due_events(&mut self, runner: &mut Runner) {
        while self.events.first_key_value().is_some_and(|((at, _), _)| *at <= self.clock().0) {
            let Some((_, event)) = self.events.pop_first() else { return };
            let now = self.now();
            let (handle, transition) = match event {
                Event::Completes(id, result) => (id.handle(), self.service.complete(id, result, now)),
                Event::OriginResponds(id, body) => {
                    let reply = self.service.synthesize(&body, now);
                    (id.handle(), self.service.complete(id, IoResult::Fetched(Ok(reply)), now))
                }
                Event::IngestsRecords(id) => {
                    let batch = self.service.take_records(now);
                    self.aggregator.ingest(&batch, now);
                    (id.handle(), self.service.complete(id, IoResult::Waited, now))
                }
                Event::Woken(handle) => (handle, self.service.wake(handle, now)),
            };
            let request = self.requests.get(&handle).copied();
            self.take(runner, request, transition);
        }
    }

    fn take(&mut self, runner: &mut Runner, request: Option<runner::RequestSlot>, transition: Transition) {
        let at = self.clock().0;
        for handle in transition.woken {
            self.schedule(at, Event::Woken(handle));
        }
        for effect in transition.effects {
            let timeout = effect.timeout_millis * 1_000;
            let id = effect.id;
            match effect.request {
                IoRequest::ReadStore { keys, .. } => {
                    let values = keys.iter().map(|key| self.store.get(key.as_str()).cloned()).collect();
                    self.schedule(at, Event::Completes(id, IoResult::Read(Ok(values))));
                }
                IoRequest::WriteStore { entries, .. } => {
                    self.store.extend(entries.into_iter().map(|(key, value)| (key.to_string(), value)));
                    self.schedule(at, Event::Completes(id, IoResult::Written(WriteOutcome::default())));
                }
                IoRequest::Synthesize { delay_millis, body } if delay_millis <= effect.timeout_millis => {
                    self.schedule(at + delay_millis * 1_000, Event::OriginResponds(id, body));
                }
                IoRequest::Synthesize { .. } => {
                    self.schedule(at + timeout, Event::Completes(id, IoResult::Fetched(Err(FetchFailure::TimedOut))));
                }
                // No other origin and no invalidation log are configured here.
                IoRequest::Fetch(_) => {
                    self.schedule(at, Event::Completes(id, IoResult::Fetched(Err(FetchFailure::Unreachable))))
                }
                IoRequest::Forward { .. } => self.schedule(at, Event::Completes(id, IoResult::Forwarded(Some(200)))),
                IoRequest::Log { .. } => self.schedule(at, Event::Completes(id, IoResult::Logged(None))),
                IoRequest::Records => self.schedule(at + timeout, Event::IngestsRecords(id)),
                IoRequest::Wait { .. } => self.schedule(at + timeout, Event::Completes(id, IoResult::Waited)),
            }
        }
        let (Some(Response::Reply(reply)), Some(request)) = (transition.response, request) else { return };
        let headers = reply.headers();
        let timing = headers.iter().find(|header| header.name == "server-timing");
        let timing = timing.map_or("", |header| &*header.value);
        runner.answered(request, reply.status(), timing, reply.body(), self.clock());
        self.requests.retain(|_, known| *known != request);
        self.service.recycle(reply);
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.next_event += 1;
        self.events.insert((at, self.next_event), event);
    }
}
