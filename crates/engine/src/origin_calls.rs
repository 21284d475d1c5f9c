//! Origin calls: when one is made, queued or used as a hedge, and what its result says of the origin's
//! health.
//!
//! It knows no HTTP. Invariant: a call has a permit of the limiter and passes the breaker. Sessions get
//! permits by priority, then by arrival.

use crate::engine::{Engine, Waiter};
use crate::io::{EngineEffect, Progress, SessionId};
use crate::latency::MIN_ORIGIN_MILLIS;
use crate::limiter::CallOutcome;
use crate::session::{OriginCall, Session, Stage};
use model::answer::{Cause, OriginFailure, TimeLimit};
use model::row::Row;
use model::time::Timestamp;

impl Engine {
    /// Applies the result of an origin call: its rows by slot, or why there are none.
    pub fn on_fetched(
        &mut self,
        id: SessionId,
        call: u32,
        rows: Result<Vec<(usize, Row)>, OriginFailure>,
        now: Timestamp,
    ) -> Progress {
        let Some(mut session) = self.sessions.remove(id.0) else { return Progress::default() };
        let Some(call) = session.calls.get_mut(call as usize).and_then(Option::take) else {
            self.sessions.insert(id.0, session);
            return Progress::default();
        };
        let took = now.millis_since(call.began);
        // A failure that the request itself may have caused says nothing of the origin's health,
        // unless the origin answered the same before. Nor do repeated failures of the same rows:
        // one caller may request what always fails.
        let is_unhealthy = rows.as_ref().is_err_and(|failure| match failure.cause() {
            Cause::Request => false,
            Cause::Either => session.was_answered_before(&call.rows),
            Cause::Origin => {
                session.was_answered_before(&call.rows)
                    || self.origin.note_failure(call.rows.iter().map(|&index| session.hash_of(index)))
            }
        });
        let outcome = match &rows {
            _ if is_unhealthy => CallOutcome::Failed,
            Err(_) => CallOutcome::Rejected,
            Ok(_) => CallOutcome::Answered(took),
        };
        self.origin.limiter.release(call.permit, outcome);
        self.origin.breaker.record(!is_unhealthy, now);
        self.origin.latency.record(took);
        match rows {
            Ok(rows) => {
                let stores = self.stores.len();
                for (slot, row) in rows {
                    if let Some(index) = session.apply_fetched(slot, row, stores, &mut self.interner, now) {
                        self.insert_into_l1(&session, index, now);
                    }
                }
            }
            Err(OriginFailure::TimedOut { .. }) => {
                let (limit, millis) = (call.limit, call.timeout_millis);
                session.failure = Some(OriginFailure::TimedOut { limit, millis });
            }
            Err(failure) => session.failure = Some(failure),
        }
        for &index in &call.rows {
            if let Some(missing) = session.missing.get_mut(index) {
                missing.is_hedged = false;
                if missing.stage == Stage::Fetching {
                    missing.stage = Stage::Failed;
                }
            }
        }
        self.advance(id, session, now)
    }

    /// Calls the origin for what no store has; as a hedge, also for what a slow store may have.
    pub(super) fn call_origin(
        &mut self,
        id: SessionId,
        session: &mut Session,
        now: Timestamp,
        effects: &mut Vec<EngineEffect>,
    ) {
        let beyond = self.stores.len();
        session.awaits_permit = false;
        if session.is_paused {
            return;
        }
        // One call for all rows; a stream calls as soon as it can.
        let is_reading = !session.pattern_limits.is_streamed()
            && session.missing.iter().any(|row| matches!(row.stage, Stage::Reading(_)) && !row.is_hedged);
        let mut rows =
            if is_reading { Vec::new() } else { session.rows_at_stage(|stage| stage == Stage::Next(beyond)) };
        if is_reading && session.hedge_at.is_some_and(|at| at <= now) && !session.is_answered {
            session.hedge_at = None;
            let is_parallel = session.is_parallel;
            if is_parallel || self.hedge_credit >= ONE_HEDGE {
                self.hedge_credit -= if is_parallel { 0 } else { ONE_HEDGE };
                self.hedged += 1;
                rows =
                    session.rows_at_stage(|stage| matches!(stage, Stage::Reading(_)) || stage == Stage::Next(beyond));
            }
        }
        // Prefetch leaves half of the permits to requests.
        if session.is_prefetch && 2 * self.origin.limiter.under_way() >= self.origin.limiter.limit() as usize {
            rows.drain(..).for_each(|index| session.set_stage(index, Stage::Failed));
        }
        let queued_before = self.waiting_before(id, session, now);
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let most = session.pattern_limits.rows_per_call(session.calls.len());
            let (chunk, others) = rest.split_at(most.min(rest.len()));
            rest = others;
            if session.calls_under_way() >= session.pattern_limits.max_concurrent_chunks {
                break;
            }
            let longest = self.settings.origin_timeout_millis;
            let timeout_millis = self.timeout_of(&self.origin.latency, MIN_ORIGIN_MILLIS, longest);
            let limit = if timeout_millis < longest { TimeLimit::AdaptiveCall } else { TimeLimit::Call };
            let Some(permit) = self.origin.limiter.acquire(now, timeout_millis + LOST_AFTER_MILLIS, queued_before)
            else {
                self.wait_in_queue(id, session, &rows, now);
                break;
            };
            if !self.origin.breaker.admits(now) {
                self.origin.limiter.release(permit, CallOutcome::Answered(0));
                let retry_millis = self.origin.breaker.half_open_in_millis(now);
                session.failure = Some(OriginFailure::CircuitOpen { retry_millis });
                for index in session.rows_at_stage(|stage| stage == Stage::Next(beyond)) {
                    session.set_stage(index, Stage::Failed);
                }
                break;
            }
            for &index in chunk {
                let until = now.plus(timeout_millis + LOST_AFTER_MILLIS);
                self.flights.renew(session.hash_of(index), id.0, until);
            }
            let fetch = session.fetch_spec(chunk, now);
            let call =
                session.begin_call(OriginCall { began: now, permit, rows: chunk.to_vec(), limit, timeout_millis });
            effects.push(EngineEffect::Fetch { call, fetch, timeout_millis });
        }
    }

    /// Queues for a permit of the limiter. A background session fails instead.
    fn wait_in_queue(&mut self, id: SessionId, session: &mut Session, rows: &[usize], now: Timestamp) {
        if session.is_background() && session.calls_under_way() == 0 {
            for &index in rows {
                session.set_stage(index, Stage::Failed);
            }
            return;
        }
        session.awaits_permit = true;
        session.is_in_queue = true;
        let priority = session.query.priority;
        let position = self.queue.iter().position(|waiter| waiter.session == id.0 || waiter.priority < priority);
        let waiter = Waiter { priority, session: id.0, polled_at: now, is_woken: false };
        match position.and_then(|position| self.queue.get_mut(position)).filter(|known| known.session == id.0) {
            Some(known) => *known = waiter,
            None => self.queue.insert(position.unwrap_or(self.queue.len()), waiter),
        }
    }

    pub(super) fn leave_queue(&mut self, id: SessionId, session: &mut Session) {
        if core::mem::take(&mut session.is_in_queue) {
            self.queue.retain(|waiter| waiter.session != id.0);
        }
    }

    /// How many sessions are before this one in the queue.
    fn waiting_before(&self, id: SessionId, session: &Session, now: Timestamp) -> usize {
        let is_before = |waiter: &&Waiter| waiter.session != id.0 && waiter.priority >= session.query.priority;
        self.queue.iter().take_while(is_before).filter(|waiter| waiter.is_live(now)).count()
    }

    /// Wakes as many queued sessions as there are free permits.
    pub(super) fn wake_next_callers(&mut self, woken: &mut Vec<u64>, now: Timestamp) {
        let free = (self.origin.limiter.limit() as usize).saturating_sub(self.origin.limiter.under_way());
        for waiter in self.queue.iter_mut().filter(|waiter| waiter.is_live(now)).take(free) {
            if !core::mem::replace(&mut waiter.is_woken, true) && !woken.contains(&waiter.session) {
                woken.push(waiter.session);
            }
        }
    }
}

impl Waiter {
    /// Whether it polled recently: a waiter whose host is gone must not block the queue.
    fn is_live(&self, now: Timestamp) -> bool {
        now < self.polled_at.plus(2 * QUEUE_POLL_MILLIS)
    }
}

/// How long after its timeout an operation without a result counts as lost, in milliseconds.
pub(super) const LOST_AFTER_MILLIS: u64 = 100;

/// How often a queued session polls, should nothing wake it, in milliseconds.
pub(super) const QUEUE_POLL_MILLIS: u64 = 100;

/// A hedge costs 1,000 credits. Each request that may hedge earns a tenth of one, up to ten hedges, so a
/// slow store adds at most a tenth to the origin's load.
const ONE_HEDGE: u32 = 1_000;
pub(super) const HEDGE_SHARE: u32 = 100;
pub(super) const MAX_HEDGES: u32 = 10 * ONE_HEDGE;
