//! One hash for all equivalent keys: spellings that an origin may convert to one entity's key.
//!
//! Rows are cached by the exact text of their keys: `1`, `1.0` and `"1"` are three rows. A write spells its keys in its own way, and
//! must invalidate all of these rows. The type of the join key is not known here. Invariant: equivalent keys share a
//! hash. False positives cost an extra fetch; false negatives cannot occur.
//!
//! # The equivalence
//!
//! Feast converts JSON values to the type of the join key by Python's own functions (`feast.type_map`,
//! `PYTHON_SCALAR_VALUE_TYPE_TO_PROTO_VALUE`). A write passes through pandas first, which turns a column of integers into
//! floats where one value is missing or is a float.
//!
//! | join key | rule of the origin | makes equal |
//! |---|---|---|
//! | INT32, INT64 | `int(x)` | `1001`, `1001.7`, `true` and 1, `" +1_001\u00a0"`, `"１００１"`; `9007199254740993.0` and `9007199254740992` |
//! | UNIX_TIMESTAMP | `int(x)`, or the seconds of a date | the same, and dates |
//! | DOUBLE | `float(x)` | `1001`, `1001.0`, `"1e3"` and `"1000"`, `"Infinity"` and `"inf"` |
//! | BOOL | `true` is 1, `false` is 0 | `true`, `1`, `1.0` |
//! | STRING | `str(x)` | `true` and `"True"`, `1001` and `"1001"`, `1e3` and `"1000.0"` |
//! | UUID | `uuid.UUID(x)` | upper and lower case; with and without hyphens, braces and `urn:uuid:` |
//!
//! Each value has one canonical form, which is coarser than every one of these rules:
//!
//! - what `int()` or `float()` can read, and booleans: the integer part of its 64-bit float;
//! - any other text: in lower case, without white space and underscores; a UUID by its digits;
//! - dates, `null`, arrays and objects, and texts that may be a number in a later version of Unicode: none, since what else they
//!   equal is unknown.
//!
//! Three conversions are left out, since each would make nearly all numbers one: rounding to a 32-bit float; `bool(x)` of
//! numbers other than 0 and 1; and a UNIX_TIMESTAMP key written as a JSON float, of which Feast makes the null time whatever
//! its value. The first two cannot key a row: Feast's key encoding (`feast.infra.key_encoding_utils`) rejects the types FLOAT,
//! DOUBLE and BOOL.

use core::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::key::EntityValue;

/// The canonical form of one value of a key, shared by all equivalent spellings.
#[derive(Clone, Debug, PartialEq)]
pub enum Canonical {
    /// The integer part of a number.
    Number(f64),
    /// A text, in its [`compact`] form.
    Text(String),
    /// Which other values are equivalent is unknown.
    Uncertain,
}

impl Canonical {
    /// The canonical form of a value.
    #[must_use]
    pub fn of(value: EntityValue<'_>) -> Canonical {
        match value {
            // A number's JSON text is one that `f64` reads.
            EntityValue::Number(text) => text.parse().map_or(Canonical::Uncertain, Canonical::number),
            EntityValue::Boolean(value) => Canonical::Number(f64::from(u8::from(value))),
            EntityValue::Text(text) => Canonical::of_text(text),
            EntityValue::Null | EntityValue::Json(_) => Canonical::Uncertain,
        }
    }

    fn number(number: f64) -> Canonical {
        // One zero and one NaN: both have several in bits.
        Canonical::Number(if number.is_nan() { f64::NAN } else { number.trunc() + 0.0 })
    }

    fn of_text(text: &str) -> Canonical {
        let (compact, is_doubtful) = compact(text);
        if is_date(&compact) || is_odd_uuid(text) {
            return Canonical::Uncertain;
        }
        let text = match compact.as_str() {
            "true" => return Canonical::Number(1.0),
            "false" => return Canonical::Number(0.0),
            _ => uuid_digits(&compact).unwrap_or(compact),
        };
        match text.parse() {
            Ok(_) if is_doubtful => Canonical::Uncertain,
            Ok(number) => Canonical::number(number),
            Err(_) => Canonical::Text(text),
        }
    }
}

/// The hash of the canonical forms of a key's values; `None` where one of them has none. `key` is a sequence of values as
/// [`EntityValue::encode`] writes them.
#[must_use]
#[inline]
pub fn canonical_key_hash(key: &[u8]) -> Option<u64> {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    let mut rest = key;
    while !rest.is_empty() {
        match Canonical::of(EntityValue::decode(&mut rest)?) {
            Canonical::Number(number) => {
                hasher.write_u8(b'n');
                hasher.write_u64(number.to_bits());
            }
            Canonical::Text(text) => {
                hasher.write_u8(b't');
                hasher.write(text.as_bytes());
                // Ends the value, so that the next one is no part of it: no UTF-8 has this byte.
                hasher.write_u8(0xff);
            }
            Canonical::Uncertain => return None,
        }
    }
    Some(hasher.finish())
}

/// A text in lower case, with ASCII digits, without white space and underscores; and whether a character of it may be a digit
/// that this version of Unicode does not know, which is then written as `0`.
#[must_use]
pub fn compact(text: &str) -> (String, bool) {
    let mut compact = String::with_capacity(text.len());
    let mut is_doubtful = false;
    for character in text.chars().filter(|&character| !is_white_space(character) && character != '_') {
        if character.is_ascii() {
            compact.push(character.to_ascii_lowercase());
        } else if let Some(digit) = decimal_digit(character) {
            compact.push(char::from(b'0' + digit));
        } else if character.is_numeric() || (character > '\u{ffff}' && !character.is_alphabetic()) {
            // New digits are assigned past the first plane alone.
            is_doubtful = true;
            compact.push('0');
        } else {
            compact.extend(character.to_lowercase());
        }
    }
    (compact, is_doubtful)
}

/// What Python's `str.isspace` says, U+001C to U+001F included; and the byte order mark, which JavaScript's `Number` ignores.
fn is_white_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}' | '\u{feff}')
}

/// The value of a character of Unicode's category Nd past ASCII.
fn decimal_digit(character: char) -> Option<u8> {
    let code = u32::from(character);
    let zero = ZEROS.get(ZEROS.partition_point(|&zero| zero <= code).checked_sub(1)?)?;
    u8::try_from(code - zero).ok().filter(|&digit| digit < 10)
}

/// The zeros of Unicode 17's decimal digits past ASCII; each is followed by its one to nine.
const ZEROS: [u32; 76] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
    0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
    0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0,
    0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50,
    0x11d50, 0x11da0, 0x11de0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8,
    0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/// Whether `uuid.UUID` may read a text as another UUID's: it takes 32 characters by `int(x, 16)`, which reads over a sign, `0x`,
/// underscores and white space.
fn is_odd_uuid(text: &str) -> bool {
    if text.len() < UUID_DIGITS {
        return false;
    }
    let bare = text.replace("urn:", "").replace("uuid:", "").replace('-', "");
    let bare = bare.trim_matches(['{', '}']);
    let is_read =
        |letter: char| letter.is_ascii_hexdigit() || matches!(letter, 'x' | 'X' | '+' | '_') || letter.is_whitespace();
    bare.chars().count() == UUID_DIGITS
        && bare.chars().all(is_read)
        && !bare.chars().all(|letter| letter.is_ascii_hexdigit())
}

/// How many hexadecimal digits a UUID has.
const UUID_DIGITS: usize = 32;

/// The digits of a UUID, whatever hyphens, braces or prefix it has; `None` where the [`compact`] text is none.
#[must_use]
pub fn uuid_digits(compact: &str) -> Option<String> {
    if compact.len() < UUID_DIGITS {
        return None;
    }
    let text = compact.strip_prefix("urn:").unwrap_or(compact);
    let text = text.strip_prefix("uuid:").unwrap_or(text);
    let mut digits = text.to_owned();
    digits.retain(|character| !matches!(character, '-' | '{' | '}' | '(' | ')'));
    (digits.len() == UUID_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(digits)
}

/// Whether a [`compact`] text begins as a date of digits does: `2026-11-23`, `2026/11/23`, `23.11.2026`, `2026-11`,
/// `20261123t08`.
fn is_date(compact: &str) -> bool {
    let (first, rest) = leading_digits(compact);
    let mut rest = rest.chars();
    let separator = match rest.next() {
        Some(separator @ ('-' | '/' | '.')) => separator,
        Some('t') => return first.len() == 8,
        _ => return false,
    };
    let (second, rest) = leading_digits(rest.as_str());
    let Some(third) = rest.strip_prefix(separator) else {
        let is_month = second.len() == 2 && ("01"..="12").contains(&second);
        return first.len() == 4 && separator == '-' && is_month && rest.is_empty();
    };
    let (third, _) = leading_digits(third);
    let is_short = |digits: &str| (1..=2).contains(&digits.len());
    is_short(second) && (first.len() == 4 && !third.is_empty() || is_short(first) && third.len() >= 4)
}

/// The ASCII digits that a text begins with, and the rest.
fn leading_digits(text: &str) -> (&str, &str) {
    text.split_at_checked(text.bytes().take_while(u8::is_ascii_digit).count()).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::EntityValue::{self, Boolean, Json, Null, Number, Text};

    fn hash(values: &[EntityValue<'_>]) -> Option<u64> {
        let mut key = Vec::new();
        values.iter().for_each(|value| value.encode(&mut key));
        canonical_key_hash(&key)
    }

    #[test]
    fn a_text_that_may_be_read_as_another_uuid_is_uncertain() {
        assert_ne!(Canonical::of(Text("123e4567e89b12d3a456426614174000")), Canonical::Uncertain);
        for start in ["0x", "+1", "1_"] {
            let text = format!("{start}3e4567e89b12d3a456426614174000");
            assert_eq!(Canonical::of(Text(&text)), Canonical::Uncertain, "{text}");
        }
        assert_ne!(Canonical::of(Text(&"x".repeat(40))), Canonical::Uncertain);
    }

    #[test]
    fn equivalent_keys_share_a_hash() {
        for same in [
            &[
                Number("1001"),
                Text("1001"),
                Number("1001.0"),
                Number("1001.7"),
                Text(" +1_001"),
                Number("1.001e3"),
                Number("100100E-2"),
                Text("\u{2003}1001\u{a0}"),
                Text("\u{1c}１００１"),
                Text("١٠٠١"),
                Text("𝟭𝟬𝟬𝟭"),
            ][..],
            &[Number("0"), Number("-0.0"), Text("000"), Number("0e5"), Number("0.5"), Number("-0.5"), Boolean(false)],
            &[Number("-5"), Text("-05.00")],
            &[Text("abc"), Text("ABC"), Text(" a_bc\u{2028}")],
            &[Text("É"), Text("é")],
            &[Boolean(true), Text("True"), Number("1"), Text("1.0")],
            &[Number("9007199254740993"), Text("9007199254740993.0"), Number("9007199254740992")],
            &[Number("1795420800000123456789"), Number("1.7954208000001235e21")],
            &[Text("inf"), Text("_Infinity"), Text("+INF"), Text("1e999")],
            &[Text("nan"), Text("-NaN"), Text("+nan")],
            &[
                Text("123e4567-e89b-12d3-a456-426614174000"),
                Text("{123E4567-E89B-12D3-A456-426614174000}"),
                Text("(123e4567-e89b-12d3-a456-426614174000)"),
                Text("urn:uuid:123e4567-e89b-12d3-a456-426614174000"),
                Text("123e4567e89b12d3a456426614174000"),
            ],
            // A UUID without letters is a number to `int`.
            &[
                Text("12345678-1234-1234-1234-123456781234"),
                Text("12345678123412341234123456781234"),
                Number("12345678123412341234123456781234"),
            ],
        ] {
            assert!(hash(&same[..1]).is_some(), "{same:?}");
            same.iter().for_each(|&value| assert_eq!(hash(&[value]), hash(&same[..1]), "{value:?}"));
        }
    }

    #[test]
    fn different_keys_have_different_hashes() {
        let long = "x".repeat(300);
        let all = [
            &[Number("1")][..],
            &[Number("10")],
            &[Number("-1")],
            &[Number("0")],
            &[Text("")],
            &[Text("a")],
            &[Text(&long)],
            &[Text("inf")],
            &[Text("-inf")],
            &[Text("nan")],
            &[Text("none")],
            &[Text("10-20")],
            &[Text("10.0.0.1")],
            &[Text("1234-56")],
            &[Text("c1")],
            &[Text("taxi 🚕")],
            &[Text("18–25")],
            &[Text("–")],
            &[Text("𐐀")],
            &[Text("2026-11b")],
            &[Text("2026-1")],
            &[Text("2026/11")],
            &[Text("1-02")],
            &[Text("123e4567-e89b-12d3-a456-4266141740001")],
            &[Text("123e4567e89b12d3a4564266141740001")],
            &[Text("zz3e4567-e89b-12d3-a456-426614174000")],
            &[Text("zz3e4567e89b12d3a456426614174000")],
            &[Text("1-2")],
            &[Text("1/2/")],
            &[Text("1.2.3")],
            &[Text("2026-123-1")],
            &[Text("二")],
            &[Number("1"), Number("1")],
            &[Number("11")],
            &[Text("a"), Text("b")],
            &[Text("ab")],
            &[Text("123e4567-e89b-12d3-a456-426614174000")],
            &[Text("123e4567-e89b-12d3-a456-426614174001")],
            &[Number("9007199254740994")],
            &[Number("9007199254740992")],
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(hash(one).is_some(), "{one:?}");
            for other in &all[..index] {
                assert_ne!(hash(one), hash(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn an_uncertain_value_has_no_hash() {
        for value in [
            Null,
            Json("[1]"),
            Json("{}"),
            Text("2026-11-23"),
            Text("2026-11-23T08:00:00Z"),
            Text(" 2026-11-23 08:00"),
            Text("2026-1-5 08:00"),
            Text("２０２６-11-23"),
            Text("2026/11/23"),
            Text("23.11.2026"),
            Text("11/23/2026"),
            Text("2026-11"),
            Text("20261123T080000Z"),
            // A character that may be a digit to a Python of later Unicode, and one that is numeric and no digit.
            Text("1\u{1fffd}"),
            Text("²"),
        ] {
            assert_eq!(hash(&[value]), None, "{value:?}");
            assert_eq!(hash(&[Number("1"), value]), None, "{value:?}");
        }
        assert_eq!(canonical_key_hash(b"n\x05100"), None, "no key");
    }

    #[test]
    fn each_decimal_digit_of_this_unicode_has_its_value() {
        assert!(ZEROS.is_sorted());
        for zero in ZEROS {
            for (digit, code) in (0..10).zip(zero..) {
                let character = char::from_u32(code).unwrap();
                assert!(character.is_numeric(), "{code:x}");
                assert_eq!(decimal_digit(character), Some(digit), "{code:x}");
            }
            for neighbour in [zero - 1, zero + 10] {
                let digit = decimal_digit(char::from_u32(neighbour).unwrap());
                assert!(
                    digit.is_none_or(|_| ZEROS.contains(&neighbour) || ZEROS.contains(&(zero - 10))),
                    "{neighbour:x}"
                );
            }
        }
        assert_eq!(decimal_digit('é'), None);
        assert_eq!(decimal_digit('\u{10ffff}'), None);
    }
}
