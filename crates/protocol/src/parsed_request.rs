//! A parsed request: its fields, with the body that their spans refer to.
//!
//! It borrows the body while it may be answered from L1, and owns it once it waits. Invariant: the spans are of this very body.

use std::borrow::Cow;

use crate::feature_request::FeatureRequest;

/// The fields and their body.
#[derive(Debug)]
pub struct ParsedRequest<'b> {
    /// The spans of all fields.
    pub fields: Box<FeatureRequest>,
    /// The bytes.
    pub body: Cow<'b, [u8]>,
}

impl ParsedRequest<'_> {
    /// Both, to read values of the body by the fields.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> (&FeatureRequest, &[u8]) {
        (&self.fields, &self.body)
    }

    /// The same with an owned body, which outlives the transition that received it.
    #[must_use]
    pub fn into_owned(self) -> ParsedRequest<'static> {
        ParsedRequest { fields: self.fields, body: Cow::Owned(self.body.into_owned()) }
    }

    /// Its memory once it is owned, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let body = match &self.body {
            Cow::Borrowed(body) => body.len(),
            Cow::Owned(body) => body.capacity(),
        };
        self.fields.size() + body
    }
}
