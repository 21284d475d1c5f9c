//! Streamed replies: a line for each entity when it is complete, and a last line for the whole.
//!
//! It knows neither when an entity is complete nor the format of a line. Invariants: the head is sent with
//! the first lines that have a value, so an earlier error is an ordinary reply; and after a chunk no other
//! is sent until the reader has taken it, except the last, at the deadline.

use crate::io::{Chunk, Response};
use crate::reply::{self, Reply};
use crate::request::Protocol;
use engine::StreamedEntities;
use model::answer::Answer;
use protocol::response_buffer::ResponseBuffer;
use protocol::{native, problem};

/// The state of a streamed reply.
#[derive(Debug, Default)]
pub(super) struct ResponseStream {
    written: native::WrittenLines,
    /// What is written and not sent.
    unsent: ResponseBuffer,
    /// Whether any written line has a value.
    has_anything: bool,
    /// Whether the head was sent.
    is_head_sent: bool,
    /// Whether the reader has yet to take a chunk.
    is_paused: bool,
}

/// What is sent now.
#[derive(Debug)]
pub(super) enum StreamOutput {
    /// Nothing yet.
    Nothing,
    /// An error, in place of all lines.
    Failed(Reply),
    /// A chunk; the next waits until the reader has taken it.
    Chunk(Chunk),
    /// The last chunk, or the whole reply.
    Last(Option<Chunk>, Response),
}

impl ResponseStream {
    /// The memory that it takes, in bytes.
    pub(super) fn footprint(&self) -> usize {
        self.unsent.capacity() + self.written.size()
    }

    /// Its reader has taken the last chunk.
    pub(super) fn resume(&mut self) {
        self.is_paused = false;
    }

    /// Writes the lines of entities that are complete, and the last line if `is_last`.
    pub(super) fn write(
        &mut self,
        writer: &native::NativeResponse<'_>,
        entities: Option<StreamedEntities>,
        is_last: bool,
    ) {
        if let Some(StreamedEntities { rows, found, .. }) = entities {
            let views = &writer.plan.views;
            let view_of = |slot: usize| slot.checked_div(rows.len()).and_then(|view| views.get(view));
            self.has_anything |= found.iter().enumerate().any(|(slot, found)| found.has_any_of(view_of(slot)));
            writer.write_lines(&mut self.unsent, &rows, &found, &mut self.written);
        }
        if is_last {
            let problem = problem_of(writer.answer, self.is_paused);
            writer.write_last_line(&mut self.unsent, &self.written, problem.as_deref());
        }
    }

    /// What is sent now; `head` makes a reply of its body.
    pub(super) fn emit(
        &mut self,
        protocol: &Protocol,
        answer: &Answer,
        is_last: bool,
        head: impl Fn(ResponseBuffer) -> Reply,
    ) -> StreamOutput {
        let failure = reply::failed(protocol, answer, self.has_anything || !is_last);
        if let Some(reply) = failure.filter(|_| !self.is_head_sent) {
            return StreamOutput::Failed(reply);
        }
        if !is_last && (!self.has_anything || self.unsent.is_empty()) {
            return StreamOutput::Nothing;
        }
        let body = core::mem::take(&mut self.unsent);
        let is_head_sent = core::mem::replace(&mut self.is_head_sent, true);
        self.is_paused = true;
        if is_last && !is_head_sent {
            return StreamOutput::Last(None, Response::Reply(head(body)));
        }
        let chunk = Chunk { head: (!is_head_sent).then(|| head(ResponseBuffer::default())), bytes: body.into_vec() };
        if is_last { StreamOutput::Last(Some(chunk), Response::Streamed) } else { StreamOutput::Chunk(chunk) }
    }
}

/// Why values are missing, where that is known.
fn problem_of(answer: &Answer, is_paused: bool) -> Option<Vec<u8>> {
    match &answer.failure {
        _ if answer.tier_counts.missing == 0 => None,
        Some(failure) => Some(reply::origin_failure(false, failure).body().to_vec()),
        None => is_paused.then(|| {
            let detail = "the deadline passed before the client had read the buffered entities";
            problem::body(408, "client-too-slow", "The client read the response too slowly", detail)
        }),
    }
}
