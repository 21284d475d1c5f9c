//! Queries: rows of one or more views, as the engine sees a request once it is parsed.
//!
//! Knows neither protocols nor tiers. Invariant: a query has one key for each view and row.

use core::cell::RefCell;
use core::hash::{BuildHasher, Hasher};
use std::rc::{Rc, Weak};

use foldhash::fast::FixedState;

use crate::key::KeySpace;
use crate::row::{ALLOCATION, Row, Schema, Slot};

/// How long a value may be used, in milliseconds from when it was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// How long a value counts as fresh.
    pub ttl: u64,
    /// By how many thousandths jitter shortens the TTL at most, so that rows which were fetched together do not expire together.
    pub jitter_permille: u32,
    /// How long after its TTL it is still served at once, and revalidated in the background.
    pub stale_while_revalidate: u64,
    /// How long after its TTL it may be served where nothing fresher is available.
    pub stale_if_error: u64,
    /// How long a negative entry counts as fresh.
    pub negative_ttl: u64,
    /// The oldest that a value's event may be; an older one is served as `OUTSIDE_MAX_AGE`.
    pub max_event_age: Option<u64>,
}

impl Lifetimes {
    /// The stricter of each of the two.
    #[must_use]
    pub fn strictest(self, other: Lifetimes) -> Lifetimes {
        Lifetimes {
            ttl: self.ttl.min(other.ttl),
            jitter_permille: self.jitter_permille.max(other.jitter_permille),
            stale_while_revalidate: self.stale_while_revalidate.min(other.stale_while_revalidate),
            stale_if_error: self.stale_if_error.min(other.stale_if_error),
            negative_ttl: self.negative_ttl.min(other.negative_ttl),
            max_event_age: match (self.max_event_age, other.max_event_age) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
        }
    }
}

/// How urgent a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// It may wait, and is shed first under load.
    Low,
    /// The default.
    #[default]
    Normal,
    /// It needs a response in real time.
    High,
    /// Like high, and shed last.
    Critical,
}

/// What a request requires of a value's age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Any copy within its lifetimes.
    #[default]
    Eventual,
    /// No value older than the request's `max_staleness`, even while the origin is down.
    Bounded,
    /// Always from the origin.
    Strong,
}

/// The group of traffic that a request belongs to, by which prefetch is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cohort {
    /// No session, so nothing is prefetched.
    #[default]
    NoSession,
    /// Rows are prefetched for it.
    Prefetch,
    /// Nothing is prefetched: the control group.
    Holdout,
}

/// The requested columns of a view.
#[derive(Debug)]
pub enum Columns {
    /// These features, by their names in the rows' schemas.
    Named(Box<[Box<str>]>),
    /// All columns of the rows: a feature service, whose members the origin decides.
    All,
}

/// Which writes change the rows of a view or service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WriteDependencies {
    /// Any write, since the sources of the rows are unknown.
    #[default]
    Any,
    /// Writes to these views.
    Views {
        /// The views.
        views: Box<[Box<str>]>,
        /// Whether the rows have the same keys as the written rows, so that a write identifies the rows that it changes.
        is_by_row: bool,
    },
}

/// The part of a query that concerns one view; created once for all requests of one shape.
#[derive(Debug)]
pub struct ViewQuery {
    space: Rc<KeySpace>,
    columns: Columns,
    lifetimes: Lifetimes,
    writes: WriteDependencies,
    hasher: FixedState,
    /// The requested columns' slots in the schemas of the last rows; nearly all rows of a view share one schema. Weak references keep no
    /// schema alive, and prevent that another gets its address.
    resolved: RefCell<Vec<(Weak<Schema>, Rc<Slots>)>>,
}

/// How many schemas a view's query remembers. Rows that were merged from partial fetches have a few more than one.
const RESOLVED_SCHEMAS: usize = 8;

/// The assumed columns of a feature service, which are unknown before its first response.
const ALL_COLUMNS: usize = 100;

/// The slots of the requested columns in the rows of one schema.
#[derive(Debug)]
pub struct Slots {
    slots: Box<[Option<Slot>]>,
    is_complete: bool,
}

impl Slots {
    /// The slots of the features of these names in rows of `schema`.
    #[must_use]
    pub fn resolve<'a>(names: impl Iterator<Item = &'a str>, schema: &Schema) -> Slots {
        let slots: Box<[Option<Slot>]> = names.map(|name| schema.feature_slot(name)).collect();
        Slots { is_complete: slots.iter().all(Option::is_some), slots }
    }

    /// The slot of the request's column number `column`.
    #[inline]
    #[must_use]
    pub fn at(&self, column: usize) -> Option<Slot> {
        self.slots.get(column).copied().flatten()
    }

    /// One slot for each requested column, in the order of the request; `None` where the schema lacks the column.
    #[must_use]
    pub fn as_slice(&self) -> &[Option<Slot>] {
        &self.slots
    }

    /// Whether the schema has all requested columns.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }
}

impl ViewQuery {
    /// A query for `columns` of the rows in `space`; `seed` makes row hashes unpredictable from outside.
    #[must_use]
    pub fn new(space: Rc<KeySpace>, columns: Columns, lifetimes: Lifetimes, seed: u64) -> ViewQuery {
        let mut hasher = FixedState::with_seed(seed).build_hasher();
        hasher.write(space.as_bytes());
        let hasher = FixedState::with_seed(hasher.finish());
        ViewQuery { space, columns, lifetimes, writes: WriteDependencies::Any, hasher, resolved: RefCell::default() }
    }

    /// The same, of rows that only these writes change.
    #[must_use]
    pub fn with_write_dependencies(self, writes: WriteDependencies) -> ViewQuery {
        ViewQuery { writes, ..self }
    }

    /// Its memory, resolved slots included, in bytes.
    #[must_use]
    #[inline]
    pub fn size(&self) -> usize {
        let named = |names: &[Box<str>]| names.iter().map(|name| size_of::<Box<str>>() + ALLOCATION + name.len()).sum();
        let (names, columns): (usize, usize) = match &self.columns {
            Columns::Named(names) => (named(names), names.len()),
            Columns::All => (0, ALL_COLUMNS),
        };
        let writes: usize = if let WriteDependencies::Views { views, .. } = &self.writes { named(views) } else { 0 };
        let slots = RESOLVED_SCHEMAS * (size_of::<Option<Slot>>() * columns + size_of::<Slots>() + 3 * ALLOCATION);
        size_of::<ViewQuery>() + self.space.size() + names + writes + slots
    }

    /// The key space of the rows.
    #[must_use]
    pub fn space(&self) -> &Rc<KeySpace> {
        &self.space
    }

    /// The requested columns.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// How long the view's values may be used.
    #[must_use]
    pub fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// Which writes change the rows.
    #[must_use]
    pub fn write_dependencies(&self) -> &WriteDependencies {
        &self.writes
    }

    /// The hash of the row of `entity`, by which L1 finds it.
    #[inline]
    #[must_use]
    pub fn hash(&self, entity: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(entity);
        hasher.finish()
    }

    /// The slots of the requested columns in rows of `schema`.
    #[must_use]
    pub fn slots(&self, schema: &Rc<Schema>) -> Rc<Slots> {
        let mut resolved = self.resolved.borrow_mut();
        if let Some((_, slots)) = resolved.iter().find(|(known, _)| core::ptr::eq(known.as_ptr(), Rc::as_ptr(schema))) {
            return Rc::clone(slots);
        }
        let names = match &self.columns {
            Columns::Named(names) => &**names,
            Columns::All => schema.features(),
        };
        let slots = Rc::new(Slots::resolve(names.iter().map(|name| &**name), schema));
        if resolved.len() >= RESOLVED_SCHEMAS {
            resolved.remove(0);
        }
        resolved.push((Rc::downgrade(schema), Rc::clone(&slots)));
        slots
    }
}

/// The entity keys of a query, view by view and within a view row by row, in one buffer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    hashes: Vec<u64>,
}

impl Keys {
    /// Removes all keys and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.hashes.clear();
    }

    /// Adds the next key, of a row of `view`, which `write` appends to the buffer. Returns its length in bytes.
    #[inline]
    pub fn push(&mut self, view: &ViewQuery, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let key = self.bytes.get(start..).unwrap_or_default();
        self.hashes.push(view.hash(key));
        self.ends.push(self.bytes.len() as u32);
        self.bytes.len() - start
    }

    /// Key number `index` and its hash.
    #[inline]
    #[must_use]
    pub fn at(&self, index: usize) -> (&[u8], u64) {
        let end = |index: usize| self.ends.get(index).map_or(0, |&end| end as usize);
        let start = if index == 0 { 0 } else { end(index - 1) };
        (self.bytes.get(start..end(index)).unwrap_or_default(), self.hashes.get(index).copied().unwrap_or_default())
    }

    /// The hashes of the keys, in order.
    #[inline]
    #[must_use]
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

impl Keys {
    /// Frees the memory where it exceeds `max_bytes`, since few requests need more.
    #[inline]
    pub fn trim(&mut self, max_bytes: usize) {
        if self.size() > max_bytes {
            *self = Keys::default();
        }
    }

    /// Their memory, in bytes.
    #[must_use]
    #[inline]
    pub fn size(&self) -> usize {
        self.bytes.capacity() + size_of::<u32>() * self.ends.capacity() + size_of::<u64>() * self.hashes.capacity()
    }
}

/// One query: `rows` entities in each of some views. A lookup is one row of one view; its index is `view × rows + row`.
#[derive(Debug, Default)]
pub struct RowQuery {
    /// The views, in the order of their keys.
    pub views: Rc<[ViewQuery]>,
    /// How many entities are requested; a repeated one counts each time.
    pub rows: usize,
    /// `views × rows` keys.
    pub keys: Keys,
    /// The most age of a value in milliseconds, where the caller bounds it.
    pub max_staleness: Option<u64>,
    /// The consistency level.
    pub consistency: Consistency,
    /// How urgent it is.
    pub priority: Priority,
    /// The caller's deadline, in milliseconds, where there is one.
    pub deadline_millis: Option<u64>,
    /// The timeout of background work, which replaces the usual deadlines, in milliseconds.
    pub background_timeout_millis: Option<u64>,
    /// How much of its time has passed already, in milliseconds.
    pub waited_millis: u64,
    /// Whether each entity is sent as soon as it is complete.
    pub is_streamed: bool,
    /// Its group of traffic.
    pub cohort: Cohort,
    /// The memory of the request that it serves, for as long as that waits, in bytes.
    pub request_bytes: usize,
}

impl RowQuery {
    /// How many features are requested of each entity; those of a feature service are unknown, and not counted.
    #[must_use]
    pub fn features(&self) -> usize {
        let named = |view: &ViewQuery| if let Columns::Named(names) = &view.columns { names.len() } else { 0 };
        self.views.iter().map(named).sum()
    }

    /// The view, the key and the key's hash of lookup `index`.
    #[must_use]
    pub fn lookup(&self, index: usize) -> Option<(&ViewQuery, &[u8], u64)> {
        let view = self.views.get(index.checked_div(self.rows)?)?;
        let (key, hash) = self.keys.at(index);
        Some((view, key, hash))
    }

    /// Whether `row` is the row of lookup `index`.
    #[must_use]
    pub fn is_row_of_lookup(&self, index: usize, row: &Row) -> bool {
        self.lookup(index).is_some_and(|(view, key, _)| row.is_of(&view.space, key))
    }
}
