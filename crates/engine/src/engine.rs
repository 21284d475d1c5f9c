//! The engine's state, how a request begins, and what there is to look at.

use ::prefetch::patterns::Patterns;
use ::prefetch::prefetch::Governor;
use cache::lookup;
use cache::marks::Marks;
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
        /// Whether [`Engine::refresh`] is to be called behind the answer.
        needs_revalidation: bool,
        /// How it was routed.
        pattern_limits: PatternLimits,
    },
    /// Something is missing or too old.
    Waiting(PatternLimits, Progress),
    /// So many requests wait already that this one is refused.
    Shed {
        /// The request.
        query: Box<RowQuery>,
        /// When it is worth trying again, in seconds.
        retry_seconds: u64,
    },
}

/// The serving engine: L1, the tiers behind it, and the sessions under way.
#[derive(Debug)]
pub struct Engine {
    pub(super) settings: Settings,
    pub(super) memory: Memory,
    pub(super) invalidations: Marks,
    pub(super) interner: Interner,
    pub(super) stores: Vec<Store>,
    pub(super) origin: Origin,
    pub(super) sessions: Slab<Session>,
    pub(super) flights: Flights,
    /// Sessions that wait for a place among the calls to the origin: by priority, and then as they came.
    pub(super) queue: Vec<Waiter>,
    /// What requests that wait take elsewhere, in bytes.
    pub(super) external_bytes: usize,
    /// What L1 had let go of while sessions still had it, when these were measured last.
    pub(super) measured_at: u64,
    pub(super) random_state: u64,
    pub(super) shed_requests: u64,
    /// Of these, those for which there was no memory.
    pub(super) shed_for_memory: u64,
    /// Hedges that may be made, in thousandths.
    pub(super) hedge_credit: u32,
    pub(super) hedged: u64,
    pub(super) patterns: Patterns,
    pub(super) governor: Governor,
    pub(super) eviction_rate: EvictionRate,
    /// How often it was decided how L2 is asked.
    pub(super) l2_decisions: u64,
    /// An answer's memory, kept for the next.
    pub(super) recycled_answer: Option<Box<Answer>>,
}

/// A session that waits for a place among the calls to the origin. It keeps its place in the queue until it has one there.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) priority: Priority,
    pub(super) session: u64,
    /// When it last looked for a place.
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
            invalidations: Marks::new(settings.jobs),
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

    /// Begins a request at `now`: answers it from L1 where all is there, else effects what is missing.
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
        .with_deadline(query.patience_millis)
        .less_waited(query.waited_millis);
        if open.missing == 0 {
            answer.tier_counts =
                TierCounts { l1_hits: answer.found.len() as u32, stale: open.stale, ..TierCounts::default() };
            lookup::enforce_max_event_age(&mut answer.found, &query, query.rows, now);
            return BeginOutcome::Answered { query, answer, needs_revalidation: open.due > 0, pattern_limits };
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

    /// Fetches anew, behind an answer that [`BeginOutcome::Answered`] gave, what is due of it.
    pub fn revalidate(
        &mut self,
        id: SessionId,
        query: Box<RowQuery>,
        answer: Box<Answer>,
        pattern_limits: PatternLimits,
        now: Timestamp,
    ) -> Progress {
        // What makes way first when there is much to do is what nobody waits for.
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

    /// Takes back the memory of an answer that was used, for the next.
    pub fn recycle(&mut self, mut answer: Box<Answer>) {
        answer.found.clear();
        answer.found.shrink_to(MAX_RECYCLED_RESULTS);
        answer.failure = None;
        self.recycled_answer = Some(answer);
    }

    /// Forgets all rows in L1, and those that wait to be written.
    pub fn clear_rows(&mut self) {
        let reserved = self.memory.reserved();
        self.memory = Memory::new(self.settings.l1, self.settings.eviction);
        self.memory.reserve(reserved);
        self.measured_at = 0;
        self.sessions.measure();
        self.stores.iter_mut().for_each(|store| store.queue.clear());
    }

    /// Lets what waits to be written be written as soon as somebody comes back for it: there is no later.
    pub fn close(&mut self) {
        self.stores.iter_mut().for_each(|store| store.queue.ignore_intervals());
    }

    /// Puts what is under way back by so many milliseconds: the clock that it began by was ahead.
    pub fn set_back(&mut self, millis: u64) {
        self.sessions.values_mut().for_each(|session| session.set_back(millis));
        self.stores.iter_mut().for_each(|store| store.set_back(millis));
        self.origin.breaker.set_back(millis);
        self.origin.limiter.set_back(millis);
        self.flights.set_back(millis);
        self.governor.set_back(millis);
        for waiter in &mut self.queue {
            waiter.polled_at = waiter.polled_at.minus(millis);
        }
    }

    /// Has L1 make room for what is kept of its rows elsewhere, so many bytes in all.
    pub fn reserve(&mut self, bytes: usize) {
        self.memory.reserve(bytes);
    }

    /// What was written past the caches, to be marked.
    pub fn invalidations_mut(&mut self) -> &mut Marks {
        &mut self.invalidations
    }

    /// The same, to look at.
    #[must_use]
    pub fn invalidations(&self) -> &Marks {
        &self.invalidations
    }

    /// The schemas in use, for whoever builds rows for the engine.
    pub fn interner(&mut self) -> &mut Interner {
        &mut self.interner
    }

    /// Begins no further reads and calls for a session, and gives no more of it, until its reader has taken what was given.
    /// Its deadline ends it all the same.
    pub fn pause(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id.0) {
            session.is_paused = true;
        }
    }

    /// Why the origin could not help a session so far.
    #[must_use]
    pub fn failure(&self, id: SessionId) -> Option<&OriginFailure> {
        self.sessions.get(id.0)?.failure.as_ref()
    }

    /// The request of a session.
    #[must_use]
    pub fn query(&self, id: SessionId) -> Option<&RowQuery> {
        self.sessions.get(id.0).map(|session| &*session.query)
    }

    /// When the call of that number began.
    #[must_use]
    pub fn call_began(&self, id: SessionId, call: u32) -> Option<Timestamp> {
        self.sessions.get(id.0)?.calls.get(call as usize)?.as_ref().map(|call| call.began)
    }

    /// When the read of that number began.
    #[must_use]
    pub fn read_began(&self, id: SessionId, batch: u32) -> Option<Timestamp> {
        self.sessions.get(id.0)?.reads.get(batch as usize)?.as_ref().map(|read| read.began)
    }

    /// L1.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Chooses the shards of stores that have several by a secret too. To be called before anything is asked.
    pub fn hide_shards(&mut self, secret: &str) {
        for store in self.stores.iter_mut().filter(|store| store.settings.shards > 1) {
            store.secret = Some(ShardSecret::new(secret));
        }
    }

    /// The stores, in the order in which they are asked.
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

    /// How many requests wait for I/O, or go on behind their answers.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many rows are being looked for.
    #[must_use]
    pub fn flights(&self) -> usize {
        self.flights.len()
    }

    /// How many requests were refused since the start.
    #[must_use]
    pub fn shed_requests(&self) -> u64 {
        self.shed_requests
    }

    /// How L2 is asked now, where there is one, and why.
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

    /// The most that a tier is given now, in milliseconds: `max_millis`, or less by what was measured.
    #[must_use]
    pub fn timeout_of(&self, latency: &Latency, min_millis: u64, max_millis: u64) -> u64 {
        if self.settings.has_adaptive_timeouts { latency.timeout(min_millis, max_millis) } else { max_millis }
    }

    /// How many calls to the origin were made since a store was slow.
    #[must_use]
    pub fn hedged(&self) -> u64 {
        self.hedged
    }

    /// How many sessions there may be for one of this priority to be admitted.
    pub(super) fn admitted(&self, priority: Priority) -> usize {
        admitted(self.settings.max_sessions, priority)
    }

    /// Whether a request of which so many places are missing may take the memory that it needs while it waits.
    pub(super) fn has_room_for(&mut self, query: &RowQuery, slots: usize, missing: usize) -> bool {
        self.has_room(query.priority, query.held_bytes + session::expected_bytes(query, slots, missing))
    }

    /// Whether so many bytes more may wait for a request of this priority.
    pub fn has_room(&mut self, priority: Priority, bytes: usize) -> bool {
        // Rows count in L1 for as long as it has them, and then where they are still in use.
        let left = self.memory.left_to_others();
        if left.abs_diff(self.measured_at) > MEASURED_EVERY_BYTES {
            self.measured_at = left;
            self.sessions.measure();
        }
        self.pending_bytes() + bytes <= admitted(self.settings.pending_bytes, priority)
    }

    /// Tells what requests that wait take elsewhere, in bytes.
    pub fn set_external_bytes(&mut self, bytes: usize) {
        self.external_bytes = bytes;
    }

    /// The memory that requests take which wait, and rows whose writes were put off, in bytes.
    pub(super) fn pending_bytes(&self) -> usize {
        self.session_bytes() + self.external_bytes + self.put_off_bytes()
    }

    /// The memory that sessions take, in bytes.
    #[must_use]
    pub fn session_bytes(&self) -> usize {
        self.sessions.bytes()
    }

    /// The memory that rows take whose writes were put off, in bytes.
    #[must_use]
    pub fn put_off_bytes(&self) -> usize {
        self.stores.iter().map(Store::pending_bytes).sum()
    }

    /// How many requests were refused since the start for want of memory.
    #[must_use]
    pub fn shed_for_memory(&self) -> u64 {
        self.shed_for_memory
    }

    /// Notes that something was refused for want of memory.
    pub fn note_shed(&mut self) {
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

/// How much of `most` may be taken before one of this priority is refused.
fn admitted(most: usize, priority: Priority) -> usize {
    let percent = match priority {
        Priority::Low => 50,
        Priority::Normal => 80,
        Priority::High => 95,
        Priority::Critical => 100,
    };
    (most as u64 * percent).div_ceil(100) as usize
}

/// After how many bytes of rows that L1 let go of while sessions still had them these are measured anew.
const MEASURED_EVERY_BYTES: u64 = 1 << 20;

/// The most places whose memory is kept for the next answer.
const MAX_RECYCLED_RESULTS: usize = 20_000;

/// That memory, in bytes.
pub const RECYCLED_BYTES: usize = MAX_RECYCLED_RESULTS * size_of::<LookupResult>();

/// How soon a refused request may try again: by then, what waits now has met its deadline.
const RETRY_SECONDS: u64 = 1;
