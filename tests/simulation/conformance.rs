//! The JSON of the field's own conformance suite, nst/JSONTestSuite: what must be accepted is, what must be refused is, and
//! what RFC 8259 leaves open is decided one way, for requests and for the origin's answers alike.

use std::path::Path;

use ::origin::origin::OriginResponse;
use json::{Cursor, JsonError};

use crate::world::World;

/// Those documents of which the RFC lets a reader think as it likes, and which are accepted: numbers that are exact in the
/// text or vanish in a double. All others are refused.
const ACCEPTED: [&str; 5] = [
    "i_number_double_huge_neg_exp",
    "i_number_real_underflow",
    "i_number_too_big_neg_int",
    "i_number_too_big_pos_int",
    "i_number_very_big_negative_int",
];

/// As deep as requests and answers may nest by default.
const DEPTH: u16 = 64;

struct Case {
    name: String,
    text: Vec<u8>,
    is_acceptable: bool,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/json");
    let cases: Vec<Case> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
            let is_acceptable = name.starts_with("y_") || ACCEPTED.contains(&name.as_str());
            Some(Case { is_acceptable, text: std::fs::read(&path).unwrap(), name })
        })
        .collect();
    assert_eq!(cases.len(), 318, "the whole suite");
    cases
}

/// The documents that can stand as a value within another: nothing at all is also a list without elements.
fn values() -> impl Iterator<Item = Case> {
    cases().into_iter().filter(|case| !case.text.trim_ascii().is_empty())
}

fn around(before: &str, text: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), text, after.as_bytes()].concat()
}

fn pass(text: &[u8], depth: u16) -> Result<(), JsonError> {
    let mut cursor = Cursor::new(text, depth)?;
    cursor.value()?;
    cursor.finish()
}

#[test]
fn the_reader_accepts_and_refuses_what_the_conformance_suite_says() {
    for Case { name, text, is_acceptable } in cases() {
        assert_eq!(pass(&text, DEPTH).is_ok(), is_acceptable, "{name}");
    }
    let deep = cases().into_iter().find(|case| case.name == "i_structure_500_nested_arrays").unwrap();
    assert_eq!(pass(&deep.text, 500), Ok(()), "depth is a limit that is set");
}

#[test]
fn a_request_body_is_refused_as_no_json_just_where_the_suite_says_so() {
    let mut world = World::new();
    for Case { name, text, is_acceptable } in cases() {
        let feast = world.post("/get-online-features", &text);
        let native = world.post("/v1/features", &text);
        // None of them is a request, so all that differs is the reason.
        let is_json = feast.status != 422
            || !["json_invalid", "nested_too_deep"].iter().any(|kind| feast.text.contains(kind)) && !text.is_empty();
        assert_eq!(is_json, is_acceptable, "{name}: {} {}", feast.status, feast.text);
        assert_eq!(native.status, 422, "{name}");
        assert!(!(is_acceptable && native.text.contains("malformed-json")), "{name}: {}", native.text);
    }
}

#[test]
fn an_entity_value_is_taken_just_where_the_suite_says_so() {
    let mut world = World::new();
    for Case { name, text, is_acceptable } in values() {
        let body = around(r#"{"features":["stats:score"],"entities":{"driver_id":["#, &text, "]}}");
        let answer = world.post("/get-online-features", &body);
        assert_eq!(answer.status, if is_acceptable { 200 } else { 422 }, "{name}: {}", answer.text);
    }
}

#[test]
fn a_value_of_the_origin_is_taken_just_where_the_suite_says_so() {
    for Case { name, text, is_acceptable } in values() {
        let body = around(r#"{"metadata":{"feature_names":["a"]},"results":[{"values":["#, &text, "]}]}");
        let read = OriginResponse::read(&body, 1, 1, DEPTH);
        assert_eq!(read.is_ok(), is_acceptable, "{name}: {read:?}");
    }
}

#[test]
fn an_answer_of_the_origin_that_says_a_thing_twice_is_not_taken() {
    let column = r#"{"values":[1],"statuses":["PRESENT"],"event_timestamps":["1970-01-01T00:00:00Z"]}"#;
    let names = r#"{"feature_names":["a"]}"#;
    let good = format!(r#"{{"metadata":{names},"results":[{column}]}}"#);
    assert!(OriginResponse::read(good.as_bytes(), 1, 1, DEPTH).is_ok());
    for twice in [
        format!(r#"{{"metadata":{names},"metadata":{names},"results":[{column}]}}"#),
        format!(r#"{{"metadata":{names},"results":[{column}],"results":[{column}]}}"#),
        format!(r#"{{"metadata":{{"feature_names":["a"],"feature_names":["b"]}},"results":[{column}]}}"#),
        good.replace(r#""values":[1]"#, r#""values":[1],"values":[2]"#),
        good.replace(r#""statuses":["PRESENT"]"#, r#""statuses":["PRESENT"],"status\u0065s":["NULL_VALUE"]"#),
        good.replace(r#"}]}"#, r#","event_timestamps":["1970-01-01T00:00:01Z"]}]}"#),
    ] {
        assert!(OriginResponse::read(twice.as_bytes(), 1, 1, DEPTH).is_err(), "{twice}");
    }
}
