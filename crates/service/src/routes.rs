//! Which endpoint a method and a path are, what right it needs, and how much of a body it reads.

use crate::io::Right;
use config::Config;

/// Who answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Features in Feast's protocol.
    Feast,
    /// Features in the native protocol.
    Native,
    Write,
    Invalidate,
    Warm,
    Predictions,
    Health,
    Ready,
    /// A file of the page.
    Asset,
    /// Nobody, by this method; these would do.
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
            ("POST", "/push" | "/write-to-online-store") => Endpoint::Write,
            ("POST", "/v1/invalidate") => Endpoint::Invalidate,
            ("POST", "/v1/warm") => Endpoint::Warm,
            (_, "/v1/features" | "/v1/invalidate" | "/v1/warm") => Endpoint::NotAllowed("POST"),
            ("GET", "/v1/predictions") => Endpoint::Predictions,
            (_, "/v1/predictions") => Endpoint::NotAllowed("GET"),
            (_, "/health") if is_read => Endpoint::Health,
            (_, "/ready") if is_read => Endpoint::Ready,
            (_, path) if is_read && is_asset(path) => Endpoint::Asset,
            (_, "/health" | "/ready" | "/openapi.json") => Endpoint::NotAllowed("GET, HEAD"),
            _ => Endpoint::Origin,
        }
    }

    /// How many bytes of a body it reads; 0 where it does not look at it.
    pub(super) fn body_limit(self, config: &Config) -> usize {
        match self {
            Endpoint::Feast | Endpoint::Native | Endpoint::Invalidate => config.limits.body_bytes,
            Endpoint::Write | Endpoint::Warm => config.limits.write_body_bytes,
            _ => 0,
        }
    }
}

/// What a request needs to be allowed. What is not known here only an operator may ask of the origin.
pub(super) fn right(method: &str, path: &str) -> Right {
    match Endpoint::of(method, path) {
        Endpoint::Health | Endpoint::Ready | Endpoint::Asset => Right::Nothing,
        // Refused for the method, whoever asks.
        Endpoint::NotAllowed(_) => Right::Nothing,
        Endpoint::Feast | Endpoint::Native => Right::Read,
        Endpoint::Write => Right::Write,
        Endpoint::Invalidate | Endpoint::Warm | Endpoint::Predictions => Right::Operate,
        Endpoint::Origin => match (method, path) {
            ("POST", "/retrieve-online-documents") | ("GET" | "HEAD" | "OPTIONS", _) => Right::Read,
            _ => Right::Operate,
        },
    }
}

/// Files of the page: the root, and what its build puts beside it; the API's description is one.
fn is_asset(path: &str) -> bool {
    matches!(path, "/" | "/index.html" | "/openapi.json" | "/favicon.svg" | "/favicon.ico")
        || path.starts_with("/assets/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_for_its_method_needs_no_right_and_reads_no_body() {
        let config = Config::default();
        for path in ["/v1/features", "/v1/invalidate", "/v1/warm", "/v1/predictions", "/health", "/ready"] {
            let endpoint = Endpoint::of("PUT", path);
            assert!(matches!(endpoint, Endpoint::NotAllowed(_)), "{path}");
            assert_eq!((right("PUT", path), endpoint.body_limit(&config)), (Right::Nothing, 0), "{path}");
        }
    }

    #[test]
    fn whatever_is_not_known_here_only_an_operator_may_ask_of_the_origin_unless_it_reads() {
        for (method, path, expected) in [
            ("POST", "/materialize", Right::Operate),
            ("DELETE", "/get-online-features", Right::Operate),
            ("POST", "/retrieve-online-documents", Right::Read),
            ("GET", "/anything", Right::Read),
            ("OPTIONS", "/push", Right::Read),
        ] {
            assert_eq!(Endpoint::of(method, path), Endpoint::Origin, "{method} {path}");
            assert_eq!(right(method, path), expected, "{method} {path}");
        }
    }
}
