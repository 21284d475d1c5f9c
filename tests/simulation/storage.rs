//! The storage tier: sharded, asked after L2 and before the origin, and never the reason for a lost answer.

use config::Config;

use crate::world::{Origin, World, request};

/// A world with both stores, and whatever `change` makes of it.
fn world(change: impl FnOnce(&mut Config)) -> World {
    World::with_http_origin(|config| {
        config.l3.enabled = true;
        config.l3.shards = 4;
        change(config);
    })
}

const ALONE: fn(&mut Config) = |config| config.l2.enabled = false;

#[test]
fn a_hundred_rows_cost_one_call_of_each_shard_and_are_there_for_the_next_isolate() {
    let mut world = world(ALONE);
    let body = request(&["score", "count"], 0..100);
    let cold = world.feast(&body);
    for calls in [&world.shard_reads, &world.shard_writes] {
        let shards: Vec<u32> = calls.iter().map(|(shard, _)| *shard).collect();
        assert_eq!((shards, calls.iter().map(|(_, rows)| rows).sum()), (vec![0, 1, 2, 3], 100));
    }
    world.restart();
    world.reset_counts();
    let warm = world.feast(&body);
    assert_eq!(warm.text, cold.text);
    assert_eq!((world.origin_calls.len(), world.shard_reads.len(), world.shard_writes.len()), (0, 4, 0));
    assert_eq!(warm.headers["cache-status"], "featheredge-l3; hit, featheredge-l1; fwd=miss");
}

#[test]
fn l2_is_read_first_and_is_written_what_l3_has() {
    let mut world = world(|_| {});
    let body = request(&["score"], 0..10);
    let cold = world.feast(&body);
    world.store.clear();
    world.restart();
    world.store_millis = 3;
    world.run_for(2_000);
    world.reset_counts();
    let from_l3 = world.feast(&body);
    assert_eq!(from_l3.text, cold.text);
    assert_eq!(
        from_l3.headers["cache-status"],
        "featheredge-l3; hit, featheredge-l2; fwd=miss, featheredge-l1; fwd=miss"
    );
    assert_eq!(
        from_l3.headers["server-timing"],
        "total;dur=6;desc=hybrid_serving, l2;dur=3, l3;dur=3, network;dur=0, cache;dur=6, computation;dur=0, serialization;dur=0"
    );
    assert_eq!((&world.writes[..], world.shard_writes.len(), world.origin_calls.len()), (&[10][..], 0, 0));
    world.restart();
    world.reset_counts();
    let from_l2 = world.feast(&body);
    assert_eq!(from_l2.headers["cache-status"], "featheredge-l2; hit, featheredge-l1; fwd=miss");
    assert!(world.shard_reads.is_empty(), "nothing is asked of L3 that L2 has");
}

#[test]
fn what_several_reads_of_l2_lack_costs_one_call_of_each_shard() {
    let mut world = world(|_| {});
    world.store_millis = 3;
    world.feast(&request(&["score"], 0..300));
    assert_eq!((&world.reads[..], world.shard_reads.len()), (&[100, 100, 100][..], 4));
}

#[test]
fn a_native_answer_says_which_tier_had_each_value() {
    let mut world = world(ALONE);
    let body = r#"{"entity_ids":["a"],"feature_names":["score"],"include":["tier"]}"#;
    world.native(body);
    world.restart();
    let json = world.native(body).json();
    assert_eq!(json["features"]["a"]["score"]["tier"], "l3_storage");
    assert_eq!((&json["cache_stats"]["l3_hits"], &json["cache_stats"]["l2_misses"]), (&1.into(), &0.into()));
}

#[test]
fn a_shard_that_fails_costs_its_rows_alone() {
    let mut world = world(ALONE);
    let body = request(&["score"], 0..100);
    let cold = world.feast(&body);
    world.restart();
    world.reset_counts();
    world.broken_shards.insert(2);
    let warm = world.feast(&body);
    assert_eq!(warm.text, cold.text);
    let lost = world.shard_reads.iter().find(|(shard, _)| *shard == 2).unwrap().1;
    assert_eq!(world.origin_calls.len(), 1);
    assert_eq!(world.origin_calls[0].matches(',').count(), lost + 1, "{}", world.origin_calls[0]);
    let counts = world.service.engine().stores()[0].counts();
    // Its shard is read once more in the background, because a row is written only when its stored
    // columns are known.
    assert_eq!((counts.reads, counts.gets, counts.hits), (5, 100 + lost as u64, 100 - lost as u64));
    assert_eq!((counts.errors, counts.unmerged, world.shard_writes.len()), (2, lost as u64, 0));
}

#[test]
fn l3_as_the_only_survivor_answers_for_all() {
    let mut world = world(|_| {});
    let body = request(&["score"], 0..50);
    let cold = world.feast(&body);
    world.restart();
    world.is_store_down = true;
    world.origin = Origin::IsDown;
    let warm = world.feast(&body);
    assert_eq!((warm.status, warm.text), (200, cold.text));
}

#[test]
fn an_l3_that_lies_is_not_believed() {
    let mut world = world(ALONE);
    let body = request(&["score"], 0..20);
    let cold = world.feast(&body);
    let mut values: Vec<Vec<u8>> = world.l3.values().cloned().collect();
    values.rotate_left(1);
    values[3].truncate(20);
    values[4][30] ^= 1;
    values[5] = b"left by another program".to_vec();
    for (value, lie) in world.l3.values_mut().zip(values) {
        *value = lie;
    }
    world.restart();
    assert_eq!(world.feast(&body).text, cold.text);
    let counts = world.service.engine().stores()[0].counts();
    assert_eq!((counts.hits, counts.misses, counts.other_key, counts.damaged, counts.foreign), (0, 20, 17, 2, 1));
}

#[test]
fn a_slow_l3_is_skipped_for_the_origin() {
    let mut world = world(ALONE);
    world.store_millis = 600;
    let request = world.start_feast(&request(&["score"], [1]));
    world.run();
    let took = world.requests[request].ended - world.requests[request].began;
    assert_eq!((world.answer(request).status, took), (200, 510), "its timeout, and the origin's time");
}
