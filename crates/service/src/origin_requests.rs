//! What is asked of the origin beside rows, and what it must answer itself.
//!
//! Knows the configured origin and nothing of who asks. Invariant: nothing is sent to a place that is not configured.

use std::borrow::Cow;

use crate::io::{Incoming, IoRequest, IoResult, OriginReply, OriginRequest, Response, Transition};
use crate::reply::{self, Reply};
use crate::request::Protocol;
use crate::setup;
use config::{Config, OriginKind};
use model::refusal::Refusal;
use model::time::Instant;
use origin::synthetic;

/// What a feature is not named like, for whom it may concern.
pub(super) const MALFORMED_FEATURE: &str =
    "a feature is malformed: it is `view:feature`, or `feature` for the view `native.default_view`";

/// A request to the origin, or to the one that is built in.
pub(super) fn io_request(
    config: &Config,
    method: &'static str,
    path: &str,
    body: Vec<u8>,
    traceparent: Option<String>,
) -> IoRequest {
    let origin = &config.origin;
    match (origin.kind, &origin.url) {
        (OriginKind::Http, Some(base)) => IoRequest::Fetch(OriginRequest {
            method,
            url: setup::join_url(base, path),
            body,
            max_bytes: max_answer_bytes(config, config.limits.origin_body_bytes),
            traceparent,
        }),
        _ => IoRequest::Synthesize { delay_millis: origin.delay_ms, body },
    }
}

/// The longest answer that is read where `most` bytes are allowed: it waits in memory until it is whole.
pub(super) fn max_answer_bytes(config: &Config, most: usize) -> usize {
    most.min(config.memory.waiting_bytes)
}

/// Where requests are passed on to, where there is an origin over HTTP.
pub(super) fn forward_base(config: &Config) -> Option<String> {
    config.origin.url.clone().filter(|_| config.origin.kind == OriginKind::Http)
}

/// A request that goes on to the origin as it came.
pub(super) fn forward(config: &Config, incoming: Incoming<'_>, now: Instant) -> Transition {
    match forward_base(config) {
        Some(base) => Response::Forward { base }.into(),
        None if (incoming.method, incoming.path) == ("POST", "/get-online-features") => {
            leave_to_origin(config, &Protocol::Feast, incoming.body, now)
        }
        None => reply::not_found(incoming.path).into(),
    }
}

/// Lets the origin answer a feature request that only it may judge.
pub(super) fn leave_to_origin(config: &Config, protocol: &Protocol, body: &[u8], now: Instant) -> Transition {
    match (protocol, forward_base(config)) {
        (Protocol::Feast, Some(base)) => Response::Forward { base }.into(),
        (Protocol::Feast, None) => {
            let OriginReply { status, body, .. } = synthesize(config, body, now);
            Reply::json(status, Cow::Owned(body)).into()
        }
        (Protocol::Native(_), _) => {
            let refusal = Refusal::field(&["body", "feature_names"], "value_error", MALFORMED_FEATURE);
            reply::refused(protocol, &refusal, body).into()
        }
    }
}

/// What the built-in origin answers.
pub(super) fn synthesize(config: &Config, body: &[u8], now: Instant) -> OriginReply {
    let (status, body) = synthetic::answer(body, &config.limits, now);
    OriginReply { status, content_type: Some("application/json".to_owned()), body }
}

/// Whether the origin's health lets the service call itself ready.
pub(super) fn readiness(result: &IoResult) -> Reply {
    let reason = match result {
        IoResult::Fetched(Ok(reply)) if reply.status < 400 => return reply::ready(),
        IoResult::Fetched(Ok(reply)) => format!("the origin answers /health with status {}", reply.status),
        _ => "the origin cannot be reached".to_owned(),
    };
    reply::not_ready(&reason)
}
