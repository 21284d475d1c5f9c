//! One request's way past L1: one bulk read for each hundred rows, one call to the origin for the rest, the answer.
//!
//! Refuses to know how reads and calls are done. Invariant: a missing row is looked for once, however often the request
//! repeats its entity, and what was found of it in a higher tier is completed, never thrown away.

use std::rc::Rc;

use hashbrown::HashMap;

use crate::cache::freshness::{Freshness, Rules};
use crate::engine::lookup::{self, Inspector};
use crate::engine::{Fetch, KEYS_PER_READ, Order, StoreSettings};
use crate::model::answer::{Answer, Found, OriginFailure, Tally, Tier};
use crate::model::interner::Interner;
use crate::model::key::StoreKey;
use crate::model::order::sorted;
use crate::model::request::{Ask, Columns, Consistency, ViewAsk};
use crate::model::row::Row;
use crate::model::time::Instant;

/// A row that L1 could not supply, wherever in the request it stands.
#[derive(Debug)]
struct Missing {
    /// The first place that asks for it.
    place: usize,
    /// What is known of it so far.
    known: Option<Rc<Row>>,
    /// What L2 holds of it.
    stored: Option<Rc<Row>>,
    /// Who completed it.
    tier: Option<Tier>,
    /// Whether the origin gave something that L2 does not hold.
    is_changed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Reading,
    Fetching,
    Ending,
}

/// A request that waits for I/O.
#[derive(Debug)]
pub(super) struct Session {
    ask: Ask,
    found: Vec<Found>,
    missing: Vec<Missing>,
    /// For each place that L1 did not answer: the place, and which of the missing rows it waits for.
    waiting: Vec<(usize, usize)>,
    /// For each bulk read under way, the missing rows that it is for.
    batches: Vec<Option<Vec<usize>>>,
    phase: Phase,
    tally: Tally,
    failure: Option<OriginFailure>,
    /// The places that the call to the origin is for, and which missing row each is.
    fetching: HashMap<usize, usize, foldhash::fast::FixedState>,
}

impl Session {
    /// Begins with what L1 left open, and the first orders.
    pub(super) fn begin(
        ask: Ask,
        found: Vec<Found>,
        tally: Tally,
        l2: Option<&StoreSettings>,
        now: Instant,
    ) -> (Session, Vec<Order>) {
        let mut missing: Vec<Missing> = Vec::new();
        let mut waiting = Vec::new();
        let mut known: HashMap<(u64, usize), usize, foldhash::fast::FixedState> = HashMap::default();
        for (place, found) in found.iter().enumerate().filter(|(_, found)| found.is_stale) {
            let view = place.checked_div(ask.rows).unwrap_or_default();
            let (key, hash) = ask.keys.at(place);
            let twin = known
                .get(&(hash, view))
                .copied()
                .filter(|&twin| missing.get(twin).is_some_and(|missing| ask.keys.at(missing.place).0 == key));
            let index = twin.unwrap_or_else(|| {
                let row = found.row.clone();
                missing.push(Missing { place, known: row, stored: None, tier: None, is_changed: false });
                known.insert((hash, view), missing.len() - 1);
                missing.len() - 1
            });
            waiting.push((place, index));
        }
        let mut session = Session {
            ask,
            found,
            missing,
            waiting,
            batches: Vec::new(),
            phase: Phase::Reading,
            tally,
            failure: None,
            fetching: HashMap::default(),
        };
        let orders = match l2 {
            Some(l2) if session.ask.consistency != Consistency::Strong => session.reads(l2),
            _ => session.next_fetch(now).map(Order::Fetch).into_iter().collect(),
        };
        (session, orders)
    }

    fn reads(&mut self, l2: &StoreSettings) -> Vec<Order> {
        let indexes: Vec<usize> = (0..self.missing.len()).collect();
        let mut orders = Vec::new();
        for batch in indexes.chunks(KEYS_PER_READ) {
            let key = |&index: &usize| {
                let (view, key, _) = self.key_of(index)?;
                Some(StoreKey::new(&l2.key_prefix, view.space(), key))
            };
            let keys = batch.iter().filter_map(key).collect();
            orders.push(Order::Read { batch: self.batches.len() as u32, keys });
            self.batches.push(Some(batch.to_vec()));
        }
        orders
    }

    pub(super) fn ask(&self) -> &Ask {
        &self.ask
    }

    /// The view, key and hash of a missing row.
    pub(super) fn key_of(&self, missing: usize) -> Option<(&ViewAsk, &[u8], u64)> {
        self.ask.place(self.missing.get(missing)?.place)
    }

    /// Ends a bulk read: the missing rows that it was for, once.
    pub(super) fn take_batch(&mut self, batch: u32) -> Option<Vec<usize>> {
        self.batches.get_mut(batch as usize)?.take()
    }

    pub(super) fn is_reading(&self) -> bool {
        self.phase == Phase::Reading && self.batches.iter().any(Option::is_some)
    }

    pub(super) fn is_fetching(&self) -> bool {
        self.phase == Phase::Fetching
    }

    /// Learns what L2 holds of a missing row; what is known of it now.
    pub(super) fn learn_stored(
        &mut self,
        index: usize,
        row: Rc<Row>,
        interner: &mut Interner,
        now: Instant,
    ) -> Rc<Row> {
        let rules = self.missing.get(index).and_then(|missing| self.rules(missing.place, now));
        let Some(missing) = self.missing.get_mut(index) else { return row };
        missing.stored = Some(Rc::clone(&row));
        let known = match &missing.known {
            Some(known) => Rc::new(known.merge(&row).sharing(interner)),
            None => row,
        };
        missing.known = Some(Rc::clone(&known));
        let view = missing.place.checked_div(self.ask.rows).and_then(|view| self.ask.views.get(view));
        if let (Some(view), Some(rules)) = (view, rules)
            && Inspector::new(view, rules).is_complete_and_fresh(&known)
        {
            missing.tier = Some(Tier::L2);
        }
        known
    }

    /// Learns what the origin gave for the row at `place`; its hash and what is known of it now, for L1.
    pub(super) fn learn_fetched(
        &mut self,
        place: usize,
        row: Row,
        interner: &mut Interner,
        now: Instant,
    ) -> Option<(u64, Rc<Row>)> {
        if !self.ask.is_answered_by(place, &row) {
            return None;
        }
        let (view, _, hash) = self.ask.place(place)?;
        let is_whole = matches!(view.columns(), Columns::All);
        let rules = self.rules(place, now)?;
        let missing = self.missing.get_mut(*self.fetching.get(&place)?)?;
        let known = match &missing.known {
            // A feature service is fetched as a whole, so nothing of an older row is worth keeping.
            Some(known) if !is_whole => {
                let merged = known.merge(&row).retain(|_, cell| rules.judge(cell) != Freshness::Expired);
                Rc::new(merged.sharing(interner))
            }
            _ => Rc::new(row),
        };
        // Writing what the store already says, and will go on saying for a while, is money for nothing.
        missing.is_changed = !missing.stored.as_ref().is_some_and(|stored| {
            stored.has_same_content(&known)
                && stored.uniform_cell().is_some_and(|cell| rules.judge(cell) == Freshness::Fresh)
        });
        missing.known = Some(Rc::clone(&known));
        missing.tier = Some(Tier::Origin);
        Some((hash, known))
    }

    /// Ends the call to the origin.
    pub(super) fn end_fetch(&mut self, failure: Option<OriginFailure>) {
        self.failure = failure;
        self.phase = Phase::Ending;
    }

    /// What the origin must still be asked, once; after that, nothing.
    pub(super) fn next_fetch(&mut self, now: Instant) -> Option<Fetch> {
        if !self.fetching.is_empty() {
            return None;
        }
        self.settle_members();
        let mut fetch = Fetch::default();
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
        for (index, missing) in self.missing.iter().enumerate().filter(|(_, missing)| missing.tier.is_none()) {
            let view = missing.place.checked_div(self.ask.rows).unwrap_or_default();
            let Some((ask, columns)) = self.ask.views.get(view).zip(columns.get_mut(view)) else { continue };
            let rules = Rules::new(*ask.lifetimes(), self.ask.max_staleness, self.ask.consistency, now);
            match &missing.known {
                Some(known) if self.ask.consistency != Consistency::Strong => {
                    let judged = Inspector::new(ask, rules).judge_columns(known);
                    for (is_missing, freshness) in columns.iter_mut().zip(judged) {
                        *is_missing |= freshness != Freshness::Fresh;
                    }
                }
                _ => columns.fill(true),
            }
            if let Some(is_missing) = is_view_missing.get_mut(view) {
                *is_missing = true;
            }
            fetch.rows.push(missing.place.checked_rem(self.ask.rows).unwrap_or_default());
            fetch.places.push(missing.place);
            self.fetching.insert(missing.place, index);
        }
        if fetch.places.is_empty() {
            return None;
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
        self.phase = Phase::Fetching;
        self.tally.compute_requests += 1;
        Some(fetch)
    }

    /// The answer, and the rows that L2 should learn of.
    pub(super) fn finish(mut self, now: Instant) -> (Ask, Answer, Vec<Rc<Row>>) {
        let mut servable: Vec<(Option<Rc<Row>>, bool)> = Vec::with_capacity(self.missing.len());
        for missing in &self.missing {
            servable.push(match (&missing.known, missing.tier) {
                (Some(known), Some(_)) => (Some(Rc::clone(known)), false),
                (Some(known), _) => self.reduce(missing.place, known, now),
                (None, _) => (None, false),
            });
        }
        let did_read = !self.batches.is_empty();
        for &(place, index) in &self.waiting {
            let Some((missing, (row, is_stale))) = self.missing.get(index).zip(servable.get(index)) else { continue };
            let is_from_l2 = missing.tier == Some(Tier::L2);
            if did_read {
                let counter = if is_from_l2 { &mut self.tally.l2_hits } else { &mut self.tally.l2_misses };
                *counter += 1;
            }
            if missing.tier.is_none() {
                self.tally.missing += 1;
            }
            if let Some(found) = self.found.get_mut(place) {
                let tier = missing.tier.unwrap_or(if missing.stored.is_some() { Tier::L2 } else { Tier::L1 });
                *found = Found { row: row.clone(), tier, is_stale: *is_stale };
            }
        }
        let changed = self.missing.into_iter().filter(|missing| missing.is_changed).filter_map(|missing| missing.known);
        (self.ask, Answer { found: self.found, tally: self.tally, failure: self.failure }, changed.collect())
    }

    /// What may be served of a row that nobody completed, and whether some of that is stale.
    fn reduce(&self, place: usize, known: &Rc<Row>, now: Instant) -> (Option<Rc<Row>>, bool) {
        let Some(rules) = self.rules(place, now) else { return (None, false) };
        let mut is_stale = false;
        let row = known.retain(|_, cell| {
            let freshness = rules.judge(cell);
            is_stale |= freshness == Freshness::Stale;
            freshness != Freshness::Expired
        });
        (!row.schema().features().is_empty()).then(|| Rc::new(row)).map_or((None, false), |row| (Some(row), is_stale))
    }

    /// Of a feature service's rows, those that lack a member which a newer row has are not complete after all.
    fn settle_members(&mut self) {
        let is_whole = |view: &ViewAsk| matches!(view.columns(), Columns::All);
        for (number, _) in self.ask.views.iter().enumerate().filter(|(_, view)| is_whole(view)) {
            let places = number * self.ask.rows..(number + 1) * self.ask.rows;
            let mut rows: Vec<Found> = self.found.get(places.clone()).unwrap_or_default().to_vec();
            for &(place, index) in self.waiting.iter().filter(|(place, _)| places.contains(place)) {
                if let Some((found, missing)) = rows.get_mut(place - places.start).zip(self.missing.get(index)) {
                    *found = Found { row: missing.known.clone(), tier: Tier::L2, is_stale: missing.tier.is_none() };
                }
            }
            if lookup::retire_former_members(&mut rows) == 0 {
                continue;
            }
            for (offset, found) in rows.into_iter().enumerate().filter(|(_, found)| found.is_stale) {
                let place = places.start + offset;
                match self.waiting.iter().find(|&&(waiting, _)| waiting == place) {
                    Some(&(_, index)) => {
                        if let Some(missing) = self.missing.get_mut(index) {
                            missing.tier = None;
                        }
                    }
                    None => {
                        self.tally.l1_hits = self.tally.l1_hits.saturating_sub(1);
                        self.tally.l1_misses += 1;
                        self.waiting.push((place, self.missing.len()));
                        self.missing.push(Missing {
                            place,
                            known: found.row,
                            stored: None,
                            tier: None,
                            is_changed: false,
                        });
                    }
                }
            }
        }
    }

    fn rules(&self, place: usize, now: Instant) -> Option<Rules> {
        let (view, ..) = self.ask.place(place)?;
        Some(Rules::new(*view.lifetimes(), self.ask.max_staleness, self.ask.consistency, now))
    }
}
