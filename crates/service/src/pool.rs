//! Memory of requests that ended, for the next, so that an answer from memory allocates little.
//!
//! Knows no request. Invariant: what is kept is bounded, by [`MAX_BYTES`] in all.

use model::request::RowQuery;
use protocol::feature_request::FeatureRequest;
use protocol::response_buffer::ResponseBuffer;

/// The largest answer whose memory is kept for the next: 2 MiB, past which answers are rare and the memory is better free.
const MAX_SHEET: usize = 2 << 20;

/// The most of any other memory that is kept for the next request, in bytes.
const MAX_OTHER: usize = 320 << 10;

/// The most that is kept in all, in bytes.
pub(super) const MAX_BYTES: usize = MAX_SHEET + 4 * MAX_OTHER;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// It also has the lists of features that earlier requests named.
    call: Option<Box<FeatureRequest>>,
    ask: Option<Box<RowQuery>>,
    buffer: ResponseBuffer,
    /// For strings whose escapes are resolved.
    pub(super) scratch: String,
    /// For keys of entities that stand in pieces.
    pub(super) entities: Vec<u8>,
}

impl Pool {
    /// A call to read a request into.
    pub(super) fn take_call(&mut self) -> Box<FeatureRequest> {
        self.call.take().unwrap_or_default()
    }

    /// Takes back the call of a request that ended.
    pub(super) fn give_call(&mut self, call: Box<FeatureRequest>) {
        self.call = Some(call);
    }

    /// Takes back the call of a request that waited, if the next has none yet.
    pub(super) fn offer_call(&mut self, call: Box<FeatureRequest>) {
        self.call.get_or_insert(call);
    }

    /// Keeps for the next request what the call of one remembers that is going to wait.
    pub(super) fn part_from(&mut self, call: &mut FeatureRequest) {
        self.call = Some(Box::new(call.take_for_next()));
    }

    /// Has the call of a request that waited take over what is remembered of others.
    pub(super) fn rejoin(&mut self, call: &mut FeatureRequest) {
        if let Some(mut spare) = self.call.take() {
            call.adopt_cache(&mut spare);
        }
    }

    pub(super) fn take_ask(&mut self) -> Box<RowQuery> {
        self.ask.take().unwrap_or_default()
    }

    pub(super) fn give_ask(&mut self, ask: Box<RowQuery>) {
        self.ask = Some(ask);
    }

    pub(super) fn take_buffer(&mut self) -> ResponseBuffer {
        core::mem::take(&mut self.buffer)
    }

    /// Takes back the memory of an answer that was sent, where it is more than is there and not too much.
    pub(super) fn give_buffer(&mut self, buffer: ResponseBuffer) {
        if buffer.capacity() > self.buffer.capacity() && buffer.capacity() <= MAX_SHEET {
            self.buffer = buffer;
        }
    }

    /// Lets go of what few requests need.
    #[inline]
    pub(super) fn trim(&mut self) {
        if let Some(call) = &mut self.call {
            call.trim(MAX_OTHER);
        }
        if let Some(ask) = &mut self.ask {
            ask.keys.trim(MAX_OTHER);
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
            + self.call.as_deref().map_or(0, FeatureRequest::size)
            + self.ask.as_ref().map_or(0, |ask| ask.keys.size())
            + self.scratch.capacity()
            + self.entities.capacity()
    }

    /// The memory that the remembered lists take, in bytes.
    pub(super) fn lists_bytes(&self) -> usize {
        self.call.as_deref().map_or(0, FeatureRequest::list_cache_size)
    }
}
