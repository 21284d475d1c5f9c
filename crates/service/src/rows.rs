//! Requests for rows: from the call to the engine's sessions, from their orders to the host's, from answers to replies.

use std::borrow::Cow;
use std::rc::Rc;

use crate::io::{End, FetchFailure, Order, OrderId, OriginReply, Outcome, Part, Step, Task, Ticket, WriteBegun};
use crate::prefetch::Ahead;
use crate::record::Asked;
use crate::stream::Stream;
use crate::warm::Job;
use crate::{Pending, Protocol, Reply, Service, refuse, reply};
use ::origin::origin::{self, Table, Wanted};
use engine::{Begun, Fetch, Progress, Route, SessionId};
use model::answer::{Answer, OriginFailure, Tier};
use model::refusal::Refusal;
use model::request::{Ask, Cohort, Consistency, Priority};
use model::row::Row;
use model::time::Instant;
use protocol::call::Call;
use protocol::feast;
use protocol::native::{self, Options};
use protocol::plan::{Naming, Plan, Planned};
use telemetry::record;
use telemetry::trace::Context;

/// A request that waits for rows, or goes on behind its reply.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) protocol: Protocol,
    pub(super) call: Box<Call>,
    pub(super) body: Vec<u8>,
    pub(super) plan: Rc<Plan>,
    pub(super) began: Instant,
    pub(super) route: Route,
    /// The calls to the origin under way.
    fetches: Vec<(u32, Fetch)>,
    pub(super) timings: Timings,
    /// Whether it has its reply, and goes on behind it.
    is_answered: bool,
    /// What went out so far of a reply in parts.
    pub(super) stream: Stream,
    /// What to fetch ahead once it has.
    ahead: Option<Box<Ahead>>,
    /// What it warms the tiers for; then there is no reply of its own.
    job: Option<Box<Job>>,
}

/// What an answer of the origin turned out to be.
enum Understood {
    Rows(Vec<(usize, Row)>),
    /// An answer without columns that were asked for, which only the origin can put into words.
    Unlike {
        base: String,
    },
}

/// When the parts of a request began and ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timings {
    pub(super) reads: [Timing; 2],
    pub(super) fetch: Timing,
    pub(super) origin_status: Option<u16>,
    /// Where in a trace the request stands, where it is in one.
    pub(super) context: Option<Context>,
}

/// When something was first waited for, and for how long until it was last heard of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timing {
    began: Option<Instant>,
    millis: Option<u64>,
    /// How many operations have not ended.
    under_way: u32,
}

/// `L_total = L_network + L_cache + L_computation + L_serialization`, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// What is left: on the way between host and core, and in queues.
    pub(super) network: u64,
    /// Waiting for stores.
    pub(super) cache: u64,
    /// Waiting for the origin, and so the way to it: only the origin could tell the two apart.
    pub(super) computation: u64,
    /// Reading and writing. Both are done within one call of the core, which has no clock, so this is 0 here; the benchmark has it.
    pub(super) serialization: u64,
}

impl Timing {
    fn begin(&mut self, now: Instant) {
        self.began.get_or_insert(now);
        self.under_way += 1;
    }

    fn end(&mut self, now: Instant) {
        self.millis = self.began.map(|began| now.millis_since(began));
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Counts what is still waited for up to now, since the answer goes out without it.
    fn cut_off(&mut self, now: Instant) {
        if self.under_way > 0 {
            self.end(now);
        }
    }
}

impl Timings {
    /// How long each tier was waited for, in milliseconds, where it was.
    pub(super) fn by_tier(&self) -> [(&'static str, Option<u64>); 3] {
        let [l2, l3] = self.reads;
        [("l2", l2.millis), ("l3", l3.millis), ("origin", self.fetch.millis)]
    }

    /// Where the time of a request went that took so long in all: the seed's model.
    pub(super) fn parts(&self, total: u64) -> Parts {
        let cache = self.reads.iter().filter_map(|read| read.millis).sum::<u64>().min(total);
        let computation = self.fetch.millis.unwrap_or_default().min(total - cache);
        Parts { network: total - cache - computation, cache, computation, serialization: 0 }
    }

    /// How the request tells others of the trace that it is in.
    pub(super) fn traceparent(&self) -> Option<String> {
        self.context.map(|context| context.header())
    }

    /// The same as spans: what it was, when it began, how long it took, and to which HTTP status it came.
    pub(super) fn spans(&self) -> impl Iterator<Item = (record::Tier, Instant, u64, u16)> {
        let [l2, l3] = self.reads;
        let status = self.origin_status.unwrap_or_default();
        [(record::Tier::L2, l2, 0), (record::Tier::L3, l3, 0), (record::Tier::Origin, self.fetch, status)]
            .into_iter()
            .filter_map(|(tier, timing, status)| Some((tier, timing.began?, timing.millis?, status)))
    }

    /// Ends all that is still waited for: the answer goes out without it.
    pub(super) fn cut_off(&mut self, now: Instant) {
        let [l2, l3] = &mut self.reads;
        [l2, l3, &mut self.fetch].into_iter().for_each(|timing| timing.cut_off(now));
    }

    fn of(&mut self, store: Tier) -> &mut Timing {
        let [l2, l3] = &mut self.reads;
        if store == Tier::L3 { l3 } else { l2 }
    }
}

impl Service {
    /// Serves a request that began at `began` with what is known `now`.
    pub(super) fn serve_known(
        &mut self,
        protocol: Protocol,
        call: Box<Call>,
        body: Cow<'_, [u8]>,
        began: Instant,
        now: Instant,
    ) -> Step {
        let naming = match protocol {
            Protocol::Feast => Naming::Feast,
            Protocol::Native(_) => Naming::AsAsked,
        };
        let planned = if call.is_beyond_us { Planned::Forward } else { self.planner.plan(&call, &body, naming) };
        match planned {
            Planned::Serve(plan) => self.serve_plan(protocol, call, body, plan, began, now),
            Planned::Forward => {
                self.spare_call = Some(call);
                self.leave_to_origin(protocol, &body, now)
            }
        }
    }

    pub(super) fn serve_plan(
        &mut self,
        protocol: Protocol,
        call: Box<Call>,
        body: Cow<'_, [u8]>,
        plan: Rc<Plan>,
        began: Instant,
        now: Instant,
    ) -> Step {
        let job = self.warming.take();
        let mut ask = match self.ask(protocol, &call, &body, &plan) {
            Ok(ask) => ask,
            Err(refusal) => {
                self.spare_call = Some(call);
                return match job {
                    Some(job) => self.leave(job),
                    None => refuse(protocol, &refusal, &body).into(),
                };
            }
        };
        ask.waited_millis = now.millis_since(began);
        if let Some(job) = &job {
            job.adapt(&mut ask, self.config.deadlines.warm_ms, now);
        }
        ask.cohort = self.engine.governor().cohort(call.session);
        let model = self.take_model(call.session, now);
        let ahead = self.learn(&call, &plan, &ask, now);
        self.warming = job;
        let ticket = self.next_ticket(now);
        let mut step = self.begin_rows(ticket, protocol, call, body, plan, ask, ahead, began, now);
        step.orders.extend(model);
        step
    }

    #[expect(clippy::too_many_arguments, reason = "all that is known of a request")]
    fn begin_rows(
        &mut self,
        ticket: Ticket,
        protocol: Protocol,
        mut call: Box<Call>,
        body: Cow<'_, [u8]>,
        plan: Rc<Plan>,
        ask: Box<Ask>,
        ahead: Option<Box<Ahead>>,
        began: Instant,
        now: Instant,
    ) -> Step {
        let mut job = self.warming.take();
        self.engine.hold_outside(self.pending.bytes());
        match self.engine.begin(ticket.session(), ask, now) {
            Begun::Answered { ask, answer, is_due, route } => {
                let timings = self.timings();
                let end = match &mut job {
                    Some(job) => {
                        job.count(&answer);
                        None
                    }
                    None => {
                        let reply = self.reply(protocol, &call, &body, &plan, &answer, route, began, now, &timings);
                        Some(End::Reply(reply))
                    }
                };
                if !is_due {
                    self.spare_ask = Some(ask);
                    self.engine.recycle(answer);
                    self.spare_call = Some(call);
                    self.warming = job;
                    return Step { end, orders: self.afterwards(ahead, now), ..Step::default() };
                }
                self.spare_call = Some(Box::new(call.successor()));
                let progress = self.engine.refresh(ticket.session(), ask, answer, route, now);
                let mut waiting = Waiting::new(protocol, call, body.into_owned(), plan, route, began);
                waiting.is_answered = true;
                waiting.job = job;
                let mut step = self.go_on(ticket, waiting, progress, now);
                step.orders.extend(self.afterwards(ahead, now));
                Step { end, ..step }
            }
            Begun::Waiting(route, progress) => {
                self.spare_call = Some(Box::new(call.successor()));
                let mut waiting = Waiting::new(protocol, call, body.into_owned(), plan, route, began);
                waiting.ahead = ahead;
                waiting.job = job;
                waiting.timings = self.timings();
                self.go_on(ticket, waiting, progress, now)
            }
            Begun::Refused { ask, retry_seconds } => {
                let priority = ask.priority;
                self.spare_ask = Some(ask);
                let asked = Asked::of(&call);
                self.spare_call = Some(call);
                if let Some(job) = job {
                    return self.leave(job);
                }
                let reply = reply::overloaded(matches!(protocol, Protocol::Feast), priority, retry_seconds);
                let timings = self.timings();
                self.record(protocol, asked, None, reply.status(), now, &timings, now);
                reply.traced(&timings).into()
            }
        }
    }

    /// The engine's view of a call: its keys, row by row.
    pub(super) fn ask(
        &mut self,
        protocol: Protocol,
        call: &Call,
        body: &[u8],
        plan: &Rc<Plan>,
    ) -> Result<Box<Ask>, Refusal> {
        let mut ask = self.spare_ask.take().unwrap_or_default();
        ask.keys.clear();
        plan.write_keys(call, body, self.config.limits.key_bytes, &mut self.scratch, &mut ask.keys)?;
        if !Rc::ptr_eq(&ask.views, &plan.views) {
            ask.views = Rc::clone(&plan.views);
        }
        ask.rows = call.rows;
        let options = match protocol {
            Protocol::Feast => None,
            Protocol::Native(options) => Some(options),
        };
        ask.max_staleness = options.map(|options| options.max_staleness);
        ask.consistency = options.map_or(Consistency::Eventual, |options| options.consistency);
        ask.priority = options.map_or(Priority::Normal, |options| options.priority);
        ask.deadline_millis = options.and_then(|options| options.deadline_millis);
        ask.is_streamed = options.is_some_and(|options| options.is_streamed);
        ask.cohort = Cohort::default();
        ask.patience_millis = None;
        ask.held_bytes = body.len() + call.size() + if plan.waiting.get() == 0 { plan.size() } else { 0 };
        Ok(ask)
    }

    /// Does what a session's progress says: its orders, its answer if it gave one, its end if it is over.
    pub(super) fn go_on(
        &mut self,
        ticket: Ticket,
        mut waiting: Box<Waiting>,
        progress: Progress,
        now: Instant,
    ) -> Step {
        if waiting.route.is_streamed() && !waiting.is_answered {
            return self.go_on_streaming(ticket, waiting, progress, now);
        }
        let Progress { orders, answer, is_over, woken, unmerged, .. } = progress;
        let orders = self.orders(ticket, &mut waiting, orders, now);
        if let Some(job) = &mut waiting.job {
            job.count_unmerged(&unmerged);
            if let Some(answer) = answer {
                job.count(&answer);
                self.engine.recycle(answer);
            }
            self.warming = waiting.job.take_if(|_| is_over);
            if !is_over {
                self.pending.insert(ticket.0, Pending::Rows(waiting));
            }
            let woken = woken.into_iter().map(|session| Ticket(session.0)).collect();
            return Step { ticket: Some(ticket), orders, woken, ..Step::default() };
        }
        if answer.is_some() {
            waiting.timings.cut_off(now);
        }
        let end = answer.map(|answer| {
            let Waiting { protocol, call, body, plan, began, route, timings, .. } = &*waiting;
            let has_anything = answer.has_any_of(&plan.views, call.rows);
            let reply = match failure_reply(*protocol, &answer, has_anything) {
                Some(reply) => {
                    self.record_waiting(&waiting, &answer, reply.status(), now);
                    reply.traced(timings)
                }
                None => self.reply(*protocol, call, body, plan, &answer, *route, *began, now, timings),
            };
            self.engine.recycle(answer);
            End::Reply(reply)
        });
        let step = Step { orders, end, ..Step::default() };
        self.put_back(ticket, waiting, step, is_over, woken, now)
    }

    /// Keeps a request for as long as its session goes on.
    pub(super) fn put_back(
        &mut self,
        ticket: Ticket,
        mut waiting: Box<Waiting>,
        mut step: Step,
        is_over: bool,
        woken: Vec<SessionId>,
        now: Instant,
    ) -> Step {
        waiting.is_answered |= step.end.is_some();
        if waiting.is_answered {
            step.orders.extend(self.afterwards(waiting.ahead.take(), now));
        }
        if is_over {
            self.spare_call.get_or_insert(waiting.call);
        } else {
            self.pending.insert(ticket.0, Pending::Rows(waiting));
        }
        let woken = woken.into_iter().map(|session| Ticket(session.0)).collect();
        Step { ticket: (!is_over).then_some(ticket), woken, ..step }
    }

    /// The engine's orders as the host's.
    pub(super) fn orders(
        &self,
        ticket: Ticket,
        waiting: &mut Waiting,
        orders: Vec<engine::Order>,
        now: Instant,
    ) -> Vec<Order> {
        let mut translated = Vec::with_capacity(orders.len());
        for order in orders {
            match order {
                engine::Order::Fetch { call, fetch, timeout_millis } => {
                    waiting.timings.fetch.begin(now);
                    let wanted = Wanted { rows: &fetch.rows, views: &fetch.views, places: &fetch.places };
                    let body = origin::request(&waiting.call, &waiting.body, &waiting.plan, &wanted);
                    waiting.fetches.push((call, fetch));
                    let traceparent = waiting.timings.traceparent();
                    let task = self.origin_task("POST", "/get-online-features", body, traceparent);
                    translated.push(Order { id: OrderId { ticket, part: Part::Call(call) }, task, timeout_millis });
                }
                other => {
                    if let engine::Order::Read { tier, .. } = other {
                        waiting.timings.of(tier).begin(now);
                    }
                    translated.extend(self.behind(ticket, vec![other]));
                }
            }
        }
        translated
    }

    /// Those of the engine's orders that need no request to be understood.
    pub(super) fn behind(&self, ticket: Ticket, orders: Vec<engine::Order>) -> Vec<Order> {
        let translate = |order| {
            let (part, task, timeout_millis) = match order {
                engine::Order::Read { tier, shard, batch, keys, timeout_millis } => {
                    (Part::Read(tier, batch), Task::ReadStore { tier, shard, keys }, timeout_millis)
                }
                engine::Order::Write { tier, shard, entries, ttl_seconds, timeout_millis, allowance, began } => {
                    let write = WriteBegun { tier, rows: entries.len(), allowance, began };
                    (Part::Write(write), Task::WriteStore { tier, shard, entries, ttl_seconds }, timeout_millis)
                }
                engine::Order::Wake { millis } => (Part::Wake, Task::Wait { outlives_request: false }, millis),
                engine::Order::Flush { tier, millis, allowance } => {
                    (Part::Flush(tier, allowance), Task::Wait { outlives_request: true }, millis)
                }
                engine::Order::Fetch { .. } => return None,
            };
            Some(Order { id: OrderId { ticket, part }, task, timeout_millis })
        };
        orders.into_iter().filter_map(translate).collect()
    }

    pub(super) fn complete_rows(&mut self, ticket: Ticket, part: Part, outcome: Outcome, now: Instant) -> Step {
        let Some(mut waiting) = self.take_rows(ticket) else { return Step::default() };
        let progress = match (part, outcome) {
            (Part::Read(tier, batch), Outcome::Read(values)) => {
                waiting.timings.of(tier).end(now);
                let began = self.engine.read_began(ticket.session(), batch).unwrap_or(waiting.began);
                self.recorder.operation(tier, began, values.is_none(), now);
                self.engine.read(ticket.session(), batch, values, now)
            }
            (Part::Call(call), Outcome::Fetched(fetched)) => {
                waiting.timings.fetch.end(now);
                let began = self.engine.call_began(ticket.session(), call).unwrap_or(waiting.began);
                let has_failed = !fetched.as_ref().is_ok_and(|reply| reply.status < 500 && reply.status != 429);
                self.recorder.operation(Tier::Origin, began, has_failed, now);
                waiting.timings.origin_status = fetched.as_ref().ok().map(|reply| reply.status);
                let rows = match self.understand(ticket, &mut waiting, call, fetched) {
                    Ok(Understood::Unlike { base }) => return self.give_up(ticket, &waiting, base, now),
                    Ok(Understood::Rows(rows)) => Ok(rows),
                    Err(failure) => Err(failure),
                };
                self.engine.fetched(ticket.session(), call, rows, now)
            }
            _ => Progress::default(),
        };
        let step = self.go_on(ticket, waiting, progress, now);
        self.warm_on(ticket, step, now)
    }

    pub(super) fn wake_rows(&mut self, ticket: Ticket, waiting: Box<Waiting>, is_timer: bool, now: Instant) -> Step {
        let session = ticket.session();
        let progress = if is_timer { self.engine.time_out(session, now) } else { self.engine.wake(session, now) };
        let step = self.go_on(ticket, waiting, progress, now);
        self.warm_on(ticket, step, now)
    }

    /// Leaves a request and all of its shape to the origin, which answers it in a way of its own.
    fn give_up(&mut self, ticket: Ticket, waiting: &Waiting, base: String, now: Instant) -> Step {
        self.planner.leave_to_origin(&waiting.plan);
        let woken = self.engine.abandon(ticket.session(), now).into_iter().map(|session| Ticket(session.0)).collect();
        let end = Some(End::Forward { base }).filter(|_| !waiting.is_answered);
        Step { end, woken, ..Step::default() }
    }

    pub(super) fn take_rows(&mut self, ticket: Ticket) -> Option<Box<Waiting>> {
        match self.pending.remove(ticket.0)? {
            Pending::Rows(waiting) => Some(waiting),
            other => {
                self.pending.insert(ticket.0, other);
                None
            }
        }
    }

    /// The rows in the origin's answer.
    fn understand(
        &mut self,
        ticket: Ticket,
        waiting: &mut Waiting,
        call: u32,
        fetched: Result<OriginReply, FetchFailure>,
    ) -> Result<Understood, OriginFailure> {
        let reply = fetched.map_err(|failure| match failure {
            FetchFailure::TimedOut => OriginFailure::TimedOut,
            FetchFailure::Unreachable => OriginFailure::Unreachable,
            FetchFailure::TooLarge => {
                OriginFailure::Unintelligible("an answer larger than `limits.origin_body_bytes`".to_owned())
            }
        })?;
        match reply.status {
            200 => {}
            // A redirect is a matter of this service's configuration, and no answer for its caller.
            status @ ..400 => return Err(OriginFailure::Unexpected { status }),
            status => {
                let OriginReply { content_type, body, .. } = reply;
                if body.len() > MAX_ERROR_BYTES {
                    let reason =
                        format!("an error ({status}) of {} bytes; {MAX_ERROR_BYTES} are passed on", body.len());
                    return Err(OriginFailure::Unintelligible(reason));
                }
                return Err(OriginFailure::Refused { status, content_type, body: body.into() });
            }
        }
        let position = waiting.fetches.iter().position(|&(number, _)| number == call);
        let fetch = position.map(|position| waiting.fetches.swap_remove(position).1).unwrap_or_default();
        let plan = &waiting.plan;
        let columns =
            plan.columns.len() + if plan.service.is_some() { self.config.limits.features } else { plan.outputs.len() };
        let table = Table::read(&reply.body, fetch.rows.len(), columns, self.config.limits.depth)
            .map_err(OriginFailure::Unintelligible)?;
        let wanted = Wanted { rows: &fetch.rows, views: &fetch.views, places: &fetch.places };
        let others = origin::rows_of_others(&table, &waiting.call, &waiting.body, plan, &wanted);
        if !others.is_empty() && others.len() == fetch.rows.len() {
            return Err(OriginFailure::Unintelligible("it is of other entities than those asked for".to_owned()));
        }
        if matches!(waiting.protocol, Protocol::Feast)
            && let Some(base) = self.forward_base()
            && !origin::is_whole(&table, plan, &wanted)
        {
            return Ok(Understood::Unlike { base });
        }
        // A row of another entity costs itself alone.
        let is_others =
            |place: &usize| place.checked_rem(waiting.call.rows).is_some_and(|row| others.binary_search(&row).is_ok());
        let places: Vec<usize> = fetch.places.iter().filter(|place| !is_others(place)).copied().collect();
        let wanted = Wanted { places: &places, ..wanted };
        // Whatever the origin read, it read after it was asked: a value counts as fetched then, and never looks younger than it is.
        let began = self.engine.call_began(ticket.session(), call).unwrap_or(waiting.began);
        let began = self.stamp(began);
        let mut interner = core::mem::take(self.engine.interner());
        let rows = match self.engine.ask(ticket.session()) {
            Some(ask) => origin::rows(&table, plan, ask, &wanted, &mut interner, began),
            None => Vec::new(),
        };
        *self.engine.interner() = interner;
        if let Some(status) = table.unknown_status().filter(|_| origin::is_nothing_known(&rows)) {
            return Err(OriginFailure::Unintelligible(format!("no status that is known, but {status}")));
        }
        Ok(Understood::Rows(rows))
    }

    #[expect(clippy::too_many_arguments, reason = "one place where all that an answer is written from comes together")]
    fn reply(
        &mut self,
        protocol: Protocol,
        call: &Call,
        body: &[u8],
        plan: &Plan,
        answer: &Answer,
        route: Route,
        began: Instant,
        now: Instant,
        timings: &Timings,
    ) -> Reply {
        self.record(protocol, Asked::of(call), Some((plan, answer)), 200, began, timings, now);
        let mut sheet = core::mem::take(&mut self.spare_sheet);
        match protocol {
            Protocol::Feast => feast::write(&mut sheet, plan, answer, call, body),
            Protocol::Native(options) => {
                let request_id = self.request_id();
                let writer = native::Reply {
                    plan,
                    answer,
                    call,
                    body,
                    options: &options,
                    strategy: route.pattern.name(),
                    sla_status: self.sla_status.name(),
                    target_millis: self.latency_target(&options),
                    request_id: &request_id,
                    began,
                    now,
                };
                match options.columns {
                    Some(numbers) => {
                        columnar::write(&mut sheet, &writer, numbers, &mut self.vectors);
                        self.engine.reserve(self.vectors.bytes());
                    }
                    _ if options.is_streamed => {
                        let (rows, mut written) = ((0..call.rows).collect::<Vec<_>>(), native::Written::default());
                        sheet.clear();
                        writer.write_lines(&mut sheet, &rows, &answer.found, &mut written);
                        writer.write_last_line(&mut sheet, &written, None);
                    }
                    _ => writer.write(&mut sheet),
                }
            }
        }
        let oldest = answer.oldest(&plan.views, call.rows);
        Reply::features(sheet, answer, oldest, route.pattern, now.millis_since(began), now, timings).traced(timings)
    }
}

/// The longest error of the origin that is passed on, in bytes: Feast's are a sentence, or a traceback.
const MAX_ERROR_BYTES: usize = 256 << 10;

impl Waiting {
    /// Begins behind an answer, for nobody.
    pub(super) fn behind(call: Box<Call>, body: Vec<u8>, plan: Rc<Plan>, route: Route, began: Instant) -> Box<Waiting> {
        // An answer that lacks columns tells nothing of the requests whose shape it was asked in.
        let waiting = Waiting::new(Protocol::Native(Options::default()), call, body, plan, route, began);
        Box::new(Waiting { is_answered: true, ..*waiting })
    }

    fn new(
        protocol: Protocol,
        call: Box<Call>,
        body: Vec<u8>,
        plan: Rc<Plan>,
        route: Route,
        began: Instant,
    ) -> Box<Waiting> {
        Box::new(Waiting {
            protocol,
            call,
            body,
            plan,
            began,
            route,
            fetches: Vec::new(),
            timings: Timings::default(),
            is_answered: false,
            stream: Stream::default(),
            ahead: None,
            job: None,
        })
    }

    /// The memory that it takes beside its session and its plan, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        let of_fetch = |(_, fetch): &(u32, Fetch)| {
            let columns =
                fetch.views.iter().map(|(_, columns)| size_of::<(usize, Vec<usize>)>() + size_of_val(&**columns));
            size_of::<(u32, Fetch)>() + size_of_val(&*fetch.rows) + size_of_val(&*fetch.places) + columns.sum::<usize>()
        };
        size_of::<Waiting>()
            + self.body.capacity()
            + self.call.size()
            + self.fetches.iter().map(of_fetch).sum::<usize>()
            + self.stream.held_bytes()
            + self.job.as_ref().map_or(0, |job| job.held_bytes())
    }

    /// The same as a part of a job.
    pub(super) fn for_job(mut self: Box<Waiting>, job: Box<Job>) -> Box<Waiting> {
        self.job = Some(job);
        self
    }

    /// Whether it is a part of a job.
    pub(super) fn is_warming(&self) -> bool {
        self.job.is_some()
    }
}

/// The reply where the origin failed and too little is there without it.
///
/// What the origin refused goes to the caller, who would have it of Feast too, and in the native protocol where the caller
/// is at fault. An origin that is down costs its own share alone: what is there is served, and the rest is marked invalid.
pub(super) fn failure_reply(protocol: Protocol, answer: &Answer, has_anything: bool) -> Option<Reply> {
    let failure = answer.failure.as_ref().filter(|_| answer.tally.missing > 0)?;
    let is_refused = match protocol {
        Protocol::Feast => matches!(failure, OriginFailure::Refused { .. }) && !failure.is_transient(),
        Protocol::Native(_) => matches!(failure, OriginFailure::Refused { status: 400..500, .. }),
    };
    (is_refused || !has_anything).then(|| reply::origin_failure(matches!(protocol, Protocol::Feast), failure))
}
