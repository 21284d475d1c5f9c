//! Records are read as they were written.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use featheredge_telemetry::quality::Quality;
use featheredge_telemetry::record::{
    Batch, MAX_BYTES, Record, RecordBuffer, RemoteTier, Request, Route, RowCounts, SpanName,
};
use featheredge_telemetry::snapshot::{GaugeSnapshot, TierGauges};
use featheredge_telemetry::trace::TraceContext;
use model::time::Timestamp;

const NOW: Timestamp = Timestamp(1_795_420_800_000);

/// The records of a batch, each with its time.
fn read(batch: &Batch) -> Vec<(Timestamp, Record)> {
    let mut at = Timestamp::default();
    let mut records = Vec::new();
    for record in batch.records() {
        match record {
            Record::At(time) => at = time,
            record => records.push((at, record)),
        }
    }
    records
}

fn recorded() -> (RecordBuffer, Vec<Record>) {
    let mut records = RecordBuffer::default();
    let view = records.view_number("stats", 2);
    let miss = Request {
        route: Route::Native,
        priority: 3,
        status: 503,
        is_incomplete: true,
        millis: 1_234,
        cache_millis: 30,
        origin_millis: 1_200,
        entities: 301,
        features: 7,
        rows: RowCounts {
            l1_hits: 1,
            stale: 2,
            l1_misses: 300,
            l2_hits: 4,
            l2_misses: 5,
            l3_hits: 6,
            l3_misses: 7,
            origin_calls: 8,
            missing: 9,
        },
    };
    let whole = Quality { requested: 200, served: 200, failed: 0, freshness: 199_000 };
    let lacking = Quality { requested: 5, served: 1, failed: 4, freshness: 3 };
    records.request(&miss, &[view, 0], NOW.plus(5));
    records.view(view, &lacking);
    records.view(0, &whole);
    records.operation(RemoteTier::L3, true, 77, NOW.plus(5));
    let context = TraceContext::from_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 7).unwrap();
    let name = SpanName::Tier(RemoteTier::Origin);
    records.span(&context, name, NOW, 5, 200, NOW.plus(5));
    let expected = vec![
        Record::Request(miss, 1),
        Record::View { number: 1, quality: lacking },
        Record::View { number: 0, quality: whole },
        Record::Operation { tier: RemoteTier::L3, has_failed: true, millis: 77 },
        Record::Span { context, name, began: NOW, millis: 5, status: 200 },
    ];
    (records, expected)
}

#[test]
fn a_batch_has_the_records_their_times_and_the_gauges() {
    let (mut records, expected) = recorded();
    let origin = TierGauges { timeout_millis: 3, ..TierGauges::default() };
    let gauges = GaugeSnapshot { pending_requests: 11, origin: Some(origin), ..GaugeSnapshot::default() };
    let batch = records.take(gauges, NOW.plus(9));
    assert_eq!((batch.dropped, batch.views.as_slice(), batch.gauges), (0, ["stats".into()].as_slice(), gauges));
    assert_eq!((gauges.tier(RemoteTier::Origin), gauges.tier(RemoteTier::L3)), (Some(&origin), None));
    let (times, records_read): (Vec<_>, Vec<_>) = read(&batch).into_iter().unzip();
    assert_eq!(records_read, expected);
    assert_eq!((times[0], times[4]), (NOW.plus(5), NOW.plus(5)));
    assert!(records.is_empty());
    // The next batch stands by itself.
    records.operation(RemoteTier::L2, false, 1, NOW.plus(5));
    let next = records.take(GaugeSnapshot::default(), NOW.plus(10));
    assert_eq!(read(&next)[0].0, NOW.plus(5));
}

#[test]
fn similar_requests_from_memory_are_one_record() {
    let mut records = RecordBuffer::default();
    let hit = |route, millis| Request {
        route,
        priority: 1,
        status: 200,
        millis,
        rows: RowCounts { l1_hits: 10, stale: 1, ..RowCounts::default() },
        ..Request::default()
    };
    let quality = Quality { requested: 50, served: 49, failed: 1, freshness: 48_000 };
    for round in 0..100 {
        records.request(&hit(Route::Feast, 0), &[1, 2], NOW.plus(round));
        records.view(1, &quality);
        records.view(2, &Quality::default());
        records.request(&hit(Route::Native, 0), &[1], NOW.plus(round));
        records.view(1, &quality);
    }
    records.request(&hit(Route::Native, 3), &[1], NOW.plus(100));
    records.view(1, &quality);
    assert!(!records.is_empty());
    let batch = records.take(GaugeSnapshot::default(), NOW.plus(100));
    let recorded: Vec<_> = read(&batch).into_iter().map(|(_, record)| record).collect();
    let requests: u64 = recorded
        .iter()
        .map(|record| match record {
            Record::Request(request, times) => {
                assert_eq!((request.rows.l1_hits, request.rows.stale), (10 * times, *times));
                *times
            }
            _ => 0,
        })
        .sum();
    let values: u64 = recorded
        .iter()
        .map(|record| match record {
            Record::View { quality, .. } => quality.served,
            _ => 0,
        })
        .sum();
    assert_eq!((requests, values, recorded.len()), (201, 201 * 49, 7), "{recorded:?}");
    assert!(records.is_empty());
}

#[test]
fn requests_of_different_sizes_are_separate_records_and_their_sums_are_exact() {
    let mut records = RecordBuffer::default();
    for (entities, times) in [(1, 30), (2, 20), (5, 20), (6, 5), (1_001, 2), (5_000, 3)] {
        for _ in 0..times {
            records.request(&Request { status: 200, entities, features: 3, ..Request::default() }, &[], NOW);
        }
    }
    let mut recorded: Vec<_> = read(&records.take(GaugeSnapshot::default(), NOW))
        .into_iter()
        .map(|(_, record)| match record {
            Record::Request(request, times) => (request.entities, request.features, times),
            _ => panic!("{record:?}"),
        })
        .collect();
    recorded.sort_unstable();
    assert_eq!(recorded, [(30, 15, 5), (30, 90, 30), (140, 120, 40), (17_002, 15, 5)]);
}

#[test]
fn a_run_that_another_kind_replaces_is_a_record_of_its_own() {
    let mut records = RecordBuffer::default();
    let hit = |millis| Request { status: 200, millis, ..Request::default() };
    for millis in 0..1_000 {
        records.request(&hit(millis % 7), &[], NOW);
    }
    let batch = records.take(GaugeSnapshot::default(), NOW);
    let requests: u64 = read(&batch)
        .into_iter()
        .map(|(_, record)| match record {
            Record::Request(_, times) => times,
            _ => 0,
        })
        .sum();
    assert_eq!(requests, 1_000);
}

#[test]
fn views_past_the_limit_are_recorded_as_the_others() {
    let mut records = RecordBuffer::default();
    assert_eq!(["a", "b", "c", "a"].map(|name| records.view_number(name, 2)), [1, 2, 0, 1]);
    assert_eq!(records.view_number("d", 0), 0);
    assert_eq!(RecordBuffer::default().view_number("", 2), 0);
}

#[test]
fn what_there_is_no_room_for_is_lost_and_counted() {
    let mut records = RecordBuffer::default();
    for _ in 0..100_000 {
        records.operation(RemoteTier::L2, false, 5, NOW);
    }
    assert!(records.is_flush_due());
    let batch = records.take(GaugeSnapshot::default(), NOW);
    assert!(records.size() <= MAX_BYTES, "{}", records.size());
    let recorded = read(&batch).len() as u64;
    assert!(recorded > 10_000, "{recorded}");
    assert_eq!(batch.dropped + recorded, 100_000);
    assert_eq!(records.take(GaugeSnapshot::default(), NOW).dropped, 0);
}
