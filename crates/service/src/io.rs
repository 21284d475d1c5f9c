//! What passes between the service and its host: requests in, effects out, results in, responses out.
//!
//! Each effect names the part of the service that its result goes to.

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
    /// The query behind it, without the `?`.
    pub query_string: &'a str,
    /// The whole body; empty where it is longer than [`Service::body_limit`](crate::Service::body_limit).
    pub body: &'a [u8],
    /// Whether it is longer.
    pub is_over_limit: bool,
    /// Whether the caller sent credentials of its own.
    pub has_authorization: bool,
    /// The caller's trace, as W3C's `traceparent` has it; empty where there is none.
    pub traceparent: &'a str,
    /// Whether the caller has shown that it may operate this service.
    pub is_operator: bool,
    /// Whether the caller accepts `application/x-ndjson`.
    pub accepts_lines: bool,
    /// Whose rows it is served: what it is known by, where what it reads is for it alone; empty where all callers share.
    pub caller: &'a str,
    /// What the header `featheredge-session` says.
    pub session: Option<&'a str>,
}

/// What a request needs to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthScope {
    /// Nothing.
    Public,
    /// To read features, and what the origin tells of itself.
    Read,
    /// To write rows.
    Write,
    /// Everything else: to say what is cached, and whatever the origin does besides.
    Admin,
}

/// Something for the host to do. Effects of one transition are to be performed at the same time.
#[derive(Debug)]
pub struct Effect {
    /// What to tell the result under.
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

/// Names a request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestHandle(pub(super) u64);

impl RequestHandle {
    /// The number that a host may know the request by.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The request of that number; a number that was never given names no request.
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
    Call(u32),
    Write(WriteBegun),
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

/// A write to a store under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct WriteBegun {
    pub(super) tier: Tier,
    pub(super) rows: usize,
    /// How many rows its request may write after these; `None` where it begins no other batch.
    pub(super) allowance: Option<WriteAllowance>,
    pub(super) began: Timestamp,
}

/// What a host can be told to do.
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
        /// How long the store shall keep them, in seconds.
        ttl_seconds: u64,
    },
    /// Make this HTTP request.
    Fetch(OriginRequest),
    /// Pass the request to the origin as it came, and keep what it answers for [`Response::Forwarded`]. Its end is to be told with
    /// [`IoResult::Forwarded`], though the effect's timeout is over, at which the caller is told so, or the caller has gone.
    Forward {
        /// The origin's base URL.
        base: String,
        /// Why.
        bypass: Bypass,
    },
    /// Wait this long, in milliseconds, then call [`Service::synthesize`] with the body and tell the result.
    Synthesize {
        /// How long the built-in origin takes.
        delay_millis: u64,
        /// The request.
        body: Vec<u8>,
    },
    /// Append marks to the invalidation log, or none, and ask what came after those that are known here.
    Log {
        /// An [`invalidation_log::Append`] in bytes, to be answered by an [`invalidation_log::Appended`].
        request: Vec<u8>,
    },
    /// After as long as the effect says, give what `Service::take_records` gives to the aggregator, though the request may be over;
    /// then tell [`IoResult::Waited`].
    Records,
    /// Do nothing for as long as the effect says, then tell [`IoResult::Waited`].
    Wait {
        /// Whether it is of use once its request is over; if not, it may be dropped then.
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
    /// Of a request that was passed on: the origin has begun to answer with this status; 502 where it cannot, and none where it certainly
    /// never got the request.
    Forwarded(Option<u16>),
    /// Of a call to the invalidation log: in numbers of eight bytes, little-endian, its clock in milliseconds, the number of its
    /// last mark, the number and the time of the last mark that it had to drop before its time, and its epoch, which is never 0;
    /// then for each mark its time, its length and itself.
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
    /// No connection, or one that broke.
    Unreachable,
    /// More than `max_bytes`.
    TooLarge,
    /// More than there was memory for, beside what else waits.
    NoRoom,
    /// In a content coding that cannot be undone here.
    Encoded {
        /// What its `Content-Encoding` says.
        coding: String,
    },
}

/// How a request goes on.
#[derive(Debug, Default)]
pub struct Transition {
    /// The request's name, while it is under way; a request that has ended may go on behind its reply.
    pub handle: Option<RequestHandle>,
    /// What is to be done now.
    pub effects: Vec<Effect>,
    /// The next part of a reply that goes out in parts, before the end. No more comes, but for what ends the reply, until the
    /// host has called [`resume`](crate::Service::resume).
    pub chunk: Option<Chunk>,
    /// How the request ends, once it does. Orders that are left then are to be performed behind the reply.
    pub response: Option<Response>,
    /// Other requests that may go on now: [`wake`](crate::Service::wake) is to be called for each, from where that
    /// request itself is served.
    pub woken: Vec<RequestHandle>,
}

impl Transition {
    /// A request that waits, with what is to be done for it.
    pub(super) fn waiting(handle: RequestHandle, effects: Vec<Effect>) -> Transition {
        Transition { handle: Some(handle), effects, ..Transition::default() }
    }

    /// A request that waits for what is to be done for it.
    pub(super) fn waiting_for(effect: Effect) -> Transition {
        Transition::waiting(effect.id.handle, vec![effect])
    }

    /// What is to be done for nobody who waits.
    pub(super) fn background(effects: Vec<Effect>) -> Transition {
        Transition { effects, ..Transition::default() }
    }

    /// Whether there is nothing to do but what its end says.
    #[must_use]
    pub fn is_whole(&self) -> bool {
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

/// A part of a reply.
#[derive(Debug)]
pub struct Chunk {
    /// Before the first part: the reply's status and headers. Its own body is empty.
    pub head: Option<Reply>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// How a request ends.
#[derive(Debug)]
pub enum Response {
    /// With this reply.
    Reply(Reply),
    /// With whatever the origin answers to the request as it came, streamed through.
    Forward {
        /// The origin's base URL.
        base: String,
        /// Why.
        bypass: Bypass,
        /// What is left until the request's deadline, in milliseconds: by then the last of the answer is out, or the request ends.
        timeout_millis: u64,
    },
    /// With what came of [`IoRequest::Forward`].
    Forwarded {
        /// A header to add to it, by name and value.
        notice: Option<(&'static str, &'static str)>,
    },
    /// With the chunks that were given: this transition's is the last.
    Streamed,
    /// With a file of the page.
    Asset,
}

impl Response {
    /// The same, with one more header.
    pub(super) fn with_notice(self, notice: (&'static str, &'static str)) -> Response {
        match self {
            Response::Reply(reply) => Response::Reply(reply.with_header(notice)),
            Response::Forwarded { .. } => Response::Forwarded { notice: Some(notice) },
            other => other,
        }
    }
}
