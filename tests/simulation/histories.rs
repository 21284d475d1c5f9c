//! Many histories of many requests at one time, over tiers that are lost, slow, failing and lying, each from a seed.
//!
//! Whatever happens, no value is older than its request allows, none is of another entity, view or feature, every request
//! ends by its deadline, and the budgets hold. A history that breaks this prints its seed; `HISTORY=seed` replays it alone.
//! `HISTORIES=n` says how many are run, and `HISTORIES_FROM=n` which is the first.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::chaos::Chaos;
use crate::random::Random;
use crate::world::{Answer, Origin, Request, World};

/// What a request asked, to judge its answer by.
struct Asked {
    request: usize,
    isolate: u32,
    ids: Vec<u64>,
    features: Vec<&'static str>,
    consistency: &'static str,
    max_staleness: u64,
    deadline: u64,
}

/// A write through the service, to judge later reads by.
struct Wrote {
    request: usize,
    view: &'static str,
    ids: Vec<u64>,
    /// How many isolates there were before the one that it went through; others learn of it by their values' ages alone.
    isolate: u32,
}

const FEATURES: [&str; 5] = ["a:x", "a:y", "a:z", "b:x", "b:y"];

/// What the registry says, where there is one; and what its chances are told by.
const VIEWS: &str = r#"{"featureViews":[{"spec":{"name":"a","entityColumns":[{"name":"id"}]}},{"spec":{"name":"b","entityColumns":[{"name":"id"}]}}]}"#;
const REGISTRY: u64 = 0x7265_6769_7374_7279;

/// One tick of the clock, in milliseconds.
const TICK: u64 = 1;

fn run(seed: u64, states: &mut BTreeSet<String>) {
    let mut random = Random(seed);
    let is_keyed = random.happens(50);
    let max_entries = *random.pick(&[3, 10, 1_000]);
    let mut of_registry = Random(seed ^ REGISTRY);
    let has_registry = of_registry.happens(30);
    let mut world = World::with_http_origin(|config| {
        if has_registry {
            let url = "http://registry.example".to_owned();
            config.registry = Some(config::Registry { url, project: None, ttl_seconds: 20 });
        }
        config.l1.max_entries = max_entries;
        config.freshness.ttl_seconds = *random.pick(&[1, 5, 60]);
        config.freshness.stale_if_error_seconds = *random.pick(&[0, 10, 600]);
        config.l2.enabled = random.happens(80);
        config.l3.enabled = random.happens(40);
        config.l3.shards = *random.pick(&[1, 3]);
        config.routing.chunk_rows = *random.pick(&[2, 500, 500]);
        config.routing.max_concurrent_chunks = *random.pick(&[1, 4]);
        for view in ["a", "b"].into_iter().filter(|_| is_keyed) {
            let keyed = config::View { join_keys: vec!["id".to_owned()], ..Default::default() };
            config.views.insert(view.to_owned(), keyed);
        }
    });
    world.registry = Some((*of_registry.pick(&[5, 400, 3_600_000]), VIEWS.to_owned()));
    world.origin = Origin::Labels;
    world.origin_millis = 1 + random.below(40);
    world.store_millis = random.below(10);
    world.reader_millis = *random.pick(&[Some(0), Some(7), Some(2_000), None]);
    world.timers_early = *random.pick(&[0, 1, 20]);
    world.chaos = random.happens(85).then(|| Chaos::new(seed));
    let (mut asked, mut wrote): (Vec<Asked>, Vec<Wrote>) = (Vec::new(), Vec::new());
    // Of clocks that differ between isolates, or from the log's, nothing is promised here: `clocks` and `isolates` have those.
    let does_clock_step = !world.service.config().l3.enabled && random.happens(40);
    let mut isolate = 0;
    for _ in 0..8 + random.below(25) {
        if random.happens(40) {
            world.run_for(random.below(*random.clone().pick(&[5, 100, 3_000, 90_000])));
        }
        if !does_clock_step && random.happens(3) {
            world.lose_all();
            world.restart();
            isolate += 1;
        }
        if does_clock_step && random.happens(15) {
            // Less than this counts as jitter.
            let millis = 30 + random.below(15_000) as i64;
            // Of what happens in one millisecond, nobody could judge which came first, had the clock gone ahead within it: it does so by itself.
            world.run_for(TICK);
            world.step_clock_seen(if random.happens(50) { millis } else { -millis });
            world.run_for(TICK);
        }
        if random.happens(15) {
            wrote.push(write(&mut world, &mut random, isolate));
        }
        asked.push(ask(&mut world, &mut random, isolate));
        if random.happens(4) {
            let lost = random.below(asked.len() as u64) as usize;
            world.lose(asked[lost].request);
        }
        assert!(world.service.engine().memory().len() <= max_entries);
        let memory = world.service.memory().all;
        assert!(memory.used <= memory.allowed, "{memory:?}");
    }
    world.run();
    let is_well = world.chaos.as_ref().is_none_or(|chaos| chaos.origin_fails + chaos.origin_lies + chaos.is_slow == 0);
    if is_well && !does_clock_step {
        let opened = world.service.engine().origin_breaker().times_opened();
        assert_eq!(opened, 0, "an origin that is well counts as ill");
    }
    assert!(world.most_calls <= 64, "{} calls at one time", world.most_calls);
    let ttl = world.service.config().freshness.ttl_seconds * 1_000;
    let grace = world.service.config().freshness.stale_if_error_seconds * 1_000;
    for asked in &asked {
        states.insert(judge(&world, asked, &wrote, (ttl + grace).max(ttl + 60_000)));
    }
    if asked.iter().all(|asked| !world.requests[asked.request].is_lost) {
        let engine = world.service.engine();
        assert_eq!((engine.sessions(), engine.flights(), world.service.under_way()), (0, 0, 0), "something is left");
    }
}

fn write(world: &mut World, random: &mut Random, isolate: u32) -> Wrote {
    let view = *random.pick(&["a", "b"]);
    let ids: Vec<u64> = (0..1 + random.below(3)).map(|_| random.below(6)).collect();
    let body = serde_json::json!({"feature_view_name": view, "df": {"id": ids}}).to_string();
    let request = world.start("POST", "/write-to-online-store", body.as_bytes());
    Wrote { request, view, ids, isolate }
}

fn ask(world: &mut World, random: &mut Random, isolate: u32) -> Asked {
    let mut ids: Vec<u64> = (0..1 + random.below(5)).map(|_| random.below(6)).collect();
    if random.below(500) == 0 {
        ids = (0..1_200).collect();
    }
    let features: Vec<&str> = FEATURES.into_iter().filter(|_| random.happens(50)).collect();
    let features = if features.is_empty() { vec!["a:x"] } else { features };
    let consistency = *random.pick(&["eventual", "eventual", "bounded", "strong"]);
    let max_staleness = *random.pick(&[0, 2, 30, 300]);
    let priority = *random.pick(&["low", "normal", "high", "critical"]);
    let deadline = *random.pick(&[10, 100, 1_000, 5_000]);
    let body = serde_json::json!({
        "entities": {"id": ids}, "feature_names": features, "consistency_level": consistency,
        "max_staleness_seconds": max_staleness, "priority": priority, "deadline_ms": deadline,
        "include": ["status", "age"],
    });
    let request = match random.happens(30) {
        true => world.start_lines(&body.to_string()),
        false => world.start_native(&body.to_string()),
    };
    Asked { request, isolate, ids, features, consistency, max_staleness: max_staleness * 1_000, deadline }
}

/// Each entity's features, and when they were given. An answer by lines has each entity once, and says at last how it was served.
fn given(request: &Request, answer: &Answer) -> BTreeMap<String, (u64, Value)> {
    if answer.headers["content-type"] == "application/json" {
        let json = answer.json();
        let features = json["features"].as_object().unwrap().iter();
        return features.map(|(id, features)| (id.clone(), (request.ended, features.clone()))).collect();
    }
    let whole = [(request.ended, answer.text.clone())];
    let parts = if request.chunks.is_empty() { &whole[..] } else { &request.chunks };
    let lines = parts.iter().flat_map(|(at, text)| text.lines().map(|line| (*at, line)));
    let mut lines: Vec<(u64, Value)> = lines.map(|(at, line)| (at, serde_json::from_str(line).unwrap())).collect();
    let (_, last) = lines.pop().unwrap();
    assert_eq!(last["metadata"]["serving_strategy"], "streaming_serving", "{}", answer.text);
    let mut given = BTreeMap::new();
    for (at, line) in lines {
        let before = given.insert(line["entity"].to_string(), (at, line["features"].clone()));
        assert!(before.is_none(), "two lines for {}", line["entity"]);
    }
    given
}

/// Checks one answer; which kind of answer it was.
fn judge(world: &World, asked: &Asked, wrote: &[Wrote], oldest: u64) -> String {
    let request = &world.requests[asked.request];
    if request.is_lost {
        return "lost".to_owned();
    }
    let answer = request.answer.as_ref().expect("every request ends");
    assert!(
        request.ended <= request.began + asked.deadline + TICK,
        "answered {} ms after its deadline",
        request.ended - request.began - asked.deadline
    );
    if answer.status != 200 {
        assert!(matches!(answer.status, 429 | 500 | 502 | 503 | 504), "{}: {}", answer.status, answer.text);
        return answer.status.to_string();
    }
    let given = given(request, answer);
    let mut kinds = BTreeSet::new();
    for id in &asked.ids {
        let (given_at, features) = given.get(&id.to_string()).unwrap_or_else(|| panic!("no {id}: {}", answer.text));
        for feature in &asked.features {
            let value = &features[feature];
            let status = value["status"].as_str().unwrap_or_else(|| panic!("no {feature} of {id}: {}", answer.text));
            kinds.insert(status.to_owned());
            if status != "PRESENT" {
                assert_eq!((status, &value["value"]), ("INVALID", &serde_json::Value::Null));
                continue;
            }
            let text = value["value"].as_str().unwrap();
            let (view, name) = feature.split_once(':').unwrap();
            let computed = text
                .strip_prefix(&format!("{view}/{name}/{id}/"))
                .unwrap_or_else(|| panic!("{feature} of {id} is {text}"));
            let computed: u64 = computed.parse().unwrap();
            let age = given_at - computed;
            assert!(value["age_ms"].as_u64().unwrap() + TICK >= age, "{value} looks younger than {age} ms");
            if computed >= request.began {
                continue;
            }
            for write in wrote.iter().filter(|write| write.isolate == asked.isolate && write.view == view) {
                let acknowledged = &world.requests[write.request];
                let is_known = acknowledged.answer.is_some() && acknowledged.ended <= request.began;
                if is_known && write.ids.contains(id) {
                    assert!(
                        computed > acknowledged.written,
                        "{feature} of {id} is from before a write that was acknowledged"
                    );
                }
            }
            // A copy is judged when it is given, and not when it was found.
            match asked.consistency {
                "strong" => panic!("a strong read got a value from {} ms before it", request.began - computed),
                "bounded" => assert!(age <= asked.max_staleness, "{age} ms old in a bounded read"),
                _ => assert!(age <= oldest, "{age} ms old"),
            }
        }
    }
    format!("{} {kinds:?} {}", answer.headers["content-type"], answer.headers["cache-status"])
}

#[test]
fn no_history_breaks_a_guarantee() {
    let mut states = BTreeSet::new();
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("HISTORY") {
        run(seed, &mut states);
        return;
    }
    let histories = number("HISTORIES").unwrap_or(3_000);
    let first = number("HISTORIES_FROM").unwrap_or(0);
    let began = std::time::Instant::now();
    for seed in first..first + histories {
        let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| run(seed, &mut states)));
        if let Err(cause) = outcome {
            eprintln!(
                "history {seed} broke a promise; `HISTORY={seed} cargo test --test simulation histories` replays it"
            );
            std::panic::resume_unwind(cause);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{histories} histories, {:.0} a second, {} kinds of answers", histories as f64 / seconds, states.len());
    assert!(states.len() > 50, "the histories do not go far: {states:?}");
}
