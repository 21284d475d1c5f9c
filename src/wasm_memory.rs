//! What passes between JavaScript and the core through the module's memory: a request's body in, its reply out.
//!
//! Knows no request. Invariant: where a body is to be written stays good until the next longer one is announced, and a reply until
//! the next one takes its place.

use service::Reply;

/// The longest body whose memory is kept for the next: 256 KiB, which most fit in.
const MAX_KEPT_INPUT: usize = 256 << 10;

/// One body, and one reply.
#[derive(Debug, Default)]
pub(crate) struct WasmMemory {
    input: Vec<u8>,
    reply: Option<Reply>,
}

impl WasmMemory {
    /// Where to write `length` bytes, as an address in the module's memory.
    pub(crate) fn input(&mut self, length: usize) -> usize {
        if self.input.len() < length {
            self.input.resize(length, 0);
        }
        self.input.as_ptr() as usize
    }

    /// What was written.
    pub(crate) fn written(&self) -> &[u8] {
        &self.input
    }

    /// The first `length` bytes of it.
    pub(crate) fn body(&self, length: usize) -> &[u8] {
        self.input.get(..length).unwrap_or_default()
    }

    /// Gives back the memory of a body that was longer than most.
    pub(crate) fn shrink(&mut self) {
        if self.input.len() > MAX_KEPT_INPUT {
            self.input = Vec::new();
        }
    }

    /// Puts a reply in the place of the last, which it gives.
    pub(crate) fn put(&mut self, reply: Option<Reply>) -> Option<Reply> {
        core::mem::replace(&mut self.reply, reply)
    }

    /// The reply.
    pub(crate) fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref()
    }

    /// Where the reply's body stands, as an address in the module's memory.
    pub(crate) fn reply_at(&self) -> usize {
        self.reply().map_or(0, |reply| reply.body().as_ptr() as usize)
    }

    /// How long the reply's body is, in bytes.
    pub(crate) fn reply_length(&self) -> usize {
        self.reply().map_or(0, |reply| reply.body().len())
    }

    /// The reply's HTTP status.
    pub(crate) fn reply_status(&self) -> u16 {
        self.reply().map_or(0, Reply::status)
    }
}
