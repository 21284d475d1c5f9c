//! What fails costs its own share: a store that is down, an origin that is down, slow or talks rubbish.

use model::time::Timestamp;
use origin::synthetic;
use service::{Effect, EffectId, Incoming, IoRequest, IoResult, OriginReply, Response, Transition};

use crate::world::{Origin, World, one_row, request};

#[test]
fn a_store_that_is_down_costs_no_answer() {
    let mut world = World::new();
    world.is_store_down = true;
    let answer = world.feast(&request(&["score"], [1]));
    assert_eq!((answer.status, world.origin_calls.len()), (200, 1));
    assert!(world.feast(&request(&["score"], [1])).is_immediate);
}

#[test]
fn a_corrupt_row_in_the_store_is_one_miss_and_spares_the_others() {
    let mut world = World::new();
    let body = request(&["score"], 1..=10);
    let before = world.feast(&body);
    let victim = world.store.keys().next().unwrap().clone();
    world.store.get_mut(&victim).unwrap()[20] ^= 0xff;
    world.restart();
    world.reset_counts();
    let answer = world.feast(&body);
    assert_eq!(answer.text, before.text);
    assert_eq!(world.origin_calls.len(), 1);
    assert_eq!(world.origin_calls[0].matches("driver_id").count(), 1);
    assert!(!world.origin_calls[0].contains("[1,2"), "one row alone is asked for: {}", world.origin_calls[0]);
    assert_eq!(world.service.engine().stores()[0].counts().damaged, 1);
}

#[test]
fn another_entitys_row_under_this_key_is_never_served() {
    let mut world = World::new();
    world.feast(&request(&["label"], [1]));
    let stolen = world.store.values().next().unwrap().clone();
    world.restart();
    world.feast(&request(&["label"], [2]));
    for value in world.store.values_mut() {
        *value = stolen.clone();
    }
    world.restart();
    let answer = world.feast(&request(&["label"], [2]));
    assert_eq!(answer.column("label"), ["\"value_2_label\""]);
    assert_eq!(world.service.engine().stores()[0].counts().other_key, 1);
}

#[test]
fn a_result_that_is_reported_twice_counts_once() {
    let mut world = World::with_http_origin(|config| config.routing.chunk_rows = 1);
    let body = request(&["score"], [1, 2]);
    let incoming =
        Incoming { method: "POST", path: "/get-online-features", body: body.as_bytes(), ..Incoming::default() };
    let now = Timestamp(world.now);
    let begun = world.service.begin(incoming, now);
    let id = |step: &Transition, is_meant: fn(&IoRequest) -> bool| -> Vec<EffectId> {
        step.effects.iter().filter(|order| is_meant(&order.request)).map(|order| order.id).collect()
    };
    let read = id(&begun, |task| matches!(task, IoRequest::ReadStore { .. }))[0];
    let read_twice = [0, 1].map(|_| world.service.complete(read, IoResult::Read(Ok(vec![None, None])), now));
    let calls: Vec<(EffectId, Vec<u8>)> = read_twice
        .into_iter()
        .flat_map(|step| step.effects)
        .filter_map(
            |Effect { id, request: task, .. }| {
                if let IoRequest::Fetch(call) = task { Some((id, call.body)) } else { None }
            },
        )
        .collect();
    assert_eq!(calls.len(), 2, "one for each row");
    let mut ends = Vec::new();
    for (id, body) in [&calls[0], &calls[0], &calls[1]] {
        let (status, body) = synthetic::answer(body, &world.service.config().limits, now);
        let reply = OriginReply { status, content_type: Some("application/json".to_owned()), body };
        ends.push(world.service.complete(*id, IoResult::Fetched(Ok(reply)), now).response);
    }
    assert!(matches!(&ends[..], [None, None, Some(Response::Reply(reply))] if reply.status() == 200), "{ends:?}");
}

#[test]
fn warm_rows_are_served_while_the_origin_is_down() {
    let mut world = World::with_http_origin(|_| {});
    let body = request(&["score"], [1, 2]);
    let before = world.feast(&body);
    world.origin = Origin::IsDown;
    assert_eq!(world.feast(&body).text, before.text);
    world.restart();
    assert_eq!(world.feast(&body).text, before.text, "from L2");
}

#[test]
fn a_stale_row_is_served_while_the_origin_is_down_and_not_for_ever() {
    let mut world = World::with_http_origin(|_| {});
    let body = request(&["score"], [1]);
    let before = world.feast(&body);
    world.origin = Origin::IsDown;
    world.pass_seconds(301);
    let stale = world.feast(&body);
    assert_eq!((stale.status, &stale.text), (200, &before.text));
    assert_eq!(stale.headers["age"], "301");
    assert!(stale.headers["cache-status"].contains("detail=stale"), "{}", stale.headers["cache-status"]);
    world.pass_seconds(3_600);
    assert_eq!(world.feast(&body).status, 502);
}

#[test]
fn a_bounded_read_gets_no_older_value_even_then() {
    let mut world = World::with_http_origin(|_| {});
    let body =
        r#"{"entity_ids":["a"],"feature_names":["score"],"consistency_level":"bounded","max_staleness_seconds":60}"#;
    world.native(body);
    world.origin = Origin::IsDown;
    world.pass_seconds(30);
    assert_eq!(world.native(body).status, 200);
    world.pass_seconds(60);
    assert_eq!(world.native(body).status, 502);
}

#[test]
fn what_is_there_is_served_and_the_rest_is_marked_invalid() {
    let mut world = World::with_http_origin(|_| {});
    let before = world.feast(&request(&["score"], [1]));
    world.origin = Origin::IsSlow;
    let answer = world.feast(&request(&["score", "count"], [1, 2]));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.column("driver_id"), ["1", "2"]);
    assert_eq!(answer.column("score"), [before.column("score")[0].as_str(), "null"]);
    assert_eq!(answer.statuses("score"), ["PRESENT", "INVALID"]);
    assert_eq!(answer.statuses("count"), ["INVALID", "INVALID"]);
    world.origin = Origin::Computes;
    assert_eq!(
        world.feast(&request(&["score", "count"], [1, 2])).statuses("count"),
        ["PRESENT", "PRESENT"],
        "nothing of it was kept"
    );
}

#[test]
fn an_answer_has_the_columns_of_views_too_of_which_there_is_nothing() {
    let mut world = World::with_http_origin(|config| {
        for (view, join_keys) in [("drivers", &["driver_id"][..]), ("pairs", &["driver_id", "rider_id"])] {
            let join_keys = join_keys.iter().map(|&key| key.to_owned()).collect();
            config.views.insert(view.to_owned(), config::View { join_keys, ..Default::default() });
        }
    });
    let driver = r#"{"features":["drivers:x"],"entities":{"driver_id":[1]}}"#;
    world.feast(driver);
    world.origin = Origin::IsDown;
    let both = r#"{"features":["pairs:y","drivers:x"],"entities":{"driver_id":[1],"rider_id":["7"]}}"#;
    let answer = world.feast(both);
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.names(), ["driver_id", "rider_id", "y", "x"]);
    assert_eq!(answer.column("rider_id"), ["\"7\""], "as it was asked for");
    assert_eq!([answer.statuses("y"), answer.statuses("x")], [["INVALID"], ["PRESENT"]]);
    assert_eq!(world.feast(driver).names(), ["driver_id", "x"], "its own alone");
}

#[test]
fn the_origins_errors_reach_the_caller_with_status_and_body() {
    let error = r#""{\"module\": \"feast.errors\", \"class\": \"FeatureViewNotFoundException\", \"message\": \"Feature view x does not exist\"}""#;
    for status in [404, 422, 500, 401] {
        let mut world = World::with_http_origin(|_| {});
        world.origin = Origin::Answers(status, error.to_owned());
        let answer = world.feast(&request(&["score"], [1]));
        assert_eq!((answer.status, answer.text.as_str()), (status, error));
        assert_eq!(world.writes.len(), 0);
        let native = world.native(r#"{"entity_ids":["a"],"feature_names":["score"]}"#);
        assert_eq!(native.status, status);
        assert!(native.json()["detail"].as_str().unwrap().contains("FeatureViewNotFoundException"));
    }
}

#[test]
fn a_caller_whose_requests_the_origin_refuses_does_not_make_it_look_ill_to_others() {
    let mut world = World::with_http_origin(|_| {});
    world.origin = Origin::Answers(500, r#""a null for a key""#.to_owned());
    for id in 0..100 {
        assert_eq!(world.feast(&request(&["score"], [id])).status, 500);
    }
    world.origin = Origin::Computes;
    assert_eq!(world.feast(&request(&["score"], [1])).status, 200);
}

#[test]
fn what_the_origin_refuses_is_refused_although_a_part_of_it_is_known() {
    let mut world = World::with_http_origin(|_| {});
    world.feast(&request(&["score"], [1, 2]));
    world.origin = Origin::Answers(500, r#""no such feature""#.to_owned());
    let answer = world.feast(&request(&["score", "mistyped"], [1, 2]));
    assert_eq!((answer.status, answer.text.as_str()), (500, r#""no such feature""#));
    assert_eq!(world.feast(&request(&["score"], [1, 2])).statuses("score"), ["PRESENT", "PRESENT"]);
}

#[test]
fn an_origin_that_is_mostly_quick_may_pause() {
    let mut world = World::with_http_origin(|_| {});
    world.origin_millis = 2;
    for id in 0..200 {
        world.feast(&request(&["score"], [id]));
    }
    world.origin_millis = 1_500;
    let answer = world.feast(&request(&["score"], [0, 1_000]));
    assert_eq!(answer.statuses("score"), ["PRESENT", "PRESENT"]);
}

#[test]
fn an_origin_that_cannot_be_reached_or_is_late_is_said_so() {
    let mut world = World::with_http_origin(|_| {});
    for (origin, status) in [(Origin::IsDown, 502), (Origin::IsSlow, 504)] {
        world.origin = origin;
        let answer = world.feast(&request(&["score"], [1]));
        assert_eq!(answer.status, status);
        assert!(answer.json().is_string());
    }
}

#[test]
fn an_answer_that_does_not_fit_is_refused_whole() {
    let good = one_row("1", &[("a", "1")]);
    let rubbish = [
        String::new(),
        "<html>".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        good.replace("\"values\":[1]", "\"values\":[1,2]"),
        good.replace("\"values\":[1]", "\"values\":[]"),
        good.replace("PRESENT", "PERHAPS"),
        good.replace("[\"PRESENT\"]", "[]"),
        good.replace("\"driver_id\",", ""),
        good.replace("\"values\":[1]", "\"values\":[1e999]"),
        good.replace("\"values\":[1]", &format!("\"values\":[{}]", "[".repeat(5_000))),
        good[..good.len() - 1].to_owned(),
        format!("{good}x"),
    ];
    for text in rubbish {
        let mut world = World::with_http_origin(|_| {});
        world.scripted.push_back((200, text.clone()));
        let answer = world.feast(&request(&["a"], [1]));
        assert_eq!(answer.status, 502, "{text}: {}", answer.text);
        assert_eq!((world.writes.len(), world.service.engine().memory().len()), (0, 0), "{text}");
    }
}

#[test]
fn requests_whose_callers_hung_up_are_forgotten() {
    use model::time::Timestamp;
    use service::Incoming;
    let mut world = World::new();
    for id in 0..1_000 {
        let body = request(&["score"], [id]);
        let incoming = Incoming {
            method: "POST",
            path: "/get-online-features",
            body: body.as_bytes(),
            has_authorization: false,
            is_operator: false,
            ..Incoming::default()
        };
        world.service.begin(incoming, Timestamp(world.now));
        world.now += 100;
    }
    assert!(world.service.under_way() < 400, "{}", world.service.under_way());
    assert_eq!(world.service.under_way(), world.service.engine().sessions());
}

#[test]
fn an_unknown_entity_is_asked_for_again_sooner() {
    let mut world = World::with_http_origin(|_| {});
    let unknown = one_row("1", &[("a", "null")])
        .replacen("\"PRESENT\"", "\"x\"", 1)
        .replace("[\"PRESENT\"]", "[\"NOT_FOUND\"]")
        .replace("\"x\"", "\"PRESENT\"");
    world.origin = Origin::Answers(200, unknown);
    let body = request(&["a"], [1]);
    assert_eq!(world.feast(&body).statuses("a"), ["NOT_FOUND"]);
    world.pass_seconds(29);
    assert!(world.feast(&body).is_immediate);
    world.pass_seconds(2);
    world.reset_counts();
    world.feast(&body);
    assert_eq!(world.origin_calls.len(), 1);
}

#[test]
fn a_blank_row_of_feasts_redis_store_counts_as_unknown_and_keeps_its_words() {
    let mut world = World::with_http_origin(|_| {});
    let blank = one_row("1", &[("a", "null")]).replace("2026-11-23T08:00:00Z", "1970-01-01T00:00:00Z");
    world.origin = Origin::Answers(200, blank);
    let body = request(&["a"], [1]);
    assert_eq!(world.feast(&body).statuses("a"), ["PRESENT"]);
    world.pass_seconds(31);
    world.reset_counts();
    world.feast(&body);
    assert_eq!(world.origin_calls.len(), 1);
}

/// A request for `score` of these entities, whose ids are JSON.
fn ask_of(ids: &str) -> String {
    format!(r#"{{"features":["stats:score"],"entities":{{"driver_id":[{ids}]}}}}"#)
}

/// An answer with these ids and scores, and whatever else its second column has.
fn response_of(ids: &str, scores: &str, more: &str) -> String {
    format!(
        r#"{{"results":[{{"values":[{ids}]}},{{"values":[{scores}]{more}}}],"metadata":{{"feature_names":["driver_id","score"]}}}}"#
    )
}

#[test]
fn an_answer_about_other_entities_is_not_taken_whatever_their_spelling() {
    for (asked, told, is_taken) in [
        ("1", "1", true),
        ("1", "1.0", true),
        ("1", "\"1\"", true),
        ("\"a\"", "\"\\u0061\"", true),
        ("\"A\"", "\"a\"", true),
        ("1", "2", false),
        ("1", "\"2\"", false),
        ("1", "\"b\"", false),
        ("1", "[1]", false),
        ("1", "true", true),
        ("0", "true", false),
        ("\"a\"", "\"b\"", false),
        ("9007199254740993", "9007199254740992", false),
    ] {
        let mut world = World::with_http_origin(|_| {});
        world.scripted.push_back((200, one_row(told, &[("score", "0.5")])));
        world.origin = Origin::IsDown;
        let answer = world.feast(&ask_of(asked));
        assert_eq!(answer.status, if is_taken { 200 } else { 502 }, "{asked}, {told}: {}", answer.text);
        assert_eq!(world.feast(&ask_of(asked)).status, if is_taken { 200 } else { 502 }, "nothing was kept");
    }
}

#[test]
fn an_origin_that_converts_keys_is_served_by_position_and_each_row_kept_under_the_key_that_was_asked_for() {
    let ids = [
        ("1001.7", "1001"),
        ("0.5", "0"),
        ("9007199254740993.0", "9007199254740992"),
        ("1.795420800000123456e18", "1795420800000123392"),
        ("\"１００２\"", "1002"),
        ("true", "1"),
        ("1001", "1001"),
    ];
    let list =
        |part: fn(&(&'static str, &'static str)) -> &'static str| ids.iter().map(part).collect::<Vec<_>>().join(",");
    let (asked, converted) = (list(|(asked, _)| asked), list(|(_, converted)| converted));
    let mut world = World::with_http_origin(|_| {});
    world.scripted.push_back((200, response_of(&converted, "10,11,12,13,14,15,16", "")));
    world.origin = Origin::IsDown;
    let answer = world.feast(&ask_of(&asked));
    assert_eq!(answer.column("score"), ["10", "11", "12", "13", "14", "15", "16"]);
    assert_eq!(answer.statuses("score"), ["PRESENT"; 7]);
    for ((id, _), score) in ids.iter().zip(10..) {
        let answer = world.feast(&ask_of(id));
        assert!(answer.is_immediate, "{id}");
        assert_eq!(answer.column("score"), [score.to_string()], "{id}");
    }
}

#[test]
fn a_row_of_another_entity_costs_itself_alone() {
    for (asked, told_ids) in [("1,2,3", "1,9,3"), ("1,2,3", "1,\"two\",3"), ("\"b\",\"a\",\"c\"", "\"b\",\"c\",\"c\"")]
    {
        let mut world = World::with_http_origin(|_| {});
        world.scripted.push_back((200, response_of(told_ids, "10,20,30", "")));
        let answer = world.feast(&ask_of(asked));
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.column("score"), ["10", "null", "30"], "{asked}: {told_ids}");
        assert_eq!(answer.statuses("score"), ["PRESENT", "INVALID", "PRESENT"]);
        world.origin = Origin::IsDown;
        let odd = asked.split(',').nth(1).unwrap();
        assert_eq!(world.feast(&ask_of(odd)).status, 502, "it is not kept");
        let others = [asked.split(',').next().unwrap(), asked.split(',').nth(2).unwrap()].join(",");
        assert_eq!(world.feast(&ask_of(&others)).column("score"), ["10", "30"], "the others are");
    }
}

#[test]
fn rows_that_stand_in_each_others_places_are_not_taken_for_spellings() {
    let mut world = World::with_http_origin(|_| {});
    world.scripted.push_back((200, response_of("\"A\",\"a\"", "10,20", "")));
    assert_eq!(world.feast(&ask_of("\"a\",\"A\"")).status, 502);
    // An origin that reads both as one has one of them in its place.
    world.scripted.push_back((200, response_of("\"a\",\"a\"", "10,10", "")));
    assert_eq!(world.feast(&ask_of("\"a\",\"A\"")).column("score"), ["10", "10"]);
}

#[test]
fn a_key_is_not_explained_by_another_column_where_the_join_keys_are_known() {
    let body = r#"{"features":["pairs:x"],"entities":{"a":[1],"b":[2.5]}}"#;
    let answer =
        r#"{"results":[{"values":[2]},{"values":[2]},{"values":[5]}],"metadata":{"feature_names":["a","b","x"]}}"#;
    for (is_known, status) in [(true, 502), (false, 200)] {
        let mut world = World::with_http_origin(|config| {
            if is_known {
                let join_keys = vec!["a".to_owned(), "b".to_owned()];
                config.views.insert("pairs".to_owned(), config::View { join_keys, ..Default::default() });
            }
        });
        world.scripted.push_back((200, answer.to_owned()));
        assert_eq!(world.feast(body).status, status, "{is_known}");
    }
}

#[test]
fn a_status_that_nobody_understands_costs_its_value_alone() {
    for (more, statuses) in [
        (r#","statuses":["PRESENT","PERHAPS","NOT_FOUND"]"#, ["PRESENT", "INVALID", "NOT_FOUND"]),
        (r#","statuses":[1,7,3]"#, ["PRESENT", "INVALID", "NOT_FOUND"]),
        (r#","statuses":[null,{},"NULL\u005fVALUE"]"#, ["PRESENT", "INVALID", "NULL_VALUE"]),
    ] {
        let mut world = World::with_http_origin(|_| {});
        world.scripted.push_back((200, response_of("1,2,3", "10,20,null", more)));
        let answer = world.feast(&ask_of("1,2,3"));
        assert_eq!(answer.statuses("score"), statuses, "{more}");
        assert_eq!(answer.column("score"), ["10", "null", "null"]);
        world.scripted.push_back((200, response_of("2", "21", "")));
        assert_eq!(world.feast(&ask_of("2")).column("score"), ["21"], "it is asked for again");
        assert!(world.feast(&ask_of("1,3")).is_immediate, "the others are kept");
    }
}

#[test]
fn statuses_that_are_not_as_many_as_the_values_cost_their_column_alone() {
    for statuses in [r#"[]"#, r#"["PRESENT"]"#, r#"["PRESENT","PRESENT","PRESENT"]"#] {
        let mut world = World::with_http_origin(|_| {});
        let answer = format!(
            r#"{{"results":[{{"values":[1,2]}},{{"values":[10,20],"statuses":{statuses}}},{{"statuses":["NOT_FOUND","PRESENT"],"values":[null,21]}}],"metadata":{{"feature_names":["driver_id","a","b"]}}}}"#
        );
        world.scripted.push_back((200, answer));
        let answer = world.feast(&request(&["a", "b"], [1, 2]));
        assert_eq!(
            (answer.column("a"), answer.statuses("a")),
            (vec!["null".to_owned(); 2], vec!["INVALID".to_owned(); 2])
        );
        assert_eq!(answer.statuses("b"), ["NOT_FOUND", "PRESENT"]);
        assert_eq!(answer.column("b"), ["null", "21"]);
    }
}

#[test]
fn an_event_time_that_cannot_be_read_is_unknown_and_costs_nothing() {
    for (time, expected) in [
        (r#""2026-11-23T08:00:00""#, "2026-11-23T08:00:00Z"),
        (r#""2026-11-23 09:00:00+01""#, "2026-11-23T08:00:00Z"),
        (r#""2026-11-23T09:00:00\u002b0100""#, "2026-11-23T08:00:00Z"),
        (r#""2026-11-23""#, "2026-11-23T00:00:00Z"),
        ("1795420800", "2026-11-23T08:00:00Z"),
        ("1795420800000", "2026-11-23T08:00:00Z"),
        (r#""yesterday""#, "1970-01-01T00:00:00Z"),
        ("null", "1970-01-01T00:00:00Z"),
        (r#"{"seconds":1}"#, "1970-01-01T00:00:00Z"),
        ("1e99", "1970-01-01T00:00:00Z"),
    ] {
        let mut world = World::with_http_origin(|_| {});
        let times = format!(r#","statuses":["PRESENT","PRESENT"],"event_timestamps":["2026-11-22T00:00:00Z",{time}]"#);
        world.scripted.push_back((200, response_of("1,2", "10,20", &times)));
        let answer = world.feast(&ask_of("1,2"));
        assert_eq!(answer.column("score"), ["10", "20"], "{time}: {}", answer.text);
        assert_eq!(answer.statuses("score"), ["PRESENT", "PRESENT"]);
        let json = answer.json();
        assert_eq!(json["results"][1]["event_timestamps"][0], "2026-11-22T00:00:00Z");
        assert_eq!(json["results"][1]["event_timestamps"][1], expected, "{time}");
        assert!(world.feast(&ask_of("2")).is_immediate);
    }
    for times in [r#"[]"#, r#"["2026-11-23T08:00:00Z"]"#, r#"[1795420800,1795420800,1795420800]"#] {
        let mut world = World::with_http_origin(|_| {});
        world.scripted.push_back((200, response_of("1,2", "10,20", &format!(r#","event_timestamps":{times}"#))));
        let answer = world.feast(&ask_of("1,2"));
        assert_eq!(answer.column("score"), ["10", "20"], "{times}");
        assert_eq!(
            answer.json()["results"][1]["event_timestamps"][0],
            "1970-01-01T00:00:00Z",
            "nobody can tell whose it is"
        );
    }
}

#[test]
fn a_null_whose_status_the_origin_does_not_say_is_present_and_kept_as_long_as_any_value() {
    for more in [
        "",
        r#","statuses":[null,null]"#,
        r#","event_timestamps":["1970-01-01T00:00:00Z","1970-01-01T00:00:00Z"]"#,
        r#","statuses":["PRESENT","PRESENT"]"#,
        r#","statuses":["PRESENT","PRESENT"],"event_timestamps":["yesterday","yesterday"]"#,
        r#","statuses":["NULL_VALUE","NULL_VALUE"],"event_timestamps":["1970-01-01T00:00:00Z","1970-01-01T00:00:00Z"]"#,
    ] {
        let mut world = World::with_http_origin(|_| {});
        world.origin = Origin::Answers(200, response_of("1,2", "null,5", more));
        let status = if more.contains("NULL_VALUE") { "NULL_VALUE" } else { "PRESENT" };
        let answer = world.feast(&ask_of("1,2"));
        assert_eq!(
            (answer.statuses("score"), answer.column("score")),
            (vec![status.to_owned(); 2], vec!["null".to_owned(), "5".to_owned()])
        );
        world.pass_seconds(200);
        assert!(world.feast(&ask_of("1,2")).is_immediate, "{more}");
    }
}
