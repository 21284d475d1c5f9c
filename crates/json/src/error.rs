//! What can be wrong with a JSON text.

use core::fmt;

use model::request_error::RequestError;

use super::Kind;

/// Why a text is no acceptable JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The offset in bytes of what is at fault.
    pub at: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a JSON text, or with the use of a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The text ends where something must follow.
    UnexpectedEnd(Expected),
    /// A byte other than expected.
    UnexpectedByte(Expected),
    /// The text ends inside a string, which begins at the offset.
    UnterminatedString,
    /// The text is not UTF-8.
    InvalidUtf8,
    /// A string holds a control character that is not escaped.
    ControlCharacter,
    /// A backslash is followed by nothing that it can escape.
    InvalidEscape,
    /// A `\u` escape is half of a surrogate pair.
    LoneSurrogate,
    /// A number is not as the grammar has it.
    InvalidNumber,
    /// A number is too large for a double.
    NumberOutOfRange,
    /// Containers nest deeper than is allowed.
    TooDeep {
        /// How deep they may.
        allowed: u16,
    },
    /// Something follows the document.
    TrailingCharacters,
    /// A value of another kind than requested.
    UnexpectedKind(Kind),
    /// A call of the cursor that cannot succeed here: for a value before a comma, for a member outside a container, for the end before the
    /// value.
    Misplaced,
}

/// What was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any value.
    Value,
    /// The key of a member.
    Key,
    /// The colon after a key.
    Colon,
    /// A comma, or the end of the container.
    Comma,
}

impl Reason {
    /// How Python's `json` module says it, which is what Feast's server puts in `ctx.error`. Where Python accepts the
    /// text, in its manner.
    #[must_use]
    pub const fn python_message(self) -> &'static str {
        match self {
            Reason::UnexpectedEnd(expected) | Reason::UnexpectedByte(expected) => match expected {
                Expected::Value => "Expecting value",
                Expected::Key => "Expecting property name enclosed in double quotes",
                Expected::Colon => "Expecting ':' delimiter",
                Expected::Comma => "Expecting ',' delimiter",
            },
            Reason::InvalidNumber | Reason::UnexpectedKind(_) | Reason::Misplaced => "Expecting value",
            Reason::UnterminatedString => "Unterminated string starting at",
            Reason::InvalidUtf8 => "Invalid UTF-8",
            Reason::ControlCharacter => "Invalid control character at",
            Reason::InvalidEscape => "Invalid \\escape",
            Reason::LoneSurrogate => "Invalid \\uXXXX escape",
            Reason::NumberOutOfRange => "Number out of range",
            Reason::TooDeep { .. } => "Too deeply nested",
            Reason::TrailingCharacters => "Extra data",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::UnexpectedEnd(expected) => write!(f, "unexpected end of the text, expected {expected}"),
            Reason::UnexpectedByte(expected) => write!(f, "expected {expected}"),
            Reason::UnterminatedString => f.write_str("unterminated string"),
            Reason::InvalidUtf8 => f.write_str("the text is not UTF-8"),
            Reason::ControlCharacter => f.write_str("a control character in a string must be escaped"),
            Reason::InvalidEscape => f.write_str("invalid escape"),
            Reason::LoneSurrogate => f.write_str("the `\\u` escape is half of a surrogate pair"),
            Reason::InvalidNumber => f.write_str("the number is malformed"),
            Reason::NumberOutOfRange => f.write_str("the number is too large for a double"),
            Reason::TooDeep { .. } => f.write_str("objects and arrays are nested too deeply"),
            Reason::TrailingCharacters => f.write_str("unexpected characters after the document"),
            Reason::UnexpectedKind(kind) => write!(f, "expected {kind}"),
            Reason::Misplaced => f.write_str("the reader expected something else here"),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expected::Value => "a value",
            Expected::Key => "a key in double quotes",
            Expected::Colon => "`:`",
            Expected::Comma => "`,` or a closing bracket",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Object => "an object",
            Kind::Array => "an array",
            Kind::String => "a string",
            Kind::Number => "a number",
            Kind::True | Kind::False => "a boolean",
            Kind::Null => "`null`",
        })
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.at)
    }
}

impl core::error::Error for JsonError {}

impl From<JsonError> for RequestError {
    fn from(error: JsonError) -> Self {
        match error.reason {
            Reason::TooDeep { allowed } => RequestError::LimitExceeded {
                limit: "depth",
                allowed: usize::from(allowed),
                found: usize::from(allowed) + 1,
            },
            reason => RequestError::InvalidJson { at: error.at, reason: reason.to_string() },
        }
    }
}

#[cold]
pub(super) fn fail<T>(at: usize, reason: Reason) -> Result<T, JsonError> {
    Err(JsonError { at, reason })
}

#[cold]
pub(super) fn fail_expecting<T>(found: Option<&u8>, at: usize, expected: Expected) -> Result<T, JsonError> {
    fail(at, if found.is_some() { Reason::UnexpectedByte(expected) } else { Reason::UnexpectedEnd(expected) })
}
