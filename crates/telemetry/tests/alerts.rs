//! Alerts, outboxes, traces, metrics and the format of numbers.

use featheredge_telemetry::cost::{Cost, LatencyModel, Prices};
use featheredge_telemetry::figures;
use featheredge_telemetry::figures::{ByLabel, Decimal};
use featheredge_telemetry::histogram::{ALL, Count, Windows};
use featheredge_telemetry::json::to_json;
use featheredge_telemetry::monitor::{AlertKind, Level, MAX_ALERTS, Measurement, Monitor, Severity};
use featheredge_telemetry::outbox::Outbox;
use featheredge_telemetry::prometheus::{write_feast, write_figures};
use featheredge_telemetry::trace::{Span, TraceContext, TraceExport};
use model::time::Timestamp;
use serde_json::{Value, json};

fn measured(value: u64, level: Level) -> Option<Measurement> {
    Some(Measurement { value, threshold: 200, level })
}

#[test]
fn a_flapping_condition_is_one_alert_with_its_present_and_its_worst_value_and_its_times() {
    let (medium, high) = (Level::Exceeded(Severity::Medium), Level::Exceeded(Severity::High));
    let mut monitor = Monitor::default();
    let mut evaluate = |measurement, at| {
        let news = monitor.evaluate(AlertKind::HighLatency, measurement, 60_000, Timestamp(at));
        (news, monitor.open().next().copied())
    };
    assert_eq!(evaluate(None, 0), (None, None));
    assert_eq!(evaluate(measured(190, Level::NearThreshold), 500), (None, None), "what is near opens nothing");
    assert_eq!(evaluate(measured(250, medium), 1_000).0.unwrap().opened_at, Timestamp(1_000));
    assert!(evaluate(measured(300, medium), 2_000).0.is_none(), "open already");
    let raised = evaluate(measured(700, high), 3_000).0.unwrap();
    assert_eq!((raised.value, raised.worst_value, raised.severity), (700, 700, Severity::High), "worse is news");
    let (news, alert) = evaluate(measured(210, medium), 4_000);
    let alert = alert.unwrap();
    assert!(news.is_none());
    assert_eq!((alert.value, alert.worst_value, alert.worst_at), (210, 700, Timestamp(3_000)));
    assert!(evaluate(measured(20, Level::Normal), 63_999).0.is_none(), "not yet");
    assert!(evaluate(measured(190, Level::NearThreshold), 64_000).0.is_none(), "near the threshold");
    let (news, alert) = evaluate(None, 123_999);
    assert_eq!((news, alert.unwrap().value), (None, 190), "the value that was measured last");
    let resolved = evaluate(measured(30, Level::Normal), 124_000).0.unwrap();
    assert_eq!((resolved.severity, resolved.value, resolved.worst_value), (Severity::High, 30, 700));
    assert_eq!(resolved.resolved_at, Some(Timestamp(124_000)));
    assert_eq!((monitor.open().count(), monitor.resolved().len(), monitor.opened()), (0, 1, 1));
}

#[test]
fn the_last_hundred_alerts_are_kept() {
    let mut monitor = Monitor::default();
    for round in 0..250 {
        let bad = measured(round, Level::Exceeded(Severity::High));
        monitor.evaluate(AlertKind::OriginErrors, bad, 0, Timestamp(round));
        monitor.evaluate(AlertKind::OriginErrors, None, 0, Timestamp(round));
    }
    assert_eq!(monitor.resolved().len(), MAX_ALERTS);
    assert_eq!(monitor.resolved()[0].worst_value, 150);
}

#[test]
fn a_message_is_sent_again_ever_later_and_then_given_up() {
    let mut outbox = Outbox::new(3, 5_000);
    outbox.push(b"a".to_vec(), Timestamp(0));
    for (at, failures) in [(0, 1), (1_000, 2), (3_000, 3)] {
        assert!(failures == 1 || outbox.take_due(Timestamp(at - 1)).is_none(), "too early");
        let (number, body) = outbox.take_due(Timestamp(at)).unwrap();
        assert_eq!(body, b"a");
        assert!(outbox.take_due(Timestamp(at)).is_none(), "it is under way");
        outbox.ack(number, false, Timestamp(at));
    }
    assert_eq!((outbox.next_due(), outbox.dropped, outbox.delivered), (None, 1, 0));
}

#[test]
fn a_message_without_an_acknowledgement_is_sent_again() {
    let mut outbox = Outbox::new(3, 5_000);
    outbox.push(b"a".to_vec(), Timestamp(0));
    let (number, _) = outbox.take_due(Timestamp(0)).unwrap();
    assert!(outbox.take_due(Timestamp(9_999)).is_none());
    assert!(outbox.take_due(Timestamp(10_000)).is_some());
    outbox.ack(number, true, Timestamp(10_001));
    outbox.ack(number, true, Timestamp(10_002));
    assert_eq!((outbox.delivered, outbox.next_due()), (1, None));
    (0..150).for_each(|_| outbox.push(Vec::new(), Timestamp(0)));
    assert_eq!(outbox.dropped, 50, "what waits is bounded");
    let mut large = Outbox::new(3, 5_000);
    (0..5).for_each(|_| large.push(vec![0; 400_000], Timestamp(0)));
    assert_eq!(large.dropped, 3, "in bytes too");
}

#[test]
fn a_message_with_one_attempt_is_not_sent_again_without_an_acknowledgement() {
    let mut outbox = Outbox::new(1, 5_000);
    outbox.push(b"a".to_vec(), Timestamp(0));
    assert!(outbox.take_due(Timestamp(0)).is_some());
    assert!(outbox.take_due(Timestamp(10_000)).is_none());
    assert_eq!((outbox.dropped, outbox.next_due()), (1, None));
}

#[test]
fn a_callers_trace_goes_on_and_a_header_that_is_none_is_left_out() {
    let sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let context = TraceContext::from_traceparent(sampled, 0xabc).unwrap();
    assert_eq!(context.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01");
    assert!(!TraceContext::from_traceparent(&sampled.replace("-01", "-00"), 1).unwrap().is_sampled());
    assert!(
        TraceContext::from_traceparent(&sampled.replacen("00-", "cc-", 1).replace("-01", "-01-later"), 1).is_some()
    );
    for wrong in [
        "",
        "00",
        sampled.strip_suffix('1').unwrap(),
        &sampled.replace("4bf9", "4BF9"),
        &sampled.replacen("00-", "ff-", 1),
        &sampled.replace("-01", "-01-more"),
        &sampled.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
        &sampled.replace("00f067aa0ba902b7", &"0".repeat(16)),
        &sampled.replace("-01", "-é"),
    ] {
        assert_eq!(TraceContext::from_traceparent(wrong, 1), None, "{wrong}");
    }
}

#[test]
fn spans_are_written_as_open_telemetry_reads_them() {
    let context = TraceContext::new([1, 2, 3], true);
    let span = |name, began, ended, status| Span { name, began: Timestamp(began), ended: Timestamp(ended), status };
    let mut export = TraceExport::new("rides");
    export.add(&context, span("POST /v1/features", 1_000, 1_030, Some(503)), true);
    export.add(&context, span("l2", 1_001, 1_009, None), false);
    assert_eq!(export.len(), 2);
    let body: Value = serde_json::from_slice(&export.into_vec()).unwrap();
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(
        spans[0],
        json!({"traceId": "00000000000000010000000000000002", "spanId": "0000000000000003", "name": "POST /v1/features",
               "kind": 2, "startTimeUnixNano": "1000000000", "endTimeUnixNano": "1030000000",
               "attributes": [{"key": "http.response.status_code", "value": {"intValue": 503}}], "status": {"code": 2}})
    );
    assert_eq!((&spans[1]["parentSpanId"], &spans[1]["kind"]), (&json!("0000000000000003"), &json!(3)));
    let id = spans[1]["spanId"].as_str().unwrap();
    assert!(id.len() == 16 && id != "0000000000000003" && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
}

figures! {
    /// Some figures.
    Sample {
        /// Requests.
        requests: Total,
        /// A percentile.
        p99_ms: QuantileMillis,
        /// Hits.
        hit: Ratio,
        /// Money.
        spent_usd: MicroDollars,
    }
}

#[test]
fn labels_that_differ_by_a_control_character_are_series_of_their_own() {
    let rows = ByLabel(vec![("d x", Sample::default()), ("d\nx", Sample::default()), ("d\tx", Sample::default())]);
    let mut text = Vec::new();
    write_figures(&mut text, "view_", "view", &rows.0);
    let text = String::from_utf8(text).unwrap();
    for label in ["d x", "d\\nx", "d\tx"] {
        assert_eq!(text.matches(&format!("requests_total{{view=\"{label}\"}} 0\n")).count(), 1, "{text}");
    }
}

#[test]
fn figures_are_the_same_for_prometheus_and_as_json() {
    let sample = |requests, p99_ms, hit| Sample { requests, p99_ms, hit: Decimal(hit), spent_usd: Decimal(20_001) };
    let rows = ByLabel(vec![("a\"b", sample(3, 1_250, 999_000)), ("c", sample(0, 7, 1_000_000))]);
    let mut text = Vec::new();
    write_figures(&mut text, "view_", "view", &rows.0);
    let text = String::from_utf8(text).unwrap();
    assert_eq!(
        text,
        "# HELP featheredge_view_requests_total Requests.\n\
         # TYPE featheredge_view_requests_total counter\n\
         featheredge_view_requests_total{view=\"a\\\"b\"} 3\n\
         featheredge_view_requests_total{view=\"c\"} 0\n\
         # HELP featheredge_view_hit_ratio Hits.\n\
         # TYPE featheredge_view_hit_ratio gauge\n\
         featheredge_view_hit_ratio{view=\"a\\\"b\"} 0.999\n\
         featheredge_view_hit_ratio{view=\"c\"} 1\n\
         # HELP featheredge_view_spent_usd_total Money.\n\
         # TYPE featheredge_view_spent_usd_total counter\n\
         featheredge_view_spent_usd_total{view=\"a\\\"b\"} 0.020001\n\
         featheredge_view_spent_usd_total{view=\"c\"} 0.020001\n"
    );
    assert_eq!(
        String::from_utf8(to_json(&rows)).unwrap(),
        r#"{"a\"b":{"requests":3,"p99_ms":1250,"hit":0.999,"spent_usd":0.020001},"c":{"requests":0,"p99_ms":7,"hit":1,"spent_usd":0.020001}}"#
    );
}

#[test]
fn the_largest_numbers_are_written_as_numbers() {
    let json = String::from_utf8(to_json(&(Decimal::<6>(u64::MAX), u64::MAX, 0.0))).unwrap();
    let numbers: Vec<f64> = serde_json::from_str(&json).unwrap();
    assert_eq!(numbers, [u64::MAX as f64 / 1e6, u64::MAX as f64, 0.0], "{json}");
}

#[test]
fn feasts_histogram_is_cumulative_and_ends_with_all() {
    let mut windows = Windows::new(300_000, 3_600_000);
    windows.advance(Timestamp(1_000_000));
    [3, 7, 7, 60_000].into_iter().for_each(|millis| windows.record(ALL, millis));
    windows.add(ALL, &[(Count::Unavailable, 1)]);
    for (entities, times) in [(1, 1), (5 * 5, 5), (90, 1), (5_000, 1)] {
        windows.add_sizes(ALL, entities, 2 * times, times);
    }
    let totals = windows.all().unwrap().totals(&windows);
    let mut text = Vec::new();
    let all = totals.clone();
    write_feast(&mut text, &[("/get-online-features", totals)], &all);
    let text = String::from_utf8(text).unwrap();
    for line in [
        "total{endpoint=\"/get-online-features\",status=\"success\"} 3\n",
        "bucket{endpoint=\"/get-online-features\",le=\"0.005\"} 1\n",
        "bucket{endpoint=\"/get-online-features\",le=\"0.01\"} 3\n",
        "bucket{endpoint=\"/get-online-features\",le=\"10\"} 3\n",
        "bucket{endpoint=\"/get-online-features\",le=\"+Inf\"} 4\n",
        "sum{endpoint=\"/get-online-features\"} 60.017\n",
        "feast_online_features_entity_count_bucket{le=\"1\"} 1\n",
        "feast_online_features_entity_count_bucket{le=\"5\"} 6\n",
        "feast_online_features_entity_count_bucket{le=\"50\"} 6\n",
        "feast_online_features_entity_count_bucket{le=\"100\"} 7\n",
        "feast_online_features_entity_count_bucket{le=\"1000\"} 7\n",
        "feast_online_features_entity_count_bucket{le=\"+Inf\"} 8\n",
        "feast_online_features_entity_count_sum 5116\n",
        "feast_online_features_entity_count_count 8\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

#[test]
fn savings_are_the_seeds_formula_and_money_is_counted_by_operation() {
    let mut windows = Windows::new(100_000, 3_600_000);
    windows.advance(Timestamp(1_000_000));
    (0..90).for_each(|_| windows.record(ALL, 2));
    (0..10).for_each(|_| windows.record(ALL, 102));
    windows
        .add(ALL, &[(Count::MissRequests, 10), (Count::MissMillis, 1_020), (Count::L1Hits, 90), (Count::L1Misses, 10)]);
    let model = LatencyModel::of(&windows.all().unwrap().summary(), 100_000);
    assert_eq!((model.hit_ratio, model.hit_ms, model.miss_ms), (Decimal(900_000), Decimal(2_000), Decimal(102_000)));
    // 0.9 × 100 ms × 1 a second.
    assert_eq!(model.saved_ms, Decimal(90_000));

    let prices = Prices { read_cents: 50, write_cents: 500, origin_cents: 100 };
    let done = Cost { l2_reads: 1_000_000, l2_writes: 10_000, origin_calls_saved: 2_000_000, ..Cost::default() };
    let cost = done.priced(&prices);
    assert_eq!((cost.spent_usd, cost.saved_usd), (Decimal(550_000), Decimal(2_000_000)));
}
