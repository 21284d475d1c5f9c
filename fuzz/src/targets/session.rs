//! The session: every two bytes are an operation, from requests that begin over outcomes that are late, wrong or missing to a clock
//! that jumps. The host keeps its word: an order that takes longer than it may ends as a failure just then. Whatever else comes, a request has one end, no value is another entity's, and nothing is left when all is done.

use std::collections::BTreeMap;

use config::{Config, OriginKind, View};
use invalidation_log::{Append, Appended};
use model::time::Timestamp;
use origin::synthetic;
use serde_json::Value;
use service::{
    Effect, EffectId, FetchFailure, Incoming, IoRequest, IoResult, OriginReply, OriginRequest, ReadFailure,
    RequestHandle, Response, Service, Transition, WriteOutcome,
};

use super::{START, checked};
use crate::Target;

pub(crate) const TARGET: Target = Target {
    name: "session",
    run,
    seeds,
    is_json: false,
    modules: &["18featheredge_engine", "19featheredge_service", "17featheredge_cache", "20featheredge_prefetch"],
};

const FEATURES: [&str; 4] = ["a:label", "a:name", "b:label", "b:text"];

/// Steps of the clock, in milliseconds: from nothing to longer than anything is kept.
const JUMPS: [u64; 8] = [0, 1, 20, 150, 2_000, 20_000, 100_000, 1_000_000];

/// More of them find nothing that these do not, and take longer.
const MOST_OPERATIONS: usize = 80;

/// How far a clock is set back, in milliseconds.
const SET_BACK: u64 = 5_000;

#[derive(Default)]
struct Request {
    ids: Vec<u8>,
    features: Vec<&'static str>,
    ends: usize,
    is_abandoned: bool,
}

struct World {
    service: Service,
    now: u64,
    store: BTreeMap<String, Vec<u8>>,
    /// Orders under way, and when their time is up.
    open: Vec<(u64, Effect)>,
    woken: Vec<RequestHandle>,
    /// Replies in parts whose reader has one in hand.
    parts: Vec<RequestHandle>,
    requests: Vec<Request>,
    by_handle: BTreeMap<u64, usize>,
    /// What the origin answered last, to whatever was asked.
    last_answer: Vec<u8>,
}

fn run(input: &[u8]) {
    let mut bytes = input.iter().copied();
    let (first, second) = (bytes.next().unwrap_or_default(), bytes.next().unwrap_or_default());
    let mut world = World {
        service: Service::new(config(first, second), 7),
        now: START,
        store: BTreeMap::new(),
        open: Vec::new(),
        woken: Vec::new(),
        parts: Vec::new(),
        requests: Vec::new(),
        by_handle: BTreeMap::new(),
        last_answer: Vec::new(),
    };
    let (mut operations, mut has_abandoned) = (0, false);
    while let (Some(operation), true) = (bytes.next(), operations < MOST_OPERATIONS) {
        operations += 1;
        let with = bytes.next().unwrap_or_default();
        match operation % 8 {
            0 | 1 => world.begin_features(with, bytes.next().unwrap_or_default()),
            2 => world.begin_other(with),
            3 => world.advance(world.now + JUMPS[usize::from(with % 8)]),
            4 | 5 => world.complete(usize::from(with), operation / 8),
            6 => world.resume(with),
            _ if with < 16 => has_abandoned |= world.abandon(with),
            _ if with < 32 => world.now -= SET_BACK,
            _ => world.complete_all(),
        }
    }
    world.drain();
    for request in &world.requests {
        assert!(request.ends == 1 || request.is_abandoned, "{} ends", request.ends);
    }
    if !has_abandoned {
        let engine = world.service.engine();
        assert_eq!((engine.sessions(), engine.flights(), world.service.under_way()), (0, 0, 0), "something is left");
    }
}

fn config(first: u8, second: u8) -> Config {
    let has = |bit: u8| first & (1 << bit) != 0;
    let mut config = Config::default();
    config.origin.kind = OriginKind::Http;
    config.origin.url = Some("http://origin.example".to_owned());
    config.l2.enabled = has(0);
    config.l3.enabled = has(1);
    config.writes.invalidation_log = has(1) && has(2);
    config.l1.max_entries = if has(3) { 2 } else { 1_000 };
    config.routing.chunk_rows = if has(4) { 2 } else { 500 };
    config.singleflight.enabled = !has(5);
    config.freshness.ttl_seconds = if has(6) { 1 } else { 60 };
    config.freshness.stale_if_error_seconds = if has(7) { 0 } else { 60 };
    config.load.max_origin_calls = if second & 1 != 0 { 1 } else { 64 };
    config.load.max_pending_requests = if second & 2 != 0 { 1 } else { 100 };
    config.l3.shards = if second & 4 != 0 { 3 } else { 1 };
    for view in ["a", "b"].into_iter().filter(|_| second & 8 != 0) {
        config.views.insert(view.to_owned(), View { join_keys: vec!["id".to_owned()], ..Default::default() });
    }
    config
}

impl World {
    fn begin_features(&mut self, with: u8, how: u8) {
        let ids: Vec<u8> = (0..4).filter(|bit| with & (1 << bit) != 0).chain([with & 7]).collect();
        let features: Vec<&str> =
            FEATURES.iter().enumerate().filter(|(at, _)| with & (16 << at) != 0).map(|(_, feature)| *feature).collect();
        let features = if features.is_empty() { vec!["a:label"] } else { features };
        let named: Vec<String> = features.iter().map(|feature| format!("\"{feature}\"")).collect();
        let (named, listed) = (named.join(","), ids.iter().map(u8::to_string).collect::<Vec<_>>().join(","));
        let level = ["eventual", "bounded", "strong", "eventual"][usize::from(how & 3)];
        let (path, body) = if how & 4 == 0 {
            (
                "/get-online-features",
                format!(r#"{{"features":[{named}],"entities":{{"id":[{listed}]}},"full_feature_names":true}}"#),
            )
        } else {
            let deadline = [10, 100, 1_000, 5_000][usize::from(how >> 4 & 3)];
            let body = format!(
                r#"{{"entities":{{"id":[{listed}]}},"feature_names":[{named}],"consistency_level":"{level}","max_staleness_seconds":2,"deadline_ms":{deadline}}}"#
            );
            ("/v1/features", body)
        };
        let incoming = Incoming {
            method: "POST",
            path,
            body: body.as_bytes(),
            accepts_lines: how & 8 != 0,
            caller: if how & 0x80 != 0 { "somebody" } else { "" },
            session: Some("s").filter(|_| how & 0x40 != 0),
            ..Incoming::default()
        };
        self.begin(incoming, Request { ids, features, ..Request::default() });
    }

    fn begin_other(&mut self, with: u8) {
        let id = with >> 4 & 3;
        let (method, path, body) = match with % 6 {
            0 => ("POST", "/write-to-online-store", format!(r#"{{"feature_view_name":"a","df":{{"id":[{id}]}}}}"#)),
            1 => ("POST", "/v1/invalidate", format!(r#"{{"views":["a"],"entities":{{"id":[{id}]}}}}"#)),
            2 => ("POST", "/v1/warm", format!(r#"{{"features":["a:label","b:label"],"entities":{{"id":[{id},7]}}}}"#)),
            3 => ("GET", "/ready", String::new()),
            4 => ("GET", "/v1/predictions", String::new()),
            _ => ("POST", "/push", format!(r#"{{"push_source_name":"p","df":{{"id":[{id}]}},"to":"online"}}"#)),
        };
        let incoming = Incoming { method, path, body: body.as_bytes(), is_operator: true, ..Incoming::default() };
        self.begin(incoming, Request::default());
    }

    fn begin(&mut self, incoming: Incoming<'_>, request: Request) {
        self.requests.push(request);
        let number = self.requests.len() - 1;
        let transition = self.service.begin(incoming, Timestamp(self.now));
        self.take(Some(number), transition);
    }

    fn take(&mut self, request: Option<usize>, transition: Transition) {
        let Transition { handle, effects, chunk, response: end, woken } = transition;
        let known = handle.and_then(|handle| self.by_handle.get(&handle.number()).copied());
        let request = request.or(known);
        if let (Some(handle), Some(request)) = (handle, request) {
            self.by_handle.insert(handle.number(), request);
        }
        for effect in effects {
            if let Some(request) = request {
                self.by_handle.entry(effect.id.handle().number()).or_insert(request);
            }
            self.open.push((self.now + effect.timeout_millis, effect));
        }
        self.woken.extend(woken);
        if let (Some(chunk), Some(handle)) = (&chunk, handle) {
            assert!(std::str::from_utf8(&chunk.bytes).is_ok(), "a part that is no text");
            if end.is_none() {
                self.parts.push(handle);
            }
        }
        let Some(end) = end else { return };
        let request = request.expect("an end of a request that began");
        self.requests[request].ends += 1;
        if let Response::Reply(reply) = end {
            let body = checked(&reply);
            if let (200, Some(body)) = (reply.status(), body) {
                self.judge(request, &body);
            }
            self.service.recycle(reply);
        }
    }

    /// Whether every value is the entity's own.
    fn judge(&self, request: usize, body: &Value) {
        let Request { ids, features, .. } = &self.requests[request];
        let is_right = |id: u8, feature: &str, value: &Value| {
            let name = feature.split_once(':').unwrap().1;
            assert!(value.is_null() || *value == format!("value_{id}_{name}"), "{feature} of {id} is {value}");
        };
        if let Some(results) = body["results"].as_array().filter(|_| !features.is_empty()) {
            let names: Vec<&str> = body["metadata"]["feature_names"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .collect();
            let column = |name: &str| names.iter().position(|known| *known == name).map(|at| &results[at]["values"]);
            let columns: Vec<_> = features.iter().map(|feature| column(&feature.replace(':', "__"))).collect();
            if columns.contains(&None) {
                // An answer without the columns that were asked for is the origin's own to give, and names what it has.
                return;
            }
            assert_eq!(column("id"), Some(&serde_json::json!(ids)), "of whom was asked");
            for (feature, column) in features.iter().zip(columns.into_iter().flatten()) {
                ids.iter().zip(column.as_array().unwrap()).for_each(|(id, value)| is_right(*id, feature, value));
            }
        } else if let Some(entities) = body["features"].as_object() {
            for (id, values) in entities {
                for (feature, value) in values.as_object().unwrap() {
                    is_right(id.parse().unwrap(), feature, if value.is_object() { &value["value"] } else { value });
                }
            }
        }
    }

    /// Completes a pending effect, with a result by `how`.
    fn complete(&mut self, at: usize, how: u8) {
        if self.open.is_empty() {
            return;
        }
        let at = at % self.open.len();
        let (due, effect) = &self.open[at];
        if matches!(effect.request, IoRequest::Wait { .. } | IoRequest::Records) && self.now < *due {
            return self.advance(*due);
        }
        let (_, effect) = self.open.swap_remove(at);
        let result = self.result_of(effect.request, how);
        self.finish(effect.id, result);
    }

    fn finish(&mut self, id: EffectId, result: IoResult) {
        let request = self.by_handle.get(&id.handle().number()).copied();
        let transition = self.service.complete(id, result, Timestamp(self.now));
        self.take(request, transition);
    }

    /// Advances the time, and ends effects that time out.
    fn advance(&mut self, until: u64) {
        while let Some(at) =
            (0..self.open.len()).filter(|at| self.open[*at].0 <= until).min_by_key(|at| self.open[*at].0)
        {
            let (due, effect) = self.open.swap_remove(at);
            self.now = self.now.max(due);
            let result = match effect.request {
                IoRequest::ReadStore { .. } => IoResult::Read(Err(ReadFailure::Failed)),
                IoRequest::WriteStore { entries, .. } => IoResult::Written(WriteOutcome::failed(entries.len())),
                IoRequest::Fetch(_) | IoRequest::Synthesize { .. } => IoResult::Fetched(Err(FetchFailure::TimedOut)),
                IoRequest::Log { .. } => IoResult::Logged(None),
                IoRequest::Forward { .. } => IoResult::Forwarded(Some(200)),
                IoRequest::Wait { .. } | IoRequest::Records => IoResult::Waited,
            };
            self.finish(effect.id, result);
        }
        self.now = self.now.max(until);
    }

    fn complete_all(&mut self) {
        for _ in 0..self.open.len() {
            self.complete(0, 0);
        }
    }

    fn result_of(&mut self, request: IoRequest, how: u8) -> IoResult {
        match request {
            IoRequest::ReadStore { keys, .. } => {
                let stored = |key: &str| self.store.get(key).cloned();
                let mut values: Vec<Option<Vec<u8>>> = keys.iter().map(|key| stored(key.as_str())).collect();
                match how % 8 {
                    1 => {
                        return IoResult::Read(Err(if how >= 128 {
                            ReadFailure::TooLarge
                        } else {
                            ReadFailure::Failed
                        }));
                    }
                    2 => values.reverse(),
                    3 => values.iter_mut().flatten().for_each(|bytes| bytes.truncate(bytes.len() / 2)),
                    4 => values.iter_mut().flatten().for_each(|bytes| bytes[20] ^= 1),
                    5 => values.fill(Some(b"rubbish".to_vec())),
                    6 => values.truncate(1),
                    7 => values.fill(self.store.values().next().cloned()),
                    _ => {}
                }
                IoResult::Read(Ok(values))
            }
            IoRequest::WriteStore { entries, .. } if how % 4 == 1 => {
                IoResult::Written(WriteOutcome::failed(entries.len()))
            }
            IoRequest::WriteStore { entries, .. } => {
                self.store.extend(entries.into_iter().map(|(key, value)| (key.to_string(), value)));
                IoResult::Written(WriteOutcome::default())
            }
            IoRequest::Fetch(OriginRequest { body, .. }) | IoRequest::Synthesize { body, .. } => {
                IoResult::Fetched(self.fetch(&body, how))
            }
            IoRequest::Forward { .. } => IoResult::Forwarded(Some(200)),
            IoRequest::Log { request } => IoResult::Logged(match how % 4 {
                1 => None,
                2 => Some(vec![how; 40]),
                _ => Append::read(&request).map(|call| {
                    Appended { clock: self.now, last: call.after, epoch: 1, ..Appended::default() }.to_bytes()
                }),
            }),
            IoRequest::Wait { .. } | IoRequest::Records => IoResult::Waited,
        }
    }

    fn fetch(&mut self, body: &[u8], how: u8) -> Result<OriginReply, FetchFailure> {
        let (mut status, mut answer) = synthetic::answer(body, &self.service.config().limits, Timestamp(self.now));
        let last = core::mem::replace(&mut self.last_answer, answer.clone());
        match how % 8 {
            1 => return Err(FetchFailure::TimedOut),
            2 => return Err(FetchFailure::Unreachable),
            3 => status = 500,
            4 => answer.truncate(answer.len() / 2),
            5 => answer = b"<html>so sorry</html>".to_vec(),
            6 => answer = last,
            7 => status = 404,
            _ => {}
        }
        Ok(OriginReply { status, content_type: Some("application/json".to_owned()), body: answer })
    }

    /// Lets a request go on that was woken, or whose reader took a part.
    fn resume(&mut self, with: u8) {
        let now = Timestamp(self.now);
        if let Some(handle) = self.woken.pop() {
            let transition = self.service.wake(handle, now);
            self.take(self.by_handle.get(&handle.number()).copied(), transition);
        } else if !self.parts.is_empty() {
            let handle = self.parts.swap_remove(usize::from(with) % self.parts.len());
            let transition = self.service.resume(handle, now);
            self.take(self.by_handle.get(&handle.number()).copied(), transition);
        }
    }

    /// Abandons the request of a pending effect, with its other effects.
    fn abandon(&mut self, with: u8) -> bool {
        if self.open.is_empty() {
            return false;
        }
        let handle = self.open[usize::from(with) % self.open.len()].1.id.handle();
        let woken = self.service.abandon(handle, Timestamp(self.now));
        self.woken.extend(woken);
        self.woken.retain(|woken| *woken != handle);
        self.parts.retain(|part| *part != handle);
        self.open.retain(|(_, effect)| effect.id.handle() != handle);
        if let Some(&request) = self.by_handle.get(&handle.number()) {
            self.requests[request].is_abandoned = true;
        }
        true
    }

    /// Lets all end as it will, with tiers that are well.
    fn drain(&mut self) {
        for _ in 0..20_000 {
            if self.open.is_empty() && self.woken.is_empty() && self.parts.is_empty() {
                return;
            }
            self.resume(0);
            self.complete(0, 0);
        }
        panic!("requests go on without end");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    // Requests of all kinds over all tiers, one after the other and at one time; outcomes of all kinds.
    let all: Vec<u8> = (0..=255_u8).flat_map(|byte| [byte, byte.wrapping_mul(37), byte.wrapping_mul(11)]).collect();
    vec![
        vec![1, 8, 0, 0x33, 0, 7, 255, 7, 255, 7, 255, 0, 0x33, 0, 7, 255],
        vec![3, 8, 0, 0xff, 4, 0, 0xff, 4, 12, 0, 4, 0, 7, 255, 7, 255],
        vec![0x13, 12, 0, 0xf7, 0x3c, 7, 255, 6, 0, 7, 255, 6, 0, 7, 255],
        vec![7, 8, 2, 0, 7, 255, 2, 1, 7, 255, 2, 2, 7, 255, 2, 3, 2, 4, 2, 5, 7, 255],
        all.iter().take(400).copied().collect(),
        all.iter().rev().take(400).copied().collect(),
    ]
}
