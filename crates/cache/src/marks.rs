//! Up to when rows were written past the caches: what was fetched before such a mark is not served any more.
//!
//! A mark is a time and not a number in the keys: rows that were fetched after a write keep their keys, and need not be
//! fetched again under new ones. Marks may come in any order, since other isolates' come late; the newest counts. Invariant: the marks never take more than a bound; where they would, the older half of
//! the rows' marks becomes one of their view, which makes more invisible than it must, and never less.

use hashbrown::HashMap;

use crate::hold::{Hold, JobSettings};
use model::canonical_key_hash::canonical_key_hash;
use model::request::Writes;
use model::row::ALLOCATION;
use model::sort::sorted;
use model::time::Timestamp;

/// The most rows that are marked one by one: about 1.5 MiB.
const MAX_ROWS: usize = 50_000;

/// The most views that are marked one by one.
const MAX_VIEWS: usize = 1_000;

/// The most that their names take together, in bytes.
const MAX_NAMES: usize = 128 << 10;

/// The most memory that all marks take, in bytes: tables grow by doubling, so each may be half empty.
pub const MAX_BYTES: usize = MAX_NAMES + MAX_VIEWS * (VIEW_BYTES + ALLOCATION) + MAX_ROWS * ROW_BYTES;

/// What a view and a row take in their tables, in bytes, with what is free there.
const VIEW_BYTES: usize = 2 * (size_of::<(String, View)>() + 1) + 64;
const ROW_BYTES: usize = 2 * (size_of::<(u64, Timestamp)>() + 1);

type Rows = HashMap<u64, Timestamp, foldhash::fast::FixedState>;

#[derive(Debug, Default)]
struct View {
    /// Of all its rows.
    whole: Timestamp,
    /// Of any of its rows.
    newest: Timestamp,
    /// Of single rows, by their [`canonical_key_hash`].
    rows: Rows,
    /// Of all its rows, while jobs write some of them.
    hold: Hold,
}

impl View {
    /// Makes the older half of the rows' marks one of the whole view.
    fn condense(&mut self) {
        let times = sorted(self.rows.values().copied());
        self.whole = times.get(times.len() / 2).copied().unwrap_or_default().max(self.whole);
        self.rows.retain(|_, mark| *mark > self.whole);
        self.rows.shrink_to_fit();
    }
}

/// The marks of one project.
#[derive(Debug, Default)]
pub struct Marks {
    /// Of everything.
    all: Timestamp,
    /// Of anything.
    newest: Timestamp,
    views: HashMap<String, View, foldhash::fast::FixedState>,
    /// What the views' names take, in bytes.
    names: usize,
    /// How often marks became one of more than they were.
    condensed: u64,
    jobs: JobSettings,
    /// Of everything, while jobs write nobody knows what; and of anything.
    hold: Hold,
    any_hold: Hold,
    /// The time, for the marks that follow it.
    now: Timestamp,
}

/// The marks that concern the rows of one view in a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Floor<'a> {
    all: Timestamp,
    /// Of any row of the view.
    newest: Timestamp,
    rows: Option<&'a Rows>,
}

impl Floor<'_> {
    /// The newest mark of the row with `key`: what was fetched then or earlier is not to be served.
    #[inline]
    #[must_use]
    pub fn at(&self, key: &[u8]) -> Timestamp {
        let own = match self.rows {
            // A key that may equal any other was written when any was.
            Some(rows) => {
                canonical_key_hash(key).map_or(self.newest, |hash| rows.get(&hash).copied().unwrap_or_default())
            }
            None => Timestamp::default(),
        };
        own.max(self.all)
    }
}

impl Marks {
    /// No marks yet, where jobs are taken into account as `jobs` says.
    #[must_use]
    pub fn new(jobs: JobSettings) -> Marks {
        Marks { jobs, ..Marks::default() }
    }

    /// Has the marks of jobs follow the time.
    #[inline]
    pub fn advance(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Marks a view, or everything, that a job may write until then, beside what was marked when it was acknowledged at `at`.
    pub fn hold(&mut self, view: Option<&str>, at: Timestamp, until: Timestamp) {
        self.any_hold.extend(until);
        match view {
            Some(view) => match self.view(view, at) {
                Some(view) => view.hold.extend(until),
                None => self.hold.extend(until),
            },
            None => self.hold.extend(until),
        }
    }

    /// Marks everything at `at`.
    #[inline]
    pub fn mark_all(&mut self, at: Timestamp) {
        self.all = self.all.max(at);
        self.newest = self.newest.max(at);
        let all = self.all;
        self.views.retain(|_, view| view.newest > all || view.hold.is_beyond(all));
        self.names = self.views.keys().map(String::len).sum();
        // What was taken for many marks is given back with them.
        self.views.shrink_to_fit();
    }

    /// Marks all rows of a view.
    #[inline]
    pub fn mark_view(&mut self, view: &str, at: Timestamp) {
        if let Some(view) = self.view(view, at) {
            view.whole = view.whole.max(at);
            let whole = view.whole;
            view.rows.retain(|_, mark| *mark > whole);
            view.rows.shrink_to_fit();
        }
    }

    /// Marks single rows of a view, by the [`canonical_key_hash`]es of their keys.
    #[inline]
    pub fn mark_rows(&mut self, view: &str, hashes: &[u64], at: Timestamp) {
        if hashes.len() > MAX_ROWS / 2 {
            return self.mark_view(view, at);
        }
        while self.rows() + hashes.len() > MAX_ROWS {
            let Some(largest) = self.views.values_mut().max_by_key(|view| view.rows.len()) else { break };
            largest.condense();
            self.condensed += 1;
        }
        if let Some(view) = self.view(view, at) {
            for &hash in hashes {
                let mark = view.rows.entry(hash).or_default();
                *mark = at.max(*mark);
            }
        }
    }

    /// Puts marks back to `latest` that are later: they were made by a clock that was ahead.
    pub fn limit(&mut self, latest: Timestamp) {
        let latest_end = latest.plus(self.jobs.longest_millis);
        self.hold.limit(latest_end);
        self.any_hold.limit(latest_end);
        let limit = |at: &mut Timestamp| *at = latest.min(*at);
        limit(&mut self.all);
        limit(&mut self.newest);
        for view in self.views.values_mut() {
            limit(&mut view.whole);
            limit(&mut view.newest);
            view.hold.limit(latest_end);
            view.rows.values_mut().for_each(limit);
        }
    }

    /// The marks of a view, and a note that something of it was written at `at`; `None` where all views were marked instead.
    fn view(&mut self, view: &str, at: Timestamp) -> Option<&mut View> {
        self.newest = self.newest.max(at);
        if !self.views.contains_key(view) {
            if self.views.len() >= MAX_VIEWS || self.names + view.len() > MAX_NAMES {
                self.condensed += 1;
                self.mark_all(at);
                return None;
            }
            self.names += view.len();
        }
        let view = self.views.entry_ref(view).or_default();
        view.newest = view.newest.max(at);
        Some(view)
    }

    /// The marks that concern rows which `writes` tell of.
    #[inline]
    #[must_use]
    pub fn floor(&self, writes: &Writes) -> Floor<'_> {
        if self.newest == Timestamp::default() {
            return Floor::default();
        }
        let held = |hold: Hold| hold.mark(self.jobs.staleness_millis, self.now);
        match writes {
            Writes::Any => Floor { all: self.newest.max(held(self.any_hold)), ..Floor::default() },
            Writes::To { views, is_by_row } => {
                let mut floor = Floor { all: self.all.max(held(self.hold)), ..Floor::default() };
                // The rows of more than one view have more than one mark each, of which no list tells the newest.
                let is_by_row = *is_by_row && views.len() == 1;
                for view in views.iter().filter_map(|view| self.views.get(&**view)) {
                    floor.all = floor.all.max(if is_by_row { view.whole } else { view.newest }).max(held(view.hold));
                    floor.newest = view.newest;
                    floor.rows = Some(&view.rows).filter(|rows| is_by_row && !rows.is_empty());
                }
                floor
            }
        }
    }

    /// The memory that they take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rows = self.views.values().map(|view| view.rows.allocation_size());
        self.views.allocation_size() + self.names + rows.sum::<usize>()
    }

    /// How often marks became one of more than they were since the start, for want of room.
    #[must_use]
    pub fn condensed(&self) -> u64 {
        self.condensed
    }

    /// How many rows are marked one by one.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.views.values().map(|view| view.rows.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::key::EntityValue;

    fn to(views: &[&str], is_by_row: bool) -> Writes {
        Writes::To { views: views.iter().map(|&view| view.into()).collect(), is_by_row }
    }

    fn key(id: u64) -> Vec<u8> {
        let mut key = Vec::new();
        EntityValue::Number(&id.to_string()).encode(&mut key);
        key
    }

    fn hashes(ids: core::ops::Range<u64>) -> Vec<u64> {
        ids.map(|id| canonical_key_hash(&key(id)).unwrap()).collect()
    }

    #[test]
    fn a_write_concerns_what_is_made_of_it_and_nothing_else() {
        let mut marks = Marks::default();
        marks.mark_rows("a", &hashes(1..3), Timestamp(10));
        marks.mark_view("b", Timestamp(20));
        for (writes, id, expected) in [
            (to(&["a"], true), 1, 10),
            (to(&["a"], true), 3, 0),
            (to(&["a"], false), 3, 10),
            (to(&["b"], true), 3, 20),
            (to(&["a", "b"], false), 3, 20),
            (to(&["c"], true), 1, 0),
            (Writes::Any, 3, 20),
        ] {
            assert_eq!(marks.floor(&writes).at(&key(id)), Timestamp(expected), "{writes:?}");
        }
        marks.mark_all(Timestamp(30));
        assert_eq!(marks.floor(&to(&["c"], true)).at(&key(1)), Timestamp(30));
    }

    #[test]
    fn a_mark_that_comes_late_takes_nothing_back() {
        let mut marks = Marks::default();
        marks.mark_rows("a", &hashes(1..2), Timestamp(30));
        marks.mark_rows("a", &hashes(1..3), Timestamp(20));
        let floors = |marks: &Marks| [1, 2, 3].map(|id| marks.floor(&to(&["a"], true)).at(&key(id)).0);
        assert_eq!(floors(&marks), [30, 20, 0]);
        marks.mark_view("a", Timestamp(25));
        assert_eq!(floors(&marks), [30, 25, 25]);
        marks.mark_all(Timestamp(10));
        assert_eq!(floors(&marks), [30, 25, 25]);
        marks.mark_all(Timestamp(28));
        assert_eq!(floors(&marks), [30, 28, 28]);
        assert_eq!(marks.floor(&Writes::Any).at(&key(9)), Timestamp(30));
    }

    /// What was written, and when: all there is to know, kept without bound.
    #[derive(Default)]
    struct Written(Vec<(Option<&'static str>, Option<u64>, Timestamp)>);

    impl Written {
        /// When anything was last written that `is_meant`, by view and row; `None` stands for all of them.
        fn last(&self, is_meant: impl Fn(&str, u64) -> bool) -> Timestamp {
            let concerns = |view: Option<&str>, id: Option<u64>| {
                let mut views = VIEWS.into_iter().filter(|one| view.is_none_or(|view| view == *one));
                views.any(|view| {
                    IDS.into_iter().filter(|one| id.is_none_or(|id| id == *one)).any(|id| is_meant(view, id))
                })
            };
            let meant = self.0.iter().filter(|(view, id, _)| concerns(*view, *id));
            meant.map(|&(.., at)| at).max().unwrap_or_default()
        }
    }

    const VIEWS: [&str; 3] = ["a", "b", "c"];
    const IDS: [u64; 6] = [0, 1, 2, 3, 4, 5];

    #[test]
    fn marks_say_of_each_row_when_it_was_last_written() {
        let uncertain = |value: EntityValue<'_>| {
            let mut key = Vec::new();
            value.encode(&mut key);
            key
        };
        let uncertain = [uncertain(EntityValue::Null), uncertain(EntityValue::Text("2026-11-23"))];
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for _ in 0..300 {
            let (mut marks, mut written) = (Marks::default(), Written::default());
            for _ in 0..next(12) {
                let (view, id, at) = (VIEWS[next(3) as usize], next(5), Timestamp(1 + next(30)));
                match next(8) {
                    0 => {
                        marks.mark_all(at);
                        written.0.push((None, None, at));
                    }
                    1 | 2 => {
                        marks.mark_view(view, at);
                        written.0.push((Some(view), None, at));
                    }
                    _ => {
                        marks.mark_rows(view, &hashes(id..id + 2), at);
                        written.0.extend([id, id + 1].map(|id| (Some(view), Some(id), at)));
                    }
                }
                for view in VIEWS {
                    for id in IDS {
                        let expected = written.last(|theirs, row| theirs == view && row == id);
                        assert_eq!(marks.floor(&to(&[view], true)).at(&key(id)), expected, "{view} {id}");
                        assert_eq!(
                            marks.floor(&to(&["d", view], true)).at(&key(id)),
                            written.last(|theirs, _| theirs == view)
                        );
                    }
                    let any_row = written.last(|theirs, _| theirs == view);
                    assert_eq!(marks.floor(&to(&[view], false)).at(&key(9)), any_row);
                    // A key that may equal any other was written when any was; the marks of rows that are alone cannot be told apart.
                    for key in &uncertain {
                        assert_eq!(marks.floor(&to(&[view], true)).at(key), any_row, "{view}");
                    }
                }
                let of_two = written.last(|theirs, _| theirs != "b");
                assert_eq!(marks.floor(&to(&["a", "c"], false)).at(&key(1)), of_two);
                assert_eq!(marks.floor(&to(&["c", "a"], true)).at(&key(1)), of_two);
                assert_eq!(marks.floor(&Writes::Any).at(&key(1)), written.last(|_, _| true));
                let all = written.0.iter().filter(|(view, ..)| view.is_none()).map(|&(.., at)| at).max();
                assert_eq!(marks.floor(&to(&["d"], true)).at(&key(1)), all.unwrap_or_default());
            }
        }
    }

    #[test]
    fn a_mark_of_all_rows_takes_the_place_of_older_ones() {
        let mut marks = Marks::default();
        marks.mark_rows("a", &hashes(0..10), Timestamp(5));
        marks.mark_rows("a", &hashes(10..12), Timestamp(6));
        marks.mark_view("a", Timestamp(5));
        assert_eq!(marks.rows(), 2);
        marks.mark_view("b", Timestamp(7));
        marks.mark_all(Timestamp(6));
        assert_eq!((marks.rows(), marks.views.len()), (0, 1));
        marks.mark_all(Timestamp(7));
        assert_eq!(marks.views.len(), 0);
    }

    #[test]
    fn while_a_job_may_write_a_view_what_was_fetched_just_now_is_served_and_after_it_nothing_from_before() {
        let mut marks = Marks::new(JobSettings { longest_millis: 1_000, staleness_millis: 10 });
        marks.mark_view("a", Timestamp(100));
        marks.hold(Some("a"), Timestamp(100), Timestamp(1_100));
        let at = |marks: &mut Marks, views: &[&str], now| {
            marks.advance(Timestamp(now));
            marks.floor(&to(views, true)).at(&key(1)).0
        };
        assert_eq!(
            [100, 105, 500, 1_105, 1_110, 9_000].map(|now| at(&mut marks, &["a"], now)),
            [100, 100, 490, 1_095, 1_100, 1_100]
        );
        assert_eq!(at(&mut marks, &["b"], 500), 0, "it writes no other view");
        assert_eq!(at(&mut marks, &["b", "a"], 500), 490);
        marks.mark_all(Timestamp(200));
        assert_eq!(at(&mut marks, &["a"], 500), 490, "a mark of everything does not end it");
        assert_eq!(marks.floor(&Writes::Any).at(b""), Timestamp(490));
        marks.hold(None, Timestamp(300), Timestamp(1_300));
        assert_eq!([500, 1_300, 9_000].map(|now| at(&mut marks, &["b"], now)), [490, 1_290, 1_300]);
        marks.limit(Timestamp(50));
        assert_eq!(at(&mut marks, &["b"], 9_000), 1_050, "it ends as late as one that is acknowledged now");
        for view in 0..=MAX_VIEWS {
            marks.hold(Some(&view.to_string()), Timestamp(400), Timestamp(2_000));
        }
        assert_eq!(at(&mut marks, &["elsewhere"], 1_500), 1_490, "too many views are all");
    }

    #[test]
    fn marks_of_a_clock_that_was_ahead_are_put_back() {
        let mut marks = Marks::default();
        marks.mark_view("a", Timestamp(5));
        marks.mark_rows("a", &hashes(1..2), Timestamp(30));
        marks.mark_view("b", Timestamp(40));
        marks.limit(Timestamp(20));
        let at = |view, is_by_row, id| marks.floor(&to(&[view], is_by_row)).at(&key(id)).0;
        assert_eq!([at("a", true, 1), at("a", true, 2), at("a", false, 2), at("b", true, 1)], [20, 5, 20, 20]);
        assert_eq!(marks.floor(&Writes::Any).at(&key(1)), Timestamp(20));
        marks.mark_all(Timestamp(50));
        marks.limit(Timestamp(45));
        assert_eq!(marks.floor(&to(&["c"], true)).at(&key(1)), Timestamp(45));
    }

    #[test]
    fn of_too_many_rows_the_older_half_becomes_one_mark_of_their_view() {
        let mut marks = Marks::default();
        let mut condensed = 0;
        for round in 1..=100 {
            let before = marks.rows();
            marks.mark_rows("a", &hashes(round * 1_000..round * 1_000 + 1_000), Timestamp(round));
            assert!(marks.rows() <= MAX_ROWS);
            if marks.rows() < before {
                condensed += 1;
                assert!(
                    (MAX_ROWS * 2 / 5..=MAX_ROWS * 3 / 5).contains(&marks.rows()),
                    "half is left: {}",
                    marks.rows()
                );
            }
            // None is less than when the row was written, and that of a row never written is that of the older half.
            let floor = |id| marks.floor(&to(&["a"], true)).at(&key(id));
            for written in 1..=round {
                let at = floor(written * 1_000 + 500);
                assert!(at >= Timestamp(written), "{round}: {at:?} {written}");
                assert!(written <= round / 2 || condensed > 1 || at == Timestamp(written), "{round}: {at:?} {written}");
            }
            assert_eq!(floor(round * 1_000), Timestamp(round));
            assert!(floor(1_000_000) <= Timestamp(round - round / 4), "{round}: {:?}", floor(1_000_000));
        }
        assert!(condensed > 1);
    }

    #[test]
    fn making_room_takes_no_mark_of_the_view_back() {
        let mut marks = Marks::default();
        marks.mark_view("a", Timestamp(50));
        for ids in [0..25_000, 25_000..50_000, 50_000..51_000] {
            marks.mark_rows("a", &hashes(ids), Timestamp(10));
        }
        assert_eq!(marks.floor(&to(&["a"], true)).at(&key(99_999)), Timestamp(50));
    }

    #[test]
    fn the_view_with_the_most_rows_makes_room() {
        let mut marks = Marks::default();
        marks.mark_rows("small", &hashes(0..100), Timestamp(1));
        marks.mark_rows("large", &hashes(0..25_000), Timestamp(2));
        marks.mark_rows("large", &hashes(25_000..49_900), Timestamp(3));
        assert_eq!(marks.rows(), MAX_ROWS);
        marks.mark_rows("small", &hashes(100..200), Timestamp(4));
        assert_eq!(marks.rows(), 200 + 24_900);
        for (view, id, expected) in [
            ("small", 50, 1),
            ("small", 150, 4),
            ("small", 999, 0),
            ("large", 50, 2),
            ("large", 30_000, 3),
            ("large", 99_999, 2),
        ] {
            assert_eq!(marks.floor(&to(&[view], true)).at(&key(id)), Timestamp(expected), "{view} {id}");
        }
    }

    #[test]
    fn a_write_of_more_rows_than_half_of_the_bound_is_one_to_the_view() {
        for (rows, kept) in [(MAX_ROWS / 2, MAX_ROWS / 2), (MAX_ROWS / 2 + 1, 0)] {
            let mut marks = Marks::default();
            marks.mark_rows("a", &hashes(0..rows as u64), Timestamp(5));
            let other = Timestamp(if kept == 0 { 5 } else { 0 });
            assert_eq!((marks.rows(), marks.floor(&to(&["a"], true)).at(&key(99_999))), (kept, other));
            assert_eq!(marks.floor(&to(&["a"], true)).at(&key(0)), Timestamp(5));
        }
    }

    #[test]
    fn too_many_views_become_all() {
        let mut marks = Marks::default();
        for view in 0..=MAX_VIEWS {
            marks.mark_view(&view.to_string(), Timestamp(3));
        }
        assert_eq!(marks.views.len(), 0, "a mark of all takes the place of those of views");
        for view in 0..MAX_VIEWS {
            marks.mark_view(&view.to_string(), Timestamp(4));
        }
        assert_eq!(marks.views.len(), MAX_VIEWS);
        marks.mark_view("0", Timestamp(5));
        assert_eq!(marks.views.len(), MAX_VIEWS);
        assert_eq!(marks.floor(&to(&["elsewhere"], true)).at(&key(0)), Timestamp(3));
        marks.mark_rows("one more", &hashes(0..1), Timestamp(5));
        assert_eq!((marks.views.len(), marks.rows()), (0, 0));
        assert_eq!(marks.floor(&to(&["elsewhere"], true)).at(&key(0)), Timestamp(5));
        let mut marks = Marks::default();
        for view in 0..=MAX_VIEWS {
            marks.mark_rows(&view.to_string(), &hashes(0..1), Timestamp(3));
        }
        assert_eq!(marks.floor(&to(&["elsewhere"], true)).at(&key(0)), Timestamp(3));
        let mut marks = Marks::default();
        for view in 0..100 {
            marks.mark_view(&format!("{view}{}", "n".repeat(10_000)), Timestamp(view));
            assert!(marks.bytes() <= MAX_BYTES && marks.names <= MAX_NAMES);
        }
        assert!(marks.floor(&to(&["elsewhere"], true)).at(&key(0)) > Timestamp(80));
        marks.mark_view(&"n".repeat(16 << 20), Timestamp(200));
        assert_eq!(marks.floor(&to(&["elsewhere"], true)).at(&key(0)), Timestamp(200));
        assert!(marks.condensed() > 0);
    }
}
