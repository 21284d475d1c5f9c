//! Prefetch beside two published methods and beside none, on three streams of requests.
//!
//! `cargo bench --bench prefetch` prints a table. Each stream goes through an L1 of least recent use with a time to live, in
//! virtual time: a hit takes no time, a miss 12 ms, and a prefetched row arrives after 12 ms. The patterns and the governor are the
//! product's; the plain Markov successor and the probability graph are implemented here, without bounds. They have no governor, so their
//! threshold is the lowest at which they are as precise as ours.

#![allow(missing_docs, reason = "a program")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "a measurement may stop, and prints")]

use std::collections::{HashMap, VecDeque};

use model::request::Cohort;
use model::shape::{RequestShape, fingerprint, short_fingerprint};
use model::time::Timestamp;
use prefetch::governor::{CostModel, Governor, GovernorSettings, NanodollarPrices, PrefetchDecision};
use prefetch::outstanding::Operations;
use prefetch::patterns::{self, Entity, Patterns, Prediction, is_of};

const MISS_MILLIS: u64 = 12;
const TTL_MILLIS: u64 = 300_000;

/// A request for one entity in one shape.
#[derive(Clone, Copy)]
struct Request {
    session: u64,
    shape: u32,
    entity: u32,
    at: u64,
}

type Row = (u32, u32);

/// SplitMix64, as the engine has it.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// The lower the likelier, by a law of powers.
    fn popular(&mut self, bound: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((bound as f64).powf(unit) - 1.0) as u64
    }
}

/// Fifty sessions at a time. Each follows one of 2,000 journeys of eight entities, the popular ones more often; one step in seven goes
/// elsewhere. Of each entity shape 0 is asked for, in nine of ten cases shape 1 next, and in six of ten shape 2.
fn journeys() -> Vec<Request> {
    let mut random = Random(1);
    let mut requests = Vec::new();
    let mut now = 0;
    let mut sessions: Vec<(u64, VecDeque<Row>)> = (0..50).map(|number| (number, VecDeque::new())).collect();
    let mut next_session = 50;
    while requests.len() < 300_000 {
        now += 20;
        let index = random.below(50) as usize;
        if sessions[index].1.is_empty() {
            let journey = random.popular(2_000) as u32;
            let mut steps = VecDeque::new();
            for step in 0..8 {
                let strays = random.below(7) == 0;
                let entity = if strays { random.below(50_000) as u32 } else { journey * 8 + step };
                steps.push_back((0, entity));
                if random.below(10) < 9 {
                    steps.push_back((1, entity));
                }
                if random.below(10) < 6 {
                    steps.push_back((2, entity));
                }
            }
            sessions[index] = (next_session, steps);
            next_session += 1;
        }
        let (session, steps) = &mut sessions[index];
        if let Some((shape, entity)) = steps.pop_front() {
            requests.push(Request { session: *session, shape, entity, at: now });
        }
    }
    requests
}

/// The same sessions without any order: each request for any shape of any entity, the popular ones more often.
fn disorder() -> Vec<Request> {
    let mut random = Random(2);
    let mut request = |number: u64| Request {
        session: number / 800 * 50 + random.below(50),
        shape: random.below(3) as u32,
        entity: random.popular(50_000) as u32,
        at: number * 20,
    };
    (0..300_000).map(&mut request).collect()
}

/// The first accesses of the OLTP trace of ARC (Megiddo and Modha, FAST 2003), one stream of blocks of a database: each block an entity,
/// 50 ms apart. Sessions are not told there, so it is one.
fn blocks() -> Vec<Request> {
    let mut requests = Vec::new();
    let (mut number, mut shift) = (0_u32, 0);
    for &byte in include_bytes!("oltp.bin") {
        number |= u32::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            requests.push(Request { session: 1, shape: 0, entity: number, at: requests.len() as u64 * 50 });
            (number, shift) = (0, 0);
        }
    }
    requests
}

/// A method of prediction.
trait Method {
    /// Observes a request, and returns the rows to prefetch.
    fn observe(&mut self, request: &Request, is_hit: bool) -> Vec<Row>;
    /// A row is prefetched.
    fn on_fetch(&mut self, _row: Row, _at: u64) {}
}

struct NoPrefetch;

impl Method for NoPrefetch {
    fn observe(&mut self, _: &Request, _: bool) -> Vec<Row> {
        Vec::new()
    }
}

/// A window of 1 is the plain Markov successor; a longer one the probability graph of Griffioen and Appleton.
struct Graph {
    window: usize,
    threshold: f64,
    seen: HashMap<Row, (u32, HashMap<Row, u32>)>,
    recent: HashMap<u64, VecDeque<Row>>,
}

impl Graph {
    fn new(window: usize, threshold: f64) -> Graph {
        Graph { window, threshold, seen: HashMap::new(), recent: HashMap::new() }
    }
}

impl Method for Graph {
    fn observe(&mut self, request: &Request, _: bool) -> Vec<Row> {
        let row = (request.shape, request.entity);
        let recent = self.recent.entry(request.session).or_default();
        for before in recent.iter() {
            *self.seen.entry(*before).or_default().1.entry(row).or_default() += 1;
        }
        recent.push_front(row);
        recent.truncate(self.window);
        let (count, next) = self.seen.entry(row).or_default();
        let all = f64::from(*count);
        *count += 1;
        let mut found: Vec<(Row, f64)> = next.iter().map(|(&to, &count)| (to, f64::from(count) / all)).collect();
        found.retain(|&(_, share)| share >= self.threshold);
        found.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
        found.truncate(5);
        found.into_iter().map(|(to, _)| to).collect()
    }
}

/// The product's.
struct Featheredge {
    patterns: Patterns,
    governor: Governor,
    shapes: Vec<RequestShape>,
    by_row: HashMap<Row, Prediction>,
}

fn hash(row: Row) -> u64 {
    fingerprint(&row.1.to_le_bytes(), u64::from(row.0) + 77)
}

fn name(entity: u32) -> u32 {
    short_fingerprint(fingerprint(&entity.to_le_bytes(), 0))
}

impl Featheredge {
    fn new() -> Featheredge {
        let shape = |number: u32| RequestShape {
            name: short_fingerprint(fingerprint(&number.to_le_bytes(), 5)),
            columns: 1,
            features: vec![number],
            key_views: vec![0],
        };
        Featheredge {
            patterns: Patterns::new(patterns::TrainingSettings {
                memory_bytes: 2 << 20,
                half_life_millis: 3_600_000,
                predictions: 5,
                related: 3,
            }),
            governor: Governor::new(GovernorSettings {
                max_rows_per_second: 100,
                min_precision_permille: 500,
                holdout_permille: 0,
                cooldown_millis: 60_000,
                prices: NanodollarPrices { read: 500, write: 5_000, call: 300, millisecond: 1_000 },
            }),
            shapes: (0..3).map(shape).collect(),
            by_row: HashMap::new(),
        }
    }
}

impl Method for Featheredge {
    fn observe(&mut self, request: &Request, is_hit: bool) -> Vec<Row> {
        let now = Timestamp(request.at + 1_000_000_000_000);
        self.governor.record_lookups(Cohort::Prefetch, 1, u64::from(!is_hit));
        self.governor.record_request(hash((request.shape, request.entity)), is_hit, now);
        let key = request.entity.to_le_bytes();
        let entities = [Entity { name: name(request.entity), key: &key }];
        let shape = &self.shapes[request.shape as usize];
        let session = fingerprint(&request.session.to_le_bytes(), 3);
        self.patterns.observe(session, shape, &entities, now);
        let mut rows = Vec::new();
        let cost_model = CostModel { miss_micros: MISS_MILLIS * 1_000, cost: 5_800 };
        for prediction in self.patterns.predict(shape, &entities).as_slice() {
            let is_allowed = matches!(
                self.governor.decide(prediction, cost_model, now),
                PrefetchDecision::Prefetch | PrefetchDecision::Probe
            );
            let Some(key) = self.patterns.key(prediction.entity).filter(|_| is_allowed) else { continue };
            let entity = u32::from_le_bytes(key.try_into().unwrap_or_default());
            let shape = self.shapes.iter().position(|shape| is_of(prediction.shape, shape.name)).unwrap_or_default();
            self.by_row.insert((shape as u32, entity), *prediction);
            rows.push((shape as u32, entity));
        }
        rows
    }

    fn on_fetch(&mut self, row: Row, at: u64) {
        let now = Timestamp(at + 1_000_000_000_000);
        let prediction = self.by_row[&row];
        let is_probe = self.governor.decide(&prediction, CostModel::default(), now) == PrefetchDecision::Probe;
        self.governor.record_issue(hash(row), &prediction, is_probe, now);
        self.governor.record_arrival(hash(row), Operations { is_read: true, is_called: true });
    }
}

#[derive(Default)]
struct Figures {
    misses: u64,
    issued: u64,
    used: u64,
    waits: Vec<u64>,
}

/// A row in L1: when it came, when it was last used, and whether it waits for its first use.
struct CachedRow {
    arrived_at: u64,
    used: u64,
    is_prefetched: bool,
}

fn run(requests: &[Request], capacity: usize, method: &mut dyn Method) -> Figures {
    let mut cached: HashMap<Row, CachedRow> = HashMap::new();
    let mut order: VecDeque<(Row, u64)> = VecDeque::new();
    let mut figures = Figures::default();
    let mut clock = 0;
    for request in requests {
        let row = (request.shape, request.entity);
        clock += 1;
        let found = cached.get_mut(&row).filter(|cached| request.at.saturating_sub(cached.arrived_at) <= TTL_MILLIS);
        // A row in flight is waited for.
        let wait = found.as_ref().map_or(MISS_MILLIS, |cached| cached.arrived_at.saturating_sub(request.at));
        let is_hit = wait == 0;
        figures.misses += u64::from(!is_hit);
        figures.waits.push(wait);
        match found {
            Some(cached) => {
                figures.used += u64::from(core::mem::take(&mut cached.is_prefetched) && is_hit);
                cached.used = clock;
            }
            None => {
                cached.insert(row, CachedRow { arrived_at: request.at, used: clock, is_prefetched: false });
            }
        }
        order.push_back((row, clock));
        for row in method.observe(request, is_hit) {
            let is_cached =
                cached.get(&row).is_some_and(|cached| request.at.saturating_sub(cached.arrived_at) <= TTL_MILLIS);
            if is_cached {
                continue;
            }
            method.on_fetch(row, request.at);
            figures.issued += 1;
            clock += 1;
            cached.insert(
                row,
                CachedRow { arrived_at: request.at + wait + MISS_MILLIS, used: clock, is_prefetched: true },
            );
            order.push_back((row, clock));
        }
        while cached.len() > capacity {
            let Some((row, used)) = order.pop_front() else { break };
            if cached.get(&row).is_some_and(|cached| cached.used == used) {
                cached.remove(&row);
            }
        }
    }
    figures.waits.sort_unstable();
    figures
}

fn main() {
    let streams = [("journeys", journeys(), 4_000), ("disorder", disorder(), 4_000), ("OLTP", blocks(), 1_000)];
    for (name, requests, capacity) in streams {
        let plain = run(&requests, capacity, &mut NoPrefetch);
        println!("\n{name}: {} requests, {capacity} rows of L1", requests.len());
        println!("method                 hits  mean ms  p99 ms  misses removed  precision  extra operations");
        let print = |method: &str, figures: &Figures| {
            let all = requests.len() as f64;
            let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 * 100.0 / of as f64 };
            let mean = figures.waits.iter().sum::<u64>() as f64 / all;
            let removed = 100.0 - share(figures.misses, plain.misses);
            let extra = share((figures.issued + figures.misses).saturating_sub(plain.misses), plain.misses);
            println!(
                "{method:<20} {:>5.1} % {mean:>7.2} {:>7} {removed:>13.1} % {:>8.1} % {extra:>15.2} %",
                100.0 - share(figures.misses, all as u64),
                figures.waits[requests.len() * 99 / 100],
                share(figures.used, figures.issued),
            );
        };
        print("none", &plain);
        let mut featheredge = Featheredge::new();
        let figures = run(&requests, capacity, &mut featheredge);
        print("ours", &figures);
        let precision = figures.used as f64 / figures.issued.max(1) as f64;
        for (method, window) in [("Markov successor", 1), ("PG, window 2", 2), ("PG, window 4", 4)] {
            let at = |percent: u32| run(&requests, capacity, &mut Graph::new(window, f64::from(percent) / 100.0));
            let is_as_precise = |figures: &Figures| figures.used as f64 >= precision * figures.issued as f64;
            let found = (1..=20)
                .map(|twentieth| (twentieth * 5, at(twentieth * 5)))
                .find(|(_, figures)| is_as_precise(figures));
            match found {
                Some((percent, figures)) => print(&format!("{method}, {percent} %"), &figures),
                None => print(&format!("{method}, 100 %"), &at(100)),
            }
        }
        println!("trained in {} of {} bytes", featheredge.patterns.bytes(), 2 << 20);
    }
}
