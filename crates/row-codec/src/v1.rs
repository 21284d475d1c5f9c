//! Version 1 of the stored form, which is read and no longer written: it has each cell as it is.

use serde::Deserialize;

use model::time::{EventTime, Timestamp};
use model::value::{Cell, Status};

pub(crate) const VERSION: u8 = 1;

/// A cell.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredCell {
    status: u8,
    is_negative: bool,
    event_micros: i64,
    fetched_millis: u64,
}

/// The cells: one for all features, or one for each.
pub(crate) fn cells(cells: Vec<StoredCell>) -> Option<Vec<Cell>> {
    let cell = |delta: StoredCell| {
        Some(Cell {
            status: Status::from_number(delta.status)?,
            is_negative: delta.is_negative,
            event_time: EventTime(delta.event_micros),
            fetched_at: Timestamp(delta.fetched_millis).into(),
        })
    };
    cells.into_iter().map(cell).collect()
}
