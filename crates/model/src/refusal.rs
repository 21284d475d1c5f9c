//! Why a request is refused: one variant for each thing that a caller can do something about.

use core::fmt;

/// A request that is refused before any work is done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The body is no JSON, or not JSON that a float can hold.
    Json {
        /// Offset in the body, in bytes.
        at: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A field is missing, unknown or of the wrong kind.
    Field {
        /// The path from the body's root.
        path: Vec<String>,
        /// The machine-readable kind, in pydantic's terms where it has one.
        kind: &'static str,
        /// What is wrong, in words.
        message: String,
    },
    /// The request passes one of the configured limits.
    Limit {
        /// The limit's key in the configuration.
        limit: &'static str,
        /// What the limit allows.
        allowed: usize,
        /// What the request has.
        found: usize,
    },
}

impl Refusal {
    /// A refusal of the field at `path`.
    pub fn field(path: &[&str], kind: &'static str, message: impl Into<String>) -> Refusal {
        Refusal::Field { path: path.iter().map(|&part| part.to_owned()).collect(), kind, message: message.into() }
    }

    /// The HTTP status that says it: 413 for a body that is too large, else 422 as Feast's own server answers.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Limit { limit: "body_bytes" | "write_body_bytes", .. } => 413,
            _ => 422,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Json { at, reason } => write!(f, "the body is not acceptable JSON: {reason} at byte {at}"),
            Refusal::Field { path, message, .. } => write!(f, "`{}`: {message}", path.join(".")),
            Refusal::Limit { limit, allowed, found } => {
                write!(f, "the request has {found} where `limits.{limit}` allows {allowed}")
            }
        }
    }
}

impl core::error::Error for Refusal {}
