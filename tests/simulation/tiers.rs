//! Who answers: L1, L2 or the origin, and how often each is asked.

use config::View;

use crate::world::{Origin, World, request};

#[test]
fn a_hundred_entities_of_fifty_features_cost_one_call_and_one_read_cold_and_nothing_warm() {
    let mut world = World::new();
    let features: Vec<String> = (0..50).map(|number| format!("feature_{number}")).collect();
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    let body = request(&features, 0..100);
    let cold = world.feast(&body);
    assert_eq!((world.origin_calls.len(), &world.reads[..], &world.writes[..]), (1, &[100][..], &[100][..]));
    assert_eq!(cold.headers["cache-status"], "featheredge-l2; fwd=miss; fwd-status=200, featheredge-l1; fwd=miss");
    world.reset_counts();
    let warm = world.feast(&body);
    assert!(warm.is_immediate, "a warm answer takes one synchronous call");
    assert_eq!((world.origin_calls.len(), world.reads.len(), world.writes.len()), (0, 0, 0));
    assert_eq!(warm.headers["cache-status"], "featheredge-l1; hit");
    assert_eq!(warm.text, cold.text);
}

#[test]
fn another_isolate_reads_what_the_first_one_stored() {
    let mut world = World::new();
    let body = request(&["score", "count"], 1..=250);
    let first = world.feast(&body);
    world.restart();
    world.reset_counts();
    let second = world.feast(&body);
    assert_eq!(second.text, first.text);
    assert_eq!((world.origin_calls.len(), &world.reads[..], world.writes.len()), (0, &[100, 100, 50][..], 0));
    assert_eq!(second.headers["cache-status"], "featheredge-l2; hit, featheredge-l1; fwd=miss");
    world.reset_counts();
    assert!(world.feast(&body).is_immediate, "what L2 gave is in L1 now");
}

#[test]
fn only_the_rows_that_are_missing_are_asked_for() {
    let mut world = World::new();
    world.feast(&request(&["score"], [1, 2]));
    world.reset_counts();
    let answer = world.feast(&request(&["score"], [1, 2, 3]));
    assert_eq!(world.reads, [1]);
    assert_eq!(world.origin_calls.len(), 1);
    assert!(world.origin_calls[0].contains(r#""driver_id":[3]"#), "{}", world.origin_calls[0]);
    assert_eq!(answer.column("driver_id"), ["1", "2", "3"]);
    assert_eq!(answer.headers["cache-status"], "featheredge-l2; fwd=miss; fwd-status=200, featheredge-l1; fwd=partial");
}

#[test]
fn entities_whose_rows_are_missing_in_several_views_are_asked_for_once() {
    let mut world = World::new();
    let body = r#"{"features":["stats:score","other:count"],"entities":{"driver_id":[3,1,2]}}"#;
    world.feast(body);
    assert_eq!(world.origin_calls.len(), 1);
    assert!(world.origin_calls[0].contains(r#""driver_id":[3,1,2]"#), "{}", world.origin_calls[0]);
}

#[test]
fn rows_of_several_views_are_asked_for_by_one_call_that_names_each_entity_once() {
    let mut world = World::with_http_origin(|config| {
        for view in ["stats", "other"] {
            let view_of_drivers = View { join_keys: vec!["driver_id".to_owned()], ..View::default() };
            config.views.insert(view.to_owned(), view_of_drivers);
        }
    });
    world.origin = Origin::Labels;
    world.feast(&request(&["score"], [1]));
    world.reset_counts();
    let answer = world.feast(r#"{"features":["stats:score","other:count"],"entities":{"driver_id":[3,1,2]}}"#);
    assert_eq!(world.origin_calls.len(), 1);
    assert!(world.origin_calls[0].contains(r#""driver_id":[3,1,2]"#), "{}", world.origin_calls[0]);
    for (column, view) in [("score", "stats"), ("count", "other")] {
        for (value, id) in answer.column(column).iter().zip([3, 1, 2]) {
            assert!(value.starts_with(&format!("\"{view}/{column}/{id}/")), "{value}");
        }
    }
}

#[test]
fn an_entity_that_a_request_repeats_costs_one_row() {
    let mut world = World::new();
    let answer = world.feast(&request(&["score"], [7, 8, 7, 7, 8]));
    assert_eq!((&world.reads[..], &world.writes[..]), (&[2][..], &[2][..]));
    assert!(world.origin_calls[0].contains(r#""driver_id":[7,8]"#), "{}", world.origin_calls[0]);
    let scores = answer.column("score");
    assert_eq!(scores.len(), 5);
    assert_eq!((&scores[0], &scores[1]), (&scores[2], &scores[4]));
    assert_ne!(scores[0], scores[1]);
}

#[test]
fn a_row_past_its_time_to_live_is_refetched() {
    let mut world = World::with(|config| config.freshness.ttl_jitter_percent = 0);
    let body = request(&["score"], [1]);
    world.feast(&body);
    world.pass_seconds(300);
    world.now -= 20;
    assert!(world.feast(&body).is_immediate);
    world.pass_seconds(1);
    world.reset_counts();
    world.feast(&body);
    assert_eq!(world.origin_calls.len(), 1);
    assert_eq!(world.writes, [1], "the store learns that the row is fresh again");
}

#[test]
fn what_the_store_says_already_is_not_written_again() {
    let mut world = World::new();
    world.native(r#"{"entity_ids":["a"],"feature_names":["score"]}"#);
    world.restart();
    world.reset_counts();
    // A strong read calls the origin, which returns the same. A merge read of the store runs in the
    // background.
    world.native(r#"{"entity_ids":["a"],"feature_names":["score"],"consistency_level":"strong"}"#);
    assert_eq!((world.origin_calls.len(), world.reads.len(), world.writes.len()), (1, 1, 0));
    world.restart();
    world.reset_counts();
    // The store has `score` fresh; `count` is fetched, and the row with both is written once.
    world.native(r#"{"entity_ids":["a"],"feature_names":["score","count"]}"#);
    assert_eq!((world.origin_calls.len(), &world.writes[..]), (1, &[1][..]));
    world.restart();
    world.reset_counts();
    world.native(r#"{"entity_ids":["a"],"feature_names":["score","count"]}"#);
    assert_eq!((world.origin_calls.len(), world.reads.len(), world.writes.len()), (0, 1, 0));
}

#[test]
fn the_budget_of_l1_holds() {
    let mut world = World::with(|config| config.l1.max_entries = 50);
    world.feast(&request(&["score"], 0..200));
    assert_eq!(world.service.engine().memory().len(), 50);
    let mut world = World::with(|config| config.l1.max_bytes = 20_000);
    world.feast(&request(&["embedding"], 0..200));
    assert!(world.service.engine().memory().bytes() <= 20_000);
}

#[test]
fn without_l2_nothing_is_read_or_written() {
    let mut world = World::with(|config| config.l2.enabled = false);
    let answer = world.feast(&request(&["score"], [1]));
    assert_eq!((world.origin_calls.len(), world.reads.len(), world.writes.len()), (1, 0, 0));
    assert_eq!(answer.headers["cache-status"], "featheredge-l1; fwd=miss; fwd-status=200");
}

#[test]
fn the_age_header_is_that_of_the_oldest_value() {
    let mut world = World::new();
    world.feast(&request(&["score"], [1]));
    world.pass_seconds(100);
    world.feast(&request(&["score"], [2]));
    world.pass_seconds(20);
    assert_eq!(world.feast(&request(&["score"], [2])).headers["age"], "20");
    assert_eq!(world.feast(&request(&["score"], [1, 2])).headers["age"], "120");
}

#[test]
fn a_refresh_takes_no_row_from_a_store_that_is_as_due_as_the_one_in_memory() {
    let mut world = World::with(|config| {
        config.freshness.ttl_jitter_percent = 0;
        config.freshness.early_refresh_percent = 0;
    });
    let body = request(&["score"], [1]);
    world.feast(&body);
    world.pass_seconds(310);
    world.reset_counts();
    assert!(world.feast(&body).is_immediate, "it is served at once, and fetched anew in the background");
    assert_eq!((world.reads.len(), world.origin_calls.len()), (1, 1));
    world.pass_seconds(200);
    assert_eq!((world.feast(&body).is_immediate, world.origin_calls.len()), (true, 1));
}

#[test]
fn a_refresh_takes_from_a_store_what_another_isolate_has_fetched_meanwhile() {
    let mut world = World::with(|config| {
        config.freshness.ttl_jitter_percent = 0;
        config.freshness.early_refresh_percent = 0;
    });
    let other = world.add_isolate(0);
    let body = request(&["score"], [1]);
    world.feast(&body);
    world.pass_seconds(310);
    world.switch_to(other);
    world.feast(&body);
    world.run_for(2_000);
    world.switch_to(0);
    world.reset_counts();
    assert!(world.feast(&body).is_immediate);
    assert_eq!((world.reads.len(), world.origin_calls.len()), (1, 0));
    let answer = world.feast(&body);
    assert_eq!((answer.is_immediate, answer.headers["age"].as_str()), (true, "2"));
}

#[test]
fn a_stale_stored_row_is_revalidated_once_right_after_the_answer() {
    for is_down in [false, true] {
        let mut world = World::with_http_origin(|config| {
            config.freshness.ttl_jitter_percent = 0;
            config.freshness.early_refresh_percent = 0;
        });
        let body = request(&["score"], [1]);
        world.feast(&body);
        world.pass_seconds(310);
        world.restart();
        world.reset_counts();
        if is_down {
            world.origin = Origin::IsDown;
        }
        world.origin_millis = 50;
        let request = world.start_feast(&body);
        world.run_for(10);
        // Who comes while it is asked for is served what there is, and asks no second time.
        assert!(world.feast(&body).is_immediate);
        assert_eq!((world.answer(request).status, world.origin_calls.len()), (200, 1));
        assert_eq!(world.service.engine().sessions(), 0);
        world.run();
        assert_eq!(world.origin_calls.len(), 1);
    }
}

#[test]
fn a_slow_store_leaves_half_of_the_deadline_to_the_origin() {
    let mut world = World::new();
    world.store_millis = 300;
    for deadline in [100, 250, 500] {
        let body = format!(r#"{{"entity_ids":["{deadline}"],"feature_names":["score"],"deadline_ms":{deadline}}}"#);
        let request = world.start_native(&body);
        world.run();
        assert_eq!(world.answer(request).status, 200, "{deadline}: {}", world.answer(request).text);
        assert!(world.requests[request].ended - world.requests[request].began <= deadline / 2 + 11);
    }
}
