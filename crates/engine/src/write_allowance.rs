//! The write allowance: how many rows a request may still write in the background. It knows no rows.
//! Invariant: it only shrinks.

use crate::store::StoreSettings;

/// How many rows a request may still write to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriteAllowance {
    pub(super) rows: u32,
    /// The batch that it comes with.
    pub(super) batch: u64,
}

impl WriteAllowance {
    pub(super) fn of(settings: &StoreSettings) -> WriteAllowance {
        let rows = settings.max_writes_per_request.and_then(|most| u32::try_from(most).ok());
        WriteAllowance { rows: rows.unwrap_or(u32::MAX), batch: 0 }
    }

    /// What remains after so many rows are written as this batch.
    pub(super) fn after(self, batch: u64, rows: usize) -> WriteAllowance {
        let written = if self.rows == u32::MAX { 0 } else { u32::try_from(rows).unwrap_or(u32::MAX) };
        WriteAllowance { rows: self.rows.saturating_sub(written), batch }
    }
}
