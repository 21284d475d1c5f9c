//! Bulk reads of the stores: which rows are read where, with which timeout, when a slow store is hedged or
//! skipped, what a read found, and merge reads before writes.
//!
//! It knows no store's API. Invariant: a session reads a row from a store once, and skips a store whose
//! breaker is open.

use crate::engine::Engine;
use crate::io::{EngineEffect, Progress, SessionId};
use crate::latency::MIN_STORE_MILLIS;
use crate::origin_calls::{HEDGE_SHARE, MAX_HEDGES};
use crate::read_policy::{self, PROBE_EVERY, ReadPolicy};
use crate::session::{Session, Stage, StoreRead};
use crate::store::{Store, StoreCounts};
use crate::store_results::ReadFailure;
use model::answer::Tier;
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
                let written_at = self.invalidations.affecting(view.write_dependencies()).invalidated_at(key);
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

    /// Reads the rows that are next for each store; an open breaker skips the store.
    pub(super) fn read_stores(&mut self, session: &mut Session, now: Timestamp, effects: &mut Vec<EngineEffect>) {
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

    /// Reads what each store holds of the rows to be written, where that is unknown. Returns whether
    /// such a read is in progress.
    pub(super) fn begin_merge_reads(
        &mut self,
        session: &mut Session,
        now: Timestamp,
        effects: &mut Vec<EngineEffect>,
    ) -> bool {
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
}
