//! The invalidation log: what other isolates have written, and what this one tells them.
//!
//! One object keeps the marks of all writes in their order. Whoever writes tells it before the caller hears of the write;
//! whoever reads has asked it within a bound, so that a write is seen everywhere within that bound. It knows no view and no
//! row: it keeps bytes, numbers them and gives them a time. Invariant: no request waits for it past its timeout or half of
//! its own deadline, and none fails by it; what was served without its word is counted.
//!
//! It knows what is to be asked of the log and what its answers mean, and tells both as effects: the marks go into what it is given,
//! and who waits is woken by whoever holds the requests.
//!
//! Answers may come in any order, and each is judged by what its own call carried: the number of the last mark that was
//! known then, and the epoch of the log that had told it. The epoch is the log's identity. An answer of another epoch
//! than the call's comes from a log that has taken the other's place: what that one had been told is lost, so everything
//! fetched before counts as written. An answer of the same epoch never means more than the marks that it brings.
//!
//! Times are the log's. A mark has the time of the log's own clock. A writer's clock adds to it only where the writer has
//! heard this very log, and by no more than the writer's knowledge of it leaves open, so that neither a clock that was
//! never compared nor one that was set since makes rows uncacheable. What is fetched gets the earliest time that the log's
//! clock can have shown, and its age is taken by the latest: see [`clock`].

use crate::change::Change;
use crate::io::{Continuation, Effect, IoRequest, IoResult, RequestHandle};
use crate::request::RequestContext;
use crate::setup;
use ::invalidation_log::Appended;
use cache::invalidations::Invalidations;
use config::Config;
use engine::breaker::{Breaker, BreakerSettings};
use model::time::Timestamp;
use protocol::parsed_request::ParsedRequest;

mod clock;
#[cfg(test)]
mod tests;
mod wire;

use clock::{ClockOffset, Correction, Reading};

/// What passed between an isolate and the invalidation log, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InvalidationLogCounts {
    /// Calls.
    pub calls: u64,
    /// Of these, those that failed or came too late.
    pub errors: u64,
    /// Marks that were heard, this isolate's own among them.
    pub marks: u64,
    /// Requests that were served without having heard what they should.
    pub unsure: u64,
    /// Writes that were acknowledged before the log had them.
    pub unacked: u64,
}

/// What this isolate knows of the log.
#[derive(Debug)]
pub(super) struct InvalidationLog {
    /// Within how many milliseconds a write is to be seen; 0 for at once.
    bound: u64,
    timeout: u64,
    /// How many requests may wait for it.
    max_pending_requests: usize,
    /// How long a mark matters: no value is served that is older, and no job goes on for longer.
    keep: u64,
    /// By the host's clock: what is known of the log's may change with every answer.
    breaker: Breaker,
    clock: ClockOffset,
    /// Which log was heard; 0 where none was yet.
    epoch: u64,
    /// The number of the last of its marks up to which all were heard.
    after: u64,
    /// When the last call that was answered was made, by the host's clock.
    known_at: Option<Timestamp>,
    /// The rounds: of the last call that was made, that ended, and that was answered.
    made: u64,
    ended: u64,
    answered: u64,
    calls: Vec<LogCall>,
    /// The requests that wait for a call to end.
    waiting: Vec<RequestHandle>,
    /// Marks that the log does not have yet.
    unacked: Vec<u8>,
    counts: InvalidationLogCounts,
}

/// A call under way.
#[derive(Debug)]
struct LogCall {
    handle: RequestHandle,
    round: u64,
    /// By the host's clock.
    made_at: Timestamp,
    /// What was known when it was made.
    epoch: u64,
    after: u64,
    marks: Vec<u8>,
    attempt: u32,
}

/// A request that waits for the log's word. Its context says by the host's clock when it began: the log's may be found to be another
/// meanwhile.
#[derive(Debug)]
pub(super) struct AwaitingLog {
    pub(super) request: ParsedRequest<'static>,
    pub(super) context: RequestContext<'static>,
    pub(super) wait: Wait,
}

impl AwaitingLog {
    /// The memory that it takes, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<AwaitingLog>() + self.request.size() + self.context.caller.len()
    }
}

/// For what a request waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// Until when, by the host's clock.
    pub(super) until: Timestamp,
    /// The first round whose word is late enough for it.
    needs: u64,
}

/// How a request goes on that waits for the log's word.
#[derive(Debug)]
pub(super) enum Waking {
    /// It is served, and began at this time.
    Serve { began: Timestamp },
    /// It waits on, with a call where none is under way.
    Wait(Option<Effect>),
}

/// What became of marks that the log is to have.
#[derive(Debug)]
pub(super) enum Append {
    /// They are on their way.
    Called(Effect),
    /// The log is left alone for now, and is told later.
    Unreached(Effect),
}

/// What came of a call.
#[derive(Debug)]
pub(super) struct LogReply {
    pub(super) has_heard: bool,
    /// What is to be corrected of all else.
    pub(super) relearned: Relearned,
    /// The time, by what is known of the log's clock since.
    pub(super) now: Timestamp,
    pub(super) effects: Vec<Effect>,
    /// The requests that waited for a call to end.
    pub(super) woken: Vec<RequestHandle>,
}

/// What an answer of the log has put in doubt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Relearned {
    /// By how many milliseconds the time was put back.
    pub(super) back_millis: u64,
    /// What was marked by a time that was ahead would look newer than what is fetched.
    pub(super) limits_marks: bool,
    /// What was fetched may have been written since, though no mark says so.
    pub(super) marks_all: bool,
    /// What was fetched might look newer than what is written from now on.
    pub(super) forgets_rows: bool,
}

/// A call of which nothing was heard for so long past its timeout is lost with its host, in milliseconds.
const LOST_AFTER_MILLIS: u64 = 100;

/// A write that could not be appended is appended again after this long, in milliseconds, then after twice as long and so
/// on: some 15 s in all, since a host lets nothing go on behind an answer for more than 30. After that, the next call brings it.
const RETRY_MILLIS: u64 = 1_000;
const MAX_ATTEMPTS: u32 = 4;

/// Past this many bytes of marks that the log does not have, all is meant.
const MAX_UNACKED: usize = 256 << 10;

/// What a caller is told whose write the log does not have yet, in the form of RFC 9211.
pub(super) const UNREACHED: (&str, &str) = ("cache-status", "featheredge-invalidation-log; detail=unreachable");

impl InvalidationLog {
    /// Nothing known yet of the log, where the configuration has one.
    pub(super) fn new(config: &Config) -> Option<InvalidationLog> {
        let Config { l3, writes, breaker, load, .. } = config;
        let breaker = BreakerSettings { window: MAX_FAILURES, ..setup::breaker_settings(breaker) };
        (l3.enabled && writes.invalidation_log && writes.invalidation).then(|| InvalidationLog {
            bound: writes.visible_within_ms,
            max_pending_requests: load.max_pending_requests,
            timeout: l3.timeout_ms,
            keep: setup::longest_life(config) + writes.job_seconds * 1_000,
            breaker: Breaker::new(breaker),
            clock: ClockOffset::new(),
            epoch: 0,
            after: 0,
            known_at: None,
            made: 0,
            ended: 0,
            answered: 0,
            calls: Vec::new(),
            waiting: Vec::new(),
            unacked: Vec::new(),
            counts: InvalidationLogCounts::default(),
        })
    }

    /// The log's time when the host's clock shows `host`, or a little later.
    pub(super) fn now(&self, host: Timestamp) -> Timestamp {
        self.clock.latest(host)
    }

    /// The time that what is fetched at `now` counts as fetched: the least that it can be.
    pub(super) fn stamp(&self, now: Timestamp) -> Timestamp {
        self.clock.earliest(now)
    }

    /// Whether it has never answered, and is worth asking.
    pub(super) fn is_unheard(&self) -> bool {
        self.known_at.is_none() && self.made == 0
    }

    /// What the host's clock shows at a time of the log's.
    pub(super) fn host(&self, now: Timestamp) -> Timestamp {
        self.clock.host(now)
    }

    pub(super) fn counts(&self) -> InvalidationLogCounts {
        self.counts
    }

    /// Whether it is worth asking. Whoever is told so is taken to ask.
    fn admits(&mut self, now: Timestamp) -> bool {
        let host = self.host(now);
        self.breaker.admits(host)
    }

    /// For how many milliseconds nothing was heard; `None` where nothing ever was, and where the clock was set back since.
    fn silence(&self, now: Timestamp) -> Option<u64> {
        self.known_at.and_then(|known_at| age(known_at, self.host(now)))
    }

    /// How long a call can take.
    fn patience(&self) -> u64 {
        self.timeout + LOST_AFTER_MILLIS
    }

    /// The last call, if it is under way: its round, and for how many milliseconds.
    fn under_way(&self, now: Timestamp) -> Option<(u64, u64)> {
        let host = self.host(now);
        let patience = self.patience();
        let ages = self.calls.iter().filter_map(|call| Some((call.round, age(call.made_at, host)?)));
        ages.filter(|(_, age)| *age <= patience).max()
    }

    /// Keeps marks that the log does not have, for the next call.
    fn owe(&mut self, add: impl FnOnce(&mut Vec<u8>)) {
        add(&mut self.unacked);
        if self.unacked.len() > MAX_UNACKED || self.unacked.starts_with(&wire::EVERYTHING) {
            self.unacked = wire::widen(&self.unacked);
        }
    }

    /// Whether it was heard late enough to serve a request at once.
    pub(super) fn is_heard(&self, now: Timestamp) -> bool {
        self.bound > 0 && self.silence(now).is_some_and(|silence| silence <= self.bound)
    }

    /// Whether it is to be asked behind a request that is served at once: while there is time, so that under steady traffic nobody
    /// waits. Whoever is told so is taken to ask.
    pub(super) fn is_refresh_due(&mut self, now: Timestamp) -> bool {
        self.silence(now).is_some_and(|silence| silence > self.bound / 2)
            && self.under_way(now).is_none()
            && self.admits(now)
    }

    /// Has a request wait for so many milliseconds at most, with a call where none is under way that is late enough. `None` where it is
    /// to be served with what is known: there is no room to wait, or the log is left alone.
    pub(super) fn enqueue(
        &mut self,
        handle: RequestHandle,
        has_room: bool,
        millis: u64,
        now: Timestamp,
    ) -> Option<(Wait, Option<Effect>)> {
        let under_way = self.under_way(now);
        let needs = match under_way {
            Some((round, age)) if self.bound > 0 && age <= self.bound => round,
            _ => self.made + 1,
        };
        let is_full = !has_room || self.waiting.len() >= self.max_pending_requests;
        if is_full || (under_way.is_none() && !self.admits(now)) {
            self.counts.unsure += 1;
            return None;
        }
        let wait = Wait { until: self.host(now).plus(millis), needs };
        if under_way.is_some() {
            self.waiting.push(handle);
            return Some((wait, None));
        }
        Some((wait, Some(self.call(handle, 0, now))))
    }

    /// Lets a request that waits look whether it may go on, as it may when its timer has gone off.
    pub(super) fn wake(
        &mut self,
        handle: RequestHandle,
        waiting: &AwaitingLog,
        is_timer: bool,
        now: Timestamp,
    ) -> Waking {
        let Wait { until, needs } = waiting.wait;
        let has_ended = is_timer || self.ended >= needs || self.host(now) >= until;
        let may_call = !has_ended && self.under_way(now).is_none();
        if has_ended || (may_call && !self.admits(now)) {
            self.counts.unsure += u64::from(self.answered < needs);
            self.waiting.retain(|waiting| *waiting != handle);
            return Waking::Serve { began: self.now(waiting.context.began) };
        }
        if may_call {
            return Waking::Wait(Some(self.call(handle, 0, now)));
        }
        if !self.waiting.contains(&handle) {
            self.waiting.push(handle);
        }
        Waking::Wait(None)
    }

    /// Tells it of a change.
    pub(super) fn append(&mut self, handle: RequestHandle, change: &Change, now: Timestamp) -> Append {
        self.owe(|unacked| wire::write(change, unacked));
        if self.admits(now) {
            return Append::Called(self.call(handle, 0, now));
        }
        self.note_unacked();
        Append::Unreached(retry(handle, 0))
    }

    /// Counts a write that was acknowledged before the log had it.
    pub(super) fn note_unacked(&mut self) {
        self.counts.unacked += 1;
    }

    /// Tells it again what it does not have yet.
    pub(super) fn append_again(&mut self, handle: RequestHandle, attempt: u32, now: Timestamp) -> Option<Effect> {
        (!self.unacked.is_empty()).then(|| self.call(handle, attempt + 1, now))
    }

    /// A call that appends what is not acknowledged and asks what is new.
    pub(super) fn call(&mut self, handle: RequestHandle, attempt: u32, now: Timestamp) -> Effect {
        let made_at = self.host(now);
        let patience = self.patience();
        let is_lost = |call: &mut LogCall| age(call.made_at, made_at).is_none_or(|age| age > patience);
        let lost: Vec<LogCall> = self.calls.extract_if(.., is_lost).collect();
        for lost in lost {
            self.owe(|unacked| unacked.extend(lost.marks));
        }
        let marks = core::mem::take(&mut self.unacked);
        let InvalidationLog { epoch, after, keep, .. } = *self;
        self.made += 1;
        self.counts.calls += 1;
        let spread_millis = self.clock.spread();
        let request =
            ::invalidation_log::Append { after, epoch, entry: &marks, at: now.0, spread_millis, keep_millis: keep }
                .to_bytes();
        self.calls.push(LogCall { handle, round: self.made, made_at, epoch, after, marks, attempt });
        let io_request = IoRequest::Log { request };
        Effect::new(handle, Continuation::Log, io_request, self.timeout)
    }

    /// What came of a call, whose marks go into `marks`; `None` where it was given up as lost, by a clock that jumped or a host that
    /// stood still, and its marks are told by another call. `is_idle`: no deadline runs.
    pub(super) fn on_reply(
        &mut self,
        handle: RequestHandle,
        result: &IoResult,
        marks: &mut Invalidations,
        is_idle: bool,
        now: Timestamp,
    ) -> Option<LogReply> {
        let position = self.calls.iter().position(|call| call.handle == handle)?;
        let call = self.calls.remove(position);
        let host = self.host(now);
        let answer = if let IoResult::Logged(Some(answer)) = result { Some(answer) } else { None };
        let word = answer.and_then(|answer| self.learn(answer, &call, marks));
        let has_heard = word.is_some();
        self.breaker.record(has_heard, host);
        self.ended = self.ended.max(call.round);
        let (mut effects, mut relearned) = (Vec::new(), Relearned::default());
        if let Some(word) = word {
            let is_first = self.known_at.is_none();
            self.answered = self.answered.max(call.round);
            // What was known at a time that is still to come was known by a clock that was set back.
            let known_at = self.known_at.filter(|known_at| *known_at <= host);
            self.known_at = known_at.max(Some(call.made_at.min(host)));
            if word.who != Who::Former {
                relearned = self.set_clock(word, call.made_at, host, is_first, is_idle);
            }
        } else {
            self.counts.errors += 1;
            if !call.marks.is_empty() && call.attempt < MAX_ATTEMPTS {
                effects.push(retry(handle, call.attempt));
            }
            self.owe(|unacked| unacked.extend(call.marks));
        }
        let mut woken = core::mem::take(&mut self.waiting);
        woken.retain(|woken| *woken != handle);
        Some(LogReply { has_heard, relearned, now: self.now(host), effects, woken })
    }

    /// Sets the time by what the log's clock showed.
    fn set_clock(
        &mut self,
        word: Word,
        made_at: Timestamp,
        host: Timestamp,
        is_first: bool,
        is_idle: bool,
    ) -> Relearned {
        let is_another = word.who == Who::Another;
        let reading = Reading { clock: word.clock, made_at, heard_at: host, patience: self.patience() };
        let Correction { back_millis, was_ahead } = self.clock.learn(reading, is_another, is_idle);
        let has_replaced = is_another && !is_first;
        Relearned {
            back_millis,
            limits_marks: is_first || was_ahead,
            marks_all: has_replaced,
            forgets_rows: was_ahead || has_replaced,
        }
    }

    /// Learns marks from what the log answered to `call`; `None` where it cannot be read.
    fn learn(&mut self, answer: &[u8], call: &LogCall, marks: &mut Invalidations) -> Option<Word> {
        let Appended { clock, last, dropped, dropped_at, epoch, entries: news } = Appended::read(answer)?;
        // To a call of another epoch, a log answers with all that it has.
        let is_expected = call.epoch == epoch;
        let after = if is_expected { call.after } else { 0 };
        if after < dropped {
            marks.invalidate_all(Timestamp(dropped_at));
        }
        self.counts.marks += news.len() as u64;
        for (at, mark) in news {
            wire::learn(mark, marks, Timestamp(at));
        }
        let who = if epoch == self.epoch {
            // One that has gone back to an earlier state of it would give the same numbers to other marks.
            if is_expected && after > last { Who::Another } else { Who::Same }
        } else if self.epoch == 0 || self.epoch == call.epoch {
            Who::Another
        } else {
            // The call was made before the present one was heard, which tells the next call whether it still is the present one.
            Who::Former
        };
        match who {
            Who::Another => (self.epoch, self.after) = (epoch, last),
            // Nothing is missing between what was known and what this answer begins with.
            Who::Same if after <= self.after => self.after = self.after.max(last),
            Who::Same | Who::Former => {}
        }
        Some(Word { clock: Timestamp(clock), who })
    }
}

/// What an answer says beside its marks.
#[derive(Clone, Copy, Debug)]
struct Word {
    clock: Timestamp,
    who: Who,
}

/// Of whom an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Same,
    /// The first one ever heard, or one that has taken the other's place.
    Another,
    /// One whose place another may have taken.
    Former,
}

/// For how many milliseconds something has been; `None` where it has not begun, by a clock that was set back.
fn age(began: Timestamp, now: Timestamp) -> Option<u64> {
    now.0.checked_sub(began.0)
}

/// After how many failures of the last so many the log is left alone for a while: whoever waits for it waits in vain.
const MAX_FAILURES: u32 = 3;

/// Tells the log again, after a while.
fn retry(handle: RequestHandle, attempt: u32) -> Effect {
    Effect::new(
        handle,
        Continuation::Retry(attempt),
        IoRequest::Wait { outlives_request: true },
        RETRY_MILLIS << attempt,
    )
}
