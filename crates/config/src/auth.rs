//! `auth`: authentication and scopes.
//!
//! The host checks credentials; here are only its settings. Invariant: the table has no
//! secret.

use serde::{Deserialize, Serialize};

/// The scopes.
pub(super) const SCOPES: [&str; 3] = ["read", "write", "admin"];

/// `auth`: authentication and scopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// How callers authenticate.
    pub mode: AuthMode,
    /// The scopes of callers without credentials: `read`, `write`, `admin`. By default `read` in the mode `none`, else none.
    pub anonymous_scopes: Option<Vec<String>>,
    /// The issuer of tokens (claim `iss`).
    pub issuer: Option<String>,
    /// The audience of tokens (claim `aud`).
    pub audience: Option<String>,
    /// The URL of the issuer's keys; by default that of its discovery document.
    pub jwks_url: Option<String>,
    /// The TTL of these keys, in seconds.
    pub jwks_ttl_seconds: u64,
    /// The most skew of the issuer's clock, in seconds.
    pub clock_skew_seconds: u64,
    /// The scopes of every token of the issuer.
    pub default_scopes: Vec<String>,
    /// The claim with further scopes: `featheredge:read`, `featheredge:write` and `featheredge:admin`.
    pub scope_claim: String,
    /// The claim with the project of a token; projects share no rows.
    pub project_claim: Option<String>,
    /// The host's binding of the rate limiter.
    pub rate_limit_binding: Option<String>,
    /// `Retry-After` of a rate-limited caller, in seconds: the limiter's period.
    pub retry_after_seconds: u64,
    /// The sites that may call (CORS); `*` for all.
    pub cors_origins: Vec<String>,
}

/// How callers authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// They do not authenticate.
    None,
    /// By a bearer token whose digest is in a secret.
    Tokens,
    /// By a token that an identity provider signed (OpenID Connect).
    Oidc,
    /// To the origin, which decides. Its rows are cached for that caller only.
    Origin,
}

impl Default for Auth {
    fn default() -> Self {
        Auth {
            mode: AuthMode::None,
            anonymous_scopes: None,
            issuer: None,
            audience: None,
            jwks_url: None,
            jwks_ttl_seconds: 300,
            clock_skew_seconds: 60,
            default_scopes: vec!["read".to_owned()],
            // RFC 8693, 4.2.
            scope_claim: "scope".to_owned(),
            project_claim: None,
            rate_limit_binding: None,
            retry_after_seconds: 60,
            cors_origins: Vec::new(),
        }
    }
}
