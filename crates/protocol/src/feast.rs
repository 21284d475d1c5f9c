//! Feast's protocol, `POST /get-online-features`: reads requests and writes responses.
//!
//! Source: Feast 0.67, `feast/feature_server.py` and the responses of a running server. A JSON body that differs from the contract,
//! in a way that Feast may accept, is passed through to the origin.

mod response;

pub use response::write;

use crate::feature_request::{FeatureRequest, Span};
use crate::response_buffer::ResponseBuffer;
use config::Limits;
use json::{Cursor, Kind};
use model::request_error::RequestError;

/// Reads a request.
///
/// # Errors
/// Why it is invalid.
#[inline(never)]
pub fn read(body: &[u8], limits: &Limits, fields: &mut FeatureRequest) -> Result<(), RequestError> {
    fields.clear();
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
    let mut seen = SeenFields::default();
    while let Some(key) = cursor.next_key()? {
        if key.equals("entities") {
            seen.once(0, "entities")?;
            fields.read_entities(&mut cursor, body, limits)?;
        } else if key.equals("features") {
            seen.once(1, "features")?;
            match cursor.peek()? {
                // Some versions of Feast read it as an empty list, others reject it.
                Kind::Null => {
                    cursor.null()?;
                    fields.needs_passthrough = true;
                }
                _ => fields.read_features(&mut cursor, body, "features", limits)?,
            }
        } else if key.equals("feature_service") {
            seen.once(2, "feature_service")?;
            match cursor.peek()? {
                Kind::Null => cursor.null()?,
                Kind::String => {
                    fields.service = Some(string_span(&mut cursor)?).filter(|name| name.bytes(body) != b"\"\"")
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
                Kind::True | Kind::False => fields.full_feature_names = cursor.boolean()?,
                // Feast's server reads "true", 1 and more as booleans.
                _ => {
                    cursor.value()?;
                    fields.needs_passthrough = true;
                }
            }
        } else if key.equals("include_feature_view_version_metadata") {
            seen.once(4, "include_feature_view_version_metadata")?;
            fields.needs_passthrough |= cursor.peek()? != Kind::False;
            cursor.value()?;
        } else {
            // A later version of the contract may give it a meaning that changes the response.
            cursor.value()?;
            fields.needs_passthrough = true;
        }
    }
    cursor.finish()?;
    if !seen.has(0) {
        return Err(RequestError::field(&["body", "entities"], "missing", "Field required"));
    }
    // Neither features nor a service, or no rows: Feast decides what that means.
    fields.needs_passthrough |= fields.rows == 0 || (fields.service.is_none() && fields.feature_count == 0);
    fields.check_cells(limits)
}

/// Reads a string and returns its span, quotes included.
///
/// # Errors
/// Where it is no valid string.
pub fn string_span(cursor: &mut Cursor<'_>) -> Result<Span, RequestError> {
    let raw = cursor.value()?;
    Ok(Span::just_read(cursor, &raw))
}

/// Which fields of a body have been read. A repeated field is an error, since parsers differ on which one counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeenFields(u32);

impl SeenFields {
    /// Notes that field number `field` was read.
    ///
    /// # Errors
    /// Where it was read before.
    pub fn once(&mut self, field: u32, name: &str) -> Result<(), RequestError> {
        if self.has(field) {
            return Err(RequestError::field(&["body", name], "duplicate_key", "the field is repeated"));
        }
        self.0 |= 1 << field;
        Ok(())
    }

    /// Whether field number `field` was read.
    #[must_use]
    pub fn has(self, field: u32) -> bool {
        self.0 & (1 << field) != 0
    }
}

/// An error in the format of FastAPI, with which Feast's server rejects a body.
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
            buffer.push_json_string(reason);
            buffer.push(b"}");
        }
        RequestError::InvalidField { path, kind, message } => {
            buffer.push_json_string(kind);
            buffer.push(b",\"loc\":[");
            for part in path {
                match part.parse::<usize>() {
                    Ok(index) => buffer.push_number(index),
                    Err(_) => buffer.push_json_string(part),
                }
                buffer.push(b",");
            }
            buffer.pop_comma();
            buffer.push(b"],\"msg\":");
            buffer.push_json_string(message);
            if *kind == "missing" {
                // The body was parsed, so it is JSON and is inserted as it is.
                buffer.push(b",\"input\":");
                buffer.push(if body.is_empty() { b"null" } else { body });
            }
        }
        RequestError::LimitExceeded { limit, allowed, .. } => {
            buffer.push_json_string(limit_kind(limit));
            buffer.push(b",\"loc\":[\"body\"],\"msg\":");
            buffer.push_json_string(&error.to_string());
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
