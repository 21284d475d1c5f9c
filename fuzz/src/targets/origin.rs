//! What an origin answers: the first byte says its status, the rest is its body.

use ::origin::origin::OriginResponse;
use model::time::Timestamp;
use origin::synthetic;
use serde_json::Value;
use service::{Incoming, OriginReply, Service};

use super::{START, checked, config, is_json, serve};
use crate::Target;

pub(crate) const TARGET: Target =
    Target { name: "origin", run, seeds, is_json: true, modules: &["18featheredge_origin6origin"] };

const ASKED: &str = r#"{"features":["stats:score","stats:label"],"entities":{"driver_id":[1,2]}}"#;
const OTHERS: &str = r#"{"features":["stats:score","stats:label"],"entities":{"driver_id":[3,4]}}"#;

fn run(input: &[u8]) {
    let Some((&first, body)) = input.split_first() else { return };
    let is_read = OriginResponse::read(body, 2, 3, 64).is_ok();
    assert!(!is_read || is_json(body), "read as an answer, and no JSON");

    let mut service = Service::new(config(), 7);
    let status = if first == 0 { 503 } else { 200 };
    let mut hostile =
        |_: &[u8]| Ok(OriginReply { status, content_type: Some("application/json".to_owned()), body: body.to_vec() });
    // Where it lacks columns, the request itself goes on to the origin, whose answer is its own to give.
    let reply = serve(&mut service, asking(ASKED), &mut hostile);
    if let Some(reply) = reply.filter(|reply| reply.status() == 200) {
        let answer = checked(&reply).expect("JSON");
        assert_eq!(answer["results"][0]["values"], serde_json::json!([1, 2]), "of whom was asked, in that order");
        let names = answer["metadata"]["feature_names"].as_array().unwrap();
        for column in answer["results"].as_array().unwrap() {
            for part in ["values", "statuses", "event_timestamps"] {
                assert_eq!(column[part].as_array().unwrap().len(), 2, "{part}");
            }
        }
        assert_eq!(answer["results"].as_array().unwrap().len(), names.len());
    }

    // Whatever it said of some entities, others get what the origin says of them.
    let expected = truth(OTHERS.as_bytes());
    let mut honest = |body: &[u8]| {
        Ok(OriginReply { status: 200, content_type: Some("application/json".to_owned()), body: honest_answer(body) })
    };
    let reply = serve(&mut service, asking(OTHERS), &mut honest);
    if let Some(reply) = reply.filter(|reply| reply.status() == 200) {
        assert_eq!(checked(&reply).unwrap()["results"], expected["results"], "another entity's values");
    }
}

fn asking(body: &str) -> Incoming<'_> {
    Incoming { method: "POST", path: "/get-online-features", body: body.as_bytes(), ..Incoming::default() }
}

fn honest_answer(body: &[u8]) -> Vec<u8> {
    synthetic::answer(body, &Default::default(), Timestamp(START)).1
}

fn truth(body: &[u8]) -> Value {
    serde_json::from_slice(&honest_answer(body)).unwrap()
}

fn seeds() -> Vec<Vec<u8>> {
    let good = honest_answer(ASKED.as_bytes());
    let others = honest_answer(OTHERS.as_bytes());
    let plain = br#"{"metadata":{"feature_names":["driver_id","score","label"]},"results":[{"values":[1,2]},{"values":[0.5,null]},{"values":["a","b"],"statuses":["PRESENT","NOT_FOUND"],"event_timestamps":["2026-11-23T08:00:00.5Z","1970-01-01T00:00:00Z"]}]}"#;
    let failed = br#"{"detail":"feature view stats not found","error_type":"FeatureViewNotFoundException"}"#;
    [(1, &good[..]), (1, &others), (1, plain), (0, failed), (1, failed)]
        .iter()
        .map(|(first, body)| [&[*first], *body].concat())
        .collect()
}
