//! Measurements: latencies and counts over a sliding window, the SLO, alerts, cost, traces, and their formats for machines.
//!
//! It knows no request and no protocol, reads no clock and does no I/O. Invariant: memory is bounded by the number of
//! [`series`](histogram::Windows::series), which is bounded itself, and never by the traffic.
//!
//! ```
//! use model::time::Timestamp;
//! use featheredge_telemetry::histogram::{ALL, Windows};
//! use featheredge_telemetry::prometheus::write_histogram;
//!
//! // Windows of five minutes; the shortest window of burn rates is an hour.
//! let mut windows = Windows::new(300_000, 3_600_000);
//! windows.advance(Timestamp(1_000_000));
//! windows.record(ALL, 12);
//!
//! let all = windows.all().unwrap();
//! assert_eq!(all.summary().p99, 12);
//! let mut text = Vec::new();
//! write_histogram(&mut text, "latency_seconds", "Latency.", "", &[("", all.totals(&windows))]);
//! assert!(String::from_utf8(text).unwrap().contains("latency_seconds_bucket{le=\"0.025\"} 1\n"));
//! ```

pub mod cost;
pub mod figures;
pub mod histogram;
pub mod json;
pub mod monitor;
pub mod outbox;
pub mod prometheus;
pub mod quality;
pub mod record;
pub mod sla;
pub mod snapshot;
pub mod trace;
pub mod windows_codec;
