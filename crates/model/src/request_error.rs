//! Why a request is invalid: one variant for each thing that a caller can change.

use core::fmt;

/// An invalid request, which is rejected before any work is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The body is not JSON, or has a number that a float cannot represent.
    InvalidJson {
        /// Offset in the body, in bytes.
        at: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A field is missing, unknown or of the wrong kind.
    InvalidField {
        /// The path from the body's root.
        path: Vec<String>,
        /// The machine-readable kind, in pydantic's terms where it has one.
        kind: &'static str,
        /// The error message.
        message: String,
    },
    /// The request exceeds a configured limit.
    LimitExceeded {
        /// The limit's key in the configuration.
        limit: &'static str,
        /// What the limit allows.
        allowed: usize,
        /// What the request has.
        found: usize,
    },
}

impl RequestError {
    /// An error of the field at `path`.
    pub fn field(path: &[&str], kind: &'static str, message: impl Into<String>) -> RequestError {
        RequestError::InvalidField {
            path: path.iter().map(|&part| part.to_owned()).collect(),
            kind,
            message: message.into(),
        }
    }

    /// The HTTP status: 413 for a body that is too large, else 422, as of Feast's own server.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            RequestError::LimitExceeded { limit: "body_bytes" | "write_body_bytes", .. } => 413,
            _ => 422,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::InvalidJson { at, reason } => {
                write!(f, "the body is not valid JSON: {reason} at byte {at}")
            }
            RequestError::InvalidField { path, message, .. } => write!(f, "`{}`: {message}", path.join(".")),
            RequestError::LimitExceeded { limit, allowed, found } => {
                write!(f, "the request has {found} where `limits.{limit}` allows {allowed}")
            }
        }
    }
}

impl core::error::Error for RequestError {}
