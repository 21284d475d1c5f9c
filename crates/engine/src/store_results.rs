//! What comes of reading a store and of writing to it, as far as it tells the engine what to do next.

use model::time::Timestamp;

/// Why a bulk read of a store gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFailure {
    /// The store did not answer, or not in time, or not what was asked.
    Failed,
    /// What the keys hold together is more than one read may give.
    TooLarge,
}

/// What became of a write to a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOutcome {
    /// How many of its rows the store did not take.
    pub failed: usize,
    /// Of these, rows whose own keys are written too often, whoever else writes them: that says nothing of the store.
    pub rate_limited: usize,
    /// When the store takes writes again, where a quota of its is used up.
    pub quota_resets_at: Option<Timestamp>,
    /// Whether its host lets the request that wrote them make no further call.
    pub is_request_spent: bool,
}

impl WriteOutcome {
    /// A write of which so many rows failed.
    #[must_use]
    pub fn failed(failed: usize) -> WriteOutcome {
        WriteOutcome { failed, ..WriteOutcome::default() }
    }
}
