//! Prefetch at the service: sessions by their key, training, predictions as requests, and the model that
//! isolates share in L2.
//!
//! It does not know what is worth fetching, which the engine decides. Invariant: before an answer it only
//! trains; all else is scheduled for afterwards.

use std::rc::Rc;

use crate::io::{Continuation, IoRequest, IoResult, PendingWrite};
use crate::pool::Pool;
use crate::request::{Protocol, RequestContext};
use ::prefetch::model_codec::MAX_MODEL;
use ::prefetch::patterns::{Entity, MAX_ENTITIES, Prediction, Predictions, is_of};
use config::Config;
use engine::Engine;
use model::answer::Tier;
use model::key::StoreKey;
use model::request::RowQuery;
use model::shape::{RequestShape, fingerprint, short_fingerprint};
use model::time::Timestamp;
use origin::planner::Planner;
use origin::prefetch_request;
use protocol::parsed_request::ParsedRequest;
use protocol::plan::Plan;

/// The key of a project's model. Stored, so it does not change.
const MODEL: &str = "learned";

/// Trains on requests, makes predicted ones, and persists the model.
#[derive(Debug)]
pub(super) struct PrefetchScheduler {
    config: Rc<Config>,
    seed: u64,
    /// When the model is next persisted; `None` before the first session.
    persist_at: Option<Timestamp>,
}

/// Predicted requests of one shape.
#[derive(Debug)]
pub(super) struct PrefetchBatch {
    pub(super) request: ParsedRequest<'static>,
    pub(super) plan: Rc<Plan>,
    pub(super) predictions: Vec<Prediction>,
}

impl PrefetchScheduler {
    pub(super) fn new(config: Rc<Config>, seed: u64) -> PrefetchScheduler {
        PrefetchScheduler { config, seed, persist_at: None }
    }

    /// Puts its times back by so many milliseconds: the clock that they were set by was ahead.
    pub(super) fn set_clock_back(&mut self, millis: u64) {
        self.persist_at = self.persist_at.map(|at| at.minus(millis));
    }

    /// The engine's name of a session, from the request's body or else its header.
    pub(super) fn session(&self, protocol: &Protocol, body: &[u8], header: Option<&str>) -> Option<u64> {
        let mut scratch = String::new();
        let named = protocol.options().and_then(|options| options.session);
        let named = named.map(|span| span.string(body, &mut scratch)).filter(|key| !key.is_empty()).or(header)?;
        let is_one = self.config.prefetch.enabled && !named.is_empty();
        is_one.then(|| fingerprint(named.as_bytes(), self.seed))
    }

    /// Trains on a request. Returns the predictions to act on after its answer.
    pub(super) fn train(
        &self,
        engine: &mut Engine,
        pool: &mut Pool,
        context: &RequestContext<'_>,
        plan: &Plan,
        query: &RowQuery,
        now: Timestamp,
    ) -> Option<Box<Predictions>> {
        if !self.config.prefetch.enabled || !context.caller.is_empty() {
            return None;
        }
        let Some(session) = context.session else {
            engine.count_request(&plan.shape, query.rows, now);
            return None;
        };
        let is_due = self.persist_at.is_some_and(|at| now >= at);
        let count = query.rows.min(MAX_ENTITIES);
        if let [carrier] = *plan.shape.key_views.as_slice()
            && !is_due
        {
            let name = |row: usize| name_of(query.keys.at(carrier * query.rows + row).0, &plan.shape);
            let ends = [name(0), name(count.saturating_sub(1))];
            if engine.observe_repeat(session, query.cohort, &plan.shape, count, ends, now) {
                return None;
            }
        }
        let (known, count) = entities(query, &plan.shape, &mut pool.entities);
        let known = known.get(..count).unwrap_or_default();
        let predictions = engine.observe(session, query.cohort, &plan.shape, known, now);
        (is_due || !predictions.as_slice().is_empty()).then(|| Box::new(predictions))
    }

    /// The predictions as requests, a batch for each shape.
    #[inline(never)]
    pub(super) fn batches(
        &self,
        mut predictions: Predictions,
        engine: &Engine,
        planner: &Planner,
    ) -> Vec<PrefetchBatch> {
        let mut batches = Vec::new();
        let mut left = self.config.prefetch.max_rows_per_request;
        while let Some(&Prediction { shape, .. }) = predictions.as_slice().first() {
            let of_shape: Vec<Prediction> =
                predictions.as_slice().iter().filter(|prediction| prediction.shape == shape).copied().collect();
            predictions.retain(|prediction| prediction.shape != shape);
            batches.extend(self.batch(shape, of_shape, &mut left, engine, planner));
        }
        batches
    }

    fn batch(
        &self,
        shape: u32,
        mut predictions: Vec<Prediction>,
        left: &mut usize,
        engine: &Engine,
        planner: &Planner,
    ) -> Option<PrefetchBatch> {
        let plan = planner.find_by_shape(|name| is_of(shape, name)).cloned()?;
        let patterns = engine.patterns();
        predictions.retain(|prediction| patterns.key(prediction.entity).is_some());
        predictions.truncate(*left / plan.views.len().max(1));
        *left = left.saturating_sub(predictions.len() * plan.views.len());
        let keys: Vec<&[u8]> = predictions.iter().filter_map(|prediction| patterns.key(prediction.entity)).collect();
        let request =
            prefetch_request::request(&plan, &keys, &self.config.limits).filter(|request| request.fields.rows > 0)?;
        Some(PrefetchBatch { request, plan, predictions })
    }

    /// With the first session, a read of the shared model.
    pub(super) fn load_model(&mut self, session: Option<u64>, now: Timestamp) -> Option<IoRequest> {
        let prefetch = &self.config.prefetch;
        if session.is_none()
            || self.persist_at.is_some()
            || prefetch.persist_interval_seconds == 0
            || !self.config.l2.enabled
        {
            return None;
        }
        self.persist_at = Some(now.plus(prefetch.persist_interval_seconds * 1_000));
        Some(IoRequest::ReadStore { tier: Tier::L2, shard: 0, keys: vec![self.model_key()] })
    }

    /// Persists the model for other isolates, when that is due.
    #[inline(never)]
    pub(super) fn persist_model(&mut self, engine: &Engine, now: Timestamp) -> Option<(Continuation, IoRequest)> {
        if self.persist_at.is_none_or(|at| now < at) {
            return None;
        }
        self.persist_at = Some(now.plus(self.config.prefetch.persist_interval_seconds * 1_000));
        if !engine.accepts_writes(Tier::L2, now) {
            return None;
        }
        let model = engine.patterns().encode(&self.config.project);
        debug_assert!(model.len() <= MAX_MODEL);
        let ttl_seconds = self.config.l2.ttl_seconds;
        let write = PendingWrite { tier: Tier::L2, rows: 1, allowance: None, began: now };
        let io_request =
            IoRequest::WriteStore { tier: Tier::L2, shard: 0, entries: vec![(self.model_key(), model)], ttl_seconds };
        Some((Continuation::Write(write), io_request))
    }

    /// Merges the model that [`PrefetchScheduler::load_model`] read.
    #[inline(never)]
    pub(super) fn on_model_loaded(&self, engine: &mut Engine, result: IoResult, now: Timestamp) {
        let IoResult::Read(Ok(values)) = result else { return };
        let Some(model) = values.into_iter().next().flatten() else { return };
        let is_restored = engine.patterns_mut().merge_encoded(&model, &self.config.project, now);
        let stats = engine.governor_mut().stats_mut();
        stats.models_merged += u64::from(is_restored);
        stats.models_ignored += u64::from(!is_restored);
    }

    fn model_key(&self) -> StoreKey {
        StoreKey::of_project(&self.config.l2.key_prefix, &self.config.project, MODEL)
    }
}

/// The entities of a request to train on, and their number; `buffer` takes keys that consist of several
/// columns.
pub(super) fn entities<'a>(
    query: &'a RowQuery,
    shape: &RequestShape,
    buffer: &'a mut Vec<u8>,
) -> ([Entity<'a>; MAX_ENTITIES], usize) {
    let mut entities = [Entity::default(); MAX_ENTITIES];
    let count = query.rows.min(MAX_ENTITIES);
    let key_of = |carrier: usize, row: usize| query.keys.at(carrier * query.rows + row).0;
    let mut ends = [0; MAX_ENTITIES];
    buffer.clear();
    if shape.key_views.len() > 1 {
        for (row, end) in ends.iter_mut().enumerate().take(count) {
            shape.key_views.iter().for_each(|&carrier| buffer.extend_from_slice(key_of(carrier, row)));
            *end = buffer.len();
        }
    }
    let mut start = 0;
    for (row, (entity, end)) in entities.iter_mut().zip(ends).enumerate().take(count) {
        let key = match *shape.key_views.as_slice() {
            [carrier] => key_of(carrier, row),
            _ => buffer.get(start..end).unwrap_or_default(),
        };
        start = end;
        *entity = Entity { name: name_of(key, shape), key };
    }
    (entities, count)
}

/// What an entity of a shape is known by.
fn name_of(key: &[u8], shape: &RequestShape) -> u32 {
    short_fingerprint(fingerprint(key, u64::from(shape.columns)))
}
