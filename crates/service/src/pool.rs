//! Memory of ended requests for the next ones, so that an answer from memory allocates little.
//!
//! It knows no request. Invariant: the pooled memory is bounded, by [`MAX_BYTES`] in all.

use model::request::RowQuery;
use protocol::feature_request::FeatureRequest;
use protocol::response_buffer::ResponseBuffer;

/// The largest response buffer that is pooled: 2 MiB. Larger ones are rare, and are better freed.
const MAX_BUFFER: usize = 2 << 20;

/// The most of any other pooled memory, in bytes.
const MAX_OTHER: usize = 320 << 10;

/// The most that is kept in all, in bytes.
pub(super) const MAX_BYTES: usize = MAX_BUFFER + 4 * MAX_OTHER;

/// The pooled memory.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// With the cache of feature lists.
    call: Option<Box<FeatureRequest>>,
    query: Option<Box<RowQuery>>,
    buffer: ResponseBuffer,
    /// For strings whose escapes are resolved.
    pub(super) scratch: String,
    /// For keys of entities that stand in pieces.
    pub(super) entities: Vec<u8>,
}

impl Pool {
    /// An empty request to parse into.
    pub(super) fn take_feature_request(&mut self) -> Box<FeatureRequest> {
        self.call.take().unwrap_or_default()
    }

    /// Takes back the parsed request of an ended one.
    pub(super) fn recycle_feature_request(&mut self, call: Box<FeatureRequest>) {
        self.call = Some(call);
    }

    /// The same of a request that waited, if the pool has none.
    pub(super) fn recycle_if_empty(&mut self, call: Box<FeatureRequest>) {
        self.call.get_or_insert(call);
    }

    /// Moves the feature-list cache of a request that will wait into the pool.
    pub(super) fn detach_lists(&mut self, call: &mut FeatureRequest) {
        self.call = Some(Box::new(call.take_for_next()));
    }

    /// Moves the feature-list cache of the pool into a request that waited.
    pub(super) fn attach_lists(&mut self, call: &mut FeatureRequest) {
        if let Some(mut spare) = self.call.take() {
            call.adopt_cache(&mut spare);
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

    /// Takes back the buffer of a sent reply, if it is the larger one and not too large.
    pub(super) fn recycle_buffer(&mut self, buffer: ResponseBuffer) {
        if buffer.capacity() > self.buffer.capacity() && buffer.capacity() <= MAX_BUFFER {
            self.buffer = buffer;
        }
    }

    /// Frees what few requests need.
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

    /// The pooled memory besides the feature-list cache, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.buffer.capacity()
            + self.call.as_deref().map_or(0, FeatureRequest::size)
            + self.query.as_ref().map_or(0, |query| query.keys.size())
            + self.scratch.capacity()
            + self.entities.capacity()
    }

    /// The memory of the feature-list cache, in bytes.
    pub(super) fn list_cache_bytes(&self) -> usize {
        self.call.as_deref().map_or(0, FeatureRequest::list_cache_size)
    }
}
