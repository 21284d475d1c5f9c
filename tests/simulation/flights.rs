//! Concurrent requests: one fetches a row, the others follow its flight, and none hangs on another.

use crate::world::{Origin, World, request};

#[test]
fn two_hundred_cold_requests_for_one_row_make_one_read_and_one_call() {
    let mut world = World::new();
    let requests: Vec<usize> = (0..200).map(|_| world.start_feast(&request(&["score"], [1]))).collect();
    world.run();
    assert_eq!((world.origin_calls.len(), &world.reads[..], &world.writes[..]), (1, &[1][..], &[1][..]));
    let first = world.answer(requests[0]);
    assert!(requests.iter().all(|&request| world.answer(request).text == first.text));
    assert_eq!((world.service.under_way(), world.service.engine().flights()), (0, 0));
}

#[test]
fn requests_that_overlap_wait_for_the_rows_they_share_and_fetch_their_own() {
    let mut world = World::new();
    let one = world.start_feast(&request(&["score"], [1, 2, 3]));
    let two = world.start_feast(&request(&["score"], [3, 4]));
    world.run();
    assert_eq!(world.origin_calls.len(), 2);
    assert!(world.origin_calls[1].contains(r#""driver_id":[4]"#), "{}", world.origin_calls[1]);
    assert_eq!(world.answer(one).column("score")[2], world.answer(two).column("score")[0]);
}

#[test]
fn a_follower_that_asks_for_more_columns_fetches_those_alone() {
    let mut world = World::new();
    world.start_feast(&request(&["score"], [1]));
    let more = world.start_feast(&request(&["score", "count"], [1]));
    world.run();
    assert_eq!(world.origin_calls.len(), 2);
    assert!(world.origin_calls[1].contains(r#"["stats:count"]"#), "{}", world.origin_calls[1]);
    assert_eq!(world.answer(more).statuses("count"), ["PRESENT"]);
}

#[test]
fn a_leader_whose_host_is_gone_blocks_no_follower() {
    let mut world = World::new();
    world.origin_millis = 20;
    let leader = world.start_feast(&request(&["score"], [1]));
    let followers: Vec<usize> = (0..50).map(|_| world.start_feast(&request(&["score"], [1]))).collect();
    world.lose(leader);
    world.run();
    for &follower in &followers {
        assert_eq!(world.answer(follower).status, 200);
        let waited = world.requests[follower].ended - world.requests[follower].began;
        assert!(waited < 1_500, "{waited} ms");
    }
    assert_eq!(world.origin_calls.len(), 1, "one follower took over: the leader never came to ask");
}

#[test]
fn a_call_that_takes_longer_than_the_stores_may_is_not_made_again_by_who_waits_for_it() {
    let mut world = World::new();
    world.origin_millis = 1_900;
    let requests: Vec<usize> = (0..10).map(|_| world.start_feast(&request(&["score"], [1]))).collect();
    world.run();
    assert!(requests.iter().all(|&request| world.answer(request).status == 200));
    assert_eq!(world.origin_calls.len(), 1);
}

#[test]
fn followers_of_a_failed_leader_get_its_failure_and_do_not_ask_again() {
    let mut world = World::with_http_origin(|_| {});
    world.origin = Origin::IsDown;
    let requests: Vec<usize> = (0..100).map(|_| world.start_feast(&request(&["score"], [1]))).collect();
    world.run();
    assert!(requests.iter().all(|&request| world.answer(request).status == 502));
    assert_eq!(world.origin_calls.len(), 1);
}

#[test]
fn a_failure_over_what_the_leader_asked_is_not_the_followers_who_asked_for_something_else() {
    let mut world = World::with_http_origin(|_| {});
    world.scripted.push_back((404, r#""no such feature""#.to_owned()));
    let wrong = world.start_feast(&request(&["score", "mistyped"], [1]));
    let right = world.start_feast(&request(&["score"], [1]));
    world.run();
    assert_eq!((world.answer(wrong).status, world.answer(right).status), (404, 200));
}

#[test]
fn a_refusal_that_one_row_caused_is_not_shared_with_those_who_did_not_ask_for_it() {
    let mut world = World::with_http_origin(|_| {});
    world.scripted.push_back((500, r#""a null for a key""#.to_owned()));
    let body = request(&["score"], [1, 2]);
    let wrong: Vec<usize> = (0..3).map(|_| world.start_feast(&body)).collect();
    let right = world.start_feast(&request(&["score"], [1]));
    world.run();
    assert_eq!(world.answer(right).status, 200);
    assert!(wrong.iter().all(|&request| world.answer(request).status == 500));
}

#[test]
fn who_waits_for_several_rows_shares_the_failure_of_those_alone_that_failed() {
    let mut world = World::with_http_origin(|config| config.l2.enabled = false);
    world.origin_millis = 50;
    world.origin = Origin::IsDown;
    let failed = world.start_feast(&request(&["score"], [1]));
    world.run_for(10);
    world.origin = Origin::Computes;
    let fine = world.start_feast(&request(&["score"], [2]));
    let both = world.start_feast(&request(&["score"], [1, 2]));
    world.run();
    assert_eq!((world.answer(failed).status, world.answer(fine).status), (502, 200));
    assert_eq!(world.answer(both).statuses("score"), ["INVALID", "PRESENT"]);
    assert_eq!(world.origin_calls.len(), 2);
}

#[test]
fn where_one_row_failed_the_others_are_awaited_past_the_soft_deadline() {
    let mut world = World::with_http_origin(|config| {
        config.l2.enabled = false;
        config.deadlines.soft_percent = 20;
    });
    world.feast(&request(&["score"], [1]));
    world.pass_seconds(600);
    world.origin_millis = 1_900;
    world.start_feast(&request(&["score"], [1]));
    world.origin_millis = 10;
    world.scripted.push_back((500, r#""a null for a key""#.to_owned()));
    let body = r#"{"entities":{"driver_id":[1,2]},"feature_names":["stats:score"],"deadline_ms":5000,"include":["status","age"]}"#;
    let both = world.start_native(body);
    world.run();
    let features = world.answer(both).json()["features"].clone();
    assert_eq!(features["2"]["stats:score"]["status"], "INVALID");
    assert_eq!(features["1"]["stats:score"]["age_ms"], 1_900, "an answer with a gap is not hurried: {features}");
    assert_eq!(world.requests[both].ended - world.requests[both].began, 1_900);
}

#[test]
fn a_row_that_came_is_not_lost_to_who_waits_for_it_since_another_of_the_leaders_failed_before() {
    let mut world = World::with_http_origin(|config| {
        config.l2.enabled = false;
        config.routing.chunk_rows = 1;
    });
    let body = |ids: &[u64]| serde_json::json!({"entity_ids": ids, "feature_names": ["score"]}).to_string();
    world.scripted.push_back((503, "\"sorry\"".to_owned()));
    world.start_native(&body(&[1, 2]));
    let follower = world.start_native(&body(&[2]));
    world.run();
    assert_eq!((world.answer(follower).status, world.origin_calls.len()), (200, 2));
}

#[test]
fn while_a_slow_store_is_read_no_other_request_reads_it() {
    let mut world = World::new();
    world.store_millis = 100;
    for _ in 0..20 {
        world.start_feast(&request(&["score"], [1]));
        world.run_for(3);
    }
    world.run();
    assert_eq!((&world.reads[..], world.origin_calls.len()), (&[1][..], 1));
}

#[test]
fn a_failure_of_a_caller_who_hung_up_is_not_shared_with_other_rows() {
    let mut world = World::with_http_origin(|config| {
        config.l2.enabled = false;
        config.routing.chunk_rows = 1;
        config.routing.max_concurrent_chunks = 1;
    });
    let body = |ids: &[u64]| serde_json::json!({"entity_ids": ids, "feature_names": ["score"]}).to_string();
    world.native(&body(&[0]));
    world.scripted.push_back((503, "\"sorry\"".to_owned()));
    let leader = world.start_lines(&body(&[0, 1, 2]));
    world.run_for(5);
    world.origin_millis = 500;
    world.run_for(10);
    assert_eq!(world.requests[leader].chunks.len(), 2, "what memory had, and that one has failed");
    let follower = world.start_native(&body(&[2]));
    world.run_for(10);
    let handle = world.handle_of(leader);
    for woken in world.service.abandon(handle, model::time::Timestamp(world.now)) {
        world.wake(woken);
    }
    world.lose(leader);
    world.run();
    assert_eq!(world.answer(follower).status, 200, "{}", world.answer(follower).text);
}

#[test]
fn a_strong_read_waits_for_no_call_that_began_before_it() {
    let mut world = World::new();
    world.start_native(r#"{"entity_ids":["a"],"feature_names":["score"]}"#);
    world.run_for(5);
    world.start_native(r#"{"entity_ids":["a"],"feature_names":["score"],"consistency_level":"strong"}"#);
    world.run();
    assert_eq!(world.origin_calls.len(), 2);
}

#[test]
fn a_stale_row_is_revalidated_once_in_the_background() {
    let mut world = World::new();
    let body = request(&["score"], [1]);
    world.feast(&body);
    world.pass_seconds(330);
    world.reset_counts();
    let requests: Vec<usize> = (0..100).map(|_| world.start_feast(&body)).collect();
    assert_eq!(world.service.engine().sessions(), 1, "who is answered waits for no other's fetch");
    for &request in &requests {
        let answer = world.answer(request);
        assert!(answer.is_immediate);
        assert_eq!(answer.headers["cache-status"], "featheredge-l1; hit; detail=stale");
    }
    world.run();
    assert_eq!(world.origin_calls.len(), 1);
    assert_eq!(world.feast(&body).headers["age"], "0");
}

#[test]
fn the_origin_gets_no_more_calls_at_one_time_than_it_can_answer() {
    let mut world = World::new();
    let requests: Vec<usize> = (0..300).map(|id| world.start_feast(&request(&["score"], [id]))).collect();
    world.run();
    assert!(requests.iter().all(|&request| world.answer(request).status == 200));
    assert_eq!(world.origin_calls.len(), 300);
    assert!(world.most_calls <= 64, "{}", world.most_calls);
    assert!(world.most_calls >= 16, "{}", world.most_calls);
}

#[test]
fn urgent_calls_go_first_in_the_queue() {
    let mut world = World::new();
    let body = |id: u64, priority: &str| {
        format!(r#"{{"entity_ids":[{id}],"feature_names":["score"],"priority":"{priority}","deadline_ms":3000}}"#)
    };
    let low: Vec<usize> = (0..100).map(|id| world.start_native(&body(id, "low"))).collect();
    let critical = world.start_native(&body(1_000, "critical"));
    world.run();
    let before = low.iter().filter(|&&request| world.requests[request].ended < world.requests[critical].ended).count();
    assert!(before <= 40, "{before} of 100 that came before it and are not urgent were answered first");
}

#[test]
fn without_singleflight_a_revalidated_row_leaves_no_flight() {
    let mut world = World::with_http_origin(|config| {
        config.singleflight.enabled = false;
        config.freshness.ttl_seconds = 10;
    });
    world.feast(&request(&["score"], [1]));
    world.restart();
    world.pass_seconds(60);
    let before = world.origin_calls.len();
    // `feast` sees to it that no flight is left.
    world.feast(&request(&["score"], [1]));
    assert_eq!(world.origin_calls.len(), before + 1, "it is fetched anew in the background");
}
