//! Writes to a store: they fail apart from reads, and are begun no faster than the store takes them.

use engine::breaker::BreakerState;

use crate::world::{World, request};

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
fn a_request_writes_as_many_rows_as_it_may_and_the_rest_is_shed() {
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
fn work_is_linear_in_the_rows_of_a_repeated_strong_read() {
    let millis = |rows: u64| {
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
        began.elapsed().as_millis().max(1)
    };
    // The least of several, since the machine may be busy; eight times the rows would take 64 times as long if it were quadratic.
    let least = |rows: u64| (0..3).map(|_| millis(rows)).min().unwrap();
    let (few, many) = (least(1_250), least(10_000));
    assert!(many < 50 * few, "{few} ms for 1,250 rows, {many} ms for 10,000");
}
