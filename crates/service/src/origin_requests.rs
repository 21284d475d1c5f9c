//! What is asked of the origin beside rows, and what it must answer itself.
//!
//! Knows the configured origin and nothing of who asks. Invariant: nothing is sent to a place that is not configured.

use std::borrow::Cow;

use crate::bypass::Bypass;
use crate::io::{Incoming, IoRequest, IoResult, OriginReply, OriginRequest, Response, Transition};
use crate::reply::{self, Reply};
use crate::request::{Protocol, RequestContext};
use crate::routes::Endpoint;
use crate::setup;
use config::{Config, OriginKind};
use model::refusal::Refusal;
use model::time::Timestamp;
use origin::synthetic;
use protocol::call::Call;
use protocol::feast;

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
    most.min(config.memory.pending_bytes)
}

/// Where requests are passed on to, where there is an origin over HTTP.
pub(super) fn forward_base(config: &Config) -> Option<String> {
    config.origin.url.clone().filter(|_| config.origin.kind == OriginKind::Http)
}

/// A request that goes on to the origin as it came.
pub(super) fn forward(config: &Config, incoming: Incoming<'_>) -> Transition {
    match forward_base(config) {
        Some(base) => forwarded(config, base, Bypass::Path),
        None => reply::not_found(incoming.path).into(),
    }
}

/// What becomes of a request in Feast's terms that the origin is to answer whatever its body is; `None` where it is answered here. The
/// built-in origin knows neither callers nor queries.
pub(super) fn bypass(config: &Config, incoming: &Incoming<'_>) -> Option<Transition> {
    let bypass = match incoming {
        // The origin decides by credentials that are not ours to judge, so its answers are not ours to share.
        Incoming { has_authorization: true, .. } => Bypass::Authorization,
        // Feast's Go server answers with statuses where the query asks for them.
        Incoming { query_string: "", .. } => return None,
        _ => Bypass::Query,
    };
    let base = forward_base(config)?;
    match check_limits(config, incoming) {
        Err(refusal) if config.limits.refuse => Some(reply::refused(&Protocol::Feast, &refusal, b"").into()),
        _ => Some(forwarded(config, base, bypass)),
    }
}

/// Whether a request for features passes a limit; whatever else is wrong with its body is the origin's to say.
fn check_limits(config: &Config, incoming: &Incoming<'_>) -> Result<(), Refusal> {
    Endpoint::Feast.check_size(config, incoming)?;
    if !config.limits.refuse {
        return Ok(());
    }
    match feast::read(incoming.body, &config.limits, &mut Call::default()) {
        Err(refusal @ Refusal::Limit { .. }) => Err(refusal),
        _ => Ok(()),
    }
}

/// Refuses a request, or lets the origin judge it where all that is against it is a limit of ours.
pub(super) fn refuse(config: &Config, protocol: &Protocol, refusal: &Refusal, body: &[u8]) -> Transition {
    let is_limit = matches!(refusal, Refusal::Limit { .. });
    match forward_base(config).filter(|_| is_limit && protocol.is_feast() && !config.limits.refuse) {
        Some(base) => forwarded(config, base, Bypass::OverLimit),
        None => reply::refused(protocol, refusal, body).into(),
    }
}

/// Lets the origin answer a feature request that only it may judge.
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
            let refusal = Refusal::field(&["body", "feature_names"], "value_error", MALFORMED_FEATURE);
            reply::refused(protocol, &refusal, body).into()
        }
    }
}

/// A request that goes on before anything was waited for.
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

/// Whether the origin's health lets the service call itself ready.
pub(super) fn readiness(result: &IoResult) -> Reply {
    let reason = match result {
        IoResult::Fetched(Ok(reply)) if reply.status < 400 => return reply::ready(),
        IoResult::Fetched(Ok(reply)) => format!("the origin answers /health with status {}", reply.status),
        _ => "the origin cannot be reached".to_owned(),
    };
    reply::not_ready(&reason)
}
