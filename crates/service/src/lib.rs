//! The service: bytes in, I/O orders out, bytes in, a reply out.
//!
//! Stands between the protocols, which know JSON, and the engine, which knows rows. It does no I/O and reads no clock, so
//! the same service runs in a Worker, in Node, in a browser and in a simulation. Invariant: every request that begins
//! ends in exactly one [`End`], and what is all in L1 ends within [`Service::begin`].

use std::borrow::Cow;

use columnar::Vectors;
use config::Config;
use engine::Engine;
use engine::slab::{Held, Slab};
use model::refusal::Refusal;
use model::request::{Ask, Priority};
use model::time::Instant;
use origin::planner::Planner;
use origin::synthetic;
use protocol::call::Call;
use protocol::native::Numbers;
use protocol::native::{self, Options};
use protocol::sheet::Sheet;
use protocol::{feast, problem};
use telemetry::sla;
use telemetry::trace::Context;

mod clock;
mod explain;
mod io;
mod ledger;
mod memory;
mod prefetch;
mod record;
mod registry;
mod reply;
mod rows;
mod setup;
mod stream;
mod upstream;
mod warm;
mod writes;

pub use io::{
    Chunk, End, FetchFailure, Incoming, Order, OrderId, OriginReply, OriginRequest, Outcome, Right, Step, Task, Ticket,
};
pub use ledger::LedgerCounts;
pub use reply::{Header, Reply};
pub use telemetry::snapshot::{MemoryUse, Share};

use clock::MonotonicClock;
use io::{Part, WriteBegun};
use ledger::{Ledger, Reader};
use prefetch::Ahead;
use record::Recorder;
use registry::AwaitingMetadata;
use rows::Waiting;
use warm::Job;
use writes::Change;

/// A request that waits.
#[derive(Debug)]
enum Pending {
    /// For rows.
    Rows(Box<Waiting>),
    /// For the registry's answer, with the request that waits for it.
    Registry { waiter: Option<Ticket>, began: Instant },
    /// For the registry to tell how views are keyed, or for its own patience to end.
    AwaitingMetadata(Box<AwaitingMetadata>),
    /// For the origin's health.
    Health { began: Instant },
    /// For its answer to be out, to fetch ahead of the next.
    Ahead { ahead: Box<Ahead>, began: Instant },
    /// For the origin to take a write.
    Write { change: Change, began: Instant },
    /// For the ledger to take a write, before the request ends so.
    Told { end: Box<End>, began: Instant },
    /// For the ledger's word.
    Reader(Box<Reader>),
    /// For the registry or the ledger, before a body that warms is read.
    Unread { body: Vec<u8>, caller: String, began: Instant },
    /// For the stores to take what warms them.
    Warm(Box<Job>),
}

impl Pending {
    /// Whether its host has said nothing for longer than it can take.
    fn is_lost(&self, ledger: Option<&Ledger>, now: Instant, patience: u64, warm_millis: u64) -> bool {
        let mut patience = patience;
        let began = match self {
            Pending::Rows(waiting) => {
                patience += if waiting.is_warming() { warm_millis } else { 0 };
                waiting.began
            }
            Pending::Registry { began, .. }
            | Pending::Health { began }
            | Pending::Write { began, .. }
            | Pending::Ahead { began, .. }
            | Pending::Told { began, .. }
            | Pending::Unread { began, .. } => *began,
            Pending::AwaitingMetadata(request) => request.began,
            Pending::Warm(job) => {
                patience += warm_millis;
                job.began
            }
            Pending::Reader(reader) => return ledger.is_none_or(|ledger| reader.is_lost(ledger, now, patience)),
        };
        now.millis_since(began) > patience
    }

    /// Puts its beginning back by so many milliseconds: the clock that it began by was ahead.
    fn set_back(&mut self, millis: u64) {
        let began = match self {
            Pending::Rows(waiting) => &mut waiting.began,
            Pending::AwaitingMetadata(request) => &mut request.began,
            Pending::Warm(job) => &mut job.began,
            Pending::Registry { began, .. }
            | Pending::Health { began }
            | Pending::Write { began, .. }
            | Pending::Ahead { began, .. }
            | Pending::Told { began, .. }
            | Pending::Unread { began, .. } => began,
            // By the host's clock, which is not put back.
            Pending::Reader(_) => return,
        };
        *began = began.minus(millis);
    }
}

/// What each takes in the table beside what it holds, in bytes.
const PENDING_OVERHEAD: usize = size_of::<Pending>() + 64;

impl Held for Pending {
    fn held_bytes(&self) -> usize {
        let held = match self {
            Pending::Rows(waiting) => waiting.held_bytes(),
            Pending::AwaitingMetadata(request) => request.held_bytes(),
            Pending::Unread { body, caller, .. } => body.capacity() + caller.capacity(),
            Pending::Write { change, .. } => change.held_bytes(),
            Pending::Reader(reader) => reader.held_bytes(),
            Pending::Warm(job) => job.held_bytes(),
            Pending::Registry { .. } | Pending::Health { .. } | Pending::Ahead { .. } | Pending::Told { .. } => {
                SMALL_BYTES
            }
        };
        PENDING_OVERHEAD + held
    }

    fn enter(&self) -> usize {
        let Pending::Rows(waiting) = self else { return 0 };
        let plan = &waiting.plan;
        if plan.waiting.replace(plan.waiting.get() + 1) == 0 { plan.size() } else { 0 }
    }

    fn leave(&self) -> usize {
        let Pending::Rows(waiting) = self else { return 0 };
        let plan = &waiting.plan;
        if plan.waiting.replace(plan.waiting.get().saturating_sub(1)) == 1 { plan.size() } else { 0 }
    }
}

/// What those take that hold nothing of their caller's, in bytes: predictions, or a short reply.
const SMALL_BYTES: usize = 512;

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Feast,
    Native(Options),
}

impl Protocol {
    /// How urgent a request is.
    fn priority(self) -> Priority {
        match self {
            Protocol::Feast => Priority::Normal,
            Protocol::Native(options) => options.priority,
        }
    }
}

/// The serving core behind one host.
#[derive(Debug)]
pub struct Service {
    config: Config,
    engine: Engine,
    planner: Planner,
    clock: MonotonicClock,
    ledger: Option<Ledger>,
    /// The job whose next part is to be begun, within a step.
    warming: Option<Box<Job>>,
    recorder: Recorder,
    /// Whether the isolate keeps its service level, as the aggregator said last.
    sla_status: sla::Status,
    /// Where in a trace the request stands that is just beginning.
    context: Option<Context>,
    pending: Slab<Pending>,
    tickets: u64,
    seed: u64,
    /// Memory of requests that ended, for the next.
    spare_call: Option<Box<Call>>,
    spare_ask: Option<Box<Ask>>,
    spare_sheet: Sheet,
    scratch: String,
    /// Whose rows the request is served that begins now.
    caller: String,
    /// What answers in columns have parsed: a Worker, whose callers are remote, gives none.
    vectors: Vectors,
    spare_entities: Vec<u8>,
    /// When what is learned is left in the store; `None` before the first session.
    model_at: Option<Instant>,
    /// Requests that were overdue when it was last looked for those that are lost, and when that was.
    suspects: Vec<u64>,
    suspected_at: Instant,
}

impl Service {
    /// A service with an empty L1. `seed` makes row hashes and request ids hard to foresee from outside.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Service {
        let ledger = Ledger::new(&config);
        Service {
            vectors: Vectors::new(config.l1.max_bytes / 4),
            engine: Engine::new(setup::engine_settings(&config, ledger.is_some(), seed)),
            planner: Planner::new(setup::project(&config, seed)),
            clock: MonotonicClock::default(),
            ledger,
            warming: None,
            recorder: Recorder::new(&config),
            sla_status: sla::Status::default(),
            context: None,
            config,
            pending: Slab::default(),
            tickets: 0,
            seed,
            spare_call: None,
            spare_ask: None,
            spare_sheet: Sheet::default(),
            scratch: String::new(),
            caller: String::new(),
            spare_entities: Vec::new(),
            model_at: None,
            suspects: Vec::new(),
            suspected_at: Instant::default(),
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Has nobody who does not know `secret` foresee which shard of the storage tier a row is in. To be called before anything is asked.
    pub fn hide_shards(&mut self, secret: &str) {
        self.engine.hide_shards(secret);
    }

    /// The engine, to look at.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How many bytes of a request's body are to be read for [`Service::begin`], and at most one more, which it refuses; 0
    /// where the body is not looked at here.
    #[must_use]
    pub fn body_limit(&self, method: &str, path: &str) -> usize {
        match (method, path) {
            ("POST", "/get-online-features" | "/v1/features" | "/v1/invalidate") => self.config.limits.body_bytes,
            ("POST", "/push" | "/write-to-online-store" | "/v1/warm") => self.config.limits.write_body_bytes,
            _ => 0,
        }
    }

    /// What a request needs to be allowed. What is not known here only an operator may ask of the origin.
    #[must_use]
    pub fn right(method: &str, path: &str) -> Right {
        match (method, path) {
            ("GET" | "HEAD", "/health" | "/ready") => Right::Nothing,
            ("GET" | "HEAD", path) if is_asset(path) => Right::Nothing,
            ("POST", "/get-online-features" | "/v1/features" | "/retrieve-online-documents") => Right::Read,
            ("POST", "/push" | "/write-to-online-store") => Right::Write,
            ("POST", "/v1/invalidate" | "/v1/warm") | ("GET", "/v1/predictions") => Right::Operate,
            // Refused for the method, whoever asks.
            (
                _,
                "/v1/features" | "/v1/invalidate" | "/v1/warm" | "/v1/predictions" | "/health" | "/ready"
                | "/openapi.json",
            ) => Right::Nothing,
            ("GET" | "HEAD" | "OPTIONS", _) => Right::Read,
            _ => Right::Operate,
        }
    }

    /// Begins a request at `now`.
    pub fn begin(&mut self, incoming: Incoming<'_>, now: Instant) -> Step {
        let now = self.now(now);
        self.caller.clear();
        self.caller.push_str(incoming.caller);
        self.begin_trace(incoming.traceparent);
        let mut step = self.route(incoming, now);
        self.context = None;
        self.end_step(&mut step, now);
        step
    }

    fn route(&mut self, incoming: Incoming<'_>, now: Instant) -> Step {
        let is_read = matches!(incoming.method, "GET" | "HEAD");
        match (incoming.method, incoming.path) {
            // The origin decides by credentials that are not ours to judge, so its answers are not ours to share.
            ("POST", "/get-online-features") if incoming.has_authorization => self.forward(incoming, now),
            ("POST", "/get-online-features") => self.serve(Protocol::Feast, incoming, now),
            ("POST", "/v1/features") => {
                let is_streamed = incoming.accepts_lines && self.config.routing.streaming;
                let options = Options::default().streamed(is_streamed);
                self.serve(Protocol::Native(options), incoming, now)
            }
            ("POST", "/push" | "/write-to-online-store") => self.write(incoming, now),
            ("POST", "/v1/invalidate") => self.invalidate(incoming, now),
            ("POST", "/v1/warm") => self.warm(incoming, now),
            (_, "/v1/features" | "/v1/invalidate" | "/v1/warm") => reply::method_not_allowed("POST").into(),
            ("GET", "/v1/predictions") => self.explain(incoming, now),
            (_, "/v1/predictions") => reply::method_not_allowed("GET").into(),
            (_, "/health") if is_read => Reply::empty(200).into(),
            (_, "/ready") if is_read => self.ready(now),
            (_, path) if is_read && is_asset(path) => Step { end: Some(End::Asset), ..Step::default() },
            (_, "/health" | "/ready" | "/openapi.json") => reply::method_not_allowed("GET, HEAD").into(),
            _ => self.forward(incoming, now),
        }
    }

    /// Begins a request of the native API at `now`, to be answered in [columns](columnar) of `numbers`.
    pub fn begin_columns(&mut self, body: &[u8], numbers: Numbers, now: Instant) -> Step {
        let now = self.now(now);
        self.caller.clear();
        let incoming = Incoming { body, ..Incoming::default() };
        let mut step = self.serve(Protocol::Native(Options::default().in_columns(Some(numbers))), incoming, now);
        self.end_step(&mut step, now);
        step
    }

    /// Tells what came of an order, at `now`. An order of a request that has ended changes nothing.
    pub fn complete(&mut self, id: OrderId, outcome: Outcome, now: Instant) -> Step {
        let now = self.now(now);
        let mut step = self.told(id, outcome, now);
        self.end_step(&mut step, now);
        step
    }

    fn told(&mut self, id: OrderId, outcome: Outcome, now: Instant) -> Step {
        match (id.part, outcome) {
            (Part::Write(write), Outcome::Written(failed)) => self.written(id.ticket, write, failed, now),
            (Part::Flush(tier, allowance), _) => {
                let orders = self.engine.flush(tier, allowance, now);
                Step { orders: self.behind(id.ticket, orders), ..Step::default() }
            }
            (Part::Wake, _) => self.go_on_with(id.ticket, true, now),
            (Part::Ahead, _) => self.fetch_ahead(id.ticket, now),
            (Part::Model, outcome) => {
                self.complete_model(outcome, now);
                Step::default()
            }
            (Part::Forward, _) => self.forwarded(id.ticket, now),
            (Part::Ledger, outcome) => self.heard(id.ticket, &outcome, now),
            (Part::Retry(attempt), _) => self.tell_again(id.ticket, attempt, now),
            (Part::Records, _) => Step::default(),
            (Part::Registry, outcome) => self.complete_registry(id, outcome, now),
            (Part::Health, outcome) => match self.pending.remove(id.ticket.0) {
                Some(Pending::Health { .. }) => reply::readiness(&outcome).into(),
                _ => Step::default(),
            },
            (part, outcome) => self.complete_rows(id.ticket, part, outcome, now),
        }
    }

    /// A store has answered to a write.
    fn written(&mut self, ticket: Ticket, write: WriteBegun, failed: usize, now: Instant) -> Step {
        let WriteBegun { tier, rows, allowance, began } = write;
        self.recorder.operation(tier, began, failed > 0, now);
        let orders = self.engine.written(tier, (rows, failed), allowance, now);
        let orders = self.behind(ticket, orders);
        if allowance.is_some() {
            return Step { orders, ..Step::default() };
        }
        let mut step = self.warm_written(ticket, tier, failed, now);
        step.orders.extend(orders);
        step
    }

    /// Whether a request is under way, be it behind its reply.
    #[must_use]
    pub fn is_under_way(&self, ticket: Ticket) -> bool {
        self.pending.get(ticket.0).is_some()
    }

    /// Lets a request go on that an earlier step named among the [`woken`](Step::woken).
    pub fn wake(&mut self, ticket: Ticket, now: Instant) -> Step {
        let now = self.now(now);
        self.go_on_with(ticket, false, now)
    }

    /// Lets a request go on since another has woken it, or a timer of its own has gone off.
    fn go_on_with(&mut self, ticket: Ticket, is_timer: bool, now: Instant) -> Step {
        match self.pending.remove(ticket.0) {
            Some(Pending::Reader(reader)) => self.wake_reader(ticket, reader, is_timer, now),
            Some(Pending::Rows(waiting)) => self.wake_rows(ticket, waiting, is_timer, now),
            Some(Pending::AwaitingMetadata(request)) if is_timer => self.serve_without_registry(*request, now),
            Some(Pending::Unread { body, caller, began }) if is_timer => self.warm_unread(&body, caller, began, now),
            Some(other) => {
                self.pending.insert(ticket.0, other);
                Step::default()
            }
            None => Step::default(),
        }
    }

    /// The time that counts: the host's as far as it never runs back, or the ledger's, where there is one.
    fn now(&mut self, host: Instant) -> Instant {
        let host = self.clock.advance(host);
        self.ledger.as_ref().map_or(host, |ledger| ledger.now(host))
    }

    /// Lets a reply in parts go on: its reader has taken the last [`chunk`](Step::chunk), or there is room for more.
    pub fn taken(&mut self, ticket: Ticket, now: Instant) -> Step {
        let now = self.now(now);
        self.taken_lines(ticket, now)
    }

    /// Forgets a request whose caller is gone, and does nothing more for it; others may go on in its place.
    pub fn abandon(&mut self, ticket: Ticket, now: Instant) -> Vec<Ticket> {
        let now = self.now(now);
        self.give_up_on(ticket, now)
    }

    fn give_up_on(&mut self, ticket: Ticket, now: Instant) -> Vec<Ticket> {
        match self.pending.remove(ticket.0) {
            Some(Pending::Rows(_)) => {
                self.engine.abandon(ticket.session(), now).into_iter().map(|session| Ticket(session.0)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What the built-in origin answers to `body`.
    #[must_use]
    pub fn synthesize(&self, body: &[u8], now: Instant) -> OriginReply {
        let (status, body) = synthetic::answer(body, &self.config.limits, now);
        OriginReply { status, content_type: Some("application/json".to_owned()), body }
    }

    /// Takes back the memory of a reply that was sent, for the next.
    pub fn recycle(&mut self, reply: Reply) {
        if let Some(sheet) = reply.into_sheet()
            && sheet.capacity() > self.spare_sheet.capacity()
            && sheet.capacity() <= MAX_SPARE_SHEET
        {
            self.spare_sheet = sheet;
        }
    }

    /// Whether so many bytes more may wait for a request of this priority.
    fn has_room(&mut self, priority: Priority, bytes: usize) -> bool {
        self.engine.hold_outside(self.pending.bytes());
        self.engine.has_room(priority, bytes)
    }

    /// Lets go of memory of requests that ended which few others need.
    #[inline]
    fn trim(&mut self) {
        if let Some(call) = &mut self.spare_call {
            call.trim(MAX_SPARE);
        }
        if let Some(ask) = &mut self.spare_ask {
            ask.keys.trim(MAX_SPARE);
        }
        if self.scratch.capacity() > MAX_SPARE {
            self.scratch = String::new();
        }
        if self.spare_entities.capacity() > MAX_SPARE {
            self.spare_entities = Vec::new();
        }
    }

    /// Puts what is under way back by so many milliseconds, and what is to be done at some time: the clock that it went by was ahead.
    fn set_back(&mut self, millis: u64) {
        if millis == 0 {
            return;
        }
        self.engine.set_back(millis);
        self.pending.values_mut().for_each(|pending| pending.set_back(millis));
        self.planner.set_back(millis);
        self.recorder.set_back(millis);
        self.suspected_at = self.suspected_at.minus(millis);
        self.model_at = self.model_at.map(|at| at.minus(millis));
    }

    /// Has what waits to be written no longer wait for its time: the host is about to end. It ends the [waits](Task::Wait) that outlive
    /// their requests, and lets what is ordered then be done.
    pub fn close(&mut self) {
        self.engine.close();
    }

    /// How many requests are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.pending.len()
    }

    fn serve(&mut self, protocol: Protocol, incoming: Incoming<'_>, now: Instant) -> Step {
        let body = incoming.body;
        let session = incoming.session.and_then(|key| self.session(key));
        let mut call = self.spare_call.take().unwrap_or_default();
        let (protocol, read) = self.read(protocol, body, &mut call);
        if let Err(refusal) = read {
            self.spare_call = Some(call);
            return refuse(protocol, &refusal, body).into();
        }
        call.caller = core::mem::take(&mut self.caller);
        // What is learned belongs to all callers, so who shares no rows with them teaches nothing.
        call.session = self.session_of(protocol, body).or(session).filter(|_| call.caller.is_empty());
        if self.planner.must_learn(now) {
            return self.serve_learning(protocol, call, body, now);
        }
        self.serve_call(protocol, call, Cow::Borrowed(body), now, now)
    }

    fn read(&self, protocol: Protocol, body: &[u8], call: &mut Call) -> (Protocol, Result<(), Refusal>) {
        let limits = &self.config.limits;
        if body.len() > limits.body_bytes {
            let refusal = Refusal::Limit { limit: "body_bytes", allowed: limits.body_bytes, found: body.len() };
            return (protocol, Err(refusal));
        }
        match protocol {
            Protocol::Feast => (protocol, feast::read(body, limits, call)),
            Protocol::Native(options) => match native::read(body, limits, &self.config.native.entity_column, call) {
                Ok(read) => {
                    let read = read.in_columns(options.columns).streamed(options.is_streamed);
                    (Protocol::Native(read), Ok(()))
                }
                Err(refusal) => (Protocol::Native(options), Err(refusal)),
            },
        }
    }

    /// A name for a request that has none.
    fn request_id(&mut self) -> String {
        self.tickets += 1;
        let mixed = foldhash_mix(self.seed, self.tickets);
        format!("fe-{mixed:016x}")
    }

    fn next_ticket(&mut self, now: Instant) -> Ticket {
        self.tickets += 1;
        if self.tickets.is_multiple_of(SWEEP_EVERY) {
            self.sweep(now);
        }
        Ticket(self.tickets)
    }

    /// Forgets the requests whose host has gone silent: a runtime drops the work of a caller who hangs up, and tells no one.
    ///
    /// One that is overdue is only suspected at first. Where the clock has gone ahead, all that is under way is overdue at once, and its
    /// host still has its timers to tell of.
    fn sweep(&mut self, now: Instant) {
        if now.millis_since(self.suspected_at) < SLACK_MILLIS {
            return;
        }
        let Config { l2, l3, origin, .. } = &self.config;
        let patience = 2 * (l2.timeout_ms + l3.timeout_ms + origin.timeout_ms) + SLACK_MILLIS;
        let warm_millis = self.config.deadlines.warm_ms;
        let is_lost = |pending: &Pending| pending.is_lost(self.ledger.as_ref(), now, patience, warm_millis);
        let overdue: Vec<u64> =
            self.pending.iter().filter(|(_, pending)| is_lost(pending)).map(|(number, _)| number).collect();
        self.suspected_at = now;
        let suspects = core::mem::take(&mut self.suspects);
        let (lost, suspected) = overdue.into_iter().partition::<Vec<u64>, _>(|number| suspects.contains(number));
        self.suspects = suspected;
        for number in lost {
            // Those who followed it see by their own timers that its leases have run out.
            self.give_up_on(Ticket(number), now);
        }
    }
}

/// How many tickets are given between two looks for requests that were lost.
const SWEEP_EVERY: u64 = 64;

/// What a request may take beside its stores and its origin before it counts as lost, in milliseconds.
const SLACK_MILLIS: u64 = 10_000;

/// The largest answer whose memory is kept for the next: 2 MiB, past which answers are rare and the memory is better free.
const MAX_SPARE_SHEET: usize = 2 << 20;

/// The most of any other memory that is kept for the next request, in bytes.
const MAX_SPARE: usize = 320 << 10;

fn foldhash_mix(seed: u64, number: u64) -> u64 {
    use core::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::quality::FixedState::with_seed(seed).build_hasher();
    hasher.write_u64(number);
    hasher.finish()
}

/// Files of the page: the root, and what its build puts beside it; the API's description is one.
fn is_asset(path: &str) -> bool {
    matches!(path, "/" | "/index.html" | "/openapi.json" | "/favicon.svg" | "/favicon.ico")
        || path.starts_with("/assets/")
}

fn refuse(protocol: Protocol, refusal: &Refusal, body: &[u8]) -> Reply {
    match protocol {
        Protocol::Feast => Reply::json(refusal.status(), Cow::Owned(feast::refusal(refusal, body))),
        Protocol::Native(_) => Reply::problem(refusal.status(), problem::refusal(refusal)),
    }
}

impl From<Reply> for Step {
    fn from(reply: Reply) -> Self {
        Step { end: Some(End::Reply(reply)), ..Step::default() }
    }
}
