//! The dispatcher: routes a request to the part that serves it, and an I/O result to the part that waits
//! for it.
//!
//! Each part owns its state, takes what else it needs, and returns effects; none knows the dispatcher. The
//! dispatcher holds what happens between them: what a request awaits before it is served, and what a write
//! does before it is acknowledged. Invariant: every request that begins ends in exactly one [`Response`].

use std::rc::Rc;

use crate::clock::MonotonicClock;
use crate::engine_effects;
use crate::explain;
use crate::in_progress::{Pending, RequestsInProgress};
use crate::invalidation::{Invalidation, InvalidationScope};
use crate::invalidation_log::{
    AppendAttempt, AwaitingLog, InvalidationLog, LogReply, StateReset, UNREACHABLE_NOTICE, WakeOutcome,
};
use crate::io::{
    Continuation, Effect, EffectId, Incoming, IoRequest, IoResult, PendingWrite, RequestHandle, Response, Transition,
};
use crate::origin_requests;
use crate::read_path::ReadPath;
use crate::registry::{self, AwaitingMetadata};
use crate::reply::{self, Reply};
use crate::request::{Protocol, RequestContext};
use crate::routes::Endpoint;
use crate::warm;
use crate::write_kind::WriteKind;
use crate::writes;
use config::{Config, OriginKind};
use engine::WriteOutcome;
use model::request::Priority;
use model::time::Timestamp;
use protocol::native::Options;
use protocol::parsed_request::ParsedRequest;
use telemetry::trace::TraceContext;

/// Origin responses that are being read may take one in so many parts of `memory.pending_bytes` besides,
/// whatever else is pending.
const RESERVED_PART: usize = 2;

/// The parts of the service.
#[derive(Debug)]
pub(super) struct Dispatcher {
    pub(super) config: Rc<Config>,
    clock: MonotonicClock,
    pub(super) log: Option<InvalidationLog>,
    pub(super) requests: RequestsInProgress,
    pub(super) read_path: ReadPath,
}

impl Dispatcher {
    pub(super) fn new(config: Config, seed: u64) -> Dispatcher {
        let config = Rc::new(config);
        let log = InvalidationLog::new(&config);
        Dispatcher {
            clock: MonotonicClock::default(),
            requests: RequestsInProgress::new(seed),
            read_path: ReadPath::new(Rc::clone(&config), log.is_some(), seed),
            log,
            config,
        }
    }

    /// The present time: the host's monotonic clock, or the invalidation log's, where there is one.
    pub(super) fn now(&mut self, host: Timestamp) -> Timestamp {
        let host = self.clock.advance(host);
        let now = self.log.as_ref().map_or(host, |log| log.now(host));
        self.read_path.engine.invalidations_mut().advance(now);
        now
    }

    /// Routes a request to the part that serves it.
    pub(super) fn begin(&mut self, incoming: Incoming<'_>, now: Timestamp) -> Transition {
        match Endpoint::of(incoming.method, incoming.path) {
            Endpoint::Feast => match origin_requests::bypass(&self.config, &incoming) {
                Some(transition) => transition,
                None => {
                    let trace = self.trace(incoming.traceparent);
                    self.serve(Protocol::Feast, incoming, trace, now)
                }
            },
            Endpoint::Native => {
                let is_streamed = incoming.accepts_lines && self.config.routing.streaming;
                let trace = self.trace(incoming.traceparent);
                self.serve(Protocol::Native(Options::default().streamed(is_streamed)), incoming, trace, now)
            }
            Endpoint::Write | Endpoint::UnknownWrite => {
                writes::begin(&mut self.read_path, &mut self.requests, incoming, now)
            }
            Endpoint::Invalidate => self.invalidate(incoming, now),
            Endpoint::Warm => self.warm(incoming, now),
            Endpoint::Predictions => explain::explain(&mut self.read_path, incoming, now),
            Endpoint::Health => Reply::empty(200).into(),
            Endpoint::Ready => self.ready(now),
            Endpoint::Asset => Response::Asset.into(),
            Endpoint::NotAllowed(allow) => reply::method_not_allowed(allow).into(),
            Endpoint::Search | Endpoint::Origin => origin_requests::forward(&self.config, incoming),
        }
    }

    /// Routes the result of an effect to the part that waits for it. The result of an ended request
    /// changes nothing.
    pub(super) fn on_io_result(
        &mut self,
        EffectId { handle, continuation }: EffectId,
        result: IoResult,
        now: Timestamp,
    ) -> Transition {
        let Dispatcher { log, requests, read_path, .. } = self;
        match (continuation, result) {
            (Continuation::Read(tier, batch), IoResult::Read(values)) => {
                let advanced = read_path.on_read(requests, handle, (tier, batch), values, now);
                warm::advance(read_path, requests, handle, advanced, now)
            }
            (Continuation::OriginCall(call), IoResult::Fetched(fetched)) => {
                let Some(began) = read_path.call_began(requests, handle, call) else { return Transition::default() };
                let stamp = log.as_ref().map_or(began, |log| log.stamp(began));
                let advanced = read_path.on_fetched(requests, handle, call, fetched, (began, stamp), now);
                warm::advance(read_path, requests, handle, advanced, now)
            }
            (Continuation::Wake, _) => self.wake(handle, true, now),
            (Continuation::Write(write), IoResult::Written(outcome)) => self.on_written(handle, write, outcome, now),
            (Continuation::Flush(tier, allowance), _) => {
                let effects = read_path.engine.flush(tier, allowance, now);
                Transition::background(engine_effects::effects(handle, effects))
            }
            (Continuation::Prefetch, _) => match requests.remove(handle) {
                Some(Pending::PrefetchScheduled { predictions, .. }) => {
                    read_path.prefetch_predicted(requests, *predictions, now)
                }
                _ => Transition::default(),
            },
            (Continuation::Model, result) => {
                read_path.prefetch.on_model_loaded(&mut read_path.engine, result, now);
                Transition::default()
            }
            (Continuation::Forward, IoResult::Forwarded(status)) => self.on_forwarded(handle, status, now),
            (Continuation::Log, result) => self.on_log(handle, &result, now),
            (Continuation::Retry(attempt), _) => {
                let call = log.as_mut().and_then(|log| log.retry_append(handle, attempt, now));
                Transition::background(call.into_iter().collect())
            }
            (Continuation::Registry, result) => self.on_registry(handle, &result, now),
            (Continuation::Health, result) => match requests.remove(handle) {
                Some(Pending::Health { .. }) => origin_requests::readiness(&result).into(),
                _ => Transition::default(),
            },
            _ => Transition::default(),
        }
    }

    /// Advances a request that another woke, or whose own timer fired.
    pub(super) fn wake(&mut self, handle: RequestHandle, is_timer: bool, now: Timestamp) -> Transition {
        match self.requests.remove(handle) {
            Some(Pending::AwaitingLog(waiting)) => self.wake_awaiting_log(handle, waiting, is_timer, now),
            Some(Pending::Rows(rows)) => {
                let advanced = self.read_path.wake(&mut self.requests, handle, rows, is_timer, now);
                warm::advance(&mut self.read_path, &mut self.requests, handle, advanced, now)
            }
            Some(Pending::AwaitingMetadata(waiting)) if is_timer => {
                let AwaitingMetadata { mut request, context } = *waiting;
                self.read_path.pool.attach_lists(&mut request.fields);
                self.serve_after_log(request, &context, now)
            }
            Some(Pending::WarmBody { body, context }) if is_timer => self.warm_body(&body, *context, now),
            Some(other) => {
                self.requests.insert(handle, other);
                Transition::default()
            }
            None => Transition::default(),
        }
    }

    /// Continues a streamed reply.
    pub(super) fn resume(&mut self, handle: RequestHandle, now: Timestamp) -> Transition {
        self.read_path.resume(&mut self.requests, handle, now)
    }

    /// Ends a request whose caller has gone.
    pub(super) fn abandon(&mut self, handle: RequestHandle, now: Timestamp) -> Vec<RequestHandle> {
        let pending = self.requests.remove(handle);
        self.forget_bodies();
        match pending {
            Some(Pending::Rows(_)) => self.read_path.abandon(handle, now),
            Some(Pending::Write { scope, .. }) => {
                // The origin's response will not be known, and it may have written.
                Invalidation::from(scope).apply(self.read_path.engine.invalidations_mut(), now);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Drops the bodies of requests that have ended.
    fn forget_bodies(&mut self) {
        let requests = &self.requests;
        self.read_path.bodies.retain(|handle| requests.is_under_way(handle));
    }

    /// Ends the requests whose host is gone. Their followers see by their own timers that their leases
    /// have expired.
    #[inline]
    pub(super) fn sweep(&mut self, now: Timestamp) {
        if !self.requests.is_sweep_due() {
            return;
        }
        let host = self.log.as_ref().map_or(now, |log| log.host(now));
        for handle in self.requests.lost(&self.config, host, now) {
            self.abandon(handle, now);
        }
        self.forget_bodies();
    }

    /// Extends the body of an origin response, where there is memory and a request waits for it.
    pub(super) fn extend_body(&mut self, id: EffectId, length: usize, expected: usize) -> Option<&mut [u8]> {
        let Dispatcher { requests, read_path, .. } = self;
        if !requests.is_under_way(id.handle()) {
            return None;
        }
        let growth = read_path.bodies.growth(id, length, expected);
        // Its request was admitted, so it goes before all that is still to come. Requests that fill
        // the pending memory, such as slowly read streams, can end only if they are answered.
        let reserved = read_path.config.memory.pending_bytes / RESERVED_PART;
        let is_reserved = read_path.bodies.bytes() + growth <= reserved;
        if growth > 0 && !is_reserved && !read_path.has_room(requests, Priority::Critical, growth) {
            read_path.engine.count_shed();
            return None;
        }
        Some(read_path.bodies.extend(id, length, growth))
    }

    /// Ends a transition: trims pooled memory, and now and then schedules the telemetry to be taken.
    #[inline]
    pub(super) fn end_transition(&mut self, transition: &mut Transition, now: Timestamp) {
        self.read_path.pool.trim();
        if let Some(delay) = self.read_path.answers.recorder.due(now) {
            transition.effects.push(Effect::new(
                self.requests.next(),
                Continuation::Records,
                IoRequest::Records,
                delay,
            ));
        }
    }

    /// The trace context of a request that just came.
    fn trace(&mut self, traceparent: &str) -> Option<TraceContext> {
        let requests = &mut self.requests;
        self.read_path.answers.recorder.trace(traceparent, || requests.random())
    }

    /// Serves a request for features.
    pub(super) fn serve(
        &mut self,
        mut protocol: Protocol,
        incoming: Incoming<'_>,
        trace: Option<TraceContext>,
        now: Timestamp,
    ) -> Transition {
        let Incoming { body, caller, .. } = incoming;
        let parsed = Endpoint::Feast
            .check_size(&self.config, &incoming)
            .and_then(|()| self.read_path.parse(&mut protocol, body.into()));
        let request = match parsed {
            Ok(request) => request,
            Err(refusal) => return origin_requests::refuse(&self.config, &protocol, &refusal, body),
        };
        let mut context = RequestContext { trace, ..RequestContext::new(protocol, caller.into(), now) };
        // Prefetch belongs to all callers, so requests with rows of their own do not train it.
        if caller.is_empty() {
            context.session = self.read_path.prefetch.session(&protocol, body, incoming.session);
        }
        if self.read_path.planner.should_fetch_registry(now) {
            return self.serve_after_metadata(request, &context, now);
        }
        self.serve_after_log(request, &context, now)
    }

    /// Serves a request after the registry was asked how views are keyed.
    #[cold]
    fn serve_after_metadata(
        &mut self,
        mut request: ParsedRequest<'_>,
        context: &RequestContext<'_>,
        now: Timestamp,
    ) -> Transition {
        // The registry's last answer still counts while it is asked again in the background. A
        // request without memory to wait is served with what is known, as where the registry does
        // not answer.
        if self.read_path.planner.has_registry()
            || !self.read_path.has_room(&self.requests, context.priority(), request.size())
        {
            let revalidate = self.registry_call(None, now);
            let mut transition = self.serve_after_log(request, context, now);
            transition.effects.extend(revalidate);
            return transition;
        }
        self.read_path.pool.detach_lists(&mut request.fields);
        let millis = context.protocol.half_of_deadline(&self.config, 0);
        let waiting = AwaitingMetadata { request: request.into_owned(), context: context.to_owned() };
        self.await_registry(Pending::AwaitingMetadata(Box::new(waiting)), millis, now)
    }

    /// Serves a request after this isolate has applied the invalidation log recently enough.
    fn serve_after_log(
        &mut self,
        mut request: ParsedRequest<'_>,
        context: &RequestContext<'_>,
        now: Timestamp,
    ) -> Transition {
        let Dispatcher { config, log, requests, read_path, .. } = self;
        let Some(log) = log else { return read_path.serve(requests, request, context, now) };
        if log.is_up_to_date(now) {
            let revalidate = log.is_refresh_due(now).then(|| log.call(requests.next(), 0, now));
            let mut transition = read_path.serve(requests, request, context, now);
            transition.effects.extend(revalidate);
            return transition;
        }
        let has_room = read_path.has_room(requests, context.priority(), request.size());
        let waited = now.millis_since(context.began);
        let millis = config.l3.timeout_ms.min(context.protocol.half_of_deadline(config, waited));
        let handle = requests.next();
        // A request without memory to wait is served with what is known, as while the log's breaker
        // is open.
        let Some((wait, call)) = log.enqueue(handle, has_room, millis, now) else {
            return read_path.serve(requests, request, context, now);
        };
        read_path.pool.detach_lists(&mut request.fields);
        let context = RequestContext { began: log.host(context.began), ..context.to_owned() };
        let waiting = AwaitingLog { request: request.into_owned(), context, wait };
        requests.insert(handle, Pending::AwaitingLog(Box::new(waiting)));
        let mut effects = vec![Effect::wait(handle, millis)];
        effects.extend(call);
        Transition::waiting(handle, effects)
    }

    /// Checks whether a request that waits for the invalidation log may be served.
    fn wake_awaiting_log(
        &mut self,
        handle: RequestHandle,
        waiting: Box<AwaitingLog>,
        is_timer: bool,
        now: Timestamp,
    ) -> Transition {
        let Some(log) = &mut self.log else { return Transition::default() };
        match log.wake(handle, &waiting, is_timer, now) {
            WakeOutcome::Serve { began } => {
                let AwaitingLog { mut request, context, .. } = *waiting;
                self.read_path.pool.attach_lists(&mut request.fields);
                self.read_path.serve(&mut self.requests, request, &RequestContext { began, ..context }, now)
            }
            WakeOutcome::Wait(call) => {
                self.requests.insert(handle, Pending::AwaitingLog(waiting));
                Transition::waiting(handle, call.into_iter().collect())
            }
        }
    }

    /// Applies the result of a call to the invalidation log.
    fn on_log(&mut self, handle: RequestHandle, result: &IoResult, now: Timestamp) -> Transition {
        let engine = &mut self.read_path.engine;
        let is_idle = engine.sessions() == 0;
        let reply =
            self.log.as_mut().and_then(|log| log.on_reply(handle, result, engine.invalidations_mut(), is_idle, now));
        let Some(LogReply { is_answered, reset, now, effects, woken }) = reply else {
            return self.after_log(handle, false, now);
        };
        self.reset_state(reset, now);
        let mut transition = self.after_log(handle, is_answered, now);
        transition.effects.extend(effects);
        transition.woken.extend(woken);
        transition
    }

    /// Resets what a reply of the invalidation log has put in doubt.
    fn reset_state(&mut self, reset: StateReset, now: Timestamp) {
        let StateReset { back_millis, clamps_invalidations, invalidates_all, clears_rows } = reset;
        if back_millis > 0 {
            self.requests.set_clock_back(back_millis);
            self.read_path.set_clock_back(back_millis);
        }
        let engine = &mut self.read_path.engine;
        if clamps_invalidations {
            engine.invalidations_mut().clamp(now);
        }
        if invalidates_all {
            engine.invalidations_mut().invalidate_all(now);
        }
        if clears_rows {
            engine.clear_rows();
        }
    }

    /// Advances the request that made a call to the invalidation log.
    fn after_log(&mut self, handle: RequestHandle, is_answered: bool, now: Timestamp) -> Transition {
        match self.requests.remove(handle) {
            Some(Pending::AwaitingLog(waiting)) => self.wake_awaiting_log(handle, waiting, false, now),
            Some(Pending::WarmBody { body, context }) => self.warm_body(&body, *context, now),
            Some(Pending::AwaitingLogAck { response, .. }) if is_answered => (*response).into(),
            Some(Pending::AwaitingLogAck { response, .. }) => {
                if let Some(log) = &mut self.log {
                    log.note_unacked();
                }
                response.with_added_header(UNREACHABLE_NOTICE).into()
            }
            _ => Transition::default(),
        }
    }

    /// Calls the registry, and lets `waiter` wait for it for so many milliseconds.
    fn await_registry(&mut self, waiter: Pending, millis: u64, now: Timestamp) -> Transition {
        let handle = self.requests.next();
        self.requests.insert(handle, waiter);
        let mut effects = vec![Effect::wait(handle, millis)];
        effects.extend(self.registry_call(Some(handle), now));
        Transition::waiting(handle, effects)
    }

    /// A call to the registry, for which `waiter` waits, if anybody does.
    fn registry_call(&mut self, waiter: Option<RequestHandle>, now: Timestamp) -> Option<Effect> {
        let io_request = registry::io_request(&self.config)?;
        let pending = Pending::Registry { waiter, began: now };
        Some(self.requests.begin(pending, Continuation::Registry, io_request, self.config.origin.timeout_ms))
    }

    /// Updates the planner, and advances the request that still waits for the registry.
    fn on_registry(&mut self, handle: RequestHandle, result: &IoResult, now: Timestamp) -> Transition {
        let pending = self.requests.remove(handle);
        registry::update_planner(&mut self.read_path.planner, result, now);
        match pending {
            // The request's own timer ends its wait, here as where the registry does not
            // answer.
            Some(Pending::Registry { waiter: Some(waiter), .. }) => self.wake(waiter, true, now),
            _ => Transition::default(),
        }
    }

    /// Whether the service is ready, which depends on the origin.
    fn ready(&mut self, now: Timestamp) -> Transition {
        if self.config.origin.kind == OriginKind::Synthetic {
            return reply::ready().into();
        }
        let io_request = origin_requests::io_request(&self.config, "GET", "/health", Vec::new(), None);
        let timeout_millis = self.config.origin.timeout_ms;
        Transition::waiting_for(self.requests.begin(
            Pending::Health { began: now },
            Continuation::Health,
            io_request,
            timeout_millis,
        ))
    }

    /// The origin has answered a write, or cannot be reached.
    fn on_forwarded(&mut self, handle: RequestHandle, status: Option<u16>, now: Timestamp) -> Transition {
        let (scope, kind) = match self.requests.remove(handle) {
            Some(Pending::Write { scope, kind, began }) => {
                self.read_path.answers.recorder.write(began, now);
                (scope, kind)
            }
            // It took so long that it counts as lost.
            _ => (InvalidationScope::Everything, WriteKind::Unknown),
        };
        let job_millis = if kind.may_still_write(status) { self.config.writes.job_seconds * 1_000 } else { 0 };
        let invalidation = Invalidation { scope, job_millis };
        invalidation.apply(self.read_path.engine.invalidations_mut(), now);
        self.acknowledge(handle, Response::Forwarded { notice: None }, &invalidation, now)
    }

    /// An operator says that something was written past this service.
    #[inline(never)]
    fn invalidate(&mut self, incoming: Incoming<'_>, now: Timestamp) -> Transition {
        if !incoming.is_operator {
            return reply::forbidden().into();
        }
        match writes::requested_scope(&self.config, &self.read_path.planner, &incoming) {
            Ok(scope) => {
                let invalidation = Invalidation::from(scope);
                invalidation.apply(self.read_path.engine.invalidations_mut(), now);
                let reply = Reply::json(200, invalidation.scope.describe().into());
                let handle = self.requests.next();
                self.acknowledge(handle, Response::Reply(reply), &invalidation, now)
            }
            Err(refusal) => reply::refused_as_problem(&refusal).into(),
        }
    }

    /// Appends an invalidation to the log, and only then ends the request with `response`.
    fn acknowledge(
        &mut self,
        handle: RequestHandle,
        response: Response,
        invalidation: &Invalidation,
        now: Timestamp,
    ) -> Transition {
        let Some(log) = self.log.as_mut().filter(|_| invalidation.scope != InvalidationScope::Nothing) else {
            return response.into();
        };
        match log.append(handle, invalidation, now) {
            AppendAttempt::Sent(call) => {
                self.requests.insert(handle, Pending::AwaitingLogAck { response: Box::new(response), began: now });
                Transition::waiting_for(call)
            }
            AppendAttempt::Deferred(retry) => {
                Transition { effects: vec![retry], ..response.with_added_header(UNREACHABLE_NOTICE).into() }
            }
        }
    }

    /// A store has answered a write of rows.
    fn on_written(
        &mut self,
        handle: RequestHandle,
        write: PendingWrite,
        outcome: WriteOutcome,
        now: Timestamp,
    ) -> Transition {
        let effects = self.read_path.on_written(handle, write, outcome, now);
        if write.allowance.is_some() {
            return Transition::background(effects);
        }
        let mut transition =
            warm::on_written(&mut self.read_path, &mut self.requests, handle, (write.tier, outcome.failed), now);
        transition.effects.extend(effects);
        transition
    }

    /// Begins to warm what a body lists.
    fn warm(&mut self, incoming: Incoming<'_>, now: Timestamp) -> Transition {
        let Incoming { body, caller, .. } = incoming;
        if !incoming.is_operator {
            return reply::forbidden().into();
        }
        if let Err(refusal) = Endpoint::Warm.check_size(&self.config, &incoming) {
            return reply::refused_as_problem(&refusal).into();
        }
        if !self.read_path.has_room(&self.requests, Priority::Critical, body.len()) {
            self.read_path.engine.count_shed();
            return reply::overloaded(false, Priority::Critical, 1).into();
        }
        let trace = self.trace(incoming.traceparent);
        let context =
            RequestContext { trace, ..RequestContext::new(Protocol::Native(Options::default()), caller.into(), now) };
        // The keys of views, and the clock that counts, must be known before rows are built.
        let planner = &mut self.read_path.planner;
        if planner.should_fetch_registry(now) && !planner.has_registry() {
            let waiter = Pending::WarmBody { body: body.to_vec(), context: Box::new(context.to_owned()) };
            return self.await_registry(waiter, self.config.deadlines.warm_ms / 2, now);
        }
        self.warm_body(body, context, now)
    }

    /// Warms what an unread body lists, once the invalidation log has answered.
    fn warm_body(&mut self, body: &[u8], context: RequestContext<'_>, now: Timestamp) -> Transition {
        let Dispatcher { config, log, requests, read_path, .. } = self;
        if let Some(log) = log.as_mut().filter(|log| log.needs_first_call()) {
            let handle = requests.next();
            let left = config.deadlines.warm_ms.saturating_sub(now.millis_since(context.began));
            let call = log.call(handle, 0, now);
            let context = Box::new(context.to_owned());
            requests.insert(handle, Pending::WarmBody { body: body.to_vec(), context });
            return Transition::waiting(handle, vec![Effect::wait(handle, left / 2), call]);
        }
        let stamp = log.as_ref().map_or(now, |log| log.stamp(now));
        warm::begin(read_path, requests, body, &context, stamp, now)
    }
}
