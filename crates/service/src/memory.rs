//! The one account of memory: what each share takes, may take, and had to let go of or refuse.
//!
//! Knows no policy: each table keeps its own bound, of the configuration's share. Invariant: the bounds together are no more than
//! `memory.max_bytes`, to which the configuration is held when it is read.

use crate::Service;
use cache::marks;
use config::OTHER_BYTES;
use protocol::call::Call;
use telemetry::record;
use telemetry::snapshot::{MemoryUse, Share};

impl Service {
    /// What each share of the memory takes now.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        let (engine, config) = (&self.engine, &self.config);
        let share = |used: usize, allowed: usize, evicted: u64| Share { used, allowed, evicted };
        let memory = engine.memory();
        let rows = share(memory.bytes(), config.l1.max_bytes, memory.evictions());
        let lists = self.spare_call.as_deref().map_or(0, Call::lists_size);
        let plans = share(self.planner.bytes() + lists, config.memory.plan_bytes, self.planner.evicted());
        // What measures it takes a fixed size, which counts among all else.
        let (patterns, measuring) = (engine.patterns().bytes(), engine.governor().bytes());
        let allowed = if config.prefetch.enabled { config.prefetch.memory_bytes } else { 0 };
        let learned = share(patterns + measuring, allowed + measuring, 0);
        let marks = share(engine.read_marks().bytes(), marks::MAX_BYTES, engine.read_marks().condensed());
        let records = share(self.recorder.bytes(), record::MAX_BYTES, 0);
        let waiting = self.pending.bytes() + engine.session_bytes() + engine.put_off_bytes();
        let waiting = share(waiting, config.memory.waiting_bytes, engine.shed());
        let sum = [rows, plans, learned, marks, records, waiting];
        let all = share(
            sum.iter().map(|share| share.used).sum::<usize>() + self.spare_bytes(),
            config.memory.max_bytes,
            sum.iter().map(|share| share.evicted).sum(),
        );
        MemoryUse { all, rows, plans, learned, marks, records, waiting }
    }

    /// What is kept of requests that ended, for the next.
    fn spare_bytes(&self) -> usize {
        self.spare_sheet.capacity()
            + self.spare_call.as_deref().map_or(0, Call::size)
            + self.spare_ask.as_ref().map_or(0, |ask| ask.keys.size())
            + self.scratch.capacity()
            + self.spare_entities.capacity()
    }
}

/// What measures prefetch takes less.
const MEASURING_BYTES: usize = 128 << 10;
const SPARE_BYTES: usize = super::MAX_SPARE_SHEET + 4 * super::MAX_SPARE + engine::SPARE_BYTES;
const _: () = assert!(marks::MAX_BYTES + record::MAX_BYTES + MEASURING_BYTES + SPARE_BYTES <= OTHER_BYTES);
