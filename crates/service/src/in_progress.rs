//! The requests in progress: each by its handle, with what it awaits and the memory that it takes.
//!
//! It knows no request's content. Invariants: a handle is never reused, so that a late result finds its
//! own request or none; and a request whose host is gone is ended.

use crate::invalidation::InvalidationScope;
use crate::invalidation_log::AwaitingLog;
use crate::io::{Continuation, Effect, IoRequest, RequestHandle, Response};
use crate::registry::AwaitingMetadata;
use crate::request::RequestContext;
use crate::row_request::RowRequest;
use crate::warm_job::WarmJob;
use crate::write_kind::WriteKind;
use ::prefetch::patterns::Predictions;
use config::Config;
use engine::slab::{Footprint, Slab};
use model::time::Timestamp;

/// What a request awaits.
#[derive(Debug)]
pub(super) enum Pending {
    /// Rows.
    Rows(Box<RowRequest>),
    /// The response of the registry; `waiter` is the request that waits for it.
    Registry { waiter: Option<RequestHandle>, began: Timestamp },
    /// The keys of views from the registry, or its own timer.
    AwaitingMetadata(Box<AwaitingMetadata>),
    /// The origin's health.
    Health { began: Timestamp },
    /// The end of the answer before it, to prefetch what is predicted.
    PrefetchScheduled { predictions: Box<Predictions>, began: Timestamp },
    /// The origin's response to a write.
    Write { scope: InvalidationScope, kind: WriteKind, began: Timestamp },
    /// The acknowledgement of the invalidation log, before the request ends with `response`.
    AwaitingLogAck { response: Box<Response>, began: Timestamp },
    /// A recent reply of the invalidation log.
    AwaitingLog(Box<AwaitingLog>),
    /// The registry or the invalidation log, before the body of a warm-up is read.
    WarmBody { body: Vec<u8>, context: Box<RequestContext<'static>> },
    /// The stores' results of a warm-up's writes.
    Warm(Box<WarmJob>),
}

impl Pending {
    /// When it began; of one that awaits the log, its deadline by the host's clock.
    fn began(&mut self) -> &mut Timestamp {
        match self {
            Pending::Rows(rows) => &mut rows.context.began,
            Pending::AwaitingMetadata(waiting) => &mut waiting.context.began,
            Pending::Warm(job) => &mut job.began,
            Pending::AwaitingLog(waiting) => &mut waiting.wait.until,
            Pending::Registry { began, .. }
            | Pending::Health { began }
            | Pending::Write { began, .. }
            | Pending::PrefetchScheduled { began, .. }
            | Pending::AwaitingLogAck { began, .. } => began,
            Pending::WarmBody { context, .. } => &mut context.began,
        }
    }

    /// How much longer than others it may take, in milliseconds.
    fn extra_millis(&self, config: &Config) -> u64 {
        match self {
            Pending::Rows(rows) if rows.job.is_some() => config.deadlines.warm_ms,
            Pending::Warm(_) => config.deadlines.warm_ms,
            // The origin's response is awaited although the caller has been told of the
            // timeout.
            Pending::Write { kind, .. } => 2 * kind.timeout_millis(config),
            _ => 0,
        }
    }
}

/// The overhead of a table entry, in bytes.
const PENDING_OVERHEAD: usize = size_of::<Pending>() + 64;

/// The estimate for entries without data of their caller, in bytes: predictions, or a short reply.
const SMALL_BYTES: usize = 512;

impl Footprint for Pending {
    fn footprint(&self) -> usize {
        let held = match self {
            Pending::Rows(rows) => rows.footprint(),
            Pending::AwaitingMetadata(waiting) => waiting.footprint(),
            Pending::WarmBody { body, context } => body.capacity() + context.caller.len(),
            Pending::Write { scope, .. } => scope.footprint(),
            Pending::AwaitingLog(waiting) => waiting.footprint(),
            Pending::Warm(job) => job.footprint(),
            Pending::Registry { .. }
            | Pending::Health { .. }
            | Pending::PrefetchScheduled { .. }
            | Pending::AwaitingLogAck { .. } => SMALL_BYTES,
        };
        PENDING_OVERHEAD + held
    }

    fn acquire_shared(&self) -> usize {
        let Pending::Rows(rows) = self else { return 0 };
        let plan = &rows.plan;
        if plan.pending.replace(plan.pending.get() + 1) == 0 { plan.size() } else { 0 }
    }

    fn release_shared(&self) -> usize {
        let Pending::Rows(rows) = self else { return 0 };
        let plan = &rows.plan;
        if plan.pending.replace(plan.pending.get().saturating_sub(1)) == 1 { plan.size() } else { 0 }
    }
}

/// How many handles are issued between two sweeps for lost requests.
const SWEEP_EVERY: u64 = 64;

/// What a request may take besides its stores and its origin before it counts as lost, in milliseconds.
const SLACK_MILLIS: u64 = 10_000;

/// The requests in progress.
#[derive(Debug)]
pub(super) struct RequestsInProgress {
    pending: Slab<Pending>,
    /// The last issued number.
    last: u64,
    seed: u64,
    /// At which number the next sweep is due.
    sweep_at: u64,
    /// The requests that were overdue at the last sweep, and when that was.
    suspects: Vec<u64>,
    suspected_at: Timestamp,
}

impl RequestsInProgress {
    pub(super) fn new(seed: u64) -> RequestsInProgress {
        RequestsInProgress {
            pending: Slab::default(),
            last: 0,
            seed,
            sweep_at: SWEEP_EVERY,
            suspects: Vec::new(),
            suspected_at: Timestamp::default(),
        }
    }

    /// A new handle.
    pub(super) fn next(&mut self) -> RequestHandle {
        self.last += 1;
        RequestHandle(self.last)
    }

    /// A random number.
    pub(super) fn random(&mut self) -> u64 {
        self.last += 1;
        hash(self.seed, self.last)
    }

    /// A request id for a caller who gave none.
    pub(super) fn request_id(&mut self) -> String {
        format!("fe-{:016x}", self.random())
    }

    pub(super) fn insert(&mut self, handle: RequestHandle, pending: Pending) {
        self.pending.insert(handle.0, pending);
    }

    pub(super) fn remove(&mut self, handle: RequestHandle) -> Option<Pending> {
        self.pending.remove(handle.0)
    }

    /// Takes a request that awaits rows; any other stays.
    pub(super) fn take_rows(&mut self, handle: RequestHandle) -> Option<Box<RowRequest>> {
        match self.pending.remove(handle.0)? {
            Pending::Rows(rows) => Some(rows),
            other => {
                self.pending.insert(handle.0, other);
                None
            }
        }
    }

    /// Takes a warm-up that awaits stores; anything else stays.
    pub(super) fn take_job(&mut self, handle: RequestHandle) -> Option<Box<WarmJob>> {
        match self.pending.remove(handle.0)? {
            Pending::Warm(job) => Some(job),
            other => {
                self.pending.insert(handle.0, other);
                None
            }
        }
    }

    /// The request, if it awaits rows.
    pub(super) fn rows(&self, handle: RequestHandle) -> Option<&RowRequest> {
        if let Some(Pending::Rows(rows)) = self.pending.get(handle.0) { Some(rows) } else { None }
    }

    /// Inserts a pending entry under a new handle, and returns the effect that it awaits.
    pub(super) fn begin(
        &mut self,
        pending: Pending,
        continuation: Continuation,
        io_request: IoRequest,
        timeout_millis: u64,
    ) -> Effect {
        let handle = self.next();
        self.insert(handle, pending);
        Effect::new(handle, continuation, io_request, timeout_millis)
    }

    pub(super) fn is_under_way(&self, handle: RequestHandle) -> bool {
        self.pending.get(handle.0).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// The memory that they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.pending.bytes()
    }

    /// Shifts all times back by so many milliseconds, after a clock that was ahead.
    pub(super) fn set_clock_back(&mut self, millis: u64) {
        for pending in self.pending.values_mut() {
            // Times of the host's clock stay.
            if !matches!(pending, Pending::AwaitingLog(_)) {
                let began = pending.began();
                *began = began.minus(millis);
            }
        }
        self.suspected_at = self.suspected_at.minus(millis);
    }

    /// Whether a sweep is due.
    #[inline]
    pub(super) fn is_sweep_due(&self) -> bool {
        self.last >= self.sweep_at
    }

    /// The requests whose host is gone: a runtime drops the work of a caller who hangs up, and reports
    /// nothing. `host` is the host's clock.
    ///
    /// An overdue request is only suspected at first. After a clock jump ahead all requests are
    /// overdue at once, and their hosts still have timers to fire.
    #[inline(never)]
    pub(super) fn lost(&mut self, config: &Config, host: Timestamp, now: Timestamp) -> Vec<RequestHandle> {
        self.sweep_at = self.last + SWEEP_EVERY;
        if now.millis_since(self.suspected_at) < SLACK_MILLIS {
            return Vec::new();
        }
        let Config { l2, l3, origin, .. } = config;
        let allowed_millis = 2 * (l2.timeout_ms + l3.timeout_ms + origin.timeout_ms) + SLACK_MILLIS;
        let is_overdue = |pending: &mut Pending| {
            let allowed_millis = allowed_millis + pending.extra_millis(config);
            let now = if matches!(pending, Pending::AwaitingLog(_)) { host } else { now };
            now.millis_since(*pending.began()) > allowed_millis
        };
        let mut overdue: Vec<u64> = self.pending.iter().map(|(number, _)| number).collect();
        overdue.retain(|number| self.pending.get_mut(*number).is_some_and(is_overdue));
        self.suspected_at = now;
        let suspects = core::mem::take(&mut self.suspects);
        let (lost, suspected) = overdue.into_iter().partition::<Vec<u64>, _>(|number| suspects.contains(number));
        self.suspects = suspected;
        lost.into_iter().map(RequestHandle).collect()
    }
}

fn hash(seed: u64, number: u64) -> u64 {
    use core::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::quality::FixedState::with_seed(seed).build_hasher();
    hasher.write_u64(number);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is lost at `now`, after as many handles as there are between two sweeps.
    fn lost(requests: &mut RequestsInProgress, now: u64) -> Vec<RequestHandle> {
        for _ in 0..SWEEP_EVERY {
            requests.next();
        }
        requests.lost(&Config::default(), Timestamp(now), Timestamp(now))
    }

    fn allowed_millis() -> u64 {
        let Config { l2, l3, origin, .. } = Config::default();
        2 * (l2.timeout_ms + l3.timeout_ms + origin.timeout_ms) + SLACK_MILLIS
    }

    #[test]
    fn a_request_that_is_overdue_at_two_sweeps_is_lost() {
        let mut requests = RequestsInProgress::new(1);
        let [silent, later] = [requests.next(), requests.next()];
        requests.insert(silent, Pending::Health { began: Timestamp(0) });
        requests.insert(later, Pending::Health { began: Timestamp(SLACK_MILLIS) });
        let overdue_at = allowed_millis() + 1;
        assert_eq!(lost(&mut requests, overdue_at), [], "it is suspected");
        assert_eq!(lost(&mut requests, overdue_at + SLACK_MILLIS - 1), [], "it is too soon for another look");
        assert_eq!(lost(&mut requests, overdue_at + SLACK_MILLIS), [silent]);
        requests.remove(silent);
        assert_eq!(lost(&mut requests, overdue_at + 2 * SLACK_MILLIS), [later]);
    }

    #[test]
    fn a_warm_up_has_the_time_of_its_job_besides() {
        let mut requests = RequestsInProgress::new(1);
        let job = requests.next();
        requests.insert(job, Pending::Warm(Box::new(WarmJob::new(Vec::new(), 0, Timestamp(0)))));
        let overdue_at = allowed_millis() + Config::default().deadlines.warm_ms + 1;
        assert_eq!(lost(&mut requests, overdue_at - 1), []);
        assert_eq!(lost(&mut requests, overdue_at - 1 + SLACK_MILLIS), []);
        assert_eq!(lost(&mut requests, overdue_at - 1 + 2 * SLACK_MILLIS), [job]);
    }

    #[test]
    fn a_clock_that_was_ahead_makes_nobody_overdue_once_it_is_put_back() {
        let mut requests = RequestsInProgress::new(1);
        let request = requests.next();
        requests.insert(request, Pending::Health { began: Timestamp(1_000_000) });
        requests.set_clock_back(900_000);
        assert_eq!(lost(&mut requests, 100_000 + allowed_millis()), []);
        assert_eq!(lost(&mut requests, 100_000 + allowed_millis() + SLACK_MILLIS), []);
        assert!(requests.is_under_way(request));
    }
}
