//! What is measured: latencies and counts over a sliding window, whether the promise is kept, alerts, cost, and how all of it is
//! written for machines.
//!
//! It knows no request and no protocol, reads no clock and does no I/O. Its invariant: memory is bounded by the number of
//! [`series`](histogram::Windows::series), which is bounded itself, and never by the traffic.

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
pub mod wire;
