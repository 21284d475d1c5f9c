//! The stored form of a row, for L2 and L3: an envelope with a magic, a version and a checksum.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | `FE`, the magic |
//! | 2 | the version of the form, 1 |
//! | 3..11 | XXH3-64 of what follows, little-endian |
//! | 11.. | the row, its full key included, in postcard's wire format |
//!
//! The row is, one after the other: the space, the entity, the names of the join keys, the names of the features, the texts of all
//! of them, the length of each, and the cells, one for all features or one for each. A cell is its status, whether it is negative,
//! the event's time and when it was fetched. Bytes and lists begin with their length; numbers are of base 128, the lowest digits
//! first, and signed ones folded (0, −1, 1, …).
//!
//! What cannot be decoded is a miss with a reason to count it by, and never an error of the request. The checksum finds
//! accidents, not forgers: whoever may write to the store may write a checksum too.

use std::rc::Rc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use model::interner::Interner;
use model::key::Space;
use model::row::{Row, Schema, Slot};
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

/// The stored form of `row`.
#[must_use]
pub fn encode(row: &Row) -> Vec<u8> {
    let schema = row.schema();
    let columns = (schema.join_keys().len() + schema.features().len()) as u32;
    let mut out = Vec::with_capacity(HEADER + row.size() + 512);
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&[0; 8]);
    push_bytes(&mut out, schema.space().as_bytes());
    push_bytes(&mut out, row.entity());
    for names in [schema.join_keys(), schema.features()] {
        push_number(&mut out, names.len() as u64);
        for name in names {
            push_bytes(&mut out, name.as_bytes());
        }
    }
    let slots = || (0..columns).map(Slot);
    push_number(&mut out, slots().map(|slot| row.value(slot).len() as u64).sum());
    for slot in slots() {
        out.extend_from_slice(row.value(slot));
    }
    push_number(&mut out, u64::from(columns));
    for slot in slots() {
        push_number(&mut out, row.value(slot).len() as u64);
    }
    match row.uniform_cell() {
        Some(cell) => {
            out.push(1);
            push_cell(&mut out, cell);
        }
        None => {
            push_number(&mut out, schema.features().len() as u64);
            for cell in schema.feature_slots().filter_map(|slot| row.cell(slot)) {
                push_cell(&mut out, cell);
            }
        }
    }
    let checksum = checksum(out.get(HEADER..).unwrap_or_default());
    if let Some(place) = out.get_mut(3..HEADER) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    out
}

fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn push_cell(out: &mut Vec<u8>, cell: &Cell) {
    out.extend_from_slice(&[cell.status as u8, u8::from(cell.is_negative)]);
    let micros = cell.event_time.0;
    push_number(out, ((micros << 1) ^ (micros >> 63)) as u64);
    push_number(out, cell.fetched_at.instant().0);
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
    let mut stored = Stored(payload);
    let key = (stored.bytes().ok_or(Unusable::Damaged)?, stored.bytes().ok_or(Unusable::Damaged)?);
    if key != (space.as_bytes(), entity) {
        return Err(Unusable::OtherKey);
    }
    stored.row(space, entity, interner).ok_or(Unusable::Damaged)
}

/// What is still to be read of a stored row.
struct Stored<'a>(&'a [u8]);

impl<'a> Stored<'a> {
    /// The row, where its parts fit one another and nothing stands behind them.
    fn row(&mut self, space: &Rc<Space>, entity: &[u8], interner: &mut Interner) -> Option<Row> {
        let schema = self.schema(space, interner)?;
        let (keys, features) = (schema.join_keys().len(), schema.features().len());
        let values = self.bytes()?;
        if self.length()? != keys + features {
            return None;
        }
        let lengths = (0..keys + features).map(|_| Some(self.length()? as u32)).collect::<Option<_>>()?;
        let cells = match self.length()? {
            1 => vec![self.cell()?],
            count if count == features => (0..count).map(|_| self.cell()).collect::<Option<_>>()?,
            _ => return None,
        };
        let row = Row::of_parts(schema, entity, values, lengths, cells)?;
        self.0.is_empty().then_some(row)
    }

    /// The schema that the names make. Rows of one view mostly have the same one after the other, which is told by their bytes.
    fn schema(&mut self, space: &Rc<Space>, interner: &mut Interner) -> Option<Rc<Schema>> {
        if let Some((schema, length)) = interner.recall(space, self.0) {
            self.0 = self.0.get(length..)?;
            return Some(schema);
        }
        let form = self.0;
        let (join_keys, features) = (self.names()?, self.names()?);
        let schema = interner.schema(space, &join_keys, &features)?;
        interner.remember(form.get(..form.len() - self.0.len())?, &schema);
        Some(schema)
    }

    fn names(&mut self) -> Option<Vec<&'a str>> {
        let count = self.length()?;
        // Each takes a byte at the least, so a count that lies is no reason to take memory for it.
        if count > self.0.len() {
            return None;
        }
        (0..count).map(|_| core::str::from_utf8(self.bytes()?).ok()).collect()
    }

    fn cell(&mut self) -> Option<Cell> {
        let (&[status, is_negative], rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        let folded = self.number(u64::MAX)?;
        Some(Cell {
            status: Status::from_number(status)?,
            is_negative: match is_negative {
                0 => false,
                1 => true,
                _ => return None,
            },
            event_time: EventTime((folded >> 1) as i64 ^ -((folded & 1) as i64)),
            fetched_at: Instant(self.number(u64::MAX)?).into(),
        })
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    #[inline]
    fn length(&mut self) -> Option<usize> {
        self.number(u64::from(u32::MAX)).map(|length| length as usize)
    }

    #[inline]
    fn number(&mut self, most: u64) -> Option<u64> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        if byte < 0x80 { Some(u64::from(byte)) } else { self.long_number(u64::from(byte & 0x7f), most) }
    }

    /// The rest of a number of more than one byte.
    fn long_number(&mut self, mut number: u64, most: u64) -> Option<u64> {
        let mut shift = 7;
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let digit = u64::from(byte & 0x7f);
            // Past 64 bits there is nothing, not even zeros.
            if shift > 63 || digit > most >> shift {
                return None;
            }
            number |= digit << shift;
            shift += 7;
            if byte < 0x80 {
                return (number <= most).then_some(number);
            }
        }
    }
}

/// With a seed of 0 it is plain xxh3-64; the built-in origin hashes with seeds, and one of the two forms is enough to ship.
fn checksum(payload: &[u8]) -> u64 {
    xxh3_64_with_seed(payload, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::key::{Names, Scope, Subject};
    use model::row::{RowBuilder, Schema};
    use serde::{Deserialize, Serialize};

    /// The row as postcard has it, for the form is its wire format.
    #[derive(Serialize, Deserialize)]
    struct Postcard<'a> {
        #[serde(borrow)]
        space: &'a [u8],
        #[serde(borrow)]
        entity: &'a [u8],
        #[serde(borrow)]
        join_keys: Vec<&'a str>,
        #[serde(borrow)]
        features: Vec<&'a str>,
        #[serde(borrow)]
        values: &'a [u8],
        lengths: Vec<u32>,
        cells: Vec<PostcardCell>,
    }

    #[derive(Clone, Copy, Serialize, Deserialize)]
    struct PostcardCell {
        status: u8,
        is_negative: bool,
        event_micros: i64,
        fetched_at_millis: u64,
    }

    const ENTITY: &[u8] = b"n\x041001";

    fn space(view: &str) -> Rc<Space> {
        Rc::new(Space::new(&Scope::project("p"), Subject::View(view), Names::Short, &["id"]))
    }

    fn sample(is_uniform: bool) -> Row {
        let schema = Schema::new(space("v"), Box::new(["id".into()]), Box::new(["a".into(), "b".into()])).unwrap();
        let mut builder = RowBuilder::new(Rc::new(schema), ENTITY);
        builder.push_join_key(b"1001");
        let cell = Cell {
            status: Status::Present,
            is_negative: false,
            event_time: EventTime(-5),
            fetched_at: Instant(77).into(),
        };
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
            assert_eq!(row.uniform_cell(), back.uniform_cell());
        }
    }

    #[test]
    fn the_form_is_postcards() {
        for is_uniform in [true, false] {
            let bytes = encode(&sample(is_uniform));
            let read: Postcard<'_> = postcard::from_bytes(&bytes[HEADER..]).unwrap();
            assert_eq!((read.entity, &read.join_keys[..], &read.features[..]), (ENTITY, &["id"][..], &["a", "b"][..]));
            assert_eq!(read.cells[0].event_micros, -5);
            assert_eq!(postcard::to_allocvec(&read).unwrap(), &bytes[HEADER..]);
        }
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), 1 << 63, u64::MAX] {
            let mut ours = Vec::new();
            push_number(&mut ours, number);
            assert_eq!(postcard::to_allocvec(&number).unwrap(), ours);
            assert_eq!(Stored(&ours).number(u64::MAX), Some(number));
            assert_eq!(Stored(&ours).length(), u32::try_from(number).ok().map(|number| number as usize));
            assert_eq!(Stored(&ours[..ours.len() - 1]).number(u64::MAX), None);
        }
        for too_long in [&[0xff; 11][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0][..]] {
            assert_eq!(Stored(too_long).number(u64::MAX), None);
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
                fetched_at: Instant(0).into(),
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
        let stored: Postcard<'_> = postcard::from_bytes(&good[HEADER..]).unwrap();
        let forge = |change: &dyn Fn(&mut Postcard<'_>)| {
            let mut forged = Postcard {
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
        assert_eq!(forge(&|row| row.lengths[1] -= 1).unwrap_err(), Unusable::Damaged);
        assert_eq!(forge(&|row| row.lengths[1] += 1).unwrap_err(), Unusable::Damaged);
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
