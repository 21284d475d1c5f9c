//! Writes to a store: they fail apart from reads, and are begun no faster than the store takes them.

use config::Config;
use engine::WriteOutcome;
use engine::breaker::BreakerState;
use model::time::Timestamp;

use crate::world::{Origin, World, request};

fn pending_bytes(world: &World) -> usize {
    world.service.engine().stores()[0].pending_bytes()
}

/// A world whose origin never says the same again.
fn changing(change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::with_http_origin(change);
    world.origin = Origin::Labels;
    world
}

/// Refetches one row, whatever is known of it.
fn fetch(world: &mut World, id: u64) -> usize {
    let body = serde_json::json!({"entity_ids": [id], "feature_names": ["score"], "consistency_level": "strong"});
    world.start_native(&body.to_string())
}

/// Begins a request for rows that nobody has, whose batch takes so long to write; until that is under way.
fn begin_batch(world: &mut World, ids: core::ops::Range<u64>, millis: u64) -> usize {
    let request = world.start_feast(&request(&["score"], ids));
    world.run_for(5);
    world.store_millis = millis;
    world.run_for(6);
    world.store_millis = 0;
    request
}

#[test]
fn a_store_that_refuses_writes_is_read_on() {
    let mut world = World::new();
    world.feast(&request(&["score"], 0..10));
    world.is_store_full = true;
    for id in 100..140 {
        world.feast(&request(&["score"], [id]));
    }
    let store = &world.service.engine().stores()[0];
    assert_eq!((store.breaker().state(), store.write_breaker().state()), (BreakerState::Closed, BreakerState::Open));
    world.restart();
    world.reset_counts();
    world.feast(&request(&["score"], 0..10));
    assert_eq!((world.origin_calls.len(), world.reads.len()), (0, 1), "what it has is read");
}

#[test]
fn a_key_that_is_written_too_often_says_nothing_of_the_store() {
    let mut world = World::new();
    world.refusals.extend([WriteOutcome { rate_limited: 1, ..WriteOutcome::failed(1) }; 40]);
    for id in 0..41 {
        world.feast(&request(&["score"], [id]));
    }
    let store = &world.service.engine().stores()[0];
    assert_eq!(store.write_breaker().state(), BreakerState::Closed);
    assert_eq!((store.counts().errors, store.counts().rate_limited, world.store.len()), (40, 40, 1));
}

#[test]
fn a_spent_quota_pauses_writes_until_it_resets_and_reads_continue() {
    let mut world = World::with(|config| config.l1.max_entries = 20);
    world.feast(&request(&["score"], 0..10));
    let resets_at = world.now + 3_600_000;
    let spent = WriteOutcome { quota_resets_at: Some(Timestamp(resets_at)), ..WriteOutcome::failed(1) };
    world.refusals.push_back(spent);
    world.feast(&request(&["score"], [100]));
    world.reset_counts();
    for id in 200..240 {
        world.feast(&request(&["score"], [id]));
    }
    let store = &world.service.engine().stores()[0];
    assert_eq!((world.writes.len(), store.counts().over_budget), (0, 40), "none is tried, and each is counted");
    assert_eq!(store.write_breaker().state(), BreakerState::Closed);
    world.feast(&request(&["score"], 0..10));
    assert_eq!(world.origin_calls.len(), 40, "what it has is read");
    world.run_for(resets_at - world.now - 1_000);
    world.feast(&request(&["score"], [300]));
    assert_eq!(world.writes.len(), 0);
    world.run_for(1_000);
    world.feast(&request(&["score"], [400]));
    assert_eq!(world.writes.len(), 1);
}

#[test]
fn a_quota_pauses_writes_for_a_day_at_most() {
    let mut world = World::new();
    let spent = WriteOutcome { quota_resets_at: Some(Timestamp(u64::MAX)), ..WriteOutcome::failed(1) };
    world.refusals.push_back(spent);
    world.feast(&request(&["score"], [1]));
    world.run_for(86_400_000);
    world.reset_counts();
    world.feast(&request(&["score"], [2]));
    assert_eq!(world.writes.len(), 1);
}

#[test]
fn a_request_that_may_make_no_further_call_writes_no_further_batch() {
    let mut world = World::new();
    world.refusals.push_back(WriteOutcome { is_request_spent: true, ..WriteOutcome::failed(60) });
    world.feast(&request(&["score"], 0..300));
    world.run_for(10_000);
    assert_eq!(world.writes, [100]);
    world.feast(&request(&["score"], [1_000]));
    world.run_for(10_000);
    assert_eq!(world.writes, [100, 100, 100, 1], "the next request goes on with what waits");
}

#[test]
fn writes_that_fail_are_counted_as_the_tiers_errors() {
    let mut world = World::new();
    world.is_store_full = true;
    (0..5).for_each(|id| _ = world.feast(&request(&["score"], [id])));
    let metrics = world.report("/metrics");
    let line = |name: &str| {
        let lines = metrics.lines().filter(|line| line.starts_with(name) && line.contains("l2"));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };
    assert_eq!(line("featheredge_tier_operation_errors_total"), 5.0, "{metrics}");
}

#[test]
fn a_store_is_written_one_batch_after_the_other() {
    let mut world = World::new();
    world.store_millis = 50;
    world.feast(&request(&["score"], 0..950));
    world.run_for(10_000);
    assert_eq!(world.writes.iter().sum::<usize>(), 950);
    assert!(world.writes.iter().all(|&rows| rows <= 100) && world.most_writes == 1, "{:?}", world.writes);
}

#[test]
fn many_requests_at_one_time_share_the_stores_one_batch_and_nothing_is_left() {
    let mut world = World::new();
    world.store_millis = 40;
    for first in 0..30 {
        world.start_feast(&request(&["score"], first * 50..first * 50 + 50));
    }
    world.run();
    world.run_for(30_000);
    assert_eq!((world.writes.iter().sum::<usize>(), world.most_writes), (1_500, 1));
    assert_eq!(world.service.engine().stores()[0].pending_bytes(), 0);
}

#[test]
fn a_request_writes_up_to_its_limit_and_the_rest_is_shed() {
    let mut world = World::with(|config| config.l2.max_writes_per_request = Some(500));
    world.feast(&request(&["score"], 0..950));
    world.run_for(10_000);
    let counts = world.service.engine().stores()[0].counts();
    assert_eq!((world.writes.iter().sum::<usize>(), counts.puts, counts.shed), (500, 500, 450));
    world.reset_counts();
    world.feast(&request(&["score"], 1_000..1_300));
    world.run_for(10_000);
    assert_eq!(world.writes.iter().sum::<usize>(), 300, "the next request has an allowance of its own");
}

#[test]
fn a_host_that_was_dropped_in_the_middle_of_a_batch_holds_up_writes_for_a_while_only() {
    let mut world = World::new();
    world.store_millis = 100;
    let lost = world.start_feast(&request(&["score"], 0..300));
    world.run_for(50);
    world.lose(lost);
    world.run_for(100);
    world.start_feast(&request(&["score"], 1_000..1_010));
    world.run_for(60_000);
    world.start_feast(&request(&["score"], [2_000]));
    world.run_for(60_000);
    assert_eq!(world.service.engine().stores()[0].pending_bytes(), 0, "{:?}", world.writes);
}

#[test]
fn while_a_batch_is_written_one_request_comes_back_for_all_that_waits() {
    let mut world = changing(|_| {});
    begin_batch(&mut world, 0..10, 200);
    world.reset_counts();
    for id in 100..120 {
        fetch(&mut world, id);
        world.run_for(1);
    }
    world.run_for(20);
    assert_eq!((&world.writes[..], world.returns), (&[][..], 1));
    world.run_for(1_000);
    assert_eq!((world.writes.iter().sum::<usize>(), pending_bytes(&world)), (20, 0));
}

#[test]
fn a_row_is_written_as_soon_as_its_key_has_rested() {
    let mut world = changing(|_| {});
    fetch(&mut world, 1);
    world.run_for(900);
    let first = *world.written.values().next().unwrap();
    fetch(&mut world, 1);
    world.run_for(5_000);
    assert_eq!((world.written.values().copied().collect::<Vec<_>>(), world.returns), (vec![first + 1_000], 1));
}

#[test]
fn who_comes_back_while_a_batch_is_under_way_comes_back_again_until_it_has_ended_or_is_lost() {
    let mut world = changing(|_| {});
    let lost = begin_batch(&mut world, 0..10, 100);
    world.lose(lost);
    world.start_feast(&request(&["score"], 100..110));
    world.run_for(60_000);
    assert_eq!((world.writes.iter().sum::<usize>(), pending_bytes(&world)), (20, 0));
}

#[test]
fn where_nobody_came_back_in_time_another_request_is_to() {
    let mut world = changing(|_| {});
    fetch(&mut world, 1);
    world.run_for(100);
    let lost = fetch(&mut world, 1);
    world.run_for(100);
    world.lose(lost);
    world.run_for(3_000);
    assert!(pending_bytes(&world) > 0, "nobody came");
    fetch(&mut world, 2);
    world.run_for(100);
    fetch(&mut world, 2);
    world.run_for(3_000);
    assert_eq!((world.writes.iter().sum::<usize>(), pending_bytes(&world)), (4, 0));
}

#[test]
fn no_request_writes_for_others_past_its_own_allowance_nor_comes_back_without_one() {
    let mut world = changing(|config| config.l2.max_writes_per_request = Some(10));
    begin_batch(&mut world, 0..10, 100);
    let lost = world.start_feast(&request(&["score"], 100..110));
    world.run_for(20);
    assert_eq!((world.returns, &world.writes[..]), (1, &[10][..]));
    world.lose(lost);
    world.origin = Origin::IsDown;
    // What has nothing to write leaves it to the one who is to come.
    world.start_feast(&request(&["score"], [1_000]));
    world.run_for(500);
    assert_eq!((world.returns, &world.writes[..]), (1, &[10][..]));
    world.run_for(2_000);
    world.start_feast(&request(&["score"], [1_001]));
    world.run_for(1_000);
    assert_eq!((&world.writes[..], pending_bytes(&world)), (&[10, 10][..], 0));
}

#[test]
fn who_may_write_no_more_does_not_come_back_though_nobody_else_has() {
    let mut world = changing(|config| config.l2.max_writes_per_request = Some(10));
    begin_batch(&mut world, 0..10, 2_000);
    let lost = world.start_feast(&request(&["score"], 100..110));
    world.run_for(20);
    world.lose(lost);
    world.run_for(3_000);
    assert_eq!((world.returns, &world.writes[..]), (1, &[10][..]));
}

#[test]
fn each_store_begins_its_next_batch_when_its_own_has_ended() {
    let mut world = World::with(|config| config.l3.enabled = true);
    for id in 0..3 {
        world.feast(&request(&["score"], [id]));
    }
    assert_eq!((world.store.len(), world.l3.len(), world.returns), (3, 3, 0));
}

#[test]
fn a_store_that_is_never_read_is_written_all_the_same() {
    let mut world = World::with(|config| config.l2.read_policy = config::L2ReadPolicy::Never);
    fetch(&mut world, 1);
    world.run();
    assert_eq!((&world.reads[..], &world.writes[..]), (&[][..], &[1][..]));
}

#[test]
fn work_is_linear_in_the_rows_of_a_repeated_strong_read() {
    let micros = |rows: u64| {
        let mut world = World::new();
        let body = |level: &str| {
            let ids: Vec<u64> = (0..rows).collect();
            serde_json::json!({"entities": {"id": ids}, "feature_names": ["v:a"], "consistency_level": level})
                .to_string()
        };
        world.native(&body("strong"));
        let began = std::time::Instant::now();
        for _ in 0..3 {
            world.native(&body("strong"));
        }
        began.elapsed().as_micros()
    };
    // The least of several, since the machine may be busy; eight times the rows take eight times as long, and would take
    // 64 times as long if it were quadratic.
    let least = |rows: u64| (0..3).map(|_| micros(rows)).min().unwrap();
    let (few, many) = (least(1_250), least(10_000));
    assert!(many < 24 * few, "{few} µs for 1,250 rows, {many} µs for 10,000");
}
