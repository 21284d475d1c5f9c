//! Feast's contract, as a client of Feast sees it.

use crate::world::{FORWARDED, Origin, World, one_row, request};

#[test]
fn join_keys_come_first_and_every_column_has_values_statuses_and_times() {
    let mut world = World::new();
    let answer = world.feast(&request(&["score", "label"], [5, 6]));
    assert_eq!(answer.names(), ["driver_id", "score", "label"]);
    assert_eq!(answer.column("driver_id"), ["5", "6"]);
    assert_eq!(answer.column("label"), ["\"value_5_label\"", "\"value_6_label\""]);
    let json = answer.json();
    assert_eq!(json["results"][0]["event_timestamps"][0], "1970-01-01T00:00:00Z");
    assert_eq!(json["results"][1]["event_timestamps"][0], "2026-11-23T08:00:00Z");
    assert!(
        answer.text.starts_with(r#"{"results":[{"values":[5,6],"statuses":["PRESENT","PRESENT"],"event_timestamps":["#)
    );
}

#[test]
fn features_come_in_the_order_of_the_request_warm_and_cold() {
    let mut world = World::new();
    let cold = world.feast(&request(&["label", "score"], [1]));
    let warm = world.feast(&request(&["score", "label"], [1]));
    assert_eq!(cold.names(), ["driver_id", "label", "score"]);
    assert_eq!(warm.names(), ["driver_id", "score", "label"]);
    assert!(warm.is_immediate);
    assert_eq!(cold.column("score"), warm.column("score"));
}

#[test]
fn full_names_carry_the_view_and_have_rows_of_their_own_since_feast_answers_some_features_in_one_form_only() {
    let mut world = World::new();
    world.feast(&request(&["score"], [1]));
    let body = request(&["score"], [1]).replace("}}", r#"},"full_feature_names":true}"#);
    for is_warm in [false, true] {
        let answer = world.feast(&body);
        assert_eq!(
            (answer.is_immediate, answer.names()),
            (is_warm, vec!["driver_id".to_owned(), "stats__score".to_owned()])
        );
    }
}

#[test]
fn a_version_in_a_reference_is_a_view_of_its_own() {
    let mut world = World::new();
    world.feast(r#"{"features":["stats:count"],"entities":{"driver_id":[1]}}"#);
    world.reset_counts();
    let answer =
        world.feast(r#"{"features":["stats@v2:count"],"entities":{"driver_id":[1]},"full_feature_names":true}"#);
    assert_eq!(world.origin_calls.len(), 1);
    assert_eq!(answer.names(), ["driver_id", "stats@v2__count"]);
}

#[test]
fn a_feature_service_is_served_from_memory_after_its_first_answer() {
    let mut world = World::new();
    let body = r#"{"feature_service":"ranking","entities":{"driver_id":[1,2]}}"#;
    let cold = world.feast(body);
    assert_eq!(cold.names(), ["driver_id", "score", "count", "label", "embedding"]);
    assert_eq!(
        world.origin_calls,
        [r#"{"feature_service":"ranking","entities":{"driver_id":[1,2]},"full_feature_names":false}"#]
    );
    let warm = world.feast(body);
    assert!(warm.is_immediate);
    assert_eq!(warm.text, cold.text);
    world.restart();
    world.reset_counts();
    assert_eq!(world.feast(body).text, cold.text);
    assert_eq!((world.origin_calls.len(), world.reads.len()), (0, 1), "the rows in L2 carry the members");
    world.reset_counts();
    let partly = world.feast(r#"{"feature_service":"ranking","entities":{"driver_id":[2,3]}}"#);
    assert_eq!(
        world.origin_calls,
        [r#"{"feature_service":"ranking","entities":{"driver_id":[3]},"full_feature_names":false}"#]
    );
    assert_eq!(partly.names(), cold.names());
}

#[test]
fn a_service_that_gains_a_member_is_answered_whole() {
    let mut world = World::with_http_origin(|_| {});
    let answer = |ids: &[u32], members: &[&str]| {
        let list = |item: &dyn Fn(u32) -> String| ids.iter().map(|&id| item(id)).collect::<Vec<_>>().join(",");
        let column = |values: String| {
            let (statuses, times) =
                (list(&|_| "\"PRESENT\"".to_owned()), list(&|_| "\"2026-11-23T08:00:00Z\"".to_owned()));
            format!(r#"{{"values":[{values}],"statuses":[{statuses}],"event_timestamps":[{times}]}}"#)
        };
        let mut columns = vec![column(list(&|id| id.to_string()))];
        columns.extend(members.iter().map(|member| column(list(&|id| format!("\"{member}{id}\"")))));
        let names: Vec<String> = members.iter().map(|member| format!(",\"{member}\"")).collect();
        format!(
            r#"{{"results":[{}],"metadata":{{"feature_names":["driver_id"{}]}}}}"#,
            columns.join(","),
            names.join("")
        )
    };
    let body = |ids: &str| format!(r#"{{"feature_service":"s","entities":{{"driver_id":[{ids}]}}}}"#);
    world.scripted.push_back((200, answer(&[1], &["a"])));
    world.feast(&body("1"));
    world.pass_seconds(5);
    world.scripted.push_back((200, answer(&[2], &["a", "b"])));
    world.feast(&body("2"));
    world.scripted.push_back((200, answer(&[1], &["a", "b"])));
    let whole = world.feast(&body("1,2"));
    assert_eq!(whole.names(), ["driver_id", "a", "b"]);
    assert_eq!(whole.column("b"), ["\"b1\"", "\"b2\""]);
    assert_eq!(whole.statuses("b"), ["PRESENT", "PRESENT"]);
}

#[test]
fn a_removed_member_of_a_feature_service_is_gone_after_a_refetch() {
    let mut world = World::with_http_origin(|_| {});
    let body = r#"{"feature_service":"s","entities":{"driver_id":[1]}}"#;
    world.scripted.push_back((200, one_row("1", &[("a", "1"), ("b", "2")])));
    assert_eq!(world.feast(body).names(), ["driver_id", "a", "b"]);
    world.pass_seconds(600);
    world.scripted.push_back((200, one_row("1", &[("a", "3")])));
    let answer = world.feast(body);
    assert_eq!(
        (answer.names(), answer.column("a")),
        (vec!["driver_id".to_owned(), "a".to_owned()], vec!["3".to_owned()])
    );
    assert_eq!(world.feast(body).text, answer.text, "nor does memory bring it back");
}

#[test]
fn a_row_that_lacks_a_new_member_is_refetched_beside_one_that_has_it() {
    let mut world = World::with_http_origin(|_| {});
    let body = |ids: &str| format!(r#"{{"feature_service":"s","entities":{{"driver_id":[{ids}]}}}}"#);
    world.scripted.push_back((200, one_row("1", &[("a", "1")])));
    world.feast(&body("1"));
    world.pass_seconds(5);
    world.scripted.push_back((200, one_row("2", &[("a", "2"), ("b", "20")])));
    world.scripted.push_back((200, one_row("1", &[("a", "3"), ("b", "30")])));
    let answer = world.feast(&body("1,2"));
    assert_eq!((answer.names(), world.scripted.len()), (["driver_id", "a", "b"].map(str::to_owned).to_vec(), 0));
    assert_eq!(
        (answer.column("a"), answer.column("b")),
        (vec!["3".to_owned(), "2".to_owned()], vec!["30".to_owned(), "20".to_owned()])
    );
}

/// An answer of a feature service whose members these are, for these entities.
fn of_service(ids: &[u64], members: &[&str]) -> (u16, String) {
    let column = |values: Vec<String>, time: &str| {
        let statuses = vec!["PRESENT"; ids.len()];
        serde_json::json!({"values": values, "statuses": statuses, "event_timestamps": vec![time; ids.len()]})
    };
    let value = |member: &str| ids.iter().map(|id| format!("{member}{id}")).collect();
    let mut results = vec![serde_json::json!({"values": ids, "statuses": vec!["PRESENT"; ids.len()],
        "event_timestamps": vec!["1970-01-01T00:00:00Z"; ids.len()]})];
    results.extend(members.iter().map(|member| column(value(member), "2026-11-23T08:00:00Z")));
    let names: Vec<&str> = ["driver_id"].iter().chain(members).copied().collect();
    (200, serde_json::json!({"results": results, "metadata": {"feature_names": names}}).to_string())
}

#[test]
fn a_row_that_lacks_a_new_member_is_refetched_after_many_that_were_missing() {
    let mut world = World::with_http_origin(|_| {});
    let body = |ids: &str| format!(r#"{{"feature_service":"s","entities":{{"driver_id":[{ids}]}}}}"#);
    world.scripted.push_back(of_service(&[1], &["a"]));
    world.feast(&body("1"));
    world.pass_seconds(5);
    world.scripted.push_back(of_service(&[2, 3, 4, 5, 6, 7], &["a", "b"]));
    world.scripted.push_back(of_service(&[1], &["a", "b"]));
    let answer = world.feast(&body("1,2,3,4,5,6,7"));
    let expected: Vec<String> = (1..8).map(|id| format!("\"b{id}\"")).collect();
    assert_eq!((answer.column("b"), world.scripted.len()), (expected, 0));
}

#[test]
fn a_member_that_a_service_has_lost_does_not_come_back_beside_a_newer_row_of_a_store() {
    let mut world = World::with_http_origin(|_| {});
    let other = world.add_isolate(0);
    let body = r#"{"feature_service":"s","entities":{"driver_id":[1]}}"#;
    world.scripted.push_back(of_service(&[1], &["a", "b"]));
    world.feast(body);
    world.pass_seconds(600);
    world.switch_to(other);
    world.scripted.push_back(of_service(&[1], &["a"]));
    world.feast(body);
    world.switch_to(0);
    world.reset_counts();
    let answer = world.feast(body);
    assert_eq!(answer.names(), ["driver_id", "a"]);
    assert_eq!((world.reads.len(), world.origin_calls.len()), (1, 0));
}

#[test]
fn a_service_is_written_as_it_was_fetched_and_nothing_is_read_to_be_merged_with_it() {
    let mut world = World::with_http_origin(|_| {});
    let body = |level: &str| {
        format!(r#"{{"feature_service":"s","entities":{{"driver_id":[1]}},"consistency_level":"{level}"}}"#)
    };
    for members in [&["a", "b"][..], &["a", "b", "c"], &["a"]] {
        world.scripted.push_back(of_service(&[1], members));
        assert_eq!(world.native(&body("strong")).status, 200);
    }
    world.run_for(5_000);
    assert_eq!((&world.reads[..], &world.writes[..]), (&[][..], &[1, 1][..]));
    world.restart();
    world.origin = Origin::IsDown;
    let answer = world.native(&body("eventual"));
    assert_eq!(answer.json()["features"]["1"].as_object().unwrap().len(), 1, "{}", answer.text);
}

#[test]
fn what_is_known_of_a_feature_service_is_served_while_the_origin_is_down() {
    let mut world = World::with_http_origin(|_| {});
    let body = r#"{"feature_service":"s","entities":{"driver_id":[1]}}"#;
    world.scripted.push_back((200, one_row("1", &[("a", "1"), ("b", "2")])));
    world.feast(body);
    world.pass_seconds(600);
    world.origin = Origin::IsDown;
    let answer = world.feast(body);
    assert_eq!((answer.status, answer.column("b")), (200, vec!["2".to_owned()]));
    assert!(answer.headers["cache-status"].contains("detail=stale"), "{:?}", answer.headers);
}

#[test]
fn request_data_of_on_demand_views_is_part_of_the_key() {
    let mut world = World::new();
    let body = |value: u32| {
        format!(r#"{{"features":["stats:score","plus:label"],"entities":{{"driver_id":[1],"val_to_add":[{value}]}}}}"#)
    };
    assert_eq!(world.feast(&body(1)).column("label"), ["\"value_1,1_label\""]);
    assert_eq!(world.feast(&body(2)).column("label"), ["\"value_1,2_label\""]);
    assert_eq!(world.origin_calls.len(), 2);
}

#[test]
fn what_only_the_origin_may_judge_goes_there_as_it_came() {
    for body in [
        r#"{"features":["stats:a","stats:a"],"entities":{"driver_id":[1]}}"#,
        r#"{"features":["stats:a","other:a"],"entities":{"driver_id":[1]}}"#,
        r#"{"features":["a"],"entities":{"driver_id":[1]}}"#,
        r#"{"features":[],"entities":{"driver_id":[1]}}"#,
        r#"{"entities":{"driver_id":[1]}}"#,
        r#"{"features":["stats:a"],"entities":{"driver_id":[]}}"#,
        r#"{"features":["stats:a"],"entities":{}}"#,
        r#"{"features":["stats:a"],"entities":{"driver_id":[1]},"full_feature_names":"yes"}"#,
        r#"{"features":["stats:a"],"entities":{"driver_id":[1]},"include_feature_view_version_metadata":true}"#,
        r#"{"features":["stats:a"],"entities":{"driver_id":[1]},"a_field_of_tomorrow":1}"#,
    ] {
        let mut world = World::with_http_origin(|_| {});
        let answer = world.feast(body);
        assert_eq!((answer.status, answer.text.as_str()), (299, "http://origin.example"), "{body}");
    }
}

#[test]
fn unknown_paths_go_to_the_origin_and_ours_do_not() {
    let mut world = World::with_http_origin(|_| {});
    for (method, path) in [
        ("POST", "/push"),
        ("POST", "/write-to-online-store"),
        ("GET", "/docs"),
        ("GET", "/get-online-features"),
        ("DELETE", "/x"),
    ] {
        assert_eq!(world.call(method, path, b"").status, 299, "{method} {path}");
    }
    assert_eq!(world.call("GET", "/health", b"").status, 200);
    assert_eq!(world.call("GET", "/openapi.json", b"").status, 298);
    assert_eq!(world.call("GET", "/", b"").status, 298);
    assert_eq!(world.call("GET", "/v1/features", b"").status, 405);
    assert_eq!(World::new().call("POST", "/push", b"").status, 404);
}

#[test]
fn a_callers_own_credentials_are_the_origins_to_judge() {
    use model::time::Timestamp;
    use service::{Incoming, Response};
    let mut world = World::with_http_origin(|_| {});
    let body = request(&["score"], [1]);
    world.feast(&body);
    let incoming = Incoming {
        method: "POST",
        path: "/get-online-features",
        body: body.as_bytes(),
        has_authorization: true,
        is_operator: false,
        ..Incoming::default()
    };
    let step = world.service.begin(incoming, Timestamp(world.now));
    assert!(matches!(step.response, Some(Response::Forward { .. })));
}

#[test]
fn the_registry_says_how_views_are_keyed() {
    let mut world = World::with_http_origin(|config| {
        config.registry =
            Some(config::Registry { url: "http://registry.example/".to_owned(), project: None, ttl_seconds: 300 });
    });
    let registry = r#"{"featureViews":[{"spec":{"name":"drivers","entityColumns":[{"name":"driver_id"}]}},{"spec":{"name":"customers","entityColumns":[{"name":"customer_id"}]}}]}"#;
    world.scripted.push_back((200, registry.to_owned()));
    let body = |driver: u32, customer: u32| {
        format!(
            r#"{{"features":["drivers:x","customers:y"],"entities":{{"driver_id":[{driver}],"customer_id":[{customer}]}}}}"#
        )
    };
    assert_eq!(world.feast(&body(1, 1)).status, 200);
    world.reset_counts();
    world.feast(&body(1, 2));
    assert_eq!(world.reads, [1], "the driver's row is shared");
    world.pass_seconds(301);
    world.scripted.push_back((200, registry.to_owned()));
    world.reset_counts();
    world.feast(&body(1, 2));
    assert_eq!(
        world.origin_calls.len(),
        2,
        "the registry is asked again behind the request, and rows are past their time"
    );
}

#[test]
fn a_registry_that_is_down_costs_sharing_and_no_answer() {
    let mut world = World::with_http_origin(|config| {
        config.registry =
            Some(config::Registry { url: "http://registry.example".to_owned(), project: None, ttl_seconds: 300 });
    });
    world.scripted.push_back((500, "{}".to_owned()));
    let answer = world.feast(&request(&["score"], [1]));
    assert_eq!(answer.status, 200);
    assert!(world.feast(&request(&["score"], [1])).is_immediate, "it is not asked for each request");
}

#[test]
fn an_answer_that_leaves_features_out_is_the_origins_to_give_each_time() {
    let mut world = World::with_http_origin(|_| {});
    world.scripted.push_back((200, one_row("1", &[("a", "1")])));
    let body = request(&["a", "b"], [1]);
    let answer = world.feast(&body);
    assert_eq!((answer.status, answer.text.as_str()), (FORWARDED, "http://origin.example"));
    let again = world.feast(&body);
    assert_eq!((again.status, again.is_immediate), (FORWARDED, true));
    assert_eq!(world.feast(&request(&["a"], [1])).status, 200, "requests of another shape are served");
    assert_eq!(world.service.under_way(), 0);
}

#[test]
fn versions_go_out_as_feast_spells_them() {
    let mut world = World::new();
    for (asked, named) in [
        ("stats@", "stats"),
        ("stats@Latest", "stats"),
        ("stats@V01", "stats@v1"),
        ("stats@v0", "stats@v0"),
        ("stats@1", "stats@1"),
    ] {
        let body = format!(r#"{{"features":["{asked}:a"],"entities":{{"driver_id":[1]}},"full_feature_names":true}}"#);
        assert_eq!(world.feast(&body).names(), ["driver_id".to_owned(), format!("{named}__a")], "{asked}");
    }
}

#[test]
fn the_order_of_columns_counts_where_it_is_not_known_what_keys_a_view() {
    let mut world = World::with_http_origin(|_| {});
    let body = |columns: &str| format!(r#"{{"features":["stats:a"],"entities":{{{columns}}}}}"#);
    for (columns, id, value) in [
        (r#""driver":[1],"driver_id":[2]"#, "2", "20"),
        (r#""driver_id":[2],"driver":[1]"#, "2", "10"),
        (r#""driver_id":[1],"driver":[2]"#, "1", "21"),
    ] {
        world.scripted.push_back((200, one_row(id, &[("a", value)])));
        assert_eq!(world.feast(&body(columns)).column("a"), [value]);
        assert_eq!(world.feast(&body(columns)).column("a"), [value]);
    }
}
