//! A host of the core in this very process, on the real clock: one thread, a store in memory, and the built-in origin.
//!
//! Performs what the core orders and decides nothing; like every host of the framework it is told what to ask when. Its invariant is
//! a host's: whatever was ordered has its outcome told.

use std::collections::{BTreeMap, HashMap};
use std::thread;
use std::time::{Duration, Instant as Clock, SystemTime, UNIX_EPOCH};

use aggregator::Aggregator;
use benchmark::report::Repeat;
use benchmark::runner::{self, Micros, Next, Runner};
use benchmark::scenario::{BenchmarkError, Scenario};
use config::Config;
use model::time::Timestamp;
use service::{
    EffectId, FetchFailure, Incoming, IoRequest, IoResult, RequestHandle, Response, Service, Transition, WriteOutcome,
};

/// Systems wake a thread late by about so much, so for the last of a wait this one does not sleep.
const LATENESS: Duration = Duration::from_micros(150);

/// What happens later.
enum Event {
    /// The outcome of an order is told.
    Done(EffectId, IoResult),
    /// The built-in origin answers.
    Answers(EffectId, Vec<u8>),
    /// Whoever watches takes what it is told.
    Watches(EffectId),
    /// A request is told by another that it may go on.
    Woken(RequestHandle),
}

/// What a repetition is measured with.
pub(crate) struct Host {
    service: Service,
    watch: Aggregator,
    began: Clock,
    /// The time at which it began, in milliseconds since 1970.
    epoch: u64,
    store: HashMap<String, Vec<u8>>,
    /// By when they happen, in microseconds since it began, and by the order in which they were found out.
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    /// The framework's names of the requests under way.
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
        watch: Aggregator::new(config.clone()),
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
                // What is due is not kept waiting by what begins.
                host.let_happen(&mut runner);
                continue;
            }
            Next::Wait(due) => due,
            Next::Done => return Ok(runner.finish()),
        };
        let next = host.events.keys().next().map(|(at, _)| *at);
        host.sleep_until(due.map(|due| due.0).into_iter().chain(next).min());
        host.let_happen(&mut runner);
    }
}

impl Host {
    fn clock(&self) -> Micros {
        Micros(self.began.elapsed().as_micros() as u64)
    }

    /// The same time as the core has it.
    fn now(&self) -> Timestamp {
        Timestamp(self.epoch + self.clock().0 / 1_000)
    }

    fn sleep_until(&self, at: Option<u64>) {
        let Some(until) = at.map(Duration::from_micros) else { return };
        let left = until.saturating_sub(self.began.elapsed());
        if left > LATENESS {
            thread::sleep(left - LATENESS);
        }
        while self.began.elapsed() < until {
            std::hint::spin_loop();
        }
    }

    fn begin(&mut self, runner: &mut Runner, request: runner::RequestSlot) {
        runner.begun(request, self.clock());
        let incoming = Incoming { method: "POST", path: "/v1/features", body: runner.body(), ..Incoming::default() };
        let step = self.service.begin(incoming, self.now());
        if let Some(ticket) = step.handle {
            self.requests.insert(ticket, request);
        }
        self.take(runner, Some(request), step);
    }

    /// Lets all happen that is due.
    fn let_happen(&mut self, runner: &mut Runner) {
        while self.events.first_key_value().is_some_and(|((at, _), _)| *at <= self.clock().0) {
            let Some((_, event)) = self.events.pop_first() else { return };
            let now = self.now();
            let (ticket, step) = match event {
                Event::Done(id, outcome) => (id.handle(), self.service.complete(id, outcome, now)),
                Event::Answers(id, body) => {
                    let reply = self.service.synthesize(&body, now);
                    (id.handle(), self.service.complete(id, IoResult::Fetched(Ok(reply)), now))
                }
                Event::Watches(id) => {
                    let batch = self.service.take_records(now);
                    self.watch.ingest(&batch, now);
                    (id.handle(), self.service.complete(id, IoResult::Waited, now))
                }
                Event::Woken(ticket) => (ticket, self.service.wake(ticket, now)),
            };
            let request = self.requests.get(&ticket).copied();
            self.take(runner, request, step);
        }
    }

    fn take(&mut self, runner: &mut Runner, request: Option<runner::RequestSlot>, step: Transition) {
        let at = self.clock().0;
        for ticket in step.woken {
            self.plan(at, Event::Woken(ticket));
        }
        for order in step.effects {
            let timeout = order.timeout_millis * 1_000;
            let id = order.id;
            match order.request {
                IoRequest::ReadStore { keys, .. } => {
                    let values = keys.iter().map(|key| self.store.get(key.as_str()).cloned()).collect();
                    self.plan(at, Event::Done(id, IoResult::Read(Ok(values))));
                }
                IoRequest::WriteStore { entries, .. } => {
                    self.store.extend(entries.into_iter().map(|(key, value)| (key.to_string(), value)));
                    self.plan(at, Event::Done(id, IoResult::Written(WriteOutcome::default())));
                }
                IoRequest::Synthesize { delay_millis, body } if delay_millis <= order.timeout_millis => {
                    self.plan(at + delay_millis * 1_000, Event::Answers(id, body));
                }
                IoRequest::Synthesize { .. } => {
                    self.plan(at + timeout, Event::Done(id, IoResult::Fetched(Err(FetchFailure::TimedOut))));
                }
                // No other origin is configured here, and neither is a ledger.
                IoRequest::Fetch(_) => {
                    self.plan(at, Event::Done(id, IoResult::Fetched(Err(FetchFailure::Unreachable))))
                }
                IoRequest::Forward { .. } => self.plan(at, Event::Done(id, IoResult::Forwarded(Some(200)))),
                IoRequest::Log { .. } => self.plan(at, Event::Done(id, IoResult::Logged(None))),
                IoRequest::Records => self.plan(at + timeout, Event::Watches(id)),
                IoRequest::Wait { .. } => self.plan(at + timeout, Event::Done(id, IoResult::Waited)),
            }
        }
        let (Some(Response::Reply(reply)), Some(request)) = (step.response, request) else { return };
        let headers = reply.headers();
        let timing = headers.iter().find(|header| header.name == "server-timing");
        let timing = timing.map_or("", |header| &*header.value);
        runner.answered(request, reply.status(), timing, reply.body(), self.clock());
        self.requests.retain(|_, known| *known != request);
        self.service.recycle(reply);
    }

    fn plan(&mut self, at: u64, event: Event) {
        self.next_event += 1;
        self.events.insert((at, self.next_event), event);
    }
}
