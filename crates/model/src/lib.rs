//! The data types of feature serving: keys, values, rows, queries and answers.
//!
//! Knows neither JSON documents, nor stores, nor clocks. Invariant: a value is the JSON text that its origin wrote, and is never
//! converted to a number type on its way to the caller.
//!
//! A row stores the features of one entity in one view:
//!
//! ```
//! use std::rc::Rc;
//! use featheredge_model::key::{EntityValue, FeatureSource, KeySpace, NameStyle, Namespace};
//! use featheredge_model::row::{RowBuilder, Schema};
//! use featheredge_model::time::{EventTime, Timestamp};
//! use featheredge_model::value::{Cell, Status};
//!
//! let source = FeatureSource::View("driver_stats");
//! let space = Rc::new(KeySpace::new(&Namespace::project("ride"), source, NameStyle::Short, &["driver_id"]));
//! let mut key = Vec::new();
//! EntityValue::Number("1001").encode(&mut key);
//!
//! let join_keys = Box::new(["driver_id".into()]);
//! let schema = Schema::new(Rc::clone(&space), join_keys, Box::new(["rating".into()])).expect("names differ");
//! let mut builder = RowBuilder::new(Rc::new(schema), &key);
//! builder.push_join_key(b"1001");
//! let fetched_at = Timestamp(1_795_420_800_000).into();
//! let cell = Cell { status: Status::Present, is_negative: false, event_time: EventTime::ZERO, fetched_at };
//! builder.push_feature(b"4.50", cell);
//! let row = builder.finish();
//!
//! let slot = row.schema().feature_slot("rating").expect("it was pushed");
//! assert_eq!(row.value(slot), b"4.50", "the text that the origin wrote");
//! assert!(row.is_of(&space, &key));
//! ```

pub mod answer;
pub mod canonical_key_hash;
pub mod fetch_spec;
pub mod interner;
pub mod key;
pub mod request;
pub mod request_error;
pub mod row;
pub mod shape;
pub mod short_copy;
pub mod sort;
pub mod time;
pub mod value;
pub mod value_offsets;
