//! The row query of a request: its keys, row by row, and its constraints. It knows no tier. Invariant:
//! keys are in the plan's order.

use std::rc::Rc;

use crate::pool::Pool;
use crate::request::Protocol;
use model::request::{Cohort, Consistency, Priority, RowQuery};
use model::request_error::RequestError;
use protocol::parsed_request::ParsedRequest;
use protocol::plan::Plan;

/// Builds the row query of a request; a key may have `key_bytes` bytes.
pub(super) fn row_query(
    pool: &mut Pool,
    protocol: &Protocol,
    request: &ParsedRequest<'_>,
    plan: &Rc<Plan>,
    key_bytes: usize,
) -> Result<Box<RowQuery>, RequestError> {
    let mut query = pool.take_query();
    query.keys.clear();
    plan.write_keys(request, key_bytes, &mut pool.scratch, &mut query.keys)?;
    if !Rc::ptr_eq(&query.views, &plan.views) {
        query.views = Rc::clone(&plan.views);
    }
    query.rows = request.fields.rows;
    let options = protocol.options();
    query.max_staleness = options.map(|options| options.max_staleness);
    query.consistency = options.map_or(Consistency::Eventual, |options| options.consistency);
    query.priority = options.map_or(Priority::Normal, |options| options.priority);
    query.deadline_millis = options.and_then(|options| options.deadline_millis);
    query.is_streamed = options.is_some_and(|options| options.is_streamed);
    query.cohort = Cohort::default();
    query.background_timeout_millis = None;
    query.request_bytes = request.size() + if plan.pending.get() == 0 { plan.size() } else { 0 };
    Ok(query)
}
