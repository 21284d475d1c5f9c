//! The targets, a file for each.

pub(crate) mod config;
pub(crate) mod envelope;
pub(crate) mod origin;
pub(crate) mod request;
pub(crate) mod session;

use std::collections::BTreeMap;

use ::config::{Config, OriginKind};
use model::time::Timestamp;
use serde_json::Value;
use service::{
    FetchFailure, Incoming, IoRequest, IoResult, OriginReply, OriginRequest, Reply, Response, Service, Transition,
    WriteOutcome,
};

/// 2026-11-23T08:10:00Z.
const START: u64 = 1_795_421_400_000;

/// A service with an HTTP origin, whose view `stats` is known by its key.
fn config() -> Config {
    let mut config = Config::default();
    config.origin.kind = OriginKind::Http;
    config.origin.url = Some("http://origin.example".to_owned());
    let keyed = ::config::View { join_keys: vec!["driver_id".to_owned()], ..Default::default() };
    config.views.insert("stats".to_owned(), keyed);
    config
}

/// Whether `text` is JSON to another reader, which takes what stands twice and goes no deeper than 128.
fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// The body of a reply as JSON, once what must hold of every reply does.
fn checked(reply: &Reply) -> Option<Value> {
    let status = reply.status();
    assert!((200..600).contains(&status), "status {status}");
    for header in reply.headers() {
        assert!(header.value.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{}: {:?}", header.name, header.value);
    }
    match reply.content_type() {
        Some("application/json" | "application/problem+json") => {
            let text = String::from_utf8_lossy(reply.body());
            Some(serde_json::from_slice(reply.body()).unwrap_or_else(|error| panic!("{error}: {text}")))
        }
        _ => None,
    }
}

/// Serves one request to its end; stores are empty, and `origin` answers what goes there.
fn serve(
    service: &mut Service,
    incoming: Incoming<'_>,
    origin: &mut dyn FnMut(&[u8]) -> Result<OriginReply, FetchFailure>,
) -> Option<Reply> {
    let mut now = START;
    let mut transitions = vec![service.begin(incoming, Timestamp(now))];
    let (mut reply, mut ends, mut stored) = (None, 0, BTreeMap::new());
    // Bounds the transitions of a request: each effect completes once, including those in the background.
    for _ in 0..10_000 {
        let Some(Transition { handle, effects, chunk, response: end, woken }) = transitions.pop() else {
            break;
        };
        match end {
            Some(Response::Reply(ended)) => {
                ends += 1;
                reply = Some(ended);
            }
            Some(_) => ends += 1,
            None => {}
        }
        for effect in effects {
            now += 1;
            let result = match effect.request {
                IoRequest::ReadStore { keys, .. } => {
                    IoResult::Read(Ok(keys.iter().map(|key| stored.get(key.as_str()).cloned()).collect()))
                }
                IoRequest::WriteStore { entries, .. } => {
                    stored.extend(entries.into_iter().map(|(key, value)| (key.to_string(), value)));
                    IoResult::Written(WriteOutcome::default())
                }
                IoRequest::Fetch(OriginRequest { body, .. }) | IoRequest::Synthesize { body, .. } => {
                    IoResult::Fetched(origin(&body))
                }
                IoRequest::Forward { .. } => IoResult::Forwarded(Some(200)),
                IoRequest::Log { .. } => IoResult::Logged(None),
                IoRequest::Wait { .. } | IoRequest::Records => {
                    now += effect.timeout_millis;
                    IoResult::Waited
                }
            };
            transitions.push(service.complete(effect.id, result, Timestamp(now)));
        }
        if let (Some(_), Some(handle)) = (chunk, handle) {
            transitions.push(service.resume(handle, Timestamp(now)));
        }
        for handle in woken {
            transitions.push(service.wake(handle, Timestamp(now)));
        }
    }
    assert!(transitions.is_empty(), "a request goes on without end");
    assert_eq!(ends, 1, "a request has one end");
    assert_eq!(service.under_way(), 0, "a request is left");
    reply
}
