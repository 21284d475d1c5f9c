//! Which keys an origin may take for the same entity, though they are written otherwise.
//!
//! Rows are kept apart by the very text of their keys: `1`, `1.0` and `"1"` are three, which is always right when reading. A
//! write names its rows in its own spelling, and must reach all of them. So this hash reads over the difference: what it
//! takes for one may be two, and then one row too many is fetched again; what it keeps apart is never one.

use core::hash::{BuildHasher, Hasher};

use foldhash::fast::{FixedState, FoldHasher};

/// The hash that all spellings of one entity's key share; `key` is a sequence of values as
/// [`EntityValue::encode`](crate::key::EntityValue::encode) writes them.
#[must_use]
#[inline]
pub fn alike(key: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    let mut rest = key;
    while let [kind, after @ ..] = rest {
        match kind {
            b'n' | b't' | b'j' => {
                let (value, behind) = split(after);
                hash_text(value, &mut hasher);
                rest = behind;
            }
            b'y' => {
                hash_text(b"true", &mut hasher);
                rest = after;
            }
            b'f' => {
                hash_text(b"false", &mut hasher);
                rest = after;
            }
            _ => {
                hasher.write_u8(*kind);
                rest = after;
            }
        }
    }
    hasher.finish()
}

/// A value of a key, and what stands behind it.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut length = 0_usize;
    let mut rest = bytes;
    let mut shift = 0_u32;
    while let [byte, after @ ..] = rest {
        length |= usize::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        shift += 7;
        rest = after;
        if byte & 0x80 == 0 {
            break;
        }
    }
    rest.split_at(length.min(rest.len()))
}

/// A number by its digits, whatever its point and exponent; anything else by its letters in lower case.
fn hash_text(text: &[u8], hasher: &mut FoldHasher<'_>) {
    // Python's `int` and `float` read over spaces and underscores.
    let mut letters = text.to_ascii_lowercase();
    letters.retain(|byte| !byte.is_ascii_whitespace() && *byte != b'_');
    match decimal(&letters) {
        Some((power, is_negative, digits)) => {
            hasher.write_i64(power);
            hasher.write_u8(u8::from(is_negative));
            hasher.write(&digits);
        }
        None => hasher.write(&letters),
    }
    // Closes the value, so that the next one is no part of it.
    hasher.write_u8(0xff);
}

/// A number as `0.digits × 10^power`, its sign, and its digits without zeros at either end; `None` where it is no number.
fn decimal(letters: &[u8]) -> Option<(i64, bool, Vec<u8>)> {
    let (mut digits, mut power, mut exponent) = (Vec::new(), 0_i64, 0_i64);
    let (mut is_negative, mut is_exponent_negative) = (false, false);
    let (mut is_fraction, mut is_exponent, mut has_digits) = (false, false, false);
    for byte in letters {
        match byte {
            b'0'..=b'9' if is_exponent => exponent = (exponent * 10 + i64::from(byte & 0xf)).min(1 << 40),
            b'0'..=b'9' => {
                has_digits = true;
                let is_leading = *byte == b'0' && digits.is_empty();
                power += i64::from(!is_fraction && !is_leading) - i64::from(is_fraction && is_leading);
                if !is_leading {
                    digits.push(*byte);
                }
            }
            b'-' if is_exponent => is_exponent_negative = true,
            b'-' => is_negative = true,
            b'+' => {}
            b'.' => is_fraction = true,
            b'e' => is_exponent = true,
            _ => return None,
        }
    }
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    if digits.is_empty() {
        return has_digits.then_some((0, false, digits));
    }
    Some((power + if is_exponent_negative { -exponent } else { exponent }, is_negative, digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::EntityValue::{self, Boolean, Json, Null, Number, Text};

    fn hash(values: &[EntityValue<'_>]) -> u64 {
        let mut key = Vec::new();
        values.iter().for_each(|value| value.encode(&mut key));
        alike(&key)
    }

    #[test]
    fn all_spellings_of_one_key_are_one() {
        for same in [
            &[Number("1001"), Text("1001"), Number("1001.0"), Text(" +1_001"), Number("1.001e3"), Number("100100E-2")]
                [..],
            &[Number("0"), Number("-0.0"), Text("000"), Number("0e5")],
            &[Number("-5"), Text("-05.00")],
            &[Text("abc"), Text("ABC")],
            &[Boolean(true), Text("True")],
            &[Number("0.001"), Number("1e-3")],
        ] {
            same.iter().for_each(|&value| assert_eq!(hash(&[value]), hash(&same[..1]), "{value:?}"));
        }
    }

    #[test]
    fn different_keys_stay_apart() {
        let long = "x".repeat(300);
        let all = [
            &[Number("1")][..],
            &[Number("10")],
            &[Number("0.1")],
            &[Number("-1")],
            &[Number("0")],
            &[Text("")],
            &[Text("a")],
            &[Text(&long)],
            &[Null],
            &[Boolean(false)],
            &[Json("[1]")],
            &[Number("1"), Number("1")],
            &[Number("11")],
            &[Text("a"), Text("b")],
            &[Text("ab")],
            &[Number("9007199254740993")],
            &[Number("9007199254740992")],
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[..index] {
                assert_ne!(hash(one), hash(other), "{one:?} {other:?}");
            }
        }
    }
}
