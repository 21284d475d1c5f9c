//! Errors of the native API: `application/problem+json`, RFC 9457.

use crate::response_buffer::ResponseBuffer;
use model::refusal::Refusal;

/// The media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The body that tells of a problem: `code` is its machine-readable name, `title` the same for people, `detail` what is
/// special about this one.
#[must_use]
pub fn body(status: u16, code: &str, title: &str, detail: &str) -> Vec<u8> {
    let mut buffer = ResponseBuffer::default();
    buffer.push(b"{\"type\":");
    buffer.push_string(&format!("urn:featheredge:problem:{code}"));
    buffer.push(b",\"title\":");
    buffer.push_string(title);
    buffer.push(b",\"status\":");
    buffer.push_number(status);
    buffer.push(b",\"detail\":");
    buffer.push_string(detail);
    buffer.push(b"}");
    buffer.into_vec()
}

/// The body that tells why a request is refused.
#[must_use]
pub fn refusal(refusal: &Refusal) -> Vec<u8> {
    let (code, title) = match refusal {
        Refusal::Json { .. } => ("malformed-json", "The body is not acceptable JSON"),
        Refusal::Field { .. } => ("invalid-field", "A field of the request is not acceptable"),
        Refusal::Limit { .. } => ("over-limit", "The request passes a limit"),
    };
    body(refusal.status(), code, title, &refusal.to_string())
}
