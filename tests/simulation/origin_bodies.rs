//! Answers of the origin that are being read: they are in memory once, count among what waits, and are refused before memory is used up.

use config::{Config, OriginKind};
use model::time::Timestamp;
use service::{
    Effect, EffectId, FetchFailure, Incoming, IoRequest, IoResult, OriginReply, Response, Service, Transition,
};

use crate::world::{one_row, request};

const MIB: usize = 1 << 20;
const NOW: Timestamp = Timestamp(1_795_420_800_000);

/// One in which four mebibytes may wait, and whose origin is asked for whatever memory lacks.
fn service() -> Service {
    let mut config = Config::default();
    config.memory.pending_bytes = 4 * MIB;
    config.l2.enabled = false;
    config.origin.kind = OriginKind::Http;
    config.origin.url = Some("http://origin.invalid".to_owned());
    Service::new(config, 7)
}

fn begin(service: &mut Service, id: u64) -> Transition {
    let body = request(&["x"], [id]);
    let incoming =
        Incoming { method: "POST", path: "/get-online-features", body: body.as_bytes(), ..Incoming::default() };
    service.begin(incoming, NOW)
}

/// The call of a request that asks the origin.
fn call(service: &mut Service, id: u64) -> EffectId {
    let is_call = |effect: &Effect| matches!(effect.request, IoRequest::Fetch(_));
    begin(service, id).effects.into_iter().find(is_call).expect("a call").id
}

fn status(transition: &Transition) -> Option<u16> {
    if let Some(Response::Reply(reply)) = &transition.response { Some(reply.status()) } else { None }
}

/// Writes a part of an answer; whether there was room for it.
fn write(service: &mut Service, id: EffectId, part: &[u8], expected: usize) -> bool {
    service.extend_body(id, part.len(), expected).map(|place| place.copy_from_slice(part)).is_some()
}

#[test]
fn an_answer_that_was_written_part_by_part_is_read_as_one() {
    let mut service = service();
    let id = call(&mut service, 1);
    let answer = one_row("1", &[("x", "42")]);
    for part in answer.as_bytes().chunks(7) {
        assert!(write(&mut service, id, part, 0));
    }
    let body = service.take_body(id);
    let reply = OriginReply { status: 200, content_type: None, body };
    let transition = service.complete(id, IoResult::Fetched(Ok(reply)), NOW);
    assert_eq!(status(&transition), Some(200));
    assert_eq!(service.memory().pending.used, 0);
}

#[test]
fn what_is_being_read_counts_and_new_requests_are_refused_before_memory_is_used_up() {
    let mut service = service();
    let id = call(&mut service, 1);
    let length = 4 * MIB * 85 / 100;
    assert!(write(&mut service, id, &vec![b' '; 1_000], length), "the whole is reserved with the first part");
    assert!(service.memory().pending.used >= length);
    assert_eq!(status(&begin(&mut service, 2)), Some(503));
    service.complete(id, IoResult::Fetched(Err(FetchFailure::TimedOut)), NOW);
    assert!(service.memory().pending.used < MIB, "an answer that broke off is given back");
    assert_eq!(status(&begin(&mut service, 3)), None, "it waits for the origin");
}

#[test]
fn an_answer_that_there_is_no_room_for_is_shed_and_others_are_read_on() {
    let mut service = service();
    let [first, second] = [1, 2].map(|number| call(&mut service, number));
    assert!(write(&mut service, first, b"{", 3 * MIB));
    let before = service.memory().pending;
    assert!(!write(&mut service, second, b"{", 2 * MIB));
    assert_eq!((service.memory().pending.used, service.memory().pending.evicted), (before.used, before.evicted + 1));
    let transition = service.complete(second, IoResult::Fetched(Err(FetchFailure::NoRoom)), NOW);
    assert_eq!(status(&transition), Some(503));
    assert!(write(&mut service, first, b"}", 3 * MIB - 1));
}

#[test]
fn requests_that_fill_what_may_wait_are_answered_all_the_same() {
    let mut service = service();
    let mut calls = Vec::new();
    for round in 0..1_000_u64 {
        let ids: Vec<u64> = (round * 1_000..round * 1_000 + 1_000).collect();
        let body = serde_json::json!({
            "entities": {"driver_id": ids}, "feature_names": ["stats:x"], "priority": "critical", "deadline_ms": 5_000,
        });
        let body = body.to_string();
        let incoming = Incoming { method: "POST", path: "/v1/features", body: body.as_bytes(), ..Incoming::default() };
        let transition = service.begin(incoming, NOW);
        if status(&transition) == Some(503) {
            break;
        }
        let is_call = |effect: &Effect| matches!(effect.request, IoRequest::Fetch(_));
        calls.extend(transition.effects.into_iter().find(is_call).map(|effect| effect.id));
    }
    assert!(service.memory().pending.used > 3 * MIB);
    let id = calls[0];
    assert!(write(&mut service, id, &vec![b' '; MIB], 0), "half of what may wait is assured");
    assert!(!write(&mut service, id, &vec![b' '; MIB + 1], 0), "and no more");
}

#[test]
fn nothing_is_reserved_for_a_request_that_is_over() {
    let mut service = service();
    let transition = begin(&mut service, 1);
    let id = transition.effects.iter().find(|effect| matches!(effect.request, IoRequest::Fetch(_))).expect("a call").id;
    assert!(write(&mut service, id, b"{", 1_000_000));
    service.abandon(transition.handle.expect("a handle"), NOW);
    assert!(!write(&mut service, id, b"}", 1_000_000));
    assert_eq!(service.memory().pending.used, 0, "nor kept");
}

#[test]
fn a_response_in_an_unsupported_coding_is_refused_with_the_reason() {
    let mut service = service();
    let id = call(&mut service, 1);
    let failure = FetchFailure::Encoded { coding: "zstd".to_owned() };
    let transition = service.complete(id, IoResult::Fetched(Err(failure)), NOW);
    let Some(Response::Reply(reply)) = transition.response else { panic!("no reply") };
    assert_eq!(reply.status(), 502);
    assert!(String::from_utf8_lossy(reply.body()).contains("`zstd`"));
}
