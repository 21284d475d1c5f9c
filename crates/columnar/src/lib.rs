//! Columnar responses: columns of binary numbers, for callers in the same process, which would only parse the JSON again.
//!
//! Knows a query's results and JSON numbers, and reads no request. Invariant: a number is the `f64` or `f32` nearest to its decimal
//! text. `npm/src/columns.js` decodes a response; `tests/npm/columns.test.mjs` is a runnable example.
//! All numbers are little-endian, and each part begins at a multiple of 8:
//!
//! ```text
//! rows: u32, columns: u32, then for each column
//!   kind: u32 (0: f64, 1: f32, 2: a JSON array of the values), numbers per value: u32 (0: no vectors)
//!   length of the name: u32, length of the values: u32, in bytes
//!   the name in UTF-8; ages in milliseconds: f64 each, NaN where nothing is known; statuses: u8 each; the values
//! ```

use std::rc::{Rc, Weak};

use hashbrown::HashMap;

use model::row::{Row, Slot};
use model::value::{Cell, Status};
use protocol::native::{NativeResponse, NumberEncoding};
use protocol::response_buffer::ResponseBuffer;

mod decimal;

use decimal::Decimal;

/// Caches parsed vectors of rows in L1: parsing one takes a hundred times as long as copying it. A row never changes, so a vector is
/// valid as long as its row exists.
#[derive(Debug)]
pub struct Vectors {
    known: HashMap<VectorKey, CachedVector, foldhash::fast::FixedState>,
    bytes: usize,
    max_bytes: usize,
}

/// A row's address, the slot, and whether the numbers are `f32`.
type VectorKey = (usize, u32, bool);

/// A reference to the row, by which no other row gets its address, and the numbers.
type CachedVector = (Weak<Row>, Box<[u8]>);

/// The overhead of one vector, in bytes, with what is left of its row once that is dropped.
const VECTOR_OVERHEAD: usize = 192;

impl Vectors {
    /// No vectors yet, of at most `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Vectors {
        Vectors { known: HashMap::default(), bytes: 0, max_bytes }
    }

    /// Their memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn get(&self, row: &Rc<Row>, slot: Slot, is_f32: bool) -> Option<&[u8]> {
        self.known.get(&(Rc::as_ptr(row) as usize, slot.0, is_f32)).map(|(_, bytes)| &**bytes)
    }

    fn put(&mut self, row: &Rc<Row>, slot: Slot, is_f32: bool, bytes: &[u8]) {
        let size = bytes.len() + VECTOR_OVERHEAD;
        if self.bytes + size > self.max_bytes {
            self.known.retain(|_, (row, _)| row.strong_count() > 0);
            self.bytes = self.known.values().map(|(_, bytes)| bytes.len() + VECTOR_OVERHEAD).sum();
        }
        if self.bytes + size > self.max_bytes {
            self.known.clear();
            self.bytes = 0;
        }
        if size <= self.max_bytes {
            self.bytes += size;
            self.known.insert((Rc::as_ptr(row) as usize, slot.0, is_f32), (Rc::downgrade(row), bytes.into()));
        }
    }
}

/// Writes the response.
#[inline(never)]
pub fn write(
    buffer: &mut ResponseBuffer,
    response: &NativeResponse<'_>,
    numbers: NumberEncoding,
    vectors: &mut Vectors,
) {
    buffer.clear();
    let rows = response.request.fields.rows;
    let names = names(response);
    push_u32(buffer, rows);
    push_u32(buffer, names.len());
    for (column, name) in names.iter().enumerate() {
        let cells = (0..rows).map(|row| value_of(response, column, name, row)).collect();
        Column { cells, response, numbers }.write(buffer, name, vectors);
    }
}

/// The names of the columns: those of the request, or of a feature service all that any row has.
fn names<'a>(response: &'a NativeResponse<'_>) -> Vec<&'a str> {
    if response.plan.service.is_none() {
        return response.plan.outputs.iter().map(|output| &*output.name).collect();
    }
    let mut names: Vec<&str> = Vec::new();
    for row in response.answer.found.iter().filter_map(|found| found.row.as_ref()) {
        for name in row.schema().features() {
            if !names.contains(&&**name) {
                names.push(name);
            }
        }
    }
    names
}

type Value<'a> = Option<(&'a Rc<Row>, Slot, &'a Cell)>;

fn value_of<'a>(response: &'a NativeResponse<'_>, column: usize, name: &str, row: usize) -> Value<'a> {
    let found = |view: usize| response.answer.found.get(view * response.request.fields.rows + row)?.row.as_ref();
    let (row, slot) = if response.plan.service.is_some() {
        let row = found(0)?;
        (row, row.schema().feature_slot(name)?)
    } else {
        let output = response.plan.outputs.get(column)?;
        let row = found(output.view)?;
        (row, response.plan.views.get(output.view)?.slots(row.schema()).at(output.column)?)
    };
    Some((row, slot, row.cell(slot)?))
}

struct Column<'a> {
    cells: Vec<Value<'a>>,
    response: &'a NativeResponse<'a>,
    numbers: NumberEncoding,
}

impl Column<'_> {
    fn write(&self, buffer: &mut ResponseBuffer, name: &str, vectors: &mut Vectors) {
        let start = buffer.len();
        let first = self.json_values().flatten().find(|text| *text != b"null").and_then(|text| text.first());
        let is_vector = first == Some(&b'[');
        let may_be_numbers = matches!(first, None | Some(b'[' | b'-' | b'0'..=b'9'));
        let is_f32 = if is_vector { self.numbers.are_vectors_f32 } else { self.numbers.are_scalars_f32 };
        if may_be_numbers {
            self.write_head(buffer, name, usize::from(is_f32));
            let values = buffer.len();
            let written = if is_vector {
                self.write_vectors(buffer, is_f32, vectors)
            } else {
                self.write_scalars(buffer, is_f32).then_some(0)
            };
            if let Some(dimension) = written {
                return finish(buffer, start, dimension, values);
            }
            buffer.truncate(start);
        }
        self.write_head(buffer, name, 2);
        let values = buffer.len();
        buffer.push(b"[");
        for text in self.json_values() {
            buffer.push(text.unwrap_or(b"null"));
            buffer.push(b",");
        }
        buffer.pop_comma();
        buffer.push(b"]");
        finish(buffer, start, 0, values);
    }

    fn json_values(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.cells.iter().map(|cell| cell.map(|(row, slot, _)| row.value(slot)))
    }

    /// Writes all before the values; [`finish`] fills in what depends on them.
    fn write_head(&self, buffer: &mut ResponseBuffer, name: &str, kind: usize) {
        for number in [kind, 0, name.len(), 0] {
            push_u32(buffer, number);
        }
        buffer.push(name.as_bytes());
        pad(buffer);
        for cell in &self.cells {
            let age = cell
                .map_or(f64::NAN, |(_, _, cell)| self.response.now.millis_since(cell.fetched_at.timestamp()) as f64);
            buffer.push(&age.to_le_bytes());
        }
        for cell in &self.cells {
            buffer.push(&[cell.map_or(Status::Invalid, |(_, _, cell)| cell.status) as u8]);
        }
        pad(buffer);
    }

    /// Writes scalars; returns whether all are numbers.
    fn write_scalars(&self, buffer: &mut ResponseBuffer, is_f32: bool) -> bool {
        self.json_values().all(|text| match text {
            None | Some(b"null") => {
                push_nan(buffer, is_f32);
                true
            }
            Some(text) => self.push_number(buffer, text, is_f32),
        })
    }

    /// Writes vectors and returns their length, if all are of numbers and have the same.
    fn write_vectors(&self, buffer: &mut ResponseBuffer, is_f32: bool, vectors: &mut Vectors) -> Option<usize> {
        let width = if is_f32 { 4 } else { 8 };
        // Where the first values are missing, the length of vectors is known later.
        let mut missing = 0;
        let mut dimension = None;
        for cell in &self.cells {
            let known = cell.map(|(row, slot, _)| (row, slot, row.value(slot))).filter(|(.., text)| *text != b"null");
            let Some((row, slot, text)) = known else {
                match dimension {
                    Some(dimension) => (0..dimension).for_each(|_| push_nan(buffer, is_f32)),
                    None => missing += 1,
                }
                continue;
            };
            let dimension = *dimension.get_or_insert_with(|| text.iter().filter(|&&byte| byte == b',').count() + 1);
            for _ in 0..core::mem::take(&mut missing) * dimension {
                push_nan(buffer, is_f32);
            }
            if let Some(bytes) = vectors.get(row, slot, is_f32) {
                if bytes.len() != dimension * width {
                    return None;
                }
                buffer.push(bytes);
                continue;
            }
            let target = buffer.push_space(dimension * width);
            if is_f32 {
                let long = |text: &[u8], after: &[u8]| self.long(before(text, after)) as f32;
                fill(target, text, |exact, text, after| {
                    exact.to_f32().unwrap_or_else(|| long(text, after)).to_le_bytes()
                })?;
            } else {
                let long = |text: &[u8], after: &[u8]| self.long(before(text, after));
                fill(target, text, |exact, text, after| {
                    exact.to_f64().unwrap_or_else(|| long(text, after)).to_le_bytes()
                })?;
            }
            vectors.put(row, slot, is_f32, target);
        }
        dimension
    }

    /// Writes a scalar, if `text` is a number.
    fn push_number(&self, buffer: &mut ResponseBuffer, text: &[u8], is_f32: bool) -> bool {
        let Some(exact) = decimal::parse(text) else { return false };
        if is_f32 {
            buffer.push_array(&exact.to_f32().unwrap_or_else(|| self.long(text) as f32).to_le_bytes());
        } else {
            buffer.push_array(&exact.to_f64().unwrap_or_else(|| self.long(text)).to_le_bytes());
        }
        true
    }

    /// A number with too many digits for exact 64-bit arithmetic.
    #[cold]
    fn long(&self, text: &[u8]) -> f64 {
        core::str::from_utf8(text).map_or(f64::NAN, self.numbers.read_long)
    }
}

/// Fills `target` with the numbers of the vector `text`, each of `N` bytes, if it is one of just so many numbers.
#[inline]
fn fill<const N: usize>(
    target: &mut [u8],
    text: &[u8],
    bytes_of: impl Fn(Decimal, &[u8], &[u8]) -> [u8; N],
) -> Option<()> {
    let mut rest = text.strip_prefix(b"[")?;
    let (targets, _) = target.as_chunks_mut::<N>();
    let last = targets.len().checked_sub(1)?;
    for (number, target) in targets.iter_mut().enumerate() {
        let text = after_spaces(rest);
        let (exact, after) = decimal::read_plain(text).or_else(|| decimal::read(text))?;
        *target = bytes_of(exact, text, after);
        rest = match after_spaces(after) {
            [b',', after @ ..] if number < last => after,
            [b']'] if number == last => &[],
            _ => return None,
        };
    }
    Some(())
}

/// The part of `text` before its suffix `after`.
fn before<'a>(text: &'a [u8], after: &[u8]) -> &'a [u8] {
    text.get(..text.len() - after.len()).unwrap_or_default()
}

/// `text` without leading spaces; mostly there are none.
#[inline]
fn after_spaces(text: &[u8]) -> &[u8] {
    match text {
        [first, ..] if *first > b' ' => text,
        _ => text.trim_ascii_start(),
    }
}

fn push_u32(buffer: &mut ResponseBuffer, number: usize) {
    buffer.push(&(number as u32).to_le_bytes());
}

fn push_nan(buffer: &mut ResponseBuffer, is_f32: bool) {
    if is_f32 {
        buffer.push(&f32::NAN.to_le_bytes());
    } else {
        buffer.push(&f64::NAN.to_le_bytes());
    }
}

fn pad(buffer: &mut ResponseBuffer) {
    let excess = buffer.len() % 8;
    if excess > 0 {
        buffer.push([0; 8].get(excess..).unwrap_or_default());
    }
}

/// Fills in the head at `start` what depends on the values, which begin at `values`.
fn finish(buffer: &mut ResponseBuffer, start: usize, dimension: usize, values: usize) {
    let length = buffer.len() - values;
    buffer.overwrite(start + 4, &(dimension as u32).to_le_bytes());
    buffer.overwrite(start + 12, &(length as u32).to_le_bytes());
    pad(buffer);
}
