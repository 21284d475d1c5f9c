//! When a write is done, as far as its path and the status of its answer tell.
//!
//! Knows neither what a write changes nor who waits for it.

use config::Config;

/// What a write is by its path, as far as that tells when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteKind {
    /// It brings its rows, and the online store has them when Feast answers: its 202 is of the offline store.
    Rows,
    /// Feast answers when all is written, or, to `?async=true`, 202 when the job has begun.
    Materialization,
    /// Nobody knows.
    Unknown,
}

impl WriteKind {
    pub(super) fn of(path: &str) -> WriteKind {
        match path {
            "/push" | "/write-to-online-store" => WriteKind::Rows,
            "/materialize" | "/materialize-incremental" => WriteKind::Materialization,
            _ => WriteKind::Unknown,
        }
    }

    /// How long its caller waits for the origin, in milliseconds.
    pub(super) fn timeout_millis(self, config: &Config) -> u64 {
        match self {
            // Feast holds its answer back until all is written.
            WriteKind::Materialization => {
                config.deadlines.default_ms.max(config.writes.job_seconds.saturating_mul(1_000))
            }
            WriteKind::Rows | WriteKind::Unknown => config.deadlines.default_ms,
        }
    }

    /// Whether rows may be written after an answer of this status; `None` where the write was certainly not sent.
    pub(super) fn goes_on(self, status: Option<u16>) -> bool {
        match (self, status) {
            (WriteKind::Rows, _) | (_, None) => false,
            (_, Some(202)) => true,
            // Nobody waited for its end: a gateway on the way, or this one.
            (WriteKind::Materialization, Some(502..=504)) => true,
            _ => false,
        }
    }
}
