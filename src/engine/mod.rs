//! The decisions: what L1 answers, what the stores are asked, what the origin must compute, and what is written back.
//!
//! Sees rows, keys and times; knows neither JSON nor any protocol, does no I/O and reads no clock. Invariant: every
//! session that begins ends in exactly one answer, once each of its foreground orders has been told its outcome.

use std::rc::Rc;

use crate::cache::codec::{self, Unusable};
use crate::cache::memory::{Budget, Memory};
use crate::model::answer::{Answer, Found, OriginFailure, Tally};
use crate::model::interner::Interner;
use crate::model::key::StoreKey;
use crate::model::request::Ask;
use crate::model::row::Row;
use crate::model::time::Instant;

mod lookup;
mod session;
mod slab;

use session::Session;
use slab::Slab;

/// Where L2's keys begin and how long its rows live there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// What every key begins with.
    pub key_prefix: String,
    /// How long the store keeps a row, in seconds.
    pub ttl_seconds: u64,
}

/// What the engine is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most that L1 may hold.
    pub l1: Budget,
    /// L2, where there is one.
    pub l2: Option<StoreSettings>,
}

/// A request that waits for I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

/// Something for the host to do, and to tell the outcome of.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// Read these keys from L2, in one bulk operation, and call [`Engine::read`].
    Read {
        /// The number of the read within its session.
        batch: u32,
        /// At most [`KEYS_PER_READ`] keys.
        keys: Vec<StoreKey>,
    },
    /// Ask the origin for a rectangle of rows and columns, and call [`Engine::fetched`].
    Fetch(Fetch),
    /// Write these rows to L2 behind the answer; no outcome is awaited.
    Write {
        /// Each row's key and stored form.
        entries: Vec<(StoreKey, Vec<u8>)>,
        /// How long the store shall keep them, in seconds.
        ttl_seconds: u64,
    },
}

/// What the origin is asked: the rows and columns that nothing else had, as one rectangle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// Rows of the request, ascending, each entity once.
    pub rows: Vec<usize>,
    /// For each view of which something is missing: its number, and the numbers of the missing columns in the request's
    /// order (none of them where the view is asked for as a whole).
    pub views: Vec<(usize, Vec<usize>)>,
    /// The places that wait for it: `view × rows of the request + row`.
    pub places: Vec<usize>,
}

/// KV's limit of keys in one bulk read.
pub const KEYS_PER_READ: usize = 100;

/// What a session gave when it was told something: orders to perform, and at its end the answer.
#[derive(Debug, Default)]
pub struct Progress {
    /// What is to be done now, all at once.
    pub orders: Vec<Order>,
    /// The answer, with the request that it belongs to.
    pub answer: Option<(Ask, Answer)>,
}

/// How a request begins.
#[derive(Debug)]
pub enum Begun {
    /// L1 had all of it.
    Answered(Ask, Answer),
    /// Something is missing or too old.
    Waiting(SessionId, Vec<Order>),
}

/// How stored bytes fared that could not be used, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnusableCounts {
    /// Not ours.
    pub foreign: u64,
    /// Another version's.
    pub version: u64,
    /// Damaged.
    pub damaged: u64,
    /// Another key's.
    pub other_key: u64,
}

/// The serving engine: L1 and the sessions under way.
#[derive(Debug)]
pub struct Engine {
    memory: Memory,
    interner: Interner,
    l2: Option<StoreSettings>,
    sessions: Slab<Session>,
    unusable: UnusableCounts,
    /// Answers' memory, kept for the next.
    spare: Vec<Found>,
}

impl Engine {
    /// An engine with an empty L1.
    #[must_use]
    pub fn new(settings: Settings) -> Engine {
        Engine {
            memory: Memory::new(settings.l1),
            interner: Interner::default(),
            l2: settings.l2,
            sessions: Slab::default(),
            unusable: UnusableCounts::default(),
            spare: Vec::new(),
        }
    }

    /// Begins a request at `now`: answers it from L1 where all is there and fresh, else orders what is missing.
    pub fn begin(&mut self, ask: Ask, now: Instant) -> Begun {
        let mut found = core::mem::take(&mut self.spare);
        found.clear();
        let missing = lookup::read_memory(&mut self.memory, &ask, now, &mut found);
        let places = found.len() as u32;
        if missing == 0 {
            let tally = Tally { l1_hits: places, ..Tally::default() };
            return Begun::Answered(ask, Answer { found, tally, failure: None });
        }
        let tally = Tally { l1_hits: places - missing, l1_misses: missing, ..Tally::default() };
        let (session, orders) = Session::begin(ask, found, tally, self.l2.as_ref(), now);
        Begun::Waiting(SessionId(self.sessions.insert(session)), orders)
    }

    /// Tells a session what a bulk read gave: for each key in order its bytes, or that the read failed as a whole.
    ///
    /// A session that has ended, or a read that was told already, changes nothing.
    pub fn read(&mut self, id: SessionId, batch: u32, values: Option<Vec<Option<Vec<u8>>>>, now: Instant) -> Progress {
        let Some(session) = self.sessions.get_mut(id.0) else { return Progress::default() };
        let Some(places) = session.take_batch(batch) else { return Progress::default() };
        if let Some(values) = values {
            for (missing, bytes) in places.into_iter().zip(values) {
                let Some(bytes) = bytes else { continue };
                let Some((view, key, hash)) = session.key_of(missing) else { continue };
                match codec::decode(&bytes, view.space(), key, &mut self.interner) {
                    Ok(row) => {
                        let row = session.learn_stored(missing, Rc::new(row), &mut self.interner, now);
                        self.memory.put(hash, row);
                    }
                    Err(reason) => self.unusable.count(reason),
                }
            }
        }
        if session.is_reading() {
            return Progress::default();
        }
        self.advance(id, now)
    }

    /// Tells a session what the origin gave: a row for each place of the order that it knows, or why there is none.
    pub fn fetched(&mut self, id: SessionId, rows: Result<Vec<(usize, Row)>, OriginFailure>, now: Instant) -> Progress {
        let Some(session) = self.sessions.get_mut(id.0) else { return Progress::default() };
        if !session.is_fetching() {
            return Progress::default();
        }
        match rows {
            Ok(rows) => {
                for (place, row) in rows {
                    if let Some((hash, row)) = session.learn_fetched(place, row, &mut self.interner, now) {
                        self.memory.put(hash, row);
                    }
                }
                session.end_fetch(None);
            }
            Err(failure) => session.end_fetch(Some(failure)),
        }
        self.advance(id, now)
    }

    /// Forgets a session whose caller is gone.
    pub fn abandon(&mut self, id: SessionId) {
        self.sessions.remove(id.0);
    }

    /// Takes back the memory of an answer that was used, for the next.
    pub fn recycle(&mut self, answer: Answer) {
        if answer.found.capacity() > self.spare.capacity() {
            self.spare = answer.found;
        }
        self.spare.clear();
    }

    /// The schemas in use, for whoever builds rows for the engine.
    pub fn interner(&mut self) -> &mut Interner {
        &mut self.interner
    }

    /// The request of a session.
    #[must_use]
    pub fn ask(&self, id: SessionId) -> Option<&Ask> {
        self.sessions.get(id.0).map(Session::ask)
    }

    /// L1.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// How much of what the stores held could not be used.
    #[must_use]
    pub fn unusable(&self) -> UnusableCounts {
        self.unusable
    }

    /// How many requests wait for I/O.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Goes on once nothing is awaited: fetches what is still missing, or answers.
    fn advance(&mut self, id: SessionId, now: Instant) -> Progress {
        let Some(session) = self.sessions.get_mut(id.0) else { return Progress::default() };
        if let Some(fetch) = session.next_fetch(now) {
            return Progress { orders: vec![Order::Fetch(fetch)], answer: None };
        }
        let Some(session) = self.sessions.remove(id.0) else { return Progress::default() };
        let (ask, answer, changed) = session.finish(now);
        let mut orders = Vec::new();
        if let Some(l2) = &self.l2 {
            let entries: Vec<(StoreKey, Vec<u8>)> = changed
                .into_iter()
                .map(|row| (StoreKey::new(&l2.key_prefix, row.schema().space(), row.entity()), codec::encode(&row)))
                .collect();
            if !entries.is_empty() {
                orders.push(Order::Write { entries, ttl_seconds: l2.ttl_seconds });
            }
        }
        Progress { orders, answer: Some((ask, answer)) }
    }
}

impl UnusableCounts {
    fn count(&mut self, reason: Unusable) {
        let counter = match reason {
            Unusable::Foreign => &mut self.foreign,
            Unusable::Version => &mut self.version,
            Unusable::Damaged => &mut self.damaged,
            Unusable::OtherKey => &mut self.other_key,
        };
        *counter += 1;
    }
}
