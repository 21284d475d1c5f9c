//! The tokens of JSON: whitespace, strings and numbers.
//!
//! Knows no structure. Invariant: everything before a returned offset is valid by the grammar of RFC 8259.

use super::decimal::Decimal;
use super::error::{JsonError, Reason, fail};

#[inline]
pub(super) fn skip_whitespace(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Where the string that begins with the quote at `start` ends, its quote included, and whether it holds escapes.
#[inline]
pub(super) fn string(bytes: &[u8], start: usize) -> Result<(usize, bool), JsonError> {
    let at = find_special(bytes, start + 1);
    if bytes.get(at) == Some(&b'"') { Ok((at + 1, false)) } else { escaped_string(bytes, start, at) }
}

/// As [`string`], from the first byte that is special.
fn escaped_string(bytes: &[u8], start: usize, mut at: usize) -> Result<(usize, bool), JsonError> {
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, true)),
            Some(b'\\') => at = find_special(bytes, escape(bytes, at)?),
            Some(_) => return fail(at, Reason::ControlCharacter),
            None => return fail(start, Reason::UnterminatedString),
        }
    }
}

/// Where the escape that begins with the backslash at `start` ends; a pair of surrogates is one escape.
fn escape(bytes: &[u8], start: usize) -> Result<usize, JsonError> {
    let escape = bytes.get(start + 1..).unwrap_or_default();
    match escape {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(start + 2),
        [b'u', hex @ ..] => match code_unit(hex) {
            Some(0xd800..=0xdbff) => match hex.get(4..) {
                Some([b'\\', b'u', hex @ ..]) if matches!(code_unit(hex), Some(0xdc00..=0xdfff)) => Ok(start + 12),
                _ => fail(start, Reason::LoneSurrogate),
            },
            Some(0xdc00..=0xdfff) => fail(start, Reason::LoneSurrogate),
            Some(_) => Ok(start + 6),
            None => fail(start, Reason::InvalidEscape),
        },
        _ => fail(start, Reason::InvalidEscape),
    }
}

/// The UTF-16 code unit that the four hexadecimal digits at the beginning of `hex` are.
pub(super) fn code_unit(hex: &[u8]) -> Option<u32> {
    hex.first_chunk::<4>()?.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// With no more digits than this before its point, and no exponent of more than two digits, a number is below 1e299, and
/// a double ends only at 1.8e308: no need to compute it.
const SAFE_DIGITS: usize = 200;

/// Where the number that begins at `start` ends.
#[inline]
pub(super) fn number(text: &str, start: usize) -> Result<usize, JsonError> {
    let bytes = text.as_bytes();
    let whole = start + usize::from(bytes.get(start) == Some(&b'-'));
    let mut at = skip_digits(bytes, whole);
    let digits = at - whole;
    if digits == 0 || digits > 1 && bytes.get(whole) == Some(&b'0') {
        return fail(whole, Reason::InvalidNumber);
    }
    if bytes.get(at) == Some(&b'.') {
        let fraction = at + 1;
        at = skip_digits(bytes, fraction);
        if at == fraction {
            return fail(at, Reason::InvalidNumber);
        }
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        return exponent(text, start, at, digits);
    }
    if digits > SAFE_DIGITS { check_range(text, start, at) } else { Ok(at) }
}

/// As [`number`], from the `e` of a number that has so many digits before its point.
fn exponent(text: &str, start: usize, e: usize, digits: usize) -> Result<usize, JsonError> {
    let bytes = text.as_bytes();
    let exponent = match bytes.get(e + 1) {
        Some(b'+' | b'-') => e + 2,
        _ => e + 1,
    };
    let end = skip_digits(bytes, exponent);
    if end == exponent {
        return fail(end, Reason::InvalidNumber);
    }
    if end - exponent > 2 || digits > SAFE_DIGITS { check_range(text, start, end) } else { Ok(end) }
}

/// Returns `end` if the number before it fits a double.
fn check_range(text: &str, start: usize, end: usize) -> Result<usize, JsonError> {
    match text.get(start..end) {
        Some(number) if Decimal::new(number).is_finite() => Ok(end),
        _ => fail(start, Reason::NumberOutOfRange),
    }
}

/// Eight bytes at a time, as one word: `BYTES * n` has `n` in each byte. The tests below check all eight at once
/// ("Bit Twiddling Hacks", Sean Eron Anderson, "Determine if a word has a byte less than n").
const BYTES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = BYTES * 0x80;

/// The offset of the next byte that a string cannot contain unescaped: a quote, a backslash or a control character.
#[inline]
pub(super) fn find_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = word(bytes, at) {
        // A borrow can only mark a byte above one that is rightly marked, and only the lowest mark is used.
        let is_zero = |word: u64| word.wrapping_sub(BYTES) & !word;
        let is_control = word.wrapping_sub(BYTES * 0x20) & !word;
        let is_quote = is_zero(word ^ (BYTES * b'"' as u64));
        let is_backslash = is_zero(word ^ (BYTES * b'\\' as u64));
        let marks = (is_control | is_quote | is_backslash) & HIGH_BITS;
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

/// The offset of the next byte that is no digit.
#[inline]
fn skip_digits(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = word(bytes, at) {
        let digits = word ^ (BYTES * b'0' as u64);
        // No byte carries into the next: its low seven bits and 0x76 make 0xf5 at most.
        let marks = (((digits & !HIGH_BITS) + BYTES * 0x76) | digits) & HIGH_BITS;
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// The eight bytes from `at`, the first one lowest.
#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|&chunk| u64::from_le_bytes(chunk))
}
