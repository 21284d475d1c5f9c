//! The core as WebAssembly, in Node and, by `tests/browser/wasm.test.mjs`, in Chromium: what a host asks of it, it does there as it does natively.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "tests are named for what they show")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]

use config::Config;
use model::time::Timestamp;
use service::{Effect, Incoming, IoRequest, IoResult, Reply, Response, Service, Transition};
use wasm_bindgen_test::wasm_bindgen_test;

const BODY: &str = r#"{"features":["v:score","v:count","v:embedding"],"entities":{"id":[1,"é",9007199254740993]}}"#;

/// Performs orders at once: the store is empty, the origin is the built-in one.
fn finish(service: &mut Service, mut step: Transition, now: Timestamp) -> Reply {
    loop {
        if let Some(end) = step.response {
            let Response::Reply(reply) = end else { panic!("not answered here") };
            return reply;
        }
        let is_work = |order: &Effect| !matches!(order.request, IoRequest::Wait { .. } | IoRequest::Records);
        let at = step.effects.iter().position(is_work).expect("a request that waits for nothing");
        let order = step.effects.swap_remove(at);
        let outcome = match order.request {
            IoRequest::ReadStore { keys, .. } => IoResult::Read(Ok(vec![None; keys.len()])),
            IoRequest::Synthesize { body, .. } => IoResult::Fetched(Ok(service.synthesize(&body, now))),
            IoRequest::WriteStore { .. }
            | IoRequest::Fetch(_)
            | IoRequest::Forward { .. }
            | IoRequest::Log { .. }
            | IoRequest::Records
            | IoRequest::Wait { .. } => {
                panic!("not ordered here")
            }
        };
        step = service.complete(order.id, outcome, now);
    }
}

fn incoming(body: &str) -> Incoming<'_> {
    Incoming {
        method: "POST",
        path: "/get-online-features",
        body: body.as_bytes(),
        has_authorization: false,
        is_operator: false,
        ..Incoming::default()
    }
}

#[wasm_bindgen_test]
fn a_request_is_answered_cold_and_then_warm_by_one_synchronous_call() {
    let mut service = Service::new(Config::default(), 1);
    let now = Timestamp(1_795_420_800_000);
    let step = service.begin(incoming(BODY), now);
    assert!(step.response.is_none());
    let cold = finish(&mut service, step, now);
    let warm = service.begin(incoming(BODY), now);
    let Some(Response::Reply(warm)) = warm.response else { panic!("a warm request waits") };
    assert_eq!((warm.status(), warm.body()), (200, cold.body()));
    let text = core::str::from_utf8(warm.body()).unwrap();
    assert!(text.starts_with(r#"{"results":[{"values":[1,"é",9007199254740993],"#), "{text}");
}

#[wasm_bindgen_test]
fn deep_nesting_is_refused_and_overflows_no_stack() {
    let mut service = Service::new(Config::default(), 1);
    for body in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        let Some(Response::Reply(reply)) = service.begin(incoming(&body), Timestamp(0)).response else {
            panic!("it waits")
        };
        assert_eq!(reply.status(), 422);
    }
}

#[wasm_bindgen_test]
fn a_million_bytes_of_numbers_are_read_and_refused_within_the_limits() {
    let mut service = Service::new(Config::default(), 1);
    let body = format!(r#"{{"features":["v:a"],"entities":{{"id":[{}1]}}}}"#, "1,".repeat(500_000));
    let Some(Response::Reply(reply)) = service.begin(incoming(&body), Timestamp(0)).response else {
        panic!("it waits")
    };
    assert_eq!(reply.status(), 422);
}
