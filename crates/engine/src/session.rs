//! What one request knows of each row that L1 could not supply: what of it is there, who looks for it, how it ended.
//!
//! Refuses to know how reads and calls are done, and when. Invariant: a missing row is looked for once, however often
//! the request repeats its entity, and what was found of it in a higher tier is completed, never thrown away.

use std::rc::Rc;

use hashbrown::HashMap;

use crate::io::{Lines, MAX_STORES};
use crate::limiter::Permit;
use crate::merge::merge;
use crate::router::Route;
use crate::slab::Held;
use crate::write_queue::Change;
use ::prefetch::outstanding::Operations;
use cache::freshness::{Freshness, Rules};
use cache::invalidations::Invalidations;
use cache::lookup::{self, Inspector};
use model::answer::{Action, Answer, LookupResult, OriginFailure, Tier, TierCounts};
use model::fetch_spec::FetchSpec;
use model::interner::Interner;
use model::request::{Columns, RowQuery, ViewQuery};
use model::row::{ROW_OVERHEAD, Row};
use model::sort::sorted;
use model::time::Timestamp;

pub(super) type HashSet<T> = hashbrown::HashSet<T, foldhash::fast::FixedState>;

/// How far the search for a row has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not looked for yet: as much as may be at one time is under way.
    Unbegun,
    /// Another request looks for it, under a lease until then.
    Following(Timestamp),
    /// To be read from the store of this number; past the last store, to be asked of the origin.
    Next(usize),
    /// Being read from the store of this number.
    Reading(usize),
    /// Asked of the origin.
    Fetching,
    /// Complete.
    Done,
    /// Given up: nothing could complete it.
    Failed,
}

/// A row that L1 could not supply, wherever in the request it stands.
#[derive(Debug)]
pub(super) struct Missing {
    /// The first place that asks for it.
    pub(super) place: usize,
    pub(super) stage: Stage,
    /// When it was last written before the request began: what was fetched then or earlier is not to be served.
    invalidated_at: Timestamp,
    /// When this session fetched something of it, by the row's own times.
    own_fetches: Vec<Timestamp>,
    /// What is known of it so far.
    known: Option<Rc<Row>>,
    /// What L2 and L3 hold of it, which of them were asked, and which have said what they hold.
    stored: [Option<Rc<Row>>; MAX_STORES],
    is_asked: [bool; MAX_STORES],
    is_stored_known: [bool; MAX_STORES],
    is_merge_tried: [bool; MAX_STORES],
    /// Who completed it.
    pub(super) tier: Option<Tier>,
    /// Whether what completed it is to be fetched anew behind the answer.
    is_due: bool,
    /// Whether the origin is asked while a store is still being read.
    pub(super) is_hedged: bool,
    /// Whether its flight has ended, and those who followed it were woken.
    pub(super) has_landed: bool,
    /// How many places of the request wait for it, and how many of them a stream has given.
    places: u32,
    given: u32,
}

/// A bulk read under way.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) store: usize,
    pub(super) began: Timestamp,
    /// The missing rows that it is for.
    pub(super) rows: Vec<usize>,
    /// Whether it reads what is merged with rows that are to be written, and no answer waits for it.
    pub(super) is_merge: bool,
}

/// What a store should learn of a session's rows.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) rows: Vec<Change>,
    /// Rows that the store has already.
    pub(super) unchanged: u64,
    /// Rows of which could not be read what else the store holds.
    pub(super) unmerged: u64,
}

/// Rows that expire within so many milliseconds are fetched anew together.
const EXPIRY_SLACK_MILLIS: u64 = 10;

/// A call to the origin under way.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) began: Timestamp,
    pub(super) permit: Permit,
    /// The missing rows that it is for.
    pub(super) rows: Vec<usize>,
}

/// A request that waits for I/O, or goes on behind its answer.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) ask: Box<RowQuery>,
    pub(super) route: Route,
    found: Vec<LookupResult>,
    pub(super) missing: Vec<Missing>,
    /// For each place that L1 did not answer: the place, and which of the missing rows it waits for.
    waiting: Vec<(usize, usize)>,
    pub(super) reads: Vec<Option<Read>>,
    pub(super) calls: Vec<Option<Call>>,
    tier_counts: TierCounts,
    pub(super) failure: Option<OriginFailure>,
    /// When a slow store is no longer waited for alone.
    pub(super) hedge_at: Option<Timestamp>,
    /// When a stale answer is better than a late one.
    pub(super) soft_at: Timestamp,
    /// When the answer goes out, whatever is missing.
    pub(super) hard_at: Timestamp,
    /// When the first of the rows that are there grows too old for the answer.
    pub(super) expires_at: Timestamp,
    pub(super) is_answered: bool,
    /// Whether its reader has not taken yet what was given.
    pub(super) is_held: bool,
    /// Of a request that is streamed, which of its rows were given.
    is_given: Vec<bool>,
    /// How long its caller waited, once it has its answer, in milliseconds.
    pub(super) waited_millis: Option<u64>,
    /// Whether it fetches what nobody has asked for yet.
    pub(super) is_prefetch: bool,
    /// Whether L2 and the origin are asked at one time.
    pub(super) is_together: bool,
    /// Whether it waits for a place among the calls to the origin.
    pub(super) is_queued: bool,
    /// Whether it has a place in the queue for them.
    pub(super) has_place_in_queue: bool,
    /// When the timers go off that the host runs for it. One is ordered only to go off before all others, so the next is last.
    pub(super) timers: Vec<Timestamp>,
    /// How long before its time to live ends a value is due.
    early_millis: u64,
}

impl Session {
    /// Begins with what L1 left open.
    pub(super) fn new(
        ask: Box<RowQuery>,
        route: Route,
        found: Vec<LookupResult>,
        marks: &Invalidations,
        now: Timestamp,
    ) -> Session {
        let mut session = Session {
            ask,
            route,
            found,
            missing: Vec::new(),
            waiting: Vec::new(),
            reads: Vec::new(),
            calls: Vec::new(),
            tier_counts: TierCounts::default(),
            failure: None,
            hedge_at: None,
            soft_at: now.plus(route.soft_millis),
            hard_at: now.plus(route.deadline_millis),
            expires_at: Timestamp::MAX,
            is_answered: false,
            is_held: false,
            is_given: Vec::new(),
            waited_millis: None,
            is_prefetch: false,
            is_together: false,
            is_queued: false,
            has_place_in_queue: false,
            timers: Vec::new(),
            early_millis: 0,
        };
        session.collect(Action::Fetch, marks);
        if route.is_streamed() {
            session.is_given = vec![false; session.ask.rows];
            session.missing.iter_mut().for_each(|missing| missing.stage = Stage::Unbegun);
        }
        session.expires_at = session.next_expiry(now);
        session
    }

    /// Begins behind an answer that was all in L1, for the rows that are due.
    pub(super) fn refresh(
        ask: Box<RowQuery>,
        route: Route,
        found: Vec<LookupResult>,
        marks: &Invalidations,
        early_millis: u64,
        now: Timestamp,
    ) -> Session {
        let mut session = Session { early_millis, is_answered: true, ..Session::new(ask, route, found, marks, now) };
        session.collect(Action::Revalidate, marks);
        session
    }

    /// Begins ahead of requests, for the rows that L1 lacks.
    pub(super) fn prefetch(
        ask: Box<RowQuery>,
        route: Route,
        found: Vec<LookupResult>,
        marks: &Invalidations,
        now: Timestamp,
    ) -> Session {
        Session { is_answered: true, is_prefetch: true, ..Session::new(ask, route, found, marks, now) }
    }

    /// Begins behind no request, for rows that somebody brings.
    pub(super) fn load(ask: Box<RowQuery>, route: Route, marks: &Invalidations, now: Timestamp) -> Session {
        let nothing = LookupResult { row: None, tier: Tier::L1, is_stale: false, action: Action::Fetch };
        let found = vec![nothing; ask.keys.len()];
        Session { is_answered: true, ..Session::new(ask, route, found, marks, now) }
    }

    /// Looks for nothing that was not brought.
    pub(super) fn give_up_the_rest(&mut self) {
        for missing in self.missing.iter_mut().filter(|missing| missing.stage != Stage::Done) {
            missing.stage = Stage::Failed;
        }
    }

    /// What was written before the request began is marked for it here, once: what is written later it need not see.
    fn collect(&mut self, action: Action, marks: &Invalidations) {
        let mut known: HashMap<(u64, usize), usize, foldhash::fast::FixedState> = HashMap::default();
        let view_of = |place: usize, rows: usize| place.checked_div(rows).unwrap_or_default();
        let is_waiting: HashSet<usize> = self.waiting.iter().map(|&(place, _)| place).collect();
        for (place, found) in self.found.iter().enumerate().filter(|(_, found)| found.action == action) {
            if is_waiting.contains(&place) {
                continue;
            }
            let view = view_of(place, self.ask.rows);
            let (key, hash) = self.ask.keys.at(place);
            let missing = &mut self.missing;
            let same_row = known
                .get(&(hash, view))
                .copied()
                .filter(|&index| missing.get(index).is_some_and(|missing| self.ask.keys.at(missing.place).0 == key));
            let index = same_row.unwrap_or_else(|| {
                let invalidated_at = self.ask.views.get(view).map_or(Timestamp::default(), |view| {
                    marks.affecting(view.write_dependencies()).invalidated_at(key)
                });
                missing.push(Missing { invalidated_at, ..Missing::new(place, found.row.clone()) });
                known.insert((hash, view), missing.len() - 1);
                missing.len() - 1
            });
            self.waiting.push((place, index));
            if let Some(missing) = missing.get_mut(index) {
                missing.places += 1;
            }
        }
        self.waiting = sorted(core::mem::take(&mut self.waiting));
    }

    /// Looks for anew what has grown too old for the answer since it was found: which of the missing rows these are. A bound
    /// holds when the answer is made, and not only when a tier was read.
    pub(super) fn retire_expired(&mut self, stores: usize, marks: &Invalidations, now: Timestamp) -> Vec<usize> {
        if self.is_answered || now < self.expires_at {
            return Vec::new();
        }
        let first_new = self.missing.len();
        let mut retired = Vec::new();
        // What expires a moment later is fetched with it.
        let by = now.plus(EXPIRY_SLACK_MILLIS);
        for place in self.expired_places(by, now) {
            if let Some(found) = self.found.get_mut(place) {
                found.action = Action::Fetch;
            }
        }
        for index in 0..first_new {
            if self.settled_expiry(index, now).is_some_and(|at| at <= by)
                && let Some(missing) = self.missing.get_mut(index)
            {
                (missing.stage, missing.tier) = (Stage::Next(stores), None);
                (missing.is_due, missing.has_landed) = (false, false);
                retired.push(index);
            }
        }
        self.collect(Action::Fetch, marks);
        if self.route.is_streamed() {
            let new = self.missing.iter_mut().skip(first_new);
            new.for_each(|missing| missing.stage = Stage::Unbegun);
        }
        self.expires_at = self.next_expiry(now);
        retired
    }

    /// The places that L1 answered and whose rows have expired by then.
    fn expired_places(&self, by: Timestamp, now: Timestamp) -> Vec<usize> {
        self.l1_expiries(now).filter(|&(_, at)| at <= by).map(|(place, _)| place).collect()
    }

    /// For each place that L1 answered, when its row expires. Of what a stream has given the row is gone.
    fn l1_expiries(&self, now: Timestamp) -> impl Iterator<Item = (usize, Timestamp)> {
        let rows = self.ask.rows;
        self.ask.views.iter().enumerate().flat_map(move |(number, view)| {
            let mut inspector = Inspector::new(view, self.rules(view, now));
            let places = number * rows..(number + 1) * rows;
            let found = self.found.get(places.clone()).unwrap_or_default();
            let open = places.zip(found).filter(|(_, found)| found.action != Action::Fetch);
            open.filter_map(move |(place, found)| {
                Some((place, inspector.expires_at(found.row.as_ref()?, self.ask.keys.at(place).1)))
            })
        })
    }

    /// When a missing row that was completed expires; `None` of one that is still looked for, or given up.
    fn settled_expiry(&self, index: usize, now: Timestamp) -> Option<Timestamp> {
        let is_open = |missing: &&Missing| missing.stage == Stage::Done && !missing.is_given();
        let missing = self.missing.get(index).filter(is_open)?;
        let (view, _, hash) = self.key_of(index)?;
        let mut inspector = Inspector::new(view, self.rules(view, now)).with_own_fetches(&missing.own_fetches);
        Some(inspector.expires_at(missing.known.as_ref()?, hash))
    }

    /// When the first of the rows that are there expires.
    fn next_expiry(&self, now: Timestamp) -> Timestamp {
        let settled = (0..self.missing.len()).filter_map(|index| self.settled_expiry(index, now));
        self.l1_expiries(now).map(|(_, at)| at).chain(settled).min().unwrap_or(Timestamp::MAX)
    }

    /// Takes note of when a row that was just completed expires.
    fn note_expiry(&mut self, index: usize, now: Timestamp) {
        if let Some(at) = self.settled_expiry(index, now) {
            self.expires_at = self.expires_at.min(at);
        }
    }

    /// Whether it refreshes rows behind an answer, so that nobody waits for it.
    pub(super) fn is_behind(&self) -> bool {
        self.is_answered
    }

    /// The view, key and hash of a missing row.
    pub(super) fn key_of(&self, missing: usize) -> Option<(&ViewQuery, &[u8], u64)> {
        self.ask.lookup(self.missing.get(missing)?.place)
    }

    pub(super) fn hash_of(&self, missing: usize) -> u64 {
        self.missing.get(missing).map_or(0, |missing| self.ask.keys.at(missing.place).1)
    }

    /// The missing rows at a stage.
    pub(super) fn at_stage(&self, mut is_meant: impl FnMut(Stage) -> bool) -> Vec<usize> {
        self.missing.iter().enumerate().filter(|(_, missing)| is_meant(missing.stage)).map(|(index, _)| index).collect()
    }

    pub(super) fn set_stage(&mut self, index: usize, stage: Stage) {
        if let Some(missing) = self.missing.get_mut(index) {
            missing.stage = stage;
        }
    }

    /// Begins to look for as many rows as may be looked for at one time.
    pub(super) fn begin_more(&mut self) {
        let room = self.room();
        for missing in self.missing.iter_mut().filter(|missing| missing.stage == Stage::Unbegun).take(room) {
            missing.stage = Stage::Next(0);
        }
    }

    /// Whether there are rows that may be looked for and are not.
    pub(super) fn has_room(&self) -> bool {
        self.missing.iter().any(|missing| missing.stage == Stage::Unbegun) && self.room() > 0
    }

    fn room(&self) -> usize {
        if self.is_held {
            return 0;
        }
        let under_way = self.missing.iter().filter(|row| !row.is_settled() && row.stage != Stage::Unbegun).count();
        self.route.window_rows().saturating_sub(under_way)
    }

    /// Puts its times back by so many milliseconds.
    pub(super) fn set_back(&mut self, millis: u64) {
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
            if let Some(is_asked) = missing.and_then(|missing| missing.is_asked.get_mut(slot(tier))) {
                *is_asked = true;
            }
        }
        self.reads.push(Some(Read { store, began: now, rows, is_merge: false }));
        (self.reads.len() - 1) as u32
    }

    /// Begins a call to the origin for these missing rows; its number.
    pub(super) fn begin_call(&mut self, permit: Permit, rows: Vec<usize>, now: Timestamp) -> u32 {
        for &index in &rows {
            if let Some(missing) = self.missing.get_mut(index) {
                match missing.stage {
                    Stage::Reading(_) => missing.is_hedged = true,
                    _ => missing.stage = Stage::Fetching,
                }
            }
        }
        self.tier_counts.compute_requests += 1;
        self.calls.push(Some(Call { began: now, permit, rows }));
        (self.calls.len() - 1) as u32
    }

    /// Whether a store before the one of this number is being read.
    pub(super) fn is_reading_before(&self, store: usize) -> bool {
        self.missing.iter().any(|row| !row.is_hedged && matches!(row.stage, Stage::Reading(before) if before < store))
    }

    pub(super) fn is_settled(&self) -> bool {
        self.missing.iter().all(Missing::is_settled)
    }

    pub(super) fn calls_under_way(&self) -> usize {
        self.calls.iter().flatten().count()
    }

    /// Learns what L1 has by now of a row that another request looked for; whether that completes it.
    pub(super) fn learn_shared(&mut self, index: usize, row: &Rc<Row>, now: Timestamp) -> bool {
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

    /// Learns that a store was asked for a missing row, and what it holds of it; what is known of the row now.
    pub(super) fn learn_stored(
        &mut self,
        index: usize,
        store: Tier,
        row: Option<Row>,
        interner: &mut Interner,
        now: Timestamp,
    ) -> Option<Rc<Row>> {
        let is_whole = self.is_whole();
        let missing = self.missing.get_mut(index)?;
        if let Some(is_known) = missing.is_stored_known.get_mut(slot(store)) {
            *is_known = true;
        }
        let row = Rc::new(row?);
        if let Some(stored) = missing.stored.get_mut(slot(store)) {
            *stored = Some(Rc::clone(&row));
        }
        let known = match &missing.known {
            Some(known) if is_whole => merge(known, &row, true),
            Some(known) => Rc::new(known.merge(&row).sharing(interner)),
            None => row,
        };
        missing.known = Some(Rc::clone(&known));
        let freshness = self.judge(index, &known, now);
        // Behind an answer a row is looked for because it is due, so another that is due will not do.
        let is_enough =
            if self.is_answered { freshness == Freshness::Fresh } else { freshness.is_servable_immediately() };
        if let Some(missing) = self.missing.get_mut(index).filter(|missing| is_enough && missing.stage != Stage::Done) {
            missing.stage = Stage::Done;
            missing.tier = Some(store);
            missing.is_due = freshness == Freshness::StaleWhileRevalidate;
        }
        self.note_expiry(index, now);
        Some(known)
    }

    /// Learns what the origin gave for the row at `place`; the number of the missing row.
    pub(super) fn learn_fetched(
        &mut self,
        place: usize,
        row: Row,
        stores: usize,
        interner: &mut Interner,
        now: Timestamp,
    ) -> Option<usize> {
        if !self.ask.is_row_of_lookup(place, &row) {
            return None;
        }
        let (view, _, hash) = self.ask.lookup(place)?;
        let is_whole = matches!(view.columns(), Columns::All);
        let rules = self.rules(view, now);
        let at = self.waiting.binary_search_by_key(&place, |&(place, _)| place).ok()?;
        let index = self.waiting.get(at)?.1;
        let missing = self.missing.get_mut(index)?;
        missing.own_fetches.extend(row.newest());
        let mut inspector =
            Inspector::new(view, rules.invalidated_at(missing.invalidated_at)).with_own_fetches(&missing.own_fetches);
        let mut has_lost_some = false;
        let known = match &missing.known {
            // A feature service is fetched as a whole, so nothing of an older row is worth keeping.
            Some(known) if !is_whole => {
                // What the origin just gave counts, whatever others' clocks say of what was known, and though it be invalid.
                let rest = known.retain(|name, _| row.schema().feature_slot(name).is_none());
                let kept = rest.retain(|_, cell| inspector.judge_cell(cell, hash) != Freshness::Expired).merge(&row);
                // What was not asked for since it was there has grown too old while the rest was fetched.
                has_lost_some = !inspector.is_complete(&kept) && inspector.is_complete(&rest.merge(&row));
                kept.sharing(interner)
            }
            _ => row,
        };
        missing.known = Some(Rc::new(known));
        (missing.tier, missing.stage) =
            if has_lost_some { (None, Stage::Next(stores)) } else { (Some(Tier::Origin), Stage::Done) };
        missing.is_due = false;
        self.note_expiry(index, now);
        Some(index)
    }

    /// What is known of a missing row.
    pub(super) fn known(&self, index: usize) -> Option<&Rc<Row>> {
        self.missing.get(index)?.known.as_ref()
    }

    /// Whether each of these rows was answered before with all that is asked for, so that the request cannot be what makes the
    /// origin fail. What was answered before a write says nothing: Feast refuses a view while a job writes it.
    pub(super) fn was_answered_before(&self, rows: &[usize]) -> bool {
        rows.iter().all(|&index| {
            let known = self.key_of(index).zip(self.known(index));
            known.is_some_and(|((view, _, hash), row)| {
                // By no time of now is it too old.
                let mut inspector = self.inspector(index, view, Timestamp::default());
                inspector.is_complete(row) && inspector.judge(row, hash) != Freshness::Expired
            })
        })
    }

    /// What the origin is to be asked for these missing rows.
    pub(super) fn fetch_spec(&self, rows: &[usize], now: Timestamp) -> FetchSpec {
        let mut fetch = FetchSpec::default();
        let mut columns: Vec<Vec<bool>> = self
            .ask
            .views
            .iter()
            .map(|view| match view.columns() {
                Columns::Named(names) => vec![false; names.len()],
                Columns::All => Vec::new(),
            })
            .collect();
        let mut is_view_missing = vec![false; self.ask.views.len()];
        for missing in rows.iter().filter_map(|&index| self.missing.get(index)) {
            let view = missing.place.checked_div(self.ask.rows).unwrap_or_default();
            let Some((ask, columns)) = self.ask.views.get(view).zip(columns.get_mut(view)) else { continue };
            let (_, hash) = self.ask.keys.at(missing.place);
            match &missing.known {
                Some(known) => {
                    let inspector = Inspector::new(ask, self.rules(ask, now).invalidated_at(missing.invalidated_at));
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
            fetch.rows.push(missing.place.checked_rem(self.ask.rows).unwrap_or_default());
            fetch.indices.push(missing.place);
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

    /// Whether what is known of every unsettled row may be served rather than be waited for.
    pub(super) fn has_stale_of_all(&self, now: Timestamp) -> bool {
        let is_lost = |missing: &Missing| missing.stage == Stage::Failed && !self.route.is_streamed();
        (0..).zip(&self.missing).all(|(index, missing)| {
            (missing.is_settled() && !is_lost(missing)) || self.has_stale_of(index, missing, now)
        })
    }

    fn has_stale_of(&self, index: usize, missing: &Missing, now: Timestamp) -> bool {
        missing.known.as_ref().is_some_and(|known| self.judge(index, known, now) <= Freshness::StaleIfError)
    }

    /// Gives up the rows with these hashes, which another request looked for and could not get.
    pub(super) fn share_failure(&mut self, hashes: &HashSet<u64>, failure: &OriginFailure) {
        for index in self.at_stage(|stage| matches!(stage, Stage::Following(_))) {
            if hashes.contains(&self.hash_of(index)) {
                self.set_stage(index, Stage::Failed);
                self.failure = Some(failure.clone());
            }
        }
    }

    /// The answer with what is there now; of a request that is streamed, without what was given of it.
    pub(super) fn answer(&mut self, now: Timestamp) -> Answer {
        let mut tier_counts = self.tier_counts(|_| true);
        let mut found = Vec::new();
        if self.route.is_streamed() {
            self.give_up_what_is_not_under_way();
        } else {
            found = self.found.clone();
            for &(place, index) in &self.waiting {
                if let Some(found) = found.get_mut(place) {
                    *found = self.served(index, now);
                }
            }
            tier_counts.stale = count_stale(&found);
            lookup::enforce_max_event_age(&mut found, &self.ask, self.ask.rows, now);
        }
        self.is_answered = true;
        self.waited_millis = Some(self.route.deadline_millis.saturating_sub(self.hard_at.millis_since(now)));
        Answer { found, tier_counts, failure: self.failure.clone() }
    }

    /// The entities of which all is settled and that were not given yet; at last all that were not. Past the soft deadline
    /// what is stale counts as settled, entity by entity.
    pub(super) fn lines(&mut self, are_last: bool, now: Timestamp) -> Option<Lines> {
        if self.is_given.is_empty() {
            return None;
        }
        let rows = self.ask.rows;
        let mut is_open = self.is_given.clone();
        for &(place, index) in self.waiting.iter().filter(|_| !are_last) {
            let Some((missing, is_open)) = self.missing.get(index).zip(is_open.get_mut(place.checked_rem(rows)?))
            else {
                continue;
            };
            *is_open |= !missing.is_settled() && (now < self.soft_at || !self.has_stale_of(index, missing, now));
        }
        let ready: Vec<usize> = (0..).zip(&is_open).filter(|(_, is_open)| !**is_open).map(|(row, _)| row).collect();
        if ready.is_empty() {
            return None;
        }
        let mut found = Vec::with_capacity(ready.len() * self.ask.views.len());
        let mut given = Vec::new();
        let mut positions = vec![None; rows];
        for (position, &row) in ready.iter().enumerate() {
            if let Some((known, is_given)) = positions.get_mut(row).zip(self.is_given.get_mut(row)) {
                *known = Some(position);
                *is_given = true;
            }
        }
        for view in 0..self.ask.views.len() {
            // What was given is not needed again.
            let take = |found: &mut LookupResult| LookupResult { row: found.row.take(), ..found.clone() };
            found.extend(ready.iter().filter_map(|row| self.found.get_mut(view * rows + row).map(take)));
        }
        for &(place, index) in &self.waiting {
            let position = positions.get(place.checked_rem(rows)?).copied().flatten();
            let view = place.checked_div(rows)?;
            if let Some(found) = position.and_then(|position| found.get_mut(view * ready.len() + position)) {
                *found = self.served(index, now);
                given.push(index);
            }
        }
        for index in given {
            if let Some(missing) = self.missing.get_mut(index) {
                missing.given += 1;
            }
        }
        self.tier_counts.stale += count_stale(&found);
        lookup::enforce_max_event_age(&mut found, &self.ask, ready.len(), now);
        let tier_counts = self.tier_counts(Missing::is_settled);
        Some(Lines { rows: ready, found, tier_counts })
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
                Stage::Done => (Some(Rc::clone(known)), missing.is_due),
                _ => self.reduce(index, known, now),
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

    /// Where rows came from: all that L1 had, and of the missing ones those that `is_meant`.
    fn tier_counts(&self, is_meant: impl Fn(&Missing) -> bool) -> TierCounts {
        let (places, waiting) = (self.found.len(), self.waiting.len());
        let mut tier_counts =
            TierCounts { l1_hits: (places - waiting) as u32, l1_misses: waiting as u32, ..self.tier_counts };
        for missing in self.waiting.iter().filter_map(|&(_, index)| self.missing.get(index)) {
            if is_meant(missing) {
                missing.count(&mut tier_counts);
            }
        }
        tier_counts
    }

    /// What nobody is asked for yet when its request has its answer, nobody will be.
    fn give_up_what_is_not_under_way(&mut self) {
        self.is_held = false;
        for missing in &mut self.missing {
            if matches!(missing.stage, Stage::Unbegun | Stage::Next(_)) {
                missing.stage = Stage::Failed;
            }
        }
    }

    /// Goes on behind the answer for the rows that a store had and that are due: which.
    pub(super) fn go_on_for_due(&mut self, stores: usize) -> Vec<usize> {
        let mut due = Vec::new();
        for (index, missing) in self.missing.iter_mut().enumerate().filter(|(_, missing)| missing.is_due) {
            missing.is_due = false;
            missing.has_landed = false;
            // The hedge that is under way brings what is due.
            missing.stage = if missing.is_hedged { Stage::Fetching } else { Stage::Next(stores) };
            due.push(index);
        }
        due
    }

    /// Whether it warms the tiers, and its caller waits for the stores.
    pub(super) fn is_warming(&self) -> bool {
        self.ask.background_timeout_millis.is_some()
    }

    /// Of the rows that the store of `tier` is to be written, those of which is not known what else it holds. A store is written what
    /// was merged with what it holds, else a request for some features would throw out all others.
    pub(super) fn unmerged_for(&self, tier: Tier, most: usize) -> Vec<usize> {
        let is_unmerged = |index: &usize| {
            let missing = self.missing.get(*index);
            missing.is_some_and(|missing| {
                missing.is_for(tier) && !missing.is_merge_tried_for(tier) && !self.is_merged(missing, tier)
            })
        };
        (0..self.missing.len()).filter(is_unmerged).take(most).collect()
    }

    /// Whether it is known what the store of `tier` holds of a row, or need not be: a feature service is fetched as a whole.
    fn is_merged(&self, missing: &Missing, tier: Tier) -> bool {
        self.is_whole() || missing.is_stored_known.get(slot(tier)).copied().unwrap_or_default()
    }

    /// Whether it asks for a feature service, which is all of its request.
    fn is_whole(&self) -> bool {
        self.ask.views.iter().any(|view| matches!(view.columns(), Columns::All))
    }

    /// Begins to read these rows of a store to merge them with what is to be written; its number.
    pub(super) fn begin_merge(&mut self, (store, tier): (usize, Tier), rows: Vec<usize>, now: Timestamp) -> u32 {
        for &index in &rows {
            let missing = self.missing.get_mut(index);
            if let Some(is_tried) = missing.and_then(|missing| missing.is_merge_tried.get_mut(slot(tier))) {
                *is_tried = true;
            }
        }
        self.reads.push(Some(Read { store, began: now, rows, is_merge: true }));
        (self.reads.len() - 1) as u32
    }

    /// Whether a store is being read.
    pub(super) fn is_reading(&self) -> bool {
        self.reads.iter().flatten().next().is_some()
    }

    /// What the store of `tier` should learn, of the `latest` that is known of each missing row. Where it `is_read` at all, it is
    /// written only what was merged with what it holds.
    pub(super) fn changes_for(&self, tier: Tier, latest: &[Option<Rc<Row>>], is_read: bool, now: Timestamp) -> Changes {
        let mut changes = Changes::default();
        for (index, (missing, latest)) in self.missing.iter().zip(latest).enumerate() {
            let Some(latest) = latest.as_ref().filter(|_| missing.is_for(tier)) else { continue };
            // Writing what the store already says, and will go on saying for a while, is money for nothing.
            let has_it = missing.stored.get(slot(tier)).and_then(Option::as_ref).is_some_and(|stored| {
                stored.has_same_content(latest)
                    && (Rc::ptr_eq(stored, latest) || self.judge(index, stored, now) == Freshness::Fresh)
            });
            if has_it {
                changes.unchanged += 1;
            } else if is_read && !self.is_merged(missing, tier) {
                changes.unmerged += 1;
            } else {
                changes.rows.push(Change { row: Rc::clone(latest), is_whole: self.is_whole() });
            }
        }
        changes
    }

    /// Of a feature service's rows, those that lack a member which a newer row has are not complete after all; what is
    /// streamed may be given already, and is left as it was.
    pub(super) fn settle_members(&mut self, stores: usize) {
        if self.route.is_streamed() || !self.is_whole() {
            return;
        }
        let mut rows = self.found.clone();
        for &(place, index) in &self.waiting {
            if let Some((found, missing)) = rows.get_mut(place).zip(self.missing.get(index)) {
                let row = missing.known.clone();
                *found = LookupResult { row, tier: Tier::L2, is_stale: false, action: Action::None };
            }
        }
        if lookup::refetch_rows_lacking_members(&mut rows) == 0 {
            return;
        }
        let known: HashMap<usize, usize, foldhash::fast::FixedState> = self.waiting.iter().copied().collect();
        for (place, found) in rows.into_iter().enumerate().filter(|(_, found)| found.action == Action::Fetch) {
            let stage = Stage::Next(stores);
            if let Some(index) = known.get(&place) {
                if let Some(missing) = self.missing.get_mut(*index).filter(|missing| missing.stage == Stage::Done) {
                    (missing.tier, missing.stage) = (None, stage);
                }
                continue;
            }
            self.waiting.push((place, self.missing.len()));
            self.missing.push(Missing { stage, places: 1, ..Missing::new(place, found.row) });
        }
        self.waiting = sorted(core::mem::take(&mut self.waiting));
    }

    /// How fresh a row is for the missing row of number `index`.
    fn judge(&self, index: usize, row: &Row, now: Timestamp) -> Freshness {
        let Some((view, _, hash)) = self.key_of(index) else { return Freshness::Expired };
        self.inspector(index, view, now).judge(row, hash)
    }

    /// What may be served of a row that nobody completed, of the columns that are asked for, and whether some of that is stale.
    fn reduce(&self, index: usize, known: &Rc<Row>, now: Timestamp) -> (Option<Rc<Row>>, bool) {
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

    /// For each row, its hash, and what it took to get it, where it came.
    pub(super) fn gathered(&self) -> impl Iterator<Item = (u64, Option<Operations>)> {
        (0..).zip(&self.missing).map(|(index, missing)| {
            let operations = Operations {
                is_read: missing.is_asked.contains(&true),
                is_called: missing.tier == Some(Tier::Origin) && !self.calls.is_empty(),
            };
            (self.hash_of(index), Some(operations).filter(|_| missing.stage == Stage::Done))
        })
    }

    /// A judge of the missing row of number `index`, which is one of `view`.
    fn inspector<'a>(&'a self, index: usize, view: &'a ViewQuery, now: Timestamp) -> Inspector<'a> {
        let inspector = |invalidated_at| Inspector::new(view, self.rules(view, now).invalidated_at(invalidated_at));
        match self.missing.get(index) {
            Some(missing) => inspector(missing.invalidated_at).with_own_fetches(&missing.own_fetches),
            None => inspector(Timestamp::default()),
        }
    }

    fn rules(&self, view: &ViewQuery, now: Timestamp) -> Rules {
        Rules::new(*view.lifetimes(), self.ask.max_staleness, self.ask.consistency, now).early_by(self.early_millis)
    }
}

impl Held for Session {
    /// With what is still to come, as far as that can be told: so that what is admitted has room for it.
    fn held_bytes(&self) -> usize {
        let rows = self.found.iter().filter_map(|found| found.row.as_ref());
        let known = self.missing.iter().flat_map(|missing| missing.known.iter().chain(missing.stored.iter().flatten()));
        let reads = self.reads.iter().flatten().map(|read| &read.rows);
        let calls = self.calls.iter().flatten().map(|call| &call.rows);
        let coming = self.missing.iter().filter(|missing| missing.known.is_none() && !missing.is_settled()).count();
        let failure = if let Some(OriginFailure::ErrorResponse { body, .. }) = &self.failure { body.len() } else { 0 };
        size_of::<Session>()
            + self.ask.keys.size()
            + size_of::<LookupResult>() * self.found.capacity()
            + size_of::<Missing>() * self.missing.capacity()
            + size_of::<(usize, usize)>() * self.waiting.capacity()
            + size_of::<Option<Read>>() * self.reads.capacity()
            + size_of::<Option<Call>>() * self.calls.capacity()
            + size_of::<usize>() * reads.chain(calls).map(Vec::capacity).sum::<usize>()
            + self.is_given.capacity()
            + rows.chain(known).map(Row::share_of).sum::<usize>()
            + coming * expected_row_bytes(&self.ask)
            + failure
    }
}

/// The memory that a session is taken to need for a request, in bytes, of which so many places are missing.
pub(super) fn expected_bytes(ask: &RowQuery, places: usize, missing: usize) -> usize {
    let of_missing = size_of::<Missing>() + size_of::<(usize, usize)>() + size_of::<usize>() + expected_row_bytes(ask);
    size_of::<Session>() + ask.keys.size() + size_of::<LookupResult>() * places + of_missing * missing + ask.rows
}

/// What a row is taken to need that is not there yet, in bytes: a dozen digits for each feature, and its key.
fn expected_row_bytes(ask: &RowQuery) -> usize {
    let features = ask.features().div_ceil(ask.views.len().max(1));
    (ROW_OVERHEAD + 16 * features) * 3 / 2 + ask.keys.size() / ask.keys.len().max(1)
}

/// The place of a store among those that a missing row remembers.
fn slot(store: Tier) -> usize {
    usize::from(store == Tier::L3)
}

fn count_stale(found: &[LookupResult]) -> u32 {
    found.iter().filter(|found| found.is_stale).count() as u32
}

impl Missing {
    fn new(place: usize, known: Option<Rc<Row>>) -> Missing {
        Missing {
            place,
            stage: Stage::Next(0),
            invalidated_at: Timestamp::default(),
            own_fetches: Vec::new(),
            known,
            stored: [const { None }; MAX_STORES],
            is_asked: [false; MAX_STORES],
            is_stored_known: [false; MAX_STORES],
            is_merge_tried: [false; MAX_STORES],
            tier: None,
            is_due: false,
            is_hedged: false,
            has_landed: false,
            places: 0,
            given: 0,
        }
    }

    /// Whether the store of `tier` is to learn of it: a store learns what came from behind it.
    fn is_for(&self, tier: Tier) -> bool {
        self.stage == Stage::Done && self.tier.is_some_and(|source| source > tier)
    }

    fn is_merge_tried_for(&self, tier: Tier) -> bool {
        self.is_merge_tried.get(slot(tier)).copied().unwrap_or_default()
    }

    /// Whether a stream has given it in all its places.
    fn is_given(&self) -> bool {
        self.given >= self.places
    }

    fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Done | Stage::Failed)
    }

    /// Counts it for the stores that were asked for it.
    fn count(&self, tier_counts: &mut TierCounts) {
        for (store, _) in self.is_asked.iter().enumerate().filter(|(_, is_asked)| **is_asked) {
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
