//! Learning and fetching ahead: what sessions teach, what is fetched for them, and what is not.

use config::Config;
use prefetch::governor::PrefetchStats;

use crate::world::{Answer, World, request};

const KEYED: fn(&mut Config) = |config| {
    config.prefetch.holdout_percent = 0;
    config.freshness.ttl_jitter_percent = 0;
    config.freshness.early_refresh_percent = 0;
};

fn world() -> World {
    World::with_http_origin(KEYED)
}

/// A request of a session.
fn ask(world: &mut World, session: &str, feature: &str, id: u64) -> Answer {
    world.session = Some(session.to_owned());
    let answer = world.feast(&request(&[feature], [id]));
    world.pass_seconds(1);
    answer
}

/// Sessions that ask for the score of an entity and then for its count, and for that of the next entity.
fn train(world: &mut World, sessions: u64) {
    for session in 0..sessions {
        for id in [10, 20, 30] {
            ask(world, &format!("s{session}"), "score", id);
            ask(world, &format!("s{session}"), "count", id);
        }
        // Past the time to live, so that the next session finds nothing in memory.
        world.pass_seconds(400);
    }
}

fn stats(world: &World) -> PrefetchStats {
    *world.service.engine().governor().stats()
}

#[test]
fn the_next_request_of_a_session_is_prefetched() {
    let mut world = world();
    train(&mut world, 6);
    assert!(!ask(&mut world, "new", "score", 10).is_immediate);
    for (feature, id) in [("count", 10), ("score", 20), ("count", 20), ("score", 30), ("count", 30)] {
        assert!(ask(&mut world, "new", feature, id).is_immediate, "{feature} of {id}");
    }
    let stats = stats(&world);
    assert!(stats.used >= 5 && stats.precision_permille() > Some(800), "{stats:?}");
}

#[test]
fn what_holds_for_all_entities_is_known_of_one_that_is_new() {
    let mut world = world();
    train(&mut world, 6);
    ask(&mut world, "new", "score", 777);
    assert!(ask(&mut world, "new", "count", 777).is_immediate);
}

#[test]
fn an_answer_does_not_wait_for_prefetch() {
    let mut world = world();
    train(&mut world, 6);
    world.session = Some("new".to_owned());
    world.reset_counts();
    let asked = world.start_feast(&request(&["score"], [10]));
    world.run_for(9);
    assert_eq!((world.origin_calls.len(), world.requests[asked].answer.is_some()), (1, false));
    world.run();
    assert_eq!(world.requests[asked].ended - world.requests[asked].began, 10, "one call of the origin");
    assert!(world.origin_calls.len() > 1);
}

#[test]
fn requests_without_a_session_are_as_they_were() {
    let mut world = world();
    for round in 0..30 {
        world.feast(&request(&["score"], [round % 3]));
        world.feast(&request(&["count"], [round % 3]));
        world.pass_seconds(400);
    }
    let stats = stats(&world);
    assert_eq!((stats.issued, world.reads.len(), world.origin_calls.len()), (0, 60, 60));
}

#[test]
fn a_session_may_be_named_in_the_body_too() {
    let mut world = world();
    let native = |feature: &str, id: u64, session: u64| {
        format!(r#"{{"entity_ids":[{id}],"feature_names":["{feature}"],"session_id":"s{session}"}}"#)
    };
    for session in 0..8 {
        world.native(&native("score", 1, session));
        world.native(&native("count", 1, session));
        world.pass_seconds(400);
    }
    world.native(&native("score", 1, 100));
    assert!(world.native(&native("count", 1, 100)).is_immediate);
}

#[test]
fn nothing_is_prefetched_for_holdout_sessions_and_coverage_is_reported() {
    let mut world = World::with_http_origin(|config| {
        KEYED(config);
        config.prefetch.holdout_percent = 50;
    });
    train(&mut world, 60);
    let stats = stats(&world);
    assert!(stats.held_out.rows > 0 && stats.held_out.misses == stats.held_out.rows, "{stats:?}");
    assert!(stats.coverage_permille() > Some(600), "{stats:?}");
}

#[test]
fn where_requests_are_random_almost_nothing_is_prefetched() {
    let mut world = world();
    let mut state = 1_u64;
    for round in 0_u64..4_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        world.session = Some(format!("s{}", round % 20));
        let feature = ["score", "count", "age"][(state >> 60) as usize % 3];
        world.feast(&request(&[feature], [(state >> 33) % 300]));
        world.now += 300;
    }
    let stats = stats(&world);
    assert!(stats.issued <= stats.served.misses / 100, "under 1 % of what is fetched anyway: {stats:?}");
}

#[test]
fn a_row_in_flight_is_not_prefetched() {
    let mut world = world();
    train(&mut world, 6);
    world.reset_counts();
    world.session = Some("new".to_owned());
    // What is predicted after the first is under way for the second.
    world.start_feast(&request(&["score"], [10]));
    world.run_for(9);
    world.session = None;
    world.start_feast(&request(&["count"], [10]));
    world.run();
    let of_count = world.origin_calls.iter().filter(|call| call.contains("stats:count")).count();
    assert_eq!(of_count, 1, "{:?}", world.origin_calls);
}

#[test]
fn the_second_and_the_request_have_their_budgets() {
    for change in [(|config| config.prefetch.max_rows_per_second = 0) as fn(&mut Config), |config| {
        config.prefetch.max_rows_per_request = 0
    }] {
        let mut world = World::with_http_origin(|config| {
            KEYED(config);
            change(config);
        });
        train(&mut world, 8);
        assert_eq!(stats(&world).issued, 0);
    }
}

#[test]
fn rows_that_cost_more_than_they_save_are_not_prefetched() {
    let mut world = World::with_http_origin(|config| {
        KEYED(config);
        config.prefetch.latency_value_nanodollars_per_ms = 0;
    });
    train(&mut world, 8);
    assert_eq!(stats(&world).issued, 0);
}

#[test]
fn a_memory_full_of_warmer_rows_admits_no_prefetched_one() {
    let mut world = World::with_http_origin(|config| {
        KEYED(config);
        config.l1.max_entries = 10;
    });
    // Rows come and go within a second.
    for round in 0_u64..3_000 {
        world.session = None;
        world.feast(&request(&["age"], [1_000 + round]));
        world.session = Some(format!("s{}", round / 60));
        world.feast(&request(&[["score", "count"][round as usize % 2]], [10 + round / 2 % 30]));
        world.now += 50;
    }
    let stats = stats(&world);
    assert!(stats.admission_rejected > 0 && stats.issued < 100, "{stats:?}");
}

#[test]
fn a_new_isolate_loads_the_model_of_the_one_before_it() {
    let mut world = world();
    train(&mut world, 12);
    world.restart();
    world.pass_seconds(400);
    // It reads the model in the background of its first request, and learns each shape with the first
    // request for it.
    ask(&mut world, "first", "score", 500);
    ask(&mut world, "other", "count", 600);
    assert_eq!(stats(&world).models_merged, 1);
    ask(&mut world, "new", "score", 10);
    assert!(ask(&mut world, "new", "count", 10).is_immediate);
    assert!(ask(&mut world, "new", "score", 20).is_immediate);
}

#[test]
fn a_model_that_is_damaged_or_foreign_is_ignored_and_counted() {
    for damage in [(|model: &mut Vec<u8>| model.truncate(40)) as fn(&mut Vec<u8>), |model| model[30] ^= 1, Vec::clear] {
        let mut world = world();
        train(&mut world, 12);
        let model = world.store.values_mut().find(|value| value.starts_with(b"FL")).unwrap();
        damage(model);
        world.restart();
        let answer = ask(&mut world, "new", "score", 10);
        assert_eq!(answer.status, 200);
        let stats = stats(&world);
        assert_eq!((stats.models_merged, stats.models_ignored), (0, 1));
    }
}

#[test]
fn predictions_are_explained_with_their_reasons() {
    let mut world = world();
    train(&mut world, 8);
    let asked = |id: u64| format!("/v1/predictions?request={}", request(&["score"], [id]).replace('"', "%22"));
    let before = world.service.engine().patterns().observed_requests();
    let explanation = world.call("GET", &asked(777), b"").json();
    assert_eq!(explanation["predictions"][0]["features"], serde_json::json!(["stats:count"]));
    assert_eq!(explanation["predictions"][0]["entities"], serde_json::json!({"driver_id": [777]}));
    assert_eq!(explanation["predictions"][0]["source"], "same_entity");
    assert_eq!(explanation["predictions"][0]["decision"], "prefetch");
    let explanation = world.call("GET", &asked(10), b"").json();
    assert_eq!(explanation["predictions"][0]["decision"], "prefetch");
    assert!(explanation["predictions"][0]["probability"].as_f64() > Some(0.9));
    assert!(explanation["min_precision"] == 0.5 && explanation["row_nanodollars"].as_u64() > Some(5_000));
    assert_eq!(world.service.engine().patterns().observed_requests(), before, "asking teaches nothing");
    ask(&mut world, "new", "score", 10);
    let explanation = world.call("GET", &asked(10), b"").json();
    assert_eq!(explanation["predictions"][0]["decision"], "in_memory");
    assert_eq!(world.call("GET", "/v1/predictions", b"").status, 422);
    assert_eq!(world.call("GET", "/v1/predictions?request=%7", b"").status, 422);
    assert_eq!(world.call("POST", "/v1/predictions", b"").status, 405);
}
