//! Bulk reads whose values are too large together: they are made again by halves, and the store is asked for fewer keys from then on.

use engine::breaker::BreakerState;

use crate::world::{World, request};

/// A world whose store has a hundred rows, of which memory holds few, and gives so many of the largest in one read.
fn with_read_bound(times: usize) -> World {
    let mut world = World::with(|config| config.l1.max_entries = 1);
    world.feast(&request(&["score"], 0..100));
    let largest = world.store.values().map(Vec::len).max().unwrap();
    world.max_read_bytes = largest * times;
    world.restart();
    world.reset_counts();
    world
}

#[test]
fn a_read_that_is_too_large_is_split_in_halves_and_no_row_is_lost() {
    let mut world = with_read_bound(60);
    world.feast(&request(&["score"], 0..100));
    assert_eq!((&world.reads[..], world.origin_calls.len()), (&[100, 50, 50][..], 0));
    let store = &world.service.engine().stores()[0];
    assert_eq!((store.counts().errors, store.counts().split_reads, store.counts().hits), (1, 1, 100));
    assert_eq!(store.breaker().state(), BreakerState::Closed);
}

#[test]
fn what_was_too_large_once_is_not_asked_for_again() {
    let mut world = with_read_bound(60);
    for _ in 0..50 {
        world.feast(&request(&["score"], 0..100));
    }
    assert_eq!(world.reads.iter().filter(|&&keys| keys > 50).count(), 1, "{:?}", world.reads);
}

#[test]
fn a_row_that_is_too_large_by_itself_is_a_miss_and_costs_no_other() {
    let mut world = with_read_bound(60);
    let huge = world.store.keys().next().cloned().unwrap();
    world.store.insert(huge, vec![0; 100_000]);
    world.feast(&request(&["score"], 0..100));
    let store = &world.service.engine().stores()[0];
    assert_eq!((store.counts().hits, world.origin_calls.len()), (99, 1));
    assert!(world.reads.len() < 20, "{:?}", world.reads);
    assert_eq!(store.breaker().state(), BreakerState::Closed);
}

#[test]
fn a_merge_read_is_split_too() {
    let mut world = World::new();
    let ask = |feature: &str| {
        let ids: Vec<u64> = (0..100).collect();
        serde_json::json!({"entity_ids": ids, "feature_names": [feature], "consistency_level": "strong"}).to_string()
    };
    world.post("/v1/features", ask("score").as_bytes());
    world.run_for(5_000);
    world.max_read_bytes = world.store.values().map(Vec::len).max().unwrap() * 60;
    world.restart();
    world.reset_counts();
    world.post("/v1/features", ask("count").as_bytes());
    world.run_for(5_000);
    let store = &world.service.engine().stores()[0];
    assert_eq!((&world.reads[..], store.counts().unmerged, store.counts().puts), (&[100, 50, 50][..], 0, 100));
}

#[test]
fn reads_of_a_shard_are_split_by_themselves() {
    let mut world = World::with(|config| {
        config.l3.enabled = true;
        config.l3.shards = 1;
        config.l2.enabled = false;
    });
    world.feast(&request(&["score"], 0..800));
    world.run_for(10_000);
    world.max_read_bytes = world.l3.values().map(Vec::len).max().unwrap() * 500;
    world.restart();
    world.reset_counts();
    world.feast(&request(&["score"], 0..800));
    let keys: Vec<usize> = world.shard_reads.iter().map(|&(_, keys)| keys).collect();
    assert_eq!((&keys[..], world.origin_calls.len()), (&[800, 400, 400][..], 0));
}
