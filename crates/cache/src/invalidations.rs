//! When rows were last written at the origin: a copy that was fetched then or earlier is not served.
//!
//! An invalidation is a time, not a version in the key: a row that was fetched after the write keeps its key and stays valid.
//! Invalidations may arrive in any order, since those of other isolates arrive late; the newest counts. Knows neither who wrote nor
//! where copies are. Invariant: memory is bounded. At the bound, the older half of a view's tombstones becomes one
//! invalidation of the view, which invalidates more rows than necessary, and never fewer.

use hashbrown::HashMap;

use crate::job_window::{JobSettings, JobWindow};
use model::canonical_key_hash::canonical_key_hash;
use model::request::WriteDependencies;
use model::row::ALLOCATION;
use model::sort::sorted;
use model::time::Timestamp;

/// The most tombstones of single rows: about 1.5 MiB.
const MAX_ROWS: usize = 50_000;

/// The most views with invalidations of their own.
const MAX_VIEWS: usize = 1_000;

/// The most bytes of their names.
const MAX_NAMES: usize = 128 << 10;

/// The most memory of all invalidations, in bytes: tables grow by doubling, so each may be half empty.
pub const MAX_BYTES: usize = MAX_NAMES + MAX_VIEWS * (VIEW_BYTES + ALLOCATION) + MAX_ROWS * ROW_BYTES;

/// The memory of a view and of a row in their tables, in bytes, free entries included.
const VIEW_BYTES: usize = 2 * (size_of::<(String, View)>() + 1) + 64;
const ROW_BYTES: usize = 2 * (size_of::<(u64, Timestamp)>() + 1);

/// When single rows were invalidated, by their [`canonical_key_hash`].
type Tombstones = HashMap<u64, Timestamp, foldhash::fast::FixedState>;

/// The invalidations of one view.
#[derive(Debug, Default)]
struct View {
    /// When all its rows were invalidated.
    whole: Timestamp,
    /// When any of its rows was.
    newest: Timestamp,
    tombstones: Tombstones,
    /// While jobs may write any of its rows.
    job: JobWindow,
}

impl View {
    /// Merges the older half of the tombstones into one invalidation of the view.
    fn coarsen(&mut self) {
        let times = sorted(self.tombstones.values().copied());
        self.whole = times.get(times.len() / 2).copied().unwrap_or_default().max(self.whole);
        self.tombstones.retain(|_, at| *at > self.whole);
        self.tombstones.shrink_to_fit();
    }
}

/// The invalidations of one project.
#[derive(Debug, Default)]
pub struct Invalidations {
    /// When everything was invalidated.
    all: Timestamp,
    /// When anything was.
    newest: Timestamp,
    views: HashMap<String, View, foldhash::fast::FixedState>,
    /// The bytes of the views' names.
    names: usize,
    /// How often invalidations were merged into a coarser one.
    coarsened: u64,
    jobs: JobSettings,
    /// While jobs may write rows of unknown views.
    job: JobWindow,
    /// While any job may write.
    any_job: JobWindow,
    /// The time by which job windows are evaluated.
    now: Timestamp,
}

/// The invalidations that affect the rows of one view in a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct ViewInvalidations<'a> {
    /// When all of its rows were invalidated.
    all: Timestamp,
    /// When any of its rows was.
    newest: Timestamp,
    tombstones: Option<&'a Tombstones>,
}

impl ViewInvalidations<'_> {
    /// When the row with `key` was last invalidated: a copy that was fetched then or earlier is not served.
    #[inline]
    #[must_use]
    pub fn invalidated_at(&self, key: &[u8]) -> Timestamp {
        let own = match self.tombstones {
            // A key that may equal any other counts as written whenever any row was.
            Some(rows) => {
                canonical_key_hash(key).map_or(self.newest, |hash| rows.get(&hash).copied().unwrap_or_default())
            }
            None => Timestamp::default(),
        };
        own.max(self.all)
    }
}

impl Invalidations {
    /// No invalidations yet; `jobs` are the limits of asynchronous writes.
    #[must_use]
    pub fn new(jobs: JobSettings) -> Invalidations {
        Invalidations { jobs, ..Invalidations::default() }
    }

    /// Sets the time by which job windows are evaluated.
    #[inline]
    pub fn advance(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Notes a job that was accepted at `at` and may write to a view, or to any view, until `until`. The accepted write itself is
    /// invalidated separately.
    pub fn add_job(&mut self, view: Option<&str>, at: Timestamp, until: Timestamp) {
        self.any_job.extend(until);
        match view {
            Some(view) => match self.view(view, at) {
                Some(view) => view.job.extend(until),
                None => self.job.extend(until),
            },
            None => self.job.extend(until),
        }
    }

    /// Invalidates everything that was fetched at `at` or earlier.
    #[inline]
    pub fn invalidate_all(&mut self, at: Timestamp) {
        self.all = self.all.max(at);
        self.newest = self.newest.max(at);
        let all = self.all;
        self.views.retain(|_, view| view.newest > all || view.job.ends_after(all));
        self.names = self.views.keys().map(String::len).sum();
        // Memory of many invalidations is returned with them.
        self.views.shrink_to_fit();
    }

    /// Invalidates all rows of a view.
    #[inline]
    pub fn invalidate_view(&mut self, view: &str, at: Timestamp) {
        if let Some(view) = self.view(view, at) {
            view.whole = view.whole.max(at);
            let whole = view.whole;
            view.tombstones.retain(|_, row| *row > whole);
            view.tombstones.shrink_to_fit();
        }
    }

    /// Invalidates single rows of a view, by the [`canonical_key_hash`]es of their keys.
    #[inline]
    pub fn invalidate_rows(&mut self, view: &str, hashes: &[u64], at: Timestamp) {
        if hashes.len() > MAX_ROWS / 2 {
            return self.invalidate_view(view, at);
        }
        while self.rows() + hashes.len() > MAX_ROWS {
            let Some(largest) = self.views.values_mut().max_by_key(|view| view.tombstones.len()) else { break };
            largest.coarsen();
            self.coarsened += 1;
        }
        if let Some(view) = self.view(view, at) {
            for &hash in hashes {
                let row = view.tombstones.entry(hash).or_default();
                *row = at.max(*row);
            }
        }
    }

    /// Moves invalidations that are later than `latest` back to it: a clock that was ahead made them.
    pub fn clamp(&mut self, latest: Timestamp) {
        let latest_end = latest.plus(self.jobs.longest_millis);
        self.job.clamp(latest_end);
        self.any_job.clamp(latest_end);
        let clamp = |at: &mut Timestamp| *at = latest.min(*at);
        clamp(&mut self.all);
        clamp(&mut self.newest);
        for view in self.views.values_mut() {
            clamp(&mut view.whole);
            clamp(&mut view.newest);
            view.job.clamp(latest_end);
            view.tombstones.values_mut().for_each(clamp);
        }
    }

    /// The invalidations of a view, of which something was written at `at`; `None` where there are too many views, and everything was
    /// invalidated instead.
    fn view(&mut self, view: &str, at: Timestamp) -> Option<&mut View> {
        self.newest = self.newest.max(at);
        if !self.views.contains_key(view) {
            if self.views.len() >= MAX_VIEWS || self.names + view.len() > MAX_NAMES {
                self.coarsened += 1;
                self.invalidate_all(at);
                return None;
            }
            self.names += view.len();
        }
        let view = self.views.entry_ref(view).or_default();
        view.newest = view.newest.max(at);
        Some(view)
    }

    /// The invalidations that affect rows which `writes` change.
    #[inline]
    #[must_use]
    pub fn affecting(&self, writes: &WriteDependencies) -> ViewInvalidations<'_> {
        if self.newest == Timestamp::default() {
            return ViewInvalidations::default();
        }
        let by_job = |job: JobWindow| job.invalidated_at(self.jobs.staleness_millis, self.now);
        match writes {
            WriteDependencies::Any => {
                ViewInvalidations { all: self.newest.max(by_job(self.any_job)), ..ViewInvalidations::default() }
            }
            WriteDependencies::Views { views, is_by_row } => {
                let mut found =
                    ViewInvalidations { all: self.all.max(by_job(self.job)), ..ViewInvalidations::default() };
                // A row of several views has a tombstone in each of them, so the newest of each view counts.
                let is_by_row = *is_by_row && views.len() == 1;
                for view in views.iter().filter_map(|view| self.views.get(&**view)) {
                    found.all = found.all.max(if is_by_row { view.whole } else { view.newest }).max(by_job(view.job));
                    found.newest = view.newest;
                    found.tombstones = Some(&view.tombstones).filter(|rows| is_by_row && !rows.is_empty());
                }
                found
            }
        }
    }

    /// The memory of all invalidations, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rows = self.views.values().map(|view| view.tombstones.allocation_size());
        self.views.allocation_size() + self.names + rows.sum::<usize>()
    }

    /// How often invalidations were merged into a coarser one since the start, because memory is bounded.
    #[must_use]
    pub fn coarsened(&self) -> u64 {
        self.coarsened
    }

    /// How many rows have a tombstone.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.views.values().map(|view| view.tombstones.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::key::EntityValue;

    fn to(views: &[&str], is_by_row: bool) -> WriteDependencies {
        WriteDependencies::Views { views: views.iter().map(|&view| view.into()).collect(), is_by_row }
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
    fn a_write_invalidates_what_depends_on_it_and_nothing_else() {
        let mut invalidations = Invalidations::default();
        invalidations.invalidate_rows("a", &hashes(1..3), Timestamp(10));
        invalidations.invalidate_view("b", Timestamp(20));
        for (writes, id, expected) in [
            (to(&["a"], true), 1, 10),
            (to(&["a"], true), 3, 0),
            (to(&["a"], false), 3, 10),
            (to(&["b"], true), 3, 20),
            (to(&["a", "b"], false), 3, 20),
            (to(&["c"], true), 1, 0),
            (WriteDependencies::Any, 3, 20),
        ] {
            assert_eq!(invalidations.affecting(&writes).invalidated_at(&key(id)), Timestamp(expected), "{writes:?}");
        }
        invalidations.invalidate_all(Timestamp(30));
        assert_eq!(invalidations.affecting(&to(&["c"], true)).invalidated_at(&key(1)), Timestamp(30));
    }

    #[test]
    fn a_late_invalidation_moves_no_time_back() {
        let mut invalidations = Invalidations::default();
        invalidations.invalidate_rows("a", &hashes(1..2), Timestamp(30));
        invalidations.invalidate_rows("a", &hashes(1..3), Timestamp(20));
        let times = |invalidations: &Invalidations| {
            [1, 2, 3].map(|id| invalidations.affecting(&to(&["a"], true)).invalidated_at(&key(id)).0)
        };
        assert_eq!(times(&invalidations), [30, 20, 0]);
        invalidations.invalidate_view("a", Timestamp(25));
        assert_eq!(times(&invalidations), [30, 25, 25]);
        invalidations.invalidate_all(Timestamp(10));
        assert_eq!(times(&invalidations), [30, 25, 25]);
        invalidations.invalidate_all(Timestamp(28));
        assert_eq!(times(&invalidations), [30, 28, 28]);
        assert_eq!(invalidations.affecting(&WriteDependencies::Any).invalidated_at(&key(9)), Timestamp(30));
    }

    /// All writes and their times, without bound.
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
    fn each_row_is_invalidated_when_it_was_last_written() {
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
            let (mut invalidations, mut written) = (Invalidations::default(), Written::default());
            for _ in 0..next(12) {
                let (view, id, at) = (VIEWS[next(3) as usize], next(5), Timestamp(1 + next(30)));
                match next(8) {
                    0 => {
                        invalidations.invalidate_all(at);
                        written.0.push((None, None, at));
                    }
                    1 | 2 => {
                        invalidations.invalidate_view(view, at);
                        written.0.push((Some(view), None, at));
                    }
                    _ => {
                        invalidations.invalidate_rows(view, &hashes(id..id + 2), at);
                        written.0.extend([id, id + 1].map(|id| (Some(view), Some(id), at)));
                    }
                }
                for view in VIEWS {
                    for id in IDS {
                        let expected = written.last(|theirs, row| theirs == view && row == id);
                        assert_eq!(
                            invalidations.affecting(&to(&[view], true)).invalidated_at(&key(id)),
                            expected,
                            "{view} {id}"
                        );
                        assert_eq!(
                            invalidations.affecting(&to(&["d", view], true)).invalidated_at(&key(id)),
                            written.last(|theirs, _| theirs == view)
                        );
                    }
                    let any_row = written.last(|theirs, _| theirs == view);
                    assert_eq!(invalidations.affecting(&to(&[view], false)).invalidated_at(&key(9)), any_row);
                    // A key that may equal any other counts as written whenever any row was.
                    for key in &uncertain {
                        assert_eq!(invalidations.affecting(&to(&[view], true)).invalidated_at(key), any_row, "{view}");
                    }
                }
                let of_two = written.last(|theirs, _| theirs != "b");
                assert_eq!(invalidations.affecting(&to(&["a", "c"], false)).invalidated_at(&key(1)), of_two);
                assert_eq!(invalidations.affecting(&to(&["c", "a"], true)).invalidated_at(&key(1)), of_two);
                assert_eq!(
                    invalidations.affecting(&WriteDependencies::Any).invalidated_at(&key(1)),
                    written.last(|_, _| true)
                );
                let all = written.0.iter().filter(|(view, ..)| view.is_none()).map(|&(.., at)| at).max();
                assert_eq!(invalidations.affecting(&to(&["d"], true)).invalidated_at(&key(1)), all.unwrap_or_default());
            }
        }
    }

    #[test]
    fn an_invalidation_of_all_rows_replaces_older_tombstones() {
        let mut invalidations = Invalidations::default();
        invalidations.invalidate_rows("a", &hashes(0..10), Timestamp(5));
        invalidations.invalidate_rows("a", &hashes(10..12), Timestamp(6));
        invalidations.invalidate_view("a", Timestamp(5));
        assert_eq!(invalidations.rows(), 2);
        invalidations.invalidate_view("b", Timestamp(7));
        invalidations.invalidate_all(Timestamp(6));
        assert_eq!((invalidations.rows(), invalidations.views.len()), (0, 1));
        invalidations.invalidate_all(Timestamp(7));
        assert_eq!(invalidations.views.len(), 0);
    }

    #[test]
    fn while_a_job_may_write_a_view_what_was_fetched_just_now_is_served_and_after_it_nothing_from_before() {
        let mut invalidations = Invalidations::new(JobSettings { longest_millis: 1_000, staleness_millis: 10 });
        invalidations.invalidate_view("a", Timestamp(100));
        invalidations.add_job(Some("a"), Timestamp(100), Timestamp(1_100));
        let at = |invalidations: &mut Invalidations, views: &[&str], now| {
            invalidations.advance(Timestamp(now));
            invalidations.affecting(&to(views, true)).invalidated_at(&key(1)).0
        };
        assert_eq!(
            [100, 105, 500, 1_105, 1_110, 9_000].map(|now| at(&mut invalidations, &["a"], now)),
            [100, 100, 490, 1_095, 1_100, 1_100]
        );
        assert_eq!(at(&mut invalidations, &["b"], 500), 0, "it writes no other view");
        assert_eq!(at(&mut invalidations, &["b", "a"], 500), 490);
        invalidations.invalidate_all(Timestamp(200));
        assert_eq!(at(&mut invalidations, &["a"], 500), 490, "an invalidation of everything does not end it");
        assert_eq!(invalidations.affecting(&WriteDependencies::Any).invalidated_at(b""), Timestamp(490));
        invalidations.add_job(None, Timestamp(300), Timestamp(1_300));
        assert_eq!([500, 1_300, 9_000].map(|now| at(&mut invalidations, &["b"], now)), [490, 1_290, 1_300]);
        invalidations.clamp(Timestamp(50));
        assert_eq!(at(&mut invalidations, &["b"], 9_000), 1_050, "it ends as late as one that is acknowledged now");
        for view in 0..=MAX_VIEWS {
            invalidations.add_job(Some(&view.to_string()), Timestamp(400), Timestamp(2_000));
        }
        assert_eq!(at(&mut invalidations, &["elsewhere"], 1_500), 1_490, "too many views are all");
    }

    #[test]
    fn invalidations_of_a_clock_that_was_ahead_are_clamped() {
        let mut invalidations = Invalidations::default();
        invalidations.invalidate_view("a", Timestamp(5));
        invalidations.invalidate_rows("a", &hashes(1..2), Timestamp(30));
        invalidations.invalidate_view("b", Timestamp(40));
        invalidations.clamp(Timestamp(20));
        let at = |view, is_by_row, id| invalidations.affecting(&to(&[view], is_by_row)).invalidated_at(&key(id)).0;
        assert_eq!([at("a", true, 1), at("a", true, 2), at("a", false, 2), at("b", true, 1)], [20, 5, 20, 20]);
        assert_eq!(invalidations.affecting(&WriteDependencies::Any).invalidated_at(&key(1)), Timestamp(20));
        invalidations.invalidate_all(Timestamp(50));
        invalidations.clamp(Timestamp(45));
        assert_eq!(invalidations.affecting(&to(&["c"], true)).invalidated_at(&key(1)), Timestamp(45));
    }

    #[test]
    fn of_too_many_tombstones_the_older_half_becomes_an_invalidation_of_the_view() {
        let mut invalidations = Invalidations::default();
        let mut coarsened = 0;
        for round in 1..=100 {
            let before = invalidations.rows();
            invalidations.invalidate_rows("a", &hashes(round * 1_000..round * 1_000 + 1_000), Timestamp(round));
            assert!(invalidations.rows() <= MAX_ROWS);
            if invalidations.rows() < before {
                coarsened += 1;
                assert!(
                    (MAX_ROWS * 2 / 5..=MAX_ROWS * 3 / 5).contains(&invalidations.rows()),
                    "half is left: {}",
                    invalidations.rows()
                );
            }
            // None is earlier than the row's write; a row that was never written has the time of the older half.
            let invalidated_at = |id| invalidations.affecting(&to(&["a"], true)).invalidated_at(&key(id));
            for written in 1..=round {
                let at = invalidated_at(written * 1_000 + 500);
                assert!(at >= Timestamp(written), "{round}: {at:?} {written}");
                assert!(written <= round / 2 || coarsened > 1 || at == Timestamp(written), "{round}: {at:?} {written}");
            }
            assert_eq!(invalidated_at(round * 1_000), Timestamp(round));
            assert!(
                invalidated_at(1_000_000) <= Timestamp(round - round / 4),
                "{round}: {:?}",
                invalidated_at(1_000_000)
            );
        }
        assert!(coarsened > 1);
    }

    #[test]
    fn coarsening_moves_no_invalidation_of_the_view_back() {
        let mut invalidations = Invalidations::default();
        invalidations.invalidate_view("a", Timestamp(50));
        for ids in [0..25_000, 25_000..50_000, 50_000..51_000] {
            invalidations.invalidate_rows("a", &hashes(ids), Timestamp(10));
        }
        assert_eq!(invalidations.affecting(&to(&["a"], true)).invalidated_at(&key(99_999)), Timestamp(50));
    }

    #[test]
    fn the_view_with_the_most_tombstones_is_coarsened() {
        let mut invalidations = Invalidations::default();
        invalidations.invalidate_rows("small", &hashes(0..100), Timestamp(1));
        invalidations.invalidate_rows("large", &hashes(0..25_000), Timestamp(2));
        invalidations.invalidate_rows("large", &hashes(25_000..49_900), Timestamp(3));
        assert_eq!(invalidations.rows(), MAX_ROWS);
        invalidations.invalidate_rows("small", &hashes(100..200), Timestamp(4));
        assert_eq!(invalidations.rows(), 200 + 24_900);
        for (view, id, expected) in [
            ("small", 50, 1),
            ("small", 150, 4),
            ("small", 999, 0),
            ("large", 50, 2),
            ("large", 30_000, 3),
            ("large", 99_999, 2),
        ] {
            assert_eq!(
                invalidations.affecting(&to(&[view], true)).invalidated_at(&key(id)),
                Timestamp(expected),
                "{view} {id}"
            );
        }
    }

    #[test]
    fn a_write_of_more_rows_than_half_the_bound_invalidates_the_view() {
        for (rows, kept) in [(MAX_ROWS / 2, MAX_ROWS / 2), (MAX_ROWS / 2 + 1, 0)] {
            let mut invalidations = Invalidations::default();
            invalidations.invalidate_rows("a", &hashes(0..rows as u64), Timestamp(5));
            let other = Timestamp(if kept == 0 { 5 } else { 0 });
            assert_eq!(
                (invalidations.rows(), invalidations.affecting(&to(&["a"], true)).invalidated_at(&key(99_999))),
                (kept, other)
            );
            assert_eq!(invalidations.affecting(&to(&["a"], true)).invalidated_at(&key(0)), Timestamp(5));
        }
    }

    #[test]
    fn an_invalidation_of_too_many_views_is_one_of_all() {
        let mut invalidations = Invalidations::default();
        for view in 0..=MAX_VIEWS {
            invalidations.invalidate_view(&view.to_string(), Timestamp(3));
        }
        assert_eq!(invalidations.views.len(), 0, "an invalidation of all replaces those of views");
        for view in 0..MAX_VIEWS {
            invalidations.invalidate_view(&view.to_string(), Timestamp(4));
        }
        assert_eq!(invalidations.views.len(), MAX_VIEWS);
        invalidations.invalidate_view("0", Timestamp(5));
        assert_eq!(invalidations.views.len(), MAX_VIEWS);
        assert_eq!(invalidations.affecting(&to(&["elsewhere"], true)).invalidated_at(&key(0)), Timestamp(3));
        invalidations.invalidate_rows("one more", &hashes(0..1), Timestamp(5));
        assert_eq!((invalidations.views.len(), invalidations.rows()), (0, 0));
        assert_eq!(invalidations.affecting(&to(&["elsewhere"], true)).invalidated_at(&key(0)), Timestamp(5));
        let mut invalidations = Invalidations::default();
        for view in 0..=MAX_VIEWS {
            invalidations.invalidate_rows(&view.to_string(), &hashes(0..1), Timestamp(3));
        }
        assert_eq!(invalidations.affecting(&to(&["elsewhere"], true)).invalidated_at(&key(0)), Timestamp(3));
        let mut invalidations = Invalidations::default();
        for view in 0..100 {
            invalidations.invalidate_view(&format!("{view}{}", "n".repeat(10_000)), Timestamp(view));
            assert!(invalidations.bytes() <= MAX_BYTES && invalidations.names <= MAX_NAMES);
        }
        assert!(invalidations.affecting(&to(&["elsewhere"], true)).invalidated_at(&key(0)) > Timestamp(80));
        invalidations.invalidate_view(&"n".repeat(16 << 20), Timestamp(200));
        assert_eq!(invalidations.affecting(&to(&["elsewhere"], true)).invalidated_at(&key(0)), Timestamp(200));
        assert!(invalidations.coarsened() > 0);
    }
}
