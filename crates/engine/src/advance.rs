//! How a session advances: from flight to store to origin to answer, at each I/O result and each timer.
//!
//! One function, [`Engine::advance`], takes a session as far as it can go without waiting. It knows
//! neither JSON nor stores' protocols. Invariant: it may be called at any time, any number of times; I/O
//! in progress is not started again.

use std::rc::Rc;

use hashbrown::HashMap;

use crate::engine::{Engine, Waiter};
use crate::flight::Role;
use crate::io::{EngineEffect, Progress, SessionId};
use crate::latency::{MIN_ORIGIN_MILLIS, MIN_STORE_MILLIS};
use crate::limiter::CallOutcome;
use crate::read_policy::{self, PROBE_EVERY, ReadPolicy};
use crate::session::{HashSet, Session, Stage, StoreRead};
use crate::store::{Store, StoreCounts};
use crate::store_results::ReadFailure;
use model::answer::{Cause, OriginFailure, Tier};
use model::key::StoreKey;
use model::request::Consistency;
use model::row::Row;
use model::time::Timestamp;

impl Engine {
    /// Applies the result of a bulk read: for each key in order its bytes, or why the read failed as a
    /// whole. A read that was too large is split in halves; a single row that is too large is a miss.
    ///
    /// The result of an ended session, or of a read that was completed before, changes nothing.
    #[inline(never)]
    pub fn on_read(
        &mut self,
        id: SessionId,
        batch: u32,
        values: Result<Vec<Option<Vec<u8>>>, ReadFailure>,
        now: Timestamp,
    ) -> Progress {
        let Some(mut session) = self.sessions.remove(id.0) else { return Progress::default() };
        let Some(read) = session.reads.get_mut(batch as usize).and_then(Option::take) else {
            self.sessions.insert(id.0, session);
            return Progress::default();
        };
        let tier = self.stores.get(read.store).map_or(Tier::L2, Store::tier);
        if let Some(store) = self.stores.get_mut(read.store) {
            if !read.is_merge {
                store.latency.record(now.millis_since(read.began));
            }
            store.note_read(read.rows.len(), &values, now);
        }
        if values == Err(ReadFailure::TooLarge) && read.rows.len() > 1 {
            let is_open = |&index: &usize| {
                read.is_merge || session.missing.get(index).is_some_and(|row| row.stage == Stage::Reading(read.store))
            };
            let rows = read.rows.iter().copied().filter(is_open).collect();
            let mut effects = Vec::new();
            self.begin_reads(read.store, &mut session, rows, read.is_merge, now, &mut effects);
            let mut progress = self.advance(id, session, now);
            progress.effects.append(&mut effects);
            return progress;
        }
        for (&index, bytes) in read.rows.iter().zip(values.into_iter().flatten()) {
            let row = self.decode(&session, &read, index, bytes, now);
            if session.apply_stored(index, tier, row, &mut self.interner, now).is_some() {
                self.insert_into_l1(&session, index, now);
            }
        }
        for &index in &read.rows {
            let is_hedged = session.missing.get(index).is_some_and(|missing| missing.is_hedged);
            if session.missing.get(index).is_some_and(|missing| missing.stage == Stage::Reading(read.store)) {
                session.set_stage(index, if is_hedged { Stage::Fetching } else { Stage::Next(read.store + 1) });
            }
        }
        self.advance(id, session, now)
    }

    /// Decodes a stored row, and counts the hit, the miss or the reason why it is unusable.
    fn decode(
        &mut self,
        session: &Session,
        read: &StoreRead,
        index: usize,
        bytes: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Option<Row> {
        let (view, key, _) = session.key_of(index)?;
        let store = self.stores.get_mut(read.store)?;
        let mut unseen = StoreCounts::default();
        // A merge read counts as neither a hit nor a miss of a request.
        let (recent, counts) = (&mut store.recent, if read.is_merge { &mut unseen } else { &mut store.counts });
        if !read.is_merge {
            recent.record(bytes.is_some());
        }
        let decoded = bytes.map(|bytes| row_codec::decode(&bytes, view.space(), key, &mut self.interner));
        match decoded {
            Some(Ok(row)) => {
                counts.hits += 1;
                // Writes acknowledged since the request began count too, because L1 keeps
                // the row for others.
                let written_at = self.invalidations.floor(view.writes()).at(key);
                store.clock.trust(row, written_at, now)
            }
            Some(Err(reason)) => {
                counts.misses += 1;
                counts.count_unusable(reason);
                None
            }
            None => {
                counts.misses += 1;
                None
            }
        }
    }

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
        let is_ill = rows.as_ref().is_err_and(|failure| match failure.cause() {
            Cause::Request => false,
            Cause::Either => session.was_answered_before(&call.rows),
            Cause::Origin => {
                session.was_answered_before(&call.rows)
                    || self.origin.note_failure(call.rows.iter().map(|&index| session.hash_of(index)))
            }
        });
        let outcome = match &rows {
            _ if is_ill => CallOutcome::Failed,
            Err(_) => CallOutcome::Rejected,
            Ok(_) => CallOutcome::Answered(took),
        };
        self.origin.limiter.release(call.permit, outcome);
        self.origin.breaker.record(!is_ill, now);
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
                    session.failure.get_or_insert(OriginFailure::TimedOut);
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

    /// Reads what each store holds of the rows to be written, where that is unknown. Returns whether
    /// such a read is in progress.
    fn begin_merge_reads(&mut self, session: &mut Session, now: Timestamp, effects: &mut Vec<EngineEffect>) -> bool {
        if session.is_reading() {
            return true;
        }
        for number in 0..self.stores.len() {
            let Some(store) = self.stores.get(number) else { continue };
            let most = if session.is_warming() { usize::MAX } else { store.writable(now) };
            let rows = session.unmerged_for(store.settings.tier, most);
            self.begin_reads(number, session, rows, true, now, effects);
        }
        session.is_reading()
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

    /// Reads the rows that are next for each store; an open breaker skips the store.
    fn read_stores(&mut self, session: &mut Session, now: Timestamp, effects: &mut Vec<EngineEffect>) {
        for number in 0..self.stores.len() {
            let rows = session.rows_at_stage(|stage| stage == Stage::Next(number));
            // The misses of the store before it are read in one operation, once all its reads
            // have ended.
            if rows.is_empty() || session.is_reading_before(number) {
                continue;
            }
            let Some(store) = self.stores.get_mut(number) else { continue };
            let is_l2 = store.settings.tier == Tier::L2;
            let decision = is_l2.then(|| {
                read_policy::decide(self.settings.l2_read_policy, &store.latency, store.recent, &self.origin.latency)
            });
            self.l2_decisions += u64::from(is_l2);
            let is_probe = self.settings.l2_read_policy.is_none() && self.l2_decisions.is_multiple_of(PROBE_EVERY);
            let policy = decision.filter(|_| !is_probe).map_or(ReadPolicy::First, |decision| decision.policy);
            let is_skipped = policy == ReadPolicy::Never;
            store.is_read = decision.is_none_or(|decision| decision.policy != ReadPolicy::Never);
            if session.query.consistency == Consistency::Strong || is_skipped {
                rows.iter().for_each(|&index| session.set_stage(index, Stage::Next(number + 1)));
                continue;
            }
            self.begin_reads(number, session, rows, false, now, effects);
            let Some(store) = self.stores.get_mut(number) else { continue };
            if policy == ReadPolicy::Parallel {
                session.hedge_at = Some(now);
                session.is_parallel = true;
            }
            if session.pattern_limits.is_hedged && session.hedge_at.is_none() {
                // A hedged request. Dean and Barroso, "The Tail at Scale", CACM 56(2),
                // 2013.
                session.hedge_at = store.latency.quantile(950).map(|millis| now.plus(millis + 1));
                self.hedge_credit = (self.hedge_credit + HEDGE_SHARE).min(MAX_HEDGES);
            }
        }
    }

    /// Begins bulk reads of these missing rows. Rows that the store's breaker does not admit go to the
    /// next tier.
    fn begin_reads(
        &mut self,
        number: usize,
        session: &mut Session,
        rows: Vec<usize>,
        is_merge: bool,
        now: Timestamp,
        effects: &mut Vec<EngineEffect>,
    ) {
        let Some(store) = self.stores.get_mut(number) else { return };
        // No caller waits for a merge read.
        let timeout_millis = if self.settings.has_adaptive_timeouts && !is_merge {
            store.latency.timeout(MIN_STORE_MILLIS, store.settings.timeout_millis)
        } else {
            store.settings.timeout_millis
        };
        // Half of the remaining deadline is left to the origin, should the store be slow.
        let share = if session.is_answered { u64::MAX } else { session.hard_at.millis_since(now) / 2 };
        let timeout_millis = timeout_millis.min(share.max(1));
        let key = |&index: &usize| {
            let (view, key, _) = session.key_of(index)?;
            Some((StoreKey::new(&store.settings.key_prefix, view.space(), key), index))
        };
        let keys = rows.iter().filter_map(key).collect();
        for (shard, keys) in (0..).zip(store.by_shard(keys)) {
            for batch in keys.chunks(store.read_batch.keys()) {
                let rows: Vec<usize> = batch.iter().map(|&(_, index)| index).collect();
                if !store.breaker.admits(now) {
                    store.counts.skipped_breaker_open += rows.len() as u64;
                    if !is_merge {
                        rows.iter().for_each(|&index| session.set_stage(index, Stage::Next(number + 1)));
                    }
                    continue;
                }
                store.counts.reads += 1;
                store.counts.gets += rows.len() as u64;
                let tier = store.settings.tier;
                let keys = batch.iter().map(|(key, _)| key.clone()).collect();
                let begin = if is_merge { Session::begin_merge } else { Session::begin_read };
                let batch = begin(session, (number, tier), rows, now);
                effects.push(EngineEffect::Read { tier, shard, batch, keys, timeout_millis });
            }
        }
    }

    /// Calls the origin for what no store has; as a hedge, also for what a slow store may have.
    fn call_origin(&mut self, id: SessionId, session: &mut Session, now: Timestamp, effects: &mut Vec<EngineEffect>) {
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
            let timeout_millis = if self.settings.has_adaptive_timeouts {
                self.origin.latency.timeout(MIN_ORIGIN_MILLIS, self.settings.origin_timeout_millis)
            } else {
                self.settings.origin_timeout_millis
            };
            let Some(permit) = self.origin.limiter.acquire(now, timeout_millis + LOST_AFTER_MILLIS, queued_before)
            else {
                self.wait_in_queue(id, session, &rows, now);
                break;
            };
            if !self.origin.breaker.admits(now) {
                self.origin.limiter.release(permit, CallOutcome::Answered(0));
                let retry_millis = self.origin.breaker.half_open_in_millis(now);
                session.failure = Some(OriginFailure::LeftAlone { retry_millis });
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
            let call = session.begin_call(permit, chunk.to_vec(), now);
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

    fn leave_queue(&mut self, id: SessionId, session: &mut Session) {
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
    fn wake_next_callers(&mut self, woken: &mut Vec<u64>, now: Timestamp) {
        let free = (self.origin.limiter.limit() as usize).saturating_sub(self.origin.limiter.under_way());
        for waiter in self.queue.iter_mut().filter(|waiter| waiter.is_live(now)).take(free) {
            if !core::mem::replace(&mut waiter.is_woken, true) && !woken.contains(&waiter.session) {
                woken.push(waiter.session);
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
        let is_everybodys = failure.cause() == Cause::Origin;
        for (follower, hashes) in failed {
            if let Some(follower) = self.sessions.get_mut(follower)
                && Rc::ptr_eq(&follower.query.views, &session.query.views)
                && (is_everybodys || follower.query.keys == session.query.keys)
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

impl Waiter {
    /// Whether it polled recently: a waiter whose host is gone must not block the queue.
    fn is_live(&self, now: Timestamp) -> bool {
        now < self.polled_at.plus(2 * QUEUE_POLL_MILLIS)
    }
}

/// How long after its timeout an operation without a result counts as lost, in milliseconds.
const LOST_AFTER_MILLIS: u64 = 100;

/// How much earlier than its time a timer may go off, in milliseconds.
const TIMER_SLACK_MILLIS: u64 = 50;

/// How often a queued session polls, should nothing wake it, in milliseconds.
const QUEUE_POLL_MILLIS: u64 = 100;

/// A hedge costs 1,000 credits. Each request that may hedge earns a tenth of one, up to ten hedges, so a
/// slow store adds at most a tenth to the origin's load.
const ONE_HEDGE: u32 = 1_000;
const HEDGE_SHARE: u32 = 100;
const MAX_HEDGES: u32 = 10 * ONE_HEDGE;
