//! The read path: from a feature request to the engine's session, and from its progress to a reply.
//!
//! It stands between the protocols, which know JSON, and the engine, which knows rows. It knows neither
//! the registry nor the invalidation log, which its caller has awaited. Invariant: what L1 has is answered
//! at once, without a copy of the request.

use std::borrow::Cow;
use std::rc::Rc;

use crate::answers::{Answered, Answers};
use crate::in_progress::{Pending, RequestsInProgress};
use crate::io::{Continuation, Effect, IoRequest, RequestHandle, Response, Transition};
use crate::origin_bodies::OriginBodies;
use crate::origin_requests;
use crate::pool::Pool;
use crate::prefetch::{PrefetchBatch, PrefetchScheduler};
use crate::record::{CompletedRequest, RequestSize};
use crate::reply::{self, Reply};
use crate::request::{Protocol, RequestContext};
use crate::row_query::row_query;
use crate::row_request::RowRequest;
use crate::setup;
use crate::stream::StreamOutput;
use crate::timings::Timings;
use crate::warm_job::{Load, WarmJob};
use ::prefetch::patterns::Predictions;
use config::Config;
use engine::{BeginOutcome, Engine, Progress, SessionId};
use model::answer::Answer;
use model::request::{Priority, RowQuery};
use model::request_error::RequestError;
use model::time::Timestamp;
use origin::planner::Planner;
use protocol::parsed_request::ParsedRequest;
use protocol::plan::{Plan, PlanOutcome};

/// The parts that serve rows.
#[derive(Debug)]
pub(super) struct ReadPath {
    pub(super) config: Rc<Config>,
    pub(super) engine: Engine,
    pub(super) planner: Planner,
    pub(super) pool: Pool,
    pub(super) prefetch: PrefetchScheduler,
    pub(super) answers: Answers,
    pub(super) bodies: OriginBodies,
}

/// The result of advancing a request.
#[derive(Debug, Default)]
pub(super) struct Advanced {
    pub(super) transition: Transition,
    /// The warm-up that it was a part of, to be continued, since this part is done.
    pub(super) job: Option<Box<WarmJob>>,
}

impl From<Transition> for Advanced {
    fn from(transition: Transition) -> Self {
        Advanced { transition, job: None }
    }
}

impl ReadPath {
    pub(super) fn new(config: Rc<Config>, has_log: bool, seed: u64) -> ReadPath {
        ReadPath {
            engine: Engine::new(setup::engine_settings(&config, has_log, seed)),
            planner: Planner::new(setup::project(&config, seed)),
            pool: Pool::default(),
            prefetch: PrefetchScheduler::new(Rc::clone(&config), seed),
            answers: Answers::new(Rc::clone(&config)),
            bodies: OriginBodies::default(),
            config,
        }
    }

    /// Shifts all times back by so many milliseconds, after a clock that was ahead.
    pub(super) fn set_clock_back(&mut self, millis: u64) {
        self.engine.set_clock_back(millis);
        self.planner.set_clock_back(millis);
        self.prefetch.set_clock_back(millis);
        self.answers.recorder.set_clock_back(millis);
    }

    /// Whether pending work of this priority may take so many bytes more.
    pub(super) fn has_room(&mut self, requests: &RequestsInProgress, priority: Priority, bytes: usize) -> bool {
        self.set_external_bytes(requests);
        self.engine.has_room(priority, bytes)
    }

    /// Sets the memory that pending requests take outside the engine.
    fn set_external_bytes(&mut self, requests: &RequestsInProgress) {
        self.engine.set_external_bytes(requests.bytes() + self.bodies.bytes());
    }

    /// Parses a body.
    pub(super) fn parse<'b>(
        &mut self,
        protocol: &mut Protocol,
        body: Cow<'b, [u8]>,
    ) -> Result<ParsedRequest<'b>, RequestError> {
        let mut call = self.pool.take_feature_request();
        match protocol.read(&self.config, &body, &mut call) {
            Ok(()) => Ok(ParsedRequest { fields: call, body }),
            Err(refusal) => {
                self.pool.recycle_feature_request(call);
                Err(refusal)
            }
        }
    }

    /// The row query of a request.
    pub(super) fn query(
        &mut self,
        protocol: &Protocol,
        request: &ParsedRequest<'_>,
        plan: &Rc<Plan>,
    ) -> Result<Box<RowQuery>, RequestError> {
        row_query(&mut self.pool, protocol, request, plan, self.config.limits.key_bytes)
    }

    /// Serves a request with what is known now.
    pub(super) fn serve(
        &mut self,
        requests: &mut RequestsInProgress,
        request: ParsedRequest<'_>,
        context: &RequestContext<'_>,
        now: Timestamp,
    ) -> Transition {
        let planned = if request.fields.needs_passthrough {
            PlanOutcome::Passthrough
        } else {
            self.planner.plan(&request, &context.caller, context.protocol.naming())
        };
        match planned {
            PlanOutcome::Serve(plan) => self.serve_plan(requests, request, context, plan, None, now).transition,
            PlanOutcome::Passthrough => {
                self.pool.recycle_feature_request(request.fields);
                origin_requests::pass_through(&self.config, context, &request.body, now)
            }
        }
    }

    /// Serves a planned request, possibly a part of a warm-up.
    pub(super) fn serve_plan(
        &mut self,
        requests: &mut RequestsInProgress,
        request: ParsedRequest<'_>,
        context: &RequestContext<'_>,
        plan: Rc<Plan>,
        job: Option<Box<WarmJob>>,
        now: Timestamp,
    ) -> Advanced {
        let mut query = match self.query(&context.protocol, &request, &plan) {
            Ok(query) => query,
            Err(refusal) => {
                self.pool.recycle_feature_request(request.fields);
                return match job {
                    Some(job) => skipped(job),
                    None => origin_requests::refuse(&self.config, &context.protocol, &refusal, &request.body).into(),
                };
            }
        };
        query.waited_millis = now.millis_since(context.began);
        if let Some(job) = &job {
            job.apply_limits(&mut query, self.config.deadlines.warm_ms, now);
        }
        query.cohort = self.engine.governor().cohort(context.session);
        let model = self.prefetch.load_model(context.session, now);
        let model = model
            .map(|io_request| Effect::new(requests.next(), Continuation::Model, io_request, self.config.l2.timeout_ms));
        let predictions = self.prefetch.train(&mut self.engine, &mut self.pool, context, &plan, &query, now);
        let mut advanced = self.begin(requests, request, context, plan, query, predictions, job, now);
        advanced.transition.effects.extend(model);
        advanced
    }

    #[expect(clippy::too_many_arguments, reason = "all that is known of a request")]
    fn begin(
        &mut self,
        requests: &mut RequestsInProgress,
        mut request: ParsedRequest<'_>,
        context: &RequestContext<'_>,
        plan: Rc<Plan>,
        query: Box<RowQuery>,
        predictions: Option<Box<Predictions>>,
        mut job: Option<Box<WarmJob>>,
        now: Timestamp,
    ) -> Advanced {
        let handle = requests.next();
        self.set_external_bytes(requests);
        match self.engine.begin(handle.session(), query, now) {
            BeginOutcome::Answered { query, answer, needs_revalidation, pattern_limits } => {
                let response = match &mut job {
                    Some(job) => {
                        job.count(&answer);
                        None
                    }
                    None => {
                        let timings = Timings::default();
                        let answered =
                            Answered { request: &request, context, plan: &plan, answer: &answer, pattern_limits };
                        let reply = self.reply(requests, answered, &timings, now);
                        Some(Response::Reply(reply))
                    }
                };
                if !needs_revalidation {
                    self.pool.recycle_query(query);
                    self.engine.recycle(answer);
                    self.pool.recycle_feature_request(request.fields);
                    let effects = schedule(requests, predictions, now);
                    return Advanced { transition: Transition { response, effects, ..Transition::default() }, job };
                }
                self.pool.detach_lists(&mut request.fields);
                let progress = self.engine.revalidate(handle.session(), query, answer, pattern_limits, now);
                // Background work belongs to no trace.
                let context = RequestContext { trace: None, ..context.to_owned() };
                let mut rows = RowRequest::new(request, context, plan, pattern_limits);
                rows.is_answered = true;
                rows.job = job;
                let mut advanced = self.advance(requests, handle, rows, progress, now);
                advanced.transition.effects.extend(schedule(requests, predictions, now));
                advanced.transition.response = response;
                advanced
            }
            BeginOutcome::Waiting(pattern_limits, progress) => {
                self.pool.detach_lists(&mut request.fields);
                let mut rows = RowRequest::new(request, context.to_owned(), plan, pattern_limits);
                rows.prefetch = predictions;
                rows.job = job;
                self.advance(requests, handle, rows, progress, now)
            }
            BeginOutcome::Shed { query, retry_seconds } => {
                let priority = query.priority;
                self.pool.recycle_query(query);
                let size = RequestSize::of(&request.fields);
                self.pool.recycle_feature_request(request.fields);
                if let Some(job) = job {
                    return skipped(job);
                }
                let reply = reply::overloaded(context.protocol.is_feast(), priority, retry_seconds);
                let context = &RequestContext { began: now, ..context.clone() };
                let (status, timings) = (reply.status(), &Timings::default());
                self.answers
                    .recorder
                    .request(&CompletedRequest { context, size, answered: None, status, timings }, now);
                Transition::from(reply.with_traceparent(context.traceparent())).into()
            }
        }
    }

    /// Loads rows with given values into the tiers, as a part of a warm-up.
    pub(super) fn load(
        &mut self,
        requests: &mut RequestsInProgress,
        Load { query, rows, request, plan }: Load,
        job: Box<WarmJob>,
        now: Timestamp,
    ) -> Advanced {
        let handle = requests.next();
        let (pattern_limits, progress) = self.engine.load(handle.session(), query, rows, now);
        let mut rows = RowRequest::background(request, plan, pattern_limits, now);
        rows.job = Some(job);
        self.advance(requests, handle, rows, progress, now)
    }

    /// Prefetches what was predicted, and persists the model when that is due.
    pub(super) fn prefetch_predicted(
        &mut self,
        requests: &mut RequestsInProgress,
        predictions: Predictions,
        now: Timestamp,
    ) -> Transition {
        let mut transition = Transition::default();
        for PrefetchBatch { request, plan, predictions } in
            self.prefetch.batches(predictions, &self.engine, &self.planner)
        {
            let Ok(query) = self.query(&Protocol::Feast, &request, &plan) else { continue };
            let handle = requests.next();
            let (pattern_limits, progress) = self.engine.prefetch(handle.session(), query, &predictions, now);
            let rows = RowRequest::background(request, plan, pattern_limits, now);
            let next = self.advance(requests, handle, rows, progress, now).transition;
            transition.effects.extend(next.effects);
            transition.woken.extend(next.woken);
        }
        if let Some((continuation, io_request)) = self.prefetch.persist_model(&self.engine, now) {
            transition.effects.push(Effect::new(requests.next(), continuation, io_request, self.config.l2.timeout_ms));
        }
        transition
    }

    /// Applies a session's progress: its effects, its answer, its end.
    pub(super) fn advance(
        &mut self,
        requests: &mut RequestsInProgress,
        handle: RequestHandle,
        mut rows: Box<RowRequest>,
        progress: Progress,
        now: Timestamp,
    ) -> Advanced {
        if rows.pattern_limits.is_streamed() && !rows.is_answered {
            return self.advance_stream(requests, handle, rows, progress, now).into();
        }
        let Progress { effects, answer, is_over, woken, unmerged, .. } = progress;
        let effects = rows.effects(handle, effects, &self.config, now);
        if let Some(job) = &mut rows.job {
            job.count_unmerged(&unmerged);
            if let Some(answer) = answer {
                job.count(&answer);
                self.engine.recycle(answer);
            }
            let job = rows.job.take_if(|_| is_over);
            if !is_over {
                requests.insert(handle, Pending::Rows(rows));
            }
            return Advanced {
                transition: Transition { woken: handles(woken), ..Transition::waiting(handle, effects) },
                job,
            };
        }
        if answer.is_some() {
            rows.timings.cut_off(now);
        }
        let response = answer.map(|answer| {
            let RowRequest { request, context, plan, timings, .. } = &*rows;
            let has_anything = answer.has_any_of(&plan.views, request.fields.rows);
            let reply = match reply::failed(&context.protocol, &answer, has_anything) {
                Some(reply) => {
                    self.answers.record(rows.answered(&answer), timings, reply.status(), now);
                    reply.with_traceparent(context.traceparent())
                }
                None => self.reply(requests, rows.answered(&answer), timings, now),
            };
            self.engine.recycle(answer);
            Response::Reply(reply)
        });
        let transition = Transition { effects, response, ..Transition::default() };
        park(requests, &mut self.pool, handle, rows, transition, is_over, woken, now).into()
    }

    /// As [`ReadPath::advance`], for a streamed reply.
    #[inline(never)]
    fn advance_stream(
        &mut self,
        requests: &mut RequestsInProgress,
        handle: RequestHandle,
        mut rows: Box<RowRequest>,
        progress: Progress,
        now: Timestamp,
    ) -> Transition {
        let Progress { effects, entities, answer, is_over, mut woken, .. } = progress;
        let effects = rows.effects(handle, effects, &self.config, now);
        let is_last = answer.is_some();
        let answer = answer.unwrap_or_else(|| {
            Box::new(Answer {
                found: Vec::new(),
                tier_counts: entities.as_ref().map(|entities| entities.tier_counts).unwrap_or_default(),
                failure: self.engine.failure(handle.session()).cloned(),
            })
        });
        let mut stream = core::mem::take(&mut rows.stream);
        let RowRequest { context, pattern_limits, timings, .. } = &*rows;
        if let Protocol::Native(options) = &context.protocol {
            let request_id = if is_last { requests.request_id() } else { String::new() };
            let writer = self.answers.writer(rows.answered(&answer), options, &request_id, now);
            stream.write(&writer, entities, is_last);
        }
        let took_millis = now.millis_since(context.began);
        let output = stream.emit(&context.protocol, &answer, is_last, |body| {
            Reply::features(body, &answer, None, pattern_limits.pattern, took_millis, now, timings)
                .with_traceparent(context.traceparent())
        });
        rows.stream = stream;
        let mut transition = Transition { effects, ..Transition::default() };
        let mut status = 200;
        match output {
            StreamOutput::Nothing => {}
            StreamOutput::Failed(reply) => {
                status = reply.status();
                let reply = reply.with_traceparent(rows.context.traceparent());
                transition.response = Some(Response::Reply(reply));
            }
            StreamOutput::Chunk(chunk) => {
                transition.chunk = Some(chunk);
                self.engine.pause(handle.session());
            }
            StreamOutput::Last(chunk, response) => (transition.chunk, transition.response) = (chunk, Some(response)),
        }
        let has_ended = transition.response.is_some();
        if has_ended {
            self.answers.record(rows.answered(&answer), &rows.timings, status, now);
        }
        if has_ended && !is_last {
            // The origin would refuse the rest too, and no one needs it any more.
            woken.extend(self.engine.abandon(handle.session(), now));
            transition.effects.clear();
        }
        let is_over = is_over || (has_ended && !is_last);
        park(requests, &mut self.pool, handle, rows, transition, is_over, woken, now)
    }

    /// Writes an answer as a reply.
    fn reply(
        &mut self,
        requests: &mut RequestsInProgress,
        answered: Answered<'_>,
        timings: &Timings,
        now: Timestamp,
    ) -> Reply {
        let options = answered.context.protocol.options();
        let request_id = options.map_or_else(String::new, |_| requests.request_id());
        let reply = self.answers.reply(answered, timings, self.pool.take_buffer(), &request_id, now);
        if options.is_some_and(|options| options.columns.is_some()) {
            self.engine.reserve(self.answers.vector_bytes());
        }
        reply
    }
}

/// Parks a request until its session advances.
#[expect(clippy::too_many_arguments, reason = "all that a transition comes to")]
fn park(
    requests: &mut RequestsInProgress,
    pool: &mut Pool,
    handle: RequestHandle,
    mut rows: Box<RowRequest>,
    mut transition: Transition,
    is_over: bool,
    woken: Vec<SessionId>,
    now: Timestamp,
) -> Transition {
    rows.is_answered |= transition.response.is_some();
    if rows.is_answered {
        transition.effects.extend(schedule(requests, rows.prefetch.take(), now));
    }
    if is_over {
        pool.recycle_if_empty(rows.request.fields);
    } else {
        requests.insert(handle, Pending::Rows(rows));
    }
    Transition { handle: (!is_over).then_some(handle), woken: handles(woken), ..transition }
}

/// Schedules a prefetch after the answer.
fn schedule(requests: &mut RequestsInProgress, predictions: Option<Box<Predictions>>, now: Timestamp) -> Vec<Effect> {
    let effect = predictions.map(|predictions| {
        let pending = Pending::PrefetchScheduled { predictions, began: now };
        requests.begin(pending, Continuation::Prefetch, IoRequest::Wait { outlives_request: true }, 0)
    });
    effect.into_iter().collect()
}

/// A part of a warm-up that cannot begin.
fn skipped(mut job: Box<WarmJob>) -> Advanced {
    job.skip();
    Advanced { transition: Transition::default(), job: Some(job) }
}

pub(super) fn handles(sessions: Vec<SessionId>) -> Vec<RequestHandle> {
    sessions.into_iter().map(|session| RequestHandle(session.0)).collect()
}
