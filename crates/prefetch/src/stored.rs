//! What is learned, as it is kept in a store, so that a new isolate need not begin with nothing.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | `FL`, the magic |
//! | 2 | the version of the form, 1 |
//! | 3..11 | whose it is: a name of the project |
//! | 11..19 | a checksum of what follows |
//! | 19.. | shapes with their steps, then the entities that are left most often with their successors |
//!
//! Numbers are little-endian. What cannot be read is ignored as a whole: a model is a convenience.

use model::shape::fingerprint;
use model::time::Instant;

use crate::entities::{Entities, MAX_KEY, SUCCESSORS};
use crate::patterns::Patterns;
use crate::shapes::{STEPS, Step};

const MAGIC: &[u8; 3] = b"FL\x01";
const HEADER: usize = 19;

/// The longest model, in bytes.
pub const MAX_MODEL: usize = 64 << 10;

/// What an entity takes beside its key, at the most.
const ENTITY: usize = 4 + 3 + SUCCESSORS * 5;

impl Patterns {
    /// The strongest of what is learned, for the project of that name.
    #[must_use]
    pub fn store(&self, project: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAX_MODEL);
        put(&mut out, MAGIC);
        put(&mut out, &fingerprint(project.as_bytes(), 0).to_le_bytes());
        put(&mut out, &[0; 9]);
        let mut shapes = 0;
        for (name, known) in self.shapes.iter() {
            if known.total == 0 {
                continue;
            }
            shapes += 1;
            put_words(&mut out, &[name, known.count, u32::from(known.total)]);
            for step in known.steps {
                put_words(&mut out, &[step.to, u32::from(step.weight) << 1 | u32::from(step.is_same)]);
            }
        }
        if let Some(place) = out.get_mut(HEADER) {
            *place = shapes;
        }
        if let Some(entities) = &self.entities {
            let least = least_total(entities, MAX_MODEL - out.len());
            for (name, entity) in entities.iter() {
                if entity.total() < least || out.len() + ENTITY + MAX_KEY > MAX_MODEL {
                    continue;
                }
                put_words(&mut out, &[name]);
                put(&mut out, &[entity.kind(), entity.total(), entity.key().len() as u8]);
                put(&mut out, entity.key());
                let (next, weights) = entity.edges();
                put_words(&mut out, next);
                put(&mut out, weights);
            }
        }
        let checksum = fingerprint(out.get(HEADER..).unwrap_or_default(), 0).to_le_bytes();
        if let Some(place) = out.get_mut(11..HEADER) {
            place.copy_from_slice(&checksum);
        }
        out
    }

    /// Takes over what another isolate stored, where nothing is known here; whether it could be read.
    pub fn restore(&mut self, bytes: &[u8], project: &str, now: Instant) -> bool {
        let Some((header, model)) = bytes.split_at_checked(HEADER).filter(|_| bytes.len() <= MAX_MODEL) else {
            return false;
        };
        let is_ours = header.get(..3) == Some(MAGIC.as_slice())
            && header.get(3..11) == Some(fingerprint(project.as_bytes(), 0).to_le_bytes().as_slice())
            && header.get(11..) == Some(fingerprint(model, 0).to_le_bytes().as_slice());
        is_ours && {
            self.settle_in();
            self.adopt(model, now).is_some()
        }
    }

    fn adopt(&mut self, model: &[u8], now: Instant) -> Option<()> {
        let stamp = self.stamp(now);
        let mut reader = Reader(model);
        for _ in 0..reader.byte()? {
            let (name, count, total) = (reader.word()?, reader.word()?, reader.word()?);
            let mut steps = [Step::default(); STEPS];
            for step in &mut steps {
                let (to, weight) = (reader.word()?, reader.word()?);
                *step = Step { to, weight: (weight >> 1) as u16, is_same: weight & 1 == 1 };
            }
            self.shapes.adopt(name, count, total as u16, steps, stamp);
        }
        let entities = self.entities.as_mut()?;
        while !reader.0.is_empty() {
            let (name, kind, total, length) = (reader.word()?, reader.byte()?, reader.byte()?, reader.byte()?);
            let key = reader.take(usize::from(length))?;
            let mut next = [0; SUCCESSORS];
            for name in &mut next {
                *name = reader.word()?;
            }
            let weights = reader.take(SUCCESSORS)?.try_into().ok()?;
            entities.adopt(name, kind, key, total, (next, weights), stamp);
        }
        Some(())
    }
}

#[inline(never)]
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

fn put_words(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        put(out, &word.to_le_bytes());
    }
}

/// From which total on all entities go into so many bytes.
fn least_total(entities: &Entities, bytes: usize) -> u8 {
    let mut sizes = [0_usize; 256];
    for (_, entity) in entities.iter() {
        if let Some(size) = sizes.get_mut(usize::from(entity.total())) {
            *size += ENTITY + entity.key().len();
        }
    }
    let mut left = bytes;
    for total in (1..=u8::MAX).rev() {
        let size = sizes.get(usize::from(total)).copied().unwrap_or_default();
        if size > left {
            // As much of it goes in as does.
            return total;
        }
        left -= size;
    }
    1
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn word(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patterns::{Entity, Settings};
    use model::shape::{Shape, short};

    fn learner() -> Patterns {
        Patterns::new(Settings { memory_bytes: 2 << 20, half_life_millis: 3_600_000, predictions: 5, related: 3 })
    }

    fn entity(id: &u32) -> u32 {
        short(fingerprint(&id.to_le_bytes(), 0))
    }

    fn shape() -> Shape {
        Shape { name: 512, columns: 7, features: vec![1], carriers: vec![0] }
    }

    fn taught(entities: u32) -> Patterns {
        let mut patterns = learner();
        for round in 0..entities * 3 {
            let id = round % entities;
            let one = [Entity { name: entity(&id), key: &id.to_le_bytes() }];
            patterns.observe(5, &shape(), &one, Instant(1_000_000));
        }
        patterns
    }

    fn successor(patterns: &mut Patterns, id: u32) -> Option<u32> {
        let one = [Entity { name: entity(&id), key: &id.to_le_bytes() }];
        patterns.observe(99, &shape(), &one, Instant(1_000_000));
        patterns.predict(&shape(), &one).as_slice().first().map(|found| found.entity)
    }

    #[test]
    fn a_new_isolate_knows_what_another_has_learned() {
        let stored = taught(100).store("p");
        let mut fresh = learner();
        assert!(fresh.restore(&stored, "p", Instant(1_000_000)));
        assert!((0..100).all(|id| successor(&mut fresh, id) == Some(entity(&((id + 1) % 100)))));
        assert!((0..100).all(|id| fresh.key(entity(&id)) == Some(&id.to_le_bytes())));
    }

    #[test]
    fn a_model_stays_within_its_bound() {
        let stored = taught(20_000).store("p");
        assert!((MAX_MODEL / 2..=MAX_MODEL).contains(&stored.len()), "{}", stored.len());
        assert!(learner().restore(&stored, "p", Instant(1_000_000)));
    }

    #[test]
    fn what_is_damaged_foreign_or_of_another_version_is_ignored() {
        let stored = taught(10).store("p");
        let mut fresh = learner();
        assert!(!fresh.restore(&stored, "q", Instant(0)));
        assert!(!fresh.restore(b"", "p", Instant(0)));
        for at in 0..stored.len() {
            let mut damaged = stored.clone();
            damaged[at] ^= 1;
            assert!(!fresh.restore(&damaged, "p", Instant(0)), "byte {at}");
            assert!(!fresh.restore(&stored[..at], "p", Instant(0)), "cut at {at}");
        }
        assert_eq!(fresh.key(entity(&1)), None);
    }

    #[test]
    fn what_is_known_here_is_not_replaced() {
        let stored = taught(10).store("p");
        let mut own = learner();
        for id in [1_u32, 9, 1, 9, 1, 9] {
            let one = [Entity { name: entity(&id), key: &id.to_le_bytes() }];
            own.observe(5, &shape(), &one, Instant(1_000_000));
        }
        assert!(own.restore(&stored, "p", Instant(1_000_000)));
        assert_eq!(successor(&mut own, 1), Some(entity(&9)));
        assert_eq!(successor(&mut own, 4), Some(entity(&5)));
    }

    fn compat(version: &str) -> std::path::PathBuf {
        std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/compat")
            .join(format!("{version}-learned.txt"))
    }

    #[test]
    fn what_version_0_1_0_had_learned_is_known() {
        let text = std::fs::read_to_string(compat("0.1.0")).unwrap();
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
        let pairs = text.trim().as_bytes().chunks_exact(2);
        let stored: Vec<u8> = pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        let mut fresh = learner();
        assert!(fresh.restore(&stored, "p", Instant(1_000_000)));
        assert!((0..30).all(|id| successor(&mut fresh, id) == Some(entity(&((id + 1) % 30)))));
        assert!((0..30).all(|id| fresh.key(entity(&id)) == Some(&id.to_le_bytes())));
    }

    #[test]
    #[ignore = "it writes the file of a version that is to be released"]
    fn leave_learned_bytes() {
        let digits: String = taught(30).store("p").iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(compat(env!("CARGO_PKG_VERSION")), digits + "\n").unwrap();
    }
}
