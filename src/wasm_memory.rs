//! Bodies in the module's memory, between JavaScript and the core: a request's body in, its reply out.
//!
//! It knows no request. Invariant: the address for a body is valid until a longer one is announced, and that of a reply until the next
//! reply.

use service::Reply;

/// The longest body whose memory is reused: most are shorter than 256 KiB.
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

    /// The written bytes.
    pub(crate) fn written(&self) -> &[u8] {
        &self.input
    }

    /// The first `length` written bytes.
    pub(crate) fn body(&self, length: usize) -> &[u8] {
        self.input.get(..length).unwrap_or_default()
    }

    /// Frees the memory of an unusually long body.
    pub(crate) fn shrink(&mut self) {
        if self.input.len() > MAX_KEPT_INPUT {
            self.input = Vec::new();
        }
    }

    /// Replaces the last reply, and returns it.
    pub(crate) fn put(&mut self, reply: Option<Reply>) -> Option<Reply> {
        core::mem::replace(&mut self.reply, reply)
    }

    /// The reply.
    pub(crate) fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref()
    }

    /// The address of the reply's body in the module's memory.
    pub(crate) fn reply_at(&self) -> usize {
        self.reply().map_or(0, |reply| reply.body().as_ptr() as usize)
    }

    /// The length of the reply's body, in bytes.
    pub(crate) fn reply_length(&self) -> usize {
        self.reply().map_or(0, |reply| reply.body().len())
    }

    /// The reply's HTTP status.
    pub(crate) fn reply_status(&self) -> u16 {
        self.reply().map_or(0, Reply::status)
    }
}
