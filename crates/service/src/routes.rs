//! Routes: the endpoint of a method and path, the scope that it needs, and how much of a body it reads. It
//! knows no state. Invariant: an unknown request that may write needs `admin`.

use crate::io::{AuthScope, Incoming};
use config::Config;
use model::request_error::RequestError;

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Features in Feast's protocol.
    Feast,
    /// Features in the native protocol.
    Native,
    /// A search, which is passed through.
    Search,
    /// A write to the origin, whose body is parsed.
    Write,
    /// Any other request that may write to the origin.
    UnknownWrite,
    Invalidate,
    Warm,
    Predictions,
    Health,
    Ready,
    /// A file of the page.
    Asset,
    /// A method that is not allowed; these are.
    NotAllowed(&'static str),
    /// The origin.
    Origin,
}

impl Endpoint {
    pub(super) fn of(method: &str, path: &str) -> Endpoint {
        let is_read = matches!(method, "GET" | "HEAD");
        match (method, path) {
            ("POST", "/get-online-features") => Endpoint::Feast,
            ("POST", "/v1/features") => Endpoint::Native,
            ("POST", path) if is_search(path) => Endpoint::Search,
            ("POST", "/push" | "/write-to-online-store" | "/materialize" | "/materialize-incremental") => {
                Endpoint::Write
            }
            ("POST", "/v1/invalidate") => Endpoint::Invalidate,
            ("POST", "/v1/warm") => Endpoint::Warm,
            (_, "/v1/features" | "/v1/invalidate" | "/v1/warm") => Endpoint::NotAllowed("POST"),
            ("GET", "/v1/predictions") => Endpoint::Predictions,
            (_, "/v1/predictions") => Endpoint::NotAllowed("GET"),
            (_, "/health") if is_read => Endpoint::Health,
            (_, "/ready") if is_read => Endpoint::Ready,
            (_, path) if is_read && is_asset(path) => Endpoint::Asset,
            (_, "/health" | "/ready" | "/openapi.json") => Endpoint::NotAllowed("GET, HEAD"),
            ("GET" | "HEAD" | "OPTIONS", _) => Endpoint::Origin,
            _ => Endpoint::UnknownWrite,
        }
    }

    /// How many bytes of a body it reads; 0 where it does not look at it.
    pub(super) fn body_limit(self, config: &Config) -> usize {
        self.size_limit(config).map_or(0, |(_, bytes)| bytes)
    }

    /// Refuses a body that is longer than it reads.
    pub(super) fn check_size(self, config: &Config, incoming: &Incoming<'_>) -> Result<(), RequestError> {
        let length = incoming.body.len();
        match self.size_limit(config) {
            Some((limit, allowed)) if incoming.is_over_limit || length > allowed => {
                Err(RequestError::LimitExceeded { limit, allowed, found: length.max(allowed + 1) })
            }
            _ => Ok(()),
        }
    }

    /// The limit of the body that it reads: its key in `limits`, and the bytes.
    fn size_limit(self, Config { limits, .. }: &Config) -> Option<(&'static str, usize)> {
        match self {
            // A search is buffered so that it can be retried.
            Endpoint::Feast | Endpoint::Native | Endpoint::Invalidate | Endpoint::Search => {
                Some(("body_bytes", limits.body_bytes))
            }
            Endpoint::Write | Endpoint::Warm => Some(("write_body_bytes", limits.write_body_bytes)),
            _ => None,
        }
    }
}

/// The scope that a request needs. An unknown request that may write needs `admin`.
pub(super) fn auth_scope(method: &str, path: &str) -> AuthScope {
    match Endpoint::of(method, path) {
        Endpoint::Health | Endpoint::Ready | Endpoint::Asset => AuthScope::Public,
        // Refused for its method, whatever its scope.
        Endpoint::NotAllowed(_) => AuthScope::Public,
        Endpoint::Feast | Endpoint::Native | Endpoint::Search | Endpoint::Origin => AuthScope::Read,
        Endpoint::Write => AuthScope::Write,
        Endpoint::UnknownWrite | Endpoint::Invalidate | Endpoint::Warm | Endpoint::Predictions => AuthScope::Admin,
    }
}

/// A search reads although it is a POST: Feast's for documents, and those of the SDK and of its vector
/// stores.
fn is_search(path: &str) -> bool {
    let in_store = |rest: &str| rest.strip_suffix("/search").is_some_and(|id| !id.is_empty() && !id.contains('/'));
    matches!(path, "/retrieve-online-documents" | "/search")
        || path.strip_prefix("/v1/vector_stores/").is_some_and(in_store)
}

/// The page's files: the root, its build's assets, and the API's description.
fn is_asset(path: &str) -> bool {
    matches!(path, "/" | "/index.html" | "/openapi.json" | "/favicon.svg" | "/favicon.ico")
        || path.starts_with("/assets/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_refused_for_its_method_needs_no_scope_and_reads_no_body() {
        let config = Config::default();
        for path in ["/v1/features", "/v1/invalidate", "/v1/warm", "/v1/predictions", "/health", "/ready"] {
            let endpoint = Endpoint::of("PUT", path);
            assert!(matches!(endpoint, Endpoint::NotAllowed(_)), "{path}");
            assert_eq!((auth_scope("PUT", path), endpoint.body_limit(&config)), (AuthScope::Public, 0), "{path}");
        }
    }

    #[test]
    fn what_goes_to_the_origin_is_a_write_unless_it_is_known_to_read() {
        for (method, path, endpoint, needed) in [
            ("GET", "/anything", Endpoint::Origin, AuthScope::Read),
            ("OPTIONS", "/push", Endpoint::Origin, AuthScope::Read),
            ("POST", "/retrieve-online-documents", Endpoint::Search, AuthScope::Read),
            ("POST", "/search", Endpoint::Search, AuthScope::Read),
            ("POST", "/v1/vector_stores/documents/search", Endpoint::Search, AuthScope::Read),
            ("POST", "/v1/vector_stores//search", Endpoint::UnknownWrite, AuthScope::Admin),
            ("POST", "/v1/vector_stores/a/b/search", Endpoint::UnknownWrite, AuthScope::Admin),
            ("PUT", "/search", Endpoint::UnknownWrite, AuthScope::Admin),
            ("POST", "/materialize", Endpoint::Write, AuthScope::Write),
            ("POST", "/materialize-incremental", Endpoint::Write, AuthScope::Write),
            ("DELETE", "/materialize", Endpoint::UnknownWrite, AuthScope::Admin),
            ("POST", "/anything", Endpoint::UnknownWrite, AuthScope::Admin),
            ("DELETE", "/get-online-features", Endpoint::UnknownWrite, AuthScope::Admin),
            ("BREW", "/anything", Endpoint::UnknownWrite, AuthScope::Admin),
        ] {
            assert_eq!(Endpoint::of(method, path), endpoint, "{method} {path}");
            assert_eq!(auth_scope(method, path), needed, "{method} {path}");
        }
    }
}
