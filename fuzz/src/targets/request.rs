//! Bodies of requests, of both APIs, and of what warms, invalidates and writes.

use ::config::Limits;
use origin::synthetic;
use protocol::feature_request::FeatureRequest;
use protocol::{feast, native};
use service::{Incoming, Service};

use super::{START, checked, config, is_json, serve};
use crate::Target;

pub(crate) const TARGET: Target =
    Target { name: "request", run, seeds, is_json: true, modules: &["16featheredge_json", "20featheredge_protocol"] };

/// What a first byte chooses.
const PATHS: [&str; 5] =
    ["/get-online-features", "/v1/features", "/v1/warm", "/v1/invalidate", "/write-to-online-store"];

fn run(input: &[u8]) {
    let Some((&first, body)) = input.split_first() else { return };
    let limits = Limits::default();
    let is_read = feast::read(body, &limits, &mut FeatureRequest::default()).is_ok()
        | native::read(body, &limits, "entity_id", &mut FeatureRequest::default()).is_ok();
    assert!(!is_read || is_json(body), "read as a request, and no JSON");

    let mut service = Service::new(config(), 7);
    let path = PATHS[usize::from(first) % PATHS.len()];
    let accepts_lines = first & 0x80 != 0;
    let incoming = Incoming { method: "POST", path, body, accepts_lines, is_operator: true, ..Incoming::default() };
    let mut origin = |body: &[u8]| {
        assert!(is_json(body), "the origin is asked what is no JSON");
        let (status, body) = synthetic::answer(body, &limits, model::time::Timestamp(START));
        Ok(service::OriginReply { status, content_type: Some("application/json".to_owned()), body })
    };
    let reply = serve(&mut service, incoming, &mut origin);
    if let Some(reply) = reply {
        checked(&reply);
        // What warms may come by lines.
        assert!(reply.status() != 200 || path == "/v1/warm" || is_json(body), "served, and no JSON");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let bodies: [(u8, &str); 12] = [
        (
            0,
            r#"{"features":["stats:score","other:embedding"],"entities":{"driver_id":[1,"é",3.5e2]},"full_feature_names":true}"#,
        ),
        (0, r#"{"feature_service":"rides","entities":{"driver_id":[1001],"city":["a"]}}"#),
        (0, r#"{"features":["stats:score"],"entities":{"driver_id":[1,2]},"session_id":"s"}"#),
        (
            1,
            r#"{"request_id":"r","entity_ids":["a","b"],"feature_names":["score"],"include":["age","status"],"max_staleness_seconds":1.5}"#,
        ),
        (
            1,
            r#"{"entities":{"driver_id":[1,2]},"feature_names":["stats:score"],"consistency_level":"strong","priority":"high","deadline_ms":50}"#,
        ),
        (
            0x80 | 0x3f,
            r#"{"entities":{"driver_id":[1,2,3]},"feature_names":["stats:label"],"serving_strategy":"streaming_serving"}"#,
        ),
        (2, r#"{"features":["stats:score"],"entities":{"driver_id":[1,2]}}"#),
        (2, r#"{"view":"stats","rows":[{"driver_id":1,"score":0.5}]}"#),
        (3, r#"{"views":["stats"]}"#),
        (3, r#"{"entities":{"driver_id":[1]}}"#),
        (
            4,
            r#"{"feature_view_name":"stats","df":{"driver_id":[1,2],"score":[0.1,0.2],"event_timestamp":["2026-11-23T08:00:00Z"]}}"#,
        ),
        (1, r#"{"feature_service":"rides","entity_ids":[9007199254740993],"include":["event_time"]}"#),
    ];
    bodies.iter().map(|(first, body)| [&[*first], body.as_bytes()].concat()).collect()
}
