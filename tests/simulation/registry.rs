//! A registry that hangs: nobody waits for it longer than half of their own deadline, and what it brings late still counts.

use config::{Config, Registry, View};
use serde_json::Value;

use crate::world::{Origin, World, request};

const TWO_VIEWS: &str = r#"{"featureViews":[{"spec":{"name":"drivers","entityColumns":[{"name":"driver_id"}]}},{"spec":{"name":"customers","entityColumns":[{"name":"customer_id"}]}}]}"#;

/// Longer than any call may take.
const FOR_EVER: u64 = 3_600_000;

/// A world whose registry answers after so many milliseconds, and whose origin takes 10 ms.
fn world(registry_millis: u64, change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::with_http_origin(|config| {
        config.registry = Some(Registry { url: "http://registry.example".to_owned(), project: None, ttl_seconds: 300 });
        config.freshness.early_refresh_percent = 0;
        change(config);
    });
    world.registry = Some((registry_millis, TWO_VIEWS.to_owned()));
    world
}

fn native(deadline_millis: u64, priority: &str) -> String {
    format!(
        r#"{{"entities":{{"driver_id":[1]}},"feature_names":["stats:score"],"deadline_ms":{deadline_millis},"priority":"{priority}"}}"#
    )
}

fn took(world: &World, request: usize) -> u64 {
    world.requests[request].ended - world.requests[request].began
}

#[test]
fn nobody_waits_for_a_registry_that_hangs_longer_than_half_of_their_deadline() {
    for (body, most) in [
        (native(200, "normal"), 100),
        (native(9_000, "normal"), 2_500),
        (native(60, "critical"), 30),
        (native(200, "normal").replace(r#""deadline_ms":200,"priority":"normal""#, r#""priority":"high""#), 50),
    ] {
        let mut world = world(FOR_EVER, |_| {});
        let request = world.start_native(&body);
        world.run();
        let answer = world.answer(request);
        assert_eq!((answer.status, took(&world, request)), (200, most + 10), "{body}: {}", answer.text);
        assert_eq!(answer.json()["latency_ms"], most + 10, "the wait is a part of it");
        assert_eq!(answer.json()["quality_metrics"]["features_served"], 1);
    }
    let mut world = world(FOR_EVER, |_| {});
    let request = world.start_feast(&request(&["score"], [1]));
    world.run();
    assert_eq!((world.answer(request).status, took(&world, request)), (200, 2_510));
}

#[test]
fn what_it_waited_is_taken_off_its_deadline() {
    for is_streamed in [false, true] {
        let mut world = world(FOR_EVER, |_| {});
        world.origin_millis = 3_000;
        let body = native(200, "normal");
        let request = if is_streamed { world.start_lines(&body) } else { world.start_native(&body) };
        world.run();
        assert_eq!((world.answer(request).status, took(&world, request)), (504, 200), "streamed: {is_streamed}");
    }
}

#[test]
fn a_log_that_hangs_too_gets_half_of_what_is_left() {
    let mut world = world(FOR_EVER, |config| {
        config.l3.enabled = true;
        config.l3.timeout_ms = 5_000;
    });
    world.log.is_down = true;
    world.log.millis = FOR_EVER;
    let request = world.start_native(&native(200, "normal"));
    world.run();
    assert_eq!((world.answer(request).status, took(&world, request)), (200, 100 + 50 + 10));
}

#[test]
fn others_that_come_meanwhile_do_not_wait_at_all() {
    let mut world = world(FOR_EVER, |_| {});
    world.start_native(&native(200, "normal"));
    world.run_for(20);
    let other = world.start_native(&native(200, "normal"));
    world.run();
    assert_eq!(took(&world, other), 10);
}

#[test]
fn what_comes_after_its_request_was_answered_counts_for_later_ones() {
    let mut world = world(300, |_| {});
    let body = |driver: u32, customer: u32| {
        format!(
            r#"{{"entities":{{"driver_id":[{driver}],"customer_id":[{customer}]}},"feature_names":["drivers:x","customers:y"],"deadline_ms":200}}"#
        )
    };
    let first = world.start_native(&body(1, 1));
    world.run_for(250);
    assert_eq!(took(&world, first), 110);
    world.run();
    assert_eq!(world.service.under_way(), 0, "nothing is left behind");
    world.native(&body(1, 2));
    world.reset_counts();
    world.native(&body(1, 3));
    assert_eq!(world.reads, [1], "the driver's row is shared");
}

#[test]
fn what_comes_in_time_serves_the_request_that_waited() {
    let mut world = world(30, |_| {});
    let first = world.start_native(&native(200, "normal"));
    world.run();
    assert_eq!(took(&world, first), 40);
    assert_eq!(world.service.under_way(), 0);
}

#[test]
fn a_caller_who_hangs_up_leaves_no_session() {
    let mut world = world(300, |_| {});
    let first = world.start_native(&native(200, "normal"));
    let handle = world.handle_of(first);
    world.service.abandon(handle, model::time::Timestamp(world.now));
    world.lose(first);
    world.run_for(10_000);
    // The call for the registry is forgotten with its host, at the next sweep.
    for id in 0..200 {
        world.start_feast(&request(&["score"], [id]));
        world.run_for(1_000);
    }
    assert_eq!(world.service.under_way(), 0);
}

#[test]
fn a_body_that_is_refused_does_not_wait() {
    let mut world = world(FOR_EVER, |_| {});
    let answer = world.native("{}");
    assert!(answer.is_immediate && answer.status == 422, "{}", answer.text);
}

#[test]
fn warming_waits_for_half_of_its_own_deadline() {
    let view = View { join_keys: vec!["driver_id".to_owned()], ..View::default() };
    for has_log in [false, true] {
        let mut world = world(FOR_EVER, |config| {
            config.deadlines.warm_ms = 1_000;
            config.l3.enabled = has_log;
            config.views.insert("stats".to_owned(), view.clone());
        });
        world.log.millis = 5;
        let body = r#"{"entities":{"driver_id":[1]},"feature_names":["stats:x"]}"#;
        let request = world.start("POST", "/v1/warm", body.as_bytes());
        world.run();
        let report: Value = world.answer(request).json();
        assert_eq!(report["fetched"], 1, "{report}");
        let log_millis = if has_log { 10 } else { 0 };
        assert_eq!(took(&world, request), 500 + log_millis + 10, "its clock is asked for after that, with a log");
        assert_eq!(world.log.calls, usize::from(has_log));
    }
}

#[test]
fn warming_that_waited_has_the_rest_of_its_deadline() {
    for (origin_millis, fetched) in [(400, 1), (700, 0)] {
        let mut world = world(FOR_EVER, |config| config.deadlines.warm_ms = 1_000);
        world.origin_millis = origin_millis;
        let body = r#"{"entities":{"driver_id":[1]},"feature_names":["stats:x"]}"#;
        let report = world.post("/v1/warm", body.as_bytes()).json();
        assert_eq!((report["fetched"].as_u64(), report["failed"].as_u64()), (Some(fetched), Some(1 - fetched)));
    }
}

#[test]
fn a_request_that_refreshes_the_registry_still_answers_its_caller() {
    let mut world = world(10, |config| config.freshness.ttl_seconds = 3_600);
    world.origin = Origin::Labels;
    let body = request(&["score"], [1]);
    world.feast(&body);
    world.pass_seconds(301);
    world.caller = "origin:a";
    world.reset_counts();
    assert_eq!(world.feast(&body).status, 200);
    assert_eq!(world.origin_calls.len(), 1, "it shares no row with those before");
    world.caller = "";
    world.reset_counts();
    world.feast(&body);
    assert!(world.origin_calls.is_empty(), "and its rows are nobody else's");
}

#[test]
fn who_finds_no_room_to_wait_is_refused_once_at_most() {
    let mut world = world(FOR_EVER, |config| config.memory.pending_bytes = 100_000);
    let body = native(200, "high") + &" ".repeat(120_000);
    let request = world.start_native(&body);
    world.run();
    assert_eq!((world.answer(request).status, world.service.memory().pending.evicted), (503, 1));
}
