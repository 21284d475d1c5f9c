//! The offsets of a row's values in its buffer, and how values are read by them.
//!
//! Value boundaries are n + 1 offsets. Memory holds millions of rows, and most have values of similar length, so the offsets lie
//! near a straight line. One byte each then encodes the distance from it. Where a distance does not fit, all offsets take two bytes,
//! or four. Knows nothing of what the values mean. Invariant: reading never fails, and never leaves the buffer, whatever the offsets
//! are.

use crate::row::Slot;

/// How the offsets of a row's values are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum OffsetEncoding {
    /// One byte each: the distance from a line, whose slope precedes them in one byte.
    Linear = 0,
    /// Two bytes each, little-endian.
    U16 = 1,
    /// Four bytes each, little-endian.
    U32 = 2,
}

/// With fewer columns, two bytes each take little memory and are read faster.
const LINEAR_MIN_COLUMNS: usize = 32;

/// Added to a distance, so that it is not negative.
const BIAS: usize = 128;

impl OffsetEncoding {
    /// The bytes that the offsets of so many values take.
    #[inline]
    pub(crate) fn size(self, columns: usize) -> usize {
        match self {
            OffsetEncoding::Linear => columns + 2,
            OffsetEncoding::U16 => (columns + 1) * 2,
            OffsetEncoding::U32 => (columns + 1) * 4,
        }
    }

    /// The bytes that they mostly take, before the encoding is known.
    #[inline]
    pub(crate) fn expected_size(columns: usize) -> usize {
        if columns < LINEAR_MIN_COLUMNS {
            OffsetEncoding::U16.size(columns)
        } else {
            OffsetEncoding::Linear.size(columns)
        }
    }

    /// Appends the offsets of values of these lengths, which precede them in the buffer, and returns their encoding.
    pub(crate) fn write(buffer: &mut Vec<u8>, lengths: &[u32]) -> OffsetEncoding {
        let length = buffer.len();
        if OffsetEncoding::write_linear(buffer, lengths).is_some() {
            return OffsetEncoding::Linear;
        }
        buffer.truncate(length);
        let encoding = if u16::try_from(length).is_ok() { OffsetEncoding::U16 } else { OffsetEncoding::U32 };
        let mut offset = 0_u32;
        for length in lengths.iter().chain([&0]) {
            let bytes = offset.to_le_bytes();
            buffer.extend_from_slice(
                bytes.get(..if encoding == OffsetEncoding::U32 { 4 } else { 2 }).unwrap_or_default(),
            );
            offset += length;
        }
        encoding
    }

    /// Appends the distances from a line, if each fits in a byte.
    fn write_linear(buffer: &mut Vec<u8>, lengths: &[u32]) -> Option<()> {
        if lengths.len() < LINEAR_MIN_COLUMNS {
            return None;
        }
        let slope = (buffer.len() + lengths.len() / 2) / lengths.len();
        buffer.push(u8::try_from(slope).ok()?);
        let (mut offset, mut linear) = (0, 0);
        for length in lengths.iter().chain([&0]) {
            let distance = (offset + BIAS).checked_sub(linear)?;
            buffer.push(u8::try_from(distance).ok()?);
            (offset, linear) = (offset + *length as usize, linear + slope);
        }
        Some(())
    }
}

/// Reads the values of a row.
#[derive(Clone, Copy, Debug)]
pub struct ValueReader<'a> {
    buffer: &'a [u8],
    /// The offsets, and all that follows them.
    offsets: &'a [u8],
    encoding: OffsetEncoding,
    /// The slope of the line, in bytes for each column.
    slope: u8,
}

impl<'a> ValueReader<'a> {
    /// Reads from `buffer`: values of this length in total, followed by their offsets.
    #[inline]
    pub(crate) fn new(buffer: &'a [u8], length: usize, encoding: OffsetEncoding) -> ValueReader<'a> {
        let offsets = buffer.get(length..).unwrap_or_default();
        match offsets.split_first() {
            Some((&slope, offsets)) if encoding == OffsetEncoding::Linear => {
                ValueReader { buffer, offsets, encoding, slope }
            }
            _ => ValueReader { buffer, offsets, encoding, slope: 0 },
        }
    }

    /// The JSON text of the value in `slot`.
    #[must_use]
    pub fn value(&self, slot: Slot) -> &'a [u8] {
        let column = slot.0 as usize;
        let (start, length) = match self.encoding {
            OffsetEncoding::Linear => self.linear(column),
            OffsetEncoding::U16 => self.u16(column),
            OffsetEncoding::U32 => self.u32(column),
        };
        self.buffer.get(start..start.wrapping_add(length)).unwrap_or_default()
    }

    /// The same as a block of fixed size with the value's length: a block is copied faster than an exact length. `None` where offsets
    /// take four bytes, or the buffer ends within the block.
    #[inline]
    #[must_use]
    pub fn copy_block<const N: usize>(&self, slot: Slot) -> Option<(&'a [u8; N], usize)> {
        let column = slot.0 as usize;
        let (start, length) = if self.encoding == OffsetEncoding::Linear {
            self.linear(column)
        } else if self.encoding == OffsetEncoding::U16 {
            self.u16(column)
        } else {
            return None;
        };
        Some((self.buffer.get(start..start.wrapping_add(N))?.first_chunk()?, length))
    }

    /// The start and the length of a column's value.
    #[inline]
    fn linear(&self, column: usize) -> (usize, usize) {
        let slope = usize::from(self.slope);
        let both = usize::from(u16::from_le_bytes(self.at(column)));
        let (distance, next) = (both & 0xff, both >> 8);
        let start = (column.wrapping_mul(slope).wrapping_add(distance)).wrapping_sub(BIAS);
        (start, (slope + next).wrapping_sub(distance))
    }

    #[inline]
    fn u16(&self, column: usize) -> (usize, usize) {
        let both = u32::from_le_bytes(self.at(column.wrapping_mul(2))) as usize;
        let (start, end) = (both & 0xffff, both >> 16);
        (start, end.wrapping_sub(start))
    }

    fn u32(&self, column: usize) -> (usize, usize) {
        let both = u64::from_le_bytes(self.at(column.wrapping_mul(4)));
        let (start, end) = (both as u32 as usize, (both >> 32) as usize);
        (start, end.wrapping_sub(start))
    }

    /// `N` bytes of the offsets.
    #[inline]
    fn at<const N: usize>(&self, at: usize) -> [u8; N] {
        self.offsets.get(at..).and_then(|offsets| offsets.first_chunk()).copied().unwrap_or([0; N])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer of values of these lengths, each of its own byte, and a key; the values' total length, and the encoding of their offsets.
    fn buffer(lengths: &[u32]) -> (Vec<u8>, usize, OffsetEncoding) {
        let text = |(column, &length): (usize, &u32)| vec![column as u8; length as usize];
        let mut buffer: Vec<u8> = lengths.iter().enumerate().flat_map(text).collect();
        let length = buffer.len();
        let encoding = OffsetEncoding::write(&mut buffer, lengths);
        assert_eq!(buffer.len() - length, encoding.size(lengths.len()));
        buffer.extend_from_slice(b"key");
        (buffer, length, encoding)
    }

    fn check(lengths: &[u32], expected: OffsetEncoding) {
        let (buffer, length, encoding) = buffer(lengths);
        assert_eq!(encoding, expected, "{} columns", lengths.len());
        let values = ValueReader::new(&buffer, length, encoding);
        let mut start = 0;
        for (column, &length) in lengths.iter().enumerate() {
            let text = vec![column as u8; length as usize];
            let slot = Slot(column as u32);
            assert_eq!(values.value(slot), text, "{column} of {}, {encoding:?}", lengths.len());
            match values.copy_block::<8>(slot) {
                Some((block, known)) => {
                    assert_eq!(known, length as usize);
                    assert_eq!(block[..known.min(8)], text[..known.min(8)]);
                }
                None => assert!(encoding == OffsetEncoding::U32 || start + 8 > buffer.len()),
            }
            start += length as usize;
        }
    }

    #[test]
    fn each_encoding_finds_every_value() {
        check(&[], OffsetEncoding::U16);
        check(&[5], OffsetEncoding::U16);
        check(&[4, 18, 19, 17, 20, 18, 18, 16, 21], OffsetEncoding::U16);
        check(&[0; 40], OffsetEncoding::Linear);
        check(&(0..60).map(|column| 16 + column % 5).collect::<Vec<_>>(), OffsetEncoding::Linear);
        check(&(0..1_000).map(|column| 17 + column % 3).collect::<Vec<_>>(), OffsetEncoding::Linear);
        check(&vec![255; 200], OffsetEncoding::Linear);
        check(&vec![256; 200], OffsetEncoding::U16);
        check(&[1, 300], OffsetEncoding::U16);
        check(&(0..60).map(|column| if column < 30 { 1 } else { 20 }).collect::<Vec<_>>(), OffsetEncoding::U16);
        check(&[300, 1, 1, 1], OffsetEncoding::U16);
        check(&[70_000, 2], OffsetEncoding::U32);
        check(&[1_500; 128], OffsetEncoding::U32);
    }

    #[test]
    fn a_column_out_of_range_reads_within_the_buffer() {
        for lengths in [&[2, 3][..], &[1, 300], &[70_000, 2]] {
            let (buffer, length, encoding) = buffer(lengths);
            let values = ValueReader::new(&buffer, length, encoding);
            for column in [2, 3, 1_000, u32::MAX - 1, u32::MAX] {
                assert!(values.value(Slot(column)).len() <= buffer.len());
                let _ = values.copy_block::<32>(Slot(column));
            }
        }
    }
}
