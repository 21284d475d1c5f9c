//! Answers in columns of numbers, for callers in the same process who would only parse the JSON again.
//!
//! Knows what is asked and found, and how JSON writes a number; it reads no request. Its invariant: a number is the one
//! nearest to its decimal text, as `f64` or `f32`. All numbers are little-endian, and each part begins at a multiple of 8:
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
use protocol::native::{Numbers, Reply};
use protocol::response_buffer::ResponseBuffer;

mod decimal;

use decimal::Decimal;

/// Vectors of rows in memory as they were parsed before: parsing one takes a hundred times as long as copying it.
/// A row never changes, so they hold for as long as it does.
#[derive(Debug)]
pub struct Vectors {
    known: HashMap<Whose, Vector, foldhash::fast::FixedState>,
    bytes: usize,
    max_bytes: usize,
}

/// A row's address, the slot, and whether the numbers are `f32`.
type Whose = (usize, u32, bool);

/// The row, whose address is not given to another while this is held, and the numbers.
type Vector = (Weak<Row>, Box<[u8]>);

/// What holds one vector beside its numbers, in bytes, and what is left of its row once that is gone.
const VECTOR_OVERHEAD: usize = 192;

impl Vectors {
    /// None yet, and at most `max_bytes` of them.
    #[must_use]
    pub fn new(max_bytes: usize) -> Vectors {
        Vectors { known: HashMap::default(), bytes: 0, max_bytes }
    }

    /// The memory that they take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn get(&self, row: &Rc<Row>, slot: Slot, is_narrow: bool) -> Option<&[u8]> {
        self.known.get(&(Rc::as_ptr(row) as usize, slot.0, is_narrow)).map(|(_, bytes)| &**bytes)
    }

    fn put(&mut self, row: &Rc<Row>, slot: Slot, is_narrow: bool, bytes: &[u8]) {
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
            self.known.insert((Rc::as_ptr(row) as usize, slot.0, is_narrow), (Rc::downgrade(row), bytes.into()));
        }
    }
}

/// Writes the answer.
#[inline(never)]
pub fn write(sheet: &mut ResponseBuffer, reply: &Reply<'_>, numbers: Numbers, vectors: &mut Vectors) {
    sheet.clear();
    let rows = reply.request.call.rows;
    let names = names(reply);
    push_u32(sheet, rows);
    push_u32(sheet, names.len());
    for (column, name) in names.iter().enumerate() {
        let cells = (0..rows).map(|row| place(reply, column, name, row)).collect();
        Column { cells, reply, numbers }.write(sheet, name, vectors);
    }
}

/// The names of the columns: the request's, or of a feature service's answer all that any row has.
fn names<'a>(reply: &'a Reply<'_>) -> Vec<&'a str> {
    if reply.plan.service.is_none() {
        return reply.plan.outputs.iter().map(|output| &*output.name).collect();
    }
    let mut names: Vec<&str> = Vec::new();
    for row in reply.answer.found.iter().filter_map(|found| found.row.as_ref()) {
        for name in row.schema().features() {
            if !names.contains(&&**name) {
                names.push(name);
            }
        }
    }
    names
}

type Place<'a> = Option<(&'a Rc<Row>, Slot, &'a Cell)>;

fn place<'a>(reply: &'a Reply<'_>, column: usize, name: &str, row: usize) -> Place<'a> {
    let found = |view: usize| reply.answer.found.get(view * reply.request.call.rows + row)?.row.as_ref();
    let (row, slot) = if reply.plan.service.is_some() {
        let row = found(0)?;
        (row, row.schema().feature_slot(name)?)
    } else {
        let output = reply.plan.outputs.get(column)?;
        let row = found(output.view)?;
        (row, reply.plan.views.get(output.view)?.slots(row.schema()).at(output.column)?)
    };
    Some((row, slot, row.cell(slot)?))
}

struct Column<'a> {
    cells: Vec<Place<'a>>,
    reply: &'a Reply<'a>,
    numbers: Numbers,
}

impl Column<'_> {
    fn write(&self, sheet: &mut ResponseBuffer, name: &str, vectors: &mut Vectors) {
        let start = sheet.len();
        let first = self.texts().flatten().find(|text| *text != b"null").and_then(|text| text.first());
        let is_vector = first == Some(&b'[');
        let may_be_numbers = matches!(first, None | Some(b'[' | b'-' | b'0'..=b'9'));
        let is_narrow = if is_vector { self.numbers.are_vectors_narrow } else { self.numbers.are_scalars_narrow };
        if may_be_numbers {
            self.write_head(sheet, name, usize::from(is_narrow));
            let values = sheet.len();
            let written = if is_vector {
                self.write_vectors(sheet, is_narrow, vectors)
            } else {
                self.write_scalars(sheet, is_narrow).then_some(0)
            };
            if let Some(dimension) = written {
                return finish(sheet, start, dimension, values);
            }
            sheet.truncate(start);
        }
        self.write_head(sheet, name, 2);
        let values = sheet.len();
        sheet.push(b"[");
        for text in self.texts() {
            sheet.push(text.unwrap_or(b"null"));
            sheet.push(b",");
        }
        sheet.drop_comma();
        sheet.push(b"]");
        finish(sheet, start, 0, values);
    }

    fn texts(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.cells.iter().map(|cell| cell.map(|(row, slot, _)| row.value(slot)))
    }

    /// All before the values; what only they tell is filled in by [`finish`].
    fn write_head(&self, sheet: &mut ResponseBuffer, name: &str, kind: usize) {
        for number in [kind, 0, name.len(), 0] {
            push_u32(sheet, number);
        }
        sheet.push(name.as_bytes());
        pad(sheet);
        for cell in &self.cells {
            let age =
                cell.map_or(f64::NAN, |(_, _, cell)| self.reply.now.millis_since(cell.fetched_at.timestamp()) as f64);
            sheet.push(&age.to_le_bytes());
        }
        for cell in &self.cells {
            sheet.push(&[cell.map_or(Status::Invalid, |(_, _, cell)| cell.status) as u8]);
        }
        pad(sheet);
    }

    /// Writes numbers that stand alone; whether all are.
    fn write_scalars(&self, sheet: &mut ResponseBuffer, is_narrow: bool) -> bool {
        self.texts().all(|text| match text {
            None | Some(b"null") => {
                push_nan(sheet, is_narrow);
                true
            }
            Some(text) => self.push_number(sheet, text, is_narrow),
        })
    }

    /// Writes vectors and returns their length, if all are of numbers and have the same.
    fn write_vectors(&self, sheet: &mut ResponseBuffer, is_narrow: bool, vectors: &mut Vectors) -> Option<usize> {
        let width = if is_narrow { 4 } else { 8 };
        // Where the first values are missing, only later ones tell how long they are.
        let mut missing = 0;
        let mut dimension = None;
        for cell in &self.cells {
            let known = cell.map(|(row, slot, _)| (row, slot, row.value(slot))).filter(|(.., text)| *text != b"null");
            let Some((row, slot, text)) = known else {
                match dimension {
                    Some(dimension) => (0..dimension).for_each(|_| push_nan(sheet, is_narrow)),
                    None => missing += 1,
                }
                continue;
            };
            let dimension = *dimension.get_or_insert_with(|| text.iter().filter(|&&byte| byte == b',').count() + 1);
            for _ in 0..core::mem::take(&mut missing) * dimension {
                push_nan(sheet, is_narrow);
            }
            if let Some(bytes) = vectors.get(row, slot, is_narrow) {
                if bytes.len() != dimension * width {
                    return None;
                }
                sheet.push(bytes);
                continue;
            }
            let place = sheet.push_unwritten(dimension * width);
            if is_narrow {
                let long = |text: &[u8], behind: &[u8]| self.long(before(text, behind)) as f32;
                fill(place, text, |exact, text, behind| {
                    exact.to_f32().unwrap_or_else(|| long(text, behind)).to_le_bytes()
                })?;
            } else {
                let long = |text: &[u8], behind: &[u8]| self.long(before(text, behind));
                fill(place, text, |exact, text, behind| {
                    exact.to_f64().unwrap_or_else(|| long(text, behind)).to_le_bytes()
                })?;
            }
            vectors.put(row, slot, is_narrow, place);
        }
        dimension
    }

    /// Writes a number that stands alone, if `text` is one.
    fn push_number(&self, sheet: &mut ResponseBuffer, text: &[u8], is_narrow: bool) -> bool {
        let Some(exact) = decimal::parse(text) else { return false };
        if is_narrow {
            sheet.push_fixed(&exact.to_f32().unwrap_or_else(|| self.long(text) as f32).to_le_bytes());
        } else {
            sheet.push_fixed(&exact.to_f64().unwrap_or_else(|| self.long(text)).to_le_bytes());
        }
        true
    }

    /// A number whose text is too long for us.
    #[cold]
    fn long(&self, text: &[u8]) -> f64 {
        core::str::from_utf8(text).map_or(f64::NAN, self.numbers.read_long)
    }
}

/// Fills `place` with the numbers of the vector `text`, each of `N` bytes, if it is one of just so many numbers.
#[inline]
fn fill<const N: usize>(
    place: &mut [u8],
    text: &[u8],
    bytes_of: impl Fn(Decimal, &[u8], &[u8]) -> [u8; N],
) -> Option<()> {
    let mut rest = text.strip_prefix(b"[")?;
    let (places, _) = place.as_chunks_mut::<N>();
    let last = places.len().checked_sub(1)?;
    for (number, place) in places.iter_mut().enumerate() {
        let text = after_spaces(rest);
        let (exact, behind) = decimal::read_plain(text).or_else(|| decimal::read(text))?;
        *place = bytes_of(exact, text, behind);
        rest = match after_spaces(behind) {
            [b',', behind @ ..] if number < last => behind,
            [b']'] if number == last => &[],
            _ => return None,
        };
    }
    Some(())
}

/// What stands in `text` before `behind`, its end.
fn before<'a>(text: &'a [u8], behind: &[u8]) -> &'a [u8] {
    text.get(..text.len() - behind.len()).unwrap_or_default()
}

/// Mostly there are none.
#[inline]
fn after_spaces(text: &[u8]) -> &[u8] {
    match text {
        [first, ..] if *first > b' ' => text,
        _ => text.trim_ascii_start(),
    }
}

fn push_u32(sheet: &mut ResponseBuffer, number: usize) {
    sheet.push(&(number as u32).to_le_bytes());
}

fn push_nan(sheet: &mut ResponseBuffer, is_narrow: bool) {
    if is_narrow {
        sheet.push(&f32::NAN.to_le_bytes());
    } else {
        sheet.push(&f64::NAN.to_le_bytes());
    }
}

fn pad(sheet: &mut ResponseBuffer) {
    let excess = sheet.len() % 8;
    if excess > 0 {
        sheet.push([0; 8].get(excess..).unwrap_or_default());
    }
}

/// Writes into the head at `start` what the values from `values` on have told.
fn finish(sheet: &mut ResponseBuffer, start: usize, dimension: usize, values: usize) {
    let length = sheet.len() - values;
    sheet.put(start + 4, &(dimension as u32).to_le_bytes());
    sheet.put(start + 12, &(length as u32).to_le_bytes());
    pad(sheet);
}
