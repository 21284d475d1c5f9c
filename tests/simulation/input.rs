//! Hostile input: every body gets a clear error, nothing panics, and the next request is served.

use crate::world::{World, request};

/// Bodies that are no acceptable request, by what is wrong with them.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let good = request(&["score"], [1]);
    let list: Vec<(&str, Vec<u8>)> = vec![
        ("empty", b"".to_vec()),
        ("white space", b" \n ".to_vec()),
        ("deep arrays", "[".repeat(10_000).into_bytes()),
        ("deep objects", "{\"a\":".repeat(10_000).into_bytes()),
        (
            "deep value",
            format!(r#"{{"features":["v:a"],"entities":{{"id":[{}1{}]}}}}"#, "[".repeat(10_000), "]".repeat(10_000))
                .into_bytes(),
        ),
        ("a number that no float holds", br#"{"features":["v:a"],"entities":{"id":[1e999]}}"#.to_vec()),
        ("a lone high surrogate", br#"{"features":["v:a"],"entities":{"id":["\ud800"]}}"#.to_vec()),
        ("a lone low surrogate", br#"{"features":["v:\udc00"],"entities":{"id":[1]}}"#.to_vec()),
        ("invalid UTF-8", b"{\"features\":[\"v:\xff\"],\"entities\":{\"id\":[1]}}".to_vec()),
        ("an overlong UTF-8 form", b"{\"features\":[\"v:\xc0\xaf\"],\"entities\":{\"id\":[1]}}".to_vec()),
        ("ragged columns", br#"{"features":["v:a"],"entities":{"id":[1,2],"x":[1]}}"#.to_vec()),
        ("a column that is no list", br#"{"features":["v:a"],"entities":{"id":1}}"#.to_vec()),
        ("entities that are a list", br#"{"features":["v:a"],"entities":[1]}"#.to_vec()),
        ("features that are a string", br#"{"features":"v:a","entities":{"id":[1]}}"#.to_vec()),
        ("a feature that is a number", br#"{"features":[1],"entities":{"id":[1]}}"#.to_vec()),
        ("a service that is a number", br#"{"feature_service":1,"entities":{"id":[1]}}"#.to_vec()),
        ("no entities", br#"{"features":["v:a"]}"#.to_vec()),
        ("a field twice", br#"{"features":["v:a"],"features":["v:b"],"entities":{"id":[1]}}"#.to_vec()),
        ("a column twice", br#"{"features":["v:a"],"entities":{"id":[1],"id":[2]}}"#.to_vec()),
        (
            "a column twice, escaped the second time",
            br#"{"features":["v:a"],"entities":{"id":[1],"\u0069d":[2]}}"#.to_vec(),
        ),
        ("a field twice, escaped", br#"{"features":["v:a"],"f\u0065atures":["v:b"],"entities":{"id":[1]}}"#.to_vec()),
        ("a trailing comma", br#"{"features":["v:a",],"entities":{"id":[1]}}"#.to_vec()),
        ("something behind", format!("{good} x").into_bytes()),
        ("NaN", br#"{"features":["v:a"],"entities":{"id":[NaN]}}"#.to_vec()),
        ("a control character", b"{\"features\":[\"v:\x01\"],\"entities\":{\"id\":[1]}}".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("another kind", b"null".to_vec()),
        ("ten megabytes", vec![b' '; 10 << 20]),
        ("too many entities", request(&["score"], 0..10_001).into_bytes()),
        (
            "too many features",
            format!(r#"{{"features":[{}"v:a"],"entities":{{"id":[1]}}}}"#, "\"v:b\",".repeat(1_000)).into_bytes(),
        ),
        (
            "a key that is too long",
            format!(r#"{{"features":["v:a"],"entities":{{"id":["{}"]}}}}"#, "x".repeat(5_000)).into_bytes(),
        ),
    ];
    list
}

#[test]
fn every_malformed_body_gets_a_clear_error_and_the_next_request_is_served() {
    let mut world = World::new();
    for path in ["/get-online-features", "/v1/features"] {
        for (what, body) in malformed() {
            let answer = world.post(path, &body);
            assert!((400..500).contains(&answer.status), "{path}, {what}: {}", answer.status);
            let json = answer.json();
            assert!(!json["detail"].is_null(), "{path}, {what}: {}", answer.text);
            assert_eq!(world.feast(&request(&["score"], [1])).status, 200, "after {what}");
        }
    }
    assert_eq!(world.post("/get-online-features", &vec![b' '; 10 << 20]).status, 413);
}

#[test]
fn every_truncation_of_a_body_is_refused() {
    let mut world = World::new();
    let body = r#"{"features":["stats:score"],"entities":{"driver_id":[1,"é"]},"full_feature_names":false}"#;
    for end in 0..body.len() {
        assert_eq!(world.post("/get-online-features", &body.as_bytes()[..end]).status, 422, "cut at {end}");
    }
    assert_eq!(world.feast(body).status, 200);
}

#[test]
fn rows_times_features_have_a_limit_of_their_own() {
    let features: Vec<String> = (0..100).map(|number| format!("f{number}")).collect();
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    let mut world = World::new();
    assert_eq!(world.feast(&request(&features, 0..1_000)).status, 200);
    let answer = world.feast(&request(&features, 0..1_001));
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("limits.cells"), "{}", answer.text);
}

#[test]
fn mutated_bodies_never_panic() {
    let bodies = [
        r#"{"features":["stats:score","stats:embedding"],"entities":{"driver_id":[1,"\u00e9",3.5e2]},"full_feature_names":true}"#,
        r#"{"request_id":"r","entity_ids":["a","b"],"feature_names":["score"],"include":["age"],"max_staleness_seconds":1.5}"#,
    ];
    let mut random = 0x9e37_79b9_u64;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut world = World::new();
    for _ in 0..20_000 {
        let mut body = bodies[next(2)].as_bytes().to_vec();
        for _ in 0..=next(3) {
            let at = next(body.len());
            match next(4) {
                0 => body[at] = next(256) as u8,
                1 => {
                    body.remove(at);
                }
                2 => body.insert(at, b"{}[]\",:\\0e-u\xff"[next(13)]),
                _ => {
                    let from = next(body.len());
                    let piece = body[from.min(at)..from.max(at)].to_vec();
                    body.splice(at..at, piece);
                }
            }
        }
        let path = if next(2) == 0 { "/get-online-features" } else { "/v1/features" };
        let answer = world.post(path, &body);
        assert!(answer.status == 200 || (400..500).contains(&answer.status), "{}", answer.status);
    }
}
