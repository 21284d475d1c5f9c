//! What goes wrong by chance: tiers that are slow, that fail, that lie; all of it from one seed.

use std::collections::BTreeMap;

use service::{FetchFailure, IoResult, OriginReply, ReadFailure, WriteOutcome};

use crate::random::Random;

/// How often each thing goes wrong, in a hundred.
#[derive(Clone, Debug)]
pub(crate) struct Chaos {
    pub(crate) random: Random,
    pub(crate) store_fails: u64,
    pub(crate) store_lies: u64,
    pub(crate) origin_fails: u64,
    pub(crate) origin_lies: u64,
    pub(crate) is_slow: u64,
}

impl Chaos {
    pub(crate) fn new(seed: u64) -> Chaos {
        let mut random = Random(seed);
        let mut share = || *random.pick(&[0, 0, 5, 30, 100]);
        let (store_fails, store_lies, origin_fails, origin_lies, is_slow) =
            (share(), share().min(30), share(), share().min(30), share().min(30));
        Chaos { random, store_fails, store_lies, origin_fails, origin_lies, is_slow }
    }

    /// How long it takes, and what comes of it in the end.
    pub(crate) fn disturb(
        &mut self,
        takes: u64,
        outcome: IoResult,
        store: &BTreeMap<String, Vec<u8>>,
    ) -> (u64, IoResult) {
        let random = &mut self.random;
        let takes = match random.happens(self.is_slow) {
            true => random.below(8_000),
            false => takes + random.below(30),
        };
        let outcome = match outcome {
            IoResult::Read(_) if random.happens(self.store_fails) => {
                let is_too_large = random.happens(self.store_fails);
                IoResult::Read(Err(if is_too_large { ReadFailure::TooLarge } else { ReadFailure::Failed }))
            }
            IoResult::Read(Ok(mut values)) => {
                for value in &mut values {
                    if random.happens(self.store_lies) {
                        corrupt(random, value, store);
                    }
                }
                if random.happens(self.store_lies / 10) {
                    values.truncate(random.below(values.len() as u64 + 1) as usize);
                }
                IoResult::Read(Ok(values))
            }
            IoResult::Written(_) if random.happens(self.store_fails) => IoResult::Written(WriteOutcome::failed(1)),
            IoResult::Fetched(Ok(_)) if random.happens(self.origin_fails) => match random.below(4) {
                0 => IoResult::Fetched(Err(FetchFailure::Unreachable)),
                1 => IoResult::Fetched(Err(FetchFailure::TooLarge)),
                2 => {
                    IoResult::Fetched(Ok(OriginReply { status: 500, content_type: None, body: b"\"sorry\"".to_vec() }))
                }
                _ => IoResult::Fetched(Err(FetchFailure::TimedOut)),
            },
            IoResult::Fetched(Ok(mut reply)) if random.happens(self.origin_lies) => {
                let text = String::from_utf8(reply.body).unwrap();
                let at = random.below(text.len() as u64) as usize;
                reply.body = match random.below(5) {
                    0 => text[..at].to_owned(),
                    1 => format!("{text}]"),
                    2 => text.replacen("PRESENT", "PERHAPS", 1),
                    3 => text.replacen("\"values\":[", "\"values\":[null,", 1),
                    _ => text.replacen("\"metadata\"", "\"metamorphosis\"", 1),
                }
                .into_bytes();
                IoResult::Fetched(Ok(reply))
            }
            outcome => outcome,
        };
        (takes, outcome)
    }
}

/// What a store may hold under a key: damage, another key's row, nothing, or something that is not ours.
fn corrupt(random: &mut Random, value: &mut Option<Vec<u8>>, store: &BTreeMap<String, Vec<u8>>) {
    match (random.below(5), value.as_mut()) {
        (0, Some(bytes)) => {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        (1, Some(bytes)) => bytes.truncate(random.below(bytes.len() as u64) as usize),
        (2, _) => *value = Some(b"left by another program".to_vec()),
        (3, _) if !store.is_empty() => {
            *value = store.values().nth(random.below(store.len() as u64) as usize).cloned();
        }
        _ => *value = None,
    }
}
