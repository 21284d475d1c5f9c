//! Version 1 of the stored form, which is read and no longer written: it has each cell as it is.

use serde::Deserialize;

use model::time::{EventTime, Timestamp};
use model::value::{Cell, Status};

pub(crate) const VERSION: u8 = 1;

/// A cell.
#[derive(Debug, Deserialize)]
pub(crate) struct Fact {
    status: u8,
    is_negative: bool,
    event_micros: i64,
    fetched_millis: u64,
}

/// The cells: one for all features, or one for each.
pub(crate) fn cells(facts: Vec<Fact>) -> Option<Vec<Cell>> {
    let cell = |fact: Fact| {
        Some(Cell {
            status: Status::from_number(fact.status)?,
            is_negative: fact.is_negative,
            event_time: EventTime(fact.event_micros),
            fetched_at: Timestamp(fact.fetched_millis).into(),
        })
    };
    facts.into_iter().map(cell).collect()
}
