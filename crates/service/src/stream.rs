//! Replies in parts: a line for each entity as it becomes complete, and a last one with what is to be said of all.
//!
//! Knows neither when an entity is complete nor how a line reads. Invariants: the head goes out with the first lines of which
//! anything is there, so that an error that is known before is an ordinary reply; and after one part no other goes out
//! until it was taken, but for the last, which the deadline brings at the latest.

use crate::io::{Chunk, End, Step, Ticket};
use crate::rows::{Waiting, failure_reply};
use crate::{Protocol, Reply, Service, reply};
use engine::{Lines, Progress};
use model::answer::Answer;
use model::time::Instant;
use protocol::sheet::Sheet;
use protocol::{native, problem};

/// What went out so far of a reply in parts.
#[derive(Debug, Default)]
pub(super) struct Stream {
    written: native::Written,
    /// What is written and did not go out.
    unsent: Sheet,
    /// Whether anything is there of what was written.
    has_anything: bool,
    /// Whether the head has gone out.
    has_begun: bool,
    /// Whether a part went out that was not taken yet.
    is_held: bool,
}

impl Stream {
    /// The memory that it takes, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.unsent.capacity() + self.written.size()
    }
}

impl Service {
    pub(super) fn taken_lines(&mut self, ticket: Ticket, now: Instant) -> Step {
        let Some(mut waiting) = self.take_rows(ticket) else { return Step::default() };
        waiting.stream.is_held = false;
        let progress = self.engine.resume(ticket.session(), now);
        self.go_on(ticket, waiting, progress, now)
    }

    /// As [`Service::go_on`], for a request that takes its reply in parts.
    #[inline(never)]
    pub(super) fn go_on_streaming(
        &mut self,
        ticket: Ticket,
        mut waiting: Box<Waiting>,
        progress: Progress,
        now: Instant,
    ) -> Step {
        let Progress { orders, lines, answer, is_over, mut woken, .. } = progress;
        let orders = self.orders(ticket, &mut waiting, orders, now);
        let is_last = answer.is_some();
        let answer = answer.unwrap_or_else(|| {
            Box::new(Answer {
                found: Vec::new(),
                tally: lines.as_ref().map(|lines| lines.tally).unwrap_or_default(),
                failure: self.engine.failure(ticket.session()).cloned(),
            })
        });
        self.write_lines(&mut waiting, lines, &answer, is_last, now);
        let stream = &mut waiting.stream;
        let failure = failure_reply(waiting.protocol, &answer, stream.has_anything || !is_last);
        if let Some(reply) = failure.filter(|_| !stream.has_begun) {
            let status = reply.status();
            let reply = reply.traced(&waiting.timings);
            let mut step = Step { orders, end: Some(End::Reply(reply)), ..Step::default() };
            if !is_last {
                // Whatever else was asked of the origin would be refused too, and nobody wants it any more.
                woken.extend(self.engine.abandon(ticket.session(), now));
                step.orders.clear();
            }
            self.record_waiting(&waiting, &answer, status, now);
            return self.put_back(ticket, waiting, step, is_over || !is_last, woken, now);
        }
        if is_last {
            self.record_waiting(&waiting, &answer, 200, now);
        }
        let stream = &mut waiting.stream;
        let mut step = Step { orders, ..Step::default() };
        if is_last || (stream.has_anything && !stream.unsent.is_empty()) {
            let body = core::mem::take(&mut stream.unsent);
            let took_millis = now.millis_since(waiting.began);
            let head = |body| {
                let timings = &waiting.timings;
                Reply::features(body, &answer, None, waiting.route.pattern, took_millis, now, timings).traced(timings)
            };
            if is_last && !stream.has_begun {
                step.end = Some(End::Reply(head(body)));
            } else {
                let head = (!stream.has_begun).then(|| head(Sheet::default()));
                step.chunk = Some(Chunk { head, bytes: body.into_vec() });
                step.end = is_last.then_some(End::Streamed);
            }
            stream.has_begun = true;
            stream.is_held = true;
            if !is_last {
                self.engine.hold(ticket.session());
            }
        }
        self.put_back(ticket, waiting, step, is_over, woken, now)
    }

    fn write_lines(
        &mut self,
        waiting: &mut Waiting,
        lines: Option<Lines>,
        answer: &Answer,
        is_last: bool,
        now: Instant,
    ) {
        let Protocol::Native(options) = &waiting.protocol else { return };
        let mut stream = core::mem::take(&mut waiting.stream);
        let request_id = if is_last { self.request_id() } else { String::new() };
        let writer = native::Reply {
            plan: &waiting.plan,
            answer,
            call: &waiting.call,
            body: &waiting.body,
            options,
            strategy: waiting.route.pattern.name(),
            sla_status: self.sla_status.name(),
            target_millis: self.latency_target(options),
            request_id: &request_id,
            began: waiting.began,
            now,
        };
        if let Some(Lines { rows, found, .. }) = lines {
            let views = &waiting.plan.views;
            let view_of = |place: usize| place.checked_div(rows.len()).and_then(|view| views.get(view));
            stream.has_anything |= found.iter().enumerate().any(|(place, found)| found.has_any_of(view_of(place)));
            writer.write_lines(&mut stream.unsent, &rows, &found, &mut stream.written);
        }
        if is_last {
            let problem = problem_of(answer, stream.is_held);
            writer.write_last_line(&mut stream.unsent, &stream.written, problem.as_deref());
        }
        waiting.stream = stream;
    }
}

/// Why some of an answer is missing, where it is known.
fn problem_of(answer: &Answer, is_held: bool) -> Option<Vec<u8>> {
    match &answer.failure {
        _ if answer.tally.missing == 0 => None,
        Some(failure) => Some(reply::origin_failure(false, failure).body().to_vec()),
        None => is_held.then(|| {
            let detail = "its deadline came before its reader had taken what was there";
            problem::body(408, "read-too-slowly", "The answer was read too slowly", detail)
        }),
    }
}
