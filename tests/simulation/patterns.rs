//! Patterns and deadlines: stale rather than late, chunks for what is large, refusal when there is too much.

use crate::world::{Origin, World, request};

fn urgent(ids: &[u64], deadline: u64) -> String {
    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
    format!(
        r#"{{"entity_ids":[{}],"feature_names":["score"],"priority":"high","deadline_ms":{deadline},"include":["status","tier"]}}"#,
        ids.join(",")
    )
}

#[test]
fn the_answer_says_by_which_pattern_it_was_served() {
    let mut world = World::new();
    let pattern = |world: &mut World, body: &str| world.native(body).json()["metadata"]["serving_strategy"].clone();
    assert_eq!(pattern(&mut world, &urgent(&[1], 100)), "real_time_serving");
    assert_eq!(pattern(&mut world, r#"{"entity_ids":[1],"feature_names":["score"]}"#), "hybrid_serving");
    let many: Vec<String> = (0..1_000).map(|id| id.to_string()).collect();
    let body = format!(r#"{{"entity_ids":[{}],"feature_names":["score"]}}"#, many.join(","));
    assert_eq!(pattern(&mut world, &body), "batch_serving");
    let feast = world.feast(&request(&["score"], [1]));
    assert_eq!(
        feast.headers["server-timing"],
        "total;dur=10;desc=hybrid_serving, l2;dur=0, origin;dur=10, network;dur=0, cache;dur=0, computation;dur=10, serialization;dur=0"
    );
}

#[test]
fn a_batch_asks_the_origin_in_chunks_a_few_at_a_time() {
    let mut world = World::new();
    let answer = world.feast(&request(&["score"], 0..3_000));
    assert_eq!(answer.column("score").len(), 3_000);
    assert_eq!((world.origin_calls.len(), world.most_calls), (6, 4));
    assert_eq!(world.reads.len(), 30);
}

#[test]
fn a_stale_row_is_served_at_the_soft_deadline_and_fetched_in_the_background() {
    let mut world = World::new();
    world.native(&urgent(&[1], 100));
    world.pass_seconds(1_000);
    world.reset_counts();
    world.origin_millis = 400;
    let late = world.start_native(&urgent(&[1], 100));
    world.run();
    let answer = world.answer(late);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["features"]["1"]["score"]["status"], "PRESENT");
    assert_eq!(world.requests[late].ended - world.requests[late].began, 70);
    assert!(answer.headers["cache-status"].contains("detail=stale"));
    world.reset_counts();
    assert!(world.native(&urgent(&[1], 100)).is_immediate, "the call went on in the background");
    assert_eq!(world.origin_calls.len(), 0);
}

#[test]
fn at_the_hard_deadline_what_is_missing_is_said_to_be() {
    let mut world = World::new();
    world.native(&urgent(&[1], 100));
    world.origin_millis = 400;
    let late = world.start_native(&urgent(&[1, 2], 100));
    world.run();
    let answer = world.answer(late);
    assert_eq!((answer.status, world.requests[late].ended - world.requests[late].began), (200, 100));
    assert_eq!(answer.json()["features"]["1"]["score"]["status"], "PRESENT");
    assert_eq!(answer.json()["features"]["2"]["score"]["status"], "INVALID");
    assert!(world.native(&urgent(&[1, 2], 100)).is_immediate, "it was fetched all the same, in the background");
    let nothing = world.start_native(&urgent(&[3], 100));
    world.run();
    assert_eq!(world.answer(nothing).status, 504);
}

#[test]
fn a_slow_store_is_hedged_once_it_is_slower_than_usual() {
    let mut world = World::new();
    world.store_millis = 2;
    for id in 0..50 {
        world.native(&urgent(&[id], 100));
    }
    world.store_millis = 45;
    world.reset_counts();
    let slow = world.start_native(&urgent(&[1_000], 100));
    world.run();
    let took = world.requests[slow].ended - world.requests[slow].began;
    assert!((12..=15).contains(&took), "the origin's 10 ms, begun after the store's usual 2 ms: {took}");
    assert_eq!((world.service.engine().hedged(), world.reads.len()), (1, 1));
    let normal = world.start_native(r#"{"entity_ids":[1001],"feature_names":["score"]}"#);
    world.run();
    assert_eq!(
        world.requests[normal].ended - world.requests[normal].began,
        55,
        "what is not urgent waits for the store"
    );
}

#[test]
fn a_hedge_under_way_brings_what_the_store_has_and_is_due_whatever_else_is_waited_for() {
    for (ids, takes) in [(&[1_000][..], 45), (&[1_000, 2_000][..], 63)] {
        let mut world = World::with(|config| {
            config.l1.max_entries = 1;
            config.freshness.ttl_jitter_percent = 0;
            config.freshness.early_refresh_percent = 0;
        });
        world.native(&urgent(&[1_000], 100));
        world.store_millis = 2;
        for id in 0..50 {
            world.native(&urgent(&[id], 100));
        }
        world.pass_seconds(310);
        (world.store_millis, world.origin_millis) = (45, 60);
        world.reset_counts();
        let tolerant = urgent(ids, 100).replace("\"include\"", "\"max_staleness_seconds\":1000,\"include\"");
        let request = world.start_native(&tolerant);
        world.run();
        assert_eq!(world.service.engine().hedged(), 1);
        assert_eq!(world.requests[request].ended - world.requests[request].began, takes, "what is due may be served");
        assert_eq!(world.origin_calls.len(), 1, "{:?}", world.origin_calls);
    }
}

#[test]
fn a_hedge_that_failed_is_made_up_for_when_the_store_has_nothing() {
    let mut world = World::with_http_origin(|_| {});
    world.store_millis = 2;
    for id in 0..50 {
        world.native(&urgent(&[id], 100));
    }
    world.store_millis = 45;
    world.reset_counts();
    world.scripted.push_back((500, "\"sorry\"".to_owned()));
    let request = world.start_native(&urgent(&[1_000], 100));
    world.run();
    assert_eq!((world.answer(request).status, world.origin_calls.len()), (200, 2));
    assert_eq!(world.requests[request].ended - world.requests[request].began, 55);
}

#[test]
fn a_hedge_is_saved_up_by_ten_requests() {
    let mut world = World::new();
    world.store_millis = 2;
    for id in 0..300 {
        world.native(&format!(r#"{{"entity_ids":[{id}],"feature_names":["score"]}}"#));
    }
    for id in 300..320 {
        world.native(&urgent(&[id], 100));
    }
    world.store_millis = 30;
    for id in 1_000..1_010 {
        world.native(&urgent(&[id], 100));
    }
    assert_eq!(world.service.engine().hedged(), 3, "thirty requests have saved three");
}

#[test]
fn hedges_stay_a_small_part_of_the_origins_work() {
    let mut world = World::new();
    world.store_millis = 2;
    for id in 0..50 {
        world.native(&urgent(&[id], 100));
    }
    let before = world.service.engine().hedged();
    world.store_millis = 30;
    for id in 1_000..1_010 {
        world.native(&urgent(&[id], 100));
    }
    assert!(world.service.engine().hedged() - before <= 6, "{}", world.service.engine().hedged());
}

#[test]
fn an_origin_that_keeps_failing_opens_its_breaker_and_is_probed() {
    let mut world = World::with_http_origin(|_| {});
    world.feast(&request(&["score"], [0]));
    world.origin = Origin::IsDown;
    let statuses: Vec<u16> = (1..30).map(|id| world.feast(&request(&["score"], [id])).status).collect();
    assert!(statuses[..5].iter().all(|&status| status == 502), "{statuses:?}");
    assert!(statuses[11..].iter().all(|&status| status == 503), "{statuses:?}");
    assert!(world.origin_calls.len() < 12, "{}", world.origin_calls.len());
    assert_eq!(world.feast(&request(&["score"], [99])).headers["retry-after"], "5");
    assert_eq!(world.feast(&request(&["score"], [0])).status, 200, "what is warm is served all the while");
    world.origin = Origin::Computes;
    world.pass_seconds(5);
    let statuses: Vec<u16> = (1..30).map(|id| world.feast(&request(&["score"], [id])).status).collect();
    assert!(statuses.iter().all(|&status| status == 200), "{statuses:?}");
}

#[test]
fn a_store_that_keeps_failing_is_skipped() {
    let mut world = World::new();
    world.is_store_down = true;
    for id in 0..40 {
        assert_eq!(world.feast(&request(&["score"], [id])).status, 200);
    }
    assert!(world.reads.len() < 12, "{}", world.reads.len());
    world.is_store_down = false;
    world.pass_seconds(5);
    world.reset_counts();
    for id in 100..140 {
        world.feast(&request(&["score"], [id]));
    }
    assert!(world.reads.len() > 30, "{}", world.reads.len());
}

#[test]
fn under_load_the_least_urgent_requests_are_shed_first() {
    let mut world = World::new();
    let start = |world: &mut World, id: u64, priority: &str| {
        world.start_native(&format!(
            r#"{{"entity_ids":[{id}],"feature_names":["score"],"priority":"{priority}","deadline_ms":5000}}"#
        ))
    };
    let status = |world: &World, request: usize| world.requests[request].answer.as_ref().map(|answer| answer.status);
    for id in 0..500 {
        let request = start(&mut world, id, "low");
        assert_eq!(status(&world, request), None);
    }
    let low = start(&mut world, 5_000, "low");
    assert_eq!(status(&world, low), Some(429));
    assert_eq!(world.answer(low).headers["retry-after"], "1");
    for id in 500..800 {
        start(&mut world, id, "normal");
    }
    let (normal, high) = (start(&mut world, 5_001, "normal"), start(&mut world, 5_002, "high"));
    assert_eq!((status(&world, normal), status(&world, high)), (Some(503), None));
    world.run();
    assert_eq!(world.service.engine().shed_requests(), 2);
    assert!(world.native(r#"{"entity_ids":[1],"feature_names":["score"],"priority":"low"}"#).is_immediate);
}
