//! A session: for each row that L1 lacks, what is known of it, who fetches it, and how that ended.
//!
//! It does not know how or when reads and calls are made. Invariant: a missing row is fetched once,
//! however often the request repeats its entity; what a higher tier has of it is completed, never
//! discarded.

use std::rc::Rc;

use hashbrown::HashMap;

use crate::io::MAX_STORES;
use crate::limiter::Permit;
use crate::merge::merge;
use crate::serving_pattern::PatternLimits;
use crate::slab::Footprint;
use crate::write_queue::RowWrite;
use ::prefetch::outstanding::Operations;
use cache::freshness::{Freshness, Rules};
use cache::invalidations::Invalidations;
use cache::lookup::{self, Inspector};
use model::answer::{Action, LookupResult, OriginFailure, Tier, TierCounts, TimeLimit};
use model::fetch_spec::FetchSpec;
use model::interner::Interner;
use model::request::{Columns, RowQuery, ViewQuery};
use model::row::{ROW_OVERHEAD, Row};
use model::sort::sorted;
use model::time::Timestamp;

mod answer;
mod expiry;

pub(super) type HashSet<T> = hashbrown::HashSet<T, foldhash::fast::FixedState>;

/// The stage of a missing row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not started: the window of concurrent rows is full.
    NotStarted,
    /// Another request fetches it, under a lease until then.
    Following(Timestamp),
    /// To be read from the store of this number; past the last store, to be fetched from the origin.
    Next(usize),
    /// Being read from the store of this number.
    Reading(usize),
    /// Being fetched from the origin.
    Fetching,
    /// Complete.
    Done,
    /// Failed: nothing could complete it.
    Failed,
}

/// A row that L1 could not serve.
#[derive(Debug)]
pub(super) struct MissingRow {
    /// Its first slot: the index of view and row in the request.
    pub(super) slot: usize,
    pub(super) stage: Stage,
    /// When it was last invalidated before the request began: what was fetched then or earlier is not
    /// served.
    invalidated_at: Timestamp,
    /// When this session fetched parts of it, by the row's own times.
    own_fetches: Vec<Timestamp>,
    /// What is known of it so far.
    known: Option<Rc<Row>>,
    /// What L2 and L3 hold of it, which of them were read, and which have answered.
    stored: [Option<Rc<Row>>; MAX_STORES],
    is_queried: [bool; MAX_STORES],
    is_stored_copy_known: [bool; MAX_STORES],
    is_merge_tried: [bool; MAX_STORES],
    /// The tier that completed it.
    pub(super) tier: Option<Tier>,
    /// Whether it is to be revalidated in the background.
    needs_revalidation: bool,
    /// Whether the origin is called while a store is still being read.
    pub(super) is_hedged: bool,
    /// Whether its flight is complete and its followers were woken.
    pub(super) is_flight_complete: bool,
    /// How many slots of the request wait for it, and how many of them a stream has sent.
    slots: u32,
    sent: u32,
}

/// A bulk read in progress.
#[derive(Debug)]
pub(super) struct StoreRead {
    pub(super) store: usize,
    pub(super) began: Timestamp,
    /// The missing rows that it is for.
    pub(super) rows: Vec<usize>,
    /// Whether it is a merge read, for which no answer waits.
    pub(super) is_merge: bool,
}

/// What a session writes to a store.
#[derive(Debug, Default)]
pub(super) struct StoreWrites {
    pub(super) rows: Vec<RowWrite>,
    /// Rows that the store has already.
    pub(super) unchanged: u64,
    /// Rows whose stored columns could not be read.
    pub(super) unmerged: u64,
}

/// An origin call in progress.
#[derive(Debug)]
pub(super) struct OriginCall {
    pub(super) began: Timestamp,
    pub(super) permit: Permit,
    /// The missing rows that it is for.
    pub(super) rows: Vec<usize>,
    pub(super) limit: TimeLimit,
    pub(super) timeout_millis: u64,
}

/// A request that waits for I/O, or continues in the background.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) query: Box<RowQuery>,
    pub(super) pattern_limits: PatternLimits,
    found: Vec<LookupResult>,
    pub(super) missing: Vec<MissingRow>,
    /// For each slot that L1 did not serve: the slot, and the index of its missing row.
    waiting: Vec<(usize, usize)>,
    pub(super) reads: Vec<Option<StoreRead>>,
    pub(super) calls: Vec<Option<OriginCall>>,
    tier_counts: TierCounts,
    pub(super) failure: Option<OriginFailure>,
    /// When a slow store is hedged.
    pub(super) hedge_at: Option<Timestamp>,
    /// The soft deadline: a stale answer is better than a late one.
    pub(super) soft_at: Timestamp,
    /// The deadline: the answer is sent, whatever is missing.
    pub(super) hard_at: Timestamp,
    /// When the first of its rows expires.
    pub(super) expires_at: Timestamp,
    pub(super) is_answered: bool,
    /// Whether its reader has not taken what was sent.
    pub(super) is_paused: bool,
    /// Of a streamed request, which of its rows were sent.
    is_sent: Vec<bool>,
    /// How long its caller waited for the answer, in milliseconds.
    pub(super) waited_millis: Option<u64>,
    /// Whether it is a prefetch.
    pub(super) is_prefetch: bool,
    /// Whether L2 is read in parallel with the origin.
    pub(super) is_parallel: bool,
    /// Whether it waits for a permit to call the origin.
    pub(super) awaits_permit: bool,
    /// Whether it is in the queue for a permit.
    pub(super) is_in_queue: bool,
    /// When the host's timers for it fire. One is set only to fire before all others, so the next is
    /// the last.
    pub(super) timers: Vec<Timestamp>,
    /// How long before its time to live ends a value is due for revalidation.
    early_millis: u64,
}

impl Session {
    /// A session for what L1 could not serve.
    pub(super) fn new(
        query: Box<RowQuery>,
        pattern_limits: PatternLimits,
        found: Vec<LookupResult>,
        invalidations: &Invalidations,
        now: Timestamp,
    ) -> Session {
        let mut session = Session {
            query,
            pattern_limits,
            found,
            missing: Vec::new(),
            waiting: Vec::new(),
            reads: Vec::new(),
            calls: Vec::new(),
            tier_counts: TierCounts::default(),
            failure: None,
            hedge_at: None,
            soft_at: now.plus(pattern_limits.soft_millis),
            hard_at: now.plus(pattern_limits.deadline_millis),
            expires_at: Timestamp::MAX,
            is_answered: false,
            is_paused: false,
            is_sent: Vec::new(),
            waited_millis: None,
            is_prefetch: false,
            is_parallel: false,
            awaits_permit: false,
            is_in_queue: false,
            timers: Vec::new(),
            early_millis: 0,
        };
        session.collect_missing(Action::Fetch, invalidations);
        if pattern_limits.is_streamed() {
            session.is_sent = vec![false; session.query.rows];
            session.missing.iter_mut().for_each(|missing| missing.stage = Stage::NotStarted);
        }
        session.expires_at = session.next_expiry(now);
        session
    }

    /// A background session that revalidates the stale rows of an answer from L1.
    pub(super) fn revalidate(
        query: Box<RowQuery>,
        pattern_limits: PatternLimits,
        found: Vec<LookupResult>,
        invalidations: &Invalidations,
        early_millis: u64,
        now: Timestamp,
    ) -> Session {
        let mut session = Session {
            early_millis,
            is_answered: true,
            ..Session::new(query, pattern_limits, found, invalidations, now)
        };
        session.collect_missing(Action::Revalidate, invalidations);
        session
    }

    /// A background session that prefetches the rows that L1 lacks.
    pub(super) fn prefetch(
        query: Box<RowQuery>,
        pattern_limits: PatternLimits,
        found: Vec<LookupResult>,
        invalidations: &Invalidations,
        now: Timestamp,
    ) -> Session {
        Session {
            is_answered: true,
            is_prefetch: true,
            ..Session::new(query, pattern_limits, found, invalidations, now)
        }
    }

    /// A background session for rows that bring their values.
    pub(super) fn load(
        query: Box<RowQuery>,
        pattern_limits: PatternLimits,
        invalidations: &Invalidations,
        now: Timestamp,
    ) -> Session {
        let nothing = LookupResult { row: None, tier: Tier::L1, is_stale: false, action: Action::Fetch };
        let found = vec![nothing; query.keys.len()];
        Session { is_answered: true, ..Session::new(query, pattern_limits, found, invalidations, now) }
    }

    /// Fails every row that is not done.
    pub(super) fn fail_unfinished(&mut self) {
        for missing in self.missing.iter_mut().filter(|missing| missing.stage != Stage::Done) {
            missing.stage = Stage::Failed;
        }
    }

    /// Collects the rows to fetch, each with the time of its last invalidation before the request
    /// began. The request need not see later ones.
    fn collect_missing(&mut self, action: Action, invalidations: &Invalidations) {
        let mut known: HashMap<(u64, usize), usize, foldhash::fast::FixedState> = HashMap::default();
        let view_of = |slot: usize, rows: usize| slot.checked_div(rows).unwrap_or_default();
        let is_waiting: HashSet<usize> = self.waiting.iter().map(|&(slot, _)| slot).collect();
        for (slot, found) in self.found.iter().enumerate().filter(|(_, found)| found.action == action) {
            if is_waiting.contains(&slot) {
                continue;
            }
            let view = view_of(slot, self.query.rows);
            let (key, hash) = self.query.keys.at(slot);
            let missing = &mut self.missing;
            let same_row = known
                .get(&(hash, view))
                .copied()
                .filter(|&index| missing.get(index).is_some_and(|missing| self.query.keys.at(missing.slot).0 == key));
            let index = same_row.unwrap_or_else(|| {
                let invalidated_at = self.query.views.get(view).map_or(Timestamp::default(), |view| {
                    invalidations.affecting(view.write_dependencies()).invalidated_at(key)
                });
                missing.push(MissingRow { invalidated_at, ..MissingRow::new(slot, found.row.clone()) });
                known.insert((hash, view), missing.len() - 1);
                missing.len() - 1
            });
            self.waiting.push((slot, index));
            if let Some(missing) = missing.get_mut(index) {
                missing.slots += 1;
            }
        }
        self.waiting = sorted(core::mem::take(&mut self.waiting));
    }

    /// Whether it runs in the background, so that no caller waits for it.
    pub(super) fn is_background(&self) -> bool {
        self.is_answered
    }

    /// The view, key and hash of a missing row.
    pub(super) fn key_of(&self, missing: usize) -> Option<(&ViewQuery, &[u8], u64)> {
        self.query.lookup(self.missing.get(missing)?.slot)
    }

    pub(super) fn hash_of(&self, missing: usize) -> u64 {
        self.missing.get(missing).map_or(0, |missing| self.query.keys.at(missing.slot).1)
    }

    /// The missing rows at a stage.
    pub(super) fn rows_at_stage(&self, mut matches_stage: impl FnMut(Stage) -> bool) -> Vec<usize> {
        self.missing
            .iter()
            .enumerate()
            .filter(|(_, missing)| matches_stage(missing.stage))
            .map(|(index, _)| index)
            .collect()
    }

    pub(super) fn set_stage(&mut self, index: usize, stage: Stage) {
        if let Some(missing) = self.missing.get_mut(index) {
            missing.stage = stage;
        }
    }

    /// Starts as many rows as the window allows.
    pub(super) fn start_more(&mut self) {
        let room = self.room();
        for missing in self.missing.iter_mut().filter(|missing| missing.stage == Stage::NotStarted).take(room) {
            missing.stage = Stage::Next(0);
        }
    }

    /// Whether the window has room for rows that are not started.
    pub(super) fn has_room(&self) -> bool {
        self.missing.iter().any(|missing| missing.stage == Stage::NotStarted) && self.room() > 0
    }

    fn room(&self) -> usize {
        if self.is_paused {
            return 0;
        }
        let under_way = self.missing.iter().filter(|row| !row.is_settled() && row.stage != Stage::NotStarted).count();
        self.pattern_limits.window_rows().saturating_sub(under_way)
    }

    /// Shifts its times back by so many milliseconds.
    pub(super) fn set_clock_back(&mut self, millis: u64) {
        let calls = self.calls.iter_mut().flatten().map(|call| &mut call.began);
        let reads = self.reads.iter_mut().flatten().map(|read| &mut read.began);
        let deadlines = self.hedge_at.iter_mut().chain([&mut self.soft_at, &mut self.hard_at]);
        let leases = self.missing.iter_mut().filter_map(|missing| match &mut missing.stage {
            Stage::Following(until) => Some(until),
            _ => None,
        });
        for at in calls.chain(reads).chain(deadlines).chain(&mut self.timers).chain(leases) {
            *at = at.minus(millis);
        }
    }

    /// Begins a bulk read of these missing rows; its number.
    pub(super) fn begin_read(&mut self, (store, tier): (usize, Tier), rows: Vec<usize>, now: Timestamp) -> u32 {
        for &index in &rows {
            self.set_stage(index, Stage::Reading(store));
            let missing = self.missing.get_mut(index);
            if let Some(is_queried) = missing.and_then(|missing| missing.is_queried.get_mut(store_index(tier))) {
                *is_queried = true;
            }
        }
        self.reads.push(Some(StoreRead { store, began: now, rows, is_merge: false }));
        (self.reads.len() - 1) as u32
    }

    /// Begins a call to the origin; its number.
    pub(super) fn begin_call(&mut self, call: OriginCall) -> u32 {
        for &index in &call.rows {
            if let Some(missing) = self.missing.get_mut(index) {
                match missing.stage {
                    Stage::Reading(_) => missing.is_hedged = true,
                    _ => missing.stage = Stage::Fetching,
                }
            }
        }
        self.tier_counts.compute_requests += 1;
        self.calls.push(Some(call));
        (self.calls.len() - 1) as u32
    }

    /// Whether a store before the one of this number is being read.
    pub(super) fn is_reading_before(&self, store: usize) -> bool {
        self.missing.iter().any(|row| !row.is_hedged && matches!(row.stage, Stage::Reading(before) if before < store))
    }

    pub(super) fn is_settled(&self) -> bool {
        self.missing.iter().all(MissingRow::is_settled)
    }

    /// The failure of a request whose deadline ends before the origin has answered.
    pub(super) fn missed_deadline(&self) -> OriginFailure {
        let PatternLimits { deadline_millis, deadline_source, .. } = self.pattern_limits;
        OriginFailure::TimedOut { limit: deadline_source, millis: deadline_millis + self.query.waited_millis }
    }

    pub(super) fn calls_under_way(&self) -> usize {
        self.calls.iter().flatten().count()
    }

    /// Applies what L1 now has of a row that another request fetched. Returns whether that completes
    /// it.
    pub(super) fn apply_shared(&mut self, index: usize, row: &Rc<Row>, now: Timestamp) -> bool {
        let freshness = self.judge(index, row, now);
        let is_enough = freshness.is_servable_immediately();
        if let Some(missing) = self.missing.get_mut(index) {
            missing.known = Some(Rc::clone(row));
            if is_enough {
                missing.stage = Stage::Done;
                missing.tier = Some(Tier::L1);
            }
        }
        self.note_expiry(index, now);
        is_enough
    }

    /// Applies what a store holds of a missing row. Returns what is known of the row now.
    pub(super) fn apply_stored(
        &mut self,
        index: usize,
        store: Tier,
        row: Option<Row>,
        interner: &mut Interner,
        now: Timestamp,
    ) -> Option<Rc<Row>> {
        let is_whole = self.is_whole();
        let missing = self.missing.get_mut(index)?;
        if let Some(is_known) = missing.is_stored_copy_known.get_mut(store_index(store)) {
            *is_known = true;
        }
        let row = Rc::new(row?);
        if let Some(stored) = missing.stored.get_mut(store_index(store)) {
            *stored = Some(Rc::clone(&row));
        }
        let known = match &missing.known {
            Some(known) if is_whole => merge(known, &row, true),
            Some(known) => Rc::new(known.merge(&row).sharing(interner)),
            None => row,
        };
        missing.known = Some(Rc::clone(&known));
        let freshness = self.judge(index, &known, now);
        // A background session fetches a row because it is due, so another due copy does not
        // complete it.
        let is_enough =
            if self.is_answered { freshness == Freshness::Fresh } else { freshness.is_servable_immediately() };
        if let Some(missing) = self.missing.get_mut(index).filter(|missing| is_enough && missing.stage != Stage::Done) {
            missing.stage = Stage::Done;
            missing.tier = Some(store);
            missing.needs_revalidation = freshness == Freshness::StaleWhileRevalidate;
        }
        self.note_expiry(index, now);
        Some(known)
    }

    /// Applies what the origin returned for the row at `slot`. Returns the index of the missing row.
    pub(super) fn apply_fetched(
        &mut self,
        slot: usize,
        row: Row,
        stores: usize,
        interner: &mut Interner,
        now: Timestamp,
    ) -> Option<usize> {
        if !self.query.is_row_of_lookup(slot, &row) {
            return None;
        }
        let (view, _, hash) = self.query.lookup(slot)?;
        let is_whole = matches!(view.columns(), Columns::All);
        let rules = self.rules(view, now);
        let at = self.waiting.binary_search_by_key(&slot, |&(slot, _)| slot).ok()?;
        let index = self.waiting.get(at)?.1;
        let missing = self.missing.get_mut(index)?;
        missing.own_fetches.extend(row.newest());
        let mut inspector =
            Inspector::new(view, rules.invalidated_at(missing.invalidated_at)).with_own_fetches(&missing.own_fetches);
        let mut has_lost_some = false;
        let known = match &missing.known {
            // A feature service is fetched as a whole, so nothing of an older row is kept.
            Some(known) if !is_whole => {
                // The origin's values count, whatever other clocks say of the known ones,
                // even if they are invalid.
                let rest = known.retain(|name, _| row.schema().feature_slot(name).is_none());
                let kept = rest.retain(|_, cell| inspector.judge_cell(cell, hash) != Freshness::Expired).merge(&row);
                // What was known and not fetched again has expired meanwhile.
                has_lost_some = !inspector.is_complete(&kept) && inspector.is_complete(&rest.merge(&row));
                kept.sharing(interner)
            }
            _ => row,
        };
        missing.known = Some(Rc::new(known));
        (missing.tier, missing.stage) =
            if has_lost_some { (None, Stage::Next(stores)) } else { (Some(Tier::Origin), Stage::Done) };
        missing.needs_revalidation = false;
        self.note_expiry(index, now);
        Some(index)
    }

    /// What is known of a missing row.
    pub(super) fn known(&self, index: usize) -> Option<&Rc<Row>> {
        self.missing.get(index)?.known.as_ref()
    }

    /// Whether each of these rows was answered before with all requested features, so that the request
    /// cannot be the cause of the origin's failure. An answer from before a write says nothing: Feast
    /// refuses a view while a job writes it.
    pub(super) fn was_answered_before(&self, rows: &[usize]) -> bool {
        rows.iter().all(|&index| {
            let known = self.key_of(index).zip(self.known(index));
            known.is_some_and(|((view, _, hash), row)| {
                // Age does not matter here.
                let mut inspector = self.inspector(index, view, Timestamp::default());
                inspector.is_complete(row) && inspector.judge(row, hash) != Freshness::Expired
            })
        })
    }

    /// What to fetch from the origin for these missing rows.
    pub(super) fn fetch_spec(&self, rows: &[usize], now: Timestamp) -> FetchSpec {
        let mut fetch = FetchSpec::default();
        let mut columns: Vec<Vec<bool>> = self
            .query
            .views
            .iter()
            .map(|view| match view.columns() {
                Columns::Named(names) => vec![false; names.len()],
                Columns::All => Vec::new(),
            })
            .collect();
        let mut is_view_missing = vec![false; self.query.views.len()];
        for missing in rows.iter().filter_map(|&index| self.missing.get(index)) {
            let view = missing.slot.checked_div(self.query.rows).unwrap_or_default();
            let Some((view_query, columns)) = self.query.views.get(view).zip(columns.get_mut(view)) else { continue };
            let (_, hash) = self.query.keys.at(missing.slot);
            match &missing.known {
                Some(known) => {
                    let inspector =
                        Inspector::new(view_query, self.rules(view_query, now).invalidated_at(missing.invalidated_at));
                    let judged = inspector.with_own_fetches(&missing.own_fetches).judge_columns(known, hash);
                    for (is_missing, freshness) in columns.iter_mut().zip(judged) {
                        *is_missing |= freshness != Freshness::Fresh;
                    }
                }
                None => columns.fill(true),
            }
            if let Some(is_missing) = is_view_missing.get_mut(view) {
                *is_missing = true;
            }
            fetch.rows.push(missing.slot.checked_rem(self.query.rows).unwrap_or_default());
            fetch.indices.push(missing.slot);
        }
        fetch.rows = sorted(fetch.rows);
        fetch.rows.dedup();
        fetch.views = columns
            .into_iter()
            .zip(is_view_missing)
            .enumerate()
            .filter(|(_, (_, is_missing))| *is_missing)
            .map(|(view, (columns, _))| {
                (view, (0..).zip(columns).filter(|(_, is_missing)| *is_missing).map(|(column, _)| column).collect())
            })
            .collect();
        fetch
    }

    /// Fails the rows with these hashes, which another request could not fetch.
    pub(super) fn share_failure(&mut self, hashes: &HashSet<u64>, failure: &OriginFailure) {
        for index in self.rows_at_stage(|stage| matches!(stage, Stage::Following(_))) {
            if hashes.contains(&self.hash_of(index)) {
                self.set_stage(index, Stage::Failed);
                self.failure = Some(failure.clone());
            }
        }
    }

    /// Begins to revalidate stored rows that are due, in the background. Returns which.
    pub(super) fn begin_revalidation(&mut self, stores: usize) -> Vec<usize> {
        let mut due = Vec::new();
        for (index, missing) in self.missing.iter_mut().enumerate().filter(|(_, missing)| missing.needs_revalidation) {
            missing.needs_revalidation = false;
            missing.is_flight_complete = false;
            // The hedge in progress revalidates it.
            missing.stage = if missing.is_hedged { Stage::Fetching } else { Stage::Next(stores) };
            due.push(index);
        }
        due
    }

    /// Whether it warms the tiers, so that its caller waits for the stores.
    pub(super) fn is_warming(&self) -> bool {
        self.query.background_timeout_millis.is_some()
    }

    /// Of the rows to be written to the store of `tier`, those whose stored columns are unknown. A
    /// store is written merged rows, else a request for some features would drop all others.
    pub(super) fn unmerged_for(&self, tier: Tier, most: usize) -> Vec<usize> {
        let is_unmerged = |index: &usize| {
            let missing = self.missing.get(*index);
            missing.is_some_and(|missing| {
                missing.is_written_to(tier) && !missing.is_merge_tried_for(tier) && !self.is_merged(missing, tier)
            })
        };
        (0..self.missing.len()).filter(is_unmerged).take(most).collect()
    }

    /// Whether a row's stored columns are known, or need not be: a feature service is fetched as a
    /// whole.
    fn is_merged(&self, missing: &MissingRow, tier: Tier) -> bool {
        self.is_whole() || missing.is_stored_copy_known.get(store_index(tier)).copied().unwrap_or_default()
    }

    /// Whether it requests a feature service, and nothing else.
    fn is_whole(&self) -> bool {
        self.query.views.iter().any(|view| matches!(view.columns(), Columns::All))
    }

    /// Begins a merge read of these rows. Returns its number.
    pub(super) fn begin_merge(&mut self, (store, tier): (usize, Tier), rows: Vec<usize>, now: Timestamp) -> u32 {
        for &index in &rows {
            let missing = self.missing.get_mut(index);
            if let Some(is_tried) = missing.and_then(|missing| missing.is_merge_tried.get_mut(store_index(tier))) {
                *is_tried = true;
            }
        }
        self.reads.push(Some(StoreRead { store, began: now, rows, is_merge: true }));
        (self.reads.len() - 1) as u32
    }

    /// Whether a store is being read.
    pub(super) fn is_reading(&self) -> bool {
        self.reads.iter().flatten().next().is_some()
    }

    /// What to write to the store of `tier`, of the `latest` of each missing row. A store that
    /// `is_read` gets merged rows only.
    pub(super) fn writes_for(
        &self,
        tier: Tier,
        latest: &[Option<Rc<Row>>],
        is_read: bool,
        now: Timestamp,
    ) -> StoreWrites {
        let mut writes = StoreWrites::default();
        for (index, (missing, latest)) in self.missing.iter().zip(latest).enumerate() {
            let Some(latest) = latest.as_ref().filter(|_| missing.is_written_to(tier)) else { continue };
            // A write of what the store has, and will have for a while, is wasted.
            let is_stored = missing.stored.get(store_index(tier)).and_then(Option::as_ref).is_some_and(|stored| {
                stored.has_same_content(latest)
                    && (Rc::ptr_eq(stored, latest) || self.judge(index, stored, now) == Freshness::Fresh)
            });
            if is_stored {
                writes.unchanged += 1;
            } else if is_read && !self.is_merged(missing, tier) {
                writes.unmerged += 1;
            } else {
                writes.rows.push(RowWrite { row: Rc::clone(latest), is_whole: self.is_whole() });
            }
        }
        writes
    }

    /// Of a feature service's rows, refetches those that lack a member which a newer row has. A stream
    /// may have sent them already, and is left as it is.
    pub(super) fn refetch_former_members(&mut self, stores: usize) {
        if self.pattern_limits.is_streamed() || !self.is_whole() {
            return;
        }
        let mut rows = self.found.clone();
        for &(slot, index) in &self.waiting {
            if let Some((found, missing)) = rows.get_mut(slot).zip(self.missing.get(index)) {
                let row = missing.known.clone();
                *found = LookupResult { row, tier: Tier::L2, is_stale: false, action: Action::None };
            }
        }
        if lookup::refetch_rows_lacking_members(&mut rows) == 0 {
            return;
        }
        let known: HashMap<usize, usize, foldhash::fast::FixedState> = self.waiting.iter().copied().collect();
        for (slot, found) in rows.into_iter().enumerate().filter(|(_, found)| found.action == Action::Fetch) {
            let stage = Stage::Next(stores);
            if let Some(index) = known.get(&slot) {
                if let Some(missing) = self.missing.get_mut(*index).filter(|missing| missing.stage == Stage::Done) {
                    (missing.tier, missing.stage) = (None, stage);
                }
                continue;
            }
            self.waiting.push((slot, self.missing.len()));
            self.missing.push(MissingRow { stage, slots: 1, ..MissingRow::new(slot, found.row) });
        }
        self.waiting = sorted(core::mem::take(&mut self.waiting));
    }

    /// How fresh a row is for the missing row of number `index`.
    fn judge(&self, index: usize, row: &Row, now: Timestamp) -> Freshness {
        let Some((view, _, hash)) = self.key_of(index) else { return Freshness::Expired };
        self.inspector(index, view, now).judge(row, hash)
    }

    /// For each row its hash, and the operations that completed it.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (u64, Option<Operations>)> {
        (0..).zip(&self.missing).map(|(index, missing)| {
            let operations = Operations {
                is_read: missing.is_queried.contains(&true),
                is_called: missing.tier == Some(Tier::Origin) && !self.calls.is_empty(),
            };
            (self.hash_of(index), Some(operations).filter(|_| missing.stage == Stage::Done))
        })
    }

    /// An inspector for the missing row of number `index`, of `view`.
    fn inspector<'a>(&'a self, index: usize, view: &'a ViewQuery, now: Timestamp) -> Inspector<'a> {
        let inspector = |invalidated_at| Inspector::new(view, self.rules(view, now).invalidated_at(invalidated_at));
        match self.missing.get(index) {
            Some(missing) => inspector(missing.invalidated_at).with_own_fetches(&missing.own_fetches),
            None => inspector(Timestamp::default()),
        }
    }

    fn rules(&self, view: &ViewQuery, now: Timestamp) -> Rules {
        Rules::new(*view.lifetimes(), self.query.max_staleness, self.query.consistency, now).early_by(self.early_millis)
    }
}

impl Footprint for Session {
    /// With an estimate of what is still to come, so that admitted work has room for it.
    fn footprint(&self) -> usize {
        let rows = self.found.iter().filter_map(|found| found.row.as_ref());
        let known = self.missing.iter().flat_map(|missing| missing.known.iter().chain(missing.stored.iter().flatten()));
        let reads = self.reads.iter().flatten().map(|read| &read.rows);
        let calls = self.calls.iter().flatten().map(|call| &call.rows);
        let coming = self.missing.iter().filter(|missing| missing.known.is_none() && !missing.is_settled()).count();
        let failure = if let Some(OriginFailure::ErrorResponse { body, .. }) = &self.failure { body.len() } else { 0 };
        size_of::<Session>()
            + self.query.keys.size()
            + size_of::<LookupResult>() * self.found.capacity()
            + size_of::<MissingRow>() * self.missing.capacity()
            + size_of::<(usize, usize)>() * self.waiting.capacity()
            + size_of::<Option<StoreRead>>() * self.reads.capacity()
            + size_of::<Option<OriginCall>>() * self.calls.capacity()
            + size_of::<usize>() * reads.chain(calls).map(Vec::capacity).sum::<usize>()
            + self.is_sent.capacity()
            + rows.chain(known).map(Row::share_of).sum::<usize>()
            + coming * expected_row_bytes(&self.query)
            + failure
    }
}

/// The estimated memory of a session with so many missing slots, in bytes.
pub(super) fn expected_bytes(query: &RowQuery, slots: usize, missing: usize) -> usize {
    let of_missing =
        size_of::<MissingRow>() + size_of::<(usize, usize)>() + size_of::<usize>() + expected_row_bytes(query);
    size_of::<Session>() + query.keys.size() + size_of::<LookupResult>() * slots + of_missing * missing + query.rows
}

/// The estimated memory of a row that is not there yet, in bytes: a dozen digits for each feature, and its
/// key.
fn expected_row_bytes(query: &RowQuery) -> usize {
    let features = query.features().div_ceil(query.views.len().max(1));
    (ROW_OVERHEAD + 16 * features) * 3 / 2 + query.keys.size() / query.keys.len().max(1)
}

/// The index of a store in the arrays of a missing row.
fn store_index(store: Tier) -> usize {
    usize::from(store == Tier::L3)
}

impl MissingRow {
    fn new(slot: usize, known: Option<Rc<Row>>) -> MissingRow {
        MissingRow {
            slot,
            stage: Stage::Next(0),
            invalidated_at: Timestamp::default(),
            own_fetches: Vec::new(),
            known,
            stored: [const { None }; MAX_STORES],
            is_queried: [false; MAX_STORES],
            is_stored_copy_known: [false; MAX_STORES],
            is_merge_tried: [false; MAX_STORES],
            tier: None,
            needs_revalidation: false,
            is_hedged: false,
            is_flight_complete: false,
            slots: 0,
            sent: 0,
        }
    }

    /// Whether it is to be written to the store of `tier`: it came from a lower tier.
    fn is_written_to(&self, tier: Tier) -> bool {
        self.stage == Stage::Done && self.tier.is_some_and(|source| source > tier)
    }

    fn is_merge_tried_for(&self, tier: Tier) -> bool {
        self.is_merge_tried.get(store_index(tier)).copied().unwrap_or_default()
    }

    /// Whether a stream has sent it in all its slots.
    fn is_sent(&self) -> bool {
        self.sent >= self.slots
    }

    fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Done | Stage::Failed)
    }

    /// Counts it for the stores that were read.
    fn count(&self, tier_counts: &mut TierCounts) {
        for (store, _) in self.is_queried.iter().enumerate().filter(|(_, is_queried)| **is_queried) {
            let counter = match (store, self.tier) {
                (0, Some(Tier::L2)) => &mut tier_counts.l2_hits,
                (0, _) => &mut tier_counts.l2_misses,
                (_, Some(Tier::L3)) => &mut tier_counts.l3_hits,
                _ => &mut tier_counts.l3_misses,
            };
            *counter += 1;
        }
        tier_counts.missing += u32::from(self.stage != Stage::Done);
    }
}
