//! The only place that reads or writes the JSON of requests and answers.
//!
//! Knows neither caches nor the engine: it turns bodies into what [`model`] asks and answers into bodies.
//! Its invariant: what it accepts, it has understood; what it does not understand goes to the origin as it came.

pub mod call;
pub mod feast;
pub mod feature_list_cache;
pub mod native;
pub mod plan;
pub mod problem;
pub mod request;
pub mod response_buffer;
