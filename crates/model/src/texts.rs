//! The texts of a row's values: how they are told apart in its buffer, and how they are read.
//!
//! What tells them apart are the places where each begins, and the one where the last ends. Rows are held by the million, and most have
//! texts of about one length, so these places lie near a line from the first to the last: one byte for each then says how far
//! from it. Where the line is too far from one, all stand as they are, in two bytes each, or in four. Knows nothing of what the texts
//! mean. Invariant: reading never fails, and nothing outside the buffer is read, whatever the places say.

use crate::row::Slot;

/// How the places where a row's texts begin are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Places {
    /// By their distance from a line, whose slope stands before them in one byte.
    Line = 0,
    /// In two bytes each, little-endian.
    Narrow = 1,
    /// In four.
    Wide = 2,
}

/// Fewer columns' places take little as they are, and are read a little sooner.
const LINE_FROM: usize = 32;

/// How much is added to a distance, so that it is no less than nothing.
const MIDDLE: usize = 128;

impl Places {
    /// How many bytes the places of so many texts take.
    #[inline]
    pub(crate) fn size(self, columns: usize) -> usize {
        match self {
            Places::Line => columns + 2,
            Places::Narrow => (columns + 1) * 2,
            Places::Wide => (columns + 1) * 4,
        }
    }

    /// How many bytes they mostly take, before it is known how they can be written.
    #[inline]
    pub(crate) fn usual_size(columns: usize) -> usize {
        if columns < LINE_FROM { Places::Narrow.size(columns) } else { Places::Line.size(columns) }
    }

    /// Writes where texts of these lengths begin behind the texts themselves, and says how.
    pub(crate) fn push(buffer: &mut Vec<u8>, lengths: &[u32]) -> Places {
        let length = buffer.len();
        if Places::push_line(buffer, lengths).is_some() {
            return Places::Line;
        }
        buffer.truncate(length);
        let form = if u16::try_from(length).is_ok() { Places::Narrow } else { Places::Wide };
        let mut place = 0_u32;
        for length in lengths.iter().chain([&0]) {
            let bytes = place.to_le_bytes();
            buffer.extend_from_slice(bytes.get(..if form == Places::Wide { 4 } else { 2 }).unwrap_or_default());
            place += length;
        }
        form
    }

    /// Writes the distances from a line, if each fits in a byte.
    fn push_line(buffer: &mut Vec<u8>, lengths: &[u32]) -> Option<()> {
        if lengths.len() < LINE_FROM {
            return None;
        }
        let slope = (buffer.len() + lengths.len() / 2) / lengths.len();
        buffer.push(u8::try_from(slope).ok()?);
        let (mut place, mut on_line) = (0, 0);
        for length in lengths.iter().chain([&0]) {
            let distance = (place + MIDDLE).checked_sub(on_line)?;
            buffer.push(u8::try_from(distance).ok()?);
            (place, on_line) = (place + *length as usize, on_line + slope);
        }
        Some(())
    }
}

/// The texts of a row's values.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    buffer: &'a [u8],
    /// Where they begin, and all that stands behind.
    places: &'a [u8],
    form: Places,
    /// The line's, in bytes for each column.
    slope: u8,
}

impl<'a> Texts<'a> {
    /// The texts in `buffer`, which have this length, and stand before their places.
    #[inline]
    pub(crate) fn new(buffer: &'a [u8], length: usize, form: Places) -> Texts<'a> {
        let places = buffer.get(length..).unwrap_or_default();
        match places.split_first() {
            Some((&slope, places)) if form == Places::Line => Texts { buffer, places, form, slope },
            _ => Texts { buffer, places, form, slope: 0 },
        }
    }

    /// The JSON text of the value in `slot`.
    #[must_use]
    pub fn value(&self, slot: Slot) -> &'a [u8] {
        let column = slot.0 as usize;
        let (start, length) = match self.form {
            Places::Line => self.on_line(column),
            Places::Narrow => self.narrow(column),
            Places::Wide => self.wide(column),
        };
        self.buffer.get(start..start.wrapping_add(length)).unwrap_or_default()
    }

    /// The same, with whatever stands behind it, as a block of fixed size, which moves sooner than an exact length, and the text's
    /// length; `None` where the places are wide or the buffer ends there.
    #[inline]
    #[must_use]
    pub fn block<const N: usize>(&self, slot: Slot) -> Option<(&'a [u8; N], usize)> {
        let column = slot.0 as usize;
        let (start, length) = if self.form == Places::Line {
            self.on_line(column)
        } else if self.form == Places::Narrow {
            self.narrow(column)
        } else {
            return None;
        };
        Some((self.buffer.get(start..start.wrapping_add(N))?.first_chunk()?, length))
    }

    /// Where the text of a column begins, and how long it is.
    #[inline]
    fn on_line(&self, column: usize) -> (usize, usize) {
        let slope = usize::from(self.slope);
        let both = usize::from(u16::from_le_bytes(self.at(column)));
        let (distance, next) = (both & 0xff, both >> 8);
        let start = (column.wrapping_mul(slope).wrapping_add(distance)).wrapping_sub(MIDDLE);
        (start, (slope + next).wrapping_sub(distance))
    }

    #[inline]
    fn narrow(&self, column: usize) -> (usize, usize) {
        let both = u32::from_le_bytes(self.at(column.wrapping_mul(2))) as usize;
        let (start, end) = (both & 0xffff, both >> 16);
        (start, end.wrapping_sub(start))
    }

    fn wide(&self, column: usize) -> (usize, usize) {
        let both = u64::from_le_bytes(self.at(column.wrapping_mul(4)));
        let (start, end) = (both as u32 as usize, (both >> 32) as usize);
        (start, end.wrapping_sub(start))
    }

    /// So many bytes of the places.
    #[inline]
    fn at<const N: usize>(&self, at: usize) -> [u8; N] {
        self.places.get(at..).and_then(|places| places.first_chunk()).copied().unwrap_or([0; N])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The buffer of texts of these lengths, each of bytes of its own, and what stands behind; how long the texts are, and the form of their places.
    fn buffer(lengths: &[u32]) -> (Vec<u8>, usize, Places) {
        let text = |(column, &length): (usize, &u32)| vec![column as u8; length as usize];
        let mut buffer: Vec<u8> = lengths.iter().enumerate().flat_map(text).collect();
        let length = buffer.len();
        let form = Places::push(&mut buffer, lengths);
        assert_eq!(buffer.len() - length, form.size(lengths.len()));
        buffer.extend_from_slice(b"key");
        (buffer, length, form)
    }

    fn check(lengths: &[u32], expected: Places) {
        let (buffer, length, form) = buffer(lengths);
        assert_eq!(form, expected, "{} columns", lengths.len());
        let texts = Texts::new(&buffer, length, form);
        let mut start = 0;
        for (column, &length) in lengths.iter().enumerate() {
            let text = vec![column as u8; length as usize];
            let slot = Slot(column as u32);
            assert_eq!(texts.value(slot), text, "{column} of {}, {form:?}", lengths.len());
            match texts.block::<8>(slot) {
                Some((block, known)) => {
                    assert_eq!(known, length as usize);
                    assert_eq!(block[..known.min(8)], text[..known.min(8)]);
                }
                None => assert!(form == Places::Wide || start + 8 > buffer.len()),
            }
            start += length as usize;
        }
    }

    #[test]
    fn every_text_is_found_in_each_form() {
        check(&[], Places::Narrow);
        check(&[5], Places::Narrow);
        check(&[4, 18, 19, 17, 20, 18, 18, 16, 21], Places::Narrow);
        check(&[0; 40], Places::Line);
        check(&(0..60).map(|column| 16 + column % 5).collect::<Vec<_>>(), Places::Line);
        check(&(0..1_000).map(|column| 17 + column % 3).collect::<Vec<_>>(), Places::Line);
        check(&vec![255; 200], Places::Line);
        check(&vec![256; 200], Places::Narrow);
        check(&[1, 300], Places::Narrow);
        check(&(0..60).map(|column| if column < 30 { 1 } else { 20 }).collect::<Vec<_>>(), Places::Narrow);
        check(&[300, 1, 1, 1], Places::Narrow);
        check(&[70_000, 2], Places::Wide);
        check(&[1_500; 128], Places::Wide);
    }

    #[test]
    fn a_column_that_is_not_there_is_no_fault() {
        for lengths in [&[2, 3][..], &[1, 300], &[70_000, 2]] {
            let (buffer, length, form) = buffer(lengths);
            let texts = Texts::new(&buffer, length, form);
            for column in [2, 3, 1_000, u32::MAX - 1, u32::MAX] {
                assert!(texts.value(Slot(column)).len() <= buffer.len());
                let _ = texts.block::<32>(Slot(column));
            }
        }
    }
}
