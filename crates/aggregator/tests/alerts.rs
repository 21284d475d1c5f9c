//! Alerts of inputs that oscillate, kind by kind.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use config::Config;
use featheredge_aggregator::{Aggregator, Report};
use model::time::Timestamp;
use serde_json::Value;
use telemetry::record::{RecordBuffer, RemoteTier, Request, RowCounts};
use telemetry::snapshot::{GaugeSnapshot, TierGauges};

/// The most seconds of a test: many oscillations.
const SECONDS: u64 = 1_200;

/// What an isolate does in a second: requests with a latency and a status, the rows that L1 has of ten, failed calls of twenty to the origin.
#[derive(Clone, Copy)]
struct Second {
    millis: u64,
    status: u16,
    l1_hits: u64,
    failed_calls: u64,
    is_open: bool,
    exceeds_budget: bool,
}

const GOOD: Second =
    Second { millis: 5, status: 200, l1_hits: 10, failed_calls: 0, is_open: false, exceeds_budget: false };

/// A window of ten seconds, and an hour of burn rates of a minute.
fn config(keep_firing_seconds: u64) -> Config {
    let mut config = Config::default();
    (config.sla.window_seconds, config.sla.burn_rate_hour_seconds) = (10, 60);
    config.alerts.keep_firing_seconds = keep_firing_seconds;
    config
}

/// The alerts of a kind that opened while `second` says what each second is like: the opening values, values and worst values.
fn alerts(kind: &str, config: Config, second: impl Fn(u64) -> Second) -> Vec<Value> {
    let (mut records, mut gauges) = (RecordBuffer::default(), GaugeSnapshot::default());
    let mut aggregator = Aggregator::new(config);
    for number in 0..SECONDS {
        let now = Timestamp(1_000_000 + number * 1_000);
        let Second { millis, status, l1_hits, failed_calls, is_open, exceeds_budget } = second(number);
        for call in 0..20 {
            let rows = RowCounts { l1_hits, l1_misses: 10 - l1_hits, origin_calls: 1, ..RowCounts::default() };
            records.request(&Request { millis, status, rows, ..Request::default() }, &[], now);
            records.operation(RemoteTier::Origin, call < failed_calls, 5, now);
        }
        for tier in [&mut gauges.l2, &mut gauges.l3, &mut gauges.origin] {
            let tier = tier.get_or_insert_with(TierGauges::default);
            tier.opened += u64::from(is_open && !tier.is_open);
            tier.is_open = is_open;
            tier.store.over_budget += u64::from(exceeds_budget);
        }
        aggregator.ingest(&records.take(gauges, now), now);
    }
    let report: Value = serde_json::from_slice(&aggregator.report(Report::Alerts, None, Timestamp(3_000_000))).unwrap();
    let all = ["open", "resolved"].into_iter().flat_map(|part| report[part].as_array().unwrap().clone());
    all.filter(|alert| alert["type"] == kind).collect()
}

/// Each kind, what is bad for it, and how long it is good and bad in turn: long enough to pass the windows that it has.
const KINDS: [(&str, Second, u64); 11] = [
    ("high_latency", Second { millis: 700, ..GOOD }, 5),
    ("low_cache_hit_rate", Second { l1_hits: 0, ..GOOD }, 12),
    ("l2_breaker_open", Second { is_open: true, ..GOOD }, 5),
    ("l3_breaker_open", Second { is_open: true, ..GOOD }, 5),
    ("origin_breaker_open", Second { is_open: true, ..GOOD }, 5),
    ("origin_errors", Second { failed_calls: 20, ..GOOD }, 12),
    ("l2_write_budget", Second { exceeds_budget: true, ..GOOD }, 5),
    ("sla_violation", Second { millis: 700, ..GOOD }, 12),
    ("sla_burn_1h", Second { status: 503, ..GOOD }, 20),
    ("sla_burn_6h", Second { status: 503, ..GOOD }, 50),
    ("sla_burn_3d", Second { status: 503, ..GOOD }, 50),
];

#[test]
fn what_is_good_and_bad_in_turn_opens_each_kind_once() {
    for (kind, bad, seconds) in KINDS {
        let mut config = config(60);
        if kind == "sla_burn_3d" {
            // Its short window is six hours.
            config.sla.burn_rate_hour_seconds = 6;
        }
        let in_turn = |second: u64| if (second / seconds).is_multiple_of(2) { bad } else { GOOD };
        let mut without = config.clone();
        without.alerts.keep_firing_seconds = 0;
        assert!(alerts(kind, without, in_turn).len() > 5, "{kind} oscillates");
        assert_eq!(alerts(kind, config, in_turn).len(), 1, "{kind}");
    }
}

#[test]
fn a_share_that_wavers_at_its_threshold_for_longer_opens_once_until_it_is_clearly_better() {
    // Each is past the threshold for some minutes, then within a tenth of it, and in the end better.
    let wavering = |bad: Second, near: Second| {
        move |second: u64| match second {
            900.. => GOOD,
            second if (second / 150).is_multiple_of(2) => bad,
            _ => near,
        }
    };
    let cases = [
        ("low_cache_hit_rate", Second { l1_hits: 7, ..GOOD }, Second { l1_hits: 8, ..GOOD }),
        ("origin_errors", Second { failed_calls: 20, ..GOOD }, Second { failed_calls: 19, ..GOOD }),
    ];
    for (kind, bad, near) in cases {
        let mut config = config(60);
        config.alerts.max_origin_error_percent = 100;
        let found = alerts(kind, config, wavering(bad, near));
        assert_eq!(found.len(), 1, "{kind}: {found:?}");
        assert_eq!(found[0]["status"], "resolved", "{kind}");
    }
}

#[test]
fn an_alert_has_its_present_value_and_the_worst_with_its_time() {
    // 70 % of the rows from memory, then none for a minute, then 70 % again.
    let second = |second: u64| Second { l1_hits: if (300..360).contains(&second) { 0 } else { 7 }, ..GOOD };
    let found = alerts("low_cache_hit_rate", config(60), second);
    let [alert] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&alert["status"], &alert["value"], &alert["worst_value"]), (&"open".into(), &0.7.into(), &0.into()));
    let (opened, worst) = (alert["opened_at"].as_str().unwrap(), alert["worst_at"].as_str().unwrap());
    assert!(opened < "1970-01-01T00:17:00" && worst > "1970-01-01T00:21:40", "{alert}");
}
