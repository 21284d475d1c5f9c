//! The service: bytes in, I/O orders out, bytes in, a reply out.
//!
//! Stands between the protocols, which know JSON, and the engine, which knows rows. It does no I/O and reads no clock, so
//! the same service runs in a Worker, in Node, in a browser and in a simulation. Invariant: every request that begins
//! ends in exactly one [`End`], and what is all in L1 ends within [`Service::begin`].

use std::borrow::Cow;
use std::rc::Rc;

use hashbrown::HashMap;

use crate::config::{Config, OriginKind};
use crate::engine::{self, Begun, Engine, Fetch, SessionId};
use crate::error::Refusal;
use crate::model::answer::{Answer, OriginFailure};
use crate::model::key::StoreKey;
use crate::model::request::{Ask, Consistency};
use crate::model::time::Instant;
use crate::protocol::call::Call;
use crate::protocol::native::{self, Options};
use crate::protocol::origin::{self, Table, Wanted};
use crate::protocol::plan::{Naming, Plan, Planned, Planner};
use crate::protocol::sheet::Sheet;
use crate::protocol::{feast, problem, registry, synthetic};

mod reply;
mod setup;

pub use reply::{Header, Reply};

/// A request as the host received it.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The HTTP method, in capitals.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The whole body.
    pub body: &'a [u8],
    /// Whether the caller sent credentials of its own.
    pub has_authorization: bool,
}

/// Something for the host to do. Orders of one step are to be performed at the same time.
#[derive(Debug)]
pub struct Order {
    /// What to tell the outcome under.
    pub id: OrderId,
    /// What to do.
    pub task: Task,
    /// How long it may take, in milliseconds; after that its outcome is a failure.
    pub timeout_millis: u64,
}

/// Names an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderId {
    ticket: Ticket,
    part: Part,
}

/// Names a request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Read(u32),
    Origin,
    Registry,
    Write,
}

/// What a host can be told to do.
#[derive(Debug)]
pub enum Task {
    /// Read these keys from L2 in one bulk operation.
    ReadStore(Vec<StoreKey>),
    /// Write these to L2 behind the reply; the outcome need not be told.
    WriteStore {
        /// Each row's key and stored form.
        entries: Vec<(StoreKey, Vec<u8>)>,
        /// How long the store shall keep them, in seconds.
        ttl_seconds: u64,
    },
    /// Make this HTTP request.
    Fetch(OriginRequest),
    /// Wait this long, in milliseconds, then call [`Service::synthesize`] with the body and tell the outcome.
    Synthesize {
        /// How long the built-in origin takes.
        delay_millis: u64,
        /// The request.
        body: Vec<u8>,
    },
}

/// An HTTP request to the origin or its registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginRequest {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The URL, from the configuration.
    pub url: String,
    /// The JSON body, for `POST`.
    pub body: Vec<u8>,
    /// The largest answer that is read, in bytes.
    pub max_bytes: usize,
}

/// What came of an order.
#[derive(Debug)]
pub enum Outcome {
    /// Of a read: for each key in order its bytes; `None` as a whole where the read failed.
    Read(Option<Vec<Option<Vec<u8>>>>),
    /// Of a request to the origin.
    Fetched(Result<OriginReply, FetchFailure>),
}

/// What the origin answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginReply {
    /// Its HTTP status.
    pub status: u16,
    /// Its content type.
    pub content_type: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why the origin answered nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// The order's time ran out.
    TimedOut,
    /// No connection, or one that broke.
    Unreachable,
    /// More than `max_bytes`.
    TooLarge,
}

/// How a request goes on.
#[derive(Debug, Default)]
pub struct Step {
    /// The request's name, while it is under way.
    pub ticket: Option<Ticket>,
    /// What is to be done now.
    pub orders: Vec<Order>,
    /// How the request ends, once it does.
    pub end: Option<End>,
}

/// How a request ends.
#[derive(Debug)]
pub enum End {
    /// With this reply.
    Reply(Reply),
    /// With whatever the origin answers to the request as it came, streamed through.
    Forward {
        /// The origin's base URL.
        base: String,
    },
    /// With a file of the page.
    Asset,
}

/// A request that waits.
#[derive(Debug)]
enum Pending {
    /// For rows.
    Rows(Waiting),
    /// For the registry to tell how views are keyed; with the request that cannot go on without.
    Registry { request: Option<(Protocol, Vec<u8>)>, began: Instant },
    /// For the origin's health.
    Health { began: Instant },
}

impl Pending {
    fn began(&self) -> Instant {
        match self {
            Pending::Rows(Waiting { began, .. }) | Pending::Registry { began, .. } | Pending::Health { began } => {
                *began
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Feast,
    Native(Options),
}

#[derive(Debug)]
struct Waiting {
    session: SessionId,
    protocol: Protocol,
    call: Call,
    body: Vec<u8>,
    plan: Rc<Plan>,
    began: Instant,
    fetch: Fetch,
    timings: Timings,
}

/// When the parts of a request began and ended.
#[derive(Clone, Copy, Debug, Default)]
struct Timings {
    read_began: Option<Instant>,
    read_millis: Option<u64>,
    fetch_began: Option<Instant>,
    fetch_millis: Option<u64>,
    origin_status: Option<u16>,
}

/// The serving core behind one host.
#[derive(Debug)]
pub struct Service {
    config: Config,
    engine: Engine,
    planner: Planner,
    pending: HashMap<u64, Pending, foldhash::fast::FixedState>,
    tickets: u64,
    seed: u64,
    /// Memory of requests that ended, for the next.
    spare_call: Call,
    spare_sheet: Sheet,
    spare_keys: crate::model::request::Keys,
    scratch: String,
}

impl Service {
    /// A service with an empty L1. `seed` makes row hashes and request ids hard to foresee from outside.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Service {
        Service {
            engine: Engine::new(setup::engine_settings(&config)),
            planner: Planner::new(setup::project(&config, seed)),
            config,
            pending: HashMap::default(),
            tickets: 0,
            seed,
            spare_call: Call::default(),
            spare_sheet: Sheet::default(),
            spare_keys: crate::model::request::Keys::default(),
            scratch: String::new(),
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The engine, to look at.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Begins a request at `now`.
    pub fn begin(&mut self, incoming: Incoming<'_>, now: Instant) -> Step {
        let is_read = matches!(incoming.method, "GET" | "HEAD");
        match (incoming.method, incoming.path) {
            // The origin decides by credentials that are not ours to judge, so its answers are not ours to share.
            ("POST", "/get-online-features") if incoming.has_authorization => self.forward(incoming, now),
            ("POST", "/get-online-features") => self.serve(Protocol::Feast, incoming.body, now),
            ("POST", "/v1/features") => self.serve(Protocol::Native(Options::default()), incoming.body, now),
            (_, "/v1/features") => reply::method_not_allowed("POST").into(),
            (_, "/health") if is_read => Reply::empty(200).into(),
            (_, "/ready") if is_read => self.ready(now),
            (_, path) if is_read && is_asset(path) => Step { end: Some(End::Asset), ..Step::default() },
            (_, "/health" | "/ready" | "/openapi.json") => reply::method_not_allowed("GET, HEAD").into(),
            _ => self.forward(incoming, now),
        }
    }

    /// Tells what came of an order, at `now`. An order of a request that has ended changes nothing.
    pub fn complete(&mut self, id: OrderId, outcome: Outcome, now: Instant) -> Step {
        let number = id.ticket.0;
        match self.pending.get_mut(&number) {
            Some(Pending::Rows(_)) => self.complete_rows(id, outcome, now),
            Some(Pending::Registry { .. }) => self.complete_registry(id, outcome, now),
            Some(Pending::Health { .. }) => {
                self.pending.remove(&number);
                reply::readiness(&outcome).into()
            }
            None => Step::default(),
        }
    }

    /// Forgets a request whose caller is gone.
    pub fn abandon(&mut self, ticket: Ticket) {
        if let Some(Pending::Rows(waiting)) = self.pending.remove(&ticket.0) {
            self.engine.abandon(waiting.session);
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

    /// How many requests are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.pending.len()
    }

    fn serve(&mut self, protocol: Protocol, body: &[u8], now: Instant) -> Step {
        if !self.planner.must_learn(now) {
            return self.serve_body(protocol, body, now);
        }
        if !self.planner.has_learned() {
            return self.ask_registry(Some((protocol, body.to_vec())), now);
        }
        // What the registry said last still counts while it is asked again behind this request.
        let refresh = self.ask_registry(None, now);
        let mut step = self.serve_body(protocol, body, now);
        step.orders.extend(refresh.orders);
        step
    }

    fn serve_body(&mut self, protocol: Protocol, body: &[u8], now: Instant) -> Step {
        let mut call = core::mem::take(&mut self.spare_call);
        let (protocol, read) = self.read(protocol, body, &mut call);
        if let Err(refusal) = read {
            self.spare_call = call;
            return refuse(protocol, &refusal, body).into();
        }
        self.serve_call(protocol, call, Cow::Borrowed(body), now)
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
                Ok(options) => (Protocol::Native(options), Ok(())),
                Err(refusal) => (Protocol::Native(options), Err(refusal)),
            },
        }
    }

    fn serve_call(&mut self, protocol: Protocol, call: Call, body: Cow<'_, [u8]>, now: Instant) -> Step {
        let naming = match protocol {
            Protocol::Feast => Naming::Feast,
            Protocol::Native(_) => Naming::AsAsked,
        };
        let planned = if call.is_beyond_us { Planned::Forward } else { self.planner.plan(&call, &body, naming) };
        match planned {
            Planned::Serve(plan) => self.serve_plan(protocol, call, body, plan, now),
            Planned::Forward => {
                self.spare_call = call;
                self.leave_to_origin(protocol, &body, now)
            }
        }
    }

    fn serve_plan(
        &mut self,
        protocol: Protocol,
        call: Call,
        body: Cow<'_, [u8]>,
        plan: Rc<Plan>,
        now: Instant,
    ) -> Step {
        let ask = match self.ask(protocol, &call, &body, &plan) {
            Ok(ask) => ask,
            Err(refusal) => {
                self.spare_call = call;
                return refuse(protocol, &refusal, &body).into();
            }
        };
        match self.engine.begin(ask, now) {
            Begun::Answered(ask, answer) => {
                let reply = self.reply(protocol, &call, &body, &plan, &answer, now, now, &Timings::default());
                self.spare_keys = ask.keys;
                self.engine.recycle(answer);
                self.spare_call = call;
                reply.into()
            }
            Begun::Waiting(session, orders) => {
                let mut waiting = Waiting {
                    session,
                    protocol,
                    call,
                    body: body.into_owned(),
                    plan,
                    began: now,
                    fetch: Fetch::default(),
                    timings: Timings::default(),
                };
                let ticket = self.next_ticket(now);
                let orders = self.orders(ticket, &mut waiting, orders, now);
                self.pending.insert(ticket.0, Pending::Rows(waiting));
                Step { ticket: Some(ticket), orders, end: None }
            }
        }
    }

    /// The engine's view of a call: its keys, row by row.
    fn ask(&mut self, protocol: Protocol, call: &Call, body: &[u8], plan: &Rc<Plan>) -> Result<Ask, Refusal> {
        let mut keys = core::mem::take(&mut self.spare_keys);
        keys.clear();
        for (view, columns) in plan.views.iter().zip(&plan.key_columns) {
            for row in 0..call.rows {
                let scratch = &mut self.scratch;
                let length = keys.push(view, |key| {
                    for &column in columns {
                        if let Some(value) = call.value(column, row) {
                            value.encode(body, key, scratch);
                        }
                    }
                });
                if length > self.config.limits.key_bytes {
                    return Err(Refusal::Limit {
                        limit: "key_bytes",
                        allowed: self.config.limits.key_bytes,
                        found: length,
                    });
                }
            }
        }
        let (max_staleness, consistency) = match protocol {
            Protocol::Feast => (None, Consistency::Eventual),
            Protocol::Native(options) => (Some(options.max_staleness), options.consistency),
        };
        Ok(Ask { views: Rc::clone(&plan.views), rows: call.rows, keys, max_staleness, consistency })
    }

    /// The engine's orders as the host's.
    fn orders(&self, ticket: Ticket, waiting: &mut Waiting, orders: Vec<engine::Order>, now: Instant) -> Vec<Order> {
        let translate = |order| match order {
            engine::Order::Read { batch, keys } => {
                waiting.timings.read_began.get_or_insert(now);
                let id = OrderId { ticket, part: Part::Read(batch) };
                Order { id, task: Task::ReadStore(keys), timeout_millis: self.config.l2.timeout_ms }
            }
            engine::Order::Fetch(fetch) => {
                waiting.timings.fetch_began = Some(now);
                let wanted = Wanted { rows: &fetch.rows, views: &fetch.views, places: &fetch.places };
                let body = origin::request(&waiting.call, &waiting.body, &waiting.plan, &wanted);
                waiting.fetch = fetch;
                self.origin_order(ticket, "POST", "/get-online-features", body)
            }
            engine::Order::Write { entries, ttl_seconds } => Order {
                id: OrderId { ticket, part: Part::Write },
                task: Task::WriteStore { entries, ttl_seconds },
                timeout_millis: self.config.l2.timeout_ms,
            },
        };
        orders.into_iter().map(translate).collect()
    }

    fn origin_order(&self, ticket: Ticket, method: &'static str, path: &str, body: Vec<u8>) -> Order {
        let origin = &self.config.origin;
        let task = match (origin.kind, &origin.url) {
            (OriginKind::Http, Some(base)) => Task::Fetch(OriginRequest {
                method,
                url: setup::join_url(base, path),
                body,
                max_bytes: self.config.limits.origin_body_bytes,
            }),
            _ => Task::Synthesize { delay_millis: origin.delay_ms, body },
        };
        Order { id: OrderId { ticket, part: Part::Origin }, task, timeout_millis: origin.timeout_ms }
    }

    fn complete_rows(&mut self, id: OrderId, outcome: Outcome, now: Instant) -> Step {
        let Some(Pending::Rows(mut waiting)) = self.pending.remove(&id.ticket.0) else { return Step::default() };
        let progress = match (id.part, outcome) {
            (Part::Read(batch), Outcome::Read(values)) => {
                waiting.timings.read_millis = waiting.timings.read_began.map(|began| now.millis_since(began));
                self.engine.read(waiting.session, batch, values, now)
            }
            (Part::Origin, Outcome::Fetched(fetched)) => {
                waiting.timings.fetch_millis = waiting.timings.fetch_began.map(|began| now.millis_since(began));
                waiting.timings.origin_status = fetched.as_ref().ok().map(|reply| reply.status);
                let rows = self.understand(&waiting, fetched, now);
                self.engine.fetched(waiting.session, rows, now)
            }
            _ => engine::Progress::default(),
        };
        let mut orders = self.orders(id.ticket, &mut waiting, progress.orders, now);
        let Some((ask, answer)) = progress.answer else {
            self.pending.insert(id.ticket.0, Pending::Rows(waiting));
            return Step { ticket: Some(id.ticket), orders, end: None };
        };
        let Waiting { protocol, call, body, plan, began, timings, .. } = waiting;
        let end = match failure_reply(protocol, &answer) {
            Some(reply) => {
                orders.clear();
                End::Reply(reply)
            }
            None => End::Reply(self.reply(protocol, &call, &body, &plan, &answer, began, now, &timings)),
        };
        self.spare_keys = ask.keys;
        self.engine.recycle(answer);
        self.spare_call = call;
        Step { ticket: None, orders, end: Some(end) }
    }

    /// The rows in the origin's answer.
    fn understand(
        &mut self,
        waiting: &Waiting,
        fetched: Result<OriginReply, FetchFailure>,
        now: Instant,
    ) -> Result<Vec<(usize, crate::model::row::Row)>, OriginFailure> {
        let reply = fetched.map_err(|failure| match failure {
            FetchFailure::TimedOut => OriginFailure::TimedOut,
            FetchFailure::Unreachable => OriginFailure::Unreachable,
            FetchFailure::TooLarge => {
                OriginFailure::Unintelligible("an answer larger than `limits.origin_body_bytes`".to_owned())
            }
        })?;
        if reply.status != 200 {
            let OriginReply { status, content_type, body } = reply;
            return Err(OriginFailure::Refused { status, content_type, body });
        }
        let Waiting { fetch, plan, .. } = waiting;
        let columns =
            plan.columns.len() + if plan.service.is_some() { self.config.limits.features } else { plan.outputs.len() };
        let table = Table::read(&reply.body, fetch.rows.len(), columns, self.config.limits.depth)
            .map_err(OriginFailure::Unintelligible)?;
        let wanted = Wanted { rows: &fetch.rows, views: &fetch.views, places: &fetch.places };
        let mut interner = core::mem::take(self.engine.interner());
        let rows = match self.engine.ask(waiting.session) {
            Some(ask) => origin::rows(&table, plan, ask, &wanted, &mut interner, now),
            None => Vec::new(),
        };
        *self.engine.interner() = interner;
        Ok(rows)
    }

    #[expect(clippy::too_many_arguments, reason = "one place where all that an answer is written from comes together")]
    fn reply(
        &mut self,
        protocol: Protocol,
        call: &Call,
        body: &[u8],
        plan: &Plan,
        answer: &Answer,
        began: Instant,
        now: Instant,
        timings: &Timings,
    ) -> Reply {
        let mut sheet = core::mem::take(&mut self.spare_sheet);
        match protocol {
            Protocol::Feast => feast::write(&mut sheet, plan, answer, call, body),
            Protocol::Native(options) => {
                let request_id = self.request_id();
                let reply =
                    native::Reply { plan, answer, call, body, options: &options, request_id: &request_id, began, now };
                reply.write(&mut sheet);
            }
        }
        Reply::features(sheet, answer, now, began, timings)
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
    fn sweep(&mut self, now: Instant) {
        let patience = 2 * (self.config.l2.timeout_ms + self.config.origin.timeout_ms) + SLACK_MILLIS;
        let is_lost = |pending: &Pending| now.millis_since(pending.began()) > patience;
        let lost: Vec<u64> =
            self.pending.iter().filter(|(_, pending)| is_lost(pending)).map(|(&number, _)| number).collect();
        for number in lost {
            self.abandon(Ticket(number));
        }
    }

    /// Asks the registry how views are keyed, before `request` where one waits for it.
    fn ask_registry(&mut self, request: Option<(Protocol, Vec<u8>)>, now: Instant) -> Step {
        let Some(settings) = &self.config.registry else { return Step::default() };
        let project = settings.project.as_deref().unwrap_or(&self.config.project);
        let task = Task::Fetch(OriginRequest {
            method: "GET",
            url: setup::join_url(&settings.url, &registry::path(project)),
            body: Vec::new(),
            max_bytes: registry::MAX_BYTES,
        });
        let ticket = self.next_ticket(now);
        let order =
            Order { id: OrderId { ticket, part: Part::Registry }, task, timeout_millis: self.config.origin.timeout_ms };
        self.pending.insert(ticket.0, Pending::Registry { request, began: now });
        Step { ticket: Some(ticket), orders: vec![order], end: None }
    }

    fn complete_registry(&mut self, id: OrderId, outcome: Outcome, now: Instant) -> Step {
        let Some(Pending::Registry { request, began }) = self.pending.remove(&id.ticket.0) else {
            return Step::default();
        };
        if let Outcome::Fetched(Ok(reply)) = outcome
            && reply.status == 200
            && let Some(views) = registry::key_columns(&reply.body)
        {
            self.planner.learn(views, now);
        }
        // Where the registry said nothing, whole entity rows are the keys: the request is served all the same.
        let Some((protocol, body)) = request else { return Step::default() };
        let step = self.serve_body(protocol, &body, now);
        if let Some(ticket) = step.ticket
            && let Some(Pending::Rows(waiting)) = self.pending.get_mut(&ticket.0)
        {
            waiting.began = began;
        }
        step
    }

    fn ready(&mut self, now: Instant) -> Step {
        if self.config.origin.kind == OriginKind::Synthetic {
            return reply::ready().into();
        }
        let ticket = self.next_ticket(now);
        self.pending.insert(ticket.0, Pending::Health { began: now });
        let order = self.origin_order(ticket, "GET", "/health", Vec::new());
        Step { ticket: Some(ticket), orders: vec![order], end: None }
    }

    /// Lets the origin answer a feature request that only it may judge.
    fn leave_to_origin(&self, protocol: Protocol, body: &[u8], now: Instant) -> Step {
        match (protocol, self.forward_base()) {
            (Protocol::Feast, Some(base)) => Step { end: Some(End::Forward { base }), ..Step::default() },
            (Protocol::Feast, None) => {
                let reply = self.synthesize(body, now);
                Reply::json(reply.status, Cow::Owned(reply.body)).into()
            }
            (Protocol::Native(_), _) => {
                let message = "the features cannot be served together: a reference is malformed, or stands twice";
                refuse(protocol, &Refusal::field(&["body", "feature_names"], "value_error", message), body).into()
            }
        }
    }

    fn forward(&self, incoming: Incoming<'_>, now: Instant) -> Step {
        match self.forward_base() {
            Some(base) => Step { end: Some(End::Forward { base }), ..Step::default() },
            None if (incoming.method, incoming.path) == ("POST", "/get-online-features") => {
                self.leave_to_origin(Protocol::Feast, incoming.body, now)
            }
            None => reply::not_found(incoming.path).into(),
        }
    }

    fn forward_base(&self) -> Option<String> {
        let origin = &self.config.origin;
        origin.url.clone().filter(|_| origin.kind == OriginKind::Http)
    }
}

/// How many tickets are given between two looks for requests that were lost.
const SWEEP_EVERY: u64 = 64;

/// What a request may take beside its stores and its origin before it counts as lost, in milliseconds.
const SLACK_MILLIS: u64 = 10_000;

/// The largest answer whose memory is kept for the next: 4 MiB, past which answers are rare and the memory is better free.
const MAX_SPARE_SHEET: usize = 4 << 20;

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

/// The reply where the origin failed and too little is there without it.
///
/// An error that the caller caused goes to the caller. An origin that is down costs its own share alone: what is there is
/// served, and the rest is marked invalid.
fn failure_reply(protocol: Protocol, answer: &Answer) -> Option<Reply> {
    let failure = answer.failure.as_ref().filter(|_| answer.tally.missing > 0)?;
    let has_anything = answer.found.iter().any(|found| found.row.is_some());
    let is_callers_fault = matches!(failure, OriginFailure::Refused { status: 400..500, .. });
    (is_callers_fault || !has_anything).then(|| reply::origin_failure(matches!(protocol, Protocol::Feast), failure))
}

impl From<Reply> for Step {
    fn from(reply: Reply) -> Self {
        Step { ticket: None, orders: Vec::new(), end: Some(End::Reply(reply)) }
    }
}
