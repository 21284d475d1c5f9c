//! The world: a host that performs the service's orders against a store and an origin in memory.

use std::collections::{BTreeMap, VecDeque};

use featheredge::config::{Config, OriginKind};
use featheredge::model::time::Instant;
use featheredge::protocol::synthetic;
use featheredge::service::{
    End, FetchFailure, Incoming, Order, OriginReply, OriginRequest, Outcome, Service, Step, Task,
};
use serde_json::Value;

/// 2026-11-23T08:00:00Z, plus ten minutes.
const START: u64 = 1_795_420_800_000 + 600_000;

/// What the origin does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Computes as the built-in one.
    Computes,
    /// Answers just this.
    Answers(u16, String),
    /// Is not there.
    IsDown,
    /// Never answers in time.
    IsSlow,
}

pub(crate) struct World {
    pub(crate) service: Service,
    pub(crate) now: u64,
    pub(crate) store: BTreeMap<String, Vec<u8>>,
    pub(crate) is_store_down: bool,
    pub(crate) origin: Origin,
    /// Answers of the origin for the next calls, before `origin` holds again.
    pub(crate) scripted: VecDeque<(u16, String)>,
    /// Bodies of the calls to the origin.
    pub(crate) origin_calls: Vec<String>,
    /// Number of keys of each bulk read.
    pub(crate) reads: Vec<usize>,
    /// Number of rows of each write order.
    pub(crate) writes: Vec<usize>,
    /// How long each call to the origin takes, in milliseconds.
    pub(crate) origin_millis: u64,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// Whether the reply came from the very call that began the request.
    pub(crate) is_immediate: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The values of a Feast answer's column, as text.
    pub(crate) fn column(&self, name: &str) -> Vec<String> {
        self.part(name, "values")
    }

    pub(crate) fn statuses(&self, name: &str) -> Vec<String> {
        self.part(name, "statuses").iter().map(|text| text.trim_matches('"').to_owned()).collect()
    }

    fn part(&self, name: &str, part: &str) -> Vec<String> {
        let json = self.json();
        let names = json["metadata"]["feature_names"].as_array().unwrap();
        let at = names.iter().position(|known| known == name).unwrap_or_else(|| panic!("no {name} in {names:?}"));
        json["results"][at][part].as_array().unwrap().iter().map(Value::to_string).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let json = self.json();
        json["metadata"]["feature_names"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    }
}

impl World {
    pub(crate) fn new() -> World {
        World::with(|_| {})
    }

    /// A world whose configuration `change` has adapted.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> World {
        let mut config = Config::default();
        change(&mut config);
        World {
            service: Service::new(config, 7),
            now: START,
            store: BTreeMap::new(),
            is_store_down: false,
            origin: Origin::Computes,
            scripted: VecDeque::new(),
            origin_calls: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            origin_millis: 10,
        }
    }

    /// A world whose origin is an HTTP server.
    pub(crate) fn with_http_origin(change: impl FnOnce(&mut Config)) -> World {
        World::with(|config| {
            config.origin.kind = OriginKind::Http;
            config.origin.url = Some("http://origin.example".to_owned());
            change(config);
        })
    }

    /// Another isolate over the same store: its L1 is empty.
    pub(crate) fn restart(&mut self) {
        self.service = Service::new(self.service.config().clone(), 8);
    }

    pub(crate) fn pass_seconds(&mut self, seconds: u64) {
        self.now += seconds * 1_000;
    }

    pub(crate) fn feast(&mut self, body: &str) -> Answer {
        self.post("/get-online-features", body.as_bytes())
    }

    pub(crate) fn native(&mut self, body: &str) -> Answer {
        self.post("/v1/features", body.as_bytes())
    }

    /// Forgets the operations counted so far.
    pub(crate) fn reset_counts(&mut self) {
        self.origin_calls.clear();
        self.reads.clear();
        self.writes.clear();
    }

    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Answer {
        self.call("POST", path, body)
    }

    pub(crate) fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        let incoming = Incoming { method, path, body, has_authorization: false };
        let step = self.service.begin(incoming, Instant(self.now));
        let is_immediate = step.end.is_some();
        let answer = self.drive(step, is_immediate);
        assert_eq!(self.service.under_way(), 0, "a request was left behind");
        assert_eq!(self.service.engine().sessions(), 0, "a session was left behind");
        answer
    }

    fn drive(&mut self, step: Step, is_immediate: bool) -> Answer {
        let mut queue: VecDeque<Order> = step.orders.into();
        let mut end = step.end;
        while let Some(order) = queue.pop_front() {
            let id = order.id;
            let outcome = self.perform(order.task);
            let step = self.service.complete(id, outcome, Instant(self.now));
            queue.extend(step.orders);
            if step.end.is_some() {
                assert!(end.is_none(), "two ends");
                end = step.end;
            }
        }
        match end.expect("a request without an end") {
            End::Reply(reply) => {
                let headers = reply.headers().iter().map(|header| (header.name.to_owned(), header.value.to_string()));
                let answer = Answer {
                    status: reply.status(),
                    text: String::from_utf8(reply.body().to_vec()).unwrap(),
                    headers: headers.collect(),
                    is_immediate,
                };
                self.service.recycle(reply);
                answer
            }
            End::Forward { base } => Answer { status: 299, text: base, headers: BTreeMap::new(), is_immediate },
            End::Asset => Answer { status: 298, text: String::new(), headers: BTreeMap::new(), is_immediate },
        }
    }

    fn perform(&mut self, task: Task) -> Outcome {
        match task {
            Task::ReadStore(keys) => {
                self.reads.push(keys.len());
                if self.is_store_down {
                    return Outcome::Read(None);
                }
                Outcome::Read(Some(keys.iter().map(|key| self.store.get(key.as_str()).cloned()).collect()))
            }
            Task::WriteStore { entries, .. } => {
                self.writes.push(entries.len());
                if !self.is_store_down {
                    self.store.extend(entries.into_iter().map(|(key, value)| (key.to_string(), value)));
                }
                Outcome::Read(None)
            }
            Task::Synthesize { body, .. } | Task::Fetch(OriginRequest { body, .. }) => self.fetch(body),
        }
    }

    fn fetch(&mut self, body: Vec<u8>) -> Outcome {
        self.origin_calls.push(String::from_utf8(body.clone()).unwrap());
        self.now += self.origin_millis;
        let reply = |status, body| {
            Outcome::Fetched(Ok(OriginReply { status, content_type: Some("application/json".to_owned()), body }))
        };
        if let Some((status, text)) = self.scripted.pop_front() {
            return reply(status, text.into_bytes());
        }
        match &self.origin {
            Origin::Computes => {
                let (status, body) = synthetic::answer(&body, &self.service.config().limits, Instant(self.now));
                reply(status, body)
            }
            Origin::Answers(status, text) => reply(*status, text.clone().into_bytes()),
            Origin::IsDown => Outcome::Fetched(Err(FetchFailure::Unreachable)),
            Origin::IsSlow => Outcome::Fetched(Err(FetchFailure::TimedOut)),
        }
    }
}

/// A Feast request for `features` of one view and entities by number.
pub(crate) fn request(features: &[&str], ids: impl IntoIterator<Item = u64>) -> String {
    let features: Vec<String> = features.iter().map(|feature| format!("\"stats:{feature}\"")).collect();
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    format!(r#"{{"features":[{}],"entities":{{"driver_id":[{}]}}}}"#, features.join(","), ids.join(","))
}

/// An answer of an origin with one row of one view.
pub(crate) fn one_row(id: &str, features: &[(&str, &str)]) -> String {
    let zero = "1970-01-01T00:00:00Z";
    let mut results = vec![format!(r#"{{"values":[{id}],"statuses":["PRESENT"],"event_timestamps":["{zero}"]}}"#)];
    let mut names = vec!["\"driver_id\"".to_owned()];
    for (name, value) in features {
        results.push(format!(
            r#"{{"values":[{value}],"statuses":["PRESENT"],"event_timestamps":["2026-11-23T08:00:00Z"]}}"#
        ));
        names.push(format!("\"{name}\""));
    }
    format!(r#"{{"results":[{}],"metadata":{{"feature_names":[{}]}}}}"#, results.join(","), names.join(","))
}
