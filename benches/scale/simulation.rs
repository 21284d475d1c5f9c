//! The simulation: a clock, what happens next, and a host for each isolate that performs the core's orders.
//!
//! Refuses to know whether a value may be served or what is asked of whom: that is the core's. Invariant: each request that begins while
//! it counts is counted once by its end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use benchmark::random::Random;
use config::Config;
use model::time::Timestamp;
use service::{
    Effect, EffectId, Incoming, IoRequest, IoResult, OriginReply, ReadFailure, RequestHandle, Response, Service,
    Transition, WriteOutcome,
};

use crate::deployment::{Deployment, Kind};
use crate::figures::{Answered, Figures};
use crate::kv::Kv;
use crate::messages::{START, answer, answered, computed_at, write_request};
use crate::sample::{Chances, Key, Sample};

/// How long a read from a location's cache takes at the most, in milliseconds; KV's own part of any read.
const KV_HOT_MILLIS: u64 = 10;
/// The shortest round trip to the origin or to KV's central stores, in milliseconds.
const NEAREST_MILLIS: u64 = 5;
/// An isolate that is expected to get so many requests within its idle time never becomes idle: the chance is below e⁻²⁰.
const BUSY: f64 = 20.0;

/// A place.
#[derive(Debug)]
struct Location {
    /// The first of its isolates and how many there are at the most.
    isolates: (usize, u64),
    /// Whether its isolates get too much to become idle.
    is_busy: bool,
    kv_millis: u64,
    origin_millis: u64,
}

/// An isolate, or where the next one may begin.
#[derive(Debug)]
struct Isolate {
    location: u16,
    service: Option<Service>,
    /// Which isolate of this place it is: what was planned for an earlier one does not happen.
    generation: u32,
    ends_at: u64,
    asked_at: u64,
    /// How many orders are under way that keep it alive.
    orders: u32,
    requests: HashMap<u64, Asked>,
}

/// A request under way, be it behind its reply.
#[derive(Clone, Copy, Debug)]
struct Asked {
    key: usize,
    began: u64,
    orders: u32,
    has_ended: bool,
}

#[derive(Debug)]
enum What {
    Done(EffectId, IoResult),
    Woken(RequestHandle),
}

/// Something that will happen.
#[derive(Debug)]
struct Event {
    isolate: usize,
    generation: u32,
    /// Whether the isolate lives until then.
    keeps_alive: bool,
    what: What,
}

/// Simulates `deployment` under so many requests a second.
#[must_use]
pub fn simulate(deployment: &Deployment, kind: Kind, rate: f64, seed: u64) -> Figures {
    let Deployment { population, exponent, sampled_rate, .. } = *deployment;
    let sample = Sample::within(population, exponent, rate, sampled_rate);
    Simulation::new(deployment, kind, rate, &sample, seed).run()
}

#[derive(Debug)]
struct Simulation<'d> {
    deployment: &'d Deployment,
    kind: Kind,
    sample: &'d Sample,
    config: Config,
    /// How many requests are simulated in a millisecond.
    rate: f64,
    random: Random,
    now: u64,
    counts_from: u64,
    ends_at: u64,
    shares: Chances,
    locations: Vec<Location>,
    isolates: Vec<Isolate>,
    kv: Kv,
    /// The entities' numbers by their keys in KV.
    numbers: HashMap<u128, usize>,
    /// When something happens, in the order in which it was found out, and where of `events`.
    agenda: BinaryHeap<Reverse<(u64, u64, usize)>>,
    planned: u64,
    events: Vec<Option<Event>>,
    free: Vec<usize>,
    /// Requests without an end.
    waiting: u64,
    body: String,
    figures: Figures,
}

impl<'d> Simulation<'d> {
    fn new(deployment: &'d Deployment, kind: Kind, rate: f64, sample: &'d Sample, seed: u64) -> Simulation<'d> {
        let mut random = Random::new(seed);
        let shares = Chances::new((0..deployment.locations).map(|rank| 1.0 / f64::from(rank + 1)).collect());
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
                asked_at: 0,
                orders: 0,
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
            agenda: BinaryHeap::new(),
            planned: 0,
            events: Vec::new(),
            free: Vec::new(),
            waiting: 0,
            body: String::new(),
            figures: Figures { millis: (measured * 1_000.0) as u64, ..Figures::default() },
        }
    }

    fn run(mut self) -> Figures {
        let mut next = START as f64;
        loop {
            next += exponential(&mut self.random, 1.0 / self.rate);
            let at = next as u64;
            while self.happen(at) {}
            if at >= self.ends_at {
                break;
            }
            self.now = at;
            self.arrive();
        }
        self.figures.isolates = self.isolates.iter().filter(|isolate| isolate.service.is_some()).count() as u64;
        while self.waiting > 0 && self.happen(u64::MAX) {}
        self.figures
    }

    /// Whether what is done now counts.
    fn counts(&self) -> bool {
        (self.counts_from..self.ends_at).contains(&self.now)
    }

    /// Lets the next thing happen, if it does by then.
    fn happen(&mut self, until: u64) -> bool {
        let Some(&Reverse((at, _, place))) = self.agenda.peek().filter(|Reverse((at, ..))| *at <= until) else {
            return false;
        };
        self.agenda.pop();
        self.free.push(place);
        self.now = self.now.max(at);
        let Some(event) = self.events.get_mut(place).and_then(Option::take) else { return true };
        let Event { isolate: number, generation, keeps_alive, what } = event;
        let Some(isolate) = self.isolates.get_mut(number).filter(|isolate| isolate.generation == generation) else {
            return true;
        };
        let Some(service) = isolate.service.as_mut() else { return true };
        isolate.orders -= u32::from(keeps_alive);
        let (ticket, step) = match what {
            What::Done(id, outcome) => (id.handle(), service.complete(id, outcome, Timestamp(self.now))),
            What::Woken(ticket) => (ticket, service.wake(ticket, Timestamp(self.now))),
        };
        let Some(asked) = isolate.requests.get_mut(&ticket.number()) else { return true };
        asked.orders -= 1;
        let asked = *asked;
        self.take(number, asked, Some(ticket), step);
        true
    }

    /// Notes whether a request has ended, and forgets it once nothing is left of it to do.
    fn settle(&mut self, number: usize, ticket: RequestHandle, has_ended: bool) {
        let Some(isolate) = self.isolates.get_mut(number) else { return };
        let Some(asked) = isolate.requests.get_mut(&ticket.number()) else { return };
        asked.has_ended |= has_ended;
        if asked.has_ended && asked.orders == 0 {
            isolate.requests.remove(&ticket.number());
        }
    }

    /// From when on an entity is asked for: its own time within as long as rows are fresh. Else all rows would come at once in the
    /// beginning, and be due at once ever after.
    fn asked_from(&self, entity: u32) -> u64 {
        START + Random::new(u64::from(entity)).below(self.deployment.ttl_seconds * 1_000 + 1)
    }

    /// A request comes.
    fn arrive(&mut self) {
        let key = self.sample.draw(&mut self.random);
        let place = self.shares.draw(&mut self.random);
        let Some(location) = self.locations.get(place) else { return };
        let (first, count) = location.isolates;
        let (is_busy, origin_millis) = (location.is_busy, location.origin_millis);
        let number = first + self.random.below(count) as usize;
        let Key { entity, weight } = self.sample.key(key);
        if self.now < self.asked_from(entity) {
            return;
        }
        let counts = self.counts();
        if counts {
            self.figures.requests += u64::from(weight);
            self.figures.simulated += 1;
        }
        if self.kind == Kind::Direct {
            if counts {
                let takes = origin_millis + self.deployment.origin_works_millis;
                self.figures.calls += u64::from(weight);
                self.figures.end(Answered::Origin, Some(origin_millis / 2), takes, weight);
            }
            return;
        }
        let life = exponential(&mut self.random, self.deployment.isolate_life_seconds * 1_000.0);
        let seed = self.random.bits();
        let Some(isolate) = self.isolates.get_mut(number) else { return };
        let idle = (self.deployment.isolate_idle_seconds * 1_000.0) as u64;
        let is_over = self.now >= isolate.ends_at || !is_busy && self.now - isolate.asked_at >= idle;
        if isolate.service.is_none() || is_over && isolate.orders == 0 {
            isolate.service = Some(Service::new(self.config.clone(), seed));
            isolate.generation += 1;
            isolate.ends_at = self.now + life as u64;
            isolate.requests.clear();
            self.figures.started += u64::from(counts);
        }
        isolate.asked_at = self.now;
        write_request(&mut self.body, entity);
        let incoming = Incoming {
            method: "POST",
            path: "/get-online-features",
            body: self.body.as_bytes(),
            ..Incoming::default()
        };
        let Some(service) = isolate.service.as_mut() else { return };
        let step = service.begin(incoming, Timestamp(self.now));
        let asked = Asked { key, began: self.now, orders: 0, has_ended: false };
        self.waiting += 1;
        if let Some(ticket) = step.handle {
            isolate.requests.insert(ticket.number(), asked);
        }
        self.take(number, asked, step.handle, step);
    }

    /// Does what a step of a request says, which has a ticket unless it ended in the call that began it.
    fn take(&mut self, number: usize, asked: Asked, ticket: Option<RequestHandle>, step: Transition) {
        for order in step.effects {
            self.perform(number, asked, order);
        }
        for ticket in step.woken {
            if let Some(woken) = self.isolates.get_mut(number).and_then(|it| it.requests.get_mut(&ticket.number())) {
                woken.orders += 1;
                self.plan(number, self.now, false, What::Woken(ticket));
            }
        }
        let is_reply = step.response.is_some();
        if let Some(ticket) = ticket {
            self.settle(number, ticket, is_reply);
        }
        let Some(end) = step.response else { return };
        self.waiting -= 1;
        let counts = (self.counts_from..self.ends_at).contains(&asked.began);
        let weight = self.sample.key(asked.key).weight;
        let took = self.now - asked.began;
        let Response::Reply(reply) = end else {
            if counts {
                self.figures.end(Answered::Nobody, None, took, weight);
            }
            return;
        };
        if counts {
            let (by, is_stale) = answered(&reply);
            let age = computed_at(&reply).map(|at| self.now.saturating_sub(at));
            self.figures.end(if age.is_some() { by } else { Answered::Nobody }, age, took, weight);
            self.figures.stale += if is_stale { u64::from(weight) } else { 0 };
        }
        if let Some(service) = self.isolates.get_mut(number).and_then(|isolate| isolate.service.as_mut()) {
            service.recycle(reply);
        }
    }

    fn plan(&mut self, isolate: usize, at: u64, keeps_alive: bool, what: What) {
        let Some(of) = self.isolates.get_mut(isolate) else { return };
        of.orders += u32::from(keeps_alive);
        let event = Some(Event { isolate, generation: of.generation, keeps_alive, what });
        let place = self.free.pop().unwrap_or(self.events.len());
        match self.events.get_mut(place) {
            Some(free) => *free = event,
            None => self.events.push(event),
        }
        self.planned += 1;
        self.agenda.push(Reverse((at, self.planned, place)));
    }

    /// Does at once what an order says, and plans when its outcome is told.
    fn perform(&mut self, number: usize, asked: Asked, order: Effect) {
        let Effect { id, request: task, timeout_millis } = order;
        let Some(isolate) = self.isolates.get_mut(number) else { return };
        let place = isolate.location;
        // What is ordered behind a request goes by a name of its own.
        let behind = Asked { orders: 0, has_ended: true, ..asked };
        isolate.requests.entry(id.handle().number()).or_insert(behind).orders += 1;
        let Some(&Location { kv_millis, origin_millis, .. }) = self.locations.get(usize::from(place)) else { return };
        let counts = self.counts();
        let weight = u64::from(self.sample.key(asked.key).weight);
        let (takes, outcome) = match task {
            IoRequest::ReadStore { keys, .. } => {
                let mut takes = 0;
                let mut values = Vec::with_capacity(keys.len());
                for key in &keys {
                    let key = self.number_of(key.as_str(), asked.key);
                    let read = self.kv.read(place, key, self.now);
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
                    let key = self.number_of(key.as_str(), asked.key);
                    let delay = (self.random.unit() * self.deployment.kv_delay_seconds * 1_000.0) as u64;
                    let is_taken = self.kv.write(place, key, value, ttl_seconds * 1_000, delay, self.now);
                    failed += usize::from(!is_taken);
                    if counts {
                        let weight = u64::from(self.sample.key(key as usize).weight);
                        self.figures.writes += weight;
                        self.figures.refused += if is_taken { 0 } else { weight };
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
                return self.plan(
                    number,
                    self.now + timeout_millis,
                    outlives_request,
                    What::Done(id, IoResult::Waited),
                );
            }
            _ => (0, IoResult::Waited),
        };
        let (takes, outcome) = match outcome {
            IoResult::Read(_) if takes > timeout_millis => (timeout_millis, IoResult::Read(Err(ReadFailure::Failed))),
            outcome => (takes, outcome),
        };
        self.plan(number, self.now + takes, true, What::Done(id, outcome));
    }

    /// The number of the entity whose row a key of KV's is. A request is for one, so that a key which was not seen yet is that one's.
    fn number_of(&mut self, key: &str, asked: usize) -> u32 {
        let digits = key.rsplit(':').next().unwrap_or(key);
        let name = u128::from_str_radix(digits, 16).unwrap_or_default();
        *self.numbers.entry(name).or_insert(asked) as u32
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
