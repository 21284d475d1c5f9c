//! Warming: what an operator names, or brings, is in the tiers before anybody asks for it.

use config::{Config, FeatureService, View};
use serde_json::Value;

use crate::world::{Origin, World, one_row, request};

fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::with_http_origin(|config| {
        let view = View { join_keys: vec!["driver_id".to_owned()], ..View::default() };
        config.views.insert("stats".to_owned(), view.clone());
        config.views.insert("trips".to_owned(), view);
        config.freshness.early_refresh_percent = 0;
        change(config);
    });
    world.origin = Origin::Labels;
    world
}

fn warm(world: &mut World, body: &str) -> Value {
    let answer = world.post("/v1/warm", body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// The counts of these names in a report.
fn counts(report: &Value, names: &[&str]) -> Vec<u64> {
    names.iter().map(|name| report[name].as_u64().unwrap_or_else(|| panic!("no {name} in {report}"))).collect()
}

fn body(ids: core::ops::Range<u64>) -> String {
    serde_json::json!({"entities": {"driver_id": ids.collect::<Vec<_>>()}, "feature_names": ["stats:x", "trips:y"]})
        .to_string()
}

#[test]
fn what_is_missing_is_fetched_at_once_and_is_in_all_tiers_when_the_reply_comes() {
    let mut world = world(|config| config.l3.enabled = true);
    world.store_millis = 3;
    let report = warm(&mut world, &body(0..50));
    assert_eq!(
        counts(&report, &["rows", "fetched", "fresh", "not_found", "loaded", "failed", "remaining", "origin_calls"]),
        [100, 100, 0, 0, 0, 0, 0, 1]
    );
    for (tier, store) in [("l2_distributed", &world.store), ("l3_storage", &world.l3)] {
        let bytes: usize = store.values().map(Vec::len).sum();
        assert_eq!(counts(&report["stores"][tier], &["rows", "failed", "bytes"]), [100, 0, bytes as u64], "{tier}");
    }
    assert!(world.feast(&request(&["x"], 0..50)).is_immediate);
    world.restart();
    world.reset_counts();
    assert_eq!(world.feast(&request(&["x"], 0..50)).status, 200);
    assert!(world.origin_calls.is_empty());
}

#[test]
fn what_is_warmed_is_written_whatever_one_request_may_write() {
    let mut world = world(|config| config.l2.max_writes_per_request = Some(10));
    let report = warm(&mut world, &body(0..50));
    assert_eq!(
        (counts(&report["stores"]["l2_distributed"], &["rows", "failed"]), world.store.len()),
        (vec![100, 0], 100)
    );
}

#[test]
fn what_is_fresh_is_not_fetched_again_wherever_it_is() {
    let mut world = world(|_| {});
    warm(&mut world, &body(0..10));
    let again = warm(&mut world, &body(0..20));
    assert_eq!(counts(&again, &["rows", "fetched", "fresh", "origin_calls"]), [40, 20, 20, 1]);
    world.restart();
    let elsewhere = warm(&mut world, &body(0..20));
    assert_eq!(counts(&elsewhere, &["rows", "fetched", "fresh", "origin_calls"]), [40, 0, 40, 0]);
    assert!(world.feast(&request(&["x"], 0..20)).is_immediate, "what the store had is in memory now");
}

#[test]
fn a_line_for_each_row_costs_no_more_than_a_column() {
    let mut world = world(|_| {});
    let line = |id: u64| format!(r#"{{"entities":{{"driver_id":[{id}]}},"feature_names":["stats:x"]}}"#);
    let lines: Vec<String> = (0..100).map(line).collect();
    let report = warm(&mut world, &lines.join("\n"));
    assert_eq!(counts(&report, &["rows", "fetched", "origin_calls"]), [100, 100, 1]);
    assert_eq!((&world.reads[..], &world.writes[..]), (&[100][..], &[100][..]));
}

#[test]
fn groups_of_different_shapes_follow_one_another() {
    let mut world = world(|_| {});
    let lines = [
        r#"{"entities":{"driver_id":[1,2]},"feature_names":["stats:x"]}"#,
        r#"{"entities":{"driver_id":[3]},"values":{"stats:x":["loaded"]}}"#,
        r#"{"entities":{"driver_id":[1]},"feature_names":["trips:y"]}"#,
    ];
    let report = warm(&mut world, &lines.join("\n"));
    assert_eq!(counts(&report, &["rows", "fetched", "loaded", "origin_calls"]), [4, 3, 1, 2]);
    assert_eq!(world.most_calls, 1, "one after the other");
}

#[test]
fn rows_that_bring_their_values_touch_no_origin_and_are_read_as_they_were_written() {
    let mut world = world(|config| config.freshness.max_event_age_seconds = Some(86_400));
    let report = warm(
        &mut world,
        r#"{"entities":{"driver_id":[1,2,3]},
            "values":{"stats:a":[1.0,9007199254740993,null],"stats:b":["é",[1, 2],{"k":true}]},
            "event_timestamps":["2026-11-23T08:00:00Z","2026-11-22T07:00:00Z","2026-11-23T08:00:00+01:00"]}"#,
    );
    assert_eq!(counts(&report, &["rows", "loaded", "fetched", "origin_calls"]), [3, 3, 0, 0]);
    assert_eq!(counts(&report["stores"]["l2_distributed"], &["rows", "failed"]), [3, 0]);
    for is_elsewhere in [false, true] {
        if is_elsewhere {
            world.restart();
        }
        let answer = world.feast(&request(&["a", "b"], 1..4));
        assert_eq!(answer.column("driver_id"), ["1", "2", "3"]);
        // The second one's event lies more than a day back.
        assert_eq!(answer.column("a"), ["1.0", "null", "null"]);
        assert_eq!(answer.statuses("a"), ["PRESENT", "OUTSIDE_MAX_AGE", "NULL_VALUE"]);
        assert_eq!(answer.column("b"), ["\"é\"", "null", "{\"k\":true}"]);
    }
    assert!(world.origin_calls.is_empty());
}

#[test]
fn loaded_values_complete_what_memory_has() {
    let mut world = world(|_| {});
    world.feast(&request(&["a", "b"], [1]));
    let old = world.feast(&request(&["b"], [1])).column("b");
    world.run_for(2_000);
    world.reset_counts();
    warm(&mut world, r#"{"entities":{"driver_id":[1]},"values":{"stats:a":["new"]}}"#);
    let answer = world.feast(&request(&["a", "b"], [1]));
    assert_eq!((answer.column("a"), answer.column("b")), (vec!["\"new\"".to_owned()], old));
    assert!(answer.is_immediate && world.origin_calls.is_empty());
}

#[test]
fn what_a_warm_up_finds_resting_is_written_when_it_has_rested() {
    let mut world = world(|_| {});
    world.feast(&request(&["a"], [1]));
    world.run_for(100);
    world.reset_counts();
    warm(&mut world, r#"{"entities":{"driver_id":[1,2]},"values":{"stats:a":["new","new"]}}"#);
    assert_eq!(world.writes, [1]);
    world.run_for(2_000);
    assert_eq!((&world.writes[..], world.returns), (&[1, 1][..], 1));
    world.restart();
    assert_eq!(world.feast(&request(&["a"], [1])).column("a"), ["\"new\""]);
}

#[test]
fn a_warm_up_merges_all_its_rows_however_few_a_request_may_write() {
    let mut world = world(|config| config.l2.max_writes_per_request = Some(10));
    let values = vec!["\"loaded\""; 30].join(",");
    let ids: Vec<String> = (0..30).map(|id| id.to_string()).collect();
    let ids = ids.join(",");
    warm(&mut world, &format!(r#"{{"entities":{{"driver_id":[{ids}]}},"values":{{"stats:a":[{values}]}}}}"#));
    assert_eq!((&world.reads[..], &world.writes[..]), (&[30][..], &[30][..]));
}

#[test]
fn an_entity_that_the_origin_does_not_know_is_counted() {
    let mut world = world(|_| {});
    let unknown = one_row("1", &[("x", "null")])
        .replace(r#"[null],"statuses":["PRESENT"]"#, r#"[null],"statuses":["NOT_FOUND"]"#);
    world.scripted.push_back((200, unknown));
    let report = warm(&mut world, r#"{"entities":{"driver_id":[1]},"feature_names":["stats:x"]}"#);
    assert_eq!(counts(&report, &["rows", "not_found", "fetched", "failed"]), [1, 1, 0, 0]);
}

#[test]
fn what_cannot_be_had_or_written_is_counted_and_fails_nothing_else() {
    let mut world = world(|_| {});
    world.origin = Origin::IsDown;
    let lines = [
        r#"{"entities":{"driver_id":[1,2]},"feature_names":["stats:x"]}"#,
        r#"{"entities":{"driver_id":[3]},"values":{"stats:x":["loaded"]}}"#,
    ];
    let report = warm(&mut world, &lines.join("\n"));
    assert_eq!(counts(&report, &["rows", "failed", "loaded"]), [3, 2, 1]);
    world.is_store_down = true;
    let report = warm(&mut world, r#"{"entities":{"driver_id":[4]},"values":{"stats:x":["loaded"]}}"#);
    assert_eq!(counts(&report["stores"]["l2_distributed"], &["rows", "failed"]), [1, 1]);
}

#[test]
fn rows_past_the_deadline_of_a_warm_up_are_reported_as_remaining() {
    let mut world = world(|config| config.deadlines.warm_ms = 1_500);
    world.origin_millis = 1_000;
    let lines: Vec<String> = (0..4)
        .map(|number| format!(r#"{{"entities":{{"driver_id":[1,2]}},"feature_names":["stats:x{number}"]}}"#))
        .collect();
    let request = world.start("POST", "/v1/warm", lines.join("\n").as_bytes());
    world.run();
    let took = world.requests[request].ended - world.requests[request].began;
    let report = world.answer(request).json();
    // The second one's time runs out while it is under way.
    assert_eq!(counts(&report, &["rows", "fetched", "failed", "remaining"]), [8, 2, 2, 4]);
    assert!(took <= 2_001, "{took} ms");
}

#[test]
fn it_may_take_longer_than_a_request_for_features() {
    let mut world = world(|config| {
        config.deadlines.default_ms = 100;
        config.deadlines.adaptive_timeouts = false;
    });
    world.origin_millis = 3_000;
    let report = warm(&mut world, &body(0..2));
    assert_eq!(counts(&report, &["fetched", "failed"]), [4, 0]);
}

#[test]
fn a_body_that_is_not_all_right_does_nothing() {
    let mut world = world(|config| config.limits.warm_rows = 10);
    let good = r#"{"entities":{"driver_id":[1]},"feature_names":["stats:x"]}"#;
    for bad in [
        "rubbish",
        r#"{"entities":{"driver_id":[1]},"feature_names":["stats:x",":x"]}"#,
        r#"{"entities":{"driver_id":[1]},"feature_names":"stats:x"}"#,
        r#"{"entities":{"driver_id":[1]},"values":{"stats:x":[1]},"event_timestamps":["yesterday"]}"#,
        r#"{"entities":{"driver_id":[1]},"values":{":x":[1]}}"#,
        r#"{"entities":{"driver_id":[1,2,3,4,5,6,7,8,9,10,11]},"feature_names":["stats:x"]}"#,
        r#"{"entities":{"driver_id":[1,2,3,4,5]},"feature_names":["stats:x","trips:y"]}"#,
    ] {
        let answer = world.post("/v1/warm", format!("{good}\n{bad}").as_bytes());
        assert_eq!(answer.status, 422, "{bad}: {}", answer.text);
    }
    assert!(world.origin_calls.is_empty() && world.store.is_empty());
    assert_eq!(world.call("GET", "/v1/warm", b"").status, 405);
}

#[test]
fn rows_that_no_request_would_read_are_refused_with_the_keys_of_their_views() {
    let mut world = world(|config| {
        let join_keys = vec!["driver_id".to_owned(), "customer_id".to_owned()];
        config.views.insert("pairs".to_owned(), View { join_keys, ..View::default() });
        let service = FeatureService { join_keys: vec!["driver_id".to_owned()] };
        config.feature_services.insert("known".to_owned(), service);
    });
    let good = r#"{"entities":{"driver_id":[1]},"values":{"stats:x":[1]}}"#;
    for (entities, rest, words) in [
        (
            r#"{"user_id":[1]}"#,
            r#""values":{"stats:x":[1]}"#,
            "the entities have `user_id`; `stats` is keyed by `driver_id`",
        ),
        (r#"{"user_id":[1]}"#, r#""feature_names":["stats:x"]"#, "`stats` is keyed by `driver_id`"),
        (r#"{"driver_id":[1],"extra":[2]}"#, r#""values":{"stats:x":[1]}"#, "the entities have `driver_id`, `extra`;"),
        (r#"{"driver_id":[1]}"#, r#""values":{"pairs:x":[1]}"#, "`pairs` is keyed by `driver_id`, `customer_id`"),
        (r#"{"driver_id":[1]}"#, r#""values":{"pairs:x":[1],"stats:x":[2]}"#, "`pairs` is keyed by"),
        (r#"{"x":[1]}"#, r#""values":{"unknown:x":[1],"stats:x":[2]}"#, "`x` is a key of `unknown` and no feature"),
        (r#"{"y":[1]}"#, r#""values":{"unknown:x":[1],"stats:x":[2]}"#, "`stats` is keyed by `driver_id`"),
        (r#"{"user_id":[1]}"#, r#""feature_service":"known""#, "`known` is keyed by `driver_id`"),
        (
            r#"{"driver_id":[1]}"#,
            r#""values":{"stats:driver_id":[1]}"#,
            "`driver_id` is a key of `stats` and no feature",
        ),
        (r#"{"driver_id":[1]}"#, r#""values":{"stats:x":[1],"stats:x":[2]}"#, "the column is repeated"),
        (r#"{"driver_id":[1]}"#, r#""feature_names":[]"#, "at least one feature"),
        (r#"{"driver_id":[]}"#, r#""feature_names":["stats:x"]"#, "have a row at least"),
        (r#"{}"#, r#""feature_names":["stats:x"]"#, "have a row at least"),
        (r#"{"driver_id":[1]}"#, r#""values":{}"#, "is needed"),
        (
            r#"{"include":["age"]}"#,
            r#""entity_ids":[1],"feature_names":["stats:x"]"#,
            "both `entity_ids` and `entities`",
        ),
    ] {
        let body = format!("{good}\n{{\"entities\":{entities},{rest}}}");
        let answer = world.post("/v1/warm", body.as_bytes());
        assert_eq!(answer.status, 422, "{body}: {}", answer.text);
        assert!(answer.text.contains(words), "{body}: {}", answer.text);
        assert!(world.origin_calls.is_empty() && world.store.is_empty(), "{body}");
    }
    let answer = world.post("/v1/warm", br#"{"entity_ids":[1],"values":{"stats:x":[1]}}"#);
    assert!(
        answer.status == 422 && answer.text.contains("`body.entity_ids`: the entities have `entity_id`;"),
        "{}",
        answer.text
    );
}

#[test]
fn entities_of_views_with_unknown_keys_are_their_own_keys() {
    let mut world = world(|_| {});
    let report = warm(&mut world, r#"{"entities":{"user_id":[1],"at":[2]},"values":{"unknown:x":[1]}}"#);
    assert_eq!(counts(&report, &["rows", "loaded"]), [1, 1]);
    let body = r#"{"features":["unknown:x"],"entities":{"user_id":[1],"at":[2]}}"#;
    assert!(world.feast(body).is_immediate && world.origin_calls.is_empty());
}

#[test]
fn with_a_log_loaded_rows_are_as_old_as_its_clock_says() {
    let mut world = world(|config| {
        config.l3.enabled = true;
        config.writes.visible_within_ms = 0;
    });
    world.log.millis = 5;
    let ahead = world.add_isolate(60_000);
    world.switch_to(ahead);
    warm(&mut world, r#"{"entities":{"driver_id":[1]},"values":{"stats:x":["loaded"]}}"#);
    world.run_for(1_000);
    world.switch_to(0);
    assert_eq!(world.feast(&request(&["x"], [1])).column("x"), ["\"loaded\""]);
    world.post("/v1/invalidate", br#"{"view":"stats"}"#);
    for isolate in [0, ahead] {
        world.switch_to(isolate);
        assert_ne!(world.feast(&request(&["x"], [1])).column("x"), ["\"loaded\""]);
    }
}
