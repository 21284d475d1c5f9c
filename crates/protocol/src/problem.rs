//! Errors of the native API: `application/problem+json`, RFC 9457.

use crate::response_buffer::ResponseBuffer;
use model::request_error::RequestError;

/// The media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The body of a problem: `code` is its type, `title` the type for people, `detail` describes this occurrence.
#[must_use]
pub fn body(status: u16, code: &str, title: &str, detail: &str) -> Vec<u8> {
    let mut buffer = ResponseBuffer::default();
    buffer.push(b"{\"type\":");
    buffer.push_json_string(&format!("urn:featheredge:problem:{code}"));
    buffer.push(b",\"title\":");
    buffer.push_json_string(title);
    buffer.push(b",\"status\":");
    buffer.push_number(status);
    buffer.push(b",\"detail\":");
    buffer.push_json_string(detail);
    buffer.push(b"}");
    buffer.into_vec()
}

/// The problem of an invalid request.
#[must_use]
pub fn request_error(error: &RequestError) -> Vec<u8> {
    let (code, title) = match error {
        RequestError::InvalidJson { .. } => ("malformed-json", "The body is not valid JSON"),
        RequestError::InvalidField { .. } => ("invalid-field", "A field of the request is invalid"),
        RequestError::LimitExceeded { .. } => ("over-limit", "The request exceeds a limit"),
    };
    body(error.status(), code, title, &error.to_string())
}
