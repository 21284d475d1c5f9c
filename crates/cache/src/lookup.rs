//! Looks up the rows of a query in L1, in one pass.
//!
//! Columns are resolved once for each schema, and freshness is judged once for each row whose features were fetched together.
//! So the cost of a row does not grow with its columns. Knows neither stores nor the origin. Invariant: one result for each lookup
//! of the query, in its order.

use std::rc::Rc;

use crate::freshness::{Freshness, Rules};
use crate::invalidations::{Invalidations, ViewInvalidations};
use crate::memory::Memory;
use model::answer::{Action, LookupResult, Tier};
use model::request::{Columns, Consistency, RowQuery, Slots, ViewQuery};
use model::row::{Row, Schema};
use model::time::{EventTime, Timestamp};
use model::value::{Cell, Status};

/// How many rows of a query L1 does not finally answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct LookupCounts {
    /// Rows that are missing, incomplete or too old: the response waits for them.
    pub missing: u32,
    /// Rows that are served, and revalidated in the background.
    pub revalidating: u32,
    /// Of these, rows past their TTL.
    pub stale: u32,
}

/// Appends to `found` one result for each lookup of the query, with the action that is still required. A row that is too old, or
/// lacks a column, is included all the same, so that the next tier may complete it.
#[inline(never)]
pub fn read_memory(
    memory: &mut Memory,
    invalidations: &Invalidations,
    query: &RowQuery,
    now: Timestamp,
    early_millis: u64,
    found: &mut Vec<LookupResult>,
) -> LookupCounts {
    found.reserve(query.keys.len());
    let mut counts = LookupCounts::default();
    for (number, view) in query.views.iter().enumerate() {
        read_view(
            memory,
            invalidations.affecting(view.write_dependencies()),
            query,
            view,
            number * query.rows,
            now,
            early_millis,
            found,
            &mut counts,
        );
    }
    counts
}

/// How many rows are loaded into the CPU's caches at a time: they fit in the first of them.
const WARM_BATCH_ROWS: usize = 32;

#[expect(clippy::too_many_arguments, reason = "the inner loop of the hottest path takes what it needs as it is")]
fn read_view(
    memory: &mut Memory,
    invalidations: ViewInvalidations<'_>,
    query: &RowQuery,
    view: &ViewQuery,
    first: usize,
    now: Timestamp,
    early_millis: u64,
    found: &mut Vec<LookupResult>,
    counts: &mut LookupCounts,
) {
    let rules = Rules::new(*view.lifetimes(), query.max_staleness, query.consistency, now);
    let is_passed_over = query.consistency == Consistency::Strong;
    let mut inspector = Inspector::new(view, rules.early_by(early_millis));
    for place in first..first + query.rows {
        if (place - first).is_multiple_of(WARM_BATCH_ROWS) && !is_passed_over {
            let last = (place + WARM_BATCH_ROWS).min(first + query.rows);
            memory.warm_cpu_cache(query.keys.hashes().get(place..last).unwrap_or_default());
        }
        let (key, hash) = query.keys.at(place);
        let row = if is_passed_over { None } else { memory.get(hash, view.space(), key) };
        inspector.rules = inspector.rules.invalidated_at(invalidations.invalidated_at(key));
        let action = match row.map_or(Freshness::Expired, |row| inspector.judge(row, hash)) {
            Freshness::Fresh => Action::None,
            Freshness::StaleWhileRevalidate => Action::Revalidate,
            Freshness::StaleIfError | Freshness::Expired => Action::Fetch,
        };
        counts.missing += u32::from(action == Action::Fetch);
        counts.revalidating += u32::from(action == Action::Revalidate);
        found.push(LookupResult { row: row.cloned(), tier: Tier::L1, is_stale: false, action });
    }
    let results = found.get_mut(first..).unwrap_or_default();
    if matches!(view.columns(), Columns::All) {
        counts.missing += refetch_rows_lacking_members(results);
    }
    if counts.revalidating > 0 {
        counts.stale += flag_stale_rows(results, query, view, first, rules);
    }
}

/// Flags the rows to revalidate that are past their TTL; the others are refreshed early, and not stale. Returns how many.
#[cold]
fn flag_stale_rows(
    results: &mut [LookupResult],
    query: &RowQuery,
    view: &ViewQuery,
    first: usize,
    rules: Rules,
) -> u32 {
    let mut inspector = Inspector::new(view, rules);
    let mut stale = 0;
    for (found, place) in results.iter_mut().zip(first..).filter(|(found, _)| found.action == Action::Revalidate) {
        let (_, hash) = query.keys.at(place);
        found.is_stale = found.row.as_ref().is_some_and(|row| inspector.judge(row, hash) != Freshness::Fresh);
        stale += u32::from(found.is_stale);
    }
    stale
}

/// Has those rows of a feature service fetched that lack a member which a newer row has: they are no longer complete. Returns how many.
pub fn refetch_rows_lacking_members(found: &mut [LookupResult]) -> u32 {
    let Some(members) = newest_schema(found) else { return 0 };
    let mut retired = 0;
    for found in found.iter_mut().filter(|found| found.action == Action::None) {
        let Some(row) = &found.row else { continue };
        if !Rc::ptr_eq(row.schema(), &members) && !has_all_features(row.schema(), &members) {
            found.action = Action::Fetch;
            retired += 1;
        }
    }
    retired
}

/// The schema of the row that was fetched last: the feature service's current members.
fn newest_schema(found: &[LookupResult]) -> Option<Rc<Schema>> {
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

fn fetched_at(row: &Row) -> Timestamp {
    let times =
        || row.schema().feature_slots().filter_map(|slot| row.cell(slot)).map(|cell| cell.fetched_at.timestamp());
    row.uniform_cell().map_or_else(|| times().max().unwrap_or_default(), |cell| cell.fetched_at.timestamp())
}

fn has_all_features(schema: &Schema, members: &Schema) -> bool {
    members.features().iter().all(|name| schema.feature_slot(name).is_some())
}

/// Replaces values whose event is older than their view allows, just before they are served; there are `rows` rows of each view.
pub fn enforce_max_event_age(found: &mut [LookupResult], query: &RowQuery, rows: usize, now: Timestamp) {
    for (number, view) in query.views.iter().enumerate() {
        let Some(max_event_age) = view.lifetimes().max_event_age else { continue };
        let oldest = i64::try_from(now.0.saturating_sub(max_event_age)).unwrap_or(i64::MAX).saturating_mul(1_000);
        for found in found.iter_mut().skip(number * rows).take(rows) {
            let outside = found.row.as_ref().and_then(|row| row.without_events_before(EventTime(oldest)));
            if let Some(row) = outside {
                found.row = Some(Rc::new(row));
            }
        }
    }
}

/// Judges the freshness of rows of one view in one request, and remembers the last schema's columns.
pub struct Inspector<'a> {
    view: &'a ViewQuery,
    rules: Rules,
    /// The fetch times of those of the row's values that this request itself fetched.
    own_fetches: &'a [Timestamp],
    last: Option<(Rc<Schema>, Rc<Slots>)>,
}

impl<'a> Inspector<'a> {
    /// Judges the rows of `view` by `rules`.
    #[must_use]
    pub fn new(view: &'a ViewQuery, rules: Rules) -> Inspector<'a> {
        Inspector { view, rules, own_fetches: &[], last: None }
    }

    /// The same for a row of which the request itself fetched values, at these times. However long the origin took, such a value is
    /// newer than the request, so it is never too old for that request.
    #[must_use]
    pub fn with_own_fetches(self, own_fetches: &'a [Timestamp]) -> Inspector<'a> {
        Inspector { own_fetches, ..self }
    }

    /// How fresh a value with `cell` is.
    #[inline]
    #[must_use]
    pub fn judge_cell(&self, cell: &Cell, hash: u64) -> Freshness {
        let is_own = !self.own_fetches.is_empty() && self.own_fetches.contains(&cell.fetched_at.timestamp());
        if is_own && cell.status != Status::Invalid { Freshness::Fresh } else { self.rules.judge(cell, hash) }
    }

    /// When a value with `cell` expires.
    fn cell_expires_at(&self, cell: &Cell, hash: u64) -> Timestamp {
        let is_own = self.own_fetches.contains(&cell.fetched_at.timestamp());
        if is_own { Timestamp::MAX } else { self.rules.expires_at(cell, hash) }
    }

    /// The freshness of the requested columns of `row`: that of the oldest, and expired where a column is missing.
    #[inline]
    pub fn judge(&mut self, row: &Row, hash: u64) -> Freshness {
        self.resolve(row);
        let slots = self.slots();
        if !slots.is_some_and(Slots::is_complete) {
            return Freshness::Expired;
        }
        if let Some(cell) = row.uniform_cell() {
            return self.judge_cell(cell, hash);
        }
        let slots = slots.map(Slots::as_slice).unwrap_or_default();
        let cells = slots.iter().map(|slot| slot.and_then(|slot| row.cell(slot)));
        cells
            .map(|cell| cell.map_or(Freshness::Expired, |cell| self.judge_cell(cell, hash)))
            .max()
            .unwrap_or(Freshness::Fresh)
    }

    /// When the first of the requested columns that `row` has expires.
    pub fn expires_at(&mut self, row: &Row, hash: u64) -> Timestamp {
        if let Some(cell) = row.uniform_cell() {
            return self.cell_expires_at(cell, hash);
        }
        self.resolve(row);
        let slots = self.slots().map(Slots::as_slice).unwrap_or_default();
        let cells = slots.iter().filter_map(|slot| slot.and_then(|slot| row.cell(slot)));
        cells.map(|cell| self.cell_expires_at(cell, hash)).min().unwrap_or(Timestamp::MAX)
    }

    /// Whether `row` has each requested column, however old.
    pub fn is_complete(&mut self, row: &Row) -> bool {
        self.resolve(row);
        self.slots().is_some_and(Slots::is_complete)
    }

    /// The freshness of each requested column, in the request's order.
    pub fn judge_columns(&mut self, row: &Row, hash: u64) -> Vec<Freshness> {
        self.resolve(row);
        let judge = |slot: &Option<_>| {
            slot.and_then(|slot| row.cell(slot)).map_or(Freshness::Expired, |cell| self.judge_cell(cell, hash))
        };
        self.slots().map(Slots::as_slice).unwrap_or_default().iter().map(judge).collect()
    }

    /// Resolves the requested columns' slots in `row`.
    #[inline]
    fn resolve(&mut self, row: &Row) {
        let is_known = self.last.as_ref().is_some_and(|(schema, _)| Rc::ptr_eq(schema, row.schema()));
        if !is_known {
            self.last = Some((Rc::clone(row.schema()), self.view.slots(row.schema())));
        }
    }

    /// The requested columns' slots in the row that was resolved last.
    #[inline]
    fn slots(&self) -> Option<&Slots> {
        self.last.as_ref().map(|(_, slots)| &**slots)
    }
}
