//! The isolate's side of the invalidation log: it appends this isolate's invalidations and applies those
//! of others.
//!
//! One object keeps the entries of all writes in order. A writer appends before its caller gets the
//! response; a reader has called the log within a bound, so every isolate sees a write within that bound.
//! The log knows no view and no row: it numbers and timestamps bytes. Invariant: no request waits for it
//! past its timeout or half of the request's deadline, and none fails because of it. What was served
//! without a recent reply is counted.
//!
//! This module returns effects: entries go into the given invalidations, and the dispatcher wakes the
//! requests that wait.
//!
//! Replies may arrive in any order. Each is judged by its own call: the number of the last entry known
//! then, and the epoch of the log. The epoch is the log's identity. A reply of another epoch comes from a
//! log that has replaced the former one, whose entries are lost, so all rows fetched before are
//! invalidated. A reply of the same epoch means no more than the entries that it carries.
//!
//! Times are the log's. An entry has the time of the log's own clock. A writer's clock adds to it only if
//! the writer has a reply of this very log, and by no more than the known skew, so neither an
//! unsynchronized clock nor a stepped one makes rows uncacheable. A fetched value gets the earliest time
//! that the log's clock can have shown, and its age is taken by the latest: see [`clock`].

use crate::invalidation::Invalidation;
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

/// Counts of an isolate's calls to the invalidation log, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InvalidationLogCounts {
    /// Calls.
    pub calls: u64,
    /// Of these, those that failed or came too late.
    pub errors: u64,
    /// Entries that were applied, this isolate's own among them.
    pub entries: u64,
    /// Requests served without a recent reply of the log.
    pub unverified: u64,
    /// Writes acknowledged before the log had their entries.
    pub unacked: u64,
}

/// The isolate's state of the log.
#[derive(Debug)]
pub(super) struct InvalidationLog {
    /// The bound within which a write is visible, in milliseconds; 0 for at once.
    bound: u64,
    timeout: u64,
    /// How many requests may wait for it.
    max_pending_requests: usize,
    /// How long an entry matters: no older value is served, and no job runs longer.
    retention_millis: u64,
    /// By the host's clock, because the log's may change with every reply.
    breaker: Breaker,
    clock: ClockOffset,
    /// The epoch of the log; 0 before its first reply.
    epoch: u64,
    /// The number of the last entry up to which all were applied.
    after: u64,
    /// When the last answered call began, by the host's clock.
    answered_call_at: Option<Timestamp>,
    /// The rounds of the latest calls: started, ended, answered.
    started_round: u64,
    ended_round: u64,
    answered_round: u64,
    calls: Vec<LogCall>,
    /// The requests that wait for a call to end.
    waiting: Vec<RequestHandle>,
    /// Entries that the log has not acknowledged.
    unacked: Vec<u8>,
    counts: InvalidationLogCounts,
}

/// A call in progress.
#[derive(Debug)]
struct LogCall {
    handle: RequestHandle,
    round: u64,
    /// By the host's clock.
    made_at: Timestamp,
    /// What was known when it began.
    epoch: u64,
    after: u64,
    entries: Vec<u8>,
    attempt: u32,
}

/// A request that awaits a recent reply. Its context has its start by the host's clock, because the log's
/// clock may be corrected meanwhile.
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

/// What a request awaits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// Until when, by the host's clock.
    pub(super) until: Timestamp,
    /// The first round that is recent enough for it.
    needs: u64,
}

/// How a waiting request continues.
#[derive(Debug)]
pub(super) enum WakeOutcome {
    /// It is served; it began at this time.
    Serve { began: Timestamp },
    /// It waits on, with a call if none is in progress.
    Wait(Option<Effect>),
}

/// How an append begins.
#[derive(Debug)]
pub(super) enum AppendAttempt {
    /// The call that carries it.
    Sent(Effect),
    /// The log's breaker is open; the append is retried later.
    Deferred(Effect),
}

/// The result of a call.
#[derive(Debug)]
pub(super) struct LogReply {
    pub(super) is_answered: bool,
    /// What is to be reset outside this module.
    pub(super) reset: StateReset,
    /// The present time, by the corrected clock.
    pub(super) now: Timestamp,
    pub(super) effects: Vec<Effect>,
    /// The requests that waited for a call to end.
    pub(super) woken: Vec<RequestHandle>,
}

/// What a reply of the log has put in doubt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StateReset {
    /// By how many milliseconds the time was set back.
    pub(super) back_millis: u64,
    /// Invalidations timestamped by a clock that was ahead would hide new rows.
    pub(super) clamps_invalidations: bool,
    /// Rows may have been written since they were fetched, though no entry says so.
    pub(super) invalidates_all: bool,
    /// Rows might look newer than later writes.
    pub(super) clears_rows: bool,
}

/// How long past its timeout a call without a reply counts as lost with its host, in milliseconds.
const LOST_AFTER_MILLIS: u64 = 100;

/// The delay of the first retry of an append, in milliseconds; it doubles with each: some 15 s in all,
/// since a host continues nothing in the background for more than 30. After that, the next call carries
/// the entries.
const RETRY_MILLIS: u64 = 1_000;
const MAX_ATTEMPTS: u32 = 4;

/// Past this many bytes, the unacknowledged entries are replaced by one that invalidates everything.
const MAX_UNACKED: usize = 256 << 10;

/// The header of a write that the log has not acknowledged, in the form of RFC 9211.
pub(super) const UNREACHABLE_NOTICE: (&str, &str) =
    ("cache-status", "featheredge-invalidation-log; detail=unreachable");

impl InvalidationLog {
    /// The state before the first call, where the configuration has a log.
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

    /// The timestamp of what is fetched at `now`: the earliest possible one.
    pub(super) fn stamp(&self, now: Timestamp) -> Timestamp {
        self.clock.earliest(now)
    }

    /// Whether it was never called.
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

    /// Whether the breaker admits a call. Where it does, the caller must make it.
    fn admits(&mut self, now: Timestamp) -> bool {
        let host = self.host(now);
        self.breaker.admits(host)
    }

    /// The time since the last answered call began, in milliseconds; `None` before the first reply,
    /// and after a clock step back.
    fn millis_since_answer(&self, now: Timestamp) -> Option<u64> {
        self.answered_call_at.and_then(|at| age(at, self.host(now)))
    }

    /// The longest time that a call can take, in milliseconds.
    fn max_call_millis(&self) -> u64 {
        self.timeout + LOST_AFTER_MILLIS
    }

    /// The latest call in progress: its round, and its age in milliseconds.
    fn under_way(&self, now: Timestamp) -> Option<(u64, u64)> {
        let host = self.host(now);
        let max_call_millis = self.max_call_millis();
        let ages = self.calls.iter().filter_map(|call| Some((call.round, age(call.made_at, host)?)));
        ages.filter(|(_, age)| *age <= max_call_millis).max()
    }

    /// Queues unacknowledged entries for the next call.
    fn queue_unacked(&mut self, add: impl FnOnce(&mut Vec<u8>)) {
        add(&mut self.unacked);
        if self.unacked.len() > MAX_UNACKED || self.unacked.starts_with(&wire::EVERYTHING) {
            self.unacked = wire::widen(&self.unacked);
        }
    }

    /// Whether the last reply is recent enough to serve a request at once.
    pub(super) fn is_up_to_date(&self, now: Timestamp) -> bool {
        self.bound > 0 && self.millis_since_answer(now).is_some_and(|millis| millis <= self.bound)
    }

    /// Whether to call the log in the background of a request that is served at once: early enough
    /// that under steady traffic no request waits. Where it says so, the caller must make the call.
    pub(super) fn is_refresh_due(&mut self, now: Timestamp) -> bool {
        self.millis_since_answer(now).is_some_and(|millis| millis > self.bound / 2)
            && self.under_way(now).is_none()
            && self.admits(now)
    }

    /// Lets a request wait for so many milliseconds at most, with a call if none in progress is recent
    /// enough. `None` where it is to be served with what is known: there is no memory to wait, or the
    /// breaker is open.
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

    /// Checks whether a waiting request may be served, as it may when its timer has fired.
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

    /// Appends an invalidation.
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

    /// Counts a write that was acknowledged before the log had its entry.
    pub(super) fn note_unacked(&mut self) {
        self.counts.unacked += 1;
    }

    /// Appends the unacknowledged entries again.
    pub(super) fn retry_append(&mut self, handle: RequestHandle, attempt: u32, now: Timestamp) -> Option<Effect> {
        (!self.unacked.is_empty()).then(|| self.call(handle, attempt + 1, now))
    }

    /// A call that appends the unacknowledged entries and reads the new ones.
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
            entry: &entries,
            at: now.0,
            spread_millis,
            keep_millis: retention_millis,
        }
        .to_bytes();
        self.calls.push(LogCall { handle, round: self.started_round, made_at, epoch, after, entries, attempt });
        let io_request = IoRequest::Log { request };
        Effect::new(handle, Continuation::Log, io_request, self.timeout)
    }

    /// Applies the result of a call to `invalidations`; `None` where the call was lost, after a clock
    /// jump or a host's pause, and another carries its entries. `is_idle`: no deadline runs.
    pub(super) fn on_reply(
        &mut self,
        handle: RequestHandle,
        result: &IoResult,
        invalidations: &mut Invalidations,
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
            // A time after the host's clock comes from a clock that was set back.
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

    /// Corrects the clock by the log's.
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

    /// Applies the entries of a reply to `call`; `None` where it cannot be read.
    fn apply(&mut self, answer: &[u8], call: &LogCall, invalidations: &mut Invalidations) -> Option<AppliedReply> {
        let Appended { clock, last, dropped, dropped_at, epoch, entries } = Appended::read(answer)?;
        // To a call of another epoch, a log replies with all its entries.
        let is_expected = call.epoch == epoch;
        let after = if is_expected { call.after } else { 0 };
        if after < dropped {
            invalidations.invalidate_all(Timestamp(dropped_at));
        }
        self.counts.entries += entries.len() as u64;
        for (at, entry) in entries {
            wire::apply(entry, invalidations, Timestamp(at));
        }
        let source = if epoch == self.epoch {
            // A log that was restored from an earlier state would reuse numbers.
            if is_expected && after > last { ReplySource::Replacement } else { ReplySource::Current }
        } else if self.epoch == 0 || self.epoch == call.epoch {
            ReplySource::Replacement
        } else {
            // The call began before the present log was known. The next call shows whether it
            // still is the present one.
            ReplySource::Former
        };
        match source {
            ReplySource::Replacement => (self.epoch, self.after) = (epoch, last),
            // No entry is missing between the known ones and this reply's first.
            ReplySource::Current if after <= self.after => self.after = self.after.max(last),
            ReplySource::Current | ReplySource::Former => {}
        }
        Some(AppliedReply { clock: Timestamp(clock), source })
    }
}

/// What a reply says besides its entries.
#[derive(Clone, Copy, Debug)]
struct AppliedReply {
    clock: Timestamp,
    source: ReplySource,
}

/// Which log a reply comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplySource {
    Current,
    /// The first log, or one that has replaced the former.
    Replacement,
    /// One that may have been replaced.
    Former,
}

/// The age in milliseconds; `None` of a future time, after a clock step back.
fn age(began: Timestamp, now: Timestamp) -> Option<u64> {
    now.0.checked_sub(began.0)
}

/// How many of the latest calls the breaker counts: while the log fails, requests would wait in vain.
const MAX_FAILURES: u32 = 3;

/// A later retry.
fn retry(handle: RequestHandle, attempt: u32) -> Effect {
    Effect::new(
        handle,
        Continuation::Retry(attempt),
        IoRequest::Wait { outlives_request: true },
        RETRY_MILLIS << attempt,
    )
}
