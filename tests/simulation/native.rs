//! The native API: the seed's request and response.

use crate::world::{Origin, World};

#[test]
fn the_seeds_request_gets_the_seeds_response() {
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
fn status_age_tier_and_event_time_are_told_on_request() {
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
    // What the store holds is read behind the answer, to be merged with what the origin gave.
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
        (r#"{"entity_ids":["a"],"feature_names":["score","score"]}"#, "twice"),
        (r#"{"entity_ids":["a"],"feature_names":["a:b:c"]}"#, "malformed"),
        (r#"{"entity_ids":["a"],"entity_ids":["b"],"feature_names":["score"]}"#, "once"),
        (r#"[]"#, "object"),
    ] {
        let answer = world.native(body);
        assert_eq!(answer.status, 422, "{body}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(reason), "{body}: {}", answer.text);
    }
}
