//! The stored form of a row, for L2 and L3: postcard in an envelope with a magic, a version and a checksum.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | `FE`, the magic |
//! | 2 | the version of the form, 1 |
//! | 3..11 | XXH3-64 of what follows, little-endian |
//! | 11.. | the row, in postcard, its full key included |
//!
//! What cannot be decoded is a miss with a reason to count it by, and never an error of the request. The checksum finds
//! accidents, not forgers: whoever may write to the store may write a checksum too.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use model::interner::Interner;
use model::key::Space;
use model::row::{Row, RowBuilder, Slot};
use model::time::{EventTime, Instant};
use model::value::{Cell, Status};

const MAGIC: [u8; 2] = *b"FE";
const VERSION: u8 = 1;
const HEADER: usize = 11;

/// The largest stored row that is read, in bytes: what KV allows for a value, 25 MiB.
const MAX_STORED: usize = 25 << 20;

/// Why stored bytes were not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unusable {
    /// Not an envelope of ours, or larger than any that is written.
    Foreign,
    /// Of a version that this build does not read.
    Version,
    /// Damaged: the checksum or the content does not hold.
    Damaged,
    /// Another key's row: two keys share one hash, or the store mixed them up.
    OtherKey,
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    space: &'a [u8],
    #[serde(borrow)]
    entity: &'a [u8],
    #[serde(borrow)]
    join_keys: Vec<&'a str>,
    #[serde(borrow)]
    features: Vec<&'a str>,
    /// The texts of the join keys and features, one after the other, and the length of each.
    #[serde(borrow)]
    values: &'a [u8],
    lengths: Vec<u32>,
    /// One for all features, or one for each.
    cells: Vec<StoredCell>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct StoredCell {
    status: u8,
    is_negative: bool,
    event_micros: i64,
    fetched_at_millis: u64,
}

/// The stored form of `row`.
#[must_use]
pub fn encode(row: &Row) -> Vec<u8> {
    let schema = row.schema();
    let columns = (schema.join_keys().len() + schema.features().len()) as u32;
    let mut values = Vec::with_capacity(row.size());
    let mut lengths = Vec::with_capacity(columns as usize);
    for slot in (0..columns).map(Slot) {
        values.extend_from_slice(row.value(slot));
        lengths.push(row.value(slot).len() as u32);
    }
    let stored_cell = |cell: &Cell| StoredCell {
        status: cell.status as u8,
        is_negative: cell.is_negative,
        event_micros: cell.event_time.0,
        fetched_at_millis: cell.fetched_at.0,
    };
    let cells = match row.uniform_cell() {
        Some(cell) => vec![stored_cell(cell)],
        None => schema.feature_slots().filter_map(|slot| row.cell(slot)).map(stored_cell).collect(),
    };
    let stored = Stored {
        space: schema.space().as_bytes(),
        entity: row.entity(),
        join_keys: schema.join_keys().iter().map(|name| &**name).collect(),
        features: schema.features().iter().map(|name| &**name).collect(),
        values: &values,
        lengths,
        cells,
    };
    let mut envelope = Vec::with_capacity(HEADER + row.size() + 512);
    envelope.extend_from_slice(&MAGIC);
    envelope.push(VERSION);
    envelope.extend_from_slice(&[0; 8]);
    // postcard into a growing vector has no way to fail: every type here has a known form.
    let mut envelope = postcard::to_extend(&stored, envelope).unwrap_or_default();
    let checksum = checksum(envelope.get(HEADER..).unwrap_or_default());
    if let Some(place) = envelope.get_mut(3..HEADER) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    envelope
}

/// The row of `entity` in `space` that `bytes` hold.
///
/// # Errors
/// Why the bytes cannot be used.
pub fn decode(bytes: &[u8], space: &Rc<Space>, entity: &[u8], interner: &mut Interner) -> Result<Row, Unusable> {
    let (header, payload) = bytes.split_at_checked(HEADER).ok_or(Unusable::Foreign)?;
    let [m0, m1, version, checksum @ ..] = header else { return Err(Unusable::Foreign) };
    if [*m0, *m1] != MAGIC || bytes.len() > MAX_STORED {
        return Err(Unusable::Foreign);
    }
    if *version != VERSION {
        return Err(Unusable::Version);
    }
    if checksum != self::checksum(payload).to_le_bytes() {
        return Err(Unusable::Damaged);
    }
    let (stored, rest) = postcard::take_from_bytes::<Stored<'_>>(payload).map_err(|_| Unusable::Damaged)?;
    if stored.space != space.as_bytes() || stored.entity != entity {
        return Err(Unusable::OtherKey);
    }
    rest.is_empty().then(|| row(&stored, space, interner)).flatten().ok_or(Unusable::Damaged)
}

/// The row, where its parts fit one another.
fn row(stored: &Stored<'_>, space: &Rc<Space>, interner: &mut Interner) -> Option<Row> {
    let columns = stored.join_keys.len() + stored.features.len();
    let fits =
        stored.lengths.len() == columns && (stored.cells.len() == 1 || stored.cells.len() == stored.features.len());
    if !fits {
        return None;
    }
    let schema = interner.schema(space, stored.join_keys.iter().copied(), stored.features.iter().copied())?;
    let mut builder = RowBuilder::new(schema, stored.entity);
    let mut values = stored.values;
    for (column, &length) in stored.lengths.iter().enumerate() {
        let (text, rest) = values.split_at_checked(length as usize)?;
        values = rest;
        match column.checked_sub(stored.join_keys.len()) {
            None => builder.push_join_key(text),
            Some(feature) => {
                let cell = stored.cells.get(feature).or(stored.cells.first())?;
                builder.push_feature(
                    text,
                    Cell {
                        status: Status::from_number(cell.status)?,
                        is_negative: cell.is_negative,
                        event_time: EventTime(cell.event_micros),
                        fetched_at: Instant(cell.fetched_at_millis),
                    },
                );
            }
        }
    }
    values.is_empty().then(|| builder.finish())
}

/// With a seed of 0 it is plain xxh3-64; the built-in origin hashes with seeds, and one of the two forms is enough to ship.
fn checksum(payload: &[u8]) -> u64 {
    xxh3_64_with_seed(payload, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::key::{Names, Scope, Subject};
    use model::row::Schema;

    const ENTITY: &[u8] = b"n\x041001";

    fn space(view: &str) -> Rc<Space> {
        Rc::new(Space::new(&Scope::project("p"), Subject::View(view), Names::Short, &["id"]))
    }

    fn sample(is_uniform: bool) -> Row {
        let schema = Schema::new(space("v"), Box::new(["id".into()]), Box::new(["a".into(), "b".into()])).unwrap();
        let mut builder = RowBuilder::new(Rc::new(schema), ENTITY);
        builder.push_join_key(b"1001");
        let cell =
            Cell { status: Status::Present, is_negative: false, event_time: EventTime(-5), fetched_at: Instant(77) };
        builder.push_feature(b"1.0", cell);
        builder.push_feature(
            "\"é\"".as_bytes(),
            if is_uniform { cell } else { Cell { status: Status::NullValue, ..cell } },
        );
        builder.finish()
    }

    fn read(bytes: &[u8], view: &str, entity: &[u8]) -> Result<Row, Unusable> {
        decode(bytes, &space(view), entity, &mut Interner::default())
    }

    #[test]
    fn a_row_comes_back_as_it_was_stored() {
        for is_uniform in [true, false] {
            let row = sample(is_uniform);
            let back = read(&encode(&row), "v", ENTITY).unwrap();
            assert!(row.has_same_content(&back));
            for slot in row.schema().feature_slots() {
                assert_eq!(row.cell(slot), back.cell(slot));
            }
        }
    }

    #[test]
    fn another_keys_row_is_not_used() {
        let bytes = encode(&sample(true));
        assert_eq!(read(&bytes, "w", ENTITY).unwrap_err(), Unusable::OtherKey);
        assert_eq!(read(&bytes, "v", b"n\x041002").unwrap_err(), Unusable::OtherKey);
    }

    #[test]
    fn no_damage_goes_unseen() {
        let bytes = encode(&sample(false));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(read(&damaged, "v", ENTITY).is_err(), "byte {at} bit {bit}");
            }
            assert!(read(&bytes[..at], "v", ENTITY).is_err(), "cut at {at}");
        }
        assert_eq!(read(b"", "v", ENTITY).unwrap_err(), Unusable::Foreign);
        assert_eq!(read(b"pickled by another program", "v", ENTITY).unwrap_err(), Unusable::Foreign);
    }

    #[test]
    fn content_that_contradicts_itself_is_damage_even_with_a_right_checksum() {
        let good = encode(&sample(true));
        let stored: Stored<'_> = postcard::from_bytes(&good[HEADER..]).unwrap();
        let forge = |change: &dyn Fn(&mut Stored<'_>)| {
            let mut forged = Stored {
                join_keys: stored.join_keys.clone(),
                features: stored.features.clone(),
                lengths: stored.lengths.clone(),
                cells: stored.cells.clone(),
                ..stored
            };
            change(&mut forged);
            let payload = postcard::to_allocvec(&forged).unwrap();
            let mut bytes = vec![MAGIC[0], MAGIC[1], VERSION];
            bytes.extend_from_slice(&checksum(&payload).to_le_bytes());
            bytes.extend_from_slice(&payload);
            read(&bytes, "v", ENTITY)
        };
        assert!(forge(&|_| {}).is_ok());
        assert_eq!(forge(&|row| row.lengths[0] = 4_000_000_000).unwrap_err(), Unusable::Damaged);
        assert_eq!(forge(&|row| row.lengths.push(0)).unwrap_err(), Unusable::Damaged);
        assert_eq!(forge(&|row| row.cells[0].status = 9).unwrap_err(), Unusable::Damaged);
        assert_eq!(forge(&|row| row.cells.clear()).unwrap_err(), Unusable::Damaged);
        assert_eq!(forge(&|row| row.features[1] = row.features[0]).unwrap_err(), Unusable::Damaged);
    }

    #[test]
    fn an_unknown_version_is_told_from_damage() {
        let mut bytes = encode(&sample(true));
        bytes[2] = 2;
        assert_eq!(read(&bytes, "v", ENTITY).unwrap_err(), Unusable::Version);
    }
}
