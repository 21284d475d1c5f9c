//! Feast's HTTP contract, `POST /get-online-features`: its requests read, its answers written.
//!
//! Source: Feast 0.67, `feast/feature_server.py` and the answers of a running server. A body that is JSON but not as
//! the contract has it, in a way that Feast itself may or may not accept, is left to the origin.

mod answer;

pub use answer::write;

use crate::call::{Call, Span};
use crate::response_buffer::ResponseBuffer;
use config::Limits;
use json::{Cursor, Kind};
use model::request_error::RequestError;

/// Reads a request.
///
/// # Errors
/// Why it is refused.
#[inline(never)]
pub fn read(body: &[u8], limits: &Limits, call: &mut Call) -> Result<(), RequestError> {
    call.clear();
    let missing = || RequestError::field(&["body"], "missing", "Field required");
    if body.is_empty() {
        return Err(missing());
    }
    let mut cursor = Cursor::new(body, limits.depth)?;
    let kind = cursor.peek()?;
    if kind != Kind::Object {
        cursor.value()?;
        cursor.finish()?;
        if kind == Kind::Null {
            return Err(missing());
        }
        return Err(RequestError::field(
            &["body"],
            "model_attributes_type",
            "Input should be a valid dictionary or object to extract fields from",
        ));
    }
    cursor.enter_object()?;
    let mut seen = Seen::default();
    while let Some(key) = cursor.next_key()? {
        if key.equals("entities") {
            seen.once(0, "entities")?;
            call.read_entities(&mut cursor, body, limits)?;
        } else if key.equals("features") {
            seen.once(1, "features")?;
            match cursor.peek()? {
                // Some versions of Feast take it for an empty list, some refuse it.
                Kind::Null => {
                    cursor.null()?;
                    call.needs_passthrough = true;
                }
                _ => call.read_features(&mut cursor, body, "features", limits)?,
            }
        } else if key.equals("feature_service") {
            seen.once(2, "feature_service")?;
            match cursor.peek()? {
                Kind::Null => cursor.null()?,
                Kind::String => {
                    call.service = Some(string_span(&mut cursor)?).filter(|name| name.bytes(body) != b"\"\"")
                }
                _ => {
                    return Err(RequestError::field(
                        &["body", "feature_service"],
                        "string_type",
                        "Input should be a valid string",
                    ));
                }
            }
        } else if key.equals("full_feature_names") {
            seen.once(3, "full_feature_names")?;
            match cursor.peek()? {
                Kind::True | Kind::False => call.full_feature_names = cursor.boolean()?,
                // Feast's server reads "true", 1 and more as booleans.
                _ => {
                    cursor.value()?;
                    call.needs_passthrough = true;
                }
            }
        } else if key.equals("include_feature_view_version_metadata") {
            seen.once(4, "include_feature_view_version_metadata")?;
            call.needs_passthrough |= cursor.peek()? != Kind::False;
            cursor.value()?;
        } else {
            // A later version of the contract may give it a meaning that changes the answer.
            cursor.value()?;
            call.needs_passthrough = true;
        }
    }
    cursor.finish()?;
    if !seen.has(0) {
        return Err(RequestError::field(&["body", "entities"], "missing", "Field required"));
    }
    // Neither features nor a service, or no rows at all: Feast decides what that means.
    call.needs_passthrough |= call.rows == 0 || (call.service.is_none() && call.feature_count == 0);
    call.check_cells(limits)
}

/// Passes a string and returns where it stands, quotes included.
///
/// # Errors
/// Where it is no acceptable string.
pub fn string_span(cursor: &mut Cursor<'_>) -> Result<Span, RequestError> {
    let raw = cursor.value()?;
    Ok(Span::behind(cursor, &raw))
}

/// Which fields of a body have been seen. A field that stands twice is refused, since parsers differ on which one counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen(u32);

impl Seen {
    /// Notes field number `field`.
    ///
    /// # Errors
    /// Where it was seen before.
    pub fn once(&mut self, field: u32, name: &str) -> Result<(), RequestError> {
        if self.has(field) {
            return Err(RequestError::field(&["body", name], "duplicate_key", "a field may stand in the body once"));
        }
        self.0 |= 1 << field;
        Ok(())
    }

    /// Whether field number `field` was seen.
    #[must_use]
    pub fn has(self, field: u32) -> bool {
        self.0 & (1 << field) != 0
    }
}

/// An error in the form of FastAPI, as Feast's server refuses a body.
#[must_use]
#[inline]
pub fn request_error(error: &RequestError, body: &[u8]) -> Vec<u8> {
    let mut buffer = ResponseBuffer::default();
    buffer.push(b"{\"detail\":[{\"type\":");
    match error {
        RequestError::InvalidJson { at, reason } => {
            buffer.push(b"\"json_invalid\",\"loc\":[\"body\",");
            buffer.push_number(at);
            buffer.push(b"],\"msg\":\"JSON decode error\",\"input\":{},\"ctx\":{\"error\":");
            buffer.push_string(reason);
            buffer.push(b"}");
        }
        RequestError::InvalidField { path, kind, message } => {
            buffer.push_string(kind);
            buffer.push(b",\"loc\":[");
            for part in path {
                match part.parse::<usize>() {
                    Ok(index) => buffer.push_number(index),
                    Err(_) => buffer.push_string(part),
                }
                buffer.push(b",");
            }
            buffer.drop_comma();
            buffer.push(b"],\"msg\":");
            buffer.push_string(message);
            if *kind == "missing" {
                // The body has been read, so it is JSON and may stand here as it is.
                buffer.push(b",\"input\":");
                buffer.push(if body.is_empty() { b"null" } else { body });
            }
        }
        RequestError::LimitExceeded { limit, allowed, .. } => {
            buffer.push_string(limit_kind(limit));
            buffer.push(b",\"loc\":[\"body\"],\"msg\":");
            buffer.push_string(&error.to_string());
            buffer.push(b",\"ctx\":{\"limit\":");
            buffer.push_number(allowed);
            buffer.push(b"}");
        }
    }
    buffer.push(b"}]}");
    buffer.into_vec()
}

fn limit_kind(limit: &str) -> &'static str {
    match limit {
        "body_bytes" => "body_too_large",
        "entities" => "too_many_entities",
        "features" => "too_many_features",
        "key_bytes" => "key_too_large",
        "depth" => "nested_too_deep",
        _ => "too_many_cells",
    }
}

/// An error as Feast's server reports its own: a JSON string.
#[must_use]
pub fn error_string(message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 2);
    json::write_string(&mut out, message);
    out
}
