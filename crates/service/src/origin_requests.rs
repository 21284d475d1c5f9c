//! Requests to the origin besides rows, and what is passed through to it.
//!
//! It knows the configured origin and no caller. Invariant: nothing is sent to a host that is not
//! configured.

use std::borrow::Cow;

use crate::bypass::Bypass;
use crate::io::{Incoming, IoRequest, IoResult, OriginReply, OriginRequest, Response, Transition};
use crate::reply::{self, Reply};
use crate::request::{Protocol, RequestContext};
use crate::routes::Endpoint;
use crate::setup;
use config::{Config, OriginKind};
use model::request_error::RequestError;
use model::time::Timestamp;
use origin::synthetic;
use protocol::feast;
use protocol::feature_request::FeatureRequest;

/// The message for a malformed feature name.
pub(super) const MALFORMED_FEATURE: &str =
    "a feature is malformed: it is `view:feature`, or `feature` for the view `native.default_view`";

/// A request to the configured or the built-in origin.
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
            max_bytes: max_response_bytes(config, config.limits.origin_body_bytes),
            traceparent,
        }),
        _ => IoRequest::Synthesize { delay_millis: origin.delay_ms, body },
    }
}

/// The longest response that is read where `most` bytes are allowed: it is buffered until it is complete.
pub(super) fn max_response_bytes(config: &Config, most: usize) -> usize {
    most.min(config.memory.pending_bytes)
}

/// The base URL of the origin, where it is one over HTTP.
pub(super) fn forward_base(config: &Config) -> Option<String> {
    config.origin.url.clone().filter(|_| config.origin.kind == OriginKind::Http)
}

/// A passed-through request.
pub(super) fn forward(config: &Config, incoming: Incoming<'_>) -> Transition {
    match forward_base(config) {
        Some(base) => forwarded(config, base, Bypass::Path),
        None => reply::not_found(incoming.path).into(),
    }
}

/// A Feast request that the origin must answer whatever its body is; `None` where it is served here. The
/// built-in origin knows neither callers nor queries.
pub(super) fn bypass(config: &Config, incoming: &Incoming<'_>) -> Option<Transition> {
    let bypass = match incoming {
        // The origin authorizes these credentials, so its responses must not be shared.
        Incoming { has_authorization: true, .. } => Bypass::Authorization,
        // Feast's Go server returns statuses where the query asks for them.
        Incoming { query_string: "", .. } => return None,
        _ => Bypass::Query,
    };
    let base = forward_base(config)?;
    match check_limits(config, incoming) {
        Err(refusal) if config.limits.refuse => Some(reply::refused(&Protocol::Feast, &refusal, b"").into()),
        _ => Some(forwarded(config, base, bypass)),
    }
}

/// Whether a feature request exceeds a limit; any other fault of its body is the origin's to report.
fn check_limits(config: &Config, incoming: &Incoming<'_>) -> Result<(), RequestError> {
    Endpoint::Feast.check_size(config, incoming)?;
    if !config.limits.refuse {
        return Ok(());
    }
    match feast::read(incoming.body, &config.limits, &mut FeatureRequest::default()) {
        Err(refusal @ RequestError::LimitExceeded { .. }) => Err(refusal),
        _ => Ok(()),
    }
}

/// Refuses a request, or passes it through where it only exceeds a limit.
pub(super) fn refuse(config: &Config, protocol: &Protocol, refusal: &RequestError, body: &[u8]) -> Transition {
    let is_limit = matches!(refusal, RequestError::LimitExceeded { .. });
    match forward_base(config).filter(|_| is_limit && protocol.is_feast() && !config.limits.refuse) {
        Some(base) => forwarded(config, base, Bypass::OverLimit),
        None => reply::refused(protocol, refusal, body).into(),
    }
}

/// Passes through a feature request that only the origin can judge.
pub(super) fn pass_through(
    config: &Config,
    RequestContext { protocol, began, .. }: &RequestContext<'_>,
    body: &[u8],
    now: Timestamp,
) -> Transition {
    match (protocol, forward_base(config)) {
        (Protocol::Feast, Some(base)) => {
            let timeout_millis = time_left(config, *began, now);
            Response::Forward { base, bypass: Bypass::Body, timeout_millis }.into()
        }
        (Protocol::Feast, None) => {
            let OriginReply { status, body, .. } = synthesize(config, body, now);
            Reply::json(status, Cow::Owned(body)).into()
        }
        (Protocol::Native(_), _) => {
            let refusal = RequestError::field(&["body", "feature_names"], "value_error", MALFORMED_FEATURE);
            reply::refused(protocol, &refusal, body).into()
        }
    }
}

/// A request that is passed through without a wait.
fn forwarded(config: &Config, base: String, bypass: Bypass) -> Transition {
    Response::Forward { base, bypass, timeout_millis: config.deadlines.default_ms }.into()
}

/// What is left of the deadline of a request that began at `began`, in milliseconds.
pub(super) fn time_left(config: &Config, began: Timestamp, now: Timestamp) -> u64 {
    config.deadlines.default_ms.saturating_sub(now.millis_since(began))
}

/// What the built-in origin answers.
pub(super) fn synthesize(config: &Config, body: &[u8], now: Timestamp) -> OriginReply {
    let (status, body) = synthetic::answer(body, &config.limits, now);
    OriginReply { status, content_type: Some("application/json".to_owned()), body }
}

/// Readiness, from the origin's health.
pub(super) fn readiness(result: &IoResult) -> Reply {
    let reason = match result {
        IoResult::Fetched(Ok(reply)) if reply.status < 400 => return reply::ready(),
        IoResult::Fetched(Ok(reply)) => format!("the origin answered /health with status {}", reply.status),
        _ => "the origin cannot be reached".to_owned(),
    };
    reply::not_ready(&reason)
}
