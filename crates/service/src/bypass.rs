//! Why a request goes past the caches to the origin, and how its answer says so.
//!
//! Invariant: each answer that is passed on has one reason, in the terms of RFC 9211.

/// Why a request is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// Its path is not answered here: a write, a search, what the origin tells of itself.
    Path,
    /// It brings credentials that only the origin can judge.
    Authorization,
    /// It asks for features with a query, of whose meaning nothing is known here.
    Query,
    /// It passes one of `limits`.
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
