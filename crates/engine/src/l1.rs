//! How rows enter L1: merged with what it has of them.
//!
//! It knows no tier but L1. Invariants: of each feature the later fetch stays, whatever the consistency
//! level and the order in which fetches end. Nothing enters that may not be served to everyone, such as an
//! invalid value, or one that was fetched before an acknowledged write.

use std::rc::Rc;

use crate::engine::Engine;
use crate::merge::merge;
use crate::session::Session;
use cache::freshness::{Freshness, Rules};
use model::answer::Tier;
use model::request::{Columns, Consistency};
use model::row::Row;
use model::time::Timestamp;
use model::value::Cell;

impl Engine {
    /// Merges a session's row into L1 and returns what L1 has now; `None` where nothing of it may be
    /// served.
    pub(super) fn insert_into_l1(&mut self, session: &Session, index: usize, now: Timestamp) -> Option<Rc<Row>> {
        let row = self.merged_with_l1(session, index, now)?;
        let hash = session.hash_of(index);
        if !session.is_prefetch {
            self.memory.put(hash, Rc::clone(&row));
        } else if self.memory.is_full() {
            let before = self.memory.evictions();
            self.memory.put(hash, Rc::clone(&row));
            if self.memory.evictions() > before {
                self.governor.record_eviction(self.memory.last_evicted(), now);
            }
        } else {
            self.memory.put_unrequested(hash, Rc::clone(&row));
        }
        Some(row)
    }

    /// A session's row merged with L1's, as far as it may be served to everyone.
    pub(super) fn merged_with_l1(&mut self, session: &Session, index: usize, now: Timestamp) -> Option<Rc<Row>> {
        let (view, key, hash) = session.key_of(index)?;
        let row = session.known(index)?;
        let invalidated_at = self.invalidations.affecting(view.write_dependencies()).invalidated_at(key);
        let rules = Rules::new(*view.lifetimes(), None, Consistency::Eventual, now).invalidated_at(invalidated_at);
        // A time after `now` comes from a clock that was set back since.
        let is_kept = |cell: &Cell| rules.judge(cell, hash) != Freshness::Expired && cell.fetched_at.timestamp() <= now;
        let merged = match self.memory.peek(hash, view.space(), key) {
            Some(held) => merge(held, row, matches!(view.columns(), Columns::All)),
            None => Rc::clone(row),
        };
        let is_shared = Rc::ptr_eq(&merged, row) || Rc::strong_count(merged.schema()) > 1;
        if is_shared && merged.all_cells(is_kept) {
            return Some(merged.within(self.settings.l1.row));
        }
        let kept = merged.retain(|_, cell| is_kept(cell));
        let is_empty = kept.schema().features().is_empty();
        (!is_empty).then(|| Rc::new(kept.sharing(&mut self.interner)).within(self.settings.l1.row))
    }

    /// For each row that a session found behind L1, what the stores should hold of it.
    pub(super) fn rows_for_stores(&mut self, session: &Session, now: Timestamp) -> Vec<Option<Rc<Row>>> {
        let is_from_lower_tier = |index: usize| {
            session.missing.get(index).is_some_and(|missing| missing.tier.is_some_and(|tier| tier > Tier::L1))
        };
        let rows = 0..session.missing.len();
        rows.map(|index| if is_from_lower_tier(index) { self.merged_with_l1(session, index, now) } else { None })
            .collect()
    }
}
