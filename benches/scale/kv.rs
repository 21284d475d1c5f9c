//! A model of Workers KV as documented: an eventually consistent central store, and a cache in each location.
//!
//! A location reads its cache, which also caches missing values, and after expiry the central store. A write is visible at once to the
//! location that made it, and to others after a delay of its own. A key accepts one write a second. It knows nothing of the values.
//! Invariant: a location never reads an older write than it has read since its cache expired.

use std::collections::HashMap;
use std::rc::Rc;

/// The shortest interval between writes of a key, in milliseconds.
const WRITE_INTERVAL_MILLIS: u64 = 1_000;
/// How often expired cache entries are dropped, in milliseconds.
const SWEEP_MILLIS: u64 = 60_000;

/// A stored value.
#[derive(Clone, Debug)]
struct Stored {
    value: Rc<[u8]>,
    expires_at: u64,
}

/// A write in the central store.
#[derive(Debug)]
struct Version {
    by: u16,
    written_at: u64,
    /// From when it is visible everywhere.
    seen_at: u64,
    stored: Stored,
}

/// A cache entry of a location.
#[derive(Debug)]
struct Cached {
    until: u64,
    stored: Option<Stored>,
}

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The value, if there is one.
    pub value: Option<Rc<[u8]>>,
    /// Whether it came from the location's cache.
    pub is_hot: bool,
}

/// The store.
#[derive(Debug)]
pub struct Kv {
    cache_millis: u64,
    central: HashMap<u32, Vec<Version>>,
    cached: HashMap<(u16, u32), Cached>,
    sweep_at: u64,
}

impl Kv {
    /// A store whose locations cache reads for so long.
    #[must_use]
    pub fn new(cache_millis: u64) -> Kv {
        Kv { cache_millis, central: HashMap::new(), cached: HashMap::new(), sweep_at: 0 }
    }

    /// Reads a key in a location at `now`.
    pub fn read(&mut self, location: u16, key: u32, now: u64) -> Read {
        if now >= self.sweep_at {
            self.cached.retain(|_, cached| cached.until > now);
            self.sweep_at = now + SWEEP_MILLIS;
        }
        let alive = |stored: Option<&Stored>| {
            stored.filter(|stored| stored.expires_at > now).map(|stored| Rc::clone(&stored.value))
        };
        if let Some(cached) = self.cached.get(&(location, key)).filter(|cached| cached.until > now) {
            return Read { value: alive(cached.stored.as_ref()), is_hot: true };
        }
        let versions = self.central.get(&key).map(Vec::as_slice).unwrap_or_default();
        let seen = versions.iter().rev().find(|version| version.by == location || version.seen_at <= now);
        let stored = seen.map(|version| version.stored.clone());
        let value = alive(stored.as_ref());
        self.cached.insert((location, key), Cached { until: now + self.cache_millis, stored });
        Read { value, is_hot: false }
    }

    /// Writes a key from a location at `now`, visible to others after `delay_millis`. Whether the key accepted it.
    pub fn write(
        &mut self,
        location: u16,
        key: u32,
        value: Vec<u8>,
        ttl_millis: u64,
        delay_millis: u64,
        now: u64,
    ) -> bool {
        let versions = self.central.entry(key).or_default();
        if versions.last().is_some_and(|last| now < last.written_at + WRITE_INTERVAL_MILLIS) {
            return false;
        }
        let stored = Stored { value: value.into(), expires_at: now + ttl_millis };
        self.cached.insert((location, key), Cached { until: now + self.cache_millis, stored: Some(stored.clone()) });
        // Versions older than one that is visible everywhere are unreachable.
        let settled = versions.iter().rposition(|version| version.seen_at <= now).unwrap_or_default();
        versions.drain(..settled);
        versions.push(Version { by: location, written_at: now, seen_at: now + delay_millis, stored });
        true
    }
}
