//! What passes between JavaScript and the core through the module's memory: a request's body in, its reply out.
//!
//! Knows no request. Invariant: where a body is to be written stays good until the next longer one is announced, and a reply until
//! the next one takes its place.

use service::Reply;

/// One body, and one reply.
#[derive(Debug, Default)]
pub(super) struct Desk {
    input: Vec<u8>,
    reply: Option<Reply>,
}

impl Desk {
    /// Where to write `length` bytes, as an address in the module's memory.
    pub(super) fn input(&mut self, length: usize) -> usize {
        if self.input.len() < length {
            self.input.resize(length, 0);
        }
        self.input.as_ptr() as usize
    }

    /// What was written.
    #[cfg(feature = "npm")]
    pub(super) fn written(&self) -> &[u8] {
        &self.input
    }

    /// The first `length` bytes of it.
    pub(super) fn body(&self, length: usize) -> &[u8] {
        self.input.get(..length).unwrap_or_default()
    }

    /// Takes back memory of more than so many bytes.
    #[cfg(feature = "worker")]
    pub(super) fn shrink(&mut self, most: usize) {
        if self.input.len() > most {
            self.input = Vec::new();
        }
    }

    /// Puts a reply in the place of the last, which it gives.
    pub(super) fn put(&mut self, reply: Option<Reply>) -> Option<Reply> {
        core::mem::replace(&mut self.reply, reply)
    }

    /// The reply.
    pub(super) fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref()
    }

    /// Where the reply's body stands, as an address in the module's memory.
    pub(super) fn reply_at(&self) -> usize {
        self.reply().map_or(0, |reply| reply.body().as_ptr() as usize)
    }

    /// How long the reply's body is, in bytes.
    pub(super) fn reply_length(&self) -> usize {
        self.reply().map_or(0, |reply| reply.body().len())
    }

    /// The reply's HTTP status.
    pub(super) fn reply_status(&self) -> u16 {
        self.reply().map_or(0, Reply::status)
    }
}
