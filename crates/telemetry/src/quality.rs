//! The quality of a response: how many of its values were served, and how fresh they were.

use model::answer::LookupResult;
use model::request::{Columns, ViewQuery};
use model::time::Timestamp;
use model::value::{Cell, Status};
use serde::{Deserialize, Serialize};

/// Requested, served and failed values of a view, and the freshness of the served ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// Values requested.
    pub requested: u64,
    /// Values that were present, or known to be null, and of a permitted age.
    pub served: u64,
    /// Values that failed.
    pub failed: u64,
    /// The sum of the served values' freshness, in thousandths each.
    pub freshness: u64,
}

impl Quality {
    pub(crate) fn add(&mut self, other: &Quality) {
        self.requested += other.requested;
        self.served += other.served;
        self.failed += other.failed;
        self.freshness += other.freshness;
    }
}

/// The quality of one view's results. A value is served if it is present or known to be null. Values older than permitted are no longer in
/// the results.
#[must_use]
pub fn quality_of(view: &ViewQuery, found: &[LookupResult], max_staleness: Option<u64>, began: Timestamp) -> Quality {
    let max_age = max_staleness.unwrap_or(view.lifetimes().ttl).max(1);
    let mut quality = Quality::default();
    // Ages of all served values together: one division for all.
    let mut age = 0;
    let mut count = |quality: &mut Quality, cell: &Cell, values: u64| match cell.status {
        Status::Present | Status::NullValue => {
            age += began.millis_since(cell.fetched_at.timestamp()).min(max_age) * values;
            quality.served += values;
        }
        Status::Invalid => quality.failed += values,
        _ => {}
    };
    for found in found {
        let Some(row) = &found.row else {
            let requested = match view.columns() {
                Columns::Named(names) => names.len() as u64,
                Columns::All => 1,
            };
            quality.requested += requested;
            quality.failed += requested;
            continue;
        };
        let slots = view.slots(row.schema());
        let requested = slots.as_slice().len() as u64;
        quality.requested += requested;
        match row.uniform_cell() {
            Some(cell) if slots.is_complete() => count(&mut quality, cell, requested),
            _ => {
                for slot in slots.as_slice() {
                    match slot.and_then(|slot| row.cell(slot)) {
                        Some(cell) => count(&mut quality, cell, 1),
                        None => quality.failed += 1,
                    }
                }
            }
        }
    }
    quality.freshness = (quality.served * 1_000).saturating_sub(age.saturating_mul(1_000) / max_age);
    quality
}
