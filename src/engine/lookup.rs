//! One pass over L1, which for most requests is all there is.
//!
//! Columns are resolved once for each schema and freshness is judged once for each row where all its features came
//! together, so that the cost of a row does not grow with its columns.

use std::rc::Rc;

use crate::cache::freshness::{Freshness, Rules};
use crate::cache::memory::Memory;
use crate::model::answer::{Found, Tier};
use crate::model::request::{Ask, Columns, Consistency, Slots, ViewAsk};
use crate::model::row::{Row, Schema};
use crate::model::time::Instant;

/// Fills `found` with what L1 has for each place. A row that is stale, or lacks a column, is there and marked stale, so
/// that what is read next may complete it. How many places are not answered.
pub(super) fn read_memory(memory: &mut Memory, ask: &Ask, now: Instant, found: &mut Vec<Found>) -> u32 {
    found.reserve(ask.keys.len());
    let mut missing = 0;
    for (number, view) in ask.views.iter().enumerate() {
        let first = number * ask.rows;
        missing += read_view(memory, ask, view, first, now, found);
    }
    missing
}

fn read_view(
    memory: &mut Memory,
    ask: &Ask,
    view: &ViewAsk,
    first: usize,
    now: Instant,
    found: &mut Vec<Found>,
) -> u32 {
    let rules = Rules::new(*view.lifetimes(), ask.max_staleness, ask.consistency, now);
    let is_passed_over = ask.consistency == Consistency::Strong;
    let mut inspector = Inspector::new(view, rules);
    let mut missing = 0;
    for place in first..first + ask.rows {
        let (key, hash) = ask.keys.at(place);
        let row = if is_passed_over { None } else { memory.get(hash, view.space(), key) };
        let is_usable = row.is_some_and(|row| inspector.is_complete_and_fresh(row));
        missing += u32::from(!is_usable);
        found.push(Found { row: row.cloned(), tier: Tier::L1, is_stale: !is_usable });
    }
    if matches!(view.columns(), Columns::All) {
        missing += retire_former_members(found.get_mut(first..).unwrap_or_default());
    }
    missing
}

/// Of a feature service's rows, those that lack a member which a newer row has are no longer complete. How many.
pub(super) fn retire_former_members(found: &mut [Found]) -> u32 {
    let Some(members) = newest_schema(found) else { return 0 };
    let mut retired = 0;
    for found in found.iter_mut().filter(|found| !found.is_stale) {
        let Some(row) = &found.row else { continue };
        if !Rc::ptr_eq(row.schema(), &members) && !has_all_features(row.schema(), &members) {
            found.is_stale = true;
            retired += 1;
        }
    }
    retired
}

/// The schema of the row that was fetched last: what the feature service has as members now.
pub(super) fn newest_schema(found: &[Found]) -> Option<Rc<Schema>> {
    let mut newest: Option<&Rc<Row>> = None;
    for row in found.iter().filter_map(|found| found.row.as_ref()) {
        let is_newer = newest
            .is_none_or(|newest| !Rc::ptr_eq(newest.schema(), row.schema()) && fetched_at(row) > fetched_at(newest));
        if is_newer {
            newest = Some(row);
        }
    }
    newest.map(|row| Rc::clone(row.schema()))
}

fn fetched_at(row: &Row) -> Instant {
    let times = || row.schema().feature_slots().filter_map(|slot| row.cell(slot)).map(|cell| cell.fetched_at);
    row.uniform_cell().map_or_else(|| times().max().unwrap_or_default(), |cell| cell.fetched_at)
}

fn has_all_features(schema: &Schema, members: &Schema) -> bool {
    members.features().iter().all(|name| schema.feature_slot(name).is_some())
}

/// Judges the rows of one view in one request, and remembers the last schema's columns.
pub(super) struct Inspector<'a> {
    view: &'a ViewAsk,
    rules: Rules,
    last: Option<(Rc<Schema>, Rc<Slots>)>,
}

impl<'a> Inspector<'a> {
    pub(super) fn new(view: &'a ViewAsk, rules: Rules) -> Inspector<'a> {
        Inspector { view, rules, last: None }
    }

    /// Whether `row` has all asked columns, and all of them fresh.
    #[inline]
    pub(super) fn is_complete_and_fresh(&mut self, row: &Row) -> bool {
        let rules = self.rules;
        let slots = self.slots(row);
        if !slots.is_complete() {
            return false;
        }
        match row.uniform_cell() {
            Some(cell) => rules.judge(cell) == Freshness::Fresh,
            None => slots.as_slice().iter().all(|slot| {
                slot.and_then(|slot| row.cell(slot)).is_some_and(|cell| rules.judge(cell) == Freshness::Fresh)
            }),
        }
    }

    /// The freshness of each asked column, in the request's order.
    pub(super) fn judge_columns(&mut self, row: &Row) -> Vec<Freshness> {
        let rules = self.rules;
        let judge = |slot: &Option<_>| {
            slot.and_then(|slot| row.cell(slot)).map_or(Freshness::Expired, |cell| rules.judge(cell))
        };
        self.slots(row).as_slice().iter().map(judge).collect()
    }

    fn slots(&mut self, row: &Row) -> &Rc<Slots> {
        let is_known = self.last.as_ref().is_some_and(|(schema, _)| Rc::ptr_eq(schema, row.schema()));
        if !is_known {
            self.last = None;
        }
        let view = self.view;
        let (_, slots) = self.last.get_or_insert_with(|| (Rc::clone(row.schema()), view.slots(row.schema())));
        slots
    }
}
