//! The world: a host that performs the service's effects against a store and an origin in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use aggregator::{Aggregator, Message, Report, Sink};
use config::{Config, OriginKind};
use invalidation_log::{Append, Change, InvalidationLog, Limits, LogEntry, Stored};
use model::answer::Tier;
use model::time::Timestamp;
use origin::synthetic;
use serde_json::Value;
use service::{
    Chunk, Effect, EffectId, FetchFailure, Incoming, IoRequest, IoResult, OriginReply, OriginRequest, ReadFailure,
    Reply, RequestHandle, Response, Service, Transition, WriteOutcome,
};

use crate::chaos::Chaos;

/// 2026-11-23T08:00:00Z, plus ten minutes.
const START: u64 = 1_795_420_800_000 + 600_000;

/// What the origin does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Computes as the built-in one.
    Computes,
    /// Answers with values that say what they are of and when they were computed.
    Labels,
    /// Answers just this.
    Answers(u16, String),
    /// Is not there.
    IsDown,
    /// Never answers in time.
    IsSlow,
}

/// Something that will happen.
#[derive(Debug)]
enum Event {
    /// The host reports the result of an effect.
    Done(EffectId, RequestHandle, IoResult),
    /// A timer goes off.
    Timer(EffectId, RequestHandle),
    /// The aggregator takes the records.
    TakeRecords(EffectId, RequestHandle),
    /// It evaluates its alerts without a request.
    EvaluateAlerts,
    /// Another request has woken a request.
    Woken(RequestHandle),
    /// A call reaches the log, with the time until which its reply is awaited.
    LogReceives(EffectId, RequestHandle, u64, Vec<u8>),
    /// The reader of a reply in parts has taken one.
    ChunkTaken(RequestHandle),
}

/// The invalidation log behind a simulated network: the very log that `src/durable/invalidation_log.rs`
/// stores.
#[derive(Debug)]
pub(crate) struct LogHost {
    log: InvalidationLog,
    /// What is stored of it.
    stored: Stored,
    /// How many logs there were.
    epoch: u64,
    pub(crate) limits: Limits,
    /// By how much its clock is ahead of the world's.
    pub(crate) skew: i64,
    /// How many calls reached it, and the bytes of entries in each.
    pub(crate) calls: usize,
    pub(crate) appended_bytes: Vec<usize>,
    /// Nothing reaches it.
    pub(crate) is_down: bool,
    /// It takes entries, and its replies are lost.
    pub(crate) loses_replies: bool,
    /// How long the way to it takes, and the way back, in milliseconds.
    pub(crate) millis: u64,
    /// By how much the next calls reach it later, and the next answers come back later.
    pub(crate) late: VecDeque<u64>,
    pub(crate) late_back: VecDeque<u64>,
}

impl Default for LogHost {
    fn default() -> LogHost {
        let (log, stored) = begin(1, START);
        LogHost {
            log,
            stored,
            epoch: 1,
            limits: Limits::default(),
            skew: 0,
            calls: 0,
            appended_bytes: Vec::new(),
            is_down: false,
            loses_replies: false,
            millis: 0,
            late: VecDeque::new(),
            late_back: VecDeque::new(),
        }
    }
}

/// A new log, and its stored state.
fn begin(epoch: u64, now: u64) -> (InvalidationLog, Stored) {
    let (log, change) = InvalidationLog::restore(None, epoch, now);
    let Some(Change::Begin { epoch, dropped }) = change else { panic!("{change:?}") };
    (log, Stored { epoch, dropped, entries: Vec::new() })
}

impl LogHost {
    /// Replaces the log by one without its entries. A log does not do so within the time that it
    /// exists before its first call.
    pub(crate) fn replace(&mut self, now: u64) {
        self.epoch += 1;
        (self.log, self.stored) = begin(self.epoch, now.checked_add_signed(self.skew).unwrap() + 2);
    }

    /// The stored entries.
    pub(crate) fn entries(&self) -> &[LogEntry] {
        &self.stored.entries
    }

    /// Appends so many entries of others, of a view that nobody reads.
    pub(crate) fn fill(&mut self, now: u64, entries: usize) {
        let mut entry = 5_u16.to_le_bytes().to_vec();
        entry.extend_from_slice(b"other\xff\xff\xff\xff");
        let call = Append { epoch: self.epoch, entry: &entry, keep_millis: 3_600_000, ..Append::default() };
        for _ in 0..entries {
            self.append(now, &call.to_bytes());
        }
    }

    pub(crate) fn append(&mut self, now: u64, request: &[u8]) -> Option<Vec<u8>> {
        if self.is_down {
            return None;
        }
        let call = Append::read(request).unwrap();
        let now = now.checked_add_signed(self.skew).unwrap();
        self.log.set_limits(self.limits);
        let epoch = self.epoch + 1;
        for change in self.log.append(&call, now, || epoch) {
            self.store(change);
        }
        Some(self.log.reply(&call).to_bytes())
    }

    fn store(&mut self, change: Change) {
        let Stored { epoch, dropped, entries } = &mut self.stored;
        match change {
            Change::Begin { epoch: another, dropped: before } => {
                (*epoch, *dropped, self.epoch) = (another, before, another);
                entries.clear();
            }
            Change::Insert(entry) => entries.push(entry),
            Change::Expire { at, number } => entries.retain(|entry| entry.at >= at || entry.number >= number),
            Change::Drop(up_to) => {
                *dropped = up_to;
                entries.retain(|entry| entry.number > up_to.number);
            }
        }
    }

    /// Restarts it from its stored state.
    pub(crate) fn restart(&mut self) {
        self.log = InvalidationLog::restore(Some(self.stored.clone()), 0, 0).0;
    }

    /// Drops the entries up to a number before their time.
    pub(crate) fn drop_up_to(&mut self, number: u64) {
        let change = self.log.drop_up_to(number);
        self.store(change);
    }
}

/// A request as its caller and its host see it.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) began: u64,
    pub(crate) ended: u64,
    /// When the origin answered to it, if it is a write.
    pub(crate) written: u64,
    pub(crate) answer: Option<Answer>,
    /// The parts of a reply in parts, and when each was given.
    pub(crate) chunks: Vec<(u64, String)>,
    /// The status and headers of a reply in parts, and whether they came from the very call that began the request.
    head: Option<Answer>,
    /// Whether it was served without a recent reply of the log.
    pub(crate) is_unverified: bool,
    /// Whether its host was dropped: nothing is done for it any more.
    pub(crate) is_lost: bool,
    /// How many of its effects are under way.
    effects: usize,
}

pub(crate) struct World {
    /// Who asks, where what it reads is for it alone.
    pub(crate) caller: &'static str,
    pub(crate) service: Service,
    pub(crate) now: u64,
    pub(crate) store: BTreeMap<String, Vec<u8>>,
    pub(crate) is_store_down: bool,
    /// Whether the store refuses writes, as one does that is full, and is read all the same.
    pub(crate) is_store_full: bool,
    /// How much one read of a store may give, in bytes.
    pub(crate) max_read_bytes: usize,
    /// What the store says of each of the next writes, and then takes nothing.
    pub(crate) refusals: VecDeque<WriteOutcome>,
    /// How many timers were set.
    pub(crate) timers: usize,
    /// How many of them are to come back for what waits to be written.
    pub(crate) returns: usize,
    /// How many writes to the store are under way, and the most that were at one time.
    writes_under_way: usize,
    pub(crate) most_writes: usize,
    /// What the storage tier holds.
    pub(crate) l3: BTreeMap<String, Vec<u8>>,
    /// The shards of it that fail.
    pub(crate) broken_shards: BTreeSet<u32>,
    /// The shard and the number of keys of each of its reads.
    pub(crate) shard_reads: Vec<(u32, usize)>,
    /// The shard and the number of rows of each of its writes.
    pub(crate) shard_writes: Vec<(u32, usize)>,
    pub(crate) origin: Origin,
    /// Answers of the origin for the next calls, before `origin` holds again.
    pub(crate) scripted: VecDeque<(u16, String)>,
    /// How long the registry takes, in milliseconds, and what it answers; without one, the origin answers for it.
    pub(crate) registry: Option<(u64, String)>,
    /// Bodies of the calls to the origin.
    pub(crate) origin_calls: Vec<String>,
    /// Number of keys of each bulk read.
    pub(crate) reads: Vec<usize>,
    /// The number of rows of each store write.
    pub(crate) writes: Vec<usize>,
    /// How long each call to the origin takes, in milliseconds.
    pub(crate) origin_millis: u64,
    /// The status that it answers writes with.
    pub(crate) write_status: Option<u16>,
    /// How long each read of the store takes, in milliseconds.
    pub(crate) store_millis: u64,
    /// How long the reader of a reply in parts takes for each, in milliseconds; without end where it is `None`.
    pub(crate) reader_millis: Option<u64>,
    /// How long before its time a timer goes off at the most, in milliseconds: those of hosts run by another clock.
    pub(crate) timers_early: u64,
    /// Every request so far.
    pub(crate) requests: Vec<Request>,
    /// The most calls to the origin that were under way at one time.
    pub(crate) most_calls: usize,
    calls: usize,
    by_handle: HashMap<(usize, RequestHandle), usize>,
    /// What will happen in which isolate, by time and then by insertion.
    events: BTreeMap<(u64, u64), (usize, Event)>,
    next_event: u64,
    /// The session that requests are of.
    pub(crate) session: Option<String>,
    /// What was sent to the places for what is measured, and whether they take it.
    pub(crate) sent: Vec<(Sink, String)>,
    pub(crate) is_sink_down: bool,
    /// The isolate's aggregator, and when it next evaluates its alerts without a request.
    aggregator: Aggregator,
    alerts_due_at: Option<u64>,
    /// The windows of all isolates.
    pub(crate) merged: Vec<u8>,
    /// What the caller sends as `traceparent`.
    pub(crate) traceparent: &'static str,
    /// The traces that calls to the origin belong to.
    pub(crate) origin_traces: Vec<String>,
    /// What goes wrong by chance.
    pub(crate) chaos: Option<Chaos>,
    /// When each key of the store was last written.
    pub(crate) written: BTreeMap<String, u64>,
    /// Whether there was another isolate before this one, whose writes this one does not know of.
    has_restarted: bool,
    /// The isolate that `service` is, and how far its clock is ahead.
    isolate: usize,
    skew: i64,
    /// The other isolates.
    other_isolates: BTreeMap<usize, (Service, i64)>,
    pub(crate) log: LogHost,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// Whether the reply came from the very call that began the request.
    pub(crate) is_immediate: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The values of a Feast answer's column, as text.
    pub(crate) fn column(&self, name: &str) -> Vec<String> {
        self.part(name, "values")
    }

    pub(crate) fn statuses(&self, name: &str) -> Vec<String> {
        self.part(name, "statuses").iter().map(|text| text.trim_matches('"').to_owned()).collect()
    }

    fn part(&self, name: &str, part: &str) -> Vec<String> {
        let json = self.json();
        let names = json["metadata"]["feature_names"].as_array().unwrap();
        let at = names.iter().position(|known| known == name).unwrap_or_else(|| panic!("no {name} in {names:?}"));
        json["results"][at][part].as_array().unwrap().iter().map(Value::to_string).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let json = self.json();
        json["metadata"]["feature_names"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    }
}

impl World {
    pub(crate) fn new() -> World {
        World::with(|_| {})
    }

    /// A world whose configuration `change` has adapted.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> World {
        let mut config = Config::default();
        change(&mut config);
        World {
            aggregator: Aggregator::new(config.clone()),
            alerts_due_at: None,
            caller: "",
            service: Service::new(config, 7),
            now: START,
            store: BTreeMap::new(),
            is_store_down: false,
            is_store_full: false,
            max_read_bytes: usize::MAX,
            refusals: VecDeque::new(),
            timers: 0,
            returns: 0,
            writes_under_way: 0,
            most_writes: 0,
            l3: BTreeMap::new(),
            broken_shards: BTreeSet::new(),
            shard_reads: Vec::new(),
            shard_writes: Vec::new(),
            origin: Origin::Computes,
            scripted: VecDeque::new(),
            registry: None,
            origin_calls: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            origin_millis: 10,
            write_status: Some(200),
            store_millis: 0,
            reader_millis: Some(0),
            timers_early: 0,
            requests: Vec::new(),
            most_calls: 0,
            calls: 0,
            by_handle: HashMap::new(),
            events: BTreeMap::new(),
            next_event: 0,
            session: None,
            sent: Vec::new(),
            is_sink_down: false,
            merged: Vec::new(),
            traceparent: "",
            origin_traces: Vec::new(),
            chaos: None,
            written: BTreeMap::new(),
            has_restarted: false,
            isolate: 0,
            skew: 0,
            other_isolates: BTreeMap::new(),
            log: LogHost::default(),
        }
    }

    /// Another isolate beside those that there are, whose clock is so far ahead; its number.
    pub(crate) fn add_isolate(&mut self, skew: i64) -> usize {
        let number = self.other_isolates.len() + 1;
        self.other_isolates.insert(number, (Service::new(self.service.config().clone(), 8 + number as u64), skew));
        self.has_restarted = true;
        number
    }

    /// Makes `service` the isolate of that number.
    pub(crate) fn switch_to(&mut self, isolate: usize) {
        let Some((service, skew)) = self.other_isolates.remove(&isolate) else { return };
        let here = (core::mem::replace(&mut self.service, service), core::mem::replace(&mut self.skew, skew));
        self.other_isolates.insert(core::mem::replace(&mut self.isolate, isolate), here);
    }

    /// Sets the clock of `service` by so many milliseconds.
    pub(crate) fn step_clock(&mut self, millis: i64) {
        self.skew += millis;
        // By a clock that goes ahead, a key has rested sooner.
        self.has_restarted = true;
    }

    /// The same between two readings, so that no time passes unseen.
    pub(crate) fn step_clock_seen(&mut self, millis: i64) {
        self.ingest_records();
        self.step_clock(millis);
        self.ingest_records();
    }

    /// What the host's clock shows.
    pub(crate) fn clock(&self) -> Timestamp {
        Timestamp(self.now.checked_add_signed(self.skew).unwrap())
    }

    /// A world whose origin is an HTTP server.
    pub(crate) fn with_http_origin(change: impl FnOnce(&mut Config)) -> World {
        World::with(|config| {
            config.origin.kind = OriginKind::Http;
            config.origin.url = Some("http://origin.example".to_owned());
            change(config);
        })
    }

    /// Another isolate over the same store: its L1 is empty.
    pub(crate) fn restart(&mut self) {
        self.service = Service::new(self.service.config().clone(), 8);
        self.aggregator = Aggregator::new(self.service.config().clone());
        self.alerts_due_at = None;
        self.has_restarted = true;
        self.events.retain(|_, (isolate, _)| *isolate != self.isolate);
        self.by_handle.retain(|(isolate, _), _| *isolate != self.isolate);
        self.calls = 0;
        self.writes_under_way = 0;
    }

    pub(crate) fn pass_seconds(&mut self, seconds: u64) {
        self.now += seconds * 1_000;
    }

    pub(crate) fn feast(&mut self, body: &str) -> Answer {
        self.post("/get-online-features", body.as_bytes())
    }

    pub(crate) fn native(&mut self, body: &str) -> Answer {
        self.post("/v1/features", body.as_bytes())
    }

    /// Forgets the operations counted so far.
    pub(crate) fn reset_counts(&mut self) {
        self.origin_calls.clear();
        self.reads.clear();
        self.writes.clear();
        self.timers = 0;
        self.returns = 0;
        self.shard_reads.clear();
        self.shard_writes.clear();
    }

    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        self.call("POST", path, body)
    }

    pub(crate) fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        let request = self.start(method, path, body);
        self.run();
        assert_eq!(self.service.under_way(), 0, "a request was left behind");
        assert_eq!(self.service.engine().sessions(), 0, "a session was left behind");
        assert_eq!(self.service.engine().flights(), 0, "a flight was left behind");
        self.answer(request)
    }

    pub(crate) fn answer(&self, request: usize) -> Answer {
        self.requests[request].answer.clone().expect("a request without an end")
    }

    /// Begins a request and leaves it under way; its number.
    pub(crate) fn start(&mut self, method: &str, path: &str, body: &[u8]) -> usize {
        let (path, query_string) = path.split_once('?').unwrap_or((path, ""));
        let traceparent = self.traceparent;
        self.begin(Incoming { method, path, query_string, body, traceparent, is_operator: true, ..Incoming::default() })
    }

    /// The same of a caller who is no operator.
    pub(crate) fn start_as_anybody(&mut self, path: &str, body: &[u8]) -> usize {
        self.begin(Incoming { method: "POST", path, body, ..Incoming::default() })
    }

    /// Begins a request that accepts lines.
    pub(crate) fn start_lines(&mut self, body: &str) -> usize {
        self.begin(Incoming {
            method: "POST",
            path: "/v1/features",
            body: body.as_bytes(),
            accepts_lines: true,
            ..Incoming::default()
        })
    }

    fn begin(&mut self, incoming: Incoming<'_>) -> usize {
        self.requests.push(Request { began: self.now, ..Request::default() });
        let request = self.requests.len() - 1;
        let session = self.session.clone();
        let incoming = Incoming { caller: self.caller, session: session.as_deref(), ..incoming };
        let unverified = self.unverified();
        let transition = self.service.begin(incoming, self.clock());
        self.requests[request].is_unverified = self.unverified() > unverified;
        self.on_transition(request, transition, true);
        request
    }

    /// How many requests of this isolate were served without a recent reply of the log.
    fn unverified(&self) -> u64 {
        self.service.log_counts().map_or(0, |counts| counts.unverified)
    }

    pub(crate) fn start_feast(&mut self, body: &str) -> usize {
        self.start("POST", "/get-online-features", body.as_bytes())
    }

    pub(crate) fn start_native(&mut self, body: &str) -> usize {
        self.start("POST", "/v1/features", body.as_bytes())
    }

    /// Runs all events until no request is in progress, the background included.
    pub(crate) fn run(&mut self) {
        while self.requests.iter().any(|request| request.answer.is_none() && !request.is_lost)
            || self
                .events
                .values()
                .any(|(_, event)| !matches!(event, Event::Timer(..) | Event::TakeRecords(..) | Event::EvaluateAlerts))
            || self.service.engine().sessions() > 0
        {
            if !self.happen(u64::MAX) {
                return;
            }
        }
    }

    /// Lets everything happen that does until so many requests have an answer, and nothing else.
    pub(crate) fn run_until_answered(&mut self, requests: usize) {
        while self.requests.iter().filter(|request| request.answer.is_some()).count() < requests
            && self.happen(u64::MAX)
        {}
    }

    /// Lets everything happen that does until `now` is so many milliseconds later.
    pub(crate) fn run_for(&mut self, millis: u64) {
        let until = self.now + millis;
        while self.happen(until) {}
        self.now = until;
    }

    /// The handle of a request.
    pub(crate) fn handle_of(&self, request: usize) -> RequestHandle {
        let is_its = |&(&(_, handle), &known): &(&(usize, RequestHandle), &usize)| {
            // Its background work has other handles.
            known == request && self.service.is_under_way(handle)
        };
        self.by_handle.iter().find(is_its).expect("a request that waits").0.1
    }

    /// Lets a request go on that another has woken.
    pub(crate) fn wake(&mut self, handle: RequestHandle) {
        self.plan(self.now, Event::Woken(handle));
    }

    /// Drops the host of a request, as a runtime does when the caller hangs up.
    pub(crate) fn lose(&mut self, request: usize) {
        self.requests[request].is_lost = true;
    }

    /// Drops the hosts of all requests under way, as when their isolate is stopped.
    pub(crate) fn lose_all(&mut self) {
        self.requests.iter_mut().filter(|request| request.answer.is_none()).for_each(|request| request.is_lost = true);
    }

    /// Lets the next thing happen, if it does by then.
    fn happen(&mut self, until: u64) -> bool {
        let Some((&(at, number), _)) = self.events.first_key_value().filter(|((at, _), _)| *at <= until) else {
            return false;
        };
        let (isolate, event) = self.events.remove(&(at, number)).unwrap();
        self.now = self.now.max(at);
        let before = self.isolate;
        self.switch_to(isolate);
        self.let_happen(event);
        self.switch_to(before);
        true
    }

    fn let_happen(&mut self, event: Event) {
        if matches!(event, Event::EvaluateAlerts) {
            return self.ingest_records();
        }
        let (Event::Done(_, handle, _)
        | Event::Timer(_, handle)
        | Event::TakeRecords(_, handle)
        | Event::Woken(handle)
        | Event::ChunkTaken(handle)
        | Event::LogReceives(_, handle, ..)) = &event
        else {
            return;
        };
        let request = self.by_handle[&(self.isolate, *handle)];
        match &event {
            Event::Done(_, _, IoResult::Fetched(_)) => self.calls -= 1,
            Event::Done(_, _, IoResult::Written(_)) => self.writes_under_way -= 1,
            _ => {}
        }
        if matches!(&event, Event::Done(..) | Event::Timer(..) | Event::TakeRecords(..)) {
            self.requests[request].effects -= 1;
        }
        if self.requests[request].is_lost && !matches!(event, Event::LogReceives(..)) {
            return;
        }
        let now = self.clock();
        let unverified = self.unverified();
        let transition = match event {
            Event::Done(id, _, outcome) => {
                if matches!(outcome, IoResult::Forwarded(_)) {
                    self.requests[request].written = self.now;
                }
                self.service.complete(id, outcome, now)
            }
            Event::LogReceives(id, handle, until, request) => {
                self.log.calls += 1;
                self.log.appended_bytes.push(Append::read(&request).unwrap().entry.len());
                let answer = self.log.append(self.now, &request);
                let back = self.now + self.log.millis + self.log.late_back.pop_front().unwrap_or_default();
                let answer = answer.filter(|_| back <= until && !self.log.loses_replies);
                let at = if answer.is_some() { back } else { until };
                return self.plan(at, Event::Done(id, handle, IoResult::Logged(answer)));
            }
            Event::Timer(id, _) => self.service.complete(id, IoResult::Waited, now),
            Event::TakeRecords(id, _) => {
                self.ingest_records();
                self.service.complete(id, IoResult::Waited, now)
            }
            Event::EvaluateAlerts => return,
            Event::Woken(handle) => self.service.wake(handle, now),
            Event::ChunkTaken(handle) => self.service.resume(handle, now),
        };
        self.requests[request].is_unverified |= self.unverified() > unverified;
        self.on_transition(request, transition, false);
    }

    fn plan(&mut self, at: u64, event: Event) {
        self.next_event += 1;
        self.events.insert((at, self.next_event), (self.isolate, event));
    }

    fn on_transition(&mut self, request: usize, transition: Transition, is_immediate: bool) {
        if let Some(handle) = transition.handle {
            self.by_handle.insert((self.isolate, handle), request);
        }
        for effect in transition.effects {
            self.perform(request, effect);
        }
        for handle in transition.woken {
            self.plan(self.now, Event::Woken(handle));
        }
        if let Some(Chunk { head, bytes }) = transition.chunk {
            let request = &mut self.requests[request];
            assert!(request.answer.is_none(), "a part behind the end");
            assert_eq!(head.is_some(), request.head.is_none(), "the head goes out once, with the first part");
            request.head = request.head.take().or_else(|| head.map(|head| read(&head, is_immediate)));
            request.chunks.push((self.now, String::from_utf8(bytes).unwrap()));
            if let (Some(millis), Some(handle), None) = (self.reader_millis, transition.handle, &transition.response) {
                self.plan(self.now + millis, Event::ChunkTaken(handle));
            }
        }
        let Some(end) = transition.response else {
            let Request { answer, effects, .. } = &self.requests[request];
            assert!(answer.is_some() || *effects > 0, "a request waits for nothing");
            return;
        };
        let answer = match end {
            Response::Reply(reply) => {
                let answer = read(&reply, is_immediate);
                self.service.recycle(reply);
                answer
            }
            Response::Streamed => {
                let request = &mut self.requests[request];
                let text = request.chunks.iter().map(|(_, text)| text.as_str()).collect();
                Answer { text, ..request.head.take().expect("a reply with a head") }
            }
            Response::Forward { base, bypass, .. } => {
                let headers = [("cache-status".to_owned(), bypass.cache_status().to_owned())].into();
                Answer { status: FORWARDED, text: base, headers, is_immediate }
            }
            Response::Forwarded { notice } => {
                let headers = notice.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                Answer { status: FORWARDED, text: String::new(), headers, is_immediate }
            }
            Response::Asset => Answer { status: 298, text: String::new(), headers: BTreeMap::new(), is_immediate },
        };
        assert!(self.requests[request].answer.is_none(), "two ends");
        self.requests[request].ended = self.now;
        self.requests[request].answer = Some(answer);
    }

    /// Performs an effect at once, and schedules the report of its result.
    fn perform(&mut self, request: usize, effect: Effect) {
        let Effect { id, request: io_request, timeout_millis } = effect;
        if matches!(io_request, IoRequest::WriteStore { .. }) {
            self.writes_under_way += 1;
            self.most_writes = self.most_writes.max(self.writes_under_way);
        }
        let handle = id.handle();
        let request = *self.by_handle.entry((self.isolate, handle)).or_insert(request);
        self.requests[request].effects += 1;
        let mut is_l3 = false;
        let (takes, outcome) = match io_request {
            IoRequest::ReadStore { tier: Tier::L3, shard, keys } => {
                is_l3 = true;
                self.shard_reads.push((shard, keys.len()));
                let values = keys.iter().map(|key| self.l3.get(key.as_str()).cloned()).collect();
                (self.store_millis, self.store_reply(values, self.broken_shards.contains(&shard)))
            }
            IoRequest::WriteStore { tier: Tier::L3, shard, entries, .. } => {
                self.shard_writes.push((shard, entries.len()));
                if self.broken_shards.contains(&shard) {
                    (self.store_millis, IoResult::Written(WriteOutcome::failed(entries.len())))
                } else {
                    self.l3.extend(entries.into_iter().map(|(key, value)| (key.to_string(), value)));
                    (self.store_millis, IoResult::Written(WriteOutcome::default()))
                }
            }
            IoRequest::ReadStore { keys, .. } => {
                self.reads.push(keys.len());
                let values = keys.iter().map(|key| self.store.get(key.as_str()).cloned()).collect();
                (self.store_millis, self.store_reply(values, self.is_store_down))
            }
            IoRequest::WriteStore { entries, .. } => {
                self.writes.push(entries.len());
                let down = (self.is_store_down || self.is_store_full).then(|| WriteOutcome::failed(entries.len()));
                let refused = down.or_else(|| self.refusals.pop_front());
                if refused.is_none() {
                    for (key, _) in &entries {
                        let last = self.written.insert(key.to_string(), self.now);
                        let interval = self.service.config().l2.write_interval_ms;
                        // Between two writes the clock may be corrected by the
                        // log's, by as much as its reply took.
                        let set = 2 * (self.log.millis + 1);
                        let rested = last.is_none_or(|last| self.now + set >= last + interval);
                        assert!(rested || self.has_restarted, "{key} was written twice within {interval} ms");
                    }
                    self.store.extend(entries.into_iter().map(|(key, value)| (key.to_string(), value)));
                }
                (self.store_millis, IoResult::Written(refused.unwrap_or_default()))
            }
            IoRequest::Fetch(OriginRequest { url, .. })
                if self.registry.is_some() && url.contains("/feature_views") =>
            {
                self.calls += 1;
                let (millis, text) = self.registry.clone().unwrap_or_default();
                let content_type = Some("application/json".to_owned());
                let reply = OriginReply { status: 200, content_type, body: text.into_bytes() };
                (millis, IoResult::Fetched(Ok(reply)))
            }
            IoRequest::Synthesize { .. } | IoRequest::Fetch(_) => {
                let (body, traceparent) = match io_request {
                    IoRequest::Fetch(OriginRequest { body, traceparent, .. }) => (body, traceparent),
                    IoRequest::Synthesize { body, .. } => (body, None),
                    _ => return,
                };
                self.origin_traces.extend(traceparent);
                self.calls += 1;
                self.most_calls = self.most_calls.max(self.calls);
                (self.origin_millis, self.fetch(body))
            }
            IoRequest::Records => return self.plan(self.now + timeout_millis, Event::TakeRecords(id, handle)),
            IoRequest::Forward { .. } => {
                self.plan(
                    self.now + self.origin_millis,
                    Event::Done(id, handle, IoResult::Forwarded(self.write_status)),
                );
                return;
            }
            IoRequest::Log { request } => {
                let arrives = self.now + self.log.millis + self.log.late.pop_front().unwrap_or_default();
                self.plan(arrives, Event::LogReceives(id, handle, self.now + timeout_millis, request));
                return;
            }
            IoRequest::Wait { .. } if timeout_millis == 0 => (0, IoResult::Waited),
            IoRequest::Wait { outlives_request } => {
                self.timers += 1;
                self.returns += usize::from(outlives_request);
                let early = self.timers_early.min(timeout_millis / 2);
                self.plan(self.now + timeout_millis - early, Event::Timer(id, handle));
                return;
            }
        };
        let (takes, outcome) = match &mut self.chaos {
            Some(chaos) => chaos.disturb(takes, outcome, if is_l3 { &self.l3 } else { &self.store }),
            None => (takes, outcome),
        };
        let (takes, outcome) = match outcome {
            IoResult::Read(_) if takes > timeout_millis => (timeout_millis, IoResult::Read(Err(ReadFailure::Failed))),
            IoResult::Fetched(Err(FetchFailure::TimedOut)) => (timeout_millis, outcome),
            IoResult::Fetched(_) if takes > timeout_millis => {
                (timeout_millis, IoResult::Fetched(Err(FetchFailure::TimedOut)))
            }
            outcome => (takes, outcome),
        };
        self.plan(self.now + takes, Event::Done(id, handle, outcome));
    }

    /// Lets the aggregator ingest the records and send its messages.
    fn ingest_records(&mut self) {
        let now = self.clock();
        let batch = self.service.take_records(now);
        if self.isolate > 0 {
            return;
        }
        self.aggregator.ingest(&batch, now);
        self.service.set_sla_status(self.aggregator.sla_status());
        while let Some(Message { sink, number, body, .. }) = self.aggregator.next_message(now) {
            if !self.is_sink_down && sink == Sink::Windows {
                self.merged = self.aggregator.merge(&self.merged, &body, now).expect("windows of this deployment");
            } else if !self.is_sink_down {
                self.sent.push((sink, String::from_utf8(body).unwrap()));
            }
            self.aggregator.ack(sink, number, !self.is_sink_down, now);
        }
        let next = self.aggregator.next_at(now).map(|next| next.0.max(self.now + 1));
        if let Some(next) = next.filter(|&next| self.alerts_due_at.is_none_or(|at| at <= self.now || next < at)) {
            self.alerts_due_at = Some(next);
            self.plan(next, Event::EvaluateAlerts);
        }
    }

    /// The report at a path.
    pub(crate) fn report(&mut self, path: &str) -> String {
        self.ingest_records();
        let report = Report::at(path).unwrap_or_else(|| panic!("{path} is no report"));
        String::from_utf8(self.aggregator.report(report, None, Timestamp(self.now))).unwrap()
    }

    /// The same of all isolates whose windows were merged.
    pub(crate) fn report_of_all(&mut self, path: &str) -> String {
        self.ingest_records();
        let report = Report::at(path).unwrap_or_else(|| panic!("{path} is no report"));
        String::from_utf8(self.aggregator.report(report, Some(&self.merged), Timestamp(self.now))).unwrap()
    }

    /// What a store gives that has these values.
    fn store_reply(&self, values: Vec<Option<Vec<u8>>>, is_down: bool) -> IoResult {
        let bytes: usize = values.iter().flatten().map(Vec::len).sum();
        IoResult::Read(match (is_down, bytes > self.max_read_bytes) {
            (true, _) => Err(ReadFailure::Failed),
            (_, true) => Err(ReadFailure::TooLarge),
            _ => Ok(values),
        })
    }

    fn fetch(&mut self, body: Vec<u8>) -> IoResult {
        self.origin_calls.push(String::from_utf8(body.clone()).unwrap());
        let reply = |status, body| {
            IoResult::Fetched(Ok(OriginReply { status, content_type: Some("application/json".to_owned()), body }))
        };
        if let Some((status, text)) = self.scripted.pop_front() {
            return reply(status, text.into_bytes());
        }
        match &self.origin {
            Origin::Labels => reply(200, labelled_answer(&body, self.now)),
            Origin::Computes => {
                let (status, body) = synthetic::answer(&body, &self.service.config().limits, Timestamp(self.now));
                reply(status, body)
            }
            Origin::Answers(status, text) => reply(*status, text.clone().into_bytes()),
            Origin::IsDown => IoResult::Fetched(Err(FetchFailure::Unreachable)),
            Origin::IsSlow => IoResult::Fetched(Err(FetchFailure::TimedOut)),
        }
    }
}

fn read(reply: &Reply, is_immediate: bool) -> Answer {
    let content_type = reply.content_type().map(|value| ("content-type".to_owned(), value.to_owned()));
    let headers = reply.headers().into_iter().map(|header| (header.name.to_owned(), header.value.to_string()));
    Answer {
        status: reply.status(),
        text: String::from_utf8(reply.body().to_vec()).unwrap(),
        headers: headers.chain(content_type).collect(),
        is_immediate,
    }
}

/// What the status of a request reads as that goes on to the origin as it came.
pub(crate) const FORWARDED: u16 = 299;

/// An answer each of whose values is a string of view, feature, entity and time.
fn labelled_answer(body: &[u8], now: u64) -> Vec<u8> {
    let request: Value = serde_json::from_slice(body).unwrap();
    let (name, ids) = request["entities"].as_object().unwrap().iter().next().unwrap();
    let ids = ids.as_array().unwrap();
    let (mut names, mut results) = (vec![name.clone()], vec![column(ids.clone())]);
    for reference in request["features"].as_array().unwrap() {
        let (view, feature) = reference.as_str().unwrap().split_once(':').unwrap();
        let is_full = request["full_feature_names"] == true;
        names.push(if is_full { format!("{view}__{feature}") } else { feature.to_owned() });
        results.push(column(ids.iter().map(|id| format!("{view}/{feature}/{id}/{now}").into()).collect()));
    }
    serde_json::to_vec(&serde_json::json!({"results": results, "metadata": {"feature_names": names}})).unwrap()
}

fn column(values: Vec<Value>) -> Value {
    let rows = values.len();
    serde_json::json!({
        "values": values,
        "statuses": vec!["PRESENT"; rows],
        "event_timestamps": vec!["2026-11-23T08:00:00Z"; rows],
    })
}

/// A Feast request for `features` of one view and entities by number.
pub(crate) fn request(features: &[&str], ids: impl IntoIterator<Item = u64>) -> String {
    let features: Vec<String> = features.iter().map(|feature| format!("\"stats:{feature}\"")).collect();
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    format!(r#"{{"features":[{}],"entities":{{"driver_id":[{}]}}}}"#, features.join(","), ids.join(","))
}

/// An answer of an origin with one row of one view.
pub(crate) fn one_row(id: &str, features: &[(&str, &str)]) -> String {
    let zero = "1970-01-01T00:00:00Z";
    let mut results = vec![format!(r#"{{"values":[{id}],"statuses":["PRESENT"],"event_timestamps":["{zero}"]}}"#)];
    let mut names = vec!["\"driver_id\"".to_owned()];
    for (name, value) in features {
        results.push(format!(
            r#"{{"values":[{value}],"statuses":["PRESENT"],"event_timestamps":["2026-11-23T08:00:00Z"]}}"#
        ));
        names.push(format!("\"{name}\""));
    }
    format!(r#"{{"results":[{}],"metadata":{{"feature_names":[{}]}}}}"#, results.join(","), names.join(","))
}
