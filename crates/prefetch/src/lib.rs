//! Prefetch: predicts the next requests and the related features, and decides whether a prefetch pays.
//!
//! It knows names and keys and no requests: neither JSON, nor tiers, nor a clock. It draws no random numbers, so the same requests at the
//! same times have the same result. Invariant: memory is allocated once, and no request adds to it.
//!
//! ```
//! use featheredge_prefetch::patterns::{Entity, Patterns, TrainingSettings};
//! use model::shape::RequestShape;
//! use model::time::Timestamp;
//!
//! let settings = TrainingSettings { memory_bytes: 1 << 20, half_life_millis: 3_600_000, predictions: 5, related: 0 };
//! let mut patterns = Patterns::new(settings);
//! let shape = RequestShape { name: 512, columns: 1, features: vec![1], key_views: vec![0] };
//! let [first, second] = [Entity { name: 11, key: b"11" }, Entity { name: 12, key: b"12" }];
//! for session in 1..=20 {
//!     patterns.observe(session << 32 | session, &shape, &[first], Timestamp(1_000));
//!     patterns.observe(session << 32 | session, &shape, &[second], Timestamp(2_000));
//! }
//! let predictions = patterns.predict(&shape, &[first]);
//! assert_eq!(predictions.as_slice()[0].entity, second.name);
//! ```

mod entities;
pub mod governor;
pub mod model_codec;
pub mod outstanding;
pub mod patterns;
mod request_shapes;
