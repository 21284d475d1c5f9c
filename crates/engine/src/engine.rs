//! The engine's state, how a request begins, and what there is to look at.

use ::prefetch::governor::Governor;
use ::prefetch::patterns::Patterns;
use ::prefetch::prefetch::Governor;
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
use crate::router::{self, Route};
use crate::session::{self, Session};
use crate::settings::Settings;
use crate::slab::Slab;
use crate::store::Store;

/// How a request begins.
#[derive(Debug)]
pub enum Begun {
    /// L1 had all of it.
    Answered {
        /// The request.
        ask: Box<RowQuery>,
        /// The answer.
        answer: Box<Answer>,
        /// Whether [`Engine::refresh`] is to be called behind the answer.
        is_due: bool,
        /// How it was routed.
        route: Route,
    },
    /// Something is missing or too old.
    Waiting(Route, Progress),
    /// So many requests wait already that this one is refused.
    Refused {
        /// The request.
        ask: Box<RowQuery>,
        /// When it is worth trying again, in seconds.
        retry_seconds: u64,
    },
}

/// The serving engine: L1, the tiers behind it, and the sessions under way.
#[derive(Debug)]
pub struct Engine {
    pub(super) settings: Settings,
    pub(super) memory: Memory,
    pub(super) marks: Invalidations,
    pub(super) interner: Interner,
    pub(super) stores: Vec<Store>,
    pub(super) origin: Origin,
    pub(super) sessions: Slab<Session>,
    pub(super) flights: Flights,
    /// Sessions that wait for a place among the calls to the origin: by priority, and then as they came.
    pub(super) queue: Vec<Waiter>,
    /// What requests that wait take elsewhere, in bytes.
    pub(super) held_outside: usize,
    /// What L1 had let go of while sessions still had it, when these were measured last.
    pub(super) measured_at: u64,
    pub(super) chance: u64,
    pub(super) shed_requests: u64,
    /// Of these, those for which there was no memory.
    pub(super) shed: u64,
    /// Hedges that may be made, in thousandths.
    pub(super) hedges: u32,
    pub(super) hedged: u64,
    pub(super) patterns: Patterns,
    pub(super) governor: Governor,
    pub(super) eviction_rate: EvictionRate,
    /// How often it was decided how L2 is asked.
    pub(super) asked_l2: u64,
    /// An answer's memory, kept for the next.
    pub(super) spare: Option<Box<Answer>>,
}

/// A session that waits for a place among the calls to the origin. It keeps its place in the queue until it has one there.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) priority: Priority,
    pub(super) session: u64,
    /// When it last looked for a place.
    pub(super) looked_at: Timestamp,
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
            marks: Invalidations::new(settings.jobs),
            interner: Interner::default(),
            stores: stores
                .map(|store| {
                    Store::new(
                        store.clone(),
                        settings.breaker,
                        settings.clock_error_millis,
                        (settings.pending_bytes / 2, settings.l1.row),
                    )
                })
                .collect(),
            origin: Origin::new(settings.breaker, settings.limiter),
            sessions: Slab::default(),
            flights: Flights::default(),
            queue: Vec::new(),
            held_outside: 0,
            measured_at: 0,
            chance: settings.seed,
            shed_requests: 0,
            shed: 0,
            hedges: 0,
            hedged: 0,
            patterns: Patterns::new(settings.learning),
            governor: Governor::new(settings.prefetch),
            eviction_rate: EvictionRate::default(),
            asked_l2: 0,
            spare: None,
            settings,
        }
    }

    /// Begins a request at `now`: answers it from L1 where all is there, else effects what is missing.
    pub fn begin(&mut self, id: SessionId, ask: Box<RowQuery>, now: Timestamp) -> Begun {
        let mut answer = self.spare.take().unwrap_or_default();
        let early_millis = self.early_millis();
        let open = lookup::read_memory(&mut self.memory, &self.marks, &ask, now, early_millis, &mut answer.found);
        self.watch(&ask, &answer.found, open.missing, now);
        let route = router::route(
            &self.settings.router,
            ask.rows,
            ask.features(),
            ask.priority,
            ask.deadline_millis,
            ask.is_streamed,
        )
        .within(ask.background_timeout_millis)
        .after(ask.waited_millis);
        if open.missing == 0 {
            answer.tier_counts =
                TierCounts { l1_hits: answer.found.len() as u32, stale: open.stale, ..TierCounts::default() };
            lookup::enforce_max_event_age(&mut answer.found, &ask, ask.rows, now);
            return Begun::Answered { ask, answer, is_due: open.revalidating > 0, route };
        }
        let has_room = self.has_room_for(&ask, answer.found.len(), open.missing as usize);
        if !has_room || self.sessions.len() >= self.admitted(ask.priority) {
            self.shed_requests += 1;
            self.shed += u64::from(!has_room);
            self.recycle(answer);
            return Begun::Refused { ask, retry_seconds: RETRY_SECONDS };
        }
        Begun::Waiting(route, self.conduct(id, Session::new(ask, route, answer.found, &self.marks, now), now))
    }

    /// Fetches anew, behind an answer that [`Begun::Answered`] gave, what is due of it.
    pub fn refresh(
        &mut self,
        id: SessionId,
        ask: Box<RowQuery>,
        answer: Box<Answer>,
        route: Route,
        now: Timestamp,
    ) -> Progress {
        // What makes way first when there is much to do is what nobody waits for.
        let due = answer.found.iter().filter(|found| found.action == Action::Revalidate).count();
        let has_room = self.has_room(Priority::Low, session::expected_bytes(&ask, answer.found.len(), due));
        if !has_room || self.sessions.len() >= self.admitted(Priority::Low) {
            self.recycle(answer);
            return Progress { is_over: true, ..Progress::default() };
        }
        let early_millis = self.early_millis();
        let session = Session::refresh(ask, route, answer.found, &self.marks, early_millis, now);
        self.conduct(id, session, now)
    }

    /// Takes back the memory of an answer that was used, for the next.
    pub fn recycle(&mut self, mut answer: Box<Answer>) {
        answer.found.clear();
        answer.found.shrink_to(MAX_SPARE_PLACES);
        answer.failure = None;
        self.spare = Some(answer);
    }

    /// Forgets all rows in L1, and those that wait to be written.
    pub fn forget(&mut self) {
        let reserved = self.memory.reserved();
        self.memory = Memory::new(self.settings.l1, self.settings.eviction);
        self.memory.reserve(reserved);
        self.measured_at = 0;
        self.sessions.measure();
        self.stores.iter_mut().for_each(|store| store.queue.clear());
    }

    /// Lets what waits to be written be written as soon as somebody comes back for it: there is no later.
    pub fn close(&mut self) {
        self.stores.iter_mut().for_each(|store| store.queue.rest_no_more());
    }

    /// Puts what is under way back by so many milliseconds: the clock that it began by was ahead.
    pub fn set_back(&mut self, millis: u64) {
        self.sessions.values_mut().for_each(|session| session.set_back(millis));
        self.stores.iter_mut().for_each(|store| store.set_back(millis));
        self.origin.breaker.set_back(millis);
        self.origin.limiter.set_back(millis);
        self.flights.set_back(millis);
        self.governor.turn_clock_back(millis);
        for waiter in &mut self.queue {
            waiter.looked_at = waiter.looked_at.minus(millis);
        }
    }

    /// Has L1 make room for what is kept of its rows elsewhere, so many bytes in all.
    pub fn reserve(&mut self, bytes: usize) {
        self.memory.reserve(bytes);
    }

    /// What was written past the caches, to be marked.
    pub fn marks(&mut self) -> &mut Invalidations {
        &mut self.marks
    }

    /// The same, to look at.
    #[must_use]
    pub fn read_marks(&self) -> &Invalidations {
        &self.marks
    }

    /// The schemas in use, for whoever builds rows for the engine.
    pub fn interner(&mut self) -> &mut Interner {
        &mut self.interner
    }

    /// Begins no further reads and calls for a session, and gives no more of it, until its reader has taken what was given.
    /// Its deadline ends it all the same.
    pub fn hold(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id.0) {
            session.is_held = true;
        }
    }

    /// Why the origin could not help a session so far.
    #[must_use]
    pub fn failure(&self, id: SessionId) -> Option<&OriginFailure> {
        self.sessions.get(id.0)?.failure.as_ref()
    }

    /// The request of a session.
    #[must_use]
    pub fn ask(&self, id: SessionId) -> Option<&RowQuery> {
        self.sessions.get(id.0).map(|session| &*session.ask)
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

    /// The most that a tier is given now, in milliseconds: `ceiling`, or less by what was measured.
    #[must_use]
    pub fn timeout_of(&self, latency: &Latency, floor: u64, ceiling: u64) -> u64 {
        if self.settings.has_adaptive_timeouts { latency.timeout(floor, ceiling) } else { ceiling }
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
    pub(super) fn has_room_for(&mut self, ask: &RowQuery, places: usize, missing: usize) -> bool {
        self.has_room(ask.priority, ask.request_bytes + session::expected_bytes(ask, places, missing))
    }

    /// Whether so many bytes more may wait for a request of this priority.
    pub fn has_room(&mut self, priority: Priority, bytes: usize) -> bool {
        // Rows count in L1 for as long as it has them, and then where they are still in use.
        let left = self.memory.removed_while_shared();
        if left.abs_diff(self.measured_at) > MEASURED_EVERY_BYTES {
            self.measured_at = left;
            self.sessions.measure();
        }
        self.pending_bytes() + bytes <= admitted(self.settings.pending_bytes, priority)
    }

    /// Tells what requests that wait take elsewhere, in bytes.
    pub fn hold_outside(&mut self, bytes: usize) {
        self.held_outside = bytes;
    }

    /// The memory that requests take which wait, and rows whose writes were put off, in bytes.
    pub(super) fn pending_bytes(&self) -> usize {
        self.session_bytes() + self.held_outside + self.put_off_bytes()
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
    pub fn shed(&self) -> u64 {
        self.shed
    }

    /// Notes that something was refused for want of memory.
    pub fn note_shed(&mut self) {
        self.shed_requests += 1;
        self.shed += 1;
    }

    pub(super) fn early_millis(&mut self) -> u64 {
        let beta = self.settings.early_beta_permille;
        let Some(fetch_millis) = self.origin.latency.quantile(500).filter(|_| beta > 0) else { return 0 };
        cache::freshness::early_millis(fetch_millis, beta, self.next_u64())
    }

    /// Random bits, from the seed. Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
    /// OOPSLA 2014 (SplitMix64).
    pub(super) fn next_u64(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ self.chance >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
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
const MAX_SPARE_PLACES: usize = 20_000;

/// That memory, in bytes.
pub const SPARE_BYTES: usize = MAX_SPARE_PLACES * size_of::<LookupResult>();

/// How soon a refused request may try again: by then, what waits now has met its deadline.
const RETRY_SECONDS: u64 = 1;
