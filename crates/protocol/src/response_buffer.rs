//! The buffer of a response: reused between responses, and written in blocks where that is faster.
//!
//! Knows JSON strings and commas, and nothing of what they mean. Invariant: bytes past its length are initialised, and never read.

use core::ops::Range;

use model::short_copy::copy;

/// A growing buffer whose memory is initialised once and reused.
///
/// Most values are shorter than [`BLOCK`] bytes. So a block of fixed size is copied, which compiles to a few moves, and the length
/// advances by the value's length only.
#[derive(Debug, Default)]
pub struct ResponseBuffer {
    bytes: Vec<u8>,
    length: usize,
}

/// The size of the blocks, in bytes: the longest text of a 64-bit number (24) fits, with its comma.
pub const BLOCK: usize = 32;

impl ResponseBuffer {
    /// The written bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The length, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Its memory, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Removes what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// The written bytes as a vector.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        self.bytes.truncate(self.length);
        self.bytes
    }

    /// Appends `bytes`.
    pub fn push(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        if let Some(place) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            copy(place, bytes);
            self.length += bytes.len();
        }
    }

    /// Appends text of a length that is known at compile time: a few moves, and no call.
    #[inline]
    pub fn push_array<const N: usize>(&mut self, text: &[u8; N]) {
        self.reserve(N);
        if let Some(place) = self.bytes.get_mut(self.length..).and_then(|free| free.first_chunk_mut::<N>()) {
            *place = *text;
            self.length += N;
        }
    }

    /// Appends `length` bytes of any content, to be overwritten by the caller.
    pub fn push_space(&mut self, length: usize) -> &mut [u8] {
        self.reserve(length);
        self.length += length;
        self.bytes.get_mut(self.length - length..self.length).unwrap_or_default()
    }

    /// Appends `bytes` `count` times.
    pub fn push_repeated(&mut self, bytes: &[u8], count: usize) {
        let (start, length) = (self.length, bytes.len() * count);
        if count > 0 {
            self.push(bytes);
        }
        while self.length < start + length {
            let written = self.length - start;
            self.repeat(start..start + written.min(length - written));
        }
    }

    /// Appends once more what was written in this range.
    pub fn repeat(&mut self, written: Range<usize>) {
        self.reserve(written.len());
        let Some((before, free)) = self.bytes.split_at_mut_checked(self.length) else { return };
        if let (Some(source), Some(place)) = (before.get(written.clone()), free.get_mut(..written.len())) {
            copy(place, source);
            self.length += written.len();
        }
    }

    /// Appends texts, each with a comma. A text is a block and its length. Stops at the first that has no block, is longer than one, or
    /// does not fit, and returns how many were appended.
    #[inline]
    pub fn push_blocks<'a>(&mut self, texts: impl Iterator<Item = Option<(&'a [u8; BLOCK], usize)>>) -> usize {
        let mut free = self.bytes.get_mut(self.length..).unwrap_or_default();
        let (room, mut count) = (free.len(), 0);
        for text in texts {
            let Some((block, length @ 0..=BLOCK)) = text else { break };
            let all = core::mem::take(&mut free);
            let Some(place) = all.first_chunk_mut::<{ BLOCK + 1 }>() else {
                free = all;
                break;
            };
            if let Some(place) = place.first_chunk_mut() {
                *place = *block;
            }
            if let Some(comma) = place.get_mut(length) {
                *comma = b',';
            }
            free = all.get_mut(length + 1..).unwrap_or_default();
            count += 1;
        }
        self.length += room - free.len();
        count
    }

    /// Appends a number.
    pub fn push_number(&mut self, number: impl core::fmt::Display) {
        self.push_display(number);
    }

    /// Appends anything that can be displayed.
    pub fn push_display(&mut self, thing: impl core::fmt::Display) {
        // Writing to memory cannot fail.
        let _ = core::fmt::Write::write_fmt(self, format_args!("{thing}"));
    }

    /// Appends `plain` as a JSON string.
    pub fn push_json_string(&mut self, plain: &str) {
        if json::is_plain(plain) {
            self.push_array(b"\"");
            self.push(plain.as_bytes());
            self.push_array(b"\"");
        } else {
            let mut text = Vec::with_capacity(plain.len() + 2);
            json::write_string(&mut text, plain);
            self.push(&text);
        }
    }

    /// Overwrites written bytes from `at` on.
    pub fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()).filter(|_| at + bytes.len() <= self.length) {
            place.copy_from_slice(bytes);
        }
    }

    /// Replaces line breaks from `start` on by spaces: in JSON, line breaks occur only between tokens.
    pub fn replace_newlines(&mut self, start: usize) {
        for byte in self.bytes.get_mut(start..self.length).unwrap_or_default() {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }

    /// Removes all but the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Removes a trailing comma, if there is one.
    pub fn pop_comma(&mut self) {
        if self.as_slice().last() == Some(&b',') {
            self.length -= 1;
        }
    }

    #[inline]
    fn reserve(&mut self, more: usize) {
        if self.bytes.len() < self.length + more + BLOCK {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let needed = self.length + more + BLOCK;
        self.bytes.resize(needed.max(self.bytes.len() * 2).max(1_024), 0);
    }
}

impl core::fmt::Write for ResponseBuffer {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_exact_copies_write_the_same() {
        let source: Vec<u8> = (0..=255).collect();
        let mut buffer = ResponseBuffer::default();
        let mut expected = Vec::new();
        for length in 0..150 {
            let block = source[length / 2..].first_chunk().map(|block| (block, length));
            if buffer.push_blocks([block].into_iter()) == 0 {
                buffer.push(&source[length / 2..length / 2 + length]);
                buffer.push_array(b",");
            }
            expected.extend_from_slice(&source[length / 2..length / 2 + length]);
            expected.push(b',');
            buffer.push(&source[..length]);
            expected.extend_from_slice(&source[..length]);
        }
        assert_eq!(buffer.as_slice(), expected);
        for length in 0..150 {
            buffer.repeat(length..length * 2);
            expected.extend_from_within(length..length * 2);
            buffer.push_repeated(&source[..length / 7], length);
            expected.extend_from_slice(&source[..length / 7].repeat(length));
        }
        buffer.push_array(b"fixed,");
        expected.extend_from_slice(b"fixed,");
        assert_eq!(buffer.as_slice(), expected);
        buffer.pop_comma();
        buffer.pop_comma();
        assert_eq!(buffer.len(), expected.len() - 1);
        buffer.clear();
        buffer.push_number(12);
        buffer.push_json_string("a\"b");
        assert_eq!(buffer.into_vec(), b"12\"a\\\"b\"");
    }
}
