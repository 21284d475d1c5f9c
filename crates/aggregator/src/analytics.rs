//! What Analytics Engine is told of a window.

use serde::Serialize;
use telemetry::histogram::{Count, Kind, Windows};
use telemetry::json::to_json;

use crate::report::{Measured, REQUEST_KINDS, key_of};

/// A data point, as `writeDataPoint` takes it.
#[derive(Serialize)]
struct Point<'a> {
    /// The kind and the name of a series.
    blobs: [&'a str; 2],
    /// Requests, errors, unavailable, slow, and the percentiles 50, 95 and 99 in milliseconds.
    doubles: [u64; 7],
    indexes: [&'a str; 1],
}

/// A point for each series in which something was counted, as a JSON array.
pub(crate) fn points(windows: &Windows) -> Vec<u8> {
    let mut points = Vec::new();
    for kind in REQUEST_KINDS.into_iter().chain([Kind::Tier]) {
        let key = key_of(kind);
        for Measured { name, window, .. } in Measured::of_kind(windows, kind) {
            let [requests, errors, unavailable, slow] =
                [Count::Requests, Count::Errors, Count::Unavailable, Count::Slow].map(|count| window.of(count));
            if requests > 0 {
                let doubles = [requests, errors, unavailable, slow, window.p50, window.p95, window.p99];
                points.push(Point { blobs: [key, name], doubles, indexes: [key] });
            }
        }
    }
    to_json(&points)
}
