//! What the engine effects and gives: effects for its host, and what a request has come to.

use model::answer::{Answer, LookupResult, Tier, TierCounts};
use model::fetch_spec::FetchSpec;
use model::key::StoreKey;
use model::time::Timestamp;

use crate::write_allowance::WriteAllowance;

/// L2 and L3.
pub const MAX_STORES: usize = 2;

/// A request that waits for I/O. Its number is the caller's, and never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// Something for the host to do, and to tell the outcome of.
#[derive(Debug, PartialEq, Eq)]
pub enum EngineEffect {
    /// Read these keys from a store's shard, in one bulk operation, and call [`Engine::on_read`].
    Read {
        /// Which store.
        tier: Tier,
        /// Which of its shards.
        shard: u32,
        /// The number of the read within its session.
        batch: u32,
        /// No more than the store's settings allow.
        keys: Vec<StoreKey>,
        /// How long it may take, in milliseconds.
        timeout_millis: u64,
    },
    /// RowQuery the origin for a rectangle of rows and columns, and call [`Engine::on_fetched`].
    Fetch {
        /// The number of the call within its session.
        call: u32,
        /// What to ask.
        fetch: FetchSpec,
        /// How long it may take, in milliseconds.
        timeout_millis: u64,
    },
    /// Write these rows to a store's shard behind the answer, and call [`Engine::on_written`].
    Write {
        /// Which store.
        tier: Tier,
        /// Which of its shards.
        shard: u32,
        /// Each row's key and stored form.
        entries: Vec<(StoreKey, Vec<u8>)>,
        /// How long the store shall keep them, in seconds.
        ttl_seconds: u64,
        /// How long it may take, in milliseconds.
        timeout_millis: u64,
        /// How many rows its request may write after these; `None` where it waits for the store, and begins no other batch.
        allowance: Option<WriteAllowance>,
        /// When it was ordered.
        began: Timestamp,
    },
    /// Call [`Engine::on_timer`] when so many milliseconds have passed.
    Wake {
        /// How long to wait.
        millis: u64,
    },
    /// Call [`Engine::flush`] when so many milliseconds have passed.
    Flush {
        /// Which store.
        tier: Tier,
        /// How long to wait.
        millis: u64,
        /// How many rows the request may write then.
        allowance: WriteAllowance,
    },
}

/// What a session gave when it was told something.
#[derive(Debug, Default)]
pub struct Progress {
    /// What is to be done now, all at once.
    pub effects: Vec<EngineEffect>,
    /// Of a request that is streamed, the entities that are complete now and were not given before.
    pub entities: Option<StreamedEntities>,
    /// The answer, once; of a request that is streamed, what is left to be said beside its entities.
    pub answer: Option<Box<Answer>>,
    /// Whether the session is over: nothing more comes of it. A session that has answered may go on behind its answer.
    pub is_over: bool,
    /// Rows that the store of each tier was not written, since it could not be read what else it holds of them.
    pub unmerged: Vec<(Tier, u64)>,
    /// Other sessions that may go on now: [`Engine::wake`] is to be called for each, in its own request's context.
    pub woken: Vec<SessionId>,
}

/// Some of the entities that a streamed request asks for.
#[derive(Debug)]
pub struct StreamedEntities {
    /// Which of the request's rows, ascending.
    pub rows: Vec<usize>,
    /// One for each of them: view by view, and within a view row by row.
    pub found: Vec<LookupResult>,
    /// Where all that was given so far came from.
    pub tier_counts: TierCounts,
}
