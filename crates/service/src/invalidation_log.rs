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

use crate::invalidation::Invalidation;
use crate::io::{Continuation, Effect, IoRequest, IoResult, RequestHandle};
use crate::request::RequestContext;
use crate::setup;
use ::invalidation_log::Appended;
use cache::marks::Marks;
use config::Config;
use engine::breaker::{Breaker, BreakerSettings};
use model::time::Timestamp;
use protocol::request::ParsedRequest;

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
    pub entries: u64,
    /// Requests that were served without having heard what they should.
    pub unverified: u64,
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
    retention_millis: u64,
    /// By the host's clock: what is known of the log's may change with every answer.
    breaker: Breaker,
    clock: ClockOffset,
    /// Which log was heard; 0 where none was yet.
    epoch: u64,
    /// The number of the last of its marks up to which all were heard.
    after: u64,
    /// When the last call that was answered was made, by the host's clock.
    answered_call_at: Option<Timestamp>,
    /// The rounds: of the last call that was made, that ended, and that was answered.
    started_round: u64,
    ended_round: u64,
    answered_round: u64,
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
    entries: Vec<u8>,
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
    pub(super) fn footprint(&self) -> usize {
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
pub(super) enum WakeOutcome {
    /// It is served, and began at this time.
    Serve { began: Timestamp },
    /// It waits on, with a call where none is under way.
    Wait(Option<Effect>),
}

/// What became of marks that the log is to have.
#[derive(Debug)]
pub(super) enum AppendAttempt {
    /// They are on their way.
    Sent(Effect),
    /// The log is left alone for now, and is told later.
    Deferred(Effect),
}

/// What came of a call.
#[derive(Debug)]
pub(super) struct LogReply {
    pub(super) is_answered: bool,
    /// What is to be corrected of all else.
    pub(super) reset: StateReset,
    /// The time, by what is known of the log's clock since.
    pub(super) now: Timestamp,
    pub(super) effects: Vec<Effect>,
    /// The requests that waited for a call to end.
    pub(super) woken: Vec<RequestHandle>,
}

/// What an answer of the log has put in doubt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StateReset {
    /// By how many milliseconds the time was put back.
    pub(super) back_millis: u64,
    /// What was marked by a time that was ahead would look newer than what is fetched.
    pub(super) clamps_invalidations: bool,
    /// What was fetched may have been written since, though no mark says so.
    pub(super) invalidates_all: bool,
    /// What was fetched might look newer than what is written from now on.
    pub(super) clears_rows: bool,
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
pub(super) const UNREACHABLE_NOTICE: (&str, &str) =
    ("cache-status", "featheredge-invalidation-log; detail=unreachable");

impl InvalidationLog {
    /// Nothing known yet of the log, where the configuration has one.
    pub(super) fn new(config: &Config) -> Option<InvalidationLog> {
        let Config { l3, writes, breaker, load, .. } = config;
        let breaker = BreakerSettings { window_operations: MAX_FAILURES, ..setup::breaker_settings(breaker) };
        (l3.enabled && writes.invalidation_log && writes.invalidation).then(|| InvalidationLog {
            bound: writes.visible_within_ms,
            max_pending_requests: load.max_pending_requests,
            timeout: l3.timeout_ms,
            retention_millis: setup::max_servable_age(config) + writes.job_seconds * 1_000,
            breaker: Breaker::new(breaker),
            clock: ClockOffset::new(),
            epoch: 0,
            after: 0,
            answered_call_at: None,
            started_round: 0,
            ended_round: 0,
            answered_round: 0,
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
    pub(super) fn needs_first_call(&self) -> bool {
        self.answered_call_at.is_none() && self.started_round == 0
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
    fn millis_since_answer(&self, now: Timestamp) -> Option<u64> {
        self.answered_call_at.and_then(|at| age(at, self.host(now)))
    }

    /// How long a call can take.
    fn max_call_millis(&self) -> u64 {
        self.timeout + LOST_AFTER_MILLIS
    }

    /// The last call, if it is under way: its round, and for how many milliseconds.
    fn under_way(&self, now: Timestamp) -> Option<(u64, u64)> {
        let host = self.host(now);
        let max_call_millis = self.max_call_millis();
        let ages = self.calls.iter().filter_map(|call| Some((call.round, age(call.made_at, host)?)));
        ages.filter(|(_, age)| *age <= max_call_millis).max()
    }

    /// Keeps marks that the log does not have, for the next call.
    fn queue_unacked(&mut self, add: impl FnOnce(&mut Vec<u8>)) {
        add(&mut self.unacked);
        if self.unacked.len() > MAX_UNACKED || self.unacked.starts_with(&wire::EVERYTHING) {
            self.unacked = wire::widen(&self.unacked);
        }
    }

    /// Whether it was heard late enough to serve a request at once.
    pub(super) fn is_up_to_date(&self, now: Timestamp) -> bool {
        self.bound > 0 && self.millis_since_answer(now).is_some_and(|millis| millis <= self.bound)
    }

    /// Whether it is to be asked behind a request that is served at once: while there is time, so that under steady traffic nobody
    /// waits. Whoever is told so is taken to ask.
    pub(super) fn is_refresh_due(&mut self, now: Timestamp) -> bool {
        self.millis_since_answer(now).is_some_and(|millis| millis > self.bound / 2)
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
            _ => self.started_round + 1,
        };
        let is_full = !has_room || self.waiting.len() >= self.max_pending_requests;
        if is_full || (under_way.is_none() && !self.admits(now)) {
            self.counts.unverified += 1;
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
    ) -> WakeOutcome {
        let Wait { until, needs } = waiting.wait;
        let has_ended = is_timer || self.ended_round >= needs || self.host(now) >= until;
        let may_call = !has_ended && self.under_way(now).is_none();
        if has_ended || (may_call && !self.admits(now)) {
            self.counts.unverified += u64::from(self.answered_round < needs);
            self.waiting.retain(|waiting| *waiting != handle);
            return WakeOutcome::Serve { began: self.now(waiting.context.began) };
        }
        if may_call {
            return WakeOutcome::Wait(Some(self.call(handle, 0, now)));
        }
        if !self.waiting.contains(&handle) {
            self.waiting.push(handle);
        }
        WakeOutcome::Wait(None)
    }

    /// Tells it of a change.
    pub(super) fn append(
        &mut self,
        handle: RequestHandle,
        invalidation: &Invalidation,
        now: Timestamp,
    ) -> AppendAttempt {
        self.queue_unacked(|unacked| wire::write(invalidation, unacked));
        if self.admits(now) {
            return AppendAttempt::Sent(self.call(handle, 0, now));
        }
        self.note_unacked();
        AppendAttempt::Deferred(retry(handle, 0))
    }

    /// Counts a write that was acknowledged before the log had it.
    pub(super) fn note_unacked(&mut self) {
        self.counts.unacked += 1;
    }

    /// Tells it again what it does not have yet.
    pub(super) fn retry_append(&mut self, handle: RequestHandle, attempt: u32, now: Timestamp) -> Option<Effect> {
        (!self.unacked.is_empty()).then(|| self.call(handle, attempt + 1, now))
    }

    /// A call that appends what is not acknowledged and asks what is new.
    pub(super) fn call(&mut self, handle: RequestHandle, attempt: u32, now: Timestamp) -> Effect {
        let made_at = self.host(now);
        let max_call_millis = self.max_call_millis();
        let is_lost = |call: &mut LogCall| age(call.made_at, made_at).is_none_or(|age| age > max_call_millis);
        let lost: Vec<LogCall> = self.calls.extract_if(.., is_lost).collect();
        for lost in lost {
            self.queue_unacked(|unacked| unacked.extend(lost.entries));
        }
        let entries = core::mem::take(&mut self.unacked);
        let InvalidationLog { epoch, after, retention_millis, .. } = *self;
        self.started_round += 1;
        self.counts.calls += 1;
        let spread_millis = self.clock.spread();
        let request = ::invalidation_log::Append {
            after,
            epoch,
            marks: &entries,
            at: now.0,
            spread_millis,
            keep_millis: retention_millis,
        }
        .to_bytes();
        self.calls.push(LogCall { handle, round: self.started_round, made_at, epoch, after, entries, attempt });
        let io_request = IoRequest::Log { request };
        Effect::new(handle, Continuation::Log, io_request, self.timeout)
    }

    /// What came of a call, whose marks go into `marks`; `None` where it was given up as lost, by a clock that jumped or a host that
    /// stood still, and its marks are told by another call. `is_idle`: no deadline runs.
    pub(super) fn on_reply(
        &mut self,
        handle: RequestHandle,
        result: &IoResult,
        invalidations: &mut Marks,
        is_idle: bool,
        now: Timestamp,
    ) -> Option<LogReply> {
        let position = self.calls.iter().position(|call| call.handle == handle)?;
        let call = self.calls.remove(position);
        let host = self.host(now);
        let answer = if let IoResult::Logged(Some(answer)) = result { Some(answer) } else { None };
        let applied = answer.and_then(|answer| self.apply(answer, &call, invalidations));
        let is_answered = applied.is_some();
        self.breaker.record(is_answered, host);
        self.ended_round = self.ended_round.max(call.round);
        let (mut effects, mut reset) = (Vec::new(), StateReset::default());
        if let Some(applied) = applied {
            let is_first = self.answered_call_at.is_none();
            self.answered_round = self.answered_round.max(call.round);
            // What was known at a time that is still to come was known by a clock that was set back.
            let answered_call_at = self.answered_call_at.filter(|at| *at <= host);
            self.answered_call_at = answered_call_at.max(Some(call.made_at.min(host)));
            if applied.source != ReplySource::Former {
                reset = self.set_clock(applied, call.made_at, host, is_first, is_idle);
            }
        } else {
            self.counts.errors += 1;
            if !call.entries.is_empty() && call.attempt < MAX_ATTEMPTS {
                effects.push(retry(handle, call.attempt));
            }
            self.queue_unacked(|unacked| unacked.extend(call.entries));
        }
        let mut woken = core::mem::take(&mut self.waiting);
        woken.retain(|woken| *woken != handle);
        Some(LogReply { is_answered, reset, now: self.now(host), effects, woken })
    }

    /// Sets the time by what the log's clock showed.
    fn set_clock(
        &mut self,
        applied: AppliedReply,
        made_at: Timestamp,
        host: Timestamp,
        is_first: bool,
        is_idle: bool,
    ) -> StateReset {
        let is_replacement = applied.source == ReplySource::Replacement;
        let reading =
            Reading { clock: applied.clock, made_at, received_at: host, max_call_millis: self.max_call_millis() };
        let Correction { back_millis, was_ahead } = self.clock.apply(reading, is_replacement, is_idle);
        let has_replaced = is_replacement && !is_first;
        StateReset {
            back_millis,
            clamps_invalidations: is_first || was_ahead,
            invalidates_all: has_replaced,
            clears_rows: was_ahead || has_replaced,
        }
    }

    /// Learns marks from what the log answered to `call`; `None` where it cannot be read.
    fn apply(&mut self, answer: &[u8], call: &LogCall, invalidations: &mut Marks) -> Option<AppliedReply> {
        let Appended { clock, last, dropped, dropped_at, epoch, marks: entries } = Appended::read(answer)?;
        // To a call of another epoch, a log answers with all that it has.
        let is_expected = call.epoch == epoch;
        let after = if is_expected { call.after } else { 0 };
        if after < dropped {
            invalidations.mark_all(Timestamp(dropped_at));
        }
        self.counts.entries += entries.len() as u64;
        for (at, entry) in entries {
            wire::apply(entry, invalidations, Timestamp(at));
        }
        let source = if epoch == self.epoch {
            // One that has gone back to an earlier state of it would give the same numbers to other marks.
            if is_expected && after > last { ReplySource::Replacement } else { ReplySource::Current }
        } else if self.epoch == 0 || self.epoch == call.epoch {
            ReplySource::Replacement
        } else {
            // The call was made before the present one was heard, which tells the next call whether it still is the present one.
            ReplySource::Former
        };
        match source {
            ReplySource::Replacement => (self.epoch, self.after) = (epoch, last),
            // Nothing is missing between what was known and what this answer begins with.
            ReplySource::Current if after <= self.after => self.after = self.after.max(last),
            ReplySource::Current | ReplySource::Former => {}
        }
        Some(AppliedReply { clock: Timestamp(clock), source })
    }
}

/// What an answer says beside its marks.
#[derive(Clone, Copy, Debug)]
struct AppliedReply {
    clock: Timestamp,
    source: ReplySource,
}

/// Of whom an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplySource {
    Current,
    /// The first one ever heard, or one that has taken the other's place.
    Replacement,
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
