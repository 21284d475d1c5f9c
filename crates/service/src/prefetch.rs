//! Learning from requests and fetching ahead of them: sessions by their key, predictions as requests made anew, and the
//! model that isolates leave to each other in L2.
//!
//! Knows no rule of what is worth fetching; that is the engine's. Invariant: nothing here is done before a request's
//! answer but to learn from it: the rest is ordered for afterwards.

use crate::io::{Order, OrderId, Outcome, Part, Step, Task, Ticket, WriteBegun};
use crate::rows::Waiting;
use crate::{Pending, Protocol, Service};
use ::prefetch::patterns::{Entity, MAX_ENTITIES, Prediction, Predictions, is_of};
use ::prefetch::stored::MAX_MODEL;
use model::answer::Tier;
use model::key::StoreKey;
use model::request::Ask;
use model::shape::{Shape, fingerprint, short};
use model::time::Instant;
use origin::replay;
use protocol::call::Call;
use protocol::plan::Plan;

/// What is kept for a project beside its rows.
const MODEL: &str = "learned";

impl Service {
    /// What the engine knows a session by, from what the client calls it.
    pub(super) fn session(&self, key: &str) -> Option<u64> {
        let is_one = self.config.prefetch.enabled && !key.is_empty();
        is_one.then(|| fingerprint(key.as_bytes(), self.seed))
    }

    /// The session that the body of a request names.
    pub(super) fn session_of(&self, protocol: Protocol, body: &[u8]) -> Option<u64> {
        let Protocol::Native(options) = protocol else { return None };
        self.session(options.session?.string(body, &mut String::new()))
    }

    /// Learns from a request; what to look into once it has its answer.
    pub(super) fn learn(&mut self, call: &Call, plan: &Plan, ask: &Ask, now: Instant) -> Option<Box<Ahead>> {
        if !self.config.prefetch.enabled || !call.caller.is_empty() {
            return None;
        }
        let Some(session) = call.session else {
            self.engine.count(&plan.shape, ask.rows, now);
            return None;
        };
        let is_due = self.model_at.is_some_and(|at| now >= at);
        let count = ask.rows.min(MAX_ENTITIES);
        if let [carrier] = *plan.shape.carriers.as_slice()
            && !is_due
        {
            let name = |row: usize| name_of(ask.keys.at(carrier * ask.rows + row).0, &plan.shape);
            let ends = [name(0), name(count.saturating_sub(1))];
            if self.engine.observe_again(session, ask.cohort, &plan.shape, count, ends, now) {
                return None;
            }
        }
        let (known, count) = entities(ask, &plan.shape, &mut self.spare_entities);
        let known = known.get(..count).unwrap_or_default();
        let predictions = self.engine.observe(session, ask.cohort, &plan.shape, known, now);
        (is_due || !predictions.as_slice().is_empty()).then(|| Box::new(Ahead { predictions }))
    }

    /// An order to come back once the answer is out.
    pub(super) fn afterwards(&mut self, ahead: Option<Box<Ahead>>, now: Instant) -> Vec<Order> {
        let Some(ahead) = ahead else { return Vec::new() };
        let ticket = self.next_ticket(now);
        self.pending.insert(ticket.0, Pending::Ahead { ahead, began: now });
        let id = OrderId { ticket, part: Part::Ahead };
        vec![Order { id, task: Task::Wait { outlives_request: true }, timeout_millis: 0 }]
    }

    /// Fetches ahead what was predicted, and leaves what is learned to other isolates when that is due.
    #[inline(never)]
    pub(super) fn fetch_ahead(&mut self, ticket: Ticket, now: Instant) -> Step {
        let Some(Pending::Ahead { ahead, .. }) = self.pending.remove(ticket.0) else { return Step::default() };
        let mut step = Step::default();
        let mut predictions = ahead.predictions;
        let mut left = self.config.prefetch.rows_per_request;
        while let Some(&Prediction { shape, .. }) = predictions.as_slice().first() {
            let of_shape: Vec<Prediction> =
                predictions.as_slice().iter().filter(|prediction| prediction.shape == shape).copied().collect();
            predictions.retain(|prediction| prediction.shape != shape);
            let next = self.fetch_shape_ahead(of_shape, &mut left, now);
            step.orders.extend(next.orders);
            step.woken.extend(next.woken);
        }
        step.orders.extend(self.leave_model(now));
        step
    }

    fn fetch_shape_ahead(&mut self, mut predictions: Vec<Prediction>, left: &mut usize, now: Instant) -> Step {
        let shape = predictions.first().map_or(0, |prediction| prediction.shape);
        let Some(plan) = self.planner.shaped(|name| is_of(shape, name)).cloned() else { return Step::default() };
        let patterns = self.engine.patterns();
        predictions.retain(|prediction| patterns.key(prediction.entity).is_some());
        predictions.truncate(*left / plan.views.len().max(1));
        *left = left.saturating_sub(predictions.len() * plan.views.len());
        let keys: Vec<&[u8]> = predictions.iter().filter_map(|prediction| patterns.key(prediction.entity)).collect();
        let Some((call, body)) = replay::call(&plan, &keys, &self.config.limits).filter(|(call, _)| call.rows > 0)
        else {
            return Step::default();
        };
        let Ok(ask) = self.ask(Protocol::Feast, &call, &body, &plan) else { return Step::default() };
        let ticket = self.next_ticket(now);
        let (route, progress) = self.engine.prefetch(ticket.session(), ask, &predictions, now);
        let waiting = Waiting::behind(Box::new(call), body, plan, route, now);
        self.go_on(ticket, waiting, progress, now)
    }

    /// With the first session, an order for what other isolates have learned.
    pub(super) fn take_model(&mut self, session: Option<u64>, now: Instant) -> Option<Order> {
        let prefetch = &self.config.prefetch;
        if session.is_none() || self.model_at.is_some() || prefetch.store_seconds == 0 || !self.config.l2.enabled {
            return None;
        }
        self.model_at = Some(now.plus(prefetch.store_seconds * 1_000));
        let id = OrderId { ticket: self.next_ticket(now), part: Part::Model };
        let task = Task::ReadStore { tier: Tier::L2, shard: 0, keys: vec![self.model_key()] };
        Some(Order { id, task, timeout_millis: self.config.l2.timeout_ms })
    }

    /// What came of [`Service::take_model`].
    #[inline(never)]
    pub(super) fn complete_model(&mut self, outcome: Outcome, now: Instant) {
        let Outcome::Read(Some(values)) = outcome else { return };
        let Some(model) = values.into_iter().next().flatten() else { return };
        let is_restored = self.engine.patterns_mut().restore(&model, &self.config.project, now);
        let measured = self.engine.governor_mut().measured_mut();
        measured.models += u64::from(is_restored);
        measured.models_ignored += u64::from(!is_restored);
    }

    #[inline(never)]
    fn leave_model(&mut self, now: Instant) -> Option<Order> {
        if self.model_at.is_none_or(|at| now < at) {
            return None;
        }
        self.model_at = Some(now.plus(self.config.prefetch.store_seconds * 1_000));
        let model = self.engine.patterns().store(&self.config.project);
        debug_assert!(model.len() <= MAX_MODEL);
        let ttl_seconds = self.config.l2.ttl_seconds;
        let write = WriteBegun { tier: Tier::L2, rows: 1, allowance: None, began: now };
        let id = OrderId { ticket: self.next_ticket(now), part: Part::Write(write) };
        let task = Task::WriteStore { tier: Tier::L2, shard: 0, entries: vec![(self.model_key(), model)], ttl_seconds };
        Some(Order { id, task, timeout_millis: self.config.l2.timeout_ms })
    }

    fn model_key(&self) -> StoreKey {
        StoreKey::beside_rows(&self.config.l2.key_prefix, &self.config.project, MODEL)
    }
}

/// What to look into once a request has its answer.
#[derive(Debug)]
pub(super) struct Ahead {
    predictions: Predictions,
}

/// The entities of a request that are learned from, and how many they are; `buffer` takes those keys that stand in pieces.
pub(super) fn entities<'a>(
    ask: &'a Ask,
    shape: &Shape,
    buffer: &'a mut Vec<u8>,
) -> ([Entity<'a>; MAX_ENTITIES], usize) {
    let mut entities = [Entity::default(); MAX_ENTITIES];
    let count = ask.rows.min(MAX_ENTITIES);
    let key_of = |carrier: usize, row: usize| ask.keys.at(carrier * ask.rows + row).0;
    let mut ends = [0; MAX_ENTITIES];
    buffer.clear();
    if shape.carriers.len() > 1 {
        for (row, end) in ends.iter_mut().enumerate().take(count) {
            shape.carriers.iter().for_each(|&carrier| buffer.extend_from_slice(key_of(carrier, row)));
            *end = buffer.len();
        }
    }
    let mut start = 0;
    for (row, (entity, end)) in entities.iter_mut().zip(ends).enumerate().take(count) {
        let key = match *shape.carriers.as_slice() {
            [carrier] => key_of(carrier, row),
            _ => buffer.get(start..end).unwrap_or_default(),
        };
        start = end;
        *entity = Entity { name: name_of(key, shape), key };
    }
    (entities, count)
}

/// What an entity of a shape is known by.
fn name_of(key: &[u8], shape: &Shape) -> u32 {
    short(fingerprint(key, u64::from(shape.columns)))
}
