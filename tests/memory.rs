//! The memory that the core really takes, as its allocator counts it, whatever it is asked: never more than `memory.max_bytes`, and no
//! account of the core's own is believed.
//!
//! A host of a few lines drives the service: its store and its origin answer at once, late, or never. Bytes that are the host's, such as
//! bodies, orders and replies that it holds, are told apart by when they are taken: none is held across steps but what is noted.

#![allow(missing_docs, reason = "tests are named for what they show")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]
#![allow(clippy::print_stdout, reason = "a test may print")]
#![allow(unsafe_code, reason = "an allocator is unsafe")]
#![cfg(not(target_arch = "wasm32"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;

use config::{Config, OriginKind, View};
use model::time::Timestamp;
use service::{Incoming, IoRequest, IoResult, OriginReply, Service, Transition, WriteOutcome};

#[path = "simulation/random.rs"]
mod random;

use random::Random;

/// Counts what this thread has allocated and not freed, and how often it has allocated.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends frees what it has when its counters are gone.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + usize::from(bytes > 0)));
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: all is left to the system's allocator; only numbers are kept beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live() -> isize {
    LIVE.with(Cell::get)
}

/// A host whose memory is counted apart from the service's.
struct Host {
    service: Service,
    now: u64,
    /// What is to be told when.
    due: VecDeque<(u64, HostEvent)>,
    /// What the host itself holds, in bytes.
    own: isize,
    /// The most that the service had within a step, in bytes.
    most_within: isize,
    statuses: std::collections::BTreeMap<u16, usize>,
}

enum HostEvent {
    Done(service::EffectId, Vec<u8>, Kind),
    Taken(service::RequestHandle),
    Woken(service::RequestHandle),
}

#[derive(Clone, Copy)]
enum Kind {
    Read(usize),
    Written,
    Fetched,
    Forwarded,
    Waited,
}

impl Host {
    fn new(config: Config) -> Host {
        let service = Service::new(config, 7);
        Host {
            service,
            now: 1_795_420_800_000,
            due: VecDeque::new(),
            own: 0,
            most_within: 0,
            statuses: Default::default(),
        }
    }

    /// Runs what is the host's own, and counts what it comes to hold.
    fn own<T>(&mut self, run: impl FnOnce(&mut Host) -> T) -> T {
        let before = live();
        let result = run(self);
        self.own += live() - before;
        result
    }

    fn begin(&mut self, random: &mut Random, incoming: Incoming<'_>) {
        let step = self.within(|service, now| service.begin(incoming, now));
        self.take(random, step);
    }

    /// Lets the service do something, and notes what it has at the most while it does.
    fn within(&mut self, run: impl FnOnce(&mut Service, Timestamp) -> Transition) -> Transition {
        PEAK.with(|peak| peak.set(live()));
        let step = run(&mut self.service, Timestamp(self.now));
        self.most_within = self.most_within.max(PEAK.with(Cell::get) - self.own);
        step
    }

    /// Takes what a step says. What crosses to the host is freed here, or copied into memory that is the host's.
    fn take(&mut self, random: &mut Random, step: Transition) {
        let slow = if random.happens(10) { 20_000 } else { 0 };
        for order in step.effects {
            let id = order.id;
            let (millis, kind, body) = match order.request {
                IoRequest::ReadStore { keys, .. } => (random.below(30), Kind::Read(keys.len()), Vec::new()),
                IoRequest::WriteStore { .. } => (5, Kind::Written, Vec::new()),
                IoRequest::Fetch(request) => (10 + random.below(100) + slow, Kind::Fetched, request.body),
                IoRequest::Synthesize { body, .. } => (10, Kind::Fetched, body),
                IoRequest::Forward { .. } => (10, Kind::Forwarded, Vec::new()),
                _ => (order.timeout_millis.max(1), Kind::Waited, Vec::new()),
            };
            let millis = millis.min(order.timeout_millis.max(1));
            let told = (self.now + millis, HostEvent::Done(id, Vec::new(), kind));
            self.own(|host| host.due.push_back(told));
            // The body was the service's and is the host's now.
            let body = self.own(|_| body.clone());
            if let Some((_, HostEvent::Done(_, place, _))) = self.due.back_mut() {
                *place = body;
            }
        }
        for ticket in step.woken {
            let now = self.now;
            self.own(|host| host.due.push_back((now, HostEvent::Woken(ticket))));
        }
        if let (Some(_), Some(ticket), None) = (&step.chunk, step.handle, &step.response) {
            // Most readers of streams are slow, and some never read.
            let at = self.now + if random.happens(30) { 1 } else { 60_000 };
            self.own(|host| host.due.push_back((at, HostEvent::Taken(ticket))));
        }
        if let Some(service::Response::Reply(reply)) = step.response {
            let status = reply.status();
            self.own(|host| *host.statuses.entry(status).or_default() += 1);
            self.service.recycle(reply);
        }
    }

    /// Lets so many milliseconds pass.
    fn pass(&mut self, random: &mut Random, millis: u64) {
        self.now += millis;
        let now = Timestamp(self.now);
        for _ in 0..self.due.len() {
            let Some((at, told)) = self.due.pop_front() else { return };
            if at > self.now {
                self.due.push_back((at, told));
                continue;
            }
            let step = match told {
                HostEvent::Done(id, body, kind) => {
                    let outcome = match kind {
                        Kind::Read(count) => IoResult::Read(Ok(vec![None; count])),
                        Kind::Written => IoResult::Written(WriteOutcome::default()),
                        Kind::Fetched => {
                            let reply = self.service.synthesize(&body, now);
                            let OriginReply { status, body, .. } = reply;
                            IoResult::Fetched(Ok(OriginReply { status, content_type: None, body }))
                        }
                        Kind::Forwarded => IoResult::Forwarded(Some(200)),
                        Kind::Waited => IoResult::Waited,
                    };
                    let freed = live();
                    drop(body);
                    self.own += live() - freed;
                    self.within(|service, now| service.complete(id, outcome, now))
                }
                HostEvent::Taken(ticket) => self.within(|service, now| service.resume(ticket, now)),
                HostEvent::Woken(ticket) => self.within(|service, now| service.wake(ticket, now)),
            };
            self.take(random, step);
        }
        drop(self.service.take_records(now));
    }

    /// What the service has, in bytes.
    fn held(&self) -> isize {
        live() - self.own
    }
}

/// What the test host cannot tell apart from the service's: queues that grow by doubling, and the maps of the test itself.
const SLACK: isize = 4 << 20;

const MIB: usize = 1 << 20;

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    config.origin.kind = OriginKind::Http;
    config.origin.url = Some("http://origin.example".to_owned());
    for view in ["keyed", "other"] {
        config.views.insert(view.to_owned(), View { join_keys: vec!["id".to_owned()], ..View::default() });
    }
    change(&mut config);
    config.validate().unwrap();
    config
}

/// A quarter of all that is usual, so that every bound is met soon.
fn quartered(config: &mut Config) {
    config.memory.max_bytes = 24 * MIB;
    config.l1.max_bytes = 10 * MIB;
    config.memory.plan_bytes = 2 * MIB;
    config.memory.pending_bytes = 4 * MIB;
    config.prefetch.memory_bytes = MIB;
}

fn json_strings(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    names.join(",")
}

/// A request that somebody would make who wants the memory to be full.
fn adversarial(host: &mut Host, random: &mut Random, kinds: &[u64], round: u64) {
    let long = |length: usize| "n".repeat(length);
    let mut path = "/v1/features";
    let mut accepts_lines = false;
    let mut session = None;
    let caller = if random.happens(5) { format!("caller {round}") } else { String::new() };
    let body = match *random.pick(kinds) {
        // Ever new names of many features, as long as a body allows.
        0 => {
            let names = json_strings((0..1_000).map(|name| format!("keyed:{round}_{name}_{}", long(900))));
            format!(r#"{{"entities":{{"id":[{round}]}},"feature_names":[{names}]}}"#)
        }
        // Ever other columns of one row.
        1 => {
            let names = json_strings((0..50).map(|name| format!("other:{round}_{name}_{}", long(50))));
            format!(r#"{{"entities":{{"id":[1]}},"feature_names":[{names}]}}"#)
        }
        // Ever new views.
        2 => {
            let names = json_strings((0..100).map(|name| format!("v{round}_{name}{}:f", long(100))));
            format!(r#"{{"entities":{{"id":[{round}]}},"feature_names":[{names}]}}"#)
        }
        // Many ids, to be read line by line, mostly by nobody.
        3 => {
            accepts_lines = true;
            let first = round * 10_000;
            let ids: Vec<String> = (first..first + 5_000 + random.below(5_000)).map(|id| id.to_string()).collect();
            format!(r#"{{"entities":{{"id":[{}]}},"feature_names":["keyed:f0","keyed:f1"]}}"#, ids.join(","))
        }
        // The same ids in other spellings.
        4 => {
            let ids: Vec<String> =
                (0..2_000).map(|id| format!("{id}.{}", "0".repeat(random.below(50) as usize + 1))).collect();
            format!(r#"{{"entities":{{"id":[{}]}},"feature_names":["keyed:f0"]}}"#, ids.join(","))
        }
        // Long keys.
        5 => {
            let ids = json_strings((0..250).map(|id| format!("{round}_{id}_{}", long(3_500))));
            format!(r#"{{"entities":{{"id":[{ids}]}},"feature_names":["keyed:f0"]}}"#)
        }
        // Feature services, and columns of entities that are ever new.
        6 => {
            path = "/get-online-features";
            format!(r#"{{"feature_service":"s{round}{}","entities":{{"c{round}{}":[1,2]}}}}"#, long(10_000), long(300))
        }
        // Ever new sessions.
        7 => {
            session = Some(format!("session {round}"));
            path = "/get-online-features";
            format!(r#"{{"features":["keyed:f{}"],"entities":{{"id":[{}]}}}}"#, round % 50, random.below(1_000))
        }
        // Writes of many rows to ever new views.
        8 => {
            path = "/write-to-online-store";
            let ids: Vec<String> = (0..random.below(20_000)).map(|id| (id + round).to_string()).collect();
            let view = if random.happens(50) { "keyed".to_owned() } else { format!("w{round}{}", long(5_000)) };
            format!(r#"{{"feature_view_name":"{view}","df":{{"id":[{}]}}}}"#, ids.join(","))
        }
        // Many cells, in one piece.
        _ => {
            let first = round * 1_000;
            let ids: Vec<String> = (first..first + 1_000).map(|id| id.to_string()).collect();
            let names = json_strings((0..20).map(|name| format!("keyed:f{name}")));
            format!(r#"{{"entities":{{"id":[{}]}},"feature_names":[{names}],"priority":"low"}}"#, ids.join(","))
        }
    };
    let incoming = Incoming {
        method: "POST",
        path,
        body: body.as_bytes(),
        accepts_lines,
        caller: &caller,
        session: session.as_deref(),
        is_operator: true,
        ..Incoming::default()
    };
    // The body is the host's.
    host.own += body.capacity() as isize + caller.capacity() as isize;
    host.own += session.as_ref().map_or(0, String::capacity) as isize;
    host.begin(random, incoming);
    host.own -= body.capacity() as isize + caller.capacity() as isize;
    host.own -= session.as_ref().map_or(0, String::capacity) as isize;
}

/// Asks so often, with so many milliseconds between at the most, and holds the memory to its bound.
fn run(seed: u64, kinds: &[u64], rounds: u64, millis: u64, config: Config) -> Host {
    let mut random = Random(seed);
    let before = live();
    let mut host = Host::new(config);
    host.own += before;
    let max = host.service.config().memory.max_bytes as isize;
    let (mut most, mut most_told) = (0, 0);
    for round in 0..rounds {
        adversarial(&mut host, &mut random, kinds, round);
        let millis = random.below(millis);
        // In steps, as stores and the origin answer.
        for _ in 0..4 {
            host.pass(&mut random, millis.div_ceil(4));
        }
        let memory = host.service.memory();
        let held = host.held();
        most = most.max(held);
        most_told = most_told.max(memory.all.used);
        assert!(held <= max + SLACK, "round {round}: {held} bytes, {memory:?}");
        assert!(host.most_within <= max + SLACK, "round {round}: {} bytes within a step", host.most_within);
    }
    println!(
        "kinds {kinds:?}, {rounds} requests: {most} bytes at the most, {} within a step, {most_told} told; {:?}; {:?}",
        host.most_within,
        host.statuses,
        host.service.memory()
    );
    host
}

#[test]
fn whatever_is_asked_the_core_takes_no_more_memory_than_it_may() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    for seed in 0..2 {
        let host = run(seed, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], rounds, 40, config(quartered));
        assert!(host.statuses.contains_key(&200), "it serves all the same: {:?}", host.statuses);
        let memory = host.service.memory();
        assert!(memory.pending.evicted > 0 && memory.plans.evicted > 0 && memory.rows.evicted > 0, "{memory:?}");
    }
}

#[test]
fn requests_of_a_thousand_features_with_long_names_take_no_more_memory_than_they_may() {
    // Most end before the next begins, so that none is refused.
    let host = run(1, &[0], 200, 800, config(|_| {}));
    assert!(host.statuses[&200] >= 150, "{:?}", host.statuses);
}

#[test]
fn readers_of_streams_who_do_not_read_take_no_more_memory_than_they_may() {
    let host = run(2, &[3], 60, 40, config(|_| {}));
    assert!(host.service.memory().pending.evicted > 10, "{:?}", host.service.memory());
}

/// How often the service allocates to answer this from memory, once it has been asked a few times.
fn allocations_of_a_hit(host: &mut Host, incoming: Incoming<'_>) -> usize {
    let mut random = Random(1);
    for _ in 0..20 {
        host.begin(&mut random, incoming);
        host.pass(&mut random, 200);
    }
    let before = ALLOCATIONS.with(Cell::get);
    let step = host.service.begin(incoming, Timestamp(host.now));
    let allocations = ALLOCATIONS.with(Cell::get) - before;
    let Some(service::Response::Reply(reply)) = step.response else { panic!("{step:?}") };
    assert!(reply.headers().iter().any(|header| header.value.starts_with("featheredge-l1; hit")), "{reply:?}");
    host.service.recycle(reply);
    allocations
}

#[test]
fn an_answer_from_memory_allocates_a_few_times_and_never_for_its_body() {
    let mut host = Host::new(config(|config| config.telemetry.enabled = false));
    let feast = Incoming {
        method: "POST",
        path: "/get-online-features",
        body: br#"{"features":["keyed:f0","other:f1"],"entities":{"id":[1,2,3]}}"#,
        ..Incoming::default()
    };
    let native = Incoming {
        method: "POST",
        path: "/v1/features",
        body: br#"{"feature_names":["keyed:f0","other:f1"],"entities":{"id":[1,2,3]}}"#,
        ..Incoming::default()
    };
    assert_eq!(allocations_of_a_hit(&mut host, feast), 3);
    assert_eq!(allocations_of_a_hit(&mut host, Incoming { session: Some("one"), ..feast }), 3);
    assert_eq!(allocations_of_a_hit(&mut host, Incoming { caller: "one", ..feast }), 3);
    // It also makes a name for the request, and writes when it was answered.
    assert_eq!(allocations_of_a_hit(&mut host, native), 6);
}
