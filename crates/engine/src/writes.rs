//! Background writes to the stores, one batch after the other, so that a store gets no more than it takes
//! and no read waits behind a thousand writes.
//!
//! The rows of all requests wait in the store's one queue. The request whose batch ended begins the next,
//! until it has written as many rows as it may. It knows no key's meaning. Invariant: a store has one
//! batch in progress, except for those of warm-ups, whose callers wait.

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

/// When to check again whether another request's batch has ended, in milliseconds.
const AWAIT_BATCH_MILLIS: u64 = 250;

/// How long after its time a scheduled flush counts as lost, in milliseconds.
const FLUSH_LOST_AFTER_MILLIS: u64 = 1_000;

impl Engine {
    /// Ends a session: records its outcomes and queues its rows for the stores.
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

    /// Records the result of a write of `rows` rows to the store of `tier`. The request that wrote
    /// them writes the next batch, within its allowance and as far as its host allows.
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
    pub fn accepts_writes(&self, tier: Tier, now: Timestamp) -> bool {
        self.stores.iter().any(|store| store.settings.tier == tier && store.accepts_writes(now))
    }

    /// Writes queued rows that are due, within the request's allowance.
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

    /// Loads rows with given values, at these slots of `query`, into L1 and all stores, merged with
    /// what these have.
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

    /// Begins the next batch of a store, or schedules a flush for when a key's interval, or the batch
    /// in progress, may have ended.
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

/// Writes a batch, each shard by itself.
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
