//! Rows, not cells: what is known of an entity is completed, and keys never meet.

use crate::world::{World, one_row, request};

#[test]
fn asking_for_one_more_feature_fetches_that_one_alone() {
    let mut world = World::new();
    let first = world.feast(&request(&["score", "count"], [1]));
    world.reset_counts();
    let second = world.feast(&request(&["count", "label"], [1]));
    assert_eq!(world.origin_calls.len(), 1);
    assert!(world.origin_calls[0].contains(r#""features":["stats:label"]"#), "{}", world.origin_calls[0]);
    assert_eq!(first.column("count"), second.column("count"));
    assert!(world.feast(&request(&["label", "score", "count"], [1])).is_immediate);
    // The store takes one write of a key in a second; the completed row is put off until then.
    world.run_for(2_000);
    world.restart();
    world.reset_counts();
    world.feast(&request(&["label", "score", "count"], [1]));
    assert_eq!((world.origin_calls.len(), world.reads.len()), (0, 1), "the store has the completed row");
}

#[test]
fn a_request_that_lacks_different_features_of_different_rows_makes_one_call() {
    let mut world = World::new();
    world.feast(&request(&["score"], [1]));
    world.feast(&request(&["count"], [2]));
    world.reset_counts();
    let answer = world.feast(&request(&["score", "count"], [1, 2, 3]));
    assert_eq!(world.origin_calls.len(), 1);
    assert_eq!(answer.column("score").len(), 3);
    assert!(answer.statuses("count").iter().all(|status| status == "PRESENT"));
    assert!(world.feast(&request(&["score", "count"], [3, 2, 1])).is_immediate);
}

#[test]
fn an_id_that_is_a_number_and_one_that_is_a_string_are_two_entities() {
    let mut world = World::new();
    world.feast(r#"{"features":["stats:label"],"entities":{"driver_id":[1]}}"#);
    world.reset_counts();
    let answer = world.feast(r#"{"features":["stats:label"],"entities":{"driver_id":["1"]}}"#);
    assert_eq!(world.origin_calls.len(), 1);
    assert_eq!(answer.column("driver_id"), ["\"1\""]);
}

#[test]
fn an_escaped_id_and_a_plain_one_are_the_same_entity() {
    let mut world = World::new();
    world.feast(r#"{"features":["stats:label"],"entities":{"driver_id":["A/é"]}}"#);
    assert!(world.feast(r#"{"features":["stats:label"],"entities":{"driver_id":["\u0041\/\u00e9"]}}"#).is_immediate);
}

#[test]
fn no_separator_in_an_id_reaches_another_entity() {
    let mut world = World::new();
    let body = |a: &str, b: &str| format!(r#"{{"features":["v:label"],"entities":{{"a":["{a}"],"b":["{b}"]}}}}"#);
    world.feast(&body("a", "b:c"));
    world.reset_counts();
    let answer = world.feast(&body("a:b", "c"));
    assert_eq!(world.origin_calls.len(), 1);
    assert_eq!(answer.column("label"), ["\"value_a:b,c_label\""]);
}

#[test]
fn views_with_known_join_keys_share_rows_and_others_are_keyed_by_the_whole_entity_row() {
    let known = |config: &mut config::Config| {
        for (view, key) in [("drivers", "driver_id"), ("customers", "customer_id")] {
            let view_config = config::View { join_keys: vec![key.to_owned()], ..Default::default() };
            config.views.insert(view.to_owned(), view_config);
        }
    };
    let body = |driver: u32, customer: u32| {
        format!(
            r#"{{"features":["drivers:x","customers:y"],"entities":{{"driver_id":[{driver}],"customer_id":[{customer}]}}}}"#
        )
    };
    let mut world = World::with(known);
    world.feast(&body(1, 1));
    world.reset_counts();
    world.feast(&body(1, 2));
    assert_eq!(world.reads, [1], "the driver's row is shared, the customer's is new");
    assert!(world.origin_calls[0].contains(r#""features":["customers:y"]"#), "{}", world.origin_calls[0]);

    let mut world = World::new();
    world.feast(&body(1, 1));
    world.reset_counts();
    world.feast(&body(1, 2));
    assert_eq!(world.reads, [1], "the two views are one row of one whole entity");
    assert!(world.origin_calls[0].contains(r#""features":["drivers:x","customers:y"]"#), "{}", world.origin_calls[0]);
}

#[test]
fn values_come_back_as_the_origin_wrote_them() {
    let values = [
        "1.0",
        "9007199254740993",
        "-0.0",
        "1e-07",
        "3.4028234663852886e+38",
        "\"\\u0001é\"",
        "[1.0,2.50]",
        "{\"a\":1}",
        "null",
    ];
    for value in values {
        let mut world = World::with_http_origin(|_| {});
        world.scripted.push_back((200, one_row("1", &[("a", value)])));
        let cold = world.feast(&request(&["a"], [1]));
        assert!(cold.text.contains(&format!(r#"{{"values":[{value}],"statuses":["PRESENT"]"#)), "{}", cold.text);
        assert_eq!(world.feast(&request(&["a"], [1])).text, cold.text, "warm from L1");
        world.restart();
        assert_eq!(world.feast(&request(&["a"], [1])).text, cold.text, "warm from L2");
        assert_eq!(world.origin_calls.len(), 1);
    }
}
