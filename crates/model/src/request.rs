//! What is asked: rows of one or more views, as the engine sees a request once its protocol is read.

use core::cell::RefCell;
use core::hash::{BuildHasher, Hasher};
use std::rc::{Rc, Weak};

use foldhash::fast::FixedState;

use crate::key::Space;
use crate::row::{ALLOCATION, Row, Schema, Slot};

/// How long a value may be used, in milliseconds from when it was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// How long a value counts as fresh.
    pub ttl: u64,
    /// By how many thousandths of it the time to live of some rows is shorter, so that rows which were fetched together
    /// do not all expire together.
    pub jitter_permille: u32,
    /// How long after that it is still served at once, and fetched anew behind the answer.
    pub stale_while_revalidate: u64,
    /// How long after its time to live it may be served while nothing fresher can be had.
    pub stale_if_error: u64,
    /// How long the news that an entity is unknown counts as fresh.
    pub negative_ttl: u64,
    /// How far back the event behind a value may lie; what lies further back goes out as `OUTSIDE_MAX_AGE`.
    pub max_event_age: Option<u64>,
}

impl Lifetimes {
    /// The shorter of each of the two.
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
    /// May wait, and is the first to be refused under load.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Wants an answer in real time.
    High,
    /// As high, and the last to be refused.
    Critical,
}

/// What a caller insists on, where copies may lag behind the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Any copy within its lifetimes will do.
    #[default]
    Eventual,
    /// No value may be older than the request's `max_staleness`, whatever happens to the origin.
    Bounded,
    /// The origin must be asked, whatever the tiers hold.
    Strong,
}

/// To which part of the traffic a request belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cohort {
    /// It has no session, so nothing is prefetched for it.
    #[default]
    Strangers,
    /// Rows are prefetched for it.
    Served,
    /// None are, to compare with.
    HeldOut,
}

/// Which columns of a view are asked for.
#[derive(Debug)]
pub enum Columns {
    /// These features, by the names that the rows' schemas use.
    Named(Box<[Box<str>]>),
    /// Whatever the rows have: a feature service, whose members its origin decides.
    All,
}

/// Which writes change a view's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    /// Any may: what the rows are made of is not known.
    #[default]
    Any,
    /// Those to these views.
    To {
        /// The views.
        views: Box<[Box<str>]>,
        /// Whether the rows are keyed as what is written, so that a write can name those that it changes.
        is_by_row: bool,
    },
}

/// The part of a request that concerns one view; made once for all requests of one shape.
#[derive(Debug)]
pub struct ViewQuery {
    space: Rc<Space>,
    columns: Columns,
    lifetimes: Lifetimes,
    writes: Writes,
    hasher: FixedState,
    /// Where the asked columns stand in the schemas seen last, since nearly all rows of a view share one. They are not kept alive by it,
    /// and none is taken for another: an allocation is not given away while somebody has a weak hold of it.
    resolved: RefCell<Vec<(Weak<Schema>, Rc<Slots>)>>,
}

/// How many schemas a view's request remembers. Rows that were merged from partial fetches make a few more than one.
const RESOLVED_SCHEMAS: usize = 8;

/// As many columns a feature service is taken to have: they are not known before they came.
const ALL_COLUMNS: usize = 100;

/// Where the columns that a request asks for stand in the rows of one schema.
#[derive(Debug)]
pub struct Slots {
    slots: Box<[Option<Slot>]>,
    is_complete: bool,
}

impl Slots {
    /// Where the features of these names stand in rows of `schema`.
    #[must_use]
    pub fn resolve<'a>(names: impl Iterator<Item = &'a str>, schema: &Schema) -> Slots {
        let slots: Box<[Option<Slot>]> = names.map(|name| schema.feature_slot(name)).collect();
        Slots { is_complete: slots.iter().all(Option::is_some), slots }
    }

    /// The slot of column number `column` of the request.
    #[inline]
    #[must_use]
    pub fn at(&self, column: usize) -> Option<Slot> {
        self.slots.get(column).copied().flatten()
    }

    /// One slot for each asked column, in the order of the request; `None` where the schema lacks the column.
    #[must_use]
    pub fn as_slice(&self) -> &[Option<Slot>] {
        &self.slots
    }

    /// Whether the schema has all columns that are asked for.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }
}

impl ViewQuery {
    /// Asks for `columns` of the rows in `space`; `seed` makes row hashes hard to foresee from outside.
    #[must_use]
    pub fn new(space: Rc<Space>, columns: Columns, lifetimes: Lifetimes, seed: u64) -> ViewQuery {
        let mut hasher = FixedState::with_seed(seed).build_hasher();
        hasher.write(space.as_bytes());
        let hasher = FixedState::with_seed(hasher.finish());
        ViewQuery { space, columns, lifetimes, writes: Writes::Any, hasher, resolved: RefCell::default() }
    }

    /// The same, of rows that these writes alone change.
    #[must_use]
    pub fn changed_by(self, writes: Writes) -> ViewQuery {
        ViewQuery { writes, ..self }
    }

    /// The memory that it takes and comes to take, in bytes.
    #[must_use]
    #[inline]
    pub fn size(&self) -> usize {
        let named = |names: &[Box<str>]| names.iter().map(|name| size_of::<Box<str>>() + ALLOCATION + name.len()).sum();
        let (names, columns): (usize, usize) = match &self.columns {
            Columns::Named(names) => (named(names), names.len()),
            Columns::All => (0, ALL_COLUMNS),
        };
        let writes: usize = if let Writes::To { views, .. } = &self.writes { named(views) } else { 0 };
        let slots = RESOLVED_SCHEMAS * (size_of::<Option<Slot>>() * columns + size_of::<Slots>() + 3 * ALLOCATION);
        size_of::<ViewQuery>() + self.space.size() + names + writes + slots
    }

    /// The space of the rows.
    #[must_use]
    pub fn space(&self) -> &Rc<Space> {
        &self.space
    }

    /// The columns asked for.
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
    pub fn writes(&self) -> &Writes {
        &self.writes
    }

    /// The hash of the row of `entity`, the one hash that its way through L1 takes.
    #[inline]
    #[must_use]
    pub fn hash(&self, entity: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(entity);
        hasher.finish()
    }

    /// Where the asked columns stand in rows of `schema`.
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

/// The entity keys of a request, view by view and within a view row by row, in one buffer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    hashes: Vec<u64>,
}

impl Keys {
    /// Forgets all keys and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.hashes.clear();
    }

    /// Adds the next key, which `write` appends to the buffer, for a row of `view`.
    ///
    /// The length of the key, in bytes.
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
    /// Lets go of memory that few requests need, more than so many bytes.
    #[inline]
    pub fn trim(&mut self, max_bytes: usize) {
        if self.size() > max_bytes {
            *self = Keys::default();
        }
    }

    /// The memory that they take, in bytes.
    #[must_use]
    #[inline]
    pub fn size(&self) -> usize {
        self.bytes.capacity() + size_of::<u32>() * self.ends.capacity() + size_of::<u64>() * self.hashes.capacity()
    }
}

/// One request: `rows` entities in each of some views.
#[derive(Debug, Default)]
pub struct RowQuery {
    /// The views, in the order in which their keys stand.
    pub views: Rc<[ViewQuery]>,
    /// How many entities are asked for; a repeated one counts each time.
    pub rows: usize,
    /// `views × rows` keys.
    pub keys: Keys,
    /// How old a value may be at the most, in milliseconds, where the caller says so.
    pub max_staleness: Option<u64>,
    /// What the caller insists on.
    pub consistency: Consistency,
    /// How urgent it is.
    pub priority: Priority,
    /// How long it may take, in milliseconds, where the caller says so.
    pub deadline_millis: Option<u64>,
    /// How long it may take whatever else is usual, in milliseconds, where no caller of features waits for it.
    pub patience_millis: Option<u64>,
    /// How much of that is over already, in milliseconds.
    pub waited_millis: u64,
    /// Whether the caller takes each entity as soon as it is complete.
    pub is_streamed: bool,
    /// To which part of the traffic it belongs.
    pub cohort: Cohort,
    /// The memory that its caller's request takes beside it for as long as it waits, in bytes.
    pub held_bytes: usize,
}

impl RowQuery {
    /// How many features are asked for of each entity; those of a feature service are not known here, and not counted.
    #[must_use]
    pub fn features(&self) -> usize {
        let named = |view: &ViewQuery| if let Columns::Named(names) = &view.columns { names.len() } else { 0 };
        self.views.iter().map(named).sum()
    }

    /// The view and the key of place `index`.
    #[must_use]
    pub fn place(&self, index: usize) -> Option<(&ViewQuery, &[u8], u64)> {
        let view = self.views.get(index.checked_div(self.rows)?)?;
        let (key, hash) = self.keys.at(index);
        Some((view, key, hash))
    }

    /// Whether `row` is the row that place `index` asks for.
    #[must_use]
    pub fn is_answered_by(&self, index: usize, row: &Row) -> bool {
        self.place(index).is_some_and(|(view, key, _)| row.is_of(&view.space, key))
    }
}
