//! Callers of whom each is served rows of its own: nothing that one was answered reaches another.

use crate::world::{World, request};

const SERVICE: &str = r#"{"feature_service":"activity","entities":{"driver_id":[1]}}"#;

/// How many calls the origin gets for one request of each of these callers, in order.
fn calls(world: &mut World, body: &str, callers: &[&'static str]) -> Vec<usize> {
    let mut calls = Vec::new();
    for caller in callers {
        world.caller = caller;
        world.reset_counts();
        assert_eq!(world.feast(body).status, 200);
        calls.push(world.origin_calls.len());
    }
    calls
}

#[test]
fn callers_share_no_row_in_memory_or_in_a_store() {
    for has_log in [false, true] {
        for body in [request(&["score"], [1]).as_str(), SERVICE] {
            let mut world = World::with(|config| config.l3.enabled = has_log);
            assert_eq!(calls(&mut world, body, &["", "origin:a", "origin:b", "project:a"]), [1, 1, 1, 1], "{body}");
            assert_eq!(calls(&mut world, body, &["project:a", "origin:b", "origin:a", ""]), [0, 0, 0, 0], "{body}");
            world.restart();
            assert_eq!(calls(&mut world, body, &["origin:c", "origin:a", "", "origin:b"]), [1, 0, 0, 0], "{body}");
        }
    }
}

#[test]
fn a_write_is_seen_by_every_caller() {
    let mut world = World::with_http_origin(|_| {});
    world.origin = crate::world::Origin::Labels;
    let body = request(&["score"], [1]);
    assert_eq!(calls(&mut world, &body, &["origin:a", "origin:b"]), [1, 1]);
    world.call("POST", "/v1/invalidate", br#"{"everything":true}"#);
    assert_eq!(calls(&mut world, &body, &["origin:a", "origin:b"]), [1, 1]);
}

#[test]
fn a_caller_warms_its_own_rows() {
    let warm = |caller| {
        let mut world = World::with(|_| {});
        world.caller = caller;
        let body = br#"{"entities":{"driver_id":[1]},"feature_names":["stats:score"]}"#;
        assert_eq!(world.post("/v1/warm", body).status, 200);
        let body = r#"{"features":["stats:score"],"entities":{"driver_id":[1]}}"#;
        calls(&mut world, body, &["", "project:a", "project:b"])
    };
    assert_eq!(warm("project:a"), [1, 0, 1]);
    assert_eq!(warm(""), [0, 1, 1]);
}
