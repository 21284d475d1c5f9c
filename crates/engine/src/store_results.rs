//! The results of store reads and writes, as far as the engine acts on them. They know no store's API.

use model::time::Timestamp;

/// Why a bulk read of a store gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFailure {
    /// The store did not answer, was late, or answered something else.
    Failed,
    /// The values of the keys exceed the size of one read.
    TooLarge,
}

/// The result of a write to a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOutcome {
    /// How many of its rows the store did not take.
    pub failed: usize,
    /// Of these, rows whose keys are written too often, which says nothing of the store's health.
    pub rate_limited: usize,
    /// When the store accepts writes again, where its quota is used up.
    pub quota_resets_at: Option<Timestamp>,
    /// Whether the host allows the request that wrote them no further call.
    pub is_request_spent: bool,
}

impl WriteOutcome {
    /// A write of which so many rows failed.
    #[must_use]
    pub fn failed(failed: usize) -> WriteOutcome {
        WriteOutcome { failed, ..WriteOutcome::default() }
    }
}
