//! The service: requests in, effects out, results in, responses out.
//!
//! It stands between the protocols, which know JSON, and the engine, which knows rows. It does no I/O and
//! reads no clock, so the same service runs in a Worker, in Node, in a browser and in a simulation. A
//! dispatcher routes between its parts, each of which owns its state and returns effects. Invariant: every
//! request that begins ends in exactly one [`Response`], and a request whose rows are all in L1 ends
//! within [`Service::begin`].
//!
//! The host performs each [`Effect`] and reports its [`IoResult`]. Here the stores are empty and the built-in origin answers:
//!
//! ```
//! use config::Config;
//! use featheredge_service::{Incoming, IoRequest, IoResult, Response, Service, Transition, WriteOutcome};
//! use model::time::Timestamp;
//!
//! let mut service = Service::new(Config::default(), 7);
//! let body = br#"{"features":["driver_stats:trips"],"entities":{"driver_id":[1001]}}"#;
//! let incoming = Incoming { method: "POST", path: "/get-online-features", body, ..Incoming::default() };
//! let now = Timestamp(1_795_420_800_000);
//!
//! // A miss: the request waits, and its effects say for what.
//! let Transition { mut effects, mut response, .. } = service.begin(incoming, now);
//! assert!(response.is_none());
//! while let Some(effect) = effects.pop() {
//!     let result = match effect.request {
//!         IoRequest::ReadStore { keys, .. } => IoResult::Read(Ok(vec![None; keys.len()])),
//!         IoRequest::Synthesize { body, .. } => IoResult::Fetched(Ok(service.synthesize(&body, now))),
//!         IoRequest::WriteStore { .. } => IoResult::Written(WriteOutcome::default()),
//!         // Timers and telemetry.
//!         _ => continue,
//!     };
//!     let next = service.complete(effect.id, result, now);
//!     effects.extend(next.effects);
//!     response = response.or(next.response);
//! }
//! assert!(matches!(response, Some(Response::Reply(reply)) if reply.status() == 200));
//!
//! // A hit in L1: one call.
//! let hit = service.begin(incoming, now);
//! assert!(matches!(hit.response, Some(Response::Reply(reply)) if reply.status() == 200));
//! ```

use config::Config;
use engine::Engine;
use model::time::Timestamp;
use protocol::native::{NumberEncoding, Options};
use telemetry::record::Batch;
use telemetry::sla;

mod answers;
mod bypass;
mod clock;
mod dispatch;
mod engine_effects;
mod explain;
mod gauges;
mod in_progress;
mod invalidation;
mod invalidation_log;
mod io;
mod memory;
mod origin_bodies;
mod origin_requests;
mod pool;
mod prefetch;
mod read_path;
mod read_results;
mod record;
mod registry;
mod reply;
mod request;
mod routes;
mod row_query;
mod row_request;
mod setup;
mod stream;
mod timings;
mod warm;
mod warm_job;
mod write_kind;
mod writes;

pub use bypass::Bypass;
pub use engine::{ReadFailure, WriteOutcome};
pub use invalidation_log::InvalidationLogCounts;
pub use io::{
    AuthScope, Chunk, Effect, EffectId, FetchFailure, Incoming, IoRequest, IoResult, OriginReply, OriginRequest,
    RequestHandle, Response, Transition,
};
pub use reply::{Header, Reply};
pub use telemetry::snapshot::{MemoryShare, MemoryUse};

use dispatch::Dispatcher;
use invalidation_log::InvalidationLog;
use request::Protocol;
use routes::Endpoint;

/// The serving core behind one host.
#[derive(Debug)]
pub struct Service {
    dispatcher: Dispatcher,
}

/// What a host does with requests.
impl Service {
    /// A service with an empty L1. `seed` makes row hashes and request ids hard to foresee from outside.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Service {
        Service { dispatcher: Dispatcher::new(config, seed) }
    }

    /// How many bytes of a request's body [`Service::begin`] needs; of a longer body it needs to know
    /// [that it is longer](Incoming::is_over_limit). 0 where the body is not read here.
    #[must_use]
    pub fn body_limit(&self, method: &str, path: &str) -> usize {
        Endpoint::of(method, path).body_limit(self.config())
    }

    /// The scope that a request needs. An unknown request that may write needs `admin`.
    #[must_use]
    pub fn auth_scope(method: &str, path: &str) -> AuthScope {
        routes::auth_scope(method, path)
    }

    /// Begins a request at `now`.
    pub fn begin(&mut self, incoming: Incoming<'_>, now: Timestamp) -> Transition {
        self.transition(now, |dispatcher, now| {
            dispatcher.sweep(now);
            dispatcher.begin(incoming, now)
        })
    }

    /// Begins a request of the native API at `now`, to be answered in [columns](columnar) of `numbers`.
    pub fn begin_columns(&mut self, body: &[u8], numbers: NumberEncoding, now: Timestamp) -> Transition {
        self.transition(now, |dispatcher, now| {
            dispatcher.sweep(now);
            let protocol = Protocol::Native(Options::default().in_columns(Some(numbers)));
            dispatcher.serve(protocol, Incoming { body, ..Incoming::default() }, None, now)
        })
    }

    /// Applies the result of an effect, at `now`. The result of an ended request changes nothing.
    pub fn complete(&mut self, id: EffectId, result: IoResult, now: Timestamp) -> Transition {
        // A response that broke off is of no use.
        self.take_body(id);
        self.transition(now, |dispatcher, now| dispatcher.on_io_result(id, result, now))
    }

    /// Extends the body of the origin's response to a call by `length` bytes, which the host then
    /// writes; `expected` bytes are still to come, where that is known. `None` without memory for
    /// them, or where no request waits for the response any more.
    pub fn extend_body(&mut self, id: EffectId, length: usize, expected: usize) -> Option<&mut [u8]> {
        self.dispatcher.extend_body(id, length, expected)
    }

    /// Takes the body of the origin's response to a call as it was written, for [`Service::complete`].
    pub fn take_body(&mut self, id: EffectId) -> Vec<u8> {
        self.dispatcher.read_path.bodies.take(id)
    }

    /// Advances a request that an earlier transition named in [`woken`](Transition::woken).
    pub fn wake(&mut self, handle: RequestHandle, now: Timestamp) -> Transition {
        let now = self.dispatcher.now(now);
        self.dispatcher.wake(handle, false, now)
    }

    /// Continues a streamed reply: its reader has taken the last [`chunk`](Transition::chunk), or has
    /// room for more.
    pub fn resume(&mut self, handle: RequestHandle, now: Timestamp) -> Transition {
        let now = self.dispatcher.now(now);
        self.dispatcher.resume(handle, now)
    }

    /// Ends a request whose caller has gone. Returns the requests that may advance in its place.
    pub fn abandon(&mut self, handle: RequestHandle, now: Timestamp) -> Vec<RequestHandle> {
        let now = self.dispatcher.now(now);
        self.dispatcher.abandon(handle, now)
    }

    /// What the built-in origin answers to `body`.
    #[must_use]
    pub fn synthesize(&self, body: &[u8], now: Timestamp) -> OriginReply {
        origin_requests::synthesize(self.config(), body, now)
    }

    /// Takes back the memory of a sent reply, for the next.
    pub fn recycle(&mut self, reply: Reply) {
        if let Some(buffer) = reply.into_buffer() {
            self.dispatcher.read_path.pool.recycle_buffer(buffer);
        }
    }

    /// Ends all write intervals, because the host is about to stop. The host then ends the
    /// [waits](IoRequest::Wait) that outlive their requests, and performs the effects that follow.
    pub fn close(&mut self) {
        self.dispatcher.read_path.engine.close();
    }

    #[inline]
    fn transition(&mut self, now: Timestamp, run: impl FnOnce(&mut Dispatcher, Timestamp) -> Transition) -> Transition {
        let now = self.dispatcher.now(now);
        let mut transition = run(&mut self.dispatcher, now);
        self.dispatcher.end_transition(&mut transition, now);
        transition
    }
}

/// Its configuration and its state.
impl Service {
    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.dispatcher.config
    }

    /// Hashes keys to shards of the storage tier with a secret. To be called before any request.
    pub fn set_shard_secret(&mut self, secret: &str) {
        self.dispatcher.read_path.engine.set_shard_secret(secret);
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.dispatcher.read_path.engine
    }

    /// Whether a request is in progress, possibly in the background.
    #[must_use]
    pub fn is_under_way(&self, handle: RequestHandle) -> bool {
        self.dispatcher.requests.is_under_way(handle)
    }

    /// How many requests are in progress.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.dispatcher.requests.len()
    }

    /// The use of each share of the memory.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        memory::account(&self.dispatcher.read_path, &self.dispatcher.requests)
    }

    /// The counts of the invalidation log, where there is one.
    #[must_use]
    pub fn log_counts(&self) -> Option<InvalidationLogCounts> {
        self.dispatcher.log.as_ref().map(InvalidationLog::counts)
    }

    /// Takes the telemetry since the last call, with the gauges: a batch for the aggregator.
    pub fn take_records(&mut self, now: Timestamp) -> Batch {
        let now = self.dispatcher.now(now);
        let gauges = gauges::gauges(self.engine(), self.config(), self.memory());
        self.dispatcher.read_path.answers.recorder.take(gauges, now)
    }

    /// Sets the isolate's SLO status, for the answers from now on.
    pub fn set_sla_status(&mut self, status: sla::Status) {
        self.dispatcher.read_path.answers.sla_status = status;
    }
}
