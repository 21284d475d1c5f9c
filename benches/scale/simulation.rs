//! The simulation: a virtual clock, a queue of events, and a host for each isolate that performs the core's effects.
//!
//! It decides neither whether a value may be served nor which tier is read: the core does. Invariant: each request that begins in the
//! measured time is counted once at its end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use benchmark::random::Random;
use config::Config;
use model::time::Timestamp;
use service::{
    Effect, EffectId, Incoming, IoRequest, IoResult, OriginReply, ReadFailure, RequestHandle, Response, Service,
    Transition, WriteOutcome,
};

use crate::deployment::{Deployment, DeploymentKind};
use crate::figures::{Figures, ServedBy};
use crate::kv::Kv;
use crate::messages::{START, answer, computed_at, served_by, write_request};
use crate::sample::{Key, Sample, WeightedChoice};

/// How long a read from a location's cache takes at the most, in milliseconds; KV's own part of any read.
const KV_HOT_MILLIS: u64 = 10;
/// The shortest round trip to the origin or to KV's central stores, in milliseconds.
const NEAREST_MILLIS: u64 = 5;
/// An isolate that is expected to get so many requests within its idle time never becomes idle: the chance is below e⁻²⁰.
const BUSY: f64 = 20.0;

/// A location.
#[derive(Debug)]
struct Location {
    /// The index of its first isolate, and the most isolates.
    isolates: (usize, u64),
    /// Whether its isolates get too many requests to become idle.
    is_busy: bool,
    kv_millis: u64,
    origin_millis: u64,
}

/// An isolate, or room for one.
#[derive(Debug)]
struct Isolate {
    location: u16,
    service: Option<Service>,
    /// Counts the isolates that were here: events of an earlier one are dropped.
    generation: u32,
    ends_at: u64,
    last_request_at: u64,
    /// Pending effects that keep it alive.
    pending_effects: u32,
    requests: HashMap<u64, RequestState>,
}

/// A pending request, or its effects in the background.
#[derive(Clone, Copy, Debug)]
struct RequestState {
    key: usize,
    began: u64,
    pending_effects: u32,
    has_ended: bool,
}

#[derive(Debug)]
enum EventKind {
    Done(EffectId, IoResult),
    Woken(RequestHandle),
}

/// A scheduled event.
#[derive(Debug)]
struct Event {
    isolate: usize,
    generation: u32,
    /// Whether the isolate lives until then.
    keeps_alive: bool,
    kind: EventKind,
}

/// Simulates `deployment` under so many requests a second.
#[must_use]
pub fn simulate(deployment: &Deployment, kind: DeploymentKind, rate: f64, seed: u64) -> Figures {
    let Deployment { population, exponent, sampled_rate, .. } = *deployment;
    let sample = Sample::within(population, exponent, rate, sampled_rate);
    Simulation::new(deployment, kind, rate, &sample, seed).run()
}

#[derive(Debug)]
struct Simulation<'d> {
    deployment: &'d Deployment,
    kind: DeploymentKind,
    sample: &'d Sample,
    config: Config,
    /// How many requests are simulated in a millisecond.
    rate: f64,
    random: Random,
    now: u64,
    counts_from: u64,
    ends_at: u64,
    shares: WeightedChoice,
    locations: Vec<Location>,
    isolates: Vec<Isolate>,
    kv: Kv,
    /// The entities' numbers by their keys in KV.
    numbers: HashMap<u128, usize>,
    /// Times of events, their sequence numbers, and their slots in `events`.
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    scheduled: u64,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    /// Requests without an end.
    pending: u64,
    body: String,
    figures: Figures,
}

impl<'d> Simulation<'d> {
    fn new(
        deployment: &'d Deployment,
        kind: DeploymentKind,
        rate: f64,
        sample: &'d Sample,
        seed: u64,
    ) -> Simulation<'d> {
        let mut random = Random::new(seed);
        let shares = WeightedChoice::new((0..deployment.locations).map(|rank| 1.0 / f64::from(rank + 1)).collect());
        let (mut locations, mut isolates) = (Vec::new(), Vec::new());
        for number in 0..deployment.locations {
            let requests = rate * shares.of(usize::from(number));
            let count = (requests / deployment.isolate_rate).ceil().max(1.0);
            locations.push(Location {
                isolates: (isolates.len(), count as u64),
                is_busy: requests / count * deployment.isolate_idle_seconds > BUSY,
                kv_millis: millis(&mut random, NEAREST_MILLIS, deployment.kv_millis),
                origin_millis: millis(&mut random, NEAREST_MILLIS, deployment.origin_millis),
            });
            isolates.extend((0..count as u64).map(|_| Isolate {
                location: number,
                service: None,
                generation: 0,
                ends_at: 0,
                last_request_at: 0,
                pending_effects: 0,
                requests: HashMap::new(),
            }));
        }
        let counts_from = START + (deployment.warm_seconds * 1_000.0) as u64;
        let measured = deployment.measured_seconds.max(deployment.measured_requests / (rate * sample.share));
        let room = sample.room(Config::default().l1.max_entries);
        Simulation {
            deployment,
            kind,
            sample,
            config: deployment.config(kind, room),
            rate: rate * sample.share / 1_000.0,
            random,
            now: START,
            counts_from,
            ends_at: counts_from + (measured * 1_000.0) as u64,
            shares,
            locations,
            isolates,
            kv: Kv::new((deployment.kv_cache_seconds * 1_000.0) as u64),
            numbers: HashMap::new(),
            queue: BinaryHeap::new(),
            scheduled: 0,
            events: Vec::new(),
            free: Vec::new(),
            pending: 0,
            body: String::new(),
            figures: Figures { millis: (measured * 1_000.0) as u64, ..Figures::default() },
        }
    }

    fn run(mut self) -> Figures {
        let mut next = START as f64;
        loop {
            next += exponential(&mut self.random, 1.0 / self.rate);
            let at = next as u64;
            while self.run_next_event(at) {}
            if at >= self.ends_at {
                break;
            }
            self.now = at;
            self.begin_request();
        }
        self.figures.isolates = self.isolates.iter().filter(|isolate| isolate.service.is_some()).count() as u64;
        while self.pending > 0 && self.run_next_event(u64::MAX) {}
        self.figures
    }

    /// Whether the present time is measured.
    fn counts(&self) -> bool {
        (self.counts_from..self.ends_at).contains(&self.now)
    }

    /// Runs the next event, if it is due by `until`.
    fn run_next_event(&mut self, until: u64) -> bool {
        let Some(&Reverse((at, _, slot))) = self.queue.peek().filter(|Reverse((at, ..))| *at <= until) else {
            return false;
        };
        self.queue.pop();
        self.free.push(slot);
        self.now = self.now.max(at);
        let Some(event) = self.events.get_mut(slot).and_then(Option::take) else { return true };
        let Event { isolate: number, generation, keeps_alive, kind } = event;
        let Some(isolate) = self.isolates.get_mut(number).filter(|isolate| isolate.generation == generation) else {
            return true;
        };
        let Some(service) = isolate.service.as_mut() else { return true };
        isolate.pending_effects -= u32::from(keeps_alive);
        let (handle, transition) = match kind {
            EventKind::Done(id, outcome) => (id.handle(), service.complete(id, outcome, Timestamp(self.now))),
            EventKind::Woken(handle) => (handle, service.wake(handle, Timestamp(self.now))),
        };
        let Some(state) = isolate.requests.get_mut(&handle.number()) else { return true };
        state.pending_effects -= 1;
        let state = *state;
        self.apply(number, state, Some(handle), transition);
        true
    }

    /// Records whether a request has ended, and forgets it once it has no pending effects.
    fn finish(&mut self, number: usize, handle: RequestHandle, has_ended: bool) {
        let Some(isolate) = self.isolates.get_mut(number) else { return };
        let Some(state) = isolate.requests.get_mut(&handle.number()) else { return };
        state.has_ended |= has_ended;
        if state.has_ended && state.pending_effects == 0 {
            isolate.requests.remove(&handle.number());
        }
    }

    /// When an entity is first requested: a random time within the TTL. Otherwise all rows would be fetched at the start, and expire
    /// together ever after.
    fn first_request_at(&self, entity: u32) -> u64 {
        START + Random::new(u64::from(entity)).below(self.deployment.ttl_seconds * 1_000 + 1)
    }

    /// Begins a request.
    fn begin_request(&mut self) {
        let key = self.sample.draw(&mut self.random);
        let location = self.shares.draw(&mut self.random);
        let Some(location) = self.locations.get(location) else { return };
        let (first, count) = location.isolates;
        let (is_busy, origin_millis) = (location.is_busy, location.origin_millis);
        let number = first + self.random.below(count) as usize;
        let Key { entity, weight } = self.sample.key(key);
        if self.now < self.first_request_at(entity) {
            return;
        }
        let counts = self.counts();
        if counts {
            self.figures.requests += u64::from(weight);
            self.figures.simulated += 1;
        }
        if self.kind == DeploymentKind::Direct {
            if counts {
                let takes = origin_millis + self.deployment.origin_works_millis;
                self.figures.calls += u64::from(weight);
                self.figures.end(ServedBy::Origin, Some(origin_millis / 2), takes, weight);
            }
            return;
        }
        let life = exponential(&mut self.random, self.deployment.isolate_life_seconds * 1_000.0);
        let seed = self.random.bits();
        let Some(isolate) = self.isolates.get_mut(number) else { return };
        let idle = (self.deployment.isolate_idle_seconds * 1_000.0) as u64;
        let is_over = self.now >= isolate.ends_at || !is_busy && self.now - isolate.last_request_at >= idle;
        if isolate.service.is_none() || is_over && isolate.pending_effects == 0 {
            isolate.service = Some(Service::new(self.config.clone(), seed));
            isolate.generation += 1;
            isolate.ends_at = self.now + life as u64;
            isolate.requests.clear();
            self.figures.started += u64::from(counts);
        }
        isolate.last_request_at = self.now;
        write_request(&mut self.body, entity);
        let incoming = Incoming {
            method: "POST",
            path: "/get-online-features",
            body: self.body.as_bytes(),
            ..Incoming::default()
        };
        let Some(service) = isolate.service.as_mut() else { return };
        let transition = service.begin(incoming, Timestamp(self.now));
        let state = RequestState { key, began: self.now, pending_effects: 0, has_ended: false };
        self.pending += 1;
        if let Some(handle) = transition.handle {
            isolate.requests.insert(handle.number(), state);
        }
        self.apply(number, state, transition.handle, transition);
    }

    /// Applies a transition of a request, which has a handle unless it ended in the call that began it.
    fn apply(&mut self, number: usize, state: RequestState, handle: Option<RequestHandle>, transition: Transition) {
        for effect in transition.effects {
            self.perform(number, state, effect);
        }
        for handle in transition.woken {
            if let Some(woken) = self.isolates.get_mut(number).and_then(|it| it.requests.get_mut(&handle.number())) {
                woken.pending_effects += 1;
                self.schedule(number, self.now, false, EventKind::Woken(handle));
            }
        }
        let is_reply = transition.response.is_some();
        if let Some(handle) = handle {
            self.finish(number, handle, is_reply);
        }
        let Some(end) = transition.response else { return };
        self.pending -= 1;
        let counts = (self.counts_from..self.ends_at).contains(&state.began);
        let weight = self.sample.key(state.key).weight;
        let took = self.now - state.began;
        let Response::Reply(reply) = end else {
            if counts {
                self.figures.end(ServedBy::None, None, took, weight);
            }
            return;
        };
        if counts {
            let (by, is_stale) = served_by(&reply);
            let age = computed_at(&reply).map(|at| self.now.saturating_sub(at));
            self.figures.end(if age.is_some() { by } else { ServedBy::None }, age, took, weight);
            self.figures.stale += if is_stale { u64::from(weight) } else { 0 };
        }
        if let Some(service) = self.isolates.get_mut(number).and_then(|isolate| isolate.service.as_mut()) {
            service.recycle(reply);
        }
    }

    fn schedule(&mut self, isolate: usize, at: u64, keeps_alive: bool, kind: EventKind) {
        let Some(of) = self.isolates.get_mut(isolate) else { return };
        of.pending_effects += u32::from(keeps_alive);
        let event = Some(Event { isolate, generation: of.generation, keeps_alive, kind });
        let slot = self.free.pop().unwrap_or(self.events.len());
        match self.events.get_mut(slot) {
            Some(free) => *free = event,
            None => self.events.push(event),
        }
        self.scheduled += 1;
        self.queue.push(Reverse((at, self.scheduled, slot)));
    }

    /// Performs an effect at once, and schedules its result.
    fn perform(&mut self, number: usize, state: RequestState, effect: Effect) {
        let Effect { id, request: task, timeout_millis } = effect;
        let Some(isolate) = self.isolates.get_mut(number) else { return };
        let location = isolate.location;
        // Effects in the background have a handle of their own.
        let background = RequestState { pending_effects: 0, has_ended: true, ..state };
        isolate.requests.entry(id.handle().number()).or_insert(background).pending_effects += 1;
        let Some(&Location { kv_millis, origin_millis, .. }) = self.locations.get(usize::from(location)) else {
            return;
        };
        let counts = self.counts();
        let weight = u64::from(self.sample.key(state.key).weight);
        let (takes, outcome) = match task {
            IoRequest::ReadStore { keys, .. } => {
                let mut takes = 0;
                let mut values = Vec::with_capacity(keys.len());
                for key in &keys {
                    let key = self.entity_of(key.as_str(), state.key);
                    let read = self.kv.read(location, key, self.now);
                    let millis = millis(&mut self.random, 1, KV_HOT_MILLIS) + if read.is_hot { 0 } else { kv_millis };
                    takes = takes.max(millis);
                    values.push(read.value.map(|value| value.to_vec()));
                    if counts {
                        let weight = u64::from(self.sample.key(key as usize).weight);
                        self.figures.reads += weight;
                        self.figures.hot_reads += if read.is_hot { weight } else { 0 };
                    }
                }
                (takes, IoResult::Read(Ok(values)))
            }
            IoRequest::WriteStore { entries, ttl_seconds, .. } => {
                let mut failed = 0;
                for (key, value) in entries {
                    let key = self.entity_of(key.as_str(), state.key);
                    let delay = (self.random.unit() * self.deployment.kv_delay_seconds * 1_000.0) as u64;
                    let is_accepted = self.kv.write(location, key, value, ttl_seconds * 1_000, delay, self.now);
                    failed += usize::from(!is_accepted);
                    if counts {
                        let weight = u64::from(self.sample.key(key as usize).weight);
                        self.figures.writes += weight;
                        self.figures.rejected_writes += if is_accepted { 0 } else { weight };
                    }
                }
                (kv_millis + KV_HOT_MILLIS, IoResult::Written(WriteOutcome::failed(failed)))
            }
            IoRequest::Fetch(request) => {
                self.figures.calls += if counts { weight } else { 0 };
                let takes = origin_millis + self.deployment.origin_works_millis;
                let body = answer(&request.body, self.now + takes - origin_millis / 2);
                let content_type = Some("application/json".to_owned());
                (takes, IoResult::Fetched(Ok(OriginReply { status: 200, content_type, body })))
            }
            IoRequest::Wait { outlives_request } => {
                return self.schedule(
                    number,
                    self.now + timeout_millis,
                    outlives_request,
                    EventKind::Done(id, IoResult::Waited),
                );
            }
            _ => (0, IoResult::Waited),
        };
        let (takes, outcome) = match outcome {
            IoResult::Read(_) if takes > timeout_millis => (timeout_millis, IoResult::Read(Err(ReadFailure::Failed))),
            outcome => (takes, outcome),
        };
        self.schedule(number, self.now + takes, true, EventKind::Done(id, outcome));
    }

    /// The entity of a key in KV. A request is for one entity, so a new key is that entity's.
    fn entity_of(&mut self, key: &str, state: usize) -> u32 {
        let digits = key.rsplit(':').next().unwrap_or(key);
        let name = u128::from_str_radix(digits, 16).unwrap_or_default();
        *self.numbers.entry(name).or_insert(state) as u32
    }
}

/// A number of milliseconds from `least` to `most`, each alike.
fn millis(random: &mut Random, least: u64, most: u64) -> u64 {
    least + random.below(most.saturating_sub(least) + 1)
}

/// Source: the inverse of the exponential distribution.
fn exponential(random: &mut Random, mean: f64) -> f64 {
    -mean * (-random.unit()).ln_1p()
}
