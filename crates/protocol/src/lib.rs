//! The JSON of requests and responses: Feast's protocol and the native API.
//!
//! Knows neither caches nor the engine: it parses bodies into [`model`]'s queries, and writes answers into bodies. Invariant: a
//! body is either understood in full, or rejected, or passed through to the origin unchanged.
//!
//! ```
//! use featheredge_protocol::{feast, feature_request::FeatureRequest};
//!
//! let body = br#"{"features":["stats:rating"],"entities":{"driver_id":[1001,1002]}}"#;
//! let mut fields = FeatureRequest::default();
//! feast::read(body, &config::Limits::default(), &mut fields).expect("it is valid");
//! assert_eq!((fields.feature_count, fields.rows, fields.needs_passthrough), (1, 2, false));
//! let value = fields.value(0, 1).expect("the second driver");
//! assert_eq!(value.text(body), "1002");
//! ```

pub mod feast;
pub mod feature_list_cache;
pub mod feature_request;
pub mod native;
pub mod parsed_request;
pub mod plan;
pub mod problem;
pub mod response_buffer;
