//! When the registry is asked how views are keyed, and how long a request waits for its answer.
//!
//! The call has a ticket of its own, so that it outlives the request that made it: what it brings counts for the requests that
//! come later. It knows no view: `origin::registry` reads the answer and the planner keeps it. Invariant: a request waits
//! for the registry for at most half of its own deadline, by a timer of its own, and only the first one waits at all. Without
//! an answer, the whole entity row is the key: always right, if less shared.

use std::borrow::Cow;

use crate::io::{Order, OrderId, OriginRequest, Outcome, Part, Step, Task, Ticket};
use crate::{Pending, Protocol, Service, setup};
use model::request::Priority;
use model::time::Instant;
use origin::registry;
use protocol::call::Call;
use telemetry::trace::Context;

/// A request for features that waits for the registry.
#[derive(Debug)]
pub(super) struct AwaitingMetadata {
    protocol: Protocol,
    call: Box<Call>,
    body: Vec<u8>,
    /// Where it stands in a trace, if in one.
    context: Option<Context>,
    pub(super) began: Instant,
}

impl AwaitingMetadata {
    /// The memory that it takes, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<AwaitingMetadata>() + self.body.capacity() + self.call.size()
    }
}

impl Service {
    /// Serves a request that comes when the registry is to be asked.
    #[cold]
    pub(super) fn serve_learning(
        &mut self,
        protocol: Protocol,
        mut call: Box<Call>,
        body: &[u8],
        now: Instant,
    ) -> Step {
        // What the registry said last still counts while it is asked again behind this request; and who finds no room to wait is
        // served with what is known, as where the registry does not answer.
        if self.planner.has_learned() || !self.has_room(protocol.priority(), body.len() + call.size()) {
            let refresh = self.ask_registry(None, now);
            let mut step = self.serve_call(protocol, call, Cow::Borrowed(body), now, now);
            step.orders.extend(refresh);
            return step;
        }
        self.spare_call = Some(Box::new(call.successor()));
        let context = self.context.take();
        let request = AwaitingMetadata { protocol, call, body: body.to_vec(), context, began: now };
        let millis = self.half_of_deadline(protocol, 0);
        self.await_registry(Pending::AwaitingMetadata(Box::new(request)), millis, now)
    }

    /// Asks the registry, and has `waiter` wait for it for so many milliseconds.
    pub(super) fn await_registry(&mut self, waiter: Pending, millis: u64, now: Instant) -> Step {
        let ticket = self.next_ticket(now);
        self.pending.insert(ticket.0, waiter);
        let mut orders = vec![Order::wait(ticket, millis)];
        orders.extend(self.ask_registry(Some(ticket), now));
        Step { ticket: Some(ticket), orders, ..Step::default() }
    }

    /// A call to the registry, for which `waiter` waits, if anybody does.
    fn ask_registry(&mut self, waiter: Option<Ticket>, now: Instant) -> Option<Order> {
        let settings = self.config.registry.as_ref()?;
        let project = settings.project.as_deref().unwrap_or(&self.config.project);
        let task = Task::Fetch(OriginRequest {
            method: "GET",
            url: setup::join_url(&settings.url, &registry::path(project)),
            body: Vec::new(),
            max_bytes: registry::MAX_BYTES,
            traceparent: None,
        });
        let ticket = self.next_ticket(now);
        self.pending.insert(ticket.0, Pending::Registry { waiter, began: now });
        let id = OrderId { ticket, part: Part::Registry };
        Some(Order { id, task, timeout_millis: self.config.origin.timeout_ms })
    }

    /// Learns from the registry's answer, and lets the request go on that still waits for it.
    #[inline(never)]
    pub(super) fn complete_registry(&mut self, id: OrderId, outcome: Outcome, now: Instant) -> Step {
        let pending = self.pending.remove(id.ticket.0);
        if let Outcome::Fetched(Ok(reply)) = outcome
            && reply.status == 200
            && let Some(views) = registry::views(&reply.body)
        {
            self.planner.learn(views, now);
        }
        let Some(Pending::Registry { waiter: Some(waiter), .. }) = pending else { return Step::default() };
        // Its own timer ends its wait, here as where the registry answers nothing.
        self.go_on_with(waiter, true, now)
    }

    /// Serves a request that has waited for the registry long enough, with what is known by now.
    pub(super) fn serve_without_registry(&mut self, request: AwaitingMetadata, now: Instant) -> Step {
        let AwaitingMetadata { protocol, mut call, body, context, began } = request;
        if let Some(mut spare) = self.spare_call.take() {
            call.succeed(&mut spare);
        }
        self.context = context;
        let step = self.serve_call(protocol, call, body.into(), began, now);
        self.context = None;
        step
    }

    /// Half of what is left of a request's deadline after `waited` milliseconds: how long it waits, at most, for one that only
    /// helps it.
    pub(super) fn half_of_deadline(&self, protocol: Protocol, waited: u64) -> u64 {
        let own = if let Protocol::Native(options) = protocol { options.deadline_millis } else { None };
        let (routing, deadlines) = (&self.config.routing, &self.config.deadlines);
        let usual =
            if protocol.priority() >= Priority::High { routing.real_time_deadline_ms } else { deadlines.default_ms };
        own.unwrap_or(usual).min(deadlines.default_ms).saturating_sub(waited) / 2
    }
}
