//! A shard of the storage tier (L3): what it is asked and answers, and what it decides: until when an entry lives, when it is looked for what
//! has expired, and how much makes room.
//!
//! It knows neither what a value means nor where entries are stored. Invariants: what has expired is not served, be it swept or not; a shard
//! past its bound is emptied by what expires first. In bytes, a message is a version, and behind it postcard; bytes that are not whole, or of
//! another version, as in the middle of a deployment, are no message.

use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

/// The least time between two looks for what has expired, in milliseconds: each look reads every row's head.
const MIN_SWEEP_MILLIS: u64 = 600_000;

/// How far a shard that is full is emptied, so that the next write does not find it full again.
const FILL: f64 = 0.9;

/// The version of all messages. It changes with any of them.
const VERSION: u8 = 1;

/// Asks for values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read<'a> {
    /// Under which keys.
    #[serde(borrow)]
    pub keys: Vec<&'a str>,
}

/// What a read gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values<'a> {
    /// For each key its value, where there is one.
    #[serde(borrow)]
    pub values: Vec<Option<&'a Bytes>>,
}

/// Has values written under keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write<'a> {
    /// Each key with its value.
    #[serde(borrow)]
    pub entries: Vec<(&'a str, &'a Bytes)>,
    /// How long they live, in milliseconds.
    pub ttl_millis: u64,
    /// What the shard may take in all; past it, what expires first makes room.
    pub max_bytes: u64,
}

/// What a write gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// How many entries could not be written.
    pub failed: u64,
}

impl Write<'_> {
    /// Until when what is written at `now` lives.
    #[must_use]
    pub fn expires_at(&self, now: u64) -> u64 {
        now.saturating_add(self.ttl_millis)
    }

    /// When it is first looked for what has expired, after a write at `now`.
    #[must_use]
    pub fn sweep_at(&self, now: u64) -> u64 {
        now.saturating_add(self.ttl_millis.max(MIN_SWEEP_MILLIS))
    }

    /// Whether a shard that takes `size` bytes in all is past its bound.
    #[must_use]
    pub fn is_full(&self, size: u64) -> bool {
        size > self.max_bytes
    }

    /// How many of a shard's entries make room where it is full: as large a part of them as of the bytes, since nobody knows how many bytes
    /// each has.
    #[must_use]
    pub fn evicted(&self, entries: u64, size: u64) -> u64 {
        let kept = FILL * self.max_bytes as f64 / size as f64;
        (entries as f64 * (1.0 - kept)).ceil() as u64
    }
}

/// When it is looked next, after a look at `now` that has left entries of which the first expires at `next`.
#[must_use]
pub fn next_sweep_at(next: u64, now: u64) -> u64 {
    next.max(now.saturating_add(MIN_SWEEP_MILLIS))
}

/// A message in bytes.
#[must_use]
pub fn to_bytes<T: Serialize>(message: &T) -> Vec<u8> {
    // Nothing in a message can fail to be written; were it so, nobody would understand what is empty.
    postcard::to_extend(message, vec![VERSION]).unwrap_or_default()
}

/// The message that these bytes are; `None` where they are none.
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
    fn an_entry_lives_as_long_as_it_is_told_and_no_time_is_too_long() {
        assert_eq!(write(50, 0).expires_at(1_000), 1_050);
        assert_eq!(write(u64::MAX, 0).expires_at(1_000), u64::MAX);
    }

    #[test]
    fn it_is_looked_for_what_has_expired_once_something_has_and_not_too_often() {
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
    fn messages_are_read_as_they_were_written_and_in_no_part() {
        fn check<'a, T: Serialize + Deserialize<'a> + PartialEq + core::fmt::Debug>(bytes: &'a [u8], message: &T) {
            assert_eq!(read::<T>(bytes).as_ref(), Some(message));
            for length in 0..bytes.len() {
                assert_eq!(read::<T>(&bytes[..length]), None, "{length} bytes of {message:?}");
            }
        }
        let value = Bytes::new(&[7, 0, 255]);
        let asked = Read { keys: vec!["features:a", ""] };
        let values = Values { values: vec![Some(value), None, Some(Bytes::new(b""))] };
        let written =
            Write { entries: vec![("a", value), ("b", Bytes::new(b""))], ttl_millis: 300, max_bytes: 1 << 30 };
        check(&to_bytes(&asked), &asked);
        check(&to_bytes(&values), &values);
        check(&to_bytes(&written), &written);
        check(&to_bytes(&Written { failed: 3 }), &Written { failed: 3 });
        let bytes = to_bytes(&asked);
        assert_eq!(read::<Read<'_>>(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(read::<Read<'_>>(&[&[2], &bytes[1..]].concat()), None, "another version");
        assert_eq!(bytes, b"\x01\x02\x0afeatures:a\x00");
        assert_eq!(to_bytes(&values), b"\x01\x03\x01\x03\x07\x00\xff\x00\x01\x00");
    }

    #[test]
    fn no_bytes_are_too_much_for_who_reads_them() {
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
