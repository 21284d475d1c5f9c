//! What is told to the log and what it answers, in bytes: a version, and behind it postcard. Invariant: bytes that are not whole, or of
//! another version, as in the middle of a deployment, are no message.

use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

/// The version of both messages. It changes with either.
const VERSION: u8 = 1;

/// A call: marks to keep, where there are any, and from where on others are to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append<'a> {
    /// The number of the last mark that the caller knows.
    pub after: u64,
    /// Which log the caller has heard that from; where that is not this one, it knows neither marks nor the clock.
    pub epoch: u64,
    /// What to keep; empty for nothing.
    #[serde(with = "serde_bytes")]
    pub marks: &'a [u8],
    /// The latest that the log's clock can show, as the caller knows it, in milliseconds.
    pub at: u64,
    /// By how much that may be too late.
    pub spread_millis: u64,
    /// How long any mark needs to be kept.
    pub keep_millis: u64,
}

impl<'a> Append<'a> {
    /// The message in bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        write(self)
    }

    /// The message that these bytes are; `None` where they are none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Append<'a>> {
        read(bytes)
    }
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended<'a> {
    /// What the log's clock showed, in milliseconds.
    pub clock: u64,
    /// The number of the last mark.
    pub last: u64,
    /// The number and the time of the last mark that the log has no more, though it may matter.
    pub dropped: u64,
    /// See `dropped`.
    pub dropped_at: u64,
    /// Which log it is; never 0.
    pub epoch: u64,
    /// The marks that the caller does not know: when each was written, and itself.
    #[serde(borrow)]
    pub marks: Vec<(u64, &'a Bytes)>,
}

impl<'a> Appended<'a> {
    /// The message in bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        write(self)
    }

    /// The message that these bytes are; `None` where they are none.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Appended<'a>> {
        read(bytes).filter(|answer: &Appended<'_>| answer.epoch != 0)
    }
}

fn write<T: Serialize>(message: &T) -> Vec<u8> {
    // Nothing in a message can fail to be written; were it so, nobody would understand what is empty.
    postcard::to_extend(message, vec![VERSION]).unwrap_or_default()
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let (_, message) = bytes.split_first().filter(|(version, _)| **version == VERSION)?;
    let (message, rest) = postcard::take_from_bytes(message).ok()?;
    rest.is_empty().then_some(message)
}
