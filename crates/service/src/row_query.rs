//! What the engine is asked for a request: its keys, row by row, and what it insists on.

use std::rc::Rc;

use crate::pool::Pool;
use crate::request::Protocol;
use model::request::{Cohort, Consistency, Priority, RowQuery};
use model::request_error::RequestError;
use protocol::parsed_request::ParsedRequest;
use protocol::plan::Plan;

/// The engine's view of a request; a key may be `key_bytes` long.
pub(super) fn row_query(
    pool: &mut Pool,
    protocol: &Protocol,
    request: &ParsedRequest<'_>,
    plan: &Rc<Plan>,
    key_bytes: usize,
) -> Result<Box<RowQuery>, RequestError> {
    let mut ask = pool.take_ask();
    ask.keys.clear();
    plan.write_keys(request, key_bytes, &mut pool.scratch, &mut ask.keys)?;
    if !Rc::ptr_eq(&ask.views, &plan.views) {
        ask.views = Rc::clone(&plan.views);
    }
    ask.rows = request.fields.rows;
    let options = protocol.options();
    ask.max_staleness = options.map(|options| options.max_staleness);
    ask.consistency = options.map_or(Consistency::Eventual, |options| options.consistency);
    ask.priority = options.map_or(Priority::Normal, |options| options.priority);
    ask.deadline_millis = options.and_then(|options| options.deadline_millis);
    ask.is_streamed = options.is_some_and(|options| options.is_streamed);
    ask.cohort = Cohort::default();
    ask.background_timeout_millis = None;
    ask.request_bytes = request.size() + if plan.pending.get() == 0 { plan.size() } else { 0 };
    Ok(ask)
}
