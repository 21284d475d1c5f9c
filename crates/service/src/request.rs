//! A request's protocol and context: what it carries besides its features and entities.
//!
//! It knows no rows. Invariant: a request that is answered at once borrows from the host, and owns its
//! data as soon as it waits.

use std::borrow::Cow;

use config::Config;
use model::request::Priority;
use model::request_error::RequestError;
use model::time::Timestamp;
use protocol::feast;
use protocol::feature_request::FeatureRequest;
use protocol::native::{self, Options};
use protocol::plan::FeatureNaming;
use telemetry::trace::TraceContext;

/// The protocol of a request, with its own options.
#[derive(Clone, Copy, Debug)]
pub(super) enum Protocol {
    Feast,
    Native(Options),
}

impl Protocol {
    pub(super) fn is_feast(&self) -> bool {
        matches!(self, Protocol::Feast)
    }

    pub(super) fn options(&self) -> Option<&Options> {
        match self {
            Protocol::Feast => None,
            Protocol::Native(options) => Some(options),
        }
    }

    /// How urgent a request is.
    pub(super) fn priority(&self) -> Priority {
        self.options().map_or(Priority::Normal, |options| options.priority)
    }

    /// Under which names values go out.
    pub(super) fn naming(&self) -> FeatureNaming {
        if self.is_feast() { FeatureNaming::Feast } else { FeatureNaming::AsRequested }
    }

    /// Half of the deadline that remains after `waited` milliseconds: the longest wait for an optional
    /// call.
    pub(super) fn half_of_deadline(&self, config: &Config, waited: u64) -> u64 {
        let own = self.options().and_then(|options| options.deadline_millis);
        let Config { routing, deadlines, .. } = config;
        let usual =
            if self.priority() >= Priority::High { routing.real_time_deadline_ms } else { deadlines.default_ms };
        own.unwrap_or(usual).min(deadlines.default_ms).saturating_sub(waited) / 2
    }

    /// Reads a body into `call`, and the options that only the body has.
    pub(super) fn read(&mut self, config: &Config, body: &[u8], call: &mut FeatureRequest) -> Result<(), RequestError> {
        let limits = &config.limits;
        match self {
            Protocol::Feast => feast::read(body, limits, call),
            Protocol::Native(options) => {
                let read = native::read(body, limits, &config.native.entity_column, call)?;
                *options = read.in_columns(options.columns).streamed(options.is_streamed);
                Ok(())
            }
        }
    }
}

/// The context of a request.
#[derive(Clone, Debug)]
pub(super) struct RequestContext<'a> {
    pub(super) protocol: Protocol,
    /// The caller's identity; empty where callers share rows.
    pub(super) caller: Cow<'a, str>,
    /// The engine's name of the caller's session, where there is one.
    pub(super) session: Option<u64>,
    /// Its trace context, if any.
    pub(super) trace: Option<TraceContext>,
    pub(super) began: Timestamp,
}

impl<'a> RequestContext<'a> {
    /// Of a request that begins now, of no session and in no trace.
    pub(super) fn new(protocol: Protocol, caller: Cow<'a, str>, now: Timestamp) -> RequestContext<'a> {
        RequestContext { protocol, caller, session: None, trace: None, began: now }
    }

    /// The same, to be kept past the transition that brought it.
    pub(super) fn to_owned(&self) -> RequestContext<'static> {
        let RequestContext { protocol, session, trace, began, .. } = *self;
        RequestContext { protocol, caller: Cow::Owned(self.caller.to_string()), session, trace, began }
    }

    pub(super) fn priority(&self) -> Priority {
        self.protocol.priority()
    }

    /// The `traceparent` header of the request's trace.
    pub(super) fn traceparent(&self) -> Option<String> {
        self.trace.map(|trace| trace.traceparent())
    }
}
