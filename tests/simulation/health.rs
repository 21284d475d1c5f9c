//! One caller's trouble stays that caller's: the origin's health is counted by what shows its own illness, and a request of which
//! nothing could be had is an error, whatever else is known of its rows.

use config::{Config, View};
use engine::breaker::BreakerState;

use crate::world::{Origin, World, one_row, request};

fn world(change: impl FnOnce(&mut Config)) -> World {
    World::with_http_origin(|config| {
        let view = View { join_keys: vec!["driver_id".to_owned()], ..View::default() };
        config.views.insert("stats".to_owned(), view);
        change(config);
    })
}

#[test]
fn what_one_caller_is_answered_opens_no_breaker() {
    for (status, text) in [
        (302, ""),
        (429, "\"slow down\""),
        (401, "{}"),
        (404, "\"no such view\""),
        (500, "\"null key\""),
        (200, "<html>sign in</html>"),
        (204, ""),
    ] {
        let mut world = world(|_| {});
        for id in 0..30 {
            world.scripted.push_back((status, text.to_owned()));
            let answer = world.feast(&request(&["score"], [1_000 + id]));
            assert_ne!(answer.status, 200, "{status}");
        }
        assert_eq!(world.service.engine().origin_breaker().state(), BreakerState::Closed, "{status}");
        assert_eq!(world.feast(&request(&["score"], [1])).status, 200, "{status}");
    }
}

#[test]
fn one_row_that_always_fails_opens_no_breaker_however_it_fails() {
    for origin in [Origin::IsDown, Origin::IsSlow, Origin::Answers(504, "\"late\"".to_owned())] {
        let mut world = world(|_| {});
        let good = std::mem::replace(&mut world.origin, origin.clone());
        (0..30).for_each(|_| _ = world.feast(&request(&["score"], [66])));
        assert_eq!(world.service.engine().origin_breaker().state(), BreakerState::Closed, "{origin:?}");
        world.origin = good;
        assert_eq!(world.feast(&request(&["score"], [1])).status, 200);
    }
}

#[test]
fn an_origin_that_fails_to_answer_what_it_answered_before_is_ill() {
    for (status, text) in [(500, "\"the store is gone\""), (200, "rubbish")] {
        let mut world = world(|config| config.freshness.ttl_seconds = 1);
        let body = request(&["score"], [1]);
        world.feast(&body);
        for _ in 0..10 {
            world.run_for(400_000);
            world.scripted.push_back((status, text.to_owned()));
            world.feast(&body);
        }
        assert_eq!(world.service.engine().origin_breaker().state(), BreakerState::Open, "{status}");
    }
    for origin in [Origin::IsDown, Origin::IsSlow, Origin::Answers(503, "\"starting\"".to_owned())] {
        let mut world = world(|_| {});
        world.origin = origin;
        (0..10).for_each(|id| _ = world.feast(&request(&["score"], [id])));
        assert_eq!(world.service.engine().origin_breaker().state(), BreakerState::Open);
    }
}

#[test]
fn an_origin_that_refuses_a_view_while_a_job_writes_it_is_not_ill() {
    let mut world = world(|_| {});
    (0..30).for_each(|id| _ = world.feast(&request(&["score"], [id])));
    world.run_for(10);
    world.write_status = Some(202);
    world.call("POST", "/materialize", br#"{"feature_views":["stats"]}"#);
    for id in 0..30 {
        world.scripted.push_back((500, "\"the view is in state MATERIALIZING\"".to_owned()));
        assert_eq!(world.feast(&request(&["score"], [id])).status, 500);
    }
    assert_eq!(world.service.engine().origin_breaker().state(), BreakerState::Closed);
}

#[test]
fn an_origin_that_is_down_is_ill_though_the_same_row_is_asked_for_again_and_again() {
    let mut world = World::with_http_origin(|_| {});
    let body = crate::world::request(&["score"], [1]);
    world.feast(&body);
    world.pass_seconds(1_000);
    world.origin = Origin::IsDown;
    world.reset_counts();
    let limit = world.service.engine().origin_limiter().limit();
    (0..40).for_each(|_| _ = world.feast(&body));
    assert!(world.origin_calls.len() < 12, "{} calls", world.origin_calls.len());
    assert!(world.service.engine().origin_limiter().limit() < limit, "it gets fewer calls at one time");
}

#[test]
fn one_row_that_was_answered_before_does_not_make_another_ones_failure_the_origins() {
    let mut world = world(|_| {});
    world.feast(&request(&["score"], [1]));
    world.run_for(700_000);
    for odd in 200..240 {
        world.scripted.push_back((500, "\"null key\"".to_owned()));
        world.feast(&request(&["score"], [1, odd]));
        assert_eq!(world.scripted.len(), 0, "the origin was asked");
    }
    assert_eq!(world.service.engine().origin_breaker().state(), BreakerState::Closed);
}

#[test]
fn a_failure_that_one_odd_row_may_have_caused_is_not_shared_with_who_asks_for_others() {
    for (status, text) in [(500, "\"null key\""), (200, "rubbish"), (429, "\"slow down\"")] {
        let mut world = world(|_| {});
        world.origin_millis = 50;
        world.scripted.push_back((status, text.to_owned()));
        let leader = world.start_feast(&request(&["score"], [1, 200]));
        world.run_for(10);
        let follower = world.start_feast(&request(&["score"], [1]));
        world.run();
        assert_ne!(world.answer(leader).status, 200);
        assert_eq!(world.answer(follower).status, 200, "{status}");
    }
}

#[test]
fn where_nothing_that_was_asked_for_could_be_had_the_answer_is_an_error() {
    for (origin, expected) in [
        (Origin::IsDown, 502),
        (Origin::IsSlow, 504),
        (Origin::Answers(200, "rubbish".to_owned()), 502),
        (Origin::Answers(500, "\"sorry\"".to_owned()), 500),
    ] {
        for is_native in [false, true] {
            let mut world = world(|_| {});
            world.feast(&request(&["other"], [1]));
            world.run_for(36_000);
            world.origin = origin.clone();
            let native =
                r#"{"entities":{"driver_id":[1]},"feature_names":["stats:score"],"deadline_ms":5000}"#.to_owned();
            let began = world.now;
            let answer = if is_native { world.native(&native) } else { world.feast(&request(&["score"], [1])) };
            assert_eq!(answer.status, expected, "{}", answer.text);
            assert!(!answer.headers.contains_key("age"), "{:?}", answer.headers);
            assert!(world.now - began <= 5_001);
        }
    }
}

#[test]
fn the_age_is_that_of_what_was_asked_for_and_waiting_for_the_origin_is_reported_as_such() {
    let mut world = world(|_| {});
    world.feast(&request(&["other"], [1]));
    world.run_for(36_000);
    world.feast(&request(&["score"], [1]));
    let answer = world.feast(&request(&["score"], [1]));
    assert_eq!(answer.headers["age"], "0", "the other feature is 36 s old, and nobody asked for it");

    let mut world = self::world(|config| config.deadlines.soft_percent = 100);
    world.feast(&request(&["score"], [1]));
    world.origin = Origin::IsSlow;
    world.run_for(1_000);
    let body = r#"{"entities":{"driver_id":[1,2]},"feature_names":["stats:score"],"deadline_ms":1500}"#;
    let answer = world.native(body);
    assert_eq!(answer.status, 200);
    let timing = &answer.headers["server-timing"];
    assert!(timing.contains("origin;dur=1500") && timing.contains("network;dur=0"), "{timing}");
}

#[test]
fn one_stale_feature_of_a_row_does_not_make_a_fresh_answer_stale() {
    let mut world = world(|_| {});
    world.scripted.push_back((200, one_row("1", &[("other", "5")])));
    world.feast(&request(&["other"], [1]));
    world.run_for(2_000_000);
    world.scripted.push_back((200, one_row("1", &[("score", "7")])));
    let answer = world.feast(&request(&["score"], [1]));
    assert!(!answer.headers["cache-status"].contains("stale"), "{:?}", answer.headers);
    assert_eq!(answer.headers["age"], "0");
}

#[test]
fn an_answer_with_a_gap_is_stale_where_what_it_shows_of_what_was_asked_for_is() {
    for (seconds, features, is_stale) in
        [(10, ["score", "gap"], false), (600, ["score", "gap"], true), (600, ["other", "gap"], false)]
    {
        let mut world = world(|_| {});
        world.scripted.push_back((200, one_row("1", &[("score", "7")])));
        world.feast(&request(&["score"], [1]));
        world.pass_seconds(seconds);
        world.scripted.push_back((200, one_row("1", &[("other", "5")])));
        world.feast(&request(&["other"], [1]));
        world.origin = Origin::IsDown;
        let answer = world.feast(&request(&features, [1]));
        assert_eq!((answer.status, answer.statuses("gap")), (200, vec!["INVALID".to_owned()]));
        let status = &answer.headers["cache-status"];
        assert_eq!(status.contains("detail=stale"), is_stale, "{features:?} after {seconds} s: {status}");
    }
}
