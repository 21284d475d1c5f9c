//! The engine: its state, how a request begins, and its figures. It knows no JSON and does no I/O.
//! Invariant: a session is in the table while it awaits I/O, and nowhere else.

use ::prefetch::governor::Governor;
use ::prefetch::patterns::Patterns;
use cache::invalidations::Invalidations;
use cache::lookup;
use cache::memory::Memory;
use model::answer::{Action, Answer, LookupResult, OriginFailure, Tier, TierCounts};
use model::interner::Interner;
use model::key::ShardSecret;
use model::request::{Priority, RowQuery};
use model::time::Timestamp;

use crate::breaker::Breaker;
use crate::eviction_rate::EvictionRate;
use crate::flight::Flights;
use crate::io::{MAX_STORES, Progress, SessionId};
use crate::latency::Latency;
use crate::limiter::Limiter;
use crate::origin::Origin;
use crate::read_policy;
use crate::serving_pattern::{self, PatternLimits};
use crate::session::{self, Session};
use crate::settings::Settings;
use crate::slab::Slab;
use crate::store::Store;

/// How a request begins.
#[derive(Debug)]
pub enum BeginOutcome {
    /// L1 had all of it.
    Answered {
        /// The request.
        query: Box<RowQuery>,
        /// The answer.
        answer: Box<Answer>,
        /// Whether [`Engine::revalidate`] is to be called in the background.
        needs_revalidation: bool,
        /// The limits of its serving pattern.
        pattern_limits: PatternLimits,
    },
    /// Something is missing or too old.
    Waiting(PatternLimits, Progress),
    /// The request is shed: too many are pending, or their memory is used up.
    Shed {
        /// The request.
        query: Box<RowQuery>,
        /// When to retry, in seconds.
        retry_seconds: u64,
    },
}

/// The serving engine: L1, the lower tiers, and the sessions in progress.
#[derive(Debug)]
pub struct Engine {
    pub(super) settings: Settings,
    pub(super) memory: Memory,
    pub(super) invalidations: Invalidations,
    pub(super) interner: Interner,
    pub(super) stores: Vec<Store>,
    pub(super) origin: Origin,
    pub(super) sessions: Slab<Session>,
    pub(super) flights: Flights,
    /// Sessions that wait for a permit to call the origin, by priority and then by arrival.
    pub(super) queue: Vec<Waiter>,
    /// Memory of pending requests outside the engine, in bytes.
    pub(super) external_bytes: usize,
    /// Bytes of rows evicted while sessions still held them, when sessions were last measured.
    pub(super) measured_at: u64,
    pub(super) random_state: u64,
    pub(super) shed_requests: u64,
    /// Of these, requests shed for lack of memory.
    pub(super) shed_for_memory: u64,
    /// Hedges that may be made, in thousandths.
    pub(super) hedge_credit: u32,
    pub(super) hedged: u64,
    pub(super) patterns: Patterns,
    pub(super) governor: Governor,
    pub(super) eviction_rate: EvictionRate,
    /// How often a read policy of L2 was decided.
    pub(super) l2_decisions: u64,
    /// The memory of a sent answer, for the next.
    pub(super) recycled_answer: Option<Box<Answer>>,
}

/// A session that waits for a permit to call the origin. It stays in the queue until it has one.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) priority: Priority,
    pub(super) session: u64,
    /// When it last tried to get a permit.
    pub(super) polled_at: Timestamp,
    /// Whether it was woken since then.
    pub(super) is_woken: bool,
}

impl Engine {
    /// An engine with an empty L1.
    #[must_use]
    pub fn new(settings: Settings) -> Engine {
        let stores = settings.stores.iter().take(MAX_STORES);
        Engine {
            memory: Memory::new(settings.l1, settings.eviction),
            invalidations: Invalidations::new(settings.jobs),
            interner: Interner::default(),
            stores: stores
                .map(|store| {
                    Store::new(
                        store.clone(),
                        settings.breaker,
                        settings.max_clock_skew_millis,
                        (settings.pending_bytes / 2, settings.l1.row),
                    )
                })
                .collect(),
            origin: Origin::new(settings.breaker, settings.limiter),
            sessions: Slab::default(),
            flights: Flights::default(),
            queue: Vec::new(),
            external_bytes: 0,
            measured_at: 0,
            random_state: settings.seed,
            shed_requests: 0,
            shed_for_memory: 0,
            hedge_credit: 0,
            hedged: 0,
            patterns: Patterns::new(settings.learning),
            governor: Governor::new(settings.prefetch),
            eviction_rate: EvictionRate::default(),
            l2_decisions: 0,
            recycled_answer: None,
            settings,
        }
    }

    /// Begins a request at `now`: answers it from L1 if all rows are there, or starts to fetch the
    /// missing ones.
    pub fn begin(&mut self, id: SessionId, query: Box<RowQuery>, now: Timestamp) -> BeginOutcome {
        let mut answer = self.recycled_answer.take().unwrap_or_default();
        let early_millis = self.early_millis();
        let open =
            lookup::read_memory(&mut self.memory, &self.invalidations, &query, now, early_millis, &mut answer.found);
        self.record_lookup(&query, &answer.found, open.missing, now);
        let pattern_limits = serving_pattern::limits_of(
            &self.settings.serving_patterns,
            query.rows,
            query.features(),
            query.priority,
            query.deadline_millis,
            query.is_streamed,
        )
        .with_deadline(query.background_timeout_millis)
        .less_waited(query.waited_millis);
        if open.missing == 0 {
            answer.tier_counts =
                TierCounts { l1_hits: answer.found.len() as u32, stale: open.stale, ..TierCounts::default() };
            lookup::enforce_max_event_age(&mut answer.found, &query, query.rows, now);
            return BeginOutcome::Answered { query, answer, needs_revalidation: open.revalidating > 0, pattern_limits };
        }
        let has_room = self.has_room_for(&query, answer.found.len(), open.missing as usize);
        if !has_room || self.sessions.len() >= self.admitted(query.priority) {
            self.shed_requests += 1;
            self.shed_for_memory += u64::from(!has_room);
            self.recycle(answer);
            return BeginOutcome::Shed { query, retry_seconds: RETRY_SECONDS };
        }
        BeginOutcome::Waiting(
            pattern_limits,
            self.advance(id, Session::new(query, pattern_limits, answer.found, &self.invalidations, now), now),
        )
    }

    /// Revalidates in the background the stale rows of an answer that [`BeginOutcome::Answered`]
    /// returned.
    pub fn revalidate(
        &mut self,
        id: SessionId,
        query: Box<RowQuery>,
        answer: Box<Answer>,
        pattern_limits: PatternLimits,
        now: Timestamp,
    ) -> Progress {
        // Background work is shed first.
        let due = answer.found.iter().filter(|found| found.action == Action::Revalidate).count();
        let has_room = self.has_room(Priority::Low, session::expected_bytes(&query, answer.found.len(), due));
        if !has_room || self.sessions.len() >= self.admitted(Priority::Low) {
            self.recycle(answer);
            return Progress { is_over: true, ..Progress::default() };
        }
        let early_millis = self.early_millis();
        let session = Session::revalidate(query, pattern_limits, answer.found, &self.invalidations, early_millis, now);
        self.advance(id, session, now)
    }

    /// Takes back the memory of a sent answer, for the next.
    pub fn recycle(&mut self, mut answer: Box<Answer>) {
        answer.found.clear();
        answer.found.shrink_to(MAX_RECYCLED_RESULTS);
        answer.failure = None;
        self.recycled_answer = Some(answer);
    }

    /// Clears L1 and the write queues.
    pub fn clear_rows(&mut self) {
        let reserved = self.memory.reserved();
        self.memory = Memory::new(self.settings.l1, self.settings.eviction);
        self.memory.reserve(reserved);
        self.measured_at = 0;
        self.sessions.measure();
        self.stores.iter_mut().for_each(|store| store.queue.clear());
    }

    /// Ends all write intervals: the host is about to stop, so queued rows are written at the next
    /// flush.
    pub fn close(&mut self) {
        self.stores.iter_mut().for_each(|store| store.queue.ignore_intervals());
    }

    /// Shifts all times back by so many milliseconds, after a clock that was ahead.
    pub fn set_clock_back(&mut self, millis: u64) {
        self.sessions.values_mut().for_each(|session| session.set_clock_back(millis));
        self.stores.iter_mut().for_each(|store| store.set_clock_back(millis));
        self.origin.breaker.set_clock_back(millis);
        self.origin.limiter.set_clock_back(millis);
        self.flights.set_clock_back(millis);
        self.governor.set_clock_back(millis);
        for waiter in &mut self.queue {
            waiter.polled_at = waiter.polled_at.minus(millis);
        }
    }

    /// Reserves so many bytes of L1's budget, in all, for data that is kept outside it.
    pub fn reserve(&mut self, bytes: usize) {
        self.memory.reserve(bytes);
    }

    /// The invalidations, to add to.
    pub fn invalidations_mut(&mut self) -> &mut Invalidations {
        &mut self.invalidations
    }

    /// The invalidations.
    #[must_use]
    pub fn invalidations(&self) -> &Invalidations {
        &self.invalidations
    }

    /// The interner of schemas, for building rows.
    pub fn interner(&mut self) -> &mut Interner {
        &mut self.interner
    }

    /// Backpressure: begins no further reads and calls for a session and emits nothing more of it,
    /// until [`Engine::resume`]. Its deadline still ends it.
    pub fn pause(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id.0) {
            session.is_paused = true;
        }
    }

    /// The failure of the origin that a session met, if any.
    #[must_use]
    pub fn failure(&self, id: SessionId) -> Option<&OriginFailure> {
        self.sessions.get(id.0)?.failure.as_ref()
    }

    /// The request of a session.
    #[must_use]
    pub fn query(&self, id: SessionId) -> Option<&RowQuery> {
        self.sessions.get(id.0).map(|session| &*session.query)
    }

    /// When an origin call began.
    #[must_use]
    pub fn call_began(&self, id: SessionId, call: u32) -> Option<Timestamp> {
        self.sessions.get(id.0)?.calls.get(call as usize)?.as_ref().map(|call| call.began)
    }

    /// When a store read began.
    #[must_use]
    pub fn read_began(&self, id: SessionId, batch: u32) -> Option<Timestamp> {
        self.sessions.get(id.0)?.reads.get(batch as usize)?.as_ref().map(|read| read.began)
    }

    /// L1.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Hashes keys to shards with a secret. To be called before any request.
    pub fn set_shard_secret(&mut self, secret: &str) {
        for store in self.stores.iter_mut().filter(|store| store.settings.shards > 1) {
            store.secret = Some(ShardSecret::new(secret));
        }
    }

    /// The stores, in read order.
    #[must_use]
    pub fn stores(&self) -> &[Store] {
        &self.stores
    }

    /// The origin's breaker.
    #[must_use]
    pub fn origin_breaker(&self) -> &Breaker {
        &self.origin.breaker
    }

    /// The calls to the origin.
    #[must_use]
    pub fn origin_limiter(&self) -> &Limiter {
        &self.origin.limiter
    }

    /// How many sessions there are: requests that wait for I/O, and background work.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many rows are in flight.
    #[must_use]
    pub fn flights(&self) -> usize {
        self.flights.len()
    }

    /// How many requests were shed since the start.
    #[must_use]
    pub fn shed_requests(&self) -> u64 {
        self.shed_requests
    }

    /// The present read policy of L2, where there is one, with its reason.
    #[must_use]
    pub fn l2_decision(&self) -> Option<read_policy::Decision> {
        let store = self.stores.iter().find(|store| store.tier() == Tier::L2)?;
        Some(read_policy::decide(self.settings.l2_read_policy, &store.latency, store.recent, &self.origin.latency))
    }

    /// How long the origin takes.
    #[must_use]
    pub fn origin_latency(&self) -> &Latency {
        &self.origin.latency
    }

    /// The present timeout of a tier, in milliseconds: `max_millis`, or less if it adapts.
    #[must_use]
    pub fn timeout_of(&self, latency: &Latency, min_millis: u64, max_millis: u64) -> u64 {
        if self.settings.has_adaptive_timeouts { latency.timeout(min_millis, max_millis) } else { max_millis }
    }

    /// How many hedged calls to the origin were made.
    #[must_use]
    pub fn hedged(&self) -> u64 {
        self.hedged
    }

    /// How many sessions there may be to admit one more of this priority.
    pub(super) fn admitted(&self, priority: Priority) -> usize {
        admitted(self.settings.max_sessions, priority)
    }

    /// Whether there is memory for a request with so many missing rows to wait.
    pub(super) fn has_room_for(&mut self, query: &RowQuery, slots: usize, missing: usize) -> bool {
        self.has_room(query.priority, query.request_bytes + session::expected_bytes(query, slots, missing))
    }

    /// Whether pending work of this priority may take so many bytes more.
    pub fn has_room(&mut self, priority: Priority, bytes: usize) -> bool {
        // A row counts in L1 while it is there, and afterwards in the sessions that hold it.
        let left = self.memory.removed_while_shared();
        if left.abs_diff(self.measured_at) > MEASURED_EVERY_BYTES {
            self.measured_at = left;
            self.sessions.measure();
        }
        self.pending_bytes() + bytes <= admitted(self.settings.pending_bytes, priority)
    }

    /// Sets the memory that pending requests take outside the engine, in bytes.
    pub fn set_external_bytes(&mut self, bytes: usize) {
        self.external_bytes = bytes;
    }

    /// The memory of pending requests and of queued writes, in bytes.
    pub(super) fn pending_bytes(&self) -> usize {
        self.session_bytes() + self.external_bytes + self.queued_write_bytes()
    }

    /// The memory that sessions take, in bytes.
    #[must_use]
    pub fn session_bytes(&self) -> usize {
        self.sessions.bytes()
    }

    /// The memory of queued writes, in bytes.
    #[must_use]
    pub fn queued_write_bytes(&self) -> usize {
        self.stores.iter().map(Store::pending_bytes).sum()
    }

    /// How many requests were shed since the start for lack of memory.
    #[must_use]
    pub fn shed_for_memory(&self) -> u64 {
        self.shed_for_memory
    }

    /// Counts a request that was shed for lack of memory.
    pub fn count_shed(&mut self) {
        self.shed_requests += 1;
        self.shed_for_memory += 1;
    }

    pub(super) fn early_millis(&mut self) -> u64 {
        let beta = self.settings.early_beta_permille;
        let Some(fetch_millis) = self.origin.latency.quantile(500).filter(|_| beta > 0) else { return 0 };
        cache::freshness::early_millis(fetch_millis, beta, self.next_u64())
    }

    /// Random bits, from the seed. Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
    /// OOPSLA 2014 (SplitMix64).
    pub(super) fn next_u64(&mut self) -> u64 {
        self.random_state = self.random_state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random_state ^ self.random_state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

/// How much of `most` may be used before one of this priority is shed.
fn admitted(most: usize, priority: Priority) -> usize {
    let percent = match priority {
        Priority::Low => 50,
        Priority::Normal => 80,
        Priority::High => 95,
        Priority::Critical => 100,
    };
    (most as u64 * percent).div_ceil(100) as usize
}

/// After how many evicted bytes the sessions that still hold them are measured again.
const MEASURED_EVERY_BYTES: u64 = 1 << 20;

/// The most results whose memory is kept for the next answer.
const MAX_RECYCLED_RESULTS: usize = 20_000;

/// That memory, in bytes.
pub const RECYCLED_BYTES: usize = MAX_RECYCLED_RESULTS * size_of::<LookupResult>();

/// When a shed request may retry: by then, what waits now has met its deadline.
const RETRY_SECONDS: u64 = 1;
