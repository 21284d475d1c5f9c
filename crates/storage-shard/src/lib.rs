//! A shard of the storage tier (L3): its messages, and its decisions: when an entry expires, when expired entries are removed, and how
//! many are evicted.
//!
//! It knows neither what a value means nor where entries are stored. Invariants: an expired entry is never served, removed or not; a
//! shard past its bound evicts what expires first. A message is a version, then postcard; truncated bytes, and those of another
//! version, as during a deployment, are no message.
//!
//! ```
//! use featheredge_storage_shard::{Read, Write, read, to_bytes};
//!
//! let bytes = to_bytes(&Read { keys: vec!["features:1001"] });
//! assert_eq!(read::<Read>(&bytes).map(|read| read.keys), Some(vec!["features:1001"]));
//! assert_eq!(read::<Read>(&bytes[1..]), None);
//!
//! let write = Write { entries: Vec::new(), ttl_millis: 300_000, max_bytes: 1 << 30 };
//! assert_eq!(write.expires_at(1_000), 301_000);
//! assert!(!write.is_full(1 << 20));
//! ```

use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

/// The least time between two sweeps, in milliseconds: each reads the head of every row.
const MIN_SWEEP_MILLIS: u64 = 600_000;

/// To which share of its bound a full shard is emptied, so that it is not full again at the next write.
const FILL: f64 = 0.9;

/// The version of all messages. It changes with each of them.
const VERSION: u8 = 1;

/// A request for values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read<'a> {
    /// Their keys.
    #[serde(borrow)]
    pub keys: Vec<&'a str>,
}

/// The reply to a [`Read`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values<'a> {
    /// The value of each key, where there is one.
    #[serde(borrow)]
    pub values: Vec<Option<&'a Bytes>>,
}

/// A request to write values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write<'a> {
    /// Each key with its value.
    #[serde(borrow)]
    pub entries: Vec<(&'a str, &'a Bytes)>,
    /// Their TTL, in milliseconds.
    pub ttl_millis: u64,
    /// The bound of the shard; past it, what expires first is evicted.
    pub max_bytes: u64,
}

/// The reply to a [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// How many entries could not be written.
    pub failed: u64,
}

impl Write<'_> {
    /// When an entry that is written at `now` expires.
    #[must_use]
    pub fn expires_at(&self, now: u64) -> u64 {
        now.saturating_add(self.ttl_millis)
    }

    /// When the first sweep is due, after a write at `now`.
    #[must_use]
    pub fn sweep_at(&self, now: u64) -> u64 {
        now.saturating_add(self.ttl_millis.max(MIN_SWEEP_MILLIS))
    }

    /// Whether a shard of `size` bytes exceeds its bound.
    #[must_use]
    pub fn is_full(&self, size: u64) -> bool {
        size > self.max_bytes
    }

    /// How many entries of a full shard are evicted: the same share as of the bytes, since the size of each is unknown.
    #[must_use]
    pub fn evicted(&self, entries: u64, size: u64) -> u64 {
        let kept = FILL * self.max_bytes as f64 / size as f64;
        (entries as f64 * (1.0 - kept)).ceil() as u64
    }
}

/// When the next sweep is due, after one at `now`; `next` is when the next entry expires.
#[must_use]
pub fn next_sweep_at(next: u64, now: u64) -> u64 {
    next.max(now.saturating_add(MIN_SWEEP_MILLIS))
}

/// A message in bytes.
#[must_use]
pub fn to_bytes<T: Serialize>(message: &T) -> Vec<u8> {
    // Writing a message cannot fail; an empty one would be no message to its reader.
    postcard::to_extend(message, vec![VERSION]).unwrap_or_default()
}

/// Parses a message; `None` where the bytes are none.
#[must_use]
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let (_, message) = bytes.split_first().filter(|(version, _)| **version == VERSION)?;
    let (message, rest) = postcard::take_from_bytes(message).ok()?;
    rest.is_empty().then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(ttl_millis: u64, max_bytes: u64) -> Write<'static> {
        Write { entries: Vec::new(), ttl_millis, max_bytes }
    }

    #[test]
    fn an_entry_expires_after_its_ttl_however_long() {
        assert_eq!(write(50, 0).expires_at(1_000), 1_050);
        assert_eq!(write(u64::MAX, 0).expires_at(1_000), u64::MAX);
    }

    #[test]
    fn sweeps_are_due_once_something_has_expired_and_not_too_often() {
        assert_eq!(write(50, 0).sweep_at(1_000), 601_000);
        assert_eq!(write(86_400_000, 0).sweep_at(1_000), 86_401_000);
        assert_eq!(write(u64::MAX, 0).sweep_at(1_000), u64::MAX);
        assert_eq!(next_sweep_at(700_000, 1_000), 700_000);
        assert_eq!(next_sweep_at(1_001, 1_000), 601_000);
    }

    #[test]
    fn a_full_shard_is_emptied_to_nine_tenths_by_whole_entries() {
        let shard = write(0, 1_000);
        assert_eq!([0, 1_000, 1_001].map(|size| shard.is_full(size)), [false, false, true]);
        // 900 of 1001 bytes may stay, as may so many of the entries.
        for (entries, size, evicted) in
            [(1_000, 1_001, 101), (1, 1_001, 1), (10, 2_000, 6), (0, 1_001, 0), (10, 900, 0)]
        {
            assert_eq!(shard.evicted(entries, size), evicted, "{entries} in {size} bytes");
        }
        assert_eq!((write(0, 0).evicted(7, 10), write(0, 0).evicted(7, 0)), (7, 0));
    }

    #[test]
    fn messages_round_trip_and_truncated_ones_are_rejected() {
        fn check<'a, T: Serialize + Deserialize<'a> + PartialEq + core::fmt::Debug>(bytes: &'a [u8], message: &T) {
            assert_eq!(read::<T>(bytes).as_ref(), Some(message));
            for length in 0..bytes.len() {
                assert_eq!(read::<T>(&bytes[..length]), None, "{length} bytes of {message:?}");
            }
        }
        let value = Bytes::new(&[7, 0, 255]);
        let request = Read { keys: vec!["features:a", ""] };
        let values = Values { values: vec![Some(value), None, Some(Bytes::new(b""))] };
        let written =
            Write { entries: vec![("a", value), ("b", Bytes::new(b""))], ttl_millis: 300, max_bytes: 1 << 30 };
        check(&to_bytes(&request), &request);
        check(&to_bytes(&values), &values);
        check(&to_bytes(&written), &written);
        check(&to_bytes(&Written { failed: 3 }), &Written { failed: 3 });
        let bytes = to_bytes(&request);
        assert_eq!(read::<Read<'_>>(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(read::<Read<'_>>(&[&[2], &bytes[1..]].concat()), None, "another version");
        assert_eq!(bytes, b"\x01\x02\x0afeatures:a\x00");
        assert_eq!(to_bytes(&values), b"\x01\x03\x01\x03\x07\x00\xff\x00\x01\x00");
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        let mut state = 1_u64;
        for round in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let mut bytes = vec![VERSION];
            bytes.extend((0..round % 48).map(|at| (state >> (at % 57)) as u8));
            let _ = (read::<Read<'_>>(&bytes), read::<Values<'_>>(&bytes), read::<Written>(&bytes));
            if let Some(write) = read::<Write<'_>>(&bytes) {
                assert!(write.evicted(state, state) <= state, "{write:?}");
                assert!(write.sweep_at(state) >= write.expires_at(state));
            }
        }
    }
}
