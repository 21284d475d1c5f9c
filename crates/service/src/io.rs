//! What passes between the service and its host: requests, effects, results, responses.
//!
//! It performs nothing. Invariant: each effect names the continuation that its result goes to.

use crate::bypass::Bypass;
use crate::reply::Reply;
use engine::{ReadFailure, SessionId, WriteAllowance, WriteOutcome};
use model::answer::Tier;
use model::key::StoreKey;
use model::time::Timestamp;

/// A request as the host received it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Incoming<'a> {
    /// The HTTP method, in capitals.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The query string, without the `?`.
    pub query_string: &'a str,
    /// The whole body; empty where it is longer than [`Service::body_limit`](crate::Service::body_limit).
    pub body: &'a [u8],
    /// Whether it is longer.
    pub is_over_limit: bool,
    /// Whether the caller sent credentials of its own.
    pub has_authorization: bool,
    /// The caller's trace, as W3C's `traceparent` has it; empty where there is none.
    pub traceparent: &'a str,
    /// Whether the caller has the scope `admin`.
    pub is_operator: bool,
    /// Whether the caller accepts `application/x-ndjson`.
    pub accepts_lines: bool,
    /// The caller's identity, where its rows are isolated; empty where all callers share rows.
    pub caller: &'a str,
    /// What the header `featheredge-session` says.
    pub session: Option<&'a str>,
}

/// The scope that a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthScope {
    /// Nothing.
    Public,
    /// To read features, and the origin's own endpoints.
    Read,
    /// To write rows.
    Write,
    /// Everything else: invalidation, warming, and unknown writes.
    Admin,
}

/// An effect for the host to perform. The effects of one transition are performed in parallel.
#[derive(Debug)]
pub struct Effect {
    /// The name to report the result under.
    pub id: EffectId,
    /// What to do.
    pub request: IoRequest,
    /// How long it may take, in milliseconds; after that its result is a failure.
    pub timeout_millis: u64,
}

impl Effect {
    /// An effect of a request.
    pub(super) fn new(
        handle: RequestHandle,
        continuation: Continuation,
        request: IoRequest,
        timeout_millis: u64,
    ) -> Effect {
        Effect { id: EffectId { handle, continuation }, request, timeout_millis }
    }

    /// The timer of a request that waits for so many milliseconds at most.
    pub(super) fn wait(handle: RequestHandle, millis: u64) -> Effect {
        Effect::new(handle, Continuation::Wake, IoRequest::Wait { outlives_request: false }, millis)
    }
}

/// Names an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EffectId {
    pub(super) handle: RequestHandle,
    pub(super) continuation: Continuation,
}

impl EffectId {
    /// The request that the effect is for.
    #[must_use]
    pub fn handle(self) -> RequestHandle {
        self.handle
    }
}

/// Names a request in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestHandle(pub(super) u64);

impl RequestHandle {
    /// Its number, for the host.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The handle of that number; an unissued number names no request.
    #[must_use]
    pub fn from_number(number: u64) -> RequestHandle {
        RequestHandle(number)
    }

    pub(super) fn session(self) -> SessionId {
        SessionId(self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Continuation {
    Read(Tier, u32),
    OriginCall(u32),
    Write(PendingWrite),
    Wake,
    Flush(Tier, WriteAllowance),
    Registry,
    Health,
    Forward,
    Log,
    Retry(u32),
    Prefetch,
    Model,
    Records,
}

/// A store write in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PendingWrite {
    pub(super) tier: Tier,
    pub(super) rows: usize,
    /// How many rows its request may write after these; `None` where no other batch follows.
    pub(super) allowance: Option<WriteAllowance>,
    pub(super) began: Timestamp,
}

/// An I/O request for the host.
#[derive(Debug)]
pub enum IoRequest {
    /// Read these keys from a store in one bulk operation.
    ReadStore {
        /// Which store.
        tier: Tier,
        /// Which of its shards; 0 where it has none.
        shard: u32,
        /// At most 100 keys for L2, and 1,000 for L3.
        keys: Vec<StoreKey>,
    },
    /// Write these to a store.
    WriteStore {
        /// Which store.
        tier: Tier,
        /// Which of its shards; 0 where it has none.
        shard: u32,
        /// Each row's key and stored form.
        entries: Vec<(StoreKey, Vec<u8>)>,
        /// The rows' time to live in the store, in seconds.
        ttl_seconds: u64,
    },
    /// Make this HTTP request.
    Fetch(OriginRequest),
    /// Pass the request through to the origin, and keep its response for [`Response::Forwarded`]. The
    /// end is reported by [`IoResult::Forwarded`], even after the effect's timeout, at which the
    /// caller gets 504, or after the caller has gone.
    Forward {
        /// The origin's base URL.
        base: String,
        /// Why.
        bypass: Bypass,
    },
    /// Wait this long, in milliseconds, then call [`Service::synthesize`] with the body and report the
    /// result.
    Synthesize {
        /// How long the built-in origin takes.
        delay_millis: u64,
        /// The request.
        body: Vec<u8>,
    },
    /// Append entries, or none, to the invalidation log, and read the entries after the last one known
    /// here.
    Log {
        /// An [`invalidation_log::Append`] in bytes, to be answered by an [`invalidation_log::Appended`].
        request: Vec<u8>,
    },
    /// After the effect's timeout, pass `Service::take_records` to the aggregator, even if the request
    /// is over; then report [`IoResult::Waited`].
    Records,
    /// Wait for the effect's timeout, then report [`IoResult::Waited`].
    Wait {
        /// Whether it outlives its request; if not, it may be dropped when that ends.
        outlives_request: bool,
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
    /// The trace that it belongs to, for the header `traceparent`.
    pub traceparent: Option<String>,
}

/// The result of an effect.
#[derive(Debug)]
pub enum IoResult {
    /// Of a read: for each key in order its bytes; or why the read failed as a whole.
    Read(Result<Vec<Option<Vec<u8>>>, ReadFailure>),
    /// Of a write.
    Written(WriteOutcome),
    /// Of a request to the origin.
    Fetched(Result<OriginReply, FetchFailure>),
    /// Of a passed-through request: the status of the origin's response; 502 where the origin did not
    /// answer, and `None` where it certainly never got the request.
    Forwarded(Option<u16>),
    /// Of a call to the invalidation log: an [`invalidation_log::Appended`] in bytes.
    Logged(Option<Vec<u8>>),
    /// Of a wait.
    Waited,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// The effect's time ran out.
    TimedOut,
    /// The origin is a function, which threw.
    Threw {
        /// The host's number of what was thrown.
        exception: u32,
    },
    /// No connection, or one that broke.
    Unreachable,
    /// More than `max_bytes`.
    TooLarge,
    /// More than there is memory for.
    NoRoom,
    /// In an unsupported content coding.
    Encoded {
        /// What its `Content-Encoding` says.
        coding: String,
    },
}

/// The transition of a request: what to do next.
#[derive(Debug, Default)]
pub struct Transition {
    /// The request's handle, while it is in progress; an answered request may continue in the
    /// background.
    pub handle: Option<RequestHandle>,
    /// The effects to perform now.
    pub effects: Vec<Effect>,
    /// The next chunk of a streamed reply. No more follows, except the last, until the host calls
    /// [`resume`](crate::Service::resume).
    pub chunk: Option<Chunk>,
    /// The response, once the request ends. Remaining effects are then performed in the background.
    pub response: Option<Response>,
    /// Other requests that may advance: call [`wake`](crate::Service::wake) for each, in that
    /// request's own context.
    pub woken: Vec<RequestHandle>,
}

impl Transition {
    /// A waiting request with its effects.
    pub(super) fn waiting(handle: RequestHandle, effects: Vec<Effect>) -> Transition {
        Transition { handle: Some(handle), effects, ..Transition::default() }
    }

    /// A request that waits for this effect.
    pub(super) fn waiting_for(effect: Effect) -> Transition {
        Transition::waiting(effect.id.handle, vec![effect])
    }

    /// Background effects.
    pub(super) fn background(effects: Vec<Effect>) -> Transition {
        Transition { effects, ..Transition::default() }
    }

    /// Whether there is nothing to do besides its response.
    #[must_use]
    pub fn has_all_features(&self) -> bool {
        self.handle.is_none() && self.effects.is_empty() && self.woken.is_empty() && self.chunk.is_none()
    }
}

impl From<Reply> for Transition {
    fn from(reply: Reply) -> Self {
        Response::Reply(reply).into()
    }
}

impl From<Response> for Transition {
    fn from(response: Response) -> Self {
        Transition { response: Some(response), ..Transition::default() }
    }
}

/// A chunk of a streamed reply.
#[derive(Debug)]
pub struct Chunk {
    /// With the first chunk: the reply's status and headers. Its own body is empty.
    pub head: Option<Reply>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// How a request ends.
#[derive(Debug)]
pub enum Response {
    /// With this reply.
    Reply(Reply),
    /// With the origin's response to the passed-through request, streamed.
    Forward {
        /// The origin's base URL.
        base: String,
        /// Why.
        bypass: Bypass,
        /// What remains of the request's deadline, in milliseconds: by then the response must have
        /// ended.
        timeout_millis: u64,
    },
    /// With the result of [`IoRequest::Forward`].
    Forwarded {
        /// A header to add to it, by name and value.
        notice: Option<(&'static str, &'static str)>,
    },
    /// With the chunks that were sent: this transition's is the last.
    Streamed,
    /// With a file of the page.
    Asset,
}

impl Response {
    /// The same, with one more header.
    pub(super) fn with_added_header(self, notice: (&'static str, &'static str)) -> Response {
        match self {
            Response::Reply(reply) => Response::Reply(reply.with_header(notice)),
            Response::Forwarded { .. } => Response::Forwarded { notice: Some(notice) },
            other => other,
        }
    }
}
