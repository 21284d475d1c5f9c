//! The invalidation log: the marks of all writes in their order, each with a number and a time. One place keeps it, and isolates tell each
//! other of writes through it.
//!
//! It knows neither what a mark means nor where the log is stored: it says what to store as [`Change`]s, in the order in which they are to be
//! made. Invariants: a mark that was answered for is answered for again until it is dropped, and what was dropped before its time is known by
//! its number and its time. The clock never runs back under one epoch. Whoever stores no more than the first of the changes of a call gets,
//! from [`InvalidationLog::restore`], a log that is no less strict than the one before.

mod message;

pub use message::{Append, Appended};

/// How many marks are kept at the most. An isolate that begins reads all of them.
pub const MAX_MARKS: usize = 10_000;

/// And in how many bytes.
pub const MAX_MARK_BYTES: usize = 512 << 10;

/// How many marks come between two looks for those that need not be kept.
pub const SWEEP_EVERY: u64 = 100;

/// How long before its first call a log begins, in milliseconds: what is fetched right after that call is not from before. None takes
/// another's place so fast.
const BIRTH_MILLIS: u64 = 2;

/// How far the clock may run back, in milliseconds, and how far a mark may be ahead of it: where it runs back by more, the times that were
/// told are no times to go by.
const MAX_SETBACK_MILLIS: u64 = 1_000;

/// A mark as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its place in the order of all.
    pub number: u64,
    /// When it was written, by the log's clock, in milliseconds.
    pub at: u64,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Up to which mark all are gone, though they may matter, and the latest of their times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The number of the last of them.
    pub number: u64,
    /// The latest of their times, in milliseconds.
    pub at: u64,
}

/// What is stored of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its identity.
    pub epoch: u64,
    /// Which marks it has no more.
    pub dropped: Dropped,
    /// All marks, in the order of their numbers.
    pub marks: Vec<Mark>,
}

/// What is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing of what was stored holds any more; the epoch is to be stored last, since a log without one begins anew.
    Begin {
        /// Its identity.
        epoch: u64,
        /// What was written before.
        dropped: Dropped,
    },
    /// A mark is to be kept.
    Insert(Mark),
    /// Marks that are older than `at` and have a number below `number` matter to no value any more.
    Expire {
        /// In milliseconds.
        at: u64,
        /// The number of the last mark.
        number: u64,
    },
    /// Marks are dropped up to a number. That they are is to be stored before they are removed: who does not know it would take older
    /// values for valid.
    Drop(Dropped),
}

/// How much a log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many marks.
    pub marks: usize,
    /// And in how many bytes.
    pub bytes: usize,
    /// How many marks come between two looks for those that need not be kept.
    pub sweep_every: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { marks: MAX_MARKS, bytes: MAX_MARK_BYTES, sweep_every: SWEEP_EVERY }
    }
}

/// The log.
#[derive(Clone, Debug)]
pub struct InvalidationLog {
    limits: Limits,
    /// Which log this is. Another in its place, even under its name, has another number; never 0.
    epoch: u64,
    /// The last time that was told.
    clock: u64,
    /// The number of the last mark, and the latest time of any.
    last: u64,
    latest: u64,
    dropped: Dropped,
    marks: Vec<Mark>,
    /// The marks' bytes in all.
    bytes: usize,
}

impl InvalidationLog {
    /// The log that is stored, or one that begins now, as a log that nobody has heard: what was written before is known to none. `epoch` is
    /// a number that no other log has.
    #[must_use]
    pub fn restore(stored: Option<Stored>, epoch: u64, now: u64) -> (InvalidationLog, Option<Change>) {
        let mut log = InvalidationLog {
            limits: Limits::default(),
            epoch,
            clock: 0,
            last: 0,
            latest: 0,
            dropped: Dropped { number: 0, at: 0 },
            marks: Vec::new(),
            bytes: 0,
        };
        let Some(Stored { epoch, dropped, marks }) = stored else {
            let begin = log.begin(epoch, now);
            return (log, Some(begin));
        };
        (log.epoch, log.dropped, log.marks) = (epoch, dropped, marks);
        log.count();
        (log, None)
    }

    /// Sets other limits than the usual ones.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The marks that are kept.
    pub fn marks(&self) -> impl ExactSizeIterator<Item = &Mark> {
        self.marks.iter()
    }

    /// Keeps the marks of a call, where there are any, and says what is to be stored, in this order. `epoch` gives a number that no other
    /// log has, where another begins.
    pub fn append(&mut self, call: &Append<'_>, now: u64, epoch: impl FnOnce() -> u64) -> Vec<Change> {
        let mut changes = Vec::new();
        // Time never runs back: where the clock does, it stands still, or another log begins.
        if now < self.clock.max(self.latest).saturating_sub(MAX_SETBACK_MILLIS) {
            self.clock = now;
            changes.push(self.begin(epoch(), now));
        }
        self.clock = self.clock.max(now);
        if call.marks.is_empty() {
            return changes;
        }
        let latest = if self.knows(call) {
            call.at.min(self.clock.saturating_add(call.spread_millis.min(MAX_SETBACK_MILLIS)))
        } else {
            self.clock
        };
        self.insert(call.marks, latest.max(self.clock), &mut changes);
        self.compact(self.clock.saturating_sub(call.keep_millis), &mut changes);
        changes
    }

    /// What is answered to a call: what came after the last mark that the caller knows.
    #[must_use]
    pub fn answer(&self, call: &Append<'_>) -> Appended<'_> {
        let after = if self.knows(call) { call.after } else { 0 };
        let unknown = self.marks.iter().filter(|mark| mark.number > after);
        Appended {
            clock: self.clock,
            last: self.last,
            dropped: self.dropped.number,
            dropped_at: self.dropped.at,
            epoch: self.epoch,
            marks: unknown.map(|mark| (mark.at, serde_bytes::Bytes::new(&mark.bytes))).collect(),
        }
    }

    /// Drops the marks up to a number before their time.
    pub fn drop_up_to(&mut self, number: u64) -> Change {
        let gone = self.marks.iter().filter(|mark| mark.number <= number).map(|mark| mark.at);
        let at = gone.max().unwrap_or_default().max(self.dropped.at);
        self.dropped = Dropped { number, at };
        self.marks.retain(|mark| mark.number > number);
        self.count();
        Change::Drop(self.dropped)
    }

    /// Begins without marks.
    fn begin(&mut self, epoch: u64, now: u64) -> Change {
        self.epoch = epoch;
        // The first number is of all that was written before.
        self.dropped = Dropped { number: 1, at: now.saturating_sub(BIRTH_MILLIS) };
        self.marks.clear();
        self.count();
        Change::Begin { epoch, dropped: self.dropped }
    }

    /// Whether a caller has heard this very log. Who has not knows neither its marks nor its clock.
    fn knows(&self, call: &Append<'_>) -> bool {
        call.epoch == self.epoch
    }

    fn insert(&mut self, bytes: &[u8], at: u64, changes: &mut Vec<Change>) {
        self.last += 1;
        self.latest = self.latest.max(at);
        self.bytes += bytes.len();
        let mark = Mark { number: self.last, at, bytes: bytes.to_vec() };
        self.marks.push(mark.clone());
        changes.push(Change::Insert(mark));
    }

    /// Lets go of marks that matter no more, once in a while or where there are too many, and, where these are not enough, of the older half.
    fn compact(&mut self, oldest: u64, changes: &mut Vec<Change>) {
        if !self.is_full() && !self.last.is_multiple_of(self.limits.sweep_every) {
            return;
        }
        // The last one stays, since its number is what the next one's follows.
        let last = self.last;
        self.marks.retain(|mark| mark.at >= oldest || mark.number >= last);
        self.count();
        changes.push(Change::Expire { at: oldest, number: last });
        if self.is_full() {
            // Of the older half only the time is kept: whoever does not know these marks takes all that was fetched before for changed.
            let half = self.last.saturating_sub(self.marks.len().div_ceil(2) as u64);
            changes.push(self.drop_up_to(half));
        }
    }

    fn is_full(&self) -> bool {
        self.marks.len() > self.limits.marks || self.bytes > self.limits.bytes
    }

    /// What follows from the marks and from what was dropped.
    fn count(&mut self) {
        self.last = self.marks.last().map_or(self.dropped.number, |mark| mark.number);
        self.latest = self.marks.iter().map(|mark| mark.at).max().unwrap_or(self.dropped.at);
        self.bytes = self.marks.iter().map(|mark| mark.bytes.len()).sum();
    }
}

#[cfg(test)]
mod tests;
