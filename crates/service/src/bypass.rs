//! Why a request is passed through to the origin, and how its response says so. It knows no request.
//!
//! Invariant: each passed-through response has one reason, in the terms of RFC 9211.

/// Why a request is passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// Its path is not served here: a write, a search, the origin's own endpoints.
    Path,
    /// It brings credentials that only the origin can judge.
    Authorization,
    /// It has a query string, whose meaning is not known here.
    Query,
    /// It exceeds one of `limits`.
    OverLimit,
    /// Its body is one that only the origin can judge.
    Body,
}

impl Bypass {
    /// The value of `Cache-Status`.
    #[must_use]
    pub fn cache_status(self) -> &'static str {
        match self {
            Bypass::Path => "featheredge; fwd=bypass",
            Bypass::Authorization => "featheredge; fwd=bypass; detail=authorization",
            Bypass::Query => "featheredge; fwd=bypass; detail=query",
            Bypass::OverLimit => "featheredge; fwd=bypass; detail=over-limit",
            Bypass::Body => "featheredge; fwd=bypass; detail=body",
        }
    }
}
