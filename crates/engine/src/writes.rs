//! Writes to the stores behind answers: a batch at a time, begun when the one before it has ended, so that a store is given no more
//! than it takes and no read waits behind a thousand writes.
//!
//! Every request's rows wait in the store's one queue, and whoever's batch has ended begins the next, in its own context, until it has
//! written as many rows as a request may. Invariant: a store has one batch under way, but for those of warm-ups, whose caller waits.

use crate::engine::Engine;
use crate::io::{EngineEffect, Progress, SessionId};
use crate::serving_pattern::{self, PatternLimits};
use crate::session::Session;
use crate::store::{Store, StoreSettings};
use crate::store_results::WriteOutcome;
use crate::write_allowance::WriteAllowance;
use crate::write_queue::RowWrite;
use model::answer::Tier;
use model::key::StoreKey;
use model::request::RowQuery;
use model::row::Row;
use model::time::Timestamp;

/// The rows of one batch. Workers KV takes each as a write of its own.
const ROWS_PER_BATCH: usize = 100;

/// When to look again whether another request's batch has ended, in milliseconds.
const AWAIT_BATCH_MILLIS: u64 = 250;

/// How long after its time nobody has come back for what waits before another request is to, in milliseconds.
const FLUSH_LOST_AFTER_MILLIS: u64 = 1_000;

impl Engine {
    /// What a session leaves to the stores when it is over.
    pub(super) fn finish(&mut self, session: Session, now: Timestamp, progress: &mut Progress) {
        self.record_outcomes(&session);
        let rows = self.rows_for_stores(&session, now);
        for number in 0..self.stores.len() {
            let Some(store) = self.stores.get_mut(number) else { continue };
            let is_read = store.is_read;
            let writes = session.writes_for(store.settings.tier, &rows, is_read, now);
            store.counts.unchanged += writes.unchanged;
            store.counts.unmerged += writes.unmerged;
            progress.unmerged.push((store.settings.tier, writes.unmerged));
            let effects = &mut progress.effects;
            if session.is_warming() {
                self.write_now(number, writes.rows, now, effects);
            } else {
                let allowance = WriteAllowance::of(&store.settings);
                store.enqueue(writes.rows, allowance.rows as usize, now);
                self.write_next(number, allowance, now, effects);
            }
        }
    }

    /// Tells how a write of `rows` rows to the store of `tier` went. The request that wrote them goes on with what waits, as far as its
    /// allowance goes, and its host lets it.
    pub fn on_written(
        &mut self,
        tier: Tier,
        (rows, outcome): (usize, WriteOutcome),
        allowance: Option<WriteAllowance>,
        now: Timestamp,
    ) -> Vec<EngineEffect> {
        let mut effects = Vec::new();
        let Some(number) = self.stores.iter().position(|store| store.settings.tier == tier) else { return effects };
        if let Some(store) = self.stores.get_mut(number) {
            store.record_write(rows, outcome, now);
            if let Some(allowance) = allowance {
                store.end_writing(allowance.batch);
            }
        }
        if let Some(allowance) = allowance.filter(|_| !outcome.is_request_spent) {
            self.write_next(number, allowance, now, &mut effects);
        }
        effects
    }

    /// Whether the store of `tier` would be written now.
    #[must_use]
    pub fn would_write(&self, tier: Tier, now: Timestamp) -> bool {
        self.stores.iter().any(|store| store.settings.tier == tier && store.would_write(now))
    }

    /// Writes the rows whose keys have rested, as far as their time has come and the request may write.
    #[inline(never)]
    pub fn flush(&mut self, tier: Tier, allowance: WriteAllowance, now: Timestamp) -> Vec<EngineEffect> {
        let mut effects = Vec::new();
        if let Some(number) = self.stores.iter().position(|store| store.settings.tier == tier) {
            if let Some(store) = self.stores.get_mut(number) {
                store.scheduled_rows = store.scheduled_rows.saturating_sub(allowance.rows as usize);
            }
            self.write_next(number, allowance, now, &mut effects);
        }
        effects
    }

    /// Keeps rows that somebody brings, at these places of `query`, in L1 and in all stores, merged with what these have of them.
    pub fn load(
        &mut self,
        id: SessionId,
        query: Box<RowQuery>,
        rows: Vec<(usize, Row)>,
        now: Timestamp,
    ) -> (PatternLimits, Progress) {
        let pattern_limits = serving_pattern::background(&self.settings.serving_patterns);
        let mut session = Session::load(query, pattern_limits, &self.invalidations, now);
        let stores = self.stores.len();
        for (slot, row) in rows {
            if let Some(index) = session.apply_fetched(slot, row, stores, &mut self.interner, now) {
                self.insert_into_l1(&session, index, now);
            }
        }
        session.fail_unfinished();
        (pattern_limits, self.advance(id, session, now))
    }

    /// Begins the next batch of a store, or effects to come back for it: when its keys have rested, or the batch under way may have
    /// ended.
    fn write_next(
        &mut self,
        number: usize,
        allowance: WriteAllowance,
        now: Timestamp,
        effects: &mut Vec<EngineEffect>,
    ) {
        let Some(store) = self.stores.get_mut(number) else { return };
        let batch = store.next_batch(ROWS_PER_BATCH.min(allowance.rows as usize), now);
        if !batch.is_empty() {
            let number = store.next_batch_number();
            let left = allowance.after(number, batch.len());
            let before = effects.len();
            write_batch(store, batch, Some(left), now, effects);
            store.begin_writing(number, effects.len() - before, now);
            return;
        }
        if now >= store.scheduled_until {
            store.scheduled_rows = 0;
        }
        if let Some(at) =
            store.queue.next_at().filter(|_| allowance.rows > 0 && store.scheduled_rows < store.queue.len())
        {
            let millis = at.millis_since(now).max(if store.is_writing(now) { AWAIT_BATCH_MILLIS } else { 1 });
            store.scheduled_rows = store.scheduled_rows.saturating_add(allowance.rows as usize);
            store.scheduled_until = store.scheduled_until.max(now.plus(millis + FLUSH_LOST_AFTER_MILLIS));
            effects.push(EngineEffect::Flush { tier: store.settings.tier, millis, allowance });
        }
    }

    /// Writes rows whose caller waits for the store.
    fn write_now(&mut self, number: usize, writes: Vec<RowWrite>, now: Timestamp, effects: &mut Vec<EngineEffect>) {
        let Some(store) = self.stores.get_mut(number) else { return };
        let batch = store.encode_now(writes, now);
        write_batch(store, batch, None, now, effects);
        if store.queue.next_at().is_some_and(|at| at > now) {
            let allowance = WriteAllowance::of(&store.settings);
            self.write_next(number, allowance, now, effects);
        }
    }
}

/// Orders a batch, each shard's by itself.
fn write_batch(
    store: &Store,
    batch: Vec<(StoreKey, Vec<u8>)>,
    allowance: Option<WriteAllowance>,
    now: Timestamp,
    effects: &mut Vec<EngineEffect>,
) {
    let StoreSettings { tier, ttl_seconds, timeout_millis, .. } = store.settings;
    for (shard, entries) in (0..).zip(store.by_shard(batch)).filter(|(_, entries)| !entries.is_empty()) {
        effects.push(EngineEffect::Write { tier, shard, entries, ttl_seconds, timeout_millis, allowance, began: now });
    }
}
