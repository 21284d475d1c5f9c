//! A session's answer: each row as it may be served now, and of a stream its complete entities.
//!
//! It knows no protocol. Invariants: a stream sends an entity once, and an expired value is never served.

use std::rc::Rc;

use cache::freshness::Freshness;
use cache::lookup;
use model::answer::{Action, Answer, LookupResult, Tier, TierCounts};
use model::request::Columns;
use model::row::Row;
use model::time::Timestamp;

use super::{HashSet, MissingRow, Session, Stage};
use crate::io::StreamedEntities;

impl Session {
    /// Whether every unsettled row has a stale copy that may be served.
    pub(crate) fn can_serve_stale(&self, now: Timestamp) -> bool {
        let is_lost = |missing: &MissingRow| missing.stage == Stage::Failed && !self.pattern_limits.is_streamed();
        (0..).zip(&self.missing).all(|(index, missing)| {
            (missing.is_settled() && !is_lost(missing)) || self.can_serve_stale_row(index, missing, now)
        })
    }

    fn can_serve_stale_row(&self, index: usize, missing: &MissingRow, now: Timestamp) -> bool {
        missing.known.as_ref().is_some_and(|known| self.judge(index, known, now) <= Freshness::StaleIfError)
    }

    /// The answer with what is known now; of a streamed request, without the entities that were sent.
    pub(crate) fn answer(&mut self, now: Timestamp) -> Answer {
        let mut tier_counts = self.tier_counts(|_| true);
        let mut found = Vec::new();
        if self.pattern_limits.is_streamed() {
            self.fail_not_started();
        } else {
            found = self.found.clone();
            for &(slot, index) in &self.waiting {
                if let Some(found) = found.get_mut(slot) {
                    *found = self.served(index, now);
                }
            }
            tier_counts.stale = count_stale(&found);
            lookup::enforce_max_event_age(&mut found, &self.query, self.query.rows, now);
        }
        self.is_answered = true;
        self.waited_millis = Some(self.pattern_limits.deadline_millis.saturating_sub(self.hard_at.millis_since(now)));
        Answer { found, tier_counts, failure: self.failure.clone() }
    }

    /// Takes the entities that are settled and were not sent; at last, all that were not sent. Past
    /// the soft deadline a stale copy counts as settled, entity by entity.
    pub(crate) fn take_complete_entities(&mut self, are_last: bool, now: Timestamp) -> Option<StreamedEntities> {
        if self.is_sent.is_empty() {
            return None;
        }
        let rows = self.query.rows;
        let mut is_open = self.is_sent.clone();
        for &(slot, index) in self.waiting.iter().filter(|_| !are_last) {
            let Some((missing, is_open)) = self.missing.get(index).zip(is_open.get_mut(slot.checked_rem(rows)?)) else {
                continue;
            };
            *is_open |= !missing.is_settled() && (now < self.soft_at || !self.can_serve_stale_row(index, missing, now));
        }
        let ready: Vec<usize> = (0..).zip(&is_open).filter(|(_, is_open)| !**is_open).map(|(row, _)| row).collect();
        if ready.is_empty() {
            return None;
        }
        let mut found = Vec::with_capacity(ready.len() * self.query.views.len());
        let mut sent = Vec::new();
        let mut positions = vec![None; rows];
        for (position, &row) in ready.iter().enumerate() {
            if let Some((known, is_sent)) = positions.get_mut(row).zip(self.is_sent.get_mut(row)) {
                *known = Some(position);
                *is_sent = true;
            }
        }
        for view in 0..self.query.views.len() {
            // What was sent is not needed again.
            let take = |found: &mut LookupResult| LookupResult { row: found.row.take(), ..found.clone() };
            found.extend(ready.iter().filter_map(|row| self.found.get_mut(view * rows + row).map(take)));
        }
        for &(slot, index) in &self.waiting {
            let position = positions.get(slot.checked_rem(rows)?).copied().flatten();
            let view = slot.checked_div(rows)?;
            if let Some(found) = position.and_then(|position| found.get_mut(view * ready.len() + position)) {
                *found = self.served(index, now);
                sent.push(index);
            }
        }
        for index in sent {
            if let Some(missing) = self.missing.get_mut(index) {
                missing.sent += 1;
            }
        }
        self.tier_counts.stale += count_stale(&found);
        lookup::enforce_max_event_age(&mut found, &self.query, ready.len(), now);
        let tier_counts = self.tier_counts(MissingRow::is_settled);
        Some(StreamedEntities { rows: ready, found, tier_counts })
    }

    /// What is served of a missing row as it is now.
    fn served(&self, index: usize, now: Timestamp) -> LookupResult {
        let mut found = LookupResult { row: None, tier: Tier::L1, is_stale: false, action: Action::Fetch };
        let Some(missing) = self.missing.get(index) else { return found };
        if missing.stage == Stage::Done {
            found.action = Action::None;
        }
        if let Some(known) = &missing.known {
            (found.row, found.is_stale) = match missing.stage {
                Stage::Done => (Some(Rc::clone(known)), missing.needs_revalidation),
                _ => self.servable_part(index, known, now),
            };
        }
        let stored = missing.stored.iter().position(Option::is_some);
        found.tier = missing.tier.unwrap_or(match stored {
            Some(0) => Tier::L2,
            Some(_) => Tier::L3,
            None => Tier::L1,
        });
        found
    }

    /// Where rows came from: all that L1 had, and of the missing ones those that `is_counted`.
    fn tier_counts(&self, is_counted: impl Fn(&MissingRow) -> bool) -> TierCounts {
        let (slots, waiting) = (self.found.len(), self.waiting.len());
        let mut tier_counts =
            TierCounts { l1_hits: (slots - waiting) as u32, l1_misses: waiting as u32, ..self.tier_counts };
        for missing in self.waiting.iter().filter_map(|&(_, index)| self.missing.get(index)) {
            if is_counted(missing) {
                missing.count(&mut tier_counts);
            }
        }
        tier_counts
    }

    /// Fails what is not started when the request has its answer.
    fn fail_not_started(&mut self) {
        self.is_paused = false;
        for missing in &mut self.missing {
            if matches!(missing.stage, Stage::NotStarted | Stage::Next(_)) {
                missing.stage = Stage::Failed;
            }
        }
    }

    /// The servable part of an incomplete row, of the requested columns, and whether any of it is
    /// stale.
    fn servable_part(&self, index: usize, known: &Rc<Row>, now: Timestamp) -> (Option<Rc<Row>>, bool) {
        let Some((view, _, hash)) = self.key_of(index) else { return (None, false) };
        let inspector = self.inspector(index, view, now);
        let asked: Option<HashSet<&str>> = match view.columns() {
            Columns::Named(names) => Some(names.iter().map(|name| &**name).collect()),
            Columns::All => None,
        };
        let mut is_stale = false;
        let row = known.retain(|name, cell| {
            let freshness = inspector.judge_cell(cell, hash);
            let is_served = freshness != Freshness::Expired && asked.as_ref().is_none_or(|asked| asked.contains(name));
            is_stale |= is_served && freshness == Freshness::StaleIfError;
            is_served
        });
        let is_empty = row.schema().features().is_empty();
        if is_empty { (None, false) } else { (Some(Rc::new(row)), is_stale) }
    }
}

fn count_stale(found: &[LookupResult]) -> u32 {
    found.iter().filter(|found| found.is_stale).count() as u32
}
