//! What a write invalidates.
//!
//! It knows neither how a write is parsed nor who else is notified. Invariant: where the scope is
//! uncertain, it is the larger one.

use cache::invalidations::Invalidations;
use model::time::Timestamp;

/// An invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalidation {
    /// What is invalidated.
    pub(super) scope: InvalidationScope,
    /// How long the write may continue after its acknowledgement, in milliseconds.
    pub(super) job_millis: u64,
}

/// What an invalidation covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InvalidationScope {
    /// Nothing.
    Nothing,
    /// Everything, because the scope is unknown.
    Everything,
    /// Rows of these views.
    Views(Vec<InvalidatedView>),
}

/// An invalidated view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InvalidatedView {
    pub(super) view: String,
    /// The canonical hashes of the rows' keys; `None` for all rows.
    pub(super) rows: Option<Vec<u64>>,
}

impl From<InvalidationScope> for Invalidation {
    /// Of a write that is complete.
    fn from(scope: InvalidationScope) -> Invalidation {
        Invalidation { scope, job_millis: 0 }
    }
}

impl Invalidation {
    /// Invalidates its scope at `now`, and for as long as the write continues.
    pub(super) fn apply(&self, invalidations: &mut Invalidations, now: Timestamp) {
        self.scope.apply(invalidations, now);
        if self.job_millis == 0 {
            return;
        }
        let until = now.plus(self.job_millis);
        match &self.scope {
            InvalidationScope::Nothing => {}
            InvalidationScope::Everything => invalidations.add_job(None, now, until),
            InvalidationScope::Views(views) => {
                views.iter().for_each(|changed| invalidations.add_job(Some(&changed.view), now, until))
            }
        }
    }
}

impl InvalidationScope {
    /// The memory that it takes, in bytes.
    pub(super) fn footprint(&self) -> usize {
        let InvalidationScope::Views(views) = self else { return 0 };
        let of_view = |InvalidatedView { view, rows }: &InvalidatedView| {
            view.capacity() + rows.as_ref().map_or(0, |rows| size_of_val(&**rows))
        };
        views.iter().map(|view| size_of::<InvalidatedView>() + of_view(view)).sum()
    }

    /// The same scope with all rows of its views.
    pub(super) fn widened_to_views(self) -> InvalidationScope {
        match self {
            InvalidationScope::Views(views) => {
                InvalidationScope::Views(views.into_iter().map(|view| InvalidatedView { rows: None, ..view }).collect())
            }
            other => other,
        }
    }

    /// Invalidates it at `now`.
    fn apply(&self, invalidations: &mut Invalidations, now: Timestamp) {
        match self {
            InvalidationScope::Nothing => {}
            InvalidationScope::Everything => invalidations.invalidate_all(now),
            InvalidationScope::Views(views) => {
                for InvalidatedView { view, rows } in views {
                    match rows {
                        Some(rows) => invalidations.invalidate_rows(view, rows, now),
                        None => invalidations.invalidate_view(view, now),
                    }
                }
            }
        }
    }

    /// What is invalidated, in JSON.
    pub(super) fn describe(&self) -> Vec<u8> {
        let InvalidationScope::Views(views) = self else { return br#"{"invalidated":"everything"}"#.to_vec() };
        let mut text = br#"{"invalidated":{"#.to_vec();
        for (number, InvalidatedView { view, rows }) in views.iter().enumerate() {
            if number > 0 {
                text.push(b',');
            }
            json::write_string(&mut text, view);
            text.push(b':');
            match rows {
                Some(rows) => text.extend_from_slice(rows.len().to_string().as_bytes()),
                None => text.extend_from_slice(br#""all""#),
            }
        }
        text.extend_from_slice(b"}}");
        text
    }
}
