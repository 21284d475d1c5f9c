//! Several isolates with clocks of their own, over shared stores and one ledger: a write through any of them is seen by all,
//! at once or within the bound, and no trouble with the ledger is a request's trouble.

use featheredge::config::{Config, View};

use crate::chaos::Chance;
use crate::world::{FORWARDED, Origin, World};

/// A world with L2, L3 and a ledger 5 ms away, where writes are to be seen within so many milliseconds.
fn world(bound_millis: u64, change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::with_http_origin(|config| {
        let view = View { join_keys: vec!["id".to_owned()], sources: Some(Vec::new()), ..View::default() };
        config.views.insert("v".to_owned(), view);
        config.freshness.early_refresh_percent = 0;
        config.l3.enabled = true;
        config.l3.shards = 2;
        config.writes.visible_within_ms = bound_millis;
        change(config);
    });
    world.origin = Origin::Tells;
    world.ledger.millis = 5;
    world
}

fn ask(id: u64) -> String {
    format!(r#"{{"features":["v:x"],"entities":{{"id":[{id}]}}}}"#)
}

fn read(world: &mut World, isolate: usize, id: u64) -> String {
    world.go_to(isolate);
    let answer = world.feast(&ask(id));
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.column("x").remove(0)
}

/// A write of one row; whether the ledger had it before it was acknowledged.
fn write(world: &mut World, isolate: usize, id: u64) -> bool {
    world.go_to(isolate);
    let body = format!(r#"{{"feature_view_name":"v","df":{{"id":[{id}]}}}}"#);
    let answer = world.call("POST", "/write-to-online-store", body.as_bytes());
    assert_eq!(answer.status, FORWARDED);
    !answer.headers.contains_key("cache-status")
}

#[test]
fn a_write_through_one_isolate_is_seen_by_all_others_at_once() {
    let mut world = world(0, |_| {});
    let others: Vec<usize> = [0, -7_000, 7_000].into_iter().map(|skew| world.add_isolate(skew)).collect();
    let before: Vec<String> = [0].iter().chain(&others).map(|&isolate| read(&mut world, isolate, 1)).collect();
    assert!(before.iter().all(|value| *value == before[0]), "they share the stores");
    let unwritten = read(&mut world, 0, 2);
    world.run_for(50);
    assert!(write(&mut world, 0, 1));
    for isolate in others {
        assert_ne!(read(&mut world, isolate, 1), before[0], "isolate {isolate}");
        assert_eq!(read(&mut world, isolate, 2), unwritten, "isolate {isolate}");
    }
}

#[test]
fn an_operators_word_reaches_all_isolates_too() {
    let mut world = world(0, |_| {});
    let other = world.add_isolate(0);
    for body in [r#"{"view":"v","entities":{"id":[1]}}"#, r#"{"view":"v"}"#, r#"{"everything":true}"#] {
        let before = read(&mut world, other, 1);
        world.run_for(100);
        world.go_to(0);
        assert_eq!(world.call("POST", "/v1/invalidate", body.as_bytes()).status, 200);
        assert_ne!(read(&mut world, other, 1), before, "{body}");
    }
}

#[test]
fn with_a_bound_it_is_seen_when_the_bound_is_over() {
    let mut world = world(1_000, |_| {});
    let other = world.add_isolate(0);
    let before = read(&mut world, other, 1);
    world.run_for(50);
    write(&mut world, 0, 1);
    assert_eq!(read(&mut world, other, 1), before, "it has asked the ledger a moment ago");
    world.run_for(1_000);
    assert_ne!(read(&mut world, other, 1), before);
}

#[test]
fn an_isolate_that_begins_after_a_write_does_not_read_older_rows_from_the_stores() {
    let mut world = world(1_000, |_| {});
    let before = read(&mut world, 0, 1);
    world.run_for(2_000);
    write(&mut world, 0, 1);
    assert!(!world.store.is_empty() && !world.l3.is_empty());
    let new = world.add_isolate(3_000);
    assert_ne!(read(&mut world, new, 1), before);
}

#[test]
fn what_the_ledger_had_to_drop_makes_everything_older_invisible() {
    let mut world = world(1_000, |_| {});
    let before = [read(&mut world, 0, 1), read(&mut world, 0, 2)];
    world.run_for(2_000);
    write(&mut world, 0, 1);
    world.ledger.drop_up_to(2);
    let new = world.add_isolate(0);
    for (id, before) in [1, 2].into_iter().zip(before) {
        assert_ne!(read(&mut world, new, id), before);
    }
}

#[test]
fn another_ledger_than_before_makes_everything_older_invisible() {
    let mut world = world(0, |_| {});
    write(&mut world, 0, 3);
    let before = read(&mut world, 0, 1);
    world.run_for(50);
    world.ledger.replace(world.now);
    world.run_for(5);
    assert_ne!(read(&mut world, 0, 1), before);
}

#[test]
fn under_steady_traffic_nobody_waits_for_the_ledger() {
    let mut world = world(1_000, |_| {});
    read(&mut world, 0, 1);
    let calls = world.ledger.calls;
    for _ in 0..100 {
        world.run_for(100);
        assert!(world.feast(&ask(1)).is_immediate);
    }
    let calls = world.ledger.calls - calls;
    assert!((10..=20).contains(&calls), "{calls} calls in 10 s");
}

#[test]
fn readers_who_come_at_one_time_share_a_call() {
    for bound in [0, 1_000] {
        let mut world = world(bound, |_| {});
        read(&mut world, 0, 1);
        world.run_for(5_000);
        let calls = world.ledger.calls;
        for _ in 0..50 {
            world.start_feast(&ask(1));
        }
        world.run();
        // With no bound, whoever came while the first one's call was on its way needs a later one.
        let expected = if bound == 0 { 2 } else { 1 };
        assert_eq!(world.ledger.calls - calls, expected, "with a bound of {bound} ms");
    }
}

#[test]
fn with_the_ledger_down_everything_is_served_and_writes_are_told_later() {
    let mut world = world(0, |_| {});
    let other = world.add_isolate(0);
    let before = read(&mut world, other, 1);
    world.run_for(50);
    world.ledger.is_down = true;
    assert!(!write(&mut world, 0, 1), "the caller is told that not all have heard of it");
    assert_ne!(read(&mut world, 0, 1), before, "the same isolate sees it at once");
    assert_eq!(read(&mut world, other, 1), before);
    let counts = world.service.ledger_counts().unwrap();
    assert_eq!((counts.unsure, counts.untold), (1, 0));
    world.ledger.is_down = false;
    // It is tried again behind the answer, without another request.
    world.run_for(20_000);
    assert_eq!(world.ledger.marks.len(), 1);
    assert_ne!(read(&mut world, other, 1), before);
}

#[test]
fn a_ledger_that_stays_down_is_left_alone() {
    let mut world = world(0, |_| {});
    world.ledger.is_down = true;
    for _ in 0..50 {
        read(&mut world, 0, 1);
    }
    assert!(world.ledger.calls <= 5, "{} calls", world.ledger.calls);
    assert_eq!(world.service.ledger_counts().unwrap().unsure, 50);
}

#[test]
fn no_request_waits_for_a_slow_ledger_past_half_of_its_deadline() {
    let mut world = world(0, |_| {});
    world.ledger.millis = 400;
    for (deadline, most) in [(100, 61), (2_000, 511)] {
        world.run_for(10_000);
        let body = format!(r#"{{"entities":{{"id":[1]}},"feature_names":["v:x"],"deadline_ms":{deadline}}}"#);
        let request = world.start_native(&body);
        world.run();
        let took = world.requests[request].ended - world.requests[request].began;
        assert!(world.answer(request).status == 200 && took <= most, "{took} ms of {deadline}");
    }
}

#[test]
fn a_clock_that_is_ahead_makes_no_value_look_newer_than_a_write() {
    let mut world = world(0, |_| {});
    let ahead = world.add_isolate(60_000);
    let before = read(&mut world, ahead, 1);
    assert_eq!(read(&mut world, 0, 1), before);
    world.run_for(1_000);
    write(&mut world, 0, 1);
    for isolate in [0, ahead] {
        assert_ne!(read(&mut world, isolate, 1), before);
    }
    // Nor older than it is: what was fetched since the write stays.
    world.run_for(1_000);
    let since = read(&mut world, ahead, 1);
    world.run_for(1_000);
    assert_eq!(read(&mut world, 0, 1), since);
}

/// One history of reads and writes through isolates whose clocks differ. How many reads were held to a write.
fn run(seed: u64) -> usize {
    let mut chance = Chance(seed);
    let bound = *chance.pick(&[0, 20, 500]);
    let (has_l2, max_entries) = (chance.happens(50), *chance.pick(&[2, 1_000]));
    let mut world = world(bound, |config| {
        config.l2.enabled = has_l2;
        config.l1.max_entries = max_entries;
    });
    world.ledger.millis = chance.below(30);
    world.origin_millis = 1 + chance.below(30);
    world.store_millis = chance.below(8);
    let mut isolates = vec![0];
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        if isolates.len() < 4 && chance.happens(10) {
            let skew = chance.below(4_000) as i64 - 2_000;
            isolates.push(world.add_isolate(skew));
        }
        world.go_to(*chance.pick(&isolates));
        let id = chance.below(3);
        if chance.happens(30) {
            let body = format!(r#"{{"feature_view_name":"v","df":{{"id":[{id}]}}}}"#);
            writes.push((world.start("POST", "/write-to-online-store", body.as_bytes()), id));
        } else {
            reads.push((world.start_feast(&ask(id)), id));
        }
        if chance.happens(20) {
            let late = chance.below(40);
            world.ledger.late.push_back(late);
        }
        if chance.happens(70) {
            world.run_for(chance.below(*chance.clone().pick(&[10, 60, 700])));
        }
    }
    world.run();
    for &isolate in &isolates {
        world.go_to(isolate);
        let counts = world.service.ledger_counts().unwrap();
        assert_eq!((counts.unsure, counts.untold, counts.errors), (0, 0, 0));
    }
    let mut held = 0;
    for (read, id) in reads {
        let value = world.answer(read).column("x").remove(0);
        let computed: u64 = value.trim_matches('"').rsplit_once('/').unwrap().1.parse().unwrap();
        for &(write, _) in writes.iter().filter(|(_, written)| *written == id) {
            let (read, write) = (&world.requests[read], &world.requests[write]);
            if write.ended + bound <= read.began {
                held += 1;
                assert!(
                    computed >= write.written,
                    "{value} was read {} ms after a write that took place {} ms after it",
                    read.began - write.ended,
                    write.written - computed
                );
            }
        }
    }
    held
}

#[test]
fn no_history_of_isolates_shows_a_value_from_before_a_write_past_the_bound() {
    let seed = std::env::var("HISTORY").ok().and_then(|text| text.parse().ok());
    let held: usize = seed
        .map_or(0..400, |seed: u64| seed..seed + 1)
        .map(|seed| {
            let outcome = std::panic::catch_unwind(|| run(seed));
            outcome.unwrap_or_else(|cause| {
                eprintln!(
                    "history {seed} broke a promise; `HISTORY={seed} cargo test --test simulation isolates` replays it"
                );
                std::panic::resume_unwind(cause)
            })
        })
        .sum();
    assert!(held > 1_000, "{held} reads were held to a write");
}

#[test]
fn a_request_that_follows_anothers_call_of_the_ledger_waits_no_longer_for_it_than_its_time() {
    let mut world = world(0, |_| {});
    world.ledger.millis = 5_000;
    world.timers_early = 1;
    let first = world.start_feast(&ask(1));
    world.run_for(1);
    let hurried = world.start_native(r#"{"entities":{"id":[2]},"feature_names":["v:x"],"deadline_ms":100}"#);
    // Were its timer taken for nothing since it goes off early, no order of it would be left.
    world.run();
    assert!([first, hurried].iter().all(|&request| world.answer(request).status == 200));
    let took = world.requests[hurried].ended - world.requests[hurried].began;
    assert!(took <= 100, "{took} ms");
}

#[test]
fn a_write_ends_though_the_clock_jumps_while_the_ledger_is_told() {
    let mut world = world(0, |_| {});
    world.ledger.millis = 100;
    let write = world.start("POST", "/write-to-online-store", br#"{"feature_view_name":"v","df":{"id":[1]}}"#);
    world.run_for(50);
    assert!(world.requests[write].answer.is_none(), "the ledger is being told");
    world.pass_seconds(20);
    let read = world.start_feast(&ask(1));
    world.run();
    let answer = world.answer(write);
    assert_eq!(answer.status, FORWARDED);
    assert!(answer.headers.contains_key("cache-status"), "others may see it late");
    assert_eq!(world.answer(read).status, 200);
}
