//! What a write changes of what is cached.
//!
//! Knows neither how a write is read nor who else is told of it. Invariant: where it is not certain what is changed, it is more.

use cache::invalidations::Invalidations;
use model::time::Timestamp;

/// A change of what is cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// What is changed.
    pub(super) affected: Affected,
    /// How long the write may go on after it was acknowledged, in milliseconds.
    pub(super) job_millis: u64,
}

/// What a write changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Affected {
    /// Nothing that is cached.
    Nothing,
    /// Nobody knows.
    Everything,
    /// Rows of these views.
    Views(Vec<Changed>),
}

/// What a write changes of one view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) view: String,
    /// The canonical hashes of the rows' keys; `None` for all rows.
    pub(super) rows: Option<Vec<u64>>,
}

impl From<Affected> for Change {
    /// Of a write that is done.
    fn from(affected: Affected) -> Change {
        Change { affected, job_millis: 0 }
    }
}

impl Change {
    /// Marks what it changes as written at `now`, and for as long as the write goes on.
    pub(super) fn apply(&self, marks: &mut Invalidations, now: Timestamp) {
        self.affected.apply(marks, now);
        if self.job_millis == 0 {
            return;
        }
        let until = now.plus(self.job_millis);
        match &self.affected {
            Affected::Nothing => {}
            Affected::Everything => marks.add_job(None, now, until),
            Affected::Views(views) => views.iter().for_each(|changed| marks.add_job(Some(&changed.view), now, until)),
        }
    }
}

impl Affected {
    /// The memory that it takes, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        let Affected::Views(views) = self else { return 0 };
        let of_view =
            |Changed { view, rows }: &Changed| view.capacity() + rows.as_ref().map_or(0, |rows| size_of_val(&**rows));
        views.iter().map(|changed| size_of::<Changed>() + of_view(changed)).sum()
    }

    /// The same of all rows of its views.
    pub(super) fn widened(self) -> Affected {
        match self {
            Affected::Views(views) => {
                Affected::Views(views.into_iter().map(|changed| Changed { rows: None, ..changed }).collect())
            }
            other => other,
        }
    }

    /// Marks it as written at `now`.
    fn apply(&self, marks: &mut Invalidations, now: Timestamp) {
        match self {
            Affected::Nothing => {}
            Affected::Everything => marks.invalidate_all(now),
            Affected::Views(views) => {
                for Changed { view, rows } in views {
                    match rows {
                        Some(rows) => marks.invalidate_rows(view, rows, now),
                        None => marks.invalidate_view(view, now),
                    }
                }
            }
        }
    }

    /// What was invalidated, in JSON.
    pub(super) fn describe(&self) -> Vec<u8> {
        let Affected::Views(views) = self else { return br#"{"invalidated":"everything"}"#.to_vec() };
        let mut text = br#"{"invalidated":{"#.to_vec();
        for (number, Changed { view, rows }) in views.iter().enumerate() {
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
