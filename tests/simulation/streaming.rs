//! Answers by lines: each entity once, as soon as it is complete, to a reader who may be slow.

use std::collections::BTreeSet;

use config::{Config, View};
use model::time::Timestamp;
use serde_json::Value;

use crate::world::{Answer, Origin, World, one_row};

/// A request for one feature of these entities.
fn body(ids: impl IntoIterator<Item = u64>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    format!(
        r#"{{"request_id":"r","entities":{{"driver_id":[{}]}},"feature_names":["stats:score"],"include":["status","tier"]}}"#,
        ids.join(",")
    )
}

/// A body that also says how long it may take.
fn within(millis: u64, ids: impl IntoIterator<Item = u64>) -> String {
    body(ids).replace(r#""request_id""#, &format!(r#""deadline_ms":{millis},"request_id""#))
}

fn streamed(world: &mut World, body: &str) -> usize {
    let request = world.start_lines(body);
    world.run();
    assert_eq!(
        (world.service.under_way(), world.service.engine().sessions(), world.service.engine().flights()),
        (0, 0, 0)
    );
    request
}

/// The lines of an answer: those of entities, and the last.
fn lines(answer: &Answer) -> (Vec<Value>, Value) {
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (200, "application/x-ndjson"),
        "{}",
        answer.text
    );
    assert!(answer.text.ends_with('\n'));
    let mut lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap();
    assert!(last.get("entity").is_none() && lines.iter().all(|line| line.get("metadata").is_none()));
    assert_eq!(last["metadata"]["serving_strategy"], "streaming_serving");
    (lines, last)
}

/// The entities in the order of their lines; none stands there twice.
fn entities(lines: &[Value]) -> Vec<u64> {
    let entities: Vec<u64> = lines.iter().map(|line| line["entity"].as_u64().unwrap()).collect();
    let distinct: BTreeSet<&u64> = entities.iter().collect();
    assert_eq!(distinct.len(), entities.len(), "an entity has two lines: {entities:?}");
    entities
}

fn statuses(lines: &[Value]) -> BTreeSet<&str> {
    lines.iter().map(|line| line["features"]["stats:score"]["status"].as_str().unwrap()).collect()
}

const SMALL_CALLS: fn(&mut Config) = |config| {
    config.routing.chunk_rows = 50;
    config.routing.max_concurrent_chunks = 2;
};

#[test]
fn what_is_all_in_memory_is_one_synchronous_reply_of_lines() {
    let mut world = World::new();
    world.native(&body(0..20));
    let request = world.start_lines(&body(0..20));
    let answer = world.answer(request);
    assert!(answer.is_immediate && world.requests[request].chunks.is_empty());
    let (lines, last) = lines(&answer);
    assert_eq!(entities(&lines), (0..20).collect::<Vec<_>>());
    assert_eq!(lines[3]["features"]["stats:score"]["tier"], "l1_memory");
    assert_eq!((&last["request_id"], &last["cache_stats"]["l1_hits"]), (&"r".into(), &20.into()));
    assert_eq!(last["quality_metrics"]["features_served"], 20);
    assert!(last.get("problem").is_none());
    assert_eq!(answer.headers["server-timing"], "total;dur=0;desc=streaming_serving");
    assert_eq!(answer.headers["cache-status"], "featheredge-l1; hit");
}

#[test]
fn lines_come_in_the_order_of_the_tiers_and_each_entity_once() {
    let mut world = World::new();
    world.native(&body(100..150));
    world.restart();
    world.native(&body(200..210));
    world.store_millis = 5;
    world.reset_counts();
    let request = streamed(&mut world, &body((0..250).rev()));
    let (lines, last) = lines(&world.answer(request));
    let tiers: Vec<&str> = lines.iter().map(|line| line["features"]["stats:score"]["tier"].as_str().unwrap()).collect();
    assert!(tiers[..10].iter().all(|&tier| tier == "l1_memory"), "{tiers:?}");
    assert!(tiers[10..60].iter().all(|&tier| tier == "l2_distributed"), "{tiers:?}");
    assert!(tiers[60..].iter().all(|&tier| tier == "l4_compute"), "{tiers:?}");
    let mut all = entities(&lines);
    all.sort_unstable();
    assert_eq!(all, (0..250).collect::<Vec<_>>());
    let stats = &last["cache_stats"];
    assert_eq!((&stats["l1_hits"], &stats["l2_hits"], &stats["l2_misses"]), (&10.into(), &50.into(), &190.into()));
    let request = &world.requests[request];
    assert_eq!(request.chunks[0].0, request.began, "what memory has goes out at once");
    let head = &request.answer.as_ref().unwrap().headers["cache-status"];
    assert_eq!(head, "featheredge-l1; fwd=partial", "of no store is said what it has not");
    assert!(request.chunks.len() > 3);
    assert_eq!(world.writes.iter().sum::<usize>(), 190, "the store learns what the origin gave");
    assert!(world.native(&body(0..250)).is_immediate);
}

#[test]
fn the_first_line_is_there_before_the_last_call_has_begun() {
    let mut world = World::with(|config| config.l2.enabled = false);
    let request = world.start_lines(&body(0..5_000));
    world.run_for(10);
    let first = &world.requests[request].chunks;
    assert!(!first.is_empty() && world.requests[request].answer.is_none());
    let rows =
        |call: &String| serde_json::from_str::<Value>(call).unwrap()["entities"]["driver_id"].as_array().unwrap().len();
    assert_eq!(world.origin_calls.iter().map(rows).take(6).collect::<Vec<_>>(), [32, 64, 128, 256, 500, 500]);
    world.run();
    assert_eq!(world.most_calls, 4);
    let (lines, _) = lines(&world.answer(request));
    assert_eq!(entities(&lines).len(), 5_000);
}

#[test]
fn an_entity_that_is_named_twice_has_one_row_and_one_line() {
    let mut world = World::new();
    let request = streamed(&mut world, &body([7, 8, 7, 9, 8, 7]));
    let (lines, last) = lines(&world.answer(request));
    assert_eq!(entities(&lines), [7, 8, 9]);
    assert_eq!(world.reads, [3]);
    assert_eq!(last["metadata"]["entities"], 6);
    assert_eq!(last["quality_metrics"]["features_requested"], 6);
    let warm = world.start_lines(&body([7, 8, 7]));
    assert_eq!(world.answer(warm).text.lines().count(), 3);
}

#[test]
fn entities_are_written_as_they_were_asked_for_and_each_on_one_line() {
    let mut world = World::new();
    let body = "{\"entities\":{\"user_id\":[7,8],\"tags\":[[1,\n2],\"a\"]},\n\"feature_names\":[\"v:score\"]}";
    let cold = streamed(&mut world, body);
    let (cold, _) = lines(&world.answer(cold));
    assert_eq!(cold[0]["entity"], serde_json::json!({"user_id": 7, "tags": [1, 2]}));
    assert_eq!(cold[1]["entity"], serde_json::json!({"user_id": 8, "tags": "a"}));
    let warm = world.start_lines(body);
    assert_eq!(lines(&world.answer(warm)).0, cold);
}

#[test]
fn at_the_deadline_the_entities_that_are_not_there_are_written_as_invalid() {
    let mut world = World::with(SMALL_CALLS);
    world.native(&body(0..10));
    world.origin_millis = 400;
    let tolerant = within(1_000, 0..400).replace(r#""request_id""#, r#""max_staleness_seconds":1000,"request_id""#);
    let request = world.start_lines(&tolerant);
    world.run();
    assert_eq!(world.requests[request].ended - world.requests[request].began, 1_000);
    let (lines, last) = lines(&world.answer(request));
    let mut all = entities(&lines);
    all.sort_unstable();
    assert_eq!(all, (0..400).collect::<Vec<_>>());
    assert_eq!(statuses(&lines), BTreeSet::from(["INVALID", "PRESENT"]));
    assert_eq!(last["problem"]["type"], "urn:featheredge:problem:origin-timeout");
    assert!(last["quality_metrics"]["error_rate"].as_f64().unwrap() > 0.5);
    assert_eq!(world.service.engine().sessions(), 0);
}

#[test]
fn past_the_soft_deadline_what_is_stale_goes_out_entity_by_entity() {
    let mut world = World::with(|config| config.freshness.ttl_jitter_percent = 0);
    world.native(&body(0..10));
    world.pass_seconds(1_000);
    world.origin_millis = 900;
    let request = world.start_lines(&within(1_000, 0..20));
    world.run();
    let chunks = &world.requests[request].chunks;
    assert_eq!(chunks.iter().map(|(at, _)| at - world.requests[request].began).collect::<Vec<_>>(), [700, 900]);
    assert_eq!(chunks[0].1.lines().count(), 10);
    let (lines, last) = lines(&world.answer(request));
    assert_eq!((entities(&lines).len(), statuses(&lines)), (20, BTreeSet::from(["PRESENT"])));
    assert!(last.get("problem").is_none());
}

#[test]
fn while_nobody_reads_no_more_is_asked_of_the_origin_and_the_deadline_ends_it() {
    let mut world = World::with(SMALL_CALLS);
    world.reader_millis = None;
    let request = world.start_lines(&within(1_000, 0..2_000));
    world.run();
    let held = world.origin_calls.len();
    assert!(held <= 4, "{held} calls");
    let read: usize = world.reads.iter().sum();
    assert!(read <= 200, "{read} rows were read of the store, and nobody reads them");
    assert_eq!(world.requests[request].chunks.len(), 2, "the first part, and the end");
    assert_eq!(world.requests[request].ended - world.requests[request].began, 1_000);
    let (lines, last) = lines(&world.answer(request));
    assert_eq!(entities(&lines).len(), 2_000);
    assert_eq!(last["problem"]["type"], "urn:featheredge:problem:client-too-slow");
    assert_eq!((world.service.under_way(), world.service.engine().sessions()), (0, 0));
    world.run_for(10_000);
    assert_eq!(world.origin_calls.len(), held, "nor is it asked in the background");
}

#[test]
fn a_slow_reader_gets_everything_at_its_own_pace() {
    let mut world = World::with(SMALL_CALLS);
    world.reader_millis = Some(100);
    let request = world.start_lines(&body(0..1_000));
    world.run_for(350);
    assert!(world.origin_calls.len() <= 10, "{} calls", world.origin_calls.len());
    world.run();
    let (lines, last) = lines(&world.answer(request));
    assert_eq!((entities(&lines).len(), statuses(&lines)), (1_000, BTreeSet::from(["PRESENT"])));
    assert!(last.get("problem").is_none());
    for chunks in world.requests[request].chunks.windows(2).rev().skip(1) {
        assert!(chunks[1].0 - chunks[0].0 >= 100, "a part went out before the one before was taken");
    }
}

#[test]
fn a_reader_that_hangs_up_leaves_no_session() {
    let mut world = World::with(SMALL_CALLS);
    let request = world.start_lines(&body(0..1_000));
    let follower = world.start_native(&body(0..5));
    world.run_for(25);
    let handle = world.handle_of(request);
    for woken in world.service.abandon(handle, Timestamp(world.now)) {
        world.wake(woken);
    }
    world.lose(request);
    let calls = world.origin_calls.len();
    world.run();
    assert_eq!(world.answer(follower).status, 200);
    assert!(world.origin_calls.len() <= calls + 1);
    assert_eq!(
        (world.service.under_way(), world.service.engine().sessions(), world.service.engine().flights()),
        (0, 0, 0)
    );
}

#[test]
fn what_fails_before_the_first_line_is_an_ordinary_problem() {
    let mut world = World::with_http_origin(SMALL_CALLS);
    let malformed = world.start_lines(r#"{"entities":{},"feature_names":["a:b"]}"#);
    assert_eq!(world.answer(malformed).status, 422);
    world.origin = Origin::Answers(404, "\"no such view\"".to_owned());
    let request = streamed(&mut world, &body(0..1_000));
    assert_eq!(world.answer(request).status, 404);
    assert!(world.answer(request).json()["type"].as_str().unwrap().ends_with("origin-error"));
    assert!(world.origin_calls.len() <= 4, "{} calls", world.origin_calls.len());
    let mut world = World::with_http_origin(SMALL_CALLS);
    world.origin = Origin::IsDown;
    let request = streamed(&mut world, &body(0..200));
    assert_eq!(world.answer(request).status, 502);
    assert!(world.requests[request].chunks.is_empty());
}

#[test]
fn a_failure_after_the_first_line_is_reported_in_the_last() {
    let mut world = World::with_http_origin(SMALL_CALLS);
    world.native(&body(0..10));
    world.origin = Origin::IsDown;
    let request = streamed(&mut world, &body(0..1_000));
    let (lines, last) = lines(&world.answer(request));
    assert_eq!((entities(&lines).len(), statuses(&lines)), (1_000, BTreeSet::from(["INVALID", "PRESENT"])));
    let problem = last["problem"]["type"].as_str().unwrap();
    assert!(problem.ends_with("origin-unreachable") || problem.ends_with("origin-circuit-open"), "{problem}");
    assert!(world.origin_calls.len() < 20, "the breaker opens: {} calls", world.origin_calls.len());
    assert!(world.requests[request].ended - world.requests[request].began < 1_000);
}

#[test]
fn one_call_that_fails_costs_its_own_rows() {
    let mut world = World::with_http_origin(|config| {
        SMALL_CALLS(config);
        config.l2.enabled = false;
    });
    let request = world.start_lines(&body(0..300));
    world.run_for(1);
    world.scripted.push_back((200, one_row("1", &[("score", "1")])));
    world.run();
    let (lines, last) = lines(&world.answer(request));
    let invalid = lines.iter().filter(|line| line["features"]["stats:score"]["status"] == "INVALID").count();
    assert_eq!((entities(&lines).len(), invalid), (300, 50));
    assert_eq!(last["problem"]["type"], "urn:featheredge:problem:origin-invalid-response");
}

#[test]
fn streams_and_plain_requests_share_their_calls() {
    let mut world = World::with(|config| config.l2.enabled = false);
    let first = world.start_lines(&body(0..32));
    let second = world.start_lines(&body(0..32));
    let plain = world.start_native(&body(0..32));
    world.run();
    assert_eq!(world.origin_calls.len(), 1);
    assert_eq!(lines(&world.answer(first)).0.len(), 32);
    assert_eq!(lines(&world.answer(second)).0.len(), 32);
    assert_eq!(world.answer(plain).json()["features"].as_object().unwrap().len(), 32);
}

#[test]
fn a_stream_whose_first_rows_another_request_has_fetched_goes_on_to_the_rest() {
    let mut world = World::with(|config| {
        config.l2.enabled = false;
        config.routing.chunk_rows = 2;
        config.routing.max_concurrent_chunks = 1;
    });
    world.start_native(&body(0..6));
    let request = world.start_lines(&within(3_000, 0..20));
    world.run();
    let (lines, last) = lines(&world.answer(request));
    assert_eq!((entities(&lines).len(), statuses(&lines)), (20, BTreeSet::from(["PRESENT"])));
    assert!(last.get("problem").is_none());
    assert!(world.requests[request].ended - world.requests[request].began < 1_000);
}

#[test]
fn stale_rows_are_revalidated_after_the_last_line() {
    let mut world = World::with(|config| {
        config.freshness.ttl_jitter_percent = 0;
        config.freshness.early_refresh_percent = 0;
    });
    world.native(&body(0..10));
    world.restart();
    world.pass_seconds(330);
    world.reset_counts();
    let tolerant = body(0..10).replace(r#""request_id""#, r#""max_staleness_seconds":1000,"request_id""#);
    let request = streamed(&mut world, &tolerant);
    assert_eq!(world.requests[request].ended, world.requests[request].began, "what the store has is good enough");
    assert_eq!(world.origin_calls.len(), 1);
    assert!(lines(&world.answer(request)).1.get("problem").is_none());
}

#[test]
fn stale_rows_are_revalidated_after_an_unread_stream_ends_at_its_deadline() {
    let mut world = World::with(|config| {
        SMALL_CALLS(config);
        config.freshness.ttl_jitter_percent = 0;
        config.freshness.early_refresh_percent = 0;
    });
    world.native(&body(0..10));
    world.restart();
    world.pass_seconds(310);
    world.reader_millis = None;
    let tolerant = within(1_000, 0..400).replace(r#""request_id""#, r#""max_staleness_seconds":1000,"request_id""#);
    let request = world.start_lines(&tolerant);
    world.run();
    world.run_for(10_000);
    assert!(world.requests[request].answer.is_some());
    assert_eq!(
        (world.service.under_way(), world.service.engine().sessions(), world.service.engine().flights()),
        (0, 0, 0)
    );
}

/// A request for a feature of two views of these entities.
fn of_two_views(ids: impl IntoIterator<Item = u64>) -> String {
    body(ids).replace(r#"["stats:score"]"#, r#"["stats:score","other:score"]"#)
}

#[test]
fn each_line_has_the_values_of_its_own_entity_and_view_whichever_lines_go_out_together() {
    let mut world = World::with_http_origin(|config| {
        SMALL_CALLS(config);
        let view = View { join_keys: vec!["driver_id".to_owned()], ..View::default() };
        config.views.insert("stats".to_owned(), view.clone());
        config.views.insert("other".to_owned(), view);
    });
    world.origin = Origin::Labels;
    world.native(&of_two_views((0..300).step_by(7)));
    world.restart();
    world.native(&of_two_views((0..300).step_by(5)));
    // Of some entities one view is in memory and the other is not.
    world.native(&body((0..300).step_by(3)));
    world.store_millis = 5;
    let request = streamed(&mut world, &of_two_views((0..300).rev()));
    assert!(world.requests[request].chunks.len() > 5);
    let (lines, last) = lines(&world.answer(request));
    assert_eq!(entities(&lines).len(), 300);
    for line in &lines {
        for view in ["stats", "other"] {
            let value = line["features"][format!("{view}:score")]["value"].as_str().unwrap();
            assert!(value.starts_with(&format!("{view}/score/{}/", line["entity"])), "{line}");
        }
    }
    assert_eq!(last["quality_metrics"]["features_served"], 600);
}

#[test]
fn what_is_of_an_event_too_long_ago_is_not_shown_in_any_line_and_of_no_other_view() {
    let mut world = World::with_http_origin(|config| {
        SMALL_CALLS(config);
        let join_keys = || vec!["driver_id".to_owned()];
        let view = |seconds| View { join_keys: join_keys(), max_event_age_seconds: Some(seconds), ..View::default() };
        config.views.insert("stats".to_owned(), view(300));
        config.views.insert("other".to_owned(), view(3_600));
    });
    world.origin = Origin::Labels;
    world.native(&of_two_views(0..20));
    // All is of events ten minutes ago.
    for ids in [0..20, 0..200] {
        let request = streamed(&mut world, &of_two_views(ids.clone()));
        let (lines, _) = lines(&world.answer(request));
        assert_eq!(entities(&lines).len() as u64, ids.end);
        assert_eq!(statuses(&lines), BTreeSet::from(["OUTSIDE_MAX_AGE"]));
        let is_shown = |line: &Value| line["features"]["other:score"]["status"] == "PRESENT";
        assert!(lines.iter().all(is_shown), "{lines:?}");
    }
}

#[test]
fn a_row_that_failed_does_not_keep_a_stream_from_ending_at_its_soft_deadline() {
    let mut world = World::with_http_origin(|config| {
        config.freshness.ttl_jitter_percent = 0;
        config.l2.enabled = false;
        config.routing.chunk_rows = 1;
        config.routing.max_concurrent_chunks = 1;
    });
    world.native(&body([1]));
    world.pass_seconds(1_000);
    world.native(&body([0]));
    world.scripted.push_back((500, "\"sorry\"".to_owned()));
    let request = world.start_lines(&within(1_000, [0, 2, 1]));
    world.run_for(5);
    world.origin_millis = 900;
    world.run();
    assert_eq!(world.requests[request].ended - world.requests[request].began, 700);
    let (lines, last) = lines(&world.answer(request));
    let status = |line: &Value| line["features"]["stats:score"]["status"].as_str().unwrap().to_owned();
    assert_eq!(entities(&lines), [0, 2, 1]);
    assert_eq!(lines.iter().map(status).collect::<Vec<_>>(), ["PRESENT", "INVALID", "PRESENT"]);
    assert!(last["problem"]["type"].is_string());
}

#[test]
fn rows_that_fail_at_once_are_reported_at_once() {
    let mut world = World::with_http_origin(|config| {
        SMALL_CALLS(config);
        config.l2.enabled = false;
    });
    world.native(&body(0..10));
    world.origin = Origin::IsDown;
    (1_000..1_030).for_each(|id| _ = world.native(&body([id])));
    world.reset_counts();
    let request = world.start_lines(&body(0..900));
    let answer = world.answer(request);
    assert!(answer.is_immediate && world.requests[request].chunks.is_empty());
    assert_eq!((entities(&lines(&answer).0).len(), world.origin_calls.len()), (900, 0), "its breaker is open");
}

#[test]
fn of_a_feature_service_a_stream_gives_the_rows_as_they_are_and_a_plain_answer_those_of_one_kind() {
    let service = |ids: &str| format!(r#"{{"feature_service":"s","entities":{{"driver_id":[{ids}]}}}}"#);
    for is_streamed in [true, false] {
        let mut world = World::with_http_origin(|_| {});
        world.scripted.push_back((200, one_row("1", &[("a", "1")])));
        world.native(&service("1"));
        world.run_for(5_000);
        world.scripted.push_back((200, one_row("2", &[("a", "2"), ("b", "20")])));
        world.native(&service("2"));
        world.restart();
        world.reset_counts();
        world.scripted.push_back((200, one_row("1", &[("a", "3"), ("b", "30")])));
        if is_streamed {
            streamed(&mut world, &service("1,2"));
        } else {
            world.native(&service("1,2"));
        }
        assert_eq!(world.origin_calls.len(), usize::from(!is_streamed));
    }
}

#[test]
fn what_goes_out_stale_at_the_soft_deadline_is_no_failure() {
    let mut world = World::with(|config| config.freshness.ttl_jitter_percent = 0);
    world.native(&body([1]));
    world.pass_seconds(1_000);
    world.origin_millis = 900;
    let request = world.start_lines(&within(1_000, [1]));
    world.run();
    assert_eq!(world.requests[request].ended - world.requests[request].began, 700);
    let (lines, last) = lines(&world.answer(request));
    assert_eq!((statuses(&lines), last.get("problem")), (BTreeSet::from(["PRESENT"]), None));
}
