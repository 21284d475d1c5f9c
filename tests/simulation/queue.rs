//! More origin calls than permits: which sessions queue, in which order, and that a dropped host blocks no
//! one.

use crate::world::{World, request};

/// A world whose origin takes so many calls at one time, each of so many milliseconds.
fn world(calls: u32, millis: u64) -> World {
    let mut world = World::with_http_origin(|config| {
        config.freshness.ttl_jitter_percent = 0;
        config.l2.enabled = false;
        config.load.max_origin_calls = calls;
        config.load.adaptive_concurrency = false;
    });
    world.origin_millis = millis;
    world
}

fn native(id: u64, priority: &str) -> String {
    format!(r#"{{"entity_ids":["{id}"],"feature_names":["score"],"priority":"{priority}","deadline_ms":5000}}"#)
}

#[test]
fn requests_get_their_turn_in_the_order_in_which_they_came() {
    let mut world = world(2, 20);
    let mut requests: Vec<usize> = (0..40).map(|id| world.start_native(&native(id, "normal"))).collect();
    // Each caller comes again as soon as it has its answer, when those who wait have not yet heard that there is a place.
    for id in 40..400 {
        world.run_until_answered(id as usize - 39);
        requests.push(world.start_native(&native(id, "normal")));
    }
    world.run();
    for (&request, later) in requests.iter().zip(&requests[1..]) {
        assert_eq!(world.answer(request).status, 200, "{}", world.answer(request).text);
        assert!(world.requests[request].ended <= world.requests[*later].ended);
    }
    let longest = requests.iter().map(|&request| world.requests[request].ended - world.requests[request].began).max();
    assert!(longest <= Some(500), "{longest:?} ms");
    assert_eq!(world.most_calls, 2);
}

#[test]
fn a_free_permit_goes_to_the_session_that_was_woken_for_it() {
    let mut world = world(1, 20);
    world.start_native(&native(1, "normal"));
    let second = world.start_native(&native(2, "normal"));
    // The first's call ends, and before the second has heard of it a third is there.
    world.run_until_answered(1);
    let third = world.start_native(&native(3, "normal"));
    world.run();
    assert!(world.requests[second].ended < world.requests[third].ended);
    // One that matters more need not wait for it.
    let mut world = self::world(1, 20);
    world.start_native(&native(1, "normal"));
    let second = world.start_native(&native(2, "normal"));
    world.run_until_answered(1);
    let third = world.start_native(&native(3, "critical"));
    world.run();
    assert!(world.requests[second].ended > world.requests[third].ended);
}

#[test]
fn what_matters_more_goes_first() {
    let mut world = world(1, 20);
    let priorities = ["low", "normal", "high", "low", "critical", "normal", "high", "critical"];
    let requests: Vec<usize> =
        (0..).zip(priorities).map(|(id, priority)| world.start_native(&native(id, priority))).collect();
    world.run();
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&number| world.requests[requests[number]].ended);
    assert_eq!(order, [0, 4, 7, 2, 6, 1, 5, 3], "the first had its place already");
}

#[test]
fn sessions_whose_hosts_are_gone_block_no_other_for_long() {
    let mut world = world(1, 20);
    let requests: Vec<usize> = (0..50).map(|id| world.start_native(&native(id, "normal"))).collect();
    let (lost, rest) = requests[1..].split_at(30);
    lost.iter().for_each(|&request| world.lose(request));
    world.run_for(4_999);
    for &request in rest {
        assert_eq!(world.answer(request).status, 200);
        let took = world.requests[request].ended - world.requests[request].began;
        assert!(took < 1_000, "{took} ms");
    }
}

#[test]
fn a_call_that_ends_just_in_time_is_waited_for_and_its_place_is_nobody_elses() {
    let mut world = World::with_http_origin(|config| {
        config.l2.enabled = false;
        config.load.max_origin_calls = 1;
        config.load.adaptive_concurrency = false;
        config.deadlines.adaptive_timeouts = false;
        config.origin.timeout_ms = 1_000;
    });
    world.origin_millis = 980;
    let first = world.start_native(&native(1, "normal"));
    let follower = world.start_native(&native(1, "normal"));
    let other = world.start_native(&native(2, "normal"));
    world.run();
    let took = |request: usize| world.requests[request].ended - world.requests[request].began;
    assert_eq!((took(first), took(follower), took(other)), (980, 980, 1_960));
    assert_eq!((world.origin_calls.len(), world.most_calls), (2, 1));
}

#[test]
fn no_stale_row_is_revalidated_without_a_free_permit() {
    let mut world = world(1, 10);
    world.feast(&request(&["score"], [1]));
    world.pass_seconds(310);
    world.origin_millis = 1_000;
    let slow = world.start_native(&native(2, "normal"));
    world.run_for(10);
    let due = world.start_feast(&request(&["score"], [1]));
    assert!(world.answer(due).is_immediate && world.requests[slow].answer.is_none());
    assert_eq!(world.service.engine().sessions(), 1, "it is given up");
    world.run();
    world.run_for(1_000);
    assert_eq!(world.origin_calls.len(), 2);
}

/// Has the service forget a request whose caller hangs up.
fn hang_up(world: &mut World, request: usize) {
    let handle = world.handle_of(request);
    for woken in world.service.abandon(handle, model::time::Timestamp(world.now)) {
        world.wake(woken);
    }
    world.lose(request);
}

#[test]
fn the_permit_of_a_caller_who_hangs_up_goes_to_the_next_at_once() {
    let mut world = world(1, 1_000);
    let first = world.start_native(&native(1, "normal"));
    world.run_for(10);
    let second = world.start_native(&native(2, "normal"));
    world.run_for(10);
    hang_up(&mut world, first);
    world.run_for(0);
    assert_eq!(world.origin_calls.len(), 2);
    // Nor does one who has hung up wait any longer.
    let third = world.start_native(&native(3, "normal"));
    let fourth = world.start_native(&native(4, "normal"));
    world.run_for(995);
    hang_up(&mut world, third);
    world.run();
    let began = world.requests[second].began;
    assert_eq!(world.requests[second].ended - began, 1_010);
    assert_eq!(world.requests[fourth].ended - began, 2_010);
}

#[test]
fn a_timer_that_goes_off_early_is_followed_by_another() {
    let mut world = world(1, 3_000);
    world.timers_early = 1;
    let requests: Vec<usize> = (0..3).map(|id| world.start_feast(&request(&["score"], [id]))).collect();
    // Each step of theirs is checked to leave something that goes on.
    world.run();
    for request in requests {
        assert!(matches!(world.answer(request).status, 200 | 504));
    }
}
