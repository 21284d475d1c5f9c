//! JSON strings: as they are written, and with their escapes resolved.

use super::scan::{code_unit, find_special};

/// A string as it is written, its escapes checked and not yet resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonString<'a> {
    raw: &'a str,
    is_escaped: bool,
}

impl<'a> JsonString<'a> {
    /// The string whose checked text between the quotes is `raw`.
    #[inline]
    pub(super) fn new(raw: &'a str, is_escaped: bool) -> JsonString<'a> {
        JsonString { raw, is_escaped }
    }

    /// The text between the quotes.
    #[inline]
    #[must_use]
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Whether the raw text has an escape, and so differs from the string.
    #[inline]
    #[must_use]
    pub fn is_escaped(&self) -> bool {
        self.is_escaped
    }

    /// The string: the raw text itself, or `scratch` with the escapes resolved.
    #[must_use]
    pub fn decode<'b>(&self, scratch: &'b mut String) -> &'b str
    where
        'a: 'b,
    {
        if !self.is_escaped {
            return self.raw;
        }
        scratch.clear();
        let mut rest = self.raw;
        while let Some((before, meant, after)) = split_at_escape(rest) {
            scratch.push_str(before);
            scratch.push(meant);
            rest = after;
        }
        scratch.push_str(rest);
        scratch
    }

    /// Whether the string is `plain`.
    #[inline]
    #[must_use]
    pub fn equals(&self, plain: &str) -> bool {
        if self.is_escaped { self.decodes_to(plain) } else { self.raw == plain }
    }

    fn decodes_to(&self, mut plain: &str) -> bool {
        let mut rest = self.raw;
        while let Some((before, meant, after)) = split_at_escape(rest) {
            match plain.strip_prefix(before).and_then(|plain| plain.strip_prefix(meant)) {
                Some(remaining) => plain = remaining,
                None => return false,
            }
            rest = after;
        }
        rest == plain
    }
}

/// The text before the first escape of a checked string, the character that the escape means, and the text after it.
fn split_at_escape(raw: &str) -> Option<(&str, char, &str)> {
    let (before, escape) = raw.split_once('\\')?;
    let mut rest = escape.chars();
    let meant = match rest.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return split_at_code_point(escape).map(|(meant, after)| (before, meant, after)),
        itself => itself,
    };
    Some((before, meant, rest.as_str()))
}

/// The character that an escape means which begins after its backslash with `u`, and the text after it.
fn split_at_code_point(escape: &str) -> Option<(char, &str)> {
    let bytes = escape.as_bytes();
    let first = code_unit(bytes.get(1..)?)?;
    match char::from_u32(first) {
        Some(meant) => Some((meant, escape.get(5..)?)),
        None => {
            let second = code_unit(bytes.get(7..)?)?;
            // RFC 8259, section 7: the code point is what the two surrogates of UTF-16 stand for.
            let meant = char::from_u32(0x1_0000 + ((first & 0x3ff) << 10 | second & 0x3ff))?;
            Some((meant, escape.get(11..)?))
        }
    }
}

/// Whether `plain` is written in JSON as it is, between quotes.
#[must_use]
pub fn is_plain(plain: &str) -> bool {
    find_special(plain.as_bytes(), 0) == plain.len()
}

/// Appends `plain` as a JSON string: what must be escaped is, and everything else goes out as the UTF-8 it is.
pub fn write_string(out: &mut Vec<u8>, plain: &str) {
    let mut rest = plain.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    while let Some((safe, [special, after @ ..])) = rest.split_at_checked(find_special(rest, 0)) {
        out.extend_from_slice(safe);
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => {
                let hex = |digit: u8| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(control >> 4), hex(control & 15)]);
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
