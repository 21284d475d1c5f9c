//! The registry: when it is asked how views are keyed, and what awaits its response.
//!
//! The call has its own handle, so it outlives the request that made it, and its result serves later
//! requests. This module knows no view: `origin::registry` parses the response and the planner keeps it.
//! Invariant: a request waits for the registry for at most half of its deadline, by its own timer, and
//! only the first request waits at all. Without a response the whole entity row is the key: always right,
//! if less shared.

use crate::io::{IoRequest, IoResult, OriginRequest};
use crate::origin_requests::max_response_bytes;
use crate::request::RequestContext;
use crate::setup;
use config::Config;
use model::time::Timestamp;
use origin::planner::Planner;
use origin::registry;
use protocol::parsed_request::ParsedRequest;

/// A feature request that awaits the registry.
#[derive(Debug)]
pub(super) struct AwaitingMetadata {
    pub(super) request: ParsedRequest<'static>,
    pub(super) context: RequestContext<'static>,
}

impl AwaitingMetadata {
    /// The memory that it takes, in bytes.
    pub(super) fn footprint(&self) -> usize {
        size_of::<AwaitingMetadata>() + self.request.size() + self.context.caller.len()
    }
}

/// A call to the registry, where there is one.
pub(super) fn io_request(config: &Config) -> Option<IoRequest> {
    let settings = config.registry.as_ref()?;
    let project = settings.project.as_deref().unwrap_or(&config.project);
    Some(IoRequest::Fetch(OriginRequest {
        method: "GET",
        url: setup::join_url(&settings.url, &registry::path(project)),
        body: Vec::new(),
        max_bytes: max_response_bytes(config, registry::MAX_BYTES),
        traceparent: None,
    }))
}

/// Updates the planner from the registry's response.
#[inline(never)]
pub(super) fn update_planner(planner: &mut Planner, result: &IoResult, now: Timestamp) {
    if let IoResult::Fetched(Ok(reply)) = result
        && reply.status == 200
        && let Some(views) = registry::views(&reply.body)
    {
        planner.apply_registry(views, now);
    }
}
