//! When the registry is asked how views are keyed, and what waits for its answer.
//!
//! The call has a name of its own, so that it outlives the request that made it: what it brings counts for the requests that
//! come later. It knows no view: `origin::registry` reads the answer and the planner keeps it. Invariant: a request waits
//! for the registry for at most half of its own deadline, by a timer of its own, and only the first one waits at all. Without
//! an answer, the whole entity row is the key: always right, if less shared.

use crate::io::{IoRequest, IoResult, OriginRequest};
use crate::origin_requests::max_answer_bytes;
use crate::request::RequestContext;
use crate::setup;
use config::Config;
use model::time::Timestamp;
use origin::planner::Planner;
use origin::registry;
use protocol::request::ParsedRequest;

/// A request for features that waits for the registry.
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
        max_bytes: max_answer_bytes(config, registry::MAX_BYTES),
        traceparent: None,
    }))
}

/// Has the planner learn from the registry's answer.
#[inline(never)]
pub(super) fn update_planner(planner: &mut Planner, result: &IoResult, now: Timestamp) {
    if let IoResult::Fetched(Ok(reply)) = result
        && reply.status == 200
        && let Some(views) = registry::views(&reply.body)
    {
        planner.learn(views, now);
    }
}
