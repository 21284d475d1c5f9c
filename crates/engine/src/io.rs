//! What the engine requests and returns: effects for its host, and the progress of a session. It names no
//! protocol. Invariant: each effect has one function that takes its result.

use model::answer::{Answer, LookupResult, Tier, TierCounts};
use model::fetch_spec::FetchSpec;
use model::key::StoreKey;
use model::time::Timestamp;

use crate::write_allowance::WriteAllowance;

/// L2 and L3.
pub const MAX_STORES: usize = 2;

/// Names a session. The number is the caller's, and is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// An effect for the host to perform. Its result goes back to the engine.
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
    /// Fetch a set of rows and columns from the origin, and call [`Engine::on_fetched`].
    Fetch {
        /// The number of the call within its session.
        call: u32,
        /// What to fetch.
        fetch: FetchSpec,
        /// How long it may take, in milliseconds.
        timeout_millis: u64,
    },
    /// Write these rows to a store's shard in the background, and call [`Engine::on_written`].
    Write {
        /// Which store.
        tier: Tier,
        /// Which of its shards.
        shard: u32,
        /// Each row's key and stored form.
        entries: Vec<(StoreKey, Vec<u8>)>,
        /// The rows' time to live in the store, in seconds.
        ttl_seconds: u64,
        /// How long it may take, in milliseconds.
        timeout_millis: u64,
        /// How many rows its request may write after these; `None` where its caller waits for the
        /// store and no other batch follows.
        allowance: Option<WriteAllowance>,
        /// When it was issued.
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

/// What came of advancing a session.
#[derive(Debug, Default)]
pub struct Progress {
    /// Effects to perform now, in parallel.
    pub effects: Vec<EngineEffect>,
    /// Of a streamed request, the entities that became complete.
    pub entities: Option<StreamedEntities>,
    /// The answer, once; of a streamed request, what remains to be said beside its entities.
    pub answer: Option<Box<Answer>>,
    /// Whether the session is over. A session that has answered may continue in the background.
    pub is_over: bool,
    /// By tier, rows not written because their stored columns could not be read.
    pub unmerged: Vec<(Tier, u64)>,
    /// Other sessions that may advance: call [`Engine::wake`] for each, in its own request's context.
    pub woken: Vec<SessionId>,
}

/// Some complete entities of a streamed request.
#[derive(Debug)]
pub struct StreamedEntities {
    /// Which of the request's rows, ascending.
    pub rows: Vec<usize>,
    /// One for each of them: view by view, and within a view row by row.
    pub found: Vec<LookupResult>,
    /// Tier counts of all entities so far.
    pub tier_counts: TierCounts,
}
