//! A request that awaits rows or continues in the background: its context, and its origin calls.
//!
//! It knows how to phrase an origin call and parse its response, and decides nothing. Invariant: each
//! origin call is remembered until it is answered.

use std::rc::Rc;

use crate::answers::Answered;
use crate::engine_effects::effect;
use crate::io::{Continuation, Effect, FetchFailure, OriginReply, RequestHandle};
use crate::origin_requests;
use crate::request::{Protocol, RequestContext};
use crate::stream::ResponseStream;
use crate::timings::Timings;
use crate::warm_job::WarmJob;
use ::origin::origin::{self, OriginResponse};
use ::prefetch::patterns::Predictions;
use config::Config;
use engine::{Engine, PatternLimits};
use model::answer::{Answer, OriginFailure, TimeLimit};
use model::fetch_spec::FetchSpec;
use model::row::Row;
use model::time::Timestamp;
use protocol::native::Options;
use protocol::parsed_request::ParsedRequest;
use protocol::plan::Plan;

/// A request in progress.
#[derive(Debug)]
pub(super) struct RowRequest {
    pub(super) request: ParsedRequest<'static>,
    pub(super) context: RequestContext<'static>,
    pub(super) plan: Rc<Plan>,
    pub(super) pattern_limits: PatternLimits,
    /// The origin calls in progress.
    fetches: Vec<(u32, FetchSpec)>,
    pub(super) timings: Timings,
    /// Whether it has its reply and continues in the background.
    pub(super) is_answered: bool,
    /// What was sent of a streamed reply.
    pub(super) stream: ResponseStream,
    /// What to prefetch after the reply.
    pub(super) prefetch: Option<Box<Predictions>>,
    /// The warm-up that it is a part of; it then has no reply of its own.
    pub(super) job: Option<Box<WarmJob>>,
}

/// A parsed response of the origin.
pub(super) enum OriginAnswer {
    Rows(Vec<(usize, Row)>),
    /// A response without all requested columns, which only the origin can phrase.
    OtherColumns {
        base: String,
    },
}

/// The longest error of the origin that reaches the caller, in bytes: Feast's are a sentence or a
/// traceback.
const MAX_ERROR_BYTES: usize = 256 << 10;

impl RowRequest {
    pub(super) fn new(
        request: ParsedRequest<'_>,
        context: RequestContext<'static>,
        plan: Rc<Plan>,
        pattern_limits: PatternLimits,
    ) -> Box<RowRequest> {
        Box::new(RowRequest {
            request: request.into_owned(),
            context,
            plan,
            pattern_limits,
            fetches: Vec::new(),
            timings: Timings::default(),
            is_answered: false,
            stream: ResponseStream::default(),
            prefetch: None,
            job: None,
        })
    }

    /// A background request without a caller.
    pub(super) fn background(
        request: ParsedRequest<'_>,
        plan: Rc<Plan>,
        pattern_limits: PatternLimits,
        now: Timestamp,
    ) -> Box<RowRequest> {
        // A response that lacks columns says nothing of later requests of this shape.
        let context = RequestContext::new(Protocol::Native(Options::default()), "".into(), now);
        Box::new(RowRequest { is_answered: true, ..*RowRequest::new(request, context, plan, pattern_limits) })
    }

    /// The memory that it takes beside its session and its plan, in bytes.
    pub(super) fn footprint(&self) -> usize {
        let of_fetch = |(_, fetch): &(u32, FetchSpec)| {
            let columns =
                fetch.views.iter().map(|(_, columns)| size_of::<(usize, Vec<usize>)>() + size_of_val(&**columns));
            size_of::<(u32, FetchSpec)>()
                + size_of_val(&*fetch.rows)
                + size_of_val(&*fetch.indices)
                + columns.sum::<usize>()
        };
        size_of::<RowRequest>()
            + self.request.size()
            + self.context.caller.len()
            + self.fetches.iter().map(of_fetch).sum::<usize>()
            + self.stream.footprint()
            + self.job.as_ref().map_or(0, |job| job.footprint())
    }

    /// With its answer.
    pub(super) fn answered<'a>(&'a self, answer: &'a Answer) -> Answered<'a> {
        let RowRequest { request, context, plan, pattern_limits, .. } = self;
        Answered { request, context, plan, answer, pattern_limits: *pattern_limits }
    }

    /// The engine's effects as the host's effects.
    pub(super) fn effects(
        &mut self,
        handle: RequestHandle,
        engine_effects: Vec<engine::EngineEffect>,
        config: &Config,
        now: Timestamp,
    ) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(engine_effects.len());
        for engine_effect in engine_effects {
            match engine_effect {
                engine::EngineEffect::Fetch { call, fetch, timeout_millis } => {
                    self.timings.fetch.begin(now);
                    let body = origin::request(&self.request, &self.plan, &fetch);
                    self.fetches.push((call, fetch));
                    let traceparent = self.context.traceparent();
                    let io_request =
                        origin_requests::io_request(config, "POST", "/get-online-features", body, traceparent);
                    effects.push(Effect::new(handle, Continuation::OriginCall(call), io_request, timeout_millis));
                }
                other => {
                    if let engine::EngineEffect::Read { tier, .. } = other {
                        self.timings.of(tier).begin(now);
                    }
                    effects.extend(effect(handle, other));
                }
            }
        }
        effects
    }

    /// Parses the origin's response to a call; its values count as fetched at `stamp`.
    pub(super) fn parse_answer(
        &mut self,
        handle: RequestHandle,
        call: u32,
        fetched: Result<OriginReply, FetchFailure>,
        stamp: Timestamp,
        engine: &mut Engine,
        config: &Config,
    ) -> Result<OriginAnswer, OriginFailure> {
        let body = body_of(fetched)?;
        let position = self.fetches.iter().position(|&(number, _)| number == call);
        let fetch = position.map(|position| self.fetches.swap_remove(position).1).unwrap_or_default();
        let (plan, request) = (&self.plan, &self.request);
        let limits = &config.limits;
        let columns = plan.columns.len() + if plan.service.is_some() { limits.features } else { plan.outputs.len() };
        let table = OriginResponse::read(&body, fetch.rows.len(), columns, limits.depth)
            .map_err(OriginFailure::InvalidResponse)?;
        if table.is_empty() {
            return Err(OriginFailure::Empty);
        }
        let others = origin::rows_of_other_entities(&table, request, plan, &fetch);
        if !others.is_empty() && others.len() == fetch.rows.len() {
            return Err(OriginFailure::InvalidResponse("its entities are not the requested ones".to_owned()));
        }
        if self.context.protocol.is_feast()
            && let Some(base) = origin_requests::forward_base(config)
            && !origin::has_all_features(&table, plan, &fetch)
        {
            return Ok(OriginAnswer::OtherColumns { base });
        }
        // A row of another entity is dropped alone.
        let is_others = |index: &usize| {
            index.checked_rem(request.fields.rows).is_some_and(|row| others.binary_search(&row).is_ok())
        };
        let indices: Vec<usize> = fetch.indices.iter().filter(|index| !is_others(index)).copied().collect();
        let fetch = FetchSpec { indices, ..fetch };
        let mut interner = core::mem::take(engine.interner());
        let rows = match engine.query(handle.session()) {
            Some(query) => origin::rows(&table, plan, query, &fetch, &mut interner, stamp),
            None => Vec::new(),
        };
        *engine.interner() = interner;
        if let Some(status) = table.unknown_status().filter(|_| origin::has_no_values(&rows)) {
            return Err(OriginFailure::InvalidResponse(format!("unknown status {status}")));
        }
        Ok(OriginAnswer::Rows(rows))
    }
}

/// The body of a successful response.
fn body_of(fetched: Result<OriginReply, FetchFailure>) -> Result<Vec<u8>, OriginFailure> {
    let OriginReply { status, content_type, body } = fetched.map_err(|failure| match failure {
        // The engine knows the call, and so its limit.
        FetchFailure::TimedOut => OriginFailure::TimedOut { limit: TimeLimit::Call, millis: 0 },
        FetchFailure::Threw { exception } => OriginFailure::Threw { exception },
        FetchFailure::Unreachable => OriginFailure::Unreachable,
        FetchFailure::NoRoom => OriginFailure::OutOfMemory,
        FetchFailure::TooLarge => {
            let limit = "larger than `limits.origin_body_bytes` or `memory.pending_bytes`";
            OriginFailure::InvalidResponse(limit.to_owned())
        }
        FetchFailure::Encoded { coding } => {
            OriginFailure::InvalidResponse(format!("unsupported content coding `{coding}`"))
        }
    })?;
    match status {
        200 => Ok(body),
        // A redirect is a fault of this service's configuration, and no answer for its caller.
        ..400 => Err(OriginFailure::UnexpectedStatus { status }),
        _ if body.len() > MAX_ERROR_BYTES => {
            let reason = format!("an error ({status}) of {} bytes, more than {MAX_ERROR_BYTES}", body.len());
            Err(OriginFailure::InvalidResponse(reason))
        }
        _ => Err(OriginFailure::ErrorResponse { status, content_type, body: body.into() }),
    }
}
