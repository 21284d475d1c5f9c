//! The stored form of a row, for L2 and L3: an envelope with a magic, a version and a checksum.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | `FE`, the magic |
//! | 2 | the version of the form, 2 |
//! | 3..11 | XXH3-64 of what follows, little-endian |
//! | 11.. | the row in postcard's wire format: [`Key`], [`Columns`] and [`Body`] |
//!
//! Rows of version 1 are read too (`v1.rs`).
//!
//! What cannot be decoded is a miss with a reason, and never an error of the request. The checksum detects damage, not forgery:
//! who can write to the store can write a checksum too.
//!
//! ```
//! use std::rc::Rc;
//! use featheredge_row_codec::{Unusable, decode, encode};
//! use model::interner::Interner;
//! use model::key::{EntityValue, FeatureSource, KeySpace, NameStyle, Namespace};
//! use model::row::{RowBuilder, Schema};
//!
//! let source = FeatureSource::View("driver_stats");
//! let space = Rc::new(KeySpace::new(&Namespace::project("ride"), source, NameStyle::Short, &["driver_id"]));
//! let mut key = Vec::new();
//! EntityValue::Number("1001").encode(&mut key);
//! let schema = Schema::new(Rc::clone(&space), Box::new([]), Box::new(["rating".into()])).expect("names differ");
//! let row = RowBuilder::new(Rc::new(schema), &key).finish();
//!
//! let mut bytes = encode(&row);
//! let mut interner = Interner::default();
//! assert!(decode(&bytes, &space, &key, &mut interner).is_ok_and(|read| read.has_same_content(&row)));
//! assert_eq!(decode(&bytes, &space, b"n\x041002", &mut interner).unwrap_err(), Unusable::OtherKey);
//! bytes.pop();
//! assert_eq!(decode(&bytes, &space, &key, &mut interner).unwrap_err(), Unusable::Damaged);
//! ```

mod v1;

use std::rc::Rc;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use model::interner::Interner;
use model::key::KeySpace;
use model::row::{Row, Schema, Slot};
use model::time::{EventTime, Timestamp};
use model::value::{Cell, Status};

const MAGIC: [u8; 2] = *b"FE";
const VERSION: u8 = 2;
const HEADER: usize = 11;

/// The largest stored row that is read, in bytes: what KV allows for a value, 25 MiB.
const MAX_STORED: usize = 25 << 20;

/// Why stored bytes were not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unusable {
    /// No envelope of this format, or larger than any that is written.
    Foreign,
    /// A version that this build does not read.
    Version,
    /// Damaged: the checksum or the content is wrong.
    Damaged,
    /// Another key's row: two keys share one hash, or the store mixed them up.
    OtherKey,
}

/// The key of the row.
#[derive(Debug, Serialize, Deserialize)]
struct Key<'a> {
    #[serde(serialize_with = "as_bytes")]
    space: &'a [u8],
    #[serde(serialize_with = "as_bytes")]
    entity: &'a [u8],
}

/// The names of the columns.
#[derive(Debug, Serialize, Deserialize)]
struct Columns<N> {
    join_keys: N,
    features: N,
}

/// The rest of the row.
#[derive(Debug, Serialize, Deserialize)]
struct Body<'a, F> {
    /// The concatenated texts of all columns, and the length of each.
    #[serde(serialize_with = "as_bytes")]
    values: &'a [u8],
    lengths: Vec<u32>,
    /// The cells of the features.
    deltas: F,
}

/// One cell for all features, or one for each.
#[derive(Debug, Serialize, Deserialize)]
struct CellDeltas {
    first: CellDelta,
    others: Vec<CellDelta>,
}

/// A cell, its times as differences from those of the previous cell; the first's from zero. Most features share their times.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct CellDelta {
    /// The status, and in the lowest bit whether it is negative.
    kind: u8,
    event_micros: i64,
    fetched_millis: i64,
}

impl CellDeltas {
    fn of<'a>(mut cells: impl Iterator<Item = &'a Cell>) -> CellDeltas {
        let (mut event_micros, mut fetched_millis) = (0, 0);
        let mut delta = |cell: &Cell| {
            let (event, fetched) = (cell.event_time.0, cell.fetched_at.timestamp().0 as i64);
            let delta = CellDelta {
                kind: (cell.status as u8) << 1 | u8::from(cell.is_negative),
                event_micros: event.wrapping_sub(event_micros),
                fetched_millis: fetched.wrapping_sub(fetched_millis),
            };
            (event_micros, fetched_millis) = (event, fetched);
            delta
        };
        let first = cells.next().map(&mut delta).unwrap_or_default();
        CellDeltas { first, others: cells.map(delta).collect() }
    }

    fn cells(self) -> Option<Vec<Cell>> {
        let mut cells = Vec::with_capacity(1 + self.others.len());
        let (mut event_micros, mut fetched_millis) = (0_i64, 0_i64);
        for delta in [self.first].iter().chain(&self.others) {
            event_micros = event_micros.wrapping_add(delta.event_micros);
            fetched_millis = fetched_millis.wrapping_add(delta.fetched_millis);
            cells.push(Cell {
                status: Status::from_number(delta.kind >> 1)?,
                is_negative: delta.kind & 1 == 1,
                event_time: EventTime(event_micros),
                fetched_at: Timestamp(fetched_millis as u64).into(),
            });
        }
        Some(cells)
    }
}

/// Serde writes bytes one by one by default.
fn as_bytes<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// The stored form of `row`.
#[must_use]
pub fn encode(row: &Row) -> Vec<u8> {
    let schema = row.schema();
    let (space, entity, values) = (schema.space().as_bytes(), row.entity(), row.values());
    let columns = Columns { join_keys: schema.join_keys(), features: schema.features() };
    let slots = (0..(columns.join_keys.len() + columns.features.len()) as u32).map(Slot);
    let lengths = slots.map(|slot| row.value(slot).len() as u32).collect();
    let deltas = match row.uniform_cell() {
        Some(cell) => CellDeltas::of([cell].into_iter()),
        None => CellDeltas::of(schema.feature_slots().filter_map(|slot| row.cell(slot))),
    };
    let out = Vec::with_capacity(HEADER + row.size() + 512);
    let header = (MAGIC, VERSION, [0_u8; 8]);
    let mut out = append(&(header, Key { space, entity }, columns, Body { values, lengths, deltas }), out);
    let checksum = checksum(out.get(HEADER..).unwrap_or_default());
    if let Some(place) = out.get_mut(3..HEADER) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    out
}

/// Appends `what` to `out`. Postcard writes to a new `Vec`, which grows, or to a flavor that takes bytes.
fn append(what: &impl Serialize, out: Vec<u8>) -> Vec<u8> {
    struct Out(Vec<u8>);

    impl Flavor for Out {
        type Output = Vec<u8>;

        fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
            self.0.push(byte);
            Ok(())
        }

        fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }

        fn finalize(self) -> postcard::Result<Vec<u8>> {
            Ok(self.0)
        }
    }
    postcard::serialize_with_flavor(what, Out(out)).unwrap_or_default()
}

/// The row of `entity` in `space` that `bytes` hold.
///
/// # Errors
/// Why the bytes cannot be used.
pub fn decode(bytes: &[u8], space: &Rc<KeySpace>, entity: &[u8], interner: &mut Interner) -> Result<Row, Unusable> {
    let (header, payload) = bytes.split_at_checked(HEADER).ok_or(Unusable::Foreign)?;
    let [m0, m1, version, checksum @ ..] = header else { return Err(Unusable::Foreign) };
    if [*m0, *m1] != MAGIC || bytes.len() > MAX_STORED {
        return Err(Unusable::Foreign);
    }
    if ![VERSION, v1::VERSION].contains(version) {
        return Err(Unusable::Version);
    }
    if checksum != self::checksum(payload).to_le_bytes() {
        return Err(Unusable::Damaged);
    }
    let (key, row): (Key<'_>, _) = postcard::take_from_bytes(payload).map_err(|_| Unusable::Damaged)?;
    if (key.space, key.entity) != (space.as_bytes(), entity) {
        return Err(Unusable::OtherKey);
    }
    let columns = schema(row, space, interner);
    let row = columns.and_then(|(schema, body)| match *version {
        VERSION => read(body, schema, entity, CellDeltas::cells),
        _ => read(body, schema, entity, v1::cells),
    });
    row.ok_or(Unusable::Damaged)
}

/// The schema of the names, and the bytes after them. Consecutive rows of one view mostly have the same schema, which is recognised by
/// its bytes.
fn schema<'a>(row: &'a [u8], space: &Rc<KeySpace>, interner: &mut Interner) -> Option<(Rc<Schema>, &'a [u8])> {
    if let Some((schema, length)) = interner.cached_schema(space, row) {
        return Some((schema, row.get(length..)?));
    }
    let (columns, body): (Columns<Vec<&str>>, _) = postcard::take_from_bytes(row).ok()?;
    let schema = interner.schema(space, &columns.join_keys, &columns.features)?;
    interner.cache_schema(row.get(..row.len() - body.len())?, &schema);
    Some((schema, body))
}

/// The row, where its parts fit together and nothing follows them.
fn read<'a, F: Deserialize<'a>>(
    body: &'a [u8],
    schema: Rc<Schema>,
    entity: &[u8],
    cells: fn(F) -> Option<Vec<Cell>>,
) -> Option<Row> {
    let (Body { values, lengths, deltas }, rest) = postcard::take_from_bytes(body).ok()?;
    Row::from_parts(schema, entity, values, lengths, cells(deltas)?).filter(|_| rest.is_empty())
}

/// With a seed of 0 this is plain XXH3-64. The synthetic origin needs the seeded function, so the module contains only that.
fn checksum(payload: &[u8]) -> u64 {
    xxh3_64_with_seed(payload, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::key::{FeatureSource, NameStyle, Namespace};
    use model::row::RowBuilder;

    const ENTITY: &[u8] = b"n\x041001";

    /// What the build before version 2 made of both samples.
    const OF_VERSION_1: [&[u8]; 2] = [
        b"FE\x01\x99M\xa8\xf9\xa9\xd4+S\x0bp\x01pv\x01vc\x02id.\x06n\x041001\x01\x02id\x02\x01a\x01b\x0b10011.0\"\xc3\xa9\"\
          \x03\x04\x03\x04\x01\x01\x00\tM",
        b"FE\x01G\xc7\x8c\x84\xa5\x94\xb8c\x0bp\x01pv\x01vc\x02id.\x06n\x041001\x01\x02id\x02\x01a\x01b\x0b10011.0\"\xc3\xa9\"\
          \x03\x04\x03\x04\x02\x01\x00\tM\x02\x00\tM",
    ];

    fn space(view: &str) -> Rc<KeySpace> {
        Rc::new(KeySpace::new(&Namespace::project("p"), FeatureSource::View(view), NameStyle::Short, &["id"]))
    }

    fn sample(is_uniform: bool) -> Row {
        let schema = Schema::new(space("v"), Box::new(["id".into()]), Box::new(["a".into(), "b".into()])).unwrap();
        let mut builder = RowBuilder::new(Rc::new(schema), ENTITY);
        builder.push_join_key(b"1001");
        let cell = Cell {
            status: Status::Present,
            is_negative: false,
            event_time: EventTime(-5),
            fetched_at: Timestamp(77).into(),
        };
        builder.push_feature(b"1.0", cell);
        builder.push_feature(
            "\"é\"".as_bytes(),
            if is_uniform { cell } else { Cell { status: Status::NullValue, ..cell } },
        );
        builder.finish()
    }

    fn open(bytes: &[u8], view: &str, entity: &[u8]) -> Result<Row, Unusable> {
        decode(bytes, &space(view), entity, &mut Interner::default())
    }

    #[test]
    fn a_row_comes_back_as_it_was_stored() {
        for is_uniform in [true, false] {
            let row = sample(is_uniform);
            let back = open(&encode(&row), "v", ENTITY).unwrap();
            assert!(row.has_same_content(&back));
            for slot in row.schema().feature_slots() {
                assert_eq!(row.cell(slot), back.cell(slot));
            }
            assert_eq!(row.uniform_cell(), back.uniform_cell());
        }
    }

    #[test]
    fn cells_whose_times_are_as_far_apart_as_can_be_come_back() {
        let names = (0..7).map(|number| format!("f{number}").into()).collect();
        let schema = Rc::new(Schema::new(space("v"), Box::new([]), names).unwrap());
        let mut builder = RowBuilder::new(schema, ENTITY);
        let times = [0, i64::MAX, i64::MIN, -1, 1_764_000_000_000_000, 0, i64::MIN];
        for (time, status) in times.into_iter().zip((0..5).cycle()) {
            builder.push_feature(
                b"1",
                Cell {
                    status: Status::from_number(status).unwrap(),
                    is_negative: time < 0,
                    event_time: EventTime(time),
                    fetched_at: Timestamp(time as u64).into(),
                },
            );
        }
        let row = builder.finish();
        let back = open(&encode(&row), "v", ENTITY).unwrap();
        assert!(row.schema().feature_slots().all(|slot| row.cell(slot) == back.cell(slot)));
    }

    #[test]
    fn rows_of_version_1_are_read_as_they_were_meant() {
        for (stored, is_uniform) in OF_VERSION_1.into_iter().zip([true, false]) {
            let (row, meant) = (open(stored, "v", ENTITY).unwrap(), sample(is_uniform));
            assert!(row.has_same_content(&meant) && row.uniform_cell() == meant.uniform_cell());
            assert!(row.schema().feature_slots().all(|slot| row.cell(slot) == meant.cell(slot)));
            assert_eq!(open(stored, "w", ENTITY).unwrap_err(), Unusable::OtherKey);
            assert_eq!(encode(&row), encode(&meant), "it is written as version 2");
        }
    }

    #[test]
    fn rows_of_several_spaces_and_schemas_come_back_with_their_own() {
        let mut interner = Interner::default();
        let make = |view: &str, features: &[&str]| {
            let features = features.iter().map(|&name| name.into()).collect();
            let schema = Schema::new(space(view), Box::new([]), features).unwrap();
            let mut builder = RowBuilder::new(Rc::new(schema), ENTITY);
            let cell = Cell {
                status: Status::Present,
                is_negative: false,
                event_time: EventTime::ZERO,
                fetched_at: Timestamp(0).into(),
            };
            builder.push_feature(b"1", cell);
            builder.finish()
        };
        let rows = [make("v", &["a"]), make("v", &["a"]), make("w", &["a"]), make("v", &["b"]), make("v", &["a", "b"])];
        for row in rows.iter().chain(rows.iter().rev()) {
            let back = decode(&encode(row), row.schema().space(), ENTITY, &mut interner).unwrap();
            assert!(back.has_same_content(row) && back.schema().is_same(row.schema()));
        }
    }

    #[test]
    fn another_keys_row_is_not_used() {
        let bytes = encode(&sample(true));
        assert_eq!(open(&bytes, "w", ENTITY).unwrap_err(), Unusable::OtherKey);
        assert_eq!(open(&bytes, "v", b"n\x041002").unwrap_err(), Unusable::OtherKey);
    }

    #[test]
    fn no_damage_goes_unseen() {
        for bytes in [&encode(&sample(false))[..], OF_VERSION_1[1]] {
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut damaged = bytes.to_vec();
                    damaged[at] ^= 1 << bit;
                    assert!(open(&damaged, "v", ENTITY).is_err(), "byte {at} bit {bit}");
                }
                assert!(open(&bytes[..at], "v", ENTITY).is_err(), "cut at {at}");
            }
        }
        assert_eq!(open(b"", "v", ENTITY).unwrap_err(), Unusable::Foreign);
        assert_eq!(open(b"pickled by another program", "v", ENTITY).unwrap_err(), Unusable::Foreign);
    }

    /// A forger's: the checksum is right.
    fn sealed(version: u8, payload: &[u8]) -> Vec<u8> {
        [&MAGIC[..], &[version], &checksum(payload).to_le_bytes(), payload].concat()
    }

    #[test]
    fn content_that_contradicts_itself_is_damage_even_with_a_right_checksum() {
        type Parts<'a> = (Key<'a>, Columns<Vec<&'a str>>, Body<'a, CellDeltas>);
        let good = encode(&sample(false));
        let forge = |change: &dyn Fn(&mut Parts<'_>)| {
            let mut parts: Parts<'_> = postcard::from_bytes(&good[HEADER..]).unwrap();
            change(&mut parts);
            open(&sealed(VERSION, &postcard::to_allocvec(&parts).unwrap()), "v", ENTITY)
        };
        assert!(forge(&|_| {}).is_ok());
        let damages: [&dyn Fn(&mut Parts<'_>); 11] = [
            &|(.., body)| body.lengths[0] = 4_000_000_000,
            &|(.., body)| body.lengths.push(0),
            &|(.., body)| body.lengths[1] -= 1,
            &|(.., body)| body.lengths[1] += 1,
            &|(.., body)| body.deltas.first.kind = 9 << 1,
            &|(.., body)| body.deltas.others.push(body.deltas.first),
            &|(.., body)| body.values = &body.values[1..],
            &|(_, columns, _)| columns.features[1] = columns.features[0],
            &|(_, columns, _)| columns.features.truncate(1),
            &|(_, columns, _)| columns.features.push("c"),
            &|(_, columns, _)| columns.join_keys.clear(),
        ];
        for (number, damage) in damages.into_iter().enumerate() {
            assert_eq!(forge(damage).unwrap_err(), Unusable::Damaged, "damage {number}");
        }
        let longer = [&good[HEADER..], &[0]].concat();
        assert_eq!(open(&sealed(VERSION, &longer), "v", ENTITY).unwrap_err(), Unusable::Damaged);
    }

    #[test]
    fn a_forged_byte_anywhere_is_no_more_than_another_row() {
        for (version, bytes) in [(VERSION, &encode(&sample(false))[..]), (v1::VERSION, OF_VERSION_1[1])] {
            for at in HEADER..bytes.len() {
                for byte in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut payload = bytes[HEADER..].to_vec();
                    payload[at - HEADER] = byte;
                    if let Ok(row) = open(&sealed(version, &payload), "v", ENTITY) {
                        assert!(row.is_of(&space("v"), ENTITY));
                    }
                }
            }
        }
    }

    #[test]
    fn an_unknown_version_is_told_from_damage() {
        for version in [0, 3, 255] {
            let mut bytes = encode(&sample(true));
            bytes[2] = version;
            assert_eq!(open(&bytes, "v", ENTITY).unwrap_err(), Unusable::Version);
        }
    }
}
