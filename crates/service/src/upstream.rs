//! What is not answered here, or not yet: the origin's health, and requests that go on to the origin.

use std::borrow::Cow;

use crate::io::{End, Incoming, Order, OrderId, OriginRequest, Part, Step, Task};
use crate::{Pending, Protocol, Reply, Service, refuse, reply, setup};
use config::OriginKind;
use model::refusal::Refusal;
use model::time::Instant;

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
                let message =
                    "a feature is malformed: it is `view:feature`, or `feature` for the view `native.default_view`";
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
