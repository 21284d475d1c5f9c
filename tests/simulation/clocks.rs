//! Stepped and skewed clocks: no value looks newer than a later write, nor younger than it is.

use config::{Config, View};
use protocol::native::NumberEncoding;

use crate::world::{FORWARDED, Origin, World};

fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::with_http_origin(|config| {
        let view = View { join_keys: vec!["id".to_owned()], sources: Some(Vec::new()), ..View::default() };
        config.views.insert("v".to_owned(), view);
        config.freshness.early_refresh_percent = 0;
        change(config);
    });
    world.origin = Origin::Labels;
    world
}

fn ask(level: &str, staleness: f64) -> String {
    serde_json::json!({
        "entities": {"id": [1]}, "feature_names": ["v:x"], "consistency_level": level,
        "max_staleness_seconds": staleness, "include": ["age"],
    })
    .to_string()
}

/// When the origin computed what is read.
fn read(world: &mut World, level: &str, staleness: f64) -> u64 {
    let answer = world.native(&ask(level, staleness));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let text = answer.json()["features"]["1"]["v:x"]["value"].as_str().unwrap().to_owned();
    text.rsplit_once('/').unwrap().1.parse().unwrap()
}

fn write(world: &mut World) {
    let body = br#"{"feature_view_name":"v","df":{"id":[1]}}"#;
    assert_eq!(world.call("POST", "/write-to-online-store", body).status, FORWARDED);
}

#[test]
fn a_clock_that_is_set_back_before_a_write_hides_no_write() {
    for (level, staleness) in [("eventual", 300.0), ("bounded", 0.0), ("bounded", 60.0)] {
        let mut world = world(|_| {});
        let before = read(&mut world, "eventual", 300.0);
        world.run_for(100);
        world.step_clock(-30_000);
        write(&mut world);
        assert!(read(&mut world, level, staleness) > before, "{level} {staleness}");
        world.restart();
        assert!(read(&mut world, level, staleness) > before, "{level} {staleness}, from the store");
    }
}

#[test]
fn ages_and_deadlines_go_on_while_a_clock_is_set_back() {
    let mut world = world(|_| {});
    let before = read(&mut world, "eventual", 300.0);
    world.run_for(900);
    // What passes between two readings of a clock that is set back in between, only the host can tell.
    read(&mut world, "eventual", 300.0);
    world.step_clock(-3_600_000);
    read(&mut world, "eventual", 300.0);
    world.run_for(200);
    assert!(read(&mut world, "bounded", 1.0) > before, "it is 1.1 s old");
    world.origin = Origin::IsSlow;
    let request = world.start_native(&ask("strong", 1.0).replace("\"include\"", "\"deadline_ms\":1000,\"include\""));
    world.run_for(500);
    world.step_clock(-30_000);
    world.run();
    assert_eq!(world.requests[request].ended - world.requests[request].began, 1_000);
}

#[test]
fn after_its_own_write_an_isolate_takes_no_copy_of_another_whose_clock_is_ahead() {
    for passes in [0, 1_000, 4_000, 5_500, 8_000] {
        let mut world = world(|_| {});
        let ahead = world.add_isolate(5_000);
        world.switch_to(ahead);
        let before = read(&mut world, "eventual", 300.0);
        world.switch_to(0);
        world.run_for(20);
        write(&mut world);
        world.run_for(passes);
        assert!(read(&mut world, "eventual", 300.0) > before, "{passes} ms after the write");
    }
}

#[test]
fn a_row_from_the_future_is_as_old_as_its_store_allows_and_is_replaced() {
    let mut world = world(|_| {});
    let ahead = world.add_isolate(60_000);
    world.switch_to(ahead);
    let before = read(&mut world, "eventual", 300.0);
    world.switch_to(0);
    let after = read(&mut world, "bounded", 30.0);
    assert!(after > before, "nobody knows how old it is");
    world.run_for(1_100);
    world.restart();
    assert_eq!(read(&mut world, "eventual", 300.0), after, "the store has the row by its own clock now");
}

#[test]
fn a_row_from_the_future_is_still_better_than_nothing() {
    let mut world = world(|_| {});
    let ahead = world.add_isolate(60_000);
    world.switch_to(ahead);
    let before = read(&mut world, "eventual", 300.0);
    world.switch_to(0);
    world.origin = Origin::IsDown;
    assert_eq!(read(&mut world, "eventual", 300.0), before);
    assert_ne!(world.native(&ask("bounded", 60.0)).status, 200);
}

#[test]
fn a_clock_that_goes_ahead_loses_no_request_that_is_under_way() {
    let mut world = world(|_| {});
    world.origin_millis = 300;
    let early: Vec<usize> =
        (0..20).map(|id| world.start_native(&ask("strong", 1.0).replace("[1]", &format!("[{id}]")))).collect();
    world.run_for(50);
    world.step_clock(3_600_000);
    // With every so many requests is looked for those whose host has gone silent.
    for id in 1_000..1_200 {
        world.start_native(&ask("strong", 1.0).replace("[1]", &format!("[{id}]")));
        world.run_for(1);
    }
    world.run();
    assert!(early.iter().all(|&request| world.requests[request].answer.is_some()));
}

#[test]
fn an_answer_in_columns_goes_by_the_same_clock() {
    let mut world = world(|_| {});
    read(&mut world, "eventual", 300.0);
    world.step_clock_seen(-3_600_000);
    world.run_for(1_100);
    let numbers = NumberEncoding { are_scalars_f32: false, are_vectors_f32: false, read_long: |_| 0.0 };
    let now = world.clock();
    let step = world.service.begin_columns(ask("bounded", 1.0).as_bytes(), numbers, now);
    assert!(step.response.is_none(), "what is 1.1 s old is fetched anew");
}
