//! The results of the read path's effects: store reads, origin responses, timers, readers, and store
//! writes.
//!
//! Each result goes to the engine, and the session's progress through [`ReadPath::advance`]. Invariant:
//! the result of an ended request changes nothing.

use crate::bypass::Bypass;
use crate::engine_effects;
use crate::in_progress::RequestsInProgress;
use crate::io::{Effect, FetchFailure, OriginReply, PendingWrite, RequestHandle, Response, Transition};
use crate::origin_requests;
use crate::read_path::{Advanced, ReadPath, handles};
use crate::row_request::{OriginAnswer, RowRequest};
use engine::{ReadFailure, WriteOutcome};
use model::answer::Tier;
use model::time::Timestamp;

impl ReadPath {
    /// A store has answered a read.
    pub(super) fn on_read(
        &mut self,
        requests: &mut RequestsInProgress,
        handle: RequestHandle,
        (tier, batch): (Tier, u32),
        values: Result<Vec<Option<Vec<u8>>>, ReadFailure>,
        now: Timestamp,
    ) -> Advanced {
        let Some(mut rows) = requests.take_rows(handle) else { return Advanced::default() };
        rows.timings.of(tier).end(now);
        let began = self.engine.read_began(handle.session(), batch).unwrap_or(rows.context.began);
        self.answers.recorder.operation(tier, began, values.is_err(), now);
        let progress = self.engine.on_read(handle.session(), batch, values, now);
        self.advance(requests, handle, rows, progress, now)
    }

    /// When an origin call began. The origin read its values afterwards, so they count as fetched then
    /// and never look younger than they are.
    pub(super) fn call_began(
        &self,
        requests: &RequestsInProgress,
        handle: RequestHandle,
        call: u32,
    ) -> Option<Timestamp> {
        let rows = requests.rows(handle)?;
        Some(self.engine.call_began(handle.session(), call).unwrap_or(rows.context.began))
    }

    /// The origin has answered a call that began at `began`; its values count as fetched at `stamp`.
    pub(super) fn on_fetched(
        &mut self,
        requests: &mut RequestsInProgress,
        handle: RequestHandle,
        call: u32,
        fetched: Result<OriginReply, FetchFailure>,
        (began, stamp): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Advanced {
        let Some(mut rows) = requests.take_rows(handle) else { return Advanced::default() };
        rows.timings.fetch.end(now);
        let has_failed = !fetched.as_ref().is_ok_and(|reply| reply.status < 500 && reply.status != 429);
        self.answers.recorder.operation(Tier::Origin, began, has_failed, now);
        rows.timings.origin_status = fetched.as_ref().ok().map(|reply| reply.status);
        let parsed = rows.parse_answer(handle, call, fetched, stamp, &mut self.engine, &self.config);
        let fetched = match parsed {
            Ok(OriginAnswer::OtherColumns { base }) => return self.pass_through(handle, &rows, base, now).into(),
            Ok(OriginAnswer::Rows(rows)) => Ok(rows),
            Err(failure) => Err(failure),
        };
        let progress = self.engine.on_fetched(handle.session(), call, fetched, now);
        self.advance(requests, handle, rows, progress, now)
    }

    /// Another request woke it, or its own timer fired.
    pub(super) fn wake(
        &mut self,
        requests: &mut RequestsInProgress,
        handle: RequestHandle,
        rows: Box<RowRequest>,
        is_timer: bool,
        now: Timestamp,
    ) -> Advanced {
        let session = handle.session();
        let progress = if is_timer { self.engine.on_timer(session, now) } else { self.engine.wake(session, now) };
        self.advance(requests, handle, rows, progress, now)
    }

    /// Continues a streamed reply: its reader has taken the last chunk, or has room for more.
    pub(super) fn resume(
        &mut self,
        requests: &mut RequestsInProgress,
        handle: RequestHandle,
        now: Timestamp,
    ) -> Transition {
        let Some(mut rows) = requests.take_rows(handle) else { return Transition::default() };
        rows.stream.resume();
        let progress = self.engine.resume(handle.session(), now);
        self.advance(requests, handle, rows, progress, now).transition
    }

    /// Ends the session of an ended request. Returns the requests that may advance in its place.
    pub(super) fn abandon(&mut self, handle: RequestHandle, now: Timestamp) -> Vec<RequestHandle> {
        handles(self.engine.abandon(handle.session(), now))
    }

    /// Passes a request through to the origin, and all later ones of its shape.
    fn pass_through(&mut self, handle: RequestHandle, rows: &RowRequest, base: String, now: Timestamp) -> Transition {
        self.planner.always_pass_through(&rows.plan);
        let woken = self.abandon(handle, now);
        let timeout_millis = origin_requests::time_left(&self.config, rows.context.began, now);
        let response =
            Some(Response::Forward { base, bypass: Bypass::Body, timeout_millis }).filter(|_| !rows.is_answered);
        Transition { response, woken, ..Transition::default() }
    }

    /// A store has answered a write of rows. Returns the next writes.
    pub(super) fn on_written(
        &mut self,
        handle: RequestHandle,
        write: PendingWrite,
        outcome: WriteOutcome,
        now: Timestamp,
    ) -> Vec<Effect> {
        self.answers.recorder.operation(write.tier, write.began, outcome.failed > 0, now);
        let effects = self.engine.on_written(write.tier, (write.rows, outcome), write.allowance, now);
        engine_effects::effects(handle, effects)
    }
}
