//! The benchmark's scenarios, run natively as `cargo bench --bench scenarios` does.

#![allow(missing_docs, reason = "tests")]
#![allow(clippy::panic, reason = "a test says what it was given")]
#![cfg(not(target_arch = "wasm32"))]

#[path = "../benches/scenarios/host.rs"]
mod host;

use benchmark::popularity::Popularity;
use benchmark::repeat::Repeat;
use benchmark::scenario::Scenario;

fn measure(scenario: &Scenario) -> Repeat {
    host::measure(scenario, 0, true).unwrap_or_else(|error| panic!("{}: {error}", scenario.name))
}

/// Requests of no hurry, which a busy machine too answers in time.
fn calm() -> Scenario {
    let [_, _, mixed, _] = Scenario::defaults();
    Scenario { request_count: Some(200), entities_per_request: 2, concurrency: 8, ..mixed }
}

#[test]
fn the_seeds_four_run_to_the_end_on_cold_caches() {
    let before = host::now();
    for scenario in Scenario::defaults() {
        let scenario = scenario.scaled(0.05);
        let repeat = measure(&scenario);
        let answered = repeat.latencies.count();
        assert_eq!(answered + repeat.failed(), scenario.request_count.unwrap(), "{}", scenario.name);
        assert!(answered > 0, "{}: {:?}", scenario.name, repeat.failures);
        assert_eq!(repeat.hit_ratio(), Some(0.0), "no entity is asked for twice");
        assert!(repeat.latencies.min_ms() >= 9.0, "the origin takes 10 ms");
    }
    assert!(host::now() > before);
}

#[test]
fn popular_entities_are_answered_from_memory() {
    let popularity = Popularity::Zipf { population: 50, exponent: 0.99 };
    let repeat = measure(&Scenario { popularity, ..calm() });
    assert_eq!(repeat.failed(), 0);
    let [from_memory, ..] = repeat.answers;
    assert!(from_memory > 50, "{:?}", repeat.answers);
    assert!(repeat.latencies.min_ms() < 5.0);
}

#[test]
fn an_open_loop_takes_its_time() {
    let repeat = measure(&Scenario { rate_per_second: Some(1_000.0), ..calm() });
    assert!(repeat.elapsed_us > 190_000, "200 requests at 1,000 a second: {} µs", repeat.elapsed_us);
}

#[test]
fn without_a_store_none_is_asked() {
    let repeat = host::measure(&calm(), 0, false).unwrap();
    let [_, store, ..] = repeat.rows;
    assert_eq!((store.hits, store.misses), (0, 0));
}
