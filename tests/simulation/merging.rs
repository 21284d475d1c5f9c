//! Rows in L1 and in stores change by one rule: of each feature the later fetch stays, whatever it was fetched for.

use config::{Config, View};

use crate::random::Random;
use crate::world::{Origin, World};

fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::with_http_origin(|config| {
        let view = View { join_keys: vec!["id".to_owned()], ..View::default() };
        config.views.insert("v".to_owned(), view);
        config.freshness.early_refresh_percent = 0;
        change(config);
    });
    world.origin = Origin::Labels;
    world
}

fn body(ids: &[u64], features: &[&str], level: &str) -> String {
    let features: Vec<String> = features.iter().map(|feature| format!("v:{feature}")).collect();
    serde_json::json!({"entities": {"id": ids}, "feature_names": features, "consistency_level": level}).to_string()
}

/// When the origin computed an entity's value.
fn computed(world: &World, request: usize, id: u64, feature: &str) -> u64 {
    let answer = world.answer(request);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let text = answer.json()["features"][id.to_string()][format!("v:{feature}")].as_str().unwrap().to_owned();
    text.rsplit_once('/').unwrap().1.parse().unwrap()
}

fn read(world: &mut World, ids: &[u64], features: &[&str], level: &str) -> usize {
    let request = world.start_native(&body(ids, features, level));
    world.run();
    request
}

#[test]
fn an_older_fetch_that_completes_later_replaces_nothing_in_memory_nor_in_a_store() {
    for max_entries in [1_000, 1] {
        let mut world = world(|config| config.l1.max_entries = max_entries);
        world.origin_millis = 2_000;
        let slow = world.start_native(&body(&[1, 2], &["x"], "strong"));
        world.run_for(500);
        world.origin_millis = 10;
        let fast = world.start_native(&body(&[1], &["x"], "eventual"));
        world.run();
        let newer = computed(&world, fast, 1, "x");
        assert!(computed(&world, slow, 1, "x") < newer);
        let again = read(&mut world, &[1], &["x"], "eventual");
        assert_eq!(computed(&world, again, 1, "x"), newer, "from memory of {max_entries} rows, or the store");
        world.restart();
        let again = read(&mut world, &[1], &["x"], "eventual");
        assert_eq!(computed(&world, again, 1, "x"), newer, "from the store");
    }
}

#[test]
fn an_older_fetch_of_a_feature_service_that_completes_later_replaces_nothing() {
    let mut world = world(|config| config.l2.enabled = false);
    let body = |level: &str| {
        serde_json::json!({"entities": {"id": [1]}, "feature_service": "s", "consistency_level": level}).to_string()
    };
    let answer = |value: u64| {
        let results = serde_json::json!([
            {"values": [1], "statuses": ["PRESENT"], "event_timestamps": ["1970-01-01T00:00:00Z"]},
            {"values": [value], "statuses": ["PRESENT"], "event_timestamps": ["2026-11-23T08:00:00Z"]},
        ]);
        serde_json::json!({"results": results, "metadata": {"feature_names": ["id", "x"]}}).to_string()
    };
    world.scripted.push_back((200, answer(0)));
    world.native(&body("eventual"));
    world.origin_millis = 2_000;
    world.scripted.extend([(200, answer(1)), (200, answer(2))]);
    world.start_native(&body("strong"));
    world.run_for(500);
    world.origin_millis = 10;
    world.native(&body("strong"));
    world.run();
    let after = world.native(&body("eventual"));
    assert!(after.is_immediate);
    assert!(after.text.contains(":2}"), "{}", after.text);
}

#[test]
fn a_strong_read_of_one_feature_leaves_the_others_in_memory_and_in_the_store() {
    let mut world = world(|_| {});
    read(&mut world, &[1], &["x", "z"], "eventual");
    world.run_for(2_000);
    read(&mut world, &[1], &["y"], "strong");
    world.origin = Origin::IsDown;
    let all = body(&[1], &["x", "y", "z"], "eventual");
    assert!(world.native(&all).is_immediate);
    world.restart();
    let answer = world.native(&all);
    assert_eq!((answer.status, &answer.json()["cache_stats"]["l2_hits"]), (200, &1.into()), "{}", answer.text);
}

#[test]
fn what_a_strong_read_brings_is_in_the_store_though_the_store_has_something_fresh() {
    for is_known in [false, true] {
        let mut world = world(|_| {});
        read(&mut world, &[1], &["x"], "eventual");
        world.run_for(2_000);
        if !is_known {
            world.restart();
        }
        let strong = read(&mut world, &[1], &["x"], "strong");
        let newer = computed(&world, strong, 1, "x");
        world.run_for(2_000);
        world.restart();
        let stored = read(&mut world, &[1], &["x"], "eventual");
        assert_eq!(computed(&world, stored, 1, "x"), newer);
    }
}

#[test]
fn a_strong_read_of_an_isolate_that_has_nothing_leaves_what_others_stored() {
    let mut world = world(|_| {});
    read(&mut world, &[1], &["x", "z"], "eventual");
    world.run_for(2_000);
    world.restart();
    world.store_millis = 30;
    let strong = read(&mut world, &[1], &["y"], "strong");
    assert_eq!(world.requests[strong].ended - world.requests[strong].began, 10, "the answer waits for no store");
    world.run_for(2_000);
    world.restart();
    world.origin = Origin::IsDown;
    let answer = world.native(&body(&[1], &["x", "y", "z"], "eventual"));
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.json()["features"]["1"]["v:z"].is_string());
}

#[test]
fn a_store_of_which_cannot_be_read_what_it_holds_is_not_written() {
    let mut world = world(|_| {});
    read(&mut world, &[1], &["x"], "eventual");
    world.run_for(2_000);
    world.restart();
    world.chaos = Some(crate::chaos::Chaos {
        store_fails: 100,
        store_lies: 0,
        origin_fails: 0,
        origin_lies: 0,
        is_slow: 0,
        random: Random(1),
    });
    world.reset_counts();
    read(&mut world, &[1], &["y"], "strong");
    assert!(world.writes.is_empty(), "it would throw out what cannot be seen");
    assert_eq!(world.service.engine().stores()[0].counts().unmerged, 1);
}

#[test]
fn a_read_that_no_answer_waits_for_may_take_its_time() {
    let mut world = world(|_| {});
    for id in 0..50 {
        read(&mut world, &[id], &["x"], "eventual");
    }
    world.run_for(2_000);
    world.reset_counts();
    world.store_millis = 450;
    let urgent = body(&[1], &["y"], "strong").replace("\"entities\"", "\"deadline_ms\":100,\"entities\"");
    world.native(&urgent);
    assert_eq!((&world.reads[..], &world.writes[..]), (&[1][..], &[1][..]));
    assert_eq!(world.service.engine().stores()[0].counts().unmerged, 0);
}

#[test]
fn while_a_stores_breaker_is_open_a_row_is_not_fetched_twice_to_be_merged() {
    let mut world = world(|_| {});
    world.is_store_down = true;
    for id in 0..40 {
        read(&mut world, &[id], &["x"], "strong");
    }
    world.reset_counts();
    read(&mut world, &[100], &["x"], "strong");
    assert_eq!((world.reads.len(), world.origin_calls.len()), (0, 1));
    assert_eq!(world.service.engine().stores()[0].counts().unmerged, 41, "none is written");
}

#[test]
fn a_read_that_no_answer_waits_for_says_nothing_of_how_a_store_serves() {
    let mut world = world(|_| {});
    world.store_millis = 400;
    for id in 0..30 {
        read(&mut world, &[id], &["x"], "strong");
    }
    let store = &world.service.engine().stores()[0];
    assert_eq!((store.latency().quantile(500), store.counts().misses, store.counts().reads), (None, 0, 30));
}

#[test]
fn what_the_origin_calls_invalid_reaches_the_caller_and_replaces_nothing() {
    let mut world = world(|_| {});
    let good = read(&mut world, &[1], &["x"], "eventual");
    let computed_at = computed(&world, good, 1, "x");
    let time = "1970-01-01T00:00:00Z";
    let invalid = serde_json::json!({
        "results": [
            {"values": [1], "statuses": ["PRESENT"], "event_timestamps": [time]},
            {"values": [null], "statuses": ["INVALID"], "event_timestamps": [time]},
        ],
        "metadata": {"feature_names": ["id", "x"]},
    });
    world.run_for(2_000);
    world.scripted.push_back((200, invalid.to_string()));
    let strong = read(&mut world, &[1], &["x"], "strong");
    assert!(world.answer(strong).json()["features"]["1"]["v:x"].is_null());
    let after = read(&mut world, &[1], &["x"], "eventual");
    assert_eq!(computed(&world, after, 1, "x"), computed_at);
    world.restart();
    let stored = read(&mut world, &[1], &["x"], "eventual");
    assert_eq!(computed(&world, stored, 1, "x"), computed_at);
}

/// One history of reads at all levels of some features of few rows, by one isolate whose origin takes ever another time.
fn run(seed: u64) {
    let mut random = Random(seed);
    let has_store = random.happens(70);
    let mut world = world(|config| {
        config.l2.enabled = has_store;
        config.freshness.ttl_seconds = 600;
        config.l1.max_entries = 1_000;
    });
    world.store_millis = random.below(20);
    let mut reads = Vec::new();
    for _ in 0..40 {
        world.origin_millis = 1 + random.below(*random.clone().pick(&[5, 50, 1_500]));
        let features: Vec<&str> = ["x", "y", "z"].into_iter().filter(|_| random.happens(50)).collect();
        let features = if features.is_empty() { vec!["x"] } else { features };
        let ids: Vec<u64> = (0..3).filter(|_| random.happens(50)).collect();
        let ids = if ids.is_empty() { vec![0] } else { ids };
        let level = *random.pick(&["eventual", "eventual", "bounded", "strong"]);
        let request = world.start_native(&body(&ids, &features, level));
        reads.push((request, ids, features));
        if random.happens(60) {
            world.run_for(random.below(*random.clone().pick(&[5, 200, 3_000])));
        }
    }
    world.run();
    // Whoever reads after another has read sees nothing older.
    for (later, ids, features) in &reads {
        for (earlier, other_ids, other_features) in &reads {
            if world.requests[*earlier].ended >= world.requests[*later].began {
                continue;
            }
            for id in ids.iter().filter(|id| other_ids.contains(id)) {
                for feature in features.iter().filter(|feature| other_features.contains(feature)) {
                    let (before, after) =
                        (computed(&world, *earlier, *id, feature), computed(&world, *later, *id, feature));
                    assert!(after >= before, "seed {seed}: {feature} of {id} went back by {} ms", before - after);
                }
            }
        }
    }
}

#[test]
fn no_read_sees_a_value_older_than_one_that_a_read_before_it_saw() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = number("HISTORY").map_or(0..number("HISTORIES").unwrap_or(1_000), |seed| seed..seed + 1);
    seeds.for_each(run);
}
