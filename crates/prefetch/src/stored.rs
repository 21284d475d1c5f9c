//! What is learned, as it is kept in a store, so that a new isolate need not begin with nothing.
//!
//! It is a [`Header`] with [`Shape`]s and the [`Entity`]s that are left most often, in postcard's wire format. What cannot be read, or
//! is of another version, is ignored as a whole: a model is a convenience.

use serde::{Deserialize, Serialize};

use model::shape::fingerprint;
use model::time::Timestamp;

use crate::entities::{Entities, MAX_KEY, SUCCESSORS};
use crate::patterns::Patterns;
use crate::shapes::{STEPS, Step};

/// The magic, and the version of the form.
const MAGIC: [u8; 3] = *b"FL\x02";

/// The longest model, in bytes.
pub const MAX_MODEL: usize = 64 << 10;

/// What stands before the model takes so much.
const HEADER: usize = 3 + 8 + 8;

/// What an entity takes beside its key.
const ENTITY: usize = 4 + 3 + SUCCESSORS * 5;

/// What their number takes, at the most.
const COUNT: usize = 3;

/// What stands before the model.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    magic: [u8; 3],
    /// Whose it is: a name of the project.
    #[serde(with = "postcard::fixint::le")]
    project: u64,
    #[serde(with = "postcard::fixint::le")]
    checksum: u64,
}

impl Header {
    fn of(project: &str, model: &[u8]) -> Header {
        Header { magic: MAGIC, project: fingerprint(project.as_bytes(), 0), checksum: fingerprint(model, 0) }
    }
}

/// A shape with its steps.
#[derive(Debug, Serialize, Deserialize)]
struct Shape {
    name: u32,
    count: u32,
    total: u16,
    steps: [Step; STEPS],
}

/// An entity with its successors.
#[derive(Debug, Serialize, Deserialize)]
struct Entity<'a> {
    name: Name,
    kind: u8,
    total: u8,
    key: &'a [u8],
    next: [Name; SUCCESSORS],
    weights: [u8; SUCCESSORS],
}

/// An entity's name is a hash, which has no shorter form.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Name(#[serde(with = "postcard::fixint::le")] u32);

impl Patterns {
    /// The strongest of what is learned, for the project of that name.
    #[must_use]
    pub fn store(&self, project: &str) -> Vec<u8> {
        let known = self.shapes.iter().filter(|(_, known)| known.total > 0);
        let shapes: Vec<Shape> = known
            .map(|(name, known)| Shape { name, count: known.count, total: known.total, steps: known.steps })
            .collect();
        let mut model = postcard::to_allocvec(&shapes).unwrap_or_default();
        let mut left = MAX_MODEL - HEADER - COUNT - model.len();
        let least = self.entities.as_ref().map_or(0, |entities| least_total(entities, left));
        let mut entities = Vec::new();
        for (name, entity) in self.entities.iter().flat_map(Entities::iter) {
            if entity.total() < least || left < ENTITY + MAX_KEY {
                continue;
            }
            left -= ENTITY + entity.key().len();
            let (next, weights) = entity.edges();
            entities.push(Entity {
                name: Name(name),
                kind: entity.kind(),
                total: entity.total(),
                key: entity.key(),
                next: next.map(Name),
                weights: *weights,
            });
        }
        model = postcard::to_extend(&entities, model).unwrap_or_default();
        let out = postcard::to_extend(&Header::of(project, &model), Vec::with_capacity(MAX_MODEL));
        let mut out = out.unwrap_or_default();
        out.append(&mut model);
        out
    }

    /// Takes over what another isolate stored, where nothing is known here; whether it could be read.
    pub fn restore(&mut self, bytes: &[u8], project: &str, now: Timestamp) -> bool {
        self.adopt(bytes, project, now).is_some()
    }

    fn adopt(&mut self, bytes: &[u8], project: &str, now: Timestamp) -> Option<()> {
        let bytes = Some(bytes).filter(|bytes| bytes.len() <= MAX_MODEL)?;
        let (header, model) = postcard::take_from_bytes::<Header>(bytes).ok()?;
        if header != Header::of(project, model) {
            return None;
        }
        let (model, rest): ((Vec<Shape>, Vec<Entity<'_>>), _) = postcard::take_from_bytes(model).ok()?;
        if !rest.is_empty() {
            return None;
        }
        self.settle_in();
        let (stamp, (shapes, stored)) = (self.stamp(now), model);
        for Shape { name, count, total, steps } in shapes {
            self.shapes.adopt(name, count, total, steps, stamp);
        }
        let entities = self.entities.as_mut()?;
        for Entity { name: Name(name), kind, total, key, next, weights } in stored {
            entities.adopt(name, kind, key, total, (next.map(|Name(name)| name), weights), stamp);
        }
        Some(())
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

#[cfg(test)]
mod tests {
    use super::{
        Entity as StoredEntity, HEADER, Header, MAX_MODEL, Name, STEPS, SUCCESSORS, Shape as StoredShape, Step,
    };
    use crate::patterns::{Entity, Patterns, Settings};
    use model::shape::{RequestShape, fingerprint, short_fingerprint};
    use model::time::Timestamp;

    fn learner() -> Patterns {
        Patterns::new(Settings { memory_bytes: 2 << 20, half_life_millis: 3_600_000, predictions: 5, related: 3 })
    }

    fn entity(id: &u32) -> u32 {
        short_fingerprint(fingerprint(&id.to_le_bytes(), 0))
    }

    fn shape() -> RequestShape {
        RequestShape { name: 512, columns: 7, features: vec![1], key_views: vec![0] }
    }

    fn taught(entities: u32) -> Patterns {
        let mut patterns = learner();
        for round in 0..entities * 3 {
            let id = round % entities;
            let one = [Entity { name: entity(&id), key: &id.to_le_bytes() }];
            patterns.observe(5, &shape(), &one, Timestamp(1_000_000));
        }
        patterns
    }

    fn successor(patterns: &mut Patterns, id: u32) -> Option<u32> {
        let one = [Entity { name: entity(&id), key: &id.to_le_bytes() }];
        patterns.observe(99, &shape(), &one, Timestamp(1_000_000));
        patterns.predict(&shape(), &one).as_slice().first().map(|found| found.entity)
    }

    #[test]
    fn a_new_isolate_knows_what_another_has_learned() {
        let stored = taught(100).store("p");
        let mut fresh = learner();
        assert!(fresh.restore(&stored, "p", Timestamp(1_000_000)));
        assert!((0..100).all(|id| successor(&mut fresh, id) == Some(entity(&((id + 1) % 100)))));
        assert!((0..100).all(|id| fresh.key(entity(&id)) == Some(&id.to_le_bytes())));
    }

    #[test]
    fn a_model_stays_within_its_bound() {
        let stored = taught(20_000).store("p");
        assert!((MAX_MODEL / 2..=MAX_MODEL).contains(&stored.len()), "{}", stored.len());
        assert!(learner().restore(&stored, "p", Timestamp(1_000_000)));
    }

    #[test]
    fn what_is_damaged_foreign_or_of_another_version_is_ignored() {
        let stored = taught(10).store("p");
        let mut fresh = learner();
        assert!(!fresh.restore(&stored, "q", Timestamp(0)));
        assert!(!fresh.restore(b"", "p", Timestamp(0)));
        for at in 0..stored.len() {
            let mut damaged = stored.clone();
            damaged[at] ^= 1;
            assert!(!fresh.restore(&damaged, "p", Timestamp(0)), "byte {at}");
            assert!(!fresh.restore(&stored[..at], "p", Timestamp(0)), "cut at {at}");
        }
        assert_eq!(fresh.key(entity(&1)), None);
    }

    #[test]
    fn what_is_known_here_is_not_replaced() {
        let stored = taught(10).store("p");
        let mut own = learner();
        for id in [1_u32, 9, 1, 9, 1, 9] {
            let one = [Entity { name: entity(&id), key: &id.to_le_bytes() }];
            own.observe(5, &shape(), &one, Timestamp(1_000_000));
        }
        assert!(own.restore(&stored, "p", Timestamp(1_000_000)));
        assert_eq!(successor(&mut own, 1), Some(entity(&9)));
        assert_eq!(successor(&mut own, 4), Some(entity(&5)));
    }

    fn compat(version: &str) -> std::path::PathBuf {
        std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/compat")
            .join(format!("{version}-learned.txt"))
    }

    #[test]
    fn what_version_0_1_0_had_learned_is_passed_over() {
        let text = std::fs::read_to_string(compat("0.1.0")).unwrap();
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
        let pairs = text.trim().as_bytes().chunks_exact(2);
        let stored: Vec<u8> = pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        let mut fresh = learner();
        assert!(stored.starts_with(b"FL\x01") && !fresh.restore(&stored, "p", Timestamp(1_000_000)));
        assert_eq!(fresh.key(entity(&1)), None);
    }

    /// A forger's: the checksum is right.
    fn sealed(model: &[u8]) -> Vec<u8> {
        [&postcard::to_allocvec(&Header::of("p", model)).unwrap(), model].concat()
    }

    #[test]
    fn a_forged_byte_anywhere_costs_no_more_than_the_model() {
        let model = &taught(4).store("p")[HEADER..];
        for at in 0..model.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut forged = model.to_vec();
                forged[at] = byte;
                let mut fresh = learner();
                fresh.restore(&sealed(&forged), "p", Timestamp(1_000_000));
                (0..4).for_each(|id| _ = successor(&mut fresh, id));
            }
            assert!(!learner().restore(&sealed(&model[..at]), "p", Timestamp(0)), "cut at {at}");
        }
        assert!(!learner().restore(&sealed(&[model, &[0]].concat()), "p", Timestamp(0)));
    }

    #[test]
    fn the_highest_counts_overflow_nothing() {
        let step = |to| Step { to, weight: u16::MAX, is_same: false };
        let shapes: Vec<_> = (1..=200)
            .map(|name| StoredShape { name, count: u32::MAX, total: 1, steps: [step(name % 200 + 1); STEPS] })
            .collect();
        let key = 1_u32.to_le_bytes();
        let one = StoredEntity {
            name: Name(entity(&1)),
            kind: 7,
            total: 1,
            key: &key,
            next: [Name(entity(&2)); SUCCESSORS],
            weights: [u8::MAX; SUCCESSORS],
        };
        let mut fresh = learner();
        assert!(fresh.restore(
            &sealed(&postcard::to_allocvec(&(shapes, [one].as_slice())).unwrap()),
            "p",
            Timestamp(0)
        ));
        for name in (1..=200).cycle().take(4_000) {
            let shape = RequestShape { name, columns: 7, features: vec![name, 1], key_views: vec![0] };
            let one = [Entity { name: entity(&1), key: &key }];
            fresh.observe(5, &shape, &one, Timestamp(1_000_000));
            fresh.predict(&shape, &one);
        }
    }

    #[test]
    #[ignore = "it writes the file of a version that is to be released"]
    fn leave_learned_bytes() {
        let digits: String = taught(30).store("p").iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(compat(env!("CARGO_PKG_VERSION")), digits + "\n").unwrap();
    }
}
