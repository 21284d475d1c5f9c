//! Memory: what waits and what is kept has a bound in bytes, and what memory answers is served all the same.

use config::Config;

use crate::world::{Origin, World, request};

const MIB: usize = 1 << 20;

/// A world in which little may wait.
fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::with_http_origin(|config| {
        config.memory.pending_bytes = 4 * MIB;
        config.freshness.early_refresh_percent = 0;
        change(config);
    });
    world.origin = Origin::Labels;
    world
}

fn native(ids: core::ops::Range<u64>, priority: &str) -> String {
    serde_json::json!({
        "entities": {"driver_id": ids.collect::<Vec<_>>()}, "feature_names": ["stats:x"], "priority": priority,
    })
    .to_string()
}

fn waiting(world: &World) -> usize {
    let bytes = world.service.memory().pending.used;
    assert!(bytes <= 4 * MIB, "{bytes} bytes wait");
    bytes
}

#[test]
fn who_finds_no_memory_to_wait_in_is_refused_the_least_urgent_first_and_what_memory_has_is_served() {
    let mut world = world(|_| {});
    world.feast(&request(&["x"], 0..1_000));
    world.origin_millis = 1_000;
    let mut under_way = Vec::new();
    let mut refused_at = Vec::new();
    for priority in ["low", "normal", "high", "critical"] {
        for round in 0..100_u64 {
            let first = 100_000 + under_way.len() as u64 * 1_000 + round;
            let request = world.start_native(&native(first..first + 1_000, priority));
            match &world.requests[request].answer {
                Some(answer) => {
                    assert_eq!(answer.status, if priority == "low" { 429 } else { 503 }, "{}", answer.text);
                    assert_eq!(answer.headers["retry-after"], "1");
                    break;
                }
                None => under_way.push(request),
            }
        }
        refused_at.push(waiting(&world));
    }
    assert!(refused_at.is_sorted() && refused_at[0] > MIB && refused_at[3] > 3 * MIB, "{refused_at:?}");
    assert!(refused_at[0] <= 2 * MIB && refused_at[1] <= 4 * MIB * 80 / 100 + 1, "{refused_at:?}");
    assert_eq!(world.service.memory().pending.evicted, 4);
    assert!(world.native(&native(0..1_000, "low")).is_immediate, "what memory has is never refused");
    world.run();
    for request in under_way {
        assert_eq!(world.answer(request).status, 200);
    }
    // What was put off is written.
    world.run_for(2_000);
    assert_eq!((waiting(&world), world.service.engine().sessions()), (0, 0), "all is given back");
}

#[test]
fn readers_of_streams_who_do_not_read_do_not_fill_the_memory() {
    let mut world = world(|config| config.l1.max_bytes = MIB);
    world.reader_millis = None;
    let mut statuses = std::collections::BTreeMap::new();
    let mut asked = Vec::new();
    for round in 0..60 {
        asked.push(world.start_lines(&native(round * 5_000..round * 5_000 + 5_000, "normal")));
        world.run_for(30);
        waiting(&world);
    }
    world.run();
    for request in asked {
        *statuses.entry(world.answer(request).status).or_insert(0) += 1;
    }
    assert!(statuses[&503] > 40 && statuses[&200] >= 1, "{statuses:?}");
    assert_eq!(waiting(&world), 0);
}

#[test]
fn evicted_rows_count_where_they_are_still_in_use() {
    let mut world = world(|config| config.l1.max_bytes = 3 * MIB / 2);
    // Rows that L1 has, and one that it lacks: the request holds them while it waits.
    world.feast(&request(&["x"], 0..6_000));
    world.origin_millis = 4_000;
    world.start_feast(&request(&["x"], 0..6_001));
    world.run_for(1);
    let shared = waiting(&world);
    world.origin_millis = 1;
    for round in 1..9 {
        world.start_feast(&request(&["x"], round * 10_000..round * 10_000 + 1_000));
        world.run_for(20);
    }
    world.start_feast(&request(&["x"], 90_000..90_001));
    assert!(waiting(&world) > shared + 400_000, "{} after {shared}", waiting(&world));
    world.run();
    assert_eq!(waiting(&world), 0);
}

#[test]
fn ever_new_shapes_take_no_more_memory_for_plans_than_their_share() {
    let mut world = world(|config| config.memory.plan_bytes = MIB);
    for round in 0..400 {
        let features: Vec<String> = (0..200).map(|feature| format!("f{round}_{feature}{}", "n".repeat(100))).collect();
        let features: Vec<&str> = features.iter().map(String::as_str).collect();
        assert_eq!(world.feast(&request(&features, [round])).status, 200);
        let plans = world.service.memory().plans;
        assert!(plans.used <= plans.allowed && plans.allowed == MIB, "{plans:?}");
    }
    assert!(world.service.memory().plans.evicted > 300);
    assert!(world.service.memory().rows.used <= world.service.config().l1.max_bytes);
}

#[test]
fn a_row_that_is_asked_for_ever_other_features_keeps_the_latest() {
    let mut world = world(|config| config.limits.features = 50);
    for round in 0..300 {
        let names: Vec<String> = (0..5).map(|feature| format!("f{round}_{feature}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        world.feast(&request(&names, [1]));
        assert!(world.feast(&request(&names, [1])).is_immediate);
        world.now += 10;
    }
    assert_eq!(world.service.engine().memory().len(), 1);
    assert!(world.service.memory().rows.used < 40_000, "{:?}", world.service.memory().rows);
    assert!(world.store.values().map(Vec::len).max() < Some(20_000), "nor does the store collect them");
}

#[test]
fn each_share_of_memory_is_reported_with_its_bound() {
    let mut world = world(|_| {});
    world.feast(&request(&["x"], 0..100));
    let told: serde_json::Value = serde_json::from_str(&world.report("/v1/stats")).unwrap();
    let memory = world.service.memory();
    for (name, share) in
        [("all", memory.all), ("rows", memory.rows), ("plans", memory.plans), ("pending", memory.pending)]
    {
        assert_eq!(told["memory"][name]["max_bytes"], share.allowed, "{told}");
        assert!(share.used <= share.allowed);
    }
    assert!(told["memory"]["rows"]["bytes"].as_u64() > Some(10_000), "{told}");
    let told = world.report("/metrics");
    for line in
        ["featheredge_memory_max_bytes{share=\"all\"} 100663296", "featheredge_memory_bytes{share=\"pending\"} 0"]
    {
        assert!(told.contains(line), "no {line} in {told}");
    }
}
