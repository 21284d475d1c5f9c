//! The JSON between Featheredge and the origin: origin calls and their responses, writes, the registry, and the synthetic origin.
//!
//! Builds on [`protocol`]; a separate crate, since an L1 hit needs none of it. Knows neither HTTP nor tiers. Invariant: what the
//! origin and the registry send is as untrusted as what a client sends.
//!
//! A write names the rows that it changes:
//!
//! ```
//! use featheredge_origin::write::{WriteTarget, read};
//!
//! let body = br#"{"push_source_name": "driver_stats_push", "df": {"driver_id": [1001], "rating": [4.5]}}"#;
//! let write = read("/push", body).expect("it is a push");
//! assert_eq!(write.target, WriteTarget::PushSource("driver_stats_push".to_owned()));
//! assert_eq!(write.rows(&["driver_id".to_owned()]).map(|rows| rows.len()), Some(1));
//! assert_eq!(write.rows(&["customer_id".to_owned()]), None, "any row may be written");
//! ```

mod echoed_key;
pub mod origin;
pub mod planner;
pub mod prefetch_request;
pub mod registry;
pub mod synthetic;
pub mod warm;
pub mod write;
