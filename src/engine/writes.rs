//! Writes to the stores behind answers: a batch at a time, begun when the one before it has ended, so that a store is given no more
//! than it takes and no read waits behind a thousand writes.
//!
//! Every request's rows wait in the store's one queue, and whoever's batch has ended begins the next, in its own context, until it has
//! written as many rows as a request may. Invariant: a store has one batch under way, but for those of warm-ups, whose caller waits.

use std::rc::Rc;

use crate::engine::session::Session;
use crate::engine::store::{Store, StoreSettings};
use crate::engine::{Engine, Order};
use crate::model::answer::Tier;
use crate::model::key::StoreKey;
use crate::model::row::Row;
use crate::model::time::Instant;

/// The rows of one batch. Workers KV takes each as a write of its own.
const ROWS_PER_BATCH: usize = 100;

/// When to look again whether another request's batch has ended, in milliseconds.
const AWAIT_BATCH_MILLIS: u64 = 250;

/// How long after its time nobody has come back for what waits before another request is to, in milliseconds.
const FLUSH_LOST_AFTER_MILLIS: u64 = 1_000;

/// How many rows a request may still write to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriteAllowance {
    rows: u32,
}

impl WriteAllowance {
    fn of(settings: &StoreSettings) -> WriteAllowance {
        let rows = settings.max_writes_per_request.and_then(|most| u32::try_from(most).ok());
        WriteAllowance { rows: rows.unwrap_or(u32::MAX) }
    }

    fn less(self, rows: usize) -> WriteAllowance {
        if self.rows == u32::MAX {
            return self;
        }
        WriteAllowance { rows: self.rows.saturating_sub(u32::try_from(rows).unwrap_or(u32::MAX)) }
    }
}

impl Engine {
    /// What a session leaves to the stores when it is over.
    pub(super) fn end(&mut self, session: Session, now: Instant, orders: &mut Vec<Order>) {
        self.gather(&session);
        let latest = self.latest_of_all(&session, now);
        for number in 0..self.stores.len() {
            let Some(store) = self.stores.get_mut(number) else { continue };
            let is_read = store.is_read;
            let changes = session.changes_for(store.settings.tier, &latest, is_read, now);
            store.counts.unchanged += changes.unchanged;
            store.counts.left_out += changes.unmerged;
            if session.is_warming() {
                self.write_now(number, changes.rows, now, orders);
            } else {
                let allowance = WriteAllowance::of(&store.settings);
                store.enqueue(changes.rows, allowance.rows as usize, now);
                self.write_next(number, allowance, now, orders);
            }
        }
    }

    /// Tells how a write of `rows` rows to the store of `tier` went, and how many of them failed. The request that wrote them goes on
    /// with what waits, as far as its allowance goes.
    pub fn written(
        &mut self,
        tier: Tier,
        (rows, failed): (usize, usize),
        allowance: Option<WriteAllowance>,
        now: Instant,
    ) -> Vec<Order> {
        let mut orders = Vec::new();
        let Some(number) = self.stores.iter().position(|store| store.settings.tier == tier) else { return orders };
        if let Some(store) = self.stores.get_mut(number) {
            store.record_write(rows, failed, now);
            if allowance.is_some() {
                store.end_writing();
            }
        }
        if let Some(allowance) = allowance {
            self.write_next(number, allowance, now, &mut orders);
        }
        orders
    }

    /// Writes the rows whose keys have rested, as far as their time has come and the request may write.
    #[inline(never)]
    pub fn flush(&mut self, tier: Tier, allowance: WriteAllowance, now: Instant) -> Vec<Order> {
        let mut orders = Vec::new();
        if let Some(number) = self.stores.iter().position(|store| store.settings.tier == tier) {
            if let Some(store) = self.stores.get_mut(number) {
                store.flush_until = Instant::default();
            }
            self.write_next(number, allowance, now, &mut orders);
        }
        orders
    }

    /// Keeps rows, by the hashes of their keys, in L1 and in all stores, whatever these have of them.
    pub fn load(&mut self, rows: Vec<(u64, Row)>, now: Instant) -> Vec<Order> {
        let mut loaded = Vec::with_capacity(rows.len());
        for (hash, row) in rows {
            let known = self.memory.peek(hash, row.schema().space(), row.entity());
            let row = known.map(|known| known.merge(&row).sharing(&mut self.interner)).unwrap_or(row);
            let row = Rc::new(row);
            self.memory.put(hash, Rc::clone(&row));
            loaded.push(row);
        }
        let mut orders = Vec::new();
        for number in 0..self.stores.len() {
            self.write_now(number, loaded.clone(), now, &mut orders);
        }
        orders
    }

    /// Begins the next batch of a store, or orders to come back for it: when its keys have rested, or the batch under way may have
    /// ended.
    fn write_next(&mut self, number: usize, allowance: WriteAllowance, now: Instant, orders: &mut Vec<Order>) {
        let Some(store) = self.stores.get_mut(number) else { return };
        let batch = store.next_batch(ROWS_PER_BATCH.min(allowance.rows as usize), now);
        if !batch.is_empty() {
            let left = allowance.less(batch.len());
            let before = orders.len();
            write_batch(store, batch, Some(left), now, orders);
            store.begin_writing(orders.len() - before, now);
        } else if let Some(at) = store.queue.next_at().filter(|_| allowance.rows > 0 && now >= store.flush_until) {
            let millis = at.millis_since(now).max(if store.is_writing(now) { AWAIT_BATCH_MILLIS } else { 1 });
            store.flush_until = now.plus(millis + FLUSH_LOST_AFTER_MILLIS);
            orders.push(Order::Flush { tier: store.settings.tier, millis, allowance });
        }
    }

    /// Writes rows whose caller waits for the store.
    fn write_now(&mut self, number: usize, rows: Vec<Rc<Row>>, now: Instant, orders: &mut Vec<Order>) {
        let Some(store) = self.stores.get_mut(number) else { return };
        let batch = store.encode_now(rows, now);
        write_batch(store, batch, None, now, orders);
        let allowance = WriteAllowance::of(&store.settings);
        self.write_next(number, allowance, now, orders);
    }
}

/// Orders a batch, each shard's by itself.
fn write_batch(
    store: &Store,
    batch: Vec<(StoreKey, Vec<u8>)>,
    allowance: Option<WriteAllowance>,
    now: Instant,
    orders: &mut Vec<Order>,
) {
    let StoreSettings { tier, ttl_seconds, timeout_millis, .. } = store.settings;
    for (shard, entries) in (0..).zip(store.by_shard(batch)).filter(|(_, entries)| !entries.is_empty()) {
        orders.push(Order::Write { tier, shard, entries, ttl_seconds, timeout_millis, allowance, began: now });
    }
}
