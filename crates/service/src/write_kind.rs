//! When a write is complete, as far as its path and the response's status say.
//!
//! It knows neither what a write invalidates nor who waits for it. Invariant: an unknown write may
//! continue after 202.

use config::Config;

/// The kind of a write, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteKind {
    /// It carries its rows, and the online store has them when Feast answers; its 202 concerns the
    /// offline store.
    Rows,
    /// Feast answers when all is written, or, to `?async=true`, 202 when the job has begun.
    Materialization,
    /// Unknown.
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

    /// The caller's timeout, in milliseconds.
    pub(super) fn timeout_millis(self, config: &Config) -> u64 {
        match self {
            // Feast answers when all is written.
            WriteKind::Materialization => {
                config.deadlines.default_ms.max(config.writes.job_seconds.saturating_mul(1_000))
            }
            WriteKind::Rows | WriteKind::Unknown => config.deadlines.default_ms,
        }
    }

    /// Whether rows may still be written after a response of this status; `None` where the write was
    /// certainly not sent.
    pub(super) fn may_still_write(self, status: Option<u16>) -> bool {
        match (self, status) {
            (WriteKind::Rows, _) | (_, None) => false,
            (_, Some(202)) => true,
            // A gateway, or this service, timed out.
            (WriteKind::Materialization, Some(502..=504)) => true,
            _ => false,
        }
    }
}
