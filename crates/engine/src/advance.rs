//! How a session advances: from flight to store to origin to answer, at each I/O result and each timer.
//!
//! One function, [`Engine::advance`], takes a session as far as it can go without waiting. It knows
//! neither JSON nor stores' protocols. Invariant: it may be called at any time, any number of times; I/O
//! in progress is not started again.

use std::rc::Rc;

use hashbrown::HashMap;

use crate::engine::Engine;
use crate::flight::Role;
use crate::io::{EngineEffect, Progress, SessionId};
use crate::latency::MIN_STORE_MILLIS;
use crate::limiter::CallOutcome;
use crate::origin_calls::{LOST_AFTER_MILLIS, QUEUE_POLL_MILLIS};
use crate::session::{HashSet, Session, Stage};
use crate::store::Store;
use model::answer::Cause;
use model::request::Consistency;
use model::time::Timestamp;

impl Engine {
    /// Advances a session that another session woke.
    pub fn wake(&mut self, id: SessionId, now: Timestamp) -> Progress {
        match self.sessions.remove(id.0) {
            Some(session) => self.advance(id, session, now),
            None => Progress { is_over: true, ..Progress::default() },
        }
    }

    /// Advances a session whose timer fired. The host says so, since its timers run by another clock
    /// than `now` and some fire a millisecond early.
    pub fn on_timer(&mut self, id: SessionId, now: Timestamp) -> Progress {
        let at = self.sessions.get_mut(id.0).and_then(|session| session.timers.pop()).unwrap_or_default();
        // After a clock step back, the timer knows the time better than the clock.
        self.wake(id, if at.millis_since(now) > TIMER_SLACK_MILLIS { at } else { now })
    }

    /// Advances a session that was [paused](Engine::pause): its reader wants more.
    pub fn resume(&mut self, id: SessionId, now: Timestamp) -> Progress {
        if let Some(session) = self.sessions.get_mut(id.0) {
            session.is_paused = false;
        }
        self.wake(id, now)
    }

    /// Ends a session whose caller has gone, and wakes its followers.
    pub fn abandon(&mut self, id: SessionId, now: Timestamp) -> Vec<SessionId> {
        let mut woken = Vec::new();
        if let Some(mut session) = self.sessions.remove(id.0) {
            for call in session.calls.iter_mut().filter_map(Option::take) {
                self.origin.limiter.release(call.permit, CallOutcome::Answered(now.millis_since(call.began)));
            }
            // Nobody fetches its rows now.
            for missing in session.missing.iter_mut().filter(|missing| missing.stage != Stage::Done) {
                missing.stage = Stage::Failed;
            }
            session.failure = None;
            self.record_outcomes(&session);
            self.complete_flights(id, &mut session, &mut woken);
            self.leave_queue(id, &mut session);
        }
        self.wake_next_callers(&mut woken, now);
        woken.into_iter().map(SessionId).collect()
    }

    /// Takes a session as far as it can go now.
    pub(super) fn advance(&mut self, id: SessionId, mut session: Session, now: Timestamp) -> Progress {
        let mut progress = Progress::default();
        let mut woken = Vec::new();
        loop {
            self.refetch_expired(id, &mut session, now);
            session.start_more();
            self.follow_or_lead(id, &mut session, now);
            self.read_stores(&mut session, now, &mut progress.effects);
            session.refetch_former_members(self.stores.len());
            self.call_origin(id, &mut session, now, &mut progress.effects);
            if !session.awaits_permit {
                self.leave_queue(id, &mut session);
            }
            // Rows that failed at once make room for others.
            if session.has_room() {
                continue;
            }
            let is_late = now >= session.hard_at || (now >= session.soft_at && session.can_serve_stale(now));
            if !session.is_answered && (session.is_settled() || is_late) {
                // A paused reader is no timeout of the origin.
                if !session.is_settled() && now >= session.hard_at && !session.is_paused {
                    let missed = session.missed_deadline();
                    session.failure.get_or_insert(missed);
                }
                progress.entities = session.take_complete_entities(true, now);
                progress.answer = Some(Box::new(session.answer(now)));
            } else if !session.is_answered && !session.is_paused {
                progress.entities = session.take_complete_entities(false, now);
            }
            self.complete_flights(id, &mut session, &mut woken);
            // Stored rows that are due for revalidation are fetched in the background.
            let due = if session.is_settled() { session.begin_revalidation(self.stores.len()) } else { Vec::new() };
            if due.is_empty() {
                break;
            }
            let lease = self.lease_millis();
            for index in due.into_iter().filter(|_| self.settings.is_singleflight) {
                self.flights.join(session.hash_of(index), id.0, now, lease);
            }
        }
        if session.is_settled() && !self.begin_merge_reads(&mut session, now, &mut progress.effects) {
            self.leave_queue(id, &mut session);
            self.finish(session, now, &mut progress);
            progress.is_over = true;
        } else {
            self.set_timer(&mut session, now, &mut progress.effects);
            self.sessions.insert(id.0, session);
        }
        self.wake_next_callers(&mut woken, now);
        progress.woken = woken.into_iter().filter(|&session| session != id.0).map(SessionId).collect();
        progress
    }

    /// Refetches rows that expired since they were found, in a flight of this session.
    fn refetch_expired(&mut self, id: SessionId, session: &mut Session, now: Timestamp) {
        let expired = session.refetch_expired(self.stores.len(), &self.invalidations, now);
        for index in expired.into_iter().filter(|_| self.settings.is_singleflight) {
            let lease = self.lease_millis();
            if let Role::Follows { until } = self.flights.join(session.hash_of(index), id.0, now, lease) {
                session.set_stage(index, Stage::Following(until));
            }
        }
    }

    /// For each row that has no flight yet: leads one, or follows another's.
    fn follow_or_lead(&mut self, id: SessionId, session: &mut Session, now: Timestamp) {
        let is_shared = self.settings.is_singleflight && session.query.consistency != Consistency::Strong;
        if !is_shared {
            return;
        }
        let lease = self.lease_millis();
        for index in session.rows_at_stage(|stage| matches!(stage, Stage::Next(0) | Stage::Following(_))) {
            let hash = session.hash_of(index);
            let was_following = matches!(session.missing.get(index).map(|row| row.stage), Some(Stage::Following(_)));
            if was_following {
                let shared = session
                    .key_of(index)
                    .and_then(|(view, key, hash)| self.memory.get(hash, view.space(), key))
                    .map(Rc::clone);
                if shared.is_some_and(|row| session.apply_shared(index, &row, now)) {
                    continue;
                }
            }
            // A background session does not follow: the other flight brings the row.
            if session.is_background() && self.flights.is_led_by_another(hash, id.0, now) {
                session.set_stage(index, Stage::Failed);
                continue;
            }
            // A bounded read does not follow a flight whose row would be too old; it fetches
            // its own.
            let bound = session.query.max_staleness.filter(|_| session.query.consistency == Consistency::Bounded);
            if bound.is_some_and(|millis| self.flights.is_older_than(hash, id.0, millis, now)) {
                session.set_stage(index, Stage::Next(0));
                continue;
            }
            match self.flights.join(hash, id.0, now, lease) {
                Role::Leads => session.set_stage(index, Stage::Next(0)),
                Role::Follows { until } => session.set_stage(index, Stage::Following(until)),
            }
        }
    }

    /// Ends the flights of settled rows. Followers with the same query share a failure, because
    /// another call would fail as well. A failure that one row may have caused is shared only with
    /// sessions that request the very same rows.
    fn complete_flights(&mut self, id: SessionId, session: &mut Session, woken: &mut Vec<u64>) {
        if !self.settings.is_singleflight {
            return;
        }
        let mut failed: HashMap<u64, HashSet<u64>, foldhash::fast::FixedState> = HashMap::default();
        let mut is_woken: HashSet<u64> = woken.iter().copied().collect();
        for index in session.rows_at_stage(|stage| matches!(stage, Stage::Done | Stage::Failed)) {
            let hash = session.hash_of(index);
            let Some(missing) = session.missing.get_mut(index).filter(|missing| !missing.is_flight_complete) else {
                continue;
            };
            missing.is_flight_complete = true;
            let has_failed = missing.stage == Stage::Failed;
            for follower in self.flights.complete(hash, id.0) {
                if has_failed && session.failure.is_some() {
                    failed.entry(follower).or_default().insert(hash);
                }
                if is_woken.insert(follower) {
                    woken.push(follower);
                }
            }
        }
        let Some(failure) = session.failure.as_ref().filter(|_| !failed.is_empty()) else { return };
        let is_shared_by_all = failure.cause() == Cause::Origin;
        for (follower, hashes) in failed {
            if let Some(follower) = self.sessions.get_mut(follower)
                && Rc::ptr_eq(&follower.query.views, &session.query.views)
                && (is_shared_by_all || follower.query.keys == session.query.keys)
            {
                follower.share_failure(&hashes, failure);
            }
        }
    }

    /// Sets the session's next timer, unless an earlier one runs.
    fn set_timer(&mut self, session: &mut Session, now: Timestamp, effects: &mut Vec<EngineEffect>) {
        let mut next = session
            .missing
            .iter()
            .filter_map(|row| match row.stage {
                Stage::Following(until) => Some(until),
                _ => None,
            })
            .min();
        let mut consider = |at: Timestamp| next = Some(next.map_or(at, |next: Timestamp| next.min(at)));
        if !session.is_answered {
            consider(if session.soft_at > now { session.soft_at } else { session.hard_at });
            session.hedge_at.into_iter().for_each(&mut consider);
            Some(session.expires_at).filter(|&at| at < session.hard_at).into_iter().for_each(&mut consider);
        }
        if session.awaits_permit {
            consider(now.plus(QUEUE_POLL_MILLIS));
        }
        let Some(at) = next else { return };
        if session.timers.last().is_none_or(|&next| at < next) {
            session.timers.push(at);
            effects.push(EngineEffect::Wake { millis: at.millis_since(now).max(1) });
        }
    }

    /// The lease of a flight.
    fn lease_millis(&self) -> u64 {
        let timeout = |store: &Store| store.latency.timeout(MIN_STORE_MILLIS, store.settings.timeout_millis);
        let stores: u64 = self.stores.iter().map(timeout).sum();
        stores + LOST_AFTER_MILLIS
    }
}

/// How much earlier than its time a timer may go off, in milliseconds.
const TIMER_SLACK_MILLIS: u64 = 50;
