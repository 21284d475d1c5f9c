//! The messages of the log in bytes: a version, then postcard. Knows nothing of what an entry means. Invariant: truncated bytes, and
//! those of another version, as during a deployment, are no message.

use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

/// The version of both messages. It changes with either.
const VERSION: u8 = 1;

/// A request: an entry to append, where there is one, and the last entry that the caller knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append<'a> {
    /// The number of the last entry that the caller knows.
    pub after: u64,
    /// The epoch that the caller knows. Where it is another, the caller knows neither entries nor the clock.
    pub epoch: u64,
    /// The entry to append; empty for none.
    #[serde(with = "serde_bytes")]
    pub entry: &'a [u8],
    /// The caller's latest estimate of the log's clock, in milliseconds.
    pub at: u64,
    /// By how much that estimate may be ahead, in milliseconds.
    pub spread_millis: u64,
    /// How long any entry affects copies, in milliseconds.
    pub keep_millis: u64,
}

impl<'a> Append<'a> {
    /// The message in bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        write(self)
    }

    /// Parses a message; `None` where the bytes are none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Append<'a>> {
        read(bytes)
    }
}

/// The reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended<'a> {
    /// The log's clock, in milliseconds.
    pub clock: u64,
    /// The number of the last entry.
    pub last: u64,
    /// The number of the last entry that was dropped although it may still matter.
    pub dropped: u64,
    /// The latest time of dropped entries, in milliseconds.
    pub dropped_at: u64,
    /// The epoch; never 0.
    pub epoch: u64,
    /// The entries that the caller does not know, each with its time.
    #[serde(borrow)]
    pub entries: Vec<(u64, &'a Bytes)>,
}

impl<'a> Appended<'a> {
    /// The message in bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        write(self)
    }

    /// Parses a message; `None` where the bytes are none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Appended<'a>> {
        read(bytes).filter(|reply: &Appended<'_>| reply.epoch != 0)
    }
}

fn write<T: Serialize>(message: &T) -> Vec<u8> {
    // Writing a message cannot fail; an empty one would be no message to its reader.
    postcard::to_extend(message, vec![VERSION]).unwrap_or_default()
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let (_, message) = bytes.split_first().filter(|(version, _)| **version == VERSION)?;
    let (message, rest) = postcard::take_from_bytes(message).ok()?;
    rest.is_empty().then_some(message)
}
