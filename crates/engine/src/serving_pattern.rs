//! The serving pattern of a request, by its size and urgency, and the limits that follow.
//!
//! The patterns and their thresholds are the original specification's: real time for small urgent
//! requests, batch for large ones, hybrid between them, and streaming on request. It knows no tier's
//! state. Invariant: a caller's deadline may shorten the configured one, never extend it.

use model::answer::TimeLimit;
use model::request::Priority;

/// How a request is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServingPattern {
    /// Stale rather than late: a short deadline, and a slow store is hedged by the origin.
    RealTime,
    /// Throughput first: large requests to the origin are cut into chunks, a few at a time.
    Batch,
    /// Cached rows at once, and the rest as one batch.
    #[default]
    Hybrid,
    /// A line for each entity as soon as it is complete.
    Streaming,
}

impl ServingPattern {
    /// The original specification's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ServingPattern::RealTime => "real_time_serving",
            ServingPattern::Batch => "batch_serving",
            ServingPattern::Hybrid => "hybrid_serving",
            ServingPattern::Streaming => "streaming_serving",
        }
    }
}

/// Where the patterns begin and end, and what they allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternSettings {
    /// Whether patterns are distinguished; if not, all requests are hybrid.
    pub is_enabled: bool,
    /// The most entities of a real-time request.
    pub real_time_max_entities: usize,
    /// The most features of a real-time request.
    pub real_time_max_features: usize,
    /// How long a real-time request may take, in milliseconds.
    pub real_time_deadline_millis: u64,
    /// The fewest entities of a batch.
    pub batch_min_entities: usize,
    /// The fewest features of a batch.
    pub batch_min_features: usize,
    /// The most rows of one call to the origin.
    pub chunk_rows: usize,
    /// The most concurrent origin calls of a request.
    pub max_concurrent_chunks: usize,
    /// How long any other request may take, in milliseconds.
    pub deadline_millis: u64,
    /// After what share of its deadline a request is served stale rows, in percent. The rest is for
    /// the way back, and for rows of which there is no stale copy.
    pub soft_percent: u64,
    /// Whether a real-time request is hedged when a store is slow.
    pub does_hedge: bool,
}

/// What a request's pattern allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternLimits {
    /// The pattern.
    pub pattern: ServingPattern,
    /// How long it may take in all, in milliseconds.
    pub deadline_millis: u64,
    /// Where that comes from.
    pub deadline_source: TimeLimit,
    /// The soft deadline, in milliseconds: stale rows are served from then on, and the rest continues
    /// in the background.
    pub soft_millis: u64,
    /// Whether a slow store is hedged by the origin.
    pub is_hedged: bool,
    /// The most rows of one call to the origin.
    pub chunk_rows: usize,
    /// The most concurrent origin calls.
    pub max_concurrent_chunks: usize,
}

impl PatternLimits {
    /// The same with this deadline in milliseconds, where there is one.
    #[must_use]
    pub fn with_deadline(self, millis: Option<u64>) -> PatternLimits {
        millis.map_or(self, |millis| PatternLimits { deadline_millis: millis, soft_millis: millis, ..self })
    }

    /// The same, less so many milliseconds that the request has waited.
    #[must_use]
    pub fn less_waited(self, millis: u64) -> PatternLimits {
        PatternLimits {
            deadline_millis: self.deadline_millis.saturating_sub(millis),
            soft_millis: self.soft_millis.saturating_sub(millis),
            ..self
        }
    }

    /// Whether entities are streamed one by one.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        self.pattern == ServingPattern::Streaming
    }

    /// The most rows of an origin call after `calls` earlier ones. A stream begins with few rows, so
    /// that its first line is early, and doubles from call to call, so that its last is not late.
    #[must_use]
    pub fn rows_per_call(&self, calls: usize) -> usize {
        let rows = if self.is_streamed() { FIRST_CALL_ROWS << calls.min(MAX_DOUBLINGS) } else { self.chunk_rows };
        rows.clamp(1, self.chunk_rows.max(1))
    }

    /// How many rows may be in flight: of a stream, no more than its calls can carry.
    #[must_use]
    pub fn window_rows(&self) -> usize {
        if self.is_streamed() { self.max_concurrent_chunks.saturating_mul(self.chunk_rows) } else { usize::MAX }
    }
}

/// The rows of a stream's first call: some tens of rows take hardly longer than one.
const FIRST_CALL_ROWS: usize = 32;
/// Past this many it is larger than any chunk may be.
const MAX_DOUBLINGS: usize = 20;

/// The limits of a request for `features` of `entities`; `deadline_millis` is the caller's own, if any.
#[must_use]
pub fn limits_of(
    settings: &PatternSettings,
    entities: usize,
    features: usize,
    priority: Priority,
    deadline_millis: Option<u64>,
    is_streamed: bool,
) -> PatternLimits {
    let is_urgent = priority >= Priority::High;
    let is_small = entities <= settings.real_time_max_entities && features <= settings.real_time_max_features;
    let is_large = entities >= settings.batch_min_entities || features >= settings.batch_min_features;
    let pattern = match (settings.is_enabled, is_urgent && is_small, is_large) {
        _ if is_streamed => ServingPattern::Streaming,
        (true, true, _) => ServingPattern::RealTime,
        (true, false, true) => ServingPattern::Batch,
        _ => ServingPattern::Hybrid,
    };
    let usual = match pattern {
        ServingPattern::RealTime => settings.real_time_deadline_millis,
        _ => settings.deadline_millis,
    };
    // A caller may want its answer sooner than the default, not later.
    let (deadline_millis, deadline_source) = match deadline_millis {
        Some(own) if own < settings.deadline_millis => (own, TimeLimit::RequestDeadline),
        None if usual < settings.deadline_millis => (usual, TimeLimit::RealTimeDeadline),
        _ => (settings.deadline_millis, TimeLimit::DefaultDeadline),
    };
    PatternLimits {
        pattern,
        deadline_millis,
        deadline_source,
        soft_millis: deadline_millis.saturating_mul(settings.soft_percent) / 100,
        is_hedged: settings.does_hedge && pattern == ServingPattern::RealTime,
        chunk_rows: settings.chunk_rows,
        // Latency first: what is neither a batch nor streamed goes out whole.
        max_concurrent_chunks: match pattern {
            ServingPattern::Batch | ServingPattern::Streaming => settings.max_concurrent_chunks,
            _ => usize::MAX,
        },
    }
}

/// The limits of background work.
#[must_use]
pub fn background(settings: &PatternSettings) -> PatternLimits {
    let pattern_limits = limits_of(settings, 0, 0, Priority::Low, None, false);
    // It may be one row or a hundred; it is one call.
    PatternLimits { max_concurrent_chunks: usize::MAX, ..pattern_limits }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: PatternSettings = PatternSettings {
        is_enabled: true,
        soft_percent: 70,
        real_time_max_entities: 100,
        real_time_max_features: 50,
        real_time_deadline_millis: 100,
        batch_min_entities: 1_000,
        batch_min_features: 20,
        chunk_rows: 500,
        max_concurrent_chunks: 4,
        deadline_millis: 5_000,
        does_hedge: true,
    };

    fn pattern(entities: usize, features: usize, priority: Priority) -> ServingPattern {
        limits_of(&SETTINGS, entities, features, priority, None, false).pattern
    }

    #[test]
    fn the_original_specifications_thresholds_decide() {
        use Priority::{Critical, High, Low, Normal};
        use ServingPattern::{Batch, Hybrid, RealTime};
        assert_eq!(pattern(100, 50, High), RealTime);
        assert_eq!(pattern(1, 1, Critical), RealTime);
        assert_eq!(pattern(101, 5, High), Hybrid);
        assert_eq!(pattern(100, 51, High), Batch);
        assert_eq!(pattern(1_000, 1, Low), Batch);
        assert_eq!(pattern(999, 19, Normal), Hybrid);
        assert_eq!(pattern(1, 20, Normal), Batch);
    }

    #[test]
    fn a_callers_deadline_may_shorten_the_servers_and_not_lengthen_it() {
        let deadline = |priority, own| limits_of(&SETTINGS, 1, 1, priority, own, false).deadline_millis;
        assert_eq!(deadline(Priority::High, None), 100);
        assert_eq!(deadline(Priority::High, Some(20)), 20);
        assert_eq!(deadline(Priority::High, Some(250)), 250);
        assert_eq!(deadline(Priority::Normal, None), 5_000);
        assert_eq!(deadline(Priority::Normal, Some(60_000)), 5_000);
    }

    #[test]
    fn only_what_is_urgent_is_hedged_and_only_batches_are_throttled() {
        assert!(limits_of(&SETTINGS, 1, 1, Priority::High, None, false).is_hedged);
        assert!(!limits_of(&SETTINGS, 1, 1, Priority::Normal, None, false).is_hedged);
        assert_eq!(limits_of(&SETTINGS, 2_000, 1, Priority::Normal, None, false).max_concurrent_chunks, 4);
        assert_eq!(limits_of(&SETTINGS, 200, 1, Priority::Normal, None, false).max_concurrent_chunks, usize::MAX);
    }

    #[test]
    fn a_stream_begins_with_few_rows_and_doubles() {
        let pattern_limits = limits_of(&SETTINGS, 2_000, 1, Priority::High, None, true);
        assert_eq!(pattern_limits.pattern, ServingPattern::Streaming);
        let rows: Vec<usize> = (0..6).map(|calls| pattern_limits.rows_per_call(calls)).collect();
        assert_eq!(rows, [32, 64, 128, 256, 500, 500]);
        assert_eq!((pattern_limits.rows_per_call(usize::MAX), pattern_limits.window_rows()), (500, 2_000));
    }
}
