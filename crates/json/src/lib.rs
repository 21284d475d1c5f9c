//! Reads and writes JSON: a pull parser that returns values as they are written.
//!
//! It knows no schema and builds no tree. Numbers stay text, so nothing is rounded, and nothing is allocated. Invariant: what it has
//! read without an error is the beginning of a document that RFC 8259 allows, in whatever order its methods are called. It is
//! stricter than the RFC in three points: a number must fit a double, a `\u` escape must not be half of a surrogate pair, and
//! nesting is limited. Duplicate keys are the caller's to check.
//!
//! ```
//! use featheredge_json::Cursor;
//!
//! let mut cursor = Cursor::new(br#"{"rating": 4.50}"#, 8)?;
//! cursor.enter_object()?;
//! let key = cursor.next_key()?.expect("there is a member");
//! assert!(key.equals("rating"));
//! assert_eq!(cursor.number()?, "4.50", "as it is written");
//! assert!(cursor.next_key()?.is_none());
//! cursor.finish()?;
//! # Ok::<(), featheredge_json::JsonError>(())
//! ```

mod decimal;
mod error;
mod scan;
mod text;

pub use decimal::Decimal;
pub use error::{Expected, JsonError, Reason};
pub use text::{JsonString, is_plain, write_string};

use error::{fail, fail_expecting};

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number of any form.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// A value as it is written, from its first byte to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawJson<'a> {
    /// The text, checked in full: quotes, brackets and inner whitespace included.
    pub text: &'a str,
    /// What kind of value it is.
    pub kind: Kind,
}

/// The deepest nesting that a cursor supports: it has one bit for each open container.
pub const MAX_DEPTH: u16 = 1_024;

/// A position in a JSON document, which advances by reading what follows.
///
/// A method that fails leaves the cursor before what it could not read; [`Cursor::value`] leaves it inside the value.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
    position: Position,
    depth: u16,
    max_depth: u16,
    /// One bit for each open container, set for an object.
    objects: [u64; MAX_DEPTH as usize / 64],
}

/// What may follow the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// A value.
    Value,
    /// The first member of a container, or its end.
    Start,
    /// A comma, or the end of the container or the document.
    After,
}

impl<'a> Cursor<'a> {
    /// Begins at the document `text`, in which containers nest at most `max_depth` deep, or [`MAX_DEPTH`] if that is
    /// less.
    ///
    /// # Errors
    /// [`Reason::InvalidUtf8`]: checked for the whole text here, and so nowhere else.
    pub fn new(text: &'a [u8], max_depth: u16) -> Result<Cursor<'a>, JsonError> {
        match core::str::from_utf8(text) {
            Ok(text) => Ok(Cursor {
                text,
                at: 0,
                position: Position::Value,
                depth: 0,
                max_depth: max_depth.min(MAX_DEPTH),
                objects: [0; MAX_DEPTH as usize / 64],
            }),
            Err(error) => fail(error.valid_up_to(), Reason::InvalidUtf8),
        }
    }

    /// The number of bytes read. Right after a value, the value ends here; after [`Cursor::peek`],
    /// [`Cursor::next_key`] and [`Cursor::next_element`], the next one begins here.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The kind of the value at the cursor, by its first byte alone.
    ///
    /// # Errors
    /// Where no value begins here.
    #[inline]
    pub fn peek(&mut self) -> Result<Kind, JsonError> {
        if self.position != Position::Value {
            return fail(self.at, Reason::Misplaced);
        }
        let at = scan::skip_whitespace(self.bytes(), self.at);
        self.at = at;
        match self.bytes().get(at) {
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'n') => Ok(Kind::Null),
            Some(b't') => Ok(Kind::True),
            Some(b'f') => Ok(Kind::False),
            found => fail_expecting(found, at, Expected::Value),
        }
    }

    /// Passes the `{` of an object.
    ///
    /// # Errors
    /// Where no object begins here, or where it nests too deep.
    #[inline]
    pub fn enter_object(&mut self) -> Result<(), JsonError> {
        self.expect(Kind::Object)?;
        self.enter(true)
    }

    /// Passes everything up to the value of the object's next member, and returns the member's key; or passes the `}`
    /// and returns `None`.
    ///
    /// # Errors
    /// Where neither follows, or where the cursor is not between the members of an object.
    #[inline]
    pub fn next_key(&mut self) -> Result<Option<JsonString<'a>>, JsonError> {
        if !self.is_between_members(true) {
            return fail(self.at, Reason::Misplaced);
        }
        let bytes = self.bytes();
        let mut at = scan::skip_whitespace(bytes, self.at);
        match bytes.get(at) {
            Some(b'}') => {
                self.leave(at);
                return Ok(None);
            }
            Some(b',') if self.position == Position::After => at = scan::skip_whitespace(bytes, at + 1),
            _ if self.position == Position::Start => {}
            found => return fail_expecting(found, at, Expected::Comma),
        }
        if bytes.get(at) != Some(&b'"') {
            return fail_expecting(bytes.get(at), at, Expected::Key);
        }
        let (end, is_escaped) = scan::string(bytes, at)?;
        let key = JsonString::new(self.slice(at + 1, end - 1), is_escaped);
        let at = scan::skip_whitespace(bytes, end);
        if bytes.get(at) != Some(&b':') {
            return fail_expecting(bytes.get(at), at, Expected::Colon);
        }
        self.at = scan::skip_whitespace(bytes, at + 1);
        self.position = Position::Value;
        Ok(Some(key))
    }

    /// Passes the `[` of an array.
    ///
    /// # Errors
    /// Where no array begins here, or where it nests too deep.
    #[inline]
    pub fn enter_array(&mut self) -> Result<(), JsonError> {
        self.expect(Kind::Array)?;
        self.enter(false)
    }

    /// Whether the array has another element, to which it moves; otherwise it passes the `]`.
    ///
    /// # Errors
    /// Where neither follows, or where the cursor is not between the elements of an array.
    #[inline]
    pub fn next_element(&mut self) -> Result<bool, JsonError> {
        if !self.is_between_members(false) {
            return fail(self.at, Reason::Misplaced);
        }
        let bytes = self.bytes();
        let at = scan::skip_whitespace(bytes, self.at);
        match bytes.get(at) {
            Some(b']') => {
                self.leave(at);
                return Ok(false);
            }
            Some(b',') if self.position == Position::After => self.at = scan::skip_whitespace(bytes, at + 1),
            _ if self.position == Position::Start => self.at = at,
            found => return fail_expecting(found, at, Expected::Comma),
        }
        self.position = Position::Value;
        Ok(true)
    }

    /// Passes a string.
    ///
    /// # Errors
    /// Where no string follows, or a malformed one.
    #[inline]
    pub fn string(&mut self) -> Result<JsonString<'a>, JsonError> {
        self.expect(Kind::String)?;
        let start = self.at;
        let (end, is_escaped) = scan::string(self.bytes(), start)?;
        self.pass_to(end);
        Ok(JsonString::new(self.slice(start + 1, end - 1), is_escaped))
    }

    /// Passes a number and returns it as it is written.
    ///
    /// # Errors
    /// Where no number follows, or one that is malformed or out of a double's range.
    #[inline]
    pub fn number(&mut self) -> Result<&'a str, JsonError> {
        self.expect(Kind::Number)?;
        let start = self.at;
        let end = scan::number(self.text, start)?;
        self.pass_to(end);
        Ok(self.slice(start, end))
    }

    /// Passes `true` or `false`.
    ///
    /// # Errors
    /// Where neither follows.
    pub fn boolean(&mut self) -> Result<bool, JsonError> {
        let kind = self.peek()?;
        if kind != Kind::True {
            self.expect(Kind::False)?;
        }
        self.literal(if kind == Kind::True { "true" } else { "false" })?;
        Ok(kind == Kind::True)
    }

    /// Passes `null`.
    ///
    /// # Errors
    /// Where something else follows.
    pub fn null(&mut self) -> Result<(), JsonError> {
        self.expect(Kind::Null)?;
        self.literal("null")
    }

    /// Passes a value of any kind, checks all of it and returns it as it is written.
    ///
    /// # Errors
    /// Where no value follows, or a malformed one.
    #[inline]
    pub fn value(&mut self) -> Result<RawJson<'a>, JsonError> {
        let kind = self.peek()?;
        let start = self.at;
        match kind {
            Kind::Object | Kind::Array => self.container(kind)?,
            _ => self.scalar(kind)?,
        }
        Ok(RawJson { text: self.slice(start, self.at), kind })
    }

    /// Passes an object or array that is, byte for byte, one that was read before, without checking it again. It must have been read at
    /// the same depth or deeper.
    pub fn pass_known(&mut self, known: &[u8]) {
        debug_assert!(
            self.position == Position::Value && self.bytes().get(self.at..).is_some_and(|rest| rest.starts_with(known))
        );
        self.pass_to(self.at + known.len());
    }

    /// Ends the document.
    ///
    /// # Errors
    /// Where its value has not been passed, or something other than whitespace follows it.
    pub fn finish(self) -> Result<(), JsonError> {
        if self.depth > 0 || self.position != Position::After {
            return fail(self.at, Reason::Misplaced);
        }
        let at = scan::skip_whitespace(self.bytes(), self.at);
        if at == self.text.len() { Ok(()) } else { fail(at, Reason::TrailingCharacters) }
    }

    /// Passes the object or array that begins here. The bits of `objects` record open containers, so that nesting needs no call stack.
    fn container(&mut self, kind: Kind) -> Result<(), JsonError> {
        let outside = self.depth;
        self.enter(kind == Kind::Object)?;
        while self.depth > outside {
            let has_more = if self.is_in_object() { self.next_key()?.is_some() } else { self.next_element()? };
            if has_more {
                match self.peek()? {
                    kind @ (Kind::Object | Kind::Array) => self.enter(kind == Kind::Object)?,
                    kind => self.scalar(kind)?,
                }
            }
        }
        Ok(())
    }

    /// Passes the string, number or literal that begins here.
    #[inline]
    fn scalar(&mut self, kind: Kind) -> Result<(), JsonError> {
        match kind {
            Kind::String => self.pass_to(scan::string(self.bytes(), self.at)?.0),
            Kind::Number => self.pass_to(scan::number(self.text, self.at)?),
            Kind::True => self.literal("true")?,
            Kind::False => self.literal("false")?,
            _ => self.literal("null")?,
        }
        Ok(())
    }

    fn literal(&mut self, literal: &str) -> Result<(), JsonError> {
        let end = self.at + literal.len();
        match self.bytes().get(self.at..end) {
            Some(found) if found == literal.as_bytes() => {
                self.pass_to(end);
                Ok(())
            }
            _ => {
                let is_same = |(found, expected): &(&u8, u8)| **found == *expected;
                let rest = self.bytes().iter().skip(self.at);
                let at = self.at + rest.zip(literal.bytes()).take_while(is_same).count();
                fail_expecting(self.bytes().get(at), at, Expected::Value)
            }
        }
    }

    #[inline]
    fn expect(&mut self, kind: Kind) -> Result<(), JsonError> {
        if self.peek()? == kind { Ok(()) } else { fail(self.at, Reason::UnexpectedKind(kind)) }
    }

    /// Passes an opening bracket.
    #[inline]
    fn enter(&mut self, is_object: bool) -> Result<(), JsonError> {
        let (word, bit) = (usize::from(self.depth / 64), self.depth % 64);
        let Some(word) = self.objects.get_mut(word).filter(|_| self.depth < self.max_depth) else {
            return fail(self.at, Reason::TooDeep { allowed: self.max_depth });
        };
        *word = *word & !(1 << bit) | u64::from(is_object) << bit;
        self.depth += 1;
        self.at += 1;
        self.position = Position::Start;
        Ok(())
    }

    /// Passes the closing bracket at `at`.
    #[inline]
    fn leave(&mut self, at: usize) {
        self.depth = self.depth.saturating_sub(1);
        self.pass_to(at + 1);
    }

    #[inline]
    fn pass_to(&mut self, end: usize) {
        self.at = end;
        self.position = Position::After;
    }

    #[inline]
    fn is_between_members(&self, of_object: bool) -> bool {
        self.position != Position::Value && self.depth > 0 && self.is_in_object() == of_object
    }

    #[inline]
    fn is_in_object(&self) -> bool {
        let innermost = self.depth.saturating_sub(1);
        let word = self.objects.get(usize::from(innermost / 64)).copied().unwrap_or_default();
        word >> (innermost % 64) & 1 == 1
    }

    #[inline]
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The text from `start` to `end`, which are next to ASCII bytes and so on character boundaries.
    #[inline]
    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// Passes a document as one value.
    fn pass(text: &[u8], max_depth: u16) -> Result<RawJson<'_>, JsonError> {
        let mut cursor = Cursor::new(text, max_depth)?;
        let raw = cursor.value()?;
        cursor.finish()?;
        Ok(raw)
    }

    /// Passes a value step by step and writes it down again without whitespace.
    fn rewrite(cursor: &mut Cursor<'_>, out: &mut String) -> Result<(), JsonError> {
        match cursor.peek()? {
            Kind::Object => {
                out.push('{');
                cursor.enter_object()?;
                while let Some(key) = cursor.next_key()? {
                    *out += &format!("\"{}\":", key.raw());
                    rewrite(cursor, out)?;
                    out.push(',');
                }
                out.push('}');
            }
            Kind::Array => {
                out.push('[');
                cursor.enter_array()?;
                while cursor.next_element()? {
                    rewrite(cursor, out)?;
                    out.push(',');
                }
                out.push(']');
            }
            Kind::String => *out += &format!("\"{}\"", cursor.string()?.raw()),
            Kind::Number => *out += cursor.number()?,
            Kind::True | Kind::False => *out += &cursor.boolean()?.to_string(),
            Kind::Null => {
                cursor.null()?;
                *out += "null";
            }
        }
        Ok(())
    }

    fn pass_by_steps(text: &[u8], max_depth: u16) -> Result<String, JsonError> {
        let mut cursor = Cursor::new(text, max_depth)?;
        let mut out = String::new();
        rewrite(&mut cursor, &mut out)?;
        cursor.finish()?;
        Ok(out.replace(",}", "}").replace(",]", "]"))
    }

    fn reason(text: &[u8]) -> (Reason, usize) {
        let error = pass(text, 64).expect_err(&String::from_utf8_lossy(text));
        (error.reason, error.at)
    }

    fn decode(quoted: &str) -> String {
        let mut cursor = Cursor::new(quoted.as_bytes(), 1).unwrap();
        cursor.string().unwrap().decode(&mut String::new()).to_owned()
    }

    // Named as in Nicolas Seriot's JSONTestSuite, which has more of each kind.
    #[rustfmt::skip]
    const ACCEPTED: &[(&str, &[u8])] = &[
        ("y_array_arraysWithSpaces", b"[[]   ]"),
        ("y_array_empty-string", b"[\"\"]"),
        ("y_array_empty", b"[]"),
        ("y_array_false", b"[false]"),
        ("y_array_heterogeneous", b"[null, 1, \"1\", {}]"),
        ("y_array_null", b"[null]"),
        ("y_array_with_1_and_newline", b"[1\n]"),
        ("y_array_with_several_null", b"[1,null,null,null,2]"),
        ("y_number", b"[123e65]"),
        ("y_number_0e1", b"[0e1]"),
        ("y_number_after_space", b"[ 4]"),
        ("y_number_double_close_to_zero", b"[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]\n"),
        ("y_number_int_with_exp", b"[20e1]"),
        ("y_number_minus_zero", b"[-0]"),
        ("y_number_negative_int", b"[-123]"),
        ("y_number_negative_zero", b"[-0]"),
        ("y_number_real_capital_e", b"[1E22]"),
        ("y_number_real_capital_e_neg_exp", b"[1E-2]"),
        ("y_number_real_capital_e_pos_exp", b"[1E+2]"),
        ("y_number_real_exponent", b"[123e45]"),
        ("y_number_real_fraction_exponent", b"[123.456e78]"),
        ("y_object", b"{\"asd\":\"sdf\", \"dfg\":\"fgh\"}"),
        ("y_object_duplicated_key", b"{\"a\":\"b\",\"a\":\"c\"}"),
        ("y_object_duplicated_key_and_value", b"{\"a\":\"b\",\"a\":\"b\"}"),
        ("y_object_empty", b"{}"),
        ("y_object_empty_key", b"{\"\":0}"),
        ("y_object_escaped_null_in_key", b"{\"foo\\u0000bar\": 42}"),
        ("y_object_string_unicode", b"{\"title\":\"\\u041f\\u043e\\u043b\\u0442\\u043e\\u0440\\u0430 \\u0417\\u0435\\u043c\\u043b\\u0435\\u043a\\u043e\\u043f\\u0430\" }"),
        ("y_object_with_newlines", b"{\n\"a\": \"b\"\n}"),
        ("y_string_1_2_3_bytes_UTF-8_sequences", b"[\"\\u0060\\u012a\\u12AB\"]"),
        ("y_string_accepted_surrogate_pair", b"[\"\\uD801\\udc37\"]"),
        ("y_string_allowed_escapes", b"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
        ("y_string_backslash_and_u_escaped_zero", b"[\"\\\\u0000\"]"),
        ("y_string_backslash_doublequotes", b"[\"\\\"\"]"),
        ("y_string_comments", b"[\"a/*b*/c/*d//e\"]"),
        ("y_string_double_escape_a", b"[\"\\\\a\"]"),
        ("y_string_escaped_noncharacter", b"[\"\\uFFFF\"]"),
        ("y_string_nonCharacterInUTF-8_U+10FFFF", b"[\"\xf4\x8f\xbf\xbf\"]"),
        ("y_string_null_escape", b"[\"\\u0000\"]"),
        ("y_string_three-byte-utf-8", b"[\"\\u0821\"]"),
        ("y_string_two-byte-utf-8", b"[\"\\u0123\"]"),
        ("y_string_u+2028_line_sep", b"[\"\xe2\x80\xa8\"]"),
        ("y_string_unescaped_char_delete", b"[\"\x7f\"]"),
        ("y_string_unicodeEscapedBackslash", b"[\"\\u005C\"]"),
        ("y_string_unicode_U+10FFFE_nonchar", b"[\"\\uDBFF\\uDFFE\"]"),
        ("y_string_unicode_escaped_double_quote", b"[\"\\u0022\"]"),
        ("y_structure_lonely_false", b"false"),
        ("y_structure_lonely_int", b"42"),
        ("y_structure_lonely_null", b"null"),
        ("y_structure_lonely_string", b"\"asd\""),
        ("y_structure_lonely_true", b"true"),
        ("y_structure_string_empty", b"\"\""),
        ("y_structure_true_in_array", b"[true]"),
        ("y_structure_whitespace_array", b" [] "),
    ];

    #[rustfmt::skip]
    const REFUSED: &[(&str, &[u8])] = &[
        ("n_array_1_true_without_comma", b"[1 true]"),
        ("n_array_colon_instead_of_comma", b"[\"\": 1]"),
        ("n_array_comma_after_close", b"[\"\"],"),
        ("n_array_double_comma", b"[1,,2]"),
        ("n_array_extra_comma", b"[\"\",]"),
        ("n_array_incomplete_invalid_value", b"[x"),
        ("n_array_invalid_utf8", b"[\xff]"),
        ("n_array_items_separated_by_semicolon", b"[1:2]"),
        ("n_array_just_minus", b"[-]"),
        ("n_array_missing_value", b"[   , \"\"]"),
        ("n_array_spaces_vertical_tab_formfeed", b"[\"\x0ba\"\\f]"),
        ("n_array_star_inside", b"[*]"),
        ("n_array_unclosed", b"[\"\""),
        ("n_incomplete_false", b"[fals]"),
        ("n_multidigit_number_then_00", b"123\x00"),
        ("n_number_+1", b"[+1]"),
        ("n_number_+Inf", b"[+Inf]"),
        ("n_number_-NaN", b"[-NaN]"),
        ("n_number_.2e-3", b"[.2e-3]"),
        ("n_number_0.1.2", b"[0.1.2]"),
        ("n_number_0e+", b"[0e+]"),
        ("n_number_0e", b"[0e]"),
        ("n_number_1_000", b"[1 000.0]"),
        ("n_number_2.e3", b"[2.e3]"),
        ("n_number_Inf", b"[Inf]"),
        ("n_number_NaN", b"[NaN]"),
        ("n_number_U+FF11_fullwidth_digit_one", b"[\xef\xbc\x91]"),
        ("n_number_expression", b"[1+2]"),
        ("n_number_hex_1_digit", b"[0x1]"),
        ("n_number_invalid+-", b"[0e+-1]"),
        ("n_number_invalid-negative-real", b"[-123.123foo]"),
        ("n_number_invalid-utf-8-in-int", b"[0\xe5]\n"),
        ("n_number_minus_space_1", b"[- 1]"),
        ("n_number_neg_int_starting_with_zero", b"[-012]"),
        ("n_number_real_garbage_after_e", b"[1ea]"),
        ("n_number_starting_with_dot", b"[.123]"),
        ("n_number_with_alpha", b"[1.2a-3]"),
        ("n_number_with_leading_zero", b"[012]"),
        ("n_object_bad_value", b"[\"x\", truth]"),
        ("n_object_comma_instead_of_colon", b"{\"x\", null}"),
        ("n_object_double_colon", b"{\"x\"::\"b\"}"),
        ("n_object_missing_colon", b"{\"a\" b}"),
        ("n_object_missing_key", b"{:\"b\"}"),
        ("n_object_missing_value", b"{\"a\":"),
        ("n_object_non_string_key", b"{1:1}"),
        ("n_object_repeated_null_null", b"{null:null,null:null}"),
        ("n_object_single_quote", b"{'a':0}"),
        ("n_object_trailing_comma", b"{\"id\":0,}"),
        ("n_object_trailing_comment", b"{\"a\":\"b\"}/**/"),
        ("n_object_unquoted_key", b"{a: \"b\"}"),
        ("n_object_with_single_string", b"{ \"foo\" : \"bar\", \"a\" }"),
        ("n_object_with_trailing_garbage", b"{\"a\":\"b\"}#"),
        ("n_single_space", b" "),
        ("n_string_1_surrogate_then_escape", b"[\"\\uD800\\\"]"),
        ("n_string_1_surrogate_then_escape_u1", b"[\"\\uD800\\u1\"]"),
        ("n_string_accentuated_char_no_quotes", b"[\xc3\xa9]"),
        ("n_string_backslash_00", b"[\"\\\x00\"]"),
        ("n_string_escape_x", b"[\"\\x00\"]"),
        ("n_string_escaped_backslash_bad", b"[\"\\\\\\\"]"),
        ("n_string_escaped_ctrl_char_tab", b"[\"\\\t\"]"),
        ("n_string_incomplete_escape", b"[\"\\\"]"),
        ("n_string_incomplete_surrogate", b"[\"\\uD834\\uDd\"]"),
        ("n_string_invalid-utf-8-in-escape", b"[\"\\u\xe5\"]"),
        ("n_string_invalid_unicode_escape", b"[\"\\uqqqq\"]"),
        ("n_string_single_doublequote", b"\""),
        ("n_string_single_quote", b"['single quote']"),
        ("n_string_unescaped_ctrl_char", b"[\"a\x00a\"]"),
        ("n_string_unescaped_newline", b"[\"new\nline\"]"),
        ("n_string_unescaped_tab", b"[\"\t\"]"),
        ("n_string_unicode_CapitalU", b"\"\\UA66D\""),
        ("n_string_with_trailing_garbage", b"\"\"x"),
        ("n_structure_UTF8_BOM_no_data", b"\xef\xbb\xbf"),
        ("n_structure_angle_bracket_null", b"[<null>]"),
        ("n_structure_array_trailing_garbage", b"[1]x"),
        ("n_structure_array_with_unclosed_string", b"[\"asd]"),
        ("n_structure_capitalized_True", b"[True]"),
        ("n_structure_close_unopened_array", b"1]"),
        ("n_structure_comma_instead_of_closing_brace", b"{\"x\": true,"),
        ("n_structure_lone-invalid-utf-8", b"\xe5"),
        ("n_structure_lone-open-bracket", b"["),
        ("n_structure_no_data", b""),
        ("n_structure_null-byte-outside-string", b"[\x00]"),
        ("n_structure_number_with_trailing_garbage", b"2@"),
        ("n_structure_object_followed_by_closing_object", b"{}}"),
        ("n_structure_object_with_comment", b"{\"a\":/*comment*/\"b\"}"),
        ("n_structure_open_object", b"{"),
        ("n_structure_open_object_close_array", b"{]"),
        ("n_structure_unclosed_array", b"[1"),
        ("n_structure_whitespace_U+2060_word_joiner", b"[\xe2\x81\xa0]"),
        ("n_structure_whitespace_formfeed", b"[\x0c]"),
    ];

    #[test]
    fn what_the_grammar_has_is_accepted() {
        for (name, text) in ACCEPTED {
            let raw = pass(text, 64).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(raw.text.as_bytes(), text.trim_ascii(), "{name}");
            pass_by_steps(text, 64).unwrap_or_else(|error| panic!("{name} by steps: {error}"));
        }
    }

    #[test]
    fn what_the_grammar_has_not_is_refused() {
        for (name, text) in REFUSED {
            let error = pass(text, 64).expect_err(name);
            assert!(error.at <= text.len(), "{name}: {error}");
            assert_eq!(pass_by_steps(text, 64), Err(error), "{name}");
        }
    }

    #[test]
    fn what_the_rfc_leaves_open_is_decided_one_way() {
        for refused in [
            &b"\xef\xbb\xbf{}"[..],
            b"\xff\xfe[\0]\0",
            b"\0[\0]",
            b"1e999",
            b"-1e999",
            b"[1e99999999999999999999]",
            b"[\"\\ud800\"]",
            b"[\"\\udc00\"]",
            b"[\"\\uD834\\uD834\"]",
            b"[\"\\udd1e\\ud834\"]",
            b"[\"\\ud800\\n\"]",
            b"[\"\\ud800abc\"]",
            b"{\"\\udfaa\":0}",
            b"[\"\xed\xa0\x80\"]",
            b"[\"\xc0\xaf\"]",
            b"[\"\xf4\xbf\xbf\xbf\"]",
            b"[\"\xe0\xff\"]",
            b"[\"\xe9\"]",
        ] {
            pass(refused, 64).expect_err(&String::from_utf8_lossy(refused));
        }
        for accepted in [
            &b"1e-999"[..],
            b"-0",
            b"-0.0",
            b"0e999999999999",
            b"100000000000000000000",
            b"1.7976931348623157e308",
            b"1E308",
            b"0.00000000000000000000001e330",
            b"{\"a\":1,\"a\":2}",
        ] {
            assert_eq!(pass(accepted, 64).unwrap().text.as_bytes(), accepted);
        }
    }

    #[test]
    fn a_number_is_out_of_range_exactly_where_a_double_overflows() {
        for (digits, exponent) in
            [(1, 308), (1, 309), (200, 99), (201, 99), (309, 0), (310, 0), (209, 100), (210, 100), (1_000, -700)]
        {
            for number in ["1", "17", "179", "9"]
                .map(|lead| format!("{lead}{}e{exponent}", "0".repeat(digits - lead.len().min(digits))))
            {
                for number in [number.as_str(), number.trim_end_matches("e0")] {
                    let is_finite = number.parse::<f64>().unwrap().is_finite();
                    let expected = if is_finite {
                        Ok(number.len())
                    } else {
                        Err(JsonError { at: 0, reason: Reason::NumberOutOfRange })
                    };
                    assert_eq!(pass(number.as_bytes(), 1).map(|raw| raw.text.len()), expected, "{number}");
                }
            }
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_and_where() {
        use Expected::{Colon, Comma, Key, Value};
        use Reason::{
            ControlCharacter, InvalidEscape, InvalidNumber, InvalidUtf8, LoneSurrogate, NumberOutOfRange,
            TrailingCharacters, UnexpectedByte, UnexpectedEnd, UnterminatedString,
        };
        let cases: [(&[u8], Reason, usize); 24] = [
            (b"", UnexpectedEnd(Value), 0),
            (b" [", UnexpectedEnd(Value), 2),
            (b"[1,]", UnexpectedByte(Value), 3),
            (b"[1 2]", UnexpectedByte(Comma), 3),
            (b"[1", UnexpectedEnd(Comma), 2),
            (b"[1}", UnexpectedByte(Comma), 2),
            (b"{", UnexpectedEnd(Key), 1),
            (b"{1:2}", UnexpectedByte(Key), 1),
            (b"{\"a\":1,}", UnexpectedByte(Key), 7),
            (b"{\"a\" 1}", UnexpectedByte(Colon), 5),
            (b"{\"a\"", UnexpectedEnd(Colon), 4),
            (b"{\"a\":}", UnexpectedByte(Value), 5),
            (b"{\"a\":1]", UnexpectedByte(Comma), 6),
            (b"[nul]", UnexpectedByte(Value), 4),
            (b"tru", UnexpectedEnd(Value), 3),
            (b"[\"abc", UnterminatedString, 1),
            (b"[\"a\xff\"]", InvalidUtf8, 3),
            (b"[\"a\nb\"]", ControlCharacter, 3),
            (b"[\"a\\x\"]", InvalidEscape, 3),
            (b"[\"a\\ud83d\"]", LoneSurrogate, 3),
            (b"[01]", InvalidNumber, 1),
            (b"[1.]", InvalidNumber, 3),
            (b"[1e400]", NumberOutOfRange, 1),
            (b"{} x", TrailingCharacters, 3),
        ];
        for (text, expected, at) in cases {
            assert_eq!(reason(text), (expected, at), "{}", String::from_utf8_lossy(text));
        }
        let error = pass(b"[1 2]", 1).unwrap_err();
        assert_eq!(error.to_string(), "expected `,` or a closing bracket at byte 3");
        assert_eq!(error.reason.python_message(), "Expecting ',' delimiter");
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |depth| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        for depth in [1, 2, 63, 64, 65, 1_000, usize::from(MAX_DEPTH)] {
            pass(&nested(depth), depth as u16).unwrap();
            let error = JsonError { at: depth, reason: Reason::TooDeep { allowed: depth as u16 } };
            assert_eq!(pass(&nested(depth + 1), depth as u16), Err(error));
        }
        assert_eq!(pass(&nested(10_000), u16::MAX).unwrap_err().reason, Reason::TooDeep { allowed: MAX_DEPTH });
        assert_eq!(pass(&b"[{\"a\":".repeat(100_000), 64).unwrap_err().reason, Reason::TooDeep { allowed: 64 });
        assert_eq!(pass(b"[]", 0).unwrap_err().reason, Reason::TooDeep { allowed: 0 });
        pass(b"1", 0).unwrap();
    }

    #[test]
    fn ten_thousand_brackets_take_no_stack() {
        let text = b"[".repeat(10_000);
        let thread = std::thread::Builder::new().stack_size(64 * 1_024);
        let result = thread.spawn(move || pass(&text, u16::MAX).map(|raw| raw.kind)).unwrap().join().unwrap();
        assert_eq!(
            result,
            Err(JsonError { at: usize::from(MAX_DEPTH), reason: Reason::TooDeep { allowed: MAX_DEPTH } })
        );
    }

    #[test]
    fn depth_counts_entered_and_passed_containers_alike() {
        let mut cursor = Cursor::new(b"{\"a\":[[1],{\"b\":[2]}]}", 3).unwrap();
        cursor.enter_object().unwrap();
        cursor.next_key().unwrap();
        cursor.enter_array().unwrap();
        assert!(cursor.next_element().unwrap());
        assert_eq!(cursor.value().unwrap().text, "[1]");
        assert!(cursor.next_element().unwrap());
        assert_eq!(cursor.value(), Err(JsonError { at: 15, reason: Reason::TooDeep { allowed: 3 } }));
    }

    #[test]
    fn a_feast_request_is_read_in_place() {
        let body = br#" { "entities" : {"driver_id":[1001, "1\u0030"]} ,"features":["a:b"], "full_feature_names":true,"x":null} "#;
        let mut cursor = Cursor::new(body, 8).unwrap();
        cursor.enter_object().unwrap();
        assert!(cursor.next_key().unwrap().unwrap().equals("entities"));
        cursor.enter_object().unwrap();
        assert_eq!(cursor.next_key().unwrap().unwrap().raw(), "driver_id");
        cursor.enter_array().unwrap();
        assert!(cursor.next_element().unwrap());
        let number = cursor.value().unwrap();
        assert_eq!((number.text, number.kind), ("1001", Kind::Number));
        assert!(body[..cursor.offset()].ends_with(b"1001"));
        assert!(cursor.next_element().unwrap());
        assert_eq!(cursor.peek(), Ok(Kind::String));
        assert!(body[cursor.offset()..].starts_with(b"\"1\\u"));
        let text = cursor.string().unwrap();
        assert!(text.is_escaped() && text.equals("10"));
        assert!(!cursor.next_element().unwrap());
        assert_eq!(cursor.next_key(), Ok(None));
        assert!(cursor.next_key().unwrap().unwrap().equals("features"));
        assert_eq!(cursor.value().unwrap().text, r#"["a:b"]"#);
        cursor.next_key().unwrap();
        assert_eq!(cursor.number().unwrap_err().reason, Reason::UnexpectedKind(Kind::Number));
        assert_eq!(cursor.boolean(), Ok(true));
        cursor.next_key().unwrap();
        cursor.null().unwrap();
        assert_eq!(cursor.next_key(), Ok(None));
        cursor.finish().unwrap();
    }

    #[test]
    fn escapes_are_resolved() {
        for (quoted, meant) in [
            (r#""""#, ""),
            (r#""plain ü""#, "plain ü"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""a\u00e9\u20AC\ud83d\ude95z\u0000""#, "aé€🚕z\0"),
            (r#""\ud834\udd1e\ud834\udd1e""#, "𝄞𝄞"),
            (r#""\\u0041""#, "\\u0041"),
            (r#""\uFFFF\udbff\udfff""#, "\u{ffff}\u{10ffff}"),
        ] {
            assert_eq!(decode(quoted), meant);
            let text = Cursor::new(quoted.as_bytes(), 1).unwrap().string().unwrap();
            assert!(text.equals(meant) && !text.equals(&format!("{meant}x")) && !text.equals("x"));
        }
        let unescaped = Cursor::new(br#""abc""#, 1).unwrap().string().unwrap();
        let mut scratch = String::from("kept");
        assert_eq!(unescaped.decode(&mut scratch), "abc");
        assert_eq!(scratch, "kept");
    }

    #[test]
    fn only_what_must_be_is_escaped() {
        let mut out = b"x".to_vec();
        write_string(&mut out, "a\"b\\c/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}é\u{2028}🚕");
        assert_eq!(out, "x\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}é\u{2028}🚕\"".as_bytes());
    }

    #[test]
    fn a_string_ends_at_its_quote_wherever_it_stands_in_a_word() {
        for length in 0..40 {
            for (special, expected) in
                [(&b"\""[..], None), (b"\\n\"", None), (b"\x1f\"", Some(Reason::ControlCharacter))]
            {
                for filler in [&b"\x7f"[..], b" ", b"!", b"#", b"[", b"]", b"\xc2\xa2"] {
                    let text = [b"\"", &filler.repeat(length)[..], special].concat();
                    assert_eq!(
                        pass(&text, 1).err().map(|error| error.reason),
                        expected,
                        "{}",
                        String::from_utf8_lossy(&text)
                    );
                }
            }
        }
    }

    #[test]
    fn a_call_out_of_step_is_an_error_and_passes_nothing() {
        let misplaced = |at| JsonError { at, reason: Reason::Misplaced };
        let mut cursor = Cursor::new(b"[1 2]", 4).unwrap();
        assert_eq!(cursor.next_element(), Err(misplaced(0)));
        assert_eq!(cursor.clone().finish(), Err(misplaced(0)));
        cursor.enter_array().unwrap();
        assert_eq!(cursor.value(), Err(misplaced(1)));
        assert_eq!(cursor.next_key(), Err(misplaced(1)));
        assert!(cursor.next_element().unwrap());
        assert_eq!(cursor.next_element(), Err(misplaced(1)));
        cursor.value().unwrap();
        assert_eq!(cursor.value(), Err(misplaced(2)));
        assert_eq!(cursor.next_element().unwrap_err().reason, Reason::UnexpectedByte(Expected::Comma));
        assert_eq!(cursor.next_element().unwrap_err().reason, Reason::UnexpectedByte(Expected::Comma));
        assert_eq!(cursor.finish(), Err(misplaced(2)));
    }

    /// Whether serde_json accepts the text, ours being stricter in the ways that the module names.
    fn agrees_with_serde_json(text: &[u8]) {
        let ours = pass(text, MAX_DEPTH);
        match (serde_json::from_slice::<&RawValue>(text), ours) {
            (Ok(theirs), Ok(ours)) => assert_eq!(theirs.get(), ours.text),
            (Ok(_), Err(error)) => {
                let stricter =
                    [Reason::NumberOutOfRange, Reason::LoneSurrogate, Reason::TooDeep { allowed: MAX_DEPTH }];
                assert!(stricter.contains(&error.reason), "{error} in {:?}", String::from_utf8_lossy(text));
            }
            (Err(error), Ok(_)) => panic!("{error} in {:?}", String::from_utf8_lossy(text)),
            (Err(_), Err(error)) => assert!(error.at <= text.len()),
        }
        assert_eq!(pass_by_steps(text, MAX_DEPTH).err(), ours.err());
        if let (Ok(raw), Ok(steps)) = (ours, pass_by_steps(text, MAX_DEPTH)) {
            let strip = |text: &str| text.chars().filter(|c| !" \t\r\n,".contains(*c)).collect::<String>();
            assert_eq!(strip(raw.text), strip(&steps));
        }
    }

    fn any_json() -> impl Strategy<Value = String> {
        let space = "[ \t\r\n]{0,2}";
        let scalar = prop_oneof![
            Just("true".to_owned()),
            Just("false".to_owned()),
            Just("null".to_owned()),
            any::<f64>().prop_map(|number| format!("{number:e}").replace("NaN", "0").replace("inf", "1")),
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            r#""([ -!#-\[\]-~é🚕]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud83d\\ude[0-9a-f]{2}){0,20}""#,
        ];
        scalar.prop_recursive(6, 60, 6, move |inner| {
            let member = ("[a-z]{0,3}", space, inner.clone())
                .prop_map(|(key, gap, value)| format!("{gap}\"{key}\"{gap}:{value}"));
            prop_oneof![
                (proptest::collection::vec(inner, 0..6), space)
                    .prop_map(|(all, gap)| format!("[{gap}{}{gap}]", all.join(&format!("{gap},{gap}")))),
                (proptest::collection::vec(member, 0..6), space)
                    .prop_map(|(all, gap)| format!("{gap}{{{}{gap}}}", all.join(","))),
            ]
        })
    }

    proptest! {
        #[test]
        fn documents_are_judged_as_serde_json_judges_them(text in any_json()) {
            agrees_with_serde_json(text.as_bytes());
        }

        #[test]
        fn damaged_documents_are_judged_as_serde_json_judges_them(
            text in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), how in 0..3,
        ) {
            let mut text = text.into_bytes();
            let at = at.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => text.insert(at, b"[]{}:,\"\\ -0.eut"[usize::from(byte) % 15]),
                _ => text.truncate(at),
            }
            agrees_with_serde_json(&text);
        }

        #[test]
        fn bytes_of_any_kind_are_judged_as_serde_json_judges_them(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            agrees_with_serde_json(&text);
        }

        #[test]
        fn json_like_rubbish_is_judged_as_serde_json_judges_it(text in r#"[\[\]{}:," \\a0-9.eE+\-truefalsnd]{0,40}"#) {
            agrees_with_serde_json(text.as_bytes());
        }

        #[test]
        fn strings_mean_what_serde_json_reads(quoted in r#""([ -!#-\[\]-~é🚕]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud83d\\ude[0-9a-f]{2}){0,20}""#) {
            if let Ok(text) = Cursor::new(quoted.as_bytes(), 1).unwrap().string() {
                let theirs: String = serde_json::from_str(&quoted).unwrap();
                let mut scratch = String::new();
                prop_assert_eq!(text.decode(&mut scratch), &theirs);
                prop_assert!(text.equals(&theirs));
            } else {
                prop_assert!(serde_json::from_str::<String>(&quoted).is_err());
            }
        }

        #[test]
        fn what_is_written_is_read_again(plain in any::<String>()) {
            let mut out = Vec::new();
            write_string(&mut out, &plain);
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), serde_json::to_string(&plain).unwrap());
            prop_assert_eq!(decode(std::str::from_utf8(&out).unwrap()), plain);
        }

        #[test]
        fn no_order_of_calls_passes_what_is_no_json(text in any_json(), calls in proptest::collection::vec(0..11, 0..80), at in any::<prop::sample::Index>()) {
            let mut text = text.into_bytes();
            let at = at.index(text.len());
            text.remove(at);
            let Ok(mut cursor) = Cursor::new(&text, 8) else { return Ok(()) };
            for call in calls {
                let before = cursor.offset();
                let _ = match call {
                    0 => cursor.peek().map(drop),
                    1 => cursor.enter_object(),
                    2 | 3 => cursor.next_key().map(drop),
                    4 => cursor.enter_array(),
                    5 | 6 => cursor.next_element().map(drop),
                    7 => cursor.string().map(drop),
                    8 => cursor.number().map(drop),
                    9 => cursor.null().or_else(|_| cursor.boolean().map(drop)),
                    _ => cursor.value().map(drop),
                };
                prop_assert!(before <= cursor.offset() && cursor.offset() <= text.len());
            }
            if cursor.finish().is_ok() {
                prop_assert!(serde_json::from_slice::<&RawValue>(&text).is_ok());
            }
        }
    }
}
