//! The results of the read path's effects: rows of a store, the origin's answers, timers, readers who have read, and writes of rows.
//!
//! Each is told to the engine, and the session's progress goes the way of all. Invariant: what comes for a request that is over changes
//! nothing.

use crate::bypass::Bypass;
use crate::engine_effects;
use crate::in_progress::RequestsInProgress;
use crate::io::{Effect, FetchFailure, OriginReply, RequestHandle, Response, Transition, WriteBegun};
use crate::origin_requests;
use crate::read_path::{Advanced, ReadPath, handles};
use crate::row_request::{OriginAnswer, RowRequest};
use engine::{ReadFailure, WriteOutcome};
use model::answer::Tier;
use model::time::Timestamp;

impl ReadPath {
    /// A store has answered to a read.
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

    /// When a request asked the origin. Whatever the origin read, it read after it was asked: a value counts as fetched then, and never
    /// looks younger than it is.
    pub(super) fn call_began(
        &self,
        requests: &RequestsInProgress,
        handle: RequestHandle,
        call: u32,
    ) -> Option<Timestamp> {
        let rows = requests.rows(handle)?;
        Some(self.engine.call_began(handle.session(), call).unwrap_or(rows.context.began))
    }

    /// The origin has answered to a call that was made at `began`; what it answered counts as fetched at `stamp`.
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

    /// Another request has woken it, or a timer of its own has gone off.
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

    /// Lets a reply in parts go on: its reader has taken the last one, or there is room for more.
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

    /// Forgets a session whose request is forgotten; others may go on in its place.
    pub(super) fn abandon(&mut self, handle: RequestHandle, now: Timestamp) -> Vec<RequestHandle> {
        handles(self.engine.abandon(handle.session(), now))
    }

    /// Leaves a request and all of its shape to the origin, which answers it in a way of its own.
    fn pass_through(&mut self, handle: RequestHandle, rows: &RowRequest, base: String, now: Timestamp) -> Transition {
        self.planner.leave_to_origin(&rows.plan);
        let woken = self.abandon(handle, now);
        let timeout_millis = origin_requests::time_left(&self.config, rows.context.began, now);
        let response =
            Some(Response::Forward { base, bypass: Bypass::Body, timeout_millis }).filter(|_| !rows.is_answered);
        Transition { response, woken, ..Transition::default() }
    }

    /// A store has answered to a write of rows: what is to be written next.
    pub(super) fn on_written(
        &mut self,
        handle: RequestHandle,
        write: WriteBegun,
        outcome: WriteOutcome,
        now: Timestamp,
    ) -> Vec<Effect> {
        self.answers.recorder.operation(write.tier, write.began, outcome.failed > 0, now);
        let effects = self.engine.on_written(write.tier, (write.rows, outcome), write.allowance, now);
        engine_effects::effects(handle, effects)
    }
}
