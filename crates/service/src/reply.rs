//! Replies: status, headers in their standard forms, body. It knows no engine state. Invariant: an error
//! has one form in each protocol.

use std::borrow::Cow;

use crate::request::Protocol;
use crate::timings::Timings;
use engine::ServingPattern;
use model::answer::{Answer, OriginFailure, TimeLimit};
use model::request::{Priority, ViewQuery};
use model::request_error::RequestError;
use model::time::Timestamp;
use protocol::response_buffer::ResponseBuffer;
use protocol::{feast, problem};

/// A reply to the caller.
#[derive(Debug)]
pub struct Reply {
    status: u16,
    content_type: Option<Cow<'static, str>>,
    headers: Vec<Header>,
    cache: Option<CacheMetadata>,
    body: Body,
    /// The host's number of what the origin's function threw.
    exception: Option<u32>,
    /// Why values of an answer are missing.
    partial_failure: Option<Box<FailureReport>>,
}

/// The cache headers of a feature answer, built when they are read.
#[derive(Debug)]
struct CacheMetadata {
    cache_status: Cow<'static, str>,
    /// How old its oldest value is.
    age_seconds: Option<u64>,
    server_timing: Cow<'static, str>,
}

/// A header beside the content type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Its value.
    pub value: Cow<'static, str>,
}

#[derive(Debug)]
enum Body {
    ResponseBuffer(ResponseBuffer),
    Bytes(Cow<'static, [u8]>),
}

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

impl Reply {
    /// A reply without a body.
    #[must_use]
    pub fn empty(status: u16) -> Reply {
        Reply {
            status,
            content_type: None,
            headers: Vec::new(),
            cache: None,
            body: Body::Bytes(Cow::Borrowed(b"")),
            exception: None,
            partial_failure: None,
        }
    }

    /// A reply of JSON.
    #[must_use]
    pub fn json(status: u16, body: Cow<'static, [u8]>) -> Reply {
        Reply { content_type: Some(JSON.into()), body: Body::Bytes(body), ..Reply::empty(status) }
    }

    /// A reply of another media type.
    #[must_use]
    pub fn of_type(content_type: &'static str, body: Vec<u8>) -> Reply {
        Reply { content_type: Some(content_type.into()), body: Body::Bytes(body.into()), ..Reply::empty(200) }
    }

    /// A problem.
    #[must_use]
    pub fn problem(status: u16, body: Vec<u8>) -> Reply {
        Reply {
            content_type: Some(problem::CONTENT_TYPE.into()),
            body: Body::Bytes(body.into()),
            ..Reply::empty(status)
        }
    }

    /// An answer with features.
    pub(super) fn features(
        buffer: ResponseBuffer,
        answer: &Answer,
        oldest: Option<Timestamp>,
        pattern: ServingPattern,
        took_millis: u64,
        now: Timestamp,
        timings: &Timings,
    ) -> Reply {
        let cache = CacheMetadata {
            cache_status: cache_status(answer, timings),
            age_seconds: oldest.map(|fetched_at| now.millis_since(fetched_at) / 1_000),
            server_timing: server_timing(pattern, took_millis, timings),
        };
        let content_type = if pattern == ServingPattern::Streaming { LINES } else { JSON };
        Reply {
            content_type: Some(content_type.into()),
            cache: Some(cache),
            body: Body::ResponseBuffer(buffer),
            ..Reply::empty(200)
        }
    }

    /// The same, with one more header.
    pub(super) fn with_header(mut self, (name, value): (&'static str, &'static str)) -> Reply {
        self.headers.push(Header { name, value: value.into() });
        self
    }

    /// The same, of an answer with missing values.
    pub(super) fn with_partial_failure(mut self, failure: Option<FailureReport>) -> Reply {
        self.exception = failure.as_ref().and_then(|failure| failure.exception);
        self.partial_failure = failure.map(Box::new);
        self
    }

    /// The host's number of what the origin's function threw, where that is why the reply fails or lacks values.
    #[must_use]
    pub fn exception(&self) -> Option<u32> {
        self.exception
    }

    /// Why values of an answer are missing, where the origin failed.
    #[must_use]
    pub fn partial_failure(&self) -> Option<&FailureReport> {
        self.partial_failure.as_deref()
    }

    /// The same, with the trace of its request.
    pub(super) fn with_traceparent(mut self, traceparent: Option<String>) -> Reply {
        if let Some(traceparent) = traceparent {
            self.headers.push(Header { name: "traceparent", value: traceparent.into() });
        }
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The content type, where there is a body.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The other headers.
    #[must_use]
    pub fn headers(&self) -> Vec<Header> {
        let mut headers = self.headers.clone();
        if let Some(cache) = &self.cache {
            headers.push(Header { name: "cache-status", value: cache.cache_status.clone() });
            if let Some(age) = cache.age_seconds {
                headers.push(Header { name: "age", value: age.to_string().into() });
            }
            headers.push(Header { name: "server-timing", value: cache.server_timing.clone() });
        }
        headers
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        match &self.body {
            Body::ResponseBuffer(buffer) => buffer.as_slice(),
            Body::Bytes(bytes) => bytes,
        }
    }

    /// The memory of the body, where it can be used again.
    pub(super) fn into_buffer(self) -> Option<ResponseBuffer> {
        match self.body {
            Body::ResponseBuffer(buffer) => Some(buffer),
            Body::Bytes(_) => None,
        }
    }
}

/// `Cache-Status` (RFC 9211): one member for each tier that was read, the one closest to the origin first.
fn cache_status(answer: &Answer, timings: &Timings) -> Cow<'static, str> {
    let tier_counts = &answer.tier_counts;
    if tier_counts.l1_misses == 0 {
        return Cow::Borrowed(if tier_counts.stale == 0 {
            "featheredge-l1; hit"
        } else {
            "featheredge-l1; hit; detail=stale"
        });
    }
    let result = |hits: u32, misses: u32| match (hits, misses) {
        (_, 0) => "hit",
        (0, _) => "fwd=miss",
        _ => "fwd=partial",
    };
    let mut members = Vec::with_capacity(3);
    for (tier, hits, misses) in [
        (3, tier_counts.l3_hits, tier_counts.l3_misses),
        (2, tier_counts.l2_hits, tier_counts.l2_misses),
        (1, tier_counts.l1_hits, tier_counts.l1_misses),
    ] {
        if hits + misses > 0 {
            members.push(format!("featheredge-l{tier}; {}", result(hits, misses)));
        }
    }
    if let (Some(closest), Some(status)) =
        (members.first_mut().filter(|_| tier_counts.compute_requests > 0), timings.origin_status)
    {
        closest.push_str(&format!("; fwd-status={status}"));
    }
    if let Some(closest) = members.first_mut().filter(|_| tier_counts.stale > 0) {
        closest.push_str("; detail=stale");
    }
    members.join(", ").into()
}

/// `Server-Timing`: how long the request took, its serving pattern, and how long each tier took.
fn server_timing(pattern: ServingPattern, took_millis: u64, timings: &Timings) -> Cow<'static, str> {
    if took_millis == 0 && timings.by_tier().iter().all(|(_, millis)| millis.is_none()) {
        return Cow::Borrowed(match pattern {
            ServingPattern::RealTime => "total;dur=0;desc=real_time_serving",
            ServingPattern::Batch => "total;dur=0;desc=batch_serving",
            ServingPattern::Hybrid => "total;dur=0;desc=hybrid_serving",
            ServingPattern::Streaming => "total;dur=0;desc=streaming_serving",
        });
    }
    let mut text = format!("total;dur={took_millis};desc={}", pattern.name());
    let parts = timings.parts(took_millis);
    let model = [
        ("network", Some(parts.network)),
        ("cache", Some(parts.cache)),
        ("computation", Some(parts.computation)),
        ("serialization", Some(parts.serialization)),
    ];
    for (name, millis) in timings.by_tier().into_iter().chain(model) {
        if let Some(millis) = millis {
            text.push_str(&format!(", {name};dur={millis}"));
        }
    }
    text.into()
}

const PENDING_LIMITS: &str = "pending requests exceed `load.max_pending_requests` or `memory.pending_bytes`";

/// The reply to a shed request. A low priority gets 429, all others 503.
pub(super) fn overloaded(is_feast: bool, priority: Priority, retry_seconds: u64) -> Reply {
    let status = if priority == Priority::Low { 429 } else { 503 };
    let mut reply = if is_feast {
        Reply::json(status, Cow::Owned(feast::error_string(PENDING_LIMITS)))
    } else {
        Reply::problem(status, problem::body(status, "overloaded", "Too many requests are pending", PENDING_LIMITS))
    };
    reply.headers.push(Header { name: "retry-after", value: retry_seconds.to_string().into() });
    reply
}

pub(super) fn forbidden() -> Reply {
    let detail = "the request needs `Authorization: Bearer` with the secret `FEATHEREDGE_OPERATOR_TOKEN`";
    Reply::problem(403, problem::body(403, "forbidden", "The scope `admin` is required", detail))
}

pub(super) fn method_not_allowed(allow: &'static str) -> Reply {
    let detail = format!("this path answers {allow}");
    let mut reply =
        Reply::problem(405, problem::body(405, "method-not-allowed", "The method is not allowed here", &detail));
    reply.headers.push(Header { name: "allow", value: allow.into() });
    reply
}

/// 404 for an unknown path.
pub(super) fn not_found(path: &str) -> Reply {
    let detail = format!("no such path: {path}; the built-in origin serves only /get-online-features");
    Reply::problem(404, problem::body(404, "not-found", "There is nothing at this path", &detail))
}

pub(super) fn ready() -> Reply {
    Reply::json(200, Cow::Borrowed(b"{\"ready\":true}"))
}

pub(super) fn not_ready(reason: &str) -> Reply {
    Reply::problem(503, problem::body(503, "not-ready", "The service is not ready", reason))
}

/// A refusal in the request's protocol.
pub(super) fn refused(protocol: &Protocol, refusal: &RequestError, body: &[u8]) -> Reply {
    match protocol {
        Protocol::Feast => Reply::json(refusal.status(), Cow::Owned(feast::request_error(refusal, body))),
        Protocol::Native(_) => refused_as_problem(refusal),
    }
}

/// A refusal as a problem.
pub(super) fn refused_as_problem(refusal: &RequestError) -> Reply {
    Reply::problem(refusal.status(), problem::request_error(refusal))
}

/// The reply where the origin failed and too little is known without it.
///
/// An error of the origin reaches a Feast caller as Feast would return it, and a native caller where the
/// request is at fault. An origin that is down costs only its own share: what is known is served, and the
/// rest is marked invalid.
pub(super) fn failed(protocol: &Protocol, answer: &Answer, has_anything: bool) -> Option<Reply> {
    let failure = answer.failure.as_ref().filter(|_| answer.tier_counts.missing > 0)?;
    let is_refused = match protocol {
        Protocol::Feast => matches!(failure, OriginFailure::ErrorResponse { .. }) && !failure.is_transient(),
        Protocol::Native(_) => matches!(failure, OriginFailure::ErrorResponse { status: 400..500, .. }),
    };
    (is_refused || !has_anything).then(|| origin_failure(protocol.is_feast(), failure))
}

/// The origin's own error or empty answer, or a problem in its place.
pub(super) fn origin_failure(is_feast: bool, failure: &OriginFailure) -> Reply {
    match failure {
        OriginFailure::ErrorResponse { status, content_type, body } if is_feast => {
            return Reply {
                content_type: content_type.clone().map(Cow::Owned),
                body: Body::Bytes(body.to_vec().into()),
                ..Reply::empty(*status)
            };
        }
        OriginFailure::Empty if is_feast => return Reply::json(200, Cow::Borrowed(b"{\"results\":[]}")),
        OriginFailure::OutOfMemory => return overloaded(is_feast, Priority::Critical, 1),
        _ => {}
    }
    let report = FailureReport::of(failure);
    let mut reply = if is_feast {
        Reply::json(report.status, Cow::Owned(feast::error_string(&report.detail)))
    } else {
        Reply::problem(report.status, report.problem())
    };
    reply.exception = report.exception;
    if let OriginFailure::CircuitOpen { retry_millis } = failure {
        let seconds = retry_millis.div_ceil(1_000).max(1);
        reply.headers.push(Header { name: "retry-after", value: seconds.to_string().into() });
    }
    reply
}

/// What a reply says of an origin failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureReport {
    /// The HTTP status of a reply that is nothing else.
    pub status: u16,
    /// The type of the problem.
    pub code: &'static str,
    /// The explanation.
    pub detail: String,
    /// The host's number of what the origin's function threw.
    pub exception: Option<u32>,
}

impl FailureReport {
    /// The report of a failure.
    fn of(failure: &OriginFailure) -> FailureReport {
        let exception = if let OriginFailure::Threw { exception } = failure { Some(*exception) } else { None };
        let (status, code, detail) = match failure {
            OriginFailure::ErrorResponse { status, body, .. } => {
                (*status, "origin-error", format!("the origin answered with status {status}: {}", quoted(body)))
            }
            OriginFailure::Threw { .. } => (500, "origin-error", "the origin's function failed".to_owned()),
            OriginFailure::OutOfMemory => (503, "overloaded", PENDING_LIMITS.to_owned()),
            OriginFailure::TimedOut { limit, millis } => (504, "origin-timeout", timed_out(*limit, *millis)),
            OriginFailure::Unreachable => (502, "origin-unreachable", "the origin cannot be reached".to_owned()),
            OriginFailure::CircuitOpen { .. } => {
                let detail = "the circuit breaker of the origin is open after repeated failures";
                (503, "origin-circuit-open", detail.to_owned())
            }
            OriginFailure::UnexpectedStatus { status } => {
                let what = if (300..400).contains(status) { "redirects are not followed" } else { "no features" };
                (502, "origin-invalid-response", format!("the origin answered with status {status}: {what}"))
            }
            OriginFailure::Empty => (502, "origin-invalid-response", "the origin's answer has no columns".to_owned()),
            OriginFailure::InvalidResponse(reason) => {
                (502, "origin-invalid-response", format!("the origin's answer is not usable: {reason}"))
            }
        };
        FailureReport { status, code, detail, exception }
    }

    /// The report of the failure that left values of an answer unavailable, where there was one: of `rows` rows of each of `views`.
    pub(super) fn of_missing(answer: &Answer, views: &[ViewQuery], rows: usize) -> Option<FailureReport> {
        answer.failure.as_ref().filter(|_| answer.lacks_any_of(views, rows)).map(FailureReport::of)
    }

    /// As a problem.
    #[must_use]
    pub fn problem(&self) -> Vec<u8> {
        problem::body(self.status, self.code, "The origin could not answer", &self.detail)
    }
}

/// Names the limit that was hit, so that who reads it knows what to change.
fn timed_out(limit: TimeLimit, millis: u64) -> String {
    let (what, whose) = match limit {
        TimeLimit::Call => ("the origin did not answer", "`origin.timeout_ms`"),
        TimeLimit::AdaptiveCall => ("the origin did not answer", "`deadlines.adaptive_timeouts`, from its latency"),
        TimeLimit::RequestDeadline => ("no tier answered", "the request's `deadline_ms`"),
        TimeLimit::RealTimeDeadline => ("no tier answered", "`routing.real_time_deadline_ms`"),
        TimeLimit::DefaultDeadline => ("no tier answered", "`deadlines.default_ms`"),
    };
    format!("{what} within {millis} ms ({whose})")
}

/// How much of the origin's error is quoted in ours, in bytes.
const MAX_QUOTED: usize = 1_000;

/// The beginning of a body, as far as it is a text.
fn quoted(body: &[u8]) -> &str {
    let beginning = body.get(..MAX_QUOTED).unwrap_or(body);
    let length = str::from_utf8(beginning).map_or_else(|error| error.valid_up_to(), str::len);
    beginning.get(..length).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
}
