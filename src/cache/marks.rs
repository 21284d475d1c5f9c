//! Up to when rows were written past the caches: what was fetched before such a mark is not served any more.
//!
//! A mark is a time and not a number in the keys: rows that were fetched after a write keep their keys, and need not be
//! fetched again under new ones. Marks may come in any order, since other isolates' come late; the newest counts. Invariant: the marks never take more than a bound; where they would, the older half of
//! the rows' marks becomes one of their view, which makes more invisible than it must, and never less.

use hashbrown::HashMap;

use model::canonical_key_hash::canonical_key_hash;
use model::order::sorted;
use model::request::Writes;
use model::time::Instant;

/// The most rows that are marked one by one: about 1.5 MiB.
const MAX_ROWS: usize = 50_000;

/// The most views that are marked one by one.
const MAX_VIEWS: usize = 1_000;

type Rows = HashMap<u64, Instant, foldhash::fast::FixedState>;

#[derive(Debug, Default)]
struct View {
    /// Of all its rows.
    whole: Instant,
    /// Of any of its rows.
    newest: Instant,
    /// Of single rows, by their [`canonical_key_hash`].
    rows: Rows,
}

impl View {
    /// Makes the older half of the rows' marks one of the whole view.
    fn condense(&mut self) {
        let times = sorted(self.rows.values().copied());
        self.whole = times.get(times.len() / 2).copied().unwrap_or_default().max(self.whole);
        self.rows.retain(|_, mark| *mark > self.whole);
    }
}

/// The marks of one project.
#[derive(Debug, Default)]
pub struct Marks {
    /// Of everything.
    all: Instant,
    /// Of anything.
    newest: Instant,
    views: HashMap<String, View, foldhash::fast::FixedState>,
}

/// The marks that concern the rows of one view in a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Floor<'a> {
    all: Instant,
    /// Of any row of the view.
    newest: Instant,
    rows: Option<&'a Rows>,
}

impl Floor<'_> {
    /// The newest mark of the row with `key`: what was fetched then or earlier is not to be served.
    #[inline]
    #[must_use]
    pub fn at(&self, key: &[u8]) -> Instant {
        let own = match self.rows {
            // A key that may equal any other was written when any was.
            Some(rows) => {
                canonical_key_hash(key).map_or(self.newest, |hash| rows.get(&hash).copied().unwrap_or_default())
            }
            None => Instant::default(),
        };
        own.max(self.all)
    }
}

impl Marks {
    /// Marks everything at `at`.
    #[inline]
    pub fn mark_all(&mut self, at: Instant) {
        self.all = self.all.max(at);
        self.newest = self.newest.max(at);
        let all = self.all;
        self.views.retain(|_, view| view.newest > all);
    }

    /// Marks all rows of a view.
    #[inline]
    pub fn mark_view(&mut self, view: &str, at: Instant) {
        if let Some(view) = self.view(view, at) {
            view.whole = view.whole.max(at);
            let whole = view.whole;
            view.rows.retain(|_, mark| *mark > whole);
        }
    }

    /// Marks single rows of a view, by the [`canonical_key_hash`]es of their keys.
    #[inline]
    pub fn mark_rows(&mut self, view: &str, hashes: &[u64], at: Instant) {
        if hashes.len() > MAX_ROWS / 2 {
            return self.mark_view(view, at);
        }
        while self.rows() + hashes.len() > MAX_ROWS {
            let Some(largest) = self.views.values_mut().max_by_key(|view| view.rows.len()) else { break };
            largest.condense();
        }
        if let Some(view) = self.view(view, at) {
            for &hash in hashes {
                let mark = view.rows.entry(hash).or_default();
                *mark = at.max(*mark);
            }
        }
    }

    /// The marks of a view, and a note that something of it was written at `at`; `None` where all views were marked instead.
    fn view(&mut self, view: &str, at: Instant) -> Option<&mut View> {
        self.newest = self.newest.max(at);
        if self.views.len() >= MAX_VIEWS && !self.views.contains_key(view) {
            self.mark_all(at);
            return None;
        }
        let view = self.views.entry_ref(view).or_default();
        view.newest = view.newest.max(at);
        Some(view)
    }

    /// The marks that concern rows which `writes` tell of.
    #[inline]
    #[must_use]
    pub fn floor(&self, writes: &Writes) -> Floor<'_> {
        if self.newest == Instant::default() {
            return Floor::default();
        }
        match writes {
            Writes::Any => Floor { all: self.newest, ..Floor::default() },
            Writes::To { views, is_by_row } => {
                let mut floor = Floor { all: self.all, ..Floor::default() };
                // The rows of more than one view have more than one mark each, of which no list tells the newest.
                let is_by_row = *is_by_row && views.len() == 1;
                for view in views.iter().filter_map(|view| self.views.get(&**view)) {
                    floor.all = floor.all.max(if is_by_row { view.whole } else { view.newest });
                    floor.newest = view.newest;
                    floor.rows = Some(&view.rows).filter(|rows| is_by_row && !rows.is_empty());
                }
                floor
            }
        }
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
        marks.mark_rows("a", &hashes(1..3), Instant(10));
        marks.mark_view("b", Instant(20));
        for (writes, id, expected) in [
            (to(&["a"], true), 1, 10),
            (to(&["a"], true), 3, 0),
            (to(&["a"], false), 3, 10),
            (to(&["b"], true), 3, 20),
            (to(&["a", "b"], false), 3, 20),
            (to(&["c"], true), 1, 0),
            (Writes::Any, 3, 20),
        ] {
            assert_eq!(marks.floor(&writes).at(&key(id)), Instant(expected), "{writes:?}");
        }
        marks.mark_all(Instant(30));
        assert_eq!(marks.floor(&to(&["c"], true)).at(&key(1)), Instant(30));
    }

    #[test]
    fn a_mark_that_comes_late_takes_nothing_back() {
        let mut marks = Marks::default();
        marks.mark_rows("a", &hashes(1..2), Instant(30));
        marks.mark_rows("a", &hashes(1..3), Instant(20));
        let floors = |marks: &Marks| [1, 2, 3].map(|id| marks.floor(&to(&["a"], true)).at(&key(id)).0);
        assert_eq!(floors(&marks), [30, 20, 0]);
        marks.mark_view("a", Instant(25));
        assert_eq!(floors(&marks), [30, 25, 25]);
        marks.mark_all(Instant(10));
        assert_eq!(floors(&marks), [30, 25, 25]);
        marks.mark_all(Instant(28));
        assert_eq!(floors(&marks), [30, 28, 28]);
        assert_eq!(marks.floor(&Writes::Any).at(&key(9)), Instant(30));
    }

    #[test]
    fn of_too_many_rows_the_older_half_becomes_one_mark_of_their_view() {
        let mut marks = Marks::default();
        for round in 0..100 {
            marks.mark_rows("a", &hashes(round * 1_000..round * 1_000 + 1_000), Instant(round));
            assert!(marks.rows() <= MAX_ROWS);
        }
        let floor = |id| marks.floor(&to(&["a"], true)).at(&key(id));
        assert_eq!(floor(99_500), Instant(99));
        assert_eq!(floor(95_500), Instant(95));
        assert!(floor(500) >= Instant(0) && floor(1_000_000) < Instant(90), "{:?}", floor(1_000_000));
        let mut marks = Marks::default();
        marks.mark_rows("a", &hashes(0..30_000), Instant(5));
        assert_eq!((marks.rows(), marks.floor(&to(&["a"], true)).at(&key(99_999))), (0, Instant(5)));
    }

    #[test]
    fn too_many_views_become_all() {
        let mut marks = Marks::default();
        for view in 0..2_000 {
            marks.mark_view(&view.to_string(), Instant(3));
        }
        assert!(marks.views.len() <= MAX_VIEWS);
        assert_eq!(marks.floor(&to(&["elsewhere"], true)).at(&key(0)), Instant(3));
    }
}
