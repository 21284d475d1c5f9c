//! The persisted model: the strongest patterns in a store, so that a new isolate does not begin untrained.
//!
//! It is a [`Header`] with [`StoredShape`]s and the [`StoredEntity`]s with the most transitions, in postcard's wire format. A damaged model, or
//! one of another version, is ignored as a whole: a model is an optimization.

use serde::{Deserialize, Serialize};

use model::shape::fingerprint;
use model::time::Timestamp;

use crate::entities::{Entities, MAX_KEY, SUCCESSORS};
use crate::patterns::Patterns;
use crate::request_shapes::{NEXT_SHAPES, NextShape};

/// The magic number; its last byte is the version of the format.
const MAGIC: [u8; 3] = *b"FL\x02";

/// The longest model, in bytes.
pub const MAX_MODEL: usize = 64 << 10;

/// The size of the header.
const HEADER: usize = 3 + 8 + 8;

/// The size of an entity without its key.
const ENTITY: usize = 4 + 3 + SUCCESSORS * 5;

/// The most bytes of the entities' count.
const COUNT: usize = 3;

/// Precedes the model.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    magic: [u8; 3],
    /// A hash of the project's name.
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

/// A shape with its next shapes.
#[derive(Debug, Serialize, Deserialize)]
struct StoredShape {
    name: u32,
    count: u32,
    total: u16,
    next_shapes: [NextShape; NEXT_SHAPES],
}

/// An entity with its successors.
#[derive(Debug, Serialize, Deserialize)]
struct StoredEntity<'a> {
    name: Name,
    kind: u8,
    total: u8,
    key: &'a [u8],
    next: [Name; SUCCESSORS],
    weights: [u8; SUCCESSORS],
}

/// An entity's name is a hash, which a varint would not shorten.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Name(#[serde(with = "postcard::fixint::le")] u32);

impl Patterns {
    /// Encodes the strongest patterns for a project.
    #[must_use]
    pub fn encode(&self, project: &str) -> Vec<u8> {
        let known = self.shapes.iter().filter(|(_, known)| known.total > 0);
        let shapes: Vec<StoredShape> = known
            .map(|(name, known)| StoredShape {
                name,
                count: known.count,
                total: known.total,
                next_shapes: known.next_shapes,
            })
            .collect();
        let mut model = postcard::to_allocvec(&shapes).unwrap_or_default();
        let mut bytes_left = MAX_MODEL - HEADER - COUNT - model.len();
        let least = self.entities.as_ref().map_or(0, |entities| least_total(entities, bytes_left));
        let mut entities = Vec::new();
        for (name, entity) in self.entities.iter().flat_map(Entities::iter) {
            if entity.total() < least || bytes_left < ENTITY + MAX_KEY {
                continue;
            }
            bytes_left -= ENTITY + entity.key().len();
            let (next, weights) = entity.edges();
            entities.push(StoredEntity {
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

    /// Merges another isolate's model where nothing is known here; whether it could be read.
    pub fn merge_encoded(&mut self, bytes: &[u8], project: &str, now: Timestamp) -> bool {
        self.decode(bytes, project, now).is_some()
    }

    fn decode(&mut self, bytes: &[u8], project: &str, now: Timestamp) -> Option<()> {
        let bytes = Some(bytes).filter(|bytes| bytes.len() <= MAX_MODEL)?;
        let (header, model) = postcard::take_from_bytes::<Header>(bytes).ok()?;
        if header != Header::of(project, model) {
            return None;
        }
        let (model, rest): ((Vec<StoredShape>, Vec<StoredEntity<'_>>), _) = postcard::take_from_bytes(model).ok()?;
        if !rest.is_empty() {
            return None;
        }
        self.allocate();
        let (stamp, (shapes, stored)) = (self.stamp(now), model);
        for StoredShape { name, count, total, next_shapes } in shapes {
            self.shapes.merge(name, count, total, next_shapes, stamp);
        }
        let entities = self.entities.as_mut()?;
        for StoredEntity { name: Name(name), kind, total, key, next, weights } in stored {
            entities.merge(name, kind, key, total, (next.map(|Name(name)| name), weights), stamp);
        }
        Some(())
    }
}

/// The least total of an entity at which all with more fit into so many bytes.
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
            // Entities of this total are included while there is room.
            return total;
        }
        left -= size;
    }
    1
}

#[cfg(test)]
mod tests {
    use super::{HEADER, Header, MAX_MODEL, NEXT_SHAPES, Name, NextShape, SUCCESSORS, StoredEntity, StoredShape};
    use crate::patterns::{Entity, Patterns, TrainingSettings};
    use model::shape::{RequestShape, fingerprint, short_fingerprint};
    use model::time::Timestamp;

    fn trainer() -> Patterns {
        Patterns::new(TrainingSettings {
            memory_bytes: 2 << 20,
            half_life_millis: 3_600_000,
            predictions: 5,
            related: 3,
        })
    }

    fn entity(id: &u32) -> u32 {
        short_fingerprint(fingerprint(&id.to_le_bytes(), 0))
    }

    fn shape() -> RequestShape {
        RequestShape { name: 512, columns: 7, features: vec![1], key_views: vec![0] }
    }

    fn trained(entities: u32) -> Patterns {
        let mut patterns = trainer();
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
    fn a_new_isolate_predicts_by_the_model_of_another() {
        let stored = trained(100).encode("p");
        let mut fresh = trainer();
        assert!(fresh.merge_encoded(&stored, "p", Timestamp(1_000_000)));
        assert!((0..100).all(|id| successor(&mut fresh, id) == Some(entity(&((id + 1) % 100)))));
        assert!((0..100).all(|id| fresh.key(entity(&id)) == Some(&id.to_le_bytes())));
    }

    #[test]
    fn a_model_stays_within_its_bound() {
        let stored = trained(20_000).encode("p");
        assert!((MAX_MODEL / 2..=MAX_MODEL).contains(&stored.len()), "{}", stored.len());
        assert!(trainer().merge_encoded(&stored, "p", Timestamp(1_000_000)));
    }

    #[test]
    fn a_damaged_or_foreign_model_is_ignored() {
        let stored = trained(10).encode("p");
        let mut fresh = trainer();
        assert!(!fresh.merge_encoded(&stored, "q", Timestamp(0)));
        assert!(!fresh.merge_encoded(b"", "p", Timestamp(0)));
        for at in 0..stored.len() {
            let mut damaged = stored.clone();
            damaged[at] ^= 1;
            assert!(!fresh.merge_encoded(&damaged, "p", Timestamp(0)), "byte {at}");
            assert!(!fresh.merge_encoded(&stored[..at], "p", Timestamp(0)), "cut at {at}");
        }
        assert_eq!(fresh.key(entity(&1)), None);
    }

    #[test]
    fn own_patterns_are_not_replaced() {
        let stored = trained(10).encode("p");
        let mut own = trainer();
        for id in [1_u32, 9, 1, 9, 1, 9] {
            let one = [Entity { name: entity(&id), key: &id.to_le_bytes() }];
            own.observe(5, &shape(), &one, Timestamp(1_000_000));
        }
        assert!(own.merge_encoded(&stored, "p", Timestamp(1_000_000)));
        assert_eq!(successor(&mut own, 1), Some(entity(&9)));
        assert_eq!(successor(&mut own, 4), Some(entity(&5)));
    }

    fn compat(version: &str) -> std::path::PathBuf {
        std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/compat")
            .join(format!("{version}-learned.txt"))
    }

    #[test]
    fn a_model_of_version_0_1_0_is_ignored() {
        let text = std::fs::read_to_string(compat("0.1.0")).unwrap();
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
        let pairs = text.trim().as_bytes().chunks_exact(2);
        let stored: Vec<u8> = pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        let mut fresh = trainer();
        assert!(stored.starts_with(b"FL\x01") && !fresh.merge_encoded(&stored, "p", Timestamp(1_000_000)));
        assert_eq!(fresh.key(entity(&1)), None);
    }

    /// A forged model with a valid checksum.
    fn sealed(model: &[u8]) -> Vec<u8> {
        [&postcard::to_allocvec(&Header::of("p", model)).unwrap(), model].concat()
    }

    #[test]
    fn a_forged_byte_anywhere_costs_no_more_than_the_model() {
        let model = &trained(4).encode("p")[HEADER..];
        for at in 0..model.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut forged = model.to_vec();
                forged[at] = byte;
                let mut fresh = trainer();
                fresh.merge_encoded(&sealed(&forged), "p", Timestamp(1_000_000));
                (0..4).for_each(|id| _ = successor(&mut fresh, id));
            }
            assert!(!trainer().merge_encoded(&sealed(&model[..at]), "p", Timestamp(0)), "cut at {at}");
        }
        assert!(!trainer().merge_encoded(&sealed(&[model, &[0]].concat()), "p", Timestamp(0)));
    }

    #[test]
    fn the_highest_counts_overflow_nothing() {
        let next_shape = |to| NextShape { to, weight: u16::MAX, is_same: false };
        let shapes: Vec<_> = (1..=200)
            .map(|name| StoredShape {
                name,
                count: u32::MAX,
                total: 1,
                next_shapes: [next_shape(name % 200 + 1); NEXT_SHAPES],
            })
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
        let mut fresh = trainer();
        assert!(fresh.merge_encoded(
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
        let digits: String = trained(30).encode("p").iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(compat(env!("CARGO_PKG_VERSION")), digits + "\n").unwrap();
    }
}
