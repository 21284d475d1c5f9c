//! The expiry of a session's rows: what expires before the answer is made is fetched again.
//!
//! It knows no tier. Invariant: a staleness bound holds when the answer is made, not only when a tier was read.

use cache::invalidations::Invalidations;
use cache::lookup::Inspector;
use model::answer::Action;
use model::time::Timestamp;

use super::{MissingRow, Session, Stage};

impl Session {
    /// Refetches what has expired since it was found, and returns the indexes of these missing rows. A
    /// staleness bound holds when the answer is made, not only when a tier was read.
    pub(crate) fn refetch_expired(
        &mut self,
        stores: usize,
        invalidations: &Invalidations,
        now: Timestamp,
    ) -> Vec<usize> {
        if self.is_answered || now < self.expires_at {
            return Vec::new();
        }
        let first_new = self.missing.len();
        let mut expired = Vec::new();
        // What expires a moment later is refetched with it.
        let by = now.plus(EXPIRY_SLACK_MILLIS);
        for slot in self.expired_slots(by, now) {
            if let Some(found) = self.found.get_mut(slot) {
                found.action = Action::Fetch;
            }
        }
        for index in 0..first_new {
            if self.settled_expiry(index, now).is_some_and(|at| at <= by)
                && let Some(missing) = self.missing.get_mut(index)
            {
                (missing.stage, missing.tier) = (Stage::Next(stores), None);
                (missing.needs_revalidation, missing.is_flight_complete) = (false, false);
                expired.push(index);
            }
        }
        self.collect_missing(Action::Fetch, invalidations);
        if self.pattern_limits.is_streamed() {
            let new = self.missing.iter_mut().skip(first_new);
            new.for_each(|missing| missing.stage = Stage::NotStarted);
        }
        self.expires_at = self.next_expiry(now);
        expired
    }

    /// The slots that L1 served and whose rows expire by then.
    fn expired_slots(&self, by: Timestamp, now: Timestamp) -> Vec<usize> {
        self.l1_expiries(now).filter(|&(_, at)| at <= by).map(|(slot, _)| slot).collect()
    }

    /// For each slot that L1 served, when its row expires. A stream has dropped the rows that it sent.
    fn l1_expiries(&self, now: Timestamp) -> impl Iterator<Item = (usize, Timestamp)> {
        let rows = self.query.rows;
        self.query.views.iter().enumerate().flat_map(move |(number, view)| {
            let mut inspector = Inspector::new(view, self.rules(view, now));
            let slots = number * rows..(number + 1) * rows;
            let found = self.found.get(slots.clone()).unwrap_or_default();
            let open = slots.zip(found).filter(|(_, found)| found.action != Action::Fetch);
            open.filter_map(move |(slot, found)| {
                Some((slot, inspector.expires_at(found.row.as_ref()?, self.query.keys.at(slot).1)))
            })
        })
    }

    /// When a completed missing row expires; `None` of any other.
    fn settled_expiry(&self, index: usize, now: Timestamp) -> Option<Timestamp> {
        let is_open = |missing: &&MissingRow| missing.stage == Stage::Done && !missing.is_sent();
        let missing = self.missing.get(index).filter(is_open)?;
        let (view, _, hash) = self.key_of(index)?;
        let mut inspector = Inspector::new(view, self.rules(view, now)).with_own_fetches(&missing.own_fetches);
        Some(inspector.expires_at(missing.known.as_ref()?, hash))
    }

    /// When the first of its rows expires.
    pub(super) fn next_expiry(&self, now: Timestamp) -> Timestamp {
        let settled = (0..self.missing.len()).filter_map(|index| self.settled_expiry(index, now));
        self.l1_expiries(now).map(|(_, at)| at).chain(settled).min().unwrap_or(Timestamp::MAX)
    }

    /// Records when a row that was just completed expires.
    pub(super) fn note_expiry(&mut self, index: usize, now: Timestamp) {
        if let Some(at) = self.settled_expiry(index, now) {
            self.expires_at = self.expires_at.min(at);
        }
    }
}

/// Rows that expire within so many milliseconds are refetched together.
const EXPIRY_SLACK_MILLIS: u64 = 10;
