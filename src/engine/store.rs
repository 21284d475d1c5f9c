//! One store tier as the engine sees it: its settings, its health, what it was asked, and what may be written to it.

use hashbrown::HashMap;
use std::rc::Rc;

use crate::cache::codec::{self, Unusable};
use crate::engine::breaker::{Breaker, BreakerSettings};
use crate::engine::latency::Latency;
use crate::engine::optimizer::Recent;
use crate::model::answer::Tier;
use crate::model::key::{ShardSecret, StoreKey};
use crate::model::row::Row;
use crate::model::time::Instant;

/// Where a store's keys begin, how long its rows live there, and what it may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Which tier it is.
    pub tier: Tier,
    /// What every key begins with.
    pub key_prefix: String,
    /// Over how many shards its rows are spread; each is asked for its own, in one operation.
    pub shards: u32,
    /// The most keys that one read may ask for.
    pub keys_per_read: usize,
    /// How long the store keeps a row, in seconds.
    pub ttl_seconds: u64,
    /// How long a read or write may take at the most, in milliseconds.
    pub timeout_millis: u64,
    /// How long a key rests between two writes, in milliseconds: KV takes one write per key and second.
    pub write_interval_millis: u64,
    /// The most rows written in a day (UTC) by this isolate; `None` without a bound.
    pub writes_per_day: Option<u64>,
}

/// What a store was asked and how it fared, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Bulk reads.
    pub reads: u64,
    /// Keys asked for.
    pub gets: u64,
    /// Keys that were there and could be used.
    pub hits: u64,
    /// Keys that were not there.
    pub misses: u64,
    /// Rows written.
    pub puts: u64,
    /// Bulk reads and single writes that failed.
    pub errors: u64,
    /// Rows not written, since the store says the same already.
    pub unchanged: u64,
    /// Rows whose write was put off, and given up for a later one, within a key's interval.
    pub coalesced: u64,
    /// Rows not written, since the day's budget is spent.
    pub over_budget: u64,
    /// Reads and writes left out while the store's breaker was open.
    pub left_out: u64,
    /// Stored values that are not ours.
    pub foreign: u64,
    /// Stored values of another version.
    pub other_version: u64,
    /// Stored values that are damaged.
    pub damaged: u64,
    /// Stored values of another key.
    pub other_key: u64,
}

impl StoreCounts {
    pub(super) fn count_unusable(&mut self, reason: Unusable) {
        let counter = match reason {
            Unusable::Foreign => &mut self.foreign,
            Unusable::Version => &mut self.other_version,
            Unusable::Damaged => &mut self.damaged,
            Unusable::OtherKey => &mut self.other_key,
        };
        *counter += 1;
    }
}

const DAY_MILLIS: u64 = 86_400_000;

/// Past this many remembered writes, those whose interval is over are forgotten.
const MAX_REMEMBERED: usize = 10_000;

/// A store tier.
#[derive(Debug)]
pub struct Store {
    pub(super) settings: StoreSettings,
    /// What its shards are chosen by, beside its keys.
    pub(super) secret: Option<ShardSecret>,
    pub(super) breaker: Breaker,
    pub(super) latency: Latency,
    pub(super) counts: StoreCounts,
    /// The keys asked for of late.
    pub(super) recent: Recent,
    /// When each key was last written, for as long as its interval lasts.
    written: HashMap<StoreKey, Instant, foldhash::fast::FixedState>,
    /// Rows whose key rests, and when it may be written again.
    put_off: Vec<(Instant, StoreKey, Rc<Row>)>,
    day: u64,
    written_today: u64,
}

impl Store {
    pub(super) fn new(settings: StoreSettings, breaker: BreakerSettings) -> Store {
        Store {
            settings,
            secret: None,
            breaker: Breaker::new(breaker),
            latency: Latency::default(),
            counts: StoreCounts::default(),
            recent: Recent::default(),
            written: HashMap::default(),
            put_off: Vec::new(),
            day: 0,
            written_today: 0,
        }
    }

    /// Which tier it is.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.settings.tier
    }

    /// What the store was asked and how it fared.
    #[must_use]
    pub fn counts(&self) -> &StoreCounts {
        &self.counts
    }

    /// The store's breaker.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// How long the store takes to read.
    #[must_use]
    pub fn latency(&self) -> &Latency {
        &self.latency
    }

    pub(super) fn key_of(&self, row: &Row) -> StoreKey {
        StoreKey::new(&self.settings.key_prefix, row.schema().space(), row.entity())
    }

    /// What is for each shard.
    pub(super) fn by_shard<T>(&self, entries: Vec<(StoreKey, T)>) -> Vec<Vec<(StoreKey, T)>> {
        let shards = self.settings.shards;
        let mut parts: Vec<Vec<(StoreKey, T)>> = (0..shards).map(|_| Vec::new()).collect();
        for entry in entries {
            if let Some(part) = parts.get_mut(entry.0.shard(shards, self.secret.as_ref()) as usize) {
                part.push(entry);
            }
        }
        parts
    }

    /// The stored form of those of `rows` that may be written now. The others wait for their key's interval, or are left out.
    pub(super) fn admit(&mut self, rows: Vec<Rc<Row>>, now: Instant) -> Vec<(StoreKey, Vec<u8>)> {
        if rows.is_empty() {
            return Vec::new();
        }
        if !self.breaker.admits(now) {
            self.counts.left_out += rows.len() as u64;
            return Vec::new();
        }
        let interval = self.settings.write_interval_millis;
        if self.written.len() > MAX_REMEMBERED {
            self.written.retain(|_, &mut at| now.millis_since(at) < interval);
        }
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let key = self.key_of(&row);
            let rests_until = self.written.get(&key).map(|at| at.plus(interval)).filter(|&until| until > now);
            match rests_until {
                Some(until) => {
                    let before = self.put_off.len();
                    self.put_off.retain(|(_, waiting, _)| *waiting != key);
                    self.counts.coalesced += (before - self.put_off.len()) as u64;
                    self.put_off.push((until, key, row));
                }
                None if self.spend(now) => {
                    let stored = codec::encode(&row);
                    self.written.insert(key.clone(), now);
                    entries.push((key, stored));
                }
                None => self.counts.over_budget += 1,
            }
        }
        self.counts.puts += entries.len() as u64;
        entries
    }

    /// When the first of the rows that were put off may be written.
    pub(super) fn next_put_off(&self) -> Option<Instant> {
        self.put_off.iter().map(|&(until, ..)| until).min()
    }

    /// The rows that were put off and may be written now.
    pub(super) fn take_put_off(&mut self, now: Instant) -> Vec<Rc<Row>> {
        let mut ready = Vec::new();
        self.put_off.retain(|(until, _, row)| {
            let is_ready = *until <= now;
            if is_ready {
                ready.push(Rc::clone(row));
            }
            !is_ready
        });
        ready
    }

    fn spend(&mut self, now: Instant) -> bool {
        let day = now.0 / DAY_MILLIS;
        if day != self.day {
            self.day = day;
            self.written_today = 0;
        }
        let may = self.settings.writes_per_day.is_none_or(|most| self.written_today < most);
        self.written_today += u64::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key::{Names, Scope, Space, Subject};
    use crate::model::row::{RowBuilder, Schema};
    use crate::model::time::{EventTime, Stamp};
    use crate::model::value::{Cell, Status};

    fn row(entity: u8, value: &str) -> Rc<Row> {
        let space = Rc::new(Space::new(&Scope::project("p"), Subject::View("v"), Names::Short, &["id"]));
        let schema = Rc::new(Schema::new(space, Box::new([]), Box::new(["a".into()])).unwrap());
        let entity = [entity];
        let mut builder = RowBuilder::new(schema, &entity);
        builder.push_feature(
            value.as_bytes(),
            Cell { status: Status::Present, is_negative: false, event_time: EventTime::ZERO, fetched_at: Stamp::ZERO },
        );
        Rc::new(builder.finish())
    }

    fn store(writes_per_day: Option<u64>) -> Store {
        let settings = StoreSettings {
            tier: Tier::L2,
            key_prefix: "f".to_owned(),
            shards: 1,
            keys_per_read: 100,
            ttl_seconds: 3_600,
            timeout_millis: 500,
            write_interval_millis: 1_000,
            writes_per_day,
        };
        let breaker =
            BreakerSettings { is_enabled: true, window: 20, failure_percent: 50, open_millis: 5_000, probes: 3 };
        Store::new(settings, breaker)
    }

    #[test]
    fn a_key_is_written_once_in_its_interval_and_then_with_its_last_row() {
        let mut store = store(None);
        assert_eq!(store.admit(vec![row(1, "1"), row(2, "1")], Instant(0)).len(), 2);
        assert_eq!(store.admit(vec![row(1, "2")], Instant(300)).len(), 0);
        assert_eq!(store.admit(vec![row(1, "3")], Instant(600)).len(), 0);
        assert_eq!(store.counts.coalesced, 1);
        assert_eq!(store.next_put_off(), Some(Instant(1_000)));
        assert!(store.take_put_off(Instant(999)).is_empty());
        let ready = store.take_put_off(Instant(1_000));
        assert!(ready.len() == 1 && ready[0].has_same_content(&row(1, "3")));
        assert_eq!(store.admit(ready, Instant(1_000)).len(), 1);
        assert_eq!((store.next_put_off(), store.counts.puts), (None, 3));
    }

    #[test]
    fn a_days_budget_is_not_passed_and_is_new_the_next_day() {
        let mut store = store(Some(3));
        let rows = |from| (from..from + 5).map(|entity| row(entity, "1")).collect();
        assert_eq!(store.admit(rows(0), Instant(0)).len(), 3);
        assert_eq!((store.admit(rows(10), Instant(DAY_MILLIS - 1)).len(), store.counts.over_budget), (0, 7));
        assert_eq!(store.admit(rows(20), Instant(DAY_MILLIS)).len(), 3);
    }
}
