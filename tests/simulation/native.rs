//! The native API: the seed's request and response.

use crate::world::{FORWARDED, Origin, World, request};

#[test]
fn the_original_specifications_request_gets_its_response() {
    let mut world = World::new();
    let body = r#"{"request_id":"r1","entity_ids":["a","b"],"feature_names":["user_score","user_count"],"priority":"high","timestamp":"2026-11-23T08:00:00Z"}"#;
    let cold = world.native(body).json();
    assert_eq!(cold["request_id"], "r1");
    assert_eq!(cold["features"].as_object().unwrap().len(), 2);
    assert!(cold["features"]["a"]["user_score"].is_f64());
    assert!(cold["features"]["b"]["user_count"].is_u64());
    assert_eq!(cold["latency_ms"], 10);
    assert_eq!(cold["metadata"]["performance_tier"], "good");
    assert_eq!(cold["metadata"]["timestamp"], "2026-11-23T08:00:00Z");
    let stats = &cold["cache_stats"];
    assert_eq!((&stats["l1_hits"], &stats["l1_misses"], &stats["l2_misses"]), (&0.into(), &2.into(), &2.into()));
    assert_eq!(stats["compute_requests"], 1);
    let quality = &cold["quality_metrics"];
    assert_eq!((&quality["features_requested"], &quality["features_served"]), (&4.into(), &4.into()));
    assert_eq!((quality["completeness"].as_f64(), quality["error_rate"].as_f64()), (Some(1.0), Some(0.0)));
    let warm = world.native(body);
    assert!(warm.is_immediate);
    assert_eq!(warm.json()["features"], cold["features"]);
    assert_eq!(warm.json()["cache_stats"]["l1_hits"], 2);
    assert_eq!(warm.json()["metadata"]["performance_tier"], "excellent");
}

#[test]
fn status_age_tier_and_event_time_are_returned_on_request() {
    let mut world = World::new();
    world.origin_millis = 0;
    let body = r#"{"entity_ids":[1],"feature_names":["v:count"],"include":["status","age","tier","event_timestamp"]}"#;
    world.native(body);
    world.pass_seconds(7);
    let value = world.native(body).json()["features"]["1"]["v:count"].clone();
    assert_eq!(value["status"], "PRESENT");
    assert_eq!(value["age_ms"], 7_000);
    assert_eq!(value["tier"], "l1_memory");
    assert_eq!(value["event_timestamp"], "2026-11-23T08:00:00Z");
    world.restart();
    assert_eq!(world.native(body).json()["features"]["1"]["v:count"]["tier"], "l2_distributed");
}

#[test]
fn both_protocols_share_rows() {
    let mut world = World::new();
    world.feast(r#"{"features":["features:score"],"entities":{"entity_id":["a"]}}"#);
    assert!(world.native(r#"{"entity_ids":["a"],"feature_names":["score"]}"#).is_immediate);
}

#[test]
fn features_of_one_name_in_two_views_are_served_side_by_side() {
    let mut world = World::new();
    let answer = world.native(r#"{"entity_ids":["a"],"feature_names":["v:count","w:count"]}"#).json();
    assert!(answer["features"]["a"]["v:count"].is_u64());
    assert!(answer["features"]["a"]["w:count"].is_u64());
    assert_eq!(answer["quality_metrics"]["features_served"], 2);
}

#[test]
fn an_entity_of_several_columns_is_named_by_its_json() {
    let mut world = World::new();
    let answer = world.native(r#"{"entities":{"a":[1],"b":["x"]},"feature_names":["v:label"]}"#).json();
    assert_eq!(answer["features"][r#"{"a":1,"b":"x"}"#]["v:label"], "value_1,x_label");
}

#[test]
fn a_repeated_entity_is_counted_each_time_and_written_once() {
    let mut world = World::new();
    let answer = world.native(r#"{"entity_ids":["a","a","b"],"feature_names":["score"]}"#);
    assert_eq!(answer.text.matches(r#""a":{"#).count(), 1);
    assert_eq!(answer.json()["quality_metrics"]["completeness"].as_f64(), Some(1.0));
    assert_eq!(answer.json()["quality_metrics"]["features_requested"], 3);
}

#[test]
fn no_staleness_allowed_divides_nothing_by_zero() {
    let mut world = World::new();
    let body = r#"{"entity_ids":["a"],"feature_names":["score"],"max_staleness_seconds":0}"#;
    let quality = world.native(body).json()["quality_metrics"].clone();
    assert_eq!(quality["freshness_score"].as_f64(), Some(1.0));
    world.pass_seconds(1);
    world.reset_counts();
    world.native(body);
    assert_eq!(world.origin_calls.len(), 1, "a value of one second is older than none");
}

#[test]
fn freshness_comes_from_real_ages() {
    let mut world = World::new();
    world.origin_millis = 0;
    let body = r#"{"entity_ids":["a"],"feature_names":["score"],"max_staleness_seconds":200}"#;
    world.native(body);
    world.pass_seconds(50);
    let quality = world.native(body).json()["quality_metrics"].clone();
    assert_eq!(quality["freshness_score"].as_f64(), Some(0.75));
}

#[test]
fn strong_consistency_asks_the_origin_and_refills_the_tiers() {
    let mut world = World::new();
    let body =
        |level: &str| format!(r#"{{"entity_ids":["a"],"feature_names":["score"],"consistency_level":"{level}"}}"#);
    world.native(&body("eventual"));
    world.reset_counts();
    world.store_millis = 20;
    let strong = world.start_native(&body("strong"));
    world.run();
    let took = world.requests[strong].ended - world.requests[strong].began;
    // A merge read of the store runs in the background.
    assert_eq!((world.origin_calls.len(), world.reads.len(), took), (1, 1, world.origin_millis));
    assert!(world.native(&body("eventual")).is_immediate);
}

#[test]
fn what_could_not_be_had_lowers_completeness_and_counts_as_error() {
    let mut world = World::with_http_origin(|_| {});
    world.native(r#"{"entity_ids":["a"],"feature_names":["score"]}"#);
    world.origin = Origin::IsDown;
    let answer = world.native(r#"{"entity_ids":["a"],"feature_names":["score","count"],"include":["status"]}"#).json();
    assert_eq!(answer["features"]["a"]["count"]["status"], "INVALID");
    assert_eq!(answer["quality_metrics"]["completeness"].as_f64(), Some(0.5));
    assert_eq!(answer["quality_metrics"]["error_rate"].as_f64(), Some(0.5));
}

#[test]
fn what_is_not_understood_is_refused_with_the_reason() {
    let mut world = World::new();
    for (body, reason) in [
        (r#"{"entity_ids":["a"],"feature_names":["score"],"priorty":"high"}"#, "priorty"),
        (r#"{"entity_ids":["a"],"feature_names":["score"],"priority":"urgent"}"#, "`critical`"),
        (r#"{"entity_ids":["a"],"feature_names":["score"],"consistency_level":1}"#, "consistency_level"),
        (r#"{"entity_ids":["a"],"feature_names":["score"],"max_staleness_seconds":-1}"#, "0 or more"),
        (r#"{"entity_ids":["a"],"feature_names":["score"],"max_staleness_seconds":"1"}"#, "number of seconds"),
        (r#"{"entity_ids":["a"],"entities":{"a":[1]},"feature_names":["score"]}"#, "either"),
        (r#"{"feature_names":["score"]}"#, "entity_ids"),
        (r#"{"entity_ids":["a"]}"#, "feature_names"),
        (r#"{"entity_ids":[],"feature_names":["score"]}"#, "at least one entity"),
        (r#"{"entity_ids":["a"],"feature_names":[]}"#, "at least one feature"),
        (r#"{"entity_ids":["a",1],"feature_names":["score"]}"#, "all strings"),
        (r#"{"entity_ids":[null],"feature_names":["score"]}"#, "string or a number"),
        (
            r#"{"entity_ids":["a"],"feature_names":["score"],"timestamp":"yesterday"}"#,
            "`body.timestamp`: `yesterday` is no",
        ),
        (r#"{"entity_ids":["a"],"feature_names":["score"],"timestamp":"2026-02-30T00:00:00Z"}"#, "`body.timestamp`"),
        (r#"{"entity_ids":["a"],"feature_names":["score"],"timestamp":""}"#, "`body.timestamp`"),
        (r#"{"entity_ids":["a"],"feature_names":["score"],"timestamp":1795420800}"#, "`body.timestamp`"),
        (r#"{"entity_ids":["a"],"feature_names":["score"],"timestamp":null}"#, "`body.timestamp`"),
        (r#"{"entity_ids":["a"],"feature_names":["a:b:c"]}"#, "malformed"),
        (r#"{"entity_ids":["a"],"entity_ids":["b"],"feature_names":["score"]}"#, "repeated"),
        (r#"[]"#, "object"),
    ] {
        let answer = world.native(body);
        assert_eq!(answer.status, 422, "{body}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(reason), "{body}: {}", answer.text);
    }
}

#[test]
fn a_timestamp_comes_back_as_it_was_written() {
    let mut world = World::new();
    for written in ["2026-11-23T08:00:00Z", "2026-11-23t09:00:00.123456789+01:00", "2026-11-23T08:00:00\\u005a"] {
        let body = format!(r#"{{"entity_ids":["a"],"feature_names":["score"],"timestamp":"{written}"}}"#);
        let answer = world.native(&body);
        assert!(answer.text.contains(&format!(r#""timestamp":"{written}""#)), "{}", answer.text);
    }
}

#[test]
fn a_feature_that_is_named_twice_is_counted_each_time_and_written_once() {
    let mut world = World::new();
    let body = r#"{"entity_ids":["a","b"],"feature_names":["score","v:count","score","features:score","v:count"]}"#;
    let answer = world.native(body);
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.text.matches(r#""score":"#).count(), 2, "{}", answer.text);
    let features = &answer.json()["features"]["a"];
    assert_eq!(features.as_object().unwrap().len(), 3, "one feature under two names is two: {features}");
    assert_eq!(features["score"], features["features:score"]);
    assert_eq!(answer.json()["metadata"]["features"], 5);
    let quality = answer.json()["quality_metrics"].clone();
    assert_eq!((&quality["features_requested"], &quality["features_served"]), (&10.into(), &10.into()));
    assert_eq!((quality["completeness"].as_f64(), quality["freshness_score"].as_f64()), (Some(1.0), Some(1.0)));
    assert_eq!(world.origin_calls.len(), 1);
    assert_eq!(world.origin_calls[0].matches("score").count(), 1, "{}", world.origin_calls[0]);
    assert!(world.origin_calls[0].contains(r#""full_feature_names":false"#), "short names do not collide");
    assert!(
        world.native(r#"{"entity_ids":["a"],"feature_names":["score","v:count"]}"#).is_immediate,
        "of the same rows"
    );
    let request = world.start_lines(body);
    world.run();
    let lines = world.answer(request).text;
    assert_eq!(lines.matches(r#""score":"#).count(), 2, "{lines}");
    assert!(lines.contains(r#""features_served":10,"features_requested":10"#), "{lines}");
}

#[test]
fn a_feature_that_fails_counts_as_often_as_it_is_named() {
    let mut world = World::with_http_origin(|_| {});
    world.native(r#"{"entity_ids":["a"],"feature_names":["score"]}"#);
    world.origin = Origin::IsDown;
    let answer = world.native(r#"{"entity_ids":["a"],"feature_names":["score","count","count","count"]}"#).json();
    assert_eq!(answer["quality_metrics"]["features_requested"], 4);
    assert_eq!(answer["quality_metrics"]["error_rate"].as_f64(), Some(0.75));
}

#[test]
fn feast_judges_what_is_named_twice_in_its_own_protocol() {
    let mut world = World::with_http_origin(|_| {});
    assert_eq!(world.feast(&request(&["score", "score"], [1])).status, FORWARDED);
}

#[test]
fn an_answer_says_the_latency_target_of_its_priority_and_whether_it_was_met() {
    let slo = |world: &mut World, rest: &str, id: u64| {
        let answer = world.native(&format!(r#"{{"entity_ids":[{id}],"feature_names":["score"]{rest}}}"#)).json();
        assert_eq!(
            answer["metadata"]["slo"]["met"],
            answer["latency_ms"].as_u64() <= answer["metadata"]["slo"]["target_ms"].as_u64()
        );
        (answer["metadata"]["slo"]["target_ms"].as_u64().unwrap(), answer["metadata"]["slo"]["met"].as_bool().unwrap())
    };
    let mut world = World::new();
    for (origin_millis, is_met) in
        [(15, [true; 5]), (40, [false, true, true, true, false]), (90, [false, false, true, true, false])]
    {
        world.origin_millis = origin_millis;
        let of =
            [r#","priority":"critical""#, r#","priority":"high""#, "", r#","priority":"low""#, r#","deadline_ms":30"#];
        for ((rest, target), is_met) in of.into_iter().zip([20, 50, 100, 100, 30]).zip(is_met) {
            // The last one's deadline ends before the origin answers: it is answered with what there is, or not at all.
            if target == 30 && !is_met {
                continue;
            }
            let id = world.now;
            assert_eq!(slo(&mut world, rest, id), (target, is_met), "{origin_millis} ms {rest}");
        }
    }
    let mut world = World::with(|config| (config.sla.p50_ms, config.sla.p95_ms, config.sla.p99_ms) = (1, 2, 3));
    for (priority, target) in [("critical", 1), ("high", 2), ("normal", 3), ("low", 3)] {
        assert_eq!(slo(&mut world, &format!(r#","priority":"{priority}""#), 1).0, target);
    }
}
