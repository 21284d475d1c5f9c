//! The examples of answers in `www/public/openapi.json` are the core's own: what it answers to the examples of requests there, and its
//! reports.
//!
//! `cargo test --test simulation -- --ignored write_the_examples` makes them anew.

use std::collections::BTreeMap;

use config::View;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::world::{Answer, World};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/www/public/openapi.json");

/// The part of a JSON text that a pointer names.
fn find<'a>(text: &'a str, pointer: &str) -> &'a str {
    pointer.split('/').skip(1).fold(text, |text, key| {
        let object: BTreeMap<String, &'a RawValue> = serde_json::from_str(text).unwrap();
        object.get(&key.replace("~1", "/")).unwrap_or_else(|| panic!("no `{key}` of {pointer}")).get()
    })
}

/// The example of a request's body.
fn request<'a>(api: &'a str, path: &str, name: &str) -> &'a str {
    let path = path.replace('/', "~1");
    find(api, &format!("/paths/{path}/post/requestBody/content/application~1json/examples/{name}/value"))
}

/// Where the example of an answer with status 200 is.
fn answer_to(method: &str, path: &str) -> String {
    format!("/paths/{}/{method}/responses/200/content/application~1json/example", path.replace('/', "~1"))
}

/// The examples of answers: where each is, and the JSON that it is to be.
fn examples(api: &str) -> Vec<(String, String)> {
    let answered = |answer: Answer, status| {
        assert_eq!(answer.status, status, "{}", answer.text);
        answer.text
    };
    let mut examples = Vec::new();
    let mut world = World::with(|config| {
        let keyed = View { join_keys: vec!["user_id".to_owned()], ..View::default() };
        config.views.insert("user_stats".to_owned(), keyed);
    });
    let posts = [
        ("/get-online-features", "single"),
        ("/v1/warm", "fetch"),
        ("/v1/features", "ids"),
        ("/v1/invalidate", "entities"),
    ];
    for (path, name) in posts {
        let body = request(api, path, name).as_bytes();
        if name == "ids" {
            // The second answer is from memory.
            world.post(path, body);
            world.pass_seconds(12);
        }
        examples.push((answer_to("post", path), answered(world.post(path, body), 200)));
    }
    let lines = world.start_lines(request(api, "/v1/features", "ids"));
    world.run();
    let lines = Value::from(answered(world.answer(lines), 200)).to_string();
    let at = "/paths/~1v1~1features/post/responses/200/content/application~1x-ndjson/examples/lines/value";
    examples.push((at.to_owned(), lines));
    let ready = answered(world.call("GET", "/ready", b""), 200);
    examples.push((answer_to("get", "/ready"), ready));

    let refusals = [
        ("FeastRefusal", "json", world.feast(r#"{"features":["driver_hourly_stats:conv_rate"]}"#)),
        ("Problem", "problem+json", world.native(r#"{"entity_ids":[1],"feature_names":["a"],"priority":"urgent"}"#)),
    ];
    for (name, kind, answer) in refusals {
        let at = format!("/components/responses/{name}/content/application~1{kind}/example");
        examples.push((at, answered(answer, 422)));
    }

    // A slow call to the origin opens alerts.
    let mut world = World::with_http_origin(|config| config.sla.burn_rate_min_requests = 1);
    world.origin_millis = 700;
    for name in ["single", "batch", "batch"] {
        world.feast(request(api, "/get-online-features", name));
    }
    world.run_for(2_000);
    for path in ["/v1/stats", "/v1/sla", "/v1/alerts"] {
        examples.push((answer_to("get", path), world.report(path)));
    }
    examples
}

#[test]
fn the_examples_of_the_api_description_are_what_the_core_answers() {
    let api = std::fs::read_to_string(FILE).unwrap();
    for (pointer, expected) in examples(&api) {
        let [found, expected] =
            [find(&api, &pointer), &expected].map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(found, expected, "{pointer}: `cargo test --test simulation -- --ignored write_the_examples`");
    }
}

#[test]
#[ignore = "writes www/public/openapi.json"]
fn write_the_examples() {
    let mut api = std::fs::read_to_string(FILE).unwrap();
    for (pointer, example) in examples(&api) {
        let found = find(&api, &pointer);
        let start = found.as_ptr() as usize - api.as_ptr() as usize;
        let place = start..start + found.len();
        // An object that begins on a line of its own stays so when `npm run format` has run.
        api.replace_range(place, &example.replace("{\"", "{\n\""));
    }
    std::fs::write(FILE, api).unwrap();
}
