//! Several isolates with their own clocks, over shared stores and one invalidation log: a write through
//! any of them is visible to all, at once or within the bound, and no fault of the log fails a request.

use config::{Config, View};

use crate::random::Random;
use crate::world::{FORWARDED, Origin, Request, World};

/// A world with L2, L3 and a log 5 ms away, where writes are to be seen within so many milliseconds.
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
    world.origin = Origin::Labels;
    world.log.millis = 5;
    world
}

fn ask(id: u64) -> String {
    format!(r#"{{"features":["v:x"],"entities":{{"id":[{id}]}}}}"#)
}

fn read(world: &mut World, isolate: usize, id: u64) -> String {
    world.switch_to(isolate);
    let answer = world.feast(&ask(id));
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.column("x").remove(0)
}

/// A write of one row; whether the log had it before it was acknowledged.
fn write(world: &mut World, isolate: usize, id: u64) -> bool {
    world.switch_to(isolate);
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
fn an_invalidation_request_reaches_all_isolates() {
    let mut world = world(0, |_| {});
    let other = world.add_isolate(0);
    for body in [r#"{"view":"v","entities":{"id":[1]}}"#, r#"{"view":"v"}"#, r#"{"everything":true}"#] {
        let before = read(&mut world, other, 1);
        world.run_for(100);
        world.switch_to(0);
        assert_eq!(world.call("POST", "/v1/invalidate", body.as_bytes()).status, 200);
        assert_ne!(read(&mut world, other, 1), before, "{body}");
    }
}

#[test]
fn a_background_job_invalidates_in_all_isolates_until_it_must_have_ended() {
    let mut world = world(1_000, |config| config.writes.job_seconds = 60);
    let other = world.add_isolate(7_000);
    read(&mut world, other, 1);
    world.switch_to(0);
    world.write_status = Some(202);
    let answer = world.call("POST", "/materialize", br#"{"feature_views":["v"]}"#);
    assert_eq!(answer.status, FORWARDED);
    // An isolate that begins later has it too.
    world.run_for(2_000);
    let late = world.add_isolate(0);
    for isolate in [0, other, late] {
        for pause in [1_100, 1_100] {
            let before = read(&mut world, isolate, 1);
            world.run_for(pause);
            assert_ne!(read(&mut world, isolate, 1), before, "isolate {isolate}");
        }
    }
    world.run_for(60_000);
    for isolate in [0, other, late] {
        let after = read(&mut world, isolate, 1);
        world.run_for(1_100);
        assert_eq!(read(&mut world, isolate, 1), after, "isolate {isolate}");
    }
}

#[test]
fn with_a_bound_it_is_seen_when_the_bound_is_over() {
    let mut world = world(1_000, |_| {});
    let other = world.add_isolate(0);
    let before = read(&mut world, other, 1);
    world.run_for(50);
    write(&mut world, 0, 1);
    assert_eq!(read(&mut world, other, 1), before, "its last reply is recent enough");
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
fn entries_that_the_log_dropped_early_invalidate_everything_older() {
    let mut world = world(1_000, |_| {});
    let before = [read(&mut world, 0, 1), read(&mut world, 0, 2)];
    world.run_for(2_000);
    write(&mut world, 0, 1);
    world.log.drop_up_to(2);
    let new = world.add_isolate(0);
    for (id, before) in [1, 2].into_iter().zip(before) {
        assert_ne!(read(&mut world, new, id), before);
    }
}

#[test]
fn a_replacement_log_invalidates_everything_older() {
    let mut world = world(0, |_| {});
    write(&mut world, 0, 3);
    let before = read(&mut world, 0, 1);
    world.run_for(50);
    world.log.replace(world.now);
    world.run_for(5);
    assert_ne!(read(&mut world, 0, 1), before);
}

#[test]
fn under_steady_traffic_no_request_waits_for_the_log() {
    let mut world = world(1_000, |_| {});
    read(&mut world, 0, 1);
    let calls = world.log.calls;
    for _ in 0..100 {
        world.run_for(100);
        assert!(world.feast(&ask(1)).is_immediate);
    }
    let calls = world.log.calls - calls;
    assert!((10..=20).contains(&calls), "{calls} calls in 10 s");
}

#[test]
fn concurrent_readers_share_a_call_to_the_log() {
    for bound in [0, 1_000] {
        let mut world = world(bound, |_| {});
        read(&mut world, 0, 1);
        world.run_for(5_000);
        let calls = world.log.calls;
        for _ in 0..50 {
            world.start_feast(&ask(1));
        }
        world.run();
        // Without a bound, a request that came during the first one's call needs a later call.
        let expected = if bound == 0 { 2 } else { 1 };
        assert_eq!(world.log.calls - calls, expected, "with a bound of {bound} ms");
    }
}

#[test]
fn a_reader_shares_no_call_that_was_made_longer_ago_than_the_bound() {
    let mut world = world(20, |_| {});
    let other = world.add_isolate(0);
    let before = read(&mut world, 0, 1);
    read(&mut world, other, 1);
    world.run_for(1_000);
    world.switch_to(0);
    world.log.late_back.push_back(200);
    world.start_feast(&ask(1));
    world.run_for(10);
    world.switch_to(other);
    world.start("POST", "/write-to-online-store", br#"{"feature_view_name":"v","df":{"id":[1]}}"#);
    world.run_for(50);
    world.switch_to(0);
    let reader = world.start_feast(&ask(1));
    world.run();
    assert_ne!(world.answer(reader).column("x")[0], before);
}

#[test]
fn with_the_log_down_everything_is_served_and_writes_are_appended_later() {
    let mut world = world(0, |_| {});
    let other = world.add_isolate(0);
    let before = read(&mut world, other, 1);
    world.run_for(50);
    world.log.is_down = true;
    assert!(!write(&mut world, 0, 1), "the response says that the log was unreachable");
    assert_ne!(read(&mut world, 0, 1), before, "the same isolate sees it at once");
    assert_eq!(read(&mut world, other, 1), before);
    let counts = world.service.log_counts().unwrap();
    assert_eq!((counts.unverified, counts.unacked), (1, 0));
    world.log.is_down = false;
    // It is retried in the background, without another request.
    world.run_for(20_000);
    assert_eq!(world.log.entries().len(), 1);
    assert_ne!(read(&mut world, other, 1), before);
}

#[test]
fn a_log_that_stays_down_opens_its_breaker() {
    let mut world = world(0, |_| {});
    world.log.is_down = true;
    for _ in 0..50 {
        read(&mut world, 0, 1);
    }
    assert!(world.log.calls <= 5, "{} calls", world.log.calls);
    assert_eq!(world.service.log_counts().unwrap().unverified, 50);
}

#[test]
fn no_request_waits_for_a_slow_log_past_half_of_its_deadline() {
    let mut world = world(0, |_| {});
    world.log.millis = 400;
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

/// When a value was computed.
fn computed(value: &str) -> u64 {
    value.trim_matches('"').rsplit_once('/').unwrap().1.parse().unwrap()
}

/// How often the origin was asked for a row.
fn fetches(world: &World, id: u64) -> usize {
    let asked = |body: &&String| {
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        json["entities"]["id"].as_array().unwrap().contains(&id.into())
    };
    world.origin_calls.iter().filter(asked).count()
}

/// The requests of a history.
#[derive(Default)]
struct History {
    /// Each read, its isolate and its row.
    reads: Vec<(usize, usize, u64)>,
    /// Each write, its isolate and its row; of all rows where it is `None`.
    writes: Vec<(usize, usize, Option<u64>)>,
}

impl History {
    fn read(&mut self, world: &mut World, isolate: usize, id: u64) {
        world.switch_to(isolate);
        self.reads.push((world.start_feast(&ask(id)), isolate, id));
    }

    fn write(&mut self, world: &mut World, isolate: usize, id: Option<u64>) {
        world.switch_to(isolate);
        let body = id.map_or_else(
            || r#"{"feature_view_name":"v","df":{}}"#.to_owned(),
            |id| format!(r#"{{"feature_view_name":"v","df":{{"id":[{id}]}}}}"#),
        );
        self.writes.push((world.start("POST", "/write-to-online-store", body.as_bytes()), isolate, id));
    }

    /// Holds each read to each write that it must have seen; how many pairs of them there were.
    fn check(&self, world: &World, bound: u64) -> usize {
        let mut held = 0;
        for &(read, reader, id) in &self.reads {
            for &(write, writer, written) in &self.writes {
                let (read, write) = (&world.requests[read], &world.requests[write]);
                let (Some(_), Some(end)) = (&read.answer, &write.answer) else { continue };
                let is_told = !end.headers.contains_key("cache-status");
                let is_everywhere = is_told && !read.is_unverified && write.ended + bound <= read.began;
                let is_here = reader == writer && write.ended <= read.began;
                if written.is_none_or(|written| written == id) && (is_everywhere || is_here) {
                    held += 1;
                    is_since(read, write);
                }
            }
        }
        held
    }

    /// Holds reads to every write that reached the origin, whatever became of it.
    fn check_all(&self, world: &World, reads: &[(usize, u64)]) {
        for &(read, id) in reads {
            for &(write, _, written) in &self.writes {
                if world.requests[write].written > 0 && written.is_none_or(|written| written == id) {
                    is_since(&world.requests[read], &world.requests[write]);
                }
            }
        }
    }
}

/// Asserts that what was read was computed after the origin had answered to a write.
fn is_since(read: &Request, write: &Request) {
    let value = read.answer.as_ref().unwrap().column("x").remove(0);
    assert!(
        computed(&value) >= write.written,
        "{value}, read {} ms after a write that took place {} ms after it",
        read.began.saturating_sub(write.ended),
        write.written - computed(&value)
    );
}

/// One history of reads and writes through isolates whose clocks differ, with a log whose answers come in any order. How
/// many reads were held to a write.
fn run(seed: u64) -> usize {
    let mut random = Random(seed);
    let bound = *random.pick(&[0, 20, 500]);
    let (has_l2, max_entries) = (random.happens(50), *random.pick(&[2, 1_000]));
    let mut world = world(bound, |config| {
        config.l2.enabled = has_l2;
        config.l1.max_entries = max_entries;
    });
    world.log.millis = random.below(30);
    world.origin_millis = 1 + random.below(30);
    world.store_millis = random.below(8);
    let mut isolates = vec![0];
    let mut history = History::default();
    for _ in 0..60 {
        if isolates.len() < 4 && random.happens(10) {
            let skew = random.below(4_000) as i64 - 2_000;
            isolates.push(world.add_isolate(skew));
        }
        let isolate = *random.pick(&isolates);
        let id = random.below(3);
        if random.happens(30) {
            history.write(&mut world, isolate, Some(id));
        } else {
            // Nobody ever writes the fourth.
            let id = if random.happens(20) { 3 } else { id };
            history.read(&mut world, isolate, id);
        }
        for late in [&mut world.log.late, &mut world.log.late_back] {
            if random.happens(20) {
                late.push_back(random.below(40));
            }
        }
        if random.happens(3) {
            world.run();
            world.switch_to(isolate);
            world.step_clock(*random.pick(&[5_000, 3_600_000, -5_000, -3_600_000]));
            history.read(&mut world, isolate, 3);
            world.run();
        }
        if random.happens(70) {
            world.run_for(random.below(*random.clone().pick(&[10, 60, 700])));
        }
    }
    world.run();
    for &isolate in &isolates {
        world.switch_to(isolate);
        let counts = world.service.log_counts().unwrap();
        assert_eq!((counts.unverified, counts.unacked, counts.errors), (0, 0, 0));
    }
    let needless = fetches(&world, 3);
    assert!(needless <= isolates.len(), "a row that nobody wrote was fetched {needless} times");
    history.check(&world, bound)
}

/// One history in which the log fails, hangs, loses answers, is full or replaced, and clocks jump. How many reads were held
/// to a write.
fn run_with_trouble(seed: u64) -> usize {
    let mut random = Random(seed);
    let bound = *random.pick(&[0, 100, 1_000]);
    let (has_l2, max_entries) = (random.happens(50), *random.pick(&[2, 1_000]));
    let mut world = world(bound, |config| {
        config.l2.enabled = has_l2;
        config.l1.max_entries = max_entries;
        config.breaker.open_ms = 1_000;
    });
    world.log.millis = random.below(30);
    world.log.limits.entries = *random.pick(&[3, 20, 10_000]);
    world.log.limits.sweep_every = *random.pick(&[3, 100]);
    world.origin_millis = 1 + random.below(30);
    world.store_millis = random.below(8);
    let skew = |random: &mut Random| random.below(1_900) as i64 - 950;
    let mut isolates = vec![0];
    let mut history = History::default();
    for _ in 0..80 {
        if isolates.len() < 4 && random.happens(10) {
            let skew = skew(&mut random);
            isolates.push(world.add_isolate(skew));
        }
        let isolate = *random.pick(&isolates);
        let id = random.below(3);
        if random.happens(30) {
            history.write(&mut world, isolate, Some(id).filter(|_| random.happens(95)));
        } else {
            history.read(&mut world, isolate, id);
        }
        for late in [&mut world.log.late, &mut world.log.late_back] {
            if random.happens(20) {
                late.push_back(*random.clone().pick(&[3, random.below(40), 2_000]));
            }
        }
        if random.happens(10) {
            world.log.is_down = random.happens(40);
            world.log.loses_replies = random.happens(30);
        }
        if random.happens(4) {
            world.run_for(5);
            world.log.replace(world.now);
            world.run_for(5);
        }
        if random.happens(4)
            && let Some(&(write, ..)) = history.writes.last()
        {
            world.lose(write);
        }
        if random.happens(4) {
            // Until the next reply of the log, an isolate whose clock has jumped timestamps
            // what others take for new. So it fetches nothing when that happens, and calls the
            // log next.
            world.run();
            is_well(&mut world);
            world.switch_to(isolate);
            if world.service.log_counts().is_some_and(|counts| counts.calls > counts.errors) {
                world.step_clock(*random.pick(&[5_000, 3_600_000]));
            }
            history.read(&mut world, isolate, id);
            world.run();
        }
        if random.happens(70) {
            world.run_for(random.below(*random.clone().pick(&[10, 60, 700, 3_000])));
        }
    }
    world.run();
    let held = history.check(&world, bound);
    // Once the log has recovered, every write is appended and nothing stays uncacheable.
    is_well(&mut world);
    world.run_for(40_000);
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let before = world.origin_calls.len();
        let mut reads = Vec::new();
        for (id, &isolate) in (0..3).flat_map(|id| isolates.iter().map(move |isolate| (id, isolate))) {
            world.switch_to(isolate);
            reads.push((world.start_feast(&ask(id)), id));
            world.run();
        }
        world.run_for(2_000);
        rounds.push((reads, world.origin_calls.len() - before));
    }
    // In the first round the isolates apply what they have missed, and append what is unacknowledged.
    for (reads, _) in &rounds[1..] {
        history.check_all(&world, reads);
    }
    assert_eq!(rounds[2].1, 0, "rows are fetched again and again");
    held
}

/// Lets the log reply again.
fn is_well(world: &mut World) {
    (world.log.is_down, world.log.loses_replies) = (false, false);
    world.log.late.clear();
    world.log.late_back.clear();
}

/// Runs so many histories, unless another number or a single one is asked for.
fn histories(name: &str, count: u64, run: fn(u64) -> usize) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (seed, count) = (number("HISTORY"), number("HISTORIES").unwrap_or(count));
    let held: usize = seed
        .map_or(0..count, |seed: u64| seed..seed + 1)
        .map(|seed| {
            let outcome = std::panic::catch_unwind(|| run(seed));
            outcome.unwrap_or_else(|cause| {
                eprintln!(
                    "history {seed} violated a guarantee; `HISTORY={seed} cargo test --test simulation {name}` replays it"
                );
                std::panic::resume_unwind(cause)
            })
        })
        .sum();
    assert!(seed.is_some() || held as u64 > 2 * count, "{held} reads were held to a write");
}

#[test]
fn no_history_of_isolates_shows_a_value_from_before_a_write_past_the_bound() {
    histories("no_history_of_isolates", 400, run);
}

#[test]
fn no_history_with_faults_shows_a_value_from_before_an_acknowledged_write() {
    histories("no_history_with_trouble", 400, run_with_trouble);
}

#[test]
fn a_request_that_shares_a_call_to_the_log_waits_no_longer_than_its_own_timeout() {
    let mut world = world(0, |_| {});
    world.log.millis = 5_000;
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
fn a_write_ends_although_the_clock_jumps_during_its_append() {
    let mut world = world(0, |_| {});
    world.log.millis = 100;
    let write = world.start("POST", "/write-to-online-store", br#"{"feature_view_name":"v","df":{"id":[1]}}"#);
    world.run_for(50);
    assert!(world.requests[write].answer.is_none(), "the append is in progress");
    world.pass_seconds(20);
    let read = world.start_feast(&ask(1));
    world.run();
    let answer = world.answer(write);
    assert_eq!(answer.status, FORWARDED);
    assert!(answer.headers.contains_key("cache-status"), "others may see it late");
    assert_eq!(world.answer(read).status, 200);
}

/// Reads a row until nothing more is found out by it; whether it is then had without the origin.
fn is_cached(world: &mut World, isolate: usize, id: u64) -> bool {
    read(world, isolate, id);
    world.run_for(1_000);
    let calls = world.origin_calls.len();
    read(world, isolate, id);
    world.origin_calls.len() == calls
}

/// A world where rows are kept in memory alone, and its isolates share nothing but the log.
fn world_without_stores(bound_millis: u64) -> World {
    let mut world = world(bound_millis, |config| config.l2.enabled = false);
    world.broken_shards = [0, 1].into();
    world
}

#[test]
fn answers_out_of_order_cost_no_row_that_was_not_written() {
    for bound in [0, 1_000] {
        let mut world = world(bound, |_| {});
        let other = world.add_isolate(300);
        for id in 1..10 {
            assert!(is_cached(&mut world, 0, id) && is_cached(&mut world, other, id));
        }
        world.run_for(2_000);
        let calls = world.origin_calls.len();
        for round in 0..100 {
            // Of two calls under way at one time, the first one's answer comes last.
            world.log.late_back.extend([6, 0, 3, 0]);
            world.switch_to(if round % 2 == 0 { 0 } else { other });
            for id in 100..102 {
                let body = format!(r#"{{"feature_view_name":"v","df":{{"id":[{id}]}}}}"#);
                world.start("POST", "/write-to-online-store", body.as_bytes());
                world.run_for(1);
            }
            world.start_feast(&ask(1 + round % 9));
            world.run_for(50);
        }
        world.run();
        assert_eq!(world.origin_calls.len(), calls, "with a bound of {bound} ms");
    }
}

#[test]
fn a_replacement_log_with_more_entries_than_the_former_is_detected() {
    for is_restarted in [false, true] {
        let mut world = world(0, |_| {});
        write(&mut world, 0, 3);
        let before = read(&mut world, 0, 1);
        let unwritten = read(&mut world, 0, 2);
        world.run_for(50);
        // A write that only the former log had.
        let other = world.add_isolate(0);
        write(&mut world, other, 1);
        world.log.replace(world.now);
        world.run_for(10);
        world.log.fill(world.now, 50);
        let reader = if is_restarted { world.add_isolate(0) } else { 0 };
        assert_ne!(read(&mut world, reader, 1), before);
        // It is paid for once.
        assert_ne!(read(&mut world, reader, 2), unwritten);
        assert!(is_cached(&mut world, reader, 1) && is_cached(&mut world, reader, 2));
    }
}

#[test]
fn a_replacement_log_whose_clock_is_behind_sets_the_time_anew() {
    let mut world = world(0, |_| {});
    (world.log.millis, world.origin_millis, world.log.skew) = (0, 1, 15);
    let writer = world.add_isolate(0);
    read(&mut world, writer, 9);
    let before = read(&mut world, 0, 1);
    write(&mut world, writer, 1);
    world.log.skew = 0;
    world.log.replace(world.now);
    // So slow is the call that the other clock might be the same.
    world.log.late.push_back(20);
    assert_ne!(read(&mut world, 0, 1), before, "it was stamped later than the other log began");
}

#[test]
fn a_late_reply_of_a_replaced_log_changes_nothing() {
    let mut world = world_without_stores(1_000);
    world.log.skew = -5_000;
    read(&mut world, 0, 1);
    world.run_for(1_000);
    // The first call reaches the former one, whose answer is late; the second reaches the one in its place.
    world.log.late_back.extend([60, 0]);
    let late = world.start("POST", "/v1/invalidate", br#"{"view":"v","entities":{"id":[3]}}"#);
    world.run_for(6);
    world.log.skew = 0;
    world.log.replace(world.now);
    world.run_for(5);
    world.start("POST", "/v1/invalidate", br#"{"view":"v","entities":{"id":[4]}}"#);
    world.run_for(30);
    assert_eq!((world.log.entries().len(), world.requests[late].answer.is_none()), (1, true));
    let rows = [1, 2];
    for id in rows {
        world.start_feast(&ask(id));
    }
    world.run_for(300);
    let calls = world.origin_calls.len();
    for id in rows {
        read(&mut world, 0, id);
    }
    assert_eq!(world.origin_calls.len(), calls, "what was fetched since the log was replaced");
}

#[test]
fn the_first_write_of_a_clock_that_is_an_hour_ahead_makes_nothing_uncacheable() {
    for bound in [0, 1_000] {
        let mut world = world(bound, |_| {});
        read(&mut world, 0, 1);
        let ahead = world.add_isolate(3_600_000);
        assert!(write(&mut world, ahead, 1));
        world.run_for(1_100);
        for isolate in [0, ahead] {
            assert!(is_cached(&mut world, isolate, 1), "isolate {isolate} with a bound of {bound} ms");
        }
    }
}

#[test]
fn a_clock_that_is_set_after_a_reply_makes_nothing_uncacheable_and_nothing_stale() {
    for bound in [0, 1_000] {
        for set in [3_600_000, 5_000, 300, -5_000, -3_600_000] {
            let mut world = world(bound, |_| {});
            let other = world.add_isolate(0);
            let before = read(&mut world, 0, 1);
            assert_eq!(read(&mut world, other, 1), before);
            world.run_for(500);
            world.switch_to(0);
            world.step_clock(set);
            assert!(write(&mut world, 0, 2));
            write(&mut world, other, 1);
            world.run_for(1_100);
            for isolate in [0, other] {
                let context = format!("isolate {isolate}, set by {set}, with a bound of {bound} ms");
                assert_ne!(read(&mut world, isolate, 1), before, "{context}");
                world.run_for(20);
                assert!(is_cached(&mut world, isolate, 1) && is_cached(&mut world, isolate, 2), "{context}");
            }
        }
    }
}

#[test]
fn a_clock_that_is_set_during_a_call_to_the_log_makes_nothing_uncacheable_and_nothing_stale() {
    for set in [3_600_000, 100, -3_600_000] {
        let mut world = world_without_stores(0);
        let other = world.add_isolate(0);
        read(&mut world, other, 1);
        read(&mut world, 0, 2);
        world.switch_to(0);
        world.start_feast(&ask(1));
        world.run_for(7);
        world.step_clock(set);
        world.run();
        let before = read(&mut world, 0, 1);
        write(&mut world, other, 1);
        assert_ne!(read(&mut world, 0, 1), before, "set by {set}");
        // Its round trip seems long, so that it takes a while until what is fetched is certainly newer.
        world.run_for(1_000);
        assert!(is_cached(&mut world, 0, 1), "set by {set}");
    }
}

#[test]
fn what_was_fetched_by_a_clock_that_was_ahead_is_forgotten_when_that_is_found() {
    let mut world = world_without_stores(0);
    let ahead = world.add_isolate(60_000);
    world.log.is_down = true;
    let before = read(&mut world, ahead, 1);
    world.log.is_down = false;
    world.run_for(100);
    assert!(write(&mut world, 0, 1));
    assert_ne!(read(&mut world, ahead, 1), before);
}

#[test]
fn what_is_being_fetched_when_a_clock_is_found_ahead_looks_no_newer_than_a_write() {
    let mut world = world_without_stores(0);
    let ahead = world.add_isolate(60_000);
    world.log.is_down = true;
    world.origin_millis = 900;
    world.switch_to(ahead);
    let slow = world.start_feast(&ask(1));
    world.run_for(600);
    world.log.is_down = false;
    let quick = world.start("POST", "/v1/invalidate", br#"{"view":"v","entities":{"id":[7]}}"#);
    world.run_for(50);
    assert!(world.requests[quick].answer.is_some() && world.requests[slow].answer.is_none());
    world.switch_to(0);
    world.start("POST", "/v1/invalidate", br#"{"view":"v","entities":{"id":[1]}}"#);
    world.run_for(50);
    let invalidated = world.now;
    world.run();
    world.switch_to(ahead);
    assert!(computed(&world.answer(slow).column("x")[0]) < invalidated);
    assert!(computed(&read(&mut world, ahead, 1)) >= invalidated, "it was kept as newer than the write");
}

#[test]
fn what_is_under_way_when_a_clock_is_found_ahead_takes_no_less_time_by_it() {
    let mut world = world(0, |config| config.deadlines.adaptive_timeouts = false);
    let ahead = world.add_isolate(60_000);
    world.log.is_down = true;
    (world.store_millis, world.origin_millis) = (0, 900);
    world.switch_to(ahead);
    let slow: Vec<usize> = (0..30).map(|id| world.start_feast(&ask(id))).collect();
    world.run_for(600);
    assert!(slow.iter().all(|&request| world.requests[request].answer.is_none()));
    world.log.is_down = false;
    (world.store_millis, world.origin_millis) = (450, 0);
    world.start_feast(&ask(1_000));
    world.start("POST", "/v1/invalidate", br#"{"view":"v","entities":{"id":[7]}}"#);
    world.run();
    let took = world.service.engine().origin_latency().quantile(500).unwrap();
    assert!((900..1_200).contains(&took), "{took} ms");
}

#[test]
fn a_clock_that_is_behind_is_corrected() {
    let mut world = world_without_stores(0);
    let other = world.add_isolate(0);
    read(&mut world, other, 1);
    read(&mut world, 0, 1);
    world.switch_to(0);
    world.step_clock(-60_000);
    write(&mut world, other, 1);
    world.run_for(50);
    assert!(is_cached(&mut world, 0, 1));
}

#[test]
fn an_entry_has_the_latest_time_its_writer_knows_where_the_logs_clock_runs_back() {
    let mut world = world(0, |_| {});
    // The writer's calls take 20 ms to get there, so that its time may be so much ahead; the reader's take none.
    world.log.millis = 0;
    let reader = world.add_isolate(0);
    world.log.late.push_back(20);
    read(&mut world, 0, 9);
    let before = read(&mut world, reader, 1);
    world.log.skew = -15;
    world.log.late.push_back(20);
    // As where the object has moved: it does not know its earlier replies.
    world.log.restart();
    assert!(write(&mut world, 0, 1));
    assert_ne!(read(&mut world, reader, 1), before);
}

#[test]
fn a_log_whose_clock_was_an_hour_ahead_begins_anew() {
    let mut world = world_without_stores(0);
    world.log.skew = 3_600_000;
    let other = world.add_isolate(0);
    let before = [0, other].map(|isolate| read(&mut world, isolate, 1));
    write(&mut world, 0, 2);
    world.log.skew = 0;
    world.run_for(50);
    write(&mut world, other, 1);
    for (isolate, before) in [0, other].into_iter().zip(before) {
        assert_ne!(read(&mut world, isolate, 1), before);
        world.run_for(50);
        assert!(is_cached(&mut world, isolate, 1) && is_cached(&mut world, isolate, 2));
    }
}

#[test]
fn entries_of_a_call_whose_host_was_dropped_are_appended_by_the_next() {
    for is_told_again in [false, true] {
        let mut world = world(0, |_| {});
        let other = world.add_isolate(0);
        let before = read(&mut world, other, 1);
        read(&mut world, 0, 2);
        world.log.is_down = true;
        let lost = world.start("POST", "/write-to-online-store", br#"{"feature_view_name":"v","df":{"id":[1]}}"#);
        world.run_for(12);
        world.lose(lost);
        world.run_for(1_000);
        world.log.is_down = false;
        assert!(world.log.entries().is_empty());
        if is_told_again {
            world.start("POST", "/write-to-online-store", br#"{"feature_view_name":"v","df":{"id":[3]}}"#);
        } else {
            world.start_feast(&ask(2));
        }
        world.run();
        assert_ne!(read(&mut world, other, 1), before);
    }
}

#[test]
fn a_write_while_the_logs_breaker_is_open_is_appended_in_the_background() {
    let mut world = world(0, |_| {});
    let other = world.add_isolate(0);
    let before = read(&mut world, other, 1);
    world.log.is_down = true;
    for _ in 0..10 {
        read(&mut world, 0, 2);
    }
    let calls = world.log.calls;
    assert!(!write(&mut world, 0, 1) && !write(&mut world, 0, 3));
    assert_eq!(world.log.calls, calls, "its breaker is open");
    let counts = world.service.log_counts().unwrap();
    assert_eq!((counts.unacked, counts.errors), (2, 3));
    world.log.is_down = false;
    world.run_for(1_100);
    assert_eq!((world.log.entries().len(), world.log.calls - calls), (1, 1), "one call appends both");
    assert_ne!(read(&mut world, other, 1), before);
}

#[test]
fn an_append_that_fails_is_retried_and_then_left_to_the_next_call() {
    let mut world = world(0, |_| {});
    let other = world.add_isolate(0);
    let before = read(&mut world, other, 1);
    read(&mut world, 0, 2);
    world.log.is_down = true;
    let calls = world.log.calls;
    assert!(!write(&mut world, 0, 1));
    world.run_for(60_000);
    assert_eq!(world.log.calls - calls, 5, "at once, and after 1, 2, 4 and 8 s");
    world.log.is_down = false;
    read(&mut world, 0, 2);
    assert_ne!(read(&mut world, other, 1), before);
}

#[test]
fn unacked_entries_past_their_bound_invalidate_everything() {
    let mut world = world(0, |_| {});
    let other = world.add_isolate(0);
    let before = [read(&mut world, other, 1), read(&mut world, other, 99_999)];
    read(&mut world, 0, 2);
    world.log.is_down = true;
    for part in 0..5 {
        let ids: Vec<String> = (0..9_000).map(|id| (part * 9_000 + id).to_string()).collect();
        let body = format!(r#"{{"feature_view_name":"v","df":{{"id":[{}]}}}}"#, ids.join(","));
        world.call("POST", "/write-to-online-store", body.as_bytes());
    }
    world.log.is_down = false;
    world.run_for(20_000);
    let most = world.log.appended_bytes.iter().copied().max().unwrap_or_default();
    assert!(most > 100 << 10 && most <= 256 << 10, "{most} bytes");
    assert_eq!(world.log.entries().iter().map(|mark| mark.bytes.len()).collect::<Vec<_>>(), [2]);
    for (id, before) in [1, 99_999].into_iter().zip(before) {
        assert_ne!(read(&mut world, other, id), before);
    }
}

#[test]
fn a_write_of_more_rows_than_an_entry_names_invalidates_its_whole_view() {
    for (rows, is_whole) in [(10_000, false), (10_001, true)] {
        let mut world = world(0, |_| {});
        let other = world.add_isolate(0);
        let before = [0, 9_999, 10_000, 20_000].map(|id| read(&mut world, other, id));
        world.run_for(100);
        let ids: Vec<String> = (0..rows).map(|id| id.to_string()).collect();
        let body = format!(r#"{{"feature_view_name":"v","df":{{"id":[{}]}}}}"#, ids.join(","));
        world.switch_to(0);
        world.call("POST", "/write-to-online-store", body.as_bytes());
        let after = [0, 9_999, 10_000, 20_000].map(|id| read(&mut world, other, id));
        let is_new: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before != after).collect();
        assert_eq!(is_new, [true, true, is_whole, is_whole]);
    }
}

#[test]
fn the_log_keeps_an_entry_for_as_long_as_a_row_may_be_served() {
    let mut world = world(0, |config| config.writes.job_seconds = 0);
    world.log.limits.sweep_every = 1;
    let before = read(&mut world, 0, 1);
    let (ttl, grace) = {
        let freshness = &world.service.config().freshness;
        (freshness.ttl_seconds, freshness.stale_if_error_seconds.max(freshness.stale_while_revalidate_seconds))
    };
    world.run_for(100);
    write(&mut world, 0, 1);
    world.run_for((ttl + grace) * 1_000 - 2_000);
    write(&mut world, 0, 2);
    assert_eq!(world.log.entries().len(), 2);
    // The origin is down, and a row that is late is better than none, but not one from before a write.
    let new = world.add_isolate(0);
    world.switch_to(new);
    world.origin = Origin::IsDown;
    let answer = world.feast(&ask(1));
    assert!(answer.status != 200 || answer.column("x")[0] != before, "{}", answer.text);
    world.origin = Origin::Labels;
    world.run_for(5_000);
    write(&mut world, 0, 2);
    assert_eq!(world.log.entries().len(), 2, "the first is of no use to anyone any more");
}

#[test]
fn a_full_log_costs_fetches_and_no_stale_value() {
    let mut world = world(0, |_| {});
    world.log.limits.entries = 8;
    let other = world.add_isolate(0);
    let before = [read(&mut world, other, 1), read(&mut world, other, 2)];
    world.run_for(100);
    write(&mut world, 0, 1);
    // An isolate that has applied all dropped entries loses nothing.
    read(&mut world, 0, 2);
    for id in 10..30 {
        write(&mut world, 0, id);
    }
    assert!(world.log.entries().len() <= 8);
    assert_eq!(read(&mut world, 0, 2), before[1], "the writer has applied each");
    for (id, before) in [1, 2].into_iter().zip(before) {
        assert_ne!(read(&mut world, other, id), before);
    }
    world.run_for(50);
    assert!(is_cached(&mut world, other, 1) && is_cached(&mut world, other, 2));
}

#[test]
fn a_host_that_slept_asks_the_log_before_it_serves_again() {
    let mut world = world(1_000, |_| {});
    let other = world.add_isolate(0);
    let before = read(&mut world, 0, 1);
    assert_eq!(read(&mut world, other, 1), before);
    world.switch_to(0);
    world.log.late_back.push_back(400);
    world.run_for(700);
    // The background call is in progress while the host sleeps.
    assert!(world.feast(&ask(1)).is_immediate);
    write(&mut world, other, 1);
    world.run_for(1_100);
    assert_ne!(read(&mut world, 0, 1), before);
}
