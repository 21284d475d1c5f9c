//! What is not answered here, or not yet: the registry's word, the origin's health, and requests that go on to the origin.

use std::borrow::Cow;

use crate::config::OriginKind;
use crate::model::refusal::Refusal;
use crate::model::time::Instant;
use crate::service::io::{End, Incoming, Order, OrderId, OriginRequest, Outcome, Part, Step, Task};
use crate::service::{Pending, Protocol, Reply, Service, refuse, reply, setup};
use crate::upstream::registry;

impl Service {
    pub(super) fn origin_task(
        &self,
        method: &'static str,
        path: &str,
        body: Vec<u8>,
        traceparent: Option<String>,
    ) -> Task {
        let origin = &self.config.origin;
        match (origin.kind, &origin.url) {
            (OriginKind::Http, Some(base)) => Task::Fetch(OriginRequest {
                method,
                url: setup::join_url(base, path),
                body,
                max_bytes: self.config.limits.origin_body_bytes,
                traceparent,
            }),
            _ => Task::Synthesize { delay_millis: origin.delay_ms, body },
        }
    }

    /// Asks the registry how views are keyed, before `request` where one waits for it.
    pub(super) fn ask_registry(&mut self, request: Option<(Protocol, Vec<u8>)>, now: Instant) -> Step {
        let Some(settings) = &self.config.registry else { return Step::default() };
        let project = settings.project.as_deref().unwrap_or(&self.config.project);
        let task = Task::Fetch(OriginRequest {
            method: "GET",
            url: setup::join_url(&settings.url, &registry::path(project)),
            body: Vec::new(),
            max_bytes: registry::MAX_BYTES,
            traceparent: None,
        });
        let ticket = self.next_ticket(now);
        let order =
            Order { id: OrderId { ticket, part: Part::Registry }, task, timeout_millis: self.config.origin.timeout_ms };
        let caller = core::mem::take(&mut self.caller);
        // Asked behind another's back, it is in nobody's trace.
        let context = if request.is_some() { self.context.take() } else { None };
        self.pending.insert(ticket.0, Pending::Registry { request, caller, context, began: now });
        Step { ticket: Some(ticket), orders: vec![order], ..Step::default() }
    }

    #[inline(never)]
    pub(super) fn complete_registry(&mut self, id: OrderId, outcome: Outcome, now: Instant) -> Step {
        let pending = self.pending.remove(&id.ticket.0);
        if let Outcome::Fetched(Ok(reply)) = outcome
            && reply.status == 200
            && let Some(views) = registry::views(&reply.body)
        {
            self.planner.learn(views, now);
        }
        let (request, caller, context, began) = match pending {
            Some(Pending::Registry { request, caller, context, began }) => (request, caller, context, began),
            Some(Pending::Unread { body, caller, .. }) => return self.warm_unread(&body, caller, now),
            _ => return Step::default(),
        };
        // Where the registry said nothing, whole entity rows are the keys: the request is served all the same.
        let Some((protocol, body)) = request else { return Step::default() };
        self.caller = caller;
        self.context = context;
        let step = self.serve_body(protocol, &body, None, now);
        if let Some(ticket) = step.ticket
            && let Some(Pending::Rows(waiting)) = self.pending.get_mut(&ticket.0)
        {
            waiting.began = began;
        }
        self.context = None;
        step
    }

    pub(super) fn ready(&mut self, now: Instant) -> Step {
        if self.config.origin.kind == OriginKind::Synthetic {
            return reply::ready().into();
        }
        let ticket = self.next_ticket(now);
        self.pending.insert(ticket.0, Pending::Health { began: now });
        let order = Order {
            id: OrderId { ticket, part: Part::Health },
            task: self.origin_task("GET", "/health", Vec::new(), None),
            timeout_millis: self.config.origin.timeout_ms,
        };
        Step { ticket: Some(ticket), orders: vec![order], ..Step::default() }
    }

    /// Lets the origin answer a feature request that only it may judge.
    pub(super) fn leave_to_origin(&self, protocol: Protocol, body: &[u8], now: Instant) -> Step {
        match (protocol, self.forward_base()) {
            (Protocol::Feast, Some(base)) => Step { end: Some(End::Forward { base }), ..Step::default() },
            (Protocol::Feast, None) => {
                let reply = self.synthesize(body, now);
                Reply::json(reply.status, Cow::Owned(reply.body)).into()
            }
            (Protocol::Native(_), _) => {
                let message = "the features cannot be served together: a reference is malformed, or stands twice";
                refuse(protocol, &Refusal::field(&["body", "feature_names"], "value_error", message), body).into()
            }
        }
    }

    pub(super) fn forward(&self, incoming: Incoming<'_>, now: Instant) -> Step {
        match self.forward_base() {
            Some(base) => Step { end: Some(End::Forward { base }), ..Step::default() },
            None if (incoming.method, incoming.path) == ("POST", "/get-online-features") => {
                self.leave_to_origin(Protocol::Feast, incoming.body, now)
            }
            None => reply::not_found(incoming.path).into(),
        }
    }

    pub(super) fn forward_base(&self) -> Option<String> {
        let origin = &self.config.origin;
        origin.url.clone().filter(|_| origin.kind == OriginKind::Http)
    }
}
