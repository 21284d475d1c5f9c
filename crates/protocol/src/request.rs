//! A request for features as it was read: its call, with the body that the call's spans stand in.
//!
//! It borrows the body while it is answered from memory, and owns it once it waits. Its invariant: the spans are of this very body.

use std::borrow::Cow;

use crate::call::Call;

/// A call and its body.
#[derive(Debug)]
pub struct ParsedRequest<'b> {
    /// Where everything stands in the body.
    pub call: Box<Call>,
    /// The bytes.
    pub body: Cow<'b, [u8]>,
}

impl ParsedRequest<'_> {
    /// Both, to read values in the one by the other.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> (&Call, &[u8]) {
        (&self.call, &self.body)
    }

    /// The same, to be kept past the transition that brought it.
    #[must_use]
    pub fn into_owned(self) -> ParsedRequest<'static> {
        ParsedRequest { call: self.call, body: Cow::Owned(self.body.into_owned()) }
    }

    /// The memory that it takes once it is owned, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let body = match &self.body {
            Cow::Borrowed(body) => body.len(),
            Cow::Owned(body) => body.capacity(),
        };
        self.call.size() + body
    }
}
