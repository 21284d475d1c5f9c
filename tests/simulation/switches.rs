//! Each mechanism beside itself switched off: what it is there for happens with it, and does not without.

use config::Config;

use crate::world::{FORWARDED, Origin, World, one_row, request};

/// That `shows` holds by default, and does not once `switch_off` has changed the configuration.
#[track_caller]
fn assert_switch(prepare: fn(&mut Config), switch_off: fn(&mut Config), shows: fn(World) -> bool) {
    assert!(shows(World::with_http_origin(prepare)), "switched on, it does not do what it is for");
    let off = World::with_http_origin(|config| {
        prepare(config);
        switch_off(config);
    });
    assert!(!shows(off), "switched off, it does it all the same");
}

const AS_IT_IS: fn(&mut Config) = |_| {};

/// Without the chances by which rows are due early.
const PUNCTUAL: fn(&mut Config) = |config| {
    config.freshness.ttl_jitter_percent = 0;
    config.freshness.early_refresh_percent = 0;
};

fn native(id: u64, priority: &str, deadline_millis: u64) -> String {
    format!(
        r#"{{"entity_ids":[{id}],"feature_names":["score"],"priority":"{priority}","deadline_ms":{deadline_millis}}}"#
    )
}

/// How long a request takes, in milliseconds.
fn took(world: &mut World, body: &str) -> u64 {
    let request = world.start_native(body);
    world.run();
    world.requests[request].ended - world.requests[request].began
}

/// How many of 100 rows that were fetched together are fetched again when so many seconds have passed.
fn fetched_again(mut world: World, seconds: u64) -> usize {
    let body = request(&["score"], 0..100);
    world.feast(&body);
    world.pass_seconds(seconds);
    world.reset_counts();
    world.feast(&body);
    world.origin_calls.iter().map(|call| call.matches(',').count()).sum()
}

#[test]
fn routing() {
    assert_switch(
        AS_IT_IS,
        |config| config.routing.enabled = false,
        |mut world| {
            world.native(&native(1, "high", 1_000)).json()["metadata"]["serving_strategy"] == "real_time_serving"
        },
    );
}

#[test]
fn streaming() {
    assert_switch(
        AS_IT_IS,
        |config| config.routing.streaming = false,
        |mut world| {
            let request = world.start_lines(&native(1, "normal", 1_000));
            world.run();
            let answer = world.answer(request);
            assert_eq!(answer.status, 200);
            answer.headers["content-type"] == "application/x-ndjson"
        },
    );
}

#[test]
fn the_soft_deadline() {
    assert_switch(
        PUNCTUAL,
        |config| config.deadlines.soft_percent = 100,
        |mut world| {
            world.native(&native(1, "normal", 1_000));
            world.pass_seconds(1_000);
            world.origin_millis = 3_000;
            took(&mut world, &native(1, "normal", 1_000)) < 1_000
        },
    );
}

#[test]
fn hedging() {
    assert_switch(
        AS_IT_IS,
        |config| config.deadlines.hedging = false,
        |mut world| {
            world.store_millis = 2;
            for id in 0..50 {
                world.native(&native(id, "high", 100));
            }
            world.store_millis = 45;
            took(&mut world, &native(1_000, "high", 100)) < 45
        },
    );
}

#[test]
fn adaptive_timeouts() {
    assert_switch(
        AS_IT_IS,
        |config| config.deadlines.adaptive_timeouts = false,
        |mut world| {
            world.store_millis = 2;
            for id in 0..100 {
                world.native(&native(id, "normal", 5_000));
            }
            world.store_millis = 450;
            took(&mut world, &native(1_000, "normal", 5_000)) < 100
        },
    );
}

#[test]
fn adaptive_timeouts_of_the_origin() {
    assert_switch(
        AS_IT_IS,
        |config| config.deadlines.adaptive_timeouts = false,
        |mut world| {
            for id in 0..100 {
                world.native(&native(id, "normal", 5_000));
            }
            world.origin_millis = 4_000;
            took(&mut world, &native(1_000, "normal", 5_000)) < 3_000
        },
    );
}

#[test]
fn singleflight() {
    assert_switch(
        AS_IT_IS,
        |config| config.singleflight.enabled = false,
        |mut world| {
            for _ in 0..20 {
                world.start_feast(&request(&["score"], [1]));
            }
            world.run();
            world.origin_calls.len() == 1
        },
    );
}

#[test]
fn the_circuit_breaker() {
    assert_switch(
        AS_IT_IS,
        |config| config.breaker.enabled = false,
        |mut world| {
            world.origin = Origin::IsDown;
            for id in 0..50 {
                world.feast(&request(&["score"], [id]));
            }
            world.origin_calls.len() < 25
        },
    );
}

#[test]
fn load_shedding() {
    let limit = |config: &mut Config| config.load.max_pending_requests = 10;
    assert_switch(
        limit,
        |config| config.load.max_pending_requests = 1_000_000,
        |mut world| {
            let requests: Vec<usize> = (0..50).map(|id| world.start_native(&native(id, "low", 5_000))).collect();
            world.run();
            requests.iter().any(|&request| world.answer(request).status == 429)
        },
    );
}

#[test]
fn adaptive_concurrency() {
    assert_switch(
        |config| config.deadlines.adaptive_timeouts = false,
        |config| config.load.adaptive_concurrency = false,
        |mut world| {
            for id in 0..200 {
                world.feast(&request(&["score"], [id]));
            }
            // Ten times as slow as it was alone: what it gets waits in its own queue.
            world.origin_millis = 100;
            for id in 1_000..2_000 {
                world.start_feast(&request(&["score"], [id]));
            }
            world.run_for(2_000);
            world.most_calls = 0;
            for id in 2_000..2_100 {
                world.start_feast(&request(&["score"], [id]));
            }
            world.run();
            world.most_calls < 32
        },
    );
}

#[test]
fn jitter_of_the_time_to_live() {
    let without_chance = |config: &mut Config| config.freshness.early_refresh_percent = 0;
    assert_switch(
        without_chance,
        |config| config.freshness.ttl_jitter_percent = 0,
        |world| (10..90).contains(&fetched_again(world, 285)),
    );
}

#[test]
fn early_refresh() {
    let eager = |config: &mut Config| {
        config.freshness.ttl_jitter_percent = 0;
        config.freshness.early_refresh_percent = 1_000;
        config.deadlines.default_ms = 10_000;
    };
    assert_switch(
        eager,
        |config| config.freshness.early_refresh_percent = 0,
        |mut world| {
            world.origin_millis = 1_000;
            let body = |id: u64| request(&["score"], [id]);
            (0..50).for_each(|id| drop(world.feast(&body(id))));
            world.pass_seconds(245);
            world.reset_counts();
            (0..50).for_each(|id| drop(world.feast(&body(id))));
            !world.origin_calls.is_empty()
        },
    );
}

#[test]
fn revalidation_in_the_background() {
    assert_switch(
        PUNCTUAL,
        |config| config.freshness.stale_while_revalidate_seconds = 0,
        |mut world| {
            world.feast(&request(&["score"], [1]));
            world.pass_seconds(330);
            world.feast(&request(&["score"], [1])).is_immediate
        },
    );
}

#[test]
fn stale_if_error_where_the_origin_is_down() {
    assert_switch(
        PUNCTUAL,
        |config| config.freshness.stale_if_error_seconds = 0,
        |mut world| {
            world.feast(&request(&["score"], [1]));
            world.pass_seconds(1_000);
            world.origin = Origin::IsDown;
            world.feast(&request(&["score"], [1])).status == 200
        },
    );
}

#[test]
fn negative_caching() {
    assert_switch(
        PUNCTUAL,
        |config| config.freshness.negative_ttl_seconds = 0,
        |mut world| {
            world.origin = Origin::Answers(
                200,
                one_row("1", &[("score", "null")])
                    .replace(r#"[null],"statuses":["PRESENT"]"#, r#"[null],"statuses":["NOT_FOUND"]"#),
            );
            world.feast(&request(&["score"], [1]));
            world.pass_seconds(20);
            world.feast(&request(&["score"], [1])).is_immediate
        },
    );
}

#[test]
fn the_greatest_age_of_events() {
    let hour = |config: &mut Config| config.freshness.max_event_age_seconds = Some(3_600);
    assert_switch(
        hour,
        |config| config.freshness.max_event_age_seconds = None,
        |mut world| {
            // Its event is of some hours ago.
            world.scripted.push_back((200, one_row("1", &[("score", "5")]).replace("2026-11-23T08", "2026-11-22T08")));
            let answer = world.feast(&request(&["score"], [1]));
            (answer.column("score"), answer.statuses("score"))
                == (vec!["null".to_owned()], vec!["OUTSIDE_MAX_AGE".to_owned()])
        },
    );
}

#[test]
fn the_distributed_store() {
    assert_switch(
        AS_IT_IS,
        |config| config.l2.enabled = false,
        |mut world| {
            world.feast(&request(&["score"], [1]));
            world.restart();
            world.reset_counts();
            world.feast(&request(&["score"], [1]));
            world.origin_calls.is_empty()
        },
    );
}

#[test]
fn the_storage_tier() {
    assert_switch(
        |config| (config.l2.enabled, config.l3.enabled) = (false, true),
        |config| config.l3.enabled = false,
        |mut world| {
            world.feast(&request(&["score"], [1]));
            world.restart();
            world.reset_counts();
            world.feast(&request(&["score"], [1]));
            world.origin_calls.is_empty()
        },
    );
}

/// Whether a write is seen by another isolate, after so many milliseconds.
fn is_seen_elsewhere(mut world: World, millis: u64) -> bool {
    world.origin = Origin::Labels;
    let other = world.add_isolate(0);
    world.switch_to(other);
    let before = world.feast(&request(&["score"], [1])).text;
    world.run_for(10);
    world.switch_to(0);
    world.call("POST", "/push", b"of which nothing is known");
    world.run_for(millis);
    world.switch_to(other);
    world.feast(&request(&["score"], [1])).text != before
}

#[test]
fn the_invalidation_log() {
    assert_switch(
        |config| (config.l3.enabled, config.writes.visible_within_ms) = (true, 0),
        |config| config.writes.invalidation_log = false,
        |world| is_seen_elsewhere(world, 0),
    );
}

#[test]
fn the_bound_within_which_writes_are_seen() {
    assert_switch(
        |config| (config.l3.enabled, config.writes.visible_within_ms) = (true, 100),
        |config| config.writes.visible_within_ms = 10_000,
        |world| is_seen_elsewhere(world, 101),
    );
}

#[test]
fn the_interval_between_two_writes_of_a_key() {
    assert_switch(
        AS_IT_IS,
        |config| config.l2.write_interval_ms = 0,
        |mut world| {
            for feature in ["a", "b", "c"] {
                world.feast(&request(&[feature], [1]));
            }
            let at_once = world.writes.len();
            world.run_for(2_000);
            (at_once, world.writes.len()) == (1, 2)
        },
    );
}

#[test]
fn the_daily_budget_of_writes() {
    let budget = |config: &mut Config| config.l2.max_writes_per_day = Some(5);
    assert_switch(
        budget,
        |config| config.l2.max_writes_per_day = None,
        |mut world| {
            (0..10).for_each(|id| drop(world.feast(&request(&["score"], [id]))));
            let today = world.store.len();
            world.pass_seconds(24 * 3_600);
            (10..20).for_each(|id| drop(world.feast(&request(&["score"], [id]))));
            (today, world.store.len()) == (5, 10)
        },
    );
}

#[test]
fn known_join_keys() {
    let known = |config: &mut Config| {
        for view in ["stats", "trips"] {
            let view =
                (view.to_owned(), config::View { join_keys: vec!["driver_id".to_owned()], ..Default::default() });
            config.views.extend([view]);
        }
    };
    assert_switch(
        known,
        |config| config.views.clear(),
        |mut world| {
            world.feast(&request(&["score"], [1]));
            let both = r#"{"features":["stats:score","trips:count"],"entities":{"driver_id":[1]}}"#;
            let answer = world.feast(both);
            assert_ne!(answer.status, FORWARDED);
            world.origin_calls[1].contains(r#"["trips:count"]"#)
        },
    );
}
