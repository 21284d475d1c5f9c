//! A bound holds when the answer is made: what was found young enough at the beginning of a request, and has grown too old while the
//! rest was waited for, is fetched anew, or missing at the deadline.

use config::{Config, View};
use serde_json::Value;

use crate::world::{Origin, World};

fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::with_http_origin(|config| {
        config.freshness.early_refresh_percent = 0;
        config.freshness.ttl_jitter_percent = 0;
        change(config);
    });
    world.origin = Origin::Labels;
    world
}

/// Says what keys the rows of `v` and `w`, so that each has rows of its own, and features are asked for one by one.
fn keyed(config: &mut Config) {
    for name in ["v", "w"] {
        config.views.insert(name.to_owned(), View { join_keys: vec!["id".to_owned()], ..View::default() });
    }
}

fn body(ids: &[&str], seconds: f64, deadline: u64) -> String {
    serde_json::json!({
        "entities": {"id": ids}, "feature_names": ["v:x"], "consistency_level": "bounded",
        "max_staleness_seconds": seconds, "deadline_ms": deadline, "include": ["status", "age", "tier"],
    })
    .to_string()
}

/// The status of an entity's value, its age in milliseconds, and when the origin computed it.
fn value(features: &Value) -> (String, Option<u64>, Option<u64>) {
    let value = &features["v:x"];
    let computed = value["value"].as_str().map(|text| text.rsplit_once('/').unwrap().1.parse().unwrap());
    (value["status"].as_str().unwrap().to_owned(), value["age_ms"].as_u64(), computed)
}

#[test]
fn a_row_in_memory_that_expires_while_another_is_fetched_is_refetched() {
    let mut world = world(|_| {});
    world.native(&body(&["a"], 1.0, 5_000));
    world.run_for(900);
    world.reset_counts();
    world.origin_millis = 3_000;
    let request = world.start_native(&body(&["a", "cold"], 1.0, 5_000));
    world.run();
    let began = world.requests[request].began;
    let answer = world.answer(request).json();
    let (status, _, computed) = value(&answer["features"]["a"]);
    assert_eq!(status, "PRESENT");
    assert!(computed.unwrap() >= began, "what the origin held after the request came");
    // It is asked for as soon as it is too old, and not when the other has come.
    assert_eq!(world.requests[request].ended - began, 3_000 + 1_000 - 910 + 1);
    assert_eq!(world.origin_calls.len(), 2);
    assert!(!world.origin_calls[1].contains("cold"), "what is fetched already is not asked for again");
    assert_eq!(answer["cache_stats"]["l1_misses"], 2);
}

#[test]
fn at_the_deadline_expired_values_are_missing_and_others_are_served() {
    let mut world = world(|_| {});
    world.native(&body(&["old"], 1.0, 5_000));
    world.run_for(700);
    world.native(&body(&["young"], 1.0, 5_000));
    world.run_for(200);
    world.origin_millis = 4_000;
    world.reset_counts();
    let request = world.start_native(&body(&["old", "young", "cold"], 1.0, 500));
    world.run_until_answered(3);
    let answer = world.answer(request).json();
    let [old, young, cold] = ["old", "young", "cold"].map(|id| value(&answer["features"][id]));
    assert_eq!((old.0.as_str(), cold.0.as_str()), ("INVALID", "INVALID"));
    assert_eq!((young.0.as_str(), young.1), ("PRESENT", Some(710)));
    world.run();
    assert_eq!(world.origin_calls.len(), 2, "what grows too old in the background is nobody's need");
}

#[test]
fn at_no_millisecond_does_an_answer_show_what_is_older_than_the_bound() {
    for (is_stored, takes) in
        [false, true].into_iter().flat_map(|is_stored| (60..140).map(move |takes| (is_stored, takes)))
    {
        let mut world = world(|_| {});
        world.native(&body(&["a"], 1.0, 5_000));
        world.run_for(900);
        if is_stored {
            world.restart();
        }
        world.origin_millis = takes;
        let request = world.start_native(&body(&["a", "cold"], 1.0, 5_000));
        world.run();
        let (status, age, computed) = value(&world.answer(request).json()["features"]["a"]);
        let (began, ended) = (world.requests[request].began, world.requests[request].ended);
        assert_eq!(status, "PRESENT");
        assert!(computed.unwrap() >= began || ended - computed.unwrap() <= 1_000, "{age:?} ms old after {takes} ms");
    }
}

#[test]
fn many_rows_that_expire_among_others_are_all_refetched_once() {
    let mut world = world(|_| {});
    let ids: Vec<String> = (0..20).map(|id| id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let warm: Vec<&str> = ids.iter().copied().step_by(2).collect();
    world.native(&body(&warm, 1.0, 5_000));
    world.run_for(900);
    world.reset_counts();
    world.origin_millis = 1_000;
    let request = world.start_native(&body(&ids, 1.0, 5_000));
    world.run();
    let answer = world.answer(request).json();
    assert!(ids.iter().all(|id| value(&answer["features"][id]).0 == "PRESENT"), "{answer}");
    assert_eq!((world.origin_calls.len(), answer["cache_stats"]["l1_hits"].as_u64()), (2, Some(0)));
    assert!(world.timers < 10, "{} timers", world.timers);
}

#[test]
fn an_expired_row_is_refetched_once_for_all_requests() {
    for is_stored in [false, true] {
        let mut world = world(|_| {});
        world.native(&body(&["a"], 1.0, 5_000));
        world.run_for(900);
        if is_stored {
            world.restart();
        }
        world.reset_counts();
        world.origin_millis = 600;
        let first = world.start_native(&body(&["a", "cold"], 1.0, 5_000));
        world.run_for(300);
        let second = world.start_native(&body(&["a"], 1.0, 5_000));
        world.run();
        for request in [first, second] {
            assert_eq!(value(&world.answer(request).json()["features"]["a"]).0, "PRESENT");
        }
        assert_eq!(world.origin_calls.len(), 2, "{is_stored}");
        assert_eq!((world.service.engine().sessions(), world.service.engine().flights()), (0, 0));
    }
}

#[test]
fn what_a_stream_has_given_is_not_fetched_again_when_it_grows_too_old() {
    for is_stored in [false, true] {
        let mut world = world(keyed);
        let two_views = |ids: &[&str]| body(ids, 1.0, 5_000).replace("[\"v:x\"]", "[\"v:x\",\"w:x\"]");
        world.native(&two_views(&["a", "b", "a2"]));
        world.run_for(800);
        if is_stored {
            world.restart();
        }
        world.reset_counts();
        world.reader_millis = Some(0);
        world.origin_millis = 600;
        let request = world.start_lines(&two_views(&["a", "cold", "b", "a2"]));
        world.run();
        let text = world.answer(request).text;
        assert_eq!((text.lines().count(), text.matches("\"PRESENT\"").count()), (5, 8), "{text}");
        assert_eq!(world.origin_calls.len(), 1, "{is_stored}: {:?}", world.origin_calls);
    }
}

#[test]
fn a_row_of_a_store_is_judged_at_the_answer_too() {
    let mut world = world(|_| {});
    world.native(&body(&["a"], 1.0, 5_000));
    world.run_for(800);
    world.restart();
    world.origin_millis = 2_000;
    let request = world.start_native(&body(&["a", "cold"], 1.0, 5_000));
    world.run();
    let (status, _, computed) = value(&world.answer(request).json()["features"]["a"]);
    assert_eq!(status, "PRESENT");
    assert!(computed.unwrap() >= world.requests[request].began);
}

#[test]
fn what_another_request_fetches_is_judged_at_the_answer_too() {
    let mut world = world(|_| {});
    world.origin_millis = 600;
    world.start_native(&body(&["a"], 60.0, 5_000));
    world.run_for(100);
    world.origin_millis = 2_000;
    let follower = world.start_native(&body(&["a", "cold"], 1.0, 5_000));
    world.run();
    let (status, _, computed) = value(&world.answer(follower).json()["features"]["a"]);
    assert_eq!(status, "PRESENT");
    assert!(computed.unwrap() >= world.requests[follower].began, "the other's was asked for before this one came");
}

#[test]
fn without_stale_if_error_an_eventual_read_shows_nothing_past_its_time_to_live() {
    let mut world = world(|config| {
        config.freshness.ttl_seconds = 1;
        config.freshness.stale_if_error_seconds = 0;
        config.freshness.stale_while_revalidate_seconds = 0;
    });
    let body = |ids: &[&str]| serde_json::json!({"features": ["v:x"], "entities": {"id": ids}}).to_string();
    world.feast(&body(&["a"]));
    world.run_for(900);
    world.origin_millis = 3_000;
    let request = world.start_feast(&body(&["a", "cold"]));
    world.run();
    let computed = world.answer(request).column("x")[0].clone();
    let computed: u64 = computed.trim_matches('"').rsplit_once('/').unwrap().1.parse().unwrap();
    assert!(computed >= world.requests[request].began);
}

#[test]
fn with_the_origin_down_nothing_older_than_the_bound_is_shown() {
    let mut world = world(|_| {});
    world.native(&body(&["a"], 1.0, 5_000));
    world.run_for(900);
    world.origin = Origin::IsSlow;
    let request = world.start_native(&body(&["a", "cold"], 1.0, 2_000));
    world.run();
    assert_eq!(world.answer(request).status, 504, "{}", world.answer(request).text);
}

#[test]
fn what_a_stream_buffers_for_a_slow_reader_is_judged_when_it_goes_out() {
    let mut world = world(|_| {});
    for id in ["a", "b"] {
        world.native(&body(&[id], 1.0, 5_000));
        world.run_for(400);
    }
    world.reader_millis = Some(700);
    // `a` and `b` go out at once; `cold` goes out when they were taken, and `c` was there at the beginning.
    world.native(&body(&["c"], 1.0, 5_000));
    let request = world.start_lines(&body(&["a", "cold", "c"], 1.0, 5_000));
    world.run();
    let mut lines = Vec::new();
    for (at, text) in &world.requests[request].chunks {
        lines.extend(text.lines().map(|line| (*at, serde_json::from_str::<Value>(line).unwrap())));
    }
    let began = world.requests[request].began;
    for (at, line) in lines.iter().filter(|(_, line)| line["entity"].is_string()) {
        let (status, _, computed) = value(&line["features"]);
        assert_eq!(status, "PRESENT", "{line}");
        let computed = computed.unwrap();
        assert!(computed >= began || at - computed <= 1_000, "{line} at {}", at - began);
    }
}

#[test]
fn a_row_that_was_fetched_for_the_request_is_not_too_old_for_it_however_long_the_rest_takes() {
    let mut world = world(|config| config.routing.chunk_rows = 1);
    world.origin_millis = 10;
    let ids: Vec<String> = (0..1_000).map(|id| id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let request = world.start_native(&body(&ids, 0.1, 5_000));
    world.run();
    assert!(world.requests[request].ended - world.requests[request].began > 1_000, "a thousand calls, four at a time");
    let answer = world.answer(request).json();
    assert!(answer["features"].as_object().unwrap().values().all(|features| value(features).0 == "PRESENT"));
    assert_eq!(world.origin_calls.len(), 1_000, "nothing is fetched twice");
}

#[test]
fn a_feature_that_expires_while_another_of_its_row_is_fetched_is_refetched() {
    for (deadline, expected) in [(5_000, "PRESENT"), (450, "INVALID")] {
        let mut world = world(keyed);
        world.native(&body(&["a"], 1.0, 5_000));
        world.run_for(800);
        world.origin_millis = 300;
        let both = body(&["a"], 1.0, deadline).replace("[\"v:x\"]", "[\"v:x\",\"v:y\"]");
        let request = world.start_native(&both);
        world.run();
        let features = &world.answer(request).json()["features"]["a"];
        let (status, _, computed) = value(features);
        assert_eq!((status.as_str(), features["v:y"]["status"].as_str()), (expected, Some("PRESENT")));
        assert!(computed.is_none_or(|computed| computed >= world.requests[request].began));
    }
}

#[test]
fn a_bounded_read_waits_for_no_call_that_began_longer_ago_than_its_bound() {
    let mut world = world(|_| {});
    world.origin_millis = 2_500;
    world.start_native(&body(&["a"], 60.0, 5_000));
    world.run_for(1_000);
    let strict = world.start_native(&body(&["a"], 0.0, 5_000));
    let loose = world.start_native(&body(&["a"], 60.0, 5_000));
    world.run();
    let took = |request: usize| world.requests[request].ended - world.requests[request].began;
    assert_eq!((took(strict), took(loose), world.origin_calls.len()), (2_500, 1_500, 2));
}

#[test]
fn what_is_known_of_a_row_that_was_completed_grows_too_old_while_others_are_fetched() {
    let mut world = world(keyed);
    let both = |ids: &[&str]| body(ids, 1.0, 5_000).replace("[\"v:x\"]", "[\"v:x\",\"v:y\"]");
    world.native(&body(&["a"], 1.0, 5_000));
    world.run_for(800);
    world.origin_millis = 900;
    world.start_native(&both(&["cold"]));
    world.run_for(5);
    world.origin_millis = 10;
    let request = world.start_native(&both(&["a", "cold"]));
    world.run();
    let (status, _, computed) = value(&world.answer(request).json()["features"]["a"]);
    let began = world.requests[request].began;
    assert_eq!((status.as_str(), computed.is_some_and(|computed| computed >= began)), ("PRESENT", true));
    assert!(world.requests[request].ended - began > 800, "the other row took its time");
}

#[test]
fn a_row_that_is_just_young_enough_when_the_answer_is_made_is_not_refetched() {
    for is_stored in [false, true] {
        let mut world = world(|_| {});
        world.native(&body(&["a"], 1.0, 5_000));
        world.run_for(985);
        if is_stored {
            world.restart();
        }
        world.reset_counts();
        world.origin_millis = 5;
        let request = world.start_native(&body(&["a", "cold"], 1.0, 5_000));
        world.run();
        let (status, age, _) = value(&world.answer(request).json()["features"]["a"]);
        assert_eq!((status.as_str(), age, world.origin_calls.len()), ("PRESENT", Some(1_000), 1), "{is_stored}");
    }
}

#[test]
fn rows_that_expire_within_ten_milliseconds_are_refetched_by_one_call() {
    for (is_stored, apart, calls) in [(false, 10, 2), (false, 11, 3), (true, 10, 2), (true, 11, 3)] {
        let mut world = world(|config| config.l2.enabled = is_stored);
        world.native(&body(&["a"], 1.0, 5_000));
        world.run_for(apart - 10);
        world.native(&body(&["b"], 1.0, 5_000));
        world.run_for(700);
        if is_stored {
            world.restart();
        }
        world.reset_counts();
        world.origin_millis = 600;
        let request = world.start_native(&body(&["a", "b", "cold"], 1.0, 5_000));
        world.run();
        assert_eq!(world.answer(request).text.matches("PRESENT").count(), 3);
        assert_eq!(world.origin_calls.len(), calls, "{is_stored}: {apart} ms apart");
    }
}

#[test]
fn an_unread_stream_refetches_nothing() {
    let mut world = world(keyed);
    let both = |ids: &[&str]| body(ids, 1.0, 5_000).replace("[\"v:x\"]", "[\"v:x\",\"w:y\"]");
    world.native(&body(&["half"], 1.0, 5_000));
    world.native(&both(&["whole"]));
    world.run_for(800);
    world.reset_counts();
    world.reader_millis = None;
    world.origin_millis = 3_000;
    let request = world.start_lines(&both(&["whole", "half"]));
    world.run();
    assert_eq!(world.requests[request].chunks[0].1.lines().count(), 1);
    assert_eq!((&world.reads[..], world.origin_calls.len()), (&[1][..], 0), "the other half of one row");
}

#[test]
fn an_expired_row_follows_the_flight_of_another_request() {
    for is_stored in [false, true] {
        let mut world = world(|_| {});
        world.native(&body(&["a"], 1.0, 5_000));
        world.run_for(890);
        if is_stored {
            world.restart();
        }
        world.reset_counts();
        world.origin_millis = 900;
        let first = world.start_native(&body(&["a", "cold"], 1.0, 5_000));
        world.run_for(50);
        world.origin_millis = 500;
        let second = world.start_native(&body(&["a"], 0.0, 5_000));
        world.run();
        for request in [first, second] {
            assert_eq!(value(&world.answer(request).json()["features"]["a"]).0, "PRESENT");
        }
        assert_eq!(world.origin_calls.len(), 2, "{is_stored}: {:?}", world.origin_calls);
    }
}

#[test]
fn without_singleflight_a_refetched_row_leaves_no_flight() {
    let mut world = world(|config| config.singleflight.enabled = false);
    world.native(&body(&["a"], 1.0, 5_000));
    world.run_for(900);
    world.origin_millis = 600;
    let answer = world.native(&body(&["a", "cold"], 1.0, 5_000));
    assert_eq!(value(&answer.json()["features"]["a"]).0, "PRESENT");
}

#[test]
fn a_follower_fetches_by_itself_once_the_flight_is_older_than_its_bound() {
    let mut world = world(|_| {});
    world.origin_millis = 4_000;
    world.start_native(&body(&["a"], 60.0, 5_000));
    world.run_for(500);
    world.origin_millis = 10;
    let strict = world.start_native(&body(&["a"], 1.0, 2_000));
    world.run();
    assert_eq!(value(&world.answer(strict).json()["features"]["a"]).0, "PRESENT");
    let took = world.requests[strict].ended - world.requests[strict].began;
    assert_eq!(took, 1_410, "it looks again at its soft deadline");
}

#[test]
fn a_row_that_expires_for_one_view_is_served_for_another() {
    let mut world = world(|config| {
        keyed(config);
        config.freshness.stale_if_error_seconds = 0;
        config.freshness.stale_while_revalidate_seconds = 0;
        let ttl_seconds = Some(1);
        config.views.insert("w".to_owned(), View { join_keys: vec!["id".to_owned()], ttl_seconds, ..View::default() });
    });
    let both = |ids: &[&str]| {
        serde_json::json!({"entities": {"id": ids}, "feature_names": ["v:x", "w:y"], "consistency_level": "eventual"})
            .to_string()
    };
    world.native(&both(&["a", "b"]));
    world.run_for(900);
    world.origin_millis = 600;
    let answer = world.native(&both(&["a", "b", "cold"])).json();
    assert_eq!((&answer["cache_stats"]["l1_hits"], &answer["cache_stats"]["l1_misses"]), (&2.into(), &4.into()));
}
