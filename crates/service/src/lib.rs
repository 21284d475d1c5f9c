//! The service: bytes in, effects out, results in, a reply out.
//!
//! Stands between the protocols, which know JSON, and the engine, which knows rows. It does no I/O and reads no clock, so
//! the same service runs in a Worker, in Node, in a browser and in a simulation. It is made of parts, each of which owns its
//! state and returns effects; a dispatcher stands between them. Invariant: every request that begins ends in exactly one
//! [`Response`], and what is all in L1 ends within [`Service::begin`].

use config::Config;
use engine::Engine;
use model::time::Timestamp;
use protocol::native::{Numbers, Options};
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
pub use telemetry::snapshot::{MemoryUse, Share};

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

    /// How many bytes of a request's body are to be read for [`Service::begin`]; of a longer one it is told
    /// [that it is](Incoming::is_over_limit). 0 where the body is not looked at here.
    #[must_use]
    pub fn body_limit(&self, method: &str, path: &str) -> usize {
        Endpoint::of(method, path).body_limit(self.config())
    }

    /// What a request needs to be allowed. What may write, and is not known here, only an operator may ask of the origin.
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
    pub fn begin_columns(&mut self, body: &[u8], numbers: Numbers, now: Timestamp) -> Transition {
        self.transition(now, |dispatcher, now| {
            dispatcher.sweep(now);
            let protocol = Protocol::Native(Options::default().in_columns(Some(numbers)));
            dispatcher.serve(protocol, Incoming { body, ..Incoming::default() }, None, now)
        })
    }

    /// Tells the result of an effect, at `now`. That of a request which has ended changes nothing.
    pub fn complete(&mut self, id: EffectId, result: IoResult, now: Timestamp) -> Transition {
        // An answer that broke off is of no use.
        self.take_body(id);
        self.transition(now, |dispatcher, now| dispatcher.on_io_result(id, result, now))
    }

    /// Makes the origin's answer to a call longer by `length` bytes, which are then to be written, of `expected` ones that are still to come
    /// where that is known. Without room for them, or where nobody waits for the answer any more, there are none.
    pub fn extend_body(&mut self, id: EffectId, length: usize, expected: usize) -> Option<&mut [u8]> {
        self.dispatcher.extend_body(id, length, expected)
    }

    /// The origin's answer to a call as it was written, to be told of by [`Service::complete`].
    pub fn take_body(&mut self, id: EffectId) -> Vec<u8> {
        self.dispatcher.read_path.bodies.take(id)
    }

    /// Lets a request go on that an earlier transition named among the [`woken`](Transition::woken).
    pub fn wake(&mut self, handle: RequestHandle, now: Timestamp) -> Transition {
        let now = self.dispatcher.now(now);
        self.dispatcher.wake(handle, false, now)
    }

    /// Lets a reply in parts go on: its reader has taken the last [`chunk`](Transition::chunk), or there is room for more.
    pub fn resume(&mut self, handle: RequestHandle, now: Timestamp) -> Transition {
        let now = self.dispatcher.now(now);
        self.dispatcher.resume(handle, now)
    }

    /// Forgets a request whose caller is gone, and does nothing more for it; others may go on in its place.
    pub fn abandon(&mut self, handle: RequestHandle, now: Timestamp) -> Vec<RequestHandle> {
        let now = self.dispatcher.now(now);
        self.dispatcher.abandon(handle, now)
    }

    /// What the built-in origin answers to `body`.
    #[must_use]
    pub fn synthesize(&self, body: &[u8], now: Timestamp) -> OriginReply {
        origin_requests::synthesize(self.config(), body, now)
    }

    /// Takes back the memory of a reply that was sent, for the next.
    pub fn recycle(&mut self, reply: Reply) {
        if let Some(buffer) = reply.into_buffer() {
            self.dispatcher.read_path.pool.recycle_buffer(buffer);
        }
    }

    /// Has what waits to be written no longer wait for its time: the host is about to end. It ends the
    /// [waits](IoRequest::Wait) that outlive their requests, and performs the effects that come then.
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

/// What it is, and how it stands.
impl Service {
    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.dispatcher.config
    }

    /// Has nobody who does not know `secret` foresee which shard of the storage tier a row is in. To be called before anything is asked.
    pub fn hide_shards(&mut self, secret: &str) {
        self.dispatcher.read_path.engine.hide_shards(secret);
    }

    /// The engine, to look at.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.dispatcher.read_path.engine
    }

    /// Whether a request is under way, be it behind its reply.
    #[must_use]
    pub fn is_under_way(&self, handle: RequestHandle) -> bool {
        self.dispatcher.requests.is_under_way(handle)
    }

    /// How many requests are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.dispatcher.requests.len()
    }

    /// What each share of the memory takes now.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        memory::account(&self.dispatcher.read_path, &self.dispatcher.requests)
    }

    /// What passed between this isolate and the invalidation log, where there is one.
    #[must_use]
    pub fn log_counts(&self) -> Option<InvalidationLogCounts> {
        self.dispatcher.log.as_ref().map(InvalidationLog::counts)
    }

    /// What was told since this was last called, and how the engine stands: a batch for the aggregator.
    pub fn take_records(&mut self, now: Timestamp) -> Batch {
        let now = self.dispatcher.now(now);
        let gauges = gauges::gauges(self.engine(), self.config(), self.memory());
        self.dispatcher.read_path.answers.recorder.take(gauges, now)
    }

    /// Keeps what the aggregator says of the isolate's service level, for the answers from now on.
    pub fn set_sla_status(&mut self, status: sla::Status) {
        self.dispatcher.read_path.answers.sla_status = status;
    }
}
