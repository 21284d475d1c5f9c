//! Prefetch: training on requests, fetching what is predicted, and recording the outcomes.
//!
//! A prefetch is a background session with tighter limits. It knows no keys' meaning. Invariants: it
//! fetches no row that is in flight, leaves half of the origin's permits free, and evicts no row of L1
//! that is likely to be used first.

use crate::engine::Engine;
use crate::eviction_rate::EvictionRate;
use crate::io::{Progress, SessionId};
use crate::serving_pattern::{self, PatternLimits};
use crate::session::{self, Session};
use ::prefetch::governor::{CostModel, Governor, PrefetchDecision};
use ::prefetch::patterns::{Entity, Patterns, Prediction, Predictions};
use cache::lookup;
use model::answer::{Action, LookupResult};
use model::request::{Cohort, Consistency, Priority, RowQuery};
use model::shape::RequestShape;
use model::time::Timestamp;

/// A row may be evicted for a prefetched one if it was unused for so many times as long as the new one is
/// expected to wait.
const TIMES_WARMER: u64 = 2;

impl Engine {
    /// The trained patterns.
    #[must_use]
    pub fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// The trained patterns, to train.
    pub fn patterns_mut(&mut self) -> &mut Patterns {
        &mut self.patterns
    }

    /// The governor, which decides on prefetch and measures it.
    #[must_use]
    pub fn governor(&self) -> &Governor {
        &self.governor
    }

    /// The governor, to record what happens outside the engine.
    pub fn governor_mut(&mut self) -> &mut Governor {
        &mut self.governor
    }

    /// Trains on a request without a session, for so many entities.
    pub fn count_request(&mut self, shape: &RequestShape, entities: usize, now: Timestamp) {
        self.patterns.count(shape, entities, now);
    }

    /// Trains on a request that repeats its session's last entities, where nothing new is to be
    /// predicted. `ends` names the first and the last. Returns whether it was such a request.
    #[inline]
    pub fn observe_repeat(
        &mut self,
        session: u64,
        cohort: Cohort,
        shape: &RequestShape,
        entities: usize,
        ends: [u32; 2],
        now: Timestamp,
    ) -> bool {
        (cohort != Cohort::Prefetch || self.governor.was_checked(request_name(shape, ends), now))
            && self.patterns.observe_repeat(session, shape, entities, ends, now)
    }

    /// Trains on a request. Returns the predictions that are worth fetching after its answer.
    pub fn observe(
        &mut self,
        session: u64,
        cohort: Cohort,
        shape: &RequestShape,
        entities: &[Entity<'_>],
        now: Timestamp,
    ) -> Predictions {
        self.patterns.observe(session, shape, entities, now);
        if cohort != Cohort::Prefetch {
            return Predictions::default();
        }
        let name_of = |entity: Option<&Entity<'_>>| entity.map_or(0, |entity| entity.name);
        let name = request_name(shape, [name_of(entities.first()), name_of(entities.last())]);
        let mut predictions = self.patterns.predict(shape, entities);
        if !predictions.as_slice().is_empty() {
            let cost_model = self.cost_model();
            predictions.retain(|prediction| self.governor.begin_check(prediction, cost_model, now));
            if predictions.as_slice().is_empty() {
                self.governor.record_check(name, now);
            }
        }
        predictions
    }

    /// What will probably be requested next.
    pub fn predict(&mut self, shape: &RequestShape, entities: &[Entity<'_>]) -> Predictions {
        self.patterns.predict(shape, entities)
    }

    /// Whether L1 could answer a request.
    pub fn has_all(&mut self, query: &RowQuery, now: Timestamp) -> bool {
        lookup::read_memory(&mut self.memory, &self.invalidations, query, now, 0, &mut Vec::new()).missing == 0
    }

    /// The cost model: what a miss costs a request and what a prefetch costs, by recent misses.
    #[must_use]
    pub fn cost_model(&self) -> CostModel {
        self.governor.cost_model(self.stores.len() as u64)
    }

    /// Prefetches the rows of `query` that L1 lacks, within the budget. `predictions` has one for each
    /// entity.
    pub fn prefetch(
        &mut self,
        id: SessionId,
        query: Box<RowQuery>,
        predictions: &[Prediction],
        now: Timestamp,
    ) -> (PatternLimits, Progress) {
        let pattern_limits = serving_pattern::background(&self.settings.serving_patterns);
        let over = || (pattern_limits, Progress { is_over: true, ..Progress::default() });
        let mut found = Vec::new();
        let open = lookup::read_memory(&mut self.memory, &self.invalidations, &query, now, 0, &mut found);
        let needed = session::expected_bytes(&query, found.len(), open.missing as usize);
        let has_room = self.has_room(Priority::Low, query.request_bytes + needed);
        if open.missing == 0 || !has_room || self.sessions.len() >= self.admitted(Priority::Low) {
            return over();
        }
        if self.memory.is_full() && !self.would_evict_only_idle_rows(now) {
            self.governor.stats_mut().admission_rejected += u64::from(open.missing);
            return over();
        }
        let cost_model = self.cost_model();
        let mut left = self.governor.allowance(open.missing as usize, now);
        for (slot, found) in found.iter_mut().enumerate().filter(|(_, found)| found.action == Action::Fetch) {
            let (_, hash) = query.keys.at(slot);
            let prediction = slot.checked_rem(query.rows).and_then(|row| predictions.get(row));
            let is_probe = match prediction.map(|prediction| self.governor.decide(prediction, cost_model, now)) {
                Some(PrefetchDecision::Probe) => true,
                Some(PrefetchDecision::Prefetch) => false,
                _ => {
                    found.action = Action::None;
                    continue;
                }
            };
            if left == 0 || self.flights.is_led_by_another(hash, id.0, now) {
                found.action = Action::None;
                continue;
            }
            left -= 1;
            if let Some(prediction) = prediction {
                self.governor.record_issue(hash, prediction, is_probe, now);
            }
        }
        let session = Session::prefetch(query, pattern_limits, found, &self.invalidations, now);
        (pattern_limits, self.advance(id, session, now))
    }

    /// Records which prefetched rows a request uses.
    #[inline]
    pub(super) fn record_lookup(&mut self, query: &RowQuery, found: &[LookupResult], misses: u32, now: Timestamp) {
        self.governor.record_lookups(query.cohort, found.len() as u64, u64::from(misses));
        if self.governor.has_outstanding() && query.consistency != Consistency::Strong {
            for (slot, found) in found.iter().enumerate() {
                let (_, hash) = query.keys.at(slot);
                self.governor.record_request(hash, found.action != Action::Fetch, now);
            }
        }
    }

    /// Records the outcome of a prefetch, or what a missing request had to do.
    pub(super) fn record_outcomes(&mut self, session: &Session) {
        if !session.is_prefetch {
            let came = session.outcomes().filter_map(|(_, operations)| operations);
            let (rows, called) =
                came.fold((0, 0), |(rows, called), operations| (rows + 1, called + u64::from(operations.is_called)));
            self.governor.record_miss_latency(session.waited_millis, rows, called);
            return;
        }
        for (hash, operations) in session.outcomes() {
            match operations {
                Some(operations) => self.governor.record_arrival(hash, operations),
                None => self.governor.record_failure(hash),
            }
        }
    }

    /// Whether evicted rows of L1 were unused for longer than a prefetched one is expected to be.
    ///
    /// A row at the cold end was unused for as long as L1 takes to replace all rows: the
    /// characteristic time of Che, Tung and Wang, "Hierarchical Web Caching Systems", IEEE JSAC 20(7),
    /// 2002.
    fn would_evict_only_idle_rows(&mut self, now: Timestamp) -> bool {
        let (rows, evictions) = (self.memory.len() as u64, self.memory.evictions());
        let EvictionRate { since, evictions: before } = self.eviction_rate;
        let evicted = evictions.saturating_sub(before);
        // Measured over a quarter of the rows, or over what there is.
        if evicted > rows / 4 || before == 0 {
            self.eviction_rate = EvictionRate { since: now, evictions };
        }
        let characteristic = (now.millis_since(since).saturating_mul(rows)).checked_div(evicted);
        characteristic.is_none_or(|millis| millis > TIMES_WARMER * self.governor.gap_millis())
    }
}

/// A name for a request, by its shape and the names of its first and last entity.
fn request_name(shape: &RequestShape, [first, last]: [u32; 2]) -> u32 {
    shape.name.rotate_left(8) ^ first.rotate_left(1) ^ last
}
