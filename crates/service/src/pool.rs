//! Memory of requests that ended, for the next, so that an answer from memory allocates little.
//!
//! Knows no request. Invariant: what is kept is bounded, by [`MAX_BYTES`] in all.

use model::request::RowQuery;
use protocol::call::Call;
use protocol::response_buffer::ResponseBuffer;

/// The largest answer whose memory is kept for the next: 2 MiB, past which answers are rare and the memory is better free.
const MAX_BUFFER: usize = 2 << 20;

/// The most of any other memory that is kept for the next request, in bytes.
const MAX_OTHER: usize = 320 << 10;

/// The most that is kept in all, in bytes.
pub(super) const MAX_BYTES: usize = MAX_BUFFER + 4 * MAX_OTHER;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// It also has the lists of features that earlier requests named.
    call: Option<Box<Call>>,
    query: Option<Box<RowQuery>>,
    buffer: ResponseBuffer,
    /// For strings whose escapes are resolved.
    pub(super) scratch: String,
    /// For keys of entities that stand in pieces.
    pub(super) entities: Vec<u8>,
}

impl Pool {
    /// A call to read a request into.
    pub(super) fn take_feature_request(&mut self) -> Box<Call> {
        self.call.take().unwrap_or_default()
    }

    /// Takes back the call of a request that ended.
    pub(super) fn recycle_feature_request(&mut self, call: Box<Call>) {
        self.call = Some(call);
    }

    /// Takes back the call of a request that waited, if the next has none yet.
    pub(super) fn recycle_if_empty(&mut self, call: Box<Call>) {
        self.call.get_or_insert(call);
    }

    /// Keeps for the next request what the call of one remembers that is going to wait.
    pub(super) fn detach_lists(&mut self, call: &mut Call) {
        self.call = Some(Box::new(call.successor()));
    }

    /// Has the call of a request that waited take over what is remembered of others.
    pub(super) fn attach_lists(&mut self, call: &mut Call) {
        if let Some(mut spare) = self.call.take() {
            call.succeed(&mut spare);
        }
    }

    pub(super) fn take_query(&mut self) -> Box<RowQuery> {
        self.query.take().unwrap_or_default()
    }

    pub(super) fn recycle_query(&mut self, query: Box<RowQuery>) {
        self.query = Some(query);
    }

    pub(super) fn take_buffer(&mut self) -> ResponseBuffer {
        core::mem::take(&mut self.buffer)
    }

    /// Takes back the memory of an answer that was sent, where it is more than is there and not too much.
    pub(super) fn recycle_buffer(&mut self, buffer: ResponseBuffer) {
        if buffer.capacity() > self.buffer.capacity() && buffer.capacity() <= MAX_BUFFER {
            self.buffer = buffer;
        }
    }

    /// Lets go of what few requests need.
    #[inline]
    pub(super) fn trim(&mut self) {
        if let Some(call) = &mut self.call {
            call.trim(MAX_OTHER);
        }
        if let Some(query) = &mut self.query {
            query.keys.trim(MAX_OTHER);
        }
        if self.scratch.capacity() > MAX_OTHER {
            self.scratch = String::new();
        }
        if self.entities.capacity() > MAX_OTHER {
            self.entities = Vec::new();
        }
    }

    /// The memory that it takes beside the remembered lists, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.buffer.capacity()
            + self.call.as_deref().map_or(0, Call::size)
            + self.query.as_ref().map_or(0, |query| query.keys.size())
            + self.scratch.capacity()
            + self.entities.capacity()
    }

    /// The memory that the remembered lists take, in bytes.
    pub(super) fn list_cache_bytes(&self) -> usize {
        self.call.as_deref().map_or(0, Call::lists_size)
    }
}
