//! The invalidation log: the invalidations of all writes in their order, each with a number and a time. One object has it, and
//! isolates share invalidations through it.
//!
//! It knows neither what an entry means nor where the log is stored: it returns what to store as [`Change`]s, to be made in their
//! order. Invariants: an acknowledged entry is sent to every caller that lacks it, until it is dropped; what was dropped early is known
//! by its number and time. The clock never runs back within one epoch. If only the first changes of a request are stored,
//! [`InvalidationLog::restore`] returns a log that is no less strict than the one before.
//!
//! One isolate appends, and another reads from the last entry that it knows:
//!
//! ```
//! use featheredge_invalidation_log::{Append, InvalidationLog};
//!
//! let (mut log, _begin) = InvalidationLog::restore(None, 7, 10_000);
//! let write = Append { epoch: 7, entry: b"driver_stats", keep_millis: 60_000, ..Append::default() };
//! let changes = log.append(&write, 10_005, || unreachable!("the clock did not run back"));
//! assert_eq!(changes.len(), 1, "one entry is stored");
//!
//! let reply = log.reply(&Append { epoch: 7, after: 1, ..Append::default() });
//! assert_eq!((reply.last, reply.entries.len(), reply.entries[0].0), (2, 1, 10_005));
//! ```

mod message;

pub use message::{Append, Appended};

/// The most entries. An isolate that starts reads all of them.
pub const MAX_ENTRIES: usize = 10_000;

/// The most bytes of all entries.
pub const MAX_BYTES: usize = 512 << 10;

/// Expired entries are removed after so many appends.
pub const SWEEP_EVERY: u64 = 100;

/// How long before its first request a log begins, in milliseconds, so that what is fetched right after that request counts as later. No
/// log replaces another so fast.
const BEGIN_MARGIN_MILLIS: u64 = 2;

/// How far the clock may run back, and an entry may be ahead of it, in milliseconds. Where it runs back further, earlier times are
/// unreliable, and a new epoch begins.
const MAX_SETBACK_MILLIS: u64 = 1_000;

/// An entry of the log: one invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number in the order of all entries.
    pub number: u64,
    /// When it was appended, by the log's clock, in milliseconds.
    pub at: u64,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Entries that were dropped although they may still matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The number of the last of them.
    pub number: u64,
    /// The latest of their times, in milliseconds.
    pub at: u64,
}

/// The stored state of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its identity.
    pub epoch: u64,
    /// Which entries it has dropped.
    pub dropped: Dropped,
    /// All entries, in the order of their numbers.
    pub entries: Vec<LogEntry>,
}

/// A change of the stored state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new epoch begins, and all that was stored is removed. The epoch must be stored last, since a log without one begins anew.
    Begin {
        /// Its identity.
        epoch: u64,
        /// All that was written before.
        dropped: Dropped,
    },
    /// An entry is appended.
    Insert(LogEntry),
    /// Entries older than `at` with a number below `number` no longer affect any copy, and are removed.
    Expire {
        /// In milliseconds.
        at: u64,
        /// The number of the last entry.
        number: u64,
    },
    /// Entries are dropped up to a number. This must be stored before they are removed: else older copies would recompute as valid.
    Drop(Dropped),
}

/// The bounds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most entries.
    pub entries: usize,
    /// The most bytes of all entries.
    pub bytes: usize,
    /// Expired entries are removed after so many appends.
    pub sweep_every: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { entries: MAX_ENTRIES, bytes: MAX_BYTES, sweep_every: SWEEP_EVERY }
    }
}

/// The log.
#[derive(Clone, Debug)]
pub struct InvalidationLog {
    limits: Limits,
    /// The epoch: the log's identity. A log that replaces it has another; never 0.
    epoch: u64,
    /// The last time that was reported.
    clock: u64,
    /// The number of the last entry, and the latest time of any.
    last: u64,
    latest: u64,
    dropped: Dropped,
    entries: Vec<LogEntry>,
    /// The bytes of all entries.
    bytes: usize,
}

impl InvalidationLog {
    /// The stored log, or one that begins now, which knows nothing of earlier writes. `epoch` is a number that no other log has.
    #[must_use]
    pub fn restore(stored: Option<Stored>, epoch: u64, now: u64) -> (InvalidationLog, Option<Change>) {
        let mut log = InvalidationLog {
            limits: Limits::default(),
            epoch,
            clock: 0,
            last: 0,
            latest: 0,
            dropped: Dropped { number: 0, at: 0 },
            entries: Vec::new(),
            bytes: 0,
        };
        let Some(Stored { epoch, dropped, entries }) = stored else {
            let begin = log.begin(epoch, now);
            return (log, Some(begin));
        };
        (log.epoch, log.dropped, log.entries) = (epoch, dropped, entries);
        log.recompute();
        (log, None)
    }

    /// Replaces the default limits.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// All entries.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &LogEntry> {
        self.entries.iter()
    }

    /// Appends the entry of a request, where there is one, and returns what to store, in this order. `epoch` returns a number that no other
    /// log has, where a new epoch begins.
    pub fn append(&mut self, request: &Append<'_>, now: u64, epoch: impl FnOnce() -> u64) -> Vec<Change> {
        let mut changes = Vec::new();
        // Time never runs back: where the clock does, time stands still, or a new epoch begins.
        if now < self.clock.max(self.latest).saturating_sub(MAX_SETBACK_MILLIS) {
            self.clock = now;
            changes.push(self.begin(epoch(), now));
        }
        self.clock = self.clock.max(now);
        if request.entry.is_empty() {
            return changes;
        }
        let latest = if self.has_epoch_of(request) {
            request.at.min(self.clock.saturating_add(request.spread_millis.min(MAX_SETBACK_MILLIS)))
        } else {
            self.clock
        };
        self.insert(request.entry, latest.max(self.clock), &mut changes);
        self.compact(self.clock.saturating_sub(request.keep_millis), &mut changes);
        changes
    }

    /// The reply to a request: all entries after the last one that the caller knows.
    #[must_use]
    pub fn reply(&self, request: &Append<'_>) -> Appended<'_> {
        let after = if self.has_epoch_of(request) { request.after } else { 0 };
        let unknown = self.entries.iter().filter(|entry| entry.number > after);
        Appended {
            clock: self.clock,
            last: self.last,
            dropped: self.dropped.number,
            dropped_at: self.dropped.at,
            epoch: self.epoch,
            entries: unknown.map(|entry| (entry.at, serde_bytes::Bytes::new(&entry.bytes))).collect(),
        }
    }

    /// Drops the entries up to a number, although they may still matter.
    pub fn drop_up_to(&mut self, number: u64) -> Change {
        let gone = self.entries.iter().filter(|entry| entry.number <= number).map(|entry| entry.at);
        let at = gone.max().unwrap_or_default().max(self.dropped.at);
        self.dropped = Dropped { number, at };
        self.entries.retain(|entry| entry.number > number);
        self.recompute();
        Change::Drop(self.dropped)
    }

    /// Begins a new epoch without entries.
    fn begin(&mut self, epoch: u64, now: u64) -> Change {
        self.epoch = epoch;
        // The first number stands for all that was written before.
        self.dropped = Dropped { number: 1, at: now.saturating_sub(BEGIN_MARGIN_MILLIS) };
        self.entries.clear();
        self.recompute();
        Change::Begin { epoch, dropped: self.dropped }
    }

    /// Whether the caller knows this epoch. Another caller knows neither its entries nor its clock.
    fn has_epoch_of(&self, request: &Append<'_>) -> bool {
        request.epoch == self.epoch
    }

    fn insert(&mut self, bytes: &[u8], at: u64, changes: &mut Vec<Change>) {
        self.last += 1;
        self.latest = self.latest.max(at);
        self.bytes += bytes.len();
        let entry = LogEntry { number: self.last, at, bytes: bytes.to_vec() };
        self.entries.push(entry.clone());
        changes.push(Change::Insert(entry));
    }

    /// Removes expired entries, periodically or where the log is full; where it is still full, it drops the older half.
    fn compact(&mut self, oldest: u64, changes: &mut Vec<Change>) {
        if !self.is_full() && !self.last.is_multiple_of(self.limits.sweep_every) {
            return;
        }
        // The last entry stays, since its number determines the next.
        let last = self.last;
        self.entries.retain(|entry| entry.at >= oldest || entry.number >= last);
        self.recompute();
        changes.push(Change::Expire { at: oldest, number: last });
        if self.is_full() {
            // Only the time of the older half remains: a caller that lacks these entries treats all that was fetched before as invalidated.
            let half = self.last.saturating_sub(self.entries.len().div_ceil(2) as u64);
            changes.push(self.drop_up_to(half));
        }
    }

    fn is_full(&self) -> bool {
        self.entries.len() > self.limits.entries || self.bytes > self.limits.bytes
    }

    /// Recomputes what follows from the entries and from what was dropped.
    fn recompute(&mut self) {
        self.last = self.entries.last().map_or(self.dropped.number, |entry| entry.number);
        self.latest = self.entries.iter().map(|entry| entry.at).max().unwrap_or(self.dropped.at);
        self.bytes = self.entries.iter().map(|entry| entry.bytes.len()).sum();
    }
}

#[cfg(test)]
mod tests;
