//! Data points of a window for Analytics Engine.

use serde::Serialize;
use telemetry::histogram::{Count, SeriesKind, Windows};
use telemetry::json::to_json;

use crate::report::{REQUEST_KINDS, SeriesReport, report_key};

/// A data point, as `writeDataPoint` takes it.
#[derive(Serialize)]
struct DataPoint<'a> {
    /// The kind and the name of a series.
    blobs: [&'a str; 2],
    /// Requests, errors, unavailable, slow, and the percentiles 50, 95 and 99 in milliseconds.
    doubles: [u64; 7],
    indexes: [&'a str; 1],
}

/// A JSON array with a data point for each series that is not empty.
pub(crate) fn data_points(windows: &Windows) -> Vec<u8> {
    let mut data_points = Vec::new();
    for kind in REQUEST_KINDS.into_iter().chain([SeriesKind::Tier]) {
        let key = report_key(kind);
        for SeriesReport { name, window, .. } in SeriesReport::of_kind(windows, kind) {
            let [requests, errors, unavailable, slow] =
                [Count::Requests, Count::Errors, Count::Unavailable, Count::Slow].map(|count| window.of(count));
            if requests > 0 {
                let doubles = [requests, errors, unavailable, slow, window.p50, window.p95, window.p99];
                data_points.push(DataPoint { blobs: [key, name], doubles, indexes: [key] });
            }
        }
    }
    to_json(&data_points)
}
