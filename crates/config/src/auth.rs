//! `auth`: who may do what.
//!
//! Credentials are looked at where they are, in the host; here is only what an operator says of them. No secret stands in the
//! table.

use serde::{Deserialize, Serialize};

/// What may be allowed.
pub(super) const RIGHTS: [&str; 3] = ["read", "write", "admin"];

/// `auth`: who may do what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// How callers show who they are.
    pub mode: AuthMode,
    /// What needs no credentials: `read`, `write`, `admin`. Where it is left out, `read` in the mode `none`, else nothing.
    pub anonymous_scopes: Option<Vec<String>>,
    /// Who issues the tokens, as it stands in them.
    pub issuer: Option<String>,
    /// Whom the tokens are for, as it stands in them.
    pub audience: Option<String>,
    /// Where the issuer's keys are; where it is left out, its discovery document tells.
    pub jwks_url: Option<String>,
    /// How long these keys are believed, in seconds.
    pub jwks_ttl_seconds: u64,
    /// By how much the issuer's clock may be off, in seconds.
    pub clock_skew_seconds: u64,
    /// What every token of the issuer allows.
    pub default_scopes: Vec<String>,
    /// The claim whose words `featheredge:read`, `featheredge:write` and `featheredge:admin` say what else it allows.
    pub scope_claim: String,
    /// The claim that names the project of its token: its rows are shared with no other's.
    pub project_claim: Option<String>,
    /// The name under which the host has its rate limiter.
    pub rate_limit_binding: Option<String>,
    /// When a caller who asked too often may come back, in seconds: the limiter's period.
    pub retry_after_seconds: u64,
    /// The sites whose pages may call; `*` for all.
    pub cors_origins: Vec<String>,
}

/// How callers show who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// They do not.
    None,
    /// By a token whose digest is in a secret.
    Tokens,
    /// By a token that an identity provider has signed.
    Oidc,
    /// To the origin, which decides; what it answers is kept for that caller alone.
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
