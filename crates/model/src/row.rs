//! A row: the features of one entity in one view, in one buffer, so that a response is assembled by copying slices.
//!
//! Layout of the buffer: the values' JSON texts, their offsets ([`OffsetEncoding`]), then the entity's key. Columns are the join keys
//! as the origin echoed them, then the features. Rows of one view mostly share one [`Schema`], so that a request resolves its
//! columns once. Invariant: a row has exactly one offset more than its schema has columns, and offsets never decrease.

use core::cell::Cell as Counter;
use std::rc::Rc;

use crate::key::KeySpace;
use crate::short_copy;
use crate::sort::sorted;
use crate::time::{EventTime, PackedTimestamp, Timestamp};
use crate::value::{Cell, Status};
use crate::value_offsets::{OffsetEncoding, ValueReader};

/// The names of a row's columns, shared by all rows that have the same.
#[derive(Debug)]
pub struct Schema {
    space: Rc<KeySpace>,
    join_keys: Box<[Box<str>]>,
    features: Box<[Box<str>]>,
    /// Positions in `features`, ordered by name.
    by_name: Box<[u32]>,
    /// Its memory, in bytes.
    size: usize,
    /// How many rows of L1 have it.
    rows: Counter<u32>,
}

/// The allocator's overhead for each allocation, in bytes.
pub const ALLOCATION: usize = 16;

impl Schema {
    /// A schema of `features`, whose names must differ, keyed by columns that the origin echoes as `join_keys`.
    ///
    /// `None` where a name occurs twice.
    #[must_use]
    pub fn new(space: Rc<KeySpace>, join_keys: Box<[Box<str>]>, features: Box<[Box<str>]>) -> Option<Schema> {
        let ordered = sorted(features.iter().zip(0_u32..));
        let has_duplicates = ordered.array_windows().any(|[(left, _), (right, _)]| left == right);
        let by_name = ordered.into_iter().map(|(_, position)| position).collect();
        let names = join_keys.iter().chain(&features).map(|name| size_of::<Box<str>>() + ALLOCATION + name.len());
        let size = size_of::<Schema>() + 4 * ALLOCATION + size_of::<u32>() * features.len() + names.sum::<usize>();
        let size = (size + space.size()) * FRAGMENTATION_HALVES / 2;
        (!has_duplicates).then_some(Schema { by_name, space, join_keys, features, size, rows: Counter::new(0) })
    }

    /// The key space of the rows.
    #[must_use]
    pub fn space(&self) -> &Rc<KeySpace> {
        &self.space
    }

    /// The names of the echoed join keys, in the origin's order.
    #[must_use]
    pub fn join_keys(&self) -> &[Box<str>] {
        &self.join_keys
    }

    /// The names of the features.
    #[must_use]
    pub fn features(&self) -> &[Box<str>] {
        &self.features
    }

    /// The slot of the feature of that name.
    #[must_use]
    pub fn feature_slot(&self, name: &str) -> Option<Slot> {
        let at = |&position: &u32| self.features.get(position as usize).map_or("", |feature| feature);
        let found = self.by_name.binary_search_by(|position| at(position).cmp(name)).ok()?;
        self.by_name.get(found).map(|&position| Slot(position + self.join_keys.len() as u32))
    }

    /// The slot of the join key of that name.
    #[must_use]
    pub fn join_key_slot(&self, name: &str) -> Option<Slot> {
        self.join_keys.iter().position(|key| **key == *name).map(|position| Slot(position as u32))
    }

    /// The slots of all features, in the schema's order.
    pub fn feature_slots(&self) -> impl Iterator<Item = Slot> + use<> {
        let first = self.join_keys.len() as u32;
        (first..).take(self.features.len()).map(Slot)
    }

    /// The memory of the schema with its key space, in bytes, fragmentation included.
    #[must_use]
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Counts one more row of it in L1; returns whether it is the first.
    pub fn enter_l1(&self) -> bool {
        self.rows.replace(self.rows.get() + 1) == 0
    }

    /// Counts one row of it in L1 less; returns whether it was the last.
    pub fn leave_l1(&self) -> bool {
        self.rows.replace(self.rows.get().saturating_sub(1)) == 1
    }

    /// Whether two schemas name the same columns in the same order, in the same space.
    #[must_use]
    pub fn is_same(&self, other: &Schema) -> bool {
        self.join_keys == other.join_keys && self.features == other.features && self.space == other.space
    }

    fn columns(&self) -> usize {
        self.join_keys.len() + self.features.len()
    }
}

/// The number of a column in the rows of one schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u32);

/// The metadata of the row's features.
#[derive(Clone, Debug, PartialEq)]
enum Cells {
    /// The same for all, as mostly in a view: they were fetched together, and share one event.
    Uniform(Cell),
    /// One for each feature, in the schema's order.
    Varied(Box<[Cell]>),
}

/// The metadata of a feature of which nothing is known.
const UNKNOWN: Cell = Cell {
    status: Status::Invalid,
    is_negative: false,
    event_time: EventTime::ZERO,
    fetched_at: PackedTimestamp::ZERO,
};

impl From<Vec<Cell>> for Cells {
    fn from(cells: Vec<Cell>) -> Cells {
        match cells.first() {
            Some(first) if cells.iter().all(|cell| cell == first) => Cells::Uniform(*first),
            Some(_) => Cells::Varied(cells.into()),
            None => Cells::Uniform(UNKNOWN),
        }
    }
}

/// The bytes of a row's values, and in the two highest bits the encoding of their offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ValueLayout(u32);

impl ValueLayout {
    const LENGTH_BITS: u32 = 30;

    fn new(length: usize, encoding: OffsetEncoding) -> ValueLayout {
        ValueLayout(
            length as u32 & ((1 << ValueLayout::LENGTH_BITS) - 1) | (encoding as u32) << ValueLayout::LENGTH_BITS,
        )
    }

    #[inline]
    fn length(self) -> usize {
        (self.0 & ((1 << ValueLayout::LENGTH_BITS) - 1)) as usize
    }

    #[inline]
    fn encoding(self) -> OffsetEncoding {
        match self.0 >> ValueLayout::LENGTH_BITS {
            0 => OffsetEncoding::Linear,
            1 => OffsetEncoding::U16,
            _ => OffsetEncoding::U32,
        }
    }
}

/// The overhead of a row beyond its buffer, in bytes: itself and its reference counts 48, its entry in L1's table 24, its entry in the
/// table's index 10 to 21, the allocator's 8.
pub const ROW_OVERHEAD: usize = 104;

/// A row counts as this many halves of its size: fragmentation by rows of all sizes is part of the memory budget.
/// `npm run bench -- --only memory` measures whether that is enough.
const FRAGMENTATION_HALVES: usize = 3;

/// How much one row may store. A row collects all requested features of its entity, and a client may request ever new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLimits {
    /// The most features.
    pub features: usize,
    /// The most bytes of them, with their names and metadata.
    pub bytes: usize,
}

/// The bytes of a feature beside its name and value: its cell, and its entry in the schema.
const FEATURE_OVERHEAD: usize = size_of::<Cell>() + size_of::<Box<str>>() + ALLOCATION + 8;

/// The features of one entity in one view.
#[derive(Debug)]
pub struct Row {
    schema: Rc<Schema>,
    buffer: Box<[u8]>,
    layout: ValueLayout,
    cells: Cells,
}

impl Row {
    /// The row of `entity` with these columns' concatenated texts and their lengths, and a cell for all features or one for each; `None`
    /// where these do not fit together or with the schema.
    #[must_use]
    pub fn from_parts(
        schema: Rc<Schema>,
        entity: &[u8],
        values: &[u8],
        lengths: Vec<u32>,
        cells: Vec<Cell>,
    ) -> Option<Row> {
        let end = lengths.iter().try_fold(0_u32, |end, &length| end.checked_add(length))?;
        let is_fit = lengths.len() == schema.columns() && end as usize == values.len();
        let has_cells = cells.len() == 1 || cells.len() == schema.features.len();
        (is_fit && has_cells).then(|| {
            let size = values.len() + OffsetEncoding::expected_size(lengths.len()) + entity.len();
            let mut buffer = Vec::with_capacity(size);
            buffer.extend_from_slice(values);
            RowBuilder { schema, entity, values: buffer, lengths, cells }.assemble()
        })
    }

    /// The names of the columns.
    #[must_use]
    pub fn schema(&self) -> &Rc<Schema> {
        &self.schema
    }

    /// The canonical key of the entity, without its key space.
    #[must_use]
    pub fn entity(&self) -> &[u8] {
        self.buffer.get(self.layout.length() + self.offsets_size()..).unwrap_or_default()
    }

    /// Whether this is the row of `entity` in `space`.
    #[inline]
    #[must_use]
    pub fn is_of(&self, space: &Rc<KeySpace>, entity: &[u8]) -> bool {
        (Rc::ptr_eq(&self.schema.space, space) || self.schema.space == *space)
            && short_copy::is_same(self.entity(), entity)
    }

    /// Reads a byte where a response will read the row, to load it into the CPU's caches.
    #[inline]
    #[must_use]
    pub fn touch(&self) -> u8 {
        let at = |at: usize| self.buffer.get(at).copied().unwrap_or_default();
        at(0) ^ at(self.layout.length()) ^ at(self.buffer.len().wrapping_sub(1))
    }

    /// Reads the values, of many columns at a time.
    #[inline]
    #[must_use]
    pub fn value_reader(&self) -> ValueReader<'_> {
        ValueReader::new(&self.buffer, self.layout.length(), self.layout.encoding())
    }

    /// The concatenated JSON texts of all values.
    #[must_use]
    pub fn values(&self) -> &[u8] {
        self.buffer.get(..self.layout.length()).unwrap_or_default()
    }

    /// The JSON text of the value in `slot`.
    #[must_use]
    pub fn value(&self, slot: Slot) -> &[u8] {
        self.value_reader().value(slot)
    }

    /// The cell of all features, where they share one.
    #[inline]
    #[must_use]
    pub fn uniform_cell(&self) -> Option<&Cell> {
        match &self.cells {
            Cells::Uniform(cell) => Some(cell),
            Cells::Varied(_) => None,
        }
    }

    /// The cell of the feature in `slot`.
    #[inline]
    #[must_use]
    pub fn cell(&self, slot: Slot) -> Option<&Cell> {
        match &self.cells {
            Cells::Uniform(cell) => Some(cell),
            Cells::Varied(cells) => cells.get((slot.0 as usize).checked_sub(self.schema.join_keys.len())?),
        }
    }

    /// The memory of the row, in bytes, fragmentation included.
    #[must_use]
    pub fn size(&self) -> usize {
        let cells = match &self.cells {
            Cells::Uniform(_) => 0,
            Cells::Varied(cells) => size_of_val::<[Cell]>(cells),
        };
        (ROW_OVERHEAD + self.buffer.len() + cells) * FRAGMENTATION_HALVES / 2
    }

    /// One owner's share of the memory of this row and its schema, in bytes.
    #[must_use]
    #[inline]
    pub fn share_of(row: &Rc<Row>) -> usize {
        let schema = row.schema.size() / Rc::strong_count(&row.schema).max(1);
        (row.size() + schema) / Rc::strong_count(row).max(1)
    }

    /// Merges the columns of `newer`, which must be of the same entity. Of a column that both have, the value that was fetched later
    /// wins.
    #[must_use]
    #[inline]
    pub fn merge(&self, newer: &Row) -> Row {
        let keys_of = if newer.schema.join_keys.is_empty() { self } else { newer };
        let join_keys = &keys_of.schema.join_keys;
        // Without new features the row keeps its schema, so that rows which are fetched in parts do not create ever new ones.
        let is_known = |name: &str| self.schema.feature_slot(name).is_some();
        if *join_keys == self.schema.join_keys && newer.schema.features.iter().all(|name| is_known(name)) {
            return self.updated(newer, keys_of);
        }
        let mut is_replaced = vec![false; newer.schema.features.len()];
        let mut kept: Vec<(Slot, &Box<str>)> = Vec::new();
        for (slot, name) in self.schema.feature_slots().zip(self.schema.features.iter()) {
            let Some(theirs) = newer.schema.feature_slot(name) else {
                kept.push((slot, name));
                continue;
            };
            let is_later = |ours: &Cell, theirs: &Cell| ours.fetched_at.timestamp() > theirs.fetched_at.timestamp();
            if self.cell(slot).zip(newer.cell(theirs)).is_some_and(|(ours, theirs)| is_later(ours, theirs)) {
                kept.push((slot, name));
                let position = (theirs.0 as usize).saturating_sub(newer.schema.join_keys.len());
                if let Some(is_replaced) = is_replaced.get_mut(position) {
                    *is_replaced = true;
                }
            }
        }
        let slots_and_names = newer.schema.feature_slots().zip(newer.schema.features.iter());
        let theirs: Vec<(Slot, &Box<str>)> = slots_and_names
            .zip(is_replaced)
            .filter(|&(_, is_replaced)| !is_replaced)
            .map(|(theirs, _)| theirs)
            .collect();

        let features: Box<[Box<str>]> = theirs.iter().chain(&kept).map(|&(_, name)| name.clone()).collect();
        let schema = if features == newer.schema.features && *join_keys == newer.schema.join_keys {
            Some(Rc::clone(&newer.schema))
        } else {
            Schema::new(Rc::clone(&self.schema.space), join_keys.clone(), features).map(Rc::new)
        };
        // The names differ by construction, so there is always a schema; the newer row's is right otherwise.
        let schema = schema.unwrap_or_else(|| Rc::clone(&newer.schema));
        let mut builder = RowBuilder::new(schema, newer.entity());
        for slot in (0..join_keys.len() as u32).map(Slot) {
            builder.push_join_key(keys_of.value(slot));
        }
        for (row, slots) in [(newer, &theirs), (self, &kept)] {
            for &(slot, _) in slots {
                if let Some(&cell) = row.cell(slot) {
                    builder.push_feature(row.value(slot), cell);
                }
            }
        }
        builder.finish()
    }

    /// This row with the values of `newer`, which has no other features, where these were not fetched earlier.
    fn updated(&self, newer: &Row, keys_of: &Row) -> Row {
        let mut builder = RowBuilder::new(Rc::clone(&self.schema), newer.entity());
        for slot in (0..self.schema.join_keys.len() as u32).map(Slot) {
            builder.push_join_key(keys_of.value(slot));
        }
        for (slot, name) in self.schema.feature_slots().zip(self.schema.features.iter()) {
            let Some(ours) = self.cell(slot) else { continue };
            let theirs = newer.schema.feature_slot(name).and_then(|slot| Some((slot, newer.cell(slot)?)));
            match theirs.filter(|(_, theirs)| ours.fetched_at.timestamp() <= theirs.fetched_at.timestamp()) {
                Some((slot, cell)) => builder.push_feature(newer.value(slot), *cell),
                None => builder.push_feature(self.value(slot), *ours),
            }
        }
        builder.finish()
    }

    /// This row, truncated to `limits`.
    #[inline]
    #[must_use]
    pub fn within(self: Rc<Row>, limits: RowLimits) -> Rc<Row> {
        self.bounded(limits).map_or(self, Rc::new)
    }

    /// This row, truncated to `limits`; `None` where it is within them.
    ///
    /// The features that were fetched longest ago are dropped first. Those that were fetched last are never dropped: they are being
    /// requested.
    #[must_use]
    #[inline(never)]
    fn bounded(&self, limits: RowLimits) -> Option<Row> {
        let (keys, count) = (self.schema.join_keys.len(), self.schema.features.len());
        // Most rows are far below the limits, and return here.
        if count <= limits.features && self.schema.size() + self.size() <= limits.bytes {
            return None;
        }
        let fetched_at =
            |position: &usize| self.cell(Slot((keys + position) as u32)).map(|cell| cell.fetched_at.timestamp());
        let newest = (0..count).filter_map(|position| fetched_at(&position)).max();
        let by_time = sorted((0..count).map(|position| (core::cmp::Reverse(fetched_at(&position)), position)));
        let (mut is_kept, mut features, mut bytes) = (vec![false; count], 0, 0);
        for (core::cmp::Reverse(time), position) in by_time {
            let name = self.schema.features.get(position).map_or(0, |name| name.len());
            features += 1;
            bytes += FEATURE_OVERHEAD + name + self.value(Slot((keys + position) as u32)).len();
            if time != newest && (features > limits.features || bytes > limits.bytes) {
                break;
            }
            if let Some(is_kept) = is_kept.get_mut(position) {
                *is_kept = true;
            }
        }
        if is_kept.iter().all(|is_kept| *is_kept) {
            return None;
        }
        let mut is_kept = is_kept.into_iter();
        Some(self.retain(|_, _| is_kept.next().unwrap_or_default()))
    }

    /// This row with `schema`, if it equals its own; else the row is unchanged.
    #[must_use]
    pub fn with_schema(mut self, schema: Rc<Schema>) -> Row {
        if self.schema.is_same(&schema) {
            self.schema = schema;
        }
        self
    }

    /// Whether `holds` is true for the cell of each feature.
    #[must_use]
    pub fn all_cells(&self, holds: impl Fn(&Cell) -> bool) -> bool {
        match &self.cells {
            Cells::Uniform(cell) => holds(cell),
            Cells::Varied(cells) => cells.iter().all(holds),
        }
    }

    /// When the feature that was fetched last was fetched.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        match &self.cells {
            Cells::Uniform(cell) => Some(cell.fetched_at.timestamp()),
            Cells::Varied(cells) => cells.iter().map(|cell| cell.fetched_at.timestamp()).max(),
        }
    }

    /// This row with the features for which `is_kept` returns true.
    #[must_use]
    pub fn retain(&self, mut is_kept: impl FnMut(&str, &Cell) -> bool) -> Row {
        self.with_cells(|name, cell| is_kept(name, cell).then_some(*cell))
    }

    /// This row with the cells that `change` returns, and without the features for which it returns none.
    #[must_use]
    pub fn with_cells(&self, mut change: impl FnMut(&str, &Cell) -> Option<Cell>) -> Row {
        let kept: Vec<(Slot, &Box<str>, Cell)> = self
            .schema
            .feature_slots()
            .zip(self.schema.features.iter())
            .filter_map(|(slot, name)| Some((slot, name, change(name, self.cell(slot)?)?)))
            .collect();
        let schema = if kept.len() == self.schema.features.len() {
            None
        } else {
            let names = kept.iter().map(|&(_, name, _)| name.clone()).collect();
            Schema::new(Rc::clone(&self.schema.space), self.schema.join_keys.clone(), names)
        };
        let schema = schema.map_or_else(|| Rc::clone(&self.schema), Rc::new);
        let mut builder = RowBuilder::new(schema, self.entity());
        for slot in (0..self.schema.join_keys.len() as u32).map(Slot) {
            builder.push_join_key(self.value(slot));
        }
        for (slot, _, cell) in kept {
            builder.push_feature(self.value(slot), cell);
        }
        builder.finish()
    }

    /// This row with `null` and `OUTSIDE_MAX_AGE` for the values whose event happened before `oldest`; `None` where there
    /// are none. A value without a known event is unchanged.
    #[must_use]
    pub fn without_events_before(&self, oldest: EventTime) -> Option<Row> {
        let is_outside = |cell: &Cell| {
            cell.event_time != EventTime::ZERO && cell.event_time < oldest && cell.status == Status::Present
        };
        if !self.schema.feature_slots().filter_map(|slot| self.cell(slot)).any(is_outside) {
            return None;
        }
        let mut builder = RowBuilder::new(Rc::clone(&self.schema), self.entity());
        for slot in (0..self.schema.join_keys.len() as u32).map(Slot) {
            builder.push_join_key(self.value(slot));
        }
        for (slot, cell) in self.schema.feature_slots().filter_map(|slot| Some((slot, *self.cell(slot)?))) {
            if is_outside(&cell) {
                builder.push_feature(b"null", Cell { status: Status::OutsideMaxAge, ..cell });
            } else {
                builder.push_feature(self.value(slot), cell);
            }
        }
        Some(builder.finish())
    }

    /// Whether both rows have the same columns and values, whenever each was fetched.
    #[must_use]
    pub fn has_same_content(&self, other: &Row) -> bool {
        if !self.schema.is_same(&other.schema) || self.layout != other.layout {
            return false;
        }
        let end = self.layout.length() + self.offsets_size();
        self.buffer.get(..end) == other.buffer.get(..end)
            && self.schema.feature_slots().all(|slot| match (self.cell(slot), other.cell(slot)) {
                (Some(ours), Some(theirs)) => ours.status == theirs.status && ours.event_time == theirs.event_time,
                _ => false,
            })
    }

    #[inline]
    fn offsets_size(&self) -> usize {
        self.layout.encoding().size(self.schema.columns())
    }
}

/// Builds a row column by column, in the schema's order.
#[derive(Debug)]
pub struct RowBuilder<'a> {
    schema: Rc<Schema>,
    entity: &'a [u8],
    values: Vec<u8>,
    lengths: Vec<u32>,
    cells: Vec<Cell>,
}

impl<'a> RowBuilder<'a> {
    /// Begins the row of `entity`.
    #[must_use]
    pub fn new(schema: Rc<Schema>, entity: &'a [u8]) -> RowBuilder<'a> {
        let columns = schema.columns();
        RowBuilder {
            schema,
            entity,
            values: Vec::with_capacity(columns * 16 + entity.len()),
            lengths: Vec::with_capacity(columns),
            cells: Vec::with_capacity(columns),
        }
    }

    /// Adds the text of the next join key.
    pub fn push_join_key(&mut self, text: &[u8]) {
        self.values.extend_from_slice(text);
        self.lengths.push(text.len() as u32);
    }

    /// Adds the text of the next feature.
    pub fn push_feature(&mut self, text: &[u8], cell: Cell) {
        self.push_join_key(text);
        self.cells.push(cell);
    }

    /// The row. Columns that were not pushed are `null` and invalid; excess columns are ignored.
    #[must_use]
    pub fn finish(mut self) -> Row {
        let columns = self.schema.columns();
        self.lengths.truncate(columns);
        while self.lengths.len() < columns {
            self.push_join_key(b"null");
        }
        self.cells.resize(self.schema.features.len(), UNKNOWN);
        self.values.truncate(self.lengths.iter().map(|&length| length as usize).sum());
        self.assemble()
    }

    /// The row, of values, lengths and cells that fit together.
    #[inline(never)]
    fn assemble(self) -> Row {
        let RowBuilder { schema, entity, values: mut buffer, lengths, cells } = self;
        let length = buffer.len();
        buffer.reserve_exact(OffsetEncoding::expected_size(lengths.len()) + entity.len());
        let encoding = OffsetEncoding::write(&mut buffer, &lengths);
        buffer.extend_from_slice(entity);
        Row { schema, buffer: buffer.into(), layout: ValueLayout::new(length, encoding), cells: cells.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{EntityValue, FeatureSource, NameStyle, Namespace};

    fn space() -> Rc<KeySpace> {
        Rc::new(KeySpace::new(&Namespace::project("p"), FeatureSource::View("v"), NameStyle::Short, &["id"]))
    }

    fn cell(fetched_at: u64) -> Cell {
        Cell {
            status: Status::Present,
            is_negative: false,
            event_time: EventTime(7),
            fetched_at: Timestamp(fetched_at).into(),
        }
    }

    fn row(features: &[(&str, &str, u64)]) -> Row {
        let names = features.iter().map(|&(name, ..)| name.into()).collect();
        let schema = Rc::new(Schema::new(space(), Box::new(["id".into()]), names).unwrap());
        let mut key = Vec::new();
        EntityValue::Number("1001").encode(&mut key);
        let mut builder = RowBuilder::new(schema, &key);
        builder.push_join_key(b"1001");
        for &(_, text, fetched_at) in features {
            builder.push_feature(text.as_bytes(), cell(fetched_at));
        }
        builder.finish()
    }

    fn text(row: &Row, name: &str) -> Option<String> {
        row.schema().feature_slot(name).map(|slot| String::from_utf8(row.value(slot).to_vec()).unwrap())
    }

    #[test]
    fn values_come_back_as_their_own_text() {
        let row = row(&[("b", "1.0", 5), ("a", "9007199254740993", 5), ("c", "null", 5)]);
        assert_eq!(text(&row, "b").unwrap(), "1.0");
        assert_eq!(text(&row, "a").unwrap(), "9007199254740993");
        assert_eq!(row.value(row.schema().join_key_slot("id").unwrap()), b"1001");
        assert_eq!(text(&row, "d"), None);
        assert_eq!(row.uniform_cell(), Some(&cell(5)));
        assert!(row.is_of(&space(), b"n\x041001"));
        assert!(!row.is_of(&space(), b"t\x041001"));
    }

    #[test]
    fn a_row_of_long_values_has_four_byte_offsets() {
        let long = format!("\"{}\"", "x".repeat(70_000));
        let row = row(&[("a", &long, 5), ("b", "2", 5)]);
        assert_eq!(text(&row, "a").unwrap(), long);
        assert_eq!(text(&row, "b").unwrap(), "2");
        assert!(row.is_of(&space(), b"n\x041001"));
    }

    #[test]
    fn merging_keeps_the_later_value_of_each_feature() {
        let merged = row(&[("a", "1", 5), ("b", "2", 9)]).merge(&row(&[("b", "3", 7), ("c", "4", 7)]));
        assert_eq!(text(&merged, "a").unwrap(), "1");
        assert_eq!(text(&merged, "b").unwrap(), "2");
        assert_eq!(text(&merged, "c").unwrap(), "4");
        assert_eq!(merged.cell(merged.schema().feature_slot("c").unwrap()), Some(&cell(7)));
        assert_eq!(merged.uniform_cell(), None);
        let replaced = row(&[("a", "1", 5)]).merge(&row(&[("a", "2", 6), ("b", "3", 6)]));
        assert_eq!((text(&replaced, "a"), replaced.uniform_cell()), (Some("2".into()), Some(&cell(6))));
    }

    #[test]
    fn a_merge_without_new_features_keeps_the_schema_and_the_later_values() {
        let known = row(&[("a", "1", 5), ("b", "2", 9), ("c", "3", 5)]);
        let merged = known.merge(&row(&[("c", "30", 7), ("b", "20", 7)]));
        assert!(Rc::ptr_eq(merged.schema(), known.schema()));
        assert_eq!(["a", "b", "c"].map(|name| text(&merged, name).unwrap()), ["1", "2", "30"]);
        let same_time = known.merge(&row(&[("a", "10", 5)]));
        assert_eq!(text(&same_time, "a").unwrap(), "10", "of two fetches of one time, the one that came later");
    }

    #[test]
    fn retain_drops_the_other_features() {
        let kept = row(&[("a", "1", 5), ("b", "2", 9)]).retain(|_, cell| cell.fetched_at.timestamp().0 > 6);
        assert_eq!((text(&kept, "a"), text(&kept, "b")), (None, Some("2".into())));
    }

    #[test]
    fn a_row_over_its_limit_drops_the_features_fetched_longest_ago() {
        let limits = RowLimits { features: 3, bytes: 100_000 };
        let one = row(&[("a", "1", 5), ("b", "2", 9)]);
        assert!(one.bounded(limits).is_none());
        let merged = one.merge(&row(&[("c", "3", 7), ("d", "4", 7)]));
        let kept = merged.bounded(limits).unwrap();
        assert_eq!(["a", "b", "c", "d"].map(|name| text(&kept, name).is_some()), [false, true, true, true]);
        assert!(kept.bounded(limits).is_none());
        let mut row_so_far = row(&[("f0", "0", 0)]);
        for fetch in 1..2_000 {
            row_so_far = row_so_far.merge(&row(&[(&format!("f{fetch}"), "0", fetch)]));
            row_so_far = row_so_far.bounded(RowLimits { features: 100, bytes: 100_000 }).unwrap_or(row_so_far);
            assert!(row_so_far.schema().features().len() <= 100);
        }
        assert!(text(&row_so_far, "f1999").is_some() && text(&row_so_far, "f1900").is_some());
    }

    #[test]
    fn a_row_over_its_bytes_never_drops_what_was_fetched_last() {
        let long = format!("\"{}\"", "x".repeat(5_000));
        let limits = RowLimits { features: 1_000, bytes: 12_000 };
        let merged = row(&[("a", &long, 5), ("b", &long, 6)]).merge(&row(&[("c", &long, 7)]));
        let kept = merged.bounded(limits).unwrap();
        assert_eq!(["a", "b", "c"].map(|name| text(&kept, name).is_some()), [false, true, true]);
        let newest = row(&[("a", &long, 5), ("b", &long, 5), ("c", &long, 5)]);
        assert!(newest.bounded(limits).is_none(), "it was fetched at once, and is what is asked for");
    }

    #[test]
    fn content_is_compared_without_the_fetch_time() {
        assert!(row(&[("a", "1", 5)]).has_same_content(&row(&[("a", "1", 9)])));
        assert!(!row(&[("a", "1", 5)]).has_same_content(&row(&[("a", "2", 5)])));
        assert!(!row(&[("a", "1", 5)]).has_same_content(&row(&[("b", "1", 5)])));
        assert!(!row(&[("a", "1", 5), ("b", "23", 5)]).has_same_content(&row(&[("a", "12", 5), ("b", "3", 5)])));
    }

    #[test]
    fn a_repeated_name_makes_no_schema() {
        assert!(Schema::new(space(), Box::new([]), Box::new(["a".into(), "a".into()])).is_none());
    }
}
