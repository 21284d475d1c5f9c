//! Writes answers as replies, and records each request once, as it ends.
//!
//! It knows no session and no store. Invariant: a request is recorded once.

use std::rc::Rc;

use crate::record::{CompletedRequest, Recorder, RequestSize};
use crate::reply::{FailureReport, Reply};
use crate::request::{Protocol, RequestContext};
use crate::setup;
use crate::timings::Timings;
use columnar::Vectors;
use config::Config;
use engine::PatternLimits;
use model::answer::Answer;
use model::time::Timestamp;
use protocol::feast;
use protocol::native::{self, Options};
use protocol::parsed_request::ParsedRequest;
use protocol::plan::Plan;
use protocol::response_buffer::ResponseBuffer;
use telemetry::sla;

/// What writes answers.
#[derive(Debug)]
pub(super) struct Answers {
    config: Rc<Config>,
    pub(super) recorder: Recorder,
    /// The SLO status that the aggregator reported last.
    pub(super) sla_status: sla::Status,
    /// Vectors that answers in columns have parsed; a Worker, whose callers are remote, has none.
    vectors: Vectors,
}

/// A request with its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered<'a> {
    pub(super) request: &'a ParsedRequest<'a>,
    pub(super) context: &'a RequestContext<'a>,
    pub(super) plan: &'a Plan,
    pub(super) answer: &'a Answer,
    pub(super) pattern_limits: PatternLimits,
}

impl Answers {
    pub(super) fn new(config: Rc<Config>) -> Answers {
        Answers {
            recorder: Recorder::new(&config),
            sla_status: sla::Status::default(),
            vectors: Vectors::new(config.l1.max_bytes / 4),
            config,
        }
    }

    /// The memory that parsed vectors take, in bytes.
    pub(super) fn vector_bytes(&self) -> usize {
        self.vectors.bytes()
    }

    /// Records a request that waited and ends now. A 4xx of the origin is its caller's fault and is
    /// not recorded.
    pub(super) fn record(&mut self, answered: Answered<'_>, timings: &Timings, status: u16, now: Timestamp) {
        if (400..500).contains(&status) {
            return;
        }
        let Answered { request, context, plan, answer, .. } = answered;
        let (size, answered) = (RequestSize::of(&request.fields), Some((plan, answer)));
        self.recorder.request(&CompletedRequest { context, size, answered, status, timings }, now);
    }

    /// What writes an answer in the native protocol.
    pub(super) fn writer<'a>(
        &self,
        answered: Answered<'a>,
        options: &'a Options,
        request_id: &'a str,
        now: Timestamp,
    ) -> native::NativeResponse<'a> {
        let Answered { request, context, plan, answer, pattern_limits } = answered;
        native::NativeResponse {
            plan,
            answer,
            request,
            options,
            strategy: pattern_limits.pattern.name(),
            sla_status: self.sla_status.name(),
            target_millis: setup::latency_target(&self.config, options),
            request_id,
            failure: None,
            began: context.began,
            now,
        }
    }

    /// Writes an answer into `buffer` as a reply; `request_id` is for a native request without a name.
    pub(super) fn reply(
        &mut self,
        answered: Answered<'_>,
        timings: &Timings,
        mut buffer: ResponseBuffer,
        request_id: &str,
        now: Timestamp,
    ) -> Reply {
        self.record(answered, timings, 200, now);
        let Answered { request, context, plan, answer, pattern_limits } = answered;
        let rows = request.fields.rows;
        let failure = FailureReport::of_missing(answer, &plan.views, rows);
        match &context.protocol {
            Protocol::Feast => feast::write(&mut buffer, plan, answer, request),
            Protocol::Native(options) => {
                let mut writer = self.writer(answered, options, request_id, now);
                writer.failure = failure.as_ref().map(|failure| (failure.code, &*failure.detail));
                match options.columns {
                    Some(numbers) => columnar::write(&mut buffer, &writer, numbers, &mut self.vectors),
                    _ if options.is_streamed => {
                        let (rows, mut written) = ((0..rows).collect::<Vec<_>>(), native::WrittenLines::default());
                        buffer.clear();
                        writer.write_lines(&mut buffer, &rows, &answer.found, &mut written);
                        writer.write_last_line(&mut buffer, &written, None);
                    }
                    _ => writer.write(&mut buffer),
                }
            }
        }
        let oldest = answer.oldest(&plan.views, rows);
        let took_millis = now.millis_since(context.began);
        Reply::features(buffer, answer, oldest, pattern_limits.pattern, took_millis, now, timings)
            .with_traceparent(context.traceparent())
            .with_partial_failure(failure)
    }
}
