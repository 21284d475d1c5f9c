//! Telemetry: the SLO, alerts, windows of many isolates, traces, and the exported figures.

use aggregator::Sink;
use config::View;
use serde_json::{Value, json};

use crate::world::{Origin, World, request};

const SLOW: u64 = 700;

fn monitored(change: impl FnOnce(&mut config::Config)) -> World {
    World::with_http_origin(|config| {
        config.alerts.webhook_url = Some("http://hooks.example".to_owned());
        config.alerts.min_requests = 10;
        config.sla.burn_rate_min_requests = 10;
        change(config);
    })
}

fn get(world: &mut World, path: &str) -> Value {
    serde_json::from_str(&world.report(path)).unwrap()
}

fn alerts(world: &World) -> Vec<(String, String)> {
    let of = |text: &str| {
        let body: Value = serde_json::from_str(text).unwrap();
        let part = |key: &str| body["alert"][key].as_str().unwrap().to_owned();
        (part("type"), part("status"))
    };
    world.sent.iter().filter(|(sink, _)| *sink == Sink::Webhook).map(|(_, text)| of(text)).collect()
}

fn ask_fresh(world: &mut World, ids: std::ops::Range<u64>) {
    for id in ids {
        world.feast(&request(&["score"], [id]));
        world.run_for(100);
    }
}

#[test]
fn an_answer_says_how_the_isolates_service_level_stands() {
    let mut world = monitored(|config| config.freshness.early_refresh_percent = 0);
    let asked = |world: &mut World, id: u64| {
        let body = format!(r#"{{"entity_ids":[{id}],"feature_names":["score"]}}"#);
        let answer = world.native(&body).json()["metadata"]["sla_status"].clone();
        let lines = world.start_lines(&body);
        world.run();
        let last = world.answer(lines).text;
        assert!(last.contains(&format!(r#""sla_status":{answer}"#)), "{last}");
        answer
    };
    assert_eq!(asked(&mut world, 1), "no_data");
    world.run_for(2_000);
    assert_eq!(asked(&mut world, 2), "compliant");
    world.origin_millis = SLOW;
    ask_fresh(&mut world, 10..20);
    world.run_for(2_000);
    assert_eq!(get(&mut world, "/v1/sla")["status"], "violation");
    world.origin_millis = 1;
    assert_eq!(asked(&mut world, 2), "violation", "it is the window's, and not the answer's own");
    world.restart();
    assert_eq!(asked(&mut world, 2), "no_data");
}

#[test]
fn a_slow_origin_violates_the_slo_burns_the_budget_fires_an_alert_and_resolves_it() {
    let mut world = monitored(|config| config.freshness.early_refresh_percent = 0);
    world.origin_millis = SLOW;
    ask_fresh(&mut world, 0..40);
    let sla = get(&mut world, "/v1/sla");
    assert_eq!((&sla["status"], &sla["scope"]), (&json!("violation"), &json!("isolate")));
    assert_eq!(sla["details"]["p99_compliant"], false);
    assert!(sla["details"]["current_p99"].as_u64().unwrap().abs_diff(SLOW) <= 6, "{sla}");
    assert_eq!(sla["routes"]["/get-online-features"]["status"], "violation");
    assert_eq!(sla["routes"]["/v1/features"]["status"], "no_data");
    assert_eq!(sla["error_budget_remaining"], 0);
    assert_eq!(sla["burn_rates"][0]["is_burning"], true, "{sla}");
    world.run_for(2_000);
    let opened = alerts(&world);
    for name in ["high_latency", "sla_violation", "sla_burn_1h", "low_cache_hit_rate"] {
        let times = opened.iter().filter(|(of, status)| of == name && status == "open").count();
        assert_eq!(times, 1, "{name}: {opened:?}");
    }
    world.origin_millis = 1;
    for _ in 0..400 {
        ask_fresh(&mut world, 0..1);
        world.run_for(2_000);
    }
    let alerts = alerts(&world);
    for name in ["high_latency", "sla_violation", "sla_burn_1h"] {
        assert_eq!(
            alerts.iter().filter(|(of, status)| of == name && status == "resolved").count(),
            1,
            "{name}: {alerts:?}"
        );
    }
    let sla = get(&mut world, "/v1/sla");
    assert_eq!(sla["status"], "compliant", "{sla}");
    let sent: Vec<Value> = world.sent.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect();
    let last = |name: &str| sent.iter().map(|body| &body["alert"]).rfind(|alert| alert["type"] == name).unwrap();
    let (slow, burn) = (last("high_latency"), last("sla_burn_1h"));
    assert_eq!((&slow["worst_value"], &burn["value"]), (&json!(SLOW), &json!(0)), "the webhook has both values");
    assert!(slow["value"].as_u64().unwrap() < 200 && burn["worst_value"].as_f64().unwrap() > 14.4, "{slow} {burn}");
    let alerts = get(&mut world, "/v1/alerts");
    assert!(
        alerts["resolved"][0]["resolved_at"].as_str().unwrap() > alerts["resolved"][0]["opened_at"].as_str().unwrap()
    );
}

#[test]
fn an_alert_is_resolved_and_sent_although_no_request_comes() {
    let mut world = monitored(|_| {});
    world.origin_millis = SLOW;
    ask_fresh(&mut world, 0..1);
    ask_fresh(&mut world, 0..1);
    world.run_for(90_000);
    assert!(alerts(&world).contains(&("high_latency".to_owned(), "resolved".to_owned())), "{:?}", world.sent);
}

#[test]
fn a_webhook_that_is_down_costs_no_answer_and_is_notified_later() {
    let mut world = monitored(|_| {});
    world.is_sink_down = true;
    world.origin_millis = SLOW;
    let answer = world.feast(&request(&["score"], [1]));
    assert_eq!(answer.status, 200);
    world.run_for(5_000);
    assert!(world.sent.is_empty());
    world.is_sink_down = false;
    world.run_for(10_000);
    assert_eq!(alerts(&world)[0], ("high_latency".to_owned(), "open".to_owned()));
    assert!(world.feast(&request(&["score"], [1])).is_immediate);
}

#[test]
fn an_origin_that_is_down_is_unavailable_and_its_breaker_and_errors_are_reported() {
    let mut world = monitored(|_| {});
    world.origin = Origin::IsDown;
    ask_fresh(&mut world, 0..30);
    let sla = get(&mut world, "/v1/sla");
    assert_eq!(sla["details"]["availability_compliant"], false);
    assert_eq!(
        (&sla["details"]["current_availability"], &sla["details"]["current_error_rate"]),
        (&json!(0), &json!(1))
    );
    world.run_for(2_000);
    let alerts = alerts(&world);
    for name in ["origin_breaker_open", "origin_errors"] {
        assert!(alerts.contains(&(name.to_owned(), "open".to_owned())), "{alerts:?}");
    }
}

#[test]
fn a_spent_write_budget_is_reported() {
    let mut world = monitored(|config| config.l2.max_writes_per_day = Some(1));
    ask_fresh(&mut world, 0..3);
    world.run_for(2_000);
    ask_fresh(&mut world, 0..1);
    world.run_for(2_000);
    assert!(alerts(&world).contains(&("l2_write_budget".to_owned(), "open".to_owned())));
}

#[test]
fn the_hit_ratio_of_each_tier_has_what_that_tier_was_asked_for_below_it() {
    let mut world = World::new();
    world.feast(&request(&["score"], 0..10));
    world.restart();
    world.feast(&request(&["score"], 0..10));
    world.feast(&request(&["score"], 0..15));
    let stats = get(&mut world, "/v1/stats");
    let tiers = &stats["tiers"];
    let of = |tier: &str| (tiers[tier]["hits"].as_u64().unwrap(), tiers[tier]["misses"].as_u64().unwrap());
    assert_eq!([of("l1"), of("l2"), of("l3")], [(10, 15), (10, 5), (0, 0)]);
    assert_eq!(tiers["origin"]["hits"], 5);
    assert_eq!((&tiers["l1"]["hit_ratio"], &tiers["l2"]["hit_ratio"]), (&json!(0.4), &json!(0.666666)));
    assert_eq!(stats["latency_model"]["hit_ratio"], 0.8);
    assert_eq!((&stats["cost"]["l2_reads"], &stats["cost"]["origin_calls"]), (&json!(15), &json!(1)));
    assert_eq!(stats["cost"]["origin_calls_saved"], 1);
}

#[test]
fn quality_counts_what_has_a_value_of_permitted_age() {
    let mut world = World::with_http_origin(|_| {});
    let body = r#"{"entity_ids":["a","b","b"],"feature_names":["score","rank"],"max_staleness_seconds":100}"#;
    world.native(body);
    world.pass_seconds(50);
    world.native(body);
    let stats = get(&mut world, "/v1/stats");
    let quality = &stats["quality"];
    assert_eq!((&quality["values_requested"], &quality["values_served"]), (&json!(12), &json!(12)));
    // New and half as old as it may be.
    assert_eq!(quality["freshness"], 0.75, "{quality}");
    world.origin = Origin::IsDown;
    world.native(r#"{"entity_ids":["a","z"],"feature_names":["score","rank"],"max_staleness_seconds":100}"#);
    let stats = get(&mut world, "/v1/stats");
    assert_eq!((&stats["quality"]["values_failed"], &stats["quality"]["values_served"]), (&json!(2), &json!(14)));
    assert_eq!(stats["views"]["features"]["requests"], 3);
    assert_eq!(stats["overall"]["errors"], 1);
}

#[test]
fn views_past_the_limit_are_measured_together() {
    let mut world = World::with(|config| config.telemetry.max_views = 2);
    for view in ["a", "b", "c", "d"] {
        world.feast(&format!(r#"{{"features":["{view}:score"],"entities":{{"id":[1]}}}}"#));
    }
    let stats = get(&mut world, "/v1/stats");
    let requests: Vec<_> = stats["views"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, view)| (name.as_str(), view["requests"].as_u64()))
        .collect();
    assert_eq!(requests, [("a", Some(1)), ("b", Some(1)), ("other", Some(2))]);
    let text = world.report("/metrics");
    assert!(text.contains("featheredge_view_requests_total{view=\"other\"} 2\n"), "{text}");
}

#[test]
fn views_that_nobody_has_answered_to_and_long_names_are_no_labels() {
    let mut world = World::with_http_origin(|_| {});
    world.origin = Origin::Answers(404, r#"{"detail":"no such view"}"#.to_owned());
    world.feast(r#"{"features":["junk:score"],"entities":{"id":[1]}}"#);
    world.origin = Origin::Computes;
    let long = "v".repeat(200);
    world.feast(&format!(r#"{{"features":["{long}:score"],"entities":{{"id":[1]}}}}"#));
    world.feast(r#"{"features":["real:score"],"entities":{"id":[1]}}"#);
    let stats = get(&mut world, "/v1/stats");
    let names: Vec<&String> = stats["views"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["other", "real"]);
    assert_eq!((&stats["overall"]["requests"], &stats["overall"]["errors"]), (&json!(2), &json!(0)));
}

#[test]
fn a_request_counts_once_among_the_others() {
    let mut world = World::with(|config| {
        config.telemetry.max_views = 0;
        for view in ["a", "b"] {
            let keyed = View { join_keys: vec!["id".to_owned()], ..View::default() };
            config.views.insert(view.to_owned(), keyed);
        }
    });
    world.feast(r#"{"features":["a:x","b:y"],"entities":{"id":[1]}}"#);
    let stats = get(&mut world, "/v1/stats");
    assert_eq!(stats["views"]["other"]["requests"], 1);
}

#[test]
fn a_deployment_answers_with_the_windows_of_all_its_isolates() {
    let mut world = World::with_http_origin(|config| config.telemetry.aggregate = true);
    for _ in 0..3 {
        ask_fresh(&mut world, 0..20);
        world.run_for(60_000);
        world.restart();
    }
    let deployment: Value = serde_json::from_str(&world.report_of_all("/v1/sla")).unwrap();
    let isolate = get(&mut world, "/v1/sla");
    assert_eq!((&deployment["scope"], &deployment["requests"]), (&json!("deployment"), &json!(60)));
    assert_eq!((&isolate["scope"], &isolate["requests"]), (&json!("isolate"), &json!(0)));
    let text = world.report_of_all("/metrics");
    assert!(text.contains("featheredge_requests_total 60\n"), "{text}");
}

#[test]
fn a_trace_is_passed_on_returned_and_its_spans_are_exported() {
    let mut world =
        World::with_http_origin(|config| config.telemetry.traces_url = Some("http://otel.example".to_owned()));
    world.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = world.feast(&request(&["score"], [1]));
    let own = answer.headers["traceparent"].clone();
    assert!(own.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && own != world.traceparent, "{own}");
    assert_eq!(world.origin_traces, [own.as_str()], "the origin's parent is this request");
    world.run_for(2_000);
    world.traceparent = "";
    let alone = world.feast(&request(&["score"], [1])).headers["traceparent"].clone();
    assert!(!alone.contains("4bf92f3577b34da6a3ce929d0e0e4736"));
    world.run_for(2_000);
    let bodies: Vec<Value> = world.sent.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect();
    let spans = bodies[0]["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["/get-online-features", "l2 read", "origin"]);
    assert_eq!(spans[0]["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
}

#[test]
fn a_request_that_waits_for_the_registry_keeps_its_trace() {
    let mut world = World::with_http_origin(|config| {
        config.registry =
            Some(config::Registry { url: "http://registry.example".to_owned(), ..config::Registry::default() });
    });
    world.scripted.push_back((404, String::new()));
    world.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = world.feast(&request(&["score"], [1]));
    let own = &answer.headers["traceparent"];
    assert!(own.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{own}");
    assert_eq!(world.origin_traces, [own.as_str()]);
    world.traceparent = "";
    assert!(!world.feast(&request(&["score"], [2])).headers.contains_key("traceparent"));
}

#[test]
fn a_warm_up_passes_its_trace_to_the_origin() {
    let mut world = World::with_http_origin(|_| ());
    world.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = br#"{"entities":{"driver_id":[1,2]},"feature_names":["stats:score"]}"#;
    assert_eq!(world.post("/v1/warm", body).status, 200);
    let [trace] = &world.origin_traces[..] else { panic!("{:?}", world.origin_traces) };
    assert!(trace.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{trace}");
}

#[test]
fn analytics_engine_gets_each_series_once_a_slot() {
    let mut world = World::with(|config| config.telemetry.analytics_binding = Some("ANALYTICS".to_owned()));
    ask_fresh(&mut world, 0..40);
    world.run_for(31_000);
    ask_fresh(&mut world, 0..1);
    world.run_for(2_000);
    let points: Vec<Value> = world.sent.iter().map(|(_, text)| serde_json::from_str(text).unwrap()).collect();
    assert!(world.sent.iter().all(|(sink, _)| *sink == Sink::Analytics));
    assert_eq!(points.len(), 2, "one for each slot of 30 seconds");
    let point = |points: &Value, kind: &str, name: &str| {
        let points = points.as_array().unwrap().iter();
        points.clone().find(|point| point["blobs"] == json!([kind, name])).cloned().unwrap_or_default()
    };
    let last = points.last().unwrap();
    assert_eq!(point(last, "overall", "")["doubles"][0], 41);
    assert_eq!(point(last, "routes", "/get-online-features")["doubles"].as_array().unwrap().len(), 7);
    assert_eq!(point(last, "routes", "/v1/features"), Value::Null, "a view without requests has no series");
    assert_eq!(point(last, "tiers", "origin")["indexes"], json!(["tiers"]));
}

#[test]
fn nothing_is_sent_anywhere_and_no_trace_begun_where_nothing_is_configured() {
    let mut world = World::with_http_origin(|_| {});
    world.origin_millis = SLOW;
    ask_fresh(&mut world, 0..30);
    world.run_for(600_000);
    assert!(!world.feast(&request(&["score"], [1])).headers.contains_key("traceparent"));
    assert!(world.sent.is_empty() && world.merged.is_empty() && world.origin_traces.is_empty());
    assert_eq!(get(&mut world, "/v1/alerts")["scope"], "isolate");
}

#[test]
fn metrics_have_no_keys_values_or_secrets() {
    let mut world = World::with_http_origin(|_| {});
    world.feast(&request(&["score"], [987_654_321]));
    for path in ["/metrics", "/v1/stats", "/v1/sla", "/v1/alerts"] {
        let text = world.report(path);
        assert!(!text.contains("987654321") && !text.contains("origin.example"), "{path}");
    }
}

#[test]
fn l2_and_the_origin_are_read_in_parallel_once_l2_is_the_slower_and_the_reason_is_reported() {
    let mut world = World::with_http_origin(|_| {});
    (world.store_millis, world.origin_millis) = (60, 5);
    let order = |world: &mut World| get(world, "/v1/stats")["optimizer"]["l2_reads"].clone();
    assert_eq!(order(&mut world)["policy"], "first");
    ask_fresh(&mut world, 0..25);
    assert_eq!(order(&mut world)["policy"], "parallel");
    let began = world.now;
    let request_number = world.start_feast(&request(&["score"], [1_000]));
    world.run();
    assert_eq!(world.requests[request_number].ended - began, 5, "the origin answers while L2 is still read");
    ask_fresh(&mut world, 2_000..2_500);
    let decision = order(&mut world);
    assert_eq!(decision["policy"], "never");
    assert!(decision["reason"].as_str().unwrap().contains("few of the rows"), "{decision}");
    let before = world.reads.len();
    ask_fresh(&mut world, 3_000..3_064);
    assert_eq!(world.reads.len() - before, 4, "it is still asked now and then");
}

#[test]
fn the_read_policy_of_l2_can_be_pinned() {
    use config::L2ReadPolicy;
    for (pinned, reads) in [(L2ReadPolicy::Never, 0), (L2ReadPolicy::First, 40)] {
        let mut world = World::with_http_origin(|config| config.l2.read_policy = pinned);
        (world.store_millis, world.origin_millis) = (60, 5);
        ask_fresh(&mut world, 0..40);
        assert_eq!(world.reads.len(), reads);
    }
}

#[test]
fn evictions_and_memory_shares_are_reported() {
    let mut world = World::with(|config| (config.l1.max_entries, config.l1.max_bytes) = (10, 1 << 20));
    ask_fresh(&mut world, 0..25);
    world.run_for(2_000);
    let isolate = get(&mut world, "/v1/stats")["isolate"].clone();
    let of = |name: &str| isolate[name].as_u64().unwrap_or_else(|| panic!("no {name} in {isolate}"));
    assert_eq!((of("l1_rows"), of("l1_max_rows"), of("l1_max_bytes"), of("l1_evictions")), (10, 10, 1 << 20, 15));
    assert!(of("l1_bytes") > 0 && of("l1_bytes") < 1 << 20);
    let metrics = world.report("/metrics");
    for line in
        ["featheredge_l1_max_rows 10\n", "featheredge_l1_max_bytes 1048576\n", "featheredge_l1_evictions_total 15\n"]
    {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
}

#[test]
fn a_report_names_the_dashboard_that_is_configured_and_the_requests_from_which_the_slo_is_judged() {
    let url = "https://grafana.example.com/d/featheredge";
    let mut world = monitored(|config| config.telemetry.dashboard_url = Some(url.to_owned()));
    assert_eq!(get(&mut world, "/v1/stats")["dashboard_url"], url);
    assert_eq!(get(&mut world, "/v1/sla")["min_requests"], 10);
    assert_eq!(get(&mut World::new(), "/v1/stats").get("dashboard_url"), None);
}

#[test]
fn request_sizes_are_reported() {
    let mut world = monitored(|config| config.load.max_pending_requests = 4);
    // Memory answers the second of each.
    for _ in 0..2 {
        world.feast(&request(&["a", "b"], [1]));
        world.feast(&request(&["a"], 0..40));
        world.native(r#"{"entity_ids":[1,2,3],"feature_names":["x","y","x"]}"#);
        let request = world.start_lines(r#"{"entity_ids":[1,2,3],"feature_names":["x"]}"#);
        world.run();
        assert_eq!(world.answer(request).status, 200);
        world.run_for(100);
    }
    world.run_for(2_000);
    let sizes = get(&mut world, "/v1/stats")["sizes"].clone();
    assert_eq!(sizes, json!({"entities": 2 * (1 + 40 + 3 + 3), "features": 2 * (2 + 1 + 3 + 1)}));
    let metrics = world.report("/metrics");
    for line in [
        "featheredge_request_entities_total 94\n",
        "featheredge_request_features_total 14\n",
        "feast_online_features_entity_count_bucket{le=\"1\"} 2\n",
        "feast_online_features_entity_count_bucket{le=\"5\"} 6\n",
        "feast_online_features_entity_count_bucket{le=\"25\"} 6\n",
        "feast_online_features_entity_count_bucket{le=\"50\"} 8\n",
        "feast_online_features_entity_count_sum 94\n",
        "feast_online_features_entity_count_count 8\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
    world.feast(r#"{"feature_service":"activity","entities":{"driver_id":[1]}}"#);
    world.run_for(2_000);
    let members = get(&mut world, "/v1/stats")["sizes"]["features"].as_u64().unwrap() - 14;
    assert!(members > 0, "a service has the members that its rows have");
}
