//! What recording one request costs, as the service records one that L1 answers: in four series, with its counts.

#![allow(clippy::print_stdout, clippy::indexing_slicing, missing_docs, reason = "a benchmark prints")]

use std::hint::black_box;
use std::time::Instant as Clock;

use featheredge_telemetry::histogram::{ALL, Count, SeriesKind, Windows};
use model::time::Timestamp;

const ROUNDS: u64 = 9;
const REQUESTS: u64 = 2_000_000;

fn main() {
    let mut windows = Windows::new(300_000, 3_600_000);
    let series = [
        ALL,
        windows.series_of(SeriesKind::Route, "/r"),
        windows.series_of(SeriesKind::Priority, "p"),
        windows.series_of(SeriesKind::View, "v"),
    ];
    let mut nanos: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let began = Clock::now();
            for request in 0..REQUESTS {
                windows.advance(Timestamp(1_795_420_800_000 + round * 1_000 + request / 2_000));
                for series in series {
                    windows.record(black_box(series), black_box(request % 300));
                }
                let quality =
                    [(Count::Requested, 5), (Count::Served, 5), (Count::Failed, 0), (Count::Freshness, 4_000)];
                windows.add(black_box(series[3]), black_box(&quality));
                windows.add(ALL, black_box(&quality));
                windows.add(ALL, black_box(&[(Count::L1Hits, 1), (Count::RowsStale, 0)]));
            }
            began.elapsed().as_nanos() as f64 / REQUESTS as f64
        })
        .collect();
    nanos.sort_by(f64::total_cmp);
    println!("recording a request: {:.1} ns (median of {ROUNDS} rounds of {REQUESTS})", nanos[nanos.len() / 2]);
}
