//! The memory account: what each share uses, its bound, and what it evicted or shed.
//!
//! It knows no policy: each table enforces its own bound. Invariant: the bounds together stay within
//! `memory.max_bytes`, which the configuration checks.

use crate::in_progress::RequestsInProgress;
use crate::pool;
use crate::read_path::ReadPath;
use cache::invalidations;
use config::OTHER_BYTES;
use telemetry::record;
use telemetry::snapshot::{MemoryShare, MemoryUse};

/// The use of each share of the memory.
pub(super) fn account(read_path: &ReadPath, requests: &RequestsInProgress) -> MemoryUse {
    let ReadPath { config, engine, planner, pool, answers, bodies, .. } = read_path;
    let share = |used: usize, allowed: usize, evicted: u64| MemoryShare { used, allowed, evicted };
    let memory = engine.memory();
    let rows = share(memory.bytes(), config.l1.max_bytes, memory.evictions());
    let plans = share(planner.bytes() + pool.list_cache_bytes(), config.memory.plan_bytes, planner.evicted());
    // Its measurements take a fixed size, which counts among all else.
    let (patterns, measuring) = (engine.patterns().bytes(), engine.governor().bytes());
    let allowed = if config.prefetch.enabled { config.prefetch.memory_bytes } else { 0 };
    let prefetch = share(patterns + measuring, allowed + measuring, 0);
    let invalidations =
        share(engine.invalidations().bytes(), invalidations::MAX_BYTES, engine.invalidations().coarsened());
    let records = share(answers.recorder.bytes(), record::MAX_BYTES, 0);
    let pending = requests.bytes() + bodies.bytes() + engine.session_bytes() + engine.queued_write_bytes();
    let pending = share(pending, config.memory.pending_bytes, engine.shed_for_memory());
    let sum = [rows, plans, prefetch, invalidations, records, pending];
    let all = share(
        sum.iter().map(|share| share.used).sum::<usize>() + pool.bytes(),
        config.memory.max_bytes,
        sum.iter().map(|share| share.evicted).sum(),
    );
    MemoryUse { all, rows, plans, prefetch, invalidations, records, pending }
}

/// An upper bound of prefetch's measurements.
const MEASURING_BYTES: usize = 128 << 10;
const RECYCLED_BYTES: usize = pool::MAX_BYTES + engine::RECYCLED_BYTES;
const _: () = assert!(invalidations::MAX_BYTES + record::MAX_BYTES + MEASURING_BYTES + RECYCLED_BYTES <= OTHER_BYTES);
