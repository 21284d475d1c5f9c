//! Writes through the service: what was fetched before one is not served after it, and nothing else is lost.

use crate::world::{FORWARDED, Origin, World, request};

/// A world whose origin tells when each value was computed, with what is known of its views.
fn world() -> World {
    world_with(|_| {})
}

fn world_with(change: impl FnOnce(&mut config::Config)) -> World {
    let mut world = World::with_http_origin(|config| {
        let view = |keys: &[&str], sources: Option<&[&str]>| config::View {
            join_keys: keys.iter().map(|&key| key.to_owned()).collect(),
            sources: sources.map(|sources| sources.iter().map(|&view| view.to_owned()).collect()),
            ..Default::default()
        };
        config.views.insert("stats".to_owned(), view(&["driver_id"], Some(&[])));
        config.views.insert("other".to_owned(), view(&["driver_id"], Some(&[])));
        config.views.insert("computed".to_owned(), view(&["driver_id"], Some(&["stats"])));
        config.views.insert("unlisted".to_owned(), view(&["driver_id"], None));
        config.push_sources.insert("pushed".to_owned(), vec!["stats".to_owned()]);
        config.freshness.early_refresh_percent = 0;
        change(config);
    });
    world.origin = Origin::Labels;
    world
}

fn ask(view: &str, id: u64) -> String {
    format!(r#"{{"features":["{view}:x"],"entities":{{"driver_id":[{id}]}}}}"#)
}

fn write(world: &mut World, path: &str, body: &str) {
    let answer = world.call("POST", path, body.as_bytes());
    assert_eq!(answer.status, FORWARDED);
}

/// Which of these requests are answered anew after `change`, and not from memory.
fn refetched(world: &mut World, requests: &[(&str, u64)], change: impl FnOnce(&mut World)) -> Vec<bool> {
    let before: Vec<String> = requests.iter().map(|(view, id)| world.feast(&ask(view, *id)).text).collect();
    world.run_for(10);
    change(world);
    world.run_for(10);
    requests.iter().zip(before).map(|((view, id), before)| world.feast(&ask(view, *id)).text != before).collect()
}

const ROWS: [(&str, u64); 6] =
    [("stats", 1), ("stats", 2), ("other", 1), ("computed", 1), ("computed", 2), ("unknown", 2)];

#[test]
fn a_push_makes_the_rows_it_names_invisible_and_what_is_computed_from_them() {
    let body = r#"{"push_source_name":"pushed","df":{"driver_id":["1.0"],"x":[5]},"to":"online"}"#;
    let anew = refetched(&mut world(), &ROWS, |world| write(world, "/push", body));
    // Of a view of which nothing is known, nobody can say whether it has changed.
    assert_eq!(anew, [true, false, false, true, false, true]);
}

#[test]
fn with_the_origin_down_or_slow_nothing_from_before_a_write_is_served_either() {
    for (origin, expected) in [(Origin::IsDown, 502), (Origin::IsSlow, 504)] {
        let mut world = world();
        world.feast(&ask("stats", 1));
        world.run_for(7_000);
        write(&mut world, "/write-to-online-store", r#"{"feature_view_name":"stats","df":{"driver_id":[1]}}"#);
        world.run_for(10);
        world.origin = origin;
        let answer = world.feast(&ask("stats", 1));
        assert_eq!(answer.status, expected, "{}", answer.text);
    }
}

#[test]
fn a_write_to_a_view_does_the_same() {
    let body = r#"{"feature_view_name":"other","df":{"driver_id":[1],"x":[5]}}"#;
    let anew = refetched(&mut world(), &ROWS, |world| write(world, "/write-to-online-store", body));
    assert_eq!(anew, [false, false, true, false, false, true]);
}

#[test]
fn a_view_of_which_nobody_said_what_it_is_made_of_is_taken_to_be_made_of_what_was_written() {
    let body = r#"{"feature_view_name":"stats","df":{"driver_id":[1]}}"#;
    let rows = [("unlisted", 1), ("unlisted", 2)];
    assert_eq!(refetched(&mut world(), &rows, |world| write(world, "/write-to-online-store", body)), [true, false]);
}

#[test]
fn a_write_that_is_not_understood_makes_everything_invisible() {
    for (path, body) in [
        ("/push", "rubbish"),
        ("/push", r#"{"push_source_name":"unheard_of","df":{"driver_id":[1]}}"#),
        ("/write-to-online-store", r#"{"df":{}}"#),
    ] {
        let anew = refetched(&mut world(), &ROWS, |world| write(world, path, body));
        assert_eq!(anew, [true; 6], "{body}");
    }
    let without_keys = r#"{"feature_view_name":"stats","df":{"x":[1]}}"#;
    let anew = refetched(&mut world(), &ROWS, |world| write(world, "/write-to-online-store", without_keys));
    assert_eq!(anew, [true, true, false, true, true, true]);
}

#[test]
fn what_is_in_the_store_is_no_more_visible_than_what_is_in_memory() {
    let mut world = world();
    let before = world.feast(&ask("stats", 1)).text;
    world.run_for(5_000);
    write(&mut world, "/write-to-online-store", r#"{"feature_view_name":"stats","df":{"driver_id":[1]}}"#);
    world.run_for(10);
    let after = world.feast(&ask("stats", 1)).text;
    assert_ne!(after, before);
    assert_eq!(world.feast(&ask("stats", 1)).text, after, "what was fetched since is served from memory");
}

#[test]
fn a_fetch_that_was_under_way_when_the_write_was_acknowledged_is_not_served_after_it() {
    let mut world = world();
    world.origin_millis = 50;
    let early = world.start_feast(&ask("stats", 1));
    world.run_for(10);
    world.origin_millis = 5;
    write(&mut world, "/write-to-online-store", r#"{"feature_view_name":"stats","df":{"driver_id":[1]}}"#);
    let late = world.start_feast(&ask("stats", 1));
    world.run();
    assert_ne!(world.answer(early).text, world.answer(late).text);
    assert_eq!(world.feast(&ask("stats", 1)).text, world.answer(late).text);
}

#[test]
fn an_operator_invalidates_entities_a_view_or_everything() {
    for (body, expected, reply) in [
        (
            r#"{"view":"stats","entities":{"driver_id":[2]}}"#,
            [false, true, false, false, true, true],
            r#"{"invalidated":{"stats":1,"computed":1,"unlisted":1}}"#,
        ),
        (
            r#"{"view":"stats"}"#,
            [true, true, false, true, true, true],
            r#"{"invalidated":{"stats":"all","computed":"all","unlisted":"all"}}"#,
        ),
        (
            r#"{"view":"unknown"}"#,
            [false, false, false, false, false, true],
            r#"{"invalidated":{"unknown":"all","unlisted":"all"}}"#,
        ),
        (r#"{"everything":true}"#, [true; 6], r#"{"invalidated":"everything"}"#),
    ] {
        let anew = refetched(&mut world(), &ROWS, |world| {
            let answer = world.call("POST", "/v1/invalidate", body.as_bytes());
            assert_eq!((answer.status, answer.text.as_str()), (200, reply));
        });
        assert_eq!(anew, expected, "{body}");
    }
}

#[test]
fn nobody_else_invalidates_anything() {
    let anew = refetched(&mut world(), &ROWS, |world| {
        let request = world.start_as_anybody("/v1/invalidate", br#"{"everything":true}"#);
        assert_eq!(world.answer(request).status, 403);
    });
    assert_eq!(anew, [false; 6]);
}

#[test]
fn a_write_and_an_invalidation_may_be_just_as_long_as_is_allowed() {
    let body = r#"{"view":"stats","feature_view_name":"stats","df":{"driver_id":[1]}}"#;
    let invalidation = r#"{"view":"stats"}"#;
    for (more, statuses) in [(0, [FORWARDED, 200]), (1, [413, 413])] {
        let mut world = World::with_http_origin(|config| {
            config.limits.refuse = true;
            config.limits.write_body_bytes = body.len() - more;
            config.limits.body_bytes = invalidation.len() - more;
        });
        let write = world.call("POST", "/write-to-online-store", body.as_bytes());
        let invalidated = world.call("POST", "/v1/invalidate", invalidation.as_bytes());
        assert_eq!([write.status, invalidated.status], statuses);
    }
}

#[test]
fn a_write_of_which_nobody_has_read_the_body_may_have_changed_anything() {
    let body = r#"{"feature_view_name":"stats","df":{"driver_id":[1]}}"#;
    for (limit, expected) in [(body.len(), [true, false, false, true, false, true]), (body.len() - 1, [true; 6])] {
        let mut world = world_with(|config| config.limits.write_body_bytes = limit);
        let anew = refetched(&mut world, &ROWS, |world| write(world, "/write-to-online-store", body));
        assert_eq!(anew, expected);
    }
}

const MATERIALIZATION: &str = r#"{"end_ts":"2026-11-30T00:00:00","feature_views":["stats"]}"#;

/// Which of these requests, each made after so many milliseconds, are answered anew.
fn refetched_after(world: &mut World, view: &str, pauses: &[u64]) -> Vec<bool> {
    world.run_for(10);
    let mut before = world.feast(&ask(view, 1)).text;
    let anew = |pause: &u64| {
        world.run_for(*pause);
        let answer = world.feast(&ask(view, 1));
        assert_eq!(answer.status, 200);
        core::mem::replace(&mut before, answer.text.clone()) != answer.text
    };
    pauses.iter().map(anew).collect()
}

#[test]
fn while_a_job_may_write_a_view_its_rows_are_served_for_a_moment_only() {
    let mut world = world_with(|config| {
        config.writes.job_seconds = 60;
        config.writes.visible_within_ms = 500;
    });
    for view in ["stats", "other"] {
        world.feast(&ask(view, 1));
    }
    world.write_status = Some(202);
    write(&mut world, "/materialize", MATERIALIZATION);
    // The last of them comes when the job must be over: what was fetched before its end is from before it.
    let pauses = [1, 400, 600, 300, 30_000, 600, 40_000, 1_000, 20_000];
    let expected = [false, false, true, false, true, true, true, false, false];
    assert_eq!(refetched_after(&mut world, "stats", &pauses), expected);
    write(&mut world, "/materialize", MATERIALIZATION);
    assert_eq!(refetched_after(&mut world, "other", &[1, 600, 600]), [false; 3], "it names another view");
    assert_eq!(refetched_after(&mut world, "computed", &[1, 600, 600]), [false, true, true], "it is made of it");
}

#[test]
fn a_job_is_known_by_its_status() {
    for (path, status, is_job) in [
        ("/materialize", Some(200), false),
        ("/materialize", Some(409), false),
        ("/materialize", Some(202), true),
        ("/materialize-incremental", Some(202), true),
        // Nobody has waited for its end.
        ("/materialize", Some(502), true),
        ("/materialize", Some(504), true),
        // It was never sent.
        ("/materialize", None, false),
        // The offline store's part goes on.
        ("/push", Some(202), false),
        ("/push", Some(504), false),
        ("/anything", Some(202), true),
        ("/anything", Some(504), false),
    ] {
        let mut world = world();
        world.write_status = status;
        write(&mut world, path, MATERIALIZATION);
        assert_eq!(refetched_after(&mut world, "stats", &[2_000]), [is_job], "{path} {status:?}");
    }
    let mut world = world_with(|config| config.writes.job_seconds = 0);
    world.write_status = Some(202);
    write(&mut world, "/materialize", MATERIALIZATION);
    assert_eq!(refetched_after(&mut world, "stats", &[2_000]), [false], "no job goes on");
}

#[test]
fn a_write_is_counted() {
    let mut world = world();
    write(&mut world, "/write-to-online-store", r#"{"feature_view_name":"stats","df":{"driver_id":[1]}}"#);
    let metrics = world.report("/metrics");
    assert!(metrics.lines().any(|line| line.contains("writes") && line.ends_with(" 1")), "{metrics}");
}

#[test]
fn an_invalidation_that_names_nothing_is_refused() {
    let mut world = world();
    for body in [
        "",
        "{}",
        r#"{"everything":false}"#,
        r#"{"everything":true,"view":"stats"}"#,
        r#"{"veiw":"stats"}"#,
        r#"{"entities":{"driver_id":[1]}}"#,
        r#"{"view":"unknown","entities":{"driver_id":[1]}}"#,
        r#"{"view":"stats","entities":{"customer_id":[1]}}"#,
        r#"{"view":"stats","entities":{"driver_id":1}}"#,
        r#"{"view":["stats"]}"#,
    ] {
        assert_eq!(world.call("POST", "/v1/invalidate", body.as_bytes()).status, 422, "{body}");
    }
    assert_eq!(world.call("GET", "/v1/invalidate", b"").status, 405);
}

#[test]
fn with_invalidation_disabled_writes_invalidate_nothing() {
    let mut world = World::with_http_origin(|config| config.writes.invalidation = false);
    world.origin = Origin::Labels;
    let body = request(&["x"], [1]);
    let before = world.feast(&body).text;
    world.run_for(10);
    write(&mut world, "/push", "rubbish");
    assert_eq!(world.feast(&body).text, before);
}

#[test]
fn a_write_that_was_given_up_as_lost_makes_everything_invisible_when_it_is_answered_after_all() {
    let mut world = world();
    let before: Vec<String> = ROWS.iter().map(|(view, id)| world.feast(&ask(view, *id)).text).collect();
    world.origin_millis = 120_000;
    let write =
        world.start("POST", "/write-to-online-store", br#"{"feature_view_name":"stats","df":{"driver_id":[1]}}"#);
    world.run_for(60_000);
    world.origin_millis = 5;
    // With every so many requests is looked for those whose host has gone silent.
    for id in 1_000..1_300 {
        world.start_feast(&ask("stats", id));
        world.run_for(100);
    }
    world.run();
    assert_eq!(world.answer(write).status, FORWARDED);
    let after: Vec<String> = ROWS.iter().map(|(view, id)| world.feast(&ask(view, *id)).text).collect();
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
}

/// Whether a read of `read` is answered anew after a push of `written`; both are JSON.
fn is_refetched(read: &str, written: &str) -> bool {
    let mut world = world();
    let ask = format!(r#"{{"features":["stats:x"],"entities":{{"driver_id":[{read}]}}}}"#);
    let before = world.feast(&ask).text;
    world.run_for(10);
    let push = format!(r#"{{"push_source_name":"pushed","df":{{"driver_id":[{written}],"x":[5]}}}}"#);
    write(&mut world, "/push", &push);
    world.run_for(10);
    world.feast(&ask).text != before
}

#[test]
fn a_write_reaches_a_row_in_whatever_spelling_it_was_read() {
    for (one, other) in [
        ("1", "true"),
        ("0", "false"),
        ("\"True\"", "true"),
        ("102", "\" 102\\u00a0\""),
        ("102", "\"\\u2003+1_02\""),
        ("1002", "\"１００２\""),
        ("1002", "\"١٠٠٢\""),
        ("1001", "1001.7"),
        ("0", "0.5"),
        ("9007199254740992", "\"9007199254740993.0\""),
        ("1795420800000123392", "1.795420800000123456e18"),
        ("\"1795420800000123456\"", "1795420800000123456.0"),
        ("1000", "\"1e3\""),
        ("\"inf\"", "\"+Infinity\\u0020\""),
        ("\"123e4567-e89b-12d3-a456-426614174000\"", "\"{123E4567E89B12D3A456426614174000}\""),
    ] {
        assert!(is_refetched(one, other), "{one} read, {other} written");
        assert!(is_refetched(other, one), "{other} read, {one} written");
    }
    for (read, written) in [("1", "2"), ("\"a\"", "\"b\""), ("102", "\"1002\"")] {
        assert!(!is_refetched(read, written), "{read} read, {written} written");
    }
}

#[test]
fn a_key_that_may_equal_any_other_is_written_with_all_and_read_as_written_with_any() {
    for uncertain in ["\"2026-11-23\"", "\"2026-11-23T08:00:00Z\"", "null", "[1]", "{}", "\"1\u{1fffd}\""] {
        assert!(is_refetched("7", uncertain), "{uncertain} written");
        assert!(is_refetched(uncertain, "7"), "{uncertain} read");
    }
    // One row of another view does not concern it.
    let body = r#"{"feature_view_name":"other","df":{"driver_id":["2026-11-23"]}}"#;
    let rows = [("stats", 1), ("other", 1), ("other", 2), ("computed", 1)];
    let anew = refetched(&mut world(), &rows, |world| write(world, "/write-to-online-store", body));
    assert_eq!(anew, [false, true, true, false]);
}

#[test]
fn a_join_key_that_is_configured_twice_is_one() {
    let mut world = World::with_http_origin(|config| {
        let join_keys = ["driver_id", "driver_id"].map(str::to_owned).to_vec();
        let view = config::View { join_keys, sources: Some(Vec::new()), ..Default::default() };
        config.views.insert("stats".to_owned(), view);
        config.freshness.early_refresh_percent = 0;
    });
    world.origin = Origin::Labels;
    let body = r#"{"feature_view_name":"stats","df":{"driver_id":[1]}}"#;
    let rows = [("stats", 1), ("stats", 2)];
    assert_eq!(refetched(&mut world, &rows, |world| write(world, "/write-to-online-store", body)), [true, false]);
}

#[test]
fn a_view_is_marked_as_a_whole_where_a_version_of_it_has_other_join_keys() {
    let mut world = World::with_http_origin(|config| {
        let view = |keys: &[&str]| config::View {
            join_keys: keys.iter().map(|&key| key.to_owned()).collect(),
            sources: Some(Vec::new()),
            ..Default::default()
        };
        config.views.insert("stats".to_owned(), view(&["driver_id"]));
        config.views.insert("stats@v2".to_owned(), view(&["driver_id", "city"]));
    });
    world.origin = Origin::Labels;
    let ask = r#"{"features":["stats@v2:x"],"entities":{"driver_id":[1],"city":["x"]}}"#;
    let before = world.feast(ask).text;
    world.run_for(10);
    write(&mut world, "/write-to-online-store", r#"{"feature_view_name":"stats","df":{"driver_id":[1],"city":["x"]}}"#);
    world.run_for(10);
    assert_ne!(world.feast(ask).text, before);
}

#[test]
fn an_operator_may_name_entities_by_dates_and_means_the_view() {
    let mut world = world();
    let body = r#"{"view":"other","entities":{"driver_id":["2026-11-23"]}}"#;
    let answer = world.call("POST", "/v1/invalidate", body.as_bytes());
    assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"invalidated":{"other":"all","unlisted":"all"}}"#));
    for id in ["null", "[1]", "{}"] {
        let body = format!(r#"{{"view":"other","entities":{{"driver_id":[{id}]}}}}"#);
        assert_eq!(world.call("POST", "/v1/invalidate", body.as_bytes()).status, 422, "{id}");
    }
}

#[test]
fn a_write_whose_rows_find_no_memory_to_wait_in_is_one_to_the_whole_view() {
    let mut world = World::with_http_origin(|config| {
        let view =
            config::View { join_keys: vec!["driver_id".to_owned()], sources: Some(Vec::new()), ..Default::default() };
        config.views.insert("stats".to_owned(), view.clone());
        config.views.insert("other".to_owned(), view);
        config.memory.pending_bytes = 100_000;
        config.freshness.early_refresh_percent = 0;
    });
    world.origin = Origin::Labels;
    let ids: Vec<u64> = (1..20_000).collect();
    let body = serde_json::json!({"feature_view_name": "stats", "df": {"driver_id": ids}}).to_string();
    let rows = [("stats", 1), ("stats", 1_000_000), ("other", 1)];
    let anew = refetched(&mut world, &rows, |world| write(world, "/write-to-online-store", &body));
    assert_eq!(anew, [true, true, false]);
}
